//! What an `index.json` or a docker-archive's `manifest.json` lists, and which of it the user's words name. Pure: it
//! reads no files.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::SourceError;
use crate::oci::{Descriptor, Digest, Document, Index, Reference};

/// Which image is meant where a place holds several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selector {
    All,
    /// A tag (`v1`) or a whole name (`user/app:v1`).
    Name(String),
    Digest(Digest),
    /// Counted from 0, as `@1` in containers-transports(5).
    Position(usize),
}

/// One image that is listed.
#[derive(Clone, Debug)]
pub(super) struct Listed {
    pub descriptor: Descriptor,
    pub names: Vec<String>,
    /// The descriptor as it was written, with the fields that [`Descriptor`] does not carry.
    raw: Value,
}

/// All images of one place.
#[derive(Debug, Default)]
pub(super) struct Listing {
    pub images: Vec<Listed>,
    /// The index as it was written, while `images` is what it lists.
    bytes: Option<Vec<u8>>,
}

/// What the user's words lead to. `index` is set where they lead to several images: an index made in memory, whose
/// digest `descriptor` carries.
#[derive(Debug)]
pub(super) struct Root {
    pub descriptor: Descriptor,
    pub index: Option<Vec<u8>>,
}

pub(super) const INDEX_TYPE: &str = "application/vnd.oci.image.index.v1+json";
pub(super) const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
/// A tag, and a whole reference. Source: OCI image-spec, annotations.md; containerd's and BuildKit's.
pub(crate) const NAME_ANNOTATIONS: [&str; 2] = ["org.opencontainers.image.ref.name", "io.containerd.image.name"];
/// Names in a hint: a line's worth.
const HELD_SHOWN: usize = 5;

impl Selector {
    /// Nothing selects all; a digest, `@N`, or else a name.
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
    /// Reads an `index.json`.
    pub fn from_index(bytes: Vec<u8>, place: &str) -> Result<Listing, SourceError> {
        let malformed = |cause: String| SourceError::Malformed { place: format!("index.json of {place}"), cause };
        let index = match Document::parse(&bytes) {
            Ok(Document::Index(index)) => index,
            Ok(Document::Manifest(_)) => return Err(malformed("a manifest where an index belongs".to_string())),
            Err(error) => return Err(malformed(error.to_string())),
        };
        let value: Value = serde_json::from_slice(&bytes).map_err(|error| malformed(error.to_string()))?;
        let images = listed(index, &value);
        Ok(Listing { images, bytes: Some(bytes) })
    }

    /// Adds an image that no index names.
    pub fn push(&mut self, descriptor: Descriptor, names: Vec<String>) {
        let mut raw = describe(&descriptor);
        if let Some(name) = names.first() {
            raw["annotations"][NAME_ANNOTATIONS[1]] = json!(name);
        }
        self.images.push(Listed { descriptor, names, raw });
        self.bytes = None;
    }

    /// Puts another image in the place of one whose manifest is of no use.
    pub fn replace(&mut self, position: usize, descriptor: Descriptor) {
        let image = &mut self.images[position];
        image.raw = describe(&descriptor);
        image.descriptor = descriptor;
        self.bytes = None;
    }

    /// What `selector` leads to: one image, or an index of those that it fits.
    pub fn root(mut self, selector: &Selector, place: &str) -> Result<Root, SourceError> {
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
                Err(SourceError::Malformed { place: place.to_string(), cause: "it lists no image".to_string() })
            }
            (0, _) => {
                let (name, place) = (selector.to_string(), place.to_string());
                Err(SourceError::NotFound { what: "image", name, place }.with_hint(held))
            }
            (1, _) => Ok(Root { descriptor: distinct.remove(0).descriptor, index: None }),
            (count, Some(bytes)) if count == all => Ok(index_root(bytes)),
            (_, _) => {
                let manifests: Vec<Value> = distinct.into_iter().map(|image| image.raw).collect();
                let index = json!({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": manifests});
                Ok(index_root(index.to_string().into_bytes()))
            }
        }
    }

    /// What there is to select, for a hint.
    fn held(&self) -> String {
        let mut names: Vec<&str> = self.images.iter().flat_map(|image| &image.names).map(String::as_str).collect();
        let more = names.len().saturating_sub(HELD_SHOWN);
        names.truncate(HELD_SHOWN);
        match (names.is_empty(), more) {
            (true, _) => format!("it holds {} without a name: select by @0 or by digest", self.images.len()),
            (_, 0) => format!("it holds {}", names.join(", ")),
            (_, more) => format!("it holds {} and {more} more", names.join(", ")),
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

/// `app`, `app:latest` and `docker.io/library/app:latest` are one name; podman stores a short name below `localhost/`.
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

fn index_root(bytes: Vec<u8>) -> Root {
    let descriptor = Descriptor::new(INDEX_TYPE, Digest::of(&bytes), bytes.len() as u64);
    Root { descriptor, index: Some(bytes) }
}

/// A descriptor without a platform, as an index or a manifest holds it.
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
