//! Implements the [`RebuildBackend`] of [`mod@super::run`]: the tag in its registry, and scans of its images.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::layout;
use super::plan::{Supply, SupplyPlace};
use super::published::{IndexText, Published};
use super::run::{RebuildBackend, RunEvent};
use super::seals::{self, Seal};
use super::supply::{self, DOCUMENT_LIMIT, SupplyError, read};
use crate::config::{self, Date, Policy};
use crate::files;
use crate::judge::code::Severity;
use crate::oci::{Descriptor, Digest, Document, Reference};
use crate::platform::Platform;
use crate::scan::{self, Options, Report, Unwatched, Verdict, Watch};
use crate::source::input::ImageOpener;
use crate::source::layout::LayoutImage;
use crate::source::registry::{Registry, RegistryClient, in_memory};
use crate::source::{ImageRef, ImageSource, Selector, SourceError, Transport};

/// The maximum number of referrers listed per manifest. Images with many signatures and SBOMs have about ten.
const MAX_REFERRERS: usize = 64;

/// The maximum number of tags to resolve. Each takes one request.
const MAX_TAGS: usize = 500;

/// A tag in a registry, with the operations that a rebuild needs.
pub struct RegistryTag {
    pub client: Arc<RegistryClient>,
    pub opener: ImageOpener,
    pub reference: Reference,
    /// The options of every scan: targets, limits and jobs.
    pub options: Options,
    pub policy: Policy,
    pub today: Date,
    /// Set by a signal. The rebuild then stops between two steps.
    pub interrupted: Arc<AtomicBool>,
    /// Reports progress to the user.
    pub on_event: Box<dyn Fn(&RunEvent)>,
}

impl RegistryTag {
    /// Returns what the tag points to; `None` if the tag does not exist.
    pub fn published(&self) -> Result<Option<Published>, SupplyError> {
        let source = self.client.image(&self.reference);
        let root = match source.root() {
            Ok(root) => root,
            Err(error) if matches!(error.bare(), SourceError::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        supply::read_published(&source, &root).map(Some)
    }

    /// Returns the other tags of the repository that point to `digest`, and a note if not all tags were checked.
    pub fn same_tags(&self, digest: &Digest) -> Result<(Vec<Reference>, Option<String>), SourceError> {
        let tags = self.client.tags(&self.reference.registry, &self.reference.repository)?;
        let note =
            (tags.len() > MAX_TAGS).then(|| format!("only the first {MAX_TAGS} of {} tags were checked", tags.len()));
        let mut same = Vec::new();
        for tag in tags.into_iter().take(MAX_TAGS).filter(|tag| Some(tag) != self.reference.tag.as_ref()) {
            let text = format!("{}:{tag}", self.reference.name());
            // A registry can list any string as a tag.
            let Ok(reference) = Reference::parse(&text) else { continue };
            // Skips a tag that was deleted after it was listed.
            let named = self.client.image(&reference).head().ok().map(|head| head.digest);
            if reference.digest.is_none() && named.as_ref() == Some(digest) {
                same.push(reference);
            }
        }
        Ok((same, note))
    }

    /// Returns the platforms of a layout or archive on this machine.
    pub fn supplies_here(&self, name: &str) -> Result<Vec<Supply>, SupplyError> {
        // A name without a transport is always a path here, never an image name.
        let name = match ImageRef::parse(name) {
            ImageRef::Transport { .. } | ImageRef::Stdin => name.to_string(),
            ImageRef::Path(_) | ImageRef::Bare { .. } => {
                let refuse = |cause| SourceError::File { path: name.into(), cause };
                std::path::absolute(name).map_err(refuse)?.display().to_string()
            }
        };
        let source = supply::open(&self.opener, &name)?;
        supply::supplies(&*source, &name, SupplyPlace::Here)
    }

    /// Returns the platforms of a manifest or index in the repository.
    pub fn supplies_of(&self, digest: &Digest) -> Result<Vec<Supply>, SupplyError> {
        let reference = Reference { tag: None, digest: Some(digest.clone()), ..self.reference.clone() };
        let source = self.client.image(&reference);
        supply::supplies(&source, &self.reference.at(digest), SupplyPlace::Registry)
    }

    /// Returns the seals of these manifests, and notes about referrers that could not be listed.
    pub fn seals(&self, subjects: &[Digest], verdict_type: &str) -> (Vec<Seal>, Vec<String>) {
        let (mut seals, mut notes) = (Vec::new(), Vec::new());
        let registry = self.client.image(&self.reference);
        for subject in subjects {
            let referrers = registry.referrers(subject).unwrap_or_else(|error| {
                notes.push(format!("listing the referrers of {} failed: {error}", subject.short()));
                Vec::new()
            });
            if referrers.len() > MAX_REFERRERS {
                let count = referrers.len();
                notes.push(format!(
                    "only the first {MAX_REFERRERS} of {count} referrers of {} are listed",
                    subject.short()
                ));
            }
            for referrer in referrers.iter().take(MAX_REFERRERS) {
                // A referrer that cannot be read is still listed.
                let manifest = read(&registry, referrer).unwrap_or_default();
                let kind = seals::kind_of(&manifest, verdict_type);
                seals.push(Seal { kind, name: referrer.digest.to_string(), subject: subject.clone() });
            }
            for (kind, tag) in seals::cosign_tags(subject) {
                let reference = Reference { tag: Some(tag.clone()), digest: None, ..self.reference.clone() };
                if self.client.image(&reference).head().is_ok() {
                    seals.push(Seal { kind, name: tag, subject: subject.clone() });
                }
            }
        }
        (seals, notes)
    }

    /// Scans `name` and applies the project's policy.
    pub fn scan_on(&self, name: &str, options: Options, watch: &Arc<dyn Watch>) -> Report {
        // A bare name could refer to a local engine. Only the registry's image is meant.
        let name = match ImageRef::parse(name) {
            ImageRef::Bare { text, .. } => format!("{}{text}", Transport::Registry.row().prefix),
            ImageRef::Transport { .. } | ImageRef::Path(_) | ImageRef::Stdin => name.to_string(),
        };
        let opener = &self.opener;
        let mut report = scan::scan(&[name], &|name| opener.open(name), &options, watch);
        // Drops the notes about unused ignores: such an ignore may match in other commands.
        let _notes = config::apply(&mut report, &self.policy, self.today);
        report
    }
}

impl RebuildBackend for RegistryTag {
    fn tag(&self, tag: &Reference) -> Result<Option<Digest>, String> {
        // A new image handle, so that no earlier response is reused.
        match self.client.image(tag).root() {
            Ok(root) => Ok(Some(root.digest)),
            Err(error) if matches!(error.bare(), SourceError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.to_string()),
        }
    }

    fn put_index(&self, tag: &Reference, index: &IndexText) -> Result<(), String> {
        let registry = self.client.image(tag);
        registry
            .push_manifest(tag.selector(), &index.media_type, &index.bytes)
            .map(drop)
            .map_err(|error| error.to_string())
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

    fn push_layout(&self, directory: &Path) -> Result<Digest, String> {
        let layout = LayoutImage::open(directory, &Selector::All).map_err(|error| error.to_string())?;
        let root = layout.root().map_err(|error| error.to_string())?;
        let registry = self.client.image(&self.reference);
        push(&registry, &layout, &root, 0)
    }

    fn push_supply(&self, supply: &Supply) -> Result<(), String> {
        let source = supply::open(&self.opener, &supply.name).map_err(|error| error.to_string())?;
        let registry = self.client.image(&self.reference);
        for text in &supply.descriptors {
            let root = supply::descriptor(text)?;
            push(&registry, &*source, &root, 0)?;
        }
        Ok(())
    }

    fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }

    fn join_layouts(&self, directories: &[&Path], into: &Path) -> Result<(), String> {
        layout::join(directories, into, self.reference.tag.as_deref().unwrap_or("latest"))
    }

    fn make_directory(&self, path: &Path) -> std::io::Result<()> {
        std::fs::create_dir_all(path)
    }

    fn read(&self, path: &Path) -> std::io::Result<Vec<u8>> {
        files::read_regular(path, FILE_LIMIT)
    }

    fn report(&self, event: &RunEvent) {
        (self.on_event)(event);
    }
}

/// Maximum size of a file that a builder writes about an image, in bytes.
const FILE_LIMIT: u64 = 8 << 20;

/// The maximum nesting of indexes. Builders write indexes of manifests only.
const MAX_NESTING: usize = 3;

/// Pushes a manifest or index with everything below it, by digest.
fn push(registry: &Registry, source: &dyn ImageSource, root: &Descriptor, depth: usize) -> Result<Digest, String> {
    let bytes = read(source, root)?;
    let below = match Document::parse(&bytes).map_err(|error| format!("{}: {error}", root.digest))? {
        Document::Index(_) if depth >= MAX_NESTING => {
            return Err(format!("{}: indexes nested too deeply", root.digest));
        }
        Document::Index(index) => {
            for manifest in &index.manifests {
                push(registry, source, manifest, depth + 1)?;
            }
            Vec::new()
        }
        Document::Manifest(manifest) => std::iter::once(manifest.config).chain(manifest.layers).collect(),
    };
    // A registry need not store a foreign layer with its own URLs.
    for blob in below.into_iter().filter(|blob: &Descriptor| !blob.is_foreign_layer() || blob.urls.is_empty()) {
        let pushed = match blob.size <= DOCUMENT_LIMIT {
            true => registry.push_blob(&blob, &in_memory(&read(source, &blob)?)),
            false => registry.push_blob(&blob, &|| source.open(&blob)),
        };
        pushed.map_err(|error| error.to_string())?;
    }
    registry.push_manifest(root.digest.as_str(), &root.media_type, &bytes).map_err(|error| error.to_string())
}

/// Returns the errors that a scan found. Fails if something could not be judged.
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
        _ if !is_there => {
            Err(format!("it does not contain {}", wanted.map_or("a platform".to_string(), ToString::to_string)))
        }
        _ if image.verdict() == Verdict::Unknown => Err("could not judge whether it starts".to_string()),
        _ => Ok(faults),
    }
}
