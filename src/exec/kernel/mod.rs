//! Linux's `execve`: from a path to a program in memory.

pub(crate) mod access;
pub(crate) mod binfmt;
mod credentials;
pub(crate) mod cwd;
pub(crate) mod elf;
pub(crate) mod map;
mod misc;
pub(crate) mod mounts;
mod property;
pub(crate) mod why;
