//! The binary as a plugin of docker and kubectl, started by these clients themselves, and the manifest with which krew
//! installs it.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::kit::machine::{Need, PATH, has};

const MESSAGE: &str = "exec /usr/local/bin/app: exec format error";

/// A directory that contains the binary under the name `name`.
fn named(directory: &Path, name: &str) {
    std::fs::create_dir_all(directory).unwrap();
    symlink(env!("CARGO_BIN_EXE_imgarch"), directory.join(name)).unwrap();
}

fn succeeds(command: &mut Command) -> String {
    let output: Output = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {stderr}");
    String::from_utf8(output.stdout).unwrap()
}

fn first_cause(json: &str) -> String {
    let answers: Value = serde_json::from_str(json).unwrap();
    answers["answers"][0]["cause"]["code"].as_str().unwrap().to_string()
}

#[test]
fn docker_starts_it_as_its_plugin() {
    if !has("plugin", &[Need::DockerClient]) {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    named(&home.path().join("cli-plugins"), "docker-imgarch");
    let docker = |words: &[&str]| {
        let mut command = Command::new("docker");
        command
            .args(words)
            .env("PATH", PATH)
            .env("DOCKER_CONFIG", home.path())
            .env("DOCKER_HOST", "unix:///nonexistent");
        command
    };
    let answer = succeeds(&mut docker(&["imgarch", "diagnose", "--no-config", "--format", "json", MESSAGE]));
    assert_eq!(first_cause(&answer), "foreign-architecture");
    let listed = succeeds(&mut docker(&["--help"]));
    assert!(listed.lines().any(|line| line.contains("imgarch*") && line.contains("exec format errors")), "{listed}");
    let help = succeeds(&mut docker(&["imgarch", "diagnose", "--help"]));
    assert!(help.contains("Usage: docker imgarch diagnose"), "{help}");
    let wrong = docker(&["imgarch", "diagnose", "--no-such-flag"]).output().unwrap();
    assert_eq!(wrong.status.code(), Some(2));
}

#[test]
fn kubectl_starts_it_as_its_plugin() {
    if !has("plugin", &[Need::Kubectl]) {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    named(&home.path().join("bin"), "kubectl-imgarch");
    let path = format!("{}:{PATH}", home.path().join("bin").display());
    let kubectl = |words: &[&str]| {
        let mut command = Command::new("kubectl");
        command.args(words).env("PATH", &path).env("HOME", home.path()).env_remove("KUBECONFIG");
        command
    };
    let answer = succeeds(&mut kubectl(&["imgarch", "diagnose", "--no-config", "--format", "json", MESSAGE]));
    assert_eq!(first_cause(&answer), "foreign-architecture");
    let listed = succeeds(&mut kubectl(&["plugin", "list"]));
    assert!(listed.contains("kubectl-imgarch"), "{listed}");
    let help = succeeds(&mut kubectl(&["imgarch", "diagnose", "--help"]));
    assert!(help.contains("Usage: kubectl imgarch diagnose"), "{help}");
    let wrong = kubectl(&["imgarch", "diagnose", "--no-such-flag"]).output().unwrap();
    assert_eq!(wrong.status.code(), Some(2));
}

/// The requirements of krew's validation, and the archives of a release. Source: `krew-index/pkg/index/validation`.
#[test]
fn the_krew_manifest_names_the_releases_archives() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let template = std::fs::read_to_string(root.join("deploy/krew/imgarch.yaml")).unwrap();
    let release = std::fs::read_to_string(root.join(".github/workflows/release.yml")).unwrap();
    for field in ["apiVersion: krew.googlecontainertools.github.com/v1alpha2", "kind: Plugin", "  name: imgarch"] {
        assert!(template.lines().any(|line| line == field), "{field}");
    }
    let described = template.lines().find_map(|line| line.trim().strip_prefix("shortDescription: ")).unwrap();
    assert!(described.len() <= 80 && !described.ends_with('.'), "{described}");
    let archives: Vec<&str> = template.split(['/', '"']).filter(|word| word.ends_with(".tar.gz")).collect();
    assert_eq!(archives.len(), template.matches("- selector:").count());
    assert_eq!(archives.len(), template.matches("      bin: imgarch\n").count());
    for archive in archives {
        let triple = archive.strip_prefix("imgarch-").and_then(|name| name.strip_suffix(".tar.gz")).unwrap();
        assert!(release.contains(triple), "the release workflow does not build {triple}");
    }
}
