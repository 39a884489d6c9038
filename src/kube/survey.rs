//! Collects the images that a cluster runs or may run, how each is started, and on which nodes. An image with the same
//! start is listed once. Pure: turns objects into uses.

use std::collections::{BTreeMap, BTreeSet};

use super::admitted::{Admission, Admitted};
use super::nodes::Nodes;
use super::object::{NodeObject, PodObject};
use super::schedule::{PodNarrowing, narrowing};
use super::workload::{self, ContainerUse, Workload};
use crate::scan::CallOverride;

/// An image, how it is started, and on which nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageUse {
    /// By digest if a node reports one, otherwise as written.
    pub image: String,
    /// Every name under which it is used: a tag, and the digest that nodes report for it.
    pub names: Vec<String>,
    pub call: CallOverride,
    /// The platforms that a Compose service or a pod's own constraints allow. If nodes are known, those decide instead.
    pub narrowing: PodNarrowing,
    /// Indexes into [`Nodes::groups`], ascending. Empty if no node may run it or no nodes are known.
    pub groups: Vec<usize>,
    /// `shop/deployment/checkout, container app`.
    pub used_by: Vec<String>,
}

impl ImageUse {
    /// Merges another use of the same image and start: its nodes and users.
    pub fn join(&mut self, other: ImageUse) {
        self.names.extend(other.names);
        self.groups = BTreeSet::from_iter(self.groups.drain(..).chain(other.groups)).into_iter().collect();
        self.used_by = BTreeSet::from_iter(self.used_by.drain(..).chain(other.used_by)).into_iter().collect();
    }
}

/// The start of an image. Uses with the same start are merged.
type StartKey = (String, CallOverride, PodNarrowing);

/// Collects the uses of pods and workloads.
#[derive(Debug, Default)]
pub struct Survey {
    uses: BTreeMap<StartKey, (BTreeSet<usize>, BTreeSet<String>)>,
    /// Workloads that no node may run, each with the first obstacle on the last node checked.
    pub homeless: Vec<(String, String)>,
    admitted: Admitted,
}

impl Survey {
    /// Adds a running pod's containers on its node, by the digests that the node reports.
    pub fn add_pod(&mut self, pod: &PodObject, nodes: &Nodes) {
        let group = pod.spec.node_name.as_deref().and_then(|node| nodes.position(node));
        let statuses = pod
            .status
            .init_container_statuses
            .iter()
            .chain(&pod.status.container_statuses)
            .chain(&pod.status.ephemeral_container_statuses);
        let statuses: Vec<_> = statuses.collect();
        for container in workload::containers(&pod.spec) {
            let status = statuses.iter().find(|status| status.name == container.name);
            let by_digest = status.and_then(|status| workload::image_by_digest(&status.image_id));
            let title = title(pod.metadata.namespace.as_deref(), &workload::owner(pod), &container);
            let image = by_digest.unwrap_or_else(|| container.image.clone());
            self.add((image, container.call, PodNarrowing::None), group, title);
        }
    }

    /// Adds a workload's template on every node that the scheduler may choose. Without nodes it is judged as declared.
    /// `objects` must be the same for all workloads of a survey.
    pub fn add_workload(&mut self, workload: &Workload, objects: &[NodeObject], nodes: &Nodes) {
        let Admission { groups, mut obstacle } = self.admitted.admission(&workload.pod, objects, nodes);
        let narrowing = if objects.is_empty() { narrowing(&workload.pod) } else { PodNarrowing::None };
        if narrowing == PodNarrowing::Only(Vec::new()) {
            obstacle = Some("its nodeSelector and affinity exclude every architecture".to_string());
        }
        if let (true, Some(why)) = (groups.is_empty(), obstacle) {
            let homeless = (workload.title(), why);
            if self.homeless.last() != Some(&homeless) {
                self.homeless.push(homeless);
            }
            return;
        }
        for container in &workload.containers {
            let title = title(workload.namespace.as_deref(), &workload.title(), container);
            let narrowing = match &container.platform {
                Some(platform) => PodNarrowing::Only(vec![platform.clone()]),
                None => narrowing.clone(),
            };
            self.add((container.image.clone(), container.call.clone(), narrowing), groups.iter().copied(), title);
        }
    }

    fn add(&mut self, start: StartKey, groups: impl IntoIterator<Item = usize>, title: String) {
        let (known, titles) = self.uses.entry(start).or_default();
        known.extend(groups);
        titles.insert(title);
    }

    /// Every use, by image.
    pub fn uses(self) -> Vec<ImageUse> {
        self.uses
            .into_iter()
            .map(|((image, call, narrowing), (groups, used_by))| ImageUse {
                names: vec![image.clone()],
                image,
                call,
                narrowing,
                groups: groups.into_iter().collect(),
                used_by: used_by.into_iter().collect(),
            })
            .collect()
    }
}

fn title(namespace: Option<&str>, owner: &str, container: &ContainerUse) -> String {
    let namespace = namespace.map_or_else(String::new, |namespace| format!("{namespace}/"));
    let name = if container.name.is_empty() { String::new() } else { format!(" {}", container.name) };
    format!("{namespace}{owner}, {}{name}", container.role.word())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kube::nodes::group;
    use crate::kube::object::read;
    use crate::kube::workload::of_object;
    use crate::platform::Platform;
    use serde_json::{Value, json};

    fn node(name: &str, arch: &str) -> NodeObject {
        read(json!({
            "metadata": {"name": name, "labels": {"kubernetes.io/arch": arch}},
            "status": {"nodeInfo": {"architecture": arch, "operatingSystem": "linux"}}
        }))
        .unwrap()
    }

    fn deployment(name: &str, selector: Value) -> Workload {
        let spec =
            json!({"nodeSelector": selector, "containers": [{"name": "c", "image": "app:1", "args": ["serve"]}]});
        let object = json!({"kind": "Deployment", "metadata": {"name": name, "namespace": "shop"}, "spec": {"template": {"spec": spec}}});
        of_object(&object).unwrap().unwrap()
    }

    #[test]
    fn one_image_with_one_start_is_one_use_on_all_its_nodes() {
        let objects = [node("a1", "arm64"), node("x1", "amd64")];
        let nodes = group(&objects);
        let mut survey = Survey::default();
        survey.add_workload(&deployment("both", json!({})), &objects, &nodes);
        survey.add_workload(&deployment("arm", json!({"kubernetes.io/arch": "arm64"})), &objects, &nodes);
        survey.add_workload(&deployment("none", json!({"gpu": "yes"})), &objects, &nodes);
        assert_eq!(survey.homeless, [("deployment/none".to_string(), "nodeSelector wants gpu=yes".to_string())]);
        let uses = survey.uses();
        assert_eq!(uses.len(), 1);
        assert_eq!(uses[0].groups, [0, 1]);
        assert_eq!(uses[0].used_by, ["shop/deployment/arm, container c", "shop/deployment/both, container c"]);
        assert_eq!(uses[0].call.args.as_deref(), Some(["serve".to_string()].as_slice()));
    }

    #[test]
    fn without_nodes_a_pods_own_constraints_narrow_its_use() {
        let nodes = group(&[]);
        let mut survey = Survey::default();
        survey.add_workload(&deployment("arm", json!({"kubernetes.io/arch": "arm64"})), &[], &nodes);
        survey.add_workload(&deployment("any", json!({})), &[], &nodes);
        let narrowings: Vec<PodNarrowing> = survey.uses().into_iter().map(|one| one.narrowing).collect();
        assert_eq!(narrowings, [PodNarrowing::None, PodNarrowing::Only(vec![Platform::parse("linux/arm64").unwrap()])]);
    }

    #[test]
    fn a_pod_is_judged_by_its_digest_on_its_node() {
        let objects = [node("a1", "arm64"), node("x1", "amd64")];
        let nodes = group(&objects);
        let pod: PodObject = read(json!({
            "metadata": {"name": "app-7c9d-x", "namespace": "shop", "labels": {"pod-template-hash": "7c9d"},
                "ownerReferences": [{"kind": "ReplicaSet", "name": "app-7c9d"}]},
            "spec": {"nodeName": "a1", "containers": [{"name": "c", "image": "app:1"}, {"name": "new", "image": "new:1"}]},
            "status": {"containerStatuses": [{"name": "c", "imageID": "docker-pullable://app@sha256:12"}]}
        }))
        .unwrap();
        let mut survey = Survey::default();
        survey.add_pod(&pod, &nodes);
        let uses = survey.uses();
        assert_eq!(uses.iter().map(|one| one.image.as_str()).collect::<Vec<_>>(), ["app@sha256:12", "new:1"]);
        assert_eq!(uses[0].used_by, ["shop/deployment/app, container c"]);
        assert_eq!(nodes.groups[uses[0].groups[0]].nodes, ["a1"]);
    }
}
