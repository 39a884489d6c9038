//! Reads one layer: from the cache if it is known, otherwise from its source.

use std::io::{self, Read};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::keeping::counted;
use super::lazy::LazyRead;
use super::model::Problem;
use super::{Deadline, DigestTrust, Options, ReadDepth, Watch};
use crate::cache::CachedLayer;
use crate::image::{Contents, ImageError, Layer, LayerNote, LayerRead, Limits, read_layer, read_trusted};
use crate::inspect::{Depth, FileKind};
use crate::oci::{Descriptor, DiffId, Digest};
use crate::source::{FileSection, ImageSource, SourceError, Stamp};

/// A layer that has been read, as the merge needs it.
#[derive(Clone)]
pub struct ReadLayer {
    pub contents: Arc<Contents<FileKind>>,
    /// As computed from the bytes.
    pub diff_id: DiffId,
    /// Stored bytes.
    pub size: u64,
    /// Oddities that matter to an engine.
    pub notes: Vec<LayerNote>,
    pub extent: ReadExtent,
}

/// How a layer was read.
#[derive(Clone)]
pub enum ReadExtent {
    /// All bytes were checked against the digests.
    Verified,
    /// Only a part was read, and nothing was verified (`--trust-local`).
    Trusted,
    /// Only a part was read, with its table of contents (`--lazy`).
    Lazy(Arc<LazyRead>),
}

/// Every engine accepts a tar without its end marker.
fn matters(note: &LayerNote) -> bool {
    !matches!(note, LayerNote::NoEndMarker)
}

impl From<LayerRead<FileKind>> for ReadLayer {
    fn from(read: LayerRead<FileKind>) -> ReadLayer {
        let notes = read.notes.into_iter().filter(matters).collect();
        let (diff_id, size) = (read.checked.diff_id, read.checked.stored_bytes);
        ReadLayer { contents: Arc::new(read.contents), diff_id, size, notes, extent: ReadExtent::Verified }
    }
}

/// Reads one layer. A panic is a bug in imgarch and must only cost this layer's verdict.
pub(super) fn read_one(
    source: &Watched<'_>,
    layer: &Layer,
    limits: &Limits,
    options: &Options,
) -> Result<ReadLayer, Problem> {
    let span = tracing::debug_span!("layer", index = layer.index, digest = %layer.descriptor.digest);
    let _entered = span.enter();
    let digest = &layer.descriptor.digest;
    if let Some(Err(late)) = options.deadline.map(|deadline| deadline.check()) {
        let (index, digest) = (layer.index, digest.clone());
        return Err(Problem::from(ImageError::Layer { index, digest, cause: Box::new(late) }));
    }
    let depth = options.depth();
    if options.trust == DigestTrust::Local
        && let Some(read) = guarded(layer, || read_trusted(source, layer, limits, &mut counted(depth, limits)))?
    {
        source.watch.read(layer.descriptor.size);
        let (contents, size) = (Arc::new(read.contents), layer.descriptor.size);
        let notes = read.notes.into_iter().filter(matters).collect();
        return Ok(ReadLayer { contents, diff_id: read.diff_id, size, notes, extent: ReadExtent::Trusted });
    }
    let stamp = match &options.cache {
        Some(_) => source.stamp(&layer.descriptor).map_err(|error| unreadable(error, layer))?,
        None => None,
    };
    let known = options.cache.as_ref().and_then(|cache| cache.find(digest, layer.descriptor.size));
    let known = known.filter(|found| is_within(found, limits) && is_as_deep(found, depth));
    // If the bytes are wrong, reading them completely reports how.
    if let Some(found) = known.filter(|_| is_as_stored(source, layer, stamp.as_ref(), options)) {
        tracing::debug!(entries = found.contents.len(), "found in the cache");
        source.watch.read(layer.descriptor.size);
        let size = layer.descriptor.size;
        let (contents, diff_id, notes) = (Arc::new(found.contents), found.diff_id, Vec::new());
        return Ok(ReadLayer { contents, diff_id, size, notes, extent: ReadExtent::Verified });
    }
    if options.reading == ReadDepth::Lazy
        && let Some(read) = begin_lazily(source, layer, limits, depth)?
    {
        return Ok(read);
    }
    let read = guarded(layer, || read_layer(source, layer, limits, &mut counted(depth, limits)))?;
    tracing::debug!(entries = read.contents.len(), bytes = read.checked.uncompressed_bytes, "read");
    remember(&read, options);
    see(layer, stamp.as_ref(), options);
    Ok(read.into())
}

/// Reads a layer in part, if it has a table of contents.
fn begin_lazily(
    source: &Watched<'_>,
    layer: &Layer,
    limits: &Limits,
    depth: Depth,
) -> Result<Option<ReadLayer>, Problem> {
    let Some(diff_id) = layer.diff_id.clone() else { return Ok(None) };
    let Some(read) = guarded(layer, || Ok(LazyRead::begin(source, layer, limits, depth)))? else { return Ok(None) };
    let contents = read.contents(limits)?;
    let size = layer.descriptor.size;
    source.watch.read(size);
    tracing::debug!(entries = contents.len(), tally = ?read.tally(), "read in part");
    let extent = ReadExtent::Lazy(Arc::new(read));
    Ok(Some(ReadLayer { contents, diff_id, size, notes: Vec::new(), extent }))
}

/// Calls `read`; a panic is reported as an internal error.
fn guarded<R>(layer: &Layer, read: impl FnOnce() -> Result<R, ImageError>) -> Result<R, Problem> {
    match catch_unwind(AssertUnwindSafe(read)) {
        Ok(read) => read.map_err(Problem::from),
        Err(_) => {
            let text =
                format!("reading layer {} ({}): internal error", layer.index + 1, layer.descriptor.digest.short());
            Err(Problem::new(text, Some("this is a bug in imgarch; please report it with the image's name".into())))
        }
    }
}

pub(super) fn unreadable(error: SourceError, layer: &Layer) -> Problem {
    let (index, digest) = (layer.index, layer.descriptor.digest.clone());
    Problem::from(ImageError::Layer { index, digest, cause: Box::new(error.into()) })
}

/// Whether the bytes of a local file are the ones that the cache knows. A file that has not changed since it was
/// verified is not read again; a blob that is not a local file, such as a registry's, is trusted.
fn is_as_stored(source: &Watched<'_>, layer: &Layer, stamp: Option<&Stamp>, options: &Options) -> bool {
    let (descriptor, Some(stamp), Some(cache)) = (&layer.descriptor, stamp, &options.cache) else { return true };
    if cache.has_seen(&descriptor.digest, stamp) {
        return true;
    }
    let Ok(reader) = source.source.open(descriptor) else { return false };
    let read = descriptor.digest.hasher().read(&mut reader.take(descriptor.size.saturating_add(1)));
    let is_right = read.is_ok_and(|(digest, _)| digest == descriptor.digest);
    if is_right {
        see(layer, Some(stamp), options);
    }
    is_right
}

/// Records the state from before the read, so that a file that was written to meanwhile does not match.
fn see(layer: &Layer, stamp: Option<&Stamp>, options: &Options) {
    if let (Some(cache), Some(stamp)) = (&options.cache, stamp)
        && let Err(error) = cache.see(&layer.descriptor.digest, stamp)
    {
        tracing::debug!(%error, "could not record a verified layer in the cache");
    }
}

/// Records that were made under other limits must also meet these.
fn is_within(found: &CachedLayer, limits: &Limits) -> bool {
    let facts = || found.contents.facts().map(FileKind::heap_bytes).sum::<usize>();
    found.uncompressed_bytes <= limits.max_bytes
        && found.contents.names() <= limits.max_names
        && limits.memory.reserve(found.contents.used_bytes() + facts()).is_ok()
}

/// Whether a cache record is at least this deep. Shallower ones are made again.
fn is_as_deep(found: &CachedLayer, depth: Depth) -> bool {
    depth == Depth::Headers
        || found.contents.facts().all(|kind| !matches!(kind, FileKind::Elf(elf) if elf.lacks_code()))
}

/// Only computed digests are recorded. A cache that cannot be written costs time, but does not change the result.
fn remember(read: &LayerRead<FileKind>, options: &Options) {
    // Cache records have no notes, so a layer that has some is read again.
    let Some(cache) = options.cache.as_ref().filter(|_| !read.notes.iter().any(matters)) else { return };
    if let Err(error) = cache.keep(&read.checked, &read.contents) {
        tracing::debug!(%error, directory = ?cache.directory(), "could not keep a layer in the cache");
    }
}

/// A source that reports the bytes that are read, and fails after the deadline.
pub(super) struct Watched<'a> {
    pub source: &'a dyn ImageSource,
    pub watch: Arc<dyn Watch>,
    pub deadline: Option<Deadline>,
}

impl ImageSource for Watched<'_> {
    fn root(&self) -> Result<Descriptor, SourceError> {
        self.source.root()
    }

    fn open(&self, descriptor: &Descriptor) -> Result<Box<dyn Read + Send>, SourceError> {
        let reader = self.source.open(descriptor)?;
        Ok(Box::new(ReportedReader { reader, watch: Arc::clone(&self.watch), deadline: self.deadline }))
    }

    fn section(&self, descriptor: &Descriptor) -> Result<Option<FileSection>, SourceError> {
        self.source.section(descriptor)
    }

    fn read_range(&self, descriptor: &Descriptor, range: Range<u64>) -> Result<Option<Vec<u8>>, SourceError> {
        let check = self.deadline.map_or(Ok(()), |deadline| deadline.check());
        check.map_err(|late| SourceError::Unreachable { place: "the layer".to_string(), cause: late.to_string() })?;
        self.source.read_range(descriptor, range)
    }

    fn referrers(&self, digest: &Digest) -> Result<Vec<Descriptor>, SourceError> {
        self.source.referrers(digest)
    }

    fn manifest(&self, digest: &Digest) -> Result<Option<Descriptor>, SourceError> {
        self.source.manifest(digest)
    }

    fn stamp(&self, descriptor: &Descriptor) -> Result<Option<Stamp>, SourceError> {
        self.source.stamp(descriptor)
    }
}

/// A reader that reports the bytes that are read, and fails after the deadline.
pub(super) struct ReportedReader {
    pub reader: Box<dyn Read + Send>,
    pub watch: Arc<dyn Watch>,
    pub deadline: Option<Deadline>,
}

impl Read for ReportedReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.deadline.map_or(Ok(()), |deadline| deadline.check())?;
        let read = self.reader.read(into)?;
        self.watch.read(read as u64);
        Ok(read)
    }
}
