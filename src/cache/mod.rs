//! Keeps what was found in layers between runs, and shares it between machines. The cache holds facts only, never a
//! verdict: nodes and a project's settings change, the bytes of a layer do not.
//!
//! A layer is identified by its diffID and the build of the inspector. A second record maps a stored blob to the diffID
//! that it unpacks to. Both are written only from digests that were computed while the layer was read. A lookup uses
//! the digest of the stored bytes, never a diffID that an image claims, because an image could claim the diffID of a
//! well-known layer. A record that fails any check is treated as missing.

mod directory;
mod documents;
mod layer;
mod seen;
mod store;

use std::io;
use std::path::Path;
use std::sync::Mutex;

use directory::RecordDirectory;
pub use directory::hold_writes;
pub use documents::Remembered;
use seen::SeenLayers;
pub use store::{RecordStore, StoreAccess, StoreFailure, StoreOptions, shown};

use crate::image::{Contents, MeasuredLayer};
use crate::inspect::FileKind;
use crate::oci::{DiffId, Digest};
use crate::source::Stamp;

/// Must change with the kept facts, their encoding, and the results of inspection.
const VERSION: &str = concat!("14-", env!("CARGO_PKG_VERSION"));

/// Maximum size of one record in bytes. The largest layers in the field compress to about 10 MiB.
const RECORD_LIMIT: u64 = 256 << 20;

/// Facts about layers, kept in a local directory, in stores shared between machines, or in both.
#[derive(Debug)]
pub struct Cache {
    directory: Option<RecordDirectory>,
    seen: Option<SeenLayers>,
    /// Searched in this order, after the local directory.
    from: Vec<RecordStore>,
    to: Option<RecordStore>,
    build: String,
    /// Messages for the user.
    notes: Mutex<Vec<String>>,
}

/// The facts of a layer that was read earlier.
#[derive(Debug)]
pub struct CachedLayer {
    pub contents: Contents<FileKind>,
    pub diff_id: DiffId,
    pub uncompressed_bytes: u64,
}

/// The size of the local cache directory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    pub layers: usize,
    pub bytes: u64,
}

/// The result of looking up a blob.
enum BlobLookup {
    Known(Box<CachedLayer>),
    Unknown,
    /// A record exists but is invalid.
    Damaged,
}

impl Cache {
    /// Returns a cache in `directory`, which is created on the first write. `build` distinguishes programs that have
    /// the same version but inspect files differently. `limit` is in bytes; [`Cache::trim`] enforces it.
    pub fn new(directory: &Path, limit: u64, build: &str) -> Cache {
        let (seen, directory) = (Some(SeenLayers::new(directory)), Some(RecordDirectory::new(directory, limit)));
        Cache { directory, seen, ..Cache::shared(Vec::new(), None, build) }
    }

    /// Returns a cache without a local directory.
    pub fn shared(from: Vec<RecordStore>, to: Option<RecordStore>, build: &str) -> Cache {
        Cache { directory: None, seen: None, from, to, build: format!("{VERSION} {build}"), notes: Mutex::default() }
    }

    /// Adds stores: `from` is searched after the local directory, `to` receives what this run reads itself.
    pub fn with_stores(self, from: Vec<RecordStore>, to: Option<RecordStore>) -> Cache {
        Cache { from, to, ..self }
    }

    /// The local cache directory.
    pub fn directory(&self) -> Option<&Path> {
        self.directory.as_ref().map(|directory| directory.path.as_path())
    }

    /// Returns the layer whose stored bytes have this digest and size, if an intact record of this build exists.
    /// Engines refuse to pull a blob whose size differs from its descriptor's, so a descriptor with another size finds
    /// nothing.
    pub fn find(&self, digest: &Digest, stored_bytes: u64) -> Option<CachedLayer> {
        let blob = Blob { build: &self.build, digest, stored_bytes };
        if let Some(directory) = &self.directory {
            match blob.look_up(|key| directory.read(key)) {
                BlobLookup::Known(found) => return Some(*found),
                BlobLookup::Unknown => {}
                BlobLookup::Damaged => tracing::debug!(%digest, "a cache record is damaged or from another build"),
            }
        }
        self.from.iter().find_map(|store| {
            let place = self.place_in_store();
            match blob.look_up(|key| store.read(&format!("{place}/{key}"), RECORD_LIMIT)) {
                BlobLookup::Known(found) => {
                    tracing::debug!(store = store.name(), "found in a shared cache");
                    Some(*found)
                }
                BlobLookup::Unknown => None,
                BlobLookup::Damaged => {
                    let name = store.name();
                    let text = format!("cache {name}: the record of layer {digest} is damaged; it was not used");
                    self.notes.lock().expect("no holder of the lock panics").push(text);
                    None
                }
            }
        })
    }

    /// Whether this local file, in this state, was verified to have this digest.
    pub fn has_seen(&self, digest: &Digest, stamp: &Stamp) -> bool {
        self.seen.as_ref().is_some_and(|seen| seen.has(digest, stamp))
    }

    /// Records that this local file, in this state, has this digest.
    pub fn see(&self, digest: &Digest, stamp: &Stamp) -> io::Result<()> {
        self.seen.as_ref().map_or(Ok(()), |seen| seen.add(digest, stamp))
    }

    /// Keeps a layer that was read whole and verified. An error comes from the local directory; failures of a store are
    /// reported by [`Cache::take_notes`].
    pub fn keep(&self, checked: &MeasuredLayer, contents: &Contents<FileKind>) -> io::Result<()> {
        let Some(of_layer) = layer::encode(contents, &self.build, checked)? else { return Ok(()) };
        let of_blob = layer::encode_blob(&self.build, checked)?;
        if of_layer.len() as u64 > RECORD_LIMIT {
            return Ok(());
        }
        // The layer comes first, because a blob's record refers to the layer's.
        let records = [(layer::layer_key(&checked.diff_id), &of_layer), (layer::blob_key(&checked.digest), &of_blob)];
        if let Some(store) = &self.to {
            let place = self.place_in_store();
            for (key, bytes) in &records {
                store.write(&format!("{place}/{key}"), bytes);
            }
        }
        let Some(directory) = &self.directory else { return Ok(()) };
        records.iter().try_for_each(|(key, bytes)| directory.write(key, bytes))
    }

    /// The store's directory for this build. Other builds neither read nor overwrite it.
    fn place_in_store(&self) -> String {
        match self.build.split_once(' ') {
            Some((version, "")) => format!("imgarch-{version}"),
            _ => format!("imgarch-{VERSION}-{}", &Digest::from_bytes(self.build.as_bytes()).hex()[..12]),
        }
    }

    /// Returns the messages about shared stores, each once.
    pub fn take_notes(&self) -> Vec<String> {
        let mut notes = std::mem::take(&mut *self.notes.lock().expect("no holder of the lock panics"));
        notes.extend(self.from.iter().chain(&self.to).filter_map(RecordStore::take_failure));
        notes
    }

    /// Measures the local directory.
    pub fn usage(&self) -> io::Result<Usage> {
        self.directory.as_ref().map_or(Ok(Usage::default()), RecordDirectory::usage)
    }

    /// Deletes every record in the local directory and returns what it held. Shared stores are not changed.
    pub fn clear(&self) -> io::Result<Usage> {
        self.seen.as_ref().map_or(Ok(()), SeenLayers::clear)?;
        self.directory.as_ref().map_or(Ok(Usage::default()), RecordDirectory::clear)
    }

    /// Deletes the least recently used records until the local directory is within its limit. Does nothing if nothing
    /// was added.
    pub fn trim(&self) -> io::Result<()> {
        self.directory.as_ref().map_or(Ok(()), RecordDirectory::trim)
    }
}

/// The blob to look up.
struct Blob<'a> {
    build: &'a str,
    digest: &'a Digest,
    stored_bytes: u64,
}

impl Blob<'_> {
    /// Looks up the blob through `read`. An uncompressed layer has the same digest as a blob and as a layer.
    fn look_up(&self, read: impl Fn(&str) -> Option<Vec<u8>>) -> BlobLookup {
        let of_blob = match read(&layer::blob_key(self.digest)) {
            None => None,
            Some(bytes) => match layer::decode_blob(&bytes, self.build, self.digest) {
                Some(found) => Some(found),
                None => return BlobLookup::Damaged,
            },
        };
        let (diff_id, is_packed) = match of_blob {
            Some((_, size)) if size != self.stored_bytes => return BlobLookup::Unknown,
            Some((diff_id, _)) => (diff_id, true),
            None => (DiffId(self.digest.clone()), false),
        };
        match read(&layer::layer_key(&diff_id)) {
            None => BlobLookup::Unknown,
            Some(bytes) => match layer::decode(&bytes, self.build, &diff_id) {
                None => BlobLookup::Damaged,
                Some(found) if !is_packed && found.uncompressed_bytes != self.stored_bytes => BlobLookup::Unknown,
                Some(found) => BlobLookup::Known(Box::new(found)),
            },
        }
    }
}

#[cfg(test)]
#[path = "cache_tests.rs"]
mod tests;
