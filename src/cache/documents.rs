//! Caches indexes, manifests and configs. One small request resolves a tag, and documents that are known by their
//! digest are not requested again. A record is the document itself, so its digest verifies it.

use std::io::{Cursor, Read};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use super::Cache;
use crate::oci::{Descriptor, Digest, Document};
use crate::source::{
    DOCUMENT_LIMIT, DocumentReadError, FileSection, ImageSource, SourceError, Stamp, document_type, read_document,
};

/// The subdirectory of documents, named by the digest of their bytes.
pub(super) const DOCUMENTS: &str = "documents";

/// A source that looks up documents in a cache first and adds new ones to it.
pub struct Remembered {
    source: Box<dyn ImageSource>,
    cache: Arc<Cache>,
    /// Resolved once, so that a tag that moves during a run does not mix two images.
    root: Mutex<Option<Descriptor>>,
}

impl Remembered {
    pub fn new(source: Box<dyn ImageSource>, cache: &Arc<Cache>) -> Remembered {
        Remembered { source, cache: Arc::clone(cache), root: Mutex::default() }
    }

    /// Returns the current root if its document is in the cache.
    fn known_root(&self) -> Result<Option<Descriptor>, SourceError> {
        let Some(peeked) = self.source.peek_root()? else { return Ok(None) };
        let Some(bytes) = self.cache.document(&peeked.digest) else { return Ok(None) };
        // The server's headers are not trusted: the type is taken from the bytes.
        let media_type = Document::parse(&bytes).ok().map(|document| document_type(&document, &bytes));
        Ok(media_type.map(|media_type| Descriptor::new(&media_type, peeked.digest, bytes.len() as u64)))
    }
}

impl ImageSource for Remembered {
    fn root(&self) -> Result<Descriptor, SourceError> {
        let mut root = self.root.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(root) = &*root {
            return Ok(root.clone());
        }
        let found = match self.known_root()? {
            Some(found) => found,
            None => {
                let found = self.source.root()?;
                if let Ok(bytes) = read_document(&*self.source, &found, DOCUMENT_LIMIT) {
                    self.cache.keep_document(&found.digest, &bytes);
                }
                found
            }
        };
        Ok(root.insert(found).clone())
    }

    fn read_range(&self, descriptor: &Descriptor, range: Range<u64>) -> Result<Option<Vec<u8>>, SourceError> {
        self.source.read_range(descriptor, range)
    }

    fn open(&self, descriptor: &Descriptor) -> Result<Box<dyn Read + Send>, SourceError> {
        if !is_document(descriptor) {
            return self.source.open(descriptor);
        }
        if let Some(bytes) = self.cache.document(&descriptor.digest) {
            return Ok(Box::new(Cursor::new(bytes)));
        }
        match read_document(&*self.source, descriptor, DOCUMENT_LIMIT) {
            Ok(bytes) => {
                self.cache.keep_document(&descriptor.digest, &bytes);
                Ok(Box::new(Cursor::new(bytes)))
            }
            Err(DocumentReadError::Source(error)) => Err(error),
            // The caller reads the bytes again and reports what is wrong with them.
            Err(_) => self.source.open(descriptor),
        }
    }

    fn section(&self, descriptor: &Descriptor) -> Result<Option<FileSection>, SourceError> {
        self.source.section(descriptor)
    }

    fn referrers(&self, digest: &Digest) -> Result<Vec<Descriptor>, SourceError> {
        self.source.referrers(digest)
    }

    fn manifest(&self, digest: &Digest) -> Result<Option<Descriptor>, SourceError> {
        self.source.manifest(digest)
    }

    fn stamp(&self, descriptor: &Descriptor) -> Result<Option<Stamp>, SourceError> {
        self.source.stamp(descriptor)
    }

    fn mirror(&self) -> Option<String> {
        self.source.mirror()
    }
}

/// Whether this is a small JSON document: an index, a manifest, a config or an in-toto statement.
fn is_document(descriptor: &Descriptor) -> bool {
    let media_type = descriptor.media_type.as_str();
    let is_layer = media_type.contains(".layer.") || media_type.contains(".diff.");
    descriptor.size <= DOCUMENT_LIMIT && media_type.ends_with("json") && !is_layer
}

impl Cache {
    /// Returns the document with this digest.
    pub fn document(&self, digest: &Digest) -> Option<Vec<u8>> {
        let key = super::layer::key(DOCUMENTS, digest);
        let is_right = |bytes: &Vec<u8>| digest.of_same_algorithm(bytes) == *digest;
        let own = self.directory.as_ref().and_then(|directory| directory.read(&key)).filter(is_right);
        own.or_else(|| {
            let place = self.place_in_store();
            let read = |store: &super::RecordStore| store.read(&format!("{place}/{key}"), DOCUMENT_LIMIT);
            self.from.iter().filter_map(read).find(is_right)
        })
    }

    /// Keeps a document whose digest was computed from these bytes. A failed write is only logged.
    fn keep_document(&self, digest: &Digest, bytes: &[u8]) {
        let key = super::layer::key(DOCUMENTS, digest);
        if let Some(store) = &self.to {
            store.write(&format!("{}/{key}", self.place_in_store()), bytes);
        }
        if let Some(Err(error)) = self.directory.as_ref().map(|directory| directory.write(&key, bytes)) {
            tracing::debug!(%error, "cannot keep a document in the cache");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    const INDEX: &str = "application/vnd.oci.image.index.v1+json";

    /// A registry with one index that counts the requests for it.
    struct Counted {
        bytes: Vec<u8>,
        peeked: Option<Descriptor>,
        roots: Arc<AtomicUsize>,
    }

    impl ImageSource for Counted {
        fn root(&self) -> Result<Descriptor, SourceError> {
            self.roots.fetch_add(1, Ordering::SeqCst);
            Ok(Descriptor::new(INDEX, Digest::from_bytes(&self.bytes), self.bytes.len() as u64))
        }

        fn peek_root(&self) -> Result<Option<Descriptor>, SourceError> {
            Ok(self.peeked.clone())
        }

        fn open(&self, _: &Descriptor) -> Result<Box<dyn Read + Send>, SourceError> {
            Ok(Box::new(Cursor::new(self.bytes.clone())))
        }
    }

    fn index() -> Vec<u8> {
        format!(r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":[]}}"#).into_bytes()
    }

    /// Resolves the root in a registry whose HEAD response names `peeked`, and counts the requests for the root itself.
    fn root(cache: &Arc<Cache>, peeked: Option<Descriptor>) -> (Descriptor, usize) {
        let roots = Arc::<AtomicUsize>::default();
        let source = Counted { bytes: index(), peeked, roots: Arc::clone(&roots) };
        let remembered = Remembered::new(Box::new(source), cache);
        let root = remembered.root().unwrap();
        assert_eq!(remembered.root().unwrap(), root);
        (root, roots.load(Ordering::SeqCst))
    }

    #[test]
    fn a_root_that_is_known_by_its_digest_is_not_read_again() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Arc::new(Cache::new(directory.path(), 1 << 20, ""));
        let expected = Descriptor::new(INDEX, Digest::from_bytes(&index()), index().len() as u64);
        let head = |media_type: &str| Some(Descriptor { media_type: media_type.into(), ..expected.clone() });
        assert_eq!(root(&cache, head(INDEX)), (expected.clone(), 1));
        assert_eq!(root(&cache, head(INDEX)), (expected.clone(), 0));
        // Only the digest is taken from the headers.
        let lying = Descriptor::new("text/html", expected.digest.clone(), 7);
        assert_eq!(root(&cache, Some(lying)), (expected.clone(), 0));
        assert_eq!(root(&cache, None), (expected.clone(), 1));
        let other = Descriptor::new(INDEX, Digest::from_bytes(b"another"), 7);
        assert_eq!(root(&cache, Some(other)), (expected, 1));
    }

    #[test]
    fn a_document_that_does_not_match_its_digest_is_ignored() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Arc::new(Cache::new(directory.path(), 1 << 20, ""));
        let digest = Digest::from_bytes(&index());
        cache.keep_document(&digest, &index());
        assert_eq!(cache.document(&digest), Some(index()));
        let path = directory.path().join(super::super::layer::key(DOCUMENTS, &digest));
        std::fs::write(path, b"{}").unwrap();
        assert_eq!(cache.document(&digest), None);
        cache.clear().unwrap();
        assert!(!directory.path().join(DOCUMENTS).exists());
    }
}
