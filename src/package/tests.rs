//! Archives and packages built in code, whole, cut, nested and hostile.

use std::io::Write;

use super::*;
use crate::image::Compression;
use crate::image::EntryKind;
use crate::image::testing::compress;

fn tar(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o755);
        builder.append_data(&mut header, name, *bytes).unwrap();
    }
    builder.into_inner().unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    compress(bytes, Compression::Gzip)
}

fn bzip2(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A zip of stored or deflated members, with sizes in their headers.
fn zip(members: &[(&str, &[u8])], is_deflated: bool) -> Vec<u8> {
    let mut zip = Vec::new();
    for (name, bytes) in members {
        let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        let stored = if is_deflated { encoder.finish().unwrap() } else { bytes.to_vec() };
        zip.extend(b"PK\x03\x04\x14\0\0\0");
        zip.extend([if is_deflated { 8 } else { 0 }, 0]);
        zip.extend([0; 8]);
        zip.extend((stored.len() as u32).to_le_bytes());
        zip.extend((bytes.len() as u32).to_le_bytes());
        zip.extend((name.len() as u16).to_le_bytes());
        zip.extend([0; 2]);
        zip.extend(name.as_bytes());
        zip.extend(stored);
    }
    zip.extend(b"PK\x05\x06");
    zip.extend([0; 18]);
    zip
}

fn ar(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut ar = b"!<arch>\n".to_vec();
    for (name, bytes) in members {
        ar.extend(format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", 0, 0, 0, 100644, bytes.len()).bytes());
        ar.extend(*bytes);
        ar.extend(vec![b'\n'; bytes.len() % 2]);
    }
    ar
}

fn cpio(members: &[(&str, u32, &[u8])]) -> Vec<u8> {
    let mut cpio = Vec::new();
    for (name, mode, bytes) in members.iter().chain([&("TRAILER!!!", 0, b"".as_slice())]) {
        let (size, length) = (bytes.len(), name.len() + 1);
        cpio.extend(format!("070701{:08x}{mode:08x}{:08x}{:08x}{:08x}{:08x}{size:08x}", 1, 0, 0, 1, 0).bytes());
        cpio.extend(format!("{:08x}{:08x}{:08x}{:08x}{length:08x}{:08x}{name}\0", 0, 0, 0, 0, 0).bytes());
        cpio.resize(cpio.len().next_multiple_of(4), 0);
        cpio.extend(*bytes);
        cpio.resize(cpio.len().next_multiple_of(4), 0);
    }
    cpio
}

fn rpm(arch: &str, payload: &[u8]) -> Vec<u8> {
    let mut rpm = vec![0; 96];
    rpm[..4].copy_from_slice(rpm::MAGIC);
    let section = |entries: &[(u32, u32, u32)], data: &[u8]| {
        let mut section = vec![0x8e, 0xad, 0xe8, 1, 0, 0, 0, 0];
        section.extend((entries.len() as u32).to_be_bytes());
        section.extend((data.len() as u32).to_be_bytes());
        for (tag, kind, offset) in entries {
            section.extend([*tag, *kind, *offset, 1].iter().flat_map(|word| word.to_be_bytes()));
        }
        section.extend(data);
        section
    };
    rpm.extend(section(&[(1000, 4, 0)], b"sig"));
    rpm.resize(96 + (rpm.len() - 96).next_multiple_of(8), 0);
    rpm.extend(section(&[(1000, 6, 0), (1022, 6, 2)], format!("t\0{arch}\0").as_bytes()));
    rpm.extend(payload);
    rpm
}

/// A package of RPM 6: the archive names each file by its index in the header.
fn rpm6(arch: &str, members: &[(&str, &str, u16, u32, &[u8])]) -> Vec<u8> {
    let mut rpm = rpm("x", b"");
    rpm.truncate(rpm.len() - b"t\0x\0".len() - 2 * 16 - 16);
    let strings =
        |texts: Vec<&str>| texts.iter().flat_map(|text| [text.as_bytes(), b"\0"].concat()).collect::<Vec<u8>>();
    let count = members.len() as u32;
    let tags: [(u32, u32, u32, Vec<u8>); 7] = [
        (1022, 6, 1, strings(vec![arch])),
        (1030, 3, count, members.iter().flat_map(|member| member.2.to_be_bytes()).collect()),
        (1096, 4, count, members.iter().flat_map(|member| member.3.to_be_bytes()).collect()),
        (1116, 4, count, (0..count).flat_map(u32::to_be_bytes).collect()),
        (1117, 8, count, strings(members.iter().map(|member| member.1).collect())),
        (1118, 8, count, strings(members.iter().map(|member| member.0).collect())),
        (5008, 5, count, members.iter().flat_map(|member| (member.4.len() as u64).to_be_bytes()).collect()),
    ];
    let (mut entries, mut data) = (Vec::new(), Vec::new());
    for (tag, kind, count, values) in tags {
        entries.extend([tag, kind, data.len() as u32, count].iter().flat_map(|word| word.to_be_bytes()));
        data.extend(values);
    }
    rpm.extend([0x8e, 0xad, 0xe8, 1, 0, 0, 0, 0]);
    rpm.extend(7_u32.to_be_bytes());
    rpm.extend((data.len() as u32).to_be_bytes());
    rpm.extend(entries);
    rpm.extend(data);
    let mut payload = Vec::new();
    for (index, (.., inode, bytes)) in members.iter().enumerate() {
        let has_content = members.iter().skip(index + 1).all(|other| other.3 != *inode);
        payload.extend(format!("07070X{index:08x}\0\0").bytes());
        payload.extend(if has_content { *bytes } else { b"" });
        payload.resize(payload.len().next_multiple_of(4), 0);
    }
    payload.extend(cpio(&[]));
    rpm.extend(gzip(&payload));
    rpm
}

#[test]
fn a_package_of_rpm_6_names_its_files_in_its_header() {
    let members: [(&str, &str, u16, u32, &[u8]); 5] = [
        ("/", "bin", 0o40755, 1, b""),
        ("/bin/", "a", 0o100755, 2, b"program"),
        // Two hard links: the last one has the content.
        ("/opt/", "c", 0o100644, 3, b"text"),
        ("/", "b", 0o100644, 3, b"text"),
        ("/", "l", 0o120777, 4, b"bin/a"),
    ];
    let found = ["b: text", "bin/a: program", "opt/c: "];
    check("a.rpm", &rpm6("aarch64", &members), PackageFormat::Rpm, Some("aarch64"), &found);
    // A payload that names a file which the header does not list.
    let stray = [rpm("aarch64", b""), gzip(b"07070X00000009\0\0")].concat();
    let error = read_all("a.rpm", &stray).map(|_| ()).unwrap_err();
    assert!(error.contains("a file is not in the package's header"), "{error}");
}

/// Returns the members as `path: first bytes`, with the format, the declared architecture and what is unread.
fn read_all(name: &str, bytes: &[u8]) -> Result<(Vec<String>, Package<String>), String> {
    let mut visit = |_: &crate::image::LayerMember<'_>, reader: &mut dyn std::io::BufRead| {
        let mut text = Vec::new();
        reader.take(8).read_to_end(&mut text).ok()?;
        Some(String::from_utf8_lossy(&text).into_owned())
    };
    let package = super::read(&mut &bytes[..], name, bytes.len() as u64, &Limits::default(), &mut visit);
    let package = package.map_err(|error| error.to_string())?;
    let mut members = Vec::new();
    for contents in &package.contents {
        contents.for_each(|entry, fact| {
            if let Some(fact) = fact.filter(|_| entry.kind == EntryKind::File) {
                members.push(format!("{}: {}", String::from_utf8_lossy(entry.path), contents.fact(fact)));
            }
        });
    }
    members.sort();
    Ok((members, package))
}

fn check(name: &str, bytes: &[u8], format: PackageFormat, declared: Option<&str>, members: &[&str]) {
    let (found, package) = read_all(name, bytes).unwrap();
    assert_eq!(package.unread, []);
    assert_eq!((package.format, package.declared.as_deref()), (format, declared), "{name}");
    assert_eq!(found, members, "{name}");
}

const FILES: [(&str, &[u8]); 2] = [("bin/a", b"program"), ("b", b"text")];
const FOUND: [&str; 2] = ["b: text", "bin/a: program"];

#[test]
fn every_archive_format_yields_its_members() {
    check("a.tar", &tar(&FILES), PackageFormat::Tar, None, &FOUND);
    check("a.tar.gz", &gzip(&tar(&FILES)), PackageFormat::Tar, None, &FOUND);
    check("a.tar.zst", &compress(&tar(&FILES), Compression::Zstd), PackageFormat::Tar, None, &FOUND);
    check("a.tar.bz2", &bzip2(&tar(&FILES)), PackageFormat::Tar, None, &FOUND);
    check("a.zip", &zip(&FILES, true), PackageFormat::Zip, None, &FOUND);
    check("a.zip", &zip(&FILES, false), PackageFormat::Zip, None, &FOUND);
    let members = cpio(&[("./bin/a", 0o100755, b"program"), ("./bin", 0o40755, b""), ("./b", 0o100644, b"text")]);
    check("a.cpio", &members, PackageFormat::Cpio, None, &FOUND);
    check("a.rpm", &rpm("aarch64", &gzip(&members)), PackageFormat::Rpm, Some("aarch64"), &FOUND);
    let control = gzip(&tar(&[("./control", b"Package: a\nArchitecture: arm64\nDepends: b\n")]));
    for data in [gzip(&tar(&FILES)), tar(&FILES), bzip2(&tar(&FILES))] {
        let deb = ar(&[("debian-binary", b"2.0\n"), ("control.tar.gz", &control), ("data.tar.x/", &data)]);
        check("a.deb", &deb, PackageFormat::Deb, Some("arm64"), &FOUND);
    }
    // An abuild package has parts that are tars without an end marker, each compressed with gzip.
    let part = |members: &[(&str, &[u8])]| {
        let tar = tar(members);
        gzip(&tar[..tar.len() - 1024])
    };
    let signature = part(&[(".SIGN.RSA.a", b"signature")]);
    let info = part(&[(".PKGINFO", b"pkgname = a\narch = x86_64\n")]);
    let apk = [signature, info, gzip(&tar(&FILES))].concat();
    check("a.apk", &apk, PackageFormat::PkgInfo, Some("x86_64"), &[".SIGN.RSA.a: signatur", FOUND[0], FOUND[1]]);
}

#[test]
fn a_single_file_is_its_only_member() {
    check("tool", b"\x7fELF....more", PackageFormat::Single, None, &["tool: \u{7f}ELF...."]);
    check("tool.gz", &gzip(b"\x7fELF....more"), PackageFormat::Single, None, &["tool.gz: \u{7f}ELF...."]);
    let (_, package) = read_all("a.AppImage", b"\x7fELF\x02\x01\x01\0AI\x02").unwrap();
    assert_eq!((package.format, package.unread.len()), (PackageFormat::AppImage, 1));
}

#[test]
fn nested_archives_are_read_below_their_names() {
    let jar = zip(&[("native/liba.so", b"\x7fELFjar")], true);
    let inner = gzip(&tar(&[("tool", b"\x7fELFtool")]));
    let outer = tar(&[
        ("lib/a.jar", &jar),
        ("tool.tar.gz", &inner),
        ("agent.gz", &gzip(b"\x7fELFgz")),
        ("man/a.1.gz", &gzip(b".TH A 1")),
    ]);
    let found =
        ["agent.gz: \u{7f}ELFgz", "lib/a.jar!/native/liba.so: \u{7f}ELFjar", "tool.tar.gz!/tool: \u{7f}ELFtool"];
    check("a.tar", &outer, PackageFormat::Tar, None, &found);
    let deb = ar(&[("debian-binary", b"2.0\n"), ("data.tar", &outer)]);
    check("a.deb", &deb, PackageFormat::Deb, None, &found);
}

#[test]
fn unreadable_parts_are_listed_or_an_error() {
    let lost = |bytes: &[u8]| {
        let (_, package) = read_all("a", bytes).unwrap();
        package.unread.into_iter().map(|lost| format!("{}: {}", lost.path, lost.why)).collect::<Vec<_>>()
    };
    let mut encrypted = zip(&FILES, true);
    encrypted[6] = 1;
    assert_eq!(lost(&encrypted), ["bin/a: it is encrypted"]);
    let mut other = zip(&FILES, true);
    other[8] = 93;
    assert_eq!(lost(&other), ["bin/a: its compression is not supported"]);
    assert_eq!(lost(&tar(&[("a.jar", b"PK\x03\x04broken")])).len(), 1);
    // Data that starts like an archive is treated as data.
    assert_eq!(lost(&tar(&[("data", b"PK\x03\x04broken"), ("b.gz", &[0x1f, 0x8b, 8, 0])])), [""; 0]);
    let lzma = ar(&[("debian-binary", b"2.0\n"), ("data.tar.lzma", &[0x5d, 0, 0, 0x80, 0])]);
    assert_eq!(lost(&lzma), [": its compression is not supported"]);

    let error = |bytes: &[u8]| read_all("a", bytes).unwrap_err();
    let whole = gzip(&tar(&FILES));
    assert_eq!(error(&whole[..whole.len() - 20]), "unexpected end of gzip stream");
    let tar = tar(&FILES);
    assert_eq!(error(&tar[..600]), "unexpected end of tar");
    assert_eq!(error(&zip(&FILES, true)[..60]), "unexpected end of zip");
    assert_eq!(error(&rpm("x", b"")[..120]), "unexpected end of rpm header");
    let mut broken = zip(&FILES, true);
    // A block of the reserved type.
    broken[35] |= 0b110;
    assert!(error(&broken).starts_with("corrupt zip"), "{}", error(&broken));
}

#[test]
fn hostile_archives_are_bounded() {
    // Archives that are nested too deeply are reported as unread, and nothing overflows.
    let mut nested = zip(&[("tool", b"\x7fELF")], true);
    for _ in 0..50 {
        nested = zip(&[("a.zip", &nested)], true);
    }
    let (_, package) = read_all("a.zip", &nested).unwrap();
    assert_eq!(package.unread.len(), 1);
    // A bomb in an archive counts against the budget of the whole file.
    let zeros = gzip(&vec![0; 64 << 20]);
    let bomb = tar(&[("a.tar.gz", &gzip(&tar(&[("zeros", &vec![0; 8 << 20])]))), ("b.gz", &zeros)]);
    let limits = Limits { max_bytes: 1 << 20, ..Limits::default() };
    let mut visit = |_: &crate::image::LayerMember<'_>, _: &mut dyn std::io::BufRead| None::<()>;
    let error = super::read(&mut &bomb[..], "a", bomb.len() as u64, &limits, &mut visit).unwrap_err();
    assert!(matches!(error, LayerError::TooLarge(limit) if limit == 1 << 20), "{error}");
    let limits = Limits { max_names: 100, ..Limits::default() };
    let many: Vec<(String, &[u8])> = (0..200).map(|index| (format!("f{index}"), b"".as_slice())).collect();
    let many: Vec<(&str, &[u8])> = many.iter().map(|(name, bytes)| (name.as_str(), *bytes)).collect();
    for archive in [zip(&many, false), tar(&many)] {
        let error = super::read(&mut &archive[..], "a", archive.len() as u64, &limits, &mut visit).unwrap_err();
        assert!(matches!(error, LayerError::TooManyNames(100)), "{error}");
    }
}

#[test]
fn image_archives_are_recognised_by_their_members() {
    let is = |bytes: &[u8]| holds_image(&mut &bytes[..], &Limits::default());
    let id = "a".repeat(64);
    let blob = format!("blobs/sha256/{id}");
    let (layer, config) = (format!("{id}/layer.tar"), format!("sha256:{id}"));
    let images: [&[(&str, &[u8])]; 6] = [
        &[("./oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)],
        &[(&blob, b"x")],
        &[(&layer, b"x")],
        &[(&config, b"{}")],
        &[("a.tar.gz", b"x"), ("manifest.json", br#"[{"Config":"c.json","Layers":["a.tar.gz"]}]"#)],
        &[("index.json", br#"{"schemaVersion":2,"manifests":[]}"#)],
    ];
    for members in images {
        let tar = tar(members);
        let zstd = compress(&tar, Compression::Zstd);
        for bytes in [tar.clone(), gzip(&tar), bzip2(&tar), zstd] {
            assert!(is(&bytes), "{members:?}");
        }
    }
    let others: [&[(&str, &[u8])]; 4] = [
        &FILES,
        // A browser extension, the index of a web page, and a layout in a subdirectory.
        &[("manifest.json", br#"{"manifest_version":3,"name":"a"}"#)],
        &[("index.json", br#"{"pages":[]}"#), ("repositories", b"text")],
        &[("testdata/oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)],
    ];
    for members in others {
        assert!(!is(&tar(members)) && !is(&gzip(&tar(members))), "{members:?}");
    }
    assert!(!is(b"\x7fELF") && !is(b"") && !is(&gzip(b"text")));
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(256))]
    #[test]
    fn mutated_archives_end_in_members_or_an_error(
        which in 0..5_usize, changes: Vec<(proptest::sample::Index, u8)>, end: proptest::sample::Index,
    ) {
        let members = cpio(&[("a", 0o100755, b"\x7fELF"), ("b", 0o100644, b"text")]);
        let deb = ar(&[("debian-binary", b"2.0\n"), ("control.tar", &tar(&FILES)), ("data.tar.gz", &gzip(&tar(&FILES)))]);
        let mut bytes = [tar(&FILES), zip(&FILES, true), deb, rpm("x86_64", &gzip(&members)), members][which].clone();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        bytes.truncate(end.index(bytes.len()) + 1);
        let _ = read_all("a", &bytes);
        let _ = holds_image(&mut &bytes[..], &Limits::default());
    }
}
