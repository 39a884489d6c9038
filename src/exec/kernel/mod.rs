//! Models Linux's `execve`, from a path to a program in memory.

pub(crate) mod access;
pub(crate) mod assumed;
pub(crate) mod binfmt;
pub(crate) mod changes;
mod credentials;
pub(crate) mod cwd;
pub(crate) mod elf;
mod exec_error;
pub(crate) mod map;
mod misc;
pub(crate) mod mounts;
mod property;
pub(crate) mod why;
