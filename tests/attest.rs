//! A verdict beside its image in a registry: written by a scan, read back by verify.

#[path = "support/elf.rs"]
mod elf;
#[path = "support/registry.rs"]
mod registry;
#[path = "support/small.rs"]
mod small;

use elf::ElfBuilder;
use registry::FakeRegistry;
use serde_json::Value;
use small::{Small, imgarch, said};

/// Scans a pushed image, attests it and verifies it.
fn check(program: Vec<u8>, has_api: bool, code: i32, verdict: &str) {
    let folder = tempfile::tempdir().unwrap();
    let fake = FakeRegistry::start();
    if has_api {
        fake.list_referrers();
    }
    let stored = fake.put_image("user/app", "v1", &Small::new("amd64", program).layer());
    let name = format!("{}/user/app:v1", fake.host);
    let (text, exit) = said(&imgarch(folder.path(), &["verify", &name], &[]));
    assert_eq!((text.as_str(), exit), ("", 3));
    let output = imgarch(folder.path(), &["scan", &name, "--attest", "statement.json", "--attest-push"], &[]);
    assert_eq!(said(&output).1, code, "{}", String::from_utf8_lossy(&output.stderr));
    let statement: Value =
        serde_json::from_slice(&std::fs::read(folder.path().join("statement.json")).unwrap()).unwrap();
    assert_eq!(statement["_type"], "https://in-toto.io/Statement/v1");
    assert_eq!(statement["subject"][0]["digest"]["sha256"], stored.digest.hex());
    assert_eq!(statement["predicate"]["report"]["exit_code"], code);
    let output = imgarch(folder.path(), &["verify", &name], &[]);
    let (text, exit) = said(&output);
    assert_eq!(exit, code, "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.starts_with(&format!("{verdict}  ")) && text.contains("linux/amd64"), "{text}");
    // Another image under the same tag has no statement yet.
    fake.put_image("user/app", "v1", &Small::new("amd64", ElfBuilder::amd64().padding(9).build()).layer());
    assert_eq!(said(&imgarch(folder.path(), &["verify", &name], &[])).1, 3);
}

#[test]
fn a_verdict_is_read_back_by_the_referrers_api() {
    check(ElfBuilder::amd64().build(), true, 0, "fine");
}

#[test]
fn a_verdict_is_read_back_by_the_tag_where_the_registry_has_no_api() {
    check(ElfBuilder::amd64().build(), false, 0, "fine");
}

#[test]
fn a_bad_verdict_stays_bad() {
    check(ElfBuilder::arm64().build(), false, 1, "broken");
}

#[test]
fn a_folder_cannot_be_attested() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("root")).unwrap();
    let output = imgarch(folder.path(), &["scan", "rootfs:root", "--attest", "statement.json"], &[]);
    assert_eq!(said(&output).1, 3);
    assert!(String::from_utf8_lossy(&output.stderr).contains("nothing to attest"));
}

#[test]
fn verbose_names_requests_and_no_credential() {
    use base64::Engine as _;
    let folder = tempfile::tempdir().unwrap();
    let fake = FakeRegistry::start();
    fake.put_image("user/app", "v1", &Small::new("amd64", ElfBuilder::amd64().build()).layer());
    fake.require_basic("somebody", "very-secret-word");
    let login = base64::engine::general_purpose::STANDARD.encode("somebody:very-secret-word");
    std::fs::create_dir(folder.path().join(".docker")).unwrap();
    let config = serde_json::json!({"auths": {&fake.host: {"auth": &login}}});
    std::fs::write(folder.path().join(".docker/config.json"), config.to_string()).unwrap();
    let output = imgarch(folder.path(), &["scan", "-vv", &format!("{}/user/app:v1", fake.host)], &[]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(said(&output).1, 0, "{errors}");
    assert!(errors.contains("/v2/user/app/manifests/v1"), "{errors}");
    assert!(!errors.contains("very-secret-word") && !errors.contains(&login), "{errors}");
}
