//! Layers that are read in part, from a real registry: the verdict is that of reading everything.

use std::path::Path;

use imgarch::oci::Digest;
use serde_json::Value;

use crate::kit::elf::ElfBuilder;
use crate::kit::engines;
use crate::kit::small::{Small, imgarch, said, write_layout};

/// Bytes that do not compress.
fn noise(length: usize) -> Vec<u8> {
    let block = |at: usize| Digest::from_bytes(&at.to_le_bytes()).hex().to_string();
    let hex = (0..length / 32).map(block).collect::<String>();
    hex.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

/// A program that needs a library, with its loader, a foreign program next to it, and 8 MiB of other data.
fn image(library: Option<&ElfBuilder>) -> Small {
    let loader = "/lib64/ld-linux-x86-64.so.2";
    let program = ElfBuilder::amd64().interp(loader).needed("libq.so.1");
    let mut image = Small::new("amd64", program.padding(300_000).build())
        .file(&loader[1..], 0o755, ElfBuilder::amd64().soname("ld-linux-x86-64.so.2").padding(200_000).build())
        .file("opt/large", 0o644, noise(8 << 20))
        .file("opt/tool", 0o755, ElfBuilder::arm64().padding(200_000).build())
        .file("etc/passwd", 0o644, b"root:x:0:0:root:/root:/bin/sh\n".to_vec());
    if let Some(library) = library {
        image = image.file("usr/lib/libq.so.1", 0o644, library.clone().padding(400_000).build());
    }
    image
}

/// Scans a name, and returns the image's report and the exit code.
fn scan(directory: &Path, name: &str, more: &[&str]) -> (Value, i32) {
    let (stdout, code) =
        said(&imgarch(directory, &[&["scan", "--no-cache", "--format", "json", name], more].concat(), &[]));
    let report: Value = serde_json::from_str(&stdout).unwrap_or_else(|_| panic!("{name}: {stdout}"));
    (report["images"][0].clone(), code)
}

#[test]
fn a_layer_with_a_table_of_contents_is_judged_from_a_few_of_its_bytes() {
    let test = "a_layer_with_a_table_of_contents_is_judged_from_a_few_of_its_bytes";
    let Some(registry) = engines::registry(test) else { return };
    let cases = [
        ("sound", image(Some(&ElfBuilder::amd64().soname("libq.so.1")))),
        ("lacking", image(None)),
        ("foreign", image(Some(&ElfBuilder::arm64().soname("libq.so.1")))),
    ];
    for (name, image) in cases {
        let directory = tempfile::tempdir().unwrap();
        write_layout(&directory.path().join("layout"), &[image]);
        let place = format!("{}/lazy:{name}", registry.address);
        let from = format!("oci:{}:v1", directory.path().join("layout").display());
        let flags = ["copy", "--quiet", "--all", "--dest-tls-verify=false", "--dest-compress"];
        let format = ["--dest-compress-format", "zstd:chunked"];
        engines::run("skopeo", &[&flags[..], &format, &[&from, &format!("docker://{place}")]].concat());
        let (whole, code) = scan(directory.path(), &place, &[]);
        let (partly, partly_code) = scan(directory.path(), &place, &["--lazy"]);
        assert_eq!((partly_code, &partly["platforms"]), (code, &whole["platforms"]), "{name}");
        let line = partly["skipped"][0].as_str().unwrap_or_default();
        assert!(
            line.starts_with("1 of 1 layers were read in part (zstd:chunked, ") && line.contains("diffIDs"),
            "{line}"
        );
        let read: u64 = line.split(['(', ' ']).filter_map(|word| word.parse().ok()).nth(2).unwrap();
        assert!(read < 1 << 20, "{name}: {line}");
        assert_eq!(whole["skipped"], serde_json::json!([]));
    }
}

#[test]
fn a_layer_without_a_table_of_contents_is_read_in_full() {
    let directory = tempfile::tempdir().unwrap();
    write_layout(&directory.path().join("layout"), &[image(None)]);
    let (whole, code) = scan(directory.path(), "oci:layout", &[]);
    assert_eq!(scan(directory.path(), "oci:layout", &["--lazy"]), (whole, code));
}
