//! The work of a run: named images and those that manifests or a cluster use, limited to the run's shard. Saves the
//! results if the user wants that.

use std::sync::Arc;

use super::fleet::PartArgs;
use super::progress::Progress;
use super::settings::Settings;
use super::{CliError, Environment, Terminal, cache, deadline};
use crate::cache::StoreAccess;
use crate::kube::{ImageUse, Nodes, UseTask, use_tasks};
use crate::report::escape::thousands;
use crate::scan::results::{ResultStore, Share, ShareImage};
use crate::scan::{ImageReport, Options, Report, ScanTask, Shard, Watch, scan_all};
use crate::source::input::ImageOpener;

/// The work of one shard. Images are numbered across all shards.
#[derive(Debug)]
pub struct Work {
    shard: Shard,
    /// Number of images in all shards.
    count: usize,
    images: Vec<(usize, String)>,
    uses: Vec<(usize, ImageUse)>,
    /// Reports of inputs that were not read and are not judged.
    unread: Vec<(usize, ImageReport)>,
    /// Reports of unread inputs that the caller reports separately. They are part of the saved results.
    separate: Vec<(usize, ImageReport)>,
}

/// Where images are read, and how they are judged.
pub struct ScanWork<'a> {
    pub opener: &'a ImageOpener,
    pub settings: &'a Settings,
    /// The options for named images.
    pub options: &'a Options,
    /// The options for used images, except for the nodes that they run on.
    pub use_options: &'a Options,
    pub nodes: &'a Nodes,
    /// Whether artifacts that are not images are skipped, because a registry was listed.
    pub leaves_out_artifacts: bool,
}

/// The outcome of a run.
pub struct Judged {
    /// Reports of the named images, of each use, then of unread inputs.
    pub report: Report,
    #[cfg_attr(not(feature = "kube"), allow(dead_code, reason = "only `cluster` reads the uses"))]
    pub uses: Vec<ImageUse>,
    results: Option<Arc<ResultStore>>,
}

impl Work {
    pub fn new(shard: Shard) -> Work {
        Work { shard, count: 0, images: Vec::new(), uses: Vec::new(), unread: Vec::new(), separate: Vec::new() }
    }

    pub fn add_images(&mut self, images: Vec<String>) {
        let (shard, first) = (self.shard, self.count);
        self.count += images.len();
        self.images.extend((first..).zip(images).filter(|(_, image)| shard.has(image)));
    }

    pub fn add_uses(&mut self, uses: Vec<ImageUse>) {
        let (shard, first) = (self.shard, self.count);
        self.count += uses.len();
        self.uses.extend((first..).zip(uses).filter(|(_, one)| shard.has(&one.image)));
    }

    pub fn add_unread(&mut self, reports: Vec<ImageReport>) {
        let (shard, first) = (self.shard, self.count);
        self.count += reports.len();
        self.unread.extend((first..).zip(reports).filter(|(_, report)| shard.has(&report.name)));
    }

    /// Adds a report that the caller shows separately. In merged results it decides the exit code.
    #[cfg(feature = "kube")]
    pub fn add_separate(&mut self, report: ImageReport) {
        if self.shard.has(&report.name) {
            self.separate.push((self.count, report));
        }
        self.count += 1;
    }

    /// Judges everything, showing progress.
    pub fn judge(
        self,
        how: &ScanWork<'_>,
        part: &PartArgs,
        environment: &Environment,
        terminal: &Terminal,
    ) -> Result<Judged, CliError> {
        let own = self.images.len() + self.uses.len() + self.unread.len();
        if self.shard != Shard::WHOLE {
            let all = self.count - self.separate.len().min(self.count);
            terminal.note(&match own {
                0 => format!("{} has no images", self.shard),
                own => format!("{} has {} of {} images", self.shard, thousands(own), thousands(all)),
            });
        }
        let progress = Progress::new(terminal);
        let watch: Arc<dyn Watch> = progress.clone();
        let deadline = deadline::begin(how.settings.deadline.value, &progress);
        let options = Options { deadline, ..how.options.clone() };
        let use_options = Options { deadline, ..how.use_options.clone() };
        let mut tasks: Vec<(usize, ScanTask)> =
            self.images.iter().map(|(at, image)| (*at, ScanTask::new(image, &options))).collect();
        let mut uses = Vec::new();
        let (use_tasks, notes) = use_tasks(how.opener, self.uses, how.nodes, &use_options);
        terminal.notes(&notes);
        for UseTask { at, used, task } in use_tasks {
            uses.push(used);
            tasks.push((at, task));
        }
        let mut unread = self.unread;
        let results = match &part.results {
            None => None,
            Some(place) => {
                let named = tasks.iter().map(|(at, task)| ShareImage {
                    at: *at,
                    image: &task.image,
                    options: &task.options,
                    note: task.note.as_deref(),
                });
                let reported = unread.iter().chain(&self.separate).map(|(at, report)| ShareImage {
                    at: *at,
                    image: &report.name,
                    options: &options,
                    note: None,
                });
                let share = Share {
                    shard: self.shard,
                    images: named.chain(reported).collect(),
                    leaves_out_artifacts: how.leaves_out_artifacts,
                    now: environment.unix_seconds(),
                };
                Some(Arc::new(begin(place, how, &options, &share)?))
            }
        };
        if let Some(results) = &results {
            tasks.iter_mut().for_each(|(_, task)| task.options.results = Some(Arc::clone(results)));
            for (_, report) in unread.iter().chain(&self.separate) {
                results.keep(&report.name, &options, report, false);
            }
        }
        let empty_shard = (own == 0 && self.count > 0).then_some(self.shard).filter(|shard| *shard != Shard::WHOLE);
        let tasks = tasks.into_iter().map(|(_, task)| task).collect();
        let mut images = scan_all(tasks, &|name| how.opener.open(name), &watch);
        images.extend(unread.drain(..).map(|(_, report)| report));
        progress.finish();
        cache::trim(&options, terminal);
        Ok(Judged { report: Report { images, empty_shard }, uses, results })
    }
}

fn begin(place: &str, how: &ScanWork<'_>, options: &Options, share: &Share<'_>) -> Result<ResultStore, CliError> {
    let store = cache::store(how.settings, place, StoreAccess::Write)?;
    ResultStore::begin(store, &cache::build(), options, share).map_err(|error| CliError::Unknown {
        text: format!("saving results to {}: {error}", crate::cache::shown(place)),
        hint: None,
    })
}

impl Judged {
    /// Fails if a result could not be saved, even though the report is complete.
    pub fn check_kept(&self) -> Result<(), CliError> {
        match self.results.as_ref().and_then(|results| results.take_failure()) {
            None => Ok(()),
            Some(error) => Err(CliError::Unknown {
                text: format!("could not save all results: {error}"),
                hint: Some("run the command again; saved results are skipped".into()),
            }),
        }
    }
}
