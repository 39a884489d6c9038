//! Reports in their formats. A scan or a lint becomes [`diagnostic::Results`], `view` groups them, and each file of
//! [`format`] writes one format. Formats own their wire types; the model does not know them.
//!
//! Every JSON document has an integer `schema` at its top: the version of that document's fields. Fields are added without
//! a new version, and never renamed or removed.

pub mod answer;
pub mod attest;
#[cfg(feature = "kube")]
pub mod cluster;
pub mod diagnostic;
pub mod diff;
pub mod docs;
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

pub use format::{Format, json, render_lint};
pub use from_lint::LintRun;

pub(crate) use crate::scan::fingerprint;
use crate::scan::{FailOn, Report};
use terminal::Screen;

/// How a report looks. The command line decides it once.
#[derive(Clone, Copy, Debug)]
pub struct Style<'a> {
    /// Columns of the terminal; [`PIPED_WIDTH`] where there is none.
    pub width: usize,
    pub color: bool,
    /// `--all`: every file of a group, and files that are foreign on purpose.
    pub all: bool,
    /// `--explain`: the chain of each start, and every front end's message.
    pub explain: bool,
    /// A report of each image, however many there are.
    pub each_image: bool,
    pub fail_on: FailOn,
    pub took: Duration,
    /// When the run started, in seconds since 1970; 0 where that is not known.
    pub now: u64,
    /// Path of the Dockerfile that findings point into, relative to the repository.
    pub dockerfile: Option<&'a str>,
}

impl Style<'_> {
    pub fn screen(&self) -> Screen {
        Screen { width: self.width, color: self.color }
    }
}

/// Columns of a report that is not written to a terminal.
pub const PIPED_WIDTH: usize = 120;

/// Writes a scan's report.
pub fn write(report: &Report, format: Format, style: &Style<'_>, out: &mut dyn Write) -> io::Result<()> {
    format.write_scan(report, style, out)
}

/// Writes what a lint found.
pub fn write_lint(run: &LintRun<'_>, format: Format, screen: Screen, out: &mut dyn Write) -> io::Result<()> {
    format.write_lint(run, screen, out)
}
