//! Generates a project's CI files. Each platform is built on a native runner if there is one, pushed without a tag and
//! scanned by digest. The tag is created only if all scans pass. The output depends only on the arguments; nothing here
//! reads the project.

mod dockerfile;
mod github;
mod gitlab;
mod script;

pub use dockerfile::build_step;

use crate::platform::{Arch, Platform};

/// The input for a CI file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Project {
    /// Registry and repository without a tag: `ghcr.io/user/app`.
    pub image: String,
    /// Path relative to the repository.
    pub dockerfile: String,
    pub context: String,
    /// At least one platform; Linux only.
    pub platforms: Vec<Platform>,
    /// The nodes that the image must run on, in the syntax of `--target`, each with its platform. If empty, each image
    /// is scanned for the platform that it is published for.
    pub targets: Vec<(Platform, String)>,
    /// The branch that is published as `latest`.
    pub branch: String,
    /// The imgarch version that scans the image.
    pub imgarch: String,
    pub shape: Shape,
}

/// How the platforms are built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One job for each platform, on a native runner if the service has one.
    Matrix,
    /// One job, which emulates foreign platforms.
    Simple,
}

/// A CI service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    Github,
    Gitlab,
}

/// Error: no CI file can be written.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum WorkflowError {
    #[error("no platform is given")]
    NoPlatform,
    #[error("Linux runners cannot build {0}")]
    Platform(Platform),
    #[error("{0:?} cannot be used in a workflow: only letters, digits and . _ - / : , = are allowed")]
    Text(String),
}

impl Service {
    /// The path of the CI file.
    pub fn path(self) -> &'static str {
        match self {
            Service::Github => ".github/workflows/image.yml",
            Service::Gitlab => ".gitlab-ci.yml",
        }
    }
}

/// Returns the text of the CI file.
pub fn write(service: Service, project: &Project) -> Result<String, WorkflowError> {
    if project.platforms.is_empty() {
        return Err(WorkflowError::NoPlatform);
    }
    if let Some(other) = project.platforms.iter().find(|platform| platform.os != "linux") {
        return Err(WorkflowError::Platform(other.clone()));
    }
    // These values are inserted into shell commands and YAML unquoted.
    let named = [&project.image, &project.dockerfile, &project.context, &project.branch, &project.imgarch];
    for text in named.into_iter().chain(project.targets.iter().map(|(_, text)| text)) {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-/:,=".contains(c);
        if text.is_empty() || text.starts_with('-') || !text.chars().all(is_plain) {
            return Err(WorkflowError::Text(text.clone()));
        }
    }
    Ok(match service {
        Service::Github => github::write(project),
        Service::Gitlab => gitlab::write(project),
    })
}

impl Project {
    /// `linux/amd64,linux/arm64`.
    fn platform_list(&self) -> String {
        self.platforms.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
    }

    /// ` --target X --target Y` for one platform or for all. Empty if the project has no targets.
    fn target_options(&self, platform: Option<&Platform>) -> String {
        let is_of = |target: &Platform| platform.is_none_or(|platform| platform.architecture == target.architecture);
        let options = self.targets.iter().filter(|(target, _)| is_of(target));
        options.map(|(_, text)| format!(" --target {text}")).collect()
    }

    /// The registry's host, such as `ghcr.io`. `None` for Docker Hub.
    fn registry(&self) -> Option<&str> {
        let first = self.image.split('/').next().unwrap_or("");
        let is_host = self.image.contains('/') && (first.contains(['.', ':']) || first == "localhost");
        (is_host && first != "docker.io").then_some(first)
    }
}

/// Whether an x86-64 runner builds this platform without emulation.
fn is_amd64_native(platform: &Platform) -> bool {
    matches!(platform.arch(), Some(Arch::Amd64 | Arch::I386))
}

/// The platform as a name: `linux-arm-v7`.
fn slug(platform: &Platform) -> String {
    platform.to_string().replace('/', "-")
}
