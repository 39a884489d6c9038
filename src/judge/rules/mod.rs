//! Rules on the files of an image: each file is judged by the rule for its kind.

mod archived;
mod archives;
mod beams;
mod cpu;
mod dlopened;
mod foreign;
mod gems;
mod layers;
mod loaded;
mod modules;
mod natives;
pub mod others;
mod packages;
mod prebuilds;
mod stranded;
mod unbuilt;
mod undefined;
mod versions;

use std::collections::{BTreeMap, BTreeSet};

use crate::judge::facts::installed;
use crate::judge::facts::programs::{Fit, JudgedProgram};
use crate::judge::facts::runtimes::RuntimeKind;
use crate::judge::facts::siblings::Siblings;
use crate::judge::files::FileRuleInput;
use crate::judge::finding::Finding;
use crate::platform::Arch;

/// The result of the rules on files.
#[derive(Default)]
pub struct FileFindings {
    pub findings: Vec<Finding>,
    /// Foreign programs and libraries that are not there on purpose.
    pub foreign: usize,
    /// Number of programs and libraries of each architecture, without those that are there on purpose.
    pub architectures: BTreeMap<Arch, usize>,
    /// Foreign programs of which the same exists for this platform.
    pub doubles: BTreeSet<String>,
}

impl FileFindings {
    fn count(&mut self, program: &JudgedProgram<'_>) {
        if let Some(arch) = program.elf.arch() {
            *self.architectures.entry(arch).or_default() += 1;
        }
    }
}

/// Judges the layers, and every file except those on the chain, which have the entry's own findings.
pub fn judge(files: &FileRuleInput<'_>) -> FileFindings {
    let siblings = Siblings::from_rootfs(files.rootfs, files.programs, files.libraries, files.node.arch);
    let mut modules = modules::ModulePackages::default();
    let mut result = FileFindings::default();
    for program in &files.programs.all {
        if program.is_runnable() && program.fit != Fit::Foreign {
            result.count(program);
        }
        let fit = if natives::is_for_no_host(files, program) { Fit::Foreign } else { program.fit };
        match fit {
            Fit::Foreign | Fit::NoLinux => foreign::judge(files, &siblings, program, &mut result),
            Fit::Native | Fit::Compat => {
                result.findings.extend(natives::judge(files, &siblings, &mut modules, program))
            }
            Fit::PerhapsCompat | Fit::Emulated => {}
        }
    }
    result.findings.extend(others::judge(files, &siblings));
    result.findings.extend(archives::judge(files));
    result.findings.extend(archived::judge(files));
    result.findings.extend(cpu::judge(files, &mut modules));
    result.findings.extend(loaded::judge(files));
    result.findings.extend(prebuilds::elsewhere(files, &siblings));
    let has_python = files.reach.interpreter(RuntimeKind::Python).is_some();
    let installed = if has_python { installed::packages(files.rootfs) } else { Vec::new() };
    result.findings.extend(dlopened::judge(files, &installed));
    let gems = gems::unbuilt(files, &result.findings);
    result.findings.extend(gems);
    result.findings.extend(beams::judge(files));
    let packages = packages::judge(files, &siblings, &result.findings);
    result.findings.extend(packages);
    let unbuilt = unbuilt::judge(files, &siblings, &result.findings);
    result.findings.extend(unbuilt);
    let stranded = stranded::judge(files, &installed, &result.findings);
    result.findings.extend(stranded);
    result.findings.extend(layers::judge(files.rootfs));
    result
}

#[cfg(test)]
#[path = "files_tests.rs"]
mod tests;

#[cfg(test)]
mod archived_tests;

#[cfg(test)]
mod later_tests;

#[cfg(test)]
mod runtime_tests;

#[cfg(test)]
mod searched_tests;
