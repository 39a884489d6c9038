//! Local files that were verified to have the bytes of their digests, so that they are not read again until they
//! change. Several processes may use the list at once: a line is appended in one write, and a lost line only costs
//! reading a file again.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::directory::{begin_write, write_atomically};
use crate::oci::Digest;
use crate::source::{Stamp, open_regular};

/// Hex digits of a line's digest: short, but long enough to avoid collisions.
const LINE: usize = 32;
/// Lines to keep: the layers of some hundred images.
const MAX_LINES: usize = 8_000;
/// Bytes at the end of the list that are read: the lines to keep, with their line feeds.
const READ_BYTES: u64 = (LINE as u64 + 1) * MAX_LINES as u64;
/// A longer list is shortened.
const LONG_BYTES: u64 = READ_BYTES + READ_BYTES / 2;

#[derive(Debug)]
pub(super) struct SeenLayers {
    path: PathBuf,
    /// Loaded on first use.
    lines: Mutex<Option<HashSet<String>>>,
}

impl SeenLayers {
    pub(super) fn new(directory: &Path) -> SeenLayers {
        SeenLayers { path: directory.join("seen"), lines: Mutex::default() }
    }

    /// Whether the file was verified in exactly this state.
    pub(super) fn has(&self, digest: &Digest, stamp: &Stamp) -> bool {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.get_or_insert_with(|| self.load()).contains(&line(digest, stamp))
    }

    /// Records that the file was verified in this state.
    pub(super) fn add(&self, digest: &Digest, stamp: &Stamp) -> io::Result<()> {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let line = line(digest, stamp);
        if !lines.get_or_insert_with(|| self.load()).insert(line.clone()) {
            return Ok(());
        }
        let _writing = begin_write();
        // Without this flag, opening a FIFO for writing blocks until it has a reader.
        let flags = rustix::fs::OFlags::NONBLOCK.bits() as i32;
        let mut file = File::options().append(true).create(true).custom_flags(flags).open(&self.path)?;
        if !file.metadata()?.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
        }
        file.write_all(format!("{line}\n").as_bytes())
    }

    pub(super) fn clear(&self) -> io::Result<()> {
        *self.lines.lock().unwrap_or_else(PoisonError::into_inner) = None;
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Loads the newest lines of the list, and shortens a list that is too long. An unreadable list is treated as empty.
    fn load(&self) -> HashSet<String> {
        let Some((length, bytes)) = self.read_end() else { return HashSet::new() };
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = text.lines().filter(|line| line.len() == LINE).collect();
        let kept = &lines[lines.len().saturating_sub(MAX_LINES)..];
        if length > LONG_BYTES {
            // If another process appends a line meanwhile, that line is lost and its file is read once more.
            if let Err(error) = write_atomically(&self.path, format!("{}\n", kept.join("\n")).as_bytes()) {
                tracing::debug!(%error, "cannot shorten the list of verified files");
            }
        }
        kept.iter().map(|line| line.to_string()).collect()
    }

    /// The size of the list and its end. `None` unless it is a readable regular file.
    fn read_end(&self) -> Option<(u64, Vec<u8>)> {
        let mut file = open_regular(&self.path).ok()?;
        let length = file.metadata().ok()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(READ_BYTES))).ok()?;
        let mut bytes = Vec::new();
        file.take(READ_BYTES).read_to_end(&mut bytes).ok()?;
        Some((length, bytes))
    }
}

fn line(digest: &Digest, stamp: &Stamp) -> String {
    Digest::from_bytes(format!("{digest} {stamp}").as_bytes()).hex()[..LINE].to_string()
}
