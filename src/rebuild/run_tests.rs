//! Runs against a fake registry and docker that fail at a chosen step.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::super::docker::CommandOutput;
use super::super::plan::{BuildSettings, Cost, KeptPlatform, RebuildRequest};
use super::super::published::PublishedManifest;
use super::*;
use crate::oci::Reference;

/// The step that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Nowhere,
    Build,
    Killed,
    NoMetadata,
    Faulty,
    Unverifiable,
    TagMoves,
    Tagging,
    /// The tag points to another digest than the one that was written.
    TagDiffers,
    /// Another tag moves while this one is written.
    AlsoMoves,
    Interrupted,
}

struct Fake {
    fault: Fault,
    /// By tag.
    tags: Mutex<BTreeMap<String, Digest>>,
    files: Mutex<BTreeMap<PathBuf, Vec<u8>>>,
    documents: Mutex<BTreeMap<Digest, Vec<u8>>>,
    built: AtomicBool,
    events: Mutex<Vec<String>>,
}

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

fn manifest(text: &str) -> Vec<u8> {
    serde_json::json!({"schemaVersion": 2, "config": {"mediaType": text, "digest": Digest::from_bytes(b"c").to_string(), "size": 1}, "layers": []}).to_string().into_bytes()
}

fn descriptor(text: &str, architecture: &str) -> Value {
    let bytes = manifest(text);
    serde_json::json!({"mediaType": MANIFEST, "digest": Digest::from_bytes(&bytes).to_string(), "size": bytes.len(),
        "platform": {"os": "linux", "architecture": architecture}})
}

fn index(manifests: &[Value]) -> Vec<u8> {
    serde_json::json!({"schemaVersion": 2, "manifests": manifests}).to_string().into_bytes()
}

fn read(bytes: &[u8]) -> Published {
    Published::read(&Descriptor::new("i", Digest::from_bytes(bytes), bytes.len() as u64), bytes, None).unwrap()
}

impl Fake {
    fn new(fault: Fault, old: &[u8]) -> Fake {
        Fake {
            fault,
            tags: Mutex::new(BTreeMap::from(["v1", "latest"].map(|tag| (tag.to_string(), Digest::from_bytes(old))))),
            files: Mutex::default(),
            documents: Mutex::new(BTreeMap::from([(Digest::from_bytes(old), old.to_vec())])),
            built: AtomicBool::new(false),
            events: Mutex::default(),
        }
    }
}

impl Fake {
    fn name(&self, tag: &str, digest: Digest) {
        self.tags.lock().unwrap().insert(tag.to_string(), digest);
    }

    fn named(&self, tag: &str) -> Option<Digest> {
        self.tags.lock().unwrap().get(tag).cloned()
    }
}

impl Docker for Fake {
    fn output(&self, line: &CommandLine, _: Duration) -> io::Result<CommandOutput> {
        panic!("unexpected command: {line}")
    }

    fn status(&self, _: &CommandLine, _: Option<&str>) -> io::Result<Option<i32>> {
        self.built.store(true, Ordering::Relaxed);
        let new = manifest("new");
        let digest = Digest::from_bytes(&new);
        self.documents.lock().unwrap().insert(digest.clone(), new);
        let metadata = serde_json::json!({"containerimage.digest": digest.to_string()}).to_string();
        match self.fault {
            Fault::Build => return Ok(Some(1)),
            Fault::Killed => return Ok(None),
            Fault::NoMetadata => {}
            _ => drop(self.files.lock().unwrap().insert("/w/linux-arm64.json".into(), metadata.into_bytes())),
        }
        if self.fault == Fault::TagMoves {
            self.name("v1", Digest::from_bytes(b"another push"));
        }
        Ok(Some(0))
    }
}

impl RebuildBackend for Fake {
    fn tag(&self, tag: &Reference) -> Result<Option<Digest>, String> {
        Ok(self.tags.lock().unwrap().get(tag.selector()).cloned())
    }

    fn put_index(&self, tag: &Reference, index: &IndexText) -> Result<(), String> {
        let digest = match self.fault {
            Fault::Tagging => return Err("read only".to_string()),
            Fault::TagDiffers => Digest::from_bytes(b"another"),
            _ => Digest::from_bytes(&index.bytes),
        };
        if self.fault == Fault::AlsoMoves {
            self.name("latest", Digest::from_bytes(b"another push"));
        }
        self.name(tag.selector(), digest.clone());
        self.documents.lock().unwrap().insert(digest, index.bytes.clone());
        Ok(())
    }

    fn document(&self, digest: &Digest) -> Result<(Descriptor, Vec<u8>), String> {
        let bytes = self.documents.lock().unwrap().get(digest).cloned().ok_or("absent")?;
        Ok((Descriptor::new(MANIFEST, digest.clone(), bytes.len() as u64), bytes))
    }

    fn verify(&self, _: &str, _: Option<&Platform>) -> Result<Vec<String>, String> {
        match self.fault {
            Fault::Faulty => Ok(vec!["its entrypoint is x86-64".into()]),
            Fault::Unverifiable => Err("unreachable".into()),
            _ => Ok(Vec::new()),
        }
    }

    fn push_layout(&self, _: &Path) -> Result<Digest, String> {
        Err("not in this test".into())
    }

    fn push_supply(&self, supply: &Supply) -> Result<(), String> {
        self.events.lock().unwrap().push(format!("push {}", supply.name));
        Ok(())
    }

    fn is_interrupted(&self) -> bool {
        self.fault == Fault::Interrupted && self.built.load(Ordering::Relaxed)
    }

    fn join_layouts(&self, _: &[&Path], _: &Path) -> Result<(), String> {
        unreachable!("everything is pushed")
    }

    fn make_directory(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.files.lock().unwrap().get(path).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn report(&self, event: &RunEvent) {
        let word = match event {
            RunEvent::Building { .. } => "building",
            RunEvent::Pushed { .. } => "pushed",
            RunEvent::Verified { .. } => "verified",
            RunEvent::Tagging { .. } => "tagging",
        };
        self.events.lock().unwrap().push(word.to_string());
    }
}

fn plan(before: &Published) -> RebuildPlan {
    let platform = Platform::parse("linux/arm64").unwrap();
    let kept = |entry: &PublishedManifest| KeptPlatform {
        platform: entry.platform.clone(),
        entry: entry.clone(),
        doubt: None,
    };
    RebuildPlan {
        request: RebuildRequest {
            reference: Reference::parse("example.com/app:v1").unwrap(),
            platforms: Vec::new(),
            targets: Vec::new(),
            also: Vec::new(),
            build: BuildSettings { work: "/w".into(), ..BuildSettings::default() },
        },
        before: Some(before.clone()),
        keep: vec![kept(&before.entries[0])],
        staying: vec![before.entries[0].raw.clone()],
        build: vec![PlannedBuild {
            platform,
            reason: "broken".into(),
            means: Means::Built {
                cost: Cost::CrossCompiled,
                commands: BuildCommands {
                    build: CommandLine::docker(["buildx", "build"]),
                    export: None,
                    cleanup: None,
                    metadata: "/w/linux-arm64.json".into(),
                },
            },
        }],
        checks: Vec::new(),
        builder: "b".into(),
        delivery: Delivery::ByDigest,
        lint: Vec::new(),
        history: Vec::new(),
        seals: Vec::new(),
    }
}

/// Checks how a run with this fault ends: its message, whether the tag is unchanged, and whether it reports the pushed
/// digest.
fn check(fault: Fault, message: &str, is_tag_old: bool, reports_pushed: bool) {
    let old = index(&[descriptor("good", "amd64"), descriptor("bad", "arm64")]);
    let before = read(&old);
    let fake = Fake::new(fault, &old);
    let error = run(&plan(&before), &fake, &fake).unwrap_err();
    let text = error.to_string();
    assert!(text.contains(message), "{fault:?}: {text}");
    assert_eq!(fake.named("v1").as_ref() == Some(&before.digest), is_tag_old, "{fault:?}: {text}");
    assert_eq!(
        text.contains("example.com/app:v1 is unchanged"),
        is_tag_old || fault == Fault::TagMoves,
        "{fault:?}: {text}"
    );
    assert_eq!(text.contains("pushed without a tag: example.com/app@sha256:"), reports_pushed, "{fault:?}: {text}");
}

#[test]
fn a_rebuild_merges_what_stays_with_what_was_built() {
    let old = index(&[descriptor("good", "amd64"), descriptor("bad", "arm64")]);
    let before = read(&old);
    let fake = Fake::new(Fault::Nowhere, &old);
    let done = run(&plan(&before), &fake, &fake).unwrap();
    let after = done.after.unwrap();
    let digests: Vec<&Digest> = after.entries.iter().map(|entry| &entry.descriptor.digest).collect();
    assert_eq!(digests, [&before.entries[0].descriptor.digest, &Digest::from_bytes(&manifest("new"))]);
    let arm64 = descriptor("new", "arm64");
    assert_eq!(serde_json::from_str::<Value>(&after.entries[1].raw).unwrap(), arm64);
    assert_eq!(after.entries[0].raw, before.entries[0].raw);
    assert_eq!(*fake.events.lock().unwrap(), ["building", "pushed", "verified", "tagging"]);
}

#[test]
fn if_a_run_fails_the_tag_is_unchanged_and_pushed_digests_are_reported() {
    check(Fault::Build, "building linux/arm64 failed (exit code 1)", true, false);
    check(Fault::Killed, "killed by a signal", true, false);
    check(Fault::NoMetadata, "did not report what it pushed", true, false);
    check(Fault::Faulty, "its entrypoint is x86-64", true, true);
    check(Fault::Unverifiable, "could not be verified: unreachable", true, true);
    check(Fault::Tagging, "writing the index of example.com/app:v1 failed: read only", true, true);
    check(Fault::Interrupted, "interrupted", true, true);
}

#[test]
fn a_tag_that_moved_during_the_build_is_not_overwritten() {
    check(Fault::TagMoves, "moved during the build", false, true);
}

#[test]
fn an_index_that_is_not_what_was_written_is_noticed() {
    check(Fault::TagDiffers, "was written to it", false, true);
}

#[test]
fn other_tags_move_too_unless_they_moved_during_the_build() {
    let old = index(&[descriptor("good", "amd64"), descriptor("bad", "arm64")]);
    let before = read(&old);
    let also = ["latest", "new"].map(|tag| Reference::parse(&format!("example.com/app:{tag}")).unwrap());
    let mut plan = plan(&before);
    plan.request.also = also.to_vec();
    let fake = Fake::new(Fault::Nowhere, &old);
    let done = run(&plan, &fake, &fake).unwrap();
    let after = Some(done.after.unwrap().digest);
    assert_eq!(["v1", "latest", "new"].map(|tag| fake.named(tag)), [after.clone(), after.clone(), after]);
    assert_eq!(done.also, also);
    let fake = Fake::new(Fault::AlsoMoves, &old);
    let text = run(&plan, &fake, &fake).unwrap_err().to_string();
    assert!(
        text.contains("example.com/app:latest moved during") && text.contains("app:v1 now points to sha256:"),
        "{text}"
    );
    assert_eq!((fake.named("latest"), fake.named("new")), (Some(Digest::from_bytes(b"another push")), None));
}

#[test]
fn supplied_images_are_verified_pushed_and_merged() {
    let old = index(&[descriptor("good", "amd64"), descriptor("bad", "arm64")]);
    let before = read(&old);
    let mut plan = plan(&before);
    plan.delivery = Delivery::Supplied;
    let digest = Digest::from_bytes(&manifest("new"));
    let descriptors = vec![descriptor("new", "arm64").to_string(), descriptor("attestation", "unknown").to_string()];
    let supply = |place| {
        let (platform, name) = (Platform::parse("linux/arm64").unwrap(), "oci:layout".to_string());
        Supply { platform, name, digest: digest.clone(), descriptors: descriptors.clone(), place }
    };
    for (place, events) in [
        (SupplyPlace::Here, ["push oci:layout", "pushed", "verified", "tagging"].as_slice()),
        (SupplyPlace::Registry, &["pushed", "verified", "tagging"]),
    ] {
        plan.build[0].means = Means::Supplied(supply(place));
        let fake = Fake::new(Fault::Nowhere, &old);
        let after = run(&plan, &fake, &fake).unwrap().after.unwrap();
        let raws: Vec<&str> = after.entries.iter().map(|entry| entry.raw.as_str()).collect();
        assert_eq!(raws, [before.entries[0].raw.as_str(), &descriptors[0], &descriptors[1]]);
        assert_eq!(*fake.events.lock().unwrap(), events, "{place:?}");
        let fake = Fake::new(Fault::Faulty, &old);
        let error = run(&plan, &fake, &fake).unwrap_err();
        assert!(error.to_string().contains("its entrypoint is x86-64"), "{error}");
        assert_eq!(fake.named("v1").as_ref(), Some(&before.digest));
    }
}

/// Builds that only end if the other one runs at the same time. The build of `fails` then fails.
struct Together<'a> {
    registry: &'a Fake,
    running: Mutex<usize>,
    changed: std::sync::Condvar,
    fails: &'static str,
}

impl Docker for Together<'_> {
    fn output(&self, line: &CommandLine, _: Duration) -> io::Result<CommandOutput> {
        panic!("unexpected command: {line}")
    }

    fn status(&self, line: &CommandLine, label: Option<&str>) -> io::Result<Option<i32>> {
        let platform = label.expect("a label");
        *self.running.lock().unwrap() += 1;
        self.changed.notify_all();
        let limit = Duration::from_secs(60);
        let alone = |running: &mut usize| *running < 2;
        let (_running, waited) = self.changed.wait_timeout_while(self.running.lock().unwrap(), limit, alone).unwrap();
        assert!(!waited.timed_out(), "{line} runs alone");
        let new = manifest(platform);
        let metadata = serde_json::json!({"containerimage.digest": Digest::from_bytes(&new).to_string()}).to_string();
        self.registry.documents.lock().unwrap().insert(Digest::from_bytes(&new), new);
        let file = format!("/w/{}.json", platform.replace('/', "-"));
        self.registry.files.lock().unwrap().insert(file.into(), metadata.into_bytes());
        Ok(Some(i32::from(platform == self.fails)))
    }
}

#[test]
fn native_builds_on_different_nodes_run_at_the_same_time() {
    let old = index(&[descriptor("good", "amd64"), descriptor("bad", "arm64")]);
    let before = read(&old);
    let run_with = |fails: &'static str, fake: &Fake| {
        let mut plan = plan(&before);
        let native = |platform: &str| PlannedBuild {
            platform: Platform::parse(platform).unwrap(),
            reason: "broken".into(),
            means: Means::Built {
                cost: Cost::Native { node: platform.to_string() },
                commands: BuildCommands {
                    build: CommandLine::docker(["buildx", "build"]),
                    export: None,
                    cleanup: None,
                    metadata: format!("/w/{}.json", platform.replace('/', "-")).into(),
                },
            },
        };
        plan.build = vec![native("linux/arm64"), native("linux/s390x")];
        let docker = Together { registry: fake, running: Mutex::default(), changed: Default::default(), fails };
        run(&plan, &docker, fake)
    };
    let fake = Fake::new(Fault::Nowhere, &old);
    assert_eq!(run_with("", &fake).unwrap().after.unwrap().entries.len(), 3);
    // The manifest of the other build is in the registry, so it is reported.
    let fake = Fake::new(Fault::Nowhere, &old);
    let text = run_with("linux/arm64", &fake).unwrap_err().to_string();
    let pushed =
        format!("pushed without a tag: example.com/app@{} (linux/s390x)", Digest::from_bytes(&manifest("linux/s390x")));
    assert!(text.contains("building linux/arm64 failed (exit code 1)") && text.contains(&pushed), "{text}");
    assert_eq!(fake.named("v1"), Some(before.digest.clone()));
}

/// podman builds into its storage, and a second command writes the layout.
struct Podman {
    commands: Mutex<Vec<String>>,
    /// The command that fails.
    fails: &'static str,
}

impl Docker for Podman {
    fn output(&self, line: &CommandLine, _: Duration) -> io::Result<CommandOutput> {
        self.commands.lock().unwrap().push(line.to_string());
        Ok(CommandOutput { code: Some(0), stdout: String::new(), stderr: String::new() })
    }

    fn status(&self, line: &CommandLine, _: Option<&str>) -> io::Result<Option<i32>> {
        self.commands.lock().unwrap().push(line.to_string());
        Ok(Some(if line.to_string() == self.fails { 125 } else { 0 }))
    }
}

#[test]
fn what_a_build_leaves_in_the_storage_is_removed_even_if_it_fails() {
    let old = index(&[descriptor("good", "amd64"), descriptor("bad", "arm64")]);
    let mut plan = plan(&read(&old));
    plan.delivery = Delivery::ByLayout;
    let Means::Built { commands, .. } = &mut plan.build[0].means else { panic!("it is built") };
    commands.build = CommandLine::new(["podman", "build"]);
    commands.export = Some(CommandLine::new(["podman", "push"]));
    commands.cleanup = Some(CommandLine::new(["podman", "rm"]));
    for (fails, message, expected) in [
        ("podman build", "building linux/arm64 failed (exit code 125)", ["podman build", "podman rm"].as_slice()),
        ("podman push", "writing the layout of linux/arm64 failed", &["podman build", "podman push", "podman rm"]),
        // The fake registry refuses layouts.
        ("", "pushing linux/arm64 failed: not in this test", &["podman build", "podman push", "podman rm"]),
    ] {
        let docker = Podman { commands: Mutex::default(), fails };
        let text = run(&plan, &docker, &Fake::new(Fault::Nowhere, &old)).unwrap_err().to_string();
        assert!(text.contains(message) && text.contains("app:v1 is unchanged"), "{text}");
        assert_eq!(*docker.commands.lock().unwrap(), expected);
    }
}
