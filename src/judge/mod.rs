//! Floor 4: the verdict. Pure: no I/O, no host, no clock.

pub mod code;
pub mod exec;
pub mod files;
pub mod finding;
pub mod labels;
pub mod outcome;
pub mod programs;
pub mod purpose;
pub mod reach;
pub mod tokens;

pub use exec::{Link, Step, Trace, execve, trace};
pub use outcome::{Cause, Death, Errno, Exec, Outcome};
