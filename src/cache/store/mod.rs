//! Stores that share records of layers between machines: object stores, web servers and directories. A store that fails
//! costs time and is reported once, but never changes the result. It is not used again in this run.

mod directory;
#[cfg(feature = "shared-cache")]
mod objects;
#[cfg(not(feature = "shared-cache"))]
#[path = "absent.rs"]
mod objects;

use std::sync::Mutex;
use std::time::Duration;

use directory::Directory;
use objects::Objects;

/// Options for opening stores.
#[derive(Clone, Debug, Default)]
pub struct StoreOptions {
    /// Maximum duration of one request, including its last byte.
    pub timeout: Duration,
    /// PEM certificates of authorities to trust in addition to the system's.
    pub authorities: Vec<Vec<u8>>,
    /// Environment variables for credentials, regions and endpoints: `AWS_*`, `GOOGLE_*`, `AZURE_*`.
    pub variables: Vec<(String, String)>,
}

/// Error: the store cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("{place:?} is not a cache location; expected a directory or an s3://, gs://, az:// or http(s):// URL")]
    Unnamed { place: String },
    #[error("cannot use the cache {place}: this imgarch was built without the shared-cache feature")]
    NotBuilt { place: String },
}

/// Error: a record could not be read or written. The message contains no secrets.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct StoreFailure(pub String);

/// The purpose a store is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreAccess {
    Read,
    Write,
}

/// A store of records. Its displayed name contains no secrets.
#[derive(Debug)]
pub struct RecordStore {
    name: String,
    /// The error is the reason why the store could not be opened.
    backend: Result<StoreBackend, String>,
    state: Mutex<StoreState>,
}

#[derive(Debug)]
enum StoreBackend {
    Directory(Directory),
    Objects(Objects),
}

impl StoreBackend {
    fn open(place: &str, access: StoreAccess, options: &StoreOptions) -> Result<StoreBackend, OpenError> {
        match directory::path_of(place)? {
            Some(path) => Directory::open(path, access).map(StoreBackend::Directory),
            None => Objects::open(place, options).map(StoreBackend::Objects),
        }
    }

    fn read(&self, key: &str, limit: u64) -> Result<Option<Vec<u8>>, RequestError> {
        match self {
            StoreBackend::Directory(directory) => directory.read(key, limit),
            StoreBackend::Objects(objects) => objects.read(key, limit),
        }
    }

    fn write(&self, key: &str, bytes: &[u8]) -> Result<(), RequestError> {
        match self {
            StoreBackend::Directory(directory) => directory.write(key, bytes),
            StoreBackend::Objects(objects) => objects.write(key, bytes),
        }
    }
}

#[derive(Debug, Default)]
struct StoreState {
    /// The store failed and is not used any more.
    is_off: bool,
    /// A failure to report.
    failure: Option<String>,
    /// A failure was recorded already; only the first is reported.
    is_recorded: bool,
}

/// Why a store could not be opened.
#[derive(Debug)]
#[cfg_attr(feature = "shared-cache", allow(dead_code, reason = "only a build without the feature lacks stores"))]
enum OpenError {
    /// The text does not name a store.
    Unnamed,
    /// This build does not support network stores.
    NotBuilt,
    /// The store is named correctly but cannot be used, for example because its directory or credentials are missing.
    Broken(String),
}

/// Why a request to a store failed.
#[derive(Debug)]
enum RequestError {
    /// This record cannot be read; others may be readable.
    Refused(String),
    /// The whole store does not work.
    Broken(String),
}

impl RecordStore {
    /// `place` is a directory or a URL: `s3://bucket/prefix`, `gs://bucket/prefix`, `az://container/prefix`,
    /// `https://host/prefix`. No request is sent yet. A store that cannot be used is returned as one that has already
    /// failed.
    pub fn open(place: &str, access: StoreAccess, options: &StoreOptions) -> Result<RecordStore, StoreError> {
        let store = |backend| RecordStore { name: shown(place), backend, state: Mutex::default() };
        match StoreBackend::open(place, access, options) {
            Ok(backend) => Ok(store(Ok(backend))),
            Err(OpenError::Unnamed) => Err(StoreError::Unnamed { place: shown(place) }),
            Err(OpenError::NotBuilt) => Err(StoreError::NotBuilt { place: shown(place) }),
            Err(OpenError::Broken(cause)) => {
                let store = store(Err(cause.clone()));
                store.record_failure::<()>("open", RequestError::Broken(cause));
                Ok(store)
            }
        }
    }

    /// The store's location without credentials.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Reads a record of at most `limit` bytes. Failures are recorded and return `None`.
    pub(super) fn read(&self, key: &str, limit: u64) -> Option<Vec<u8>> {
        let read = self.usable()?.read(key, limit);
        tracing::debug!(store = self.name, key, found = matches!(read, Ok(Some(_))), "read from a shared cache");
        read.unwrap_or_else(|failure| self.record_failure("read", failure))
    }

    /// Writes a record, replacing an existing one. Failures are recorded.
    pub(super) fn write(&self, key: &str, bytes: &[u8]) {
        let Some(backend) = self.usable() else { return };
        let written = backend.write(key, bytes);
        tracing::debug!(store = self.name, key, bytes = bytes.len(), done = written.is_ok(), "wrote to a shared cache");
        if let Err(failure) = written {
            self.record_failure::<()>("write to", failure);
        }
    }

    /// Reads a record of at most `limit` bytes, or `None` if it does not exist. Returns failures instead of recording
    /// them.
    pub fn get(&self, key: &str, limit: u64) -> Result<Option<Vec<u8>>, StoreFailure> {
        match self.backend()?.read(key, limit) {
            Ok(read) => Ok(read),
            Err(RequestError::Refused(cause) | RequestError::Broken(cause)) => Err(StoreFailure(cause)),
        }
    }

    /// Writes a record atomically. Returns failures instead of recording them.
    pub fn put(&self, key: &str, bytes: &[u8]) -> Result<(), StoreFailure> {
        match self.backend()?.write(key, bytes) {
            Ok(()) => Ok(()),
            Err(RequestError::Refused(cause) | RequestError::Broken(cause)) => Err(StoreFailure(cause)),
        }
    }

    fn backend(&self) -> Result<&StoreBackend, StoreFailure> {
        self.backend.as_ref().map_err(|cause| StoreFailure(format!("cannot open it: {cause}")))
    }

    fn usable(&self) -> Option<&StoreBackend> {
        self.backend.as_ref().ok().filter(|_| !self.state().is_off)
    }

    fn record_failure<T>(&self, action: &str, failure: RequestError) -> Option<T> {
        let mut state = self.state();
        let (cause, then) = match failure {
            RequestError::Refused(cause) => (cause, "continuing without this record"),
            RequestError::Broken(cause) => {
                state.is_off = true;
                (cause, "continuing without this cache")
            }
        };
        if !state.is_recorded {
            state.is_recorded = true;
            state.failure = Some(format!("cannot {action} the cache {}: {cause}; {then}", self.name));
        }
        None
    }

    /// Returns the first failure, once.
    pub(super) fn take_failure(&self) -> Option<String> {
        self.state().failure.take()
    }

    fn state(&self) -> std::sync::MutexGuard<'_, StoreState> {
        self.state.lock().expect("no holder of the lock panics")
    }
}

/// Removes secrets from the URLs in a message: user names, passwords and everything after a `?`.
pub fn shown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("://") {
        let (before, after) = rest.split_at(start + 3);
        out.push_str(before);
        let is_end = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ')' | '>' | '<');
        let (url, then) = after.split_at(after.find(is_end).unwrap_or(after.len()));
        let url = url.split_once(['?', '#']).map_or(url, |(url, _)| url);
        let (host, path) = url.split_at(url.find('/').unwrap_or(url.len()));
        // Azure writes the container in place of the user: az://container@account.
        let is_web = before.ends_with("http://") || before.ends_with("https://");
        out.push_str(if is_web || host.contains(':') {
            host.rsplit_once('@').map_or(host, |(_, host)| host)
        } else {
            host
        });
        out.push_str(path);
        rest = then;
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        assert_eq!(shown(text), expected);
    }

    #[test]
    fn a_shown_name_contains_no_secret() {
        check("/mnt/cache", "/mnt/cache");
        check("s3://bucket/prefix", "s3://bucket/prefix");
        check("az://container@account.blob.core.windows.net/p", "az://container@account.blob.core.windows.net/p");
        check("https://user:secret@host:8443/a/b", "https://host:8443/a/b");
        check("https://token@host/a@b", "https://host/a@b");
        check("https://host/a?sig=secret&se=1", "https://host/a");
        check(
            "GET https://u:p@h/x?sig=s (https://h2/y?t=z) failed: \"http://a:b@c\"",
            "GET https://h/x (https://h2/y) failed: \"http://c\"",
        );
    }

    #[cfg(feature = "shared-cache")]
    #[test]
    fn a_place_that_is_not_a_store_is_refused_by_name() {
        for place in ["ftp://host/x", "s3:/bucket", "memory:///x", "https://", ""] {
            let error = RecordStore::open(place, StoreAccess::Read, &StoreOptions::default()).unwrap_err();
            assert!(error.to_string().contains("is not a cache location"), "{place}: {error}");
        }
    }
}
