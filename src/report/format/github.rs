//! Writes GitHub workflow commands: an annotation for each group of findings, the most severe first, because GitHub
//! only shows the first ten errors and ten warnings of a step. Source: GitHub, "Workflow commands for GitHub Actions";
//! actions/toolkit.

use std::io::{self, Write};

use crate::judge::code::Severity;
use crate::report::diagnostic::{Diagnostic, RunResults, Subject};
use crate::report::escape::{plural, visible};
use crate::report::view::{self, FindingGroup};

pub fn write(results: &RunResults<'_>, out: &mut dyn Write) -> io::Result<()> {
    for subject in &results.subjects {
        for unread in subject.diagnostics.iter().filter(|one| one.rule.is_unread()) {
            annotate(subject, &FindingGroup { members: vec![unread] }, out)?;
        }
        for group in view::groups(subject) {
            annotate(subject, &group, out)?;
        }
    }
    let (errors, warnings) = (results.count(Severity::Error), results.count(Severity::Warning));
    let (errors, warnings) = (plural(errors, "error"), plural(warnings, "warning"));
    writeln!(out, "{}: {errors}, {warnings}; exit {}", results.tool.name(), results.exit_code)
}

fn annotate(subject: &Subject<'_>, group: &FindingGroup<'_, '_>, out: &mut dyn Write) -> io::Result<()> {
    let first = group.first();
    let command = match first.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "notice",
    };
    let mut text = visible(group.message());
    for (name, value) in group.details() {
        text.push_str(&format!("\n{name}: {value}"));
    }
    for line in &first.hint {
        text.push_str(&format!("\nhint: {}", visible(line)));
    }
    let (at, title) = (place(first), title(subject, first));
    writeln!(out, "::{command} {at}title={}::{}", property(&title), data(&text))
}

fn title(subject: &Subject<'_>, diagnostic: &Diagnostic<'_>) -> String {
    let platform = diagnostic.platform.map_or_else(String::new, |platform| format!(" {}", platform.label()));
    let image = if diagnostic.is_in_image() { format!(" {}", subject.name) } else { String::new() };
    format!("imgarch[{}]{image}{platform}", diagnostic.rule.name())
}

/// Returns the properties that attach an annotation to a line; empty if the file is not in the repository.
fn place(diagnostic: &Diagnostic<'_>) -> String {
    let line = diagnostic.location.source_line();
    if !line.is_checked_in {
        return String::new();
    }
    let file = property(&line.path);
    match line.span {
        Some(span) => {
            format!("file={file},line={},endLine={},col={},", span.start.line, span.end.line, span.start.column)
        }
        None => format!("file={file},line={},", line.line),
    }
}

/// Escapes the message of a command. Source: actions/toolkit, `escapeData`.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// Escapes a property of a command. Source: actions/toolkit, `escapeProperty`.
fn property(text: &str) -> String {
    data(&visible(text)).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_can_neither_end_a_property_nor_begin_a_command() {
        assert_eq!(property("a,b:c%\n::error::x"), "a%2Cb%3Ac%25\\n%3A%3Aerror%3A%3Ax");
        assert_eq!(data("100%\nnext"), "100%25%0Anext");
    }
}
