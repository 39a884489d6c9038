//! Finds the last good revision: the image of an older ReplicaSet or ControllerRevision, judged on the node where the
//! new one fails. Only the most recent revisions are read.

use super::Failure;
use serde_json::Value;

use crate::judge::code::Code;
use crate::kube::object::PodObject;
use crate::kube::workload::owner;
use crate::kube::{Cluster, KubeError, Revision, Scope, revisions};
use crate::platform::Target;
use crate::scan::{CallOverride, ImageReport};

/// Reads an image and judges it on these targets, with this call.
pub type ReadImage<'a> = &'a (dyn Fn(&str, Vec<Target>, CallOverride) -> ImageReport + Sync);

/// How many older revisions are tried, the newest first.
const TRIED: usize = 3;

/// A revision that starts where the new one does not.
pub struct LastGood {
    pub evidence: String,
    /// Commands that restore it.
    pub now: Vec<String>,
}

/// The failing pod and its image.
pub struct FailedPod<'a> {
    pub pod: &'a PodObject,
    pub failure: &'a Failure,
    pub target: Option<&'a Target>,
    pub report: &'a ImageReport,
}

/// Whether the pod is of the first revision of its owner, so that no rollback is possible. False if that is unknown.
pub fn is_first(cluster: &Cluster, pod: &PodObject) -> bool {
    let owner = owner(pod);
    let Some((kind @ ("deployment" | "statefulset" | "daemonset"), name)) = owner.split_once('/') else {
        return false;
    };
    let namespace = pod.metadata.namespace.as_deref().unwrap_or("default");
    let Ok(values) = cluster.revisions(namespace, kind) else { return false };
    let all = revisions(kind, name, &values);
    let own = all.iter().find(|one| one.made(pod));
    own.is_some_and(|own| all.iter().all(|one| one.number >= own.number))
}

/// Finds the latest older revision that starts. A forbidden request is noted and ends the search, because the result
/// only adds to an answer.
pub fn find(
    cluster: &Cluster,
    failed: &FailedPod<'_>,
    read: ReadImage<'_>,
    notes: &mut Vec<String>,
) -> Option<LastGood> {
    let owner = owner(failed.pod);
    let Some((kind @ ("deployment" | "statefulset" | "daemonset"), name)) = owner.split_once('/') else {
        return None;
    };
    let namespace = failed.pod.metadata.namespace.as_deref().unwrap_or("default");
    let (values, pods) = match revisions_and_pods(cluster, namespace, kind) {
        Ok(read) => read,
        Err(error) => {
            notes.push(format!("older revisions of {owner} were not read: {error}"));
            return None;
        }
    };
    let all = revisions(kind, name, &values);
    let own = all.iter().find(|one| one.made(failed.pod))?;
    let older = all.iter().filter(|one| one.number < own.number).take(TRIED);
    let mut good = older.filter_map(|older| judged((own, older), &pods, failed, read, notes));
    let good = good.next()?;
    let place = format!("-n {namespace}");
    Some(LastGood { now: commands(&good, &owner, &place, failed), evidence: good.evidence })
}

fn revisions_and_pods(
    cluster: &Cluster,
    namespace: &str,
    kind: &str,
) -> Result<(Vec<Value>, Vec<PodObject>), KubeError> {
    let scope = Scope { namespace: Some(namespace.to_string()), selector: None };
    Ok((cluster.revisions(namespace, kind)?, cluster.pods(&scope)?))
}

/// A revision that starts.
struct Good {
    number: u64,
    evidence: String,
    /// By digest, so that a tag that has moved does not restore the faulty image.
    image: Option<String>,
}

fn judged(
    (own, older): (&Revision, &Revision),
    pods: &[PodObject],
    failed: &FailedPod<'_>,
    read: ReadImage<'_>,
    notes: &mut Vec<String>,
) -> Option<Good> {
    let container = &failed.failure.container;
    let before = older.containers.iter().find(|one| one.name == container.name)?;
    let ready = older.ready_digest(&before.name, pods);
    // Both use the same tag. Without a pod of the old revision, the image that it named then is unknown.
    if ready.is_none() && before.image == container.image {
        return None;
    }
    let name = ready.clone().unwrap_or_else(|| before.image.clone());
    let report = read(&name, failed.target.into_iter().cloned().collect(), before.call.clone());
    notes.extend(report.problems.iter().map(|problem| format!("{name}: {}", problem.text)));
    let starts = starts(&report, failed.target);
    if !starts && ready.is_none() {
        return None;
    }
    let digest = report.digest.as_ref()?;
    let place = failed.target.map_or_else(|| "its nodes".to_string(), |target| target.name.clone());
    let how = match (&ready, starts) {
        (Some(_), true) => format!("is ready in another pod and starts on {place}"),
        (Some(_), false) => "is ready in another pod, on other nodes".to_string(),
        (None, _) => format!("starts on {place}"),
    };
    let new = failed.report.digest.as_ref().map_or_else(|| container.image.clone(), |digest| digest.short());
    let evidence = format!(
        "revision {} ran {}, which {how}; revision {} introduced {new}, which {}",
        older.number,
        digest.short(),
        own.number,
        loss(failed)
    );
    let image = starts.then(|| pinned(&before.image, &digest.to_string()));
    Some(Good { number: older.number, evidence, image })
}

/// What the new image lacks.
fn loss(failed: &FailedPod<'_>) -> String {
    let platform = failed.target.map_or_else(|| "these nodes".to_string(), |target| target.platform.to_string());
    match failed.report.findings.iter().any(|finding| finding.code == Code::NoPlatformForTarget) {
        true => format!("has nothing for {platform}"),
        false => format!("has no program for {platform} that starts"),
    }
}

fn starts(report: &ImageReport, target: Option<&Target>) -> bool {
    let rows = report.platforms.iter().flat_map(|platform| &platform.targets);
    let mut rows = rows.filter(|row| target.is_none_or(|target| row.name == target.name)).peekable();
    report.problems.is_empty() && rows.peek().is_some() && rows.all(|row| row.outcome.is_alive())
}

/// `host/user/app:v1` with the tag replaced by the digest.
fn pinned(image: &str, digest: &str) -> String {
    let name = image.split('@').next().unwrap_or(image);
    // A colon before the last slash belongs to a port.
    let tag = name.rfind(':').filter(|colon| !name[*colon..].contains('/'));
    format!("{}@{digest}", &name[..tag.unwrap_or(name.len())])
}

fn commands(good: &Good, owner: &str, place: &str, failed: &FailedPod<'_>) -> Vec<String> {
    let mut commands = Vec::new();
    if let Some(image) = &good.image {
        let container = &failed.failure.container.name;
        commands.push(format!("kubectl {place} set image {owner} {container}={image}"));
    }
    commands.push(format!("kubectl {place} rollout undo {owner} --to-revision={}", good.number));
    commands
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_replaces_the_tag() {
        for (image, expected) in [
            ("app", "app@sha256:12"),
            ("app:v1", "app@sha256:12"),
            ("host:5000/team/app", "host:5000/team/app@sha256:12"),
            ("host:5000/team/app:v1", "host:5000/team/app@sha256:12"),
            ("app:v1@sha256:99", "app@sha256:12"),
        ] {
            assert_eq!(pinned(image, "sha256:12"), expected);
        }
    }
}
