//! Ranks the suspects for symptoms and circumstances, the likeliest first. Pure.

use super::cause::{Likelihood, Suspect};
use super::exit_code::{of_build, of_emulated_build, of_exit, of_reported_exit};
use super::file::is_runtime;
use super::message::{Sign, Speaker};
use super::path_kind::{
    base_name, is_base_script, is_data, is_of_job, is_of_job_script, is_program, is_script, is_shell,
};
use super::symptom::Symptom;
use crate::exec::Errno;
use Likelihood::{Certain, Likely, Possible, Unlikely};

pub use super::exit_code::Circumstances;

/// A suspect, how likely it is, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ranked {
    pub suspect: Suspect,
    pub likelihood: Likelihood,
    /// Why it is suspected, in lower case.
    pub why: String,
}

/// The suspects for `symptoms` and `circumstances`, each once and the likeliest first.
pub fn rank(symptoms: &[Symptom], circumstances: &Circumstances) -> Vec<Ranked> {
    let mut ranked: Vec<Ranked> = Vec::new();
    let mut add = |suspect, likelihood, why: String| match ranked.iter_mut().find(|known| known.suspect == suspect) {
        Some(known) if known.likelihood < likelihood => *known = Ranked { suspect, likelihood, why },
        Some(_) => {}
        None => ranked.push(Ranked { suspect, likelihood, why }),
    };
    let is_emulated = symptoms.iter().any(|symptom| is_emulators(symptom.sign));
    // Exit codes that supervisors report add nothing where a message gave the reason.
    let is_reason = |symptom: &&Symptom| {
        let is_end = matches!(symptom.sign, Sign::Exited | Sign::BuildStepFailed | Sign::EntrypointInvalid);
        !is_end && !of_symptom(symptom, symptoms).is_empty()
    };
    let has_reason = symptoms.iter().any(|symptom| is_reason(&symptom));
    // A program that is emulated runs: what ends it is another matter.
    let is_warning = |symptom: &Symptom| matches!(symptom.sign, Sign::PlatformMismatch | Sign::Exited);
    if circumstances.goes_on && symptoms.iter().all(is_warning) {
        let why = "the program ran after the engine's warning that its platform is another".to_string();
        add(Suspect::ProgramItself, Likely, why.clone());
        add(Suspect::Emulator, Possible, why);
        return ranked;
    }
    for symptom in
        symptoms.iter().filter(|symptom| (!has_reason || is_reason(symptom)) && !is_of_probe(symptom, symptoms))
    {
        let why = format!("{} reports {:?}", symptom.speaker, cut(&symptom.line));
        for (suspect, likelihood) in of_symptom(symptom, symptoms) {
            let limit = if symptom.outcome.is_over() { Possible } else { Certain };
            add(suspect, likelihood.min(limit), why.clone());
        }
    }
    // What the program did without is not why it failed.
    let last = symptoms.iter().rfind(is_reason);
    if let Some(last) = last.filter(|_| symptoms.iter().filter(is_reason).all(|symptom| symptom.outcome.is_over())) {
        add(Suspect::ProgramItself, Likely, last.outcome.text().to_string());
    }
    // The container's own exit code counts only where no message gave the reason.
    if !has_reason {
        for (suspect, likelihood, why) in of_exit(circumstances) {
            add(suspect, likelihood, why);
        }
    }
    if is_emulated {
        add(Suspect::Emulator, Possible, "the program runs under an emulator".to_string());
    }
    // Stable: suspects of the same likelihood stay in the order of the tables.
    ranked.sort_by_key(|entry| std::cmp::Reverse(entry.likelihood));
    ranked
}

/// Whether the command that was not found was to run in a container that has started, according to another message.
fn is_of_probe(symptom: &Symptom, all: &[Symptom]) -> bool {
    matches!(symptom.sign, Sign::NotOnPath | Sign::ProgramNotFound | Sign::CommandNotFound)
        && all.iter().any(|other| is_of_running(other.sign) && other.path == symptom.path)
}

/// Whether the sign is of a command that is called in a running container.
fn is_of_running(sign: Sign) -> bool {
    matches!(sign, Sign::ProbeCommandMissing | Sign::ExecCommandMissing)
}

fn is_emulators(sign: Sign) -> bool {
    matches!(sign, Sign::EmulatorCrash | Sign::EmulatorRefuses | Sign::EmulatorIncomplete | Sign::EmulatedLoaderMissing)
}

/// Shortens a line for quotation.
fn cut(line: &str) -> String {
    const CHARS: usize = 120;
    if line.chars().count() <= CHARS {
        line.to_string()
    } else {
        format!("{}...", line.chars().take(CHARS).collect::<String>())
    }
}

/// Whether a runtime outside the container reports the failure. A program that reports it from inside runs, so that the
/// image has programs for the node.
fn is_from_outside(symptom: &Symptom, all: &[Symptom]) -> bool {
    let is_lambda = symptom.speaker == Speaker::Go && all.iter().any(|other| other.sign == Sign::EntrypointInvalid);
    is_runtime(symptom.speaker) || is_lambda
}

/// Keywords that dash and busybox expect if a script's keyword ends in a carriage return, and those that they expect if
/// the script lacks one.
const KEYWORDS_OF_LINES: &[&str] = &["(expecting \"then\")", "(expecting \"do\")", "(expecting \"in\")"];
const KEYWORDS: &[&str] = &["(expecting \"fi\")", "(expecting \"done\")", "(expecting \"esac\")", "(expecting \"}\")"];

fn has_any(line: &str, texts: &[&str]) -> bool {
    texts.iter().any(|text| line.contains(text))
}

/// Whether bash was given the file to read. It then names the file twice: `/app: /app: cannot execute binary file`.
fn is_given_to_shell(symptom: &Symptom) -> bool {
    let Some(path) = symptom.path.as_deref().filter(|_| symptom.speaker == Speaker::Bash) else { return false };
    let given = format!("{path}: {path}: cannot execute binary file");
    symptom.line.split_once(&given).is_some_and(|(_, rest)| !rest.starts_with(": "))
}

/// bash, without a script's name and line: what an operator typed.
fn is_typed(symptom: &Symptom) -> bool {
    symptom.speaker == Speaker::Bash
        && !symptom.line.contains(": line ")
        && symptom.path.as_deref().is_some_and(|path| !is_data(path))
}

/// Whether the line is from a builder: BuildKit's plain progress (`#12 0.213 exec /bin/sh: ...`), with or without a
/// timestamp, or kaniko's error.
fn is_builders(line: &str) -> bool {
    if line.contains("error building stage: ") {
        return true;
    }
    let is_number = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_digit() || c == '.');
    let mut words = line.split_whitespace();
    while let Some(word) = words.next() {
        if word.strip_prefix('#').is_some_and(is_number) {
            return words.next().is_some_and(is_number);
        }
    }
    false
}

/// Whether SELinux or AppArmor refused to execute a file.
fn has_policy(all: &[Symptom]) -> bool {
    all.iter().any(|other| other.sign == Sign::PolicyDenied)
}

/// Whether a job's script or a build's step calls a tool by its name.
fn is_tool(symptom: &Symptom, all: &[Symptom]) -> bool {
    let is_name = symptom.path.as_deref().is_some_and(|path| !path.contains('/') && path.is_ascii());
    let is_build = all.iter().any(|other| matches!(other.sign, Sign::BuildStepFailed | Sign::EmulatedStepFailed));
    // A client of an engine runs on another machine than the engine.
    const CLIENTS: &[&str] = &["docker", "docker-compose", "podman", "kubectl", "helm", "nerdctl"];
    is_name
        && (symptom.path.as_deref().is_some_and(|path| CLIENTS.contains(&path))
            || is_build
            || is_of_job_script(&symptom.line))
}

/// Whether a job's script calls a file of the repository that it works on.
fn is_of_repository(symptom: &Symptom) -> bool {
    symptom.path.as_deref().is_some_and(|path| !path.starts_with('/')) && is_of_job_script(&symptom.line)
}

fn refuses_cpu(speaker: Speaker, all: &[Symptom]) -> bool {
    all.iter().any(|other| other.speaker == speaker && other.sign == Sign::CpuLevel)
}

fn of_symptom(symptom: &Symptom, all: &[Symptom]) -> Vec<(Suspect, Likelihood)> {
    use Suspect::*;
    let path = symptom.path.as_deref();
    match symptom.sign {
        Sign::Exec(Errno::ENOEXEC) if is_given_to_shell(symptom) => {
            vec![(BinaryAsScript, Likely), (WrongArchitecture, Possible)]
        }
        Sign::NotExecutable | Sign::ShellDenied | Sign::Exec(Errno::EACCES) if has_policy(all) => {
            vec![(NotExecutable, Possible)]
        }
        Sign::Exec(errno) => of_errno(errno, symptom, all),
        Sign::FileBusy => vec![(FileBusy, Certain)],
        Sign::ProgramNotFound => vec![(MissingProgram, Certain)],
        // Go's os/exec prints the same of what a program starts.
        Sign::NotOnPath
            if symptom.is_programs_own() && all.iter().any(|other| other.sign == Sign::Exec(Errno::ENOEXEC)) =>
        {
            vec![(NotOnPath, Possible)]
        }
        Sign::NotOnPath if symptom.is_programs_own() => vec![(NotOnPath, Likely), (ProgramItself, Possible)],
        Sign::NotOnPath => vec![(NotOnPath, Certain)],
        // systemd reports it of a unit, which may be the host's.
        Sign::NotExecutable if symptom.speaker == Speaker::Systemd => vec![(NotExecutable, Likely)],
        Sign::NotExecutable => vec![(NotExecutable, Certain)],
        Sign::PolicyDenied => vec![(ProgramItself, Likely)],
        Sign::NoCommand => vec![(NothingToStart, Certain)],
        Sign::UserMissing => vec![(MissingUser, Certain)],
        Sign::RootRefused => vec![(RunAsNonRoot, Certain)],
        // systemd reports it of a unit, which may be the host's.
        Sign::WorkingDirRefused if symptom.speaker == Speaker::Systemd => vec![(BadWorkingDirectory, Likely)],
        Sign::WorkingDirRefused => vec![(BadWorkingDirectory, Certain)],
        Sign::EntrypointInvalid => {
            vec![
                (WrongArchitecture, Likely),
                (MissingProgram, Possible),
                (NotExecutable, Possible),
                (NotAProgram, Possible),
            ]
        }
        Sign::ScriptMissing if path.is_some_and(is_of_job) => vec![(ProgramItself, Likely)],
        // A volume may hide it.
        Sign::ScriptMissing => vec![(MissingScript, Likely)],
        // Java reports the same of a jar that is damaged.
        Sign::BadJar => vec![(NotAJar, Likely)],
        // A shell that sources a file, or reads from it, reports the same.
        Sign::ShellFileMissing if !path.is_some_and(is_program) && !is_typed(symptom) => Vec::new(),
        Sign::ShellFileMissing => {
            vec![(MissingProgram, Likely), (MissingLoader, Likely), (MissingInterpreter, Possible)]
        }
        // Of Windows' release, which Hyper-V isolation does not need to match.
        Sign::NoPlatformInIndex if symptom.speaker == Speaker::Windows => vec![(NoPlatform, Likely)],
        Sign::NoPlatformInIndex => vec![(NoPlatform, Certain)],
        Sign::PlatformMismatch | Sign::PlatformRefused => vec![(WrongArchitecture, Likely), (PinnedToOne, Possible)],
        Sign::UnpackSkipped => vec![(MetadataDisagrees, Likely), (NodeCopy, Possible)],
        Sign::ProgramReadAsScript if has_any(&symptom.line, KEYWORDS_OF_LINES) => {
            vec![(CarriageReturn, Likely), (ProgramItself, Possible)]
        }
        // A script or a `sh -c` that is faulty itself reports the same.
        Sign::ProgramReadAsScript if is_script(path) || is_shell(path) || has_any(&symptom.line, KEYWORDS) => {
            vec![(ProgramItself, Likely), (CarriageReturn, Possible), (WrongArchitecture, Unlikely)]
        }
        // The program's launcher fell back to `/bin/sh FILE` after the kernel refused the file.
        Sign::ProgramReadAsScript => {
            vec![
                (WrongArchitecture, Likely),
                (WrapperFallback, Possible),
                (BinaryAsScript, Possible),
                (NotAProgram, Unlikely),
            ]
        }
        // Old releases of bash report a program's missing loader in this way.
        Sign::BadInterpreter if path.is_some_and(|path| base_name(path).starts_with("ld-")) => {
            vec![(MissingLoader, Likely), (WrongArchitecture, Possible)]
        }
        Sign::BadInterpreter => vec![(MissingInterpreter, Likely), (MissingLoader, Possible)],
        Sign::EnvNotFound => vec![(MissingInterpreter, Likely), (NotOnPath, Possible)],
        Sign::ShebangOptions => vec![(ShebangOptions, Certain)],
        // "cannot create /x: Permission denied" is about a redirection.
        Sign::ShellDenied if path.is_some_and(|path| path.contains(' ') || is_data(path)) => {
            vec![(ProgramItself, Likely)]
        }
        Sign::ShellDenied => vec![(NotExecutable, Likely), (NoExecMount, Possible)],
        Sign::InterpreterMissing if is_script(path) => vec![(MissingInterpreter, Likely), (MissingLoader, Possible)],
        Sign::InterpreterMissing => vec![(MissingLoader, Likely), (MissingInterpreter, Likely)],
        Sign::CarriageReturn => vec![(CarriageReturn, Certain)],
        // A script that went on to start a program did not end at a command that it lacks.
        Sign::CommandNotFound if all.iter().any(|other| matches!(other.sign, Sign::Exec(_) | Sign::NotExecutable)) => {
            of_not_found(path).into_iter().map(|(suspect, likelihood)| (suspect, likelihood.min(Possible))).collect()
        }
        // A tool that a job or a build lacks.
        Sign::CommandNotFound if is_tool(symptom, all) || is_of_repository(symptom) => {
            vec![(ProgramItself, Likely), (NotOnPath, Possible)]
        }
        Sign::CommandNotFound => of_not_found(path),
        Sign::ProbeCommandMissing | Sign::ExecCommandMissing => vec![(ProgramItself, Likely)],
        // The loader itself is missing: a glibc library on musl, or one for another architecture.
        Sign::LibraryMissing if path.is_some_and(|path| base_name(path).starts_with("ld-linux")) => {
            vec![(MixedLibc, Likely), (ForeignLibrary, Possible)]
        }
        Sign::LibraryMissing => vec![(MissingLibrary, Likely), (ForeignLibrary, Possible)],
        Sign::LoaderMissing => vec![(MissingLoader, Likely), (WrongArchitecture, Possible)],
        Sign::LoaderRefuses => vec![(WrongArchitecture, Likely), (BadLoader, Possible)],
        // Options of the compiler, such as -m32, have the same effect.
        Sign::LibraryForeign if symptom.speaker == Speaker::Linker => vec![(ForeignLibrary, Likely)],
        Sign::LibraryForeign => vec![(ForeignLibrary, Certain)],
        Sign::PreloadIgnored => vec![(ForeignLibrary, Possible), (MissingLibrary, Possible)],
        Sign::LibraryCorrupt => vec![(CorruptProgram, Likely), (Truncated, Possible)],
        Sign::LibraryNotMapped => vec![(NoExecMount, Likely)],
        Sign::LibraryTruncated => vec![(Truncated, Likely), (NodeCopy, Possible)],
        Sign::SymbolVersion => vec![(OldLibc, Certain)],
        Sign::SymbolMissing => vec![(MixedLibc, Likely), (MissingLibrary, Possible)],
        Sign::StaticTls => vec![(StaticTls, Certain)],
        // PHP and NumPy go on. A module that is loaded twice does not register itself either.
        Sign::ModuleVersion if matches!(symptom.speaker, Speaker::Php | Speaker::NumPy | Speaker::Npm) => {
            vec![(ModuleVersion, Likely)]
        }
        Sign::ModuleVersion => vec![(ModuleVersion, Certain)],
        Sign::AddressSpaceMissing => vec![(NodeLimits, Likely), (PageSize, Possible)],
        Sign::KernelTooOld => vec![(OldKernel, Certain)],
        // It may be a warning, or about a feature that the program can do without.
        Sign::CpuLevel if symptom.speaker == Speaker::Program => vec![(CpuLevel, Likely), (ProgramItself, Possible)],
        Sign::CpuLevel => vec![(CpuLevel, Certain)],
        Sign::PageSize => vec![(PageSize, Certain)],
        Sign::EmulatedLoaderMissing => {
            vec![(MissingLoader, Likely), (EmulatedLoader, Likely), (WrongArchitecture, Possible)]
        }
        Sign::EmulatorRefuses => vec![(WrongArchitecture, Likely), (Emulator, Possible)],
        Sign::EmulatorCrash => vec![(Emulator, Likely)],
        Sign::EmulatorNotRegistered => vec![(EmulatorNotRegistered, Likely)],
        Sign::EmulatorIncomplete => vec![(Emulator, Possible)],
        // sharp tries every build, and the CPU is why it refuses the one for this platform.
        Sign::PackageForeign if refuses_cpu(symptom.speaker, all) => Vec::new(),
        Sign::PackageForeign => vec![(ForeignPackage, Certain)],
        Sign::ModuleMissing => vec![(ForeignPackage, Likely), (MissingLibrary, Possible)],
        Sign::ArchitectureUnsupported => vec![(UnsupportedArchitecture, Likely), (ProgramItself, Possible)],
        Sign::PackageRefused => vec![(WrongArchitecture, Likely), (ForeignPackage, Possible)],
        Sign::IllegalInstruction => vec![(CpuLevel, Likely), (ProgramItself, Possible)],
        Sign::SegmentationFault => vec![(ProgramItself, Possible), (PageSize, Possible), (Truncated, Unlikely)],
        Sign::OutOfMemory => vec![(OutOfMemory, Certain)],
        Sign::BuildStepFailed => of_build(symptom),
        Sign::EmulatedStepFailed => of_emulated_build(symptom),
        Sign::Exited => of_reported_exit(symptom),
        Sign::BackOff | Sign::Unrelated => Vec::new(),
    }
}

/// Whether the message names a script. s6 and runit name a service's script without its directory.
fn is_script_of(symptom: &Symptom) -> bool {
    let path = symptom.path.as_deref();
    let is_supervisor = matches!(symptom.speaker, Speaker::S6 | Speaker::Runit);
    is_script(path) || is_supervisor && path.is_some_and(|path| matches!(base_name(path), "run" | "finish"))
}

/// Whether the message names a script, and not one of a base image.
fn is_own_script(symptom: &Symptom) -> bool {
    is_script_of(symptom) && !is_base_script(symptom.path.as_deref())
}

fn of_errno(errno: Errno, symptom: &Symptom, all: &[Symptom]) -> Vec<(Suspect, Likelihood)> {
    use Suspect::*;
    let path = symptom.path.as_deref();
    let is_mismatch = all.iter().any(|other| matches!(other.sign, Sign::PlatformMismatch | Sign::PlatformRefused));
    let is_build = all.iter().any(|other| other.sign == Sign::BuildStepFailed || is_builders(&other.line));
    match errno {
        Errno::ENOEXEC if is_mismatch => vec![(WrongArchitecture, Certain), (PinnedToOne, Possible)],
        // Without an emulator, the step's shell does not start. A file that this shell cannot start is another matter.
        Errno::ENOEXEC if is_build && (path.is_none() || is_shell(path) || is_runtime(symptom.speaker)) => {
            vec![(EmulatorMissing, Likely), (WrongArchitecture, Possible), (NotAProgram, Possible)]
        }
        // Ansible and git run text files that have an execute bit.
        Errno::ENOEXEC if path.is_some_and(is_data) && !is_runtime(symptom.speaker) => {
            vec![(NotAProgram, Likely), (WrongArchitecture, Unlikely)]
        }
        // Most images of which a runtime reports it are for another architecture: the kernel refuses the interpreter.
        Errno::ENOEXEC if is_own_script(symptom) && is_from_outside(symptom, all) => vec![
            (ForeignInterpreter, Likely),
            (NotAProgram, Likely),
            (WrongArchitecture, Possible),
            (PinnedToOne, Possible),
            (NodeCopy, Unlikely),
        ],
        Errno::ENOEXEC if is_own_script(symptom) => vec![
            (NotAProgram, Likely),
            (ForeignInterpreter, Likely),
            (WrongArchitecture, Possible),
            (NodeCopy, Unlikely),
        ],
        Errno::ENOEXEC => vec![
            (WrongArchitecture, Likely),
            (PinnedToOne, Possible),
            (NotAProgram, Possible),
            (No32Bit, Possible),
            (NodeCopy, Unlikely),
        ],
        Errno::ENOENT if path.is_some_and(|path| path.ends_with("\\r")) => vec![(CarriageReturn, Certain)],
        // Messages without a path are about scripts more often than about programs.
        Errno::ENOENT if path.is_none() || is_script_of(symptom) => vec![
            (CarriageReturn, Likely),
            (MissingInterpreter, Likely),
            (MissingLoader, Possible),
            (EmulatorOutside, Unlikely),
        ],
        Errno::ENOENT => vec![
            (MissingLoader, Likely),
            (MissingInterpreter, Possible),
            (CarriageReturn, Possible),
            (MissingProgram, Possible),
            (EmulatorOutside, Unlikely),
        ],
        Errno::EACCES => vec![(NoExecMount, Likely), (NotExecutable, Possible)],
        Errno::ELIBBAD => vec![(BadLoader, Certain)],
        Errno::EIO => vec![(Truncated, Likely), (NodeCopy, Possible)],
        Errno::ELOOP => vec![(ScriptNesting, Likely)],
        Errno::EPERM => vec![(Capabilities, Likely), (NoExecMount, Unlikely)],
        Errno::ENOTDIR | Errno::ENAMETOOLONG => vec![(MissingProgram, Likely)],
        Errno::EINVAL | Errno::ENOMEM | Errno::E2BIG => vec![(ProgramItself, Possible)],
    }
}

/// Keywords and commands of bash that dash takes for names of programs.
const BASH_WORDS: &[&str] = &[
    "[[",
    "source",
    "function",
    "declare",
    "typeset",
    "shopt",
    "pushd",
    "popd",
    "let",
    "mapfile",
    "readarray",
    "compgen",
];

/// A shell's "not found". PATH decides only for names without a slash; of a path it means that the file, its loader or
/// its interpreter is missing.
fn of_not_found(path: Option<&str>) -> Vec<(Suspect, Likelihood)> {
    use Suspect::*;
    // A shell that reads a binary as a script takes its bytes for names.
    let is_garbage =
        |path: &str| path.chars().all(|c| c == '?') || path.contains(|c: char| c.is_control() || c == '\u{fffd}');
    if path.is_some_and(is_garbage) {
        return vec![(WrongArchitecture, Likely), (NotAProgram, Possible)];
    }
    // A byte order mark before the first line's `#!` makes it a command.
    if path.is_some_and(|path| path.contains("#!")) {
        return vec![(NotAProgram, Likely)];
    }
    // A script for bash, which another shell reads.
    if path.is_some_and(|path| BASH_WORDS.contains(&path)) {
        return vec![(ProgramItself, Likely)];
    }
    let is_path = path.is_some_and(|path| path.contains('/'));
    match is_path {
        true if is_script(path) => {
            vec![(CarriageReturn, Likely), (MissingInterpreter, Likely), (MissingProgram, Possible)]
        }
        true => vec![(MissingLoader, Likely), (MissingProgram, Likely), (MissingInterpreter, Possible)],
        false => vec![(NotOnPath, Likely), (MissingLoader, Possible)],
    }
}

#[cfg(test)]
#[path = "rank_tests.rs"]
mod tests;
