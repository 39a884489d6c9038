//! Summarises a cluster: which workloads fail or will fail, on which nodes and why, what to do, and which images could
//! not be judged. Pure: turns uses of images and their scans into data, which `report` formats.

use std::collections::{BTreeMap, BTreeSet};

use super::case::failures;
use crate::exec::Outcome;
use crate::exec::messages::Shown;
use crate::judge::cause;
use crate::judge::code::{Code, Severity};
use crate::judge::finding::Finding;
use crate::kube::object::PodObject;
use crate::kube::workload::owner;
use crate::kube::{ImageUse, Nodes};
use crate::oci::Digest;
use crate::scan::{ImageReport, PlatformReport, Verdict};

/// The summary of a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overview {
    pub nodes: usize,
    pub groups: usize,
    pub pods: usize,
    pub workloads: usize,
    /// Number of distinct images.
    pub images: usize,
    /// Images that were read completely and start on all nodes where they run or may run.
    pub healthy: usize,
    /// Images that do not start on some node.
    pub troubled: usize,
    /// Images that could not be judged.
    pub unknown: usize,
    /// Sorted: current failures first.
    pub troubles: Vec<Trouble>,
    /// Containers that fail now though their images start on their nodes, or of whose images it is not known.
    pub others: Vec<Failing>,
    pub untold: Vec<Untold>,
    /// Workloads that no node may run, each with an obstacle.
    pub homeless: Vec<(String, String)>,
    /// Errors of lists that could not be read, so that the summary is incomplete.
    pub unread: Vec<String>,
}

/// An image that does not start where it runs or may run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// `shop/deployment/checkout, container app`.
    pub used_by: Vec<String>,
    pub image: String,
    pub digest: Option<Digest>,
    /// Containers of `used_by` that are failing now. Empty for a future failure.
    pub now: Vec<Failing>,
    pub places: Vec<NodeGroup>,
    /// One sentence, lower case.
    pub why: String,
    /// The message that the first front end prints. Empty if it prints nothing.
    pub shown: String,
    /// How to fix it: text first, then commands.
    pub act: Vec<String>,
}

/// Nodes of one target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeGroup {
    pub target: String,
    pub nodes: Vec<String>,
}

/// Containers of one workload that fail in the same way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failing {
    pub used_by: String,
    /// The kubelet's reason: `CrashLoopBackOff`.
    pub state: String,
    pub failing: usize,
    /// Pods of the workload.
    pub of: usize,
    pub namespace: String,
    /// One of its pods.
    pub pod: String,
    /// The argument for `imgarch diagnose`: the workload if its kind selects its pods, otherwise the pod.
    pub subject: String,
    /// Whether its image was judged.
    pub is_judged: bool,
    /// Targets of the nodes that its failing pods are on.
    pub targets: BTreeSet<String>,
}

/// An image that could not be judged, because a fact that decides its verdict is unknown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Untold {
    pub used_by: Vec<String>,
    pub image: String,
    pub why: String,
    pub hint: Option<String>,
}

/// The objects and reports that the caller read.
#[derive(Debug)]
pub struct ClusterFacts<'a> {
    pub uses: &'a [ImageUse],
    /// One for each use.
    pub reports: &'a [ImageReport],
    pub nodes: &'a Nodes,
    pub pods: &'a [PodObject],
    pub workloads: usize,
}

pub fn overview(seen: &ClusterFacts<'_>) -> Overview {
    let failing = failing(seen.pods, seen.nodes);
    let mut found = Overview {
        nodes: seen.nodes.groups.iter().map(|group| group.nodes.len()).sum(),
        groups: seen.nodes.groups.len(),
        pods: seen.pods.len(),
        workloads: seen.workloads,
        ..Overview::default()
    };
    // An image is counted once, with the worst verdict of its starts.
    let mut images: BTreeMap<String, Verdict> = BTreeMap::new();
    let (mut explained, mut unknown) = (BTreeSet::new(), BTreeSet::new());
    for (one, report) in seen.uses.iter().zip(seen.reports) {
        let troubles = troubles(one, report, seen.nodes, &failing);
        let untold = untold(one, report);
        let verdict = match (troubles.is_empty(), &untold) {
            (false, _) => Verdict::Broken,
            (true, Some(_)) => Verdict::Unknown,
            (true, None) => Verdict::Fine,
        };
        let key = report.digest.as_ref().map_or_else(|| one.image.clone(), ToString::to_string);
        let known = images.entry(key).or_insert(verdict);
        *known = verdict.max(*known);
        for (key, now) in failing_of(one, &failing) {
            if troubles.iter().any(|trouble| trouble.now.contains(now)) {
                explained.insert(key.clone());
            } else if untold.is_some() {
                unknown.insert(key.clone());
            }
        }
        found.troubles.extend(troubles);
        found.untold.extend(untold);
    }
    found.images = images.len();
    let count = |wanted| images.values().filter(|verdict| **verdict == wanted).count();
    (found.healthy, found.troubled, found.unknown) =
        (count(Verdict::Fine), count(Verdict::Broken), count(Verdict::Unknown));
    found.troubles.sort_by_key(|trouble| (trouble.now.is_empty(), trouble.used_by.clone()));
    let others = failing.into_iter().filter(|(key, _)| !explained.contains(key));
    found.others = others.map(|(key, failing)| Failing { is_judged: !unknown.contains(&key), ..failing }).collect();
    found
}

/// Title of a use, and the image's name in the pod.
type UseKey = (String, String);

/// Failing containers by their uses.
fn failing(pods: &[PodObject], nodes: &Nodes) -> BTreeMap<UseKey, Failing> {
    let mut all: BTreeMap<UseKey, Failing> = BTreeMap::new();
    let mut siblings: BTreeMap<(Option<&str>, String), usize> = BTreeMap::new();
    for pod in pods {
        *siblings.entry((pod.metadata.namespace.as_deref(), owner(pod))).or_default() += 1;
    }
    for pod in pods {
        let namespace = pod.metadata.namespace.clone().unwrap_or_else(|| "default".to_string());
        let own = (pod.metadata.namespace.as_deref(), owner(pod));
        for failure in failures(pod, &[]) {
            let container = &failure.container;
            let used_by = format!("{namespace}/{}, {} {}", owner(pod), container.role.word(), container.name);
            let image = failure.image_by_digest.clone().unwrap_or_else(|| container.image.clone());
            let entry = all.entry((used_by.clone(), image)).or_insert_with(|| Failing {
                used_by,
                state: failure.state.clone(),
                failing: 0,
                of: siblings.get(&own).copied().unwrap_or_default(),
                namespace: namespace.clone(),
                pod: pod.metadata.name.clone(),
                is_judged: true,
                targets: BTreeSet::new(),
                subject: Some(owner(pod)).filter(|owner| is_selecting(owner)).unwrap_or(pod.metadata.name.clone()),
            });
            entry.failing += 1;
            let group = pod.spec.node_name.as_deref().and_then(|node| nodes.group_of(node));
            entry.targets.extend(group.map(|group| nodes.title(group)));
        }
    }
    all
}

/// Whether a pod's owner, as KIND/NAME, selects its pods by labels.
pub fn is_selecting(owner: &str) -> bool {
    ["deployment/", "rollout/", "replicaset/", "statefulset/", "daemonset/", "job/"]
        .iter()
        .any(|kind| owner.starts_with(kind))
}

fn failing_of<'a>(one: &ImageUse, failing: &'a BTreeMap<UseKey, Failing>) -> Vec<(&'a UseKey, &'a Failing)> {
    let keys = one.used_by.iter().flat_map(|title| one.names.iter().map(|image| (title.clone(), image.clone())));
    keys.collect::<BTreeSet<UseKey>>().iter().filter_map(|key| failing.get_key_value(key)).collect()
}

/// Why a use does not start. Each reason is listed once with its places.
fn troubles(one: &ImageUse, report: &ImageReport, nodes: &Nodes, failing: &BTreeMap<UseKey, Failing>) -> Vec<Trouble> {
    let mut reasons: Vec<Trouble> = Vec::new();
    let now: Vec<Failing> = failing_of(one, failing).into_iter().map(|(_, failing)| failing.clone()).collect();
    let mut add = |target: &str, why: String, shown: String, act: &[String]| {
        let place = place(target, nodes);
        match reasons.iter_mut().find(|known| known.why == why) {
            Some(known) => known.places.push(place),
            None => reasons.push(Trouble {
                used_by: one.used_by.clone(),
                image: report.name.clone(),
                digest: report.digest.clone(),
                now: now.clone(),
                places: vec![place],
                why,
                shown,
                act: act.to_vec(),
            }),
        }
    };
    for finding in report.findings.iter().filter(|finding| finding.code == Code::NoPlatformForTarget) {
        let target = finding.target.as_deref().unwrap_or_default();
        let why = "the image has nothing for these nodes' platform".to_string();
        add(target, why, first_line(&finding.shown).to_string(), &finding.hint);
    }
    for platform in &report.platforms {
        let worst = worst(platform, &[]);
        // Findings on a start that fails on another target do not apply to a start that works.
        let elsewhere: Vec<Code> = platform.targets.iter().filter_map(|target| cause::code(&target.outcome)).collect();
        let later = self::worst(platform, &elsewhere);
        for target in &platform.targets {
            let shown = first_line(&target.shown);
            match &target.outcome {
                Outcome::Fails { at, cause, .. } | Outcome::Dies { at, cause, .. } => {
                    let by_path = platform.findings.iter().find(|finding| finding.path.as_deref() == Some(at));
                    let is_other = cause::code(&target.outcome) == Some(Code::EntrypointWrongArch);
                    let pin = pin(report).filter(|_| is_other);
                    let act = pin.or(by_path).or(worst).map_or(&[][..], |finding| &finding.hint);
                    let why = pin.map_or_else(|| format!("{at}: {}", cause.text), |pin| pin.message.clone());
                    add(&target.name, why, shown.to_string(), act);
                }
                Outcome::Runs | Outcome::Emulated { .. } => {
                    if let Some(finding) = later {
                        let path = finding.path.as_deref().map_or_else(String::new, |path| format!("{path}: "));
                        add(
                            &target.name,
                            format!("it starts, but {path}{}", finding.message),
                            String::new(),
                            &finding.hint,
                        );
                    }
                }
                Outcome::Unknown { .. } => {}
            }
        }
    }
    // What fails on other nodes fails for another reason.
    for Trouble { now, places, .. } in &mut reasons {
        let is_here = |one: &Failing| places.iter().any(|place| one.targets.contains(&place.target));
        now.retain(|one| one.targets.is_empty() || is_here(one));
    }
    reasons
}

/// The finding that the image's digest pins another platform than its nodes need.
pub fn pin(report: &ImageReport) -> Option<&Finding> {
    let is_pin = |one: &&Finding| one.code == Code::DigestPinsPlatform && one.severity == Severity::Error;
    report.findings.iter().find(is_pin)
}

/// The first line of what the most common front end prints. Empty if it prints nothing.
fn first_line(shown: &[Shown]) -> &str {
    shown.first().and_then(|shown| shown.text.lines().next()).unwrap_or_default()
}

/// The first error without any of these codes.
fn worst<'a>(platform: &'a PlatformReport, without: &[Code]) -> Option<&'a Finding> {
    let mut errors = platform.findings.iter().filter(|finding| finding.severity == Severity::Error);
    errors.find(|finding| !without.contains(&finding.code))
}

/// The first fact about a use that could not be read or decided.
fn untold(one: &ImageUse, report: &ImageReport) -> Option<Untold> {
    let problems = report.problems.iter().chain(report.platforms.iter().flat_map(|platform| &platform.problems));
    let outcomes = report.platforms.iter().flat_map(|platform| &platform.targets).map(|target| &target.outcome);
    let undecided = outcomes.filter_map(|outcome| match outcome {
        Outcome::Unknown { at, cause } => Some((format!("{at}: {}", cause.text), None)),
        _ => None,
    });
    let empty = report.platforms.iter().filter(|platform| platform.problems.is_empty() && platform.programs == 0);
    let empty = empty.map(|platform| (format!("no program was found in {}", platform.name()), None));
    let unread = problems.map(|problem| (problem.text.clone(), problem.hint.clone()));
    let (why, hint) = unread.chain(undecided).chain(empty).next()?;
    Some(Untold { used_by: one.used_by.clone(), image: report.name.clone(), why, hint })
}

/// The nodes of a target's group, if it has one.
fn place(target: &str, nodes: &Nodes) -> NodeGroup {
    let group = nodes.groups.iter().find(|group| nodes.title(group) == target);
    NodeGroup { target: target.to_string(), nodes: group.map_or_else(Vec::new, |group| group.nodes.clone()) }
}

#[cfg(test)]
#[path = "overview_tests.rs"]
mod tests;
