//! A section of a local file, read by position, so that many sections of one file can be read at once.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// A range of bytes of a file.
#[derive(Debug)]
pub struct FileSection {
    file: Arc<File>,
    start: u64,
    at: u64,
    end: u64,
}

impl FileSection {
    pub fn new(file: Arc<File>, start: u64, size: u64) -> FileSection {
        FileSection { file, start, at: start, end: start.saturating_add(size) }
    }

    /// Length of the section in bytes.
    pub fn size(&self) -> u64 {
        self.end - self.start
    }
}

impl Read for FileSection {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = usize::try_from(self.end - self.at).unwrap_or(usize::MAX).min(buffer.len());
        let count = self.file.read_at(&mut buffer[..wanted], self.at)?;
        if count == 0 && wanted > 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file was truncated while it was read"));
        }
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for FileSection {
    /// # Errors
    /// `UnexpectedEof` for a position outside the section.
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(offset) => self.start.checked_add(offset),
            SeekFrom::Current(offset) => self.at.checked_add_signed(offset),
            SeekFrom::End(offset) => self.end.checked_add_signed(offset),
        };
        let at = at.filter(|at| (self.start..=self.end).contains(at));
        self.at = at.ok_or(io::ErrorKind::UnexpectedEof)?;
        Ok(self.at - self.start)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_section_is_limited_to_its_range() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"0123456789").unwrap();
        let mut section = FileSection::new(Arc::new(file), 2, 5);
        let mut text = String::new();
        section.read_to_string(&mut text).unwrap();
        assert_eq!((text.as_str(), section.size()), ("23456", 5));
        assert_eq!(section.seek(SeekFrom::Start(1)).unwrap(), 1);
        assert_eq!(section.seek(SeekFrom::Current(2)).unwrap(), 3);
        assert_eq!(section.seek(SeekFrom::End(0)).unwrap(), 5);
        for to in [SeekFrom::Start(6), SeekFrom::Current(-6), SeekFrom::End(1), SeekFrom::Start(u64::MAX)] {
            assert_eq!(section.seek(to).unwrap_err().kind(), io::ErrorKind::UnexpectedEof, "{to:?}");
        }
        assert_eq!(section.stream_position().unwrap(), 5);
    }
}
