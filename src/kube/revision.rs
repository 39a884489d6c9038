//! Reads the past revisions of a workload. A Deployment keeps them as ReplicaSets, a StatefulSet or DaemonSet as
//! ControllerRevisions. Pure: turns objects into revisions.

use serde_json::Value;

use super::object::{self, Metadata, PodObject};
use super::workload::{self, ContainerUse, of_object};

/// A past or current template of a workload.
#[derive(Clone, Debug, PartialEq)]
pub struct Revision {
    pub number: u64,
    /// Name of the ReplicaSet or the ControllerRevision.
    pub name: String,
    pub containers: Vec<ContainerUse>,
}

/// The revisions of one workload, the newest first. `values` may contain those of other workloads too.
/// Source: Kubernetes, deployment controller, `deployment.kubernetes.io/revision`; apps/v1 ControllerRevision.
pub fn revisions(kind: &str, name: &str, values: &[Value]) -> Vec<Revision> {
    let mut found: Vec<Revision> =
        values.iter().filter(|value| is_owned(kind, name, value)).filter_map(revision).collect();
    found.sort_by_key(|one| std::cmp::Reverse(one.number));
    found
}

/// Names of the objects that a workload owns.
pub fn owned(kind: &str, name: &str, values: &[Value]) -> Vec<String> {
    let its = values.iter().filter(|value| is_owned(kind, name, value));
    its.filter_map(|value| Some(value["metadata"]["name"].as_str()?.to_string())).collect()
}

fn is_owned(kind: &str, name: &str, value: &Value) -> bool {
    let mut owners = value["metadata"]["ownerReferences"].as_array().into_iter().flatten();
    let is_kind = |owner: &Value| owner["kind"].as_str().is_some_and(|own| own.eq_ignore_ascii_case(kind));
    owners.any(|owner| is_kind(owner) && owner["name"] == name)
}

/// A workload's selector in the syntax of kubectl's `-l`. `None` if it has none.
/// Source: apimachinery, `LabelSelectorAsSelector`.
pub fn selector(object: &Value) -> Option<String> {
    let selector = &object["spec"]["selector"];
    let pairs = selector["matchLabels"].as_object().into_iter().flatten();
    let mut parts: Vec<String> = pairs.filter_map(|(key, value)| Some(format!("{key}={}", value.as_str()?))).collect();
    for want in selector["matchExpressions"].as_array().into_iter().flatten() {
        let key = want["key"].as_str()?;
        let values = want["values"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let values = values.collect::<Vec<_>>().join(",");
        parts.push(match want["operator"].as_str()? {
            "In" => format!("{key} in ({values})"),
            "NotIn" => format!("{key} notin ({values})"),
            "Exists" => key.to_string(),
            _ => format!("!{key}"),
        });
    }
    (!parts.is_empty()).then(|| parts.join(","))
}

fn revision(value: &Value) -> Option<Revision> {
    let annotated = value["metadata"]["annotations"]["deployment.kubernetes.io/revision"].as_str();
    let (number, holder) = match annotated {
        Some(number) => (number.parse().ok()?, value.clone()),
        // A ControllerRevision's data is a patch of its workload that contains the whole template.
        None => (value["revision"].as_u64()?, value["data"].clone()),
    };
    let holder = serde_json::json!({"kind": "Template", "metadata": value["metadata"], "spec": holder["spec"]});
    let containers = of_object(&holder).ok()??.containers;
    let metadata: Metadata = object::read(value["metadata"].clone()).ok()?;
    Some(Revision { number, name: metadata.name, containers })
}

impl Revision {
    /// Whether this revision created `pod`. Source: `controller-revision-hash` contains the revision's name for a
    /// StatefulSet, and the end of its name for a DaemonSet.
    pub fn made(&self, pod: &PodObject) -> bool {
        let by_owner = pod.metadata.owner_references.iter().any(|owner| owner.name == self.name);
        let hash = pod.metadata.labels.get("controller-revision-hash");
        by_owner || hash.is_some_and(|hash| self.name == *hash || self.name.ends_with(&format!("-{hash}")))
    }

    /// The digest with which a container of this revision is ready in one of `pods`.
    pub fn ready_digest(&self, container: &str, pods: &[PodObject]) -> Option<String> {
        let statuses = pods.iter().filter(|pod| self.made(pod)).flat_map(|pod| &pod.status.container_statuses);
        statuses
            .filter(|status| status.name == container && status.ready)
            .find_map(|status| workload::image_by_digest(&status.image_id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn template(image: &str) -> Value {
        json!({"template": {"spec": {"containers": [{"name": "c", "image": image}]}}})
    }

    fn replica_set(name: &str, revision: &str, image: &str) -> Value {
        json!({
            "metadata": {
                "name": name, "annotations": {"deployment.kubernetes.io/revision": revision},
                "ownerReferences": [{"kind": "Deployment", "name": "app"}]
            },
            "spec": template(image)
        })
    }

    #[test]
    fn a_deployments_replica_sets_are_its_revisions() {
        let other = json!({"metadata": {"name": "x", "ownerReferences": [{"kind": "Deployment", "name": "other"}]}});
        let found = revisions(
            "deployment",
            "app",
            &[replica_set("app-1", "9", "a:1"), replica_set("app-2", "10", "a:2"), other],
        );
        let seen: Vec<(u64, &str)> = found.iter().map(|one| (one.number, one.containers[0].image.as_str())).collect();
        assert_eq!(seen, [(10, "a:2"), (9, "a:1")], "ten is newer than nine");
    }

    #[test]
    fn a_selector_is_written_in_kubectls_syntax() {
        let object = json!({"spec": {"selector": {"matchLabels": {"app": "x"}, "matchExpressions": [
            {"key": "tier", "operator": "In", "values": ["a", "b"]}, {"key": "old", "operator": "DoesNotExist"}
        ]}}});
        assert_eq!(selector(&object).as_deref(), Some("app=x,tier in (a,b),!old"));
        assert_eq!(selector(&json!({"spec": {}})), None);
    }

    #[test]
    fn a_daemon_sets_controller_revisions_are_its_revisions() {
        let value = json!({
            "metadata": {"name": "app-6d8f", "ownerReferences": [{"kind": "DaemonSet", "name": "app"}]},
            "revision": 2, "data": {"spec": template("a:2")}
        });
        let found = revisions("daemonset", "app", &[value]);
        assert_eq!((found[0].number, found[0].containers[0].image.as_str()), (2, "a:2"));
        let pod = |hash: &str| {
            object::read(json!({
                "metadata": {"name": "p", "labels": {"controller-revision-hash": hash}},
                "status": {"containerStatuses": [{"name": "c", "ready": true, "imageID": "a@sha256:12"}]}
            }))
            .unwrap()
        };
        assert_eq!(found[0].ready_digest("c", &[pod("other"), pod("6d8f")]).as_deref(), Some("a@sha256:12"));
        assert_eq!(found[0].ready_digest("c", &[pod("other")]), None);
    }
}
