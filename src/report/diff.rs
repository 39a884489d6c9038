//! Compares two images: platforms and findings gained and lost. Two findings are the same if their code, platform and
//! path are equal.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;

use super::diagnostic::Diagnostic;
use super::escape::{plural, visible};
use super::from_scan;
use super::rules::RuleId;
use crate::judge::code::Severity;
use crate::scan::{FailOn, ImageReport, PlatformReport, Report, Verdict};

/// The difference of two images.
#[derive(Serialize)]
pub struct Difference<'a> {
    schema: u32,
    old: Side<'a>,
    new: Side<'a>,
    platforms: Platforms,
    findings: Findings,
}

#[derive(Serialize)]
struct Side<'a> {
    name: &'a str,
    digest: Option<String>,
    verdict: &'static str,
}

#[derive(Serialize)]
struct Platforms {
    gained: Vec<String>,
    lost: Vec<String>,
    changed: Vec<Changed>,
}

#[derive(Serialize)]
struct Changed {
    platform: String,
    old: &'static str,
    new: &'static str,
}

#[derive(Serialize)]
struct Findings {
    gained: Vec<DiffLine>,
    lost: Vec<DiffLine>,
}

/// A finding of one of the images.
#[derive(Serialize)]
struct DiffLine {
    platform: Option<String>,
    severity: &'static str,
    code: &'static str,
    path: Option<String>,
    message: String,
}

/// Identifies a finding across images: platform, rule and path.
type FindingKey = (Option<String>, RuleId, Option<String>);

fn findings(image: &ImageReport) -> BTreeMap<FindingKey, DiffLine> {
    let keyed = from_scan::all_findings(image).map(|finding| {
        let line = line(&finding);
        ((line.platform.clone(), finding.rule, line.path.clone()), line)
    });
    keyed.collect()
}

fn line(finding: &Diagnostic<'_>) -> DiffLine {
    DiffLine {
        platform: finding.platform.map(PlatformReport::name),
        severity: finding.severity.word(),
        code: finding.rule.name(),
        path: finding.path().map(str::to_string),
        message: finding.message.to_string(),
    }
}

fn platforms(image: &ImageReport) -> BTreeMap<String, Verdict> {
    image.platforms.iter().map(|platform| (platform.name(), platform.verdict())).collect()
}

/// Compares two images.
pub fn compare<'a>(old: &'a ImageReport, new: &'a ImageReport) -> Difference<'a> {
    let side = |image: &'a ImageReport| Side {
        name: &image.name,
        digest: image.digest.as_ref().map(ToString::to_string),
        verdict: super::json::verdict_word(image.verdict()),
    };
    let (before, after) = (platforms(old), platforms(new));
    let only = |a: &BTreeMap<String, Verdict>, b: &BTreeMap<String, Verdict>| {
        a.keys().filter(|name| !b.contains_key(*name)).cloned().collect::<Vec<_>>()
    };
    let changed = before.iter().filter_map(|(name, old)| {
        let new = after.get(name).filter(|new| *new != old)?;
        let word = super::json::verdict_word;
        Some(Changed { platform: name.clone(), old: word(*old), new: word(*new) })
    });
    let (mut lost, mut gained) = (findings(old), findings(new));
    let in_both: Vec<FindingKey> = lost.keys().filter(|key| gained.contains_key(*key)).cloned().collect();
    for key in &in_both {
        lost.remove(key);
        gained.remove(key);
    }
    Difference {
        schema: super::json::SCHEMA,
        old: side(old),
        new: side(new),
        platforms: Platforms { gained: only(&after, &before), lost: only(&before, &after), changed: changed.collect() },
        findings: Findings { gained: gained.into_values().collect(), lost: lost.into_values().collect() },
    }
}

impl Difference<'_> {
    /// Returns 1 if the new image gained an error, 3 if one of the images could not be read completely, 1 if the new
    /// image lost a platform, and 0 otherwise.
    pub fn exit_code(&self, report: &Report) -> u8 {
        let gained = self.findings.gained.iter().any(|line| line.severity == Severity::Error.word());
        match report.exit_code(FailOn::Never) {
            _ if gained => 1,
            // A platform only counts as lost if both images were read completely.
            0 if !self.platforms.lost.is_empty() => 1,
            code => code,
        }
    }

    pub fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        serde_json::to_writer_pretty(&mut *out, self)?;
        writeln!(out)
    }

    /// Writes one line per change: `+` gained, `-` lost, `~` changed.
    pub fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        for (sign, side) in [("-", &self.old), ("+", &self.new)] {
            let digest = side.digest.as_deref().map_or_else(String::new, |digest| format!(" ({digest})"));
            writeln!(out, "{sign}{sign}{sign} {}{digest}: {}", visible(side.name), side.verdict)?;
        }
        for (sign, names) in [("-", &self.platforms.lost), ("+", &self.platforms.gained)] {
            for name in names {
                writeln!(out, "{sign} platform {}", visible(name))?;
            }
        }
        for changed in &self.platforms.changed {
            writeln!(out, "~ platform {}: {} -> {}", visible(&changed.platform), changed.old, changed.new)?;
        }
        for (sign, lines) in [("-", &self.findings.lost), ("+", &self.findings.gained)] {
            for line in lines {
                let platform = line.platform.as_ref().map_or_else(String::new, |name| format!("{name}: "));
                writeln!(out, "{sign} {}[{}]: {}", line.severity, line.code, visible(&(platform + &line.message)))?;
                if let Some(path) = &line.path {
                    writeln!(out, "    {}", visible(path))?;
                }
            }
        }
        let (gained, lost) = (self.findings.gained.len(), self.findings.lost.len());
        writeln!(out, "{} gained, {} lost", plural(gained, "finding"), plural(lost, "finding"))
    }
}
