//! Answers why a container failed: the cause, its likelihood, the evidence, excluded causes and the next steps. Pure:
//! turns messages, circumstances and a scan's report into data, which `report` formats.

#[cfg(feature = "kube")]
use std::cmp::Reverse;
#[cfg(feature = "kube")]
use std::collections::BTreeMap;

use super::baseline;
use super::cause::{Likelihood, Suspect};
use super::file::{self, StartPath, judged};
use super::log_source::LogSource;
use super::message::Sign;
use super::names::Names;
use super::newest_cpu;
use super::rank::{Circumstances, Ranked, rank};
use super::step::Step;
use super::symptom::Symptom;
use crate::exec::{Errno, Outcome};
use crate::judge::cause;
use crate::judge::code::{Code, Severity};
use crate::judge::finding::Finding;
use crate::scan::{ImageReport, PlatformReport, TargetReport};
use crate::source::Origin;

/// The answer for one failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The subject: `deployment/checkout (3 of 6 pods)`, or empty for a message.
    pub subject: String,
    /// Where pods of several namespaces are answered, theirs.
    pub namespace: Option<String>,
    /// Number of pods that fail in this way. 0 if no pods are known.
    pub pods: usize,
    /// The command that gives this answer alone; empty where nothing of a cluster failed.
    pub again: String,
    pub suspect: Suspect,
    pub likelihood: Likelihood,
    /// The cause in one sentence, with the names of this failure.
    pub cause: String,
    /// The evidence, the strongest first.
    pub evidence: Vec<String>,
    /// Causes that were considered and excluded.
    pub excluded: Vec<String>,
    /// Other possible causes, the likeliest first.
    pub others: Vec<Ranked>,
    /// Commands that confirm the cause. Empty if it is certain.
    pub check: Vec<String>,
    /// Commands that help immediately.
    pub now: Vec<String>,
    /// Steps that fix it permanently.
    pub then: Vec<String>,
}

/// Everything known about a failure.
#[derive(Debug, Default)]
pub struct Evidence<'a> {
    pub subject: String,
    pub symptoms: &'a [Symptom],
    pub circumstances: Circumstances,
    pub names: Names,
    /// The tool that wrote the log, if the messages are from one.
    pub source: LogSource,
    /// A description of the nodes: "nodes ip-10-0-3-* are m7g.large (AWS Graviton3, arm64)".
    pub place: Option<String>,
    /// The image's report, and the name of the target for which it was judged.
    pub judged: Option<(&'a ImageReport, Option<&'a str>)>,
    /// The image's report with the file that the messages name as its entrypoint: see [`file::to_judge`].
    pub file: Option<&'a ImageReport>,
    /// Whether the node's CPU has every level of its architecture.
    pub has_newest_cpu: bool,
    /// Commands that help immediately and that only the caller knows: a rollback, a pin to other nodes.
    pub now: Vec<String>,
}

/// The likeliest cause of a failure. `None` without any evidence.
pub fn answer(evidence: &Evidence<'_>) -> Option<Answer> {
    let mut ranked = rank(evidence.symptoms, &evidence.circumstances);
    let is_newest = evidence.has_newest_cpu && newest_cpu::is_unexplained(evidence.symptoms);
    if is_newest {
        newest_cpu::doubt_cpu(&mut ranked);
    }
    let settled = evidence.judged.and_then(|(report, target)| settle(report, target, evidence, &ranked));
    let (settled, mut others) = match settled {
        Some(settled) if settled.first.likelihood == Likelihood::Certain => (settled, Vec::new()),
        Some(settled) => (settled, ranked),
        None => {
            let mut ranked = ranked.into_iter();
            (Settled::new(ranked.next()?), ranked.collect())
        }
    };
    let Settled { first, evidence: shown, excluded, cure } = settled;
    others.retain(|other| other.suspect != first.suspect);
    let row = first.suspect.row();
    // The message itself is part of the evidence.
    let has_message =
        evidence.judged.is_none() && evidence.symptoms.iter().any(|symptom| symptom.sign != Sign::BackOff);
    let own_end = Running { text: newest_cpu::WHY.to_string(), cure: newest_cpu::CURE };
    let running = evidence.symptoms.iter().find_map(Running::from_symptom).or(is_newest.then_some(own_end));
    let running = running.filter(|_| first.suspect == Suspect::ProgramItself);
    let why = match &running {
        Some(running) => running.text.clone(),
        None if has_message => {
            match (&evidence.names.path, evidence.symptoms.iter().find(|symptom| symptom.sign != Sign::BackOff)) {
                (None, Some(symptom)) => format!("according to {}; the image was not read", symptom.speaker),
                (path, _) => {
                    let path = path.as_deref().unwrap_or("the file");
                    format!("{path}, according to the message; the image was not read")
                }
            }
        }
        None => first.why.clone(),
    };
    let names = named(evidence);
    let fill = |steps: &[Step]| names.fill_all(steps, &evidence.source);
    let mut check = fill(row.check);
    if names.image.is_none() && row.check.iter().chain(row.cure).any(|step| step.needs_image()) {
        let find = evidence.source.find_image(names.pod.as_deref());
        if !check.contains(&find) {
            check.push(find);
        }
    }
    let is_certain = first.likelihood == Likelihood::Certain;
    let is_judged = evidence.judged.is_some();
    Some(Answer {
        subject: evidence.subject.clone(),
        namespace: None,
        pods: 0,
        again: String::new(),
        suspect: first.suspect,
        likelihood: first.likelihood,
        cause: match &evidence.place {
            Some(place) => format!("{why}; {place}"),
            None => why,
        },
        evidence: witnesses(evidence).into_iter().chain(shown).collect(),
        excluded,
        others,
        check: if is_certain && (is_judged || first.suspect != Suspect::NodeCopy) { Vec::new() } else { check },
        now: evidence.now.clone(),
        then: match index_to_pin(first.suspect, evidence) {
            Some(line) => vec![line],
            None if let Some(running) = &running => vec![running.cure.to_string()],
            // A rebuild's command names the tag, even if the image was read by a digest.
            None if row.cure.contains(&Step::Rebuild) => {
                let filled = fill(row.cure);
                if filled.is_empty() { vec![names.build()] } else { filled }
            }
            None if cure.is_empty() => {
                baseline_builds(first.suspect, evidence).into_iter().chain(fill(row.cure)).collect()
            }
            None => cure,
        },
    })
}

/// The builds for older CPUs of the programs that the messages, the image's name or its findings name.
fn baseline_builds(suspect: Suspect, evidence: &Evidence<'_>) -> Vec<String> {
    if suspect != Suspect::CpuLevel {
        return Vec::new();
    }
    let lines = evidence.symptoms.iter().map(|symptom| symptom.line.as_str());
    let names = [&evidence.names.image, &evidence.names.path].into_iter().flatten().map(String::as_str);
    baseline::cures(lines.chain(names))
}

/// A message about a container that runs: what is missing did not end it.
struct Running {
    text: String,
    cure: &'static str,
}

impl Running {
    fn from_symptom(symptom: &Symptom) -> Option<Running> {
        let command = symptom.path.as_deref().unwrap_or("its command");
        let (text, cure) = match symptom.sign {
            Sign::ProbeCommandMissing => (
                format!("the container started; its probe or hook calls {command}, which is not in the image"),
                "install it in the image, or probe with httpGet, tcpSocket or grpc, which need no program in the image",
            ),
            Sign::ExecCommandMissing => (
                format!("the container runs; {command}, which was to run in it, is not in the image"),
                "run a command that the image has (sh instead of bash), or use kubectl debug or docker debug, which bring \
                 their own tools",
            ),
            Sign::PolicyDenied => (
                format!("a policy of SELinux or AppArmor on the node refused to execute {command}"),
                "label the file or the mount for containers (:Z), or fix the profile that the log names",
            ),
            _ if symptom.outcome.is_over() => {
                let without = symptom.path.as_deref().map_or_else(String::new, |path| format!(" about {path}"));
                (format!("{}{without}, which did not end it", symptom.outcome.text()), "see the last lines of its log")
            }
            _ => return None,
        };
        Some(Running { text, cure })
    }
}

/// The cure of a pin, if a registry named the index that has the platform.
fn index_to_pin(suspect: Suspect, evidence: &Evidence<'_>) -> Option<String> {
    let (report, _) = evidence.judged.filter(|_| suspect == Suspect::PinnedToOne)?;
    let pin = report.findings.iter().find(|finding| finding.code == Code::DigestPinsPlatform)?;
    pin.hint.iter().find(|line| line.contains("@sha256:")).cloned()
}

/// Groups answers by cause. The cause with the most failing pods is first, and within it the answer with the most pods.
#[cfg(feature = "kube")]
pub fn by_cause(answers: &mut [Answer]) {
    let mut pods: BTreeMap<&'static str, usize> = BTreeMap::new();
    for answer in answers.iter() {
        *pods.entry(answer.suspect.name()).or_default() += answer.pods;
    }
    answers.sort_by_key(|answer| {
        let name = answer.suspect.name();
        (Reverse(pods[name]), name, answer.suspect, Reverse(answer.pods))
    });
}

/// The names for commands. If no target was named, the platform is that of the failing image.
fn named(evidence: &Evidence<'_>) -> Names {
    let mut names = evidence.names.clone();
    let fault = evidence.judged.and_then(|(report, target)| judged(report, target));
    if let Some((report, _)) = evidence.judged {
        names.origin = Some(report.origin.clone()).filter(Origin::is_opened);
    }
    if let Some((platform, _)) = fault.filter(|_| names.platform.is_none()) {
        names.platform = platform.published().map(ToString::to_string);
    }
    names
}

/// Evidence from the messages and from how the container ended.
fn witnesses(evidence: &Evidence<'_>) -> Vec<String> {
    let mut lines: Vec<String> = evidence
        .symptoms
        .iter()
        .filter(|symptom| symptom.sign != Sign::BackOff)
        .map(|symptom| format!("{}: {}", symptom.speaker, symptom.line))
        .collect();
    let circumstances = &evidence.circumstances;
    if let Some(code) = circumstances.exit_code {
        let after = circumstances.lifetime.map_or_else(String::new, |lifetime| match lifetime.as_secs() {
            0 => ", in its first second".to_string(),
            seconds => format!(", {seconds} s after its start"),
        });
        let reason = circumstances.reason.as_deref().map_or_else(String::new, |reason| format!(" ({reason})"));
        lines.push(format!("exit code {code}{reason}{after}"));
    }
    lines
}

struct Settled {
    first: Ranked,
    evidence: Vec<String>,
    excluded: Vec<String>,
    /// The fix for this very file. Empty: that of the suspect applies.
    cure: Vec<String>,
}

impl Settled {
    fn new(first: Ranked) -> Settled {
        Settled { first, evidence: Vec::new(), excluded: Vec::new(), cure: Vec::new() }
    }

    /// Adds what a finding knows about the file.
    fn with(mut self, platform: &PlatformReport, finding: Option<&Finding>) -> Settled {
        if let Some(finding) = finding {
            let why = &self.first.why;
            let cause = why.split_once(": ").map_or("", |(_, cause)| cause);
            let is_told = |word: &str| !word.starts_with('/') || why.contains(word.trim_end_matches(':'));
            let is_repeated =
                |line: &String| !cause.is_empty() && line.ends_with(cause) && line.split_whitespace().all(is_told);
            self.evidence.extend(lines_of(platform, finding).into_iter().filter(|line| !is_repeated(line)));
            // A hint that its code always has is no better than the suspect's.
            if finding.hint != [finding.code.row().cure] {
                self.cure.clone_from(&finding.hint);
            }
        }
        self
    }
}

/// The cause according to the image's own bytes. `None` if they do not decide it. The file that a message names comes
/// first.
fn settle(report: &ImageReport, target: Option<&str>, evidence: &Evidence<'_>, ranked: &[Ranked]) -> Option<Settled> {
    // The pod may name a tag even if the image was read by the node's digest.
    let is_pinned = evidence.names.image.as_deref().is_some_and(|image| image.contains("@sha256:"));
    let pin = report.findings.iter().find(|finding| is_pinned && finding.code == Code::DigestPinsPlatform);
    let absent = report.findings.iter().find(|finding| finding.code == Code::NoPlatformForTarget);
    if let Some(finding) = pin.filter(|_| absent.is_some()) {
        return Some(certain(Suspect::PinnedToOne, finding.message.clone()));
    }
    if let Some(finding) = absent {
        return Some(certain(Suspect::NoPlatform, finding.message.clone()));
    }
    let (platform, judged) = judged(report, target)?;
    let named = file::named(evidence.symptoms);
    let path = named.map_or(StartPath::Passed, |name| file::start_path(judged, name));
    if let Some(settled) = read_as_library(report, platform, evidence) {
        return Some(settled);
    }
    if (path == StartPath::Elsewhere || file::fails_alone(evidence.file, target))
        && let Some(settled) = named.and_then(|name| settle_file(name, (report, platform), target, evidence, ranked))
    {
        return Some(settled);
    }
    match &judged.outcome {
        Outcome::Fails { cause, .. } | Outcome::Dies { cause, .. }
            if Suspect::from_cause(cause.kind) == Suspect::WrongArchitecture && pin.is_some() =>
        {
            pin.map(|finding| certain(Suspect::PinnedToOne, finding.message.clone()))
        }
        Outcome::Fails { .. } | Outcome::Dies { .. } => fails((report, platform), judged, evidence, ranked),
        Outcome::Runs | Outcome::Emulated { .. }
            if is_start_failure(evidence.symptoms) && path == StartPath::Passed =>
        {
            Some(node_copy((report, platform), judged, ranked))
        }
        // The program started and then failed: because of a file that it loaded or called later.
        Outcome::Runs | Outcome::Emulated { .. } => later(platform, named, ranked),
        Outcome::Unknown { .. } => later(platform, named, ranked).filter(|_| named.is_some()),
    }
}

fn certain(suspect: Suspect, why: String) -> Settled {
    Settled::new(Ranked { suspect, likelihood: Likelihood::Certain, why })
}

/// The answer if a loader read a file as a library that is none, and no rule found it: a text, an error page.
fn read_as_library(report: &ImageReport, platform: &PlatformReport, evidence: &Evidence<'_>) -> Option<Settled> {
    let file = platform.named.as_ref().filter(|file| !file.is_elf)?;
    let is_read = evidence.symptoms.iter().any(|symptom| {
        symptom
            .path
            .as_deref()
            .is_some_and(|path| file::is_of_content(symptom, path) && file::is_same(&file.path, path))
    });
    let text = format!("{} is {}", file.path, file.is);
    let why = format!("{text}, in {}", short(report, platform));
    let lines = std::iter::once(text).chain(platform.layer_text(file.layer)).collect();
    is_read.then(|| Settled { evidence: lines, ..certain(Suspect::ForeignLibrary, why) })
}

/// Judges the file that a message names, if the start path does not lead through it.
fn settle_file(
    name: &str,
    (report, platform): (&ImageReport, &PlatformReport),
    target: Option<&str>,
    evidence: &Evidence<'_>,
    ranked: &[Ranked],
) -> Option<Settled> {
    if let Some((one, started)) = evidence.file.and_then(|file| judged(file, target))
        && let Outcome::Fails { at, cause, .. } | Outcome::Dies { at, cause, .. } = &started.outcome
    {
        let suspect = Suspect::from_cause(cause.kind);
        // What the file contains decides about a library, and not what becomes of it as a program.
        let is_library = evidence.symptoms.iter().any(|symptom| file::is_of_content(symptom, name));
        if is_library && !matches!(suspect, Suspect::NotAProgram | Suspect::Truncated | Suspect::WrongArchitecture) {
            return None;
        }
        // A missing file is not the cause, unless the message reports it as missing.
        let is_lookup = matches!(suspect, Suspect::MissingProgram | Suspect::NotOnPath);
        if !is_lookup || ranked.iter().any(|entry| entry.suspect == suspect) {
            return fails((report, one), started, evidence, ranked).map(|settled| match settled.evidence.is_empty() {
                true => settled.with(platform, finding_at(platform, at)),
                false => settled,
            });
        }
    }
    let finding = file::finding(platform, name)?;
    let first = ranked.first()?;
    let why =
        format!("{} in {}: {}", finding.path.as_deref().unwrap_or(name), short(report, platform), finding.message);
    // glibc skips a library for another architecture and reports it as missing.
    let first = match ranked.iter().find(|entry| is_foreign(finding.code) && is_of_foreign_file(entry.suspect)) {
        Some(entry) => Ranked { suspect: entry.suspect, likelihood: Likelihood::Certain, why },
        None => Ranked { suspect: first.suspect, likelihood: first.likelihood.max(Likelihood::Likely), why },
    };
    let settled = Settled { excluded: vec![SAME_IN_IMAGE.to_string()], ..Settled::new(first) };
    Some(settled.with(platform, Some(finding)))
}

/// Whether the finding is on a file for another architecture.
fn is_foreign(code: Code) -> bool {
    matches!(
        code,
        Code::ForeignLibrary
            | Code::ForeignOnPath
            | Code::ForeignExtension
            | Code::ForeignCalled
            | Code::ForeignConfigured
            | Code::ForeignFile
            | Code::ForeignOnPurpose
    )
}

fn is_of_foreign_file(suspect: Suspect) -> bool {
    matches!(
        suspect,
        Suspect::WrongArchitecture | Suspect::ForeignInterpreter | Suspect::ForeignLibrary | Suspect::ForeignPackage
    )
}

const SAME_IN_IMAGE: &str = "a damaged copy on the node: the image itself has this fault";

/// The answer for a start that fails in the image itself.
fn fails(
    (report, platform): (&ImageReport, &PlatformReport),
    judged: &TargetReport,
    evidence: &Evidence<'_>,
    ranked: &[Ranked],
) -> Option<Settled> {
    let (Outcome::Fails { at, cause, .. } | Outcome::Dies { at, cause, .. }) = &judged.outcome else { return None };
    let suspect = Suspect::from_cause(cause.kind);
    let agrees = evidence.symptoms.is_empty() || agrees(judged, evidence.symptoms, ranked, suspect);
    let likelihood = if agrees { Likelihood::Certain } else { Likelihood::Likely };
    // The file at which the start ends is not always at fault: it may be a script's interpreter or a program's loader.
    let code = cause::code(&judged.outcome);
    let blamed = platform.findings.iter().find(|finding| Some(finding.code) == code && finding.path.is_some());
    let path = blamed.and_then(|finding| finding.path.as_deref()).unwrap_or(at);
    let why = format!("{path} in {}: {}", short(report, platform), cause.text);
    let settled =
        Settled { excluded: vec![SAME_IN_IMAGE.to_string()], ..Settled::new(Ranked { suspect, likelihood, why }) };
    Some(settled.with(platform, finding_at(platform, path).or(blamed)))
}

/// The answer for a start that works in the registry's copy.
fn node_copy((report, platform): (&ImageReport, &PlatformReport), judged: &TargetReport, ranked: &[Ranked]) -> Settled {
    let why = format!("{} starts on {}, so the node's copy is suspect", short(report, platform), judged.name);
    let excluded = ranked
        .iter()
        .filter(|entry| entry.suspect != Suspect::NodeCopy && entry.likelihood >= Likelihood::Possible)
        .map(|entry| format!("{}: the registry's copy has no such fault", entry.suspect.row().sentence))
        .collect();
    Settled { excluded, ..Settled::new(Ranked { suspect: Suspect::NodeCopy, likelihood: Likelihood::Likely, why }) }
}

/// Whether the runtime itself reported the failure, so that it concerns the entrypoint.
fn is_start_failure(symptoms: &[Symptom]) -> bool {
    symptoms
        .iter()
        .any(|symptom| file::is_of_start(symptom.sign) && (symptom.path.is_some() || file::is_runtime(symptom.speaker)))
}

/// Whether the messages match the judged outcome: by its errno, its suspect, or its text.
fn agrees(judged: &TargetReport, symptoms: &[Symptom], ranked: &[Ranked], suspect: Suspect) -> bool {
    let is_errno = |errno: Errno| symptoms.iter().any(|symptom| symptom.sign == Sign::Exec(errno));
    let is_seen = |line: &str| !line.is_empty() && symptoms.iter().any(|symptom| symptom.line.contains(line));
    let is_predicted = |text: &str| text.lines().map(str::trim).any(is_seen);
    match &judged.outcome {
        Outcome::Fails { errno, .. } if is_errno(*errno) => true,
        _ => {
            ranked.iter().any(|entry| entry.suspect == suspect)
                || judged.shown.iter().any(|shown| is_predicted(&shown.text))
        }
    }
}

/// The answer from a finding: that on the library or file that the messages name, or otherwise the worst.
fn later(platform: &PlatformReport, named: Option<&str>, ranked: &[Ranked]) -> Option<Settled> {
    let first = ranked.first()?;
    let is_relevant = |finding: &&Finding| finding.severity >= Severity::Warning;
    let worst = || platform.findings.iter().filter(is_relevant).max_by_key(|finding| finding.severity);
    let finding = match named {
        Some(name) => file::finding(platform, name)?,
        None => worst()?,
    };
    Some(Settled::new(first.clone()).with(platform, Some(finding)))
}

fn finding_at<'a>(platform: &'a PlatformReport, at: &str) -> Option<&'a Finding> {
    platform.findings.iter().find(|finding| finding.path.as_deref() == Some(at))
}

/// File, layer and build step of a finding.
fn lines_of(platform: &PlatformReport, finding: &Finding) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(path) = &finding.path {
        lines.push(match finding.is_text().as_str() {
            "" if finding.message.contains(path.as_str()) => finding.message.clone(),
            "" => format!("{path}: {}", finding.message),
            is => format!("{path} is {is}"),
        });
    }
    lines.extend(finding.layer.and_then(|layer| platform.layer_text(layer)));
    lines
}

/// The short digest of the platform's manifest, or the image's name.
fn short(report: &ImageReport, platform: &PlatformReport) -> String {
    match platform.digest.as_ref().or(report.digest.as_ref()) {
        Some(digest) => digest.short(),
        None => report.name.clone(),
    }
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
