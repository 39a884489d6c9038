//! A layer's bytes on their way from its blob to the walk of its tar, which reads them here. Helpers read, decode and
//! hash beside the walk, and so does the walk itself where the bytes that it wants are not there yet; a layer that is too small
//! for a helper is read by the same code.

mod buffer;
mod decompress;
mod desk;
mod gzip;
mod intake;
mod stage;
mod sums;

use std::io::{self, BufRead, Read};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};

use buffer::{Buffer, read_buffered};
pub use decompress::{Compression, Decoder, MAGIC_BYTES, SelfChecked, looks_like_tar};
pub use desk::Desk;
use desk::Steps;
pub use gzip::{Trailing, wrong_checksum};
pub use intake::Intake;
use intake::Stored;
use stage::Made;
pub use sums::Sums;

/// The walk's end of the pipeline: a reader of the tar.
pub struct Pipeline<R: Read> {
    desk: Arc<Desk>,
    works: Arc<Works<R>>,
    helpers: Vec<JoinHandle<()>>,
    current: Arc<Buffer>,
    position: usize,
}

/// What does the steps. Each is locked by who does it, of whom there is one at a time.
struct Works<R: Read> {
    stored: Arc<Stored<R>>,
    decoder: Mutex<Option<Decoder<R>>>,
}

impl<R: Read> Works<R> {
    fn decoder(&self) -> MutexGuard<'_, Option<Decoder<R>>> {
        self.decoder.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<R: Read> Steps for Works<R> {
    fn read(&self) -> Made {
        self.stored.read()
    }

    fn decode(&self) -> Made {
        self.decoder().as_mut().expect("it is taken when decoding is over").buffer()
    }
}

impl<R: Read> Pipeline<R> {
    /// One whose work is all done by the thread that reads from it.
    pub fn alone(decoder: Decoder<R>, desk: Arc<Desk>) -> Pipeline<R> {
        let works = Arc::new(Works { stored: decoder.stored().reader(), decoder: Mutex::new(Some(decoder)) });
        Pipeline { desk, works, helpers: Vec::new(), current: Arc::default(), position: 0 }
    }

    /// Decodes to the end, whether or not the walk wanted all of it: the decoder, and how many bytes there were.
    pub fn finish(mut self) -> (Decoder<R>, io::Result<u64>) {
        let produced = self.desk.drain(&*self.works);
        (self.take_decoder(), produced)
    }

    /// Decodes no more than was decoded: the decoder, and an error that the walk has not been told.
    pub fn stop(mut self) -> (Decoder<R>, io::Result<()>) {
        let outcome = self.desk.stop();
        (self.take_decoder(), outcome)
    }

    fn take_decoder(&mut self) -> Decoder<R> {
        self.works.decoder().take().expect("it is taken once")
    }
}

impl<R: Read + Send + 'static> Pipeline<R> {
    /// One with `helpers` threads beside the one that reads from it; with less where the system has none to give.
    pub fn helped(decoder: Decoder<R>, desk: Arc<Desk>, helpers: usize) -> Pipeline<R> {
        let mut pipeline = Pipeline::alone(decoder, desk);
        for _ in 0..helpers {
            let (desk, works) = (Arc::clone(&pipeline.desk), Arc::clone(&pipeline.works));
            let help = move || desk.help(&*works);
            pipeline.helpers.extend(Builder::new().spawn(help));
        }
        pipeline
    }
}

impl<R: Read> BufRead for Pipeline<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.position == self.current.len() {
            (self.current, self.position) = (Arc::default(), 0);
            self.current = self.desk.next(&*self.works)?;
        }
        Ok(&self.current[self.position..])
    }

    fn consume(&mut self, amount: usize) {
        self.position += amount;
    }
}

impl<R: Read> Read for Pipeline<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        read_buffered(self, into)
    }
}

impl<R: Read> Drop for Pipeline<R> {
    fn drop(&mut self) {
        self.desk.abandon();
        for helper in self.helpers.drain(..) {
            // Panics of its work went to the desk.
            let _ = helper.join();
        }
    }
}

#[cfg(test)]
#[path = "mod_tests.rs"]
mod tests;
