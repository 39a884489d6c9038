//! Models how a runtime finds the container's program, and how wrappers, shells and interpreters start the next one.

mod accounts;
mod by_loader;
mod dotnet;
pub(crate) mod follow;
mod frozen;
pub(crate) mod interpret;
mod interpreted;
mod interpreter;
mod java;
pub(crate) mod lookup;
pub(crate) mod made;
mod managers;
mod modules;
mod on_path;
mod perhaps;
mod run_parts;
mod services;
mod shell_calls;
pub(crate) mod shells;
mod sudo;
mod texts;
pub(crate) mod walk;
pub(crate) mod wrapper;
mod written;
mod xargs;
