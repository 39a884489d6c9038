//! Floor 3: an image's documents, its layers' entries, and the file system they make together. It does not know what
//! the files are: [`Contents`] and [`RootFs`] carry whatever the caller's closure returned for each file.

mod blocks;
mod buffer;
mod contents;
mod decompress;
mod desk;
mod directory;
mod entries;
mod error;
mod fetch;
#[cfg(test)]
mod fuzz_tests;
mod gzip;
mod header;
mod intake;
mod layer;
mod limits;
mod names;
mod pax;
mod pipeline;
mod rootfs;
mod select;
mod sparse;
mod stage;
mod stream;
mod sums;
#[cfg(test)]
pub(crate) mod testing;

pub use contents::{Contents, Entry, EntryKind, PATH_LIMIT};
pub use decompress::Compression;
pub use directory::{DirectoryRead, read_directory};
pub use entries::LayerNote;
pub use error::{DocumentFault, ImageError, LayerError};
pub use fetch::statements;
pub use layer::{Checked, Layer, LayerRead, read_layer};
pub use limits::Limits;
pub use rootfs::{CoveredLink, Dangling, FileView, LinkFault, NodeId, NodeKind, ResolveError, RootFs, merge};
pub use select::{Broken, Image, Selection, Skipped, Wanted, Why, select};
pub use stream::{Streamed, read_stream};
