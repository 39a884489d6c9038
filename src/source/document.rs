//! Reads a small document whole: checks its size before reading and its digest afterwards.

use std::io::{self, Read};

use super::listing::{INDEX_TYPE, MANIFEST_TYPE};
use super::{ImageSource, SourceError};
use crate::oci::{Descriptor, Digest, Document};

/// Why a document could not be read, or does not match its descriptor.
#[derive(Debug, thiserror::Error)]
pub enum DocumentReadError {
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error("{0}")]
    Read(io::Error),
    #[error("its descriptor states {size} bytes, but the limit is {limit}")]
    TooLarge { size: u64, limit: u64 },
    #[error("it is longer than the {expected} bytes that its descriptor states")]
    TooLong { expected: u64 },
    #[error("it ends after {found} of the {expected} bytes that its descriptor states")]
    TooShort { expected: u64, found: u64 },
    #[error("its content has a different digest: {found}")]
    WrongDigest { found: Digest },
}

/// Reads the content for `descriptor`, at most `limit` bytes.
pub fn read_document(
    source: &dyn ImageSource,
    descriptor: &Descriptor,
    limit: u64,
) -> Result<Vec<u8>, DocumentReadError> {
    let expected = descriptor.size;
    if expected > limit {
        return Err(DocumentReadError::TooLarge { size: expected, limit });
    }
    let mut bytes = Vec::with_capacity(expected as usize);
    source.open(descriptor)?.take(expected + 1).read_to_end(&mut bytes).map_err(DocumentReadError::Read)?;
    let found = bytes.len() as u64;
    if found > expected {
        return Err(DocumentReadError::TooLong { expected });
    }
    if found < expected {
        return Err(DocumentReadError::TooShort { expected, found });
    }
    let found = descriptor.digest.of_same_algorithm(&bytes);
    if found != descriptor.digest {
        return Err(DocumentReadError::WrongDigest { found });
    }
    Ok(bytes)
}

/// The `mediaType` of an index or manifest, or the type that its structure implies.
pub fn document_type(document: &Document, bytes: &[u8]) -> String {
    stated_type(bytes).unwrap_or_else(|| match document {
        Document::Index(_) => INDEX_TYPE.to_string(),
        Document::Manifest(_) => MANIFEST_TYPE.to_string(),
    })
}

/// The `mediaType` that a JSON document states.
pub fn stated_type(bytes: &[u8]) -> Option<String> {
    let value: serde_json::Value = serde_json::from_slice(bytes).ok()?;
    Some(value.get("mediaType")?.as_str()?.to_string()).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    struct Fixed(&'static [u8]);

    impl ImageSource for Fixed {
        fn root(&self) -> Result<Descriptor, SourceError> {
            Ok(Descriptor::new("", Digest::from_bytes(self.0), self.0.len() as u64))
        }

        fn open(&self, _: &Descriptor) -> Result<Box<dyn Read + Send>, SourceError> {
            Ok(Box::new(Cursor::new(self.0)))
        }
    }

    fn read(bytes: &'static [u8], size: u64, digest: Digest) -> Result<Vec<u8>, DocumentReadError> {
        read_document(&Fixed(bytes), &Descriptor::new("", digest, size), 8)
    }

    #[test]
    fn only_bytes_that_match_the_descriptor_are_accepted() {
        let own = Digest::from_bytes(b"abc");
        assert_eq!(read(b"abc", 3, own.clone()).unwrap(), b"abc");
        assert!(matches!(read(b"abc", 9, own.clone()), Err(DocumentReadError::TooLarge { size: 9, limit: 8 })));
        assert!(matches!(read(b"abcd", 3, own.clone()), Err(DocumentReadError::TooLong { expected: 3 })));
        assert!(matches!(read(b"ab", 3, own.clone()), Err(DocumentReadError::TooShort { expected: 3, found: 2 })));
        assert!(matches!(read(b"abd", 3, own), Err(DocumentReadError::WrongDigest { .. })));
    }
}
