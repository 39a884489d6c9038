//! Compares the output of the tests' ELF builder with this machine's kernel and with readelf.

use std::path::Path;
use std::process::Command;

use crate::kit::elf::ElfBuilder;
use crate::kit::machine::{self, Need};
use crate::kit::program;

fn write(dir: &Path, name: &str, bytes: &[u8]) -> std::path::PathBuf {
    let path = dir.join(name);
    program::write(&path, bytes);
    path
}

fn rich(builder: ElfBuilder) -> ElfBuilder {
    let go = [("GOARCH", "amd64"), ("GOAMD64", "v3")];
    builder
        .needed("libc.so.6")
        .runpath("$ORIGIN/../lib")
        .wants("libc.so.6", "GLIBC_2.34", false)
        .wants("libc.so.6", "GLIBC_ABI_DT_RELR", true)
        .offers("LIBX_1.0")
        .x86_needed(5)
        .go("go1.22.1", &go)
        .arm_attribute(6, 10)
}

#[test]
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
fn this_kernel_runs_built_programs() {
    let dir = tempfile::tempdir().unwrap();
    let variants = [
        ElfBuilder::amd64(),
        rich(ElfBuilder::amd64()),
        ElfBuilder::amd64().pie(),
        ElfBuilder { has_late_table: true, ..ElfBuilder::amd64() },
        ElfBuilder { has_late_strings: true, ..rich(ElfBuilder::amd64()) },
        ElfBuilder::amd64().align(4096).padding(100_000),
    ];
    for (index, builder) in variants.iter().enumerate() {
        let path = write(dir.path(), &format!("app{index}"), &builder.build());
        let status = Command::new(&path).status().unwrap();
        assert_eq!(status.code(), Some(42), "variant {index}: {builder:?}");
    }
}

#[test]
fn readelf_reads_built_programs() {
    if !machine::has("readelf_reads_built_programs", &[Need::Readelf]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    for (index, builder) in [ElfBuilder::amd64(), ElfBuilder::arm(), ElfBuilder::s390x()].into_iter().enumerate() {
        for has_late_strings in [false, true] {
            let builder = ElfBuilder { has_late_strings, ..rich(builder.clone()) };
            let path = write(dir.path(), &format!("app{index}"), &builder.build());
            let output = Command::new("readelf").args(["-a", "-W", "-A"]).arg(&path).output().unwrap();
            let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
            // Without sections, readelf warns about the version tables but shows them.
            let expected = ["Shared library: [libc.so.6]", "[$ORIGIN/../lib]", "LOAD", "Owner"];
            for words in expected {
                assert!(text.contains(words), "no {words:?} in {text}");
            }
            assert!(!text.contains("corrupt"), "{text}");
        }
    }
}
