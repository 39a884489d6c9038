//! Writes lint findings as JSON.

use std::io::{self, Write};

use serde::Serialize;

use crate::lint::{Linted, Position, Safety};
use crate::report::LintRun;
use crate::report::terminal::Screen;

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

/// Line and column, counted from 1. Columns are in characters.
#[derive(Serialize)]
struct WirePosition {
    line: usize,
    column: usize,
}

/// Version of the format. Fields can be added, but are never renamed or removed.
const LINT_SCHEMA: u32 = 1;

pub fn write(run: &LintRun<'_>, _: Screen, out: &mut dyn Write) -> io::Result<()> {
    let report = WireReport { schema: LINT_SCHEMA, files: run.files.iter().map(wire_file).collect() };
    serde_json::to_writer_pretty(&mut *out, &report)?;
    writeln!(out)
}

fn wire_file(file: &Linted) -> WireFile<'_> {
    let position = |at: usize| {
        let Position { line, column } = Position::from_offset(&file.text, at);
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
