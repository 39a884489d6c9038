//! The fields of Kubernetes objects that decide where an image runs and why it failed. Every field may be missing or
//! null, because manifests come from templates. Pure: does not connect to a server.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Reads an object. Nulls count as absent, because Helm writes them for empty values.
pub fn read<T: DeserializeOwned>(mut value: Value) -> Result<T, serde_json::Error> {
    prune(&mut value);
    serde_json::from_value(value)
}

/// Removes nulls at every depth.
pub fn prune(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, field| !field.is_null());
            fields.values_mut().for_each(prune);
        }
        Value::Array(items) => {
            items.retain(|item| !item.is_null());
            items.iter_mut().for_each(prune);
        }
        _ => {}
    }
}

/// Source of this and the types below: Kubernetes API reference, core/v1.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Metadata {
    pub name: String,
    pub namespace: Option<String>,
    pub uid: Option<String>,
    pub labels: BTreeMap<String, String>,
    pub owner_references: Vec<ObjectOwner>,
    /// RFC 3339.
    pub creation_timestamp: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct ObjectOwner {
    pub kind: String,
    pub name: String,
    /// Whether it manages the object. At most one owner does.
    pub controller: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct NodeObject {
    pub metadata: Metadata,
    pub spec: NodeSpec,
    pub status: NodeStatus,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct NodeSpec {
    pub unschedulable: bool,
    pub taints: Vec<Taint>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub struct Taint {
    pub key: String,
    pub value: String,
    /// `NoSchedule`, `PreferNoSchedule`, `NoExecute`.
    pub effect: String,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeStatus {
    pub node_info: NodeInfo,
    /// Quantities are strings, or numbers in old dumps.
    pub capacity: BTreeMap<String, Value>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeInfo {
    /// The kubelet's GOARCH.
    pub architecture: String,
    pub operating_system: String,
    /// `uname -r`.
    pub kernel_version: String,
    pub os_image: String,
    /// `containerd://2.1.3`.
    pub container_runtime_version: String,
    pub kubelet_version: String,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct PodObject {
    pub metadata: Metadata,
    pub spec: PodSpec,
    pub status: PodStatus,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodSpec {
    pub node_name: Option<String>,
    pub node_selector: BTreeMap<String, String>,
    pub affinity: Affinity,
    pub tolerations: Vec<Toleration>,
    pub containers: Vec<ContainerSpec>,
    pub init_containers: Vec<ContainerSpec>,
    pub ephemeral_containers: Vec<ContainerSpec>,
    pub image_pull_secrets: Vec<NamedImage>,
    pub service_account_name: Option<String>,
    pub runtime_class_name: Option<String>,
    /// The handler of its RuntimeClass, if that was read. Not an API field: see `linked`.
    pub runtime_handler: Option<String>,
    pub security_context: SecurityContext,
    pub volumes: Vec<Volume>,
    pub os: NamedImage,
}

/// Of a pod or a container. A container's fields override its pod's.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SecurityContext {
    pub run_as_user: Option<i64>,
    pub run_as_group: Option<i64>,
    pub run_as_non_root: Option<bool>,
    /// Only for pods.
    pub fs_group: Option<i64>,
    /// Only for pods.
    pub supplemental_groups: Vec<i64>,
    /// Only for containers.
    pub privileged: bool,
    /// Only for containers.
    pub capabilities: CapabilityLists,
}

/// Names with or without `CAP_`, or `ALL`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct CapabilityLists {
    pub add: Vec<String>,
    pub drop: Vec<String>,
}

/// A pod's volume. Of its possible sources, only an image is read.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Volume {
    pub name: String,
    pub image: Option<ImageVolume>,
}

/// An image that is mounted, not started.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct ImageVolume {
    pub reference: String,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct NamedImage {
    pub name: String,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Affinity {
    pub node_affinity: NodeAffinity,
}

/// Preferred terms do not forbid a node, so only required ones are read.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeAffinity {
    pub required_during_scheduling_ignored_during_execution: NodeSelector,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeSelector {
    /// One of them must match.
    pub node_selector_terms: Vec<NodeSelectorTerm>,
}

/// All expressions must match. A term without expressions matches no node.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeSelectorTerm {
    pub match_expressions: Vec<Requirement>,
    pub match_fields: Vec<Requirement>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Requirement {
    pub key: String,
    /// `In`, `NotIn`, `Exists`, `DoesNotExist`, `Gt`, `Lt`.
    pub operator: String,
    pub values: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Toleration {
    /// Empty with `Exists`: every taint.
    pub key: String,
    /// Empty: `Equal`.
    pub operator: String,
    pub value: String,
    /// Empty: every effect.
    pub effect: String,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ContainerSpec {
    pub name: String,
    pub image: String,
    /// Replaces both Entrypoint and Cmd.
    pub command: Vec<String>,
    /// Replaces Cmd.
    pub args: Vec<String>,
    pub working_dir: Option<String>,
    pub env: Vec<EnvVar>,
    pub env_from: Vec<EnvSource>,
    pub security_context: SecurityContext,
    pub volume_mounts: Vec<VolumeMount>,
    /// `Always` makes an init container a sidecar.
    pub restart_policy: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EnvVar {
    pub name: String,
    pub value: Option<String>,
    /// The source of its value, if it is not `value`.
    pub value_from: Option<Value>,
}

/// A ConfigMap or Secret whose keys are variables.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct EnvSource {
    pub prefix: String,
    /// `None`: the object was not read. Not an API field: see `linked`.
    pub values: Option<BTreeMap<String, String>>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct VolumeMount {
    pub name: String,
    pub mount_path: String,
    pub sub_path: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodStatus {
    pub phase: String,
    pub reason: Option<String>,
    pub message: Option<String>,
    pub container_statuses: Vec<ContainerStatus>,
    pub init_container_statuses: Vec<ContainerStatus>,
    pub ephemeral_container_statuses: Vec<ContainerStatus>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ContainerStatus {
    pub name: String,
    /// As the runtime resolved it.
    pub image: String,
    #[serde(rename = "imageID")]
    pub image_id: String,
    pub ready: bool,
    pub restart_count: u32,
    pub state: ContainerState,
    pub last_state: ContainerState,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct ContainerState {
    pub waiting: Option<Waiting>,
    pub running: Option<Value>,
    pub terminated: Option<Terminated>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Waiting {
    pub reason: String,
    pub message: String,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Terminated {
    pub exit_code: i32,
    pub reason: String,
    pub message: String,
    /// RFC 3339.
    pub started_at: Option<String>,
    pub finished_at: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EventObject {
    pub reason: String,
    pub message: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub count: Option<u32>,
    pub last_timestamp: Option<String>,
    pub event_time: Option<String>,
    pub involved_object: Involved,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Involved {
    pub kind: String,
    pub name: String,
    pub namespace: Option<String>,
    /// `spec.containers{app}`.
    pub field_path: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn null_means_absent() {
        let pod: PodObject = read(json!({
            "metadata": {"name": "a", "labels": null},
            "spec": {"containers": [{"name": "a", "image": "b", "command": null, "args": [null, "x"]}], "affinity": null},
            "status": {"containerStatuses": null}
        }))
        .unwrap();
        assert_eq!(pod.spec.containers[0].args, ["x"]);
        assert!(pod.spec.containers[0].command.is_empty() && pod.status.container_statuses.is_empty());
    }
}
