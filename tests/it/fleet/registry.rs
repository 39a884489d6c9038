//! Whole registries through their lists: pages, filters, the newest tags, and artifacts that are not images.

use crate::kit::elf::ElfBuilder;
use crate::kit::registry::{FakeRegistry, Fault, OCI_LAYER, OCI_MANIFEST};
use crate::kit::small::{Small, imgarch, said};
use imgarch::oci::Digest;

fn layer() -> Vec<u8> {
    Small::new("amd64", ElfBuilder::amd64().build()).layer()
}

/// Names below the registry's host, stderr and the exit code.
fn scan(registry: &FakeRegistry, place: &str, args: &[&str]) -> (Vec<String>, String, i32) {
    let machine = tempfile::tempdir().unwrap();
    let place = format!("{}{place}", registry.host);
    let args = [&["scan", "--registry", &place, "--format", "plain"], args].concat();
    let output = imgarch(machine.path(), &args, &[]);
    let (text, code) = said(&output);
    let names = text.lines().filter_map(|line| line.strip_prefix("image\t")?.split('\t').next());
    let names = names.map(|name| name.strip_prefix(&format!("{}/", registry.host)).unwrap().to_string()).collect();
    (names, String::from_utf8_lossy(&output.stderr).into_owned(), code)
}

fn filled() -> FakeRegistry {
    let registry = FakeRegistry::start();
    for (repository, tags) in [
        ("base", &["1"][..]),
        ("team/app", &["v1", "v2", "v3", "v3-debug"][..]),
        ("team/deep/worker", &["v1"][..]),
        ("teams", &["v1"][..]),
    ] {
        for tag in tags {
            registry.put_image(repository, tag, &layer());
        }
    }
    registry.list_repositories(2);
    registry
}

#[test]
fn a_registry_is_listed_page_by_page_and_filtered() {
    let registry = filled();
    let all =
        ["base:1", "team/app:v1", "team/app:v2", "team/app:v3", "team/app:v3-debug", "team/deep/worker:v1", "teams:v1"];
    assert_eq!(scan(&registry, "", &[]), (all.map(String::from).to_vec(), String::new(), 0));
    assert_eq!(scan(&registry, "/team", &[]).0, all[1..6]);
    assert_eq!(scan(&registry, "/team/", &["--include", "team/*"]).0, all[1..5]);
    assert_eq!(scan(&registry, "", &["--include", "**/*:v[12]", "--exclude", "teams"]).0, [all[1], all[2], all[5]]);
    assert_eq!(scan(&registry, "", &["--include", "team/app", "--exclude", "*/*:*-debug"]).0, all[1..4]);
    let (names, errors, code) = scan(&registry, "/nothing", &[]);
    assert!(names.is_empty() && code == 3 && errors.contains("/nothing matches"), "{errors}");
    assert_eq!(scan(&registry, "", &["--include", "[", "--offline"]).2, 2);
}

#[test]
fn a_registry_without_a_catalog_gives_a_hint_and_lists_one_repository() {
    let registry = FakeRegistry::start();
    registry.put_image("team/app", "v1", &layer());
    for place in ["", "/team"] {
        let (_, errors, code) = scan(&registry, place, &[]);
        assert_eq!(code, 3, "{errors}");
        assert!(errors.contains("does not list its repositories (no /v2/_catalog)"), "{errors}");
        assert!(errors.contains("--images-from FILE"), "{errors}");
    }
    assert_eq!(scan(&registry, "/team/app", &[]), (vec!["team/app:v1".to_string()], String::new(), 0));
    registry.plan("_catalog", Fault::Status(403, &[], ""));
    let (_, errors, code) = scan(&registry, "", &[]);
    assert!(code == 3 && errors.contains("does not list its repositories: "), "{errors}");
    let machine = tempfile::tempdir().unwrap();
    let output = imgarch(machine.path(), &["scan", "--registry", "https://host/x"], &[]);
    assert_eq!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn signatures_and_charts_are_left_out_and_counted() {
    let registry = filled();
    let stored = registry.put_image("team/app", "v4", &layer());
    let signature = format!("sha256-{}.sig", stored.digest.hex());
    registry.put_image("team/app", &signature, &layer());
    let config = registry.put_blob(b"{}");
    let chart = format!(
        r#"{{"schemaVersion":2,"mediaType":"{OCI_MANIFEST}","config":{{"mediaType":"application/vnd.cncf.helm.config.v1+json","digest":"{config}","size":2}},"layers":[]}}"#
    );
    registry.put_manifest("charts/app", Some("1.0"), OCI_MANIFEST, chart.as_bytes());
    let (names, errors, code) = scan(&registry, "", &[]);
    assert_eq!((names.len(), code), (8, 0), "{names:?} {errors}");
    assert!(errors.contains("skipped 1 tag without an image: 1 signature"), "{errors}");
    assert!(errors.contains("1 application/vnd.cncf.helm.config.v1+json"), "{errors}");
    // The result is the same with shards that are merged.
    let machine = tempfile::tempdir().unwrap();
    for shard in ["1/2", "2/2"] {
        let args = ["scan", "--registry", &registry.host, "--results", "results", "--shard", shard];
        imgarch(machine.path(), &args, &[]);
    }
    let output = imgarch(machine.path(), &["merge", "results", "--format", "plain"], &[]);
    let (text, code) = said(&output);
    assert_eq!((text.matches("image\t").count(), code), (8, 0), "{text}");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("1 application/vnd.cncf.helm.config.v1+json"), "{errors}");
}

/// Stores an image with a build date.
fn put_built(registry: &FakeRegistry, tag: &str, created: &str) {
    let layer = layer();
    let digest = registry.put_blob(&layer);
    let config = format!(
        r#"{{"architecture":"amd64","os":"linux","created":"{created}","config":{{"Entrypoint":["/app"]}},"rootfs":{{"type":"layers","diff_ids":["{digest}"]}}}}"#
    );
    registry.put_blob(config.as_bytes());
    let manifest = format!(
        r#"{{"schemaVersion":2,"mediaType":"{OCI_MANIFEST}","config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{}","size":{}}},"layers":[{{"mediaType":"{OCI_LAYER}","digest":"{digest}","size":{}}}]}}"#,
        Digest::from_bytes(config.as_bytes()),
        config.len(),
        layer.len(),
    );
    registry.put_manifest("team/app", Some(tag), OCI_MANIFEST, manifest.as_bytes());
}

#[test]
fn the_newest_tags_are_those_that_were_built_last() {
    let registry = FakeRegistry::start();
    put_built(&registry, "v9", "2026-01-01T00:00:00Z");
    put_built(&registry, "v10", "2026-03-01T00:00:00+02:00");
    put_built(&registry, "main", "2026-02-28T23:00:00Z");
    put_built(&registry, "undated", "");
    registry.put_image("other", "v1", &layer());
    registry.list_repositories(100);
    assert_eq!(scan(&registry, "", &["--newest", "1"]).0, ["other:v1", "team/app:main"]);
    assert_eq!(scan(&registry, "/team", &["--newest", "2"]).0, ["team/app:main", "team/app:v10"]);
    assert_eq!(scan(&registry, "/team", &["--newest", "9"]).0.len(), 4);
    assert_eq!(scan(&registry, "/team", &["--newest", "0"]).2, 2);
}

#[test]
fn a_list_that_never_ends_or_lies_is_refused() {
    let registry = filled();
    for _ in 0..8 {
        registry.plan("_catalog", Fault::Header("link", Some(r#"</v2/_catalog?again>; rel="next""#)));
    }
    let (_, errors, code) = scan(&registry, "", &[]);
    assert!(code == 3 && errors.contains("contains nothing new"), "{errors}");
    let registry = filled();
    registry.plan("_catalog", Fault::Endless);
    assert_eq!(scan(&registry, "", &[]).2, 3);
    let registry = filled();
    registry.list_repositories(100);
    registry.plan("_catalog", Fault::Instead(br#"{"repositories":["UPPER","../x","team/app"]}"#.to_vec()));
    let (names, errors, _) = scan(&registry, "", &[]);
    assert_eq!(names.len(), 4, "{errors}");
    assert!(errors.contains("2 names of"), "{errors}");
    assert!(registry.asked().iter().all(|asked| !asked.contains("UPPER") && !asked.contains("/x")));
    let registry = filled();
    registry.plan("base/tags", Fault::Instead(br#"{"name":"base","tags":["1","-x","a b","1"]}"#.to_vec()));
    let (names, errors, _) = scan(&registry, "/base", &[]);
    assert_eq!(names, ["base:1"]);
    assert!(errors.contains("2 names of") && errors.contains("invalid image name"), "{errors}");
}
