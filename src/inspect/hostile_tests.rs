//! Malformed and hostile input: `inspect` must neither panic nor read too much, and its result must not depend on how
//! the bytes are split into reads.

use std::io::{self, BufRead, Read};

use proptest::prelude::*;

use super::elf_builder::ElfBuilder;
use super::*;

/// Returns the bytes in pieces of at most `piece`.
struct Pieces<'a> {
    bytes: &'a [u8],
    piece: usize,
    given: u64,
}

impl Read for Pieces<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let len = self.fill_buf()?.read(into)?;
        self.consume(len);
        Ok(len)
    }
}

impl BufRead for Pieces<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        Ok(&self.bytes[..self.piece.min(self.bytes.len())])
    }

    fn consume(&mut self, amount: usize) {
        (self.bytes, self.given) = (&self.bytes[amount..], self.given + amount as u64);
    }
}

/// Inspects `bytes` as a file with a stated length of `size`, whole and in small pieces, and checks the limits.
fn check(path: &str, bytes: &[u8], size: u64) {
    let mut pieces = [usize::MAX, 1, 37].map(|piece| Pieces { bytes, piece, given: 0 });
    let kinds = pieces.each_mut().map(|reader| inspect(path.as_bytes(), size, true, reader));
    assert!(pieces.iter().all(|reader| reader.given <= size));
    assert!(kinds.iter().all(|kind| *kind == kinds[0]), "{kinds:?}");
    match &kinds[0] {
        FileKind::Elf(elf) => {
            assert!(elf.size <= size && elf.segments.len() <= 2048);
            assert!(elf.interp.as_ref().is_none_or(|interp| interp.len() <= 4096));
            let dynamic = elf.dynamic.as_deref().cloned().unwrap_or_default();
            let versions: usize = dynamic.wants.iter().map(|(_, versions)| versions.len()).sum();
            assert!(dynamic.needed.len() <= 4096 && dynamic.wants.len() <= 4096 && versions <= 4096);
        }
        FileKind::Script(script) => assert!(script.text.len() <= SCRIPT_BYTES),
        FileKind::Zip(zip) => assert!(zip.natives.len() <= 4096),
        _ => {}
    }
}

fn rich() -> [Vec<u8>; 4] {
    let rich = |builder: ElfBuilder| {
        let builder = builder.interp("/lib/ld.so").needed("libc.so.6").soname("libx.so").runpath("$ORIGIN");
        let builder = builder.wants("libc.so.6", "GLIBC_2.34", false).wants("libm.so.6", "GLIBC_2.2", true);
        builder.offers("X_1").offers("X_2").x86_needed(5).go("go1.22", &[("GOARM", "6")]).arm_attribute(6, 10)
    };
    [
        rich(ElfBuilder::amd64()).build(),
        rich(ElfBuilder::arm()).build(),
        rich(ElfBuilder::s390x()).riscv_arch("rv64").build(),
        ElfBuilder { has_late_strings: true, has_late_table: true, ..rich(ElfBuilder::riscv64()).riscv_arch("rv64i") }
            .padding(6000)
            .build(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_mutated_elf_file_is_read_within_bounds(
        which in 0..4_usize,
        edits in prop::collection::vec((0.0..1.0_f64, any::<u8>()), 0..12),
        early in prop::collection::vec((0..300_usize, any::<u8>()), 0..6),
        cut in 0.0..1.0_f64,
        is_cut in any::<bool>(),
        extra in prop::sample::select(vec![0, 1, 4096, 1 << 40]),
    ) {
        let mut bytes = rich()[which].clone();
        let len = bytes.len();
        for (place, value) in edits {
            bytes[(place * len as f64) as usize] = value;
        }
        for (place, value) in early {
            bytes[place] = value;
        }
        if is_cut {
            bytes.truncate((cut * len as f64) as usize);
        }
        check("usr/lib/debug/x.debug", &bytes, bytes.len() as u64 + extra);
    }

    #[test]
    fn program_headers_that_point_anywhere_are_read_within_bounds(
        words in prop::collection::vec((0..4_usize, 0..7_u64, prop::sample::select(vec![0, 1, 16, 4095, 1 << 20, 1 << 40, u64::MAX - 7, u64::MAX])), 1..12),
    ) {
        let mut bytes = rich()[0].clone();
        for (header, field, value) in words {
            let at = 64 + header * 56 + 8 * field as usize;
            bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
        }
        check("a", &bytes, bytes.len() as u64);
    }

    #[test]
    fn any_bytes_after_any_magic_are_read_within_bounds(
        magic in prop::sample::select(vec![
            b"".as_slice(), b"\x7fELF", b"#!", b"MZ", b"PK\x03\x04", b"!<arch>\n", b"\xca\xfe\xba\xbe", b"\xcf\xfa\xed\xfe",
            b"\0asm", b"\xef\xbb\xbf#!", b"<?xml", b"{", b"Tag: ",
        ]),
        bytes in prop::collection::vec(any::<u8>(), 0..6000),
        path in prop::sample::select(vec!["a.jar", "etc/passwd", "node_modules/a/package.json", "a.dist-info/WHEEL", "x"]),
    ) {
        let bytes = [magic, &bytes].concat();
        check(path, &bytes, bytes.len() as u64);
    }

    #[test]
    fn a_mutated_zip_is_read_within_bounds(edits in prop::collection::vec((0.0..1.0_f64, any::<u8>()), 0..20), cut in 0.0..1.0_f64) {
        let library = ElfBuilder::amd64().soname("liba.so").build();
        let inner = zip::tests::deflated(&[("liba.so", &library), ("b.class", b"\xca\xfe\xba\xbe")]);
        let mut bytes = zip::tests::deflated(&[("in.jar", &inner), ("a-1.dist-info/WHEEL", b"Tag: x\n"), ("b.so", &library)]);
        let len = bytes.len();
        for (place, value) in edits {
            bytes[(place * len as f64) as usize] = value;
        }
        bytes.truncate(len - (cut * cut * cut * len as f64) as usize);
        check("a.jar", &bytes, bytes.len() as u64);
    }

    #[test]
    fn any_first_line_is_split_without_a_panic(line in prop::collection::vec(prop::sample::select(b" \t\n\0\r/a#".to_vec()), 0..300)) {
        let bytes = [b"#!".as_slice(), &line].concat();
        check("x", &bytes, bytes.len() as u64);
    }
}

#[test]
fn version_records_that_point_at_each_other_end() {
    let mut bytes = ElfBuilder::amd64().wants("liba.so", "A_1", false).wants("libb.so", "B_1", false).build();
    // vn_cnt, vna_next and vn_next of every record: the maximum number of records, one byte apart.
    let dynamic = match inspect(b"a", bytes.len() as u64, true, &mut &bytes[..]) {
        FileKind::Elf(elf) => elf.dynamic.expect("it has a dynamic section"),
        other => panic!("expected an ELF file, got {other:?}"),
    };
    assert_eq!(dynamic.wants.len(), 2);
    let at = bytes.windows(4).position(|part| part == [1, 0, 1, 0]).expect("the first record");
    bytes[at + 2..at + 4].copy_from_slice(&[0xff, 0xff]);
    bytes[at + 12..at + 16].copy_from_slice(&[1, 0, 0, 0]);
    bytes[at + 28..at + 32].copy_from_slice(&[1, 0, 0, 0]);
    check("a", &bytes, bytes.len() as u64);
}

#[test]
fn kept_bytes_stay_below_the_limit() {
    // Everything is requested: 100 MiB in one segment, with tables and notes throughout.
    let mut bytes = ElfBuilder::amd64().needed("liba.so").x86_needed(1).padding(100 << 20);
    bytes.go = Some(elf_builder::Go { version: "go1".into(), settings: Vec::new(), before: 30 << 20 });
    let bytes = bytes.build();
    let mut store = window::WindowBuffers::default();
    let mut reader = bytes.as_slice();
    let mut window = Window::open(&mut reader, bytes.len() as u64, &mut store, HEAD_BYTES);
    for start in (0..100 << 20).step_by(2 << 20) {
        window.want(start, 2 << 20);
    }
    elf::inspect(b"a", &mut window);
    assert!(store.heap_bytes() <= window::KEEP_LIMIT + (1 << 20), "{}", store.heap_bytes());
    store.shrink();
    assert!(store.heap_bytes() <= 2 << 20, "{}", store.heap_bytes());
}
