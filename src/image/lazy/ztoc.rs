//! Reads a ztoc, the table that SOCI stores for a layer in plain gzip: the entries of the tar, and checkpoints from which
//! the stream can be inflated. Between two checkpoints is a span, by default the blocks of 4 MiB of content. Its digest
//! covers its stored bytes. Sources: soci-snapshotter, ztoc/fbs/ztoc.fbs and ztoc/compression/gzip_zinfo.c.

use super::flatbuffer::{Malformed, Table};
use super::span::{GzipSpan, GzipSpans, WINDOW};
use super::toc::{ChunkEncoding, StatedEntry, Toc, TocChunk, TocEntries, TocFormat, Unusable};
use crate::image::limits::Limits;
use crate::oci::{Descriptor, Digest};
use crate::source::{ImageSource, read_document};

/// Size limit of a ztoc: 6 GiB of content, if its files are large.
const ZTOC_BYTES: u64 = 48 << 20;
/// Part of the memory for an image that its ztocs may take.
const MEMORY_SHARE: usize = 4;
/// Limits of a span, which is held in memory. A span ends with the first block after 4 MiB of content, and a block has at
/// most 4 MiB.
const SPAN_STORED: u64 = 8 << 20;
const SPAN_CONTENT: u64 = 10 << 20;
/// A packed checkpoint: two offsets, the number of bits, and the window.
const CHECKPOINT: usize = 8 + 8 + 1 + WINDOW;
/// The number of checkpoints, and the intended size of a span.
const HEADER: usize = 4 + 8;
/// Length of the shortest header of a gzip member.
const GZIP_HEADER: u64 = 10;
const BLOCK: u64 = 512;
const CAPABILITIES: &[u8] = b"SCHILY.xattr.security.capability";

/// Reads and verifies the ztoc of a layer of `stored` bytes.
pub(super) fn read(source: &dyn ImageSource, ztoc: &Descriptor, stored: u64, limits: &Limits) -> Result<Toc, Unusable> {
    // The size is checked first, so that a huge one does not use up the budget.
    if ztoc.size > ZTOC_BYTES || !limits.memory.reserve_share(ztoc.size as usize, MEMORY_SHARE) {
        return Err("its ztoc is too large".into());
    }
    let bytes = read_document(source, ztoc, ZTOC_BYTES).map_err(|error| error.to_string())?;
    parse(bytes, stored, limits)
}

fn parse(mut bytes: Vec<u8>, stored: u64, limits: &Limits) -> Result<Toc, Unusable> {
    let root = Table::root(&bytes)?;
    if root.bytes(0)? != b"0.9" {
        return Err(format!("unknown version {}", root.bytes(0)?.escape_ascii()));
    }
    let (compressed, content) = (root.size(2)?, root.size(3)?);
    if compressed != stored {
        return Err("its ztoc is for a layer of another size".into());
    }
    limits.check_size(compressed, content).map_err(|error| error.to_string())?;
    let compression = root.table(5)?;
    let checkpoints = compression.byte_range(3)?;
    let spans = GzipSpans::new(read_spans(&compression, compressed, content)?);
    let TocEntries { files, chunks, .. } = read_entries(&root.table(4)?, content, &spans)?;
    // Only the checkpoints are kept, without a copy of them.
    bytes.truncate(checkpoints.end);
    bytes.drain(..checkpoints.start);
    bytes.shrink_to_fit();
    let toc = Toc { format: TocFormat::Soci, files, chunks, spans: spans.with_checkpoints(bytes) };
    toc.check(stored)?;
    Ok(toc)
}

/// Reads the content of every span of a layer, for fuzzing.
#[cfg(any(test, fuzzing))]
pub fn inflate_by_ztoc(ztoc: &[u8], stored: &[u8], limits: &Limits) {
    use std::io::Read;

    let Ok(toc) = parse(ztoc.to_vec(), stored.len() as u64, limits) else { return };
    for (number, span) in toc.spans.containing(0..u64::MAX) {
        let Ok(reader) = toc.spans.open(number, &stored[span.start as usize..span.end as usize]) else { continue };
        let _ = std::io::copy(&mut reader.take(span.content.end - span.content.start), &mut std::io::sink());
    }
}

/// `stored` and `content`: sizes of the whole layer.
fn read_spans(compression: &Table<'_>, stored: u64, content: u64) -> Result<Vec<GzipSpan>, Unusable> {
    // The default is gzip. The other algorithm is for layers that are not compressed.
    if compression.byte(0)? > 1 {
        return Err("its ztoc is not for gzip".into());
    }
    let packed = compression.bytes(3)?;
    let count = packed.get(..4).and_then(|count| count.try_into().ok()).map(u32::from_le_bytes).ok_or(Malformed)?;
    let digests = compression.vector(2)?;
    let (count, is_listed) = (count as usize, digests.len() == count as usize);
    if count == 0 || !is_listed || compression.int(1)? as usize != count - 1 {
        return Err("its ztoc does not have a digest for each span".into());
    }
    // Version 1 of the checkpoints omits the first, which follows a header of the shortest length.
    let is_first_omitted = match packed.len().checked_sub(HEADER) {
        Some(length) if length == count * CHECKPOINT => false,
        Some(length) if length == (count - 1) * CHECKPOINT => true,
        _ => return Err("the number of its checkpoints is wrong".into()),
    };
    let mut checkpoints: Vec<Checkpoint> = Vec::with_capacity(count);
    if is_first_omitted {
        checkpoints.push(Checkpoint { stored: GZIP_HEADER, content: 0, bits: 0, window: None });
    }
    for at in (HEADER..packed.len()).step_by(CHECKPOINT) {
        checkpoints.push(Checkpoint::unpack(packed, at).ok_or(Malformed)?);
    }
    // The end of the last span.
    checkpoints.push(Checkpoint { stored, content, bits: 0, window: None });
    let mut spans = Vec::with_capacity(count);
    for (pair, digest) in checkpoints.windows(2).zip(digests.strings()) {
        let [from, to] = pair else { unreachable!("windows of two") };
        let digest: Option<Digest> = std::str::from_utf8(digest?).ok().and_then(|text| text.parse().ok());
        let digest = digest.ok_or("the digest of a span is invalid")?;
        let start = from.stored.checked_sub(u64::from(from.bits > 0)).ok_or(Malformed)?;
        let is_forward = from.stored < to.stored && from.content <= to.content && to.stored <= stored;
        if !is_forward || to.stored - start > SPAN_STORED || to.content - from.content > SPAN_CONTENT || from.bits > 7 {
            return Err("its spans are too large or overlap".into());
        }
        let (bits, window) = (from.bits, from.window);
        spans.push(GzipSpan { start, end: to.stored, bits, content: from.content..to.content, window, digest });
    }
    if checkpoints[0].content != 0 || checkpoints[count - 1].content > content {
        return Err("its spans do not cover the layer".into());
    }
    Ok(spans)
}

/// A position from which a stream can be inflated.
struct Checkpoint {
    /// The first byte of which all bits follow it.
    stored: u64,
    content: u64,
    /// Bits of the previous byte that follow it.
    bits: u8,
    window: Option<usize>,
}

impl Checkpoint {
    fn unpack(packed: &[u8], at: usize) -> Option<Checkpoint> {
        let number = |at: usize| -> Option<u64> {
            let bytes = packed.get(at..at + 8)?.try_into().ok()?;
            u64::try_from(i64::from_le_bytes(bytes)).ok()
        };
        let bits = *packed.get(at + 16)?;
        Some(Checkpoint { stored: number(at)?, content: number(at + 8)?, bits, window: Some(at + 17) })
    }
}

/// `content`: size of the tar.
fn read_entries(toc: &Table<'_>, content: u64, spans: &GzipSpans) -> Result<TocEntries, Unusable> {
    let mut entries = TocEntries::default();
    // The end of the content of the previous entry, with its padding.
    let mut end = 0;
    for file in toc.vector(0)?.tables() {
        let file = file?;
        let mut capabilities = None;
        for record in file.vector(13)?.tables() {
            let record = record?;
            let key = record.bytes(0)?;
            // The size of a sparse file is not that of its content in the tar.
            if key.starts_with(b"GNU.sparse.") {
                return Err("it contains a sparse file".into());
            }
            if key == CAPABILITIES {
                capabilities = Some(record.bytes(1)?);
            }
        }
        let entry = StatedEntry {
            name: file.bytes(0)?,
            kind: file.bytes(1)?,
            target: file.bytes(4)?,
            mode: file.size(5)?,
            uid: file.unsigned(6)?,
            gid: file.unsigned(7)?,
            size: file.size(3)?,
            capabilities,
        };
        let (start, is_file) = (file.size(2)?, entry.kind == b"reg");
        let stored = if is_file { entry.size } else { 0 };
        // A header precedes each file.
        let is_after = start.checked_sub(BLOCK).is_some_and(|header| header >= end) && start.is_multiple_of(BLOCK);
        let own_end = start.checked_add(stored).filter(|own_end| is_after && *own_end <= content);
        let own_end = own_end.ok_or("its files overlap")?;
        end = own_end.next_multiple_of(BLOCK);
        let Some(own) = entries.add(&entry)?.filter(|own| own.is_regular() && own.size > 0) else { continue };
        let chunks = spans.containing(start..own_end).map(|(number, span)| {
            let (from, to) = (span.content.start.max(start), span.content.end.min(own_end));
            let (inner, at, encoding) = (from - span.content.start, from - start, ChunkEncoding::Span(number));
            TocChunk { start: span.start, end: span.end, inner, at, size: to - from, encoding }
        });
        own.chunks.end += chunks.clone().count() as u32;
        entries.chunks.extend(chunks);
    }
    Ok(entries)
}

#[cfg(test)]
#[path = "ztoc_tests.rs"]
mod tests;
