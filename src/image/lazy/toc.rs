//! Reads and checks a layer's table of contents. A table that this program cannot use in every detail is rejected, and
//! the layer is read in full.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{BufReader, Read};
use std::ops::Range;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::image::contents::{EntryKind, LayerMember, PATH_LIMIT};
use crate::image::error::LayerError;
use crate::image::tar::{Blocks, Mark, TarMember, normalise, read_mark};
use crate::oci::{Descriptor, Digest};
use crate::platform::FileCapabilities;

/// The formats of layers with a table of contents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TocFormat {
    EStargz,
    ZstdChunked,
}

/// A layer's entries and the chunks of its files.
#[derive(Debug)]
pub(super) struct Toc {
    pub format: TocFormat,
    pub files: Vec<TocFile>,
    chunks: Vec<TocChunk>,
}

/// An entry, in the order of the table.
#[derive(Debug)]
pub(super) struct TocFile {
    path: Box<[u8]>,
    kind: TocKind,
    /// Of a link.
    target: Box<[u8]>,
    mode: u16,
    uid: u32,
    gid: u32,
    size: u64,
    capabilities: Option<FileCapabilities>,
    /// Range of its chunks.
    chunks: Range<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TocKind {
    File,
    Directory,
    Symlink,
    HardLink,
    Special,
    Whiteout,
    Opaque,
}

/// A part of a file that is compressed on its own.
#[derive(Clone, Debug)]
pub(super) struct TocChunk {
    /// Range of stored bytes.
    pub start: u64,
    pub end: u64,
    /// Decompressed bytes that precede the chunk.
    pub inner: u64,
    /// Its offset in the file, and its size.
    pub at: u64,
    pub size: u64,
    /// Of its decompressed bytes.
    pub digest: Digest,
    /// A hole, which is not stored.
    pub is_zeros: bool,
}

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
/// Size limit of a chunk, twice eStargz's default. A chunk is held in memory until its digest was checked.
const CHUNK_BYTES: u64 = 8 << 20;

/// Why a table of contents is not used.
type Unusable = String;

impl TocFormat {
    pub fn name(self) -> &'static str {
        match self {
            TocFormat::EStargz => "eStargz",
            TocFormat::ZstdChunked => "zstd:chunked",
        }
    }
}

impl Toc {
    /// Reads the table with `fetch`, which returns a range of stored bytes.
    pub fn read(
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
            return Toc::parse(TocFormat::ZstdChunked, &json, range.start);
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
            return Toc::parse(TocFormat::EStargz, &json, at);
        }
        Err("the manifest has no digest of a table of contents".into())
    }

    /// Parses the table. `end`: offset of the first stored byte after the files.
    pub fn parse(format: TocFormat, json: &[u8], end: u64) -> Result<Toc, Unusable> {
        let document: WireDocument = serde_json::from_slice(json).map_err(|error| error.to_string())?;
        let WireDocument { version, entries: TocEntries { files, mut chunks, fault } } = document;
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
        let toc = Toc { format, files, chunks };
        toc.check(end)?;
        Ok(toc)
    }

    /// The chunks of a file, in order.
    pub fn chunks(&self, file: usize) -> &[TocChunk] {
        let Range { start, end } = self.files[file].chunks;
        &self.chunks[start as usize..end as usize]
    }

    /// Checks that the chunks of each file are adjacent, cover all of it, and are stored before `end`.
    fn check(&self, end: u64) -> Result<(), Unusable> {
        for (file, at) in self.files.iter().zip(0..) {
            let mut expected = 0;
            for chunk in self.chunks(at) {
                let is_within =
                    chunk.start < chunk.end && chunk.end <= end && chunk.end - chunk.start <= 2 * CHUNK_BYTES;
                let is_small = chunk.size.max(chunk.inner) <= CHUNK_BYTES && chunk.size > 0;
                if chunk.at != expected || !(is_within || chunk.is_zeros) || !is_small {
                    return Err(format!("invalid chunk of {}", file.path.escape_ascii()));
                }
                expected += chunk.size;
            }
            if file.is_regular() && expected != file.size {
                return Err(format!("the chunks of {} do not have its size", file.path.escape_ascii()));
            }
        }
        Ok(())
    }
}

impl TocFile {
    pub fn is_regular(&self) -> bool {
        self.kind == TocKind::File
    }

    pub fn entry(&self) -> LayerMember<'_> {
        let kind = match self.kind {
            TocKind::File => EntryKind::File,
            TocKind::Directory => EntryKind::Directory,
            TocKind::Symlink => EntryKind::Symlink(&self.target),
            TocKind::HardLink => EntryKind::HardLink(&self.target),
            TocKind::Special => EntryKind::Special,
            TocKind::Whiteout => EntryKind::Whiteout,
            TocKind::Opaque => EntryKind::Opaque,
        };
        let size = if self.is_regular() { self.size } else { 0 };
        let &TocFile { mode, uid, gid, capabilities, .. } = self;
        LayerMember { path: &self.path, kind, mode, uid, gid, size, capabilities }
    }
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
    entries: TocEntries,
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
struct TocEntries {
    files: Vec<TocFile>,
    chunks: Vec<TocChunk>,
    /// The first entry that cannot be used.
    fault: Option<Unusable>,
}

impl<'de> Deserialize<'de> for TocEntries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<TocEntries, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = TocEntries;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of entries")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<TocEntries, A::Error> {
                let mut built = TocEntries::default();
                while let Some(entry) = entries.next_element::<WireEntry>()? {
                    if built.fault.is_none() {
                        built.fault = built.add(&entry).err();
                    }
                }
                Ok(built)
            }
        }
        deserializer.deserialize_seq(Entries)
    }
}

impl TocEntries {
    fn add(&mut self, wire: &WireEntry) -> Result<(), Unusable> {
        let unusable = |why: &str| format!("{}: {why}", wire.name.escape_default());
        // Go's JSON encoder replaces bytes that are not UTF-8.
        if wire.name.contains(['\u{fffd}', '\0']) || wire.link_name.contains(['\u{fffd}', '\0']) {
            return Err(unusable("its name may be incomplete"));
        }
        if wire.kind == "chunk" {
            let Some(file) = self.files.last_mut().filter(|file| file.is_regular()) else {
                return Err(unusable("a chunk without its file"));
            };
            let chunk = chunk_of(wire, file.size).ok_or_else(|| unusable("an invalid chunk"))?;
            let previous = self.chunks.last_mut().filter(|_| !file.chunks.is_empty());
            if let Some(previous) = previous {
                // A file's own end follows its last chunk.
                let file_end = std::mem::replace(&mut previous.end, chunk.start);
                self.chunks.push(TocChunk { end: file_end, ..chunk });
            } else {
                self.chunks.push(chunk);
            }
            file.chunks.end += 1;
            return Ok(());
        }
        let kind = match wire.kind.as_str() {
            "reg" => TocKind::File,
            "dir" => TocKind::Directory,
            "symlink" => TocKind::Symlink,
            "hardlink" => TocKind::HardLink,
            "char" | "block" | "fifo" => TocKind::Special,
            _ => return Err(unusable("its type is unknown")),
        };
        let (mut path, mut target) = (Vec::new(), wire.link_name.as_bytes().to_vec());
        normalise(wire.name.as_bytes(), &mut path);
        if kind == TocKind::HardLink {
            normalise(wire.link_name.as_bytes(), &mut target);
        }
        if path.len() >= PATH_LIMIT || target.len() >= PATH_LIMIT {
            return Err(unusable("its name is too long"));
        }
        let kind = match read_mark(&mut path) {
            Mark::Plain => kind,
            Mark::Whiteout => TocKind::Whiteout,
            Mark::Opaque => TocKind::Opaque,
            Mark::Ignored => return Ok(()),
            Mark::Impossible => return Err(unusable("no engine can create it")),
        };
        let capabilities = match wire.xattrs.as_ref().and_then(|all| all.get("security.capability")) {
            Some(text) => Some(STANDARD.decode(text).map_err(|_| unusable("an invalid attribute"))?),
            None => None,
        };
        let first = u32::try_from(self.chunks.len()).map_err(|_| unusable("too many chunks"))?;
        let has_content = kind == TocKind::File && wire.size > 0;
        if has_content {
            self.chunks.push(chunk_of(wire, wire.size).ok_or_else(|| unusable("an invalid chunk"))?);
        }
        self.files.push(TocFile {
            path: path.into(),
            kind,
            target: target.into(),
            mode: (wire.mode & 0o7777) as u16,
            uid: wire.uid,
            gid: wire.gid,
            size: wire.size,
            capabilities: capabilities.map(|bytes| FileCapabilities::parse(&bytes)),
            chunks: first..first + u32::from(has_content),
        });
        Ok(())
    }
}

/// The chunk that an entry describes, in a file of `size` bytes. A size of 0 stands for the rest of the file, and a file
/// of one chunk may have only the digest of the whole.
fn chunk_of(wire: &WireEntry, size: u64) -> Option<TocChunk> {
    let rest = size.checked_sub(wire.chunk_offset)?;
    let chunk_size = if wire.chunk_size == 0 { rest } else { wire.chunk_size };
    let is_zeros = match wire.chunk_type.as_str() {
        "" => false,
        "zeros" => true,
        _ => return None,
    };
    let is_only = wire.chunk_offset == 0 && chunk_size == size;
    let digest = if wire.chunk_digest.is_empty() && is_only { &wire.digest } else { &wire.chunk_digest };
    let digest = match digest.parse() {
        Ok(digest) => digest,
        // No bytes are read for a hole.
        Err(_) if is_zeros => Digest::from_bytes(&[]),
        Err(_) => return None,
    };
    let (start, end, inner) = (wire.offset, wire.end_offset, wire.inner_offset);
    (chunk_size <= rest).then_some(TocChunk {
        start,
        end,
        inner,
        at: wire.chunk_offset,
        size: chunk_size,
        digest,
        is_zeros,
    })
}
