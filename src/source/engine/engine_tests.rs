use super::testing::engine;
use super::*;

fn docker(path: &str) -> (u16, &'static str, &'static str) {
    match path {
        "/_ping" => (200, "Api-Version: 1.45\r\n", "OK"),
        "/v1.45/images/app:1/json" => (200, "", "{}"),
        "/v1.45/images/app:1/get" => (200, "", "an archive"),
        "/v1.45/images/cut:1/get" => (200, "Transfer-Encoding: chunked\r\n", "5\r\nan ar\r\n"),
        "/v1.45/images/empty:1/get" => (200, "", ""),
        "/v1.45/images/broken/json" => (500, "", r#"{"message":"no space left on device"}"#),
        _ => (404, "", r#"{"message":"No such image"}"#),
    }
}

fn podman(path: &str) -> (u16, &'static str, &'static str) {
    match path {
        "/_ping" => (200, "Api-Version: 1.41\r\nLibpod-API-Version: 4.3.1\r\n", "OK"),
        "/v1.41/images/localhost/app:1/json" => (200, "", "{}"),
        _ => (404, "", ""),
    }
}

#[test]
fn an_image_is_found_and_exported_in_the_engines_own_version() {
    let (_directory, endpoint) = engine(docker);
    let engine = RunningEngine::connect(&endpoint).unwrap();
    assert_eq!(engine.place, format!("Docker Engine at {endpoint}"));
    assert_eq!(engine.find("app:1").unwrap().as_deref(), Some("app:1"));
    let mut bytes = Vec::new();
    engine.export("app:1").unwrap().read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes, b"an archive");
}

#[test]
fn a_missing_image_is_none_and_an_engines_error_is_reported() {
    let (_directory, endpoint) = engine(docker);
    let engine = RunningEngine::connect(&endpoint).unwrap();
    assert_eq!(engine.find("absent").unwrap(), None);
    let error = engine.find("broken").unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("Docker Engine at {endpoint} answered 500 for broken: no space left on device")
    );
}

#[test]
fn podmans_own_names_are_found_below_localhost() {
    let (_directory, endpoint) = engine(podman);
    let engine = RunningEngine::connect(&endpoint).unwrap();
    assert_eq!(engine.place, format!("podman at {endpoint}"));
    assert_eq!(engine.find("app:1").unwrap().as_deref(), Some("localhost/app:1"));
}

/// Docker 28.5 with the containerd store: `docker pull --platform linux/arm64` on an amd64 machine.
fn foreign_only(path: &str) -> (u16, &'static str, &'static str) {
    const INSPECTED: &str = r#"{"Manifests":[
        {"Available":false,"Kind":"image","Descriptor":{"platform":{"architecture":"amd64","os":"linux"}}},
        {"Available":true,"Kind":"image","Descriptor":{"platform":{"architecture":"arm64","os":"linux"}}},
        {"Available":true,"Kind":"attestation","Descriptor":{"platform":{"architecture":"unknown","os":"unknown"}}}]}"#;
    match path {
        "/_ping" => (200, "Api-Version: 1.51\r\n", "OK"),
        "/v1.51/images/app:1/json?manifests=1" => (200, "", INSPECTED),
        "/v1.51/images/app:1/get" => (
            404,
            "",
            r#"{"message":"unable to create manifests file: NotFound: content digest sha256:bb0c: not found"}"#,
        ),
        "/v1.51/images/app:1/get?platform=%7B%22architecture%22%3A%22arm64%22%2C%22os%22%3A%22linux%22%7D" => {
            (200, "", "the arm64 image")
        }
        // Docker's answer to a name with two registries.
        other if other.contains("/localhost/") => (400, "", r#"{"message":"invalid reference format"}"#),
        _ => (404, "", r#"{"message":"No such image"}"#),
    }
}

#[test]
fn the_only_pulled_platform_is_exported() {
    let (_directory, endpoint) = engine(foreign_only);
    let engine = RunningEngine::connect(&endpoint).unwrap();
    let mut bytes = Vec::new();
    engine.export("app:1").unwrap().read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes, b"the arm64 image");
}

#[test]
fn only_podman_is_queried_for_localhost_names_and_only_for_short_ones() {
    let (_directory, endpoint) = engine(foreign_only);
    let docker = RunningEngine::connect(&endpoint).unwrap();
    for name in ["absent:1", "127.0.0.1:5000/absent:1", "docker.io/library/absent"] {
        assert_eq!(docker.find(name).unwrap(), None, "{name}");
    }
    for (name, is_its_own) in [
        ("app", true),
        ("app:1", true),
        ("me/app:1", true),
        ("h:5000/a", false),
        ("quay.io/a", false),
        ("localhost/a", false),
    ] {
        assert_eq!(is_short(name), is_its_own, "{name}");
    }
}

#[test]
fn a_name_cannot_become_another_request() {
    let (_directory, endpoint) = engine(docker);
    let engine = RunningEngine::connect(&endpoint).unwrap();
    for name in ["../containers", "a?x=1", "a b", "a#b", "a%2e", "", "/a", "a//b"] {
        assert!(matches!(engine.find(name), Err(SourceError::Unsupported { .. })), "{name}");
    }
}

#[test]
fn a_socket_without_a_listener_is_unreachable_with_a_hint() {
    let directory = tempfile::tempdir().unwrap();
    let error = RunningEngine::connect(&EngineEndpoint::Unix(directory.path().join("absent.sock"))).unwrap_err();
    assert!(matches!(error.bare(), SourceError::Unreachable { .. }), "{error}");
    assert_eq!(error.hint(), Some("is the engine running? docker info"));
    let error =
        RunningEngine::connect(&EngineEndpoint::Unix(directory.path().join("podman-is-here/docker.sock"))).unwrap_err();
    assert_eq!(error.hint(), Some("is the engine running? docker info"));
    let error = RunningEngine::connect(&EngineEndpoint::Unix(directory.path().join("podman/podman.sock"))).unwrap_err();
    assert_eq!(error.hint(), Some("is podman's service running? systemctl --user start podman.socket"));
}

#[test]
fn an_interrupted_or_empty_export_is_an_error() {
    let (_directory, endpoint) = engine(docker);
    let engine = RunningEngine::connect(&endpoint).unwrap();
    let read = |name: &str| engine.export(name).unwrap().read_to_end(&mut Vec::new()).unwrap_err().to_string();
    let cut = read("cut:1");
    assert!(cut.starts_with("its export was interrupted: ") && !cut.contains("request or response body"), "{cut}");
    assert_eq!(read("empty:1"), "its export is empty");
}
