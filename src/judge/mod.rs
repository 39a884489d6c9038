//! The verdict on one platform of an image. Pure: no I/O, no host, no clock.

pub mod cause;
pub mod code;
mod cpu;
pub mod entry;
pub mod facts;
pub mod files;
pub mod finding;
mod health;
pub mod labels;
mod library;
mod links;
pub mod rules;
pub mod shipped;
pub mod windows;

use std::collections::{BTreeMap, BTreeSet};

use crate::exec::{self, Exec, Followed, OpenedFile, Trace};
use crate::image::{NodeId, RootFs};
use crate::inspect::{self, FileKind};
use crate::platform::{Arch, Target};
use code::{Code, Severity};
use entry::JudgedCall;
use facts::chain::Chain;
use facts::libraries::Libraries;
use facts::programs::Programs;
use facts::reach::ReachFacts;
use finding::Finding;
use labels::{Agreement, Labels};

/// One platform of an image, on one target.
pub struct PlatformCase<'a> {
    pub labels: Labels<'a>,
    pub rootfs: &'a RootFs<FileKind>,
    /// The call; `argv` is empty if the image sets no command.
    pub call: &'a Exec,
    /// The setting that names the call: `ENTRYPOINT ["app"]`.
    pub said_by: &'a str,
    /// HEALTHCHECK's command as words; empty if there is none.
    pub healthcheck: &'a [String],
    pub target: &'a Target,
    /// Names of disabled purpose rules.
    pub rules_off: &'a BTreeSet<String>,
}

/// The verdict on one platform.
pub struct Judgement {
    pub agreement: Agreement,
    /// `None`: nothing is started.
    pub trace: Option<Trace>,
    pub findings: Vec<Finding>,
    /// Number of runnable programs and libraries, and of each architecture.
    pub programs: usize,
    pub architectures: BTreeMap<Arch, usize>,
}

/// Judges one platform on one target.
pub fn judge(case: &PlatformCase<'_>) -> Judgement {
    let programs = Programs::collect(case.rootfs, &case.target.node);
    let start = JudgedCall { call: case.call, said_by: case.said_by, target: case.target };
    let trace = (!case.call.argv.is_empty()).then(|| exec::trace(case.rootfs, case.call, &case.target.node));
    let mut findings = match &trace {
        Some(trace) => entry::findings(&start, trace, case.rootfs),
        None => vec![Finding::new(Code::NothingStarts, "the image sets neither ENTRYPOINT nor CMD")],
    };
    let libraries = Libraries::from_rootfs(case.rootfs, &programs, &case.call.env);
    if let Some(trace) = &trace {
        let path = search_path(&case.call.env);
        for finding in &mut findings {
            library::place_library(finding, trace, &programs, case.rootfs);
            library::place_need(finding, (trace, &case.call.env), &libraries, &programs);
            links::explain(finding, trace, path, case.rootfs);
        }
        cpu::harden(&mut findings, trace, &programs, &case.target.node);
    }
    let health = health::healthcheck(case);
    findings.extend(health.finding);
    let steps = trace.as_ref().map_or(&[][..], |trace| &trace.steps);
    let route = entry::route(&start, steps);
    let mut files = chain_files(case.rootfs, steps);
    if let Some(trace) = &trace {
        files.extend(chain_files(case.rootfs, &trace.visited));
        trace.risks.iter().for_each(|risk| files.extend(chain_files(case.rootfs, &risk.steps)));
    }
    let followed = trace.as_ref().filter(|trace| trace.followed == Followed::Full);
    let lines = followed.iter().flat_map(|trace| &trace.lines);
    let no_arguments = BTreeMap::new();
    let chain = Chain {
        lines: lines.filter_map(|(script, lines)| Some((all_run(case.rootfs, script)?, lines))).collect(),
        arguments: trace.as_ref().map_or(&no_arguments, |trace| &trace.arguments),
        tried: trace.as_ref().map(|trace| chain_files(case.rootfs, &trace.tried)).unwrap_or_default(),
        files,
        health: chain_files(case.rootfs, &health.steps),
        path: search_path(&case.call.env),
        working_dir: &case.call.working_dir,
        env: &case.call.env,
        argv: &case.call.argv,
    };
    let reach = ReachFacts::from_rootfs(case.rootfs, &programs, &chain);
    let files = files::FileRuleInput {
        rootfs: case.rootfs,
        programs: &programs,
        reach: &reach,
        libraries: &libraries,
        node: &case.target.node,
        rules_off: case.rules_off,
        chain: &route,
        argv: &case.call.argv,
        env: &case.call.env,
        reported: &findings,
    };
    let found = rules::judge(&files);
    // A setting may choose the program for another platform, but the usual one is there.
    let is_choice = |finding: &Finding| {
        let is_double = finding.path.as_ref().is_some_and(|path| found.doubles.contains(path));
        finding.code == Code::EntrypointWrongArch && finding.severity == Severity::Warning && is_double
    };
    findings.retain(|finding| !is_choice(finding));
    let (agreement, label) = labels::compare(case.labels, case.target, &programs, found.foreign);
    match agreement {
        // One finding covers it; a line for every file would bury it.
        Agreement::WhollyForeign | Agreement::Mislabelled => {
            findings.extend(found.findings.into_iter().filter(|finding| finding.severity < Severity::Error));
        }
        _ => findings.extend(found.findings),
    }
    findings.extend(label);
    let count = programs.runnable().count();
    if count == 0 {
        findings.push(Finding::new(Code::NoPrograms, "no program was found in the image"));
    }
    finding::sort(&mut findings);
    Judgement { agreement, trace, findings, programs: count, architectures: found.architectures }
}

/// A script whose commands run only as followed: a shell runs it, and it sets no trap, which runs at an unknown time.
fn all_run(rootfs: &RootFs<FileKind>, path: &str) -> Option<NodeId> {
    let id = rootfs.resolve(path).ok()?;
    let Some(FileKind::Script(script)) = rootfs.view(id).fact else { return None };
    let is_of_shell = script.shebang.as_ref().is_ok_and(inspect::is_shell);
    (is_of_shell && !script.text.windows(5).any(|part| part == b"trap ")).then_some(id)
}

/// The real files of a chain's steps.
fn chain_files(rootfs: &RootFs<FileKind>, steps: &[OpenedFile]) -> Vec<NodeId> {
    steps.iter().filter_map(|step| rootfs.resolve(step.path.as_deref()?).ok()).collect()
}

/// The PATH that containerd and docker set if the image has none.
pub const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// PATH of an environment.
pub fn search_path(env: &[String]) -> &str {
    env.iter().rev().find_map(|line| line.strip_prefix("PATH=")).unwrap_or(DEFAULT_PATH)
}
