//! Runs against a registry and a docker of a few lines, which fail where they are told to.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use super::super::docker::Answer;
use super::super::plan::{BuildSettings, Cost, Entry, Kept, Request};
use super::*;
use crate::oci::Reference;

/// Where it goes wrong.
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
    TagLosesOne,
    Interrupted,
}

struct Fake {
    fault: Fault,
    tag: RefCell<Digest>,
    files: RefCell<BTreeMap<PathBuf, Vec<u8>>>,
    documents: RefCell<BTreeMap<Digest, Vec<u8>>>,
    built: Cell<bool>,
    events: RefCell<Vec<String>>,
}

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

fn manifest(text: &str) -> Vec<u8> {
    serde_json::json!({"schemaVersion": 2, "config": {"mediaType": text, "digest": Digest::of(b"c").to_string(), "size": 1}, "layers": []}).to_string().into_bytes()
}

fn descriptor(text: &str, architecture: &str) -> Value {
    let bytes = manifest(text);
    serde_json::json!({"mediaType": MANIFEST, "digest": Digest::of(&bytes).to_string(), "size": bytes.len(),
        "platform": {"os": "linux", "architecture": architecture}})
}

fn index(manifests: &[Value]) -> Vec<u8> {
    serde_json::json!({"schemaVersion": 2, "manifests": manifests}).to_string().into_bytes()
}

fn read(bytes: &[u8]) -> Published {
    Published::read(&Descriptor::new("i", Digest::of(bytes), bytes.len() as u64), bytes, None).unwrap()
}

impl Fake {
    fn new(fault: Fault, old: &[u8]) -> Fake {
        Fake {
            fault,
            tag: RefCell::new(Digest::of(old)),
            files: RefCell::default(),
            documents: RefCell::new(BTreeMap::from([(Digest::of(old), old.to_vec())])),
            built: Cell::new(false),
            events: RefCell::default(),
        }
    }
}

impl Docker for Fake {
    fn ask(&self, line: &CommandLine) -> io::Result<Answer> {
        if self.fault == Fault::Tagging {
            return Ok(Answer { code: Some(1), stdout: String::new(), stderr: "ERROR: read only".into() });
        }
        let files = self.files.borrow();
        let named = line.0.iter().filter_map(|word| files.get(Path::new(word)));
        let mut manifests: Vec<Value> = named.map(|bytes| serde_json::from_slice(bytes).unwrap()).collect();
        if self.fault == Fault::TagLosesOne {
            manifests.remove(0);
        }
        let bytes = index(&manifests);
        *self.tag.borrow_mut() = Digest::of(&bytes);
        self.documents.borrow_mut().insert(Digest::of(&bytes), bytes);
        Ok(Answer { code: Some(0), stdout: String::new(), stderr: String::new() })
    }

    fn pass(&self, _: &CommandLine) -> io::Result<Option<i32>> {
        self.built.set(true);
        let new = manifest("new");
        let digest = Digest::of(&new);
        self.documents.borrow_mut().insert(digest.clone(), new);
        let metadata = serde_json::json!({"containerimage.digest": digest.to_string()}).to_string();
        match self.fault {
            Fault::Build => return Ok(Some(1)),
            Fault::Killed => return Ok(None),
            Fault::NoMetadata => {}
            _ => drop(self.files.borrow_mut().insert("/w/linux-arm64.json".into(), metadata.into_bytes())),
        }
        if self.fault == Fault::TagMoves {
            *self.tag.borrow_mut() = Digest::of(b"somebody else's");
        }
        Ok(Some(0))
    }
}

impl World for Fake {
    fn tag(&self) -> Result<Option<Digest>, String> {
        Ok(Some(self.tag.borrow().clone()))
    }

    fn document(&self, digest: &Digest) -> Result<(Descriptor, Vec<u8>), String> {
        let bytes = self.documents.borrow().get(digest).cloned().ok_or("absent")?;
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

    fn is_interrupted(&self) -> bool {
        self.fault == Fault::Interrupted && self.built.get()
    }

    fn join_layouts(&self, _: &[&Path], _: &Path) -> Result<(), String> {
        unreachable!("everything is pushed")
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.files.borrow_mut().insert(path.to_path_buf(), bytes.to_vec());
        Ok(())
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.files.borrow().get(path).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn say(&self, event: &Event) {
        let word = match event {
            Event::Building { .. } => "building",
            Event::Pushed { .. } => "pushed",
            Event::Verified { .. } => "verified",
            Event::Tagging { .. } => "tagging",
        };
        self.events.borrow_mut().push(word.to_string());
    }
}

fn plan(before: &Published) -> Plan {
    let platform = Platform::parse("linux/arm64").unwrap();
    let kept = |entry: &Entry| Kept { platform: entry.descriptor.platform.clone(), entry: entry.clone(), doubt: None };
    Plan {
        request: Request {
            reference: Reference::parse("example.com/app:v1").unwrap(),
            platforms: Vec::new(),
            targets: Vec::new(),
            build: BuildSettings { work: "/w".into(), ..BuildSettings::default() },
        },
        before: Some(before.clone()),
        keep: vec![kept(&before.entries[0])],
        build: vec![Build {
            platform,
            reason: "broken".into(),
            cost: Cost::CrossCompiled,
            command: CommandLine::docker(["buildx", "build"]),
            metadata: "/w/linux-arm64.json".into(),
        }],
        checks: Vec::new(),
        builder: "b".into(),
        delivery: Delivery::ByDigest,
        lint: Vec::new(),
    }
}

/// How a run with this fault ends: its message, whether the tag is as it was, and whether the pushed digest is told.
fn check(fault: Fault, message: &str, is_tag_old: bool, tells_pushed: bool) {
    let old = index(&[descriptor("good", "amd64"), descriptor("bad", "arm64")]);
    let before = read(&old);
    let fake = Fake::new(fault, &old);
    let error = run(&plan(&before), &fake, &fake).unwrap_err();
    let text = error.to_string();
    assert!(text.contains(message), "{fault:?}: {text}");
    assert_eq!(*fake.tag.borrow() == before.digest, is_tag_old, "{fault:?}: {text}");
    assert_eq!(
        text.contains("example.com/app:v1 is as it was"),
        is_tag_old || fault == Fault::TagMoves,
        "{fault:?}: {text}"
    );
    assert_eq!(text.contains("pushed without a tag: example.com/app@sha256:"), tells_pushed, "{fault:?}: {text}");
}

#[test]
fn a_rebuild_merges_what_stays_with_what_was_built() {
    let old = index(&[descriptor("good", "amd64"), descriptor("bad", "arm64")]);
    let before = read(&old);
    let fake = Fake::new(Fault::Nowhere, &old);
    let done = run(&plan(&before), &fake, &fake).unwrap();
    let after = done.after.unwrap();
    let digests: Vec<&Digest> = after.entries.iter().map(|entry| &entry.descriptor.digest).collect();
    assert_eq!(digests, [&before.entries[0].descriptor.digest, &Digest::of(&manifest("new"))]);
    assert_eq!(after.entries[1].raw["platform"]["architecture"], "arm64");
    assert_eq!(*fake.events.borrow(), ["building", "pushed", "verified", "tagging"]);
}

#[test]
fn wherever_it_ends_the_tag_is_as_it_was_and_what_was_pushed_is_said() {
    check(Fault::Build, "building linux/arm64 failed (exit code 1)", true, false);
    check(Fault::Killed, "killed by a signal", true, false);
    check(Fault::NoMetadata, "does not say what it pushed", true, false);
    check(Fault::Faulty, "its entrypoint is x86-64", true, true);
    check(Fault::Unverifiable, "could not be verified: unreachable", true, true);
    check(Fault::Tagging, "tagging failed: read only", true, true);
    check(Fault::Interrupted, "interrupted", true, true);
}

#[test]
fn a_tag_that_moved_meanwhile_is_left_to_who_moved_it() {
    check(Fault::TagMoves, "moved while this was built", false, true);
}

#[test]
fn a_merge_that_lost_a_manifest_is_noticed() {
    check(Fault::TagLosesOne, "is not in example.com/app@sha256:", false, true);
}
