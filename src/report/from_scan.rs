//! Converts a scan report to [`RunResults`].

use super::ReportStyle;
use super::diagnostic::{
    CheckEnd, Diagnostic, DiagnosticFact, DiagnosticLocation, FactKind, RunResults, StartCheck, Subject,
};
use super::rules::{ReportingCommand, RuleId};
use super::{fingerprint, view};
use crate::exec::messages::{MessageSource, Shown};
use crate::exec::outcome::Outcome;
use crate::judge::code::Code;
use crate::judge::finding::Finding;
use crate::scan::{ImageReport, PlatformReport, Problem, Report};

pub fn results<'a>(report: &'a Report, style: &ReportStyle<'a>) -> RunResults<'a> {
    RunResults {
        tool: ReportingCommand::Scan,
        subjects: report.images.iter().map(|image| subject(image, style)).collect(),
        exit_code: report.exit_code(style.fail_on),
        threshold: style.fail_on.threshold(),
        took: style.took,
    }
}

/// Converts one image. Skips intentionally foreign files, except with `--all`.
pub fn subject<'a>(image: &'a ImageReport, style: &ReportStyle<'a>) -> Subject<'a> {
    let mut diagnostics = Vec::new();
    for (index, problem) in image.problems.iter().enumerate() {
        diagnostics.push(unread(image, None, problem, index, style));
    }
    for platform in &image.platforms {
        for (index, problem) in platform.problems.iter().enumerate() {
            diagnostics.push(unread(image, Some(platform), problem, index, style));
        }
    }
    let shown = image.all_findings().filter(|(_, finding)| style.all || finding.code != Code::ForeignOnPurpose);
    diagnostics.extend(shown.map(|(platform, one)| finding(image, platform, one, style.dockerfile)));
    for accepted in &image.accepted {
        let platform = image.platforms.iter().find(|platform| Some(platform.name()) == accepted.platform);
        let diagnostic = finding(image, platform, &accepted.finding, style.dockerfile);
        diagnostics.push(Diagnostic { accepted: Some(&accepted.reason), ..diagnostic });
    }
    Subject {
        name: image.name.clone(),
        verdict: image.verdict(),
        digest: image.digest.as_ref(),
        origin: image.origin.to_string(),
        notes: image.note.iter().chain(&image.skipped).map(String::as_str).collect(),
        matrix: view::matrix(image),
        platforms: &image.platforms,
        checks: checks(image),
        diagnostics,
    }
}

/// Returns all findings of an image, including intentionally foreign files.
pub fn all_findings(image: &ImageReport) -> impl Iterator<Item = Diagnostic<'_>> {
    image.all_findings().map(|(platform, one)| finding(image, platform, one, None))
}

fn finding<'a>(
    image: &'a ImageReport,
    platform: Option<&'a PlatformReport>,
    finding: &'a Finding,
    dockerfile: Option<&'a str>,
) -> Diagnostic<'a> {
    let name = platform.map(PlatformReport::name);
    Diagnostic {
        rule: RuleId::Scan(finding.code),
        severity: finding.severity,
        platform,
        message: &finding.message,
        location: DiagnosticLocation::Image {
            image: &image.name,
            path: finding.path.as_deref(),
            layer: finding.layer.and_then(|index| platform?.layers.get(index)),
            dockerfile,
        },
        is: &finding.is,
        facts: facts(platform, finding),
        hint: finding.hint.iter().map(String::as_str).collect(),
        related: Vec::new(),
        fix: None,
        fingerprint: fingerprint::fingerprint(&image.name, name.as_deref(), finding),
        accepted: None,
    }
}

/// Converts an unread part. Its text can change between runs, so the fingerprint uses its position instead.
fn unread<'a>(
    image: &'a ImageReport,
    platform: Option<&'a PlatformReport>,
    problem: &'a Problem,
    index: usize,
    style: &ReportStyle<'a>,
) -> Diagnostic<'a> {
    let rule = RuleId::CouldNotTell;
    let name = platform.map(PlatformReport::name);
    let position = (index > 0).then(|| format!("#{index}"));
    Diagnostic {
        rule,
        severity: rule.severity(),
        platform,
        message: &problem.text,
        location: DiagnosticLocation::Image {
            image: &image.name,
            path: None,
            layer: None,
            dockerfile: style.dockerfile,
        },
        is: "",
        facts: Vec::new(),
        hint: problem.hint.iter().map(String::as_str).collect(),
        related: Vec::new(),
        fix: None,
        fingerprint: fingerprint::of_parts(&image.name, name.as_deref(), rule.name(), position.as_deref()),
        accepted: None,
    }
}

fn facts(platform: Option<&PlatformReport>, finding: &Finding) -> Vec<DiagnosticFact> {
    let purpose = finding.purpose.as_ref().map_or_else(String::new, |(rule, why)| format!("{why} ({rule})"));
    let layer = platform.zip(finding.layer).and_then(|(platform, layer)| platform.layer_text(layer));
    let shown = finding.shown.first().map(|first| shown_line(first, &finding.shown));
    let facts = [
        (FactKind::Is, finding.is_text()),
        (FactKind::Purpose, purpose),
        (FactKind::ReachedBy, finding.reached_by.join(" -> ")),
        (FactKind::CameInWith, layer.unwrap_or_default()),
        (FactKind::Shown, shown.unwrap_or_default()),
    ];
    facts.into_iter().filter(|(_, text)| !text.is_empty()).map(|(kind, text)| DiagnosticFact { kind, text }).collect()
}

/// Formats the message of the most common front end and the exit codes:
/// `(exit 255; 1 with runc 1.1)` if another version differs, or the report of each front end if no process was started:
/// `(docker run: exit 127; kubelet (containerd): StartError, exit 128; podman run: exit 127)`.
fn shown_line(first: &Shown, all: &[Shown]) -> String {
    let text = if first.text.is_empty() { "nothing" } else { first.text.lines().next().unwrap_or_default() };
    let codes = match first.speaker {
        MessageSource::Runtime => {
            let Some(code) = first.exit_code else { return first.text.clone() };
            let differs = |other: &&Shown| other.text == first.text && other.exit_code.is_some_and(|own| own != code);
            let other = all.iter().find(differs);
            let other = other.and_then(|other| Some(format!("; {} with {}", other.exit_code?, other.frontend)));
            format!("exit {code}{}", other.unwrap_or_default())
        }
        MessageSource::Docker | MessageSource::Kubelet | MessageSource::Podman => {
            let row_of = |speaker| all.iter().find(|row| row.speaker == speaker);
            let each =
                [MessageSource::Docker, MessageSource::Kubelet, MessageSource::Podman].into_iter().filter_map(row_of);
            each.filter_map(reported).collect::<Vec<_>>().join("; ")
        }
    };
    if codes.is_empty() { text.to_string() } else { format!("{text}   ({codes})") }
}

/// Returns how a front end reports that nothing was started; `None` for a runtime's message.
fn reported(row: &Shown) -> Option<String> {
    let code = row.exit_code.map(|code| format!("exit {code}"));
    match row.speaker {
        MessageSource::Docker => code.map(|code| format!("docker run: {code}")),
        MessageSource::Podman => code.map(|code| format!("podman run: {code}")),
        MessageSource::Kubelet => {
            Some(code.map_or(row.frontend.to_string(), |code| format!("{}, {code}", row.frontend)))
        }
        MessageSource::Runtime => None,
    }
}

/// Returns the starts of each platform as checks. A failed start is reported by its finding instead.
fn checks(image: &ImageReport) -> Vec<StartCheck<'_>> {
    let mut checks = Vec::new();
    if image.problems.is_empty() && image.platforms.is_empty() {
        let end = CheckEnd::CouldNotTell("no platform of the image was read".to_string());
        checks.push(StartCheck { platform: None, name: "platforms".to_string(), end });
    }
    for platform in &image.platforms {
        let before = checks.len();
        for target in &platform.targets {
            let end = match &target.outcome {
                Outcome::Runs => CheckEnd::Passed(String::new()),
                Outcome::Emulated { by } => CheckEnd::Passed(format!("runs by {by}")),
                Outcome::Unknown { cause, .. } => CheckEnd::CouldNotTell(format!("could not tell: {}", cause.text)),
                Outcome::Fails { .. } | Outcome::Dies { .. } => continue,
            };
            checks.push(StartCheck { platform: Some(platform), name: format!("starts on {}", target.name), end });
        }
        let is_silent = checks.len() == before && platform.problems.is_empty() && platform.findings.is_empty();
        if platform.programs == 0 && !platform.is_data_only && is_silent {
            let end = CheckEnd::CouldNotTell("the platform has no programs".to_string());
            checks.push(StartCheck { platform: Some(platform), name: "programs".to_string(), end });
        }
    }
    checks
}
