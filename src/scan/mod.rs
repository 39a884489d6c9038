//! Floor 5: from what the user named to a report.

pub mod history;
pub mod model;

pub use model::{FailOn, ImageReport, LayerReport, PlatformReport, Problem, Report, StepReport, TargetReport, Verdict};
