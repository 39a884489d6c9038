//! Buffers that bytes pass in from one thread to the next. Those that were used are used again, by whichever layer comes:
//! a new one costs a page fault for every 4 KiB, and the one that was given back last is still in the processor's cache.

use std::io::{self, BufRead, Read};
use std::ops::Deref;
use std::sync::{Mutex, PoisonError};

/// Bytes of a buffer: large enough for a decoder to run undisturbed, small enough that a few stay in the cache.
pub(super) const BLOCK: usize = 256 << 10;

/// Buffers that wait for their next use: as many as one layer has on its way.
const MAX_SPARE: usize = 32;

static SPARE: Mutex<Vec<Box<[u8]>>> = Mutex::new(Vec::new());

/// Up to [`BLOCK`] bytes.
#[derive(Default)]
pub(super) struct Buffer {
    /// [`BLOCK`] bytes, or none.
    room: Box<[u8]>,
    filled: usize,
}

impl Buffer {
    /// Reads [`BLOCK`] bytes; less only at the reader's end and before its error, which is then kept in `failed` for the
    /// next call.
    pub fn fill(reader: &mut impl Read, failed: &mut Option<io::Error>) -> io::Result<Buffer> {
        if let Some(error) = failed.take() {
            return Err(error);
        }
        let spare = SPARE.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let room = spare.unwrap_or_else(|| vec![0; BLOCK].into_boxed_slice());
        let mut buffer = Buffer { room, filled: 0 };
        while buffer.filled < BLOCK {
            match reader.read(&mut buffer.room[buffer.filled..]) {
                Ok(0) => break,
                Ok(read) => buffer.filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if buffer.filled == 0 => return Err(error),
                Err(error) => {
                    *failed = Some(error);
                    break;
                }
            }
        }
        Ok(buffer)
    }
}

/// [`Read::read`] for a reader whose bytes lie in such buffers.
pub(super) fn read_buffered(reader: &mut impl BufRead, into: &mut [u8]) -> io::Result<usize> {
    let available = reader.fill_buf()?;
    let amount = available.len().min(into.len());
    into[..amount].copy_from_slice(&available[..amount]);
    reader.consume(amount);
    Ok(amount)
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.room[..self.filled]
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let room = std::mem::take(&mut self.room);
        let mut spare = SPARE.lock().unwrap_or_else(PoisonError::into_inner);
        if room.len() == BLOCK && spare.len() < MAX_SPARE {
            spare.push(room);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_holds_what_was_read_and_nothing_of_its_last_use() {
        let (long, mut failed) = (vec![7; BLOCK + 1], None);
        let mut reader = &long[..];
        drop(Buffer::fill(&mut reader, &mut failed).unwrap());
        assert_eq!(reader.len(), 1);
        assert_eq!(*Buffer::fill(&mut reader, &mut failed).unwrap(), [7]);
        assert!(Buffer::fill(&mut reader, &mut failed).unwrap().is_empty());
        assert!(Buffer::default().is_empty());
    }

    #[test]
    fn an_error_comes_behind_what_was_read_before_it() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("broken"))
            }
        }
        let (mut reader, mut failed) = ((&[7u8; 5][..]).chain(Broken), None);
        assert_eq!(*Buffer::fill(&mut reader, &mut failed).unwrap(), [7; 5]);
        assert_eq!(Buffer::fill(&mut reader, &mut failed).err().unwrap().to_string(), "broken");
    }
}
