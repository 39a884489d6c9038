//! The platform that a path names: `prebuilds/linux-x64/addon.musl.node`. Relies on structure, not on a list of
//! products: two paths that differ only in platform words are siblings.

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::platform::{Arch, arch::ARCHES};

/// A C library by the words that file names use for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Libc {
    Glibc,
    Musl,
}

/// The platform words of a path, and the path without them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathPlatform {
    /// The path without its platform words: equal for siblings.
    pub key: String,
    pub arch: Option<Arch>,
    pub libc: Option<Libc>,
    /// The path names Linux, or no system.
    pub may_be_linux: bool,
}

const LINUX: &[&str] = &[
    "linux",
    "linuxmusl",
    "linuxglibc",
    "alpine",
    "unknown",
    "pc",
    "manylinux",
    "musllinux",
    "manylinux2014",
    "manylinux1",
    "manylinux2010",
];
const OTHER_SYSTEMS: &[&str] = &[
    "darwin",
    "macos",
    "osx",
    "mac",
    "apple",
    "win32",
    "win",
    "windows",
    "win64",
    "freebsd",
    "netbsd",
    "openbsd",
    "sunos",
    "solaris",
    "aix",
    "android",
    "androideabi",
    "ios",
];
const GLIBC: &[&str] = &[
    "gnu",
    "glibc",
    "gnueabihf",
    "gnueabi",
    "gnuabi64",
    "linuxglibc",
    "manylinux",
    "manylinux2014",
    "manylinux1",
    "manylinux2010",
];
const MUSL: &[&str] = &["musl", "musleabihf", "musleabi", "linuxmusl", "musllinux", "alpine"];
const OTHER: &[&str] = &["msvc", "eabi", "hf", "napi", "electron"];
/// Words of two parts, and the single word that replaces them.
const JOINED: &[(&str, &str)] = &[
    ("x86_64", "x64"),
    ("x86-64", "x64"),
    ("aarch_64", "aarch64"),
    ("ppcle_64", "ppc64le"),
    ("ppcle64", "ppc64le"),
    ("s390_64", "s390x"),
    ("x86_32", "ia32"),
];
/// Words that name an architecture only next to a system's name: `linux64`, `arm`.
const FUSED: &[(&str, Option<Arch>)] = &[
    ("linux64", Some(Arch::Amd64)),
    ("linux32", Some(Arch::I386)),
    ("loong", Some(Arch::Loong64)),
    ("riscv", Some(Arch::Riscv64)),
];

/// Names of architectures that usually mean something else in paths.
const AMBIGUOUS: &[&str] = &["sh", "alpha", "parisc", "sparc"];

/// The meaning of one word.
#[derive(Clone, Copy, Default)]
struct PathWord {
    is_system: bool,
    is_other_system: bool,
    libc: Option<Libc>,
    arch: Option<Arch>,
}

/// All platform words. Every path of every program is searched for them.
static WORDS: LazyLock<HashMap<&str, PathWord>> = LazyLock::new(|| {
    let mut words: HashMap<&str, PathWord> = OTHER.iter().map(|word| (*word, PathWord::default())).collect();
    let mut note = |list: &[&'static str], note: &dyn Fn(&mut PathWord)| {
        for word in list {
            note(words.entry(word).or_default());
        }
    };
    note(LINUX, &|word| word.is_system = true);
    note(OTHER_SYSTEMS, &|word| (word.is_system, word.is_other_system) = (true, true));
    note(GLIBC, &|word| word.libc = Some(Libc::Glibc));
    note(MUSL, &|word| word.libc = Some(Libc::Musl));
    for row in ARCHES {
        for name in [row.oci, row.debian].iter().chain(row.aliases).chain(row.uname) {
            let arch = Arch::parse(name).filter(|_| !AMBIGUOUS.contains(name));
            if arch.is_some() {
                note(&[*name], &|word| word.arch = arch);
            }
        }
    }
    for (fused, arch) in FUSED {
        note(&[*fused], &|word| word.arch = *arch);
    }
    words
});

/// `linux-64`, `win32-32`: a width directly after a system's name is an architecture.
const WIDTHS: &[(&str, &str)] = &[("64", "x64"), ("32", "ia32"), ("86", "ia32")];

/// The families of a path: the path itself, and each of its directories whose own name contains an architecture,
/// without platform words. `native/linux-x64/a.so` and `native/linux-arm64/b.so` are of the family `native//`.
pub fn families(path: &str) -> Vec<String> {
    let mut found: Vec<String> = read(path).map(|platform| platform.key).into_iter().collect();
    found.extend(directory_families(path));
    found
}

/// The families of a path's directories, which all files of one directory share.
pub fn directory_families(path: &str) -> impl Iterator<Item = String> {
    path.match_indices('/').skip(1).filter_map(|(end, _)| {
        let directory = path[..end].rsplit('/').next().unwrap_or_default();
        read(directory)?.arch?;
        read(&path[..end]).map(|platform| format!("{}/", platform.key))
    })
}

/// Reads a path's platform words. `None` where it has none.
pub fn read(path: &str) -> Option<PathPlatform> {
    let mut text = path.to_ascii_lowercase();
    // Yarn's directory of a package ends in a hash: `@esbuild-linux-x64-npm-0.24.0-0499a2f9cf`.
    if let Some((project, rest)) = text.split_once(".yarn/unplugged/")
        && let Some((_, inside)) = rest.split_once('/')
    {
        text = format!("{project}{inside}");
    }
    // All of them contain a width, and few paths do.
    if text.contains("64") || text.contains("32") {
        for (joined, plain) in JOINED {
            if text.contains(joined) {
                text = text.replace(joined, plain);
            }
        }
    }
    let mut found = PathPlatform { key: String::with_capacity(text.len()), arch: None, libc: None, may_be_linux: true };
    let (mut any, mut is_after_system) = (false, false);
    for (separator, word) in words(&text) {
        let word = WIDTHS.iter().find(|(width, _)| is_after_system && *width == word).map_or(word, |(_, arch)| arch);
        let known = WORDS.get(word);
        is_after_system = known.is_some_and(|known| known.is_system);
        // Separators around a dropped word are merged, so that `core-linux-x64-gnu` and `core-linux-arm64` agree.
        if let Some(known) = known {
            any = true;
            found.note(known);
            if separator == '/' {
                found.key.push('/');
            }
        } else {
            if separator != '\0' && !found.key.ends_with(separator) {
                found.key.push(separator);
            }
            found.key.push_str(word);
        }
    }
    any.then_some(found)
}

impl PathPlatform {
    fn note(&mut self, word: &PathWord) {
        self.may_be_linux &= !word.is_other_system;
        self.libc = word.libc.or(self.libc);
        self.arch = word.arch.or(self.arch);
    }
}

/// Whether one name may be used for both architectures.
pub fn is_kin(named: Option<Arch>, own: Option<Arch>) -> bool {
    let family = |arch: Arch| arch.oci().get(..3);
    named == own || named.zip(own).is_some_and(|(named, own)| family(named) == family(own))
}

/// Words with the separator before each.
fn words(text: &str) -> impl Iterator<Item = (char, &str)> {
    let mut rest = text;
    let mut separator = '\0';
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = rest.find(['/', '.', '_', '-', '+', '@']).unwrap_or(rest.len());
        let (word, tail) = rest.split_at(end);
        let before = separator;
        let mut tail = tail.chars();
        separator = tail.next().unwrap_or('\0');
        rest = tail.as_str();
        Some((before, word))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn siblings(a: &str, b: &str) {
        let (a, b) = (read(a).unwrap(), read(b).unwrap());
        assert_eq!(a.key, b.key);
        assert_ne!((a.arch, a.libc), (b.arch, b.libc));
    }

    #[test]
    fn paths_that_differ_in_their_platform_are_siblings() {
        siblings("/m/@esbuild/linux-x64/bin/esbuild", "/m/@esbuild/linux-arm64/bin/esbuild");
        siblings(
            "/m/@swc/core-linux-x64-gnu/swc.linux-x64-gnu.node",
            "/m/@swc/core-linux-arm64-musl/swc.linux-arm64-musl.node",
        );
        siblings(
            "/m/@swc/core-linux-arm-gnueabihf/swc.linux-arm-gnueabihf.node",
            "/m/@swc/core-linux-arm64-gnu/swc.linux-arm64-gnu.node",
        );
        siblings(
            "/m/@img/sharp-linuxmusl-x64/lib/sharp-linuxmusl-x64.node",
            "/m/@img/sharp-linux-arm64/lib/sharp-linux-arm64.node",
        );
        siblings("/m/bcrypt/prebuilds/linux-x64/bcrypt.glibc.node", "/m/bcrypt/prebuilds/linux-arm64/bcrypt.musl.node");
        siblings("META-INF/native/libnetty_x86_64.so", "META-INF/native/libnetty_aarch_64.so");
        siblings("librocksdbjni-linux64.so", "librocksdbjni-linux-aarch64.so");
        siblings("/x/runtimes/linux-x64/native/a.so", "/x/runtimes/linux-musl-arm64/native/a.so");
    }

    #[test]
    fn a_directory_named_by_its_platform_has_a_family() {
        let has =
            |path: &str, family: &str| assert!(families(path).iter().any(|own| own == family), "{:?}", families(path));
        has("/m/native/linux-x64/liba-avx2.so", "/m/native//");
        has("/m/native/linux-arm64/liba.so", "/m/native//");
        has("/m/@rollup/rollup-linux-arm64-musl/rollup.linux-arm64-musl.node", "/m/@rollup/rollup/");
        has("/usr/lib/x86_64-linux-gnu/libz.so.1", "/usr/lib//");
        assert_eq!(families("/opt/linux/bin/tool"), ["/opt/bin/tool"]);
    }

    #[test]
    fn a_width_after_a_system_is_an_architecture() {
        assert_eq!(read("/m/turbo-linux-64/bin/turbo").unwrap().arch, Some(Arch::Amd64));
        assert_eq!(read("/m/esbuild-windows-32/esbuild.exe").unwrap().arch, Some(Arch::I386));
        assert_eq!(read("/m/lib-64/a.so"), None);
    }

    #[test]
    fn other_products_are_not_siblings() {
        let key = |path: &str| read(path).unwrap().key;
        assert_ne!(key("/m/@esbuild/linux-x64/bin/esbuild"), key("/m/@rollup/linux-arm64/bin/rollup"));
    }

    #[test]
    fn words_are_distinguished_from_parts_of_words() {
        assert_eq!(read("/usr/bin/armory"), None);
        assert_eq!(read("/usr/lib/window.so"), None);
        let other = read("/m/@esbuild/android-arm64/bin/esbuild").unwrap();
        assert_eq!((other.arch, other.may_be_linux), (Some(Arch::Arm64), false));
        assert_eq!(read("/a/foo.linux-x64-musl.node").unwrap().libc, Some(Libc::Musl));
    }
}
