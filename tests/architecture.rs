//! Tests the order of the modules: no module imports one of a higher tier, no two files import each other, no file is
//! too long to read. Other project rules are lints: clippy.toml and [lints] in Cargo.toml.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Modules by tier, lowest first. A module imports only modules of its own tier and lower ones.
const TIERS: &[&[&str]] = &[
    &["source", "oci", "platform", "yaml", "files"],
    &["image", "inspect", "package", "shell"],
    &["exec", "cache"],
    &["judge"],
    &["scan", "lint", "diagnose", "kube", "host", "config"],
    &["report", "rebuild", "workflow"],
    &["api", "cli", "fuzz", "main", "lib"],
];

/// Modules of one tier that must not import each other.
const APART: &[(&str, &str)] = &[("image", "inspect")];

/// Maximum number of lines in a file.
const LONGEST: usize = 500;

/// Maximum number of re-exports that a path may pass through.
const MAX_RE_EXPORTS: usize = 5;

/// Every source file, by its path below `src`.
fn sources() -> BTreeMap<PathBuf, String> {
    rust_files("src")
}

fn rust_files(directory: &str) -> BTreeMap<PathBuf, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(directory);
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

fn tier(module: &str) -> usize {
    let found = TIERS.iter().position(|modules| modules.contains(&module));
    found.unwrap_or_else(|| panic!("{module} has no tier; add it to TIERS"))
}

/// The code of a file without its unit tests. Empty for a file of tests.
fn product(path: &Path, text: &str) -> String {
    let name = path.file_name().unwrap().to_string_lossy();
    if name.ends_with("_tests.rs") || ["tests.rs", "testing.rs", "elf_builder.rs"].contains(&&*name) {
        return String::new();
    }
    let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
    code.lines().filter(|line| !line.trim_start().starts_with("//")).map(|line| format!("{line}\n")).collect()
}

/// A module's path: `["exec", "kernel"]` of exec/kernel/mod.rs.
fn module_path(file: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        file.with_extension("").iter().map(|name| name.to_string_lossy().into_owned()).collect();
    if names.last().is_some_and(|name| ["mod", "lib", "main"].contains(&name.as_str())) {
        names.pop();
    }
    names
}

/// The paths of one use tree: `a::{b, c::d}` gives `a::b` and `a::c::d`.
fn expand(tree: &str) -> Vec<Vec<String>> {
    let tree = tree.trim();
    let Some((before, list)) = tree.split_once('{') else {
        let path = tree.split(" as ").next().unwrap_or("");
        return vec![path.split("::").map(|name| name.trim().to_string()).collect()];
    };
    let list = list.rsplit_once('}').map_or(list, |(list, _)| list);
    let prefix: Vec<String> =
        before.split("::").map(|name| name.trim().to_string()).filter(|name| !name.is_empty()).collect();
    let (mut depth, mut start, mut parts) = (0, 0, Vec::new());
    for (at, byte) in list.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            b',' if depth == 0 => {
                parts.push(&list[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&list[start..]);
    let parts = parts.into_iter().filter(|part| !part.trim().is_empty());
    parts.flat_map(expand).map(|path| [prefix.clone(), path].concat()).collect()
}

/// The imports between files.
struct Imports {
    files: BTreeMap<Vec<String>, PathBuf>,
    /// The path that a module's name is re-exported from.
    re_exports: BTreeMap<(Vec<String>, String), Vec<String>>,
    paths: BTreeMap<PathBuf, Vec<Vec<String>>>,
}

impl Imports {
    fn read(sources: &BTreeMap<PathBuf, String>) -> Imports {
        let files: BTreeMap<Vec<String>, PathBuf> = sources
            .keys()
            .filter(|file| *file != Path::new("main.rs"))
            .map(|file| (module_path(file), file.clone()))
            .collect();
        let mut imports = Imports { files, re_exports: BTreeMap::new(), paths: BTreeMap::new() };
        for (file, text) in sources {
            imports.read_file(file, &product(file, text));
        }
        imports
    }

    fn read_file(&mut self, file: &Path, code: &str) {
        let own = module_path(file);
        let mut paths = Vec::new();
        for statement in code.split(';') {
            let Some((before, tree)) = statement.rsplit_once("use ") else { continue };
            let head = before.rsplit('\n').next().unwrap_or("").trim();
            if !(head.is_empty() || head.starts_with("pub")) {
                continue;
            }
            for path in expand(tree) {
                let Some(path) = self.absolute(&own, path) else { continue };
                if let (true, Some(name)) = (head.starts_with("pub"), path.last()) {
                    self.re_exports.insert((own.clone(), name.clone()), path.clone());
                }
                paths.push(path);
            }
        }
        for start in ["crate::", "super::"] {
            for (at, _) in code.match_indices(start) {
                let end = code[at..].find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'));
                let path = code[at..end.map_or(code.len(), |end| at + end)].trim_end_matches(':');
                paths.extend(self.absolute(&own, path.split("::").map(str::to_string).collect()));
            }
        }
        self.paths.insert(file.to_path_buf(), paths);
    }

    /// A path from the crate root. `None` if it leads to another crate.
    fn absolute(&self, own: &[String], path: Vec<String>) -> Option<Vec<String>> {
        let above = path.iter().take_while(|name| *name == "super").count();
        match path.first().map(String::as_str) {
            Some("crate") => Some(path[1..].to_vec()),
            Some("self") => Some([own, &path[1..]].concat()),
            Some("super") => Some([&own[..own.len().checked_sub(above)?], &path[above..]].concat()),
            Some(name) => {
                let child = [own, &[name.to_string()]].concat();
                self.files.contains_key(&child).then(|| [own, &path[..]].concat())
            }
            None => None,
        }
    }

    /// The file that defines a path's item, after following re-exports.
    fn resolve(&self, path: &[String], passed: usize) -> Option<&PathBuf> {
        let known = (0..=path.len()).rev().find(|len| self.files.contains_key(&path[..*len]))?;
        let through = path.get(known).and_then(|name| self.re_exports.get(&(path[..known].to_vec(), name.clone())));
        match through.filter(|through| *through != path && passed < MAX_RE_EXPORTS) {
            Some(through) => self.resolve(through, passed + 1),
            None => self.files.get(&path[..known]),
        }
    }

    /// The files that each file imports, except its own parents and children.
    fn edges(&self) -> BTreeMap<&Path, BTreeSet<&Path>> {
        let mut edges: BTreeMap<&Path, BTreeSet<&Path>> = BTreeMap::new();
        for (file, paths) in &self.paths {
            let own = module_path(file);
            for other in paths.iter().filter_map(|path| self.resolve(path, 0)) {
                let theirs = module_path(other);
                if !own.starts_with(&theirs) && !theirs.starts_with(&own) {
                    edges.entry(file).or_default().insert(other);
                }
            }
        }
        edges
    }
}

/// Everything reachable from `start` in at least one step.
fn reach<'a>(edges: &BTreeMap<&'a Path, BTreeSet<&'a Path>>, start: &'a Path) -> BTreeSet<&'a Path> {
    let (mut reached, mut pending) = (BTreeSet::new(), vec![start]);
    while let Some(file) = pending.pop() {
        pending.extend(edges.get(file).into_iter().flatten().filter(|next| reached.insert(**next)));
    }
    reached
}

#[test]
fn no_module_imports_a_module_of_a_higher_tier() {
    let sources = sources();
    let imports = Imports::read(&sources);
    for (file, others) in imports.edges() {
        for other in others {
            let (own, theirs) = (module(file), module(other));
            let is_upward = tier(&theirs) > tier(&own);
            let is_apart = APART.iter().any(|(a, b)| (*a == own && *b == theirs) || (*b == own && *a == theirs));
            assert!(!is_upward && !is_apart, "{} imports {}", file.display(), other.display());
        }
    }
}

#[test]
fn no_files_import_each_other() {
    let sources = sources();
    let imports = Imports::read(&sources);
    let edges = imports.edges();
    let reached: BTreeMap<&Path, BTreeSet<&Path>> = edges.keys().map(|file| (*file, reach(&edges, file))).collect();
    for (file, from) in &reached {
        let mut cycle: Vec<String> = from
            .iter()
            .filter(|other| reached.get(*other).is_some_and(|back| back.contains(file)))
            .map(|other| other.display().to_string())
            .collect();
        cycle.sort();
        assert!(cycle.is_empty(), "these files import each other: {cycle:?}");
    }
}

#[test]
fn use_trees_are_read_to_their_leaves() {
    let paths: Vec<String> =
        expand("crate::{a::{b, c as d}, e,\n f::g}").into_iter().map(|path| path.join("::")).collect();
    assert_eq!(paths, ["crate::a::b", "crate::a::c", "crate::e", "crate::f::g"]);
}

#[test]
fn no_file_is_longer_than_can_be_read() {
    for directory in ["src", "tests"] {
        for (path, text) in rust_files(directory) {
            let lines = text.lines().count();
            assert!(lines <= LONGEST, "{directory}/{} has {lines} lines", path.display());
        }
    }
}

#[test]
fn every_file_opens_with_its_purpose() {
    let files = sources().into_iter().chain(rust_files("tests"));
    for (path, text) in files.filter(|(path, _)| !path.to_string_lossy().ends_with("_tests.rs")) {
        assert!(text.starts_with("//!"), "{} does not open with its purpose", path.display());
    }
}

/// The Markdown documents for users and contributors, by their paths below the project's root.
fn documents() -> BTreeMap<PathBuf, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let entries = ["docs", "docs/design"].into_iter().flat_map(|directory| fs::read_dir(root.join(directory)).unwrap());
    let files = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    let files = files.chain([root.join("README.md")]);
    files.map(|path| (path.strip_prefix(root).unwrap().to_path_buf(), fs::read_to_string(&path).unwrap())).collect()
}

#[test]
fn links_between_documents_lead_to_files_and_headings() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut count = 0;
    for (path, text) in documents() {
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.starts_with("http") {
                continue;
            }
            let (file, heading) = link.split_once('#').map_or((link, None), |(file, heading)| (file, Some(heading)));
            let target = if file.is_empty() { root.join(&path) } else { root.join(&path).parent().unwrap().join(file) };
            let body = fs::read_to_string(&target);
            assert!(body.is_ok(), "{} links to {link}, which is not a file", path.display());
            let anchor = |line: &str| line.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
            let is_there =
                |name: &str| body.as_ref().unwrap().lines().any(|line| line.starts_with('#') && anchor(line) == name);
            assert!(heading.is_none_or(is_there), "{} links to {link}, which has no such heading", path.display());
            count += 1;
        }
    }
    assert!(count > 20, "the links were found");
}

#[test]
fn the_site_has_every_document_once() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let summary = fs::read_to_string(root.join("docs/SUMMARY.md")).unwrap();
    let mut listed: Vec<&str> = summary
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
        .filter(|link| *link != "../README.md")
        .collect();
    listed.sort_unstable();
    let mut pages = Vec::new();
    for directory in ["", "design/"] {
        for entry in fs::read_dir(root.join("docs").join(directory)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if name.ends_with(".md") && name != "SUMMARY.md" {
                pages.push(format!("{directory}{name}"));
            }
        }
    }
    pages.sort_unstable();
    assert_eq!(listed, pages, "docs/SUMMARY.md and the files in docs/");
}

#[test]
fn the_readme_is_short() {
    let readme = documents().remove(Path::new("README.md")).unwrap();
    assert!(readme.len() <= 9 << 10, "README.md has {} bytes", readme.len());
}

/// Names of types that replace each other: only one of them is compiled.
const ALTERNATIVES: &[&str] = &["Objects"];

/// The name of the type that a line declares at the top level of its file.
fn declared_type(line: &str) -> Option<&str> {
    let visible = ["pub ", "pub(crate) ", "pub(super) "].iter().find_map(|visibility| line.strip_prefix(visibility));
    let declaration = visible.unwrap_or(line);
    let name = ["struct ", "enum ", "trait ", "type "].iter().find_map(|kind| declaration.strip_prefix(kind))?;
    name.split(|c: char| !c.is_alphanumeric()).next()
}

#[test]
fn a_type_name_has_one_meaning() {
    let mut files: BTreeMap<String, BTreeSet<PathBuf>> = BTreeMap::new();
    for (path, text) in sources() {
        for name in product(&path, &text).lines().filter_map(declared_type) {
            files.entry(name.to_string()).or_default().insert(path.clone());
        }
    }
    assert!(files.len() > 500, "the types were found");
    files.retain(|name, files| files.len() > 1 && !ALTERNATIVES.contains(&name.as_str()));
    assert!(files.is_empty(), "types of the same name: {files:#?}");
}
