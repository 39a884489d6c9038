//! A container's spec as the process that the kubelet has started: words, variables, user, capabilities, sandbox, mounts.
//! Pure.

use std::collections::BTreeMap;

use super::object::{ContainerSpec, EnvVar, PodSpec};
use crate::exec::UNKNOWN_TEXT;
use crate::platform::CapabilityChange;
use crate::scan::CallOverride;
use crate::scan::call::{Purpose, Sandbox, StatedBy};

/// What the kubelet changes of an image's own start. A container's security context counts before its pod's.
/// Source: Kubernetes' pkg/securitycontext `DetermineEffectiveSecurityContext`.
pub fn call(spec: &ContainerSpec, pod: &PodSpec) -> CallOverride {
    let (own, of_pod) = (&spec.security_context, &pod.security_context);
    let env = environment(&spec.env);
    let words = |words: &[String]| {
        (!words.is_empty()).then(|| words.iter().map(|word| expand(word, &env)).collect::<Vec<String>>())
    };
    let number = |number: Option<i64>| number.map(|number| number.to_string());
    CallOverride {
        entrypoint: words(&spec.command),
        args: words(&spec.args),
        working_dir: spec.working_dir.clone().filter(|path| !path.is_empty()),
        user: number(own.run_as_user.or(of_pod.run_as_user)),
        group: number(own.run_as_group.or(of_pod.run_as_group)),
        capabilities: CapabilityChange::new(own.privileged, &own.capabilities.add, &own.capabilities.drop),
        sandbox: pod.runtime_class_name.as_deref().map_or(Sandbox::None, sandbox),
        mounts: spec
            .volume_mounts
            .iter()
            .map(|mount| mount.mount_path.clone())
            .filter(|path| is_stated(path))
            .collect(),
        stated_by: StatedBy::Pod,
        purpose: Purpose::Started,
        env: env.into_iter().collect(),
    }
}

/// The API server adds the service account's token to every pod, and no template has it.
fn is_stated(path: &str) -> bool {
    path != "/var/run/secrets/kubernetes.io/serviceaccount"
}

/// The spec's variables; `None`: its value comes from elsewhere. The kubelet tells every container the API server's
/// address. Source: Kubernetes' pkg/kubelet `makeEnvironmentVariables`.
fn environment(variables: &[EnvVar]) -> BTreeMap<String, Option<String>> {
    let mut env = BTreeMap::from([("KUBERNETES_SERVICE_HOST".to_string(), None)]);
    for EnvVar { name, value, value_from } in variables {
        let value = match (value, value_from) {
            (Some(value), _) => Some(expand(value, &env)).filter(|value| !value.contains(UNKNOWN_TEXT)),
            (None, Some(_)) => None,
            (None, None) => Some(String::new()),
        };
        env.insert(name.clone(), value);
    }
    env
}

/// `$(NAME)` is a variable of the spec, `$$` a dollar; what names none stays as it is written.
/// Source: Kubernetes' third_party/forked/golang/expansion.
fn expand(text: &str, env: &BTreeMap<String, Option<String>>) -> String {
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

/// What a runtime class is, by the names that its documents give to class and handler.
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
    fn a_containers_security_context_counts_before_its_pods() {
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
    fn runtime_classes_are_known_by_name() {
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
