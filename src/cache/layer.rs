//! The records of the cache. A layer's: the digest of all that follows, whose it is, and its members, packed. A blob's:
//! which layer its bytes unpack to.

use std::io::{self, Read};

use serde::{Deserialize, Serialize};

use super::CachedLayer;
use crate::image::{Checked, Contents, Entry, EntryKind, Limits, PATH_LIMIT};
use crate::inspect::FileKind;
use crate::oci::{DiffId, Digest};
use crate::platform::FileCapabilities;

/// Where records of layers are, by diffID.
pub const LAYERS: &str = "layers";
/// Where records of blobs are, by the digest of their bytes.
pub const BLOBS: &str = "blobs";

const LAYER_MAGIC: &[u8] = b"imgarch layer\n";
const BLOB_MAGIC: &[u8] = b"imgarch blob\n";

/// `sha256:` and 64 digits.
const SUM_BYTES: usize = 7 + 64;

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

pub(super) fn key(kind: &str, digest: &Digest) -> String {
    let hex = digest.hex();
    format!("{kind}/{}/{}/{hex}", digest.algorithm(), &hex[..2])
}

/// What a stored blob unpacks to.
#[derive(Serialize, Deserialize)]
struct BlobRecord<'a> {
    build: &'a str,
    digest: &'a str,
    diff_id: &'a str,
    stored_bytes: u64,
}

/// What comes before a layer's packed members.
#[derive(Serialize, Deserialize)]
struct LayerHead<'a> {
    build: &'a str,
    diff_id: &'a str,
    uncompressed_bytes: u64,
}

/// A member of a layer. `F` is `&FileKind` where it is written and `FileKind` where it is read.
#[derive(Serialize, Deserialize)]
struct MemberRecord<'a, F> {
    /// Bytes that the path shares with the one before.
    shared: u16,
    #[serde(borrow)]
    rest: &'a [u8],
    #[serde(borrow)]
    kind: MemberKind<'a>,
    mode: u16,
    uid: u32,
    gid: u32,
    size: u64,
    capabilities: Option<FileCapabilities>,
    fact: Option<F>,
}

#[derive(Serialize, Deserialize)]
enum MemberKind<'a> {
    File,
    Directory,
    #[serde(borrow)]
    Symlink(&'a [u8]),
    #[serde(borrow)]
    HardLink(&'a [u8]),
    Special,
    Whiteout,
    Opaque,
}

impl<'a> From<EntryKind<'a>> for MemberKind<'a> {
    fn from(kind: EntryKind<'a>) -> MemberKind<'a> {
        match kind {
            EntryKind::File => MemberKind::File,
            EntryKind::Directory => MemberKind::Directory,
            EntryKind::Symlink(target) => MemberKind::Symlink(target),
            EntryKind::HardLink(target) => MemberKind::HardLink(target),
            EntryKind::Special => MemberKind::Special,
            EntryKind::Whiteout => MemberKind::Whiteout,
            EntryKind::Opaque => MemberKind::Opaque,
        }
    }
}

impl<'a> From<MemberKind<'a>> for EntryKind<'a> {
    fn from(kind: MemberKind<'a>) -> EntryKind<'a> {
        match kind {
            MemberKind::File => EntryKind::File,
            MemberKind::Directory => EntryKind::Directory,
            MemberKind::Symlink(target) => EntryKind::Symlink(target),
            MemberKind::HardLink(target) => EntryKind::HardLink(target),
            MemberKind::Special => EntryKind::Special,
            MemberKind::Whiteout => EntryKind::Whiteout,
            MemberKind::Opaque => EntryKind::Opaque,
        }
    }
}

/// The record of a blob.
pub fn encode_blob(build: &str, checked: &Checked) -> io::Result<Vec<u8>> {
    let (digest, diff_id) = (checked.digest.as_str(), checked.diff_id.0.as_str());
    let record = BlobRecord { build, digest, diff_id, stored_bytes: checked.stored_bytes };
    Ok(sealed(BLOB_MAGIC, &postcard::to_stdvec(&record).map_err(io::Error::other)?))
}

/// The diffID in a blob's record and the size of the blob, if that is whole, of this build and of this digest.
pub fn decode_blob(bytes: &[u8], build: &str, digest: &Digest) -> Option<(DiffId, u64)> {
    let (record, rest) = postcard::take_from_bytes::<BlobRecord<'_>>(unsealed(BLOB_MAGIC, bytes)?).ok()?;
    if record.build != build || record.digest != digest.as_str() || !rest.is_empty() {
        return None;
    }
    Some((DiffId(record.diff_id.parse().ok()?), record.stored_bytes))
}

/// `body` after what it is and its digest.
fn sealed(magic: &[u8], body: &[u8]) -> Vec<u8> {
    [magic, Digest::of(body).as_str().as_bytes(), body].concat()
}

/// The body of a sealed record, if it is what it says.
fn unsealed<'a>(magic: &[u8], bytes: &'a [u8]) -> Option<&'a [u8]> {
    let (sum, body) = bytes.strip_prefix(magic)?.split_at_checked(SUM_BYTES)?;
    (sum == Digest::of(body).as_str().as_bytes()).then_some(body)
}

/// The record of a layer; none where it is too large to be worth keeping.
pub fn encode(contents: &Contents<FileKind>, build: &str, checked: &Checked) -> io::Result<Option<Vec<u8>>> {
    let limits = Limits::default();
    if contents.names() > limits.max_names || contents.text_bytes() > limits.max_text {
        return Ok(None);
    }
    let mut members = Vec::new();
    let mut last: Vec<u8> = Vec::new();
    let mut failed = None;
    contents.for_each(|entry, fact| {
        let shared = entry.path.iter().zip(&last).take_while(|(a, b)| a == b).count();
        let record = MemberRecord {
            // Paths are far shorter than 64 KiB: see PATH_LIMIT.
            shared: shared as u16,
            rest: &entry.path[shared..],
            kind: entry.kind.into(),
            mode: entry.mode,
            uid: entry.uid,
            gid: entry.gid,
            size: entry.size,
            capabilities: entry.capabilities,
            fact: fact.map(|index| contents.fact(index)),
        };
        if let Err(error) = postcard::to_io(&record, &mut members) {
            failed.get_or_insert(error);
        }
        last.clear();
        last.extend_from_slice(entry.path);
    });
    if let Some(error) = failed {
        return Err(io::Error::other(error));
    }
    if members.len() as u64 > UNPACKED_LIMIT {
        return Ok(None);
    }
    let packed = zstd::encode_all(members.as_slice(), LEVEL)?;
    let diff_id = checked.diff_id.0.as_str();
    let head = LayerHead { build, diff_id, uncompressed_bytes: checked.uncompressed_bytes };
    let mut body = postcard::to_stdvec(&head).map_err(io::Error::other)?;
    body.extend_from_slice(&packed);
    Ok(Some(sealed(LAYER_MAGIC, &body)))
}

/// The layer in a record, if that is whole, of this build and of this diffID.
pub fn decode(bytes: &[u8], build: &str, diff_id: &DiffId) -> Option<CachedLayer> {
    let (head, packed) = postcard::take_from_bytes::<LayerHead<'_>>(unsealed(LAYER_MAGIC, bytes)?).ok()?;
    if head.build != build || head.diff_id != diff_id.0.as_str() {
        return None;
    }
    let mut members = Vec::new();
    zstd::Decoder::new(packed).ok()?.take(UNPACKED_LIMIT + 1).read_to_end(&mut members).ok()?;
    let contents = decode_members(&members)?;
    Some(CachedLayer { contents, diff_id: diff_id.clone(), uncompressed_bytes: head.uncompressed_bytes })
}

fn decode_members(mut from: &[u8]) -> Option<Contents<FileKind>> {
    let limits = Limits::default();
    let mut contents = Contents::default();
    let mut path: Vec<u8> = Vec::new();
    while !from.is_empty() {
        let (record, rest) = postcard::take_from_bytes::<MemberRecord<'_, FileKind>>(from).ok()?;
        from = rest;
        let shared = usize::from(record.shared);
        if shared > path.len() {
            return None;
        }
        path.truncate(shared);
        path.extend_from_slice(record.rest);
        let kind = EntryKind::from(record.kind);
        let target_bytes = match kind {
            EntryKind::Symlink(target) | EntryKind::HardLink(target) => target.len(),
            EntryKind::File | EntryKind::Directory | EntryKind::Special | EntryKind::Whiteout | EntryKind::Opaque => 0,
        };
        if path.len() > PATH_LIMIT || target_bytes > PATH_LIMIT {
            return None;
        }
        let MemberRecord { mode, uid, gid, size, capabilities, fact, .. } = record;
        let entry = Entry { path: &path, kind, mode, uid, gid, size, capabilities };
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
    Some(contents)
}

/// Whether a path is as [`Entry::path`] promises: no leading or double slash, no `.` and no `..`. Empty is the root.
fn is_below_root(path: &[u8]) -> bool {
    path.is_empty() || path.split(|byte| *byte == b'/').all(|part| !matches!(part, b"" | b"." | b".."))
}
