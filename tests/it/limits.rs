//! Limits from the user's side: an image or a registry that exceeds one ends in "could not tell" with the limit's name,
//! and secrets are never printed.

use std::fs;
use std::time::Duration;

use imgarch::oci::Digest;
use serde_json::{Value, json};

use crate::kit::elf::ElfBuilder;
use crate::kit::registry::{FakeRegistry, Fault};
use crate::kit::small::{Small, imgarch, said, write_layout};

/// The output of a run on both streams, and its exit code.
fn printed(args: &[&str], env: &[(&str, &str)]) -> (String, i32) {
    let directory = tempfile::tempdir().unwrap();
    let output = imgarch(directory.path(), args, env);
    let (text, code) = said(&output);
    (text + &String::from_utf8_lossy(&output.stderr), code)
}

#[test]
fn a_password_in_an_image_name_is_refused_and_never_printed() {
    for name in [
        "user:hunter2@registry.example/app:v1",
        "docker://user:hunter2@registry.example/app",
        "docker-daemon:user:hunter2@registry.example/app",
        "hunter2@x.y/app",
    ] {
        for format in ["table", "json", "sarif"] {
            let (text, code) = printed(&["scan", "--offline", "-vv", "--format", format, name], &[]);
            assert!(matches!(code, 2 | 3), "{text}");
            assert!(!text.contains("hunter2") && text.contains("docker login"), "{name}: {text}");
        }
    }
}

#[test]
fn a_registry_that_sends_byte_by_byte_ends_at_the_deadline() {
    let fake = FakeRegistry::start();
    let stored = fake.put_image("user/app", "v1", &Small::new("amd64", ElfBuilder::amd64().build()).layer());
    fake.plan(&stored.layer.to_string(), Fault::Drip(1, Duration::from_millis(20)));
    let image = format!("{}/user/app:v1", fake.host);
    let (text, code) = printed(&["scan", "--no-cache", "--deadline", "1", &image], &[]);
    assert_eq!(code, 3, "{text}");
    assert!(text.contains("the deadline of the run, 1 s, has passed") && text.contains("--deadline"), "{text}");
}

#[test]
fn an_image_with_more_names_than_its_memory_holds_is_not_judged() {
    let directory = tempfile::tempdir().unwrap();
    let mut image = Small::new("amd64", ElfBuilder::amd64().build());
    for number in 0..5000 {
        image = image.file(&format!("usr/share/doc/{number}"), 0o644, Vec::new());
    }
    write_layout(directory.path(), &[image]);
    let scan = |env: &[(&str, &str)]| {
        let output = imgarch(directory.path(), &["scan", "--no-cache", "--format", "json", "."], env);
        (said(&output).0 + &String::from_utf8_lossy(&output.stderr), output.status.code().unwrap())
    };
    let (text, code) = scan(&[("IMGARCH_IMAGE_MEMORY", "100000")]);
    assert_eq!(code, 3, "{text}");
    assert!(text.contains("take more than 100000 bytes of memory") && text.contains("image-memory"), "{text}");
    assert_eq!(scan(&[]).1, 0);
}

#[test]
fn trusted_local_layers_are_read_in_part_and_reported_so() {
    let directory = tempfile::tempdir().unwrap();
    let image = Small::new("arm64", ElfBuilder::amd64().build()).file("data", 0o644, vec![b'x'; 1 << 20]);
    let layer = image.layer();
    write_layout(&directory.path().join("layout"), &[image]);
    let archive = |name: &str| {
        let mut builder = tar::Builder::new(fs::File::create(directory.path().join(name)).unwrap());
        builder.append_dir_all(".", directory.path().join("layout")).unwrap();
        builder.finish().unwrap();
    };
    archive("sound.tar");
    // A byte in the middle of the data, which is not read.
    let blob = directory.path().join("layout/blobs/sha256").join(Digest::from_bytes(&layer).hex());
    let mut other = layer.clone();
    other[1 << 19] = b'y';
    fs::write(&blob, other).unwrap();
    archive("changed.tar");
    let scan = |name: &str, more: &[&str]| {
        let (stdout, code) =
            said(&imgarch(directory.path(), &[&["scan", name, "--format", "json"], more].concat(), &[]));
        let report: Value = serde_json::from_str(&stdout).unwrap_or_else(|_| panic!("{name}: {stdout}"));
        (report["images"][0].clone(), code)
    };
    let (sound, code) = scan("sound.tar", &[]);
    assert_eq!((code, &sound["skipped"]), (1, &json!([])));
    assert_eq!(scan("changed.tar", &[]).1, 3);
    for name in ["sound.tar", "changed.tar", "oci:layout"] {
        let (found, code) = scan(name, &["--trust-local"]);
        assert_eq!((code, &found["platforms"]), (1, &sound["platforms"]), "{name}");
        let line = "1 layer was read in part and not verified against a digest (--trust-local)";
        assert_eq!(found["skipped"], json!([line]), "{name}");
    }
}

#[test]
fn a_dockerfile_that_never_ends_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    write_layout(directory.path(), &[Small::new("amd64", ElfBuilder::amd64().build())]);
    let output = imgarch(directory.path(), &["scan", "--dockerfile", "/dev/zero", "."], &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("it is larger than 4194304 bytes"));
}
