//! The pipeline with and without helpers: every byte arrives and is hashed, whatever goes wrong is told, and nothing hangs.

use super::*;
use crate::image::buffer::BLOCK;
use crate::image::decompress::Compression;
use crate::image::intake::Intake;
use crate::image::limits::Limits;
use crate::image::testing::compress;
use crate::oci::{Digest, Hasher};

const HELPERS: [usize; 3] = [0, 1, 2];

fn pipeline<R: Read + Send + 'static>(stored: R, compression: Compression, helpers: usize) -> Pipeline<R> {
    let decoder = Decoder::new(compression, Intake::new(stored), &Limits::default()).unwrap();
    Pipeline::helped(decoder, Sums::new(Hasher::sha256(), compression), helpers)
}

fn noise(length: usize) -> Vec<u8> {
    (0..length).map(|at| ((at * 31) >> 3) as u8 ^ (at >> 11) as u8).collect()
}

/// Reads `wanted` bytes, and compares everything that is known in the end.
fn check(length: usize, wanted: usize, compression: Compression, helpers: usize) {
    let bytes = noise(length);
    let stored = compress(&bytes, compression);
    let mut pipeline = pipeline(io::Cursor::new(stored.clone()), compression, helpers);
    let mut read = vec![0; wanted];
    pipeline.read_exact(&mut read).unwrap();
    assert_eq!(read, bytes[..wanted]);
    let Finished { mut decoder, sums, produced, outcome } = pipeline.finish();
    outcome.unwrap();
    let crc = sums.crc.clone().map(crc32fast::Hasher::finalize);
    assert_eq!(crc, (compression == Compression::Gzip).then(|| crc32fast::hash(&bytes)));
    assert_eq!((produced, decoder.stored().taken()), (length as u64, stored.len() as u64));
    assert_eq!(sums.finish(), (Digest::of(&stored), Digest::of(&bytes)), "{compression:?}, {length} of which {wanted}");
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
    let bytes = noise(3 * BLOCK);
    let decoder = Decoder::new(Compression::None, Intake::new(&bytes[..]), &Limits::default()).unwrap();
    let pipeline = Pipeline::alone(decoder, Sums::new(Hasher::sha512(), Compression::None));
    let (stored, tar) = pipeline.finish().sums.finish();
    assert_eq!((stored.algorithm(), tar), ("sha512", Digest::of(&bytes)));
}

/// Gives `good` and then fails, or panics.
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

fn faulty(blocks: usize, panics: bool, helpers: usize) -> Pipeline<Faulty> {
    pipeline(Faulty { good: io::Cursor::new(noise(blocks * BLOCK)), panics }, Compression::None, helpers)
}

#[test]
fn an_error_is_told_behind_what_came_before_it() {
    for (blocks, helpers) in [0, 1, 30].into_iter().flat_map(|blocks| HELPERS.map(|helpers| (blocks, helpers))) {
        let mut told = faulty(blocks, false, helpers);
        let mut read = Vec::new();
        assert_eq!(told.read_to_end(&mut read).unwrap_err().to_string(), "broken");
        assert_eq!(read.len(), blocks * BLOCK);
        let Finished { decoder, outcome, .. } = told.stop();
        assert!(outcome.is_ok(), "it has been told");
        assert_eq!(decoder.into_inner().0.taken(), (blocks * BLOCK) as u64);
        let untold = faulty(blocks, false, helpers).finish();
        assert_eq!(untold.outcome.unwrap_err().to_string(), "broken");
    }
}

#[test]
fn one_that_is_stopped_has_hashed_what_it_has_taken() {
    for helpers in HELPERS {
        let mut pipeline = pipeline(io::repeat(7), Compression::None, helpers);
        pipeline.read_exact(&mut vec![0; 3 * BLOCK]).unwrap();
        let Finished { mut decoder, sums, .. } = pipeline.stop();
        let taken = decoder.stored().taken();
        assert!(taken >= 3 * BLOCK as u64);
        assert_eq!(sums.finish().0, Digest::of(&vec![7; taken as usize]));
    }
}

#[test]
fn one_that_is_dropped_ends() {
    for helpers in HELPERS {
        let mut pipeline = pipeline(io::repeat(7), Compression::None, helpers);
        pipeline.fill_buf().unwrap();
    }
}

#[test]
fn a_panic_reaches_the_reader() {
    for helpers in HELPERS {
        let mut pipeline = faulty(20, true, helpers);
        let read = catch_unwind(AssertUnwindSafe(|| pipeline.read_to_end(&mut Vec::new())));
        assert_eq!(read.unwrap_err().downcast_ref(), Some(&"a bug"), "{helpers} helpers");
    }
}
