//! A reader that is read on a thread of its own, ahead of who wants its bytes, and whose every byte is hashed. A blob is
//! read so, and its decoder is: the wait for a disk or a registry, the inflating, and the walk go on at the same time.
//! Memory is bounded by a ring of buffers.

use std::collections::VecDeque;
use std::io::{self, BufRead, Read};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use super::hashed::{BLOCK, Hashing, Plain, RING, Sum, Sums, Unfinished, fill, recycle};
use crate::oci::Digest;

/// A buffered reader whose every byte is hashed, also those that nobody asked for.
pub(super) struct Ahead<R> {
    state: State<R>,
    side: fn(&[u8]) -> Side,
    /// Where the caller hashes, and not the reading thread.
    sums: Option<Sums>,
    current: Block,
    position: usize,
    taken: u64,
}

/// On whose thread bytes are hashed: the one that has less to do with them.
pub(super) enum Side {
    Reader,
    Caller,
}

type Block = Arc<Vec<u8>>;
/// The reader, and the sums where the thread computes them.
type Reading<R> = (R, Option<Sums>);

enum State<R> {
    Fresh(R, Sums),
    Running {
        filled: Receiver<io::Result<Block>>,
        thread: JoinHandle<Reading<R>>,
    },
    /// Everything was read.
    Over(Reading<R>),
    /// The reader failed; the error has been told.
    Failed(Reading<R>),
    /// Only while another state takes its place.
    Between,
}

impl<R: Read + Send + 'static> Ahead<R> {
    /// `side` is told by the first bytes.
    pub fn new(reader: R, sums: Sums, side: fn(&[u8]) -> Side) -> Ahead<R> {
        let (state, current) = (State::Fresh(reader, sums), Arc::default());
        Ahead { state, side, sums: None, current, position: 0, taken: 0 }
    }

    /// Hashes on the caller's thread, for a reader that works.
    pub fn working(reader: R, sums: Sums) -> Ahead<R> {
        Ahead::new(reader, sums, |_| Side::Caller)
    }

    /// Puts the next bytes into `current`; at the end there are none.
    fn refill(&mut self) -> io::Result<()> {
        self.position = 0;
        self.current = Arc::default();
        let (state, outcome) = match std::mem::replace(&mut self.state, State::Between) {
            State::Fresh(reader, sums) => self.first(reader, sums),
            State::Running { filled, thread } => match filled.recv() {
                Ok(Ok(block)) => (State::Running { filled, thread }, Ok(block)),
                Ok(Err(error)) => (State::Failed(join(thread)), Err(error)),
                Err(_) => (State::Over(join(thread)), Ok(Block::default())),
            },
            State::Failed(reading) => (State::Failed(reading), Err(io::Error::other("read on after an error"))),
            state => (state, Ok(Block::default())),
        };
        self.state = state;
        self.current = outcome?;
        self.taken += self.current.len() as u64;
        if let Some(sums) = &mut self.sums {
            sums.update(&self.current);
        }
        Ok(())
    }

    /// Reads the first buffer in place: less than a buffer is not worth a thread.
    fn first(&mut self, mut reader: R, sums: Sums) -> (State<R>, io::Result<Block>) {
        let mut block = Vec::new();
        if let Err(error) = fill(&mut reader, &mut block) {
            return (State::Failed((reader, Some(sums))), Err(error));
        }
        let block = Arc::new(block);
        let is_whole = block.len() < BLOCK;
        let mut sums = Some(sums);
        if is_whole || matches!((self.side)(&block), Side::Caller) {
            self.sums = sums.take();
        }
        if is_whole {
            return (State::Over((reader, None)), Ok(block));
        }
        let (sender, filled) = sync_channel(RING - 3);
        let first = Arc::clone(&block);
        let thread = std::thread::spawn(move || run((reader, sums), first, &sender));
        (State::Running { filled, thread }, Ok(block))
    }
}

fn join<R>(thread: JoinHandle<Reading<R>>) -> Reading<R> {
    match thread.join() {
        Ok(reading) => reading,
        // Whoever isolates a layer's panics does so on the caller's thread.
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// Reads to the end, and hashes where asked to, while whoever holds the receiver goes on.
fn run<R: Read>(
    (mut reader, mut sums): Reading<R>,
    first: Block,
    sender: &SyncSender<io::Result<Block>>,
) -> Reading<R> {
    if let Some(sums) = &mut sums {
        sums.update(&first);
    }
    let mut ring = VecDeque::from([first]);
    loop {
        let mut block = recycle(&mut ring);
        if let Err(error) = fill(&mut reader, &mut block) {
            // Nobody is left to hear of it where the receiver has gone.
            let _ = sender.send(Err(error));
            return (reader, sums);
        }
        let block = Arc::new(block);
        if sender.send(Ok(Arc::clone(&block))).is_err() {
            return (reader, sums);
        }
        if let Some(sums) = &mut sums {
            sums.update(&block);
        }
        if block.len() < BLOCK {
            return (reader, sums);
        }
        ring.push_back(block);
    }
}

impl<R: Read + Send + 'static> Plain<R> for Ahead<R> {
    fn into_inner(self) -> R {
        match self.state {
            State::Running { filled, thread } => {
                drop(filled);
                join(thread).0
            }
            State::Fresh(reader, _) => reader,
            State::Over(reading) | State::Failed(reading) => reading.0,
            State::Between => unreachable!("refill puts the state back"),
        }
    }

    fn sum(mut self) -> Result<Sum<R>, Unfinished<R>> {
        loop {
            match std::mem::replace(&mut self.state, State::Between) {
                State::Over((inner, sums)) => {
                    let sums = sums.or(self.sums).expect("one of the sides hashes");
                    return Ok(sums.finish(self.taken, inner));
                }
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

    type Make<R> = fn(R, Sums) -> Ahead<R>;

    fn reading<R: Read + Send + 'static>(reader: R, sums: Sums) -> Ahead<R> {
        Ahead::new(reader, sums, |_| Side::Reader)
    }

    fn check(length: usize) {
        let bytes: Vec<u8> = (0..length).map(|at| ((at * 31) >> 3) as u8).collect();
        for make in [reading as Make<_>, Ahead::working] {
            let ahead = || make(io::Cursor::new(bytes.clone()), Sums::digest(Hasher::sha256()));
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
        for blocks in [0, 1, 20] {
            let whole = io::Cursor::new(vec![7u8; blocks * BLOCK]);
            let mut ahead = Ahead::working(whole.chain(Broken), Sums::digest(Hasher::sha256()));
            assert_eq!(ahead.read_to_end(&mut Vec::new()).unwrap_err().to_string(), "broken");
            assert_eq!(ahead.into_inner().into_inner().0.position(), (blocks * BLOCK) as u64);
        }
    }

    #[test]
    fn a_reader_that_is_left_alone_ends() {
        let mut ahead = reading(io::repeat(7), Sums::digest(Hasher::sha256()));
        for _ in 0..3 {
            ahead.fill_buf().unwrap();
            ahead.consume(BLOCK);
        }
        ahead.into_inner();
    }

    struct Broken;

    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("broken"))
        }
    }
}
