//! Reads a layer from its blob to the bytes of its tar, which the caller walks. Helper threads read, decode and hash at
//! the same time; [`scheduler`] explains how. The same code reads a layer that is too small for helpers.

mod buffer;
mod compression;
mod decompress;
mod gzip;
mod scheduler;
mod stage;
mod stored;
mod sums;

use std::io::{self, BufRead, Read};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};

use buffer::{Buffer, read_buffered};
pub use compression::{Compression, MAGIC_BYTES, looks_like_tar};
pub use decompress::{LayerDecoder, SelfChecked};
pub use gzip::{Trailing, wrong_checksum};
use scheduler::PipelineSteps;
pub use scheduler::Scheduler;
use stage::StepResult;
use stored::SharedReader;
pub use stored::StoredReader;
pub use sums::Sums;

/// The walking thread's end of the pipeline: a reader of the tar.
pub struct LayerPipeline<R: Read> {
    scheduler: Arc<Scheduler>,
    steps: Arc<LayerSteps<R>>,
    helpers: Vec<JoinHandle<()>>,
    current: Arc<Buffer>,
    position: usize,
}

/// The reader and the decoder, each locked by the thread that runs its step.
struct LayerSteps<R: Read> {
    stored: Arc<SharedReader<R>>,
    decoder: Mutex<Option<LayerDecoder<R>>>,
}

impl<R: Read> LayerSteps<R> {
    fn decoder(&self) -> MutexGuard<'_, Option<LayerDecoder<R>>> {
        self.decoder.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<R: Read> PipelineSteps for LayerSteps<R> {
    fn read(&self) -> StepResult {
        self.stored.read()
    }

    fn decode(&self) -> StepResult {
        self.decoder().as_mut().expect("the decoder is only taken after decoding").buffer()
    }
}

impl<R: Read> LayerPipeline<R> {
    /// A pipeline without helpers: the thread that reads from it performs every step.
    pub fn alone(decoder: LayerDecoder<R>, scheduler: Arc<Scheduler>) -> LayerPipeline<R> {
        let steps = Arc::new(LayerSteps { stored: decoder.stored().reader(), decoder: Mutex::new(Some(decoder)) });
        LayerPipeline { scheduler, steps, helpers: Vec::new(), current: Arc::default(), position: 0 }
    }

    /// Decodes to the end, whether or not the walk needed all of it. Returns the decoder and the number of tar bytes.
    pub fn finish(mut self) -> (LayerDecoder<R>, io::Result<u64>) {
        let produced = self.scheduler.decode_to_end(&*self.steps);
        (self.take_decoder(), produced)
    }

    /// Stops decoding. Returns the decoder, and an error if decoding failed in a part that the walk did not reach.
    pub fn stop(mut self) -> (LayerDecoder<R>, io::Result<()>) {
        let outcome = self.scheduler.stop_decoding();
        (self.take_decoder(), outcome)
    }

    fn take_decoder(&mut self) -> LayerDecoder<R> {
        self.steps.decoder().take().expect("the decoder is taken only once")
    }
}

impl<R: Read + Send + 'static> LayerPipeline<R> {
    /// A pipeline with `helpers` additional threads, or fewer if the system cannot start them.
    pub fn helped(decoder: LayerDecoder<R>, scheduler: Arc<Scheduler>, helpers: usize) -> LayerPipeline<R> {
        let mut pipeline = LayerPipeline::alone(decoder, scheduler);
        for _ in 0..helpers {
            let (scheduler, steps) = (Arc::clone(&pipeline.scheduler), Arc::clone(&pipeline.steps));
            let help = move || scheduler.run_helper(&*steps);
            pipeline.helpers.extend(Builder::new().spawn(help));
        }
        pipeline
    }
}

impl<R: Read> BufRead for LayerPipeline<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.position == self.current.len() {
            (self.current, self.position) = (Arc::default(), 0);
            self.current = self.scheduler.next_decoded(&*self.steps)?;
        }
        Ok(&self.current[self.position..])
    }

    fn consume(&mut self, amount: usize) {
        self.position += amount;
    }
}

impl<R: Read> Read for LayerPipeline<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        read_buffered(self, into)
    }
}

impl<R: Read> Drop for LayerPipeline<R> {
    fn drop(&mut self) {
        self.scheduler.cancel();
        for helper in self.helpers.drain(..) {
            // The scheduler stores the panics of its steps.
            let _ = helper.join();
        }
    }
}

#[cfg(test)]
#[path = "mod_tests.rs"]
mod tests;
