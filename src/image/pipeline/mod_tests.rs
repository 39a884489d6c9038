//! The pipeline with and without helpers: every byte arrives and is hashed, every failure is reported, and nothing
//! hangs.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::buffer::BLOCK;
use super::compression::Compression;
use super::stored::StoredReader;
use super::sums::Sums;
use super::*;
use crate::image::limits::Limits;
use crate::image::testing::compress;
use crate::oci::{Digest, Hasher};

const HELPERS: [usize; 3] = [0, 1, 2];

type Piped<R> = (LayerPipeline<R>, Arc<Scheduler>);

fn pipeline<R: Read + Send + 'static>(stored: R, compression: Compression, helpers: usize) -> Piped<R> {
    let scheduler = Arc::<Scheduler>::default();
    scheduler.begin_hashing(Sums::new(Hasher::sha256(), compression));
    let stored = StoredReader::new(stored, Some(Arc::clone(&scheduler)));
    let decoder = LayerDecoder::new(compression, stored, &Limits::default()).unwrap();
    (LayerPipeline::helped(decoder, Arc::clone(&scheduler), helpers), scheduler)
}

fn noise(length: usize) -> Vec<u8> {
    (0..length).map(|at| ((at * 31) >> 3) as u8 ^ (at >> 11) as u8).collect()
}

/// Reads `wanted` bytes, then compares the content, digests and counters.
fn check(length: usize, wanted: usize, compression: Compression, helpers: usize) {
    let bytes = noise(length);
    let stored = compress(&bytes, compression);
    let (mut pipeline, scheduler) = pipeline(io::Cursor::new(stored.clone()), compression, helpers);
    let mut read = vec![0; wanted];
    pipeline.read_exact(&mut read).unwrap();
    assert_eq!(read, bytes[..wanted]);
    let (decoder, produced) = pipeline.finish();
    assert_eq!(produced.unwrap(), length as u64);
    let is_gzip = compression == Compression::Gzip;
    assert_eq!(decoder.crc(), is_gzip.then(|| crc32fast::hash(&bytes)));
    assert_eq!(decoder.stored().taken(), stored.len() as u64);
    let sums = scheduler.finish_hashing();
    assert_eq!(sums.crc(), decoder.crc());
    assert_eq!(
        sums.finish(),
        (Digest::from_bytes(&stored), Digest::from_bytes(&bytes)),
        "{compression:?}, {length} of which {wanted}"
    );
}

#[test]
fn every_byte_arrives_and_is_hashed_read_or_not() {
    for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
        for helpers in HELPERS {
            for length in [1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 7, 21 * BLOCK + 5] {
                for wanted in [0, length / 2, length] {
                    check(length, wanted, compression, helpers);
                }
            }
        }
    }
}

#[test]
fn a_tar_under_another_algorithm_is_hashed_twice() {
    let (bytes, scheduler) = (noise(3 * BLOCK), Arc::<Scheduler>::default());
    scheduler.begin_hashing(Sums::new(Hasher::sha512(), Compression::None));
    let stored = StoredReader::new(&bytes[..], Some(Arc::clone(&scheduler)));
    let decoder = LayerDecoder::new(Compression::None, stored, &Limits::default()).unwrap();
    LayerPipeline::alone(decoder, Arc::clone(&scheduler)).finish().1.unwrap();
    let (stored, tar) = scheduler.finish_hashing().finish();
    assert_eq!((stored.algorithm(), tar), ("sha512", Digest::from_bytes(&bytes)));
}

/// Returns `good` and then fails or panics.
struct Faulty {
    good: io::Cursor<Vec<u8>>,
    panics: bool,
}

impl Read for Faulty {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self.good.read(into)? {
            0 if self.panics => panic!("a bug"),
            0 => Err(io::Error::other("broken")),
            read => Ok(read),
        }
    }
}

fn faulty(length: usize, panics: bool, helpers: usize) -> Piped<Faulty> {
    pipeline(Faulty { good: io::Cursor::new(noise(length)), panics }, Compression::None, helpers)
}

#[test]
fn an_error_comes_after_the_bytes_before_it() {
    for length in [0, 7, BLOCK, 30 * BLOCK, 30 * BLOCK + 7] {
        for helpers in HELPERS {
            let (mut piped, scheduler) = faulty(length, false, helpers);
            let mut read = Vec::new();
            assert_eq!(piped.read_to_end(&mut read).unwrap_err().to_string(), "broken");
            assert_eq!(read.len(), length);
            let (decoder, outcome) = piped.stop();
            assert!(outcome.is_ok(), "it was already reported");
            assert_eq!(decoder.into_inner().0.taken(), length as u64);
            assert_eq!(scheduler.finish_hashing().finish().0, Digest::from_bytes(&noise(length)));
            let (untold, _) = faulty(length, false, helpers);
            assert_eq!(untold.finish().1.unwrap_err().to_string(), "broken");
        }
    }
}

#[test]
fn a_stopped_pipeline_decodes_no_more_and_loses_nothing() {
    let length = 300 * BLOCK as u64;
    for helpers in HELPERS {
        let (mut pipeline, scheduler) = pipeline(io::repeat(7).take(length), Compression::None, helpers);
        pipeline.read_exact(&mut vec![0; 3 * BLOCK]).unwrap();
        let mut stored = pipeline.stop().0.into_inner().0;
        assert!((3 * BLOCK as u64..100 * BLOCK as u64).contains(&stored.taken()), "{}", stored.taken());
        stored.drain().unwrap();
        assert_eq!(
            (stored.taken(), scheduler.finish_hashing().finish().0),
            (length, Digest::from_bytes(&vec![7; length as usize]))
        );
    }
}

#[test]
fn a_dropped_pipeline_ends() {
    for helpers in HELPERS {
        pipeline(io::repeat(7), Compression::None, helpers).0.fill_buf().unwrap();
    }
}

#[test]
fn a_panic_reaches_the_reader() {
    let check_panic = |read: &mut dyn FnMut() -> io::Result<()>| {
        let panic = catch_unwind(AssertUnwindSafe(read)).expect_err("it goes on");
        assert_eq!(panic.downcast_ref(), Some(&"a bug"));
    };
    for helpers in HELPERS {
        for blocks in [0, 1, 2, 5, 20] {
            let (mut read, _) = faulty(blocks * BLOCK, true, helpers);
            check_panic(&mut || read.read_to_end(&mut Vec::new()).map(drop));
            let (whole, _) = faulty(blocks * BLOCK, true, helpers);
            let mut whole = Some(whole);
            check_panic(&mut || whole.take().unwrap().finish().1.map(drop));
            // A stopped pipeline meets the panic at the latest when the rest is drained.
            let (stopped, _) = faulty(blocks * BLOCK, true, helpers);
            let mut stopped = Some(stopped);
            check_panic(&mut || {
                let (decoder, outcome) = stopped.take().unwrap().stop();
                outcome.and_then(|()| decoder.into_inner().0.drain())
            });
        }
    }
}

/// Records the largest number of buffers that wait to be hashed, at each read of the stored bytes.
#[test]
fn the_hash_queue_is_bounded() {
    struct Watching {
        left: usize,
        scheduler: Arc<Scheduler>,
        most: Arc<std::sync::atomic::AtomicUsize>,
    }
    impl Read for Watching {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            self.most.fetch_max(self.scheduler.unhashed(), std::sync::atomic::Ordering::Relaxed);
            let read = into.len().min(self.left);
            self.left -= read;
            Ok(read)
        }
    }
    // A member without data, followed by 200 buffers of zeros: the decoder consumes a lot and produces nothing.
    let empty = compress(b"", Compression::Gzip);
    for (compression, start) in [(Compression::None, Vec::new()), (Compression::Gzip, empty)] {
        for helpers in HELPERS {
            let (scheduler, most) = (Arc::<Scheduler>::default(), Arc::default());
            let zeros = Watching { left: 200 * BLOCK, scheduler: Arc::clone(&scheduler), most: Arc::clone(&most) };
            scheduler.begin_hashing(Sums::new(Hasher::sha256(), compression));
            let stored = StoredReader::new(io::Cursor::new(start.clone()).chain(zeros), Some(Arc::clone(&scheduler)));
            let decoder = LayerDecoder::new(compression, stored, &Limits::default()).unwrap();
            let (decoder, produced) = LayerPipeline::helped(decoder, Arc::clone(&scheduler), helpers).finish();
            produced.unwrap();
            assert_eq!(decoder.stored().taken(), (start.len() + 200 * BLOCK) as u64);
            let most = most.load(std::sync::atomic::Ordering::Relaxed);
            assert!(most <= 13, "{most} with {helpers} helpers");
        }
    }
}
