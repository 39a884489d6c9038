//! Every program and library of the merged file system, and whether its machine is the node's. Collected in one pass;
//! the rules read this list instead of the tree.

use std::collections::BTreeMap;

use crate::image::{NodeId, RootFs};
use crate::inspect::{Elf, FileKind};
use crate::judge::facts::tokens::{self, Libc, PathPlatform};
use crate::platform::{Arch, Fact, Node, binfmt};

/// Whether a node's kernel accepts the machine of a file. Its loader and libraries are not considered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fit {
    Native,
    /// A 32-bit program that the node's kernel runs in addition to its own.
    Compat,
    /// A 32-bit program of the same family; whether this node runs it is unknown.
    PerhapsCompat,
    /// A handler or emulator runs it.
    Emulated,
    Foreign,
    /// Code for a device, or for a machine without Linux.
    NoLinux,
}

/// An ELF file that can be executed or loaded (ET_EXEC, ET_DYN), or an object of another type.
pub struct JudgedProgram<'a> {
    pub id: NodeId,
    /// Absolute path in the merged file system.
    pub path: String,
    pub layer: usize,
    pub mode: u16,
    pub elf: &'a Elf,
    pub fit: Fit,
    /// The platform that the path names.
    pub platform: Option<PathPlatform>,
}

/// The ELF files of an image, and facts about the image that follow from them.
pub struct Programs<'a> {
    /// Sorted by path.
    pub all: Vec<JudgedProgram<'a>>,
    /// The image's own C libraries, by the loaders that it has.
    pub libcs: Vec<Libc>,
}

const ET_EXEC: u16 = 2;
const ET_DYN: u16 = 3;

/// Whether `elf`'s machine runs on `node`.
pub fn fit(elf: &Elf, node: &Node) -> Fit {
    let Some(arch) = elf.arch() else { return Fit::NoLinux };
    if arch == node.arch {
        return Fit::Native;
    }
    let (compat, fact) = match (node.arch, arch) {
        (Arch::Amd64, Arch::I386) => (true, node.ia32),
        (Arch::Arm64, Arch::Arm) => (true, node.aarch32),
        _ => (false, Fact::Unknown),
    };
    if compat && fact != Fact::Known(false) {
        return if fact == Fact::Known(true) { Fit::Compat } else { Fit::PerhapsCompat };
    }
    let handled =
        node.emulates.contains(&arch) || node.handlers.iter().any(|handler| binfmt::takes(handler, &elf.head[..], ""));
    if handled { Fit::Emulated } else { Fit::Foreign }
}

impl<'a> Programs<'a> {
    pub fn collect(rootfs: &'a RootFs<FileKind>, node: &Node) -> Programs<'a> {
        let mut all: Vec<JudgedProgram<'a>> = rootfs
            .files_with_facts()
            .filter_map(|view| match view.fact {
                Some(FileKind::Elf(elf)) => {
                    let path = String::from_utf8_lossy(&rootfs.path(view.id)).into_owned();
                    let platform = tokens::read(&path);
                    let elf: &'a Elf = elf;
                    Some(JudgedProgram {
                        id: view.id,
                        layer: view.layer,
                        mode: view.mode,
                        fit: fit(elf, node),
                        elf,
                        path,
                        platform,
                    })
                }
                _ => None,
            })
            .collect();
        all.sort_by(|a, b| a.path.cmp(&b.path));
        let libcs = libcs(rootfs, node, &all);
        Programs { all, libcs }
    }

    /// The programs that execve or a loader could accept on some machine.
    pub fn runnable(&self) -> impl Iterator<Item = &JudgedProgram<'a>> {
        self.all.iter().filter(|program| program.is_runnable())
    }

    /// The program at this path, which must not contain links.
    pub fn at(&self, path: &str) -> Option<&JudgedProgram<'a>> {
        self.all.binary_search_by(|program| program.path.as_str().cmp(path)).ok().map(|index| &self.all[index])
    }

    /// Number of runnable programs of each architecture.
    pub fn count(&self) -> BTreeMap<Arch, usize> {
        let mut count = BTreeMap::new();
        for arch in self.runnable().filter_map(|program| program.elf.arch()) {
            *count.entry(arch).or_default() += 1;
        }
        count
    }
}

impl JudgedProgram<'_> {
    pub fn is_runnable(&self) -> bool {
        matches!(self.elf.e_type, ET_EXEC | ET_DYN) && self.fit != Fit::NoLinux
    }

    /// Started directly: an ET_EXEC, or an ET_DYN that names a loader or is marked as PIE.
    pub fn is_executable(&self) -> bool {
        let is_pie = self.elf.dynamic.as_ref().is_some_and(|dynamic| dynamic.is_pie);
        self.mode & 0o111 != 0 && (self.elf.e_type == ET_EXEC || self.elf.interp.is_some() || is_pie)
    }

    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    fn needs(&self, soname: &str) -> bool {
        self.elf.dynamic.iter().flat_map(|dynamic| &dynamic.needed).any(|lib| lib == soname)
    }

    /// The C library it was linked for, by its loader, its libraries, or its path.
    pub fn libc(&self) -> Option<Libc> {
        let needs = |prefix: &str| {
            self.elf.dynamic.iter().flat_map(|dynamic| &dynamic.needed).any(|lib| lib.starts_with(prefix))
        };
        let loader = String::from_utf8_lossy(self.elf.loader().unwrap_or_default()).into_owned();
        // A musl cross toolchain names the library by its plain soname.
        if loader.contains("/ld-musl") || needs("libc.musl-") || self.needs("libc.so") {
            return Some(Libc::Musl);
        }
        if loader.contains("/ld-linux") || loader.contains("/ld64.so") || needs("libc.so.6") {
            return Some(Libc::Glibc);
        }
        self.platform.as_ref().and_then(|platform| platform.libc)
    }

    /// "AArch64", "32-bit Arm", or "machine 247".
    pub fn arch_name(&self) -> String {
        self.elf.arch().map_or_else(|| format!("machine {}", self.elf.machine), |arch| arch.name().to_string())
    }
}

/// The C libraries that an image has: detected by a loader for its platform, at its usual path or by its name.
fn libcs(rootfs: &RootFs<FileKind>, node: &Node, all: &[JudgedProgram<'_>]) -> Vec<Libc> {
    let has = |place: &str, prefix: &[&str]| {
        (!place.is_empty() && rootfs.resolve(place).is_ok())
            || all.iter().any(|program| {
                program.fit == Fit::Native && prefix.iter().any(|prefix| program.name().starts_with(prefix))
            })
    };
    let row = node.arch.row();
    let mut found = Vec::new();
    if has(row.glibc_loader, &["ld-linux", "ld64.so", "ld-2.", "ld.so.1"]) {
        found.push(Libc::Glibc);
    }
    // Alpine's loader is musl's libc itself.
    if has(row.musl_loader, &["ld-musl-", "libc.musl-"]) {
        found.push(Libc::Musl);
    }
    found
}
