//! Records of layers in a folder of this machine. Several processes may use it at once: files are written aside and put in
//! place whole, and what was used longest ago is deleted first.

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

/// A file of the cache that is used is marked as used once a day.
const TOUCH_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// A file that is still being written after an hour was left by a process that died.
const LEFT_BEHIND_AFTER: Duration = Duration::from_secs(60 * 60);

/// The directories of a cache's folder.
const PARTS: [&str; 3] = [LAYERS, BLOBS, DOCUMENTS];

/// Held by those who have a file half written.
static WRITING: RwLock<()> = RwLock::new(());

/// Waits for the files that are being put in place; while this is held, no other is begun. For the end of a process.
pub fn hold_writes() -> RwLockWriteGuard<'static, ()> {
    WRITING.write().unwrap_or_else(PoisonError::into_inner)
}

/// Held by who writes; the end of the process waits for it.
pub(super) fn begin_write() -> RwLockReadGuard<'static, ()> {
    WRITING.read().unwrap_or_else(PoisonError::into_inner)
}

/// The file at `path` and its content. `None` where there is no regular file of at most `limit` bytes: a fifo or a device
/// in a cache that others may write to is not a record, and must not block or never end.
pub(super) fn read_record(path: &Path, limit: u64) -> Option<(File, Vec<u8>)> {
    let mut file = open_regular(path).ok()?;
    let mut bytes = Vec::new();
    (&mut file).take(limit + 1).read_to_end(&mut bytes).ok()?;
    (bytes.len() as u64 <= limit).then_some((file, bytes))
}

/// Puts a file of the cache in place, whole.
pub(super) fn put(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().expect("a path below the cache's folder");
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let _writing = begin_write();
    let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.persist(path).map(drop).map_err(|error| error.error)
}

/// A folder of records, of at most `limit` bytes.
#[derive(Debug)]
pub struct Folder {
    pub path: PathBuf,
    pub limit: u64,
    has_grown: AtomicBool,
}

impl Folder {
    pub fn new(path: &Path, limit: u64) -> Folder {
        Folder { path: path.to_path_buf(), limit, has_grown: AtomicBool::new(false) }
    }

    /// A record's bytes, if it is there and can be read.
    #[expect(clippy::disallowed_methods, reason = "records age by the clock that sets their files' times")]
    pub fn read(&self, key: &str) -> Option<Vec<u8>> {
        let (file, bytes) = read_record(&self.path.join(key), RECORD_LIMIT)?;
        let now = SystemTime::now();
        let used = file.metadata().and_then(|metadata| metadata.modified());
        if used.is_ok_and(|used| now.duration_since(used).is_ok_and(|age| age > TOUCH_AFTER)) {
            // Only the order of deletion depends on it; a read-only cache is still a cache.
            let _ = file.set_modified(now);
        }
        Some(bytes)
    }

    /// Puts a record in place, whole; one that is larger than the whole cache may be is left out.
    pub fn write(&self, key: &str, bytes: &[u8]) -> io::Result<()> {
        if bytes.len() as u64 > self.limit {
            return Ok(());
        }
        put(&self.path.join(key), bytes)?;
        self.has_grown.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Every file, with its size and when it was used last.
    fn files(&self) -> io::Result<Vec<(PathBuf, u64, SystemTime)>> {
        let mut files = Vec::new();
        let mut pending: Vec<PathBuf> = PARTS.iter().map(|part| self.path.join(part)).collect();
        while let Some(folder) = pending.pop() {
            let entries = match fs::read_dir(&folder) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                entries => entries?,
            };
            for entry in entries {
                let entry = entry?;
                match entry.metadata() {
                    Ok(metadata) if metadata.is_dir() => pending.push(entry.path()),
                    Ok(metadata) => files.push((entry.path(), metadata.len(), metadata.modified()?)),
                    // Another process has deleted it.
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

    /// Deletes every record, and returns what there was. The folder itself may hold other things.
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

    /// Deletes what was used longest ago until the folder is within its limit; does nothing where nothing was added.
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
