//! Diagnoses the failing containers of a cluster's pods: each by its image, judged on the pod's own node.

use std::collections::BTreeMap;

use super::last_good::{self, Failed};
use super::{Answer, Evidence, Failure, Names, ReadImage, Suspect, Symptom, answer, failures, recognise};
use crate::kube::object::{EventObject, PodObject};
use crate::kube::workload::owner;
use crate::kube::{Cluster, Group, KubeError, Nodes, Scope, nodes, revision};
use crate::platform::target;
use crate::scan::{CallOverride, ImageReport};

/// Which pods to look at.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// A pod, or a workload as `KIND/NAME`; `None`: every pod of the namespaces.
    pub subject: Option<&'a str>,
    /// `None`: the context's own.
    pub namespace: Option<&'a str>,
    /// Without a subject: the pods of every namespace.
    pub all_namespaces: bool,
}

/// Why a cluster's pods were not diagnosed.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    #[error(transparent)]
    Kube(#[from] KubeError),
    #[error("{subject} does not select its pods by labels; name one of its pods")]
    NoSelector { subject: String },
    #[error("no container of {what} fails now ({pods} seen)")]
    NothingFails { what: String, pods: usize },
}

/// A failing container with everything known about it, and every pod that fails in the same way.
struct Case {
    failure: Failure,
    symptoms: Vec<Symptom>,
    pods: Vec<PodObject>,
    /// Pods of the same owner, failing or not.
    of: usize,
}

/// The connection, its nodes, and how images are read.
struct Sources<'a> {
    cluster: &'a Cluster,
    nodes: Nodes,
    read: Option<ReadImage<'a>>,
}

/// Answers for every failing container that `question` asks about. Without `read`, only from what the cluster reports.
/// `notes` receives what could not be read and only makes the answers less complete.
pub fn diagnose(
    cluster: &Cluster,
    question: Question<'_>,
    read: Option<ReadImage<'_>>,
    notes: &mut Vec<String>,
) -> Result<Vec<Answer>, ClusterError> {
    let namespace = question.namespace.unwrap_or(&cluster.namespace);
    let (title, pods) = pods(question, cluster, namespace)?;
    // Forbidden nodes leave the architecture unknown, but not the whole question.
    let nodes = match cluster.nodes() {
        Ok(objects) => nodes::group(&objects),
        Err(error) => {
            notes.push(format!("{error}: the nodes are unknown"));
            Nodes::default()
        }
    };
    let cases = cases(cluster, &pods, notes);
    if cases.is_empty() {
        let what = title.unwrap_or_else(|| match question.all_namespaces {
            true => "any namespace".to_string(),
            false => format!("namespace {namespace}"),
        });
        return Err(ClusterError::NothingFails { what, pods: pods.len() });
    }
    let sources = Sources { cluster, nodes, read };
    let answers = cases.iter().map(|case| answer_case(&sources, case, title.as_deref(), notes));
    Ok(answers.collect::<Vec<_>>().into_iter().flatten().collect())
}

/// The pods that were asked for, and a workload's title.
fn pods(
    question: Question<'_>,
    cluster: &Cluster,
    namespace: &str,
) -> Result<(Option<String>, Vec<PodObject>), ClusterError> {
    let Some(subject) = question.subject else {
        let scope = Scope { namespace: (!question.all_namespaces).then(|| namespace.to_string()), selector: None };
        return Ok((None, cluster.pods(&scope)?));
    };
    match subject.split_once('/') {
        None | Some(("pod" | "pods" | "po", _)) => {
            let name = subject.rsplit('/').next().unwrap_or(subject);
            Ok((Some(format!("pod/{name}")), vec![cluster.pod(namespace, name)?]))
        }
        Some((kind, name)) => {
            let object = cluster.workload(namespace, kind, name)?;
            let kind = object["kind"].as_str().unwrap_or(kind).to_ascii_lowercase();
            let title = Some(format!("{kind}/{name}"));
            let scope = |selector| Scope { namespace: Some(namespace.to_string()), selector };
            if kind == "cronjob" {
                // A CronJob selects nothing itself: its jobs do.
                let jobs = revision::owned("cronjob", name, &cluster.jobs(namespace)?);
                let pods = cluster.pods(&scope(None))?;
                let is_its = |pod: &PodObject| {
                    pod.metadata.owner_references.iter().any(|owner| owner.kind == "Job" && jobs.contains(&owner.name))
                };
                return Ok((title, pods.into_iter().filter(is_its).collect()));
            }
            let Some(selector) = revision::selector(&object) else {
                return Err(ClusterError::NoSelector { subject: format!("{kind}/{name}") });
            };
            Ok((title, cluster.pods(&scope(Some(selector)))?))
        }
    }
}

/// Failing containers; those of one owner that fail alike are one case.
fn cases(cluster: &Cluster, pods: &[PodObject], notes: &mut Vec<String>) -> Vec<Case> {
    let mut cases: BTreeMap<String, Case> = BTreeMap::new();
    for pod in pods {
        let namespace = pod.metadata.namespace.as_deref().unwrap_or("default");
        let mut events: Option<Vec<EventObject>> = None;
        for mut failure in failures(pod, &[]) {
            let key = |failure: &Failure, symptoms: &[Symptom]| {
                let signs: Vec<_> = symptoms.iter().map(|symptom| symptom.sign).collect();
                let image = failure.image_by_digest.as_ref().unwrap_or(&failure.container.image);
                format!("{namespace} {} {} {image} {signs:?}", owner(pod), failure.container.name)
            };
            let log = log(cluster, namespace, pod, &failure.container.name, notes);
            failure.circumstances.has_output = log.as_ref().map(|log| !log.trim().is_empty());
            let mut text = format!("{}\n{}", log.unwrap_or_default(), failure.messages);
            let mut symptoms = recognise(&text);
            if symptoms.is_empty() {
                // Events are asked for only where nothing else speaks: they are many.
                let events = events.get_or_insert_with(|| {
                    cluster.events(namespace, &pod.metadata.name).unwrap_or_else(|error| {
                        notes.push(error.to_string());
                        Vec::new()
                    })
                });
                let told = failures(pod, events).into_iter().find(|told| told.container.name == failure.container.name);
                text = told.map_or(text, |told| told.messages);
                symptoms = recognise(&text);
            }
            let of = pods.iter().filter(|other| owner(other) == owner(pod)).count();
            let case =
                cases.entry(key(&failure, &symptoms)).or_insert(Case { failure, symptoms, pods: Vec::new(), of });
            case.pods.push(pod.clone());
        }
    }
    cases.into_values().collect()
}

/// The previous run's tail, or this one's where there was none before.
fn log(
    cluster: &Cluster,
    namespace: &str,
    pod: &PodObject,
    container: &str,
    notes: &mut Vec<String>,
) -> Option<String> {
    let name = &pod.metadata.name;
    match cluster
        .log_tail(namespace, name, container, true)
        .or_else(|_| cluster.log_tail(namespace, name, container, false))
    {
        Ok(log) => Some(log),
        Err(error) => {
            if error.is_forbidden() {
                notes.push(error.to_string());
            }
            None
        }
    }
}

fn answer_case(sources: &Sources<'_>, case: &Case, title: Option<&str>, notes: &mut Vec<String>) -> Option<Answer> {
    let failure = &case.failure;
    let pod = &case.pods[0];
    let group = pod.spec.node_name.as_deref().and_then(|node| sources.nodes.group_of(node));
    let target = group.map(|group| group.target.clone());
    let namespace = pod.metadata.namespace.as_deref().unwrap_or("default");
    // By digest where the node names one: the tag may have moved since.
    let image = failure.image_by_digest.clone().unwrap_or_else(|| failure.container.image.clone());
    let container = &failure.container;
    let report = sources.read.map(|read| {
        let call = CallOverride { entrypoint: container.command.clone(), args: container.args.clone() };
        let report = read(&image, target.iter().cloned().collect(), call);
        notes.extend(report.problems.iter().map(|problem| format!("{image}: {}", problem.text)));
        report
    });
    let names = Names {
        image: Some(container.image.clone()),
        origin: None,
        target: target.as_ref().map(target::text),
        platform: target.as_ref().map(|target| target.platform.to_string()),
        path: case.symptoms.iter().find_map(|symptom| symptom.path.clone()),
        node: pod.spec.node_name.clone(),
        pod: Some(format!("{} -n {namespace}", pod.metadata.name)),
    };
    let judged = report.as_ref().map(|report| (report, target.as_ref().map(|target| target.name.as_str())));
    let evidence = Evidence {
        subject: subject(case, title),
        symptoms: &case.symptoms,
        circumstances: failure.circumstances.clone(),
        names,
        place: group.map(|group| place(group, case)),
        judged,
        now: Vec::new(),
    };
    let mut found = answer(&evidence)?;
    found.now = now(&found, pod, namespace, report.as_ref());
    if let (Some(report), Some(read), true) = (&report, sources.read, another_image_helps(found.suspect)) {
        let failed = Failed { pod, failure, target: target.as_ref(), report };
        if let Some(good) = last_good::find(sources.cluster, &failed, read, notes) {
            found.evidence.push(good.evidence);
            // The last good revision is named: going back by one may not be far enough.
            found.now.retain(|line| !line.contains("rollout undo"));
            found.now.splice(0..0, good.now);
        }
    }
    Some(found)
}

/// Whether another image would help.
fn another_image_helps(suspect: Suspect) -> bool {
    !matches!(suspect, Suspect::NodeCopy | Suspect::OutOfMemory | Suspect::ProgramItself | Suspect::NoExecMount)
}

/// `deployment/checkout (3 of 6 pods), container app, CrashLoopBackOff`.
fn subject(case: &Case, title: Option<&str>) -> String {
    let pod = &case.pods[0];
    let owner = title.map_or_else(|| owner(pod), str::to_string);
    let pods = match (case.pods.len(), case.of) {
        (1, 1) => String::new(),
        (failing, all) => format!(" ({failing} of {all} pods)"),
    };
    let role = case.failure.container.role.word();
    format!("{owner}{pods}, {role} {}, {}", case.failure.container.name, case.failure.state)
}

fn place(group: &Group, case: &Case) -> String {
    let mut names: Vec<&str> = case.pods.iter().filter_map(|pod| pod.spec.node_name.as_deref()).collect();
    names.sort_unstable();
    names.dedup();
    let label = group.profile.map_or_else(String::new, |row| format!(", {}", row.label));
    let node = format!("{} ({}{label})", group.target.name, group.target.platform);
    match names.as_slice() {
        [one] => format!("node {one} is {node}"),
        [first, second, rest @ ..] if rest.len() > 1 => {
            format!("nodes {first}, {second} and {} more are {node}", rest.len())
        }
        many => format!("nodes {} are {node}", many.join(", ")),
    }
}

/// What helps before the image is fixed.
fn now(answer: &Answer, pod: &PodObject, namespace: &str, report: Option<&ImageReport>) -> Vec<String> {
    if answer.suspect == Suspect::NodeCopy {
        return Vec::new();
    }
    let owner = owner(pod);
    let mut lines = Vec::new();
    if owner.starts_with("deployment/") || owner.starts_with("statefulset/") || owner.starts_with("daemonset/") {
        lines.push(format!("kubectl -n {namespace} rollout undo {owner}   # to the revision before, if that one ran"));
        // Where every program is of one architecture, the image runs on nodes of that one.
        let only = report.and_then(|report| {
            match report
                .platforms
                .iter()
                .find(|one| !one.targets.is_empty())?
                .architectures
                .keys()
                .collect::<Vec<_>>()
                .as_slice()
            {
                [one] => Some(**one),
                _ => None,
            }
        });
        if let (Suspect::WrongArchitecture | Suspect::No32Bit, Some(arch)) = (answer.suspect, only) {
            let patch = format!(
                r#"{{"spec":{{"template":{{"spec":{{"nodeSelector":{{"kubernetes.io/arch":"{}"}}}}}}}}}}"#,
                arch.oci()
            );
            lines.push(format!("kubectl -n {namespace} patch {owner} -p '{patch}'   # onto {} nodes", arch.oci()));
        }
    }
    lines
}
