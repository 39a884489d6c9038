//! GitLab's Code Quality report: one array of issues. Source: GitLab, "Code Quality", "Import code quality results".

use std::collections::HashSet;
use std::io::{self, Write};

use serde::Serialize;

use super::escape::visible;
use super::sarif::COULD_NOT_TELL;
use super::{Style, fingerprint, place};
use crate::judge::code::{Code, Severity};
use crate::judge::finding::Finding;
use crate::scan::{ImageReport, PlatformReport, Report};

#[derive(Serialize)]
struct Issue {
    description: String,
    check_name: &'static str,
    fingerprint: String,
    severity: &'static str,
    location: Location,
}

#[derive(Serialize)]
struct Location {
    path: String,
    lines: Lines,
}

#[derive(Serialize)]
struct Lines {
    begin: usize,
}

pub fn write(report: &Report, style: &Style<'_>, out: &mut dyn Write) -> io::Result<()> {
    let mut issues: Vec<Issue> = Vec::new();
    for image in &report.images {
        let shown = image.all_findings().filter(|(_, f)| style.all || f.code != Code::ForeignOnPurpose);
        issues.extend(shown.map(|(platform, finding)| issue(image, platform, finding, style)));
        let of_platforms = image.platforms.iter().flat_map(|p| p.problems.iter().map(move |one| (Some(p), one)));
        for (platform, problem) in image.problems.iter().map(|one| (None, one)).chain(of_platforms) {
            let name = platform.map(PlatformReport::name);
            issues.push(Issue {
                description: format!("{}: could not tell: {}", visible(&image.name), visible(&problem.text)),
                check_name: COULD_NOT_TELL,
                fingerprint: fingerprint::of_parts(&image.name, name.as_deref(), COULD_NOT_TELL, Some(&problem.text)),
                severity: "major",
                location: location(&place::of(image, platform, None, style)),
            });
        }
    }
    // GitLab drops issues whose fingerprint it has seen.
    let mut seen = HashSet::new();
    issues.retain(|issue| seen.insert(issue.fingerprint.clone()));
    serde_json::to_writer_pretty(&mut *out, &issues)?;
    writeln!(out)
}

fn issue(image: &ImageReport, platform: Option<&PlatformReport>, finding: &Finding, style: &Style<'_>) -> Issue {
    let name = platform.map(PlatformReport::name);
    let of_platform = name.as_ref().map_or_else(String::new, |name| format!(" {name}"));
    let description = format!("{}{of_platform}: {}", image.name, finding.message);
    Issue {
        description: visible(&description),
        check_name: finding.code.name(),
        fingerprint: fingerprint::of(&image.name, name.as_deref(), finding),
        severity: match finding.severity {
            Severity::Error => "critical",
            Severity::Warning => "minor",
            Severity::Note => "info",
        },
        location: location(&place::of(image, platform, Some(finding), style)),
    }
}

fn location(place: &place::Place) -> Location {
    Location { path: place.path.clone(), lines: Lines { begin: place.line } }
}
