//! Writes the report as JSON. `schema` is its version. Fields can be added, but are never renamed or removed. Tests
//! check the output against the JSON Schema that `imgarch schema` prints.

pub mod lint;

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;

use crate::exec::messages::Shown;
use crate::exec::{Death, Errno, Outcome};
use crate::judge::code::{Code, Severity};
use crate::judge::finding::Finding;
use crate::report::ReportStyle;
use crate::scan::{
    AcceptedFinding, ImageReport, LayerReport, PlatformReport, Problem, Report, StepReport, TargetReport, Verdict,
};

/// Version of the format.
pub const SCHEMA: u32 = 1;

/// The JSON Schema of the report, as `imgarch schema` prints it.
pub const JSON_SCHEMA: &str = include_str!("schema.json");

#[derive(Serialize)]
struct JsonReport<'a> {
    schema: u32,
    exit_code: u8,
    summary: JsonSummary,
    images: Vec<JsonImage<'a>>,
}

#[derive(Serialize)]
struct JsonSummary {
    images: usize,
    platforms: usize,
    programs: usize,
    errors: usize,
    warnings: usize,
    notes: usize,
}

#[derive(Serialize)]
struct JsonImage<'a> {
    name: &'a str,
    origin: String,
    note: Option<&'a str>,
    digest: Option<String>,
    verdict: &'static str,
    platforms: Vec<JsonPlatform<'a>>,
    findings: Vec<JsonFinding<'a>>,
    problems: Vec<JsonProblem<'a>>,
    skipped: &'a [String],
    accepted: Vec<JsonAccepted<'a>>,
}

#[derive(Serialize)]
struct JsonAccepted<'a> {
    platform: Option<&'a str>,
    reason: &'a str,
    finding: JsonFinding<'a>,
}

#[derive(Serialize)]
struct JsonPlatform<'a> {
    platform: String,
    image: Option<&'a str>,
    promised: Option<String>,
    declared: Option<String>,
    digest: Option<String>,
    verdict: &'static str,
    agreement: &'static str,
    programs: usize,
    entries: usize,
    architectures: BTreeMap<&'static str, usize>,
    starts: &'a [String],
    layers: Vec<JsonLayer<'a>>,
    targets: Vec<JsonTarget<'a>>,
    findings: Vec<JsonFinding<'a>>,
    problems: Vec<JsonProblem<'a>>,
}

#[derive(Serialize)]
struct JsonLayer<'a> {
    index: usize,
    digest: String,
    diff_id: Option<String>,
    size: u64,
    step: Option<&'a str>,
    dockerfile_line: Option<usize>,
    base: Option<bool>,
}

/// The outcome on a target. `errno` is set if `outcome` is "fails", and `signal` or `exit_code` if it is "dies".
#[derive(Serialize)]
struct JsonTarget<'a> {
    target: &'a str,
    outcome: &'static str,
    errno: Option<String>,
    signal: Option<u8>,
    /// Signals that can end the process instead of `signal`, depending on where the kernel has mapped its own pages.
    #[serde(skip_serializing_if = "<[u8]>::is_empty")]
    other_signals: &'a [u8],
    exit_code: Option<u8>,
    path: Option<&'a str>,
    cause: Option<JsonCause<'a>>,
    by: Option<&'a str>,
    steps: Vec<JsonStep<'a>>,
    /// `full`: followed to the program that the call is for. `partial`: followed to `where`, for the reason in `why`.
    followed: &'static str,
    #[serde(rename = "where")]
    at: Option<&'a str>,
    why: Option<&'a str>,
    undecided: Option<String>,
    messages: Vec<JsonShown<'a>>,
}

#[derive(Serialize)]
struct JsonCause<'a> {
    code: &'static str,
    text: &'a str,
}

#[derive(Serialize)]
struct JsonStep<'a> {
    how: &'a str,
    path: &'a str,
    is: &'a str,
}

#[derive(Serialize)]
struct JsonShown<'a> {
    front_end: &'a str,
    text: &'a str,
    exit_code: Option<u8>,
}

#[derive(Serialize)]
struct JsonFinding<'a> {
    code: &'static str,
    severity: &'static str,
    message: &'a str,
    path: Option<&'a str>,
    is: &'a str,
    expected: &'a str,
    layer: Option<JsonPlace>,
    reached_by: &'a [String],
    group: Option<&'a str>,
    purpose: Option<&'a str>,
    why: &'static str,
    hint: &'a [String],
    messages: Vec<JsonShown<'a>>,
}

#[derive(Serialize)]
struct JsonPlace {
    index: usize,
    digest: String,
    step: Option<String>,
    dockerfile_line: Option<usize>,
}

#[derive(Serialize)]
struct JsonProblem<'a> {
    text: &'a str,
    hint: Option<&'a str>,
}

pub fn write(report: &Report, style: &ReportStyle, out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, &wire(report, style))?;
    writeln!(out)
}

/// Returns the report as a JSON value, for commands that add members to it.
pub fn value(report: &Report, style: &ReportStyle) -> serde_json::Result<serde_json::Value> {
    serde_json::to_value(wire(report, style))
}

fn wire<'a>(report: &'a Report, style: &ReportStyle) -> JsonReport<'a> {
    let platforms = || report.images.iter().flat_map(|image| &image.platforms);
    JsonReport {
        schema: SCHEMA,
        exit_code: report.exit_code(style.fail_on),
        summary: JsonSummary {
            images: report.images.len(),
            platforms: platforms().count(),
            programs: platforms().map(|platform| platform.programs).sum(),
            errors: report.count(Severity::Error),
            warnings: report.count(Severity::Warning),
            notes: report.count(Severity::Note),
        },
        images: report.images.iter().map(|one| image(one, style)).collect(),
    }
}

/// Returns the verdict as in the JSON and plain formats: `fine`, `warned`, `unknown`, `broken`.
pub fn verdict_word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Fine => "fine",
        Verdict::Warned => "warned",
        Verdict::Unknown => "unknown",
        Verdict::Broken => "broken",
    }
}

fn image<'a>(image: &'a ImageReport, style: &ReportStyle) -> JsonImage<'a> {
    JsonImage {
        name: &image.name,
        origin: image.origin.to_string(),
        note: image.note.as_deref(),
        digest: image.digest.as_ref().map(ToString::to_string),
        verdict: verdict_word(image.verdict()),
        platforms: image.platforms.iter().map(|one| platform(one, style)).collect(),
        findings: findings(&image.findings, None, style),
        problems: problems(&image.problems),
        skipped: &image.skipped,
        accepted: image.accepted.iter().map(|one| accepted(one, image)).collect(),
    }
}

fn accepted<'a>(accepted: &'a AcceptedFinding, image: &'a ImageReport) -> JsonAccepted<'a> {
    let platform = image.platforms.iter().find(|platform| Some(platform.name()) == accepted.platform);
    JsonAccepted {
        platform: accepted.platform.as_deref(),
        reason: &accepted.reason,
        finding: finding(&accepted.finding, platform),
    }
}

fn platform<'a>(platform: &'a PlatformReport, style: &ReportStyle) -> JsonPlatform<'a> {
    JsonPlatform {
        platform: platform.name(),
        image: platform.image.as_deref(),
        promised: platform.promised.as_ref().map(ToString::to_string),
        declared: platform.declared.as_ref().map(ToString::to_string),
        digest: platform.digest.as_ref().map(ToString::to_string),
        verdict: verdict_word(platform.verdict()),
        agreement: platform.agreement.word(),
        programs: platform.programs,
        entries: platform.entries,
        architectures: platform.architectures.iter().map(|(arch, count)| (arch.oci(), *count)).collect(),
        starts: &platform.starts,
        layers: platform.layers.iter().map(layer).collect(),
        targets: platform.targets.iter().map(target).collect(),
        findings: findings(&platform.findings, Some(platform), style),
        problems: problems(&platform.problems),
    }
}

fn layer(layer: &LayerReport) -> JsonLayer<'_> {
    JsonLayer {
        index: layer.index,
        digest: layer.digest.to_string(),
        diff_id: layer.diff_id.as_ref().map(ToString::to_string),
        size: layer.size,
        step: layer.step.as_deref(),
        dockerfile_line: layer.dockerfile_line,
        base: layer.is_base,
    }
}

fn target(target: &TargetReport) -> JsonTarget<'_> {
    let mut wire = JsonTarget {
        target: &target.name,
        outcome: target.outcome.word(),
        errno: None,
        signal: None,
        other_signals: &[],
        exit_code: None,
        path: None,
        cause: target.outcome.cause().map(|cause| JsonCause { code: cause.code(), text: &cause.text }),
        by: None,
        steps: target.steps.iter().map(|StepReport { how, path, is }| JsonStep { how, path, is }).collect(),
        followed: if target.undecided.is_some() { "partial" } else { "full" },
        at: target.undecided.as_ref().map(|undecided| undecided.at.as_str()),
        why: target.undecided.as_ref().map(|undecided| undecided.why.as_str()),
        undecided: target.undecided.as_ref().map(ToString::to_string),
        messages: target.shown.iter().map(shown).collect(),
    };
    match &target.outcome {
        Outcome::Runs => {}
        Outcome::Emulated { by } => wire.by = Some(by),
        Outcome::Fails { errno, at, .. } => {
            wire.errno = Some(Errno::to_string(errno));
            wire.path = Some(at);
        }
        Outcome::Dies { death, at, .. } => {
            wire.path = Some(at);
            match death {
                Death::Signal(signal) => wire.signal = Some(*signal),
                Death::AnyOf { usual, others } => (wire.signal, wire.other_signals) = (Some(*usual), &others[..]),
                Death::Exit(code) => wire.exit_code = Some(*code),
            }
        }
        Outcome::Unknown { at, .. } => wire.path = Some(at),
    }
    wire
}

fn shown(shown: &Shown) -> JsonShown<'_> {
    JsonShown { front_end: &shown.frontend, text: &shown.text, exit_code: shown.exit_code }
}

fn findings<'a>(
    findings: &'a [Finding],
    platform: Option<&PlatformReport>,
    style: &ReportStyle,
) -> Vec<JsonFinding<'a>> {
    let listed = findings.iter().filter(|finding| style.all || finding.code != Code::ForeignOnPurpose);
    listed.map(|one| finding(one, platform)).collect()
}

fn finding<'a>(finding: &'a Finding, platform: Option<&PlatformReport>) -> JsonFinding<'a> {
    let layer = finding.layer.zip(platform).and_then(|(index, platform)| platform.layers.get(index));
    JsonFinding {
        code: finding.code.name(),
        severity: finding.severity.word(),
        message: &finding.message,
        path: finding.path.as_deref(),
        is: &finding.is,
        expected: &finding.expected,
        layer: layer.map(|layer| JsonPlace {
            index: layer.index,
            digest: layer.digest.to_string(),
            step: layer.step.clone(),
            dockerfile_line: layer.dockerfile_line,
        }),
        reached_by: &finding.reached_by,
        group: finding.group.as_deref(),
        purpose: finding.purpose.as_ref().map(|(rule, _)| &**rule),
        why: finding.code.row().why,
        hint: &finding.hint,
        messages: finding.shown.iter().map(shown).collect(),
    }
}

fn problems(problems: &[Problem]) -> Vec<JsonProblem<'_>> {
    problems.iter().map(|problem| JsonProblem { text: &problem.text, hint: problem.hint.as_deref() }).collect()
}
