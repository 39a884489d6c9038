//! Floor 5: from what failed to why. Messages in, suspects and an answer out; nothing here reads a cluster, a registry or a
//! terminal.

pub mod message;
pub mod pattern;
pub mod recognise;

pub use message::Sign;
pub use recognise::{Symptom, recognise};
