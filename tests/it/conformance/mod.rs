//! Reads one image from every source. For every format and every engine, the files, their kinds, modes and owners, and
//! the config must be the same. `imgarch scan` must find the incident, with the layer and the build step that added it.

mod disk;
mod hosts;
mod merged;
mod odd;

use crate::kit::{engines, images};
use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, Read};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use imgarch::image::{
    Contents, Image, LayerMember, Limits, NodeKind, RootFs, Wanted, Why, merge, read_directory, read_layer,
    read_stream, select,
};
use imgarch::oci::Digest;
use imgarch::source::archive::{Archive, Members};
use imgarch::source::containerd::Containerd;
use imgarch::source::engine::EngineSettings;
use imgarch::source::input::{ImageOpener, Opened, OpenedInput, RegistryOpener};
use imgarch::source::registry::{RegistryClient, RegistryOptions};
use imgarch::source::rootfs_dir::Mounts;
use imgarch::source::{ImageSource, SourceError};

use serde_json::{Value, json};

use crate::kit::images::{Breadth, PLATFORMS, SHORT, Sample, expected};

/// What a reader finds in one platform's image.
#[derive(Debug, PartialEq, Eq)]
struct Observed {
    platform: String,
    config: String,
    lines: Vec<String>,
}

/// The content of a file, used as the fact in this test.
fn visit(_: &LayerMember<'_>, content: &mut dyn BufRead) -> Option<String> {
    let mut bytes = Vec::new();
    content.read_to_end(&mut bytes).unwrap();
    Some(Digest::from_bytes(&bytes).short())
}

fn lines(rootfs: &RootFs<String>) -> Vec<String> {
    let mut lines: Vec<String> = rootfs
        .all()
        .filter(|file| file.id != rootfs.root() && file.kind != NodeKind::Gone)
        .map(|file| {
            let path = String::from_utf8(rootfs.path(file.id)).unwrap();
            let (kind, rest) = match file.kind {
                NodeKind::File => ("file", file.fact.cloned().expect("every file was visited")),
                NodeKind::Directory => ("directory", "-".to_string()),
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

/// Reads every platform of `opened`, in the way that its kind of input requires.
fn observe(opened: Opened) -> Vec<Observed> {
    let limits = Limits::default();
    let of = |source: &dyn ImageSource, layer: &mut dyn FnMut(&Image, usize) -> Arc<Contents<String>>| {
        let selection = select(source, &Wanted::default()).unwrap();
        assert!(selection.broken.is_empty(), "{:?}", selection.broken);
        let observed = selection.images.iter().map(|image| {
            let layers: Vec<_> = (0..image.layers.len()).map(|index| layer(image, index)).collect();
            let platform = image.declared.as_ref().expect("the config names its platform").to_string();
            Observed { platform, config: image.config_digest.to_string(), lines: lines(&merge(layers)) }
        });
        observed.collect::<Vec<_>>()
    };
    // A compressed file is known to be an image only after it was read.
    let input = match opened.input {
        OpenedInput::File { path, .. } => OpenedInput::of_archive(&path).unwrap(),
        input => input,
    };
    match input {
        OpenedInput::File { .. } => unreachable!("it was opened as an archive"),
        OpenedInput::Image(source) => of(&*source, &mut |image, index| {
            Arc::new(read_layer(&*source, &image.layers[index], &limits, &mut visit).unwrap().contents)
        }),
        OpenedInput::Stream(stream) => {
            let mut streamed = read_stream(stream.reader, &stream.place, &limits, &mut visit).unwrap();
            let members = std::mem::replace(&mut streamed.members, Members::passing(&stream.place));
            let source = Archive::from_members(members, &stream.selector).unwrap();
            // A layer that two platforms share is returned once.
            let mut taken: HashMap<Digest, Arc<Contents<String>>> = HashMap::new();
            of(&source, &mut |image, index| {
                let layer = &image.layers[index];
                let key = layer.descriptor.digest.clone();
                taken.entry(key).or_insert_with(|| Arc::new(streamed.take(layer).unwrap().contents)).clone()
            })
        }
        OpenedInput::Directory(path) => {
            let read = read_directory(&path, Mounts::Followed, &limits, &mut visit).unwrap();
            assert!(read.is_whole && read.walked.unread.is_empty(), "{:?}", read.walked);
            let rootfs = merge([Arc::new(read.contents)]);
            vec![Observed { platform: String::new(), config: String::new(), lines: lines(&rootfs) }]
        }
    }
}

/// The expected platforms of the sample.
fn wanted(sample: &Sample, platforms: &[usize]) -> Vec<Observed> {
    let of = |platform: &usize| Observed {
        platform: format!("linux/{}", PLATFORMS[*platform]),
        config: sample.config_digest(*platform),
        lines: expected(PLATFORMS[*platform]),
    };
    platforms.iter().map(of).collect()
}

const BOTH: &[usize] = &[0, 1];

/// Checks that `text` opens the sample's `platforms`, and that its origin is reported as `origin`.
fn check(sample: &Sample, text: &str, options: &ImageOpener, (origin, platforms): (&str, &[usize])) {
    let opened = options.open(text).unwrap_or_else(|error| panic!("{text}: {error} ({:?})", error.hint()));
    assert!(opened.origin.to_string().starts_with(origin), "{text} is read from {}", opened.origin);
    let (found, wanted) = (observe(opened), wanted(sample, platforms));
    for (found, wanted) in found.iter().zip(&wanted) {
        assert_eq!(found, wanted, "{text}");
    }
    assert_eq!(found.len(), wanted.len(), "{text}");
    let report = scan(&[text], options, Stdio::null());
    check_report(&report, text, platforms);
}

/// The report and exit code of `imgarch scan`, with `options` as environment and flags.
fn scan(arguments: &[&str], options: &ImageOpener, input: Stdio) -> (i32, Value) {
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

/// The arm64 image fails because of its third layer. The amd64 image is fine.
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
