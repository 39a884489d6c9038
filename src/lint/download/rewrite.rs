//! Rewrites architecture names: finds the spelling for other architectures, and rewrites a download as a whole or not
//! at all.

use std::collections::BTreeMap;

use super::super::dockerfile::{Dockerfile, RunStep};
use super::super::finding::{Edit, Fix, LintFinding, Safety};
use crate::platform::Arch;
use crate::platform::word::{self, Spelling};

/// A finding and the names of its files.
pub struct NamedFinding {
    pub finding: LintFinding,
    pub stems: Vec<String>,
}

/// Merges the rewrites of each download, so that all of its lines change together. Drops them if one of the lines has
/// no rewrite.
pub fn whole_downloads(found: Vec<NamedFinding>) -> Vec<LintFinding> {
    // The first finding of each name represents its group.
    let mut roots: Vec<usize> = (0..found.len()).collect();
    let root_of = |roots: &[usize], at: usize| {
        std::iter::successors(Some(at), |at| Some(roots[*at]).filter(|root| root != at)).last().unwrap_or(at)
    };
    let mut first: BTreeMap<&str, usize> = BTreeMap::new();
    for (at, named) in found.iter().enumerate() {
        for stem in &named.stems {
            let known = *first.entry(stem).or_insert(at);
            let (one, other) = (root_of(&roots, at), root_of(&roots, known));
            roots[one.max(other)] = one.min(other);
        }
    }
    let mut groups: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for at in 0..found.len() {
        groups.entry(root_of(&roots, at)).or_default().push(at);
    }
    let mut findings: Vec<LintFinding> = found.into_iter().map(|named| named.finding).collect();
    for members in groups.into_values() {
        if members.len() < 2 {
            continue;
        }
        let fixes: Option<Vec<&Fix>> = members.iter().map(|at| findings[*at].fix.as_ref()).collect();
        let whole = fixes.map(|fixes| {
            let mut edits: Vec<Edit> = fixes.iter().flat_map(|fix| fix.edits.iter().cloned()).collect();
            edits.sort();
            edits.dedup();
            (fixes.iter().map(|fix| fix.safety).max().unwrap_or(Safety::Unsafe), edits)
        });
        for at in members {
            findings[at].fix = findings[at].fix.take().and_then(|fix| {
                let (safety, edits) = whole.clone()?;
                Some(Fix { title: fix.title, safety, edits })
            });
        }
    }
    findings
}

/// Returns the shell variable for this spelling in a rewrite. `None` if TARGETARCH already has the spelling.
pub fn mapped_name(spelling: Spelling) -> Option<&'static str> {
    match spelling {
        Spelling::Oci => None,
        Spelling::Debian => Some("deb_arch"),
        Spelling::Uname => Some("arch"),
        Spelling::Triple => Some("triple_arch"),
        Spelling::Mixed => Some("release_arch"),
        Spelling::Node => Some("node_arch"),
        Spelling::Maven => Some("maven_arch"),
        Spelling::Conda => Some("conda_arch"),
        // It has no names for other architectures, so it is never mapped.
        Spelling::Bits => Some("bits"),
    }
}

/// Returns `name`, or a longer name if the file uses `name` for something other than a rewrite.
pub fn free_name(text: &str, name: &str) -> String {
    let is_used = |name: &str| {
        let setting = format!("{name}=");
        text.match_indices(&setting).map(|(at, found)| (at, at + found.len())).any(|(at, end)| {
            let is_whole = !text[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
            // A rewrite assigns it in an arm of `case`.
            is_whole
                && !(text[..at].ends_with(") ")
                    && text[end..].split_whitespace().next().is_some_and(|v| v.ends_with(";;")))
        })
    };
    let longer = ["", "target_", "image_", "built_"].iter().map(|prefix| format!("{prefix}{name}"));
    longer.into_iter().find(|name| !is_used(name)).unwrap_or_else(|| format!("imgarch_{name}"))
}

/// Returns help for replacing an architecture's name.
pub fn how_to_spell(spelling: Spelling, variable: &str) -> String {
    let names = |archs: &[Arch]| {
        let named =
            archs.iter().filter_map(|arch| Some(format!("{} is {}", arch.oci(), word::name_in(spelling, *arch)?)));
        format!("choose the name by {variable}: {} here", named.collect::<Vec<_>>().join(", "))
    };
    match spelling {
        Spelling::Oci => format!("use ${{{variable}}} in the name after `ARG {variable}`"),
        Spelling::Debian => names(&[Arch::Arm64, Arch::Arm, Arch::Ppc64le]),
        Spelling::Uname => names(&[Arch::Amd64, Arch::Arm64, Arch::Arm]),
        Spelling::Triple | Spelling::Mixed | Spelling::Node | Spelling::Maven | Spelling::Conda => {
            names(&[Arch::Amd64, Arch::Arm64])
        }
        Spelling::Bits => {
            format!("choose the file by {variable}; check how the project names the files for other architectures")
        }
    }
}

/// Inserts a statement at the start of a RUN that sets `into` from `variable`. `None` if no shell would read it, or if
/// no names are known.
pub fn mapping(run: &RunStep, spelling: Spelling, variable: &str, into: &str) -> Option<Edit> {
    let prologue = run.prologue?;
    let statement = word::case_statement(spelling, variable, into)?;
    Some(Edit::insert(prologue.at, statement + prologue.separator))
}

/// Inserts an `ARG name` line before a step, unless the stage already has one there.
pub fn declaration(file: &Dockerfile<'_>, stage: usize, index: usize, name: &str) -> Option<Edit> {
    let is_declared = file.variables_at(stage, index).contains_key(name);
    let step = &file.stages[stage].steps[index];
    let line = if step.is_onbuild { format!("ARG {name}\nONBUILD ") } else { format!("ARG {name}\n") };
    (!is_declared).then(|| Edit::insert(step.span.start, line))
}
