//! Every output format of the built binary, validated against its schema, for a good image, a bad one and one with
//! hostile names.

use crate::kit::machine::{self, Need};
use std::path::Path;
use std::process::Command;

use crate::kit::elf::ElfBuilder;
use crate::kit::small::{Small, imgarch, said, write_layout};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

/// A name with control sequences for terminals, workflow commands, tables, HTML and XML.
const HOSTILE: &str = "opt/a\u{1b}[2J\n::error::x%|`<script>alert(1)</script>&\"'@user,b:c";

fn images() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let good = || Small::new("amd64", ElfBuilder::amd64().build());
    let bad = || Small::new("arm64", ElfBuilder::amd64().build());
    write_layout(&directory.path().join("good"), &[good(), Small::new("arm64", ElfBuilder::arm64().build())]);
    write_layout(&directory.path().join("bad"), &[good(), bad()]);
    let hostile = Small::new("amd64", ElfBuilder::amd64().build()).file(HOSTILE, 0o755, ElfBuilder::arm64().build());
    write_layout(&directory.path().join("hostile"), &[hostile]);
    // This layer must differ from the others: one that was read in another image is cached and not read again.
    write_layout(&directory.path().join("torn"), &[Small::new("amd64", ElfBuilder::amd64().padding(7).build())]);
    for blob in std::fs::read_dir(directory.path().join("torn/blobs/sha256")).unwrap() {
        let path = blob.unwrap().path();
        let is_layer = std::fs::read(&path).unwrap().first() != Some(&b'{');
        if is_layer {
            std::fs::write(&path, b"torn").unwrap();
        }
    }
    std::fs::write(directory.path().join("Dockerfile"), "FROM scratch\nCOPY bin/app /app\n").unwrap();
    directory
}

/// The expected exit code of each image.
const IMAGES: [(&str, i32); 4] = [("good", 0), ("bad", 1), ("hostile", 0), ("torn", 3)];

fn scan(directory: &Path, image: &str, format: &str, more: &[&str]) -> (String, i32) {
    let name = format!("oci:{image}");
    let args = [&["scan", "--format", format, &name], more].concat();
    let output = imgarch(directory, &args, &[]);
    let (text, code) = said(&output);
    assert!(!text.contains('\u{1b}'), "{format} of {image} lets a terminal be steered");
    (text, code)
}

fn schema(name: &str) -> jsonschema::Validator {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/schemas").join(name);
    let schema: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    jsonschema::validator_for(&schema).unwrap()
}

/// Parses `text` as JSON and validates it against the schema.
fn valid(validator: &jsonschema::Validator, text: &str) -> Value {
    let value: Value = serde_json::from_str(text).unwrap();
    let errors: Vec<String> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:#?}");
    value
}

#[test]
fn json_matches_its_schema() {
    let directory = images();
    let (schema, _) = said(&imgarch(directory.path(), &["schema"], &[]));
    let validator = jsonschema::validator_for(&serde_json::from_str(&schema).unwrap()).unwrap();
    for (image, code) in IMAGES {
        let (text, exit) = scan(directory.path(), image, "json", &[]);
        let report = valid(&validator, &text);
        assert_eq!((exit, report["exit_code"].as_i64().unwrap()), (code, i64::from(code)), "{image}: {text}");
    }
}

#[test]
fn sarif_matches_the_standard_and_what_code_scanning_needs() {
    let directory = images();
    let validator = schema("sarif-2.1.0.json");
    for (image, code) in IMAGES {
        let (text, exit) = scan(directory.path(), image, "sarif", &[]);
        assert_eq!(exit, code, "{image}");
        let log = valid(&validator, &text);
        let run = &log["runs"][0];
        let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
        let results = run["results"].as_array().unwrap();
        assert_eq!(results.iter().any(|result| result["level"] == "error"), code != 0, "{image}: {text}");
        for result in results {
            assert_eq!(rules[result["ruleIndex"].as_u64().unwrap() as usize]["id"], result["ruleId"]);
            assert_eq!(result["partialFingerprints"]["primaryLocationLineHash"].as_str().unwrap().len(), 66);
            let place = &result["locations"][0]["physicalLocation"];
            assert_eq!(place["region"]["startLine"], 1);
            assert!(!place["artifactLocation"]["uri"].as_str().unwrap().starts_with('/'));
        }
    }
}

#[test]
fn sarif_points_into_the_dockerfile_and_keeps_its_fingerprints() {
    let directory = images();
    let parse = |text: &str| serde_json::from_str::<Value>(text).unwrap()["runs"][0]["results"][0].clone();
    let (bare, _) = scan(directory.path(), "bad", "sarif", &[]);
    let (pointed, _) = scan(directory.path(), "bad", "sarif", &["--dockerfile", "./Dockerfile"]);
    let place = &parse(&pointed)["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "Dockerfile");
    assert_eq!(place["region"]["startLine"], 2);
    assert_eq!(parse(&bare)["partialFingerprints"], parse(&pointed)["partialFingerprints"]);
}

#[test]
fn jenkins_accepts_the_junit_report() {
    let directory = images();
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/schemas/junit-10.xsd");
    if !machine::has("jenkins_accepts_the_junit_report", &[Need::Xmllint]) {
        return;
    }
    for (image, code) in IMAGES {
        let (text, exit) = scan(directory.path(), image, "junit", &[]);
        assert_eq!(exit, code, "{image}");
        let path = directory.path().join("report.xml");
        std::fs::write(&path, &text).unwrap();
        let checked = Command::new("xmllint").args(["--noout", "--schema"]).arg(&schema).arg(&path).output().unwrap();
        assert!(checked.status.success(), "{}\n{text}", String::from_utf8_lossy(&checked.stderr));
        assert_eq!(text.contains("<failure "), code == 1, "{text}");
        assert_eq!(text.contains("<error "), code == 3, "{text}");
    }
}

#[test]
fn gitlab_accepts_the_code_quality_report() {
    let directory = images();
    let validator = schema("gitlab-code-quality.json");
    for (image, code) in IMAGES {
        let (text, _) = scan(directory.path(), image, "gitlab", &[]);
        let issues = valid(&validator, &text);
        let is_bad = issues.as_array().unwrap().iter().any(|i| i["severity"] == "critical" || i["severity"] == "major");
        assert_eq!(is_bad, code != 0, "{image}: {text}");
    }
}

#[test]
fn github_gets_annotations_and_a_summary() {
    let directory = images();
    for (image, code) in IMAGES {
        let (text, _) = scan(directory.path(), image, "github", &[]);
        let commands = text.lines().filter(|line| line.trim_start().starts_with("::"));
        assert_eq!(commands.clone().any(|line| line.starts_with("::error ")), code != 0, "{image}: {text}");
        for line in commands {
            let known = ["::error ", "::warning ", "::notice "].iter().any(|command| line.starts_with(command));
            assert!(known, "a name became a command: {line}");
        }
    }
    let (text, _) = scan(directory.path(), "bad", "github", &["--dockerfile", "Dockerfile"]);
    assert!(text.contains("::error file=Dockerfile,line=2,title="), "{text}");
    let summary = directory.path().join("summary.md");
    std::fs::write(&summary, "before\n").unwrap();
    let env = [("GITHUB_STEP_SUMMARY", summary.to_str().unwrap())];
    imgarch(directory.path(), &["scan", "--format", "github", "oci:bad"], &env);
    let written = std::fs::read_to_string(&summary).unwrap();
    assert!(written.starts_with("before\n") && written.contains("| linux/arm64 | arm64 | amd64 |"), "{written}");
}

#[test]
fn markdown_has_the_matrix_and_no_markup_of_the_images() {
    let directory = images();
    for (image, code) in IMAGES {
        let (text, _) = scan(directory.path(), image, "markdown", &["--all"]);
        assert!(text.starts_with("<!-- imgarch -->\n"));
        assert_eq!(text.contains("### OK"), code == 0 && image != "hostile", "{text}");
        assert!(!text.contains("<script>") && !text.contains("@user"), "{text}");
    }
}

#[test]
fn html_is_one_page_that_loads_nothing_and_runs_its_own_script_only() {
    let directory = images();
    for (image, _) in IMAGES {
        let (text, _) = scan(directory.path(), image, "html", &["--all"]);
        assert!(text.starts_with("<!doctype html>") && text.trim_end().ends_with("</html>"));
        assert!(text.contains("default-src 'none'"));
        let (before, script) = text.split_once("<script>").unwrap();
        let (script, after) = script.split_once("</script>").unwrap();
        let hash = BASE64_STANDARD.encode(Sha256::digest(script));
        assert!(before.contains(&format!("script-src 'sha256-{hash}'")), "{image}");
        let text = format!("{before}{after}");
        for word in ["<script", "<img", "<link", "http://", "https://", "javascript:", "url(", "@import"] {
            assert!(!text.to_lowercase().contains(word), "{image}: {word}");
        }
        for tag in ["details", "section", "table", "dl", "div", "ol", "li", "p", "pre", "span", "dd", "dt"] {
            let opened = text.matches(&format!("<{tag}>")).count() + text.matches(&format!("<{tag} ")).count();
            assert_eq!(opened, text.matches(&format!("</{tag}>")).count(), "{image}: <{tag}>");
        }
    }
}

#[test]
fn one_run_writes_several_formats() {
    let directory = images();
    let args = ["scan", "--format", "table", "--format", "sarif=out.sarif", "--format", "html=out.html", "oci:bad"];
    let (text, code) = said(&imgarch(directory.path(), &args, &[]));
    assert_eq!(code, 1);
    assert!(text.starts_with("FAIL"), "{text}");
    assert!(std::fs::read_to_string(directory.path().join("out.sarif")).unwrap().contains("\"2.1.0\""));
    assert!(std::fs::read_to_string(directory.path().join("out.html")).unwrap().contains("</html>"));
    let (_, code) =
        said(&imgarch(directory.path(), &["scan", "--format", "table", "--format", "json", "oci:bad"], &[]));
    assert_eq!(code, 2);
}
