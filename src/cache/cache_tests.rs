use super::*;
use crate::image::{Entry, EntryKind};
use crate::inspect::inspect;

/// A layer with every kind of member and a fact of every kind that bytes in code make.
fn contents() -> Contents<FileKind> {
    let elf = crate::inspect::elf_builder::ElfBuilder::arm64().interp("/lib/ld.so").needed("libc.so.6").build();
    let files: [(&[u8], &[u8]); 6] = [
        (b"bin/app", &elf),
        (b"bin/run", b"#!/bin/sh -e\nexec app\n"),
        (
            b"bin/mac",
            &[
                0xcf, 0xfa, 0xed, 0xfe, 7, 0, 0, 1, 3, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
                0, 0,
            ],
        ),
        (b"etc/passwd", b"root:x:0:0::/:/bin/sh\n"),
        (b"bin/empty", b""),
        (b"bin/page", b"<!DOCTYPE html><html></html>"),
    ];
    let mut contents = Contents::default();
    contents.push(&Entry::plain(b"bin", EntryKind::Directory, 0o755), None);
    for (path, bytes) in files {
        let size = bytes.len() as u64;
        let entry = Entry { size, uid: 1000, ..Entry::plain(path, EntryKind::File, 0o4755) };
        contents.push(&entry, Some(inspect(path, size, true, &mut &*bytes)));
    }
    contents.push(&Entry::plain(b"bin/link", EntryKind::Symlink(b"app"), 0o777), None);
    contents.push(&Entry::plain(b"bin/hard", EntryKind::HardLink(b"bin/app"), 0o755), None);
    contents.push(&Entry::plain(b"gone", EntryKind::Whiteout, 0), None);
    contents.push(&Entry::plain(b"opaque", EntryKind::Opaque, 0), None);
    contents
}

/// Everything about a layer's members as text.
fn listed(contents: &Contents<FileKind>) -> Vec<String> {
    let mut lines = Vec::new();
    contents.for_each(|entry, fact| lines.push(format!("{entry:?} {:?}", fact.map(|index| contents.fact(index)))));
    lines
}

fn digest() -> Digest {
    Digest::of(b"stored")
}

fn diff_id() -> DiffId {
    DiffId(Digest::of(b"tar"))
}

#[test]
fn a_layer_reads_back_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::new(folder.path(), 1 << 20, "");
    assert!(cache.find(&digest()).is_none());
    cache.keep(&digest(), &contents(), &diff_id()).unwrap();
    let found = cache.find(&digest()).unwrap();
    assert_eq!(listed(&found.contents), listed(&contents()));
    assert_eq!(found.diff_id, diff_id());
    assert!(cache.find(&Digest::of(b"another")).is_none());
    assert_eq!(cache.usage().unwrap().layers, 1);
}

#[test]
fn a_damaged_file_or_one_of_another_build_is_as_if_it_were_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::new(folder.path(), 1 << 20, "");
    cache.keep(&digest(), &contents(), &diff_id()).unwrap();
    let path = cache.path(&digest());
    let bytes = std::fs::read(&path).unwrap();
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x20;
        std::fs::write(&path, &damaged).unwrap();
        assert!(cache.find(&digest()).is_none(), "byte {at}");
        std::fs::write(&path, &bytes[..at]).unwrap();
        assert!(cache.find(&digest()).is_none(), "cut at {at}");
    }
    std::fs::write(&path, &bytes).unwrap();
    assert!(cache.find(&digest()).is_some());
    assert!(Cache::new(folder.path(), 1 << 20, "another").find(&digest()).is_none());
    // A file under another layer's name is that layer's no more.
    let other = cache.path(&Digest::of(b"other"));
    std::fs::create_dir_all(other.parent().unwrap()).unwrap();
    std::fs::rename(&path, &other).unwrap();
    assert!(cache.find(&Digest::of(b"other")).is_none());
}

#[test]
fn the_cache_keeps_within_its_limit_and_drops_what_was_used_longest_ago() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::new(folder.path(), 1 << 20, "");
    let names: Vec<Digest> = (0..4u8).map(|at| Digest::of(&[at])).collect();
    for (age, name) in names.iter().rev().enumerate() {
        cache.keep(name, &contents(), &diff_id()).unwrap();
        let file = File::options().append(true).open(cache.path(name)).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(60 * age as u64)).unwrap();
    }
    let all = cache.usage().unwrap();
    let small = Cache::new(folder.path(), all.bytes / 2, "");
    small.keep(&names[3], &contents(), &diff_id()).unwrap();
    small.trim().unwrap();
    assert!(small.usage().unwrap().bytes <= all.bytes / 2);
    assert!(small.find(&names[3]).is_some() && small.find(&names[0]).is_none());
    assert_eq!(small.clear().unwrap().layers, 2);
    assert_eq!(small.usage().unwrap(), Usage::default());
}

#[test]
fn threads_that_keep_the_same_layer_leave_it_whole() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::new(folder.path(), 1 << 20, "");
    let contents = contents();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..20 {
                    cache.keep(&digest(), &contents, &diff_id()).unwrap();
                    assert!(cache.find(&digest()).is_some());
                }
            });
        }
    });
    assert_eq!(cache.usage().unwrap().layers, 1);
}
