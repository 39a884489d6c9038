//! Floor 4: the verdict. Pure: no I/O, no host, no clock.

mod archives;
mod cause;
pub mod code;
pub mod entry;
pub mod files;
pub mod finding;
pub mod labels;
mod natives;
mod others;
pub mod packages;
pub mod programs;
pub mod purpose;
pub mod reach;
mod runtimes;
mod siblings;
pub mod tokens;
pub mod windows;

use std::collections::{BTreeMap, BTreeSet};

use crate::exec::{self, Exec, Outcome, Step, Trace};
use crate::image::{Dangling, LinkFault, NodeId, Refusal, Refused, RootFs};
use crate::inspect::FileKind;
use crate::platform::{Arch, Target};
use code::{Code, Severity};
use entry::Start;
use finding::Finding;
use labels::{Agreement, Labels};
use programs::Programs;
use reach::{Chain, Reach};

/// One platform of an image, on one target.
pub struct Case<'a> {
    pub labels: Labels<'a>,
    pub rootfs: &'a RootFs<FileKind>,
    /// What is started; empty `argv` where the image names nothing.
    pub call: &'a Exec,
    /// The words that named it: `ENTRYPOINT ["app"]`.
    pub said_by: &'a str,
    /// HEALTHCHECK's command as words; empty where there is none.
    pub healthcheck: &'a [String],
    pub target: &'a Target,
    /// Names of purpose rules that are switched off.
    pub rules_off: &'a BTreeSet<String>,
}

/// What was judged.
pub struct Judgement {
    pub agreement: Agreement,
    /// `None` where nothing is started.
    pub trace: Option<Trace>,
    pub findings: Vec<Finding>,
    /// Runnable programs and libraries, and how many of each architecture.
    pub programs: usize,
    pub architectures: BTreeMap<Arch, usize>,
}

/// Judges one platform on one target.
pub fn judge(case: &Case<'_>) -> Judgement {
    let programs = Programs::collect(case.rootfs, &case.target.node);
    let start = Start { call: case.call, said_by: case.said_by, target: case.target };
    let trace = (!case.call.argv.is_empty()).then(|| exec::trace(case.rootfs, case.call, &case.target.node));
    let mut findings = match &trace {
        Some(trace) => entry::findings(&start, trace, case.rootfs),
        None => vec![Finding::new(Code::NothingStarts, "the image names no ENTRYPOINT and no CMD")],
    };
    findings.iter_mut().for_each(|finding| place_library(finding, &programs, case.rootfs));
    let health = healthcheck(case);
    findings.extend(health.finding);
    let steps = trace.as_ref().map_or(&[][..], |trace| &trace.steps);
    let way = entry::way(&start, steps);
    let chain = Chain {
        files: chain_files(case.rootfs, steps),
        health: chain_files(case.rootfs, &health.steps),
        path: search_path(&case.call.env),
        working_dir: &case.call.working_dir,
        env: &case.call.env,
    };
    let reach = Reach::of(case.rootfs, &programs, &chain);
    let files = files::Files {
        rootfs: case.rootfs,
        programs: &programs,
        reach: &reach,
        node: &case.target.node,
        rules_off: case.rules_off,
        chain: &way,
        told: &findings,
    };
    let mut found = files::judge_files(&files);
    found.findings.extend(packages::judge_packages(&files, &found.findings));
    found.findings.extend(dangling(case.rootfs));
    found.findings.extend(covered(case.rootfs));
    found.findings.extend(refused(case.rootfs));
    let (agreement, label) = labels::compare(case.labels, case.target, &programs, found.foreign);
    match agreement {
        // One finding says it; a line for every file would bury it.
        Agreement::WhollyForeign | Agreement::Mislabelled => {
            findings.extend(found.findings.into_iter().filter(|finding| finding.severity < Severity::Error));
        }
        _ => findings.extend(found.findings),
    }
    findings.extend(label);
    let count = programs.runnable().count();
    if count == 0 {
        findings.push(Finding::new(Code::NoPrograms, "no program was found in it"));
    }
    finding::sort(&mut findings);
    Judgement { agreement, trace, findings, programs: count, architectures: found.architectures }
}

/// Hard links that the engine which unpacks the image cannot make: one finding for each layer and reason.
fn dangling(rootfs: &RootFs<FileKind>) -> Vec<Finding> {
    let mut met: BTreeMap<(usize, LinkFault), (usize, &Dangling)> = BTreeMap::new();
    for link in rootfs.dangling() {
        met.entry((link.layer, link.fault)).or_insert((0, link)).0 += 1;
    }
    let finding = |((layer, fault), (count, link)): ((usize, LinkFault), (usize, &Dangling))| {
        let (path, target) = (String::from_utf8_lossy(&link.path), String::from_utf8_lossy(&link.target));
        let (code, severity, place) = match fault {
            LinkFault::Nowhere => (Code::HardLinkToNothing, Severity::Error, "is not in the image"),
            // Not every driver unpacks a layer apart from those below it.
            LinkFault::LowerLayer => (Code::HardLinkAcrossLayers, Severity::Warning, "is in a lower layer only"),
            LinkFault::TargetLater => (Code::HardLinkAcrossLayers, Severity::Error, "comes after it in the layer"),
        };
        let others =
            if count > 1 { format!("; {} more links of this layer are like it", count - 1) } else { String::new() };
        let text = format!("a hard link to /{target}, which {place}{others}");
        Finding::new(code, text).at(&format!("/{path}"), layer).severity(severity)
    };
    met.into_iter().map(finding).collect()
}

/// Entries that engines refuse: one finding for each layer and reason.
fn refused(rootfs: &RootFs<FileKind>) -> impl Iterator<Item = Finding> {
    rootfs.refused().map(|Refused { layer, why, path, count }| {
        let (text, severity) = match why {
            Refusal::Twice => (
                "the layer lists it twice: docker's classic store, podman and CRI-O refuse that, containerd does not",
                Severity::Warning,
            ),
            Refusal::HiddenHere => {
                ("the layer both brings and hides it: on overlayfs engines refuse that, `file exists`", Severity::Error)
            }
        };
        let others = if *count > 1 { format!("; {} more of this layer are like it", count - 1) } else { String::new() };
        let path = format!("/{}", String::from_utf8_lossy(path));
        Finding::new(Code::OddLayer, format!("{text}{others}")).at(&path, *layer).severity(severity)
    })
}

/// Layers that write below a link of a lower layer, which hides what was reached through it.
fn covered(rootfs: &RootFs<FileKind>) -> impl Iterator<Item = Finding> {
    rootfs.covered_links().iter().map(|link| {
        let (path, target) = (String::from_utf8_lossy(&link.path), String::from_utf8_lossy(&link.target));
        let text =
            format!("it has entries below {path}, a link to {target} in a lower layer: engines put a directory there");
        // What breaks by it is found on its own; what does not is well.
        let mut finding = Finding::new(Code::OddLayer, text).at(&path, link.layer).severity(Severity::Note);
        finding.hint = vec!["build the layer again, with the path that the link leads to".to_string()];
        finding
    })
}

/// A loader names a library by its soname; the file of that name which it passed over is the one to replace: one for
/// another architecture, else one that is no library.
fn place_library(finding: &mut Finding, programs: &Programs<'_>, rootfs: &RootFs<FileKind>) {
    let Some(soname) = finding.path.clone().filter(|path| !path.contains('/')) else { return };
    let is_named = |program: &programs::Program<'_>| {
        let own = program.elf.dynamic.as_ref().and_then(|dynamic| dynamic.soname.as_deref());
        own == Some(&*soname) || program.name() == soname
    };
    let is_passed_over = |program: &&programs::Program<'_>| program.fit == programs::Fit::Foreign && is_named(program);
    if let Some(program) = programs.all.iter().find(is_passed_over) {
        (finding.path, finding.layer) = (Some(program.path.clone()), Some(program.layer));
        return;
    }
    let named = rootfs.named(soname.as_bytes());
    let files = named.filter_map(|view| rootfs.resolve(String::from_utf8_lossy(&rootfs.path(view.id)).as_ref()).ok());
    let no_library = |id: &NodeId| rootfs.view(*id).fact.and_then(others::not_a_program);
    if let Some((id, is)) = files.filter_map(|id| Some((id, no_library(&id)?))).next() {
        finding.path = Some(String::from_utf8_lossy(&rootfs.path(id)).into_owned());
        finding.layer = Some(rootfs.view(id).layer);
        finding.is = is;
        finding.expected = "a library".to_string();
    }
}

/// The real files of a chain's steps.
fn chain_files(rootfs: &RootFs<FileKind>, steps: &[Step]) -> Vec<NodeId> {
    steps.iter().filter_map(|step| rootfs.resolve(step.path.as_deref()?).ok()).collect()
}

/// What containerd and docker put into a container whose image has no PATH.
pub const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// PATH of an environment.
pub fn search_path(env: &[String]) -> &str {
    env.iter().rev().find_map(|line| line.strip_prefix("PATH=")).unwrap_or(DEFAULT_PATH)
}

/// What a health check comes to.
#[derive(Default)]
struct Health {
    steps: Vec<Step>,
    finding: Option<Finding>,
}

/// A HEALTHCHECK that cannot run makes a working container unhealthy.
fn healthcheck(case: &Case<'_>) -> Health {
    if case.healthcheck.is_empty() {
        return Health::default();
    }
    let call = Exec { argv: case.healthcheck.to_vec(), ..case.call.clone() };
    let trace = exec::trace(case.rootfs, &call, &case.target.node);
    let (Outcome::Fails { at, cause, .. } | Outcome::Dies { at, cause, .. }) = &trace.outcome else {
        return Health { steps: trace.steps, finding: None };
    };
    let said_by = format!("HEALTHCHECK {}", case.healthcheck.join(" "));
    let start = Start { call: &call, said_by: &said_by, target: case.target };
    let mut finding =
        Finding::new(Code::HealthcheckFails, format!("the health check cannot run: {at}: {}", cause.text));
    let id = case.rootfs.resolve(at).ok();
    finding.path =
        Some(id.map_or_else(|| at.clone(), |id| String::from_utf8_lossy(&case.rootfs.path(id)).into_owned()));
    finding.layer = id.map(|id| case.rootfs.view(id).layer);
    finding.reached_by = entry::way(&start, &trace.steps);
    if let Some(step) = trace.steps.iter().find(|step| step.path == finding.path) {
        finding.is = step.what.clone();
    }
    // A program that is there and cannot start is no matter of taste.
    if finding.layer.is_some() {
        finding.severity = Severity::Error;
    }
    Health { steps: trace.steps, finding: Some(finding) }
}
