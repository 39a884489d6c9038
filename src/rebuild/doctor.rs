//! Can this machine build for these platforms? Facts in, gaps out, each with the command that closes it. Pure: nothing
//! here asks the machine or changes it.

use super::docker::CommandLine;
use super::machine::{Builder, Daemon, Machine, Store, Way};
use crate::platform::{Arch, Fact, Handler, Platform, binfmt};

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What: "docker", "buildx", "linux/arm64".
    pub subject: String,
    pub state: State,
    /// What was found, in a sentence without a period.
    pub text: String,
    /// What closes the gap; the first is the one to try.
    pub remedies: Vec<Remedy>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    Good,
    /// Works, but slowly or not as well as it could.
    Slow,
    Missing,
}

/// A command that closes a gap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remedy {
    pub command: CommandLine,
    /// What it does to the machine.
    pub text: String,
    pub power: Power,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Power {
    /// What a user of docker does every day.
    Plain,
    /// Runs a privileged container, which changes the kernel's settings: never unasked.
    Privileged,
    /// Not a command of ours: to be read, adapted and run by the user.
    ByHand,
}

/// The builder that imgarch proposes to create.
pub const BUILDER: &str = "imgarch";

/// Everything that matters for building `platforms` here, in the order in which it must be mended.
pub fn examine(machine: &Machine, platforms: &[Platform]) -> Vec<Check> {
    let mut checks = vec![client(machine), daemon(machine), buildx(machine)];
    if machine.client.is_err() || machine.daemon.is_err() || machine.buildx.is_err() {
        return checks;
    }
    let daemon = machine.daemon.as_ref().ok();
    match &machine.builder {
        Err(cause) => checks.push(Check {
            subject: "builder".to_string(),
            state: State::Missing,
            text: format!("the current builder cannot be told: {cause}"),
            remedies: vec![create_builder()],
        }),
        Ok(builder) => {
            checks.push(self::builder(builder, daemon, platforms));
            checks.extend(platforms.iter().map(|platform| self::platform(machine, builder, platform)));
        }
    }
    checks
}

fn good(subject: &str, text: String) -> Check {
    Check { subject: subject.to_string(), state: State::Good, text, remedies: Vec::new() }
}

fn missing(subject: &str, text: String, remedies: Vec<Remedy>) -> Check {
    Check { subject: subject.to_string(), state: State::Missing, text, remedies }
}

fn by_hand(words: &[&str], text: &str) -> Remedy {
    Remedy { command: CommandLine::new(words), text: text.to_string(), power: Power::ByHand }
}

/// `docker buildx create --name imgarch --driver docker-container --bootstrap`.
fn create_builder() -> Remedy {
    Remedy {
        command: CommandLine::docker([
            "buildx",
            "create",
            "--name",
            BUILDER,
            "--driver",
            "docker-container",
            "--bootstrap",
            "--use",
        ]),
        text: "a builder of its own (BuildKit in a container), which builds several platforms and pushes by digest"
            .to_string(),
        power: Power::Plain,
    }
}

fn client(machine: &Machine) -> Check {
    match &machine.client {
        Ok(version) => good("docker", format!("version {version}")),
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

fn daemon(machine: &Machine) -> Check {
    match &machine.daemon {
        Ok(daemon) => {
            let store = match daemon.store {
                Store::Containerd => "containerd image store",
                Store::Classic => "classic image store",
            };
            let arch = daemon.arch.map_or("unknown".to_string(), |arch| arch.to_string());
            good("daemon", format!("version {}, {arch}, {store}", daemon.version))
        }
        Err(cause) => missing(
            "daemon",
            format!("the Docker daemon does not answer: {cause}"),
            vec![
                by_hand(&["sudo", "systemctl", "start", "docker"], "start it, or start Docker Desktop"),
                by_hand(
                    &["docker", "context", "ls"],
                    "see which daemon the command talks to; DOCKER_HOST and DOCKER_CONTEXT choose it",
                ),
            ],
        ),
    }
}

fn buildx(machine: &Machine) -> Check {
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

fn builder(builder: &Builder, daemon: Option<&Daemon>, platforms: &[Platform]) -> Check {
    let shown = format!("{} ({})", builder.name, builder.driver);
    let broken = builder
        .nodes
        .iter()
        .find_map(|node| node.error.as_ref().map(|error| format!("{shown}: node {}: {error}", node.name)));
    if let Some(text) = broken {
        return missing("builder", text, vec![create_builder()]);
    }
    if builder.driver != "docker" {
        let nodes: Vec<String> =
            builder.nodes.iter().map(|node| format!("{} {}", node.name, node.buildkit).trim().to_string()).collect();
        return good("builder", format!("{shown}; nodes: {}", nodes.join(", ")));
    }
    let is_classic = daemon.is_some_and(|daemon| daemon.store == Store::Classic);
    if is_classic && platforms.len() > 1 {
        let enable = by_hand(
            &["dockerd", "--feature", "containerd-snapshotter=true"],
            "or enable the containerd image store: {\"features\": {\"containerd-snapshotter\": true}} in /etc/docker/daemon.json, then restart the daemon (Engine 24 and later)",
        );
        let text =
            format!("{shown} cannot build several platforms: the daemon does not use the containerd image store");
        return missing("builder", text, vec![create_builder(), enable]);
    }
    Check {
        subject: "builder".to_string(),
        state: State::Slow,
        text: format!("{shown} cannot push by digest: it writes OCI layouts, which imgarch pushes by digest"),
        remedies: vec![create_builder()],
    }
}

/// What keeps the `docker` driver from writing an OCI layout: only the containerd image store exports one.
pub fn no_layouts(machine: &Machine) -> Option<Check> {
    let builder = machine.builder.as_ref().ok().filter(|builder| !builder.pushes_by_digest())?;
    let is_classic = machine.daemon.as_ref().is_ok_and(|daemon| daemon.store == Store::Classic);
    let text = format!(
        "{} (docker) neither pushes by digest nor writes OCI layouts: the daemon does not use the containerd image store",
        builder.name
    );
    is_classic.then(|| missing("builder", text, vec![create_builder()]))
}

fn platform(machine: &Machine, builder: &Builder, platform: &Platform) -> Check {
    let subject = platform.to_string();
    match builder.way(platform) {
        Way::Native { node } => good(&subject, format!("native on node {node}")),
        Way::Emulated { node } => match broken_emulator(machine, platform) {
            Some(cause) => missing(&subject, cause, install(platform, builder)),
            None => Check {
                subject,
                state: State::Slow,
                text: format!("emulated on node {node}: RUN steps are several times slower"),
                remedies: native_node(platform, builder),
            },
        },
        Way::Foreign => {
            let not_running = builder.nodes.iter().all(|node| node.platforms.is_empty());
            if not_running {
                let start = Remedy {
                    command: CommandLine::docker(["buildx", "inspect", "--bootstrap", &builder.name]),
                    text: "start the builder, so that it tells its platforms".to_string(),
                    power: Power::Plain,
                };
                return missing(&subject, format!("builder {} is not running", builder.name), vec![start]);
            }
            let text = "no node runs its programs: RUN steps of this platform end in exec format error".to_string();
            missing(&subject, text, install(platform, builder))
        }
    }
}

/// Registered is not working: what the trial on this machine, or the handler's flags, say against it.
fn broken_emulator(machine: &Machine, platform: &Platform) -> Option<String> {
    let arch = platform.arch()?;
    let handler: Option<&Handler> = machine.handlers.iter().find(|handler| binfmt::takes_arch(handler, arch));
    let was_refused = machine.tried.iter().any(|(tried, ran)| *tried == arch && *ran == Fact::Known(false));
    match handler {
        Some(handler) if was_refused => Some(format!(
            "the emulator {} is registered, but a program of this platform does not run with it",
            handler.interpreter
        )),
        Some(handler) if !handler.fixed => Some(format!(
            "the emulator {} is registered without flag F: a container does not see it",
            handler.interpreter
        )),
        _ => None,
    }
}

/// tonistiigi/binfmt's name of an architecture. Source: its README, "Installing emulators".
fn emulator_name(arch: Arch) -> &'static str {
    match arch {
        Arch::I386 => "386",
        other => other.oci(),
    }
}

fn install(platform: &Platform, builder: &Builder) -> Vec<Remedy> {
    let Some(arch) = platform.arch() else { return Vec::new() };
    let install = Remedy {
        command: CommandLine::docker([
            "run",
            "--privileged",
            "--rm",
            "tonistiigi/binfmt",
            "--install",
            emulator_name(arch),
        ]),
        text: "registers QEMU with the kernel, for every container of this machine".to_string(),
        power: Power::Privileged,
    };
    std::iter::once(install).chain(native_node(platform, builder)).collect()
}

fn native_node(platform: &Platform, builder: &Builder) -> Vec<Remedy> {
    let name = if builder.driver == "docker" { BUILDER } else { builder.name.as_str() };
    let platform = platform.to_string();
    let words =
        ["docker", "buildx", "create", "--append", "--name", name, "--platform", &platform, "ssh://user@native-host"];
    vec![by_hand(&words, "a native node builds at full speed")]
}

#[cfg(test)]
#[path = "doctor_tests.rs"]
mod tests;
