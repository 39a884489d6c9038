//! `imgarch scan -f`: manifests and Compose files without nodes, with real registries and directories.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use super::diagnose::{publish, text};
use crate::kit::elf::ElfBuilder;
use crate::kit::registry::FakeRegistry;

fn scan(directory: &Path, manifest: &str) -> Output {
    fs::write(directory.join("m.yaml"), manifest).unwrap();
    Command::new(env!("CARGO_BIN_EXE_imgarch"))
        .args(["scan", "--insecure", "--no-cache", "--no-config", "--format", "json", "-f", "m.yaml"])
        .current_dir(directory)
        .env_remove("TAG")
        .output()
        .unwrap()
}

#[track_caller]
fn check(directory: &Path, manifest: &str, code: i32, part: &str) {
    let output = scan(directory, manifest);
    assert_eq!(output.status.code(), Some(code), "{manifest}\n{}", text(&output));
    assert!(text(&output).contains(part), "{manifest}\nmissing {part}: {}", text(&output));
}

#[test]
fn a_pods_own_constraints_choose_the_platforms() {
    let registry = FakeRegistry::start();
    // Its arm64 image contains an x86-64 program.
    publish(&registry, &ElfBuilder::amd64().build());
    let directory = tempfile::tempdir().unwrap();
    let pod = |constraint: &str| {
        let image = format!("{}/user/app:v1", registry.host);
        format!("kind: Pod\nmetadata: {{name: p}}\nspec: {{containers: [{{name: c, image: '{image}'}}]{constraint}}}\n")
    };
    let affinity = |operator: &str| {
        format!(
            ", affinity: {{nodeAffinity: {{requiredDuringSchedulingIgnoredDuringExecution: {{nodeSelectorTerms: \
             [{{matchExpressions: [{{key: kubernetes.io/arch, operator: {operator}, values: [arm64]}}]}}]}}}}}}"
        )
    };
    check(directory.path(), &pod(""), 1, "linux/arm64");
    check(directory.path(), &pod(", nodeSelector: {kubernetes.io/arch: amd64}"), 0, "linux/amd64");
    check(directory.path(), &pod(", nodeSelector: {kubernetes.io/arch: arm64}"), 1, "linux/arm64");
    check(directory.path(), &pod(", nodeSelector: {kubernetes.io/arch: s390x}"), 1, "no-platform-for-target");
    check(directory.path(), &pod(&affinity("In")), 1, "linux/arm64");
    check(directory.path(), &pod(&affinity("NotIn")), 0, "linux/amd64");
    let service = |platform: &str| {
        let image = format!("{}/user/app:v1", registry.host);
        format!("services: {{a: {{image: '{image}', platform: {platform}}}}}")
    };
    check(directory.path(), &service("linux/amd64"), 0, "service/a");
    check(directory.path(), &service("linux/arm64"), 1, "service/a");
    check(directory.path(), &service("linux/riscv64"), 1, "no-platform-for-target");
}

/// A directory with a program that only root may execute, and one for all users.
fn tree(directory: &Path) {
    let root = directory.join("root");
    fs::create_dir_all(root.join("bin")).unwrap();
    for (name, mode) in [("own", 0o700), ("all", 0o755)] {
        let path = root.join("bin").join(name);
        fs::write(&path, ElfBuilder::amd64().build()).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }
}

#[test]
fn a_pods_spec_reaches_the_call() {
    let directory = tempfile::tempdir().unwrap();
    tree(directory.path());
    let pod = |program: &str, rest: &str| {
        let container = format!("name: c, image: 'rootfs:root', command: [{program}]{rest}");
        format!("kind: Pod\nmetadata: {{name: p}}\nspec: {{containers: [{{{container}}}]}}\n")
    };
    let user = ", securityContext: {runAsUser: 54321}";
    let restricted = ", securityContext: {runAsUser: 54321, capabilities: {drop: [ALL]}}";
    let foreign = "may not be executed by this user";
    check(directory.path(), &pod("/bin/all", ""), 0, "pod/p, container c");
    check(directory.path(), &pod("/bin/all", restricted), 0, "pod/p");
    // runc starts it with CAP_DAC_OVERRIDE, which pods have unless they drop it.
    check(directory.path(), &pod("/bin/own", user), 0, foreign);
    check(directory.path(), &pod("/bin/own", restricted), 1, foreign);
    check(directory.path(), &pod("$(DIR)/all", ", env: [{name: DIR, value: /bin}]"), 0, "pod/p");
    check(directory.path(), &pod("/bin/none", ""), 1, "command [");
    // The content of a mount is unknown.
    check(directory.path(), &pod("/mnt/x", ", volumeMounts: [{name: v, mountPath: /mnt}]"), 3, "which was not read");
    let over = ", volumeMounts: [{name: v, mountPath: /bin/all}]";
    check(directory.path(), &pod("/bin/all", over), 3, "which was not read");
    let non_root = ", securityContext: {runAsNonRoot: true}";
    check(directory.path(), &pod("/bin/all", non_root), 1, "container has runAsNonRoot and image will run as root");
    check(directory.path(), &pod("/bin/all", non_root), 1, "/bin/all cannot start: the pod sets runAsNonRoot");
    let numbered = ", securityContext: {runAsNonRoot: true, runAsUser: 54321}";
    check(directory.path(), &pod("/bin/all", numbered), 0, "pod/p");
    // A variable from an object outside the manifest is unknown, not absent.
    let from = ", envFrom: [{configMapRef: {name: settings}}]";
    check(directory.path(), &pod("$(DIR)/all", from), 3, "contains an unknown value");
    let settings = |dir: &str| format!("---\nkind: ConfigMap\nmetadata: {{name: settings}}\ndata: {{DIR: {dir}}}\n");
    check(directory.path(), &format!("{}{}", pod("$(DIR)/all", from), settings("/bin")), 0, "pod/p");
    check(directory.path(), &format!("{}{}", pod("$(DIR)/all", from), settings("/none")), 1, "/none/all");
}

#[test]
fn an_image_name_that_cannot_be_read_is_not_a_pass() {
    let directory = tempfile::tempdir().unwrap();
    tree(directory.path());
    let healthy =
        "kind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: c, image: 'rootfs:root', command: [/bin/all]}]}\n";
    let task =
        "---\napiVersion: tekton.dev/v1\nkind: Task\nmetadata: {name: t}\nspec: {steps: [{image: $(params.x)}]}\n";
    let manifest = format!("{healthy}{task}");
    check(directory.path(), &manifest, 3, "1 object names images that imgarch does not read: Task/t");
    let report: Value = serde_json::from_slice(&scan(directory.path(), &manifest).stdout).unwrap();
    assert_eq!(report["images"].as_array().unwrap().len(), 2);
}

#[test]
fn an_image_that_is_only_mentioned_may_be_unreadable() {
    let registry = FakeRegistry::start();
    publish(&registry, &ElfBuilder::amd64().build());
    let directory = tempfile::tempdir().unwrap();
    tree(directory.path());
    let pod = |name: &str, image: &str| {
        let env = format!("env: [{{name: {name}, value: '{}/{image}'}}]", registry.host);
        let container = format!("name: c, image: 'rootfs:root', command: [/bin/all], {env}");
        format!("kind: Pod\nmetadata: {{name: p}}\nspec: {{containers: [{{{container}}}]}}\n")
    };
    let note = "pod/p, field env TOOL_IMAGE is not judged, because it cannot be read: ";
    check(directory.path(), &pod("TOOL_IMAGE", "user/absent:v1"), 0, note);
    // An operator starts it.
    check(directory.path(), &pod("RELATED_IMAGE_TOOL", "user/absent:v1"), 3, "user/absent:v1");
    // Its arm64 image contains an x86-64 program.
    check(directory.path(), &pod("TOOL_IMAGE", "user/app:v1"), 1, "entrypoint-wrong-arch");
    let secret = "---\nkind: Secret\nmetadata: {name: s}\ndata: {K: DATA}\n";
    let image = format!("{}/user/app:v1", registry.host);
    let encoded = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, image);
    let from = pod("TOOL_IMAGE", "x").replace("value:", "valueFrom: {secretKeyRef: {name: s, key: K}}, x:");
    check(directory.path(), &from, 3, "1 object names images that imgarch does not read: Pod/p");
    check(directory.path(), &format!("{from}{}", secret.replace("DATA", &encoded)), 1, "env TOOL_IMAGE");
}

#[test]
fn several_compose_files_make_one_project() {
    let directory = tempfile::tempdir().unwrap();
    tree(directory.path());
    for (name, text) in [
        ("a.yaml", "services: {a: {image: 'rootfs:absent', entrypoint: [/bin/none]}}"),
        ("b.yaml", "services: {a: {image: 'rootfs:root'}}"),
        ("c.yaml", "services: {a: {entrypoint: [/bin/all]}}"),
        ("pod.yaml", "kind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: c, image: 'rootfs:root'}]}"),
    ] {
        fs::write(directory.path().join(name), text).unwrap();
    }
    let scan = |files: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_imgarch"));
        command.args(["scan", "--no-cache", "--no-config"]).current_dir(directory.path());
        let output = command.args(files.iter().flat_map(|file| ["-f", file])).output().unwrap();
        (output.status.code(), text(&output))
    };
    assert_eq!(scan(&["a.yaml"]).0, Some(3));
    assert_eq!(scan(&["a.yaml", "b.yaml"]).0, Some(1));
    let whole = scan(&["a.yaml", "b.yaml", "c.yaml"]);
    assert_eq!(whole.0, Some(0), "{}", whole.1);
    // An object is not part of the project. Its image names no program.
    let with_pod = scan(&["a.yaml", "b.yaml", "pod.yaml", "c.yaml"]);
    assert!(with_pod.0 == Some(1) && with_pod.1.contains("pod/p"), "{}", with_pod.1);
    // Alone, an override is not a project.
    assert_eq!(scan(&["c.yaml"]).0, Some(3));
}

#[test]
fn a_compose_file_is_read_with_the_files_around_it() {
    let directory = tempfile::tempdir().unwrap();
    tree(directory.path());
    fs::write(directory.path().join(".env"), "DIR=bin\n").unwrap();
    fs::write(directory.path().join("base.yaml"), "services: {b: {image: 'rootfs:root', entrypoint: ['/${DIR}/all']}}")
        .unwrap();
    let main = "services: {a: {extends: {file: base.yaml, service: b}, environment: {X: '${TAG}'}}}";
    check(directory.path(), main, 0, "variable TAG is not set");
    let user = "services: {a: {extends: {file: base.yaml, service: b}, entrypoint: [/bin/own], user: '54321', cap_drop: [ALL]}}";
    check(directory.path(), user, 1, "may not be executed by this user");
}
