//! Tier 0: the sources of an image's bytes. A source takes a descriptor and returns the bytes as stored, not yet
//! verified. Digests, decompression and tar are handled in [`crate::image`], once for every source.

pub mod archive;
pub mod containerd;
pub mod dir;
mod document;
pub mod engine;
pub mod input;
pub mod layout;
pub(crate) mod listing;
mod process;
pub mod registry;
pub mod rootfs_dir;
mod section;
mod stamp;
pub(crate) mod tar;
pub mod transport;

use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};

pub use document::{DocumentReadError, document_type, read_document, stated_type};
pub use listing::Selector;
pub use process::end_all as end_commands;
pub use section::FileSection;
pub use stamp::Stamp;
pub use transport::{ImageRef, Origin, Transport};

use crate::files;
use crate::oci::{Descriptor, Digest};

/// Size limit of an index, manifest or config: twice the size that registries accept for a manifest.
pub const DOCUMENT_LIMIT: u64 = 8 << 20;

/// A source of an image's bytes. All methods may be called from many threads.
pub trait ImageSource: Send + Sync {
    /// The index or manifest that the user's reference leads to.
    fn root(&self) -> Result<Descriptor, SourceError>;

    /// Describes the root with a request that does not transfer its content. Returns `None` if the source has no such
    /// request, or if its answer is incomplete: [`ImageSource::root`] then reports the reason.
    fn peek_root(&self) -> Result<Option<Descriptor>, SourceError> {
        Ok(None)
    }

    /// Opens the content for `descriptor`, as stored: compressed, not yet verified.
    fn open(&self, descriptor: &Descriptor) -> Result<Box<dyn Read + Send>, SourceError>;

    /// The same bytes as a section of a local file, if they are in one. Errors are the same as for [`ImageSource::open`].
    fn section(&self, _: &Descriptor) -> Result<Option<FileSection>, SourceError> {
        Ok(None)
    }

    /// Reads a range of the content's bytes. Returns `None` if the source cannot read parts of it.
    fn read_range(&self, descriptor: &Descriptor, range: Range<u64>) -> Result<Option<Vec<u8>>, SourceError> {
        let Some(mut section) = self.section(descriptor)? else { return Ok(None) };
        let mut bytes = vec![0; usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(0)];
        let read = section.seek(SeekFrom::Start(range.start)).and_then(|_| section.read_exact(&mut bytes));
        let path = || PathBuf::from(descriptor.digest.to_string());
        read.map(|()| Some(bytes)).map_err(|cause| SourceError::File { path: path(), cause })
    }

    /// Lists the manifests that refer to the one with this digest. Empty if the source has no such list.
    fn referrers(&self, _: &Digest) -> Result<Vec<Descriptor>, SourceError> {
        Ok(Vec::new())
    }

    /// Describes the manifest with this digest, in the image's repository. Returns `None` if the source has no such
    /// request.
    fn manifest(&self, _: &Digest) -> Result<Option<Descriptor>, SourceError> {
        Ok(None)
    }

    /// The state of the local file that contains this content, if there is one. Errors are the same as for
    /// [`ImageSource::open`].
    fn stamp(&self, _: &Descriptor) -> Result<Option<Stamp>, SourceError> {
        Ok(None)
    }

    /// Whether this store keeps the documents of platforms whose layers were never pulled.
    fn is_partial(&self) -> bool {
        false
    }

    /// The mirror that served the root instead of the registry itself.
    fn mirror(&self) -> Option<String> {
        None
    }
}

/// Why bytes could not be read. Each variant states the object, the place and the reason; `hint` suggests a fix.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    #[error("{what} {name} was not found in {place}")]
    NotFound { what: &'static str, name: String, place: String },
    /// Listed, but its blobs are not here: `docker save` and engine stores keep only what was pulled.
    #[error("{digest} is not present in {place}")]
    NotPresent { digest: Digest, place: String },
    #[error("{place} refused access to {name}: {cause}")]
    Denied { name: String, place: String, cause: String },
    #[error("{place} could not be reached: {cause}")]
    Unreachable { place: String, cause: String },
    #[error("{place} answered {status} for {name}{}", detail(.cause))]
    Answer { name: String, place: String, status: u16, cause: String },
    #[error("{}: {cause}", path.display())]
    File { path: PathBuf, cause: std::io::Error },
    #[error("{place} is malformed: {cause}")]
    Malformed { place: String, cause: String },
    /// `what` states the unit and the object: `bytes for a manifest`.
    #[error("{place} exceeds the limit of {limit} {what}")]
    TooLarge { place: String, what: &'static str, limit: u64 },
    #[error("{what} is not supported: {cause}")]
    Unsupported { what: String, cause: String },
    /// A path that was named as an image. `is` and `expected` are noun phrases: `a text file`.
    #[error("{place} is {is}; expected {expected}")]
    NotAnImage { place: String, is: &'static str, expected: &'static str },
    /// The place contradicts the user or itself: the content is not the one that was requested.
    #[error("{name} in {place} is {actual}, not {expected}")]
    WrongDigest { name: String, place: String, expected: Digest, actual: Digest },
    /// Another error, with a hint.
    #[error("{error}")]
    Hinted { error: Box<SourceError>, hint: String },
}

impl SourceError {
    /// Adds a hint to the error. If the hint is a command, it can be pasted.
    pub fn with_hint(self, hint: impl Into<String>) -> SourceError {
        SourceError::Hinted { error: Box::new(self), hint: hint.into() }
    }

    pub fn hint(&self) -> Option<&str> {
        match self {
            SourceError::Hinted { hint, .. } => Some(hint),
            // The words of Rust's standard library.
            SourceError::Unreachable { cause, .. } if cause.contains("failed to lookup address") => Some(NO_ADDRESS),
            _ => None,
        }
    }

    /// The error without its hints, for use in a `match`.
    pub fn bare(&self) -> &SourceError {
        match self {
            SourceError::Hinted { error, .. } => error.bare(),
            other => other,
        }
    }
}

const NO_ADDRESS: &str =
    "check the spelling of the name, DNS and the proxy; an image of a local engine is docker-daemon:IMAGE";

fn detail(cause: &str) -> String {
    if cause.is_empty() { String::new() } else { format!(": {cause}") }
}

/// Reads to the end, at most `limit` bytes. `what` (`bytes for a manifest`) and `place` are used in messages.
pub(crate) fn read_bounded(
    reader: impl Read,
    limit: u64,
    what: &'static str,
    place: &str,
) -> Result<Vec<u8>, SourceError> {
    let mut bytes = Vec::new();
    let read = reader.take(limit + 1).read_to_end(&mut bytes);
    read.map_err(|cause| SourceError::File { path: PathBuf::from(place), cause })?;
    if bytes.len() as u64 > limit {
        return Err(SourceError::TooLarge { place: place.to_string(), what, limit });
    }
    Ok(bytes)
}

/// Like [`files::open_regular`].
pub(crate) fn open_regular(path: &Path) -> Result<File, SourceError> {
    files::open_regular(path).map_err(|cause| match cause.kind() {
        ErrorKind::InvalidInput | ErrorKind::IsADirectory => {
            SourceError::Malformed { place: path.display().to_string(), cause: "not a regular file".to_string() }
        }
        _ => SourceError::File { path: path.to_path_buf(), cause },
    })
}
