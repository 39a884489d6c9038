//! The one model that reports are made from: what a scan or a lint found, what it could not read, and where. Texts are
//! raw here; each format escapes them as its last step.

use std::time::Duration;

use super::escape::visible;
use super::fingerprint;
use super::rules::{RuleId, Tool};
use crate::judge::code::Severity;
use crate::lint::{Fix, Position};
use crate::oci::Digest;
use crate::scan::{LayerReport, PlatformReport, Verdict};

/// One run's results: an image or a linted file is a subject.
pub struct Results<'a> {
    pub tool: Tool,
    pub subjects: Vec<Subject<'a>>,
    /// The exit code that the program ends with.
    pub exit_code: u8,
    /// Findings of this severity and worse fail the run; none: no finding does.
    pub threshold: Option<Severity>,
    pub took: Duration,
}

/// An image, or a linted file.
pub struct Subject<'a> {
    /// The image as the user named it, or the file's path.
    pub name: String,
    pub verdict: Verdict,
    pub digest: Option<&'a Digest>,
    /// Where it was read; empty for files.
    pub origin: String,
    pub notes: Vec<&'a str>,
    /// Every platform on every target; empty for files.
    pub matrix: Vec<Row>,
    /// Every platform that was read; empty for files.
    pub platforms: &'a [PlatformReport],
    /// What was tried and is not a finding.
    pub checks: Vec<Check<'a>>,
    /// First what could not be read, then findings, then accepted findings.
    pub diagnostics: Vec<Diagnostic<'a>>,
}

/// What happens to one platform on one target. Texts are escaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub platform: String,
    /// The platform without the image's name.
    pub platform_name: String,
    /// What distinguishes its image from others at the same location.
    pub image: Option<String>,
    pub target: String,
    pub says: String,
    pub is: String,
    pub programs: usize,
    pub starts: String,
    pub verdict: String,
    pub is_good: bool,
}

/// Something that was tried: a start on a target, a file that was linted.
pub struct Check<'a> {
    pub platform: Option<&'a PlatformReport>,
    pub name: String,
    pub end: CheckEnd,
}

/// How a check ended. A failed check is a [`Diagnostic`].
pub enum CheckEnd {
    /// With a remark, or an empty one.
    Passed(String),
    CouldNotTell(String),
}

/// One finding, or one thing that could not be read.
pub struct Diagnostic<'a> {
    pub rule: RuleId,
    pub severity: Severity,
    /// The platform it is on; none for an index's own and in linted files.
    pub platform: Option<&'a PlatformReport>,
    /// This case in one clause, lower case, without a period.
    pub message: &'a str,
    pub location: Location<'a>,
    /// `ELF x86-64, static`; empty where there is no file.
    pub is: &'a str,
    /// What a reader asks next, in that order.
    pub facts: Vec<Fact>,
    /// The cure: the first line is prose, further lines are commands.
    pub hint: Vec<&'a str>,
    /// Other places that explain it.
    pub related: Vec<(Span, &'a str)>,
    pub fix: Option<TextFix<'a>>,
    /// Names the same finding in the next run, see [`super::fingerprint`].
    pub fingerprint: String,
    /// Why it counts for nothing, where the user accepted it.
    pub accepted: Option<&'a str>,
}

/// Where a diagnostic is.
pub enum Location<'a> {
    /// In an image.
    Image {
        image: &'a str,
        path: Option<&'a str>,
        layer: Option<&'a LayerReport>,
        /// The Dockerfile that built the image, where the user named it.
        dockerfile: Option<&'a str>,
    },
    /// In a file that is checked in.
    File { path: String, span: Span },
}

/// From the first character to the one behind the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub start: Position,
    pub end: Position,
}

/// A rewrite, with each edit's place.
pub struct TextFix<'a> {
    pub fix: &'a Fix,
    /// One for each edit, in the same order.
    pub spans: Vec<Span>,
}

/// A fact on a diagnostic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    pub kind: FactKind,
    pub text: String,
}

/// What a fact is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FactKind {
    Is,
    Purpose,
    ReachedBy,
    CameInWith,
    Shown,
}

impl FactKind {
    pub fn label(self) -> &'static str {
        match self {
            FactKind::Is => "is",
            FactKind::Purpose => "foreign on purpose",
            FactKind::ReachedBy => "reached by",
            FactKind::CameInWith => "came in with",
            FactKind::Shown => "nodes will show",
        }
    }
}

impl Results<'_> {
    /// Findings of this severity. What could not be read and what was accepted does not count.
    pub fn count(&self, severity: Severity) -> usize {
        let all = self.subjects.iter().flat_map(|subject| &subject.diagnostics);
        all.filter(|one| one.counts() && one.severity == severity).count()
    }
}

impl<'a> Diagnostic<'a> {
    /// Whether it is a finding that nobody accepted.
    pub fn counts(&self) -> bool {
        !self.rule.is_unread() && self.accepted.is_none()
    }

    /// Whether the run fails because of it.
    pub fn fails(&self, threshold: Option<Severity>) -> bool {
        self.counts() && threshold.is_some_and(|threshold| self.severity >= threshold)
    }

    /// The path in the image or the checked-in file.
    pub fn path(&self) -> Option<&str> {
        match &self.location {
            Location::Image { path, .. } => *path,
            Location::File { path, .. } => Some(path),
        }
    }

    pub fn is_in_image(&self) -> bool {
        matches!(self.location, Location::Image { .. })
    }

    pub fn layer(&self) -> Option<&'a LayerReport> {
        match self.location {
            Location::Image { layer, .. } => layer,
            Location::File { .. } => None,
        }
    }
}

/// A file and a line in it, for formats that need one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceLine {
    /// Relative, with `/` between its parts.
    pub path: String,
    /// Counted from 1.
    pub line: usize,
    /// Whether the repository has the file.
    pub is_checked_in: bool,
    /// The exact place in a file that was read.
    pub span: Option<Span>,
}

impl Location<'_> {
    /// A line of a file: the Dockerfile's where it is known. Otherwise the path in the image below the image's name, which
    /// is not a file of any repository but shows people where to look.
    pub fn source_line(&self) -> SourceLine {
        match self {
            Location::File { path, span } => {
                SourceLine { path: visible(path), line: span.start.line, is_checked_in: true, span: Some(*span) }
            }
            Location::Image { layer, dockerfile: Some(dockerfile), .. } => {
                let line = layer.and_then(|layer| layer.dockerfile_line).unwrap_or(1);
                let path = dockerfile.trim_start_matches("./").trim_start_matches('/');
                SourceLine { path: visible(path), line, is_checked_in: true, span: None }
            }
            Location::Image { image, path, dockerfile: None, .. } => {
                let name = fingerprint::subject(image);
                let name = name.trim_start_matches(['/', '.']);
                let name = if name.is_empty() || name == "-" { "image" } else { name };
                let path = visible(&format!("{name}{}", path.unwrap_or_default()));
                SourceLine { path, line: 1, is_checked_in: false, span: None }
            }
        }
    }
}
