//! Reads a tar as a sequence of blocks and members: headers, the extended headers that describe the next member, and
//! skipped data. Every read is bounded.

use std::io::{self, BufRead, Read, Seek};

use tar::Header;

use crate::image::error::LayerError;
use crate::source::tar::header::{self, BLOCK};
use crate::source::tar::pax::Pax;

/// Size limit of PAX headers and GNU long names; Go's reader has the same one.
const MAX_EXTENSION: u64 = 1 << 20;

/// A reader of whole blocks that tracks its offset.
pub struct Blocks<'r, R> {
    pub reader: &'r mut R,
    /// Offset of the last header that was read, for messages.
    start: u64,
    /// Offset of the next byte.
    pub at: u64,
    skip: Skip<R>,
}

/// Skips the given number of bytes of a reader.
type Skip<R> = fn(&mut R, u64) -> Result<(), LayerError>;

/// A member's header and names. One value is reused for all members of a tar, so that names need no allocation.
pub struct TarMember {
    pub header: [u8; BLOCK],
    pub tag: u8,
    pub name: Vec<u8>,
    pub link: Vec<u8>,
    /// Bytes of data in the tar, if the member's type has any.
    pub stored: u64,
    pub(super) pax: Pax,
}

impl TarMember {
    pub fn new() -> TarMember {
        let (name, link, pax) = (Vec::new(), Vec::new(), Pax::default());
        TarMember { header: [0; BLOCK], tag: 0, name, link, stored: 0, pax }
    }

    pub fn header(&self) -> &Header {
        Header::from_byte_slice(&self.header)
    }
}

impl Default for TarMember {
    fn default() -> TarMember {
        TarMember::new()
    }
}

impl<'r, R: BufRead> Blocks<'r, R> {
    pub fn new(reader: &'r mut R) -> Blocks<'r, R> {
        Blocks { reader, start: 0, at: 0, skip: read_over }
    }

    /// Like [`Blocks::new`], for a reader that can seek past skipped data.
    pub fn seeking(reader: &'r mut R) -> Blocks<'r, R>
    where
        R: Seek,
    {
        Blocks { skip: seek_over, ..Blocks::new(reader) }
    }

    /// Reads the next member's header and its extended headers. A GNU name takes precedence over a PAX name, and that
    /// over the header's own. A PAX size applies to the member, not to the headers in between.
    pub fn member(&mut self, member: &mut TarMember) -> Result<Result<(), TarEnd>, LayerError> {
        let (mut pax, mut name, mut link) = (None, None, None);
        loop {
            if let Err(end) = self.header(&mut member.header)? {
                return Ok(Err(end));
            }
            member.stored = self.number(&member.header[124..136])?;
            member.tag = member.header[156];
            match member.tag {
                b'x' => {
                    let records = self.extension(member.stored)?;
                    pax = Some(Pax::parse(&records).map_err(|cause| self.corrupt(cause))?);
                }
                b'L' => name = Some(header::text(&self.extension(member.stored)?).to_vec()),
                b'K' => link = Some(header::text(&self.extension(member.stored)?).to_vec()),
                // Engines do not apply global records.
                b'g' => self.skip_data(member.stored)?,
                _ => break,
            }
        }
        member.pax = pax.unwrap_or_default();
        member.stored = member.pax.size.unwrap_or(member.stored);
        match name.or(member.pax.path.take()) {
            Some(given) => member.name = given,
            None => header::read_name(Header::from_byte_slice(&member.header), &mut member.name),
        }
        match link.or(member.pax.link.take()) {
            Some(given) => member.link = given,
            None => {
                member.link.clear();
                member.link.extend_from_slice(header::text(&member.header[157..257]));
            }
        }
        Ok(Ok(()))
    }

    /// Reads the next block. Returns false if the tar ends between two blocks.
    pub fn next(&mut self, block: &mut [u8; BLOCK]) -> Result<bool, LayerError> {
        self.start = self.at;
        let buffered = self.reader.fill_buf()?;
        if let Some(whole) = buffered.first_chunk::<BLOCK>() {
            *block = *whole;
            self.reader.consume(BLOCK);
            self.at += BLOCK as u64;
            return Ok(true);
        }
        let mut filled = 0;
        while filled < BLOCK {
            match self.reader.read(&mut block[filled..])? {
                0 if filled == 0 => return Ok(false),
                0 => return Err(LayerError::Truncated("tar")),
                read => filled += read,
            }
        }
        self.at += BLOCK as u64;
        Ok(true)
    }

    /// Reads the next header, or returns how the tar ends. As in Go's reader, a lone block of zeros is an error, and
    /// the end of input in place of a header is not.
    pub fn header(&mut self, block: &mut [u8; BLOCK]) -> Result<Result<(), TarEnd>, LayerError> {
        if !self.next(block)? {
            return Ok(Err(TarEnd::Bare));
        }
        if block[0] == 0 && is_zero(block) {
            return match self.next(block)? {
                true if !is_zero(block) => Err(self.corrupt("a lone block of zeros")),
                _ => Ok(Err(TarEnd::Marked)),
            };
        }
        if !header::is_checksum_right(block) {
            return Err(self.corrupt("a header's checksum is wrong"));
        }
        Ok(Ok(()))
    }

    pub fn corrupt(&self, cause: &'static str) -> LayerError {
        LayerError::Tar { at: self.start, cause }
    }

    pub fn number(&self, field: &[u8]) -> Result<u64, LayerError> {
        header::number(field).ok_or_else(|| self.corrupt("a numeric field is not a number"))
    }

    /// Reads the data of a header that describes the next one.
    pub fn extension(&mut self, size: u64) -> Result<Vec<u8>, LayerError> {
        if size > MAX_EXTENSION {
            return Err(self.corrupt("an extended header is over 1 MiB"));
        }
        let mut data = Vec::new();
        (&mut *self.reader).take(size).read_to_end(&mut data)?;
        self.at += data.len() as u64;
        if (data.len() as u64) < size {
            return Err(LayerError::Truncated("tar"));
        }
        self.skip(padding(size))?;
        Ok(data)
    }

    /// Skips a member's data and its padding.
    pub fn skip_data(&mut self, stored: u64) -> Result<(), LayerError> {
        self.skip(stored)?;
        self.skip(padding(stored))
    }

    pub fn skip(&mut self, left: u64) -> Result<(), LayerError> {
        self.at = self.at.saturating_add(left);
        (self.skip)(self.reader, left)
    }
}

fn read_over<R: BufRead>(reader: &mut R, mut left: u64) -> Result<(), LayerError> {
    while left > 0 {
        let available = reader.fill_buf()?.len();
        if available == 0 {
            return Err(LayerError::Truncated("tar"));
        }
        let amount = available.min(usize::try_from(left).unwrap_or(usize::MAX));
        reader.consume(amount);
        left -= amount as u64;
    }
    Ok(())
}

fn seek_over<R: Seek>(reader: &mut R, left: u64) -> Result<(), LayerError> {
    let sought = i64::try_from(left).map_err(|_| io::ErrorKind::UnexpectedEof.into());
    sought.and_then(|left| reader.seek_relative(left)).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => LayerError::Truncated("tar"),
        _ => error.into(),
    })
}

/// How a tar ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TarEnd {
    /// With two blocks of zeros.
    Marked,
    /// At the end of its bytes, without a marker.
    Bare,
}

fn is_zero(block: &[u8; BLOCK]) -> bool {
    block.iter().all(|byte| *byte == 0)
}

/// Number of bytes that fill the last block of data.
pub fn padding(size: u64) -> u64 {
    size.wrapping_neg() % BLOCK as u64
}
