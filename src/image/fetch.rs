//! Fetches an image's small documents, verified, and parses them.

use serde_json::Value;

use super::error::{DocumentFault, ImageError};
use crate::oci::{Descriptor, Document, ImageConfig};
use crate::source::{DocumentReadError, ImageSource, read_document};

/// Registries refuse larger manifests. Source: OCI distribution-spec, "Pushing Manifests".
const MANIFEST_LIMIT: u64 = 4 << 20;
/// containerd refuses larger configs; a thousand build steps of a kilobyte each are 1 MiB.
const CONFIG_LIMIT: u64 = 8 << 20;

/// An index or a manifest.
pub(super) fn document(source: &dyn ImageSource, descriptor: &Descriptor) -> Result<Document, ImageError> {
    let fault = |cause| ImageError::Document { what: "manifest", digest: descriptor.digest.clone(), cause };
    let bytes = verified(source, descriptor, MANIFEST_LIMIT, &fault)?;
    Document::parse(&bytes).map_err(|error| fault(DocumentFault::Parse(error)))
}

pub(super) fn config(source: &dyn ImageSource, descriptor: &Descriptor) -> Result<ImageConfig, ImageError> {
    let fault = |cause| ImageError::Document { what: "config", digest: descriptor.digest.clone(), cause };
    let bytes = verified(source, descriptor, CONFIG_LIMIT, &fault)?;
    ImageConfig::parse(&bytes).map_err(|error| fault(DocumentFault::Parse(error)))
}

/// BuildKit's provenance of the largest builds takes a few MiB: it contains each step's text.
const STATEMENT_LIMIT: u64 = 32 << 20;
/// The annotation with the predicate type of a BuildKit statement.
const PREDICATE_TYPE: &str = "in-toto.io/predicate-type";

/// The in-toto statements of an attestation manifest whose predicate type starts with `kind`.
pub fn statements(source: &dyn ImageSource, attestation: &Descriptor, kind: &str) -> Result<Vec<Value>, ImageError> {
    let Document::Manifest(manifest) = document(source, attestation)? else { return Ok(Vec::new()) };
    let is_wanted =
        |layer: &&Descriptor| layer.annotations.get(PREDICATE_TYPE).is_some_and(|own| own.starts_with(kind));
    let read = |layer: &Descriptor| {
        let fault = |cause| ImageError::Document { what: "attestation", digest: layer.digest.clone(), cause };
        let bytes = verified(source, layer, STATEMENT_LIMIT, &fault)?;
        serde_json::from_slice(&bytes).map_err(|error| fault(DocumentFault::Parse(error.into())))
    };
    manifest.layers.iter().filter(is_wanted).map(read).collect()
}

fn verified(
    source: &dyn ImageSource,
    descriptor: &Descriptor,
    limit: u64,
    fault: &dyn Fn(DocumentFault) -> ImageError,
) -> Result<Vec<u8>, ImageError> {
    read_document(source, descriptor, limit).map_err(|error| match error {
        DocumentReadError::Source(error) => ImageError::Source(error),
        error => fault(DocumentFault::Read(Box::new(error))),
    })
}
