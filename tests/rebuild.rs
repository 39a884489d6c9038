//! `imgarch rebuild` and `imgarch doctor` with a real Docker Engine, a real buildx and a real registry: the incident goes
//! from red to green, and wherever it ends early, the tag is as it was.

#[path = "support/engines.rs"]
mod engines;

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use engines::{Engine, Registry, Store};
use serde_json::Value;

/// The exit code of the test programs.
const RAN: i32 = 42;

/// A static program of either architecture, 64-bit little-endian, that exits with [`RAN`].
fn program(architecture: &str) -> Vec<u8> {
    let (machine, code): (u16, Vec<u8>) = match architecture {
        // mov edi, 42; mov eax, 60; syscall
        "amd64" => (62, vec![0xbf, RAN as u8, 0, 0, 0, 0xb8, 60, 0, 0, 0, 0x0f, 0x05]),
        // mov x0, #42; mov x8, #93; svc #0
        "arm64" => {
            (183, [0xd280_0540_u32, 0xd280_0ba8, 0xd400_0001].iter().flat_map(|word| word.to_le_bytes()).collect())
        }
        other => panic!("no program for {other}"),
    };
    let (base, headers) = (0x40_0000_u64, 64 + 56_u64);
    let size = headers + code.len() as u64;
    let mut elf = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    elf.extend([2_u16, machine].iter().flat_map(|half| half.to_le_bytes()));
    elf.extend(1_u32.to_le_bytes());
    elf.extend([base + headers, 64, 0].iter().flat_map(|word: &u64| word.to_le_bytes()));
    elf.extend(0_u32.to_le_bytes());
    elf.extend([64_u16, 56, 1, 0, 0, 0].iter().flat_map(|half| half.to_le_bytes()));
    elf.extend([1_u32, 5].iter().flat_map(|word| word.to_le_bytes()));
    elf.extend([0, base, base, size, size, 0x1_0000].iter().flat_map(|word: &u64| word.to_le_bytes()));
    elf.extend(code);
    elf
}

/// Takes each platform's own program; the second repeats the fault.
const GOOD: &str =
    "FROM scratch\nARG TARGETARCH\nCOPY --chmod=0755 bin/app-${TARGETARCH} /app\nENTRYPOINT [\"/app\"]\n";
const FAULTY: &str = "FROM scratch\nCOPY --chmod=0755 bin/app-amd64 /app\nENTRYPOINT [\"/app\"]\n";

/// A build context and a Docker configuration of its own, beside the engine and the registry that all tests share.
struct Site {
    engine: &'static Engine,
    registry: &'static Registry,
    folder: tempfile::TempDir,
}

impl Site {
    /// `None`: it cannot be made here, which was said.
    fn new(test: &str) -> Option<Site> {
        if !engines::has(test, &["docker"]) || !Path::new("/usr/libexec/docker/cli-plugins/docker-buildx").exists() {
            return None;
        }
        let (engine, registry) = (engines::docker(test, Store::Containerd)?, engines::registry(test)?);
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("bin")).unwrap();
        for architecture in ["amd64", "arm64"] {
            fs::write(folder.path().join(format!("bin/app-{architecture}")), program(architecture)).unwrap();
        }
        fs::write(folder.path().join("Dockerfile"), GOOD).unwrap();
        fs::write(folder.path().join("Faulty.Dockerfile"), FAULTY).unwrap();
        Some(Site { engine, registry, folder })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn image(&self, name: &str) -> String {
        format!("{}/{name}", self.registry.address)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.folder.path()).stdin(Stdio::null());
        command.env("DOCKER_HOST", self.engine.host()).env("DOCKER_CONFIG", self.path("docker-config"));
        command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env_remove("DOCKER_CONTEXT");
        command
    }

    fn docker(&self, words: &[&str]) -> String {
        let output = self.command("docker").args(words).output().unwrap();
        assert!(output.status.success(), "docker {words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs imgarch with `folder` first on PATH, where a test has put its own `docker`.
    fn imgarch(&self, words: &[&str], folder: Option<&Path>) -> Said {
        let mut command = self.command(env!("CARGO_BIN_EXE_imgarch"));
        if let Some(folder) = folder {
            command.env("PATH", format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", folder.display()));
        }
        Said::of(&command.args(words).output().unwrap())
    }

    /// The incident: both platforms published, both with the x86-64 program.
    fn publish_fault(&self, name: &str) -> String {
        let image = self.image(name);
        self.docker(&[
            "buildx",
            "build",
            "-q",
            "-f",
            "Faulty.Dockerfile",
            "--platform",
            "linux/amd64,linux/arm64",
            "-t",
            &image,
            "--push",
            ".",
        ]);
        image
    }

    /// What a tag names.
    fn index(&self, image: &str) -> Value {
        serde_json::from_str(&self.docker(&["buildx", "imagetools", "inspect", "--raw", image])).unwrap()
    }

    /// A `docker` that runs `script` with the real one's words; `$docker` is the real one.
    fn own_docker(&self, script: &str) -> PathBuf {
        let folder = self.path("own-docker");
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("docker");
        fs::write(&path, format!("#!/bin/sh\ndocker=/usr/bin/docker\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        folder
    }
}

/// What imgarch said, and how it ended.
#[derive(Debug)]
struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Said {
    fn of(output: &Output) -> Said {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Said { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }

    fn check(&self, code: i32, texts: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:#?}");
        for text in texts {
            assert!(self.out.contains(text) || self.err.contains(text), "{text:?} is not in {self:#?}");
        }
    }
}

/// The digest of a platform's manifest.
fn digest_of<'a>(index: &'a Value, architecture: &str) -> &'a str {
    let manifests = index["manifests"].as_array().unwrap();
    let found = manifests.iter().find(|one| one["platform"]["architecture"] == architecture);
    found.unwrap_or_else(|| panic!("no {architecture} in {index}"))["digest"].as_str().unwrap()
}

/// The attestation of a manifest.
fn attestation_of<'a>(index: &'a Value, digest: &str) -> Option<&'a Value> {
    index["manifests"]
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["annotations"]["vnd.docker.reference.digest"] == digest)
}

#[test]
fn the_incident_goes_from_red_to_green_by_one_rebuild() {
    let Some(site) = Site::new("the_incident_goes_from_red_to_green_by_one_rebuild") else { return };
    let image = site.publish_fault("incident:v1");
    let before = site.index(&image);
    site.imgarch(&["scan", &image], None).check(1, &["entrypoint-wrong-arch"]);
    site.imgarch(&["rebuild", &image, "--dry-run"], None).check(0, &["keep     linux/amd64", "build    linux/arm64"]);
    assert_eq!(site.index(&image), before, "a dry run changes nothing");
    site.imgarch(&["rebuild", &image, "--yes"], None)
        .check(0, &["is rebuilt and verified", "linux/amd64", "unchanged"]);
    site.imgarch(&["scan", &image], None).check(0, &["linux/arm64"]);
    let after = site.index(&image);
    let (old, new) = (digest_of(&before, "arm64"), digest_of(&after, "arm64"));
    assert_ne!(old, new);
    assert_eq!(digest_of(&before, "amd64"), digest_of(&after, "amd64"));
    assert_eq!(
        attestation_of(&before, digest_of(&before, "amd64")),
        attestation_of(&after, digest_of(&after, "amd64"))
    );
    assert!(attestation_of(&after, digest_of(&after, "amd64")).is_some() && attestation_of(&after, new).is_some());
    assert!(attestation_of(&after, old).is_none(), "what attested the old manifest is gone with it");
    site.imgarch(&["rebuild", &image, "--yes"], None).check(0, &["nothing to do"]);
    assert_eq!(site.index(&image), after);
    really_runs(&site, &image);
}

/// Natively, and the foreign platform's program under qemu's user-mode emulation.
fn really_runs(site: &Site, image: &str) {
    let native = site
        .command("docker")
        .args(["run", "--rm", "--network=none", "--platform", "linux/amd64", image])
        .output()
        .unwrap();
    assert_eq!(native.status.code(), Some(RAN), "{native:?}");
    if !engines::has("really_runs", &["qemu-aarch64-static"]) {
        return;
    }
    let container = site.docker(&["create", "--pull=always", "--platform", "linux/arm64", image]);
    site.docker(&["cp", &format!("{}:/app", container.trim()), "emulated"]);
    let emulated = site.command("qemu-aarch64-static").arg(site.path("emulated")).status().unwrap();
    assert_eq!(emulated.code(), Some(RAN));
}

/// buildx's `remote` driver on the engine's own BuildKit, which it reaches by an upgraded HTTP connection.
fn bridge(engine: &'static Engine, socket: &Path) {
    let listener = UnixListener::bind(socket).unwrap();
    std::thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let mut server = UnixStream::connect(&engine.socket).unwrap();
            server.write_all(b"POST /grpc HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n").unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                server.read_exact(&mut byte).unwrap();
                head.extend(byte);
            }
            for (mut from, mut to) in [(client.try_clone().unwrap(), server.try_clone().unwrap()), (server, client)] {
                std::thread::spawn(move || {
                    let _ = std::io::copy(&mut from, &mut to);
                    let _ = to.shutdown(std::net::Shutdown::Both);
                });
            }
        }
    });
}

#[test]
fn a_missing_platform_is_pushed_by_digest_and_joins_the_tag() {
    let Some(site) = Site::new("a_missing_platform_is_pushed_by_digest_and_joins_the_tag") else { return };
    let image = site.image("lacking:v1");
    site.docker(&["buildx", "build", "-q", "--platform", "linux/amd64", "-t", &image, "--push", "."]);
    let before = site.index(&image);
    let socket = site.path("buildkit.sock");
    bridge(site.engine, &socket);
    site.docker(&[
        "buildx",
        "create",
        "--name",
        "remote",
        "--driver",
        "remote",
        &format!("unix://{}", socket.display()),
    ]);
    let said =
        site.imgarch(&["rebuild", &image, "--target", "linux/arm64", "--yes", "--", "--builder", "remote"], None);
    said.check(0, &["push-by-digest=true", "builder remote (remote)", "absent ->"]);
    let after = site.index(&image);
    assert_eq!(digest_of(&before, "amd64"), digest_of(&after, "amd64"));
    assert!(attestation_of(&after, digest_of(&after, "arm64")).is_some());
    let tags =
        engines::run("skopeo", &["list-tags", "--tls-verify=false", &format!("docker://{}", site.image("lacking"))]);
    let tags: Value = serde_json::from_str(&tags).unwrap();
    assert_eq!(tags["Tags"], serde_json::json!(["v1"]), "nothing was pushed under a tag of its own");
}

#[test]
fn a_dockerfile_that_repeats_the_fault_is_stopped_before_the_tag_moves() {
    let Some(site) = Site::new("a_dockerfile_that_repeats_the_fault_is_stopped_before_the_tag_moves") else { return };
    let image = site.publish_fault("repeated:v1");
    let before = site.index(&image);
    let words = ["rebuild", &image, "-f", "Faulty.Dockerfile", "--yes"];
    site.imgarch(&words, None)
        .check(1, &["stopped: the Dockerfile would repeat the fault (1 lint error)", "Faulty.Dockerfile:2"]);
    let despite: Vec<&str> = words.into_iter().chain(["--despite-lint"]).collect();
    site.imgarch(&despite, None).check(1, &["has a fault", "repeated:v1 is as it was"]);
    assert_eq!(site.index(&image), before);
}

#[test]
fn a_tag_that_moved_meanwhile_is_noticed() {
    let Some(site) = Site::new("a_tag_that_moved_meanwhile_is_noticed") else { return };
    let image = site.publish_fault("moved:v1");
    let other = site.image("moved:other");
    site.docker(&["buildx", "build", "-q", "--platform", "linux/amd64", "-t", &other, "--push", "."]);
    // Somebody else pushes while this builds.
    let script = format!(
        "$docker \"$@\" || exit\ncase \"$*\" in 'buildx build'*) $docker buildx imagetools create --tag {image} {other};; esac"
    );
    let folder = site.own_docker(&script);
    let said = site.imgarch(&["rebuild", &image, "--yes"], Some(&folder));
    said.check(3, &["moved while this was built", "pushed without a tag: "]);
    assert_eq!(site.index(&image), site.index(&other), "what somebody else pushed stays");
}

#[test]
fn killed_at_any_step_it_leaves_the_tag_and_has_said_what_it_pushed() {
    let Some(site) = Site::new("killed_at_any_step_it_leaves_the_tag_and_has_said_what_it_pushed") else { return };
    let image = site.publish_fault("killed:v1");
    let before = site.index(&image);
    let steps = [
        ("case \"$*\" in 'buildx build'*) kill -9 $PPID; exit 1;; esac\nexec $docker \"$@\"", "building linux/arm64"),
        ("$docker \"$@\" || exit\ncase \"$*\" in 'buildx build'*) kill -9 $PPID;; esac", "building linux/arm64"),
        (
            "case \"$*\" in 'buildx imagetools create'*) kill -9 $PPID; exit 1;; esac\nexec $docker \"$@\"",
            "pushed linux/arm64 without a tag: ",
        ),
    ];
    for (script, said_before) in steps {
        let folder = site.own_docker(script);
        let said = site.imgarch(&["rebuild", &image, "--yes"], Some(&folder));
        assert_eq!(said.code, None, "it was killed: {said:#?}");
        assert!(said.err.contains(said_before), "{said:#?}");
        assert_eq!(site.index(&image), before);
    }
    site.imgarch(&["rebuild", &image, "--yes"], None).check(0, &["is rebuilt and verified"]);
}

#[test]
fn what_this_machine_lacks_is_said_with_a_command() {
    let Some(site) = Site::new("what_this_machine_lacks_is_said_with_a_command") else { return };
    let image = site.publish_fault("lacks:v1");
    let before = site.index(&image);
    let rebuild = ["rebuild", &image, "--yes"];
    let no_buildx = site.own_docker("case \"$1\" in buildx) echo \"docker: 'buildx' is not a docker command.\" >&2; exit 1;; esac\nexec $docker \"$@\"");
    site.imgarch(&rebuild, Some(&no_buildx))
        .check(3, &["the buildx plugin cannot be run", "'buildx' is not a docker command", "docker-buildx"]);
    let mut no_daemon = site.command(env!("CARGO_BIN_EXE_imgarch"));
    no_daemon.env("DOCKER_HOST", "unix:///nowhere/docker.sock").args(rebuild);
    Said::of(&no_daemon.output().unwrap()).check(3, &["the Docker daemon does not answer", "systemctl start docker"]);
    let mut no_docker = site.command(env!("CARGO_BIN_EXE_imgarch"));
    no_docker.env("PATH", "/nowhere").args(rebuild);
    Said::of(&no_docker.output().unwrap()).check(3, &["the docker command cannot be run", "apt-get install docker.io"]);
    // A RUN step of a platform for which nobody registers an emulator in these tests.
    fs::write(site.path("Run.Dockerfile"), format!("{GOOD}RUN [\"/app\"]\n")).unwrap();
    let emulated = ["rebuild", &image, "--platform", "linux/s390x", "-f", "Run.Dockerfile", "--yes"];
    site.imgarch(&emulated, None).check(3, &["no node runs its programs", "tonistiigi/binfmt --install s390x"]);
    assert_eq!(site.index(&image), before);
}

#[test]
fn doctor_tells_the_gaps_and_runs_what_closes_them() {
    let test = "doctor_tells_the_gaps_and_runs_what_closes_them";
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
    // The privileged command is not run unasked.
    let folder = site.own_docker("case \"$*\" in run*) echo \"ran $*\" >&2;; *) exec $docker \"$@\";; esac");
    let unasked = site.imgarch(&["doctor", "--platform", "linux/s390x", "--fix"], Some(&folder));
    assert!(unasked.code == Some(1) && !unasked.err.contains("ran run"), "{unasked:#?}");
    let named = ["doctor", "--platform", "linux/s390x", "--fix", "--privileged", "linux/s390x"];
    site.imgarch(&named, Some(&folder))
        .check(1, &["running: docker run --privileged", "ran run --privileged --rm tonistiigi/binfmt --install s390x"]);
    let Some(classic) = engines::docker(test, Store::Classic) else { return };
    let mut command = site.command(env!("CARGO_BIN_EXE_imgarch"));
    command.env("DOCKER_HOST", classic.host()).arg("doctor");
    Said::of(&command.output().unwrap())
        .check(1, &["cannot build several platforms", "docker buildx create --name imgarch --driver docker-container"]);
    let mut rebuild = site.command(env!("CARGO_BIN_EXE_imgarch"));
    let image = site.publish_fault("classic:v1");
    rebuild.env("DOCKER_HOST", classic.host()).args(["rebuild", &image, "--yes"]);
    Said::of(&rebuild.output().unwrap()).check(3, &["does not use the containerd image store", "docker buildx create"]);
}

#[test]
fn a_layout_is_made_and_verified_without_a_registry_being_written() {
    let Some(site) = Site::new("a_layout_is_made_and_verified_without_a_registry_being_written") else { return };
    let image = site.image("local:v1");
    let words =
        ["rebuild", &image, "--platform", "linux/amd64", "--platform", "linux/arm64", "--output", "out", "--yes"];
    site.imgarch(&words, None).check(0, &["built linux/arm64 in oci:out/linux-arm64"]);
    site.imgarch(&["scan", "oci:out/linux-arm64", "oci:out/linux-amd64"], None).check(0, &[]);
    let listed = site
        .command("skopeo")
        .args(["list-tags", "--tls-verify=false", &format!("docker://{}", site.image("local"))])
        .output()
        .unwrap();
    assert!(!listed.status.success(), "the registry has no such repository");
}

#[test]
fn a_registry_that_refuses_writes_ends_with_its_message() {
    let test = "a_registry_that_refuses_writes_ends_with_its_message";
    let Some(site) = Site::new(test) else { return };
    // One server writes the fault, another serves the same files and takes nothing.
    let folder = site.path("registry");
    let serve = |is_read_only: bool| {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let config = site.path(&format!("registry-{is_read_only}.yml"));
        let text = format!(
            "version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\nstorage: {{filesystem: {{rootdirectory: {}}}, maintenance: {{readonly: {{enabled: {is_read_only}}}}}}}\nhttp: {{addr: \"127.0.0.1:{port}\", secret: test}}\n",
            folder.display()
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
    // One platform at a time: the file storage loses a race on a tag that two pushes write.
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
    said.check(3, &["pushing linux/arm64 failed", "app:v1 is as it was"]);
}

#[test]
fn lint_asks_the_registry_what_a_digest_pins() {
    let Some(site) = Site::new("lint_asks_the_registry_what_a_digest_pins") else { return };
    let image = site.publish_fault("pinned:v1");
    let index = site.index(&image);
    let manifest = site.docker(&["buildx", "imagetools", "inspect", "--format", "{{json .Manifest}}", &image]);
    let manifest: Value = serde_json::from_str(&manifest).unwrap();
    let whole = manifest["digest"].as_str().unwrap();
    let lint = |name: &str, from: &str| {
        fs::write(site.path(name), format!("FROM {from}\nLABEL a=b\n")).unwrap();
        site.imgarch(&["lint", name, "--online", "--format", "json"], None)
    };
    let one = lint("One.Dockerfile", &format!("{image}@{}", digest_of(&index, "arm64")));
    one.check(1, &["single-platform-digest", "linux/arm64", whole]);
    lint("All.Dockerfile", &format!("{image}@{}", whole)).check(0, &[]);
    let gone = format!("{}@sha256:{}", site.image("pinned"), "0".repeat(64));
    lint("Gone.Dockerfile", &gone).check(3, &["could not be checked", "not found"]);
}
