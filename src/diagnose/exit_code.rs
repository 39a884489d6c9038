//! Suspects for exit codes and other circumstances, where no message gave the reason. Pure.

use std::time::Duration;

use super::cause::{Likelihood, Suspect};
use super::message::Speaker;
use super::pattern::Hole;
use super::symptom::Symptom;
use Likelihood::{Certain, Likely, Possible, Unlikely};

/// Facts in addition to the messages. Each may be missing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Circumstances {
    pub exit_code: Option<i32>,
    /// From the container's start to its end.
    pub lifetime: Option<Duration>,
    /// Whether the container wrote any output. `None` if the log was not read.
    pub has_output: Option<bool>,
    /// Whether the program printed something after an engine's warning that image and machine differ.
    pub goes_on: bool,
    /// The kubelet's reason: `OOMKilled`, `StartError`, `Error`.
    pub reason: Option<String>,
}

/// A container that ends within this time may not have reached its own code: runtimes report a failed execve within it,
/// and kubelets report whole seconds.
const AT_ONCE: Duration = Duration::from_secs(1);

fn exit_code(symptom: &Symptom) -> Option<i32> {
    symptom.named.iter().find(|(hole, _)| *hole == Hole::Exit).and_then(|(_, code)| code.parse().ok())
}

/// Suspects for a failed build step, of which BuildKit only reports the exit code.
pub fn of_build(symptom: &Symptom) -> Vec<(Suspect, Likelihood)> {
    match exit_code(symptom) {
        Some(255) => vec![(Suspect::EmulatorMissing, Possible), (Suspect::ProgramItself, Possible)],
        Some(132) => vec![(Suspect::CpuLevel, Possible), (Suspect::Emulator, Possible)],
        Some(134 | 139) => vec![(Suspect::Emulator, Possible), (Suspect::ProgramItself, Possible)],
        _ => vec![(Suspect::ProgramItself, Likely)],
    }
}

/// Suspects for a build step under the emulator. Only a death by signal or a failed exec points to the emulator.
pub fn of_emulated_build(symptom: &Symptom) -> Vec<(Suspect, Likelihood)> {
    match exit_code(symptom) {
        Some(132..=139) => vec![(Suspect::Emulator, Likely), (Suspect::ProgramItself, Possible)],
        Some(255) => vec![(Suspect::Emulator, Possible), (Suspect::ProgramItself, Possible)],
        _ => vec![(Suspect::ProgramItself, Likely)],
    }
}

/// Suspects for an exit code that a supervisor or an engine reports for a process. It is weaker evidence than the
/// container's own exit code.
pub fn of_reported_exit(symptom: &Symptom) -> Vec<(Suspect, Likelihood)> {
    use Suspect::*;
    match exit_code(symptom) {
        Some(0) => Vec::new(),
        // A command of a step in a job. The step itself ran.
        Some(126 | 127) if symptom.speaker == Speaker::Ci => vec![(ProgramItself, Possible)],
        Some(126) => vec![(NotExecutable, Possible), (WrongArchitecture, Possible)],
        Some(127) => vec![(NotOnPath, Possible), (MissingLibrary, Possible), (MissingLoader, Possible)],
        Some(132) => vec![(CpuLevel, Likely), (ProgramItself, Possible)],
        Some(137) => vec![(ProgramItself, Possible), (OutOfMemory, Possible)],
        _ => vec![(ProgramItself, Possible)],
    }
}

/// Suspects for an exit code without a message. Source: 128 + signal; runc `os.Exit(255)` since 1.2, 1 before; glibc
/// ld.so `_exit(127)`; containerd CRI's StartError 128.
pub fn of_exit(circumstances: &Circumstances) -> Vec<(Suspect, Likelihood, String)> {
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
    let how = if is_quick && is_silent { ", immediately and without output" } else { "" };
    suspects.iter().map(|(suspect, likelihood)| (*suspect, *likelihood, format!("exit code {code}{how}"))).collect()
}
