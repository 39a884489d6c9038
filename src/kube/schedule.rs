//! Decides where the scheduler may place a pod: node name, nodeSelector, required node affinity, taints and
//! tolerations. Pure. Resources, topology and pod affinity only choose among the remaining nodes, so they are not
//! checked.

use std::fmt;

use super::object::{NodeObject, NodeSelectorTerm, PodSpec, Requirement, Taint, Toleration};
use crate::platform::Platform;
use crate::platform::arch::ARCHES;

/// Why a pod may not run on a node. Displayed in lower case: "nodeSelector wants kubernetes.io/arch=arm64".
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Obstacle<'a> {
    NodeName(&'a str),
    NodeSelector {
        key: &'a str,
        value: &'a str,
    },
    /// None of these terms matches.
    NodeAffinity(&'a [NodeSelectorTerm]),
    /// The pod does not tolerate this taint.
    Taint(&'a Taint),
}

impl fmt::Display for Obstacle<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Obstacle::NodeName(name) => write!(f, "nodeName wants {name}"),
            Obstacle::NodeSelector { key, value } => write!(f, "nodeSelector wants {key}={value}"),
            Obstacle::NodeAffinity(terms) => {
                let terms = terms.iter().map(describe).collect::<Vec<_>>();
                write!(f, "nodeAffinity wants {}", terms.join(", or "))
            }
            Obstacle::Taint(taint) => {
                write!(f, "the taint {}={}:{} is not tolerated", taint.key, taint.value, taint.effect)
            }
        }
    }
}

/// Whether a pod may run on a node. The error is the first obstacle.
/// Source: kube-scheduler's NodeName, NodeAffinity, TaintToleration and NodeUnschedulable plugins.
pub fn admits<'a>(pod: &'a PodSpec, node: &'a NodeObject) -> Result<(), Obstacle<'a>> {
    if let Some(name) = pod.node_name.as_deref().filter(|name| *name != node.metadata.name) {
        return Err(Obstacle::NodeName(name));
    }
    let labels = &node.metadata.labels;
    for (key, value) in &pod.node_selector {
        if labels.get(key) != Some(value) {
            return Err(Obstacle::NodeSelector { key, value });
        }
    }
    let terms = &pod.affinity.node_affinity.required_during_scheduling_ignored_during_execution.node_selector_terms;
    let fits_term = |term: &NodeSelectorTerm| {
        let has_any = !term.match_expressions.is_empty() || !term.match_fields.is_empty();
        has_any
            && term.match_expressions.iter().all(|want| fits(want, labels.get(&want.key).map(String::as_str)))
            && term.match_fields.iter().all(|want| fits(want, Some(node.metadata.name.as_str())))
    };
    if !terms.is_empty() && !terms.iter().any(fits_term) {
        return Err(Obstacle::NodeAffinity(terms));
    }
    // A pod that names its node bypasses the scheduler, and only NoExecute taints evict it.
    let is_bound = pod.node_name.is_some();
    let forbids = |taint: &&Taint| {
        !is_passing(taint) && (taint.effect == "NoExecute" || (taint.effect == "NoSchedule" && !is_bound))
    };
    let is_tolerated = |taint: &Taint| pod.tolerations.iter().any(|toleration| tolerates(toleration, taint));
    if let Some(taint) = node.spec.taints.iter().filter(forbids).find(|taint| !is_tolerated(taint)) {
        return Err(Obstacle::Taint(taint));
    }
    Ok(())
}

/// Whether a taint describes a node's present state, not its purpose: not ready, cordoned, about to be removed.
/// Source: Kubernetes' well-known labels, annotations and taints; cluster-autoscaler, Karpenter, Cilium, AWS EBS CSI.
fn is_passing(taint: &Taint) -> bool {
    const OWNERS: &[&str] = &["node.kubernetes.io/", "node.cloudprovider.kubernetes.io/"];
    const KEYS: &[&str] = &[
        "ToBeDeletedByClusterAutoscaler",
        "DeletionCandidateOfClusterAutoscaler",
        "karpenter.sh/disrupted",
        "karpenter.sh/unregistered",
        "node.cilium.io/agent-not-ready",
        "ebs.csi.aws.com/agent-not-ready",
        "efs.csi.aws.com/agent-not-ready",
    ];
    OWNERS.iter().any(|owner| taint.key.starts_with(owner)) || KEYS.contains(&taint.key.as_str())
}

/// The platforms that a pod's own constraints allow if no nodes are known.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum PodNarrowing {
    #[default]
    None,
    /// Only these. Empty: none.
    Only(Vec<Platform>),
    /// All but these.
    Except(Vec<Platform>),
}

const ARCH_LABELS: [&str; 2] = ["kubernetes.io/arch", "beta.kubernetes.io/arch"];
const OS_LABELS: [&str; 2] = ["kubernetes.io/os", "beta.kubernetes.io/os"];
/// An architecture that no manifest names.
const UNNAMED: &str = "?";

/// The platforms that nodeSelector and required affinity allow by the labels of architecture and operating system. All
/// other labels are assumed to match.
pub fn narrowing(pod: &PodSpec) -> PodNarrowing {
    let arches = || ARCHES.iter().map(|row| row.arch.oci());
    let is_left = |os: &str, arch: &str| may_be_on(pod, os, arch);
    let all = || ["linux", "windows"].into_iter().flat_map(|os| arches().map(move |arch| (os, arch)));
    let platform = |(os, arch): (&str, &str)| Platform::parse(&format!("{os}/{arch}")).ok();
    let is_open = ["linux", "windows"].iter().any(|os| is_left(os, UNNAMED));
    if !is_open {
        let mut only: Vec<Platform> = all().filter(|(os, arch)| is_left(os, arch)).filter_map(platform).collect();
        // A pod without an operating system is for Linux.
        if only.iter().any(|platform| platform.os == "linux") {
            only.retain(|platform| platform.os == "linux");
        }
        return PodNarrowing::Only(only);
    }
    match all().filter(|(os, arch)| !is_left(os, arch)).filter_map(platform).collect::<Vec<_>>() {
        excepted if excepted.is_empty() => PodNarrowing::None,
        excepted => PodNarrowing::Except(excepted),
    }
}

fn may_be_on(pod: &PodSpec, os: &str, arch: &str) -> bool {
    // `None`: the label is not one of these.
    let label = |key: &str| match key {
        key if ARCH_LABELS.contains(&key) => Some(arch),
        key if OS_LABELS.contains(&key) => Some(os),
        _ => None,
    };
    let terms = &pod.affinity.node_affinity.required_during_scheduling_ignored_during_execution.node_selector_terms;
    let fits_term = |term: &NodeSelectorTerm| {
        term.match_expressions.iter().all(|want| label(&want.key).is_none_or(|value| fits(want, Some(value))))
    };
    (pod.os.name.is_empty() || pod.os.name == os)
        && pod.node_selector.iter().all(|(key, wanted)| label(key).is_none_or(|value| value == wanted))
        && (terms.is_empty() || terms.iter().any(fits_term))
}

fn fits(want: &Requirement, label: Option<&str>) -> bool {
    let number = |text: &str| text.parse::<i64>().ok();
    let bound = || want.values.first().and_then(|text| number(text));
    match want.operator.as_str() {
        "In" => label.is_some_and(|label| want.values.iter().any(|value| value == label)),
        "NotIn" => label.is_none_or(|label| !want.values.iter().any(|value| value == label)),
        "Exists" => label.is_some(),
        "DoesNotExist" => label.is_none(),
        "Gt" => label.and_then(number).zip(bound()).is_some_and(|(label, bound)| label > bound),
        "Lt" => label.and_then(number).zip(bound()).is_some_and(|(label, bound)| label < bound),
        _ => false,
    }
}

fn describe(term: &NodeSelectorTerm) -> String {
    let wants = term.match_expressions.iter().chain(&term.match_fields);
    let texts: Vec<String> = wants
        .map(|want| match want.values.as_slice() {
            [] => format!("{} {}", want.key, want.operator),
            values => format!("{} {} {}", want.key, want.operator, values.join("|")),
        })
        .collect();
    texts.join(" and ")
}

/// Source: k8s.io/api core/v1, `Toleration.ToleratesTaint`.
fn tolerates(toleration: &Toleration, taint: &Taint) -> bool {
    let is_effect = toleration.effect.is_empty() || toleration.effect == taint.effect;
    let is_key = toleration.key.is_empty() || toleration.key == taint.key;
    let is_value = match toleration.operator.as_str() {
        "Exists" => true,
        // An empty key matches every taint, but only with Exists.
        "" | "Equal" => !toleration.key.is_empty() && toleration.value == taint.value,
        _ => false,
    };
    is_effect && is_key && is_value
}

#[cfg(test)]
mod tests {
    use super::super::object::read;
    use super::*;
    use serde_json::{Value, json};

    /// An arm64 node, tainted as GKE taints its arm64 nodes.
    fn node() -> NodeObject {
        read(json!({
            "metadata": {"name": "n1", "labels": {"kubernetes.io/arch": "arm64", "zone": "a", "cpus": "8"}},
            "spec": {"taints": [{"key": "kubernetes.io/arch", "value": "arm64", "effect": "NoSchedule"}]}
        }))
        .unwrap()
    }

    fn check(spec: Value, expected: Result<(), &str>) {
        let pod: PodSpec = read(spec.clone()).unwrap();
        let node = node();
        let admitted = admits(&pod, &node).map_err(|obstacle| obstacle.to_string());
        assert_eq!(admitted, expected.map_err(str::to_string), "{spec}");
    }

    fn tolerating(mut spec: Value) -> Value {
        spec["tolerations"] = json!([{"operator": "Exists"}]);
        spec
    }

    fn affinity(terms: Value) -> Value {
        let required = json!({"nodeSelectorTerms": terms});
        tolerating(json!({"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}}))
    }

    #[test]
    fn a_taint_needs_its_toleration() {
        check(json!({}), Err("the taint kubernetes.io/arch=arm64:NoSchedule is not tolerated"));
        check(
            json!({"tolerations": [{"key": "kubernetes.io/arch", "value": "arm64", "effect": "NoSchedule"}]}),
            Ok(()),
        );
        check(json!({"tolerations": [{"key": "kubernetes.io/arch", "operator": "Exists"}]}), Ok(()));
        check(tolerating(json!({})), Ok(()));
        check(
            json!({"tolerations": [{"key": "kubernetes.io/arch", "value": "amd64"}]}),
            Err("the taint kubernetes.io/arch=arm64:NoSchedule is not tolerated"),
        );
        check(
            json!({"tolerations": [{"operator": "Equal", "value": "arm64"}]}),
            Err("the taint kubernetes.io/arch=arm64:NoSchedule is not tolerated"),
        );
    }

    fn narrowed(spec: Value) -> PodNarrowing {
        narrowing(&read(spec).unwrap())
    }

    #[test]
    fn a_pods_own_constraints_narrow_the_platforms() {
        let only =
            |names: &[&str]| PodNarrowing::Only(names.iter().map(|name| Platform::parse(name).unwrap()).collect());
        let arch = |operator: &str, values: Value| {
            let term =
                json!({"matchExpressions": [{"key": "kubernetes.io/arch", "operator": operator, "values": values}]});
            let required = json!({"nodeSelectorTerms": [term]});
            json!({"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}})
        };
        assert_eq!(narrowed(json!({"nodeSelector": {"zone": "a"}})), PodNarrowing::None);
        let both = json!({"nodeSelector": {"kubernetes.io/arch": "arm64", "kubernetes.io/os": "linux"}});
        assert_eq!(narrowed(both), only(&["linux/arm64"]));
        assert_eq!(
            narrowed(json!({"affinity": arch("In", json!(["amd64", "arm64"])), "os": {"name": "linux"}})),
            only(&["linux/amd64", "linux/arm64"])
        );
        let PodNarrowing::Except(except) = narrowed(json!({"affinity": arch("NotIn", json!(["arm64"]))})) else {
            panic!()
        };
        assert_eq!(except, ["linux/arm64", "windows/arm64"].map(|name| Platform::parse(name).unwrap()));
        let PodNarrowing::Except(except) = narrowed(json!({"nodeSelector": {"kubernetes.io/os": "linux"}})) else {
            panic!()
        };
        assert!(!except.is_empty() && except.iter().all(|platform| platform.os == "windows"));
        let nowhere =
            json!({"nodeSelector": {"kubernetes.io/arch": "s390x"}, "affinity": arch("In", json!(["arm64"]))});
        assert_eq!(narrowed(nowhere), PodNarrowing::Only(Vec::new()));
    }

    #[test]
    fn a_selector_requires_every_label() {
        check(tolerating(json!({"nodeSelector": {"kubernetes.io/arch": "arm64", "zone": "a"}})), Ok(()));
        check(
            tolerating(json!({"nodeSelector": {"kubernetes.io/arch": "amd64"}})),
            Err("nodeSelector wants kubernetes.io/arch=amd64"),
        );
    }

    #[test]
    fn one_term_of_an_affinity_is_enough_and_all_its_expressions_are_needed() {
        let arch = |values: Value| json!({"key": "kubernetes.io/arch", "operator": "In", "values": values});
        check(affinity(json!([{"matchExpressions": [arch(json!(["amd64", "arm64"]))]}])), Ok(()));
        check(
            affinity(
                json!([{"matchExpressions": [arch(json!(["amd64"]))]}, {"matchExpressions": [{"key": "zone", "operator": "Exists"}]}]),
            ),
            Ok(()),
        );
        check(
            affinity(json!([{"matchExpressions": [arch(json!(["arm64"])), {"key": "gpu", "operator": "Exists"}]}])),
            Err("nodeAffinity wants kubernetes.io/arch In arm64 and gpu Exists"),
        );
        check(affinity(json!([{}])), Err("nodeAffinity wants "));
    }

    #[test]
    fn operators_compare_as_the_scheduler_does() {
        let one = |key: &str, operator: &str, values: Value| {
            affinity(json!([{"matchExpressions": [{"key": key, "operator": operator, "values": values}]}]))
        };
        check(one("gpu", "DoesNotExist", json!([])), Ok(()));
        check(one("gpu", "NotIn", json!(["a100"])), Ok(()));
        check(one("cpus", "Gt", json!(["4"])), Ok(()));
        check(one("cpus", "Lt", json!(["8"])), Err("nodeAffinity wants cpus Lt 8"));
        check(one("zone", "NotIn", json!(["a"])), Err("nodeAffinity wants zone NotIn a"));
    }

    #[test]
    fn a_pod_that_names_its_node_bypasses_the_scheduler() {
        check(json!({"nodeName": "n1"}), Ok(()));
        check(json!({"nodeName": "n2"}), Err("nodeName wants n2"));
    }
}
