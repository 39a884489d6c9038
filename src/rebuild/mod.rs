//! Floor 6: from an image with a fault to one that works everywhere: a plan, `docker buildx`, a scan of what it pushed,
//! and only then the tag. Deciding ([`plan`], [`doctor`], [`machine`]) is apart from running ([`mod@run`], [`mod@survey`]).

pub mod bake;
pub mod docker;
pub mod doctor;
mod emulator;
pub mod machine;
pub mod plan;
pub mod run;
pub mod survey;

pub use docker::{Answer, CommandLine, Docker, ThisMachine};
pub use doctor::{Check, Power, Remedy, State, examine};
pub use machine::Machine;
pub use plan::{BuildSettings, Plan, Published, Recipe, Request};
pub use run::{Done, Event, RebuildError, World, run};
pub use survey::{Kernel, survey};
