//! Verdicts as attestations in a registry: a scan writes them, verify reads them back. Also runs imgarch under CI
//! conditions: credentials in the environment, and a machine without certificate authorities.

use crate::kit::distribution::{Distribution, Mode};
use crate::kit::elf::ElfBuilder;
use crate::kit::registry::{FakeRegistry, OCI_INDEX, OCI_MANIFEST, Stored};
use crate::kit::small::{Small, imgarch, said};
use serde_json::Value;

/// Scans an image that `put` pushes to `host`, attests it and verifies it.
fn check(host: &str, put: &dyn Fn(&[u8]) -> Stored, program: Vec<u8>, code: i32, verdict: &str) {
    let directory = tempfile::tempdir().unwrap();
    let stored = put(&Small::new("amd64", program).layer());
    let name = format!("{host}/user/app:v1");
    let (text, exit) = said(&imgarch(directory.path(), &["verify", &name], &[]));
    assert_eq!((text.as_str(), exit), ("", 3));
    // Twice: the newest statement counts, and the older one stays.
    for _ in 0..2 {
        let output = imgarch(directory.path(), &["scan", &name, "--attest", "statement.json", "--attest-push"], &[]);
        assert_eq!(said(&output).1, code, "{}", String::from_utf8_lossy(&output.stderr));
    }
    let statement: Value =
        serde_json::from_slice(&std::fs::read(directory.path().join("statement.json")).unwrap()).unwrap();
    assert_eq!(statement["_type"], "https://in-toto.io/Statement/v1");
    assert_eq!(statement["subject"][0]["digest"]["sha256"], stored.digest.hex());
    assert_eq!(statement["predicate"]["report"]["exit_code"], code);
    for name in [name.clone(), format!("{host}/user/app@{}", stored.digest)] {
        let output = imgarch(directory.path(), &["verify", &name], &[]);
        let (text, exit) = said(&output);
        assert_eq!(exit, code, "{text}{}", String::from_utf8_lossy(&output.stderr));
        assert!(text.starts_with(&format!("{verdict}  ")) && text.contains("linux/amd64"), "{text}");
    }
    // Another image under the same tag has no statement yet.
    put(&Small::new("amd64", ElfBuilder::amd64().padding(9).build()).layer());
    assert_eq!(said(&imgarch(directory.path(), &["verify", &name], &[])).1, 3);
}

fn check_double(program: Vec<u8>, has_api: bool, code: i32, verdict: &str) {
    let fake = FakeRegistry::start();
    if has_api {
        fake.list_referrers();
    }
    check(&fake.host, &|layer| fake.put_image("user/app", "v1", layer), program, code, verdict);
}

#[test]
fn the_fallback_tag_lists_the_statement_and_keeps_other_entries() {
    let fake = FakeRegistry::start();
    let stored = fake.put_image("user/app", "v1", &Small::new("amd64", ElfBuilder::amd64().build()).layer());
    let signature =
        br#"{"schemaVersion":2,"artifactType":"application/vnd.example.signature","config":{},"layers":[]}"#;
    let other = fake.put_manifest("user/app", None, OCI_MANIFEST, signature);
    let entry = serde_json::json!({
        "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": other.as_str(), "size": signature.len(),
        "artifactType": "application/vnd.example.signature", "annotations": {"by": "someone"}, "data": "eA==",
    });
    let index = serde_json::json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry.clone()]});
    let tag = stored.digest.to_string().replace(':', "-");
    fake.put_manifest("user/app", Some(&tag), OCI_INDEX, index.to_string().as_bytes());
    let directory = tempfile::tempdir().unwrap();
    let name = format!("{}/user/app:v1", fake.host);
    let output = imgarch(directory.path(), &["scan", "--attest-push", &name], &[]);
    assert_eq!(said(&output).1, 0, "{}", String::from_utf8_lossy(&output.stderr));
    let index: Value = serde_json::from_slice(&fake.manifest("user/app", &tag).unwrap()).unwrap();
    let entries = index["manifests"].as_array().unwrap();
    assert_eq!((entries.len(), &entries[0]), (2, &entry), "{index:#}");
    assert_eq!(entries[1]["artifactType"], "application/vnd.in-toto+json");
    assert!(entries[1]["annotations"]["in-toto.io/predicate-type"].as_str().unwrap().ends_with("/verdict/v1"));
    assert_eq!(said(&imgarch(directory.path(), &["verify", &name], &[])).1, 0);
}

/// CNCF Distribution 2.8 has no referrers API: the statement is under the specification's fallback tag.
#[test]
fn a_verdict_is_read_back_from_a_real_registry() {
    let Some(server) = Distribution::start("a real registry", Mode::Plain) else { return };
    let put = |layer: &[u8]| server.put_image("user/app", "v1", layer);
    check(&server.host, &put, ElfBuilder::arm64().build(), 1, "broken");
}

#[test]
fn a_verdict_is_read_back_by_the_referrers_api() {
    check_double(ElfBuilder::amd64().build(), true, 0, "fine");
}

#[test]
fn a_verdict_is_read_back_by_the_tag_if_the_registry_has_no_api() {
    check_double(ElfBuilder::amd64().build(), false, 0, "fine");
}

#[test]
fn a_bad_verdict_stays_bad() {
    check_double(ElfBuilder::arm64().build(), false, 1, "broken");
}

#[test]
fn a_directory_cannot_be_attested() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join("root")).unwrap();
    let output = imgarch(directory.path(), &["scan", "rootfs:root", "--attest", "statement.json"], &[]);
    assert_eq!(said(&output).1, 3);
    assert!(String::from_utf8_lossy(&output.stderr).contains("nothing to attest"));
}

/// A static program in an empty image trusts the certificate authorities that are built in, and no others.
#[test]
fn a_machine_without_certificate_authorities_can_use_tls() {
    let Some(server) = Distribution::start("a real registry", Mode::Tls) else { return };
    server.put_image("user/app", "v1", &Small::new("amd64", ElfBuilder::amd64().build()).layer());
    let directory = tempfile::tempdir().unwrap();
    let name = format!("{}/user/app:v1", server.host);
    let env = [("SSL_CERT_FILE", "/nowhere.pem"), ("SSL_CERT_DIR", "/nowhere")];
    let output = imgarch(directory.path(), &["scan", "--format", "plain", &name], &env);
    let (text, code) = said(&output);
    assert!(code == 3 && text.contains("is from an untrusted authority"), "{text}");
    let ca_cert = server.ca_cert.to_str().unwrap();
    let (text, code) = said(&imgarch(directory.path(), &["scan", "--ca-cert", ca_cert, &name], &env));
    assert_eq!(code, 0, "{text}");
}

#[test]
fn verbose_names_requests_and_no_credential() {
    use base64::Engine as _;
    let directory = tempfile::tempdir().unwrap();
    let fake = FakeRegistry::start();
    fake.put_image("user/app", "v1", &Small::new("amd64", ElfBuilder::amd64().build()).layer());
    fake.require_basic("someone", "very-secret-word");
    let login = base64::engine::general_purpose::STANDARD.encode("someone:very-secret-word");
    std::fs::create_dir(directory.path().join(".docker")).unwrap();
    let config = serde_json::json!({"auths": {&fake.host: {"auth": &login}}});
    std::fs::write(directory.path().join(".docker/config.json"), config.to_string()).unwrap();
    let check = |env: &[(&str, &str)]| {
        let output = imgarch(directory.path(), &["scan", "-vv", &format!("{}/user/app:v1", fake.host)], env);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(said(&output).1, 0, "{errors}");
        assert!(errors.contains("/v2/user/app/manifests/v1"), "{errors}");
        assert!(!errors.contains("very-secret-word") && !errors.contains(&login), "{errors}");
    };
    check(&[]);
    // As CI services pass it: in the environment, with nothing on disk.
    std::fs::remove_file(directory.path().join(".docker/config.json")).unwrap();
    check(&[("DOCKER_AUTH_CONFIG", &config.to_string())]);
}

#[test]
fn verify_of_a_path_asks_no_registry() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join("app")).unwrap();
    for (name, hint) in
        [("app", "imgarch verify docker://app"), ("./app", "imgarch scan ./app"), ("oci:app", "imgarch scan oci:app")]
    {
        let output = imgarch(directory.path(), &["verify", name], &[]);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(2) && errors.contains(hint), "{name}: {errors}");
    }
}
