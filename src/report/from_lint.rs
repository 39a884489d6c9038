//! Converts linted files to [`RunResults`].

use std::ops::Range;
use std::time::Duration;

use super::diagnostic::{
    CharRange, CheckEnd, Diagnostic, DiagnosticLocation, RunResults, StartCheck, Subject, TextFix,
};
use super::fingerprint;
use super::rules::{ReportingCommand, RuleId};
use crate::judge::code::Severity;
use crate::lint::{LintFinding, LintProblem, Linted, Position};
use crate::scan::Verdict;

/// The linted files and the outcome of a run.
#[derive(Clone, Copy)]
pub struct LintRun<'a> {
    pub files: &'a [Linted],
    pub exit_code: u8,
    /// Findings of this severity or above fail the run.
    pub threshold: Option<Severity>,
    pub took: Duration,
}

pub fn results<'a>(run: &LintRun<'a>) -> RunResults<'a> {
    RunResults {
        tool: ReportingCommand::Lint,
        subjects: run.files.iter().map(subject).collect(),
        exit_code: run.exit_code,
        threshold: run.threshold,
        took: run.took,
    }
}

fn subject(file: &Linted) -> Subject<'_> {
    let mut marked = Marked::default();
    let found: Vec<Diagnostic<'_>> = file.findings.iter().map(|one| finding(file, one, &mut marked)).collect();
    let unread: Vec<Diagnostic<'_>> = file.problems.iter().map(|problem| unread(file, problem, &mut marked)).collect();
    let passed = || StartCheck { platform: None, name: "no findings".into(), end: CheckEnd::Passed(String::new()) };
    let is_clean = unread.is_empty() && found.is_empty();
    Subject {
        name: path_of(file),
        verdict: verdict(file),
        digest: None,
        origin: String::new(),
        notes: Vec::new(),
        matrix: Vec::new(),
        platforms: &[],
        checks: is_clean.then(passed).into_iter().collect(),
        diagnostics: unread.into_iter().chain(found).collect(),
    }
}

fn verdict(file: &Linted) -> Verdict {
    let worst = file.findings.iter().map(|finding| finding.severity).max();
    match worst {
        Some(Severity::Error) => Verdict::Broken,
        _ if !file.problems.is_empty() => Verdict::Unknown,
        Some(Severity::Warning) => Verdict::Warned,
        Some(Severity::Note) | None => Verdict::Fine,
    }
}

fn finding<'a>(file: &'a Linted, finding: &'a LintFinding, marked: &mut Marked) -> Diagnostic<'a> {
    let rule = RuleId::Lint(finding.code);
    let fix = finding
        .fix
        .as_ref()
        .map(|fix| TextFix { fix, spans: fix.edits.iter().map(|edit| span(file, &(edit.start..edit.end))).collect() });
    Diagnostic {
        rule,
        severity: finding.severity,
        platform: None,
        message: &finding.message,
        location: DiagnosticLocation::File { path: path_of(file), span: span(file, &finding.span) },
        is: "",
        facts: Vec::new(),
        hint: vec![finding.advice()],
        related: finding.related.iter().map(|other| (span(file, &other.span), other.label.as_str())).collect(),
        fix,
        fingerprint: marked.fingerprint(file, rule, finding.span.start),
        accepted: None,
    }
}

fn unread<'a>(file: &'a Linted, problem: &'a LintProblem, marked: &mut Marked) -> Diagnostic<'a> {
    let rule = RuleId::NotChecked;
    Diagnostic {
        rule,
        severity: rule.severity(),
        platform: None,
        message: &problem.message,
        location: DiagnosticLocation::File { path: path_of(file), span: span(file, &(problem.at..problem.at)) },
        is: "",
        facts: Vec::new(),
        hint: Vec::new(),
        related: Vec::new(),
        fix: None,
        fingerprint: marked.fingerprint(file, rule, problem.at),
        accepted: None,
    }
}

/// Returns the path relative to the working directory, with `/` as the separator.
fn path_of(file: &Linted) -> String {
    file.path.display().to_string().trim_start_matches("./").to_string()
}

fn span(file: &Linted, bytes: &Range<usize>) -> CharRange {
    CharRange {
        start: Position::from_offset(&file.text, bytes.start),
        end: Position::from_offset(&file.text, bytes.end),
    }
}

/// The lines with findings so far. Equal lines are distinguished by a number.
#[derive(Default)]
struct Marked(Vec<String>);

impl Marked {
    /// Returns a fingerprint that does not change if lines above are added or removed. It consists of the rule, the
    /// line's text, and the number of earlier findings on equal lines.
    fn fingerprint(&mut self, file: &Linted, rule: RuleId, at: usize) -> String {
        let line = Position::from_offset(&file.text, at).line;
        let line = file.text.lines().nth(line - 1).unwrap_or("").trim().to_string();
        let seen = self.0.iter().filter(|other| **other == line).count();
        let print = fingerprint::of_parts(&path_of(file), None, rule.name(), Some(&format!("{line}#{seen}")));
        self.0.push(line);
        print
    }
}
