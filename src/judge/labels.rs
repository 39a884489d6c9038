//! Compares what the index promises, what the config declares and what the files are.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::judge::code::{Code, Severity};
use crate::judge::facts::programs::{Fit, Programs};
use crate::judge::finding::Finding;
use crate::platform::{Arch, Platform, Target};

/// How labels and files agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Agreement {
    Fits,
    /// Index and config name different platforms; the files fit the one that nodes pull by.
    MetadataDisagrees,
    /// Some programs are for another architecture, others for this one.
    Mixed,
    /// The files agree with one another and with one label, but not with the platform they are published for.
    Mislabelled,
    /// Every program is for an architecture that no label names.
    WhollyForeign,
    /// Nothing to compare.
    NoPrograms,
}

impl Agreement {
    pub fn word(self) -> &'static str {
        match self {
            Agreement::Fits => "fits",
            Agreement::MetadataDisagrees => "metadata-disagrees",
            Agreement::Mixed => "mixed",
            Agreement::Mislabelled => "mislabelled",
            Agreement::WhollyForeign => "wholly-another-architecture",
            Agreement::NoPrograms => "no-programs",
        }
    }
}

/// Labels of one image: what its index entry promises and what its config declares.
#[derive(Clone, Copy, Debug)]
pub struct Labels<'a> {
    pub promised: Option<&'a Platform>,
    pub declared: Option<&'a Platform>,
}

impl<'a> Labels<'a> {
    /// The platform that nodes pull it by: the index's entry if there is one, else the config's.
    pub fn published(&self) -> Option<&'a Platform> {
        self.promised.or(self.declared)
    }

    fn disagree(&self) -> Option<(&'a Platform, &'a Platform)> {
        let (promised, declared) = (self.promised?, self.declared?);
        let same = promised.os == declared.os && promised.architecture == declared.architecture;
        // A variant that only one of them names is not a contradiction.
        let variants = promised.variant.is_some() && declared.variant.is_some() && promised.variant != declared.variant;
        (!same || variants).then_some((promised, declared))
    }
}

/// `foreign`: number of foreign files that are not there on purpose.
pub fn compare(
    labels: Labels<'_>,
    target: &Target,
    programs: &Programs<'_>,
    foreign: usize,
) -> (Agreement, Option<Finding>) {
    let usable = programs.runnable().filter(|program| program.fit < Fit::Foreign).count();
    let disagreement = labels.disagree();
    if usable == 0 && foreign == 0 {
        return (Agreement::NoPrograms, disagreement.map(|(promised, declared)| metadata_finding(promised, declared)));
    }
    if usable == 0 {
        let archs = programs.count();
        let is_all = |platform: &Platform| archs.keys().all(|arch| platform.arch() == Some(*arch));
        // The files match the published platform; only the target differs.
        if disagreement.is_none() && labels.published().is_some_and(is_all) {
            return (Agreement::Fits, None);
        }
        return match disagreement {
            Some((promised, declared)) if is_all(declared) => {
                (Agreement::Mislabelled, Some(mislabelled(promised, declared)))
            }
            _ => (Agreement::WhollyForeign, Some(wholly_foreign(labels, target, &archs))),
        };
    }
    match disagreement {
        Some((promised, declared)) => {
            let agreement = if foreign > 0 { Agreement::Mixed } else { Agreement::MetadataDisagrees };
            (agreement, Some(metadata_finding(promised, declared)))
        }
        None if foreign > 0 => (Agreement::Mixed, None),
        None => (Agreement::Fits, wrong_label(labels, target, programs)),
    }
}

/// An image whose label differs from all of its files, scanned for a target that the files fit. The label selects an
/// index entry, so this only happens for an image without an index.
fn wrong_label(labels: Labels<'_>, target: &Target, programs: &Programs<'_>) -> Option<Finding> {
    let label = labels.published().filter(|label| label.os == "linux")?;
    let (named, here) = (label.arch()?, target.node.arch);
    let is_here = |arch: &Arch| *arch == here;
    // An emulated or 32-bit program matches its label.
    if named == here || !programs.count().keys().all(is_here) {
        return None;
    }
    let message = format!(
        "labelled {label}, but every program in it is for {}: it runs here, but `docker run --platform linux/{here}` \
         refuses it, and nodes of {label} pull it and cannot run it",
        here.name()
    );
    let mut finding = Finding::new(Code::Mislabelled, message)
        .is(format!("programs for {}", here.name()), label.to_string())
        .severity(Severity::Warning);
    finding.hint = vec![format!("publish it with its own label: docker buildx build --platform linux/{here}")];
    Some(finding)
}

fn metadata_finding(promised: &Platform, declared: &Platform) -> Finding {
    let message = format!("the index promises {promised}, the config declares {declared}");
    Finding::new(Code::MetadataDisagrees, message).is(declared.to_string(), promised.to_string())
}

fn mislabelled(promised: &Platform, declared: &Platform) -> Finding {
    let message = format!("published as {promised}, but the config and every program are for {declared}");
    let mut finding = Finding::new(Code::Mislabelled, message).is(declared.to_string(), promised.to_string());
    finding.hint.push(format!("imgarch rebuild IMAGE --platform {promised}"));
    finding
}

fn wholly_foreign(labels: Labels<'_>, target: &Target, archs: &BTreeMap<Arch, usize>) -> Finding {
    let total: usize = archs.values().sum();
    let names: Vec<&str> = archs.keys().map(|arch| arch.name()).collect();
    let programs = if total == 1 { "the only program is".to_string() } else { format!("all {total} programs are") };
    let wanted = labels.published().unwrap_or(&target.platform);
    let label =
        if labels.published().is_some() { format!("published as {wanted}, but") } else { format!("not for {wanted}:") };
    let message = format!("{label} {programs} {}", names.join(" or "));
    let expected = wanted.arch().map_or("", |arch| arch.name());
    let mut finding = Finding::new(Code::WhollyAnotherArchitecture, message).is(names.join(", "), expected);
    finding.hint.push(format!("imgarch rebuild IMAGE --platform {wanted}"));
    finding
}
