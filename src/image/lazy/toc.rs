//! A layer's table of contents, as all formats state it. A table that this program cannot use in every detail is rejected,
//! and the layer is read in full.

use std::ops::Range;

use super::span::GzipSpans;
use crate::image::contents::{EntryKind, LayerMember, PATH_LIMIT};
use crate::image::tar::{Mark, normalise, read_mark};
use crate::oci::Digest;
use crate::platform::FileCapabilities;

/// The formats of layers with a table of contents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TocFormat {
    EStargz,
    ZstdChunked,
    /// Plain gzip, with a table in another blob.
    Soci,
}

/// A layer's entries and the chunks of its files.
#[derive(Debug)]
pub(super) struct Toc {
    pub format: TocFormat,
    pub files: Vec<TocFile>,
    pub chunks: Vec<TocChunk>,
    /// Empty, except for [`TocFormat::Soci`].
    pub spans: GzipSpans,
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
    pub size: u64,
    capabilities: Option<FileCapabilities>,
    /// Range of its chunks.
    pub chunks: Range<u32>,
}

/// An entry as the formats state it.
pub(super) struct StatedEntry<'a> {
    pub name: &'a [u8],
    pub kind: &'a [u8],
    pub target: &'a [u8],
    pub mode: u64,
    pub uid: u32,
    pub gid: u32,
    pub size: u64,
    /// The value of `security.capability`.
    pub capabilities: Option<&'a [u8]>,
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

/// A part of a file that can be decompressed without the parts before it.
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
    pub encoding: ChunkEncoding,
}

/// How a chunk is stored, and what verifies it.
#[derive(Clone, Debug)]
pub(super) enum ChunkEncoding {
    /// In a gzip member or zstd frame of its own. The digest is of its decompressed bytes.
    Frame(Digest),
    /// In the span with this number. The digest is of the span's stored bytes.
    Span(u32),
    /// A hole, which is not stored.
    Zeros,
}

/// Size limit of a chunk, twice eStargz's default. A chunk is held in memory until its digest was checked.
const CHUNK_BYTES: u64 = 8 << 20;
/// Limits for the entries of a table, which is held in memory: three times the files of a large Node application.
const MAX_ENTRIES: usize = 250_000;
const MAX_TEXT: usize = 16 << 20;

/// Why a table of contents is not used.
pub(super) type Unusable = String;

impl TocChunk {
    pub fn is_stored(&self) -> bool {
        !matches!(self.encoding, ChunkEncoding::Zeros)
    }
}

impl TocFormat {
    pub fn name(self) -> &'static str {
        match self {
            TocFormat::EStargz => "eStargz",
            TocFormat::ZstdChunked => "zstd:chunked",
            TocFormat::Soci => "SOCI",
        }
    }
}

impl Toc {
    /// The chunks of a file, in order.
    pub fn chunks(&self, file: usize) -> &[TocChunk] {
        let Range { start, end } = self.files[file].chunks;
        &self.chunks[start as usize..end as usize]
    }

    /// Checks that the chunks of each file are adjacent, cover all of it, and are stored before `end`.
    pub fn check(&self, end: u64) -> Result<(), Unusable> {
        for (file, at) in self.files.iter().zip(0..) {
            let mut expected = 0;
            for chunk in self.chunks(at) {
                let is_within =
                    chunk.start < chunk.end && chunk.end <= end && chunk.end - chunk.start <= 2 * CHUNK_BYTES;
                let fits = match chunk.encoding {
                    ChunkEncoding::Frame(_) => is_within && chunk.inner <= CHUNK_BYTES && chunk.size <= CHUNK_BYTES,
                    ChunkEncoding::Zeros => chunk.size <= CHUNK_BYTES,
                    // Spans have their own limits.
                    ChunkEncoding::Span(_) => true,
                };
                if chunk.at != expected || !fits || chunk.size == 0 {
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

/// The entries of a table that is being read.
#[derive(Default)]
pub(super) struct TocEntries {
    pub files: Vec<TocFile>,
    pub chunks: Vec<TocChunk>,
    text: usize,
}

impl TocEntries {
    /// Adds an entry without chunks. Returns `None` if engines ignore the entry.
    pub fn add(&mut self, entry: &StatedEntry<'_>) -> Result<Option<&mut TocFile>, Unusable> {
        let unusable = |why: &str| format!("{}: {why}", entry.name.escape_ascii());
        let kind = match entry.kind {
            b"reg" => TocKind::File,
            b"dir" => TocKind::Directory,
            b"symlink" => TocKind::Symlink,
            b"hardlink" => TocKind::HardLink,
            b"char" | b"block" | b"fifo" => TocKind::Special,
            _ => return Err(unusable("its type is unknown")),
        };
        if entry.name.contains(&0) || entry.target.contains(&0) {
            return Err(unusable("its name may be incomplete"));
        }
        let (mut path, mut target) = (Vec::new(), entry.target.to_vec());
        normalise(entry.name, &mut path);
        if kind == TocKind::HardLink {
            normalise(entry.target, &mut target);
        }
        if path.len() >= PATH_LIMIT || target.len() >= PATH_LIMIT {
            return Err(unusable("its name is too long"));
        }
        let kind = match read_mark(&mut path) {
            Mark::Plain => kind,
            Mark::Whiteout => TocKind::Whiteout,
            Mark::Opaque => TocKind::Opaque,
            Mark::Ignored => return Ok(None),
            Mark::Impossible => return Err(unusable("no engine can create it")),
        };
        self.text += path.len() + target.len();
        if self.files.len() >= MAX_ENTRIES || self.text > MAX_TEXT {
            return Err("the table has too many entries".into());
        }
        let first = u32::try_from(self.chunks.len()).map_err(|_| unusable("too many chunks"))?;
        self.files.push(TocFile {
            path: path.into(),
            kind,
            target: target.into(),
            mode: (entry.mode & 0o7777) as u16,
            uid: entry.uid,
            gid: entry.gid,
            size: entry.size,
            capabilities: entry.capabilities.map(FileCapabilities::parse),
            chunks: first..first,
        });
        Ok(self.files.last_mut())
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
