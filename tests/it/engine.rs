//! Images that a real Docker Engine builds and runs. If `docker run` refuses an image with `exec format error`,
//! `imgarch scan` must refuse it for the same reason.

use std::path::Path;

use crate::kit::engines;
use crate::kit::program;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::kit::elf::ElfBuilder;
use crate::kit::engines::{Engine, Store};
use serde_json::Value;

/// Builds an image whose only layer is `program`, declared for `platform`.
fn build(docker: &Engine, name: &str, platform: &str, program: &[u8]) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("app");
    fs::write(&path, program).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(directory.path().join("Dockerfile"), "FROM scratch\nCOPY app /app\nENTRYPOINT [\"/app\"]\n").unwrap();
    let directory = directory.path().display().to_string();
    docker.docker(&["buildx", "build", "--quiet", "--platform", platform, "--tag", name, &directory]);
}

/// Exit status and stderr of `docker run`.
fn run(docker: &Engine, name: &str, platform: &str) -> (i32, String) {
    let output = docker.try_docker(&["run", "--rm", "--network=none", "--platform", platform, name]);
    (output.status.code().unwrap(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// Exit code and report of `imgarch scan` of an image in the engine.
fn scan(docker: &Engine, name: &str) -> (i32, Value) {
    scan_with(&[("DOCKER_HOST", &docker.host())], name)
}

/// Scans with these variables, and without any other variable that selects an engine.
fn scan_with(variables: &[(&str, &str)], name: &str) -> (i32, Value) {
    let output = command(env!("CARGO_BIN_EXE_imgarch"), variables, name).output().unwrap();
    (output.status.code().unwrap(), serde_json::from_slice(&output.stdout).unwrap())
}

fn command(program: &str, variables: &[(&str, &str)], name: &str) -> Command {
    let mut command = Command::new(program);
    for name in ["DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH", "XDG_RUNTIME_DIR"] {
        command.env_remove(name);
    }
    command.env("DOCKER_CONFIG", "/nonexistent").envs(variables.iter().copied()).stdin(Stdio::null());
    command.args(["scan", "--offline", "--format", "json", &format!("docker-daemon:{name}")]);
    command
}

/// Disables the emulation handler of an architecture while it is alive, because `docker run` would emulate.
struct NoHandler(Option<PathBuf>);

impl NoHandler {
    fn of(qemu: &str) -> NoHandler {
        let path = PathBuf::from("/proc/sys/fs/binfmt_misc").join(format!("qemu-{qemu}"));
        let is_on = fs::read_to_string(&path).is_ok_and(|text| text.starts_with("enabled"));
        if is_on {
            fs::write(&path, "0").unwrap();
        }
        NoHandler(is_on.then_some(path))
    }
}

impl Drop for NoHandler {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            fs::write(path, "1").unwrap();
        }
    }
}

/// The first finding of the image's only platform.
fn first_finding(report: &Value) -> &Value {
    &report["images"][0]["platforms"][0]["findings"][0]
}

#[test]
fn scan_refuses_an_image_for_the_same_reason_as_docker_run() {
    let test = "scan_refuses_an_image_for_the_same_reason_as_docker_run";
    let Some(docker) = engines::docker(test, Store::Containerd) else { return };
    let _no_handler = NoHandler::of("aarch64");
    build(docker, "foreign:1", "linux/amd64", &ElfBuilder::arm64().build());
    let (status, complaint) = run(docker, "foreign:1", "linux/amd64");
    assert!(status != 0 && complaint.contains("exec /app: exec format error"), "{status}: {complaint}");

    let (code, report) = scan(docker, "foreign:1");
    assert_eq!(code, 1, "{report:#}");
    let finding = first_finding(&report);
    assert_eq!(finding["code"], "entrypoint-wrong-arch");
    assert!(finding["why"].as_str().unwrap().contains("exec format error"), "{finding:#}");
    assert_eq!(finding["path"], "/app");
    assert_eq!(report["images"][0]["platforms"][0]["targets"][0]["errno"], "ENOEXEC");
}

#[test]
fn an_x86_64_program_declared_arm64_is_refused_although_it_runs_here() {
    let test = "an_x86_64_program_declared_arm64_is_refused_although_it_runs_here";
    let Some(docker) = engines::docker(test, Store::Containerd) else { return };
    build(docker, "incident:1", "linux/arm64", &ElfBuilder::amd64().build());
    // A run proves nothing: this machine is not the declared node.
    assert_eq!(run(docker, "incident:1", "linux/arm64").0, 42);

    let (code, report) = scan(docker, "incident:1");
    assert_eq!(code, 1, "{report:#}");
    let finding = first_finding(&report);
    assert_eq!(finding["code"], "entrypoint-wrong-arch");
    assert!(finding["why"].as_str().unwrap().contains("exec format error"), "{finding:#}");
    assert!(finding["layer"]["step"].as_str().unwrap().contains("COPY app /app"), "{finding:#}");
}

#[test]
fn the_corrected_image_runs_and_is_fine() {
    let test = "the_corrected_image_runs_and_is_fine";
    let Some(docker) = engines::docker(test, Store::Containerd) else { return };
    build(docker, "corrected:1", "linux/amd64", &ElfBuilder::amd64().build());
    assert_eq!(run(docker, "corrected:1", "linux/amd64").0, 42);
    let (code, report) = scan(docker, "corrected:1");
    assert_eq!(code, 0, "{report:#}");
    assert_eq!(report["images"][0]["verdict"], "fine", "{report:#}");
}

#[test]
fn an_engine_with_tls_is_reached_by_client_certificate_and_by_context() {
    let test = "an_engine_with_tls_is_reached_by_client_certificate_and_by_context";
    let Some((docker, port)) = engines::docker_over_tls(test) else { return };
    build(docker, "far:1", "linux/amd64", &ElfBuilder::amd64().build());
    let (host, certs) = (format!("tcp://127.0.0.1:{port}"), docker.directory.join("certs").display().to_string());
    let verified = [("DOCKER_HOST", host.as_str()), ("DOCKER_TLS_VERIFY", "1"), ("DOCKER_CERT_PATH", &certs)];
    let (code, report) = scan_with(&verified, "far:1");
    assert_eq!(code, 0, "{report:#}");
    assert_eq!(report["images"][0]["origin"], format!("Docker Engine at {host}"));

    let endpoint = format!("host={host},ca={certs}/ca.pem,cert={certs}/cert.pem,key={certs}/key.pem");
    docker.docker(&["context", "create", "far", "--docker", &endpoint]);
    let config = docker.directory.join("client").display().to_string();
    assert_eq!(scan_with(&[("DOCKER_CONFIG", &config), ("DOCKER_CONTEXT", "far")], "far:1").0, 0);
    docker.docker(&["context", "use", "far"]);
    assert_eq!(scan_with(&[("DOCKER_CONFIG", &config)], "far:1").0, 0);

    // Without the client certificate, with the wrong authority, and without TLS.
    let stranger = tempfile::tempdir().unwrap();
    let directory = stranger.path().display().to_string();
    assert_eq!(scan_with(&[verified[0], verified[1], ("DOCKER_CERT_PATH", &directory)], "far:1").0, 3);
    fs::copy(docker.directory.join("certs/ca.pem"), stranger.path().join("ca.pem")).unwrap();
    assert_eq!(scan_with(&[verified[0], verified[1], ("DOCKER_CERT_PATH", &directory)], "far:1").0, 3);
    assert_eq!(scan_with(&verified[..1], "far:1").0, 3);
}

#[test]
fn a_socket_without_access_is_an_error_with_a_hint() {
    let test = "a_socket_without_access_is_an_error_with_a_hint";
    let Some(docker) = engines::docker(test, Store::Containerd) else { return };
    // The binary is copied to where every user may read it.
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let program = directory.path().join("imgarch");
    program::copy(Path::new(env!("CARGO_BIN_EXE_imgarch")), &program);
    let mut command = command(&program.display().to_string(), &[("DOCKER_HOST", &docker.host())], "any:1");
    let output = command.uid(65534).gid(65534).output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("refused access") && said.contains("usermod -aG docker"), "{said}");
}
