//! Hand-made uses, scans and pods, with the overview that is expected for them.

use super::*;
use crate::exec::messages::MessageSource;
use crate::exec::{Cause, CauseKind, Errno};
use crate::kube::object::{NodeObject, read};
use crate::kube::{Survey, nodes};
use crate::platform::Platform;
use crate::scan::{Problem, TargetReport};
use crate::source::Origin;
use serde_json::{Value, json};

fn node(name: &str, arch: &str) -> NodeObject {
    read(json!({
        "metadata": {"name": name, "labels": {"kubernetes.io/arch": arch}},
        "status": {"nodeInfo": {"architecture": arch, "operatingSystem": "linux", "kernelVersion": "6.12.1"}}
    }))
    .unwrap()
}

/// A pod of the deployment `app` on `node`; `state` is its container's.
fn pod(name: &str, image: &str, node: &str, state: Value) -> PodObject {
    read(json!({
        "metadata": {"name": name, "namespace": "shop", "labels": {"pod-template-hash": "7c9d"},
            "ownerReferences": [{"kind": "ReplicaSet", "name": "app-7c9d"}]},
        "spec": {"nodeName": node, "containers": [{"name": "c", "image": image}]},
        "status": {"containerStatuses": [{"name": "c", "ready": false, "state": state}]}
    }))
    .unwrap()
}

fn crashing() -> Value {
    json!({"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}})
}

fn running() -> Value {
    json!({"running": {}})
}

/// A report of one platform with this outcome on each target.
fn report(name: &str, outcomes: &[(&str, Outcome)], problems: Vec<Problem>) -> ImageReport {
    let target = |(name, outcome): &(&str, Outcome)| TargetReport {
        name: name.to_string(),
        outcome: outcome.clone(),
        steps: Vec::new(),
        shown: Vec::new(),
        undecided: None,
        risks: Vec::new(),
    };
    let platform = PlatformReport {
        promised: Some(Platform::parse("linux/arm64").unwrap()),
        declared: None,
        image: None,
        digest: None,
        layers: Vec::new(),
        entries: 1,
        programs: 1,
        architectures: BTreeMap::new(),
        agreement: crate::judge::labels::Agreement::Fits,
        starts: Vec::new(),
        targets: outcomes.iter().map(target).collect(),
        findings: Vec::new(),
        problems: Vec::new(),
        is_data_only: false,
        named: None,
    };
    ImageReport {
        name: name.into(),
        origin: Origin::Unopened,
        note: None,
        digest: Some(Digest::from_bytes(name.as_bytes())),
        platforms: vec![platform],
        findings: Vec::new(),
        problems,
        skipped: Vec::new(),
        accepted: Vec::new(),
        artifact: None,
    }
}

fn refused() -> Outcome {
    let cause = Cause { kind: CauseKind::ForeignArchitecture, text: "an x86-64 program".into() };
    Outcome::Fails { errno: Errno::ENOEXEC, at: "/app".into(), cause }
}

/// The overview of these pods, with each image's report from `judge`.
fn seen(pods: &[PodObject], judge: impl Fn(&str) -> ImageReport) -> Overview {
    let objects = [node("a1", "arm64"), node("a2", "arm64"), node("x1", "amd64")];
    let nodes = nodes::group(&objects);
    let mut survey = Survey::default();
    pods.iter().for_each(|pod| survey.add_pod(pod, &nodes));
    let uses = survey.uses();
    let reports: Vec<ImageReport> = uses.iter().map(|one| judge(&one.image)).collect();
    overview(&ClusterFacts { uses: &uses, reports: &reports, nodes: &nodes, pods, workloads: 1 })
}

#[test]
fn a_crashing_workload_names_its_nodes_and_its_cause() {
    let pods = [pod("p1", "bad:1", "a1", crashing()), pod("p2", "bad:1", "a2", running())];
    let found = seen(&pods, |name| report(name, &[("linux/arm64", refused())], Vec::new()));
    assert_eq!((found.images, found.healthy, found.troubled, found.unknown), (1, 0, 1, 0));
    let trouble = &found.troubles[0];
    assert_eq!(trouble.why, "/app: an x86-64 program");
    assert_eq!(trouble.places, [NodeGroup { target: "linux/arm64".into(), nodes: vec!["a1".into(), "a2".into()] }]);
    let now = &trouble.now[0];
    assert_eq!((now.state.as_str(), now.failing, now.of, now.pod.as_str()), ("CrashLoopBackOff", 1, 2, "p1"));
    assert_eq!(now.subject, "deployment/app");
    assert!(found.others.is_empty(), "the image explains it");
}

#[test]
fn what_will_fail_comes_after_what_fails_now() {
    let pods = [pod("p1", "will:1", "a1", running()), pod("p2", "now:1", "a1", crashing())];
    // A deployment runs two images during a rollout.
    let found = seen(&pods, |name| report(name, &[("linux/arm64", refused())], Vec::new()));
    let order: Vec<(&str, bool)> = found.troubles.iter().map(|one| (one.image.as_str(), one.now.is_empty())).collect();
    assert_eq!(order, [("now:1", false), ("will:1", true)]);
}

#[test]
fn an_index_without_a_platform_is_reported_for_the_nodes_of_its_target() {
    let pods = [pod("p1", "amd:1", "a1", crashing())];
    let found = seen(&pods, |name| {
        let finding = Finding::new(Code::NoPlatformForTarget, "linux/arm64 finds nothing to run in the index");
        let text = "no match for platform in manifest".to_string();
        let shown = vec![Shown { speaker: MessageSource::Kubelet, frontend: "kubelet".into(), text, exit_code: None }];
        let findings = vec![Finding { target: Some("linux/arm64".into()), shown, ..finding }];
        ImageReport { platforms: Vec::new(), findings, ..report(name, &[], Vec::new()) }
    });
    let trouble = &found.troubles[0];
    assert_eq!(trouble.places, [NodeGroup { target: "linux/arm64".into(), nodes: vec!["a1".into(), "a2".into()] }]);
    assert_eq!(trouble.shown, "no match for platform in manifest");
}

#[test]
fn a_healthy_image_does_not_explain_a_crash() {
    let pods = [pod("p1", "good:1", "x1", crashing())];
    let found = seen(&pods, |name| report(name, &[("linux/amd64", Outcome::Runs)], Vec::new()));
    assert_eq!((found.healthy, found.troubles.len()), (1, 0));
    assert_eq!(found.others[0].used_by, "shop/deployment/app, container c");
}

#[test]
fn what_could_not_be_read_is_neither_healthy_nor_broken() {
    let pods = [pod("p1", "private:1", "a1", running())];
    let found = seen(&pods, |name| ImageReport {
        platforms: Vec::new(),
        digest: None,
        ..report(name, &[], vec![Problem::new("401", Some("log in".into()))])
    });
    assert_eq!((found.healthy, found.troubled, found.unknown), (0, 0, 1));
    assert_eq!((found.untold[0].why.as_str(), found.untold[0].hint.as_deref()), ("401", Some("log in")));
}

#[test]
fn the_same_reason_on_two_groups_is_one_trouble() {
    let pods = [pod("p1", "bad:1", "a1", running()), pod("p2", "bad:1", "x1", running())];
    let outcomes = [("linux/arm64", refused()), ("linux/amd64", refused())];
    let found = seen(&pods, |name| report(name, &outcomes, Vec::new()));
    assert_eq!(found.troubles.len(), 1);
    assert_eq!(found.troubles[0].places.len(), 2);
}

#[test]
fn nodes_on_which_an_image_starts_are_not_listed_with_those_on_which_it_fails() {
    let pods = [pod("p1", "bad:1", "a1", running()), pod("p2", "bad:1", "x1", running())];
    let found = seen(&pods, |name| {
        let mut report = report(name, &[("linux/arm64", refused()), ("linux/amd64", Outcome::Runs)], Vec::new());
        report.platforms[0].findings = vec![Finding::new(Code::EntrypointWrongArch, "the program is for x86-64")];
        report
    });
    let places: Vec<&str> =
        found.troubles.iter().flat_map(|one| &one.places).map(|place| place.target.as_str()).collect();
    assert_eq!(places, ["linux/arm64"]);
}

#[test]
fn what_fails_where_its_image_starts_is_not_explained_by_nodes_on_which_it_would_not() {
    let pods = [pod("p1", "bad:1", "x1", crashing()), pod("p2", "bad:1", "a1", running())];
    let outcomes = [("linux/arm64", refused()), ("linux/amd64", Outcome::Runs)];
    let found = seen(&pods, |name| report(name, &outcomes, Vec::new()));
    assert!(found.troubles.iter().all(|trouble| trouble.now.is_empty()), "{:?}", found.troubles);
    assert_eq!((found.others.len(), found.others[0].is_judged), (1, true));
}

#[test]
fn what_fails_with_an_image_that_could_not_be_judged_is_not_said_to_start() {
    let pods = [pod("p1", "private:1", "a1", crashing())];
    let found = seen(&pods, |name| report(name, &[], vec![Problem::new("401", None)]));
    assert_eq!((found.others.len(), found.others[0].is_judged), (1, false));
}

#[test]
fn a_digest_that_pins_another_platform_is_the_cause() {
    let pods = [pod("p1", "r.example/app@sha256:0", "a1", crashing())];
    let found = seen(&pods, |name| {
        let mut pin =
            Finding::new(Code::DigestPinsPlatform, "the digest pins linux/amd64 only").severity(Severity::Error);
        pin.hint = vec!["pin the index: r.example/app:latest@sha256:1".to_string()];
        ImageReport { findings: vec![pin], ..report(name, &[("linux/arm64", refused())], Vec::new()) }
    });
    let trouble = &found.troubles[0];
    assert_eq!(trouble.why, "the digest pins linux/amd64 only");
    assert_eq!(trouble.act, ["pin the index: r.example/app:latest@sha256:1"]);
}
