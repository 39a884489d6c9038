//! Floor 6: a report in one of its formats. Formats own their wire types; the model does not know them.

pub mod answer;
pub mod attest;
pub mod cluster;
pub mod diff;
pub mod escape;
mod fill;
pub mod fingerprint;
mod github;
mod gitlab;
mod html;
pub mod json;
mod junit;
pub mod lint;
mod markdown;
mod matrix;
pub mod nodes;
mod place;
pub mod plain;
pub mod rebuild;
mod sarif;
pub mod table;
mod xml;

use std::io::{self, Write};
use std::time::Duration;

use crate::scan::{FailOn, Report};

/// The formats that `--format` names.
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
}

impl Format {
    const NAMES: &[(&str, Format)] = &[
        ("table", Format::Table),
        ("json", Format::Json),
        ("plain", Format::Plain),
        ("sarif", Format::Sarif),
        ("junit", Format::Junit),
        ("github", Format::Github),
        ("gitlab", Format::Gitlab),
        ("markdown", Format::Markdown),
        ("html", Format::Html),
    ];

    pub fn parse(name: &str) -> Option<Format> {
        Format::NAMES.iter().find(|(known, _)| *known == name).map(|(_, format)| *format)
    }

    /// Every format's name, in the order of help.
    pub fn names() -> Vec<&'static str> {
        Format::NAMES.iter().map(|(name, _)| *name).collect()
    }
}

/// How a report is to look, decided once at the rim.
#[derive(Clone, Copy, Debug)]
pub struct Style<'a> {
    /// Columns of the terminal; what is piped has [`PIPED_WIDTH`].
    pub width: usize,
    pub color: bool,
    /// `--all`: every file of a group, and what is foreign on purpose.
    pub all: bool,
    /// `--explain`: the chain of each start, and every front end's message.
    pub explain: bool,
    pub fail_on: FailOn,
    pub took: Duration,
    /// Path of the Dockerfile that findings point into, as a repository knows it.
    pub dockerfile: Option<&'a str>,
}

/// Columns of a report that is not written to a terminal.
pub const PIPED_WIDTH: usize = 120;

/// Writes `report` in `format`.
pub fn write(report: &Report, format: Format, style: &Style<'_>, out: &mut dyn Write) -> io::Result<()> {
    match format {
        Format::Table => table::write(report, style, out),
        Format::Json => json::write(report, style, out),
        Format::Plain => plain::write(report, style, out),
        Format::Sarif => sarif::write(report, style, out),
        Format::Junit => junit::write(report, style, out),
        Format::Github => github::write(report, style, out),
        Format::Gitlab => gitlab::write(report, style, out),
        Format::Markdown => markdown::write(report, style, out),
        Format::Html => html::write(report, style, out),
    }
}
