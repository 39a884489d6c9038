//! The report for people: the answer first, then the evidence, then the cure. Readable in 80 columns, without colour.

use std::collections::BTreeMap;
use std::io::{self, Write};

use comfy_table::{Attribute, Cell, CellAlignment, Color, ContentArrangement, Table, presets};

use super::Style;
use super::escape::{plural, visible};
use super::fill::{fill, fill_command};
use crate::exec::messages::Shown;
use crate::exec::outcome::{Death, Outcome};
use crate::judge::code::{Code, Severity};
use crate::judge::finding::Finding;
use crate::scan::{ImageReport, PlatformReport, Problem, Report, Verdict};

pub fn write(report: &Report, style: &Style, out: &mut dyn Write) -> io::Result<()> {
    for image in &report.images {
        write_image(image, style, out)?;
    }
    write_summary(report, style, out)
}

fn write_image(image: &ImageReport, style: &Style, out: &mut dyn Write) -> io::Result<()> {
    let digest = image.digest.as_ref().map_or_else(String::new, |digest| format!(" ({})", digest.short()));
    let lead = format!("{}  ", headline(image.verdict(), style));
    writeln!(out, "{}", fill(&lead, &format!("{}{digest}", visible(&image.name)), 6, style.width))?;
    if !image.origin.is_empty() {
        writeln!(out, "{}", fill("      ", &format!("read from {}", visible(&image.origin)), 6, style.width))?;
    }
    for line in image.note.iter().chain(&image.skipped) {
        writeln!(out, "{}", fill("      ", &visible(line), 6, style.width))?;
    }
    writeln!(out)?;
    if !image.platforms.is_empty() {
        writeln!(out, "{}\n", platforms(image, style))?;
    }
    let several = image.platforms.len() > 1;
    for problem in &image.problems {
        write_problem(problem, None, style, out)?;
    }
    for platform in &image.platforms {
        for problem in &platform.problems {
            write_problem(problem, several.then_some(platform), style, out)?;
        }
    }
    for group in groups(image, style) {
        write_group(&group, several, style, out)?;
    }
    for accepted in &image.accepted {
        let path = accepted.finding.path.as_deref().unwrap_or_default();
        let platform = accepted.platform.as_ref().map_or_else(String::new, |platform| format!("{platform}: "));
        let at = if path.is_empty() { String::new() } else { format!("{path} ") };
        let line = format!("accepted[{}]: {platform}{at}({})", accepted.finding.code, accepted.reason);
        writeln!(out, "{}", fill("", &visible(&line), 2, style.width))?;
    }
    if !image.accepted.is_empty() {
        writeln!(out)?;
    }
    if style.explain {
        for platform in &image.platforms {
            write_chain(platform, style, out)?;
        }
    }
    Ok(())
}

fn headline(verdict: Verdict, style: &Style) -> String {
    let (word, color) = match verdict {
        Verdict::Fine => ("OK  ", "32"),
        Verdict::Warned => ("WARN", "33"),
        Verdict::Unknown => ("????", "33"),
        Verdict::Broken => ("FAIL", "31"),
    };
    paint(word, color, style)
}

fn paint(text: &str, color: &str, style: &Style) -> String {
    if style.color { format!("\x1b[1;{color}m{text}\x1b[0m") } else { text.to_string() }
}

/// One line a platform and target.
fn platforms(image: &ImageReport, style: &Style) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    // One column goes to the blank before each line.
    table.set_width(u16::try_from(style.width - 1).unwrap_or(u16::MAX)).force_no_tty();
    if style.color {
        table.enforce_styling();
    }
    let on_targets =
        image.platforms.iter().flat_map(|p| p.targets.iter().map(move |t| (p, t))).any(|(p, t)| t.name != p.name());
    let mut head = vec!["platform", "says", "is", "programs", "starts", "verdict"];
    if on_targets {
        head.insert(1, "on");
    }
    let has_names = image.platforms.iter().any(|platform| platform.image.is_some());
    if has_names {
        head.insert(0, "image");
    }
    table.set_header(head.into_iter().map(|name| Cell::new(name).add_attribute(Attribute::Dim)));
    for platform in &image.platforms {
        for (target, verdict) in verdicts(platform) {
            let name = has_names.then(|| Cell::new(visible(platform.image.as_deref().unwrap_or("-"))));
            let mut row: Vec<Cell> = name.into_iter().chain([Cell::new(platform.name())]).collect();
            if on_targets {
                row.push(Cell::new(visible(&target)));
            }
            row.push(Cell::new(platform.declared.as_ref().map_or("-".to_string(), |p| short_platform(&p.to_string()))));
            row.push(Cell::new(architectures(platform)));
            row.push(Cell::new(platform.programs).set_alignment(CellAlignment::Right));
            row.push(Cell::new(starts(platform)));
            let color = if verdict.is_good { Color::Green } else { Color::Red };
            row.push(Cell::new(visible(&verdict.text)).fg(color));
            table.add_row(row);
        }
    }
    table.to_string().lines().map(|line| format!(" {}", line.trim_end())).collect::<Vec<_>>().join("\n")
}

pub(super) fn short_platform(platform: &str) -> String {
    platform.strip_prefix("linux/").unwrap_or(platform).to_string()
}

/// Architectures that are named; the rest is counted.
const SHOWN_ARCHITECTURES: usize = 3;

pub(super) fn architectures(platform: &PlatformReport) -> String {
    if platform.architectures.is_empty() {
        return "-".to_string();
    }
    let mut archs: Vec<(usize, &str)> = platform.architectures.iter().map(|(arch, n)| (*n, arch.oci())).collect();
    archs.sort_by(|a, b| b.cmp(a));
    let rest = archs.len().saturating_sub(SHOWN_ARCHITECTURES);
    let mut names: Vec<String> = archs.iter().take(SHOWN_ARCHITECTURES).map(|(_, name)| name.to_string()).collect();
    if rest > 0 {
        names.push(format!("{rest} more"));
    }
    names.join(" + ")
}

/// The program that is started, as its path in the image where it was found.
pub(super) fn starts(platform: &PlatformReport) -> String {
    let found = platform.targets.first().and_then(|target| target.steps.first()).map(|step| step.path.clone());
    visible(&found.or_else(|| platform.starts.first().cloned()).unwrap_or_else(|| "-".to_string()))
}

pub(super) struct VerdictCell {
    pub text: String,
    pub is_good: bool,
}

/// A word on each target: what the container will do.
pub(super) fn verdicts(platform: &PlatformReport) -> Vec<(String, VerdictCell)> {
    if platform.targets.is_empty() {
        let (text, is_good) = match platform.verdict() {
            Verdict::Unknown => ("could not tell", false),
            Verdict::Broken => ("see below", false),
            Verdict::Fine | Verdict::Warned if platform.is_data_only => ("data only", true),
            Verdict::Fine | Verdict::Warned => ("programs fit", true),
        };
        return vec![(platform.name(), VerdictCell { text: text.to_string(), is_good })];
    }
    let cell = |outcome: &Outcome| {
        let worst = platform.findings.iter().map(|f| f.severity).max();
        match outcome {
            _ if !platform.problems.is_empty() => VerdictCell { text: "could not tell".into(), is_good: false },
            Outcome::Runs if worst == Some(Severity::Error) => {
                VerdictCell { text: "starts, but see below".into(), is_good: false }
            }
            Outcome::Runs => VerdictCell { text: "runs".into(), is_good: true },
            Outcome::Emulated { by } => {
                VerdictCell { text: format!("runs by {by}"), is_good: worst != Some(Severity::Error) }
            }
            Outcome::Fails { errno, .. } => VerdictCell { text: errno.message().into(), is_good: false },
            Outcome::Dies { death: Death::Signal(signal), .. } => {
                VerdictCell { text: format!("killed, signal {signal}"), is_good: false }
            }
            Outcome::Dies { death: Death::Exit(code), .. } => {
                VerdictCell { text: format!("ends at once, exit {code}"), is_good: false }
            }
            Outcome::Unknown { .. } => VerdictCell { text: "could not tell".into(), is_good: false },
        }
    };
    platform.targets.iter().map(|target| (target.name.clone(), cell(&target.outcome))).collect()
}

/// Findings that are shown as one: the same code on the same group of files of one platform.
pub(super) struct Group<'a> {
    pub platform: Option<&'a PlatformReport>,
    pub findings: Vec<&'a Finding>,
}

pub(super) fn groups<'a>(image: &'a ImageReport, style: &Style) -> Vec<Group<'a>> {
    let mut groups: Vec<Group<'a>> = Vec::new();
    let mut index: BTreeMap<(usize, Code, Option<&str>), usize> = BTreeMap::new();
    for (platform, finding) in image.all_findings() {
        if finding.code == Code::ForeignOnPurpose && !style.all {
            continue;
        }
        let of_platform = platform.map_or(0, |platform| std::ptr::from_ref(platform) as usize);
        let key = (of_platform, finding.code, finding.group.as_deref());
        match index.get(&key) {
            Some(at) if finding.group.is_some() && !style.all => groups[*at].findings.push(finding),
            _ => {
                index.insert(key, groups.len());
                groups.push(Group { platform, findings: vec![finding] });
            }
        }
    }
    groups.sort_by_key(|group| (std::cmp::Reverse(group.findings[0].severity), group.findings[0].code));
    groups
}

fn write_group(group: &Group<'_>, several: bool, style: &Style, out: &mut dyn Write) -> io::Result<()> {
    let finding = group.findings[0];
    let color = match finding.severity {
        Severity::Error => "31",
        Severity::Warning => "33",
        Severity::Note => "36",
    };
    let needs_name = |platform: &&PlatformReport| {
        several && !(platform.image.is_none() && finding.message.contains(&platform.name()))
    };
    let place = group
        .platform
        .filter(needs_name)
        .map_or_else(String::new, |platform| format!("{}: ", visible(&platform.label())));
    let head = paint(&format!("{}[{}]", finding.severity.word(), finding.code), color, style);
    let sentence = format!("{place}{}", visible(&finding.message));
    writeln!(out, "{}", fill(&format!("{head}: "), &sentence, 2, style.width))?;
    let mut lines: Vec<(String, String)> = Vec::new();
    let is = match (finding.is.as_str(), finding.expected.as_str()) {
        ("", _) => String::new(),
        (is, "") => is.to_string(),
        (is, expected) => format!("{is}; expected {expected}"),
    };
    match (&finding.path, group.findings.len()) {
        (Some(path), 1) if is.is_empty() => lines.push(("at".into(), path.clone())),
        (Some(path), 1) => lines.push((path.clone(), is)),
        (Some(path), count) => {
            let at = finding.group.clone().unwrap_or_else(|| path.clone());
            lines.push((at, format!("{}: {is}", plural(count, "file"))));
            lines.push(("for example".into(), path.clone()));
        }
        (None, _) if !is.is_empty() => lines.push(("is".into(), is)),
        (None, _) => {}
    }
    if let Some((rule, why)) = &finding.purpose {
        lines.push(("foreign on purpose".into(), format!("{why} ({rule})")));
    }
    if !finding.reached_by.is_empty() {
        lines.push(("reached by".into(), finding.reached_by.join(" -> ")));
    }
    if let (Some(layer), Some(platform)) = (finding.layer, group.platform) {
        lines.extend(came_in_with(platform, layer));
    }
    lines.extend(finding.shown.first().map(|first| ("nodes will show".into(), shown_line(first, &finding.shown))));
    for (name, value) in lines {
        let value = if style.all { visible(&value) } else { shortened(&visible(&value)) };
        write_pair(&visible(&name), &value, style, out)?;
    }
    write_hint(&finding.hint, style, out)?;
    writeln!(out)
}

/// The message of the commonest front end, and where its exit code differs: `(exit 255; 1 with runc 1.1)`.
fn shown_line(first: &Shown, all: &[Shown]) -> String {
    let Some(code) = first.exit_code else { return first.text.clone() };
    let other = all.iter().find(|other| other.text == first.text && other.exit_code.is_some_and(|own| own != code));
    let other = other.and_then(|other| Some(format!("; {} with {}", other.exit_code?, other.frontend)));
    let text = if first.text.is_empty() { "nothing" } else { first.text.lines().next().unwrap_or_default() };
    format!("{text}   (exit {code}{})", other.unwrap_or_default())
}

/// Of a value, as of a build step that installs a hundred packages; `--all` shows it whole.
const VALUE_CHARS: usize = 400;

fn shortened(value: &str) -> String {
    match value.char_indices().nth(VALUE_CHARS) {
        Some((end, _)) => format!("{}...", &value[..end]),
        None => value.to_string(),
    }
}

/// Width of the names before values; a longer name stands on a line of its own.
const NAME_WIDTH: usize = 18;

fn write_pair(name: &str, value: &str, style: &Style, out: &mut dyn Write) -> io::Result<()> {
    let indent = NAME_WIDTH + 4;
    if name.chars().count() <= NAME_WIDTH {
        writeln!(out, "{}", fill(&format!("  {name:NAME_WIDTH$}  "), value, indent, style.width))
    } else {
        writeln!(out, "  {name}")?;
        writeln!(out, "{}", fill(&" ".repeat(indent), value, indent, style.width))
    }
}

/// The first line is prose; the others are commands, which stay whole.
fn write_hint(hint: &[String], style: &Style, out: &mut dyn Write) -> io::Result<()> {
    for (index, line) in hint.iter().enumerate() {
        match index {
            0 => writeln!(out, "{}", fill("  hint: ", &visible(line), 8, style.width))?,
            _ => writeln!(out, "{}", fill_command(&visible(line), 8, style.width))?,
        }
    }
    Ok(())
}

pub(super) fn came_in_with(platform: &PlatformReport, layer: usize) -> Option<(String, String)> {
    let report = platform.layers.get(layer)?;
    let step = report.step.as_ref().map_or_else(String::new, |step| format!(", {step}"));
    let line = report.dockerfile_line.map_or_else(String::new, |line| format!(" (Dockerfile line {line})"));
    let base = if report.is_base == Some(true) { ", of the base image" } else { "" };
    let text =
        format!("layer {} of {} ({}){base}{step}{line}", layer + 1, platform.layers.len(), report.digest.short());
    Some(("came in with".into(), text))
}

fn write_problem(
    problem: &Problem,
    platform: Option<&PlatformReport>,
    style: &Style,
    out: &mut dyn Write,
) -> io::Result<()> {
    let place = platform.map_or_else(String::new, |platform| format!("{}: ", visible(&platform.label())));
    let lead = format!("{}: ", paint("could not tell", "33", style));
    writeln!(out, "{}", fill(&lead, &format!("{place}{}", visible(&problem.text)), 2, style.width))?;
    write_hint(problem.hint.as_slice(), style, out)?;
    writeln!(out)
}

/// `--explain`: the chain of each start and what every front end prints.
fn write_chain(platform: &PlatformReport, style: &Style, out: &mut dyn Write) -> io::Result<()> {
    for target in &platform.targets {
        writeln!(out, "explain {} on {}: {}", platform.name(), visible(&target.name), target.outcome.word())?;
        for step in &target.steps {
            write_pair(&step.how, &visible(&format!("{}   {}", step.path, step.is)), style, out)?;
        }
        if let Some(why) = &target.undecided {
            write_pair("not followed", &visible(why), style, out)?;
        }
        if let Some(cause) = target.outcome.cause() {
            write_pair("cause", &visible(&format!("{} ({})", cause.text, cause.code)), style, out)?;
        }
        for shown in &target.shown {
            let code = shown.exit_code.map_or_else(String::new, |code| format!("   [exit {code}]"));
            write_pair(shown.frontend, &format!("{}{code}", visible(&shown.text)), style, out)?;
        }
        writeln!(out)?;
    }
    Ok(())
}

fn write_summary(report: &Report, style: &Style, out: &mut dyn Write) -> io::Result<()> {
    let platforms: usize = report.images.iter().map(|image| image.platforms.len()).sum();
    let programs: usize =
        report.images.iter().flat_map(|image| &image.platforms).map(|platform| platform.programs).sum();
    let mut parts = vec![
        format!(
            "{}, {}",
            plural(report.count(Severity::Error), "error"),
            plural(report.count(Severity::Warning), "warning")
        ),
        format!(
            "{}, {} read in {:.1} s",
            plural(platforms, "platform"),
            plural(programs, "program"),
            style.took.as_secs_f64()
        ),
    ];
    if report.images.len() > 1 {
        parts.insert(1, plural(report.images.len(), "image"));
    }
    writeln!(out, "{}   exit {}", parts.join("; "), report.exit_code(style.fail_on))
}
