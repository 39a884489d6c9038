//! `manifest.json` of `docker save`: configs and layers by member name, with no manifest and no digest of a layer. The
//! manifest that is missing is made in memory, so that everything above sees descriptors only. An uncompressed layer's
//! digest is its diffID; a compressed one's is computed.
//! Source: moby, image/spec/v1.2.md, "Combined Image JSON + Filesystem Changeset Format"; image/tarexport/save.go.

use std::collections::{HashMap, HashSet};
use std::io::Read;

use serde::Deserialize;
use serde_json::{Value, json};

use super::super::SourceError;
use super::super::listing::{Listing, MANIFEST_TYPE, describe};
use super::members::{Member, Members};
use crate::oci::{Config, Descriptor, Digest, Document};

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
/// Bytes of documents that are looked through for configs: those of a saved image of thirty platforms with attestations
/// are a tenth of it. Names may lie and lead to one document again and again.
const KNOWN_LIMIT: u64 = 16 << 20;
/// Layers of all images of an archive: a thousand images of a hundred.
const LAYERS_LIMIT: usize = 100_000;

/// What is in the archive under no digest's own name.
pub(super) struct Made<'m> {
    members: &'m Members,
    pub contents: HashMap<Digest, Member>,
    /// By name, for images share layers and a compressed one is read for its digest.
    digests: HashMap<String, (Digest, u64)>,
    layers: usize,
}

/// Where in a listing a config is.
struct Known {
    position: usize,
    /// Listed itself, not by way of an index, and without layers.
    is_empty_manifest: bool,
}

/// Adds to `listing` what `manifest.json` (`bytes`) has besides: all of it in an old archive; in a new one, whose
/// `index.json` was read before, images that the index leaves out (moby#51389) or whose manifest has no layers
/// (moby#47065, Engine 25.0.0). Gives what `listing` then refers to.
pub(super) fn complete(
    listing: &mut Listing,
    bytes: &[u8],
    members: &Members,
) -> Result<HashMap<Digest, Member>, SourceError> {
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

/// The configs that a listing leads to. What cannot be read here leads nowhere; whoever reads the image meets it again
/// and says so.
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

/// A config that was found by its name.
struct NamedConfig {
    descriptor: Descriptor,
    diff_ids: Vec<Option<Digest>>,
}

impl Made<'_> {
    fn config(&mut self, name: &str) -> Result<NamedConfig, SourceError> {
        let bytes = self.members.document(name)?;
        let bytes = bytes.ok_or_else(|| self.malformed(format!("it names the config {name}, which is not there")))?;
        let config = Config::parse(&bytes).map_err(|error| self.malformed(format!("{name}: {error}")))?;
        let diff_ids = config.diff_ids().into_iter().map(|id| id.map(|id| id.0)).collect();
        let descriptor = Descriptor::new(CONFIG_TYPE, Digest::of(&bytes), bytes.len() as u64);
        self.contents.insert(descriptor.digest.clone(), Member::Document(bytes.into()));
        Ok(NamedConfig { descriptor, diff_ids })
    }

    /// Makes the manifest of a config and layers that are given by name.
    fn manifest(&mut self, config: &NamedConfig, layers: &[String]) -> Result<Descriptor, SourceError> {
        self.layers += layers.len();
        if self.layers > LAYERS_LIMIT {
            let (what, limit) = ("layers of all its images", LAYERS_LIMIT as u64);
            return Err(SourceError::TooLarge { place: self.members.place.clone(), what, limit });
        }
        let mut described = Vec::new();
        for (position, name) in layers.iter().enumerate() {
            // Counts that differ say nothing of which is whose.
            let is_paired = config.diff_ids.len() == layers.len();
            let diff_id = if is_paired { config.diff_ids[position].as_ref() } else { None };
            let (digest, size) = self.layer(name, diff_id)?;
            described.push(describe(&Descriptor::new(LAYER_TYPE, digest, size)));
        }
        let manifest: Value = json!({
            "schemaVersion": 2, "mediaType": MANIFEST_TYPE, "config": describe(&config.descriptor), "layers": described,
        });
        let bytes = manifest.to_string().into_bytes();
        let descriptor = Descriptor::new(MANIFEST_TYPE, Digest::of(&bytes), bytes.len() as u64);
        self.contents.insert(descriptor.digest.clone(), Member::Document(bytes.into()));
        Ok(descriptor)
    }

    /// Digest and size of a layer as stored.
    fn layer(&mut self, name: &str, diff_id: Option<&Digest>) -> Result<(Digest, u64), SourceError> {
        let Some(member) = self.members.find(name) else {
            // Opening it will say that it is not present.
            let missing = || self.malformed(format!("it names the layer {name}, which is not there"));
            return diff_id.map(|diff_id| (diff_id.clone(), 0)).ok_or_else(missing);
        };
        let sized = match (member, super::blob_digest(name), diff_id) {
            (Member::Section { size, .. }, Some(digest), _) => (digest, *size),
            (Member::Section { size, .. }, None, Some(diff_id)) if !is_compressed(member, self.members) => {
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

/// By the magic numbers of gzip, zstd, bzip2 and xz, all of which `docker load` takes.
fn is_compressed(member: &Member, members: &Members) -> bool {
    let mut head = Vec::new();
    let read = members.read(member).map(|reader| reader.take(6).read_to_end(&mut head));
    let magics: [&[u8]; 4] = [&[0x1f, 0x8b], &[0x28, 0xb5, 0x2f, 0xfd], b"BZh", &[0xfd, b'7', b'z', b'X', b'Z', 0]];
    matches!(read, Some(Ok(_))) && magics.iter().any(|magic| head.starts_with(magic))
}
