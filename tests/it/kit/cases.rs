//! Rebuilds the trees of testdata/oracle/answers.tsv in code, one for each row, for a kernel whose native programs are
//! `own`.

use imgarch::platform::Arch;

use super::elf::{self, ElfBuilder, Field, Phdr, set};
use super::tree::Tree;

pub const ANSWERS: &str = include_str!("../../../testdata/oracle/answers.tsv");

/// The architecture of a case name in the table.
pub fn builder(name: &str) -> ElfBuilder {
    match name {
        "386" => ElfBuilder::i386(),
        "amd64" => ElfBuilder::amd64(),
        "arm64" => ElfBuilder::arm64(),
        // GNU ld links 32-bit Arm for pages of 4 KiB.
        "armv5" => ElfBuilder { align: 0x1000, ..ElfBuilder::arm().flags(0x0500_0200) },
        "armv7" => ElfBuilder { align: 0x1000, ..ElfBuilder::arm().flags(0x0500_0400) },
        "mips64le" => ElfBuilder::new(8, true, false).flags(0x8000_0006),
        "ppc64le" => ElfBuilder::ppc64le(),
        "riscv64" => ElfBuilder::riscv64(),
        "s390x" => ElfBuilder::s390x(),
        other => panic!("no architecture {other}"),
    }
}

/// The dynamic loader that programs of an architecture name, relative to the root.
fn loader_path(name: &str) -> &'static str {
    let path = match name {
        "armv5" => "/lib/ld-linux.so.3",
        _ => Arch::parse(name).expect("an architecture of the table").row().glibc_loader,
    };
    &path[1..]
}

const LONG_SCRIPT: &str =
    "#!/bin/sh\n# A loader that is a script, and long enough for an ELF header to be read from it.\n";

fn dynamic(name: &str) -> ElfBuilder {
    builder(name).pie().interp(&format!("/{}", loader_path(name))).needed("libc.so.6")
}

fn loader(name: &str) -> Vec<u8> {
    builder(name).soname(loader_path(name).rsplit('/').next().expect("a name")).build()
}

/// The tree of a row, for a kernel whose native programs are `own`.
pub fn case(name: &str, own: &str) -> Tree {
    let program = || builder(own).build();
    let call = |path: &str| Tree::call(&[path]);
    let app = |bytes: Vec<u8>| call("/app").file("app", bytes);
    let script = |text: &str| call("/app").file("app", text).file("bin/sh", program());
    let with = |field: Field, value: u64| {
        let mut bytes = program();
        set(&mut bytes, field, value);
        app(bytes)
    };
    let at = |offset: usize, edit: fn(u8) -> u8| {
        let mut bytes = program();
        bytes[offset] = edit(bytes[offset]);
        app(bytes)
    };
    if let Some((kind, arch)) = split_arch(name) {
        return by_architecture(kind, arch);
    }
    match name {
        "file-no-shebang" => script("echo hi\n"),
        "file-empty" => script(""),
        "file-bom-shebang" => script("\u{feff}#!/bin/sh\n"),
        "file-crlf-shebang" => script("#!/bin/sh\r\nexit 0\r\n"),
        "file-shebang-spaces" => script("#!   /bin/sh   \n"),
        "file-shebang-tab-arg" => script("#!/bin/sh\t-e\n"),
        "file-shebang-empty" => script("#!\n/bin/sh\n"),
        "file-shebang-missing" => script("#!/bin/bash\n"),
        "file-shebang-dir" => script("#!/bin\n"),
        "file-shebang-254" => script(&format!("#!/bin/{}sh\n", "/".repeat(246))),
        "file-html" => script("<!DOCTYPE html>\n<html><head><title>404</title></head></html>\n"),
        "file-macho" => app([b"\xcf\xfa\xed\xfe".as_slice(), &[0; 60]].concat()),
        "file-pe" => app([b"MZ".as_slice(), &[0; 510]].concat()),
        "file-not-executable" => call("/app").mode("app", program(), 0o644),
        "file-script-not-executable" => call("/app").mode("app", "#!/bin/sh\n", 0o644).file("bin/sh", program()),
        "file-is-directory" => call("/app").directory("app"),
        "file-missing" => call("/app").file("bin/sh", program()),
        "link-ok" => call("/app").link("app", "real").file("real", program()),
        "link-dangling" => call("/app").link("app", "/nowhere"),
        "link-sh-usrmerge" => app(b"#!/bin/sh\n".to_vec()).file("usr/bin/sh", program()).link("bin", "usr/bin"),
        "script-chain-1" => chain(1).file("bin/sh", program()),
        "script-chain-5" => chain(5).file("bin/sh", program()),
        "script-chain-6" => chain(6).file("bin/sh", program()),
        "script-self" => app(b"#!/app\n".to_vec()),
        "script-interp-is-noshebang" => app(b"#!/mid\n".to_vec()).file("mid", "echo\n"),
        "elf-bad-magic" => at(3, |byte| byte ^ 1),
        "elf-class-flipped" => at(4, |byte| 3 - byte),
        "elf-data-flipped" => at(5, |byte| 3 - byte),
        "elf-machine-62" => with(Field::Machine, 62),
        "elf-machine-183" => with(Field::Machine, 183),
        "elf-type-none" => with(Field::Type, 0),
        "elf-type-rel" => with(Field::Type, 1),
        "elf-type-core" => with(Field::Type, 4),
        "elf-phentsize-0" => with(Field::Phentsize, 0),
        "elf-phnum-0" => with(Field::Phnum, 0),
        "elf-flags-all" => with(Field::Flags, 0xffff_ffff),
        "elf-truncated-16" => app(program()[..16].to_vec()),
        "elf-truncated-64" => app(program()[..64].to_vec()),
        "elf-truncated-4096" => app(with_bss(own)[..4096].to_vec()),
        "elf-interp-unterminated" => app(ElfBuilder { interp: Some(b"/lib/ld.so".to_vec()), ..dynamic(own) }.build()),
        "elf-interp-directory" => app(dynamic(own).build()).directory(loader_path(own)),
        "elf-interp-empty-file" => app(dynamic(own).build()).file(loader_path(own), ""),
        "elf-interp-script" => app(dynamic(own).build()).file(loader_path(own), LONG_SCRIPT),
        "elf-interp-dangling" => app(dynamic(own).build()).link(loader_path(own), "/nowhere"),
        "elf-align-1000" => app(aligned(own, 0x1000)),
        "elf-align-10000" => app(aligned(own, 0x10000)),
        other => panic!("no case {other}"),
    }
}

/// `static-arm64` is ("static", "arm64"), `dyn-386-no-loader` is ("dyn-no-loader", "386").
fn split_arch(name: &str) -> Option<(String, &str)> {
    let arches = ["386", "amd64", "arm64", "armv5", "armv7", "mips64le", "ppc64le", "riscv64", "s390x"];
    let words: Vec<&str> = name.split('-').collect();
    let at = words.iter().position(|word| arches.contains(word))?;
    let rest: Vec<&str> = words.iter().enumerate().filter(|(index, _)| *index != at).map(|(_, word)| *word).collect();
    Some((rest.join("-"), words[at]))
}

fn by_architecture(kind: String, arch: &str) -> Tree {
    let other = if arch == "amd64" { "arm64" } else { "amd64" };
    let program = || Tree::call(&["/app"]).file("app", dynamic(arch).build());
    let libc = || builder(arch).soname("libc.so.6").build();
    match kind.as_str() {
        "static" => Tree::call(&["/app"]).file("app", builder(arch).build()),
        "script-interp" => {
            Tree::call(&["/entry.sh"]).file("entry.sh", "#!/bin/sh\nexit 0\n").file("bin/sh", builder(arch).build())
        }
        "dyn-whole" => program().file(loader_path(arch), loader(arch)).file("lib/libc.so.6", libc()),
        "dyn-no-loader" => program().file("lib/libc.so.6", libc()),
        "dyn-no-libc" => program().file(loader_path(arch), loader(arch)),
        "dyn-foreign-loader" => program().file(loader_path(arch), loader(other)).file("lib/libc.so.6", libc()),
        "shared-lib-as-app" => {
            let mut bytes = library(arch);
            set(&mut bytes, Field::Entry, 0);
            Tree::call(&["/app"]).file("app", bytes)
        }
        other => panic!("no case {other}"),
    }
}

/// GNU ld gives x86-64 libraries a first segment that may only be read.
fn library(arch: &str) -> Vec<u8> {
    let mut bytes = builder(arch).soname("libx.so.1").build();
    if arch == "amd64" {
        elf::edit_phdr(&mut bytes, 0, |first| first.flags = 4);
    }
    bytes
}

/// A chain of `count` scripts, each the interpreter of the previous one.
fn chain(count: usize) -> Tree {
    (0..count).fold(Tree::call(&["/s0"]), |tree, index| {
        let next = if index + 1 == count { "/bin/sh".to_string() } else { format!("/s{}", index + 1) };
        tree.file(&format!("s{index}"), format!("#!{next}\n"))
    })
}

/// A static program with a data segment that ends in zeros, 128 KiB into the file.
fn with_bss(own: &str) -> Vec<u8> {
    let program = builder(own).padding(0x3_0000);
    let vaddr = program.base() + 0x3_0010;
    let data = Phdr { p_type: 1, flags: 6, offset: 0x2_0010, vaddr, filesz: 0x100, memsz: 0x800, align: 0x10000 };
    program.extra(data).build()
}

/// A program with a word of data as linked with `-z max-page-size=`: code and data on pages of that size.
fn aligned(own: &str, page: u64) -> Vec<u8> {
    let program = builder(own).padding(0x1_1000);
    let vaddr = program.base() + page;
    let data = Phdr { p_type: 1, flags: 6, offset: page, vaddr, filesz: 4, memsz: 4, align: page };
    program.extra(data).build()
}
