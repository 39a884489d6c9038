//! Decodes a layer. Reading fails if the stream is truncated, corrupt or a decompression bomb.

use std::io::{self, Read};
use std::sync::Arc;

use super::buffer::Buffer;
use super::compression::Compression;
use super::gzip::{Gzip, Trailing, wrong_checksum};
use super::stage::StepResult;
use super::stored::StoredReader;
use crate::image::error::LayerError;
use crate::image::limits::Limits;

/// 128 MiB: the most that `zstd -d` accepts by default, and the window that `zstd --ultra --long=27` uses.
const ZSTD_WINDOW_LOG_MAX: u32 = 27;

/// Reads a layer's stored bytes and produces its tar.
pub struct LayerDecoder<R: Read> {
    format: LayerCompression<StoredReader<R>>,
    limits: Limits,
    produced: u64,
}

enum LayerCompression<S: io::BufRead> {
    Gzip(Box<Gzip<S>>),
    Zstd(zstd::Decoder<'static, S>),
    None(S),
}

impl<R: Read> LayerDecoder<R> {
    pub fn new(compression: Compression, stored: StoredReader<R>, limits: &Limits) -> io::Result<LayerDecoder<R>> {
        let format = match compression {
            Compression::Gzip => LayerCompression::Gzip(Box::new(Gzip::new(stored))),
            Compression::Zstd => {
                let mut decoder = zstd::Decoder::with_buffer(stored)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
                LayerCompression::Zstd(decoder)
            }
            Compression::None => LayerCompression::None(stored),
        };
        Ok(LayerDecoder { format, limits: limits.clone(), produced: 0 })
    }

    /// The reader of the stored bytes.
    pub fn stored(&self) -> &StoredReader<R> {
        match &self.format {
            LayerCompression::Gzip(gzip) => gzip.get_ref(),
            LayerCompression::Zstd(decoder) => decoder.get_ref(),
            LayerCompression::None(stored) => stored,
        }
    }

    pub fn into_inner(self) -> (StoredReader<R>, Trailing) {
        match self.format {
            LayerCompression::Gzip(gzip) => gzip.into_inner(),
            LayerCompression::Zstd(decoder) => (decoder.into_inner(), Trailing::Nothing),
            LayerCompression::None(stored) => (stored, Trailing::Nothing),
        }
    }

    /// The next bytes of the tar; empty at its end. Uncompressed data is not copied.
    pub(super) fn buffer(&mut self) -> StepResult {
        let LayerCompression::None(stored) = &mut self.format else {
            let mut failed = None;
            let buffer = Buffer::fill(self, &mut failed)?;
            // The last bytes before an error may be garbage, and the error explains more than the walk could.
            return failed.map_or(Ok(Arc::new(buffer)), Err);
        };
        let buffer = stored.buffer()?;
        self.count(buffer.len())?;
        Ok(buffer)
    }

    /// The CRC-32 of all data as the stream states it, if the caller must check it. zstd's decoder checks its own
    /// checksum.
    pub fn crc(&self) -> Option<u32> {
        match &self.format {
            LayerCompression::Gzip(gzip) => Some(gzip.crc()),
            LayerCompression::Zstd(_) | LayerCompression::None(_) => None,
        }
    }

    fn count(&mut self, produced: usize) -> io::Result<()> {
        self.produced += produced as u64;
        let taken = self.stored().taken();
        self.limits.check_size(taken, self.produced)?;
        Ok(())
    }
}

impl<R: Read> Read for LayerDecoder<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = match &mut self.format {
            LayerCompression::Gzip(gzip) => gzip.read(into)?,
            LayerCompression::Zstd(decoder) => decoder.read(into).map_err(zstd_error)?,
            LayerCompression::None(stored) => stored.read(into)?,
        };
        self.count(read)?;
        Ok(read)
    }
}

/// Names the format in the decoder's own errors, which are plain I/O errors. Errors of the source pass through
/// unchanged.
fn zstd_error(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof if error.to_string() == "incomplete frame" => {
            LayerError::Truncated("zstd frame").into()
        }
        io::ErrorKind::Other if error.get_ref().is_some_and(|inner| !inner.is::<LayerError>()) => {
            LayerError::Corrupt { format: "zstd", cause: error.to_string() }.into()
        }
        _ => error,
    }
}

/// A decoder that verifies the data's checksum itself, for use without a pipeline.
pub struct SelfChecked<R: Read> {
    decoder: LayerDecoder<R>,
    crc: crc32fast::Hasher,
}

impl<R: Read> SelfChecked<R> {
    pub fn new(decoder: LayerDecoder<R>) -> SelfChecked<R> {
        SelfChecked { decoder, crc: crc32fast::Hasher::new() }
    }
}

impl<R: Read> Read for SelfChecked<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.decoder.read(into)?;
        self.crc.update(&into[..read]);
        let is_at_end = read == 0 && !into.is_empty();
        match self.decoder.crc() {
            Some(stated) if is_at_end && stated != self.crc.clone().finalize() => Err(wrong_checksum().into()),
            _ => Ok(read),
        }
    }
}
