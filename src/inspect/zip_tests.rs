use std::io::Write;

use flate2::Compression;
use flate2::write::DeflateEncoder;

use super::super::elf_builder::ElfBuilder;
use super::*;
use crate::inspect::inspect as inspect_file;

/// How a member is stored.
#[derive(Clone, Copy, PartialEq)]
enum Storage {
    Stored,
    Deflated,
    /// Deflated, with sizes only in a descriptor after the data, like the JDK writes them.
    Described,
    Encrypted,
    /// bzip2.
    Other,
}

fn zip(members: &[(&str, Storage, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, storage, content) in members {
        let deflated = || {
            let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(content).unwrap();
            encoder.finish().unwrap()
        };
        let data =
            if matches!(storage, Storage::Deflated | Storage::Described) { deflated() } else { content.to_vec() };
        let method: u16 = match storage {
            Storage::Stored | Storage::Encrypted => 0,
            Storage::Deflated | Storage::Described => 8,
            Storage::Other => 12,
        };
        let flags: u16 = if *storage == Storage::Described { 8 } else { u16::from(*storage == Storage::Encrypted) };
        let sizes = if *storage == Storage::Described { [0, 0] } else { [data.len() as u32, content.len() as u32] };
        out.extend(b"PK\x03\x04\x14\0");
        out.extend([flags.to_le_bytes(), method.to_le_bytes(), [0, 0], [0, 0], [0, 0], [0, 0]].concat());
        out.extend(sizes.iter().flat_map(|size| size.to_le_bytes()));
        out.extend((name.len() as u32).to_le_bytes());
        out.extend(name.bytes());
        out.extend(&data);
        if *storage == Storage::Described {
            out.extend(b"PK\x07\x08\0\0\0\0");
            out.extend([data.len() as u32, content.len() as u32].iter().flat_map(|size| size.to_le_bytes()));
        }
    }
    out.extend(b"PK\x01\x02 and so on: the central directory is not read");
    out
}

/// An archive of deflated members.
pub fn deflated(members: &[(&str, &[u8])]) -> Vec<u8> {
    zip(&members.iter().map(|(name, content)| (*name, Storage::Deflated, *content)).collect::<Vec<_>>())
}

fn read(name: &str, bytes: &[u8]) -> Zip {
    match inspect_file(name.as_bytes(), bytes.len() as u64, false, &mut &bytes[..]) {
        FileKind::Zip(zip) => *zip,
        other => panic!("expected a zip, got {other:?}"),
    }
}

fn names(zip: &Zip) -> Vec<&str> {
    zip.natives.iter().map(|(name, _)| name.as_str()).collect()
}

#[test]
fn natives_are_found_in_every_kind_of_storage() {
    let library = ElfBuilder::arm64().soname("liba.so").padding(300_000).build();
    for storage in [Storage::Stored, Storage::Deflated, Storage::Described] {
        let bytes = zip(&[
            ("a.class", storage, &[0xca; 5000]),
            ("lib/liba.so", storage, &library),
            ("META-INF/x", storage, b"x"),
        ]);
        let zip = read("a.jar", &bytes);
        let NativeKind::Elf { library, .. } = zip.natives[0].1.clone() else { panic!() };
        let native = NativeKind::Elf { machine: 183, arch: Some(Arch::Arm64), e_type: 3, library };
        assert_eq!(zip.natives, [("lib/liba.so".to_string(), native)]);
        assert_eq!((zip.unread, zip.is_jar), (0, true));
    }
}

#[test]
fn archives_inside_archives_are_read_two_levels_deep() {
    let library = ElfBuilder::amd64().soname("liba.so").build();
    let mut bytes = zip(&[("liba.so", Storage::Deflated, &library)]);
    for name in ["c.jar", "b.war", "a.ear"] {
        let storage = if name == "b.war" { Storage::Stored } else { Storage::Described };
        bytes = zip(&[(name, storage, &bytes), ("own.so", Storage::Stored, &library)]);
    }
    assert_eq!(names(&read("x.zip", &bytes)), ["a.ear!/b.war!/own.so", "a.ear!/own.so", "own.so"]);
}

#[test]
fn unreadable_members_are_counted_and_the_others_are_read() {
    let library = ElfBuilder::amd64().soname("liba.so").build();
    let members = [
        ("a.so", Storage::Encrypted, library.as_slice()),
        ("b.so", Storage::Other, &library),
        ("c.class", Storage::Other, b"plain members do not count"),
        ("d.so", Storage::Stored, &library),
    ];
    let zip = read("a.jar", &zip(&members));
    assert_eq!((names(&zip), zip.unread), (vec!["d.so"], 2));
}

#[test]
fn a_truncated_archive_is_counted() {
    let library = ElfBuilder::amd64().soname("liba.so").build();
    let bytes = zip(&[("a.so", Storage::Deflated, &library), ("b.so", Storage::Described, &library)]);
    for len in 4..bytes.len() - 60 {
        let zip = read("a.jar", &bytes[..len]);
        assert!(zip.unread > 0, "{len}: {zip:?}");
    }
}

#[test]
fn a_wheels_tags_are_read() {
    let text = b"Wheel-Version: 1.0\nTag: cp312-abi3-manylinux_2_28_aarch64\n";
    let zip = read("a.whl", &zip(&[("a-1.dist-info/WHEEL", Storage::Deflated, text)]));
    assert_eq!(zip.wheel_tags, ["cp312-abi3-manylinux_2_28_aarch64"]);
}

#[test]
fn programs_of_other_systems_are_recognised() {
    let mut pe = vec![0; 0x80];
    pe[..2].copy_from_slice(b"MZ");
    pe[0x3c] = 0x80;
    pe.extend(b"PE\0\0\x64\x86");
    pe.extend([0; 100]);
    let mach = [0xfeed_facf_u32, 0x0100_000c, 0, 6].iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<_>>();
    let package = read("a.nupkg", &zip(&[("a.dll", Storage::Deflated, &pe), ("a.dylib", Storage::Stored, &mach)]));
    assert_eq!(package.natives[0].1, NativeKind::Pe { machine: 0x8664 });
    assert_eq!(package.natives[1].1, NativeKind::MachO);
    // A long DOS stub, such as installers have.
    for (offset, found) in [(0x600, 1), (0x1_0000, 1), (0x1_0001, 0)] {
        let mut pe = vec![0; offset];
        pe[..2].copy_from_slice(b"MZ");
        pe[0x3c..0x40].copy_from_slice(&(offset as u32).to_le_bytes());
        pe.extend(b"PE\0\0\x64\x86");
        pe.extend([0; 100]);
        let found_in = read("a.zip", &zip(&[("a.exe", Storage::Deflated, &pe), ("b.exe", Storage::Stored, &pe)]));
        assert_eq!((found_in.natives.len(), found_in.unread), (2 * found, 0), "{offset:#x}");
    }
}

#[test]
fn a_document_is_not_read() {
    let bytes = zip(&[("word/document.xml", Storage::Deflated, b"<xml/>")]);
    let kind = |name: &[u8], is_executable| inspect_file(name, bytes.len() as u64, is_executable, &mut &bytes[..]);
    assert_eq!(kind(b"a.docx", false), FileKind::Packed(super::super::PackedFormat::Zip));
    assert!(matches!(kind(b"a.docx", true), FileKind::Zip(_)));
    assert!(matches!(kind(b"A.JAR", false), FileKind::Zip(_)));
}

#[test]
fn a_bomb_ends_at_the_budget() {
    // 300 MiB of zeros, twice, with sizes only in descriptors. The second member exceeds the budget.
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
    std::io::copy(&mut std::io::Read::take(std::io::repeat(0), 300 << 20), &mut encoder).unwrap();
    let data = encoder.finish().unwrap();
    let mut bytes = Vec::new();
    for _ in 0..2 {
        bytes.extend(b"PK\x03\x04\x14\0\x08\0\x08\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0a");
        bytes.extend(&data);
        bytes.extend([0; 12]);
    }
    assert_eq!(read("a.jar", &bytes).unread, 1);
}
