//! `imgarch rebuild -f`: the images of Compose files and Kubernetes manifests that are built from a known context.

use std::path::{Path, PathBuf};

use super::manifests::{FileGroup, read_all};
use super::{CliError, Environment, Terminal};
use crate::kube::ContainerRole;
use crate::kube::compose::ServiceBuild;
use crate::kube::manifest::WorkloadManifest;
use crate::oci::Reference;
use crate::rebuild::{BuildTool, RecipeRequest, recipe_of};

/// The Compose files that `docker compose` reads in the working directory. Source: compose-go, cli/options.go,
/// `DefaultFileNames` and `DefaultOverrideFileNames`.
const COMPOSE_FILES: [&str; 4] = ["compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"];

/// The files that override them.
const OVERRIDE_FILES: [&str; 4] =
    ["compose.override.yml", "compose.override.yaml", "docker-compose.override.yml", "docker-compose.override.yaml"];

/// An image to rebuild.
#[derive(Debug)]
pub struct Job {
    pub image: String,
    /// The platforms that its service is built for; empty if it does not name any.
    pub platforms: Vec<String>,
    pub recipe: RecipeRequest,
}

/// Whether `-f` names a Compose file or a manifest, and not a Dockerfile.
pub fn is_manifest(path: &Path) -> bool {
    path.as_os_str() == "-" || path.extension().is_some_and(|end| ["yaml", "yml", "json"].iter().any(|one| end == *one))
}

/// The images of these files, and how the services of Compose files are built.
#[derive(Default)]
struct ComposeProject {
    images: Vec<String>,
    builds: Vec<ServiceBuild>,
    /// The Compose files with a build.
    files: Vec<PathBuf>,
}

/// Returns the images that have a build context: those of services that are built, and the images of a manifest that a
/// service of a Compose file builds. The Compose file is among `files` or in the working directory. With `only`, returns
/// that image. With `context`, every other image of a manifest is built from it.
pub fn jobs(
    files: &[PathBuf],
    only: Option<&str>,
    context: Option<&str>,
    tool: BuildTool,
    environment: &Environment,
    terminal: &Terminal,
) -> Result<Vec<Job>, CliError> {
    let mut project = ComposeProject::default();
    project.add(files, environment, terminal)?;
    let has_builds = !project.builds.is_empty();
    let existing = |names: &[&str]| names.iter().map(PathBuf::from).find(|path| path.is_file());
    if let Some(usual) = existing(&COMPOSE_FILES).filter(|_| !has_builds) {
        let images = std::mem::take(&mut project.images);
        let usual: Vec<PathBuf> = std::iter::once(usual).chain(existing(&OVERRIDE_FILES)).collect();
        project.add(&usual, environment, terminal)?;
        project.images = images;
    } else {
        for build in &project.builds {
            match &build.image {
                Some(image) => project.images.push(image.clone()),
                None => {
                    terminal.note(&format!("service {} names no image, so there is no tag to repair", build.service))
                }
            }
        }
    }
    let mut jobs: Vec<Job> = Vec::new();
    let references = project.images.iter().map(|image| (image, Reference::parse(image)));
    let wanted = only.map(Reference::parse).transpose().map_err(|error| CliError::usage(error.to_string()))?;
    for (image, reference) in references {
        let reference = reference.map_err(|error| CliError::usage(format!("{image}: {error}")))?;
        let is_wanted = wanted.as_ref().is_none_or(|wanted| *wanted == reference);
        if !is_wanted || jobs.iter().any(|job| job.image == *image) {
            continue;
        }
        match (project.build_of(&reference), context) {
            (Some(build), _) => {
                let refuse = |error: crate::rebuild::ServiceError| CliError::usage(error.to_string());
                let recipe = recipe_of(build, &project.files, tool).map_err(refuse)?;
                jobs.push(Job { image: image.clone(), platforms: build.platforms.clone(), recipe });
            }
            (None, Some(context)) => {
                let recipe = RecipeRequest { context: Some(context.to_string()), ..RecipeRequest::default() };
                jobs.push(Job { image: image.clone(), platforms: Vec::new(), recipe });
            }
            (None, None) => terminal.note(&format!("no service builds {image}, so it is not rebuilt")),
        }
    }
    if jobs.is_empty() {
        let text = match only {
            Some(image) => format!("{image} is not among the images that these files build"),
            None => "these files name no image with a build context".to_string(),
        };
        let hint = "name the image and its source directory: imgarch rebuild IMAGE --context DIR".to_string();
        return Err(CliError::Usage { text, hint: Some(hint) });
    }
    Ok(jobs)
}

impl ComposeProject {
    fn add(&mut self, files: &[PathBuf], environment: &Environment, terminal: &Terminal) -> Result<(), CliError> {
        for FileGroup { files, content, .. } in read_all(files, environment, terminal)? {
            self.add_manifest(files, content);
        }
        Ok(())
    }

    fn add_manifest(&mut self, files: Vec<PathBuf>, read: WorkloadManifest) {
        if !read.builds.is_empty() {
            self.files.extend(files);
        }
        self.builds.extend(read.builds);
        // The services of a Compose file that are not built run images of others.
        for workload in read.workloads.iter().filter(|workload| workload.kind != "service") {
            let starts = |role: ContainerRole| {
                matches!(
                    role,
                    ContainerRole::Main | ContainerRole::Init | ContainerRole::Sidecar | ContainerRole::Ephemeral
                )
            };
            let containers = workload.containers.iter().filter(|container| starts(container.role));
            self.images.extend(containers.map(|container| container.image.clone()));
        }
    }

    /// Returns the service that builds an image: that of the same tag, or else of the same repository.
    fn build_of(&self, reference: &Reference) -> Option<&ServiceBuild> {
        let find = |is_it: &dyn Fn(&Reference) -> bool| {
            let image = |build: &&ServiceBuild| build.image.as_deref().and_then(|image| Reference::parse(image).ok());
            self.builds.iter().find(|build| image(build).is_some_and(|image| is_it(&image)))
        };
        let repository = |image: &Reference| (image.registry.clone(), image.repository.clone());
        find(&|image| image == reference).or_else(|| find(&|image| repository(image) == repository(reference)))
    }
}
