//! The table of what the tests need from the machine. A test whose need is not met is skipped with the reason. When the
//! process ends, it prints one summary of all skipped tests, and keeps it in `target/tmp/skipped.txt` (under nextest,
//! where each test is a process, that file is the summary of the run). With `IMGARCH_ENGINES=1`, missing packages are
//! installed first, and an unmet need fails the test.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use super::skipped;

/// A need, one row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    Root,
    Chroot,
    MountNamespaces,
    BinfmtMisc,
    X86_64,
    Debian,
    PackageMirror,
    PythonIndex,
    DockerEngine,
    DockerClient,
    Kubectl,
    Buildx,
    Podman,
    Buildah,
    Registry,
    Skopeo,
    Runc,
    Crun,
    QemuAmd64,
    QemuArm64,
    QemuRiscv64,
    Mmdebstrap,
    Compiler,
    Readelf,
    Xmllint,
    Patch,
    Openssl,
    Busybox,
    DumbInit,
    Runit,
    Python,
    Zip,
    Rpmbuild,
    Xz,
    Bzip2,
    Zstd,
    /// Needed by some trees of `IMGARCH_REALWORLD=all`. Must be installed by hand.
    Npm,
    /// As [`Need::Npm`].
    Pip,
}

/// How to check a need.
enum Probe {
    /// Depends on the kernel, this process' rights or the distribution. The error is the reason.
    System(fn() -> Result<(), String>),
    /// Needs a program on [`PATH`].
    Program(Program),
    /// Needs the network, which is only used with `IMGARCH_ENGINES=1`.
    Network(&'static str),
}

struct Program {
    name: &'static str,
    command: &'static str,
    /// The Debian package, as in `.ci/engines`.
    package: &'static str,
    /// The oldest sufficient version. Empty if any version will do.
    minimum: &'static str,
    /// The command that prints the version, if there is a minimum.
    version: &'static [&'static str],
    use_: Use,
}

/// How a test uses a program.
#[derive(PartialEq, Eq)]
enum Use {
    /// Runs it briefly.
    Runs,
    /// Starts it as a service, or builds and starts containers with it. Only with `IMGARCH_ENGINES=1`.
    Serves,
}

/// Debian's own commands come before others of the same name.
pub const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

const fn program(name: &'static str, command: &'static str, package: &'static str) -> Probe {
    Probe::Program(Program { name, command, package, minimum: "", version: &[], use_: Use::Runs })
}

const fn program_since(
    name: &'static str,
    command: &'static str,
    minimum: &'static str,
    version: &'static [&'static str],
) -> Probe {
    Probe::Program(Program { name, command, package: command, minimum, version, use_: Use::Runs })
}

const fn service(
    name: &'static str,
    command: &'static str,
    package: &'static str,
    minimum: &'static str,
    version: &'static [&'static str],
) -> Probe {
    Probe::Program(Program { name, command, package, minimum, version, use_: Use::Serves })
}

impl Need {
    /// The needs whose packages `.ci/engines` installs, and those that are not programs.
    const ALL: &[Need] = &[
        Need::Root,
        Need::Chroot,
        Need::MountNamespaces,
        Need::BinfmtMisc,
        Need::X86_64,
        Need::Debian,
        Need::PackageMirror,
        Need::PythonIndex,
        Need::DockerEngine,
        Need::DockerClient,
        Need::Kubectl,
        Need::Buildx,
        Need::Podman,
        Need::Buildah,
        Need::Registry,
        Need::Skopeo,
        Need::Runc,
        Need::Crun,
        Need::QemuAmd64,
        Need::QemuArm64,
        Need::QemuRiscv64,
        Need::Mmdebstrap,
        Need::Compiler,
        Need::Readelf,
        Need::Xmllint,
        Need::Patch,
        Need::Openssl,
        Need::Busybox,
        Need::DumbInit,
        Need::Runit,
        Need::Python,
        Need::Zip,
        Need::Rpmbuild,
        Need::Xz,
        Need::Bzip2,
        Need::Zstd,
    ];

    fn probe(self) -> Probe {
        match self {
            Need::Root => Probe::System(root),
            Need::Chroot => Probe::System(|| succeeds("chroot", &["/", "true"], "no right to chroot")),
            Need::MountNamespaces => {
                Probe::System(|| succeeds("unshare", &["--mount", "true"], "no right to make mount namespaces"))
            }
            Need::BinfmtMisc => Probe::System(binfmt_misc),
            Need::X86_64 => Probe::System(|| holds(cfg!(target_arch = "x86_64"), "the test's programs are for x86-64")),
            Need::Debian => Probe::System(|| holds(is_debian(), "the test's programs are Debian's")),
            Need::PackageMirror => Probe::Network("packages are fetched from Debian's mirror"),
            Need::PythonIndex => Probe::Network("packages are fetched from PyPI"),
            // The first version whose containerd image store the tests can use.
            Need::DockerEngine => service("Docker Engine", "dockerd", "docker.io", "24", &["dockerd", "--version"]),
            Need::DockerClient => service("docker command", "docker", "docker-cli", "24", &["docker", "--version"]),
            Need::Kubectl => program("kubectl", "kubectl", "kubernetes-client"),
            // The first version with `--quiet`, and with attestations in the form that the tests read.
            Need::Buildx => service("buildx", "docker", "docker-buildx", "0.13", &["docker", "buildx", "version"]),
            Need::Podman => service("podman", "podman", "podman", "4.3", &["podman", "--version"]),
            Need::Buildah => service("buildah", "buildah", "buildah", "1.28", &["buildah", "--version"]),
            Need::Registry => program("registry server", "docker-registry", "docker-registry"),
            Need::Skopeo => program_since("skopeo", "skopeo", "1.9", &["skopeo", "--version"]),
            Need::Runc => program_since("runc", "runc", "1.1", &["runc", "--version"]),
            Need::Crun => program_since("crun", "crun", "1.8", &["crun", "--version"]),
            Need::QemuAmd64 => program("emulator for amd64", "qemu-x86_64-static", "qemu-user-static"),
            Need::QemuArm64 => program("emulator for arm64", "qemu-aarch64-static", "qemu-user-static"),
            Need::QemuRiscv64 => program("emulator for riscv64", "qemu-riscv64-static", "qemu-user-static"),
            Need::Mmdebstrap => program("mmdebstrap", "mmdebstrap", "mmdebstrap"),
            Need::Compiler => program("C compiler", "cc", "gcc"),
            Need::Readelf => program("readelf", "readelf", "binutils"),
            Need::Xmllint => program("xmllint", "xmllint", "libxml2-utils"),
            Need::Patch => program("patch", "patch", "patch"),
            Need::Openssl => program("openssl", "openssl", "openssl"),
            Need::Busybox => program("busybox", "busybox", "busybox"),
            Need::DumbInit => program("dumb-init", "dumb-init", "dumb-init"),
            Need::Runit => program("chpst", "chpst", "runit"),
            Need::Python => program("python3", "python3", "python3"),
            Need::Zip => program("zip", "zip", "zip"),
            Need::Rpmbuild => program("rpmbuild", "rpmbuild", "rpm"),
            Need::Xz => program("xz", "xz", "xz-utils"),
            Need::Bzip2 => program("bzip2", "bzip2", "bzip2"),
            Need::Zstd => program("zstd", "zstd", "zstd"),
            Need::Npm => program("npm", "npm", "npm"),
            Need::Pip => program("pip", "pip3", "python3-pip"),
        }
    }

    /// The reason why this need is not met, or why it is not used without `IMGARCH_ENGINES=1`.
    fn reason(self) -> Option<String> {
        match self.probe() {
            Probe::System(probe) => probe().err(),
            Probe::Network(what) => (!is_asked()).then(|| format!("{what} only with {ASK}=1")),
            Probe::Program(program) => program.missing().or_else(|| {
                let is_held_back = program.use_ == Use::Serves && !is_asked();
                is_held_back.then(|| format!("{} is started only with {ASK}=1", program.name))
            }),
        }
    }
}

impl Program {
    /// For example "no Docker Engine 24 or later (docker.io 20.10.24 found)".
    fn missing(&self) -> Option<String> {
        let wanted = match self.minimum {
            "" => format!("no {}", self.name),
            minimum => format!("no {} {minimum} or later", self.name),
        };
        if find(self.command).is_none() {
            return Some(format!("{wanted} ({} is not installed)", self.package));
        }
        if self.minimum.is_empty() {
            return None;
        }
        match version_of(self.version) {
            Some(found) if numbers(&found) >= numbers(self.minimum) => None,
            Some(found) => Some(format!("{wanted} ({} {found} found)", self.package)),
            None => Some(format!("{wanted} (`{}` prints no version)", self.version.join(" "))),
        }
    }
}

/// The variable that enables engines, downloads and installation.
const ASK: &str = "IMGARCH_ENGINES";

/// Whether this run must meet every need, and fails if it cannot.
pub fn is_asked() -> bool {
    std::env::var_os(ASK).is_some_and(|value| value == "1")
}

/// Whether the machine has all of `needs`. If not, records `test` as skipped for the summary, and returns `false`.
///
/// # Panics
/// With `IMGARCH_ENGINES=1`, if a need is not met.
pub fn has(test: &str, needs: &[Need]) -> bool {
    let first = || needs.iter().find_map(|need| need.reason());
    let Some(mut reason) = first() else { return true };
    if is_asked() && needs.iter().any(|need| need.reason().is_some() && matches!(need.probe(), Probe::Program(_))) {
        install();
        match first() {
            Some(still) => reason = still,
            None => return true,
        }
    }
    skip(test, &reason);
    false
}

/// Skips `test` for a reason that only shows while it runs.
///
/// # Panics
/// With `IMGARCH_ENGINES=1`.
pub fn skip(test: &str, reason: &str) {
    assert!(!is_asked(), "{test} cannot run: {reason}");
    skipped::record(test, reason);
}

/// Skips `test` because it does not fit this machine, which `IMGARCH_ENGINES=1` cannot change.
pub fn skip_for_good(test: &str, reason: &str) {
    skipped::record(test, reason);
}

/// Installs what the tests need, once. The script prints what it installs and what it cannot install.
fn install() {
    static DONE: OnceLock<()> = OnceLock::new();
    DONE.get_or_init(|| {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(".ci/engines");
        let _ = Command::new(script).stdin(Stdio::null()).status();
    });
}

fn find(command: &str) -> Option<PathBuf> {
    PATH.split(':').map(|directory| Path::new(directory).join(command)).find(|path| path.exists())
}

fn version_of(command: &[&str]) -> Option<String> {
    let (program, arguments) = command.split_first()?;
    let output = Command::new(find(program)?).args(arguments).env("PATH", PATH).stdin(Stdio::null()).output().ok()?;
    first_version(&String::from_utf8_lossy(&output.stdout)).filter(|_| output.status.success())
}

/// The first number with a dot: "20.10.24" in "Docker version 20.10.24+dfsg1, build 297e128".
fn first_version(text: &str) -> Option<String> {
    let parts = text.split(|c: char| !c.is_ascii_digit() && c != '.').map(|part| part.trim_matches('.'));
    parts.into_iter().find(|part| part.contains('.')).map(str::to_string)
}

fn numbers(version: &str) -> Vec<u32> {
    version.split('.').map(|number| number.parse().unwrap_or(0)).collect()
}

fn holds(condition: bool, reason: &str) -> Result<(), String> {
    if condition { Ok(()) } else { Err(reason.to_string()) }
}

fn succeeds(program: &str, arguments: &[&str], reason: &str) -> Result<(), String> {
    let mut command = Command::new(program);
    command.args(arguments).env("PATH", PATH).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    holds(command.status().is_ok_and(|status| status.success()), reason)
}

/// Whether the tests run as root: only root can change the owner of files.
pub fn is_root() -> bool {
    // SAFETY: geteuid cannot fail.
    unsafe { libc::geteuid() == 0 }
}

fn root() -> Result<(), String> {
    holds(is_root(), "not run by root")
}

fn is_debian() -> bool {
    Path::new("/etc/debian_version").exists() && Path::new("/lib/x86_64-linux-gnu/libc.so.6").exists()
}

/// Probes in a separate mount namespace, so that nothing is left behind.
fn binfmt_misc() -> Result<(), String> {
    let script = "test -e /proc/sys/fs/binfmt_misc/register || mount -t binfmt_misc none /proc/sys/fs/binfmt_misc; \
                  test -w /proc/sys/fs/binfmt_misc/register";
    succeeds("unshare", &["--mount", "sh", "-c", script], "binfmt_misc cannot be mounted or written")
}

#[test]
fn versions_are_compared_by_their_numbers() {
    for (text, version) in [
        ("Docker version 20.10.24+dfsg1, build 297e128", "20.10.24"),
        ("github.com/docker/buildx 0.13.1+ds1 0.13.1+ds1-3", "0.13.1"),
        ("podman version 4.3.1", "4.3.1"),
        ("crun version 1.8.1\ncommit: f8a096be060b22ccd3d5f3ebe44108517fbf6c30", "1.8.1"),
        ("github.com/docker/buildx v0.29.1 a32761aeb3debd39be1eca514af3693af0db334b", "0.29.1"),
    ] {
        assert_eq!(first_version(text).as_deref(), Some(version));
    }
    assert_eq!(first_version("docker: 'buildx' is not a docker command."), None);
    assert!(numbers("20.10.24") < numbers("24") && numbers("24.0") >= numbers("24"));
    assert!(numbers("0.9") < numbers("0.13") && numbers("1.28.2") >= numbers("1.28"));
}

#[test]
fn the_script_installs_sufficient_versions_of_everything_in_the_table() {
    let script = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/.ci/engines")).unwrap();
    let list = script.split("packages=(").nth(1).and_then(|rest| rest.split("\n)").next()).expect("a list");
    let rows: Vec<Vec<&str>> =
        list.lines().map(|line| line.split('#').next().unwrap().trim().split(':').collect()).collect();
    for need in Need::ALL {
        let Probe::Program(program) = need.probe() else { continue };
        let row = rows.iter().find(|row| row[0] == program.package);
        let row = row.unwrap_or_else(|| panic!("{need:?}: .ci/engines does not install {}", program.package));
        let minimum = row.get(2).copied().unwrap_or_default();
        assert_eq!(minimum, program.minimum, "{need:?}: the minimum of {} in .ci/engines", program.package);
    }
}
