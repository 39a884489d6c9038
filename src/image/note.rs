//! What is odd about a layer that could be read: what its archive, its stream or its media type say.

use super::pipeline::Compression;

/// What was odd about a layer, though all of it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LayerNote {
    /// Zeros behind the compressed stream, as padding of block devices leaves.
    TrailingZeros,
    /// Bytes behind the compressed stream that engines may refuse.
    TrailingGarbage,
    /// The tar ends without its two blocks of zeros; engines take it.
    NoEndMarker,
    /// A name or link target over the kernel's PATH_MAX; no engine can unpack it. Carries its start.
    NameTooLong(Vec<u8>),
    /// A name with `..` that leads out of the root; it was clamped there. docker refuses such a layer.
    EscapingName(Vec<u8>),
    /// An entry of a type that engines refuse with the whole layer, though Go's archive/tar reads it.
    UnknownType { path: Vec<u8>, tag: u8 },
    /// A whiteout of nothing, or of the directory that it is in.
    ImpossibleWhiteout(Vec<u8>),
    /// The bytes are compressed and the media type says that they are not.
    MislabelledCompression { media_type: String, compression: Compression },
}
