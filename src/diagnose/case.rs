//! Finds the failing containers of a pod, how each ended, and every message that may explain why. Pure: the caller
//! provides status, events and logs.

use std::time::Duration;

use super::rank::Circumstances;
use crate::kube::object::{ContainerStatus, EventObject, PodObject, Terminated};
use crate::kube::workload::{self, ContainerUse};

/// A container that does not start or does not keep running.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    pub container: ContainerUse,
    /// `repository@sha256:...` as reported by the node. `None` if nothing was pulled or the node reports no repository.
    pub image_by_digest: Option<String>,
    /// The kubelet's reason: `CrashLoopBackOff`, `Error`.
    pub state: String,
    pub restarts: u32,
    pub circumstances: Circumstances,
    /// Messages of its states and of the events about it, one per line.
    pub messages: String,
}

/// Reasons for which a container waits because it cannot run. Source: kubelet, kuberuntime and images packages.
const WAITING: &[&str] = &[
    "CrashLoopBackOff",
    "CreateContainerError",
    "CreateContainerConfigError",
    "RunContainerError",
    "ErrImagePull",
    "ImagePullBackOff",
    "ErrImageNeverPull",
    "InvalidImageName",
    "StartError",
];

/// Containers of `pod` that fail, init containers first.
pub fn failures(pod: &PodObject, events: &[EventObject]) -> Vec<Failure> {
    let statuses = pod
        .status
        .init_container_statuses
        .iter()
        .chain(&pod.status.container_statuses)
        .chain(&pod.status.ephemeral_container_statuses);
    let uses = workload::containers(&pod.spec);
    statuses
        .filter_map(|status| {
            let container = uses.iter().find(|container| container.name == status.name)?;
            failure(status, container, events)
        })
        .collect()
}

fn failure(status: &ContainerStatus, container: &ContainerUse, events: &[EventObject]) -> Option<Failure> {
    let waiting = status.state.waiting.as_ref().filter(|waiting| WAITING.contains(&waiting.reason.as_str()));
    let is_bad = |terminated: &&Terminated| terminated.exit_code != 0 || terminated.reason == "StartError";
    let ended = status.state.terminated.as_ref().filter(is_bad);
    // A container that runs again no longer fails, unless it is not ready.
    let before = status.last_state.terminated.as_ref().filter(is_bad).filter(|_| !status.ready);
    let terminated = ended.or(before);
    if waiting.is_none() && terminated.is_none() {
        return None;
    }
    let field = format!("{{{}}}", status.name);
    let about = |event: &&EventObject| {
        event.involved_object.field_path.as_deref().is_none_or(|path| path.ends_with(&field)) && event.kind != "Normal"
    };
    let stated = [
        waiting.map(|waiting| waiting.message.as_str()),
        ended.map(|terminated| terminated.message.as_str()),
        status.last_state.terminated.as_ref().map(|terminated| terminated.message.as_str()),
    ];
    let mut messages: Vec<&str> = stated.into_iter().flatten().filter(|text| !text.is_empty()).collect();
    messages.extend(events.iter().filter(about).map(|event| event.message.as_str()));
    let circumstances = Circumstances {
        exit_code: terminated.map(|terminated| terminated.exit_code),
        lifetime: terminated.and_then(lifetime),
        has_output: None,
        reason: terminated.map(|terminated| terminated.reason.clone()).filter(|reason| !reason.is_empty()),
        ..Circumstances::default()
    };
    let state = waiting.map(|waiting| waiting.reason.clone());
    Some(Failure {
        container: container.clone(),
        image_by_digest: workload::image_by_digest(&status.image_id),
        state: state.or_else(|| terminated.map(|terminated| terminated.reason.clone())).unwrap_or_default(),
        restarts: status.restart_count,
        circumstances,
        messages: messages.join("\n"),
    })
}

/// How long the container ran, in whole seconds, the resolution of a kubelet's timestamps.
fn lifetime(terminated: &Terminated) -> Option<Duration> {
    let (started, finished) = (terminated.started_at.as_deref()?, terminated.finished_at.as_deref()?);
    let seconds = seconds(finished)?.checked_sub(seconds(started)?)?;
    u64::try_from(seconds).ok().map(Duration::from_secs)
}

/// Seconds from a fixed day to an RFC 3339 time in UTC. `None` for the Unix epoch, which means that the container never
/// started.
fn seconds(time: &str) -> Option<i64> {
    let number = |range: std::ops::Range<usize>| time.get(range)?.parse::<i64>().ok();
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    if year <= 1970 {
        return None;
    }
    // Days since 1 March of year 0. Years start in March, so that the leap day is the last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day;
    Some(days * 86_400 + number(11..13)? * 3600 + number(14..16)? * 60 + number(17..19)?)
}

#[cfg(test)]
#[path = "case_tests.rs"]
mod tests;
