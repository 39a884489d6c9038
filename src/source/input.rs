//! Opens what the user named: an image with a transport prefix, a path, whose kind its content decides, or a bare
//! reference, which is looked up in its registry because nodes pull from there.

mod engines;
mod recognise;

use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::archive::Archive;
use super::containerd::{Containerd, ContainerdImage};
use super::dir::Dir;
use super::engine::EngineSettings;
use super::layout::LayoutImage;
use super::transport::{ImageRef, Origin, Transport};
use super::{ImageSource, Selector, SourceError, open_regular};
use crate::files;
use crate::oci::{Reference, ReferenceError};
use crate::platform::Arch;
use engines::{bare, containers_storage, docker};
use recognise::{PathKind, describe, recognise, split_selector};

/// The opened input.
pub enum OpenedInput {
    Image(Box<dyn ImageSource>),
    Stream(ArchiveStream),
    /// A root file system. It is not an image: it has no layers and no config.
    Directory(PathBuf),
    /// A file that may be an image archive, a program, a release archive or a package; its content decides.
    File {
        path: PathBuf,
        /// Why it cannot be read as an image archive.
        refused: Option<SourceError>,
    },
}

/// An image archive that can be read only once: its layers are read as they arrive.
pub struct ArchiveStream {
    /// A tar, possibly compressed as a whole.
    pub reader: Box<dyn Read + Send>,
    pub selector: Selector,
    /// The name of the source in messages.
    pub place: String,
}

/// An opened input and its origin.
#[derive(Debug)]
pub struct Opened {
    pub input: OpenedInput,
    pub origin: Origin,
    /// The image's name in the report.
    pub name: String,
    /// A note for the user about an unexpected origin.
    pub note: Option<String>,
}

/// Creates the source for a reference in its registry; only [`ImageSource::root`] and [`ImageSource::open`] send requests.
pub type RegistryOpener = Box<dyn Fn(&Reference) -> Box<dyn ImageSource> + Send + Sync>;

/// Opens images with the given settings for each kind of source.
#[derive(Default)]
pub struct ImageOpener {
    /// `None` if offline.
    pub registry: Option<RegistryOpener>,
    pub engines: EngineSettings,
    /// In the order in which they are tried.
    pub containerd: Vec<Containerd>,
}

impl ImageOpener {
    /// Opens the input that `text` names.
    pub fn open(&self, text: &str) -> Result<Opened, SourceError> {
        let image = ImageRef::parse(text);
        if let ImageRef::Transport { rest, .. } = &image
            && ImageRef::shown(text).len() < text.len()
        {
            // A name with a password must not reach an engine or a registry.
            parse(rest)?;
        }
        match image {
            ImageRef::Stdin => {
                let reader: Box<dyn Read + Send> = Box::new(std::io::stdin());
                let place = "standard input";
                Ok(Opened::new(OpenedInput::stream(reader, Selector::All, place), Origin::local(place), text))
            }
            ImageRef::Transport { transport, rest } => open_transport(transport, &rest, text, self),
            ImageRef::Path(path) => open_path(&path, text, recognise(&path)?),
            ImageRef::Bare { reference, .. } => path_or_reference(text, reference, self),
        }
    }
}

fn open_transport(transport: Transport, rest: &str, text: &str, options: &ImageOpener) -> Result<Opened, SourceError> {
    match transport {
        Transport::Registry => registry(rest, options),
        Transport::DockerDaemon => docker(rest, options),
        Transport::ContainersStorage => containers_storage(rest, options),
        Transport::Containerd => containerd(rest, options),
        Transport::OciLayout => {
            let (path, selector) = split_selector(rest);
            layout(path, &selector, text)
        }
        Transport::OciArchive | Transport::DockerArchive => {
            let (path, selector) = split_selector(rest);
            archive(path, selector, text)
        }
        Transport::Dir => dir(Path::new(rest), text),
        Transport::RootFs => Ok(root_fs(Path::new(rest), text)),
    }
}

fn path_or_reference(
    text: &str,
    reference: Result<Reference, ReferenceError>,
    options: &ImageOpener,
) -> Result<Opened, SourceError> {
    let path = Path::new(text);
    match (recognise(path), reference) {
        // Images are often named after the program or script in them, which is in this directory after a build.
        (Ok(PathKind::Program | PathKind::Package), Ok(reference)) if !is_release_name(text) => {
            bare(&reference, options).map_err(|error| match error.hint() {
                Some(hint) => {
                    let hint = format!("{hint}; the local file of that name is ./{text}");
                    error.with_hint(hint)
                }
                None => error.with_hint(format!("the local file of that name is ./{text}")),
            })
        }
        (Ok(kind), Ok(_)) if kind != PathKind::Unknown => {
            let mut opened = open_path(path, text, kind)?;
            opened.note = Some(format!("{text} is a path here; the image of that name is docker://{text}"));
            Ok(opened)
        }
        (Ok(PathKind::Unknown), Ok(_)) if has_extension(text) && !path.is_dir() => {
            let error = not_an_image(path, text);
            let image = format!("the image of that name is docker://{text}");
            Err(if error.hint().is_some() { error } else { error.with_hint(image) })
        }
        (Ok(PathKind::Unknown), Ok(reference)) => bare(&reference, options).map_err(|error| {
            let stray = not_an_image(path, text);
            error.with_hint(match stray.hint() {
                Some(hint) => format!("here, {stray}: {hint}"),
                None => format!("here, {stray}"),
            })
        }),
        (_, Ok(reference)) => bare(&reference, options),
        (Ok(kind), Err(_)) => open_path(path, text, kind),
        (Err(_), Err(refused)) => {
            let (what, name) = ("file or image", refused.text);
            let error = SourceError::NotFound { what, name, place: "this directory".to_string() };
            Err(error.with_hint(format!("it is not an image name either: {}", refused.cause)))
        }
    }
}

/// Whether the last part of a name has an extension and no tag, as no name of an official image has.
fn has_extension(text: &str) -> bool {
    let last = text.rsplit('/').next().unwrap_or(text);
    last.contains('.') && !last.contains(':')
}

/// The error for a path of [`PathKind::Unknown`].
fn not_an_image(path: &Path, text: &str) -> SourceError {
    let stray = describe(path);
    let (place, is, expected) = (path.display().to_string(), stray.description(), stray.expected());
    let error = SourceError::NotAnImage { place, is, expected };
    match stray.hint(text) {
        Some(hint) => error.with_hint(hint),
        None => error,
    }
}

/// Whether a name looks like a published file's: it contains a directory, an extension or a platform.
fn is_release_name(text: &str) -> bool {
    let has_arch = || text.split(['-', '_', '.']).any(|word| Arch::parse(word).is_some()) || text.contains("x86_64");
    text.contains(['/', '.']) || has_arch()
}

fn open_path(path: &Path, text: &str, kind: PathKind) -> Result<Opened, SourceError> {
    match kind {
        PathKind::Layout => layout(path, &Selector::All, text),
        PathKind::Dir => dir(path, text),
        PathKind::RootFs => Ok(root_fs(path, text)),
        PathKind::Pipe => archive(path, Selector::All, text),
        PathKind::Archive => match archive(path, Selector::All, text) {
            Ok(opened) => Ok(opened),
            Err(refused) => Ok(file(path, text, Some(refused))),
        },
        PathKind::Compressed | PathKind::Program | PathKind::Package => Ok(file(path, text, None)),
        PathKind::Unknown => Err(not_an_image(path, text)),
    }
}

fn root_fs(path: &Path, text: &str) -> Opened {
    Opened::new(OpenedInput::Directory(path.into()), Origin::local("root file system"), text)
}

fn file(path: &Path, text: &str, refused: Option<SourceError>) -> Opened {
    Opened::new(OpenedInput::File { path: path.into(), refused }, Origin::local(COMPRESSED_ARCHIVE), text)
}

/// The origin of an image in an archive that is compressed as a whole.
const COMPRESSED_ARCHIVE: &str = "compressed image archive";

fn layout(path: &Path, selector: &Selector, text: &str) -> Result<Opened, SourceError> {
    Ok(Opened::new(OpenedInput::image(LayoutImage::open(path, selector)?), Origin::local("OCI layout"), text))
}

fn dir(path: &Path, text: &str) -> Result<Opened, SourceError> {
    Ok(Opened::new(OpenedInput::image(Dir::open(path)?), Origin::local("directory of blobs (dir:)"), text))
}

fn archive(path: &Path, selector: Selector, text: &str) -> Result<Opened, SourceError> {
    let place = path.display().to_string();
    let kind = recognise(path)?;
    if matches!(kind, PathKind::Compressed | PathKind::Pipe) {
        let origin = if kind == PathKind::Pipe { "pipe" } else { COMPRESSED_ARCHIVE };
        let opened = match kind {
            PathKind::Pipe => files::open_named(path),
            _ => files::open_regular(path).map(|file| Box::new(file) as Box<dyn Read + Send>),
        };
        let reader = opened.map_err(|cause| SourceError::File { path: path.to_path_buf(), cause })?;
        return Ok(Opened::new(OpenedInput::stream(reader, selector, &place), Origin::local(origin), text));
    }
    let source = Archive::open(open_regular(path)?, &place, &selector)?;
    let origin = if source.is_docker() { "docker-archive" } else { "oci-archive" };
    Ok(Opened::new(OpenedInput::image(source), Origin::local(origin), text))
}

fn registry(name: &str, options: &ImageOpener) -> Result<Opened, SourceError> {
    let reference = parse(name)?;
    match &options.registry {
        Some(opener) => query_registry(&reference, opener),
        None => {
            let cause = "--offline disables access to its registry".to_string();
            Err(SourceError::Unreachable { place: format!("docker://{name}"), cause }.with_hint("omit --offline"))
        }
    }
}

fn query_registry(reference: &Reference, opener: &RegistryOpener) -> Result<Opened, SourceError> {
    let source = opener(reference);
    source.root().map_err(|error| match error.bare() {
        SourceError::Unreachable { .. } if reference.has_registry_by_capitals() => {
            let (registry, hub) = (&reference.registry, reference.to_string().to_lowercase());
            error.with_hint(format!(
                "{registry} is a registry here and in docker, because of its capital letters; names on Docker Hub are \
                 lower case: {hub}"
            ))
        }
        _ => error,
    })?;
    let origin = Origin::Registry { reference: reference.clone(), mirror: source.mirror() };
    Ok(Opened::new(OpenedInput::Image(source), origin, &reference.to_string()))
}

fn parse(name: &str) -> Result<Reference, SourceError> {
    Reference::parse(name)
        .map_err(|error| SourceError::Unsupported { what: error.text.clone(), cause: error.to_string() })
}

fn containerd(rest: &str, options: &ImageOpener) -> Result<Opened, SourceError> {
    let (namespace, name) = rest.split_once('/').ok_or_else(|| {
        let what = format!("containerd:{rest}");
        let error = SourceError::Unsupported { what, cause: "expected containerd:NAMESPACE/NAME".to_string() };
        error.with_hint(format!("containerd:k8s.io/{rest}"))
    })?;
    let usual = usual_containerd();
    let all = if options.containerd.is_empty() { &usual } else { &options.containerd };
    let mut refused = None;
    for one in all {
        let place = one.place(namespace);
        let text = format!("containerd:{rest}");
        let origin = Origin::Store { place: place.clone() };
        match one.find(namespace, name) {
            Ok(ContainerdImage::Stored(store)) => return Ok(Opened::new(OpenedInput::Image(store), origin, &text)),
            Ok(ContainerdImage::Exported(export)) => {
                return Ok(Opened::new(OpenedInput::stream(Box::new(export), Selector::All, &place), origin, &text));
            }
            Err(error) => refused = refused.or(Some(error)),
        }
    }
    Err(refused.expect("the list of containerds is not empty"))
}

/// The default containerd and that of k3s, as far as they exist.
fn usual_containerd() -> Vec<Containerd> {
    let is_here = |one: &Containerd| one.address.exists() || one.root.exists();
    let mut usual: Vec<Containerd> =
        [Containerd::default(), Containerd::of_k3s()].into_iter().filter(is_here).collect();
    if usual.is_empty() {
        usual.push(Containerd::default());
    }
    usual
}

impl OpenedInput {
    fn image(source: impl ImageSource + 'static) -> OpenedInput {
        OpenedInput::Image(Box::new(source))
    }

    /// The images of a compressed archive.
    pub fn of_archive(path: &Path) -> Result<OpenedInput, SourceError> {
        let place = path.display().to_string();
        Ok(OpenedInput::stream(Box::new(open_regular(path)?), Selector::All, &place))
    }

    fn stream(reader: Box<dyn Read + Send>, selector: Selector, place: &str) -> OpenedInput {
        OpenedInput::Stream(ArchiveStream { reader, selector, place: place.to_string() })
    }
}

impl fmt::Debug for OpenedInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenedInput::Image(_) => f.write_str("Image"),
            OpenedInput::Stream(stream) => write!(f, "Stream({})", stream.place),
            OpenedInput::Directory(path) => write!(f, "Directory({})", path.display()),
            OpenedInput::File { path, .. } => write!(f, "File({})", path.display()),
        }
    }
}

impl Opened {
    fn new(input: OpenedInput, origin: Origin, name: &str) -> Opened {
        Opened { input, origin, name: name.to_string(), note: None }
    }
}

#[cfg(test)]
#[path = "input_tests.rs"]
mod tests;
