//! The tar walk, compared with how the engines' reader treats the same bytes.

use super::*;
use crate::image::testing::{file, header, open_tar_of, padded, pax, tar_of};

type Walked = Result<(Contents<Vec<u8>>, Vec<LayerNote>), LayerError>;

fn walk_all(tar: &[u8]) -> Walked {
    walk(&mut &*tar, &Limits::default(), &mut |_, reader| {
        let mut content = Vec::new();
        reader.read_to_end(&mut content).ok()?;
        Some(content)
    })
}

/// One line per entry: kind, path, and content or target.
fn lines(walked: &Walked) -> Vec<String> {
    let (contents, _) = walked.as_ref().map_err(ToString::to_string).unwrap();
    let mut lines = Vec::new();
    contents.for_each(|entry, fact| {
        let path = entry.path.escape_ascii();
        lines.push(match entry.kind {
            EntryKind::File => format!("{path} = {}", contents.fact(fact.unwrap()).escape_ascii()),
            EntryKind::Directory => format!("{path}/"),
            EntryKind::Symlink(target) => format!("{path} -> {}", target.escape_ascii()),
            EntryKind::HardLink(target) => format!("{path} => {}", target.escape_ascii()),
            EntryKind::Special => format!("{path} special"),
            EntryKind::Whiteout => format!("{path} whiteout"),
            EntryKind::Opaque => format!("{path} opaque"),
        });
    });
    lines
}

fn check(tar: &[u8], expected: &[&str]) {
    assert_eq!(lines(&walk_all(tar)), expected);
}

fn check_error(tar: &[u8], expected: &str) {
    assert_eq!(walk_all(tar).unwrap_err().to_string(), expected);
}

fn joined(parts: &[&[u8]]) -> Vec<u8> {
    let mut tar = parts.concat();
    tar.extend_from_slice(&[0; 1024]);
    tar
}

#[test]
fn every_type_of_member_is_recognised() {
    let tar = tar_of(&[
        (b'5', b"bin/", b"", b""),
        (b'0', b"bin/app", b"", b"x"),
        (0, b"bin/old", b"", b"y"),
        (0, b"old-directory/", b"", b""),
        (b'7', b"contiguous", b"", b"z"),
        (b'2', b"link", b"../bin/app", b""),
        (b'1', b"hard", b"/bin/./app", b""),
        (b'3', b"dev/null", b"", b""),
        (b'4', b"dev/sda", b"", b""),
        (b'6', b"fifo", b"", b""),
    ]);
    let special = ["dev/null special", "dev/sda special", "fifo special"];
    let mut expected = vec!["bin/", "bin/app = x", "bin/old = y", "old-directory/", "contiguous = z"];
    expected.extend(["link -> ../bin/app", "hard => bin/app"]);
    expected.extend(special);
    check(&tar, &expected);
}

#[test]
fn marks_of_every_type_become_whiteouts() {
    let marks: [&[u8]; 4] = [b"a/.wh.b", b"a/.wh..wh..opq", b".wh..wh.aufs", b".wh..wh.plnk/1.2"];
    let tar = tar_of(&marks.map(|name| (b'0', name, &b""[..], &b"data"[..])));
    check(&tar, &["a/b whiteout", "a opaque"]);
    check(&tar_of(&[(b'3', b".wh.x", b"", b""), (b'5', b".wh.y/", b"", b"")]), &["x whiteout", "y whiteout"]);
}

#[test]
fn duplicates_are_kept_in_order() {
    check(&tar_of(&[file("a", b"1"), file("./a", b"2")]), &["a = 1", "a = 2"]);
}

#[test]
fn names_outside_the_root_are_clamped_and_noted() {
    let walked = walk_all(&tar_of(&[file("../../etc/x", b""), file("/abs", b""), (b'1', b"h", b"../../y", b"")]));
    assert_eq!(lines(&walked), ["etc/x = ", "abs = ", "h => y"]);
    let notes = [&b"../../etc/x"[..], b"../../y"].map(|name| LayerNote::EscapingName(name.to_vec()));
    assert_eq!(walked.unwrap().1, notes);
}

#[test]
fn names_may_contain_any_byte() {
    check(
        &tar_of(&[file("a\n\x1b[31mb", b""), (b'0', b"\xff\xfe", b"", b"")]),
        &["a\\n\\x1b[31mb = ", "\\xff\\xfe = "],
    );
}

#[test]
fn long_names_in_ustar_pax_and_gnu_form_are_read() {
    let long = "d/".repeat(200) + "name";
    let named = |extension: Vec<u8>, member: Vec<u8>| joined(&[&extension, &member]);
    let member = open_tar_of(&[file("short", b"x")]);
    let gnu = |tag, text: &str| {
        [&header(tag, b"././@LongLink", b"", text.len() as u64 + 1)[..], &padded(&[text.as_bytes(), b"\0"].concat())]
            .concat()
    };
    check(&named(pax(&[("path", long.as_bytes())]), member.clone()), &[&format!("{long} = x")]);
    check(&named(gnu(b'L', &long), member.clone()), &[&format!("{long} = x")]);
    let link = open_tar_of(&[(b'2', b"l", b"short", b"")]);
    check(&named(pax(&[("linkpath", long.as_bytes())]), link.clone()), &[&format!("l -> {long}")]);
    check(&named(gnu(b'K', &long), link), &[&format!("l -> {long}")]);
    let mut ustar = tar::Header::from_byte_slice(&header(b'0', b"name", b"", 0)).clone();
    ustar.as_ustar_mut().unwrap().prefix[..3].copy_from_slice(b"a/b");
    ustar.set_cksum();
    check(&joined(&[ustar.as_bytes()]), &["a/b/name = "]);
    // The extended header of one member does not affect the next.
    let twice = [member.clone(), member].concat();
    check(&named(pax(&[("path", b"other")]), twice), &["other = x", "short = x"]);
}

#[test]
fn a_pax_size_counts_for_the_member_and_not_for_a_name_between() {
    let long = "n".repeat(120);
    let name = [&header(b'L', b"././@LongLink", b"", 121)[..], &padded(&[long.as_bytes(), b"\0"].concat())].concat();
    let data = [&header(b'0', b"short", b"", 0)[..], &padded(b"hello")].concat();
    check(&joined(&[&pax(&[("size", b"5")]), &name, &data]), &[&format!("{long} = hello")]);
}

#[test]
fn capabilities_and_owners_come_with_pax() {
    let records = pax(&[("SCHILY.xattr.security.capability", b"\x01\0\0\x02"), ("uid", b"70000"), ("gid", b"5")]);
    let (contents, _) = walk_all(&joined(&[&records, &header(b'0', b"a", b"", 0)])).unwrap();
    contents.for_each(|entry, _| {
        assert_eq!(entry.capabilities, Some(crate::platform::FileCapabilities::Malformed));
        assert_eq!((entry.uid, entry.gid, entry.mode), (70000, 5, 0o755));
    });
    assert_eq!(contents.len(), 1);
}

#[test]
fn global_records_are_skipped() {
    let records = pax(&[("path", b"global")]);
    let mut global = tar::Header::from_byte_slice(&records[..512]).clone();
    global.set_entry_type(tar::EntryType::XGlobalHeader);
    global.set_cksum();
    check(&joined(&[global.as_bytes(), &records[512..], &open_tar_of(&[file("a", b"")])]), &["a = "]);
}

#[test]
fn links_and_directories_have_no_data_for_any_size_field() {
    let tar = [
        header(b'1', b"hard", b"a", 4096),
        header(b'2', b"soft", b"a", 4096),
        header(b'5', b"dir", b"", 4096),
        header(b'0', b"a", b"", 0),
    ];
    check(&joined(&[&tar.concat()]), &["hard => a", "soft -> a", "dir/", "a = "]);
}

/// An old GNU sparse member with `segments` of (offset, length) in its header and in extension blocks.
fn old_gnu_sparse(name: &str, segments: &[(u64, u64)], data: &[u8], size: u64) -> Vec<u8> {
    let octal = |value: u64| format!("{value:011o}\0").into_bytes();
    let fields = |segments: &[(u64, u64)]| -> Vec<u8> {
        segments.iter().flat_map(|(offset, length)| [octal(*offset), octal(*length)].concat()).collect()
    };
    let (first, rest) = segments.split_at(segments.len().min(4));
    let mut gnu = tar::Header::new_gnu();
    gnu.set_path(name).unwrap();
    gnu.set_mode(0o644);
    gnu.set_entry_type(tar::EntryType::GNUSparse);
    gnu.set_size(data.len() as u64);
    let bytes = gnu.as_mut_bytes();
    bytes[386..386 + first.len() * 24].copy_from_slice(&fields(first));
    bytes[482] = u8::from(!rest.is_empty());
    bytes[483..495].copy_from_slice(&octal(size));
    gnu.set_cksum();
    let mut tar = gnu.as_bytes().to_vec();
    let mut parts = rest.chunks(21).peekable();
    while let Some(part) = parts.next() {
        let mut block = [0; 512];
        block[..part.len() * 24].copy_from_slice(&fields(part));
        block[504] = u8::from(parts.peek().is_some());
        tar.extend_from_slice(&block);
    }
    tar.extend_from_slice(&padded(data));
    tar
}

#[test]
fn old_gnu_sparse_files_read_as_their_logical_content() {
    let few = old_gnu_sparse("s", &[(2, 3), (7, 1)], b"abcd", 10);
    check(&joined(&[&few, &open_tar_of(&[file("a", b"")])]), &[r"s = \x00\x00abc\x00\x00d\x00\x00", "a = "]);
    let many: Vec<(u64, u64)> = (0..50).map(|at| (at * 10, 1)).collect();
    let walked = walk_all(&joined(&[&old_gnu_sparse("m", &many, &[b'x'; 50], 500), &open_tar_of(&[file("a", b"")])]));
    let (contents, _) = walked.unwrap();
    let logical = contents.fact(0);
    assert_eq!((logical.len(), logical.iter().filter(|byte| **byte == b'x').count()), (500, 50));
    assert!(logical.iter().step_by(10).all(|byte| *byte == b'x'));
    assert_eq!(contents.len(), 2);
}

#[test]
fn pax_sparse_files_of_every_version_read_as_their_logical_content() {
    let member = [&header(b'0', b"GNUSparseFile.1/s", b"", 4)[..], &padded(b"abcd")].concat();
    let next = open_tar_of(&[file("a", b"")]);
    let expected = [r"s = \x00\x00abc\x00\x00d\x00\x00", "a = "];
    let name = ("GNU.sparse.name", &b"s"[..]);
    let v00 = pax(&[
        ("path", b"s"),
        ("GNU.sparse.size", b"10"),
        ("GNU.sparse.numblocks", b"2"),
        ("GNU.sparse.offset", b"2"),
        ("GNU.sparse.numbytes", b"3"),
        ("GNU.sparse.offset", b"7"),
        ("GNU.sparse.numbytes", b"1"),
    ]);
    check(&joined(&[&v00, &member, &next]), &expected);
    let v01 = pax(&[name, ("GNU.sparse.size", b"10"), ("GNU.sparse.map", b"2,3,7,1")]);
    check(&joined(&[&v01, &member, &next]), &expected);
    let v10 = pax(&[name, ("GNU.sparse.major", b"1"), ("GNU.sparse.minor", b"0"), ("GNU.sparse.realsize", b"10")]);
    let data = [padded(b"2\n2\n3\n7\n1\n"), b"abcd".to_vec()].concat();
    let member = [&header(b'0', b"GNUSparseFile.1/s", b"", data.len() as u64)[..], &padded(&data)].concat();
    check(&joined(&[&v10, &member, &next]), &expected);
}

#[test]
fn a_false_sparse_map_is_an_error() {
    let mismatch = "corrupt tar at byte 0: a sparse map does not match its data";
    check_error(&joined(&[&old_gnu_sparse("s", &[(0, 9)], b"abcd", 10)]), mismatch);
    check_error(&joined(&[&old_gnu_sparse("s", &[(0, 4)], b"abcd", 3)]), mismatch);
    let huge = old_gnu_sparse("s", &[(0, 4)], b"abcd", 1 << 32);
    let limits = Limits { max_bytes: 1 << 20, ..Limits::default() };
    let walked = walk::<(), _>(&mut &joined(&[&huge])[..], &limits, &mut |_, _| None);
    assert_eq!(walked.unwrap_err().to_string(), "it contains more than 1048576 bytes uncompressed");
}

#[test]
fn extended_headers_are_bounded() {
    for tag in [b'x', b'L', b'K'] {
        let tar = header(tag, b"big", b"", 300 << 20);
        check_error(&tar, "corrupt tar at byte 0: an extended header is over 1 MiB");
    }
}

#[test]
fn archives_that_engines_reject_are_errors_with_an_offset() {
    let good = open_tar_of(&[file("a", b"x")]);
    let mut bad = header(b'0', b"b", b"", 0);
    bad[0] = b'c';
    check_error(&joined(&[&good, &bad]), "corrupt tar at byte 1024: a header's checksum is wrong");
    let lone = [&[0; 512][..], &header(b'0', b"b", b"", 0)].concat();
    check_error(&joined(&[&lone]), "corrupt tar at byte 512: a lone block of zeros");
    check_error(&joined(&[&pax(&[("path", b"a\0b")])]), "corrupt tar at byte 0: malformed PAX header");
}

#[test]
fn false_sizes_are_errors() {
    let more = [&header(b'0', b"a", b"", 1 << 40)[..], &padded(b"x")].concat();
    check_error(&more, "unexpected end of tar");
    let most = [&header(b'0', b"a", b"", 0)[..], &padded(b"x")].concat();
    check_error(&joined(&[&most]), "corrupt tar at byte 512: a header's checksum is wrong");
}

#[test]
fn a_tar_may_end_without_its_marker() {
    let walked = walk_all(&open_tar_of(&[file("a", b"x")])).unwrap();
    assert_eq!((walked.0.len(), walked.1), (1, vec![LayerNote::NoEndMarker]));
    assert_eq!(walk_all(&tar_of(&[])).unwrap().1, []);
    // docker and podman accept an empty layer.
    let nothing = walk_all(&[]).unwrap();
    assert_eq!((nothing.0.len(), nothing.1), (0, Vec::new()));
}

#[test]
fn names_that_cannot_be_opened_are_left_out_and_noted() {
    let long = "n/".repeat(3000);
    let tar = joined(&[&pax(&[("path", long.as_bytes())]), &open_tar_of(&[file("x", b"data"), file("a", b"")])]);
    let walked = walk_all(&tar);
    assert_eq!(lines(&walked), ["a = "]);
    assert_eq!(walked.unwrap().1, [LayerNote::NameTooLong(long.as_bytes()[..64].to_vec())]);
    let walked = walk_all(&tar_of(&[(b'V', b"label", b"", b"data"), file("a", b"")]));
    assert_eq!(lines(&walked), ["a = "]);
    assert_eq!(walked.unwrap().1, [LayerNote::UnknownType { path: b"label".to_vec(), tag: b'V' }]);
}

#[test]
fn a_visitor_may_read_nothing_some_or_all() {
    let tar = tar_of(&[file("a", &[b'x'; 3000]), file("b", b"end")]);
    for amount in [0, 1, 512, 2999, 3000, 5000] {
        let (contents, _) = walk(&mut &tar[..], &Limits::default(), &mut |_, reader| {
            let mut head = Vec::new();
            reader.take(amount).read_to_end(&mut head).unwrap();
            Some(head.len())
        })
        .unwrap();
        assert_eq!((*contents.fact(0), *contents.fact(1)), (amount.min(3000) as usize, amount.min(3) as usize));
    }
}

#[test]
fn too_many_names_end_the_reading() {
    let limits = Limits { max_names: 10, ..Limits::default() };
    let refused = |tar: Vec<u8>| walk::<(), _>(&mut &tar[..], &limits, &mut |_, _| None).unwrap_err().to_string();
    let names: Vec<String> = (0..11).map(|number| number.to_string()).collect();
    let many = tar_of(&names.iter().map(|name| file(name, b"")).collect::<Vec<_>>());
    assert_eq!(refused(many), "it contains more than 10 names");
    let deep = "d/".repeat(11);
    assert_eq!(refused(tar_of(&[(b'5', deep.as_bytes(), b"", b"")])), "it contains more than 10 names");
}
