//! A real kube-apiserver with etcd behind it, where `IMGARCH_KUBE_APISERVER` and `IMGARCH_ETCD` name their programs. Nodes,
//! pods and their statuses are written as kubelets and controllers would.

use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::kit::elf::ElfBuilder;
use crate::kit::machine::{self, Need};
use crate::kit::registry::FakeRegistry;
use crate::kit::small::{Small, imgarch};

/// More pods than one page of a list.
const PODS: usize = 520;

struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct Server {
    directory: tempfile::TempDir,
    url: String,
    _etcd: Process,
    _apiserver: Process,
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn program(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_file())
}

impl Server {
    /// `None`: the variables name no programs, and the test is skipped.
    fn start() -> Option<Server> {
        const VARIABLES: [&str; 2] = ["IMGARCH_KUBE_APISERVER", "IMGARCH_ETCD"];
        let [Some(apiserver), Some(etcd)] = VARIABLES.map(program) else {
            machine::skip_for_good("kube::real", &format!("{} do not name programs", VARIABLES.join(" and ")));
            return None;
        };
        if !machine::has("kube::real", &[Need::Kubectl, Need::Openssl]) {
            return None;
        }
        let directory = tempfile::tempdir().unwrap();
        let run = |words: &str| {
            let output = Command::new("openssl").args(words.split(' ')).current_dir(directory.path()).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        };
        run("genrsa -out sa.key 2048");
        run("rsa -in sa.key -pubout -out sa.pub");
        let tokens = "admin,admin,1,\"system:masters\"\nreader,reader,2,\"\"\nstranger,stranger,3,\"\"\n";
        std::fs::write(directory.path().join("tokens.csv"), tokens).unwrap();
        let spawn = |program: &Path, arguments: &[String]| {
            let log = std::fs::File::create(directory.path().join(program.file_name().unwrap()).with_extension("log"));
            let mut command = Command::new(program);
            command.args(arguments).current_dir(directory.path()).stdout(Stdio::null()).stderr(log.unwrap());
            Process(command.spawn().unwrap())
        };
        let (client, peer, port) = (free_port(), free_port(), free_port());
        let of = |name: &str, value: String| format!("--{name}={value}");
        let local = |port: u16| format!("http://127.0.0.1:{port}");
        let etcd = spawn(
            &etcd,
            &[
                of("data-dir", "etcd".into()),
                of("listen-client-urls", local(client)),
                of("advertise-client-urls", local(client)),
                of("listen-peer-urls", local(peer)),
            ],
        );
        let apiserver = spawn(
            &apiserver,
            &[
                of("etcd-servers", local(client)),
                of("bind-address", "127.0.0.1".into()),
                of("secure-port", port.to_string()),
                of("cert-dir", "certificates".into()),
                of("service-account-issuer", "https://kubernetes.default.svc".into()),
                of("service-account-key-file", "sa.pub".into()),
                of("service-account-signing-key-file", "sa.key".into()),
                of("token-auth-file", "tokens.csv".into()),
                of("authorization-mode", "RBAC".into()),
                of("disable-admission-plugins", "ServiceAccount".into()),
                of("endpoint-reconciler-type", "none".into()),
                of("service-cluster-ip-range", "10.0.0.0/24".into()),
            ],
        );
        let url = format!("https://127.0.0.1:{port}");
        let server = Server { directory, url, _etcd: etcd, _apiserver: apiserver };
        for user in ["admin", "reader", "stranger"] {
            server.write_config(user);
        }
        let started = Instant::now();
        while !server.kubectl(&["get", "--raw", "/readyz"], "").status.success() {
            assert!(started.elapsed() < Duration::from_secs(120), "the API server does not get ready");
            std::thread::sleep(Duration::from_millis(500));
        }
        Some(server)
    }

    fn write_config(&self, user: &str) {
        let text = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "here",
            "clusters": [{"name": "c", "cluster": {"server": self.url, "insecure-skip-tls-verify": true}}],
            "users": [{"name": "u", "user": {"token": user}}],
            "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u", "namespace": "shop"}}]
        });
        std::fs::write(self.directory.path().join(user), text.to_string()).unwrap();
    }

    /// As the administrator, with `input` on stdin.
    fn kubectl(&self, words: &[&str], input: &str) -> Output {
        let mut command = Command::new("kubectl");
        command.arg("--kubeconfig").arg(self.directory.path().join("admin")).args(words);
        command.env("HOME", self.directory.path()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    }

    fn succeeds(&self, words: &[&str], input: &str) -> String {
        let output = self.kubectl(words, input);
        assert!(output.status.success(), "kubectl {words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn create(&self, objects: &[Value]) {
        let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
        self.succeeds(&["create", "-f", "-"], &list.to_string());
    }

    /// stdout and stderr of the program, as `user`.
    fn imgarch(&self, user: &str, words: &[&str]) -> (String, String, i32) {
        let output = imgarch(self.directory.path(), words, &[("KUBECONFIG", user)]);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (text(&output.stdout), text(&output.stderr), output.status.code().unwrap())
    }

    fn set_status(&self, kind: &str, name: &str, status: Value) {
        let patch = json!({"status": status}).to_string();
        self.succeeds(&["patch", kind, name, "--subresource=status", "--type=merge", "-p", &patch], "");
    }
}

fn node(name: &str, arch: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Node",
        "metadata": {"name": name, "labels": {"kubernetes.io/arch": arch, "kubernetes.io/os": "linux"}}})
}

fn node_status(arch: &str) -> Value {
    json!({"nodeInfo": {"architecture": arch, "operatingSystem": "linux", "kernelVersion": "6.12.0", "osImage": "Debian",
        "containerRuntimeVersion": "containerd://2.1.4", "kubeletVersion": "v1.36.0", "kubeProxyVersion": "",
        "machineID": "", "systemUUID": "", "bootID": ""}})
}

fn pod(name: &str, owner: &str, spec: &Value) -> Value {
    let mut spec = spec.clone();
    spec["nodeName"] = json!("amd-1");
    json!({"apiVersion": "v1", "kind": "Pod", "spec": spec, "metadata": {"name": name, "namespace": "shop",
        "labels": {"app": owner, "pod-template-hash": "7c9d"}, "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet",
            "name": format!("{owner}-7c9d"), "uid": "00000000-0000-0000-0000-000000000000", "controller": true}]}})
}

fn deployment(name: &str, spec: &Value) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": "shop"},
        "spec": {"selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": spec}}})
}

fn crash(image: &str) -> Value {
    let refusal = "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create \
        failed: unable to start container process: error during container init: exec: \"tool\": exec format error";
    json!({"phase": "Running", "containerStatuses": [{
        "name": "app", "image": image, "imageID": "", "ready": false, "restartCount": 7,
        "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 5m0s restarting failed container"}},
        "lastState": {"terminated": {"exitCode": 128, "reason": "StartError", "message": refusal}}
    }]})
}

#[test]
fn a_real_api_server_is_read_page_by_page_and_a_config_maps_path_decides() {
    let Some(server) = Server::start() else { return };
    let registry = FakeRegistry::start();
    // PATH of the image leads to a healthy program, PATH of the ConfigMap to one for another architecture.
    let (amd64, arm64) = (ElfBuilder::amd64().build(), ElfBuilder::arm64().build());
    let small = Small::new("amd64", amd64.clone()).file("usr/bin/tool", 0o755, amd64).file("opt/tool", 0o755, arm64);
    registry.put_image("user/tool", "v1", &small.layer());
    let image = format!("{}/user/tool:v1", registry.host);
    let container =
        |from: Value| json!({"containers": [{"name": "app", "image": image, "command": ["tool"], "envFrom": from}]});
    let spec = container(json!([{"configMapRef": {"name": "settings"}}]));
    let good = container(json!([]));
    server.create(&[
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}),
        node("amd-1", "amd64"),
        node("amd-2", "amd64"),
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings", "namespace": "shop"},
            "data": {"PATH": "/opt", "WORD": "not-to-be-shown"}}),
        deployment("checkout", &spec),
        deployment("fine", &good),
    ]);
    for name in ["amd-1", "amd-2"] {
        server.set_status("node", name, node_status("amd64"));
    }
    let mut pods = vec![pod("checkout-7c9d-a", "checkout", &spec)];
    pods.extend((0..PODS).map(|number| pod(&format!("fine-7c9d-{number}"), "fine", &good)));
    server.create(&pods);
    server.set_status("pod", "checkout-7c9d-a", crash(&image));

    let reader =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/kube/rbac.yaml")).unwrap();
    let reader = reader
        .replace("- kind: ServiceAccount\n    name: imgarch\n    namespace: default", "- kind: User\n    name: reader");
    server.succeeds(&["apply", "-f", "-"], &reader);
    let (shown, errors, code) = server.imgarch("reader", &["diagnose", "deploy/checkout"]);
    assert_eq!(code, 0, "{errors}");
    assert!(shown.contains("/opt/tool") && shown.contains("for another architecture"), "{shown}");
    assert!(shown.contains("amd-1") && !shown.contains("amd-2"), "{shown}");

    let (shown, errors, code) = server.imgarch("reader", &["cluster"]);
    assert_eq!((code, errors.as_str()), (1, ""), "{shown}");
    assert!(shown.contains(&format!("{} pods, 2 workloads", PODS + 1)), "{shown}");
    assert!(shown.contains("/opt/tool") && !shown.contains("not-to-be-shown"), "{shown}");

    let (_, errors, code) = server.imgarch("stranger", &["diagnose", "--failing"]);
    assert_eq!(code, 3);
    assert!(errors.contains("cannot list resource \"pods\""), "{errors}");
}

#[test]
fn a_real_api_server_takes_what_deploy_has_and_its_policies_compare_verdicts() {
    let Some(server) = Server::start() else { return };
    let deploy = |path: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(path).display().to_string();
    // The strictest of the pod security standards.
    server.create(&[json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "imgarch", "labels": {
        "pod-security.kubernetes.io/enforce": "restricted", "pod-security.kubernetes.io/warn": "restricted"}}})]);
    let strict = ["apply", "--dry-run=server", "--validate=strict", "--namespace=imgarch"];
    for words in [["-k", &deploy("fleet")], ["-f", &deploy("fleet/merge.yaml")]] {
        let output = server.kubectl(&[&strict[..], &words[..]].concat(), "");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{words:?}");
    }
    server.succeeds(&["apply", "-f", &deploy("admission/validating-admission-policy.yaml")], "");
    let digest = |letter: &str| letter.repeat(64);
    let verdicts = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "imgarch-verdicts", "namespace": "imgarch"},
        "data": {format!("sha256.{}", digest("a")): "fine", format!("sha256.{}", digest("b")): "broken"}});
    let pod = |name: &str, image: &str| {
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "default"},
            "spec": {"containers": [{"name": "app", "image": image}]}})
        .to_string()
    };
    let pinned = |letter: &str| format!("r.example/app@sha256:{}", digest(letter));
    // Before the first verdicts, everything passes.
    server.succeeds(&["create", "-f", "-"], &pod("early", &pinned("b")));
    server.create(&[verdicts]);
    let started = Instant::now();
    let refusal = loop {
        let output = server.kubectl(&["create", "--dry-run=server", "-f", "-"], &pod("bad", &pinned("b")));
        if !output.status.success() {
            break String::from_utf8(output.stderr).unwrap();
        }
        assert!(started.elapsed() < Duration::from_secs(60), "the policy refuses nothing");
        std::thread::sleep(Duration::from_millis(500));
    };
    assert!(refusal.contains("imgarch: does not start on its nodes: r.example/app@sha256:bbbb"), "{refusal}");
    for image in [pinned("a"), pinned("c"), "r.example/app:v1".to_string()] {
        server.succeeds(&["create", "--dry-run=server", "-f", "-"], &pod("good", &image));
    }
    // A pod that runs already can be labelled and deleted, and takes no other broken image.
    server.succeeds(&["label", "pod", "early", "-n", "default", "seen=yes"], "");
    let patch =
        json!({"spec": {"ephemeralContainers": [{"name": "d", "image": pinned("b").replace("/app", "/tool")}]}})
            .to_string();
    let output = server
        .kubectl(&["patch", "pod", "early", "-n", "default", "--subresource=ephemeralcontainers", "-p", &patch], "");
    assert!(String::from_utf8_lossy(&output.stderr).contains("r.example/tool@"), "{output:?}");
    server.succeeds(&["delete", "pod", "early", "-n", "default", "--now", "--wait=false"], "");
}
