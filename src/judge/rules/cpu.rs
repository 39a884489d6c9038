//! Modules that an installed runtime loads later, and their libraries, if the node's CPU cannot execute their code.

use std::collections::BTreeMap;

use crate::exec::cpu::code::{Lacking, UNSEARCHED, is_undecided, lacking};
use crate::judge::code::{Code, Severity};
use crate::judge::facts::programs::{Fit, JudgedProgram};
use crate::judge::facts::reach::{NamedWhat, ReachRoute};
use crate::judge::files::{FileRuleInput, foreign};
use crate::judge::finding::Finding;
use crate::judge::rules::modules::ModulePackages;
use crate::platform::{Arch, CpuFeature, Fact};

/// A package that is installed in several builds and prefers the one for old CPUs if it is installed.
struct BuildChoice {
    /// A part of every build's path.
    builds: &'static str,
    /// A part of the path of the build for old CPUs.
    fallback: &'static str,
}

/// Source: polars 2.1, `polars/_plr.py`: it tries `_polars_runtime_compat` before the other builds.
const CHOICES: &[BuildChoice] = &[BuildChoice { builds: "/_polars_runtime_", fallback: "/_polars_runtime_compat/" }];

/// Starts of the words after a module's name that mark it as the build for a CPU with a feature.
const CPU_WORDS: &[&str] = &["avx", "sse4", "fma", "neon", "sve", "haswell", "skylake", "icelake", "sapphirerapids"];

/// A module that asks the CPU itself when it is imported, and raises an error where the feature is missing.
struct OwnCheck {
    /// The end of its path.
    file: &'static str,
    arch: Arch,
    feature: CpuFeature,
}

/// Source: jaxlib's `cpu_feature_guard.c`, with the flags that its wheels are built with.
const OWN_CHECKS: &[OwnCheck] =
    &[OwnCheck { file: "/jaxlib/cpu_feature_guard.so", arch: Arch::Amd64, feature: CpuFeature::Avx }];

/// One finding for each file that a runtime's module loads and whose code needs a feature that the node's CPU lacks.
pub fn judge<'a>(files: &FileRuleInput<'a>, packages: &mut ModulePackages<'a>) -> Vec<Finding> {
    let is_searched = |program: &JudgedProgram<'_>| program.elf.code.is_some();
    if !files.programs.all.iter().any(is_searched) {
        return Vec::new();
    }
    let mut found: BTreeMap<&str, Finding> = BTreeMap::new();
    for module in files.programs.all.iter().filter(|program| matches!(program.fit, Fit::Native)) {
        let by = match files.reach.route(module) {
            ReachRoute::Extension { runtime } => format!("a module of {runtime}"),
            ReachRoute::Named { by, what: NamedWhat::File } => by.place.clone(),
            _ => continue,
        };
        if files.reach.is_chain(&module.path) || chooses(files, module) {
            continue;
        }
        if let Some(check) = refused(files, module) {
            found.entry(&module.path).or_insert_with(|| refusal(files, &by, module, check));
            continue;
        }
        for object in files.libraries.closure(module) {
            let Some(needs) = object.elf.code.as_deref() else { continue };
            if files.is_reported(&object.path) || files.reach.is_chain(&object.path) {
                continue;
            }
            if let Some(lacking) = lacking(needs, files.node) {
                found.entry(&object.path).or_insert_with(|| finding(files, packages, (&by, module), object, &lacking));
            } else if is_undecided(needs, files.node) {
                found.entry(&object.path).or_insert_with(|| undecided(files, &by, object));
            }
        }
    }
    found.into_values().collect()
}

/// The same module for every CPU, if `path` is named as a build for some: `_swigfaiss_avx2.so` next to `_swigfaiss.so`.
/// The package loads the one that the CPU runs.
fn sibling(path: &str) -> Option<String> {
    let name = path.rfind('/').map_or(0, |slash| slash + 1);
    let end = path[name..].find('.').map_or(path.len(), |dot| name + dot);
    let mut words = path[name..end].match_indices(['_', '-']).map(|(at, _)| name + at);
    let cpu = words.find(|at| CPU_WORDS.iter().any(|word| path[at + 1..end].starts_with(word)))?;
    (cpu > name).then(|| format!("{}{}", &path[..cpu], &path[end..]))
}

fn chooses(files: &FileRuleInput<'_>, module: &JudgedProgram<'_>) -> bool {
    let sibling = sibling(&module.path);
    if sibling.is_some_and(|sibling| files.rootfs.resolve(sibling).is_ok()) {
        return true;
    }
    let has = |part: &str| files.programs.all.iter().any(|program| program.path.contains(part));
    CHOICES.iter().any(|choice| {
        module.path.contains(choice.builds) && !module.path.contains(choice.fallback) && has(choice.fallback)
    })
}

/// The check of a module that this node's CPU does not pass.
fn refused(files: &FileRuleInput<'_>, module: &JudgedProgram<'_>) -> Option<&'static OwnCheck> {
    let node = files.node;
    let is_lacking = |check: &&OwnCheck| {
        module.path.ends_with(check.file)
            && node.arch == check.arch
            && node.features.has(check.feature, node.isa) == Fact::Known(false)
    };
    OWN_CHECKS.iter().find(is_lacking)
}

fn refusal(files: &FileRuleInput<'_>, by: &str, module: &JudgedProgram<'_>, check: &OwnCheck) -> Finding {
    let feature = check.feature;
    let message =
        format!("{by} refuses this CPU when it is imported: it was built with {feature}, which the CPU lacks");
    let mut finding = foreign(files, module, Code::ExtensionCpuLevel, message);
    finding.expected = feature.name().to_string();
    finding.reached_by = files.chain.to_vec();
    finding.reached_by.push(module.path.clone());
    finding
}

/// A module whose code was not searched to its end may never be loaded, so it is not a reason to fail.
fn undecided(files: &FileRuleInput<'_>, by: &str, object: &JudgedProgram<'_>) -> Finding {
    let message = format!("{by} loads code that may need a newer CPU: {UNSEARCHED}");
    foreign(files, object, Code::ExtensionCpuLevel, message).severity(Severity::Note)
}

fn finding<'a>(
    files: &FileRuleInput<'a>,
    packages: &mut ModulePackages<'a>,
    (by, module): (&str, &JudgedProgram<'_>),
    object: &JudgedProgram<'_>,
    lacking: &Lacking<'_>,
) -> Finding {
    let severity = match lacking.is_certain {
        // A package loads its plug-ins on request.
        _ if packages.has_plugin(files, module) => Severity::Note,
        true => Severity::Error,
        false => Severity::Warning,
    };
    let name = object.path.rsplit('/').next().unwrap_or(&object.path);
    let message = format!("{by} loads code that this CPU cannot execute: {}", lacking.text(name, files.node));
    let mut finding = foreign(files, object, Code::ExtensionCpuLevel, message).severity(severity);
    finding.expected = lacking.feature.name().to_string();
    finding.reached_by = files.chain.to_vec();
    if module.path != object.path {
        finding.reached_by.push(module.path.clone());
    }
    finding.reached_by.push(object.path.clone());
    finding
}

#[cfg(test)]
mod tests {
    use super::sibling;

    #[test]
    fn a_build_for_some_cpus_has_a_sibling_for_all() {
        // faiss-cpu 1.7.4: `faiss/loader.py` imports the second if the CPU has AVX2.
        let check = |path: &str, expected: Option<&str>| assert_eq!(sibling(path).as_deref(), expected, "{path}");
        check("/faiss/_swigfaiss_avx2.cpython-311.so", Some("/faiss/_swigfaiss.cpython-311.so"));
        check("/faiss/_swigfaiss_avx512_spr.so", Some("/faiss/_swigfaiss.so"));
        check("/lib/libggml-cpu-haswell.so", Some("/lib/libggml-cpu.so"));
        check("/faiss/_swigfaiss.cpython-311.so", None);
        check("/x/_avx2.so", None);
        check("/x_avx2/module.so", None);
    }
}
