//! The images that an `index.json` or a docker-archive's `manifest.json` lists, and which of them the user selected.
//! Pure: it reads no files.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::SourceError;
use crate::oci::{Descriptor, Digest, Document, Index, Reference};

/// Selects an image from a source that contains several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selector {
    All,
    /// A tag (`v1`) or a whole name (`user/app:v1`).
    Name(String),
    Digest(Digest),
    /// Zero-based, as `@1` in containers-transports(5).
    Position(usize),
}

/// One listed image.
#[derive(Clone, Debug)]
pub(super) struct Listed {
    pub descriptor: Descriptor,
    pub names: Vec<String>,
    /// The original descriptor, with the fields that [`Descriptor`] does not carry.
    raw: Value,
}

/// All images of one source.
#[derive(Debug, Default)]
pub(super) struct Listing {
    pub images: Vec<Listed>,
    /// The original index, as long as `images` matches it.
    bytes: Option<Vec<u8>>,
}

/// The selected root. `index` is set if several images are selected: an index built in memory, whose digest is in
/// `descriptor`.
#[derive(Debug)]
pub(super) struct SelectedRoot {
    pub descriptor: Descriptor,
    pub index: Option<Vec<u8>>,
}

pub(super) const INDEX_TYPE: &str = "application/vnd.oci.image.index.v1+json";
pub(super) const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
/// A tag, and a whole reference. Source: OCI image-spec, annotations.md; containerd and BuildKit.
pub(crate) const NAME_ANNOTATIONS: [&str; 2] = ["org.opencontainers.image.ref.name", "io.containerd.image.name"];
/// Number of names in a hint, about one line.
const HELD_SHOWN: usize = 5;

impl Selector {
    /// Parses a digest, `@N` or a name. An empty text selects all images.
    pub fn parse(text: &str) -> Selector {
        if text.is_empty() {
            return Selector::All;
        }
        let bare = text.strip_prefix('@').unwrap_or(text);
        match (bare.parse::<Digest>(), text.strip_prefix('@').map(str::parse)) {
            (Ok(digest), _) => Selector::Digest(digest),
            (_, Some(Ok(position))) => Selector::Position(position),
            _ => Selector::Name(text.to_string()),
        }
    }
}

impl std::fmt::Display for Selector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Selector::All => f.write_str("image"),
            Selector::Name(name) => f.write_str(name),
            Selector::Digest(digest) => digest.fmt(f),
            Selector::Position(position) => write!(f, "@{position}"),
        }
    }
}

impl Listing {
    /// Parses an `index.json`.
    pub fn from_index(bytes: Vec<u8>, place: &str) -> Result<Listing, SourceError> {
        let malformed = |cause: String| SourceError::Malformed { place: format!("index.json of {place}"), cause };
        let index = match Document::parse(&bytes) {
            Ok(Document::Index(index)) => index,
            Ok(Document::Manifest(_)) => return Err(malformed("expected an index, found a manifest".to_string())),
            Err(error) => return Err(malformed(error.to_string())),
        };
        let value: Value = serde_json::from_slice(&bytes).map_err(|error| malformed(error.to_string()))?;
        let images = listed(index, &value);
        Ok(Listing { images, bytes: Some(bytes) })
    }

    /// Adds an image that is in no index.
    pub fn push(&mut self, descriptor: Descriptor, names: Vec<String>) {
        let mut raw = describe(&descriptor);
        if let Some(name) = names.first() {
            raw["annotations"][NAME_ANNOTATIONS[1]] = json!(name);
        }
        self.images.push(Listed { descriptor, names, raw });
        self.bytes = None;
    }

    /// Replaces an image whose manifest is unusable.
    pub fn replace(&mut self, position: usize, descriptor: Descriptor) {
        let image = &mut self.images[position];
        image.raw = describe(&descriptor);
        image.descriptor = descriptor;
        self.bytes = None;
    }

    /// The root for `selector`: one image, or an index of the images that match.
    pub fn root(mut self, selector: &Selector, place: &str) -> Result<SelectedRoot, SourceError> {
        let all = self.images.len();
        let held = self.held();
        let mut seen = HashSet::new();
        let mut distinct: Vec<Listed> = std::mem::take(&mut self.images)
            .into_iter()
            .enumerate()
            .filter(|(position, image)| image.fits(selector, *position))
            .map(|(_, image)| image)
            // An image with two tags is listed twice.
            .filter(|image| seen.insert(image.descriptor.digest.clone()))
            .collect();
        match (distinct.len(), self.bytes) {
            (0, _) if all == 0 => {
                Err(SourceError::Malformed { place: place.to_string(), cause: "it lists no images".to_string() })
            }
            (0, _) => {
                let (name, place) = (selector.to_string(), place.to_string());
                Err(SourceError::NotFound { what: "image", name, place }.with_hint(held))
            }
            (1, _) => Ok(SelectedRoot { descriptor: distinct.remove(0).descriptor, index: None }),
            (count, Some(bytes)) if count == all => Ok(index_root(bytes)),
            (_, _) => {
                let manifests: Vec<Value> = distinct.into_iter().map(|image| image.raw).collect();
                let index = json!({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": manifests});
                Ok(index_root(index.to_string().into_bytes()))
            }
        }
    }

    /// The images that can be selected, for a hint.
    fn held(&self) -> String {
        let mut names: Vec<&str> = self.images.iter().flat_map(|image| &image.names).map(String::as_str).collect();
        let more = names.len().saturating_sub(HELD_SHOWN);
        names.truncate(HELD_SHOWN);
        match (names.is_empty(), more) {
            (true, _) => format!("it contains {} without a name: select by @0 or by digest", self.images.len()),
            (_, 0) => format!("it contains {}", names.join(", ")),
            (_, more) => format!("it contains {} and {more} more", names.join(", ")),
        }
    }
}

impl Listed {
    fn fits(&self, selector: &Selector, position: usize) -> bool {
        match selector {
            Selector::All => true,
            Selector::Name(name) => self.names.iter().any(|own| is_name(own, name)),
            Selector::Digest(digest) => self.descriptor.digest == *digest,
            Selector::Position(wanted) => *wanted == position,
        }
    }
}

/// `app`, `app:latest` and `docker.io/library/app:latest` are the same name; podman stores short names below
/// `localhost/`.
fn is_name(own: &str, wanted: &str) -> bool {
    let same = |a: &str, b: &str| match (Reference::parse(a), Reference::parse(b)) {
        (Ok(a), Ok(b)) => (a.registry, a.repository, a.tag, a.digest) == (b.registry, b.repository, b.tag, b.digest),
        _ => false,
    };
    own == wanted || same(own, wanted) || own.strip_prefix("localhost/").is_some_and(|short| same(short, wanted))
}

fn listed(index: Index, value: &Value) -> Vec<Listed> {
    let raw = value["manifests"].as_array().cloned().unwrap_or_default();
    let named = |descriptor: &Descriptor| {
        NAME_ANNOTATIONS.iter().filter_map(|key| descriptor.annotations.get(*key)).cloned().collect()
    };
    index
        .manifests
        .into_iter()
        .zip(raw)
        .map(|(descriptor, raw)| Listed { names: named(&descriptor), descriptor, raw })
        .collect()
}

fn index_root(bytes: Vec<u8>) -> SelectedRoot {
    let descriptor = Descriptor::new(INDEX_TYPE, Digest::from_bytes(&bytes), bytes.len() as u64);
    SelectedRoot { descriptor, index: Some(bytes) }
}

/// A descriptor without a platform, in the form that an index or a manifest contains.
pub(super) fn describe(descriptor: &Descriptor) -> Value {
    let mut value = json!({
        "mediaType": descriptor.media_type,
        "digest": descriptor.digest.as_str(),
        "size": descriptor.size,
    });
    if !descriptor.annotations.is_empty() {
        value["annotations"] = json!(descriptor.annotations);
    }
    value
}

#[cfg(test)]
#[path = "listing_tests.rs"]
mod tests;
