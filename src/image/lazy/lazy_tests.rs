use std::sync::atomic::AtomicU64;

use super::testing::Written;
use super::*;
use crate::image::testing::{Memory, TestMember, file};
use crate::image::{Limits, read_layer};

const FORMATS: [TocFormat; 2] = [TocFormat::EStargz, TocFormat::ZstdChunked];

/// Bytes that do not compress.
fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}

fn memory() -> Memory {
    Memory { ranged: Some(AtomicU64::new(0)), ..Memory::default() }
}

fn open(memory: &Memory, layer: &Layer) -> Option<LazyLayer> {
    LazyLayer::open(memory, layer, &Limits::default())
}

fn lines(contents: &Contents<()>) -> Vec<String> {
    let mut lines = Vec::new();
    contents.for_each(|entry, _| lines.push(format!("{entry:?}")));
    lines
}

#[test]
fn the_entries_are_those_of_the_tar() {
    let long = noise(100_000, 1);
    let members: [TestMember<'_>; 8] = [
        (b'5', b"usr/", b"", b""),
        file("usr/app", &long),
        file("empty", b""),
        (b'2', b"link", b"../usr/app", b""),
        (b'1', b"hard", b"./usr/app", b""),
        file("etc/.wh.gone", b""),
        file("opt/.wh..wh..opq", b""),
        file("text", b"text"),
    ];
    for format in FORMATS {
        let mut memory = memory();
        let layer = Written::new(format, &members, 30_000).add_to(&mut memory);
        let lazy = open(&memory, &layer).unwrap();
        assert_eq!((lazy.format(), lazy.entries(), lazy.size()), (format, 8, layer.descriptor.size));
        let partly = lazy.contents::<()>(&Limits::default(), |_, _| None).unwrap();
        // The layer is also valid for an engine that reads all of it.
        let whole = read_layer(&memory, &layer, &Limits::default(), &mut |_, _| None::<()>).unwrap();
        let expected: Vec<String> =
            lines(&whole.contents).into_iter().filter(|line| !line.contains("[115, 116, 97, 114, 103, 122")).collect();
        assert_eq!(lines(&partly), expected);
    }
}

#[test]
fn capabilities_and_preliminary_facts_are_kept() {
    let mut memory = memory();
    let written = Written::new(TocFormat::EStargz, &[file("ping", b"x"), file("other", b"y")], 1000);
    let layer = written.capable(0, b"bad").add_to(&mut memory);
    let lazy = open(&memory, &layer).unwrap();
    let extents = [Extent::Final, Extent::Preliminary];
    let contents = lazy.contents(&Limits::default(), |file, _| Some((file, extents[file]))).unwrap();
    assert!(contents.has_preliminary() && !contents.is_preliminary(0) && contents.is_preliminary(1));
    assert!(lazy.entry(0).capabilities.is_some() && lazy.entry(1).capabilities.is_none());
}

#[test]
fn starts_take_few_bytes_and_are_verified_if_their_chunks_are_complete() {
    let large = noise(3 << 20, 2);
    let small = noise(2000, 3);
    let members = [file("a", &large), file("b", &small), file("c", &large[1..])];
    for format in FORMATS {
        let mut memory = memory();
        let layer = Written::new(format, &members, 1 << 20).add_to(&mut memory);
        let lazy = open(&memory, &layer).unwrap();
        let before = lazy.fetched();
        let mut starts = Vec::new();
        let portions = [(0, Portion::Start(4096)), (1, Portion::Start(4096)), (2, Portion::Start(70_000))];
        lazy.read_starts(&memory, &portions, &mut |start| starts.push(start)).unwrap();
        starts.sort_by_key(|start| start.file);
        for (start, (_, _, _, content)) in starts.iter().zip(&members) {
            assert_eq!(start.bytes, content[..start.bytes.len()]);
        }
        assert!(starts[0].bytes.len() >= 4096 && starts[2].bytes.len() >= 70_000, "{format:?}");
        assert_eq!(starts.iter().map(|start| start.is_verified).collect::<Vec<_>>(), [false, true, false]);
        let read = lazy.fetched() - before;
        assert!(read < layer.descriptor.size / 8, "{format:?}: {read}");
        assert_eq!(memory.ranged.unwrap().into_inner(), lazy.fetched());
    }
}

#[test]
fn whole_files_are_verified_chunk_by_chunk() {
    let content = noise(700_000, 4);
    for format in FORMATS {
        let mut memory = memory();
        let layer = Written::new(format, &[file("a", &content)], 10_000).add_to(&mut memory);
        let lazy = open(&memory, &layer).unwrap();
        let read = |memory: &Memory| {
            lazy.read_file(memory, 0, |reader| {
                let mut bytes = Vec::new();
                reader.read_to_end(&mut bytes).map(|_| bytes)
            })
        };
        assert_eq!(read(&memory).unwrap().unwrap(), content);
        // A changed byte in the middle.
        let blob = memory.blobs.get_mut(&layer.descriptor.digest).unwrap();
        let at = blob.len() / 2;
        blob[at] ^= 0x40;
        let error = read(&memory).unwrap_err().to_string();
        assert!(error.contains(&format!("corrupt {}: a: a chunk ", format.name())), "{error}");
    }
}

#[test]
fn a_layer_that_does_not_fit_is_read_in_full() {
    let content = noise(10_000, 5);
    for format in FORMATS {
        let mut memory = memory();
        let layer = Written::new(format, &[file("a", &content)], 4000).add_to(&mut memory);
        assert!(open(&memory, &layer).is_some());
        let bare = Layer {
            descriptor: Descriptor { annotations: Default::default(), ..layer.descriptor.clone() },
            ..layer.clone()
        };
        assert!(open(&memory, &bare).is_none(), "no table");
        assert!(open(&memory, &Layer { diff_id: None, ..layer.clone() }).is_none());
        let mut other = layer.clone();
        for digest in other.descriptor.annotations.values_mut().filter(|value| value.starts_with("sha256:")) {
            *digest = crate::oci::Digest::from_bytes(b"other").to_string();
        }
        assert!(open(&memory, &other).is_none(), "another table");
        memory.ranged = None;
        assert!(open(&memory, &layer).is_none(), "no ranges");
    }
}

/// Opens a layer whose entries were changed by `edit`.
fn edited(edit: impl Fn(&mut Vec<serde_json::Value>)) -> Option<LazyLayer> {
    let mut memory = memory();
    let content = noise(10_000, 6);
    let mut written = Written::new(TocFormat::ZstdChunked, &[file("a", &content), file("b", b"b")], 4000);
    edit(&mut written.entries);
    let layer = written.add_to(&mut memory);
    open(&memory, &layer)
}

#[test]
fn a_table_that_contradicts_itself_is_rejected() {
    use serde_json::json;
    assert!(edited(|_| {}).is_some());
    let set = |at: usize, key: &'static str, value: serde_json::Value| {
        edited(move |entries| entries[at][key] = value.clone()).is_some()
    };
    for (at, key, value) in [
        (0, "size", json!(-1)),
        (0, "size", json!(u64::MAX)),
        (0, "chunkSize", json!(1u64 << 40)),
        (1, "chunkOffset", json!(1)),
        (1, "chunkOffset", json!(u64::MAX)),
        (1, "chunkDigest", json!("")),
        (0, "offset", json!(1u64 << 50)),
        (0, "endOffset", json!(u64::MAX)),
        (0, "innerOffset", json!(1u64 << 40)),
        (0, "chunkType", json!("new")),
        (0, "type", json!("new")),
        (0, "name", json!("a\u{fffd}")),
        (0, "name", json!("a\0")),
        (0, "name", json!("x".repeat(5000))),
        (0, "name", json!(".wh.")),
        (0, "xattrs", json!({"security.capability": "!"})),
    ] {
        assert!(!set(at, key, value.clone()), "{key} {value}");
    }
    assert!(edited(|entries| _ = entries.remove(0)).is_none(), "a chunk without its file");
    assert!(edited(|entries| _ = entries.remove(1)).is_none(), "a file without one of its chunks");
}

#[test]
fn names_stay_within_their_limits() {
    let mut memory = memory();
    let names: Vec<String> = (0..50).map(|at| format!("d{at}/f")).collect();
    let members: Vec<TestMember<'_>> = names.iter().map(|name| file(name, b"")).collect();
    let layer = Written::new(TocFormat::EStargz, &members, 100).add_to(&mut memory);
    let limits = Limits { max_names: 60, ..Limits::default() };
    let lazy = open(&memory, &layer).unwrap();
    let error = lazy.contents::<()>(&limits, |_, _| None).unwrap_err();
    assert!(matches!(error, LayerError::TooManyNames(60)), "{error}");
}

#[test]
fn a_probable_start_takes_fewer_bytes_and_may_be_too_short() {
    let plain = vec![b'a'; 400_000];
    for (format, mask) in [(TocFormat::EStargz, 0xff), (TocFormat::ZstdChunked, 0x0f)] {
        // A decoder returns parts of a block that is not compressed.
        let start: Vec<u8> = noise(200_000, 3).iter().map(|byte| byte & mask).collect();
        let mixed = [start, vec![b'a'; 800_000]].concat();
        let mut memory = memory();
        let layer = Written::new(format, &[file("plain", &plain), file("mixed", &mixed)], 1 << 20).add_to(&mut memory);
        let lazy = open(&memory, &layer).unwrap();
        let starts = |portion: Portion| {
            let mut lengths = Vec::new();
            let portions = [(0, portion), (1, portion)];
            let read = lazy.read_starts(&memory, &portions, &mut |start| {
                assert!([&plain, &mixed][start.file].starts_with(&start.bytes), "{format:?}");
                lengths.push(start.bytes.len());
            });
            read.unwrap();
            lengths
        };
        let (probable, sure) = (starts(Portion::ProbableStart(1024)), starts(Portion::Start(1024)));
        assert!(probable[0] >= 1024 && probable[1] < 1024, "{format:?}: {probable:?}");
        assert!(sure[0] >= 1024 && sure[1] >= 1024, "{format:?}: {sure:?}");
        let cost = |portion: Portion| lazy.cost(&[(1, portion)]);
        assert!(cost(Portion::ProbableStart(1024)) < cost(Portion::Start(1024)));
    }
}
