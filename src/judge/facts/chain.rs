//! The calls of a container, as the facts on reach need them.

use std::collections::{BTreeMap, BTreeSet};

use crate::image::NodeId;

/// The entry chain in the form that reach needs.
pub struct Chain<'a> {
    pub files: Vec<NodeId>,
    /// Files that a script tries to start, and goes on without.
    pub tried: Vec<NodeId>,
    /// The lines that scripts run, if that is known. Other lines call nothing.
    pub lines: BTreeMap<NodeId, &'a BTreeSet<usize>>,
    /// Paths that scripts pass to programs, each with the script.
    pub arguments: &'a BTreeMap<String, String>,
    /// The files that the health check runs.
    pub health: Vec<NodeId>,
    pub path: &'a str,
    pub working_dir: &'a str,
    pub env: &'a [String],
    /// The words of the call.
    pub argv: &'a [String],
}
