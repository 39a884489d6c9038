//! Floor 4: what was found in a layer, remembered between runs. Only facts are kept, never a verdict: what a node is and
//! what a project accepts may change, a layer's bytes cannot. A layer is known by the digest that was computed while it
//! passed, never by one that an image claims. Whatever is odd about a file of the cache makes it as if it were not there.

mod kinds;
mod layer;
mod wire;

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use crate::image::Contents;
use crate::inspect::FileKind;
use crate::oci::{DiffId, Digest};

/// Changes with what is kept of a layer, how it is written, and what inspection finds.
const VERSION: &str = concat!("2-", env!("CARGO_PKG_VERSION"));

/// Bytes of one file of the cache: the largest layers in the field pack to some ten MiB.
const FILE_LIMIT: u64 = 256 << 20;

/// A file of the cache that is used is marked as used once a day.
const TOUCH_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// A file that is still being written after an hour was left by a process that died.
const LEFT_BEHIND_AFTER: Duration = Duration::from_secs(60 * 60);

/// Layers remembered in a folder. Several processes may use it at once: files are written aside and put in place whole.
#[derive(Debug)]
pub struct Cache {
    folder: PathBuf,
    limit: u64,
    build: String,
    has_grown: AtomicBool,
}

/// A layer as it was read once.
#[derive(Debug)]
pub struct CachedLayer {
    pub contents: Contents<FileKind>,
    pub diff_id: DiffId,
}

/// What a cache holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    pub layers: usize,
    pub bytes: u64,
}

impl Cache {
    /// A cache in `folder`, which is made when something is kept. `build` tells apart programs whose inspection differs
    /// though their version does not; `limit` is in bytes and is held by [`Cache::trim`].
    pub fn new(folder: &Path, limit: u64, build: &str) -> Cache {
        let build = format!("{VERSION} {build}");
        Cache { folder: folder.join("layers"), limit, build, has_grown: AtomicBool::new(false) }
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        let hex = digest.hex();
        self.folder.join(digest.algorithm()).join(&hex[..2]).join(hex)
    }

    /// The layer whose stored bytes have this digest, if it was kept whole by this build.
    pub fn find(&self, digest: &Digest) -> Option<CachedLayer> {
        let path = self.path(digest);
        let mut file = File::open(&path).ok()?;
        let mut bytes = Vec::new();
        let found = match (&mut file).take(FILE_LIMIT).read_to_end(&mut bytes) {
            Ok(_) => layer::decode(&bytes, &self.build, digest),
            Err(_) => None,
        };
        if found.is_none() {
            tracing::debug!(%digest, "a file of the cache is of another build or damaged");
            return None;
        }
        let now = SystemTime::now();
        let used = file.metadata().and_then(|metadata| metadata.modified());
        if used.is_ok_and(|used| now.duration_since(used).is_ok_and(|age| age > TOUCH_AFTER)) {
            // Only the order of deletion hangs on it; a read-only cache is still a cache.
            let _ = File::options().append(true).open(&path).and_then(|file| file.set_modified(now));
        }
        found
    }

    /// Keeps a layer under the digest that was computed of its stored bytes.
    pub fn keep(&self, digest: &Digest, contents: &Contents<FileKind>, diff_id: &DiffId) -> io::Result<()> {
        let Some(bytes) = layer::encode(contents, &self.build, digest, diff_id)? else { return Ok(()) };
        if bytes.len() as u64 > FILE_LIMIT.min(self.limit) {
            return Ok(());
        }
        let path = self.path(digest);
        let folder = path.parent().expect("a path below the cache's folder");
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(folder)?;
        file.write_all(&bytes)?;
        file.persist(&path).map_err(|error| error.error)?;
        self.has_grown.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Every file, with its size and when it was used last.
    fn files(&self) -> io::Result<Vec<(PathBuf, u64, SystemTime)>> {
        let mut files = Vec::new();
        let mut pending = vec![self.folder.clone()];
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
        let layers = files.iter().filter(|(path, ..)| !is_unfinished(path)).count();
        Ok(Usage { layers, bytes: files.iter().map(|(_, bytes, _)| bytes).sum() })
    }

    /// Deletes everything, and returns what there was.
    pub fn clear(&self) -> io::Result<Usage> {
        let usage = self.usage()?;
        match fs::remove_dir_all(&self.folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(usage),
        }
    }

    /// Deletes what was used longest ago until the cache is within its limit; does nothing where nothing was added.
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

#[cfg(test)]
#[path = "cache_tests.rs"]
mod tests;
