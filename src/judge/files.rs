//! Findings on single foreign programs and libraries, by how they are reached.

use std::collections::{BTreeMap, BTreeSet};

use crate::image::RootFs;
use crate::inspect::FileKind;
use crate::judge::code::{Code, Severity};
use crate::judge::entry::article;
use crate::judge::finding::Finding;
use crate::judge::programs::{Fit, Program, Programs};
use crate::judge::purpose::{self, Format, PurposeRule, Suspect};
use crate::judge::reach::{Reach, Way};
use crate::judge::siblings::{self, Siblings};
use crate::judge::{natives, others, tokens};
use crate::platform::{Arch, Node};

/// What the rules on files look at.
pub struct Files<'a> {
    pub rootfs: &'a RootFs<FileKind>,
    pub programs: &'a Programs<'a>,
    pub reach: &'a Reach,
    pub node: &'a Node,
    /// Names of purpose rules that the user switched off.
    pub rules_off: &'a BTreeSet<String>,
    /// `ENTRYPOINT ["app"] -> /usr/local/bin/app`, one word a step.
    pub chain: &'a [String],
    /// What was found on the start itself, which is not said twice.
    pub told: &'a [Finding],
}

/// What was found in the files.
#[derive(Default)]
pub struct FileFindings {
    pub findings: Vec<Finding>,
    /// Foreign programs and libraries that are not there on purpose.
    pub foreign: usize,
    /// How many programs and libraries there are of each architecture, those that are there on purpose left out.
    pub architectures: BTreeMap<Arch, usize>,
}

impl FileFindings {
    fn count(&mut self, program: &Program<'_>) {
        if let Some(arch) = program.elf.arch() {
            *self.architectures.entry(arch).or_default() += 1;
        }
    }
}

/// Judges every program and library but those on the chain, which the entry's own finding tells of.
pub fn judge_files(files: &Files<'_>) -> FileFindings {
    let siblings = Siblings::of(files.rootfs, files.programs, files.node.arch);
    let mut result = FileFindings::default();
    for program in &files.programs.all {
        if program.is_runnable() && program.fit != Fit::Foreign {
            result.count(program);
        }
        match program.fit {
            Fit::Foreign | Fit::NoLinux => judge_foreign(files, &siblings, program, &mut result),
            Fit::Native | Fit::Compat => result.findings.extend(natives::judge(files, &siblings, program)),
            Fit::PerhapsCompat | Fit::Emulated => {}
        }
    }
    result.findings.extend(others::judge(files, &siblings));
    result
}

fn judge_foreign(files: &Files<'_>, siblings: &Siblings, program: &Program<'_>, result: &mut FileFindings) {
    let way = files.reach.way(program);
    // What is executed from the chain or PATH, or loaded for want of another, is never excused.
    let is_exempt = matches!(way, Way::Chain | Way::Called { .. } | Way::Path { .. } | Way::Needed { .. });
    let suspect = suspect(program);
    let rule = purpose::purpose(&suspect, siblings, files.rules_off).filter(|_| !is_exempt || !program.is_runnable());
    if let Some(rule) = rule {
        result.findings.push(on_purpose(files, program, rule));
        return;
    }
    result.foreign += 1;
    result.count(program);
    if files.is_told(&program.path) {
        return;
    }
    let finding = reached(files, program, &way);
    // Of a package that brings a file for each of many platforms, one stands for all.
    let is_said = |known: &Finding| {
        matches!(known.code, Code::PackageOtherPlatform | Code::ForeignExtension) && known.group == finding.group
    };
    if finding.code != Code::PackageOtherPlatform || !result.findings.iter().any(is_said) {
        result.findings.push(finding);
    }
}

/// What the purpose rules ask of a program.
pub fn suspect<'a>(program: &'a Program<'a>) -> Suspect<'a> {
    Suspect { path: &program.path, platform: program.platform.as_ref(), format: Format::Elf(program) }
}

fn on_purpose(files: &Files<'_>, program: &Program<'_>, rule: &'static PurposeRule) -> Finding {
    let finding = foreign(files, program, Code::ForeignOnPurpose, "foreign on purpose".to_string());
    purposeful(finding, rule.name, rule.why)
}

/// Makes a finding the note that a file is foreign on purpose.
pub fn purposeful(mut finding: Finding, name: &'static str, why: &str) -> Finding {
    finding.purpose = Some((name, why.to_string()));
    finding.group = Some(name.to_string());
    finding.hint.clear();
    finding
}

/// The finding on a foreign file by its way. Files on the chain are the entry finding's.
fn reached(files: &Files<'_>, program: &Program<'_>, way: &Way) -> Finding {
    let (arch, here) = (program.arch_name(), files.node.arch.name());
    let an_arch = format!("{} {arch}", article(&arch));
    let say = |code: Code, message: String| foreign(files, program, code, message);
    match way {
        // A script on the chain calls it and goes on without it.
        Way::Chain => {
            let message = format!("a script on the entry chain calls {an_arch} program; this platform is {here}");
            say(Code::ForeignCalled, message)
        }
        Way::Called { by } => {
            let mut finding =
                say(Code::ForeignCalled, format!("{by} calls {an_arch} program; this platform is {here}"));
            finding.reached_by.push(by.clone());
            finding
        }
        Way::Path { link } => {
            let mut finding = say(Code::ForeignOnPath, format!("a program on PATH is {arch}; this platform is {here}"));
            finding.reached_by.extend(link.clone());
            finding
        }
        Way::Needed { by } => {
            let message = format!("{by} needs this library, and it is {arch}; this platform is {here}");
            let mut finding = say(Code::ForeignLibrary, message);
            finding.reached_by = vec![by.clone(), program.path.clone()];
            finding
        }
        Way::Extension { .. } if names_platform(files, program) => package(files, program),
        Way::Package if names_platform(files, program) => package(files, program).severity(Severity::Warning),
        Way::Extension { runtime } => {
            let message = format!("a module of {runtime} is {arch}; this platform is {here}");
            let mut finding = say(Code::ForeignExtension, message);
            finding.reached_by.extend(files.interpreter(runtime));
            finding.reached_by.push(program.path.clone());
            finding
        }
        Way::Package => {
            let message = format!("a package's native part is {arch}; this platform is {here}");
            say(Code::ForeignExtension, message).severity(Severity::Warning)
        }
        Way::Loose => say(Code::ForeignFile, format!("{an_arch} file in an image for {here}")),
    }
}

impl Files<'_> {
    /// Whether the start's own findings speak of this file already.
    pub fn is_told(&self, path: &str) -> bool {
        self.told.iter().any(|finding| finding.path.as_deref() == Some(path))
    }

    /// The host of a run-time, unless the chain leads over it anyway.
    pub fn interpreter(&self, runtime: &str) -> Option<String> {
        let host = self.reach.interpreter(runtime)?;
        (!self.chain.iter().any(|step| step == host)).then(|| host.to_string())
    }
}

/// A finding on a program as it stands in the tree.
pub fn foreign(files: &Files<'_>, program: &Program<'_>, code: Code, message: String) -> Finding {
    let mut finding =
        Finding::new(code, message).at(&program.path, program.layer).is(program.elf.describe(), files.node.arch.name());
    finding.group = group(&program.path);
    if matches!(code, Code::ForeignCalled | Code::ForeignExtension) {
        finding.reached_by = files.chain.to_vec();
    }
    finding
}

/// Whether a file of a package says by its directory, or its package's name, for which platform it is:
/// `@rollup/rollup-linux-x64-gnu`, `prebuilds/linux-x64/x.node`, `gems/nokogiri-1.15-x86_64-linux`. Such packages look
/// for a build of their own first. CPython's modules say it in their file's name, and each is looked for by itself.
fn names_platform(files: &Files<'_>, program: &Program<'_>) -> bool {
    let package =
        siblings::package_directory(&program.path).filter(|_| siblings::python_package(&program.path).is_none());
    let from = package.map_or_else(
        || program.path.find("/runtimes/").or_else(|| program.path.find("/gems/")),
        |package| package.rfind("/node_modules/"),
    );
    let Some(directories) = from.and_then(|from| Some(&program.path[from..program.path.rfind('/')?])) else {
        return false;
    };
    purpose::names_itself(&suspect(program), files.node.arch)
        && tokens::read(directories).is_some_and(|platform| platform.arch.is_some())
}

/// A package that was installed for another platform only.
fn package(files: &Files<'_>, program: &Program<'_>) -> Finding {
    let here = files.node.arch.name();
    let arch = program.arch_name();
    let own_name =
        siblings::npm_package(&program.path).filter(|(name, _)| tokens::read(name).is_some_and(|p| p.arch.is_some()));
    let message = match own_name {
        Some((name, _)) => format!("the package {name} is for {arch}; its build for {here} is not installed"),
        None => format!("a package brings native parts for other platforms ({arch}), and none for {here}"),
    };
    foreign(files, program, Code::PackageOtherPlatform, message)
}

/// What belongs together: the npm or Python package, else the directory.
pub fn group(path: &str) -> Option<String> {
    if let Some(package) = siblings::package_directory(path) {
        return Some(package.to_string());
    }
    let (directory, _) = path.rsplit_once('/')?;
    Some(if directory.is_empty() { "/".to_string() } else { directory.to_string() })
}

/// The worst severity among findings.
pub fn worst(findings: &[Finding]) -> Option<Severity> {
    findings.iter().map(|finding| finding.severity).max()
}

#[cfg(test)]
#[path = "files_tests.rs"]
mod tests;
