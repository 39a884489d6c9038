//! Bytes that are hashed as they pass. The hash runs on a thread of its own, over the same buffers that the reader
//! reads from: nothing is copied, and memory is bounded by a ring of buffers.

use std::io::{self, BufRead, Read};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use super::error::LayerError;
use crate::oci::{Digest, Hasher};

/// Bytes of a buffer: large enough for a decoder to run undisturbed, small enough that a few stay in the cache.
const BLOCK: usize = 128 << 10;

/// Buffers in the ring: the reader's own and those that wait for the hash. 8 of them are 1 MiB.
const RING: usize = 8;

/// A buffered reader whose every byte is hashed, also those that nobody asked for.
pub(super) struct Hashed<R> {
    inner: R,
    current: Arc<Vec<u8>>,
    position: usize,
    total: u64,
    is_at_end: bool,
    hashing: Hashing,
}

/// A layer of less than a buffer is not worth a thread.
enum Hashing {
    /// What was read so far is `current`, and not yet hashed.
    Later(Hasher),
    Apart(Apart),
    /// Only between two states.
    Nowhere,
}

struct Apart {
    full: SyncSender<Arc<Vec<u8>>>,
    hashed: Receiver<Arc<Vec<u8>>>,
    /// Buffers that may still be made.
    left: usize,
    thread: JoinHandle<Hasher>,
}

/// What a [`Hashed`] knows at its end.
pub(super) struct Sum<R> {
    pub digest: Digest,
    pub bytes: u64,
    pub inner: R,
}

/// A reader that failed before its end.
#[derive(Debug)]
pub(super) struct Unfinished<R> {
    pub cause: io::Error,
    pub inner: R,
}

impl<R> From<Unfinished<R>> for LayerError {
    fn from(unfinished: Unfinished<R>) -> LayerError {
        unfinished.cause.into()
    }
}

impl<R: Read> Hashed<R> {
    pub fn new(inner: R, hasher: Hasher) -> Hashed<R> {
        let (current, position, total) = (Arc::new(Vec::new()), 0, 0);
        Hashed { inner, current, position, total, is_at_end: false, hashing: Hashing::Later(hasher) }
    }

    /// Bytes taken from the inner reader so far.
    pub fn taken(&self) -> u64 {
        self.total
    }

    /// Gives up on the hash.
    pub fn into_inner(self) -> R {
        self.inner
    }

    /// Reads to the end and gives the digest of everything.
    pub fn finish(mut self) -> Result<Sum<R>, Unfinished<R>> {
        while !self.is_at_end {
            if let Err(cause) = self.refill() {
                return Err(Unfinished { cause, inner: self.inner });
            }
        }
        let hasher = match self.hashing {
            Hashing::Later(mut hasher) => {
                hasher.update(&self.current);
                hasher
            }
            Hashing::Apart(apart) => {
                drop(apart.full);
                apart.thread.join().expect("hashing does not panic")
            }
            Hashing::Nowhere => unreachable!("refill puts the state back"),
        };
        Ok(Sum { digest: hasher.finish(), bytes: self.total, inner: self.inner })
    }

    /// Puts the next bytes into `current`; at the end it stays as it is.
    fn refill(&mut self) -> io::Result<()> {
        let mut block = match &mut self.hashing {
            Hashing::Apart(apart) if apart.left == 0 => {
                // The reader's share of a buffer ends before it asks for the next one.
                self.current = Arc::default();
                let hashed = apart.hashed.recv().expect("the hash runs until its sender is gone");
                Arc::try_unwrap(hashed).expect("the reader keeps no buffer but the current")
            }
            Hashing::Apart(apart) => {
                apart.left -= 1;
                Vec::with_capacity(BLOCK)
            }
            _ => Vec::with_capacity(BLOCK),
        };
        fill(&mut self.inner, &mut block)?;
        self.is_at_end = block.len() < BLOCK;
        self.total += block.len() as u64;
        if block.is_empty() {
            // The first buffer waits to be hashed by `finish`.
            if let Hashing::Apart(_) = self.hashing {
                (self.current, self.position) = (Arc::default(), 0);
            } else {
                self.position = self.current.len();
            }
            return Ok(());
        }
        let block = Arc::new(block);
        match std::mem::replace(&mut self.hashing, Hashing::Nowhere) {
            Hashing::Later(hasher) if self.current.is_empty() => self.hashing = Hashing::Later(hasher),
            Hashing::Later(hasher) => {
                let apart = Apart::start(hasher);
                apart.send(&self.current);
                apart.send(&block);
                self.hashing = Hashing::Apart(apart);
            }
            Hashing::Apart(apart) => {
                apart.send(&block);
                self.hashing = Hashing::Apart(apart);
            }
            Hashing::Nowhere => unreachable!("refill puts the state back"),
        }
        (self.current, self.position) = (block, 0);
        Ok(())
    }
}

impl Apart {
    fn start(mut hasher: Hasher) -> Apart {
        let (full, incoming) = sync_channel::<Arc<Vec<u8>>>(RING);
        let (done, hashed) = sync_channel(RING);
        let thread = std::thread::spawn(move || {
            for block in incoming {
                hasher.update(&block);
                // The reader may have gone, which is no matter of the hash.
                let _ = done.send(block);
            }
            hasher
        });
        // The two first buffers are made already.
        Apart { full, hashed, left: RING - 2, thread }
    }

    fn send(&self, block: &Arc<Vec<u8>>) {
        self.full.send(Arc::clone(block)).expect("the hash runs until its sender is gone");
    }
}

/// Fills a buffer up to [`BLOCK`] bytes; less only at the end.
fn fill(reader: &mut impl Read, block: &mut Vec<u8>) -> io::Result<()> {
    block.resize(BLOCK, 0);
    let mut filled = 0;
    while filled < BLOCK {
        match reader.read(&mut block[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    block.truncate(filled);
    Ok(())
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
        let mut hashed = Hashed::new(&bytes[..], Hasher::sha256());
        let mut read = Vec::new();
        hashed.read_to_end(&mut read).unwrap();
        assert_eq!(read, bytes);
        let sum = hashed.finish().unwrap();
        assert_eq!((sum.digest, sum.bytes), (Digest::of(&bytes), length as u64), "{length} bytes");
        let unread = Hashed::new(&bytes[..], Hasher::sha256()).finish().unwrap();
        assert_eq!(unread.digest, Digest::of(&bytes), "{length} bytes nobody reads");
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
        let mut hashed = Hashed::new(broken, Hasher::sha256());
        assert!(hashed.read_to_end(&mut Vec::new()).is_err());
    }

    struct Broken;

    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("broken"))
        }
    }
}
