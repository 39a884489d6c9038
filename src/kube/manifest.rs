//! Manifests as files: Kubernetes objects in YAML or JSON, many documents in one (Helm's and kustomize's output), lists,
//! and Compose files. Pure: text in, workloads out; no cluster is asked and no environment is read.

use serde_json::Value;

use super::compose;
use super::object::{self, NodeObject};
use super::workload::{Workload, of_object};
use crate::yaml;

/// Documents of one file: the largest Helm charts make some hundreds.
const DOCUMENTS: usize = 10_000;
/// Nodes of one file: a list of 10,000 pods has some three million.
const NODES: usize = 10_000_000;
/// Lists within lists.
const DEPTH: usize = 8;

/// Why a manifest could not be read. `document` counts from 1.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    #[error("{name}, document {document}: {cause}")]
    Yaml { name: String, document: usize, cause: String },
    #[error("{name}, document {document}: {what}: {cause}")]
    Object { name: String, document: usize, what: String, cause: serde_json::Error },
    #[error("{name}, service {service:?}: {cause}")]
    Compose { name: String, service: String, cause: String },
    #[error("{name} has more than {limit} documents")]
    TooMany { name: String, limit: usize },
    #[error("{0} holds neither Kubernetes objects nor Compose services")]
    Nothing(String),
    #[error("{0} is not a list of nodes; save one with: kubectl get nodes -o json")]
    NoNodes(String),
}

/// What a manifest wants to run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Manifest {
    pub workloads: Vec<Workload>,
    /// Objects that run nothing: how many.
    pub others: usize,
}

/// Reads a manifest; `name` is for messages, `variable` answers Compose's `${NAME}`.
pub fn read(name: &str, text: &str, variable: &dyn Fn(&str) -> Option<String>) -> Result<Manifest, ManifestError> {
    let mut manifest = Manifest::default();
    let mut has_any = false;
    for (index, value) in documents(name, text)?.into_iter().enumerate() {
        if value.get("services").is_some_and(Value::is_object) && value.get("kind").is_none() {
            has_any = true;
            manifest.workloads.extend(compose::services(name, &value, variable)?);
            continue;
        }
        for object in flatten(value, 0) {
            if object.get("kind").is_none() {
                continue;
            }
            has_any = true;
            let what = || {
                format!(
                    "{} {}",
                    object["kind"].as_str().unwrap_or("?"),
                    object["metadata"]["name"].as_str().unwrap_or("?")
                )
            };
            let refuse =
                |cause| ManifestError::Object { name: name.to_string(), document: index + 1, what: what(), cause };
            match of_object(&object).map_err(refuse)? {
                Some(workload) => manifest.workloads.push(workload),
                None => manifest.others += 1,
            }
        }
    }
    if has_any { Ok(manifest) } else { Err(ManifestError::Nothing(name.to_string())) }
}

/// Reads a saved `kubectl get nodes -o json` (or `-o yaml`, or a single node).
pub fn read_nodes(name: &str, text: &str) -> Result<Vec<NodeObject>, ManifestError> {
    let mut nodes = Vec::new();
    for (index, value) in documents(name, text)?.into_iter().enumerate() {
        for object in flatten(value, 0).into_iter().filter(|object| object["kind"] == "Node") {
            let what = format!("Node {}", object["metadata"]["name"].as_str().unwrap_or("?"));
            nodes.push(object::read(object).map_err(|cause| ManifestError::Object {
                name: name.to_string(),
                document: index + 1,
                what,
                cause,
            })?);
        }
    }
    if nodes.is_empty() { Err(ManifestError::NoNodes(name.to_string())) } else { Ok(nodes) }
}

fn documents(name: &str, text: &str) -> Result<Vec<Value>, ManifestError> {
    // JSON is YAML, but a JSON reader is faster and its messages are clearer.
    if text.trim_start().starts_with('{')
        && let Ok(value) = serde_json::from_str(text)
    {
        return Ok(vec![value]);
    }
    let documents = yaml::parse_within(text, NODES).map_err(|error| ManifestError::Yaml {
        name: name.to_string(),
        document: error.document + 1,
        cause: error.message,
    })?;
    if documents.len() > DOCUMENTS {
        return Err(ManifestError::TooMany { name: name.to_string(), limit: DOCUMENTS });
    }
    Ok(documents.iter().map(yaml::Node::to_json).filter(|value| !value.is_null()).collect())
}

/// A List's items, and theirs; any other object itself. kubectl omits the kind of items in typed lists.
fn flatten(mut value: Value, depth: usize) -> Vec<Value> {
    if let Value::Array(items) = value {
        return items
            .into_iter()
            .flat_map(|item| if depth < DEPTH { flatten(item, depth + 1) } else { Vec::new() })
            .collect();
    }
    let kind = value["kind"].as_str().unwrap_or_default().to_string();
    match (kind.strip_suffix("List"), value.get_mut("items").map(Value::take)) {
        (Some(item_kind), Some(Value::Array(items))) if depth < DEPTH => items
            .into_iter()
            .map(|mut item| {
                if item.is_object() && item.get("kind").is_none() && !item_kind.is_empty() {
                    item["kind"] = Value::from(item_kind);
                }
                item
            })
            .flat_map(|item| flatten(item, depth + 1))
            .collect(),
        _ => vec![value],
    }
}

#[cfg(test)]
#[path = "manifest_tests.rs"]
mod tests;
