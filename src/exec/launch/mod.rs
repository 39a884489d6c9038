//! How a runtime finds the container's program, and how wrappers, shells and interpreters start the next one.

pub(crate) mod follow;
mod interpreter;
pub(crate) mod lookup;
pub(crate) mod script;
pub(crate) mod shell;
pub(crate) mod shells;
pub(crate) mod wrapper;
