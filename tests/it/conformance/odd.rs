//! Layers and histories that some engines refuse: imgarch names the engines, and refuses only what all of them refuse.

use super::*;
use crate::kit::images::{archive, gzip};

/// An image with one layer, and with this many steps in its history, as an archive that every engine loads.
fn image(name: &str, stored: &[u8], tar: &[u8], steps: usize) -> Vec<u8> {
    let step = |number: usize| json!({"created": "1970-01-01T00:00:00Z", "created_by": format!("step {number}")});
    let config = json!({
        "architecture": "amd64", "os": "linux", "config": {"Entrypoint": ["/app"]}, "author": name,
        "rootfs": {"type": "layers", "diff_ids": [Digest::from_bytes(tar).as_str()]},
        "history": (0..steps).map(step).collect::<Vec<_>>(),
    });
    let config = config.to_string().into_bytes();
    let blob = |bytes: &[u8]| format!("blobs/sha256/{}", Digest::from_bytes(bytes).hex());
    let described = |media_type: &str, bytes: &[u8]| json!({"mediaType": media_type, "digest": Digest::from_bytes(bytes).as_str(), "size": bytes.len()});
    let kind = "application/vnd.oci.image";
    let layer = if stored == tar { "layer.v1.tar" } else { "layer.v1.tar+gzip" };
    let manifest = json!({
        "schemaVersion": 2, "mediaType": format!("{kind}.manifest.v1+json"),
        "config": described(&format!("{kind}.config.v1+json"), &config),
        "layers": [described(&format!("{kind}.{layer}"), stored)],
    });
    let manifest = manifest.to_string().into_bytes();
    let mut entry = described(&format!("{kind}.manifest.v1+json"), &manifest);
    entry["annotations"] = json!({"io.containerd.image.name": format!("docker.io/library/{name}"),
        "org.opencontainers.image.ref.name": "1"});
    let list = json!([{"Config": blob(&config), "RepoTags": [name], "Layers": [blob(stored)]}]);
    let members = [
        (blob(stored), stored.to_vec()),
        (blob(&config), config),
        (blob(&manifest), manifest),
        ("index.json".to_string(), json!({"schemaVersion": 2, "manifests": [entry]}).to_string().into_bytes()),
        ("oci-layout".to_string(), br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec()),
        ("manifest.json".to_string(), list.to_string().into_bytes()),
    ];
    archive(&members)
}

/// Whether an engine loads an image and unpacks it.
fn accepts(engine: &engines::Engine, name: &str, path: &str) -> bool {
    let loaded = engine.try_docker(&["load", "--input", path]).status.success();
    loaded && engine.try_docker(&["create", "--network=none", name]).status.success()
}

#[test]
fn layers_that_one_engine_refuses_are_warnings_that_name_it() {
    let test = "layers_that_one_engine_refuses_are_warnings_that_name_it";
    let stores = [engines::Store::Classic, engines::Store::Containerd].map(|store| engines::docker(test, store));
    let [Some(classic), Some(containerd)] = stores else { return };
    let Some(podman) = engines::podman(test) else { return };
    let directory = tempfile::tempdir().unwrap();
    // Engines do not unpack a layer again that they have, so each image has its own.
    let layer = |number: &str| {
        let mut builder = tar::Builder::new(Vec::new());
        let program = crate::kit::elf::ElfBuilder::amd64().build();
        for (name, content) in [("app", program), ("number", number.as_bytes().to_vec())] {
            let mut header = tar::Header::new_gnu();
            header.set_mode(0o755);
            header.set_size(content.len() as u64);
            builder.append_data(&mut header, name, content.as_slice()).unwrap();
        }
        builder.into_inner().unwrap()
    };
    let followed_by = |tar: &[u8], tail: &[u8]| [gzip(tar), tail.to_vec()].concat();
    let [none, history, long, short, zeros] = ["1", "2", "3", "4", "5"].map(layer);
    let refused = "follow the compressed stream: podman and containerd refuse the layer";
    let by_classic = "docker's classic store refuses the image";
    // Whether Docker's classic store, Docker's containerd store and podman accept it, and the finding.
    type Case<'a> = (&'a str, Vec<u8>, &'a [u8], usize, [bool; 3], &'a str);
    let cases: [Case<'_>; 6] = [
        ("odd-none:1", gzip(&none), &none, 1, [true; 3], ""),
        ("odd-history:1", gzip(&history), &history, 2, [false, true, true], by_classic),
        ("odd-long:1", followed_by(&long, &[b'x'; 600]), &long, 1, [true, false, false], refused),
        ("odd-short:1", followed_by(&short, b"x"), &short, 1, [true, false, false], refused),
        ("odd-zeros:1", followed_by(&zeros, &[0; 512]), &zeros, 1, [true, false, false], refused),
        ("odd-empty:1", Vec::new(), b"", 1, [true; 3], ""),
    ];
    for (name, stored, tar, steps, expected, finding) in cases {
        let path = directory.path().join("image.tar");
        fs::write(&path, image(name, &stored, tar, steps)).unwrap();
        let path = path.display().to_string();
        let accepted = [classic, containerd, podman].map(|engine| accepts(engine, name, &path));
        assert_eq!(accepted, expected, "{name}");
        let (code, report) = scan(&[&path], &ImageOpener::default(), Stdio::null());
        let findings = report["images"][0]["platforms"][0]["findings"].as_array().unwrap();
        let odd: Vec<&Value> = findings.iter().filter(|one| one["code"] == "odd-layer").collect();
        let is_named = odd.iter().any(|one| one["message"].as_str().unwrap().contains(finding));
        assert!(odd.iter().all(|one| one["severity"] == "warning"), "{name}: {report:#}");
        assert_eq!((odd.is_empty(), is_named), (finding.is_empty(), !finding.is_empty()), "{name}: {report:#}");
        // Without a layer, the program is missing.
        assert_eq!(code, i32::from(tar.is_empty()), "{name}: {report:#}");
    }
}
