//! One image through every source: whatever the form in which it lies, and whichever engine hands it out, the files,
//! their kinds, modes and owners, and the config are the same; and `imgarch scan` finds the incident in it, with the
//! layer and the build step that brought it.

#[path = "support/elf.rs"]
mod elf;
#[path = "support/engines.rs"]
mod engines;
#[path = "support/images.rs"]
mod images;

use std::collections::HashMap;
use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use imgarch::image::{
    Contents, Entry, Image, Limits, NodeKind, RootFs, Wanted, Why, merge, read_directory, read_layer, read_stream,
    select,
};
use imgarch::oci::Digest;
use imgarch::source::archive::{Archive, Members};
use imgarch::source::containerd::Containerd;
use imgarch::source::engine::EngineSettings;
use imgarch::source::input::{Input, OpenOptions, Opened, RegistryOpener, open};
use imgarch::source::registry::{Client, RegistryOptions};
use imgarch::source::rootfs_dir::Mounts;
use imgarch::source::{Source, SourceError};

use serde_json::{Value, json};

use images::{Breadth, PLATFORMS, SHORT, Sample, expected};

/// What a reader finds in one platform's image.
#[derive(Debug, PartialEq, Eq)]
struct Observed {
    platform: String,
    config: String,
    lines: Vec<String>,
}

/// A file's content, as the test's fact.
fn visit(_: &Entry<'_>, content: &mut dyn Read) -> Option<String> {
    let mut bytes = Vec::new();
    content.read_to_end(&mut bytes).unwrap();
    Some(Digest::of(&bytes).short())
}

fn lines(rootfs: &RootFs<String>) -> Vec<String> {
    let mut lines: Vec<String> = rootfs
        .all()
        .filter(|file| file.id != rootfs.root() && file.kind != NodeKind::Gone)
        .map(|file| {
            let path = String::from_utf8(rootfs.path(file.id)).unwrap();
            let (kind, rest) = match file.kind {
                NodeKind::File => ("file", file.fact.cloned().expect("every file was visited")),
                NodeKind::Directory => ("folder", "-".to_string()),
                NodeKind::Symlink => ("symlink", String::from_utf8(file.target.to_vec()).unwrap()),
                _ => ("special", "-".to_string()),
            };
            let path = path.trim_start_matches('/');
            format!("{path} {kind} {:o} {}:{} {} {rest}", file.mode, file.uid, file.gid, file.size)
        })
        .collect();
    lines.sort();
    lines
}

/// Reads all that `opened` leads to, by the way that its kind asks for.
fn observe(opened: Opened) -> Vec<Observed> {
    let limits = Limits::default();
    let of = |source: &dyn Source, layer: &mut dyn FnMut(&Image, usize) -> Arc<Contents<String>>| {
        let selection = select(source, &Wanted::default()).unwrap();
        assert!(selection.broken.is_empty(), "{:?}", selection.broken);
        let observed = selection.images.iter().map(|image| {
            let layers: Vec<_> = (0..image.layers.len()).map(|index| layer(image, index)).collect();
            let platform = image.declared.as_ref().expect("the config names its platform").to_string();
            Observed { platform, config: image.config_digest.to_string(), lines: lines(&merge(layers)) }
        });
        observed.collect::<Vec<_>>()
    };
    match opened.input {
        Input::Image(source) => of(&*source, &mut |image, index| {
            Arc::new(read_layer(&*source, &image.layers[index], &limits, &mut visit).unwrap().contents)
        }),
        Input::Stream(stream) => {
            let mut streamed = read_stream(stream.reader, &stream.place, &limits, &mut visit).unwrap();
            let members = std::mem::replace(&mut streamed.members, Members::passing(&stream.place));
            let source = Archive::of(members, &stream.selector).unwrap();
            // A layer that two platforms share is handed out once.
            let mut taken: HashMap<Digest, Arc<Contents<String>>> = HashMap::new();
            of(&source, &mut |image, index| {
                let layer = &image.layers[index];
                let key = layer.descriptor.digest.clone();
                taken.entry(key).or_insert_with(|| Arc::new(streamed.take(layer).unwrap().contents)).clone()
            })
        }
        Input::Directory(path) => {
            let read = read_directory(&path, Mounts::Followed, &limits, &mut visit).unwrap();
            assert!(read.is_whole && read.walked.unread.is_empty(), "{:?}", read.walked);
            let rootfs = merge([Arc::new(read.contents)]);
            vec![Observed { platform: String::new(), config: String::new(), lines: lines(&rootfs) }]
        }
    }
}

/// What the sample's platforms must look like.
fn wanted(sample: &Sample, platforms: &[usize]) -> Vec<Observed> {
    let of = |platform: &usize| Observed {
        platform: format!("linux/{}", PLATFORMS[*platform]),
        config: sample.config_digest(*platform),
        lines: expected(PLATFORMS[*platform]),
    };
    platforms.iter().map(of).collect()
}

const BOTH: &[usize] = &[0, 1];

/// `text` leads to the sample's `platforms`, and is said to be read from `origin`.
fn check(sample: &Sample, text: &str, options: &OpenOptions, (origin, platforms): (&str, &[usize])) {
    let opened = open(text, options).unwrap_or_else(|error| panic!("{text}: {error} ({:?})", error.hint()));
    assert!(opened.origin.starts_with(origin), "{text} is read from {}", opened.origin);
    let (found, wanted) = (observe(opened), wanted(sample, platforms));
    for (found, wanted) in found.iter().zip(&wanted) {
        assert_eq!(found, wanted, "{text}");
    }
    assert_eq!(found.len(), wanted.len(), "{text}");
    let report = scan(&[text], options, Stdio::null());
    check_report(&report, text, platforms);
}

/// The report of `imgarch scan`, which finds by its environment and flags what `options` have, with the exit code.
fn scan(arguments: &[&str], options: &OpenOptions, input: Stdio) -> (i32, Value) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_imgarch"));
    command.args(["scan", "--format", "json"]).args(arguments).stdin(input);
    for name in ["DOCKER_CONTEXT", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH", "XDG_RUNTIME_DIR", "CONTAINERD_ADDRESS"] {
        command.env_remove(name);
    }
    command.env("DOCKER_CONFIG", "/nonexistent");
    let nowhere = "unix:///nonexistent.sock";
    command.env("DOCKER_HOST", options.engines.docker_host.as_deref().unwrap_or(nowhere));
    command.env("CONTAINER_HOST", options.engines.container_host.as_deref().unwrap_or(nowhere));
    if options.registry.is_none() {
        command.arg("--offline");
    }
    if let Some(containerd) = options.containerd.first() {
        command.arg("--containerd-root").arg(&containerd.root).arg("--containerd-address").arg(&containerd.address);
    }
    let output = command.output().unwrap();
    let report = serde_json::from_slice(&output.stdout);
    let report =
        report.unwrap_or_else(|error| panic!("{arguments:?}: {error} {}", String::from_utf8_lossy(&output.stderr)));
    (output.status.code().unwrap(), report)
}

/// The arm64 image is refused for what its third layer brought, the amd64 image is fine.
fn check_report((code, report): &(i32, Value), text: &str, platforms: &[usize]) {
    assert_eq!(*code, if platforms.contains(&1) { 1 } else { 0 }, "{text}: {report:#}");
    let all = report["images"][0]["platforms"].as_array().unwrap();
    assert_eq!(all.len(), platforms.len(), "{text}: {report:#}");
    for (found, wanted) in all.iter().zip(platforms) {
        assert_eq!(found["declared"], format!("linux/{}", PLATFORMS[*wanted]), "{text}");
        let first = &found["findings"][0];
        if *wanted == 1 {
            assert_eq!((&first["code"], &first["path"]), (&json!("entrypoint-wrong-arch"), &json!("/app")), "{text}");
            let layer = (&first["layer"]["index"], &first["layer"]["step"]);
            assert_eq!(layer, (&json!(2), &json!("step 2")), "{text}");
            assert!(!first["hint"].as_array().unwrap().is_empty(), "{text}");
        } else {
            assert_ne!(first["severity"], "error", "{text}");
        }
    }
}

#[test]
fn every_form_on_disk_gives_the_same_image() {
    let (sample, folder, options) = (Sample::new(Breadth::Whole), tempfile::tempdir().unwrap(), OpenOptions::default());
    let at = |name: &str| folder.path().join(name).display().to_string();
    for name in ["layout", "dir"] {
        fs::create_dir(at(name)).unwrap();
    }
    sample.write_layout(Path::new(&at("layout")));
    sample.write_dir(Path::new(&at("dir")));
    let oci = images::archive(&sample.layout_members());
    let files = [
        ("oci.tar", oci.clone()),
        ("oci.tar.gz", images::gzip(&oci)),
        ("oci.tar.zst", images::zstd(&oci)),
        ("old", sample.docker_archive(1, SHORT)),
        ("old.gz", images::gzip(&sample.docker_archive(1, SHORT))),
        ("new", sample.new_docker_archive(1)),
        ("new.zst", images::zstd(&sample.new_docker_archive(1))),
    ];
    for (name, bytes) in files {
        fs::write(at(name), bytes).unwrap();
    }
    let cases: [(String, &str, &[usize]); 16] = [
        (at("layout"), "OCI layout", BOTH),
        (format!("oci:{}", at("layout")), "OCI layout", BOTH),
        (format!("oci:{}:1", at("layout")), "OCI layout", BOTH),
        (format!("oci:{}:{SHORT}", at("layout")), "OCI layout", BOTH),
        (format!("oci:{}:{}", at("layout"), Digest::of(&sample.index)), "OCI layout", BOTH),
        (at("oci.tar"), "oci-archive", BOTH),
        (format!("oci-archive:{}:1", at("oci.tar")), "oci-archive", BOTH),
        (at("oci.tar.gz"), "compressed image archive", BOTH),
        (format!("oci-archive:{}:1", at("oci.tar.zst")), "compressed image archive", BOTH),
        (at("old"), "docker-archive", &[1]),
        (format!("docker-archive:{}:{SHORT}", at("old")), "docker-archive", &[1]),
        (at("old.gz"), "compressed image archive", &[1]),
        (at("new"), "docker-archive", BOTH),
        (format!("docker-archive:{}:{SHORT}", at("new.zst")), "compressed image archive", BOTH),
        (at("dir"), "directory of blobs", BOTH),
        (format!("dir:{}", at("dir")), "directory of blobs", BOTH),
    ];
    for (text, origin, platforms) in &cases {
        check(&sample, text, &options, (origin, platforms));
    }
    for (name, platforms) in [("oci.tar", BOTH), ("oci.tar.zst", BOTH), ("old", &[1]), ("old.gz", &[1]), ("new", BOTH)]
    {
        let input = fs::File::open(at(name)).unwrap();
        check_report(&scan(&["-"], &options, input.into()), &format!("- < {name}"), platforms);
    }
}

#[test]
fn an_unpacked_root_file_system_holds_the_same_files() {
    let (sample, folder) = (Sample::new(Breadth::Whole), tempfile::tempdir().unwrap());
    sample.write_tree("arm64", folder.path());
    // Only root can give files away.
    let without_owner = |lines: &[String]| -> Vec<String> {
        let is_root = fs::metadata(folder.path().join("home"))
            .is_ok_and(|home| std::os::unix::fs::MetadataExt::uid(&home) == 1000);
        let strip = |line: &String| {
            line.split(' ')
                .enumerate()
                .filter(|(at, _)| is_root || *at != 3)
                .map(|(_, word)| word)
                .collect::<Vec<_>>()
                .join(" ")
        };
        lines.iter().map(strip).collect()
    };
    let root = folder.path().display().to_string();
    for text in [root.clone(), format!("rootfs:{root}")] {
        let found = observe(open(&text, &OpenOptions::default()).unwrap());
        assert_eq!(without_owner(&found[0].lines), without_owner(&expected("arm64")));
    }
    let options = OpenOptions::default();
    for (target, code) in [("linux/arm64", 1), ("linux/amd64", 0)] {
        let arguments = [&root, "--entrypoint", "/app", "--target", target];
        let (found, report) = scan(&arguments, &options, Stdio::null());
        assert_eq!(found, code, "{report:#}");
    }
}

/// Without a registry, and with no engine but this one.
fn options(engine: &engines::Engine) -> OpenOptions {
    let nowhere = || Some("unix:///nonexistent.sock".to_string());
    let mut engines = EngineSettings { docker_host: nowhere(), container_host: nowhere(), ..EngineSettings::default() };
    if engine.folder.join("containers.conf").exists() {
        engines.container_host = Some(engine.host());
    } else {
        engines.docker_host = Some(engine.host());
    }
    OpenOptions { engines, ..OpenOptions::default() }
}

fn with_registry(options: OpenOptions) -> OpenOptions {
    let client = Client::new(RegistryOptions::default()).unwrap();
    let opener: RegistryOpener = Box::new(move |reference| Box::new(client.image(reference)) as Box<dyn Source>);
    OpenOptions { registry: Some(opener), ..options }
}

/// Writes a file and gives its path.
fn write(folder: &Path, name: &str, bytes: &[u8]) -> String {
    let path = folder.join(name);
    fs::write(&path, bytes).unwrap();
    path.display().to_string()
}

/// Pushes the sample, as `conformance:1` and with all its platforms, to a real registry; gives its name there.
fn pushed(sample: &Sample, registry: &engines::Registry, folder: &Path) -> String {
    let layout = folder.join("pushed");
    sample.write_layout(&layout);
    let name = format!("{}/conformance:1", registry.address);
    let (from, to) = (format!("oci:{}:1", layout.display()), format!("docker://{name}"));
    engines::run("skopeo", &["copy", "--quiet", "--all", "--preserve-digests", "--dest-tls-verify=false", &from, &to]);
    name
}

#[test]
fn a_real_registry_gives_the_same_image() {
    let Some(registry) = engines::registry("a_real_registry_gives_the_same_image") else { return };
    let (sample, folder) = (Sample::new(Breadth::Whole), tempfile::tempdir().unwrap());
    let name = pushed(&sample, registry, folder.path());
    let digest = Digest::of(&sample.index);
    let by_digest = format!("{}@{digest}", name.trim_end_matches(":1"));
    let options = with_registry(OpenOptions::default());
    for text in [name.clone(), format!("docker://{name}"), by_digest, format!("{name}@{digest}")] {
        check(&sample, &text, &options, ("registry", BOTH));
    }
}

#[test]
fn skopeo_and_podman_write_what_is_read_as_the_same_image() {
    let test = "skopeo_and_podman_write_what_is_read_as_the_same_image";
    if !engines::has(test, &["skopeo"]) {
        return;
    }
    let (sample, folder, options) =
        (Sample::new(Breadth::ForSchema2), tempfile::tempdir().unwrap(), OpenOptions::default());
    let at = |name: &str| folder.path().join(name).display().to_string();
    sample.write_layout(Path::new(&at("layout")));
    let from = format!("oci:{}:1", at("layout"));
    /// Name, transport, flags, the tag that is written, platforms.
    type Case<'a> = (&'a str, &'a str, &'a [&'a str], &'a str, &'a [usize]);
    let cases: [Case<'_>; 4] = [
        ("dir", "dir:", &["copy", "--all"], "", BOTH),
        ("copied", "oci:", &["copy", "--all"], ":again", BOTH),
        ("oci.tar", "oci-archive:", &["copy", "--all"], ":again", BOTH),
        ("docker.tar", "docker-archive:", &["--override-arch", "arm64", "copy"], ":conformance:1", &[1]),
    ];
    for (name, transport, flags, tag, platforms) in cases {
        let (place, to) = (format!("{transport}{}", at(name)), format!("{transport}{}{tag}", at(name)));
        engines::run("skopeo", &[flags, &["--quiet", &from, &to]].concat());
        for text in [at(name), place, to] {
            check(&sample, &text, &options, ("", platforms));
        }
    }
}

#[test]
fn docker_engines_classic_store_gives_the_same_image() {
    let test = "docker_engines_classic_store_gives_the_same_image";
    let Some(docker) = engines::docker(test, engines::Store::Classic) else { return };
    let (sample, folder) = (Sample::new(Breadth::ForDocker), tempfile::tempdir().unwrap());
    docker.docker(&["load", "--input", &write(folder.path(), "saved", &sample.docker_archive(1, SHORT))]);
    let options = options(docker);
    for text in ["docker-daemon:conformance:1", "docker-daemon:docker.io/library/conformance:1", "conformance:1"] {
        check(&sample, text, &options, ("Docker Engine at unix://", &[1]));
    }
    let id = docker.docker(&["image", "inspect", "--format", "{{.Id}}", "conformance:1"]);
    check(&sample, &format!("docker-daemon:{}", id.trim()), &options, ("Docker Engine", &[1]));
    let saved = folder.path().join("saved-again").display().to_string();
    docker.docker(&["save", "--output", &saved, "conformance:1"]);
    check(&sample, &saved, &options, ("docker-archive", &[1]));
    let absent = open("docker-daemon:absent:1", &options).unwrap_err();
    assert!(matches!(absent.bare(), SourceError::NotFound { .. }), "{absent}");
}

#[test]
fn docker_engines_containerd_store_and_containerd_itself_give_the_same_image() {
    let test = "docker_engines_containerd_store_and_containerd_itself_give_the_same_image";
    let Some(docker) = engines::docker(test, engines::Store::Containerd) else { return };
    let (sample, folder) = (Sample::new(Breadth::ForDocker), tempfile::tempdir().unwrap());
    let oci = images::archive(&sample.layout_members());
    docker.docker(&["load", "--input", &write(folder.path(), "oci", &oci)]);
    let containerd = Containerd {
        root: docker.folder.join("data/containerd/daemon"),
        address: docker.folder.join("exec/containerd/containerd.sock"),
    };
    let options = OpenOptions { containerd: vec![containerd.clone()], ..options(docker) };
    check(&sample, "docker-daemon:conformance:1", &options, ("Docker Engine at unix://", BOTH));
    let saved = folder.path().join("saved").display().to_string();
    docker.docker(&["save", "--output", &saved, "conformance:1"]);
    check(&sample, &saved, &options, ("docker-archive", BOTH));

    let digest = Digest::of(&sample.index);
    for name in ["conformance:1", images::NAME, &format!("conformance@{digest}"), digest.as_str()] {
        check(&sample, &format!("containerd:moby/{name}"), &options, ("containerd at", BOTH));
    }
    let absent = open("containerd:moby/absent:1", &options).unwrap_err();
    assert!(matches!(absent.bare(), SourceError::NotFound { .. }), "{absent}");
    // Where its store cannot be read, containerd hands the image out itself.
    let elsewhere = Containerd { root: folder.path().to_path_buf(), ..containerd };
    let options = OpenOptions { containerd: vec![elsewhere], ..options };
    check(&sample, "containerd:moby/conformance:1", &options, ("containerd at", BOTH));
}

#[test]
fn a_platform_that_was_not_pulled_is_not_present() {
    let test = "a_platform_that_was_not_pulled_is_not_present";
    let Some(docker) = engines::docker(test, engines::Store::Containerd) else { return };
    let Some(registry) = engines::registry(test) else { return };
    let (sample, folder) = (Sample::new(Breadth::ForDocker), tempfile::tempdir().unwrap());
    let name = pushed(&sample, registry, folder.path());
    docker.docker(&["pull", "--quiet", "--platform", "linux/amd64", &name]);
    let options = options(docker);
    let opened = open(&format!("docker-daemon:{name}"), &options).unwrap();
    let Input::Stream(stream) = opened.input else { panic!("an engine's export passes") };
    let streamed = read_stream(stream.reader, &stream.place, &Limits::default(), &mut visit).unwrap();
    let source = Archive::of(streamed.members, &stream.selector).unwrap();
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
    let (sample, folder) = (Sample::new(Breadth::Whole), tempfile::tempdir().unwrap());
    podman.docker(&["load", "--input", &write(folder.path(), "saved", &sample.docker_archive(1, SHORT))]);
    let options = options(podman);
    for text in ["containers-storage:conformance:1", "conformance:1"] {
        check(&sample, text, &options, ("podman at unix://", &[1]));
    }
    podman.docker(&["tag", "conformance:1", "localhost/own:1"]);
    check(&sample, "containers-storage:own:1", &options, ("podman at unix://", &[1]));
    let saved = folder.path().join("saved-again").display().to_string();
    podman.docker(&["save", "--output", &saved, "conformance:1"]);
    check(&sample, &saved, &options, ("docker-archive", &[1]));
}

#[test]
fn podmans_storage_is_read_by_its_command_where_no_service_runs() {
    let test = "podmans_storage_is_read_by_its_command_where_no_service_runs";
    if !engines::has(test, &["podman"]) || Path::new("/run/podman/podman.sock").exists() {
        return;
    }
    let (sample, folder) = (Sample::new(Breadth::Whole), tempfile::tempdir().unwrap());
    let at = |name: &str| folder.path().join(name).display().to_string();
    let storage = format!("[storage]\ndriver = \"vfs\"\ngraphroot = \"{}\"\nrunroot = \"{}\"\n", at("root"), at("run"));
    let storage = write(folder.path(), "storage.conf", storage.as_bytes());
    let saved = write(folder.path(), "saved", &sample.docker_archive(1, SHORT));
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
fn a_name_that_the_registry_lacks_is_read_from_the_engine_and_said_so() {
    let test = "a_name_that_the_registry_lacks_is_read_from_the_engine_and_said_so";
    let Some(docker) = engines::docker(test, engines::Store::Classic) else { return };
    let Some(registry) = engines::registry(test) else { return };
    let (sample, folder) = (Sample::new(Breadth::ForDocker), tempfile::tempdir().unwrap());
    let name = format!("{}/only-local:1", registry.address);
    docker.docker(&["load", "--input", &write(folder.path(), "saved", &sample.docker_archive(0, &name))]);
    let options = with_registry(options(docker));
    let note = open(&name, &options).unwrap().note.expect("the user is told");
    assert!(note.starts_with(&format!("not in the registry {}; read from Docker Engine", registry.address)), "{note}");
    check(&sample, &name, &options, ("Docker Engine", &[0]));
}
