//! Directories that options and variables make a process search, and environments that run their own programs: the
//! library directories of `LD_LIBRARY_PATH` and of Java, and the environments of conda and venv.

use std::collections::{BTreeMap, BTreeSet};

use crate::image::{NodeKind, RootFs};
use crate::inspect::FileKind;
use crate::judge::facts::chain::Chain;
use crate::judge::facts::programs::{Fit, Programs};
use crate::judge::facts::runtimes::is_library;
use crate::judge::facts::tokens;

/// Limit on the directories that are examined.
const MAX_DIRECTORIES: usize = 256;
/// Properties of Java for the directories of native libraries: that of `System.loadLibrary`, and those of JNA, LWJGL,
/// snappy-java and sqlite-jdbc. Source: java(1); each project's documentation.
const JAVA_PROPERTIES: &[&str] = &[
    "-Djava.library.path=",
    "-Djna.library.path=",
    "-Djna.boot.library.path=",
    "-Dorg.lwjgl.librarypath=",
    "-Dorg.xerial.snappy.lib.path=",
    "-Dorg.sqlite.lib.path=",
];
/// Options that take Java's class path.
const CLASS_PATHS: &[&str] = &["-cp", "-classpath", "--class-path"];

/// Files in these directories that are for another platform.
#[derive(Debug, Default)]
pub struct Places {
    /// Real paths of libraries for another architecture, with the setting that names their directory. Libraries whose
    /// name also exists for this platform are left out: that one is loaded, in whichever directory it is.
    libraries: BTreeMap<String, String>,
    /// Roots of environments, with a trailing slash.
    environments: Vec<String>,
    /// Directories of Java's native libraries, with the setting that names each.
    java: BTreeMap<String, String>,
}

impl Places {
    pub fn from_rootfs(rootfs: &RootFs<FileKind>, programs: &Programs<'_>, chain: &Chain<'_>) -> Places {
        let environments = environments(rootfs);
        let (mut directories, java) = searched(rootfs, chain);
        let java = java.into_iter().take(MAX_DIRECTORIES).filter_map(|(directory, by)| {
            let id = rootfs.resolve(&directory).ok().filter(|id| *id != rootfs.root())?;
            Some((String::from_utf8_lossy(&rootfs.path(id)).into_owned(), by))
        });
        let java: BTreeMap<String, String> = java.collect();
        directories
            .extend(environments.iter().map(|root| (format!("{root}lib"), root.trim_end_matches('/').to_string())));
        let mut named: BTreeMap<String, String> = BTreeMap::new();
        for (directory, by) in directories.into_iter().take(MAX_DIRECTORIES) {
            let Ok(id) = rootfs.resolve(&directory) else { continue };
            if rootfs.view(id).kind == NodeKind::Directory && id != rootfs.root() {
                named.entry(String::from_utf8_lossy(&rootfs.path(id)).into_owned()).or_insert(by);
            }
        }
        let mut places = Places { libraries: BTreeMap::new(), environments, java };
        if named.is_empty() {
            return places;
        }
        let usable = programs.runnable().filter(|program| program.fit <= Fit::Compat);
        let usable: BTreeSet<&str> = usable.map(|program| program.name()).collect();
        for program in programs.runnable().filter(|program| program.fit == Fit::Foreign) {
            let directory = program.path.rsplit_once('/').map_or("", |(directory, _)| directory);
            let name = program.name();
            // A name that contains a platform is one of several.
            if let Some(by) = named.get(directory)
                && is_library(name)
                && !usable.contains(name)
                && tokens::read(name).is_none()
            {
                places.libraries.insert(program.path.clone(), by.clone());
            }
        }
        places
    }

    /// The setting that names the directory of `path`, if a process would load the library from there.
    pub fn library(&self, path: &str) -> Option<&str> {
        self.libraries.get(path).map(String::as_str)
    }

    /// The setting that names the directory of `path` as one of Java's native libraries.
    pub fn java_library(&self, path: &str) -> Option<&str> {
        let directory = path.rsplit_once('/')?.0;
        self.java.get(directory).filter(|_| is_library(path)).map(String::as_str)
    }

    /// The environment that `path` is a program of.
    pub fn environment(&self, path: &str) -> Option<&str> {
        let is_own = |root: &&String| path.strip_prefix(root.as_str()).is_some_and(|rest| rest.starts_with("bin/"));
        self.environments.iter().find(is_own).map(|root| root.trim_end_matches('/'))
    }
}

/// Directories that contain an environment: conda keeps the records of its packages there, venv a file of settings.
/// Source: conda's documentation, "Concepts"; PEP 405.
fn environments(rootfs: &RootFs<FileKind>) -> Vec<String> {
    let marks = [(b"conda-meta".as_slice(), NodeKind::Directory), (b"pyvenv.cfg", NodeKind::File)];
    let mut found = BTreeSet::new();
    for (name, kind) in marks {
        for view in rootfs.named(name).filter(|view| view.kind == kind).take(MAX_DIRECTORIES) {
            let root = String::from_utf8_lossy(&rootfs.path(rootfs.parent(view.id))).into_owned();
            found.insert(format!("{}/", root.trim_end_matches('/')));
        }
    }
    found.into_iter().filter(|root| root != "/").collect()
}

/// The property of Java that a word sets to directories of native libraries, and its value.
fn java_property(word: &str) -> Option<(&str, &str)> {
    let option = JAVA_PROPERTIES.iter().find(|option| word.starts_with(**option))?;
    Some((&option["-D".len()..option.len() - 1], &word[option.len()..]))
}

/// Directories, each with the setting that names it.
type NamedDirectories = Vec<(String, String)>;

/// The directories of library paths and of jars, and those of Java's native libraries alone.
fn searched(rootfs: &RootFs<FileKind>, chain: &Chain<'_>) -> (NamedDirectories, NamedDirectories) {
    let absolute = |path: &str| match path.starts_with('/') {
        true => path.to_string(),
        false => format!("{}/{path}", chain.working_dir.trim_end_matches('/')),
    };
    let (mut found, mut java) = (Vec::new(), Vec::new());
    let add = |to: &mut NamedDirectories, list: &str, by: &str| {
        let directories = list.split(':').filter(|directory| !directory.is_empty() && !directory.contains('$'));
        to.extend(directories.map(|directory| (absolute(directory), by.to_string())));
    };
    for line in chain.env {
        let Some((key, value)) = line.split_once('=') else { continue };
        if key == "LD_LIBRARY_PATH" {
            add(&mut found, value, "ENV LD_LIBRARY_PATH");
        }
        for (_, list) in value.split_whitespace().filter_map(java_property) {
            add(&mut java, list, &format!("ENV {key}"));
        }
    }
    let is_java = |word: &String| word == "java" || word.ends_with("/java");
    for (at, word) in chain.argv.iter().enumerate() {
        if let Some((property, list)) = java_property(word) {
            add(&mut java, list, property);
        }
        let path = chain.argv.get(at + 1).filter(|_| chain.argv.iter().any(is_java));
        let Some(path) = path.filter(|_| word == "-jar" || CLASS_PATHS.contains(&word.as_str())) else { continue };
        for jar in path.split(':') {
            let is_jar = jar.ends_with(".jar") || jar.ends_with("/*");
            let directory = jar.rsplit_once('/').map_or(".", |(directory, _)| directory);
            if is_jar && !directory.is_empty() {
                add(&mut found, directory, "java's class path");
            }
        }
    }
    for id in &chain.files {
        let Some(FileKind::Script(script)) = rootfs.view(*id).fact else { continue };
        let text = String::from_utf8_lossy(&script.text);
        let by = String::from_utf8_lossy(&rootfs.path(*id)).into_owned();
        let words = text.split(|c: char| c.is_whitespace() || matches!(c, '"' | '\''));
        words.filter_map(java_property).for_each(|(_, list)| add(&mut java, list, &by));
    }
    found.extend(java.iter().cloned());
    (found, java)
}
