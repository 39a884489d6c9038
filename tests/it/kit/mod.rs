//! Shared by the tests: programs, images, registries, engines, and real calls of execve.

pub mod cases;
pub mod distribution;
pub mod elf;
pub mod engines;
pub mod images;
#[cfg(feature = "kube")]
pub mod kube_api;
pub mod machine;
#[cfg(target_os = "linux")]
pub mod mutant;
pub mod program;
pub mod python;
#[cfg(target_os = "linux")]
pub mod real;
pub mod registry;
mod skipped;
pub mod small;
pub mod soci;
pub mod tree;
#[cfg(feature = "shared-cache")]
pub mod web_store;
