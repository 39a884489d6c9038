//! Reads a layer's stored bytes for its decoder. The same buffers go into the hash queue.

use std::io::{self, BufRead, Read};
use std::sync::{Arc, Mutex, PoisonError};

use super::buffer::{BLOCK, Buffer, read_buffered};
use super::scheduler::Scheduler;
use super::stage::StepResult;

/// A buffered reader; the scheduler hashes every byte.
pub struct StoredReader<R> {
    reader: Arc<SharedReader<R>>,
    current: Arc<Buffer>,
    position: usize,
    taken: u64,
    /// Hashes and reads ahead; with `None`, neither happens.
    scheduler: Option<Arc<Scheduler>>,
}

/// The reader of the stored bytes, shared by the threads of the pipeline.
pub(super) struct SharedReader<R>(Mutex<StoredTail<R>>);

struct StoredTail<R> {
    reader: R,
    is_at_end: bool,
    failed: Option<io::Error>,
}

impl<R: Read> SharedReader<R> {
    /// The next bytes; empty at the end.
    pub fn read(&self) -> StepResult {
        let mut unread = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let StoredTail { reader, is_at_end, failed } = &mut *unread;
        if *is_at_end {
            return Ok(Arc::default());
        }
        let buffer = Buffer::fill(reader, failed)?;
        *is_at_end = buffer.len() < BLOCK && failed.is_none();
        Ok(Arc::new(buffer))
    }
}

impl<R: Read> StoredReader<R> {
    pub fn new(reader: R, scheduler: Option<Arc<Scheduler>>) -> StoredReader<R> {
        let reader = Arc::new(SharedReader(Mutex::new(StoredTail { reader, is_at_end: false, failed: None })));
        StoredReader { reader, current: Arc::default(), position: 0, taken: 0, scheduler }
    }

    /// The underlying reader, for reading ahead.
    pub(super) fn reader(&self) -> Arc<SharedReader<R>> {
        Arc::clone(&self.reader)
    }

    /// Bytes consumed so far, excluding those that were read ahead.
    pub fn taken(&self) -> u64 {
        self.taken
    }

    /// The next whole buffer as it was read; empty at the end. Nothing of it may have been consumed before.
    pub(super) fn buffer(&mut self) -> StepResult {
        if self.position == self.current.len() {
            self.refill()?;
        }
        self.position = self.current.len();
        Ok(Arc::clone(&self.current))
    }

    /// Reads to the end.
    pub fn drain(&mut self) -> io::Result<()> {
        self.refill()?;
        while !self.current.is_empty() {
            self.refill()?;
        }
        Ok(())
    }

    /// Replaces `current` with the next bytes; empty at the end.
    fn refill(&mut self) -> io::Result<()> {
        (self.current, self.position) = (Arc::default(), 0);
        self.current = match &self.scheduler {
            Some(scheduler) => scheduler.next_stored(&|| self.reader.read())?,
            None => self.reader.read()?,
        };
        self.taken += self.current.len() as u64;
        Ok(())
    }
}

impl<R: Read> BufRead for StoredReader<R> {
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

impl<R: Read> Read for StoredReader<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        read_buffered(self, into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::pipeline::{Compression, Sums};
    use crate::oci::{Digest, Hasher};

    #[test]
    fn every_byte_is_hashed_read_or_not() {
        for length in [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 40 * BLOCK + 7] {
            let bytes: Vec<u8> = (0..length).map(|at| (at >> 3) as u8).collect();
            let scheduler = Arc::<Scheduler>::default();
            let mut reader = StoredReader::new(&bytes[..], Some(Arc::clone(&scheduler)));
            reader.fill_buf().unwrap();
            scheduler.begin_hashing(Sums::new(Hasher::sha256(), Compression::None));
            let mut some = vec![0; length / 2];
            reader.read_exact(&mut some).unwrap();
            assert_eq!(some, bytes[..length / 2]);
            reader.drain().unwrap();
            assert_eq!(
                (scheduler.finish_hashing().finish().0, reader.taken()),
                (Digest::from_bytes(&bytes), length as u64)
            );
        }
    }

    #[test]
    fn whole_buffers_are_those_that_were_read() {
        let bytes = vec![7; BLOCK + 5];
        let mut reader = StoredReader::new(&bytes[..], None);
        assert_eq!(reader.fill_buf().unwrap().len(), BLOCK);
        let lengths = [(); 4].map(|()| reader.buffer().unwrap().len());
        assert_eq!(lengths, [BLOCK, 5, 0, 0]);
    }
}
