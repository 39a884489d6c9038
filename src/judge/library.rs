//! Finds the file that a missing library is about.

use crate::exec::{CauseKind, Link, Outcome, Trace};
use crate::image::{NodeId, RootFs};
use crate::inspect::FileKind;
use crate::judge::code::Code;
use crate::judge::facts::libraries::Libraries;
use crate::judge::facts::programs::{Fit, JudgedProgram, Programs};
use crate::judge::finding::Finding;
use crate::judge::rules::others;

/// A loader names a library by its soname. The file to replace is the one of that name that the loader skipped: one for
/// another architecture, else one that is not a library.
pub fn place_library(finding: &mut Finding, trace: &Trace, programs: &Programs<'_>, rootfs: &RootFs<FileKind>) {
    let Some(soname) = finding.path.clone().filter(|path| !path.contains('/')) else { return };
    let is_named = |program: &JudgedProgram<'_>| {
        let own = program.elf.dynamic.as_ref().and_then(|dynamic| dynamic.soname.as_deref());
        own == Some(&*soname) || program.name() == soname
    };
    let is_passed_over = |program: &&JudgedProgram<'_>| program.fit == Fit::Foreign && is_named(program);
    if let Some(program) = programs.all.iter().find(is_passed_over) {
        (finding.path, finding.layer) = (Some(program.path.clone()), Some(program.layer));
        return;
    }
    let named = rootfs.named(soname.as_bytes());
    let files = named.filter_map(|view| rootfs.resolve(String::from_utf8_lossy(&rootfs.path(view.id)).as_ref()).ok());
    // Of texts and other data, layers keep no facts.
    let is_refused = matches!(&trace.outcome, Outcome::Fails { cause, .. } | Outcome::Dies { cause, .. } if cause.kind == CauseKind::BrokenLibrary);
    let no_library = |id: &NodeId| match rootfs.view(*id).fact {
        Some(fact) => others::not_a_library(fact),
        None => is_refused.then(|| "not an ELF file".to_string()),
    };
    if let Some((id, is)) = files.filter_map(|id| Some((id, no_library(&id)?))).next() {
        finding.path = Some(String::from_utf8_lossy(&rootfs.path(id)).into_owned());
        finding.layer = Some(rootfs.view(id).layer);
        finding.is = is;
        finding.expected = "a library".to_string();
    }
}

/// A library that is missing entirely is reported on the layer of the program or library that needs it.
pub fn place_need(
    finding: &mut Finding,
    (trace, env): (&Trace, &[String]),
    libraries: &Libraries<'_>,
    programs: &Programs<'_>,
) {
    let is_absent = finding.code == Code::EntrypointMissingLibrary;
    let Some(name) = finding.path.clone().filter(|path| is_absent && !path.contains('/')) else { return };
    let program = trace.steps.iter().rfind(|step| step.link != Link::Loader).and_then(|step| step.path.as_deref());
    let Some(program) = program.and_then(|path| programs.at(path)) else { return };
    let words =
        env.iter().filter_map(|line| line.strip_prefix("LD_PRELOAD=")).flat_map(|value| value.split([':', ' ']));
    let preloaded = words.filter_map(|word| programs.at(word));
    let needing = std::iter::once(program).chain(preloaded).find_map(|object| libraries.needing(object, &name));
    finding.layer = Some(needing.unwrap_or(program).layer);
}
