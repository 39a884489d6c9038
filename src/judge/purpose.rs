//! What is foreign on purpose: data, tests, cross toolchains, siblings of a file for this platform. Each rule has a
//! name and can be switched off. A rule looks at structure (the file's type, a directory that names the file's own
//! architecture, a sibling); lists of products are the last resort.

use std::collections::{BTreeMap, BTreeSet};

use super::programs::{Fit, Program, Programs};
use super::tokens::Libc;
use crate::inspect::{Elf, PT_LOAD};
use crate::platform::arch::{ARCHES, ArchRow};

/// A rule by which a foreign file belongs where it is.
pub struct PurposeRule {
    pub name: &'static str,
    /// What it says of a file, for `--all` and for the documentation.
    pub why: &'static str,
    applies: fn(&Program<'_>, &Siblings) -> bool,
}

/// Rules in the order in which they are asked.
pub const RULES: &[PurposeRule] = &[
    PurposeRule {
        name: "object-file",
        why: "an object file, which no kernel executes",
        applies: |p, _| p.elf.e_type == 1,
    },
    PurposeRule { name: "core-dump", why: "a core dump", applies: |p, _| p.elf.e_type == 4 },
    PurposeRule {
        name: "device-code",
        why: "code for a device, not for a Linux CPU",
        applies: |p, _| p.fit == Fit::NoLinux,
    },
    PurposeRule { name: "debug-file", why: "detached debug information", applies: |p, _| is_debug(p) },
    PurposeRule { name: "test-data", why: "test data", applies: |p, _| has_directory(p, TEST_DIRECTORIES) },
    PurposeRule { name: "sibling", why: "the same file is there for this platform", applies: |p, s| s.serve(p) },
    PurposeRule { name: "cross-toolchain", why: "part of a cross toolchain or a sysroot", applies: |p, _| is_cross(p) },
    PurposeRule {
        name: "multiarch",
        why: "in a directory of its own architecture, beside this platform's",
        applies: |p, _| is_in_own_directory(p),
    },
    PurposeRule {
        name: "firmware",
        why: "firmware, a boot loader, or an emulator's ROM",
        applies: |p, _| is_firmware(p),
    },
    PurposeRule {
        name: "no-linux-program",
        why: "a program for another operating system",
        applies: |p, _| is_other_system(p),
    },
    PurposeRule {
        name: "tool-cache",
        why: "a tool's download cache, kept by platform",
        applies: |p, _| is_tool_cache(p),
    },
];

const TEST_DIRECTORIES: &[&str] = &["testdata", "test-data", "fixtures", "__fixtures__", "testfiles", "test_data"];

/// Which platforms each file, and each package directory, is there for.
pub struct Siblings {
    served: BTreeSet<String>,
}

impl Siblings {
    /// Keys of all files that this image's platform can use.
    pub fn of(programs: &Programs<'_>) -> Siblings {
        let mut served = BTreeSet::new();
        for program in programs.runnable().filter(|program| program.fit <= Fit::Compat) {
            let Some(platform) = &program.platform else { continue };
            if !platform.may_be_linux || is_other_system(program) || !fits_libc(program, &programs.libcs) {
                continue;
            }
            served.insert(platform.key.clone());
            served.extend(package_key(&program.path, &platform.key));
        }
        Siblings { served }
    }

    /// Whether this file, or its package, is there for the image's platform too.
    pub fn serve(&self, program: &Program<'_>) -> bool {
        let Some(platform) = &program.platform else { return false };
        self.served.contains(&platform.key)
            || package_key(&program.path, &platform.key).is_some_and(|key| self.served.contains(&key))
    }
}

/// Whether a file's C library is one of the image's; an image without a loader takes anything.
pub fn fits_libc(program: &Program<'_>, libcs: &[Libc]) -> bool {
    libcs.is_empty() || program.libc().is_none_or(|libc| libcs.contains(&libc))
}

/// The package directory of a path's key: what lies in `node_modules/@scope/name`, `prebuilds`, `runtimes`. The files of
/// one platform's package need not be named like another's.
fn package_key(path: &str, key: &str) -> Option<String> {
    let at = ["/prebuilds/", "/runtimes/"].into_iter().find_map(|mark| key.find(mark).map(|at| at + mark.len()));
    if let Some(at) = at {
        return Some(key[..at].to_string());
    }
    // `node_modules/@esbuild/linux-x64/bin/esbuild` and `@rollup/rollup-linux-x64-gnu`: the package's own name carries the platform.
    let at = key.rfind("/node_modules/")? + "/node_modules/".len();
    let (package, _) = npm_package(path)?;
    super::tokens::read(package)?;
    let depth = if key[at..].starts_with('@') || package.starts_with('@') { 2 } else { 1 };
    let end = key[at..].match_indices('/').nth(depth - 1).map_or(key.len(), |(end, _)| at + end);
    Some(format!("{}:package", &key[..end]))
}

/// The npm package of a path and where its directory ends: `@esbuild/linux-x64`.
pub fn npm_package(path: &str) -> Option<(&str, usize)> {
    let start = path.rfind("/node_modules/")? + "/node_modules/".len();
    let depth = if path[start..].starts_with('@') { 2 } else { 1 };
    let end = path[start..].match_indices('/').nth(depth - 1).map(|(end, _)| start + end)?;
    Some((&path[start..end], end))
}

/// The first rule by which this file is foreign on purpose.
pub fn purpose(program: &Program<'_>, siblings: &Siblings, off: &BTreeSet<String>) -> Option<&'static PurposeRule> {
    RULES.iter().filter(|rule| !off.contains(rule.name)).find(|rule| (rule.applies)(program, siblings))
}

fn has_directory(program: &Program<'_>, names: &[&str]) -> bool {
    directories(&program.path).any(|directory| names.contains(&directory))
}

fn directories(path: &str) -> impl Iterator<Item = &str> {
    let end = path.rfind('/').unwrap_or(0);
    path[..end].split('/').filter(|name| !name.is_empty())
}

fn is_debug(program: &Program<'_>) -> bool {
    let has_code = |elf: &Elf| elf.segments.iter().any(|s| s.p_type == PT_LOAD && s.filesz > 0);
    program.elf.is_debug_only
        || program.path.contains("/lib/debug/")
        || program.path.ends_with(".debug")
        || !has_code(program.elf)
}

/// The row of a file's own architecture.
fn own_row(program: &Program<'_>) -> Option<&'static ArchRow> {
    program.elf.arch().map(|arch| arch.row())
}

/// `/usr/lib/arm-linux-gnueabihf/...`, `/usr/lib32`, `/lib64` of another architecture: libraries that lie there never
/// get in the way of this platform's. A directory that names *another* architecture than the file's is no excuse.
fn is_in_own_directory(program: &Program<'_>) -> bool {
    let Some(row) = own_row(program) else { return false };
    let in_triplet = directories(&program.path).any(|directory| row.triplets.contains(&directory));
    let alternate =
        ["/usr/lib32/", "/lib32/", "/usr/libx32/", "/libx32/"].iter().any(|prefix| program.path.starts_with(prefix));
    // The loader of a multiarch file lies outside its directory: /lib/ld-linux-armhf.so.3.
    let is_loader =
        [row.glibc_loader, row.musl_loader].contains(&program.path.strip_prefix("/usr").unwrap_or(&program.path));
    in_triplet || (alternate && program.fit != Fit::Native) || is_loader
}

/// A directory named by a target triple: `/usr/aarch64-linux-gnu/lib`, `gcc-cross/<triple>`, `rustlib/<triple>`, `sysroot`.
fn is_cross(program: &Program<'_>) -> bool {
    let is_triple = |directory: &str| {
        let mut words = directory.split('-');
        let arch = words.next().unwrap_or_default();
        let rest = words.collect::<Vec<_>>();
        let is_arch =
            ARCHES.iter().any(|row| row.oci == arch || row.uname.contains(&arch) || row.aliases.contains(&arch))
                || arch.starts_with("riscv64")
                || arch.starts_with("powerpc")
                || arch.starts_with("thumb")
                || arch.starts_with("arm");
        is_arch && rest.len() >= 2
    };
    // `/usr/lib/<triple>` is multiarch's; `/usr/<triple>`, `gcc-cross/<triple>`, `rustlib/<triple>` are toolchains'.
    let names: Vec<&str> = directories(&program.path).collect();
    names.iter().enumerate().any(|(index, directory)| {
        let is_multiarch = index > 0 && names[index - 1] == "lib";
        (is_triple(directory) && !is_multiarch)
            || directory.starts_with("sysroot")
            || matches!(*directory, "gcc-cross" | "toolchains")
    })
}

fn is_firmware(program: &Program<'_>) -> bool {
    const PLACES: &[&str] = &[
        "/lib/firmware/",
        "/share/qemu",
        "/share/seabios",
        "/share/ovmf",
        "/share/AAVMF",
        "/lib/grub/",
        "/lib/syslinux/",
        "/lib/u-boot/",
        "/share/slof",
        "/lib/ipxe/",
    ];
    PLACES.iter().any(|place| program.path.contains(place)) || program.path.starts_with("/boot/")
}

/// EI_OSABI of the BSDs and Solaris, or a path that names another system.
fn is_other_system(program: &Program<'_>) -> bool {
    const OTHER_ABIS: &[u8] = &[2, 6, 9, 12];
    OTHER_ABIS.contains(&program.elf.osabi)
        || program.platform.as_ref().is_some_and(|platform| !platform.may_be_linux)
        || program.elf.loader().is_some_and(|loader| loader.starts_with(b"/system/bin/linker"))
}

/// `.terraform/providers/.../linux_amd64/`, krew and plugin caches: a directory that names the file's own architecture.
fn is_tool_cache(program: &Program<'_>) -> bool {
    let is_cache = directories(&program.path)
        .any(|directory| matches!(directory, ".terraform" | ".terraform.d" | ".krew" | ".cache"));
    is_cache && program.platform.as_ref().is_some_and(|platform| platform.arch == program.elf.arch())
}

/// The names of all rules with what they say, for help and documentation.
pub fn rule_names() -> BTreeMap<&'static str, &'static str> {
    RULES.iter().map(|rule| (rule.name, rule.why)).collect()
}
