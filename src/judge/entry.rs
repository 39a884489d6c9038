//! The first finding: whether the program that the container starts does start. Turns the result of the execve model
//! into a finding.

use crate::exec::{Cause, CauseKind, Certainty, Exec, Link, OpenedFile, Outcome, Risk, Trace, messages};
use crate::image::RootFs;
use crate::inspect::FileKind;
use crate::judge::cause::{self, BlamedFile};
use crate::judge::code::{Code, Severity};
use crate::judge::finding::Finding;
use crate::platform::Target;

/// The call that is judged, and the setting that names it: `ENTRYPOINT ["app"]`.
pub struct JudgedCall<'a> {
    pub call: &'a Exec,
    pub said_by: &'a str,
    pub target: &'a Target,
}

/// The findings for a start: one if it fails, and one for each doubt.
pub fn findings(start: &JudgedCall<'_>, trace: &Trace, rootfs: &RootFs<FileKind>) -> Vec<Finding> {
    let mut findings: Vec<Finding> = trace.risks.iter().filter_map(|risk| risked(start, trace, risk, rootfs)).collect();
    let route = route(start, &trace.steps);
    let (Outcome::Fails { at, cause, .. } | Outcome::Dies { at, cause, .. } | Outcome::Unknown { at, cause }) =
        &trace.outcome
    else {
        findings.extend(trace.doubts.iter().filter_map(|doubt| doubted(doubt, &route)));
        return findings;
    };
    let Some(code) = cause::code(&trace.outcome) else { return findings };
    let mut finding = Finding::new(code, String::new());
    let is_decided = code != Code::EntrypointUnknown;
    match cause::blame(cause.kind) {
        BlamedFile::Naming if is_decided => {
            let named_by = trace.steps.iter().rev().find_map(|step| step.path.as_deref().filter(|path| *path != at));
            place(&mut finding, named_by.unwrap_or(at), &trace.steps, cause.kind, rootfs);
        }
        BlamedFile::Failed | BlamedFile::Naming => place(&mut finding, at, &trace.steps, cause.kind, rootfs),
        BlamedFile::Nothing => {}
    }
    let is_meant = |step: &&OpenedFile| step.path == finding.path || step.typed == *at;
    if let Some(step) = trace.steps.iter().find(is_meant) {
        // The model does not look into files that may not be executed.
        finding.is = step.description().to_string();
    }
    finding.message = message(start, at, cause, &with_article(&finding.is));
    if code == Code::EntrypointWrongArch {
        finding.expected = start.target.node.arch.name().to_string();
    }
    finding.reached_by = route;
    finding.shown = messages::messages(trace, start.call);
    finding.hint = hints(code, start, cause);
    findings.push(finding);
    findings
}

/// A finding for a service that cannot start, or for a program that may be started and cannot.
fn risked(start: &JudgedCall<'_>, trace: &Trace, risk: &Risk, rootfs: &RootFs<FileKind>) -> Option<Finding> {
    let (Outcome::Fails { at, cause, .. } | Outcome::Dies { at, cause, .. } | Outcome::Unknown { at, cause }) =
        &risk.outcome
    else {
        return None;
    };
    let code = cause::code(&risk.outcome)?;
    let mut finding = Finding::new(code, String::new());
    let named_by = risk.steps.iter().rev().find_map(|step| step.path.as_deref().filter(|path| *path != at));
    match cause::blame(cause.kind) {
        BlamedFile::Naming => place(&mut finding, named_by.unwrap_or(&risk.by), &risk.steps, cause.kind, rootfs),
        BlamedFile::Failed | BlamedFile::Nothing => place(&mut finding, at, &risk.steps, cause.kind, rootfs),
    }
    if let Some(step) = risk.steps.iter().find(|step| step.path == finding.path || step.typed == *at) {
        finding.is = step.description().to_string();
    }
    let (by, line) = (&risk.by, risk.line);
    (finding.message, finding.severity) = match risk.certainty {
        Certainty::Certain => {
            let program = start.call.argv.first().map_or("", String::as_str);
            let why = with_subject(at, cause);
            (format!("{program} cannot start the service at {by}:{line}: {why}"), Severity::Error)
        }
        Certainty::Possible => {
            // Every call of a foreign program on PATH fails.
            let is_foreign = cause.kind == CauseKind::ForeignArchitecture;
            let is_on_path = finding.path.as_deref().is_some_and(|path| is_on_path(path, &start.call.env, rootfs));
            let severity = if is_foreign && is_on_path { Severity::Error } else { Severity::Warning };
            let place = if line == 0 { by.clone() } else { format!("{by}:{line}") };
            let why = with_subject(at, cause);
            (format!("{place} may start a program that cannot run: {why}"), severity)
        }
    };
    if code == Code::EntrypointWrongArch {
        finding.expected = start.target.node.arch.name().to_string();
    }
    finding.reached_by = route(start, &[&trace.steps[..], &risk.steps[..]].concat());
    finding.hint = hints(code, start, cause);
    Some(finding)
}

/// A sentence about `at`, which begins with it.
fn with_subject(at: &str, cause: &Cause) -> String {
    let text = &cause.text;
    // The text names the user.
    let is_named = cause.kind == CauseKind::UnknownUser;
    let is_named = is_named || text.strip_prefix(at).is_some_and(|rest| rest.starts_with([' ', ':']));
    if is_named || at.is_empty() { text.clone() } else { format!("{at}: {text}") }
}

/// Whether a file is directly in a directory of PATH.
fn is_on_path(path: &str, env: &[String], rootfs: &RootFs<FileKind>) -> bool {
    let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
    let is_it = |place: &str| {
        let real = rootfs.resolve(place).ok().map(|id| rootfs.path(id));
        real.is_some_and(|real| real == directory.as_bytes())
    };
    super::search_path(env).split(':').filter(|place| place.starts_with('/')).any(is_it)
}

/// One sentence: which program cannot start, and why.
fn message(start: &JudgedCall<'_>, at: &str, cause: &Cause, is: &str) -> String {
    let program = start.call.argv.first().map_or(at, String::as_str);
    let is_program_itself = at == program || at.ends_with(&format!("/{program}"));
    match (cause.kind, is_program_itself) {
        (CauseKind::ForeignArchitecture, true) => format!("the program that {} starts is {is}", start.target.name),
        (CauseKind::ForeignArchitecture, false) => {
            format!("a file that {program} needs to start on {} is {is}: {at}", start.target.name)
        }
        _ if program.is_empty() => format!("\"\" cannot start: {}", cause.text),
        (CauseKind::MissingDirectory, true) => format!("{program} ends at once: {}", cause.text),
        (_, true) => format!("{program} cannot start: {}", cause.text),
        (_, false) => format!("{program} cannot start: {}", with_subject(at, cause)),
    }
}

/// Sets the finding's path and layer. The layer of a missing file is that of the previous step, and of a program that a
/// script calls, that of the script and not of its shell.
fn place(finding: &mut Finding, at: &str, steps: &[OpenedFile], kind: CauseKind, rootfs: &RootFs<FileKind>) {
    if at.is_empty() {
        return;
    }
    // For a program found by its name on PATH, or by a relative path, the step has its path.
    let is_name = |step: &OpenedFile| !at.contains('/') && step.typed.rsplit('/').next() == Some(at);
    let is_it = |step: &&OpenedFile| !at.starts_with('/') && (step.typed == at || is_name(step));
    let found = steps.iter().rev().filter(is_it).find_map(|step| step.path.as_deref());
    let at = found.unwrap_or(at);
    let real = rootfs.resolve(at).ok().map(|id| String::from_utf8_lossy(&rootfs.path(id)).into_owned());
    finding.path = Some(real.unwrap_or_else(|| at.to_string()));
    let is_interpreter = |link: &Link| matches!(link, Link::Shebang | Link::Loader | Link::Handler(_));
    let is_caller = |step: &&OpenedFile| !is_call(kind) || !is_interpreter(&step.link);
    let callers = steps.iter().rev().filter(is_caller).chain(steps.iter().rev());
    let paths = std::iter::once(at).chain(callers.filter_map(|step| step.path.as_deref()));
    finding.layer = paths.filter_map(|path| rootfs.resolve(path).ok()).map(|id| rootfs.view(id).layer).next();
}

/// Whether the cause is that a called program is missing, which the caller names.
fn is_call(kind: CauseKind) -> bool {
    matches!(
        kind,
        CauseKind::MissingFile
            | CauseKind::MissingProgram
            | CauseKind::NotInPath
            | CauseKind::RelativeInPath
            | CauseKind::MissingScript
            | CauseKind::MissingModule
    )
}

/// "an ELF x86-64 program, static" for "ELF x86-64, static".
fn with_article(is: &str) -> String {
    match is.strip_prefix("ELF ").and_then(|rest| rest.split_once(", ")) {
        Some((arch, _)) => format!("{} {arch} program", article(arch)),
        None => is.to_string(),
    }
}

/// "an x86-64", "a 32-bit Arm".
pub(super) fn article(arch: &str) -> &'static str {
    let is_vowel = arch.starts_with(['A', 'I', 'x', 'i', 'm', 'S']);
    if is_vowel && !arch.starts_with("SPARC") && !arch.starts_with("machine") { "an" } else { "a" }
}

/// The steps of a start: `ENTRYPOINT ["app"]`, `/usr/local/bin/app`, ...
pub fn route(start: &JudgedCall<'_>, steps: &[OpenedFile]) -> Vec<String> {
    let mut route = vec![start.said_by.to_string()];
    for step in steps.iter().filter(|step| step.link != Link::Loader) {
        let path = step.path.as_ref().unwrap_or(&step.typed);
        if route.last() != Some(path) {
            route.push(path.clone());
        }
    }
    route
}

/// How a step was reached, in one word.
pub fn link_word(link: &Link) -> String {
    match link {
        Link::Call => "program".to_string(),
        Link::Shebang => "interpreter".to_string(),
        Link::Loader => "loader".to_string(),
        Link::Handler(name) => format!("handler {name}"),
        Link::Command(name) => format!("by {}", name.rsplit('/').next().unwrap_or(name)),
    }
}

/// A finding for a doubt about a start that is judged to work.
fn doubted(doubt: &Cause, route: &[String]) -> Option<Finding> {
    let (code, severity) = cause::doubt(doubt.kind)?;
    let mut finding = Finding::new(code, doubt.text.clone()).severity(severity);
    finding.reached_by = route.to_vec();
    Some(finding)
}

fn hints(code: Code, start: &JudgedCall<'_>, cause: &Cause) -> Vec<String> {
    if let Some(hint) = cause::hint(cause.kind) {
        return vec![hint.to_string()];
    }
    let mut hints = vec![code.row().cure.to_string()];
    if code == Code::EntrypointWrongArch {
        hints.push(format!("imgarch rebuild IMAGE --platform {}", start.target.platform));
    }
    hints
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exec::tests::{call, layer, tree};
    use crate::exec::trace;
    use crate::image::merge;
    use crate::inspect::elf_builder::ElfBuilder;
    use crate::platform::{Arch, Platform};

    /// The only finding on a call: its code, its path and its first hint.
    fn only_finding(files: &[(&str, u16, &[u8])], call: &Exec) -> (String, Option<String>, String) {
        let target = Target::of_platform(&Platform::linux(Arch::Amd64)).expect("a target");
        let (rootfs, start) = (tree(files), JudgedCall { call, said_by: "CMD", target: &target });
        let mut findings = findings(&start, &trace(&rootfs, call, &target.node), &rootfs);
        assert_eq!(findings.len(), 1, "{findings:?}");
        let finding = findings.remove(0);
        (finding.code.to_string(), finding.path, finding.hint[0].clone())
    }

    #[test]
    fn an_empty_name_is_not_blamed_on_a_file() {
        let app = ElfBuilder::amd64().build();
        let (code, path, _) = only_finding(&[("app", 0o755, &app)], &call(&[""]));
        assert_eq!((code.as_str(), path), ("entrypoint-not-found", None));
        let (code, path, hint) = only_finding(&[("app", 0o755, &app)], &call(&["", "/app"]));
        let empty = "remove the empty word from ENTRYPOINT";
        assert_eq!((code.as_str(), path, hint.as_str()), ("entrypoint-unknown", None, empty));
    }

    #[test]
    fn the_hint_for_a_missing_user_creates_it() {
        let app = ElfBuilder::amd64().build();
        let call = Exec { user: "app".to_string(), ..call(&["/app"]) };
        let (code, path, hint) = only_finding(&[("app", 0o755, &app)], &call);
        assert_eq!((code.as_str(), path), ("entrypoint-fails", None));
        assert!(hint.contains("adduser") && hint.contains("USER 1000:1000"), "{hint}");
    }

    #[test]
    fn the_file_to_fix_is_named() {
        let (app, script) = (ElfBuilder::amd64().build(), b"#!/bin/sh -e -u\n".as_slice());
        let files: &[(&str, u16, &[u8])] =
            &[("app", 0o755, &app), ("bin/sh", 0o755, &app), ("e", 0o755, script), ("dev/shm/x", 0o755, &app)];
        for (words, code, at) in [
            (&["/e"][..], "entrypoint-bad-script", "/e"),
            (&["sh", "/app"], "entrypoint-bad-script", "/app"),
            (&["/dev/shm/x"], "entrypoint-not-found", "/dev/shm/x"),
        ] {
            let (found_code, path, _) = only_finding(files, &call(words));
            assert_eq!((found_code.as_str(), path.as_deref()), (code, Some(at)), "{words:?}");
        }
    }

    /// Path and layer of the finding on `/start.sh`, which is in the second layer, above its shell.
    fn blamed(script: &str, files: &[(&str, u16, &[u8])]) -> (String, Option<usize>) {
        let target = Target::of_platform(&Platform::linux(Arch::Amd64)).unwrap();
        let shell = ElfBuilder::amd64().build();
        let base = layer(&[("bin/sh", 0o755, &shell), ("usr/bin/env", 0o755, &shell)]);
        let scripts = layer(&[("start.sh", 0o755, script.as_bytes())]);
        let rootfs = merge([base, scripts, layer(files)]);
        let call = call(&["/start.sh"]);
        let trace = trace(&rootfs, &call, &target.node);
        let start = JudgedCall { call: &call, said_by: "CMD", target: &target };
        let finding = findings(&start, &trace, &rootfs).pop().unwrap();
        (finding.path.unwrap_or_default(), finding.layer)
    }

    #[test]
    fn a_missing_program_is_in_the_layer_of_the_script_that_calls_it() {
        assert_eq!(blamed("#!/bin/sh\nexec /opt/app --serve\n", &[]), ("/opt/app".to_string(), Some(1)));
        assert_eq!(blamed("#!/usr/bin/env nosuch\n", &[]).1, Some(1));
    }

    #[test]
    fn a_program_that_a_script_starts_by_a_relative_path_has_its_full_path() {
        let foreign = ElfBuilder::arm64().build();
        let script = "#!/bin/sh\ncd /opt/b && exec ./tool\n";
        assert_eq!(blamed(script, &[("opt/b/tool", 0o755, &foreign)]), ("/opt/b/tool".to_string(), Some(2)));
    }
}
