use std::io::Write;

use serde_json::json;

use super::*;
use crate::oci::Document;

const LAYER: &[u8] = b"a layer's tar";

fn config() -> Vec<u8> {
    json!({"os": "linux", "architecture": "arm64", "rootfs": {"diff_ids": vec![Digest::from_bytes(LAYER).to_string(); 2]}})
        .to_string()
        .into_bytes()
}

fn archive(members: &[(&str, &[u8])]) -> File {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in members {
        let mut header = tar::Header::new_gnu();
        match bytes.strip_prefix(b"-> ") {
            Some(target) => {
                header.set_entry_type(tar::EntryType::Symlink);
                header.set_size(0);
                builder.append_link(&mut header, name, std::str::from_utf8(target).unwrap()).unwrap();
            }
            None => {
                header.set_size(bytes.len() as u64);
                builder.append_data(&mut header, name, *bytes).unwrap();
            }
        }
    }
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&builder.into_inner().unwrap()).unwrap();
    file
}

fn open(members: &[(&str, &[u8])], selector: &str) -> Result<Archive, SourceError> {
    Archive::open(archive(members), "a.tar", &Selector::parse(selector))
}

fn read(source: &Archive, digest: &Digest) -> Result<Vec<u8>, SourceError> {
    let mut bytes = Vec::new();
    source.open(&Descriptor::new("", digest.clone(), 0))?.read_to_end(&mut bytes).unwrap();
    Ok(bytes)
}

fn document(source: &Archive, digest: &Digest) -> Document {
    let bytes = read(source, digest).unwrap();
    assert_eq!(Digest::from_bytes(&bytes), *digest, "documents match their digests");
    Document::parse(&bytes).unwrap()
}

/// The root is a manifest whose config and layers have these bytes.
fn check(source: &Archive, layers: &[&[u8]]) {
    let Document::Manifest(manifest) = document(source, &source.root().unwrap().digest) else { panic!("no manifest") };
    assert_eq!(read(source, &manifest.config.digest).unwrap(), config());
    let stored: Vec<Vec<u8>> = manifest.layers.iter().map(|layer| read(source, &layer.digest).unwrap()).collect();
    assert_eq!(stored, layers);
    for (layer, bytes) in manifest.layers.iter().zip(layers) {
        assert_eq!((&layer.digest, layer.size), (&Digest::from_bytes(bytes), bytes.len() as u64));
    }
}

fn saved(config: &str, layers: &[&str], tag: &str) -> serde_json::Value {
    json!({"Config": config, "RepoTags": [tag], "Layers": layers})
}

fn blob(bytes: &[u8]) -> String {
    blob_name(&Digest::from_bytes(bytes))
}

fn index(manifests: &[&[u8]]) -> Vec<u8> {
    let entry =
        |bytes: &&[u8]| json!({"mediaType": "", "digest": Digest::from_bytes(bytes).as_str(), "size": bytes.len()});
    json!({"schemaVersion": 2, "manifests": manifests.iter().map(entry).collect::<Vec<_>>()}).to_string().into_bytes()
}

fn oci_manifest(layers: &[&[u8]]) -> Vec<u8> {
    let entry =
        |bytes: &[u8]| json!({"mediaType": "", "digest": Digest::from_bytes(bytes).as_str(), "size": bytes.len()});
    let layers: Vec<_> = layers.iter().map(|bytes| entry(bytes)).collect();
    json!({"schemaVersion": 2, "config": entry(&config()), "layers": layers}).to_string().into_bytes()
}

#[test]
fn an_old_docker_archive_reads_with_its_linked_layers() {
    let list = json!([saved("c.json", &["one/layer.tar", "two/layer.tar"], "app:1")]).to_string();
    let source = open(
        &[
            ("c.json", &config()),
            ("one/layer.tar", LAYER),
            ("two/layer.tar", b"-> ../one/layer.tar"),
            ("manifest.json", list.as_bytes()),
        ],
        "app:1",
    );
    check(&source.unwrap(), &[LAYER, LAYER]);
}

#[test]
fn a_compressed_layer_of_a_docker_archive_has_the_digest_of_what_is_stored() {
    let stored = [&[0x1f, 0x8b], LAYER].concat();
    let list = json!([saved("c.json", &["l.tar.gz", "l.tar.gz"], "app:1")]).to_string();
    let members: [(&str, &[u8]); 3] =
        [("c.json", &config()), ("l.tar.gz", &stored), ("manifest.json", list.as_bytes())];
    check(&open(&members, "").unwrap(), &[&stored, &stored]);
}

#[test]
fn several_saved_images_are_one_index_and_each_selects_by_its_name() {
    let list = json!([saved("c.json", &["l"], "app:1"), saved("d.json", &["l"], "app:2")]).to_string();
    let other = json!({"rootfs": {"diff_ids": [Digest::from_bytes(LAYER).as_str()]}}).to_string();
    let members: [(&str, &[u8]); 4] =
        [("c.json", &config()), ("d.json", other.as_bytes()), ("l", LAYER), ("manifest.json", list.as_bytes())];
    let source = open(&members, "").unwrap();
    let Document::Index(index) = document(&source, &source.root().unwrap().digest) else { panic!("no index") };
    assert_eq!(index.manifests.len(), 2);
    assert!(matches!(document(&source, &index.manifests[1].digest), Document::Manifest(_)));
    check(&open(&members, "app:1").unwrap(), &[LAYER]);
    assert!(matches!(open(&members, "app:3").unwrap_err().bare(), SourceError::NotFound { .. }));
}

#[test]
fn a_new_docker_archive_keeps_the_manifest_that_its_index_names() {
    let manifest = oci_manifest(&[LAYER, LAYER]);
    let list = json!([saved(&blob(&config()), &[&blob(LAYER), &blob(LAYER)], "app:1")]).to_string();
    let (index, names) = (index(&[&manifest]), [blob(&config()), blob(LAYER), blob(&manifest)]);
    let source = open(
        &[
            (&names[0], &config()),
            (&names[1], LAYER),
            (&names[2], &manifest),
            ("index.json", &index),
            ("manifest.json", list.as_bytes()),
        ],
        "app:1",
    )
    .unwrap();
    assert_eq!(source.root().unwrap().digest, Digest::from_bytes(&manifest));
    check(&source, &[LAYER, LAYER]);
}

#[test]
fn a_manifest_without_layers_is_replaced_by_the_one_from_manifest_json() {
    let manifest = oci_manifest(&[]);
    let list = json!([saved(&blob(&config()), &[&blob(LAYER), &blob(LAYER)], "app:1")]).to_string();
    let (index, names) = (index(&[&manifest]), [blob(&config()), blob(LAYER), blob(&manifest)]);
    let source = open(
        &[
            (&names[0], &config()),
            (&names[1], LAYER),
            (&names[2], &manifest),
            ("index.json", &index),
            ("manifest.json", list.as_bytes()),
        ],
        "",
    );
    check(&source.unwrap(), &[LAYER, LAYER]);
}

#[test]
fn an_image_that_the_index_leaves_out_is_read_by_manifest_json() {
    let list = json!([saved(&blob(&config()), &[&blob(LAYER), &blob(LAYER)], "app:1")]).to_string();
    let names = [blob(&config()), blob(LAYER)];
    let members: [(&str, &[u8]); 4] = [
        (&names[0], &config()),
        (&names[1], LAYER),
        ("index.json", br#"{"schemaVersion":2,"manifests":[]}"#),
        ("manifest.json", list.as_bytes()),
    ];
    check(&open(&members, "").unwrap(), &[LAYER, LAYER]);
}

#[test]
fn a_listed_platform_whose_blobs_are_elsewhere_is_not_present() {
    let (here, elsewhere) = (oci_manifest(&[LAYER]), oci_manifest(&[b"other"]));
    let inner = index(&[&here, &elsewhere]);
    let list = json!([saved(&blob(&config()), &[&blob(LAYER)], "app:1")]).to_string();
    let (index, names) = (index(&[&inner]), [blob(&config()), blob(LAYER), blob(&here), blob(&inner)]);
    let source = open(
        &[
            (&names[0], &config()),
            (&names[1], LAYER),
            (&names[2], &here),
            (&names[3], &inner),
            ("index.json", &index),
            ("manifest.json", list.as_bytes()),
        ],
        "",
    )
    .unwrap();
    assert_eq!(source.root().unwrap().digest, Digest::from_bytes(&inner));
    assert!(read(&source, &Digest::from_bytes(&here)).is_ok());
    assert!(matches!(read(&source, &Digest::from_bytes(&elsewhere)), Err(SourceError::NotPresent { .. })));
}

#[test]
fn indexes_that_contain_one_another_end() {
    // The names state false digests. Nothing is verified here, so the search itself must end.
    let (a, b) = (Digest::from_bytes(b"a"), Digest::from_bytes(b"b"));
    let of = |digest: &Digest| {
        let entry = json!({"mediaType": "", "digest": digest.as_str(), "size": 1});
        json!({"manifests": vec![entry; 100]}).to_string().into_bytes()
    };
    let list = json!([saved("c.json", &["l", "l"], "app:1")]).to_string();
    let (root, names) = (of(&a), [blob_name(&a), blob_name(&b)]);
    let source = open(
        &[
            ("index.json", &root),
            (&names[0], &of(&b)),
            (&names[1], &of(&a)),
            ("c.json", &config()),
            ("l", LAYER),
            ("manifest.json", list.as_bytes()),
        ],
        "app:1",
    );
    check(&source.unwrap(), &[LAYER, LAYER]);
}

#[test]
fn an_archive_read_in_one_pass_keeps_its_documents_and_layer_digests() {
    let list = json!([saved("c.json", &["one/layer.tar", "two/layer.tar"], "app:1")]).to_string();
    let mut members = Members::passing("standard input");
    let passed = ArchiveMember::Passed { digest: Digest::from_bytes(LAYER), size: LAYER.len() as u64 };
    members.add("one/layer.tar", passed).unwrap();
    members.add("two/layer.tar", ArchiveMember::Link("one/layer.tar".to_string())).unwrap();
    members.add("c.json", ArchiveMember::Document(config().into())).unwrap();
    members.add("manifest.json", ArchiveMember::Document(list.into_bytes().into())).unwrap();
    let source = Archive::from_members(members, &Selector::All).unwrap();
    let Document::Manifest(manifest) = document(&source, &source.root().unwrap().digest) else { panic!("no manifest") };
    assert_eq!(manifest.layers[1].digest, Digest::from_bytes(LAYER));
    assert_eq!(read(&source, &manifest.config.digest).unwrap(), config());
    assert!(matches!(read(&source, &Digest::from_bytes(LAYER)), Err(SourceError::NotPresent { .. })));
}

#[test]
fn other_archives_are_errors_that_name_their_kind() {
    let cases = [
        ("repositories", "before Docker 1.10"),
        ("etc/passwd", "the tar of a file system"),
        ("readme", "not an image archive"),
    ];
    for (name, words) in cases {
        let text = open(&[(name, b"x")], "").unwrap_err().to_string();
        assert!(text.contains(words), "{text}");
    }
}

#[test]
fn a_compressed_layer_named_a_million_times_is_hashed_once_and_refused() {
    let stored = [&[0x1f, 0x8b][..], &vec![0; 1 << 20]].concat();
    let many = vec!["l.tar.gz"; 200_000];
    let list = json!([saved("c.json", &many, "app:1")]).to_string();
    let members: [(&str, &[u8]); 3] =
        [("c.json", &config()), ("l.tar.gz", &stored), ("manifest.json", list.as_bytes())];
    assert!(matches!(open(&members, ""), Err(SourceError::TooLarge { .. })));
    let list = json!([saved("c.json", &many[..50_000], "app:1")]).to_string();
    let members: [(&str, &[u8]); 3] =
        [("c.json", &config()), ("l.tar.gz", &stored), ("manifest.json", list.as_bytes())];
    // 50 GiB if it were read each time.
    assert!(open(&members, "").is_ok());
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(256))]
    #[test]
    fn a_mutated_archive_ends_in_an_image_or_an_error(changes: Vec<(proptest::sample::Index, u8)>, end: proptest::sample::Index) {
        let list = json!([saved("c.json", &["one/layer.tar", "two/layer.tar"], "app:1")]).to_string();
        let mut bytes = Vec::new();
        let mut whole = archive(&[
            ("index.json", &index(&[&oci_manifest(&[LAYER])])),
            ("c.json", &config()),
            ("one/layer.tar", LAYER),
            ("two/layer.tar", b"-> ../one/layer.tar"),
            ("manifest.json", list.as_bytes()),
        ]);
        std::io::Seek::rewind(&mut whole).unwrap();
        whole.read_to_end(&mut bytes).unwrap();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        // An unmutated file is truncated as well.
        bytes.truncate(end.index(bytes.len()) + 1);
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        if let Ok(source) = Archive::open(file, "a.tar", &Selector::All) {
            let _ = read(&source, &source.root().unwrap().digest);
        }
    }
}
