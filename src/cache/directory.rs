//! Records in a local directory. Several processes may use it at once: each file is written under a temporary name and
//! renamed into place, and the least recently used files are deleted first.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, SystemTime};

use super::documents::DOCUMENTS;
use super::layer::{BLOBS, LAYERS};
use super::{RECORD_LIMIT, Usage};
use crate::source::open_regular;

/// A used file's modification time is refreshed at most once a day.
const TOUCH_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// A file that is still unfinished after an hour was left by a process that died.
const LEFT_BEHIND_AFTER: Duration = Duration::from_secs(60 * 60);

/// Subdirectories of the cache directory.
const PARTS: [&str; 3] = [LAYERS, BLOBS, DOCUMENTS];

/// Read-locked while a file is being written.
static WRITING: RwLock<()> = RwLock::new(());

/// Waits for unfinished writes; no other write starts while the guard is held. Called at the end of the process.
pub fn hold_writes() -> RwLockWriteGuard<'static, ()> {
    WRITING.write().unwrap_or_else(PoisonError::into_inner)
}

/// Held while writing; [`hold_writes`] waits for it.
pub(super) fn begin_write() -> RwLockReadGuard<'static, ()> {
    WRITING.read().unwrap_or_else(PoisonError::into_inner)
}

/// Opens and reads the file at `path`. `None` unless it is a regular file of at most `limit` bytes. Others may be able
/// to write to the cache, and a FIFO or a device could block or never end.
pub(super) fn read_record(path: &Path, limit: u64) -> Option<(File, Vec<u8>)> {
    let mut file = open_regular(path).ok()?;
    let mut bytes = Vec::new();
    (&mut file).take(limit + 1).read_to_end(&mut bytes).ok()?;
    (bytes.len() as u64 <= limit).then_some((file, bytes))
}

/// Writes a file of the cache atomically.
pub(super) fn write_atomically(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let directory = path.parent().expect("a path below the cache directory");
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    let _writing = begin_write();
    let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(directory)?;
    file.write_all(bytes)?;
    file.persist(path).map(drop).map_err(|error| error.error)
}

/// A directory of records with at most `limit` bytes.
#[derive(Debug)]
pub struct RecordDirectory {
    pub path: PathBuf,
    pub limit: u64,
    has_grown: AtomicBool,
}

impl RecordDirectory {
    pub fn new(path: &Path, limit: u64) -> RecordDirectory {
        RecordDirectory { path: path.to_path_buf(), limit, has_grown: AtomicBool::new(false) }
    }

    /// Reads a record. `None` if it is missing or unreadable.
    #[expect(clippy::disallowed_methods, reason = "records age by the clock that sets their files' times")]
    pub fn read(&self, key: &str) -> Option<Vec<u8>> {
        let (file, bytes) = read_record(&self.path.join(key), RECORD_LIMIT)?;
        let now = SystemTime::now();
        let used = file.metadata().and_then(|metadata| metadata.modified());
        if used.is_ok_and(|used| now.duration_since(used).is_ok_and(|age| age > TOUCH_AFTER)) {
            // The time only affects the order of deletion, and a read-only cache still works.
            let _ = file.set_modified(now);
        }
        Some(bytes)
    }

    /// Writes a record atomically. A record that is larger than the limit of the whole cache is skipped.
    pub fn write(&self, key: &str, bytes: &[u8]) -> io::Result<()> {
        if bytes.len() as u64 > self.limit {
            return Ok(());
        }
        write_atomically(&self.path.join(key), bytes)?;
        self.has_grown.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Lists every file with its size and the time of its last use.
    fn files(&self) -> io::Result<Vec<(PathBuf, u64, SystemTime)>> {
        let mut files = Vec::new();
        let mut pending: Vec<PathBuf> = PARTS.iter().map(|part| self.path.join(part)).collect();
        while let Some(directory) = pending.pop() {
            let entries = match fs::read_dir(&directory) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                entries => entries?,
            };
            for entry in entries {
                let entry = entry?;
                match entry.metadata() {
                    Ok(metadata) if metadata.is_dir() => pending.push(entry.path()),
                    Ok(metadata) => files.push((entry.path(), metadata.len(), metadata.modified()?)),
                    // Another process deleted it.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(files)
    }

    pub fn usage(&self) -> io::Result<Usage> {
        let files = self.files()?;
        let of_layers = self.path.join(LAYERS);
        let layers = files.iter().filter(|(path, ..)| path.starts_with(&of_layers) && !is_unfinished(path)).count();
        Ok(Usage { layers, bytes: files.iter().map(|(_, bytes, _)| bytes).sum() })
    }

    /// Deletes every record and returns what there was. The directory may contain other files, so it is not deleted
    /// itself.
    pub fn clear(&self) -> io::Result<Usage> {
        let usage = self.usage()?;
        for part in PARTS {
            match fs::remove_dir_all(self.path.join(part)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(usage)
    }

    /// Deletes the least recently used files until the directory is within its limit. Does nothing if nothing was
    /// added.
    #[expect(clippy::disallowed_methods, reason = "records age by the clock that sets their files' times")]
    pub fn trim(&self) -> io::Result<()> {
        if !self.has_grown.swap(false, Ordering::Relaxed) {
            return Ok(());
        }
        let mut files = self.files()?;
        let now = SystemTime::now();
        let age = |used: &SystemTime| now.duration_since(*used).unwrap_or_default();
        files.retain(|(path, _, used)| {
            let is_left = is_unfinished(path) && age(used) > LEFT_BEHIND_AFTER;
            !(is_left && fs::remove_file(path).is_ok())
        });
        let mut bytes: u64 = files.iter().map(|(_, bytes, _)| bytes).sum();
        files.sort_by_key(|(_, _, used)| *used);
        for (path, size, _) in files.iter().filter(|(path, ..)| !is_unfinished(path)) {
            if bytes <= self.limit {
                break;
            }
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => bytes -= size,
            }
        }
        Ok(())
    }
}

fn is_unfinished(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b".new-"))
}
