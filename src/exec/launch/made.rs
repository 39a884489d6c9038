//! Directories, links and copies that a script makes with `mkdir`, `ln`, `cp`, `mv` and `crontab`, so that a supervisor
//! that the script starts finds the services in them.

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::exec::kernel::changes::{ChangeEffect, FileChanges, ModeChange};
use crate::exec::outcome::lossy;
use crate::image::{NodeId, NodeKind, RootFs};
use crate::inspect::FileKind;

/// Maximum number of paths that are recorded for one script.
const MAX_MADE: usize = 256;
/// Maximum number of bytes of a written file that is kept.
const MAX_WRITTEN: usize = 64 << 10;

/// The paths that a script made, and those that it changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct MadePaths {
    paths: BTreeMap<String, MadePath>,
    /// The owners and modes of the image's files that it changed.
    changes: Rc<FileChanges>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct MadePath {
    /// What it is a link to or a copy of. `None` for a new directory.
    source: Option<String>,
    /// The text of a file that the script wrote. It may have unknown parts.
    text: Option<Rc<str>>,
    is_executable: bool,
    /// Whether all branches of the script make it.
    is_sure: bool,
}

/// Returns the text of a file.
pub(crate) type OldText = fn(Option<&FileKind>) -> String;

/// A file that a script wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WrittenFile {
    pub text: Rc<str>,
    pub is_executable: bool,
}

/// An entry of a directory that a script made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MadeEntry {
    pub name: String,
    /// The path in the image that it stands for.
    pub source: String,
    pub is_sure: bool,
}

/// A command that makes paths, and its operands as absolute paths. The last operand of `ln`, `cp` and `mv` is the new
/// path.
pub(crate) struct MakingCall<'c> {
    pub name: &'c str,
    pub options: &'c [&'c str],
    pub operands: &'c [String],
}

impl MadePaths {
    /// Records the effect of a command. Returns false if what it makes is not known.
    pub(crate) fn record(&mut self, rootfs: &RootFs<FileKind>, call: &MakingCall<'_>) -> bool {
        let has = |letter: char| call.options.iter().any(|word| !word.starts_with("--") && word.contains(letter));
        if self.paths.len() + call.operands.len() > MAX_MADE {
            return false;
        }
        match call.name {
            "mkdir" => {
                for path in call.operands {
                    self.insert(real(rootfs, path), None);
                }
            }
            "ln" | "cp" | "mv" => {
                // `-t DIR` names the directory first.
                let Some((target, sources)) = call.operands.split_last().filter(|_| !has('t')) else { return false };
                let is_plain = has('T') || call.name == "ln" && has('n');
                let is_inside = target.ends_with('/') || self.is_directory(rootfs, target) && !is_plain;
                let target = real(rootfs, target.trim_end_matches('/'));
                for source in sources {
                    let (path, is_content) = match source.strip_suffix("/.") {
                        Some(path) => (path, true),
                        None => (source.trim_end_matches('/'), false),
                    };
                    let path = if path.is_empty() { "/" } else { path };
                    let name = path.rsplit('/').next().unwrap_or_default();
                    let made = match is_inside && !is_content {
                        true => format!("{}/{name}", target.trim_end_matches('/')),
                        false => target.clone(),
                    };
                    self.insert(made, Some(path.to_string()));
                }
            }
            _ => return false,
        }
        true
    }

    /// Records the text that a script writes to a file, or appends to it. A text that is not known has unknown parts.
    ///
    /// `appended_to` returns the text of a file of the image to which the script appends.
    pub(crate) fn write(&mut self, rootfs: &RootFs<FileKind>, path: &str, text: &str, appended_to: Option<OldText>) {
        let path = real(rootfs, path);
        let old = self.paths.get(&path);
        let in_image = rootfs.resolve(&path).ok().map(|id| rootfs.view(id));
        let is_executable = match (old, &in_image) {
            (Some(old), _) => old.is_executable,
            (None, Some(view)) => view.mode & 0o111 != 0,
            (None, None) => false,
        };
        let before = match (appended_to, old.and_then(|old| old.text.as_deref())) {
            (None, _) => String::new(),
            (Some(_), Some(text)) => text.to_string(),
            (Some(old_text), None) => in_image.map_or(String::new(), |view| old_text(view.fact)),
        };
        if self.paths.len() >= MAX_MADE && old.is_none() || before.len() + text.len() > MAX_WRITTEN {
            return;
        }
        let text = Some(format!("{before}{text}").into());
        self.paths.insert(path, MadePath { source: None, text, is_executable, is_sure: true });
    }

    /// Records that `chmod` changed the mode of a file that was written or copied. Returns false if there is none.
    pub(crate) fn change_mode(&mut self, rootfs: &RootFs<FileKind>, path: &str, mode: &ModeChange) -> bool {
        let Some(made) = self.paths.get_mut(&real(rootfs, path)) else { return false };
        let before = if made.is_executable { 0o755 } else { 0o644 };
        made.is_executable = mode.apply(before, false) & 0o111 != 0;
        // A copy is started as the file that it is a copy of.
        if let Some(id) = made.source.as_ref().and_then(|source| rootfs.resolve(source).ok()) {
            Rc::make_mut(&mut self.changes).record(id, false, ChangeEffect::Mode(mode.clone()));
        }
        true
    }

    /// Records a change of a file of the image. Returns false if there are too many.
    pub(crate) fn change(&mut self, file: NodeId, is_recursive: bool, effect: ChangeEffect) -> bool {
        Rc::make_mut(&mut self.changes).record(file, is_recursive, effect)
    }

    /// The owners and modes of the image's files that were changed.
    pub(crate) fn changes(&self) -> Rc<FileChanges> {
        Rc::clone(&self.changes)
    }

    /// Returns a file that the script wrote, on all of its branches.
    pub(crate) fn written(&self, rootfs: &RootFs<FileKind>, path: &str) -> Option<WrittenFile> {
        if self.paths.is_empty() {
            return None;
        }
        let made = self.paths.get(&real(rootfs, path)).filter(|made| made.is_sure)?;
        Some(WrittenFile { text: made.text.clone()?, is_executable: made.is_executable })
    }

    /// Returns the files that were written, and whose path matches.
    pub(crate) fn matching(&self, is_it: impl Fn(&str) -> bool) -> Vec<String> {
        let written = self.paths.iter().filter(|(path, made)| made.is_sure && made.text.is_some() && is_it(path));
        written.map(|(path, _)| path.clone()).collect()
    }

    fn insert(&mut self, path: String, source: Option<String>) {
        // A new directory does not replace what is already there.
        if source.is_some() || !self.paths.contains_key(&path) {
            self.paths.insert(path, MadePath { source, text: None, is_executable: false, is_sure: true });
        }
    }

    /// Whether a path was made, or may be below one that was.
    pub(crate) fn may_have(&self, path: &str) -> bool {
        let is_in = |made: &String| {
            path.strip_prefix(made.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.paths.keys().any(is_in)
    }

    fn is_directory(&self, rootfs: &RootFs<FileKind>, path: &str) -> bool {
        let is_directory = |path: &str| {
            let found = rootfs.resolve(path);
            found.is_ok_and(|id| rootfs.view(id).kind == NodeKind::Directory)
        };
        let source = self.paths.get(&real(rootfs, path.trim_end_matches('/'))).map(|made| &made.source);
        source.is_some_and(|source| source.as_deref().is_none_or(is_directory)) || is_directory(path)
    }

    /// Returns the file of the image that a path is a link to or a copy of, itself or with a directory above it.
    pub(crate) fn source(&self, rootfs: &RootFs<FileKind>, path: &str) -> Option<String> {
        let path = real(rootfs, path);
        let above = std::iter::successors(Some(path.as_str()), |path| path.rsplit_once('/').map(|(above, _)| above));
        let (made, rest) = above.into_iter().find_map(|above| Some((self.paths.get(above)?, &path[above.len()..])))?;
        let source = format!("{}{rest}", made.source.as_deref().filter(|_| made.is_sure)?);
        rootfs.resolve(&source).is_ok().then_some(source)
    }

    /// Returns the entries of a directory that were made, and those of the directories that were copied to it.
    pub(crate) fn entries(&self, rootfs: &RootFs<FileKind>, directory: &str) -> Vec<MadeEntry> {
        if self.paths.is_empty() {
            return Vec::new();
        }
        let directory = real(rootfs, directory.trim_end_matches('/'));
        let mut found = Vec::new();
        for (path, made) in &self.paths {
            let is_sure = made.is_sure;
            if made.text.is_some() {
                let name = path.strip_prefix(&directory).and_then(|rest| rest.strip_prefix('/'));
                let name = name.and_then(|name| name.split('/').next()).filter(|name| !name.is_empty());
                // The file itself, or the new directory that it is in.
                if let Some(name) = name.filter(|name| !found.iter().any(|entry: &MadeEntry| entry.name == *name)) {
                    let source = format!("{}/{name}", directory.trim_end_matches('/'));
                    found.push(MadeEntry { name: name.to_string(), source, is_sure });
                }
                continue;
            }
            let Some(source) = &made.source else { continue };
            if let Some(name) = path.strip_prefix(&directory).and_then(|rest| rest.strip_prefix('/')) {
                if !name.contains('/') && !name.is_empty() {
                    found.push(MadeEntry { name: name.to_string(), source: source.clone(), is_sure });
                }
                continue;
            }
            // The directory is a link or a copy, or is in one.
            let below = directory.strip_prefix(path.as_str()).filter(|rest| rest.is_empty() || rest.starts_with('/'));
            let Some(below) = below else { continue };
            let source = format!("{}{below}", source.trim_end_matches('/'));
            let Ok(id) = rootfs.resolve(&source) else { continue };
            for child in rootfs.children(id).take(MAX_MADE) {
                let name = lossy(child.name);
                found.push(MadeEntry { source: format!("{source}/{name}"), name, is_sure });
            }
        }
        found
    }

    /// Merges the paths of another branch. Those that only one branch makes are not sure.
    pub(crate) fn absorb(&mut self, other: &MadePaths, is_rare: bool) {
        for (path, own) in &mut self.paths {
            own.is_sure &= is_rare || other.paths.get(path) == Some(own);
        }
        for (path, made) in other.paths.iter().filter(|_| !is_rare) {
            let made = MadePath { is_sure: false, ..made.clone() };
            self.paths.entry(path.clone()).or_insert(made);
        }
        if self.changes != other.changes && !is_rare {
            Rc::make_mut(&mut self.changes).absorb(&other.changes);
        }
    }
}

/// Returns a path with the links of its directory followed, as far as the image has it.
fn real(rootfs: &RootFs<FileKind>, path: &str) -> String {
    let of = |path: &str| rootfs.resolve(path).ok().map(|id| lossy(&rootfs.path(id)));
    if let Some(found) = of(path) {
        return found;
    }
    match path.rsplit_once('/') {
        Some((directory, name)) if !directory.is_empty() => {
            format!("{}/{name}", of(directory).unwrap_or_else(|| directory.to_string()))
        }
        _ => path.to_string(),
    }
}
