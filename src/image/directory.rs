//! A root file system that lies in a folder, as the contents of one layer: it is no image, and has neither a config nor
//! digests to check.

use std::io::Read;
use std::ops::ControlFlow;
use std::path::Path;

use super::contents::{Contents, Entry, EntryKind};
use super::error::ImageError;
use super::limits::Limits;
use super::tar::Visit;
use crate::source::rootfs_dir::{Met, MetKind, Mounts, Walked, walk};

/// What a folder holds. Where `unread` is not empty, or `is_whole` is false, nobody can say that all is well.
#[derive(Debug)]
pub struct DirectoryRead<T> {
    pub contents: Contents<T>,
    pub walked: Walked,
    /// False: it holds more than the limits allow, and the rest was not looked at.
    pub is_whole: bool,
}

/// Reads a folder once. `visit` is called for regular files only, one of several hard links.
pub fn read_directory<T>(
    root: &Path,
    mounts: Mounts,
    limits: &Limits,
    visit: &mut Visit<'_, T>,
) -> Result<DirectoryRead<T>, ImageError> {
    let (mut contents, mut is_whole, mut text) = (Contents::default(), true, 0);
    let walked = walk(root, mounts, &mut |met, reader: &mut dyn Read| {
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

fn entry<'a>(met: &Met<'a>) -> Entry<'a> {
    let kind = match met.kind {
        MetKind::File => EntryKind::File,
        MetKind::Directory => EntryKind::Directory,
        MetKind::Symlink(target) => EntryKind::Symlink(target),
        MetKind::HardLink(target) => EntryKind::HardLink(target),
        MetKind::Special => EntryKind::Special,
    };
    let Met { path, mode, uid, gid, size, capabilities, .. } = *met;
    Entry { path, kind, mode, uid, gid, size, capabilities }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::merge;

    #[test]
    fn a_folder_merges_as_one_layer_with_its_hard_links_resolved() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("bin")).unwrap();
        std::fs::write(folder.path().join("bin/a"), "program").unwrap();
        std::fs::hard_link(folder.path().join("bin/a"), folder.path().join("bin/b")).unwrap();
        let mut visited = Vec::new();
        let read = read_directory(folder.path(), Mounts::Followed, &Limits::default(), &mut |entry, content| {
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
    fn a_folder_over_the_limits_is_said_to_be_cut() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a", "b", "c"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let limits = Limits { max_names: 2, ..Limits::default() };
        let read = read_directory::<()>(folder.path(), Mounts::Followed, &limits, &mut |_, _| None).unwrap();
        assert_eq!((read.contents.len(), read.is_whole), (2, false));
    }
}
