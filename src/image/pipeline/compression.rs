//! Detects a layer's compression from its first bytes, never from its media type.

use crate::image::error::LayerError;
use crate::source::tar::header::is_checksum_right;

/// How a layer's tar is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Compression {
    None,
    Gzip,
    Zstd,
}

/// Bytes needed to recognise every known compression and a tar's `ustar`.
pub const MAGIC_BYTES: usize = 512;

impl Compression {
    /// Detects the compression from the first [`MAGIC_BYTES`] of a layer. Sources: RFC 1952; RFC 8878, 3.1; tar's
    /// `ustar` at 257. An empty tar is zeros, and tars older than `ustar` have a header with a valid checksum.
    pub(in crate::image) fn detect(start: &[u8]) -> Result<Compression, LayerError> {
        match start {
            [0x1f, 0x8b, ..] => Ok(Compression::Gzip),
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Ok(Compression::Zstd),
            _ if looks_like_tar(start) => Ok(Compression::None),
            [b'B', b'Z', b'h', ..] => Err(LayerError::Compression("bzip2")),
            [0xfd, b'7', b'z', b'X', b'Z', ..] => Err(LayerError::Compression("xz")),
            // Empty input counts as an empty tar.
            [] => Ok(Compression::None),
            _ => Err(LayerError::Unrecognised(start.iter().take(8).map(|byte| format!("{byte:02x}")).collect())),
        }
    }
}

/// Whether this may be the first block of a tar.
pub fn looks_like_tar(start: &[u8]) -> bool {
    let Some(block) = start.get(..MAGIC_BYTES) else { return false };
    block.iter().all(|byte| *byte == 0) || &block[257..262] == b"ustar" || is_checksum_right(block)
}
