//! The libraries in the archive of a PyInstaller one-file program, which follows its own segments. Each entry is a
//! stream of zlib. The table of entries is at the end of the file, so the streams are found by their first bytes.
//! Source: PyInstaller's archive/writers.py `CArchiveWriter`.

use std::cell::Cell;
use std::io::{self, BufRead, BufReader, Read};

use flate2::{Decompress, FlushDecompress};

use super::elf;
use super::kind::{Elf, HEAD_BYTES};
use super::window::{Window, WindowBuffers};
use super::zip_member::MemberContent;

/// The smallest archive with a library of Python is several MiB.
const SMALLEST: u64 = 1 << 20;
/// The archive starts after the section `.comment`, which has up to a few hundred bytes.
const BEFORE: usize = 512;
/// Bytes to keep after the segments, to recognise the archive.
const PEEK: u64 = 4 << 10;
/// Maximum number of libraries to read.
const LIBRARIES: usize = 256;
/// Maximum bytes to decompress.
const INFLATE_BYTES: u64 = 512 << 20;
/// Maximum number of streams to try.
const TRIES: usize = 1 << 16;
/// Enough compressed bytes for the first four decompressed ones, even with the tables of a dynamic block.
const AHEAD: usize = 1 << 10;
const BUFFER: usize = 64 << 10;
/// Size of a library that the archive does not state at its start.
const UNKNOWN_SIZE: u64 = 1 << 30;

/// Reads the archive that follows the segments of `elf`, whose other parts have passed. `None` if there is none; an empty
/// list if there is one that could not be read.
pub fn read(elf: &Elf, window: &mut Window<'_>) -> Option<Vec<Elf>> {
    // The dynamic section of a program whose end is not read is marked as partial.
    let is_read = elf.interp.is_some() && elf.dynamic.as_ref().is_some_and(|dynamic| !dynamic.is_partial);
    let end = elf.segments.iter().map(|segment| segment.offset.saturating_add(segment.filesz)).max()?;
    if !is_read || end.saturating_add(SMALLEST) > window.size() {
        return None;
    }
    let start = if window.from(end).is_some() { end } else { window.position().max(end) };
    window.want(start, PEEK);
    window.pass_wanted();
    let kept = window.from(start).filter(|kept| is_archive(kept))?.to_vec();
    let is_next = start + kept.len() as u64 == window.position();
    Some(if is_next { libraries(kept, window) } else { Vec::new() })
}

/// Whether the first stream of zlib is a code object of Python, as in every archive: the module `struct`.
/// Source: CPython's marshal.c `TYPE_CODE`, `FLAG_REF`.
fn is_archive(bytes: &[u8]) -> bool {
    let starts = (0..bytes.len().min(BEFORE)).filter(|at| is_zlib(&bytes[*at..]));
    let mut inflater = Decompress::new(true);
    starts.take(8).any(|at| matches!(inflate_start(&mut inflater, &bytes[at..]), Some([b'c' | 0xe3, 0, 0, 0])))
}

/// Source: RFC 1950, "CMF", "FLG", for windows of 32 KiB without a dictionary.
fn is_zlib(bytes: &[u8]) -> bool {
    matches!(bytes, [0x78, 0x01 | 0x5e | 0x9c | 0xda, ..])
}

/// The first four bytes of a stream of zlib.
fn inflate_start(inflater: &mut Decompress, bytes: &[u8]) -> Option<[u8; 4]> {
    let mut start = [0; 4];
    inflater.reset(true);
    inflater.decompress(bytes, &mut start, FlushDecompress::None).ok()?;
    (inflater.total_out() == 4).then_some(start)
}

fn libraries(kept: Vec<u8>, window: &mut Window<'_>) -> Vec<Elf> {
    let budget = Cell::new(INFLATE_BYTES);
    let mut reader = LookAhead { bytes: kept, at: 0, rest: window.remaining() };
    let mut buffers = WindowBuffers::default();
    let mut found = Vec::new();
    let (mut probe, mut tries) = (Decompress::new(true), 0);
    while let Ok(ahead) = reader.fill_buf()
        && !ahead.is_empty()
        && found.len() < LIBRARIES
        && tries < TRIES
    {
        // A stream that starts in the last bytes is found once more bytes follow.
        let len = if ahead.len() > AHEAD { ahead.len() - AHEAD } else { ahead.len() };
        let is_library = |at: &usize| {
            let bytes = &ahead[*at..(at + AHEAD).min(ahead.len())];
            tries += usize::from(is_zlib(bytes));
            is_zlib(bytes) && tries < TRIES && inflate_start(&mut probe, bytes) == Some(*b"\x7fELF")
        };
        let Some(at) = (0..len).find(is_library) else {
            reader.consume(len);
            continue;
        };
        reader.consume(at);
        let inflater = Some(Decompress::new(true));
        let content = MemberContent { from: &mut reader, left: None, inflater, is_ended: false, budget: &budget };
        let mut whole = BufReader::new(content);
        let mut window = Window::open(&mut whole, UNKNOWN_SIZE, &mut buffers, HEAD_BYTES);
        let elf = elf::inspect_member(b"", &mut window);
        if window.has_failed() {
            break;
        }
        found.push(elf);
    }
    found
}

/// A reader whose buffer has more than [`AHEAD`] bytes until the end is near.
struct LookAhead<R> {
    bytes: Vec<u8>,
    at: usize,
    rest: R,
}

impl<R: Read> Read for LookAhead<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let ready = self.fill_buf()?;
        let len = ready.len().min(into.len());
        into[..len].copy_from_slice(&ready[..len]);
        self.consume(len);
        Ok(len)
    }
}

impl<R: Read> BufRead for LookAhead<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.bytes.len() - self.at <= AHEAD {
            self.bytes.drain(..self.at);
            self.at = 0;
            let len = self.bytes.len();
            self.bytes.resize(len + BUFFER, 0);
            let mut filled = len;
            while filled < self.bytes.len() {
                match self.rest.read(&mut self.bytes[filled..]) {
                    Ok(0) | Err(_) => break,
                    Ok(count) => filled += count,
                }
            }
            self.bytes.truncate(filled);
        }
        Ok(&self.bytes[self.at..])
    }

    fn consume(&mut self, amount: usize) {
        self.at += amount;
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::ZlibEncoder;

    use crate::inspect::elf_builder::ElfBuilder;
    use crate::inspect::{FileKind, inspect};

    fn zlib(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn libraries_of_a_one_file_program_are_found() {
        let python = ElfBuilder::amd64().needed("libm.so.6").soname("libpython3.11.so.1.0").build();
        let read = |first: &[u8]| {
            let mut file = ElfBuilder::amd64().interp("/lib64/ld-linux-x86-64.so.2").needed("libc.so.6").build();
            file.extend(b"a comment");
            file.extend(zlib(first));
            // Data that is not compressed lies between the entries, and starts like a stream.
            file.extend([0x78, 0xda].repeat(20_000));
            file.extend(zlib(&python));
            file.extend(vec![0; 1 << 20]);
            match inspect(b"app", file.len() as u64, true, &mut file.as_slice()) {
                FileKind::Elf(elf) => elf.frozen,
                other => panic!("{other:?}"),
            }
        };
        let found = read(b"\xe3\0\0\0\0code").unwrap();
        let sonames: Vec<_> = found.iter().map(|elf| elf.dynamic.as_ref().unwrap().soname.clone().unwrap()).collect();
        assert_eq!(sonames, ["libpython3.11.so.1.0"]);
        assert_eq!(read(b"other"), None);
    }
}
