//! Reads one layer: opens it, tells its compression by its bytes, walks its tar, and holds both of its digests to what
//! the image says. One pass, nothing is unpacked to disk, and memory does not grow with the layer's bytes: buffers of
//! some 6 MiB, the decoder's window, and what [`Contents`] keeps of each entry (some 40 bytes). Reading, decoding and
//! hashing run on threads of their own where there is enough to do; the caller's walks the tar and runs `visit`.

use std::io::{self, Read};

use super::ahead::{Ahead, Threads};
use super::contents::{Contents, Entry};
use super::decompress::{Compression, Decoder, MAGIC_BYTES, looks_like_tar};
use super::entries::{LayerNote, Visit, walk};
use super::error::{ImageError, LayerError};
use super::gzip::Trailing;
use super::hashed::{Hashing, Plain, Sum, Sums, Unfinished};
use super::limits::Limits;
use crate::oci::{Descriptor, DiffId, Digest, Hasher};
use crate::source::{Source, SourceError};

/// A layer as a manifest and its config list it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// Counts from the lowest layer, which is 0.
    pub index: usize,
    pub descriptor: Descriptor,
    /// What the config says of its uncompressed bytes; `None` where the config says nothing.
    pub diff_id: Option<DiffId>,
}

/// What was found out about a layer's bytes while they passed. Both digests were computed, not taken from anybody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    pub digest: Digest,
    pub diff_id: DiffId,
    pub stored_bytes: u64,
    pub uncompressed_bytes: u64,
    pub compression: Compression,
}

/// A layer's entries, and what is known of the bytes that they came from.
#[derive(Debug)]
pub struct LayerRead<T> {
    pub contents: Contents<T>,
    pub checked: Checked,
    pub notes: Vec<LayerNote>,
}

/// Reads a layer once. `visit` is called for regular files only, with a reader of the file's logical content, of which it
/// may read as much as it wants; `None` means that nothing of it is worth keeping.
pub fn read_layer<T>(
    source: &dyn Source,
    layer: &Layer,
    limits: &Limits,
    visit: &mut dyn FnMut(&Entry<'_>, &mut dyn Read) -> Option<T>,
) -> Result<LayerRead<T>, ImageError> {
    let descriptor = &layer.descriptor;
    let read = open(source, descriptor).and_then(|reader| {
        let stored = Stored { reader, left: descriptor.size, expected: descriptor.size };
        let is_small = descriptor.size <= SMALL;
        let (reading, decoding) = if is_small { NO_THREADS } else { THREADS };
        let ahead = Ahead::new(stored, Sums::digest(descriptor.digest.hasher()), reading);
        let is_sha256 = descriptor.digest.algorithm() == "sha256";
        check(read_stored(ahead, is_sha256, limits, |tar, sums| Ahead::new(tar, sums, decoding), visit)?, layer)
    });
    read.map_err(|cause| cause.of(layer.index, descriptor))
}

/// How a layer's stored bytes are read, and how they are decoded; each is told by the first bytes that come.
type Plan = (fn(&[u8]) -> Threads, fn(&[u8]) -> Threads);

/// Stored bytes are few and hashed where they are read, beside their decoding on another thread; a plain tar's are many.
const THREADS: Plan = (
    |start| match looks_like_tar(&start[..start.len().min(MAGIC_BYTES)]) {
        true => Threads::ReadingAndHashing,
        false => Threads::Reading,
    },
    |_| Threads::ReadingAndHashing,
);

const NO_THREADS: Plan = (|_| Threads::None, |_| Threads::None);

/// Stored bytes of a layer that is done with in a few milliseconds: other layers are what goes on beside it.
const SMALL: u64 = 1 << 20;

fn open(source: &dyn Source, descriptor: &Descriptor) -> Result<Box<dyn Read + Send>, LayerError> {
    if descriptor.is_encrypted() {
        return Err(LayerError::Encrypted(descriptor.media_type.clone()));
    }
    source.open(descriptor).map_err(|error| match error.bare() {
        SourceError::NotFound { .. } | SourceError::NotPresent { .. } if descriptor.is_foreign_layer() => {
            LayerError::Foreign(descriptor.urls.clone())
        }
        _ => LayerError::Source(error),
    })
}

/// Holds what has passed to what the image says of it. Other bytes than those that are named explain a broken stream, so
/// they are told first.
pub(super) fn check<T>(passed: Passed<T>, layer: &Layer) -> Result<LayerRead<T>, LayerError> {
    let expected = layer.descriptor.size;
    if passed.bytes != expected {
        return Err(LayerError::WrongSize { expected, found: passed.bytes });
    }
    if passed.digest != layer.descriptor.digest {
        return Err(LayerError::WrongDigest { found: passed.digest });
    }
    let read = passed.read?;
    match &layer.diff_id {
        Some(expected) if *expected != read.checked.diff_id => {
            Err(LayerError::WrongDiffId { expected: expected.clone(), found: read.checked.diff_id })
        }
        _ => Ok(read),
    }
}

/// A layer whose stored bytes have all passed, whether or not they could be understood.
#[derive(Debug)]
pub(super) struct Passed<T> {
    pub digest: Digest,
    pub bytes: u64,
    pub read: Result<LayerRead<T>, LayerError>,
}

/// Reads a layer's stored bytes to their end, whatever names them. An error where the bytes could not be had.
/// `inflating` says on which thread they are decoded.
pub(super) fn read_stored<T, S: Hashing, P: Plain<Decoder<S>>>(
    mut stored: S,
    is_sha256: bool,
    limits: &Limits,
    inflating: impl FnOnce(Decoder<S>, Sums) -> P,
    visit: &mut Visit<'_, T>,
) -> Result<Passed<T>, LayerError> {
    let start = stored.fill_buf()?;
    let compression = match Compression::of(&start[..start.len().min(MAGIC_BYTES)]) {
        Ok(compression) => compression,
        Err(cause) => return failed(stored, cause),
    };
    if compression == Compression::None && is_sha256 {
        let (contents, notes) = match walk(&mut stored, limits, visit) {
            Ok(walked) => walked,
            Err(cause) => return failed(stored, cause),
        };
        let (digest, bytes) = stored.finish()?;
        let (stored_bytes, uncompressed_bytes) = (bytes, bytes);
        let diff_id = DiffId(digest.clone());
        let checked = Checked { digest: digest.clone(), diff_id, stored_bytes, uncompressed_bytes, compression };
        return Ok(Passed { digest, bytes, read: Ok(LayerRead { contents, checked, notes }) });
    }
    let sums = match compression {
        Compression::Gzip => Sums::digest_and_crc(Hasher::sha256()),
        Compression::Zstd | Compression::None => Sums::digest(Hasher::sha256()),
    };
    let mut tar = inflating(Decoder::new(compression, stored, limits)?, sums);
    let (contents, mut notes) = match walk(&mut tar, limits, visit) {
        Ok(walked) => walked,
        Err(cause) => return failed(tar.into_inner().into_inner().0, cause),
    };
    let Sum { digest, crc, bytes: uncompressed_bytes, inner: decoder } = match tar.sum() {
        Ok(sum) => sum,
        Err(Unfinished { cause, inner }) => return failed(inner.into_inner().0, cause.into()),
    };
    if let Some(Err(cause)) = crc.map(|crc| decoder.check(crc)) {
        return failed(decoder.into_inner().0, cause);
    }
    let diff_id = DiffId(digest);
    let (stored, trailing) = decoder.into_inner();
    match trailing {
        Trailing::Nothing => {}
        Trailing::Zeros => notes.push(LayerNote::TrailingZeros),
        Trailing::Garbage => notes.push(LayerNote::TrailingGarbage),
    }
    let (digest, bytes) = stored.finish()?;
    let checked = Checked { digest: digest.clone(), diff_id, stored_bytes: bytes, uncompressed_bytes, compression };
    Ok(Passed { digest, bytes, read: Ok(LayerRead { contents, checked, notes }) })
}

/// Reads what is left, so that the digest tells whether these are the bytes that were meant.
fn failed<T, S: Hashing>(stored: S, cause: LayerError) -> Result<Passed<T>, LayerError> {
    if matches!(cause, LayerError::Read(_) | LayerError::TooLong { .. } | LayerError::Source(_)) {
        return Err(cause);
    }
    let (digest, bytes) = stored.finish()?;
    Ok(Passed { digest, bytes, read: Err(cause) })
}

/// A blob as a source gives it, held to its descriptor's size so that an endless one ends.
struct Stored<R> {
    reader: R,
    left: u64,
    expected: u64,
}

impl<R: Read> Read for Stored<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let named = |error: io::Error| io::Error::from(LayerError::Read(error));
        if self.left == 0 {
            let mut beyond = [0];
            return match self.reader.read(&mut beyond).map_err(named)? {
                0 => Ok(0),
                _ => Err(LayerError::TooLong { expected: self.expected }.into()),
            };
        }
        let limit = into.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let read = self.reader.read(&mut into[..limit]).map_err(named)?;
        self.left -= read as u64;
        Ok(read)
    }
}

#[cfg(test)]
#[path = "layer_tests.rs"]
mod tests;
