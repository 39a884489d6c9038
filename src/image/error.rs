//! The errors of reading an image, from a source's bytes to its layers.

use std::io;

use crate::oci::{Descriptor, DiffId, Digest, DocumentError};
use crate::platform::Platform;
use crate::source::{DocumentReadError, SourceError};

/// Why an image, or a part of it, could not be read. With any of these the image's verdict is "could not tell".
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    #[error(transparent)]
    Source(#[from] SourceError),
    /// `index` counts from the lowest layer, which is 0; people count from 1.
    #[error("reading layer {} ({}...): {cause}", index + 1, digest.short())]
    Layer { index: usize, digest: Digest, cause: Box<LayerError> },
    /// `what` is `manifest` (of an image or an index) or `config`.
    #[error("reading {what} {digest}: {cause}")]
    Document { what: &'static str, digest: Digest, cause: DocumentFault },
    #[error("manifest {digest} has {layers} layers, but its config has {diff_ids} diff_ids")]
    LayerCount { digest: Digest, layers: usize, diff_ids: usize },
    #[error("diff_id {index} of the config of manifest {digest} is not a digest: {text:?}")]
    DiffId { digest: Digest, index: usize, text: String },
    #[error("manifest {digest} has {count} layers; no engine mounts more than {limit}")]
    TooManyLayers { digest: Digest, count: usize, limit: usize },
    #[error("index {digest} contains itself")]
    SelfContaining { digest: Digest },
    #[error("index {digest} is nested more than {limit} indexes deep")]
    TooDeep { digest: Digest, limit: usize },
    #[error("index {digest} leads to more than {limit} manifests")]
    TooManyManifests { digest: Digest, limit: usize },
    #[error("{digest} is an artifact of type {kind}, not an image")]
    Artifact { digest: Digest, kind: String },
    /// `wanted` is empty when every platform was requested.
    #[error("no image{} in {digest}; {}", for_platforms(wanted), holding(held))]
    NothingWanted { digest: Digest, wanted: Vec<Platform>, held: Vec<String> },
}

impl ImageError {
    /// A suggested fix, if there is one.
    pub fn hint(&self) -> Option<String> {
        let pull_again = || Some("pull or push the image again, and scan it from its registry".to_string());
        match self {
            ImageError::Source(error) => error.hint().map(str::to_string),
            ImageError::Layer { cause, .. } => match &**cause {
                LayerError::Source(error) => error.hint().map(str::to_string),
                LayerError::Compression(_) => Some("rebuild it with gzip or zstd layers".to_string()),
                LayerError::TooLarge(_) | LayerError::StoredTooLarge { .. } => Some(raise("layer-bytes")),
                LayerError::TooManyNames(_) => Some(raise("layer-names")),
                LayerError::TooMuchMemory(_) => Some(raise(MEMORY_LIMIT)),
                LayerError::Deadline(_) => Some(EXTEND_DEADLINE.to_string()),
                LayerError::Foreign(_)
                | LayerError::Encrypted(_)
                | LayerError::Bomb { .. }
                | LayerError::TooMuchText(_) => None,
                _ => pull_again(),
            },
            ImageError::NothingWanted { wanted, .. } => {
                (!wanted.is_empty()).then(|| "omit --platform to read every platform".to_string())
            }
            ImageError::Artifact { .. } => None,
            ImageError::TooManyLayers { .. } | ImageError::TooDeep { .. } | ImageError::TooManyManifests { .. } => None,
            _ => pull_again(),
        }
    }
}

/// The hint for a run that ends before everything was read.
pub const EXTEND_DEADLINE: &str = "allow more time: --deadline SECONDS";

/// The name of the setting for [`super::Limits::memory`].
const MEMORY_LIMIT: &str = "image-memory";

/// The hint for an image that exceeds `limit`.
fn raise(limit: &str) -> String {
    let variable = limit.replace('-', "_").to_uppercase();
    format!(
        "if the image is trusted, raise the limit: IMGARCH_{variable}=N, or {limit} under [limits] in .imgarch.toml"
    )
}

/// The hint for a merged tree that exceeds [`super::Limits::memory`].
pub fn raise_memory() -> String {
    raise(MEMORY_LIMIT)
}

/// Why a document could not be read or parsed.
#[derive(Debug, thiserror::Error)]
pub enum DocumentFault {
    #[error(transparent)]
    Read(Box<DocumentReadError>),
    #[error(transparent)]
    Parse(DocumentError),
}

fn for_platforms(wanted: &[Platform]) -> String {
    let names: Vec<String> = wanted.iter().map(ToString::to_string).collect();
    if names.is_empty() { String::new() } else { format!(" for {}", names.join(", ")) }
}

fn holding(held: &[String]) -> String {
    if held.is_empty() { "it is empty".to_string() } else { format!("it contains {}", held.join(", ")) }
}

/// Why one layer could not be read or verified.
#[derive(Debug, thiserror::Error)]
pub enum LayerError {
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error("{0}")]
    Read(io::Error),
    /// What ended early: `gzip stream`, `zstd frame`, `tar`.
    #[error("unexpected end of {0}")]
    Truncated(&'static str),
    #[error("corrupt {format}: {cause}")]
    Corrupt { format: &'static str, cause: String },
    /// `at` is the offset in the uncompressed tar.
    #[error("corrupt tar at byte {at}: {cause}")]
    Tar { at: u64, cause: &'static str },
    #[error("its content has a different digest: {found}")]
    WrongDigest { found: Digest },
    #[error("its uncompressed content has the digest {found}, but the config's diff_id is {expected}")]
    WrongDiffId { expected: DiffId, found: DiffId },
    #[error("it is {found} bytes long, but its descriptor states {expected}")]
    WrongSize { expected: u64, found: u64 },
    #[error("it is longer than the {expected} bytes that its descriptor states")]
    TooLong { expected: u64 },
    #[error("{0} compression is not supported; engines read gzip, zstd and uncompressed layers")]
    Compression(&'static str),
    #[error("it is encrypted ({0}) and cannot be read without its key")]
    Encrypted(String),
    #[error("it is a foreign layer, which is stored elsewhere{}", at(.0))]
    Foreign(Vec<String>),
    #[error("it is neither a tar nor gzip nor zstd: it starts with {0}")]
    Unrecognised(String),
    #[error("it contains more than {0} names")]
    TooManyNames(u64),
    #[error("its names take up more than {0} bytes")]
    TooMuchText(usize),
    #[error("it contains more than {0} bytes uncompressed")]
    TooLarge(u64),
    #[error("its descriptor states {announced} bytes, but the limit is {limit}")]
    StoredTooLarge { announced: u64, limit: u64 },
    /// The deadline of the whole run, in seconds.
    #[error("not read: the deadline of the run, {0} s, has passed")]
    Deadline(u64),
    #[error("the names and files of this image take more than {0} bytes of memory")]
    TooMuchMemory(usize),
    #[error("it unpacks to more than {ratio} times its size ({bytes} bytes so far), as archive bombs do")]
    Bomb { ratio: u64, bytes: u64 },
}

fn at(urls: &[String]) -> String {
    if urls.is_empty() { String::new() } else { format!(" ({})", urls.join(", ")) }
}

impl ImageError {
    /// True if nothing is known to be wrong with the image, but a part of it cannot be read here: it is encrypted,
    /// foreign, uses an unsupported compression, or is not present in this source.
    pub fn is_unverified(&self) -> bool {
        match self {
            ImageError::Source(error) => is_absent(error),
            ImageError::Layer { cause, .. } => match &**cause {
                LayerError::Compression(_) | LayerError::Encrypted(_) | LayerError::Foreign(_) => true,
                LayerError::Source(error) => is_absent(error),
                _ => false,
            },
            _ => false,
        }
    }
}

fn is_absent(error: &SourceError) -> bool {
    matches!(error.bare(), SourceError::NotPresent { .. })
}

impl LayerError {
    pub(super) fn in_layer(self, index: usize, descriptor: &Descriptor) -> ImageError {
        ImageError::Layer { index, digest: descriptor.digest.clone(), cause: Box::new(self) }
    }
}

/// A decoder can only return an [`io::Error`], so the actual cause travels inside one.
impl From<LayerError> for io::Error {
    fn from(error: LayerError) -> io::Error {
        io::Error::other(error)
    }
}

impl From<io::Error> for LayerError {
    fn from(error: io::Error) -> LayerError {
        let error = match error.downcast::<LayerError>() {
            Ok(cause) => return cause,
            Err(error) => error,
        };
        match error.downcast::<SourceError>() {
            Ok(cause) => LayerError::Source(cause),
            Err(error) => LayerError::Read(error),
        }
    }
}
