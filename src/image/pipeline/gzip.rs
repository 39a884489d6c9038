//! Decodes every member of a gzip file and classifies the bytes after the last one. The data's checksums are not
//! computed here: the caller that hashes the data can compute one for all of it at little cost, on another thread.
//! Source: RFC 1952.

use std::io::{self, BufRead, Read};

use flate2::{Decompress, FlushDecompress, Status};

use crate::image::error::LayerError;

/// The bytes after a layer's last compressed byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trailing {
    Nothing,
    Zeros,
    Garbage,
}

/// Size limit of a header with its names; real ones take about ten bytes.
const HEADER_LIMIT: u64 = 1 << 20;

/// Flags of a header. Source: RFC 1952, 2.3.1.
const FHCRC: u8 = 2;
const FEXTRA: u8 = 4;
const FNAME: u8 = 8;
const FCOMMENT: u8 = 16;
const RESERVED: u8 = 0xe0;

/// The decoder of a gzip file.
pub(super) struct Gzip<R> {
    inner: R,
    state: Decompress,
    position: GzipPosition,
    /// The checksums from the members' trailers, combined into one.
    stated_crc: crc32fast::Hasher,
    trailing: Trailing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum GzipPosition {
    Start,
    Data,
    Trailer,
    BetweenMembers,
    End,
}

impl<R: BufRead> Gzip<R> {
    pub fn new(inner: R) -> Gzip<R> {
        let state = Decompress::new(false);
        let (position, trailing) = (GzipPosition::Start, Trailing::Nothing);
        Gzip { inner, state, position, stated_crc: crc32fast::Hasher::new(), trailing }
    }

    pub fn get_ref(&self) -> &R {
        &self.inner
    }

    pub fn into_inner(self) -> (R, Trailing) {
        (self.inner, self.trailing)
    }

    /// The CRC-32 of all data, as the trailers state it.
    pub fn crc(&self) -> u32 {
        self.stated_crc.clone().finalize()
    }

    fn header(&mut self) -> io::Result<()> {
        let mut header = Vec::with_capacity(16);
        let mut source = (&mut self.inner).take(HEADER_LIMIT);
        read_bytes(&mut source, &mut header, 10)?;
        let (method, flags) = (header[2], header[3]);
        if header[..2] != [0x1f, 0x8b] || method != 8 || flags & RESERVED != 0 {
            return Err(corrupt("a member's header is invalid").into());
        }
        if flags & FEXTRA != 0 {
            read_bytes(&mut source, &mut header, 2)?;
            let length = u16::from_le_bytes([header[10], header[11]]);
            read_bytes(&mut source, &mut header, usize::from(length))?;
        }
        for flag in [FNAME, FCOMMENT] {
            if flags & flag != 0 {
                source.read_until(0, &mut header)?;
                match header.last() {
                    Some(0) => {}
                    _ if source.limit() == 0 => return Err(corrupt("a member's header is over 1 MiB").into()),
                    _ => return Err(truncated()),
                }
            }
        }
        if flags & FHCRC != 0 {
            let computed = crc32fast::hash(&header) as u16;
            read_bytes(&mut source, &mut header, 2)?;
            if !header.ends_with(&computed.to_le_bytes()) {
                return Err(corrupt("a member's header has the wrong checksum").into());
            }
        }
        self.state.reset(false);
        self.position = GzipPosition::Data;
        Ok(())
    }

    /// Reads the member's trailer and checks the length that it states.
    fn trailer(&mut self) -> io::Result<()> {
        let mut trailer = Vec::with_capacity(8);
        read_bytes(&mut self.inner, &mut trailer, 8)?;
        let [crc, size] =
            [&trailer[..4], &trailer[4..]].map(|word| u32::from_le_bytes(word.try_into().expect("4 bytes")));
        let length = self.state.total_out();
        if size != length as u32 {
            return Err(corrupt("a member's data has the wrong length").into());
        }
        self.stated_crc.combine(&crc32fast::Hasher::new_with_initial_len(crc, length));
        self.position = GzipPosition::BetweenMembers;
        Ok(())
    }

    /// Starts the next member, or reads and classifies trailing bytes.
    fn next_member(&mut self) -> io::Result<()> {
        let next = self.inner.fill_buf()?;
        // If the second byte is beyond the buffer's end, the header's reader checks it.
        if matches!(next, [0x1f] | [0x1f, 0x8b, ..]) {
            return self.header();
        }
        self.position = GzipPosition::End;
        loop {
            let rest = self.inner.fill_buf()?;
            if rest.is_empty() {
                return Ok(());
            }
            if rest.iter().any(|byte| *byte != 0) {
                self.trailing = Trailing::Garbage;
            } else if self.trailing == Trailing::Nothing {
                self.trailing = Trailing::Zeros;
            }
            let length = rest.len();
            self.inner.consume(length);
        }
    }

    /// Inflates some bytes; returns 0 at the end of the member.
    fn data(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            let input = self.inner.fill_buf()?;
            let is_input_over = input.is_empty();
            let (before_in, before_out) = (self.state.total_in(), self.state.total_out());
            let status = self.state.decompress(input, into, FlushDecompress::None);
            let status = status.map_err(|error| corrupt(&error.to_string()))?;
            let consumed = (self.state.total_in() - before_in) as usize;
            let produced = (self.state.total_out() - before_out) as usize;
            self.inner.consume(consumed);
            if status == Status::StreamEnd {
                // The data is returned before any error in the trailer.
                self.position = GzipPosition::Trailer;
                return Ok(produced);
            }
            if produced > 0 {
                return Ok(produced);
            }
            if is_input_over {
                return Err(truncated());
            }
            if consumed == 0 {
                return Err(corrupt("the decoder makes no progress").into());
            }
        }
    }
}

impl<R: BufRead> Read for Gzip<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while !into.is_empty() {
            match self.position {
                GzipPosition::Start => self.header()?,
                GzipPosition::Trailer => self.trailer()?,
                GzipPosition::BetweenMembers => self.next_member()?,
                GzipPosition::End => break,
                GzipPosition::Data => match self.data(into)? {
                    0 => {}
                    produced => return Ok(produced),
                },
            }
        }
        Ok(0)
    }
}

/// Appends exactly `length` bytes.
fn read_bytes(source: &mut impl Read, bytes: &mut Vec<u8>, length: usize) -> io::Result<()> {
    let read = source.take(length as u64).read_to_end(bytes)?;
    if read < length { Err(truncated()) } else { Ok(()) }
}

fn truncated() -> io::Error {
    LayerError::Truncated("gzip stream").into()
}

/// The data does not match [`Gzip::crc`].
pub fn wrong_checksum() -> LayerError {
    corrupt("its data has the wrong checksum")
}

fn corrupt(cause: &str) -> LayerError {
    LayerError::Corrupt { format: "gzip", cause: cause.to_string() }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// A member with the optional header parts in `flags`.
    fn member(data: &[u8], flags: u8) -> Vec<u8> {
        let mut bytes = vec![0x1f, 0x8b, 8, flags, 0, 0, 0, 0, 0, 255];
        if flags & FEXTRA != 0 {
            bytes.extend([5, 0, b'S', b'G', 1, 0, 7]);
        }
        if flags & FNAME != 0 {
            bytes.extend(b"layer.tar\0");
        }
        if flags & FCOMMENT != 0 {
            bytes.extend(b"made by hand\0");
        }
        if flags & FHCRC != 0 {
            bytes.extend((crc32fast::hash(&bytes) as u16).to_le_bytes());
        }
        let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(data).unwrap();
        bytes.extend(encoder.finish().unwrap());
        bytes.extend(crc32fast::hash(data).to_le_bytes());
        bytes.extend((data.len() as u32).to_le_bytes());
        bytes
    }

    fn check(bytes: &[u8], expected: Result<&[u8], &str>) {
        // No byte is lost at the edges of a buffer, for any buffer size.
        for size in [1, 7, 8192] {
            let mut gzip = Gzip::new(io::BufReader::with_capacity(size, bytes));
            let mut data = Vec::new();
            let read = gzip.read_to_end(&mut data);
            let is_right = gzip.crc() == crc32fast::hash(&data);
            let checked = read.and_then(|_| if is_right { Ok(()) } else { Err(wrong_checksum().into()) });
            match (checked, expected) {
                (Ok(()), expected) => assert_eq!(Ok(&data[..]), expected),
                (Err(error), expected) => assert_eq!(Err(error.to_string().as_str()), expected),
            }
        }
    }

    #[test]
    fn every_part_of_a_header_is_skipped() {
        for flags in 0..32 {
            check(&member(b"data", flags), Ok(b"data"));
        }
        check(&member(b"", 0), Ok(b""));
        check(&member(b"x", 0x20), Err("corrupt gzip: a member's header is invalid"));
        let mut bytes = member(b"data", FHCRC | FNAME);
        bytes[12] ^= 1;
        check(&bytes, Err("corrupt gzip: a member's header has the wrong checksum"));
        let endless = [&member(b"", 0)[..3], &[FNAME], &vec![b'n'; 2 << 20][..]].concat();
        check(&endless, Err("corrupt gzip: a member's header is over 1 MiB"));
    }

    #[test]
    fn the_checksums_of_all_members_count() {
        let (first, last) = (member(b"one", FEXTRA), member(b"three", FNAME));
        check(&[&first[..], &member(b"", 0), &member(b"two", 0), &last].concat(), Ok(b"onetwothree"));
        for at in [first.len() - 8, first.len() - 5] {
            let mut bytes = [&first[..], &last].concat();
            bytes[at] ^= 0x40;
            check(&bytes, Err("corrupt gzip: its data has the wrong checksum"));
        }
        let mut bytes = [&first[..], &last].concat();
        bytes[first.len() - 4] ^= 1;
        check(&bytes, Err("corrupt gzip: a member's data has the wrong length"));
    }

    #[test]
    fn truncation_is_detected_at_every_position() {
        let bytes = member(b"some data", 31);
        for length in 0..bytes.len() {
            check(&bytes[..length], Err("unexpected end of gzip stream"));
        }
        let two = [&bytes[..], &bytes[..1]].concat();
        check(&two, Err("unexpected end of gzip stream"));
    }
}
