//! Floor 6: the CI files that imgarch writes for a project: each platform built on a runner of its own where there is one,
//! pushed without a tag, scanned by digest, and merged under the tag only when all are fine. Text from decided inputs;
//! nothing here reads the project.

mod dockerfile;
mod github;
mod gitlab;
mod script;

pub use dockerfile::build_step;

use crate::platform::{Arch, Platform};

/// What a CI file is written from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Project {
    /// `ghcr.io/user/app`: registry and repository, without a tag.
    pub image: String,
    /// Relative to the repository.
    pub dockerfile: String,
    pub context: String,
    /// At least one; Linux only.
    pub platforms: Vec<Platform>,
    /// The nodes that the image must run on, as `--target` takes them, each with its platform; none: what each platform
    /// is published for.
    pub targets: Vec<(Platform, String)>,
    /// The branch whose image is `latest`.
    pub branch: String,
    /// The imgarch that verifies.
    pub imgarch: String,
    pub shape: Shape,
}

/// How the platforms are built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A job for each platform, natively where the service has such runners.
    Matrix,
    /// One job, which emulates what is foreign.
    Simple,
}

/// A CI service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    Github,
    Gitlab,
}

/// Why no file can be written.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum WorkflowError {
    #[error("no platform is named")]
    NoPlatform,
    #[error("{0} cannot be built by Linux runners")]
    Platform(Platform),
    #[error("{0:?} cannot stand in a workflow: only letters, digits and . _ - / : , = are taken")]
    Text(String),
}

impl Service {
    /// Where the service looks for the file.
    pub fn path(self) -> &'static str {
        match self {
            Service::Github => ".github/workflows/image.yml",
            Service::Gitlab => ".gitlab-ci.yml",
        }
    }
}

/// The file's text.
pub fn write(service: Service, project: &Project) -> Result<String, WorkflowError> {
    if project.platforms.is_empty() {
        return Err(WorkflowError::NoPlatform);
    }
    if let Some(other) = project.platforms.iter().find(|platform| platform.os != "linux") {
        return Err(WorkflowError::Platform(other.clone()));
    }
    // These are put into shell commands and YAML as they are.
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

    /// ` --target X --target Y`: those of one platform, or all; empty where the project names none.
    fn target_options(&self, platform: Option<&Platform>) -> String {
        let is_of = |target: &Platform| platform.is_none_or(|platform| platform.architecture == target.architecture);
        let options = self.targets.iter().filter(|(target, _)| is_of(target));
        options.map(|(_, text)| format!(" --target {text}")).collect()
    }

    /// `ghcr.io`, or nothing for Docker Hub.
    fn registry(&self) -> Option<&str> {
        let first = self.image.split('/').next().unwrap_or("");
        let is_host = self.image.contains('/') && (first.contains(['.', ':']) || first == "localhost");
        (is_host && first != "docker.io").then_some(first)
    }
}

/// Whether an x86-64 runner builds this without emulation.
fn is_amd64_native(platform: &Platform) -> bool {
    matches!(platform.arch(), Some(Arch::Amd64 | Arch::I386))
}

/// `linux-arm-v7`: a platform as a name.
fn slug(platform: &Platform) -> String {
    platform.to_string().replace('/', "-")
}
