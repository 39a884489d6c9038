//! A layer's compression, told by its first bytes and never by its media type, and its decoding, which ends in an error
//! where the stream is cut, broken or a bomb.

use std::io::{self, BufRead, Read};

use flate2::{Decompress, FlushDecompress, Status};

use super::error::LayerError;
use super::hashed::Hashing;
use super::limits::Limits;

/// How a layer's tar is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Compression {
    None,
    Gzip,
    Zstd,
}

/// Bytes that tell every known compression and a tar's `ustar`.
pub(super) const MAGIC_BYTES: usize = 512;

/// Deflate's window. Source: RFC 1951.
const GZIP_WINDOW_BITS: u8 = 15;

/// 128 MiB: what `zstd -d` accepts by default, and what `zstd --ultra --long=27` writes.
const ZSTD_WINDOW_LOG_MAX: u32 = 27;

impl Compression {
    /// By the first [`MAGIC_BYTES`] of a layer. Sources: RFC 1952; RFC 8878, 3.1; tar's `ustar` at 257; a tar that holds
    /// nothing is zeros; tars older than `ustar` have a header whose checksum is right.
    pub(super) fn of(start: &[u8]) -> Result<Compression, LayerError> {
        match start {
            [0x1f, 0x8b, ..] => Ok(Compression::Gzip),
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Ok(Compression::Zstd),
            _ if looks_like_tar(start) => Ok(Compression::None),
            [b'B', b'Z', b'h', ..] => Err(LayerError::Compression("bzip2")),
            [0xfd, b'7', b'z', b'X', b'Z', ..] => Err(LayerError::Compression("xz")),
            [] => Err(LayerError::Truncated("tar")),
            _ => Err(LayerError::Unrecognised(start.iter().take(8).map(|byte| format!("{byte:02x}")).collect())),
        }
    }
}

/// Whether this can be the first block of a tar.
pub(super) fn looks_like_tar(start: &[u8]) -> bool {
    let Some(block) = start.get(..MAGIC_BYTES) else { return false };
    block.iter().all(|byte| *byte == 0) || &block[257..262] == b"ustar" || super::header::is_checksum_right(block)
}

/// A layer's stored bytes in, its tar out.
pub(super) struct Decoder<S: Hashing> {
    format: Format<S>,
    limits: Limits,
    produced: u64,
}

enum Format<R: BufRead> {
    Gzip(Box<Gzip<R>>),
    Zstd(zstd::Decoder<'static, R>),
    None(R),
}

/// What followed a layer's last compressed byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trailing {
    Nothing,
    Zeros,
    Garbage,
}

impl<S: Hashing> Decoder<S> {
    pub fn new(compression: Compression, stored: S, limits: &Limits) -> io::Result<Decoder<S>> {
        let format = match compression {
            Compression::Gzip => Format::Gzip(Box::new(Gzip::new(stored))),
            Compression::Zstd => {
                let mut decoder = zstd::Decoder::with_buffer(stored)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
                Format::Zstd(decoder)
            }
            Compression::None => Format::None(stored),
        };
        Ok(Decoder { format, limits: limits.clone(), produced: 0 })
    }

    pub fn into_inner(self) -> (S, Trailing) {
        match self.format {
            Format::Gzip(gzip) => (gzip.inner, gzip.trailing),
            Format::Zstd(decoder) => (decoder.finish(), Trailing::Nothing),
            Format::None(stored) => (stored, Trailing::Nothing),
        }
    }

    fn stored_bytes(&self) -> u64 {
        match &self.format {
            Format::Gzip(gzip) => gzip.inner.taken(),
            Format::Zstd(decoder) => decoder.get_ref().taken(),
            Format::None(stored) => stored.taken(),
        }
    }
}

impl<S: Hashing> Read for Decoder<S> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = match &mut self.format {
            Format::Gzip(gzip) => gzip.read(into)?,
            Format::Zstd(decoder) => decoder.read(into).map_err(zstd_error)?,
            Format::None(stored) => stored.read(into)?,
        };
        self.produced += read as u64;
        self.limits.check_size(self.stored_bytes(), self.produced)?;
        Ok(read)
    }
}

/// The decoder reports its own findings as plain errors; what the source said comes through as it was.
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

/// Every member of a gzip file, and what stands behind the last.
struct Gzip<R> {
    inner: R,
    state: Decompress,
    is_between_members: bool,
    is_at_end: bool,
    trailing: Trailing,
}

impl<R: BufRead> Gzip<R> {
    fn new(inner: R) -> Gzip<R> {
        let state = Decompress::new_gzip(GZIP_WINDOW_BITS);
        Gzip { inner, state, is_between_members: false, is_at_end: false, trailing: Trailing::Nothing }
    }

    /// Starts the next member, or takes in what is no member.
    fn next_member(&mut self) -> io::Result<()> {
        let next = self.inner.fill_buf()?;
        // A second byte beyond the buffer's end is looked at by the decoder.
        if matches!(next, [0x1f] | [0x1f, 0x8b, ..]) {
            self.state = Decompress::new_gzip(GZIP_WINDOW_BITS);
            self.is_between_members = false;
            return Ok(());
        }
        self.is_at_end = true;
        loop {
            let rest = self.inner.fill_buf()?;
            if rest.is_empty() {
                return Ok(());
            }
            if rest.iter().any(|byte| *byte != 0) {
                self.trailing = Trailing::Garbage;
            } else if self.trailing == Trailing::Nothing {
                self.trailing = Trailing::Zeros;
            }
            let length = rest.len();
            self.inner.consume(length);
        }
    }
}

impl<R: BufRead> Read for Gzip<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.is_between_members {
                self.next_member()?;
            }
            if self.is_at_end || into.is_empty() {
                return Ok(0);
            }
            let input = self.inner.fill_buf()?;
            let is_input_over = input.is_empty();
            let (before_in, before_out) = (self.state.total_in(), self.state.total_out());
            let status = self
                .state
                .decompress(input, into, FlushDecompress::None)
                .map_err(|error| LayerError::Corrupt { format: "gzip", cause: error.to_string() })?;
            let consumed = (self.state.total_in() - before_in) as usize;
            let produced = (self.state.total_out() - before_out) as usize;
            self.inner.consume(consumed);
            self.is_between_members = status == Status::StreamEnd;
            if produced > 0 {
                return Ok(produced);
            }
            if is_input_over && !self.is_between_members {
                return Err(LayerError::Truncated("gzip stream").into());
            }
            if consumed == 0 && !self.is_between_members {
                let cause = "the decoder makes no progress".to_string();
                return Err(LayerError::Corrupt { format: "gzip", cause }.into());
            }
        }
    }
}
