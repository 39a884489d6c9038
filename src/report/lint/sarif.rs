//! Lint findings as SARIF 2.1.0, with their rewrites as fixes. What could not be checked is a result of its own: a run
//! without results would close alerts that nobody has looked at. Source: OASIS SARIF 2.1.0; GitHub, "SARIF support".

use std::io::{self, Write};
use std::ops::Range;

use serde_json::{Value, json};

use super::{NOT_CHECKED, fingerprint_of, path_of, told};
use crate::lint::{Finding, Linted, Position, RULES, Rule};
use crate::report::escape::visible;
use crate::report::sarif::{HOME, capitalised, fingerprints, problem_severity, uri};

pub fn write(all: &[Linted], exit_code: u8, out: &mut dyn Write) -> io::Result<()> {
    let results: Vec<Value> = all.iter().flat_map(results).collect();
    let has_problems = all.iter().any(|file| !file.problems.is_empty());
    let log = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "imgarch lint",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "informationUri": HOME,
                "rules": RULES.iter().map(rule).chain([rule_of_problems()]).collect::<Vec<_>>(),
            }},
            "automationDetails": {"id": "imgarch-lint/"},
            "invocations": [{"executionSuccessful": !has_problems, "exitCode": exit_code}],
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    });
    serde_json::to_writer_pretty(&mut *out, &log)?;
    writeln!(out)
}

fn rule(rule: &Rule) -> Value {
    json!({
        "id": rule.name,
        "name": rule.name.split('-').map(capitalised).collect::<String>(),
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": format!("{}. {}", capitalised(rule.title), rule.help)},
        "help": {"text": rule.help, "markdown": format!("{}\n\n`imgarch explain {}`", rule.help, rule.name)},
        "helpUri": HOME,
        "defaultConfiguration": {"level": rule.severity.word()},
        "properties": {"tags": ["container", "architecture"], "precision": "high", "problem.severity": problem_severity(rule.severity)},
    })
}

fn rule_of_problems() -> Value {
    json!({
        "id": NOT_CHECKED,
        "name": "NotChecked",
        "shortDescription": {"text": "something could not be read or asked"},
        "fullDescription": {"text": "Part of the file could not be checked, so nothing can be said of it."},
        "help": {"text": "See what could not be read; the check has not passed."},
        "helpUri": HOME,
        "defaultConfiguration": {"level": "error"},
        "properties": {"tags": ["container", "architecture"], "precision": "high", "problem.severity": "error"},
    })
}

fn results(file: &Linted) -> Vec<Value> {
    let mut seen = Vec::new();
    let mut results = Vec::new();
    for finding in &file.findings {
        let code = finding.code.name();
        let print = fingerprint_of(file, code, finding.span.start, &mut seen);
        let mut result = json!({
            "ruleId": code,
            "ruleIndex": RULES.iter().position(|rule| rule.code == finding.code),
            "level": finding.severity.word(),
            "message": {"text": told(finding)},
            "locations": [location(file, &finding.span)],
            "partialFingerprints": fingerprints(&print),
        });
        if !finding.related.is_empty() {
            let related = finding.related.iter().map(|other| {
                let mut place = location(file, &other.span);
                place["message"] = json!({"text": visible(&other.label)});
                place
            });
            result["relatedLocations"] = related.collect();
        }
        if let Some(fix) = fix(file, finding) {
            result["fixes"] = json!([fix]);
        }
        results.push(result);
    }
    for problem in &file.problems {
        let print = fingerprint_of(file, NOT_CHECKED, problem.at, &mut seen);
        results.push(json!({
            "ruleId": NOT_CHECKED,
            "ruleIndex": RULES.len(),
            "level": "error",
            "message": {"text": visible(&problem.message)},
            "locations": [location(file, &(problem.at..problem.at))],
            "partialFingerprints": fingerprints(&print),
        }));
    }
    results
}

fn location(file: &Linted, span: &Range<usize>) -> Value {
    json!({"physicalLocation": {
        "artifactLocation": artifact(file),
        "region": region(file, span),
    }})
}

fn artifact(file: &Linted) -> Value {
    json!({"uri": uri(&path_of(file)), "uriBaseId": "%SRCROOT%"})
}

fn region(file: &Linted, span: &Range<usize>) -> Value {
    let (start, end) = (Position::of(&file.text, span.start), Position::of(&file.text, span.end));
    json!({"startLine": start.line, "startColumn": start.column, "endLine": end.line, "endColumn": end.column})
}

fn fix(file: &Linted, finding: &Finding) -> Option<Value> {
    let fix = finding.fix.as_ref()?;
    let replacements = fix.edits.iter().map(|edit| {
        json!({"deletedRegion": region(file, &(edit.start..edit.end)), "insertedContent": {"text": edit.replacement}})
    });
    Some(json!({
        "description": {"text": fix.title},
        "artifactChanges": [{"artifactLocation": artifact(file), "replacements": replacements.collect::<Vec<_>>()}],
    }))
}
