//! Writes reports in all formats. A scan or a lint becomes [`diagnostic::RunResults`], `view` groups its findings, and
//! each file of [`format`] writes one format. Each format defines its own wire types.
//!
//! Every JSON document has an integer `schema` at the top level: the version of its fields. Fields can be added without
//! a new version, but are never renamed or removed.

pub mod answer;
pub mod attest;
#[cfg(feature = "kube")]
pub mod cluster;
pub mod diagnostic;
pub mod diff;
pub mod docs;
pub mod doctor;
pub mod escape;
mod format;
mod from_lint;
mod from_scan;
pub mod nodes;
pub mod rebuild;
pub mod rules;
#[cfg(test)]
mod snapshot_tests;
pub mod terminal;
mod view;
mod xml;

use std::io::{self, Write};
use std::time::Duration;

pub use format::{ReportFormat, json, render_lint};
pub use from_lint::LintRun;

pub(crate) use crate::scan::fingerprint;
use crate::scan::{FailOn, Report};
use terminal::Screen;

/// The layout of a report, decided by the command line.
#[derive(Clone, Copy, Debug)]
pub struct ReportStyle<'a> {
    /// Width of the terminal in columns; [`PIPED_WIDTH`] without a terminal.
    pub width: usize,
    pub color: bool,
    /// `--all`: list every file of a group, and intentionally foreign files.
    pub all: bool,
    /// `--explain`: show the chain of each start and the message of every front end.
    pub explain: bool,
    /// Report each image, however many there are.
    pub each_image: bool,
    pub fail_on: FailOn,
    pub took: Duration,
    /// When the run started, in seconds since 1970; 0 if unknown.
    pub now: u64,
    /// Path of the Dockerfile that findings point into, relative to the repository.
    pub dockerfile: Option<&'a str>,
}

impl ReportStyle<'_> {
    pub fn screen(&self) -> Screen {
        Screen { width: self.width, color: self.color }
    }
}

/// Width of a report that is not written to a terminal, in columns.
pub const PIPED_WIDTH: usize = 120;

/// Writes the report of a scan.
pub fn write(report: &Report, format: ReportFormat, style: &ReportStyle<'_>, out: &mut dyn Write) -> io::Result<()> {
    format.write_scan(report, style, out)
}

/// Writes the report of a lint.
pub fn write_lint(run: &LintRun<'_>, format: ReportFormat, screen: Screen, out: &mut dyn Write) -> io::Result<()> {
    format.write_lint(run, screen, out)
}
