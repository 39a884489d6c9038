//! Finds the groups of nodes that each pod may run on. Nodes with the same taints and the same values of the labels
//! that a pod selects are checked once, so the work grows with the number of nodes plus workloads, not with their
//! product.

use std::collections::{BTreeSet, HashMap};

use super::nodes::Nodes;
use super::object::{NodeObject, NodeSelectorTerm, PodSpec, Taint};
use super::schedule::admits;

/// The nodes of a cluster, in classes by the labels that pods select.
#[derive(Debug, Default)]
pub struct Admitted {
    /// By the labels that pods select.
    classes: HashMap<Vec<String>, Classes>,
    /// By a pod's constraints.
    known: HashMap<String, Admission>,
}

/// Nodes with the same taints and the same values of some labels.
#[derive(Debug, Default)]
struct NodeClass {
    /// Index of the last of them.
    node: usize,
    groups: BTreeSet<usize>,
}

#[derive(Debug, Default)]
struct Classes {
    all: Vec<NodeClass>,
    /// Indexes of classes by a label and its value.
    by_value: HashMap<String, HashMap<String, Vec<usize>>>,
}

/// The groups of nodes on which a pod may run.
#[derive(Clone, Debug, Default)]
pub struct Admission {
    pub groups: BTreeSet<usize>,
    /// What excludes the last node, if there are no groups.
    pub obstacle: Option<String>,
}

impl Admitted {
    /// The groups of the nodes on which the scheduler may place `pod`. `objects` must be the same in every call.
    pub fn admission(&mut self, pod: &PodSpec, objects: &[NodeObject], nodes: &Nodes) -> Admission {
        // Most workloads share one of a few sets of constraints.
        let constraints = format!("{:?}", (&pod.node_name, &pod.node_selector, &pod.affinity, &pod.tolerations));
        if let Some(known) = self.known.get(&constraints) {
            return known.clone();
        }
        let mut found = Admission::default();
        let group = |object: &NodeObject| nodes.position(&object.metadata.name);
        if pod.node_name.is_some() || selects_by_name(pod) {
            let admitting = objects.iter().filter(|object| admits(pod, object).is_ok());
            found.groups.extend(admitting.filter_map(group));
        } else {
            let labels = labels(pod);
            let classes = self.classes.entry(labels).or_insert_with_key(|labels| Classes::new(labels, objects, &group));
            let admitting = classes.candidates(pod).filter(|class| admits(pod, &objects[class.node]).is_ok());
            found.groups.extend(admitting.flat_map(|class| &class.groups));
        }
        if found.groups.is_empty() {
            let mut obstacles = objects.iter().rev().filter_map(|object| admits(pod, object).err());
            found.obstacle = obstacles.next().map(|obstacle| obstacle.to_string());
        }
        self.known.insert(constraints, found.clone());
        found
    }
}

/// Whether a term of the affinity selects nodes by name.
fn selects_by_name(pod: &PodSpec) -> bool {
    let terms = &pod.affinity.node_affinity.required_during_scheduling_ignored_during_execution.node_selector_terms;
    terms.iter().any(|term| !term.match_fields.is_empty())
}

/// The labels that decide whether a node fits, sorted.
fn labels(pod: &PodSpec) -> Vec<String> {
    let terms = &pod.affinity.node_affinity.required_during_scheduling_ignored_during_execution.node_selector_terms;
    let wanted = terms.iter().flat_map(|term| &term.match_expressions).map(|want| &want.key);
    BTreeSet::from_iter(pod.node_selector.keys().chain(wanted)).into_iter().cloned().collect()
}

impl Classes {
    fn new(labels: &[String], objects: &[NodeObject], group: &dyn Fn(&NodeObject) -> Option<usize>) -> Classes {
        type Marks<'a> = (Vec<Option<&'a str>>, &'a [Taint]);
        let mut classes = Classes::default();
        let mut known: HashMap<Marks<'_>, usize> = HashMap::new();
        for (node, object) in objects.iter().enumerate() {
            let values = labels.iter().map(|label| object.metadata.labels.get(label).map(String::as_str)).collect();
            let at = *known.entry((values, &object.spec.taints)).or_insert_with_key(|(values, _)| {
                for (label, value) in labels.iter().zip(values) {
                    let Some(value) = value else { continue };
                    let of_label = classes.by_value.entry(label.clone()).or_default();
                    of_label.entry(value.to_string()).or_default().push(classes.all.len());
                }
                classes.all.push(NodeClass::default());
                classes.all.len() - 1
            });
            classes.all[at].node = node;
            classes.all[at].groups.extend(group(object));
        }
        classes
    }

    /// The classes that may fit: those with one of the values that the pod selects, or all if it selects none.
    fn candidates(&self, pod: &PodSpec) -> Box<dyn Iterator<Item = &NodeClass> + '_> {
        let with = |label: &str, value: &str| {
            let found = self.by_value.get(label).and_then(|of_label| of_label.get(value));
            found.map_or(&[][..], Vec::as_slice)
        };
        let selected = pod.node_selector.iter().map(|(label, value)| with(label, value).to_vec());
        let terms = &pod.affinity.node_affinity.required_during_scheduling_ignored_during_execution.node_selector_terms;
        let of_term = |term: &NodeSelectorTerm| {
            let named = term.match_expressions.iter().filter(|want| want.operator == "In");
            let classes =
                named.map(|want| want.values.iter().flat_map(|value| with(&want.key, value)).copied().collect());
            classes.min_by_key(Vec::len)
        };
        let of_terms: Option<Vec<Vec<usize>>> = terms.iter().map(of_term).collect();
        let of_terms = of_terms.filter(|terms| !terms.is_empty()).map(|terms| terms.concat());
        match selected.chain(of_terms).min_by_key(Vec::len) {
            None => Box::new(self.all.iter()),
            Some(named) => Box::new(named.into_iter().map(|at| &self.all[at])),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kube::nodes::group;
    use crate::kube::object::read;
    use serde_json::{Value, json};

    /// Nodes in three zones; every fifth is tainted, every seventh runs Windows.
    fn cluster(count: usize) -> Vec<NodeObject> {
        let node = |number: usize| {
            let arch = if number.is_multiple_of(2) { "amd64" } else { "arm64" };
            let taints =
                if number.is_multiple_of(5) { json!([{"key": "gpu", "effect": "NoSchedule"}]) } else { json!([]) };
            let name = format!("n{number}");
            read(json!({
                "metadata": {"name": name, "labels": {
                    "kubernetes.io/arch": arch, "kubernetes.io/hostname": name, "zone": format!("z{}", number % 3)
                }},
                "spec": {"taints": taints},
                "status": {"nodeInfo": {
                    "architecture": arch, "operatingSystem": if number.is_multiple_of(7) { "windows" } else { "linux" },
                    "kernelVersion": format!("6.{}.0", number % 4)
                }}
            }))
            .unwrap()
        };
        (0..count).map(node).collect()
    }

    #[test]
    fn classes_admit_the_same_pods_as_their_nodes() {
        let objects = cluster(200);
        let nodes = group(&objects);
        let required = |terms: Value| {
            json!({"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution":
                {"nodeSelectorTerms": terms}}}})
        };
        let one = |key: &str, operator: &str, values: Value| {
            required(json!([{"matchExpressions": [{"key": key, "operator": operator, "values": values}]}]))
        };
        let mut specs = vec![
            json!({}),
            json!({"tolerations": [{"operator": "Exists"}]}),
            json!({"nodeName": "n5"}),
            json!({"nodeName": "gone"}),
            json!({"nodeSelector": {"none": "x"}}),
            one("zone", "NotIn", json!(["z1"])),
            one("zone", "DoesNotExist", json!([])),
            one("kubernetes.io/hostname", "In", json!(["n3", "n4"])),
            json!({"nodeSelector": {"zone": "z2"}, "affinity": one("kubernetes.io/hostname", "In", json!(["n2", "n5", "n3"]))["affinity"]}),
            required(json!([
                {"matchExpressions": [
                    {"key": "zone", "operator": "In", "values": ["z0", "z1"]},
                    {"key": "kubernetes.io/hostname", "operator": "In", "values": ["n1", "n3", "n8"]}
                ]},
                {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["z2", "gone"]}]}
            ])),
            required(json!([
                {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["z2"]}]},
                {"matchExpressions": [{"key": "gone", "operator": "DoesNotExist"}]}
            ])),
            required(json!([{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n9"]}]}])),
        ];
        for zone in 0..4 {
            specs.push(json!({"nodeSelector": {"zone": format!("z{zone}"), "kubernetes.io/arch": "arm64"}}));
        }
        let mut admitted = Admitted::default();
        for spec in specs {
            let pod: PodSpec = read(spec.clone()).unwrap();
            let (mut groups, mut obstacle) = (BTreeSet::new(), None);
            for object in &objects {
                match admits(&pod, object) {
                    Ok(()) => groups.extend(nodes.position(&object.metadata.name)),
                    Err(why) => obstacle = Some(why.to_string()),
                }
            }
            for _ in 0..2 {
                let found = admitted.admission(&pod, &objects, &nodes);
                assert_eq!(found.groups, groups, "{spec}");
                assert_eq!(found.obstacle, obstacle.clone().filter(|_| groups.is_empty()), "{spec}");
            }
        }
    }
}
