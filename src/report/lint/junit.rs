//! Lint findings as JUnit's XML: a suite for each file, a case for each finding. What is no error passes, and is said.

use std::io::{self, Write};

use super::{NOT_CHECKED, path_of, told};
use crate::judge::code::Severity;
use crate::lint::{Linted, Position};
use crate::report::xml::escape;

pub fn write(all: &[Linted], out: &mut dyn Write) -> io::Result<()> {
    let (tests, failures, errors) = all.iter().map(counts).fold((0, 0, 0), |a, b| (a.0 + b.0, a.1 + b.1, a.2 + b.2));
    writeln!(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>")?;
    writeln!(
        out,
        "<testsuites name=\"imgarch lint\" tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\" time=\"0\">"
    )?;
    for file in all {
        suite(file, out)?;
    }
    writeln!(out, "</testsuites>")
}

/// Cases, those that fail, and those that could not be made. A file without any is one case that passes.
fn counts(file: &Linted) -> (usize, usize, usize) {
    let failures = file.findings.iter().filter(|finding| finding.severity == Severity::Error).count();
    let all = file.findings.len() + file.problems.len();
    (all.max(1), failures, file.problems.len())
}

fn suite(file: &Linted, out: &mut dyn Write) -> io::Result<()> {
    let (tests, failures, errors) = counts(file);
    let name = escape(&path_of(file));
    writeln!(
        out,
        "  <testsuite name=\"{name}\" tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\" skipped=\"0\">"
    )?;
    let place = |at: usize| {
        let Position { line, column } = Position::of(&file.text, at);
        format!("{line}:{column}")
    };
    for finding in &file.findings {
        let (code, at) = (finding.code.name(), place(finding.span.start));
        let (message, text) =
            (escape(&finding.message), told(finding).lines().map(escape).collect::<Vec<_>>().join("\n"));
        let head = format!("    <testcase name=\"{code} at {at}\" classname=\"{name}\">");
        match finding.severity {
            Severity::Error => writeln!(
                out,
                "{head}\n      <failure type=\"{code}\" message=\"{message}\">{text}</failure>\n    </testcase>"
            )?,
            _ => writeln!(out, "{head}\n      <system-out>{text}</system-out>\n    </testcase>")?,
        }
    }
    for problem in &file.problems {
        let (message, at) = (escape(&problem.message), place(problem.at));
        writeln!(
            out,
            "    <testcase name=\"{NOT_CHECKED} at {at}\" classname=\"{name}\">\n      <error type=\"{NOT_CHECKED}\" message=\"{message}\"/>\n    </testcase>"
        )?;
    }
    if file.findings.is_empty() && file.problems.is_empty() {
        writeln!(out, "    <testcase name=\"nothing was found\" classname=\"{name}\"/>")?;
    }
    writeln!(out, "  </testsuite>")
}
