//! Finds out why a container failed: turns messages into suspects and an answer. Only `cluster` and `last_good` read a
//! cluster, through the caller's connection.

mod aftermath;
pub mod answer;
mod baseline;
#[cfg(feature = "kube")]
pub mod case;
pub mod cause;
#[cfg(feature = "kube")]
pub mod cluster;
mod conclusion;
mod exit_code;
pub mod file;
#[cfg(feature = "kube")]
pub mod group;
mod image_name;
#[cfg(feature = "kube")]
mod last_good;
mod line;
mod log_line;
mod log_source;
pub mod message;
pub mod names;
pub mod newest_cpu;
#[cfg(feature = "kube")]
pub mod overview;
mod path_kind;
pub mod pattern;
mod probe;
mod prose;
pub mod rank;
pub mod reader;
pub mod recognise;
mod sentence;
mod spread;
mod step;
pub mod symptom;
pub mod translation;

pub use answer::{Answer, Evidence, answer};
#[cfg(feature = "kube")]
pub use case::{Failure, failures};
pub use cause::Likelihood;
#[cfg(feature = "kube")]
pub use cause::Suspect;
#[cfg(feature = "kube")]
pub use group::{FailingGroup, failing_groups};
pub use names::Names;
pub use pattern::Hole;
pub use rank::Circumstances;
pub use reader::{LIMIT_TEXT, LogContent, read_log, read_text};
#[cfg(feature = "kube")]
pub use recognise::recognise;
pub use symptom::Symptom;

#[cfg(test)]
mod field_tests;
#[cfg(test)]
mod thread_tests;
#[cfg(test)]
mod wrapper_tests;
