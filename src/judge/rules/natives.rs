//! Programs and modules of the right architecture that still fail: built for another C library, for a missing loader,
//! or with a name that their runtime does not look for.

use crate::image::ResolveError;
use crate::judge::code::{Code, Severity};
use crate::judge::facts::libraries::Lack;
use crate::judge::facts::musl::{OnMusl, on_musl};
use crate::judge::facts::named::NamedBy;
use crate::judge::facts::programs::{Fit, JudgedProgram};
use crate::judge::facts::python::PythonTag;
use crate::judge::facts::reach::{NamedWhat, ReachRoute};
use crate::judge::facts::runtimes::is_library;
use crate::judge::facts::siblings::{Siblings, fits_libc};
use crate::judge::facts::tokens::Libc;
use crate::judge::facts::{purpose, tokens};
use crate::judge::files::{FileRuleInput, foreign, suspect};
use crate::judge::finding::Finding;
use crate::judge::rules::modules::{self, ModulePackages};
use crate::judge::rules::{gems, prebuilds, undefined, versions};

/// The program in which Playwright for Python runs. Source: `playwright/_impl/_driver.py`.
const PLAYWRIGHT: &str = "/playwright/driver/node";

/// The cure of a package for another version of Python.
pub const PYTHON_HINT: &str =
    "install the package with the Python that the final stage has, or use one version of Python in all stages";

/// The finding on a program or module of this architecture, if there is one.
pub fn judge<'a>(
    files: &FileRuleInput<'a>,
    siblings: &Siblings,
    packages: &mut ModulePackages<'a>,
    program: &JudgedProgram<'_>,
) -> Option<Finding> {
    if !program.is_runnable() || files.is_reported(&program.path) || files.reach.is_chain(&program.path) {
        return None;
    }
    let route = files.reach.route(program);
    let finding = match &route {
        &ReachRoute::Extension { runtime } => libc(files, siblings, program)
            .or_else(|| suffix(files, program))
            .or_else(|| version(files, program))
            .or_else(|| prebuilds::judge(files, siblings, program))
            .or_else(|| versions::judge(files, program, runtime))
            .or_else(|| gems::judge(files, program, runtime))
            .or_else(|| undefined::judge(files, program, runtime))
            .or_else(|| {
                // Builds for another C library are often next to the one for this image's.
                let is_spare = !fits_libc(program, &files.programs.libcs) && siblings.serve(&program.path);
                let is_spare = is_spare || siblings.has_engine(&program.path);
                modules::judge(files, packages, program, runtime).filter(|_| is_module(program) && !is_spare)
            })
            .or_else(|| started(files, program, &route)),
        ReachRoute::Package => libc(files, siblings, program).or_else(|| suffix(files, program)),
        ReachRoute::Named { by, what } if is_module(program) => {
            let module = || {
                let (runtime, _) = files.reach.module_of(&program.path).filter(|(_, is_installed)| *is_installed)?;
                let version = versions::judge(files, program, runtime);
                version.or_else(|| modules::judge(files, packages, program, runtime))
            };
            let library = || named_library(files, program, by, *what);
            libc(files, siblings, program).or_else(module).or_else(library)
        }
        ReachRoute::Named { .. } if !program.is_executable() => libc(files, siblings, program),
        ReachRoute::Loose if files.reach.java_library(&program.path).is_some() => java_library(files, program),
        _ => no_loader(files, program, &route).or_else(|| started(files, program, &route)),
    }?;
    let is_data = purpose::purpose(&suspect(program), siblings, files.rules_off).is_some();
    let mut finding = finding;
    if matches!(route, ReachRoute::Extension { .. }) {
        soften(siblings, program, &mut finding);
    }
    let finding = if route == ReachRoute::Package { finding.severity(Severity::Warning) } else { finding };
    (!is_data || matches!(route, ReachRoute::Path { .. } | ReachRoute::Called { .. })).then_some(finding)
}

/// Makes a finding on a module with an alternative a warning: its package works, but more slowly. The alternative is
/// Python or JavaScript.
pub fn soften(siblings: &Siblings, program: &JudgedProgram<'_>, finding: &mut Finding) {
    let path = &program.path;
    let has_other = siblings.has_alternative(path) || path.ends_with(".node") && siblings.is_optional(path);
    if finding.severity == Severity::Error && has_other {
        finding.severity = Severity::Warning;
        finding.message.push_str("; its package continues without it, more slowly");
    }
}

/// Whether a module is for an architecture that the node runs, but no host of its runtime has: a 32-bit module of a
/// 64-bit runtime.
pub fn is_for_no_host(files: &FileRuleInput<'_>, program: &JudgedProgram<'_>) -> bool {
    if !matches!(program.fit, Fit::Compat | Fit::PerhapsCompat) || !is_module(program) || !program.is_runnable() {
        return false;
    }
    let runtime = files.reach.module_of(&program.path).filter(|(_, is_installed)| *is_installed);
    runtime.zip(program.elf.arch()).is_some_and(|((runtime, _), arch)| !files.reach.has_host(runtime, arch))
}

/// Whether a runtime loads the file; otherwise it is a program of a package.
fn is_module(program: &JudgedProgram<'_>) -> bool {
    is_library(&program.path) || program.path.ends_with(".node")
}

/// A module that needs a C library which the image does not have, without a sibling for the one it has.
fn libc(files: &FileRuleInput<'_>, siblings: &Siblings, program: &JudgedProgram<'_>) -> Option<Finding> {
    let is_served = siblings.serve(&program.path) || siblings.has_engine(&program.path);
    if fits_libc(program, &files.programs.libcs) || is_served {
        return None;
    }
    let wanted = format!("{:?}", program.libc()?).to_lowercase();
    // Packages that name their C library are chosen by it.
    let is_named = program.platform.as_ref().is_some_and(|platform| platform.libc.is_some());
    let is_for_musl = files.programs.libcs == [Libc::Musl] && !is_named;
    let message = match is_for_musl.then(|| on_musl(files.programs, files.libraries, program)) {
        Some(OnMusl::Loads) => return None,
        Some(OnMusl::Lacks(name)) => {
            format!("a native module is built for {wanted} and needs {name}, which this image's musl does not have")
        }
        Some(OnMusl::Unknown) | None => {
            format!("a native module is built for {wanted}, which this image does not have")
        }
    };
    let is = format!("{}, for {wanted}", program.elf.describe());
    let mut finding = foreign(files, program, Code::PackageOtherPlatform, message).is(is, "this image's C library");
    finding.hint = vec![
        "install it in a stage on the base image that it runs on: what is installed on Alpine is for musl, elsewhere for glibc"
            .to_string(),
    ];
    Some(finding)
}

/// `speed.cpython-311-x86_64-linux-gnu.so` on another machine: Python looks for its own suffix, `.abi3.so` and `.so`,
/// and never opens it. Source: CPython, `_PyImport_DynLoadFiletab`.
fn suffix(files: &FileRuleInput<'_>, program: &JudgedProgram<'_>) -> Option<Finding> {
    let (stem, rest) = program.name().split_once(".cpython-")?;
    let named = tokens::read(rest)?.arch.filter(|arch| *arch != files.node.arch)?;
    let directory = program.path.rsplit_once('/')?.0;
    let is_found = |other: &JudgedProgram<'_>| {
        let Some((place, name)) = other.path.rsplit_once('/') else { return false };
        let Some(rest) = name.strip_prefix(stem).filter(|_| place == directory && other.fit == program.fit) else {
            return false;
        };
        let is_own = rest.starts_with(".cpython-")
            && tokens::read(rest).is_some_and(|platform| platform.arch == Some(files.node.arch));
        matches!(rest, ".so" | ".abi3.so") || is_own
    };
    if files.programs.runnable().any(is_found) {
        return None;
    }
    let message = format!(
        "a module of Python is named for {}; Python on {} does not look for it",
        named.name(),
        files.node.arch.name()
    );
    Some(
        foreign(files, program, Code::PackageOtherPlatform, message)
            .is(format!("named for {}", named.name()), files.node.arch.name()),
    )
}

/// `speed.cpython-39-x86_64-linux-gnu.so` with only Python 3.11 installed: each interpreter looks for its own suffix,
/// `.abi3.so` and `.so`. A package with modules for several interpreters has one that fits.
fn version(files: &FileRuleInput<'_>, program: &JudgedProgram<'_>) -> Option<Finding> {
    let named = PythonTag::of_file(program.name()).filter(|tag| files.reach.lacks_python(tag))?;
    let (directory, name) = program.path.rsplit_once('/')?;
    let stem = name.split('.').next()?;
    let is_found = |other: &JudgedProgram<'_>| {
        let Some((place, name)) = other.path.rsplit_once('/') else { return false };
        let Some(rest) = name.strip_prefix(stem).filter(|_| place == directory && other.fit == program.fit) else {
            return false;
        };
        let own = PythonTag::of_file(name);
        matches!(rest, ".so" | ".abi3.so") || own.is_some_and(|tag| !files.reach.lacks_python(&tag))
    };
    if files.programs.runnable().any(is_found) {
        return None;
    }
    let message = format!("a module is built for {named}, which this image does not have");
    let finding = foreign(files, program, Code::PackageOtherPlatform, message);
    let mut finding = finding.is(format!("for {named}"), "this image's Python");
    finding.hint = vec![PYTHON_HINT.to_string()];
    Some(if has_source(files, program) { finding.severity(Severity::Warning) } else { finding })
}

/// Whether Python imports the source next to a module whose suffix is not its own: `x.py` next to
/// `x.cpython-311-aarch64-linux-gnu.so`. mypyc's shared library is only loaded by such modules.
/// Source: CPython's importlib, `FileFinder`; mypyc's documentation, "group_name".
pub fn has_source(files: &FileRuleInput<'_>, program: &JudgedProgram<'_>) -> bool {
    let source = program.path.split_once(".cpython-").filter(|(_, suffix)| !suffix.contains('/'));
    source.is_some_and(|(stem, _)| stem.ends_with("__mypyc") || files.rootfs.resolve(format!("{stem}.py")).is_ok())
}

/// A program that configuration or a script starts, or that the application put on PATH, whose libraries are not in the
/// image. The distribution's own programs are left out: its packages only recommend some libraries.
fn started(files: &FileRuleInput<'_>, program: &JudgedProgram<'_>, route: &ReachRoute) -> Option<Finding> {
    const DISTRIBUTION: [&str; 6] = ["/usr/bin/", "/usr/sbin/", "/bin/", "/sbin/", "/usr/lib/", "/usr/libexec/"];
    if !program.is_executable() || DISTRIBUTION.iter().any(|place| program.path.starts_with(place)) {
        return None;
    }
    let (what, severity) = match route {
        ReachRoute::Named { what: NamedWhat::File, by } => {
            (format!("the program that {} names", by.place), Severity::Error)
        }
        ReachRoute::Called { by } => (format!("the program that {by} calls"), Severity::Warning),
        ReachRoute::Path { .. } => ("a program on PATH".to_string(), Severity::Warning),
        ReachRoute::Extension { .. } if program.path.ends_with(PLAYWRIGHT) => {
            ("the Node.js that Playwright starts".to_string(), Severity::Error)
        }
        _ => return None,
    };
    let lack = modules::lack(files, program)?;
    let mut finding = modules::lacking(files, program, &lack, (Code::ProgramMissingLibrary, &what)).severity(severity);
    match route {
        ReachRoute::Called { by } => finding.reached_by.push(by.clone()),
        ReachRoute::Named { by, .. } => finding.reached_by.push(by.place.clone()),
        _ => {}
    }
    finding.reached_by.push(program.path.clone());
    Some(finding)
}

/// A library that configuration names, and whose own libraries are not in the image: an ODBC driver without libpq.
fn named_library(
    files: &FileRuleInput<'_>,
    program: &JudgedProgram<'_>,
    by: &NamedBy,
    what: NamedWhat,
) -> Option<Finding> {
    let lack = modules::lack(files, program).filter(|_| what == NamedWhat::File)?;
    let severity = match lack {
        Lack::Unsearched { .. } => Severity::Warning,
        Lack::Library { .. } | Lack::Version { .. } => files.named_severity(by),
    };
    let what = format!("the library that {} names", by.place);
    let mut finding = modules::lacking(files, program, &lack, (Code::ExtensionMissingLibrary, &what));
    finding.reached_by = vec![by.place.clone(), program.path.clone()];
    Some(finding.severity(severity))
}

/// A library in a directory that a property of Java names. If Java can load another one from there, the application may
/// not use this one: JavaFX has one for each version of GTK.
fn java_library(files: &FileRuleInput<'_>, program: &JudgedProgram<'_>) -> Option<Finding> {
    let by = files.reach.java_library(&program.path)?;
    let lack = modules::lack(files, program)?;
    let what = format!("a library in a directory that {by} names");
    let mut finding = modules::lacking(files, program, &lack, (Code::ExtensionMissingLibrary, &what));
    finding.reached_by = vec![by.to_string(), program.path.clone()];
    let directory =
        |program: &JudgedProgram<'_>| program.path.rsplit_once('/').map(|(directory, _)| directory.to_string());
    let is_sound = |other: &JudgedProgram<'_>| {
        other.fit <= Fit::Compat && is_library(&other.path) && directory(other) == directory(program)
    };
    let has_sound = files.programs.runnable().any(|other| is_sound(other) && files.libraries.lack(other).is_none());
    let is_certain = !has_sound && !matches!(lack, Lack::Unsearched { .. });
    Some(finding.severity(if is_certain { Severity::Error } else { Severity::Warning }))
}

/// A program whose loader is not in the image: built for another C library. It fails with ENOENT, as if it did not
/// exist.
fn no_loader(files: &FileRuleInput<'_>, program: &JudgedProgram<'_>, route: &ReachRoute) -> Option<Finding> {
    let loader = String::from_utf8(program.elf.loader()?.to_vec()).ok()?;
    if !loader.starts_with('/') || !program.is_executable() {
        return None;
    }
    // A root file system inside this one contains its own loader.
    let mut root = program.path.as_str();
    while let Some((parent, _)) = root.rsplit_once('/') {
        if let Ok(_) | Err(ResolveError::Unread(_)) = files.rootfs.resolve(format!("{parent}{loader}")) {
            return None;
        }
        root = parent;
    }
    let (place, severity) = match route {
        ReachRoute::Path { .. } => ("a program on PATH", Severity::Error),
        ReachRoute::Called { .. } => ("a program that a script calls", Severity::Error),
        ReachRoute::Named { what: NamedWhat::File, .. } => ("a program that configuration names", Severity::Error),
        // Tools that support both widths include a part for each, as perf does.
        _ if program.elf.class != files.node.arch.row().class => ("a 32-bit program", Severity::Note),
        _ => ("a program", Severity::Warning),
    };
    let message = format!("{place} needs the loader {loader}, which is not in the image");
    let mut finding = foreign(files, program, Code::ProgramNoLoader, message).severity(severity);
    finding.expected = "a loader in the image".to_string();
    match route {
        ReachRoute::Called { by } => finding.reached_by.extend([by.clone(), program.path.clone()]),
        ReachRoute::Named { by, .. } => finding.reached_by.extend([by.place.clone(), program.path.clone()]),
        ReachRoute::Path { link: Some(link) } => finding.reached_by.extend([link.clone(), program.path.clone()]),
        _ => {}
    }
    Some(finding)
}
