//! Bytes that are hashed as they pass. The hash runs on a thread of its own, over the same buffers that the reader
//! reads from: nothing is copied, and memory is bounded by a ring of buffers.

use std::collections::VecDeque;
use std::io::{self, BufRead, Read};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use super::error::LayerError;
use crate::oci::{Digest, Hasher};

/// Bytes of a buffer: large enough for a decoder to run undisturbed, small enough that a few stay in the cache.
pub(super) const BLOCK: usize = 256 << 10;

/// Buffers in a ring: the reader's own and those that wait for the hash. 6 of them are 1.5 MiB.
pub(super) const RING: usize = 6;

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

/// Hashes what `inner` gives, which is read on the caller's thread.
pub(super) struct Hashed<R> {
    inner: R,
    current: Arc<Vec<u8>>,
    position: usize,
    taken: u64,
    is_at_end: bool,
    state: State,
}

enum State {
    /// What was read so far is `current`, and not yet hashed: less than a buffer is not worth a thread.
    Waiting(Sums),
    Apart {
        full: SyncSender<Arc<Vec<u8>>>,
        ring: VecDeque<Arc<Vec<u8>>>,
        thread: JoinHandle<Sums>,
    },
}

/// A reader that failed before its end.
#[derive(Debug)]
pub(super) struct Unfinished<R> {
    pub cause: io::Error,
    pub inner: R,
}

/// What a [`Hashed`] knows at its end.
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

impl<R: Read> Hashed<R> {
    pub fn new(inner: R, sums: Sums) -> Hashed<R> {
        let (current, position, taken) = (Arc::default(), 0, 0);
        Hashed { inner, current, position, taken, is_at_end: false, state: State::Waiting(sums) }
    }

    /// Puts the next bytes into `current`; at the end it stays as it is, and all read.
    fn refill(&mut self) -> io::Result<()> {
        let mut block = match &mut self.state {
            State::Waiting(_) => Vec::new(),
            State::Apart { ring, .. } => recycle(ring),
        };
        fill(&mut self.inner, &mut block)?;
        self.is_at_end = block.len() < BLOCK;
        if block.is_empty() {
            self.position = self.current.len();
            return Ok(());
        }
        self.taken += block.len() as u64;
        let (block, before) = (Arc::new(block), std::mem::take(&mut self.current));
        if let State::Waiting(sums) = &mut self.state
            && !before.is_empty()
        {
            let sums = std::mem::replace(sums, Sums::digest(Hasher::sha256()));
            self.state = apart(sums, before);
        }
        if let State::Apart { full, ring, .. } = &mut self.state {
            full.send(Arc::clone(&block)).expect("the hash runs until its sender is gone");
            ring.push_back(Arc::clone(&block));
        }
        (self.current, self.position) = (block, 0);
        Ok(())
    }
}

/// Starts the hash's thread with the first buffer.
fn apart(mut sums: Sums, first: Arc<Vec<u8>>) -> State {
    let (full, incoming) = sync_channel::<Arc<Vec<u8>>>(RING - 3);
    let thread = std::thread::spawn(move || {
        sums.update(&first);
        drop(first);
        for block in incoming {
            sums.update(&block);
        }
        sums
    });
    State::Apart { full, ring: VecDeque::new(), thread }
}

/// The oldest buffer once the ring is full, which the other side has done with. Where it has not dropped it quite yet, a
/// new one takes its place.
pub(super) fn recycle(ring: &mut VecDeque<Arc<Vec<u8>>>) -> Vec<u8> {
    if ring.len() < RING {
        return Vec::new();
    }
    ring.pop_front().and_then(|oldest| Arc::try_unwrap(oldest).ok()).unwrap_or_default()
}

/// Fills a buffer up to [`BLOCK`] bytes; less only at the end.
pub(super) fn fill(reader: &mut impl Read, block: &mut Vec<u8>) -> io::Result<()> {
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
        let sums = match self.state {
            State::Waiting(mut sums) => {
                sums.update(&self.current);
                sums
            }
            State::Apart { full, thread, .. } => {
                drop(full);
                thread.join().expect("hashing does not panic")
            }
        };
        Ok(sums.finish(self.taken, self.inner))
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
