//! Writes SARIF 2.1.0 for code scanning. A finding in an image has the Dockerfile's line as its location, if that is
//! known, and always a logical location with image, platform and path. An unread part is a separate result, because a
//! run without results would close alerts that were not checked. Source: OASIS SARIF 2.1.0; GitHub, "SARIF support".

use std::io::{self, Write};

use serde::Serialize;
use serde_json::{Value, json};

use crate::judge::code::Severity;
use crate::report::diagnostic::{CharRange, Diagnostic, DiagnosticLocation, RunResults, Subject, TextFix};
use crate::report::escape::visible;
use crate::report::fingerprint;
use crate::report::rules::{HOME, ReportingCommand, RuleId, capitalized, sentence};
use crate::scan::PlatformReport;

/// Code scanning refuses a run with more results. Source: GitHub, "SARIF results exceed limits".
const MAX_RESULTS: usize = 25_000;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SarifResult {
    rule_id: &'static str,
    rule_index: usize,
    level: &'static str,
    message: Value,
    locations: Vec<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    related_locations: Vec<Value>,
    partial_fingerprints: Value,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fixes: Vec<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    suppressions: Vec<Value>,
    #[serde(skip_serializing_if = "Value::is_null")]
    properties: Value,
}

pub fn write(results: &RunResults<'_>, out: &mut dyn Write) -> io::Result<()> {
    let rules = RuleId::all(results.tool);
    let mut all: Vec<(&Subject<'_>, &Diagnostic<'_>)> =
        results.subjects.iter().flat_map(|subject| subject.diagnostics.iter().map(move |one| (subject, one))).collect();
    // The most severe come first, so that truncation drops the least severe.
    all.sort_by_key(|(_, diagnostic)| std::cmp::Reverse(diagnostic.severity));
    let unread: Vec<_> = all.iter().filter(|(_, diagnostic)| diagnostic.rule.is_unread()).collect();
    let mut notifications: Vec<Value> = unread
        .iter()
        .map(|(subject, one)| {
            json!({"level": "error", "message": {"text": format!("{}: {}", visible(&subject.name), visible(one.message))}})
        })
        .collect();
    if all.len() > MAX_RESULTS {
        let text = format!("{} results were omitted: code scanning accepts {MAX_RESULTS}", all.len() - MAX_RESULTS);
        notifications.push(json!({"level": "warning", "message": {"text": text}}));
    }
    let log = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": results.tool.name(),
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "informationUri": HOME,
                "rules": rules.iter().map(|rule| wire_rule(*rule, results.tool)).collect::<Vec<_>>(),
            }},
            "automationDetails": {"id": category(results)},
            "invocations": [{
                "executionSuccessful": unread.is_empty(),
                "exitCode": results.exit_code,
                "toolExecutionNotifications": notifications,
            }],
            "columnKind": "unicodeCodePoints",
            "results": all.iter().take(MAX_RESULTS).map(|(subject, one)| result(subject, one, &rules)).collect::<Vec<_>>(),
        }],
    });
    serde_json::to_writer_pretty(&mut *out, &log)?;
    writeln!(out)
}

/// Returns the category, which separates runs of one image, of several images, and of a lint. Because of the trailing
/// slash, code scanning uses the whole text as the category.
fn category(results: &RunResults<'_>) -> String {
    match (results.tool, results.subjects.as_slice()) {
        (ReportingCommand::Scan, [image]) => format!("imgarch/{}/", visible(&fingerprint::subject(&image.name))),
        (ReportingCommand::Scan, _) => "imgarch/".to_string(),
        (ReportingCommand::Lint, _) => "imgarch-lint/".to_string(),
    }
}

fn wire_rule(rule: RuleId, tool: ReportingCommand) -> Value {
    let (name, why) = (rule.name(), rule.why());
    let cure = rule.cure();
    let text = cure.as_ref().map_or_else(|| why.clone(), |cure| format!("{why}\nWhat to do: {cure}"));
    let cure = cure.map_or_else(String::new, |cure| format!("\n\n**What to do:** {cure}"));
    let precision = match tool {
        ReportingCommand::Scan => "very-high",
        ReportingCommand::Lint => "high",
    };
    json!({
        "id": name,
        "name": name.split('-').map(capitalized).collect::<String>(),
        "shortDescription": {"text": rule.title()},
        "fullDescription": {"text": format!("{} {why}", sentence(rule.title()))},
        "help": {"text": text, "markdown": format!("{why}{cure}\n\n`imgarch explain {name}`")},
        "helpUri": rule.help_uri(),
        "defaultConfiguration": {"level": rule.severity().word()},
        "properties": {
            "tags": ["container", "architecture"],
            "precision": precision,
            "problem.severity": problem_severity(rule.severity()),
        },
    })
}

/// Returns the severity in code scanning's terms, which differ from SARIF's levels.
fn problem_severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "recommendation",
    }
}

fn result(subject: &Subject<'_>, diagnostic: &Diagnostic<'_>, rules: &[RuleId]) -> SarifResult {
    let related = diagnostic.related.iter().map(|(span, label)| {
        let mut location = physical(diagnostic, Some(*span));
        location["message"] = json!({"text": visible(label)});
        location
    });
    let suppressions = diagnostic.accepted.map(|reason| json!({"kind": "external", "justification": visible(reason)}));
    SarifResult {
        rule_id: diagnostic.rule.name(),
        rule_index: rules
            .iter()
            .position(|rule| *rule == diagnostic.rule)
            .expect("the list contains every rule of the tool"),
        level: diagnostic.severity.word(),
        message: json!({"text": message(subject, diagnostic)}),
        locations: vec![location(diagnostic)],
        related_locations: related.collect(),
        partial_fingerprints: fingerprints(&diagnostic.fingerprint),
        fixes: diagnostic.fix.iter().map(|fix| wire_fix(diagnostic, fix)).collect(),
        suppressions: suppressions.into_iter().collect(),
        properties: properties(subject, diagnostic),
    }
}

fn message(subject: &Subject<'_>, diagnostic: &Diagnostic<'_>) -> String {
    let mut text = format!("{}.", visible(diagnostic.message));
    if diagnostic.is_in_image() {
        text.push_str(&format!("\nimage: {}", visible(&subject.name)));
        if let Some(platform) = diagnostic.platform {
            text.push_str(&format!("\nplatform: {}", visible(&platform.name())));
        }
        if let Some(path) = diagnostic.path() {
            text.push_str(&format!("\nfile: {}", visible(path)));
        }
    }
    for fact in &diagnostic.facts {
        text.push_str(&format!("\n{}: {}", fact.kind.label(), visible(&fact.text)));
    }
    for (index, line) in diagnostic.hint.iter().enumerate() {
        text.push_str(&format!("\n{} {}", if index == 0 { "hint:" } else { "     " }, visible(line)));
    }
    text
}

fn properties(subject: &Subject<'_>, diagnostic: &Diagnostic<'_>) -> Value {
    match diagnostic.location {
        DiagnosticLocation::File { .. } => Value::Null,
        DiagnosticLocation::Image { layer, .. } => json!({
            "image": visible(&subject.name),
            "imageDigest": subject.digest.map(ToString::to_string),
            "platform": diagnostic.platform.map(PlatformReport::name),
            "layer": layer.map(|layer| layer.digest.to_string()),
        }),
    }
}

/// Returns the fingerprints. Code scanning only compares `primaryLocationLineHash`. Other readers use the first name
/// that they know.
fn fingerprints(print: &str) -> Value {
    json!({"primaryLocationLineHash": format!("{print}:1"), "imgarch/v1": print})
}

fn location(diagnostic: &Diagnostic<'_>) -> Value {
    let mut location = physical(diagnostic, None);
    if let DiagnosticLocation::Image { image, path, .. } = diagnostic.location {
        let path = path.unwrap_or_default();
        let platform = diagnostic.platform.map_or_else(String::new, |platform| format!("[{}]", platform.label()));
        let name = visible(&format!("{image}{platform}{path}"));
        let short = path.rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or(image);
        location["logicalLocations"] =
            json!([{"name": visible(short), "fullyQualifiedName": name, "kind": "resource"}]);
        location["message"] = json!({"text": name});
    }
    location
}

/// Returns the physical location of the diagnostic, or of another span in its file.
fn physical(diagnostic: &Diagnostic<'_>, other: Option<CharRange>) -> Value {
    let line = diagnostic.location.source_line();
    let region = match other.or(line.span) {
        Some(span) => region(span),
        None => json!({"startLine": line.line}),
    };
    json!({"physicalLocation": {"artifactLocation": artifact(diagnostic), "region": region}})
}

fn artifact(diagnostic: &Diagnostic<'_>) -> Value {
    let line = diagnostic.location.source_line();
    let mut artifact = json!({"uri": uri(&line.path)});
    if line.is_checked_in {
        artifact["uriBaseId"] = json!("%SRCROOT%");
    }
    artifact
}

fn region(CharRange { start, end }: CharRange) -> Value {
    json!({"startLine": start.line, "startColumn": start.column, "endLine": end.line, "endColumn": end.column})
}

fn wire_fix(diagnostic: &Diagnostic<'_>, fix: &TextFix<'_>) -> Value {
    let edits = fix.fix.edits.iter().zip(&fix.spans);
    let replacements = edits
        .map(|(edit, span)| json!({"deletedRegion": region(*span), "insertedContent": {"text": edit.replacement}}));
    json!({
        "description": {"text": visible(&fix.fix.title)},
        "artifactChanges": [{
            "artifactLocation": artifact(diagnostic),
            "replacements": replacements.collect::<Vec<_>>(),
        }],
    })
}

/// Returns the path as a relative reference. Source: RFC 3986, section 4.2.
fn uri(path: &str) -> String {
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
    use crate::judge::code::Code;

    #[test]
    fn a_path_of_any_bytes_is_a_uri() {
        assert_eq!(uri("user/app/usr/a b:c%#?ä"), "user/app/usr/a%20b%3Ac%25%23%3F%C3%A4");
    }

    #[test]
    fn a_rule_is_named_by_its_id_and_its_help_is_a_uri_in_the_documentation() {
        let rule = wire_rule(RuleId::Scan(Code::EntrypointWrongArch), ReportingCommand::Scan);
        assert_eq!(rule["name"], "EntrypointWrongArch");
        assert_eq!(rule["helpUri"], format!("{HOME}/blob/main/docs/codes.md#entrypoint-wrong-arch"));
        let rule = wire_rule(RuleId::Lint(crate::lint::RuleName::HardCodedArch), ReportingCommand::Lint);
        assert_eq!(rule["helpUri"], format!("{HOME}/blob/main/docs/lint-rules.md#hard-coded-arch"));
    }
}
