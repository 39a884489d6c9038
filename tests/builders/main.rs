//! Images that real builders make of one Dockerfile, pushed to a real registry: each foreign file is said to be of its
//! layer, of the step that brought it in, of its line in the Dockerfile, and of the base image where it is its base's.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

#[path = "../support/elf.rs"]
mod elf;
#[path = "../support/engines.rs"]
mod engines;

mod attribution;
mod index;
mod site;
