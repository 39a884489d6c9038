//! Checks whether this machine can build for the given platforms, and proposes the commands that fix each problem.
//! Pure: does not query or change the machine.

use super::docker::CommandLine;
use super::emulator::{self, Emulator, Trial};
use super::machine::{BuildClient, BuildHost, BuilderNode, BuildxBuilder, Daemon, ImageStore, Proof, Support};
use super::tool::{BuildTool, Driver};
use crate::platform::{Arch, Platform};

/// The result of one check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What was checked: "docker", "buildx", "linux/arm64".
    pub subject: String,
    pub state: CheckState,
    /// The result, as a sentence without a period.
    pub text: String,
    /// Ways to fix the problem, best first.
    pub remedies: Vec<Remedy>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CheckState {
    Good,
    /// Works, but slowly or in a limited way.
    Slow,
    Missing,
}

/// A command that fixes a problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remedy {
    pub command: CommandLine,
    /// What the command does to the machine.
    pub text: String,
    pub power: Power,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Power {
    /// An ordinary docker command.
    Plain,
    /// Runs a privileged container that changes kernel settings. Only run on request.
    Privileged,
    /// Never run by imgarch. Users read, adapt and run it themselves.
    ByHand,
}

/// The builder that imgarch proposes to create.
pub const BUILDER: &str = "imgarch";

/// Checks everything that matters for building `platforms` on this machine, in the order in which to fix it.
pub fn examine(machine: &BuildHost, platforms: &[Platform]) -> Vec<Check> {
    match machine.tool {
        BuildTool::Docker => {}
        BuildTool::Podman | BuildTool::Buildah => return examine_containers(machine, platforms),
    }
    let needs_daemon = !machine.builder.as_ref().is_ok_and(BuildxBuilder::needs_no_daemon);
    if let Ok(BuildClient::Podman(version)) = &machine.client {
        return vec![docker_is_podman(version)];
    }
    let mut checks = vec![client(machine), daemon(machine, needs_daemon), buildx(machine)];
    if machine.client.is_err() || machine.buildx.is_err() || (machine.daemon.is_err() && needs_daemon) {
        return checks;
    }
    match &machine.builder {
        Err(cause) => checks.push(Check {
            subject: "builder".to_string(),
            state: CheckState::Missing,
            text: format!("cannot determine the current builder: {cause}"),
            remedies: vec![own_builder(machine)],
        }),
        Ok(builder) => {
            checks.push(self::builder(machine, builder, platforms));
            checks.extend(builder.nodes.iter().filter(|node| !node.platforms.is_empty()).map(node));
            checks.extend(self::platforms(machine, builder, platforms));
        }
    }
    checks
}

/// Checks everything that matters for building `platforms` with podman or buildah.
fn examine_containers(machine: &BuildHost, platforms: &[Platform]) -> Vec<Check> {
    let name = machine.tool.name();
    let install = || vec![by_hand(&["sudo", "apt-get", "install", name], "install it, for example on Debian")];
    match (&machine.client, &machine.builder) {
        (Err(cause), _) => vec![missing(name, format!("the {name} command cannot be run: {cause}"), install())],
        (Ok(_), Err(cause)) => vec![missing(name, format!("{name} info failed: {cause}"), Vec::new())],
        (
            Ok(BuildClient::Docker(version) | BuildClient::Podman(version) | BuildClient::Buildah(version)),
            Ok(builder),
        ) => {
            let text = format!("version {version}; it writes OCI layouts, which imgarch pushes by digest");
            let mut checks = vec![good(name, text)];
            checks.extend(self::platforms(machine, builder, platforms));
            checks
        }
    }
}

/// Reports the emulators of this machine if it builds, and checks each platform.
fn platforms(machine: &BuildHost, builder: &BuildxBuilder, platforms: &[Platform]) -> Vec<Check> {
    let handlers = machine.handlers.as_ref().filter(|_| machine.builds_here(builder));
    let emulators = handlers.map(|handlers| good("emulators", emulator::list(handlers)));
    let each = platforms.iter().map(|platform| self::platform(machine, builder, platform));
    emulators.into_iter().chain(each).collect()
}

fn good(subject: &str, text: String) -> Check {
    Check { subject: subject.to_string(), state: CheckState::Good, text, remedies: Vec::new() }
}

fn missing(subject: &str, text: String, remedies: Vec<Remedy>) -> Check {
    Check { subject: subject.to_string(), state: CheckState::Missing, text, remedies }
}

fn by_hand(words: &[&str], text: &str) -> Remedy {
    Remedy { command: CommandLine::new(words), text: text.to_string(), power: Power::ByHand }
}

/// Proposes `docker buildx create --name imgarch --driver docker-container --bootstrap --use`, or to select that builder
/// if it exists.
fn own_builder(machine: &BuildHost) -> Remedy {
    let create = ["buildx", "create", "--name", BUILDER, "--driver", "docker-container", "--bootstrap", "--use"];
    let (words, what) = match machine.has_own_builder {
        true => (["buildx", "use", BUILDER].as_slice(), "selects the existing builder"),
        false => (create.as_slice(), "a separate builder"),
    };
    let text = format!("{what} (BuildKit in a container) that builds several platforms and pushes by digest");
    Remedy { command: CommandLine::docker(words), text, power: Power::Plain }
}

fn client(machine: &BuildHost) -> Check {
    match &machine.client {
        Ok(BuildClient::Docker(version) | BuildClient::Podman(version) | BuildClient::Buildah(version)) => {
            good("docker", format!("version {version}"))
        }
        Err(cause) => missing(
            "docker",
            format!("the docker command cannot be run: {cause}"),
            vec![by_hand(
                &["sudo", "apt-get", "install", "docker.io", "docker-buildx"],
                "install Docker, for example on Debian; see https://docs.docker.com/engine/install/",
            )],
        ),
    }
}

/// Reports that `docker` is podman, which has no buildx.
fn docker_is_podman(version: &str) -> Check {
    let install = by_hand(
        &["sudo", "apt-get", "install", "docker-cli", "docker-buildx"],
        "Docker's own command, for example on Debian; or build with podman: --with podman",
    );
    missing("docker", format!("the docker command is podman {version}, which has no buildx"), vec![install])
}

fn daemon(machine: &BuildHost, is_needed: bool) -> Check {
    match &machine.daemon {
        Ok(daemon) => {
            let store = match daemon.store {
                ImageStore::Containerd => "containerd image store",
                ImageStore::Classic => "classic image store",
            };
            let arch = daemon.arch.map_or("unknown".to_string(), |arch| arch.to_string());
            good("daemon", format!("version {}, {arch}, {store}", daemon.version))
        }
        Err(_) if !is_needed => good("daemon", "does not answer, but the builder does not need it".to_string()),
        Err(cause) => missing(
            "daemon",
            format!("the Docker daemon does not answer: {cause}"),
            vec![
                by_hand(&["sudo", "systemctl", "start", "docker"], "start it, or start Docker Desktop"),
                by_hand(
                    &["docker", "context", "ls"],
                    "list the daemons that docker can use; DOCKER_HOST and DOCKER_CONTEXT select one",
                ),
            ],
        ),
    }
}

fn buildx(machine: &BuildHost) -> Check {
    match &machine.buildx {
        Ok(version) => good("buildx", format!("version {version}")),
        Err(cause) => missing(
            "buildx",
            format!("the buildx plugin cannot be run: {cause}"),
            vec![by_hand(
                &["sudo", "apt-get", "install", "docker-buildx"],
                "Debian's and Ubuntu's package; Docker's own is docker-buildx-plugin",
            )],
        ),
    }
}

fn builder(machine: &BuildHost, builder: &BuildxBuilder, platforms: &[Platform]) -> Check {
    let shown = builder.label();
    let broken = builder
        .nodes
        .iter()
        .find_map(|node| node.error.as_ref().map(|error| format!("{shown}: node {}: {error}", node.name)));
    if let Some(text) = broken {
        return missing("builder", text, vec![replacement(machine, builder)]);
    }
    let silent = builder.nodes.iter().find(|node| node.platforms.is_empty());
    if let (Driver::Remote, Some(node)) = (&builder.driver, silent) {
        let text = format!("{shown}: BuildKit does not answer at {}", node.endpoint);
        return missing("builder", text, vec![replacement(machine, builder)]);
    }
    if builder.driver != Driver::Docker {
        return good("builder", shown);
    }
    let daemon = machine.daemon.as_ref().ok();
    if let Some(daemon) = daemon.filter(|daemon| daemon.store == ImageStore::Classic && platforms.len() > 1) {
        let text = format!("{shown} cannot build several platforms: {}", no_containerd_store(daemon));
        return missing("builder", text, store_remedies(machine, daemon));
    }
    Check {
        subject: "builder".to_string(),
        state: CheckState::Slow,
        text: format!("{shown} cannot push by digest: it writes OCI layouts, which imgarch pushes by digest"),
        remedies: vec![own_builder(machine)],
    }
}

/// Proposes another builder instead of one that does not work.
fn replacement(machine: &BuildHost, broken: &BuildxBuilder) -> Remedy {
    if broken.name != BUILDER {
        return own_builder(machine);
    }
    let text = "removes this builder with its cache; imgarch doctor --fix then creates it again";
    by_hand(&["docker", "buildx", "rm", BUILDER], text)
}

/// Returns why a daemon stores only one platform per name. Source: moby, release notes of 24.0, which added the
/// containerd image store.
fn no_containerd_store(daemon: &Daemon) -> String {
    match can_have_containerd_store(daemon) {
        true => "the daemon does not use the containerd image store".to_string(),
        false => format!("Engine {} has no containerd image store, which was added in 24", daemon.version),
    }
}

fn can_have_containerd_store(daemon: &Daemon) -> bool {
    let major = daemon.version.split('.').next().and_then(|major| major.parse::<u32>().ok());
    major.is_none_or(|major| major >= 24)
}

/// Proposes a separate builder and, if the engine supports it, the containerd image store.
fn store_remedies(machine: &BuildHost, daemon: &Daemon) -> Vec<Remedy> {
    let enable = by_hand(
        &["sudoedit", "/etc/docker/daemon.json"],
        "or enable the containerd image store: {\"features\": {\"containerd-snapshotter\": true}}, then restart the daemon; images of the old store do not appear in it",
    );
    std::iter::once(own_builder(machine)).chain(can_have_containerd_store(daemon).then_some(enable)).collect()
}

/// Reports a node and the platforms that it builds for.
fn node(node: &BuilderNode) -> Check {
    let platforms: Vec<String> = node.platforms.iter().map(ToString::to_string).collect();
    let version = if node.buildkit.is_empty() { "of unknown version" } else { &node.buildkit };
    let text = format!("{}, BuildKit {version}: {}", node.status, platforms.join(", "));
    good(&format!("node {}", node.name), text)
}

/// Returns the problem if the `docker` driver cannot write an OCI layout: only the containerd image store exports one.
pub fn no_layouts(machine: &BuildHost) -> Option<Check> {
    let builder = machine.builder.as_ref().ok().filter(|builder| builder.driver == Driver::Docker)?;
    let daemon = machine.daemon.as_ref().ok().filter(|daemon| daemon.store == ImageStore::Classic)?;
    let text = format!(
        "{} (docker) neither pushes by digest nor writes OCI layouts: {}",
        builder.name,
        no_containerd_store(daemon)
    );
    Some(missing("builder", text, store_remedies(machine, daemon)))
}

fn platform(machine: &BuildHost, builder: &BuildxBuilder, platform: &Platform) -> Check {
    let subject = platform.to_string();
    let proof = machine.proof(platform);
    if let Some(Proof::Refused(why)) = proof {
        let text =
            format!("builder {} claims to support it, but a test program does not run there: {why}", builder.name);
        return missing(&subject, text, install(machine, platform, builder));
    }
    let proved = match proof {
        Some(Proof::Ran) => "; a test program ran there".to_string(),
        Some(Proof::Unknown(why)) => format!("; could not test whether its programs run there: {why}"),
        Some(Proof::Refused(_)) | None => String::new(),
    };
    match emulator::support(machine, platform).unwrap_or(Support::Foreign) {
        Support::Native { node } => good(&subject, format!("native on node {node}{proved}")),
        Support::Emulated { node } => {
            let emulator =
                platform.arch().map_or(Emulator::Unseen, |arch| emulator::judge_emulator(machine, builder, arch));
            let by = match emulator {
                Emulator::Broken(handler, fault) => {
                    return missing(&subject, fault.text(handler), install(machine, platform, builder));
                }
                Emulator::Works(handler, trial) => {
                    let tried = if trial == Trial::Ran { ", which ran a test program" } else { "" };
                    format!(" by {} ({}){tried}", handler.interpreter, emulator::flags(handler))
                }
                Emulator::Unseen | Emulator::Absent => String::new(),
            };
            let bypassed = builder.bypassed(platform).map_or(String::new(), |native| {
                format!("; node {} is native, but buildx prefers the first node that lists a platform", native.name)
            });
            let unlisted = match builder.support(platform) {
                Support::Foreign => format!("; builder {} does not list it yet", builder.name),
                Support::Native { .. } | Support::Emulated { .. } => String::new(),
            };
            let text =
                format!("emulated on node {node}{by}: RUN steps are several times slower{proved}{bypassed}{unlisted}");
            Check { subject, state: CheckState::Slow, text, remedies: native_node(machine, platform, builder) }
        }
        Support::Foreign => {
            let not_running = builder.nodes.iter().all(|node| node.platforms.is_empty());
            if not_running && builder.driver == Driver::Remote {
                return missing(&subject, format!("builder {} does not answer", builder.name), Vec::new());
            }
            if not_running {
                let start = Remedy {
                    command: CommandLine::docker(["buildx", "inspect", "--bootstrap", &builder.name]),
                    text: "start the builder, so that it reports its platforms".to_string(),
                    power: Power::Plain,
                };
                return missing(&subject, format!("builder {} is not running", builder.name), vec![start]);
            }
            let emulator =
                platform.arch().map_or(Emulator::Unseen, |arch| emulator::judge_emulator(machine, builder, arch));
            let text = match emulator {
                Emulator::Broken(handler, fault) => fault.text(handler),
                _ => "no node runs its programs: RUN steps of this platform end in exec format error".to_string(),
            };
            missing(&subject, text, install(machine, platform, builder))
        }
    }
}

/// Returns tonistiigi/binfmt's name of an architecture. Source: its README, "Installing emulators".
fn emulator_name(arch: Arch) -> &'static str {
    match arch {
        Arch::I386 => "386",
        other => other.oci(),
    }
}

fn install(machine: &BuildHost, platform: &Platform, builder: &BuildxBuilder) -> Vec<Remedy> {
    let Some(arch) = platform.arch() else { return Vec::new() };
    let run = |tool: BuildTool, image: &str| Remedy {
        command: CommandLine::new([
            tool.name(),
            "run",
            "--privileged",
            "--rm",
            image,
            "--install",
            emulator_name(arch),
        ]),
        text: "registers QEMU with the kernel, for every container on this machine".to_string(),
        power: Power::Privileged,
    };
    let install = match builder.driver {
        Driver::Docker | Driver::DockerContainer | Driver::Kubernetes | Driver::Remote | Driver::Other(_) => {
            run(BuildTool::Docker, "tonistiigi/binfmt")
        }
        // podman has no default registry.
        Driver::Podman => run(BuildTool::Podman, "docker.io/tonistiigi/binfmt"),
        // buildah does not run images.
        Driver::Buildah => by_hand(
            &["sudo", "apt-get", "install", "qemu-user-static", "binfmt-support"],
            "registers QEMU with the kernel, for example on Debian",
        ),
    };
    std::iter::once(install).chain(native_node(machine, platform, builder)).collect()
}

fn native_node(machine: &BuildHost, platform: &Platform, builder: &BuildxBuilder) -> Vec<Remedy> {
    if matches!(builder.driver, Driver::Podman | Driver::Buildah) {
        let words = ["imgarch", "rebuild", "IMAGE", "--layout", "DIR"];
        let text = "merges an OCI layout that a machine of this platform built, for example its own CI runner";
        return vec![by_hand(&words, text)];
    }
    let name = if builder.driver == Driver::Docker { BUILDER } else { builder.name.as_str() };
    let bypassed = builder.bypassed(platform);
    let platform = platform.to_string();
    if let Some(BuilderNode { name: node, endpoint, .. }) = bypassed {
        let append = ["docker", "buildx", "create", "--append", "--name", name, "--node", node];
        let words = [&append[..], &["--platform", &platform, endpoint]].concat();
        return vec![by_hand(&words, "builds it on that node")];
    }
    let words =
        ["docker", "buildx", "create", "--append", "--name", name, "--platform", &platform, "ssh://user@native-host"];
    let full_speed = "a native node builds at full speed";
    match builder.driver == Driver::Docker && !machine.has_own_builder {
        // buildx appends only to a builder that exists.
        true => vec![by_hand(&words, &format!("{full_speed}; create the builder {BUILDER} first"))],
        false => vec![by_hand(&words, full_speed)],
    }
}

#[cfg(test)]
#[path = "doctor_tests.rs"]
mod tests;
