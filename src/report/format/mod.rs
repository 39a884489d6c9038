//! The table of output formats. Each row serves `scan` and `lint`.

mod github;
mod gitlab;
mod html;
pub mod json;
mod junit;
mod markdown;
mod openmetrics;
mod openreports;
mod plain;
mod sarif;
mod table;
mod verdicts;

use std::io::{self, Write};

pub use table::render as render_lint;

use super::diagnostic::Results;
use super::from_lint::{self, LintRun};
use super::terminal::Screen;
use super::{Style, from_scan};
use crate::scan::Report;

/// The formats of `--format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Table,
    Json,
    Plain,
    Sarif,
    Junit,
    Github,
    Gitlab,
    Markdown,
    Html,
    OpenMetrics,
    OpenReports,
    Verdicts,
}

struct FormatRow {
    format: Format,
    name: &'static str,
    /// Another accepted name.
    alias: Option<&'static str>,
    writer: Writer,
}

/// The functions that write a format.
enum Writer {
    /// One function for the results of all commands.
    Results(fn(&Results<'_>, &mut dyn Write) -> io::Result<()>),
    /// One function per command, for formats that show facts of a specific command.
    Own {
        scan: fn(&Report, &Style<'_>, &mut dyn Write) -> io::Result<()>,
        lint: fn(&LintRun<'_>, Screen, &mut dyn Write) -> io::Result<()>,
    },
}

const FORMATS: &[FormatRow] = &[
    row(Format::Table, "table", Some("text"), Writer::Own { scan: table::write, lint: table::write_lint }),
    row(Format::Json, "json", None, Writer::Own { scan: json::write, lint: json::lint::write }),
    row(Format::Plain, "plain", None, Writer::Own { scan: plain::write, lint: plain::write_lint }),
    row(Format::Sarif, "sarif", None, Writer::Results(sarif::write)),
    row(Format::Junit, "junit", None, Writer::Results(junit::write)),
    row(Format::Github, "github", None, Writer::Results(github::write)),
    row(Format::Gitlab, "gitlab", None, Writer::Results(gitlab::write)),
    row(Format::Markdown, "markdown", None, Writer::Results(markdown::write)),
    row(Format::Html, "html", None, Writer::Results(html::write)),
    row(
        Format::OpenMetrics,
        "openmetrics",
        None,
        Writer::Own { scan: openmetrics::write, lint: openmetrics::write_lint },
    ),
    row(
        Format::OpenReports,
        "openreports",
        None,
        Writer::Own { scan: openreports::write, lint: openreports::write_lint },
    ),
    row(Format::Verdicts, "verdicts", None, Writer::Own { scan: verdicts::write, lint: verdicts::write_lint }),
];

const fn row(format: Format, name: &'static str, alias: Option<&'static str>, writer: Writer) -> FormatRow {
    FormatRow { format, name, alias, writer }
}

impl Format {
    pub fn parse(name: &str) -> Option<Format> {
        FORMATS.iter().find(|row| row.name == name || row.alias == Some(name)).map(|row| row.format)
    }

    /// Returns the names of all formats, in the order of the help.
    pub fn names() -> Vec<&'static str> {
        FORMATS.iter().map(|row| row.name).collect()
    }

    /// Returns the help text of `--format`.
    pub fn help() -> String {
        let names = Format::names().join(", ");
        format!("Output format: {names}. NAME=FILE writes to a file; repeatable, but only one goes to stdout")
    }

    fn row(self) -> &'static FormatRow {
        FORMATS.iter().find(|row| row.format == self).expect("every format has a row, as a test checks")
    }

    pub(super) fn write_scan(self, report: &Report, style: &Style<'_>, out: &mut dyn Write) -> io::Result<()> {
        match self.row().writer {
            Writer::Results(write) => write(&from_scan::results(report, style), out),
            Writer::Own { scan, .. } => scan(report, style, out),
        }
    }

    pub(super) fn write_lint(self, run: &LintRun<'_>, screen: Screen, out: &mut dyn Write) -> io::Result<()> {
        match self.row().writer {
            Writer::Results(write) => write(&from_lint::results(run), out),
            Writer::Own { lint, .. } => lint(run, screen, out),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_reads_back_as_its_format() {
        for row in FORMATS {
            assert_eq!(Format::parse(row.name), Some(row.format));
            assert_eq!(row.format.row().name, row.name);
        }
        assert_eq!(FORMATS.len(), Format::Verdicts as usize + 1, "each format has a row");
        assert_eq!(Format::parse("text"), Some(Format::Table));
        assert_eq!(Format::parse("xml"), None);
    }
}
