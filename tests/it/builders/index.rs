//! Pushed images that are easily mistaken for multi-platform images: an index with one platform and its attestation,
//! and the digest of one platform's manifest.

use serde_json::Value;

use super::site::{Builder, Site};

const DOCKERFILE: &str = "FROM BASE\nCMD [\"busybox\"]\n";

/// Codes and messages of the findings about the whole image.
fn image_findings(report: &Value) -> Vec<(String, String)> {
    let findings = report["images"][0]["findings"].as_array().unwrap_or_else(|| panic!("{report:#}"));
    let text = |value: &Value| value.as_str().unwrap().to_string();
    findings.iter().map(|finding| (text(&finding["code"]), text(&finding["message"]))).collect()
}

#[test]
fn an_index_of_one_platform_and_its_provenance_is_reported() {
    let Some(site) = Site::of("an_index_of_one_platform_beside_its_provenance", Builder::BuildKit) else { return };
    site.build("one", DOCKERFILE, &["--provenance=mode=min", "--platform=linux/amd64"]);
    let report = site.scan("one", ":1");
    let message = "the index lists only linux/amd64 and its attestation";
    assert_eq!(image_findings(&report), [("single-platform-index".to_string(), message.to_string())], "{report:#}");
    // Without provenance it is one manifest, and does not look like an index.
    site.build("plain", DOCKERFILE, &["--provenance=false", "--platform=linux/amd64"]);
    assert_eq!(image_findings(&site.scan("plain", ":1")), []);
}

#[test]
fn a_digest_of_one_platform_is_reported() {
    let Some(site) = Site::of("a_digest_that_leaves_no_choice_of_platform", Builder::BuildKit) else { return };
    let dockerfile = "FROM scratch\nCOPY busybox /bin/busybox\nCMD [\"busybox\"]\n";
    site.build("two", dockerfile, &["--platform=linux/amd64,linux/386"]);
    let report = site.scan("two", ":1");
    assert_eq!(image_findings(&report), []);
    let index = report["images"][0]["digest"].as_str().unwrap().to_string();
    let child = report["images"][0]["platforms"][0]["digest"].as_str().unwrap().to_string();
    assert_eq!(image_findings(&site.scan("two", &format!("@{index}"))), []);
    let message = "the digest pins linux/amd64 only";
    let found = image_findings(&site.scan("two", &format!("@{child}")));
    assert_eq!(found, [("digest-pins-platform".to_string(), message.to_string())]);
}
