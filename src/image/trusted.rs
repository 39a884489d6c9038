//! Reads an uncompressed layer from a local file without reading all of it: only headers, and as much of each file as
//! `visit` requests. Its digests are not computed, so the caller must trust the file.

use std::io::{BufRead, BufReader};

use super::contents::Contents;
use super::error::{ImageError, LayerError};
use super::layer::Layer;
use super::limits::Limits;
use super::note::LayerNote;
use super::pipeline::{Compression, MAGIC_BYTES};
use super::tar::{Visit, walk_seeking};
use crate::oci::DiffId;
use crate::source::ImageSource;

/// The content of a layer whose bytes were not verified.
#[derive(Debug)]
pub struct TrustedRead<T> {
    pub contents: Contents<T>,
    /// As stated by the image.
    pub diff_id: DiffId,
    pub notes: Vec<LayerNote>,
}

/// Size of the buffer between the file and the tar reader: most files are smaller than the read-ahead of a larger one.
const BUFFER: usize = 16 << 10;

/// Reads the layer without verifying it. Returns `None` for a layer that must be read in full: it is compressed or
/// encrypted, it is not in a local file, or the image's statements about it are inconsistent.
pub fn read_trusted<T>(
    source: &dyn ImageSource,
    layer: &Layer,
    limits: &Limits,
    visit: &mut Visit<'_, T>,
) -> Result<Option<TrustedRead<T>>, ImageError> {
    read(source, layer, limits, visit).map_err(|cause| cause.in_layer(layer.index, &layer.descriptor))
}

fn read<T>(
    source: &dyn ImageSource,
    layer: &Layer,
    limits: &Limits,
    visit: &mut Visit<'_, T>,
) -> Result<Option<TrustedRead<T>>, LayerError> {
    let descriptor = &layer.descriptor;
    // The digest of an uncompressed layer equals its diffID.
    let Some(diff_id) = layer.diff_id.clone().filter(|diff_id| diff_id.0 == descriptor.digest) else { return Ok(None) };
    let Ok(Some(section)) = source.section(descriptor) else { return Ok(None) };
    if section.size() != descriptor.size || limits.check_size(descriptor.size, descriptor.size).is_err() {
        return Ok(None);
    }
    let mut reader = BufReader::with_capacity(BUFFER, section);
    let start = reader.fill_buf()?;
    if descriptor.is_encrypted()
        || !matches!(Compression::detect(&start[..start.len().min(MAGIC_BYTES)]), Ok(Compression::None))
    {
        return Ok(None);
    }
    let (contents, notes) = walk_seeking(&mut reader, limits, visit)?;
    Ok(Some(TrustedRead { contents, diff_id, notes }))
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::sync::Arc;

    use super::*;
    use crate::image::testing::{file, tar_of};
    use crate::oci::{Descriptor, Digest};
    use crate::source::{FileSection, SourceError};

    /// A blob in a file.
    struct InFile {
        file: Arc<std::fs::File>,
        size: u64,
    }

    impl ImageSource for InFile {
        fn root(&self) -> Result<Descriptor, SourceError> {
            unreachable!("only a layer is read")
        }

        fn open(&self, _: &Descriptor) -> Result<Box<dyn Read + Send>, SourceError> {
            unreachable!("a layer that is trusted is not read whole")
        }

        fn section(&self, _: &Descriptor) -> Result<Option<FileSection>, SourceError> {
            Ok(Some(FileSection::new(Arc::clone(&self.file), 0, self.size)))
        }
    }

    fn layer(bytes: &[u8]) -> (InFile, Layer) {
        let file = tempfile::tempfile().unwrap();
        std::io::Write::write_all(&mut &file, bytes).unwrap();
        let (digest, size) = (Digest::from_bytes(bytes), bytes.len() as u64);
        let descriptor = Descriptor::new("application/vnd.oci.image.layer.v1.tar", digest.clone(), size);
        (
            InFile { file: Arc::new(file), size },
            Layer { index: 0, descriptor, diff_id: Some(DiffId(digest)), ztoc: None },
        )
    }

    fn names(source: &InFile, layer: &Layer) -> Option<Vec<String>> {
        let read = read_trusted(source, layer, &Limits::default(), &mut |_, content| {
            let mut start = [0; 4];
            content.read_exact(&mut start).ok();
            Some(start)
        });
        let read = read.unwrap()?;
        let mut names = Vec::new();
        read.contents.for_each(|entry, fact| {
            let start = fact.map_or([0; 4], |fact| *read.contents.fact(fact));
            names.push(format!("{} {}", String::from_utf8_lossy(entry.path), start.escape_ascii()));
        });
        Some(names)
    }

    #[test]
    fn only_the_starts_of_files_are_read() {
        let large = vec![b'x'; 1 << 20];
        let tar = tar_of(&[file("a", &large), file("b", b"bbbb"), file("c", &large)]);
        let (source, layer) = layer(&tar);
        assert_eq!(names(&source, &layer).unwrap(), ["a xxxx", "b bbbb", "c xxxx"]);
        // Unread bytes do not matter.
        let mut other = tar.clone();
        other[1 << 19] = b'y';
        std::os::unix::fs::FileExt::write_all_at(&*source.file, &other, 0).unwrap();
        assert_eq!(names(&source, &layer).unwrap(), ["a xxxx", "b bbbb", "c xxxx"]);
    }

    #[test]
    fn a_cut_layer_is_an_error() {
        let tar = tar_of(&[file("a", &vec![b'x'; 1 << 20])]);
        let (source, layer) = layer(&tar[..1 << 19]);
        let read = read_trusted(&source, &layer, &Limits::default(), &mut |_, _| Some(()));
        assert!(read.unwrap_err().to_string().contains("tar"), "its data ends before its size");
    }

    #[test]
    fn layers_that_need_verification_or_decompression_are_not_read_here() {
        let tar = tar_of(&[file("a", b"a")]);
        let (source, sound) = layer(&tar);
        assert!(names(&source, &sound).is_some());
        let other = Layer { diff_id: Some(DiffId(Digest::from_bytes(b"other"))), ..sound.clone() };
        assert_eq!(names(&source, &other), None);
        assert_eq!(names(&source, &Layer { diff_id: None, ..sound.clone() }), None);
        let shorter = Descriptor::new("x", sound.descriptor.digest.clone(), sound.descriptor.size - 1);
        assert_eq!(names(&source, &Layer { descriptor: shorter, ..sound }), None);
        let (source, zipped) = layer(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3]);
        assert_eq!(names(&source, &zipped), None);
    }
}
