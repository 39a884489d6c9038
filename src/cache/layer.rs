//! A layer as one file: the digest of all that follows, whose it is, and its members, packed.

use std::io::{self, Read};

use super::CachedLayer;
use super::wire::{Wire, put_slice, take_bytes, take_slice};
use crate::image::{Contents, Entry, EntryKind, PATH_LIMIT};
use crate::inspect::FileKind;
use crate::oci::{DiffId, Digest};

const MAGIC: &[u8] = b"imgarch layer\n";

/// The fastest level: a layer's names shrink to a fifth by it.
const LEVEL: i32 = 1;

/// Bytes of a layer's members, unpacked: twice what names, links and records of the largest layers take.
const UNPACKED_LIMIT: u64 = 1 << 30;

/// The file for a layer; none where it is too large to be worth keeping.
pub fn encode(
    contents: &Contents<FileKind>,
    build: &str,
    digest: &Digest,
    diff_id: &DiffId,
) -> io::Result<Option<Vec<u8>>> {
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
    for text in [build, digest.as_str(), diff_id.0.as_str()] {
        put_slice(text.as_bytes(), &mut body);
    }
    body.extend_from_slice(&packed);
    let mut bytes = MAGIC.to_vec();
    put_slice(Digest::of(&body).as_str().as_bytes(), &mut bytes);
    bytes.extend_from_slice(&body);
    Ok(Some(bytes))
}

/// The layer in a file, if it is whole, of this build and of this digest.
pub fn decode(bytes: &[u8], build: &str, digest: &Digest) -> Option<CachedLayer> {
    let mut from = bytes;
    if take_bytes(&mut from, MAGIC.len())? != MAGIC {
        return None;
    }
    let sum = take_slice(&mut from)?;
    if sum != Digest::of(from).as_str().as_bytes() {
        return None;
    }
    if take_slice(&mut from)? != build.as_bytes() || take_slice(&mut from)? != digest.as_str().as_bytes() {
        return None;
    }
    let diff_id = DiffId(std::str::from_utf8(take_slice(&mut from)?).ok()?.parse().ok()?);
    let mut members = Vec::new();
    zstd::Decoder::new(from).ok()?.take(UNPACKED_LIMIT + 1).read_to_end(&mut members).ok()?;
    let contents = take_members(&mut members.as_slice())?;
    Some(CachedLayer { contents, diff_id })
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
        contents.push(&entry, fact);
    }
    from.is_empty().then_some(contents)
}
