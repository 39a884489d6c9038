//! What the machine that builds has: Docker's command, its daemon, buildx, the builder and its nodes. Pure reading of
//! what `docker` prints; nothing here runs it.

use serde_json::Value;

use crate::platform::{Arch, Fact, Handler, Platform};

/// Everything that decides whether, and how, this machine builds for other platforms.
#[derive(Clone, Debug, PartialEq)]
pub struct Machine {
    /// Version of the `docker` command; the error says why there is none.
    pub client: Result<String, String>,
    /// The daemon that it talks to, or why it does not answer.
    pub daemon: Result<Daemon, String>,
    /// Version of buildx, or why there is none.
    pub buildx: Result<String, String>,
    /// The builder that a build uses, or why it cannot be told.
    pub builder: Result<Builder, String>,
    /// binfmt_misc handlers of this machine's kernel; `None` where they are not to be seen.
    pub handlers: Option<Vec<Handler>>,
    /// Programs of these architectures were tried on this machine: whether they ran.
    pub tried: Vec<(Arch, Fact<bool>)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Daemon {
    pub version: String,
    pub arch: Option<Arch>,
    pub store: Store,
    /// Docker Desktop brings emulators of its own.
    pub is_desktop: bool,
    /// It runs on the kernel whose handlers are known; another machine's daemon, or one in a virtual machine, does not.
    pub is_here: bool,
}

/// Where the daemon keeps images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Store {
    /// Holds indexes: the `docker` driver builds several platforms.
    Containerd,
    /// Holds one platform a name.
    Classic,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Builder {
    pub name: String,
    pub driver: String,
    pub nodes: Vec<BuilderNode>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuilderNode {
    pub name: String,
    pub endpoint: String,
    pub status: String,
    pub buildkit: String,
    /// The node's own first, as BuildKit lists them; then what it emulates. Empty where the node is not running.
    pub platforms: Vec<Platform>,
    pub error: Option<String>,
}

/// How a platform comes to be built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// By a node of its architecture.
    Native { node: String },
    /// By a node that emulates it.
    Emulated { node: String },
    /// By a node that cannot run its programs: enough where no RUN is the target's.
    Foreign,
}

impl Builder {
    /// BuildKit elsewhere, which builds without a daemon here.
    pub fn needs_no_daemon(&self) -> bool {
        matches!(self.driver.as_str(), "remote" | "kubernetes") && self.nodes.iter().all(|node| node.error.is_none())
    }

    /// Whether its nodes are where the daemon is, as far as their endpoints tell.
    pub fn is_at_daemon(&self) -> bool {
        !self
            .nodes
            .iter()
            .any(|node| ["ssh://", "tcp://", "kubernetes://"].iter().any(|lead| node.endpoint.starts_with(lead)))
    }

    /// How this builder makes `platform`.
    pub fn way(&self, platform: &Platform) -> Way {
        let is_native = |node: &&BuilderNode| {
            node.platforms.first().and_then(Platform::arch).is_some_and(|own| runs_natively(own, platform))
        };
        if let Some(node) = self.nodes.iter().find(is_native) {
            return Way::Native { node: node.name.clone() };
        }
        let lists =
            |node: &&BuilderNode| node.platforms.iter().any(|one| one.is_wanted_as(platform) || one == platform);
        match self.nodes.iter().find(lists) {
            Some(node) => Way::Emulated { node: node.name.clone() },
            None => Way::Foreign,
        }
    }

    /// Whether what it builds can be pushed without a tag.
    pub fn pushes_by_digest(&self) -> bool {
        self.driver != "docker"
    }
}

/// amd64 runs i386; arm64 lists arm only where it does, so it is left to the list.
fn runs_natively(own: Arch, platform: &Platform) -> bool {
    platform.os == "linux"
        && (platform.arch() == Some(own) || (own == Arch::Amd64 && platform.arch() == Some(Arch::I386)))
}

/// The daemon's half of `docker version`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    pub version: String,
    pub arch: Option<Arch>,
    pub is_desktop: bool,
}

/// `docker version --format json`: the client's version, and the daemon's where it answered.
pub fn versions(text: &str) -> (Option<String>, Option<Server>) {
    let value: Value = serde_json::from_str(text.trim()).unwrap_or(Value::Null);
    let string = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_string);
    let server = &value["Server"];
    let is_desktop = server["Platform"]["Name"].as_str().is_some_and(|name| name.contains("Desktop"));
    let arch = server["Arch"].as_str().and_then(Arch::parse);
    let daemon = string(&server["Version"]).map(|version| Server { version, arch, is_desktop });
    (string(&value["Client"]["Version"]), daemon)
}

/// What `docker info --format json` tells of the daemon's store and of the machine that it runs on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    pub store: Store,
    pub hostname: String,
    pub kernel: String,
}

pub fn info(text: &str) -> Info {
    let value: Value = serde_json::from_str(text.trim()).unwrap_or(Value::Null);
    let string = |name: &str| value[name].as_str().unwrap_or("").to_string();
    Info { store: store(&value), hostname: string("Name"), kernel: string("KernelVersion") }
}

/// `driver-type: io.containerd.snapshotter.v1` tells the containerd image store.
fn store(value: &Value) -> Store {
    let rows = value["DriverStatus"].as_array().map_or(&[][..], Vec::as_slice);
    match rows.iter().any(|row| row[1].as_str().is_some_and(|kind| kind.starts_with("io.containerd.snapshotter"))) {
        true => Store::Containerd,
        false => Store::Classic,
    }
}

/// `docker buildx version`: `github.com/docker/buildx v0.13.1 788433953`.
pub fn buildx_version(text: &str) -> Option<String> {
    let mut words = text.split_ascii_whitespace();
    words
        .find(|word| word.ends_with("/buildx"))
        .and_then(|_| words.next())
        .map(|version| version.trim_start_matches('v').to_string())
}

/// `docker buildx inspect`: the builder's lines, then its nodes', each from a `Name:` on.
pub fn builder(text: &str) -> Option<Builder> {
    let (head, nodes) = text.split_once("Nodes:").unwrap_or((text, ""));
    let field = |text: &str, name: &str| {
        text.lines().find_map(|line| line.strip_prefix(name).map(|rest| rest.trim().to_string()))
    };
    let (name, driver) = (field(head, "Name:")?, field(head, "Driver:")?);
    let mut found = Vec::new();
    for block in nodes.split("\nName:").skip(1) {
        let block = format!("Name:{block}");
        let platforms = field(&block, "Platforms:").unwrap_or_default();
        // A star marks what the user set by hand.
        let platforms = platforms.split(',').filter_map(|text| Platform::parse(text.trim().trim_end_matches('*')).ok());
        found.push(BuilderNode {
            name: field(&block, "Name:").unwrap_or_default(),
            endpoint: field(&block, "Endpoint:").unwrap_or_default(),
            status: field(&block, "Status:").unwrap_or_default(),
            buildkit: field(&block, "BuildKit version:").or_else(|| field(&block, "Buildkit:")).unwrap_or_default(),
            platforms: platforms.collect(),
            error: field(&block, "Error:"),
        });
    }
    Some(Builder { name, driver, nodes: found })
}

#[cfg(test)]
mod tests {
    use super::*;

    const INSPECT: &str = "Name:          multi\nDriver:        docker-container\nLast Activity: 2026-11-20 10:12:31 +0000 UTC\n\nNodes:\nName:             multi0\nEndpoint:         unix:///var/run/docker.sock\nStatus:           running\nBuildKit version: v0.13.2\nPlatforms:        linux/amd64, linux/amd64/v2, linux/386, linux/arm64*\nLabels:\n org.mobyproject.buildkit.worker.executor: oci\n\nName:      multi1\nEndpoint:  ssh://pi\nError: no such host\nStatus:    inactive\n";

    #[test]
    fn a_builder_and_its_nodes_are_read() {
        let builder = builder(INSPECT).unwrap();
        assert_eq!(
            (builder.name.as_str(), builder.driver.as_str(), builder.nodes.len()),
            ("multi", "docker-container", 2)
        );
        assert_eq!(builder.nodes[0].buildkit, "v0.13.2");
        assert_eq!(builder.nodes[1].error.as_deref(), Some("no such host"));
        let way = |text: &str| builder.way(&Platform::parse(text).unwrap());
        assert_eq!(way("linux/amd64"), Way::Native { node: "multi0".into() });
        assert_eq!(way("linux/386"), Way::Native { node: "multi0".into() });
        assert_eq!(way("linux/arm64"), Way::Emulated { node: "multi0".into() });
        assert_eq!(way("linux/s390x"), Way::Foreign);
        assert!(builder.pushes_by_digest());
    }

    #[test]
    fn versions_and_stores_are_read() {
        let (client, daemon) = versions(
            r#"{"Client":{"Version":"26.1.5"},"Server":{"Platform":{"Name":"Docker Desktop 4"},"Version":"26.1.4","Arch":"arm64"}}"#,
        );
        assert_eq!(
            (client.as_deref(), daemon),
            (Some("26.1.5"), Some(Server { version: "26.1.4".to_string(), arch: Some(Arch::Arm64), is_desktop: true }))
        );
        assert_eq!(versions(r#"{"Client":{"Version":"20.10.24"},"Server":null}"#), (Some("20.10.24".into()), None));
        assert_eq!(versions(""), (None, None));
        let told = info(
            r#"{"Driver":"overlayfs","DriverStatus":[["driver-type","io.containerd.snapshotter.v1"]],"Name":"a","KernelVersion":"6.1"}"#,
        );
        assert_eq!(told, Info { store: Store::Containerd, hostname: "a".into(), kernel: "6.1".into() });
        let told = info(r#"{"Driver":"overlay2","DriverStatus":[["Backing Filesystem","extfs"]]}"#);
        assert_eq!(told.store, Store::Classic);
        assert_eq!(buildx_version("github.com/docker/buildx v0.13.1 788433953af1\n").as_deref(), Some("0.13.1"));
        assert_eq!(buildx_version("github.com/docker/buildx 0.13.1+ds1 0.13.1+ds1-3").as_deref(), Some("0.13.1+ds1"));
    }
}
