//! Reads a root file system in a directory as the contents of one layer. It is not an image: it has no config, and no
//! digests to check.

use std::io::BufRead;
use std::ops::ControlFlow;
use std::path::Path;

use super::contents::{Contents, EntryKind, LayerMember};
use super::error::ImageError;
use super::limits::Limits;
use super::tar::Visit;
use crate::source::rootfs_dir::{Mounts, WalkEntry, WalkEntryKind, Walked, walk};

/// The contents of a directory. If `unread` is not empty, or `is_whole` is false, the result cannot be clean.
#[derive(Debug)]
pub struct DirectoryRead<T> {
    pub contents: Contents<T>,
    pub walked: Walked,
    /// False if it exceeds the limits; the rest was not read.
    pub is_whole: bool,
}

/// Reads a directory once. `visit` is called for regular files only, once for each group of hard links.
pub fn read_directory<T>(
    root: &Path,
    mounts: Mounts,
    limits: &Limits,
    visit: &mut Visit<'_, T>,
) -> Result<DirectoryRead<T>, ImageError> {
    let (mut contents, mut is_whole, mut text) = (Contents::default(), true, 0);
    let walked = walk(root, mounts, &mut |met, reader: &mut dyn BufRead| {
        text += met.path.len();
        let is_full = contents.used_bytes() > limits.memory.limit();
        if is_full || limits.check_names(contents.len() as u64 + 1, text).is_err() {
            is_whole = false;
            return ControlFlow::Break(());
        }
        let entry = entry(met);
        let fact = if entry.kind == EntryKind::File { visit(&entry, reader) } else { None };
        contents.push(&entry, fact);
        ControlFlow::Continue(())
    })?;
    Ok(DirectoryRead { contents, walked, is_whole })
}

fn entry<'a>(met: &WalkEntry<'a>) -> LayerMember<'a> {
    let kind = match met.kind {
        WalkEntryKind::File => EntryKind::File,
        WalkEntryKind::Directory => EntryKind::Directory,
        WalkEntryKind::Symlink(target) => EntryKind::Symlink(target),
        WalkEntryKind::HardLink(target) => EntryKind::HardLink(target),
        WalkEntryKind::Special => EntryKind::Special,
    };
    let WalkEntry { path, mode, uid, gid, size, capabilities, .. } = *met;
    LayerMember { path, kind, mode, uid, gid, size, capabilities }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::merge;

    #[test]
    fn a_directory_merges_as_one_layer_with_its_hard_links_resolved() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("bin")).unwrap();
        std::fs::write(root.path().join("bin/a"), "program").unwrap();
        std::fs::hard_link(root.path().join("bin/a"), root.path().join("bin/b")).unwrap();
        let mut visited = Vec::new();
        let read = read_directory(root.path(), Mounts::Followed, &Limits::default(), &mut |entry, content| {
            visited.push(String::from_utf8_lossy(entry.path).into_owned());
            std::io::read_to_string(content).ok()
        })
        .unwrap();
        assert_eq!(visited, ["bin/a"]);
        assert!(read.is_whole && read.walked.unread.is_empty());
        let rootfs = merge(vec![read.contents.into()]);
        let b = rootfs.resolve(b"/bin/b").unwrap();
        assert_eq!(rootfs.view(b).fact.map(String::as_str), Some("program"));
    }

    #[test]
    fn a_directory_over_the_limits_is_reported_as_incomplete() {
        let root = tempfile::tempdir().unwrap();
        for name in ["a", "b", "c"] {
            std::fs::write(root.path().join(name), "").unwrap();
        }
        let limits = Limits { max_names: 2, ..Limits::default() };
        let read = read_directory::<()>(root.path(), Mounts::Followed, &limits, &mut |_, _| None).unwrap();
        assert_eq!((read.contents.len(), read.is_whole), (2, false));
    }
}
