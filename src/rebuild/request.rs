//! The user's request, and how the build result is delivered.

use std::path::PathBuf;

use super::bake::BakeTarget;
use crate::oci::Reference;
use crate::platform::{Platform, Target};

/// The requested rebuild.
#[derive(Clone, Debug, PartialEq)]
pub struct RebuildRequest {
    pub reference: Reference,
    /// Platforms that the user named. If empty, the published platforms and those of the targets.
    pub platforms: Vec<Platform>,
    pub targets: Vec<Target>,
    /// Other tags of the repository that move together with the reference.
    pub also: Vec<Reference>,
    pub build: BuildSettings,
}

/// How the builder is called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BuildSettings {
    pub context: String,
    pub dockerfile: Option<PathBuf>,
    /// A target of a bake file instead of a Dockerfile.
    pub bake: Option<BakeTarget>,
    /// The user's arguments after `--`.
    pub extra: Vec<String>,
    /// Directory of a local OCI layout to write instead of pushing.
    pub output: Option<PathBuf>,
    /// Directory for the metadata and layouts of this run.
    pub work: PathBuf,
}

/// How a built platform is pushed without a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// BuildKit pushes by digest.
    ByDigest,
    /// The `docker` driver, podman and buildah do not push by digest here. They write an OCI layout, and imgarch pushes
    /// that.
    ByLayout,
    /// Nothing is pushed: the user requested a layout.
    Local,
    /// Nothing is built: another tool built the image.
    Supplied,
}
