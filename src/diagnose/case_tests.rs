//! Pods in the form that kubelets on containerd, CRI-O and Docker report.

use super::*;
use crate::kube::object::read;
use serde_json::{Value, json};

fn pod(status: Value) -> PodObject {
    read(json!({
        "metadata": {"name": "app-1", "namespace": "shop"},
        "spec": {"nodeName": "n1", "containers": [{"name": "app", "image": "registry.example.com/user/app:1", "command": ["/app"]}]},
        "status": {"phase": "Running", "containerStatuses": [status]}
    }))
    .unwrap()
}

fn one(status: Value, events: &[EventObject]) -> Failure {
    let mut found = failures(&pod(status), events);
    assert_eq!(found.len(), 1);
    found.remove(0)
}

fn crash_loop(exit_code: i32, image_id: &str) -> Value {
    json!({
        "name": "app", "image": "registry.example.com/user/app:1", "imageID": image_id, "ready": false, "restartCount": 7,
        "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 5m0s restarting failed container=app pod=app-1_shop(1)"}},
        "lastState": {"terminated": {
            "exitCode": exit_code, "reason": "Error", "startedAt": "2026-02-28T23:59:59Z", "finishedAt": "2026-03-01T00:00:00Z"
        }}
    })
}

#[test]
fn a_crash_loop_has_its_exit_code_and_lifetime() {
    let digest = "sha256:9f2c4176e0a5b3d6c1f80b2f4a7e9d3c5b1a0f8e7d6c5b4a3928170655443322";
    let failure = one(crash_loop(255, &format!("registry.example.com/user/app@{digest}")), &[]);
    assert_eq!(failure.circumstances.exit_code, Some(255));
    assert_eq!(failure.circumstances.lifetime, Some(Duration::from_secs(1)), "over the end of February");
    assert_eq!(failure.image_by_digest.unwrap(), format!("registry.example.com/user/app@{digest}"));
    assert_eq!((failure.state.as_str(), failure.restarts), ("CrashLoopBackOff", 7));
}

#[test]
fn image_ids_of_every_runtime_are_read() {
    for (image_id, expected) in [
        ("registry.example.com/user/app@sha256:12", Some("registry.example.com/user/app@sha256:12")),
        ("docker-pullable://user/app@sha256:12", Some("user/app@sha256:12")),
        ("docker://sha256:12", None),
        ("sha256:12", None),
        ("", None),
    ] {
        assert_eq!(one(crash_loop(1, image_id), &[]).image_by_digest.as_deref(), expected, "{image_id}");
    }
}

#[test]
fn a_start_error_of_containerd_and_a_create_error_of_crio_keep_their_messages() {
    let containerd = one(
        json!({"name": "app", "restartCount": 1, "state": {"waiting": {"reason": "RunContainerError", "message": "failed to create containerd task: exec: \"/app\": stat /app: no such file or directory: unknown"}},
            "lastState": {"terminated": {"exitCode": 128, "reason": "StartError", "message": "exec: \"/app\": stat /app: no such file or directory", "startedAt": "1970-01-01T00:00:00Z", "finishedAt": "2026-03-01T00:00:00Z"}}}),
        &[],
    );
    assert_eq!(containerd.circumstances.exit_code, Some(128));
    assert_eq!(containerd.circumstances.lifetime, None, "it never started");
    assert_eq!(containerd.messages.lines().count(), 2);
    let crio = one(
        json!({"name": "app", "state": {"waiting": {"reason": "CreateContainerError", "message": "container create failed: executable file `/app` not found"}}}),
        &[],
    );
    assert_eq!((crio.circumstances.exit_code, crio.state.as_str()), (None, "CreateContainerError"));
}

#[test]
fn only_events_about_the_container_are_used() {
    let event = |kind: &str, field: Option<&str>, message: &str| -> EventObject {
        read(json!({"type": kind, "message": message, "involvedObject": {"fieldPath": field}})).unwrap()
    };
    let events = [
        event("Warning", Some("spec.containers{app}"), "of app"),
        event("Warning", Some("spec.containers{other}"), "of another"),
        event("Warning", None, "of the pod"),
        event("Normal", Some("spec.containers{app}"), "Pulled"),
    ];
    let failure = one(crash_loop(1, ""), &events);
    assert!(failure.messages.ends_with("of app\nof the pod"), "{}", failure.messages);
}

#[test]
fn running_waiting_and_completed_containers_are_not_failures() {
    for status in [
        json!({"name": "app", "ready": true, "state": {"running": {}}, "lastState": {"terminated": {"exitCode": 1, "reason": "Error"}}}),
        json!({"name": "app", "state": {"terminated": {"exitCode": 0, "reason": "Completed"}}}),
        json!({"name": "app", "state": {"waiting": {"reason": "ContainerCreating"}}}),
    ] {
        assert_eq!(failures(&pod(status.clone()), &[]), [], "{status}");
    }
}
