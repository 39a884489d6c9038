//! Encodes the records of the cache. A layer's record has the digest of everything after it, the layer's identity, and
//! its compressed members. A blob's record maps the blob to the layer that it unpacks to.

use std::io::{self, BufWriter, Read, Write};

use serde::{Deserialize, Serialize};

use super::CachedLayer;
use crate::image::{Contents, EntryKind, LayerMember, Limits, MeasuredLayer, PATH_LIMIT};
use crate::inspect::FileKind;
use crate::oci::{DiffId, Digest};
use crate::platform::FileCapabilities;

/// The subdirectory of layer records, named by diffID.
pub const LAYERS: &str = "layers";
/// The subdirectory of blob records, named by the digest of the stored bytes.
pub const BLOBS: &str = "blobs";

const LAYER_MAGIC: &[u8] = b"imgarch layer\n";
const BLOB_MAGIC: &[u8] = b"imgarch blob\n";

/// `sha256:` and 64 digits.
const SUM_BYTES: usize = 7 + 64;

/// The fastest zstd level. It shrinks the names of a layer to a fifth.
const LEVEL: i32 = 1;

/// Maximum size of a layer's members in bytes, uncompressed: twice what the largest layers need.
const UNPACKED_LIMIT: u64 = 1 << 30;

/// Bytes of members that are unpacked at once.
const WINDOW: usize = 256 << 10;

/// Maximum size of one member with its fact, in bytes: an inspected file keeps far less.
const MEMBER_LIMIT: usize = 32 << 20;

/// The key of a layer's record: `layers/sha256/ab/ab12...`.
pub fn layer_key(diff_id: &DiffId) -> String {
    key(LAYERS, &diff_id.0)
}

/// The key of a blob's record: `blobs/sha256/ab/ab12...`.
pub fn blob_key(digest: &Digest) -> String {
    key(BLOBS, digest)
}

pub(super) fn key(kind: &str, digest: &Digest) -> String {
    let hex = digest.hex();
    format!("{kind}/{}/{}/{hex}", digest.algorithm(), &hex[..2])
}

/// The layer that a stored blob unpacks to.
#[derive(Serialize, Deserialize)]
struct BlobRecord<'a> {
    build: &'a str,
    digest: &'a str,
    diff_id: &'a str,
    stored_bytes: u64,
}

/// The part of a layer's record before the compressed members.
#[derive(Serialize, Deserialize)]
struct LayerHead<'a> {
    build: &'a str,
    diff_id: &'a str,
    uncompressed_bytes: u64,
}

/// A member of a layer. `F` is `&FileKind` when encoding and `FileKind` when decoding.
#[derive(Serialize, Deserialize)]
struct MemberRecord<'a, F> {
    /// Length in bytes of the prefix that the path shares with the previous path.
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

pub fn encode_blob(build: &str, checked: &MeasuredLayer) -> io::Result<Vec<u8>> {
    let (digest, diff_id) = (checked.digest.as_str(), checked.diff_id.0.as_str());
    let record = BlobRecord { build, digest, diff_id, stored_bytes: checked.stored_bytes };
    Ok(sealed(BLOB_MAGIC, &postcard::to_stdvec(&record).map_err(io::Error::other)?))
}

/// Returns the diffID and the size of a blob. `None` unless the record is intact and matches this build and digest.
pub fn decode_blob(bytes: &[u8], build: &str, digest: &Digest) -> Option<(DiffId, u64)> {
    let (record, rest) = postcard::take_from_bytes::<BlobRecord<'_>>(unsealed(BLOB_MAGIC, bytes)?).ok()?;
    if record.build != build || record.digest != digest.as_str() || !rest.is_empty() {
        return None;
    }
    Some((DiffId(record.diff_id.parse().ok()?), record.stored_bytes))
}

/// Prefixes `body` with the magic and the digest of the body.
fn sealed(magic: &[u8], body: &[u8]) -> Vec<u8> {
    [magic, Digest::from_bytes(body).as_str().as_bytes(), body].concat()
}

/// Computes the digest of a sealed record whose body was appended later.
fn resealed(magic: &[u8], mut record: Vec<u8>) -> Vec<u8> {
    let body = magic.len() + SUM_BYTES;
    let sum = Digest::from_bytes(&record[body..]);
    record[magic.len()..body].copy_from_slice(sum.as_str().as_bytes());
    record
}

/// Returns the body of a sealed record. `None` if the magic or the digest does not match.
fn unsealed<'a>(magic: &[u8], bytes: &'a [u8]) -> Option<&'a [u8]> {
    let (sum, body) = bytes.strip_prefix(magic)?.split_at_checked(SUM_BYTES)?;
    (sum == Digest::from_bytes(body).as_str().as_bytes()).then_some(body)
}

/// Encodes the record of a layer. `None` if it is too large to keep.
pub fn encode(contents: &Contents<FileKind>, build: &str, checked: &MeasuredLayer) -> io::Result<Option<Vec<u8>>> {
    let limits = Limits::default();
    if contents.names() > limits.max_names || contents.text_bytes() > limits.max_text {
        return Ok(None);
    }
    let diff_id = checked.diff_id.0.as_str();
    let head = LayerHead { build, diff_id, uncompressed_bytes: checked.uncompressed_bytes };
    // The record is built in place, because that of a million names takes tens of megabytes.
    let mut record = sealed(LAYER_MAGIC, b"");
    postcard::to_io(&head, &mut record).map_err(io::Error::other)?;
    let mut bounded = Bounded { inner: zstd::Encoder::new(record, LEVEL)?, left: UNPACKED_LIMIT };
    let mut members = BufWriter::with_capacity(WINDOW, &mut bounded);
    let mut last: Vec<u8> = Vec::new();
    let mut failed = None;
    contents.for_each(|entry, fact| {
        let shared = entry.path.iter().zip(&last).take_while(|(a, b)| a == b).count();
        let record = MemberRecord {
            // Paths are at most PATH_LIMIT bytes long, far less than 64 KiB.
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
    members.flush()?;
    drop(members);
    match bounded {
        Bounded { left: 0, .. } => Ok(None),
        Bounded { inner, .. } => inner.finish().map(|record| Some(resealed(LAYER_MAGIC, record))),
    }
}

/// Counts the bytes written. What exceeds `left` is dropped.
struct Bounded<W> {
    inner: W,
    left: u64,
}

impl<W: Write> Write for Bounded<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.left = self.left.saturating_sub(bytes.len() as u64);
        if self.left > 0 {
            self.inner.write_all(bytes)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Decodes a layer's record. `None` unless it is intact and matches this build and diffID.
pub fn decode(bytes: &[u8], build: &str, diff_id: &DiffId) -> Option<CachedLayer> {
    let (head, packed) = postcard::take_from_bytes::<LayerHead<'_>>(unsealed(LAYER_MAGIC, bytes)?).ok()?;
    if head.build != build || head.diff_id != diff_id.0.as_str() {
        return None;
    }
    let members = zstd::Decoder::new(packed).ok()?.take(UNPACKED_LIMIT + 1);
    let contents = decode_members(members)?;
    Some(CachedLayer { contents, diff_id: diff_id.clone(), uncompressed_bytes: head.uncompressed_bytes })
}

/// Decodes members, of which only a window is held at a time: anyone may have written a shared record.
fn decode_members(mut members: impl Read) -> Option<Contents<FileKind>> {
    let (contents, limits) = (Contents::default(), Limits::default());
    let mut decoded = DecodedMembers { contents, path: Vec::new(), fact_bytes: 0, limits };
    let (mut window, mut is_whole) = (Vec::new(), false);
    while !is_whole {
        let want = (window.len() + WINDOW) as u64;
        is_whole = (members.by_ref().take(want).read_to_end(&mut window).ok()? as u64) < want;
        let mut rest = window.as_slice();
        while !rest.is_empty() {
            match postcard::take_from_bytes::<MemberRecord<'_, FileKind>>(rest) {
                Ok((record, after)) => {
                    decoded.push(record)?;
                    rest = after;
                }
                Err(postcard::Error::DeserializeUnexpectedEnd) if !is_whole && rest.len() < MEMBER_LIMIT => break,
                Err(_) => return None,
            }
        }
        let used = window.len() - rest.len();
        window.drain(..used);
    }
    window.is_empty().then_some(decoded.contents)
}

/// The members decoded so far.
struct DecodedMembers {
    contents: Contents<FileKind>,
    path: Vec<u8>,
    fact_bytes: usize,
    limits: Limits,
}

impl DecodedMembers {
    /// Adds a member. Paths are checked as strictly as in a tar, and the same limits apply.
    fn push(&mut self, record: MemberRecord<'_, FileKind>) -> Option<()> {
        let shared = usize::from(record.shared);
        if shared > self.path.len() {
            return None;
        }
        self.path.truncate(shared);
        self.path.extend_from_slice(record.rest);
        let kind = EntryKind::from(record.kind);
        let target_bytes = match kind {
            EntryKind::Symlink(target) | EntryKind::HardLink(target) => target.len(),
            EntryKind::File | EntryKind::Directory | EntryKind::Special | EntryKind::Whiteout | EntryKind::Opaque => 0,
        };
        if self.path.len() > PATH_LIMIT || target_bytes > PATH_LIMIT {
            return None;
        }
        let MemberRecord { mode, uid, gid, size, capabilities, fact, .. } = record;
        let entry = LayerMember { path: &self.path, kind, mode, uid, gid, size, capabilities };
        let is_target_below = !matches!(entry.kind, EntryKind::HardLink(target) if !is_below_root(target));
        if !is_below_root(entry.path) || !is_target_below || entry.mode > 0o7777 {
            return None;
        }
        if fact.is_some() && entry.kind != EntryKind::File {
            return None;
        }
        self.fact_bytes += fact.as_ref().map_or(0, FileKind::heap_bytes);
        self.contents.push(&entry, fact);
        let is_within = self.contents.names() <= self.limits.max_names
            && self.contents.text_bytes() <= self.limits.max_text
            && self.contents.used_bytes() + self.fact_bytes <= self.limits.memory.limit();
        is_within.then_some(())
    }
}

/// Whether a path is as [`LayerMember::path`] promises: no leading or double slash, no `.` and no `..`. The empty path is the
/// root.
fn is_below_root(path: &[u8]) -> bool {
    path.is_empty() || path.split(|byte| *byte == b'/').all(|part| !matches!(part, b"" | b"." | b".."))
}
