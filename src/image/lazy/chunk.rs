//! Decompresses and verifies one chunk.

use std::fmt;
use std::io::Read;
use std::ops::Range;

use super::span::SpanReader;
use super::toc::{ChunkEncoding, Toc, TocChunk, TocFormat};
use crate::oci::Digest;

/// The bytes of a chunk, or its first bytes.
pub(super) struct DecodedChunk {
    pub bytes: Vec<u8>,
    /// The chunk is complete and matches its digest.
    pub is_verified: bool,
}

/// Why a chunk cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChunkFault {
    Undecodable,
    Incomplete,
    WrongDigest,
}

impl fmt::Display for ChunkFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ChunkFault::Undecodable => "a chunk cannot be decompressed",
            ChunkFault::Incomplete => "a chunk is incomplete",
            ChunkFault::WrongDigest => "a chunk does not match its digest in the table of contents",
        })
    }
}

/// Stored bytes in addition to those of the requested content: headers, and content that does not compress.
const OVERHEAD: u64 = 256;
/// A zstd block holds up to 128 KiB and can only be decompressed as a whole. Source: RFC 8878, 3.1.1.2.
const ZSTD_BLOCK: u64 = 128 << 10;

impl TocFormat {
    /// The stored range that contains at least the first `wanted` bytes of a chunk.
    pub(super) fn piece(self, chunk: &TocChunk, wanted: u64) -> Range<u64> {
        let needed = match self {
            // Content that precedes the chunk in its gzip member may need any number of bytes.
            TocFormat::EStargz if chunk.inner > 0 => u64::MAX,
            TocFormat::EStargz => wanted.saturating_add(wanted / 64 + OVERHEAD),
            TocFormat::ZstdChunked => wanted.saturating_add(wanted / 64 + ZSTD_BLOCK + OVERHEAD),
            // The digest is of the whole span.
            TocFormat::Soci => u64::MAX,
        };
        chunk.start..chunk.end.min(chunk.start.saturating_add(needed))
    }

    /// The stored range that contains the first `wanted` bytes of most chunks. Of the programs and libraries of a Debian
    /// image, 99 % have their first KiB in 800 bytes of gzip, and for 95 % the first zstd block compresses at most a
    /// fifth worse than the whole.
    pub(super) fn probable_piece(self, chunk: &TocChunk, wanted: u64) -> Range<u64> {
        let sure = self.piece(chunk, wanted);
        let needed = match self {
            TocFormat::EStargz if chunk.inner > 0 => u64::MAX,
            TocFormat::EStargz => wanted - wanted / 4 + OVERHEAD,
            TocFormat::ZstdChunked => {
                // A chunk's size is not 0, and both sizes are small.
                let blocks = chunk.size.min(wanted.next_multiple_of(ZSTD_BLOCK));
                let expected = blocks * (chunk.end - chunk.start) / chunk.size;
                expected + expected / 4 + OVERHEAD
            }
            TocFormat::Soci => u64::MAX,
        };
        sure.start..sure.end.min(sure.start.saturating_add(needed))
    }
}

/// Decompresses chunks. Chunks of the same span are decompressed in one pass if they are requested in their order.
pub(super) struct ChunkDecoder<'b> {
    toc: &'b Toc,
    /// The span that was opened last, verified.
    span: Option<(u32, SpanReader<'b>)>,
}

impl<'b> ChunkDecoder<'b> {
    pub fn new(toc: &'b Toc) -> ChunkDecoder<'b> {
        ChunkDecoder { toc, span: None }
    }

    /// Decompresses `stored`, the chunk's stored bytes or the first of them.
    pub fn decode(&mut self, chunk: &TocChunk, stored: &'b [u8]) -> Result<DecodedChunk, ChunkFault> {
        match &chunk.encoding {
            ChunkEncoding::Zeros => Ok(DecodedChunk { bytes: vec![0; chunk.size as usize], is_verified: true }),
            ChunkEncoding::Frame(digest) => decode_frame(self.toc.format, chunk, digest, stored),
            ChunkEncoding::Span(number) => self.decode_in_span(*number, chunk, stored),
        }
    }

    fn decode_in_span(&mut self, number: u32, chunk: &TocChunk, stored: &'b [u8]) -> Result<DecodedChunk, ChunkFault> {
        let is_ahead = |(open, reader): &(u32, SpanReader<'b>)| *open == number && reader.position() <= chunk.inner;
        let mut reader = match self.span.take().filter(is_ahead) {
            Some((_, reader)) => reader,
            None => {
                let expected = &self.toc.spans.get(number).digest;
                if expected.of_same_algorithm(stored) != *expected {
                    return Err(ChunkFault::WrongDigest);
                }
                self.toc.spans.open(number, stored).map_err(|_| ChunkFault::Undecodable)?
            }
        };
        let mut bytes = Vec::new();
        let skipped = reader.skip(chunk.inner - reader.position());
        let read = skipped.and_then(|()| reader.by_ref().take(chunk.size).read_to_end(&mut bytes));
        read.map_err(|_| ChunkFault::Undecodable)?;
        if bytes.len() as u64 != chunk.size {
            return Err(ChunkFault::Incomplete);
        }
        self.span = Some((number, reader));
        Ok(DecodedChunk { bytes, is_verified: true })
    }
}

fn decode_frame(
    format: TocFormat,
    chunk: &TocChunk,
    digest: &Digest,
    stored: &[u8],
) -> Result<DecodedChunk, ChunkFault> {
    let is_whole = stored.len() as u64 == chunk.end - chunk.start;
    let mut bytes = Vec::new();
    let limit = chunk.inner + chunk.size;
    let read = match format {
        TocFormat::EStargz | TocFormat::Soci => {
            flate2::bufread::GzDecoder::new(stored).take(limit).read_to_end(&mut bytes)
        }
        TocFormat::ZstdChunked => {
            let decoder = zstd::Decoder::with_buffer(stored);
            decoder.and_then(|decoder| decoder.take(limit).read_to_end(&mut bytes))
        }
    };
    // The end of a part is an error for the decoder, after all of its bytes.
    if is_whole && read.is_err() {
        return Err(ChunkFault::Undecodable);
    }
    let bytes = bytes.split_off((chunk.inner as usize).min(bytes.len()));
    let is_complete = bytes.len() as u64 == chunk.size;
    if is_complete && digest.of_same_algorithm(&bytes) != *digest {
        return Err(ChunkFault::WrongDigest);
    }
    if is_whole && !is_complete {
        return Err(ChunkFault::Incomplete);
    }
    Ok(DecodedChunk { bytes, is_verified: is_complete })
}

impl DecodedChunk {
    pub fn verified(self) -> Result<Vec<u8>, ChunkFault> {
        if self.is_verified { Ok(self.bytes) } else { Err(ChunkFault::Incomplete) }
    }
}
