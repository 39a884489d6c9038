//! Floor 3: an image's documents, its layers' entries, and the file system they make together. It does not know what
//! the files are: [`Contents`] and [`RootFs`] carry whatever the caller's closure returned for each file.

mod contents;
mod rootfs;

pub use contents::{Contents, Entry, EntryKind};
pub use rootfs::{Dangling, FileView, NodeId, NodeKind, ResolveError, RootFs, merge};
