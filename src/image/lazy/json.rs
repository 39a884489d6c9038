//! Reads the tables of eStargz and zstd:chunked: JSON in the layer itself.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{BufReader, Read};
use std::ops::Range;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::span::GzipSpans;
use super::toc::{ChunkEncoding, StatedEntry, Toc, TocChunk, TocEntries, TocFormat, Unusable};
use crate::image::error::LayerError;
use crate::image::tar::{Blocks, TarMember};
use crate::oci::{Descriptor, Digest};

/// Source: containerd's stargz-snapshotter, estargz/types.go.
pub(super) const ESTARGZ_DIGEST: &str = "containerd.io/snapshot/stargz/toc.digest";
const ESTARGZ_FOOTER: u64 = 51;
const ESTARGZ_NAME: &[u8] = b"stargz.index.json";
/// Source: containers/storage, pkg/chunked/internal/minimal/compression.go.
/// Writers before 2023 used the names without `github`.
pub(super) const ZSTD_DIGEST: [&str; 2] =
    ["io.github.containers.zstd-chunked.manifest-checksum", "io.containers.zstd-chunked.manifest-checksum"];
pub(super) const ZSTD_POSITION: [&str; 2] =
    ["io.github.containers.zstd-chunked.manifest-position", "io.containers.zstd-chunked.manifest-position"];
/// Size limit of a table, about that of 80,000 files. Larger tables save little: such layers have small files.
const TOC_BYTES: u64 = 32 << 20;

/// Whether a layer states that it has a table.
pub(in crate::image) fn is_announced(layer: &Descriptor) -> bool {
    let keys = [ESTARGZ_DIGEST].into_iter().chain(ZSTD_DIGEST);
    keys.into_iter().any(|key| layer.annotations.contains_key(key))
}

/// Reads the table with `fetch`, which returns a range of stored bytes.
pub(super) fn read(
    descriptor: &Descriptor,
    fetch: &mut dyn FnMut(Range<u64>) -> Result<Vec<u8>, LayerError>,
) -> Result<Toc, Unusable> {
    let annotation = |keys: &[&str]| keys.iter().find_map(|key| descriptor.annotations.get(*key));
    if let (Some(digest), Some(position)) = (annotation(&ZSTD_DIGEST), annotation(&ZSTD_POSITION)) {
        let (range, size) = zstd_position(position, descriptor.size).ok_or("invalid position of the table")?;
        let stored = fetch(range.clone()).map_err(|error| error.to_string())?;
        // This digest is of the compressed bytes.
        check(&stored, digest)?;
        let json = read_to_limit(zstd::Decoder::with_buffer(&*stored).map_err(|error| error.to_string())?, size)?;
        return parse(TocFormat::ZstdChunked, &json, range.start);
    }
    if let Some(digest) = annotation(&[ESTARGZ_DIGEST]) {
        let start = descriptor.size.checked_sub(ESTARGZ_FOOTER).ok_or("the layer is too small")?;
        let footer = fetch(start..descriptor.size).map_err(|error| error.to_string())?;
        let at = estargz_offset(&footer).filter(|at| *at < start).ok_or("the footer is invalid")?;
        if start - at > TOC_BYTES {
            return Err("the table is too large".into());
        }
        let stored = fetch(at..start).map_err(|error| error.to_string())?;
        let json = estargz_json(&stored)?;
        check(&json, digest)?;
        return parse(TocFormat::EStargz, &json, at);
    }
    Err("the manifest has no digest of a table of contents".into())
}

/// Parses the table. `end`: offset of the first stored byte after the files.
fn parse(format: TocFormat, json: &[u8], end: u64) -> Result<Toc, Unusable> {
    let document: WireDocument = serde_json::from_slice(json).map_err(|error| error.to_string())?;
    let WireDocument { version, entries: WireEntries { entries: TocEntries { files, mut chunks, .. }, fault } } =
        document;
    if version != 1 {
        return Err(format!("unknown version {version}"));
    }
    if let Some(fault) = fault {
        return Err(fault);
    }
    if format == TocFormat::EStargz {
        let mut starts: Vec<u64> = chunks.iter().map(|chunk| chunk.start).chain([end]).collect();
        starts.sort_unstable();
        starts.dedup();
        for chunk in &mut chunks {
            let next = starts.partition_point(|start| *start <= chunk.start);
            chunk.end = starts.get(next).copied().unwrap_or(0);
        }
    }
    let toc = Toc { format, files, chunks, spans: GzipSpans::default() };
    toc.check(end)?;
    Ok(toc)
}

/// `OFFSET:LENGTH:UNCOMPRESSED:TYPE`. Returns the range and the uncompressed size.
fn zstd_position(text: &str, size: u64) -> Option<(Range<u64>, u64)> {
    let mut numbers = text.split(':').map(|number| number.parse::<u64>().ok());
    let (offset, length, uncompressed, kind) = (numbers.next()??, numbers.next()??, numbers.next()??, numbers.next()??);
    let end = offset.checked_add(length)?;
    let fits = end <= size && length <= TOC_BYTES && uncompressed <= TOC_BYTES && kind == 1;
    (fits && numbers.next().is_none()).then_some((offset..end, uncompressed))
}

/// The table's offset from the footer: an empty gzip member with an extra field.
fn estargz_offset(footer: &[u8]) -> Option<u64> {
    let field = footer.strip_prefix(b"\x1f\x8b\x08\x04".as_slice())?.get(6..)?;
    let hex = field.strip_prefix(b"\x1a\x00SG\x16\x00".as_slice())?.get(..22)?.strip_suffix(b"STARGZ")?;
    u64::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok()
}

/// The table inside a compressed tar with one member.
fn estargz_json(stored: &[u8]) -> Result<Vec<u8>, Unusable> {
    let mut reader = BufReader::new(flate2::read::MultiGzDecoder::new(stored));
    let mut member = TarMember::new();
    let found = Blocks::new(&mut reader).member(&mut member).map_err(|error| error.to_string())?;
    if found.is_err() || member.name != ESTARGZ_NAME || member.stored > TOC_BYTES {
        return Err("the layer ends with another file than its table".into());
    }
    read_to_limit(reader, member.stored)
}

/// Reads exactly `size` bytes.
fn read_to_limit(reader: impl Read, size: u64) -> Result<Vec<u8>, Unusable> {
    let mut bytes = Vec::new();
    reader.take(size).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 == size { Ok(bytes) } else { Err("the table is truncated".into()) }
}

fn check(bytes: &[u8], digest: &str) -> Result<(), Unusable> {
    let expected: Digest = digest.parse().map_err(|_| "the table's digest is invalid".to_string())?;
    match expected.of_same_algorithm(bytes) == expected {
        true => Ok(()),
        false => Err("the table does not match its digest".into()),
    }
}
#[derive(Deserialize)]
struct WireDocument {
    version: u64,
    entries: WireEntries,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireEntry {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    size: u64,
    #[serde(default)]
    link_name: String,
    #[serde(default)]
    mode: u64,
    #[serde(default)]
    uid: u32,
    #[serde(default)]
    gid: u32,
    #[serde(default)]
    offset: u64,
    #[serde(default)]
    end_offset: u64,
    #[serde(default)]
    inner_offset: u64,
    #[serde(default)]
    chunk_offset: u64,
    #[serde(default)]
    chunk_size: u64,
    #[serde(default)]
    chunk_digest: String,
    #[serde(default)]
    chunk_type: String,
    #[serde(default)]
    digest: String,
    #[serde(default)]
    xattrs: Option<BTreeMap<String, String>>,
}

/// The entries, converted one by one, so that their JSON form is never held in full.
#[derive(Default)]
struct WireEntries {
    entries: TocEntries,
    /// The first entry that cannot be used.
    fault: Option<Unusable>,
}

impl<'de> Deserialize<'de> for WireEntries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<WireEntries, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = WireEntries;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of entries")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<WireEntries, A::Error> {
                let mut built = WireEntries::default();
                while let Some(entry) = entries.next_element::<WireEntry>()? {
                    if built.fault.is_none() {
                        built.fault = add(&mut built.entries, &entry).err();
                    }
                }
                Ok(built)
            }
        }
        deserializer.deserialize_seq(Entries)
    }
}

fn add(entries: &mut TocEntries, wire: &WireEntry) -> Result<(), Unusable> {
    let unusable = |why: &str| format!("{}: {why}", wire.name.escape_default());
    // Go's JSON encoder replaces bytes that are not UTF-8.
    if wire.name.contains('\u{fffd}') || wire.link_name.contains('\u{fffd}') {
        return Err(unusable("its name may be incomplete"));
    }
    let TocEntries { files, chunks, .. } = entries;
    if wire.kind == "chunk" {
        let Some(file) = files.last_mut().filter(|file| file.is_regular()) else {
            return Err(unusable("a chunk without its file"));
        };
        let chunk = chunk_of(wire, file.size).ok_or_else(|| unusable("an invalid chunk"))?;
        let previous = chunks.last_mut().filter(|_| !file.chunks.is_empty());
        if let Some(previous) = previous {
            // A file's own end follows its last chunk.
            let file_end = std::mem::replace(&mut previous.end, chunk.start);
            chunks.push(TocChunk { end: file_end, ..chunk });
        } else {
            chunks.push(chunk);
        }
        file.chunks.end += 1;
        return Ok(());
    }
    let capabilities = match wire.xattrs.as_ref().and_then(|all| all.get("security.capability")) {
        Some(text) => Some(STANDARD.decode(text).map_err(|_| unusable("an invalid attribute"))?),
        None => None,
    };
    let entry = StatedEntry {
        name: wire.name.as_bytes(),
        kind: wire.kind.as_bytes(),
        target: wire.link_name.as_bytes(),
        mode: wire.mode,
        uid: wire.uid,
        gid: wire.gid,
        size: wire.size,
        capabilities: capabilities.as_deref(),
    };
    let Some(file) = entries.add(&entry)?.filter(|file| file.is_regular() && file.size > 0) else { return Ok(()) };
    file.chunks.end += 1;
    entries.chunks.push(chunk_of(wire, wire.size).ok_or_else(|| unusable("an invalid chunk"))?);
    Ok(())
}

/// The chunk that an entry describes, in a file of `size` bytes. A size of 0 stands for the rest of the file, and a file
/// of one chunk may have only the digest of the whole.
fn chunk_of(wire: &WireEntry, size: u64) -> Option<TocChunk> {
    let rest = size.checked_sub(wire.chunk_offset)?;
    let chunk_size = if wire.chunk_size == 0 { rest } else { wire.chunk_size };
    let is_only = wire.chunk_offset == 0 && chunk_size == size;
    let digest = if wire.chunk_digest.is_empty() && is_only { &wire.digest } else { &wire.chunk_digest };
    let encoding = match wire.chunk_type.as_str() {
        "" => ChunkEncoding::Frame(digest.parse().ok()?),
        "zeros" => ChunkEncoding::Zeros,
        _ => return None,
    };
    let (start, end, inner) = (wire.offset, wire.end_offset, wire.inner_offset);
    let chunk = TocChunk { start, end, inner, at: wire.chunk_offset, size: chunk_size, encoding };
    (chunk_size <= rest).then_some(chunk)
}
