//! Floor 4: what was found in layers, remembered between runs, and shared between machines. Only facts are kept, never a
//! verdict: what a node is and what a project accepts may change, a layer's bytes cannot.
//!
//! A layer is known by its diffID and by the build of the inspector; a second record says which diffID a stored blob
//! unpacks to. Both are written only from digests that were computed while the layer passed, and a layer is looked up by
//! the digest of its stored bytes, never by a diffID that an image claims: an image could claim that of a well-known layer.
//! Whatever is odd about a record makes it as if it were not there.

mod documents;
mod folder;
mod layer;
mod seen;
mod store;

use std::io;
use std::path::Path;
use std::sync::Mutex;

pub use documents::Remembered;
use folder::Folder;
pub use folder::hold_writes;
use seen::Seen;
pub use store::{Access, Store, StoreFailure, StoreOptions, shown};

use crate::image::{Checked, Contents};
use crate::inspect::FileKind;
use crate::oci::{DiffId, Digest};
use crate::source::Stamp;

/// Changes with what is kept of a layer, how it is written, and what inspection finds.
const VERSION: &str = concat!("8-", env!("CARGO_PKG_VERSION"));

/// Bytes of one record: the largest layers in the field pack to some ten MiB.
const RECORD_LIMIT: u64 = 256 << 20;

/// Layers remembered in a folder of this machine, in stores that machines share, or in both.
#[derive(Debug)]
pub struct Cache {
    folder: Option<Folder>,
    seen: Option<Seen>,
    /// Asked in this order, after the folder.
    from: Vec<Store>,
    to: Option<Store>,
    build: String,
    /// What its user should know.
    notes: Mutex<Vec<String>>,
}

/// A layer as it was read once.
#[derive(Debug)]
pub struct CachedLayer {
    pub contents: Contents<FileKind>,
    pub diff_id: DiffId,
    pub uncompressed_bytes: u64,
}

/// What a cache's folder holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    pub layers: usize,
    pub bytes: u64,
}

/// What records say of a blob.
enum Answer {
    Known(Box<CachedLayer>),
    Unknown,
    /// A record is there that is not what it should be.
    Damaged,
}

impl Cache {
    /// A cache in `folder`, which is made when something is kept. `build` tells apart programs whose inspection differs
    /// though their version does not; `limit` is in bytes and is held by [`Cache::trim`].
    pub fn new(folder: &Path, limit: u64, build: &str) -> Cache {
        let (seen, folder) = (Some(Seen::new(folder)), Some(Folder::new(folder, limit)));
        Cache { folder, seen, ..Cache::shared(Vec::new(), None, build) }
    }

    /// A cache without a folder of its own.
    pub fn shared(from: Vec<Store>, to: Option<Store>, build: &str) -> Cache {
        Cache { folder: None, seen: None, from, to, build: format!("{VERSION} {build}"), notes: Mutex::default() }
    }

    /// The same with stores that are asked after the folder, and one that is given what this run reads itself.
    pub fn with_stores(self, from: Vec<Store>, to: Option<Store>) -> Cache {
        Cache { from, to, ..self }
    }

    /// Where this machine's own records are.
    pub fn folder(&self) -> Option<&Path> {
        self.folder.as_ref().map(|folder| folder.path.as_path())
    }

    /// The layer whose stored bytes have this digest and are so many, if a whole record of it by this build is known. A
    /// descriptor that states another size than the bytes have is refused by who pulls it, so it is not known either.
    pub fn find(&self, digest: &Digest, stored_bytes: u64) -> Option<CachedLayer> {
        let blob = Blob { build: &self.build, digest, stored_bytes };
        if let Some(folder) = &self.folder {
            match blob.look_up(|key| folder.read(key)) {
                Answer::Known(found) => return Some(*found),
                Answer::Unknown => {}
                Answer::Damaged => tracing::debug!(%digest, "a file of the cache is of another build or damaged"),
            }
        }
        self.from.iter().find_map(|store| {
            let place = self.place_in_store();
            match blob.look_up(|key| store.read(&format!("{place}/{key}"), RECORD_LIMIT)) {
                Answer::Known(found) => {
                    tracing::debug!(store = store.name(), "found in a shared cache");
                    Some(*found)
                }
                Answer::Unknown => None,
                Answer::Damaged => {
                    let text = format!("what {} has of the layer {digest} is damaged; it was not used", store.name());
                    self.notes.lock().expect("no holder of the lock panics").push(text);
                    None
                }
            }
        })
    }

    /// Whether a file of this machine, in this state, was found to hold the bytes of this digest.
    pub fn has_seen(&self, digest: &Digest, stamp: &Stamp) -> bool {
        self.seen.as_ref().is_some_and(|seen| seen.has(digest, stamp))
    }

    /// Remembers that it was.
    pub fn see(&self, digest: &Digest, stamp: &Stamp) -> io::Result<()> {
        self.seen.as_ref().map_or(Ok(()), |seen| seen.add(digest, stamp))
    }

    /// Keeps a layer that was read whole and found to be so. An error is the folder's; a store that fails says so in
    /// [`Cache::take_notes`].
    pub fn keep(&self, checked: &Checked, contents: &Contents<FileKind>) -> io::Result<()> {
        let Some(of_layer) = layer::encode(contents, &self.build, checked)? else { return Ok(()) };
        let of_blob = layer::encode_blob(&self.build, checked)?;
        if of_layer.len() as u64 > RECORD_LIMIT {
            return Ok(());
        }
        // The layer first: a record of a blob promises one of its layer.
        let records = [(layer::layer_key(&checked.diff_id), &of_layer), (layer::blob_key(&checked.digest), &of_blob)];
        if let Some(store) = &self.to {
            let place = self.place_in_store();
            for (key, bytes) in &records {
                store.write(&format!("{place}/{key}"), bytes);
            }
        }
        let Some(folder) = &self.folder else { return Ok(()) };
        records.iter().try_for_each(|(key, bytes)| folder.write(key, bytes))
    }

    /// The folder in a store that is this build's: machines with another one neither read it nor write over it.
    fn place_in_store(&self) -> String {
        match self.build.split_once(' ') {
            Some((version, "")) => format!("imgarch-{version}"),
            _ => format!("imgarch-{VERSION}-{}", &Digest::of(self.build.as_bytes()).hex()[..12]),
        }
    }

    /// What the user should know of the shared stores, once.
    pub fn take_notes(&self) -> Vec<String> {
        let mut notes = std::mem::take(&mut *self.notes.lock().expect("no holder of the lock panics"));
        notes.extend(self.from.iter().chain(&self.to).filter_map(Store::take_failure));
        notes
    }

    /// What the folder holds.
    pub fn usage(&self) -> io::Result<Usage> {
        self.folder.as_ref().map_or(Ok(Usage::default()), Folder::usage)
    }

    /// Deletes every record of the folder, and returns what there was. Shared stores are left alone.
    pub fn clear(&self) -> io::Result<Usage> {
        self.seen.as_ref().map_or(Ok(()), Seen::clear)?;
        self.folder.as_ref().map_or(Ok(Usage::default()), Folder::clear)
    }

    /// Deletes what was used longest ago until the folder is within its limit; does nothing where nothing was added.
    pub fn trim(&self) -> io::Result<()> {
        self.folder.as_ref().map_or(Ok(()), Folder::trim)
    }
}

/// What is asked for.
struct Blob<'a> {
    build: &'a str,
    digest: &'a Digest,
    stored_bytes: u64,
}

impl Blob<'_> {
    /// What the records that `read` gives say of this blob. Bytes that are stored as they are packed have one digest for
    /// both.
    fn look_up(&self, read: impl Fn(&str) -> Option<Vec<u8>>) -> Answer {
        let of_blob = match read(&layer::blob_key(self.digest)) {
            None => None,
            Some(bytes) => match layer::decode_blob(&bytes, self.build, self.digest) {
                Some(found) => Some(found),
                None => return Answer::Damaged,
            },
        };
        let (diff_id, is_packed) = match of_blob {
            Some((_, size)) if size != self.stored_bytes => return Answer::Unknown,
            Some((diff_id, _)) => (diff_id, true),
            None => (DiffId(self.digest.clone()), false),
        };
        match read(&layer::layer_key(&diff_id)) {
            None => Answer::Unknown,
            Some(bytes) => match layer::decode(&bytes, self.build, &diff_id) {
                None => Answer::Damaged,
                Some(found) if !is_packed && found.uncompressed_bytes != self.stored_bytes => Answer::Unknown,
                Some(found) => Answer::Known(Box::new(found)),
            },
        }
    }
}

#[cfg(test)]
#[path = "cache_tests.rs"]
mod tests;
