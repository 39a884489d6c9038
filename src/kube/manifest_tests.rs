//! Manifests in the form that Helm, kubectl and Compose write.

use super::*;
use crate::kube::workload::ContainerRole;
use crate::oci::RunConfig;

/// Reads a manifest without variables or other files.
fn read(name: &str, text: &str) -> Result<WorkloadManifest, ManifestError> {
    let nothing = |_: &std::path::Path| Err("not there".to_string());
    let outside =
        ComposeSurroundings { variable: &|_| None, directory: "".into(), directory_name: "p".into(), read: &nothing };
    super::read(name, text, &outside)
}

/// Each workload's title and its containers' images.
fn check(text: &str, expected: &[(&str, &[&str])]) {
    let manifest = read("test.yaml", text).unwrap();
    let found: Vec<(String, Vec<&str>)> = manifest
        .workloads
        .iter()
        .map(|workload| (workload.title(), workload.containers.iter().map(|one| one.image.as_str()).collect()))
        .collect();
    let expected: Vec<(String, Vec<&str>)> =
        expected.iter().map(|(title, images)| (title.to_string(), images.to_vec())).collect();
    assert_eq!(found, expected);
}

const HELM: &str = "---
# Source: shop/templates/service.yaml
apiVersion: v1
kind: Service
metadata:
  name: shop
spec:
  ports: [{port: 80}]
---
# Source: shop/templates/empty.yaml
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: shop
  labels:
spec:
  replicas: 2
  template:
    spec:
      nodeSelector:
        kubernetes.io/arch: arm64
      initContainers:
        - name: migrate
          image: \"registry.example.com/shop/migrate:1\"
      containers:
        - name: shop
          image: registry.example.com/shop/app:1
          command: [\"/app\"]
          args:
          - serve
          resources: {}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: nightly}
spec:
  schedule: \"0 3 * * *\"
  jobTemplate:
    spec:
      template:
        spec:
          containers: [{name: job, image: job:2}]
";

#[test]
fn helms_output_yields_its_workloads() {
    check(
        HELM,
        &[
            ("deployment/shop", &["registry.example.com/shop/migrate:1", "registry.example.com/shop/app:1"]),
            ("cronjob/nightly", &["job:2"]),
        ],
    );
    let manifest = read("test.yaml", HELM).unwrap();
    assert_eq!(manifest.others, 1);
    let shop = &manifest.workloads[0];
    assert_eq!(shop.pod.node_selector["kubernetes.io/arch"], "arm64");
    assert_eq!(shop.containers[0].role, ContainerRole::Init);
    assert_eq!(shop.containers[1].call.start(&RunConfig::default()).call.argv, ["/app", "serve"]);
}

#[test]
fn a_list_yields_its_items_recursively() {
    let text = r#"{"kind": "List", "items": [
        {"kind": "Pod", "metadata": {"name": "a"}, "spec": {"containers": [{"name": "a", "image": "a:1"}]}},
        {"kind": "PodList", "items": [{"metadata": {"name": "b"}, "spec": {"containers": [{"name": "b", "image": "b:1"}]}}]}
    ]}"#;
    check(text, &[("pod/a", &["a:1"]), ("pod/b", &["b:1"])]);
}

#[test]
fn compose_services_are_workloads() {
    let text = "
x-base: &base
  platform: linux/amd64
services:
  web:
    <<: *base
    image: web:${TAG:-3}
    entrypoint: /docker-entrypoint.sh nginx
    command: [\"-g\", \"daemon off;\"]
  built:
    build: .
";
    check(text, &[("service/web", &["web:3"])]);
    let web = &read("c.yaml", text).unwrap().workloads[0].containers[0];
    assert_eq!(web.platform.as_ref().unwrap().to_string(), "linux/amd64");
    let started = web.call.start(&RunConfig::default()).call.argv;
    assert_eq!(started, ["/docker-entrypoint.sh", "nginx", "-g", "daemon off;"]);
}

#[test]
fn errors_name_the_document() {
    let error = read("a.yaml", "kind: Pod\n---\nkind: [").unwrap_err();
    assert!(error.to_string().starts_with("a.yaml, document 2: not YAML: "), "{error}");
    let text = "kind: Pod\nmetadata: {name: x}\nspec: {containers: [{image: 7}]}";
    let error = read("a.yaml", text).unwrap_err();
    assert!(error.to_string().starts_with("a.yaml, document 1: Pod x: "), "{error}");
    for text in ["", "---\n---\n", "just text", "a: 1"] {
        assert!(matches!(read("a.yaml", text), Err(ManifestError::Nothing(_))), "{text}");
    }
}

#[test]
fn saved_nodes_are_read_from_json_and_yaml() {
    let json = r#"{"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"}, "status": {"nodeInfo": {"architecture": "arm64"}}}
    ]}"#;
    assert_eq!(read_nodes("n.json", json).unwrap()[0].status.node_info.architecture, "arm64");
    let typed = "kind: NodeList\nitems:\n- metadata: {name: n1}\n- metadata: {name: n2}\n";
    assert_eq!(read_nodes("n.yaml", typed).unwrap().len(), 2);
    let error = read_nodes("n.json", "{}").unwrap_err();
    assert_eq!(error.to_string(), "n.json is not a list of nodes; save one with: kubectl get nodes -o json");
}

#[test]
fn unread_objects_that_name_images_are_listed() {
    let text = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: ok}
spec: {template: {spec: {containers: [{name: c, image: 'a:1'}]}}}
---
apiVersion: tekton.dev/v1
kind: Task
metadata: {name: t}
spec: {steps: [{name: s, image: $(params.image)}]}
---
image: {repository: a, tag: 1}
";
    let manifest = read("m.yaml", text).unwrap();
    assert_eq!(manifest.unread, ["Task/t", "document 3"]);
    assert_eq!(manifest.workloads.len(), 1);
}

#[test]
fn a_manifest_in_a_config_map_is_read_and_noted() {
    let text = "
apiVersion: v1
kind: ConfigMap
metadata: {name: m}
data:
  pod.yaml: |
    kind: Pod
    metadata: {name: p}
    spec: {containers: [{name: c, image: 'in:1'}]}
  inject.tpl: |
    kind: Pod
    {{ if x }}
    image: {{ .image }}
  note: an image of some kind
";
    check(text, &[("configmap/m, pod.yaml: pod/p", &["in:1"])]);
    let notes = read("m.yaml", text).unwrap().notes;
    assert_eq!(
        notes,
        [
            "ConfigMap/m names images in inject.tpl that imgarch does not read",
            "ConfigMap/m contains a manifest in pod.yaml; its images are scanned"
        ]
    );
}

#[test]
fn the_last_of_equal_keys_is_used_as_by_kubectl() {
    check(
        "kind: Pod\nmetadata: {name: d}\nspec:\n  containers: [{name: c, image: 'a:1'}]\n  containers: [{name: c, image: 'b:1'}]",
        &[("pod/d", &["b:1"])],
    );
}

/// The expected values are those of `docker compose -f a.yaml -f b.yaml config` of Docker Compose 2.26.
#[test]
fn later_compose_files_override_earlier_ones() {
    let first = "name: shop
services:
  app:
    image: app:1
    build: src
    platform: linux/amd64
    command: [serve]
    entrypoint: /entry --all
    environment: {A: 1, B: 2}
    profiles: [one]
    volumes: ['.:/code', 'data:/data']
  base: {image: 'base:1'}
  old: {image: 'old:1'}
volumes: {data: {}, own: {}}
";
    let second = "services:
  app:
    image: app:2
    build: {args: {V: 1}, platforms: [linux/arm64]}
    platform: linux/arm64
    command: run it
    environment: [B=3, C=4]
    profiles: [two]
    volumes: ['own:/code']
  base: {environment: {A: 1}}
  old: !reset null
  new: {extends: app, image: 'new:1'}
";
    let nothing = |_: &std::path::Path| Err("not there".to_string());
    let outside =
        ComposeSurroundings { variable: &|_| None, directory: "p".into(), directory_name: "p".into(), read: &nothing };
    let mut file = parse("a.yaml", first).unwrap();
    assert!(file.is_compose());
    file.override_with(parse("b.yaml", second).unwrap());
    let manifest = file.read(&outside).unwrap();
    let images: Vec<(&str, &str)> =
        manifest.workloads.iter().map(|one| (one.name.as_str(), one.containers[0].image.as_str())).collect();
    assert_eq!(images, [("app", "app:2"), ("base", "base:1"), ("new", "new:1")]);
    let app = &manifest.workloads[0].containers[0];
    let words = |words: &[&str]| Some(words.iter().map(|word| word.to_string()).collect::<Vec<_>>());
    assert_eq!((&app.call.entrypoint, &app.call.args), (&words(&["/entry", "--all"]), &words(&["run", "it"])));
    assert_eq!(app.platform.as_ref().unwrap().to_string(), "linux/arm64");
    let env: Vec<String> =
        app.call.env.iter().map(|(name, value)| format!("{name}={}", value.as_deref().unwrap())).collect();
    assert_eq!(env, ["A=1", "B=3", "C=4"]);
    assert_eq!(app.call.mounts, Vec::<String>::new());
    // `extends` refers to the service of the same file.
    assert_eq!(manifest.workloads[2].containers[0].call.entrypoint, None);
    let note = "service/app starts only with the profile one or two".to_string();
    assert!(manifest.notes.contains(&note), "{:?}", manifest.notes);
    let build = &manifest.builds[0];
    assert_eq!((build.context.as_str(), build.args.as_slice()), ("p/src", ["V=1".to_string()].as_slice()));
    assert_eq!(build.platforms, ["linux/arm64"]);
    assert_eq!(manifest.builds[1].context, "p/.");
}
