//! `imgarch cluster` and `imgarch scan -f`: images with the starts that manifests give them, on the nodes that they may have.

use std::process::{Command, Output};

use imgarch::oci::Digest;
use serde_json::{Value, json};

use crate::diagnose::{imgarch, incident, publish, text};
use crate::elf::ElfBuilder;
use crate::kube_api::{KubeApi, State};
use crate::registry::FakeRegistry;

fn report(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(output)))
}

/// The incident's cluster with every kind of workload to be asked for, and none of them but the deployment there.
fn whole(registry: &FakeRegistry, digest: &Digest) -> State {
    let mut state = incident(registry, digest);
    for list in
        ["/apis/apps/v1/statefulsets", "/apis/apps/v1/daemonsets", "/apis/batch/v1/cronjobs", "/apis/batch/v1/jobs"]
    {
        state.objects.insert(list.to_string(), Vec::new());
    }
    state
}

#[test]
fn every_image_is_judged_on_the_nodes_where_it_runs() {
    let registry = FakeRegistry::start();
    let digest = publish(&registry, &ElfBuilder::amd64().build());
    let api = KubeApi::start(whole(&registry, &digest));
    let output = imgarch(&api, &["cluster", "--insecure", "--format", "json"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    let report = report(&output);
    let images = report["images"].as_array().unwrap();
    let by_digest = images.iter().find(|image| image["name"].as_str().unwrap().contains("@sha256:")).unwrap();
    assert!(by_digest.to_string().contains("used by shop/deployment/checkout, container app"), "{by_digest:#}");
    assert!(by_digest.to_string().contains("entrypoint-wrong-arch"), "{by_digest:#}");
    assert!(by_digest.to_string().contains("m7g.large"), "{by_digest:#}");
    assert_eq!(images.len(), 2, "the digest that runs, and the tag of the template: {report:#}");
}

#[test]
fn what_is_forbidden_makes_a_cluster_unknown_and_not_fine() {
    let registry = FakeRegistry::start();
    let digest = publish(&registry, &ElfBuilder::arm64().build());
    let api = KubeApi::start(State { forbidden: vec!["/apis/batch/v1/jobs".to_string()], ..whole(&registry, &digest) });
    let output = imgarch(&api, &["cluster", "--insecure"]);
    assert_eq!(output.status.code(), Some(3), "{}", text(&output));
    assert!(text(&output).contains("note: jobs were not read"), "{}", text(&output));
}

/// A manifest and saved nodes, scanned together.
fn scan(registry: &FakeRegistry, pod: Value, nodes: &[Value]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let (manifest, saved) = (folder.path().join("pod.yaml"), folder.path().join("nodes.json"));
    let mut pod = pod;
    pod["spec"]["containers"][0]["image"] = json!(format!("{}/user/app:v1", registry.host));
    std::fs::write(&manifest, format!("---\n{pod}\n")).unwrap();
    std::fs::write(&saved, json!({"kind": "List", "items": nodes}).to_string()).unwrap();
    Command::new(env!("CARGO_BIN_EXE_imgarch"))
        .args(["scan", "--insecure", "--format", "json", "-f"])
        .arg(&manifest)
        .arg("--target")
        .arg(&saved)
        .output()
        .unwrap()
}

fn pod(selector: Value, command: Value) -> Value {
    json!({
        "kind": "Pod", "metadata": {"name": "p"},
        "spec": {"nodeSelector": selector, "containers": [{"name": "c", "command": command}]}
    })
}

fn node(name: &str, arch: &str) -> Value {
    json!({
        "kind": "Node", "metadata": {"name": name, "labels": {"kubernetes.io/arch": arch}},
        "status": {"nodeInfo": {"architecture": arch, "operatingSystem": "linux", "containerRuntimeVersion": "containerd://2.1.4"}}
    })
}

#[test]
fn a_manifest_is_judged_on_the_nodes_that_its_selector_leaves() {
    let registry = FakeRegistry::start();
    publish(&registry, &ElfBuilder::amd64().build());
    let nodes = [node("a", "arm64"), node("x", "amd64")];
    let everywhere = scan(&registry, pod(json!({}), json!(null)), &nodes);
    assert_eq!(everywhere.status.code(), Some(1), "{}", text(&everywhere));
    let pinned = scan(&registry, pod(json!({"kubernetes.io/arch": "amd64"}), json!(null)), &nodes);
    assert_eq!(pinned.status.code(), Some(0), "{}", text(&pinned));
}

#[test]
fn a_manifests_command_replaces_the_images_own() {
    let registry = FakeRegistry::start();
    publish(&registry, &ElfBuilder::arm64().build());
    let nodes = [node("a", "arm64")];
    assert_eq!(scan(&registry, pod(json!({}), json!(["/usr/local/bin/app"])), &nodes).status.code(), Some(0));
    let missing = scan(&registry, pod(json!({}), json!(["/usr/local/bin/other"])), &nodes);
    assert_eq!(missing.status.code(), Some(1), "{}", text(&missing));
    assert!(report(&missing).to_string().contains("entrypoint-not-found"), "{}", text(&missing));
}
