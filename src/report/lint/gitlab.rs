//! Lint findings as GitLab's Code Quality report. Source: GitLab, "Code Quality", "Import code quality results".

use std::io::{self, Write};

use serde_json::{Value, json};

use super::{NOT_CHECKED, fingerprint_of, path_of};
use crate::judge::code::Severity;
use crate::lint::{Linted, Position};
use crate::report::escape::visible;

pub fn write(all: &[Linted], out: &mut dyn Write) -> io::Result<()> {
    let mut issues: Vec<Value> = Vec::new();
    for file in all {
        let mut seen = Vec::new();
        let mut push = |code: &str, severity: &str, at: usize, message: &str| {
            issues.push(json!({
                "description": visible(message),
                "check_name": code,
                "fingerprint": fingerprint_of(file, code, at, &mut seen),
                "severity": severity,
                "location": {"path": path_of(file), "lines": {"begin": Position::of(&file.text, at).line}},
            }));
        };
        for finding in &file.findings {
            let severity = match finding.severity {
                Severity::Error => "critical",
                Severity::Warning => "minor",
                Severity::Note => "info",
            };
            push(finding.code.name(), severity, finding.span.start, &finding.message);
        }
        file.problems.iter().for_each(|problem| push(NOT_CHECKED, "major", problem.at, &problem.message));
    }
    serde_json::to_writer_pretty(&mut *out, &issues)?;
    writeln!(out)
}
