//! Floor 4: the verdict. Pure: no I/O, no host, no clock.

pub mod outcome;

pub use outcome::{Cause, Death, Errno, Exec, Outcome};
