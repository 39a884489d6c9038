//! `imgarch cluster` and `imgarch scan -f`: images with the commands that manifests give them, on the nodes that they
//! may run on.

use std::process::{Command, Output};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use imgarch::oci::Digest;
use serde_json::{Value, json};

use super::diagnose::{healthy, imgarch, incident, publish, tar, text};
use super::lists::kubeconfig;
use crate::kit::distribution::{Distribution, Mode, PASSWORD, USER};
use crate::kit::elf::ElfBuilder;
use crate::kit::kube_api::{KubeApi, State};
use crate::kit::registry::FakeRegistry;

fn report(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(output)))
}

/// The incident's cluster with an empty list for every other kind of workload.
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
fn every_image_is_judged_once_on_the_nodes_that_run_it() {
    let registry = FakeRegistry::start();
    let digest = publish(&registry, &ElfBuilder::amd64().build());
    let api = KubeApi::start(whole(&registry, &digest));
    let output = imgarch(&api, &["cluster", "--insecure", "--format", "json"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    let report = report(&output);
    let images = report["images"].as_array().unwrap();
    assert_eq!(images.len(), 1, "the tag of the template is the digest that runs: {report:#}");
    let image = images[0].to_string();
    for part in
        ["used by shop/deployment/checkout, container app", "entrypoint-wrong-arch", "m7g.large", &digest.to_string()]
    {
        assert!(image.contains(part), "{image} does not contain {part}");
    }
    let roots = registry.asked().into_iter().filter(|asked| asked.contains("/manifests/v1")).count();
    assert!(roots <= 2, "the tag was requested {roots} times: {:?}", registry.asked());
}

#[test]
fn the_json_of_a_cluster_matches_its_schema() {
    let registry = FakeRegistry::start();
    let digest = publish(&registry, &ElfBuilder::amd64().build());
    let api = KubeApi::start(State { forbidden: vec!["/apis/batch/v1/jobs".to_string()], ..whole(&registry, &digest) });
    let report = report(&imgarch(&api, &["cluster", "--insecure", "--format", "json"]));
    let schema = Command::new(env!("CARGO_BIN_EXE_imgarch")).arg("schema").output().unwrap().stdout;
    let validator = jsonschema::validator_for(&serde_json::from_slice(&schema).unwrap()).unwrap();
    let wrong: Vec<String> = validator.iter_errors(&report).map(|error| error.to_string()).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
    let cluster = &report["cluster"];
    assert_eq!((&cluster["nodes"], &cluster["pods"], &cluster["workloads"]), (&json!(4), &json!(4), &json!(1)));
    assert_eq!(cluster["images"], json!({"all": 1, "healthy": 0, "troubled": 1, "unknown": 0}));
    let trouble = &cluster["troubles"][0];
    assert_eq!((&trouble["when"], &trouble["failing"][0]["failing"]), (&json!("now"), &json!(3)));
    assert_eq!(trouble["shown"], "exec /usr/local/bin/app: exec format error");
    let nodes: Vec<&Value> = trouble["on"].as_array().unwrap().iter().map(|place| &place["nodes"]).collect();
    assert_eq!(nodes.len(), 3, "three engines are three groups: {trouble:#}");
    assert!(cluster["unread"][0].as_str().unwrap().starts_with("jobs were not read"), "{cluster:#}");
}

#[test]
fn the_summary_fits_eighty_columns_and_shows_the_next_step() {
    let registry = FakeRegistry::start();
    let digest = publish(&registry, &ElfBuilder::amd64().build());
    let api = KubeApi::start(whole(&registry, &digest));
    let printed = text(&imgarch(&api, &["cluster", "--insecure"]));
    for part in [
        "FAILS NOW  shop/deployment/checkout, container app: 3 of 4 pods, CrashLoopBackOff",
        "exec /usr/local/bin/app: exec format error",
        "imgarch diagnose deployment/checkout -n shop",
        "0 of 1 image can start on all eligible nodes; 1 cannot   exit 1",
    ] {
        assert!(printed.contains(part), "missing {part}:\n{printed}");
    }
}

#[test]
fn a_healthy_cluster_is_reported_as_healthy() {
    let registry = FakeRegistry::start();
    let digest = publish(&registry, &ElfBuilder::arm64().build());
    let mut state = whole(&registry, &digest);
    state
        .objects
        .insert("/api/v1/pods".to_string(), vec![healthy("good", "amd-1", &format!("{}/user/app:v1", registry.host))]);
    let output = imgarch(&KubeApi::start(state), &["cluster", "--insecure"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert!(text(&output).contains("1 of 1 image can start on all eligible nodes   exit 0"), "{}", text(&output));
}

#[test]
fn a_namespace_and_a_selector_narrow_a_cluster() {
    let registry = FakeRegistry::start();
    let digest = publish(&registry, &ElfBuilder::amd64().build());
    let api = KubeApi::start(whole(&registry, &digest));
    for (arguments, code) in
        [(["-n", "shop"], 1), (["-n", "bank"], 3), (["-l", "app=checkout"], 1), (["-l", "app=other"], 3)]
    {
        let output = imgarch(&api, &[&["cluster", "--insecure"], &arguments[..]].concat());
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", text(&output));
    }
}

#[test]
fn a_second_run_reads_no_layer_again() {
    let registry = FakeRegistry::start();
    let digest = publish(&registry, &ElfBuilder::amd64().build());
    let api = KubeApi::start(whole(&registry, &digest));
    let directory = tempfile::tempdir().unwrap();
    let (_kept, config) = kubeconfig(&api.url);
    let blobs = || registry.asked().into_iter().filter(|asked| asked.contains("/blobs/")).count();
    let mut counts = Vec::new();
    for _ in 0..2 {
        let output = Command::new(env!("CARGO_BIN_EXE_imgarch"))
            .args(["cluster", "--insecure", "--kubeconfig"])
            .arg(&config)
            .env("XDG_CACHE_HOME", directory.path())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1), "{}", text(&output));
        counts.push(blobs());
    }
    let (first, second) = (counts[0], counts[1] - counts[0]);
    assert!(second < first, "{first} blobs, then {second}: only the configs are requested again");
}

#[test]
fn results_of_a_cluster_are_stored_by_shard_and_merged() {
    let registry = FakeRegistry::start();
    let digest = publish(&registry, &ElfBuilder::amd64().build());
    let api = KubeApi::start(State { forbidden: vec!["/apis/batch/v1/jobs".to_string()], ..whole(&registry, &digest) });
    let place = tempfile::tempdir().unwrap();
    let place = place.path().to_str().unwrap();
    let mut codes = Vec::new();
    for shard in ["1/2", "2/2"] {
        let args = ["cluster", "--insecure", "--results", place, "--shard", shard, "--format", "json"];
        let output = imgarch(&api, &args);
        // The failing pods have one image, and so belong to one shard.
        codes.push((report(&output)["cluster"]["troubles"].as_array().unwrap().len(), output.status.code()));
        assert_eq!(report(&output)["cluster"]["others"], json!([]), "{}", text(&output));
    }
    codes.sort();
    assert_eq!(codes, [(0, Some(3)), (1, Some(1))]);
    let output =
        Command::new(env!("CARGO_BIN_EXE_imgarch")).args(["merge", place, "--format", "plain"]).output().unwrap();
    let printed = text(&output);
    assert!(printed.contains("entrypoint-wrong-arch") && printed.contains("jobs were not read"), "{printed}");
    assert_eq!(output.status.code(), Some(1));
}

/// A cluster whose deployment pulls from `host`, with a secret of its service account.
fn private(host: &str, secret: Value) -> State {
    let deployment = json!({
        "metadata": {"name": "checkout", "namespace": "shop"},
        "spec": {"template": {"spec": {
            "serviceAccountName": "puller", "containers": [{"name": "app", "image": format!("{host}/team/app:1")}]
        }}}
    });
    let account = json!({
        "metadata": {"name": "puller", "namespace": "shop"}, "imagePullSecrets": [{"name": "registry"}]
    });
    let lists = [
        "/api/v1/pods",
        "/apis/apps/v1/statefulsets",
        "/apis/apps/v1/daemonsets",
        "/apis/batch/v1/cronjobs",
        "/apis/batch/v1/jobs",
    ];
    let mut state = State::default();
    state.objects.extend(lists.map(|list| (list.to_string(), Vec::new())));
    state.objects.insert("/api/v1/nodes".to_string(), vec![node("x", "amd64")]);
    state.objects.insert("/apis/apps/v1/deployments".to_string(), vec![deployment]);
    state.objects.insert("/api/v1/serviceaccounts".to_string(), vec![account]);
    let secret = json!({"metadata": {"name": "registry", "namespace": "shop"}, "data": secret});
    state.objects.insert("/api/v1/secrets".to_string(), vec![secret]);
    state
}

fn login(host: &str, user: &str, password: &str) -> Value {
    json!({host: {"auth": BASE64.encode(format!("{user}:{password}"))}})
}

/// Checks that the image cannot be read without the secret, and can with it.
fn check_pull_secret(host: &str, secret: Value) {
    let api = KubeApi::start(private(host, secret));
    let problems = |arguments: &[&str]| {
        let output = imgarch(&api, &[&["cluster", "--insecure", "--format", "json"], arguments].concat());
        report(&output)["images"][0]["problems"].as_array().unwrap().clone()
    };
    assert_ne!(problems(&[]), [] as [Value; 0], "the registry requires a login");
    assert_eq!(problems(&["--pull-secrets"]), [] as [Value; 0]);
}

#[test]
fn a_service_accounts_pull_secret_gives_access_to_a_private_registry() {
    let registry = FakeRegistry::start();
    registry.put_image("team/app", "1", &tar(&[("app", 0o755, &ElfBuilder::amd64().build())]));
    registry.require_basic("robot", "s3cret");
    let auths = json!({"auths": login(&registry.host, "robot", "s3cret")}).to_string();
    check_pull_secret(&registry.host, json!({".dockerconfigjson": BASE64.encode(auths)}));
    let old = login(&registry.host, "robot", "s3cret").to_string();
    check_pull_secret(&registry.host, json!({".dockercfg": BASE64.encode(old)}));
}

#[test]
fn a_pull_secret_gives_access_to_a_real_registry() {
    let Some(server) = Distribution::start("a real registry", Mode::Htpasswd) else { return };
    server.put_image("team/app", "1", &tar(&[("app", 0o755, &ElfBuilder::amd64().build())]));
    let auths = json!({"auths": login(&server.host, USER, PASSWORD)}).to_string();
    check_pull_secret(&server.host, json!({".dockerconfigjson": BASE64.encode(auths)}));
}

#[test]
fn secrets_are_only_requested_if_allowed() {
    let registry = FakeRegistry::start();
    let api =
        KubeApi::start(State { forbidden: vec!["/api/v1/secrets".to_string()], ..private(&registry.host, json!({})) });
    imgarch(&api, &["cluster", "--insecure"]);
    assert!(!api.seen().iter().any(|seen| seen.path.contains("secrets") || seen.path.contains("serviceaccounts")));
    let printed = text(&imgarch(&api, &["cluster", "--insecure", "--pull-secrets"]));
    assert!(printed.contains("UNREAD  pull secret shop/registry:"), "{printed}");
}

#[test]
fn forbidden_lists_make_a_cluster_unknown_and_not_fine() {
    let registry = FakeRegistry::start();
    let digest = publish(&registry, &ElfBuilder::arm64().build());
    let api = KubeApi::start(State { forbidden: vec!["/apis/batch/v1/jobs".to_string()], ..whole(&registry, &digest) });
    let output = imgarch(&api, &["cluster", "--insecure"]);
    assert_eq!(output.status.code(), Some(3), "{}", text(&output));
    assert!(text(&output).contains("UNREAD  jobs were not read"), "{}", text(&output));
}

/// Scans a manifest with saved nodes.
fn scan(registry: &FakeRegistry, pod: Value, nodes: &[Value]) -> Output {
    let directory = tempfile::tempdir().unwrap();
    let (manifest, saved) = (directory.path().join("pod.yaml"), directory.path().join("nodes.json"));
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
fn a_manifest_is_judged_on_the_nodes_that_its_selector_matches() {
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
