//! Property notes, byte by byte. The expected results are those of Debian's 6.12 arm64 kernel for the same files.

use crate::exec::execve;
use crate::exec::tests::{call, short, tree};
use crate::inspect::PT_GNU_PROPERTY;
use crate::inspect::elf_builder::{ElfBuilder, Phdr};
use crate::platform::{Arch, Fact, Node};

/// A program whose last segment is this note, with this `filesz` in its program header.
fn program(builder: ElfBuilder, note: &[u8], filesz: usize) -> Vec<u8> {
    let bytes = builder.clone().extra(Phdr { p_type: PT_GNU_PROPERTY, ..Phdr::default() }).build();
    let offset = bytes.len().next_multiple_of(8) as u64;
    let segment = Phdr { p_type: PT_GNU_PROPERTY, offset, filesz: filesz as u64, align: 8, ..Phdr::default() };
    let mut bytes = builder.extra(segment).build();
    bytes.resize(offset as usize, 0);
    bytes.extend_from_slice(note);
    bytes
}

/// A note: a header with these three numbers, the name, and the words after it.
fn note(header: [u32; 3], name: &[u8; 4], words: &[u32]) -> Vec<u8> {
    let numbers = |words: &[u32]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>();
    [numbers(&header), name.to_vec(), numbers(words)].concat()
}

fn check_as(node: &Node, builder: ElfBuilder, note: &[u8], filesz: usize, expected: &str) {
    let bytes = program(builder, note, filesz);
    let outcome = execve(&tree(&[("app", 0o755, &bytes)]), &call(&["/app"]), node);
    assert_eq!(short(&outcome), expected, "{note:x?} {filesz}");
}

/// Checks these properties in a note that is otherwise valid.
fn check(words: &[u32], expected: &str) {
    let note = note([4, words.len() as u32 * 4, 5], b"GNU\0", words);
    check_as(&Node::plain(Arch::Arm64), ElfBuilder::arm64(), &note, note.len(), expected);
}

const FEATURES: u32 = 0xc000_0000;
const REFUSED: &str = "ENOEXEC bad-property-note";

#[test]
fn properties_are_whole_and_in_order() {
    check(&[FEATURES, 4, 3, 0], "runs");
    check(&[], "runs");
    check(&[1, 0, FEATURES, 4, 3, 0], "runs");
    check(&[FEATURES, 4, 3, 0, 1, 0], REFUSED);
    check(&[FEATURES, 4, 3, 0, FEATURES, 4, 3, 0], REFUSED);
    check(&[FEATURES, 8, 3, 0], REFUSED);
    check(&[FEATURES, 0], REFUSED);
    check(&[FEATURES, 4, 3], REFUSED);
    check(&[FEATURES], REFUSED);
    check(&[1, 9, 0, 0], REFUSED);
    check(&[1, 0xffff_fff9, 0, 0], REFUSED);
    check(&[0xc000_8002, 12, 0, 0, 0, 0], "runs");
}

#[test]
fn the_note_is_gnus_and_fits_its_segment() {
    let check = |note: &[u8], filesz: usize, expected: &str| {
        check_as(&Node::plain(Arch::Arm64), ElfBuilder::arm64(), note, filesz, expected);
    };
    let good = note([4, 16, 5], b"GNU\0", &[FEATURES, 4, 3, 0]);
    check(&good, 32, "runs");
    check(&good, 31, REFUSED);
    check(&good, 16, REFUSED);
    check(&good, 15, "EIO bad-property-note");
    check(&good, 0, "EIO bad-property-note");
    check(&good[..12], 32, "EIO bad-property-note");
    check(&good, 1024, "runs");
    check(&good, 1025, REFUSED);
    check(&note([4, 16, 1], b"GNU\0", &[FEATURES, 4, 3, 0]), 32, REFUSED);
    check(&note([3, 16, 5], b"GNU\0", &[FEATURES, 4, 3, 0]), 32, REFUSED);
    check(&note([4, 16, 5], b"GNUX", &[FEATURES, 4, 3, 0]), 32, REFUSED);
    check(&note([4, 17, 5], b"GNU\0", &[FEATURES, 4, 3, 0]), 32, REFUSED);
    check(&note([4, 8, 5], b"GNU\0", &[1, 0, 7, 7]), 32, "runs");
}

#[test]
fn thirty_two_bit_programs_have_narrower_notes_and_other_kernels_read_none() {
    let node = Node { aarch32: Fact::Known(true), ..Node::plain(Arch::Arm64) };
    let narrow = note([4, 12, 5], b"GNU\0", &[FEATURES, 4, 3]);
    check_as(&node, ElfBuilder::arm(), &narrow, narrow.len(), "runs");
    let odd = note([4, 16, 5], b"GNU\0", &[FEATURES, 8, 3, 0]);
    check_as(&node, ElfBuilder::arm(), &odd, odd.len(), "runs");
    check_as(&Node::plain(Arch::Amd64), ElfBuilder::amd64(), &odd, odd.len(), "runs");
    check_as(&Node::plain(Arch::Arm), ElfBuilder::arm(), b"", 1, "runs");
}
