//! Finds the images that a reference leads to. Indexes are walked; every platform is read unless the user narrows the
//! selection, and excluded entries are listed with their reason. A broken manifest of one platform does not hide the
//! others.

use std::collections::{BTreeMap, HashSet};

use super::error::ImageError;
use super::fetch;
use super::layer::Layer;
use crate::oci::{Descriptor, DiffId, Digest, Document, ImageConfig, Index, Manifest};
use crate::platform::Platform;
use crate::source::listing::NAME_ANNOTATIONS;
use crate::source::{ImageSource, SourceError};

/// Which platforms to read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Empty means all.
    pub platforms: Vec<Platform>,
    /// Platforms whose operating system and architecture are excluded.
    pub except: Vec<Platform>,
}

/// One platform's image: the platform that its index promises, its config, and its layers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// The manifest's descriptor, with its annotations from the index.
    pub manifest: Descriptor,
    /// The platform that the index promises; `None` without an index, or if its entry has no platform.
    pub promised: Option<Platform>,
    pub config_digest: Digest,
    pub config: ImageConfig,
    /// The platform that the config declares; `None` if it has no architecture.
    pub declared: Option<Platform>,
    /// Lowest first.
    pub layers: Vec<Layer>,
    /// The manifest's own annotations.
    pub annotations: BTreeMap<String, String>,
    /// The manifest that this one refers to.
    pub subject: Option<Digest>,
    /// Distinguishes this image from the others when one source contains several named images: `user/app:v1`.
    pub name: Option<String>,
}

/// The images that a reference leads to. `images` may be empty if every wanted image is broken or not present; that
/// must never count as a clean result.
#[derive(Debug)]
pub struct Selection {
    pub root: Descriptor,
    /// The root index's annotations; `None` if the root is a single manifest.
    pub index_annotations: Option<BTreeMap<String, String>>,
    /// In the index's order; images from nested indexes come last.
    pub images: Vec<Image>,
    pub broken: Vec<BrokenEntry>,
    pub skipped: Vec<SkippedEntry>,
}

/// A wanted entry of an index that could not be read.
#[derive(Debug)]
pub struct BrokenEntry {
    pub descriptor: Descriptor,
    pub promised: Option<Platform>,
    pub error: ImageError,
}

/// An entry of an index that was left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkippedEntry {
    pub descriptor: Descriptor,
    /// From the index or from the config.
    pub platform: Option<Platform>,
    pub why: Why,
}

/// Why an entry was left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// BuildKit's provenance or SBOM for another entry.
    Attestation,
    /// A chart, a signature or a model; holds its artifact type or config type.
    Artifact(String),
    /// The platform is not wanted.
    NotWanted,
    /// Wanted, but its blobs are not here; `docker save` and engine stores list platforms that were never pulled.
    NotPresent { place: String },
}

/// An index in an index has depth two; tools that merge layouts produce three.
const MAX_DEPTH: usize = 6;
/// Ten times the entries, attestations included, of the widest official images.
const MAX_MANIFESTS: usize = 512;
/// overlayfs mounts at most 500 lower directories; docker stops at 127. Source: fs/overlayfs/params.h OVL_MAX_STACK.
const MAX_LAYERS: usize = 500;
/// Documents fetched in parallel: each takes one or two requests, and registries count requests.
const PARALLEL: usize = 6;

/// Finds the images that `source`'s root leads to. Fails if the root cannot be read, or if it contains no image for a
/// wanted platform.
pub fn select(source: &dyn ImageSource, wanted: &Wanted) -> Result<Selection, ImageError> {
    let root = source.root()?;
    let platform = root.platform.clone();
    let entry = IndexEntry { descriptor: root.clone(), promised: platform, above: Vec::new(), name: None };
    let mut selection =
        Selection { root: root.clone(), index_annotations: None, images: vec![], broken: vec![], skipped: vec![] };
    match load(source, &entry.descriptor)? {
        LoadedDocument::Image(image) => selection.add_image(*image, entry.promised, wanted),
        LoadedDocument::Artifact(kind) => return Err(ImageError::Artifact { digest: root.digest, kind }),
        LoadedDocument::Index(index) => {
            selection.index_annotations = Some(index.annotations.clone());
            selection.descend(source, wanted, entry, index)?;
        }
    }
    selection.drop_common_name();
    let absent = selection.skipped.iter().any(|entry| matches!(entry.why, Why::NotPresent { .. }));
    if selection.images.is_empty() && selection.broken.is_empty() && !absent {
        let (wanted, held) = (wanted.platforms.clone(), selection.held());
        return Err(ImageError::NothingWanted { digest: selection.root.digest, wanted, held });
    }
    Ok(selection)
}

/// An entry of an index during the walk.
struct IndexEntry {
    descriptor: Descriptor,
    promised: Option<Platform>,
    /// The indexes that contain it, outermost first.
    above: Vec<Digest>,
    /// Its own name, or else that of the index that contains it.
    name: Option<String>,
}

/// The document that a descriptor leads to.
enum LoadedDocument {
    Index(Index),
    Image(Box<Image>),
    Artifact(String),
}

impl Wanted {
    /// Whether the selection includes this platform.
    pub fn takes(&self, platform: &Platform) -> bool {
        let is_excepted = self.except.iter().any(|other| platform.is_wanted_as(other));
        !is_excepted && (self.platforms.is_empty() || self.platforms.iter().any(|wanted| platform.is_wanted_as(wanted)))
    }
}

impl Selection {
    /// Walks an index and its nested indexes, one level at a time, so that each level's documents are fetched in
    /// parallel.
    fn descend(
        &mut self,
        source: &dyn ImageSource,
        wanted: &Wanted,
        top: IndexEntry,
        index: Index,
    ) -> Result<(), ImageError> {
        let mut seen = HashSet::from([(top.descriptor.digest.clone(), None)]);
        let mut level = self.sift(wanted, &top, index, &mut seen);
        let mut total = 0;
        while !level.is_empty() {
            total += level.len();
            if total > MAX_MANIFESTS {
                let digest = top.descriptor.digest;
                return Err(ImageError::TooManyManifests { digest, limit: MAX_MANIFESTS });
            }
            let mut below = Vec::new();
            for (entry, loaded) in load_all(source, level) {
                match loaded {
                    Ok(LoadedDocument::Image(mut image)) => {
                        image.name = entry.name;
                        self.add_image(*image, entry.promised, wanted);
                    }
                    Ok(LoadedDocument::Artifact(kind)) => self.skip(entry, Why::Artifact(kind)),
                    Ok(LoadedDocument::Index(_)) if entry.above.len() >= MAX_DEPTH => {
                        let digest = entry.descriptor.digest.clone();
                        self.broken(entry, ImageError::TooDeep { digest, limit: MAX_DEPTH });
                    }
                    Ok(LoadedDocument::Index(index)) => below.extend(self.sift(wanted, &entry, index, &mut seen)),
                    Err(error) => match absent_from(&error) {
                        Some(place) => self.skip(entry, Why::NotPresent { place }),
                        None => self.broken(entry, error),
                    },
                }
            }
            level = below;
        }
        Ok(())
    }

    /// Returns the entries of an index to fetch, and records the others with their reason.
    fn sift(
        &mut self,
        wanted: &Wanted,
        of: &IndexEntry,
        index: Index,
        seen: &mut HashSet<(Digest, Option<Platform>)>,
    ) -> Vec<IndexEntry> {
        let mut above = of.above.clone();
        above.push(of.descriptor.digest.clone());
        let mut fetched = Vec::new();
        for descriptor in index.manifests {
            let promised = descriptor.platform.clone().or_else(|| of.promised.clone());
            let own = NAME_ANNOTATIONS.iter().rev().find_map(|key| descriptor.annotations.get(*key));
            let name = own.or(of.name.as_ref()).cloned();
            let entry = IndexEntry { descriptor, promised, above: above.clone(), name };
            let digest = entry.descriptor.digest.clone();
            if entry.descriptor.is_attestation() {
                self.skip(entry, Why::Attestation);
            } else if entry.above.contains(&digest) {
                self.broken(entry, ImageError::SelfContaining { digest });
            } else if entry.promised.as_ref().is_some_and(|platform| !platform.is_unknown() && !wanted.takes(platform))
            {
                self.skip(entry, Why::NotWanted);
            } else if seen.insert((digest, entry.promised.clone())) {
                fetched.push(entry);
            }
        }
        fetched
    }

    /// The index's promise decides which image a node picks, so it decides here. Without a promise, the config decides.
    fn add_image(&mut self, mut image: Image, promised: Option<Platform>, wanted: &Wanted) {
        image.promised = promised.filter(|platform| !platform.is_unknown());
        // A variant missing from the config is the index's, not the default of 32-bit Arm.
        if let (Some(promised), Some(declared)) = (&image.promised, &mut image.declared)
            && (image.config.architecture == "arm" && image.config.variant.is_empty())
            && promised.architecture == "arm"
        {
            declared.variant.clone_from(&promised.variant);
        }
        let platform = image.promised.clone().or_else(|| image.declared.clone());
        // An image without any platform is read: only its files can show it.
        if platform.as_ref().is_some_and(|platform| !wanted.takes(platform)) {
            self.skipped.push(SkippedEntry { descriptor: image.manifest, platform, why: Why::NotWanted });
        } else {
            self.images.push(image);
        }
    }

    fn skip(&mut self, entry: IndexEntry, why: Why) {
        self.skipped.push(SkippedEntry { descriptor: entry.descriptor, platform: entry.promised, why });
    }

    fn broken(&mut self, entry: IndexEntry, error: ImageError) {
        self.broken.push(BrokenEntry { descriptor: entry.descriptor, promised: entry.promised, error });
    }

    /// The error for wanted platforms without an image; `None` if each has one, even if it is broken or not present.
    pub fn unmet(&self, wanted: &Wanted) -> Option<ImageError> {
        let read = self.images.iter().map(|image| image.promised.as_ref().or(image.declared.as_ref()));
        let broken = self.broken.iter().map(|entry| entry.promised.as_ref());
        let absent = self.skipped.iter().filter(|entry| matches!(entry.why, Why::NotPresent { .. }));
        let found: Vec<_> = read.chain(broken).chain(absent.map(|entry| entry.platform.as_ref())).collect();
        // An entry without a platform may match any.
        let has = |wanted: &&Platform| found.iter().any(|own| own.is_none_or(|own| own.is_wanted_as(wanted)));
        let unmet: Vec<Platform> = wanted.platforms.iter().filter(|wanted| !has(wanted)).cloned().collect();
        let digest = self.root.digest.clone();
        (!unmet.is_empty()).then(|| ImageError::NothingWanted { digest, wanted: unmet, held: self.held() })
    }

    /// Removes a name that all images share: it distinguishes none of them.
    fn drop_common_name(&mut self) {
        let first = self.images.first().and_then(|image| image.name.clone());
        if self.images.iter().all(|image| image.name == first) {
            self.images.iter_mut().for_each(|image| image.name = None);
        }
    }

    /// The platforms and other entries found, for the error that none of them is wanted.
    fn held(&self) -> Vec<String> {
        let platforms = self.images.iter().map(|image| image.promised.as_ref().or(image.declared.as_ref()));
        let mut held: Vec<String> = platforms.flatten().map(ToString::to_string).collect();
        for entry in &self.skipped {
            let text = match (&entry.why, &entry.platform) {
                (Why::NotWanted | Why::NotPresent { .. }, Some(platform)) => platform.to_string(),
                (Why::NotWanted | Why::NotPresent { .. }, None) => "an image without a platform".to_string(),
                (Why::Attestation, _) => "attestations".to_string(),
                (Why::Artifact(kind), _) => format!("an artifact of type {kind}"),
            };
            if !held.contains(&text) {
                held.push(text);
            }
        }
        held
    }
}

fn absent_from(error: &ImageError) -> Option<String> {
    match error {
        ImageError::Source(error) => match error.bare() {
            SourceError::NotPresent { place, .. } => Some(place.clone()),
            _ => None,
        },
        _ => None,
    }
}

/// Loads entries in parallel and returns them in their order.
fn load_all(
    source: &dyn ImageSource,
    entries: Vec<IndexEntry>,
) -> Vec<(IndexEntry, Result<LoadedDocument, ImageError>)> {
    let mut loaded = Vec::with_capacity(entries.len());
    for part in entries.chunks(PARALLEL) {
        std::thread::scope(|scope| {
            let (first, rest) = part.split_first().expect("chunks are never empty");
            let running: Vec<_> = rest.iter().map(|entry| scope.spawn(|| load(source, &entry.descriptor))).collect();
            loaded.push(load(source, &first.descriptor));
            loaded.extend(running.into_iter().map(|thread| thread.join().expect("loading does not panic")));
        });
    }
    entries.into_iter().zip(loaded).collect()
}

fn load(source: &dyn ImageSource, descriptor: &Descriptor) -> Result<LoadedDocument, ImageError> {
    match fetch::document(source, descriptor)? {
        Document::Index(index) => Ok(LoadedDocument::Index(index)),
        Document::Manifest(manifest) => match artifact_type(&manifest) {
            Some(kind) => Ok(LoadedDocument::Artifact(kind)),
            None => {
                let image = read_image(source, descriptor, manifest)?;
                if source.is_partial() {
                    is_pulled(source, &image)?;
                }
                Ok(LoadedDocument::Image(Box::new(image)))
            }
        },
    }
}

/// Fails with the first layer of the image that is not present.
fn is_pulled(source: &dyn ImageSource, image: &Image) -> Result<(), SourceError> {
    let own = image.layers.iter().map(|layer| &layer.descriptor).filter(|layer| !layer.is_foreign_layer());
    own.map(|layer| source.stamp(layer)).try_for_each(|stamp| stamp.map(drop))
}

/// The artifact type of a manifest that is not an image. Source: OCI image-spec, manifest.md, "Guidelines for Artifact
/// Usage". cosign uses an image's config type, but its layers are JSON.
fn artifact_type(manifest: &Manifest) -> Option<String> {
    let config = &manifest.config.media_type;
    let is_image_config = config.is_empty()
        || config.starts_with("application/vnd.oci.image.config")
        || config.starts_with("application/vnd.docker.container.image")
        || matches!(config.as_str(), "application/octet-stream" | "application/json" | "text/plain");
    if !is_image_config {
        return Some(manifest.artifact_type.clone().unwrap_or_else(|| config.clone()));
    }
    let mut layers = manifest.layers.iter().map(|layer| layer.media_type.as_str()).peekable();
    let first = *layers.peek()?;
    layers.all(|media_type| media_type.ends_with("json")).then(|| first.to_string())
}

fn read_image(source: &dyn ImageSource, descriptor: &Descriptor, manifest: Manifest) -> Result<Image, ImageError> {
    let digest = &descriptor.digest;
    if manifest.layers.len() > MAX_LAYERS {
        let (digest, count) = (digest.clone(), manifest.layers.len());
        return Err(ImageError::TooManyLayers { digest, count, limit: MAX_LAYERS });
    }
    let config = fetch::config(source, &manifest.config)?;
    let layers = pair(digest, manifest.layers, &config)?;
    Ok(Image {
        manifest: descriptor.clone(),
        promised: None,
        config_digest: manifest.config.digest,
        declared: config.platform(),
        config,
        layers,
        annotations: manifest.annotations,
        subject: manifest.subject,
        name: None,
    })
}

/// Assigns each layer its diffID. If the counts differ, the image is refused, as containerd does; only foreign layers
/// may be missing from the config.
fn pair(digest: &Digest, descriptors: Vec<Descriptor>, config: &ImageConfig) -> Result<Vec<Layer>, ImageError> {
    let mut diff_ids = Vec::new();
    for (index, (diff_id, text)) in config.diff_ids().into_iter().zip(&config.rootfs.diff_ids).enumerate() {
        let digest = digest.clone();
        diff_ids.push(diff_id.ok_or_else(|| ImageError::DiffId { digest, index, text: text.clone() })?);
    }
    let own = descriptors.iter().filter(|layer| !layer.is_foreign_layer()).count();
    let is_whole = diff_ids.len() == descriptors.len();
    if !is_whole && diff_ids.len() != own {
        let (layers, diff_ids) = (descriptors.len(), diff_ids.len());
        return Err(ImageError::LayerCount { digest: digest.clone(), layers, diff_ids });
    }
    let mut diff_ids = diff_ids.into_iter();
    let mut next = |layer: &Descriptor| -> Option<DiffId> {
        if is_whole || !layer.is_foreign_layer() { diff_ids.next() } else { None }
    };
    let paired = descriptors.into_iter().enumerate();
    Ok(paired.map(|(index, descriptor)| Layer { index, diff_id: next(&descriptor), descriptor, ztoc: None }).collect())
}

#[cfg(test)]
#[path = "select_tests.rs"]
mod tests;
