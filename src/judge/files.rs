//! Findings on single files: foreign programs and libraries by how they are reached, packages built for another
//! platform, and files on PATH that no kernel runs.

use std::collections::{BTreeMap, BTreeSet};

use super::code::{Code, Severity};
use super::finding::Finding;
use super::programs::{Fit, Program, Programs};
use super::purpose::{self, Siblings};
use super::reach::{Reach, Way};
use crate::image::{NodeKind, RootFs};
use crate::inspect::{FileKind, TextStart};
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
    let siblings = Siblings::of(files.programs);
    let mut result = FileFindings::default();
    for program in &files.programs.all {
        if program.is_runnable() && program.fit != Fit::Foreign {
            result.count(program);
        }
        match program.fit {
            Fit::Foreign | Fit::NoLinux => judge_foreign(files, &siblings, program, &mut result),
            Fit::Native | Fit::Compat => result.findings.extend(judge_libc(files, &siblings, program)),
            Fit::PerhapsCompat | Fit::Emulated => {}
        }
    }
    result.findings.extend(judge_path_files(files));
    result
}

fn judge_foreign(files: &Files<'_>, siblings: &Siblings, program: &Program<'_>, result: &mut FileFindings) {
    let way = files.reach.way(program);
    // What is executed from the chain or PATH is never excused, whatever its directory is called.
    let is_exempt = matches!(way, Way::Chain | Way::Called { .. } | Way::Path) && program.is_runnable();
    let rule = if is_exempt { None } else { purpose::purpose(program, siblings, files.rules_off) };
    if let Some(rule) = rule {
        let mut finding = foreign(files, program, Code::ForeignOnPurpose, "foreign on purpose".to_string());
        finding.purpose = Some((rule.name, rule.why.to_string()));
        finding.group = Some(rule.name.to_string());
        finding.hint.clear();
        result.findings.push(finding);
        return;
    }
    result.foreign += 1;
    result.count(program);
    if files.told.iter().any(|finding| finding.path.as_deref() == Some(program.path.as_str())) {
        return;
    }
    result.findings.extend(reached(files, program, &way));
}

/// The finding on a foreign file by its way. Files on the chain are the entry finding's.
fn reached(files: &Files<'_>, program: &Program<'_>, way: &Way) -> Option<Finding> {
    let arch = program.arch_name();
    let here = files.node.arch.name();
    let finding = match way {
        // A script on the chain calls it and goes on without it.
        Way::Chain => {
            let message = format!("a script on the entry chain calls an {arch} program; this platform is {here}");
            foreign(files, program, Code::ForeignCalled, message)
        }
        Way::Called { by } => {
            let mut finding = foreign(
                files,
                program,
                Code::ForeignCalled,
                format!("{by} calls an {arch} program; this platform is {here}"),
            );
            finding.reached_by.push(by.clone());
            finding
        }
        Way::Path => foreign(
            files,
            program,
            Code::ForeignOnPath,
            format!("a program on PATH is {arch}; this platform is {here}"),
        ),
        Way::Extension { .. } | Way::Package if is_bundled(program) => return bundled(files, program),
        Way::Extension { .. } | Way::Package if is_platform_package(program) => package(files, program),
        Way::Extension { runtime } => {
            let mut finding = foreign(
                files,
                program,
                Code::ForeignExtension,
                format!("a module of {runtime} is {arch}; this platform is {here}"),
            );
            let interpreter =
                files.reach.interpreter(runtime).filter(|path| !files.chain.iter().any(|step| step == path));
            finding.reached_by.extend(interpreter.map(str::to_string));
            finding
        }
        Way::Package => {
            let message = format!("a package's native part is {arch}; this platform is {here}");
            foreign(files, program, Code::ForeignExtension, message)
        }
        Way::Loose => foreign(files, program, Code::ForeignFile, format!("an {arch} file in an image for {here}")),
    };
    Some(finding)
}

fn foreign(files: &Files<'_>, program: &Program<'_>, code: Code, message: String) -> Finding {
    let mut finding =
        Finding::new(code, message).at(&program.path, program.layer).is(program.elf.describe(), files.node.arch.name());
    finding.group = group(&program.path);
    if matches!(code, Code::ForeignCalled | Code::ForeignExtension) {
        finding.reached_by = files.chain.to_vec();
    }
    finding
}

/// An npm package whose own name carries its platform: `@rollup/rollup-linux-x64-gnu`.
fn is_platform_package(program: &Program<'_>) -> bool {
    purpose::npm_package(&program.path)
        .is_some_and(|(name, _)| super::tokens::read(name).is_some_and(|platform| platform.arch.is_some()))
}

/// A package that ships a file for each of several platforms in one place, this platform not among them.
fn is_bundled(program: &Program<'_>) -> bool {
    ["/prebuilds/", "/runtimes/"].iter().any(|place| program.path.contains(place))
}

/// Such packages look for a build of their own first, and some fall back to code without native parts: nothing is proven.
fn bundled(files: &Files<'_>, program: &Program<'_>) -> Option<Finding> {
    let here = files.node.arch.name();
    let directory = purpose::npm_package(&program.path).map(|(_, end)| &program.path[..end]);
    let is_own_build = |other: &Program<'_>| {
        other.fit <= Fit::Compat
            && directory.is_some_and(|directory| other.path.strip_prefix(directory).is_some_and(is_build))
    };
    if files.programs.runnable().any(is_own_build) {
        return None;
    }
    let has_fallback =
        directory.is_some_and(|directory| files.rootfs.resolve(format!("{directory}/fallback.js")).is_ok());
    let severity = if has_fallback { Severity::Note } else { Severity::Warning };
    let message = format!("a package brings prebuilt parts for several platforms, and none for {here}");
    Some(foreign(files, program, Code::PackageOtherPlatform, message).severity(severity))
}

/// What node-gyp builds on the spot, which node-gyp-build and bindings take before anything prebuilt.
fn is_build(rest: &str) -> bool {
    rest.ends_with(".node") && ["/build/Release/", "/build/Debug/"].iter().any(|place| rest.starts_with(place))
}

fn package(files: &Files<'_>, program: &Program<'_>) -> Finding {
    let (name, _) = purpose::npm_package(&program.path).expect("only npm packages come here");
    let here = files.node.arch.name();
    let message = format!("the package {name} is for {}; its build for {here} is not installed", program.arch_name());
    foreign(files, program, Code::PackageOtherPlatform, message)
}

/// A native module of this architecture that wants a C library which the image does not have, with no sibling for the
/// one it has.
fn judge_libc(files: &Files<'_>, siblings: &Siblings, program: &Program<'_>) -> Option<Finding> {
    let is_module = matches!(files.reach.way(program), Way::Extension { .. } | Way::Package);
    if !is_module || purpose::fits_libc(program, &files.programs.libcs) || siblings.serve(program) {
        return None;
    }
    let is_data = purpose::purpose(program, siblings, files.rules_off).is_some();
    let libc = program.libc()?;
    let wanted = format!("{libc:?}").to_lowercase();
    let message = format!("a native module is built for {wanted}, which this image does not have");
    (!is_data).then(|| {
        foreign(files, program, Code::PackageOtherPlatform, message)
            .is(format!("{}, for {wanted}", program.elf.describe()), "this image's C library")
    })
}

/// What belongs together: the npm or Python package, else the directory.
fn group(path: &str) -> Option<String> {
    if let Some((_, end)) = purpose::npm_package(path) {
        return Some(path[..end].to_string());
    }
    for place in ["/site-packages/", "/dist-packages/"] {
        if let Some(at) = path.find(place) {
            let rest = &path[at + place.len()..];
            let package = rest.split('/').next().unwrap_or(rest);
            // `numpy.libs` belongs to numpy.
            let package = package.strip_suffix(".libs").unwrap_or(package);
            return Some(format!("{}{package}", &path[..at + place.len()]));
        }
    }
    path.rsplit_once('/')
        .map(|(directory, _)| if directory.is_empty() { "/".to_string() } else { directory.to_string() })
}

/// Executable files on PATH that are no program at all.
fn judge_path_files(files: &Files<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for view in files.rootfs.all().filter(|view| view.kind == NodeKind::File && view.mode & 0o111 != 0) {
        let Some(is) = view.fact.and_then(not_a_program) else { continue };
        let path = String::from_utf8_lossy(&files.rootfs.path(view.id)).into_owned();
        if files.reach.is_on_path(&path) && !files.reach.is_chain(&path) {
            let message = format!("on PATH and executable, but it is {is}");
            findings.push(
                Finding::new(Code::BadProgramOnPath, message).at(&path, view.layer).is(is, "a program or a script"),
            );
        }
    }
    findings
}

/// What a file is in words, where no Linux kernel runs it. A text without a shebang is no fault by itself: shells run it.
pub fn not_a_program(kind: &FileKind) -> Option<String> {
    let is = match kind {
        FileKind::Empty => "an empty file".to_string(),
        FileKind::MachO(macho) => format!("a macOS program ({})", macho.cpus.join(", ")),
        FileKind::Pe(_) => "a Windows program".to_string(),
        FileKind::LfsPointer => "a Git LFS pointer, not the file itself".to_string(),
        FileKind::Html => "an HTML page".to_string(),
        FileKind::Packed(what) => format!("a {} archive", format!("{what:?}").to_lowercase()),
        FileKind::JavaClass => "a Java class".to_string(),
        FileKind::Text(TextStart::BomShebang) => "a script with a byte order mark before its #!".to_string(),
        FileKind::Text(TextStart::BlankShebang) => "a script with blanks before its #!".to_string(),
        FileKind::Text(TextStart::ErrorPage(line)) => format!("an error page: {line:?}"),
        FileKind::Script(script) => match &script.shebang {
            Ok(shebang) if shebang.interpreter.ends_with(b"\r") => "a script with CRLF line ends".to_string(),
            _ => return None,
        },
        _ => return None,
    };
    Some(is)
}

/// The worst severity among findings.
pub fn worst(findings: &[Finding]) -> Option<Severity> {
    findings.iter().map(|finding| finding.severity).max()
}
