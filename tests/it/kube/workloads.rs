//! `imgarch diagnose` for workloads: the last working revision, jobs, cron jobs, stateful sets and daemon sets.

use imgarch::oci::Digest;
use serde_json::{Value, json};

use super::diagnose::{answers, imgarch, incident, publish, publish_as, text};
use crate::kit::elf::ElfBuilder;
use crate::kit::kube_api::{KubeApi, State};
use crate::kit::registry::FakeRegistry;

fn owned(kind: &str, name: &str, revision: &str, image: &str, rest: Value) -> Value {
    let mut value = json!({
        "metadata": {
            "name": name, "namespace": "shop", "annotations": {"deployment.kubernetes.io/revision": revision},
            "ownerReferences": [{"kind": kind, "name": "checkout"}]
        },
        "spec": {"template": {"spec": {"containers": [{"name": "app", "image": image}]}}}
    });
    for (key, field) in rest.as_object().unwrap() {
        value[key] = field.clone();
    }
    value
}

/// The incident with an earlier revision whose image is healthy.
fn with_history(registry: &FakeRegistry, digest: &Digest, older: &str) -> State {
    let mut state = incident(registry, digest);
    let image = |tag: &str| format!("{}/user/app:{tag}", registry.host);
    let sets = vec![
        owned("Deployment", "checkout-7c9d", "4", &image("v1"), json!({})),
        owned("Deployment", "checkout-5b6c", "3", &image(older), json!({})),
    ];
    state.objects.insert("/apis/apps/v1/replicasets".to_string(), sets);
    state
}

#[test]
fn the_last_good_revision_is_named_by_its_digest() {
    let registry = FakeRegistry::start();
    let good = publish_as(&registry, "v0", &ElfBuilder::arm64().build());
    let bad = publish(&registry, &ElfBuilder::amd64().build());
    let api = KubeApi::start(with_history(&registry, &bad, "v0"));
    let found = answers(&api, &["diagnose", "containerd-pod", "-n", "shop"]);
    let evidence = found[0]["evidence"].to_string();
    for part in ["revision 3 ran", "which starts on m7g.large", "revision 4 introduced", "no program for linux/arm64"] {
        assert!(evidence.contains(part), "missing {part}: {evidence}");
    }
    let set = format!("kubectl -n shop set image deployment/checkout app={}/user/app@{good}", registry.host);
    assert_eq!(found[0]["now"][0], set.as_str());
    assert_eq!(found[0]["now"][1], "kubectl -n shop rollout undo deployment/checkout --to-revision=3");
}

#[test]
fn an_old_pod_that_is_ready_shows_the_former_digest_of_its_tag() {
    let registry = FakeRegistry::start();
    let good = publish(&registry, &ElfBuilder::arm64().build());
    // The same tag was pushed again.
    let bad = publish(&registry, &ElfBuilder::amd64().build());
    let mut state = with_history(&registry, &bad, "v1");
    let old = json!({
        "metadata": {
            "name": "old", "namespace": "shop", "labels": {"app": "checkout", "pod-template-hash": "5b6c"},
            "ownerReferences": [{"kind": "ReplicaSet", "name": "checkout-5b6c"}]
        },
        "spec": {"nodeName": "arm-1", "containers": [{"name": "app", "image": format!("{}/user/app:v1", registry.host)}]},
        "status": {"containerStatuses": [{
            "name": "app", "ready": true, "imageID": format!("{}/user/app@{good}", registry.host), "state": {"running": {}}
        }]}
    });
    state.objects.get_mut("/api/v1/pods").unwrap().push(old);
    let found = answers(&KubeApi::start(state), &["diagnose", "containerd-pod", "-n", "shop"]);
    assert!(found[0]["evidence"].to_string().contains("is ready in another pod and starts on"), "{found:#?}");
    assert!(found[0]["now"][0].as_str().unwrap().ends_with(&format!("app@{good}")), "{found:#?}");
}

#[test]
fn one_tag_for_all_revisions_does_not_identify_older_images() {
    let registry = FakeRegistry::start();
    let bad = publish(&registry, &ElfBuilder::amd64().build());
    let api = KubeApi::start(with_history(&registry, &bad, "v1"));
    let found = answers(&api, &["diagnose", "containerd-pod", "-n", "shop"]);
    assert!(!found[0]["evidence"].to_string().contains("revision"), "{found:#?}");
    assert!(found[0]["now"][0].as_str().unwrap().contains("rollout undo deployment/checkout"), "{found:#?}");
}

#[test]
fn forbidden_revisions_are_reported_and_not_fatal() {
    let registry = FakeRegistry::start();
    let bad = publish(&registry, &ElfBuilder::amd64().build());
    let mut state = with_history(&registry, &bad, "v0");
    state.forbidden.push("/apis/apps/v1/replicasets".to_string());
    let output = imgarch(&KubeApi::start(state), &["diagnose", "containerd-pod", "-n", "shop", "--insecure"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert!(text(&output).contains("note: older revisions of deployment/checkout were not read"), "{}", text(&output));
}

/// The incident's pods, owned by a workload of another kind.
fn with_workload(registry: &FakeRegistry, digest: &Digest, kind: &str, list: &str, spec: Value) -> State {
    let mut state = incident(registry, digest);
    for pod in state.objects.get_mut("/api/v1/pods").unwrap() {
        pod["metadata"]["ownerReferences"] = json!([{"kind": kind, "name": "checkout"}]);
    }
    let object = json!({"metadata": {"name": "checkout", "namespace": "shop"}, "spec": spec});
    state.objects.insert(list.to_string(), vec![object]);
    state
}

#[test]
fn every_kind_of_workload_leads_to_its_pods() {
    let registry = FakeRegistry::start();
    let digest = publish(&registry, &ElfBuilder::amd64().build());
    let selecting = || json!({"selector": {"matchLabels": {"app": "checkout"}}});
    for (kind, list, typed) in [
        ("StatefulSet", "/apis/apps/v1/statefulsets", ["statefulset/checkout", "sts/checkout"]),
        ("DaemonSet", "/apis/apps/v1/daemonsets", ["daemonset/checkout", "ds/checkout"]),
        ("Job", "/apis/batch/v1/jobs", ["job/checkout", "jobs/checkout"]),
    ] {
        let api = KubeApi::start(with_workload(&registry, &digest, kind, list, selecting()));
        for subject in typed {
            let found = answers(&api, &["diagnose", subject, "-n", "shop"]);
            let title = found[0]["subject"].as_str().unwrap();
            assert!(
                title.starts_with(&format!("{}/checkout (3 of 4 pods)", kind.to_lowercase())),
                "{subject}: {title}"
            );
            assert_eq!(found[0]["cause"]["code"], "foreign-architecture", "{subject}");
        }
    }
}

#[test]
fn a_cron_jobs_pods_are_its_jobs() {
    let registry = FakeRegistry::start();
    let digest = publish(&registry, &ElfBuilder::amd64().build());
    let mut state =
        with_workload(&registry, &digest, "Job", "/apis/batch/v1/cronjobs", json!({"schedule": "* * * * *"}));
    let job = |name: &str, owner: &str| json!({"metadata": {"name": name, "namespace": "shop", "ownerReferences": [{"kind": "CronJob", "name": owner}]}});
    let jobs = vec![job("checkout", "checkout"), job("other", "other")];
    state.objects.insert("/apis/batch/v1/jobs".to_string(), jobs);
    let api = KubeApi::start(state);
    let found = answers(&api, &["diagnose", "cronjob/checkout", "-n", "shop"]);
    assert!(found[0]["subject"].as_str().unwrap().starts_with("cronjob/checkout (3 of 4 pods)"), "{found:#?}");
}

#[test]
fn a_cluster_without_failures_is_not_an_error() {
    let registry = FakeRegistry::start();
    let digest = publish(&registry, &ElfBuilder::arm64().build());
    let mut state = incident(&registry, &digest);
    state.objects.get_mut("/api/v1/pods").unwrap().retain(|pod| pod["metadata"]["name"] == "good-pod");
    let output = imgarch(&KubeApi::start(state), &["diagnose", "--failing", "-A"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert!(text(&output).contains("no container of any namespace is failing (pods seen: 1)"), "{}", text(&output));
}
