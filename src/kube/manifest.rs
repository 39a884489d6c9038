//! Reads manifests: Kubernetes objects in YAML or JSON, with many documents in one file (output of Helm or kustomize),
//! lists, and Compose files. Pure: turns text into workloads without a cluster or environment variables.

use serde_json::Value;

use super::compose::{self, Outside};
use super::found::{self, Found};
use super::linked::Linked;
use super::manifest_error::ManifestError;
use super::object::{self, NodeObject};
use super::workload::Workload;
use crate::yaml;

/// Maximum number of documents in one file. The largest Helm charts produce some hundreds.
const DOCUMENTS: usize = 10_000;
/// Maximum number of YAML nodes in one file. A list of 10,000 pods has about three million.
const NODES: usize = 10_000_000;
/// Maximum depth of lists within lists.
const DEPTH: usize = 8;

/// The workloads of a manifest.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Manifest {
    pub workloads: Vec<Workload>,
    /// Number of objects that run nothing.
    pub others: usize,
    /// Objects that name images which were not read, as `Kind/name`.
    pub unread: Vec<String>,
    /// Notes for the user.
    pub notes: Vec<String>,
}

/// Reads a manifest. `name` is for messages. `outside` provides the variables and files that a Compose file refers to.
pub fn read(name: &str, text: &str, outside: &Outside<'_>) -> Result<Manifest, ManifestError> {
    let mut manifest = Manifest::default();
    let mut has_any = false;
    let mut objects = Vec::new();
    for (index, document) in documents(name, text)?.into_iter().enumerate() {
        let Document { value, duplicate } = document;
        if value.get("kind").is_none() && is_compose(&value) {
            has_any = true;
            let services = compose::services(name, value, duplicate, outside)?;
            manifest.workloads.extend(services.workloads);
            manifest.notes.extend(services.notes);
            continue;
        }
        objects.push((index, flatten(value, 0)));
    }
    let mut linked = Linked::collect(objects.iter().flat_map(|(_, objects)| objects));
    for (index, objects) in objects {
        for mut object in objects {
            linked.fill(&mut object);
            let title = title(&object, index);
            if object.get("kind").is_none() && found::find(&object).is_ok_and(|found| found == Found::default()) {
                continue;
            }
            has_any = true;
            let refuse = |cause| ManifestError::Object {
                name: name.to_string(),
                document: index + 1,
                what: title.replacen('/', " ", 1),
                cause,
            };
            let Found { workloads, has_unread } = found::find(&object).map_err(refuse)?;
            if has_unread || object.get("kind").is_none() {
                manifest.unread.push(title.clone());
            }
            embedded(&object, &title, &mut manifest);
            manifest.others += usize::from(workloads.is_empty());
            if object.get("kind").is_some() {
                manifest.workloads.extend(workloads);
            }
        }
    }
    manifest.unread.dedup();
    if has_any { Ok(manifest) } else { Err(ManifestError::Nothing(name.to_string())) }
}

fn is_compose(value: &Value) -> bool {
    value.get("services").is_some_and(Value::is_object) || value.get("include").is_some_and(Value::is_array)
}

/// `Deployment/checkout`.
fn title(object: &Value, index: usize) -> String {
    let metadata = &object["metadata"];
    let name = metadata["name"].as_str().or_else(|| metadata["generateName"].as_str());
    match object["kind"].as_str() {
        Some(kind) => format!("{kind}/{}", name.unwrap_or("?")),
        None => format!("document {}", index + 1),
    }
}

/// Reads the manifests that a ConfigMap contains as text, which other programs apply. Text that is not a manifest, such
/// as a template of one, is only noted.
fn embedded(object: &Value, title: &str, manifest: &mut Manifest) {
    if !matches!(object["kind"].as_str(), Some("ConfigMap" | "Secret")) {
        return;
    }
    for texts in ["data", "stringData"].iter().filter_map(|field| object[*field].as_object()) {
        for (key, text) in texts.iter().filter_map(|(key, text)| Some((key, text.as_str()?))) {
            if !text.contains("image") || !text.contains("kind") {
                continue;
            }
            let documents = documents(title, text).unwrap_or_default();
            let objects = documents.into_iter().flat_map(|document| flatten(document.value, 0));
            let objects: Vec<Value> = objects.filter(|object| object["kind"].is_string()).collect();
            let found = objects.iter().filter_map(|object| found::find(object).ok());
            let (mut workloads, mut has_unread) = (Vec::new(), objects.is_empty() && text.contains("image:"));
            for one in found {
                workloads.extend(one.workloads);
                has_unread |= one.has_unread;
            }
            let kind = title.split('/').next().unwrap_or_default().to_string();
            let holder = title.split_once('/').map_or("?", |(_, name)| name);
            if !workloads.is_empty() {
                manifest.notes.push(format!("{title} contains a manifest in {key}; its images are scanned"));
            } else if has_unread {
                manifest.notes.push(format!("{title} names images in {key} that imgarch does not read"));
            }
            for workload in &mut workloads {
                workload.name = format!("{holder}, {key}: {}", workload.title());
                workload.kind.clone_from(&kind);
            }
            manifest.workloads.extend(workloads);
        }
    }
}

/// Reads a saved `kubectl get nodes -o json` (or `-o yaml`, or a single node).
pub fn read_nodes(name: &str, text: &str) -> Result<Vec<NodeObject>, ManifestError> {
    let mut nodes = Vec::new();
    for (index, document) in documents(name, text)?.into_iter().enumerate() {
        for object in flatten(document.value, 0).into_iter().filter(|object| object["kind"] == "Node") {
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

/// A document of a file.
pub(super) struct Document {
    pub value: Value,
    /// A key that occurs twice in a mapping of a Compose file. kubectl uses the last value; Compose rejects the file.
    pub duplicate: Option<String>,
}

pub(super) fn documents(name: &str, text: &str) -> Result<Vec<Document>, ManifestError> {
    // JSON is YAML, but a JSON parser is faster and its messages are clearer.
    if text.trim_start().starts_with('{')
        && let Ok(value) = serde_json::from_str(text)
    {
        return Ok(vec![Document { value, duplicate: None }]);
    }
    let documents = yaml::parse_within(text, NODES).map_err(|error| ManifestError::Yaml {
        name: name.to_string(),
        document: error.document + 1,
        cause: error.message,
    })?;
    if documents.len() > DOCUMENTS {
        return Err(ManifestError::TooMany { name: name.to_string(), limit: DOCUMENTS });
    }
    let read = |node: &yaml::Node| {
        let value = node.to_json();
        let duplicate = if is_compose(&value) { node.duplicate_key().map(str::to_string) } else { None };
        Document { value, duplicate }
    };
    Ok(documents.iter().map(read).filter(|document| !document.value.is_null()).collect())
}

/// The items of a list, recursively, or any other object itself. kubectl omits the kind of items in typed lists.
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
