//! containerd: `ctr` resolves an image's name, and its blobs are read directly from the content store on disk, several
//! at once. For a store that discarded the layers it unpacked, the missing blobs are reported as not present. If the
//! store is not readable, `ctr images export` delivers the image as one archive. Source: containerd,
//! docs/content-flow.md; `root` of containerd-config.toml(5).

use std::io::Read;
use std::path::{Path, PathBuf};

use super::layout::{open_blob, stamp_blob};
use super::listing::{INDEX_TYPE, MANIFEST_TYPE};
use super::process::{self, CommandStdout};
use super::{DOCUMENT_LIMIT, ImageSource, SourceError, Stamp, read_bounded};
use crate::oci::{Descriptor, Digest, Document, Reference};

/// The location of one containerd: its content and its socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Containerd {
    /// The `root` setting, such as `/var/lib/containerd`.
    pub root: PathBuf,
    /// The socket, such as `/run/containerd/containerd.sock`.
    pub address: PathBuf,
}

/// An image with its blobs in a content store.
#[derive(Debug)]
pub struct ContentStore {
    blobs: PathBuf,
    root: Descriptor,
}

/// An image of a namespace.
#[derive(Debug)]
pub enum ContainerdImage {
    Stored(Box<ContentStore>),
    /// The output of `ctr images export`, which can be read once.
    Exported(ContainerdExport),
}

/// A running export.
#[derive(Debug)]
pub struct ContainerdExport(CommandStdout);

const INSTALL: &str = "name the image by its digest: containerd:NAMESPACE/NAME@sha256:...";

impl Default for Containerd {
    fn default() -> Containerd {
        Containerd { root: "/var/lib/containerd".into(), address: "/run/containerd/containerd.sock".into() }
    }
}

impl Containerd {
    /// The containerd of k3s and RKE2.
    pub fn of_k3s() -> Containerd {
        Containerd {
            root: "/var/lib/rancher/k3s/agent/containerd".into(),
            address: "/run/k3s/containerd/containerd.sock".into(),
        }
    }

    /// The name of this containerd in messages.
    pub fn place(&self, namespace: &str) -> String {
        format!("containerd at {} (namespace {namespace})", self.address.display())
    }

    /// Finds `name` (`docker.io/library/app:1`, a short name, or anything with a digest) in `namespace`.
    pub fn find(&self, namespace: &str, name: &str) -> Result<ContainerdImage, SourceError> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/:@+".contains(&byte);
        if namespace.is_empty() || name.is_empty() || !namespace.bytes().chain(name.bytes()).all(is_plain) {
            let what = format!("the name {namespace}/{name}");
            return Err(SourceError::Unsupported { what, cause: "expected NAMESPACE/NAME".to_string() });
        }
        let stated = name.rsplit('@').next().and_then(|digest| digest.parse::<Digest>().ok());
        if let Some(digest) = stated {
            return self.stored(&digest, &self.place(namespace)).map(|store| ContainerdImage::Stored(Box::new(store)));
        }
        let (found, digest) = self.resolve(namespace, name)?;
        match self.stored(&digest, &self.place(namespace)) {
            Ok(store) => Ok(ContainerdImage::Stored(Box::new(store))),
            Err(error) => {
                tracing::debug!(%error, "exporting instead");
                self.export(namespace, &found)
            }
        }
    }

    fn resolve(&self, namespace: &str, name: &str) -> Result<(String, Digest), SourceError> {
        if !self.address.exists() {
            // ctr would wait for the socket.
            let cause = "there is no such socket".to_string();
            let error = SourceError::Unreachable { place: self.place(namespace), cause };
            return Err(error.with_hint("is containerd running? set another socket with --containerd-address"));
        }
        let names = [Some(name.to_string()), full_name(name)];
        let address = self.address.to_string_lossy();
        let filters: Vec<String> = names.iter().flatten().map(|name| format!("name==\"{name}\"")).collect();
        let mut arguments = vec!["--address", &address, "--namespace", namespace, "images", "list"];
        arguments.extend(filters.iter().map(String::as_str));
        let list = process::list("ctr", &arguments, INSTALL)?;
        names.into_iter().flatten().find_map(|name| Some((name.clone(), listed_digest(&list, &name)?))).ok_or_else(
            || {
                let error =
                    SourceError::NotFound { what: "image", name: name.to_string(), place: self.place(namespace) };
                error.with_hint(format!("ctr --namespace {namespace} images list"))
            },
        )
    }

    fn stored(&self, digest: &Digest, place: &str) -> Result<ContentStore, SourceError> {
        let blobs = self.root.join("io.containerd.content.v1.content/blobs");
        let root = describe_root(&blobs, digest, place)?;
        Ok(ContentStore { blobs, root })
    }

    fn export(&self, namespace: &str, name: &str) -> Result<ContainerdImage, SourceError> {
        let address = self.address.to_string_lossy();
        let help = process::list("ctr", &["images", "export", "--help"], INSTALL)?;
        let mut arguments = vec!["--address", &address, "--namespace", namespace, "images", "export"];
        arguments.extend(can_export_locally(&help).then_some(LOCAL));
        arguments.extend(["--all-platforms", "-", name]);
        process::start("ctr", &arguments, INSTALL).map(|output| ContainerdImage::Exported(ContainerdExport(output)))
    }
}

impl Read for ContainerdExport {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(buffer)
    }
}

impl ImageSource for ContentStore {
    fn root(&self) -> Result<Descriptor, SourceError> {
        Ok(self.root.clone())
    }

    fn open(&self, descriptor: &Descriptor) -> Result<Box<dyn Read + Send>, SourceError> {
        open_blob(&self.blobs, &descriptor.digest, &self.blobs.display().to_string())
    }

    /// The transfer service of containerd 2.1 fetches every manifest and config, but the layers of only one platform.
    fn is_partial(&self) -> bool {
        true
    }

    fn stamp(&self, descriptor: &Descriptor) -> Result<Option<Stamp>, SourceError> {
        stamp_blob(&self.blobs, &descriptor.digest, &self.blobs.display().to_string())
    }
}

/// Since containerd 1.7, `ctr` exports by the transfer service of containerd, unless it has this option. That export is
/// cut off at random if it goes to stdout, with exit code 0: ctr 2.1.9 ends when containerd has sent the archive, and
/// does not wait until its own copy of the stream is written.
const LOCAL: &str = "--local";

/// Reads the help of `ctr images export`: the versions without the option refuse it.
fn can_export_locally(help: &str) -> bool {
    help.split_whitespace().any(|word| word == LOCAL)
}

/// Reads the root to find its type and size, which a digest alone does not provide.
fn describe_root(blobs: &Path, digest: &Digest, place: &str) -> Result<Descriptor, SourceError> {
    let bytes = read_bounded(open_blob(blobs, digest, place)?, DOCUMENT_LIMIT, "bytes for a manifest", place)?;
    let media_type = match Document::parse(&bytes) {
        Ok(Document::Index(_)) => INDEX_TYPE,
        Ok(Document::Manifest(_)) => MANIFEST_TYPE,
        Err(error) => {
            return Err(SourceError::Malformed { place: format!("{digest} of {place}"), cause: error.to_string() });
        }
    };
    Ok(Descriptor::new(media_type, digest.clone(), bytes.len() as u64))
}

/// The full form of a name; containerd accepts no other.
fn full_name(name: &str) -> Option<String> {
    let reference = Reference::parse(name).ok()?;
    let full = format!("{}/{}:{}", reference.registry, reference.repository, reference.tag.as_deref()?);
    (full != name).then_some(full)
}

/// The digest in a row of `ctr images list`: REF TYPE DIGEST SIZE PLATFORMS LABELS.
fn listed_digest(list: &str, name: &str) -> Option<Digest> {
    let rows = list.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    rows.filter(|row| row.first() == Some(&name)).find_map(|row| row.get(2)?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_read_from_its_row() {
        let digest = Digest::from_bytes(b"x");
        let list = format!(
            "REF TYPE DIGEST SIZE PLATFORMS LABELS\ndocker.io/library/app:10 type {} 1 KiB - -\ndocker.io/library/app:1 type {digest} 335.1 KiB linux/amd64,linux/arm64 -\n",
            Digest::from_bytes(b"other"),
        );
        assert_eq!(full_name("app:1").as_deref(), Some("docker.io/library/app:1"));
        assert_eq!(listed_digest(&list, "docker.io/library/app:1"), Some(digest));
        assert_eq!(listed_digest(&list, "docker.io/library/app"), None);
    }

    #[test]
    fn the_option_for_a_local_export_is_found_in_the_help() {
        let with = "   --all-platforms   Exports content from all platforms (default: false)\n   --local   Run export \
            locally rather than through transfer API (default: false)\n";
        assert!(can_export_locally(with));
        assert!(!can_export_locally("   --all-platforms   Exports content from all platforms\n"));
    }

    #[test]
    fn a_digest_is_read_from_the_store_without_any_command() {
        let directory = tempfile::tempdir().unwrap();
        let blobs = directory.path().join("io.containerd.content.v1.content/blobs/sha256");
        std::fs::create_dir_all(&blobs).unwrap();
        let index = br#"{"schemaVersion":2,"manifests":[]}"#;
        let digest = Digest::from_bytes(index);
        std::fs::write(blobs.join(digest.hex()), index).unwrap();
        let containerd = Containerd { root: directory.path().into(), ..Containerd::default() };
        for name in [format!("docker.io/library/app@{digest}"), digest.to_string()] {
            let ContainerdImage::Stored(store) = containerd.find("k8s.io", &name).unwrap() else {
                panic!("not stored")
            };
            assert_eq!(store.root().unwrap(), Descriptor::new(INDEX_TYPE, digest.clone(), index.len() as u64));
        }
        let absent = containerd.find("k8s.io", Digest::from_bytes(b"absent").as_str()).unwrap_err();
        assert!(matches!(absent, SourceError::NotPresent { .. }));
    }

    #[test]
    fn a_name_cannot_become_another_filter() {
        for (namespace, name) in [("", "app"), ("n", ""), ("n", "a\",name~=\"."), ("n m", "app"), ("n", "a b")] {
            let refused = Containerd::default().find(namespace, name).unwrap_err();
            assert!(matches!(refused, SourceError::Unsupported { .. }), "{namespace}/{name}");
        }
    }
}
