//! Finds everything in an object that names an image, by structure: pod templates, containers, steps, volumes, and
//! fields of custom resources. Pure. Objects that name an image that is not read are flagged.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::object::{self, Affinity, ContainerSpec, PodSpec};
use super::workload::{self, ContainerUse, Role, Workload};
use crate::exec::UNKNOWN_TEXT;
use crate::oci::Reference;
use crate::scan::CallOverride;
use crate::scan::call::StatedBy;

/// The workloads of an object.
#[derive(Debug, Default, PartialEq)]
pub struct Found {
    pub workloads: Vec<Workload>,
    /// Whether the object names an image that was not read.
    pub has_unread: bool,
}

/// Maximum bytes of parameters that are filled in for one object. Values beyond the limit are unknown.
const MAX_FILLED: usize = 4 << 20;

/// Maximum depth of objects. A workflow's templates are about ten levels deep.
const DEPTH: usize = 48;

/// Kinds of schemas and policies, whose `image` is a pattern or a description.
const NOT_RUN: &[&str] = &["CustomResourceDefinition", "ClusterPolicy", "Policy", "ConstraintTemplate"];

/// API groups of machines, whose `image` is a virtual machine image.
const MACHINES: &[&str] =
    &["infrastructure.cluster.x-k8s.io", "machine.openshift.io", "metal3.io", "karpenter.k8s.aws"];

/// Fields that only describe and never name an image.
const DESCRIPTIONS: &[&str] = &["metadata", "labels", "annotations", "matchLabels", "openAPIV3Schema", "nodeSelector"];

/// Finds everything in `object` that names an image.
///
/// # Errors
/// The object is of a built-in kind and malformed.
pub fn find(object: &Value) -> Result<Found, serde_json::Error> {
    let kind = object["kind"].as_str().unwrap_or_default();
    let group = object["apiVersion"].as_str().unwrap_or_default().split('/').next().unwrap_or_default();
    if NOT_RUN.contains(&kind) || MACHINES.contains(&group) || kind.starts_with("ImageStream") {
        return Ok(Found::default());
    }
    if workload::is_own_kind(kind) && !group.contains('.') {
        let workloads = workload::of_object(object)?.into_iter().collect();
        return Ok(Found { workloads, has_unread: false });
    }
    let mut pruned = object.clone();
    object::prune(&mut pruned);
    let text = |field: &str| pruned["metadata"][field].as_str().map(str::to_string);
    let mut parameters = BTreeMap::new();
    parameters_of(&pruned, DEPTH, &mut parameters);
    let mut search = Search {
        kind,
        object: text("name").or_else(|| text("generateName")).unwrap_or_else(|| "?".to_string()),
        namespace: text("namespace"),
        parameters,
        spent: 0,
        found: Found::default(),
    };
    if let Value::Object(fields) = &mut pruned {
        fields.retain(|key, _| !matches!(key.as_str(), "apiVersion" | "kind" | "status"));
        search.visit_object(fields, "", &At { name: "", path: "", scope: &PodSpec::default(), depth: 0 });
    }
    Ok(search.found)
}

/// Values or defaults of the object's own parameters, in the form of Argo (`parameters`) and Tekton (`params`).
fn parameters_of(value: &Value, depth: usize, found: &mut BTreeMap<String, Option<String>>) {
    match value {
        Value::Array(items) if depth > 0 => items.iter().for_each(|item| parameters_of(item, depth - 1, found)),
        Value::Object(fields) if depth > 0 => {
            for (key, field) in fields {
                if let ("params" | "parameters", Value::Array(items)) = (key.as_str(), field) {
                    for item in items {
                        let stated = item["value"].as_str().or_else(|| item["default"].as_str());
                        if let (Some(name), Some(value)) = (item["name"].as_str(), stated) {
                            let known = || Some(value.to_string()).filter(|value| !value.contains(['$', '{']));
                            found.entry(name.to_string()).or_insert_with(known);
                        }
                    }
                }
                parameters_of(field, depth - 1, found);
            }
        }
        _ => {}
    }
}

/// The position of a field in the object.
struct At<'a> {
    /// The name of the nearest enclosing object that has one: a template, a step.
    name: &'a str,
    /// `spec.image`
    path: &'a str,
    /// Scheduling and security settings that apply to pods in this part of the object.
    scope: &'a PodSpec,
    depth: usize,
}

struct Search<'a> {
    kind: &'a str,
    object: String,
    namespace: Option<String>,
    /// `None` for a value that is computed from other values.
    parameters: BTreeMap<String, Option<String>>,
    /// Bytes of parameters filled in so far.
    spent: usize,
    found: Found,
}

impl Search<'_> {
    fn visit(&mut self, value: &Value, key: &str, at: &At<'_>) {
        if at.depth >= DEPTH || DESCRIPTIONS.contains(&key) {
            return;
        }
        match value {
            Value::Array(items) => {
                for item in items {
                    match item.as_str() {
                        Some(image) if key == "images" => self.field(image, at),
                        _ => self.visit(item, key, &At { depth: at.depth + 1, ..*at }),
                    }
                }
            }
            Value::Object(fields) => self.visit_object(fields, key, at),
            Value::String(text) if is_image_field(key) && is_tagged(text) => self.field(text, at),
            // The tag is in another field.
            Value::String(text) if key == "baseImage" => self.found.has_unread |= text.contains('/'),
            Value::String(text) if key == "url" => {
                text.strip_prefix("docker://").into_iter().for_each(|image| self.mounted(image, Role::Disk, at));
            }
            _ => {}
        }
    }

    fn visit_object(&mut self, fields: &Map<String, Value>, key: &str, at: &At<'_>) {
        let scope = scoped(at.scope, fields);
        let name = fields.get("name").and_then(Value::as_str).unwrap_or(at.name);
        let is_pod = self.pod(fields, &scope);
        let is_named = match fields.get("image") {
            Some(Value::String(image)) => {
                self.container(fields, image, key, &At { name, scope: &scope, ..*at });
                true
            }
            Some(Value::Object(parts)) => self.parts(parts, &At { name, scope: &scope, ..*at }),
            _ => false,
        };
        // OpenShift's builds and deployments.
        if fields.get("kind").and_then(Value::as_str) == Some("DockerImage") && key != "to" {
            self.field(name, at);
        }
        // kustomize replaces images that other files name.
        if key == "images" && !is_named && ["newName", "newTag", "digest"].iter().any(|part| fields.contains_key(*part))
        {
            self.found.has_unread = true;
        }
        for (key, field) in fields {
            let is_read = is_pod && matches!(key.as_str(), "containers" | "initContainers" | "ephemeralContainers");
            let is_read = is_read || is_named && key == "image";
            if !is_read {
                let path = below(at.path, key);
                self.visit(field, key, &At { name, path: &path, scope: &scope, depth: at.depth + 1 });
            }
        }
    }

    /// Reads a pod's spec, with the settings of `scope` that it does not set itself. `false`: it is not a pod's spec.
    fn pod(&mut self, fields: &Map<String, Value>, scope: &PodSpec) -> bool {
        let has_image = |key: &str| {
            let mut items = fields.get(key).and_then(Value::as_array).into_iter().flatten();
            items.any(|item| item["image"].is_string())
        };
        if !["containers", "initContainers", "ephemeralContainers"].iter().any(|key| has_image(key)) {
            return false;
        }
        let mut own = fields.clone();
        own.retain(|key, _| POD_FIELDS.contains(&key.as_str()));
        for key in ["containers", "initContainers", "ephemeralContainers"] {
            // Patches name a container without an image.
            if let Some(Value::Array(items)) = own.get_mut(key) {
                items.retain(|item| item["image"].is_string());
            }
        }
        self.fill(&mut own);
        let Ok(mut pod) = serde_json::from_value::<PodSpec>(Value::Object(own)) else { return false };
        if pod.node_selector.is_empty() {
            pod.node_selector.clone_from(&scope.node_selector);
        }
        if pod.affinity == Affinity::default() {
            pod.affinity = scope.affinity.clone();
        }
        if pod.tolerations.is_empty() {
            pod.tolerations.clone_from(&scope.tolerations);
        }
        let (containers, unread) = split(workload::containers(&pod));
        self.found.has_unread |= unread;
        // Volumes of images are found by their own structure.
        let containers = containers.into_iter().filter(|one| one.role != Role::Volume).collect();
        self.add(pod, containers);
        true
    }

    /// An object with an `image`: a container, or a field of a custom resource.
    fn container(&mut self, fields: &Map<String, Value>, image: &str, key: &str, at: &At<'_>) {
        if key == "containerDisk" {
            return self.mounted(image, Role::Disk, at);
        }
        let is_container = CONTAINERS.contains(&key)
            || ["command", "args", "script", "env", "imagePullPolicy", "volumeMounts"]
                .iter()
                .any(|part| fields.contains_key(*part));
        if !is_container {
            let path = below(at.path, "image");
            return self.field(image, &At { path: &path, ..*at });
        }
        let mut own = fields.clone();
        own.retain(|key, _| CONTAINER_FIELDS.contains(&key.as_str()));
        self.fill(&mut own);
        let parsed = serde_json::from_value::<ContainerSpec>(Value::Object(own.clone())).or_else(|_| {
            own.retain(|key, _| matches!(key.as_str(), "name" | "image" | "command" | "args"));
            serde_json::from_value(Value::Object(own.clone()))
        });
        let Ok(mut spec) = parsed else {
            self.found.has_unread = true;
            return;
        };
        if spec.name.is_empty() {
            spec.name = if at.name.is_empty() { key.to_string() } else { at.name.to_string() };
        }
        if let Some(script) = fields.get("script").and_then(Value::as_str) {
            spec.command = script_words(script);
            spec.args = Vec::new();
        } else if let Some(source) = fields.get("source").and_then(Value::as_str).filter(|_| !spec.command.is_empty()) {
            spec.command = with_text(spec.command, source);
            spec.args = Vec::new();
        }
        let pod = PodSpec { containers: vec![spec], volumes: Vec::new(), ..at.scope.clone() };
        let (containers, unread) = split(workload::containers(&pod));
        self.found.has_unread |= unread;
        self.add(pod, containers);
    }

    /// `image: {reference}` is a volume; `image: {repository, tag}` is a chart's values.
    fn parts(&mut self, parts: &Map<String, Value>, at: &At<'_>) -> bool {
        let text = |key: &str| parts.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
        if let Some(reference) = text("reference") {
            self.mounted(reference, Role::Volume, at);
            return true;
        }
        let tag = parts.get("tag").filter(|tag| tag.is_string() || tag.is_number()).map(|tag| match tag {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        });
        let digest = text("digest").or_else(|| text("sha"));
        let Some(repository) = text("repository") else {
            self.found.has_unread |= tag.is_some() || digest.is_some();
            return false;
        };
        let host = text("registry").map_or_else(String::new, |host| format!("{host}/"));
        let image = match (digest, tag.filter(|tag| !tag.is_empty())) {
            (Some(digest), _) => format!("{host}{repository}@{digest}"),
            (None, Some(tag)) => format!("{host}{repository}:{tag}"),
            // The chart's own version is the tag.
            (None, None) => {
                self.found.has_unread = true;
                return true;
            }
        };
        let path = below(at.path, "image");
        self.field(&image, &At { path: &path, ..*at });
        true
    }

    /// An image in a field whose controller decides what is started, so the image's own ENTRYPOINT is judged.
    fn field(&mut self, image: &str, at: &At<'_>) {
        let image = self.filled(image);
        if Reference::parse(&image).is_err() {
            self.found.has_unread |= image.contains(UNKNOWN_TEXT);
            return;
        }
        let call = CallOverride { stated_by: StatedBy::Pod, ..CallOverride::default() };
        let container = ContainerUse { name: at.path.to_string(), role: Role::Field, image, call, platform: None };
        self.add(at.scope.clone(), vec![container]);
    }

    fn mounted(&mut self, image: &str, role: Role, at: &At<'_>) {
        let (containers, unread) = split(vec![ContainerUse::mounted(at.name, role, &self.filled(image))]);
        self.found.has_unread |= unread;
        self.add(at.scope.clone(), containers);
    }

    fn add(&mut self, pod: PodSpec, containers: Vec<ContainerUse>) {
        if !containers.is_empty() {
            self.found.workloads.push(Workload {
                kind: self.kind.to_string(),
                name: self.object.clone(),
                namespace: self.namespace.clone(),
                containers,
                pod,
            });
        }
    }

    /// Fills in parameters in every string of these fields.
    fn fill(&mut self, fields: &mut Map<String, Value>) {
        fields.values_mut().for_each(|value| self.fill_value(value, 0));
    }

    fn fill_value(&mut self, value: &mut Value, depth: usize) {
        match value {
            Value::String(text) => *text = self.filled(text),
            Value::Array(items) if depth < DEPTH => items.iter_mut().for_each(|item| self.fill_value(item, depth + 1)),
            Value::Object(fields) if depth < DEPTH => {
                fields.values_mut().for_each(|field| self.fill_value(field, depth + 1));
            }
            _ => {}
        }
    }

    /// The text with the object's parameters filled in: `$(params.NAME)`, `{{inputs.parameters.NAME}}`. Unknown values
    /// become [`UNKNOWN_TEXT`]. A name without a dot is the container's own variable.
    fn filled(&mut self, text: &str) -> String {
        let (mut out, mut rest) = (String::new(), text);
        while let Some(at) = rest.find(['$', '{']) {
            let Some(open) = ["$(", "{{", "${"].into_iter().find(|open| rest[at..].starts_with(open)) else {
                out.push_str(&rest[..=at]);
                rest = &rest[at + 1..];
                continue;
            };
            let close = match open {
                "$(" => ")",
                "{{" => "}}",
                _ => "}",
            };
            let Some(length) = rest[at + 2..].find(close) else { break };
            let inside = &rest[at + 2..at + 2 + length];
            out.push_str(&rest[..at]);
            rest = &rest[at + 2 + length + close.len()..];
            let is_path = inside.contains('.') && !inside.contains(char::is_whitespace) || open == "{{";
            match inside
                .trim()
                .rsplit('.')
                .next()
                .and_then(|name| self.parameters.get(name.trim_matches(['"', '\'', ']']))?.as_deref())
            {
                Some(value) if is_path && self.spent <= MAX_FILLED => {
                    self.spent += value.len();
                    out.push_str(value);
                }
                _ if is_path => out.push(UNKNOWN_TEXT),
                _ => out.push_str(&format!("{open}{inside}{close}")),
            }
        }
        out.push_str(rest);
        out
    }
}

/// Keys whose objects are containers.
const CONTAINERS: &[&str] = &[
    "container",
    "containers",
    "initContainers",
    "ephemeralContainers",
    "sidecars",
    "steps",
    "script",
    "stepTemplate",
];

const CONTAINER_FIELDS: &[&str] =
    &["name", "image", "command", "args", "workingDir", "env", "volumeMounts", "restartPolicy", "securityContext"];

const POD_FIELDS: &[&str] = &[
    "containers",
    "initContainers",
    "ephemeralContainers",
    "volumes",
    "nodeSelector",
    "affinity",
    "tolerations",
    "imagePullSecrets",
    "serviceAccountName",
    "runtimeClassName",
    "securityContext",
    "os",
    "nodeName",
];

/// `imageName`, `proxyImage`, `baseImage` of a custom resource.
fn is_image_field(key: &str) -> bool {
    key == "imageName" || key.len() > "Image".len() && key.ends_with("Image")
}

fn below(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_string() } else { format!("{path}.{key}") }
}

/// Whether the text looks like `team/app:v1` or `app@sha256:...`, unlike a description or a path.
fn is_tagged(text: &str) -> bool {
    let name = text.rsplit('/').next().unwrap_or(text);
    name.contains([':', '@']) || text.contains("$(") || text.contains("{{")
}

/// Returns the containers whose image is a name, not a policy's pattern. `true`: the image of a container contains an
/// unknown value.
fn split(containers: Vec<ContainerUse>) -> (Vec<ContainerUse>, bool) {
    let is_unknown = |one: &ContainerUse| one.image.contains([UNKNOWN_TEXT, '$', '{']);
    let has_unknown = containers.iter().any(is_unknown);
    let is_name = |one: &ContainerUse| {
        !is_unknown(one) && !one.image.contains(['*', '?', '!', ' ', '\n']) && !one.image.contains("://")
    };
    (containers.into_iter().filter(is_name).collect(), has_unknown)
}

/// The scope with the settings of these fields, or of a pod template among them.
fn scoped(scope: &PodSpec, fields: &Map<String, Value>) -> PodSpec {
    fn stated<T: DeserializeOwned>(fields: &Map<String, Value>, key: &str) -> Option<T> {
        serde_json::from_value(fields.get(key)?.clone()).ok()
    }
    let mut scope = PodSpec { containers: Vec::new(), ..scope.clone() };
    let template = fields.get("podTemplate").and_then(Value::as_object);
    for fields in std::iter::once(fields).chain(template) {
        stated(fields, "nodeSelector").into_iter().for_each(|own| scope.node_selector = own);
        stated(fields, "affinity").into_iter().for_each(|own| scope.affinity = own);
        stated(fields, "tolerations").into_iter().for_each(|own| scope.tolerations = own);
        stated(fields, "securityContext").into_iter().for_each(|own| scope.security_context = own);
        stated(fields, "imagePullSecrets").into_iter().for_each(|own| scope.image_pull_secrets = own);
        stated(fields, "serviceAccountName").into_iter().for_each(|own| scope.service_account_name = own);
        stated(fields, "runtimeClassName").into_iter().for_each(|own| scope.runtime_class_name = own);
    }
    scope
}

/// The command that runs a script: its `#!` line, or /bin/sh.
/// Source: Tekton's pkg/pod/script.go `convertListOfSteps`, `defaultScriptPreamble`.
fn script_words(script: &str) -> Vec<String> {
    let line = script.trim_start().lines().next().and_then(|line| line.strip_prefix("#!")).unwrap_or("/bin/sh");
    with_text(line.split_whitespace().map(str::to_string).collect(), script)
}

/// Passes the text to a shell with `-c`, unless it still contains a template. For other interpreters, only the
/// interpreter's own start is judged.
fn with_text(mut words: Vec<String>, text: &str) -> Vec<String> {
    let name = words.last().map_or("", |word| word.rsplit('/').next().unwrap_or_default());
    let is_shell = matches!(name, "sh" | "bash" | "dash" | "ash" | "ksh" | "zsh");
    if is_shell && !text.contains(UNKNOWN_TEXT) && !text.contains("$(") && !text.contains("{{") {
        words.extend(["-c".to_string(), text.to_string()]);
    }
    words
}

#[cfg(test)]
#[path = "found_tests.rs"]
mod tests;
