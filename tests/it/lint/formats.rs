//! Every output format of `imgarch lint`, validated against its schema if it has one.

use crate::kit::machine::{self, Need};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::imgarch;

/// Contains an error with a rewrite, a warning and a note. One of them is far to the right in a line with non-ASCII
/// characters.
const DOCKERFILE: &str = "FROM --platform=linux/amd64 alpine AS base\nRUN echo \"ü<&\" && wget https://x.io/t-x86_64 && wget https://x.io/u-$(uname -m)\nFROM alpine\nCOPY --from=base /t /t\nRUN curl -O https://x.io/v-linux-amd64\n";

fn directory() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("Dockerfile"), DOCKERFILE).unwrap();
    fs::write(directory.path().join("Broken.Dockerfile"), "FROM alpine\nNONSENSE\n").unwrap();
    fs::write(directory.path().join("Good.Dockerfile"), "FROM alpine\n").unwrap();
    directory
}

fn schema(name: &str) -> jsonschema::Validator {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/schemas").join(name);
    jsonschema::validator_for(&serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()).unwrap()
}

/// The output of a format for the directory, validated against the schema.
fn valid(directory: &Path, format: &str, name: &str) -> Value {
    let (code, text) = imgarch(directory, &["lint", "--format", format]);
    assert_eq!(code, Some(1), "{text}");
    let value: Value = serde_json::from_str(&text).unwrap();
    let errors: Vec<String> = schema(name).iter_errors(&value).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:#?}");
    value
}

#[test]
fn sarif_has_locations_fixes_and_unchecked_parts() {
    let directory = directory();
    let log = valid(directory.path(), "sarif", "sarif-2.1.0.json");
    let run = &log["runs"][0];
    let (rules, results) = (&run["tool"]["driver"]["rules"], run["results"].as_array().unwrap());
    let mut prints: Vec<&str> = Vec::new();
    for result in results {
        assert_eq!(rules[result["ruleIndex"].as_u64().unwrap() as usize]["id"], result["ruleId"]);
        prints.push(result["partialFingerprints"]["primaryLocationLineHash"].as_str().unwrap());
    }
    prints.sort_unstable();
    prints.dedup();
    assert_eq!(prints.len(), results.len(), "each result has its own fingerprint");
    let of = |rule: &str| {
        results.iter().find(|result| result["ruleId"] == rule).unwrap_or_else(|| panic!("no {rule} in {log:#}"))
    };
    assert_eq!(of("not-checked")["locations"][0]["physicalLocation"]["artifactLocation"]["uri"], "Broken.Dockerfile");
    let region = &results
        .iter()
        .find(|result| result["fixes"][0]["description"]["text"] == "let BuildKit choose" && result["level"] == "error")
        .unwrap()["locations"][0]["physicalLocation"]["region"];
    assert_eq!(
        (&region["startLine"], &region["startColumn"], &region["endColumn"]),
        (&5.into(), &34.into(), &39.into())
    );
}

#[test]
fn gitlab_accepts_the_code_quality_report() {
    let directory = directory();
    let issues = valid(directory.path(), "gitlab", "gitlab-code-quality.json");
    let severities: Vec<&str> =
        issues.as_array().unwrap().iter().map(|issue| issue["severity"].as_str().unwrap()).collect();
    for severity in ["critical", "major", "minor"] {
        assert!(severities.contains(&severity), "{issues:#}");
    }
}

#[test]
fn jenkins_accepts_the_junit_report() {
    let directory = directory();
    if !machine::has("jenkins_accepts_the_junit_report", &[Need::Xmllint]) {
        return;
    }
    let (_, text) = imgarch(directory.path(), &["lint", "--format", "junit"]);
    let path: PathBuf = directory.path().join("report.xml");
    fs::write(&path, &text).unwrap();
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/schemas/junit-10.xsd");
    let checked = Command::new("xmllint").args(["--noout", "--schema"]).arg(schema).arg(&path).output().unwrap();
    assert!(checked.status.success(), "{}\n{text}", String::from_utf8_lossy(&checked.stderr));
    for tag in ["<failure ", "<error ", "no findings"] {
        assert!(text.contains(tag), "{text}");
    }
}

#[test]
fn one_line_per_finding_for_editors_and_further_formats_in_files() {
    let directory = directory();
    let (code, text) = imgarch(
        directory.path(),
        &["lint", "--format", "plain", "--format", "sarif=out.sarif", "--format", "github=out.txt"],
    );
    assert_eq!(code, Some(1), "{text}");
    assert!(
        text.contains("Dockerfile:5:34: error: this download is x86-64 on every platform [hard-coded-arch]\n"),
        "{text}"
    );
    assert!(text.contains("Broken.Dockerfile:2:1: error: ") && text.contains(" [not-checked]\n"), "{text}");
    assert!(fs::read_to_string(directory.path().join("out.sarif")).unwrap().contains("\"2.1.0\""));
    assert!(fs::read_to_string(directory.path().join("out.txt")).unwrap().contains("::error file=Dockerfile,line=5,"));
    assert_eq!(imgarch(directory.path(), &["lint", "--format", "nonsense"]).0, Some(2));
    assert_eq!(imgarch(directory.path(), &["lint", "--format", "json", "--format", "plain"]).0, Some(2));
}
