//! Reads manifests: Kubernetes objects in YAML or JSON, with many documents in one file (output of Helm or kustomize),
//! lists, and Compose files. Pure: turns text into workloads without a cluster or environment variables.

use serde_json::Value;

use super::compose::{self, ComposeDocument, ComposeSurroundings, ServiceBuild};
use super::found::{self, Found};
use super::linked::{self, Linked};
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
pub struct WorkloadManifest {
    pub workloads: Vec<Workload>,
    /// How the services of a Compose file are built.
    pub builds: Vec<ServiceBuild>,
    /// Number of objects that run nothing.
    pub others: usize,
    /// Objects that name images which were not read, as `Kind/name`.
    pub unread: Vec<String>,
    /// Names of images that Compose only builds.
    pub built: Vec<String>,
    /// Notes for the user.
    pub notes: Vec<String>,
}

/// The documents of a file.
#[derive(Default)]
pub struct ManifestFile {
    /// For messages.
    name: String,
    /// The objects of each document, with its number.
    objects: Vec<(usize, Vec<Value>)>,
    compose: Vec<ComposeDocument>,
    notes: Vec<String>,
}

/// Parses a file. `name` is for messages.
pub fn parse(name: &str, text: &str) -> Result<ManifestFile, ManifestError> {
    let mut file = ManifestFile { name: name.to_string(), ..ManifestFile::default() };
    for (index, mut document) in documents(name, text)?.into_iter().enumerate() {
        let is_object = document.value.get("kind").is_some();
        if let Some(first) = compose::of_version_1(&document.value).filter(|_| !is_object) {
            file.notes.push(format!("{name} is a Compose file of version 1, which Docker Compose 2 rejects"));
            document.value = first;
        }
        if !is_object && is_compose(&document.value) {
            file.compose.push(document);
        } else {
            file.objects.push((index, flatten(document.value, 0)));
        }
    }
    Ok(file)
}

/// Reads a manifest. `outside` provides the variables and files that a Compose file refers to.
#[cfg(test)]
pub fn read(name: &str, text: &str, outside: &ComposeSurroundings<'_>) -> Result<WorkloadManifest, ManifestError> {
    parse(name, text)?.read(outside)
}

impl ManifestFile {
    /// Whether it contains a Compose project.
    pub fn is_compose(&self) -> bool {
        !self.compose.is_empty()
    }

    /// Applies a later Compose file of the same project to this one, as `docker compose -f THIS -f LATER` does. All
    /// paths are relative to this one.
    pub fn override_with(&mut self, later: ManifestFile) {
        self.name = format!("{}, {}", self.name, later.name);
        let count = self.objects.last().map_or(0, |(index, _)| index + 1);
        self.objects.extend(later.objects.into_iter().map(|(index, objects)| (count + index, objects)));
        self.compose.extend(later.compose);
        self.notes.extend(later.notes);
    }

    /// Finds what the file runs. `outside` provides the variables and files that a Compose file refers to.
    pub fn read(self, outside: &ComposeSurroundings<'_>) -> Result<WorkloadManifest, ManifestError> {
        let ManifestFile { name, objects, compose, notes } = self;
        let mut manifest = WorkloadManifest { notes, ..WorkloadManifest::default() };
        let mut has_any = !compose.is_empty();
        if has_any {
            let services = compose::services(&name, compose, outside)?;
            manifest.workloads.extend(services.workloads);
            manifest.builds.extend(services.builds);
            manifest.unread.extend(services.unread);
            manifest.built.extend(services.built);
            manifest.notes.extend(services.notes);
        }
        let mut linked = Linked::collect(objects.iter().flat_map(|(_, objects)| objects));
        for (index, objects) in objects {
            for mut object in objects {
                linked.fill(&mut object);
                linked::decode(&mut object);
                let title = title(&object, index);
                if object.get("kind").is_none() && found::find(&object).is_ok_and(|found| found == Found::default()) {
                    continue;
                }
                has_any = true;
                let refuse = |cause| ManifestError::Object {
                    name: name.clone(),
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
        if has_any { Ok(manifest) } else { Err(ManifestError::Nothing(name)) }
    }
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
fn embedded(object: &Value, title: &str, manifest: &mut WorkloadManifest) {
    if !matches!(object["kind"].as_str(), Some("ConfigMap" | "Secret")) {
        return;
    }
    for texts in ["data", "stringData"].iter().filter_map(|field| object[*field].as_object()) {
        for (key, text) in texts.iter().filter_map(|(key, text)| Some((key, text.as_str()?))) {
            if !text.contains("image") {
                continue;
            }
            let documents = documents(title, text).unwrap_or_default();
            let has_documents = !documents.is_empty();
            let objects = documents.into_iter().flat_map(|document| flatten(document.value, 0));
            let (mut workloads, mut has_unread) = (Vec::new(), !has_documents && text.contains("image:"));
            for object in objects {
                let Ok(found) = found::find(&object) else { continue };
                match object["kind"].is_string() {
                    true => workloads.extend(found.workloads),
                    // Settings of a program, such as a template of what it starts.
                    false => has_unread |= !found.workloads.is_empty(),
                }
                has_unread |= found.has_unread;
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

/// The documents of a file. kubectl uses the last of equal keys; Compose rejects a file that has them.
fn documents(name: &str, text: &str) -> Result<Vec<ComposeDocument>, ManifestError> {
    let text = text.trim_start_matches('\u{feff}');
    // JSON is YAML, but a JSON parser is faster, its messages are clearer, and like kubectl it reads one object after
    // another.
    if text.trim_start().starts_with('{') {
        let objects = serde_json::Deserializer::from_str(text).into_iter::<Value>();
        if let Ok(values) = objects.take(DOCUMENTS + 1).collect::<Result<Vec<Value>, _>>() {
            let documents = values.into_iter().map(|value| ComposeDocument { value, duplicate: None }).collect();
            return within_limit(name, documents);
        }
    }
    let documents = yaml::parse_within(text, NODES).map_err(|error| ManifestError::Yaml {
        name: name.to_string(),
        document: error.document + 1,
        cause: error.message,
    })?;
    let documents = documents.iter().map(ComposeDocument::new).filter(|document| !document.value.is_null());
    within_limit(name, documents.take(DOCUMENTS + 1).collect())
}

fn within_limit(name: &str, documents: Vec<ComposeDocument>) -> Result<Vec<ComposeDocument>, ManifestError> {
    match documents.len() > DOCUMENTS {
        true => Err(ManifestError::TooMany { name: name.to_string(), limit: DOCUMENTS }),
        false => Ok(documents),
    }
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
