//! Diagnoses the failing containers of a cluster's pods: each by its image, judged on the pod's own node.

use rayon::prelude::*;

pub use super::last_good::ReadImage;
use super::last_good::{self, FailedPod};
use super::log_source::LogSource;
use super::message::Sign;
use super::overview::is_selecting;
use super::{
    Answer, Evidence, FailingGroup, Failure, Names, Suspect, Symptom, answer, failing_groups, failures, file,
    newest_cpu, recognise,
};
use crate::kube::object::PodObject;
use crate::kube::workload::owner;
use crate::kube::{Cluster, KubeError, Nodes, NodesAlike, Scope, nodes, revision};
use crate::platform::target;
use crate::scan::{CallOverride, ImageReport};

/// Which pods to look at.
#[derive(Clone, Copy, Debug)]
pub struct PodQuestion<'a> {
    /// A pod, or a workload as `KIND/NAME`; `None`: every pod of the namespaces.
    pub subject: Option<&'a str>,
    /// `None`: the context's namespace.
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
    #[error("no container of {what} is failing (pods seen: {pods})")]
    NothingFails { what: String, pods: usize },
}

/// A failing container with everything known about it, and every pod that fails in the same way.
struct FailingCase {
    failure: Failure,
    symptoms: Vec<Symptom>,
    pods: Vec<PodObject>,
    /// Pods of the same owner, failing or not.
    of: usize,
    /// Platform of their nodes. Empty if unknown.
    machine: String,
}

/// The connection, its nodes, and how images are read.
struct Sources<'a> {
    cluster: &'a Cluster,
    nodes: Nodes,
    read: Option<ReadImage<'a>>,
    /// Whether pods of several namespaces are answered.
    is_wide: bool,
}

/// Failing containers that are answered side by side: most of the time servers are waited for.
const AT_ONCE: usize = 8;

/// Receives each answer as soon as it is found, in any order.
pub type ShowAnswer<'a> = &'a (dyn Fn(&Answer) + Sync);

/// Answers for every failing container that `question` asks about, by cause. Without `read`, only from what the cluster
/// reports. `notes` receives what could not be read and only makes the answers less complete.
pub fn diagnose(
    cluster: &Cluster,
    question: PodQuestion<'_>,
    read: Option<ReadImage<'_>>,
    show: ShowAnswer<'_>,
    notes: &mut Vec<String>,
) -> Result<Vec<Answer>, ClusterError> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(AT_ONCE).build().expect("threads can be started");
    pool.install(|| diagnose_all(cluster, question, read, show, notes))
}

fn diagnose_all(
    cluster: &Cluster,
    question: PodQuestion<'_>,
    read: Option<ReadImage<'_>>,
    show: ShowAnswer<'_>,
    notes: &mut Vec<String>,
) -> Result<Vec<Answer>, ClusterError> {
    let namespace = question.namespace.unwrap_or(&cluster.namespace);
    let (title, pods) = pods(question, cluster, namespace)?;
    notes.extend(cluster.unlinked());
    // Forbidden nodes leave the architecture unknown, but not the whole question.
    let nodes = match cluster.nodes() {
        Ok(objects) => nodes::group(&objects),
        Err(error) => {
            notes.push(format!("could not read the nodes: {error}"));
            Nodes::default()
        }
    };
    let cases = cases(cluster, &pods, &nodes, notes);
    if cases.is_empty() {
        let what = title.unwrap_or_else(|| match question.all_namespaces {
            true => "any namespace".to_string(),
            false => format!("namespace {namespace}"),
        });
        return Err(ClusterError::NothingFails { what, pods: pods.len() });
    }
    let sources = Sources { cluster, nodes, read, is_wide: question.all_namespaces };
    let answered = |case: &FailingCase| {
        let mut notes = Vec::new();
        let answer = answer_case(&sources, case, title.as_deref(), &mut notes);
        answer.iter().for_each(show);
        (answer, notes)
    };
    let answered: Vec<(Option<Answer>, Vec<String>)> = cases.par_iter().map(answered).collect();
    let mut answers = Vec::new();
    for (answer, found) in answered {
        answers.extend(answer);
        notes.extend(found);
    }
    answer::by_cause(&mut answers);
    Ok(answers)
}

/// The requested pods, and the title of their workload.
fn pods(
    question: PodQuestion<'_>,
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
                // A CronJob has no selector; its jobs do.
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

/// Failing containers. Those of one owner that fail in the same way are one case. The log and the events of one pod
/// represent its group, and groups are read in parallel.
fn cases(cluster: &Cluster, pods: &[PodObject], nodes: &Nodes, notes: &mut Vec<String>) -> Vec<FailingCase> {
    let machine = |pod: &PodObject| {
        let group = pod.spec.node_name.as_deref().and_then(|node| nodes.group_of(node));
        group.map_or_else(String::new, |group| group.target.platform.to_string())
    };
    let groups = failing_groups(pods, machine);
    let read = |group: FailingGroup<'_>| {
        let machine = machine(group.pods[0]);
        let mut notes = Vec::new();
        (case(cluster, group, machine, &mut notes), notes)
    };
    let read: Vec<(FailingCase, Vec<String>)> = groups.into_par_iter().map(read).collect();
    let mut cases: Vec<FailingCase> = Vec::new();
    for (case, found) in read {
        notes.extend(found);
        match cases.iter_mut().find(|known| is_alike(known, &case)) {
            Some(known) => known.pods.extend(case.pods),
            None => cases.push(case),
        }
    }
    cases.sort_by_key(|case| std::cmp::Reverse(case.pods.len()));
    cases
}

/// Whether two cases are of the same container of a workload with the same messages. They may have ended differently,
/// but for the same reason.
fn is_alike(one: &FailingCase, other: &FailingCase) -> bool {
    let name = |case: &FailingCase| {
        let pod = &case.pods[0];
        (pod.metadata.namespace.clone(), owner(pod), case.failure.container.name.clone(), case.machine.clone())
    };
    let image = |case: &FailingCase| {
        case.failure.image_by_digest.clone().unwrap_or_else(|| case.failure.container.image.clone())
    };
    let signs = |case: &FailingCase| case.symptoms.iter().map(|symptom| symptom.sign).collect::<Vec<_>>();
    name(one) == name(other) && image(one) == image(other) && signs(one) == signs(other)
}

fn case(cluster: &Cluster, group: FailingGroup<'_>, machine: String, notes: &mut Vec<String>) -> FailingCase {
    let FailingGroup { mut failure, pods, of } = group;
    let pod = pods[0];
    let namespace = pod.metadata.namespace.as_deref().unwrap_or("default");
    let log = log(cluster, namespace, pod, &failure.container.name, notes);
    failure.circumstances.has_output = log.as_ref().map(|log| !log.trim().is_empty());
    let mut symptoms = recognise(&format!("{}\n{}", log.unwrap_or_default(), failure.messages));
    if symptoms.is_empty() {
        // Events are requested only where nothing else gives a reason: they are many.
        let events = cluster.events(namespace, &pod.metadata.name).unwrap_or_else(|error| {
            notes.push(error.to_string());
            Vec::new()
        });
        let found = failures(pod, &events).into_iter().find(|found| found.container.name == failure.container.name);
        symptoms = found.map(|found| recognise(&found.messages)).unwrap_or_default();
    }
    FailingCase { failure, symptoms, pods: pods.into_iter().cloned().collect(), of, machine }
}

/// The end of the previous run's log, or of the current run's if there was no previous one.
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

fn answer_case(
    sources: &Sources<'_>,
    case: &FailingCase,
    title: Option<&str>,
    notes: &mut Vec<String>,
) -> Option<Answer> {
    let failure = &case.failure;
    let pod = &case.pods[0];
    let group = pod.spec.node_name.as_deref().and_then(|node| sources.nodes.group_of(node));
    let target = group.map(|group| group.target.clone());
    let namespace = pod.metadata.namespace.as_deref().unwrap_or("default");
    // By digest if the node reports one, because the tag may have moved. A spec that names a digest may also have the
    // tag.
    let by_digest = failure.image_by_digest.clone().filter(|_| !failure.container.image.contains('@'));
    let image = by_digest.unwrap_or_else(|| failure.container.image.clone());
    let container = &failure.container;
    let target_name = target.as_ref().map(|target| target.name.as_str());
    let (mut report, mut file) = (None, None);
    if let Some(read) = sources.read.filter(|_| !is_about_platforms(&case.symptoms)) {
        let read = |call| read(&image, target.iter().cloned().collect(), call);
        let found = read(container.call.clone());
        notes.extend(found.problems.iter().map(|problem| format!("{image}: {}", problem.text)));
        // If the start path does not lead through the file that a message names, the file is judged separately.
        file = file::to_judge(&case.symptoms, &found, target_name).map(|path| {
            read(CallOverride { entrypoint: Some(vec![path]), args: Some(Vec::new()), ..container.call.clone() })
        });
        report = Some(found);
    }
    let names = Names {
        image: Some(container.image.clone()),
        origin: None,
        target: target.as_ref().map(target::text),
        platform: target.as_ref().map(|target| target.platform.to_string()),
        path: file::named_path(&case.symptoms),
        node: pod.spec.node_name.clone(),
        pod: Some(format!("{} -n {namespace}", pod.metadata.name)),
    };
    let judged = report.as_ref().map(|report| (report, target_name));
    let evidence = Evidence {
        subject: subject(case, title),
        symptoms: &case.symptoms,
        circumstances: failure.circumstances.clone(),
        names,
        source: LogSource::Kubernetes,
        place: group.map(|group| place(group, case)),
        judged,
        file: file.as_ref(),
        has_newest_cpu: group.is_some_and(|group| newest_cpu::has_every_level(&group.target.node)),
        now: Vec::new(),
    };
    let owner = owner(pod);
    let asked = if is_selecting(&owner) { &owner } else { &pod.metadata.name };
    let again = format!("imgarch diagnose {asked} -n {namespace}");
    let wide = sources.is_wide.then(|| namespace.to_string());
    let mut found = Answer { pods: case.pods.len(), namespace: wide, again, ..answer(&evidence)? };
    found.now = now(&found, pod, namespace, report.as_ref());
    if let (Some(report), Some(read), true) = (&report, sources.read, another_image_helps(found.suspect)) {
        let failed = FailedPod { pod, failure, target: target.as_ref(), report };
        if let Some(good) = last_good::find(sources.cluster, &failed, read, notes) {
            found.evidence.push(good.evidence);
            // A rollback by one revision may not be enough, so name the last good revision.
            found.now.retain(|line| !line.contains("rollout undo"));
            found.now.splice(0..0, good.now);
        }
    }
    // The condition of a rollback whose revision is not known.
    let is_unsure = |line: &String| line.contains("rollout undo") && line.contains("# if");
    if found.now.iter().any(is_unsure) && last_good::is_first(sources.cluster, pod) {
        found.now.retain(|line| !is_unsure(line));
    }
    Some(found)
}

/// Whether the kubelet reported that the image has nothing for its platform: reading the image adds nothing.
fn is_about_platforms(symptoms: &[Symptom]) -> bool {
    symptoms.iter().any(|symptom| symptom.sign == Sign::NoPlatformInIndex)
}

/// Whether another image would help.
fn another_image_helps(suspect: Suspect) -> bool {
    !matches!(suspect, Suspect::NodeCopy | Suspect::OutOfMemory | Suspect::ProgramItself | Suspect::NoExecMount)
}

/// `deployment/checkout (3 of 6 pods), container app, CrashLoopBackOff`.
fn subject(case: &FailingCase, title: Option<&str>) -> String {
    let pod = &case.pods[0];
    let owner = title.map_or_else(|| owner(pod), str::to_string);
    let pods = match (case.pods.len(), case.of) {
        (1, 1) => String::new(),
        (failing, all) => format!(" ({failing} of {all} pods)"),
    };
    let role = case.failure.container.role.word();
    format!("{owner}{pods}, {role} {}, {}", case.failure.container.name, case.failure.state)
}

fn place(group: &NodesAlike, case: &FailingCase) -> String {
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

/// Commands that help before the image is fixed.
fn now(answer: &Answer, pod: &PodObject, namespace: &str, report: Option<&ImageReport>) -> Vec<String> {
    if answer.suspect == Suspect::NodeCopy {
        return Vec::new();
    }
    let owner = owner(pod);
    let mut lines = Vec::new();
    // Only built-in kinds know strategic patches and `rollout undo`.
    let kind = match owner.split_once('/') {
        Some(("deployment" | "statefulset" | "daemonset", _)) => {
            lines.push(format!("kubectl -n {namespace} rollout undo {owner}   # if the previous revision ran"));
            ""
        }
        Some(("rollout", _)) => "--type merge ",
        _ => return lines,
    };
    let patch = |spec: &str| {
        format!(r#"kubectl -n {namespace} patch {owner} {kind}-p '{{"spec":{{"template":{{"spec":{spec}}}}}}}'"#)
    };
    if answer.suspect == Suspect::RunAsNonRoot {
        lines.push(format!("{}   # if any user may run its files", patch(r#"{"securityContext":{"runAsUser":1000}}"#)));
    }
    // If all programs are for one architecture, the image runs on nodes of that architecture.
    let only = report.and_then(|report| {
        let judged = report.platforms.iter().find(|one| !one.targets.is_empty())?;
        match judged.architectures.keys().collect::<Vec<_>>().as_slice() {
            [one] => Some(**one),
            _ => None,
        }
    });
    if let (Suspect::WrongArchitecture | Suspect::No32Bit, Some(arch)) = (answer.suspect, only) {
        let selector = format!(r#"{{"nodeSelector":{{"kubernetes.io/arch":"{}"}}}}"#, arch.oci());
        lines.push(format!("{}   # onto {} nodes", patch(&selector), arch.oci()));
    }
    lines
}
