//! Tier 4: turns the user's names into a report: open, select, read layers, merge, judge.

pub mod attribution;
mod base;
pub mod call;
mod cure;
mod file;
pub mod fingerprint;
pub mod history;
mod image;
mod index;
mod instruction;
mod keeping;
mod layers;
mod lazy;
mod many;
mod merged;
pub mod model;
mod odd_layer;
mod platform;
pub(crate) mod pool;
pub mod results;
pub mod shard;
mod store;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use call::CallOverride;
pub use cure::rebuild_command;
pub use keeping::keep;
pub use many::{OPENED_AT_ONCE, ScanTask, scan, scan_all};
pub use model::{
    AcceptedFinding, FailOn, ImageReport, LayerReport, NamedFile, PlatformReport, Problem, Report, RiskReport,
    StepReport, TargetReport, Undecided, Verdict,
};
pub use results::ResultStore;
pub use shard::Shard;

use crate::cache::Cache;
use crate::image::{LayerError, Limits, Wanted};
use crate::inspect::Depth;
use crate::platform::{CpuFeature, Fact, Platform, Target};
use crate::source::SourceError;
use crate::source::input::Opened;
pub use crate::source::rootfs_dir::Mounts;

/// Options of a scan: what to read, what to judge it against, and its limits.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// Platforms of an index to read; empty: all.
    pub platforms: Vec<Platform>,
    /// Platforms of an index to leave out, by operating system and architecture.
    pub except: Vec<Platform>,
    /// The nodes that the image must run on; empty: those that each platform declares.
    pub targets: Vec<Target>,
    pub call: CallOverride,
    /// Names of disabled purpose rules.
    pub rules_off: BTreeSet<String>,
    /// Text of the Dockerfile that built the image.
    pub dockerfile: Option<String>,
    pub limits: Limits,
    /// Whether to read file systems that are mounted below a root file system.
    pub mounts: Mounts,
    /// Whether to trust the digests of local files.
    pub trust: DigestTrust,
    /// Whether layers may be read in part.
    pub reading: ReadDepth,
    /// Layers that are read at once.
    pub jobs: usize,
    /// The cache of layer contents; `None`: no cache.
    pub cache: Option<Arc<Cache>>,
    /// Results of images from earlier runs, looked up before an image is read; `None`: results are not kept.
    pub results: Option<Arc<ResultStore>>,
    /// When the whole run must end.
    pub deadline: Option<Deadline>,
}

/// Whose digests are trusted without hashing the content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DigestTrust {
    /// Every byte is read and hashed.
    #[default]
    None,
    /// An uncompressed layer in a local file is read in part: headers, and the parts of each file that decide its kind.
    Local,
}

/// How much of a layer is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReadDepth {
    /// Every layer is read in full and verified against its digests.
    #[default]
    Full,
    /// A layer with a table of contents is read in part. Its diffID is not verified.
    Lazy,
}

/// When a run must end. Content that has not been read by then is reported as unknown.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    end: Instant,
    seconds: u64,
}

impl Deadline {
    /// `seconds` after the run's start. `None` if the clock cannot represent that time.
    pub fn after(start: Instant, seconds: u64) -> Option<Deadline> {
        start.checked_add(Duration::from_secs(seconds)).map(|end| Deadline { end, seconds })
    }

    /// The remaining time; zero after the deadline.
    pub fn left(&self) -> Duration {
        self.end.saturating_duration_since(Instant::now())
    }

    fn check(&self) -> Result<(), LayerError> {
        if self.left().is_zero() { Err(LayerError::Deadline(self.seconds)) } else { Ok(()) }
    }
}

impl Options {
    /// How deep files are inspected: code is searched if a target's CPU is known to lack a feature.
    pub fn depth(&self) -> Depth {
        let lacks = |target: &Target| {
            let lacks =
                |feature: &CpuFeature| target.node.features.has(*feature, target.node.isa) == Fact::Known(false);
            CpuFeature::ALL.iter().filter(|feature| feature.arch() == target.node.arch).any(lacks)
        };
        if self.targets.iter().any(lacks) { Depth::Code } else { Depth::Headers }
    }

    /// Which images of an index to read.
    fn wanted(&self) -> Wanted {
        Wanted { platforms: self.platforms.clone(), except: self.except.clone() }
    }
}

impl Default for Options {
    fn default() -> Options {
        Options {
            platforms: Vec::new(),
            except: Vec::new(),
            targets: Vec::new(),
            call: CallOverride::default(),
            rules_off: BTreeSet::new(),
            dockerfile: None,
            mounts: Mounts::LeftOut,
            trust: DigestTrust::default(),
            reading: ReadDepth::default(),
            limits: Limits::default(),
            jobs: 2,
            cache: None,
            results: None,
            deadline: None,
        }
    }
}

/// Progress callbacks; called from many threads.
pub trait Watch: Send + Sync + 'static {
    /// Work on this image starts.
    fn image(&self, name: &str);
    /// This many more stored bytes will be read.
    fn expect(&self, bytes: u64);
    /// This many bytes were read.
    fn read(&self, bytes: u64);
    /// This many more layers will be read.
    fn expect_layers(&self, layers: usize);
    /// One layer was processed, successfully or not.
    fn layer(&self);
    /// This many more images will be opened and judged.
    fn expect_images(&self, images: usize);
    /// One image was opened; all are opened before the first is judged.
    fn image_opened(&self);
    /// One image was processed, successfully or not.
    fn image_done(&self);
}

/// Ignores all progress.
pub struct Unwatched;

impl Watch for Unwatched {
    fn image(&self, _: &str) {}
    fn expect(&self, _: u64) {}
    fn read(&self, _: u64) {}
    fn expect_layers(&self, _: usize) {}
    fn layer(&self) {}
    fn expect_images(&self, _: usize) {}
    fn image_opened(&self) {}
    fn image_done(&self) {}
}

/// Opens the image with this name.
pub type Open<'a> = &'a (dyn Fn(&str) -> Result<Opened, SourceError> + Sync);
