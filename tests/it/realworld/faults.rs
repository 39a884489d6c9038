//! The parts of a fault: files built from those of the tree.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use super::expected::Tree;
use crate::kit::elf::ElfBuilder;

/// The content of a file.
pub enum Bytes {
    Text(&'static str),
    Raw(&'static [u8]),
    /// The file that was at this path.
    Same,
    /// A copy of another file of the tree.
    Native(&'static str),
    /// A copy of another file of the tree, for another architecture.
    Foreign(&'static str),
    /// A library that this machine's compiler makes of C source, and the names of the libraries that it needs.
    Compiled(&'static str, &'static [&'static str]),
    /// The same, with this DT_SONAME.
    CompiledAs(&'static str, &'static str),
    CompiledProgram(&'static str, &'static [&'static str]),
    /// A library for i386.
    Narrow,
    /// A copy of the tree's sample, for another architecture.
    ForeignSample,
    /// A copy of another file of the tree, linked for musl's loader.
    Musl(&'static str),
    /// A small program for arm64 with musl's loader.
    MuslProgram,
    Zip(&'static [(&'static str, Bytes)]),
    MachO,
    WindowsProgram,
    WindowsLibrary,
    /// A .NET assembly.
    Assembly,
}

/// One change to a tree. Paths are relative to its root.
pub enum Put {
    File(&'static str, u32, Bytes),
    Link(&'static str, &'static str),
    Gone(&'static str),
}

impl Put {
    pub fn path(&self) -> &'static str {
        match self {
            Put::File(path, ..) | Put::Link(path, _) | Put::Gone(path) => path,
        }
    }
}

pub struct Fault {
    pub name: &'static str,
    pub puts: &'static [Put],
    /// Empty for the entrypoint of the tree.
    pub entrypoint: &'static [&'static str],
    /// HEALTHCHECK as in the config. Empty for none.
    pub healthcheck: &'static [&'static str],
    /// Code and path of the first finding.
    pub first: (&'static str, &'static str),
}

/// Adds a file that belongs to the healthy tree.
pub fn make(root: &Path, tree: &Tree, put: &Put) {
    let bytes = content(root, tree, put);
    write(&root.join(put.path()), put, &bytes);
}

/// Adds a file to the tree `upper`, built from those of the tree at `root`.
pub fn make_on(upper: &Path, root: &Path, tree: &Tree, put: &Put) {
    write(&upper.join(put.path()), put, &content(root, tree, put));
}

fn write(path: &Path, put: &Put, bytes: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    match put {
        Put::File(_, mode, _) => {
            fs::write(path, bytes).unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(*mode)).unwrap();
        }
        Put::Link(_, target) => symlink(target, path).unwrap(),
        Put::Gone(_) => {}
    }
}

/// The content of a file, built from the tree at `root`.
pub fn content(root: &Path, tree: &Tree, put: &Put) -> Vec<u8> {
    match put {
        Put::File(path, _, Bytes::Same) => bytes(root, tree, &Bytes::Native(path)),
        Put::File(_, _, content) => bytes(root, tree, content),
        Put::Link(..) | Put::Gone(_) => Vec::new(),
    }
}

fn bytes(root: &Path, tree: &Tree, bytes_of: &Bytes) -> Vec<u8> {
    let of = |path: &str| fs::read(root.join(path)).unwrap_or_else(|error| panic!("{}: {path}: {error}", tree.name));
    match bytes_of {
        Bytes::Text(text) => text.as_bytes().to_vec(),
        Bytes::Raw(raw) => raw.to_vec(),
        Bytes::Same => unreachable!("`Same` is only for files of the tree"),
        Bytes::Native(source) => of(source),
        Bytes::Foreign(source) => foreign(of(source)),
        Bytes::Compiled(source, needs) => compile(source, needs, &["-shared", "-fPIC"]),
        Bytes::CompiledAs(source, soname) => {
            compile(source, &[], &["-shared", "-fPIC", &format!("-Wl,-soname,{soname}")])
        }
        Bytes::CompiledProgram(source, needs) => compile(source, needs, &[]),
        Bytes::Narrow => ElfBuilder::i386().soname("narrow.so").build(),
        Bytes::ForeignSample => foreign(of(tree.sample)),
        Bytes::Musl(source) => musl(of(source)),
        Bytes::MuslProgram => ElfBuilder::arm64().interp("/lib/ld-musl-aarch64.so.1").pie().build(),
        Bytes::Zip(members) => {
            zip(&members.iter().map(|(name, content)| (*name, bytes(root, tree, content))).collect::<Vec<_>>())
        }
        Bytes::MachO => {
            let words = [0xfeed_facfu32, 0x0100_000c, 0, 2, 0, 0, 0, 0];
            words.iter().flat_map(|word| word.to_le_bytes()).collect()
        }
        Bytes::WindowsProgram => windows(0x22, false),
        Bytes::WindowsLibrary => windows(0x2022, false),
        Bytes::Assembly => windows(0x2022, true),
    }
}

/// Compiles C source. Each needed library is an empty one of that name.
fn compile(source: &str, needs: &[&str], arguments: &[&str]) -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let cc = |arguments: &[&str], source: &str, out: &str, libraries: &[String]| {
        fs::write(at("a.c"), source).unwrap();
        let mut command = Command::new("cc");
        command.args(arguments).arg("-w").arg(at("a.c")).arg("-o").arg(at(out)).arg("-Wl,--no-as-needed");
        let status = command.arg(format!("-L{}", directory.path().display())).args(libraries).status().unwrap();
        assert!(status.success(), "cc: {source}");
    };
    for name in needs {
        cc(&["-shared", "-fPIC", &format!("-Wl,-soname,{name}")], "int unused;", name, &[]);
    }
    let libraries: Vec<String> = needs.iter().map(|name| format!("-l:{name}")).collect();
    cc(arguments, source, "out", &libraries);
    fs::read(at("out")).unwrap()
}

/// The same file as if linked for another machine: the kernel and the loader only check e_machine.
fn foreign(mut elf: Vec<u8>) -> Vec<u8> {
    assert!(elf.starts_with(b"\x7fELF"));
    let is_amd64 = elf[18..20] == [62, 0];
    let machine = if is_amd64 { 183u16 } else { 62 };
    // Big-endian and 32-bit machines have other layouts, so a copy with another e_machine would not be a valid program.
    let is_other = elf[4] != 2 || elf[5] != 1;
    if is_other {
        let mut own = vec![0; 128];
        own[..8].copy_from_slice(b"\x7fELF\x02\x01\x01\x00");
        own[16..18].copy_from_slice(&2u16.to_le_bytes());
        own[20] = 1;
        own[24..32].copy_from_slice(&0x40_0078u64.to_le_bytes());
        own[32..40].copy_from_slice(&64u64.to_le_bytes());
        own[52..54].copy_from_slice(&64u16.to_le_bytes());
        own[54..56].copy_from_slice(&56u16.to_le_bytes());
        own[56..58].copy_from_slice(&1u16.to_le_bytes());
        own[64..72].copy_from_slice(&[1, 0, 0, 0, 5, 0, 0, 0]);
        for (at, value) in [(72, 0u64), (80, 0x40_0000), (88, 0x40_0000), (96, 128), (104, 128), (112, 0x1000)] {
            own[at..at + 8].copy_from_slice(&value.to_le_bytes());
        }
        elf = own;
    }
    elf[18..20].copy_from_slice(&machine.to_le_bytes());
    elf
}

/// The same file with musl's loader in PT_INTERP. Its path is shorter than glibc's.
fn musl(mut elf: Vec<u8>) -> Vec<u8> {
    let (old, new) = (b"/lib/ld-linux-aarch64.so.1\0", b"/lib/ld-musl-aarch64.so.1\0\0");
    let at = elf.windows(old.len()).position(|part| part == old).expect("a program for arm64 and glibc");
    elf[at..at + old.len()].copy_from_slice(new);
    elf
}

fn windows(flags: u16, is_dotnet: bool) -> Vec<u8> {
    let mut pe = vec![0; 0x80 + 24 + 240];
    pe[..2].copy_from_slice(b"MZ");
    pe[0x3c] = 0x80;
    pe[0x80..0x86].copy_from_slice(b"PE\0\0\x64\x86");
    pe[0x80 + 22..0x80 + 24].copy_from_slice(&flags.to_le_bytes());
    let optional = 0x80 + 24;
    pe[optional..optional + 2].copy_from_slice(&0x20bu16.to_le_bytes());
    pe[optional + 68] = 3;
    pe[optional + 108] = 16;
    if is_dotnet {
        pe[optional + 112 + 14 * 8 + 1] = 0x20;
    }
    pe
}

/// A zip archive with uncompressed members.
fn zip(members: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let (mut out, mut central) = (Vec::new(), Vec::new());
    let header = |name: &str, bytes: &[u8]| {
        let mut crc = flate2::Crc::new();
        crc.update(bytes);
        let size = (bytes.len() as u32).to_le_bytes();
        let mut header = vec![20, 0, 0, 0, 0, 0, 0, 0, 0x21, 0x58];
        header.extend(crc.sum().to_le_bytes());
        header.extend([size, size].concat());
        header.extend((name.len() as u16).to_le_bytes());
        header.extend([0, 0]);
        header
    };
    for (name, bytes) in members {
        let at = out.len() as u32;
        central.extend(
            [b"PK\x01\x02\x14\0".as_slice(), &header(name, bytes), &[0; 10], &at.to_le_bytes(), name.as_bytes()]
                .concat(),
        );
        out.extend([b"PK\x03\x04".as_slice(), &header(name, bytes), name.as_bytes(), bytes].concat());
    }
    let (count, at) = ((members.len() as u16).to_le_bytes(), (out.len() as u32).to_le_bytes());
    let len = (central.len() as u32).to_le_bytes();
    out.extend([central.as_slice(), b"PK\x05\x06\0\0\0\0", &count, &count, &len, &at, &[0, 0]].concat());
    out
}
