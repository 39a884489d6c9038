//! The programs that build, and the drivers of their builders.

use std::fmt;

/// The program that builds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuildTool {
    /// `docker` with buildx.
    Docker,
    Podman,
    Buildah,
}

impl BuildTool {
    pub const ALL: &[BuildTool] = &[BuildTool::Docker, BuildTool::Podman, BuildTool::Buildah];

    /// The name of its command.
    pub fn name(self) -> &'static str {
        match self {
            BuildTool::Docker => "docker",
            BuildTool::Podman => "podman",
            BuildTool::Buildah => "buildah",
        }
    }

    /// Parses the value of `--with`.
    pub fn parse(text: &str) -> Result<BuildTool, String> {
        let found = BuildTool::ALL.iter().find(|tool| tool.name() == text);
        found.copied().ok_or_else(|| format!("unknown tool {text:?}; expected docker, podman or buildah"))
    }
}

/// How a builder runs BuildKit, or that it is another program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Driver {
    /// BuildKit in the Docker daemon.
    Docker,
    DockerContainer,
    Kubernetes,
    Remote,
    Podman,
    Buildah,
    /// A driver that buildx names and imgarch does not know, such as `cloud`.
    Other(String),
}

impl Driver {
    /// Parses buildx's name of a driver. Source: docker/docs, "Build drivers".
    pub fn parse(text: &str) -> Driver {
        match text {
            "docker" => Driver::Docker,
            "docker-container" => Driver::DockerContainer,
            "kubernetes" => Driver::Kubernetes,
            "remote" => Driver::Remote,
            other => Driver::Other(other.to_string()),
        }
    }

    /// Whether BuildKit runs on other machines, so that it builds without a Docker daemon on this one.
    pub fn needs_no_daemon(&self) -> bool {
        match self {
            Driver::Kubernetes | Driver::Remote | Driver::Podman | Driver::Buildah => true,
            Driver::Docker | Driver::DockerContainer | Driver::Other(_) => false,
        }
    }

    /// Whether it can push images without a tag.
    pub fn pushes_by_digest(&self) -> bool {
        match self {
            Driver::DockerContainer | Driver::Kubernetes | Driver::Remote | Driver::Other(_) => true,
            Driver::Docker | Driver::Podman | Driver::Buildah => false,
        }
    }
}

impl fmt::Display for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Driver::Docker => "docker",
            Driver::DockerContainer => "docker-container",
            Driver::Kubernetes => "kubernetes",
            Driver::Remote => "remote",
            Driver::Podman => "podman",
            Driver::Buildah => "buildah",
            Driver::Other(name) => name,
        })
    }
}
