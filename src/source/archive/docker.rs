//! `manifest.json` of `docker save` lists configs and layers by member name, without a manifest or layer digests. The
//! missing manifest is built in memory, so that callers see descriptors only. An uncompressed layer's digest is its
//! diffID; a compressed layer's digest is computed. Source: moby, image/spec/v1.2.md, "Combined Image JSON + Filesystem
//! Changeset Format"; image/tarexport/save.go.

use std::collections::{HashMap, HashSet};
use std::io::Read;

use serde::Deserialize;
use serde_json::{Value, json};

use super::super::SourceError;
use super::super::listing::{Listing, MANIFEST_TYPE, describe};
use super::members::{ArchiveMember, Members};
use crate::oci::{Descriptor, Digest, Document, ImageConfig};

/// One element of `manifest.json`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    layers: Option<Vec<String>>,
}

const LAYER_TYPE: &str = "application/vnd.docker.image.rootfs.diff.tar";
const CONFIG_TYPE: &str = "application/vnd.oci.image.config.v1+json";
/// Size limit of the documents that are searched for configs: ten times those of a saved image with thirty platforms
/// and attestations. Hostile names may lead to one document again and again.
const KNOWN_LIMIT: u64 = 16 << 20;
/// Limit for the layers of all images of an archive: a thousand images with a hundred layers each.
const LAYERS_LIMIT: usize = 100_000;

/// Content that is not stored under a digest's own name.
pub(super) struct Made<'m> {
    members: &'m Members,
    pub contents: HashMap<Digest, ArchiveMember>,
    /// By name, because images share layers and a compressed layer must be read to compute its digest.
    digests: HashMap<String, (Digest, u64)>,
    layers: usize,
}

/// The position of a config in a listing.
struct Known {
    position: usize,
    /// The manifest is listed directly, not through an index, and has no layers.
    is_empty_manifest: bool,
}

/// Adds to `listing` the images that only `manifest.json` (`bytes`) has. In an old archive, these are all images. In a
/// new one, whose `index.json` was read before, these are images that the index omits (moby#51389) or whose manifest
/// has no layers (moby#47065, Engine 25.0.0). Returns the content that `listing` then refers to.
pub(super) fn complete(
    listing: &mut Listing,
    bytes: &[u8],
    members: &Members,
) -> Result<HashMap<Digest, ArchiveMember>, SourceError> {
    let mut made = Made { members, contents: HashMap::new(), digests: HashMap::new(), layers: 0 };
    let all: Vec<Saved> = serde_json::from_slice(bytes).map_err(|error| made.malformed(error.to_string()))?;
    let known = known_configs(listing, members);
    let mut configs = HashMap::new();
    for saved in all {
        let config = match configs.get(&saved.config) {
            Some(config) => config,
            None => configs.entry(saved.config.clone()).or_insert(made.config(&saved.config)?),
        };
        let (layers, names) = (saved.layers.unwrap_or_default(), saved.repo_tags.unwrap_or_default());
        match known.get(&config.descriptor.digest) {
            None => listing.push(made.manifest(config, &layers)?, names),
            Some(known) => {
                listing.images[known.position].names.extend(names);
                if known.is_empty_manifest && !layers.is_empty() {
                    listing.replace(known.position, made.manifest(config, &layers)?);
                }
            }
        }
    }
    Ok(made.contents)
}

/// The configs that a listing leads to. Unreadable documents are skipped here; reading the image later reports them.
fn known_configs(listing: &Listing, members: &Members) -> HashMap<Digest, Known> {
    let mut known = HashMap::new();
    let (mut seen, mut looked) = (HashSet::new(), 0);
    for (position, image) in listing.images.iter().enumerate() {
        let mut pending = vec![(image.descriptor.digest.clone(), true)];
        while let Some((digest, is_listed)) = pending.pop() {
            if looked >= KNOWN_LIMIT || !seen.insert(digest.clone()) {
                continue;
            }
            let bytes = members.document(&super::blob_name(&digest)).ok().flatten().unwrap_or_default();
            looked += bytes.len() as u64;
            match Document::parse(&bytes) {
                Ok(Document::Index(index)) => {
                    pending.extend(index.manifests.into_iter().map(|below| (below.digest, false)));
                }
                Ok(Document::Manifest(manifest)) => {
                    let is_empty_manifest = is_listed && manifest.layers.is_empty();
                    known.entry(manifest.config.digest).or_insert(Known { position, is_empty_manifest });
                }
                Err(_) => {}
            }
        }
    }
    known
}

/// A config found by its name.
struct NamedConfig {
    descriptor: Descriptor,
    diff_ids: Vec<Option<Digest>>,
}

impl Made<'_> {
    fn config(&mut self, name: &str) -> Result<NamedConfig, SourceError> {
        let bytes = self.members.document(name)?;
        let bytes = bytes.ok_or_else(|| self.malformed(format!("it lists the config {name}, which is missing")))?;
        let config = ImageConfig::parse(&bytes).map_err(|error| self.malformed(format!("{name}: {error}")))?;
        let diff_ids = config.diff_ids().into_iter().map(|id| id.map(|id| id.0)).collect();
        let descriptor = Descriptor::new(CONFIG_TYPE, Digest::from_bytes(&bytes), bytes.len() as u64);
        self.contents.insert(descriptor.digest.clone(), ArchiveMember::Document(bytes.into()));
        Ok(NamedConfig { descriptor, diff_ids })
    }

    /// Builds the manifest for a config and named layers.
    fn manifest(&mut self, config: &NamedConfig, layers: &[String]) -> Result<Descriptor, SourceError> {
        self.layers += layers.len();
        if self.layers > LAYERS_LIMIT {
            let (what, limit) = ("layers in all its images", LAYERS_LIMIT as u64);
            return Err(SourceError::TooLarge { place: self.members.place.clone(), what, limit });
        }
        let mut described = Vec::new();
        for (position, name) in layers.iter().enumerate() {
            // If the counts differ, layers cannot be matched with diffIDs.
            let is_paired = config.diff_ids.len() == layers.len();
            let diff_id = if is_paired { config.diff_ids[position].as_ref() } else { None };
            let (digest, size) = self.layer(name, diff_id)?;
            described.push(describe(&Descriptor::new(LAYER_TYPE, digest, size)));
        }
        let manifest: Value = json!({
            "schemaVersion": 2, "mediaType": MANIFEST_TYPE, "config": describe(&config.descriptor), "layers": described,
        });
        let bytes = manifest.to_string().into_bytes();
        let descriptor = Descriptor::new(MANIFEST_TYPE, Digest::from_bytes(&bytes), bytes.len() as u64);
        self.contents.insert(descriptor.digest.clone(), ArchiveMember::Document(bytes.into()));
        Ok(descriptor)
    }

    /// Digest and size of a layer as stored.
    fn layer(&mut self, name: &str, diff_id: Option<&Digest>) -> Result<(Digest, u64), SourceError> {
        let Some(member) = self.members.find(name) else {
            // Opening it will report that it is not present.
            let missing = || self.malformed(format!("it lists the layer {name}, which is missing"));
            return diff_id.map(|diff_id| (diff_id.clone(), 0)).ok_or_else(missing);
        };
        let sized = match (member, super::blob_digest(name), diff_id) {
            (ArchiveMember::Section { size, .. }, Some(digest), _) => (digest, *size),
            (ArchiveMember::Section { size, .. }, None, Some(diff_id)) if !is_compressed(member, self.members) => {
                (diff_id.clone(), *size)
            }
            _ => match self.digests.get(name) {
                Some(sized) => sized.clone(),
                None => self.members.digest(member)?,
            },
        };
        self.digests.insert(name.to_string(), sized.clone());
        self.contents.insert(sized.0.clone(), member.clone());
        Ok(sized)
    }

    fn malformed(&self, cause: String) -> SourceError {
        SourceError::Malformed { place: format!("manifest.json of {}", self.members.place), cause }
    }
}

/// Detects the magic numbers of gzip, zstd, bzip2 and xz, all of which `docker load` accepts.
fn is_compressed(member: &ArchiveMember, members: &Members) -> bool {
    let mut head = Vec::new();
    let read = members.read(member).map(|reader| reader.take(6).read_to_end(&mut head));
    let magics: [&[u8]; 4] = [&[0x1f, 0x8b], &[0x28, 0xb5, 0x2f, 0xfd], b"BZh", &[0xfd, b'7', b'z', b'X', b'Z', 0]];
    matches!(read, Some(Ok(_))) && magics.iter().any(|magic| head.starts_with(magic))
}
