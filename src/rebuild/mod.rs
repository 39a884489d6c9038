//! Repairs a faulty image: makes a plan, builds with `docker buildx`, podman or buildah, scans the pushed manifests and
//! moves the tag last. Decisions ([`plan`], [`doctor`], [`machine`]) are separate from execution ([`mod@run`],
//! [`mod@survey`]).

pub mod bake;
mod command;
pub mod docker;
pub mod doctor;
mod emulator;
mod history;
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
mod service;
mod supply;
pub mod survey;
mod this_machine;
mod tool;

pub use docker::{CommandLine, Docker, ThisMachine};
pub use doctor::{Check, CheckState, Power, Remedy, examine};
pub use history::last_builds;
pub use machine::BuildHost;
pub use prove::prove;
pub use recipe::{BakeChoice, RecipeError, RecipeRequest, option_value, read_recipe};
pub use registry::RegistryTag;
pub use run::{Done, RebuildError, RunEvent, run};
pub use service::{ServiceError, recipe_of};
pub use supply::SupplyError;
pub use survey::{KernelFacts, detect, survey};
pub use this_machine::survey_this_machine;
pub use tool::BuildTool;
