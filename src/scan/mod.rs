//! Floor 5: from what the user named to a report: open, select, read layers, merge, judge.

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
mod layers;
mod many;
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
pub use layers::keep;
pub use many::{OPENED_AT_ONCE, Task, scan, scan_all};
pub use model::{
    Accepted, FailOn, ImageReport, LayerReport, PlatformReport, Problem, Report, StepReport, TargetReport, Undecided,
    Verdict,
};
pub use results::Results;
pub use shard::Shard;

use crate::cache::Cache;
use crate::image::{LayerError, Limits, Wanted};
use crate::inspect::Depth;
use crate::platform::{CpuFeature, Fact, Platform, Target};
use crate::source::SourceError;
use crate::source::input::Opened;
pub use crate::source::rootfs_dir::Mounts;

/// What to read, what to judge it against, and how far to go.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// Platforms of an index to read; empty: all.
    pub platforms: Vec<Platform>,
    /// Platforms of an index to leave out, by operating system and architecture.
    pub except: Vec<Platform>,
    /// Where it must run; empty: what each platform declares.
    pub targets: Vec<Target>,
    pub call: CallOverride,
    /// Names of purpose rules that are switched off.
    pub rules_off: BTreeSet<String>,
    /// Text of the Dockerfile that built the image.
    pub dockerfile: Option<String>,
    pub limits: Limits,
    /// Whether file systems that are mounted below a root file system are read too.
    pub mounts: Mounts,
    /// Whether files of this machine are what their digests say.
    pub trust: Trust,
    /// Layers that are read at once.
    pub jobs: usize,
    /// Where what was found in layers is remembered; none: nowhere.
    pub cache: Option<Arc<Cache>>,
    /// Where what is found of each image is kept, and looked up before it is read; none: nowhere.
    pub results: Option<Arc<Results>>,
    /// When the whole run must end.
    pub deadline: Option<Deadline>,
}

/// Whose word is taken for a layer's digests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Trust {
    /// Every byte is read and hashed.
    #[default]
    Nobody,
    /// An uncompressed layer that lies in a file here is read in part: headers, and what decides of each file.
    Local,
}

/// When a run must end: what has not been read by then is not known.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    end: Instant,
    seconds: u64,
}

impl Deadline {
    /// `seconds` after the run's start. `None` where no clock reaches that far.
    pub fn after(start: Instant, seconds: u64) -> Option<Deadline> {
        start.checked_add(Duration::from_secs(seconds)).map(|end| Deadline { end, seconds })
    }

    /// The time that is left; zero once it has passed.
    pub fn left(&self) -> Duration {
        self.end.saturating_duration_since(Instant::now())
    }

    fn check(&self) -> Result<(), LayerError> {
        if self.left().is_zero() { Err(LayerError::Deadline(self.seconds)) } else { Ok(()) }
    }
}

impl Options {
    /// How deep files are looked into: code is searched where the CPU of a given target is known to lack something.
    pub fn depth(&self) -> Depth {
        let lacks = |target: &Target| {
            let lacks =
                |feature: &CpuFeature| target.node.features.has(*feature, target.node.isa) == Fact::Known(false);
            CpuFeature::ALL.iter().filter(|feature| feature.arch() == target.node.arch).any(lacks)
        };
        if self.targets.iter().any(lacks) { Depth::Code } else { Depth::Headers }
    }

    /// Which of an index's images are asked for.
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
            trust: Trust::default(),
            limits: Limits::default(),
            jobs: 2,
            cache: None,
            results: None,
            deadline: None,
        }
    }
}

/// Who is told how far the reading is; called from many threads.
pub trait Watch: Send + Sync + 'static {
    /// Work on this image begins.
    fn image(&self, name: &str);
    /// So many more stored bytes are to be read.
    fn expect(&self, bytes: u64);
    /// So many were.
    fn read(&self, bytes: u64);
    /// So many more layers are to be read.
    fn expect_layers(&self, layers: usize);
    /// One was, whatever came of it.
    fn layer(&self);
    /// So many more images are to be opened and judged.
    fn expect_images(&self, images: usize);
    /// One was opened; all are before the first is judged.
    fn image_opened(&self);
    /// One was, whatever came of it.
    fn image_done(&self);
}

/// Nobody is told.
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

/// Opens what a name stands for.
pub type Open<'a> = &'a (dyn Fn(&str) -> Result<Opened, SourceError> + Sync);
