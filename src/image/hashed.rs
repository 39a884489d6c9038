//! Bytes that are hashed as they pass. The hash may run on a thread of its own, over the same buffers that the reader
//! reads from: nothing is copied, and memory is bounded by the buffers that may wait.

use std::io::{self, BufRead, Read};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use super::buffer::{BLOCK, Buffer};
use super::error::LayerError;
use crate::oci::{Digest, Hasher};

/// Buffers that wait for the next thread, at most: a thread that is woken for each of them does little else.
pub(super) const WAITING: usize = 8;

/// What is computed of bytes as they pass.
pub(super) struct Sums {
    hasher: Hasher,
    /// The CRC-32 that gzip keeps of its data.
    crc: Option<crc32fast::Hasher>,
}

impl Sums {
    pub fn digest(hasher: Hasher) -> Sums {
        Sums { hasher, crc: None }
    }

    pub fn digest_and_crc(hasher: Hasher) -> Sums {
        Sums { hasher, crc: Some(crc32fast::Hasher::new()) }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        if let Some(crc) = &mut self.crc {
            crc.update(bytes);
        }
    }

    pub(super) fn finish<R>(self, bytes: u64, inner: R) -> Sum<R> {
        Sum { digest: self.hasher.finish(), crc: self.crc.map(crc32fast::Hasher::finalize), bytes, inner }
    }
}

/// Sums, and who computes them.
pub(super) enum Summing {
    Here(Sums),
    Apart { full: SyncSender<Arc<Buffer>>, thread: JoinHandle<Sums> },
}

impl Summing {
    pub fn apart(mut sums: Sums) -> Summing {
        let (full, incoming) = sync_channel::<Arc<Buffer>>(WAITING);
        let thread = std::thread::spawn(move || {
            for buffer in incoming {
                sums.update(&buffer);
            }
            sums
        });
        Summing::Apart { full, thread }
    }

    pub fn update(&mut self, buffer: &Arc<Buffer>) {
        match self {
            Summing::Here(sums) => sums.update(buffer),
            Summing::Apart { full, .. } => {
                full.send(Arc::clone(buffer)).expect("the sums' thread runs until its sender is gone");
            }
        }
    }

    pub fn finish(self) -> Sums {
        match self {
            Summing::Here(sums) => sums,
            Summing::Apart { full, thread } => {
                drop(full);
                thread.join().expect("hashing does not panic")
            }
        }
    }
}

/// A reader that hashes everything that it reads.
pub(super) trait Hashing: BufRead {
    /// Bytes taken from the inner reader so far.
    fn taken(&self) -> u64;

    /// Reads to the end and gives the digest and the number of all bytes.
    fn finish(self) -> io::Result<(Digest, u64)>;
}

/// A hashed reader that hands back what it reads from, for one that has more to tell than its bytes.
pub(super) trait Plain<R>: BufRead {
    /// Gives up on the hash.
    fn into_inner(self) -> R;

    /// [`Hashing::finish`] that hands back the inner reader, also after an error.
    fn sum(self) -> Result<Sum<R>, Unfinished<R>>;
}

/// A reader that failed before its end.
#[derive(Debug)]
pub(super) struct Unfinished<R> {
    pub cause: io::Error,
    pub inner: R,
}

/// What a hashed reader knows at its end.
pub(super) struct Sum<R> {
    pub digest: Digest,
    pub crc: Option<u32>,
    pub bytes: u64,
    pub inner: R,
}

impl<R> From<Unfinished<R>> for LayerError {
    fn from(unfinished: Unfinished<R>) -> LayerError {
        unfinished.cause.into()
    }
}

/// Hashes what `inner` gives, which is read on the caller's thread.
pub(super) struct Hashed<R> {
    inner: R,
    current: Arc<Buffer>,
    position: usize,
    taken: u64,
    is_at_end: bool,
    /// Taken out only while its place changes.
    summing: Option<Summing>,
}

const ALWAYS: &str = "there are always sums";

impl<R: Read> Hashed<R> {
    pub fn new(inner: R, sums: Sums) -> Hashed<R> {
        let (current, position, taken) = (Arc::default(), 0, 0);
        Hashed { inner, current, position, taken, is_at_end: false, summing: Some(Summing::Here(sums)) }
    }

    /// Puts the next bytes into `current`; at the end it stays as it is, and all read.
    fn refill(&mut self) -> io::Result<()> {
        let buffer = Buffer::fill(&mut self.inner)?;
        self.is_at_end = buffer.len() < BLOCK;
        if buffer.is_empty() {
            self.position = self.current.len();
            return Ok(());
        }
        // Less than a buffer is not worth a thread.
        if !self.is_at_end
            && let Some(Summing::Here(_)) = &self.summing
        {
            self.summing = self.summing.take().map(|summing| Summing::apart(summing.finish()));
        }
        self.taken += buffer.len() as u64;
        (self.current, self.position) = (Arc::new(buffer), 0);
        self.summing.as_mut().expect(ALWAYS).update(&self.current);
        Ok(())
    }
}

impl<R: Read> Plain<R> for Hashed<R> {
    fn into_inner(self) -> R {
        self.inner
    }

    fn sum(mut self) -> Result<Sum<R>, Unfinished<R>> {
        while !self.is_at_end {
            if let Err(cause) = self.refill() {
                return Err(Unfinished { cause, inner: self.inner });
            }
        }
        Ok(self.summing.expect(ALWAYS).finish().finish(self.taken, self.inner))
    }
}

impl<R: Read> Hashing for Hashed<R> {
    fn taken(&self) -> u64 {
        self.taken
    }

    fn finish(self) -> io::Result<(Digest, u64)> {
        self.sum().map(|sum| (sum.digest, sum.bytes)).map_err(|unfinished| unfinished.cause)
    }
}

impl<R: Read> BufRead for Hashed<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.position == self.current.len() && !self.is_at_end {
            self.refill()?;
        }
        Ok(&self.current[self.position..])
    }

    fn consume(&mut self, amount: usize) {
        self.position += amount;
    }
}

impl<R: Read> Read for Hashed<R> {
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

    fn check(length: usize) {
        let bytes: Vec<u8> = (0..length).map(|at| ((at * 31) >> 3) as u8).collect();
        let mut hashed = Hashed::new(&bytes[..], Sums::digest(Hasher::sha256()));
        let mut read = Vec::new();
        hashed.read_to_end(&mut read).unwrap();
        assert_eq!(read, bytes);
        assert_eq!(hashed.finish().unwrap(), (Digest::of(&bytes), length as u64), "{length} bytes");
        let unread = Hashed::new(&bytes[..], Sums::digest(Hasher::sha256())).finish().unwrap();
        assert_eq!(unread.0, Digest::of(&bytes), "{length} bytes nobody reads");
    }

    #[test]
    fn every_byte_is_hashed_read_or_not() {
        for length in [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 3 * BLOCK + 7, 40 * BLOCK + 5] {
            check(length);
        }
    }

    #[test]
    fn an_error_in_the_middle_is_passed_on_and_nothing_hangs() {
        let broken = (&[7u8; 20 * BLOCK][..]).chain(Broken);
        let mut hashed = Hashed::new(broken, Sums::digest(Hasher::sha256()));
        assert!(hashed.read_to_end(&mut Vec::new()).is_err());
        assert!(hashed.sum().is_err_and(|unfinished| unfinished.cause.to_string() == "broken"));
    }

    struct Broken;

    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("broken"))
        }
    }
}
