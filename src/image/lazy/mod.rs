//! Reads a layer in part, through a table of contents (TOC). eStargz and zstd:chunked store each file in chunks that can
//! be decompressed alone. The TOC is verified by the digest in the manifest's annotations, and each chunk that is read as
//! a whole by its digest in the TOC. SOCI has the TOC of a layer in plain gzip in another blob, which [`super::soci`]
//! finds; the layer is read in spans, and each is verified. The layer's digest and diffID are not verified, because they
//! cover all bytes. Everything that does not fit is read in full instead, see [`super::read_layer`].
//!
//! Sources: eStargz, containerd's stargz-snapshotter, docs/estargz.md; zstd:chunked, containers/storage,
//! pkg/chunked/internal/minimal/compression.go; SOCI, awslabs' soci-snapshotter.

mod chunk;
mod flatbuffer;
mod json;
mod ranges;
#[cfg(test)]
#[path = "../../../tests/it/kit/soci.rs"]
mod soci_writer;
mod span;
#[cfg(test)]
pub(crate) mod testing;
mod toc;
mod ztoc;

use std::io::{self, BufRead, Read};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::contents::{Contents, LayerMember};
use super::error::{ImageError, LayerError};
use super::layer::Layer;
use super::limits::Limits;
use crate::oci::Descriptor;
use crate::source::ImageSource;
use chunk::{ChunkDecoder, ChunkFault, DecodedChunk};
pub(super) use json::is_announced;
pub use toc::TocFormat;
use toc::{Toc, TocChunk};
#[cfg(any(test, fuzzing))]
pub use ztoc::inflate_by_ztoc;

/// A layer whose table of contents has been read.
#[derive(Debug)]
pub struct LazyLayer {
    descriptor: Descriptor,
    index: usize,
    toc: Toc,
    /// Bytes requested so far.
    fetched: AtomicU64,
    /// Bytes that may still be read in excess so that requests can be merged.
    spare: AtomicU64,
}

/// How much of a file to read at first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Portion {
    Nothing,
    /// The first bytes, from as few stored bytes as most files need. A file that needs more is returned shorter.
    ProbableStart(u64),
    /// The first bytes, as few as the format allows.
    Start(u64),
}

/// The start of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileStart {
    /// Position among the layer's entries.
    pub file: usize,
    pub bytes: Vec<u8>,
    /// Whether every chunk in `bytes` matched its digest. False if only a part of a chunk was read.
    pub is_verified: bool,
}

/// Stored bytes of the starts that are requested and held at once.
const BATCH_BYTES: u64 = 8 << 20;
/// Requests that are sent at once.
const REQUESTS: usize = 8;
/// Part of a layer, in bytes of the layer per byte, that may be read in excess so that requests can be merged.
const SPARE_SHARE: u64 = 128;
/// Largest request for consecutive chunks of one file.
const LARGEST_REQUEST: u64 = 4 << 20;
const SMALLEST_REQUEST: u64 = 64 << 10;

impl LazyLayer {
    /// Reads and verifies the table of contents. Returns `None` if the layer must be read in full: it has no table, the
    /// table does not match its digest or exceeds its limits, or the source cannot read parts of a blob.
    pub fn open(source: &dyn ImageSource, layer: &Layer, limits: &Limits) -> Option<LazyLayer> {
        let descriptor = &layer.descriptor;
        if descriptor.is_encrypted() || limits.check_stored(descriptor.size).is_err() || layer.diff_id.is_none() {
            return None;
        }
        let fetched = AtomicU64::new(0);
        let toc = match &layer.ztoc {
            None => json::read(descriptor, &mut |range| fetch(source, descriptor, &fetched, range)),
            Some(ztoc) => {
                fetched.fetch_add(ztoc.descriptor.size, Ordering::Relaxed);
                ztoc::read(source, &ztoc.descriptor, descriptor.size, limits)
            }
        };
        match toc {
            Ok(toc) => {
                let spare = AtomicU64::new(descriptor.size / SPARE_SHARE);
                Some(LazyLayer { descriptor: descriptor.clone(), index: layer.index, toc, fetched, spare })
            }
            Err(why) => {
                tracing::debug!(digest = %descriptor.digest, why, "the layer is read in full");
                None
            }
        }
    }

    pub fn format(&self) -> TocFormat {
        self.toc.format
    }

    /// Number of entries.
    pub fn entries(&self) -> usize {
        self.toc.files.len()
    }

    /// Bytes of the layer and its table that were requested so far.
    pub fn fetched(&self) -> u64 {
        self.fetched.load(Ordering::Relaxed)
    }

    /// Stored size of the whole layer.
    pub fn size(&self) -> u64 {
        self.descriptor.size
    }

    /// The entry at a position.
    pub fn entry(&self, file: usize) -> LayerMember<'_> {
        self.toc.files[file].entry()
    }

    /// Stored bytes that a portion of each file takes, in total.
    pub fn cost(&self, portions: &[(usize, Portion)]) -> u64 {
        let pieces = portions.iter().flat_map(|(file, portion)| self.pieces(*file, *portion)).collect();
        ranges::merge(pieces, 0, u64::MAX).0.iter().map(|range| range.end - range.start).sum()
    }

    /// Reads the starts of files, in the order of their positions in the layer, and calls `on_start` for each.
    pub fn read_starts(
        &self,
        source: &dyn ImageSource,
        portions: &[(usize, Portion)],
        on_start: &mut dyn FnMut(FileStart),
    ) -> Result<(), LayerError> {
        let mut wanted: Vec<(usize, Portion, Vec<Range<u64>>)> = portions
            .iter()
            .map(|(file, portion)| (*file, *portion, self.pieces(*file, *portion)))
            .filter(|(.., pieces)| !pieces.is_empty())
            .collect();
        wanted.sort_by_key(|(.., pieces)| pieces[0].start);
        let all: Vec<Range<u64>> = wanted.iter().flat_map(|(.., pieces)| pieces.iter().cloned()).collect();
        let gap = ranges::bridged_gap(&all, self.spare.load(Ordering::Relaxed));
        let mut rest = wanted.as_slice();
        while !rest.is_empty() {
            // Files may share pieces, which are in the order of the layer.
            let (mut bytes, mut end) = (0, 0);
            let fits = |(.., pieces): &&(usize, Portion, Vec<Range<u64>>)| {
                for piece in pieces {
                    bytes += piece.end.saturating_sub(piece.start.max(end));
                    end = piece.end.max(end);
                }
                bytes <= BATCH_BYTES
            };
            let count = rest.iter().take_while(fits).count().max(1);
            let (batch, later) = rest.split_at(count);
            rest = later;
            let pieces = batch.iter().flat_map(|(.., pieces)| pieces.iter().cloned()).collect();
            let (merged, excess) = ranges::merge(pieces, gap, LARGEST_REQUEST);
            let spare = self.spare.load(Ordering::Relaxed);
            self.spare.store(spare.saturating_sub(excess), Ordering::Relaxed);
            let bodies = self.fetch_all(source, &merged)?;
            let mut decoder = ChunkDecoder::new(&self.toc);
            for (file, portion, pieces) in batch {
                let stored =
                    |piece: &Range<u64>| ranges::find(&merged, &bodies, piece).expect("its range was requested");
                on_start(self.start(&mut decoder, *file, *portion, pieces.iter().map(stored))?);
            }
        }
        Ok(())
    }

    /// Reads a whole file, as far as `read` reads. Every chunk is verified before it is passed on.
    pub fn read_file<R>(
        &self,
        source: &dyn ImageSource,
        file: usize,
        read: impl FnOnce(&mut dyn BufRead) -> R,
    ) -> Result<R, ImageError> {
        let chunks = self.toc.chunks(file);
        let mut reader = FileReader {
            layer: self,
            file,
            source,
            chunks,
            ready: Vec::new(),
            position: 0,
            ahead: Vec::new(),
            request: SMALLEST_REQUEST,
            failed: None,
        };
        let result = read(&mut reader);
        match reader.failed {
            None => Ok(result),
            Some(cause) => Err(cause.in_layer(self.index, &self.descriptor)),
        }
    }

    /// The error of this layer.
    pub fn in_layer(&self, cause: LayerError) -> ImageError {
        cause.in_layer(self.index, &self.descriptor)
    }

    /// Builds the layer's contents. `fact` returns the fact of a regular file, and whether it is preliminary.
    pub fn contents<T>(
        &self,
        limits: &Limits,
        mut fact: impl FnMut(usize, &LayerMember<'_>) -> Option<(T, Extent)>,
    ) -> Result<Contents<T>, LayerError> {
        let mut contents = Contents::default();
        for file in 0..self.entries() {
            let entry = self.entry(file);
            let known = if self.toc.files[file].is_regular() { fact(file, &entry) } else { None };
            match known {
                Some((fact, Extent::Preliminary)) => contents.push_preliminary(&entry, fact),
                Some((fact, Extent::Final)) => contents.push(&entry, Some(fact)),
                None => contents.push(&entry, None),
            }
            limits.check_names(contents.names(), contents.text_bytes())?;
        }
        contents.shrink();
        Ok(contents)
    }

    /// The stored ranges that a portion of a file takes.
    fn pieces(&self, file: usize, portion: Portion) -> Vec<Range<u64>> {
        let (wanted, is_probable) = match portion {
            Portion::Nothing => return Vec::new(),
            Portion::ProbableStart(wanted) => (wanted, true),
            Portion::Start(wanted) => (wanted, false),
        };
        let chunks =
            self.toc.chunks(file).iter().take_while(|chunk| chunk.at < wanted).filter(|chunk| chunk.is_stored());
        let format = self.toc.format;
        let piece = |chunk: &TocChunk| match is_probable {
            true => format.probable_piece(chunk, wanted - chunk.at),
            false => format.piece(chunk, wanted - chunk.at),
        };
        chunks.map(piece).collect()
    }

    fn start<'b>(
        &self,
        decoder: &mut ChunkDecoder<'b>,
        file: usize,
        portion: Portion,
        mut stored: impl Iterator<Item = &'b [u8]>,
    ) -> Result<FileStart, LayerError> {
        let wanted = match portion {
            Portion::Nothing => unreachable!("a portion of nothing has no pieces"),
            Portion::ProbableStart(wanted) | Portion::Start(wanted) => wanted,
        };
        let (mut bytes, mut is_verified) = (Vec::new(), true);
        for chunk in self.toc.chunks(file).iter().take_while(|chunk| chunk.at < wanted) {
            let stored = if chunk.is_stored() { stored.next().expect("a piece for each chunk") } else { &[][..] };
            let DecodedChunk { bytes: more, is_verified: is_right } =
                decoder.decode(chunk, stored).map_err(|fault| self.fault(file, fault))?;
            let is_whole = more.len() as u64 == chunk.size;
            bytes.extend(more);
            is_verified &= is_right;
            if !is_whole {
                break;
            }
        }
        Ok(FileStart { file, bytes, is_verified })
    }

    fn fault(&self, file: usize, fault: ChunkFault) -> LayerError {
        let path = String::from_utf8_lossy(self.entry(file).path).into_owned();
        LayerError::Corrupt { format: self.toc.format.name(), cause: format!("{path}: {fault}") }
    }

    fn fetch_all(&self, source: &dyn ImageSource, ranges: &[Range<u64>]) -> Result<Vec<Vec<u8>>, LayerError> {
        let next = AtomicUsize::new(0);
        let none: Vec<Option<Result<Vec<u8>, LayerError>>> = ranges.iter().map(|_| None).collect();
        let bodies = Mutex::new(none);
        let work = || {
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some(range) = ranges.get(at) else { return };
                let body = self.fetch(source, range.clone());
                bodies.lock().unwrap_or_else(PoisonError::into_inner)[at] = Some(body);
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..REQUESTS.min(ranges.len()) {
                // Fewer threads do the same work.
                let _ = std::thread::Builder::new().spawn_scoped(scope, work);
            }
            work();
        });
        let bodies = bodies.into_inner().unwrap_or_else(PoisonError::into_inner);
        bodies.into_iter().map(|body| body.expect("every range was requested")).collect()
    }

    fn fetch(&self, source: &dyn ImageSource, range: Range<u64>) -> Result<Vec<u8>, LayerError> {
        fetch(source, &self.descriptor, &self.fetched, range)
    }
}

/// Whether a fact is based on all that decides it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    Final,
    /// The file was not read, or only its start.
    Preliminary,
}

fn fetch(
    source: &dyn ImageSource,
    descriptor: &Descriptor,
    fetched: &AtomicU64,
    range: Range<u64>,
) -> Result<Vec<u8>, LayerError> {
    let length = range.end - range.start;
    fetched.fetch_add(length, Ordering::Relaxed);
    match source.read_range(descriptor, range)? {
        Some(bytes) if bytes.len() as u64 == length => Ok(bytes),
        Some(_) => Err(LayerError::Truncated("range")),
        None => Err(LayerError::Read(io::Error::new(io::ErrorKind::Unsupported, "the server does not support ranges"))),
    }
}

/// A file's content, read chunk by chunk.
struct FileReader<'l> {
    layer: &'l LazyLayer,
    file: usize,
    source: &'l dyn ImageSource,
    chunks: &'l [TocChunk],
    /// The decompressed chunk, and how much of it was read.
    ready: Vec<u8>,
    position: usize,
    /// Stored bytes of the next chunks, the next one last.
    ahead: Vec<Vec<u8>>,
    /// Size of the next request: a reader that continues will probably read all.
    request: u64,
    failed: Option<LayerError>,
}

impl FileReader<'_> {
    fn next(&mut self, chunk: &TocChunk) -> Result<Vec<u8>, LayerError> {
        let stored = match chunk.is_stored() {
            false => Vec::new(),
            true => match self.ahead.pop() {
                Some(stored) => stored,
                None => self.request()?,
            },
        };
        let mut decoder = ChunkDecoder::new(&self.layer.toc);
        let decoded = decoder.decode(chunk, &stored).and_then(DecodedChunk::verified);
        decoded.map_err(|fault| self.layer.fault(self.file, fault))
    }

    /// Requests the next chunk, and those that follow it directly.
    fn request(&mut self) -> Result<Vec<u8>, LayerError> {
        let mut pieces: Vec<Range<u64>> = Vec::new();
        for chunk in self.chunks.iter().filter(|chunk| chunk.is_stored()) {
            // Adjacent spans may share a byte.
            let follows =
                |last: &Range<u64>| last.start < chunk.start && chunk.start <= last.end && last.end < chunk.end;
            let follows = pieces.last().is_none_or(follows);
            let size = pieces.first().map_or(0, |first| chunk.end.saturating_sub(first.start));
            if !follows || size > self.request {
                break;
            }
            pieces.push(chunk.start..chunk.end);
        }
        self.request = (self.request * 4).min(LARGEST_REQUEST);
        let (Some(first), Some(last)) = (pieces.first(), pieces.last()) else { return Ok(Vec::new()) };
        let start = first.start;
        let body = self.layer.fetch(self.source, start..last.end)?;
        let cut = |piece: &Range<u64>| body[(piece.start - start) as usize..(piece.end - start) as usize].to_vec();
        self.ahead = pieces.iter().rev().map(cut).collect();
        Ok(self.ahead.pop().unwrap_or_default())
    }
}

impl Read for FileReader<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let length = self.fill_buf()?.read(into)?;
        self.consume(length);
        Ok(length)
    }
}

impl BufRead for FileReader<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.position == self.ready.len() {
            let Some(chunk) = self.chunks.first().filter(|_| self.failed.is_none()) else { break };
            match self.next(chunk) {
                Ok(bytes) => {
                    (self.ready, self.position) = (bytes, 0);
                    self.chunks = &self.chunks[1..];
                }
                Err(cause) => self.failed = Some(cause),
            }
        }
        if let Some(cause) = &self.failed {
            return Err(io::Error::other(cause.to_string()));
        }
        Ok(&self.ready[self.position..])
    }

    fn consume(&mut self, amount: usize) {
        self.position += amount;
    }
}

#[cfg(test)]
#[path = "lazy_tests.rs"]
mod tests;
