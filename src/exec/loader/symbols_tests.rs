//! Symbols on musl's loader, and the directories that glibc's loader was built to search.

use crate::exec::tests::{call, short, tree};
use crate::exec::{Exec, Trace, trace};
use crate::inspect::elf_builder::ElfBuilder;
use crate::platform::{Arch, Node};

const MUSL: &str = "lib/ld-musl-x86_64.so.1";

/// A 64-bit shared object whose one segment is the whole file, with dynamic symbols. A weak name begins with `?`.
fn object(interp: Option<&str>, needed: &[&str], undefined: &[&str], defined: &[&str]) -> Vec<u8> {
    let mut strings = vec![0];
    let mut name = |text: &str| {
        let at = strings.len() as u64;
        strings.extend(text.as_bytes());
        strings.push(0);
        at
    };
    let needed: Vec<u64> = needed.iter().map(|library| name(library)).collect();
    let mut symbols = vec![0; 24];
    let wanted = undefined.iter().map(|text| (*text, 0u64));
    for (text, value) in wanted.chain(defined.iter().map(|text| (*text, 0x100))) {
        let bind = if text.starts_with('?') { 2 } else { 1 };
        symbols.extend((name(text.trim_start_matches('?')) as u32).to_le_bytes());
        symbols.extend([bind << 4, 0, u8::from(value != 0), 0]);
        symbols.extend(value.to_le_bytes());
        symbols.extend([0; 8]);
    }
    let count = (symbols.len() / 24) as u32;
    let hash: Vec<u8> =
        [1, count].iter().chain(&vec![0; count as usize + 1]).flat_map(|word| word.to_le_bytes()).collect();
    let interp = interp.map(|path| [path.as_bytes(), &[0]].concat());
    let mut body = vec![0u8; 0x200];
    let mut put = |bytes: &[u8]| {
        body.resize(body.len().next_multiple_of(16), 0);
        let at = body.len() as u64;
        body.extend(bytes);
        at
    };
    let interp = interp.map(|bytes| (put(&bytes), bytes.len() as u64));
    let (strings_at, symbols_at, hash_at) = (put(&strings), put(&symbols), put(&hash));
    let tags = needed.iter().map(|at| (1, *at));
    let tables = [(5, strings_at), (10, strings.len() as u64), (6, symbols_at), (4, hash_at), (0, 0)];
    let dynamic: Vec<u8> =
        tags.chain(tables).flat_map(|(tag, value)| [tag, value]).flat_map(u64::to_le_bytes).collect();
    let dynamic_at = put(&dynamic);
    let size = body.len() as u64;
    let mut headers = vec![(1u32, 0, size), (2, dynamic_at, dynamic.len() as u64)];
    headers.extend(interp.map(|(at, len)| (3, at, len)));
    body[..20].copy_from_slice(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0\x3e\0");
    body[20..24].copy_from_slice(&1u32.to_le_bytes());
    body[24..32].copy_from_slice(&0x180u64.to_le_bytes());
    body[32..40].copy_from_slice(&64u64.to_le_bytes());
    for (at, value) in [(52, 64u16), (54, 56), (56, headers.len() as u16), (58, 64)] {
        body[at..at + 2].copy_from_slice(&value.to_le_bytes());
    }
    for (index, (p_type, offset, len)) in headers.into_iter().enumerate() {
        let at = 64 + index * 56;
        body[at..at + 4].copy_from_slice(&p_type.to_le_bytes());
        body[at + 4..at + 8].copy_from_slice(&5u32.to_le_bytes());
        let align = if p_type == 1 { 0x1000 } else { 8 };
        for (field, value) in [offset, offset, offset, len, len, align].into_iter().enumerate() {
            body[at + 8 + field * 8..at + 16 + field * 8].copy_from_slice(&value.to_le_bytes());
        }
    }
    body
}

fn run(files: &[(&str, Vec<u8>)], env: &[&str]) -> Trace {
    let loader = object(None, &[], &[], &["printf", "open"]);
    let mut all: Vec<(&str, u16, &[u8])> = vec![(MUSL, 0o755, &loader)];
    all.extend(files.iter().map(|(path, bytes)| (*path, 0o755, bytes.as_slice())));
    let env = env.iter().map(|line| line.to_string()).collect();
    trace(&tree(&all), &Exec { env, ..call(&["/app"]) }, &Node::plain(Arch::Amd64))
}

fn check(trace: &Trace, expected: &str, says: &str) {
    assert_eq!((short(&trace.outcome).as_str(), trace.says.join("\n").as_str()), (expected, says), "{trace:?}");
}

#[test]
fn an_undefined_symbol_ends_a_program_on_musl() {
    let musl = Some("/lib/ld-musl-x86_64.so.1");
    let app = |undefined: &[&str]| ("app", object(musl, &["libc.so.6", "libq.so"], undefined, &["own"]));
    let q = |undefined: &[&str]| ("lib/libq.so", object(None, &["libc.musl-x86_64.so.1"], undefined, &["q"]));
    check(&run(&[app(&["printf", "q", "?gone"]), q(&["open", "own"])], &[]), "runs", "");
    let says = "Error relocating /app: fcntl64: symbol not found";
    check(&run(&[app(&["printf", "fcntl64"]), q(&[])], &[]), "exit 127 missing-symbol", says);
    let both =
        "Error relocating /lib/libq.so: gone: symbol not found\nError relocating /app: fcntl64: symbol not found";
    check(&run(&[app(&["fcntl64"]), q(&["gone"])], &[]), "exit 127 missing-symbol", both);
    // A preloaded library may define it, and so may a library whose symbols are not known.
    let preload = ["LD_PRELOAD=/lib/libgcompat.so.0"];
    let compat = |defined: &[&str]| ("lib/libgcompat.so.0", object(None, &[], &[], defined));
    check(&run(&[app(&["fcntl64"]), q(&[]), compat(&["fcntl64"])], &preload), "runs", "");
    check(&run(&[app(&["fcntl64"]), q(&[]), compat(&[])], &preload), "exit 127 missing-symbol", says);
    check(&run(&[app(&["fcntl64"]), q(&[])], &preload), "exit 127 missing-symbol", says);
    let unknown = ("lib/libq.so", ElfBuilder::amd64().soname("libq.so").build());
    check(&run(&[app(&["fcntl64"]), unknown], &[]), "runs", "");
}

#[test]
fn glibcs_loader_searches_the_directories_that_it_was_built_for() {
    let loader = |directories: &str| {
        let mut bytes = ElfBuilder::amd64().soname("ld-linux-x86-64.so.2").build();
        bytes.extend([&[0], directories.as_bytes(), &[0]].concat());
        ("lib64/ld-linux-x86-64.so.2", bytes)
    };
    let app = || ("app", ElfBuilder::amd64().pie().interp("/lib64/ld-linux-x86-64.so.2").needed("libq.so.1").build());
    let q = |path: &'static str| (path, ElfBuilder::amd64().soname("libq.so.1").build());
    let alpine = || ("etc/os-release", b"ID=alpine\n".to_vec());
    let debians = "/lib/x86_64-linux-gnu/\0/usr/lib/x86_64-linux-gnu/\0/lib/\0/usr/lib/\0/etc/ld.so.cache";
    let own = "/usr/glibc-compat/lib/\0/usr/glibc-compat/etc/ld.so.cache";
    let says = "/app: error while loading shared libraries: libq.so.1: cannot open shared object file: No such file or directory";
    for place in ["lib64/libq.so.1", "usr/glibc-compat/lib/libq.so.1"] {
        check(&run(&[app(), q(place), alpine(), loader(debians)], &[]), "exit 127 missing-library", says);
    }
    check(&run(&[app(), q("usr/lib/libq.so.1"), alpine(), loader(debians)], &[]), "runs", "");
    check(&run(&[app(), q("usr/glibc-compat/lib/libq.so.1"), alpine(), loader(own)], &[]), "runs", "");
    check(&run(&[app(), q("lib64/libq.so.1"), alpine(), loader(own)], &[]), "exit 127 missing-library", says);
    // The loader's own cache may lead anywhere.
    let cache = || ("usr/glibc-compat/etc/ld.so.cache", b"glibc-ld.so.cache1.1".to_vec());
    check(&run(&[app(), q("lib64/libq.so.1"), alpine(), loader(own), cache()], &[]), "unknown library-unknown", "");
}

#[test]
fn musls_loader_is_recognised_through_a_symlink_with_glibcs_name() {
    let app = object(Some("/lib64/ld-linux-x86-64.so.2"), &["libc.so.6"], &["fcntl64"], &[]);
    let own = object(None, &[], &[], &["printf"]);
    let rootfs = crate::exec::tests::linked_to(
        &[("app", app.as_slice()), (MUSL, &own)],
        &[("lib64/ld-linux-x86-64.so.2", "/lib/ld-musl-x86_64.so.1")],
    );
    let trace = trace(&rootfs, &call(&["/app"]), &Node::plain(Arch::Amd64));
    check(&trace, "exit 127 missing-symbol", "Error relocating /app: fcntl64: symbol not found");
}
