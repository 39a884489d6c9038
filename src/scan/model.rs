//! The result of a scan: data for every format. Nothing here is printed or serialised as output; each format has its
//! own wire types.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::shard::Shard;
use crate::exec::messages::Shown;
use crate::exec::outcome::Outcome;
use crate::image::ImageError;
use crate::judge::code::Severity;
use crate::judge::finding::Finding;
use crate::judge::labels::Agreement;
use crate::oci::{DiffId, Digest};
use crate::platform::{Arch, Platform};
use crate::source::Origin;

/// One run's result, in the order in which the images were named.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Report {
    pub images: Vec<ImageReport>,
    /// Set if the run had images but none in this shard: there is nothing to report, and nothing is unknown.
    pub empty_shard: Option<Shard>,
}

/// One image: every platform that was read, and the problems.
#[derive(Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ImageReport {
    /// The name that the user gave.
    pub name: String,
    pub origin: Origin,
    /// A note about the origin: the image was not in the registry but in the engine.
    pub note: Option<String>,
    /// Digest of the index or manifest that the name led to; `None` for a directory.
    pub digest: Option<Digest>,
    pub platforms: Vec<PlatformReport>,
    /// Findings on the index rather than on one platform.
    pub findings: Vec<Finding>,
    /// Content that could not be read or verified; makes the image's verdict Unknown.
    pub problems: Vec<Problem>,
    /// Manifests that are not images of a platform: attestations, artifacts. Listed, not judged.
    pub skipped: Vec<String>,
    /// Findings that the user accepted: reports show them, verdicts and exit codes ignore them.
    pub accepted: Vec<AcceptedFinding>,
    /// If the name does not lead to an image: the type of the signature, SBOM or chart.
    pub artifact: Option<String>,
}

/// A finding that the user accepted; it does not affect the verdict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AcceptedFinding {
    /// The platform's name in reports; `None` for the index.
    pub platform: Option<String>,
    pub finding: Finding,
    /// The user's reason, or that it is in the baseline.
    pub reason: String,
}

/// Something that could not be read: what failed, why, and how to fix it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    pub text: String,
    pub hint: Option<String>,
}

impl From<ImageError> for Problem {
    fn from(error: ImageError) -> Problem {
        Problem::new(error.to_string(), error.hint())
    }
}

/// One platform of an image.
#[derive(Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PlatformReport {
    /// The index's platform.
    pub promised: Option<Platform>,
    /// The config's platform.
    pub declared: Option<Platform>,
    /// Distinguishes the image from others at the same location.
    pub image: Option<String>,
    /// The manifest's digest.
    pub digest: Option<Digest>,
    /// Lowest first.
    pub layers: Vec<LayerReport>,
    /// Number of archive members in all layers.
    pub entries: usize,
    /// Number of runnable programs and libraries in the merged file system.
    pub programs: usize,
    pub architectures: BTreeMap<Arch, usize>,
    pub agreement: Agreement,
    /// The command that is started: Entrypoint and Cmd with the user's changes.
    pub starts: Vec<String>,
    /// One for each target that this platform is judged on; at least one if the platform was read.
    pub targets: Vec<TargetReport>,
    pub findings: Vec<Finding>,
    pub problems: Vec<Problem>,
    /// The project states, with a reason, that the image contains no programs.
    pub is_data_only: bool,
    /// The file that the call asked about.
    #[serde(default)]
    pub named: Option<NamedFile>,
}

/// The description of one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedFile {
    pub path: String,
    /// "a Git LFS pointer", "ELF AArch64, dynamic".
    pub is: String,
    pub is_elf: bool,
    /// Index of its layer, lowest 0.
    pub layer: usize,
}

/// A layer and the build step that made it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerReport {
    /// Lowest 0.
    pub index: usize,
    pub digest: Digest,
    pub diff_id: Option<DiffId>,
    /// Stored size in bytes.
    pub size: u64,
    /// `COPY bin/app /usr/local/bin/app`, from the config's history.
    pub step: Option<String>,
    /// Line of the step in the Dockerfile, if one was given and contains the step.
    pub dockerfile_line: Option<usize>,
    /// Whether it belongs to the base image; `None`: unknown.
    pub is_base: Option<bool>,
}

/// The result of starting the image on one target.
#[derive(Debug, Serialize, Deserialize)]
pub struct TargetReport {
    /// `linux/arm64`, `graviton4`, `host`.
    pub name: String,
    pub outcome: Outcome,
    /// The chain that was followed, one entry per step.
    pub steps: Vec<StepReport>,
    /// The message of each front end, most common first.
    pub shown: Vec<Shown>,
    /// Where the chain ends because it depends on run time; `None` if it was followed to its end.
    pub undecided: Option<Undecided>,
    /// Programs that it starts, or may start, and that cannot run.
    #[serde(default)]
    pub risks: Vec<RiskReport>,
}

/// A program that cannot run, and what starts it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RiskReport {
    /// `PATH:LINE` of the script or configuration file that starts it.
    pub by: String,
    /// Whether it is sure to be started.
    pub is_certain: bool,
    pub steps: Vec<StepReport>,
    pub outcome: Outcome,
}

/// Where and why a call could not be followed further: it starts, and its next step depends on run time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undecided {
    /// `PATH:LINE` of a script, or a program's name.
    pub at: String,
    pub why: String,
}

impl fmt::Display for Undecided {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.at, self.why)
    }
}

/// One step of the entry chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepReport {
    /// How this step was reached: "entrypoint", "shebang", "loader", "library", "link".
    pub how: String,
    pub path: String,
    /// Description of the file: "ELF AArch64, dynamic".
    pub is: String,
}

/// The verdict on a platform, an image or a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    Fine,
    Warned,
    Unknown,
    Broken,
}

/// When findings make a run fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailOn {
    Error,
    Warning,
    Never,
}

impl FailOn {
    /// The lowest severity that makes a run fail; `None`: no finding does.
    pub fn threshold(self) -> Option<Severity> {
        match self {
            FailOn::Error => Some(Severity::Error),
            FailOn::Warning => Some(Severity::Warning),
            FailOn::Never => None,
        }
    }
}

impl Problem {
    pub fn new(text: impl Into<String>, hint: Option<String>) -> Problem {
        Problem { text: text.into(), hint }
    }
}

impl PlatformReport {
    /// The platform under which nodes pull it.
    pub fn published(&self) -> Option<&Platform> {
        self.promised.as_ref().or(self.declared.as_ref())
    }

    /// `linux/arm64`, or `unknown`.
    pub fn name(&self) -> String {
        self.published().map_or_else(|| "unknown".to_string(), ToString::to_string)
    }

    /// The name, preceded by the image's name if there are several images.
    pub fn label(&self) -> String {
        self.image.as_ref().map_or_else(|| self.name(), |image| format!("{image} {}", self.name()))
    }

    /// Describes the layer that a finding names: `layer 2 of 3 (sha256:0b1c), COPY bin/app (Dockerfile line 4)`.
    pub fn layer_text(&self, layer: usize) -> Option<String> {
        let report = self.layers.get(layer)?;
        let step = report.step.as_ref().map_or_else(String::new, |step| format!(", {step}"));
        let line = report.dockerfile_line.map_or_else(String::new, |line| format!(" (Dockerfile line {line})"));
        let base = if report.is_base == Some(true) { ", of the base image" } else { "" };
        Some(format!("layer {} of {} ({}){base}{step}{line}", layer + 1, self.layers.len(), report.digest.short()))
    }

    pub fn verdict(&self) -> Verdict {
        let worst = self.findings.iter().map(|finding| finding.severity).max();
        if worst == Some(Severity::Error) {
            return Verdict::Broken;
        }
        if self.is_unknown() {
            return Verdict::Unknown;
        }
        if worst == Some(Severity::Warning) { Verdict::Warned } else { Verdict::Fine }
    }
}

impl ImageReport {
    /// An image of which nothing has been read yet.
    pub fn new(name: impl Into<String>, origin: Origin) -> ImageReport {
        ImageReport {
            name: name.into(),
            origin,
            note: None,
            digest: None,
            platforms: Vec::new(),
            findings: Vec::new(),
            problems: Vec::new(),
            skipped: Vec::new(),
            accepted: Vec::new(),
            artifact: None,
        }
    }

    pub fn verdict(&self) -> Verdict {
        let platforms = self.platforms.iter().map(PlatformReport::verdict);
        let own = self.findings.iter().map(|finding| match finding.severity {
            Severity::Error => Verdict::Broken,
            Severity::Warning => Verdict::Warned,
            Severity::Note => Verdict::Fine,
        });
        let unread = (!self.problems.is_empty() || self.platforms.is_empty()).then_some(Verdict::Unknown);
        platforms.chain(own).chain(unread).max().unwrap_or(Verdict::Unknown)
    }

    /// Puts a note before the notes from opening the image.
    pub fn prepend_note(&mut self, own: Option<String>) {
        self.note = match (own, self.note.take()) {
            (Some(own), Some(found)) => Some(format!("{own}; {found}")),
            (own, found) => own.or(found),
        };
    }

    /// Whether everything was read: another attempt would not read more.
    pub fn is_read(&self) -> bool {
        self.problems.is_empty() && self.platforms.iter().all(|platform| platform.problems.is_empty())
    }

    /// Every finding with its platform; findings on the index come first.
    pub fn all_findings(&self) -> impl Iterator<Item = (Option<&PlatformReport>, &Finding)> {
        let own = self.findings.iter().map(|finding| (None, finding));
        own.chain(self.platforms.iter().flat_map(|p| p.findings.iter().map(move |finding| (Some(p), finding))))
    }
}

impl Report {
    /// Removes artifacts that are not images, and returns their types.
    pub fn take_artifacts(&mut self) -> Vec<String> {
        let (artifacts, images) =
            std::mem::take(&mut self.images).into_iter().partition(|image| image.artifact.is_some());
        self.images = images;
        let artifacts: Vec<ImageReport> = artifacts;
        artifacts.into_iter().filter_map(|image| image.artifact).collect()
    }

    /// Number of findings of this severity.
    pub fn count(&self, severity: Severity) -> usize {
        self.images.iter().flat_map(ImageReport::all_findings).filter(|(_, f)| f.severity == severity).count()
    }

    /// 0: fine, 1: findings at or above the threshold, 3: something is unknown. Usage errors (2) do not get here.
    pub fn exit_code(&self, fail_on: FailOn) -> u8 {
        let threshold = fail_on.threshold();
        let worst = self.images.iter().flat_map(ImageReport::all_findings).map(|(_, finding)| finding.severity).max();
        if threshold.is_some_and(|threshold| worst >= Some(threshold)) {
            return 1;
        }
        let is_unknown = |image: &ImageReport| {
            let unread = !image.problems.is_empty() || image.platforms.is_empty();
            unread || image.platforms.iter().any(|platform| platform.is_unknown())
        };
        let is_nothing = self.images.is_empty() && self.empty_shard.is_none();
        if is_nothing || self.images.iter().any(is_unknown) { 3 } else { 0 }
    }
}

impl Report {
    /// Whether the start of an image could not be followed to its end; `--strict` treats that as unknown.
    pub fn is_partial(&self) -> bool {
        let mut targets = self.images.iter().flat_map(|image| &image.platforms).flat_map(|platform| &platform.targets);
        targets.any(|target| target.undecided.is_some())
    }
}

impl PlatformReport {
    /// A platform of which no program has been read yet.
    pub fn new(promised: Option<Platform>, declared: Option<Platform>) -> PlatformReport {
        PlatformReport {
            promised,
            declared,
            image: None,
            is_data_only: false,
            named: None,
            digest: None,
            layers: Vec::new(),
            entries: 0,
            programs: 0,
            architectures: BTreeMap::new(),
            agreement: Agreement::NoPrograms,
            starts: Vec::new(),
            targets: Vec::new(),
            findings: Vec::new(),
            problems: Vec::new(),
        }
    }

    /// True if any fact needed for the verdict is missing, even when there are errors.
    pub fn is_unknown(&self) -> bool {
        let unknown = self.targets.iter().any(|target| matches!(target.outcome, Outcome::Unknown { .. }));
        !self.problems.is_empty() || unknown || (self.programs == 0 && !self.is_data_only)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::code::Code;

    fn report(findings: Vec<Finding>, problems: Vec<Problem>, programs: usize) -> Report {
        let declared = Some(Platform::linux(Arch::Arm64));
        let platform = PlatformReport { programs, findings, problems, ..PlatformReport::new(None, declared) };
        let image = ImageReport { platforms: vec![platform], ..ImageReport::new("x", Origin::local("OCI layout")) };
        Report { images: vec![image], ..Report::default() }
    }

    #[test]
    fn exit_codes_distinguish_findings_from_unknowns() {
        let error = || vec![Finding::new(Code::ForeignOnPath, "x")];
        let warning = || vec![Finding::new(Code::ForeignFile, "x")];
        let problem = || vec![Problem::new("x", None)];
        for (report, fail_on, code) in [
            (report(vec![], vec![], 1), FailOn::Error, 0),
            (report(error(), vec![], 1), FailOn::Error, 1),
            (report(error(), vec![], 1), FailOn::Never, 0),
            (report(warning(), vec![], 1), FailOn::Error, 0),
            (report(warning(), vec![], 1), FailOn::Warning, 1),
            (report(vec![], problem(), 1), FailOn::Error, 3),
            (report(vec![], problem(), 1), FailOn::Never, 3),
            (report(error(), problem(), 1), FailOn::Error, 1),
            (report(vec![], vec![], 0), FailOn::Error, 3),
            (Report::default(), FailOn::Error, 3),
            (Report { empty_shard: Some(Shard { number: 2, count: 4 }), ..Report::default() }, FailOn::Error, 0),
        ] {
            assert_eq!(report.exit_code(fail_on), code, "{report:?}");
        }
    }
}
