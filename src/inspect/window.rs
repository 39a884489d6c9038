//! Reads a file once, forward, and keeps only the requested parts. At most [`KEEP_LIMIT`] bytes are kept, and nothing
//! is read past the size in the archive. The bytes are not interpreted.

use std::io::{self, BufRead, ErrorKind, Read};
use std::ops::Range;

/// Maximum bytes to keep of one file. It bounds the memory of a worker, and all tables other than symbol tables are
/// smaller.
pub const KEEP_LIMIT: usize = 20 << 20;

/// Maximum buffer that a worker keeps between files, so that it is usually allocated once.
const IDLE_LIMIT: usize = 1 << 20;

/// Maximum number of requested ranges. A file with thousands of note segments is hostile.
const WANTED_LIMIT: usize = 64;

/// All reads start and end at multiples of this, so that aligned data of this size is never split.
pub const ALIGN: u64 = 16;

/// Bytes to read and discard at a time.
const SKIP_BYTES: usize = 64 << 10;

/// The buffers of one worker, reused for each file.
#[derive(Default)]
pub struct WindowBuffers {
    bytes: Vec<u8>,
    chunks: Vec<WindowChunk>,
    wanted: Vec<Range<u64>>,
    watched: Vec<Range<u64>>,
    skipped: Vec<u8>,
}

#[derive(Clone, Copy)]
struct WindowChunk {
    start: u64,
    at: usize,
    len: usize,
}

/// A file and the parts of it that were kept so far.
pub struct Window<'a> {
    reader: &'a mut dyn BufRead,
    store: &'a mut WindowBuffers,
    size: u64,
    at: u64,
    has_failed: bool,
    watch: Needle,
}

/// A byte sequence to search for in passing bytes, at multiples of [`ALIGN`]. An empty needle is never found.
#[derive(Clone, Copy, Default)]
struct Needle {
    needle: &'static [u8],
    /// Bytes to keep from the match on.
    keep: u64,
    found: Option<u64>,
}

impl WindowBuffers {
    /// Frees the memory that a large file needed.
    pub fn shrink(&mut self) {
        if self.bytes.capacity() > IDLE_LIMIT {
            self.bytes = Vec::new();
        }
    }

    /// Size on the heap in bytes.
    #[cfg(test)]
    pub fn heap_bytes(&self) -> usize {
        self.bytes.capacity() + self.skipped.capacity()
    }

    /// Records that the `len` bytes at `at` in `bytes` are the file's bytes from `start` on.
    fn record_chunk(&mut self, start: u64, at: usize, len: usize) {
        match self.chunks.last_mut() {
            Some(last) if last.start + last.len as u64 == start && last.at + last.len == at => last.len += len,
            _ if len > 0 => self.chunks.push(WindowChunk { start, at, len }),
            _ => {}
        }
    }
}

impl<'a> Window<'a> {
    /// Starts a file of `size` bytes and keeps its first `head` bytes.
    pub fn open(reader: &'a mut dyn BufRead, size: u64, store: &'a mut WindowBuffers, head: usize) -> Window<'a> {
        store.bytes.clear();
        store.chunks.clear();
        store.wanted.clear();
        store.watched.clear();
        let mut window = Window { reader, store, size, at: 0, has_failed: false, watch: Needle::default() };
        window.keep(head as u64);
        window
    }

    /// Keeps the bytes of the file up to `head`. Nothing but its start may have passed.
    pub fn extend_head(&mut self, head: usize) {
        self.keep((head as u64).saturating_sub(self.at));
    }

    /// The size of the file. It is less than the size in the archive if the reader ended early.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Number of bytes that can still be kept.
    pub fn room(&self) -> u64 {
        KEEP_LIMIT.saturating_sub(self.store.bytes.len()) as u64
    }

    /// Number of bytes that have passed.
    pub fn position(&self) -> u64 {
        self.at
    }

    /// Whether the reader returned an error. Nothing is read after an error.
    pub fn has_failed(&self) -> bool {
        self.has_failed
    }

    /// The kept bytes at the start of the file, up to the first gap.
    #[inline]
    pub fn head(&self) -> &[u8] {
        self.from(0).unwrap_or_default()
    }

    /// Requests a range. Only the bytes that have not passed yet can be kept.
    pub fn want(&mut self, start: u64, len: u64) {
        let end = start.saturating_add(len).checked_next_multiple_of(ALIGN).unwrap_or(u64::MAX).min(self.size);
        let start = (start - start % ALIGN).max(self.at);
        if start < end && self.store.wanted.len() < WANTED_LIMIT {
            self.store.wanted.push(start..end);
        }
    }

    /// Searches `ranges` for `needle` (at most [`ALIGN`] bytes, at a multiple of it), and keeps `keep` bytes from the
    /// first match on. Bytes that have passed and were not kept are not searched.
    pub fn watch(&mut self, needle: &'static [u8], ranges: impl Iterator<Item = Range<u64>>, keep: u64) {
        self.watch = Needle { needle, keep, found: None };
        self.store.watched.extend(ranges.take(WANTED_LIMIT));
        let kept = self.store.chunks.iter();
        let found = kept.filter_map(|chunk| {
            let within = self.search(chunk.start, &self.store.bytes[chunk.at..chunk.at + chunk.len])?;
            Some(chunk.start + within as u64)
        });
        if let Some(at) = found.min() {
            self.set_found(at);
        }
    }

    /// The offset of the match.
    pub fn found(&self) -> Option<u64> {
        self.watch.found
    }

    /// Reads up to `end` and keeps requested bytes.
    pub fn pass(&mut self, end: u64) {
        let end = end.checked_next_multiple_of(ALIGN).unwrap_or(u64::MAX);
        while self.at < end.min(self.size) {
            self.step(end);
        }
    }

    /// Reads until nothing is requested or watched for.
    pub fn pass_wanted(&mut self) {
        loop {
            let watched = self.store.watched.iter().filter(|_| self.watch.found.is_none());
            let end = self.store.wanted.iter().chain(watched).map(|range| range.end).max();
            match end.filter(|end| self.at < self.size.min(*end)) {
                Some(end) => self.step(end),
                None => return,
            }
        }
    }

    /// Reads at least one byte, if there is one.
    fn step(&mut self, end: u64) {
        let at = self.at;
        self.store.wanted.retain(|range| range.end > at);
        match self.store.wanted.iter().min_by_key(|range| range.start.max(at)).cloned() {
            Some(range) if range.start <= at => self.keep(range.end.min(end) - at),
            Some(range) => self.skip(range.start.min(end) - at),
            None => self.skip(end - at),
        }
    }

    /// The `len` bytes at `start`. `None` unless all of them were kept.
    pub fn get(&self, start: u64, len: u64) -> Option<&[u8]> {
        self.from(start)?.get(..usize::try_from(len).ok()?)
    }

    /// The kept bytes from `start` up to the next gap.
    #[inline]
    pub fn from(&self, start: u64) -> Option<&[u8]> {
        let chunk =
            self.store.chunks.iter().find(|chunk| start >= chunk.start && start - chunk.start < chunk.len as u64)?;
        let within = (start - chunk.start) as usize;
        Some(&self.store.bytes[chunk.at + within..chunk.at + chunk.len])
    }

    /// The whole file as a stream: the kept start, then the remaining bytes.
    pub fn stream(&mut self) -> WindowStream<'_, 'a> {
        WindowStream { window: self, served: 0 }
    }

    /// The bytes that have not passed yet, as a stream.
    pub fn remaining(&mut self) -> WindowStream<'_, 'a> {
        let served = self.head().len();
        WindowStream { window: self, served }
    }

    fn keep(&mut self, len: u64) {
        let kept = self.store.bytes.len();
        let len = len.min(self.size - self.at).min(KEEP_LIMIT.saturating_sub(kept) as u64) as usize;
        if len == 0 {
            return self.skip(SKIP_BYTES as u64);
        }
        self.store.bytes.reserve_exact(len);
        let read = append(&mut *self.reader, len, &mut self.store.bytes);
        let found = self.search(self.at, &self.store.bytes[kept..]);
        self.store.record_chunk(self.at, kept, read.len);
        self.advance(len, &read, found);
    }

    fn skip(&mut self, len: u64) {
        let mut left = len.min(self.size - self.at);
        if !self.watches(self.at..self.at + left) {
            return self.discard(left);
        }
        while left > 0 && self.at < self.size {
            // A shorter first read restores the alignment to ALIGN after a short head.
            let len = left.min(SKIP_BYTES as u64 - self.at % ALIGN) as usize;
            let mut skipped = std::mem::take(&mut self.store.skipped);
            skipped.clear();
            let read = append(&mut *self.reader, len, &mut skipped);
            let found = self.search(self.at, &skipped);
            if let Some(within) = found {
                let rest = &skipped[within..];
                let rest = &rest[..rest.len().min(KEEP_LIMIT.saturating_sub(self.store.bytes.len()))];
                let kept = self.store.bytes.len();
                self.store.bytes.extend_from_slice(rest);
                self.store.record_chunk(self.at + within as u64, kept, rest.len());
            }
            self.store.skipped = skipped;
            self.advance(len, &read, found);
            left -= len as u64;
            if found.is_some() {
                // The match has changed the requested ranges.
                return;
            }
        }
    }

    /// Whether any of these bytes of the file are searched.
    fn watches(&self, passing: Range<u64>) -> bool {
        let is_open = !self.watch.needle.is_empty() && self.watch.found.is_none();
        let overlaps = |range: &Range<u64>| range.start < passing.end && passing.start < range.end;
        is_open && self.store.watched.iter().any(overlaps)
    }

    /// Passes bytes without a copy.
    fn discard(&mut self, mut left: u64) {
        while left > 0 && self.at < self.size {
            let (amount, has_failed) = match self.reader.fill_buf() {
                Ok(bytes) => (bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX)), false),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => (0, true),
            };
            self.reader.consume(amount);
            self.advance(amount.max(1), &Filled { len: amount, has_failed }, None);
            left -= amount as u64;
        }
    }

    /// Searches `bytes`, which are the file's from `at` on, for the watched bytes.
    fn search(&self, at: u64, bytes: &[u8]) -> Option<usize> {
        let needle = self.watch.needle;
        let (first, _) = needle.split_first().filter(|_| self.watch.found.is_none())?;
        let end = at + bytes.len() as u64;
        let ranges = self.store.watched.iter().map(|range| range.start.max(at)..range.end.min(end));
        let places = ranges.filter(|range| range.start < range.end).flat_map(|range| {
            let start = range.start.next_multiple_of(ALIGN);
            (start..range.end).step_by(ALIGN as usize)
        });
        let mut within = places.map(|place| (place - at) as usize);
        within.find(|within| bytes.get(*within) == Some(first) && bytes[*within..].starts_with(needle))
    }

    /// Records that `asked` bytes were requested and the reader returned `read`.
    fn advance(&mut self, asked: usize, read: &Filled, found: Option<usize>) {
        let start = self.at;
        self.at += read.len as u64;
        self.has_failed |= read.has_failed;
        if read.len < asked {
            self.size = self.at;
        }
        if let Some(within) = found {
            self.set_found(start + within as u64);
        }
    }

    fn set_found(&mut self, at: u64) {
        self.watch.found = Some(at);
        self.want(at, self.watch.keep);
    }
}

/// See [`Window::stream`].
pub struct WindowStream<'w, 'a> {
    window: &'w mut Window<'a>,
    served: usize,
}

impl Read for WindowStream<'_, '_> {
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
        let read = fill(&mut *window.reader, &mut into[..len]);
        window.advance(len, &read, None);
        match read {
            Filled { len: 0, has_failed: true } => Err(io::Error::other("the file's reader failed")),
            Filled { len, .. } => Ok(len),
        }
    }
}

/// The result of one or more reads.
struct Filled {
    len: usize,
    /// The reader returned an error. Its owner gets the error again and reports it.
    has_failed: bool,
}

fn fill(reader: &mut dyn Read, into: &mut [u8]) -> Filled {
    let mut len = 0;
    while len < into.len() {
        match reader.read(&mut into[len..]) {
            Ok(0) => break,
            Ok(count) => len = (len + count).min(into.len()),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return Filled { len, has_failed: true },
        }
    }
    Filled { len, has_failed: false }
}

/// Appends the next `len` bytes to `bytes`, fewer at the end of the file.
fn append(reader: &mut dyn BufRead, len: usize, bytes: &mut Vec<u8>) -> Filled {
    let mut filled = Filled { len: 0, has_failed: false };
    while filled.len < len {
        let amount = match reader.fill_buf() {
            Ok([]) => break,
            Ok(available) => {
                let amount = available.len().min(len - filled.len);
                bytes.extend_from_slice(&available[..amount]);
                amount
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(_) => return Filled { has_failed: true, ..filled },
        };
        reader.consume(amount);
        filled.len += amount;
    }
    filled
}
