//! One image of a run: opened and selected first, read and judged later.

use std::io::BufRead;
use std::path::Path;
use std::sync::Arc;

use super::cure::rebuild_command;
use super::file::{self, ReadFile};
use super::keeping::{counted, keep_to};
use super::layers::Watched;
use super::merged::{on_image, unverified};
use super::model::{ImageReport, PlatformReport, Problem};
use super::platform::{ScannedPlatform, judge_platform};
use super::store::{LayerStore, SourceFailures};
use super::{Open, Options, ReadDepth, Watch};
use super::{base, index};
use crate::exec::messages::{MessageSource, Shown};
use crate::image::{
    Contents, EXTEND_DEADLINE, Image, ImageError, Layer, LayerMember, Limits, Selection, SkippedEntry, Why,
    read_directory, read_stream, select, with_ztocs,
};
use crate::inspect::FileKind;
use crate::judge::code::{Code, Severity};
use crate::judge::finding::Finding;
use crate::oci::{Digest, ImageConfig};
use crate::platform::matching::{self, PullRefusal};
use crate::platform::{NodeEngine, Platform, Target};
use crate::source::archive::Archive;
use crate::source::input::{Opened, OpenedInput};
use crate::source::{ImageRef, ImageSource, Origin, SourceError};

/// An image with its manifests, or the reason why they could not be read.
pub struct Selected {
    name: String,
    origin: Origin,
    note: Option<String>,
    content: Result<OpenedContent, UnreadImage>,
}

/// Why there is nothing to judge.
struct UnreadImage {
    problem: Problem,
    /// The type of the artifact that the name leads to, if it is not an image.
    artifact: Option<String>,
}

impl From<Problem> for UnreadImage {
    fn from(problem: Problem) -> UnreadImage {
        UnreadImage { problem, artifact: None }
    }
}

impl From<ImageError> for UnreadImage {
    fn from(error: ImageError) -> UnreadImage {
        let artifact = match &error {
            ImageError::Artifact { kind, .. } => Some(kind.clone()),
            _ => None,
        };
        UnreadImage { problem: error.into(), artifact }
    }
}

/// Whether a report depends only on the image's digest and the options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    ByDigest,
    /// A stream that has been consumed, or a directory, which may change.
    Passing,
}

enum OpenedContent {
    /// Judged by an earlier run.
    Known(Box<ImageReport>),
    /// `targets`: for each image of the selection, the user's targets that would run it.
    /// `passed`: for a stream, whose layers have already been read, the ones that failed.
    Image {
        source: Box<dyn ImageSource>,
        selection: Box<Selection>,
        targets: Assigned,
        passed: Option<SourceFailures>,
    },
    /// `left_out`: mount points of other file systems; `covered`: files that others are mounted over.
    Directory {
        contents: Arc<Contents<FileKind>>,
        unread: Vec<String>,
        left_out: Vec<String>,
        covered: Vec<Vec<u8>>,
    },
    File(Box<ReadFile>),
}

impl Selected {
    /// Opens a name and reads its manifests. A stream is read completely here.
    pub fn open(
        name: &str,
        opened: impl FnOnce() -> Result<Opened, SourceError>,
        options: &Options,
        store: &LayerStore,
        watch: &Arc<dyn Watch>,
    ) -> Selected {
        watch.image(ImageRef::shown(name));
        if let Some(Err(late)) = options.deadline.map(|deadline| deadline.check()) {
            let content = Err(Problem::new(late.to_string(), Some(EXTEND_DEADLINE.to_string())).into());
            return Selected { name: ImageRef::shown(name).to_string(), origin: Origin::Unopened, note: None, content };
        }
        match opened() {
            Ok(opened) => {
                let asked = name;
                let Opened { input, origin, name, note } = opened;
                let content = match known(asked, &input, options) {
                    Some(report) => Ok(OpenedContent::Known(Box::new(report))),
                    None => OpenedContent::read(input, options, store, watch),
                };
                Selected { name, origin, note, content }
            }
            Err(error) => {
                let problem = Problem::new(error.to_string(), error.hint().map(str::to_string));
                Selected {
                    name: ImageRef::shown(name).to_string(),
                    origin: Origin::Unopened,
                    note: None,
                    content: Err(problem.into()),
                }
            }
        }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn standing(&self) -> Standing {
        match &self.content {
            Ok(OpenedContent::Known(_) | OpenedContent::Image { passed: None, .. }) => Standing::ByDigest,
            Ok(
                OpenedContent::Image { passed: Some(_), .. } | OpenedContent::Directory { .. } | OpenedContent::File(_),
            )
            | Err(_) => Standing::Passing,
        }
    }

    /// Digests of all layers that are needed to judge this image.
    pub fn layers(&self) -> impl Iterator<Item = &Digest> {
        let judged = match &self.content {
            Ok(OpenedContent::Image { selection, targets, .. }) => {
                targets.judged(selection).map(|(image, _)| image).collect()
            }
            _ => Vec::new(),
        };
        judged.into_iter().flat_map(|image| &image.layers).map(|layer| &layer.descriptor.digest)
    }

    /// Total stored size of these layers, in bytes.
    pub fn stored_bytes(&self) -> u64 {
        let Ok(OpenedContent::Image { selection, targets, .. }) = &self.content else { return 0 };
        let layers = targets.judged(selection).flat_map(|(image, _)| &image.layers);
        layers.fold(0, |sum: u64, layer| sum.saturating_add(layer.descriptor.size))
    }

    /// Reads missing layers, merges and judges, one platform at a time, so that only one merged tree is in memory.
    /// `at`: the image's position in the run.
    pub fn judge(
        self,
        at: usize,
        store: &LayerStore,
        open: Open<'_>,
        options: &Options,
        watch: &Arc<dyn Watch>,
    ) -> ImageReport {
        let mut report = ImageReport { note: self.note, ..ImageReport::new(self.name, self.origin) };
        match self.content {
            Err(UnreadImage { problem, artifact }) => {
                report.problems.push(problem);
                report.artifact = artifact;
            }
            Ok(OpenedContent::Known(known)) => return *known,
            Ok(OpenedContent::Directory { contents, unread, left_out, covered }) => {
                let not_read =
                    |path| format!("not read without --cross-file-systems: the file system mounted at /{path}");
                report.skipped.extend(left_out.iter().map(not_read));
                let mut rootfs = crate::image::merge([contents]);
                for path in left_out.iter().map(|path| path.as_bytes()).chain(covered.iter().map(Vec::as_slice)) {
                    rootfs.leave_unread(path);
                }
                options.call.mount(&mut rootfs);
                let config = ImageConfig::default();
                let mut subject = ScannedPlatform::directory(&config, &rootfs);
                subject.problems = unread.into_iter().map(|text| Problem::new(text, None)).collect();
                let targets = match (options.targets.as_slice(), options.platforms.as_slice()) {
                    ([], []) => super::platform::guess(&rootfs).into_iter().collect(),
                    ([], platforms) => platforms.iter().filter_map(Target::of_platform).collect(),
                    (targets, _) => targets.to_vec(),
                };
                report.platforms.push(judge_platform(subject, &targets, options));
            }
            Ok(OpenedContent::File(read)) => file::judge(*read, options, &mut report),
            Ok(OpenedContent::Image { source, selection, targets, passed }) => {
                let watched = Watched { source: &*source, watch: Arc::clone(watch), deadline: options.deadline };
                let judged = targets.judged(&selection).map(|(image, _)| image);
                let layers: Vec<Layer> = match options.reading {
                    ReadDepth::Full => judged.flat_map(|image| image.layers.clone()).collect(),
                    ReadDepth::Lazy => judged.flat_map(|image| with_ztocs(&watched, image, &selection)).collect(),
                };
                let depth = options.depth();
                let failures = passed.unwrap_or_else(|| store.read(&*source, &layers, at, options, watch));
                report.digest = Some(selection.root.digest.clone());
                report.problems.extend(selection.unmet(&options.wanted()).map(Problem::from));
                index::judge(&selection, &mut report);
                report.findings.extend(targets.refused.iter().cloned());
                report.problems.extend(targets.unread.iter().cloned());
                for (image, targets) in targets.judged(&selection) {
                    let find = |layer: &Layer| store.find(layer, depth, &failures);
                    let mut platform = on_image(image, targets, &find, &watched, options);
                    let from = base::From { open, registry: report.origin.registry() };
                    mark_base(&mut platform, || base::layers(image, &selection, &*source, &from));
                    report.platforms.push(platform);
                }
                report.skipped.extend(unverified(&layers, |layer| store.find(layer, depth, &failures)));
                distinguish(&mut report.platforms);
                let platforms: Vec<Platform> = options.targets.iter().map(|target| target.platform.clone()).collect();
                index::blame_pin(&mut report, &platforms, open);
            }
        }
        for finding in report.findings.iter_mut().chain(report.platforms.iter_mut().flat_map(|p| &mut p.findings)) {
            name_image(&mut finding.hint, &report.name, &report.origin);
        }
        report
    }
}

/// The report of an earlier run on the image that `name` leads to.
fn known(name: &str, input: &OpenedInput, options: &Options) -> Option<ImageReport> {
    let (OpenedInput::Image(source), Some(results)) = (input, &options.results) else { return None };
    results.find(name, &source.root().ok()?.digest, options)
}

/// Distinguishes images of one index that are for the same platform.
fn distinguish(platforms: &mut [PlatformReport]) {
    let labels: Vec<String> = platforms.iter().map(PlatformReport::label).collect();
    let is_one_of_many = |label: &String| labels.iter().filter(|other| *other == label).count() > 1;
    for (platform, _) in platforms.iter_mut().zip(&labels).filter(|(_, label)| is_one_of_many(label)) {
        if platform.image.is_none() {
            platform.image = platform.digest.as_ref().map(Digest::short);
        }
    }
}

/// Marks the base's layers, if a finding refers to a layer.
fn mark_base(report: &mut PlatformReport, base: impl FnOnce() -> Option<usize>) {
    if report.findings.iter().all(|finding| finding.layer.is_none() || finding.severity == Severity::Note) {
        return;
    }
    if let Some(count) = base() {
        for layer in &mut report.layers {
            layer.is_base = Some(layer.index < count);
            // The base has its own Dockerfile.
            layer.dockerfile_line = layer.dockerfile_line.filter(|_| layer.index >= count);
        }
    }
}

/// Replaces IMAGE in hints, which are written without the image's name, so that they can be pasted.
fn name_image(hint: &mut [String], name: &str, origin: &Origin) {
    for line in hint {
        if let Some(platform) = line.strip_prefix("imgarch rebuild IMAGE --platform ") {
            *line = rebuild_command(name, origin, platform);
            continue;
        }
        let words: Vec<&str> = line.split(' ').map(|word| if word == "IMAGE" { name } else { word }).collect();
        *line = words.join(" ");
    }
}

impl OpenedContent {
    fn read(
        input: OpenedInput,
        options: &Options,
        store: &LayerStore,
        watch: &Arc<dyn Watch>,
    ) -> Result<OpenedContent, UnreadImage> {
        let wanted = options.wanted();
        match input {
            OpenedInput::Image(source) => {
                let selection = select(&*source, &wanted)?;
                let targets = Assigned::from_selection(&selection, options);
                Ok(OpenedContent::Image { source, selection: Box::new(selection), targets, passed: None })
            }
            OpenedInput::Directory(path) => Ok(read_rootfs_dir(&path, options)?),
            OpenedInput::File { path, refused } => match (file::holds_image(&path, options)?, refused) {
                (true, Some(refused)) => Err(Problem::from(ImageError::from(refused)).into()),
                (true, None) => OpenedContent::read(
                    OpenedInput::of_archive(&path).map_err(|error| Problem::from(ImageError::from(error)))?,
                    options,
                    store,
                    watch,
                ),
                (false, _) => Ok(OpenedContent::File(Box::new(file::read(&path, options, watch)?))),
            },
            OpenedInput::Stream(stream) => {
                let limits = Limits { memory: options.limits.memory.renewed(), ..options.limits.clone() };
                let mut streamed =
                    read_stream(stream.reader, &stream.place, &limits, &mut counted(options.depth(), &limits))
                        .map_err(Problem::from)?;
                let source = Archive::from_members(streamed.members.take(), &stream.selector)
                    .map_err(|error| Problem::from(ImageError::from(error)))?;
                let selection = select(&source, &wanted)?;
                // A stream can only be read once: take its layers before anything requests them by descriptor.
                let layers = selection.images.iter().flat_map(|image| &image.layers);
                let passed = Some(store.take(layers, options.depth(), |layer| streamed.take(layer)));
                let targets = Assigned::from_selection(&selection, options);
                Ok(OpenedContent::Image { source: Box::new(source), selection: Box::new(selection), targets, passed })
            }
        }
    }
}

/// Which images of an index each target runs.
struct Assigned {
    /// One list for each image of the selection; an image that none of the user's targets runs is not judged.
    by_image: Vec<Vec<Target>>,
    refused: Vec<Finding>,
    /// Targets whose image is listed but stored elsewhere.
    unread: Vec<Problem>,
    /// The user named targets.
    is_narrowed: bool,
}

/// The engine that is assumed if a target does not state one: the engine of most Kubernetes nodes.
const ENGINE: NodeEngine = NodeEngine::ContainerdCri { major: 2, minor: 0 };

impl Assigned {
    fn from_selection(selection: &Selection, options: &Options) -> Assigned {
        let images = &selection.images;
        if options.targets.is_empty() {
            let own = images.iter().map(|image| {
                let published = image.promised.as_ref().or(image.declared.as_ref());
                published.and_then(Target::of_platform).into_iter().collect()
            });
            return Assigned { by_image: own.collect(), refused: Vec::new(), unread: Vec::new(), is_narrowed: false };
        }
        let by_image = vec![Vec::new(); images.len()];
        let mut assigned = Assigned { by_image, refused: Vec::new(), unread: Vec::new(), is_narrowed: true };
        let offered: Vec<Option<Platform>> = images.iter().map(|image| image.promised.clone()).collect();
        for target in &options.targets {
            // Every engine pulls a single manifest, whatever its platform: a common cause of exec format errors.
            let picked = match selection.index_annotations {
                None => Ok((0..images.len().min(1)).collect()),
                Some(_) => matching::pick(target.engine.unwrap_or(ENGINE), target, &offered),
            };
            match picked {
                Ok(best) => best.first().into_iter().for_each(|first| assigned.by_image[*first].push(target.clone())),
                Err(refusal) => {
                    if let Some(problem) = elsewhere(selection, target) {
                        assigned.unread.push(problem);
                        continue;
                    }
                    let message = format!("{} finds nothing to run in the index", target.name);
                    let finding = Finding::new(Code::NoPlatformForTarget, message);
                    let shown = vec![not_pulled(target.engine.unwrap_or(ENGINE), refusal)];
                    assigned.refused.push(Finding { target: Some(target.name.clone()), shown, ..finding });
                }
            }
        }
        assigned
    }

    /// The images that are judged, with their targets.
    fn judged<'a>(&'a self, selection: &'a Selection) -> impl Iterator<Item = (&'a Image, &'a [Target])> {
        let all = selection.images.iter().zip(self.by_image.iter().map(Vec::as_slice));
        all.filter(|(_, targets)| !self.is_narrowed || !targets.is_empty())
    }
}

/// The message of an engine that finds nothing to pull.
fn not_pulled(engine: NodeEngine, refusal: PullRefusal) -> Shown {
    let (speaker, frontend) = match engine {
        NodeEngine::DockerGraph | NodeEngine::DockerContainerd => (MessageSource::Docker, "docker pull"),
        NodeEngine::Containerd => (MessageSource::Runtime, "ctr images pull, nerdctl pull"),
        NodeEngine::ContainerdCri { .. } => (MessageSource::Kubelet, "kubelet (containerd): ErrImagePull"),
        NodeEngine::CriO => (MessageSource::Kubelet, "kubelet (CRI-O): ErrImagePull"),
        NodeEngine::Podman => (MessageSource::Podman, "podman pull"),
    };
    Shown { speaker, frontend: frontend.into(), text: refusal.message, exit_code: None }
}

/// The problem for a target whose image an engine would find in the index, but that this source does not have.
fn elsewhere(selection: &Selection, target: &Target) -> Option<Problem> {
    let absent = |entry: &SkippedEntry| match &entry.why {
        Why::NotPresent { place } => Some((entry.platform.clone(), place.clone())),
        _ => None,
    };
    let (platforms, places): (Vec<_>, Vec<_>) = selection.skipped.iter().filter_map(absent).unzip();
    let picked = matching::pick(target.engine.unwrap_or(ENGINE), target, &platforms).ok()?;
    let at = *picked.first()?;
    let platform = platforms[at].as_ref().map_or_else(|| "its image".to_string(), ToString::to_string);
    let text = format!("{}: {platform} is listed, but its content is not present in {}", target.name, places[at]);
    Some(Problem::new(text, Some("scan it from its registry".to_string())))
}

/// Reads a directory. Files that could not be read are problems, so that the directory is not judged in part.
fn read_rootfs_dir(path: &Path, options: &Options) -> Result<OpenedContent, Problem> {
    let depth = options.depth();
    let mut keep = |entry: &LayerMember<'_>, reader: &mut dyn BufRead| keep_to(depth, entry, reader);
    let read = read_directory(path, options.mounts, &options.limits, &mut keep).map_err(Problem::from)?;
    let unread = read
        .walked
        .unread
        .iter()
        .map(|unread| format!("{}/{}: {}", path.display(), String::from_utf8_lossy(&unread.path), unread.cause));
    let mut unread: Vec<String> = unread.collect();
    if !read.is_whole {
        unread.push(format!("{} contains more files than can be read", path.display()));
    }
    let left_out = read.walked.left_out.iter().map(|path| String::from_utf8_lossy(path).into_owned()).collect();
    let covered = read.walked.covered;
    Ok(OpenedContent::Directory { contents: Arc::new(read.contents), unread, left_out, covered })
}
