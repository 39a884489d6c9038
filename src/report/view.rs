//! The parts of a report that several formats share: the headline of an image, the matrix of platforms and targets, and
//! findings grouped by cause.

use std::collections::BTreeMap;

use super::diagnostic::{Diagnostic, DiagnosticFact, FactKind, PlatformRow, Subject};
use super::escape::{thousands, visible};
use super::rules::RuleId;
use crate::exec::CauseKind;
use crate::exec::outcome::{Death, Outcome};
use crate::judge::code::Severity;
use crate::scan::{ImageReport, PlatformReport, TargetReport, Verdict};

/// Returns a row for every platform on every target that it was judged for.
pub fn matrix(image: &ImageReport) -> Vec<PlatformRow> {
    let of_platform = |platform| {
        verdicts(platform).into_iter().map(move |(target, verdict)| PlatformRow {
            platform: visible(&platform.label()),
            platform_name: visible(&platform.name()),
            image: platform.image.as_deref().map(visible),
            target: visible(&target),
            says: platform
                .declared
                .as_ref()
                .map_or_else(|| "-".to_string(), |p| visible(&short_platform(&p.to_string()))),
            is: architectures(platform),
            programs: platform.programs,
            starts: starts(platform),
            verdict: visible(&verdict.text),
            is_good: verdict.is_good,
        })
    };
    image.platforms.iter().flat_map(of_platform).collect()
}

/// The prefixes of commands in hints.
const COMMANDS: &[&str] = &[
    "cat /",
    "docker buildx ",
    "docker login",
    "docker pull ",
    "docker run ",
    "getcap ",
    "getconf ",
    "git ls-files ",
    "imgarch ",
    "kubectl ",
    "lscpu ",
    "skopeo ",
    "sudo ",
    "uname ",
];

/// Whether a line of a hint is a command.
pub fn is_command(line: &str) -> bool {
    COMMANDS.iter().any(|start| line.starts_with(start))
}

/// The headline for a verdict.
pub fn headline(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Fine => "OK",
        Verdict::Warned => "WARN",
        Verdict::Unknown => "COULD NOT TELL",
        Verdict::Broken => "FAIL",
    }
}

fn short_platform(platform: &str) -> String {
    platform.strip_prefix("linux/").unwrap_or(platform).to_string()
}

/// How many architectures are named. The rest are counted.
const SHOWN_ARCHITECTURES: usize = 3;

fn architectures(platform: &PlatformReport) -> String {
    if platform.architectures.is_empty() {
        return "-".to_string();
    }
    let mut archs: Vec<(usize, &str)> = platform.architectures.iter().map(|(arch, n)| (*n, arch.oci())).collect();
    archs.sort_by(|a, b| b.cmp(a));
    let rest = archs.len().saturating_sub(SHOWN_ARCHITECTURES);
    let mut names: Vec<String> = archs.iter().take(SHOWN_ARCHITECTURES).map(|(_, name)| name.to_string()).collect();
    if rest > 0 {
        names.push(format!("{rest} more"));
    }
    names.join(" + ")
}

/// Returns the started program, as a path in the image if it was found there.
fn starts(platform: &PlatformReport) -> String {
    let found = platform.targets.first().and_then(|target| target.steps.first()).map(|step| step.path.clone());
    visible(&found.or_else(|| platform.starts.first().cloned()).unwrap_or_else(|| "-".to_string()))
}

struct VerdictCell {
    text: String,
    is_good: bool,
}

impl VerdictCell {
    fn good(text: impl Into<String>) -> VerdictCell {
        VerdictCell { text: text.into(), is_good: true }
    }

    fn bad(text: impl Into<String>) -> VerdictCell {
        VerdictCell { text: text.into(), is_good: false }
    }
}

/// Describes what the container does on each target, in a few words.
fn verdicts(platform: &PlatformReport) -> Vec<(String, VerdictCell)> {
    if platform.targets.is_empty() {
        let cell = match platform.verdict() {
            Verdict::Unknown => VerdictCell::bad("could not tell"),
            Verdict::Broken => VerdictCell::bad("see below"),
            Verdict::Fine | Verdict::Warned if platform.is_data_only => VerdictCell::good("data only"),
            Verdict::Fine | Verdict::Warned => VerdictCell::good("programs fit"),
        };
        return vec![(platform.name(), cell)];
    }
    let worst = platform.findings.iter().map(|finding| finding.severity).max();
    let cell = |target: &TargetReport| match &target.outcome {
        _ if !platform.problems.is_empty() => VerdictCell::bad("could not tell"),
        Outcome::Runs if worst == Some(Severity::Error) => VerdictCell::bad("runs, with errors"),
        // The first programs run; what comes next depends on run time.
        Outcome::Runs if target.undecided.is_some() => VerdictCell::good("starts"),
        Outcome::Runs => VerdictCell::good("runs"),
        Outcome::Emulated { by } => {
            VerdictCell { text: format!("runs by {by}"), is_good: worst != Some(Severity::Error) }
        }
        Outcome::Fails { cause, .. } if cause.kind == CauseKind::RootRefused => {
            VerdictCell::bad("refused by the kubelet")
        }
        Outcome::Fails { errno, .. } => VerdictCell::bad(errno.message()),
        Outcome::Dies { death: Death::Signal(signal), .. } => VerdictCell::bad(format!("killed, signal {signal}")),
        Outcome::Dies { death: Death::AnyOf { usual, others }, .. } => {
            let others: Vec<String> = others.iter().map(u8::to_string).collect();
            VerdictCell::bad(format!("killed, signal {usual} or {}", others.join(", ")))
        }
        Outcome::Dies { death: Death::Exit(code), .. } => VerdictCell::bad(format!("ends at once, exit {code}")),
        Outcome::Unknown { .. } => VerdictCell::bad("could not tell"),
    };
    platform.targets.iter().map(|target| (target.name.clone(), cell(target))).collect()
}

/// Findings with the same cause: one rule on one platform, for files of one kind from one layer. Never empty.
pub struct FindingGroup<'a, 'd> {
    pub members: Vec<&'d Diagnostic<'a>>,
}

type CausePart<'d> = (RuleId, Severity, Option<usize>, Option<usize>, &'d str);

/// Groups the findings that were not accepted by cause, the most severe first. An error of the whole image comes before
/// those of its platforms: a digest that pins the wrong platform explains them.
pub fn groups<'a, 'd>(subject: &'d Subject<'a>) -> Vec<FindingGroup<'a, 'd>> {
    let mut groups: Vec<FindingGroup<'a, 'd>> = Vec::new();
    let mut known: BTreeMap<CausePart<'d>, usize> = BTreeMap::new();
    for diagnostic in subject.diagnostics.iter().filter(|one| one.counts()) {
        let Some(cause) = cause(diagnostic) else {
            groups.push(FindingGroup { members: vec![diagnostic] });
            continue;
        };
        match known.get(&cause) {
            Some(at) => groups[*at].members.push(diagnostic),
            None => {
                known.insert(cause, groups.len());
                groups.push(FindingGroup { members: vec![diagnostic] });
            }
        }
    }
    groups.sort_by_key(|group| {
        let first = group.first();
        let is_explained = first.severity == Severity::Error && first.platform.is_some();
        (std::cmp::Reverse(first.severity), is_explained, first.rule)
    });
    groups
}

/// Returns the key by which files of an image are grouped; `None` without a file.
fn cause<'d>(diagnostic: &'d Diagnostic<'_>) -> Option<CausePart<'d>> {
    let RuleId::Scan(_) = diagnostic.rule else { return None };
    diagnostic.path()?;
    // "ELF x86-64, static" and "ELF x86-64, dynamic" are the same kind.
    let kind = diagnostic.is.split(',').next().unwrap_or_default();
    let platform = diagnostic.platform.map(|platform| std::ptr::from_ref(platform) as usize);
    Some((diagnostic.rule, diagnostic.severity, platform, diagnostic.layer().map(|layer| layer.index), kind))
}

/// How many paths of a group are shown. The rest are counted.
pub const SHOWN_PATHS: usize = 3;

impl<'a, 'd> FindingGroup<'a, 'd> {
    pub fn first(&self) -> &'d Diagnostic<'a> {
        self.members[0]
    }

    /// Returns the message of all members if they agree, otherwise the title of the rule.
    pub fn message(&self) -> &'d str {
        let first = self.first();
        match self.members.iter().all(|one| one.message == first.message) {
            true => first.message,
            false => first.rule.title(),
        }
    }

    /// Returns the facts that are true for every member.
    pub fn facts(&self) -> impl Iterator<Item = &'d DiagnosticFact> {
        self.first().facts.iter().filter(|fact| self.is_shared(fact))
    }

    /// Returns how a member differs from the others: its message and facts. Empty for a group of one.
    pub fn difference(&self, member: &Diagnostic<'_>) -> String {
        let message = (self.message() != member.message).then(|| member.message.to_string());
        let facts = member.facts.iter().filter(|fact| !self.is_shared(fact)).map(|fact| match fact.kind {
            FactKind::Is => fact.text.clone(),
            kind => format!("{} {}", kind.label(), fact.text),
        });
        message.into_iter().chain(facts).collect::<Vec<_>>().join("; ")
    }

    fn is_shared(&self, fact: &DiagnosticFact) -> bool {
        self.members.iter().all(|one| one.facts.contains(fact))
    }

    /// Lists the paths, escaped, as in `/usr/bin/a, /usr/bin/b, /usr/bin/c, 37 more`. Empty without a file.
    pub fn paths(&self) -> String {
        let mut names: Vec<String> =
            self.members.iter().filter_map(|one| one.path()).take(SHOWN_PATHS).map(visible).collect();
        if self.members.len() > SHOWN_PATHS {
            names.push(format!("{} more", thousands(self.members.len() - SHOWN_PATHS)));
        }
        names.join(", ")
    }

    /// Returns escaped names and values for formats that list them: the files, then the shared facts.
    pub fn details(&self) -> Vec<(&'static str, String)> {
        let name = if self.members.len() > 1 { "files" } else { "file" };
        let files = (!self.paths().is_empty() && self.first().is_in_image()).then(|| (name, self.paths()));
        files.into_iter().chain(self.facts().map(|fact| (fact.kind.label(), visible(&fact.text)))).collect()
    }
}
