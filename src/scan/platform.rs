//! Judges one platform: selects its targets and the call, and combines the judgements.

use super::Options;
use super::call::{Purpose, Sandbox, StatedBy};
use super::model::{LayerReport, NamedFile, PlatformReport, Problem, RiskReport, StepReport, TargetReport, Undecided};
use crate::exec::{Certainty, Exec, Followed, OpenedFile, describe_kind, messages};
use crate::image::{NodeKind, RootFs};
use crate::inspect::FileKind;
use crate::judge::code::{Code, Severity};
use crate::judge::facts::programs::Programs;
use crate::judge::finding::{self, Finding};
use crate::judge::labels::Labels;
use crate::judge::{Judgement, PlatformCase, entry, judge, windows};
use crate::oci::{Digest, ImageConfig};
use crate::platform::{Arch, Node, Platform, Target};

/// Everything known about one platform before it is judged.
pub struct ScannedPlatform<'a> {
    pub promised: Option<&'a Platform>,
    pub declared: Option<&'a Platform>,
    pub digest: Option<&'a Digest>,
    pub config: &'a ImageConfig,
    pub rootfs: &'a RootFs<FileKind>,
    pub layers: Vec<LayerReport>,
    /// Why some of its layers could not be read.
    pub problems: Vec<Problem>,
}

impl<'a> ScannedPlatform<'a> {
    /// A root filesystem without labels.
    pub fn directory(config: &'a ImageConfig, rootfs: &'a RootFs<FileKind>) -> ScannedPlatform<'a> {
        ScannedPlatform {
            promised: None,
            declared: None,
            digest: None,
            config,
            rootfs,
            layers: Vec::new(),
            problems: Vec::new(),
        }
    }
}

/// Judges a platform on each of these targets.
pub fn judge_platform(subject: ScannedPlatform<'_>, targets: &[Target], options: &Options) -> PlatformReport {
    let start = options.call.start(&subject.config.run);
    let mut report = PlatformReport {
        digest: subject.digest.cloned(),
        layers: subject.layers,
        entries: subject.rootfs.entries(),
        starts: start.call.argv.clone(),
        named: options.call.named.as_deref().and_then(|name| named_file(subject.rootfs, name)),
        problems: subject.problems,
        ..PlatformReport::new(subject.promised.cloned(), subject.declared.cloned())
    };
    // Unread content could hide or replace any file that was read.
    if !report.problems.is_empty() {
        return report;
    }
    if let Some(arch) = windows_arch(&report) {
        on_windows(&mut report, subject.rootfs, arch);
        return report;
    }
    if let Some(problem) = unknown_start(options) {
        report.problems.push(problem);
        return report;
    }
    if targets.is_empty() {
        let is_directory = subject.digest.is_none();
        report.problems.push(no_target(subject.promised.or(subject.declared), subject.rootfs, is_directory));
        return report;
    }
    let healthcheck = healthcheck(&subject.config.run);
    for target in targets.iter().map(|target| options.call.on(target)) {
        let case = PlatformCase {
            labels: Labels { promised: subject.promised, declared: subject.declared },
            rootfs: subject.rootfs,
            call: &start.call,
            said_by: &start.said_by,
            healthcheck: &healthcheck,
            target: &target,
            rules_off: &options.rules_off,
        };
        let mut judgement = judge(&case);
        match (options.call.purpose, options.call.stated_by) {
            (Purpose::Mounted, _) => {
                judgement.findings.retain(|finding| !matches!(finding.code, Code::NothingStarts | Code::NoPrograms));
            }
            // A base image need not start anything; a container must.
            (Purpose::Started, StatedBy::Pod | StatedBy::Compose) => refuse_nothing(&mut judgement.findings),
            (Purpose::Started, StatedBy::Flags) | (Purpose::Mentioned, _) => {}
        }
        add(&mut report, &target, &start.call, judgement);
    }
    report.is_data_only = options.call.purpose != Purpose::Started && report.programs == 0;
    report
}

/// The file at this path, or the only file with this name.
fn named_file(rootfs: &RootFs<FileKind>, name: &str) -> Option<NamedFile> {
    let mut found = match name.starts_with('/') {
        true => rootfs.resolve(name).ok().map(|id| rootfs.view(id)).into_iter().collect::<Vec<_>>(),
        false => rootfs.named(name.rsplit('/').next().unwrap_or(name).as_bytes()).collect(),
    };
    found.retain(|view| view.kind == NodeKind::File);
    let [view] = found.as_slice() else { return None };
    Some(NamedFile {
        path: String::from_utf8_lossy(&rootfs.path(view.id)).into_owned(),
        is: describe_kind(view.fact),
        is_elf: matches!(view.fact, Some(FileKind::Elf(_))),
        layer: view.layer,
    })
}

/// Turns a missing command into an error: neither the image nor the container sets one.
fn refuse_nothing(findings: &mut [Finding]) {
    for finding in findings.iter_mut().filter(|finding| finding.code == Code::NothingStarts) {
        finding.severity = Severity::Error;
        finding.message = format!("{}, and the container sets no command", finding.message);
        finding.shown = messages::nothing_starts();
    }
    finding::sort(findings);
}

/// Why the call cannot be judged at all.
fn unknown_start(options: &Options) -> Option<Problem> {
    if options.call.sandbox == Sandbox::Wasm {
        let text = "its runtime class starts a WebAssembly module; only programs for Linux and Windows are supported";
        return Some(Problem::new(text, None));
    }
    options.call.unknown_program().map(|text| Problem::new(text, None))
}

/// The architecture of a Windows platform.
fn windows_arch(report: &PlatformReport) -> Option<Arch> {
    report.published().filter(|platform| platform.os == "windows")?.arch()
}

fn on_windows(report: &mut PlatformReport, rootfs: &RootFs<FileKind>, arch: Arch) {
    let (promised, declared) = (report.promised.clone(), report.declared.clone());
    let labels = Labels { promised: promised.as_ref(), declared: declared.as_ref() };
    let judged = windows::judge(labels, rootfs, &report.starts, arch);
    report.agreement = judged.agreement;
    report.programs = judged.programs;
    report.architectures = judged.architectures;
    report.findings = judged.findings;
}

/// Guesses the target of a directory, which has no label: the architecture of most of its programs, if one has more
/// than any other. The report states that it was not declared.
pub fn guess(rootfs: &RootFs<FileKind>) -> Option<Target> {
    let programs = Programs::collect(rootfs, &Node::plain(Arch::Amd64));
    let counted = programs.count();
    let (arch, most) = counted.iter().max_by_key(|(_, count)| **count)?;
    let is_alone = counted.values().filter(|count| *count == most).count() == 1;
    Target::of_platform(&Platform::linux(*arch)).filter(|_| is_alone)
}

/// Why a platform has no node to be judged on.
fn no_target(platform: Option<&Platform>, rootfs: &RootFs<FileKind>, is_directory: bool) -> Problem {
    let text = match platform {
        Some(platform) if platform.os != "linux" => {
            return Problem::new(format!("{platform}: only programs for Linux and Windows are supported"), None);
        }
        Some(platform) => format!("{platform} is not a known platform"),
        None if is_directory => {
            let text = "cannot infer the platform of a directory: its programs do not agree on one".to_string();
            return Problem::new(text, Some("state the platform, for example --platform linux/arm64".to_string()));
        }
        None => "neither an index nor the config names its platform".to_string(),
    };
    let hint = guess(rootfs)
        .map(|target| format!("most of its programs are for {0}; check it with --target {0}", target.name));
    Problem::new(text, hint)
}

/// The words that HEALTHCHECK executes.
fn healthcheck(run: &crate::oci::RunConfig) -> Vec<String> {
    match run.healthcheck.test.split_first() {
        Some((kind, rest)) if kind == "CMD" => rest.to_vec(),
        Some((kind, rest)) if kind == "CMD-SHELL" => {
            let shell =
                if run.shell.is_empty() { vec!["/bin/sh".to_string(), "-c".to_string()] } else { run.shell.clone() };
            shell.into_iter().chain(rest.iter().cloned()).collect()
        }
        _ => Vec::new(),
    }
}

/// Adds one target's judgement to the report. Findings that several targets share are listed once.
fn add(report: &mut PlatformReport, target: &Target, call: &Exec, judgement: Judgement) {
    report.programs = judgement.programs;
    report.architectures = judgement.architectures;
    report.agreement = judgement.agreement;
    for finding in judgement.findings {
        let is_known = report.findings.iter().any(|known| (known.code, &known.path) == (finding.code, &finding.path));
        if !is_known {
            report.findings.push(finding);
        }
    }
    crate::judge::finding::sort(&mut report.findings);
    let Some(trace) = judgement.trace else { return };
    let step = |step: &OpenedFile| StepReport {
        how: entry::link_word(&step.link),
        path: step.path.clone().unwrap_or_else(|| step.typed.clone()),
        is: step.what.clone(),
    };
    let risks = trace.risks.iter().map(|risk| RiskReport {
        by: format!("{}:{}", risk.by, risk.line),
        is_certain: risk.certainty == Certainty::Certain,
        steps: risk.steps.iter().map(step).collect(),
        outcome: risk.outcome.clone(),
    });
    let undecided = match &trace.followed {
        Followed::Full => None,
        Followed::Partial { at, why } => Some(Undecided { at: at.clone(), why: why.clone() }),
    };
    report.targets.push(TargetReport {
        name: target.name.clone(),
        steps: trace.steps.iter().map(step).collect(),
        risks: risks.collect(),
        shown: messages::messages(&trace, call),
        outcome: trace.outcome,
        undecided,
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_needs_a_program_and_a_base_image_does_not() {
        let base = Finding::new(Code::NothingStarts, "the image sets neither ENTRYPOINT nor CMD");
        assert_eq!(base.severity, Severity::Note);
        let mut findings = vec![Finding::new(Code::NoPrograms, "no program was found in the image"), base];
        refuse_nothing(&mut findings);
        let refused = findings.iter().find(|finding| finding.code == Code::NothingStarts).unwrap();
        assert_eq!(refused.severity, Severity::Error);
        assert!(refused.message.ends_with("and the container sets no command"));
        assert!(!refused.shown.is_empty());
    }
}
