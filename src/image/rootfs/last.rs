//! Remembers the directory of a layer's previous entry, so that a merge need not look up the whole path of the next.

use super::ROOT;

/// The directory of the previous entry and the nodes of its path: entries of one directory are consecutive, and the
/// next directory is usually near.
#[derive(Default)]
pub(super) struct Last {
    pub directory: Vec<u8>,
    /// The end of each component in `directory`, and its node.
    pub nodes: Vec<(usize, u32)>,
    /// [`super::RootFs::replaced`] at that time; the nodes are valid until it changes.
    pub replaced: u64,
}

impl Last {
    /// Truncates the nodes to those that also lead to `directory`.
    pub fn keep_shared(&mut self, directory: &[u8]) {
        let is_shared = |end: usize| {
            directory.get(..end) == Some(&self.directory[..end]) && matches!(directory.get(end), None | Some(b'/'))
        };
        let shared = self.nodes.iter().take_while(|(end, _)| is_shared(*end)).count();
        self.nodes.truncate(shared);
        self.directory.clear();
        self.directory.extend_from_slice(directory);
    }

    /// The last known node, and where the rest of the path begins.
    pub fn node(&self) -> (u32, usize) {
        self.nodes.last().map_or((ROOT, 0), |(end, id)| (*id, *end))
    }
}
