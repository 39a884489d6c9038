//! Writes and reads the in-toto statement of a scan. Its subjects are the images' digests, its predicate is the JSON
//! report. It is not signed. Source: in-toto attestation framework, "Statement v1".

pub mod registry;

use std::io;

use serde_json::{Value, json};

use super::{ReportStyle, fingerprint, json as report_json};
use crate::oci::Digest;
use crate::scan::Report;

const STATEMENT: &str = "https://in-toto.io/Statement/v1";

/// The predicate type, which policies refer to.
pub const PREDICATE_TYPE: &str = concat!(env!("CARGO_PKG_REPOSITORY"), "/verdict/v1");

/// Returns the statement of a report. Images without a digest, such as directories, are skipped; `None` if no image has
/// one.
pub fn statement(report: &Report, style: &ReportStyle<'_>) -> io::Result<Option<Vec<u8>>> {
    let subjects = report.images.iter().filter_map(|image| {
        let digest = image.digest.as_ref()?;
        Some(json!({"name": fingerprint::subject(&image.name), "digest": {digest.algorithm(): digest.hex()}}))
    });
    let subjects: Vec<Value> = subjects.collect();
    if subjects.is_empty() {
        return Ok(None);
    }
    let mut text = Vec::new();
    report_json::write(report, style, &mut text)?;
    let verdict: Value = serde_json::from_slice(&text)?;
    let statement = json!({
        "_type": STATEMENT,
        "subject": subjects,
        "predicateType": PREDICATE_TYPE,
        "predicate": {"scanner": {"name": "imgarch", "version": env!("CARGO_PKG_VERSION")}, "report": verdict},
    });
    Ok(Some(serde_json::to_vec(&statement)?))
}

/// The contents of a statement about one image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttestedVerdict {
    /// The exit code of the scan.
    pub exit_code: u8,
    /// The image's verdict: `fine`, `warned`, `unknown`, `broken`.
    pub verdict: String,
    /// The platforms that were judged, with their verdicts.
    pub platforms: Vec<(String, String)>,
    pub version: String,
}

/// Parses a statement. `None` if it is not an imgarch statement, or not about `digest`.
pub fn read(bytes: &[u8], digest: &Digest) -> Option<AttestedVerdict> {
    let statement: Value = serde_json::from_slice(bytes).ok()?;
    let is_ours = statement["_type"] == STATEMENT && statement["predicateType"] == PREDICATE_TYPE;
    let is_of = |subject: &Value| subject["digest"][digest.algorithm()].as_str() == Some(digest.hex());
    if !is_ours || !statement["subject"].as_array()?.iter().any(is_of) {
        return None;
    }
    let predicate = &statement["predicate"];
    let report = &predicate["report"];
    let image = report["images"].as_array()?.iter().find(|image| image["digest"].as_str() == Some(digest.as_str()))?;
    let text = |value: &Value| value.as_str().map(str::to_string);
    let platforms = image["platforms"].as_array()?.iter();
    Some(AttestedVerdict {
        exit_code: u8::try_from(report["exit_code"].as_u64()?).ok()?,
        verdict: text(&image["verdict"])?,
        platforms: platforms.filter_map(|one| Some((text(&one["platform"])?, text(&one["verdict"])?))).collect(),
        version: text(&predicate["scanner"]["version"])?,
    })
}
