//! Layers as sources deliver them: every compression, both digests, and every kind of false claim.

use super::*;
use crate::image::testing::{Memory, compress, file, tar_of};

fn read(source: &dyn ImageSource, layer: &Layer) -> Result<LayerRead<String>, ImageError> {
    read_layer(source, layer, &Limits::default(), &mut |_, reader| {
        let mut text = String::new();
        reader.read_to_string(&mut text).ok()?;
        Some(text)
    })
}

fn listing(read: &LayerRead<String>) -> Vec<(String, String)> {
    let mut found = Vec::new();
    read.contents.for_each(|entry, fact| {
        let text = fact.map_or(String::new(), |index| read.contents.fact(index).clone());
        found.push((String::from_utf8_lossy(entry.path).into_owned(), text));
    });
    found
}

fn sample() -> Vec<u8> {
    let next = |state: &u64| Some(state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
    let states = std::iter::successors(Some(1u64), next).take(700_000);
    let noise: Vec<u8> = states.map(|state| (state >> 57) as u8).collect();
    tar_of(&[file("a", b"alpha"), file("big", &noise), file("z", b"omega")])
}

/// `change` is applied to the stored bytes before their digest is computed.
fn check(stored: Vec<u8>, expected: Result<Compression, &str>) {
    let mut memory = Memory::default();
    let layer = memory.add_layer(3, &sample(), stored);
    let prefix = format!("reading layer 4 ({}...): ", layer.descriptor.digest.short());
    match (read(&memory, &layer), expected) {
        (Ok(read), Ok(compression)) => {
            assert_eq!(read.checked.compression, compression);
            assert_eq!(read.checked.digest, layer.descriptor.digest);
            assert_eq!(Some(&read.checked.diff_id), layer.diff_id.as_ref());
            assert_eq!(read.checked.stored_bytes, layer.descriptor.size);
            assert_eq!(read.checked.uncompressed_bytes, sample().len() as u64);
            let files = listing(&read);
            assert_eq!(files[0], ("a".into(), "alpha".into()));
            assert_eq!(files[2], ("z".into(), "omega".into()));
        }
        (Err(error), Err(text)) => assert_eq!(error.to_string(), format!("{prefix}{text}")),
        (found, expected) => panic!("{expected:?} was expected, not {:?}", found.map(|read| read.checked)),
    }
}

const ALL: [Compression; 3] = [Compression::None, Compression::Gzip, Compression::Zstd];

#[test]
fn every_compression_is_detected_by_its_bytes() {
    for compression in ALL {
        check(compress(&sample(), compression), Ok(compression));
    }
}

#[test]
fn a_gzip_stream_may_have_many_members() {
    for size in [1, 511, 70_000] {
        let members: Vec<u8> =
            sample().chunks(size.max(3000)).flat_map(|part| compress(part, Compression::Gzip)).collect();
        check(members, Ok(Compression::Gzip));
    }
}

#[test]
fn a_zstd_stream_may_have_many_frames_and_skippable_ones() {
    let skippable = [0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4];
    let mut stored = skippable.to_vec();
    for part in sample().chunks(100_000) {
        stored.extend(compress(part, Compression::Zstd));
        stored.extend(skippable);
    }
    check(stored, Ok(Compression::Zstd));
}

#[test]
fn bytes_after_a_gzip_stream_are_a_note() {
    for (tail, note) in [(&[0u8; 512][..], LayerNote::TrailingZeros), (b"garbage", LayerNote::TrailingGarbage)] {
        let mut stored = compress(&sample(), Compression::Gzip);
        stored.extend_from_slice(tail);
        check(stored.clone(), Ok(Compression::Gzip));
        let mut memory = Memory::default();
        let layer = memory.add_layer(0, &sample(), stored);
        assert_eq!(read(&memory, &layer).unwrap().notes, [note]);
    }
}

#[test]
fn a_truncated_stream_is_reported() {
    for (compression, name) in [(Compression::Gzip, "gzip stream"), (Compression::Zstd, "zstd frame")] {
        let whole = compress(&sample(), compression);
        for length in [5, 9, 100, whole.len() / 2, whole.len() - 8, whole.len() - 1] {
            check(whole[..length].to_vec(), Err(&format!("unexpected end of {name}")));
        }
    }
    check(sample()[..512 * 700].to_vec(), Err("unexpected end of tar"));
    check(sample()[..512 + 5].to_vec(), Err("unexpected end of tar"));
    // Truncated at a header, or before the first one: the engines' reader accepts it as the end, so only the diffID
    // shows it.
    for cut in [sample()[..1024].to_vec(), Vec::new()] {
        let (found, expected) = (DiffId(Digest::from_bytes(&cut)), DiffId(Digest::from_bytes(&sample())));
        let text = format!("its uncompressed content has the digest {found}, but the config's diff_id is {expected}");
        check(cut, Err(&text));
    }
}

#[test]
fn a_blob_that_does_not_match_its_descriptor_is_refused() {
    let stored = compress(&sample(), Compression::Gzip);
    let mut memory = Memory::default();
    let layer = memory.add_layer(1, &sample(), stored.clone());
    let cause = |layer: &Layer, memory: &Memory| match read(memory, layer).unwrap_err() {
        ImageError::Layer { index: 1, cause, .. } => *cause,
        error => panic!("{error}"),
    };
    let mut longer = stored.clone();
    longer.extend_from_slice(&stored);
    memory.blobs.insert(layer.descriptor.digest.clone(), longer);
    assert!(matches!(cause(&layer, &memory), LayerError::TooLong { .. }));
    let other = compress(&sample(), Compression::None);
    memory.blobs.insert(layer.descriptor.digest.clone(), other.clone());
    let mut same_size = layer.clone();
    same_size.descriptor.size = other.len() as u64;
    assert!(
        matches!(cause(&same_size, &memory), LayerError::WrongDigest { found } if found == Digest::from_bytes(&other))
    );
    same_size.descriptor.size += 1;
    assert!(matches!(cause(&same_size, &memory), LayerError::WrongSize { .. }));
    memory.blobs.insert(layer.descriptor.digest.clone(), stored);
    let mut lying = layer.clone();
    lying.diff_id = Some(DiffId(Digest::from_bytes(b"another")));
    assert!(matches!(cause(&lying, &memory), LayerError::WrongDiffId { .. }));
}

#[test]
fn unreadable_layers_are_named_and_are_not_faults() {
    let mut memory = Memory::default();
    let mut check = |media_type: &str, bytes: &[u8], keep: bool, text: &str| {
        let mut descriptor = memory.add(media_type, bytes);
        descriptor.urls = vec!["https://example.com/base".into()];
        if !keep {
            memory.blobs.clear();
        }
        let error = read(&memory, &Layer { index: 0, descriptor, diff_id: None, ztoc: None }).unwrap_err();
        assert!(error.is_unverified() && error.to_string().ends_with(text), "{error}");
    };
    check(
        "application/vnd.oci.image.layer.v1.tar+gzip",
        b"BZh91AY&SY",
        true,
        "bzip2 compression is not supported; \
        engines read gzip, zstd and uncompressed layers",
    );
    check("a", b"\xfd7zXZ\0", true, "xz compression is not supported; engines read gzip, zstd and uncompressed layers");
    let foreign = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
    check(foreign, b"", false, "it is a foreign layer, which is stored elsewhere (https://example.com/base)");
    let encrypted = "application/vnd.oci.image.layer.v1.tar+gzip+encrypted";
    check(encrypted, b"x", true, &format!("it is encrypted ({encrypted}) and cannot be read without its key"));
    let absent = "application/vnd.oci.image.layer.v1.tar+gzip";
    check(absent, b"gone", false, "is not present in the test's memory");
}

#[test]
fn bytes_that_are_not_a_layer_are_shown() {
    check(b"<!DOCTYPE html>".to_vec(), Err("it is neither a tar nor gzip nor zstd: it starts with 3c21444f43545950"));
}

#[test]
fn a_broken_stream_names_its_format() {
    let mut gzip = compress(&sample(), Compression::Gzip);
    let middle = gzip.len() / 2;
    gzip[middle..middle + 64].fill(0xff);
    let mut zstd = compress(&sample(), Compression::Zstd);
    zstd[8..72].fill(0xff);
    for (stored, name) in [(gzip, "corrupt gzip: "), (zstd, "corrupt zstd: ")] {
        let mut memory = Memory::default();
        let layer = memory.add_layer(0, &sample(), stored);
        let error = read(&memory, &layer).unwrap_err().to_string();
        assert!(error.contains(name), "{error}");
    }
}

/// Helpers read ahead of the walk: an error that they met must count, although the walk stopped before it.
#[test]
fn a_failure_to_fetch_bytes_takes_precedence_over_a_broken_tar() {
    let mut tar = sample();
    tar[3] ^= 1;
    tar.resize(8 << 20, 0);
    let mut memory = Memory::default();
    let layer = memory.add_layer(0, &tar, tar.clone());
    for _ in 0..20 {
        let error = read(&memory, &layer).unwrap_err().to_string();
        assert!(error.ends_with("corrupt tar at byte 0: a header's checksum is wrong"), "{error}");
        memory.blobs.insert(layer.descriptor.digest.clone(), [&tar[..], b"x"].concat());
        let error = read(&memory, &layer).unwrap_err();
        assert!(matches!(&error, ImageError::Layer { cause, .. } if matches!(**cause, LayerError::TooLong { .. })));
        memory.blobs.insert(layer.descriptor.digest.clone(), tar.clone());
    }
}

#[test]
fn a_media_type_that_denies_the_compression_is_noted() {
    let plain = "application/vnd.oci.image.layer.v1.tar";
    let docker = "application/vnd.docker.image.rootfs.diff.tar";
    for (compression, media_type, is_noted) in [
        (Compression::Gzip, plain, true),
        (Compression::Zstd, plain, true),
        (Compression::None, plain, false),
        (Compression::Gzip, docker, false),
        (Compression::None, "application/vnd.oci.image.layer.v1.tar+gzip", false),
    ] {
        let mut memory = Memory::default();
        let mut layer = memory.add_layer(0, &sample(), compress(&sample(), compression));
        layer.descriptor.media_type = media_type.to_string();
        assert_eq!(!read(&memory, &layer).unwrap().notes.is_empty(), is_noted, "{compression:?} as {media_type}");
    }
}

#[test]
fn a_panic_of_the_source_is_not_a_fault_of_the_layer() {
    struct Bug(io::Cursor<Vec<u8>>);
    impl Read for Bug {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            match self.0.read(into)? {
                0 => panic!("a bug"),
                read => Ok(read),
            }
        }
    }
    // A tar that is corrupt at its start is still read to its end for its digest.
    let corrupt: Vec<u8> = sample().into_iter().rev().collect();
    for (compression, tar) in
        ALL.into_iter().flat_map(|compression| [(compression, sample()), (compression, corrupt.clone())])
    {
        let stored = compress(&tar, compression);
        for (length, helpers) in [0, stored.len() / 2, stored.len()].into_iter().zip([0, 1, 2].repeat(3)) {
            let reader = Bug(io::Cursor::new(stored[..length].to_vec()));
            let through = |decoder, scheduler| LayerPipeline::helped(decoder, scheduler, helpers);
            let read = || read_stored::<(), _>(reader, Hasher::sha256(), &Limits::default(), through, &mut |_, _| None);
            let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(read)).expect_err("it goes on");
            assert_eq!(panic.downcast_ref(), Some(&"a bug"), "{compression:?}, {length} bytes, {helpers} helpers");
        }
    }
}

#[test]
fn an_error_of_the_source_in_mid_stream_keeps_its_hint() {
    struct Refused;
    impl Read for Refused {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            let (name, place) = ("a blob".to_string(), "a registry".to_string());
            let error = SourceError::Answer { name, place, status: 429, cause: String::new() };
            Err(io::Error::other(error.with_hint("log in")))
        }
    }
    let (start, left) = (sample()[..5000].to_vec(), 1 << 20);
    let stored = Stored { reader: io::Cursor::new(start).chain(Refused), left, expected: left };
    let read =
        read_stored::<(), _>(stored, Hasher::sha256(), &Limits::default(), LayerPipeline::alone, &mut |_, _| None);
    let descriptor = Descriptor::new("a layer", Digest::from_bytes(b""), left);
    assert_eq!(read.unwrap_err().in_layer(0, &descriptor).hint().as_deref(), Some("log in"));
}

#[test]
fn an_interrupted_read_is_tried_again() {
    struct Interrupted(bool);
    impl Read for Interrupted {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            self.0 = !self.0;
            if self.0 { Err(io::ErrorKind::Interrupted.into()) } else { Ok(into.len().min(1000)) }
        }
    }
    let stored = Stored { reader: Interrupted(false).take(5000), left: 5000, expected: 5000 };
    let mut reader = StoredReader::new(stored, None);
    reader.drain().unwrap();
    assert_eq!(reader.taken(), 5000);
}
