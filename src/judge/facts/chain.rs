//! What a container starts, as the facts on reach need it.

use crate::image::NodeId;

/// The entry chain in the form that reach needs.
pub struct Chain<'a> {
    pub files: Vec<NodeId>,
    /// The files on the way of the health check.
    pub health: Vec<NodeId>,
    pub path: &'a str,
    pub working_dir: &'a str,
    pub env: &'a [String],
    /// The call's words.
    pub argv: &'a [String],
}
