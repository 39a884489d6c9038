//! Which suspects are behind what was seen, the likeliest first. Pure: symptoms and circumstances in, an order out.

use std::time::Duration;

use super::cause::{Likelihood, Suspect};
use super::message::Sign;
use super::recognise::Symptom;
use crate::exec::Errno;
use Likelihood::{Certain, Likely, Possible, Unlikely};

/// What is known beside the messages. Everything may be missing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Circumstances {
    pub exit_code: Option<i32>,
    /// From the container's start to its end.
    pub lifetime: Option<Duration>,
    /// Whether the container wrote anything; `None` where the log was not read.
    pub has_output: Option<bool>,
    /// The kubelet's word: `OOMKilled`, `StartError`, `Error`.
    pub reason: Option<String>,
}

/// A suspect, how likely it is, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ranked {
    pub suspect: Suspect,
    pub likelihood: Likelihood,
    /// What speaks for it, lower case.
    pub why: String,
}

/// A container that ends sooner never reached its own code: runtimes report a failed execve within this time, while a
/// kubelet's clock shows whole seconds.
const AT_ONCE: Duration = Duration::from_secs(1);

/// Every suspect that `symptoms` and `circumstances` leave, the likeliest first; each suspect once.
pub fn rank(symptoms: &[Symptom], circumstances: &Circumstances) -> Vec<Ranked> {
    let mut ranked: Vec<Ranked> = Vec::new();
    let mut add = |suspect, likelihood, why: String| match ranked.iter_mut().find(|known| known.suspect == suspect) {
        Some(known) if known.likelihood < likelihood => *known = Ranked { suspect, likelihood, why },
        Some(_) => {}
        None => ranked.push(Ranked { suspect, likelihood, why }),
    };
    let is_emulated =
        symptoms.iter().any(|symptom| is_emulators(symptom.sign) || symptom.line.contains("buildkit_qemu"));
    for symptom in symptoms {
        for (suspect, likelihood) in of_symptom(symptom, symptoms) {
            add(suspect, likelihood, format!("{} says {:?}", symptom.speaker, cut(&symptom.line)));
        }
    }
    // A death's bare code says less than any message, and nothing where a message said why.
    let is_explained = symptoms.iter().any(|symptom| symptom.sign != Sign::BackOff);
    if !is_explained {
        for (suspect, likelihood, why) in of_exit(circumstances) {
            add(suspect, likelihood, why);
        }
    }
    if is_emulated {
        add(Suspect::Emulator, Possible, "an emulator is at work".to_string());
    }
    // Stable: within a likelihood the order of the tables holds.
    ranked.sort_by_key(|entry| std::cmp::Reverse(entry.likelihood));
    ranked
}

fn is_emulators(sign: Sign) -> bool {
    matches!(sign, Sign::EmulatorCrash | Sign::EmulatorRefuses | Sign::EmulatedLoaderMissing)
}

/// A quotation that fits a line of a screen.
fn cut(line: &str) -> String {
    const CHARS: usize = 120;
    if line.chars().count() <= CHARS {
        line.to_string()
    } else {
        format!("{}...", line.chars().take(CHARS).collect::<String>())
    }
}

fn is_script(path: Option<&str>) -> bool {
    let name = path.unwrap_or("").rsplit('/').next().unwrap_or("");
    [".sh", ".bash", ".py", ".rb", ".pl", ".js"].iter().any(|end| name.ends_with(end)) || name.contains("entrypoint")
}

/// BuildKit's plain progress: `#12 0.213 exec /bin/sh: ...`, time stamps before it or not.
fn is_builders(line: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_digit() || c == '.');
    let mut words = line.split_whitespace();
    while let Some(word) = words.next() {
        if word.strip_prefix('#').is_some_and(is_number) {
            return words.next().is_some_and(is_number);
        }
    }
    false
}

fn of_symptom(symptom: &Symptom, all: &[Symptom]) -> Vec<(Suspect, Likelihood)> {
    use Suspect::*;
    let is_mismatch = all.iter().any(|other| other.sign == Sign::PlatformMismatch);
    let is_build = all.iter().any(|other| other.sign == Sign::BuildStepFailed || is_builders(&other.line));
    let path = symptom.path.as_deref();
    match symptom.sign {
        Sign::Exec(Errno::ENOEXEC) if is_mismatch => vec![(WrongArchitecture, Certain), (PinnedToOne, Possible)],
        Sign::Exec(Errno::ENOEXEC) if is_build => {
            vec![(EmulatorMissing, Likely), (WrongArchitecture, Possible), (NotAProgram, Possible)]
        }
        Sign::Exec(Errno::ENOEXEC) if is_script(path) => vec![
            (NotAProgram, Likely),
            (ForeignInterpreter, Likely),
            (WrongArchitecture, Possible),
            (NodeCopy, Unlikely),
        ],
        Sign::Exec(Errno::ENOEXEC) => vec![
            (WrongArchitecture, Likely),
            (PinnedToOne, Possible),
            (NotAProgram, Possible),
            (No32Bit, Possible),
            (NodeCopy, Unlikely),
        ],
        Sign::Exec(Errno::ENOENT) if path.is_some_and(|path| path.ends_with("\\r")) => vec![(CarriageReturn, Certain)],
        Sign::Exec(Errno::ENOENT) if is_script(path) => vec![
            (CarriageReturn, Likely),
            (MissingInterpreter, Likely),
            (MissingLoader, Possible),
            (EmulatorOutside, Unlikely),
        ],
        Sign::Exec(Errno::ENOENT) => vec![
            (MissingLoader, Likely),
            (MissingInterpreter, Possible),
            (CarriageReturn, Possible),
            (MissingProgram, Possible),
            (EmulatorOutside, Unlikely),
        ],
        Sign::Exec(Errno::EACCES) => vec![(NoExecMount, Likely), (NotExecutable, Possible)],
        Sign::Exec(Errno::ELIBBAD) => vec![(BadLoader, Certain)],
        Sign::Exec(Errno::EIO) => vec![(Truncated, Likely), (NodeCopy, Possible)],
        Sign::Exec(Errno::ELOOP) => vec![(ScriptNesting, Likely)],
        Sign::Exec(Errno::EPERM) => vec![(Capabilities, Likely), (NoExecMount, Unlikely)],
        Sign::Exec(Errno::ENOTDIR | Errno::ENAMETOOLONG) => vec![(MissingProgram, Likely)],
        Sign::Exec(Errno::EINVAL | Errno::ENOMEM | Errno::E2BIG) => vec![(ProgramItself, Possible)],
        Sign::FileBusy => vec![(FileBusy, Certain)],
        Sign::ProgramNotFound => vec![(MissingProgram, Certain)],
        Sign::NotOnPath => vec![(NotOnPath, Certain)],
        Sign::NotExecutable => vec![(NotExecutable, Certain)],
        Sign::NoPlatformInIndex => vec![(NoPlatform, Certain)],
        Sign::PlatformMismatch => vec![(WrongArchitecture, Likely), (PinnedToOne, Possible)],
        Sign::UnpackSkipped => vec![(MetadataDisagrees, Likely), (NodeCopy, Possible)],
        // A script with a fault of its own says the same.
        Sign::ProgramReadAsScript if is_script(path) => {
            vec![(ProgramItself, Likely), (CarriageReturn, Possible), (WrapperFallback, Unlikely)]
        }
        Sign::ProgramReadAsScript => {
            vec![(WrapperFallback, Likely), (BinaryAsScript, Possible), (NotAProgram, Unlikely)]
        }
        Sign::BadInterpreter => vec![(MissingInterpreter, Likely), (MissingLoader, Possible)],
        // "cannot create /x: Permission denied" is a redirection's.
        Sign::ShellDenied if path.is_some_and(|path| path.contains(' ')) => vec![(ProgramItself, Likely)],
        Sign::ShellDenied => vec![(NotExecutable, Likely), (NoExecMount, Possible)],
        Sign::InterpreterMissing if is_script(path) => vec![(MissingInterpreter, Likely), (MissingLoader, Possible)],
        Sign::InterpreterMissing => vec![(MissingLoader, Likely), (MissingInterpreter, Likely)],
        Sign::CarriageReturn => vec![(CarriageReturn, Certain)],
        // Old shells say so of a program whose loader is missing, too.
        Sign::CommandNotFound => vec![(NotOnPath, Likely), (MissingLoader, Possible)],
        Sign::LibraryMissing => vec![(MissingLibrary, Likely), (ForeignLibrary, Possible)],
        Sign::LibraryForeign => vec![(ForeignLibrary, Certain)],
        Sign::LibraryTruncated => vec![(Truncated, Likely), (NodeCopy, Possible)],
        Sign::SymbolVersion => vec![(OldLibc, Certain)],
        Sign::SymbolMissing => vec![(MixedLibc, Likely), (MissingLibrary, Possible)],
        Sign::CpuLevel => vec![(CpuLevel, Certain)],
        Sign::PageSize => vec![(PageSize, Certain)],
        Sign::EmulatedLoaderMissing => vec![(EmulatedLoader, Certain)],
        Sign::EmulatorRefuses => vec![(WrongArchitecture, Likely), (Emulator, Possible)],
        Sign::EmulatorCrash => vec![(Emulator, Likely)],
        Sign::PackageForeign => vec![(ForeignPackage, Certain)],
        Sign::IllegalInstruction => vec![(CpuLevel, Likely), (ProgramItself, Possible)],
        Sign::SegmentationFault => vec![(ProgramItself, Possible), (PageSize, Possible), (Truncated, Unlikely)],
        Sign::BuildStepFailed => of_build(symptom),
        Sign::BackOff => Vec::new(),
    }
}

/// BuildKit tells a failed step's exit code only.
fn of_build(symptom: &Symptom) -> Vec<(Suspect, Likelihood)> {
    let code = symptom.named.iter().find(|(name, _)| *name == "exit").map_or("", |(_, code)| code.as_str());
    match code {
        "255" => vec![(Suspect::EmulatorMissing, Possible), (Suspect::ProgramItself, Possible)],
        "132" => vec![(Suspect::CpuLevel, Possible), (Suspect::Emulator, Possible)],
        "134" | "139" => vec![(Suspect::Emulator, Possible), (Suspect::ProgramItself, Possible)],
        _ => vec![(Suspect::ProgramItself, Likely)],
    }
}

/// Exit codes without a message. Source: 128 + signal; runc `os.Exit(255)` since 1.2, 1 before; glibc ld.so `_exit(127)`;
/// containerd CRI's StartError 128.
fn of_exit(circumstances: &Circumstances) -> Vec<(Suspect, Likelihood, String)> {
    use Suspect::*;
    if circumstances.reason.as_deref() == Some("OOMKilled") {
        return vec![(OutOfMemory, Certain, "the kubelet's reason is OOMKilled".to_string())];
    }
    let Some(code) = circumstances.exit_code else { return Vec::new() };
    let is_quick = circumstances.lifetime.is_none_or(|lifetime| lifetime <= AT_ONCE);
    let is_silent = circumstances.has_output != Some(true);
    let suspects: &[(Suspect, Likelihood)] = match (code, is_quick && is_silent) {
        (0, _) => &[],
        (1 | 255, true) => &[(WrongArchitecture, Possible), (MissingLoader, Possible), (ProgramItself, Possible)],
        (2, true) => &[(WrapperFallback, Possible), (ProgramItself, Possible)],
        (126, _) => &[(NotExecutable, Likely), (WrongArchitecture, Possible)],
        (127, _) => &[(NotOnPath, Likely), (MissingLibrary, Possible), (CpuLevel, Possible)],
        (128, _) => &[(MissingProgram, Likely), (NotExecutable, Possible)],
        (132, _) => &[(CpuLevel, Likely), (ProgramItself, Possible)],
        (133 | 134, _) => &[(ProgramItself, Likely), (PageSize, Possible)],
        (137, _) => &[(OutOfMemory, Possible), (ProgramItself, Possible)],
        (139, true) => &[(PageSize, Likely), (Truncated, Possible), (ProgramItself, Possible)],
        (139, false) => &[(ProgramItself, Likely), (PageSize, Unlikely)],
        _ => &[(ProgramItself, Likely)],
    };
    let how = if is_quick && is_silent { ", at once and without a word" } else { "" };
    suspects.iter().map(|(suspect, likelihood)| (*suspect, *likelihood, format!("exit code {code}{how}"))).collect()
}

#[cfg(test)]
#[path = "rank_tests.rs"]
mod tests;
