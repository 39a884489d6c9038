//! Floor 5: from what failed to why. Messages in, suspects and an answer out; nothing here reads a cluster, a registry or a
//! terminal.

pub mod answer;
pub mod case;
pub mod cause;
pub mod message;
pub mod overview;
pub mod pattern;
pub mod rank;
pub mod recognise;

pub use answer::{Answer, Evidence, answer};
pub use case::{Failure, failures};
pub use cause::{Likelihood, Names, Suspect};
pub use message::Sign;
pub use overview::{Overview, overview};
pub use rank::{Circumstances, Ranked, rank};
pub use recognise::{Symptom, recognise};

#[cfg(test)]
mod field_tests;
