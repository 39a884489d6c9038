//! The interpreters of Python that an image has, and the one that a module is built for.

use std::collections::BTreeSet;
use std::fmt;

use crate::judge::facts::programs::{Fit, Programs};
use crate::judge::facts::runtimes::is_library;

/// The interpreter that the suffix of a module names. Source: PEP 3149, 425, 703; CPython's `SOABI`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PythonTag {
    /// CPython 3 with its minor version and its flags: `11`, `13t` for the free-threaded build, `11d` for debugging.
    CPython(String),
    PyPy,
    GraalPy,
}

impl PythonTag {
    /// Parses `speed.cpython-311-x86_64-linux-gnu.so` or `speed.pypy39-pp73-x86_64-linux-gnu.so`.
    pub fn of_file(name: &str) -> Option<PythonTag> {
        let suffix = name.strip_suffix(".so")?.split_once('.')?.1;
        if suffix.starts_with("pypy") {
            return Some(PythonTag::PyPy);
        }
        if suffix.starts_with("graalpy") {
            return Some(PythonTag::GraalPy);
        }
        let version = suffix.strip_prefix("cpython-3")?.split('-').next()?;
        // Since Python 3.8 the suffix `m` is gone, and the one of debug builds is compatible.
        let (minor, flags) = split(version)?;
        Some(PythonTag::CPython(format!("{minor}{flags}")))
    }
}

impl fmt::Display for PythonTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PythonTag::CPython(version) => match version.strip_suffix('t') {
                Some(minor) => write!(f, "free-threaded Python 3.{minor}"),
                None => match version.strip_suffix('d') {
                    Some(minor) => write!(f, "a debug build of Python 3.{minor}"),
                    None => write!(f, "Python 3.{version}"),
                },
            },
            PythonTag::PyPy => f.write_str("PyPy"),
            PythonTag::GraalPy => f.write_str("GraalPy"),
        }
    }
}

/// The digits of a minor version and the flags that follow: `11`, `13t`, `7m`, which is `7`.
fn split(text: &str) -> Option<(u32, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let flags = &text[end..];
    let is_known = matches!(flags, "" | "m" | "mu" | "t" | "d" | "td");
    let flags = if flags.starts_with('m') { "" } else { flags };
    Some((text[..end].parse().ok()?, flags)).filter(|_| is_known)
}

/// The interpreters that an image has.
#[derive(Debug, Default)]
pub struct Pythons {
    /// Versions of CPython 3, as in [`PythonTag::CPython`]. `None` if the version of one is unknown.
    cpython: Option<BTreeSet<String>>,
    has_pypy: bool,
    has_graalpy: bool,
}

impl Pythons {
    pub fn from_programs(programs: &Programs<'_>) -> Pythons {
        let usable = || programs.runnable().filter(|program| program.fit <= Fit::Compat);
        let has = |start: &str| usable().any(|program| program.name().starts_with(start));
        let mut cpython = Some(BTreeSet::new());
        for program in usable() {
            let name = program.name();
            let Some(rest) = name.strip_prefix("libpython").or_else(|| name.strip_prefix("python")) else { continue };
            let is_interpreter = program.is_executable() || is_library(name);
            // libpython3.so only forwards to another library, for the stable ABI.
            if !is_interpreter || !(rest.is_empty() || rest.starts_with(['3', '.'])) || rest == "3.so" {
                continue;
            }
            let version = rest.strip_prefix("3.").map(|rest| rest.split(['.', '-']).next().unwrap_or(rest));
            match (version.and_then(split), &mut cpython) {
                (Some((minor, flags)), Some(found)) => {
                    // A debug build also looks for modules of the release build.
                    found.extend([format!("{minor}{flags}"), format!("{minor}{}", flags.trim_end_matches('d'))]);
                }
                _ => cpython = None,
            }
        }
        Pythons { cpython, has_pypy: has("pypy") || has("libpypy"), has_graalpy: has("graalpy") || has("libpythonvm") }
    }

    /// Whether no interpreter of the image looks for modules with this tag. False if that is unknown.
    pub fn lack(&self, tag: &PythonTag) -> bool {
        let has_any = self.cpython.as_ref().is_none_or(|found| !found.is_empty());
        match tag {
            PythonTag::CPython(version) => {
                self.cpython.as_ref().is_some_and(|found| !found.is_empty() && !found.contains(version))
            }
            PythonTag::PyPy => has_any && !self.has_pypy,
            PythonTag::GraalPy => has_any && !self.has_graalpy,
        }
    }

    /// The interpreters that a wheel's tags name, if the image has none of them. Source: PEP 425.
    pub fn foreign_tags(&self, tags: &[String]) -> Option<String> {
        let mut named = BTreeSet::new();
        for tag in tags {
            let mut parts = tag.split('-');
            let (pythons, abis) = (parts.next()?, parts.next()?);
            for python in pythons.split('.') {
                let minor = python.strip_prefix("cp3").and_then(split);
                for abi in abis.split('.') {
                    let of_abi = abi.strip_prefix("cp3").and_then(split);
                    let wanted = match (minor, of_abi) {
                        (_, Some((minor, flags))) => PythonTag::CPython(format!("{minor}{flags}")),
                        (Some((minor, _)), None) if abi == "abi3" => {
                            if self.newest().is_none_or(|newest| minor <= newest) {
                                return None;
                            }
                            named.insert(format!("Python 3.{minor} or newer"));
                            continue;
                        }
                        _ => return None,
                    };
                    if !self.lack(&wanted) {
                        return None;
                    }
                    named.insert(wanted.to_string());
                }
            }
        }
        (!named.is_empty()).then(|| named.into_iter().collect::<Vec<_>>().join(", "))
    }

    /// The newest minor version of CPython, if all are known.
    fn newest(&self) -> Option<u32> {
        self.cpython.as_ref()?.iter().filter_map(|version| Some(split(version)?.0)).max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tags_of_a_wheel_name_interpreters() {
        let has = |versions: &[&str]| Pythons {
            cpython: Some(versions.iter().map(|version| version.to_string()).collect()),
            ..Pythons::default()
        };
        let foreign = |tag: &str, pythons: &Pythons| pythons.foreign_tags(&[format!("{tag}-manylinux_2_17_x86_64")]);
        let own = has(&["11"]);
        for (tag, expected) in [("cp39-cp39", "Python 3.9"), ("cp312-abi3", "Python 3.12 or newer")] {
            assert_eq!(foreign(tag, &own).as_deref(), Some(expected));
        }
        for tag in ["cp311-cp311", "cp37-abi3", "py3-none", "cp39-none", "pp39-pypy39_pp73"] {
            assert_eq!(foreign(tag, &own), None, "{tag}");
        }
        assert_eq!(foreign("cp39-cp39", &Pythons::default()), None);
        assert_eq!(foreign("cp313-cp313t", &has(&["13"])).as_deref(), Some("free-threaded Python 3.13"));
    }

    #[test]
    fn the_tag_of_a_module_is_its_suffix() {
        let tag = |name: &str| PythonTag::of_file(name).map(|tag| tag.to_string()).unwrap_or_default();
        for (name, expected) in [
            ("a.cpython-311-x86_64-linux-gnu.so", "Python 3.11"),
            ("a.cpython-37m-x86_64-linux-gnu.so", "Python 3.7"),
            ("a.cpython-313t-x86_64-linux-gnu.so", "free-threaded Python 3.13"),
            ("a.cpython-311d-x86_64-linux-gnu.so", "a debug build of Python 3.11"),
            ("a.pypy39-pp73-x86_64-linux-gnu.so", "PyPy"),
            ("a.abi3.so", ""),
            ("a.so", ""),
            ("libpython3.11.so", ""),
        ] {
            assert_eq!(tag(name), expected, "{name}");
        }
    }
}
