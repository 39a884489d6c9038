use std::io::Cursor;

use super::*;
use crate::oci::{Descriptor, Digest};
use crate::source::engine::EngineEndpoint;
use crate::source::engine::testing::engine;

/// A registry that has only `app:1`, and `mirrored:1` through a mirror. Other names fail in different ways.
struct Fake(String);

impl ImageSource for Fake {
    fn root(&self) -> Result<Descriptor, SourceError> {
        let place = "registry".to_string();
        match self.0.as_str() {
            "app:1" | "mirrored:1" => Ok(Descriptor::new("", Digest::from_bytes(b""), 0)),
            "private:1" => Err(SourceError::Denied { name: self.0.clone(), place, cause: "401".to_string() }),
            "far:1" => Err(SourceError::Unreachable { place, cause: "no route".to_string() }),
            "broken:1" => Err(SourceError::Malformed { place, cause: "not JSON".to_string() }),
            _ => Err(SourceError::NotFound { what: "image", name: self.0.clone(), place }),
        }
    }

    fn open(&self, _: &Descriptor) -> Result<Box<dyn Read + Send>, SourceError> {
        Ok(Box::new(Cursor::new(b"")))
    }

    fn mirror(&self) -> Option<String> {
        (self.0 == "mirrored:1").then(|| "near.example".to_string())
    }
}

/// With an engine that has `local:1`, `private:1`, `far:1` and `broken:1`.
fn options() -> (tempfile::TempDir, ImageOpener) {
    let (directory, endpoint) = engine(|path| match path {
        "/_ping" => (200, "", "OK"),
        "/images/local:1/json" | "/images/private:1/json" | "/images/far:1/json" | "/images/broken:1/json" => {
            (200, "", "{}")
        }
        path if path.ends_with("/get") => (200, "", "an archive"),
        _ => (404, "", ""),
    });
    let engines = settings(&endpoint);
    let registry: RegistryOpener = Box::new(|reference| Box::new(Fake(reference.to_string())));
    (directory, ImageOpener { registry: Some(registry), engines, containerd: Vec::new() })
}

/// An engine at `endpoint` and no podman, regardless of this machine.
fn settings(endpoint: &EngineEndpoint) -> EngineSettings {
    EngineSettings {
        docker_host: Some(endpoint.to_string()),
        container_host: Some("unix:///nonexistent/podman.sock".to_string()),
        ..EngineSettings::default()
    }
}

/// `expected`: the first word of the origin, and whether there is a note.
fn check(text: &str, options: &ImageOpener, expected: (&str, bool)) {
    let opened = options.open(text).unwrap();
    let origin = opened.origin.to_string();
    assert_eq!((origin.split(' ').next().unwrap(), opened.note.is_some()), expected, "{text}: {opened:?}");
}

#[test]
fn a_bare_name_is_the_registrys_and_else_an_engines_with_a_note() {
    let (_directory, options) = options();
    check("app:1", &options, ("registry", false));
    check("local:1", &options, ("Docker", true));
    check("private:1", &options, ("Docker", true));
    check("far:1", &options, ("Docker", true));
    let note = options.open("local:1").unwrap().note.unwrap();
    assert!(note.starts_with("not in the registry docker.io; read from Docker Engine at unix://"), "{note}");
}

#[test]
fn an_image_read_through_a_mirror_names_the_mirror() {
    let (_directory, options) = options();
    assert_eq!(options.open("app:1").unwrap().origin.to_string(), "registry docker.io");
    let mirrored = options.open("mirrored:1").unwrap().origin.to_string();
    assert_eq!(mirrored, "registry docker.io through its mirror near.example");
}

#[test]
fn a_broken_image_of_the_registry_is_not_replaced_by_the_engines() {
    let (_directory, options) = options();
    let error = options.open("broken:1").unwrap_err();
    assert!(matches!(error.bare(), SourceError::Malformed { .. }), "{error}");
    assert!(error.hint().unwrap().ends_with("has an image of that name: docker-daemon:broken:1"));
}

#[test]
fn an_image_that_is_nowhere_is_the_registrys_error_with_the_other_places() {
    let (_directory, options) = options();
    let error = options.open("absent:1").unwrap_err();
    assert!(matches!(error.bare(), SourceError::NotFound { .. }), "{error}");
    assert!(error.hint().unwrap().starts_with("it is not in Docker Engine at unix://"), "{error:?}");
}

#[test]
fn a_transport_queries_only_its_own_source() {
    let (_directory, options) = options();
    check("docker-daemon:local:1", &options, ("Docker", false));
    check("docker://app:1", &options, ("registry", false));
    assert!(matches!(options.open("docker://local:1").unwrap_err(), SourceError::NotFound { .. }));
    assert!(matches!(options.open("docker-daemon:app:1").unwrap_err(), SourceError::NotFound { .. }));
}

#[test]
fn offline_no_registry_is_queried() {
    let (_directory, options) = options();
    let options = ImageOpener { registry: None, ..options };
    check("local:1", &options, ("Docker", false));
    for (text, words) in
        [("app:1", "image app:1 was not found in Docker"), ("docker://app:1", "--offline disables access")]
    {
        let error = options.open(text).unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
        assert!(error.hint().unwrap().starts_with("omit --offline"), "{error:?}");
    }
}

#[test]
fn offline_and_without_an_engine_both_are_reported() {
    let nowhere = EngineSettings {
        docker_host: Some("ssh://me@far".to_string()),
        container_host: Some("unix:///nonexistent/podman.sock".to_string()),
        ..EngineSettings::default()
    };
    let options = ImageOpener { engines: nowhere, ..ImageOpener::default() };
    let error = options.open("app:1").unwrap_err();
    let text = error.to_string();
    assert!(
        text.starts_with("the image app:1 could not be reached: --offline disables access to its registry"),
        "{text}"
    );
    assert!(text.contains("podman.sock") && text.contains("ssh://me@far"), "{text}");
    assert!(error.hint().unwrap().contains("omit --offline"), "{error:?}");
}

#[test]
fn a_path_is_recognised_by_its_content() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name).display().to_string();
    let options = ImageOpener::default();
    for name in ["root/usr", "root/etc", "empty", "layout/blobs"] {
        std::fs::create_dir_all(at(name)).unwrap();
    }
    let index = format!(
        r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"","digest":"{}","size":1}}]}}"#,
        Digest::from_bytes(b"x")
    );
    std::fs::write(at("layout/index.json"), &index).unwrap();
    std::fs::write(at("layout/oci-layout"), "{}").unwrap();
    let mut tar = tar::Builder::new(Vec::new());
    tar.append_dir_all(".", at("layout")).unwrap();
    std::fs::write(at("archive"), tar.into_inner().unwrap()).unwrap();
    std::fs::write(at("archive.gz"), [0x1f, 0x8b, 8]).unwrap();
    std::fs::write(at("text"), "text").unwrap();
    let fifo = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, at("pipe"), fifo, 0o600.into(), 0).unwrap();
    let _writer = std::fs::File::options().read(true).write(true).open(at("pipe")).unwrap();

    check(&at("root"), &options, ("root", false));
    check(&format!("rootfs:{}", at("empty")), &options, ("root", false));
    check(&at("layout"), &options, ("OCI", false));
    check(&format!("oci:{}:@0", at("layout")), &options, ("OCI", false));
    check(&at("archive"), &options, ("oci-archive", false));
    check(&format!("oci-archive:{}:@0", at("archive")), &options, ("oci-archive", false));
    check(&at("archive.gz"), &options, ("compressed", false));
    check(&at("pipe"), &options, ("pipe", false));
    check("-", &options, ("standard", false));
    for (name, hint) in [("empty", true), ("text", false)] {
        let error = options.open(&at(name)).unwrap_err();
        assert!(matches!(error.bare(), SourceError::NotAnImage { .. }), "{error}");
        assert_eq!(error.hint().is_some(), hint);
    }
    assert!(matches!(options.open(&at("absent")).unwrap_err(), SourceError::File { .. }));
}

#[test]
fn a_missing_file_is_not_looked_up_in_a_registry() {
    let (_directory, options) = options();
    for text in ["./app:1", "../app", "app.tar", "app.tar.gz"] {
        assert!(matches!(options.open(text).unwrap_err(), SourceError::File { .. }), "{text}");
    }
    let error = options.open("My App").unwrap_err();
    assert!(matches!(error.bare(), SourceError::NotFound { .. }), "{error}");
}

#[test]
fn a_containerd_name_has_a_namespace() {
    let error = ImageOpener::default().open("containerd:app").unwrap_err();
    assert_eq!(error.hint(), Some("containerd:k8s.io/app"));
    let nowhere = Containerd { root: "/nonexistent".into(), address: "/nonexistent/containerd.sock".into() };
    let options = ImageOpener { containerd: vec![nowhere], ..ImageOpener::default() };
    let error = options.open("containerd:k8s.io/app:1").unwrap_err();
    assert!(error.to_string().ends_with("there is no such socket"), "{error}");
}

#[test]
fn an_engine_that_cannot_be_queried_does_not_hide_the_registrys_result() {
    let (_directory, mut options) = options();
    options.engines.docker_host = Some("ssh://me@far".to_string());
    check("app:1", &options, ("registry", false));
    let error = options.open("absent:1").unwrap_err();
    assert!(matches!(error.bare(), SourceError::NotFound { .. }), "{error}");
    assert!(error.hint().unwrap().starts_with("local engines could not be queried"), "{error:?}");
    assert!(matches!(options.open("docker-daemon:app:1").unwrap_err().bare(), SourceError::Unsupported { .. }));
}

#[test]
fn podmans_command_is_used_without_a_service() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let command = directory.path().join("podman");
    let script = "#!/bin/sh\necho 'time=x level=warning msg=old' >&2\n\
                  case \"$1 $2 $4\" in 'image exists localhost/app:1') exit 0;; 'save --format --') echo archive; exit 0;; esac\n\
                  echo 'Error: no such image' >&2; exit 1\n";
    std::fs::write(&command, script).unwrap();
    std::fs::set_permissions(&command, std::fs::Permissions::from_mode(0o755)).unwrap();
    let engines = EngineSettings {
        docker_host: Some(format!("unix://{}/absent.sock", directory.path().display())),
        runtime_folder: Some(directory.path().to_path_buf()),
        podman_command: Some(command.display().to_string()),
        ..EngineSettings::default()
    };
    let registry: RegistryOpener = Box::new(|reference| Box::new(Fake(reference.to_string())));
    let opener = ImageOpener { registry: Some(registry), engines, containerd: Vec::new() };
    let found = opener.open("localhost/app:1");
    if Path::new("/run/podman/podman.sock").exists() {
        // The service is used instead.
        return assert!(found.is_err());
    }
    let found = found.unwrap();
    assert_eq!(found.origin.to_string(), "podman save");
    assert_eq!(found.note.as_deref(), Some("not in the registry localhost; read from podman save"));
    let error = opener.open("localhost/absent:1").unwrap_err();
    assert!(matches!(error.bare(), SourceError::NotFound { .. }), "{error}");
}
