//! Collects the facts of [`super::machine`] with a few `docker` commands that do not change anything.

use super::docker::{Answer, CommandLine, Docker};
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
    let ask = |words: &[&str]| docker.ask(&CommandLine::docker(words)).map_err(|error| error.to_string());
    let podman = ask(&["--version"]).ok().and_then(|answer| machine::podman_version(&answer.stdout));
    let version = ask(&["version", "--format", "{{json .}}"]);
    let (client, daemon) = match &version {
        Err(cause) => (Err(cause.clone()), Err(cause.clone())),
        Ok(answer) => versions(answer),
    };
    let client = podman.map_or(client.map(Client::Docker), |version| Ok(Client::Podman(version)));
    let daemon = daemon.map(|Server { version, arch, is_desktop }| {
        let info =
            machine::info(&ask(&["info", "--format", "{{json .}}"]).map_or(String::new(), |answer| answer.stdout));
        let is_known = !info.kernel.is_empty() && !info.hostname.is_empty();
        let is_here = is_known && !is_desktop && info.hostname == kernel.hostname && info.kernel == kernel.release;
        Daemon { version, arch, store: info.store, is_desktop, is_here }
    });
    let stdout = |answer: Result<Answer, String>| {
        answer.and_then(|answer| if answer.is_success() { Ok(answer.stdout) } else { Err(answer.complaint()) })
    };
    let buildx = stdout(ask(&["buildx", "version"]))
        .and_then(|text| machine::buildx_version(&text).ok_or(format!("unexpected output {:?}", text.trim())));
    let inspect: Vec<&str> = ["buildx", "inspect"].into_iter().chain(builder).collect();
    // A builder on other machines does not need a daemon here, so the daemon's state does not matter.
    let builder = match &buildx {
        Ok(_) => stdout(ask(&inspect)).and_then(|text| machine::builder(&text)),
        Err(_) => Err("buildx is missing".to_string()),
    };
    Machine { client, daemon, buildx, builder, handlers: kernel.handlers, tried: kernel.tried, proofs: Vec::new() }
}

/// Parses `docker version`. If the daemon does not answer, the command fails but still prints the client's version.
fn versions(answer: &Answer) -> (Result<String, String>, Result<Server, String>) {
    let (client, daemon) = machine::versions(&answer.stdout);
    let client = client.ok_or_else(|| answer.complaint());
    (client, daemon.ok_or_else(|| answer.complaint()))
}
