//! Lint findings in their formats: as a compiler shows them, as JSON, and as GitHub's workflow commands.

use std::io::{self, Write};

use serde::Serialize;

use super::escape::plural;
use crate::judge::code::Severity;
use crate::lint::{self, Drawing, Linted, Position, Safety};

/// The source lines with what is wrong in them, and a summary.
pub fn text(all: &[Linted], drawing: Drawing, out: &mut dyn Write) -> io::Result<()> {
    for file in all {
        out.write_all(lint::render(file, drawing).as_bytes())?;
    }
    writeln!(out, "{}", summary(all))
}

/// `2 errors, 1 warning; 3 files`, and what to do next.
fn summary(all: &[Linted]) -> String {
    let count =
        |severity| all.iter().flat_map(|file| &file.findings).filter(|finding| finding.severity == severity).count();
    let mut parts = vec![plural(count(Severity::Error), "error"), plural(count(Severity::Warning), "warning")];
    let notes = count(Severity::Note);
    let problems: usize = all.iter().map(|file| file.problems.len()).sum();
    let ignored: usize = all.iter().map(|file| file.ignored).sum();
    parts.extend((notes > 0).then(|| plural(notes, "note")));
    parts.extend((problems > 0).then(|| format!("{problems} not checked")));
    parts.extend((ignored > 0).then(|| format!("{ignored} ignored")));
    let fixable = |safety| {
        all.iter()
            .flat_map(|file| &file.findings)
            .filter(|finding| finding.fix.as_ref().is_some_and(|fix| fix.safety == safety))
            .count()
    };
    let hint = match (fixable(Safety::Safe), fixable(Safety::Unsafe)) {
        (0, 0) => String::new(),
        (0, guessed) => format!("\n{guessed} can be rewritten: imgarch lint --fix --unsafe"),
        (safe, 0) => format!("\n{safe} can be rewritten: imgarch lint --fix"),
        (safe, guessed) => format!("\n{safe} can be rewritten: imgarch lint --fix; {guessed} more with --unsafe"),
    };
    format!("{}; {}{hint}", parts.join(", "), plural(all.len(), "file"))
}

#[derive(Serialize)]
struct WireReport<'a> {
    schema: u32,
    files: Vec<WireFile<'a>>,
}

#[derive(Serialize)]
struct WireFile<'a> {
    path: String,
    findings: Vec<WireFinding<'a>>,
    problems: Vec<WireProblem<'a>>,
    ignored: usize,
}

#[derive(Serialize)]
struct WireFinding<'a> {
    code: &'static str,
    severity: &'static str,
    message: &'a str,
    help: &'a str,
    start: WirePosition,
    end: WirePosition,
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<WireFix<'a>>,
}

#[derive(Serialize)]
struct WireFix<'a> {
    title: &'a str,
    safe: bool,
    edits: Vec<WireEdit<'a>>,
}

#[derive(Serialize)]
struct WireEdit<'a> {
    start: WirePosition,
    end: WirePosition,
    text: &'a str,
}

#[derive(Serialize)]
struct WireProblem<'a> {
    message: &'a str,
    start: WirePosition,
}

/// From 1; columns in characters.
#[derive(Serialize)]
struct WirePosition {
    line: usize,
    column: usize,
}

/// Version of the format: fields are added, never renamed or removed.
const LINT_SCHEMA: u32 = 1;

pub fn json(all: &[Linted], out: &mut dyn Write) -> io::Result<()> {
    let report = WireReport { schema: LINT_SCHEMA, files: all.iter().map(wire_file).collect() };
    serde_json::to_writer_pretty(&mut *out, &report)?;
    writeln!(out)
}

fn wire_file(file: &Linted) -> WireFile<'_> {
    let position = |at: usize| {
        let Position { line, column } = Position::of(&file.text, at);
        WirePosition { line, column }
    };
    let findings = file.findings.iter().map(|finding| WireFinding {
        code: finding.code.name(),
        severity: finding.severity.word(),
        message: &finding.message,
        help: finding.advice(),
        start: position(finding.span.start),
        end: position(finding.span.end),
        fix: finding.fix.as_ref().map(|fix| WireFix {
            title: &fix.title,
            safe: fix.safety == Safety::Safe,
            edits: fix
                .edits
                .iter()
                .map(|edit| WireEdit { start: position(edit.start), end: position(edit.end), text: &edit.replacement })
                .collect(),
        }),
    });
    WireFile {
        path: file.path.display().to_string(),
        findings: findings.collect(),
        problems: file
            .problems
            .iter()
            .map(|problem| WireProblem { message: &problem.message, start: position(problem.at) })
            .collect(),
        ignored: file.ignored,
    }
}

/// Source: GitHub, "Workflow commands for GitHub Actions", setting an error message; actions/toolkit's escaping.
pub fn github(all: &[Linted], out: &mut dyn Write) -> io::Result<()> {
    for file in all {
        let path = property(&file.path.display().to_string());
        for finding in &file.findings {
            let (start, end) =
                (Position::of(&file.text, finding.span.start), Position::of(&file.text, finding.span.end));
            let command = match finding.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
                Severity::Note => "notice",
            };
            let place = format!("file={path},line={},endLine={},col={}", start.line, end.line, start.column);
            let text = data(&format!("{}\n{}", finding.message, finding.advice()));
            writeln!(out, "::{command} {place},title={}::{text}", property(finding.code.name()))?;
        }
        for problem in &file.problems {
            let start = Position::of(&file.text, problem.at);
            writeln!(out, "::error file={path},line={},col={}::{}", start.line, start.column, data(&problem.message))?;
        }
    }
    Ok(())
}

fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
