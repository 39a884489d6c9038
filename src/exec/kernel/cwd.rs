//! The working directory of a container's process: the config's WorkingDir, which runtimes create if it is missing.
//! Source: runc's `prepareRootfs` and `validateProcessSpec`; crun's `libcrun_safe_chdir`.

use crate::exec::kernel::mounts;
use crate::exec::outcome::lossy;
use crate::exec::{Cause, CauseKind, Errno, Outcome};
use crate::image::{FileView, NodeId, NodeKind, ResolveError, RootFs};
use crate::inspect::FileKind;

/// A directory of the image, and the empty ones that the runtime creates below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cwd {
    node: NodeId,
    made: Vec<Vec<u8>>,
}

impl Cwd {
    pub(crate) fn root(rootfs: &RootFs<FileKind>) -> Cwd {
        Cwd { node: rootfs.root(), made: Vec::new() }
    }

    /// Parses a config's WorkingDir. An empty one is the root directory.
    pub(crate) fn parse(rootfs: &RootFs<FileKind>, path: &str) -> Result<Cwd, Outcome> {
        let mut cwd = Cwd::root(rootfs);
        if !path.is_empty() && !path.starts_with('/') {
            let text = format!("working directory \"{path}\" is not absolute; runc requires an absolute path");
            return Err(Outcome::fails(
                Errno::EINVAL,
                path.as_bytes(),
                Cause { kind: CauseKind::RelativeWorkingDir, text },
            ));
        }
        for name in path.split('/').filter(|name| !name.is_empty() && *name != ".") {
            match name {
                ".." if cwd.made.pop().is_some() => {}
                _ if !cwd.made.is_empty() => cwd.made.push(name.as_bytes().to_vec()),
                _ => cwd.enter(rootfs, name.as_bytes()).map_err(|blocked| blocked.outcome(path))?,
            }
        }
        Ok(cwd)
    }

    /// Enters the directory `name`, following symlinks. A missing directory is created.
    fn enter(&mut self, rootfs: &RootFs<FileKind>, name: &[u8]) -> Result<(), Blocked> {
        let walk = |follow| rootfs.walk(self.node, name, follow, &|_| true);
        let errno = match walk(true) {
            Ok(id) if rootfs.view(id).kind == NodeKind::Directory => {
                self.node = id;
                return Ok(());
            }
            // A dangling symlink is where the directory would be created.
            Err(ResolveError::Missing(_)) if walk(false).is_ok() => Errno::ENOENT,
            Err(ResolveError::Missing(_)) => {
                self.made.push(name.to_vec());
                return Ok(());
            }
            // Everything below is in a file system that was not read.
            Err(ResolveError::Unread(mount)) => {
                self.node = rootfs.resolve(&mount).unwrap_or(self.node);
                return Ok(());
            }
            Err(ResolveError::Loop) => Errno::ELOOP,
            Err(ResolveError::NameTooLong) => Errno::ENAMETOOLONG,
            Ok(_) | Err(ResolveError::NotDirectory(_) | ResolveError::Denied(_)) => Errno::ENOTDIR,
        };
        Err(Blocked { at: lossy(&below(rootfs.path(self.node), name)), errno })
    }

    /// Resolves a path from here, following symlinks. Files that an engine's mount hides are missing.
    pub(crate) fn walk(
        &self,
        rootfs: &RootFs<FileKind>,
        path: &[u8],
        may_search: &dyn Fn(FileView<'_, FileKind>) -> bool,
    ) -> Result<NodeId, ResolveError> {
        let id = self.walk_image(rootfs, path, may_search)?;
        if mounts::is_hidden(rootfs, id) { Err(ResolveError::Missing(rootfs.path(id))) } else { Ok(id) }
    }

    /// Resolves a path in the image. A created directory is empty.
    fn walk_image(
        &self,
        rootfs: &RootFs<FileKind>,
        path: &[u8],
        may_search: &dyn Fn(FileView<'_, FileKind>) -> bool,
    ) -> Result<NodeId, ResolveError> {
        if path.starts_with(b"/") || self.made.is_empty() {
            return rootfs.walk(self.node, path, true, may_search);
        }
        let mut names = path.split(|byte| *byte == b'/');
        let mut made = &self.made[..];
        while let Some((_, above)) = made.split_last() {
            match names.next() {
                None => return Err(ResolveError::Missing(self.below_node(rootfs, made))),
                Some(b"" | b".") => {}
                Some(b"..") => made = above,
                Some(name) => return Err(ResolveError::Missing(below(self.below_node(rootfs, made), name))),
            }
        }
        let rest = names.collect::<Vec<_>>().join(&b'/');
        rootfs.walk(self.node, if rest.is_empty() { b"." } else { &rest }, true, may_search)
    }

    /// The path, as `getcwd` returns it.
    pub(crate) fn path(&self, rootfs: &RootFs<FileKind>) -> Vec<u8> {
        self.below_node(rootfs, &self.made)
    }

    fn below_node(&self, rootfs: &RootFs<FileKind>, made: &[Vec<u8>]) -> Vec<u8> {
        made.iter().fold(rootfs.path(self.node), |path, name| below(path, name))
    }
}

/// The file that keeps the working directory from being entered or created.
struct Blocked {
    at: String,
    errno: Errno,
}

impl Blocked {
    fn outcome(self, path: &str) -> Outcome {
        let Blocked { at, errno } = self;
        if errno == Errno::ENOENT {
            let text = format!(
                "the working directory {path} would be created below {at}, a dangling symlink: docker creates its \
                 target, but containerd and podman fail"
            );
            return Outcome::Unknown { at, cause: Cause { kind: CauseKind::BadWorkingDir, text } };
        }
        let text = format!("the working directory {path} is not a directory and cannot be created");
        Outcome::fails(errno, at.as_bytes(), Cause { kind: CauseKind::BadWorkingDir, text })
    }
}

fn below(mut directory: Vec<u8>, name: &[u8]) -> Vec<u8> {
    if directory != b"/" {
        directory.push(b'/');
    }
    directory.extend_from_slice(name);
    directory
}
