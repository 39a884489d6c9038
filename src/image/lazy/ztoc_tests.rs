use std::io::Read;
use std::sync::atomic::AtomicU64;

use super::super::soci_writer::{ZtocWriter, compress};
use super::super::{LazyLayer, Portion};
use super::*;
use crate::image::layer::{SociBinding, Ztoc};
use crate::image::testing::{Memory, TestMember, file, header, open_tar_of, padded, pax, tar_of};
use crate::image::{Contents, Layer, MemoryBudget, read_layer};

const SPAN: usize = 20_000;

/// Content that repeats after 32 KiB, so that blocks refer to the window before them.
fn content(length: usize, seed: usize) -> Vec<u8> {
    (0..length).map(|at| ((at % WINDOW + seed).wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

fn memory() -> Memory {
    Memory { ranged: Some(AtomicU64::new(0)), ..Memory::default() }
}

fn digest(bytes: &[u8]) -> String {
    Digest::from_bytes(bytes).to_string()
}

fn written(tar: &[u8], memory: &mut Memory, members: usize, edit: impl FnOnce(&mut ZtocWriter)) -> Layer {
    let (stored, checkpoints) = compress(tar, SPAN, members > 1, members);
    let mut writer = ZtocWriter::new(tar, &stored, checkpoints, digest);
    edit(&mut writer);
    let descriptor = memory.add(SPAN_TYPE, writer.write());
    let mut layer = memory.add_layer(0, tar, stored);
    layer.ztoc = Some(Box::new(Ztoc { descriptor, binding: SociBinding::Manifest }));
    layer
}

const SPAN_TYPE: &str = "application/octet-stream";

fn open(memory: &Memory, layer: &Layer) -> Option<LazyLayer> {
    let ztoc = &layer.ztoc.as_ref().unwrap().descriptor;
    // The reason, if a test fails.
    eprintln!("{:?}", read(memory, ztoc, layer.descriptor.size, &Limits::default()).err());
    LazyLayer::open(memory, layer, &Limits::default())
}

fn lines(contents: &Contents<()>) -> Vec<String> {
    let mut lines = Vec::new();
    contents.for_each(|entry, _| lines.push(format!("{entry:?}")));
    lines
}

fn read_all(lazy: &LazyLayer, memory: &Memory, file: usize) -> Result<Vec<u8>, String> {
    let read = lazy.read_file(memory, file, |reader| {
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).map(|_| bytes)
    });
    read.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
}

#[test]
fn a_layer_in_plain_gzip_is_read_through_its_ztoc() {
    let (first, second, third) = (content(150_000, 1), content(90_000, 7), content(3000, 3));
    let mut tar = open_tar_of(&[
        (b'5', b"usr/", b"", b""),
        file("usr/first", &first),
        (b'2', b"link", b"../usr/first", b""),
        (b'1', b"hard", b"./usr/first", b""),
        file("etc/.wh.gone", b""),
        file("usr/second", &second),
        file("usr/empty", b""),
    ]);
    tar.extend(pax(&[("SCHILY.xattr.security.capability", b"\x01\0\0\x02\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0")]));
    tar.extend(header(b'0', b"usr/third", b"", third.len() as u64));
    tar.extend(padded(&third));
    tar.extend([0; 1024]);
    for (members, omits_first) in [(1, false), (1, true), (3, false)] {
        let mut memory = memory();
        let layer = written(&tar, &mut memory, members, |writer| writer.omits_first = omits_first);
        let lazy = open(&memory, &layer).unwrap();
        assert_eq!((lazy.format(), lazy.entries(), lazy.size()), (TocFormat::Soci, 8, layer.descriptor.size));
        let whole = read_layer(&memory, &layer, &Limits::default(), &mut |_, _| None::<()>).unwrap();
        let partly = lazy.contents::<()>(&Limits::default(), |_, _| None).unwrap();
        assert_eq!(lines(&partly), lines(&whole.contents));
        let files = [(1, &first), (5, &second), (7, &third)];
        let portions: Vec<(usize, Portion)> =
            files.iter().map(|(file, _)| (*file, Portion::ProbableStart(1000))).collect();
        let mut starts = Vec::new();
        lazy.read_starts(&memory, &portions, &mut |start| starts.push(start)).unwrap();
        for (start, (file, content)) in starts.iter().zip(files) {
            assert_eq!((start.file, start.is_verified), (file, true));
            assert!(start.bytes.len() >= 1000 && content.starts_with(&start.bytes), "{file} of {members} members");
            assert_eq!(&read_all(&lazy, &memory, file).unwrap(), content, "{file} of {members} members");
        }
    }
}

#[test]
fn only_the_spans_of_the_wanted_files_are_read() {
    let names: Vec<String> = (0..20).map(|at| format!("opt/{at}")).collect();
    let large = content(30_000, 2);
    let members: Vec<TestMember<'_>> = names.iter().map(|name| file(name, &large)).collect();
    let mut memory = memory();
    let layer = written(&tar_of(&members), &mut memory, 1, |_| {});
    let lazy = open(&memory, &layer).unwrap();
    let table = lazy.fetched();
    assert_eq!(table, layer.ztoc.as_ref().unwrap().descriptor.size);
    let portions = [(3, Portion::ProbableStart(1024)), (12, Portion::ProbableStart(1024))];
    let mut count = 0;
    lazy.read_starts(&memory, &portions, &mut |_| count += 1).unwrap();
    let read = lazy.fetched() - table;
    assert_eq!((count, read), (2, lazy.cost(&portions)));
    assert!(read < layer.descriptor.size / 6, "{read} of {}", layer.descriptor.size);
    assert_eq!(memory.ranged.unwrap().into_inner(), read);
}

#[test]
fn a_changed_span_is_not_used() {
    let large = content(200_000, 5);
    let mut memory = memory();
    let layer = written(&tar_of(&[file("a", &large)]), &mut memory, 1, |_| {});
    let lazy = open(&memory, &layer).unwrap();
    let blob = memory.blobs.get_mut(&layer.descriptor.digest).unwrap();
    let middle = blob.len() / 2;
    blob[middle] ^= 1;
    let error = read_all(&lazy, &memory, 0).unwrap_err();
    assert!(error.contains("corrupt SOCI: a: a chunk does not match its digest"), "{error}");
    // Its digest is right, but the content before it is not.
    let wrong_window = |writer: &mut ZtocWriter| writer.checkpoints[1].bits = (writer.checkpoints[1].bits + 3) % 8;
    let layer = written(&tar_of(&[file("a", &large)]), &mut memory, 1, wrong_window);
    let error = open(&memory, &layer).map(|lazy| read_all(&lazy, &memory, 0).map(|bytes| bytes == large));
    assert!(!matches!(error, Some(Ok(true))), "{error:?}");
}

#[test]
fn a_ztoc_that_contradicts_itself_is_not_used() {
    let large = content(200_000, 4);
    let tar = tar_of(&[file("a", &large), file("b", b"b")]);
    let (stored, checkpoints) = compress(&tar, SPAN, false, 1);
    let is_used = |edit: fn(&mut ZtocWriter)| {
        let mut writer = ZtocWriter::new(&tar, &stored, checkpoints.clone(), digest);
        edit(&mut writer);
        parse(writer.write(), stored.len() as u64, &Limits::default()).is_ok()
    };
    assert!(is_used(|_| {}));
    assert!(!is_used(|ztoc| ztoc.version = "1.0"));
    assert!(!is_used(|ztoc| ztoc.stored += 1), "another layer");
    assert!(!is_used(|ztoc| ztoc.content = i64::MAX), "more content than any layer has");
    assert!(!is_used(|ztoc| ztoc.content = -1));
    assert!(!is_used(|ztoc| ztoc.content = 4096), "less content than its files");
    assert!(!is_used(|ztoc| ztoc.algorithm = 2), "not gzip");
    assert!(!is_used(|ztoc| ztoc.last_span += 1));
    assert!(!is_used(|ztoc| _ = ztoc.digests.pop()));
    assert!(!is_used(|ztoc| ztoc.digests[1] = "sha256:12".into()));
    assert!(!is_used(|ztoc| _ = ztoc.checkpoints.pop()));
    assert!(!is_used(|ztoc| ztoc.checkpoints[1].window.truncate(100)));
    assert!(!is_used(|ztoc| ztoc.checkpoints[1].bits = 8));
    assert!(!is_used(|ztoc| ztoc.checkpoints[1].stored = u64::MAX));
    assert!(!is_used(|ztoc| ztoc.checkpoints[2].stored = ztoc.checkpoints[1].stored));
    assert!(!is_used(|ztoc| ztoc.checkpoints[2].content = ztoc.checkpoints[1].content - 1));
    assert!(!is_used(|ztoc| ztoc.checkpoints[0].content = 1));
    assert!(!is_used(|ztoc| ztoc.entries[1].offset -= 512));
    assert!(!is_used(|ztoc| ztoc.entries[1].offset += 1));
    assert!(!is_used(|ztoc| ztoc.entries[1].offset = i64::MAX));
    assert!(!is_used(|ztoc| ztoc.entries[0].size += 512));
    assert!(!is_used(|ztoc| ztoc.entries[0].size = i64::MAX));
    assert!(!is_used(|ztoc| ztoc.entries[0].size = -1));
    assert!(!is_used(|ztoc| ztoc.entries[0].kind = "contiguous"));
    assert!(!is_used(|ztoc| ztoc.entries[0].name = b"a\0b".to_vec()));
    assert!(!is_used(|ztoc| ztoc.entries[0].name = vec![b'x'; 5000]));
    assert!(!is_used(|ztoc| ztoc.entries[0].records.push(("GNU.sparse.major".into(), b"1".to_vec()))), "sparse");
}

#[test]
fn a_ztoc_that_is_cut_or_changed_anywhere_never_panics() {
    let tar = tar_of(&[file("a", &content(9000, 4)), file("b", b"b")]);
    let (stored, checkpoints) = compress(&tar, SPAN, false, 1);
    let ztoc = ZtocWriter::new(&tar, &stored, checkpoints, digest).write();
    let size = stored.len() as u64;
    assert!(parse(ztoc.clone(), size, &Limits::default()).is_ok());
    let window = ztoc.len() - WINDOW;
    for at in 0..window {
        let _ = parse(ztoc[..at].to_vec(), size, &Limits::default());
        for byte in [0, 0x7f, 0xff, ztoc[at].wrapping_add(1)] {
            let mut changed = ztoc.clone();
            changed[at] = byte;
            let _ = parse(changed, size, &Limits::default());
        }
    }
}

#[test]
fn a_ztoc_takes_bounded_memory() {
    let large = content(200_000, 4);
    let mut memory = memory();
    let mut layer = written(&tar_of(&[file("a", &large)]), &mut memory, 1, |_| {});
    let size = layer.ztoc.as_ref().unwrap().descriptor.size as usize;
    let limits = |memory| Limits { memory: MemoryBudget::new(memory), ..Limits::default() };
    assert!(LazyLayer::open(&memory, &layer, &limits(size * 4)).is_some());
    let small = limits(size * 4 - 1);
    assert!(LazyLayer::open(&memory, &layer, &small).is_none());
    assert!(small.memory.reserve(size).is_ok(), "the layer can still be read in full");
    layer.ztoc.as_mut().unwrap().descriptor.size = ZTOC_BYTES + 1;
    assert!(open(&memory, &layer).is_none());
}

#[test]
fn the_entries_of_a_table_are_counted() {
    let entry = |name: &'static [u8]| StatedEntry {
        name,
        kind: b"dir",
        target: b"",
        mode: 0,
        uid: 0,
        gid: 0,
        size: 0,
        capabilities: None,
    };
    let accepted = |name: &'static [u8]| {
        let mut entries = TocEntries::default();
        (0..).take_while(|_| entries.add(&entry(name)).is_ok()).count()
    };
    assert_eq!(accepted(b"d"), 250_000);
    assert_eq!(accepted(&[b'd'; 4000]), (16 << 20) / 4000);
}

#[test]
fn the_seed_for_fuzzing_is_a_valid_table() {
    let seed = include_bytes!("../../../fuzz/corpus/ztoc/layer");
    let (length, rest) = seed.split_first_chunk::<2>().unwrap();
    let (ztoc, stored) = rest.split_at(usize::from(u16::from_le_bytes(*length)));
    let toc = parse(ztoc.to_vec(), stored.len() as u64, &Limits::default()).unwrap();
    let mut content = Vec::new();
    toc.spans.open(0, &stored[10..]).unwrap().take(4096).read_to_end(&mut content).unwrap();
    assert_eq!((toc.files.len(), content.len(), &content[257..262]), (3, 4096, &b"ustar"[..]));
}
