//! Results of a run, per image, in a store that outlives it: a killed run resumes where it stopped, and several runs
//! that share the images between them are merged into one report.
//!
//! `imgarch-results-VERSION/` contains one record for each image digest and set of options. For each run, it contains a
//! plan and an entry for each of its images. A record is written in one piece when its image has been judged, and only
//! if everything was read. An entry names the start of the run that wrote it, so that results of an older start are not
//! used. Anyone may have written to the store: sizes are bounded, and a record whose content does not match its name is
//! ignored.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::Options;
use super::model::{ImageReport, Problem, Report};
use super::pool::{Bounds, lock, side_by_side};
use super::shard::Shard;
use crate::cache::{RecordStore, StoreFailure};
use crate::oci::Digest;
use crate::source::Origin;

/// Version of the file format.
const SCHEMA: u32 = 1;
/// Maximum size of one record in bytes: a thousand times that of a usual image.
const RECORD_LIMIT: u64 = 64 << 20;
/// Maximum size of a plan in bytes: half a million images with long names.
const PLAN_LIMIT: u64 = 128 << 20;
/// Entries and records that are read at once.
const READ_AT_ONCE: usize = 16;
/// Failed requests in a row after which the store is not used any more: each may wait for its full timeout. A single
/// failure may be a moment's overload.
const MAX_FAILURES: u32 = 3;
/// How often a request is made, each time with the retries of the store's client.
const ATTEMPTS: u32 = 3;
/// Time after which a request that failed is not repeated.
const QUICK: Duration = Duration::from_secs(5);
/// Maximum number of shards; more than any cluster has nodes.
const MAX_SHARDS: u32 = 100_000;

/// The store for the results of one run.
#[derive(Debug)]
pub struct ResultStore {
    store: RecordStore,
    build: String,
    run: String,
    /// Distinguishes this start of the run from others.
    start: String,
    failures: Mutex<StoreFailures>,
}

/// Failed requests to the store.
#[derive(Debug, Default)]
struct StoreFailures {
    /// Why the first result was not kept.
    unkept: Option<StoreFailure>,
    last: Option<StoreFailure>,
    /// How many requests failed since the last one that succeeded.
    in_a_row: u32,
}

/// The run whose results are merged.
#[derive(Serialize, Deserialize)]
struct CurrentRun {
    schema: u32,
    run: String,
    shards: u32,
}

/// The images of one shard of a run.
#[derive(Serialize, Deserialize)]
struct ShardPlan {
    schema: u32,
    start: String,
    /// Seconds since 1970.
    started: u64,
    leaves_out_artifacts: bool,
    images: Vec<PlannedImage>,
}

#[derive(Serialize, Deserialize)]
struct PlannedImage {
    /// Its position among the images of all shards.
    at: usize,
    image: String,
    key: String,
    note: Option<String>,
}

/// The result for an image in one start of a run: the digest of its record, or the report if it must not be reused.
#[derive(Serialize, Deserialize)]
struct ImageEntry {
    schema: u32,
    start: String,
    image: String,
    digest: Option<Digest>,
    report: Option<ImageReport>,
}

#[derive(Serialize, Deserialize)]
struct ResultRecord {
    schema: u32,
    build: String,
    key: String,
    digest: Digest,
    /// Digest of the report's JSON.
    sum: Digest,
    report: ImageReport,
}

/// The images of one shard, out of all images of the run.
#[derive(Debug)]
pub struct Share<'a> {
    pub shard: Shard,
    pub images: Vec<ShareImage<'a>>,
    /// Artifacts that are not images are not problems: a registry was listed.
    pub leaves_out_artifacts: bool,
    /// Seconds since 1970.
    pub now: u64,
}

/// An image of a shard, and the options for it.
#[derive(Debug)]
pub struct ShareImage<'a> {
    /// Its position among the images of all shards.
    pub at: usize,
    pub image: &'a str,
    pub options: &'a Options,
    /// A note for the run's report, placed before the notes from opening the image.
    pub note: Option<&'a str>,
}

/// The results of all shards.
#[derive(Debug, Default)]
pub struct Merged {
    pub report: Report,
    /// Types of artifacts that were left out because they are not images.
    pub artifacts: Vec<String>,
}

/// Error: the results cannot be merged.
#[derive(Debug, thiserror::Error)]
pub enum MergeError {
    #[error("{place} has no results of this version of imgarch")]
    Nothing { place: String },
    #[error("cannot read the results in {place}: {cause}")]
    Store { place: String, cause: StoreFailure },
}

impl ResultStore {
    /// Opens the results in `store` for a run with these options; single images may have others. `build` identifies the
    /// program that inspects. Writes the plan.
    pub fn begin(
        store: RecordStore,
        build: &str,
        options: &Options,
        share: &Share<'_>,
    ) -> Result<ResultStore, StoreFailure> {
        let start = Digest::from_bytes(format!("{} {} {:?}", share.now, std::process::id(), share.shard).as_bytes());
        let results = ResultStore {
            store,
            build: build.to_string(),
            run: hash(&manner(options))[..16].to_string(),
            start: start.hex()[..16].to_string(),
            failures: Mutex::default(),
        };
        let plan = |one: &ShareImage<'_>| PlannedImage {
            at: one.at,
            image: one.image.to_string(),
            key: key(one.image, one.options),
            note: one.note.map(str::to_string),
        };
        let plan = ShardPlan {
            schema: SCHEMA,
            start: results.start.clone(),
            started: share.now,
            leaves_out_artifacts: share.leaves_out_artifacts,
            images: share.images.iter().map(plan).collect(),
        };
        // The plan is written first, so that a merge sees which images are missing.
        results.write(&plan_path(&results.run, share.shard), &plan)?;
        let current = CurrentRun { schema: SCHEMA, run: results.run.clone(), shards: share.shard.count };
        results.write(CURRENT, &current)?;
        Ok(results)
    }

    /// The known report for the image named `image`, if it has this digest.
    pub fn find(&self, image: &str, digest: &Digest, options: &Options) -> Option<ImageReport> {
        if self.is_given_up() {
            return None;
        }
        let found = read_record(&self.store, &self.build, &key(image, options), digest);
        self.count(&found);
        found.ok().flatten()
    }

    /// Keeps the report on an image. `is_reusable`: it was read by its digest.
    pub fn keep(&self, image: &str, options: &Options, report: &ImageReport, is_reusable: bool) {
        let is_kept = !self.is_given_up() && {
            let kept = self.try_keep(image, options, report, is_reusable);
            self.count(&kept);
            kept.is_ok()
        };
        if !is_kept {
            let mut failures = lock(&self.failures);
            failures.unkept = failures.unkept.take().or_else(|| failures.last.clone());
        }
    }

    fn count<T>(&self, answer: &Result<T, StoreFailure>) {
        let mut failures = lock(&self.failures);
        match answer {
            Ok(_) => failures.in_a_row = 0,
            Err(failure) => {
                failures.in_a_row += 1;
                failures.last = Some(failure.clone());
            }
        }
    }

    fn is_given_up(&self) -> bool {
        lock(&self.failures).in_a_row >= MAX_FAILURES
    }

    fn try_keep(
        &self,
        image: &str,
        options: &Options,
        report: &ImageReport,
        is_reusable: bool,
    ) -> Result<(), StoreFailure> {
        let key = key(image, options);
        // The next attempt may be able to read what failed this time.
        let digest = report.digest.clone().filter(|_| is_reusable && report.is_read());
        if let Some(digest) = &digest {
            let path = record_path(digest, &key);
            if read_record(&self.store, &self.build, &key, digest)?.is_none() {
                let record =
                    RecordOut { schema: SCHEMA, build: &self.build, key: &key, digest, sum: sum(report), report };
                self.write(&path, &record)?;
            }
        }
        let report = if digest.is_none() { Some(report) } else { None };
        let entry = EntryOut { schema: SCHEMA, start: &self.start, image, digest: digest.as_ref(), report };
        self.write(&entry_path(&self.run, &key), &entry)
    }

    fn write(&self, path: &str, value: &impl Serialize) -> Result<(), StoreFailure> {
        let bytes = serde_json::to_vec(value).map_err(|error| StoreFailure(error.to_string()))?;
        attempt(|| self.store.put(&format!("{}/{path}", place(&self.build)), &bytes))
    }

    /// Why the first result that is missing in the store was not kept.
    pub fn take_failure(&self) -> Option<StoreFailure> {
        lock(&self.failures).unkept.take()
    }
}

/// The serialised forms of [`ResultRecord`] and [`ImageEntry`], with borrowed fields.
#[derive(Serialize)]
struct RecordOut<'a> {
    schema: u32,
    build: &'a str,
    key: &'a str,
    digest: &'a Digest,
    sum: Digest,
    report: &'a ImageReport,
}

#[derive(Serialize)]
struct EntryOut<'a> {
    schema: u32,
    start: &'a str,
    image: &'a str,
    digest: Option<&'a Digest>,
    report: Option<&'a ImageReport>,
}

const CURRENT: &str = "run.json";

fn place(build: &str) -> String {
    format!("imgarch-results-{}-{}", env!("CARGO_PKG_VERSION"), &hash(build)[..12])
}

fn plan_path(run: &str, shard: Shard) -> String {
    format!("runs/{run}/plans/{}-of-{}.json", shard.number, shard.count)
}

fn entry_path(run: &str, key: &str) -> String {
    format!("runs/{run}/images/{key}.json")
}

fn record_path(digest: &Digest, key: &str) -> String {
    let hex = digest.hex();
    format!("records/{}/{}/{hex}/{key}.json", digest.algorithm(), &hex[..2])
}

fn hash(text: &str) -> String {
    Digest::from_bytes(text.as_bytes()).hex().to_string()
}

fn sum(report: &ImageReport) -> Digest {
    Digest::from_bytes(&serde_json::to_vec(report).unwrap_or_default())
}

/// All options that a report depends on.
fn manner(options: &Options) -> String {
    // An image that reaches a limit or the deadline has a problem, and results with problems are not reused. Results of
    // directories, the only ones with mounts, are not reused either.
    let Options {
        platforms,
        except,
        targets,
        call,
        rules_off,
        dockerfile,
        limits: _,
        mounts: _,
        trust,
        reading,
        jobs: _,
        cache: _,
        results: _,
        deadline: _,
    } = options;
    format!("{platforms:?} {except:?} {targets:?} {call:?} {rules_off:?} {dockerfile:?} {trust:?} {reading:?}")
}

/// The key of an image's results under these options.
fn key(image: &str, options: &Options) -> String {
    hash(&format!("{image:?} {}", manner(options)))[..32].to_string()
}

/// Repeats a request that failed quickly, as an overloaded store refuses it. A slow failure has used up its timeout.
fn attempt<T>(request: impl Fn() -> Result<T, StoreFailure>) -> Result<T, StoreFailure> {
    let started = Instant::now();
    let mut answer = request();
    for _ in 1..ATTEMPTS {
        if answer.is_ok() || started.elapsed() > QUICK {
            break;
        }
        answer = request();
    }
    answer
}

/// Reads a file of at most `limit` bytes. `None`: it is missing or not valid.
fn read<T: DeserializeOwned>(
    store: &RecordStore,
    build: &str,
    path: &str,
    limit: u64,
) -> Result<Option<T>, StoreFailure> {
    let bytes = attempt(|| store.get(&format!("{}/{path}", place(build)), limit))?;
    Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
}

fn read_record(
    store: &RecordStore,
    build: &str,
    key: &str,
    digest: &Digest,
) -> Result<Option<ImageReport>, StoreFailure> {
    let record: Option<ResultRecord> = read(store, build, &record_path(digest, key), RECORD_LIMIT)?;
    let is_right = |record: &ResultRecord| {
        let named = (record.schema, record.build.as_str(), record.key.as_str(), &record.digest);
        named == (SCHEMA, build, key, digest)
            && record.report.digest.as_ref() == Some(digest)
            && record.sum == sum(&record.report)
    };
    Ok(record.filter(is_right).map(|record| record.report))
}

/// The report of all shards of the run that last wrote to `store`, in the order of its images. An image without a
/// result is reported as unknown. So is a shard without a plan, or with a plan from before `oldest` (seconds since
/// 1970).
pub fn merge(store: &RecordStore, build: &str, oldest: u64) -> Result<Merged, MergeError> {
    let at = || store.name().to_string();
    let failed = |cause| MergeError::Store { place: at(), cause };
    let current: Option<CurrentRun> = read(store, build, CURRENT, PLAN_LIMIT).map_err(failed)?;
    let is_right = |current: &CurrentRun| {
        let is_name = current.run.len() == 16 && current.run.bytes().all(|byte| byte.is_ascii_hexdigit());
        current.schema == SCHEMA && is_name && (1..=MAX_SHARDS).contains(&current.shards)
    };
    let current = current.filter(is_right).ok_or_else(|| MergeError::Nothing { place: at() })?;
    let mut missing = Vec::new();
    let mut planned: BTreeMap<(usize, u32), Expected> = BTreeMap::new();
    for number in 1..=current.shards {
        let shard = Shard { number, count: current.shards };
        let plan: Option<ShardPlan> =
            read(store, build, &plan_path(&current.run, shard), PLAN_LIMIT).map_err(failed)?;
        match plan.filter(|plan| plan.schema == SCHEMA) {
            None => missing.push(unknown(&shard.to_string(), format!("it has not run: {} has no plan for it", at()))),
            Some(plan) if plan.started < oldest => {
                missing.push(unknown(&shard.to_string(), "its results are older than --max-age".to_string()));
            }
            Some(plan) => {
                let (start, leaves_out_artifacts) = (plan.start, plan.leaves_out_artifacts);
                let expect = |image| Expected { image, start: start.clone(), leaves_out_artifacts };
                planned.extend(plan.images.into_iter().map(|image| ((image.at, number), expect(image))));
            }
        }
    }
    let read = |_, expected: Expected| {
        let found = read_entry(store, build, &current.run, &expected).map_err(failed)?;
        let PlannedImage { image, note, .. } = expected.image;
        let mut report = found.unwrap_or_else(|| unknown(&image, format!("it has no result in {}", at())));
        report.prepend_note(note);
        Ok((report, expected.leaves_out_artifacts))
    };
    let bounds = Bounds { width: READ_AT_ONCE, weight: u64::MAX };
    let mut merged = Merged::default();
    for read in side_by_side(planned.into_values().collect(), bounds, |_| 0, read) {
        let (report, leaves_out_artifacts) = read?;
        match &report.artifact {
            Some(kind) if leaves_out_artifacts => merged.artifacts.push(kind.clone()),
            _ => merged.report.images.push(report),
        }
    }
    merged.report.images.append(&mut missing);
    Ok(merged)
}

/// An image of a plan, and the start of its shard.
struct Expected {
    image: PlannedImage,
    start: String,
    leaves_out_artifacts: bool,
}

fn read_entry(
    store: &RecordStore,
    build: &str,
    run: &str,
    expected: &Expected,
) -> Result<Option<ImageReport>, StoreFailure> {
    let PlannedImage { image, key, .. } = &expected.image;
    if key.len() != 32 || !key.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(None);
    }
    let entry: Option<ImageEntry> = read(store, build, &entry_path(run, key), RECORD_LIMIT)?;
    let is_right = |entry: &ImageEntry| {
        (entry.schema, &entry.image, entry.start.as_str()) == (SCHEMA, image, expected.start.as_str())
    };
    match entry.filter(is_right) {
        Some(ImageEntry { report: Some(report), .. }) => Ok(Some(report)),
        Some(ImageEntry { digest: Some(digest), .. }) => read_record(store, build, key, &digest),
        _ => Ok(None),
    }
}

fn unknown(name: &str, why: String) -> ImageReport {
    let mut report = ImageReport::new(name, Origin::Unopened);
    let hint = "run its shard again; it skips finished images".to_string();
    report.problems.push(Problem::new(why, Some(hint)));
    report
}
