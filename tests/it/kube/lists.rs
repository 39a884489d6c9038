//! Lists over real HTTP: pages, expired tokens, selectors, and forbidden lists.

use std::path::PathBuf;
use std::time::Duration;

use imgarch::kube::{Cluster, ClusterAccess, KubeError, Scope};
use serde_json::{Value, json};

use crate::kit::kube_api::{Endless, KubeApi, State};

/// A kubeconfig without credentials for this server. It exists as long as the directory.
pub fn kubeconfig(url: &str) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config");
    let text = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "here",
        "clusters": [{"name": "c", "cluster": {"server": url}}],
        "users": [{"name": "u", "user": {}}],
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u", "namespace": "shop"}}]
    });
    std::fs::write(&path, text.to_string()).unwrap();
    (directory, path)
}

pub fn connect(api: &KubeApi) -> Cluster {
    let (_directory, path) = kubeconfig(&api.url);
    Cluster::connect(&ClusterAccess::Kubeconfig { files: vec![path], context: None }).unwrap()
}

fn node(name: &str) -> Value {
    json!({
        "metadata": {"name": name, "labels": {"kubernetes.io/os": "linux"}},
        "status": {"nodeInfo": {"architecture": "arm64", "operatingSystem": "linux"}}
    })
}

fn pod(namespace: &str, name: &str, app: &str) -> Value {
    json!({
        "metadata": {"name": name, "namespace": namespace, "labels": {"app": app}},
        "spec": {"containers": [{"name": "a", "image": "a:1"}]}
    })
}

fn nodes(count: usize) -> State {
    let nodes = (0..count).map(|number| node(&format!("n{number}"))).collect();
    State { objects: [("/api/v1/nodes".to_string(), nodes)].into(), page: 2, ..State::default() }
}

#[test]
fn a_list_is_read_page_by_page() {
    let api = KubeApi::start(nodes(5));
    let nodes = connect(&api).nodes().unwrap();
    assert_eq!(
        nodes.iter().map(|node| node.metadata.name.as_str()).collect::<Vec<_>>(),
        ["n0", "n1", "n2", "n3", "n4"]
    );
    let seen = api.seen();
    assert_eq!(seen.len(), 3);
    assert!(seen[0].path.contains("limit=500") && seen[2].path.contains("continue=4"), "{seen:?}");
}

#[test]
fn an_expired_continue_token_restarts_the_list() {
    let api = KubeApi::start(State { gone: 1, ..nodes(5) });
    assert_eq!(connect(&api).nodes().unwrap().len(), 5);
    assert_eq!(api.seen().len(), 5, "one page, a 410 response, then three pages");
}

#[test]
fn a_list_that_never_settles_is_given_up() {
    let api = KubeApi::start(State { gone: 100, ..nodes(5) });
    let error = connect(&api).nodes().unwrap_err();
    assert!(matches!(&error, KubeError::ListExpired { what, .. } if what == "nodes"), "{error}");
}

#[test]
fn a_list_without_an_end_is_given_up() {
    let api = KubeApi::start(State { endless: Endless::SameToken, ..nodes(1) });
    let error = connect(&api).nodes().unwrap_err();
    assert!(matches!(&error, KubeError::Malformed { what, .. } if what == "nodes"), "{error}");
    assert_eq!(api.seen().len(), 2);
    let api = KubeApi::start(State { endless: Endless::NewToken, ..nodes(1) });
    let error = connect(&api).nodes().unwrap_err();
    assert!(matches!(&error, KubeError::ListTooLong { what, .. } if what == "nodes"), "{error}");
}

#[test]
fn forbidden_lists_are_reported_and_the_others_are_read() {
    let mut state = nodes(1);
    state.objects.insert("/apis/apps/v1/deployments".to_string(), vec![pod("shop", "d", "x")]);
    for list in
        ["/apis/apps/v1/statefulsets", "/apis/apps/v1/daemonsets", "/apis/batch/v1/cronjobs", "/apis/batch/v1/jobs"]
    {
        state.objects.insert(list.to_string(), Vec::new());
    }
    state.forbidden = vec!["/api/v1/nodes".to_string(), "/apis/batch/v1/jobs".to_string()];
    let api = KubeApi::start(state);
    let cluster = connect(&api);
    let error = cluster.nodes().unwrap_err();
    assert!(error.is_forbidden() && error.to_string().contains("cannot list resource \"nodes\""), "{error}");
    assert!(error.hint().is_some());
    let listed = cluster.workloads(&Scope::default(), |value| value);
    let forbidden: Vec<&str> = listed
        .iter()
        .filter(|(_, list)| list.as_ref().is_err_and(KubeError::is_forbidden))
        .map(|(name, _)| *name)
        .collect();
    assert_eq!(forbidden, ["jobs"]);
    let deployments = listed.iter().find(|(name, _)| *name == "deployments").unwrap().1.as_ref().unwrap();
    assert_eq!(deployments[0]["kind"], "Deployment");
}

#[test]
fn namespaces_and_selectors_narrow_a_list() {
    let pods = vec![pod("shop", "a", "web"), pod("shop", "b", "db"), pod("bank", "c", "web")];
    let api = KubeApi::start(State { objects: [("/api/v1/pods".to_string(), pods)].into(), ..State::default() });
    let cluster = connect(&api);
    let names =
        |scope: Scope| cluster.pods(&scope).unwrap().into_iter().map(|pod| pod.metadata.name).collect::<Vec<_>>();
    assert_eq!(names(Scope::default()), ["a", "b", "c"]);
    assert_eq!(names(Scope { namespace: Some("shop".into()), selector: None }), ["a", "b"]);
    assert_eq!(names(Scope { namespace: None, selector: Some("app=web".into()) }), ["a", "c"]);
}

#[test]
fn a_missing_object_and_an_unreachable_server_are_distinguished() {
    let api = KubeApi::start(State { objects: [("/api/v1/pods".to_string(), Vec::new())].into(), ..State::default() });
    let error = connect(&api).pod("shop", "gone").unwrap_err();
    assert!(matches!(&error, KubeError::NotFound { what, .. } if what == "pod shop/gone"), "{error}");
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (_directory, path) = kubeconfig(&format!("http://127.0.0.1:{port}"));
    let cluster = Cluster::connect(&ClusterAccess::Kubeconfig { files: vec![path], context: None }).unwrap();
    assert!(matches!(cluster.nodes(), Err(KubeError::Unreachable { .. })));
}

#[test]
fn config_maps_are_requested_several_at_once_and_one_time_each() {
    let (mut pods, mut maps) = (Vec::new(), Vec::new());
    for number in 0..40 {
        let mut pod = pod("shop", &format!("p{number}"), "x");
        pod["spec"]["containers"][0]["envFrom"] = json!([{"configMapRef": {"name": format!("c{}", number % 30)}}]);
        pods.push(pod);
        let name = format!("c{number}");
        maps.push(json!({"metadata": {"name": name, "namespace": "shop"}, "kind": "ConfigMap", "data": {"N": name}}));
    }
    let objects = [("/api/v1/pods".to_string(), pods), ("/api/v1/configmaps".to_string(), maps)].into();
    let api = KubeApi::start(State { objects, delay: Duration::from_millis(20), ..State::default() });
    let pods = connect(&api).pods(&Scope::default()).unwrap();
    let value = |number: usize| pods[number].spec.containers[0].env_from[0].values.as_ref().unwrap()["N"].clone();
    assert_eq!((value(0), value(29), value(35)), ("c0".to_string(), "c29".to_string(), "c5".to_string()));
    assert_eq!(api.seen().iter().filter(|seen| seen.path.contains("/configmaps/")).count(), 30);
    assert!((2..=16).contains(&api.most_at_once()), "{} at once", api.most_at_once());
}
