//! Layers that are read in part, from a real registry: the verdict is that of reading everything.

use std::path::Path;

use imgarch::oci::Digest;
use serde_json::{Value, json};

use crate::kit::elf::ElfBuilder;
use crate::kit::engines;
use crate::kit::registry::{FakeRegistry, OCI_CONFIG, OCI_INDEX, OCI_MANIFEST};
use crate::kit::small::{Small, imgarch, said, write_layout};
use crate::kit::soci::{ZtocWriter, compress};

/// Bytes that do not compress.
fn noise(length: usize) -> Vec<u8> {
    let block = |at: usize| Digest::from_bytes(&at.to_le_bytes()).hex().to_string();
    let hex = (0..length / 32).map(block).collect::<String>();
    hex.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

/// A program that needs a library, with its loader, a foreign program next to it, and 8 MiB of other data.
fn image(library: Option<&ElfBuilder>) -> Small {
    sized(library, 8 << 20)
}

/// The same with another size of the other data.
fn sized(library: Option<&ElfBuilder>, large: usize) -> Small {
    let loader = "/lib64/ld-linux-x86-64.so.2";
    let program = ElfBuilder::amd64().interp(loader).needed("libq.so.1");
    let mut image = Small::new("amd64", program.padding(300_000).build())
        .file(&loader[1..], 0o755, ElfBuilder::amd64().soname("ld-linux-x86-64.so.2").padding(200_000).build())
        .file("opt/large", 0o644, noise(large))
        .file("opt/tool", 0o755, ElfBuilder::arm64().padding(200_000).build())
        .file("etc/passwd", 0o644, b"root:x:0:0:root:/root:/bin/sh\n".to_vec());
    if let Some(library) = library {
        image = image.file("usr/lib/libq.so.1", 0o644, library.clone().padding(400_000).build());
    }
    image
}

/// Scans a name, and returns the image's report and the exit code.
fn scan(directory: &Path, name: &str, more: &[&str]) -> (Value, i32) {
    let (stdout, code) =
        said(&imgarch(directory, &[&["scan", "--no-cache", "--format", "json", name], more].concat(), &[]));
    let report: Value = serde_json::from_str(&stdout).unwrap_or_else(|_| panic!("{name}: {stdout}"));
    (report["images"][0].clone(), code)
}

#[test]
fn a_layer_with_a_table_of_contents_is_judged_from_a_few_of_its_bytes() {
    let test = "a_layer_with_a_table_of_contents_is_judged_from_a_few_of_its_bytes";
    let Some(registry) = engines::registry(test) else { return };
    let cases = [
        ("sound", image(Some(&ElfBuilder::amd64().soname("libq.so.1")))),
        ("lacking", image(None)),
        ("foreign", image(Some(&ElfBuilder::arm64().soname("libq.so.1")))),
    ];
    for (name, image) in cases {
        let directory = tempfile::tempdir().unwrap();
        write_layout(&directory.path().join("layout"), &[image]);
        let place = format!("{}/lazy:{name}", registry.address);
        let from = format!("oci:{}:v1", directory.path().join("layout").display());
        let flags = ["copy", "--quiet", "--all", "--dest-tls-verify=false", "--dest-compress"];
        let format = ["--dest-compress-format", "zstd:chunked"];
        engines::run("skopeo", &[&flags[..], &format, &[&from, &format!("docker://{place}")]].concat());
        let (whole, code) = scan(directory.path(), &place, &[]);
        let (partly, partly_code) = scan(directory.path(), &place, &["--lazy"]);
        assert_eq!((partly_code, &partly["platforms"]), (code, &whole["platforms"]), "{name}");
        let line = partly["skipped"][0].as_str().unwrap_or_default();
        assert!(
            line.starts_with("1 of 1 layers were read in part (zstd:chunked, ") && line.contains("diffIDs"),
            "{line}"
        );
        let read: u64 = line.split(['(', ' ']).filter_map(|word| word.parse().ok()).nth(2).unwrap();
        assert!(read < 1 << 20, "{name}: {line}");
        assert_eq!(whole["skipped"], serde_json::json!([]));
    }
}

#[test]
fn a_layer_without_a_table_of_contents_is_read_in_full() {
    let directory = tempfile::tempdir().unwrap();
    write_layout(&directory.path().join("layout"), &[image(None)]);
    let (whole, code) = scan(directory.path(), "oci:layout", &[]);
    assert_eq!(scan(directory.path(), "oci:layout", &["--lazy"]), (whole, code));
}

/// How a SOCI index is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SociIndex {
    /// By the annotation of the image's manifest, which the image's index has too, and as an entry of that index.
    Listed,
    /// By the annotation alone.
    Annotated,
    Referrer,
    ReferrerByTag,
}

/// Stores an image with one layer in plain gzip and its SOCI index. Returns the image's name.
fn put_with_soci(fake: &FakeRegistry, name: &str, image: &Small, kind: SociIndex, edit: fn(&mut ZtocWriter)) -> String {
    let tar = image.layer();
    let (stored, checkpoints) = compress(&tar, 256 << 10, true, 1);
    let digest = |bytes: &[u8]| Digest::from_bytes(bytes).to_string();
    let mut ztoc = ZtocWriter::new(&tar, &stored, checkpoints, digest);
    edit(&mut ztoc);
    let ztoc = ztoc.write();
    let blob = |media_type: &str, bytes: &[u8]| {
        fake.put_blob(bytes);
        json!({"mediaType": media_type, "digest": digest(bytes), "size": bytes.len()})
    };
    let config = json!({"architecture": "amd64", "os": "linux", "config": {"Entrypoint": [image.entrypoint]},
        "rootfs": {"type": "layers", "diff_ids": [digest(&tar)]}});
    let layer = blob("application/vnd.oci.image.layer.v1.tar+gzip", &stored);
    let mut manifest = json!({"schemaVersion": 2, "mediaType": OCI_MANIFEST,
        "config": blob(OCI_CONFIG, config.to_string().as_bytes()), "layers": [layer]});
    let is_bound = matches!(kind, SociIndex::Listed | SociIndex::Annotated);
    let version = if is_bound { 2 } else { 1 };
    let soci_type = format!("application/vnd.amazon.soci.index.v{version}+json");
    let mut entry = blob("application/octet-stream", &ztoc);
    entry["annotations"] = json!({"com.amazon.soci.image-layer-digest": layer["digest"],
        "com.amazon.soci.image-layer-mediaType": layer["mediaType"], "com.amazon.soci.span-size": "262144"});
    let mut soci = json!({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "layers": [entry],
        "config": blob(&soci_type, b"{}"), "annotations": {"com.amazon.soci.build-tool-identifier": "test"}});
    let described = |bytes: &[u8]| json!({"mediaType": OCI_MANIFEST, "digest": digest(bytes), "size": bytes.len()});
    let put = |tag: Option<&str>, media_type: &str, document: &Value| {
        fake.put_manifest("lazy", tag, media_type, document.to_string().as_bytes()).to_string()
    };
    if is_bound {
        put(None, OCI_MANIFEST, &soci);
        let text = soci.to_string();
        manifest["annotations"] = json!({"com.amazon.soci.index-digest": digest(text.as_bytes())});
        put(Some(name), OCI_MANIFEST, &manifest);
        if kind == SociIndex::Listed {
            let mut own = described(manifest.to_string().as_bytes());
            own["platform"] = json!({"os": "linux", "architecture": "amd64"});
            own["annotations"] = manifest["annotations"].clone();
            let mut listed = described(text.as_bytes());
            listed["platform"] = own["platform"].clone();
            listed["artifactType"] = json!(soci_type);
            put(
                Some(name),
                OCI_INDEX,
                &json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [own, listed]}),
            );
        }
    } else {
        let image = put(Some(name), OCI_MANIFEST, &manifest);
        soci["subject"] = described(manifest.to_string().as_bytes());
        put(None, OCI_MANIFEST, &soci);
        let mut listed = described(soci.to_string().as_bytes());
        listed["artifactType"] = json!(soci_type);
        let mut other = described(b"a signature");
        other["artifactType"] = json!("application/vnd.dev.sigstore.bundle.v0.3+json");
        let list = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [other, listed]});
        let tag = if kind == SociIndex::Referrer { format!("referrers-{image}") } else { image.replace(':', "-") };
        put(Some(&tag), OCI_INDEX, &list);
    }
    format!("{}/lazy:{name}", fake.host)
}

#[test]
fn a_layer_in_plain_gzip_is_judged_through_its_soci_index() {
    let directory = tempfile::tempdir().unwrap();
    let large = 4 << 20;
    let cases = [
        ("sound", sized(Some(&ElfBuilder::amd64().soname("libq.so.1")), large), SociIndex::Listed),
        ("lacking", sized(None, large), SociIndex::Annotated),
        ("foreign", sized(Some(&ElfBuilder::arm64().soname("libq.so.1")), large), SociIndex::Referrer),
        ("old", sized(Some(&ElfBuilder::amd64().soname("libq.so.1")), large), SociIndex::ReferrerByTag),
    ];
    for (name, image, kind) in cases {
        let fake = FakeRegistry::start();
        if kind == SociIndex::Referrer {
            fake.list_referrers();
        }
        let place = put_with_soci(&fake, name, &image, kind, |_| {});
        let (whole, code) = scan(directory.path(), &place, &[]);
        let (partly, partly_code) = scan(directory.path(), &place, &["--lazy"]);
        assert_eq!((partly_code, &partly["platforms"]), (code, &whole["platforms"]), "{name}");
        let line =
            partly["skipped"].as_array().unwrap().iter().filter_map(Value::as_str).find(|line| line.contains("SOCI"));
        let line = line.unwrap_or_default();
        assert!(line.starts_with("1 of 1 layers were read in part (SOCI, ") && line.contains("diffIDs"), "{line}");
        let is_referrer = matches!(kind, SociIndex::Referrer | SociIndex::ReferrerByTag);
        assert_eq!(line.contains("anyone who can push"), is_referrer, "{line}");
    }
}

#[test]
fn a_layer_that_does_not_match_its_ztoc_is_read_in_full() {
    let directory = tempfile::tempdir().unwrap();
    type Edit = fn(&mut ZtocWriter);
    let edits: [(&str, Edit); 3] = [
        ("version", |ztoc| ztoc.version = "1.0"),
        ("digests", |ztoc| ztoc.digests.reverse()),
        ("windows", |ztoc| ztoc.checkpoints.iter_mut().for_each(|own| own.stored += 1)),
    ];
    for (name, edit) in edits {
        let fake = FakeRegistry::start();
        let image = sized(Some(&ElfBuilder::amd64().soname("libq.so.1")), 1 << 20);
        let place = put_with_soci(&fake, name, &image, SociIndex::Annotated, edit);
        let whole = scan(directory.path(), &place, &[]);
        assert_eq!(scan(directory.path(), &place, &["--lazy"]), whole, "{name}");
    }
}
