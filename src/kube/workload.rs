//! A workload's template with its containers, from a cluster or a manifest.

use serde_json::Value;

use super::object::{self, ContainerSpec, Metadata, NamedImage, PodObject, PodSpec, Volume};
use super::process;
use crate::platform::Platform;
use crate::scan::CallOverride;
use crate::scan::call::{Purpose, StatedBy};

/// A pod template, a bare pod or a Compose service.
#[derive(Clone, Debug, PartialEq)]
pub struct Workload {
    /// `Deployment`, `Pod`, `service` (Compose).
    pub kind: String,
    pub name: String,
    /// `None` if the manifest does not set it.
    pub namespace: Option<String>,
    pub containers: Vec<ContainerUse>,
    /// The pod's spec, whose selector, affinity and tolerations decide the nodes.
    pub pod: PodSpec,
}

/// The role of a container or image in its pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ContainerRole {
    Main,
    Init,
    /// An init container that keeps running.
    Sidecar,
    Ephemeral,
    /// An image that is mounted as a volume.
    Volume,
    /// A virtual machine's disk.
    Disk,
    /// A field of an object whose controller decides how the image is started.
    Field,
}

/// One container of a workload: its image and how it is started.
#[derive(Clone, Debug, PartialEq)]
pub struct ContainerUse {
    pub name: String,
    pub role: ContainerRole,
    /// As written in the spec.
    pub image: String,
    /// How it is started.
    pub call: CallOverride,
    /// Compose's `platform:`.
    pub platform: Option<Platform>,
}

impl ContainerRole {
    pub fn word(self) -> &'static str {
        match self {
            ContainerRole::Main => "container",
            ContainerRole::Init => "init container",
            ContainerRole::Sidecar => "sidecar",
            ContainerRole::Ephemeral => "ephemeral container",
            ContainerRole::Volume => "image volume",
            ContainerRole::Disk => "container disk",
            ContainerRole::Field => "field",
        }
    }
}

impl ContainerUse {
    fn from_spec(spec: &ContainerSpec, role: ContainerRole, pod: &PodSpec) -> ContainerUse {
        let role = match (role, spec.restart_policy.as_deref()) {
            (ContainerRole::Init, Some("Always")) => ContainerRole::Sidecar,
            _ => role,
        };
        let call = process::call(spec, pod);
        ContainerUse { name: spec.name.clone(), role, image: spec.image.clone(), call, platform: None }
    }

    /// An image that is only mounted.
    pub fn mounted(name: &str, role: ContainerRole, image: &str) -> ContainerUse {
        let call = CallOverride { purpose: Purpose::Mounted, stated_by: StatedBy::Pod, ..CallOverride::default() };
        ContainerUse { name: name.to_string(), role, image: image.to_string(), call, platform: None }
    }
}

/// Init containers first, in the order in which they run; image volumes last.
pub fn containers(pod: &PodSpec) -> Vec<ContainerUse> {
    let of = |specs: &[ContainerSpec], role| {
        specs.iter().map(|spec| ContainerUse::from_spec(spec, role, pod)).collect::<Vec<_>>()
    };
    let volume = |volume: &Volume| {
        let image = volume.image.as_ref().map(|image| image.reference.as_str()).filter(|image| !image.is_empty())?;
        Some(ContainerUse::mounted(&volume.name, ContainerRole::Volume, image))
    };
    [
        of(&pod.init_containers, ContainerRole::Init),
        of(&pod.containers, ContainerRole::Main),
        of(&pod.ephemeral_containers, ContainerRole::Ephemeral),
        pod.volumes.iter().filter_map(volume).collect(),
    ]
    .concat()
}

/// Whether this is a built-in kind of Kubernetes that contains a pod or a pod template.
pub fn is_own_kind(kind: &str) -> bool {
    matches!(
        kind,
        "Pod"
            | "Deployment"
            | "StatefulSet"
            | "DaemonSet"
            | "ReplicaSet"
            | "ReplicationController"
            | "Job"
            | "CronJob"
            | "PodTemplate"
    )
}

/// Reads any object that has a pod template: Pod, Deployment, StatefulSet, DaemonSet, ReplicaSet, Job, CronJob,
/// PodTemplate, and custom resources of the same shape (Rollout, Knative Service). `None` for other objects.
pub fn of_object(object: &Value) -> Result<Option<Workload>, serde_json::Error> {
    let kind = object["kind"].as_str().unwrap_or_default();
    let spec = match kind {
        "Pod" => &object["spec"],
        "CronJob" => &object["spec"]["jobTemplate"]["spec"]["template"]["spec"],
        "PodTemplate" => &object["template"]["spec"],
        _ => &object["spec"]["template"]["spec"],
    };
    if !spec["containers"].is_array() {
        return Ok(None);
    }
    let metadata: Metadata = object::read(object["metadata"].clone())?;
    let pod: PodSpec = object::read(spec.clone())?;
    Ok(Some(Workload {
        kind: kind.to_string(),
        name: metadata.name,
        namespace: metadata.namespace,
        containers: containers(&pod),
        pod,
    }))
}

/// The image in `docker-pullable://app@sha256:...` or `app@sha256:...`. `None` for a bare `sha256:...`, which is the
/// digest of a config and cannot be pulled.
pub fn image_by_digest(image_id: &str) -> Option<String> {
    let name = image_id.split_once("://").map_or(image_id, |(_, name)| name);
    name.contains("@sha256:").then(|| name.to_string())
}

/// The label with which a controller of ReplicaSets marks their pods, and the kind of that controller. A ReplicaSet's
/// name ends with the label's value. Source: Kubernetes, `DefaultDeploymentUniqueLabelKey`; Argo Rollouts.
const TEMPLATE_HASHES: &[(&str, &str)] =
    &[("pod-template-hash", "deployment"), ("rollouts-pod-template-hash", "rollout")];

/// Whether [`owner`] reads this label of a pod.
pub fn is_owner_label(label: &str) -> bool {
    TEMPLATE_HASHES.iter().any(|(known, _)| *known == label)
}

/// A pod's controller as KIND/NAME, or the pod itself if it has none. For a ReplicaSet that a Deployment or an Argo
/// Rollout created, that object.
pub fn owner(pod: &PodObject) -> String {
    let owners = &pod.metadata.owner_references;
    let Some(owner) = owners.iter().find(|owner| owner.controller).or(owners.first()) else {
        return format!("pod/{}", pod.metadata.name);
    };
    let by_hash = |(label, kind): &(&str, &str)| {
        let hash = pod.metadata.labels.get(*label)?;
        let name = owner.name.strip_suffix(hash.as_str())?.strip_suffix('-')?;
        (owner.kind == "ReplicaSet").then(|| format!("{kind}/{name}"))
    };
    let created = TEMPLATE_HASHES.iter().find_map(by_hash);
    created.unwrap_or_else(|| format!("{}/{}", owner.kind.to_ascii_lowercase(), owner.name))
}

impl Workload {
    /// `deployment/checkout`, in kubectl's syntax.
    pub fn title(&self) -> String {
        format!("{}/{}", self.kind.to_ascii_lowercase(), self.name)
    }

    /// Secrets with registry credentials that the pod itself names.
    pub fn pull_secrets(&self) -> impl Iterator<Item = &str> {
        self.pod.image_pull_secrets.iter().map(|NamedImage { name }| name.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_template_is_found_in_every_kind() {
        let template = json!({"spec": {"containers": [{"name": "a", "image": "app:1"}]}});
        for (kind, object) in [
            ("Pod", json!({"kind": "Pod", "metadata": {"name": "x"}, "spec": template["spec"]})),
            ("Deployment", json!({"kind": "Deployment", "metadata": {"name": "x"}, "spec": {"template": template}})),
            (
                "CronJob",
                json!({"kind": "CronJob", "metadata": {"name": "x"}, "spec": {"jobTemplate": {"spec": {"template": template}}}}),
            ),
            ("Rollout", json!({"kind": "Rollout", "metadata": {"name": "x"}, "spec": {"template": template}})),
            ("PodTemplate", json!({"kind": "PodTemplate", "metadata": {"name": "x"}, "template": template})),
        ] {
            let workload = of_object(&object).unwrap().unwrap();
            assert_eq!((workload.kind.as_str(), workload.containers[0].image.as_str()), (kind, "app:1"));
        }
        let service = json!({"kind": "Service", "metadata": {"name": "x"}, "spec": {"ports": [{"port": 80}]}});
        assert_eq!(of_object(&service).unwrap(), None);
    }

    #[test]
    fn an_owner_is_the_object_that_created_the_replica_set() {
        let owned = |kind: &str, name: &str, labels: Value| {
            let reference = json!({"kind": kind, "name": name, "controller": true});
            let other = json!({"kind": "Quota", "name": "q"});
            let metadata = json!({"name": "a-1", "labels": labels, "ownerReferences": [other, reference]});
            owner(&object::read(json!({"metadata": metadata})).unwrap())
        };
        let hash = json!({"pod-template-hash": "7c9d"});
        assert_eq!(owned("ReplicaSet", "my-app-7c9d", hash.clone()), "deployment/my-app");
        assert_eq!(owned("ReplicaSet", "my-app-7c9d", json!({"rollouts-pod-template-hash": "7c9d"})), "rollout/my-app");
        assert_eq!(owned("ReplicaSet", "my-app", json!({})), "replicaset/my-app");
        assert_eq!(owned("ReplicaSet", "my-app-2", hash.clone()), "replicaset/my-app-2");
        assert_eq!(owned("StatefulSet", "db-7c9d", hash), "statefulset/db-7c9d");
        assert_eq!(owner(&object::read(json!({"metadata": {"name": "a"}})).unwrap()), "pod/a");
    }

    #[test]
    fn roles_distinguish_init_containers_from_sidecars() {
        let pod = json!({"kind": "Pod", "metadata": {"name": "x"}, "spec": {
            "initContainers": [{"name": "i", "image": "i"}, {"name": "s", "image": "s", "restartPolicy": "Always"}],
            "containers": [{"name": "m", "image": "m"}],
            "ephemeralContainers": [{"name": "e", "image": "e"}]
        }});
        let roles: Vec<ContainerRole> =
            of_object(&pod).unwrap().unwrap().containers.iter().map(|one| one.role).collect();
        assert_eq!(roles, [ContainerRole::Init, ContainerRole::Sidecar, ContainerRole::Main, ContainerRole::Ephemeral]);
    }
}
