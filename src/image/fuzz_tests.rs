//! Any input gets a result: no panic, no hang, no more memory than the limits allow.

use std::io::Read;

use proptest::prelude::*;

use super::testing::{Memory, TestMember, compress, file, header, padded, pax, tar_of};
use super::{Compression, LayerError, LayerRead, Limits, Wanted, read_layer, select};
use crate::image::ImageError;

/// Small limits, so that a false size is detected soon.
fn limits() -> Limits {
    Limits {
        max_names: 5000,
        max_text: 1 << 20,
        max_bytes: 64 << 20,
        max_ratio: 50,
        free_bytes: 4 << 20,
        ..Limits::default()
    }
}

fn read(stored: Vec<u8>) -> Result<LayerRead<usize>, ImageError> {
    let mut memory = Memory::default();
    let mut layer = memory.add_layer(0, b"", stored);
    layer.diff_id = None;
    read_layer(&memory, &layer, &limits(), &mut |entry, reader| {
        let mut content = Vec::new();
        reader.take(10_000).read_to_end(&mut content).ok()?;
        assert!(content.len() as u64 <= entry.size);
        Some(content.len())
    })
}

fn sample() -> Vec<u8> {
    let data = (0..3000u32).map(|at| ((at * at) >> 3) as u8).collect::<Vec<_>>();
    let members: [TestMember<'_>; 7] = [
        (b'5', b"d/", b"", b""),
        file("d/a", &data),
        (b'2', b"l", b"d/a", b""),
        (b'1', b"h", b"d/a", b""),
        (b'L', b"././@LongLink", b"", b"a/long/name\0"),
        file("short", b"x"),
        (b'3', b"dev", b"", b""),
    ];
    let records: [(&str, &[u8]); 3] =
        [("GNU.sparse.major", b"1"), ("GNU.sparse.minor", b"0"), ("GNU.sparse.realsize", b"20")];
    let sparse = [&pax(&records)[..], &header(b'0', b"s", b"", 516), &padded(b"1\n3\n4\n"), &padded(b"data")].concat();
    [&pax(&[("path", b"p"), ("uid", b"7")])[..], &sparse, &tar_of(&members)].concat()
}

proptest! {
    #[test]
    fn any_bytes_get_a_result(bytes in prop::collection::vec(any::<u8>(), 0..3000)) {
        let _ = read(bytes);
    }

    #[test]
    fn a_tar_with_changed_bytes_gets_a_result(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        right_sums: bool,
        compression in prop_oneof![Just(Compression::None), Just(Compression::Gzip), Just(Compression::Zstd)],
    ) {
        let mut tar = sample();
        for (at, byte) in changes {
            let at = at.index(tar.len());
            tar[at] = byte;
            let start = at / 512 * 512;
            // With a valid checksum the change reaches the fields.
            if right_sums && at % 512 < 500 && tar[start + 257..start + 262] == *b"ustar" {
                let mut block = tar::Header::from_byte_slice(&tar[start..start + 512]).clone();
                block.set_cksum();
                tar[start..start + 512].copy_from_slice(block.as_bytes());
            }
        }
        let _ = read(compress(&tar, compression));
    }

    #[test]
    fn a_compressed_layer_with_changed_bytes_gets_a_result(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
        compression in prop_oneof![Just(Compression::Gzip), Just(Compression::Zstd)],
    ) {
        let mut stored = compress(&sample(), compression);
        for (at, byte) in changes {
            let at = at.index(stored.len());
            stored[at] = byte;
        }
        stored.truncate(cut.index(stored.len()) + 1);
        let _ = read(stored);
    }

    #[test]
    fn any_document_gets_a_result(
        text in r#"\{("(manifests|config|layers|schemaVersion|digest|size)": ?(\[\{\}\]|\{\}|2|null|"x"),?){0,4}\}"#,
    ) {
        let mut memory = Memory::default();
        memory.root = Some(memory.add("application/json", text));
        let _ = select(&memory, &Wanted::default());
    }
}

#[test]
fn a_tar_that_is_cut_anywhere_is_never_taken_for_the_whole() {
    let whole = sample();
    let entries = read(whole.clone()).unwrap().contents.len();
    // Empty input is an empty tar: there, only the digest shows it.
    for length in (1..whole.len()).step_by(97).chain((512..whole.len()).step_by(512)) {
        match read(whole[..length].to_vec()) {
            Err(_) => {}
            Ok(read) => {
                let is_noted = read.notes.contains(&super::LayerNote::NoEndMarker);
                assert!(is_noted || read.contents.len() == entries, "cut at {length}");
            }
        }
    }
}

/// Reads a stream of zeros that expands far beyond the limit.
fn check_bomb(stored: Vec<u8>, expected: fn(&LayerError) -> bool) {
    match read(stored).map(|read| read.checked) {
        Err(ImageError::Layer { cause, .. }) => assert!(expected(&cause), "{cause}"),
        other => panic!("a bomb was read: {other:?}"),
    }
}

#[test]
fn bombs_end_at_their_limit() {
    let huge = [&header(b'0', b"zeros", b"", 60 << 20)[..], &vec![0; 60 << 20]].concat();
    for compression in [Compression::Gzip, Compression::Zstd] {
        check_bomb(compress(&huge, compression), |cause| matches!(cause, LayerError::Bomb { ratio: 50, .. }));
    }
    // Each member by itself is harmless.
    let zeros = compress(&vec![0; 1 << 20], Compression::Gzip);
    let many = [compress(&huge[..512], Compression::Gzip), zeros.repeat(200)].concat();
    check_bomb(many, |cause| matches!(cause, LayerError::Bomb { .. }));
    let sparse = pax(&[("GNU.sparse.map", b"0,4"), ("GNU.sparse.size", b"9000000000000000000")]);
    let sparse = [&sparse[..], &header(b'0', b"s", b"", 4), &padded(b"data")].concat();
    check_bomb(sparse, |cause| matches!(cause, LayerError::TooLarge(_)));
}

#[test]
fn endless_names_end_at_their_limit() {
    let deep = "d/".repeat(45);
    let members: Vec<Vec<u8>> = (0..200).map(|number| format!("{number}/{deep}x").into_bytes()).collect();
    let members: Vec<TestMember<'_>> = members.iter().map(|name| (b'0', &name[..], &b""[..], &b""[..])).collect();
    check_bomb(tar_of(&members), |cause| matches!(cause, LayerError::TooManyNames(5000)));
    let target = [b't'; 4000];
    let one = [&pax(&[("linkpath", &target)])[..], &header(b'2', b"l", b"", 0)].concat();
    check_bomb(one.repeat(300), |cause| matches!(cause, LayerError::TooMuchText(_)));
}

#[test]
fn endless_empty_members_are_skipped() {
    // Ten thousand empty gzip members before the first byte of the tar.
    let empty = compress(b"", Compression::Gzip);
    let stored = [empty.repeat(10_000), compress(&tar_of(&[file("a", b"x")]), Compression::Gzip)].concat();
    assert_eq!(read(stored).unwrap().contents.len(), 1);
    let skippable = [0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0].repeat(10_000);
    let stored = [skippable, compress(&tar_of(&[file("a", b"x")]), Compression::Zstd)].concat();
    assert_eq!(read(stored).unwrap().contents.len(), 1);
}
