//! The machine that builds: the docker command, its daemon, buildx, the builder and its nodes. Parses the output of
//! `docker` and does not run it.

use serde_json::Value;

use super::tool::{BuildTool, Driver};
use crate::platform::{Arch, Fact, Handler, Platform};

/// The facts that decide whether and how this machine builds for other platforms.
#[derive(Clone, Debug, PartialEq)]
pub struct BuildHost {
    /// The program that builds.
    pub tool: BuildTool,
    /// The program that the tool's command runs, or why there is none.
    pub client: Result<BuildClient, String>,
    /// The daemon that `docker` connects to, or why it does not answer.
    pub daemon: Result<Daemon, String>,
    /// Version of buildx, or why there is none.
    pub buildx: Result<String, String>,
    /// The builder that a build uses, or why it is unknown.
    pub builder: Result<BuildxBuilder, String>,
    /// Whether a builder with the name that imgarch proposes exists.
    pub has_own_builder: bool,
    /// binfmt_misc handlers of this machine's kernel; `None` if they cannot be read.
    pub handlers: Option<Vec<Handler>>,
    /// Architectures whose programs were tried on this machine, and whether they ran.
    pub tried: Vec<(Arch, Fact<bool>)>,
    /// Platforms whose programs were tried on the builder, with the results.
    pub proofs: Vec<(Platform, Proof)>,
}

/// The program of a command, with its version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BuildClient {
    Docker(String),
    /// podman, which has no buildx even if its command is named `docker`.
    Podman(String),
    Buildah(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Daemon {
    pub version: String,
    pub arch: Option<Arch>,
    pub store: ImageStore,
    /// Docker Desktop has its own emulators.
    pub is_desktop: bool,
    /// Whether the daemon runs on the kernel whose handlers are known, and not on another machine or in a virtual
    /// machine.
    pub is_here: bool,
}

/// The daemon's image store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageStore {
    /// Stores indexes, so the `docker` driver can build several platforms.
    Containerd,
    /// Stores one platform per name.
    Classic,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildxBuilder {
    pub name: String,
    pub driver: Driver,
    pub nodes: Vec<BuilderNode>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuilderNode {
    pub name: String,
    /// Its address, as in `ssh://pi`. [`HERE`] for podman and buildah on this machine.
    pub endpoint: String,
    pub status: String,
    pub buildkit: String,
    /// The node's native platforms, then those that it emulates, in BuildKit's order. Empty if the node is not running.
    pub platforms: Vec<Platform>,
    /// Platforms that the user set by hand. They come first and prove nothing about the node.
    pub by_hand: Vec<Platform>,
    pub error: Option<String>,
}

/// The endpoint of a builder without a daemon that runs on this machine's kernel.
pub const HERE: &str = "this machine";

/// The result of running a program of a platform on a builder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    Ran,
    /// The program did not start, or did not exit as expected.
    Refused(String),
    /// The build failed for another reason.
    Unknown(String),
}

/// How a builder can build for a platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Support {
    /// On a node of the same architecture.
    Native { node: String },
    /// On a node that emulates it.
    Emulated { node: String },
    /// On a node that cannot run its programs. Sufficient if no RUN instruction runs on the target platform.
    Foreign,
}

impl BuildHost {
    /// Whether the programs of a build run on this machine's kernel.
    pub fn builds_here(&self, builder: &BuildxBuilder) -> bool {
        match self.tool {
            BuildTool::Docker => self.daemon.as_ref().is_ok_and(|daemon| daemon.is_here) && builder.is_at_daemon(),
            BuildTool::Podman | BuildTool::Buildah => builder.nodes.iter().all(|node| node.endpoint == HERE),
        }
    }

    /// Returns the result of running a program of this platform on the builder.
    pub fn proof(&self, platform: &Platform) -> Option<&Proof> {
        self.proofs.iter().find(|(proved, _)| proved == platform).map(|(_, proof)| proof)
    }
}

impl BuildxBuilder {
    /// Formats the name and driver, such as `imgarch (docker-container)`.
    pub fn label(&self) -> String {
        format!("{} ({})", self.name, self.driver)
    }

    /// Whether it builds without a Docker daemon on this machine.
    pub fn needs_no_daemon(&self) -> bool {
        self.driver.needs_no_daemon() && self.nodes.iter().all(|node| node.error.is_none())
    }

    /// Whether its nodes are on the daemon's machine, judging by their endpoints.
    fn is_at_daemon(&self) -> bool {
        !self
            .nodes
            .iter()
            .any(|node| ["ssh://", "tcp://", "kubernetes://"].iter().any(|lead| node.endpoint.starts_with(lead)))
    }

    /// Returns how this builder can build `platform`.
    pub fn support(&self, platform: &Platform) -> Support {
        match self.node(platform) {
            Some(node) if node.is_native(platform) => Support::Native { node: node.name.clone() },
            Some(node) => Support::Emulated { node: node.name.clone() },
            None => Support::Foreign,
        }
    }

    /// Returns the node that buildx chooses for `platform`: the first for which the user set it, else the first that
    /// lists it. buildx does not know which nodes are native. Source: docker/buildx, build/resolver/driver.go.
    fn node(&self, platform: &Platform) -> Option<&BuilderNode> {
        let is_same = |one: &Platform| one.is_wanted_as(platform) || one == platform;
        let find = |choose: &dyn Fn(&&BuilderNode) -> bool| self.nodes.iter().find(choose);
        find(&|node| node.by_hand.iter().any(is_same))
            .or_else(|| find(&|node| node.platforms.iter().any(is_same)))
            .or_else(|| find(&|node| node.is_native(platform)))
    }

    /// Returns a native node that buildx does not choose for `platform`, because it prefers an earlier one.
    pub fn bypassed(&self, platform: &Platform) -> Option<&BuilderNode> {
        let chosen = self.node(platform)?;
        self.nodes.iter().find(|node| node.is_native(platform)).filter(|_| !chosen.is_native(platform))
    }
}

impl BuilderNode {
    /// Whether its CPU runs programs of `platform`.
    fn is_native(&self, platform: &Platform) -> bool {
        self.own_arch().is_some_and(|own| runs_natively(own, platform))
    }

    /// The first platform that BuildKit reports is native. A platform that was also set by hand is not repeated in the
    /// list, so the first that is left may be the 32-bit one of the same CPU.
    fn own_arch(&self) -> Option<Arch> {
        let reported = self.platforms.iter().find(|platform| !self.by_hand.contains(platform));
        let own = reported.or(self.platforms.first()).and_then(Platform::arch)?;
        let wider =
            [(Arch::Arm, Arch::Arm64), (Arch::I386, Arch::Amd64)].into_iter().find(|(narrow, _)| *narrow == own);
        let is_set = |arch: &Arch| self.by_hand.iter().any(|platform| platform.arch() == Some(*arch));
        Some(wider.map(|(_, wide)| wide).filter(is_set).unwrap_or(own))
    }
}

/// Whether `own` runs the platform natively. amd64 runs i386. Not all arm64 CPUs run arm, so only the node's list
/// counts there.
fn runs_natively(own: Arch, platform: &Platform) -> bool {
    platform.os == "linux"
        && (platform.arch() == Some(own) || (own == Arch::Amd64 && platform.arch() == Some(Arch::I386)))
}

/// Parses `docker --version` of podman: `podman version 5.8.6`.
pub fn podman_version(text: &str) -> Option<String> {
    let version = text.lines().find_map(|line| line.trim().strip_prefix("podman version "))?;
    Some(version.trim().to_string())
}

/// Parses `buildah --version`: `buildah version 1.28.2 (image-spec 1.1.0-rc2, runtime-spec 1.0.2-dev)`.
pub fn buildah_version(text: &str) -> Option<String> {
    let rest = text.lines().find_map(|line| line.trim().strip_prefix("buildah version "))?;
    rest.split_ascii_whitespace().next().map(str::to_string)
}

/// The machine that podman or buildah builds on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerHost {
    pub hostname: String,
    pub kernel: String,
    pub platform: Option<Platform>,
    /// Platforms that it reports to emulate. Only podman 4.9 and later reports any.
    pub emulated: Vec<Platform>,
}

/// Parses `podman info --format json` and `buildah info`.
pub fn container_host(text: &str) -> Option<ContainerHost> {
    let value: Value = serde_json::from_str(text.trim()).ok()?;
    let host = &value["host"];
    let string = |name: &str| host[name].as_str().unwrap_or("").to_string();
    let (os, arch) = (host["os"].as_str()?, host["arch"].as_str()?);
    let emulated = host["emulatedArchitectures"].as_array().map_or(&[][..], Vec::as_slice);
    Some(ContainerHost {
        hostname: string("hostname"),
        kernel: string("kernel"),
        platform: Platform::parse(&format!("{os}/{arch}")).ok(),
        emulated: emulated.iter().filter_map(Value::as_str).filter_map(|text| Platform::parse(text).ok()).collect(),
    })
}

/// The daemon's half of `docker version`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    pub version: String,
    pub arch: Option<Arch>,
    pub is_desktop: bool,
}

/// Parses `docker version --format json`: the client's version, and the daemon's if it answered.
pub fn versions(text: &str) -> (Option<String>, Option<Server>) {
    let value: Value = serde_json::from_str(text.trim()).unwrap_or(Value::Null);
    let string = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_string);
    let server = &value["Server"];
    let is_desktop = server["Platform"]["Name"].as_str().is_some_and(|name| name.contains("Desktop"));
    let arch = server["Arch"].as_str().and_then(Arch::parse);
    let daemon = string(&server["Version"]).map(|version| Server { version, arch, is_desktop });
    (string(&value["Client"]["Version"]), daemon)
}

/// The daemon's store and machine, from `docker info --format json`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    pub store: ImageStore,
    pub hostname: String,
    pub kernel: String,
}

pub fn info(text: &str) -> Info {
    let value: Value = serde_json::from_str(text.trim()).unwrap_or(Value::Null);
    let string = |name: &str| value[name].as_str().unwrap_or("").to_string();
    Info { store: store(&value), hostname: string("Name"), kernel: string("KernelVersion") }
}

/// Recognises the containerd image store by `driver-type: io.containerd.snapshotter.v1`.
fn store(value: &Value) -> ImageStore {
    let rows = value["DriverStatus"].as_array().map_or(&[][..], Vec::as_slice);
    match rows.iter().any(|row| row[1].as_str().is_some_and(|kind| kind.starts_with("io.containerd.snapshotter"))) {
        true => ImageStore::Containerd,
        false => ImageStore::Classic,
    }
}

/// Parses `docker buildx version`: `github.com/docker/buildx v0.13.1 788433953`.
pub fn buildx_version(text: &str) -> Option<String> {
    let mut words = text.split_ascii_whitespace();
    words
        .find(|word| word.ends_with("/buildx"))
        .and_then(|_| words.next())
        .map(|version| version.trim_start_matches('v').to_string())
}

/// Parses `docker buildx inspect`: the builder's lines, then those of its nodes, each starting with `Name:`. Fails if
/// the output does not describe a builder, or if buildx could not query its driver, which buildx reports with exit code
/// 0.
pub fn builder(text: &str) -> Result<BuildxBuilder, String> {
    let (head, nodes) = text.split_once("Nodes:").unwrap_or((text, ""));
    let field = |text: &str, name: &str| {
        text.lines().find_map(|line| line.strip_prefix(name).map(|rest| rest.trim().to_string()))
    };
    let (Some(name), Some(driver)) = (field(head, "Name:"), field(head, "Driver:")) else {
        return Err("cannot parse the output".to_string());
    };
    if driver.is_empty() {
        let cause = field(head, "Error:").unwrap_or_else(|| "buildx reports no driver".to_string());
        return Err(format!("{name}: {cause}"));
    }
    let mut found = Vec::new();
    for block in nodes.split("\nName:").skip(1) {
        let block = format!("Name:{block}");
        let listed = field(&block, "Platforms:").unwrap_or_default();
        let (mut platforms, mut by_hand) = (Vec::new(), Vec::new());
        for text in listed.split(',').map(str::trim) {
            // A star marks platforms that the user set by hand.
            let name = text.trim_end_matches('*');
            let Ok(platform) = Platform::parse(name) else { continue };
            by_hand.extend((name.len() < text.len()).then(|| platform.clone()));
            platforms.push(platform);
        }
        found.push(BuilderNode {
            name: field(&block, "Name:").unwrap_or_default(),
            endpoint: field(&block, "Endpoint:").unwrap_or_default(),
            status: field(&block, "Status:").unwrap_or_default(),
            buildkit: field(&block, "BuildKit version:").or_else(|| field(&block, "Buildkit:")).unwrap_or_default(),
            platforms,
            by_hand,
            error: field(&block, "Error:"),
        });
    }
    Ok(BuildxBuilder { name, driver: Driver::parse(&driver), nodes: found })
}

#[cfg(test)]
mod tests {
    use super::*;

    const INSPECT: &str = "Name:          multi\nDriver:        docker-container\nLast Activity: 2026-11-20 10:12:31 +0000 UTC\n\nNodes:\nName:             multi0\nEndpoint:         unix:///var/run/docker.sock\nStatus:           running\nBuildKit version: v0.13.2\nPlatforms:        linux/amd64, linux/amd64/v2, linux/386, linux/arm64*\nLabels:\n org.mobyproject.buildkit.worker.executor: oci\n\nName:      multi1\nEndpoint:  ssh://pi\nError: no such host\nStatus:    inactive\n";

    #[test]
    fn a_builder_and_its_nodes_are_read() {
        let builder = builder(INSPECT).unwrap();
        assert_eq!(
            (builder.name.as_str(), &builder.driver, builder.nodes.len()),
            ("multi", &Driver::DockerContainer, 2)
        );
        assert_eq!(builder.nodes[0].buildkit, "v0.13.2");
        assert_eq!(builder.nodes[1].error.as_deref(), Some("no such host"));
        let support = |text: &str| builder.support(&Platform::parse(text).unwrap());
        assert_eq!(support("linux/amd64"), Support::Native { node: "multi0".into() });
        assert_eq!(support("linux/386"), Support::Native { node: "multi0".into() });
        assert_eq!(support("linux/arm64"), Support::Emulated { node: "multi0".into() });
        assert_eq!(support("linux/s390x"), Support::Foreign);
        assert!(builder.driver.pushes_by_digest());
    }

    /// buildx 0.13 and 0.29 without a daemon.
    #[test]
    fn a_builder_without_a_driver_is_unknown() {
        let text = "Name:          default\nDriver:        \nLast Activity: 2026-11-29 15:18:13 +0000 UTC\nError:         Cannot connect to the Docker daemon at unix:///nowhere. Is the docker daemon running?\n";
        let cause = "default: Cannot connect to the Docker daemon at unix:///nowhere. Is the docker daemon running?";
        assert_eq!(builder(text), Err(cause.to_string()));
        assert_eq!(builder("nonsense"), Err("cannot parse the output".to_string()));
    }

    #[test]
    fn a_platform_set_by_hand_does_not_make_a_node_native() {
        let text = "Name: m\nDriver: docker-container\n\nNodes:\nName: m0\nStatus: running\nPlatforms: linux/arm64*, linux/amd64, linux/amd64/v2\n";
        let builder = builder(text).unwrap();
        let support = |text: &str| builder.support(&Platform::parse(text).unwrap());
        assert_eq!(support("linux/amd64"), Support::Native { node: "m0".into() });
        assert_eq!(support("linux/arm64"), Support::Emulated { node: "m0".into() });
    }

    /// The choices of buildx 0.13 and 0.29, observed with two buildkitd.
    #[test]
    fn the_node_is_the_one_that_buildx_chooses() {
        let node = |name: &str, platforms: &str| format!("Name: {name}\nStatus: running\nPlatforms: {platforms}\n\n");
        let builder = |first: &str, second: &str| {
            let text = ["Name: m\nDriver: remote\n\nNodes:\n", &node("a", first), &node("b", second)].concat();
            builder(&text).unwrap()
        };
        let platform = |text: &str| Platform::parse(text).unwrap();
        let native = |node: &str| Support::Native { node: node.into() };
        let amd64 = "linux/amd64, linux/amd64/v2, linux/386, linux/arm64";
        let set = builder(amd64, "linux/386*, linux/amd64, linux/amd64/v2");
        assert_eq!(set.support(&platform("linux/amd64")), native("a"));
        assert_eq!(set.support(&platform("linux/386")), native("b"));
        // The first node emulates what the second runs.
        let unset = builder(amd64, "linux/arm64, linux/arm/v7");
        let arm64 = platform("linux/arm64");
        assert_eq!(unset.support(&arm64), Support::Emulated { node: "a".into() });
        assert_eq!(unset.bypassed(&arm64).map(|node| node.name.as_str()), Some("b"));
        let set = builder(amd64, "linux/arm64*, linux/arm/v7, linux/arm/v6");
        assert_eq!((set.support(&arm64), set.bypassed(&arm64)), (native("b"), None));
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
        assert_eq!(podman_version("podman version 5.8.6\n").as_deref(), Some("5.8.6"));
        assert_eq!(podman_version("Docker version 28.5.2, build ecc6942\n"), None);
        let buildah = "buildah version 1.28.2 (image-spec 1.1.0-rc2, runtime-spec 1.0.2-dev)\n";
        assert_eq!(buildah_version(buildah).as_deref(), Some("1.28.2"));
        let parsed = info(
            r#"{"Driver":"overlayfs","DriverStatus":[["driver-type","io.containerd.snapshotter.v1"]],"Name":"a","KernelVersion":"6.1"}"#,
        );
        assert_eq!(parsed, Info { store: ImageStore::Containerd, hostname: "a".into(), kernel: "6.1".into() });
        let parsed = info(r#"{"Driver":"overlay2","DriverStatus":[["Backing Filesystem","extfs"]]}"#);
        assert_eq!(parsed.store, ImageStore::Classic);
        assert_eq!(buildx_version("github.com/docker/buildx v0.13.1 788433953af1\n").as_deref(), Some("0.13.1"));
        assert_eq!(buildx_version("github.com/docker/buildx 0.13.1+ds1 0.13.1+ds1-3").as_deref(), Some("0.13.1+ds1"));
    }
}
