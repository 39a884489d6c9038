//! Anomalies of readable layers, found in the archive, the compressed stream or the media type.

use super::pipeline::Compression;

/// An anomaly of a layer that was read completely.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LayerNote {
    /// Zeros after the compressed stream, such as block devices leave as padding.
    TrailingZeros,
    /// Bytes after the compressed stream; engines may refuse them.
    TrailingGarbage,
    /// The tar ends without its two blocks of zeros; engines accept it.
    NoEndMarker,
    /// A name or link target longer than the kernel's PATH_MAX; no engine can unpack it. Holds its first bytes.
    NameTooLong(Vec<u8>),
    /// A name with `..` that leads out of the root and was clamped there. docker refuses such a layer.
    EscapingName(Vec<u8>),
    /// An entry of a type for which engines refuse the whole layer, although Go's archive/tar reads it.
    UnknownType { path: Vec<u8>, tag: u8 },
    /// A whiteout with an empty target, or one that targets its own directory.
    ImpossibleWhiteout(Vec<u8>),
    /// The bytes are compressed although the media type states that they are not.
    MislabelledCompression { media_type: String, compression: Compression },
}
