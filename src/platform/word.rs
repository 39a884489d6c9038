//! Finds architecture words inside file names, paths and URLs, and translates them to another architecture. One table
//! for all spellings. Ordinary words must not match: an ambiguous word only counts next to an operating system's name.

use std::ops::Range;

use super::arch::{ARCHES, Arch};

/// An architecture's name inside a word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchToken {
    /// Byte range in the word.
    pub range: Range<usize>,
    pub arch: Arch,
    pub spelling: Spelling,
}

/// How a project spells architectures; decides the names of the other ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spelling {
    /// `amd64`, `arm64`, `arm`: TARGETARCH unchanged.
    Oci,
    /// `amd64`, `armhf`, `ppc64el`: Debian's packages.
    Debian,
    /// `x86_64`, `aarch64`, `armv7l`: `uname -m`, RPM, Python wheels, Conda.
    Uname,
    /// `x86_64-unknown-linux-musl`, `powerpc64le-linux-gnu`: Rust's and GNU's triples.
    Triple,
    /// `x86_64`, `arm64`: goreleaser's archives with a capital `Linux_`.
    Mixed,
    /// `x64`, `arm64`: Node.js and .NET.
    Node,
    /// `x86_64`, `aarch_64`: Maven's os-maven-plugin.
    Maven,
    /// `linux-64`, `linux-aarch64`: Conda's subdirectories.
    Conda,
    /// `linux64` and the like, which have no counterpart for other architectures.
    Bits,
}

/// The words of one spelling for the architectures that images are built for.
struct WordFamily {
    spelling: Spelling,
    words: &'static [(Arch, &'static str)],
}

/// Source: Go's syslist; dpkg's cputable; `uname -m` of each kernel; rustc's platform support; goreleaser's default
/// name template; nodejs.org/dist; os-maven-plugin's normalizeArch; conda's `KNOWN_SUBDIRS`.
#[rustfmt::skip]
const FAMILIES: &[WordFamily] = &[
    WordFamily { spelling: Spelling::Oci, words: &[
        (Arch::Amd64, "amd64"), (Arch::Arm64, "arm64"), (Arch::Arm, "arm"), (Arch::I386, "386"),
        (Arch::Ppc64le, "ppc64le"), (Arch::S390x, "s390x"), (Arch::Riscv64, "riscv64"), (Arch::Loong64, "loong64"),
        (Arch::Mips64le, "mips64le")] },
    WordFamily { spelling: Spelling::Debian, words: &[
        (Arch::Amd64, "amd64"), (Arch::Arm64, "arm64"), (Arch::Arm, "armhf"), (Arch::I386, "i386"),
        (Arch::Ppc64le, "ppc64el"), (Arch::S390x, "s390x"), (Arch::Riscv64, "riscv64")] },
    WordFamily { spelling: Spelling::Uname, words: &[
        (Arch::Amd64, "x86_64"), (Arch::Arm64, "aarch64"), (Arch::Arm, "armv7l"), (Arch::I386, "i686"),
        (Arch::Ppc64le, "ppc64le"), (Arch::S390x, "s390x"), (Arch::Riscv64, "riscv64")] },
    WordFamily { spelling: Spelling::Triple, words: &[
        (Arch::Amd64, "x86_64"), (Arch::Arm64, "aarch64"), (Arch::Ppc64le, "powerpc64le"), (Arch::S390x, "s390x")] },
    WordFamily { spelling: Spelling::Mixed, words: &[(Arch::Amd64, "x86_64"), (Arch::Arm64, "arm64")] },
    WordFamily { spelling: Spelling::Node, words: &[
        (Arch::Amd64, "x64"), (Arch::Arm64, "arm64"), (Arch::Ppc64le, "ppc64le"), (Arch::S390x, "s390x")] },
    WordFamily { spelling: Spelling::Maven, words: &[
        (Arch::Amd64, "x86_64"), (Arch::Arm64, "aarch_64"), (Arch::Ppc64le, "ppcle_64"), (Arch::S390x, "s390_64")] },
    WordFamily { spelling: Spelling::Conda, words: &[
        (Arch::Amd64, "linux-64"), (Arch::Arm64, "linux-aarch64"), (Arch::Ppc64le, "linux-ppc64le"),
        (Arch::S390x, "linux-s390x")] },
];

/// Words that are not in a row of [`ARCHES`].
const OTHER_WORDS: &[(&str, Arch)] = &[
    ("amd64v1", Arch::Amd64),
    ("amd64v2", Arch::Amd64),
    ("amd64v3", Arch::Amd64),
    ("amd64v4", Arch::Amd64),
    ("x86_64_v2", Arch::Amd64),
    ("x86_64_v3", Arch::Amd64),
    ("x86_64_v4", Arch::Amd64),
    ("x86_64-v2", Arch::Amd64),
    ("x86_64-v3", Arch::Amd64),
    ("x86_64-v4", Arch::Amd64),
    ("x86-64-v2", Arch::Amd64),
    ("x86-64-v3", Arch::Amd64),
    ("x86-64-v4", Arch::Amd64),
    ("x86_64bit", Arch::Amd64),
    ("intel64", Arch::Amd64),
    ("em64t", Arch::Amd64),
    ("linux-64", Arch::Amd64),
    ("linux_64", Arch::Amd64),
    ("64bits", Arch::Amd64),
    ("linux64", Arch::Amd64),
    ("64bit", Arch::Amd64),
    ("64-bit", Arch::Amd64),
    ("linux32", Arch::I386),
    ("32bit", Arch::I386),
    ("32-bit", Arch::I386),
    ("aarch_64", Arch::Arm64),
    ("arm_64", Arch::Arm64),
    ("arm-64", Arch::Arm64),
    ("arm64-v8", Arch::Arm64),
    ("sbsa", Arch::Arm64),
    ("ppcle_64", Arch::Ppc64le),
    ("s390_64", Arch::S390x),
    ("armv7hf", Arch::Arm),
    ("armv5te", Arch::Arm),
    ("armv7a", Arch::Arm),
    ("arm32", Arch::Arm),
    ("arm-32", Arch::Arm),
    ("arm-v7", Arch::Arm),
    ("arm-v6", Arch::Arm),
    ("arm_v7", Arch::Arm),
    ("arm_v6", Arch::Arm),
    ("armhfp", Arch::Arm),
    ("aarch32", Arch::Arm),
    ("aarch32hf", Arch::Arm),
    ("arm7", Arch::Arm),
    ("arm6", Arch::Arm),
];

/// Architectures that images are built for, and architectures whose names start with one of theirs.
const BUILT: &[Arch] = &[
    Arch::Amd64,
    Arch::Arm64,
    Arch::Arm64be,
    Arch::Arm,
    Arch::Armbe,
    Arch::I386,
    Arch::Ppc64le,
    Arch::S390x,
    Arch::Riscv64,
    Arch::Mips64le,
    Arch::Loong64,
];

/// Names that are also ordinary words or numbers: they only count directly after an operating system's name.
const AMBIGUOUS: &[&str] = &[
    "arm", "386", "mips64", "x86", "mips", "rv64", "64bit", "64-bit", "64bits", "32bit", "32-bit", "arm7", "arm6",
    "arm32", "arm-64", "arm-32",
];

/// Operating systems and ABIs that come before an architecture in file names.
const SYSTEMS: &[&str] = &["linux", "musl", "gnu", "unknown-linux", "alpine", "glibc"];

/// Systems whose files no Linux image runs; a name that contains one is not about Linux.
const OTHER_SYSTEMS: &[&str] =
    &["windows", "darwin", "macos", "freebsd", "osx", "win32", "win64", "win-", "msvc", ".exe", "android", "ios"];

/// The architecture names in `word`, left to right, the longest match at each position.
pub fn find(word: &str) -> Vec<ArchToken> {
    let lower = word.to_ascii_lowercase();
    if lower.contains("qemu-") {
        return Vec::new();
    }
    let mut tokens: Vec<ArchToken> = Vec::new();
    for start in (0..lower.len()).filter(|at| lower.is_char_boundary(*at)) {
        if tokens.last().is_some_and(|last| start < last.range.end) {
            continue;
        }
        if let Some((name, arch)) = longest_at(&lower, start) {
            let range = start..start + name.len();
            let spelling = spelling_of(word, &range, name, arch);
            tokens.push(ArchToken { range, arch, spelling });
        }
    }
    // A path may go through directories for Linux to a name for another system, but not the reverse.
    if !tokens.is_empty() && OTHER_SYSTEMS.iter().any(|system| holds_word(&lower, system)) {
        return Vec::new();
    }
    tokens
}

/// The architecture that a constant value names, alone or in a longer word. `None` for a value that is expanded.
pub fn arch_of_constant(value: &str) -> Option<Arch> {
    if value.contains('$') || value.contains('`') {
        return None;
    }
    Arch::parse(value).or_else(|| find(value).first().map(|token| token.arch))
}

/// Whether `lower` contains a system's name as a separate word: "ios" is not in "helios".
fn holds_word(lower: &str, system: &str) -> bool {
    let is_letter = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphabetic());
    lower.match_indices(system).any(|(at, _)| !is_letter(lower[..at].chars().next_back()) || system.starts_with('.'))
}

fn longest_at(lower: &str, start: usize) -> Option<(&'static str, Arch)> {
    let before = &lower[..start];
    let after_system = SYSTEMS.iter().any(|system| before.trim_end_matches(['-', '_', '/', '.']).ends_with(system));
    let is_bounded =
        before.chars().next_back().is_none_or(|c| !c.is_alphanumeric()) || SYSTEMS.iter().any(|s| before.ends_with(s));
    if !is_bounded {
        return None;
    }
    // `linux-64-bit` is not Conda's name.
    let is_bits = |name: &str| {
        let rest = &lower[start + name.len()..];
        name.ends_with("64") && (rest.starts_with("-bit") || rest.starts_with("_bit"))
    };
    names()
        .filter(|(name, _)| lower[start..].starts_with(name))
        .filter(|(name, _)| !is_bits(name))
        .filter(|(name, _)| lower[start + name.len()..].chars().next().is_none_or(|c| !c.is_alphanumeric()))
        .filter(|(name, _)| after_system || !AMBIGUOUS.contains(name))
        .max_by_key(|(name, _)| name.len())
}

fn names() -> impl Iterator<Item = (&'static str, Arch)> {
    let rows = ARCHES.iter().filter(|row| BUILT.contains(&row.arch));
    let spelled = rows.flat_map(|row| {
        let every =
            [row.oci, row.debian].into_iter().chain(row.uname.iter().copied()).chain(row.aliases.iter().copied());
        every.map(move |name| (name, row.arch))
    });
    spelled.chain(OTHER_WORDS.iter().copied())
}

/// Determines the spelling from the word and the text around it.
fn spelling_of(word: &str, range: &Range<usize>, name: &str, arch: Arch) -> Spelling {
    let (before, after) = (&word[..range.start], word[range.end..].to_ascii_lowercase());
    let is_triple =
        ["-unknown-linux", "-linux-gnu", "-linux-musl", "-alpine-linux"].iter().any(|abi| after.starts_with(abi));
    let is_debian =
        after.split(['/', '?', ' ']).next().is_some_and(|rest| rest.ends_with(".deb")) || before.ends_with("binary-");
    match name {
        "linux64" | "linux32" | "linux_64" | "64bit" | "64-bit" | "64bits" | "32bit" | "32-bit" => Spelling::Bits,
        "intel64" | "em64t" | "sbsa" | "x86_64bit" => Spelling::Bits,
        "linux-64" => Spelling::Conda,
        "x64" | "ia32" => Spelling::Node,
        "aarch_64" | "arm_64" | "ppcle_64" | "s390_64" => Spelling::Maven,
        _ if is_triple => Spelling::Triple,
        "x86_64" | "x86-64" if before.ends_with("Linux_") || before.ends_with("Linux-") => Spelling::Mixed,
        "x86_64" | "x86-64" | "aarch64" => Spelling::Uname,
        "armhf" | "armel" | "i386" | "ppc64el" => Spelling::Debian,
        _ if is_debian => Spelling::Debian,
        _ if name == arch.oci() || name.starts_with("arm64") => Spelling::Oci,
        _ => Spelling::Uname,
    }
}

/// The name of `arch` in this spelling; `None` if there is no common name.
pub fn name_in(spelling: Spelling, arch: Arch) -> Option<&'static str> {
    let family = FAMILIES.iter().find(|family| family.spelling == spelling)?;
    family.words.iter().find(|(known, _)| *known == arch).map(|(_, word)| *word)
}

/// Whether replacing a word by its counterpart in the family yields `spelled` again for `arch`.
pub fn reads_back(spelling: Spelling, arch: Arch, spelled: &str) -> bool {
    name_in(spelling, arch) == Some(spelled)
}

/// `case "$TARGETARCH" in amd64) a=x86_64;; arm64) a=aarch64;; s390x) a=$TARGETARCH;; *) exit 1;; esac`: sets `into` to
/// the family's word for each architecture that has one. `None` if the family has no words.
pub fn case_statement(spelling: Spelling, variable: &str, into: &str) -> Option<String> {
    let family = FAMILIES.iter().find(|family| family.spelling == spelling)?;
    let (same, other): (Vec<_>, Vec<_>) = family.words.iter().partition(|(arch, word)| *word == arch.oci());
    let mut arms: Vec<String> = other.iter().map(|(arch, word)| format!("{}) {into}={word};;", arch.oci())).collect();
    if !same.is_empty() {
        let names: Vec<&str> = same.iter().map(|(_, word)| *word).collect();
        arms.push(format!("{}) {into}=${variable};;", names.join("|")));
    }
    Some(format!("case \"${variable}\" in {} *) exit 1;; esac", arms.join(" ")))
}

/// Whether a word is a file name, a path or a URL: an argument of a download or a copy.
pub fn is_file_like(word: &str) -> bool {
    let lower = word.to_ascii_lowercase();
    let has_system = lower.contains("linux") || lower.contains("musl");
    let has_extension = lower.rsplit_once('.').is_some_and(|(stem, extension)| {
        !stem.is_empty() && (1..=6).contains(&extension.len()) && extension.bytes().all(|b| b.is_ascii_alphanumeric())
    });
    word.contains('/') || has_extension || has_system
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(word: &str, expected: &[(&str, Arch)]) {
        let found: Vec<(&str, Arch)> =
            find(word).into_iter().map(|token| (&word[token.range.clone()], token.arch)).collect();
        assert_eq!(found, expected, "{word}");
    }

    #[test]
    fn names_are_found_between_boundaries() {
        check("https://x.io/tool-x86_64", &[("x86_64", Arch::Amd64)]);
        check("tool_linux-amd64.tar.gz", &[("amd64", Arch::Amd64)]);
        check("tool-aarch64.deb", &[("aarch64", Arch::Arm64)]);
        check("node-v22-linux-x64.tar.xz", &[("x64", Arch::Amd64)]);
        check("tool-linux-armv7.tgz", &[("armv7", Arch::Arm)]);
        check("linux_arm/x", &[("arm", Arch::Arm)]);
        check("linux-386", &[("386", Arch::I386)]);
        check("chromedriver_linux64.zip", &[("linux64", Arch::Amd64)]);
        check("linuxamd64/x", &[("amd64", Arch::Amd64)]);
        check("/x86_64/tool_amd64.apk", &[("x86_64", Arch::Amd64), ("amd64", Arch::Amd64)]);
        check("binary-for-linux-64-bit.gz", &[("64-bit", Arch::Amd64)]);
        check("hugo_0.80_Linux-64bit.tar.gz", &[("64bit", Arch::Amd64)]);
        check("tool_linux_amd64v2.tgz", &[("amd64v2", Arch::Amd64)]);
        check("aarch64_be-linux-gnu/x", &[("aarch64_be", Arch::Arm64be)]);
        check("netty-tcnative-linux-aarch_64.jar", &[("aarch_64", Arch::Arm64)]);
        check("helios-linux-amd64", &[("amd64", Arch::Amd64)]);
        check("https://x.io/api/micromamba/linux-64/latest", &[("linux-64", Arch::Amd64)]);
        check("tool-x86_64_v3.tgz", &[("x86_64_v3", Arch::Amd64)]);
        check("tool-linux-arm-v7.tgz", &[("arm-v7", Arch::Arm)]);
        check("repos/ubuntu2204/sbsa/keyring.deb", &[("sbsa", Arch::Arm64)]);
    }

    #[test]
    fn ordinary_words_and_other_systems_are_left_alone() {
        for word in [
            "install.sh",
            "v1.0-alpha.1",
            "charm/arm.txt",
            "x64dbg.zip",
            "hex86_64x",
            "tool-darwin-amd64",
            "1.386.0",
            "ü",
            "a-64-bit-tale.txt",
        ] {
            check(word, &[]);
        }
        check("qemu-aarch64-static", &[]);
    }

    #[test]
    fn a_family_is_read_from_the_word_and_its_neighbours() {
        for (word, expected) in [
            ("tool-linux-amd64.tar.gz", Spelling::Oci),
            ("tool_1.0_amd64.deb", Spelling::Debian),
            ("tool_1.0_armhf.tar.gz", Spelling::Debian),
            ("tool-1.0.x86_64.rpm", Spelling::Uname),
            ("tool-x86_64-unknown-linux-musl.tar.gz", Spelling::Triple),
            ("/usr/lib/x86_64-linux-gnu/libz.so", Spelling::Triple),
            ("tool_Linux_x86_64.tar.gz", Spelling::Mixed),
            ("tool-linux-x64.tar.gz", Spelling::Node),
            ("a-linux-aarch_64.jar", Spelling::Maven),
            ("driver_linux64.zip", Spelling::Bits),
            ("micromamba-linux-64", Spelling::Conda),
        ] {
            assert_eq!(find(word)[0].spelling, expected, "{word}");
        }
    }

    #[test]
    fn a_mapping_names_every_word_of_the_family_or_nothing() {
        assert_eq!(
            case_statement(Spelling::Mixed, "TARGETARCH", "a").as_deref(),
            Some("case \"$TARGETARCH\" in amd64) a=x86_64;; arm64) a=$TARGETARCH;; *) exit 1;; esac")
        );
        assert_eq!(case_statement(Spelling::Bits, "TARGETARCH", "a"), None);
        for family in FAMILIES {
            let statement = case_statement(family.spelling, "V", "a").unwrap();
            for (arch, word) in family.words {
                assert!(reads_back(family.spelling, *arch, word));
                let arm = format!("{}) a={word};;", arch.oci());
                assert!(statement.contains(&arm) || *word == arch.oci() && statement.contains(word), "{statement}");
            }
        }
    }
}
