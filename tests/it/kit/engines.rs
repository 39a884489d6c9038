//! Real engines and a real registry for the tests, each in a temporary directory with its own socket. They are started
//! on first use, and end with the test process, however it ends.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use super::machine::{self, Need, PATH, has};

/// A running engine.
pub struct Engine {
    pub socket: PathBuf,
    pub directory: PathBuf,
    _supervisor: Child,
}

/// A running registry with plain HTTP and without passwords.
pub struct Registry {
    /// `127.0.0.1:PORT`.
    pub address: String,
    _supervisor: Child,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Store {
    Containerd,
    Classic,
}

const START_LIMIT: Duration = Duration::from_secs(60);

/// Runs $1 in directory $2 until this process closes its end of stdin. Leaves no processes, mounts or files.
const SUPERVISOR: &str = r#"
cd "$2" || exit 1
setsid sh -c "$1" > "$2/log" 2>&1 < /dev/null &
engine=$!
cat > /dev/null
kill $engine
for i in $(seq 100); do kill -0 $engine 2> /dev/null || break; sleep 0.1; done
kill -9 $engine 2> /dev/null
cd /
awk -v directory="$2/" 'index($2, directory) == 1 { print $2 }' /proc/self/mounts | sort -r | while read -r mount; do
  umount -l "$mount"
done
# Processes that an engine started may outlive it for a moment, and still write to the directory.
for i in $(seq 40); do rm -rf "$2" 2> /dev/null && break; sleep 0.25; done
"#;

/// Docker Engine. The containerd image store needs Engine 24 or later.
pub fn docker(test: &str, store: Store) -> Option<&'static Engine> {
    static ENGINES: [OnceLock<Engine>; 2] = [OnceLock::new(), OnceLock::new()];
    let needs = [Need::Root, Need::DockerEngine, Need::DockerClient, Need::Runc, Need::Buildx];
    // buildx is only used with the containerd store.
    if !has(test, if store == Store::Containerd { &needs } else { &needs[..4] }) {
        return None;
    }
    Some(ENGINES[store as usize].get_or_init(|| {
        let directory = directory("dkr");
        let features = match store {
            Store::Containerd => r#"{"features":{"containerd-snapshotter":true}}"#,
            Store::Classic => r#"{"features":{"containerd-snapshotter":false},"storage-driver":"overlay2"}"#,
        };
        fs::write(directory.join("daemon.json"), features).unwrap();
        let line = "exec dockerd --config-file $PWD/daemon.json --data-root $PWD/data --exec-root $PWD/exec \
            -H unix://$PWD/sock --bridge=none --iptables=false -p $PWD/pid";
        start(line, directory, "sock")
    }))
}

/// Debian 12's Docker Engine, unpacked from its packages next to the installed one. Its commands are in `root/usr/bin`
/// of the engine's directory.
pub fn docker_20_10(test: &str) -> Option<&'static Engine> {
    static ENGINE: OnceLock<Option<Engine>> = OnceLock::new();
    if !has(test, &[Need::Root, Need::DockerEngine, Need::Debian, Need::PackageMirror, Need::Runc]) {
        return None;
    }
    let engine = ENGINE.get_or_init(|| {
        let directory = directory("d20");
        if !unpack(test, &directory, &["docker.io", "containerd"], Version::Oldest) {
            let _ = fs::remove_dir_all(&directory);
            return None;
        }
        assert!(directory.join("docker.io_20.10").exists(), "Debian 12's Docker Engine is 20.10");
        let line = "export PATH=$PWD/root/usr/sbin:$PWD/root/usr/bin:$PATH; exec dockerd --data-root $PWD/data \
            --exec-root $PWD/exec -H unix://$PWD/sock --bridge=none --iptables=false -p $PWD/pid";
        Some(start(line, directory, "sock"))
    });
    engine.as_ref()
}

/// The script that prints the Debian mirror of this machine.
pub const MIRROR: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/.ci/mirror");

/// The version of a package to choose, among those of the mirror.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    Oldest,
    Newest,
}

/// Unpacks Debian packages into `directory/root`, without installing them. Returns `false` and skips the test if the
/// mirror does not have them.
pub fn unpack(test: &str, directory: &Path, packages: &[&str], version: Version) -> bool {
    if !has(test, &[Need::Debian, Need::PackageMirror]) {
        return false;
    }
    let pick = if version == Version::Oldest { "head" } else { "tail" };
    let mut command = Command::new("/bin/sh");
    command.args(["-c", UNPACK, "unpack", pick]).args(packages).current_dir(directory).stdin(Stdio::null());
    let output = command.output().expect("/bin/sh starts");
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        machine::skip(test, &format!("the mirror does not have {}: {said}", packages.join(", ")));
    }
    output.status.success()
}

/// Creates a marker file for each version: `docker.io_20.10`.
const UNPACK: &str = r#"
set -e
pick=$1
shift
# `set -e` has no effect in a function whose exit code is tested.
fetch() {
  for package; do
    version=$(apt-cache madison "$package" | awk '{ print $3 }' | sort -V | $pick -n 1)
    apt-get -qq -o APT::Sandbox::User=root download "$package=$version" || return
    : > "${package}_$(echo "$version" | cut -d. -f1-2)"
  done
}
fetch "$@" || { apt-get -qq update; fetch "$@"; }
for package in *.deb; do dpkg -x "$package" root; done
rm ./*.deb
"#;

/// Docker Engine that also listens on `tcp://127.0.0.1:PORT` for clients with a certificate. Returns the port too. The
/// engine's directory has the client's `ca.pem`, `cert.pem` and `key.pem` in `certs`.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub fn docker_over_tls(test: &str) -> Option<(&'static Engine, u16)> {
    static ENGINE: OnceLock<(Engine, u16)> = OnceLock::new();
    if !has(test, &[Need::Root, Need::DockerEngine, Need::DockerClient, Need::Runc, Need::Openssl]) {
        return None;
    }
    let (engine, port) = ENGINE.get_or_init(|| {
        let directory = directory("dkt");
        fs::write(directory.join("daemon.json"), r#"{"features":{"containerd-snapshotter":true}}"#).unwrap();
        let certs = directory.join("certs");
        fs::create_dir(&certs).unwrap();
        run("/bin/sh", &["-c", &CERTIFICATES.replace("DIRECTORY", &certs.display().to_string())]);
        let port = free_port();
        let line = "exec dockerd --config-file $PWD/daemon.json --data-root $PWD/data --exec-root $PWD/exec \
            -H unix://$PWD/sock --bridge=none --iptables=false -p $PWD/pid -H tcp://127.0.0.1:PORT --tlsverify \
            --tlscacert $PWD/certs/ca.pem --tlscert $PWD/certs/server.pem --tlskey $PWD/certs/server-key.pem";
        (start(&line.replace("PORT", &port.to_string()), directory, "sock"), port)
    });
    Some((engine, *port))
}

/// Creates an authority, a server certificate for 127.0.0.1 and a client certificate.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
const CERTIFICATES: &str = r#"
set -e
cd DIRECTORY
new="-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
openssl req -x509 $new -days 30 -subj /CN=authority -keyout ca-key.pem -out ca.pem
sign() { openssl x509 -req -in "$1.csr" -CA ca.pem -CAkey ca-key.pem -CAcreateserial -days 30 -copy_extensions copy -out "$2"; }
openssl req $new -subj /CN=server -addext subjectAltName=IP:127.0.0.1 -keyout server-key.pem -out server.csr
sign server server.pem
openssl req $new -subj /CN=client -addext extendedKeyUsage=clientAuth -keyout key.pem -out client.csr
sign client cert.pem
"#;

/// podman's service.
pub fn podman(test: &str) -> Option<&'static Engine> {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    if !has(test, &[Need::Root, Need::Podman, Need::Runc, Need::DockerClient]) {
        return None;
    }
    Some(ENGINE.get_or_init(|| {
        let directory = directory("pdm");
        fs::create_dir(directory.join("tmp")).unwrap();
        // Settings for machines without a network bridge, without the right to raise limits, or with both cgroup
        // versions.
        let config = "[containers]\nnetns = \"none\"\n[engine]\nruntime = \"runc\"\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"file\"\n";
        fs::write(directory.join("containers.conf"), config).unwrap();
        fs::write(directory.join("registries.conf"), "unqualified-search-registries = []\n").unwrap();
        let line = "export CONTAINERS_CONF=$PWD/containers.conf CONTAINERS_REGISTRIES_CONF=$PWD/registries.conf \
            REGISTRY_AUTH_FILE=$PWD/auth.json TMPDIR=$PWD/tmp; \
            exec podman --root $PWD/root --runroot $PWD/run --tmpdir $PWD/lib --storage-driver vfs \
            system service --time=0 unix://$PWD/sock";
        start(line, directory, "sock")
    }))
}

/// CNCF Distribution's registry, with its content in memory: its file storage has a race if a tag is pushed twice at
/// once.
pub fn registry(test: &str) -> Option<&'static Registry> {
    static REGISTRY: OnceLock<Registry> = OnceLock::new();
    if !has(test, &[Need::Registry, Need::Skopeo]) {
        return None;
    }
    Some(REGISTRY.get_or_init(|| {
        let directory = directory("reg");
        let address = format!("127.0.0.1:{}", free_port());
        let config = format!(
            "version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\nstorage: {{inmemory: {{}}}}\n\
             http: {{addr: \"{address}\", secret: test}}\n"
        );
        fs::write(directory.join("config.yml"), config).unwrap();
        let supervisor = supervise("exec docker-registry serve $PWD/config.yml", &directory);
        wait(&directory, || std::net::TcpStream::connect(&address).is_ok());
        Registry { address, _supervisor: supervisor }
    }))
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A short path: the path of a Unix socket is limited to 107 bytes, and containerd has one several levels below.
fn directory(name: &str) -> PathBuf {
    tempfile::Builder::new().prefix(&format!("{name}.")).rand_bytes(6).tempdir_in("/tmp").unwrap().keep()
}

fn start(line: &str, directory: PathBuf, socket: &str) -> Engine {
    let supervisor = supervise(line, &directory);
    let socket = directory.join(socket);
    wait(&directory, || imgarch::source::engine::RunningEngine::connect(&endpoint(&socket)).is_ok());
    Engine { socket, directory, _supervisor: supervisor }
}

fn endpoint(socket: &Path) -> imgarch::source::engine::EngineEndpoint {
    imgarch::source::engine::EngineEndpoint::Unix(socket.to_path_buf())
}

fn supervise(line: &str, directory: &Path) -> Child {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", SUPERVISOR, "supervisor", line]).arg(directory).env("PATH", PATH);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("/bin/sh starts")
}

fn wait(directory: &Path, is_ready: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_ready() {
        let log = || fs::read_to_string(directory.join("log")).unwrap_or_default();
        assert!(start.elapsed() < START_LIMIT, "the service does not start: {}", log());
        std::thread::sleep(Duration::from_millis(50));
    }
}

impl Engine {
    pub fn host(&self) -> String {
        format!("unix://{}", self.socket.display())
    }

    /// `docker` with this engine as its host.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("docker");
        command.env("PATH", PATH).env("DOCKER_CONFIG", self.directory.join("client")).env_remove("DOCKER_CONTEXT");
        command.env("DOCKER_HOST", self.host()).args(arguments).stdin(Stdio::null());
        command
    }

    /// Runs `docker` against this engine, whether or not it succeeds.
    pub fn try_docker(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("docker starts")
    }

    /// Runs `docker` against this engine and returns its stdout.
    pub fn docker(&self, arguments: &[&str]) -> String {
        said(&self.try_docker(arguments), &format!("docker {arguments:?}"))
    }
}

/// Runs a command and returns its stdout.
pub fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).env("PATH", PATH).args(arguments).stdin(Stdio::null()).output();
    said(&output.unwrap_or_else(|error| panic!("{program}: {error}")), &format!("{program} {arguments:?}"))
}

fn said(output: &Output, what: &str) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{what}: {}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}
