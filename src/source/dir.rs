//! skopeo's `dir:`: a directory with `version`, `manifest.json` as received from the registry, and each blob under its
//! hex digest. `skopeo copy --all` also writes `HEX.manifest.json` for the manifests of an index. Source:
//! containers/image, directory/directory_transport.go.

use std::fs::File;
use std::io::{Cursor, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::listing::{INDEX_TYPE, MANIFEST_TYPE};
use super::{DOCUMENT_LIMIT, ImageSource, SourceError, Stamp, open_regular, read_bounded};
use crate::oci::{Descriptor, Digest, Document};

/// The image or index in such a directory.
#[derive(Debug)]
pub struct Dir {
    directory: PathBuf,
    root: Descriptor,
    document: Arc<[u8]>,
}

impl Dir {
    pub fn open(directory: &Path) -> Result<Dir, SourceError> {
        let path = directory.join("manifest.json");
        let place = path.display().to_string();
        let document = read_bounded(open_regular(&path)?, DOCUMENT_LIMIT, "bytes for a manifest", &place)?;
        let media_type = match Document::parse(&document) {
            Ok(Document::Index(_)) => INDEX_TYPE,
            Ok(Document::Manifest(_)) => MANIFEST_TYPE,
            Err(error) => return Err(SourceError::Malformed { place, cause: error.to_string() }),
        };
        let root = Descriptor::new(media_type, Digest::from_bytes(&document), document.len() as u64);
        Ok(Dir { directory: directory.to_path_buf(), root, document: document.into() })
    }
}

impl ImageSource for Dir {
    fn root(&self) -> Result<Descriptor, SourceError> {
        Ok(self.root.clone())
    }

    fn open(&self, descriptor: &Descriptor) -> Result<Box<dyn Read + Send>, SourceError> {
        let digest = &descriptor.digest;
        if *digest == self.root.digest {
            return Ok(Box::new(Cursor::new(self.document.clone())));
        }
        Ok(Box::new(self.blob_file(digest)?))
    }

    fn stamp(&self, descriptor: &Descriptor) -> Result<Option<Stamp>, SourceError> {
        let stamp = Stamp::from_file(&self.blob_file(&descriptor.digest)?, 0);
        stamp.map(Some).map_err(|cause| SourceError::File { path: self.directory.clone(), cause })
    }
}

impl Dir {
    fn blob_file(&self, digest: &Digest) -> Result<File, SourceError> {
        let hex = digest.hex();
        // The third name is used by version 1.2 for algorithms other than sha256.
        for name in [hex.to_string(), format!("{hex}.manifest.json"), format!("{}-{hex}", digest.algorithm())] {
            match open_regular(&self.directory.join(name)) {
                Ok(file) => return Ok(file),
                Err(SourceError::File { cause, .. }) if cause.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Err(SourceError::NotPresent { digest: digest.clone(), place: self.directory.display().to_string() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manifest_blobs_and_nested_manifests_are_found_by_their_hex() {
        let directory = tempfile::tempdir().unwrap();
        let index = br#"{"schemaVersion":2,"manifests":[]}"#;
        std::fs::write(directory.path().join("manifest.json"), index).unwrap();
        let blob = |bytes: &[u8]| Descriptor::new("", Digest::from_bytes(bytes), bytes.len() as u64);
        std::fs::write(directory.path().join(blob(b"layer").digest.hex()), "layer").unwrap();
        let nested = format!("{}.manifest.json", blob(b"nested").digest.hex());
        std::fs::write(directory.path().join(nested), "nested").unwrap();

        let source = Dir::open(directory.path()).unwrap();
        assert_eq!(source.root().unwrap().media_type, INDEX_TYPE);
        for bytes in [index.as_slice(), b"layer", b"nested"] {
            let mut read = Vec::new();
            source.open(&blob(bytes)).unwrap().read_to_end(&mut read).unwrap();
            assert_eq!(read, bytes);
        }
        assert!(matches!(source.open(&blob(b"absent")).err().unwrap(), SourceError::NotPresent { .. }));
    }

    #[test]
    fn an_invalid_manifest_is_malformed() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("manifest.json"), "[]").unwrap();
        assert!(matches!(Dir::open(directory.path()), Err(SourceError::Malformed { .. })));
    }
}
