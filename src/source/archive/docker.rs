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

const LAYER_TYPE: &str = "application/vnd.oci.image.layer.v1.tar";
const CONFIG_TYPE: &str = "application/vnd.oci.image.config.v1+json";
/// Documents that are looked through for configs; a saved image of all platforms and attestations has some forty.
const KNOWN_LIMIT: usize = 1024;

/// Adds to `listing` what `manifest.json` (`bytes`) has besides: all of it in an old archive; in a new one, whose
/// `index.json` was read before, images that the index leaves out (moby#51389) or whose manifest has no layers
/// (moby#47065, Engine 25.0.0). `made` takes what is under no digest's own name.
pub(super) fn complete(
    listing: &mut Listing,
    bytes: &[u8],
    members: &Members,
    made: &mut HashMap<Digest, Member>,
) -> Result<(), SourceError> {
    let malformed = |cause| SourceError::Malformed { place: format!("manifest.json of {}", members.place), cause };
    let all: Vec<Saved> = serde_json::from_slice(bytes).map_err(|error| malformed(error.to_string()))?;
    let known = known_configs(listing, members);
    for saved in all {
        let config = members
            .document(&saved.config)?
            .ok_or_else(|| malformed(format!("it names the config {}, which is not there", saved.config)))?;
        let (layers, names) = (saved.layers.unwrap_or_default(), saved.repo_tags.unwrap_or_default());
        match known.get(&Digest::of(&config)) {
            None => {
                let manifest = manifest(&config, &layers, members, made)?;
                listing.push(manifest, names);
            }
            Some(known) => {
                listing.images[known.position].names.extend(names);
                if known.is_empty_manifest && !layers.is_empty() {
                    let manifest = manifest(&config, &layers, members, made)?;
                    listing.replace(known.position, manifest);
                }
            }
        }
    }
    Ok(())
}

/// Where in a listing a config is.
struct Known {
    position: usize,
    /// Listed itself, not by way of an index, and without layers.
    is_empty_manifest: bool,
}

/// The configs that a listing leads to. What cannot be read here leads nowhere; whoever reads the image meets it again
/// and says so.
fn known_configs(listing: &Listing, members: &Members) -> HashMap<Digest, Known> {
    let mut known = HashMap::new();
    let mut seen = HashSet::new();
    for (position, image) in listing.images.iter().enumerate() {
        let mut pending = vec![(image.descriptor.digest.clone(), true)];
        while let Some((digest, is_listed)) = pending.pop() {
            if seen.len() >= KNOWN_LIMIT || !seen.insert(digest.clone()) {
                continue;
            }
            let bytes = members.document(&super::blob_name(&digest)).ok().flatten();
            match bytes.and_then(|bytes| Document::parse(&bytes).ok()) {
                Some(Document::Index(index)) => {
                    pending.extend(index.manifests.into_iter().map(|below| (below.digest, false)));
                }
                Some(Document::Manifest(manifest)) => {
                    let is_empty_manifest = is_listed && manifest.layers.is_empty();
                    known.entry(manifest.config.digest).or_insert(Known { position, is_empty_manifest });
                }
                None => {}
            }
        }
    }
    known
}

/// Makes the manifest of a config and layers that are given by name.
fn manifest(
    config: &[u8],
    layers: &[String],
    members: &Members,
    made: &mut HashMap<Digest, Member>,
) -> Result<Descriptor, SourceError> {
    let parsed = Config::parse(config).map_err(|error| SourceError::Malformed {
        place: format!("a config of {}", members.place),
        cause: error.to_string(),
    })?;
    let diff_ids = parsed.diff_ids();
    let mut described = Vec::new();
    for (position, name) in layers.iter().enumerate() {
        // Counts that differ say nothing of which is whose.
        let diff_id = if diff_ids.len() == layers.len() { diff_ids[position].clone() } else { None };
        let diff_id = diff_id.map(|id| id.0);
        let (digest, size) = match (members.find(name), diff_id) {
            (Some(member), diff_id) => {
                let sized = layer_digest(name, member, diff_id, members)?;
                made.insert(sized.0.clone(), member.clone());
                sized
            }
            // Opening it says that it is not present.
            (None, Some(diff_id)) => (diff_id, 0),
            (None, None) => {
                let cause = format!("it names the layer {name}, which is not there");
                return Err(SourceError::Malformed { place: format!("manifest.json of {}", members.place), cause });
            }
        };
        described.push(describe(&Descriptor::new(LAYER_TYPE, digest, size)));
    }
    let config_descriptor = Descriptor::new(CONFIG_TYPE, Digest::of(config), config.len() as u64);
    made.insert(config_descriptor.digest.clone(), Member::Document(config.into()));
    let manifest: Value = json!({
        "schemaVersion": 2, "mediaType": MANIFEST_TYPE, "config": describe(&config_descriptor), "layers": described,
    });
    let bytes = manifest.to_string().into_bytes();
    let descriptor = Descriptor::new(MANIFEST_TYPE, Digest::of(&bytes), bytes.len() as u64);
    made.insert(descriptor.digest.clone(), Member::Document(bytes.into()));
    Ok(descriptor)
}

/// Digest and size of a layer as stored.
fn layer_digest(
    name: &str,
    member: &Member,
    diff_id: Option<Digest>,
    members: &Members,
) -> Result<(Digest, u64), SourceError> {
    let size = match member {
        Member::Section { size, .. } => *size,
        Member::Document(bytes) => bytes.len() as u64,
        Member::Passed { .. } | Member::Link(_) => return members.digest(member),
    };
    if let Some(digest) = super::blob_digest(name) {
        return Ok((digest, size));
    }
    match diff_id {
        Some(diff_id) if !is_compressed(member, members) => Ok((diff_id, size)),
        _ => members.digest(member),
    }
}

/// By the magic numbers of gzip, zstd, bzip2 and xz, all of which `docker load` takes.
fn is_compressed(member: &Member, members: &Members) -> bool {
    let mut head = Vec::new();
    let read = members.read(member).map(|reader| reader.take(6).read_to_end(&mut head));
    let magics: [&[u8]; 4] = [&[0x1f, 0x8b], &[0x28, 0xb5, 0x2f, 0xfd], b"BZh", &[0xfd, b'7', b'z', b'X', b'Z', 0]];
    matches!(read, Some(Ok(_))) && magics.iter().any(|magic| head.starts_with(magic))
}
