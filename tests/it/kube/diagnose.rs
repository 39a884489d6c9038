//! `imgarch diagnose` and `imgarch nodes` on a cluster with three engines, with the incident's image in a registry.
//! Runs the built binary over real HTTP.

use std::process::{Command, Output};

use imgarch::oci::Digest;
use serde_json::{Value, json};

use super::lists::kubeconfig;
use crate::kit::elf::ElfBuilder;
use crate::kit::kube_api::{KubeApi, State};
use crate::kit::registry::{FakeRegistry, OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST};
use crate::kit::small::{self, Small, said, write_layout};

/// Publishes the incident's image: an index with both platforms, whose arm64 image contains `arm64_app`. Returns its
/// digest.
pub fn publish(registry: &FakeRegistry, arm64_app: &[u8]) -> Digest {
    publish_as(registry, "v1", arm64_app)
}

pub fn publish_as(registry: &FakeRegistry, tag: &str, arm64_app: &[u8]) -> Digest {
    let amd64_app = ElfBuilder::amd64().build();
    let half = |architecture: &str, app: &[u8]| {
        let base = tar(&[("etc/os-release", 0o644, b"ID=test\n")]);
        let top = tar(&[("usr/local/bin/app", 0o755, app)]);
        let layers: Vec<Value> = [&base, &top]
            .map(|layer| json!({"mediaType": OCI_LAYER, "digest": registry.put_blob(layer).to_string(), "size": layer.len()}))
            .to_vec();
        let config = json!({
            "architecture": architecture, "os": "linux",
            "config": {"Entrypoint": ["app"], "Env": ["PATH=/usr/local/bin:/usr/bin:/bin"]},
            "rootfs": {"type": "layers", "diff_ids": [Digest::from_bytes(&base).to_string(), Digest::from_bytes(&top).to_string()]},
            "history": [
                {"created_by": "ADD rootfs.tar / # buildkit"},
                {"created_by": "COPY bin/app /usr/local/bin/app # buildkit"},
                {"created_by": "ENTRYPOINT [\"app\"]", "empty_layer": true}
            ]
        })
        .to_string();
        let config_digest = registry.put_blob(config.as_bytes());
        let manifest = json!({
            "schemaVersion": 2, "mediaType": OCI_MANIFEST, "layers": layers,
            "config": {"mediaType": OCI_CONFIG, "digest": config_digest.to_string(), "size": config.len()}
        })
        .to_string();
        let digest = registry.put_manifest("user/app", None, OCI_MANIFEST, manifest.as_bytes());
        json!({
            "mediaType": OCI_MANIFEST, "digest": digest.to_string(), "size": manifest.len(),
            "platform": {"os": "linux", "architecture": architecture}
        })
    };
    let manifests = [half("amd64", &amd64_app), half("arm64", arm64_app)];
    let index = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests}).to_string();
    registry.put_manifest("user/app", Some(tag), OCI_INDEX, index.as_bytes())
}

pub fn tar(files: &[(&str, u32, &[u8])]) -> Vec<u8> {
    let mut builder = ::tar::Builder::new(Vec::new());
    for (path, mode, content) in files {
        let mut header = ::tar::Header::new_gnu();
        header.set_mode(*mode);
        header.set_size(content.len() as u64);
        builder.append_data(&mut header, path, *content).unwrap();
    }
    builder.into_inner().unwrap()
}

fn node(name: &str, instance_type: &str, arch: &str, runtime: &str) -> Value {
    json!({
        "metadata": {"name": name, "labels": {"kubernetes.io/arch": arch, "kubernetes.io/os": "linux", "node.kubernetes.io/instance-type": instance_type}},
        "status": {"capacity": {"hugepages-64Ki": "0", "hugepages-2Mi": "0"}, "nodeInfo": {
            "architecture": arch, "operatingSystem": "linux", "kernelVersion": "6.12.40-63.114.amzn2023.aarch64",
            "containerRuntimeVersion": runtime
        }}
    })
}

/// A pod of the deployment `checkout` that keeps crashing on `node`.
fn crashing(name: &str, node: &str, image: &str, image_id: &str, exit_code: i32) -> Value {
    json!({
        "metadata": {
            "name": name, "namespace": "shop", "labels": {"app": "checkout", "pod-template-hash": "7c9d"},
            "ownerReferences": [{"kind": "ReplicaSet", "name": "checkout-7c9d"}]
        },
        "spec": {"nodeName": node, "containers": [{"name": "app", "image": image}]},
        "status": {"phase": "Running", "containerStatuses": [{
            "name": "app", "image": image, "imageID": image_id, "ready": false, "restartCount": 7,
            "state": {"waiting": {"reason": "CrashLoopBackOff", "message": format!("back-off 5m0s restarting failed container=app pod={name}_shop(1)")}},
            "lastState": {"terminated": {"exitCode": exit_code, "reason": "Error", "startedAt": "2026-03-01T10:00:00Z", "finishedAt": "2026-03-01T10:00:00Z"}}
        }]}
    })
}

pub fn healthy(name: &str, node: &str, image: &str) -> Value {
    json!({
        "metadata": {
            "name": name, "namespace": "shop", "labels": {"app": "checkout", "pod-template-hash": "7c9d"},
            "ownerReferences": [{"kind": "ReplicaSet", "name": "checkout-7c9d"}]
        },
        "spec": {"nodeName": node, "containers": [{"name": "app", "image": image}]},
        "status": {"phase": "Running", "containerStatuses": [{"name": "app", "image": image, "ready": true, "state": {"running": {}}}]}
    })
}

/// Nodes of three engines, each with a pod that cannot start, and an amd64 node with one that can.
pub fn incident(registry: &FakeRegistry, digest: &Digest) -> State {
    let image = format!("{}/user/app:v1", registry.host);
    let by_digest = format!("{}/user/app@{digest}", registry.host);
    let deployment = json!({
        "metadata": {"name": "checkout", "namespace": "shop"},
        "spec": {"selector": {"matchLabels": {"app": "checkout"}}, "template": {"spec": {"containers": [{"name": "app", "image": image}]}}}
    });
    let events = ["containerd-pod", "crio-pod", "docker-pod"].map(|pod| {
        json!({
            "metadata": {"name": format!("{pod}.1"), "namespace": "shop"}, "type": "Warning", "reason": "BackOff",
            "message": format!("Back-off restarting failed container app in pod {pod}_shop(1)"),
            "involvedObject": {"kind": "Pod", "name": pod, "namespace": "shop", "fieldPath": "spec.containers{app}"}
        })
    });
    State {
        objects: [
            (
                "/api/v1/nodes".to_string(),
                vec![
                    node("arm-1", "m7g.large", "arm64", "containerd://2.1.4"),
                    node("arm-2", "m7g.large", "arm64", "cri-o://1.32.1"),
                    node("arm-3", "m7g.large", "arm64", "docker://20.10.25"),
                    node("amd-1", "m5.large", "amd64", "containerd://2.1.4"),
                ],
            ),
            (
                "/api/v1/pods".to_string(),
                vec![
                    crashing("containerd-pod", "arm-1", &image, &by_digest, 255),
                    crashing("crio-pod", "arm-2", &image, &by_digest, 1),
                    crashing("docker-pod", "arm-3", &image, &format!("docker-pullable://{by_digest}"), 1),
                    healthy("good-pod", "amd-1", &image),
                ],
            ),
            ("/api/v1/events".to_string(), events.to_vec()),
            ("/apis/apps/v1/deployments".to_string(), vec![deployment]),
        ]
        .into(),
        logs: [
            ("shop/containerd-pod/app", "exec /usr/local/bin/app: exec format error\n"),
            (
                "shop/crio-pod/app",
                "{\"msg\":\"exec container process `/usr/local/bin/app`: Exec format error\",\"level\":\"error\"}\n",
            ),
            ("shop/docker-pod/app", "standard_init_linux.go:228: exec user process caused: exec format error\n"),
        ]
        .map(|(key, log)| (key.to_string(), log.to_string()))
        .into(),
        page: 2,
        ..State::default()
    }
}

pub fn imgarch(api: &KubeApi, arguments: &[&str]) -> Output {
    let (_directory, config) = kubeconfig(&api.url);
    let kubeconfig = format!("--kubeconfig={}", config.display());
    Command::new(env!("CARGO_BIN_EXE_imgarch"))
        .args(arguments)
        .arg(kubeconfig)
        .env("NO_COLOR", "1")
        .env("IMGARCH_NO_CACHE", "1")
        .output()
        .unwrap()
}

pub fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

pub fn answers(api: &KubeApi, arguments: &[&str]) -> Vec<Value> {
    let output = imgarch(api, &[arguments, &["--insecure", "--format", "json"]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let value: Value = serde_json::from_slice(&output.stdout).unwrap();
    value["answers"].as_array().unwrap().clone()
}

#[test]
fn a_pod_of_each_engine_is_traced_to_file_layer_and_build_step() {
    let registry = FakeRegistry::start();
    let digest = publish(&registry, &ElfBuilder::amd64().build());
    let api = KubeApi::start(incident(&registry, &digest));
    for pod in ["containerd-pod", "crio-pod", "docker-pod"] {
        let found = answers(&api, &["diagnose", pod, "-n", "shop"]);
        let cause = &found[0]["cause"];
        assert_eq!(
            (&cause["code"], &cause["likelihood"]),
            (&json!("foreign-architecture"), &json!("certain")),
            "{pod}: {found:#?}"
        );
        let evidence = found[0]["evidence"].to_string();
        for part in ["/usr/local/bin/app is ELF x86-64", "layer 2 of 2", "COPY bin/app /usr/local/bin/app", "exit code"]
        {
            assert!(evidence.contains(part), "{pod}: missing {part}: {evidence}");
        }
        assert!(found[0]["excluded"].to_string().contains("the image itself has this fault"));
        let rebuild = format!("imgarch rebuild {}/user/app:v1 --platform linux/arm64", registry.host);
        assert_eq!(found[0]["then"][0], json!(rebuild));
        assert!(found[0]["now"].to_string().contains("kubernetes.io/arch"), "{found:#?}");
    }
}

#[test]
fn the_answer_for_a_deployment_fits_one_screen() {
    let registry = FakeRegistry::start();
    let digest = publish(&registry, &ElfBuilder::amd64().build());
    let api = KubeApi::start(incident(&registry, &digest));
    let output = imgarch(&api, &["diagnose", "deploy/checkout", "-n", "shop", "--insecure"]);
    let text = text(&output);
    let heading = text.lines().take_while(|line| !line.is_empty()).map(str::trim).collect::<Vec<_>>().join(" ");
    let expected = "deployment/checkout (3 of 4 pods), container app, CrashLoopBackOff: the program is for another \
                    architecture than the node";
    assert_eq!(heading, expected, "{text}");
    assert!(text.contains("AWS Graviton3") && text.contains("[certain]"), "{text}");
    assert!(rows(&text) < 24, "{text}");
    let output = imgarch(&api, &["diagnose", "--failing", "-n", "shop", "--insecure"]);
    assert!(rows(&self::text(&output)) < 24, "{}", self::text(&output));
}

/// Rows on a terminal of 80 columns, which wraps longer commands.
fn rows(text: &str) -> usize {
    text.lines().map(|line| line.chars().count().div_ceil(80).max(1)).sum()
}

#[test]
fn a_container_that_must_not_run_as_root_is_recognised_by_message_and_by_image() {
    let registry = FakeRegistry::start();
    let digest = publish(&registry, &ElfBuilder::arm64().build());
    let mut state = incident(&registry, &digest);
    let pods = state.objects.get_mut("/api/v1/pods").unwrap();
    pods.truncate(1);
    pods[0]["spec"]["securityContext"] = json!({"runAsNonRoot": true});
    let words = "container has runAsNonRoot and image will run as root";
    let message = format!("{words} (pod: \"p_shop(1)\", container: app)");
    pods[0]["status"]["containerStatuses"][0]["state"] =
        json!({"waiting": {"reason": "CreateContainerConfigError", "message": message}});
    pods[0]["status"]["containerStatuses"][0]["lastState"] = json!({});
    state.logs.clear();
    let api = KubeApi::start(state);
    for arguments in [&["diagnose", "containerd-pod", "-n", "shop", "--no-image"][..], &["diagnose", "--failing", "-A"]]
    {
        let found = answers(&api, arguments);
        let cause = &found[0]["cause"];
        assert_eq!(
            (&cause["code"], &cause["likelihood"]),
            (&json!("run-as-non-root"), &json!("certain")),
            "{found:#?}"
        );
        assert!(found[0]["then"].to_string().contains("USER 1000:1000"), "{found:#?}");
        assert!(found[0]["now"].to_string().contains("runAsUser"), "{found:#?}");
    }
}

#[test]
fn runtime_classes_are_requested_if_a_pod_names_one() {
    let registry = FakeRegistry::start();
    let digest = publish(&registry, &ElfBuilder::amd64().build());
    let classes = "/apis/node.k8s.io/v1/runtimeclasses";
    let requests = |class: Option<&str>| {
        let mut state = incident(&registry, &digest);
        let handler = json!({"metadata": {"name": "sandboxed"}, "handler": "runsc"});
        state.objects.insert(classes.to_string(), vec![handler]);
        for pod in state.objects.get_mut("/api/v1/pods").unwrap() {
            pod["spec"]["runtimeClassName"] = json!(class);
        }
        let api = KubeApi::start(state);
        answers(&api, &["diagnose", "containerd-pod", "-n", "shop"]);
        api.seen().iter().filter(|seen| seen.path.starts_with(classes)).count()
    };
    assert_eq!((requests(None), requests(Some("sandboxed"))), (0, 1));
}

#[test]
fn a_healthy_image_in_the_registry_makes_the_nodes_copy_suspect() {
    let registry = FakeRegistry::start();
    let digest = publish(&registry, &ElfBuilder::arm64().build());
    let api = KubeApi::start(incident(&registry, &digest));
    let found = answers(&api, &["diagnose", "containerd-pod", "-n", "shop"]);
    assert_eq!(found[0]["cause"]["code"], "node-copy", "{found:#?}");
    assert!(found[0]["check"].to_string().contains("kubectl debug node/arm-1"), "{found:#?}");
}

#[test]
fn failing_pods_of_every_namespace_are_found_and_healthy_ones_skipped() {
    let registry = FakeRegistry::start();
    let digest = publish(&registry, &ElfBuilder::amd64().build());
    let api = KubeApi::start(incident(&registry, &digest));
    let found = answers(&api, &["diagnose", "--failing", "-A"]);
    assert_eq!(found.len(), 1, "three pods fail in the same way: {found:#?}");
    assert!(found[0]["subject"].as_str().unwrap().starts_with("deployment/checkout (3 of 4 pods)"));
    assert_eq!(found[0]["namespace"], "shop");
    let output = imgarch(&api, &["diagnose", "good-pod", "-n", "shop"]);
    assert_eq!(output.status.code(), Some(3), "{}", text(&output));
}

#[test]
fn without_nodes_and_image_the_message_alone_is_judged() {
    let registry = FakeRegistry::start();
    let digest = Digest::from_bytes(b"gone");
    let api = KubeApi::start(State { forbidden: vec!["/api/v1/nodes".to_string()], ..incident(&registry, &digest) });
    let output = imgarch(&api, &["diagnose", "containerd-pod", "-n", "shop", "--insecure", "--format", "json"]);
    let value: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output)));
    assert_eq!(value["answers"][0]["cause"]["likelihood"], "likely");
    assert!(text(&output).contains("forbidden"), "{}", text(&output));
}

#[test]
fn nodes_are_grouped_into_targets() {
    let registry = FakeRegistry::start();
    let api = KubeApi::start(incident(&registry, &Digest::from_bytes(b"x")));
    let output = imgarch(&api, &["nodes", "--format", "json"]);
    let value: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output)));
    let groups = value["groups"].as_array().unwrap();
    assert_eq!(groups.len(), 4, "three engines are three groups: {value:#}");
    let containerd = groups.iter().find(|group| group["nodes"] == json!(["arm-1"])).unwrap();
    assert_eq!((&containerd["profile"], &containerd["page_size"]), (&json!("graviton3"), &json!(4096)));
    assert!(containerd["target"].as_str().unwrap().contains("engine=cri-containerd-2.1"), "{containerd}");
}

#[test]
fn a_message_needs_no_cluster() {
    let run = |arguments: &[&str]| Command::new(env!("CARGO_BIN_EXE_imgarch")).args(arguments).output().unwrap();
    let output = run(&["diagnose", "exec /entrypoint.sh: no such file or directory"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output).contains("Windows line endings"), "{}", text(&output));
    let output = run(&["diagnose", "listening on :8080"]);
    assert_eq!(output.status.code(), Some(3), "{}", text(&output));
}

#[test]
fn options_that_would_have_no_effect_are_refused() {
    const MESSAGE: &str = "exec /app: exec format error";
    for (arguments, option) in [
        (&["checkout-1", "--image", "app:1"][..], "--image"),
        (&["deploy/checkout", "--target", "linux/arm64"], "--target"),
        (&["checkout-1", "-n", "shop", "--exit-code", "132"], "--exit-code"),
        (&["--failing", "--entrypoint", "/app"], "--entrypoint"),
        (&["--failing", "-A", "-n", "shop"], "--namespace"),
        (&[MESSAGE, "-n", "shop"], "--namespace"),
        (&[MESSAGE, "--context", "prod"], "--context"),
        (&[MESSAGE, "--entrypoint", "/app"], "--entrypoint"),
        (&["--exit-code", "132", "--no-image"], "--no-image"),
        (&[MESSAGE, "--image", "app:1", "--no-image"], "--no-image"),
    ] {
        let arguments = [&["diagnose", "--no-config"][..], arguments].concat();
        let output = Command::new(env!("CARGO_BIN_EXE_imgarch")).args(&arguments).output().unwrap();
        let (code, text) = (output.status.code(), text(&output));
        assert!(code == Some(2) && text.contains(option), "{arguments:?}: {text}");
        assert!(!text.contains("POD |") && !text.contains("IMAGE |"), "{text}");
    }
}

#[test]
fn a_log_with_an_image_is_narrowed_to_its_cause() {
    let registry = FakeRegistry::start();
    publish(&registry, &ElfBuilder::amd64().build());
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("log");
    std::fs::write(&log, "starting\nexec /usr/local/bin/app: exec format error\n").unwrap();
    let image = format!("{}/user/app:v1", registry.host);
    let output = Command::new(env!("CARGO_BIN_EXE_imgarch"))
        .args(["diagnose", "--insecure", "--target", "graviton3", "--image", &image, "--log"])
        .arg(&log)
        .output()
        .unwrap();
    assert!(text(&output).contains("[certain]") && text(&output).contains("COPY bin/app"), "{}", text(&output));
}

#[test]
fn an_answer_names_the_file_to_change_not_the_file_that_fails() {
    let dynamic = ElfBuilder::amd64().interp("/lib64/ld-linux-x86-64.so.2").build();
    for (app, words) in [
        (b"#!/bin/sh\r\nexec true\r\n".to_vec(), "its first line ends in CR LF"),
        (b"#!/bin/bash\nexec true\n".to_vec(), "/bin/bash does not exist"),
        (dynamic, "its loader /lib64/ld-linux-x86-64.so.2"),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let image = Small::new("amd64", app).file("bin/sh", 0o755, ElfBuilder::amd64().build());
        write_layout(directory.path(), &[image]);
        let arguments = ["diagnose", "--image", "oci:.", "--format", "json", "exec /app: no such file or directory"];
        let (text, code) = said(&small::imgarch(directory.path(), &arguments, &[]));
        let value: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}"));
        let cause = value["answers"][0]["cause"]["text"].as_str().unwrap();
        assert!(cause.starts_with("/app in sha256:") && cause.contains(words), "{cause}");
        assert_eq!((code, &value["answers"][0]["cause"]["likelihood"]), (0, &json!("certain")), "{text}");
    }
}
