//! Entry points for fuzzing the parsers of untrusted input. Each takes bytes and panics on a defect. They are used by
//! `fuzz/` and by a test that runs the seeds of `fuzz/corpus` and mutations of them.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use crate::diagnose::reader::read_log;
use crate::exec::loader::conf::{ld_so_conf, musl_path};
use crate::exec::{Exec, trace};
use crate::image::{
    ArchiveCompression, Contents, EntryKind, LayerMember, Limits, RootFs, inflate_by_ztoc, merge, normalise, unpack,
    walk_tar,
};
use crate::inspect::{Depth, FileKind, inspect, inspect_to};
use crate::lint::{Outside, SourceFormat, lint};
use crate::oci::Reference;
use crate::platform::{Arch, Node};

/// The name of a target and its function.
pub type FuzzTarget = (&'static str, fn(&[u8]));

/// All targets. Each has a program in `fuzz/fuzz_targets` and seeds in `fuzz/corpus`.
pub const TARGETS: [FuzzTarget; 14] = [
    ("inspect", file),
    ("dynamic", dynamic),
    ("code", code),
    ("tar", tar),
    ("ztoc", ztoc),
    ("unpacked", unpacked),
    ("merged", merged),
    ("shell", shell),
    ("script", script),
    ("filters", filters),
    ("loader", loader),
    ("linted", linted),
    ("log", log),
    ("reference", reference),
];

/// Limits that end the processing of false sizes early.
fn limits() -> Limits {
    Limits {
        max_names: 5000,
        max_text: 1 << 20,
        max_bytes: 16 << 20,
        max_ratio: 50,
        free_bytes: 1 << 20,
        ..Limits::default()
    }
}

/// Inspects bytes under a path that selects a parser. The result must not depend on how the bytes are split into reads.
pub fn file(input: &[u8]) {
    const PATHS: [&[u8]; 8] = [
        b"usr/bin/app",
        b"app.jar",
        b"node_modules/a/package.json",
        b"a-1.dist-info/WHEEL",
        b"etc/passwd",
        b"usr/lib/debug/a.debug",
        b"a.docx",
        b"etc/ld.so.cache",
    ];
    let Some((choice, bytes)) = input.split_first() else { return };
    let (path, is_executable) = (PATHS[usize::from(choice & 7)], choice & 8 != 0);
    // A tar header may announce more bytes than there are.
    let size = bytes.len() as u64 + u64::from(choice >> 4) * 1000;
    let whole = inspect(path, size, is_executable, &mut &bytes[..]);
    let mut halves = bytes[..bytes.len() / 2].chain(&bytes[bytes.len() / 2..]);
    assert_eq!(inspect(path, size, is_executable, &mut halves), whole);
}

const HEADER: usize = 64 + 3 * 56;
/// The address of the bytes after the headers.
const BASE: u64 = 0x40_0000;

/// A 64-bit ELF file with one code segment. The bytes after the headers are its dynamic section.
fn elf(machine: u16, body: &[u8]) -> Vec<u8> {
    let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
    bytes.resize(16, 0);
    let size = (HEADER + body.len()) as u64;
    for half in [3u16, machine] {
        bytes.extend(half.to_le_bytes());
    }
    bytes.extend(1u32.to_le_bytes());
    for word in [BASE + HEADER as u64, 64, 0] {
        bytes.extend(word.to_le_bytes());
    }
    bytes.extend(0u32.to_le_bytes());
    for half in [64u16, 56, 3, 0, 0, 0] {
        bytes.extend(half.to_le_bytes());
    }
    let (load, dynamic, stack) = (1u32, 2u32, 0x6474_e551u32);
    for (kind, flags, offset, length) in
        [(load, 7u32, 0, size), (dynamic, 6, HEADER as u64, body.len() as u64), (stack, 6, 0, 0)]
    {
        bytes.extend(kind.to_le_bytes());
        bytes.extend(flags.to_le_bytes());
        for word in [offset, BASE + offset, BASE + offset, length, length, 0x1000] {
            bytes.extend(word.to_le_bytes());
        }
    }
    bytes.extend(body);
    bytes
}

/// Parses bytes as a dynamic section and the tables that it refers to.
pub fn dynamic(input: &[u8]) {
    let bytes = elf(62, input);
    let kind = inspect(b"usr/lib/a.so", bytes.len() as u64, true, &mut &bytes[..]);
    assert!(matches!(kind, FileKind::Elf(_)));
}

/// Parses bytes as machine code.
pub fn code(input: &[u8]) {
    let Some((choice, body)) = input.split_first() else { return };
    let bytes = elf(if choice & 1 == 0 { 62 } else { 183 }, body);
    inspect_to(Depth::Code, b"usr/bin/a", bytes.len() as u64, true, &mut &bytes[..]);
}

/// Parses bytes as the tar of a layer.
pub fn tar(input: &[u8]) {
    let limits = limits();
    let walked = walk_tar(&mut &input[..], &limits, &mut |entry, reader| {
        Some(inspect(entry.path, entry.size, entry.mode & 0o111 != 0, reader))
    });
    if let Ok((contents, _)) = walked {
        resolve_all(&merge([Arc::new(contents)]));
    }
}

/// Reads a SOCI table, whose length precedes it, of a layer that consists of the rest of the bytes.
pub fn ztoc(input: &[u8]) {
    let Some((length, bytes)) = input.split_first_chunk::<2>() else { return };
    let length = usize::from(u16::from_le_bytes(*length)).min(bytes.len());
    inflate_by_ztoc(&bytes[..length], &bytes[length..], &limits());
}

/// Decompresses bytes.
pub fn unpacked(input: &[u8]) {
    let Some((choice, bytes)) = input.split_first() else { return };
    let packing =
        [ArchiveCompression::Gzip, ArchiveCompression::Zstd, ArchiveCompression::Bzip2, ArchiveCompression::Xz]
            [usize::from(choice & 3)];
    let limits = limits();
    if let Ok(reader) = unpack(packing, bytes, &limits) {
        let mut data = Vec::new();
        let _ = reader.take(1 << 20).read_to_end(&mut data);
    }
}

/// Merges layers. Each line is an entry: a letter for the kind, a path, and the target of a link. An empty line starts
/// a new layer.
pub fn merged(input: &[u8]) {
    let mut layers = vec![Contents::<FileKind>::default()];
    let (mut path, mut target) = (Vec::new(), Vec::new());
    for line in input.split(|byte| *byte == b'\n').take(2000) {
        let Some((kind, names)) = line.split_first() else {
            layers.push(Contents::default());
            continue;
        };
        let (name, link) = match names.iter().position(|byte| *byte == b' ') {
            Some(at) => (&names[..at], &names[at + 1..]),
            None => (names, &b""[..]),
        };
        normalise(&name[..name.len().min(4096)], &mut path);
        normalise(&link[..link.len().min(4096)], &mut target);
        let kind = match kind {
            b'd' => EntryKind::Directory,
            b'l' => EntryKind::Symlink(&link[..link.len().min(4096)]),
            b'h' => EntryKind::HardLink(&target),
            b's' => EntryKind::Special,
            b'w' => EntryKind::Whiteout,
            b'o' => EntryKind::Opaque,
            _ => EntryKind::File,
        };
        let layer = layers.last_mut().expect("the list starts with one layer");
        layer.push(&LayerMember::plain(&path, kind, 0o755), None);
    }
    resolve_all(&merge(layers.into_iter().map(Arc::new)));
}

/// Checks that every path of a merged tree resolves to a node or to an error.
fn resolve_all(rootfs: &RootFs<FileKind>) {
    for view in rootfs.all().take(500) {
        let path = rootfs.path(view.id);
        let _ = rootfs.resolve(&path);
    }
}

/// Parses text as a shell script.
pub fn shell(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let script = crate::shell::parse(&text);
    assert!(script.errors.iter().all(|error| error.at <= text.len()));
}

fn tree(files: &[(&str, &[u8])]) -> RootFs<FileKind> {
    let mut contents = Contents::default();
    for (path, bytes) in files {
        let kind = inspect(path.as_bytes(), bytes.len() as u64, true, &mut &bytes[..]);
        let entry = LayerMember::plain(path.as_bytes(), EntryKind::File, 0o755);
        contents.push(&LayerMember { size: bytes.len() as u64, ..entry }, Some(kind));
    }
    merge([Arc::new(contents)])
}

/// Follows text as the entry script of an image.
pub fn script(input: &[u8]) {
    follow(input, b"");
}

/// Follows a script that sends the text after the first line through the command in the first line.
pub fn filters(input: &[u8]) {
    let end = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    let (command, text) = input.split_at(end);
    let script = [b"X=$(cat /etc/text | ", command, b")\nexec \"/bin/$X\"\n"].concat();
    follow(&script, text.strip_prefix(b"\n").unwrap_or(text));
}

fn follow(entry: &[u8], text: &[u8]) {
    let program = elf(62, b"");
    let tools = ["sed", "grep", "awk", "tr", "cut", "sort", "uniq", "wc", "head", "tail", "cat", "find", "env"];
    let paths = tools.map(|name| format!("bin/{name}"));
    let mut files: Vec<(&str, &[u8])> = paths.iter().map(|path| (path.as_str(), program.as_slice())).collect();
    files.extend([("bin/sh", program.as_slice()), ("bin/bash", &program), ("app", &program)]);
    files.extend([("entry.sh", entry), ("etc/text", text)]);
    let rootfs = tree(&files);
    let call = Exec {
        argv: ["/bin/bash", "/entry.sh", "/app"].map(String::from).to_vec(),
        env: vec!["PATH=/bin".to_string()],
        working_dir: "/".to_string(),
        ..Exec::default()
    };
    trace(&rootfs, &call, &Node::plain(Arch::Amd64));
}

/// Parses text as the configuration files of a dynamic loader.
pub fn loader(input: &[u8]) {
    let rootfs =
        tree(&[("etc/ld.so.conf", input), ("etc/ld.so.conf.d/a.conf", input), ("etc/ld-musl-x86_64.path", input)]);
    ld_so_conf(&rootfs);
    musl_path(&rootfs, b"/lib/ld-musl-x86_64.so.1");
}

/// Lints text in each file format. Every finding and every edit must be inside the text.
pub fn linted(input: &[u8]) {
    let Some((choice, bytes)) = input.split_first() else { return };
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let formats = [
        SourceFormat::Dockerfile,
        SourceFormat::Compose,
        SourceFormat::GithubWorkflow,
        SourceFormat::BakeHcl,
        SourceFormat::BakeJson,
    ];
    let format = formats[usize::from(choice % 5)];
    let found = lint(Path::new("file"), text, format, &Outside::nothing());
    for finding in &found.findings {
        assert!(text.get(finding.span.clone()).is_some());
        for edit in finding.fix.iter().flat_map(|fix| &fix.edits) {
            assert!(text.get(edit.start..edit.end).is_some());
        }
    }
}

/// Reads bytes as a log.
pub fn log(input: &[u8]) {
    read_log(input).expect("reading from memory does not fail");
}

/// Parses text as the name of an image.
pub fn reference(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    if let Ok(reference) = Reference::parse(text) {
        let again = format!("{}:{}", reference.name(), reference.tag.as_deref().unwrap_or("latest"));
        let again = Reference::parse(&again).expect("a parsed name parses again");
        assert_eq!((again.registry, again.repository), (reference.registry, reference.repository));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(name: &str) -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(name)
    }

    #[test]
    fn every_target_has_a_program_and_passes_its_seeds() {
        for (name, run) in TARGETS {
            assert!(directory("fuzz_targets").join(format!("{name}.rs")).exists(), "{name}");
            let seeds: Vec<_> = std::fs::read_dir(directory("corpus").join(name)).unwrap().collect();
            assert!(!seeds.is_empty(), "{name} has no seeds");
            for seed in seeds {
                let bytes = std::fs::read(seed.unwrap().path()).unwrap();
                run(&bytes);
                // Truncations and single changes, evenly spread.
                let step = (bytes.len() / 40).max(1);
                for at in (0..bytes.len()).step_by(step) {
                    run(&bytes[..at]);
                    let mut changed = bytes.clone();
                    changed[at] = changed[at].wrapping_add(0x41);
                    run(&changed);
                }
            }
        }
    }
}
