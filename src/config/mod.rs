//! A project's settings in `.imgarch.toml`, and their effect on a report: severities, accepted findings and a baseline.
//! The module is pure: the caller reads the files and the clock.

mod baseline;
mod date;
mod file;
mod policy;

pub use baseline::Baseline;
pub use date::Date;
pub use file::{ConfigError, ConfigSettings, HostSettings, Ignore, fail_on};
pub use policy::{Policy, apply};

/// The file's name, searched for from the working directory upwards.
pub const FILE_NAME: &str = ".imgarch.toml";
