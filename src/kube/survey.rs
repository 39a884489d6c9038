//! Which images a cluster runs or may run, what each starts, and on which nodes: every image with the same start once.
//! Pure: objects in, uses out.

use std::collections::{BTreeMap, BTreeSet};

use super::nodes::{Group, Nodes};
use super::object::{NodeObject, PodObject};
use super::schedule::admits;
use super::workload::{self, ContainerUse, Workload};
use crate::platform::Platform;

/// An image, what is started of it, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    /// By digest where a node reports one, else as it is written.
    pub image: String,
    /// Every name under which it is used: a tag, and the digest that nodes report for it.
    pub names: Vec<String>,
    pub command: Option<Vec<String>>,
    pub args: Option<Vec<String>>,
    /// Compose's `platform:`: the only one that is run.
    pub platform: Option<Platform>,
    /// Indexes into [`Nodes::groups`], ascending; empty where no node may run it, or none is known.
    pub groups: Vec<usize>,
    /// `shop/deployment/checkout, container app`.
    pub used_by: Vec<String>,
}

impl Use {
    /// Takes in another use of the same image and start: its nodes and users.
    pub fn join(&mut self, other: Use) {
        self.names.extend(other.names);
        self.groups = BTreeSet::from_iter(self.groups.drain(..).chain(other.groups)).into_iter().collect();
        self.used_by = BTreeSet::from_iter(self.used_by.drain(..).chain(other.used_by)).into_iter().collect();
    }
}

/// Start of an image: the key under which uses are one.
type Start = (String, Option<Vec<String>>, Option<Vec<String>>, Option<Platform>);

/// Collects uses of pods and workloads.
#[derive(Debug, Default)]
pub struct Survey {
    uses: BTreeMap<Start, (BTreeSet<usize>, BTreeSet<String>)>,
    /// Workloads that no node may run, each with the first obstacle of the last node asked.
    pub homeless: Vec<(String, String)>,
}

impl Survey {
    /// A running pod's containers, by the digests that its node reports, on that node.
    pub fn add_pod(&mut self, pod: &PodObject, nodes: &Nodes) {
        let group = pod.spec.node_name.as_deref().and_then(|node| position(nodes, node));
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
            self.add(by_digest.unwrap_or_else(|| container.image.clone()), &container, group, title);
        }
    }

    /// A workload's template, on every node that the scheduler may give it. Without nodes it is judged as declared.
    pub fn add_workload(&mut self, workload: &Workload, objects: &[NodeObject], nodes: &Nodes) {
        let mut groups = BTreeSet::new();
        let mut obstacle = None;
        for object in objects {
            match admits(&workload.pod, object) {
                Ok(()) => groups.extend(position(nodes, &object.metadata.name)),
                Err(why) => obstacle = Some(why),
            }
        }
        if let (true, Some(why)) = (groups.is_empty(), obstacle) {
            self.homeless.push((workload.title(), why));
            return;
        }
        for container in &workload.containers {
            let title = title(workload.namespace.as_deref(), &workload.title(), container);
            self.add(container.image.clone(), container, groups.iter().copied(), title);
        }
    }

    fn add(&mut self, image: String, container: &ContainerUse, groups: impl IntoIterator<Item = usize>, title: String) {
        let key = (image, container.command.clone(), container.args.clone(), container.platform.clone());
        let (known, titles) = self.uses.entry(key).or_default();
        known.extend(groups);
        titles.insert(title);
    }

    /// Every use, by image.
    pub fn uses(self) -> Vec<Use> {
        self.uses
            .into_iter()
            .map(|((image, command, args, platform), (groups, used_by))| Use {
                names: vec![image.clone()],
                image,
                command,
                args,
                platform,
                groups: groups.into_iter().collect(),
                used_by: used_by.into_iter().collect(),
            })
            .collect()
    }
}

fn position(nodes: &Nodes, node: &str) -> Option<usize> {
    nodes.groups.iter().position(|group: &Group| group.nodes.iter().any(|name| name == node))
}

fn title(namespace: Option<&str>, owner: &str, container: &ContainerUse) -> String {
    let namespace = namespace.map_or_else(String::new, |namespace| format!("{namespace}/"));
    format!("{namespace}{owner}, {} {}", container.role.word(), container.name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kube::nodes::group;
    use crate::kube::object::read;
    use crate::kube::workload::of_object;
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
        assert_eq!(uses[0].args.as_deref(), Some(["serve".to_string()].as_slice()));
    }

    #[test]
    fn a_pod_is_judged_by_its_digest_on_its_node() {
        let objects = [node("a1", "arm64"), node("x1", "amd64")];
        let nodes = group(&objects);
        let pod: PodObject = read(json!({
            "metadata": {"name": "app-7c9d-x", "namespace": "shop", "ownerReferences": [{"kind": "ReplicaSet", "name": "app-7c9d"}]},
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
