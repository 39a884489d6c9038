//! Judges the emulators of this machine from known facts, because an emulator can be registered and still not work.
//! Does not run programs.

use super::machine::{BuildHost, BuildxBuilder, Proof, Support};
use crate::platform::{Arch, Fact, Handler, Platform, binfmt};

/// How this machine's kernel handles programs of an architecture.
#[derive(Clone, Copy, Debug)]
pub enum Emulator<'a> {
    /// Not visible from here: the builder is on another machine, or has its own emulators.
    Unseen,
    /// No handler is registered for them.
    Absent,
    /// No fault is known. The trial states whether a program ran with it.
    Works(&'a Handler, Trial),
    Broken(&'a Handler, EmulatorFault),
}

/// Whether a program of the architecture ran on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trial {
    Ran,
    NotMade,
}

/// The fault of a registered emulator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EmulatorFault {
    /// The kernel could not start a program of this architecture with it.
    Refused,
    /// It started the program, which did not exit as expected.
    Ended,
    /// It lacks flag F, so the kernel looks for the interpreter inside the container.
    NotFixed,
    /// It is dynamically linked, so its loader is looked up inside the container.
    Dynamic,
}

/// Judges the emulator for `arch` on the machine that builds.
pub fn judge_emulator<'a>(machine: &'a BuildHost, builder: &BuildxBuilder, arch: Arch) -> Emulator<'a> {
    if !machine.builds_here(builder) {
        return Emulator::Unseen;
    }
    let Some(handlers) = &machine.handlers else { return Emulator::Unseen };
    let Some(handler) = handlers.iter().find(|handler| binfmt::takes_arch(handler, arch)) else {
        return Emulator::Absent;
    };
    let tried = machine.tried.iter().find(|(tried, _)| *tried == arch).map(|(_, ran)| *ran);
    let fault = match tried {
        Some(Fact::Known(false)) => Some(EmulatorFault::Refused),
        Some(Fact::Unknown) => Some(EmulatorFault::Ended),
        _ if !handler.fixed => Some(EmulatorFault::NotFixed),
        _ if handler.is_static == Fact::Known(false) => Some(EmulatorFault::Dynamic),
        _ => None,
    };
    let trial = if tried == Some(Fact::Known(true)) { Trial::Ran } else { Trial::NotMade };
    fault.map_or(Emulator::Works(handler, trial), |fault| Emulator::Broken(handler, fault))
}

/// Returns how the builder can build `platform`; `None` without a builder. Ignores claims that were refuted.
pub fn support(machine: &BuildHost, platform: &Platform) -> Option<Support> {
    let builder = machine.builder.as_ref().ok()?;
    match machine.proof(platform) {
        Some(Proof::Refused(_)) => Some(Support::Foreign),
        Some(Proof::Ran | Proof::Unknown(_)) | None => Some(unlisted(machine, builder, platform)),
    }
}

/// As [`BuildxBuilder::support`], but a platform that the builder does not list counts as emulated if its programs run on the
/// kernel of the builder: BuildKit's list is up to 20 s old. Source: moby/buildkit, util/archutil/detect.go.
fn unlisted(machine: &BuildHost, builder: &BuildxBuilder, platform: &Platform) -> Support {
    let support = builder.support(platform);
    let is_linux = platform.os == "linux";
    match (
        &support,
        platform.arch().filter(|_| is_linux).map(|arch| judge_emulator(machine, builder, arch)),
        builder.nodes.first(),
    ) {
        (Support::Foreign, Some(Emulator::Works(_, Trial::Ran)), Some(node)) if !node.platforms.is_empty() => {
            Support::Emulated { node: node.name.clone() }
        }
        _ => support,
    }
}

impl EmulatorFault {
    /// Describes the fault of `handler`, as a sentence without a period.
    pub fn text(self, handler: &Handler) -> String {
        let emulator = format!("the emulator {} ({})", handler.interpreter, flags(handler));
        match self {
            EmulatorFault::Refused => {
                format!("{emulator} is registered, but a program of this platform does not start with it")
            }
            EmulatorFault::Ended => {
                format!("{emulator} is registered, but a program of this platform does not run to completion with it")
            }
            EmulatorFault::NotFixed => format!("{emulator} is registered without flag F, so containers cannot find it"),
            EmulatorFault::Dynamic => {
                format!("{emulator} is dynamically linked, but containers do not have its loader")
            }
        }
    }
}

/// Formats the flags as the kernel prints them, such as `flags POF`.
pub fn flags(handler: &Handler) -> String {
    let set =
        [(handler.preserve_argv0, 'P'), (handler.open_binary, 'O'), (handler.credentials, 'C'), (handler.fixed, 'F')];
    let letters: String = set.iter().filter(|(is_set, _)| *is_set).map(|(_, letter)| letter).collect();
    if letters.is_empty() { "no flags".to_string() } else { format!("flags {letters}") }
}

/// Lists the handlers with their flags: `qemu-aarch64 (flags POF), qemu-arm (flags PF)`.
pub fn list(handlers: &[Handler]) -> String {
    let shown: Vec<String> = handlers.iter().map(|handler| format!("{} ({})", handler.name, flags(handler))).collect();
    if shown.is_empty() { "none registered".to_string() } else { shown.join(", ") }
}
