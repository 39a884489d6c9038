//! What can be executed or loaded, and the way to it: the entry chain, what its scripts call, PATH, the extension
//! modules of the language run-times that are installed. Severity follows from here.

use std::collections::{BTreeMap, BTreeSet};

use super::programs::{Fit, Program, Programs};
use crate::image::{NodeId, NodeKind, RootFs};
use crate::inspect::FileKind;

/// How a file is come by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// On the entry chain itself: the program, its interpreter, its loader, its libraries.
    Chain,
    /// Named by a script on the chain.
    Called { by: String },
    /// In a directory of PATH, by this name.
    Path,
    /// Loaded by this run-time, which the image has.
    Extension { runtime: &'static str },
    /// Inside an npm or Python package, whose run-time is not in the image.
    Package,
    /// Nothing is known to use it.
    Loose,
}

/// A language run-time: the names of its interpreter and where its extension modules lie.
struct Runtime {
    name: &'static str,
    interpreters: &'static [&'static str],
    is_extension: fn(&str) -> bool,
}

const RUNTIMES: &[Runtime] = &[
    Runtime {
        name: "Python",
        interpreters: &["python", "python3", "python2", "pypy3"],
        is_extension: |path| {
            (path.contains("/site-packages/") || path.contains("/dist-packages/") || path.contains("/lib-dynload/"))
                && is_library(path)
        },
    },
    Runtime {
        name: "Node.js",
        interpreters: &["node", "nodejs", "bun", "deno"],
        is_extension: |path| path.ends_with(".node") || path.contains("/node_modules/"),
    },
    Runtime {
        name: "Ruby",
        interpreters: &["ruby"],
        is_extension: |path| {
            (path.contains("/gems/") || path.contains("/vendor_ruby/") || path.contains("/site_ruby/"))
                && is_library(path)
        },
    },
    Runtime {
        name: "PHP",
        interpreters: &["php", "php-fpm"],
        is_extension: |path| (path.contains("/php/extensions/") || path.contains("/lib/php/")) && is_library(path),
    },
    Runtime {
        name: "Perl",
        interpreters: &["perl"],
        is_extension: |path| path.contains("/perl") && path.contains("/auto/") && is_library(path),
    },
    Runtime {
        name: ".NET",
        interpreters: &["dotnet"],
        is_extension: |path| path.contains("/runtimes/") && is_library(path),
    },
    Runtime {
        name: "R",
        interpreters: &["R", "Rscript"],
        is_extension: |path| path.contains("/R/") && path.contains("/libs/") && is_library(path),
    },
];

fn is_library(path: &str) -> bool {
    path.ends_with(".so") || path.contains(".so.")
}

/// What the rules ask of the way to a file.
pub struct Reach {
    /// Real paths on the entry chain.
    chain: BTreeSet<String>,
    /// Real paths that scripts on the chain name, with the script.
    called: BTreeMap<String, String>,
    /// Directories of PATH, links resolved.
    path: Vec<String>,
    /// Index into RUNTIMES, and the interpreter's path.
    runtimes: Vec<(usize, String)>,
}

/// The entry chain in the form that reach needs.
pub struct Chain<'a> {
    pub files: Vec<NodeId>,
    pub path: &'a str,
}

impl Reach {
    pub fn of(rootfs: &RootFs<FileKind>, programs: &Programs<'_>, chain: &Chain<'_>) -> Reach {
        let real = |id: NodeId| String::from_utf8_lossy(&rootfs.path(id)).into_owned();
        let path = path_directories(rootfs, chain.path);
        let mut called = BTreeMap::new();
        for id in &chain.files {
            if let Some(FileKind::Script(script)) = rootfs.view(*id).fact {
                for found in commands(&script.text).filter_map(|word| find(rootfs, &path, &word)) {
                    called.entry(real(found)).or_insert_with(|| real(*id));
                }
            }
        }
        Reach { chain: chain.files.iter().map(|id| real(*id)).collect(), called, path, runtimes: runtimes(programs) }
    }

    /// The way to a program, the shortest there is.
    pub fn way(&self, program: &Program<'_>) -> Way {
        if self.chain.contains(&program.path) {
            return Way::Chain;
        }
        if let Some(by) = self.called.get(&program.path) {
            return Way::Called { by: by.clone() };
        }
        if program.is_executable() && self.path.iter().any(|directory| is_directly_in(&program.path, directory)) {
            return Way::Path;
        }
        if let Some((index, _)) = self.runtimes.iter().find(|(index, _)| (RUNTIMES[*index].is_extension)(&program.path))
        {
            return Way::Extension { runtime: RUNTIMES[*index].name };
        }
        let is_packaged = RUNTIMES.iter().any(|runtime| (runtime.is_extension)(&program.path));
        if is_packaged { Way::Package } else { Way::Loose }
    }

    /// Whether `path` lies directly in a directory of PATH.
    pub fn is_on_path(&self, path: &str) -> bool {
        self.path.iter().any(|directory| is_directly_in(path, directory))
    }

    /// Whether `path` is on the entry chain.
    pub fn is_chain(&self, path: &str) -> bool {
        self.chain.contains(path)
    }

    /// The installed interpreter of a run-time.
    pub fn interpreter(&self, runtime: &str) -> Option<&str> {
        self.runtimes.iter().find(|(index, _)| RUNTIMES[*index].name == runtime).map(|(_, path)| path.as_str())
    }

    /// Whether a JVM is among the image's own programs.
    pub fn has_java(programs: &Programs<'_>) -> bool {
        programs.runnable().any(|program| program.fit <= Fit::Compat && matches!(program.name(), "java" | "libjvm.so"))
    }
}

fn is_directly_in(path: &str, directory: &str) -> bool {
    path.rsplit_once('/').is_some_and(|(parent, _)| parent == directory.trim_end_matches('/'))
}

fn path_directories(rootfs: &RootFs<FileKind>, path: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for directory in path.split(':').filter(|directory| directory.starts_with('/')) {
        let Ok(id) = rootfs.resolve(directory) else { continue };
        let real = String::from_utf8_lossy(&rootfs.path(id)).into_owned();
        if rootfs.view(id).kind == NodeKind::Directory && !found.contains(&real) {
            found.push(real);
        }
    }
    found
}

/// Interpreters that are there for the image's own platform. `python3.11` counts as python3.
fn runtimes(programs: &Programs<'_>) -> Vec<(usize, String)> {
    let is_named = |name: &str, runtime: &Runtime| {
        runtime.interpreters.iter().any(|interpreter| {
            let rest = name.strip_prefix(interpreter);
            rest.is_some_and(|rest| rest.chars().all(|c| c.is_ascii_digit() || c == '.' || c == '-'))
        })
    };
    let mut found: Vec<(usize, String)> = Vec::new();
    for program in programs.runnable().filter(|program| program.fit <= Fit::Compat && program.is_executable()) {
        for (index, runtime) in RUNTIMES.iter().enumerate() {
            if is_named(program.name(), runtime) && !found.iter().any(|(other, _)| *other == index) {
                found.push((index, program.path.clone()));
            }
        }
    }
    found
}

/// Words in command position of a shell script: after a line's start, `exec`, `&&`, `||`, `;`, `|`, `then`, `do`, `$(`.
/// Rough on purpose: a word counts only where a foreign file of that name exists.
fn commands(script: &[u8]) -> impl Iterator<Item = String> {
    let text = String::from_utf8_lossy(script).into_owned();
    let mut found = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.starts_with('#')) {
        let spaced = line
            .replace("&&", " ; ")
            .replace("||", " ; ")
            .replace(['|', '`'], " ; ")
            .replace("$(", " ; ")
            .replace(';', " ; ");
        let mut expects_command = true;
        for word in spaced.split_whitespace() {
            let word = word.trim_matches(|c| matches!(c, '"' | '\'' | '(' | ')' | '{' | '}'));
            let is_prefix = matches!(
                word,
                "exec" | "then" | "do" | "else" | "if" | "while" | "!" | "nohup" | "time" | "command" | "sudo"
            );
            let is_assignment = word.split_once('=').is_some_and(|(name, _)| !name.is_empty() && !name.contains('/'));
            match word {
                "" | ";" => expects_command = true,
                _ if is_prefix || (expects_command && is_assignment) => {}
                _ => {
                    // An absolute path is a file that the script names, wherever it stands.
                    if expects_command || word.starts_with('/') {
                        found.push(word.to_string());
                    }
                    expects_command = false;
                }
            }
        }
    }
    found.into_iter()
}

fn find(rootfs: &RootFs<FileKind>, path: &[String], word: &str) -> Option<NodeId> {
    let is_file = |id: &NodeId| rootfs.view(*id).kind == NodeKind::File;
    if word.starts_with('/') {
        return rootfs.resolve(word).ok().filter(is_file);
    }
    if word.contains('/') || word.is_empty() {
        return None;
    }
    path.iter().find_map(|directory| rootfs.resolve(format!("{directory}/{word}")).ok().filter(is_file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_words_in_command_position_and_absolute_paths() {
        let script = b"#!/bin/sh\nset -e\n# /opt/not\nFOO=1 /opt/a --x\nif test -f x; then /opt/b; fi\nx=$(tool run) && exec other \"$@\" /opt/c\n";
        let found: Vec<String> = commands(script).collect();
        for word in ["set", "/opt/a", "test", "/opt/b", "tool", "other", "/opt/c"] {
            assert!(found.contains(&word.to_string()), "{word} in {found:?}");
        }
        assert!(!found.iter().any(|word| word == "/opt/not" || word == "--x" || word == "run"), "{found:?}");
    }
}
