//! One member of a zip archive, read forward: its header, its content, and the signature of the next member. Nothing is
//! read past the member's end, and decompression stays within the budget. Source: PKWARE's APPNOTE.TXT, sections 4.3
//! and 4.5.

use std::cell::Cell;
use std::io::{self, BufRead, ErrorKind, Read};

use flate2::{Decompress, FlushDecompress, Status};
use scroll::{LE, Pread};

pub const LOCAL: u32 = 0x0403_4b50;
const CENTRAL: u32 = 0x0201_4b50;
const END: u32 = 0x0605_4b50;
const END_64: u32 = 0x0606_4b50;
/// Maximum bytes between two members: a descriptor with a signature, a CRC and two sizes of 8 bytes.
const DESCRIPTOR: usize = 24;
/// Size of a local header after its signature, without name and extra field.
const HEADER: usize = 26;
const ZIP_64: u16 = 1;
const SKIP_BYTES: usize = 16 << 10;

/// A local file header.
pub struct ZipMember {
    pub name: Vec<u8>,
    pub method: u16,
    pub is_encrypted: bool,
    /// Compressed size in bytes. `None` if it is only in the descriptor after the data.
    pub size: Option<u64>,
}

/// The content of a member, decompressed while reading.
pub struct MemberContent<'r, 'b> {
    pub from: &'r mut dyn BufRead,
    /// Remaining compressed bytes, if known.
    pub left: Option<u64>,
    /// `None` if the member is stored.
    pub inflater: Option<Decompress>,
    pub is_ended: bool,
    pub budget: &'b Cell<u64>,
}

/// Skips a data descriptor, if there is one, and reads the next signature. `None` if no known signature follows.
pub fn next_signature(reader: &mut dyn BufRead) -> Option<u32> {
    let mut word = [0; 4];
    fill(reader, &mut word).filter(|len| *len == 4)?;
    let mut word = u32::from_le_bytes(word);
    for _ in 0..=DESCRIPTOR {
        if matches!(word, LOCAL | CENTRAL | END | END_64) {
            return Some(word);
        }
        let mut byte = [0];
        fill(reader, &mut byte).filter(|len| *len == 1)?;
        word = word >> 8 | u32::from(byte[0]) << 24;
    }
    None
}

/// Skips `len` bytes. `None` if there are fewer.
pub fn skip(reader: &mut dyn BufRead, mut len: u64) -> Option<()> {
    while len > 0 {
        let ready = reader.fill_buf().ok().filter(|ready| !ready.is_empty())?;
        let step = ready.len().min(usize::try_from(len).unwrap_or(usize::MAX));
        reader.consume(step);
        len -= step as u64;
    }
    Some(())
}

/// Fills `into` or reads to the end. `None` if the reader failed.
pub fn fill(reader: &mut (impl Read + ?Sized), into: &mut [u8]) -> Option<usize> {
    let mut len = 0;
    while len < into.len() {
        match reader.read(&mut into[len..]) {
            Ok(0) => break,
            Ok(count) => len += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return None,
        }
    }
    Some(len)
}

impl ZipMember {
    /// Reads the header after its signature. `None` if it is truncated.
    pub fn read(reader: &mut dyn BufRead) -> Option<ZipMember> {
        let mut fixed = [0; HEADER];
        fill(reader, &mut fixed).filter(|len| *len == HEADER)?;
        let half = |at: usize| u16::from_le_bytes([fixed[at], fixed[at + 1]]);
        let word = |at: usize| u32::from(half(at)) | u32::from(half(at + 2)) << 16;
        let (flags, method, size) = (half(2), half(4), word(14));
        let mut name = vec![0; usize::from(half(22))];
        let mut extra = vec![0; usize::from(half(24))];
        for part in [&mut name, &mut extra] {
            fill(reader, part).filter(|len| *len == part.len())?;
        }
        let size = match size {
            u32::MAX => zip_64_size(&extra, word(18) == u32::MAX),
            0 if flags & 8 != 0 => None,
            size => Some(u64::from(size)),
        };
        // A size of 0 in the extra field also means that a descriptor follows.
        let size = size.filter(|size| *size > 0 || flags & 8 == 0);
        Some(ZipMember { name, method, is_encrypted: flags & 1 != 0, size })
    }
}

/// The compressed size in the zip64 extra field. It follows the uncompressed size if there is one.
fn zip_64_size(extra: &[u8], has_uncompressed: bool) -> Option<u64> {
    let mut at = 0;
    loop {
        let (id, len) = (extra.pread_with::<u16>(at, LE).ok()?, extra.pread_with::<u16>(at + 2, LE).ok()?);
        if id == ZIP_64 {
            return extra.pread_with(at + 4 + if has_uncompressed { 8 } else { 0 }, LE).ok();
        }
        at += 4 + usize::from(len);
    }
}

impl MemberContent<'_, '_> {
    /// Skips the unread bytes of the member. `None` if its end cannot be found.
    pub fn finish(&mut self) -> Option<()> {
        if let Some(left) = self.left.take() {
            return skip(&mut *self.from, left);
        }
        let mut dropped = vec![0; SKIP_BYTES];
        while fill(self, &mut dropped)? > 0 {}
        Some(())
    }
}

impl Read for MemberContent<'_, '_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while !self.is_ended && !into.is_empty() {
            let ready = self.from.fill_buf()?;
            let limit = self.left.map_or(usize::MAX, |left| usize::try_from(left).unwrap_or(usize::MAX));
            let ready = &ready[..ready.len().min(limit)];
            let is_last = ready.is_empty();
            let (used, given) = match &mut self.inflater {
                None => {
                    let len = ready.len().min(into.len());
                    into[..len].copy_from_slice(&ready[..len]);
                    self.is_ended = is_last;
                    (len, len)
                }
                Some(inflater) => {
                    let (before_in, before_out) = (inflater.total_in(), inflater.total_out());
                    let status = inflater.decompress(ready, into, FlushDecompress::None).map_err(io::Error::other)?;
                    self.is_ended = status == Status::StreamEnd;
                    ((inflater.total_in() - before_in) as usize, (inflater.total_out() - before_out) as usize)
                }
            };
            self.from.consume(used);
            self.left = self.left.map(|left| left - used as u64);
            if self.inflater.is_some() {
                let budget = self.budget.get().checked_sub(given as u64);
                self.budget.set(budget.ok_or(ErrorKind::FileTooLarge)?);
            }
            if given > 0 {
                return Ok(given);
            }
            if is_last && used == 0 && !self.is_ended {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(0)
    }
}
