//! Which files of this machine were found to hold the bytes that their digests say, so that they need not be read again
//! while nobody has written to them. Several processes may use the list at once: a line is added whole, and a line that
//! is lost costs reading a file again.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::folder::{begin_write, put, read_record};
use crate::oci::Digest;
use crate::source::Stamp;

/// A digest that is as short as still can be told from any other.
const LINE: usize = 32;
/// Lines that are kept: the layers of some hundred images.
const MAX_LINES: usize = 8_000;
/// Twice that, with their ends; when it is longer, the first half goes.
const FILE_LIMIT: u64 = 2 * (LINE as u64 + 1) * MAX_LINES as u64;

#[derive(Debug)]
pub(super) struct Seen {
    path: PathBuf,
    /// Read when first asked for.
    lines: Mutex<Option<HashSet<String>>>,
}

impl Seen {
    pub(super) fn new(folder: &Path) -> Seen {
        Seen { path: folder.join("seen"), lines: Mutex::default() }
    }

    /// Whether the file was verified in this very state.
    pub(super) fn has(&self, digest: &Digest, stamp: &Stamp) -> bool {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.get_or_insert_with(|| self.load()).contains(&line(digest, stamp))
    }

    /// Remembers that it was.
    pub(super) fn add(&self, digest: &Digest, stamp: &Stamp) -> io::Result<()> {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let line = line(digest, stamp);
        if !lines.get_or_insert_with(|| self.load()).insert(line.clone()) {
            return Ok(());
        }
        let _writing = begin_write();
        // Opening a fifo for writing would wait for its reader.
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

    /// What cannot be read is as if it were not there.
    fn load(&self) -> HashSet<String> {
        let Some((_, bytes)) = read_record(&self.path, 4 * FILE_LIMIT) else { return HashSet::new() };
        let Ok(text) = String::from_utf8(bytes) else { return HashSet::new() };
        let lines: Vec<&str> = text.lines().filter(|line| line.len() == LINE).collect();
        let kept = &lines[lines.len().saturating_sub(MAX_LINES)..];
        if lines.len() > kept.len() + MAX_LINES / 2 {
            // Another process may add a line meanwhile: its file is read once more.
            if let Err(error) = put(&self.path, format!("{}\n", kept.join("\n")).as_bytes()) {
                tracing::debug!(%error, "the list of verified files could not be shortened");
            }
        }
        kept.iter().map(|line| line.to_string()).collect()
    }
}

fn line(digest: &Digest, stamp: &Stamp) -> String {
    Digest::of(format!("{digest} {stamp}").as_bytes()).hex()[..LINE].to_string()
}
