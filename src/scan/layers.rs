//! Reads one layer: from the cache if it is known, otherwise from its source.

use std::io::{self, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::model::Problem;
use super::{Deadline, Options, Trust, Watch};
use crate::cache::CachedLayer;
use crate::image::{Contents, Entry, ImageError, Layer, LayerNote, LayerRead, Limits, read_layer, read_trusted};
use crate::inspect::{Depth, FileKind, TextStart, inspect_to};
use crate::oci::{Descriptor, DiffId};
use crate::source::{Section, Source, SourceError, Stamp};

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
    /// Whether its bytes were checked against its digests.
    pub is_verified: bool,
}

/// The facts from a file's headers, if they are worth keeping. Most files are plain data, of which only the name
/// counts.
pub fn keep(entry: &Entry<'_>, reader: &mut dyn Read) -> Option<FileKind> {
    keep_to(Depth::Headers, entry, reader)
}

/// The same, to this depth.
pub(super) fn keep_to(depth: Depth, entry: &Entry<'_>, reader: &mut dyn Read) -> Option<FileKind> {
    let is_executable = entry.mode & 0o111 != 0;
    match inspect_to(depth, entry.path, entry.size, is_executable, reader) {
        FileKind::Data => None,
        FileKind::Empty if !is_executable && !is_module_name(entry.path) => None,
        FileKind::Text(TextStart::Plain) if !is_executable => None,
        kind => Some(kind),
    }
}

/// [`keep_to`], with the kept facts counted against the image's memory budget.
pub fn counted(depth: Depth, limits: &Limits) -> impl FnMut(&Entry<'_>, &mut dyn Read) -> Option<FileKind> {
    move |entry, reader| {
        let kind = keep_to(depth, entry, reader)?;
        // The walk checks the budget again, and ends if it is exceeded.
        let _ = limits.memory.take(kind.heap_bytes());
        Some(kind)
    }
}

/// Whether an empty file of this name is a missing library.
fn is_module_name(path: &[u8]) -> bool {
    let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or(path);
    path.ends_with(b".so") || path.ends_with(b".node") || name.windows(4).any(|part| part == b".so.")
}

/// Every engine accepts a tar without its end marker.
fn matters(note: &LayerNote) -> bool {
    !matches!(note, LayerNote::NoEndMarker)
}

impl From<LayerRead<FileKind>> for ReadLayer {
    fn from(read: LayerRead<FileKind>) -> ReadLayer {
        let notes = read.notes.into_iter().filter(matters).collect();
        let (diff_id, size) = (read.checked.diff_id, read.checked.stored_bytes);
        ReadLayer { contents: Arc::new(read.contents), diff_id, size, notes, is_verified: true }
    }
}

pub(super) fn problem(error: ImageError) -> Problem {
    Problem::new(error.to_string(), error.hint())
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
        return Err(problem(ImageError::Layer { index, digest, cause: Box::new(late) }));
    }
    let depth = options.depth();
    if options.trust == Trust::Local
        && let Some(read) = guarded(layer, || read_trusted(source, layer, limits, &mut counted(depth, limits)))?
    {
        source.watch.read(layer.descriptor.size);
        let (contents, size) = (Arc::new(read.contents), layer.descriptor.size);
        let notes = read.notes.into_iter().filter(matters).collect();
        return Ok(ReadLayer { contents, diff_id: read.diff_id, size, notes, is_verified: false });
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
        return Ok(ReadLayer { contents, diff_id, size, notes, is_verified: true });
    }
    let read = guarded(layer, || read_layer(source, layer, limits, &mut counted(depth, limits)))?;
    tracing::debug!(entries = read.contents.len(), bytes = read.checked.uncompressed_bytes, "read");
    remember(&read, options);
    see(layer, stamp.as_ref(), options);
    Ok(read.into())
}

/// Calls `read`; a panic is reported as an internal error.
fn guarded<R>(layer: &Layer, read: impl FnOnce() -> Result<R, ImageError>) -> Result<R, Problem> {
    match catch_unwind(AssertUnwindSafe(read)) {
        Ok(read) => read.map_err(problem),
        Err(_) => {
            let text =
                format!("reading layer {} ({}): internal error", layer.index + 1, layer.descriptor.digest.short());
            Err(Problem::new(text, Some("this is a bug in imgarch; please report it with the image's name".into())))
        }
    }
}

pub(super) fn unreadable(error: SourceError, layer: &Layer) -> Problem {
    let (index, digest) = (layer.index, layer.descriptor.digest.clone());
    problem(ImageError::Layer { index, digest, cause: Box::new(error.into()) })
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
        && limits.memory.take(found.contents.used_bytes() + facts()).is_ok()
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
    pub source: &'a dyn Source,
    pub watch: Arc<dyn Watch>,
    pub deadline: Option<Deadline>,
}

impl Source for Watched<'_> {
    fn root(&self) -> Result<Descriptor, SourceError> {
        self.source.root()
    }

    fn open(&self, descriptor: &Descriptor) -> Result<Box<dyn Read + Send>, SourceError> {
        let reader = self.source.open(descriptor)?;
        Ok(Box::new(Counted { reader, watch: Arc::clone(&self.watch), deadline: self.deadline }))
    }

    fn section(&self, descriptor: &Descriptor) -> Result<Option<Section>, SourceError> {
        self.source.section(descriptor)
    }

    fn stamp(&self, descriptor: &Descriptor) -> Result<Option<Stamp>, SourceError> {
        self.source.stamp(descriptor)
    }
}

/// A reader that reports the bytes that are read, and fails after the deadline.
pub(super) struct Counted {
    pub reader: Box<dyn Read + Send>,
    pub watch: Arc<dyn Watch>,
    pub deadline: Option<Deadline>,
}

impl Read for Counted {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.deadline.map_or(Ok(()), |deadline| deadline.check())?;
        let read = self.reader.read(into)?;
        self.watch.read(read as u64);
        Ok(read)
    }
}
