//! Detects whether a tar, compressed or not, is an image archive. This is decided by the names and documents of its
//! members, never by its own name, because a release archive may contain a `manifest.json` too.

use std::io::{BufRead, BufReader, Read};

use serde_json::Value;

use super::reading::filled;
use crate::image::{
    ArchiveCompression, Blocks, LayerError, Limits, TarMember, looks_like_tar, normalise, padding, unpack,
};
use crate::source::DOCUMENT_LIMIT;

const HEAD: usize = 512;
const BUFFER: usize = 128 << 10;
/// Maximum number of members to check. Images have a few hundred layers at most.
const MEMBERS: usize = 200_000;

/// Reads no further than necessary. Returns false for a file that is not a tar, compressed or not, and for one that
/// ends before its first document.
pub fn holds_image(reader: &mut dyn Read, limits: &Limits) -> bool {
    looks_in(reader, limits).unwrap_or(false)
}

fn looks_in(reader: &mut dyn Read, limits: &Limits) -> Result<bool, LayerError> {
    let head = filled(reader, HEAD)?;
    let reader = head.as_slice().chain(reader);
    match ArchiveCompression::from_magic(&head) {
        None => tar(&mut BufReader::with_capacity(BUFFER, reader)),
        Some(packing) => tar(&mut BufReader::with_capacity(BUFFER, unpack(packing, reader, limits)?)),
    }
}

fn tar(reader: &mut impl BufRead) -> Result<bool, LayerError> {
    // A compressed stream may return its first block in several reads.
    let head = filled(reader, HEAD)?;
    if !looks_like_tar(&head) {
        return Ok(false);
    }
    let mut reader = BufReader::new(head.as_slice().chain(reader));
    let mut blocks = Blocks::new(&mut reader);
    let (mut member, mut path) = (TarMember::new(), Vec::new());
    for _ in 0..MEMBERS {
        if blocks.member(&mut member)?.is_err() {
            return Ok(false);
        }
        normalise(&member.name, &mut path);
        let is_file = matches!(member.tag, 0 | b'0' | b'7') && !member.name.ends_with(b"/");
        if is_layer_name(&path) {
            return Ok(true);
        }
        if is_file && is_document_name(&path) && member.stored <= DOCUMENT_LIMIT {
            let mut text = Vec::new();
            (&mut *blocks.reader).take(member.stored).read_to_end(&mut text)?;
            if is_image_document(&path, &text) {
                return Ok(true);
            }
            blocks.at += member.stored;
            blocks.skip(padding(member.stored))?;
        } else if !matches!(member.tag, b'1'..=b'6') {
            blocks.skip_data(member.stored)?;
        }
    }
    Ok(false)
}

/// The paths of blobs and layers in layouts and in the output of `docker save`: `blobs/sha256/HEX`, `HEX/layer.tar`,
/// `sha256:HEX`.
fn is_layer_name(path: &[u8]) -> bool {
    let is_hex = |text: &[u8]| text.len() == 64 && text.iter().all(u8::is_ascii_hexdigit);
    if let Some(blob) = path.strip_prefix(b"blobs/sha256/").or(path.strip_prefix(b"sha256:")) {
        return is_hex(blob);
    }
    let file = path.split(|byte| *byte == b'/').collect::<Vec<_>>();
    matches!(file.as_slice(), [id, b"layer.tar" | b"VERSION" | b"json"] if is_hex(id))
}

fn is_document_name(path: &[u8]) -> bool {
    matches!(path, b"oci-layout" | b"index.json" | b"manifest.json" | b"repositories")
}

/// Sources: OCI image-spec, image-layout.md; moby, image/spec/v1.2.md.
fn is_image_document(path: &[u8], text: &[u8]) -> bool {
    let Ok(document) = serde_json::from_slice::<Value>(text) else { return false };
    let has = |value: &Value, name: &str| value.get(name).is_some();
    match path {
        b"oci-layout" => has(&document, "imageLayoutVersion"),
        b"index.json" => document.get("manifests").is_some_and(Value::is_array) && has(&document, "schemaVersion"),
        b"manifest.json" => match &document {
            Value::Array(images) => images.iter().any(|image| has(image, "Config") && has(image, "Layers")),
            // skopeo's dir: format in a tar.
            other => has(other, "schemaVersion") && (has(other, "layers") || has(other, "manifests")),
        },
        // The `repositories` file of engines before Docker 1.10: tags by name, each with an image ID.
        _ => document.as_object().is_some_and(|names| {
            let is_id = |id: &Value| id.as_str().is_some_and(|id| id.len() == 64);
            let is_tags = |tags: &Value| tags.as_object().is_some_and(|tags| tags.values().all(is_id));
            !names.is_empty() && names.values().all(is_tags)
        }),
    }
}
