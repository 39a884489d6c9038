//! The plan of a rebuild, what came of it, and doctor's findings: as text and as JSON.

use std::io::{self, Write};

use serde::Serialize;

use super::escape::{plural, visible};
use crate::rebuild::plan::{Cost, Delivery, Entry, Plan, Published};
use crate::rebuild::{Check, Done, Event, Power, RebuildError, State};

/// Version of the JSON forms: fields are added, never renamed or removed.
const SCHEMA: u32 = 1;

/// The plan, as it is shown before anything is done.
pub fn plan_text(plan: &Plan, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "plan  {}", visible(&plan.request.reference.to_string()))?;
    for kept in &plan.keep {
        let name = kept.platform.as_ref().map_or_else(|| role(&kept.entry).to_string(), ToString::to_string);
        let state = kept.doubt.as_deref().unwrap_or(if kept.platform.is_some() { "healthy" } else { "" });
        writeln!(out, "  keep     {name:14} {}  {}", kept.entry.descriptor.digest.short(), visible(state))?;
    }
    for build in &plan.build {
        writeln!(out, "  build    {:14} {}", build.platform.to_string(), visible(&build.reason))?;
    }
    if plan.is_done() {
        return writeln!(out, "nothing to do: every platform that is wanted is healthy");
    }
    for build in &plan.build {
        let platform = &build.platform;
        let cost = match &build.cost {
            Cost::Native { node } => format!("{platform} natively on node {node}"),
            Cost::CrossCompiled => format!("{platform} without running its programs"),
            Cost::Emulated { node } => {
                format!(
                    "{platform} by emulation on node {node}: expect it to be slow; a native node: imgarch doctor --platform {platform}"
                )
            }
            Cost::Impossible => format!("{platform} has RUN steps that no node can run"),
        };
        writeln!(out, "  with     builder {}, {cost}", visible(&plan.builder))?;
    }
    for line in &plan.lint {
        writeln!(out, "  lint     {}", visible(line))?;
    }
    for build in &plan.build {
        writeln!(out, "  run      {}", visible(&build.command.to_string()))?;
    }
    let verify = match plan.delivery {
        Delivery::ByDigest => "scan what was pushed, by digest",
        Delivery::ByLayout => "scan the layout, push it by digest, scan what was pushed",
        Delivery::Local => "scan the layout",
    };
    writeln!(out, "  verify   {verify}")?;
    if plan.delivery != Delivery::Local {
        writeln!(
            out,
            "  tag      {}, if it has not moved: docker buildx imagetools create",
            visible(&plan.request.reference.to_string())
        )?;
    }
    obstacles(&plan.obstacles(), out)
}

/// Why the plan is not carried out although this machine could.
pub fn stopped_text(plan: &Plan, out: &mut dyn Write) -> io::Result<()> {
    let many = plural(plan.lint.len(), "lint error");
    writeln!(
        out,
        "stopped: the Dockerfile would repeat the fault ({many}); imgarch lint --fix, or go on with --despite-lint"
    )
}

fn role(entry: &Entry) -> &'static str {
    if entry.descriptor.is_attestation() { "attestation" } else { "other" }
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

/// What is being done, on standard error.
pub fn event_text(event: &Event) -> String {
    match event {
        Event::Building { platform, command } => format!("building {platform}: {command}"),
        Event::Pushed { platform, name } => format!("pushed {platform} without a tag: {name}"),
        Event::Verified { platform, name } => format!("verified {platform}: {name}"),
        Event::Tagging { command } => format!("tagging: {command}"),
    }
}

/// The tag before and after.
pub fn done_text(plan: &Plan, done: &Done, out: &mut dyn Write) -> io::Result<()> {
    let Some(after) = &done.after else {
        for pushed in &done.pushed {
            writeln!(out, "built {} in {}", pushed.platform, visible(&pushed.name))?;
        }
        return Ok(());
    };
    writeln!(out, "{} is rebuilt and verified", visible(&plan.request.reference.to_string()))?;
    let before = done.before.as_ref().map_or("absent".to_string(), |before| before.digest.to_string());
    writeln!(out, "  before  {before}\n  after   {}\n", after.digest)?;
    for (platform, old, new) in rows(done.before.as_ref(), after) {
        let shown = |digest: Option<String>| digest.unwrap_or("absent".to_string());
        match old == new {
            true => writeln!(out, "  {platform:14} {}  unchanged", shown(new))?,
            false => writeln!(out, "  {platform:14} {} -> {}  runs", shown(old), shown(new))?,
        }
    }
    Ok(())
}

/// Each platform with its digest before and after.
fn rows(before: Option<&Published>, after: &Published) -> Vec<(String, Option<String>, Option<String>)> {
    let name = |entry: &Entry| match &entry.descriptor.platform {
        Some(platform) if !platform.is_unknown() => platform.to_string(),
        _ => format!("{} {}", role(entry), entry.descriptor.digest.short()),
    };
    let of = |published: Option<&Published>, wanted: &str| {
        let entries = published.map_or(&[][..], |published| &published.entries);
        entries.iter().find(|entry| name(entry) == wanted).map(|entry| entry.descriptor.digest.short())
    };
    let all = before.into_iter().chain([after]).flat_map(|published| &published.entries);
    let mut names: Vec<String> = Vec::new();
    for shown in all.filter(|entry| !entry.descriptor.is_attestation()).map(name) {
        if !names.contains(&shown) {
            names.push(shown);
        }
    }
    names.into_iter().map(|name| (name.clone(), of(before, &name), of(Some(after), &name))).collect()
}

/// Doctor's findings.
pub fn doctor_text(checks: &[Check], notes: &[String], out: &mut dyn Write) -> io::Result<()> {
    for check in checks {
        let word = match check.state {
            State::Good => "ok",
            State::Slow => "could be better",
            State::Missing => "missing",
        };
        writeln!(out, "{:15}  {:14} {}", word, check.subject, visible(&check.text))?;
        for remedy in &check.remedies {
            let power = match remedy.power {
                Power::Plain => "",
                Power::Privileged => " (privileged)",
                Power::ByHand => " (by hand)",
            };
            writeln!(
                out,
                "{:15}  {:14}   {}{power}: {}",
                "",
                "",
                visible(&remedy.command.to_string()),
                visible(&remedy.text)
            )?;
        }
    }
    for note in notes {
        writeln!(out, "note: {}", visible(note))?;
    }
    let missing = checks.iter().filter(|check| check.state == State::Missing).count();
    match missing {
        0 => writeln!(out, "this machine can build for these platforms"),
        1 => writeln!(out, "1 gap; --fix runs what closes it"),
        many => writeln!(out, "{many} gaps; --fix runs what closes them"),
    }
}

#[derive(Serialize)]
struct WireCheck {
    subject: String,
    state: &'static str,
    text: String,
    remedies: Vec<WireRemedy>,
}

#[derive(Serialize)]
struct WireRemedy {
    command: Vec<String>,
    text: String,
    power: &'static str,
}

fn wire_check(check: &Check) -> WireCheck {
    let state = match check.state {
        State::Good => "good",
        State::Slow => "slow",
        State::Missing => "missing",
    };
    let remedy = |remedy: &crate::rebuild::Remedy| WireRemedy {
        command: remedy.command.0.clone(),
        text: remedy.text.clone(),
        power: match remedy.power {
            Power::Plain => "plain",
            Power::Privileged => "privileged",
            Power::ByHand => "by-hand",
        },
    };
    let remedies = check.remedies.iter().map(remedy).collect();
    WireCheck { subject: check.subject.clone(), state, text: check.text.clone(), remedies }
}

#[derive(Serialize)]
struct WireDoctor<'a> {
    schema: u32,
    checks: Vec<WireCheck>,
    notes: &'a [String],
}

pub fn doctor_json(checks: &[Check], notes: &[String], out: &mut dyn Write) -> io::Result<()> {
    let wire = WireDoctor { schema: SCHEMA, checks: checks.iter().map(wire_check).collect(), notes };
    serde_json::to_writer_pretty(&mut *out, &wire)?;
    writeln!(out)
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
    lint: Vec<String>,
    obstacles: Vec<WireCheck>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<WireResult>,
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
}

#[derive(Serialize)]
struct WireResult {
    before: Option<String>,
    after: Option<String>,
    pushed: Vec<WirePushed>,
    error: Option<String>,
}

#[derive(Serialize)]
struct WirePushed {
    platform: String,
    name: String,
}

/// The plan, and what came of it where it was carried out.
pub fn json(plan: &Plan, result: Option<&Result<Done, RebuildError>>, out: &mut dyn Write) -> io::Result<()> {
    let cost = |cost: &Cost| match cost {
        Cost::Native { .. } => "native",
        Cost::CrossCompiled => "cross-compiled",
        Cost::Emulated { .. } => "emulated",
        Cost::Impossible => "impossible",
    };
    let wire = WirePlan {
        schema: SCHEMA,
        image: plan.request.reference.to_string(),
        digest: plan.before.as_ref().map(|before| before.digest.to_string()),
        keep: plan
            .keep
            .iter()
            .map(|kept| WireKept {
                platform: kept.platform.as_ref().map(ToString::to_string),
                digest: kept.entry.descriptor.digest.to_string(),
                doubt: kept.doubt.clone(),
            })
            .collect(),
        build: plan
            .build
            .iter()
            .map(|build| WireBuild {
                platform: build.platform.to_string(),
                reason: build.reason.clone(),
                cost: cost(&build.cost),
                command: build.command.0.clone(),
            })
            .collect(),
        builder: plan.builder.clone(),
        delivery: match plan.delivery {
            Delivery::ByDigest => "by-digest",
            Delivery::ByLayout => "by-layout",
            Delivery::Local => "local",
        },
        lint: plan.lint.clone(),
        obstacles: plan.obstacles().into_iter().map(wire_check).collect(),
        result: result.map(wire_result),
    };
    serde_json::to_writer_pretty(&mut *out, &wire)?;
    writeln!(out)
}

fn wire_result(result: &Result<Done, RebuildError>) -> WireResult {
    let (before, after, pushed, error) = match result {
        Ok(done) => (done.before.as_ref(), done.after.as_ref(), &done.pushed, None),
        Err(error) => (None, None, &error.pushed, Some(error.to_string())),
    };
    let digest = |published: Option<&Published>| published.map(|published| published.digest.to_string());
    let pushed = pushed.iter().map(|one| WirePushed { platform: one.platform.to_string(), name: one.name.clone() });
    WireResult { before: digest(before), after: digest(after), pushed: pushed.collect(), error }
}
