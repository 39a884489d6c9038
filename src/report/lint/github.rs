//! Lint findings as GitHub's workflow commands: annotations on the lines of a pull request.

use std::io::{self, Write};

use crate::judge::code::Severity;
use crate::lint::{Linted, Position};

/// Source: GitHub, "Workflow commands for GitHub Actions", setting an error message; actions/toolkit's escaping.
pub fn write(all: &[Linted], out: &mut dyn Write) -> io::Result<()> {
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
