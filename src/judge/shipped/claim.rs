//! Reads platforms from file names: `tool-linux-arm64.tar.xz`, `tool_1.2_amd64.deb`,
//! `numpy-2.3-cp312-cp312-manylinux_2_28_x86_64.whl`. An ambiguous name yields nothing.

use crate::judge::facts::tokens;
use crate::platform::{Arch, Platform};

/// An operating system as file names write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum System {
    Linux,
    Darwin,
    Windows,
    FreeBsd,
    /// Android, the other BSDs, Solaris: their programs are distinguished only by architecture.
    Other,
}

/// A platform, as far as the name states it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameClaim {
    /// `None`: any.
    pub system: Option<System>,
    /// The architectures that the word may mean, the usual one first. Empty: the name states none.
    pub archs: Vec<Arch>,
    /// The variant that the word names: `armv6`.
    pub variant: Option<&'static str>,
}

/// The platforms that a name states.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stated {
    Nothing,
    /// For any platform: `any`, `all`, `noarch`.
    Any,
    /// One platform, or several. Never empty.
    Platforms(Vec<NameClaim>),
}

impl System {
    /// The OCI name. `None`: several systems are possible.
    pub fn os(self) -> Option<&'static str> {
        match self {
            System::Linux => Some("linux"),
            System::Darwin => Some("darwin"),
            System::Windows => Some("windows"),
            System::FreeBsd => Some("freebsd"),
            System::Other => None,
        }
    }

    pub fn of_os(os: &str) -> System {
        match os {
            "linux" => System::Linux,
            "darwin" => System::Darwin,
            "windows" => System::Windows,
            "freebsd" => System::FreeBsd,
            _ => System::Other,
        }
    }
}

impl NameClaim {
    pub fn of_platform(platform: &Platform) -> NameClaim {
        let archs = platform.arch().into_iter().collect();
        NameClaim { system: Some(System::of_os(&platform.os)), archs, variant: None }
    }

    /// The OCI platform, Linux if no system is stated. `None`: no architecture is stated, or OCI has no name for the
    /// system.
    pub fn platform(&self) -> Option<Platform> {
        let os = self.system.map_or(Some("linux"), System::os)?;
        Some(Platform::new(os, self.archs.first()?.oci(), self.variant))
    }
}

/// The kind of one word of a name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ClaimWord {
    System(System),
    Arch {
        archs: &'static [Arch],
        variant: Option<&'static str>,
    },
    /// Part of a platform's name that is ignored here: a vendor, a C library, an ABI.
    Filler,
    Universal,
    /// Any other word.
    Plain,
}

/// Words after a platform which mean that the tool works for that platform instead of running on it.
const TOOLS: &[&str] = &[
    "gcc",
    "g",
    "c",
    "cc",
    "cpp",
    "clang",
    "gfortran",
    "ld",
    "as",
    "ar",
    "nm",
    "ranlib",
    "strip",
    "objcopy",
    "objdump",
    "readelf",
    "gdb",
    "size",
    "strings",
    "addr2line",
    "elfedit",
    "gprof",
    "gcov",
    "pkg",
    "dbg",
    "cross",
    "tuple",
];
/// Words of toolchains, emulators and kits: their names do not show which of several platforms is their own.
const KITS: &[&str] =
    &["toolchain", "toolchains", "gcc", "binutils", "crosstool", "cross", "sysroot", "qemu", "libc6", "buildroot"];

/// Reads the name of a file, without its directories.
pub fn of_name(name: &str) -> Stated {
    let lower = name.to_ascii_lowercase();
    if let Some(stem) = lower.strip_suffix(".whl") {
        return wheel(stem);
    }
    // `NAME_VERSION_ARCH.deb`, `NAME-VERSION-RELEASE.ARCH.rpm`: the rest is the package's own name.
    for (end, separator) in [(".deb", '_'), (".rpm", '.')] {
        if let Some(stated) =
            lower.strip_suffix(end).and_then(|stem| stem.rsplit_once(separator)).map(|(_, arch)| of_package(arch))
            && stated != Stated::Nothing
        {
            return stated;
        }
    }
    words(&lower, First::Product)
}

/// A directory whose name consists only of a platform: `linux-arm64`, `aarch64-unknown-linux-musl`.
pub fn of_directory(name: &str) -> Stated {
    let lower = name.to_ascii_lowercase();
    let split = split(&lower);
    let is_platform = |word: &&str| !matches!(read(word), ClaimWord::Plain | ClaimWord::Universal);
    if split.is_empty() || !split.iter().all(is_platform) { Stated::Nothing } else { words(&lower, First::Platform) }
}

/// The platform of a package, from its package manager's name for the architecture.
pub fn of_package(arch: &str) -> Stated {
    match arch {
        "all" | "any" | "noarch" | "src" | "nosrc" => Stated::Any,
        _ => {
            let platform = Platform::new("linux", arch, None);
            match platform.arch() {
                Some(own) => Stated::Platforms(vec![NameClaim {
                    system: Some(System::Linux),
                    archs: vec![own],
                    variant: variant(arch),
                }]),
                None => Stated::Nothing,
            }
        }
    }
}

/// Source: PEP 425, 600, 656.
fn wheel(stem: &str) -> Stated {
    let Some((_, tags)) = stem.rsplit_once('-') else { return Stated::Nothing };
    let mut claims: Vec<NameClaim> = Vec::new();
    for tag in tags.split('.') {
        if tag == "any" {
            return Stated::Any;
        }
        if tag.ends_with("_universal2") || tag.ends_with("_intel") || tag.ends_with("_universal") {
            claims.extend(universal());
            continue;
        }
        let Stated::Platforms(stated) = words(tag, First::Platform) else { return Stated::Nothing };
        claims.extend(stated);
    }
    claims.dedup();
    let mut once: Vec<NameClaim> = Vec::new();
    for claim in claims {
        if !once.contains(&claim) {
            once.push(claim);
        }
    }
    if once.is_empty() { Stated::Nothing } else { Stated::Platforms(once) }
}

/// The tags of a wheel's own WHEEL file: `cp312-cp312-manylinux_2_28_x86_64`.
pub fn of_wheel_tags(tags: &[String]) -> Stated {
    let platforms: Vec<&str> = tags.iter().filter_map(|tag| tag.rsplit('-').next()).collect();
    if platforms.is_empty() {
        Stated::Nothing
    } else {
        wheel(&format!("-{}", platforms.join(".").to_ascii_lowercase()))
    }
}

fn universal() -> [NameClaim; 2] {
    [Arch::Amd64, Arch::Arm64].map(|arch| NameClaim { system: Some(System::Darwin), archs: vec![arch], variant: None })
}

/// A run of words that name a platform.
#[derive(Default)]
struct WordRun {
    start: usize,
    end: usize,
    systems: Vec<System>,
    archs: Vec<(&'static [Arch], Option<&'static str>)>,
    is_universal: bool,
}

/// How the first word of a name is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum First {
    /// A product whose name starts like a system's: `mac-changer`, `windows_exporter`.
    Product,
    Platform,
}

fn words(text: &str, first: First) -> Stated {
    let split = split(text);
    if split.iter().any(|word| KITS.contains(word)) {
        return Stated::Nothing;
    }
    let mut runs: Vec<WordRun> = Vec::new();
    let mut before = ClaimWord::Plain;
    for (at, word) in split.iter().enumerate() {
        let mut kind = read(word);
        // `386` is a number unless a system's name precedes it.
        if *word == "386" && !matches!(before, ClaimWord::System(_)) {
            kind = ClaimWord::Plain;
        }
        if *word == "all" && before == ClaimWord::System(System::Darwin) {
            kind = ClaimWord::Universal;
        }
        if kind == ClaimWord::Plain {
            before = kind;
            continue;
        }
        if runs.last().is_none_or(|run| run.end != at) {
            runs.push(WordRun { start: at, end: at, ..WordRun::default() });
        }
        let run = runs.last_mut().expect("one was pushed");
        run.end = at + 1;
        match kind {
            ClaimWord::System(system) if !run.systems.contains(&system) => run.systems.push(system),
            ClaimWord::Arch { archs, variant } if !run.archs.contains(&(archs, variant)) => {
                run.archs.push((archs, variant))
            }
            ClaimWord::Universal => run.is_universal = true,
            _ => {}
        }
        before = kind;
    }
    // `aarch64-linux-gnu-objdump` runs on another platform.
    runs.retain(|run| run.start > 0 || split.get(run.end).is_none_or(|next| !TOOLS.contains(next)));
    claims(&runs, first)
}

fn claims(runs: &[WordRun], first: First) -> Stated {
    let with_archs = || runs.iter().filter(|run| !run.archs.is_empty() || run.is_universal);
    let whole: Vec<&WordRun> = with_archs().filter(|run| !run.systems.is_empty()).collect();
    // `android-tools-linux-amd64`: adjacent words form the platform.
    let chosen: Vec<&WordRun> = if whole.is_empty() { with_archs().collect() } else { whole };
    let named = runs.iter().filter(|run| run.start > 0 || first == First::Platform);
    let everywhere: Vec<System> = named.flat_map(|run| run.systems.iter().copied()).collect();
    let mut claims = Vec::new();
    for run in &chosen {
        let systems = systems(if run.systems.is_empty() { &everywhere } else { &run.systems });
        let systems: Vec<Option<System>> =
            if systems.is_empty() { vec![None] } else { systems.into_iter().map(Some).collect() };
        for system in systems {
            if run.is_universal && system == Some(System::Darwin) {
                claims.extend(universal());
            }
            for (archs, variant) in &run.archs {
                // With Linux, `arm` is 32 bits wide; with other systems it is also used for AArch64.
                let is_loose = archs.contains(&Arch::Arm) && archs.len() > 1;
                let archs = if is_loose && system == Some(System::Linux) { &archs[..1] } else { archs };
                claims.push(NameClaim { system, archs: archs.to_vec(), variant: *variant });
            }
        }
    }
    if chosen.is_empty() {
        claims.extend(systems(&everywhere).into_iter().map(|system| NameClaim {
            system: Some(system),
            archs: Vec::new(),
            variant: None,
        }));
    }
    if claims.is_empty() { Stated::Nothing } else { Stated::Platforms(claims) }
}

/// Android's names also contain Linux.
fn systems(all: &[System]) -> Vec<System> {
    let mut systems = all.to_vec();
    systems.sort_unstable();
    systems.dedup();
    if systems.contains(&System::Other) {
        systems.retain(|system| *system != System::Linux);
    }
    systems
}

/// The words of a name; an architecture's name that contains a separator is one word.
fn split(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let start = rest.find(|c: char| c.is_ascii_alphanumeric()).unwrap_or(rest.len());
        rest = &rest[start..];
        let joined = ["x86_64", "x86-64", "aarch_64", "amd64_be"].into_iter().find(|joined| {
            rest.strip_prefix(joined).is_some_and(|after| !after.starts_with(|c: char| c.is_ascii_alphanumeric()))
        });
        let end = match joined {
            Some(joined) => joined.len(),
            None => rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len()),
        };
        if end > 0 {
            words.push(&rest[..end]);
        }
        rest = &rest[end..];
    }
    words
}

fn read(word: &str) -> ClaimWord {
    let arch = |archs: &'static [Arch]| ClaimWord::Arch { archs, variant: None };
    match word {
        "linux" | "linuxmusl" | "linuxglibc" | "alpine" | "manylinux" | "manylinux1" | "manylinux2010"
        | "manylinux2014" | "musllinux" | "gnulinux" => ClaimWord::System(System::Linux),
        "darwin" | "macos" | "macosx" | "osx" | "apple" | "mac" => ClaimWord::System(System::Darwin),
        "windows" | "win" | "win32" | "mingw" | "mingw32" | "mingw64" | "msvc" => ClaimWord::System(System::Windows),
        "freebsd" => ClaimWord::System(System::FreeBsd),
        "android" | "androideabi" | "netbsd" | "openbsd" | "dragonfly" | "solaris" | "illumos" | "sunos" | "aix"
        | "ios" | "wasi" | "fuchsia" => ClaimWord::System(System::Other),
        "universal" | "universal2" => ClaimWord::Universal,
        "unknown" | "pc" | "gnu" | "glibc" | "musl" | "gnueabihf" | "gnueabi" | "musleabihf" | "musleabi" | "eabi"
        | "eabihf" | "gnuabi64" | "gnux32" | "static" | "hf" | "v1" | "v7" | "v8" => ClaimWord::Filler,
        "win64" => ClaimWord::System(System::Windows),
        "linux64" | "64bit" => arch(&[Arch::Amd64]),
        "linux32" | "32bit" => arch(&[Arch::I386]),
        // Many projects use this name for the 64-bit build.
        "x86" => arch(&[Arch::I386, Arch::Amd64]),
        "arm" => arch(&[Arch::Arm, Arch::Arm64]),
        "riscv" => arch(&[Arch::Riscv64, Arch::Riscv32]),
        "arm32" | "armeabi" => arch(&[Arch::Arm]),
        "aarch_64" => arch(&[Arch::Arm64]),
        // These words usually mean something else.
        "sh" | "alpha" | "parisc" | "sparc" => ClaimWord::Plain,
        _ => match Arch::parse(word).or_else(|| arm(word)) {
            Some(found) => ClaimWord::Arch { archs: one(found), variant: variant(word) },
            None => ClaimWord::Plain,
        },
    }
}

/// `armv6hf`, `armv7l`: spellings that the table of architectures does not have.
fn arm(word: &str) -> Option<Arch> {
    ["armv5", "armv6", "armv7", "arm6", "arm7"].iter().any(|start| word.starts_with(start)).then_some(Arch::Arm)
}

fn variant(word: &str) -> Option<&'static str> {
    ["v5", "v6", "v7"]
        .into_iter()
        .find(|version| word.starts_with("arm") && word.contains(&version[1..]) && !word.contains("64"))
}

fn one(arch: Arch) -> &'static [Arch] {
    let row = arch.row();
    std::slice::from_ref(&row.arch)
}

/// Whether a member's path names an architecture, and whether that can be this one. `None`: it names none. One matching
/// component is enough: a toolchain's directories name its host and its target. The format of a program identifies
/// macOS and Windows, so their system's name is enough.
pub fn path_allows(path: &str, system: Option<System>, arch: Option<Arch>) -> Option<bool> {
    let (mut named, mut is_of_system) = (None, false);
    for component in path.split('/').filter(|component| !component.is_empty()) {
        let Stated::Platforms(claims) = words(&component.to_ascii_lowercase(), First::Platform) else { continue };
        for claim in &claims {
            if claim.archs.is_empty() {
                is_of_system |= claim.system == system && matches!(system, Some(System::Darwin | System::Windows));
                continue;
            }
            let fits_arch = arch.is_some_and(|arch| {
                claim.archs.contains(&arch) || claim.archs.iter().any(|own| tokens::is_kin(Some(*own), Some(arch)))
            });
            let fits_system =
                claim.system.is_none_or(|own| system.is_none_or(|system| system == own || own == System::Other));
            if fits_arch && fits_system {
                return Some(true);
            }
            named = Some(false);
        }
    }
    if is_of_system { Some(named.is_none()) } else { named }
}

#[cfg(test)]
#[path = "claim_tests.rs"]
mod tests;
