//! JUnit's XML, as Jenkins, GitLab and Azure read it: a suite for each platform, a case for each start and each finding.
//! A finding fails its case where it would fail the run; what could not be read is an error.

use std::io::{self, Write};

use super::xml::escape;
use super::{Style, place, table};
use crate::exec::outcome::Outcome;
use crate::judge::code::Severity;
use crate::scan::{FailOn, ImageReport, PlatformReport, Problem, Report};

/// One case of a suite.
struct Case {
    name: String,
    end: End,
}

enum End {
    Passed(String),
    Failed { kind: String, message: String, text: String },
    Error { message: String, text: String },
}

struct Suite {
    name: String,
    package: String,
    cases: Vec<Case>,
}

pub fn write(report: &Report, style: &Style<'_>, out: &mut dyn Write) -> io::Result<()> {
    let suites: Vec<Suite> = report.images.iter().flat_map(|image| suites(image, style)).collect();
    let all = || suites.iter().flat_map(|suite| &suite.cases);
    let (tests, failures, errors) = counts(all());
    let time = format!("{:.3}", style.took.as_secs_f64());
    writeln!(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>")?;
    writeln!(
        out,
        "<testsuites name=\"imgarch\" tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\" time=\"{time}\">"
    )?;
    for suite in &suites {
        write_suite(suite, out)?;
    }
    writeln!(out, "</testsuites>")
}

fn counts<'a>(cases: impl Iterator<Item = &'a Case>) -> (usize, usize, usize) {
    cases.fold((0, 0, 0), |(tests, failures, errors), case| match case.end {
        End::Passed(_) => (tests + 1, failures, errors),
        End::Failed { .. } => (tests + 1, failures + 1, errors),
        End::Error { .. } => (tests + 1, failures, errors + 1),
    })
}

fn write_suite(suite: &Suite, out: &mut dyn Write) -> io::Result<()> {
    let (tests, failures, errors) = counts(suite.cases.iter());
    let (name, package) = (escape(&suite.name), escape(&suite.package));
    writeln!(
        out,
        "  <testsuite name=\"{name}\" package=\"{package}\" tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\" \
         skipped=\"0\">"
    )?;
    for case in &suite.cases {
        let head = format!("    <testcase name=\"{}\" classname=\"{name}\"", escape(&case.name));
        match &case.end {
            End::Passed(said) if said.is_empty() => writeln!(out, "{head}/>")?,
            End::Passed(said) => {
                writeln!(out, "{head}>\n      <system-out>{}</system-out>\n    </testcase>", lines(said))?;
            }
            End::Failed { kind, message, text } => {
                let (kind, message) = (escape(kind), escape(message));
                let body = lines(text);
                writeln!(out, "{head}>\n      <failure type=\"{kind}\" message=\"{message}\">{body}</failure>")?;
                writeln!(out, "    </testcase>")?;
            }
            End::Error { message, text } => {
                let (message, body) = (escape(message), lines(text));
                writeln!(out, "{head}>\n      <error type=\"could-not-tell\" message=\"{message}\">{body}</error>")?;
                writeln!(out, "    </testcase>")?;
            }
        }
    }
    writeln!(out, "  </testsuite>")
}

/// Our own line breaks stay; those of an image's names do not.
fn lines(text: &str) -> String {
    text.lines().map(escape).collect::<Vec<_>>().join("\n")
}

fn suites(image: &ImageReport, style: &Style<'_>) -> Vec<Suite> {
    let mut own: Vec<Case> = image.problems.iter().map(problem).collect();
    if own.is_empty() && image.platforms.is_empty() {
        let message = "no platform of it was read".to_string();
        own.push(Case { name: "platforms".into(), end: End::Error { message, text: String::new() } });
    }
    let mut suites: Vec<Suite> = Vec::new();
    let suite = |name: String, cases| Suite { name, package: image.name.clone(), cases };
    let groups = table::groups(image, style);
    let of = |platform: Option<&PlatformReport>| {
        let key = platform.map(std::ptr::from_ref);
        groups.iter().filter(move |group| group.platform.map(std::ptr::from_ref) == key).map(|g| finding(g, style))
    };
    own.extend(of(None));
    own.extend(image.accepted.iter().map(|accepted| Case {
        name: case_name(accepted.finding.code.name(), accepted.finding.path.as_deref()),
        end: End::Passed(format!("accepted: {}\n{}", accepted.reason, accepted.finding.message)),
    }));
    if !own.is_empty() {
        suites.push(suite(image.name.clone(), own));
    }
    for platform in &image.platforms {
        let mut cases: Vec<Case> = platform.problems.iter().map(problem).collect();
        cases.extend(starts(platform));
        cases.extend(of(Some(platform)));
        if platform.programs == 0 && !platform.is_data_only && platform.problems.is_empty() && cases.is_empty() {
            let message = "no program was found in it".to_string();
            cases.push(Case { name: "programs".into(), end: End::Error { message, text: String::new() } });
        }
        suites.push(suite(format!("{} {}", image.name, platform.label()), cases));
    }
    suites
}

fn problem(problem: &Problem) -> Case {
    let hint = problem.hint.as_ref().map_or_else(String::new, |hint| format!("hint: {hint}"));
    Case { name: "could not tell".into(), end: End::Error { message: problem.text.clone(), text: hint } }
}

/// A case for what the platform starts. One that does not start has a finding that says so; the case of the start itself
/// passes only where the program runs.
fn starts(platform: &PlatformReport) -> Vec<Case> {
    let cases = platform.targets.iter().filter_map(|target| {
        let end = match &target.outcome {
            Outcome::Runs => End::Passed(String::new()),
            Outcome::Emulated { by } => End::Passed(format!("runs by {by}")),
            Outcome::Unknown { cause, .. } => {
                End::Error { message: format!("could not tell: {}", cause.text), text: String::new() }
            }
            // Its finding is the failure.
            Outcome::Fails { .. } | Outcome::Dies { .. } => return None,
        };
        Some(Case { name: format!("starts on {}", target.name), end })
    });
    cases.collect()
}

fn finding(group: &table::Group<'_>, style: &Style<'_>) -> Case {
    let finding = group.findings[0];
    let mut text = String::new();
    for (name, value) in place::facts(group.platform, finding, group.findings.len()) {
        text.push_str(&format!("{name}: {value}\n"));
    }
    for line in &finding.hint {
        text.push_str(&format!("hint: {line}\n"));
    }
    let fails = match style.fail_on {
        FailOn::Error => finding.severity == Severity::Error,
        FailOn::Warning => finding.severity >= Severity::Warning,
        FailOn::Never => false,
    };
    let end = if fails {
        End::Failed { kind: finding.code.name().into(), message: finding.message.clone(), text }
    } else {
        End::Passed(format!("{}: {}\n{text}", finding.severity.word(), finding.message))
    };
    Case { name: case_name(finding.code.name(), finding.group.as_deref().or(finding.path.as_deref())), end }
}

fn case_name(code: &str, path: Option<&str>) -> String {
    path.map_or_else(|| code.to_string(), |path| format!("{code} {path}"))
}
