//! What a user asks of a rebuild, and how what is built is delivered.

use std::path::PathBuf;

use super::bake::BakeTarget;
use crate::oci::Reference;
use crate::platform::{Platform, Target};

/// What was asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    pub reference: Reference,
    /// Platforms that the user named; empty: what is there, and what the targets need.
    pub platforms: Vec<Platform>,
    pub targets: Vec<Target>,
    /// Other tags of the repository that move together with the reference.
    pub also: Vec<Reference>,
    pub build: BuildSettings,
}

/// How buildx is called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BuildSettings {
    pub context: String,
    pub dockerfile: Option<PathBuf>,
    /// A target of a bake file instead of a Dockerfile.
    pub bake: Option<BakeTarget>,
    /// What the user wrote after `--`.
    pub extra: Vec<String>,
    /// A folder for a local OCI layout instead of the registry.
    pub output: Option<PathBuf>,
    /// Where metadata and layouts of this run go.
    pub work: PathBuf,
}

/// How a built platform gets into the registry without a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// BuildKit pushes by digest.
    ByDigest,
    /// The `docker` driver cannot: it writes an OCI layout, which imgarch pushes by digest.
    ByLayout,
    /// Nothing is pushed: a layout is what the user asked for.
    Local,
    /// Nothing is built: something else has done that.
    Supplied,
}
