//! Compares the CPU that a program needs with the node's CPU.

pub(crate) mod code;
pub(crate) mod notes;
