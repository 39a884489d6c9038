//! Finds everything in an object that names an image, by structure: pod templates, containers, steps, volumes, and
//! fields of custom resources. Pure. Objects that name an image that is not read are flagged.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::image_text::{
    is_image_field, is_image_variable, is_name, is_operand, is_tagged, is_unknown, joined, script_words, with_text,
};
use super::object::{self, Affinity, ContainerSpec, PodSpec};
use super::parameters::Parameters;
use super::workload::{self, ContainerRole, ContainerUse, Workload};
use crate::exec::UNKNOWN_TEXT;
use crate::oci::Reference;
use crate::scan::CallOverride;
use crate::scan::call::{Purpose, StatedBy};
use crate::yaml;

/// The workloads of an object.
#[derive(Debug, Default, PartialEq)]
pub struct Found {
    pub workloads: Vec<Workload>,
    /// Whether the object names an image that was not read.
    pub has_unread: bool,
}

/// Maximum depth of objects. A workflow's templates are about ten levels deep.
const DEPTH: usize = 48;

/// API groups of objects whose `image` is not run: schemas and policies with patterns of images, imports and updates of
/// images, and machines with disk images.
const NOT_RUN: &[&str] = &[
    "apiextensions.k8s.io",
    "admissionregistration.k8s.io",
    "kyverno.io",
    "policies.kyverno.io",
    "constraints.gatekeeper.sh",
    "templates.gatekeeper.sh",
    "policy.sigstore.dev",
    "image.openshift.io",
    "image.toolkit.fluxcd.io",
    "infrastructure.cluster.x-k8s.io",
    "machine.openshift.io",
    "metal3.io",
    "karpenter.k8s.aws",
];

/// Fields whose text is a program or a description, not a manifest.
const PROGRAMS: &[&str] = &["script", "source", "command", "args", "description", "summary", "message"];

/// Fields that only describe and never name an image.
const DESCRIPTIONS: &[&str] = &["metadata", "labels", "annotations", "matchLabels", "openAPIV3Schema", "nodeSelector"];

/// Finds everything in `object` that names an image.
///
/// # Errors
/// The object is of a built-in kind and malformed.
pub fn find(object: &Value) -> Result<Found, serde_json::Error> {
    let kind = object["kind"].as_str().unwrap_or_default();
    let group = object["apiVersion"].as_str().unwrap_or_default().split('/').next().unwrap_or_default();
    if NOT_RUN.contains(&group) || kind == "CustomResourceDefinition" || kind.starts_with("ImageStream") {
        return Ok(Found::default());
    }
    let is_own_kind = workload::is_own_kind(kind) && !group.contains('.');
    let own = if is_own_kind { workload::of_object(object)? } else { None };
    let mut pruned = object.clone();
    object::prune(&mut pruned);
    let text = |field: &str| pruned["metadata"][field].as_str().map(str::to_string);
    let mut search = ObjectSearch {
        kind,
        object: text("name").or_else(|| text("generateName")).unwrap_or_else(|| "?".to_string()),
        namespace: text("namespace"),
        parameters: Parameters::of_object(&pruned),
        has_own_pod: own.is_some(),
        found: Found::default(),
    };
    if let Some(workload) = own {
        search.own(workload);
    }
    if let Value::Object(fields) = &mut pruned {
        fields.retain(|key, _| !matches!(key.as_str(), "apiVersion" | "kind" | "status"));
        search.visit_object(fields, "", &At { name: "", path: "", scope: &PodSpec::default(), depth: 0 });
    }
    Ok(search.found)
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

struct ObjectSearch<'a> {
    kind: &'a str,
    object: String,
    namespace: Option<String>,
    parameters: Parameters,
    /// The object is of a built-in kind, whose pod is read as the API server reads it.
    has_own_pod: bool,
    found: Found,
}

impl ObjectSearch<'_> {
    /// Adds the workload of a built-in kind. A container without an image is a patch of one.
    fn own(&mut self, workload: Workload) {
        let stated = workload.containers.into_iter().filter(|one| !one.image.is_empty());
        let (names, others): (Vec<_>, Vec<_>) = stated.partition(|one| is_name(&one.image));
        self.found.has_unread |= !others.is_empty();
        if !names.is_empty() {
            self.found.workloads.push(Workload { containers: names, ..workload });
        }
    }

    fn visit(&mut self, value: &Value, key: &str, at: &At<'_>) {
        if at.depth >= DEPTH {
            return;
        }
        match value {
            Value::Object(fields) if key == "metadata" => {
                self.annotations(fields.get("annotations").unwrap_or(&Value::Null), at);
            }
            _ if DESCRIPTIONS.contains(&key) => {}
            Value::Array(items) => {
                for item in items {
                    match item.as_str() {
                        Some(image) if key == "images" => self.replacement(image, at),
                        _ => self.visit(item, key, &At { depth: at.depth + 1, ..*at }),
                    }
                }
            }
            Value::Object(fields) => self.visit_object(fields, key, at),
            Value::String(text) if is_image_field(key) && is_tagged(text) || is_operand(key, text) => {
                // Programs read these objects as their settings.
                let is_setting = matches!(self.kind, "ConfigMap" | "Secret");
                self.named(text, if is_setting { Purpose::Mentioned } else { Purpose::Started }, at);
            }
            Value::String(text) if text.contains('\n') && !PROGRAMS.contains(&key) => self.embedded(text, at),
            // The tag is in another field.
            Value::String(text) if key == "baseImage" => self.found.has_unread |= text.contains('/'),
            Value::String(text) if key == "url" => {
                text.strip_prefix("docker://")
                    .into_iter()
                    .for_each(|image| self.mounted(image, ContainerRole::Disk, at));
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
                self.container(fields, &joined(fields, image), key, &At { name, scope: &scope, ..*at });
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
        let is_replacement = ["newName", "newTag", "digest"].iter().any(|part| fields.contains_key(*part));
        self.found.has_unread |= matches!(key, "images" | "imageTag") && !is_named && is_replacement;
        // A JSON patch.
        let patched = fields.get("path").and_then(Value::as_str).filter(|path| path.ends_with("/image"));
        if let (Some(_), Some(image)) = (patched, fields.get("value").and_then(Value::as_str)) {
            self.field(image, at);
        }
        // Argo CD sets values of a chart.
        self.found.has_unread |= at.path.ends_with("helm.parameters") && name.to_ascii_lowercase().contains("image");
        for (child, field) in fields {
            let is_read = is_pod && CONTAINER_LISTS.contains(&child.as_str());
            let is_read = is_read || is_named && child == "image";
            let path = below(at.path, child);
            let at = At { name, path: &path, scope: &scope, depth: at.depth + 1 };
            match field {
                _ if is_read => {}
                // A set of images by name.
                Value::String(text) if key == "images" && is_operand(key, text) => self.field(text, &at),
                _ => self.visit(field, child, &at),
            }
        }
    }

    /// Annotations that choose the image of an injected container.
    fn annotations(&mut self, annotations: &Value, at: &At<'_>) {
        for (key, value) in annotations.as_object().into_iter().flatten() {
            if let Some(text) = value.as_str().filter(|text| is_operand(key, text)) {
                self.field(text, &At { path: &format!("annotation {key}"), ..*at });
            }
        }
    }

    /// `app:2`, or `old=new:2` as kustomize's command line has it.
    fn replacement(&mut self, text: &str, at: &At<'_>) {
        match text.split_once('=') {
            Some((_, image)) if is_tagged(image) => self.field(image, at),
            Some(_) => self.found.has_unread = true,
            None => self.field(text, at),
        }
    }

    /// A manifest as text in a field of another object. Text of another form, such as values of a chart, is not read.
    fn embedded(&mut self, text: &str, at: &At<'_>) {
        // The manifests of a ConfigMap are read by its owner, `manifest`.
        if !text.contains("image") || matches!(self.kind, "ConfigMap" | "Secret") {
            return;
        }
        for document in yaml::parse(text).unwrap_or_default() {
            let value = document.to_json();
            let before = self.found.workloads.len();
            if value.is_object() || value.is_array() {
                self.visit(&value, "", &At { depth: at.depth + 1, ..*at });
            }
            if value["kind"].is_null() && self.found.workloads.len() > before {
                self.found.workloads.truncate(before);
                self.found.has_unread = true;
            }
        }
    }

    /// Reads a pod's spec, with the settings of `scope` that it does not set itself. `false`: it is not a pod's spec.
    fn pod(&mut self, fields: &Map<String, Value>, scope: &PodSpec) -> bool {
        let specs: Vec<&Value> =
            CONTAINER_LISTS.iter().filter_map(|key| fields.get(*key)?.as_array()).flatten().collect();
        if !specs.iter().any(|spec| spec["image"].is_string()) {
            return false;
        }
        for spec in specs {
            self.operands(spec, &At { name: "", path: spec["name"].as_str().unwrap_or_default(), scope, depth: 0 });
        }
        if self.has_own_pod {
            return true;
        }
        let mut own = fields.clone();
        own.retain(|key, _| POD_FIELDS.contains(&key.as_str()));
        for key in CONTAINER_LISTS {
            // Patches name a container without an image.
            if let Some(Value::Array(items)) = own.get_mut(*key) {
                items.retain(|item| item["image"].is_string());
            }
        }
        self.parameters.fill(&mut own);
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
        let containers = containers.into_iter().filter(|one| one.role != ContainerRole::Volume).collect();
        self.add(pod, containers);
        true
    }

    /// Images that a container's program gets as an argument or a variable: OLM's RELATED_IMAGE variables, `--sidecar-image=`.
    fn operands(&mut self, spec: &Value, at: &At<'_>) {
        let list = |key: &str| spec[key].as_array().into_iter().flatten();
        for variable in list("env") {
            let name = variable["name"].as_str().unwrap_or_default();
            // A value of a Secret or a ConfigMap is filled in if that object was read.
            let source = &variable["valueFrom"];
            let is_elsewhere = source["secretKeyRef"].is_object() || source["configMapKeyRef"].is_object();
            match variable["value"].as_str() {
                Some(value) => self.variable(name, value, at),
                None => self.found.has_unread |= is_elsewhere && is_image_variable(name),
            }
        }
        for source in list("envFrom") {
            let prefix = source["prefix"].as_str().unwrap_or_default();
            for (name, value) in source["values"].as_object().into_iter().flatten() {
                self.variable(&format!("{prefix}{name}"), value.as_str().unwrap_or_default(), at);
            }
        }
        let mut last = "";
        for word in list("command").chain(list("args")).filter_map(Value::as_str) {
            let (name, value) = word.split_once('=').unwrap_or((last, word));
            if name.starts_with('-') && is_operand(name, value) {
                let path = format!("option {}", name.trim_start_matches('-'));
                self.named(value, Purpose::Mentioned, &At { path: &path, ..*at });
            }
            last = word;
        }
    }

    /// A variable with the name of an image. An operator starts those that OLM declares. Of the others, it is not known
    /// whether they are started, or only used for something else.
    fn variable(&mut self, name: &str, value: &str, at: &At<'_>) {
        self.found.has_unread |= value.contains(UNKNOWN_TEXT) && is_image_variable(name);
        if is_operand(name, value) {
            let is_started = name.starts_with("RELATED_IMAGE_");
            let purpose = if is_started { Purpose::Started } else { Purpose::Mentioned };
            self.named(value, purpose, &At { path: &format!("env {name}"), ..*at });
        }
    }

    /// An object with an `image`: a container, or a field of a custom resource.
    fn container(&mut self, fields: &Map<String, Value>, image: &str, key: &str, at: &At<'_>) {
        match key {
            "containerDisk" => return self.mounted(image, ContainerRole::Disk, at),
            "container" if at.path.ends_with("kernelBoot.container") => {
                return self.mounted(image, ContainerRole::Disk, at);
            }
            "volumeAttributes" => return self.mounted(image, ContainerRole::Volume, at),
            _ => {}
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
        self.parameters.fill(&mut own);
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
            // The volumes of a built-in kind were read with its pod.
            if !self.has_own_pod {
                self.mounted(reference, ContainerRole::Volume, at);
            }
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
        self.named(image, Purpose::Started, at);
    }

    fn named(&mut self, image: &str, purpose: Purpose, at: &At<'_>) {
        let image = self.parameters.filled(image);
        if Reference::parse(&image).is_err() {
            self.found.has_unread |= image.contains(UNKNOWN_TEXT);
            return;
        }
        let call = CallOverride { stated_by: StatedBy::Pod, purpose, ..CallOverride::default() };
        let container =
            ContainerUse { name: at.path.to_string(), role: ContainerRole::Field, image, call, platform: None };
        self.add(at.scope.clone(), vec![container]);
    }

    fn mounted(&mut self, image: &str, role: ContainerRole, at: &At<'_>) {
        let (containers, unread) = split(vec![ContainerUse::mounted(at.name, role, &self.parameters.filled(image))]);
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

/// The lists of containers in a pod's spec.
const CONTAINER_LISTS: &[&str] = &["containers", "initContainers", "ephemeralContainers"];

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

fn below(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_string() } else { format!("{path}.{key}") }
}

/// Returns the containers whose image is a name, not a policy's pattern. `true`: the image of a container contains an
/// unknown value.
fn split(containers: Vec<ContainerUse>) -> (Vec<ContainerUse>, bool) {
    let has_unknown = containers.iter().any(|one| is_unknown(&one.image));
    (containers.into_iter().filter(|one| is_name(&one.image)).collect(), has_unknown)
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

#[cfg(test)]
#[path = "found_tests.rs"]
mod tests;
