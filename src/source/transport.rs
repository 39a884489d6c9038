//! Types for the sources of images: the table of transports, the user's name of an image, and the place it was read
//! from.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::oci::{Reference, ReferenceError, without_credentials};

/// How an image is accessed. The prefixes are those of containers-transports(5), plus `containerd:` and `rootfs:`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    Registry,
    DockerDaemon,
    ContainersStorage,
    Containerd,
    OciLayout,
    OciArchive,
    DockerArchive,
    Dir,
    RootFs,
}

/// The form of the text after a transport's prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naming {
    /// An image reference, regardless of where the image is stored.
    Reference,
    /// A namespace, a slash and an image reference.
    NamespacedReference,
    /// A path on this machine.
    Path,
}

/// The properties of a transport.
#[derive(Debug)]
pub struct TransportRow {
    pub transport: Transport,
    pub prefix: &'static str,
    /// The text after the prefix, for `--help`.
    pub argument: &'static str,
    /// One line for `--help`.
    pub help: &'static str,
    pub naming: Naming,
}

macro_rules! transports {
    ($($transport:ident $prefix:literal $argument:literal $naming:ident $help:literal;)*) => {
        /// All transports, in the order in which `--help` lists them.
        pub const TRANSPORTS: &[TransportRow] = &[$(TransportRow {
            transport: Transport::$transport,
            prefix: $prefix,
            argument: $argument,
            help: $help,
            naming: Naming::$naming,
        }),*];

        impl Transport {
            pub fn row(self) -> &'static TransportRow {
                // The match makes a transport without a row a compile error.
                let name = match self { $(Transport::$transport => $prefix),* };
                TRANSPORTS.iter().find(|row| row.prefix == name).expect("the macro makes a row for each transport")
            }
        }
    };
}

transports! {
    Registry "docker://" "NAME" Reference "a registry, never a local engine";
    DockerDaemon "docker-daemon:" "NAME" Reference "the Docker Engine that the docker command uses";
    ContainersStorage "containers-storage:" "NAME" Reference "podman's storage";
    Containerd "containerd:" "NAMESPACE/NAME" NamespacedReference "containerd's content store";
    OciLayout "oci:" "DIR[:TAG]" Path "an OCI layout";
    OciArchive "oci-archive:" "FILE[:TAG]" Path "a tar of an OCI layout";
    DockerArchive "docker-archive:" "FILE[:NAME]" Path "an archive from docker save";
    Dir "dir:" "DIR" Path "a directory of blobs, as skopeo writes it";
    RootFs "rootfs:" "DIR" Path "a root file system without an image";
}

/// The user's name of an image, classified by the text alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageRef {
    /// `-`: an archive on stdin.
    Stdin,
    /// A text with a transport's prefix; `rest` is the text after it.
    Transport { transport: Transport, rest: String },
    /// A text that can only be a path: `./app`, `/srv/app`, `app.tar`.
    Path(PathBuf),
    /// A text without a prefix: a path if it exists, otherwise an image reference.
    Bare { text: String, reference: Result<Reference, ReferenceError> },
}

/// Names with these extensions are files, whether or not they exist.
const ARCHIVE_EXTENSIONS: [&str; 4] = [".tar", ".tar.gz", ".tgz", ".tar.zst"];

impl ImageRef {
    /// Parses without accessing the file system, the environment or a registry.
    pub fn parse(text: &str) -> ImageRef {
        if text == "-" {
            return ImageRef::Stdin;
        }
        let with_prefix = TRANSPORTS.iter().find_map(|row| Some((row.transport, text.strip_prefix(row.prefix)?)));
        if let Some((transport, rest)) = with_prefix {
            return ImageRef::Transport { transport, rest: rest.to_string() };
        }
        let is_written_as_path =
            [".", ".."].contains(&text) || ["/", "./", "../"].iter().any(|start| text.starts_with(start));
        if is_written_as_path || ARCHIVE_EXTENSIONS.iter().any(|end| text.ends_with(end)) {
            return ImageRef::Path(text.into());
        }
        ImageRef::Bare { text: text.to_string(), reference: Reference::parse(text) }
    }

    /// The user's text without a password, for display. No image name contains a password, but a user may have typed
    /// one.
    pub fn shown(text: &str) -> &str {
        match ImageRef::parse(text) {
            ImageRef::Transport { transport, .. } if transport.row().naming == Naming::Path => text,
            ImageRef::Stdin | ImageRef::Path(_) => text,
            ImageRef::Transport { .. } | ImageRef::Bare { .. } => without_credentials(text),
        }
    }

    /// The image reference in the text, for a registry or an engine. `None` for paths and invalid references.
    pub fn reference(&self) -> Option<Reference> {
        match self {
            ImageRef::Transport { transport, rest } => match transport.row().naming {
                Naming::Reference => Reference::parse(rest).ok(),
                Naming::NamespacedReference | Naming::Path => None,
            },
            ImageRef::Bare { reference, .. } => reference.clone().ok(),
            ImageRef::Stdin | ImageRef::Path(_) => None,
        }
    }
}

/// The place an image was read from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Origin {
    /// It could not be opened.
    Unopened,
    /// The registry of `reference`, or the mirror that answered instead.
    Registry { reference: Reference, mirror: Option<String> },
    /// A Docker Engine: `Docker Engine at unix:///var/run/docker.sock`.
    DockerEngine { place: String },
    /// Podman's or containerd's store: `containerd at /run/containerd/containerd.sock (namespace k8s.io)`.
    Store { place: String },
    /// A file, a directory or a stream: `OCI layout`.
    Local { place: String },
}

impl Origin {
    pub fn local(place: &str) -> Origin {
        Origin::Local { place: place.to_string() }
    }

    pub fn is_opened(&self) -> bool {
        *self != Origin::Unopened
    }

    /// The reference, if it was read from a registry.
    pub fn registry(&self) -> Option<&Reference> {
        match self {
            Origin::Registry { reference, .. } => Some(reference),
            Origin::Unopened | Origin::DockerEngine { .. } | Origin::Store { .. } | Origin::Local { .. } => None,
        }
    }
}

/// The text used in reports; empty if nothing was opened.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Unopened => Ok(()),
            Origin::Registry { reference, mirror: None } => write!(f, "registry {}", reference.registry),
            Origin::Registry { reference, mirror: Some(mirror) } => {
                write!(f, "registry {} through its mirror {mirror}", reference.registry)
            }
            Origin::DockerEngine { place } | Origin::Store { place } | Origin::Local { place } => f.write_str(place),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transport(transport: Transport, rest: &str) -> ImageRef {
        ImageRef::Transport { transport, rest: rest.to_string() }
    }

    #[test]
    fn each_prefix_names_its_transport_and_only_that() {
        for row in TRANSPORTS {
            assert_eq!(ImageRef::parse(&format!("{}x:1", row.prefix)), transport(row.transport, "x:1"));
            assert_eq!(row.transport.row().prefix, row.prefix);
            let same = TRANSPORTS.iter().filter(|other| other.prefix.starts_with(row.prefix));
            assert_eq!(same.count(), 1, "{}", row.prefix);
        }
    }

    #[test]
    fn the_text_alone_distinguishes_paths_from_names() {
        for text in [".", "..", "./app:1", "../app", "/srv/app", "app.tar", "a/b.tar.zst"] {
            assert_eq!(ImageRef::parse(text), ImageRef::Path(text.into()));
        }
        assert_eq!(ImageRef::parse("-"), ImageRef::Stdin);
        for text in ["app:1", "docker", "docker:1", "oci", "build/out"] {
            assert!(matches!(ImageRef::parse(text), ImageRef::Bare { reference: Ok(_), .. }), "{text}");
        }
        assert!(matches!(ImageRef::parse("My App"), ImageRef::Bare { reference: Err(_), .. }));
    }

    #[test]
    fn only_registries_and_engines_have_a_reference() {
        let name = |text: &str| ImageRef::parse(text).reference().map(|reference| reference.to_string());
        assert_eq!(name("docker://ghcr.io/a/b:1").as_deref(), Some("ghcr.io/a/b:1"));
        assert_eq!(name("docker-daemon:app").as_deref(), Some("app:latest"));
        assert_eq!(name("app:1").as_deref(), Some("app:1"));
        for text in ["-", "oci:build/app:v1", "dir:app", "containerd:k8s.io/app:1", "./app", "docker://A B"] {
            assert_eq!(name(text), None, "{text}");
        }
    }
}
