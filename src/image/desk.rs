//! What is to be done of a layer's bytes, and who does it. Decoding cannot be divided, and neither can hashing, for each
//! piece needs the one before; but they can go on at the same time. Whoever has nothing else to do takes what is to be
//! done next. So no processor waits while there is work, and threads are seldom put to sleep. Memory is bounded by the
//! buffers that may wait.

use std::any::Any;
use std::collections::VecDeque;
use std::io;
use std::panic::resume_unwind;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::buffer::Buffer;
use super::sums::{Sums, Unhashed};

/// Decoded buffers that wait for the walk, at most.
const ROOM: usize = 6;
/// Buffers of a kind that wait to be hashed when decoding pauses.
const UNHASHED: usize = 8;
/// Those that are hashed before anything else is done: hashing is what takes longest then.
const URGENT: usize = 3;
/// Stored buffers that wait to be hashed, at most: a decoder can take in many and give out nothing.
const STORED: usize = 12;
/// Decoded buffers that are worth waking who waits for them.
const WORTH_WAKING: usize = 2;
/// Buffers of each kind that are hashed at a time: others may want to go on meanwhile.
const AT_A_TIME: usize = 2;

/// Where the threads that read one layer find work, and leave what they have done.
#[derive(Default)]
pub(super) struct Desk {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
pub(super) struct State {
    /// Not here before [`Desk::begin`] and while somebody hashes.
    sums: Option<Box<Sums>>,
    unhashed: Unhashed,
    wants_tar: bool,
    decoded: VecDeque<Arc<Buffer>>,
    is_decoding: bool,
    /// There once decoding is over; its error is told once.
    outcome: Option<io::Result<()>>,
    /// Bytes of the tar.
    produced: u64,
    /// Nobody wants the rest.
    is_stopped: bool,
    /// Threads that wait for a change.
    waiting: usize,
    /// What a helper panicked with.
    panic: Option<Box<dyn Any + Send>>,
}

type Locked<'s> = MutexGuard<'s, State>;

/// What is looked for first: each thread goes on with what its processor has in its cache.
#[derive(Clone, Copy)]
pub(super) enum First {
    Decoding,
    Hashing,
}

enum Task {
    Decode,
    Hash(Hashing),
}

/// Everything that hashing the next buffers takes.
struct Hashing(Box<Sums>, Unhashed);

/// Gives the next bytes of the tar; none at its end.
pub(super) type Decode<'d> = &'d dyn Fn() -> io::Result<Arc<Buffer>>;

impl Desk {
    /// Nothing is hashed before it is known what is to be computed.
    pub fn begin(&self, sums: Sums) {
        let mut state = self.lock();
        state.wants_tar = sums.wants_tar();
        state.sums = Some(Box::new(sums));
    }

    /// Takes in stored bytes, to be hashed. Waits, or hashes, where too many are there.
    pub fn pass(&self, stored: Arc<Buffer>) {
        let mut state = self.lock();
        state.unhashed.stored.push_back(stored);
        while state.unhashed.stored.len() > STORED {
            state = self.hash_or_wait(state);
        }
    }

    /// Works until decoding is over and everything is hashed, or nobody wants the rest.
    pub fn help(&self, decode: Decode<'_>) {
        let mut state = self.lock();
        while !state.is_over() {
            state = self.work_or_wait(state, First::Decoding, decode);
        }
    }

    /// Hands a helper's panic to the thread that walks, where panics are isolated.
    pub fn fail(&self, panic: Box<dyn Any + Send>) {
        self.lock().panic = Some(panic);
        self.changed.notify_all();
    }

    /// The next bytes of the tar for the walk; none at its end.
    pub fn next(&self, decode: Decode<'_>) -> io::Result<Arc<Buffer>> {
        let mut state = self.lock();
        loop {
            if let Some(buffer) = state.decoded.pop_front() {
                // Who waits for room is woken when there is enough of it to be worth that.
                if state.decoded.len() <= ROOM / 2 {
                    self.tell(&state);
                }
                return Ok(buffer);
            }
            if let Some(outcome) = &mut state.outcome {
                return std::mem::replace(outcome, Ok(())).map(|()| Arc::default());
            }
            state = self.work_or_wait(state, First::Hashing, decode);
        }
    }

    /// Decodes to the end, whether or not the walk wanted all of it: how many bytes there were. An error that the walk
    /// has not been told.
    pub fn drain(&self, decode: Decode<'_>) -> io::Result<u64> {
        while !self.next(decode)?.is_empty() {}
        Ok(self.lock().produced)
    }

    /// Decodes no more; what decoding ended with, where the walk has not been told.
    pub fn stop(&self) -> io::Result<()> {
        self.abandon();
        let mut state = self.lock();
        while state.is_decoding {
            state = self.hash_or_wait(state);
        }
        state.outcome.take().unwrap_or(Ok(()))
    }

    /// Nobody wants the rest of the tar.
    pub fn abandon(&self) {
        self.lock().is_stopped = true;
        self.changed.notify_all();
    }

    /// Hashes everything that was passed; what was computed.
    pub fn finish(&self) -> Sums {
        let mut state = self.lock();
        loop {
            if state.unhashed.is_empty()
                && let Some(sums) = state.sums.take()
            {
                return *sums;
            }
            state = self.hash_or_wait(state);
        }
    }

    /// Buffers that wait to be hashed.
    #[cfg(test)]
    pub(super) fn unhashed(&self) -> usize {
        self.lock().unhashed.len()
    }

    fn lock(&self) -> Locked<'_> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does what is to be done next; where that is nothing, waits for a change.
    fn work_or_wait<'s>(&'s self, mut state: Locked<'s>, first: First, decode: Decode<'_>) -> Locked<'s> {
        match state.next(first) {
            Some(Task::Decode) => self.decode(state, decode),
            Some(Task::Hash(hashing)) => self.hash(state, hashing),
            None => self.wait(state),
        }
    }

    /// The same, where nothing may be decoded.
    fn hash_or_wait<'s>(&'s self, mut state: Locked<'s>) -> Locked<'s> {
        match state.hashing() {
            Some(hashing) => self.hash(state, hashing),
            None => self.wait(state),
        }
    }

    fn decode<'s>(&'s self, state: Locked<'s>, decode: Decode<'_>) -> Locked<'s> {
        drop(state);
        let decoded = decode();
        let mut state = self.lock();
        state.take_in(decoded);
        // One more comes soon, and to be woken for each costs more than it is worth.
        if state.decoded.len() >= WORTH_WAKING || state.outcome.is_some() || state.is_stopped {
            self.tell(&state);
        }
        state
    }

    fn hash<'s>(&'s self, state: Locked<'s>, Hashing(mut sums, bytes): Hashing) -> Locked<'s> {
        drop(state);
        sums.update(&bytes);
        drop(bytes);
        let mut state = self.lock();
        state.sums = Some(sums);
        self.tell(&state);
        state
    }

    fn wait<'s>(&'s self, mut state: Locked<'s>) -> Locked<'s> {
        if let Some(panic) = state.panic.take() {
            drop(state);
            resume_unwind(panic);
        }
        state.waiting += 1;
        state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        state.waiting -= 1;
        state
    }

    fn tell(&self, state: &State) {
        if state.waiting > 0 {
            self.changed.notify_all();
        }
    }
}

impl State {
    fn is_over(&self) -> bool {
        self.is_stopped || self.outcome.is_some() && self.unhashed.is_empty()
    }

    fn next(&mut self, first: First) -> Option<Task> {
        match first {
            First::Decoding if self.unhashed.len() < URGENT => {
                self.decoding().or_else(|| self.hashing().map(Task::Hash))
            }
            First::Decoding | First::Hashing => self.hashing().map(Task::Hash).or_else(|| self.decoding()),
        }
    }

    fn decoding(&mut self) -> Option<Task> {
        let is_wanted = self.outcome.is_none() && !self.is_stopped && !self.is_decoding;
        if !is_wanted || self.decoded.len() >= ROOM || self.unhashed.len() >= UNHASHED {
            return None;
        }
        self.is_decoding = true;
        Some(Task::Decode)
    }

    fn hashing(&mut self) -> Option<Hashing> {
        if self.unhashed.is_empty() {
            return None;
        }
        let sums = self.sums.take()?;
        Some(Hashing(sums, self.unhashed.take(AT_A_TIME)))
    }

    fn take_in(&mut self, decoded: io::Result<Arc<Buffer>>) {
        self.is_decoding = false;
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
