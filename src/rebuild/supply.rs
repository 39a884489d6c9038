//! Reads published images and images that other tools built, with nested indexes and the platforms of configs.

use std::path::Path;

use super::plan::{Supply, SupplyPlace};
use super::published::{Published, PublishedManifest, descriptor_text};
use crate::files;
use crate::oci::{Descriptor, Digest, Document, DocumentError, ImageConfig};
use crate::platform::Platform;
use crate::source::input::{ImageOpener, OpenedInput};
use crate::source::{ImageSource, SourceError, read_document};

/// The maximum size of a manifest, index or config, in bytes. Registries refuse larger ones.
pub(super) const DOCUMENT_LIMIT: u64 = 8 << 20;
/// The maximum nesting of indexes. Builders do not write deeper ones.
const MAX_DEPTH: usize = 3;
/// The maximum number of documents to read for one image, apart from its root.
const MAX_DOCUMENTS: usize = 512;

/// Why the tag could not be read.
#[derive(Debug, thiserror::Error)]
pub enum SupplyError {
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error("{reference}: {cause}")]
    Malformed { reference: String, cause: DocumentError },
    #[error("{0}")]
    Document(String),
}

/// Reads a document and verifies it against its descriptor.
pub(super) fn read(source: &dyn ImageSource, descriptor: &Descriptor) -> Result<Vec<u8>, String> {
    read_document(source, descriptor, DOCUMENT_LIMIT).map_err(|error| format!("{}: {error}", descriptor.digest))
}

/// Reads the index or manifest `root` of `source`, with nested indexes. Nested documents that cannot be read stay
/// unknown; the scan of the image reports them.
pub fn read_published(source: &dyn ImageSource, root: &Descriptor) -> Result<Published, SupplyError> {
    let bytes = read(source, root).map_err(SupplyError::Document)?;
    let mut left = MAX_DOCUMENTS;
    let declared = declared(source, &bytes);
    let published = Published::read(root, &bytes, declared.as_ref());
    let malformed = |cause| SupplyError::Malformed { reference: root.digest.to_string(), cause };
    let mut published = published.map_err(malformed)?;
    complete(source, &mut published.entries, 0, &mut left);
    Ok(published)
}

fn complete(source: &dyn ImageSource, entries: &mut [PublishedManifest], depth: usize, left: &mut usize) {
    for entry in entries {
        let is_nested = entry.is_index() && depth < MAX_DEPTH;
        let is_unnamed = entry.platform.is_none() && !entry.descriptor.is_attestation() && !entry.is_index();
        if *left == 0 || !(is_nested || is_unnamed) {
            continue;
        }
        *left -= 1;
        let Ok(bytes) = read(source, &entry.descriptor) else { continue };
        if is_unnamed {
            entry.platform = declared(source, &bytes);
        } else if let Ok(mut below) = Published::read(&entry.descriptor, &bytes, None) {
            complete(source, &mut below.entries, depth + 1, left);
            entry.nested = below.entries;
        }
    }
}

/// Returns the platform that the config of a manifest declares.
fn declared(source: &dyn ImageSource, bytes: &[u8]) -> Option<Platform> {
    let Ok(Document::Manifest(manifest)) = Document::parse(bytes) else { return None };
    // The config of an artifact is not an image config.
    if manifest.artifact_type.is_some() || !manifest.config.media_type.contains("image") {
        return None;
    }
    let config = read(source, &manifest.config).ok()?;
    ImageConfig::parse(&config).ok()?.platform()
}

/// What a supply can be.
const SUPPLY_HINT: &str =
    "name an OCI layout, or an archive from docker save, podman save, skopeo or docker buildx build --output type=oci";

/// Opens an image that can be read more than once.
pub fn open(opener: &ImageOpener, name: &str) -> Result<Box<dyn ImageSource>, SourceError> {
    let refuse = |cause: &str| SourceError::Unsupported { what: name.to_string(), cause: cause.to_string() };
    let once = "a compressed archive or a pipe can be read only once";
    match opener.open(name).map_err(with_supply_hint)?.input {
        OpenedInput::Image(source) => Ok(source),
        OpenedInput::File { refused: Some(error), .. } => Err(with_supply_hint(error)),
        OpenedInput::Stream(_) => Err(refuse(once).with_hint("write it to a file, and decompress it")),
        OpenedInput::File { path, refused: None } => Err(match decompressor(&path) {
            Some(program) => refuse(once).with_hint(format!("decompress it: {program} {}", path.display())),
            None => refuse("it is a program or a package, not an image").with_hint(SUPPLY_HINT),
        }),
        OpenedInput::Directory(_) => Err(refuse("it is a root filesystem, not an image").with_hint(SUPPLY_HINT)),
    }
}

fn with_supply_hint(error: SourceError) -> SourceError {
    match (error.bare(), error.hint()) {
        (SourceError::Malformed { .. } | SourceError::Unsupported { .. }, None) => error.with_hint(SUPPLY_HINT),
        (SourceError::NotAnImage { .. }, _) => error.with_hint(SUPPLY_HINT),
        _ => error,
    }
}

/// Returns the program that decompresses a file, by its first bytes; `None` if it is not compressed.
fn decompressor(path: &Path) -> Option<&'static str> {
    let head = files::read_start(path, 6).ok()?;
    let magics: [(&[u8], &str); 4] =
        [(b"\x1f\x8b", "gunzip"), (b"\x28\xb5\x2f\xfd", "unzstd"), (b"BZh", "bunzip2"), (b"\xfd7zXZ\0", "unxz")];
    magics.iter().find(|(magic, _)| head.starts_with(magic)).map(|(_, program)| *program)
}

/// Returns the platforms of an image that another tool built, each with its attestations.
pub fn supplies(source: &dyn ImageSource, name: &str, place: SupplyPlace) -> Result<Vec<Supply>, SupplyError> {
    let published = read_published(source, &source.root()?)?;
    let leaves = published.leaves();
    let supply = |entry: &&PublishedManifest| {
        let platform = entry.platform.clone()?;
        let digest = &entry.descriptor.digest;
        let attestations = leaves.iter().filter(|other| other.attests() == Some(digest.as_str()));
        let own = match entry.descriptor.platform {
            Some(_) => entry.raw.clone(),
            // A descriptor in a layout's index.json has a tag and no platform.
            None => descriptor_text(&entry.descriptor, Some(&platform)),
        };
        let descriptors = std::iter::once(own).chain(attestations.map(|other| other.raw.clone())).collect();
        Some(Supply { platform, name: name.to_string(), digest: digest.clone(), descriptors, place })
    };
    Ok(leaves.iter().filter(|entry| entry.is_image()).filter_map(supply).collect())
}

/// Parses a descriptor of [`Supply::descriptors`].
pub fn descriptor(text: &str) -> Result<Descriptor, String> {
    let value: serde_json::Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let string = |name: &str| value[name].as_str().unwrap_or_default();
    let digest = string("digest").parse::<Digest>().map_err(|error| error.to_string())?;
    Ok(Descriptor::new(string("mediaType"), digest, value["size"].as_u64().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_not_an_image_is_refused_with_what_it_can_be() {
        let directory = tempfile::tempdir().unwrap();
        let refused = |name: &str, bytes: &[u8]| {
            let path = directory.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            let error = open(&ImageOpener::default(), &path.display().to_string()).err().unwrap();
            (error.bare().to_string(), error.hint().unwrap_or_default().to_string())
        };
        let (program, _) = crate::host::tiny_program(crate::platform::Arch::Arm64).unwrap();
        let (text, hint) = refused("program", &program);
        assert!(text.ends_with("it is a program or a package, not an image"), "{text}");
        assert_eq!(hint, SUPPLY_HINT);
        let (text, hint) = refused("notes.txt", b"some notes\n");
        assert!(text.contains("notes.txt is a text file; expected an image archive"), "{text}");
        assert_eq!(hint, SUPPLY_HINT);
        let (text, hint) = refused("image.tar.gz", b"\x1f\x8b\x08\0\0\0\0\0\0\0");
        assert!(text.ends_with("can be read only once"), "{text}");
        assert_eq!(hint, format!("decompress it: gunzip {}", directory.path().join("image.tar.gz").display()));
    }
}
