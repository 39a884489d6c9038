//! Writes the plan and the result of a rebuild, as text and as JSON.

use std::io::{self, Write};
use std::time::Duration;

use serde::Serialize;

use super::doctor::{WireCheck, wire_check};
use super::escape::{plural, visible};
use crate::oci::Reference;
use crate::platform::Platform;
use crate::rebuild::plan::{Cost, Delivery, Doubt, Means, PlannedBuild, RebuildPlan};
use crate::rebuild::published::{Published, PublishedManifest};
use crate::rebuild::run::TagState;
use crate::rebuild::seals::Seal;
use crate::rebuild::{Check, Done, RebuildError, RunEvent};

/// Version of the JSON documents. Fields can be added, but are never renamed or removed.
const SCHEMA: u32 = 1;

/// Writes the plan, before anything is done.
pub fn plan_text(plan: &RebuildPlan, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "plan  {}", visible(&plan.request.reference.to_string()))?;
    for kept in &plan.keep {
        let name = kept.platform.as_ref().map_or_else(|| role(&kept.entry).to_string(), ToString::to_string);
        let healthy = || match &kept.platform {
            Some(_) => "healthy".to_string(),
            None => attested(plan, &kept.entry).map_or(String::new(), |platform| format!("of {platform}")),
        };
        let state = kept.doubt.as_ref().map_or_else(healthy, Doubt::to_string);
        let line = format!("  keep     {name:14} {}  {}", kept.entry.descriptor.digest.short(), visible(&state));
        writeln!(out, "{}", line.trim_end())?;
    }
    for build in &plan.build {
        let word = match build.means {
            Means::Built { .. } => "build",
            Means::Supplied(_) => "join",
        };
        writeln!(out, "  {word:8} {:14} {}", build.platform.to_string(), visible(&build.reason))?;
    }
    if plan.is_done() {
        let is_healthy = !plan.doubts().any(|(_, doubt)| matches!(doubt, Doubt::Broken(_)));
        let healthy = if is_healthy { ": all requested platforms are healthy" } else { "" };
        writeln!(out, "nothing to do{healthy}")?;
        return still_text(plan, out);
    }
    for build in &plan.build {
        writeln!(out, "  with     {}", visible(&means(plan, build)))?;
    }
    for line in &plan.lint {
        writeln!(out, "  lint     {}", visible(line))?;
    }
    for build in &plan.build {
        if let Means::Built { commands, .. } = &build.means {
            for command in std::iter::once(&commands.build).chain(&commands.export) {
                writeln!(out, "  run      {}", visible(&command.to_string()))?;
            }
        }
    }
    let verify = match plan.delivery {
        Delivery::ByDigest => "scan the pushed image by digest",
        Delivery::ByLayout => "scan the layout, push it by digest, scan it again",
        Delivery::Local => "scan the layout",
        Delivery::Supplied => "scan the supplied image, push it by digest, scan it again",
    };
    writeln!(out, "  verify   {verify}")?;
    if plan.delivery != Delivery::Local {
        for tag in std::iter::once(&plan.request.reference).chain(&plan.request.also) {
            writeln!(out, "  tag      {}, if it has not moved", visible(&tag.to_string()))?;
        }
    }
    seals_text(plan, None, out)?;
    obstacles(&plan.obstacles(), out)
}

/// Returns the platform that an attestation describes.
fn attested<'a>(plan: &'a RebuildPlan, attestation: &PublishedManifest) -> Option<&'a Platform> {
    let subject = attestation.attests()?;
    plan.keep.iter().find(|kept| kept.entry.descriptor.digest.as_str() == subject)?.platform.as_ref()
}

/// Writes what must be signed and attached again, with the commands.
fn seals_text(plan: &RebuildPlan, after: Option<&Published>, out: &mut dyn Write) -> io::Result<()> {
    for seal in &plan.seals {
        let (label, subject) = (seal.label(), seal.subject.short());
        writeln!(out, "  again    {} of {subject}: {}", visible(&label), visible(&seal.name))?;
        let commands = seal.commands(&plan.request.reference, &plan.successor(seal, after));
        if commands.is_empty() {
            writeln!(out, "           create it again with the original tool")?;
        }
        for command in commands {
            writeln!(out, "           {}", visible(&command.to_string()))?;
        }
    }
    Ok(())
}

/// Describes how a platform is built.
fn means(plan: &RebuildPlan, build: &PlannedBuild) -> String {
    let platform = &build.platform;
    let cost = match &build.means {
        Means::Supplied(supply) => return format!("{}, {platform}", supply.name),
        Means::Built { cost, .. } => cost,
    };
    let cost = match cost {
        Cost::Native { node } => format!("{platform} natively on node {node}"),
        Cost::CrossCompiled => format!("{platform} without running its programs"),
        Cost::Emulated { node } => {
            format!(
                "{platform} by emulation on node {node}: expect it to be slow; a native node: imgarch doctor --platform {platform}"
            )
        }
        Cost::Impossible => format!("{platform} has RUN steps that no node can run"),
    };
    let parallel =
        plan.batches().iter().any(|batch| batch.len() > 1 && batch.iter().any(|one| one.platform == *platform));
    let parallel = if parallel { ", in parallel" } else { "" };
    let last = plan.history.iter().find(|last| last.platform == *platform).map_or(String::new(), |last| {
        let others = if last.platforms > 1 {
            format!(" with {}", plural(last.platforms - 1, "other platform"))
        } else {
            String::new()
        };
        format!("; the last build{others} took {}", duration(last.took))
    });
    format!("builder {}, {cost}{parallel}{last}", plan.builder)
}

/// Formats a duration such as `3 min 12 s`.
fn duration(took: Duration) -> String {
    let seconds = took.as_secs_f64().round() as u64;
    match (seconds / 60, seconds % 60) {
        (0, 0) => "less than 1 s".to_string(),
        (0, seconds) => format!("{seconds} s"),
        (minutes, seconds) => format!("{minutes} min {seconds} s"),
    }
}

/// Writes the platforms that will make the next scan fail.
fn still_text(plan: &RebuildPlan, out: &mut dyn Write) -> io::Result<()> {
    for (platform, doubt) in plan.doubts().filter(|(_, doubt)| **doubt != Doubt::NotAsked) {
        writeln!(out, "  {:14} {}", platform.to_string(), visible(&doubt.to_string()))?;
    }
    Ok(())
}

/// Writes why the plan is not carried out, although this machine could build it.
pub fn stopped_text(plan: &RebuildPlan, out: &mut dyn Write) -> io::Result<()> {
    let many = plural(plan.lint.len(), "lint error");
    writeln!(
        out,
        "stopped: the Dockerfile would cause the same fault again ({many}); run imgarch lint --fix, or build anyway \
         with --despite-lint"
    )
}

fn role(entry: &PublishedManifest) -> &'static str {
    match () {
        () if entry.descriptor.is_attestation() => "attestation",
        () if entry.is_index() => "index",
        () => "other",
    }
}

fn obstacles(checks: &[&Check], out: &mut dyn Write) -> io::Result<()> {
    for check in checks {
        writeln!(out, "  missing  {}: {}", check.subject, visible(&check.text))?;
        for remedy in &check.remedies {
            writeln!(out, "           {}", visible(&remedy.command.to_string()))?;
        }
    }
    Ok(())
}

/// Returns the progress message of an event, for stderr.
pub fn event_text(event: &RunEvent) -> String {
    match event {
        RunEvent::Building { platform, command } => format!("building {platform}: {command}"),
        RunEvent::Pushed { platform, name } => format!("pushed {platform} without a tag: {name}"),
        RunEvent::Verified { platform, name } => format!("verified {platform}: {name}"),
        RunEvent::Tagging { tag, digest } => format!("tagging {tag}: {digest}"),
    }
}

/// Writes the tag and its platforms before and after.
pub fn done_text(plan: &RebuildPlan, done: &Done, out: &mut dyn Write) -> io::Result<()> {
    let Some(after) = &done.after else {
        for pushed in &done.pushed {
            writeln!(out, "built {} in {}", pushed.platform, visible(&pushed.name))?;
        }
        return Ok(());
    };
    let tags: Vec<String> =
        std::iter::once(&plan.request.reference).chain(&done.also).map(ToString::to_string).collect();
    let verb = if tags.len() > 1 { "are" } else { "is" };
    writeln!(out, "{} {verb} rebuilt and verified", visible(&tags.join(", ")))?;
    let before = done.before.as_ref().map_or("absent".to_string(), |before| before.digest.to_string());
    writeln!(out, "  before  {before}\n  after   {}\n", after.digest)?;
    for (platform, old, new) in rows(done.before.as_ref(), after) {
        let shown = |digest: Option<String>| digest.unwrap_or("absent".to_string());
        let doubt = plan.doubts().find(|(kept, _)| kept.to_string() == platform).map(|(_, doubt)| doubt);
        match (old == new, doubt) {
            (true, None) => writeln!(out, "  {platform:14} {}  unchanged", shown(new))?,
            (true, Some(doubt)) => {
                writeln!(out, "  {platform:14} {}  unchanged, {}", shown(new), visible(&doubt.to_string()))?;
            }
            (false, _) => writeln!(out, "  {platform:14} {} -> {}  runs", shown(old), shown(new))?,
        }
    }
    seals_text(plan, Some(after), out)
}

/// Returns each platform with its digest before and after.
fn rows(before: Option<&Published>, after: &Published) -> Vec<(String, Option<String>, Option<String>)> {
    let name = |entry: &PublishedManifest| match &entry.platform {
        Some(platform) if !platform.is_unknown() => platform.to_string(),
        _ => format!("{} {}", role(entry), entry.descriptor.digest.short()),
    };
    let of = |published: Option<&Published>, wanted: &str| {
        let entries = published.map_or(Vec::new(), Published::leaves);
        entries.iter().find(|entry| name(entry) == wanted).map(|entry| entry.descriptor.digest.short())
    };
    let all = before.into_iter().chain([after]).flat_map(Published::leaves);
    let mut names: Vec<String> = Vec::new();
    for shown in all.filter(|entry| !entry.descriptor.is_attestation()).map(name) {
        if !names.contains(&shown) {
            names.push(shown);
        }
    }
    names.into_iter().map(|name| (name.clone(), of(before, &name), of(Some(after), &name))).collect()
}

#[derive(Serialize)]
struct WirePlan {
    schema: u32,
    image: String,
    digest: Option<String>,
    keep: Vec<WireKept>,
    build: Vec<WireBuild>,
    builder: String,
    delivery: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    also: Vec<String>,
    lint: Vec<String>,
    obstacles: Vec<WireCheck>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    again: Vec<WireSeal>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<WireResult>,
}

/// What must be signed or attached again.
#[derive(Serialize)]
struct WireSeal {
    kind: String,
    name: String,
    of: String,
    commands: Vec<Vec<String>>,
}

#[derive(Serialize)]
struct WireKept {
    platform: Option<String>,
    digest: String,
    doubt: Option<String>,
}

#[derive(Serialize)]
struct WireBuild {
    platform: String,
    reason: String,
    cost: &'static str,
    command: Vec<String>,
    /// Seconds that the last build of this platform took, from the builder's history.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_seconds: Option<u64>,
    /// podman and buildah write their result with a second command.
    #[serde(skip_serializing_if = "Option::is_none")]
    export: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<String>,
}

#[derive(Serialize)]
struct WireResult {
    before: Option<String>,
    after: Option<String>,
    pushed: Vec<WirePushed>,
    /// The tags of the plan, in its order. Empty if it moves none.
    tags: Vec<WireTag>,
    error: Option<String>,
}

#[derive(Serialize)]
struct WireTag {
    tag: String,
    moved: bool,
    /// What the tag points to after it moved, unless that could not be read.
    digest: Option<String>,
}

#[derive(Serialize)]
struct WirePushed {
    platform: String,
    name: String,
}

/// Writes the plan, and the result if it was carried out.
pub fn json(plan: &RebuildPlan, result: Option<&Result<Done, RebuildError>>, out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, &wire_plan(plan, result))?;
    writeln!(out)
}

/// A plan with its result.
type PlannedRebuild<'a> = (&'a RebuildPlan, Option<&'a Result<Done, RebuildError>>);

#[derive(Serialize)]
struct WirePlans {
    schema: u32,
    images: Vec<WirePlan>,
}

/// Writes the plans for the images of a Compose file or a manifest.
pub fn json_of_all(plans: &[PlannedRebuild<'_>], out: &mut dyn Write) -> io::Result<()> {
    let images = plans.iter().map(|(plan, result)| wire_plan(plan, *result)).collect();
    serde_json::to_writer_pretty(&mut *out, &WirePlans { schema: SCHEMA, images })?;
    writeln!(out)
}

fn wire_plan(plan: &RebuildPlan, result: Option<&Result<Done, RebuildError>>) -> WirePlan {
    let cost = |cost: &Cost| match cost {
        Cost::Native { .. } => "native",
        Cost::CrossCompiled => "cross-compiled",
        Cost::Emulated { .. } => "emulated",
        Cost::Impossible => "impossible",
    };
    WirePlan {
        schema: SCHEMA,
        image: plan.request.reference.to_string(),
        digest: plan.before.as_ref().map(|before| before.digest.to_string()),
        keep: plan
            .keep
            .iter()
            .map(|kept| WireKept {
                platform: kept.platform.as_ref().map(ToString::to_string),
                digest: kept.entry.descriptor.digest.to_string(),
                doubt: kept.doubt.as_ref().map(Doubt::to_string),
            })
            .collect(),
        build: plan
            .build
            .iter()
            .map(|build| {
                let (platform, reason) = (build.platform.to_string(), build.reason.clone());
                let last = plan.history.iter().find(|last| last.platform == build.platform);
                let last_seconds = last.map(|last| last.took.as_secs());
                match &build.means {
                    Means::Built { cost: one, commands } => {
                        let (command, export) = (commands.build.0.clone(), commands.export.as_ref());
                        let export = export.map(|line| line.0.clone());
                        WireBuild { platform, reason, cost: cost(one), command, last_seconds, export, from: None }
                    }
                    Means::Supplied(supply) => {
                        let from = Some(supply.name.clone());
                        let command = Vec::new();
                        WireBuild { platform, reason, cost: "supplied", command, last_seconds, export: None, from }
                    }
                }
            })
            .collect(),
        builder: plan.builder.clone(),
        delivery: match plan.delivery {
            Delivery::ByDigest => "by-digest",
            Delivery::ByLayout => "by-layout",
            Delivery::Local => "local",
            Delivery::Supplied => "supplied",
        },
        also: plan.request.also.iter().map(ToString::to_string).collect(),
        lint: plan.lint.clone(),
        obstacles: plan.obstacles().into_iter().map(wire_check).collect(),
        again: plan.seals.iter().map(|seal| wire_seal(plan, seal, result)).collect(),
        result: result.map(|result| wire_result(plan, result)),
    }
}

fn wire_seal(plan: &RebuildPlan, seal: &Seal, result: Option<&Result<Done, RebuildError>>) -> WireSeal {
    let after = result.and_then(|result| result.as_ref().ok()).and_then(|done| done.after.as_ref());
    let commands = seal.commands(&plan.request.reference, &plan.successor(seal, after));
    WireSeal {
        kind: seal.label(),
        name: seal.name.clone(),
        of: seal.subject.to_string(),
        commands: commands.into_iter().map(|command| command.0).collect(),
    }
}

fn wire_result(plan: &RebuildPlan, result: &Result<Done, RebuildError>) -> WireResult {
    let (before, after, pushed, error) = match result {
        Ok(done) => (done.before.as_ref(), done.after.as_ref(), &done.pushed, None),
        Err(error) => (None, None, &error.pushed, Some(error.to_string())),
    };
    let digest = |published: Option<&Published>| published.map(|published| published.digest.to_string());
    let pushed = pushed.iter().map(|one| WirePushed { platform: one.platform.to_string(), name: one.name.clone() });
    let tags = tags(plan, result);
    WireResult { before: digest(before), after: digest(after), pushed: pushed.collect(), tags, error }
}

/// Returns the tags of the plan and whether they moved, also if the run ended early.
fn tags(plan: &RebuildPlan, result: &Result<Done, RebuildError>) -> Vec<WireTag> {
    let (moved_to, also) = match result {
        Ok(Done { after: None, .. }) | Err(RebuildError { tag: TagState::None, .. }) => return Vec::new(),
        Ok(Done { after: Some(after), also, .. }) => (Some(Some(after.digest.to_string())), also),
        Err(RebuildError { tag: TagState::Moved { to, .. }, also, .. }) => {
            (Some(to.as_ref().map(ToString::to_string)), also)
        }
        Err(RebuildError { tag: TagState::Untouched(_), also, .. }) => (None, also),
    };
    let request = &plan.request;
    let first =
        WireTag { tag: request.reference.to_string(), moved: moved_to.is_some(), digest: moved_to.clone().flatten() };
    let other = |tag: &Reference| {
        let moved = also.contains(tag);
        WireTag { tag: tag.to_string(), moved, digest: moved_to.clone().flatten().filter(|_| moved) }
    };
    std::iter::once(first).chain(request.also.iter().map(other)).collect()
}
