//! Buffers that carry bytes from one thread to the next. They are reused across layers: a new one costs a page fault
//! for every 4 KiB, and the one returned last is still in the processor's cache.

use std::io::{self, BufRead, Read};
use std::ops::Deref;
use std::sync::{Mutex, PoisonError};

/// Size of a buffer: large enough for a decoder to run without interruption, small enough that several stay in the
/// cache.
pub(super) const BLOCK: usize = 256 << 10;

/// Number of unused buffers to keep: as many as one layer uses at a time.
const MAX_SPARE: usize = 32;

static SPARE: Mutex<Vec<Box<[u8]>>> = Mutex::new(Vec::new());

/// Up to [`BLOCK`] bytes.
#[derive(Default)]
pub(super) struct Buffer {
    /// [`BLOCK`] bytes, or empty.
    room: Box<[u8]>,
    filled: usize,
}

impl Buffer {
    /// Reads [`BLOCK`] bytes. Returns fewer only at the reader's end or before its error, which is stored in `failed`
    /// for the next call.
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

/// [`Read::read`] for a reader that holds its bytes in such buffers.
pub(super) fn read_buffered(reader: &mut impl BufRead, into: &mut [u8]) -> io::Result<usize> {
    let available = reader.fill_buf()?;
    let amount = available.len().min(into.len());
    into[..amount].copy_from_slice(&available[..amount]);
    reader.consume(amount);
    Ok(amount)
}

impl Deref for Buffer {
    type Target = [u8];

    #[inline]
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
    fn a_reused_buffer_holds_only_new_bytes() {
        let (long, mut failed) = (vec![7; BLOCK + 1], None);
        let mut reader = &long[..];
        drop(Buffer::fill(&mut reader, &mut failed).unwrap());
        assert_eq!(reader.len(), 1);
        assert_eq!(*Buffer::fill(&mut reader, &mut failed).unwrap(), [7]);
        assert!(Buffer::fill(&mut reader, &mut failed).unwrap().is_empty());
        assert!(Buffer::default().is_empty());
    }

    #[test]
    fn an_error_comes_after_the_bytes_read_before_it() {
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
