//! imgarch
pub mod diagnose;
pub mod host;
pub mod image;
pub mod inspect;
pub mod judge;
pub mod oci;
pub mod platform;
pub mod report;
pub mod scan;
pub mod source;
