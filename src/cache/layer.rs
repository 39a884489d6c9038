//! The records of the cache. A layer's: the digest of all that follows, whose it is, and its members, packed. A blob's:
//! which layer its bytes unpack to.

use std::io::{self, Read};

use super::CachedLayer;
use super::wire::{Wire, put_slice, take_bytes, take_slice};
use crate::image::{Checked, Contents, Entry, EntryKind, Limits, PATH_LIMIT};
use crate::inspect::FileKind;
use crate::oci::{DiffId, Digest};

/// Where records of layers are, by diffID.
pub const LAYERS: &str = "layers";
/// Where records of blobs are, by the digest of their bytes.
pub const BLOBS: &str = "blobs";

const LAYER_MAGIC: &[u8] = b"imgarch layer\n";
const BLOB_MAGIC: &[u8] = b"imgarch blob\n";

/// The fastest level: a layer's names shrink to a fifth by it.
const LEVEL: i32 = 1;

/// Bytes of a layer's members, unpacked: twice what names, links and records of the largest layers take.
const UNPACKED_LIMIT: u64 = 1 << 30;

/// The name of a layer's record: `layers/sha256/ab/ab12...`.
pub fn layer_key(diff_id: &DiffId) -> String {
    key(LAYERS, &diff_id.0)
}

/// The name of a blob's record: `blobs/sha256/ab/ab12...`.
pub fn blob_key(digest: &Digest) -> String {
    key(BLOBS, digest)
}

fn key(kind: &str, digest: &Digest) -> String {
    let hex = digest.hex();
    format!("{kind}/{}/{}/{hex}", digest.algorithm(), &hex[..2])
}

/// The record of a blob.
pub fn encode_blob(build: &str, checked: &Checked) -> Vec<u8> {
    let mut body = Vec::new();
    for text in [build, checked.digest.as_str(), checked.diff_id.0.as_str()] {
        put_slice(text.as_bytes(), &mut body);
    }
    checked.stored_bytes.put(&mut body);
    sealed(BLOB_MAGIC, &body)
}

/// The diffID in a blob's record and the size of the blob, if that is whole, of this build and of this digest.
pub fn decode_blob(bytes: &[u8], build: &str, digest: &Digest) -> Option<(DiffId, u64)> {
    let mut from = unsealed(BLOB_MAGIC, bytes)?;
    if take_slice(&mut from)? != build.as_bytes() || take_slice(&mut from)? != digest.as_str().as_bytes() {
        return None;
    }
    let diff_id = std::str::from_utf8(take_slice(&mut from)?).ok()?.parse().ok()?;
    let stored_bytes = u64::take(&mut from)?;
    from.is_empty().then_some((DiffId(diff_id), stored_bytes))
}

/// `body` after what it is and its digest.
fn sealed(magic: &[u8], body: &[u8]) -> Vec<u8> {
    let mut bytes = magic.to_vec();
    put_slice(Digest::of(body).as_str().as_bytes(), &mut bytes);
    bytes.extend_from_slice(body);
    bytes
}

/// The body of a sealed record, if it is what it says.
fn unsealed<'a>(magic: &[u8], bytes: &'a [u8]) -> Option<&'a [u8]> {
    let mut from = bytes;
    if take_bytes(&mut from, magic.len())? != magic {
        return None;
    }
    let sum = take_slice(&mut from)?;
    (sum == Digest::of(from).as_str().as_bytes()).then_some(from)
}

/// The record of a layer; none where it is too large to be worth keeping.
pub fn encode(contents: &Contents<FileKind>, build: &str, checked: &Checked) -> io::Result<Option<Vec<u8>>> {
    let limits = Limits::default();
    if contents.names() > limits.max_names || contents.text_bytes() > limits.max_text {
        return Ok(None);
    }
    let mut members = Vec::new();
    contents.len().put(&mut members);
    let mut last: Vec<u8> = Vec::new();
    contents.for_each(|entry, fact| {
        put_entry(entry, &last, &mut members);
        fact.is_some().put(&mut members);
        if let Some(index) = fact {
            contents.fact(index).put(&mut members);
        }
        last.clear();
        last.extend_from_slice(entry.path);
    });
    if members.len() as u64 > UNPACKED_LIMIT {
        return Ok(None);
    }
    let packed = zstd::encode_all(members.as_slice(), LEVEL)?;
    let mut body = Vec::with_capacity(packed.len() + 512);
    for text in [build, checked.diff_id.0.as_str()] {
        put_slice(text.as_bytes(), &mut body);
    }
    checked.uncompressed_bytes.put(&mut body);
    body.extend_from_slice(&packed);
    Ok(Some(sealed(LAYER_MAGIC, &body)))
}

/// The layer in a record, if that is whole, of this build and of this diffID.
pub fn decode(bytes: &[u8], build: &str, diff_id: &DiffId) -> Option<CachedLayer> {
    let mut from = unsealed(LAYER_MAGIC, bytes)?;
    if take_slice(&mut from)? != build.as_bytes() || take_slice(&mut from)? != diff_id.0.as_str().as_bytes() {
        return None;
    }
    let uncompressed_bytes = u64::take(&mut from)?;
    let mut members = Vec::new();
    zstd::Decoder::new(from).ok()?.take(UNPACKED_LIMIT + 1).read_to_end(&mut members).ok()?;
    let contents = take_members(&mut members.as_slice())?;
    Some(CachedLayer { contents, diff_id: diff_id.clone(), uncompressed_bytes })
}

fn put_entry(entry: &Entry<'_>, last: &[u8], out: &mut Vec<u8>) {
    let (tag, target): (u8, &[u8]) = match entry.kind {
        EntryKind::File => (0, b""),
        EntryKind::Directory => (1, b""),
        EntryKind::Symlink(target) => (2, target),
        EntryKind::HardLink(target) => (3, target),
        EntryKind::Special => (4, b""),
        EntryKind::Whiteout => (5, b""),
        EntryKind::Opaque => (6, b""),
    };
    let shared = entry.path.iter().zip(last).take_while(|(a, b)| a == b).count();
    out.push(tag);
    shared.put(out);
    put_slice(&entry.path[shared..], out);
    put_slice(target, out);
    entry.mode.put(out);
    entry.uid.put(out);
    entry.gid.put(out);
    entry.size.put(out);
    entry.capabilities.put(out);
}

fn take_members(from: &mut &[u8]) -> Option<Contents<FileKind>> {
    let count = usize::take(from)?;
    let limits = Limits::default();
    let mut contents = Contents::default();
    let mut path: Vec<u8> = Vec::new();
    for _ in 0..count {
        let tag = u8::take(from)?;
        let shared = usize::take(from)?;
        if shared > path.len() {
            return None;
        }
        path.truncate(shared);
        path.extend_from_slice(take_slice(from)?);
        let target = take_slice(from)?;
        if path.len() > PATH_LIMIT || target.len() > PATH_LIMIT {
            return None;
        }
        let kind = match tag {
            0 => EntryKind::File,
            1 => EntryKind::Directory,
            2 => EntryKind::Symlink(target),
            3 => EntryKind::HardLink(target),
            4 => EntryKind::Special,
            5 => EntryKind::Whiteout,
            6 => EntryKind::Opaque,
            _ => return None,
        };
        let entry = Entry {
            path: &path,
            kind,
            mode: Wire::take(from)?,
            uid: Wire::take(from)?,
            gid: Wire::take(from)?,
            size: Wire::take(from)?,
            capabilities: Wire::take(from)?,
        };
        let fact: Option<FileKind> = Wire::take(from)?;
        // A shared record may be anybody's: what no tar reader lets pass is taken from nobody.
        let is_target_below = !matches!(entry.kind, EntryKind::HardLink(target) if !is_below_root(target));
        if !is_below_root(entry.path) || !is_target_below || entry.mode > 0o7777 {
            return None;
        }
        if fact.is_some() && entry.kind != EntryKind::File {
            return None;
        }
        contents.push(&entry, fact);
        if contents.names() > limits.max_names || contents.text_bytes() > limits.max_text {
            return None;
        }
    }
    from.is_empty().then_some(contents)
}

/// Whether a path is as [`Entry::path`] promises: no leading or double slash, no `.` and no `..`. Empty is the root.
fn is_below_root(path: &[u8]) -> bool {
    path.is_empty() || path.split(|byte| *byte == b'/').all(|part| !matches!(part, b"" | b"." | b".."))
}
