//! Files that the kernel maps or does not map, in addition to the cases in the eight kernels' table
//! (tests/it/oracle.rs). A result that depends on the node is unknown, never a program that runs.

use crate::exec::tests::{call, short, tree};
use crate::exec::{Death, Outcome, execve};
use crate::inspect::elf_builder::{ElfBuilder, Field, Phdr, edit_phdr, phdrs, set};
use crate::platform::{Arch, Capabilities, Node};

fn check_on(arch: Arch, files: &[(&str, &[u8])], expected: &str) {
    let files: Vec<(&str, u16, &[u8])> = files.iter().map(|(path, bytes)| (*path, 0o755, *bytes)).collect();
    let outcome = execve(&tree(&files), &call(&["/app"]), &Node::plain(arch));
    assert_eq!(short(&outcome), expected, "{arch}: {outcome:?}");
}

fn check(files: &[(&str, &[u8])], expected: &str) {
    check_on(Arch::Amd64, files, expected);
}

/// A program with one more PT_LOAD, of zeros.
fn with_load(builder: ElfBuilder, vaddr: u64, memsz: u64) -> Vec<u8> {
    builder.extra(Phdr { p_type: 1, flags: 6, vaddr, memsz, align: 0x1000, ..Phdr::default() }).build()
}

#[test]
fn a_program_truncated_after_its_entry_is_not_known_to_run() {
    let whole = ElfBuilder::amd64().padding(4096).build();
    check(&[("app", &whole)], "runs");
    let end = phdrs(&whole).iter().map(|phdr| phdr.offset + phdr.filesz).max().expect("a PT_LOAD") as usize;
    check(&[("app", &whole[..end - 1])], "unknown truncated");
    check(&[("app", &whole[..64])], "ENOEXEC truncated");
    // Zeros replace the rest of its last page, where data was.
    let mut data = with_load(ElfBuilder::amd64(), 0x1000_0000, 16);
    let (last, end) = (phdrs(&data).len() - 1, data.len() as u64);
    edit_phdr(&mut data, last, |load| (load.offset, load.filesz, load.memsz) = (0, end, end));
    check(&[("app", &data)], "runs");
    edit_phdr(&mut data, last, |load| (load.filesz, load.memsz) = (end + 8, end + 8));
    check(&[("app", &data)], "unknown truncated");
}

#[test]
fn memory_and_addresses_that_a_node_may_not_have_are_unknown() {
    check(&[("app", &with_load(ElfBuilder::amd64(), 0x1000_0000, 1 << 30))], "runs");
    check(&[("app", &with_load(ElfBuilder::amd64(), 0x1000_0000, 1 << 40))], "unknown memory");
    check(&[("app", &with_load(ElfBuilder::amd64(), 0x1000_0000, 1 << 63))], "signal 11 bad-segments");
    let at = |builder: ElfBuilder, vaddr: u64| with_load(builder, vaddr, 4096);
    check_on(Arch::Riscv64, &[("app", &at(ElfBuilder::riscv64(), 1 << 37))], "runs");
    check_on(Arch::Riscv64, &[("app", &at(ElfBuilder::riscv64(), 1 << 40))], "unknown address-space");
    check_on(Arch::Riscv64, &[("app", &at(ElfBuilder::riscv64(), 1 << 57))], "signal 11 bad-segments");
    check_on(Arch::S390x, &[("app", &at(ElfBuilder::s390x(), 1 << 57))], "runs");
}

#[test]
fn a_program_with_a_loader_has_the_room_from_its_base_to_the_stack() {
    let loader = ElfBuilder::amd64().e_type(3).build();
    let spans = |builder: ElfBuilder, vaddr: u64| with_load(builder.pie().interp("/ld"), vaddr, 16);
    let check = |bytes: &[u8], expected: &str| check(&[("app", bytes), ("ld", &loader)], expected);
    check(&spans(ElfBuilder::amd64(), 1 << 40), "runs");
    // A third of the address space, minus the amount that the base is moved by.
    check(&spans(ElfBuilder::amd64(), 0x29 << 40), "unknown address-space");
    check(&spans(ElfBuilder::amd64(), 0x2b << 40), "signal 11 bad-segments");
    let loader = ElfBuilder::riscv64().e_type(3).build();
    check_on(Arch::Riscv64, &[("app", &spans(ElfBuilder::riscv64(), 1 << 32)), ("ld", &loader)], "runs");
    let loader = ElfBuilder::s390x().e_type(3).build();
    let check = |bytes: &[u8], expected: &str| check_on(Arch::S390x, &[("app", bytes), ("ld", &loader)], expected);
    check(&spans(ElfBuilder::s390x(), 1 << 40), "runs");
    check(&spans(ElfBuilder::s390x(), 1 << 44), "signal 11 bad-segments");
}

#[test]
fn low_addresses_need_the_capability_to_map_them() {
    let mut low = ElfBuilder::amd64().build();
    for index in 0..phdrs(&low).len() {
        edit_phdr(&mut low, index, |phdr| phdr.vaddr = phdr.vaddr.saturating_sub(0x40_0000));
    }
    let entry = u64::from_le_bytes(low[24..32].try_into().expect("eight bytes"));
    set(&mut low, Field::Entry, entry - 0x40_0000);
    check(&[("app", &low)], "unknown low-address");
    let node = Node { bounding: Capabilities::all(), ..Node::plain(Arch::Amd64) };
    let outcome = |user: &str| {
        let call = crate::exec::Exec { user: user.to_string(), ..call(&["/app"]) };
        short(&execve(&tree(&[("app", 0o755, &low)]), &call, &node))
    };
    assert_eq!((outcome("").as_str(), outcome("1000").as_str()), ("runs", "unknown low-address"));
}

#[test]
fn a_loader_is_started_for_a_program_with_nothing_to_map() {
    let mut empty = ElfBuilder::amd64().pie().interp("/ld").build();
    for index in 0..phdrs(&empty).len() {
        edit_phdr(&mut empty, index, |phdr| phdr.p_type = if phdr.p_type == 1 { 0 } else { phdr.p_type });
    }
    let loader = ElfBuilder::amd64().e_type(3).build();
    check(&[("app", &empty), ("ld", &loader)], "runs");
    check(&[("app", &empty)], "ENOENT missing-loader");
}

#[test]
fn a_static_program_in_place_of_a_loader_is_unknown() {
    let app = ElfBuilder::amd64().pie().interp("/ld").build();
    let own_data = Phdr { p_type: 7, flags: 4, memsz: 8, align: 8, ..Phdr::default() };
    check(&[("app", &app), ("ld", &ElfBuilder::amd64().build())], "runs");
    check(&[("app", &app), ("ld", &ElfBuilder::amd64().extra(own_data).build())], "unknown bad-loader");
}

#[test]
fn a_library_with_an_entry_is_not_known_to_run_and_a_loader_does() {
    let named = |name: &str| ElfBuilder::amd64().soname(name).build();
    check(&[("app", &named("libx.so.1"))], "unknown library-as-program");
    let loader = named("ld-linux-x86-64.so.2");
    check(&[("app", &loader)], "unknown library-as-program");
    let call = call(&["/app", "/other"]);
    let outcome = execve(&tree(&[("app", 0o755, &loader)]), &call, &Node::plain(Arch::Amd64));
    assert_eq!(short(&outcome), "runs");
    check(&[("app", &ElfBuilder::amd64().pie().build())], "runs");
}

#[test]
fn an_entry_outside_all_segments_may_hit_pages_of_the_kernel() {
    let ends = |mut bytes: Vec<u8>, entry: u64| {
        set(&mut bytes, Field::Entry, entry);
        match execve(&tree(&[("app", 0o755, &bytes)]), &call(&["/app"]), &Node::plain(Arch::Amd64)) {
            Outcome::Dies { death: Death::Signal(number), .. } => vec![number],
            Outcome::Dies { death: Death::AnyOf { usual, others }, .. } => [&[usual][..], &others].concat(),
            other => panic!("{other:?}"),
        }
    };
    let all = vec![11, 4, 5, 7];
    assert_eq!(ends(ElfBuilder::amd64().build(), 0x80_0000), [11]);
    assert_eq!(ends(ElfBuilder::amd64().build(), 0x7ff0_0000_0000), all);
    assert_eq!(ends(ElfBuilder::amd64().e_type(3).build(), 0x80_0000), all);
}

#[test]
fn an_entry_in_the_header_is_not_code() {
    let with_entry = |mut bytes: Vec<u8>, entry: u64| {
        set(&mut bytes, Field::Entry, entry);
        bytes
    };
    check(&[("app", &with_entry(ElfBuilder::amd64().pie().build(), 4))], "unknown bad-entry");
    check(&[("app", &with_entry(ElfBuilder::amd64().e_type(3).build(), 0))], "signal 11 library-as-program");
    let (plain, library) = (ElfBuilder::arm().e_type(3), ElfBuilder::arm().soname("libx.so.1"));
    // Arm code runs through zeros and headers to the bytes after them, which in a library are not code either.
    check_on(Arch::Arm, &[("app", &with_entry(plain.build(), 0))], "unknown bad-entry");
    check_on(Arch::Arm, &[("app", &with_entry(library.build(), 0))], "signal 11 library-as-program");
}

#[test]
fn an_arm64_kernel_drops_the_low_bits_of_an_arm_entry() {
    let mut arm = ElfBuilder::arm().build();
    let entry = u64::from(u32::from_le_bytes(arm[24..28].try_into().expect("four bytes")));
    set(&mut arm, Field::Entry, entry + 2);
    let node = Node { aarch32: crate::platform::Fact::Known(true), ..Node::plain(Arch::Arm64) };
    let on = |node: &Node| short(&execve(&tree(&[("app", 0o755, &arm)]), &call(&["/app"]), node));
    assert_eq!(on(&node), "runs");
    assert_eq!(on(&Node::plain(Arch::Arm)), "ENOEXEC refused-header");
}

#[test]
fn running_program_headers_as_code_is_unknown() {
    let mut bytes = ElfBuilder::amd64().padding(4096).build();
    let code = phdrs(&bytes).iter().position(|phdr| phdr.p_type == 1 && phdr.flags & 1 != 0).expect("code");
    let vaddr = phdrs(&bytes)[code].vaddr & !0xfff;
    edit_phdr(&mut bytes, code, |load| (load.offset, load.vaddr) = (0, vaddr));
    for (at, expected) in [(64, "unknown bad-entry"), (63, "unknown bad-entry")] {
        set(&mut bytes, Field::Entry, vaddr + at);
        check(&[("app", &bytes)], expected);
    }
}
