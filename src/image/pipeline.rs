//! A layer's bytes on their way from its blob to the walk of its tar. Two kinds of work stand between: decoding, and
//! hashing what was decoded and what it was decoded from. Neither can be divided, for each piece needs the one before;
//! but they can go on at the same time. Whoever has nothing else to do takes what is to be done next: helpers, and the
//! walk itself where the bytes that it wants are not there yet. So no processor waits while there is work, threads are
//! seldom put to sleep, and a layer that is too small for a helper is read by the same code. Memory is bounded by the
//! buffers that may wait.

use std::any::Any;
use std::collections::VecDeque;
use std::io::{self, BufRead, Read};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use super::buffer::Buffer;
use super::decompress::Decoder;
use super::sums::{Sums, Unhashed};

/// Decoded buffers that wait for the walk, at most.
const ROOM: usize = 8;
/// Decoded buffers that wait to be hashed, at most.
const UNHASHED: usize = 12;
/// Buffers of each kind that are hashed at a time: others may want to go on meanwhile.
const AT_A_TIME: usize = 2;

/// The walk's end of the pipeline: a reader of the tar.
pub(super) struct Pipeline<R: Read> {
    shared: Arc<Shared<R>>,
    helpers: Vec<JoinHandle<()>>,
    current: Arc<Buffer>,
    position: usize,
}

/// What is left when the bytes have passed.
pub(super) struct Finished<R: Read> {
    pub decoder: Decoder<R>,
    pub sums: Sums,
    /// Bytes of the tar.
    pub produced: u64,
    /// What decoding ended with, where the walk has not been told.
    pub outcome: io::Result<()>,
}

struct Shared<R: Read> {
    state: Mutex<State<R>>,
    changed: Condvar,
}

struct State<R: Read> {
    /// Not here while somebody decodes.
    decoder: Option<Box<Decoder<R>>>,
    /// Not here while somebody hashes.
    sums: Option<Box<Sums>>,
    decoded: VecDeque<Arc<Buffer>>,
    unhashed: Unhashed,
    wants_tar: bool,
    produced: u64,
    /// There once decoding is over.
    outcome: Option<io::Result<()>>,
    /// Nobody wants the rest.
    is_stopped: bool,
    /// Threads that wait for a change.
    waiting: usize,
    /// What a helper panicked with.
    panic: Option<Box<dyn Any + Send>>,
}

enum Task<R: Read> {
    Decode(Box<Decoder<R>>),
    Hash(Box<Sums>, Unhashed),
}

/// What is looked for first: each thread goes on with what its processor has in its cache.
#[derive(Clone, Copy)]
enum First {
    Decoding,
    Hashing,
}

impl<R: Read> Pipeline<R> {
    /// One whose work is all done by the thread that reads from it.
    pub fn alone(decoder: Decoder<R>, sums: Sums) -> Pipeline<R> {
        let state = State {
            wants_tar: sums.wants_tar(),
            decoder: Some(Box::new(decoder)),
            sums: Some(Box::new(sums)),
            decoded: VecDeque::with_capacity(ROOM),
            unhashed: Unhashed::default(),
            produced: 0,
            outcome: None,
            is_stopped: false,
            waiting: 0,
            panic: None,
        };
        let shared = Shared { state: Mutex::new(state), changed: Condvar::new() };
        Pipeline { shared: Arc::new(shared), helpers: Vec::new(), current: Arc::default(), position: 0 }
    }

    /// Reads and hashes to the end, whether or not the walk wanted all of it.
    pub fn finish(mut self) -> Finished<R> {
        self.complete(|state| state.outcome.is_some())
    }

    /// Decodes no more than was decoded, and hashes that.
    pub fn stop(mut self) -> Finished<R> {
        self.shared.lock().is_stopped = true;
        self.complete(|_| true)
    }

    fn complete(&mut self, is_decoded: impl Fn(&State<R>) -> bool) -> Finished<R> {
        let mut state = self.shared.lock();
        loop {
            state.decoded.clear();
            let is_idle = state.unhashed.is_empty() && state.sums.is_some() && state.decoder.is_some();
            if is_idle && is_decoded(&state) {
                break;
            }
            state = self.shared.work_or_wait(state, First::Hashing);
        }
        let decoder = *state.decoder.take().expect("nobody decodes");
        let sums = *state.sums.take().expect("nobody hashes");
        let outcome = state.outcome.take().unwrap_or(Ok(()));
        Finished { decoder, sums, produced: state.produced, outcome }
    }

    /// Puts the next bytes into `current`; at the end there are none.
    fn refill(&mut self) -> io::Result<()> {
        (self.current, self.position) = (Arc::default(), 0);
        let mut state = self.shared.lock();
        loop {
            if let Some(buffer) = state.decoded.pop_front() {
                self.current = buffer;
                // Who waits for room is woken when there is enough of it to be worth that.
                if state.waiting > 0 && state.decoded.len() <= ROOM / 2 {
                    self.shared.changed.notify_all();
                }
                return Ok(());
            }
            if let Some(outcome) = &mut state.outcome {
                return std::mem::replace(outcome, Ok(()));
            }
            state = self.shared.work_or_wait(state, First::Hashing);
        }
    }
}

impl<R: Read + Send + 'static> Pipeline<R> {
    /// One with `helpers` threads beside the one that reads from it.
    pub fn helped(decoder: Decoder<R>, sums: Sums, helpers: usize) -> Pipeline<R> {
        let mut pipeline = Pipeline::alone(decoder, sums);
        for _ in 0..helpers {
            let shared = Arc::clone(&pipeline.shared);
            pipeline.helpers.push(std::thread::spawn(move || shared.help()));
        }
        pipeline
    }
}

impl<R: Read> Shared<R> {
    fn lock(&self) -> MutexGuard<'_, State<R>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn help(&self) {
        let helped = catch_unwind(AssertUnwindSafe(|| {
            let mut state = self.lock();
            while !state.is_over() {
                state = self.work_or_wait(state, First::Decoding);
            }
        }));
        if let Err(panic) = helped {
            // Whoever isolates a layer's panics does so on the walk's thread.
            self.lock().panic = Some(panic);
            self.changed.notify_all();
        }
    }

    /// Does what is to be done next; where that is nothing, waits for a change.
    fn work_or_wait<'s>(&'s self, mut state: MutexGuard<'s, State<R>>, first: First) -> MutexGuard<'s, State<R>> {
        if let Some(panic) = state.panic.take() {
            drop(state);
            resume_unwind(panic);
        }
        let Some(task) = state.next(first) else {
            state.waiting += 1;
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.waiting -= 1;
            return state;
        };
        drop(state);
        let state = match task {
            Task::Decode(mut decoder) => {
                let decoded = decoder.buffer();
                let mut state = self.lock();
                state.take_in(decoded, &mut decoder);
                state.decoder = Some(decoder);
                state
            }
            Task::Hash(mut sums, bytes) => {
                sums.update(&bytes);
                drop(bytes);
                let mut state = self.lock();
                state.sums = Some(sums);
                state
            }
        };
        if state.waiting > 0 {
            self.changed.notify_all();
        }
        state
    }
}

impl<R: Read> State<R> {
    fn is_over(&self) -> bool {
        (self.is_stopped || self.outcome.is_some()) && self.unhashed.is_empty()
    }

    fn next(&mut self, first: First) -> Option<Task<R>> {
        match first {
            First::Decoding => self.decoding().or_else(|| self.hashing()),
            First::Hashing => self.hashing().or_else(|| self.decoding()),
        }
    }

    fn decoding(&mut self) -> Option<Task<R>> {
        let is_wanted = self.outcome.is_none() && !self.is_stopped;
        let has_room = self.decoded.len() < ROOM && self.unhashed.tar.len() < UNHASHED;
        if is_wanted && has_room { self.decoder.take().map(Task::Decode) } else { None }
    }

    fn hashing(&mut self) -> Option<Task<R>> {
        if self.unhashed.is_empty() {
            return None;
        }
        let sums = self.sums.take()?;
        Some(Task::Hash(sums, self.unhashed.take(AT_A_TIME)))
    }

    fn take_in(&mut self, decoded: io::Result<Arc<Buffer>>, decoder: &mut Decoder<R>) {
        decoder.stored().hand_over(&mut self.unhashed.stored);
        match decoded {
            Ok(buffer) if buffer.is_empty() => self.outcome = Some(Ok(())),
            Ok(buffer) => {
                self.produced += buffer.len() as u64;
                if self.wants_tar {
                    self.unhashed.tar.push_back(Arc::clone(&buffer));
                }
                self.decoded.push_back(buffer);
            }
            Err(error) => self.outcome = Some(Err(error)),
        }
    }
}

impl<R: Read> BufRead for Pipeline<R> {
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

impl<R: Read> Read for Pipeline<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let amount = available.len().min(into.len());
        into[..amount].copy_from_slice(&available[..amount]);
        self.consume(amount);
        Ok(amount)
    }
}

impl<R: Read> Drop for Pipeline<R> {
    fn drop(&mut self) {
        self.shared.lock().is_stopped = true;
        self.shared.changed.notify_all();
        for helper in self.helpers.drain(..) {
            // Its panic is in the state, where it was asked for or is not wanted any more.
            let _ = helper.join();
        }
    }
}

#[cfg(test)]
#[path = "pipeline_tests.rs"]
mod tests;
