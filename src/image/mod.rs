//! Tier 1: an image's documents, the entries of its layers, and the file system that the layers form. This module does
//! not know what the files are: [`Contents`] and [`RootFs`] store the value that the caller's closure returned for each
//! file.

mod attributes;
mod contents;
mod directory;
mod error;
mod fetch;
#[cfg(test)]
mod fuzz_tests;
mod layer;
mod lazy;
mod limits;
mod note;
mod pipeline;
mod rootfs;
mod select;
mod soci;
mod stream;
mod tar;
#[cfg(test)]
pub(crate) mod testing;
mod trusted;
mod unpack;

pub use contents::{Contents, EntryKind, LayerMember, PATH_LIMIT};
pub use directory::{DirectoryRead, read_directory};
pub use error::{DocumentFault, EXTEND_DEADLINE, ImageError, LayerError, raise_memory};
pub use fetch::statements;
pub use layer::{Layer, LayerRead, MeasuredLayer, SociBinding, Ztoc, read_layer};
#[cfg(any(test, fuzzing))]
pub use lazy::inflate_by_ztoc;
pub use lazy::{Extent, FileStart, LazyLayer, Portion, TocFormat};
pub use limits::{Limits, MemoryBudget};
pub use note::LayerNote;
pub use pipeline::{Compression, looks_like_tar};
pub use rootfs::{
    CoveredLink, Covering, Dangling, EngineRefusal, FileView, LinkFault, NodeId, NodeKind, Refused, ResolveError,
    RootFs, merge,
};
pub use select::{BrokenEntry, Image, Selection, SkippedEntry, Wanted, Why, select};
pub use soci::with_ztocs;
pub use stream::{Streamed, read_stream};
pub use tar::{Blocks, TarMember, Visit, normalise, padding, walk as walk_tar};
pub use trusted::read_trusted;
pub use unpack::{ArchiveCompression, unpack};
