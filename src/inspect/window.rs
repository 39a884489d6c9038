//! A file that passes once, forward, of which only wanted parts are kept. It never holds more than [`KEEP_LIMIT`] bytes
//! and never reads past the size that the archive gave. It does not know what the bytes mean.

use std::io::{self, ErrorKind, Read};
use std::ops::Range;

/// Most bytes that are kept of one file: a bounded scan needs a bounded worker, and no symbol-free table is larger.
pub const KEEP_LIMIT: usize = 14 << 20;

/// What a worker keeps between files, so that a kept buffer is allocated once.
const IDLE_LIMIT: usize = 1 << 20;

/// Ranges that are asked for at a time; a file with thousands of note segments is hostile.
const WANTED_LIMIT: usize = 64;

/// Bytes that are read and dropped at a time.
const SKIP_BYTES: usize = 64 << 10;

/// The buffers of one worker, used again for each file.
#[derive(Default)]
pub struct Store {
    bytes: Vec<u8>,
    chunks: Vec<Chunk>,
    wanted: Vec<Range<u64>>,
    skipped: Vec<u8>,
}

#[derive(Clone, Copy)]
struct Chunk {
    start: u64,
    at: usize,
    len: usize,
}

/// The file and what was kept of it so far.
pub struct Window<'a> {
    reader: &'a mut dyn Read,
    store: &'a mut Store,
    size: u64,
    at: u64,
    has_failed: bool,
}

impl Store {
    /// Gives back the memory that one large file took.
    pub fn shrink(&mut self) {
        if self.bytes.capacity() > IDLE_LIMIT {
            self.bytes = Vec::new();
        }
    }
}

impl<'a> Window<'a> {
    /// Starts a file of `size` bytes and keeps its first `head` bytes.
    pub fn open(reader: &'a mut dyn Read, size: u64, store: &'a mut Store, head: usize) -> Window<'a> {
        store.bytes.clear();
        store.chunks.clear();
        store.wanted.clear();
        let mut window = Window { reader, store, size, at: 0, has_failed: false };
        window.keep(head as u64);
        window
    }

    /// The file's size; less than what the archive said where the reader ended early.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Bytes that have passed.
    pub fn position(&self) -> u64 {
        self.at
    }

    /// Whether the reader gave an error; nothing more is read after it.
    pub fn has_failed(&self) -> bool {
        self.has_failed
    }

    /// The kept bytes from the file's start, without a gap.
    pub fn head(&self) -> &[u8] {
        self.from(0).unwrap_or_default()
    }

    /// Asks for a range, of which only what has not passed can still be kept.
    pub fn want(&mut self, start: u64, len: u64) {
        let (start, end) = (start.max(self.at), start.saturating_add(len).min(self.size));
        if start < end && self.store.wanted.len() < WANTED_LIMIT {
            self.store.wanted.push(start..end);
        }
    }

    /// Reads on until `end`, keeping what is wanted.
    pub fn pass(&mut self, end: u64) {
        let end = end.min(self.size);
        while self.at < end {
            let at = self.at;
            self.store.wanted.retain(|range| range.end > at);
            match self.store.wanted.iter().min_by_key(|range| range.start.max(at)).cloned() {
                Some(range) if range.start <= at => self.keep(range.end.min(end) - at),
                Some(range) => self.skip(range.start.min(end) - at),
                None => self.skip(end - at),
            }
            // A full store or an ended reader stands still.
            if self.at == at {
                return;
            }
        }
    }

    /// Reads on until nothing is wanted any more.
    pub fn pass_wanted(&mut self) {
        if let Some(end) = self.store.wanted.iter().map(|range| range.end).max() {
            self.pass(end);
        }
    }

    /// `len` kept bytes at `start`; `None` where any of them was not kept.
    pub fn get(&self, start: u64, len: u64) -> Option<&[u8]> {
        self.from(start)?.get(..usize::try_from(len).ok()?)
    }

    /// The kept bytes from `start` on, as far as they go without a gap.
    pub fn from(&self, start: u64) -> Option<&[u8]> {
        let chunk =
            self.store.chunks.iter().find(|chunk| start >= chunk.start && start - chunk.start < chunk.len as u64)?;
        let within = (start - chunk.start) as usize;
        Some(&self.store.bytes[chunk.at + within..chunk.at + chunk.len])
    }

    /// The whole file as a stream: what was kept of its start, then the rest.
    pub fn stream(&mut self) -> Stream<'_, 'a> {
        Stream { window: self, served: 0 }
    }

    fn keep(&mut self, len: u64) {
        let room = KEEP_LIMIT.saturating_sub(self.store.bytes.len()) as u64;
        let kept = self.store.bytes.len();
        if room == 0 {
            return self.skip(len);
        }
        let goal = len.min(self.size - self.at).min(room);
        self.store.bytes.resize(kept + goal as usize, 0);
        let mut filled = kept;
        while filled < self.store.bytes.len() {
            match read(&mut *self.reader, &mut self.store.bytes[filled..]) {
                Some(0) => break,
                Some(count) => filled += count,
                None => {
                    self.has_failed = true;
                    break;
                }
            }
        }
        let len = filled - kept;
        if filled < self.store.bytes.len() {
            self.size = self.at + len as u64;
        }
        self.store.bytes.truncate(filled);
        if len == 0 {
            return;
        }
        match self.store.chunks.last_mut() {
            Some(last) if last.start + last.len as u64 == self.at => last.len += len,
            _ => self.store.chunks.push(Chunk { start: self.at, at: kept, len }),
        }
        self.at += len as u64;
    }

    fn skip(&mut self, len: u64) {
        let mut left = len.min(self.size - self.at);
        self.store.skipped.resize(SKIP_BYTES, 0);
        while left > 0 {
            let step = left.min(SKIP_BYTES as u64) as usize;
            match read(&mut *self.reader, &mut self.store.skipped[..step]) {
                Some(count) if count > 0 => {
                    left -= count as u64;
                    self.at += count as u64;
                }
                ended => {
                    self.has_failed = ended.is_none();
                    self.size = self.at;
                    return;
                }
            }
        }
    }
}

/// See [`Window::stream`].
pub struct Stream<'w, 'a> {
    window: &'w mut Window<'a>,
    served: usize,
}

impl Read for Stream<'_, '_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let head = &self.window.head()[self.served..];
        if !head.is_empty() {
            let len = head.len().min(into.len());
            into[..len].copy_from_slice(&head[..len]);
            self.served += len;
            return Ok(len);
        }
        let window = &mut *self.window;
        let len = into.len().min(usize::try_from(window.size - window.at).unwrap_or(usize::MAX));
        let count = read(&mut *window.reader, &mut into[..len]);
        window.has_failed |= count.is_none();
        let count = count.ok_or_else(|| io::Error::other("the file's reader failed"))?;
        window.at += count as u64;
        Ok(count)
    }
}

/// One read; `None` is an error, which the reader's owner meets again and reports.
fn read(reader: &mut dyn Read, into: &mut [u8]) -> Option<usize> {
    loop {
        match reader.read(into) {
            Ok(count) => return Some(count.min(into.len())),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return None,
        }
    }
}
