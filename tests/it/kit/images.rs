//! One image in code, and every format in which an image can be stored on disk. It has two platforms. The second is the
//! classic incident: labelled arm64, but its entrypoint is an x86-64 program from the third layer. It also has
//! whiteouts, an opaque directory, hard links (one to a lower layer), a directory replaced by a file, a fifo, setuid, a
//! long name, and layers that are gzip, zstd and uncompressed.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use imgarch::oci::Digest;

use super::elf::ElfBuilder;
use serde_json::{Value, json};

/// The image's name in every format.
pub const NAME: &str = "docker.io/library/conformance:1";
/// The name as users type it.
pub const SHORT: &str = "conformance:1";
pub const PLATFORMS: [&str; 2] = ["amd64", "arm64"];

pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// The image with all its blobs.
pub struct Sample {
    pub blobs: BTreeMap<Digest, Vec<u8>>,
    /// One image for each platform, in the order of [`PLATFORMS`].
    pub images: Vec<PlatformImage>,
    /// The image's own index, with both platforms.
    pub index: Vec<u8>,
}

pub struct PlatformImage {
    pub manifest: Vec<u8>,
    pub config: Vec<u8>,
    pub layers: Vec<StoredLayer>,
}

#[derive(Clone)]
pub struct StoredLayer {
    pub tar: Vec<u8>,
    pub stored: Vec<u8>,
    pub media_type: String,
}

/// How many features of the image format the sample uses. The merged files are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Breadth {
    /// Everything that the specification allows.
    Whole,
    /// Without a hard link to a lower layer's file, which neither Docker nor containerd can unpack on overlayfs.
    ForDocker,
    /// The same, but with different manifests, so that no other test puts them into the shared engine.
    ForPull,
    /// Also without zstd, which no Docker schema 2 image may have.
    ForSchema2,
}

/// The kind of a layer's entry, with its content or target.
#[derive(Clone, Copy)]
enum Kind<'a> {
    Directory,
    File(&'a [u8]),
    HardLink(&'a str),
    Symlink(&'a str),
    Fifo,
}

type Entry<'a> = (&'a str, u32, u64, Kind<'a>);

/// 270 bytes: more than a ustar header holds.
pub fn long_name() -> String {
    format!("usr/lib/{}/{}", "x".repeat(130), "y".repeat(130))
}

/// The program that the container starts. It is for amd64 only, and exits with 42 there.
pub fn program(platform: &str) -> Vec<u8> {
    let mut bytes = ElfBuilder::amd64().build();
    bytes.extend_from_slice(platform.as_bytes());
    bytes
}

/// The contents of the layers, lowest first. The last but two is specific to the platform.
fn layers(platform: &str, breadth: Breadth) -> Vec<Vec<u8>> {
    use Kind::*;
    let base: [Entry<'_>; 16] = [
        ("bin", 0o755, 0, Directory),
        ("bin/sh", 0o755, 0, File(b"a shell")),
        ("bin/dash", 0o755, 0, HardLink("bin/sh")),
        ("bin/link", 0o777, 0, Symlink("sh")),
        ("etc", 0o755, 0, Directory),
        ("etc/passwd", 0o644, 0, File(b"root:x:0:0::/:/bin/sh\n")),
        ("etc/old", 0o644, 0, File(b"whited out above")),
        ("home", 0o755, 1000, Directory),
        ("home/setuid", 0o4755, 1000, File(b"setuid")),
        ("opt", 0o755, 0, Directory),
        ("opt/folder", 0o755, 0, Directory),
        ("opt/folder/gone", 0o644, 0, File(b"its folder becomes a file")),
        ("opt/pipe", 0o600, 0, Fifo),
        ("usr", 0o755, 0, Directory),
        ("usr/share", 0o755, 0, Directory),
        ("usr/share/hidden", 0o644, 0, File(b"opaque above")),
    ];
    let long = long_name();
    let directory = long.rsplit_once('/').unwrap().0;
    let middle: [Entry<'_>; 10] = [
        ("bin/sh", 0o755, 0, File(b"a shell")),
        ("bin/sh2", 0o755, 0, HardLink("bin/sh")),
        ("etc/.wh.old", 0o644, 0, File(b"")),
        ("opt/folder", 0o644, 0, File(b"now a file")),
        ("usr/lib", 0o755, 0, Directory),
        (directory, 0o755, 0, Directory),
        (&long, 0o644, 0, File(b"long")),
        ("usr/share", 0o755, 0, Directory),
        ("usr/share/.wh..wh..opq", 0o644, 0, File(b"")),
        ("usr/share/shown", 0o644, 0, File(b"beside the opaque marker")),
    ];
    let program = program(platform);
    let top: [Entry<'_>; 2] =
        [("app", 0o755, 0, File(&program)), ("etc/passwd", 0o600, 0, File(b"root:x:0:0::/:/bin/sh\n"))];
    // Docker's own empty layer, which many images have several times.
    let middle = if breadth == Breadth::Whole { &middle[1..] } else { &middle };
    vec![tar(&base), tar(middle), tar(&top), vec![0; 1024], vec![0; 1024]]
}

/// The entries that all readers must find, as `path kind mode uid:gid size content`, by path.
pub fn expected(platform: &str) -> Vec<String> {
    let bytes = |path: &str, mode: u32, owner: u32, content: &[u8]| {
        format!("{path} file {mode:o} {owner}:{owner} {} {}", content.len(), Digest::from_bytes(content).short())
    };
    let file = |path: &str, mode: u32, owner: u32, content: &str| bytes(path, mode, owner, content.as_bytes());
    let directory = |path: &str, owner: u32| format!("{path} directory 755 {owner}:{owner} 0 -");
    let long = long_name();
    let mut lines = vec![
        bytes("app", 0o755, 0, &program(platform)),
        directory("bin", 0),
        file("bin/dash", 0o755, 0, "a shell"),
        "bin/link symlink 777 0:0 0 sh".to_string(),
        file("bin/sh", 0o755, 0, "a shell"),
        file("bin/sh2", 0o755, 0, "a shell"),
        directory("etc", 0),
        file("etc/passwd", 0o600, 0, "root:x:0:0::/:/bin/sh\n"),
        directory("home", 1000),
        file("home/setuid", 0o4755, 1000, "setuid"),
        directory("opt", 0),
        file("opt/folder", 0o644, 0, "now a file"),
        "opt/pipe special 600 0:0 0 -".to_string(),
        directory("usr", 0),
        directory("usr/lib", 0),
        directory(long.rsplit_once('/').unwrap().0, 0),
        file(&long, 0o644, 0, "long"),
        directory("usr/share", 0),
        file("usr/share/shown", 0o644, 0, "beside the opaque marker"),
    ];
    lines.sort();
    lines
}

fn tar(entries: &[Entry<'_>]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, mode, owner, kind) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_mode(*mode);
        header.set_uid(*owner);
        header.set_gid(*owner);
        header.set_mtime(0);
        header.set_size(0);
        let (tag, target) = match kind {
            Kind::Directory => (tar::EntryType::Directory, None),
            Kind::File(_) => (tar::EntryType::Regular, None),
            Kind::HardLink(target) => (tar::EntryType::Link, Some(target)),
            Kind::Symlink(target) => (tar::EntryType::Symlink, Some(target)),
            Kind::Fifo => (tar::EntryType::Fifo, None),
        };
        header.set_entry_type(tag);
        match (kind, target) {
            (_, Some(target)) => builder.append_link(&mut header, path, target).unwrap(),
            (Kind::File(content), _) => {
                header.set_size(content.len() as u64);
                builder.append_data(&mut header, path, *content).unwrap();
            }
            _ => builder.append_data(&mut header, path, std::io::empty()).unwrap(),
        }
    }
    builder.into_inner().unwrap()
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}

/// A tar with these members. Content that starts with `-> ` makes a symbolic link.
pub fn archive(members: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, content) in members {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        match content.strip_prefix(b"-> ") {
            Some(target) => {
                header.set_entry_type(tar::EntryType::Symlink);
                header.set_size(0);
                builder.append_link(&mut header, name, std::str::from_utf8(target).unwrap()).unwrap();
            }
            None => {
                header.set_size(content.len() as u64);
                builder.append_data(&mut header, name, content.as_slice()).unwrap();
            }
        }
    }
    builder.into_inner().unwrap()
}

fn descriptor(media_type: &str, bytes: &[u8]) -> Value {
    json!({"mediaType": media_type, "digest": Digest::from_bytes(bytes).as_str(), "size": bytes.len()})
}

fn platform_image(platform: &str, breadth: Breadth) -> PlatformImage {
    let layers: Vec<StoredLayer> = layers(platform, breadth)
        .into_iter()
        .enumerate()
        .map(|(index, tar)| {
            let (stored, end) = match index {
                // Two members, as parallel compressors write.
                0 => ([gzip(&tar[..1000]), gzip(&tar[1000..])].concat(), "+gzip"),
                1 if breadth != Breadth::ForSchema2 => (zstd(&tar), "+zstd"),
                2 => (tar.clone(), ""),
                _ => (gzip(&tar), "+gzip"),
            };
            StoredLayer { tar, stored, media_type: format!("{LAYER}{end}") }
        })
        .collect();
    let diff_ids: Vec<String> = layers.iter().map(|layer| Digest::from_bytes(&layer.tar).to_string()).collect();
    let history: Vec<Value> = (0..layers.len())
        .map(|index| json!({"created": "1970-01-01T00:00:00Z", "created_by": format!("step {index}")}))
        .collect();
    let config = json!({
        "architecture": platform, "os": "linux", "created": "1970-01-01T00:00:00Z", "author": format!("{breadth:?}"),
        "config": {"Entrypoint": ["/app"], "Env": ["PATH=/usr/bin:/bin"]},
        "rootfs": {"type": "layers", "diff_ids": diff_ids}, "history": history,
    })
    .to_string()
    .into_bytes();
    let described: Vec<Value> = layers.iter().map(|layer| descriptor(&layer.media_type, &layer.stored)).collect();
    let manifest = json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "config": descriptor(CONFIG, &config), "layers": described,
    });
    PlatformImage { manifest: manifest.to_string().into_bytes(), config, layers }
}

impl Sample {
    pub fn new(breadth: Breadth) -> Sample {
        let images: Vec<PlatformImage> = PLATFORMS.iter().map(|platform| platform_image(platform, breadth)).collect();
        let mut blobs = BTreeMap::new();
        let mut entries = Vec::new();
        for (image, platform) in images.iter().zip(PLATFORMS) {
            let stored = image.layers.iter().map(|layer| &layer.stored);
            for bytes in stored.chain([&image.config, &image.manifest]) {
                blobs.insert(Digest::from_bytes(bytes), bytes.clone());
            }
            let mut entry = descriptor(MANIFEST, &image.manifest);
            entry["platform"] = json!({"os": "linux", "architecture": platform});
            entries.push(entry);
        }
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}).to_string().into_bytes();
        blobs.insert(Digest::from_bytes(&index), index.clone());
        Sample { blobs, images, index }
    }

    /// Digest of a platform's config, which is the same in every format.
    pub fn config_digest(&self, platform: usize) -> String {
        Digest::from_bytes(&self.images[platform].config).to_string()
    }

    /// All members of an OCI layout, with `index.json` last as in `docker save`.
    pub fn layout_members(&self) -> Vec<(String, Vec<u8>)> {
        let mut members: Vec<(String, Vec<u8>)> = self
            .blobs
            .iter()
            .map(|(digest, bytes)| (format!("blobs/{}/{}", digest.algorithm(), digest.hex()), bytes.clone()))
            .collect();
        let mut entry = descriptor(INDEX, &self.index);
        entry["annotations"] = json!({"org.opencontainers.image.ref.name": "1", "io.containerd.image.name": NAME});
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]});
        members.push(("index.json".to_string(), index.to_string().into_bytes()));
        members.push(("oci-layout".to_string(), br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec()));
        members
    }

    pub fn write_layout(&self, directory: &Path) {
        for (name, bytes) in self.layout_members() {
            let path = directory.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
    }

    /// An archive of one platform as `docker save` wrote it before Engine 25: uncompressed layers in separate
    /// directories, and repeated layers as links.
    pub fn docker_archive(&self, platform: usize, name: &str) -> Vec<u8> {
        let image = &self.images[platform];
        let mut members: Vec<(String, Vec<u8>)> = Vec::new();
        let mut names = Vec::new();
        for (index, layer) in image.layers.iter().enumerate() {
            let name = format!("{}/layer.tar", Digest::from_bytes(&[index as u8]).hex());
            let before = image.layers[..index].iter().position(|other| other.tar == layer.tar);
            let content = match before {
                Some(before) => format!("-> ../{}", names[before]).into_bytes(),
                None => layer.tar.clone(),
            };
            members.push((name.clone(), content));
            names.push(name);
        }
        let config = format!("{}.json", Digest::from_bytes(&image.config).hex());
        members.push((config.clone(), image.config.clone()));
        let list = json!([{"Config": config, "RepoTags": [name], "Layers": names}]);
        members.push(("manifest.json".to_string(), list.to_string().into_bytes()));
        members.push(("repositories".to_string(), b"{}".to_vec()));
        archive(&members)
    }

    /// An archive as `docker save` writes it since Engine 25 from the containerd image store: the layout, and a list
    /// with one platform.
    pub fn new_docker_archive(&self, platform: usize) -> Vec<u8> {
        let image = &self.images[platform];
        let blob = |bytes: &[u8]| format!("blobs/sha256/{}", Digest::from_bytes(bytes).hex());
        let layers: Vec<String> = image.layers.iter().map(|layer| blob(&layer.stored)).collect();
        let list = json!([{"Config": blob(&image.config), "RepoTags": [SHORT], "Layers": layers}]);
        let mut members = self.layout_members();
        members.push(("manifest.json".to_string(), list.to_string().into_bytes()));
        archive(&members)
    }

    /// Writes the format of `skopeo copy --all ... dir:DIR`.
    pub fn write_dir(&self, directory: &Path) {
        fs::write(directory.join("version"), "Directory Transport Version: 1.1\n").unwrap();
        fs::write(directory.join("manifest.json"), &self.index).unwrap();
        for (digest, bytes) in &self.blobs {
            let is_manifest = self.images.iter().any(|image| image.manifest == *bytes);
            let end = if is_manifest { ".manifest.json" } else { "" };
            fs::write(directory.join(format!("{}{end}", digest.hex())), bytes).unwrap();
        }
    }

    /// The merged tree of a platform, as a runtime would unpack it. Sets owners only if run by root.
    pub fn write_tree(&self, platform: &str, root: &Path) {
        for line in expected(platform) {
            let words: Vec<&str> = line.split(' ').collect();
            let (path, mode) = (root.join(words[0]), u32::from_str_radix(words[2], 8).unwrap());
            match words[1] {
                "directory" => fs::create_dir_all(&path).unwrap(),
                "symlink" => symlink(words[5], &path).unwrap(),
                "special" => {
                    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode.into(), 0).unwrap();
                }
                _ if words[0] == "bin/sh" || words[0] == "bin/sh2" => {
                    fs::hard_link(root.join("bin/dash"), &path).unwrap();
                }
                _ => fs::write(&path, content(words[0], platform)).unwrap(),
            }
            let owner: u32 = words[3].split(':').next().unwrap().parse().unwrap();
            // Fails unless run by root.
            let _ = std::os::unix::fs::lchown(&path, Some(owner), Some(owner));
            if words[1] != "symlink" {
                fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            }
        }
    }
}

fn content(path: &str, platform: &str) -> Vec<u8> {
    let text = match path {
        "app" => return program(platform),
        "bin/dash" => "a shell",
        "etc/passwd" => "root:x:0:0::/:/bin/sh\n",
        "home/setuid" => "setuid",
        "opt/folder" => "now a file",
        "usr/share/shown" => "beside the opaque marker",
        _ => "long",
    };
    text.into()
}
