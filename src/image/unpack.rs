//! Decompresses a whole archive: an image archive in any compression that engines load, a release archive, or part of a
//! package. Layers are decoded by [`super::pipeline`], which also hashes them.

use std::io::{self, BufReader, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bzip2::bufread::MultiBzDecoder;
use lzma_rust2::XzReader;

use super::error::LayerError;
use super::limits::Limits;
use super::pipeline::{Compression, LayerDecoder, SelfChecked, StoredReader};

/// How an archive is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArchiveCompression {
    Gzip,
    Zstd,
    Bzip2,
    Xz,
}

/// Memory limit of an xz decoder, in KiB. `xz -9` uses a dictionary of 64 MiB.
const XZ_MEMORY: u32 = 320 << 10;
const BUFFER: usize = 64 << 10;

impl ArchiveCompression {
    /// Detects the compression from the first bytes. Sources: RFC 1952; RFC 8878, 3.1; bzip2's `BZh`;
    /// xz-file-format.txt, 2.1.1.1.
    pub fn from_magic(start: &[u8]) -> Option<ArchiveCompression> {
        match start {
            [0x1f, 0x8b, 8, ..] => Some(ArchiveCompression::Gzip),
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Some(ArchiveCompression::Zstd),
            [b'B', b'Z', b'h', b'1'..=b'9', ..] => Some(ArchiveCompression::Bzip2),
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Some(ArchiveCompression::Xz),
            _ => None,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            ArchiveCompression::Gzip => "gzip",
            ArchiveCompression::Zstd => "zstd",
            ArchiveCompression::Bzip2 => "bzip2",
            ArchiveCompression::Xz => "xz",
        }
    }
}

/// Returns a reader of `reader`'s content, decompressed. Reading fails if the stream is truncated, corrupt or expands
/// beyond the limits.
pub fn unpack<'r>(
    packing: ArchiveCompression,
    reader: impl Read + 'r,
    limits: &Limits,
) -> io::Result<Box<dyn Read + 'r>> {
    let layer = |compression, reader| {
        let decoder = LayerDecoder::new(compression, StoredReader::new(reader, None), limits)?;
        Ok(Box::new(SelfChecked::new(decoder)) as Box<dyn Read + 'r>)
    };
    match packing {
        ArchiveCompression::Gzip => layer(Compression::Gzip, reader),
        ArchiveCompression::Zstd => layer(Compression::Zstd, reader),
        ArchiveCompression::Bzip2 => {
            let (reader, stored) = counted(reader);
            Ok(Box::new(Unpacker::new(packing, MultiBzDecoder::new(reader), stored, limits)))
        }
        ArchiveCompression::Xz => {
            let (reader, stored) = counted(reader);
            let decoder = XzReader::new_mem_limit(reader, true, XZ_MEMORY);
            Ok(Box::new(Unpacker::new(packing, decoder, stored, limits)))
        }
    }
}

/// A decoder with its output checked against the limits.
struct Unpacker<D> {
    packing: ArchiveCompression,
    decoder: D,
    stored: Arc<AtomicU64>,
    produced: u64,
    limits: Limits,
}

impl<D: Read> Unpacker<D> {
    fn new(packing: ArchiveCompression, decoder: D, stored: Arc<AtomicU64>, limits: &Limits) -> Unpacker<D> {
        Unpacker { packing, decoder, stored, produced: 0, limits: limits.clone() }
    }
}

impl<D: Read> Read for Unpacker<D> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.decoder.read(into).map_err(|error| named(self.packing, error))?;
        self.produced += read as u64;
        self.limits.check_size(self.stored.load(Ordering::Relaxed), self.produced)?;
        Ok(read)
    }
}

/// Names the format in the decoder's own errors, which are plain I/O errors. Errors of the source pass through
/// unchanged.
fn named(packing: ArchiveCompression, error: io::Error) -> io::Error {
    let format = packing.name();
    match error.kind() {
        io::ErrorKind::Interrupted => error,
        _ if error.get_ref().is_some_and(|inner| inner.is::<LayerError>()) => error,
        io::ErrorKind::UnexpectedEof => LayerError::Truncated(format).into(),
        io::ErrorKind::InvalidData
        | io::ErrorKind::InvalidInput
        | io::ErrorKind::OutOfMemory
        | io::ErrorKind::Other => LayerError::Corrupt { format, cause: error.to_string() }.into(),
        _ => error,
    }
}

/// Counts the stored bytes, and marks the source's errors so that they are recognised after the decoder.
struct CountedSource<R> {
    reader: R,
    stored: Arc<AtomicU64>,
}

fn counted<R: Read>(reader: R) -> (BufReader<CountedSource<R>>, Arc<AtomicU64>) {
    let stored = Arc::<AtomicU64>::default();
    let counted = CountedSource { reader, stored: Arc::clone(&stored) };
    (BufReader::with_capacity(BUFFER, counted), stored)
}

impl<R: Read> Read for CountedSource<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(into).map_err(|error| match error.kind() {
            io::ErrorKind::Interrupted => error,
            _ => LayerError::from(error).into(),
        })?;
        self.stored.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn bzip2(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn read(packing: ArchiveCompression, stored: &[u8]) -> Result<Vec<u8>, String> {
        let mut bytes = Vec::new();
        let limits = Limits { free_bytes: 1 << 20, ..Limits::default() };
        let read = unpack(packing, stored, &limits).and_then(|mut reader| reader.read_to_end(&mut bytes));
        read.map(|_| bytes).map_err(|error| LayerError::from(error).to_string())
    }

    /// `printf 'hello\n' | xz`.
    const XZ: &[u8] = &[
        0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00, 0x00, 0x04, 0xe6, 0xd6, 0xb4, 0x46, 0x02, 0x00, 0x21, 0x01, 0x16, 0x00,
        0x00, 0x00, 0x74, 0x2f, 0xe5, 0xa3, 0x01, 0x00, 0x05, 0x68, 0x65, 0x6c, 0x6c, 0x6f, 0x0a, 0x00, 0x00, 0x00,
        0xa5, 0x60, 0x97, 0xf1, 0x94, 0xf6, 0xfd, 0xe0, 0x00, 0x01, 0x1e, 0x06, 0xc1, 0x2f, 0xa4, 0x1d, 0x1f, 0xb6,
        0xf3, 0x7d, 0x01, 0x00, 0x00, 0x00, 0x00, 0x04, 0x59, 0x5a,
    ];

    #[test]
    fn each_format_is_recognised_and_read_with_all_its_streams() {
        let text = b"hello\n".repeat(1000);
        let gzip = super::super::testing::compress(&text, Compression::Gzip);
        let zstd = super::super::testing::compress(&text, Compression::Zstd);
        for (packing, stored) in [
            (ArchiveCompression::Gzip, gzip),
            (ArchiveCompression::Zstd, zstd),
            (ArchiveCompression::Bzip2, bzip2(&text)),
            (ArchiveCompression::Xz, XZ.repeat(1000)),
        ] {
            assert_eq!(ArchiveCompression::from_magic(&stored), Some(packing));
            assert!(read(packing, &stored).unwrap() == text, "{packing:?}");
            let cut = read(packing, &stored[..stored.len() - 9]).unwrap_err();
            assert!(cut.contains(packing.name()), "{packing:?}: {cut}");
        }
        assert_eq!(ArchiveCompression::from_magic(b"\x7fELF"), None);
    }

    #[test]
    fn broken_bytes_and_bombs_are_errors() {
        let mut broken = bzip2(&b"hello\n".repeat(1000));
        broken[30] ^= 0xff;
        assert!(read(ArchiveCompression::Bzip2, &broken).unwrap_err().starts_with("corrupt bzip2"), "a checksum fails");
        let mut broken = XZ.to_vec();
        broken[29] ^= 1;
        assert!(read(ArchiveCompression::Xz, &broken).unwrap_err().starts_with("corrupt xz"), "a checksum fails");
        let bomb = read(ArchiveCompression::Bzip2, &bzip2(&vec![0; 8 << 20])).unwrap_err();
        assert!(bomb.contains("archive bombs"), "{bomb}");
    }
}
