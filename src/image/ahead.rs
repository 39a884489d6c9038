//! A blob's stored bytes, read and hashed on a thread of their own, ahead of who decodes them: the wait for a disk or a
//! registry and the hash cost the decoder nothing. Memory is bounded by a ring of buffers.

use std::collections::VecDeque;
use std::io::{self, BufRead, Read};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use super::hashed::{BLOCK, Hashing, RING, fill, recycle};
use crate::oci::{Digest, Hasher};

/// A buffered reader whose every byte is hashed, also those that nobody asked for.
pub(super) struct Ahead {
    state: State,
    current: Arc<Vec<u8>>,
    position: usize,
    taken: u64,
}

enum State {
    Fresh(Box<dyn Read + Send>, Hasher),
    Running {
        filled: Receiver<io::Result<Arc<Vec<u8>>>>,
        thread: JoinHandle<Hasher>,
    },
    /// Everything was read.
    Over(Hasher),
    /// The reader failed, or another state takes its place.
    Lost,
}

impl Ahead {
    pub fn new(reader: Box<dyn Read + Send>, hasher: Hasher) -> Ahead {
        Ahead { state: State::Fresh(reader, hasher), current: Arc::default(), position: 0, taken: 0 }
    }

    /// Puts the next bytes into `current`; at the end there are none.
    fn refill(&mut self) -> io::Result<()> {
        self.position = 0;
        self.current = Arc::default();
        match std::mem::replace(&mut self.state, State::Lost) {
            State::Fresh(mut reader, mut hasher) => {
                let mut block = Vec::new();
                fill(&mut reader, &mut block)?;
                self.current = Arc::new(block);
                // A blob of less than a buffer is not worth a thread.
                if self.current.len() < BLOCK {
                    hasher.update(&self.current);
                    self.state = State::Over(hasher);
                } else {
                    let (sender, filled) = sync_channel(RING - 3);
                    let first = Arc::clone(&self.current);
                    let thread = std::thread::spawn(move || run(reader, hasher, first, &sender));
                    self.state = State::Running { filled, thread };
                }
            }
            State::Running { filled, thread } => match filled.recv() {
                Ok(block) => {
                    self.current = block?;
                    self.state = State::Running { filled, thread };
                }
                Err(_) => self.state = State::Over(thread.join().expect("reading and hashing do not panic")),
            },
            State::Over(hasher) => self.state = State::Over(hasher),
            State::Lost => return Err(io::Error::other("it was read on after an error")),
        }
        self.taken += self.current.len() as u64;
        Ok(())
    }
}

/// Reads to the end and hashes, while whoever holds the receiver goes on.
fn run(
    mut reader: Box<dyn Read + Send>,
    mut hasher: Hasher,
    first: Arc<Vec<u8>>,
    sender: &SyncSender<io::Result<Arc<Vec<u8>>>>,
) -> Hasher {
    hasher.update(&first);
    let mut ring = VecDeque::from([first]);
    loop {
        let mut block = recycle(&mut ring);
        if let Err(error) = fill(&mut reader, &mut block) {
            // Nobody is left to hear of it where the receiver has gone.
            let _ = sender.send(Err(error));
            return hasher;
        }
        let block = Arc::new(block);
        let is_last = block.len() < BLOCK;
        if sender.send(Ok(Arc::clone(&block))).is_err() {
            return hasher;
        }
        hasher.update(&block);
        if is_last {
            return hasher;
        }
        ring.push_back(block);
    }
}

impl Hashing for Ahead {
    fn taken(&self) -> u64 {
        self.taken
    }

    fn finish(mut self) -> io::Result<(Digest, u64)> {
        loop {
            match std::mem::replace(&mut self.state, State::Lost) {
                State::Over(hasher) => return Ok((hasher.finish(), self.taken)),
                state => self.state = state,
            }
            self.refill()?;
        }
    }
}

impl BufRead for Ahead {
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

impl Read for Ahead {
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
        let ahead = || Ahead::new(Box::new(io::Cursor::new(bytes.clone())), Hasher::sha256());
        let (mut all, mut read) = (ahead(), Vec::new());
        all.read_to_end(&mut read).unwrap();
        assert_eq!(read, bytes);
        assert_eq!(all.finish().unwrap(), (Digest::of(&bytes), length as u64), "{length} bytes");
        assert_eq!(ahead().finish().unwrap(), (Digest::of(&bytes), length as u64), "{length} bytes nobody reads");
        let mut some = ahead();
        assert_eq!(some.fill_buf().unwrap().len(), length.min(BLOCK));
        assert_eq!(some.finish().unwrap(), (Digest::of(&bytes), length as u64), "{length} bytes, some of them read");
    }

    #[test]
    fn every_byte_is_hashed_read_or_not() {
        for length in [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 3 * BLOCK + 7, 40 * BLOCK + 5] {
            check(length);
        }
    }

    #[test]
    fn an_error_in_the_middle_is_passed_on_once_and_nothing_hangs() {
        for blocks in [0, 1, 20] {
            let whole = io::Cursor::new(vec![7u8; blocks * BLOCK]);
            let mut ahead = Ahead::new(Box::new(whole.chain(Broken)), Hasher::sha256());
            assert_eq!(ahead.read_to_end(&mut Vec::new()).unwrap_err().to_string(), "broken");
            assert!(ahead.finish().is_err());
        }
    }

    #[test]
    fn a_reader_that_is_left_alone_ends() {
        let endless = Box::new(io::repeat(7));
        let mut ahead = Ahead::new(endless, Hasher::sha256());
        ahead.fill_buf().unwrap();
        ahead.consume(BLOCK);
        ahead.fill_buf().unwrap();
        let State::Running { filled, thread } = ahead.state else { panic!("it runs") };
        drop(filled);
        thread.join().unwrap();
    }

    struct Broken;

    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("broken"))
        }
    }
}
