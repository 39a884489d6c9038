//! Path resolution as the kernel performs it for a process whose root is the merged tree.

use super::{FileView, NodeId, NodeKind, ROOT, RootFs};

/// Why a path cannot be resolved; each variant but [`ResolveError::Unread`] is an errno.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// ENOENT. Holds the path up to the first missing component.
    #[error("no such file or directory: {}", String::from_utf8_lossy(.0))]
    Missing(Vec<u8>),
    /// ENOTDIR.
    #[error("not a directory: {}", String::from_utf8_lossy(.0))]
    NotDirectory(Vec<u8>),
    /// ELOOP: over 40 symbolic links.
    #[error("too many levels of symbolic links")]
    Loop,
    /// ENAMETOOLONG.
    #[error("file name too long")]
    NameTooLong,
    /// Below the mount point of another file system that was not read.
    #[error("not read: {} is another file system", String::from_utf8_lossy(.0))]
    Unread(Vec<u8>),
    /// EACCES: a directory in the path does not permit search.
    #[error("permission denied: {}", String::from_utf8_lossy(.0))]
    Denied(Vec<u8>),
}

/// Source: include/linux/namei.h `MAXSYMLINKS`.
const MAX_SYMLINKS: u32 = 40;
/// Source: include/uapi/linux/limits.h.
const NAME_MAX: usize = 255;
const PATH_MAX: usize = 4096;

impl<T> RootFs<T> {
    /// Resolves `path` from `start` (an absolute path starts at the root) as the kernel does for a process that is
    /// chrooted here: links are followed inside the root, and `..` stops at it. With `follow`, a final link is followed
    /// too. `may_search` returns whether the caller may search a directory. Source: fs/namei.c `link_path_walk`.
    pub fn walk(
        &self,
        start: NodeId,
        path: &[u8],
        follow: bool,
        may_search: &dyn Fn(FileView<'_, T>) -> bool,
    ) -> Result<NodeId, ResolveError> {
        self.walk_counting(start, path, follow, may_search).0
    }

    /// Like [`RootFs::walk`], and returns the number of components visited.
    pub(super) fn walk_counting(
        &self,
        start: NodeId,
        path: &[u8],
        follow: bool,
        may_search: &dyn Fn(FileView<'_, T>) -> bool,
    ) -> (Result<NodeId, ResolveError>, u64) {
        let mut steps = 0;
        let found = self.walk_from(start, path, follow, may_search, &mut steps);
        (found, steps)
    }

    fn walk_from(
        &self,
        start: NodeId,
        path: &[u8],
        follow: bool,
        may_search: &dyn Fn(FileView<'_, T>) -> bool,
        steps: &mut u64,
    ) -> Result<NodeId, ResolveError> {
        if path.len() >= PATH_MAX {
            return Err(ResolveError::NameTooLong);
        }
        let mut at = if path.first() == Some(&b'/') { ROOT } else { start.0 };
        // The parts of the path that remain, nearest last: a link's target is pushed on top of the rest of its path.
        let mut pending: Vec<&[u8]> = if path.is_empty() { Vec::new() } else { vec![path] };
        let mut links = 0;
        while let Some(name) = next_name(&mut pending) {
            *steps += 1;
            if self.nodes[at as usize].kind != NodeKind::Directory {
                return Err(ResolveError::NotDirectory(self.path(NodeId(at))));
            }
            if !may_search(self.view(NodeId(at))) {
                return Err(ResolveError::Denied(self.path(NodeId(at))));
            }
            match name {
                b"." => continue,
                b".." => {
                    at = self.nodes[at as usize].parent;
                    continue;
                }
                _ if name.len() > NAME_MAX => return Err(ResolveError::NameTooLong),
                _ => {}
            }
            let Some(next) = self.child(at, name) else {
                if self.unread.contains(&at) {
                    return Err(ResolveError::Unread(self.path(NodeId(at))));
                }
                let mut missing = self.path(NodeId(at));
                if missing != b"/" {
                    missing.push(b'/');
                }
                missing.extend_from_slice(name);
                if self.unread_files.contains(&missing) {
                    return Err(ResolveError::Unread(missing));
                }
                return Err(ResolveError::Missing(missing));
            };
            if self.nodes[next as usize].kind == NodeKind::Symlink && (follow || !pending.is_empty()) {
                links += 1;
                if links > MAX_SYMLINKS {
                    return Err(ResolveError::Loop);
                }
                let target = self.target_of(next);
                if target.first() == Some(&b'/') {
                    at = ROOT;
                }
                pending.push(target);
                continue;
            }
            at = next;
        }
        Ok(NodeId(at))
    }

    /// [`RootFs::walk`] from the root, following links, for a user who may search every directory.
    pub fn resolve(&self, path: impl AsRef<[u8]>) -> Result<NodeId, ResolveError> {
        self.walk(NodeId(ROOT), path.as_ref(), true, &|_| true)
    }
}

/// Removes the next component. Of a trailing slash, only slashes remain; it requires a directory, as `.` does.
fn next_name<'p>(pending: &mut Vec<&'p [u8]>) -> Option<&'p [u8]> {
    let rest = pending.pop()?;
    let Some(start) = rest.iter().position(|byte| *byte != b'/') else { return Some(b".") };
    let end = rest[start..].iter().position(|byte| *byte == b'/').map_or(rest.len(), |slash| start + slash);
    if end < rest.len() {
        pending.push(&rest[end..]);
    }
    Some(&rest[start..end])
}
