//! A small root file system for both the model and the kernel: merged in memory through the real layer types and
//! `inspect`, and written to disk, so that both see the same bytes.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::Arc;

use imgarch::exec::Exec;
use imgarch::image::{Contents, EntryKind, LayerMember, RootFs, merge};
use imgarch::inspect::{FileKind, inspect};
use imgarch::platform::FileCapabilities;

use super::program;

const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A tree, and the call to make in it.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    entries: Vec<(String, Item)>,
    pub argv: Vec<String>,
    /// `KEY=VALUE` lines. Empty for the usual PATH.
    pub env: Vec<String>,
    /// Empty for `/`.
    pub working_dir: String,
    /// `uid:gid`. Empty for root.
    pub user: String,
}

#[derive(Clone, Debug, PartialEq)]
enum Item {
    File(Vec<u8>, u16),
    /// A file with `security.capability`.
    Capable(Vec<u8>, Vec<u8>),
    Directory(u16),
    Link(String),
}

impl Tree {
    /// An empty tree. `words` is the call; its first word is the path for execve.
    pub fn call(words: &[&str]) -> Tree {
        Tree { argv: words.iter().map(|word| word.to_string()).collect(), ..Tree::default() }
    }

    /// An executable file. Paths have no leading slash.
    pub fn file(self, path: &str, bytes: impl AsRef<[u8]>) -> Tree {
        self.mode(path, bytes, 0o755)
    }

    pub fn mode(mut self, path: &str, bytes: impl AsRef<[u8]>, mode: u16) -> Tree {
        self.entries.push((path.to_string(), Item::File(bytes.as_ref().to_vec(), mode)));
        self
    }

    /// An executable file with this `security.capability` attribute.
    pub fn capable(mut self, path: &str, bytes: impl AsRef<[u8]>, capability: &[u8]) -> Tree {
        self.entries.push((path.to_string(), Item::Capable(bytes.as_ref().to_vec(), capability.to_vec())));
        self
    }

    pub fn directory(mut self, path: &str) -> Tree {
        self.entries.push((path.to_string(), Item::Directory(0o755)));
        self
    }

    pub fn link(mut self, path: &str, target: &str) -> Tree {
        self.entries.push((path.to_string(), Item::Link(target.to_string())));
        self
    }

    /// Adds a file, unless the path already exists.
    pub fn add_once(self, path: &str, bytes: impl AsRef<[u8]>) -> Tree {
        if self.entries.iter().any(|(there, _)| there == path) { self } else { self.file(path, bytes) }
    }

    /// The same tree with another call.
    pub fn argv(self, words: &[&str]) -> Tree {
        Tree { argv: words.iter().map(|word| word.to_string()).collect(), ..self }
    }

    /// With this environment.
    pub fn env(self, lines: &[&str]) -> Tree {
        Tree { env: lines.iter().map(|line| line.to_string()).collect(), ..self }
    }

    /// In this working directory.
    pub fn working_dir(self, path: &str) -> Tree {
        Tree { working_dir: path.to_string(), ..self }
    }

    /// As this user and group.
    pub fn user(self, user: &str) -> Tree {
        Tree { user: user.to_string(), ..self }
    }

    /// A directory with this mode.
    pub fn closed(mut self, path: &str, mode: u16) -> Tree {
        self.entries.push((path.to_string(), Item::Directory(mode)));
        self
    }

    /// The call as made by a container with this config: by default root, `/`, and no environment except PATH.
    pub fn exec(&self) -> Exec {
        Exec {
            argv: self.argv.clone(),
            env: if self.env.is_empty() { vec![PATH.to_string()] } else { self.env.clone() },
            working_dir: if self.working_dir.is_empty() { "/".to_string() } else { self.working_dir.clone() },
            user: self.user.clone(),
            ..Exec::default()
        }
    }

    /// The tree as a scan sees it.
    pub fn rootfs(&self) -> RootFs<FileKind> {
        let mut contents = Contents::default();
        for (path, item) in &self.entries {
            let path = path.as_bytes();
            match item {
                Item::File(bytes, mode) => {
                    let size = bytes.len() as u64;
                    let kind = inspect(path, size, mode & 0o111 != 0, &mut bytes.as_slice());
                    contents
                        .push(&LayerMember { size, ..LayerMember::plain(path, EntryKind::File, *mode) }, Some(kind));
                }
                Item::Capable(bytes, capability) => {
                    let size = bytes.len() as u64;
                    let kind = inspect(path, size, true, &mut bytes.as_slice());
                    let capabilities = Some(FileCapabilities::parse(capability));
                    let entry = LayerMember { size, capabilities, ..LayerMember::plain(path, EntryKind::File, 0o755) };
                    contents.push(&entry, Some(kind));
                }
                Item::Directory(mode) => contents.push(&LayerMember::plain(path, EntryKind::Directory, *mode), None),
                Item::Link(target) => {
                    contents.push(&LayerMember::plain(path, EntryKind::Symlink(target.as_bytes()), 0o777), None)
                }
            }
        }
        merge([Arc::new(contents)])
    }

    /// Writes the tree for a kernel. `root` must exist. Other files in it are left alone.
    pub fn write(&self, root: &Path) {
        self.write_over(root, &Tree::default());
    }

    /// The same over an earlier tree: only differences are written. A file cannot become a directory or a link.
    pub fn write_over(&self, root: &Path, before: &Tree) {
        let differing: Vec<_> = self.entries.iter().filter(|entry| !before.entries.contains(entry)).collect();
        let mut files = Vec::new();
        for (path, item) in &differing {
            let path = root.join(path);
            fs::create_dir_all(path.parent().expect("every path is below the root")).expect("creating a directory");
            match item {
                Item::File(bytes, mode) => files.push(program::File::new(&path, bytes, u32::from(*mode))),
                Item::Capable(bytes, _) => files.push(program::File::new(&path, bytes, 0o755)),
                Item::Directory(_) => fs::create_dir_all(&path).expect("creating a directory"),
                Item::Link(target) => symlink(target, &path).expect("creating a link"),
            }
        }
        program::write_all(&files);
        for (path, item) in &differing {
            match item {
                Item::Capable(_, capability) => set_capability(&root.join(path), capability),
                Item::Directory(mode) => {
                    let mode = fs::Permissions::from_mode(u32::from(*mode));
                    fs::set_permissions(root.join(path), mode).expect("setting its mode");
                }
                Item::File(..) | Item::Link(_) => {}
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn set_capability(_: &Path, _: &[u8]) {
    unreachable!("only Linux executes trees");
}

#[cfg(target_os = "linux")]
fn set_capability(path: &Path, capability: &[u8]) {
    let path = std::ffi::CString::new(path.as_os_str().as_encoded_bytes()).expect("no NUL in a path");
    let name = c"security.capability".as_ptr();
    // SAFETY: the strings end in NUL and outlive the call, and the length is the slice's own.
    let set = unsafe { libc::setxattr(path.as_ptr(), name, capability.as_ptr().cast(), capability.len(), 0) };
    assert_eq!(set, 0, "{path:?}: {}", std::io::Error::last_os_error());
}
