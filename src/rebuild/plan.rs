//! Plans a rebuild from a scan report: which manifests to keep, which platforms to build, how, and the exact commands.
//! Pure: does not run, read or write anything.

use std::collections::HashSet;
use std::fmt;

use super::command::{BuildCommands, build_commands};
use super::doctor::{self, Check, CheckState};
use super::emulator;
use super::history::LastBuild;
use super::machine::{BuildHost, BuildxBuilder, Support};
use super::published::{Published, PublishedManifest};
pub use super::request::{BuildSettings, Delivery, RebuildRequest};
use super::seals::Seal;
use crate::judge::code::Severity;
use crate::oci::Digest;
use crate::platform::{Arch, Platform, Target};
use crate::scan::{ImageReport, PlatformReport, Verdict};

/// The decisions, in display order.
#[derive(Clone, Debug, PartialEq)]
pub struct RebuildPlan {
    pub request: RebuildRequest,
    pub before: Option<Published>,
    pub keep: Vec<KeptPlatform>,
    /// The JSON texts of the kept descriptors, for the new index.
    pub staying: Vec<String>,
    pub build: Vec<PlannedBuild>,
    /// Problems that make the build impossible or slow.
    pub checks: Vec<Check>,
    /// The builder and its driver, such as `imgarch (docker-container)`.
    pub builder: String,
    pub delivery: Delivery,
    /// Lint findings that would cause the same fault again: `Dockerfile:9: this download is x86-64 on every platform`.
    pub lint: Vec<String>,
    /// How long the builder took for these platforms before.
    pub history: Vec<LastBuild>,
    /// Signatures and other referrers of the replaced manifests and of the index itself.
    pub seals: Vec<Seal>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct KeptPlatform {
    /// `None`: an attestation or an artifact.
    pub platform: Option<Platform>,
    pub entry: PublishedManifest,
    /// Why the manifest may be unhealthy, although it is kept.
    pub doubt: Option<Doubt>,
}

/// Why a kept platform is not known to be healthy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// It is broken, with the finding's message, but only other platforms were requested.
    Broken(String),
    Unjudged,
    /// Its manifest or its layers could not be read.
    Unread,
    /// None of the project's targets runs it.
    NotAsked,
}

#[derive(Clone, Debug, PartialEq)]
pub struct PlannedBuild {
    pub platform: Platform,
    /// "its entrypoint is x86-64", "missing".
    pub reason: String,
    pub means: Means,
}

impl PlannedBuild {
    fn native_node(&self) -> Option<&str> {
        match &self.means {
            Means::Built { cost: Cost::Native { node }, .. } => Some(node),
            Means::Built { cost: Cost::CrossCompiled | Cost::Emulated { .. } | Cost::Impossible, .. }
            | Means::Supplied(_) => None,
        }
    }
}

/// Where the new manifest of a platform comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum Means {
    Built {
        cost: Cost,
        commands: BuildCommands,
    },
    /// Another tool built it.
    Supplied(Supply),
}

/// A platform that another tool built.
#[derive(Clone, Debug, PartialEq)]
pub struct Supply {
    pub platform: Platform,
    /// Its image name for a scan: `oci:DIR`, `docker-archive:FILE`, `REPOSITORY@DIGEST`.
    pub name: String,
    pub digest: Digest,
    /// The descriptors to add to the index: its own and those of its attestations.
    pub descriptors: Vec<String>,
    pub place: SupplyPlace,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SupplyPlace {
    /// A file or directory on this machine.
    Here,
    /// The repository of the tag.
    Registry,
}

/// Scan reports of the published platforms.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scans<'a> {
    /// The scan to repair by, for the user's targets if there are any.
    pub asked: Option<&'a ImageReport>,
    /// A scan of the platforms that the first scan skipped.
    pub others: Option<&'a ImageReport>,
}

/// How costly a platform is to build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cost {
    Native {
        node: String,
    },
    /// Only stages of the build platform run programs, or none do.
    CrossCompiled,
    Emulated {
        node: String,
    },
    Impossible,
}

impl RebuildPlan {
    /// Plans a build with docker, podman or buildah.
    pub fn make(
        request: RebuildRequest,
        before: Option<Published>,
        scans: Scans<'_>,
        machine: &BuildHost,
        recipe: DockerfileFacts,
    ) -> RebuildPlan {
        let wanted = wanted(&request, before.as_ref(), scans.asked);
        let platforms: Vec<Platform> = wanted.iter().map(|(platform, _)| platform.clone()).collect();
        let delivery = delivery(&request.build, machine);
        let build = wanted
            .into_iter()
            .map(|(platform, reason)| {
                let commands = build_commands(machine.tool, &request, &platform, delivery);
                let cost = cost(machine, &platform, recipe.runs_on_target);
                PlannedBuild { platform, reason, means: Means::Built { cost, commands } }
            })
            .collect();
        let mut checks = if platforms.is_empty() { Vec::new() } else { doctor::examine(machine, &platforms) };
        if let Some(check) = doctor::no_layouts(machine).filter(|_| !platforms.is_empty()) {
            checks.retain(|other| other.subject != check.subject);
            checks.push(check);
        }
        let builder = machine.builder.as_ref().map_or("none".to_string(), BuildxBuilder::label);
        let breaks = |error: &LintError| {
            error.right_for.is_none_or(|arch| platforms.iter().any(|platform| platform.arch() != Some(arch)))
        };
        let lint = recipe.lint.into_iter().filter(breaks).map(|error| error.text).collect();
        let plan = RebuildPlan::new(request, before, scans, build, delivery);
        RebuildPlan { checks, builder, lint, ..plan }
    }

    /// Plans to merge images that other tools built. Skips `supplies` that are already in the index.
    pub fn supplied(
        request: RebuildRequest,
        before: Option<Published>,
        scans: Scans<'_>,
        supplies: Vec<Supply>,
    ) -> RebuildPlan {
        let leaves = before.as_ref().map_or(Vec::new(), Published::leaves);
        let is_asked = |platform: &Platform| {
            request.platforms.is_empty() || request.platforms.iter().any(|asked| platform.is_wanted_as(asked))
        };
        let there = |platform: &Platform| leaves.iter().find(|entry| entry.platform.as_ref() == Some(platform));
        let mut build = Vec::new();
        for supply in supplies.into_iter().filter(|supply| is_asked(&supply.platform)) {
            let reason = match there(&supply.platform) {
                Some(entry) if entry.descriptor.digest == supply.digest => continue,
                Some(entry) => match scanned(scans.asked, &entry.descriptor.digest).and_then(|one| fault(one, true)) {
                    Some(fault) => fault,
                    None => "replaced".to_string(),
                },
                None => "missing".to_string(),
            };
            build.push(PlannedBuild { platform: supply.platform.clone(), reason, means: Means::Supplied(supply) });
        }
        RebuildPlan::new(request, before, scans, build, Delivery::Supplied)
    }

    fn new(
        request: RebuildRequest,
        before: Option<Published>,
        scans: Scans<'_>,
        build: Vec<PlannedBuild>,
        delivery: Delivery,
    ) -> RebuildPlan {
        let leaves = before.as_ref().map_or(Vec::new(), Published::leaves);
        let is_rebuilt = |entry: &PublishedManifest| {
            entry.is_image() && build.iter().any(|build| entry.platform.as_ref() == Some(&build.platform))
        };
        let replaced: HashSet<&str> =
            leaves.iter().filter(|entry| is_rebuilt(entry)).map(|entry| entry.descriptor.digest.as_str()).collect();
        // Attestations are removed together with their manifest. Everything else stays.
        let is_gone = |entry: &PublishedManifest| match entry.is_image() {
            true => is_rebuilt(entry),
            false => entry.attests().is_some_and(|digest| replaced.contains(digest)),
        };
        let (images, others): (Vec<&PublishedManifest>, Vec<&PublishedManifest>) =
            leaves.iter().filter(|entry| !is_gone(entry)).partition(|entry| entry.is_image());
        let image = |entry: &&PublishedManifest| KeptPlatform {
            platform: entry.platform.clone(),
            doubt: doubt(scans, &request.targets, &entry.descriptor.digest),
            entry: (*entry).clone(),
        };
        let other = |entry: &&PublishedManifest| KeptPlatform { platform: None, entry: (*entry).clone(), doubt: None };
        let keep = images.iter().map(image).chain(others.iter().map(other)).collect();
        let staying = before.as_ref().map_or(Vec::new(), |before| before.staying(&is_gone));
        RebuildPlan {
            request,
            before,
            keep,
            staying,
            build,
            checks: Vec::new(),
            builder: String::new(),
            delivery,
            lint: Vec::new(),
            history: Vec::new(),
            seals: Vec::new(),
        }
    }

    /// Returns the builds in order, grouped by what runs at the same time: native builds on different nodes do. All
    /// others share a machine, so they run one after another.
    pub fn batches(&self) -> Vec<Vec<&PlannedBuild>> {
        let (mut native, mut others): (Vec<&PlannedBuild>, Vec<Vec<&PlannedBuild>>) = (Vec::new(), Vec::new());
        for build in &self.build {
            let node = build.native_node();
            match node.is_some() && !native.iter().any(|other| other.native_node() == node) {
                true => native.push(build),
                false => others.push(vec![build]),
            }
        }
        std::iter::once(native).filter(|batch| !batch.is_empty()).chain(others).collect()
    }

    /// Returns the replaced manifests: the index, and those of the rebuilt platforms.
    pub fn replaced(&self) -> Vec<Digest> {
        let Some(before) = self.before.as_ref().filter(|_| !self.is_done()) else { return Vec::new() };
        let is_rebuilt = |entry: &&&PublishedManifest| {
            entry.is_image() && self.build.iter().any(|build| entry.platform.as_ref() == Some(&build.platform))
        };
        let mut replaced = vec![before.digest.clone()];
        let leaves = before.leaves();
        replaced.extend(leaves.iter().filter(is_rebuilt).map(|entry| entry.descriptor.digest.clone()));
        // For a single manifest, the two are the same.
        replaced.dedup();
        replaced
    }

    /// Returns the image to sign or attach to again: a digest once `after` is published, before that the tag.
    pub fn successor(&self, seal: &Seal, after: Option<&Published>) -> String {
        let request = &self.request;
        let full =
            |digest: &Digest| format!("{}/{}@{digest}", request.reference.registry, request.reference.repository);
        let tag = || request.reference.to_string();
        let Some(after) = after else { return tag() };
        let old = self.before.as_ref().map_or(Vec::new(), Published::leaves);
        let platform = old.iter().find(|entry| entry.descriptor.digest == seal.subject && entry.is_image());
        let is_index = self.before.as_ref().is_some_and(|before| before.digest == seal.subject);
        let new = after.leaves();
        let new =
            platform.filter(|_| !is_index).and_then(|old| new.iter().find(|entry| entry.platform == old.platform));
        full(new.map_or(&after.digest, |entry| &entry.descriptor.digest))
    }

    /// Whether there is nothing to build.
    pub fn is_done(&self) -> bool {
        self.build.is_empty()
    }

    /// Returns the problems to fix before a build can succeed.
    pub fn obstacles(&self) -> Vec<&Check> {
        let is_platform = |check: &Check| self.build.iter().find(|build| build.platform.to_string() == check.subject);
        let missing = self.checks.iter().filter(|check| check.state == CheckState::Missing);
        // A platform that no node runs, or whose emulator is broken, is only an obstacle if its programs have to run.
        missing
            .filter(|check| match is_platform(check).map(|build| &build.means) {
                Some(Means::Built { cost, .. }) => matches!(cost, Cost::Impossible | Cost::Emulated { .. }),
                Some(Means::Supplied(_)) => false,
                None => true,
            })
            .collect()
    }

    /// Returns the kept platforms that are not known to be healthy, which make the next scan of the tag fail.
    pub fn doubts(&self) -> impl Iterator<Item = (&Platform, &Doubt)> {
        self.keep.iter().filter_map(|kept| Some((kept.platform.as_ref()?, kept.doubt.as_ref()?)))
    }
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Doubt::Broken(message) => write!(f, "still broken: {message}"),
            Doubt::Unjudged => f.write_str("it could not be judged"),
            Doubt::Unread => f.write_str("it could not be read"),
            Doubt::NotAsked => f.write_str("not scanned: no target runs it"),
        }
    }
}

/// Facts about the Dockerfile.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DockerfileFacts {
    pub runs_on_target: bool,
    pub lint: Vec<LintError>,
}

/// A lint error in the Dockerfile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LintError {
    /// The message with its position: `Dockerfile:9: this download is x86-64 on every platform`.
    pub text: String,
    /// The architecture that the error does not affect.
    pub right_for: Option<Arch>,
}

/// Returns the platforms to build, with the reasons.
fn wanted(
    request: &RebuildRequest,
    before: Option<&Published>,
    report: Option<&ImageReport>,
) -> Vec<(Platform, String)> {
    let leaves = before.map_or(Vec::new(), Published::leaves);
    let images = leaves.iter().filter(|entry| entry.is_image());
    let present: Vec<(&Platform, &Digest)> =
        images.filter_map(|entry| Some((entry.platform.as_ref()?, &entry.descriptor.digest))).collect();
    let is_present =
        |wanted: &Platform| present.iter().any(|(platform, _)| platform.is_wanted_as(wanted) || *platform == wanted);
    let mut found: Vec<(Platform, String)> = Vec::new();
    for (platform, digest) in &present {
        let is_asked =
            request.platforms.is_empty() || request.platforms.iter().any(|asked| platform.is_wanted_as(asked));
        let is_named = !request.platforms.is_empty();
        let fault = match scanned(report, digest) {
            _ if !is_asked => None,
            Some(one) => fault(one, is_named),
            None => (is_named && report.is_some()).then(|| "it could not be read".to_string()),
        };
        if let Some(reason) = fault.filter(|_| !found.iter().any(|(other, _)| other == *platform)) {
            found.push(((*platform).clone(), reason));
        }
    }
    let needed: Vec<Platform> = match request.platforms.is_empty() {
        true => request.targets.iter().map(|target| target.platform.clone()).collect(),
        false => request.platforms.clone(),
    };
    for platform in needed {
        if !is_present(&platform) && !found.iter().any(|(other, _)| *other == platform) {
            found.push((platform, "missing".to_string()));
        }
    }
    found
}

fn scanned<'a>(report: Option<&'a ImageReport>, digest: &Digest) -> Option<&'a PlatformReport> {
    report?.platforms.iter().find(|platform| platform.digest.as_ref() == Some(digest))
}

/// Returns why a platform must be rebuilt. A platform that could not be judged is rebuilt only if the user named it.
fn fault(platform: &PlatformReport, is_named: bool) -> Option<String> {
    match platform.verdict() {
        Verdict::Broken => Some(worst(platform)),
        Verdict::Unknown if is_named => Some("it could not be judged".to_string()),
        Verdict::Unknown | Verdict::Fine | Verdict::Warned => None,
    }
}

fn worst(platform: &PlatformReport) -> String {
    let worst = platform.findings.iter().find(|finding| finding.severity == Severity::Error);
    worst.map_or("broken".to_string(), |finding| finding.message.clone())
}

fn doubt(scans: Scans<'_>, targets: &[Target], digest: &Digest) -> Option<Doubt> {
    let is_left_out = scans.others.is_none() && !targets.is_empty();
    let mut doubt = Some(if is_left_out { Doubt::NotAsked } else { Doubt::Unread });
    for platform in [scans.asked, scans.others].into_iter().filter_map(|report| scanned(report, digest)) {
        match platform.verdict() {
            Verdict::Broken => return Some(Doubt::Broken(worst(platform))),
            Verdict::Unknown => doubt = Some(Doubt::Unjudged),
            Verdict::Fine | Verdict::Warned => doubt = doubt.filter(|doubt| *doubt == Doubt::Unjudged),
        }
    }
    doubt
}

fn cost(machine: &BuildHost, platform: &Platform, runs_on_target: bool) -> Cost {
    match emulator::support(machine, platform) {
        Some(Support::Native { node }) => Cost::Native { node },
        _ if !runs_on_target => Cost::CrossCompiled,
        Some(Support::Emulated { node }) => Cost::Emulated { node },
        Some(Support::Foreign) | None => Cost::Impossible,
    }
}

fn delivery(build: &BuildSettings, machine: &BuildHost) -> Delivery {
    match &machine.builder {
        _ if build.output.is_some() => Delivery::Local,
        Ok(builder) if !builder.driver.pushes_by_digest() => Delivery::ByLayout,
        _ => Delivery::ByDigest,
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
