//! Architecture names inside file names and URLs, and the same name for another architecture.
//! It must never find one in ordinary words: what is ambiguous counts only beside an operating system's name.

use std::ops::Range;

use crate::platform::Arch;
use crate::platform::arch::ARCHES;

/// An architecture's name within a word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Bytes of the word.
    pub range: Range<usize>,
    pub arch: Arch,
    pub spelling: Spelling,
}

/// How a project names architectures; decides what the other ones are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spelling {
    /// `amd64`, `arm64`: TARGETARCH as it is.
    Oci,
    /// `x86_64`, `aarch64`.
    Uname,
    /// `x86_64`, `arm64`: as goreleaser's archives with a capital `Linux_` do.
    Mixed,
    /// `x64`, `arm64`: as Node.js does.
    Node,
    /// `linux64` and the like, which other architectures have no counterpart of.
    Bits,
}

/// Architectures that images are built for, those with the longest names among the most used first.
const BUILT: &[Arch] = &[
    Arch::Amd64,
    Arch::Arm64,
    Arch::Arm,
    Arch::I386,
    Arch::Ppc64le,
    Arch::S390x,
    Arch::Riscv64,
    Arch::Mips64le,
    Arch::Loong64,
];

/// Names that are also ordinary words or numbers: they count only right after an operating system's name.
const AMBIGUOUS: &[&str] = &["arm", "386", "mips64", "x86", "mips", "rv64"];

/// Operating systems and ABIs that stand before an architecture in file names.
const SYSTEMS: &[&str] = &["linux", "musl", "gnu", "unknown-linux", "alpine", "glibc"];

/// Systems whose files no Linux image runs; a name with one of them is not about Linux.
const OTHER_SYSTEMS: &[&str] =
    &["windows", "darwin", "macos", "freebsd", "osx", "win32", "win64", "win-", "msvc", ".exe", "android", "ios"];

/// The architecture names in `word`, left to right, the longest at each place.
pub fn find(word: &str) -> Vec<Token> {
    let lower = word.to_ascii_lowercase();
    if OTHER_SYSTEMS.iter().any(|system| lower.contains(system)) || lower.contains("qemu-") {
        return Vec::new();
    }
    let mut tokens: Vec<Token> = Vec::new();
    for start in (0..lower.len()).filter(|at| lower.is_char_boundary(*at)) {
        if tokens.last().is_some_and(|last| start < last.range.end) {
            continue;
        }
        if let Some((name, arch)) = longest_at(&lower, start) {
            let range = start..start + name.len();
            let spelling = spelling_of(word, name, arch);
            tokens.push(Token { range, arch, spelling });
        }
    }
    tokens
}

fn longest_at(lower: &str, start: usize) -> Option<(&'static str, Arch)> {
    let before = &lower[..start];
    let after_system = SYSTEMS.iter().any(|system| before.trim_end_matches(['-', '_', '/', '.']).ends_with(system));
    let is_bounded =
        before.chars().next_back().is_none_or(|c| !c.is_alphanumeric()) || SYSTEMS.iter().any(|s| before.ends_with(s));
    if !is_bounded {
        return None;
    }
    names()
        .filter(|(name, _)| lower[start..].starts_with(name))
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
    spelled.chain([("linux64", Arch::Amd64), ("linux-64bit", Arch::Amd64), ("linux32", Arch::I386)])
}

fn spelling_of(word: &str, name: &str, arch: Arch) -> Spelling {
    match name {
        "linux64" | "linux-64bit" | "linux32" => Spelling::Bits,
        "x64" | "ia32" => Spelling::Node,
        "x86_64" | "x86-64" if word.contains("Linux_") => Spelling::Mixed,
        "x86_64" | "x86-64" | "aarch64" => Spelling::Uname,
        _ if name == arch.oci() || name.starts_with("arm64") => Spelling::Oci,
        _ => Spelling::Uname,
    }
}

/// What projects that spell so call `arch`; `None` where there is no common name.
pub fn name_in(spelling: Spelling, arch: Arch) -> Option<&'static str> {
    match (spelling, arch) {
        (Spelling::Oci, _) => Some(arch.oci()),
        (Spelling::Mixed, Arch::Amd64) => Some("x86_64"),
        (Spelling::Mixed, Arch::Arm64) => Some("arm64"),
        (Spelling::Node, Arch::Amd64) => Some("x64"),
        (Spelling::Node, Arch::I386) => Some("ia32"),
        (Spelling::Node, Arch::Arm64 | Arch::Ppc64le | Arch::S390x | Arch::Riscv64) => Some(arch.oci()),
        (Spelling::Uname, _) => arch.row().uname.first().copied(),
        (Spelling::Node | Spelling::Mixed, _) | (Spelling::Bits, _) => None,
    }
}

/// `amd64) a=x86_64 ;; arm64) a=aarch64 ;; *) exit 1 ;;`: a `case` over `variable` that sets `into`.
/// `None` where the two usual architectures have no name in this spelling.
pub fn case_statement(spelling: Spelling, variable: &str, into: &str) -> Option<String> {
    let arms = [Arch::Amd64, Arch::Arm64]
        .into_iter()
        .map(|arch| Some(format!("{}) {into}={};;", arch.oci(), name_in(spelling, arch)?)))
        .collect::<Option<Vec<_>>>()?;
    Some(format!("case \"${variable}\" in {} *) exit 1;; esac", arms.join(" ")))
}

/// Whether a word is a file's name, a path or a URL: what a download or a copy takes.
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
        ] {
            check(word, &[]);
        }
        check("qemu-aarch64-static", &[]);
    }

    #[test]
    fn a_mapping_names_the_two_usual_architectures_or_nothing() {
        assert_eq!(
            case_statement(Spelling::Uname, "TARGETARCH", "a").as_deref(),
            Some("case \"$TARGETARCH\" in amd64) a=x86_64;; arm64) a=aarch64;; *) exit 1;; esac")
        );
        assert_eq!(case_statement(Spelling::Bits, "TARGETARCH", "a"), None);
    }
}
