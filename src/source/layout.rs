//! An OCI image layout on disk: `oci-layout`, `index.json` and `blobs/ALGORITHM/HEX`. It reads only below the
//! directory's `blobs`, using parsed digests. Source: OCI image-spec, image-layout.md.

use std::fs::File;
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::listing::{Listing, Selector};
use super::{DOCUMENT_LIMIT, FileSection, ImageSource, SourceError, Stamp, open_regular, read_bounded};
use crate::oci::{Descriptor, Digest};

/// An image of a layout, or all of them.
#[derive(Debug)]
pub struct LayoutImage {
    directory: PathBuf,
    root: Descriptor,
    /// Set if `root` is an index of several images of `index.json`; it is not stored as a blob.
    index: Option<Arc<[u8]>>,
}

impl LayoutImage {
    /// Reads `index.json` of `directory` and selects from it. If it lists one image, that image is the root; if it
    /// lists several, the root is an index of all of them.
    pub fn open(directory: &Path, selector: &Selector) -> Result<LayoutImage, SourceError> {
        let path = directory.join("index.json");
        let place = directory.display().to_string();
        let bytes =
            read_bounded(open_regular(&path)?, DOCUMENT_LIMIT, "bytes for an index", &path.display().to_string())?;
        let root = Listing::from_index(bytes, &place)?.root(selector, &place)?;
        Ok(LayoutImage { directory: directory.to_path_buf(), root: root.descriptor, index: root.index.map(Arc::from) })
    }
}

impl ImageSource for LayoutImage {
    fn root(&self) -> Result<Descriptor, SourceError> {
        Ok(self.root.clone())
    }

    fn open(&self, descriptor: &Descriptor) -> Result<Box<dyn Read + Send>, SourceError> {
        match &self.index {
            Some(index) if descriptor.digest == self.root.digest => Ok(Box::new(Cursor::new(index.clone()))),
            _ => open_blob(&self.directory.join("blobs"), &descriptor.digest, &self.directory.display().to_string()),
        }
    }

    fn section(&self, descriptor: &Descriptor) -> Result<Option<FileSection>, SourceError> {
        let file = blob_file(&self.directory.join("blobs"), &descriptor.digest, &self.directory.display().to_string())?;
        let size = file.metadata().map_err(|cause| SourceError::File { path: self.directory.clone(), cause })?.len();
        Ok(Some(FileSection::new(Arc::new(file), 0, size)))
    }

    fn stamp(&self, descriptor: &Descriptor) -> Result<Option<Stamp>, SourceError> {
        stamp_blob(&self.directory.join("blobs"), &descriptor.digest, &self.directory.display().to_string())
    }
}

/// Opens `ALGORITHM/HEX` below `blobs`. If there is no such file, the blob is not present in `place`.
pub(super) fn open_blob(blobs: &Path, digest: &Digest, place: &str) -> Result<Box<dyn Read + Send>, SourceError> {
    Ok(Box::new(blob_file(blobs, digest, place)?))
}

/// The state of the file that [`open_blob`] opens.
pub(super) fn stamp_blob(blobs: &Path, digest: &Digest, place: &str) -> Result<Option<Stamp>, SourceError> {
    let stamp = Stamp::from_file(&blob_file(blobs, digest, place)?, 0);
    stamp.map(Some).map_err(|cause| SourceError::File { path: blobs.to_path_buf(), cause })
}

fn blob_file(blobs: &Path, digest: &Digest, place: &str) -> Result<File, SourceError> {
    match open_regular(&blobs.join(digest.algorithm()).join(digest.hex())) {
        Err(SourceError::File { cause, .. }) if cause.kind() == std::io::ErrorKind::NotFound => {
            Err(SourceError::NotPresent { digest: digest.clone(), place: place.to_string() })
        }
        opened => opened,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::source::listing::MANIFEST_TYPE;

    fn layout(entries: &[(&[u8], &str)]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(directory.path().join("blobs/sha256")).unwrap();
        let manifests: Vec<_> = entries
            .iter()
            .map(|(bytes, tag)| {
                let digest = Digest::from_bytes(bytes);
                std::fs::write(directory.path().join("blobs/sha256").join(digest.hex()), bytes).unwrap();
                json!({"mediaType": MANIFEST_TYPE, "digest": digest.as_str(), "size": bytes.len(),
                    "annotations": {"org.opencontainers.image.ref.name": tag}})
            })
            .collect();
        let index = json!({"schemaVersion": 2, "manifests": manifests});
        std::fs::write(directory.path().join("index.json"), index.to_string()).unwrap();
        directory
    }

    fn read(source: &LayoutImage, descriptor: &Descriptor) -> Vec<u8> {
        let mut bytes = Vec::new();
        source.open(descriptor).unwrap().read_to_end(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn one_image_is_the_root_itself() {
        let directory = layout(&[(b"one", "1")]);
        let source = LayoutImage::open(directory.path(), &Selector::All).unwrap();
        assert_eq!(read(&source, &source.root().unwrap()), b"one");
    }

    #[test]
    fn several_images_are_one_index_or_the_selected_one() {
        let directory = layout(&[(b"one", "1"), (b"two", "2")]);
        let source = LayoutImage::open(directory.path(), &Selector::All).unwrap();
        assert_eq!(read(&source, &source.root().unwrap()), std::fs::read(directory.path().join("index.json")).unwrap());
        let source = LayoutImage::open(directory.path(), &Selector::parse("2")).unwrap();
        assert_eq!(read(&source, &source.root().unwrap()), b"two");
    }

    #[test]
    fn a_blob_that_is_not_there_is_not_present() {
        let directory = layout(&[(b"one", "1")]);
        let source = LayoutImage::open(directory.path(), &Selector::All).unwrap();
        let absent = Descriptor::new(MANIFEST_TYPE, Digest::from_bytes(b"absent"), 6);
        assert!(
            matches!(source.open(&absent).err().unwrap(), SourceError::NotPresent { digest, .. } if digest == absent.digest)
        );
    }

    #[test]
    fn a_fifo_or_a_directory_in_place_of_a_blob_is_an_error() {
        let directory = layout(&[(b"one", "1")]);
        let absent = Descriptor::new(MANIFEST_TYPE, Digest::from_bytes(b"absent"), 6);
        let path = directory.path().join("blobs/sha256").join(absent.digest.hex());
        let source = LayoutImage::open(directory.path(), &Selector::All).unwrap();
        std::fs::create_dir(&path).unwrap();
        assert!(matches!(source.open(&absent).err().unwrap(), SourceError::Malformed { .. }));
        std::fs::remove_dir(&path).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        assert!(matches!(source.open(&absent).err().unwrap(), SourceError::Malformed { .. }));
    }
}
