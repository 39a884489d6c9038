use std::sync::Arc;

use super::*;
use crate::inspect::elf_builder::ElfBuilder;
use crate::judge::code::Severity;
use crate::scan::{FailOn, Report, Unwatched, scan};
use crate::source::input::ImageOpener;

/// Scans a file of this name and content; returns the exit code, the messages of findings and problems, and the report.
fn scanned(name: &str, bytes: &[u8], options: &Options) -> (u8, Vec<String>, Report) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, bytes).unwrap();
    let watch: Arc<dyn Watch> = Arc::new(Unwatched);
    let text = path.display().to_string();
    let report = scan(&[text], &|name| ImageOpener::default().open(name), options, &watch);
    let findings = report.images[0].all_findings().filter(|(_, finding)| finding.severity > Severity::Note);
    let mut texts: Vec<String> = findings.map(|(_, finding)| finding.message.clone()).collect();
    let platforms = report.images[0].platforms.iter().flat_map(|platform| &platform.problems);
    texts.extend(report.images[0].problems.iter().chain(platforms).map(|problem| problem.text.clone()));
    (report.exit_code(FailOn::Error), texts, report)
}

fn options(platforms: &[&str]) -> Options {
    let platforms = platforms.iter().map(|text| Platform::parse(text).unwrap()).collect();
    Options { platforms, ..Options::default() }
}

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

fn amd64() -> Vec<u8> {
    ElfBuilder::amd64().build()
}

#[test]
fn a_program_is_checked_against_its_name_or_the_given_platform() {
    let check = |name: &str, platforms: &[&str], code: u8| {
        let (found, texts, _) = scanned(name, &amd64(), &options(platforms));
        assert_eq!(found, code, "{name} {platforms:?}: {texts:?}");
    };
    check("tool-linux-amd64", &[], 0);
    check("tool-linux-arm64", &[], 1);
    check("tool", &[], 3);
    check("tool", &["linux/amd64"], 0);
    check("tool", &["linux/arm64"], 1);
    // The user's choice takes precedence over the name.
    check("tool-linux-amd64", &["linux/arm64"], 1);
    // Of several given platforms, the file's own counts.
    check("tool-linux-amd64", &["linux/amd64", "linux/arm64"], 0);
    check("tool-linux-arm64", &["linux/amd64", "linux/arm64"], 1);
    check("target/x86_64-unknown-linux-musl/release/tool", &[], 0);
    check("target/aarch64-unknown-linux-musl/release/tool", &[], 1);
    let (_, texts, _) = scanned("tool-linux-arm64", &amd64(), &options(&[]));
    assert_eq!(texts, ["its name claims linux/arm64, but the only program in it is for x86-64"]);
}

#[test]
fn targets_select_like_platforms() {
    let check = |name: &str, targets: &[&str], code: u8| {
        let targets = targets.iter().flat_map(|text| Target::parse(text).unwrap()).collect();
        let (found, texts, _) = scanned(name, &amd64(), &Options { targets, ..Options::default() });
        assert_eq!(found, code, "{name}: {texts:?}");
    };
    check("tool", &["linux/amd64"], 0);
    check("tool", &["graviton4"], 1);
    check("tool-linux-amd64", &["linux/amd64", "graviton4"], 0);
    // A project's targets: which of them the file is for is unknown.
    check("tool", &["linux/amd64", "graviton4"], 3);
}

#[test]
fn release_archives_are_distinguished_from_image_archives_by_content() {
    let manifest: &[u8] = br#"{"manifest_version":3}"#;
    let archive = tar(&[("manifest.json", manifest), ("tool", &amd64())]);
    let (code, texts, report) = scanned("tool-linux-amd64.tar", &archive, &options(&[]));
    assert_eq!((code, report.images[0].origin.to_string().as_str()), (0, "tar archive"), "{texts:?}");
    let packed = crate::image::testing::compress(&archive, crate::image::Compression::Gzip);
    // The name does not matter.
    let (code, texts, report) = scanned("image.tar.gz", &packed, &options(&["linux/arm64"]));
    assert_eq!((code, report.images[0].origin.to_string().as_str()), (1, "tar archive, gzip"), "{texts:?}");
    let image = tar(&[("index.json", br#"{"schemaVersion":2,"manifests":[]}"#), ("oci-layout", b"{}")]);
    let (code, texts, report) = scanned("tool-linux-amd64.tar", &image, &options(&[]));
    assert_eq!(code, 3);
    assert!(!report.images[0].origin.to_string().contains("tar archive"), "{texts:?}");
}

#[test]
fn files_without_a_readable_program_are_unknown() {
    let (code, texts, _) = scanned("a-linux-amd64.gz", &[0x1f, 0x8b, 8, 0, 0, 0], &options(&[]));
    assert_eq!(code, 3, "{texts:?}");
    let (code, texts, _) = scanned("run.sh", b"#!/bin/sh\necho\n", &options(&["linux/amd64"]));
    assert_eq!(code, 3, "{texts:?}");
    let (code, texts, _) = scanned("README", b"text", &options(&["linux/amd64"]));
    assert_eq!(code, 3, "{texts:?}");
    let (code, texts, _) = scanned("a-linux-amd64.tar", &tar(&[("README", b"text")]), &options(&[]));
    assert_eq!((code, texts), (3, vec!["no program was found in the file".to_string()]));
    let mut image = amd64();
    image[8..11].copy_from_slice(b"AI\x02");
    assert_eq!(scanned("Tool-x86_64.AppImage", &image, &options(&[])).0, 3);
    assert_eq!(scanned("Tool-aarch64.AppImage", &image, &options(&[])).0, 1);
}

#[test]
fn python_and_java_packages_for_any_platform_are_healthy() {
    let zip = |members: &[(&str, &[u8])]| {
        let mut zip = Vec::new();
        for (name, bytes) in members {
            zip.extend(b"PK\x03\x04\x14\0\0\0\0\0\0\0\0\0\0\0\0\0");
            zip.extend([bytes.len() as u32; 2].iter().flat_map(|size| size.to_le_bytes()));
            zip.extend((name.len() as u16).to_le_bytes());
            zip.extend([0; 2]);
            zip.extend(name.as_bytes());
            zip.extend(*bytes);
        }
        zip.extend(b"PK\x05\x06");
        zip.extend([0; 18]);
        zip
    };
    let amd64 = amd64();
    let arm64 = ElfBuilder::arm64().build();
    let check = |name: &str, members: &[(&str, &[u8])], code: u8| {
        let (found, texts, _) = scanned(name, &zip(members), &options(&[]));
        assert_eq!(found, code, "{name}: {texts:?}");
    };
    let manifest: (&str, &[u8]) = ("META-INF/MANIFEST.MF", b"Manifest-Version: 1.0\n");
    check("a-1-py3-none-any.whl", &[("a/__init__.py", b"")], 0);
    check("a.jar", &[manifest, ("A.class", b"\xca\xfe\xba\xbe\0\0\0\x34")], 0);
    let both: [(&str, &[u8]); 3] =
        [manifest, ("native/linux-x86_64/liba.so", &amd64), ("native/linux-aarch64/liba.so", &arm64)];
    check("a.jar", &both, 0);
    check("a.jar", &[manifest, ("native/linux-x86_64/liba.so", &arm64)], 1);
    check("a-1-cp312-cp312-manylinux_2_28_x86_64.whl", &[("a/a.so", &amd64)], 0);
    check("a-1-cp312-cp312-manylinux_2_28_aarch64.whl", &[("a/a.so", &amd64)], 1);
    let (code, texts, _) = scanned("a.jar", &zip(&both), &options(&["linux/arm64", "linux/amd64"]));
    assert_eq!(code, 0, "{texts:?}");
    assert_eq!(scanned("a.jar", &zip(&both), &options(&["linux/s390x"])).0, 1);
}
