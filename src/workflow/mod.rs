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
pub struct WorkflowProject {
    /// Registry and repository without a tag: `ghcr.io/user/app`.
    pub image: String,
    /// The same image's names in other registries, which get its tags too.
    pub also: Vec<String>,
    /// Relative to the repository.
    pub dockerfile: String,
    pub context: String,
    /// The stage that is built; without it the last.
    pub stage: Option<String>,
    /// `NAME=value`.
    pub build_args: Vec<String>,
    /// The ids of the secrets that the Dockerfile mounts.
    pub secrets: Vec<String>,
    /// What COPY takes from the context and git does not have: something must build it first.
    pub unbuilt: Vec<String>,
    /// Labels of self-hosted runners, for one platform or for everything else.
    pub runners: Vec<(Option<Platform>, Vec<String>)>,
    /// At least one; Linux only.
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
pub enum CiService {
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
    #[error("{0:?} cannot be used in a workflow: only letters, digits and . _ - + / : , = are allowed")]
    Text(String),
}

impl CiService {
    /// The path of the CI file.
    pub fn path(self) -> &'static str {
        match self {
            CiService::Github => ".github/workflows/image.yml",
            CiService::Gitlab => ".gitlab-ci.yml",
        }
    }
}

/// Returns the text of the CI file.
pub fn write(service: CiService, project: &WorkflowProject) -> Result<String, WorkflowError> {
    if project.platforms.is_empty() {
        return Err(WorkflowError::NoPlatform);
    }
    if let Some(other) = project.platforms.iter().find(|platform| platform.os != "linux") {
        return Err(WorkflowError::Platform(other.clone()));
    }
    // These values are inserted into shell commands and YAML unquoted.
    let named = [&project.image, &project.dockerfile, &project.context, &project.branch, &project.imgarch];
    let lists = [&project.also, &project.build_args, &project.secrets, &project.unbuilt].into_iter().flatten();
    let labels = project.runners.iter().flat_map(|(_, labels)| labels);
    let more = lists.chain(labels).chain(&project.stage).chain(project.targets.iter().map(|(_, text)| text));
    for text in named.into_iter().chain(more) {
        if !is_plain(text) {
            return Err(WorkflowError::Text(text.clone()));
        }
    }
    Ok(match service {
        CiService::Github => github::write(project),
        CiService::Gitlab => gitlab::write(project),
    })
}

/// Whether a text can be put into shell commands and YAML as it is.
pub fn is_plain(text: &str) -> bool {
    let is_taken = |c: char| c.is_ascii_alphanumeric() || "._-+/:,=".contains(c);
    !text.is_empty() && !text.starts_with('-') && text.chars().all(is_taken)
}

/// The registry of an image's name; `None` for Docker Hub.
fn registry_of(image: &str) -> Option<&str> {
    let (first, _) = image.split_once('/')?;
    let is_host = first.contains(['.', ':']) || first == "localhost";
    (is_host && first != "docker.io").then_some(first)
}

/// A text as a part of a variable's name: `REGISTRY_EXAMPLE_COM`.
fn variable_name(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect()
}

impl WorkflowProject {
    /// The image under all its names.
    fn images(&self) -> impl Iterator<Item = &str> {
        [&self.image].into_iter().chain(&self.also).map(String::as_str)
    }

    /// Each registry once, in the order of the images.
    fn registries(&self) -> Vec<Option<&str>> {
        let mut registries = Vec::new();
        for registry in self.images().map(registry_of) {
            if !registries.contains(&registry) {
                registries.push(registry);
            }
        }
        registries
    }

    /// What the variables for a registry of the project's own begin with: its host, where there are several.
    fn credentials(&self, registry: &str) -> String {
        let is_own = |registry: &str| registry != "ghcr.io" && !registry.starts_with("registry.gitlab.");
        let own = self.registries().into_iter().flatten().filter(|registry| is_own(registry)).count();
        if own > 1 { variable_name(registry) } else { "REGISTRY".to_string() }
    }

    /// The labels of the self-hosted runner of a platform, or of the jobs that have none.
    fn runner(&self, platform: Option<&Platform>) -> Option<&[String]> {
        let of = |wanted: Option<&Platform>| self.runners.iter().find(|(own, _)| own.as_ref() == wanted);
        platform.and_then(|platform| of(Some(platform))).or_else(|| of(None)).map(|(_, labels)| labels.as_slice())
    }

    /// Whether a platform has a self-hosted runner of its own, which needs no emulator.
    fn is_self_hosted(&self, platform: &Platform) -> bool {
        self.runners.iter().any(|(own, _)| own.as_ref() == Some(platform))
    }

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
}

/// Whether an x86-64 runner builds this platform without emulation.
fn is_amd64_native(platform: &Platform) -> bool {
    matches!(platform.arch(), Some(Arch::Amd64 | Arch::I386))
}

/// The platform as a name: `linux-arm-v7`.
fn slug(platform: &Platform) -> String {
    platform.to_string().replace('/', "-")
}
