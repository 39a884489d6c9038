//! Floor 3: what a file is, from a bounded part of its bytes as they pass. Total: no bytes make it fail or panic.

#[cfg(test)]
#[path = "../../tests/support/elf.rs"]
pub(crate) mod elf_builder;
mod kind;

pub use kind::*;
