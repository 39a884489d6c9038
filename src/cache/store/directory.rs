//! A store in a local or mounted directory. Records are plain files that are written atomically.

use std::fs::Permissions;
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use reqwest::Url;
use rustix::fs::{FlockOperation, flock};

use super::{OpenError, RequestError, StoreAccess};
use crate::cache::directory::begin_write;
use crate::source::{SourceError, open_regular};

#[derive(Debug)]
pub(super) struct Directory(PathBuf);

/// Returns the directory that `place` names: a path or a `file://` URL. `None` for any other URL.
pub(super) fn path_of(place: &str) -> Result<Option<PathBuf>, OpenError> {
    if place.starts_with("file://") {
        let path = Url::parse(place).ok().and_then(|url| url.to_file_path().ok());
        return path.map(Some).ok_or(OpenError::Unnamed);
    }
    if place.contains("://") {
        return Ok(None);
    }
    let is_torn_url = ["s3:", "gs:", "az:", "http:", "https:"].iter().any(|scheme| place.starts_with(scheme));
    if place.is_empty() || is_torn_url { Err(OpenError::Unnamed) } else { Ok(Some(place.into())) }
}

impl Directory {
    /// A directory that is only read is not created: it may be a missing mount.
    pub(super) fn open(path: PathBuf, access: StoreAccess) -> Result<Directory, OpenError> {
        if access == StoreAccess::Write {
            std::fs::create_dir_all(&path).map_err(|error| OpenError::Broken(error.to_string()))?;
            delete_left_behind(&path);
        }
        match path.is_dir() {
            true => Ok(Directory(path)),
            false => Err(OpenError::Broken("no such directory".to_string())),
        }
    }

    /// Anyone may have written to the directory. Only a regular file of at most `limit` bytes is a record.
    pub(super) fn read(&self, key: &str, limit: u64) -> Result<Option<Vec<u8>>, RequestError> {
        let mut file = match open_regular(&self.0.join(key)) {
            Ok(file) => file,
            Err(SourceError::File { cause, .. }) if cause.kind() == ErrorKind::NotFound => return Ok(None),
            Err(SourceError::File { cause, .. }) => return Err(RequestError::Refused(cause.to_string())),
            Err(_) => return Err(RequestError::Refused("a record is not a regular file".to_string())),
        };
        let mut bytes = Vec::new();
        let read = (&mut file).take(limit + 1).read_to_end(&mut bytes);
        read.map_err(|error| RequestError::Refused(error.to_string()))?;
        if bytes.len() as u64 > limit {
            let size = file.metadata().map_or(bytes.len() as u64, |metadata| metadata.len());
            return Err(RequestError::Refused(format!("a record has {size} bytes; the limit is {limit}")));
        }
        Ok(Some(bytes))
    }

    pub(super) fn write(&self, key: &str, bytes: &[u8]) -> Result<(), RequestError> {
        let path = self.0.join(key);
        let written = match write_whole(&self.0, &path, bytes) {
            // Another process took the unfinished file for an abandoned one and deleted it.
            Err(error) if error.kind() == ErrorKind::NotFound => write_whole(&self.0, &path, bytes),
            written => written,
        };
        written.map_err(|error| RequestError::Broken(error.to_string()))
    }
}

/// Prefix of the names of unfinished files.
const UNFINISHED: &str = ".new-";

/// Deletes unfinished files of processes that died. Files that are being written are locked. Failures are ignored.
fn delete_left_behind(root: &Path) {
    for entry in std::fs::read_dir(root).into_iter().flatten().flatten() {
        let is_unfinished = entry.file_name().as_encoded_bytes().starts_with(UNFINISHED.as_bytes());
        if is_unfinished
            && let Ok(file) = open_regular(&entry.path())
            && flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok()
        {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// Unlike in the user's own cache, files are readable by everyone that the umask permits. The temporary file is created
/// in the root of the store, where [`delete_left_behind`] finds it.
fn write_whole(root: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let parent = path.parent().expect("a path below the store's directory");
    std::fs::create_dir_all(parent)?;
    let _writing = begin_write();
    let mut builder = tempfile::Builder::new();
    let mut file = builder.prefix(UNFINISHED).permissions(Permissions::from_mode(0o666)).tempfile_in(root)?;
    // On a file system without locks, no file is ever treated as abandoned.
    let _ = flock(&file, FlockOperation::NonBlockingLockExclusive);
    file.write_all(bytes)?;
    file.persist(path).map(drop).map_err(|error| error.error)
}
