//! The image's files, as a script sees them.

use super::pattern::PatternToken;
use super::state::ShellState;
use super::text::{self, Truth};
use super::{ScriptInterpreter, text::clean};
use crate::exec::environment::{DEFAULT_PATH, variable};
use crate::exec::kernel::mounts;
use crate::image::{NodeId, NodeKind};
use crate::inspect::FileKind;

/// Maximum number of paths that a glob or `find` returns.
const MAX_PATHS: usize = 256;
/// Maximum number of directory entries that a glob or `find` examines.
const MAX_ENTRIES: usize = 4096;

impl ScriptInterpreter<'_, '_, '_> {
    /// Records the paths that a command passes to a program.
    pub(super) fn pass_arguments(&mut self, state: &ShellState, argv: &[String]) {
        for word in argv.iter().skip(1).filter(|word| word.contains('/') && !word.starts_with('-')) {
            if let Some(path) = self.absolute(state, word) {
                self.log.pass_argument(path, &self.source.path);
            }
        }
    }

    /// Returns an absolute path, resolved against the script's directory.
    pub(super) fn absolute(&self, state: &ShellState, path: &str) -> Option<String> {
        let path = text::plain(path);
        if !text::is_known(&path) {
            return None;
        }
        if path.starts_with('/') {
            return Some(path);
        }
        let cwd = text::plain(state.cwd.as_ref()?);
        let path = path.trim_start_matches("./");
        Some(match path {
            "." | "" => cwd,
            path => format!("{}/{path}", cwd.trim_end_matches('/')),
        })
    }

    pub(super) fn find_node(&self, path: &str, follows: bool) -> Option<NodeId> {
        let rootfs = self.machine.rootfs;
        let id = rootfs.walk(rootfs.root(), path.as_bytes(), follows, &|_| true).ok()?;
        (!mounts::is_hidden(rootfs, id)).then_some(id)
    }

    /// Returns the text of a file, if all of it was kept.
    pub(super) fn file_text(&mut self, state: &ShellState, path: &str) -> Option<String> {
        let path = self.absolute(state, path)?;
        if let Some(file) = state.made.written(self.machine.rootfs, &path) {
            return text::is_known(&file.text).then(|| file.text.to_string());
        }
        if state.written.contains(&path) {
            return None;
        }
        let id = self.find_node(&path, true)?;
        let text = kept_text(self.machine.rootfs.view(id).fact?)?;
        Some(self.bounded(clean(&text)))
    }

    /// Returns the paths that match a pattern, sorted. `None` if not known.
    pub(super) fn glob(&mut self, state: &ShellState, tokens: &[PatternToken]) -> Option<Vec<String>> {
        let is_absolute = tokens.first() == Some(&PatternToken::Char('/'));
        let start = if is_absolute { "/".to_string() } else { text::plain(state.cwd.as_ref()?) };
        let parts: Vec<&[PatternToken]> =
            tokens.split(|token| *token == PatternToken::Char('/')).filter(|part| !part.is_empty()).collect();
        // Each path that was found, as written and as it is in the tree.
        let mut found: Vec<(String, String)> = vec![(if is_absolute { "/".to_string() } else { String::new() }, start)];
        let mut looked_at = 0;
        for (at, part) in parts.iter().enumerate() {
            let literal: Option<String> =
                part.iter().map(|token| if let PatternToken::Char(c) = token { Some(*c) } else { None }).collect();
            let mut next = Vec::new();
            for (shown, real) in found {
                let join = |base: &str, name: &str| match base {
                    "" => name.to_string(),
                    base => format!("{}/{name}", base.trim_end_matches('/')),
                };
                if let Some(name) = &literal {
                    let path = join(&real, name);
                    if self.find_node(&path, at + 1 < parts.len()).is_some() {
                        next.push((join(&shown, name), path));
                    }
                    continue;
                }
                let Some(directory) = self.find_node(&real, true) else { continue };
                let mut names = Vec::new();
                for child in self.machine.rootfs.children(directory) {
                    looked_at += 1;
                    let name = String::from_utf8_lossy(child.name).into_owned();
                    let is_hidden = name.starts_with('.') && part.first() != Some(&PatternToken::Char('.'));
                    if looked_at > MAX_ENTRIES {
                        self.spend(looked_at / 16);
                        return None;
                    }
                    if !is_hidden && self.matches(part, &name) == Truth::Yes {
                        names.push(clean(&name));
                    }
                }
                names.sort();
                next.extend(names.iter().map(|name| (join(&shown, name), join(&real, name))));
            }
            if next.len() > MAX_PATHS {
                return None;
            }
            found = next;
        }
        self.spend(looked_at / 16);
        if tokens.last() != Some(&PatternToken::Char('/')) || parts.is_empty() {
            return Some(found.into_iter().map(|(shown, _)| shown).collect());
        }
        // A slash at the end selects directories, and is a part of their names.
        let is_directory = |path: &str| {
            let view = self.find_node(path, true).map(|id| self.machine.rootfs.view(id));
            view.is_some_and(|view| view.kind == NodeKind::Directory)
        };
        Some(found.iter().filter(|(_, real)| is_directory(real)).map(|(shown, _)| format!("{shown}/")).collect())
    }

    /// Returns the executable file that a name resolves to on PATH.
    pub(super) fn search(&mut self, state: &ShellState, name: &str, env: &[String]) -> Option<String> {
        let is_program = |own: &Self, path: &str| {
            let view = own.machine.rootfs.view(own.find_node(path, true)?);
            (view.kind == NodeKind::File && view.mode & 0o111 != 0).then_some(())
        };
        self.on_path(state, name, env, is_program)
    }

    /// Returns the file that `.` reads for a name.
    pub(super) fn search_text(&mut self, state: &ShellState, name: &str, env: &[String]) -> Option<String> {
        let is_file = |own: &Self, path: &str| {
            let view = own.machine.rootfs.view(own.find_node(path, true)?);
            (view.kind == NodeKind::File).then_some(())
        };
        self.on_path(state, name, env, is_file)
    }

    fn on_path(
        &self,
        state: &ShellState,
        name: &str,
        env: &[String],
        is_it: impl Fn(&Self, &str) -> Option<()>,
    ) -> Option<String> {
        if name.contains('/') {
            let path = self.absolute(state, name)?;
            return is_it(self, &path).map(|()| name.to_string());
        }
        let path = text::plain(variable(env, "PATH").unwrap_or(DEFAULT_PATH));
        path.split(':').filter(|directory| text::is_known(directory)).find_map(|directory| {
            let candidate = self.absolute(state, &format!("{}/{name}", directory.trim_end_matches('/')))?;
            is_it(self, &candidate).map(|()| candidate)
        })
    }

    /// Returns the files below a directory in the order of their paths.
    pub(super) fn below(&mut self, directory: &str, depth: usize) -> Option<Vec<(String, NodeId)>> {
        let mut found = Vec::new();
        let mut open = vec![(directory.trim_end_matches('/').to_string(), self.find_node(directory, true)?, depth)];
        while let Some((path, id, depth)) = open.pop() {
            let mut children = Vec::new();
            for child in self.machine.rootfs.children(id) {
                children.push((
                    format!("{path}/{}", clean(&String::from_utf8_lossy(child.name))),
                    child.id,
                    child.kind,
                ));
                if found.len() + children.len() > MAX_ENTRIES {
                    self.spend(MAX_ENTRIES / 16);
                    return None;
                }
            }
            children.sort_by(|a, b| a.0.cmp(&b.0));
            for (path, id, kind) in children {
                if kind == NodeKind::Directory && depth > 1 {
                    open.push((path.clone(), id, depth - 1));
                }
                found.push((path, id));
            }
        }
        self.spend(found.len() / 16);
        found.sort();
        Some(found)
    }
}

/// Returns the text of a file to which a script appends. It is unknown if it was not kept.
pub(super) fn old_text(kind: Option<&FileKind>) -> String {
    kind.and_then(kept_text).unwrap_or_else(|| text::HOLE.to_string())
}

/// Returns a file's text, if its kind keeps all of it.
pub(crate) fn kept_text(kind: &FileKind) -> Option<String> {
    match kind {
        FileKind::Script(script) if script.is_whole => Some(String::from_utf8_lossy(&script.text).into_owned()),
        FileKind::Config(bytes) if bytes.len() < crate::inspect::CONFIG_BYTES => {
            Some(String::from_utf8_lossy(bytes).into_owned())
        }
        FileKind::Empty => Some(String::new()),
        _ => None,
    }
}
