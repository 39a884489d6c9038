//! Local files that were verified to have the bytes of their digests, so that they are not read again until they
//! change. Several processes may use the list at once: a line is appended in one write, and a lost line only costs
//! reading a file again.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::directory::{begin_write, read_record, write_atomically};
use crate::oci::Digest;
use crate::source::Stamp;

/// Hex digits of a line's digest: short, but long enough to avoid collisions.
const LINE: usize = 32;
/// Lines to keep: the layers of some hundred images.
const MAX_LINES: usize = 8_000;
/// Size of twice as many lines, with their line feeds. A list of more than four times this size is ignored.
const FILE_LIMIT: u64 = 2 * (LINE as u64 + 1) * MAX_LINES as u64;

#[derive(Debug)]
pub(super) struct Seen {
    path: PathBuf,
    /// Loaded on first use.
    lines: Mutex<Option<HashSet<String>>>,
}

impl Seen {
    pub(super) fn new(directory: &Path) -> Seen {
        Seen { path: directory.join("seen"), lines: Mutex::default() }
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

    /// Loads the list. An unreadable list is treated as empty.
    fn load(&self) -> HashSet<String> {
        let Some((_, bytes)) = read_record(&self.path, 4 * FILE_LIMIT) else { return HashSet::new() };
        let Ok(text) = String::from_utf8(bytes) else { return HashSet::new() };
        let lines: Vec<&str> = text.lines().filter(|line| line.len() == LINE).collect();
        let kept = &lines[lines.len().saturating_sub(MAX_LINES)..];
        if lines.len() > kept.len() + MAX_LINES / 2 {
            // If another process appends a line meanwhile, that line is lost and its file is read once more.
            if let Err(error) = write_atomically(&self.path, format!("{}\n", kept.join("\n")).as_bytes()) {
                tracing::debug!(%error, "cannot shorten the list of verified files");
            }
        }
        kept.iter().map(|line| line.to_string()).collect()
    }
}

fn line(digest: &Digest, stamp: &Stamp) -> String {
    Digest::of(format!("{digest} {stamp}").as_bytes()).hex()[..LINE].to_string()
}
