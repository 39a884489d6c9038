//! Tests of `inspect` with whole files that are built in code.

use std::io::{self, BufRead, Read};

use super::elf_builder::{ElfBuilder, Field, Phdr, edit_phdr, phdrs, set};
use super::*;
use crate::platform::{Arch, Class, Endian};

fn kind_of(path: &str, bytes: &[u8]) -> FileKind {
    inspect(path.as_bytes(), bytes.len() as u64, true, &mut &bytes[..])
}

fn elf_of(bytes: &[u8]) -> Elf {
    match kind_of("bin/app", bytes) {
        FileKind::Elf(elf) => *elf,
        other => panic!("expected an ELF file, got {other:?}"),
    }
}

#[test]
fn a_kind_is_two_words_long() {
    assert!(size_of::<FileKind>() <= 16, "{}", size_of::<FileKind>());
}

#[test]
fn each_format_is_recognised_by_its_first_bytes() {
    let tar = [vec![b'a'; 257], b"ustar\x0000".to_vec(), vec![0; 248]].concat();
    let cases: [(&[u8], FileKind); 14] = [
        (b"", FileKind::Empty),
        (b"hello\n", FileKind::Text(TextStart::Plain)),
        (b"\0asm\x01\0\0\0", FileKind::Wasm),
        (b"BC\xc0\xde1234", FileKind::LlvmBitcode),
        (b"\x1f\x8b\x08\0", FileKind::Packed(PackedFormat::Gzip)),
        (b"\x28\xb5\x2f\xfd", FileKind::Packed(PackedFormat::Zstd)),
        (b"\xfd7zXZ\0", FileKind::Packed(PackedFormat::Xz)),
        (b"BZh91AY&SY", FileKind::Packed(PackedFormat::Bzip2)),
        (&tar, FileKind::Packed(PackedFormat::Tar)),
        (b"MZ is how this text starts\n", FileKind::Text(TextStart::Plain)),
        (b"\xca\xfe\xba\xbe\0\0\0\x34", FileKind::JavaClass),
        (b"!<thin>\n", FileKind::Ar(Box::new(Ar { is_thin: true, ..Ar::default() }))),
        (b"\x7fEL", FileKind::Data),
        (b"\xca\xfe\0\0", FileKind::Data),
    ];
    for (bytes, expected) in cases {
        assert_eq!(kind_of("srv/data/x.y", bytes), expected, "{}", bytes.escape_ascii());
    }
}

#[test]
fn text_is_recognised_by_few_bytes() {
    struct Counting(u64);
    impl Read for Counting {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let len = self.fill_buf()?.read(into)?;
            self.consume(len);
            Ok(len)
        }
    }
    impl BufRead for Counting {
        fn fill_buf(&mut self) -> io::Result<&[u8]> {
            Ok(&[b'a'; 4096])
        }
        fn consume(&mut self, amount: usize) {
            self.0 += amount as u64;
        }
    }
    let mut reader = Counting(0);
    assert_eq!(inspect(b"srv/words", 1 << 40, false, &mut reader), FileKind::Text(TextStart::Plain));
    assert_eq!(reader.0, SNIFF_BYTES as u64);
}

#[test]
fn a_read_error_is_data() {
    struct Failing(Vec<u8>);
    impl Read for Failing {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            if self.0.is_empty() {
                return Err(io::Error::other("connection reset"));
            }
            let len = into.len().min(self.0.len());
            into[..len].copy_from_slice(&self.0[..len]);
            self.0.drain(..len);
            Ok(len)
        }
    }
    let bytes = ElfBuilder::amd64().needed("libc.so.6").padding(100_000).build();
    let size = bytes.len() as u64;
    let mut reader = io::BufReader::new(Failing(bytes[..50_000].to_vec()));
    assert_eq!(inspect(b"app", size, true, &mut reader), FileKind::Data);
}

#[test]
fn a_static_program_has_its_header_and_segments() {
    let bytes = ElfBuilder::amd64().build();
    let elf = elf_of(&bytes);
    assert_eq!((elf.machine, elf.e_type, elf.class, elf.endian), (62, 2, Class::Elf64, Endian::Little));
    assert_eq!((elf.phoff, elf.phentsize, elf.phnum, elf.size), (64, 56, 1, bytes.len() as u64));
    assert_eq!(elf.segments.len(), 1);
    assert!(elf.has_whole_table && elf.interp.is_none() && elf.dynamic.is_none() && elf.go.is_none());
    assert_eq!(elf.head[..bytes.len().min(256)], bytes[..bytes.len().min(256)]);
    assert_eq!(elf.arch(), Some(Arch::Amd64));
    assert_eq!(elf.describe(), "ELF x86-64, static");
}

#[test]
fn every_class_and_byte_order_is_read_alike() {
    for builder in
        [ElfBuilder::i386(), ElfBuilder::arm64(), ElfBuilder::arm(), ElfBuilder::s390x(), ElfBuilder::riscv64()]
    {
        let builder = builder
            .interp("/lib/ld.so")
            .needed("libc.so.6")
            .needed("libm.so.6")
            .runpath("$ORIGIN/lib")
            .wants("libc.so.6", "GLIBC_2.34", false)
            .wants("libc.so.6", "GLIBC_2.36", true)
            .wants("libm.so.6", "GLIBC_2.2.5", false)
            .offers("APP_1")
            .pie();
        let elf = elf_of(&builder.build());
        let dynamic = elf.dynamic.as_deref().expect("there is a dynamic section");
        let expected = Dynamic {
            needed: vec!["libc.so.6".into(), "libm.so.6".into()],
            runpath: Some("$ORIGIN/lib".into()),
            is_pie: true,
            wants: vec![
                ("libc.so.6".into(), vec![("GLIBC_2.34".into(), false), ("GLIBC_2.36".into(), true)]),
                ("libm.so.6".into(), vec![("GLIBC_2.2.5".into(), false)]),
            ],
            offers: Some(vec!["APP_1".into()]),
            ..Dynamic::default()
        };
        assert_eq!(dynamic, &expected, "machine {}", builder.machine);
        assert_eq!(elf.loader(), Some(b"/lib/ld.so".as_slice()));
    }
}

#[test]
fn a_wrong_ident_is_read_as_the_kernel_reads_it() {
    let sound = elf_of(&ElfBuilder::amd64().interp("/lib64/ld.so").build());
    for (class, data) in [(0, 1), (1, 1), (3, 1), (2, 0), (2, 2), (1, 2), (0, 0)] {
        let mut bytes = ElfBuilder::amd64().interp("/lib64/ld.so").build();
        (bytes[4], bytes[5]) = (class, data);
        let elf = elf_of(&bytes);
        assert_eq!(elf.ident(), (class, data));
        assert_eq!((elf.class, elf.endian, &elf.segments), (Class::Elf64, Endian::Little, &sound.segments));
        assert_eq!(elf.interp, sound.interp);
    }
    let mut bytes = ElfBuilder::i386().build();
    (bytes[4], bytes[5]) = (2, 2);
    assert_eq!(elf_of(&bytes).arch(), Some(Arch::I386));
    // With the other byte order, the machine is one that no kernel for this machine accepts.
    let big = elf_of(&ElfBuilder::new(62, true, true).build());
    assert_eq!((big.machine, big.endian, big.arch()), (62, Endian::Big, None));
}

#[test]
fn x32_and_ilp32_are_recognised_by_the_size_of_their_program_headers() {
    let elf = elf_of(&ElfBuilder::new(62, false, false).build());
    assert_eq!((elf.class, elf.segments.len()), (Class::Elf32, 1));
    let elf = elf_of(&ElfBuilder::new(183, false, false).build());
    assert_eq!((elf.class, elf.arch()), (Class::Elf32, Some(Arch::Arm64)));
}

#[test]
fn a_table_of_unexpected_shape_yields_no_segments() {
    let check = |field, value, is_whole| {
        let mut bytes = ElfBuilder::amd64().build();
        set(&mut bytes, field, value);
        let elf = elf_of(&bytes);
        assert_eq!((elf.segments.len(), elf.has_whole_table), (0, is_whole), "{field:?} {value}");
    };
    check(Field::Phentsize, 57, true);
    check(Field::Phnum, 0, true);
    check(Field::Phnum, 1171, false);
    check(Field::Phoff, u64::MAX - 3, false);
    check(Field::Phoff, 1 << 20, false);
}

#[test]
fn a_table_of_64_kib_is_read_and_a_larger_one_is_not() {
    for (count, expected) in [(1170, 1170), (1171, 0)] {
        let mut builder = ElfBuilder::amd64();
        builder.extra = vec![Phdr::default(); count - 1];
        let elf = elf_of(&builder.build());
        assert_eq!((elf.segments.len(), elf.has_whole_table), (expected, true));
    }
}

#[test]
fn a_table_or_loader_path_at_the_end_of_the_file_is_found() {
    let builder = ElfBuilder { has_late_table: true, has_late_interp: true, ..ElfBuilder::amd64() };
    let builder = builder.interp("/lib64/ld-linux-x86-64.so.2").needed("libc.so.6");
    for padding in [3 << 20, 30 << 20] {
        let elf = elf_of(&builder.clone().padding(padding).build());
        assert_eq!(elf.loader(), Some(b"/lib64/ld-linux-x86-64.so.2".as_slice()), "{padding}");
        let dynamic = elf.dynamic.unwrap();
        assert_eq!((dynamic.needed, dynamic.is_partial), (vec!["libc.so.6".to_string()], false), "{padding}");
    }
}

#[test]
fn only_the_first_loader_counts_and_its_bytes_may_be_missing() {
    let late = Phdr { p_type: 3, offset: 0, filesz: 4, ..Phdr::default() };
    let bytes = ElfBuilder::amd64().interp("/first").extra(late).build();
    assert_eq!(elf_of(&bytes).interp.as_deref(), Some(b"/first\0".as_slice()));

    let mut bytes = ElfBuilder::amd64().interp("/first").build();
    let index = phdrs(&bytes).iter().position(|phdr| phdr.p_type == 3).unwrap();
    edit_phdr(&mut bytes, index, |phdr| phdr.offset = 1 << 30);
    let elf = elf_of(&bytes);
    assert_eq!((elf.interp, elf.interp_missing), (None, true));
}

#[test]
fn strings_after_the_dynamic_section_are_found() {
    let builder = ElfBuilder { has_late_strings: true, ..ElfBuilder::amd64() };
    let bytes = builder.needed("liba.so").wants("liba.so", "A_1", false).offers("B_2").padding(9 << 20).build();
    let dynamic = elf_of(&bytes).dynamic.unwrap();
    assert_eq!((dynamic.needed, dynamic.is_partial), (vec!["liba.so".to_string()], false));
    assert_eq!((dynamic.wants.len(), dynamic.offers), (1, Some(vec!["B_2".to_string()])));
}

#[test]
fn tables_out_of_reach_make_the_dynamic_section_partial() {
    let mut bytes = ElfBuilder::amd64().needed("liba.so").build();
    let index = phdrs(&bytes).iter().position(|phdr| phdr.p_type == 2).unwrap();
    let at = phdrs(&bytes)[index].offset as usize;
    // DT_STRTAB is the second entry. No segment contains this address.
    bytes[at + 24..at + 32].copy_from_slice(&0xdead_0000_u64.to_le_bytes());
    let dynamic = elf_of(&bytes).dynamic.unwrap();
    assert_eq!((dynamic.needed.len(), dynamic.is_partial), (0, true));
}

#[test]
fn a_dynamic_section_that_exceeds_its_limit_is_partial() {
    let needing = |count: usize| {
        let builder = (0..count).fold(ElfBuilder::amd64(), |builder, _| builder.needed("liba.so"));
        elf_of(&builder.build()).dynamic.unwrap()
    };
    assert!(!needing(4000).is_partial);
    let cut = needing(5000);
    assert!(cut.is_partial && cut.needed.len() < 5000, "{}", cut.needed.len());
}

#[test]
fn a_truncated_program_keeps_its_readable_parts() {
    let whole = ElfBuilder::amd64().interp("/lib/ld.so").needed("libc.so.6").build();
    for len in 4..whole.len() {
        let elf = elf_of(&whole[..len]);
        assert_eq!(elf.size, len as u64);
        assert_eq!(elf.head[..len.min(256)], whole[..len.min(256)]);
        assert!(len < 64 || elf.has_whole_table == (len >= 64 + 4 * 56), "{len}");
    }
}

#[test]
fn cpu_levels_are_read_from_property_notes() {
    let elf = elf_of(&ElfBuilder::amd64().x86_needed(9).property(0xc001_0002, 0x1f).build());
    assert_eq!((elf.isa.x86_needed, elf.isa.x86_used), (Some(9), Some(0x1f)));
    let elf = elf_of(&ElfBuilder::i386().property(0xc000_0002, 3).x86_needed(1).build());
    assert_eq!((elf.isa.x86_needed, elf.isa.x86_used), (Some(1), None));
    assert_eq!(elf_of(&ElfBuilder::amd64().build()).isa, IsaNotes::default());
}

#[test]
fn arm_and_risc_v_attributes_are_read_from_their_sections() {
    let builder = ElfBuilder::arm().arm_attribute(6, 10).arm_attribute(7, b'A').arm_attribute(10, 3);
    let elf = elf_of(&builder.arm_attribute(12, 1).arm_attribute(28, 1).padding(5 << 20).build());
    let expected = ArmAttributes { cpu_arch: Some(10), profile: b'A', fp_arch: 3, simd: 1, vfp_args: 1 };
    assert_eq!(elf.isa.arm, Some(expected));
    let elf = elf_of(&ElfBuilder::riscv64().riscv_arch("rv64i2p1_v1p0").build());
    assert_eq!(elf.isa.riscv.as_deref(), Some("rv64i2p1_v1p0"));
    let mut stripped = ElfBuilder::riscv64().riscv_arch("rv64i2p1_v1p0").build();
    set(&mut stripped, Field::Shnum, 0);
    assert_eq!(elf_of(&stripped).isa.riscv.as_deref(), Some("rv64i2p1_v1p0"));
}

#[test]
fn go_build_settings_are_found_in_the_data_segment() {
    for before in [0, 60_000, 17 << 20] {
        let mut builder = ElfBuilder::arm().go("go1.23.4", &[("GOARCH", "arm"), ("GOARM", "6"), ("CGO_ENABLED", "0")]);
        builder.go.as_mut().unwrap().before = before;
        let go = elf_of(&builder.build()).go.unwrap_or_else(|| panic!("no Go program with {before} bytes before"));
        assert_eq!(go.version, "go1.23.4");
        let expected = [("GOARCH", "arm"), ("GOARM", "6"), ("CGO_ENABLED", "0")];
        assert_eq!(go.settings, expected.map(|(key, value)| (key.to_string(), value.to_string())));
    }
}

#[test]
fn a_detached_debug_file_is_recognised() {
    let bytes = ElfBuilder { is_debug_only: true, ..ElfBuilder::amd64() }.build();
    assert!(elf_of(&bytes).is_debug_only);
    assert!(!elf_of(&ElfBuilder::amd64().build()).is_debug_only);
}

#[test]
fn a_script_keeps_its_text_by_its_language() {
    let script = |text: &str, is_executable| match inspect(b"x", text.len() as u64, is_executable, &mut text.as_bytes())
    {
        FileKind::Script(script) => *script,
        other => panic!("expected a script, got {other:?}"),
    };
    let long = format!("#!/bin/sh\n{}", "exec /app\n".repeat(10_000));
    assert_eq!((script(&long, true).text.len(), script(&long, true).is_whole), (SCRIPT_BYTES, false));
    assert_eq!(script(&long, false).text.len(), HEAD_BYTES);
    let short = "#!/bin/sh\nexec /app\n";
    assert_eq!((&*script(short, false).text, script(short, false).is_whole), (short.as_bytes(), true));
    assert_eq!(script(&long.replace("/bin/sh", "/usr/bin/perl"), true).text.len(), 256);
    assert_eq!(script("#!", true).shebang.unwrap().interpreter, b"");
}

#[test]
fn files_with_a_known_path_are_kept() {
    assert_eq!(kind_of("etc/passwd", b"a:b\n"), FileKind::Config(Box::new(b"a:b\n".as_slice().into())));
    let long = vec![b'a'; 2 * CONFIG_BYTES];
    let FileKind::Config(kept) = kind_of("etc/ld.so.conf", &long) else { panic!("expected a config file") };
    assert_eq!(kept.len(), CONFIG_BYTES);
    let tags = vec!["py3-none-any".to_string()];
    assert_eq!(kind_of("l/a.dist-info/WHEEL", b"Tag: py3-none-any\n"), FileKind::Wheel(Box::new(tags)));
    let package = NpmPackage { name: "a".into(), os: vec!["linux".into()], ..NpmPackage::default() };
    let text = br#"{"name":"a","os":["linux"]}"#;
    assert_eq!(kind_of("node_modules/a/package.json", text), FileKind::NpmPackage(Box::new(package)));
    assert_eq!(kind_of("node_modules/b/package.json", b"{}"), FileKind::Text(TextStart::Plain));
}

#[test]
fn a_static_library_names_its_members_architectures() {
    let object = ElfBuilder::arm64().e_type(1).build();
    let member = |name: &str, content: &[u8]| {
        let header = format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", 0, 0, 0, 644, content.len());
        let padding = if content.len() % 2 == 1 { "\n" } else { "" };
        [header.as_bytes(), content, padding.as_bytes()].concat()
    };
    let long = [b"long-name.o\0".as_slice(), &object].concat();
    let members = [member("/", &[0; 7]), member("a.o/", &object), member("#1/12", &long)].concat();
    let archive = [b"!<arch>\n".as_slice(), &members].concat();
    let expected = Ar { arches: vec![Arch::Arm64], ..Ar::default() };
    assert_eq!(kind_of("liba.a", &archive), FileKind::Ar(Box::new(expected)));
    let deb = [b"!<arch>\n".as_slice(), &member("debian-binary", b"2.0\n")].concat();
    assert_eq!(kind_of("a.deb", &deb), FileKind::Ar(Box::new(Ar { is_deb: true, ..Ar::default() })));
}
