//! The layers of a run's images. Each layer is read once, however many platforms and images share it, and kept only as
//! long as an image needs it.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use super::layers::{ReadLayer, Watched, read_one, unreadable};
use super::model::Problem;
use super::pool::{Bounds, lock, side_by_side};
use super::{Options, Watch};
use crate::image::{ImageError, Layer, LayerError, LayerRead, Limits};
use crate::inspect::{Depth, FileKind};
use crate::oci::Digest;
use crate::source::ImageSource;
use crate::source::registry::Gate;

/// Layers that were read in this run, by the digest of their stored bytes. All images that are processed at once share
/// them.
pub struct LayerStore {
    slots: Mutex<Slots>,
    changed: Condvar,
    /// Limits how many layers of more than [`SMALL_LAYER`] bytes are read at once.
    large: Arc<Gate>,
}

#[derive(Default)]
struct Slots {
    layers: HashMap<LayerKey, LayerSlot>,
    /// Number of images that still need a layer.
    uses: HashMap<LayerKey, usize>,
}

/// The facts kept for a layer depend on the depth of the inspection.
type LayerKey = (Digest, Depth);

enum LayerSlot {
    /// The image at this position in the run is the first that needs it, and will read it.
    Awaited(usize),
    InWork,
    Ready(ReadLayer),
}

/// Layers up to this size take longer to request than to read, so `jobs` does not limit how many are read at once.
const SMALL_LAYER: u64 = 256 << 10;
/// Layers of one image that are requested at once, if `jobs` is less.
const ASKED_AT_ONCE: usize = 4;

/// Why layers of one image cannot be read from its source. A failure of one source does not affect others.
#[derive(Default)]
pub struct SourceFailures(HashMap<Digest, Problem>);

impl LayerStore {
    /// `jobs`: large layers that are read at once, over all images.
    pub fn new(jobs: usize) -> LayerStore {
        LayerStore { slots: Mutex::default(), changed: Condvar::new(), large: Gate::new(jobs) }
    }

    /// Registers the layers of each image, in the order of the images: the first image that needs a layer reads it.
    /// Layers that no image needs are dropped.
    pub fn expect<'l>(&self, images: impl Iterator<Item = (Depth, Vec<&'l Digest>)>) {
        let mut slots = lock(&self.slots);
        for (at, (depth, digests)) in images.enumerate() {
            for digest in digests {
                let key = (digest.clone(), depth);
                *slots.uses.entry(key.clone()).or_default() += 1;
                slots.layers.entry(key).or_insert(LayerSlot::Awaited(at));
            }
        }
        let Slots { layers, uses } = &mut *slots;
        layers.retain(|key, _| uses.contains_key(key));
    }

    /// Ends the use of layers by the image at `at`. Layers that no other image needs are dropped; layers that this
    /// image was expected to read become free for others.
    pub fn release(&self, at: usize, depth: Depth, digests: &[Digest]) {
        let mut slots = lock(&self.slots);
        for digest in digests {
            let key = (digest.clone(), depth);
            if matches!(slots.layers.get(&key), Some(LayerSlot::Awaited(owner)) if *owner == at) {
                slots.layers.remove(&key);
            }
            if let Some(uses) = slots.uses.get_mut(&key) {
                *uses = uses.saturating_sub(1);
                if *uses == 0 {
                    slots.uses.remove(&key);
                    slots.layers.remove(&key);
                }
            }
        }
        self.changed.notify_all();
    }

    /// Stores layers that a single pass over a stream has already read; `read` returns each once.
    pub fn take<'l>(
        &self,
        layers: impl Iterator<Item = &'l Layer>,
        depth: Depth,
        mut read: impl FnMut(&Layer) -> Result<LayerRead<FileKind>, ImageError>,
    ) -> SourceFailures {
        let mut seen = HashSet::new();
        let mut failures = SourceFailures::default();
        for layer in layers.filter(|layer| seen.insert(&layer.descriptor.digest)) {
            let digest = &layer.descriptor.digest;
            if let Err(problem) = self.fill(digest, depth, read(layer).map(ReadLayer::from).map_err(Problem::from)) {
                failures.0.insert(digest.clone(), problem);
            }
        }
        failures
    }

    /// Reads the layers of `wanted` that are missing and that no earlier image than the one at `at` will read, the
    /// largest first; then waits for the others.
    pub fn read(
        &self,
        source: &dyn ImageSource,
        wanted: &[Layer],
        at: usize,
        options: &Options,
        watch: &Arc<dyn Watch>,
    ) -> SourceFailures {
        let mut seen = HashSet::new();
        let mut left: Vec<&Layer> = wanted.iter().filter(|layer| seen.insert(&layer.descriptor.digest)).collect();
        let watched = Watched { source, watch: Arc::clone(watch), deadline: options.deadline };
        let limits = Limits { memory: options.limits.memory.renewed(), ..options.limits.clone() };
        let mut failures = SourceFailures::default();
        loop {
            let claimed = self.claim(left, at, options.depth());
            // Another image's source provided the layer, but nodes pull this image from its own source, so check that
            // it has the layer. With a cache, this is assumed.
            for layer in claimed.ready.into_iter().filter(|_| options.cache.is_none()) {
                if let Err(error) = source.open(&layer.descriptor) {
                    failures.0.insert(layer.descriptor.digest.clone(), unreadable(error, layer));
                }
            }
            failures.0.extend(self.read_claimed(&watched, claimed.own, &limits, options).0);
            if claimed.others.is_empty() {
                return failures;
            }
            left = claimed.others;
            self.wait_for_any(&left, at, options.depth());
        }
    }

    /// Claims the layers that are free for this image.
    fn claim<'l>(&self, wanted: Vec<&'l Layer>, at: usize, depth: Depth) -> Claimed<'l> {
        let mut slots = lock(&self.slots);
        let mut claimed = Claimed { own: Vec::new(), ready: Vec::new(), others: Vec::new() };
        for layer in wanted {
            let key = (layer.descriptor.digest.clone(), depth);
            match slots.layers.get(&key) {
                Some(LayerSlot::Ready(_)) => claimed.ready.push(layer),
                Some(slot) if slot.is_held(at) => claimed.others.push(layer),
                Some(_) | None => {
                    slots.layers.insert(key, LayerSlot::InWork);
                    claimed.own.push(layer);
                }
            }
        }
        claimed
    }

    /// Waits until one of these layers is ready or free.
    fn wait_for_any(&self, layers: &[&Layer], at: usize, depth: Depth) {
        let is_held = |slots: &mut Slots| {
            let mut keys = layers.iter().map(|layer| (layer.descriptor.digest.clone(), depth));
            keys.all(|key| slots.layers.get(&key).is_some_and(|slot| slot.is_held(at)))
        };
        drop(self.changed.wait_while(lock(&self.slots), is_held).unwrap_or_else(PoisonError::into_inner));
    }

    fn read_claimed(
        &self,
        source: &Watched<'_>,
        mut layers: Vec<&Layer>,
        limits: &Limits,
        options: &Options,
    ) -> SourceFailures {
        layers.sort_by_key(|layer| std::cmp::Reverse(layer.descriptor.size));
        source.watch.expect(layers.iter().fold(0, |sum: u64, layer| sum.saturating_add(layer.descriptor.size)));
        source.watch.expect_layers(layers.len());
        let bounds = Bounds { width: options.jobs.max(ASKED_AT_ONCE), weight: u64::MAX };
        let read = |_, layer: &Layer| {
            let read = {
                let _permit = (layer.descriptor.size > SMALL_LAYER).then(|| self.large.enter());
                read_one(source, layer, limits, options)
            };
            source.watch.layer();
            self.fill(&layer.descriptor.digest, options.depth(), read)
                .err()
                .map(|problem| (layer.descriptor.digest.clone(), problem))
        };
        SourceFailures(side_by_side(layers, bounds, |_| 0, read).into_iter().flatten().collect())
    }

    /// Stores the result of reading a layer. A failure leaves the layer free for other images, whose sources may have
    /// it.
    fn fill(&self, digest: &Digest, depth: Depth, read: Result<ReadLayer, Problem>) -> Result<(), Problem> {
        let key = (digest.clone(), depth);
        let mut slots = lock(&self.slots);
        let filled = match read {
            Ok(layer) => {
                slots.layers.insert(key, LayerSlot::Ready(layer));
                Ok(())
            }
            Err(problem) => {
                if !matches!(slots.layers.get(&key), Some(LayerSlot::Ready(_))) {
                    slots.layers.remove(&key);
                }
                Err(problem)
            }
        };
        self.changed.notify_all();
        filled
    }

    /// The layer as it was read, whichever image read it. It is checked against this image's descriptor and config.
    pub fn find(&self, layer: &Layer, depth: Depth, failures: &SourceFailures) -> Result<ReadLayer, Problem> {
        let descriptor = &layer.descriptor;
        if let Some(failure) = failures.0.get(&descriptor.digest) {
            return Err(failure.clone());
        }
        let slots = lock(&self.slots);
        let Some(LayerSlot::Ready(read)) = slots.layers.get(&(descriptor.digest.clone(), depth)) else {
            unreachable!("every layer of an image is read before it is looked up")
        };
        if read.size != descriptor.size {
            let cause = Box::new(LayerError::WrongSize { expected: descriptor.size, found: read.size });
            return Err(Problem::from(ImageError::Layer {
                index: layer.index,
                digest: descriptor.digest.clone(),
                cause,
            }));
        }
        match &layer.diff_id {
            Some(expected) if *expected != read.diff_id => {
                let (index, short) = (layer.index, layer.descriptor.digest.short());
                let text = format!(
                    "layer {} ({short}): its diffID is {}, but the config declares {expected}",
                    index + 1,
                    read.diff_id
                );
                Err(Problem::new(text, None))
            }
            _ => Ok(read.clone()),
        }
    }
}

impl LayerSlot {
    /// Whether an image other than the one at `at` is reading it or will read it.
    fn is_held(&self, at: usize) -> bool {
        match self {
            LayerSlot::Awaited(owner) => *owner != at,
            LayerSlot::InWork => true,
            LayerSlot::Ready(_) => false,
        }
    }
}

/// The layers that an image wants: to be read by this image, already read, and claimed by other images.
struct Claimed<'l> {
    own: Vec<&'l Layer>,
    ready: Vec<&'l Layer>,
    others: Vec<&'l Layer>,
}

#[cfg(test)]
mod tests {
    use std::io::{self, Read};

    use super::*;
    use crate::image::testing::{Memory, file, tar_of};
    use crate::oci::Descriptor;
    use crate::scan::{Deadline, Unwatched};
    use crate::source::{SourceError, Stamp};

    fn problems(store: &LayerStore, source: &Memory, layers: &[Layer]) -> Vec<String> {
        let watch: Arc<dyn Watch> = Arc::new(Unwatched);
        let failures = store.read(source, layers, 0, &Options::default(), &watch);
        layers
            .iter()
            .filter_map(|layer| store.find(layer, Depth::Headers, &failures).err())
            .map(|problem| problem.text)
            .collect()
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
            let (store, options) = (LayerStore::new(2), Options { limits, ..Options::default() });
            let watch: Arc<dyn Watch> = Arc::new(Unwatched);
            let failures = store.read(&source, layers, 0, &options, &watch);
            layers.iter().filter_map(|layer| store.find(layer, Depth::Headers, &failures).err()).collect::<Vec<_>>()
        };
        // One layer takes about 50 KiB, most of it for facts about its files.
        assert_eq!(read(100 << 10, &layers[..1]).len(), 0);
        let problems = read(100 << 10, &layers);
        assert!(!problems.is_empty());
        assert!(problems[0].text.ends_with("take more than 102400 bytes of memory"), "{problems:?}");
        assert!(problems[0].hint.as_ref().unwrap().contains("image-memory"), "{problems:?}");
        assert_eq!(read(1 << 20, &layers).len(), 0);
    }

    /// Returns zeros slowly, without end.
    struct Endless;

    impl ImageSource for Endless {
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
        let descriptor = Descriptor::new("application/vnd.oci.image.layer.v1.tar", Digest::from_bytes(b"x"), size);
        Layer { index: 0, descriptor, diff_id: None, ztoc: None }
    }

    #[test]
    fn an_endless_layer_ends_at_the_deadline_of_the_run() {
        let options = Options { deadline: Deadline::after(std::time::Instant::now(), 1), ..Options::default() };
        let (store, layers) = (LayerStore::new(2), [endless_layer(1 << 40), endless_layer(1 << 39)]);
        let watch: Arc<dyn Watch> = Arc::new(Unwatched);
        let failures = store.read(&Endless, &layers, 0, &options, &watch);
        let failure = store.find(&layers[0], Depth::Headers, &failures).err().unwrap();
        assert!(failure.text.ends_with("not read: the deadline of the run, 1 s, has passed"), "{failure:?}");
        assert!(failure.hint.unwrap().contains("--deadline"));
        let again = store.read(&Endless, &layers, 0, &options, &watch);
        assert!(store.find(&layers[0], Depth::Headers, &again).is_err());
    }

    #[test]
    fn a_layer_of_two_to_the_62_bytes_is_refused_before_it_is_opened() {
        let (store, layers) = (LayerStore::new(2), [endless_layer(1 << 62)]);
        let watch: Arc<dyn Watch> = Arc::new(Unwatched);
        let failures = store.read(&Endless, &layers, 0, &Options::default(), &watch);
        let failure = store.find(&layers[0], Depth::Headers, &failures).err().unwrap();
        assert!(failure.text.contains("states 4611686018427387904 bytes"), "{failure:?}");
        assert!(failure.hint.unwrap().contains("IMGARCH_LAYER_BYTES"));
    }

    #[test]
    fn a_layer_of_one_image_must_be_in_the_source_of_another() {
        let (mut good, tar) = (Memory::default(), tar_of(&[file("a", b"text")]));
        let layer = good.add_layer(0, &tar, tar.clone());
        let bad = Memory::default();
        let mut larger = layer.clone();
        larger.descriptor.size += 1;
        let store = LayerStore::new(2);
        assert_eq!(problems(&store, &bad, std::slice::from_ref(&layer)).len(), 1, "missing");
        assert_eq!(
            problems(&store, &good, std::slice::from_ref(&layer)),
            [""; 0],
            "a failure of another image's source does not count"
        );
        assert_eq!(problems(&store, &bad, std::slice::from_ref(&layer)).len(), 1, "still missing");
        let wrong = problems(&store, &good, &[layer, larger]);
        let text = format!("it is {} bytes long, but its descriptor states {}", tar.len(), tar.len() + 1);
        assert!(matches!(&wrong[..], [one] if one.ends_with(&text)), "{wrong:?}");
    }
}
