//! Divides the work on one layer among threads.
//!
//! A layer passes four steps: its stored bytes are *read*, *decoded* into a tar, *hashed* (both the stored bytes and the
//! tar), and *walked* by the caller. Within each step the bytes have an order, so a step is done by one thread at a time;
//! different steps run at the same time. Their costs differ by format and machine: for gzip decoding dominates, for zstd
//! hashing does, for a slow registry reading does. Threads with a fixed step each would leave processors idle, so any
//! thread takes the step that is due:
//!
//! - The walking thread calls [`Scheduler::next_decoded`]. Where no decoded buffer is ready, it does a step itself: it
//!   reads ahead while another thread decodes, else it hashes, else it decodes.
//! - A helper thread loops in [`Scheduler::run_helper`]: it decodes while there is room, and hashes where the hash queue
//!   grows ([`HASH_FIRST_FROM`]).
//! - Decoding takes its input from [`Scheduler::next_stored`], which reads or waits.
//! - Without helpers the walking thread does every step by the same code.
//!
//! Buffers are shared, not copied: a stored buffer is in the decoder's hands and in the hash queue at once. Memory is
//! bounded by the queues: [`MAX_READ_AHEAD`], [`MAX_DECODED`], [`MAX_UNHASHED`] and [`MAX_STORED_UNHASHED`] buffers of
//! 256 KiB. Waking a thread costs some microseconds, so a single buffer wakes nobody ([`WAKE_FROM`]).
//!
//! All state is behind one mutex, which no thread holds while it does a step. A panic in a step is caught, kept, and
//! resumed on the walking thread, where the caller isolates layers from one another; the other threads stop.

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::stage::{Stage, StepResult};
use super::sums::{HashQueue, Sums};

/// Stored buffers that are read before the decoder asks for them.
const MAX_READ_AHEAD: usize = 2;
/// Decoded buffers that wait for the walk.
const MAX_DECODED: usize = 6;
/// Buffers in the hash queue, of each kind, at which decoding pauses.
const MAX_UNHASHED: usize = 8;
/// Length of the hash queue from which a helper hashes before it decodes.
const HASH_FIRST_FROM: usize = 3;
/// Stored buffers in the hash queue at which reading pauses: a decoder can consume many and produce nothing.
const MAX_STORED_UNHASHED: usize = 12;
/// Decoded buffers for which the walk is woken.
const WAKE_FROM: usize = 2;
/// Buffers of each kind that are hashed in one step, so that other threads get the hasher in between.
const HASH_BATCH: usize = 2;

/// The shared state of the threads that read one layer.
#[derive(Default)]
pub struct Scheduler {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
pub(super) struct State {
    /// Produces the stored bytes.
    reading: Stage,
    /// Produces the tar.
    decoding: Stage,
    /// Bytes of the tar so far.
    produced: u64,
    /// `None` before [`Scheduler::begin_hashing`] and while a thread hashes.
    sums: Option<Box<Sums>>,
    unhashed: HashQueue,
    wants_tar: bool,
    /// The rest of the tar is not wanted.
    is_stopped: bool,
    /// Threads that wait for a change.
    waiting: usize,
    /// The first panic of a step, to be resumed on the walking thread.
    panic: Option<Panic>,
}

type Locked<'s> = MutexGuard<'s, State>;
type Panic = Box<dyn Any + Send>;

/// Which step a thread prefers: it continues with what its processor has in its cache.
#[derive(Clone, Copy)]
pub(super) enum Preference {
    Decoding,
    Hashing,
}

enum Task {
    Read,
    Decode,
    Hash(Hashing),
}

/// The hashers, and the buffers to hash next.
struct Hashing(Box<Sums>, HashQueue);

/// The steps that a pipeline provides. The scheduler never runs one of them on two threads at once.
pub(super) trait Steps {
    /// The next stored bytes.
    fn read(&self) -> StepResult;
    /// The next bytes of the tar. Their input comes from [`Scheduler::next_stored`].
    fn decode(&self) -> StepResult;
}

impl Scheduler {
    /// Sets what is to be computed; nothing is hashed before.
    pub fn begin_hashing(&self, sums: Sums) {
        let mut state = self.lock();
        state.wants_tar = sums.wants_tar();
        state.sums = Some(Box::new(sums));
    }

    /// The next stored bytes for the decoder, read ahead or now; none at the end.
    pub(super) fn next_stored(&self, read: &dyn Fn() -> StepResult) -> StepResult {
        let mut state = self.lock();
        loop {
            if let Some(next) = state.reading.next() {
                return deliver(state, next);
            }
            state = match state.is_readable() {
                true => self.read(state, read),
                false => self.hash_or_wait(state),
            };
        }
    }

    /// Does steps until decoding is over and everything is hashed, or the scheduler is cancelled.
    pub(super) fn run_helper(&self, steps: &dyn Steps) {
        let mut state = self.lock();
        while !state.is_over() {
            state = self.work_or_wait(state, Preference::Decoding, steps);
        }
    }

    /// The next bytes of the tar for the walk; none at its end.
    pub(super) fn next_decoded(&self, steps: &dyn Steps) -> StepResult {
        let mut state = self.lock();
        loop {
            if let Some(next) = state.decoding.next() {
                // Threads that wait for room are woken once there is enough of it.
                if state.decoding.ready.len() <= MAX_DECODED / 2 {
                    self.wake(&state);
                }
                return deliver(state, next);
            }
            state = self.work_or_wait(state, Preference::Hashing, steps);
        }
    }

    /// Decodes to the end, whether or not the walk wanted all of it. Returns the bytes of the tar, or an error that the walk
    /// has not seen.
    pub(super) fn decode_to_end(&self, steps: &dyn Steps) -> io::Result<u64> {
        while !self.next_decoded(steps)?.is_empty() {}
        Ok(self.lock().produced)
    }

    /// Stops decoding. An error where decoding ended with one that the walk has not seen.
    pub fn stop_decoding(&self) -> io::Result<()> {
        self.cancel();
        let mut state = self.lock();
        while state.decoding.is_busy() {
            state = self.hash_or_wait(state);
        }
        resume_panic(state).decoding.outcome()
    }

    /// Tells every thread that the rest of the tar is not wanted.
    pub fn cancel(&self) {
        self.lock().is_stopped = true;
        self.changed.notify_all();
    }

    /// Hashes everything that was read, and returns the sums.
    pub fn finish_hashing(&self) -> Sums {
        let mut state = self.lock();
        loop {
            state = resume_panic(state);
            if state.unhashed.is_empty()
                && let Some(sums) = state.sums.take()
            {
                return *sums;
            }
            state = self.hash_or_wait(state);
        }
    }

    /// Length of the hash queue.
    #[cfg(test)]
    pub(super) fn unhashed(&self) -> usize {
        self.lock().unhashed.len()
    }

    fn lock(&self) -> Locked<'_> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does the step that is due, or waits for a change.
    fn work_or_wait<'s>(&'s self, mut state: Locked<'s>, first: Preference, steps: &dyn Steps) -> Locked<'s> {
        match state.next(first) {
            Some(Task::Read) => self.read(state, &|| steps.read()),
            Some(Task::Decode) => self.decode(state, &|| steps.decode()),
            Some(Task::Hash(hashing)) => self.hash(state, hashing),
            None => self.wait(state),
        }
    }

    /// The same where nothing may be read or decoded.
    fn hash_or_wait<'s>(&'s self, mut state: Locked<'s>) -> Locked<'s> {
        match state.hashing() {
            Some(hashing) => self.hash(state, hashing),
            None => self.wait(state),
        }
    }

    fn read<'s>(&'s self, mut state: Locked<'s>, read: &dyn Fn() -> StepResult) -> Locked<'s> {
        state.reading.start();
        drop(state);
        let (made, panic) = run_step(read);
        let mut state = self.lock();
        state.keep_panic(panic);
        if let Some(buffer) = state.reading.end(made).map(Arc::clone) {
            state.unhashed.stored.push_back(buffer);
        }
        self.wake(&state);
        state
    }

    fn decode<'s>(&'s self, mut state: Locked<'s>, decode: &dyn Fn() -> StepResult) -> Locked<'s> {
        state.decoding.start();
        drop(state);
        let (made, panic) = run_step(decode);
        let mut state = self.lock();
        state.keep_panic(panic);
        state.accept_decoded(made);
        if state.decoding.ready.len() >= WAKE_FROM || state.decoding.is_over() || state.is_stopped {
            self.wake(&state);
        }
        state
    }

    fn hash<'s>(&'s self, state: Locked<'s>, Hashing(mut sums, bytes): Hashing) -> Locked<'s> {
        drop(state);
        let panic = catch_unwind(AssertUnwindSafe(|| sums.update(&bytes))).err();
        drop(bytes);
        let mut state = self.lock();
        state.keep_panic(panic);
        // Even after a panic: other threads wait for them.
        state.sums = Some(sums);
        self.wake(&state);
        state
    }

    fn wait<'s>(&'s self, state: Locked<'s>) -> Locked<'s> {
        let mut state = resume_panic(state);
        state.waiting += 1;
        state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        state.waiting -= 1;
        state
    }

    fn wake(&self, state: &State) {
        if state.waiting > 0 {
            self.changed.notify_all();
        }
    }
}

/// Runs a step. One that panics ends with an error, so that no thread waits for it, and with the panic.
fn run_step(step: &dyn Fn() -> StepResult) -> (StepResult, Option<Panic>) {
    match catch_unwind(AssertUnwindSafe(step)) {
        Ok(made) => (made, None),
        Err(panic) => (Err(io::Error::other("a step panicked")), Some(panic)),
    }
}

/// Returns what a step produced; resumes the panic that an error stands for.
fn deliver(state: Locked<'_>, made: StepResult) -> StepResult {
    if made.is_err() {
        drop(resume_panic(state));
    }
    made
}

/// Resumes a panic of a step, where there was one.
fn resume_panic(mut state: Locked<'_>) -> Locked<'_> {
    if let Some(panic) = state.panic.take() {
        drop(state);
        resume_unwind(panic);
    }
    state
}

impl State {
    fn is_over(&self) -> bool {
        // The walking thread resumes the panic.
        self.is_stopped || self.panic.is_some() || self.decoding.is_over() && self.unhashed.is_empty()
    }

    fn next(&mut self, first: Preference) -> Option<Task> {
        match first {
            Preference::Decoding if self.unhashed.len() < HASH_FIRST_FROM => {
                self.try_decode().or_else(|| self.try_hash())
            }
            Preference::Decoding => self.try_hash().or_else(|| self.try_decode()),
            Preference::Hashing => self.try_read().or_else(|| self.try_hash()).or_else(|| self.try_decode()),
        }
    }

    /// Reads ahead only while another thread decodes, which then need not read.
    fn try_read(&self) -> Option<Task> {
        let is_wanted = !self.is_stopped && self.decoding.is_busy() && self.reading.ready.len() < MAX_READ_AHEAD;
        (is_wanted && self.is_readable()).then_some(Task::Read)
    }

    fn is_readable(&self) -> bool {
        self.reading.is_free() && self.unhashed.stored.len() < MAX_STORED_UNHASHED
    }

    fn try_decode(&self) -> Option<Task> {
        let has_room = self.decoding.ready.len() < MAX_DECODED && self.unhashed.len() < MAX_UNHASHED;
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
        Some(Hashing(sums, self.unhashed.take(HASH_BATCH)))
    }

    fn accept_decoded(&mut self, decoded: StepResult) {
        let Some(buffer) = self.decoding.end(decoded) else { return };
        self.produced += buffer.len() as u64;
        if self.wants_tar {
            self.unhashed.tar.push_back(Arc::clone(buffer));
        }
    }

    fn keep_panic(&mut self, panic: Option<Panic>) {
        self.panic = self.panic.take().or(panic);
    }
}
