//! A reader that is read on a thread of its own, ahead of who wants its bytes, and whose every byte is hashed. A blob is
//! read so, and its decoder is: the wait for a disk or a registry, the inflating, the walk and the hash of what was
//! inflated go on at the same time. Memory is bounded by the buffers that may wait.

use std::io::{self, BufRead, Read};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use super::buffer::{BLOCK, Buffer};
use super::hashed::{Hashing, Plain, Sum, Summing, Sums, Unfinished, WAITING};
use crate::oci::Digest;

/// A buffered reader whose every byte is hashed, also those that nobody asked for.
pub(super) struct Ahead<R> {
    state: State<R>,
    threads: fn(&[u8]) -> Threads,
    current: Arc<Buffer>,
    position: usize,
    taken: u64,
}

/// Which work is done apart from the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Threads {
    /// None: what is small is read, decoded and walked sooner than threads start.
    None,
    /// One reads and hashes.
    Reading,
    /// One reads, and another one hashes.
    ReadingAndHashing,
}

enum State<R> {
    Fresh(R, Sums),
    /// Read on the caller's thread.
    Here(R, Sums),
    Running {
        filled: Receiver<io::Result<Arc<Buffer>>>,
        thread: JoinHandle<(R, Option<Sums>)>,
        /// Where the reading thread does not hash.
        summing: Option<Summing>,
    },
    /// Everything was read.
    Over(R, Sums),
    /// The reader failed; the error has been told.
    Failed(R),
    /// Only while another state takes its place.
    Between,
}

impl<R: Read + Send + 'static> Ahead<R> {
    /// `threads` is told by the first bytes.
    pub fn new(reader: R, sums: Sums, threads: fn(&[u8]) -> Threads) -> Ahead<R> {
        Ahead { state: State::Fresh(reader, sums), threads, current: Arc::default(), position: 0, taken: 0 }
    }

    /// Puts the next bytes into `current`; at the end there are none.
    fn refill(&mut self) -> io::Result<()> {
        self.position = 0;
        self.current = Arc::default();
        let (state, outcome) = match std::mem::replace(&mut self.state, State::Between) {
            State::Fresh(reader, sums) => first(reader, sums, self.threads),
            State::Here(reader, sums) => here(reader, sums),
            State::Running { filled, thread, summing } => running(filled, thread, summing),
            State::Failed(reader) => (State::Failed(reader), Err(io::Error::other("read on after an error"))),
            state => (state, Ok(Arc::default())),
        };
        self.state = state;
        self.current = outcome?;
        self.taken += self.current.len() as u64;
        Ok(())
    }
}

/// What comes next, and the state that is left.
type Next<R> = (State<R>, io::Result<Arc<Buffer>>);

/// Reads the first buffer in place: less than a buffer is not worth a thread.
fn first<R: Read + Send + 'static>(mut reader: R, sums: Sums, threads: fn(&[u8]) -> Threads) -> Next<R> {
    let buffer = match Buffer::fill(&mut reader) {
        Ok(buffer) => Arc::new(buffer),
        Err(error) => return (State::Failed(reader), Err(error)),
    };
    let threads = if buffer.len() < BLOCK { Threads::None } else { threads(&buffer) };
    let (mut with_reader, mut summing) = match threads {
        Threads::None => return summed(reader, sums, buffer),
        Threads::Reading => (Some(sums), None),
        Threads::ReadingAndHashing => (None, Some(Summing::apart(sums))),
    };
    if let Some(summing) = &mut summing {
        summing.update(&buffer);
    }
    let (sender, filled) = sync_channel(WAITING);
    let first = Arc::clone(&buffer);
    let thread = std::thread::spawn(move || {
        if let Some(sums) = &mut with_reader {
            sums.update(&first);
        }
        drop(first);
        read_all(&mut reader, &mut with_reader, &sender);
        (reader, with_reader)
    });
    (State::Running { filled, thread, summing }, Ok(buffer))
}

/// Reads the next buffer in place.
fn here<R: Read>(mut reader: R, sums: Sums) -> Next<R> {
    match Buffer::fill(&mut reader) {
        Ok(buffer) => summed(reader, sums, Arc::new(buffer)),
        Err(error) => (State::Failed(reader), Err(error)),
    }
}

fn summed<R>(reader: R, mut sums: Sums, buffer: Arc<Buffer>) -> Next<R> {
    sums.update(&buffer);
    let is_last = buffer.len() < BLOCK;
    (if is_last { State::Over(reader, sums) } else { State::Here(reader, sums) }, Ok(buffer))
}

/// Waits for the reading thread.
fn running<R>(
    filled: Receiver<io::Result<Arc<Buffer>>>,
    thread: JoinHandle<(R, Option<Sums>)>,
    mut summing: Option<Summing>,
) -> Next<R> {
    match filled.recv() {
        Ok(Ok(buffer)) => {
            if let Some(summing) = &mut summing {
                summing.update(&buffer);
            }
            (State::Running { filled, thread, summing }, Ok(buffer))
        }
        Ok(Err(error)) => (State::Failed(join(thread).0), Err(error)),
        Err(_) => {
            let (reader, sums) = join(thread);
            let sums = sums.or_else(|| summing.map(Summing::finish)).expect("one of the threads hashes");
            (State::Over(reader, sums), Ok(Arc::default()))
        }
    }
}

fn join<T>(thread: JoinHandle<T>) -> T {
    match thread.join() {
        Ok(value) => value,
        // Whoever isolates a layer's panics does so on the caller's thread.
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// Reads to the end, and hashes where asked to, while whoever holds the receiver goes on.
fn read_all(reader: &mut impl Read, sums: &mut Option<Sums>, sender: &SyncSender<io::Result<Arc<Buffer>>>) {
    loop {
        let buffer = match Buffer::fill(reader) {
            Ok(buffer) => Arc::new(buffer),
            Err(error) => {
                // Nobody is left to hear of it where the receiver has gone.
                let _ = sender.send(Err(error));
                return;
            }
        };
        if sender.send(Ok(Arc::clone(&buffer))).is_err() {
            return;
        }
        if let Some(sums) = sums {
            sums.update(&buffer);
        }
        if buffer.len() < BLOCK {
            return;
        }
    }
}

impl<R: Read + Send + 'static> Plain<R> for Ahead<R> {
    fn into_inner(self) -> R {
        match self.state {
            State::Running { filled, thread, .. } => {
                drop(filled);
                join(thread).0
            }
            State::Fresh(reader, _) | State::Here(reader, _) | State::Over(reader, _) | State::Failed(reader) => reader,
            State::Between => unreachable!("refill puts the state back"),
        }
    }

    fn sum(mut self) -> Result<Sum<R>, Unfinished<R>> {
        loop {
            match std::mem::replace(&mut self.state, State::Between) {
                State::Over(inner, sums) => return Ok(sums.finish(self.taken, inner)),
                state => self.state = state,
            }
            if let Err(cause) = self.refill() {
                return Err(Unfinished { cause, inner: self.into_inner() });
            }
        }
    }
}

impl<R: Read + Send + 'static> Hashing for Ahead<R> {
    fn taken(&self) -> u64 {
        self.taken
    }

    fn finish(self) -> io::Result<(Digest, u64)> {
        self.sum().map(|sum| (sum.digest, sum.bytes)).map_err(|unfinished| unfinished.cause)
    }
}

impl<R: Read + Send + 'static> BufRead for Ahead<R> {
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

impl<R: Read + Send + 'static> Read for Ahead<R> {
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
    use crate::oci::Hasher;

    const ALL: [fn(&[u8]) -> Threads; 3] = [|_| Threads::None, |_| Threads::Reading, |_| Threads::ReadingAndHashing];

    fn check(length: usize) {
        let bytes: Vec<u8> = (0..length).map(|at| ((at * 31) >> 3) as u8).collect();
        for threads in ALL {
            let ahead = || Ahead::new(io::Cursor::new(bytes.clone()), Sums::digest(Hasher::sha256()), threads);
            let (mut all, mut read) = (ahead(), Vec::new());
            all.read_to_end(&mut read).unwrap();
            assert_eq!(read, bytes);
            let expected = (Digest::of(&bytes), length as u64);
            assert_eq!(all.finish().unwrap(), expected, "{length} bytes");
            assert_eq!(ahead().finish().unwrap(), expected, "{length} bytes nobody reads");
            let mut some = ahead();
            assert_eq!(some.fill_buf().unwrap().len(), length.min(BLOCK));
            assert_eq!(some.finish().unwrap(), expected, "{length} bytes, some of them read");
        }
    }

    #[test]
    fn every_byte_is_hashed_read_or_not() {
        for length in [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 3 * BLOCK + 7, 40 * BLOCK + 5] {
            check(length);
        }
    }

    #[test]
    fn an_error_in_the_middle_is_passed_on_and_the_reader_comes_back() {
        for (blocks, threads) in [0, 1, 20].into_iter().flat_map(|blocks| ALL.map(|threads| (blocks, threads))) {
            let whole = io::Cursor::new(vec![7u8; blocks * BLOCK]);
            let mut ahead = Ahead::new(whole.chain(Broken), Sums::digest(Hasher::sha256()), threads);
            assert_eq!(ahead.read_to_end(&mut Vec::new()).unwrap_err().to_string(), "broken");
            assert_eq!(ahead.into_inner().into_inner().0.position(), (blocks * BLOCK) as u64);
        }
    }

    #[test]
    fn a_reader_that_is_left_alone_ends() {
        for threads in ALL {
            let mut ahead = Ahead::new(io::repeat(7), Sums::digest(Hasher::sha256()), threads);
            for _ in 0..3 {
                ahead.fill_buf().unwrap();
                ahead.consume(BLOCK);
            }
            ahead.into_inner();
        }
    }

    struct Broken;

    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("broken"))
        }
    }
}
