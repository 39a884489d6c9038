//! Inflates a gzip stream from a checkpoint: a position between two blocks, which may be within a byte, and the 32 KiB
//! of content that precede it. flate2 can only start at the first bit of a stream, so the checkpoint becomes one: a
//! stored block with the preceding content, and empty blocks that take as many bits as the previous block has in the
//! shared byte. Source: RFC 1951.

use std::io::{self, BufRead, Chain, Cursor, Read};
use std::ops::Range;

use flate2::bufread::{DeflateDecoder, MultiGzDecoder};

use crate::oci::Digest;

/// Content that a block may refer to.
pub(super) const WINDOW: usize = 32 << 10;
/// Checksum and size after the last block of a gzip member.
const TRAILER: u64 = 8;

/// The spans of a gzip stream: each can be inflated without those before it.
#[derive(Debug, Default)]
pub(super) struct GzipSpans {
    list: Vec<GzipSpan>,
    /// Contains the windows.
    checkpoints: Vec<u8>,
}

#[derive(Debug)]
pub(super) struct GzipSpan {
    /// Range of stored bytes. The first byte may also belong to the previous span.
    pub start: u64,
    pub end: u64,
    /// Bits of the first byte that belong to the span, from the highest; 0 means all.
    pub bits: u8,
    /// Range of decompressed bytes.
    pub content: Range<u64>,
    /// Position in the checkpoints of the content that precedes the span. `None`: there is none.
    pub window: Option<usize>,
    /// Of the stored bytes.
    pub digest: Digest,
}

impl GzipSpans {
    /// `list` is in the order of the stream.
    pub fn new(list: Vec<GzipSpan>) -> GzipSpans {
        GzipSpans { list, checkpoints: Vec::new() }
    }

    /// Adds the checkpoints, which contain every window.
    pub fn with_checkpoints(self, checkpoints: Vec<u8>) -> GzipSpans {
        GzipSpans { checkpoints, ..self }
    }

    pub fn get(&self, number: u32) -> &GzipSpan {
        &self.list[number as usize]
    }

    /// The spans that contain bytes of `content`, with their numbers.
    pub fn containing(&self, content: Range<u64>) -> impl Iterator<Item = (u32, &GzipSpan)> + Clone {
        let first = self.list.partition_point(|span| span.content.end <= content.start);
        let spans = self.list[first..].iter().take_while(move |span| span.content.start < content.end);
        (first as u32..).zip(spans).filter(|(_, span)| !span.content.is_empty())
    }

    /// Inflates a span from its stored bytes.
    pub fn open<'b>(&self, number: u32, stored: &'b [u8]) -> io::Result<SpanReader<'b>> {
        let span = self.get(number);
        let window = span.window.map_or(&[0; WINDOW][..], |at| &self.checkpoints[at..at + WINDOW]);
        SpanReader::new(window, span.bits, stored)
    }
}

type SpanBytes<'b> = Chain<Cursor<Vec<u8>>, &'b [u8]>;

/// The content after a checkpoint.
pub(super) struct SpanReader<'b> {
    member: Member<'b>,
    position: u64,
}

enum Member<'b> {
    First(DeflateDecoder<SpanBytes<'b>>),
    /// Members that follow the one with the checkpoint: `pigz` and `mgzip` write several.
    Later(Box<MultiGzDecoder<SpanBytes<'b>>>),
}

impl<'b> SpanReader<'b> {
    /// `bits`: bits of the first byte of `stored` that belong to the span, from the highest; 0 means all.
    fn new(window: &[u8], bits: u8, stored: &'b [u8]) -> io::Result<SpanReader<'b>> {
        let (prefix, stored) = prefix(window, bits, stored);
        let mut first = DeflateDecoder::new(Cursor::new(prefix).chain(stored));
        skip(&mut first, WINDOW as u64)?;
        Ok(SpanReader { member: Member::First(first), position: 0 })
    }

    /// Bytes that were read.
    pub fn position(&self) -> u64 {
        self.position
    }

    pub fn skip(&mut self, bytes: u64) -> io::Result<()> {
        skip(self, bytes)
    }
}

impl Read for SpanReader<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut count = match &mut self.member {
            Member::First(member) => member.read(into)?,
            Member::Later(members) => members.read(into)?,
        };
        if let (0, false, Member::First(member)) = (count, into.is_empty(), &mut self.member) {
            let mut stored = std::mem::replace(member.get_mut(), Cursor::new(Vec::new()).chain(&[][..]));
            skip(&mut stored, TRAILER)?;
            if stored.fill_buf()?.is_empty() {
                return Ok(0);
            }
            let mut members = Box::new(MultiGzDecoder::new(stored));
            count = members.read(into)?;
            self.member = Member::Later(members);
        }
        self.position += count as u64;
        Ok(count)
    }
}

fn skip(reader: &mut impl Read, bytes: u64) -> io::Result<()> {
    match io::copy(&mut reader.take(bytes), &mut io::sink())? {
        skipped if skipped == bytes => Ok(()),
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// The blocks that lead to a checkpoint, and the stored bytes that follow them.
fn prefix<'b>(window: &[u8], bits: u8, stored: &'b [u8]) -> (Vec<u8>, &'b [u8]) {
    let length = WINDOW as u16;
    let mut prefix = Vec::with_capacity(WINDOW + 32);
    // A stored block: its type, its length and the complement of the length.
    prefix.push(0);
    prefix.extend(length.to_le_bytes());
    prefix.extend((!length).to_le_bytes());
    prefix.extend_from_slice(window);
    let (Some((first, rest)), 1..8) = (stored.split_first(), bits) else { return (prefix, stored) };
    let blocks = EmptyBlocks::ending_at(u32::from(8 - bits));
    let whole = blocks.length as usize / 8;
    prefix.extend_from_slice(&blocks.bits.to_le_bytes()[..whole]);
    let shared = (blocks.bits >> (8 * whole)) as u8;
    prefix.push(shared | first & (0xff << (8 - bits)));
    (prefix, rest)
}

/// Blocks without content, the first bit lowest.
#[derive(Default)]
struct EmptyBlocks {
    bits: u128,
    length: u32,
}

impl EmptyBlocks {
    /// Blocks that end `place` bits after the start of a byte.
    fn ending_at(place: u32) -> EmptyBlocks {
        let mut blocks = EmptyBlocks::default();
        if place % 2 == 1 {
            blocks.add_dynamic();
        }
        while blocks.length % 8 != place {
            blocks.add_fixed();
        }
        blocks
    }

    fn add(&mut self, bits: u128, length: u32) {
        self.bits |= bits << self.length;
        self.length += length;
    }

    /// A block of 10 bits with the fixed codes: its type, and the end of the block.
    fn add_fixed(&mut self) {
        self.add(0b010, 10);
    }

    /// A block of 91 bits with its own codes: an odd number, which fixed codes cannot have.
    fn add_dynamic(&mut self) {
        self.add(0b100, 3);
        // 257 codes of literals, 1 code of distances, 18 lengths of the codes for lengths.
        self.add(0, 10);
        self.add(14, 4);
        // In the order of RFC 1951, the third is of "many zeros" (18), the last of "length 1". Both codes have one bit: 0
        // is "length 1", 1 is "many zeros".
        self.add(1 << 6 | 1 << 51, 54);
        // 138 and 117 zeros: no literal before 255 has a code.
        self.add(0b1, 1);
        self.add(138 - 11, 7);
        self.add(0b1, 1);
        self.add(117 - 11, 7);
        // Literal 255, the end of the block (code 1), and the only distance.
        self.add(0b000, 3);
        self.add(0b1, 1);
    }
}

#[cfg(test)]
mod tests {
    use super::super::soci_writer::DeflateWriter;
    use super::*;

    #[test]
    fn empty_blocks_end_at_every_bit() {
        let lengths: Vec<u32> = (1..8).map(|place| EmptyBlocks::ending_at(place).length).collect();
        assert_eq!(lengths.iter().map(|length| length % 8).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6, 7]);
    }

    #[test]
    fn a_stream_is_read_from_every_bit() {
        let window: Vec<u8> = (0..WINDOW).map(|at| ((at * at) >> 7) as u8).collect();
        for bits in 0..8 {
            let mut writer = DeflateWriter::default();
            // The end of the previous block.
            writer.bits(0x55, (8 - bits) % 8);
            writer.block(b"after\xff", true, false);
            // A block that starts at a whole byte.
            writer.stored(b"stored");
            writer.block(b"end", false, true);
            // The checksum and the size are not checked.
            let stored = [writer.finish(), vec![0; 8]].concat();
            let mut reader = SpanReader::new(&window, bits as u8, &stored).unwrap();
            let mut content = Vec::new();
            reader.read_to_end(&mut content).unwrap();
            assert_eq!(content, [b"after\xff", &window[6..16], b"storedend"].concat(), "{bits}");
            assert_eq!(reader.position(), content.len() as u64);
        }
    }
}
