use super::*;

fn entry(path: &str, mode: u16, size: u64) -> LayerMember<'_> {
    LayerMember { size, ..LayerMember::plain(path.as_bytes(), EntryKind::File, mode) }
}

#[test]
fn only_files_that_may_decide_are_read() {
    let check = |path: &str, mode, size, expected| assert_eq!(portion(&entry(path, mode, size)), expected, "{path}");
    check("usr/bin/app", 0o755, 1 << 20, Portion::ProbableStart(FIRST_BYTES as u64));
    check("opt/app/app.bin", 0o755, 1 << 20, Portion::ProbableStart(FIRST_BYTES as u64));
    check("usr/lib/liba.so.1", 0o644, 1 << 20, Portion::ProbableStart(FIRST_BYTES as u64));
    check("usr/lib/liba.so.1", 0o644, 10, Portion::ProbableStart(10));
    check("etc/passwd", 0o644, 1000, Portion::ProbableStart(1000));
    check("usr/share/doc/readme", 0o644, 1000, Portion::Nothing);
    check("usr/bin/empty", 0o755, 0, Portion::Nothing);
}

#[test]
fn more_is_read_of_text_than_of_other_files() {
    let check = |bytes: &[u8], size, expected: Option<u64>| {
        let start = FileStart { file: 3, bytes: bytes.to_vec(), is_verified: false };
        assert_eq!(longer_portion(&start, size), expected.map(|wanted| (3, Portion::Start(wanted))), "{size}");
    };
    check(b"#!/bin/sh\n", 1 << 20, Some(SCRIPT_BYTES as u64));
    check(b"#!/bin/sh\n", 5000, Some(5000));
    check(b"\x7fELF\0", 1 << 20, Some(HEAD_BYTES as u64));
    check(b"", 1 << 20, Some(HEAD_BYTES as u64));
    check(&[0; HEAD_BYTES], 1 << 20, None);
}

#[test]
fn a_start_must_not_be_read_beyond_its_end() {
    let mut reader = StartReader { bytes: b"ab", is_whole: false, has_ended: false };
    let mut into = [0; 2];
    assert_eq!(reader.read(&mut into).unwrap(), 2);
    assert!(!reader.has_ended);
    assert!(reader.read(&mut into).is_err());
    assert!(reader.has_ended);
    let mut reader = StartReader { bytes: b"", is_whole: true, has_ended: false };
    assert_eq!(reader.read(&mut into).unwrap(), 0);
}
