//! What a program needs of the CPU.

pub(crate) mod notes;
