//! Applies a project's settings to a report: other severities and accepted findings. Accepted findings stay in the
//! report with their reason. Content that could not be read can never be accepted.

use std::collections::{BTreeMap, BTreeSet};

use super::baseline::Baseline;
use super::date::Date;
use super::file::Ignore;
use crate::judge::code::{Code, Severity};
use crate::judge::finding::{self, Finding};
use crate::scan::fingerprint;
use crate::scan::{AcceptedFinding, Report};

/// The settings to apply to a report.
#[derive(Debug, Default)]
pub struct Policy {
    pub severities: BTreeMap<Code, Severity>,
    pub ignores: Vec<Ignore>,
    pub baseline: Option<Baseline>,
}

/// Applies a policy and returns notes for the user, such as expired or unused ignores.
pub fn apply(report: &mut Report, policy: &Policy, today: Date) -> Vec<String> {
    let mut state = PolicyRun { policy, today, uses: vec![0; policy.ignores.len()], of_baseline: BTreeSet::new() };
    for image in &mut report.images {
        let name = image.name.clone();
        let mut accepted = Vec::new();
        state.sift(&name, None, &mut image.findings, &mut accepted);
        for platform in &mut image.platforms {
            let of_platform = platform.name();
            let before = accepted.len();
            state.sift(&name, Some(&of_platform), &mut platform.findings, &mut accepted);
            platform.is_data_only |= accepted[before..].iter().any(|one| one.finding.code == Code::NoPrograms);
        }
        image.accepted.extend(accepted);
    }
    state.notes()
}

struct PolicyRun<'a> {
    policy: &'a Policy,
    today: Date,
    uses: Vec<usize>,
    /// Fingerprints of the baseline's findings that appear again.
    of_baseline: BTreeSet<String>,
}

impl PolicyRun<'_> {
    fn sift(
        &mut self,
        image: &str,
        platform: Option<&str>,
        findings: &mut Vec<Finding>,
        into: &mut Vec<AcceptedFinding>,
    ) {
        let mut kept = Vec::new();
        for mut finding in findings.drain(..) {
            if let Some(severity) = self.policy.severities.get(&finding.code) {
                finding.severity = *severity;
            }
            match self.reason(image, platform, &finding) {
                Some(reason) => into.push(AcceptedFinding { platform: platform.map(str::to_string), finding, reason }),
                None => kept.push(finding),
            }
        }
        finding::sort(&mut kept);
        *findings = kept;
    }

    fn reason(&mut self, image: &str, platform: Option<&str>, finding: &Finding) -> Option<String> {
        let mut reason = None;
        for (index, ignore) in self.policy.ignores.iter().enumerate() {
            if !is_expired(ignore, self.today) && matches(ignore, image, finding) {
                self.uses[index] += 1;
                reason.get_or_insert_with(|| ignore.reason.clone());
            }
        }
        let print = fingerprint::fingerprint(image, platform, finding);
        let is_known = self.policy.baseline.as_ref().is_some_and(|baseline| baseline.contains(&print));
        if is_known {
            self.of_baseline.insert(print);
        }
        reason.or_else(|| is_known.then(|| "in the baseline".to_string()))
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        for (index, (ignore, uses)) in self.policy.ignores.iter().zip(&self.uses).enumerate() {
            let name = format!("ignore {} ({ignore})", index + 1);
            match ignore.expires {
                Some(_) if is_expired(ignore, self.today) => notes.push(format!("{name} has expired")),
                _ if *uses == 0 => notes.push(format!("{name} matches no finding")),
                _ => {}
            }
        }
        if let Some(gone) =
            self.policy.baseline.as_ref().and_then(|known| known.len().checked_sub(self.of_baseline.len()))
            && gone > 0
        {
            notes.push(format!("{gone} of the baseline's findings no longer appear; --update-baseline removes them"));
        }
        notes
    }
}

fn is_expired(ignore: &Ignore, today: Date) -> bool {
    ignore.expires.is_some_and(|day| day < today)
}

fn matches(ignore: &Ignore, image: &str, finding: &Finding) -> bool {
    let subject = fingerprint::subject(image);
    let group = finding.group.as_deref().unwrap_or_default();
    // A package is named by its directory: `/app/node_modules/@img/sharp` matches by that path, by `@img/sharp` and by
    // `sharp`.
    let below = ["node_modules/", "site-packages/", "dist-packages/"];
    let package = below.iter().find_map(|directory| group.rsplit_once(directory)).map_or(group, |(_, name)| name);
    let last = group.rsplit('/').next().unwrap_or(group);
    ignore.code.is_none_or(|code| code == finding.code)
        && ignore.path.as_ref().is_none_or(|glob| finding.path.as_deref().is_some_and(|path| glob.is_match(path)))
        && ignore.image.as_ref().is_none_or(|glob| glob.is_match(image) || glob.is_match(&subject))
        && ignore
            .package
            .as_ref()
            .is_none_or(|glob| !group.is_empty() && [group, package, last].iter().any(|name| glob.is_match(name)))
}

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;
