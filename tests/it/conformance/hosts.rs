//! Images from a real registry, from Docker Engine with both of its stores, from containerd and from podman.

use super::*;
use crate::kit::images::{INDEX, MANIFEST};
use crate::kit::machine::{self, Need};

/// Without a registry, and with no other engine than this one.
fn options(engine: &engines::Engine) -> ImageOpener {
    let nowhere = || Some("unix:///nonexistent.sock".to_string());
    let mut engines = EngineSettings { docker_host: nowhere(), container_host: nowhere(), ..EngineSettings::default() };
    if engine.directory.join("containers.conf").exists() {
        engines.container_host = Some(engine.host());
    } else {
        engines.docker_host = Some(engine.host());
    }
    ImageOpener { engines, ..ImageOpener::default() }
}

fn with_registry(options: ImageOpener) -> ImageOpener {
    let client = RegistryClient::new(RegistryOptions::default()).unwrap();
    let opener: RegistryOpener = Box::new(move |reference| Box::new(client.image(reference)) as Box<dyn ImageSource>);
    ImageOpener { registry: Some(opener), ..options }
}

/// Writes a file and returns its path.
fn write(directory: &Path, name: &str, bytes: &[u8]) -> String {
    let path = directory.join(name);
    fs::write(&path, bytes).unwrap();
    path.display().to_string()
}

/// Pushes the sample with all its platforms to a repository of a real registry. Returns its name there. skopeo 1.22
/// would change the index.
fn pushed(sample: &Sample, registry: &engines::Registry, repository: &str) -> String {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::blocking::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
    let url = |rest: &str| format!("http://{}/v2/{repository}/{rest}", registry.address);
    let send = |request: reqwest::blocking::RequestBuilder| request.send().unwrap().error_for_status().unwrap();
    for (digest, bytes) in &sample.blobs {
        let started = send(http.post(url("blobs/uploads/")));
        let mut target = started.url().join(started.headers()["location"].to_str().unwrap()).unwrap();
        target.query_pairs_mut().append_pair("digest", digest.as_str());
        send(http.put(target).body(bytes.clone()));
    }
    let put = |tag: &str, media_type: &str, bytes: &[u8]| {
        let request = http.put(url(&format!("manifests/{tag}")));
        send(request.header("content-type", media_type).body(bytes.to_vec()));
    };
    for image in &sample.images {
        put(Digest::from_bytes(&image.manifest).as_str(), MANIFEST, &image.manifest);
    }
    put("1", INDEX, &sample.index);
    format!("{}/{repository}:1", registry.address)
}

#[test]
fn a_real_registry_gives_the_same_image() {
    let Some(registry) = engines::registry("a_real_registry_gives_the_same_image") else { return };
    let sample = Sample::new(Breadth::Whole);
    let name = pushed(&sample, registry, "conformance");
    let digest = Digest::from_bytes(&sample.index);
    let by_digest = format!("{}@{digest}", name.trim_end_matches(":1"));
    let options = with_registry(ImageOpener::default());
    for text in [name.clone(), format!("docker://{name}"), by_digest, format!("{name}@{digest}")] {
        check(&sample, &text, &options, ("registry", BOTH));
    }
}

#[test]
fn docker_engines_classic_store_gives_the_same_image() {
    let test = "docker_engines_classic_store_gives_the_same_image";
    let Some(docker) = engines::docker(test, engines::Store::Classic) else { return };
    let (sample, directory) = (Sample::new(Breadth::ForDocker), tempfile::tempdir().unwrap());
    docker.docker(&["load", "--input", &write(directory.path(), "saved", &sample.docker_archive(1, SHORT))]);
    let options = options(docker);
    for text in ["docker-daemon:conformance:1", "docker-daemon:docker.io/library/conformance:1", "conformance:1"] {
        check(&sample, text, &options, ("Docker Engine at unix://", &[1]));
    }
    let id = docker.docker(&["image", "inspect", "--format", "{{.Id}}", "conformance:1"]);
    check(&sample, &format!("docker-daemon:{}", id.trim()), &options, ("Docker Engine", &[1]));
    let saved = directory.path().join("saved-again").display().to_string();
    docker.docker(&["save", "--output", &saved, "conformance:1"]);
    check(&sample, &saved, &options, ("docker-archive", &[1]));
    let absent = options.open("docker-daemon:absent:1").unwrap_err();
    assert!(matches!(absent.bare(), SourceError::NotFound { .. }), "{absent}");
}

#[test]
fn docker_engines_containerd_store_and_containerd_itself_give_the_same_image() {
    let test = "docker_engines_containerd_store_and_containerd_itself_give_the_same_image";
    let Some(docker) = engines::docker(test, engines::Store::Containerd) else { return };
    let (sample, directory) = (Sample::new(Breadth::ForDocker), tempfile::tempdir().unwrap());
    let oci = images::archive(&sample.layout_members());
    docker.docker(&["load", "--input", &write(directory.path(), "oci", &oci)]);
    let containerd = Containerd {
        root: docker.directory.join("data/containerd/daemon"),
        address: docker.directory.join("exec/containerd/containerd.sock"),
    };
    let options = ImageOpener { containerd: vec![containerd.clone()], ..options(docker) };
    check(&sample, "docker-daemon:conformance:1", &options, ("Docker Engine at unix://", BOTH));
    let saved = directory.path().join("saved").display().to_string();
    docker.docker(&["save", "--output", &saved, "conformance:1"]);
    check(&sample, &saved, &options, ("docker-archive", BOTH));

    let digest = Digest::from_bytes(&sample.index);
    for name in ["conformance:1", images::NAME, &format!("conformance@{digest}"), digest.as_str()] {
        check(&sample, &format!("containerd:moby/{name}"), &options, ("containerd at", BOTH));
    }
    let absent = options.open("containerd:moby/absent:1").unwrap_err();
    assert!(matches!(absent.bare(), SourceError::NotFound { .. }), "{absent}");
    // If its store cannot be read, containerd itself provides the image.
    let elsewhere = Containerd { root: directory.path().to_path_buf(), ..containerd };
    let options = ImageOpener { containerd: vec![elsewhere], ..options };
    check(&sample, "containerd:moby/conformance:1", &options, ("containerd at", BOTH));
}

#[test]
fn a_platform_that_was_not_pulled_is_not_present() {
    let test = "a_platform_that_was_not_pulled_is_not_present";
    let Some(docker) = engines::docker(test, engines::Store::Containerd) else { return };
    let Some(registry) = engines::registry(test) else { return };
    let sample = Sample::new(Breadth::ForPull);
    let name = pushed(&sample, registry, "pulled");
    let options = options(docker);
    // First only the platform that this machine does not run.
    docker.docker(&["pull", "--quiet", "--platform", "linux/arm64", &name]);
    let (code, report) = scan(&[&format!("docker-daemon:{name}")], &options, Stdio::null());
    let image = &report["images"][0];
    if code == 3 {
        // Docker before version 28 cannot export it.
        let hint = image["problems"][0]["hint"].as_str().unwrap();
        assert!(hint.contains("before version 28") && hint.contains(&format!("docker://{name}")), "{report:#}");
    } else {
        let platforms = image["platforms"].as_array().unwrap();
        let declared: Vec<&Value> = platforms.iter().map(|platform| &platform["declared"]).collect();
        assert_eq!((code, declared.as_slice()), (1, [&json!("linux/arm64")].as_slice()), "{report:#}");
    }
    docker.docker(&["rmi", &name]);
    docker.docker(&["pull", "--quiet", "--platform", "linux/amd64", &name]);
    let opened = options.open(&format!("docker-daemon:{name}")).unwrap();
    let OpenedInput::Stream(stream) = opened.input else { panic!("an engine's export is a stream") };
    let streamed = read_stream(stream.reader, &stream.place, &Limits::default(), &mut visit).unwrap();
    let source = Archive::from_members(streamed.members, &stream.selector).unwrap();
    let selection = select(&source, &Wanted::default()).unwrap();
    let platforms =
        |images: &[Image]| images.iter().map(|image| image.promised.as_ref().unwrap().to_string()).collect::<Vec<_>>();
    assert_eq!(platforms(&selection.images), ["linux/amd64"]);
    let skipped = &selection.skipped[0];
    assert_eq!(skipped.platform.as_ref().unwrap().to_string(), "linux/arm64");
    assert!(matches!(&skipped.why, Why::NotPresent { place } if place.starts_with("Docker Engine")), "{skipped:?}");
}

#[test]
fn podman_gives_the_same_image() {
    let Some(podman) = engines::podman("podman_gives_the_same_image") else { return };
    let (sample, directory) = (Sample::new(Breadth::Whole), tempfile::tempdir().unwrap());
    podman.docker(&["load", "--input", &write(directory.path(), "saved", &sample.docker_archive(1, SHORT))]);
    let options = options(podman);
    for text in ["containers-storage:conformance:1", "conformance:1"] {
        check(&sample, text, &options, ("podman at unix://", &[1]));
    }
    podman.docker(&["tag", "conformance:1", "localhost/own:1"]);
    check(&sample, "containers-storage:own:1", &options, ("podman at unix://", &[1]));
    let saved = directory.path().join("saved-again").display().to_string();
    podman.docker(&["save", "--output", &saved, "conformance:1"]);
    check(&sample, &saved, &options, ("docker-archive", &[1]));
}

#[test]
fn podmans_storage_is_read_by_its_command_if_no_service_runs() {
    let test = "podmans_storage_is_read_by_its_command_if_no_service_runs";
    if !machine::has(test, &[Need::Root, Need::Podman]) || Path::new("/run/podman/podman.sock").exists() {
        return;
    }
    let (sample, directory) = (Sample::new(Breadth::Whole), tempfile::tempdir().unwrap());
    let at = |name: &str| directory.path().join(name).display().to_string();
    let storage = format!("[storage]\ndriver = \"vfs\"\ngraphroot = \"{}\"\nrunroot = \"{}\"\n", at("root"), at("run"));
    let storage = write(directory.path(), "storage.conf", storage.as_bytes());
    let saved = write(directory.path(), "saved", &sample.docker_archive(1, SHORT));
    let in_storage = |program: &str, arguments: &[&str]| {
        let mut command = Command::new(program);
        command.env("CONTAINERS_STORAGE_CONF", &storage).env_remove("CONTAINER_HOST").env_remove("XDG_RUNTIME_DIR");
        command.args(arguments).stdin(Stdio::null()).output().unwrap()
    };
    let loaded = in_storage("podman", &["load", "--input", &saved]);
    assert!(loaded.status.success(), "{}", String::from_utf8_lossy(&loaded.stderr));
    let arguments = ["scan", "--offline", "--format", "json", "containers-storage:conformance:1"];
    let output = in_storage(env!("CARGO_BIN_EXE_imgarch"), &arguments);
    let report = serde_json::from_slice(&output.stdout).unwrap();
    check_report(&(output.status.code().unwrap(), report), arguments[4], &[1]);
    let absent = in_storage(env!("CARGO_BIN_EXE_imgarch"), &["scan", "--offline", "containers-storage:absent:1"]);
    assert_eq!(absent.status.code(), Some(3), "{}", String::from_utf8_lossy(&absent.stdout));
}

#[test]
fn a_name_that_the_registry_lacks_is_read_from_the_engine_with_a_note() {
    let test = "a_name_that_the_registry_lacks_is_read_from_the_engine_with_a_note";
    let Some(docker) = engines::docker(test, engines::Store::Classic) else { return };
    let Some(registry) = engines::registry(test) else { return };
    let (sample, directory) = (Sample::new(Breadth::ForDocker), tempfile::tempdir().unwrap());
    let name = format!("{}/only-local:1", registry.address);
    docker.docker(&["load", "--input", &write(directory.path(), "saved", &sample.docker_archive(0, &name))]);
    let options = with_registry(options(docker));
    let note = options.open(&name).unwrap().note.expect("a note for the user");
    assert!(note.starts_with(&format!("not in the registry {}; read from Docker Engine", registry.address)), "{note}");
    check(&sample, &name, &options, ("Docker Engine", &[0]));
}
