//! Divides the work on one layer among threads.
//!
//! A layer goes through four steps: its stored bytes are *read*, *decoded* into a tar, *hashed* (both the stored bytes
//! and the tar), and *walked* by the caller. Within each step the bytes are processed in order, so one thread at a time
//! runs a step, while different steps run at the same time. Their costs differ by format and machine: decoding
//! dominates for gzip, hashing for zstd, reading for a slow registry. Assigning each thread a fixed step would leave
//! processors idle, so any thread takes the step that is due:
//!
//! - The walking thread calls [`Scheduler::next_decoded`]. If no decoded buffer is ready, it runs a step itself: it
//!   reads ahead while another thread decodes, otherwise it hashes, otherwise it decodes.
//! - A helper thread loops in [`Scheduler::run_helper`]: it decodes while there is room, and hashes when the hash queue
//!   grows ([`HASH_FIRST_FROM`]).
//! - Decoding takes its input from [`Scheduler::next_stored`], which reads or waits.
//! - Without helpers the walking thread runs every step with the same code.
//!
//! Buffers are shared, not copied: the decoder and the hash queue hold the same stored buffer. The queues bound the
//! memory: [`MAX_READ_AHEAD`], [`MAX_DECODED`], [`MAX_UNHASHED`] and [`MAX_STORED_UNHASHED`] buffers of 256 KiB. Waking
//! a thread costs a few microseconds, so a single buffer does not wake one ([`WAKE_FROM`]).
//!
//! One mutex protects all state; no thread holds it while it runs a step. A panic in a step is caught, stored, and
//! resumed on the walking thread, where the caller isolates layers from one another; the other threads stop.

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::stage::{PipelineStage, StepResult};
use super::sums::{HashQueue, Sums};

/// Stored buffers that are read before the decoder requests them.
const MAX_READ_AHEAD: usize = 2;
/// Decoded buffers that wait for the walk.
const MAX_DECODED: usize = 6;
/// Length of the hash queue, per kind, at which decoding pauses.
const MAX_UNHASHED: usize = 8;
/// Length of the hash queue from which a helper hashes before it decodes.
const HASH_FIRST_FROM: usize = 3;
/// Stored buffers in the hash queue at which reading pauses: a decoder can consume many without producing output.
const MAX_STORED_UNHASHED: usize = 12;
/// Number of decoded buffers at which the walk is woken.
const WAKE_FROM: usize = 2;
/// Buffers of each kind hashed in one step, so that other threads get the hasher in between.
const HASH_BATCH: usize = 2;

/// The shared state of the threads that read one layer.
#[derive(Default)]
pub struct Scheduler {
    state: Mutex<SchedulerState>,
    changed: Condvar,
}

#[derive(Default)]
pub(super) struct SchedulerState {
    /// Produces the stored bytes.
    reading: PipelineStage,
    /// Produces the tar.
    decoding: PipelineStage,
    /// Bytes of the tar produced so far.
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

type Locked<'s> = MutexGuard<'s, SchedulerState>;
type Panic = Box<dyn Any + Send>;

/// The step that a thread prefers: one whose data is still in its processor's cache.
#[derive(Clone, Copy)]
pub(super) enum Preference {
    Decoding,
    Hashing,
}

enum LayerTask {
    Read,
    Decode,
    Hash(Hashing),
}

/// The hashers, and the buffers to hash next.
struct Hashing(Box<Sums>, HashQueue);

/// The steps that a pipeline provides. The scheduler never runs one of them on two threads at once.
pub(super) trait PipelineSteps {
    /// The next stored bytes.
    fn read(&self) -> StepResult;
    /// The next bytes of the tar. Their input comes from [`Scheduler::next_stored`].
    fn decode(&self) -> StepResult;
}

impl Scheduler {
    /// Sets the sums to compute; nothing is hashed before this call.
    pub fn begin_hashing(&self, sums: Sums) {
        let mut state = self.lock();
        state.wants_tar = sums.wants_tar();
        state.sums = Some(Box::new(sums));
    }

    /// The next stored bytes for the decoder, read ahead or read now; empty at the end.
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

    /// Runs steps until everything is decoded and hashed, or the scheduler is cancelled.
    pub(super) fn run_helper(&self, steps: &dyn PipelineSteps) {
        let mut state = self.lock();
        while !state.is_over() {
            state = self.work_or_wait(state, Preference::Decoding, steps);
        }
    }

    /// The next bytes of the tar for the walk; empty at its end.
    pub(super) fn next_decoded(&self, steps: &dyn PipelineSteps) -> StepResult {
        let mut state = self.lock();
        loop {
            if let Some(next) = state.decoding.next() {
                // Threads that wait for room are woken once there is enough room.
                if state.decoding.ready.len() <= MAX_DECODED / 2 {
                    self.wake(&state);
                }
                return deliver(state, next);
            }
            state = self.work_or_wait(state, Preference::Hashing, steps);
        }
    }

    /// Decodes to the end, whether or not the walk needed all of it. Returns the number of tar bytes, or an error that
    /// the walk did not reach.
    pub(super) fn decode_to_end(&self, steps: &dyn PipelineSteps) -> io::Result<u64> {
        while !self.next_decoded(steps)?.is_empty() {}
        Ok(self.lock().produced)
    }

    /// Stops decoding. Fails if decoding ended with an error that the walk did not reach.
    pub fn stop_decoding(&self) -> io::Result<()> {
        self.cancel();
        let mut state = self.lock();
        while state.decoding.is_busy() {
            state = self.hash_or_wait(state);
        }
        resume_panic(state).decoding.outcome()
    }

    /// Cancels decoding on every thread: the rest of the tar is not wanted.
    pub fn cancel(&self) {
        self.lock().is_stopped = true;
        self.changed.notify_all();
    }

    /// Hashes the remaining buffers and returns the sums.
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

    /// Runs the step that is due, or waits for a change.
    fn work_or_wait<'s>(&'s self, mut state: Locked<'s>, first: Preference, steps: &dyn PipelineSteps) -> Locked<'s> {
        match state.next(first) {
            Some(LayerTask::Read) => self.read(state, &|| steps.read()),
            Some(LayerTask::Decode) => self.decode(state, &|| steps.decode()),
            Some(LayerTask::Hash(hashing)) => self.hash(state, hashing),
            None => self.wait(state),
        }
    }

    /// Like [`Scheduler::work_or_wait`], but without reading or decoding.
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
        // Put back even after a panic: other threads wait for the sums.
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

    fn wake(&self, state: &SchedulerState) {
        if state.waiting > 0 {
            self.changed.notify_all();
        }
    }
}

/// Runs a step. If it panics, the result is an error, so that no thread waits for it, and the panic.
fn run_step(step: &dyn Fn() -> StepResult) -> (StepResult, Option<Panic>) {
    match catch_unwind(AssertUnwindSafe(step)) {
        Ok(made) => (made, None),
        Err(panic) => (Err(io::Error::other("a step panicked")), Some(panic)),
    }
}

/// Returns a step's output. If the error is the result of a panic, resumes the panic.
fn deliver(state: Locked<'_>, made: StepResult) -> StepResult {
    if made.is_err() {
        drop(resume_panic(state));
    }
    made
}

/// Resumes the panic of a step, if there is one.
fn resume_panic(mut state: Locked<'_>) -> Locked<'_> {
    if let Some(panic) = state.panic.take() {
        drop(state);
        resume_unwind(panic);
    }
    state
}

impl SchedulerState {
    fn is_over(&self) -> bool {
        // The walking thread resumes the panic.
        self.is_stopped || self.panic.is_some() || self.decoding.is_over() && self.unhashed.is_empty()
    }

    fn next(&mut self, first: Preference) -> Option<LayerTask> {
        match first {
            Preference::Decoding if self.unhashed.len() < HASH_FIRST_FROM => {
                self.try_decode().or_else(|| self.try_hash())
            }
            Preference::Decoding => self.try_hash().or_else(|| self.try_decode()),
            Preference::Hashing => self.try_read().or_else(|| self.try_hash()).or_else(|| self.try_decode()),
        }
    }

    /// Reads ahead only while another thread decodes, so that the decoder does not have to read.
    fn try_read(&self) -> Option<LayerTask> {
        let is_wanted = !self.is_stopped && self.decoding.is_busy() && self.reading.ready.len() < MAX_READ_AHEAD;
        (is_wanted && self.is_readable()).then_some(LayerTask::Read)
    }

    fn is_readable(&self) -> bool {
        self.reading.is_free() && self.unhashed.stored.len() < MAX_STORED_UNHASHED
    }

    fn try_decode(&self) -> Option<LayerTask> {
        let has_room = self.decoding.ready.len() < MAX_DECODED && self.unhashed.len() < MAX_UNHASHED;
        (has_room && !self.is_stopped && self.decoding.is_free()).then_some(LayerTask::Decode)
    }

    fn try_hash(&mut self) -> Option<LayerTask> {
        self.hashing().map(LayerTask::Hash)
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
