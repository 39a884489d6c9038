//! Judges the HEALTHCHECK command.

use crate::exec::{self, Exec, OpenedFile, Outcome};
use crate::judge::PlatformCase;
use crate::judge::code::{Code, Severity};
use crate::judge::entry::{self, JudgedCall};
use crate::judge::finding::Finding;

/// The result for a health check.
#[derive(Default)]
pub struct Health {
    pub steps: Vec<OpenedFile>,
    pub finding: Option<Finding>,
}

/// Judges the HEALTHCHECK command; one that cannot run makes a working container unhealthy.
pub fn healthcheck(case: &PlatformCase<'_>) -> Health {
    if case.healthcheck.is_empty() {
        return Health::default();
    }
    let call = Exec { argv: case.healthcheck.to_vec(), ..case.call.clone() };
    let trace = exec::trace(case.rootfs, &call, &case.target.node);
    let (Outcome::Fails { at, cause, .. } | Outcome::Dies { at, cause, .. }) = &trace.outcome else {
        return Health { steps: trace.steps, finding: None };
    };
    let said_by = format!("HEALTHCHECK {}", case.healthcheck.join(" "));
    let start = JudgedCall { call: &call, said_by: &said_by, target: case.target };
    let mut finding =
        Finding::new(Code::HealthcheckFails, format!("the health check cannot run: {at}: {}", cause.text));
    let id = case.rootfs.resolve(at).ok();
    finding.path =
        Some(id.map_or_else(|| at.clone(), |id| String::from_utf8_lossy(&case.rootfs.path(id)).into_owned()));
    finding.layer = id.map(|id| case.rootfs.view(id).layer);
    finding.reached_by = entry::route(&start, &trace.steps);
    if let Some(step) = trace.steps.iter().find(|step| step.path == finding.path) {
        finding.is = step.what.clone();
    }
    // The program exists and cannot start: an error, not a matter of taste.
    if finding.layer.is_some() {
        finding.severity = Severity::Error;
    }
    Health { steps: trace.steps, finding: Some(finding) }
}
