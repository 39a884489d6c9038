use std::io::Write;

use super::*;

/// A tar of `(kind, name, link target or content)`.
fn tar(entries: &[(tar::EntryType, &str, &str)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (kind, name, content) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(*kind);
        if kind.is_file() {
            header.set_size(content.len() as u64);
            builder.append_data(&mut header, name, content.as_bytes()).unwrap();
        } else {
            header.set_size(0);
            builder.append_link(&mut header, name, content).unwrap();
        }
    }
    builder.into_inner().unwrap()
}

fn index(bytes: &[u8]) -> Result<Members, SourceError> {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    Members::index(file, "a.tar")
}

fn check(members: &Members, name: &str, content: Option<&str>) {
    assert_eq!(members.document(name).unwrap().map(|bytes| text(&bytes)).as_deref(), content, "{name}");
}

const FILE: tar::EntryType = tar::EntryType::Regular;

#[test]
fn members_are_found_by_every_form_of_their_name() {
    let long = format!("blobs/{}", "x".repeat(200));
    let members = index(&tar(&[(FILE, "./index.json", "a"), (FILE, "dir/b", "bb"), (FILE, &long, "long")])).unwrap();
    check(&members, "index.json", Some("a"));
    check(&members, "/dir//b", Some("bb"));
    check(&members, &long, Some("long"));
    check(&members, "absent", None);
}

#[test]
fn links_resolve_to_their_member_and_loops_to_none() {
    let members = index(&tar(&[
        (FILE, "one/layer.tar", "layer"),
        (tar::EntryType::Symlink, "two/layer.tar", "../one/layer.tar"),
        (tar::EntryType::Link, "three", "two/layer.tar"),
        (tar::EntryType::Symlink, "loop", "loop"),
        (tar::EntryType::Symlink, "out", "../../../etc/passwd"),
    ]))
    .unwrap();
    check(&members, "two/layer.tar", Some("layer"));
    check(&members, "three", Some("layer"));
    check(&members, "loop", None);
    check(&members, "out", None);
}

#[test]
fn the_last_of_two_members_of_one_name_wins() {
    check(&index(&tar(&[(FILE, "a", "old"), (FILE, "./a", "new")])).unwrap(), "a", Some("new"));
}

#[test]
fn pax_names_and_sizes_count() {
    let mut builder = tar::Builder::new(Vec::new());
    let name = format!("blobs/{}", "y".repeat(300));
    builder.append_pax_extensions([("path", name.as_bytes()), ("size", b"3")]).unwrap();
    let mut header = tar::Header::new_ustar();
    header.set_size(3);
    header.set_cksum();
    builder.append(&header, b"pax".as_slice()).unwrap();
    check(&index(&builder.into_inner().unwrap()).unwrap(), &name, Some("pax"));
}

#[test]
fn a_truncated_or_corrupt_archive_is_malformed() {
    let whole = tar(&[(FILE, "a", &"x".repeat(2000))]);
    for bytes in [&whole[..1000], &[b'x'; 1024][..]] {
        assert!(matches!(index(bytes), Err(SourceError::Malformed { .. })));
    }
}

#[test]
fn a_name_of_many_megabytes_is_refused_unread() {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::GNULongName);
    header.set_size(300 << 20);
    header.set_cksum();
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(header.as_bytes()).unwrap();
    file.set_len(301 << 20).unwrap();
    assert!(matches!(Members::index(file, "a.tar"), Err(SourceError::TooLarge { .. })));
}

#[test]
fn sections_of_one_file_are_read_in_parallel() {
    let members = index(&tar(&[(FILE, "a", "aaaa"), (FILE, "b", "bbbb")])).unwrap();
    let mut readers = ["a", "b"].map(|name| members.read(members.find(name).unwrap()).unwrap());
    let mut pieces = [[0; 2]; 4];
    for (at, piece) in pieces.iter_mut().enumerate() {
        readers[at % 2].read_exact(piece).unwrap();
    }
    assert_eq!(pieces, [*b"aa", *b"bb", *b"aa", *b"bb"]);
}

/// A member with PAX records, whose own header has the name `plain`.
fn with_records(records: &[(&str, &[u8])], content: &str) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    builder.append_pax_extensions(records.iter().copied()).unwrap();
    let mut header = tar::Header::new_ustar();
    header.set_path("plain").unwrap();
    header.set_size(content.len() as u64);
    header.set_cksum();
    builder.append(&header, content.as_bytes()).unwrap();
    builder.into_inner().unwrap()
}

#[test]
fn empty_pax_records_leave_the_headers_values() {
    let members = index(&with_records(&[("path", b""), ("size", b""), ("linkpath", b"")], "pax")).unwrap();
    check(&members, "plain", Some("pax"));
    for records in [[("size", b"x".as_slice())], [("size", b"-1")], [("path", b"a\0b")]] {
        assert!(matches!(index(&with_records(&records, "pax")), Err(SourceError::Malformed { .. })), "{records:?}");
    }
}

#[test]
fn a_checksum_of_signed_bytes_is_accepted() {
    let mut bytes = tar(&[(FILE, "index.json", "a")]);
    bytes[300] = 0xe9;
    let header = tar::Header::from_byte_slice(&bytes[..512]);
    let mut copy = header.clone();
    copy.set_cksum();
    let signed = format!("{:06o}\0 ", copy.cksum().unwrap() - 256);
    bytes[148..156].copy_from_slice(signed.as_bytes());
    check(&index(&bytes).unwrap(), "index.json", Some("a"));
}

#[test]
fn no_data_follows_a_directory_of_any_size() {
    let mut directory = tar::Header::new_ustar();
    directory.set_path("blobs/").unwrap();
    directory.set_entry_type(tar::EntryType::Directory);
    directory.set_size(1 << 40);
    directory.set_cksum();
    let bytes = [directory.as_bytes().as_slice(), &tar(&[(FILE, "index.json", "a")])].concat();
    check(&index(&bytes).unwrap(), "index.json", Some("a"));
}
