//! What is to be done of a layer's bytes, and who does it. Reading, decoding and hashing cannot be divided, for each piece
//! needs the one before; but they can go on at the same time. Whoever has nothing else to do takes what is to be
//! done next. So no processor waits while there is work, and threads are seldom put to sleep. Memory is bounded by the
//! buffers that may wait.

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::stage::{Made, Stage};
use super::sums::{Sums, Unhashed};

/// Stored buffers that are read before the decoder asks for them.
const AHEAD: usize = 2;
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
pub struct Desk {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
pub(super) struct State {
    /// Gives the stored bytes.
    reading: Stage,
    /// Makes the tar of them.
    decoding: Stage,
    /// Bytes of the tar.
    produced: u64,
    /// Not here before [`Desk::begin`] and while somebody hashes.
    sums: Option<Box<Sums>>,
    unhashed: Unhashed,
    wants_tar: bool,
    /// Nobody wants the rest.
    is_stopped: bool,
    /// Threads that wait for a change.
    waiting: usize,
    /// What work panicked with, on whatever thread: it goes on where the walk is, for there panics are isolated.
    panic: Option<Panic>,
}

type Locked<'s> = MutexGuard<'s, State>;
type Panic = Box<dyn Any + Send>;

/// What is looked for first: each thread goes on with what its processor has in its cache.
#[derive(Clone, Copy)]
pub(super) enum First {
    Decoding,
    Hashing,
}

enum Task {
    Read,
    Decode,
    Hash(Hashing),
}

/// Everything that hashing the next buffers takes.
struct Hashing(Box<Sums>, Unhashed);

/// The steps whose order the bytes make; who does one has it for himself.
pub(super) trait Steps {
    /// The next stored bytes.
    fn read(&self) -> Made;
    /// The next bytes of the tar. What it is made of is asked of [`Desk::stored`].
    fn decode(&self) -> Made;
}

impl Desk {
    /// Nothing is hashed before it is known what is to be computed.
    pub fn begin(&self, sums: Sums) {
        let mut state = self.lock();
        state.wants_tar = sums.wants_tar();
        state.sums = Some(Box::new(sums));
    }

    /// The next stored bytes for the decoder, read ahead or now; none at the end.
    pub(super) fn stored(&self, read: &dyn Fn() -> Made) -> Made {
        let mut state = self.lock();
        loop {
            if let Some(next) = state.reading.next() {
                return told(state, next);
            }
            state = match state.is_readable() {
                true => self.read(state, read),
                false => self.hash_or_wait(state),
            };
        }
    }

    /// Works until decoding is over and everything is hashed, or nobody wants the rest.
    pub(super) fn help(&self, steps: &dyn Steps) {
        let mut state = self.lock();
        while !state.is_over() {
            state = self.work_or_wait(state, First::Decoding, steps);
        }
    }

    /// The next bytes of the tar for the walk; none at its end.
    pub(super) fn next(&self, steps: &dyn Steps) -> Made {
        let mut state = self.lock();
        loop {
            if let Some(next) = state.decoding.next() {
                // Who waits for room is woken when there is enough of it to be worth that.
                if state.decoding.ready.len() <= ROOM / 2 {
                    self.tell(&state);
                }
                return told(state, next);
            }
            state = self.work_or_wait(state, First::Hashing, steps);
        }
    }

    /// Decodes to the end, whether or not the walk wanted all of it: how many bytes there were. An error that the walk
    /// has not been told.
    pub(super) fn drain(&self, steps: &dyn Steps) -> io::Result<u64> {
        while !self.next(steps)?.is_empty() {}
        Ok(self.lock().produced)
    }

    /// Decodes no more; what decoding ended with, where the walk has not been told.
    pub fn stop(&self) -> io::Result<()> {
        self.abandon();
        let mut state = self.lock();
        while state.decoding.is_busy() {
            state = self.hash_or_wait(state);
        }
        raise(state).decoding.outcome()
    }

    /// Nobody wants the rest of the tar.
    pub fn abandon(&self) {
        self.lock().is_stopped = true;
        self.changed.notify_all();
    }

    /// Hashes everything that was read; what was computed.
    pub fn finish(&self) -> Sums {
        let mut state = self.lock();
        loop {
            state = raise(state);
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
    fn work_or_wait<'s>(&'s self, mut state: Locked<'s>, first: First, steps: &dyn Steps) -> Locked<'s> {
        match state.next(first) {
            Some(Task::Read) => self.read(state, &|| steps.read()),
            Some(Task::Decode) => self.decode(state, &|| steps.decode()),
            Some(Task::Hash(hashing)) => self.hash(state, hashing),
            None => self.wait(state),
        }
    }

    /// The same, where nothing may be read or decoded.
    fn hash_or_wait<'s>(&'s self, mut state: Locked<'s>) -> Locked<'s> {
        match state.hashing() {
            Some(hashing) => self.hash(state, hashing),
            None => self.wait(state),
        }
    }

    fn read<'s>(&'s self, mut state: Locked<'s>, read: &dyn Fn() -> Made) -> Locked<'s> {
        state.reading.start();
        drop(state);
        let (made, panic) = caught(read);
        let mut state = self.lock();
        state.keep(panic);
        if let Some(buffer) = state.reading.end(made).map(Arc::clone) {
            state.unhashed.stored.push_back(buffer);
        }
        self.tell(&state);
        state
    }

    fn decode<'s>(&'s self, mut state: Locked<'s>, decode: &dyn Fn() -> Made) -> Locked<'s> {
        state.decoding.start();
        drop(state);
        let (made, panic) = caught(decode);
        let mut state = self.lock();
        state.keep(panic);
        state.take_in(made);
        // One more comes soon, and to be woken for each costs more than it is worth.
        if state.decoding.ready.len() >= WORTH_WAKING || state.decoding.is_over() || state.is_stopped {
            self.tell(&state);
        }
        state
    }

    fn hash<'s>(&'s self, state: Locked<'s>, Hashing(mut sums, bytes): Hashing) -> Locked<'s> {
        drop(state);
        let panic = catch_unwind(AssertUnwindSafe(|| sums.update(&bytes))).err();
        drop(bytes);
        let mut state = self.lock();
        state.keep(panic);
        // Broken sums or not: nobody must wait for them.
        state.sums = Some(sums);
        self.tell(&state);
        state
    }

    fn wait<'s>(&'s self, state: Locked<'s>) -> Locked<'s> {
        let mut state = raise(state);
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

/// What a step made. One that panics ends with an error, so that nobody waits for it, and with what it panicked with.
fn caught(step: &dyn Fn() -> Made) -> (Made, Option<Panic>) {
    match catch_unwind(AssertUnwindSafe(step)) {
        Ok(made) => (made, None),
        Err(panic) => (Err(io::Error::other("a step panicked")), Some(panic)),
    }
}

/// Hands on what a step made; not the error that stands for a panic.
fn told(state: Locked<'_>, made: Made) -> Made {
    if made.is_err() {
        drop(raise(state));
    }
    made
}

/// Goes on with a panic, where there was one.
fn raise(mut state: Locked<'_>) -> Locked<'_> {
    if let Some(panic) = state.panic.take() {
        drop(state);
        resume_unwind(panic);
    }
    state
}

impl State {
    fn is_over(&self) -> bool {
        // A helper leaves a panic to the walk.
        self.is_stopped || self.panic.is_some() || self.decoding.is_over() && self.unhashed.is_empty()
    }

    fn next(&mut self, first: First) -> Option<Task> {
        match first {
            First::Decoding if self.unhashed.len() < URGENT => self.try_decode().or_else(|| self.try_hash()),
            First::Decoding => self.try_hash().or_else(|| self.try_decode()),
            First::Hashing => self.try_read().or_else(|| self.try_hash()).or_else(|| self.try_decode()),
        }
    }

    /// Reading ahead is worth it while another decodes, who need not do it then.
    fn try_read(&self) -> Option<Task> {
        let is_wanted = !self.is_stopped && self.decoding.is_busy() && self.reading.ready.len() < AHEAD;
        (is_wanted && self.is_readable()).then_some(Task::Read)
    }

    fn is_readable(&self) -> bool {
        self.reading.is_free() && self.unhashed.stored.len() < STORED
    }

    fn try_decode(&self) -> Option<Task> {
        let has_room = self.decoding.ready.len() < ROOM && self.unhashed.len() < UNHASHED;
        (has_room && !self.is_stopped && self.decoding.is_free()).then_some(Task::Decode)
    }

    fn try_hash(&mut self) -> Option<Task> {
        self.hashing().map(Task::Hash)
    }

    fn hashing(&mut self) -> Option<Hashing> {
        if self.unhashed.is_empty() {
            return None;
        }
        let sums = self.sums.take()?;
        Some(Hashing(sums, self.unhashed.take(AT_A_TIME)))
    }

    fn take_in(&mut self, decoded: Made) {
        let Some(buffer) = self.decoding.end(decoded) else { return };
        self.produced += buffer.len() as u64;
        if self.wants_tar {
            self.unhashed.tar.push_back(Arc::clone(buffer));
        }
    }

    fn keep(&mut self, panic: Option<Panic>) {
        self.panic = self.panic.take().or(panic);
    }
}
