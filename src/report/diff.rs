//! What changed from one image to another: platforms and findings gained and lost. Findings are the same where their code,
//! platform and path are.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use serde::Serialize;

use super::escape::{plural, visible};
use crate::judge::code::Severity;
use crate::judge::finding::Finding;
use crate::scan::{FailOn, ImageReport, PlatformReport, Report, Verdict};

/// The difference of two images.
#[derive(Serialize)]
pub struct Difference<'a> {
    schema: u32,
    old: Side<'a>,
    new: Side<'a>,
    platforms: Platforms,
    findings: Findings<'a>,
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
struct Findings<'a> {
    gained: Vec<Line<'a>>,
    lost: Vec<Line<'a>>,
}

#[derive(Serialize)]
struct Line<'a> {
    platform: Option<String>,
    severity: &'static str,
    code: &'static str,
    path: Option<&'a str>,
    message: &'a str,
}

type Key<'a> = (Option<String>, &'static str, Option<&'a str>);

fn findings(image: &ImageReport) -> BTreeMap<Key<'_>, &Finding> {
    let keyed = image.all_findings().map(|(platform, finding)| {
        ((platform.map(PlatformReport::name), finding.code.name(), finding.path.as_deref()), finding)
    });
    keyed.collect()
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
    let (found_before, found_after) = (findings(old), findings(new));
    let beyond = |a: &BTreeMap<Key<'a>, &'a Finding>, b: &BTreeMap<Key<'a>, &'a Finding>| {
        let known: BTreeSet<&Key<'a>> = b.keys().collect();
        let lines = a.iter().filter(|(key, _)| !known.contains(key)).map(|(key, finding)| Line {
            platform: key.0.clone(),
            severity: finding.severity.word(),
            code: key.1,
            path: key.2,
            message: &finding.message,
        });
        lines.collect::<Vec<_>>()
    };
    Difference {
        schema: super::json::SCHEMA,
        old: side(old),
        new: side(new),
        platforms: Platforms { gained: only(&after, &before), lost: only(&before, &after), changed: changed.collect() },
        findings: Findings { gained: beyond(&found_after, &found_before), lost: beyond(&found_before, &found_after) },
    }
}

impl Difference<'_> {
    /// 3 where one of the images could not be read whole, 1 where the new one gained an error or lost a platform, else 0.
    pub fn exit_code(&self, report: &Report) -> u8 {
        let gained = self.findings.gained.iter().any(|line| line.severity == Severity::Error.word());
        match report.exit_code(FailOn::Never) {
            _ if gained => 1,
            // What could not be read is not known to be lost.
            0 if !self.platforms.lost.is_empty() => 1,
            code => code,
        }
    }

    pub fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        serde_json::to_writer_pretty(&mut *out, self)?;
        writeln!(out)
    }

    /// One line a change: `+` gained, `-` lost, `~` changed.
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
                writeln!(out, "{sign} {}[{}]: {}", line.severity, line.code, visible(&(platform + line.message)))?;
                if let Some(path) = line.path {
                    writeln!(out, "    {}", visible(path))?;
                }
            }
        }
        let (gained, lost) = (self.findings.gained.len(), self.findings.lost.len());
        writeln!(out, "{} gained, {} lost", plural(gained, "finding"), plural(lost, "finding"))
    }
}
