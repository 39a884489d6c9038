//! The directories that a loader searches for a library, in its order. Directories that only some builds of glibc
//! search are assumed to be searched: a library of another architecture there is skipped anyway.

use std::rc::Rc;

use crate::exec::environment::variable;
use crate::exec::kernel::access::{May, Who, config, not_read};
use crate::exec::kernel::binfmt::LoadedProgram;
use crate::exec::kernel::changes::FileChanges;
use crate::exec::kernel::cwd::Cwd;
use crate::exec::loader::{LibraryFault, LoaderFamily, Object, conf, hwcaps, verify};
use crate::exec::outcome::lossy;
use crate::exec::{Cause, CauseKind, UNKNOWN_TEXT};
use crate::image::{FileView, ResolveError, RootFs};
use crate::inspect::{Dynamic, FileKind, LoaderDirectories};
use crate::platform::{Arch, Fact, Isa};

/// The library search of one program.
pub(crate) struct LibrarySearch<'a> {
    rootfs: &'a RootFs<FileKind>,
    pub family: LoaderFamily,
    pub arch: Arch,
    isa: Fact<Isa>,
    cwd: Cwd,
    who: Who,
    changes: Rc<FileChanges>,
    library_path: Vec<String>,
    /// See [`is_debian`].
    is_debian: Option<bool>,
    /// Directories that are searched last.
    defaults: Vec<String>,
    /// Directories that this loader may or may not search.
    doubtful: Vec<String>,
    /// Directories that are only found through ld.so.cache.
    cached: Vec<String>,
    /// Why the lists above may lack a directory.
    gap: Option<String>,
}

/// The candidates that a search skipped.
#[derive(Debug, Default)]
pub(crate) struct SkippedCandidates {
    /// The files of the right name that were not accepted, in search order.
    faults: Vec<LibraryFault>,
    /// Why it is not known whether the loader finds the library.
    pub undecided: Option<Cause>,
}

impl SkippedCandidates {
    /// The fault that the loader reports in the end. It remembers another class, but not another architecture.
    pub fn fault(self) -> LibraryFault {
        let class = self.faults.iter().find(|fault| matches!(fault, LibraryFault::OtherClass(..))).cloned();
        class.or_else(|| self.faults.into_iter().next()).unwrap_or(LibraryFault::Absent)
    }
}

/// Whether the image's glibc is Debian's build, which has its own directories and its own $LIB. `None` if the image
/// does not identify a distribution, so its loader may come from any.
fn is_debian(rootfs: &RootFs<FileKind>) -> Option<bool> {
    if rootfs.resolve("/etc/debian_version").is_ok() {
        return Some(true);
    }
    let release = |path| config(rootfs, path);
    let text = release("/etc/os-release").or_else(|| release("/usr/lib/os-release"))?;
    let mut names = text.lines().filter(|line| line.starts_with("ID=") || line.starts_with("ID_LIKE="));
    Some(names.any(|line| line.contains("debian") || line.contains("ubuntu")))
}

impl<'a> LibrarySearch<'a> {
    pub fn new(
        rootfs: &'a RootFs<FileKind>,
        started: &LoadedProgram<'a>,
        family: LoaderFamily,
        (cwd, who, changes): (&Cwd, &Who, &Rc<FileChanges>),
        (env, isa): (&[String], Fact<Isa>),
    ) -> LibrarySearch<'a> {
        let arch = started.abi.arch;
        let loader = started.loader.as_ref().map_or(&b""[..], |(path, ..)| path);
        let separators: &[char] = if family == LoaderFamily::Musl { &[':', '\n'] } else { &[':', ';'] };
        let split = |text: &str| text.split(separators).map(str::to_string).collect::<Vec<_>>();
        let library_path = variable(env, "LD_LIBRARY_PATH").map_or_else(Vec::new, |text| match text {
            "" => Vec::new(),
            text => split(text),
        });
        let mut search = LibrarySearch {
            rootfs,
            family,
            arch,
            isa,
            cwd: cwd.clone(),
            who: who.clone(),
            changes: Rc::clone(changes),
            library_path,
            is_debian: is_debian(rootfs),
            defaults: Vec::new(),
            doubtful: Vec::new(),
            cached: Vec::new(),
            gap: None,
        };
        match family {
            LoaderFamily::Glibc => {
                let elf = started.loader.as_ref().and_then(|(_, _, elf)| elf.dynamic.as_ref()?.directories.as_deref());
                match elf {
                    Some(own) => search.own_directories(own),
                    None => search.glibc_directories(loader),
                }
            }
            LoaderFamily::Musl => search.defaults = conf::musl_path(rootfs, loader),
        }
        let is_unknown = |key: &&&str| variable(env, key).is_some_and(|value| value.contains(UNKNOWN_TEXT));
        if let Some(key) = ["LD_LIBRARY_PATH", "LD_PRELOAD"].iter().find(is_unknown) {
            search.gap.get_or_insert(format!("{key} is only known at run time"));
        }
        search
    }

    /// Uses the directories that were compiled into the loader.
    fn own_directories(&mut self, own: &LoaderDirectories) {
        self.defaults = own.search.clone();
        let Some(cache) = own.cache.as_deref().filter(|cache| self.rootfs.resolve(cache).is_ok()) else { return };
        if cache == "/etc/ld.so.cache" {
            (self.cached, self.gap) = conf::ld_so_conf(self.rootfs);
        } else if self.rootfs.resolve(cache).is_ok_and(|id| self.rootfs.view(id).size > 0) {
            self.gap = Some(format!("its loader reads {cache}, which is not parsed"));
        }
    }

    /// Uses Debian's triplet directories, the ABI's own, which Debian's build does not have, and the plain ones. A
    /// loader in another place (Nix, Guix, a bundle) was built with other directories, which are not known.
    fn glibc_directories(&mut self, loader: &[u8]) {
        let row = self.arch.row();
        let abi: &[&str] = match self.arch {
            Arch::Riscv64 => &["lib64/lp64d", "lib64"],
            Arch::Riscv32 => &["lib32/ilp32d"],
            Arch::I386 | Arch::Ppc | Arch::Sparc | Arch::Mips | Arch::Mipsle => &["lib32"],
            Arch::S390 | Arch::Arm | Arch::Armbe | Arch::M68k | Arch::Parisc | Arch::Sh4 => &[],
            _ => &["lib64"],
        };
        let triplets = row.triplets.iter().map(|triplet| format!("lib/{triplet}"));
        let names: Vec<String> =
            triplets.chain(abi.iter().map(|name| name.to_string())).chain(["lib".to_string()]).collect();
        let directories_of = |name: &String| [format!("/{name}"), format!("/usr/{name}")];
        let is_doubtful = |name: &&String| *name == "lib64" && !row.triplets.is_empty();
        let is_searched = |name: &&String| self.is_debian == Some(false) || !is_doubtful(name);
        self.defaults = names.iter().filter(is_searched).flat_map(directories_of).collect();
        if self.is_debian.is_none() {
            self.doubtful = names.iter().filter(is_doubtful).flat_map(directories_of).collect();
        }
        let home = lossy(crate::exec::loader::parent(loader));
        if !names.iter().flat_map(directories_of).any(|directory| directory == home) {
            self.gap = Some(format!(
                "its loader {} is not where distributions install it and may search elsewhere",
                lossy(loader)
            ));
            self.defaults.push(home);
        }
        if self.rootfs.resolve("/etc/ld.so.cache").is_ok() {
            let (directories, gap) = conf::ld_so_conf(self.rootfs);
            self.cached = directories;
            self.gap = self.gap.take().or(gap);
        }
    }

    /// Finds the library `name` for the object at `by`.
    pub fn find(&self, name: &str, by: usize, objects: &[Object<'a>]) -> Result<Object<'a>, SkippedCandidates> {
        let mut skipped = SkippedCandidates::default();
        let expand = |text: &str, object: &Object<'_>| self.expand(text, object);
        if name.contains('/') {
            for path in expand(name, &objects[by]) {
                if let Some(found) = self.open_candidate(path.as_bytes(), name, by, &mut skipped) {
                    return Ok(found);
                }
            }
            return Err(skipped);
        }
        for directory in self.directories(by, objects) {
            let path = |directory: &str| [directory.trim_end_matches('/'), "/", name].concat();
            let copies = self.copies(&directory);
            // On a CPU of unknown level the loader opens the copy or the plain file.
            if self.isa == Fact::Unknown {
                let is_refused = |copy: &&String| {
                    let mut own = SkippedCandidates::default();
                    self.open_candidate(path(copy).as_bytes(), name, by, &mut own);
                    matches!(own.faults.last(), Some(LibraryFault::Refused(..)))
                };
                if let Some(copy) = copies.iter().find(is_refused) {
                    skipped.undecided = Some(hwcaps::doubt(&path(copy)));
                    return Err(skipped);
                }
            }
            let plain = std::iter::once(&directory);
            let in_order: Vec<&String> = match self.isa {
                Fact::Known(_) => copies.iter().chain(plain).collect(),
                Fact::Unknown => plain.chain(&copies).collect(),
            };
            for directory in in_order {
                if let Some(found) = self.open_candidate(path(directory).as_bytes(), name, by, &mut skipped) {
                    return Ok(found);
                }
                if self.is_final(&skipped) {
                    return Err(skipped);
                }
            }
        }
        Err(skipped)
    }

    /// The directories with copies for newer CPUs, which glibc's loader searches before `directory` itself.
    fn copies(&self, directory: &str) -> Vec<String> {
        match self.family {
            LoaderFamily::Glibc => hwcaps::directories(self.rootfs, &self.cwd, directory, (self.arch, self.isa)),
            LoaderFamily::Musl => Vec::new(),
        }
    }

    /// Returns every directory in search order. Source: elf/dl-load.c `_dl_map_object`; ldso/dynlink.c `load_library`.
    fn directories(&self, by: usize, objects: &[Object<'a>]) -> Vec<String> {
        let mut list = Vec::new();
        let paths = |text: &Option<String>, object: &Object<'_>| -> Vec<String> {
            let text = text.as_deref().unwrap_or("");
            text.split(':').filter(|path| !path.is_empty()).flat_map(|path| self.expand(path, object)).collect()
        };
        let dynamic = |object: &Object<'a>| object.elf.dynamic.as_deref();
        let ancestors = || std::iter::successors(Some(by), |index| objects[*index].parent);
        match self.family {
            LoaderFamily::Glibc => {
                let has_runpath = dynamic(&objects[by]).is_some_and(|dynamic| dynamic.runpath.is_some());
                if !has_runpath {
                    for index in ancestors().chain([0]) {
                        if let Some(Dynamic { runpath: None, rpath, .. }) = dynamic(&objects[index]) {
                            list.extend(paths(rpath, &objects[index]));
                        }
                    }
                }
                list.extend(self.library_path.iter().flat_map(|path| self.expand_library_path(path, &objects[0])));
                if let Some(Dynamic { runpath, .. }) = dynamic(&objects[by]) {
                    list.extend(paths(runpath, &objects[by]));
                }
                if !dynamic(&objects[by]).is_some_and(|dynamic| dynamic.no_default_lib) {
                    list.extend(self.cached.iter().cloned());
                    list.extend(self.defaults.iter().cloned());
                }
            }
            LoaderFamily::Musl => {
                list.extend(self.library_path.iter().filter(|path| !path.is_empty()).cloned());
                for index in ancestors() {
                    if let Some(Dynamic { runpath, rpath, .. }) = dynamic(&objects[index]) {
                        list.extend(paths(if runpath.is_some() { runpath } else { rpath }, &objects[index]));
                    }
                }
                list.extend(self.defaults.iter().cloned());
            }
        }
        list
    }

    /// An empty entry in LD_LIBRARY_PATH is the working directory.
    fn expand_library_path(&self, path: &str, program: &Object<'_>) -> Vec<String> {
        if path.is_empty() { vec![".".to_string()] } else { self.expand(path, program) }
    }

    /// Expands dynamic string tokens. $LIB and $PLATFORM have several values, and this loader may use any of them.
    fn expand(&self, text: &str, object: &Object<'_>) -> Vec<String> {
        if !text.contains('$') {
            return vec![text.to_string()];
        }
        let origin = lossy(&object.origin);
        let text = text.replace("${ORIGIN}", &origin).replace("$ORIGIN", &origin);
        let row = self.arch.row();
        let mut libs: Vec<String> = row.triplets.iter().map(|triplet| format!("lib/{triplet}")).collect();
        if self.is_debian != Some(true) {
            libs.extend(["lib64".to_string(), "lib".to_string()]);
        }
        let replace = |list: Vec<String>, token: &str, values: &[String]| -> Vec<String> {
            list.into_iter()
                .flat_map(|text| match text.contains(token) {
                    true => values.iter().map(|value| text.replace(token, value)).collect(),
                    false => vec![text],
                })
                .collect()
        };
        let platforms: Vec<String> = row.uname.iter().map(|name| name.to_string()).collect();
        let mut list = vec![text.replace("${LIB}", "$LIB").replace("${PLATFORM}", "$PLATFORM")];
        list = replace(list, "$LIB", &libs);
        replace(list, "$PLATFORM", &platforms)
    }

    fn open_candidate(
        &self,
        path: &[u8],
        name: &str,
        by: usize,
        skipped: &mut SkippedCandidates,
    ) -> Option<Object<'a>> {
        let may_search = |directory: FileView<'_, FileKind>| {
            let changed = self.changes.applied(self.rootfs, directory);
            changed.is_none_or(|directory| self.who.may_search(&directory) != May::No)
        };
        let id = match self.cwd.walk(self.rootfs, path, &may_search) {
            Ok(id) => id,
            Err(ResolveError::Denied(_)) if self.cwd.walk(self.rootfs, path, &|_| true).is_ok() => {
                skipped.faults.push(LibraryFault::Denied(lossy(path)));
                return None;
            }
            Err(ResolveError::Unread(mount)) => {
                let text = not_read(&lossy(path), &mount);
                skipped.undecided.get_or_insert(Cause { kind: CauseKind::NotRead, text });
                return None;
            }
            Err(_) => return None,
        };
        let view = self.rootfs.view(id);
        let changed = self.changes.applied(self.rootfs, self.rootfs.view(id));
        if changed.is_some_and(|view| self.who.may_read(&view) == May::No) {
            skipped.faults.push(LibraryFault::Denied(lossy(path)));
            return None;
        }
        match verify(view.fact, view.size, view.kind, &lossy(path), self.arch) {
            Ok(()) => {
                let Some(FileKind::Elf(elf)) = view.fact else { return None };
                let (path, name) = (path.to_vec(), name.as_bytes().to_vec());
                let origin = crate::exec::loader::parent(&path).to_vec();
                Some(Object { path, origin, name, id, elf, parent: Some(by) })
            }
            Err(fault) => {
                skipped.faults.push(fault);
                None
            }
        }
    }

    /// Whether the last fault ends the search. The loader skips the others.
    fn is_final(&self, skipped: &SkippedCandidates) -> bool {
        match skipped.faults.last() {
            None | Some(LibraryFault::Absent | LibraryFault::Denied(_)) => false,
            Some(LibraryFault::Refused(..)) => true,
            Some(LibraryFault::Foreign(..) | LibraryFault::OtherClass(..)) => self.family == LoaderFamily::Musl,
        }
    }

    /// Why the library `name` may exist although it was not found. `None` if no file has that name.
    pub fn doubt(&self, name: &str, by: usize, objects: &[Object<'a>]) -> Option<String> {
        if !name.contains('/') && self.rootfs.named(name.as_bytes()).next().is_none() {
            return None;
        }
        let mut chain = std::iter::successors(Some(by), |index| objects[*index].parent);
        let cut = chain.find(|index| objects[*index].elf.dynamic.as_ref().is_none_or(|dynamic| dynamic.is_partial));
        match cut {
            Some(index) => {
                Some(format!("the dynamic section of {} could not be read completely", lossy(&objects[index].path)))
            }
            None => self.gap.clone().or_else(|| self.in_doubt(name, by)),
        }
    }

    /// Why only some builds of glibc find the library.
    fn in_doubt(&self, name: &str, by: usize) -> Option<String> {
        let path = |directory: &String| format!("{directory}/{name}").into_bytes();
        let is_there = |directory: &&String| {
            self.open_candidate(&path(directory), name, by, &mut SkippedCandidates::default()).is_some()
        };
        let directory = self.doubtful.iter().find(is_there)?;
        Some(format!(
            "it is in {directory}, which Debian's loader does not search; the image does not show who built its loader"
        ))
    }
}
