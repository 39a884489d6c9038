//! Sparse files in tars: their maps, and their logical content, in which holes are zeros.
//! Source: GNU tar manual, "Storing Sparse Files"; Go's archive/tar `validateSparseEntries`.

use std::io::{self, BufRead, Read};

use crate::source::tar::header::{BLOCK, number};
use crate::source::tar::pax::decimal;

/// The data segments of a sparse file, as (offset, length), in order and without overlap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Map {
    pub segments: Vec<(u64, u64)>,
    /// Size of the file in bytes, holes included.
    pub size: u64,
}

pub(super) const MALFORMED: &str = "malformed sparse map";

/// A map with more segments is rejected: it would need as much memory as the tar itself. Go's reader stops at 1 MiB of
/// map.
pub(super) const MAX_SEGMENTS: usize = 1 << 16;

impl Map {
    /// Checks that the map is ordered, does not overlap, is inside the file, and covers exactly the stored bytes.
    pub fn checked(self, stored: u64) -> Result<Map, &'static str> {
        let (mut end, mut sum) = (0u64, 0u64);
        for (offset, length) in &self.segments {
            if *offset < end {
                return Err(MALFORMED);
            }
            end = offset.checked_add(*length).ok_or(MALFORMED)?;
            sum += length;
        }
        if end > self.size || self.size > i64::MAX as u64 || sum != stored {
            return Err("a sparse map does not match its data");
        }
        Ok(self)
    }

    /// Builds a map from alternating offsets and lengths.
    pub fn from_pairs(numbers: &[u64], size: u64) -> Result<Map, &'static str> {
        if numbers.len() / 2 > MAX_SEGMENTS {
            return Err(MALFORMED);
        }
        Ok(Map { segments: numbers.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect(), size })
    }

    /// Adds the (offset, length) fields of an old GNU header or of one of its extension blocks: 12 octal digits each,
    /// ended by the first empty one.
    pub fn add_fields(&mut self, fields: &[u8]) -> Result<(), &'static str> {
        for field in fields.chunks_exact(24).take_while(|field| field[0] != 0) {
            let (offset, length) = (number(&field[..12]).ok_or(MALFORMED)?, number(&field[12..]).ok_or(MALFORMED)?);
            self.segments.push((offset, length));
        }
        if self.segments.len() > MAX_SEGMENTS { Err(MALFORMED) } else { Ok(()) }
    }
}

/// Reads a map of version 1.0 from the start of the data: lines of decimal numbers, starting with their count, padded
/// to a block. Returns the numbers and the bytes consumed.
pub(super) fn read_map_lines(data: &mut impl Read) -> io::Result<Result<(Vec<u64>, u64), &'static str>> {
    let (mut numbers, mut wanted, mut line, mut taken) = (Vec::new(), None, Vec::new(), 0);
    let mut block = [0; BLOCK];
    while wanted.is_none_or(|wanted| numbers.len() < wanted) {
        data.read_exact(&mut block)?;
        taken += BLOCK as u64;
        for byte in block {
            if byte != b'\n' {
                line.push(byte);
                if line.len() > 20 {
                    return Ok(Err(MALFORMED));
                }
                continue;
            }
            let Some(value) = decimal(&line) else { return Ok(Err(MALFORMED)) };
            line.clear();
            match wanted {
                None if value > MAX_SEGMENTS as u64 => return Ok(Err(MALFORMED)),
                None => wanted = Some(2 * value as usize),
                Some(_) => numbers.push(value),
            }
            if wanted.is_some_and(|wanted| numbers.len() == wanted) {
                break;
            }
        }
    }
    Ok(Ok((numbers, taken)))
}

/// A file's content in the tar: the stored bytes, with zeros for the holes of the map.
pub(super) struct Content<'a, R> {
    pub reader: &'a mut R,
    /// Stored bytes that are not read yet.
    pub left: u64,
    /// Position in the map; `None` for a file without holes.
    pub holes: Option<SparseHoles<'a>>,
    /// The error that the visitor met while reading.
    pub failed: Option<io::Error>,
}

/// Read position in a sparse file.
pub(super) struct SparseHoles<'a> {
    map: &'a Map,
    segment: usize,
    position: u64,
}

impl<'a> SparseHoles<'a> {
    pub fn new(map: &'a Map) -> SparseHoles<'a> {
        SparseHoles { map, segment: 0, position: 0 }
    }

    /// Bytes up to the next change between data and hole, and whether they are data.
    fn run(&mut self) -> (u64, bool) {
        while let Some((offset, length)) = self.map.segments.get(self.segment) {
            if self.position < *offset {
                return (offset - self.position, false);
            }
            let left = offset + length - self.position;
            if left > 0 {
                return (left, true);
            }
            self.segment += 1;
        }
        (self.map.size - self.position, false)
    }
}

/// The content of holes, in parts of this size.
static ZEROS: [u8; 4096] = [0; 4096];

impl<R: BufRead> Content<'_, R> {
    /// Records an error, and returns one of the same kind for the reader.
    fn fail(failed: &mut Option<io::Error>, error: io::Error) -> io::Error {
        let reported = io::Error::new(error.kind(), error.to_string());
        *failed = Some(error);
        reported
    }
}

impl<R: BufRead> Read for Content<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let amount = self.fill_buf()?.read(into)?;
        self.consume(amount);
        Ok(amount)
    }
}

impl<R: BufRead> BufRead for Content<'_, R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if let Some(error) = &self.failed {
            return Err(io::Error::new(error.kind(), error.to_string()));
        }
        let (run, is_stored) = self.holes.as_mut().map_or((self.left, true), SparseHoles::run);
        let run = usize::try_from(run.min(if is_stored { self.left } else { u64::MAX })).unwrap_or(usize::MAX);
        if !is_stored {
            return Ok(&ZEROS[..run.min(ZEROS.len())]);
        }
        if run == 0 {
            return Ok(&[]);
        }
        match self.reader.fill_buf() {
            Ok([]) => Err(Self::fail(&mut self.failed, io::ErrorKind::UnexpectedEof.into())),
            Ok(available) => Ok(&available[..run.min(available.len())]),
            Err(error) => Err(Self::fail(&mut self.failed, error)),
        }
    }

    fn consume(&mut self, amount: usize) {
        let is_stored = match &mut self.holes {
            None => true,
            Some(holes) => {
                let (_, is_stored) = holes.run();
                holes.position += amount as u64;
                is_stored
            }
        };
        if is_stored {
            self.reader.consume(amount);
            self.left -= amount as u64;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(map: &Map, mut stored: &[u8]) -> Vec<u8> {
        let left = stored.len() as u64;
        let mut content = Content { reader: &mut stored, left, holes: Some(SparseHoles::new(map)), failed: None };
        let mut bytes = Vec::new();
        content.read_to_end(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn holes_are_zeros() {
        let map = Map { segments: vec![(2, 3), (7, 1), (9, 0)], size: 10 }.checked(4).unwrap();
        assert_eq!(read(&map, b"abcd"), b"\0\0abc\0\0d\0\0");
        assert_eq!(read(&Map { segments: vec![], size: 3 }, b""), b"\0\0\0");
        assert_eq!(read(&Map { segments: vec![(0, 2)], size: 2 }, b"ab"), b"ab");
    }

    fn check(segments: &[(u64, u64)], size: u64, stored: u64, is_right: bool) {
        let map = Map { segments: segments.to_vec(), size };
        assert_eq!(map.checked(stored).is_ok(), is_right, "{segments:?}");
    }

    #[test]
    fn a_false_map_is_rejected() {
        check(&[(0, 5), (5, 1)], 6, 6, true);
        check(&[(5, 1), (0, 5)], 6, 6, false);
        check(&[(0, 5), (4, 1)], 6, 6, false);
        check(&[(0, 5)], 4, 5, false);
        check(&[(0, 5)], 5, 4, false);
        check(&[(u64::MAX, 5)], 5, 5, false);
    }

    #[test]
    fn map_lines_end_with_their_block() {
        let mut data = b"2\n0\n5\n512\n3\n".to_vec();
        data.resize(512, 0);
        data.extend_from_slice(b"hello");
        let (numbers, taken) = read_map_lines(&mut &data[..]).unwrap().unwrap();
        assert_eq!((numbers, taken), (vec![0, 5, 512, 3], 512));
        for bad in [&b"-1\n"[..], b"x\n", b"99999999999\n", b"1\n\n"] {
            let mut data = bad.to_vec();
            data.resize(512, 0);
            assert!(read_map_lines(&mut &data[..]).unwrap().is_err(), "{}", bad.escape_ascii());
        }
    }
}
