//! Looks up a pinned digest in its registry.

use super::outside::Pin;
use crate::oci::{Descriptor, Document, ImageConfig, Reference};
use crate::platform::Platform;
use crate::source::{ImageSource, read_document};

/// Maximum size of a manifest or config, in bytes. Registries reject larger ones.
const DOCUMENT_LIMIT: u64 = 8 << 20;

/// Returns whether a pinned digest is an index or one platform's manifest. `open` connects to the registry.
pub fn look_up_pin(open: &dyn Fn(&Reference) -> Box<dyn ImageSource>, reference: &Reference) -> Result<Pin, String> {
    let document = |reference: &Reference| {
        let source = open(reference);
        let root = source.root().map_err(|error| error.to_string())?;
        let bytes = read_document(source.as_ref(), &root, DOCUMENT_LIMIT).map_err(|error| error.to_string())?;
        Document::parse(&bytes).map(|document| (root, document)).map_err(|error| error.to_string())
    };
    let (root, manifest) = match document(reference)? {
        (_, Document::Index(index)) => {
            return Ok(Pin::Index(index.manifests.into_iter().filter_map(|one| one.platform).collect()));
        }
        (root, Document::Manifest(manifest)) => (root, manifest),
    };
    let platform = config_platform(open(reference).as_ref(), &manifest.config).or(root.platform);
    let by_tag = Reference { digest: None, ..reference.clone() };
    let index = match reference.tag.as_ref().map(|_| document(&by_tag)) {
        Some(Ok((root, Document::Index(_)))) => Some(root.digest),
        _ => None,
    };
    Ok(Pin::Manifest { platform, index })
}

/// Returns the platform of a config. `None` if the config cannot be read, which only shortens the message.
fn config_platform(source: &dyn ImageSource, config: &Descriptor) -> Option<Platform> {
    ImageConfig::parse(&read_document(source, config, DOCUMENT_LIMIT).ok()?).ok()?.platform()
}
