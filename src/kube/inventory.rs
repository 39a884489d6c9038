//! Lists a cluster's nodes, pods and workloads, and the images that they run.

use std::collections::HashSet;

use super::client::{Cluster, Scope};
use super::kube_error::KubeError;
use super::nodes::{self, Nodes};
use super::object::{ContainerSpec, Metadata, NodeObject, PodObject, PodSpec};
use super::pull_secrets::PullSecrets;
use super::survey::Survey;
use super::workload::{is_owner_label, of_object, owner};
use crate::source::registry::CredentialStore;

/// The objects that were read from a cluster.
#[derive(Default)]
pub struct Inventory {
    pub nodes: Nodes,
    /// Number of all pods.
    pub pod_count: usize,
    /// The pods of each owner with a pod that may be failing. Their specs contain only names and images.
    pub pods: Vec<PodObject>,
    pub survey: Survey,
    pub workloads: usize,
    /// The pods' pull secrets, if requested.
    pub credentials: Vec<CredentialStore>,
    /// Errors of lists that could not be read, so that the inventory is incomplete.
    pub unread: Vec<String>,
    /// What only makes verdicts less certain.
    pub notes: Vec<String>,
}

/// Whether imagePullSecrets are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secrets {
    Read,
    Leave,
}

impl Inventory {
    /// Lists everything in `scope`. Errors are recorded and do not stop the listing.
    pub fn read(cluster: &Cluster, scope: &Scope, secrets: Secrets) -> Inventory {
        let mut found = Inventory::default();
        let mut pull_secrets = PullSecrets::default();
        let objects: Vec<NodeObject> = listed("nodes", cluster.nodes(), &mut found.unread);
        found.nodes = nodes::group(&objects);
        let Inventory { nodes, survey, unread, .. } = &mut found;
        let pods = cluster.read_pods(scope, |pod| {
            survey.add_pod(&pod, nodes);
            if secrets == Secrets::Read {
                pull_secrets.read_for(cluster, pod.metadata.namespace.as_deref(), &pod.spec, unread);
            }
            status_of(pod)
        });
        let pods = listed("pods", pods, unread);
        found.pod_count = pods.len();
        found.pods = of_failing_owners(pods);
        for (plural, workloads) in cluster.workloads(scope, |value| of_object(&value)) {
            for workload in listed(plural, workloads, &mut found.unread) {
                match workload {
                    Ok(Some(workload)) => {
                        found.workloads += 1;
                        found.survey.add_workload(&workload, &objects, &found.nodes);
                        if secrets == Secrets::Read {
                            let namespace = workload.namespace.as_deref();
                            pull_secrets.read_for(cluster, namespace, &workload.pod, &mut found.unread);
                        }
                    }
                    Ok(None) => {}
                    Err(error) => found.unread.push(format!("{plural}: {error}")),
                }
            }
        }
        found.credentials = pull_secrets.stores();
        found.notes = cluster.unlinked();
        found
    }
}

/// Reduces a pod to its owner, its containers' names and images, and its status. The survey has the rest.
fn status_of(pod: PodObject) -> PodObject {
    let shown = |containers: Vec<ContainerSpec>| {
        let shown = |one: ContainerSpec| ContainerSpec {
            name: one.name,
            image: one.image,
            restart_policy: one.restart_policy,
            ..ContainerSpec::default()
        };
        containers.into_iter().map(shown).collect()
    };
    let Metadata { name, namespace, mut labels, owner_references, .. } = pod.metadata;
    labels.retain(|label, _| is_owner_label(label));
    PodObject {
        metadata: Metadata { name, namespace, labels, owner_references, ..Metadata::default() },
        spec: PodSpec {
            containers: shown(pod.spec.containers),
            init_containers: shown(pod.spec.init_containers),
            ephemeral_containers: shown(pod.spec.ephemeral_containers),
            node_name: pod.spec.node_name,
            ..PodSpec::default()
        },
        status: pod.status,
    }
}

/// The pods of each owner with at least one pod that may be failing.
fn of_failing_owners(mut pods: Vec<PodObject>) -> Vec<PodObject> {
    let key = |pod: &PodObject| (pod.metadata.namespace.clone(), owner(pod));
    let failing: HashSet<_> = pods.iter().filter(|pod| may_fail(pod)).map(key).collect();
    pods.retain(|pod| !failing.is_empty() && failing.contains(&key(pod)));
    pods.shrink_to_fit();
    pods
}

/// Whether a container is waiting or has ended with an error.
fn may_fail(pod: &PodObject) -> bool {
    let status = &pod.status;
    let all = [&status.init_container_statuses, &status.container_statuses, &status.ephemeral_container_statuses];
    all.into_iter().flatten().any(|one| {
        let ends = [&one.state.terminated, &one.last_state.terminated];
        let has_failed = ends.into_iter().flatten().any(|end| end.exit_code != 0 || end.reason == "StartError");
        one.state.waiting.is_some() || has_failed
    })
}

/// The listed objects. An error is recorded in `unread`.
fn listed<T>(what: &str, list: Result<Vec<T>, KubeError>, unread: &mut Vec<String>) -> Vec<T> {
    list.unwrap_or_else(|error| {
        unread.push(format!("{what} were not read: {error}"));
        Vec::new()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kube::object::read;
    use serde_json::{Value, json};

    fn pod(name: &str, owner: &str, state: Value) -> PodObject {
        read(json!({
            "metadata": {"name": name, "namespace": "shop", "labels": {"a": "b"},
                "ownerReferences": [{"kind": "StatefulSet", "name": owner}]},
            "spec": {"containers": [{"name": "c", "image": "app:1", "env": [{"name": "A", "value": "b"}]}]},
            "status": {"containerStatuses": [{"name": "c", "state": state}]}
        }))
        .unwrap()
    }

    #[test]
    fn pods_of_failing_owners_are_kept_without_their_commands() {
        let running = || json!({"running": {}});
        let pods = vec![
            pod("a-0", "a", running()),
            pod("a-1", "a", json!({"waiting": {"reason": "CrashLoopBackOff"}})),
            pod("b-0", "b", running()),
            pod("c-0", "c", json!({"terminated": {"exitCode": 0, "reason": "Completed"}})),
            pod("d-0", "d", json!({"terminated": {"exitCode": 1, "reason": "Error"}})),
        ];
        let kept = of_failing_owners(pods.into_iter().map(status_of).collect());
        let names: Vec<&str> = kept.iter().map(|pod| pod.metadata.name.as_str()).collect();
        assert_eq!(names, ["a-0", "a-1", "d-0"]);
        let container = &kept[0].spec.containers[0];
        assert_eq!((container.image.as_str(), container.env.len()), ("app:1", 0));
        assert_eq!((owner(&kept[0]).as_str(), kept[1].status.container_statuses.len()), ("statefulset/a", 1));
    }
}
