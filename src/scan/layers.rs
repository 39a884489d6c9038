//! Reads layers in parallel, each once, however many platforms and images share it.

use std::collections::HashMap;
use std::io::{self, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc;

use super::model::Problem;
use super::{Options, Watch};
use crate::cache::CachedLayer;
use crate::image::{Contents, Entry, ImageError, Layer, LayerNote, LayerRead, Limits, read_layer};
use crate::inspect::{FileKind, TextStart, inspect};
use crate::oci::{Descriptor, DiffId, Digest};
use crate::source::{Source, SourceError, Stamp};

/// What a read layer gives to the merge.
#[derive(Clone)]
pub struct ReadLayer {
    pub contents: Arc<Contents<FileKind>>,
    /// As computed from the bytes.
    pub diff_id: DiffId,
    /// What was odd about it and matters to an engine.
    pub notes: Vec<LayerNote>,
}

/// Layers that were read in this run, by the digest of their stored bytes; or why one was not.
#[derive(Default)]
pub struct LayerStore {
    layers: HashMap<Digest, Result<ReadLayer, Problem>>,
}

/// What of a file is worth keeping. Most files are plain data, which only their names tell of.
pub fn keep(entry: &Entry<'_>, reader: &mut dyn Read) -> Option<FileKind> {
    let is_executable = entry.mode & 0o111 != 0;
    match inspect(entry.path, entry.size, is_executable, reader) {
        FileKind::Data => None,
        FileKind::Empty if !is_executable && !is_module_name(entry.path) => None,
        FileKind::Text(TextStart::Plain) if !is_executable => None,
        kind => Some(kind),
    }
}

/// Where an empty file is a library that is not there.
fn is_module_name(path: &[u8]) -> bool {
    let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or(path);
    path.ends_with(b".so") || path.ends_with(b".node") || name.windows(4).any(|part| part == b".so.")
}

/// Every engine takes zeros behind a stream, and a tar without its end marker.
fn matters(note: &LayerNote) -> bool {
    !matches!(note, LayerNote::TrailingZeros | LayerNote::NoEndMarker)
}

impl From<LayerRead<FileKind>> for ReadLayer {
    fn from(read: LayerRead<FileKind>) -> ReadLayer {
        let notes = read.notes.into_iter().filter(matters).collect();
        ReadLayer { contents: Arc::new(read.contents), diff_id: read.checked.diff_id, notes }
    }
}

fn problem(error: ImageError) -> Problem {
    Problem::new(error.to_string(), error.hint())
}

impl LayerStore {
    /// Puts in a layer that a single pass over a stream has read already, unless it is there.
    pub fn take(&mut self, layer: &Layer, read: impl FnOnce() -> Result<LayerRead<FileKind>, ImageError>) {
        self.layers
            .entry(layer.descriptor.digest.clone())
            .or_insert_with(|| read().map(ReadLayer::from).map_err(problem));
    }

    /// Reads those of `wanted` that are not there yet, the largest first, `jobs` at a time.
    pub fn read(&mut self, source: &dyn Source, wanted: &[Layer], options: &Options, watch: &Arc<dyn Watch>) {
        let mut missing: Vec<&Layer> = Vec::new();
        for layer in wanted {
            let digest = &layer.descriptor.digest;
            if !self.layers.contains_key(digest) && !missing.iter().any(|other| other.descriptor.digest == *digest) {
                missing.push(layer);
            }
        }
        if missing.is_empty() {
            return;
        }
        missing.sort_by_key(|layer| std::cmp::Reverse(layer.descriptor.size));
        watch.expect(missing.iter().map(|layer| layer.descriptor.size).sum());
        watch.expect_layers(missing.len());
        let watched = Watched { source, watch: Arc::clone(watch) };
        let jobs = options.jobs.clamp(1, missing.len());
        let read = |layer: &Layer| {
            let read = read_one(&watched, layer, options);
            watched.watch.layer();
            (layer.descriptor.digest.clone(), read)
        };
        if jobs == 1 {
            self.layers.extend(missing.into_iter().map(read));
            return;
        }
        let (sender, results) = mpsc::channel();
        // A pool of its own: a worker that waits for bytes must not hold up anybody else's work.
        let pool = rayon::ThreadPoolBuilder::new().num_threads(jobs).build().expect("a small pool of threads starts");
        pool.in_place_scope_fifo(|scope| {
            for layer in missing {
                let (sender, read) = (sender.clone(), &read);
                scope.spawn_fifo(move |_| {
                    // The receiver outlives the scope.
                    let _ = sender.send(read(layer));
                });
            }
        });
        drop(sender);
        self.layers.extend(results);
    }

    /// The layer as it was read; a layer whose diffID is not the one that this image's config lists is a problem.
    pub fn find(&self, layer: &Layer) -> Result<ReadLayer, Problem> {
        let read = self.layers.get(&layer.descriptor.digest).expect("every layer of an image is asked for before");
        let read = read.as_ref().map_err(Problem::clone)?;
        match &layer.diff_id {
            Some(expected) if *expected != read.diff_id => {
                let (index, short) = (layer.index, layer.descriptor.digest.short());
                let text = format!(
                    "layer {} ({short}): its diffID is {}, but the config says {expected}",
                    index + 1,
                    read.diff_id
                );
                Err(Problem::new(text, None))
            }
            _ => Ok(read.clone()),
        }
    }

    /// Forgets layers that nothing will ask for again.
    pub fn retain(&mut self, is_needed: impl Fn(&Digest) -> bool) {
        self.layers.retain(|digest, _| is_needed(digest));
    }
}

/// One layer; a panic is a bug of ours, and must cost this layer's verdict and nothing else.
fn read_one(source: &Watched<'_>, layer: &Layer, options: &Options) -> Result<ReadLayer, Problem> {
    let span = tracing::debug_span!("layer", index = layer.index, digest = %layer.descriptor.digest);
    let _entered = span.enter();
    let digest = &layer.descriptor.digest;
    let stamp = match &options.cache {
        Some(_) => source.stamp(&layer.descriptor).map_err(|error| unreadable(error, layer))?,
        None => None,
    };
    let known = options.cache.as_ref().and_then(|cache| cache.find(digest, layer.descriptor.size));
    let known = known.filter(|found| is_within(found, &options.limits));
    // What is wrong with the bytes, reading them whole will say.
    if let Some(found) = known.filter(|_| is_as_stored(source, layer, stamp.as_ref(), options)) {
        tracing::debug!(entries = found.contents.len(), "found in the cache");
        source.watch.read(layer.descriptor.size);
        return Ok(ReadLayer { contents: Arc::new(found.contents), diff_id: found.diff_id, notes: Vec::new() });
    }
    let read = catch_unwind(AssertUnwindSafe(|| read_layer(source, layer, &options.limits, &mut keep)));
    match read {
        Ok(Ok(read)) => {
            tracing::debug!(entries = read.contents.len(), bytes = read.checked.uncompressed_bytes, "read");
            remember(&read, options);
            see(layer, stamp.as_ref(), options);
            Ok(read.into())
        }
        Ok(Err(error)) => Err(problem(error)),
        Err(_) => {
            let text =
                format!("reading layer {} ({}): internal error", layer.index + 1, layer.descriptor.digest.short());
            Err(Problem::new(text, Some("this is a bug in imgarch; please report it with the image's name".into())))
        }
    }
}

fn unreadable(error: SourceError, layer: &Layer) -> Problem {
    let (index, digest) = (layer.index, layer.descriptor.digest.clone());
    problem(ImageError::Layer { index, digest, cause: Box::new(error.into()) })
}

/// Whether the bytes that lie in a file here are those that the cache knows. A file that has not changed since they were
/// found to be is not read again; what is no file, as a registry's blob, is believed.
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

/// Only the state from before the reading is remembered: what was written to meanwhile has another.
fn see(layer: &Layer, stamp: Option<&Stamp>, options: &Options) {
    if let (Some(cache), Some(stamp)) = (&options.cache, stamp)
        && let Err(error) = cache.see(&layer.descriptor.digest, stamp)
    {
        tracing::debug!(%error, "what was verified could not be noted in the cache");
    }
}

/// What was read under other limits must not pass under these.
fn is_within(found: &CachedLayer, limits: &Limits) -> bool {
    found.uncompressed_bytes <= limits.max_bytes && found.contents.names() <= limits.max_names
}

/// Only the digests that were computed are written down. A cache that cannot be written costs time, not the answer.
fn remember(read: &LayerRead<FileKind>, options: &Options) {
    // What a cache gives back has no notes, so a layer that has some is read again.
    let Some(cache) = options.cache.as_ref().filter(|_| !read.notes.iter().any(matters)) else { return };
    if let Err(error) = cache.keep(&read.checked, &read.contents) {
        tracing::debug!(%error, folder = ?cache.folder(), "a layer could not be kept in the cache");
    }
}

/// A source that tells of the bytes that pass.
struct Watched<'a> {
    source: &'a dyn Source,
    watch: Arc<dyn Watch>,
}

impl Source for Watched<'_> {
    fn root(&self) -> Result<Descriptor, SourceError> {
        self.source.root()
    }

    fn open(&self, descriptor: &Descriptor) -> Result<Box<dyn Read + Send>, SourceError> {
        let reader = self.source.open(descriptor)?;
        Ok(Box::new(Counted { reader, watch: Arc::clone(&self.watch) }))
    }

    fn stamp(&self, descriptor: &Descriptor) -> Result<Option<Stamp>, SourceError> {
        self.source.stamp(descriptor)
    }
}

struct Counted {
    reader: Box<dyn Read + Send>,
    watch: Arc<dyn Watch>,
}

impl Read for Counted {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(into)?;
        self.watch.read(read as u64);
        Ok(read)
    }
}
