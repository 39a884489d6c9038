//! Repairs a faulty image: makes a plan, builds with `docker buildx`, scans the pushed manifests and moves the tag
//! last. Decisions ([`plan`], [`doctor`], [`machine`]) are separate from execution ([`mod@run`], [`mod@survey`]).

pub mod bake;
mod command;
pub mod docker;
pub mod doctor;
mod emulator;
mod layout;
pub mod machine;
pub mod plan;
mod prove;
pub mod published;
mod recipe;
mod registry;
mod request;
pub mod run;
pub mod seals;
mod supply;
pub mod survey;
mod this_machine;

pub use docker::{Docker, ThisMachine};
pub use doctor::{Check, Power, Remedy, State, examine};
pub use machine::Machine;
pub use prove::prove;
pub use recipe::{RecipeError, RecipeRequest, option_value, read_recipe};
pub use registry::RegistryTag;
pub use run::{Done, Event, RebuildError, run};
pub use supply::RegistryError;
pub use survey::{Kernel, survey};
pub use this_machine::survey_this_machine;
