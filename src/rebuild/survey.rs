//! Collects the facts of [`super::machine`] with a few `docker` commands that do not change anything.

use super::docker::{CommandLine, CommandOutput, Docker};
use super::machine::{self, Client, Daemon, Machine, Server};
use crate::platform::{Arch, Fact, Handler};

/// Facts about this machine's kernel, supplied by the caller.
#[derive(Clone, Debug, Default)]
pub struct Kernel {
    /// `None` if they cannot be read.
    pub handlers: Option<Vec<Handler>>,
    pub tried: Vec<(Arch, Fact<bool>)>,
    /// `uname -n` and `uname -r`, which identify a daemon on this kernel.
    pub hostname: String,
    pub release: String,
}

/// Queries `docker`, its daemon, buildx and the builder: the named one, or the current one.
pub fn survey(docker: &dyn Docker, builder: Option<&str>, kernel: Kernel) -> Machine {
    let query = |words: &[&str]| docker.output(&CommandLine::docker(words)).map_err(|error| error.to_string());
    let podman = query(&["--version"]).ok().and_then(|output| machine::podman_version(&output.stdout));
    let version = query(&["version", "--format", "{{json .}}"]);
    let (client, daemon) = match &version {
        Err(cause) => (Err(cause.clone()), Err(cause.clone())),
        Ok(output) => versions(output),
    };
    let client = podman.map_or(client.map(Client::Docker), |version| Ok(Client::Podman(version)));
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
    Machine { client, daemon, buildx, builder, handlers: kernel.handlers, tried: kernel.tried, proofs: Vec::new() }
}

/// Parses `docker version`. If the daemon does not answer, the command fails but still prints the client's version.
fn versions(output: &CommandOutput) -> (Result<String, String>, Result<Server, String>) {
    let (client, daemon) = machine::versions(&output.stdout);
    let client = client.ok_or_else(|| output.error_line());
    (client, daemon.ok_or_else(|| output.error_line()))
}
