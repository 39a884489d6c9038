//! The environment of these tests: a build context, an engine, a registry, and a `docker` that can be made to fail.

use crate::kit::machine::{self, Need};
use crate::kit::program;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::kit::engines::{self, Engine, Registry, Store};

/// The exit code of the test programs.
pub const RAN: i32 = 42;

/// A static little-endian program that exits with this code, below 64.
pub fn program(architecture: &str, exit: u8) -> Vec<u8> {
    if architecture == "386" {
        return program_of_32_bits(exit);
    }
    let words = |words: &[u32]| words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let (machine, code): (u16, Vec<u8>) = match architecture {
        // mov edi, EXIT; mov eax, 60; syscall
        "amd64" => (62, vec![0xbf, exit, 0, 0, 0, 0xb8, 60, 0, 0, 0, 0x0f, 0x05]),
        // mov x0, #EXIT; mov x8, #93; svc #0
        "arm64" => (183, words(&[0xd280_0000 | u32::from(exit) << 5, 0xd280_0ba8, 0xd400_0001])),
        // li a0, EXIT; li a7, 93; ecall
        "riscv64" => (243, words(&[0x0000_0513 | u32::from(exit) << 20, 0x05d0_0893, 0x0000_0073])),
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

/// The same for 32-bit x86.
fn program_of_32_bits(exit: u8) -> Vec<u8> {
    // mov ebx, EXIT; mov eax, 1; int 0x80
    let code = [0xbb, exit, 0, 0, 0, 0xb8, 1, 0, 0, 0, 0xcd, 0x80];
    let (base, headers) = (0x40_0000_u32, 52 + 32_u32);
    let size = headers + code.len() as u32;
    let mut elf = vec![0x7f, b'E', b'L', b'F', 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 3, 0];
    elf.extend([1, base + headers, 52, 0, 0].iter().flat_map(|word: &u32| word.to_le_bytes()));
    elf.extend([52_u16, 32, 1, 0, 0, 0].iter().flat_map(|half| half.to_le_bytes()));
    elf.extend([1, 0, base, base, size, size, 5, 0x1000].iter().flat_map(|word: &u32| word.to_le_bytes()));
    elf.extend(code);
    elf
}

/// Copies each platform's own program. The second repeats the fault.
pub const GOOD: &str =
    "FROM scratch\nARG TARGETARCH\nCOPY --chmod=0755 bin/app-${TARGETARCH} /app\nENTRYPOINT [\"/app\"]\n";
pub const FAULTY: &str = "FROM scratch\nCOPY --chmod=0755 bin/app-amd64 /app\nENTRYPOINT [\"/app\"]\n";

/// A build context and a Docker configuration for one test, with the engine and the registry that all tests share.
pub struct Site {
    pub engine: &'static Engine,
    pub registry: &'static Registry,
    pub directory: tempfile::TempDir,
}

impl Site {
    /// Returns `None` if the test is skipped.
    pub fn new(test: &str) -> Option<Site> {
        if !machine::has(test, &[Need::Root, Need::X86_64, Need::Buildx]) {
            return None;
        }
        let (engine, registry) = (engines::docker(test, Store::Containerd)?, engines::registry(test)?);
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir_all(directory.path().join("bin")).unwrap();
        for architecture in ["amd64", "386", "arm64", "riscv64"] {
            fs::write(directory.path().join(format!("bin/app-{architecture}")), program(architecture, RAN as u8))
                .unwrap();
        }
        fs::write(directory.path().join("Dockerfile"), GOOD).unwrap();
        fs::write(directory.path().join("Faulty.Dockerfile"), FAULTY).unwrap();
        Some(Site { engine, registry, directory })
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn image(&self, name: &str) -> String {
        format!("{}/{name}", self.registry.address)
    }

    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.directory.path()).stdin(Stdio::null());
        command.env("DOCKER_HOST", self.engine.host()).env("DOCKER_CONFIG", self.path("docker-config"));
        command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env_remove("DOCKER_CONTEXT");
        command
    }

    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub fn docker(&self, words: &[&str]) -> String {
        let output = self.command("docker").args(words).output().unwrap();
        assert!(output.status.success(), "docker {words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs imgarch with `directory` first on PATH if it contains the test's own `docker`.
    pub fn imgarch(&self, words: &[&str], directory: Option<&Path>) -> Run {
        let mut command = self.command(env!("CARGO_BIN_EXE_imgarch"));
        // A killed process does not remove its temporary directory.
        command.env("TMPDIR", self.temporary());
        if let Some(directory) = directory {
            command.env("PATH", format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", directory.display()));
        }
        Run::of(&command.args(words).output().unwrap())
    }

    /// The parent of imgarch's temporary directories.
    pub fn temporary(&self) -> PathBuf {
        let directory = self.path("tmp");
        fs::create_dir_all(&directory).unwrap();
        directory
    }

    /// Runs imgarch against another engine.
    pub fn imgarch_at(&self, host: &str, words: &[&str]) -> Run {
        Run::of(&self.command(env!("CARGO_BIN_EXE_imgarch")).env("DOCKER_HOST", host).args(words).output().unwrap())
    }

    /// Writes `storage.conf` and `containers.conf`, with which podman and buildah use this site's own storage.
    pub fn podman_configuration(&self) {
        let directory = self.directory.path().display();
        let storage = format!("driver = \"vfs\"\ngraphroot = \"{directory}/storage\"\nrunroot = \"{directory}/run\"\n");
        // podman requires the file that DOCKER_CONFIG names.
        self.write("docker-config/config.json", "{}");
        self.write("storage.conf", format!("[storage]\n{storage}"));
        // Settings for machines without a network bridge and with both cgroup versions.
        let engine = "runtime = \"runc\"\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"file\"\n";
        self.write("containers.conf", format!("[containers]\nnetns = \"none\"\n[engine]\n{engine}"));
    }

    /// Creates a builder with this name and buildx's `remote` driver, which pushes by digest.
    pub fn remote_builder(&self, name: &str) {
        let endpoint = self.bridge("buildkit.sock");
        self.docker(&["buildx", "create", "--name", name, "--driver", "remote", &endpoint]);
    }

    /// Connects a new socket to the engine's own BuildKit, and returns its address.
    pub fn bridge(&self, name: &str) -> String {
        let socket = self.path(name);
        bridge(self.engine, &socket);
        format!("unix://{}", socket.display())
    }

    /// A replacement for BuildKit's image that connects to the engine's own BuildKit.
    pub fn buildkit_image(&self) -> String {
        let port = bridge_by_tcp(self.engine);
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/rebuild/builder.c");
        let (source, program) = (source.display().to_string(), self.path("builder/program").display().to_string());
        self.write(
            "builder/Dockerfile",
            format!(
                "FROM scratch\nCOPY program /usr/bin/buildkitd\nCOPY program /usr/bin/buildctl\n\
                 ENV PATH=/usr/bin BRIDGE_PORT={port}\nENTRYPOINT [\"buildkitd\"]\n"
            ),
        );
        engines::run("cc", &["-static", "-O1", "-o", &program, &source]);
        let image = self.image("buildkit:bridge");
        self.docker(&["buildx", "build", "-q", "-t", &image, "--push", "builder"]);
        image
    }

    /// Publishes the incident: an image with both platforms, both with the x86-64 program.
    pub fn publish_fault(&self, name: &str) -> String {
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

    /// The index that a tag points to.
    pub fn index(&self, image: &str) -> Value {
        serde_json::from_str(&self.docker(&["buildx", "imagetools", "inspect", "--raw", image])).unwrap()
    }

    /// Writes a manifest or an index to a tag or digest of the registry, byte by byte.
    pub fn put(&self, repository: &str, tag: &str, media_type: &str, text: &str) {
        let address = &self.registry.address;
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        let head = format!(
            "PUT /v2/{repository}/manifests/{tag} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {}\r\nContent-Type: {media_type}\r\n\r\n",
            text.len()
        );
        stream.write_all(format!("{head}{text}").as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    }

    /// A `docker` that runs `script` with the arguments of the call. `$docker` is the real one.
    pub fn own_docker(&self, script: &str) -> PathBuf {
        let directory = self.path("own-docker");
        fs::create_dir_all(&directory).unwrap();
        let path = directory.join("docker");
        program::write(&path, format!("#!/bin/sh\ndocker=/usr/bin/docker\n{script}\n"));
        directory
    }
}

/// The output and the exit code of a program.
#[derive(Debug)]
pub struct Run {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Run {
    pub fn of(output: &Output) -> Run {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Run { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }

    pub fn check(&self, code: i32, texts: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:#?}");
        for text in texts {
            assert!(self.out.contains(text) || self.err.contains(text), "{text:?} is not in {self:#?}");
        }
    }
}

/// The digest of a platform's manifest.
pub fn digest_of<'a>(index: &'a Value, architecture: &str) -> &'a str {
    let manifests = index["manifests"].as_array().unwrap();
    let found = manifests.iter().find(|one| one["platform"]["architecture"] == architecture);
    found.unwrap_or_else(|| panic!("no {architecture} in {index}"))["digest"].as_str().unwrap()
}

/// The attestation of a manifest.
pub fn attestation_of<'a>(index: &'a Value, digest: &str) -> Option<&'a Value> {
    index["manifests"]
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["annotations"]["vnd.docker.reference.digest"] == digest)
}

/// Connects clients of this socket to the engine's own BuildKit, which the engine provides over an upgraded HTTP
/// connection.
fn bridge(engine: &'static Engine, socket: &Path) {
    let listener = UnixListener::bind(socket).unwrap();
    std::thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            pass(client.try_clone().unwrap(), client, engine);
        }
    });
}

/// The same on a port of 127.0.0.1.
fn bridge_by_tcp(engine: &'static Engine) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            pass(client.try_clone().unwrap(), client, engine);
        }
    });
    port
}

/// Copies bytes in both directions between a client, given as its two halves, and the engine.
fn pass<C: Read + Write + Send + 'static>(mut from: C, mut to: C, engine: &Engine) {
    let mut server = UnixStream::connect(&engine.socket).unwrap();
    server.write_all(b"POST /grpc HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n").unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        server.read_exact(&mut byte).unwrap();
        head.extend(byte);
    }
    let mut answers = server.try_clone().unwrap();
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut server);
        let _ = server.shutdown(std::net::Shutdown::Both);
    });
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut answers, &mut to);
    });
}
