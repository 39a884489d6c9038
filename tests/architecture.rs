//! The house's rules as a test: no floor uses a floor above it, nobody prints but main and the reports, no file is
//! longer than can be read.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Each module's floor; a module may use its own floor's and lower ones.
const FLOORS: &[(&str, u8)] = &[
    ("platform", 0),
    ("oci", 1),
    ("source", 2),
    ("image", 3),
    ("inspect", 3),
    ("exec", 4),
    ("judge", 5),
    ("cache", 5),
    ("scan", 6),
    ("lint", 6),
    ("kube", 6),
    ("host", 6),
    ("diagnose", 6),
    ("report", 7),
    ("config", 7),
    ("rebuild", 7),
    ("workflow", 7),
    ("cli", 8),
    ("main", 8),
    ("lib", 8),
];

/// Modules of one floor that must not know each other.
const APART: &[(&str, &str)] = &[("image", "inspect")];

/// Lines of the longest file.
const LONGEST: usize = 500;

/// Every file of the program, by its path below `src`.
fn sources() -> BTreeMap<PathBuf, String> {
    rust_files("src")
}

fn rust_files(folder: &str) -> BTreeMap<PathBuf, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut found = BTreeMap::new();
    let mut pending = vec![root.clone()];
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                pending.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.insert(path.strip_prefix(&root).unwrap().to_path_buf(), text);
            }
        }
    }
    assert!(found.len() > 20, "the sources were found");
    found
}

fn module(path: &Path) -> String {
    let first = path.components().next().unwrap().as_os_str().to_string_lossy().into_owned();
    first.trim_end_matches(".rs").to_string()
}

fn floor(module: &str) -> u8 {
    let found = FLOORS.iter().find(|(name, _)| *name == module);
    found.unwrap_or_else(|| panic!("{module} has no floor; add it to FLOORS")).1
}

/// A file of tests, or the code of a file above its tests.
fn product(path: &Path, text: &str) -> String {
    let name = path.file_name().unwrap().to_string_lossy();
    if name.ends_with("_tests.rs") || name == "testing.rs" || name == "elf_builder.rs" {
        return String::new();
    }
    text.split("#[cfg(test)]\nmod tests").next().unwrap().to_string()
}

/// The modules that a file names by `crate::module`, in code.
fn used(text: &str) -> Vec<String> {
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    let mut used = Vec::new();
    for line in code {
        for part in line.split("crate::").skip(1) {
            let names = part.strip_prefix('{').map_or_else(|| part.to_string(), |list| list.replace(',', " "));
            for name in names.split_whitespace().take(if part.starts_with('{') { usize::MAX } else { 1 }) {
                let name: String = name.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect();
                if FLOORS.iter().any(|(known, _)| *known == name) {
                    used.push(name);
                }
            }
        }
    }
    used
}

#[test]
fn no_floor_uses_a_floor_above_it() {
    for (path, text) in sources() {
        let own = module(&path);
        for other in used(&product(&path, &text)) {
            let is_upward = floor(&other) > floor(&own);
            let is_apart = APART
                .iter()
                .any(|pair| *pair == (own.as_str(), other.as_str()) || *pair == (other.as_str(), own.as_str()));
            assert!(!is_upward && !is_apart, "{} ({own}) uses {other}", path.display());
        }
    }
}

#[test]
fn nobody_prints_but_main_and_the_reports() {
    for (path, text) in sources() {
        if path == Path::new("main.rs") || module(&path) == "report" {
            continue;
        }
        let code = product(&path, &text);
        for (number, line) in code.lines().enumerate() {
            let line = line.trim_start();
            let prints =
                ["println!", "print!(", "eprintln!", "eprint!(", "dbg!("].iter().any(|word| line.contains(word));
            assert!(!prints || line.starts_with("//"), "{}:{}: {line}", path.display(), number + 1);
        }
    }
}

#[test]
fn no_file_is_longer_than_can_be_read() {
    for folder in ["src", "tests"] {
        for (path, text) in rust_files(folder) {
            let lines = text.lines().count();
            assert!(lines <= LONGEST, "{folder}/{} has {lines} lines", path.display());
        }
    }
}

#[test]
fn every_file_opens_with_its_purpose() {
    let files = sources().into_iter().chain(rust_files("tests"));
    for (path, text) in files.filter(|(path, _)| !path.to_string_lossy().ends_with("_tests.rs")) {
        assert!(text.starts_with("//!"), "{} does not say what it is for", path.display());
    }
}
