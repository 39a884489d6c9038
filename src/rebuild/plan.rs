//! From a scan's report to what will be done: which manifests stay, which platforms are built, how, and the exact
//! commands. Pure: nothing here runs, reads or writes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::bake::BakeTarget;
use super::docker::CommandLine;
use super::doctor::{self, Check, State};
use super::machine::{Machine, Way};
use crate::judge::code::Severity;
use crate::oci::{Descriptor, Digest, Document, DocumentError, Reference};
use crate::platform::{Arch, Platform, Target};
use crate::scan::{ImageReport, PlatformReport, Verdict};

/// What the tag names before anything is done.
#[derive(Clone, Debug, PartialEq)]
pub struct Published {
    pub digest: Digest,
    pub entries: Vec<Entry>,
    /// The index's own annotations.
    pub annotations: BTreeMap<String, String>,
}

/// One manifest of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub descriptor: Descriptor,
    /// The descriptor as it stands in the index, so that what imgarch does not know of is kept too.
    pub raw: Value,
}

/// What was asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    pub reference: Reference,
    /// Platforms that the user named; empty: what is there, and what the targets need.
    pub platforms: Vec<Platform>,
    pub targets: Vec<Target>,
    pub build: BuildSettings,
}

/// How buildx is called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BuildSettings {
    pub context: String,
    pub dockerfile: Option<PathBuf>,
    /// A target of a bake file instead of a Dockerfile.
    pub bake: Option<BakeTarget>,
    /// What the user wrote after `--`.
    pub extra: Vec<String>,
    /// A folder for a local OCI layout instead of the registry.
    pub output: Option<PathBuf>,
    /// Where metadata and layouts of this run go.
    pub work: PathBuf,
}

/// Everything that was decided, in the order in which it is shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    pub request: Request,
    pub before: Option<Published>,
    pub keep: Vec<Kept>,
    pub build: Vec<Build>,
    /// What makes the build impossible, and what makes it slow.
    pub checks: Vec<Check>,
    /// `imgarch (docker-container)`.
    pub builder: String,
    pub delivery: Delivery,
    /// Lint findings that would repeat the fault: `Dockerfile:9: this download is x86-64 on every platform`.
    pub lint: Vec<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Kept {
    /// `None`: an attestation or an artifact.
    pub platform: Option<Platform>,
    pub entry: Entry,
    /// Why it stays although it is not known to be healthy.
    pub doubt: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Build {
    pub platform: Platform,
    /// "its entrypoint is x86-64", "missing".
    pub reason: String,
    pub cost: Cost,
    pub command: CommandLine,
    /// buildx's answer.
    pub metadata: PathBuf,
}

/// What building a platform takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cost {
    Native {
        node: String,
    },
    /// Only stages of the build machine run programs, or none do.
    CrossCompiled,
    Emulated {
        node: String,
    },
    Impossible,
}

/// How a built platform gets into the registry without a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// BuildKit pushes by digest.
    ByDigest,
    /// The `docker` driver cannot: it writes an OCI layout, which imgarch pushes by digest.
    ByLayout,
    /// Nothing is pushed: a layout is what the user asked for.
    Local,
}

impl Published {
    /// Reads what a tag names. A single manifest counts as an index of one, with the platform that its config declares.
    pub fn read(root: &Descriptor, bytes: &[u8], declared: Option<&Platform>) -> Result<Published, DocumentError> {
        let value: Value = serde_json::from_slice(bytes)?;
        match Document::parse(bytes)? {
            Document::Index(index) => {
                let raw = value["manifests"].as_array().cloned().unwrap_or_default();
                let entries = index.manifests.into_iter().zip(raw).map(|(descriptor, raw)| Entry { descriptor, raw });
                Ok(Published {
                    digest: root.digest.clone(),
                    entries: entries.collect(),
                    annotations: index.annotations,
                })
            }
            Document::Manifest(_) => {
                let mut raw = serde_json::json!({
                    "mediaType": root.media_type, "digest": root.digest.as_str(), "size": bytes.len(),
                });
                if let Some(platform) = declared {
                    raw["platform"] = serde_json::json!({"os": platform.os, "architecture": platform.architecture});
                    if let Some(variant) = &platform.variant {
                        raw["platform"]["variant"] = Value::from(variant.as_str());
                    }
                }
                let descriptor = Descriptor { platform: declared.cloned(), ..root.clone() };
                Ok(Published {
                    digest: root.digest.clone(),
                    entries: vec![Entry { descriptor, raw }],
                    annotations: BTreeMap::new(),
                })
            }
        }
    }
}

impl Entry {
    fn is_image(&self) -> bool {
        let is_known = self.descriptor.platform.as_ref().is_some_and(|platform| !platform.is_unknown());
        is_known && !self.descriptor.is_attestation()
    }

    /// The manifest that this one attests.
    fn attests(&self) -> Option<&str> {
        self.descriptor.annotations.get("vnd.docker.reference.digest").map(String::as_str)
    }
}

impl Plan {
    /// Decides. `report` is the scan of what the tag names; `runs_on_target` whether a RUN step is the target platform's.
    pub fn make(
        request: Request,
        before: Option<Published>,
        report: Option<&ImageReport>,
        machine: &Machine,
        recipe: Recipe,
    ) -> Plan {
        let wanted = wanted(&request, before.as_ref(), report);
        let (mut keep, mut replaced): (Vec<Kept>, Vec<String>) = (Vec::new(), Vec::new());
        for entry in before.iter().flat_map(|before| &before.entries).filter(|entry| entry.is_image()) {
            let platform = entry.descriptor.platform.clone();
            let is_rebuilt =
                platform.as_ref().is_some_and(|platform| wanted.iter().any(|(wanted, _)| wanted == platform));
            match is_rebuilt {
                true => replaced.push(entry.descriptor.digest.to_string()),
                false => {
                    keep.push(Kept { doubt: doubt(report, &entry.descriptor.digest), platform, entry: entry.clone() })
                }
            }
        }
        // What attests a manifest goes with it; everything else stays.
        for entry in before.iter().flat_map(|before| &before.entries).filter(|entry| !entry.is_image()) {
            if !entry.attests().is_some_and(|digest| replaced.iter().any(|gone| gone == digest)) {
                keep.push(Kept { platform: None, entry: entry.clone(), doubt: None });
            }
        }
        let platforms: Vec<Platform> = wanted.iter().map(|(platform, _)| platform.clone()).collect();
        let delivery = delivery(&request.build, machine);
        let build = wanted
            .into_iter()
            .map(|(platform, reason)| {
                let metadata = request.build.work.join(format!("{}.json", file_name(&platform)));
                let command = build_command(&request, &platform, delivery, &metadata);
                Build { cost: cost(machine, &platform, recipe.runs_on_target), platform, reason, command, metadata }
            })
            .collect();
        let mut checks = if platforms.is_empty() { Vec::new() } else { doctor::examine(machine, &platforms) };
        if let Some(check) = doctor::no_layouts(machine).filter(|_| !platforms.is_empty()) {
            checks.retain(|other| other.subject != check.subject);
            checks.push(check);
        }
        let builder = machine.builder.as_ref().map_or("none".to_string(), |b| format!("{} ({})", b.name, b.driver));
        let breaks = |error: &LintError| {
            error.right_for.is_none_or(|arch| platforms.iter().any(|platform| platform.arch() != Some(arch)))
        };
        let lint = recipe.lint.into_iter().filter(breaks).map(|error| error.text).collect();
        Plan { request, before, keep, build, checks, builder, delivery, lint }
    }

    /// There is nothing to do: every platform that is wanted is healthy.
    pub fn is_done(&self) -> bool {
        self.build.is_empty()
    }

    /// What must be mended before a build can succeed.
    pub fn obstacles(&self) -> Vec<&Check> {
        let is_platform = |check: &Check| self.build.iter().find(|build| build.platform.to_string() == check.subject);
        let missing = self.checks.iter().filter(|check| check.state == State::Missing);
        // A platform that nothing runs, or whose emulator is broken, is no obstacle where nothing of it is run.
        missing
            .filter(|check| match is_platform(check) {
                Some(build) => matches!(build.cost, Cost::Impossible | Cost::Emulated { .. }),
                None => true,
            })
            .collect()
    }
}

/// What is known of the Dockerfile.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recipe {
    pub runs_on_target: bool,
    pub lint: Vec<LintError>,
}

/// What a lint has against the Dockerfile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LintError {
    /// `Dockerfile:9: this download is x86-64 on every platform`.
    pub text: String,
    /// The architecture that it does not break.
    pub right_for: Option<Arch>,
}

/// The platforms to build, each with the reason.
fn wanted(request: &Request, before: Option<&Published>, report: Option<&ImageReport>) -> Vec<(Platform, String)> {
    let entries = before.iter().flat_map(|before| &before.entries).filter(|entry| entry.is_image());
    let present: Vec<(&Platform, &Digest)> =
        entries.filter_map(|entry| Some((entry.descriptor.platform.as_ref()?, &entry.descriptor.digest))).collect();
    let is_present =
        |wanted: &Platform| present.iter().any(|(platform, _)| platform.is_wanted_as(wanted) || *platform == wanted);
    let mut found: Vec<(Platform, String)> = Vec::new();
    for (platform, digest) in &present {
        let is_asked =
            request.platforms.is_empty() || request.platforms.iter().any(|asked| platform.is_wanted_as(asked));
        let scanned =
            report.and_then(|report| report.platforms.iter().find(|one| one.digest.as_ref() == Some(*digest)));
        if let Some(reason) = scanned.filter(|_| is_asked).and_then(|one| fault(one, !request.platforms.is_empty())) {
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

/// Why a platform must be built anew. What could not be judged is built only where the user named it.
fn fault(platform: &PlatformReport, is_named: bool) -> Option<String> {
    let worst = platform.findings.iter().find(|finding| finding.severity == Severity::Error);
    match platform.verdict() {
        Verdict::Broken => Some(worst.map_or("broken".to_string(), |finding| finding.message.clone())),
        Verdict::Unknown if is_named => Some("it could not be judged".to_string()),
        _ => None,
    }
}

fn doubt(report: Option<&ImageReport>, digest: &Digest) -> Option<String> {
    let platform = report?.platforms.iter().find(|platform| platform.digest.as_ref() == Some(digest));
    match platform.map(PlatformReport::verdict) {
        Some(Verdict::Fine | Verdict::Warned) => None,
        Some(Verdict::Broken) => Some("broken, but another platform was asked for".to_string()),
        Some(Verdict::Unknown) => Some("it could not be judged".to_string()),
        None => Some("not scanned".to_string()),
    }
}

fn cost(machine: &Machine, platform: &Platform, runs_on_target: bool) -> Cost {
    match machine.builder.as_ref().map(|builder| builder.way(platform)) {
        Ok(Way::Native { node }) => Cost::Native { node },
        _ if !runs_on_target => Cost::CrossCompiled,
        Ok(Way::Emulated { node }) => Cost::Emulated { node },
        _ => Cost::Impossible,
    }
}

fn delivery(build: &BuildSettings, machine: &Machine) -> Delivery {
    match &machine.builder {
        _ if build.output.is_some() => Delivery::Local,
        Ok(builder) if !builder.pushes_by_digest() => Delivery::ByLayout,
        _ => Delivery::ByDigest,
    }
}

/// `linux-arm-v7`.
pub fn file_name(platform: &Platform) -> String {
    platform.to_string().replace('/', "-")
}

/// Where a layout of this platform is written.
pub fn layout_folder(build: &BuildSettings, platform: &Platform) -> PathBuf {
    build.work.join(file_name(platform))
}

fn build_command(request: &Request, platform: &Platform, delivery: Delivery, metadata: &Path) -> CommandLine {
    let build = &request.build;
    let name = format!("{}/{}", request.reference.registry, request.reference.repository);
    let folder = layout_folder(build, platform);
    let output = match delivery {
        Delivery::ByDigest => format!("type=image,name={name},push-by-digest=true,name-canonical=true,push=true"),
        Delivery::ByLayout | Delivery::Local => format!("type=oci,dest={},tar=false", folder.display()),
    };
    let (platform, metadata) = (platform.to_string(), metadata.display().to_string());
    let mut words: Vec<String> = Vec::new();
    let mut say = |more: &[&str]| words.extend(more.iter().map(|word| word.to_string()));
    // BuildKit attests by itself only what it pushes.
    let says = |name: &str| build.extra.iter().any(|word| word.starts_with(name));
    let attests = says("--provenance") || says("--attest") || build.bake.as_ref().is_some_and(|target| target.attests);
    let provenance: &[&str] =
        if delivery == Delivery::ByLayout && !attests { &["--provenance", "mode=min"] } else { &[] };
    match &build.bake {
        Some(BakeTarget { name: target, linked, .. }) => {
            say(&["buildx", "bake", "--metadata-file", &metadata]);
            for one in std::iter::once(target).chain(linked) {
                say(&["--set", &format!("{one}.platform={platform}")]);
            }
            say(&["--set", &format!("{target}.output={output}")]);
            // The tags of the file would be pushed; this is the name alone, as docker/bake-action's digest builds have it.
            let tag = if delivery == Delivery::ByDigest { name.as_str() } else { "" };
            say(&["--set", &format!("{target}.tags={tag}")]);
            say(provenance);
            words.extend(build.extra.iter().cloned());
            words.push(target.clone());
        }
        None => {
            say(&["buildx", "build", "--platform", &platform, "--output", &output, "--metadata-file", &metadata]);
            say(provenance);
            if let Some(dockerfile) = &build.dockerfile {
                say(&["--file", &dockerfile.display().to_string()]);
            }
            words.extend(build.extra.iter().cloned());
            words.push(build.context.clone());
        }
    }
    CommandLine::docker(words)
}

/// `docker buildx imagetools create` over files with one descriptor each. Descriptors, not references: only so are the
/// annotations kept that tell what an attestation attests.
pub fn tag_command(request: &Request, annotations: &BTreeMap<String, String>, files: &[PathBuf]) -> CommandLine {
    let reference = &request.reference;
    let tag =
        format!("{}/{}:{}", reference.registry, reference.repository, reference.tag.as_deref().unwrap_or("latest"));
    let mut words =
        vec!["buildx".to_string(), "imagetools".to_string(), "create".to_string(), "--tag".to_string(), tag];
    for (key, value) in annotations {
        words.extend(["--annotation".to_string(), format!("index:{key}={value}")]);
    }
    for file in files {
        words.extend(["--file".to_string(), file.display().to_string()]);
    }
    CommandLine::docker(words)
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
