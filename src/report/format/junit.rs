//! Writes JUnit XML for Jenkins, GitLab and Azure: a suite for each platform or linted file, a case for each check and
//! each group of findings. A finding fails its case if it fails the run. An unread part is an error.

use std::io::{self, Write};

use crate::report::diagnostic::{CheckEnd, Diagnostic, DiagnosticLocation, RunResults, Subject};
use crate::report::view::{self, FindingGroup};
use crate::report::xml::escape;
use crate::scan::PlatformReport;

/// A test case of a suite.
struct TestCase {
    name: String,
    end: CaseEnd,
}

enum CaseEnd {
    Passed(String),
    Failed { kind: &'static str, message: String, text: String },
    Error { kind: &'static str, message: String, text: String },
}

struct Suite {
    name: String,
    package: String,
    cases: Vec<TestCase>,
}

pub fn write(results: &RunResults<'_>, out: &mut dyn Write) -> io::Result<()> {
    let suites: Vec<Suite> = results.subjects.iter().flat_map(|subject| suites(subject, results)).collect();
    let (tests, failures, errors) = counts(suites.iter().flat_map(|suite| &suite.cases));
    let (name, time) = (results.tool.name(), format!("{:.3}", results.took.as_secs_f64()));
    writeln!(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>")?;
    writeln!(
        out,
        "<testsuites name=\"{name}\" tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\" time=\"{time}\">"
    )?;
    for suite in &suites {
        write_suite(suite, out)?;
    }
    writeln!(out, "</testsuites>")
}

fn counts<'a>(cases: impl Iterator<Item = &'a TestCase>) -> (usize, usize, usize) {
    cases.fold((0, 0, 0), |(tests, failures, errors), case| match case.end {
        CaseEnd::Passed(_) => (tests + 1, failures, errors),
        CaseEnd::Failed { .. } => (tests + 1, failures + 1, errors),
        CaseEnd::Error { .. } => (tests + 1, failures, errors + 1),
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
        let (element, kind, message, text) = match &case.end {
            CaseEnd::Passed(text) if text.is_empty() => {
                writeln!(out, "{head}/>")?;
                continue;
            }
            CaseEnd::Passed(text) => {
                writeln!(out, "{head}>\n      <system-out>{}</system-out>\n    </testcase>", lines(text))?;
                continue;
            }
            CaseEnd::Failed { kind, message, text } => ("failure", kind, message, text),
            CaseEnd::Error { kind, message, text } => ("error", kind, message, text),
        };
        let (message, text) = (escape(message), lines(text));
        writeln!(out, "{head}>\n      <{element} type=\"{kind}\" message=\"{message}\">{text}</{element}>")?;
        writeln!(out, "    </testcase>")?;
    }
    writeln!(out, "  </testsuite>")
}

/// Escapes the lines of `text`. Line breaks within an image's names are already escaped.
fn lines(text: &str) -> String {
    text.lines().map(escape).collect::<Vec<_>>().join("\n")
}

/// Returns a suite for the subject itself, if it has cases, and one for each of its platforms.
fn suites(subject: &Subject<'_>, results: &RunResults<'_>) -> Vec<Suite> {
    let groups = view::groups(subject);
    let cases = |platform: Option<&PlatformReport>| {
        let is_here =
            |other: Option<&PlatformReport>| other.map(std::ptr::from_ref) == platform.map(std::ptr::from_ref);
        let unread = subject.diagnostics.iter().filter(|one| one.rule.is_unread() && is_here(one.platform)).map(unread);
        let checks = subject.checks.iter().filter(|check| is_here(check.platform)).map(|check| TestCase {
            name: check.name.clone(),
            end: match &check.end {
                CheckEnd::Passed(remark) => CaseEnd::Passed(remark.clone()),
                CheckEnd::CouldNotTell(message) => {
                    CaseEnd::Error { kind: "could-not-tell", message: message.clone(), text: String::new() }
                }
            },
        });
        let found = groups.iter().filter(|group| is_here(group.first().platform)).map(|group| finding(group, results));
        unread.chain(checks).chain(found).collect::<Vec<_>>()
    };
    let mut own = cases(None);
    let accepted = subject.diagnostics.iter().filter_map(|one| Some((one, one.accepted?)));
    own.extend(accepted.map(|(one, reason)| TestCase {
        name: case_name(one, one.path()),
        end: CaseEnd::Passed(format!("accepted: {reason}\n{}", one.message)),
    }));
    let own =
        (!own.is_empty()).then(|| Suite { name: subject.name.clone(), package: subject.name.clone(), cases: own });
    let of_platform = |platform: &PlatformReport| Suite {
        name: format!("{} {}", subject.name, platform.label()),
        package: subject.name.clone(),
        cases: cases(Some(platform)),
    };
    own.into_iter().chain(subject.platforms.iter().map(of_platform)).collect()
}

fn unread(diagnostic: &Diagnostic<'_>) -> TestCase {
    let name = match &diagnostic.location {
        DiagnosticLocation::Image { .. } => "could not tell".to_string(),
        DiagnosticLocation::File { .. } => case_name(diagnostic, None),
    };
    let text = diagnostic.hint.iter().map(|hint| format!("hint: {hint}\n")).collect();
    TestCase {
        name,
        end: CaseEnd::Error { kind: diagnostic.rule.name(), message: diagnostic.message.to_string(), text },
    }
}

fn finding(group: &FindingGroup<'_, '_>, results: &RunResults<'_>) -> TestCase {
    let first = group.first();
    let details = group.details().into_iter().map(|(name, value)| format!("{name}: {value}\n"));
    let text: String = details.chain(first.hint.iter().map(|line| format!("hint: {line}\n"))).collect();
    let message = group.message().to_string();
    let end = match first.fails(results.threshold) {
        true => CaseEnd::Failed { kind: first.rule.name(), message, text },
        false => CaseEnd::Passed(format!("{}: {message}\n{text}", first.severity.word())),
    };
    TestCase { name: case_name(first, first.path()), end }
}

/// Returns the name of a case, such as `foreign-file /opt/x` or `hard-coded-arch at 5:34`.
fn case_name(diagnostic: &Diagnostic<'_>, path: Option<&str>) -> String {
    let rule = diagnostic.rule.name();
    match (&diagnostic.location, path) {
        (DiagnosticLocation::File { span, .. }, _) => format!("{rule} at {}:{}", span.start.line, span.start.column),
        (DiagnosticLocation::Image { .. }, Some(path)) => format!("{rule} {path}"),
        (DiagnosticLocation::Image { .. }, None) => rule.to_string(),
    }
}
