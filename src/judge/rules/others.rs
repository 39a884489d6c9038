//! Files that are not ELF but are in the place of a program or a library: Mach-O and PE, empty files, pointers, pages,
//! archives, source text. Programs of other systems are excused by the same purpose rules as ELF files.

use crate::image::FileView;
use crate::inspect::{FileKind, Shebang, TextStart};
use crate::judge::code::{Code, Severity};
use crate::judge::facts::purpose::{self, ForeignFile, PurposeFormat};
use crate::judge::facts::reach::NamedWhat;
use crate::judge::facts::runtimes::is_library;
use crate::judge::facts::siblings::Siblings;
use crate::judge::facts::tokens;
use crate::judge::files::{FileRuleInput, group, purposeful};
use crate::judge::finding::Finding;

/// Judges all files that are not ELF.
pub fn judge(files: &FileRuleInput<'_>, siblings: &Siblings) -> Vec<Finding> {
    let mut findings = Vec::new();
    for view in files.rootfs.files_with_facts() {
        let Some(kind) = view.fact.filter(|kind| !matches!(kind, FileKind::Elf(_))) else { continue };
        let (is, format) = (not_a_program(kind), format(kind));
        if is.is_none() && format.is_none() {
            continue;
        }
        let path = String::from_utf8_lossy(&files.rootfs.path(view.id)).into_owned();
        if files.is_reported(&path) {
            continue;
        }
        let other = Other { view: &view, kind, path: &path, is: is.as_deref() };
        findings.extend(in_reach(files, siblings, &other).or_else(|| at_rest(files, siblings, &other, format?)));
    }
    findings
}

/// A file that is not ELF.
struct Other<'a> {
    view: &'a FileView<'a, FileKind>,
    kind: &'a FileKind,
    path: &'a str,
    /// Its description, if no Linux kernel runs it.
    is: Option<&'a str>,
}

fn format(kind: &FileKind) -> Option<PurposeFormat<'_>> {
    match kind {
        // An assembly of intermediate language runs on every platform of its runtime.
        // A library of resources is read as data, by drivers on Linux too.
        FileKind::Pe(pe) if !pe.is_dotnet && pe.has_code => Some(PurposeFormat::Pe(pe)),
        FileKind::MachO(macho) => Some(PurposeFormat::MachO(macho)),
        FileKind::Ar(ar) if !ar.arches.is_empty() => Some(PurposeFormat::Ar(ar)),
        _ => None,
    }
}

/// Called by a script, on PATH, or in a directory where a runtime looks for its modules.
fn in_reach(files: &FileRuleInput<'_>, siblings: &Siblings, other: &Other<'_>) -> Option<Finding> {
    let (is, path) = (other.is?, other.path);
    let is_executable = other.view.mode & 0o111 != 0;
    // A script on the chain that continues after a failed call leaves the file on the chain.
    let caller =
        files.reach.caller(path).or_else(|| files.reach.is_chain(path).then_some("a script on the entry chain"));
    let mut finding = if let Some(by) = caller.filter(|_| is_executable) {
        let mut finding = Finding::new(Code::CalledNotAProgram, format!("{by} calls it, but it is {is}"));
        finding.reached_by = files.chain.to_vec();
        if !finding.reached_by.iter().any(|step| step == path) {
            finding.reached_by.extend(files.reach.caller(path).map(str::to_string));
            finding.reached_by.push(path.to_string());
        }
        finding
    } else if is_executable && files.reach.is_on_path(path) {
        let mut finding = Finding::new(Code::BadProgramOnPath, format!("on PATH and executable, but it is {is}"));
        finding.severity = if runs_nowhere(other.kind) { Severity::Error } else { Severity::Warning };
        finding.reached_by.extend(files.reach.link(path).map(str::to_string));
        finding
    } else if let Some(named) = named(files, other, is) {
        named
    } else {
        module(files, siblings, other, is)?
    };
    finding = finding.at(path, other.view.layer).is(is, "a program or a script");
    if finding.code == Code::BrokenExtension {
        finding.expected = "a library".to_string();
        finding.group = group(path);
    }
    Some(finding)
}

/// A file that configuration names and that can neither run nor be loaded.
fn named(files: &FileRuleInput<'_>, other: &Other<'_>, is: &str) -> Option<Finding> {
    let is_executable = other.view.mode & 0o111 != 0;
    let (by, what) = files.reach.named(other.path, is_executable)?;
    let is_meant = is_executable || is_library(other.path) || other.path.ends_with(".node");
    if !is_meant || what == NamedWhat::Directory || !runs_nowhere(other.kind) {
        return None;
    }
    // Wine and Mono run Windows programs.
    if matches!(other.kind, FileKind::Pe(_)) && !is_library(other.path) {
        return None;
    }
    let message = format!("{} names this file, but it is {is}", by.place);
    let mut finding = Finding::new(Code::BrokenConfigured, message).severity(files.named_severity(by));
    finding.reached_by = vec![by.place.clone(), other.path.to_string()];
    Some(finding)
}

/// Whether nothing on Linux runs it, not even a shell that treats it as a script.
pub fn runs_nowhere(kind: &FileKind) -> bool {
    matches!(
        kind,
        FileKind::Empty
            | FileKind::MachO(_)
            | FileKind::Pe(_)
            | FileKind::LfsPointer
            | FileKind::Html
            | FileKind::Text(TextStart::ErrorPage(_))
    )
}

/// A file in the directory and with the name of a native module that no loader accepts.
fn module(files: &FileRuleInput<'_>, siblings: &Siblings, other: &Other<'_>, is: &str) -> Option<Finding> {
    let path = other.path;
    if !(is_library(path) || path.ends_with(".node")) || matches!(other.kind, FileKind::Script(_) | FileKind::Packed(_))
    {
        return None;
    }
    let (runtime, is_installed) = files.reach.module_of(path)?;
    let platform = tokens::read(path);
    // A build whose path names another system is only looked up there.
    let is_elsewhere = platform.as_ref().is_some_and(|platform| !platform.may_be_linux);
    let is_served = matches!(other.kind, FileKind::MachO(_) | FileKind::Pe(_))
        && (siblings.serve(path) || siblings.has_own_build(path) || siblings.is_elsewhere(path));
    if is_elsewhere || is_served {
        return None;
    }
    let mut finding = Finding::new(Code::BrokenExtension, format!("a module of {runtime} is {is}"));
    finding.severity = if is_installed { Severity::Error } else { Severity::Warning };
    finding.reached_by = files.chain.to_vec();
    finding.reached_by.extend(files.interpreter(runtime));
    finding.reached_by.push(path.to_string());
    Some(finding)
}

/// A file that nothing is known to use: on purpose, or a program for another system whose path does not name it.
fn at_rest(
    files: &FileRuleInput<'_>,
    siblings: &Siblings,
    other: &Other<'_>,
    format: PurposeFormat<'_>,
) -> Option<Finding> {
    if let PurposeFormat::Ar(ar) = format
        && ar.arches.contains(&files.node.arch)
    {
        return None;
    }
    let platform = tokens::read(other.path);
    let suspect = ForeignFile { path: other.path, platform: platform.as_ref(), format };
    let is = match format {
        PurposeFormat::Ar(ar) => {
            let names: Vec<&str> = ar.arches.iter().map(|arch| arch.name()).collect();
            format!("a static library for {}", names.join(", "))
        }
        _ => other.is.unwrap_or_default().to_string(),
    };
    let here = files.node.arch.name();
    let place = |finding: Finding| finding.at(other.path, other.view.layer).is(is.clone(), here);
    if let Some(rule) = purpose::purpose(&suspect, siblings, files.rules_off) {
        return Some(purposeful(
            place(Finding::new(Code::ForeignOnPurpose, "foreign on purpose")),
            rule.name,
            rule.why,
        ));
    }
    let mut finding = place(Finding::new(Code::ForeignFile, format!("{is} in an image for {here}")));
    finding.group = group(other.path);
    Some(finding)
}

/// The interpreter gets the line's carriage return with the last word: `env: 'python3\r': No such file`.
fn ends_in_cr(shebang: &Shebang) -> bool {
    shebang.argument.as_deref().unwrap_or(&shebang.interpreter).ends_with(b"\r")
}

/// Describes a file that no dynamic loader loads.
pub fn not_a_library(kind: &FileKind) -> Option<String> {
    match kind {
        FileKind::Elf(_) => None,
        FileKind::Text(TextStart::Plain)
        | FileKind::Config(_)
        | FileKind::Mentions(_)
        | FileKind::OptionalImports(_) => Some("a text".to_string()),
        FileKind::Script(_) => Some("a script".to_string()),
        _ => not_a_program(kind),
    }
}

/// Describes a file that no Linux kernel runs. A text without a shebang is not a fault by itself: shells run it.
pub fn not_a_program(kind: &FileKind) -> Option<String> {
    let is = match kind {
        FileKind::Empty => "an empty file".to_string(),
        FileKind::MachO(macho) => format!("a macOS program ({})", macho.cpus.join(", ")),
        FileKind::Pe(_) => "a Windows program".to_string(),
        FileKind::LfsPointer => "a Git LFS pointer, not the file itself".to_string(),
        FileKind::Html => "an HTML page".to_string(),
        FileKind::Packed(what) => format!("a {} archive", format!("{what:?}").to_lowercase()),
        FileKind::Zip(zip) if !zip.is_jar => "a zip archive".to_string(),
        FileKind::Zip(_) => "a Java archive".to_string(),
        FileKind::Ar(_) => "an ar archive".to_string(),
        FileKind::LlvmBitcode => "LLVM bitcode".to_string(),
        FileKind::Wasm => "a WebAssembly module".to_string(),
        FileKind::JavaClass => "a Java class".to_string(),
        FileKind::Text(TextStart::BomShebang) => "a script with a byte order mark before its #!".to_string(),
        FileKind::Text(TextStart::BlankShebang) => "a script with whitespace before its #!".to_string(),
        FileKind::Text(TextStart::ErrorPage(line)) => format!("an error page: {line:?}"),
        FileKind::Text(TextStart::Source(language)) => format!("{language} source text without a #!"),
        FileKind::Script(script) => match &script.shebang {
            Ok(shebang) if ends_in_cr(shebang) => "a script with CRLF line endings".to_string(),
            _ => return None,
        },
        _ => return None,
    };
    Some(is)
}
