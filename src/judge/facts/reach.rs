//! What can be executed or loaded, and how it is reached: the entry chain, the files that its scripts call, PATH, the
//! native modules of installed language runtimes, and the libraries that any of these need. Severity follows from this.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::image::{NodeId, NodeKind, RootFs};
use crate::inspect::FileKind;
use crate::judge::facts::chain::Chain;
use crate::judge::facts::named::{NamedBy, NamedFiles};
use crate::judge::facts::places::Places;
use crate::judge::facts::programs::{Fit, JudgedProgram, Programs};
use crate::judge::facts::python::{PythonTag, Pythons};
use crate::judge::facts::runtimes::{self, RuntimeKind};
use crate::judge::facts::versions::RuntimeVersions;
use crate::platform::Arch;

/// How a file is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReachRoute {
    /// On the entry chain itself: the program, its interpreter, its loader, its libraries.
    Chain,
    /// Named by a script on the chain, or by a script that such a script names.
    Called { by: String },
    /// In a directory of PATH, directly or by this link.
    Path { link: Option<String> },
    /// Named by configuration or the environment.
    Named { by: NamedBy, what: NamedWhat },
    /// A library in a directory that `by` adds to the search.
    Searched { by: String },
    /// A program of an environment, which the environment runs itself.
    Environment { root: String },
    /// Loaded by this runtime, which the image has.
    Extension { runtime: RuntimeKind },
    /// A library that this program or module, which is in reach, needs and finds nowhere else.
    Needed { by: String },
    /// Inside a package whose runtime is not in the image.
    Package,
    /// Nothing is known to use it.
    Loose,
}

/// What configuration names of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NamedWhat {
    /// Its path, or its own file name.
    File,
    /// A directory that contains it.
    Directory,
}

/// Limit on the scripts that are followed from the chain's own; more do not fit on a screen.
const SCRIPTS: usize = 256;

/// Facts on reach that the rules query.
pub struct ReachFacts {
    /// Real paths on the entry chain.
    chain: BTreeSet<String>,
    /// Real paths that a script on the chain tries to start, and goes on without.
    tried: BTreeSet<String>,
    /// Real paths that scripts pass to programs.
    passed: BTreeSet<String>,
    /// Real paths that scripts name, with the script.
    called: BTreeMap<String, String>,
    /// Real paths of the interpreters of scripts on PATH, with one script each.
    interpreters: BTreeMap<String, String>,
    /// Directories of PATH, links resolved.
    path: Vec<String>,
    /// Real paths that links in directories of PATH lead to, with the link.
    linked: BTreeMap<String, String>,
    /// Index into RUNTIMES, and the host's path.
    runtimes: Vec<(RuntimeKind, String)>,
    /// Architectures of the hosts of each runtime; index into RUNTIMES.
    architectures: BTreeSet<(RuntimeKind, Arch)>,
    /// Index into RUNTIMES, and the directory of its native libraries.
    homes: Vec<(RuntimeKind, String)>,
    /// Directories of published applications, in the form of `homes`.
    applications: Vec<(RuntimeKind, String)>,
    named: NamedFiles,
    places: Places,
    pythons: Pythons,
    versions: RuntimeVersions,
    /// Roots of OTP releases whose start script is on the chain, with a trailing slash, and the script.
    releases: Vec<(String, String)>,
    /// Libraries that programs and modules in reach need and that this platform does not have, with a program that
    /// needs each.
    lacking: BTreeMap<String, String>,
}

impl ReachFacts {
    pub fn from_rootfs(rootfs: &RootFs<FileKind>, programs: &Programs<'_>, chain: &Chain<'_>) -> ReachFacts {
        let path = path_directories(rootfs, chain.path);
        let mut reach = ReachFacts {
            chain: chain.files.iter().map(|id| real(rootfs, *id)).collect(),
            tried: chain.tried.iter().map(|id| real(rootfs, *id)).collect(),
            passed: chain.arguments.keys().filter_map(|path| Some(real(rootfs, rootfs.resolve(path).ok()?))).collect(),
            called: called(rootfs, chain, &path),
            interpreters: interpreters(rootfs, &path),
            linked: linked(rootfs, &path),
            path,
            runtimes: runtimes::installed(programs),
            architectures: runtimes::architectures(programs),
            homes: runtimes::homes(programs),
            applications: runtimes::applications(rootfs),
            named: NamedFiles::from_rootfs(rootfs, chain.env, chain.argv),
            places: Places::from_rootfs(rootfs, programs, chain),
            pythons: Pythons::from_programs(programs),
            versions: RuntimeVersions::from_rootfs(rootfs, programs, chain.env),
            releases: Vec::new(),
            lacking: BTreeMap::new(),
        };
        reach.releases = reach.releases(rootfs);
        let is_there = |name: &str| programs.runnable().any(|own| own.fit <= Fit::Compat && own.name() == name);
        reach.named.retain_libraries(|name| !is_there(name));
        reach.lacking = reach.lacking(programs);
        reach
    }

    /// The most direct route to a program.
    pub fn route(&self, program: &JudgedProgram<'_>) -> ReachRoute {
        if self.is_chain(&program.path) {
            return ReachRoute::Chain;
        }
        if let Some(by) = self.called.get(&program.path) {
            return ReachRoute::Called { by: by.clone() };
        }
        if program.is_executable() && self.is_on_path(&program.path) {
            return ReachRoute::Path { link: self.link(&program.path).map(str::to_string) };
        }
        if let Some(by) = self.release_of(&program.path) {
            return ReachRoute::Called { by: by.to_string() };
        }
        if let Some((by, what)) = self.named(&program.path, program.is_executable()) {
            return ReachRoute::Named { by: by.clone(), what };
        }
        if let Some(by) = self.interpreters.get(&program.path).filter(|_| program.is_executable()) {
            return ReachRoute::Called { by: by.clone() };
        }
        if let Some(by) = self.places.library(&program.path) {
            return ReachRoute::Searched { by: by.to_string() };
        }
        if let Some(root) = self.places.environment(&program.path).filter(|_| program.is_executable()) {
            return ReachRoute::Environment { root: root.to_string() };
        }
        match self.module_of(&program.path) {
            Some((runtime, true)) => return ReachRoute::Extension { runtime },
            Some((_, false)) => return ReachRoute::Package,
            None => {}
        }
        let soname = program.elf.dynamic.as_ref().and_then(|dynamic| dynamic.soname.as_deref());
        let needed = soname.and_then(|soname| self.lacking.get(soname)).or_else(|| self.lacking.get(program.name()));
        needed.map_or(ReachRoute::Loose, |by| ReachRoute::Needed { by: by.clone() })
    }

    /// The runtime that loads modules from `path`, and whether it is installed.
    pub fn module_of(&self, path: &str) -> Option<(RuntimeKind, bool)> {
        let own = runtimes::of_module(path, &self.runtimes, &self.homes);
        own.or_else(|| runtimes::of_module(path, &self.runtimes, &self.applications))
    }

    /// Whether a runtime has a host for `arch`, so that it can load modules for it.
    pub fn has_host(&self, runtime: RuntimeKind, arch: Arch) -> bool {
        self.architectures.contains(&(runtime, arch))
    }

    /// Whether `path` belongs to a runtime that can be in any directory: a Java or .NET runtime's own libraries.
    pub fn is_home(&self, path: &str) -> bool {
        self.homes.iter().any(|(_, home)| path.starts_with(home))
    }

    /// The versions of the image's runtimes.
    pub fn versions(&self) -> &RuntimeVersions {
        &self.versions
    }

    /// Whether `path` is in the directory of a published .NET application.
    pub fn is_application(&self, path: &str) -> bool {
        self.applications.iter().any(|(_, directory)| path.starts_with(directory))
    }

    /// Whether no Python of the image looks for modules with this tag. False if that is unknown.
    pub fn lacks_python(&self, tag: &PythonTag) -> bool {
        self.pythons.lack(tag)
    }

    /// The interpreters that a wheel's tags name, if the image has none of them.
    pub fn foreign_pythons(&self, tags: &[String]) -> Option<String> {
        self.pythons.foreign_tags(tags)
    }

    /// The setting that names a file, and what it names.
    pub fn named(&self, path: &str, is_executable: bool) -> Option<(&NamedBy, NamedWhat)> {
        let name = path.rsplit('/').next().unwrap_or(path);
        let file = self.named.file(path).or_else(|| self.named.library(name));
        let directory = || self.named.directory_of(path).filter(|_| is_executable);
        file.map(|by| (by, NamedWhat::File)).or_else(|| directory().map(|by| (by, NamedWhat::Directory)))
    }

    /// Whether the configuration at `path` is in use: false if it is available but not enabled.
    pub fn is_read(&self, rootfs: &RootFs<FileKind>, path: &str, id: NodeId) -> bool {
        self.named.is_read(rootfs, path, id)
    }

    /// Whether configuration names a module.
    pub fn names_module(&self, path: &str) -> bool {
        self.named.names_module(path)
    }

    /// The start script of the OTP release whose virtual machine is `path`: a release only runs on its own erts.
    /// Source: Erlang's systools, `erts-VERSION/bin`, and Elixir's `mix release`.
    pub fn release_of(&self, path: &str) -> Option<&str> {
        let (root, rest) = path.split_once("/erts-")?;
        let is_vm = rest.split_once('/').is_some_and(|(_, rest)| rest.starts_with("bin/"));
        let found = self.releases.iter().find(|(own, _)| own.trim_end_matches('/') == root && is_vm);
        found.map(|(_, script)| script.as_str())
    }

    fn releases(&self, rootfs: &RootFs<FileKind>) -> Vec<(String, String)> {
        let scripts = self.chain.iter().chain(self.called.keys());
        let rooted = scripts.filter_map(|script| {
            let root = script.rsplit_once("/bin/").filter(|(_, name)| !name.contains('/'))?.0;
            let is_release = rootfs.resolve(format!("{root}/releases/start_erl.data")).is_ok();
            is_release.then(|| (format!("{root}/"), script.clone()))
        });
        rooted.collect()
    }

    /// Whether `path` is directly in a directory of PATH, or a link there leads to it.
    pub fn is_on_path(&self, path: &str) -> bool {
        self.path.iter().any(|directory| is_directly_in(path, directory)) || self.linked.contains_key(path)
    }

    /// The link in a directory of PATH that leads to a file elsewhere.
    pub fn link(&self, path: &str) -> Option<&str> {
        let is_there_itself = self.path.iter().any(|directory| is_directly_in(path, directory));
        self.linked.get(path).filter(|_| !is_there_itself).map(String::as_str)
    }

    /// The script that names `path`.
    pub fn caller(&self, path: &str) -> Option<&str> {
        self.called.get(path).map(String::as_str)
    }

    /// The setting that names the directory of `path` as one of Java's native libraries.
    pub fn java_library(&self, path: &str) -> Option<&str> {
        self.places.java_library(path)
    }

    /// Whether a script may do without this file: it tests whether the file starts, or names it in a way that was not
    /// followed.
    pub fn may_be_spared(&self, path: &str) -> bool {
        !self.chain.contains(path) && !self.passed.contains(path)
    }

    /// Whether `path` is on the entry chain, or a script on the chain tries to start it.
    pub fn is_chain(&self, path: &str) -> bool {
        self.chain.contains(path) || self.tried.contains(path)
    }

    /// The installed interpreter of a runtime.
    pub fn interpreter(&self, runtime: RuntimeKind) -> Option<&str> {
        let named = self.runtimes.iter().find(|(kind, _)| *kind == runtime);
        named.map(|(_, path)| path.as_str())
    }

    /// Sonames needed by reachable programs that no usable library provides.
    fn lacking(&self, programs: &Programs<'_>) -> BTreeMap<String, String> {
        let usable = || programs.runnable().filter(|program| program.fit <= Fit::Compat);
        let mut there: BTreeSet<&str> = BTreeSet::new();
        for program in usable() {
            there.insert(program.name());
            there.extend(program.elf.dynamic.as_ref().and_then(|dynamic| dynamic.soname.as_deref()));
        }
        let mut lacking = BTreeMap::new();
        for program in usable() {
            let Some(dynamic) = &program.elf.dynamic else { continue };
            let missing: Vec<&String> = dynamic.needed.iter().filter(|name| !there.contains(name.as_str())).collect();
            if !missing.is_empty() && !matches!(self.route(program), ReachRoute::Loose | ReachRoute::Package) {
                for name in missing {
                    lacking.entry(name.clone()).or_insert_with(|| program.path.clone());
                }
            }
        }
        lacking
    }
}

fn real(rootfs: &RootFs<FileKind>, id: NodeId) -> String {
    String::from_utf8_lossy(&rootfs.path(id)).into_owned()
}

fn is_directly_in(path: &str, directory: &str) -> bool {
    let below = path.strip_prefix(directory.trim_end_matches('/')).and_then(|rest| rest.strip_prefix('/'));
    below.is_some_and(|name| !name.contains('/'))
}

fn path_directories(rootfs: &RootFs<FileKind>, path: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for directory in path.split(':').filter(|directory| directory.starts_with('/')) {
        let Ok(id) = rootfs.resolve(directory) else { continue };
        let real = real(rootfs, id);
        if rootfs.view(id).kind == NodeKind::Directory && !found.contains(&real) {
            found.push(real);
        }
    }
    found
}

/// The targets of links in directories of PATH: `/usr/bin/java` -> `/etc/alternatives/java` -> `/usr/lib/jvm/...`.
fn linked(rootfs: &RootFs<FileKind>, path: &[String]) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for directory in path.iter().filter_map(|directory| rootfs.resolve(directory).ok()) {
        for link in rootfs.children(directory).filter(|view| view.kind == NodeKind::Symlink) {
            let name = real(rootfs, link.id);
            if let Ok(target) = rootfs.resolve(&name) {
                found.entry(real(rootfs, target)).or_insert(name);
            }
        }
    }
    found
}

/// The files that the chain's scripts pass to programs or name, directly or through other scripts.
fn called(rootfs: &RootFs<FileKind>, chain: &Chain<'_>, path: &[String]) -> BTreeMap<String, String> {
    let mut called = BTreeMap::new();
    let mut open: VecDeque<NodeId> = chain.files.iter().chain(&chain.health).copied().collect();
    let mut seen: BTreeSet<NodeId> = open.iter().copied().collect();
    for (argument, by) in chain.arguments {
        let Some(found) = find(rootfs, path, chain, &[], argument) else { continue };
        called.entry(real(rootfs, found)).or_insert_with(|| by.clone());
        if seen.len() < SCRIPTS && seen.insert(found) {
            open.push_back(found);
        }
    }
    while let Some(id) = open.pop_front() {
        let Some(FileKind::Script(script)) = rootfs.view(id).fact else { continue };
        let by = real(rootfs, id);
        let words: Vec<String> = commands(&script.text, chain.lines.get(&id).copied()).collect();
        // `cd /srv && ./app`: relative paths are tried in each directory that the script names.
        let is_directory = |word: &&String| {
            word.starts_with('/')
                && rootfs.resolve(word.as_str()).is_ok_and(|id| rootfs.view(id).kind == NodeKind::Directory)
        };
        let directories: Vec<&str> = words.iter().filter(is_directory).map(String::as_str).collect();
        for word in &words {
            let Some(found) = find(rootfs, path, chain, &directories, word) else { continue };
            called.entry(real(rootfs, found)).or_insert_with(|| by.clone());
            if seen.len() < SCRIPTS && seen.insert(found) {
                open.push_back(found);
            }
        }
    }
    called
}

/// The interpreters of the scripts in directories of PATH, with one script each.
fn interpreters(rootfs: &RootFs<FileKind>, path: &[String]) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for directory in path.iter().filter_map(|directory| rootfs.resolve(directory).ok()) {
        for view in rootfs.children(directory).filter(|view| view.mode & 0o111 != 0) {
            let Some(FileKind::Script(script)) = view.fact else { continue };
            let Ok(shebang) = &script.shebang else { continue };
            let interpreter = String::from_utf8_lossy(&shebang.interpreter).into_owned();
            if let Ok(id) = rootfs.resolve(&interpreter) {
                found.entry(real(rootfs, id)).or_insert_with(|| real(rootfs, view.id));
            }
        }
    }
    found
}

/// Words in command position of a shell script: at the start of a line and after `exec`, `&&`, `||`, `;`, `|`, `then`,
/// `do`, `$(`. Rough on purpose: a word only counts if a file of that name exists and does not fit.
/// Only on `lines`, if they are known.
fn commands(script: &[u8], lines: Option<&BTreeSet<usize>>) -> impl Iterator<Item = String> {
    let text = String::from_utf8_lossy(script).into_owned();
    let mut found = Vec::new();
    let is_run = |number: usize| lines.is_none_or(|lines| lines.contains(&number));
    let run = text.lines().zip(1..).filter(|(_, number)| is_run(*number));
    for line in run.map(|(line, _)| line.trim()).filter(|line| !line.starts_with('#')) {
        let spaced = line
            .replace("&&", " ; ")
            .replace("||", " ; ")
            .replace(['|', '`'], " ; ")
            .replace("$(", " ; ")
            .replace(';', " ; ");
        let mut expects_command = true;
        for word in spaced.split_whitespace() {
            let word = word.trim_matches(|c| matches!(c, '"' | '\'' | '(' | ')'));
            let is_prefix = matches!(
                word,
                "exec"
                    | "then"
                    | "do"
                    | "else"
                    | "if"
                    | "while"
                    | "!"
                    | "nohup"
                    | "time"
                    | "command"
                    | "sudo"
                    | "."
                    | "source"
                    | "{"
            );
            let assigned = word.split_once('=').filter(|(name, _)| !name.is_empty() && !name.contains('/'));
            match word {
                "" | ";" => expects_command = true,
                _ if is_prefix => {}
                _ if expects_command && assigned.is_some() => {
                    // `TOOL=/srv/tool` names a file, too.
                    let value = assigned.map_or("", |(_, value)| value.trim_matches(['"', '\'']));
                    found.extend(value.starts_with('/').then(|| value.to_string()));
                }
                _ => {
                    // An absolute path names a file in any position.
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

/// The file that a script's word leads to: by its path, with the image's variables expanded, or by PATH.
fn find(
    rootfs: &RootFs<FileKind>,
    path: &[String],
    chain: &Chain<'_>,
    directories: &[&str],
    word: &str,
) -> Option<NodeId> {
    let is_file = |id: &NodeId| rootfs.view(*id).kind == NodeKind::File;
    let word = expand(word, chain.env)?;
    if word.starts_with('/') {
        return rootfs.resolve(&word).ok().filter(is_file);
    }
    if word.contains('/') {
        let directories = std::iter::once(chain.working_dir).chain(directories.iter().copied());
        return directories.filter_map(|directory| rootfs.resolve(format!("{directory}/{word}")).ok()).find(is_file);
    }
    path.iter().find_map(|directory| rootfs.resolve(format!("{directory}/{word}")).ok().filter(is_file))
}

/// Expands `$HOME/bin/tool` and `${HOME}/bin/tool` with the image's environment. `None`: empty, or an unset variable.
fn expand(word: &str, env: &[String]) -> Option<String> {
    let Some(rest) = word.strip_prefix('$') else { return (!word.is_empty()).then(|| word.to_string()) };
    let (name, rest) = match rest.strip_prefix('{') {
        Some(rest) => rest.split_once('}')?,
        None => rest.split_at(rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len())),
    };
    let value = env.iter().rev().find_map(|line| line.strip_prefix(name)?.strip_prefix('='))?;
    Some(format!("{value}{rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_words_in_command_position_and_absolute_paths() {
        let script = b"#!/bin/sh\nset -e\n# /opt/not\nFOO=1 /opt/a --x\nif test -f x; then /opt/b; fi\nx=$(tool run) && exec other \"$@\" /opt/c\nT=/opt/d\n. /opt/e\n";
        let found: Vec<String> = commands(script, None).collect();
        for word in ["set", "/opt/a", "test", "/opt/b", "tool", "other", "/opt/c", "/opt/d", "/opt/e"] {
            assert!(found.contains(&word.to_string()), "{word} in {found:?}");
        }
        assert!(!found.iter().any(|word| word == "/opt/not" || word == "--x" || word == "run"), "{found:?}");
    }

    #[test]
    fn variables_of_the_image_are_expanded() {
        let env = ["HOME=/srv".to_string()];
        assert_eq!(expand("$HOME/bin/tool", &env).as_deref(), Some("/srv/bin/tool"));
        assert_eq!(expand("${HOME}/tool", &env).as_deref(), Some("/srv/tool"));
        assert_eq!(expand("$OTHER/tool", &env), None);
        assert_eq!(expand("tool", &env).as_deref(), Some("tool"));
    }
}
