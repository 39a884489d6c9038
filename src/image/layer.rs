//! Reads one layer: opens it, detects its compression from its bytes, walks its tar, and checks both of its digests. It
//! takes one pass, unpacks nothing to disk, and its memory does not grow with the layer's bytes: buffers of at most
//! about 8 MiB, the decoder's window, and what [`Contents`] stores for each entry (about 15 bytes). The caller's thread
//! walks the tar and runs `visit`; other threads read, decode and hash, see [`super::pipeline`].

use std::io::{self, BufRead, Read};
use std::num::NonZero;
use std::sync::{Arc, LazyLock};

use super::contents::{Contents, LayerMember};
use super::error::{ImageError, LayerError};
use super::limits::Limits;
use super::note::LayerNote;
use super::pipeline::{
    Compression, LayerDecoder, LayerPipeline, MAGIC_BYTES, Scheduler, StoredReader, Sums, Trailing, wrong_checksum,
};
use super::tar::{Visit, walk};
use crate::oci::{Descriptor, DiffId, Digest, Hasher};
use crate::source::{ImageSource, SourceError};

/// A layer as a manifest and its config list it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// Counts from the lowest layer, which is 0.
    pub index: usize,
    pub descriptor: Descriptor,
    /// The digest of the uncompressed bytes as the config states it; `None` if the config does not state it.
    pub diff_id: Option<DiffId>,
    /// The table of contents that SOCI stores for this layer, if it was searched for and found.
    pub ztoc: Option<Box<Ztoc>>,
}

/// A table of contents in a blob of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ztoc {
    pub descriptor: Descriptor,
    pub binding: SociBinding,
}

/// How a SOCI index is bound to its image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SociBinding {
    /// By its digest in the image's manifest (SOCI index manifest v2).
    Manifest,
    /// By a referrer of the image, which anyone who can push to the repository can add (v1).
    Referrer,
}

/// Properties of a layer's bytes, measured while reading them. Both digests are computed here, not copied from a
/// document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeasuredLayer {
    pub digest: Digest,
    pub diff_id: DiffId,
    pub stored_bytes: u64,
    pub uncompressed_bytes: u64,
    pub compression: Compression,
}

/// A layer's entries, and the properties of the bytes that they were read from.
#[derive(Debug)]
pub struct LayerRead<T> {
    pub contents: Contents<T>,
    pub checked: MeasuredLayer,
    pub notes: Vec<LayerNote>,
}

/// Reads a layer once. `visit` is called for regular files only, with a reader of the file's logical content, of which
/// it may read as much as it needs; it returns `None` for a file without anything worth keeping.
pub fn read_layer<T>(
    source: &dyn ImageSource,
    layer: &Layer,
    limits: &Limits,
    visit: &mut dyn FnMut(&LayerMember<'_>, &mut dyn BufRead) -> Option<T>,
) -> Result<LayerRead<T>, ImageError> {
    let descriptor = &layer.descriptor;
    let opened = limits.check_stored(descriptor.size).and_then(|()| open(source, descriptor));
    let read = opened.and_then(|reader| {
        let stored = Stored { reader, left: descriptor.size, expected: descriptor.size };
        let helpers = if descriptor.size <= SMALL { 0 } else { *HELPERS };
        let through = |decoder, scheduler| LayerPipeline::helped(decoder, scheduler, helpers);
        check(read_stored(stored, descriptor.digest.hasher(), limits, through, visit)?, layer)
    });
    read.map_err(|cause| cause.in_layer(layer.index, descriptor))
}

/// Layers with at most this many stored bytes are read before a helper thread would have started.
const SMALL: u64 = 1 << 20;

/// Threads in addition to the walking one: one decodes while another hashes, if there are processors for all.
static HELPERS: LazyLock<usize> = LazyLock::new(|| {
    let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
    processors.clamp(2, 3) - 1
});

fn open(source: &dyn ImageSource, descriptor: &Descriptor) -> Result<Box<dyn Read + Send>, LayerError> {
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

/// Checks what was read against what the image states. A size or digest mismatch explains a broken stream, so it is
/// reported first.
pub(super) fn check<T>(passed: Passed<T>, layer: &Layer) -> Result<LayerRead<T>, LayerError> {
    let expected = layer.descriptor.size;
    if passed.bytes != expected {
        return Err(LayerError::WrongSize { expected, found: passed.bytes });
    }
    if passed.digest != layer.descriptor.digest {
        return Err(LayerError::WrongDigest { found: passed.digest });
    }
    let mut read = passed.read?;
    let (media_type, compression) = (&layer.descriptor.media_type, read.checked.compression);
    if is_declared_uncompressed(media_type) && compression != Compression::None {
        read.notes.push(LayerNote::MislabelledCompression { media_type: media_type.clone(), compression });
    }
    match &layer.diff_id {
        Some(expected) if *expected != read.checked.diff_id => {
            Err(LayerError::WrongDiffId { expected: expected.clone(), found: read.checked.diff_id })
        }
        _ => Ok(read),
    }
}

/// Whether containerd unpacks a blob of this media type without decompressing it. It inspects the bytes only for
/// docker's types. Source: containerd's core/images/mediatypes.go, `DiffCompression`.
fn is_declared_uncompressed(media_type: &str) -> bool {
    let plain = ["application/vnd.oci.image.layer.v1.tar", "application/vnd.oci.image.layer.nondistributable.v1.tar"];
    plain.contains(&media_type)
}

/// A layer whose stored bytes were all read, whether or not they could be parsed.
#[derive(Debug)]
pub(super) struct Passed<T> {
    pub digest: Digest,
    pub bytes: u64,
    pub read: Result<LayerRead<T>, LayerError>,
}

/// Reads a layer's stored bytes to their end. Fails if the bytes could not be fetched. `hasher` computes the digest
/// that the layer is named by; `through` chooses the threads of the pipeline.
pub(super) fn read_stored<T, R: Read>(
    reader: R,
    hasher: Hasher,
    limits: &Limits,
    through: impl FnOnce(LayerDecoder<R>, Arc<Scheduler>) -> LayerPipeline<R>,
    visit: &mut Visit<'_, T>,
) -> Result<Passed<T>, LayerError> {
    let scheduler = Arc::<Scheduler>::default();
    let mut stored = StoredReader::new(reader, Some(Arc::clone(&scheduler)));
    let start = stored.fill_buf()?;
    let compression = Compression::detect(&start[..start.len().min(MAGIC_BYTES)]);
    scheduler.begin_hashing(Sums::new(hasher, *compression.as_ref().unwrap_or(&Compression::None)));
    let compression = match compression {
        Ok(compression) => compression,
        Err(cause) => return failed(stored, &scheduler, cause),
    };
    let mut tar = through(LayerDecoder::new(compression, stored, limits)?, Arc::clone(&scheduler));
    let (contents, mut notes) = match walk(&mut tar, limits, visit) {
        Ok(walked) => walked,
        Err(cause) => {
            let (decoder, outcome) = tar.stop();
            // Failing to fetch bytes takes precedence over an error in how they were parsed.
            let source_error = outcome.err().map(LayerError::from).filter(is_source_failure);
            return failed(decoder.into_inner().0, &scheduler, source_error.unwrap_or(cause));
        }
    };
    let (decoder, produced) = tar.finish();
    let uncompressed_bytes = match produced {
        Ok(produced) => produced,
        Err(cause) => return failed(decoder.into_inner().0, &scheduler, cause.into()),
    };
    let stated_crc = decoder.crc();
    let (mut stored, trailing) = decoder.into_inner();
    match trailing {
        Trailing::Nothing => {}
        Trailing::Zeros => notes.push(LayerNote::TrailingZeros),
        Trailing::Garbage => notes.push(LayerNote::TrailingGarbage),
    }
    stored.drain()?;
    let sums = scheduler.finish_hashing();
    let (crc, stored_bytes, (digest, tar_digest)) = (sums.crc(), stored.taken(), sums.finish());
    let diff_id = DiffId(tar_digest);
    let checked = MeasuredLayer { digest: digest.clone(), diff_id, stored_bytes, uncompressed_bytes, compression };
    let read = if crc == stated_crc { Ok(LayerRead { contents, checked, notes }) } else { Err(wrong_checksum()) };
    Ok(Passed { digest, bytes: stored_bytes, read })
}

/// Reads the remaining bytes, so that the digest shows whether these are the intended bytes.
fn failed<T, R: Read>(
    mut stored: StoredReader<R>,
    scheduler: &Scheduler,
    cause: LayerError,
) -> Result<Passed<T>, LayerError> {
    if is_source_failure(&cause) {
        return Err(cause);
    }
    stored.drain()?;
    Ok(Passed { digest: scheduler.finish_hashing().finish().0, bytes: stored.taken(), read: Err(cause) })
}

/// Whether the bytes could not be fetched at all.
fn is_source_failure(cause: &LayerError) -> bool {
    matches!(cause, LayerError::Read(_) | LayerError::TooLong { .. } | LayerError::Source(_) | LayerError::Deadline(_))
}

/// A blob from a source, limited to its descriptor's size so that an endless one ends.
struct Stored<R> {
    reader: R,
    left: u64,
    expected: u64,
}

impl<R: Read> Read for Stored<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let named = |error: io::Error| match error.kind() {
            io::ErrorKind::Interrupted => error,
            _ => LayerError::from(error).into(),
        };
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
