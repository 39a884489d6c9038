//! A layer's stored bytes on their way into its decoder. What has passed is kept for whoever hashes it, in the very
//! buffers that it was read into.

use std::collections::VecDeque;
use std::io::{self, BufRead, Read};
use std::sync::Arc;

use super::buffer::{BLOCK, Buffer};
use crate::oci::Hasher;

/// A buffered reader that keeps what has passed until it is asked for it.
pub(super) struct Intake<R> {
    reader: R,
    current: Arc<Buffer>,
    position: usize,
    taken: u64,
    is_at_end: bool,
    passed: Vec<Arc<Buffer>>,
}

impl<R: Read> Intake<R> {
    pub fn new(reader: R) -> Intake<R> {
        Intake { reader, current: Arc::default(), position: 0, taken: 0, is_at_end: false, passed: Vec::new() }
    }

    /// Bytes read so far.
    pub fn taken(&self) -> u64 {
        self.taken
    }

    /// Hands over what was read since the last call.
    pub fn hand_over(&mut self, to: &mut VecDeque<Arc<Buffer>>) {
        to.extend(self.passed.drain(..));
    }

    pub fn forget_passed(&mut self) {
        self.passed.clear();
    }

    /// The next bytes as they were read, whole; none at the end. Nothing of them may have been read before.
    pub fn buffer(&mut self) -> io::Result<Arc<Buffer>> {
        if self.position == self.current.len() {
            self.refill()?;
        }
        self.position = self.current.len();
        Ok(Arc::clone(&self.current))
    }

    /// Hashes what was read and not handed over, and then all the rest.
    pub fn hash_rest(&mut self, hasher: &mut Hasher) -> io::Result<()> {
        loop {
            for buffer in self.passed.drain(..) {
                hasher.update(&buffer);
            }
            if self.is_at_end {
                return Ok(());
            }
            self.refill()?;
        }
    }

    /// Puts the next bytes into `current`; at the end there are none.
    fn refill(&mut self) -> io::Result<()> {
        (self.current, self.position) = (Arc::default(), 0);
        if self.is_at_end {
            return Ok(());
        }
        let buffer = Buffer::fill(&mut self.reader)?;
        self.is_at_end = buffer.len() < BLOCK;
        self.taken += buffer.len() as u64;
        self.current = Arc::new(buffer);
        self.passed.push(Arc::clone(&self.current));
        Ok(())
    }
}

impl<R: Read> BufRead for Intake<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.position == self.current.len() {
            self.refill()?;
        }
        Ok(&self.current[self.position..])
    }

    fn consume(&mut self, amount: usize) {
        self.position += amount;
    }
}

impl<R: Read> Read for Intake<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let amount = available.len().min(into.len());
        into[..amount].copy_from_slice(&available[..amount]);
        self.consume(amount);
        Ok(amount)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::Digest;

    #[test]
    fn every_byte_passes_once_and_is_hashed_read_or_not() {
        for length in [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 7] {
            let bytes: Vec<u8> = (0..length).map(|at| ((at * 31) >> 3) as u8).collect();
            let mut intake = Intake::new(&bytes[..]);
            let (mut some, mut passed, mut hasher) = (vec![0; length / 2], VecDeque::new(), Hasher::sha256());
            intake.read_exact(&mut some).unwrap();
            assert_eq!(some, bytes[..length / 2]);
            intake.hand_over(&mut passed);
            passed.iter().for_each(|buffer| hasher.update(buffer));
            intake.hash_rest(&mut hasher).unwrap();
            assert_eq!((hasher.finish(), intake.taken()), (Digest::of(&bytes), length as u64));
        }
    }

    #[test]
    fn whole_buffers_are_those_that_were_read() {
        let bytes = vec![7; BLOCK + 5];
        let mut intake = Intake::new(&bytes[..]);
        assert_eq!(intake.fill_buf().unwrap().len(), BLOCK);
        let lengths = [(); 4].map(|()| intake.buffer().unwrap().len());
        assert_eq!(lengths, [BLOCK, 5, 0, 0]);
    }
}
