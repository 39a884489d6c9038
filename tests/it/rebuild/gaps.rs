//! Missing tools end in a message and a command, and the tag does not change.

use crate::kit::machine::{self, Need};
use crate::kit::program;
use std::fs;
use std::process::Stdio;

use serde_json::Value;

use super::site::{GOOD, Run, Site, attestation_of, digest_of};
use crate::kit::engines::{self, Store};

#[test]
fn missing_tools_are_reported_with_a_command() {
    let Some(site) = Site::new("missing_tools_are_reported_with_a_command") else { return };
    let image = site.publish_fault("lacks:v1");
    let before = site.index(&image);
    let rebuild = ["rebuild", &image, "--yes"];
    let no_buildx = site.own_docker("case \"$1\" in buildx) echo \"docker: 'buildx' is not a docker command.\" >&2; exit 1;; esac\nexec $docker \"$@\"");
    site.imgarch(&rebuild, Some(&no_buildx))
        .check(3, &["the buildx plugin cannot be run", "'buildx' is not a docker command", "docker-buildx"]);
    let mut no_daemon = site.command(env!("CARGO_BIN_EXE_imgarch"));
    no_daemon.env("DOCKER_HOST", "unix:///nowhere/docker.sock").args(rebuild);
    Run::of(&no_daemon.output().unwrap()).check(3, &["the Docker daemon does not answer", "systemctl start docker"]);
    let mut no_docker = site.command(env!("CARGO_BIN_EXE_imgarch"));
    no_docker.env("PATH", "/nowhere").args(rebuild);
    Run::of(&no_docker.output().unwrap()).check(3, &["the docker command cannot be run", "apt-get install docker.io"]);
    // A RUN step for a platform without an emulator.
    fs::write(site.path("Run.Dockerfile"), format!("{GOOD}RUN [\"/app\"]\n")).unwrap();
    let emulated = ["rebuild", &image, "--platform", "linux/s390x", "-f", "Run.Dockerfile", "--yes"];
    site.imgarch(&emulated, None).check(3, &["no node runs its programs", "tonistiigi/binfmt --install s390x"]);
    // A plan that cannot be carried out is shown, but is not a success.
    let [start @ .., _] = emulated;
    let plan = site.imgarch(&[&start[..], &["--dry-run"]].concat(), None);
    plan.check(3, &["build    linux/s390x", "no node runs its programs", "see imgarch doctor"]);
    let mut nothing = site.command(env!("CARGO_BIN_EXE_imgarch"));
    nothing.env("DOCKER_HOST", "unix:///nowhere/docker.sock").args(["rebuild", &image, "--dry-run"]);
    let nothing = Run::of(&nothing.output().unwrap());
    nothing.check(3, &["the Docker daemon does not answer"]);
    assert!(!nothing.out.contains("()"), "{nothing:#?}");
    assert_eq!(site.index(&image), before);
}

#[test]
fn doctor_reports_what_is_missing_and_runs_the_commands_that_fix_it() {
    let test = "doctor_reports_what_is_missing_and_runs_the_commands_that_fix_it";
    let Some(site) = Site::new(test) else { return };
    site.imgarch(&["doctor", "--platform", "linux/amd64"], None)
        .check(0, &["containerd image store", "native on node default"]);
    let said = site.imgarch(&["doctor", "--platform", "linux/s390x", "--format", "json"], None);
    let checks: Value = serde_json::from_str(&said.out).unwrap();
    let last = checks["checks"].as_array().unwrap().last().unwrap();
    assert_eq!(
        (said.code, &last["state"], &last["remedies"][0]["power"]),
        (Some(1), &"missing".into(), &"privileged".into())
    );
    // The privileged command is not run without confirmation.
    let directory = site.own_docker("case \"$*\" in run*) echo \"ran $*\" >&2;; *) exec $docker \"$@\";; esac");
    let unasked = site.imgarch(&["doctor", "--platform", "linux/s390x", "--fix"], Some(&directory));
    assert!(unasked.code == Some(1) && !unasked.err.contains("ran run"), "{unasked:#?}");
    let named = ["doctor", "--platform", "linux/s390x", "--fix", "--privileged", "linux/s390x"];
    site.imgarch(&named, Some(&directory))
        .check(1, &["running: docker run --privileged", "ran run --privileged --rm tonistiigi/binfmt --install s390x"]);
    let Some(classic) = engines::docker(test, Store::Classic) else { return };
    let mut command = site.command(env!("CARGO_BIN_EXE_imgarch"));
    command.env("DOCKER_HOST", classic.host()).arg("doctor");
    Run::of(&command.output().unwrap())
        .check(1, &["cannot build several platforms", "docker buildx create --name imgarch --driver docker-container"]);
    let mut rebuild = site.command(env!("CARGO_BIN_EXE_imgarch"));
    let image = site.publish_fault("classic:v1");
    rebuild.env("DOCKER_HOST", classic.host()).args(["rebuild", &image, "--yes"]);
    Run::of(&rebuild.output().unwrap()).check(3, &["does not use the containerd image store", "docker buildx create"]);
}

#[test]
fn a_registry_that_refuses_writes_ends_with_its_message() {
    let test = "a_registry_that_refuses_writes_ends_with_its_message";
    let Some(site) = Site::new(test) else { return };
    // One server is writable and receives the fault. Another serves the same files read-only.
    let directory = site.path("registry");
    let serve = |is_read_only: bool| {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let config = site.path(&format!("registry-{is_read_only}.yml"));
        let text = format!(
            "version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\nstorage: {{filesystem: {{rootdirectory: {}}}, maintenance: {{readonly: {{enabled: {is_read_only}}}}}}}\nhttp: {{addr: \"127.0.0.1:{port}\", secret: test}}\n",
            directory.display()
        );
        fs::write(&config, text).unwrap();
        let child = site
            .command("docker-registry")
            .arg("serve")
            .arg(config)
            .stderr(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        for _ in 0..200 {
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        (child, format!("127.0.0.1:{port}/app:v1"))
    };
    let (mut writing, writable) = serve(false);
    // One platform at a time: the file storage has a race if two pushes write one tag.
    site.docker(&[
        "buildx",
        "build",
        "-q",
        "-f",
        "Faulty.Dockerfile",
        "--provenance=false",
        "--platform",
        "linux/arm64",
        "-t",
        &writable,
        "--push",
        ".",
    ]);
    let (mut reading, image) = serve(true);
    let said = site.imgarch(&["rebuild", &image, "--yes"], None);
    let _ = (writing.kill(), reading.kill(), writing.wait(), reading.wait());
    said.check(3, &["pushing linux/arm64 failed", "app:v1 is unchanged"]);
}

#[test]
fn an_engine_20_10_ends_in_a_message_and_a_command() {
    let test = "an_engine_20_10_ends_in_a_message_and_a_command";
    let (Some(site), Some(old)) = (Site::new(test), engines::docker_20_10(test)) else { return };
    let image = site.publish_fault("old:v1");
    let before = site.index(&image);
    let create = "docker buildx create --name imgarch --driver docker-container";
    let said = site.imgarch_at(&old.host(), &["doctor"]);
    said.check(1, &["version 20.10.", "Engine 20.10.", "has no containerd image store, which was added in 24", create]);
    assert!(!said.out.contains("daemon.json"), "{said:#?}");
    let rebuild = site.imgarch_at(&old.host(), &["rebuild", &image, "--yes"]);
    rebuild.check(3, &["neither pushes by digest nor writes OCI layouts", "Engine 20.10.", create]);
    // Its own client has no buildx in Debian 12.
    let client = site.path("old-client");
    fs::create_dir(&client).unwrap();
    program::copy(&old.directory.join("root/usr/bin/docker"), &client.join("docker"));
    let script =
        format!("case \"$1\" in buildx) set -- nobuildx;; esac\nexec {} \"$@\"", client.join("docker").display());
    let directory = site.own_docker(&script);
    site.imgarch(&["rebuild", &image, "--yes"], Some(&directory)).check(
        3,
        &["the buildx plugin cannot be run: 'nobuildx' is not a docker command", "apt-get install docker-buildx"],
    );
    assert_eq!(site.index(&image), before);
}

#[test]
fn a_builder_in_a_container_is_started_by_doctor_and_pushes_by_digest() {
    let test = "a_builder_in_a_container_is_started_by_doctor_and_pushes_by_digest";
    let Some(site) = Site::new(test).filter(|_| machine::has(test, &[Need::Compiler])) else { return };
    let image = site.publish_fault("contained:v1");
    let before = site.index(&image);
    let options = format!("image={},network=host", site.buildkit_image());
    let doctor = ["doctor", "--platform", "linux/amd64"];
    site.imgarch(&doctor, None)
        .check(0, &["default (docker) cannot push by digest", "docker buildx create --name imgarch"]);
    site.docker(&[
        "buildx",
        "create",
        "--name",
        "imgarch",
        "--driver",
        "docker-container",
        "--driver-opt",
        &options,
        "--use",
    ]);
    site.imgarch(&doctor, None)
        .check(1, &["builder imgarch is not running", "docker buildx inspect --bootstrap imgarch"]);
    site.imgarch(&["doctor", "--platform", "linux/amd64", "--fix"], None).check(
        0,
        &[
            "running: docker buildx inspect --bootstrap imgarch",
            "imgarch (docker-container)",
            "native on node imgarch0",
        ],
    );
    site.imgarch(&["rebuild", &image, "--yes"], None)
        .check(0, &["with     builder imgarch (docker-container)", "push-by-digest=true", "is rebuilt and verified"]);
    let after = site.index(&image);
    assert_eq!(digest_of(&before, "amd64"), digest_of(&after, "amd64"));
    assert!(attestation_of(&after, digest_of(&after, "arm64")).is_some());
    site.docker(&["buildx", "rm", "imgarch"]);
}
