//! The calls of a container, as the facts on reach need them.

use crate::image::NodeId;

/// The entry chain in the form that reach needs.
pub struct Chain<'a> {
    pub files: Vec<NodeId>,
    /// The files that the health check runs.
    pub health: Vec<NodeId>,
    pub path: &'a str,
    pub working_dir: &'a str,
    pub env: &'a [String],
    /// The words of the call.
    pub argv: &'a [String],
}
