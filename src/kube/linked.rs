//! Fills in the parts of an object that other objects define: variables from ConfigMaps and Secrets, and its
//! RuntimeClass. Pure. Values from objects that were not read stay unknown.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Map, Value, json};

use crate::exec::UNKNOWN_TEXT;

/// Maximum depth of objects, the same as for finding images.
const DEPTH: usize = 48;

/// Maximum bytes of variables that are filled into the objects of one manifest. Values beyond the limit are unknown.
const MAX_FILLED: usize = 16 << 20;

/// The namespace of a ConfigMap or Secret, if stated, and its variables.
type VariableSource = (Option<String>, BTreeMap<String, String>);

/// Objects that others refer to by name.
#[derive(Debug, Default)]
pub struct Linked {
    /// By kind and name.
    sources: BTreeMap<(&'static str, String), Vec<VariableSource>>,
    classes: BTreeMap<String, Value>,
    /// Bytes that may still be filled in.
    left: usize,
}

impl Linked {
    /// Collects the ConfigMaps, Secrets and RuntimeClasses of `objects`.
    pub fn collect<'a>(objects: impl IntoIterator<Item = &'a Value>) -> Linked {
        let mut linked = Linked { left: MAX_FILLED, ..Linked::default() };
        linked.add_all(objects);
        linked
    }

    pub fn add_all<'a>(&mut self, objects: impl IntoIterator<Item = &'a Value>) {
        for object in objects {
            let Some(name) = object["metadata"]["name"].as_str() else { continue };
            let kind = match object["kind"].as_str() {
                Some("ConfigMap") => CONFIG_MAP,
                Some("Secret") => SECRET,
                Some("RuntimeClass") => {
                    self.classes.insert(name.to_string(), object.clone());
                    continue;
                }
                _ => continue,
            };
            let namespace = object["metadata"]["namespace"].as_str().map(str::to_string);
            self.sources.entry((kind, name.to_string())).or_default().push((namespace, texts(kind, object)));
        }
    }

    /// Fills in everything of one object of many: each has the whole bound.
    #[cfg(feature = "kube")]
    pub fn fill_next(&mut self, object: &mut Value) {
        self.left = MAX_FILLED;
        self.fill(object);
    }

    /// Fills in every reference of `object` to another object.
    pub fn fill(&mut self, object: &mut Value) {
        if self.sources.is_empty() && self.classes.is_empty() {
            return;
        }
        let namespace = object["metadata"]["namespace"].as_str().map(str::to_string);
        self.visit(object, namespace.as_deref(), DEPTH);
    }

    fn visit(&mut self, value: &mut Value, namespace: Option<&str>, depth: usize) {
        match value {
            Value::Array(items) if depth > 0 => {
                items.iter_mut().for_each(|item| self.visit(item, namespace, depth - 1));
            }
            Value::Object(fields) if depth > 0 => {
                self.runtime_class(fields);
                if let Some(Value::Array(entries)) = fields.get_mut("envFrom") {
                    entries.iter_mut().for_each(|entry| self.all_of(entry, namespace));
                }
                if let Some(Value::Array(entries)) = fields.get_mut("env") {
                    entries.iter_mut().for_each(|entry| self.one_of(entry, namespace));
                }
                fields.values_mut().for_each(|field| self.visit(field, namespace, depth - 1));
            }
            _ => {}
        }
    }

    /// Adds the referenced variables to an entry of `envFrom`.
    fn all_of(&mut self, entry: &mut Value, namespace: Option<&str>) {
        let (kind, reference) = reference(entry, ["configMapRef", "secretRef"]);
        let Some(values) = self.source(kind, reference, namespace).map(|values| json!(values)) else { return };
        let size = values.to_string().len();
        if let (Value::Object(fields), true) = (entry, size <= self.left) {
            self.left -= size;
            fields.insert("values".to_string(), values);
        }
    }

    /// Adds the referenced value to an entry of `env`.
    fn one_of(&mut self, entry: &mut Value, namespace: Option<&str>) {
        let (kind, reference) = reference(&entry["valueFrom"], ["configMapKeyRef", "secretKeyRef"]);
        let key = reference["key"].as_str().unwrap_or_default();
        let value = self.source(kind, reference, namespace).and_then(|values| values.get(key)).cloned();
        if let (Value::Object(fields), Some(value)) = (entry, value.filter(|value| value.len() <= self.left)) {
            self.left -= value.len();
            fields.insert("value".to_string(), Value::from(value));
        }
    }

    fn source(
        &self,
        kind: &'static str,
        reference: &Value,
        namespace: Option<&str>,
    ) -> Option<&BTreeMap<String, String>> {
        let found = self.sources.get(&(kind, reference["name"].as_str()?.to_string()))?;
        let is_of = |of: &Option<String>| of.as_deref().zip(namespace).is_none_or(|(of, namespace)| of == namespace);
        found.iter().find(|(of, _)| is_of(of)).map(|(_, values)| values)
    }

    /// Adds the handler of the pod's runtime class, and the scheduling rules that the API server adds for it.
    /// Source: Kubernetes' plugin/pkg/admission/runtimeclass `setScheduling`.
    fn runtime_class(&self, pod: &mut Map<String, Value>) {
        let class = pod.get("runtimeClassName").and_then(Value::as_str).and_then(|name| self.classes.get(name));
        let Some(class) = class else { return };
        pod.insert("runtimeHandler".to_string(), class["handler"].clone());
        let scheduling = &class["scheduling"];
        if let Some(labels) = scheduling["nodeSelector"].as_object() {
            let own = pod.entry("nodeSelector").or_insert_with(|| json!({}));
            if let Value::Object(own) = own {
                labels.iter().for_each(|(key, value)| {
                    own.entry(key.clone()).or_insert_with(|| value.clone());
                });
            }
        }
        if let Some(tolerations) = scheduling["tolerations"].as_array() {
            let own = pod.entry("tolerations").or_insert_with(|| json!([]));
            if let Value::Array(own) = own {
                own.extend(tolerations.iter().cloned());
            }
        }
    }
}

const CONFIG_MAP: &str = "ConfigMap";
const SECRET: &str = "Secret";

/// The reference in `value` to a ConfigMap, or otherwise to a Secret.
fn reference<'a>(value: &'a Value, [config_map, secret]: [&str; 2]) -> (&'static str, &'a Value) {
    if value[config_map].is_object() { (CONFIG_MAP, &value[config_map]) } else { (SECRET, &value[secret]) }
}

/// The variables of a ConfigMap or Secret. Values that are not text are unknown.
fn texts(kind: &'static str, object: &Value) -> BTreeMap<String, String> {
    let decoded = |text: &str| BASE64.decode(text.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let plain = |text: &str| Some(text.to_string());
    let data: &dyn Fn(&str) -> Option<String> = if kind == SECRET { &decoded } else { &plain };
    let mut found = BTreeMap::new();
    for (field, read) in [("data", data), ("stringData", &plain)] {
        for (key, value) in object[field].as_object().into_iter().flatten() {
            let value = value.as_str().and_then(read).unwrap_or_else(|| UNKNOWN_TEXT.to_string());
            found.insert(key.clone(), value);
        }
    }
    found
}

/// Decodes the values of a Secret that are texts, so that they are read as those of a ConfigMap are.
pub fn decode(object: &mut Value) {
    if object["kind"] != SECRET {
        return;
    }
    let values = texts(SECRET, object).into_iter().filter(|(_, text)| !text.contains(UNKNOWN_TEXT));
    let values: Map<String, Value> = values.map(|(key, text)| (key, text.into())).collect();
    if let Value::Object(fields) = object {
        fields.remove("stringData");
        fields.insert("data".to_string(), values.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(mut object: Value) -> Value {
        let others = [
            json!({"kind": "ConfigMap", "metadata": {"name": "c", "namespace": "shop"}, "data": {"A": "1"}}),
            json!({"kind": "ConfigMap", "metadata": {"name": "c", "namespace": "test"}, "data": {"A": "2"}}),
            json!({"kind": "Secret", "metadata": {"name": "s"}, "data": {"B": "L2FwcA==", "C": "/w=="}, "stringData": {"D": "d"}}),
            json!({"kind": "RuntimeClass", "metadata": {"name": "safe"}, "handler": "runsc",
                "scheduling": {"nodeSelector": {"arch": "x", "own": "class"}, "tolerations": [{"key": "safe"}]}}),
        ];
        Linked::collect(&others).fill(&mut object);
        object
    }

    #[test]
    fn variables_come_from_the_manifests_own_objects() {
        let of = |namespace: &str, source: Value| {
            filled(json!({"metadata": {"namespace": namespace}, "spec": {"containers": [{"envFrom": [source]}]}}))
        };
        let values = |object: Value| object["spec"]["containers"][0]["envFrom"][0]["values"].clone();
        assert_eq!(values(of("shop", json!({"configMapRef": {"name": "c"}}))), json!({"A": "1"}));
        assert_eq!(values(of("test", json!({"configMapRef": {"name": "c"}}))), json!({"A": "2"}));
        assert_eq!(values(of("prod", json!({"configMapRef": {"name": "c"}}))), Value::Null);
        let secret = values(of("shop", json!({"secretRef": {"name": "s"}})));
        assert_eq!(secret, json!({"B": "/app", "C": UNKNOWN_TEXT, "D": "d"}));
        let one = filled(json!({"env": [{"name": "X", "valueFrom": {"secretKeyRef": {"name": "s", "key": "B"}}}]}));
        assert_eq!(one["env"][0]["value"], "/app");
    }

    #[test]
    fn a_runtime_class_adds_its_handler_and_nodes() {
        let pod = filled(json!({"spec": {"runtimeClassName": "safe", "nodeSelector": {"own": "pod"}}}));
        let expected = json!({"runtimeClassName": "safe", "runtimeHandler": "runsc",
            "nodeSelector": {"own": "pod", "arch": "x"}, "tolerations": [{"key": "safe"}]});
        assert_eq!(pod["spec"], expected);
        let other = json!({"spec": {"runtimeClassName": "other"}});
        assert_eq!(filled(other.clone()), other);
    }

    #[test]
    fn values_of_a_secret_are_read_as_texts() {
        let mut secret = json!({"kind": "Secret", "data": {"B": "L2FwcA==", "C": "/w=="}, "stringData": {"D": "d"}});
        decode(&mut secret);
        assert_eq!(secret, json!({"kind": "Secret", "data": {"B": "/app", "D": "d"}}));
        let mut none = json!({"kind": "Secret"});
        decode(&mut none);
        assert_eq!(none, json!({"kind": "Secret", "data": {}}));
    }

    #[test]
    fn filled_in_variables_are_bounded() {
        let big = json!({"kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"A": "x".repeat(MAX_FILLED / 4)}});
        let from = json!({"configMapRef": {"name": "c"}});
        let mut object = json!({"envFrom": vec![from; 100]});
        Linked::collect([&big]).fill(&mut object);
        assert!(object.to_string().len() < MAX_FILLED + (1 << 20));
    }
}
