//! Scans many images in parallel: opens all of them first, to find the layers that several share, then reads and judges
//! them. The report keeps the order in which they were named.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::image::{Selected, Standing};
use super::model::{ImageReport, Problem, Report};
use super::pool::{Bounds, side_by_side};
use super::store::LayerStore;
use super::{Open, Options, Watch};
use crate::oci::Digest;
use crate::source::Origin;
use crate::source::input::Opened;

/// One image of a run, and how it is judged.
pub struct ScanTask {
    /// The name that opens it.
    pub image: String,
    pub options: Options,
    /// Set if the image is already open.
    pub opened: Option<Opened>,
    /// A note for the report, placed before the notes from opening the image.
    pub note: Option<String>,
}

/// Images that are opened at once: each needs a few small requests and little memory.
pub const OPENED_AT_ONCE: usize = 16;
/// Images that are read and judged at once, if `jobs` is less: most of them wait for a registry.
const JUDGED_AT_ONCE: usize = 8;
/// Total stored bytes of layers of the images that are processed at once, per job. The names and facts that are kept
/// for an image take a tenth of that.
const STORED_BYTES: u64 = 64 << 20;

impl ScanTask {
    pub fn new(image: &str, options: &Options) -> ScanTask {
        ScanTask { image: image.to_string(), options: options.clone(), opened: None, note: None }
    }
}

/// Scans every named image. Read failures are part of the report, not errors: a broken image does not hide the others.
pub fn scan(names: &[String], open: Open<'_>, options: &Options, watch: &Arc<dyn Watch>) -> Report {
    let tasks = names.iter().map(|name| ScanTask::new(name, options)).collect();
    Report { images: scan_all(tasks, open, watch), ..Report::default() }
}

/// Scans images that have separate options; returns one report each, in order.
pub fn scan_all(tasks: Vec<ScanTask>, open: Open<'_>, watch: &Arc<dyn Watch>) -> Vec<ImageReport> {
    let jobs = tasks.iter().map(|task| task.options.jobs).max().unwrap_or(1);
    let store = LayerStore::new(jobs);
    watch.expect_images(tasks.len());
    let opened = side_by_side(
        tasks,
        Bounds { width: OPENED_AT_ONCE, weight: u64::MAX },
        |_| 0,
        |_, mut task| {
            let opened = task.opened.take();
            let open = || opened.map_or_else(|| open(&task.image), Ok);
            let selected = Selected::open(&task.image, open, &task.options, &store, watch);
            watch.image_opened();
            (task, selected)
        },
    );
    store.expect(opened.iter().map(|(task, selected)| (task.options.depth(), selected.layers().collect())));
    let bounds = Bounds { width: jobs.max(JUDGED_AT_ONCE), weight: STORED_BYTES.saturating_mul(jobs as u64) };
    side_by_side(
        opened,
        bounds,
        |(_, selected)| selected.stored_bytes(),
        |at, (task, selected)| {
            let layers: Vec<Digest> = selected.layers().cloned().collect();
            let standing = selected.standing();
            let mut report = judge(at, &task, selected, &store, open, watch);
            store.release(at, task.options.depth(), &layers);
            if let Some(results) = &task.options.results {
                results.keep(&task.image, &task.options, &report, standing == Standing::ByDigest);
            }
            report.prepend_note(task.note);
            watch.image_done();
            report
        },
    )
}

/// A panic is a bug in imgarch and must only cost this image's verdict: others may wait for its layers.
fn judge(
    at: usize,
    task: &ScanTask,
    selected: Selected,
    store: &LayerStore,
    open: Open<'_>,
    watch: &Arc<dyn Watch>,
) -> ImageReport {
    let name = selected.name().to_string();
    watch.image(&name);
    let judged = catch_unwind(AssertUnwindSafe(|| selected.judge(at, store, open, &task.options, watch)));
    judged.unwrap_or_else(|_| {
        let mut report = ImageReport::new(name, Origin::Unopened);
        let hint = "this is a bug in imgarch; please report it with the image's name".to_string();
        report.problems.push(Problem::new("judging the image: internal error", Some(hint)));
        report
    })
}
