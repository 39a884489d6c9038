use std::fs::File;
use std::time::{Duration, SystemTime};

use super::*;
use crate::image::{EntryKind, LayerMember};
use crate::inspect::inspect;

/// A layer with every kind of member and of fact that can be built in code.
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
    contents.push(&LayerMember::plain(b"bin", EntryKind::Directory, 0o755), None);
    for (path, bytes) in files {
        let size = bytes.len() as u64;
        let entry = LayerMember { size, uid: 1000, ..LayerMember::plain(path, EntryKind::File, 0o4755) };
        contents.push(&entry, Some(inspect(path, size, true, &mut &*bytes)));
    }
    contents.push(&LayerMember::plain(b"bin/link", EntryKind::Symlink(b"app"), 0o777), None);
    contents.push(&LayerMember::plain(b"bin/hard", EntryKind::HardLink(b"bin/app"), 0o755), None);
    contents.push(&LayerMember::plain(b"gone", EntryKind::Whiteout, 0), None);
    contents.push(&LayerMember::plain(b"opaque", EntryKind::Opaque, 0), None);
    contents
}

/// Lists the members of a layer as text.
fn listed(contents: &Contents<FileKind>) -> Vec<String> {
    let mut lines = Vec::new();
    contents.for_each(|entry, fact| lines.push(format!("{entry:?} {:?}", fact.map(|index| contents.fact(index)))));
    lines
}

/// The result of reading a layer whose stored bytes have this digest.
fn checked(digest: &Digest, diff_id: &DiffId) -> MeasuredLayer {
    let compression = crate::image::Compression::Gzip;
    let (digest, diff_id) = (digest.clone(), diff_id.clone());
    MeasuredLayer { digest, diff_id, stored_bytes: STORED, uncompressed_bytes: TAR, compression }
}

const STORED: u64 = 1000;
const TAR: u64 = 5000;

fn digest() -> Digest {
    Digest::from_bytes(b"stored")
}

fn diff_id() -> DiffId {
    DiffId(Digest::from_bytes(b"tar"))
}

#[test]
fn a_layer_reads_back_as_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let cache = Cache::new(directory.path(), 1 << 20, "");
    assert!(cache.find(&digest(), STORED).is_none());
    cache.keep(&checked(&digest(), &diff_id()), &contents()).unwrap();
    let found = cache.find(&digest(), STORED).unwrap();
    assert_eq!(listed(&found.contents), listed(&contents()));
    assert_eq!(found.diff_id, diff_id());
    assert!(cache.find(&Digest::from_bytes(b"another"), STORED).is_none());
    assert_eq!(cache.usage().unwrap().layers, 1);
}

#[test]
fn a_record_that_is_damaged_or_of_another_build_is_ignored() {
    let directory = tempfile::tempdir().unwrap();
    let cache = Cache::new(directory.path(), 1 << 20, "");
    cache.keep(&checked(&digest(), &diff_id()), &contents()).unwrap();
    let path = directory.path().join(layer::layer_key(&diff_id()));
    let bytes = std::fs::read(&path).unwrap();
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x20;
        std::fs::write(&path, &damaged).unwrap();
        assert!(cache.find(&digest(), STORED).is_none(), "byte {at}");
        std::fs::write(&path, &bytes[..at]).unwrap();
        assert!(cache.find(&digest(), STORED).is_none(), "cut at {at}");
    }
    std::fs::write(&path, &bytes).unwrap();
    assert!(cache.find(&digest(), STORED).is_some());
    assert!(Cache::new(directory.path(), 1 << 20, "another").find(&digest(), STORED).is_none());
    // A file that is moved to another layer's name is not accepted there.
    let other = directory.path().join(layer::layer_key(&DiffId(Digest::from_bytes(b"other"))));
    std::fs::create_dir_all(other.parent().unwrap()).unwrap();
    std::fs::rename(&path, &other).unwrap();
    assert!(cache.find(&Digest::from_bytes(b"other"), STORED).is_none());
}

#[test]
fn a_blob_record_that_is_damaged_or_of_another_blob_is_ignored() {
    let directory = tempfile::tempdir().unwrap();
    let cache = Cache::new(directory.path(), 1 << 20, "");
    cache.keep(&checked(&digest(), &diff_id()), &contents()).unwrap();
    let path = directory.path().join(layer::blob_key(&digest()));
    let bytes = std::fs::read(&path).unwrap();
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x20;
        std::fs::write(&path, &damaged).unwrap();
        assert!(cache.find(&digest(), STORED).is_none(), "byte {at}");
    }
    let other = Digest::from_bytes(b"other");
    std::fs::create_dir_all(directory.path().join(layer::blob_key(&other)).parent().unwrap()).unwrap();
    std::fs::write(directory.path().join(layer::blob_key(&other)), &bytes).unwrap();
    assert!(cache.find(&other, STORED).is_none());
}

#[test]
fn a_layer_in_two_compressions_is_kept_once_and_found_by_its_plain_tar() {
    let directory = tempfile::tempdir().unwrap();
    let cache = Cache::new(directory.path(), 1 << 20, "");
    let (gzip, zstd) = (Digest::from_bytes(b"gzip"), Digest::from_bytes(b"zstd"));
    for stored in [&gzip, &zstd] {
        cache.keep(&checked(stored, &diff_id()), &contents()).unwrap();
    }
    assert_eq!(cache.usage().unwrap().layers, 1);
    for (stored, size) in [(&gzip, STORED), (&zstd, STORED), (&diff_id().0, TAR)] {
        assert_eq!(cache.find(stored, size).unwrap().diff_id, diff_id());
        // Engines do not pull a layer whose size differs from its manifest's.
        assert!(cache.find(stored, size + 1).is_none());
    }
}

#[test]
fn the_cache_stays_within_its_limit_and_drops_the_least_recently_used() {
    let directory = tempfile::tempdir().unwrap();
    let cache = Cache::new(directory.path(), 1 << 20, "");
    let names: Vec<Digest> = (0..4u8).map(|at| Digest::from_bytes(&[at])).collect();
    let keep = |cache: &Cache, name: &Digest| cache.keep(&checked(name, &DiffId(name.clone())), &contents()).unwrap();
    for (age, name) in names.iter().rev().enumerate() {
        keep(&cache, name);
        for key in [layer::layer_key(&DiffId(name.clone())), layer::blob_key(name)] {
            let file = File::options().append(true).open(directory.path().join(key)).unwrap();
            file.set_modified(SystemTime::now() - Duration::from_secs(60 * age as u64)).unwrap();
        }
    }
    let all = cache.usage().unwrap();
    let small = Cache::new(directory.path(), all.bytes / 2, "");
    keep(&small, &names[3]);
    small.trim().unwrap();
    assert!(small.usage().unwrap().bytes <= all.bytes / 2);
    assert!(small.find(&names[3], STORED).is_some() && small.find(&names[0], STORED).is_none());
    std::fs::write(directory.path().join("unrelated"), "").unwrap();
    assert_eq!(small.clear().unwrap().layers, 2);
    assert_eq!(small.usage().unwrap(), Usage::default());
    assert!(directory.path().join("unrelated").exists());
}

/// A record that someone with write access to a store could forge: its digest is right, and it has one member.
fn forged(entry: &LayerMember<'_>, fact: Option<FileKind>) -> Vec<u8> {
    let mut contents = Contents::default();
    contents.push(entry, fact);
    layer::encode(&contents, "b", &checked(&digest(), &diff_id())).unwrap().unwrap()
}

#[test]
fn a_forged_record_cannot_contain_names_that_a_tar_cannot() {
    let is_taken = |entry: &LayerMember<'_>, fact| layer::decode(&forged(entry, fact), "b", &diff_id()).is_some();
    let file = |path| LayerMember::plain(path, EntryKind::File, 0o755);
    assert!(is_taken(&file(b"bin/app"), Some(FileKind::Empty)));
    assert!(is_taken(&LayerMember::plain(b"", EntryKind::Opaque, 0), None));
    for path in [&b"../etc"[..], b"/etc", b"a//b", b"a/./b", b"a/..", b"a/"] {
        assert!(!is_taken(&file(path), None), "{path:?}");
        assert!(!is_taken(&LayerMember::plain(b"a", EntryKind::HardLink(path), 0), None), "{path:?}");
    }
    assert!(is_taken(&LayerMember::plain(b"a", EntryKind::Symlink(b"../../etc"), 0o777), None));
    assert!(!is_taken(&LayerMember::plain(b"a", EntryKind::Directory, 0o755), Some(FileKind::Empty)));
    assert!(!is_taken(&LayerMember { mode: 0o10000, ..file(b"a") }, None));
}

#[test]
fn a_fifo_or_a_link_to_a_device_is_not_a_record() {
    let directory = tempfile::tempdir().unwrap();
    let cache = Cache::new(directory.path(), 1 << 20, "");
    cache.keep(&checked(&digest(), &diff_id()), &contents()).unwrap();
    let path = directory.path().join(layer::blob_key(&digest()));
    for odd in ["fifo", "/dev/zero", "directory"] {
        let _ = std::fs::remove_file(&path);
        place_odd_file(odd, &path);
        assert!(cache.find(&digest(), STORED).is_none(), "{odd}");
    }
}

#[test]
fn a_list_of_verified_files_that_is_a_fifo_is_neither_read_nor_written() {
    let directory = tempfile::tempdir().unwrap();
    place_odd_file("fifo", &directory.path().join("seen"));
    let file = directory.path().join("file");
    std::fs::write(&file, "x").unwrap();
    let stamp = Stamp::from_file(&File::open(&file).unwrap(), 0).unwrap();
    let cache = Cache::new(directory.path(), 1 << 20, "");
    assert!(!cache.has_seen(&digest(), &stamp));
    assert!(cache.see(&digest(), &stamp).is_err());
}

#[test]
fn a_list_of_verified_files_that_grew_too_long_is_shortened_and_used() {
    let directory = tempfile::tempdir().unwrap();
    let list = directory.path().join("seen");
    let file = directory.path().join("file");
    std::fs::write(&file, "x").unwrap();
    let stamp = Stamp::from_file(&File::open(&file).unwrap(), 0).unwrap();
    Cache::new(directory.path(), 1 << 20, "").see(&digest(), &stamp).unwrap();
    let known = std::fs::read(&list).unwrap();
    for filler in [&b"0123456789abcdef0123456789abcdef\n"[..], b"\xff"] {
        std::fs::write(&list, [filler.repeat((3 << 20) / filler.len()), b"\n".to_vec(), known.clone()].concat())
            .unwrap();
        assert!(Cache::new(directory.path(), 1 << 20, "").has_seen(&digest(), &stamp));
        assert!(std::fs::metadata(&list).unwrap().len() < 1 << 20);
        assert!(Cache::new(directory.path(), 1 << 20, "").has_seen(&digest(), &stamp));
    }
}

fn place_odd_file(what: &str, path: &Path) {
    match what {
        "fifo" => {
            let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR);
            rustix::fs::mknodat(rustix::fs::CWD, path, kind, mode, 0).unwrap();
        }
        "directory" => std::fs::create_dir(path).unwrap(),
        device => std::os::unix::fs::symlink(device, path).unwrap(),
    }
}

mod shared {
    use super::*;

    fn options() -> StoreOptions {
        StoreOptions { timeout: Duration::from_secs(2), ..StoreOptions::default() }
    }

    fn store(place: &str, access: StoreAccess) -> RecordStore {
        RecordStore::open(place, access, &options()).unwrap()
    }

    #[test]
    fn records_are_shared_between_machines_with_the_same_build() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("not there yet/a b%20#é");
        let place = place.to_str().unwrap();
        let first = Cache::shared(Vec::new(), Some(store(place, StoreAccess::Write)), "");
        first.keep(&checked(&digest(), &diff_id()), &contents()).unwrap();
        assert_eq!(first.take_notes(), Vec::<String>::new());
        let from = |build| Cache::shared(vec![store(place, StoreAccess::Read)], None, build);
        let found = from("").find(&digest(), STORED).unwrap();
        assert_eq!((listed(&found.contents), found.diff_id), (listed(&contents()), diff_id()));
        let other = from("another");
        assert!(other.find(&digest(), STORED).is_none());
        assert_eq!(other.take_notes(), Vec::<String>::new());
    }

    #[test]
    fn records_from_a_store_are_not_kept_locally() {
        let (own, shared) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let place = shared.path().to_str().unwrap();
        Cache::shared(Vec::new(), Some(store(place, StoreAccess::Write)), "")
            .keep(&checked(&digest(), &diff_id()), &contents())
            .unwrap();
        let cache = Cache::new(own.path(), 1 << 20, "").with_stores(vec![store(place, StoreAccess::Read)], None);
        assert!(cache.find(&digest(), STORED).is_some());
        assert_eq!(cache.usage().unwrap(), Usage::default());
    }

    #[test]
    fn a_damaged_record_in_a_store_is_reported_and_not_used() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().to_str().unwrap();
        let cache = Cache::shared(vec![store(place, StoreAccess::Read)], Some(store(place, StoreAccess::Write)), "");
        cache.keep(&checked(&digest(), &diff_id()), &contents()).unwrap();
        let path = directory.path().join(cache.place_in_store()).join(layer::layer_key(&diff_id()));
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        assert!(cache.find(&digest(), STORED).is_none());
        let notes = cache.take_notes();
        assert!(notes.len() == 1 && notes[0].contains("is damaged; it was not used"), "{notes:?}");
    }

    #[test]
    fn a_shared_record_that_is_not_a_regular_file_is_refused_at_once() {
        for odd in ["fifo", "/dev/zero"] {
            let directory = tempfile::tempdir().unwrap();
            let place = directory.path().to_str().unwrap();
            let cache =
                Cache::shared(vec![store(place, StoreAccess::Read)], Some(store(place, StoreAccess::Write)), "");
            cache.keep(&checked(&digest(), &diff_id()), &contents()).unwrap();
            let path = directory.path().join(cache.place_in_store()).join(layer::layer_key(&diff_id()));
            std::fs::remove_file(&path).unwrap();
            place_odd_file(odd, &path);
            assert!(cache.find(&digest(), STORED).is_none());
            assert!(cache.take_notes()[0].contains("a record is not a regular file"));
        }
    }

    #[cfg(feature = "shared-cache")]
    #[test]
    fn a_failing_store_is_reported_once_and_not_used_again() {
        let unreachable = "http://user:secret@127.0.0.1:1/x";
        let cache = Cache::shared(
            vec![store(unreachable, StoreAccess::Read)],
            Some(store(unreachable, StoreAccess::Write)),
            "",
        );
        for _ in 0..3 {
            assert!(cache.find(&digest(), STORED).is_none());
            cache.keep(&checked(&digest(), &diff_id()), &contents()).unwrap();
        }
        let notes = cache.take_notes();
        assert!(notes.len() == 2 && notes.iter().all(|note| note.contains("http://127.0.0.1:1/x")), "{notes:?}");
        assert!(notes[0].contains("Connection refused") && !notes[0].contains("secret"), "{notes:?}");
    }

    #[test]
    fn a_directory_that_is_missing_is_reported() {
        let missing = Cache::shared(vec![store("/nowhere/at/all", StoreAccess::Read)], None, "");
        assert!(missing.find(&digest(), STORED).is_none());
        assert!(missing.take_notes()[0].contains("no such directory"));
    }
}

#[test]
fn threads_that_keep_the_same_layer_leave_it_whole() {
    let directory = tempfile::tempdir().unwrap();
    let cache = Cache::new(directory.path(), 1 << 20, "");
    let contents = contents();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..20 {
                    cache.keep(&checked(&digest(), &diff_id()), &contents).unwrap();
                    assert!(cache.find(&digest(), STORED).is_some());
                }
            });
        }
    });
    assert_eq!(cache.usage().unwrap().layers, 1);
}
