//! Turns a container's spec into the process that the kubelet starts: words, variables, user, capabilities, sandbox,
//! mounts. Pure.

use std::collections::BTreeMap;

use super::object::{ContainerSpec, EnvSource, EnvVar, PodSpec};
use crate::exec::UNKNOWN_TEXT;
use crate::platform::CapabilityChange;
use crate::scan::CallOverride;
use crate::scan::call::{Purpose, Sandbox, StatedBy};

/// The kubelet's changes to the image's own start. A container's security context overrides its pod's.
/// Source: Kubernetes' pkg/securitycontext `DetermineEffectiveSecurityContext`.
pub fn call(spec: &ContainerSpec, pod: &PodSpec) -> CallOverride {
    let (own, of_pod) = (&spec.security_context, &pod.security_context);
    let env = environment(spec);
    let is_open = spec.env_from.iter().any(|source| source.values.is_none());
    let words = |words: &[String]| {
        (!words.is_empty()).then(|| words.iter().map(|word| expand(word, &env, is_open)).collect::<Vec<String>>())
    };
    let number = |number: Option<i64>| number.map(|number| number.to_string());
    let groups = of_pod.fs_group.iter().chain(&of_pod.supplemental_groups);
    CallOverride {
        entrypoint: words(&spec.command),
        args: words(&spec.args),
        working_dir: spec.working_dir.clone().filter(|path| !path.is_empty()),
        user: number(own.run_as_user.or(of_pod.run_as_user)),
        group: number(own.run_as_group.or(of_pod.run_as_group)),
        groups: groups.filter_map(|group| u32::try_from(*group).ok()).collect(),
        non_root: own.run_as_non_root.or(of_pod.run_as_non_root) == Some(true),
        capabilities: CapabilityChange::new(own.privileged, &own.capabilities.add, &own.capabilities.drop),
        sandbox: sandbox_of(pod),
        mounts: spec
            .volume_mounts
            .iter()
            .map(|mount| mount.mount_path.clone())
            .filter(|path| is_stated(path))
            .collect(),
        stated_by: StatedBy::Pod,
        purpose: Purpose::Started,
        named: None,
        env: env.into_iter().collect(),
    }
}

/// Whether a mount is in the template. The API server adds the service account's token to every pod.
fn is_stated(path: &str) -> bool {
    path != "/var/run/secrets/kubernetes.io/serviceaccount"
}

/// The spec's variables. `None`: the value comes from another object. The kubelet sets the API server's address in
/// every container. Variables of `env` cannot refer to those of `envFrom`.
/// Source: Kubernetes' pkg/kubelet `makeEnvironmentVariables`.
fn environment(spec: &ContainerSpec) -> BTreeMap<String, Option<String>> {
    let known = |value: String| Some(value).filter(|value| !value.contains(UNKNOWN_TEXT));
    let mut env = BTreeMap::from([("KUBERNETES_SERVICE_HOST".to_string(), None)]);
    for EnvVar { name, value, value_from } in &spec.env {
        let value = match (value, value_from) {
            (Some(value), None) => known(expand(value, &env, false)),
            (Some(value), Some(_)) => known(value.clone()),
            (None, Some(_)) => None,
            (None, None) => Some(String::new()),
        };
        env.insert(name.clone(), value);
    }
    let mut all = BTreeMap::new();
    for EnvSource { prefix, values } in &spec.env_from {
        let values = values.iter().flatten();
        all.extend(values.map(|(name, value)| (format!("{prefix}{name}"), known(value.clone()))));
    }
    all.extend(env);
    all
}

/// Expands `$(NAME)`, a variable of the spec, and `$$`, a dollar sign. Unknown names stay as written, unless `is_open`:
/// then the spec has variables whose names are unknown. Source: Kubernetes' third_party/forked/golang/expansion.
fn expand(text: &str, env: &BTreeMap<String, Option<String>>, is_open: bool) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        rest = after;
        if let Some(tail) = after.strip_prefix('$') {
            out.push('$');
            rest = tail;
        } else if let Some((name, tail)) = after.strip_prefix('(').and_then(|inside| inside.split_once(')')) {
            match env.get(name) {
                Some(Some(value)) => out.push_str(value),
                Some(None) => out.push(UNKNOWN_TEXT),
                None if is_open => out.push(UNKNOWN_TEXT),
                None => out.push_str(&format!("$({name})")),
            }
            rest = tail;
        } else {
            out.push('$');
        }
    }
    out.push_str(rest);
    out
}

/// A pod's sandbox, recognised by the handler of its runtime class or by the class's name.
fn sandbox_of(pod: &PodSpec) -> Sandbox {
    let names = [&pod.runtime_handler, &pod.runtime_class_name];
    let mut sandboxes = names.into_iter().flatten().map(|name| sandbox(name));
    sandboxes.find(|sandbox| *sandbox != Sandbox::None).unwrap_or_default()
}

/// Recognises a runtime class by the names that the sandbox's documentation uses for the class and its handler.
pub fn sandbox(runtime_class: &str) -> Sandbox {
    let name = runtime_class.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| name.contains(word));
    if has(&["gvisor", "runsc"]) {
        Sandbox::Gvisor
    } else if has(&["wasm", "spin", "slight", "wws"]) {
        Sandbox::Wasm
    } else if has(&["kata", "confidential", "firecracker"]) {
        Sandbox::Machine
    } else {
        Sandbox::None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kube::object::read;
    use crate::oci::RunConfig;
    use serde_json::{Value, json};

    fn called(container: Value, pod: Value) -> CallOverride {
        call(&read(container).unwrap(), &read(pod).unwrap())
    }

    fn starts(command: &[&str], args: &[&str], expected: &[&str]) {
        let run = RunConfig { entrypoint: vec!["/entry".into()], cmd: vec!["serve".into()], ..RunConfig::default() };
        let found = called(json!({"command": command, "args": args}), json!({})).start(&run);
        assert_eq!(found.call.argv, expected, "command {command:?} args {args:?}");
    }

    #[test]
    fn command_and_args_replace_entrypoint_and_cmd() {
        starts(&[], &[], &["/entry", "serve"]);
        starts(&["/app"], &[], &["/app"]);
        starts(&[], &["-v"], &["/entry", "-v"]);
        starts(&["/app"], &["-v"], &["/app", "-v"]);
    }

    #[test]
    fn a_containers_security_context_overrides_its_pods() {
        let pod = json!({"securityContext": {"runAsUser": 1, "runAsGroup": 2}});
        let found = called(json!({"securityContext": {"runAsUser": 1000}}), pod.clone());
        assert_eq!((found.user.as_deref(), found.group.as_deref()), (Some("1000"), Some("2")));
        let found = called(json!({}), pod);
        assert_eq!((found.user.as_deref(), found.group.as_deref()), (Some("1"), Some("2")));
    }

    #[test]
    fn variables_are_filled_in_as_the_kubelet_does() {
        let container = json!({
            "command": ["$(DIR)/app", "$(SECRET)", "$(NONE)", "$$(DIR)", "$5"],
            "env": [
                {"name": "BASE", "value": "/opt"}, {"name": "DIR", "value": "$(BASE)/x"},
                {"name": "SECRET", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
                {"name": "LATE", "value": "$(LATER)"}, {"name": "LATER", "value": "1"}
            ]
        });
        let found = called(container, json!({}));
        let words =
            ["/opt/x/app".to_string(), UNKNOWN_TEXT.to_string(), "$(NONE)".into(), "$(DIR)".into(), "$5".into()];
        assert_eq!(found.entrypoint.as_deref(), Some(words.as_slice()));
        let value = |name: &str| found.env.iter().find(|(known, _)| known == name).unwrap().1.as_deref();
        assert_eq!((value("DIR"), value("SECRET"), value("LATE")), (Some("/opt/x"), None, Some("$(LATER)")));
    }

    #[test]
    fn groups_and_run_as_non_root_reach_the_call() {
        let pod = json!({"securityContext": {"fsGroup": 7, "supplementalGroups": [8, 9], "runAsNonRoot": true}});
        let found = called(json!({}), pod.clone());
        assert_eq!((found.groups.as_slice(), found.non_root), ([7, 8, 9].as_slice(), true));
        assert!(!called(json!({"securityContext": {"runAsNonRoot": false}}), pod).non_root);
    }

    #[test]
    fn variables_of_other_objects_are_known_unknown_or_absent() {
        let container = |sources: Value| {
            json!({"command": ["$(P_DIR)/app", "$(NONE)"], "envFrom": sources,
                "env": [{"name": "OWN", "value": "$(P_DIR)"}, {"name": "ONE", "value": "$(OWN)", "valueFrom": {}}]})
        };
        let known = called(container(json!([{"prefix": "P_", "values": {"DIR": "/opt", "OWN": "x"}}])), json!({}));
        assert_eq!(known.entrypoint.unwrap(), ["/opt/app", "$(NONE)"]);
        let value = |name: &str| known.env.iter().find(|(known, _)| known == name).unwrap().1.as_deref();
        assert_eq!((value("P_DIR"), value("OWN"), value("ONE")), (Some("/opt"), Some("$(P_DIR)"), Some("$(OWN)")));
        let unknown = called(container(json!([{"configMapRef": {"name": "c"}}])), json!({}));
        assert_eq!(unknown.entrypoint.unwrap(), [format!("{UNKNOWN_TEXT}/app"), UNKNOWN_TEXT.to_string()]);
    }

    #[test]
    fn a_runtime_class_is_also_recognised_by_its_handler() {
        let of = |handler: &str| called(json!({}), json!({"runtimeClassName": "safe", "runtimeHandler": handler}));
        assert_eq!((of("runsc").sandbox, of("runc").sandbox), (Sandbox::Gvisor, Sandbox::None));
        let named = called(json!({}), json!({"runtimeClassName": "gvisor", "runtimeHandler": "custom"}));
        assert_eq!(named.sandbox, Sandbox::Gvisor);
    }

    #[test]
    fn runtime_classes_are_recognised_by_name() {
        for (name, expected) in [
            ("gvisor", Sandbox::Gvisor),
            ("runsc-kvm", Sandbox::Gvisor),
            ("kata-qemu", Sandbox::Machine),
            ("wasmtime-spin-v2", Sandbox::Wasm),
            ("nvidia", Sandbox::None),
            ("runc", Sandbox::None),
        ] {
            assert_eq!(sandbox(name), expected, "{name}");
        }
    }
}
