//! Findings on single foreign programs and libraries, by how they are reached.

use crate::judge::code::{Code, Severity};
use crate::judge::entry::article;
use crate::judge::facts::programs::{Fit, JudgedProgram};
use crate::judge::facts::purpose::{self, PurposeRule};
use crate::judge::facts::reach::{NamedWhat, ReachRoute};
use crate::judge::facts::runtimes::{RuntimeKind, is_library};
use crate::judge::facts::siblings::{self, Siblings};
use crate::judge::facts::tokens;
use crate::judge::files::{FileRuleInput, foreign, purposeful, suspect};
use crate::judge::finding::Finding;
use crate::judge::rules::{FileFindings, natives};

/// Judges a program that this platform does not run.
pub fn judge(files: &FileRuleInput<'_>, siblings: &Siblings, program: &JudgedProgram<'_>, result: &mut FileFindings) {
    let route = files.reach.route(program);
    // Files that the chain or PATH executes, or that are loaded because nothing else fits, are never excused.
    let is_exempt = matches!(
        route,
        ReachRoute::Chain | ReachRoute::Called { .. } | ReachRoute::Path { .. } | ReachRoute::Needed { .. }
    );
    let suspect = suspect(program);
    let is_named = matches!(route, ReachRoute::Named { what: NamedWhat::File, .. });
    // A script can try the programs for several platforms, or choose among them in a way that was not followed.
    let is_tried = matches!(route, ReachRoute::Chain | ReachRoute::Called { .. });
    let is_tried = is_tried && files.reach.may_be_spared(&program.path);
    let is_excusing = |rule: &PurposeRule| is_tried && rule.name == purpose::SIBLING;
    let rule = purpose::purpose(&suspect, siblings, files.rules_off);
    result.doubles.extend(rule.filter(|rule| rule.name == purpose::SIBLING).map(|_| program.path.clone()));
    let rule = rule
        .filter(|rule| !is_exempt || !program.is_runnable() || is_excusing(rule))
        .filter(|rule| !is_named || purpose::HOLD_FOR_NAMED.contains(&rule.name));
    if let Some(rule) = rule {
        result.findings.push(on_purpose(files, program, rule));
        return;
    }
    result.foreign += 1;
    result.count(program);
    if files.is_reported(&program.path) {
        return;
    }
    let mut finding = reached(files, program, &route);
    if matches!(route, ReachRoute::Extension { .. }) {
        natives::soften(siblings, program, &mut finding);
    }
    // A package can have a file for each of many platforms; one finding covers all of them.
    let is_reported = |known: &Finding| {
        matches!(known.code, Code::PackageOtherPlatform | Code::ForeignExtension) && known.group == finding.group
    };
    if finding.code != Code::PackageOtherPlatform || !result.findings.iter().any(is_reported) {
        result.findings.push(finding);
    }
}

fn on_purpose(files: &FileRuleInput<'_>, program: &JudgedProgram<'_>, rule: &'static PurposeRule) -> Finding {
    let finding = foreign(files, program, Code::ForeignOnPurpose, "foreign on purpose".to_string());
    purposeful(finding, rule.name, rule.why)
}

/// The finding on a foreign file, by how it is reached. The findings of the entry cover files on the chain.
fn reached(files: &FileRuleInput<'_>, program: &JudgedProgram<'_>, route: &ReachRoute) -> Finding {
    let (arch, here) = (program.arch_name(), files.node.arch.name());
    let an_arch = format!("{} {arch}", article(&arch));
    let report = |code: Code, message: String| foreign(files, program, code, message);
    match route {
        // A script on the chain calls it and continues without it.
        ReachRoute::Chain => {
            let message = format!("a script on the entry chain calls {an_arch} program; this platform is {here}");
            let finding = report(Code::ForeignCalled, message);
            // `app-arm64 || app`: the name says so, and the script expects that it may not start.
            let is_expected =
                files.reach.may_be_spared(&program.path) && purpose::names_itself(&suspect(program), files.node.arch);
            if is_expected { finding.severity(Severity::Warning) } else { finding }
        }
        ReachRoute::Called { by } => {
            let mut finding =
                report(Code::ForeignCalled, format!("{by} calls {an_arch} program; this platform is {here}"));
            finding.reached_by.push(by.clone());
            finding
        }
        ReachRoute::Path { link } => {
            let mut finding =
                report(Code::ForeignOnPath, format!("a program on PATH is {arch}; this platform is {here}"));
            finding.reached_by.extend(link.clone());
            finding
        }
        ReachRoute::Named { by, .. } => {
            let message = format!("{} names this file, but it is {arch}; this platform is {here}", by.place);
            let mut finding = report(Code::ForeignConfigured, message).severity(files.named_severity(by));
            finding.reached_by = vec![by.place.clone(), program.path.clone()];
            finding
        }
        ReachRoute::Searched { by } => {
            let message = format!("a library in a directory that {by} names is {arch}; this platform is {here}");
            let mut finding = report(Code::ForeignConfigured, message);
            finding.reached_by = vec![by.clone(), program.path.clone()];
            finding
        }
        ReachRoute::Environment { root } => {
            let message = format!("a program of the environment {root} is {arch}; this platform is {here}");
            report(Code::ForeignOnPath, message)
        }
        ReachRoute::Needed { by } => {
            let message = format!("{by} needs this library, but it is {arch}; this platform is {here}");
            let mut finding = report(Code::ForeignLibrary, message);
            finding.reached_by = vec![by.clone(), program.path.clone()];
            finding
        }
        ReachRoute::Extension { .. } if names_platform(files, program) => package(files, program),
        ReachRoute::Package if names_platform(files, program) => package(files, program).severity(Severity::Warning),
        ReachRoute::Extension { runtime } => {
            let message = match program.fit {
                // The node runs such programs, but the runtime is not one.
                Fit::Compat | Fit::PerhapsCompat => {
                    format!("a module of {runtime} is {arch}; the image's {runtime} is {here} and cannot load it")
                }
                Fit::Native | Fit::Emulated | Fit::Foreign | Fit::NoLinux => {
                    format!("a module of {runtime} is {arch}; this platform is {here}")
                }
            };
            let mut finding = report(Code::ForeignExtension, message);
            finding.reached_by.extend(files.interpreter(*runtime));
            finding.reached_by.push(program.path.clone());
            // Their configuration names every module that they load.
            let is_configured =
                matches!(runtime, RuntimeKind::Php | RuntimeKind::Apache | RuntimeKind::Nginx | RuntimeKind::Redis);
            let is_unnamed = is_configured && !files.reach.names_module(&program.path);
            if is_unnamed || natives::has_source(files, program) {
                finding.severity(Severity::Warning)
            } else {
                finding
            }
        }
        ReachRoute::Package => {
            let message = format!("a package's native part is {arch}; this platform is {here}");
            report(Code::ForeignExtension, message).severity(Severity::Warning)
        }
        ReachRoute::Loose => report(Code::ForeignFile, format!("{an_arch} file in an image for {here}")),
    }
}

/// Whether the directory of a package's file, or the package's name, states its platform:
/// `@rollup/rollup-linux-x64-gnu`, `prebuilds/linux-x64/x.node`, `gems/nokogiri-1.15-x86_64-linux`. Such packages look
/// for their own build first. CPython's modules state it in their file names, and each is looked up separately.
fn names_platform(files: &FileRuleInput<'_>, program: &JudgedProgram<'_>) -> bool {
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

/// A package that is only installed for another platform.
fn package(files: &FileRuleInput<'_>, program: &JudgedProgram<'_>) -> Finding {
    let here = files.node.arch.name();
    let arch = program.arch_name();
    let own_name =
        siblings::npm_package(&program.path).filter(|(name, _)| tokens::read(name).is_some_and(|p| p.arch.is_some()));
    let message = match own_name {
        Some((name, _)) => format!("the package {name} is for {arch}; its build for {here} is not installed"),
        None => format!("a package has native parts for other platforms ({arch}), but none for {here}"),
    };
    let finding = foreign(files, program, Code::PackageOtherPlatform, message);
    // A package's tool for some platforms only runs on demand; a file that is loaded is a module.
    let is_tool =
        own_name.is_none() && program.is_executable() && !is_library(&program.path) && !program.path.ends_with(".node");
    if is_tool { finding.severity(Severity::Warning) } else { finding }
}
