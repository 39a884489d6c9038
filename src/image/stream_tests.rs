//! Archives read in one pass, in the orders and forms that engines write.

use serde_json::{Value, json};

use super::*;
use crate::image::testing::{compress, file, header, padded, tar_of};
use crate::image::{Wanted, select};
use crate::oci::Descriptor;
use crate::source::Selector;
use crate::source::archive::Archive;

const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

fn stream(archive: Vec<u8>) -> Result<Streamed<String>, ImageError> {
    read_stream(Box::new(io::Cursor::new(archive)), "the archive", &Limits::default(), &mut |_, reader| {
        let mut text = String::new();
        reader.read_to_string(&mut text).ok()?;
        Some(text)
    })
}

/// Reads the archive, finds its single image, and returns the content of its layers' files, lowest layer first.
fn check(archive: Vec<u8>, expected: &[&str]) {
    let mut streamed = stream(archive).unwrap();
    let source = Archive::from_members(streamed.members.take(), &Selector::All).unwrap();
    let selection = select(&source, &Wanted::default()).unwrap();
    let mut texts = Vec::new();
    for layer in &selection.images[0].layers {
        let read = streamed.take(layer).unwrap();
        texts.push(read.contents.fact(0).clone());
        assert!(streamed.take(layer).unwrap_err().is_unverified());
    }
    assert_eq!(texts, expected);
}

fn layer(text: &str) -> Vec<u8> {
    tar_of(&[file("file", text.as_bytes())])
}

/// Members of an OCI archive, blobs first, of an image with these stored layers.
fn oci_members(tars: &[Vec<u8>], stored: &[Vec<u8>]) -> Vec<(String, Vec<u8>)> {
    let mut members = Vec::new();
    let mut add = |bytes: Vec<u8>, media_type: &str| -> Value {
        let descriptor = Descriptor::new(media_type, Digest::from_bytes(&bytes), bytes.len() as u64);
        members.push((format!("blobs/sha256/{}", descriptor.digest.hex()), bytes));
        json!({"mediaType": media_type, "digest": descriptor.digest.as_str(), "size": descriptor.size})
    };
    let layers: Vec<Value> = stored.iter().map(|bytes| add(bytes.clone(), LAYER)).collect();
    let ids: Vec<String> = tars.iter().map(|tar| Digest::from_bytes(tar).to_string()).collect();
    let config = json!({"os": "linux", "architecture": "arm64", "rootfs": {"diff_ids": ids}});
    let config = add(config.to_string().into_bytes(), "application/vnd.oci.image.config.v1+json");
    let manifest = json!({"schemaVersion": 2, "config": config, "layers": layers}).to_string().into_bytes();
    let manifest = add(manifest, "application/vnd.oci.image.manifest.v1+json");
    let index = json!({"schemaVersion": 2, "manifests": [manifest]}).to_string().into_bytes();
    members.push(("index.json".into(), index));
    members.push(("oci-layout".into(), br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec()));
    members
}

fn archive(members: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut tar = Vec::new();
    for (name, bytes) in members {
        tar.extend_from_slice(&header(b'0', name.as_bytes(), b"", bytes.len() as u64));
        tar.extend_from_slice(&padded(bytes));
    }
    tar.extend_from_slice(&[0; 1024]);
    tar
}

fn sample() -> Vec<(String, Vec<u8>)> {
    let tars = [layer("one"), layer("two")];
    oci_members(&tars, &[compress(&tars[0], Compression::Gzip), compress(&tars[1], Compression::Zstd)])
}

#[test]
fn blobs_may_come_before_or_after_the_index_that_names_them() {
    let mut members = sample();
    check(archive(&members), &["one", "two"]);
    members.reverse();
    check(archive(&members), &["one", "two"]);
}

#[test]
fn the_archive_itself_may_be_compressed() {
    for compression in [Compression::Gzip, Compression::Zstd] {
        check(compress(&archive(&sample()), compression), &["one", "two"]);
    }
    let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    std::io::Write::write_all(&mut encoder, &archive(&sample())).unwrap();
    check(encoder.finish().unwrap(), &["one", "two"]);
}

#[test]
fn an_old_docker_archive_has_links_for_repeated_layers() {
    let tars = [layer("one"), layer("two"), layer("one")];
    let ids: Vec<String> = tars.iter().map(|tar| Digest::from_bytes(tar).to_string()).collect();
    let config = json!({"os": "linux", "architecture": "amd64", "rootfs": {"diff_ids": ids}}).to_string();
    let manifest =
        json!([{"Config": "c.json", "RepoTags": ["app:1"], "Layers": ["1/layer.tar", "2/layer.tar", "3/layer.tar"]}]);
    let manifest = manifest.to_string();
    let members: [crate::image::testing::TestMember<'_>; 8] = [
        (b'5', b"1/", b"", b""),
        file("1/VERSION", b"1.0"),
        file("1/layer.tar", &tars[0]),
        file("2/layer.tar", &tars[1]),
        (b'2', b"3/layer.tar", b"../1/layer.tar", b""),
        file("c.json", config.as_bytes()),
        file("manifest.json", manifest.as_bytes()),
        file("empty", b""),
    ];
    let mut streamed = stream(tar_of(&members)).unwrap();
    let source = Archive::from_members(streamed.members.take(), &Selector::All).unwrap();
    let layers = select(&source, &Wanted::default()).unwrap().images[0].layers.clone();
    assert_eq!(layers[0].descriptor.digest, layers[2].descriptor.digest);
    assert_eq!(streamed.take(&layers[0]).unwrap().contents.fact(0), "one");
    assert_eq!(streamed.take(&layers[1]).unwrap().contents.fact(0), "two");
}

#[test]
fn a_broken_layer_fails_its_image_and_not_the_archive() {
    let tars = [layer("one"), layer("two")];
    let mut cut = compress(&tars[0], Compression::Gzip);
    cut.truncate(cut.len() - 5);
    let stored = [cut, compress(&tars[1], Compression::Gzip)];
    let mut streamed = stream(archive(&oci_members(&tars, &stored))).unwrap();
    let source = Archive::from_members(streamed.members.take(), &Selector::All).unwrap();
    let layers = select(&source, &Wanted::default()).unwrap().images[0].layers.clone();
    let name = layers[0].descriptor.digest.short();
    let error = streamed.take(&layers[0]).unwrap_err().to_string();
    assert_eq!(error, format!("reading layer 1 ({name}...): unexpected end of gzip stream"));
    assert_eq!(streamed.take(&layers[1]).unwrap().contents.fact(0), "two");
}

#[test]
fn an_archive_truncated_at_any_position_is_an_error() {
    let whole = archive(&sample());
    let text = |bytes: &[u8]| stream(bytes.to_vec()).unwrap_err().to_string();
    assert_eq!(text(&whole[..600]), "the archive is malformed: unexpected end of the archive");
    assert_eq!(text(&whole[..1000]), "the archive is malformed: unexpected end of tar");
    assert_eq!(text(&whole[..1024 + 100]), "the archive is malformed: unexpected end of tar");
    assert_eq!(text(&compress(&whole, Compression::Gzip)[..200]), "the archive: unexpected end of gzip stream");
    assert_eq!(text(b""), "the archive is malformed: it is empty");
    assert_eq!(text(&[0xfd, b'7', b'z', b'X', b'Z', 0, 0, 0]), "the archive is malformed: unexpected end of xz");
    assert!(text(b"no archive").starts_with("the archive is malformed: it is neither a tar nor gzip nor zstd"));
}

#[test]
fn a_blob_missing_from_a_truncated_archive_is_reported_as_truncation() {
    let whole = archive(&sample());
    // Its last member and its end marker are missing.
    let cut = whole[..whole.len() - 1024 - 1024].to_vec();
    let missing = Descriptor::new(LAYER, Digest::from_bytes(b"absent"), 6);
    for (bytes, expected) in [(cut, "it is truncated"), (whole, "is not present in")] {
        let mut streamed = stream(bytes).unwrap();
        assert!(streamed.members.absent(&missing.digest).to_string().contains(expected));
        streamed.members.take();
        assert!(
            streamed.members.absent(&missing.digest).to_string().contains(expected),
            "after its members were taken"
        );
    }
}

#[test]
fn endless_bytes_after_an_archive_are_not_read() {
    let endless = Box::new(io::Cursor::new(archive(&sample())).chain(io::repeat(0)));
    assert!(read_stream(endless, "the archive", &Limits::default(), &mut |_, _| Some(())).is_ok());
}

#[test]
fn an_archive_that_is_interrupted_is_read_on() {
    struct Interrupted(io::Cursor<Vec<u8>>, bool);
    impl Read for Interrupted {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            self.1 = !self.1;
            if self.1 { Err(io::ErrorKind::Interrupted.into()) } else { self.0.read(into) }
        }
    }
    let noise = vec![7; 3 * BUFFER];
    let members = [("noise".to_string(), noise)];
    let reader = Box::new(Interrupted(io::Cursor::new(archive(&members)), false));
    assert!(read_stream(reader, "the archive", &Limits::default(), &mut |_, _| Some(())).is_ok());
}

#[test]
fn useless_documents_are_not_stored() {
    let statement = format!("{{\"_type\":\"https://in-toto.io/Statement/v0.1\",\"x\":\"{}\"}}", "y".repeat(5000));
    let huge = format!("[{}]", " ".repeat(DOCUMENT_LIMIT as usize));
    let members = [file("statement", statement.as_bytes()), file("huge", huge.as_bytes()), file("small", b" {}")];
    let streamed = stream(tar_of(&members)).unwrap();
    for (name, bytes) in [("statement", &statement), ("huge", &huge)] {
        let expected = Digest::from_bytes(bytes.as_bytes());
        let member = streamed.members.find(name).unwrap();
        assert!(matches!(member, ArchiveMember::Passed { digest, .. } if *digest == expected), "{name}");
    }
    assert!(matches!(streamed.members.find("small"), Some(ArchiveMember::Document(bytes)) if **bytes == *b" {}"));
}

#[test]
fn a_layer_whose_first_name_looks_like_json_is_a_layer() {
    let odd = tar_of(&[file("{odd}", b"text")]);
    let streamed = stream(tar_of(&[file("layer.tar", &odd)])).unwrap();
    assert!(streamed.layers[&Digest::from_bytes(&odd)].read.is_ok());
    let source = Archive::from_members(streamed.members, &Selector::All);
    assert!(source.is_err_and(|error| error.to_string().contains("not an image archive")));
}
