//! What can go wrong between a source's bytes and an image: floor 3's one error, and what a layer's cause can be.

use std::io;

use crate::oci::{Descriptor, DiffId, Digest};
use crate::source::SourceError;

/// Why an image, or a part of it, could not be read. Whatever it is, the image's verdict is "could not tell".
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    #[error(transparent)]
    Source(#[from] SourceError),
    /// `index` counts from the lowest layer, which is 0.
    #[error("reading layer {index} ({}...): {cause}", digest.short())]
    Layer { index: usize, digest: Digest, cause: Box<LayerError> },
}

/// Why one layer could not be read, or could not be believed.
#[derive(Debug, thiserror::Error)]
pub enum LayerError {
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error("{0}")]
    Read(io::Error),
    /// `gzip stream`, `zstd frame`, `tar`.
    #[error("unexpected end of {0}")]
    Truncated(&'static str),
    #[error("corrupt {format}: {cause}")]
    Corrupt { format: &'static str, cause: String },
    /// `at` is the offset in the uncompressed tar.
    #[error("corrupt tar at byte {at}: {cause}")]
    Tar { at: u64, cause: &'static str },
    #[error("its bytes have another digest: {found}")]
    WrongDigest { found: Digest },
    #[error("its uncompressed bytes have the digest {found}, but the config's diff_id is {expected}")]
    WrongDiffId { expected: DiffId, found: DiffId },
    #[error("it is {found} bytes long, but its descriptor says {expected}")]
    WrongSize { expected: u64, found: u64 },
    #[error("it goes on after the {expected} bytes that its descriptor says")]
    TooLong { expected: u64 },
    #[error("{0} compression is not supported; engines read gzip, zstd and uncompressed layers")]
    Compression(&'static str),
    #[error("it is encrypted ({0}), and only its key's holder can read it")]
    Encrypted(String),
    #[error("it is a foreign layer, which is kept elsewhere{}", at(.0))]
    Foreign(Vec<String>),
    #[error("it is neither a tar nor gzip nor zstd: it starts with {0}")]
    Unrecognised(String),
    #[error("it holds more than {0} names")]
    TooManyNames(u64),
    #[error("its names take more than {0} bytes")]
    TooMuchText(usize),
    #[error("it holds more than {0} bytes uncompressed")]
    TooLarge(u64),
    #[error("it unpacks to more than {ratio} times its size ({bytes} bytes so far), as archive bombs do")]
    Bomb { ratio: u64, bytes: u64 },
}

fn at(urls: &[String]) -> String {
    if urls.is_empty() { String::new() } else { format!(" ({})", urls.join(", ")) }
}

impl ImageError {
    /// Nothing is known to be wrong with the image, but a part of it cannot be read here: it is encrypted, foreign,
    /// compressed in a way that is not supported, or not present in this source.
    pub fn is_unverified(&self) -> bool {
        match self {
            ImageError::Source(error) => matches!(error, SourceError::NotPresent { .. }),
            ImageError::Layer { cause, .. } => matches!(
                **cause,
                LayerError::Compression(_)
                    | LayerError::Encrypted(_)
                    | LayerError::Foreign(_)
                    | LayerError::Source(SourceError::NotPresent { .. })
            ),
        }
    }
}

impl LayerError {
    pub(super) fn of(self, index: usize, descriptor: &Descriptor) -> ImageError {
        ImageError::Layer { index, digest: descriptor.digest.clone(), cause: Box::new(self) }
    }
}

/// A decoder can only answer with an [`io::Error`]; the true cause travels inside it.
impl From<LayerError> for io::Error {
    fn from(error: LayerError) -> io::Error {
        io::Error::other(error)
    }
}

impl From<io::Error> for LayerError {
    fn from(error: io::Error) -> LayerError {
        match error.downcast::<LayerError>() {
            Ok(cause) => cause,
            Err(error) => LayerError::Read(error),
        }
    }
}
