//! Checks scripts of the build context that the image starts or a RUN step calls: Windows line endings, which the
//! kernel does not accept, and a missing execute bit.

use super::dockerfile::{BuildStep, Dockerfile, StepKind};
use super::finding::LintFinding;
use super::flow::StageFlow;
use super::outside::{HostFile, Outside};
use super::rule::RuleName;
use super::shell::PlainWord;

pub fn check(file: &Dockerfile<'_>, flow: &StageFlow, outside: &Outside<'_>) -> Vec<LintFinding> {
    let mut findings: Vec<LintFinding> = Vec::new();
    for (at, stage) in file.stages.iter().enumerate() {
        // Windows has neither execute bits nor `#!`.
        if !flow.places[at].reaches_final || flow.places[at].is_windows {
            continue;
        }
        let steps: Vec<&BuildStep> = file.lineage(at).flat_map(|stage| &stage.steps).collect();
        let is_entrypoint = |step: &BuildStep| {
            let keyword = file.text[step.span.clone()].split_ascii_whitespace().next().unwrap_or("");
            keyword.eq_ignore_ascii_case("ENTRYPOINT")
                && matches!(&step.kind, StepKind::Start(words) if !words.is_empty())
        };
        let has_entrypoint = steps.iter().any(|step| is_entrypoint(step));
        for step in &stage.steps {
            // With an entrypoint, CMD contains its arguments.
            if has_entrypoint && matches!(step.kind, StepKind::Start(_)) && !is_entrypoint(step) {
                continue;
            }
            for started in started_by(step) {
                for copy in &steps {
                    findings.extend(copied(file, &steps, copy, &started, outside));
                }
            }
        }
    }
    findings.sort_by_key(|finding| (finding.span.start, finding.code));
    findings.dedup_by_key(|finding| (finding.span.start, finding.code));
    findings
}

/// A program or script that is started.
struct StartedFile<'f> {
    path: &'f str,
    /// The kernel executes it. False if it is an argument of a shell.
    is_executed: bool,
}

fn started_by(step: &BuildStep) -> Vec<StartedFile<'_>> {
    const SHELLS: &[&str] = &["sh", "bash", "ash", "dash"];
    let base = |text: &str| text.rsplit('/').next().unwrap_or("").to_string();
    let of = |words: &[PlainWord]| -> Option<(usize, bool)> {
        let first = words.first()?;
        let reads_script = SHELLS.contains(&base(&first.text).as_str());
        if reads_script {
            let script = words.iter().skip(1).position(|word| !word.text.starts_with('-'))?;
            // The argument of `sh -c` is not a path.
            return (!words.iter().any(|word| word.text == "-c")).then_some((script + 1, false));
        }
        Some((0, true))
    };
    match &step.kind {
        StepKind::Start(words) => of(words)
            .map(|(at, is_executed)| StartedFile { path: words[at].text.as_str(), is_executed })
            .into_iter()
            .collect(),
        StepKind::Run(run) => {
            let scripts = run.commands.iter().filter_map(|command| {
                let at = command.words.len().checked_sub(command.arguments().len() + 1)?;
                let words = &command.words[at..];
                let (at, is_executed) = of(words)?;
                let path = words[at].text.as_str();
                (path.contains('/') || path.ends_with(".sh")).then_some(StartedFile { path, is_executed })
            });
            scripts.collect()
        }
        StepKind::Copy { .. } | StepKind::Arg(_) | StepKind::Env(_) | StepKind::Shell { .. } | StepKind::Other => {
            Vec::new()
        }
    }
}

fn copied(
    file: &Dockerfile<'_>,
    steps: &[&BuildStep],
    copy: &BuildStep,
    started: &StartedFile<'_>,
    outside: &Outside<'_>,
) -> Vec<LintFinding> {
    let StepKind::Copy { sources, destination: Some(destination), .. } = &copy.kind else { return Vec::new() };
    let has = |name: &str| copy.options.iter().any(|option| option.name == name);
    let name = started.path.rsplit('/').next().unwrap_or("");
    if has("from") || name.is_empty() || started.path.contains('$') {
        return Vec::new();
    }
    let Some((source, host)) = sources.iter().find_map(|source| {
        let host = host_file(source, destination, name, outside)?;
        Some((source, host))
    }) else {
        return Vec::new();
    };
    let texts: Vec<&str> = steps
        .iter()
        .filter(|step| matches!(step.kind, StepKind::Run(_)))
        .map(|step| &file.text[step.span.clone()])
        .collect();
    let mut findings = Vec::new();
    let is_script = host.head.starts_with(b"#!");
    let has_carriage_return = host.head.split(|byte| *byte == b'\n').next().is_some_and(|line| line.ends_with(b"\r"));
    let is_converted = texts.iter().any(|text| text.contains("dos2unix") || text.contains("\\r"));
    if is_script && has_carriage_return && host.head.contains(&b'\n') && !is_converted {
        let message = format!("{} has Windows line endings, and the image starts it", host.path);
        let label = "its interpreter's name ends in a carriage return";
        findings.push(LintFinding::new(RuleName::CrlfScript, source.span.clone(), message, label));
    }
    let is_set = has("chmod") || texts.iter().any(|text| text.contains("chmod") || text.contains("install -m"));
    // A build from a fresh checkout gets the mode that git records.
    let is_executable = (outside.recorded_mode)(&host.path).unwrap_or(host.is_executable);
    let is_program = is_script || host.head.starts_with(b"\x7fELF");
    if is_program && started.is_executed && !is_executable && !is_set {
        let message = format!("{} is not executable, and the image starts it", host.path);
        findings.push(LintFinding::new(
            RuleName::CopiedEntrypointNotExecutable,
            source.span.clone(),
            message,
            "COPY keeps its mode",
        ));
    }
    findings
}

/// Returns the file of the context that a COPY stores under this name, from a file or a directory.
fn host_file(source: &PlainWord, destination: &PlainWord, name: &str, outside: &Outside<'_>) -> Option<HostFile> {
    let text = source.text.trim_end_matches('/');
    if text.contains("://") || text.contains(['$', '*', '?', '[']) {
        return None;
    }
    let base = |text: &str| text.trim_end_matches('/').rsplit('/').next().unwrap_or("").to_string();
    let is_named = base(&destination.text) == name || base(text) == name;
    let path = match is_named {
        true => text.to_string(),
        // Files in a directory keep their names.
        false if text == "." || text.is_empty() => name.to_string(),
        false => format!("{text}/{name}"),
    };
    let mut files = (outside.files)(&path).into_iter();
    let file = files.next()?;
    (files.next().is_none() && base(&file.path) == base(&path)).then_some(file)
}
