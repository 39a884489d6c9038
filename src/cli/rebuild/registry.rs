//! The registry that holds the tag, and the scan of what is in it: what [`mod@crate::rebuild::run`] asks of the outside.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::super::progress::Progress;
use super::super::settings::Settings;
use super::super::terminal::tell;
use super::super::{CliError, Terminal, gate, opening, scan as scan_command};
use super::{layout, source_error, unknown};
use crate::judge::code::Severity;
use crate::oci::{Config, Descriptor, Digest, Document, Reference};
use crate::platform::{Platform, Target};
use crate::rebuild::plan::Published;
use crate::rebuild::{Event, World};
use crate::report::rebuild as report;
use crate::scan::{self, Options, Report, Unwatched, Verdict, Watch};
use crate::source::layout::Layout;
use crate::source::registry::{Client, in_memory};
use crate::source::{Selector, Source, SourceError};

/// A manifest, an index or a config: registries refuse larger ones.
const DOCUMENT_LIMIT: u64 = 8 << 20;

/// The registry that holds the tag, and the scan of what is in it.
pub struct Registry {
    pub client: Arc<Client>,
    pub opener: opening::Opener,
    pub reference: Reference,
    pub targets: Vec<Target>,
    pub settings: Settings,
    /// Set by SIGINT and SIGTERM.
    pub interrupted: Arc<AtomicBool>,
    pub quiet: bool,
}

impl Registry {
    pub fn published(&self) -> Result<Option<Published>, CliError> {
        let source = self.client.image(&self.reference);
        let root = match source.root() {
            Ok(root) => root,
            Err(error) if matches!(error.bare(), SourceError::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(source_error(&error)),
        };
        let bytes = read(&source, &root).map_err(unknown)?;
        let declared = declared(&source, &bytes);
        let published = Published::read(&root, &bytes, declared.as_ref());
        published.map(Some).map_err(|error| unknown(format!("{}: {error}", self.reference)))
    }

    pub fn scan(&self, name: &str, terminal: &Terminal) -> Report {
        let progress = Arc::new(Progress::new(terminal));
        let watch: Arc<dyn Watch> = progress.clone();
        let report = self.scan_watched(name, &[], self.targets.clone(), &watch);
        progress.finish();
        report
    }

    fn scan_watched(&self, name: &str, platforms: &[Platform], targets: Vec<Target>, watch: &Arc<dyn Watch>) -> Report {
        let options = Options {
            platforms: platforms.to_vec(),
            targets,
            jobs: scan_command::default_jobs(),
            limits: self.settings.limits(),
            ..Options::default()
        };
        // A bare name could be an engine's; only what the registry has is meant.
        let name = if name.starts_with("oci:") { name.to_string() } else { format!("docker://{name}") };
        let mut report = scan::scan(&[name], &|name| self.opener.open(name), &options, watch);
        gate::apply_policy(&mut report, &self.settings);
        report
    }
}

/// The platform that a single manifest's config declares.
fn declared(source: &dyn Source, bytes: &[u8]) -> Option<Platform> {
    let Ok(Document::Manifest(manifest)) = Document::parse(bytes) else { return None };
    let config = read(source, &manifest.config).ok()?;
    Config::parse(&config).ok()?.platform()
}

/// A document's bytes, which must be those of its digest.
pub fn read(source: &dyn Source, descriptor: &Descriptor) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let reader = source.open(descriptor).map_err(|error| error.to_string())?;
    reader.take(DOCUMENT_LIMIT).read_to_end(&mut bytes).map_err(|error| format!("{}: {error}", descriptor.digest))?;
    let mut hasher = descriptor.digest.hasher();
    hasher.update(&bytes);
    let actual = hasher.finish();
    if actual == descriptor.digest {
        Ok(bytes)
    } else {
        Err(format!("{} has other bytes: {actual}", descriptor.digest))
    }
}

impl World for Registry {
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
            .targets
            .iter()
            .filter(|target| platform.is_none_or(|platform| target.platform.architecture == platform.architecture));
        let watch: Arc<dyn Watch> = Arc::new(Unwatched);
        let platforms: Vec<Platform> = platform.into_iter().cloned().collect();
        let report = self.scan_watched(name, &platforms, targets.cloned().collect(), &watch);
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
        if !self.quiet {
            tell(&format!("{}\n", report::event_text(event)));
        }
    }
}

/// An index of a layout holds manifests; deeper nesting is nothing that a builder writes.
const MAX_NESTING: usize = 3;

/// Pushes a manifest or index with everything below it, by digest.
fn push(
    registry: &crate::source::registry::Registry,
    layout: &Layout,
    root: &Descriptor,
    depth: usize,
) -> Result<Digest, String> {
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
