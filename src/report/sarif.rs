//! SARIF 2.1.0, as code scanning takes it. A finding's place is the Dockerfile's line where that is known, and always a
//! logical location that names image, platform and path. What could not be read is a result of its own: a run without
//! results would close alerts that nobody has looked at. Source: OASIS SARIF 2.1.0; GitHub, "SARIF support".

use std::io::{self, Write};

use serde::Serialize;
use serde_json::{Value, json};

use super::escape::visible;
use super::{Style, fingerprint, place};
use crate::judge::code::{CODES, Code, CodeRow, Severity};
use crate::judge::finding::Finding;
use crate::scan::{ImageReport, PlatformReport, Problem, Report};

/// The rule of what could not be read or verified; it is no finding's code.
pub const COULD_NOT_TELL: &str = "could-not-tell";

/// Code scanning refuses a run with more results. Source: GitHub, "SARIF results exceed limits".
const MAX_RESULTS: usize = 25_000;

pub const HOME: &str = env!("CARGO_PKG_REPOSITORY");

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SarifResult {
    rule_id: &'static str,
    rule_index: usize,
    level: &'static str,
    message: Value,
    locations: Vec<Value>,
    partial_fingerprints: Value,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    suppressions: Vec<Value>,
    properties: Value,
}

pub fn write(report: &Report, style: &Style<'_>, out: &mut dyn Write) -> io::Result<()> {
    let mut results: Vec<SarifResult> = report.images.iter().flat_map(|image| results(image, style)).collect();
    // The most severe come first, so that a cut loses the least.
    results.sort_by_key(|result| {
        std::cmp::Reverse(["none", "note", "warning", "error"].iter().position(|l| *l == result.level))
    });
    let left_out = results.len().saturating_sub(MAX_RESULTS);
    results.truncate(MAX_RESULTS);
    let mut notifications: Vec<Value> = problems(report)
        .map(|(image, _, problem)| {
            json!({"level": "error", "message": {"text": format!("{}: {}", visible(&image.name), visible(&problem.text))}})
        })
        .collect();
    if left_out > 0 {
        let text = format!("{left_out} results were left out: code scanning takes {MAX_RESULTS}");
        notifications.push(json!({"level": "warning", "message": {"text": text}}));
    }
    let rules: Vec<Value> = CODES.iter().map(rule).chain([rule_of_problems()]).collect();
    let log = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "imgarch",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "informationUri": HOME,
                "rules": rules,
            }},
            "automationDetails": {"id": category(report)},
            "invocations": [{
                "executionSuccessful": problems(report).next().is_none(),
                "exitCode": report.exit_code(style.fail_on),
                "toolExecutionNotifications": notifications,
            }],
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    });
    serde_json::to_writer_pretty(&mut *out, &log)?;
    writeln!(out)
}

/// Runs of several images, or of one, are kept apart by this; it ends in a slash, which makes all of it the category.
fn category(report: &Report) -> String {
    match report.images.as_slice() {
        [image] => format!("imgarch/{}/", visible(&fingerprint::subject(&image.name))),
        _ => "imgarch/".to_string(),
    }
}

fn rule(row: &CodeRow) -> Value {
    let name: String = row.name.split('-').map(capitalised).collect();
    let level = row.severity.word();
    let why = format!("{}. {}.", capitalised(row.title), capitalised(row.why));
    json!({
        "id": row.name,
        "name": name,
        "shortDescription": {"text": row.title},
        "fullDescription": {"text": why},
        "help": {
            "text": format!("{why}\nWhat to do: {}.", row.cure),
            "markdown": format!("{why}\n\n**What to do:** {}.\n\n`imgarch explain {}`", row.cure, row.name),
        },
        "helpUri": format!("{HOME}#{}", row.name),
        "defaultConfiguration": {"level": level},
        "properties": {"tags": ["container", "architecture"], "precision": "very-high", "problem.severity": problem_severity(row.severity)},
    })
}

fn rule_of_problems() -> Value {
    json!({
        "id": COULD_NOT_TELL,
        "name": "CouldNotTell",
        "shortDescription": {"text": "something that decides could not be read or verified"},
        "fullDescription": {"text": "Part of the image could not be read or did not match its digest, so nothing can be said of it."},
        "help": {"text": "See what could not be read; the check has not passed."},
        "helpUri": HOME,
        "defaultConfiguration": {"level": "error"},
        "properties": {"tags": ["container", "architecture"], "precision": "very-high", "problem.severity": "error"},
    })
}

/// Code scanning's words differ from SARIF's levels.
pub fn problem_severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "recommendation",
    }
}

pub fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// What could not be read, with the image and the platform it is of.
fn problems(report: &Report) -> impl Iterator<Item = (&ImageReport, Option<&PlatformReport>, &Problem)> {
    report.images.iter().flat_map(|image| {
        let own = image.problems.iter().map(move |problem| (image, None, problem));
        let of_platforms = image.platforms.iter();
        own.chain(of_platforms.flat_map(move |p| p.problems.iter().map(move |problem| (image, Some(p), problem))))
    })
}

fn results(image: &ImageReport, style: &Style<'_>) -> Vec<SarifResult> {
    let is_shown = |finding: &Finding| style.all || finding.code != Code::ForeignOnPurpose;
    let found = image.all_findings().filter(|(_, finding)| is_shown(finding));
    let mut results: Vec<SarifResult> =
        found.map(|(platform, finding)| result(image, platform, finding, style)).collect();
    for accepted in &image.accepted {
        let platform = image.platforms.iter().find(|platform| Some(platform.name()) == accepted.platform);
        let mut one = result(image, platform, &accepted.finding, style);
        one.suppressions.push(json!({"kind": "external", "justification": visible(&accepted.reason)}));
        results.push(one);
    }
    let of_platforms = image.platforms.iter().flat_map(|p| p.problems.iter().map(move |problem| (Some(p), problem)));
    let problems = image.problems.iter().map(|problem| (None, problem)).chain(of_platforms);
    results.extend(problems.map(|(platform, problem)| problem_result(image, platform, problem, style)));
    results
}

fn result(image: &ImageReport, platform: Option<&PlatformReport>, finding: &Finding, style: &Style<'_>) -> SarifResult {
    let name = platform.map(PlatformReport::name);
    let mut text = format!("{}.", visible(&finding.message));
    text.push_str(&format!("\nimage: {}", visible(&image.name)));
    if let Some(name) = &name {
        text.push_str(&format!("\nplatform: {}", visible(name)));
    }
    for (name, value) in place::facts(platform, finding, 1) {
        text.push_str(&format!("\n{name}: {value}"));
    }
    for (index, line) in finding.hint.iter().enumerate() {
        text.push_str(&format!("\n{} {}", if index == 0 { "hint:" } else { "     " }, visible(line)));
    }
    let row = CODES.iter().position(|row| row.code == finding.code).expect("the macro writes a row for each code");
    let layer = finding.layer.and_then(|index| platform?.layers.get(index));
    SarifResult {
        rule_id: finding.code.name(),
        rule_index: row,
        level: finding.severity.word(),
        message: json!({"text": text}),
        locations: vec![location(image, platform, Some(finding), style)],
        partial_fingerprints: fingerprints(&fingerprint::of(&image.name, name.as_deref(), finding)),
        suppressions: Vec::new(),
        properties: json!({
            "image": visible(&image.name),
            "imageDigest": image.digest.as_ref().map(ToString::to_string),
            "platform": name,
            "layer": layer.map(|layer| layer.digest.to_string()),
        }),
    }
}

fn problem_result(
    image: &ImageReport,
    platform: Option<&PlatformReport>,
    problem: &Problem,
    style: &Style<'_>,
) -> SarifResult {
    let name = platform.map(PlatformReport::name);
    let hint = problem.hint.as_ref().map_or_else(String::new, |hint| format!("\nhint: {}", visible(hint)));
    SarifResult {
        rule_id: COULD_NOT_TELL,
        rule_index: CODES.len(),
        level: "error",
        message: json!({"text": format!("{}{hint}", visible(&problem.text))}),
        locations: vec![location(image, platform, None, style)],
        partial_fingerprints: fingerprints(&fingerprint::of_parts(&image.name, name.as_deref(), COULD_NOT_TELL, None)),
        suppressions: Vec::new(),
        properties: json!({"image": visible(&image.name), "platform": name}),
    }
}

/// Code scanning compares `primaryLocationLineHash` only; other readers take the first they know.
pub fn fingerprints(print: &str) -> Value {
    json!({"primaryLocationLineHash": format!("{print}:1"), "imgarch/v1": print})
}

fn location(
    image: &ImageReport,
    platform: Option<&PlatformReport>,
    finding: Option<&Finding>,
    style: &Style<'_>,
) -> Value {
    let place = place::of(image, platform, finding, style);
    let mut artifact = json!({"uri": uri(&place.path)});
    if place.is_dockerfile {
        artifact["uriBaseId"] = json!("%SRCROOT%");
    }
    let path = finding.and_then(|finding| finding.path.as_deref()).unwrap_or_default();
    let platform = platform.map_or_else(String::new, |platform| format!("[{}]", platform.label()));
    let name = visible(&format!("{}{platform}{path}", image.name));
    let short = path.rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or(&image.name);
    json!({
        "physicalLocation": {"artifactLocation": artifact, "region": {"startLine": place.line}},
        "logicalLocations": [{"name": visible(short), "fullyQualifiedName": name, "kind": "resource"}],
        "message": {"text": name},
    })
}

/// A relative reference. Source: RFC 3986, section 4.2.
pub fn uri(path: &str) -> String {
    let mut uri = String::new();
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => uri.push(byte as char),
            _ => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_any_bytes_is_a_uri() {
        assert_eq!(uri("user/app/usr/a b:c%#?ä"), "user/app/usr/a%20b%3Ac%25%23%3F%C3%A4");
    }

    #[test]
    fn a_rules_name_is_its_id_without_dashes() {
        assert_eq!(rule(Code::EntrypointWrongArch.row())["name"], "EntrypointWrongArch");
    }
}
