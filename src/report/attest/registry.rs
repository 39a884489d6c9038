//! Pushes and reads statements in a registry, as referrers of their images.

use serde_json::{Value, json};

use super::{AttestedVerdict, PREDICATE_TYPE, read};
use crate::oci::{Descriptor, Digest};
use crate::source::registry::{Registry, in_memory};
use crate::source::{DocumentReadError, ImageSource, SourceError, read_document};

/// Media type of a statement and of its artifact.
const STATEMENT_TYPE: &str = "application/vnd.in-toto+json";
const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX_TYPE: &str = "application/vnd.oci.image.index.v1+json";
/// Source: OCI image-spec, manifest.md, "Guidance for an Empty Descriptor".
const EMPTY_TYPE: &str = "application/vnd.oci.empty.v1+json";
const EMPTY: &[u8] = b"{}";
const CREATED: &str = "org.opencontainers.image.created";

/// The maximum number of referrers to read. Images with many signatures and SBOMs have about ten.
const MAX_REFERRERS: usize = 256;
/// The maximum size of a statement or its manifest, in bytes. The report of a large image has some hundred KiB.
const STATEMENT_LIMIT: u64 = 64 << 20;

/// Pushes a statement as a referrer of `digest`, made at `created` (RFC 3339).
/// Source: OCI distribution-spec, "Pushing Manifests with Subject".
pub fn push(registry: &Registry, digest: &Digest, statement: &[u8], created: &str) -> Result<Digest, SourceError> {
    let subject = registry.root()?;
    let upload = |media_type: &str, bytes: &[u8]| {
        let descriptor = Descriptor::new(media_type, Digest::from_bytes(bytes), bytes.len() as u64);
        registry.push_blob(&descriptor, &in_memory(bytes))?;
        Ok::<Value, SourceError>(described(&descriptor))
    };
    let annotations = json!({
        CREATED: created,
        "in-toto.io/predicate-type": PREDICATE_TYPE,
    });
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "artifactType": STATEMENT_TYPE,
        "config": upload(EMPTY_TYPE, EMPTY)?,
        "layers": [upload(STATEMENT_TYPE, statement)?],
        "subject": described(&subject),
        "annotations": annotations,
    });
    let bytes = manifest.to_string().into_bytes();
    let own = Digest::from_bytes(&bytes);
    registry.push_manifest(own.as_str(), MANIFEST_TYPE, &bytes)?;
    let known = registry.referrers(digest)?;
    if !known.iter().any(|referrer| referrer.digest == own) {
        // Without the referrers API, clients maintain the list themselves.
        let mut entry = described(&Descriptor::new(MANIFEST_TYPE, own.clone(), bytes.len() as u64));
        entry["artifactType"] = json!(STATEMENT_TYPE);
        entry["annotations"] = annotations;
        let index = registry.referrers_index(digest)?.and_then(|index| serde_json::from_slice(&index).ok());
        let mut index: Value =
            index.unwrap_or_else(|| json!({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": []}));
        match &mut index["manifests"] {
            Value::Array(manifests) => manifests.push(entry),
            missing => *missing = json!([entry]),
        }
        let tag = format!("{}-{}", digest.algorithm(), digest.hex());
        registry.push_manifest(&tag, INDEX_TYPE, index.to_string().as_bytes())?;
    }
    Ok(own)
}

fn described(descriptor: &Descriptor) -> Value {
    let mut value = json!({
        "mediaType": descriptor.media_type, "digest": descriptor.digest.as_str(), "size": descriptor.size,
    });
    if !descriptor.annotations.is_empty() {
        value["annotations"] = json!(descriptor.annotations);
    }
    value
}

/// Returns the newest statement about `digest` in the registry, with its creation time.
pub fn newest(registry: &Registry, digest: &Digest) -> Result<Option<(String, AttestedVerdict)>, DocumentReadError> {
    let mut newest: Option<(String, AttestedVerdict)> = None;
    for referrer in registry.referrers(digest)?.iter().take(MAX_REFERRERS) {
        let Some((created, verdict)) = statement(registry, referrer, digest)? else { continue };
        if newest.as_ref().is_none_or(|(known, _)| *known <= created) {
            newest = Some((created, verdict));
        }
    }
    Ok(newest)
}

/// Reads the statement of a referrer and its creation time. `None` if the referrer is not an imgarch statement.
fn statement(
    registry: &Registry,
    referrer: &Descriptor,
    digest: &Digest,
) -> Result<Option<(String, AttestedVerdict)>, DocumentReadError> {
    let manifest = read_document(registry, referrer, STATEMENT_LIMIT)?;
    let Ok(manifest) = serde_json::from_slice::<Value>(&manifest) else { return Ok(None) };
    let layer = &manifest["layers"][0];
    if manifest["artifactType"] != STATEMENT_TYPE || layer["mediaType"] != STATEMENT_TYPE {
        return Ok(None);
    }
    let created = manifest["annotations"][CREATED].as_str().unwrap_or_default();
    let named = layer["digest"].as_str().and_then(|text| text.parse::<Digest>().ok()).zip(layer["size"].as_u64());
    let Some((of_layer, size)) = named else { return Ok(None) };
    let bytes = read_document(registry, &Descriptor::new(STATEMENT_TYPE, of_layer, size), STATEMENT_LIMIT)?;
    Ok(read(&bytes, digest).map(|verdict| (created.to_string(), verdict)))
}
