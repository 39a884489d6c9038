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

use super::diagnostic::RunResults;
use super::from_lint::{self, LintRun};
use super::terminal::Screen;
use super::{ReportStyle, from_scan};
use crate::scan::Report;

/// The formats of `--format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReportFormat {
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
    format: ReportFormat,
    name: &'static str,
    /// Another accepted name.
    alias: Option<&'static str>,
    writer: Writer,
}

/// The functions that write a format.
enum Writer {
    /// One function for the results of all commands.
    Results(fn(&RunResults<'_>, &mut dyn Write) -> io::Result<()>),
    /// One function per command, for formats that show facts of a specific command.
    Own {
        scan: fn(&Report, &ReportStyle<'_>, &mut dyn Write) -> io::Result<()>,
        lint: fn(&LintRun<'_>, Screen, &mut dyn Write) -> io::Result<()>,
    },
}

const FORMATS: &[FormatRow] = &[
    row(ReportFormat::Table, "table", Some("text"), Writer::Own { scan: table::write, lint: table::write_lint }),
    row(ReportFormat::Json, "json", None, Writer::Own { scan: json::write, lint: json::lint::write }),
    row(ReportFormat::Plain, "plain", None, Writer::Own { scan: plain::write, lint: plain::write_lint }),
    row(ReportFormat::Sarif, "sarif", None, Writer::Results(sarif::write)),
    row(ReportFormat::Junit, "junit", None, Writer::Results(junit::write)),
    row(ReportFormat::Github, "github", None, Writer::Results(github::write)),
    row(ReportFormat::Gitlab, "gitlab", None, Writer::Results(gitlab::write)),
    row(ReportFormat::Markdown, "markdown", None, Writer::Results(markdown::write)),
    row(ReportFormat::Html, "html", None, Writer::Results(html::write)),
    row(
        ReportFormat::OpenMetrics,
        "openmetrics",
        None,
        Writer::Own { scan: openmetrics::write, lint: openmetrics::write_lint },
    ),
    row(
        ReportFormat::OpenReports,
        "openreports",
        None,
        Writer::Own { scan: openreports::write, lint: openreports::write_lint },
    ),
    row(ReportFormat::Verdicts, "verdicts", None, Writer::Own { scan: verdicts::write, lint: verdicts::write_lint }),
];

const fn row(format: ReportFormat, name: &'static str, alias: Option<&'static str>, writer: Writer) -> FormatRow {
    FormatRow { format, name, alias, writer }
}

impl ReportFormat {
    pub fn parse(name: &str) -> Option<ReportFormat> {
        FORMATS.iter().find(|row| row.name == name || row.alias == Some(name)).map(|row| row.format)
    }

    /// Returns the names of all formats, in the order of the help.
    pub fn names() -> Vec<&'static str> {
        FORMATS.iter().map(|row| row.name).collect()
    }

    /// Returns the help text of `--format`.
    pub fn help() -> String {
        let names = ReportFormat::names().join(", ");
        format!("Output format: {names}. NAME=FILE writes to a file; repeatable, but only one goes to stdout")
    }

    fn row(self) -> &'static FormatRow {
        FORMATS.iter().find(|row| row.format == self).expect("every format has a row, as a test checks")
    }

    pub(super) fn write_scan(self, report: &Report, style: &ReportStyle<'_>, out: &mut dyn Write) -> io::Result<()> {
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
            assert_eq!(ReportFormat::parse(row.name), Some(row.format));
            assert_eq!(row.format.row().name, row.name);
        }
        assert_eq!(FORMATS.len(), ReportFormat::Verdicts as usize + 1, "each format has a row");
        assert_eq!(ReportFormat::parse("text"), Some(ReportFormat::Table));
        assert_eq!(ReportFormat::parse("xml"), None);
    }
}
