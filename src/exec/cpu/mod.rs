//! What a program needs of the CPU.

pub(crate) mod code;
pub(crate) mod notes;
