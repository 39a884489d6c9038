//! Reads layers in parallel, each once, however many platforms and images share it.

use std::collections::{HashMap, HashSet};
use std::io::{self, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc;

use super::model::Problem;
use super::{Deadline, Options, Watch};
use crate::cache::CachedLayer;
use crate::image::{Contents, Entry, ImageError, Layer, LayerError, LayerNote, LayerRead, Limits, read_layer};
use crate::inspect::{Depth, FileKind, TextStart, inspect_to};
use crate::oci::{Descriptor, DiffId, Digest};
use crate::source::{Source, SourceError, Stamp};

/// What a read layer gives to the merge.
#[derive(Clone)]
pub struct ReadLayer {
    pub contents: Arc<Contents<FileKind>>,
    /// As computed from the bytes.
    pub diff_id: DiffId,
    /// Stored bytes.
    pub size: u64,
    /// What was odd about it and matters to an engine.
    pub notes: Vec<LayerNote>,
}

/// Layers that were read in this run, whatever image asked for them first, by the digest of their stored bytes.
#[derive(Default)]
pub struct LayerStore {
    layers: HashMap<Digest, ReadLayer>,
}

/// Why layers of one image are not to be had from its source. What fails in one source says nothing of another.
#[derive(Default)]
pub struct Failures(HashMap<Digest, Problem>);

/// The facts about a file that are worth keeping, from its headers. Most files are plain data, of which only the name counts.
pub fn keep(entry: &Entry<'_>, reader: &mut dyn Read) -> Option<FileKind> {
    keep_to(Depth::Headers, entry, reader)
}

/// The same, looking as deep as `depth`.
pub(super) fn keep_to(depth: Depth, entry: &Entry<'_>, reader: &mut dyn Read) -> Option<FileKind> {
    let is_executable = entry.mode & 0o111 != 0;
    match inspect_to(depth, entry.path, entry.size, is_executable, reader) {
        FileKind::Data => None,
        FileKind::Empty if !is_executable && !is_module_name(entry.path) => None,
        FileKind::Text(TextStart::Plain) if !is_executable => None,
        kind => Some(kind),
    }
}

/// [`keep_to`], with what it keeps counted on the image's memory budget.
pub fn counted(depth: Depth, limits: &Limits) -> impl FnMut(&Entry<'_>, &mut dyn Read) -> Option<FileKind> {
    move |entry, reader| {
        let kind = keep_to(depth, entry, reader)?;
        // The walk asks the budget again, and ends where it is exceeded.
        let _ = limits.memory.take(kind.heap_bytes());
        Some(kind)
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
        let (diff_id, size) = (read.checked.diff_id, read.checked.stored_bytes);
        ReadLayer { contents: Arc::new(read.contents), diff_id, size, notes }
    }
}

fn problem(error: ImageError) -> Problem {
    Problem::new(error.to_string(), error.hint())
}

impl LayerStore {
    /// Puts in layers that a single pass over a stream has read already; `read` gives each once.
    pub fn take<'l>(
        &mut self,
        layers: impl Iterator<Item = &'l Layer>,
        mut read: impl FnMut(&Layer) -> Result<LayerRead<FileKind>, ImageError>,
    ) -> Failures {
        let mut seen = HashSet::new();
        let once = layers.filter(|layer| seen.insert(&layer.descriptor.digest));
        let read: Vec<_> = once
            .map(|layer| (layer.descriptor.digest.clone(), read(layer).map(ReadLayer::from).map_err(problem)))
            .collect();
        self.keep(read)
    }

    /// Reads those of `wanted` that are not there yet, the largest first, `jobs` at a time.
    pub fn read(
        &mut self,
        source: &dyn Source,
        wanted: &[Layer],
        options: &Options,
        watch: &Arc<dyn Watch>,
    ) -> Failures {
        let mut seen = HashSet::new();
        let once = wanted.iter().filter(|layer| seen.insert(&layer.descriptor.digest));
        let (known, mut missing): (Vec<&Layer>, Vec<&Layer>) =
            once.partition(|layer| self.layers.contains_key(&layer.descriptor.digest));
        let mut failures = Failures::default();
        // Another image brought it; nodes pull this one from where it is said to be. With a cache a blob is believed.
        for layer in known.into_iter().filter(|_| options.cache.is_none()) {
            if let Err(error) = source.open(&layer.descriptor) {
                failures.0.insert(layer.descriptor.digest.clone(), unreadable(error, layer));
            }
        }
        if missing.is_empty() {
            return failures;
        }
        missing.sort_by_key(|layer| std::cmp::Reverse(layer.descriptor.size));
        watch.expect(missing.iter().map(|layer| layer.descriptor.size).sum());
        watch.expect_layers(missing.len());
        let watched = Watched { source, watch: Arc::clone(watch), deadline: options.deadline };
        let limits = Limits { memory: options.limits.memory.renewed(), ..options.limits.clone() };
        let jobs = options.jobs.clamp(1, missing.len());
        let read = |layer: &Layer| {
            let read = read_one(&watched, layer, &limits, options);
            watched.watch.layer();
            (layer.descriptor.digest.clone(), read)
        };
        if jobs == 1 {
            let read: Vec<_> = missing.into_iter().map(read).collect();
            failures.0.extend(self.keep(read).0);
            return failures;
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
        failures.0.extend(self.keep(results).0);
        failures
    }

    fn keep(&mut self, read: impl IntoIterator<Item = (Digest, Result<ReadLayer, Problem>)>) -> Failures {
        let mut failures = Failures::default();
        for (digest, read) in read {
            match read {
                Ok(layer) => _ = self.layers.insert(digest, layer),
                Err(problem) => _ = failures.0.insert(digest, problem),
            }
        }
        failures
    }

    /// The layer as it was read. Whichever image brought it, it is held to what this one says of it.
    pub fn find(&self, layer: &Layer, failures: &Failures) -> Result<ReadLayer, Problem> {
        let descriptor = &layer.descriptor;
        if let Some(failure) = failures.0.get(&descriptor.digest) {
            return Err(failure.clone());
        }
        let read = self.layers.get(&descriptor.digest).expect("every layer of an image is asked for before");
        if read.size != descriptor.size {
            let cause = Box::new(LayerError::WrongSize { expected: descriptor.size, found: read.size });
            return Err(problem(ImageError::Layer { index: layer.index, digest: descriptor.digest.clone(), cause }));
        }
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
fn read_one(source: &Watched<'_>, layer: &Layer, limits: &Limits, options: &Options) -> Result<ReadLayer, Problem> {
    let span = tracing::debug_span!("layer", index = layer.index, digest = %layer.descriptor.digest);
    let _entered = span.enter();
    let digest = &layer.descriptor.digest;
    if let Some(Err(late)) = options.deadline.map(|deadline| deadline.check()) {
        let (index, digest) = (layer.index, digest.clone());
        return Err(problem(ImageError::Layer { index, digest, cause: Box::new(late) }));
    }
    let stamp = match &options.cache {
        Some(_) => source.stamp(&layer.descriptor).map_err(|error| unreadable(error, layer))?,
        None => None,
    };
    let known = options.cache.as_ref().and_then(|cache| cache.find(digest, layer.descriptor.size));
    let depth = options.depth();
    let known = known.filter(|found| is_within(found, limits) && is_as_deep(found, depth));
    // What is wrong with the bytes, reading them whole will say.
    if let Some(found) = known.filter(|_| is_as_stored(source, layer, stamp.as_ref(), options)) {
        tracing::debug!(entries = found.contents.len(), "found in the cache");
        source.watch.read(layer.descriptor.size);
        let size = layer.descriptor.size;
        return Ok(ReadLayer { contents: Arc::new(found.contents), diff_id: found.diff_id, size, notes: Vec::new() });
    }
    let read = catch_unwind(AssertUnwindSafe(|| read_layer(source, layer, limits, &mut counted(depth, limits))));
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
    let facts = || found.contents.facts().map(FileKind::heap_bytes).sum::<usize>();
    found.uncompressed_bytes <= limits.max_bytes
        && found.contents.names() <= limits.max_names
        && limits.memory.take(found.contents.used_bytes() + facts()).is_ok()
}

/// Whether a record of the cache was made at least as deep. One that was not is made again.
fn is_as_deep(found: &CachedLayer, depth: Depth) -> bool {
    depth == Depth::Headers
        || found.contents.facts().all(|kind| !matches!(kind, FileKind::Elf(elf) if elf.lacks_code()))
}

/// Only the digests that were computed are written down. A cache that cannot be written costs time, not the answer.
fn remember(read: &LayerRead<FileKind>, options: &Options) {
    // What a cache gives back has no notes, so a layer that has some is read again.
    let Some(cache) = options.cache.as_ref().filter(|_| !read.notes.iter().any(matters)) else { return };
    if let Err(error) = cache.keep(&read.checked, &read.contents) {
        tracing::debug!(%error, folder = ?cache.folder(), "a layer could not be kept in the cache");
    }
}

/// A source that reports the bytes that pass, and gives none after the deadline.
struct Watched<'a> {
    source: &'a dyn Source,
    watch: Arc<dyn Watch>,
    deadline: Option<Deadline>,
}

impl Source for Watched<'_> {
    fn root(&self) -> Result<Descriptor, SourceError> {
        self.source.root()
    }

    fn open(&self, descriptor: &Descriptor) -> Result<Box<dyn Read + Send>, SourceError> {
        let reader = self.source.open(descriptor)?;
        Ok(Box::new(Counted { reader, watch: Arc::clone(&self.watch), deadline: self.deadline }))
    }

    fn stamp(&self, descriptor: &Descriptor) -> Result<Option<Stamp>, SourceError> {
        self.source.stamp(descriptor)
    }
}

struct Counted {
    reader: Box<dyn Read + Send>,
    watch: Arc<dyn Watch>,
    deadline: Option<Deadline>,
}

impl Read for Counted {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.deadline.map_or(Ok(()), |deadline| deadline.check())?;
        let read = self.reader.read(into)?;
        self.watch.read(read as u64);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::testing::{Memory, file, tar_of};
    use crate::scan::Unwatched;

    fn problems(store: &mut LayerStore, source: &Memory, layers: &[Layer]) -> Vec<String> {
        let watch: Arc<dyn Watch> = Arc::new(Unwatched);
        let failures = store.read(source, layers, &Options::default(), &watch);
        layers.iter().filter_map(|layer| store.find(layer, &failures).err()).map(|problem| problem.text).collect()
    }

    #[test]
    fn the_layers_of_one_image_share_a_memory_budget() {
        let mut source = Memory::default();
        let layer = |number: usize| {
            let names: Vec<String> = (0..2000).map(|name| format!("opt/{number}/{name}")).collect();
            tar_of(&names.iter().map(|name| file(name, b"")).collect::<Vec<_>>())
        };
        let tars: Vec<Vec<u8>> = (0..4).map(layer).collect();
        let layers: Vec<Layer> =
            tars.iter().enumerate().map(|(at, tar)| source.add_layer(at, tar, tar.clone())).collect();
        let read = |memory: usize, layers: &[Layer]| {
            let limits = Limits { memory: crate::image::MemoryBudget::new(memory), ..Limits::default() };
            let (mut store, options) = (LayerStore::default(), Options { limits, ..Options::default() });
            let watch: Arc<dyn Watch> = Arc::new(Unwatched);
            let failures = store.read(&source, layers, &options, &watch);
            layers.iter().filter_map(|layer| store.find(layer, &failures).err()).collect::<Vec<_>>()
        };
        // One layer takes some 75 KiB.
        assert_eq!(read(200 << 10, &layers[..1]).len(), 0);
        let problems = read(200 << 10, &layers);
        assert!(!problems.is_empty());
        assert!(problems[0].text.ends_with("take more than 204800 bytes of memory"), "{problems:?}");
        assert!(problems[0].hint.as_ref().unwrap().contains("image-memory"), "{problems:?}");
        assert_eq!(read(1 << 20, &layers).len(), 0);
    }

    /// Gives zeros for ever, slowly.
    struct Endless;

    impl Source for Endless {
        fn root(&self) -> Result<Descriptor, SourceError> {
            unreachable!("a layer is read by its descriptor")
        }

        fn open(&self, _: &Descriptor) -> Result<Box<dyn Read + Send>, SourceError> {
            Ok(Box::new(self::Slow))
        }

        fn stamp(&self, _: &Descriptor) -> Result<Option<Stamp>, SourceError> {
            Ok(None)
        }
    }

    struct Slow;

    impl Read for Slow {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            std::thread::sleep(std::time::Duration::from_millis(1));
            into[..1].fill(0);
            Ok(1)
        }
    }

    fn endless_layer(size: u64) -> Layer {
        let descriptor = Descriptor::new("application/vnd.oci.image.layer.v1.tar", Digest::of(b"x"), size);
        Layer { index: 0, descriptor, diff_id: None }
    }

    #[test]
    fn an_endless_layer_ends_at_the_deadline_of_the_run() {
        let start = std::time::Instant::now();
        let options = Options { deadline: Deadline::after(start, 1), ..Options::default() };
        let (mut store, layers) = (LayerStore::default(), [endless_layer(1 << 40), endless_layer(1 << 39)]);
        let watch: Arc<dyn Watch> = Arc::new(Unwatched);
        let failures = store.read(&Endless, &layers, &options, &watch);
        assert!(start.elapsed() < std::time::Duration::from_secs(2), "{:?}", start.elapsed());
        let failure = store.find(&layers[0], &failures).err().unwrap();
        assert!(failure.text.ends_with("not read: the deadline of the run, 1 s, has passed"), "{failure:?}");
        assert!(failure.hint.unwrap().contains("--deadline"));
        let again = store.read(&Endless, &layers, &options, &watch);
        assert!(store.find(&layers[0], &again).is_err());
    }

    #[test]
    fn a_layer_of_two_to_the_62_bytes_is_refused_before_it_is_opened() {
        let (mut store, layers) = (LayerStore::default(), [endless_layer(1 << 62)]);
        let watch: Arc<dyn Watch> = Arc::new(Unwatched);
        let failures = store.read(&Endless, &layers, &Options::default(), &watch);
        let failure = store.find(&layers[0], &failures).err().unwrap();
        assert!(failure.text.contains("announces 4611686018427387904 bytes"), "{failure:?}");
        assert!(failure.hint.unwrap().contains("IMGARCH_LAYER_BYTES"));
    }

    #[test]
    fn what_one_image_has_another_must_have_too() {
        let (mut good, tar) = (Memory::default(), tar_of(&[file("a", b"text")]));
        let layer = good.add_layer(0, &tar, tar.clone());
        let bad = Memory::default();
        let mut larger = layer.clone();
        larger.descriptor.size += 1;
        let mut store = LayerStore::default();
        assert_eq!(problems(&mut store, &bad, std::slice::from_ref(&layer)).len(), 1, "it is not there");
        assert_eq!(
            problems(&mut store, &good, std::slice::from_ref(&layer)),
            [""; 0],
            "another's failure is none of this one"
        );
        assert_eq!(problems(&mut store, &bad, std::slice::from_ref(&layer)).len(), 1, "it is still not there");
        let wrong = problems(&mut store, &good, &[layer, larger]);
        let text = format!("it is {} bytes long, but its descriptor says {}", tar.len(), tar.len() + 1);
        assert!(matches!(&wrong[..], [one] if one.ends_with(&text)), "{wrong:?}");
    }
}
