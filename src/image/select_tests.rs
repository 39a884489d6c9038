//! Indexes, manifests and configs as registries and engines store them, and malformed ones.

use std::io::Read;

use serde_json::{Value, json};

use super::*;
use crate::image::testing::Memory;

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

fn describe(descriptor: &Descriptor) -> Value {
    json!({"mediaType": descriptor.media_type, "digest": descriptor.digest.as_str(), "size": descriptor.size})
}

/// A descriptor with the platform `os/arch`.
fn promise(descriptor: &Descriptor, platform: &str) -> Value {
    let (os, architecture) = platform.split_once('/').unwrap();
    let mut value = describe(descriptor);
    let (architecture, variant) = architecture.split_once('/').unwrap_or((architecture, ""));
    value["platform"] = json!({"os": os, "architecture": architecture, "variant": variant});
    value
}

impl Memory {
    fn json(&mut self, media_type: &str, value: Value) -> Descriptor {
        self.add(media_type, value.to_string())
    }

    /// An image whose config declares `architecture`, with `layers` layers and `diff_ids` diffIDs.
    fn image(&mut self, architecture: &str, layers: usize, diff_ids: usize) -> Descriptor {
        let ids: Vec<String> = (0..diff_ids).map(|number| Digest::from_bytes(&[number as u8]).to_string()).collect();
        let config =
            json!({"os": "linux", "architecture": architecture, "rootfs": {"type": "layers", "diff_ids": ids}});
        let config = self.json(CONFIG, config);
        let layers: Vec<Value> = (0..layers)
            .map(|number| describe(&Descriptor::new(LAYER, Digest::from_bytes(&[number as u8]), 1)))
            .collect();
        let manifest = json!({"schemaVersion": 2, "config": describe(&config), "layers": layers});
        self.json(MANIFEST, manifest)
    }

    fn index(&mut self, manifests: Vec<Value>) -> Descriptor {
        self.json(INDEX, json!({"schemaVersion": 2, "manifests": manifests, "annotations": {"a": "b"}}))
    }

    fn select(&mut self, root: &Descriptor, wanted: &[&str]) -> Result<Selection, ImageError> {
        self.root = Some(root.clone());
        let platforms = wanted.iter().map(|text| Platform::parse(text).unwrap()).collect();
        select(self, &Wanted { platforms, ..Wanted::default() })
    }
}

/// Promised and declared platform of each image.
fn images(selection: &Selection) -> Vec<(String, String)> {
    let text = |platform: &Option<Platform>| platform.as_ref().map_or("-".to_string(), ToString::to_string);
    selection.images.iter().map(|image| (text(&image.promised), text(&image.declared))).collect()
}

fn check(selection: Result<Selection, ImageError>, expected: &[(&str, &str)]) -> Selection {
    let selection = selection.unwrap();
    let expected: Vec<(String, String)> = expected.iter().map(|(a, b)| (a.to_string(), b.to_string())).collect();
    assert_eq!(images(&selection), expected);
    selection
}

fn check_error(selection: Result<Selection, ImageError>, expected: &str) {
    assert_eq!(selection.unwrap_err().to_string(), expected);
}

#[test]
fn a_single_manifest_is_one_image_without_a_promise() {
    let mut memory = Memory::default();
    let root = memory.image("arm64", 2, 2);
    let selection = check(memory.select(&root, &[]), &[("-", "linux/arm64")]);
    assert_eq!((selection.root, selection.index_annotations), (root, None));
    let layers = &selection.images[0].layers;
    assert_eq!(layers.iter().map(|layer| layer.index).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(layers[1].diff_id, Some(DiffId(Digest::from_bytes(&[1]))));
}

#[test]
fn every_platform_of_an_index_is_read_and_promises_stay_apart_from_configs() {
    let mut memory = Memory::default();
    let (one, two) = (memory.image("amd64", 1, 1), memory.image("arm64", 1, 1));
    let root = memory.index(vec![promise(&one, "linux/amd64"), promise(&two, "linux/s390x"), describe(&two)]);
    let expected = [("linux/amd64", "linux/amd64"), ("linux/s390x", "linux/arm64"), ("-", "linux/arm64")];
    let selection = check(memory.select(&root, &[]), &expected);
    assert_eq!(selection.index_annotations.unwrap()["a"], "b");
}

#[test]
fn a_wanted_platform_is_the_promised_one_or_else_the_declared_one() {
    let mut memory = Memory::default();
    let (one, two) = (memory.image("amd64", 1, 1), memory.image("arm64", 1, 1));
    let root = memory.index(vec![promise(&one, "linux/amd64"), promise(&one, "linux/arm64"), describe(&two)]);
    let expected = [("linux/arm64", "linux/amd64"), ("-", "linux/arm64")];
    let selection = check(memory.select(&root, &["linux/arm64"]), &expected);
    assert_eq!(selection.skipped.iter().map(|entry| &entry.why).collect::<Vec<_>>(), [&Why::NotWanted]);
    check(memory.select(&two, &["linux/arm64"]), &[("-", "linux/arm64")]);
    let text = format!("no image for linux/s390x in {}; it contains linux/arm64", two.digest);
    check_error(memory.select(&two, &["s390x"]), &text);
    let text = format!("no image for linux/s390x, linux/386 in {}; it contains linux/amd64, linux/arm64", root.digest);
    check_error(memory.select(&root, &["s390x", "386"]), &text);
    let wanted = ["s390x", "arm64"];
    let selection = memory.select(&root, &wanted).unwrap();
    let platforms = wanted.map(|text| Platform::parse(text).unwrap());
    let unmet = selection.unmet(&Wanted { platforms: platforms.to_vec(), ..Wanted::default() }).unwrap();
    assert!(unmet.to_string().starts_with("no image for linux/s390x in"), "{unmet}");
    assert!(selection.unmet(&Wanted { platforms: platforms[1..].to_vec(), ..Wanted::default() }).is_none());
    assert!(selection.unmet(&Wanted::default()).is_none());
}

#[test]
fn a_variant_missing_from_the_config_is_taken_from_the_index() {
    let mut memory = Memory::default();
    let (arm, arm64) = (memory.image("arm", 1, 1), memory.image("arm64", 1, 1));
    let root = memory.index(vec![promise(&arm, "linux/arm/v6"), promise(&arm64, "linux/arm/v6")]);
    check(memory.select(&root, &[]), &[("linux/arm/v6", "linux/arm/v6"), ("linux/arm/v6", "linux/arm64")]);
    check(memory.select(&arm, &[]), &[("-", "linux/arm/v7")]);
}

#[test]
fn attestations_and_artifacts_are_left_out_and_listed() {
    let mut memory = Memory::default();
    let image = memory.image("amd64", 1, 1);
    let mut attestation =
        promise(&Descriptor::new(MANIFEST, Digest::from_bytes(b"never fetched"), 9), "unknown/unknown");
    attestation["annotations"] = json!({"vnd.docker.reference.type": "attestation-manifest"});
    let config = memory.json("application/vnd.cncf.helm.config.v1+json", json!({}));
    let chart = memory.json(MANIFEST, json!({"schemaVersion": 2, "config": describe(&config), "layers": []}));
    let config = memory.json(CONFIG, json!({}));
    let json_layer = Descriptor::new("application/vnd.dev.cosign.simplesigning.v1+json", Digest::from_bytes(b"s"), 1);
    let signature = memory
        .json(MANIFEST, json!({"schemaVersion": 2, "config": describe(&config), "layers": [describe(&json_layer)]}));
    let root = memory.index(vec![attestation, promise(&image, "linux/amd64"), describe(&chart), describe(&signature)]);
    let selection = check(memory.select(&root, &[]), &[("linux/amd64", "linux/amd64")]);
    let artifact = |kind: &str| Why::Artifact(kind.to_string());
    let why: Vec<Why> = selection.skipped.into_iter().map(|entry| entry.why).collect();
    let helm = "application/vnd.cncf.helm.config.v1+json";
    assert_eq!(why, [Why::Attestation, artifact(helm), artifact(&json_layer.media_type)]);
    check_error(memory.select(&chart, &[]), &format!("{} is an artifact of type {helm}, not an image", chart.digest));
    let only = memory.index(vec![describe(&chart)]);
    let text = format!("no image in {}; it contains an artifact of type {helm}", only.digest);
    check_error(memory.select(&only, &[]), &text);
    let empty = memory.index(vec![]);
    check_error(memory.select(&empty, &[]), &format!("no image in {}; it is empty", empty.digest));
}

#[test]
fn a_platform_that_is_not_here_is_absent_and_not_broken() {
    let mut memory = Memory::default();
    let (here, gone) = (memory.image("amd64", 1, 1), memory.image("arm64", 1, 1));
    memory.blobs.remove(&gone.digest);
    let root = memory.index(vec![promise(&here, "linux/amd64"), promise(&gone, "linux/arm64")]);
    let selection = check(memory.select(&root, &[]), &[("linux/amd64", "linux/amd64")]);
    assert!(selection.broken.is_empty());
    assert_eq!(selection.skipped[0].why, Why::NotPresent { place: "the test's memory".into() });
    let selection = check(memory.select(&root, &["arm64"]), &[]);
    assert_eq!(selection.skipped.len(), 2);
}

/// A store that keeps documents without the layers.
struct Partial(Memory);

impl ImageSource for Partial {
    fn root(&self) -> Result<Descriptor, SourceError> {
        self.0.root()
    }

    fn open(&self, descriptor: &Descriptor) -> Result<Box<dyn Read + Send>, SourceError> {
        self.0.open(descriptor)
    }

    fn stamp(&self, descriptor: &Descriptor) -> Result<Option<crate::source::Stamp>, SourceError> {
        self.0.open(descriptor).map(|_| None)
    }

    fn is_partial(&self) -> bool {
        true
    }
}

/// containerd 2.1 after `ctr images pull --platform linux/amd64`.
#[test]
fn a_platform_whose_layers_were_not_pulled_is_absent() {
    let mut memory = Memory::default();
    memory.add(LAYER, [0]);
    let (here, gone) = (memory.image("amd64", 1, 1), memory.image("arm64", 2, 2));
    let root = memory.index(vec![promise(&here, "linux/amd64"), promise(&gone, "linux/arm64")]);
    // In other stores a missing layer is an error.
    check(memory.select(&root, &[]), &[("linux/amd64", "linux/amd64"), ("linux/arm64", "linux/arm64")]);
    let wanted = Wanted::default();
    let selection = check(select(&Partial(memory), &wanted), &[("linux/amd64", "linux/amd64")]);
    assert_eq!(selection.skipped[0].why, Why::NotPresent { place: "the test's memory".into() });
}

#[test]
fn a_broken_manifest_does_not_hide_the_others() {
    let mut memory = Memory::default();
    let (good, bad) = (memory.image("amd64", 1, 1), memory.image("arm64", 3, 2));
    let text = memory.add(MANIFEST, "no JSON");
    let root = memory.index(vec![promise(&bad, "linux/arm64"), promise(&good, "linux/amd64"), describe(&text)]);
    let selection = check(memory.select(&root, &[]), &[("linux/amd64", "linux/amd64")]);
    let errors: Vec<String> = selection.broken.iter().map(|broken| broken.error.to_string()).collect();
    assert_eq!(errors[0], format!("manifest {} has 3 layers, but its config has 2 diff_ids", bad.digest));
    assert!(errors[1].starts_with(&format!("reading manifest {}: not JSON", text.digest)), "{}", errors[1]);
}

#[test]
fn indexes_nest_and_pass_their_promise_down() {
    let mut memory = Memory::default();
    let image = memory.image("arm64", 1, 1);
    let inner = memory.index(vec![describe(&image)]);
    let root = memory.index(vec![promise(&inner, "linux/arm64"), promise(&image, "linux/arm64")]);
    // The image is listed twice under one promise, and read once.
    check(memory.select(&root, &[]), &[("linux/arm64", "linux/arm64")]);
}

#[test]
fn an_index_that_contains_itself_ends() {
    /// Answers every descriptor with an index that lists that descriptor.
    struct Mirror;
    impl ImageSource for Mirror {
        fn root(&self) -> Result<Descriptor, SourceError> {
            Ok(Descriptor::new(INDEX, Digest::from_bytes(b"mirror"), 10))
        }
        fn open(&self, _: &Descriptor) -> Result<Box<dyn Read + Send>, SourceError> {
            Ok(Box::new(&b"{\"manifests\": []}"[..]))
        }
    }
    assert!(select(&Mirror, &Wanted::default()).unwrap_err().to_string().contains("is longer than the 10 bytes"));
    // An index cannot contain its own digest, so this calls the check of digests directly.
    let mut selection = Selection {
        root: Descriptor::new(INDEX, Digest::from_bytes(b"a"), 1),
        index_annotations: None,
        images: vec![],
        broken: vec![],
        skipped: vec![],
    };
    let (descriptor, above) = (selection.root.clone(), vec![Digest::from_bytes(b"b")]);
    let top = IndexEntry { descriptor, promised: None, above, name: None };
    let index = |of: &[u8]| Index {
        manifests: vec![Descriptor::new(INDEX, Digest::from_bytes(of), 1)],
        annotations: BTreeMap::new(),
    };
    for name in [b"a", b"b"] {
        assert!(selection.sift(&Wanted::default(), &top, index(name), &mut HashSet::new()).is_empty());
    }
    let errors: Vec<String> = selection.broken.iter().map(|broken| broken.error.to_string()).collect();
    assert_eq!(errors, [b"a", b"b"].map(|name| format!("index {} contains itself", Digest::from_bytes(name))));
}

#[test]
fn depth_and_width_of_indexes_are_bounded() {
    let mut memory = Memory::default();
    let mut root = memory.image("amd64", 1, 1);
    for _ in 0..MAX_DEPTH + 2 {
        root = memory.index(vec![describe(&root)]);
    }
    let selection = memory.select(&root, &[]).unwrap();
    assert!(selection.images.is_empty());
    assert!(matches!(selection.broken[0].error, ImageError::TooDeep { .. }));
    let entries: Vec<Value> = (0..=MAX_MANIFESTS)
        .map(|number| describe(&Descriptor::new(MANIFEST, Digest::from_bytes(&number.to_le_bytes()), 1)))
        .collect();
    let root = memory.index(entries);
    check_error(memory.select(&root, &[]), &format!("index {} leads to more than 512 manifests", root.digest));
}

#[test]
fn a_gigabyte_manifest_is_refused_unread() {
    struct Endless(u64);
    impl ImageSource for Endless {
        fn root(&self) -> Result<Descriptor, SourceError> {
            Ok(Descriptor::new(MANIFEST, Digest::from_bytes(b"x"), self.0))
        }
        fn open(&self, descriptor: &Descriptor) -> Result<Box<dyn Read + Send>, SourceError> {
            assert!(descriptor.size <= 4 << 20, "it must not be opened");
            Ok(Box::new(std::io::repeat(b' ')))
        }
    }
    let name = Digest::from_bytes(b"x");
    for (size, text) in [
        (1 << 30, "its descriptor states 1073741824 bytes, but the limit is 4194304"),
        (4 << 20, "it is longer than the 4194304 bytes that its descriptor states"),
    ] {
        let error = select(&Endless(size), &Wanted::default()).unwrap_err();
        assert_eq!(error.to_string(), format!("reading manifest {name}: {text}"));
    }
}

#[test]
fn documents_are_checked_against_their_size_and_digest() {
    let mut memory = Memory::default();
    let root = memory.image("amd64", 1, 1);
    let bytes = memory.blobs[&root.digest].clone();
    memory.blobs.insert(root.digest.clone(), bytes[1..].to_vec());
    let (name, size) = (&root.digest, bytes.len());
    let text =
        format!("reading manifest {name}: it ends after {} of the {size} bytes that its descriptor states", size - 1);
    check_error(memory.select(&root, &[]), &text);
    let other = bytes.to_ascii_uppercase();
    memory.blobs.insert(root.digest.clone(), other.clone());
    let text = format!("reading manifest {name}: its content has a different digest: {}", Digest::from_bytes(&other));
    check_error(memory.select(&root, &[]), &text);
}

#[test]
fn a_diff_id_that_is_not_a_digest_is_an_error() {
    let mut memory = Memory::default();
    let config = memory.json(CONFIG, json!({"architecture": "amd64", "rootfs": {"diff_ids": ["sha256:12"]}}));
    let layer = describe(&Descriptor::new(LAYER, Digest::from_bytes(b"l"), 1));
    let root = memory.json(MANIFEST, json!({"schemaVersion": 2, "config": describe(&config), "layers": [layer]}));
    let text = format!("diff_id 0 of the config of manifest {} is not a digest: \"sha256:12\"", root.digest);
    check_error(memory.select(&root, &[]), &text);
}

#[test]
fn foreign_layers_may_lack_a_diff_id() {
    let mut memory = Memory::default();
    let own = DiffId(Digest::from_bytes(b"own"));
    let config = json!({"os": "windows", "architecture": "amd64", "rootfs": {"diff_ids": [own.to_string()]}});
    let config = memory.json(CONFIG, config);
    let foreign =
        Descriptor::new("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", Digest::from_bytes(b"f"), 1);
    let layers = [describe(&foreign), describe(&Descriptor::new(LAYER, Digest::from_bytes(b"l"), 1))];
    let root = memory.json(MANIFEST, json!({"schemaVersion": 2, "config": describe(&config), "layers": layers}));
    let selection = check(memory.select(&root, &[]), &[("-", "windows/amd64")]);
    let diff_ids: Vec<Option<DiffId>> = selection.images[0].layers.iter().map(|layer| layer.diff_id.clone()).collect();
    assert_eq!(diff_ids, [None, Some(own)]);
}
