//! Files that are foreign on purpose: data, tests, cross toolchains, siblings of a file for this platform. Each rule
//! has a name and can be disabled. A rule looks at structure (the file's type, a directory that names the file's own
//! architecture, a sibling); lists of directories are the last resort.

use std::collections::{BTreeMap, BTreeSet};

use crate::inspect::{Ar, Elf, MachO, PT_LOAD, Pe};
use crate::judge::facts::programs::{Fit, JudgedProgram};
use crate::judge::facts::siblings::Siblings;
use crate::judge::facts::tokens::{self, PathPlatform, is_kin};
use crate::platform::Arch;
use crate::platform::arch::ArchRow;

/// A file that this image's platform does not run or load.
pub struct ForeignFile<'a> {
    pub path: &'a str,
    pub platform: Option<&'a PathPlatform>,
    pub format: PurposeFormat<'a>,
}

#[derive(Clone, Copy)]
pub enum PurposeFormat<'a> {
    Elf(&'a JudgedProgram<'a>),
    Pe(&'a Pe),
    MachO(&'a MachO),
    /// A static library.
    Ar(&'a Ar),
}

/// A rule that excuses a foreign file.
pub struct PurposeRule {
    pub name: &'static str,
    /// The reason, for `--all` and for the documentation.
    pub why: &'static str,
    applies: fn(&ForeignFile<'_>, &Siblings) -> bool,
}

/// Excuses native parts for other platforms in an archive. It looks at archives and not at files, so it is not in
/// [`RULES`]; it can be disabled like them.
pub const FAT_ARCHIVE: (&str, &str) =
    ("fat-archive", "an archive that also has native parts for this platform, or whose sibling archive does");

/// The name of the rule for a file of which the same exists for this platform.
pub const SIBLING: &str = "sibling";

/// Rules in the order in which they are tried.
pub const RULES: &[PurposeRule] = &[
    PurposeRule {
        name: "object-file",
        why: "an object file or a kernel module, which no kernel executes",
        applies: |s, _| s.elf().is_some_and(|elf| elf.e_type == 1),
    },
    PurposeRule { name: "core-dump", why: "a core dump", applies: |s, _| s.elf().is_some_and(|elf| elf.e_type == 4) },
    PurposeRule {
        name: "device-code",
        why: "code for a device or a virtual machine (eBPF, CUDA, AMDGPU, a microcontroller), not for a Linux CPU",
        applies: |s, _| matches!(s.format, PurposeFormat::Elf(program) if program.fit == Fit::NoLinux),
    },
    PurposeRule {
        name: "static-library",
        why: "a static library for another architecture, which only a cross linker reads",
        applies: |s, _| matches!(s.format, PurposeFormat::Ar(_)),
    },
    PurposeRule { name: "debug-file", why: "detached debug information", applies: |s, _| is_debug(s) },
    PurposeRule { name: "test-data", why: "test data", applies: |s, _| is_test_data(s) },
    PurposeRule {
        name: "windows-launcher",
        why: "a launcher that a Python package only writes on Windows",
        applies: |s, _| matches!(s.format, PurposeFormat::Pe(_)) && is_launcher(s.path),
    },
    PurposeRule {
        name: "wine",
        why: "part of Wine, which loads it itself",
        applies: |s, _| {
            has_directory(s, &["wine", "wine64", "wine-development", "wine-stable"]) || s.path.ends_with(".dll.so")
        },
    },
    PurposeRule {
        name: SIBLING,
        why: "the same file exists for this platform",
        applies: |s, siblings| {
            let is_near = s.arch() != Some(siblings.here) && siblings.has_near(s.path);
            (names_itself(s, siblings.here) && (siblings.serve(s.path) || is_near)) || siblings.has_engine(s.path)
        },
    },
    PurposeRule {
        name: "own-build",
        why: "the package was built where it was installed and prefers that build to prebuilt ones",
        applies: |s, siblings| names_itself(s, siblings.here) && siblings.has_own_build(s.path),
    },
    PurposeRule {
        name: "optional-native",
        why: "the package declares that it works without its native part (a wheel for any platform, a fallback.js)",
        applies: |s, siblings| names_itself(s, siblings.here) && siblings.is_optional(s.path),
    },
    PurposeRule { name: "cross-toolchain", why: "part of a cross toolchain or a sysroot", applies: |s, _| is_cross(s) },
    PurposeRule {
        name: "multiarch",
        why: "in a directory for its own architecture, next to this platform's",
        applies: |s, _| is_in_own_directory(s),
    },
    PurposeRule {
        name: "firmware",
        why: "firmware, a boot loader, or an emulator's ROM",
        applies: |s, _| is_firmware(s),
    },
    PurposeRule {
        name: "no-linux-program",
        why: "a program for another operating system, according to its name or its package",
        applies: |s, siblings| is_other_system(s) || (s.elf().is_none() && siblings.is_elsewhere(s.path)),
    },
    PurposeRule {
        name: "dotnet-launcher",
        why: "the launcher of a .NET application for the build machine; dotnet starts the application without it",
        applies: |s, siblings| s.elf().is_some() && siblings.is_launcher(s.path),
    },
    PurposeRule {
        name: "tool-cache",
        why: "a tool's cache or plugin mirror, which also holds the same for this platform",
        applies: |s, siblings| is_tool_cache(s) && s.arch() != Some(siblings.here) && siblings.has_cached(s.path),
    },
];

impl ForeignFile<'_> {
    fn elf(&self) -> Option<&Elf> {
        match self.format {
            PurposeFormat::Elf(program) => Some(program.elf),
            _ => None,
        }
    }

    fn arch(&self) -> Option<Arch> {
        match self.format {
            PurposeFormat::Elf(program) => program.elf.arch(),
            PurposeFormat::Pe(pe) => pe.arch,
            PurposeFormat::MachO(_) | PurposeFormat::Ar(_) => None,
        }
    }

    fn row(&self) -> Option<&'static ArchRow> {
        self.arch().map(Arch::row)
    }
}

/// Rules that apply even to a file that configuration names: they describe the file, not another one next to it.
pub const HOLD_FOR_NAMED: &[&str] =
    &["object-file", "core-dump", "device-code", "debug-file", "cross-toolchain", "multiarch", "firmware"];

/// The first rule that excuses this file.
pub fn purpose(suspect: &ForeignFile<'_>, siblings: &Siblings, off: &BTreeSet<String>) -> Option<&'static PurposeRule> {
    RULES.iter().filter(|rule| !off.contains(rule.name)).find(|rule| (rule.applies)(suspect, siblings))
}

/// Whether a file's path states its true platform, and not this one: only such a file is a sibling. Names are loose
/// among kin: npm's `ppc64` is little-endian.
pub fn names_itself(suspect: &ForeignFile<'_>, here: Arch) -> bool {
    let Some(platform) = suspect.platform else { return false };
    match suspect.format {
        PurposeFormat::Elf(program) => {
            platform.arch.is_none_or(|named| named != here && is_kin(Some(named), program.elf.arch()))
        }
        _ => !platform.may_be_linux,
    }
}

fn has_directory(suspect: &ForeignFile<'_>, names: &[&str]) -> bool {
    directories(suspect.path).any(|directory| names.contains(&directory))
}

fn directories(path: &str) -> impl Iterator<Item = &str> {
    let end = path.rfind('/').unwrap_or(0);
    path[..end].split('/').filter(|name| !name.is_empty())
}

/// Directories of test inputs by name; `tests` itself only counts inside a package or a source tree.
fn is_test_data(suspect: &ForeignFile<'_>) -> bool {
    const DATA: &[&str] = &[
        "testdata",
        "test-data",
        "test_data",
        "fixtures",
        "__fixtures__",
        "testfiles",
        "test-files",
        "test_files",
        "testsuite",
        "testcases",
        "Inputs",
    ];
    const TESTS: &[&str] = &["test", "tests", "__tests__", "spec"];
    const PACKAGED: &[&str] = &[
        "/site-packages/",
        "/dist-packages/",
        "/node_modules/",
        "/gems/",
        "/usr/src/",
        "/pkg/mod/",
        "/cargo/registry/",
        "/share/gocode/",
        "/share/doc/",
    ];
    let packaged = PACKAGED.iter().filter_map(|place| suspect.path.find(place)).min();
    has_directory(suspect, DATA)
        || packaged.is_some_and(|at| directories(&suspect.path[at..]).any(|name| TESTS.contains(&name)))
}

fn is_debug(suspect: &ForeignFile<'_>) -> bool {
    let Some(elf) = suspect.elf() else { return suspect.path.ends_with(".debug") };
    let has_code = elf.segments.iter().any(|s| s.p_type == PT_LOAD && s.filesz > 0);
    elf.is_debug_only || suspect.path.contains("/lib/debug/") || suspect.path.ends_with(".debug") || !has_code
}

/// `/usr/lib/arm-linux-gnueabihf/...`, `/usr/lib32`, `/lib64` of another architecture: this platform's loader does not
/// search there. A directory that names *another* architecture than the file's is not an excuse.
fn is_in_own_directory(suspect: &ForeignFile<'_>) -> bool {
    let (Some(row), PurposeFormat::Elf(program)) = (suspect.row(), suspect.format) else { return false };
    let in_triplet = directories(outside(suspect.path)).any(|directory| row.triplets.contains(&directory));
    let alternate =
        ["/usr/lib32/", "/lib32/", "/usr/libx32/", "/libx32/"].iter().any(|prefix| suspect.path.starts_with(prefix));
    // The loader of a multiarch file is outside its directory: /lib/ld-linux-armhf.so.3.
    let is_loader =
        [row.glibc_loader, row.musl_loader].contains(&suspect.path.strip_prefix("/usr").unwrap_or(suspect.path));
    ((in_triplet || alternate) && program.fit != Fit::Native) || is_loader
}

/// The part of a path above the packages of a runtime that keeps its modules in directories of their own platform. Such
/// a directory names the module's platform; it does not mean a cross build: `bundle/extensions/x86_64-linux/3.3.0`,
/// `perl5/x86_64-linux-gnu/auto`, `renv/library/R-4.3/x86_64-pc-linux-gnu`.
fn outside(path: &str) -> &str {
    const PACKAGES: &[&str] = &["/extensions/", "/ruby/", "/perl5/", "/R/", "/R-"];
    let at = PACKAGES.iter().filter_map(|place| path.rfind(place)).max();
    at.map_or(path, |at| &path[..=at])
}

/// A directory named by a target triple: `/usr/aarch64-linux-gnu/lib`, `gcc-cross/<triple>`, `rustlib/<triple>`,
/// `sysroot`.
fn is_cross(suspect: &ForeignFile<'_>) -> bool {
    // `/usr/lib/<triple>` is a multiarch directory; other triples are toolchains.
    let names: Vec<&str> = directories(outside(suspect.path)).collect();
    names.iter().enumerate().any(|(index, directory)| {
        let is_multiarch = index > 0 && names[index - 1] == "lib";
        (is_triple(directory, suspect.arch()) && !is_multiarch)
            || directory.starts_with("sysroot")
            || matches!(*directory, "gcc-cross" | "toolchains")
    })
}

/// `aarch64-linux-gnu`, `riscv64-unknown-elf`, `x86_64-w64-mingw32`: an architecture followed by a system or an ABI.
/// `own`: the file's architecture, which it must not contradict.
fn is_triple(directory: &str, own: Option<Arch>) -> bool {
    const ENDS: &[&str] = &["linux", "unknown", "none", "elf", "eabi", "eabihf", "musl", "w64", "pc", "apple", "wasi"];
    let Some((arch, rest)) = directory.split_once('-') else { return false };
    let named = tokens::read(arch).and_then(|platform| platform.arch);
    let is_arch = named.is_some()
        || ["riscv", "powerpc", "thumb", "arm", "mips", "wasm"].iter().any(|word| arch.starts_with(word));
    let is_own = own.is_none() || named.is_none() || named == own;
    is_arch && is_own && rest.split('-').any(|word| ENDS.contains(&word))
}

/// Code that starts before any Linux: by its PE subsystem, or by the directories where distributions keep such files.
fn is_firmware(suspect: &ForeignFile<'_>) -> bool {
    const PLACES: &[&str] = &[
        "/share/qemu",
        "/share/seabios",
        "/share/sgabios",
        "/share/ovmf",
        "/share/OVMF",
        "/share/AAVMF",
        "/share/edk2",
        "/share/openbios",
        "/share/slof",
        "/share/palcode",
        "/lib/grub/",
        "/lib/syslinux/",
        "/lib/SYSLINUX",
        "/lib/ISOLINUX",
        "/lib/u-boot/",
        "/lib/ipxe/",
        "/lib/xen",
    ];
    let is_efi = matches!(suspect.format, PurposeFormat::Pe(pe) if (10..=13).contains(&pe.subsystem));
    let names_it =
        directories(suspect.path).any(|directory| directory.split(['-', '_']).any(|word| word == "firmware"));
    is_efi || names_it || PLACES.iter().any(|place| suspect.path.contains(place)) || suspect.path.starts_with("/boot/")
}

/// `pip/_vendor/distlib/t64.exe`, `setuptools/cli-arm64.exe`: in a Python package, installed or in its source.
fn is_launcher(path: &str) -> bool {
    let is_packaged = ["/site-packages/", "/dist-packages/", "/lib/python"].iter().any(|place| path.contains(place))
        || directories(path).any(|name| matches!(name, "distlib" | "setuptools" | "pip"));
    is_packaged && path.ends_with(".exe")
}

/// EI_OSABI of the BSDs and Solaris, Android's linker, or a file name that other systems use.
fn is_other_system(suspect: &ForeignFile<'_>) -> bool {
    const OTHER_ABIS: &[u8] = &[2, 6, 9, 12];
    const ENDS: &[&str] =
        &[".exe", ".dll", ".sys", ".efi", ".ocx", ".pyd", ".scr", ".cpl", ".mui", ".dylib", ".com", ".winmd"];
    if suspect.platform.is_some_and(|platform| !platform.may_be_linux) {
        return true;
    }
    match suspect.format {
        PurposeFormat::Elf(program) => {
            OTHER_ABIS.contains(&program.elf.osabi)
                || program.elf.loader().is_some_and(|loader| loader.starts_with(b"/system/bin/linker"))
        }
        _ => {
            let path = suspect.path.to_ascii_lowercase();
            ENDS.iter().any(|end| path.ends_with(end))
                || path.contains(".app/contents/")
                || path.contains(".framework/")
        }
    }
}

/// `.terraform/providers/.../linux_amd64/`, krew and plugin caches: the path names the file's own architecture.
fn is_tool_cache(suspect: &ForeignFile<'_>) -> bool {
    suspect.platform.is_some_and(|platform| platform.arch.is_some() && platform.arch == suspect.arch())
}

/// The name and the reason of every rule, for help and documentation.
pub fn rule_names() -> BTreeMap<&'static str, &'static str> {
    RULES.iter().map(|rule| (rule.name, rule.why)).chain([FAT_ARCHIVE]).collect()
}

#[cfg(test)]
#[path = "purpose_tests.rs"]
mod tests;
