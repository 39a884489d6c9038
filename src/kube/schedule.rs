//! Where the scheduler may put a pod: node name, nodeSelector, required node affinity, taints and tolerations.
//! Pure. Resources, topology and pod affinity only choose among the nodes that are left, so they are not asked.

use super::object::{NodeObject, PodSpec, Requirement, Taint, Toleration};

/// Why a pod may not run on a node, lower case: "nodeSelector wants kubernetes.io/arch=arm64".
pub type Obstacle = String;

/// Whether a pod may run on a node; the first thing that forbids it otherwise.
/// Source: kube-scheduler's NodeName, NodeAffinity, TaintToleration and NodeUnschedulable plugins.
pub fn admits(pod: &PodSpec, node: &NodeObject) -> Result<(), Obstacle> {
    if let Some(name) = pod.node_name.as_deref().filter(|name| *name != node.metadata.name) {
        return Err(format!("nodeName wants {name}"));
    }
    let labels = &node.metadata.labels;
    for (key, value) in &pod.node_selector {
        if labels.get(key) != Some(value) {
            return Err(format!("nodeSelector wants {key}={value}"));
        }
    }
    let terms = &pod.affinity.node_affinity.required_during_scheduling_ignored_during_execution.node_selector_terms;
    let fits_term = |term: &super::object::NodeSelectorTerm| {
        let has_any = !term.match_expressions.is_empty() || !term.match_fields.is_empty();
        has_any
            && term.match_expressions.iter().all(|want| fits(want, labels.get(&want.key).map(String::as_str)))
            && term.match_fields.iter().all(|want| fits(want, Some(node.metadata.name.as_str())))
    };
    if !terms.is_empty() && !terms.iter().any(fits_term) {
        return Err(format!("nodeAffinity wants {}", terms.iter().map(describe).collect::<Vec<_>>().join(", or ")));
    }
    // A pod that names its node passes the scheduler by, and only NoExecute taints drive it away.
    let is_bound = pod.node_name.is_some();
    let forbids = |taint: &&Taint| taint.effect == "NoExecute" || (taint.effect == "NoSchedule" && !is_bound);
    let is_tolerated = |taint: &Taint| pod.tolerations.iter().any(|toleration| tolerates(toleration, taint));
    if let Some(taint) = node.spec.taints.iter().filter(forbids).find(|taint| !is_tolerated(taint)) {
        return Err(format!("the taint {}={}:{} is not tolerated", taint.key, taint.value, taint.effect));
    }
    Ok(())
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

fn describe(term: &super::object::NodeSelectorTerm) -> String {
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
        // An empty key is every taint, but only with Exists.
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
        assert_eq!(admits(&pod, &node()), expected.map_err(str::to_string), "{spec}");
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

    #[test]
    fn a_selector_wants_every_label() {
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
    fn a_pod_that_names_its_node_passes_the_scheduler_by() {
        check(json!({"nodeName": "n1"}), Ok(()));
        check(json!({"nodeName": "n2"}), Err("nodeName wants n2"));
    }
}
