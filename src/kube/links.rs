//! What the pods of a live cluster refer to: ConfigMaps and runtime classes, each requested once.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

use super::linked::Linked;
use crate::exec::UNKNOWN_TEXT;

/// Bytes of a variable that is kept: a path, a name or an option, not a file that was put into a ConfigMap.
const MAX_VALUE: usize = 1 << 10;

/// An object that another one refers to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ObjectReference {
    ConfigMap {
        namespace: String,
        name: String,
    },
    /// All of the cluster: they are few.
    RuntimeClasses,
}

/// Why a reference leads to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BrokenReference {
    /// A pod that needs it does not start, and the kubelet gives the reason.
    Absent,
    Error(String),
}

/// The objects that were requested so far.
#[derive(Debug, Default)]
pub struct Links {
    linked: Linked,
    requested: BTreeSet<ObjectReference>,
    /// By namespace, why its ConfigMaps were not read.
    refused: BTreeMap<String, String>,
}

impl Links {
    /// The references that were not requested before. The caller requests them now.
    pub fn missing(&mut self, references: BTreeSet<ObjectReference>) -> Vec<ObjectReference> {
        references.into_iter().filter(|reference| self.requested.insert(reference.clone())).collect()
    }

    /// Whether an earlier answer refuses this reference too.
    pub fn is_refused(&self, reference: &ObjectReference) -> bool {
        match reference {
            ObjectReference::ConfigMap { namespace, .. } => self.refused.contains_key(namespace),
            ObjectReference::RuntimeClasses => false,
        }
    }

    /// Adds the answer to a request.
    pub fn add(&mut self, reference: &ObjectReference, answer: Result<Vec<Value>, BrokenReference>) {
        match (answer, reference) {
            (Ok(mut objects), _) => {
                objects.iter_mut().for_each(shorten);
                self.linked.add_all(&objects);
            }
            // Of a runtime class, its own name has to do.
            (Err(BrokenReference::Absent), _) | (Err(BrokenReference::Error(_)), ObjectReference::RuntimeClasses) => {}
            (Err(BrokenReference::Error(error)), ObjectReference::ConfigMap { namespace, .. }) => {
                self.refused.insert(namespace.clone(), error);
            }
        }
    }

    /// Puts into `object` what the objects that it refers to say of it. What was not read stays unknown.
    pub fn fill(&mut self, object: &mut Value) {
        self.linked.fill_next(object);
    }

    /// Why variables are not known, once for each namespace.
    pub fn refused(&self) -> Vec<String> {
        let note = |error: &String| format!("{error}: variables that come from ConfigMaps are not known");
        self.refused.values().map(note).collect()
    }
}

/// The fields of a pod, or of a workload with a template, that name other objects.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Referring {
    metadata: KeyedName,
    spec: Option<ReferringSpec>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ReferringSpec {
    runtime_class_name: Option<String>,
    containers: Option<Vec<LinkedVariables>>,
    init_containers: Option<Vec<LinkedVariables>>,
    ephemeral_containers: Option<Vec<LinkedVariables>>,
    /// Of a workload.
    template: Option<Box<Referring>>,
    /// Of a CronJob.
    job_template: Option<Box<Referring>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct LinkedVariables {
    env: Option<Vec<LinkedVariable>>,
    env_from: Option<Vec<LinkedVariable>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct LinkedVariable {
    config_map_ref: Option<KeyedName>,
    config_map_key_ref: Option<KeyedName>,
    value_from: Option<Box<LinkedVariable>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct KeyedName {
    name: Option<String>,
    namespace: Option<String>,
}

/// The items of a list, of which only the references are read.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ReferringList {
    items: Option<Vec<Referring>>,
}

/// What a pod, or a workload's template, refers to.
pub fn references(object: &Value) -> BTreeSet<ObjectReference> {
    let mut found = BTreeSet::new();
    if let Ok(object) = Referring::deserialize(object) {
        let namespace = object.metadata.namespace.as_deref().unwrap_or("default");
        collect(object.spec.as_ref(), namespace, &mut found);
    }
    found
}

/// What the items of a list's JSON refer to.
pub fn references_of_list(text: &str) -> BTreeSet<ObjectReference> {
    let mut found = BTreeSet::new();
    // Most lists refer to nothing, and searching is cheaper than parsing.
    let is_referring = ["configMapRef", "configMapKeyRef", "runtimeClassName"].iter().any(|field| text.contains(field));
    if is_referring {
        let list: ReferringList = serde_json::from_str(text).unwrap_or_default();
        for object in list.items.iter().flatten() {
            let namespace = object.metadata.namespace.as_deref().unwrap_or("default");
            collect(object.spec.as_ref(), namespace, &mut found);
        }
    }
    found
}

fn collect(spec: Option<&ReferringSpec>, namespace: &str, found: &mut BTreeSet<ObjectReference>) {
    let Some(spec) = spec else { return };
    if spec.runtime_class_name.is_some() {
        found.insert(ObjectReference::RuntimeClasses);
    }
    let lists = [&spec.containers, &spec.init_containers, &spec.ephemeral_containers];
    for container in lists.into_iter().flatten().flatten() {
        let all = container.env_from.iter().flatten().filter_map(|entry| entry.config_map_ref.as_ref());
        let one =
            container.env.iter().flatten().filter_map(|entry| entry.value_from.as_ref()?.config_map_key_ref.as_ref());
        for name in all.chain(one).filter_map(|named| named.name.as_ref()) {
            found.insert(ObjectReference::ConfigMap { namespace: namespace.to_string(), name: name.clone() });
        }
    }
    for template in [&spec.template, &spec.job_template].into_iter().flatten() {
        collect(template.spec.as_ref(), namespace, found);
    }
}

/// Drops what is not a variable.
fn shorten(object: &mut Value) {
    for value in object["data"].as_object_mut().into_iter().flat_map(|data| data.values_mut()) {
        if value.as_str().is_none_or(|text| text.len() > MAX_VALUE) {
            *value = Value::from(UNKNOWN_TEXT.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(namespace: &str) -> Value {
        json!({"metadata": {"namespace": namespace}, "spec": {"containers": [
            {"envFrom": [{"configMapRef": {"name": "c"}}, {"secretRef": {"name": "s"}}]},
            {"env": [{"name": "P", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "PATH"}}}]}
        ]}})
    }

    fn map(name: &str) -> ObjectReference {
        ObjectReference::ConfigMap { namespace: "shop".into(), name: name.into() }
    }

    #[test]
    fn a_config_map_is_requested_once_and_its_short_values_are_filled_in() {
        let mut links = Links::default();
        let mut objects = [
            pod("shop"),
            json!({"metadata": {"namespace": "shop"}, "spec": {"template": pod("")}}),
            json!({"metadata": {"namespace": "shop"}, "spec": {"jobTemplate": {"spec": {"template": pod("")}}}}),
        ];
        for object in &objects {
            assert_eq!(references(object), [map("c")].into());
        }
        assert_eq!(links.missing(references(&objects[0])), [map("c")]);
        assert_eq!(links.missing(references(&objects[1])), []);
        let data = json!({"PATH": "/opt", "file": "x".repeat(MAX_VALUE + 1)});
        let config_map = json!({"kind": "ConfigMap", "metadata": {"name": "c", "namespace": "shop"}, "data": data});
        links.add(&map("c"), Ok(vec![config_map]));
        objects.iter_mut().for_each(|object| links.fill(object));
        let job = &objects[2]["spec"]["jobTemplate"]["spec"]["template"];
        for pod in [&objects[0], &objects[1]["spec"]["template"], job] {
            let containers = &pod["spec"]["containers"];
            let unknown = UNKNOWN_TEXT.to_string();
            assert_eq!(containers[0]["envFrom"][0]["values"], json!({"PATH": "/opt", "file": unknown}));
            assert_eq!(containers[0]["envFrom"][1]["values"], Value::Null);
            assert_eq!(containers[1]["env"][0]["value"], "/opt");
        }
    }

    #[test]
    fn references_of_a_list_are_those_of_its_items() {
        let class = json!({"spec": {"runtimeClassName": "safe", "containers": null}});
        let list = json!({"kind": "PodList", "items": [pod("shop"), class, {"spec": null}, pod("bank")]});
        let bank = ObjectReference::ConfigMap { namespace: "bank".into(), name: "c".into() };
        assert_eq!(references_of_list(&list.to_string()), [map("c"), bank, ObjectReference::RuntimeClasses].into());
        assert_eq!(references_of_list(r#"{"items": null}"#), BTreeSet::new());
    }

    #[test]
    fn a_namespace_that_refuses_is_noted_once() {
        let mut links = Links::default();
        for name in ["a", "b"] {
            links.add(&map(name), Err(BrokenReference::Error("https://a forbids it".into())));
        }
        assert!(links.is_refused(&map("c")));
        assert!(!links.is_refused(&ObjectReference::RuntimeClasses));
        assert_eq!(links.refused(), ["https://a forbids it: variables that come from ConfigMaps are not known"]);
    }
}
