//! The steps that confirm or fix a cause: advice, and commands with the machine on which they are run.

/// A step in the table of causes. `{image}`, `{tagged}`, `{target}`, `{platform}`, `{path}`, `{node}` and `{pod}` are
/// filled in from [`super::names::Names`]. A step that needs an unknown name is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Advice, or a command that may be run anywhere.
    Anywhere(&'static str),
    /// Rebuilds the image for the platform that it lacks.
    Rebuild,
    /// A command that reaches the node through the cluster's API.
    ThroughCluster(&'static str),
    /// A command on the machine that starts the container. Left out if another step reaches it through the cluster.
    OnMachine(&'static str),
    /// A privileged container on that machine, for the engine that started the failing one: the image with its
    /// arguments, and a comment.
    Privileged(&'static str, &'static str),
}

pub use Step::{Anywhere, OnMachine, Privileged, Rebuild, ThroughCluster};

/// Judges the image.
pub const SCAN: Step = Anywhere("imgarch scan {image} --target {target}");

/// The image that installs QEMU's handlers, and its arguments.
pub const INSTALL: &str = "tonistiigi/binfmt --install all";
pub const UNINSTALL: &str = "tonistiigi/binfmt --uninstall 'qemu-*'";

impl Step {
    /// Whether the step needs the image's name.
    pub fn needs_image(self) -> bool {
        match self {
            Step::Rebuild => true,
            Step::Anywhere(text) | Step::ThroughCluster(text) | Step::OnMachine(text) => text.contains("{image}"),
            Step::Privileged(..) => false,
        }
    }
}
