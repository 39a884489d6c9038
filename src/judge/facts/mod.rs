//! Facts about an image's files: platforms in their names, builds for other platforms next to them, purposes, and how a
//! file is reached. Facts do not produce findings.

pub mod chain;
pub mod installed;
pub mod libraries;
pub mod musl;
pub mod named;
pub mod places;
pub mod programs;
pub mod purpose;
pub mod python;
pub mod reach;
pub mod runtimes;
pub mod searched;
pub mod siblings;
pub mod tokens;
pub mod versions;
pub mod wheel;
