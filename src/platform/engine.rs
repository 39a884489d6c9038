//! Engines that pull images on a node, by the names that users and nodes have for them.

use std::fmt;

/// The engine that pulls images on a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum NodeEngine {
    /// Docker with its own graph drivers.
    DockerGraph,
    /// Docker with the containerd image store, the default of Docker 29.
    DockerContainerd,
    /// containerd's client: ctr, nerdctl.
    Containerd,
    /// containerd with the kubelet as its client, by version: since 2.1 it pulls with its transfer service, which does
    /// not fall back.
    ContainerdCri {
        major: u32,
        minor: u32,
    },
    CriO,
    Podman,
}

impl NodeEngine {
    /// The names that [`NodeEngine::parse`] accepts, for messages.
    pub const NAMES: &str =
        "docker, docker-containerd, containerd, cri-containerd-VERSION (cri-containerd-1.7), cri-o, podman";

    /// Parses the value of a target's `engine=`.
    pub fn parse(name: &str) -> Option<NodeEngine> {
        let number = |text: &str| text.parse::<u32>().ok();
        match name {
            "docker" => Some(NodeEngine::DockerGraph),
            "docker-containerd" => Some(NodeEngine::DockerContainerd),
            "containerd" => Some(NodeEngine::Containerd),
            "cri-o" => Some(NodeEngine::CriO),
            "podman" => Some(NodeEngine::Podman),
            _ => {
                let (major, minor) = name.strip_prefix("cri-containerd-")?.split_once('.')?;
                Some(NodeEngine::ContainerdCri { major: number(major)?, minor: number(minor)? })
            }
        }
    }

    /// Parses a node's `containerRuntimeVersion`: `containerd://2.1.3`, `cri-o://1.31.0`, `docker://24.0.7`.
    pub fn of_runtime(text: &str) -> Option<NodeEngine> {
        let (name, version) = text.split_once("://")?;
        let mut numbers = version.trim_start_matches('v').split(['.', '-', '+']).map(|part| part.parse::<u32>().ok());
        let (major, minor) = (numbers.next().flatten(), numbers.next().flatten());
        match name {
            "containerd" => Some(NodeEngine::ContainerdCri { major: major?, minor: minor? }),
            "cri-o" => Some(NodeEngine::CriO),
            "docker" if major? >= 29 => Some(NodeEngine::DockerContainerd),
            "docker" => Some(NodeEngine::DockerGraph),
            _ => None,
        }
    }
}

impl fmt::Display for NodeEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NodeEngine::DockerGraph => f.write_str("docker"),
            NodeEngine::DockerContainerd => f.write_str("docker-containerd"),
            NodeEngine::Containerd => f.write_str("containerd"),
            NodeEngine::ContainerdCri { major, minor } => write!(f, "cri-containerd-{major}.{minor}"),
            NodeEngine::CriO => f.write_str("cri-o"),
            NodeEngine::Podman => f.write_str("podman"),
        }
    }
}
