//! The tag in its registry, and the scan of what is in it: what [`mod@super::run`] asks of the outside.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::layout;
use super::plan::Published;
use super::run::{Event, World};
use crate::config::{self, Date, Policy};
use crate::judge::code::Severity;
use crate::oci::{Config, Descriptor, Digest, Document, DocumentError, Reference};
use crate::platform::Platform;
use crate::scan::{self, Options, Report, Unwatched, Verdict, Watch};
use crate::source::input::Opener;
use crate::source::layout::Layout;
use crate::source::registry::{Client, Registry, in_memory};
use crate::source::{ImageRef, Selector, Source, SourceError, Transport, read_document};

/// A manifest, an index or a config: registries refuse larger ones.
const DOCUMENT_LIMIT: u64 = 8 << 20;

/// A tag in a registry, with everything that a rebuild does to it.
pub struct RegistryTag {
    pub client: Arc<Client>,
    pub opener: Opener,
    pub reference: Reference,
    /// Targets, limits and jobs of every scan.
    pub options: Options,
    pub policy: Policy,
    pub today: Date,
    /// Set by a signal: the rebuild ends between two steps.
    pub interrupted: Arc<AtomicBool>,
    /// Shows the user what is done next.
    pub say: Box<dyn Fn(&Event)>,
}

/// Why the tag could not be read.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error("{reference}: {cause}")]
    Malformed { reference: String, cause: DocumentError },
    #[error("{0}")]
    Document(String),
}

impl RegistryTag {
    /// What the tag names now; `None`: there is no such tag.
    pub fn published(&self) -> Result<Option<Published>, RegistryError> {
        let source = self.client.image(&self.reference);
        let root = match source.root() {
            Ok(root) => root,
            Err(error) if matches!(error.bare(), SourceError::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let bytes = read(&source, &root).map_err(RegistryError::Document)?;
        let declared = declared(&source, &bytes);
        let published = Published::read(&root, &bytes, declared.as_ref());
        let malformed = |cause| RegistryError::Malformed { reference: self.reference.to_string(), cause };
        published.map(Some).map_err(malformed)
    }

    /// Scans every platform of `name` for the targets, by the project's policy.
    pub fn scan(&self, name: &str, watch: &Arc<dyn Watch>) -> Report {
        self.scan_on(name, self.options.clone(), watch)
    }

    fn scan_on(&self, name: &str, options: Options, watch: &Arc<dyn Watch>) -> Report {
        // A bare name could be an engine's; only what the registry has is meant.
        let name = match ImageRef::parse(name) {
            ImageRef::Bare { text, .. } => format!("{}{text}", Transport::Registry.row().prefix),
            ImageRef::Transport { .. } | ImageRef::Path(_) | ImageRef::Stdin => name.to_string(),
        };
        let opener = &self.opener;
        let mut report = scan::scan(&[name], &|name| opener.open(name), &options, watch);
        // An ignore that matches nothing here may match what other commands see.
        let _notes = config::apply(&mut report, &self.policy, self.today);
        report
    }
}

/// The platform that a single manifest's config declares.
fn declared(source: &dyn Source, bytes: &[u8]) -> Option<Platform> {
    let Ok(Document::Manifest(manifest)) = Document::parse(bytes) else { return None };
    let config = read(source, &manifest.config).ok()?;
    Config::parse(&config).ok()?.platform()
}

fn read(source: &dyn Source, descriptor: &Descriptor) -> Result<Vec<u8>, String> {
    read_document(source, descriptor, DOCUMENT_LIMIT).map_err(|error| format!("{}: {error}", descriptor.digest))
}

impl World for RegistryTag {
    fn tag(&self) -> Result<Option<Digest>, String> {
        // A client of its own, so that no answer of before is given again.
        match self.client.image(&self.reference).root() {
            Ok(root) => Ok(Some(root.digest)),
            Err(error) if matches!(error.bare(), SourceError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.to_string()),
        }
    }

    fn document(&self, digest: &Digest) -> Result<(Descriptor, Vec<u8>), String> {
        let reference = Reference { tag: None, digest: Some(digest.clone()), ..self.reference.clone() };
        let source = self.client.image(&reference);
        let root = source.root().map_err(|error| error.to_string())?;
        let bytes = read(&source, &root)?;
        Ok((root, bytes))
    }

    fn verify(&self, name: &str, platform: Option<&Platform>) -> Result<Vec<String>, String> {
        let targets = self
            .options
            .targets
            .iter()
            .filter(|target| platform.is_none_or(|platform| target.platform.architecture == platform.architecture));
        let watch: Arc<dyn Watch> = Arc::new(Unwatched);
        let platforms = platform.into_iter().cloned().collect();
        let options = Options { platforms, targets: targets.cloned().collect(), ..self.options.clone() };
        let report = self.scan_on(name, options, &watch);
        judged(&report, platform)
    }

    fn push_layout(&self, folder: &Path) -> Result<Digest, String> {
        let layout = Layout::open(folder, &Selector::All).map_err(|error| error.to_string())?;
        let root = layout.root().map_err(|error| error.to_string())?;
        let registry = self.client.image(&self.reference);
        push(&registry, &layout, &root, 0)
    }

    fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }

    fn join_layouts(&self, folders: &[&Path], into: &Path) -> Result<(), String> {
        layout::join(folders, into, self.reference.tag.as_deref().unwrap_or("latest"))
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> std::io::Result<()> {
        std::fs::write(path, bytes)
    }

    fn read(&self, path: &Path) -> std::io::Result<Vec<u8>> {
        std::fs::read(path)
    }

    fn say(&self, event: &Event) {
        (self.say)(event);
    }
}

/// An index of a layout holds manifests; deeper nesting is nothing that a builder writes.
const MAX_NESTING: usize = 3;

/// Pushes a manifest or index with everything below it, by digest.
fn push(registry: &Registry, layout: &Layout, root: &Descriptor, depth: usize) -> Result<Digest, String> {
    let bytes = read(layout, root)?;
    let below = match Document::parse(&bytes).map_err(|error| format!("{}: {error}", root.digest))? {
        Document::Index(_) if depth >= MAX_NESTING => {
            return Err(format!("{}: indexes nested too deeply", root.digest));
        }
        Document::Index(index) => {
            for manifest in &index.manifests {
                push(registry, layout, manifest, depth + 1)?;
            }
            Vec::new()
        }
        Document::Manifest(manifest) => std::iter::once(manifest.config).chain(manifest.layers).collect(),
    };
    for blob in below {
        let pushed = match blob.size <= DOCUMENT_LIMIT {
            true => registry.push_blob(&blob, &in_memory(&read(layout, &blob)?)),
            false => registry.push_blob(&blob, &|| layout.open(&blob)),
        };
        pushed.map_err(|error| error.to_string())?;
    }
    registry.push_manifest(root.digest.as_str(), &root.media_type, &bytes).map_err(|error| error.to_string())
}

/// What a scan says against an image; what it could not tell is an error.
fn judged(report: &Report, wanted: Option<&Platform>) -> Result<Vec<String>, String> {
    let image = report.images.first().ok_or("nothing was scanned")?;
    let mut faults = Vec::new();
    for (platform, finding) in image.all_findings().filter(|(_, finding)| finding.severity == Severity::Error) {
        let on = platform.map_or(String::new(), |platform| format!("{}: ", platform.name()));
        faults.push(format!("{on}{} [{}]", finding.message, finding.code.row().name));
    }
    let problems = image.problems.iter().chain(image.platforms.iter().flat_map(|platform| &platform.problems));
    let problems: Vec<&str> = problems.map(|problem| problem.text.as_str()).collect();
    let is_there = image
        .platforms
        .iter()
        .any(|platform| wanted.is_none_or(|wanted| platform.published().is_some_and(|one| one == wanted)));
    match () {
        _ if !faults.is_empty() => Ok(faults),
        _ if !problems.is_empty() => Err(problems.join("; ")),
        _ if !is_there => Err(format!("it holds no {}", wanted.map_or("platform".to_string(), ToString::to_string))),
        _ if image.verdict() == Verdict::Unknown => Err("whether it starts could not be told".to_string()),
        _ => Ok(faults),
    }
}
