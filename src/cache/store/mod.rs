//! A place that several machines share records of layers through: an object store, a web server, a directory. A store that
//! fails costs time and a word to the user, never an answer; and it is asked no more in this run.

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

/// What is decided about stores before the first one is opened.
#[derive(Clone, Debug, Default)]
pub struct StoreOptions {
    /// For each request, from its start to its last byte.
    pub timeout: Duration,
    /// Certificates of authorities, as PEM, that are trusted beside the system's.
    pub authorities: Vec<Vec<u8>>,
    /// The variables that stores take their credentials, regions and endpoints from: `AWS_*`, `GOOGLE_*`, `AZURE_*`.
    pub variables: Vec<(String, String)>,
}

/// Why a store cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("{place:?} names no store: it is no directory and no s3://, gs://, az://, https:// or http:// URL")]
    Unnamed { place: String },
    #[error("cannot use the cache {place}: this imgarch was built without the feature shared-cache")]
    NotBuilt { place: String },
}

/// Why a store did not give or take a record, without secrets.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct StoreFailure(pub String);

/// What a store is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    Read,
    Write,
}

/// A store of records. What its user may see of its name has no secret in it.
#[derive(Debug)]
pub struct Store {
    name: String,
    /// Or why it could not be opened.
    backend: Result<Backend, String>,
    state: Mutex<State>,
}

/// Where records are read and written.
#[derive(Debug)]
enum Backend {
    Directory(Directory),
    Objects(Objects),
}

impl Backend {
    fn open(place: &str, access: Access, options: &StoreOptions) -> Result<Backend, Refusal> {
        match directory::path_of(place)? {
            Some(path) => Directory::open(path, access).map(Backend::Directory),
            None => Objects::open(place, options).map(Backend::Objects),
        }
    }

    fn read(&self, key: &str, limit: u64) -> Result<Option<Vec<u8>>, Failure> {
        match self {
            Backend::Directory(directory) => directory.read(key, limit),
            Backend::Objects(objects) => objects.read(key, limit),
        }
    }

    fn write(&self, key: &str, bytes: &[u8]) -> Result<(), Failure> {
        match self {
            Backend::Directory(directory) => directory.write(key, bytes),
            Backend::Objects(objects) => objects.write(key, bytes),
        }
    }
}

#[derive(Debug, Default)]
struct State {
    /// It failed, and is left alone.
    is_off: bool,
    /// What the user was not told yet.
    failure: Option<String>,
    /// The same failure is told once.
    was_told: bool,
}

/// Why a store could not be opened.
#[derive(Debug)]
#[cfg_attr(feature = "shared-cache", allow(dead_code, reason = "only a build without the feature lacks stores"))]
enum Refusal {
    /// The text is no store's name.
    Unnamed,
    /// This build has no stores.
    NotBuilt,
    /// It names a store that cannot be used: a missing directory, missing credentials.
    Broken(String),
}

/// Why a request to a store came to nothing.
#[derive(Debug)]
enum Failure {
    /// This record is not to be had; others may be.
    Refused(String),
    /// The store as a whole does not work.
    Broken(String),
}

impl Store {
    /// `place` is a directory, or a URL: `s3://bucket/prefix`, `gs://bucket/prefix`, `az://container/prefix`,
    /// `https://host/prefix`. Nothing is asked of it yet. A store that cannot be used is one that has failed already.
    pub fn open(place: &str, access: Access, options: &StoreOptions) -> Result<Store, StoreError> {
        let store = |backend| Store { name: shown(place), backend, state: Mutex::default() };
        match Backend::open(place, access, options) {
            Ok(backend) => Ok(store(Ok(backend))),
            Err(Refusal::Unnamed) => Err(StoreError::Unnamed { place: shown(place) }),
            Err(Refusal::NotBuilt) => Err(StoreError::NotBuilt { place: shown(place) }),
            Err(Refusal::Broken(cause)) => {
                let store = store(Err(cause.clone()));
                store.note::<()>("opening it", Failure::Broken(cause));
                Ok(store)
            }
        }
    }

    /// Its place without credentials.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A record of at most `limit` bytes, where there is one and the store gives it.
    pub(super) fn read(&self, key: &str, limit: u64) -> Option<Vec<u8>> {
        let read = self.usable()?.read(key, limit);
        tracing::debug!(store = self.name, key, found = matches!(read, Ok(Some(_))), "asked a shared cache");
        read.unwrap_or_else(|failure| self.note("reading it", failure))
    }

    /// Puts a record into the store, in place of one that is there.
    pub(super) fn write(&self, key: &str, bytes: &[u8]) {
        let Some(backend) = self.usable() else { return };
        let written = backend.write(key, bytes);
        tracing::debug!(store = self.name, key, bytes = bytes.len(), done = written.is_ok(), "wrote to a shared cache");
        if let Err(failure) = written {
            self.note::<()>("writing to it", failure);
        }
    }

    /// A record of at most `limit` bytes, if it is there. Unlike [`Store::read`], a store that fails is an error.
    pub fn get(&self, key: &str, limit: u64) -> Result<Option<Vec<u8>>, StoreFailure> {
        match self.backend()?.read(key, limit) {
            Ok(read) => Ok(read),
            Err(Failure::Refused(cause) | Failure::Broken(cause)) => Err(StoreFailure(cause)),
        }
    }

    /// Puts a record into the store, whole or not at all.
    pub fn put(&self, key: &str, bytes: &[u8]) -> Result<(), StoreFailure> {
        match self.backend()?.write(key, bytes) {
            Ok(()) => Ok(()),
            Err(Failure::Refused(cause) | Failure::Broken(cause)) => Err(StoreFailure(cause)),
        }
    }

    fn backend(&self) -> Result<&Backend, StoreFailure> {
        self.backend.as_ref().map_err(|cause| StoreFailure(format!("opening it failed: {cause}")))
    }

    fn usable(&self) -> Option<&Backend> {
        self.backend.as_ref().ok().filter(|_| !self.state().is_off)
    }

    fn note<T>(&self, doing: &str, failure: Failure) -> Option<T> {
        let mut state = self.state();
        let (cause, then) = match failure {
            Failure::Refused(cause) => (cause, "what it would have had was read from the image instead"),
            Failure::Broken(cause) => {
                state.is_off = true;
                (cause, "the scan went on without it")
            }
        };
        if !state.was_told {
            state.was_told = true;
            state.failure = Some(format!("the cache {}: {doing} failed: {cause}; {then}", self.name));
        }
        None
    }

    /// What failed first, once.
    pub(super) fn take_failure(&self) -> Option<String> {
        self.state().failure.take()
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("no holder of the lock panics")
    }
}

/// A text about stores without what may be secret in its URLs: user names, passwords and everything after a `?`.
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
        // A container of Azure stands where others have the user: az://container@account.
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
    fn a_name_that_is_shown_has_no_secret_in_it() {
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
    fn a_place_that_names_no_store_is_refused_by_name() {
        for place in ["ftp://host/x", "s3:/bucket", "memory:///x", "https://", ""] {
            let error = Store::open(place, Access::Read, &StoreOptions::default()).unwrap_err();
            assert!(error.to_string().contains("names no store"), "{place}: {error}");
        }
    }
}
