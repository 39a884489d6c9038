//! Floor 6: what a project says of itself in `.imgarch.toml`, and what follows of it for a report: severities, findings
//! that are accepted, a baseline. Pure: files are read and the clock is asked a floor above.

mod baseline;
mod date;
mod file;
mod policy;

pub use baseline::Baseline;
pub use date::Date;
pub use file::{Config, ConfigError, HostSettings, Ignore, fail_on};
pub use policy::{Policy, apply};

/// The file's name, looked for from the working directory upwards.
pub const FILE_NAME: &str = ".imgarch.toml";
