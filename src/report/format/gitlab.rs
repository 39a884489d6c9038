//! Writes a GitLab Code Quality report: one array of issues. Source: GitLab, "Code Quality", "Import code quality
//! results".

use std::collections::HashSet;
use std::io::{self, Write};

use serde::Serialize;

use crate::judge::code::Severity;
use crate::report::diagnostic::{Diagnostic, RunResults, Subject};
use crate::report::escape::visible;
use crate::scan::PlatformReport;

#[derive(Serialize)]
struct Issue {
    description: String,
    check_name: &'static str,
    fingerprint: String,
    severity: &'static str,
    location: GitlabLocation,
}

#[derive(Serialize)]
struct GitlabLocation {
    path: String,
    lines: Lines,
}

#[derive(Serialize)]
struct Lines {
    begin: usize,
}

pub fn write(results: &RunResults<'_>, out: &mut dyn Write) -> io::Result<()> {
    // GitLab drops issues with a repeated fingerprint.
    let mut seen = HashSet::new();
    let mut issues: Vec<Issue> = Vec::new();
    for subject in &results.subjects {
        let shown = subject.diagnostics.iter().filter(|one| one.accepted.is_none());
        issues.extend(shown.filter(|one| seen.insert(one.fingerprint.clone())).map(|one| issue(subject, one)));
    }
    serde_json::to_writer_pretty(&mut *out, &issues)?;
    writeln!(out)
}

fn issue(subject: &Subject<'_>, diagnostic: &Diagnostic<'_>) -> Issue {
    let line = diagnostic.location.source_line();
    Issue {
        description: description(subject, diagnostic),
        check_name: diagnostic.rule.name(),
        fingerprint: diagnostic.fingerprint.clone(),
        severity: match diagnostic.severity {
            _ if diagnostic.rule.is_unread() => "major",
            Severity::Error => "critical",
            Severity::Warning => "minor",
            Severity::Note => "info",
        },
        location: GitlabLocation { path: line.path, lines: Lines { begin: line.line } },
    }
}

/// Returns the problem, its location and the fix. GitLab shows nothing else.
fn description(subject: &Subject<'_>, diagnostic: &Diagnostic<'_>) -> String {
    let place = match (diagnostic.is_in_image(), diagnostic.platform.map(PlatformReport::name)) {
        (false, _) => String::new(),
        (true, None) => format!("{}: ", subject.name),
        (true, Some(platform)) => format!("{} {platform}: ", subject.name),
    };
    let doubt = if diagnostic.rule.is_unread() { "could not tell: " } else { "" };
    let file =
        diagnostic.path().filter(|_| diagnostic.is_in_image()).map_or_else(String::new, |path| format!(" ({path})"));
    let hint = match diagnostic.hint.as_slice() {
        [] => String::new(),
        lines => format!(". What to do: {}", lines.join("; ")),
    };
    visible(&format!("{place}{doubt}{}{file}{hint}", diagnostic.message))
}
