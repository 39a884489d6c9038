//! Reads one layer: opens it, tells its compression by its bytes, walks its tar, and holds both of its digests to what
//! the image says. One pass, nothing is unpacked to disk, and memory does not grow with the layer's bytes: buffers of
//! some 6 MiB, the decoder's window, and what [`Contents`] keeps of each entry (some 40 bytes). The caller's thread walks
//! the tar and runs `visit`; decoding and hashing go on beside it, see [`super::pipeline`].

use std::io::{self, BufRead, Read};
use std::num::NonZero;

use super::contents::{Contents, Entry};
use super::decompress::{Compression, Decoder, MAGIC_BYTES};
use super::entries::{LayerNote, Visit, walk};
use super::error::{ImageError, LayerError};
use super::gzip::Trailing;
use super::intake::Intake;
use super::limits::Limits;
use super::pipeline::{Finished, Pipeline};
use super::sums::Sums;
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
        let helpers = if descriptor.size <= SMALL { 0 } else { helpers() };
        let through = |decoder, sums| Pipeline::helped(decoder, sums, helpers);
        check(read_stored(Intake::new(stored), descriptor.digest.hasher(), limits, through, visit)?, layer)
    });
    read.map_err(|cause| cause.of(layer.index, descriptor))
}

/// Stored bytes of a layer that is done with before a thread has started.
const SMALL: u64 = 1 << 20;

/// Threads beside the one that walks: one decodes while another hashes, where there are processors for all.
fn helpers() -> usize {
    let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
    processors.clamp(2, 3) - 1
}

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

/// Reads a layer's stored bytes to their end, whatever names them. An error where the bytes could not be had. `hasher` is
/// that of the digest that they are named by; `through` says on which threads they pass.
pub(super) fn read_stored<T, R: Read>(
    mut stored: Intake<R>,
    hasher: Hasher,
    limits: &Limits,
    through: impl FnOnce(Decoder<R>, Sums) -> Pipeline<R>,
    visit: &mut Visit<'_, T>,
) -> Result<Passed<T>, LayerError> {
    let start = stored.fill_buf()?;
    let compression = match Compression::of(&start[..start.len().min(MAGIC_BYTES)]) {
        Ok(compression) => compression,
        Err(cause) => return failed(stored, hasher, cause),
    };
    let sums = Sums::new(hasher, compression);
    let mut tar = through(Decoder::new(compression, stored, limits)?, sums);
    let (contents, mut notes) = match walk(&mut tar, limits, visit) {
        Ok(walked) => walked,
        Err(cause) => return broken(tar.stop(), cause),
    };
    let mut finished = tar.finish();
    if let Err(cause) = std::mem::replace(&mut finished.outcome, Ok(())) {
        return broken(finished, cause.into());
    }
    let crc = finished.sums.crc.take().map(crc32fast::Hasher::finalize);
    if let Some(Err(cause)) = crc.map(|crc| finished.decoder.check(crc)) {
        return broken(finished, cause);
    }
    let Finished { decoder, mut sums, produced, .. } = finished;
    let (mut stored, trailing) = decoder.into_inner();
    match trailing {
        Trailing::Nothing => {}
        Trailing::Zeros => notes.push(LayerNote::TrailingZeros),
        Trailing::Garbage => notes.push(LayerNote::TrailingGarbage),
    }
    stored.hash_rest(&mut sums.stored)?;
    let (stored_bytes, uncompressed_bytes, (digest, tar_digest)) = (stored.taken(), produced, sums.finish());
    let diff_id = DiffId(tar_digest);
    let checked = Checked { digest: digest.clone(), diff_id, stored_bytes, uncompressed_bytes, compression };
    Ok(Passed { digest, bytes: stored_bytes, read: Ok(LayerRead { contents, checked, notes }) })
}

fn broken<T, R: Read>(finished: Finished<R>, cause: LayerError) -> Result<Passed<T>, LayerError> {
    failed(finished.decoder.into_inner().0, finished.sums.stored, cause)
}

/// Reads what is left, so that the digest tells whether these are the bytes that were meant.
fn failed<T, R: Read>(mut stored: Intake<R>, mut hasher: Hasher, cause: LayerError) -> Result<Passed<T>, LayerError> {
    if matches!(cause, LayerError::Read(_) | LayerError::TooLong { .. } | LayerError::Source(_)) {
        return Err(cause);
    }
    stored.hash_rest(&mut hasher)?;
    Ok(Passed { digest: hasher.finish(), bytes: stored.taken(), read: Err(cause) })
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
