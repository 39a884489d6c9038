//! Files that configuration and environment name. Such a file is meant to be run or loaded.

use std::collections::{BTreeMap, BTreeSet};

use crate::image::{FileView, NodeId, NodeKind, RootFs};
use crate::inspect::{FileKind, Load, Mention, is_only_followed, mentions, names};
use crate::judge::facts::runtimes::is_library;

/// Limit on the names that are followed in one image.
const NAMES: usize = 100_000;

/// Variables that hold the directory of the programs that a tool starts. Source: the documentation of browsers of
/// Playwright and Puppeteer.
const DIRECTORIES: &[&str] = &["PLAYWRIGHT_BROWSERS_PATH", "PUPPETEER_CACHE_DIR"];

/// What happens to a process whose configuration names a file that cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NamedUse {
    /// It fails, at its start or when it reaches the file.
    Needed,
    /// `LD_PRELOAD`: glibc's loader prints a line and continues; musl's maps the file and ends the program.
    Preloaded,
    /// `/etc/ld.so.preload`: glibc's loader prints a line and continues; musl's does not read it.
    PreloadFile,
    /// It continues without the file.
    Optional,
}

/// Where a file is named: `/etc/odbcinst.ini:4`, `ENV PUPPETEER_EXECUTABLE_PATH`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedBy {
    pub place: String,
    pub used: NamedUse,
}

/// The named files of an image.
#[derive(Debug, Default)]
pub struct NamedFiles {
    /// Key: real path.
    files: BTreeMap<String, NamedBy>,
    /// Key: file name. Only names without a path that no file of this platform has.
    libraries: BTreeMap<String, NamedBy>,
    /// File names of modules that are named without a directory.
    modules: BTreeSet<String>,
    /// Real paths of directories, with a trailing slash.
    directories: Vec<(String, NamedBy)>,
    /// Files of `*-available` directories that a link in an `*-enabled` directory leads to.
    enabled: BTreeSet<NodeId>,
}

impl NamedFiles {
    /// `argv`: the words of the call, which can name libraries to load: `--plugin=/opt/plugin.so`.
    pub fn from_rootfs(rootfs: &RootFs<FileKind>, env: &[String], argv: &[String]) -> NamedFiles {
        let mut named = NamedFiles::default();
        let by = NamedBy { place: "the command line".to_string(), used: NamedUse::Needed };
        let words = argv.iter().skip(1).filter(|word| !word.starts_with("LD_PRELOAD="));
        let words = words.flat_map(|word| names(word.as_bytes()));
        words.filter(|name| name.starts_with('/') && is_library(name)).for_each(|name| named.note(rootfs, &name, &by));
        for word in argv.iter().skip(1) {
            named.modules.extend(settings(word));
        }
        for line in env {
            let Some((key, value)) = line.split_once('=') else { continue };
            let by = NamedBy {
                place: format!("ENV {key}"),
                used: if key == "LD_PRELOAD" { NamedUse::Preloaded } else { NamedUse::Needed },
            };
            if DIRECTORIES.contains(&key) {
                named.directory(rootfs, value, &by);
            } else {
                names(value.as_bytes()).iter().for_each(|name| named.note(rootfs, name, &by));
            }
        }
        let mut left = NAMES;
        let enabled = enabled(rootfs);
        for view in rootfs.files_with_facts() {
            let whole;
            let found: &[Mention] = match view.fact {
                Some(FileKind::Mentions(found)) => found,
                Some(FileKind::Config(text)) => {
                    let path = rootfs.path(view.id);
                    let path = path.strip_prefix(b"/").unwrap_or(&path);
                    if is_only_followed(path, text) {
                        continue;
                    }
                    whole = mentions(path, text);
                    &whole
                }
                _ => continue,
            };
            let path = String::from_utf8_lossy(&rootfs.path(view.id)).into_owned();
            if !is_read(rootfs, &path, view.id, &enabled) {
                continue;
            }
            for mention in found.iter().take(left) {
                let used = match mention.load {
                    _ if path == "/etc/ld.so.preload" => NamedUse::PreloadFile,
                    Load::AtStart | Load::WhenUsed => NamedUse::Needed,
                    Load::Optional => NamedUse::Optional,
                };
                named.note(rootfs, &mention.name, &NamedBy { place: format!("{path}:{}", mention.line), used });
            }
            left = left.saturating_sub(found.len());
        }
        named.enabled = enabled;
        named
    }

    /// Drops the libraries that exist for this platform: a loader that searches by name skips the others.
    pub fn retain_libraries(&mut self, is_lacking: impl Fn(&str) -> bool) {
        self.libraries.retain(|name, _| is_lacking(name));
    }

    /// Which setting names the file at the real path `path`.
    pub fn file(&self, path: &str) -> Option<&NamedBy> {
        self.files.get(path)
    }

    /// Whether the configuration at `path` is in use.
    pub fn is_read(&self, rootfs: &RootFs<FileKind>, path: &str, id: NodeId) -> bool {
        is_read(rootfs, path, id, &self.enabled)
    }

    /// Whether a module is named by its path or its file name.
    pub fn names_module(&self, path: &str) -> bool {
        let name = path.rsplit('/').next().unwrap_or(path);
        self.files.contains_key(path) || self.modules.contains(name)
    }

    /// Which setting names a library of that file name.
    pub fn library(&self, name: &str) -> Option<&NamedBy> {
        self.libraries.get(name)
    }

    /// Which setting names a directory that contains the file, at any depth.
    pub fn directory_of(&self, path: &str) -> Option<&NamedBy> {
        self.directories.iter().find(|(directory, _)| path.starts_with(directory)).map(|(_, by)| by)
    }

    fn note(&mut self, rootfs: &RootFs<FileKind>, name: &str, by: &NamedBy) {
        if !name.starts_with('/') {
            keep(&mut self.libraries, name.to_string(), by);
            self.modules.insert(name.to_string());
            return;
        }
        let Ok(id) = rootfs.resolve(name) else { return };
        let view = rootfs.view(id);
        if view.kind == NodeKind::File && view.fact.is_some() {
            let path = String::from_utf8_lossy(&rootfs.path(id)).into_owned();
            keep(&mut self.files, path, by);
        }
    }

    fn directory(&mut self, rootfs: &RootFs<FileKind>, path: &str, by: &NamedBy) {
        let Ok(id) = rootfs.resolve(path) else { return };
        if rootfs.view(id).kind == NodeKind::Directory && id != rootfs.root() {
            self.directories.push((format!("{}/", String::from_utf8_lossy(&rootfs.path(id))), by.clone()));
        }
    }
}

/// Keeps the setting with the worst effect, and of equal ones the first.
fn keep(named: &mut BTreeMap<String, NamedBy>, name: String, by: &NamedBy) {
    let known = named.entry(name).or_insert_with(|| by.clone());
    if by.used < known.used {
        *known = by.clone();
    }
}

/// The modules that a word of a call makes PostgreSQL load: `shared_preload_libraries=a,b`. Source: postgres(1), `-c`.
pub fn settings(word: &str) -> impl Iterator<Item = String> {
    let setting = word.trim_start_matches("--").trim_start_matches("-c").trim_start();
    let found = mentions(b"", setting.as_bytes()).into_iter();
    found.filter(|mention| mention.load == Load::AtStart).map(|mention| mention.name)
}

/// Whether a configuration is in use: a file of an `*-available` directory only is if it is enabled, a unit of a package
/// if no link masks it, and a table in /etc/cron.d if Debian's cron reads files of its name.
fn is_read(rootfs: &RootFs<FileKind>, path: &str, id: NodeId, enabled: &BTreeSet<NodeId>) -> bool {
    if path.contains("-available/") {
        return enabled.contains(&id);
    }
    let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
    match directory {
        "/usr/lib/systemd/system" | "/lib/systemd/system" => {
            let own = format!("/etc/systemd/system/{name}");
            let found = rootfs.walk(rootfs.root(), own.as_bytes(), false, &|_| true).ok().map(|id| rootfs.view(id));
            !found.is_some_and(|view| view.kind == NodeKind::Symlink && view.target == b"/dev/null")
        }
        "/etc/cron.d" => {
            let is_plain = name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
            is_plain || rootfs.resolve("/usr/sbin/cron").is_err()
        }
        _ => true,
    }
}

/// The targets of links in directories such as `sites-enabled`, `mods-enabled` and PHP's `conf.d`.
fn enabled(rootfs: &RootFs<FileKind>) -> BTreeSet<NodeId> {
    let is_enabling = |view: &FileView<'_, FileKind>| {
        let directory = rootfs.view(rootfs.parent(view.id)).name;
        directory.ends_with(b"-enabled") || directory == b"conf.d"
    };
    let links = rootfs.matching(NodeKind::Symlink, |_| true).filter(is_enabling);
    links.filter_map(|view| rootfs.resolve(rootfs.path(view.id)).ok()).collect()
}
