//! What the pods of a live cluster refer to: ConfigMaps and runtime classes, each requested once.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::linked::Linked;
use crate::exec::UNKNOWN_TEXT;

/// Bytes of a variable that is kept: a path, a name or an option, not a file that was put into a ConfigMap.
const MAX_VALUE: usize = 1 << 10;

/// An object that another one refers to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reference {
    ConfigMap {
        namespace: String,
        name: String,
    },
    /// All of the cluster: they are few.
    RuntimeClasses,
}

/// Why a reference leads to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A pod that needs it does not start, and the kubelet gives the reason.
    Absent,
    Error(String),
}

/// Requests what a [`Reference`] names.
pub type RequestObjects<'a> = &'a mut dyn FnMut(&Reference) -> Result<Vec<Value>, Refusal>;

/// The objects that were requested so far.
#[derive(Debug, Default)]
pub struct Links {
    linked: Linked,
    requested: BTreeSet<Reference>,
    /// By namespace, why its ConfigMaps were not read.
    refused: BTreeMap<String, String>,
}

impl Links {
    /// Puts into `object` what the objects that it refers to say of it. What cannot be read stays unknown.
    pub fn fill(&mut self, object: &mut Value, request: RequestObjects<'_>) {
        for reference in references(object) {
            let namespace = match &reference {
                Reference::ConfigMap { namespace, .. } => Some(namespace),
                Reference::RuntimeClasses => None,
            };
            let is_refused = namespace.is_some_and(|namespace| self.refused.contains_key(namespace));
            if is_refused || !self.requested.insert(reference.clone()) {
                continue;
            }
            match (request(&reference), namespace) {
                (Ok(mut objects), _) => {
                    objects.iter_mut().for_each(shorten);
                    self.linked.add_all(&objects);
                }
                // Of a runtime class, its own name has to do.
                (Err(Refusal::Absent), _) | (Err(Refusal::Error(_)), None) => {}
                (Err(Refusal::Error(error)), Some(namespace)) => {
                    self.refused.insert(namespace.clone(), error);
                }
            }
        }
        self.linked.fill_next(object);
    }

    /// Why variables are not known, once for each namespace.
    pub fn refused(&self) -> Vec<String> {
        let note = |error: &String| format!("{error}: variables that come from ConfigMaps are not known");
        self.refused.values().map(note).collect()
    }
}

/// What a pod, or a workload's template, refers to.
fn references(object: &Value) -> BTreeSet<Reference> {
    let namespace = object["metadata"]["namespace"].as_str().unwrap_or("default");
    let spec = &object["spec"];
    let specs = [spec, &spec["template"]["spec"], &spec["jobTemplate"]["spec"]["template"]["spec"]];
    let mut found = BTreeSet::new();
    for pod in specs {
        if pod["runtimeClassName"].is_string() {
            found.insert(Reference::RuntimeClasses);
        }
        let lists = ["containers", "initContainers", "ephemeralContainers"].map(|list| pod[list].as_array());
        for container in lists.into_iter().flatten().flatten() {
            let entries = |field: &str| container[field].as_array().into_iter().flatten();
            let all = entries("envFrom").map(|entry| &entry["configMapRef"]["name"]);
            let one = entries("env").map(|entry| &entry["valueFrom"]["configMapKeyRef"]["name"]);
            found.extend(
                all.chain(one)
                    .filter_map(Value::as_str)
                    .map(|name| Reference::ConfigMap { namespace: namespace.to_string(), name: name.to_string() }),
            );
        }
    }
    found
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

    #[test]
    fn a_config_map_is_requested_once_and_its_short_values_are_filled_in() {
        let (mut links, mut requests) = (Links::default(), Vec::new());
        let mut objects =
            [pod("shop"), pod("shop"), json!({"metadata": {"namespace": "shop"}, "spec": {"template": pod("")}})];
        for object in &mut objects {
            links.fill(object, &mut |reference| {
                requests.push(reference.clone());
                let data = json!({"PATH": "/opt", "file": "x".repeat(MAX_VALUE + 1)});
                Ok(vec![json!({"kind": "ConfigMap", "metadata": {"name": "c", "namespace": "shop"}, "data": data})])
            });
        }
        assert_eq!(requests, [Reference::ConfigMap { namespace: "shop".into(), name: "c".into() }]);
        for pod in [&objects[0], &objects[1], &objects[2]["spec"]["template"]] {
            let containers = &pod["spec"]["containers"];
            let unknown = UNKNOWN_TEXT.to_string();
            assert_eq!(containers[0]["envFrom"][0]["values"], json!({"PATH": "/opt", "file": unknown}));
            assert_eq!(containers[0]["envFrom"][1]["values"], Value::Null);
            assert_eq!(containers[1]["env"][0]["value"], "/opt");
        }
    }

    #[test]
    fn a_namespace_that_refuses_is_requested_once_and_noted() {
        let (mut links, mut requests) = (Links::default(), 0);
        for mut object in [pod("shop"), pod("shop"), pod("bank")] {
            links.fill(&mut object, &mut |_| {
                requests += 1;
                Err(Refusal::Error("https://a forbids it".into()))
            });
            assert_eq!(object["spec"]["containers"][0]["envFrom"][0]["values"], Value::Null);
        }
        assert_eq!((requests, links.refused().len()), (2, 2));
        assert!(links.refused()[0].ends_with("variables that come from ConfigMaps are not known"));
    }
}
