//! Finds the file that a message names, whether the start path leads through it, and its findings.

use super::message::{Sign, Speaker};
use super::symptom::Symptom;
use crate::exec::Outcome;
use crate::judge::finding::Finding;
use crate::scan::{ImageReport, PlatformReport, TargetReport};

/// The position of a named file on the start path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartPath {
    /// The start fails at it or after it.
    Fails,
    /// The start leads through it and continues.
    Passed,
    /// The start path, as far as it was followed, does not lead through it.
    Elsewhere,
}

/// The file or command that did not start, or the library that did not load, according to the messages.
pub fn named(symptoms: &[Symptom]) -> Option<&str> {
    let names = |is_wanted: fn(Sign) -> bool| {
        symptoms.iter().filter(move |symptom| is_wanted(symptom.sign)).find_map(|symptom| symptom.path.as_deref())
    };
    names(is_of_start).or_else(|| names(is_of_lookup)).or_else(|| names(is_of_library))
}

/// The same, or any path that the messages name.
pub fn named_path(symptoms: &[Symptom]) -> Option<String> {
    let first = || symptoms.iter().find_map(|symptom| symptom.path.as_deref());
    named(symptoms).or_else(first).map(str::to_string)
}

/// Whether the sign is of a process that never reached its own code.
pub fn is_of_start(sign: Sign) -> bool {
    matches!(
        sign,
        Sign::Exec(_)
            | Sign::ProgramNotFound
            | Sign::NotExecutable
            | Sign::InterpreterMissing
            | Sign::BadInterpreter
            | Sign::ShellDenied
            | Sign::ProgramReadAsScript
            | Sign::LibraryTruncated
            | Sign::UnpackSkipped
    )
}

fn is_of_lookup(sign: Sign) -> bool {
    matches!(sign, Sign::CommandNotFound | Sign::NotOnPath | Sign::EnvNotFound)
}

fn is_of_library(sign: Sign) -> bool {
    matches!(
        sign,
        Sign::LibraryForeign
            | Sign::LibraryMissing
            | Sign::LibraryCorrupt
            | Sign::LibraryNotMapped
            | Sign::SymbolMissing
            | Sign::ModuleVersion
            | Sign::StaticTls
            | Sign::PreloadIgnored
    )
}

/// Whether the message is that the content of the library `name` is not what the loader reads.
pub fn is_of_content(symptom: &Symptom, name: &str) -> bool {
    let is_content = matches!(symptom.sign, Sign::LibraryForeign | Sign::LibraryCorrupt | Sign::LibraryTruncated);
    is_content && symptom.path.as_deref() == Some(name)
}

/// The file that a loader read as a library, as the message names it.
pub fn read_as_library(symptoms: &[Symptom]) -> Option<String> {
    let path = |symptom: &Symptom| symptom.path.clone().filter(|path| is_of_content(symptom, path));
    symptoms.iter().find_map(path)
}

/// Whether the speaker starts the container's own program, so that its messages are about the entrypoint.
pub fn is_runtime(speaker: Speaker) -> bool {
    matches!(
        speaker,
        Speaker::Runtime
            | Speaker::OldRunc
            | Speaker::Runc
            | Speaker::Crun
            | Speaker::Gvisor
            | Speaker::Youki
            | Speaker::Lambda
            | Speaker::Containerd
    )
}

/// The platform and the target's row in it. Without a target, the first that does not start.
pub fn judged<'a>(report: &'a ImageReport, target: Option<&str>) -> Option<(&'a PlatformReport, &'a TargetReport)> {
    let all = || report.platforms.iter().flat_map(|platform| platform.targets.iter().map(move |row| (platform, row)));
    match target {
        Some(name) => all().find(|(_, row)| row.name == name),
        None => all()
            .find(|(_, row)| !row.outcome.is_alive() && !matches!(row.outcome, Outcome::Unknown { .. }))
            .or_else(|| all().next()),
    }
}

/// The path or name with which to start the image to judge the named file by itself. `None` if the start path leads
/// through it, or if no file is named.
pub fn to_judge(symptoms: &[Symptom], report: &ImageReport, target: Option<&str>) -> Option<String> {
    let name = named(symptoms)?;
    let is_program = symptoms.iter().any(|symptom| {
        // A library that is read is not started.
        let is_call = is_of_start(symptom.sign) && symptom.sign != Sign::LibraryTruncated;
        symptom.path.as_deref() == Some(name) && (is_call || is_of_lookup(symptom.sign))
    });
    let is_content = name.starts_with('/') && symptoms.iter().any(|symptom| is_of_content(symptom, name));
    let (platform, judged) = judged(report, target)?;
    if is_content && finding(platform, name).is_none() {
        return Some(name.to_string());
    }
    if !is_program || (start_path(judged, name) != StartPath::Elsewhere && !is_elsewhere_by_path(judged, name)) {
        return None;
    }
    if name.starts_with('/') {
        return Some(name.to_string());
    }
    // A bare name is looked up on PATH. The directory of `./run` and the like is unknown, unless a finding is at that
    // file or at one that it starts.
    let found = finding(platform, name).and_then(|finding| finding.path.clone());
    found.or_else(|| starter(platform, name)).or_else(|| (!name.contains('/')).then(|| name.to_string()))
}

/// Whether the start path has a file of that base name, and not that path: a link of the same file, or another file.
fn is_elsewhere_by_path(judged: &TargetReport, name: &str) -> bool {
    let at = match &judged.outcome {
        Outcome::Fails { at, .. } | Outcome::Dies { at, .. } | Outcome::Unknown { at, .. } => Some(at.as_str()),
        Outcome::Runs | Outcome::Emulated { .. } => None,
    };
    name.starts_with('/') && at != Some(name) && !judged.steps.iter().any(|step| step.path == name)
}

/// Whether the named file, judged by itself, does not start.
pub fn fails_alone(file: Option<&ImageReport>, target: Option<&str>) -> bool {
    let started = file.and_then(|file| self::judged(file, target)).map(|(_, started)| &started.outcome);
    matches!(started, Some(Outcome::Fails { .. } | Outcome::Dies { .. }))
}

/// The position of `name` on the start path.
pub fn start_path(judged: &TargetReport, name: &str) -> StartPath {
    let is_step = judged.steps.iter().any(|step| is_same(&step.path, name));
    match &judged.outcome {
        Outcome::Fails { at, .. } | Outcome::Dies { at, .. } if is_step || is_same(at, name) => StartPath::Fails,
        Outcome::Runs | Outcome::Emulated { .. } if is_step => StartPath::Passed,
        Outcome::Fails { .. }
        | Outcome::Dies { .. }
        | Outcome::Runs
        | Outcome::Emulated { .. }
        | Outcome::Unknown { .. } => StartPath::Elsewhere,
    }
}

/// The worst finding at the named path, or at a path with the same base name.
pub fn finding<'a>(platform: &'a PlatformReport, name: &str) -> Option<&'a Finding> {
    let at = |is_wanted: fn(&str, &str) -> bool| {
        let found = platform
            .findings
            .iter()
            .filter(move |finding| finding.path.as_deref().is_some_and(|path| is_wanted(path, name)));
        found.max_by_key(|finding| finding.severity)
    };
    at(|path, name| path == name).or_else(|| at(is_same))
}

/// The path with the base name of `name` through which the worst finding is reached.
fn starter(platform: &PlatformReport, name: &str) -> Option<String> {
    let mut findings: Vec<&Finding> = platform.findings.iter().collect();
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    let reached = findings.into_iter().flat_map(|finding| &finding.reached_by);
    reached.into_iter().find(|path| path.starts_with('/') && is_same(path, name)).cloned()
}

fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// The same path, or the same base name, because links and relative names hide directories.
pub fn is_same(path: &str, name: &str) -> bool {
    path == name || (!base_name(name).is_empty() && base_name(path) == base_name(name))
}
