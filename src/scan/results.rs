//! What a run found, image by image, in a place that outlives it: a killed run starts again where it was, and several runs
//! that share the images between them are merged into one report.
//!
//! Below `imgarch-results-VERSION/` there is one record for each image digest and way of judging it, and for each run a
//! plan and an entry for each of its images. A record is written whole when its image is judged, and only if all of it was
//! read; an entry says what this start of the run found, so that the results of an older start are never taken for it.
//! What is there may have been written by anyone: it is bounded, and a record that is not what it says is not there.

use std::collections::BTreeMap;
use std::sync::Mutex;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::Options;
use super::model::{ImageReport, Problem, Report};
use super::pool::{Bounds, lock, side_by_side};
use super::shard::Shard;
use crate::cache::{Store, StoreFailure};
use crate::oci::Digest;
use crate::source::Origin;

/// Version of the files.
const SCHEMA: u32 = 1;
/// Bytes of one record: a thousand times those of a usual image.
const RECORD_LIMIT: u64 = 64 << 20;
/// Bytes of a plan: half a million images with long names.
const PLAN_LIMIT: u64 = 128 << 20;
/// Entries and records that are read at once.
const READ_AT_ONCE: usize = 16;
/// More shards than any cluster has nodes.
const MAX_SHARDS: u32 = 100_000;

/// Where a run keeps its results.
#[derive(Debug)]
pub struct Results {
    store: Store,
    build: String,
    run: String,
    /// What tells this start of the run from others.
    start: String,
    /// Why results could not be written, first of all.
    failure: Mutex<Option<StoreFailure>>,
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
struct Plan {
    schema: u32,
    start: String,
    /// Seconds since 1970.
    started: u64,
    leaves_out_artifacts: bool,
    images: Vec<Planned>,
}

#[derive(Serialize, Deserialize)]
struct Planned {
    /// Its place among the images of all shards.
    at: usize,
    image: String,
    key: String,
    note: Option<String>,
}

/// What a start of a run found of an image: the digest of its record, or the report where that may not be reused.
#[derive(Serialize, Deserialize)]
struct ImageEntry {
    schema: u32,
    start: String,
    image: String,
    digest: Option<Digest>,
    report: Option<ImageReport>,
}

#[derive(Serialize, Deserialize)]
struct Record {
    schema: u32,
    build: String,
    key: String,
    digest: Digest,
    /// Of the report's JSON.
    sum: Digest,
    report: ImageReport,
}

/// Which images a run has, of all.
#[derive(Debug)]
pub struct Share<'a> {
    pub shard: Shard,
    pub images: Vec<ShareImage<'a>>,
    /// What is no image is not a problem: a registry was listed.
    pub leaves_out_artifacts: bool,
    /// Seconds since 1970.
    pub now: u64,
}

/// An image that a run has, and how it is judged.
#[derive(Debug)]
pub struct ShareImage<'a> {
    /// Its place among the images of all shards.
    pub at: usize,
    pub image: &'a str,
    pub options: &'a Options,
    /// What the run's report says of it, before what opening it has to say.
    pub note: Option<&'a str>,
}

/// The results of all shards.
#[derive(Debug, Default)]
pub struct Merged {
    pub report: Report,
    /// Types of what was left out because it is no image.
    pub artifacts: Vec<String>,
}

/// Why results cannot be merged.
#[derive(Debug, thiserror::Error)]
pub enum MergeError {
    #[error("{place} has no results of this version of imgarch")]
    Nothing { place: String },
    #[error("reading the results in {place}: {cause}")]
    Store { place: String, cause: StoreFailure },
}

impl Results {
    /// Results in `store` of a run with these options, apart from those of single images. `build`: which program inspects.
    /// Writes the plan.
    pub fn begin(store: Store, build: &str, options: &Options, share: &Share<'_>) -> Result<Results, StoreFailure> {
        let start = Digest::of(format!("{} {} {:?}", share.now, std::process::id(), share.shard).as_bytes());
        let results = Results {
            store,
            build: build.to_string(),
            run: hash(&manner(options))[..16].to_string(),
            start: start.hex()[..16].to_string(),
            failure: Mutex::default(),
        };
        let plan = |one: &ShareImage<'_>| Planned {
            at: one.at,
            image: one.image.to_string(),
            key: key(one.image, one.options),
            note: one.note.map(str::to_string),
        };
        let plan = Plan {
            schema: SCHEMA,
            start: results.start.clone(),
            started: share.now,
            leaves_out_artifacts: share.leaves_out_artifacts,
            images: share.images.iter().map(plan).collect(),
        };
        // The plan first: who merges sees which images are missing.
        results.write(&plan_path(&results.run, share.shard), &plan)?;
        let current = CurrentRun { schema: SCHEMA, run: results.run.clone(), shards: share.shard.count };
        results.write(CURRENT, &current)?;
        Ok(results)
    }

    /// What is known of the image that `image` names, if it has this digest.
    pub fn find(&self, image: &str, digest: &Digest, options: &Options) -> Option<ImageReport> {
        read_record(&self.store, &self.build, &key(image, options), digest).ok().flatten()
    }

    /// Keeps what was found of an image. `is_reusable`: it was read by its digest.
    pub fn keep(&self, image: &str, options: &Options, report: &ImageReport, is_reusable: bool) {
        // After a failure the place is left alone: each attempt may take its whole time-out.
        if lock(&self.failure).is_some() {
            return;
        }
        if let Err(failure) = self.try_keep(image, options, report, is_reusable) {
            lock(&self.failure).get_or_insert(failure);
        }
    }

    fn try_keep(
        &self,
        image: &str,
        options: &Options,
        report: &ImageReport,
        is_reusable: bool,
    ) -> Result<(), StoreFailure> {
        let key = key(image, options);
        // What could not be read this time may be read the next.
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
        self.store.put(&format!("{}/{path}", place(&self.build)), &bytes)
    }

    /// Why results could not be written.
    pub fn take_failure(&self) -> Option<StoreFailure> {
        lock(&self.failure).take()
    }
}

/// The same as [`Record`] and [`ImageEntry`], to be written.
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
    Digest::of(text.as_bytes()).hex().to_string()
}

fn sum(report: &ImageReport) -> Digest {
    Digest::of(&serde_json::to_vec(report).unwrap_or_default())
}

/// Everything but the image that its report depends on.
fn manner(options: &Options) -> String {
    // An image that reaches a limit or the deadline has a problem, and results with problems are not reused. Neither are
    // those of directories, the only ones with mounts.
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
        jobs: _,
        cache: _,
        results: _,
        deadline: _,
    } = options;
    format!("{platforms:?} {except:?} {targets:?} {call:?} {rules_off:?} {dockerfile:?} {trust:?}")
}

/// What names the results of an image under these options.
fn key(image: &str, options: &Options) -> String {
    hash(&format!("{image:?} {}", manner(options)))[..32].to_string()
}

/// A file of at most `limit` bytes, if it is there and is what it should be.
fn read<T: DeserializeOwned>(store: &Store, build: &str, path: &str, limit: u64) -> Result<Option<T>, StoreFailure> {
    let bytes = store.get(&format!("{}/{path}", place(build)), limit)?;
    Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
}

fn read_record(store: &Store, build: &str, key: &str, digest: &Digest) -> Result<Option<ImageReport>, StoreFailure> {
    let record: Option<Record> = read(store, build, &record_path(digest, key), RECORD_LIMIT)?;
    let is_right = |record: &Record| {
        let named = (record.schema, record.build.as_str(), record.key.as_str(), &record.digest);
        named == (SCHEMA, build, key, digest)
            && record.report.digest.as_ref() == Some(digest)
            && record.sum == sum(&record.report)
    };
    Ok(record.filter(is_right).map(|record| record.report))
}

/// The report of all shards of the run that wrote to `store` last, in the order of its images. An image without a result,
/// and a shard without a plan or whose plan is from before `oldest` (seconds since 1970), is one that could not be told.
pub fn merge(store: &Store, build: &str, oldest: u64) -> Result<Merged, MergeError> {
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
        let plan: Option<Plan> = read(store, build, &plan_path(&current.run, shard), PLAN_LIMIT).map_err(failed)?;
        match plan.filter(|plan| plan.schema == SCHEMA) {
            None => missing.push(unknown(&shard.to_string(), format!("it has not run: {} has no plan of it", at()))),
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
        let Planned { image, note, .. } = expected.image;
        let mut report = found.unwrap_or_else(|| unknown(&image, format!("it has no result in {}", at())));
        report.put_note(note);
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

/// An image of a plan, and how the start of its shard is told from others.
struct Expected {
    image: Planned,
    start: String,
    leaves_out_artifacts: bool,
}

fn read_entry(store: &Store, build: &str, run: &str, expected: &Expected) -> Result<Option<ImageReport>, StoreFailure> {
    let Planned { image, key, .. } = &expected.image;
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
    let hint = "run its shard again: it skips what is done".to_string();
    report.problems.push(Problem::new(why, Some(hint)));
    report
}
