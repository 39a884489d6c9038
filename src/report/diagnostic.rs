//! The model that all reports are made from: what a scan or a lint found, what it could not read, and where. Texts are
//! unescaped here. Each format escapes them as its last step.

use std::time::Duration;

use super::escape::visible;
use super::fingerprint;
use super::rules::{ReportingCommand, RuleId};
use crate::judge::code::Severity;
use crate::lint::{Fix, Position};
use crate::oci::Digest;
use crate::scan::{LayerReport, PlatformReport, Verdict};

/// The results of one run. Each image or linted file is a subject.
pub struct RunResults<'a> {
    pub tool: ReportingCommand,
    pub subjects: Vec<Subject<'a>>,
    /// The exit code of the program.
    pub exit_code: u8,
    /// Findings of this severity or above fail the run; `None`: no finding does.
    pub threshold: Option<Severity>,
    pub took: Duration,
}

/// An image, or a linted file.
pub struct Subject<'a> {
    /// The image as the user named it, or the file's path.
    pub name: String,
    pub verdict: Verdict,
    pub digest: Option<&'a Digest>,
    /// Where it was read from; empty for files.
    pub origin: String,
    pub notes: Vec<&'a str>,
    /// Every platform on every target; empty for files.
    pub matrix: Vec<PlatformRow>,
    /// Every platform that was read; empty for files.
    pub platforms: &'a [PlatformReport],
    /// Checks that are not findings.
    pub checks: Vec<StartCheck<'a>>,
    /// Unread parts, then findings, then accepted findings.
    pub diagnostics: Vec<Diagnostic<'a>>,
}

impl Subject<'_> {
    /// Whether a platform was judged on a target of another name.
    pub fn names_targets(&self) -> bool {
        self.matrix.iter().any(|row| row.target != row.platform_name)
    }
}

/// The outcome of one platform on one target. Texts are escaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlatformRow {
    pub platform: String,
    /// The platform without the image's name.
    pub platform_name: String,
    /// The name that distinguishes its image from others at the same location.
    pub image: Option<String>,
    pub target: String,
    pub says: String,
    pub is: String,
    pub programs: usize,
    pub starts: String,
    pub verdict: String,
    pub is_good: bool,
}

/// A check: a start on a target, or a linted file.
pub struct StartCheck<'a> {
    pub platform: Option<&'a PlatformReport>,
    pub name: String,
    pub end: CheckEnd,
}

/// The result of a check. A failed check is a [`Diagnostic`].
pub enum CheckEnd {
    /// With a remark, which may be empty.
    Passed(String),
    CouldNotTell(String),
}

/// A finding, or a part that could not be read.
pub struct Diagnostic<'a> {
    pub rule: RuleId,
    pub severity: Severity,
    /// Its platform; `None` for an index and for linted files.
    pub platform: Option<&'a PlatformReport>,
    /// The problem in one clause, lower case, without a period.
    pub message: &'a str,
    pub location: DiagnosticLocation<'a>,
    /// What the file is, such as `ELF x86-64, static`; empty without a file.
    pub is: &'a str,
    /// Further facts, the most useful first.
    pub facts: Vec<DiagnosticFact>,
    /// How to fix it: the first line is prose, further lines are commands.
    pub hint: Vec<&'a str>,
    /// Other places that explain it.
    pub related: Vec<(CharRange, &'a str)>,
    pub fix: Option<TextFix<'a>>,
    /// Identifies the same finding in later runs, see [`super::fingerprint`].
    pub fingerprint: String,
    /// The reason, if the user accepted the finding.
    pub accepted: Option<&'a str>,
}

/// The location of a diagnostic.
pub enum DiagnosticLocation<'a> {
    /// In an image.
    Image {
        image: &'a str,
        path: Option<&'a str>,
        layer: Option<&'a LayerReport>,
        /// The Dockerfile that built the image, if the user named it.
        dockerfile: Option<&'a str>,
    },
    /// In a checked-in file.
    File { path: String, span: CharRange },
}

/// A range of characters. The end is exclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CharRange {
    pub start: Position,
    pub end: Position,
}

/// A fix, with the span of each edit.
pub struct TextFix<'a> {
    pub fix: &'a Fix,
    /// One for each edit, in the same order.
    pub spans: Vec<CharRange>,
}

/// A fact about a diagnostic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiagnosticFact {
    pub kind: FactKind,
    pub text: String,
}

/// The subject of a fact.
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

impl RunResults<'_> {
    /// Counts the findings of this severity, without unread parts and accepted findings.
    pub fn count(&self, severity: Severity) -> usize {
        let all = self.subjects.iter().flat_map(|subject| &subject.diagnostics);
        all.filter(|one| one.counts() && one.severity == severity).count()
    }
}

impl<'a> Diagnostic<'a> {
    /// Whether it is a finding that the user has not accepted.
    pub fn counts(&self) -> bool {
        !self.rule.is_unread() && self.accepted.is_none()
    }

    /// Whether it fails the run.
    pub fn fails(&self, threshold: Option<Severity>) -> bool {
        self.counts() && threshold.is_some_and(|threshold| self.severity >= threshold)
    }

    /// The path in the image or the checked-in file.
    pub fn path(&self) -> Option<&str> {
        match &self.location {
            DiagnosticLocation::Image { path, .. } => *path,
            DiagnosticLocation::File { path, .. } => Some(path),
        }
    }

    pub fn is_in_image(&self) -> bool {
        matches!(self.location, DiagnosticLocation::Image { .. })
    }

    pub fn layer(&self) -> Option<&'a LayerReport> {
        match self.location {
            DiagnosticLocation::Image { layer, .. } => layer,
            DiagnosticLocation::File { .. } => None,
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
    /// The exact range, if the file was read.
    pub span: Option<CharRange>,
}

impl DiagnosticLocation<'_> {
    /// Returns a file and line: those in the Dockerfile if it is known. Otherwise returns the path in the image below
    /// the image's name. That is not a file of the repository, but shows where to look.
    pub fn source_line(&self) -> SourceLine {
        match self {
            DiagnosticLocation::File { path, span } => {
                SourceLine { path: visible(path), line: span.start.line, is_checked_in: true, span: Some(*span) }
            }
            DiagnosticLocation::Image { layer, dockerfile: Some(dockerfile), .. } => {
                let line = layer.and_then(|layer| layer.dockerfile_line).unwrap_or(1);
                let path = dockerfile.trim_start_matches("./").trim_start_matches('/');
                SourceLine { path: visible(path), line, is_checked_in: true, span: None }
            }
            DiagnosticLocation::Image { image, path, dockerfile: None, .. } => {
                let name = fingerprint::subject(image);
                let name = name.trim_start_matches(['/', '.']);
                let name = if name.is_empty() || name == "-" { "image" } else { name };
                let path = visible(&format!("{name}{}", path.unwrap_or_default()));
                SourceLine { path, line: 1, is_checked_in: false, span: None }
            }
        }
    }
}
