//! A tar as a row of blocks: headers, extended headers' data, and what is skipped. Every read is bounded.

use std::io::{BufRead, Read};

use super::error::LayerError;
use super::header::{self, BLOCK};

/// PAX headers and GNU long names; Go's reader has the same bound.
const MAX_EXTENSION: u64 = 1 << 20;

/// A reader of whole blocks that knows where it is.
pub(super) struct Blocks<'r, R> {
    pub reader: &'r mut R,
    /// Offset of the header that was read last, for messages.
    start: u64,
    /// Offset of what comes next.
    pub at: u64,
}

impl<'r, R: BufRead> Blocks<'r, R> {
    pub fn new(reader: &'r mut R) -> Blocks<'r, R> {
        Blocks { reader, start: 0, at: 0 }
    }

    /// The next block. `None` where the tar ends between two blocks.
    pub fn next(&mut self) -> Result<Option<[u8; BLOCK]>, LayerError> {
        self.start = self.at;
        let mut block = [0; BLOCK];
        let buffered = self.reader.fill_buf()?;
        if let Some(whole) = buffered.first_chunk::<BLOCK>() {
            block = *whole;
            self.reader.consume(BLOCK);
            self.at += BLOCK as u64;
            return Ok(Some(block));
        }
        let mut filled = 0;
        while filled < BLOCK {
            match self.reader.read(&mut block[filled..])? {
                0 if filled == 0 => return Ok(None),
                0 => return Err(LayerError::Truncated("tar")),
                read => filled += read,
            }
        }
        self.at += BLOCK as u64;
        Ok(Some(block))
    }

    /// The next header; `None` at the end marker. The flag tells an end without a marker.
    /// As Go's reader has it, a lone block of zeros is an error, and an end at a header's place is none.
    pub fn header(&mut self) -> Result<Result<[u8; BLOCK], End>, LayerError> {
        let Some(block) = self.next()? else { return Ok(Err(End::Bare)) };
        if block[0] == 0 && is_zero(&block) {
            return match self.next()? {
                Some(second) if !is_zero(&second) => Err(self.corrupt("a lone block of zeros")),
                _ => Ok(Err(End::Marked)),
            };
        }
        if !header::is_checksum_right(&block) {
            return Err(self.corrupt("a header's checksum is wrong"));
        }
        Ok(Ok(block))
    }

    pub fn corrupt(&self, cause: &'static str) -> LayerError {
        LayerError::Tar { at: self.start, cause }
    }

    pub fn number(&self, field: &[u8]) -> Result<u64, LayerError> {
        header::number(field).ok_or_else(|| self.corrupt("a numeric field holds no number"))
    }

    /// The data of a header that describes the next one.
    pub fn extension(&mut self, size: u64) -> Result<Vec<u8>, LayerError> {
        if size > MAX_EXTENSION {
            return Err(self.corrupt("an extended header of more than 1 MiB"));
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

    pub fn skip(&mut self, mut left: u64) -> Result<(), LayerError> {
        self.at = self.at.saturating_add(left);
        while left > 0 {
            let available = self.reader.fill_buf()?.len();
            if available == 0 {
                return Err(LayerError::Truncated("tar"));
            }
            let amount = available.min(usize::try_from(left).unwrap_or(usize::MAX));
            self.reader.consume(amount);
            left -= amount as u64;
        }
        Ok(())
    }
}

/// How a tar ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// By two blocks of zeros.
    Marked,
    /// By the end of its bytes.
    Bare,
}

fn is_zero(block: &[u8; BLOCK]) -> bool {
    block.iter().all(|byte| *byte == 0)
}

/// Bytes that fill the last block of data.
pub(super) fn padding(size: u64) -> u64 {
    size.wrapping_neg() % BLOCK as u64
}
