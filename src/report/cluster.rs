//! Writes a cluster's overview as text: what to do first, then one block per cause, current failures before future
//! ones. Also as JSON: the scan's report with the overview added.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{self, Write};

use serde_json::{Value, json};

use super::escape::{plural, thousands, visible};
use super::terminal::{Color, fill};
use super::{ReportStyle, json};
use crate::diagnose::overview::{Failing, NodeGroup, Overview, Trouble, Untold, pin};
use crate::exec::Outcome;
use crate::judge::cause;
use crate::judge::code::{Code, Severity};
use crate::kube::ImageUse;
use crate::scan::{ImageReport, PlatformReport, Report};

/// Width of the labels on the left, in columns.
const LABEL: usize = 7;
/// How many workloads, namespaces, images or nodes a line names. The rest are counted.
const NAMED: usize = 3;
/// How many blocks are listed under DO FIRST.
const FIRST: usize = 3;

/// The results for a cluster.
pub struct ClusterReport<'a> {
    pub overview: &'a Overview,
    pub uses: &'a [ImageUse],
    /// One for each use, in the same order.
    pub reports: &'a [ImageReport],
}

/// The block of one cause, for everything that it affects.
struct CauseBlock {
    word: &'static str,
    color: Color,
    head: String,
    /// Labels with their texts.
    pairs: Vec<(&'static str, String)>,
    commands: Vec<String>,
    /// A line of prose, then commands.
    act: Vec<String>,
}

impl CauseBlock {
    fn new(word: &'static str, color: Color, head: String) -> CauseBlock {
        CauseBlock { word, color, head, pairs: Vec::new(), commands: Vec::new(), act: Vec::new() }
    }

    fn write(&self, style: &ReportStyle<'_>, out: &mut dyn Write) -> io::Result<()> {
        let word = style.screen().paint(self.word, self.color);
        writeln!(out, "{}", fill(&format!("{word}  "), &visible(&self.head), LABEL + 4, style.width))?;
        for (label, text) in &self.pairs {
            pair(label, text, style, out)?;
        }
        let mut label = "do";
        for line in &self.commands {
            command(label, line, out)?;
            label = "";
        }
        for (index, line) in self.act.iter().enumerate() {
            match index {
                0 => pair(label, line, style, out)?,
                _ => command(label, line, out)?,
            }
            label = "";
        }
        writeln!(out)
    }
}

/// Writes the overview. `exit_code` is that of the run, which also reflects forbidden API requests.
pub fn text(found: &ClusterReport<'_>, exit_code: u8, style: &ReportStyle<'_>, out: &mut dyn Write) -> io::Result<()> {
    let overview = found.overview;
    let lead = format!(
        "{} in {}, {}, {}: {}",
        plural(overview.nodes, "node"),
        plural(overview.groups, "group"),
        plural(overview.pods, "pod"),
        plural(overview.workloads, "workload"),
        plural(overview.images, "image")
    );
    writeln!(out, "{}\n", fill("", &lead, 0, style.width))?;
    let mut blocks = troubles(found);
    blocks.extend(others(&overview.others));
    blocks.extend(unknown(&overview.untold));
    blocks.extend(homeless(&overview.homeless));
    if blocks.len() > FIRST {
        first(&blocks, style, out)?;
    }
    for block in &blocks {
        block.write(style, out)?;
    }
    for line in &overview.unread {
        CauseBlock::new("UNREAD", Color::Yellow, line.clone()).write(style, out)?;
    }
    let counts = format!("{}   exit {exit_code}", counts(overview));
    writeln!(out, "{}", fill("", &counts, 0, style.width))
}

/// Writes what to do first, so that it is on the first screen.
fn first(blocks: &[CauseBlock], style: &ReportStyle<'_>, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "DO FIRST")?;
    for (number, block) in (1..).zip(blocks.iter().take(FIRST)) {
        let head = visible(&format!("{}: {}", block.word.to_lowercase(), block.head));
        writeln!(out, "{}", fill(&format!("  {number}  "), &head, 5, style.width))?;
        if let Some(line) = block.commands.first() {
            writeln!(out, "     {}", visible(line))?;
        } else if let Some(line) = block.act.first() {
            writeln!(out, "{}", fill("     ", &visible(line), 5, style.width))?;
        }
    }
    let more = plural(blocks.len() - FIRST, "more cause");
    writeln!(out, "     {more} below\n")
}

/// Formats "5 of 8 images can start on all eligible nodes; 2 cannot, 1 could not be judged".
fn counts(overview: &Overview) -> String {
    let mut rest = Vec::new();
    match overview.troubled {
        0 => {}
        troubled => rest.push(format!("{troubled} cannot")),
    }
    if overview.unknown > 0 {
        rest.push(format!("{} could not be judged", overview.unknown));
    }
    let rest = if rest.is_empty() { String::new() } else { format!("; {}", rest.join(", ")) };
    format!("{} of {} can start on all eligible nodes{rest}", overview.healthy, plural(overview.images, "image"))
}

/// The cause by which failing images are grouped.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum GroupCause {
    Code(Code),
    /// The text of the reason, if no finding explains it.
    Text(String),
}

/// Groups the troubles by cause. Current failures and the causes with most pods come first.
fn troubles(found: &ClusterReport<'_>) -> Vec<CauseBlock> {
    type Name<'a> = (&'a str, &'a [String]);
    let judged = found.uses.iter().zip(found.reports);
    let reports: HashMap<Name<'_>, &ImageReport> =
        judged.map(|(one, report)| ((report.name.as_str(), one.used_by.as_slice()), report)).collect();
    let mut groups: BTreeMap<(bool, GroupCause), Vec<&Trouble>> = BTreeMap::new();
    for one in &found.overview.troubles {
        let report = reports.get(&(one.image.as_str(), one.used_by.as_slice()));
        let code = report.and_then(|report| code(one, report));
        let cause = code.map_or_else(|| GroupCause::Text(one.why.clone()), GroupCause::Code);
        groups.entry((one.now.is_empty(), cause)).or_default().push(one);
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    let pods = |group: &[&Trouble]| failing(group).map(|failing| failing.failing).sum::<usize>();
    groups.sort_by_key(|((is_later, _), group)| (*is_later, std::cmp::Reverse((pods(group), group.len()))));
    let blocks = groups.into_iter().map(|((_, cause), group)| match group.as_slice() {
        [one] => trouble(one),
        group => of_cause(&cause, group),
    });
    blocks.collect()
}

/// Returns the code of the finding that explains why an image does not start.
fn code(one: &Trouble, report: &ImageReport) -> Option<Code> {
    let is_there = |name: &str| one.places.iter().any(|place| place.target == name);
    let mut judged =
        report.platforms.iter().flat_map(|platform| platform.targets.iter().map(move |one| (platform, one)));
    if let Some((platform, target)) = judged.find(|(_, target)| is_there(&target.name)) {
        let worst = || worst(platform);
        let pin = pin(report).filter(|_| cause::code(&target.outcome) == Some(Code::EntrypointWrongArch));
        if let Some(pin) = pin {
            return Some(pin.code);
        }
        return match &target.outcome {
            Outcome::Fails { at, .. } | Outcome::Dies { at, .. } => {
                let by_path = platform.findings.iter().find(|finding| finding.path.as_deref() == Some(at));
                by_path.map(|finding| finding.code).or_else(worst)
            }
            Outcome::Runs | Outcome::Emulated { .. } | Outcome::Unknown { .. } => worst(),
        };
    }
    report.findings.iter().map(|finding| finding.code).find(|code| *code == Code::NoPlatformForTarget)
}

fn worst(platform: &PlatformReport) -> Option<Code> {
    platform.findings.iter().find(|finding| finding.severity == Severity::Error).map(|finding| finding.code)
}

fn failing<'a>(group: &'a [&Trouble]) -> impl Iterator<Item = &'a Failing> {
    group.iter().flat_map(|one| &one.now)
}

fn when(now: &[Failing]) -> &'static str {
    if now.is_empty() { "WILL FAIL" } else { "FAILS NOW" }
}

/// Returns the block for several images with the same cause.
fn of_cause(cause: &GroupCause, group: &[&Trouble]) -> CauseBlock {
    let title = match cause {
        GroupCause::Code(code) => format!("{} [{}]", code.row().title, code.name()),
        GroupCause::Text(why) => why.clone(),
    };
    let images = distinct(group.iter().map(|one| one.image.clone()));
    // A tag and a digest can name the same image.
    let identity = |one: &&Trouble| one.digest.as_ref().map_or_else(|| one.image.clone(), ToString::to_string);
    let count = plural(distinct(group.iter().map(identity)).len(), "image");
    let now: Vec<Failing> = failing(group).cloned().collect();
    let mut block = CauseBlock::new(when(&now), Color::Red, format!("{count}: {title}"));
    if !now.is_empty() {
        let (failing, of) = now.iter().fold((0, 0), |(failing, of), one| (failing + one.failing, of + one.of));
        let states = distinct(now.iter().map(|one| one.state.clone()));
        let pods = format!("{} of {}, {}", thousands(failing), thousands(of), named(&states, ", "));
        block.pairs.push(("pods", pods));
    }
    let users: Vec<&str> = match now.as_slice() {
        [] => group.iter().flat_map(|one| &one.used_by).map(String::as_str).collect(),
        now => now.iter().map(|failing| failing.used_by.as_str()).collect(),
    };
    block.pairs.push(("where", by_namespace(&users)));
    block.pairs.push(("images", named(&images, ", ")));
    let mut nodes: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for place in group.iter().flat_map(|one| &one.places) {
        nodes.entry(&place.target).or_insert_with(|| place.nodes.clone());
    }
    let all = nodes.into_iter().map(|(target, nodes)| NodeGroup { target: target.to_string(), nodes });
    block.pairs.push(("on", places(&all.collect::<Vec<_>>())));
    let first = group[0];
    block.pairs.push(("first", format!("{}: {}", first.image, first.why)));
    if !first.shown.is_empty() {
        block.pairs.push(("shows", first.shown.clone()));
    }
    block.commands.extend(now.first().map(diagnose));
    block.act.clone_from(&first.act);
    block
}

fn trouble(one: &Trouble) -> CauseBlock {
    let users = match one.now.as_slice() {
        [] => named(&one.used_by, "; "),
        now => {
            now.iter().map(|failing| format!("{}: {}", failing.used_by, pods(failing))).collect::<Vec<_>>().join("; ")
        }
    };
    let mut block = CauseBlock::new(when(&one.now), Color::Red, users);
    let digest = one.digest.as_ref().map_or_else(String::new, |digest| format!(" ({})", digest.short()));
    let digest = if one.image.contains("@sha256:") { String::new() } else { digest };
    block.pairs.push(("image", format!("{}{digest}", one.image)));
    block.pairs.push(("on", places(&one.places)));
    block.pairs.push(("why", one.why.clone()));
    if !one.shown.is_empty() {
        block.pairs.push(("shows", one.shown.clone()));
    }
    block.commands.extend(one.now.first().map(diagnose));
    block.act.clone_from(&one.act);
    block
}

fn diagnose(failing: &Failing) -> String {
    format!("imgarch diagnose {} -n {}", failing.subject, failing.namespace)
}

/// Returns blocks for containers whose failure no image explains, grouped by state.
fn others(all: &[Failing]) -> Vec<CauseBlock> {
    let by_state = grouped(all, |failing| (failing.state.clone(), !failing.is_judged));
    let blocks = by_state.into_iter().map(|((state, is_unknown), group)| {
        let why = match is_unknown {
            true => "its image could not be judged",
            false => "its image starts on its nodes, so it fails for another reason",
        };
        let mut block = match group.as_slice() {
            [one] => {
                let mut block = CauseBlock::new("OTHER", Color::Yellow, format!("{}: {}", one.used_by, pods(one)));
                block.pairs.push(("why", why.to_string()));
                block
            }
            group => {
                let users: Vec<&str> = group.iter().map(|one| one.used_by.as_str()).collect();
                let head = format!("{}: {state}", plural(users.len(), "container"));
                let mut block = CauseBlock::new("OTHER", Color::Yellow, head);
                block.pairs.push(("where", by_namespace(&users)));
                block.pairs.push(("why", format!("for each: {why}")));
                block
            }
        };
        block.commands.extend(group.first().map(|one| diagnose(one)));
        block
    });
    blocks.collect()
}

/// Returns blocks for images that could not be judged, grouped by hint.
fn unknown(all: &[Untold]) -> Vec<CauseBlock> {
    let by_cure = grouped(all, |one| one.hint.clone().unwrap_or_else(|| one.why.clone()));
    let blocks = by_cure.into_values().map(|group| {
        let mut block = match group.as_slice() {
            [one] => {
                let mut block = CauseBlock::new("UNKNOWN", Color::Yellow, named(&one.used_by, "; "));
                block.pairs.push(("image", one.image.clone()));
                block.pairs.push(("why", one.why.clone()));
                block
            }
            group => {
                let users: Vec<&str> = group.iter().flat_map(|one| &one.used_by).map(String::as_str).collect();
                let images = distinct(group.iter().map(|one| one.image.clone()));
                let head = format!("{}: could not be judged", plural(images.len(), "image"));
                let mut block = CauseBlock::new("UNKNOWN", Color::Yellow, head);
                block.pairs.push(("where", by_namespace(&users)));
                block.pairs.push(("images", named(&images, ", ")));
                block.pairs.push(("first", group[0].why.clone()));
                block
            }
        };
        block.act.extend(group[0].hint.clone());
        block
    });
    blocks.collect()
}

/// Returns one block for all workloads without an eligible node.
fn homeless(all: &[(String, String)]) -> Option<CauseBlock> {
    let (first, why) = all.first()?;
    let mut block = CauseBlock::new("NOWHERE", Color::Yellow, first.clone());
    if all.len() == 1 {
        block.pairs.push(("why", format!("no eligible node: {why}")));
        return Some(block);
    }
    let names = distinct(all.iter().map(|(workload, _)| workload.clone()));
    block.head = format!("{}: no eligible node", plural(all.len(), "workload"));
    block.pairs.push(("where", named(&names, ", ")));
    match all.iter().all(|(_, other)| other == why) {
        true => block.pairs.push(("why", why.clone())),
        false => block.pairs.push(("first", format!("{first}: {why}"))),
    }
    Some(block)
}

/// Returns the distinct texts in alphabetical order.
fn distinct(texts: impl Iterator<Item = String>) -> Vec<String> {
    BTreeSet::from_iter(texts).into_iter().collect()
}

fn grouped<T, K: Ord>(all: &[T], key: impl Fn(&T) -> K) -> BTreeMap<K, Vec<&T>> {
    let mut groups: BTreeMap<K, Vec<&T>> = BTreeMap::new();
    all.iter().for_each(|one| groups.entry(key(one)).or_default().push(one));
    groups
}

fn pods(failing: &Failing) -> String {
    format!("{} of {}, {}", failing.failing, plural(failing.of, "pod"), failing.state)
}

fn places(places: &[NodeGroup]) -> String {
    let of = |place: &NodeGroup| match place.nodes.as_slice() {
        [] => place.target.clone(),
        nodes => format!("{}: {}", place.target, named(nodes, ", ")),
    };
    named(&places.iter().map(of).collect::<Vec<_>>(), "; ")
}

/// Formats owners by namespace, as in `shop: deployment/a, deployment/b; pay: job/c`. Namespaces with most owners come
/// first.
fn by_namespace(users: &[&str]) -> String {
    let mut namespaces: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for user in users {
        let owner = user.split(", ").next().unwrap_or(user);
        let (namespace, owner) = owner.split_once('/').unwrap_or(("", owner));
        let owners = namespaces.entry(namespace).or_default();
        if owners.last().is_none_or(|last| last != owner) {
            owners.push(owner.to_string());
        }
    }
    let mut namespaces: Vec<_> = namespaces.into_iter().collect();
    for (_, owners) in &mut namespaces {
        owners.sort_unstable();
        owners.dedup();
    }
    namespaces.sort_by_key(|(_, owners)| std::cmp::Reverse(owners.len()));
    let listed = namespaces.iter().map(|(namespace, owners)| format!("{namespace}: {}", named(owners, ", ")));
    named(&listed.collect::<Vec<_>>(), "; ")
}

fn named(names: &[String], between: &str) -> String {
    let shown = names.iter().take(NAMED).cloned().collect::<Vec<_>>().join(between);
    match names.len().saturating_sub(NAMED) {
        0 => shown,
        more => format!("{shown}{between}and {} more", thousands(more)),
    }
}

fn pair(label: &str, text: &str, style: &ReportStyle<'_>, out: &mut dyn Write) -> io::Result<()> {
    style.screen().pair(label, &visible(text), LABEL, out)
}

/// Writes a command without wrapping, so that it can be pasted.
fn command(label: &str, text: &str, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "  {label:LABEL$}  {}", visible(text))
}

/// Writes the scan's report with an additional `cluster` member, as in `imgarch schema`.
pub fn json(
    overview: &Overview,
    server: &str,
    report: &Report,
    exit_code: u8,
    style: &ReportStyle<'_>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut value = json::value(report, style)?;
    value["exit_code"] = json!(exit_code);
    value["cluster"] = json!({
        "server": server,
        "nodes": overview.nodes,
        "groups": overview.groups,
        "pods": overview.pods,
        "workloads": overview.workloads,
        "images": {
            "all": overview.images,
            "healthy": overview.healthy,
            "troubled": overview.troubled,
            "unknown": overview.unknown,
        },
        "troubles": overview.troubles.iter().map(trouble_json).collect::<Vec<_>>(),
        "others": overview.others.iter().map(failing_json).collect::<Vec<_>>(),
        "unknown": overview.untold.iter().map(|one| json!({
            "used_by": one.used_by, "image": one.image, "why": one.why, "hint": one.hint,
        })).collect::<Vec<_>>(),
        "homeless": overview.homeless.iter().map(|(workload, why)| json!({"workload": workload, "why": why})).collect::<Vec<_>>(),
        "unread": overview.unread,
    });
    serde_json::to_writer_pretty(&mut *out, &value)?;
    writeln!(out)
}

fn trouble_json(one: &Trouble) -> Value {
    json!({
        "when": if one.now.is_empty() { "next" } else { "now" },
        "used_by": one.used_by,
        "image": one.image,
        "digest": one.digest.as_ref().map(ToString::to_string),
        "failing": one.now.iter().map(failing_json).collect::<Vec<_>>(),
        "on": one.places.iter().map(|place| json!({"target": place.target, "nodes": place.nodes})).collect::<Vec<_>>(),
        "why": one.why,
        "shown": (!one.shown.is_empty()).then_some(&one.shown),
        "hint": one.act,
    })
}

fn failing_json(one: &Failing) -> Value {
    json!({
        "used_by": one.used_by, "state": one.state, "failing": one.failing, "of": one.of,
        "namespace": one.namespace, "pod": one.pod,
    })
}

#[cfg(test)]
#[path = "cluster_tests.rs"]
mod tests;
