//! The types of the OCI image spec, based on `oci-spec`. Types and parsing only; nothing here fetches.

mod digest;
mod document;
mod reference;

pub use digest::{DiffId, Digest, DigestError, Hasher};
pub use document::{
    Descriptor, Document, DocumentError, Healthcheck, History, ImageConfig, Index, Manifest, REFERENCE_TYPE, RunConfig,
};
pub use reference::{Reference, ReferenceError, without_credentials};
