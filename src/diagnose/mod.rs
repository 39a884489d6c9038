//! Floor 5: from what failed to why. Messages in, suspects and an answer out; nothing here reads a cluster, a registry or a
//! terminal.

pub mod answer;
#[cfg(feature = "kube")]
pub mod case;
pub mod cause;
#[cfg(feature = "kube")]
pub mod cluster;
#[cfg(feature = "kube")]
mod last_good;
pub mod message;
#[cfg(feature = "kube")]
pub mod overview;
pub mod pattern;
pub mod rank;
pub mod recognise;

pub use answer::{Answer, Evidence, answer};
#[cfg(feature = "kube")]
pub use case::{Failure, failures};
pub use cause::{Likelihood, Names, Suspect};
pub use rank::Circumstances;
pub use recognise::{Symptom, recognise};

/// Reads an image and judges it on these targets, started by this call.
#[cfg(feature = "kube")]
pub type ReadImage<'a> =
    &'a dyn Fn(&str, Vec<crate::platform::Target>, crate::scan::CallOverride) -> crate::scan::ImageReport;

#[cfg(test)]
mod field_tests;
