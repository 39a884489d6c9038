//! Groups containers that fail in the same way, such as the replicas of a workload. The largest group is first.

use std::collections::BTreeMap;

use super::case::{Failure, failures};
use crate::kube::object::PodObject;
use crate::kube::workload::owner;

/// Containers of one workload that ended in the same way, with the same image and on nodes of the same kind.
#[derive(Clone, Debug)]
pub struct FailingGroup<'a> {
    /// The failure of the first pod.
    pub failure: Failure,
    pub pods: Vec<&'a PodObject>,
    /// Pods of the same owner, failing or not.
    pub of: usize,
}

/// What the containers of a group have in common. The kubelet's messages contain pod names and waiting times, so they
/// are not compared. Neither is the state, which changes between two restarts.
type GroupKey = (String, String, String, String, Option<i32>, Option<String>, String);

/// Groups the failing containers of `pods`. `machine` names the kind of node that a pod is on.
pub fn failing_groups<'a>(pods: &'a [PodObject], machine: impl Fn(&PodObject) -> String) -> Vec<FailingGroup<'a>> {
    let mut siblings: BTreeMap<(String, String), usize> = BTreeMap::new();
    let name = |pod: &PodObject| (pod.metadata.namespace.clone().unwrap_or_else(|| "default".to_string()), owner(pod));
    for pod in pods {
        *siblings.entry(name(pod)).or_default() += 1;
    }
    let mut groups: BTreeMap<GroupKey, FailingGroup<'a>> = BTreeMap::new();
    for pod in pods {
        let (namespace, owner) = name(pod);
        for failure in failures(pod, &[]) {
            let image = failure.image_by_digest.clone().unwrap_or_else(|| failure.container.image.clone());
            let ended = (failure.circumstances.exit_code, failure.circumstances.reason.clone());
            let key = (
                namespace.clone(),
                owner.clone(),
                failure.container.name.clone(),
                image,
                ended.0,
                ended.1,
                machine(pod),
            );
            let of = siblings[&(namespace.clone(), owner.clone())];
            groups.entry(key).or_insert(FailingGroup { failure, pods: Vec::new(), of }).pods.push(pod);
        }
    }
    let mut groups: Vec<FailingGroup<'a>> = groups.into_values().collect();
    // Stable: groups of the same size stay in the order of their names.
    groups.sort_by_key(|group| std::cmp::Reverse(group.pods.len()));
    groups
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kube::object::read;
    use serde_json::json;

    fn pod(name: &str, set: &str, exit_code: i32) -> PodObject {
        read(json!({
            "metadata": {"name": name, "namespace": "shop", "ownerReferences": [{"kind": "StatefulSet", "name": set, "controller": true}]},
            "spec": {"nodeName": "n1", "containers": [{"name": "app", "image": "user/app:1"}]},
            "status": {"containerStatuses": [{"name": "app", "restartCount": 3,
                "state": {"waiting": {"reason": "CrashLoopBackOff", "message": format!("back-off 10s pod={name}")}},
                "lastState": {"terminated": {"exitCode": exit_code, "reason": "Error"}}}]}
        }))
        .unwrap()
    }

    #[test]
    fn replicas_that_fail_in_the_same_way_are_one_group_and_the_largest_is_first() {
        let pods = [pod("a-0", "a", 1), pod("b-0", "b", 255), pod("b-1", "b", 255), pod("b-2", "b", 1)];
        let groups = failing_groups(&pods, |_| "amd64".to_string());
        let found: Vec<_> =
            groups.iter().map(|group| (group.pods[0].metadata.name.as_str(), group.pods.len(), group.of)).collect();
        assert_eq!(found, [("b-0", 2, 3), ("a-0", 1, 1), ("b-2", 1, 3)]);
    }

    #[test]
    fn replicas_on_nodes_of_different_kinds_are_separate_groups() {
        let pods = [pod("b-0", "b", 255), pod("b-1", "b", 255)];
        assert_eq!(failing_groups(&pods, |pod| pod.metadata.name.clone()).len(), 2);
    }
}
