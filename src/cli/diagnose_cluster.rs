//! `imgarch diagnose` in a cluster: the failing containers of pods, each judged by its image on its own node.

use std::collections::BTreeMap;

use super::{DiagnoseArgs, read_image};
use crate::cli::last_good::{self, Failed};
use crate::cli::targets;
use crate::cli::{CliError, Terminal};
use crate::diagnose::{Answer, Evidence, Failure, Names, Suspect, Symptom, answer, failures, recognise};
use crate::kube::object::{EventObject, PodObject};
use crate::kube::workload::owner;
use crate::kube::{Cluster, Group, KubeError, Nodes, Scope, nodes, revision};
use crate::platform::target;
use crate::report::escape::plural;
use crate::scan::{CallOverride, ImageReport};

/// A failing container with all that is known of it, and every pod that fails alike.
struct Case {
    failure: Failure,
    symptoms: Vec<Symptom>,
    pods: Vec<PodObject>,
    /// Pods of the same owner, failing or not.
    of: usize,
}

pub fn of_cluster(args: &DiagnoseArgs, terminal: &Terminal) -> Result<Vec<Answer>, CliError> {
    let cluster = targets::connect(&args.cluster)?;
    let namespace = args.namespace.clone().unwrap_or_else(|| cluster.namespace.clone());
    let (title, pods) = pods(args, &cluster, &namespace)?;
    // Forbidden nodes leave the architecture unknown, not the whole question.
    let nodes = match cluster.nodes() {
        Ok(objects) => nodes::group(&objects),
        Err(error) => {
            terminal.notes(&[format!("{error}: what the nodes are is not known")]);
            Nodes::default()
        }
    };
    let cases = cases(&cluster, terminal, &pods);
    if cases.is_empty() && args.failing {
        terminal.notes(&[format!("no container fails now ({} seen)", plural(pods.len(), "pod"))]);
        return Ok(Vec::new());
    }
    if cases.is_empty() {
        let what = title.unwrap_or_else(|| format!("the pods of namespace {namespace}"));
        return Err(CliError::Unknown {
            text: format!("no container of {what} fails now ({} seen)", pods.len()),
            hint: Some("imgarch diagnose --failing -A looks in every namespace".to_string()),
        });
    }
    let mut answers = Vec::new();
    for case in &cases {
        answers.extend(answered(args, terminal, (&cluster, &nodes), case, title.as_deref())?);
    }
    Ok(answers)
}

/// The pods that were asked for, and a workload's title.
fn pods(args: &DiagnoseArgs, cluster: &Cluster, namespace: &str) -> Result<(Option<String>, Vec<PodObject>), CliError> {
    let refused = |error: KubeError| targets::refused(&error);
    let Some(subject) = &args.subject else {
        let scope = Scope { namespace: (!args.all_namespaces).then(|| namespace.to_string()), selector: None };
        return Ok((None, cluster.pods(&scope).map_err(refused)?));
    };
    match subject.split_once('/') {
        None | Some(("pod" | "pods" | "po", _)) => {
            let name = subject.rsplit('/').next().unwrap_or(subject);
            Ok((Some(format!("pod/{name}")), vec![cluster.pod(namespace, name).map_err(refused)?]))
        }
        Some((kind, name)) => {
            let object = cluster.workload(namespace, kind, name).map_err(refused)?;
            let kind = object["kind"].as_str().unwrap_or(kind).to_ascii_lowercase();
            let title = Some(format!("{kind}/{name}"));
            let scope = |selector| Scope { namespace: Some(namespace.to_string()), selector };
            if kind == "cronjob" {
                // A CronJob selects nothing itself: its jobs do.
                let jobs = revision::owned("cronjob", name, &cluster.jobs(namespace).map_err(refused)?);
                let pods = cluster.pods(&scope(None)).map_err(refused)?;
                let is_its = |pod: &PodObject| {
                    pod.metadata.owner_references.iter().any(|owner| owner.kind == "Job" && jobs.contains(&owner.name))
                };
                return Ok((title, pods.into_iter().filter(is_its).collect()));
            }
            let Some(selector) = revision::selector(&object) else {
                return Err(CliError::usage(format!(
                    "{kind}/{name} selects its pods by no labels; name one of its pods"
                )));
            };
            Ok((title, cluster.pods(&scope(Some(selector))).map_err(refused)?))
        }
    }
}

/// Failing containers; those of one owner that fail alike are one case.
fn cases(cluster: &Cluster, terminal: &Terminal, pods: &[PodObject]) -> Vec<Case> {
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
            let log = log(cluster, terminal, namespace, pod, &failure.container.name);
            failure.circumstances.has_output = log.as_ref().map(|log| !log.trim().is_empty());
            let mut text = format!("{}\n{}", log.unwrap_or_default(), failure.messages);
            let mut symptoms = recognise(&text);
            if symptoms.is_empty() {
                // Events are asked for only where nothing else speaks: they are many.
                let events = events.get_or_insert_with(|| {
                    cluster.events(namespace, &pod.metadata.name).unwrap_or_else(|error| {
                        terminal.notes(&[error.to_string()]);
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
fn log(cluster: &Cluster, terminal: &Terminal, namespace: &str, pod: &PodObject, container: &str) -> Option<String> {
    let name = &pod.metadata.name;
    match cluster
        .log_tail(namespace, name, container, true)
        .or_else(|_| cluster.log_tail(namespace, name, container, false))
    {
        Ok(log) => Some(log),
        Err(error) => {
            if error.is_forbidden() {
                terminal.notes(&[error.to_string()]);
            }
            None
        }
    }
}

fn answered(
    args: &DiagnoseArgs,
    terminal: &Terminal,
    (cluster, nodes): (&Cluster, &Nodes),
    case: &Case,
    title: Option<&str>,
) -> Result<Option<Answer>, CliError> {
    let failure = &case.failure;
    let pod = &case.pods[0];
    let group = pod.spec.node_name.as_deref().and_then(|node| nodes.group_of(node));
    let target = group.map(|group| group.target.clone());
    let namespace = pod.metadata.namespace.as_deref().unwrap_or("default");
    // By digest where the node names one: the tag may have moved since.
    let image = failure.image_by_digest.clone().unwrap_or_else(|| failure.container.image.clone());
    let report = match args.no_image || args.sources.offline {
        true => None,
        false => {
            let container = &failure.container;
            let call = CallOverride { entrypoint: container.command.clone(), args: container.args.clone() };
            Some(read_image(&args.sources, terminal, &image, target.iter().cloned().collect(), call)?)
        }
    };
    let names = Names {
        image: Some(failure.container.image.clone()),
        origin: None,
        target: target.as_ref().map(target::text),
        platform: target.as_ref().map(|target| target.platform.to_string()),
        path: case.symptoms.iter().find_map(|symptom| symptom.path.clone()),
        node: pod.spec.node_name.clone(),
        pod: Some(format!("{} -n {namespace}", pod.metadata.name)),
    };
    let judged = report.as_ref().map(|report| (report, target.as_ref().map(|target| target.name.as_str())));
    let subject = subject(case, title);
    let evidence = Evidence {
        subject,
        symptoms: &case.symptoms,
        circumstances: failure.circumstances.clone(),
        names,
        place: group.map(|group| place(group, case)),
        judged,
        now: Vec::new(),
    };
    let Some(mut found) = answer(&evidence) else { return Ok(None) };
    found.now = now(&found, pod, namespace, report.as_ref());
    if let (Some(report), true) = (&report, is_the_images(found.suspect)) {
        let failed = Failed { pod, failure, target: target.as_ref(), report };
        if let Some(good) = last_good::find(args, terminal, cluster, &failed)? {
            found.evidence.push(good.evidence);
            // The last good revision is named: going back by one may not be far enough.
            found.now.retain(|line| !line.contains("rollout undo"));
            found.now.splice(0..0, good.now);
        }
    }
    Ok(Some(found))
}

/// Whether another image would help.
fn is_the_images(suspect: Suspect) -> bool {
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

/// What helps before the image is mended.
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
