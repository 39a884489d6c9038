//! Finds the SOCI index of an image: a manifest that lists a table of contents (ztoc) for some of its layers. An image
//! names its index by digest (index manifest v2), or the index is a referrer of the image (v1). Layers without a ztoc
//! are read in full. Source: awslabs' soci-snapshotter, soci/soci_index.go and docs/soci-index-manifest-v2.md.

use std::collections::BTreeMap;

use super::fetch;
use super::layer::{Layer, SociBinding, Ztoc};
use super::lazy::is_announced;
use super::select::{Image, Selection};
use crate::oci::{Descriptor, Digest, Document, Manifest};
use crate::source::ImageSource;

/// The annotation of an image's manifest, and of its entry in an index.
const INDEX_DIGEST: &str = "com.amazon.soci.index-digest";
/// The annotation of a ztoc in a SOCI index.
const LAYER_DIGEST: &str = "com.amazon.soci.image-layer-digest";
/// The types of the config of a SOCI index.
const V1: &str = "application/vnd.amazon.soci.index.v1+json";
const V2: &str = "application/vnd.amazon.soci.index.v2+json";
const ZTOC: &str = "application/octet-stream";
/// A smaller layer is read in less time than its ztoc is found.
const SMALLEST_LAYER: u64 = 1 << 20;
/// Referrers that are read to find an index, if their types are not listed.
const MAX_REFERRERS: usize = 8;

/// The layers of an image, with their ztocs. Without a layer that needs one, nothing is requested.
pub fn with_ztocs(source: &dyn ImageSource, image: &Image, selection: &Selection) -> Vec<Layer> {
    let mut layers = image.layers.clone();
    if layers.iter().any(may_have_ztoc)
        && let Some((index, binding)) = find(source, image, selection)
    {
        let ztocs: BTreeMap<Digest, Descriptor> = index.layers.into_iter().filter_map(by_layer).collect();
        for layer in layers.iter_mut().filter(|layer| may_have_ztoc(layer)) {
            let ztoc = ztocs.get(&layer.descriptor.digest).cloned();
            layer.ztoc = ztoc.map(|descriptor| Box::new(Ztoc { descriptor, binding }));
        }
    }
    layers
}

fn may_have_ztoc(layer: &Layer) -> bool {
    let descriptor = &layer.descriptor;
    descriptor.media_type.ends_with("gzip") && descriptor.size >= SMALLEST_LAYER && !is_announced(descriptor)
}

/// A ztoc with the digest of its layer.
fn by_layer(ztoc: Descriptor) -> Option<(Digest, Descriptor)> {
    let layer = ztoc.annotations.get(LAYER_DIGEST)?.parse().ok()?;
    (ztoc.media_type == ZTOC).then_some((layer, ztoc))
}

fn find(source: &dyn ImageSource, image: &Image, selection: &Selection) -> Option<(Manifest, SociBinding)> {
    bound(source, image, selection)
        .map(|index| (index, SociBinding::Manifest))
        .or_else(|| referring(source, &image.manifest.digest).map(|index| (index, SociBinding::Referrer)))
}

/// The index that the image names. An index of images lists it too.
fn bound(source: &dyn ImageSource, image: &Image, selection: &Selection) -> Option<Manifest> {
    let annotation = image.annotations.get(INDEX_DIGEST).or_else(|| image.manifest.annotations.get(INDEX_DIGEST));
    let digest: Digest = annotation?.parse().ok()?;
    let listed = selection.skipped.iter().map(|entry| &entry.descriptor).find(|entry| entry.digest == digest);
    let descriptor = match listed {
        Some(descriptor) => descriptor.clone(),
        None => logged(source.manifest(&digest), &digest)??,
    };
    read(source, &descriptor, V2)
}

/// The first referrer of the image that is an index.
fn referring(source: &dyn ImageSource, image: &Digest) -> Option<Manifest> {
    let referrers = logged(source.referrers(image), image)?;
    let may_be_index = |referrer: &&Descriptor| referrer.artifact_type.as_deref().is_none_or(|own| own == V1);
    let indexes = referrers.iter().filter(may_be_index).take(MAX_REFERRERS);
    indexes.filter_map(|index| read(source, index, V1)).find(|index| index.subject.as_ref() == Some(image))
}

fn read(source: &dyn ImageSource, descriptor: &Descriptor, kind: &str) -> Option<Manifest> {
    match logged(fetch::document(source, descriptor), &descriptor.digest)? {
        Document::Manifest(manifest) if manifest.config.media_type == kind => Some(manifest),
        Document::Manifest(_) | Document::Index(_) => None,
    }
}

/// Without an index, layers are read in full, so errors are only logged.
fn logged<T, E: std::fmt::Display>(result: Result<T, E>, digest: &Digest) -> Option<T> {
    result.inspect_err(|error| tracing::debug!(%digest, %error, "no SOCI index")).ok()
}
