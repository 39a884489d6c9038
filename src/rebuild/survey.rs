//! Collects the facts of [`super::machine`] with a few commands that do not change anything.

use super::docker::{CommandLine, CommandOutput, Docker, QUERY_LIMIT};
use super::doctor::BUILDER;
use super::machine::{self, BuildClient, BuildHost, BuilderNode, BuildxBuilder, Daemon, HERE, Server};
use super::tool::{BuildTool, Driver};
use crate::platform::{Arch, Fact, Handler, Platform, binfmt};

/// Facts about this machine's kernel, supplied by the caller.
#[derive(Clone, Debug, Default)]
pub struct KernelFacts {
    /// `None` if they cannot be read.
    pub handlers: Option<Vec<Handler>>,
    pub tried: Vec<(Arch, Fact<bool>)>,
    /// `uname -n` and `uname -r`, which identify a daemon on this kernel.
    pub hostname: String,
    pub release: String,
}

/// Returns the program that builds if the user named none: docker, or podman or buildah if docker is not installed.
/// podman's `docker` command counts as podman.
pub fn detect(docker: &dyn Docker) -> BuildTool {
    let version = |tool: BuildTool| docker.output(&CommandLine::new([tool.name(), "--version"]), QUERY_LIMIT);
    let is_docker = version(BuildTool::Docker).is_ok_and(|output| machine::podman_version(&output.stdout).is_none());
    let runs = |tool: &&BuildTool| version(**tool).is_ok_and(|output| output.is_success());
    match is_docker {
        true => BuildTool::Docker,
        false => [BuildTool::Podman, BuildTool::Buildah].iter().find(runs).copied().unwrap_or(BuildTool::Docker),
    }
}

/// Queries podman or buildah. Its builder has one node: this machine, or the machine of podman's service.
pub fn survey_containers(docker: &dyn Docker, driver: Driver, kernel: KernelFacts, wanted: &[Platform]) -> BuildHost {
    let tool = if driver == Driver::Buildah { BuildTool::Buildah } else { BuildTool::Podman };
    let query = |words: &[&str]| {
        let line = CommandLine::new(std::iter::once(tool.name()).chain(words.iter().copied()));
        let output = docker.output(&line, QUERY_LIMIT).map_err(|error| error.to_string())?;
        if output.is_success() { Ok(output.stdout) } else { Err(output.error_line()) }
    };
    let unexpected = |text: &str| format!("unexpected output {:?}", text.trim());
    let version = query(&["--version"]);
    let client = version.and_then(|text| match tool {
        BuildTool::Buildah => {
            machine::buildah_version(&text).map(BuildClient::Buildah).ok_or_else(|| unexpected(&text))
        }
        BuildTool::Docker | BuildTool::Podman => {
            machine::podman_version(&text).map(BuildClient::Podman).ok_or_else(|| unexpected(&text))
        }
    });
    let info = match tool {
        BuildTool::Buildah => query(&["info"]),
        BuildTool::Docker | BuildTool::Podman => query(&["info", "--format", "json"]),
    };
    let host = info.and_then(|text| machine::container_host(&text).ok_or_else(|| "unexpected output".to_string()));
    let builder = host.map(|host| {
        let is_here = host.hostname == kernel.hostname && host.kernel == kernel.release;
        let mut platforms: Vec<Platform> = host.platform.iter().chain(&host.emulated).cloned().collect();
        let has_handler = |platform: &&Platform| {
            let handlers = kernel.handlers.as_ref().filter(|_| is_here && platform.os == "linux");
            let arch = platform.arch();
            handlers.is_some_and(|all| all.iter().any(|one| arch.is_some_and(|arch| binfmt::takes_arch(one, arch))))
        };
        platforms.extend(wanted.iter().filter(has_handler).cloned());
        let node = BuilderNode {
            name: host.hostname.clone(),
            endpoint: if is_here { HERE.to_string() } else { host.hostname },
            status: "running".to_string(),
            buildkit: String::new(),
            platforms,
            by_hand: Vec::new(),
            error: None,
        };
        BuildxBuilder { name: tool.name().to_string(), driver, nodes: vec![node] }
    });
    let none = |what: &str| format!("{} needs no {what}", tool.name());
    BuildHost {
        tool,
        client,
        daemon: Err(none("daemon")),
        buildx: Err(none("buildx")),
        builder,
        has_own_builder: false,
        handlers: kernel.handlers,
        tried: kernel.tried,
        proofs: Vec::new(),
    }
}

/// Queries `docker`, its daemon, buildx and the builder: the named one, or the current one.
pub fn survey(docker: &dyn Docker, builder: Option<&str>, kernel: KernelFacts) -> BuildHost {
    let query =
        |words: &[&str]| docker.output(&CommandLine::docker(words), QUERY_LIMIT).map_err(|error| error.to_string());
    let podman = query(&["--version"]).ok().and_then(|output| machine::podman_version(&output.stdout));
    let version = query(&["version", "--format", "{{json .}}"]);
    let (client, daemon) = match &version {
        Err(cause) => (Err(cause.clone()), Err(cause.clone())),
        Ok(output) => versions(output),
    };
    let client = podman.map_or(client.map(BuildClient::Docker), |version| Ok(BuildClient::Podman(version)));
    let daemon = daemon.map(|Server { version, arch, is_desktop }| {
        let info =
            machine::info(&query(&["info", "--format", "{{json .}}"]).map_or(String::new(), |output| output.stdout));
        let is_known = !info.kernel.is_empty() && !info.hostname.is_empty();
        let is_here = is_known && !is_desktop && info.hostname == kernel.hostname && info.kernel == kernel.release;
        Daemon { version, arch, store: info.store, is_desktop, is_here }
    });
    let stdout = |output: Result<CommandOutput, String>| {
        output.and_then(|output| if output.is_success() { Ok(output.stdout) } else { Err(output.error_line()) })
    };
    let buildx = stdout(query(&["buildx", "version"]))
        .and_then(|text| machine::buildx_version(&text).ok_or(format!("unexpected output {:?}", text.trim())));
    let inspect: Vec<&str> = ["buildx", "inspect"].into_iter().chain(builder).collect();
    // A builder on other machines does not need a daemon here, so the daemon's state does not matter.
    let builder = match &buildx {
        Ok(_) => stdout(query(&inspect)).and_then(|text| machine::builder(&text)),
        Err(_) => Err("buildx is missing".to_string()),
    };
    let is_own = |builder: &BuildxBuilder| builder.name == BUILDER;
    let inspect_own = || stdout(query(&["buildx", "inspect", BUILDER])).and_then(|text| machine::builder(&text));
    let has_own_builder = builder.as_ref().is_ok_and(is_own) || (buildx.is_ok() && inspect_own().is_ok());
    BuildHost {
        tool: BuildTool::Docker,
        client,
        daemon,
        buildx,
        builder,
        has_own_builder,
        handlers: kernel.handlers,
        tried: kernel.tried,
        proofs: Vec::new(),
    }
}

/// Parses `docker version`. If the daemon does not answer, the command fails but still prints the client's version.
fn versions(output: &CommandOutput) -> (Result<String, String>, Result<Server, String>) {
    let (client, daemon) = machine::versions(&output.stdout);
    let client = client.ok_or_else(|| output.error_line());
    (client, daemon.ok_or_else(|| output.error_line()))
}
