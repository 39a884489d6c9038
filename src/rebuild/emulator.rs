//! What is known of an emulator on this machine: registered is not working. Facts in, sentences out; nothing is tried
//! here.

use super::machine::{Builder, Machine};
use crate::platform::{Arch, Fact, Handler, binfmt};

/// What this machine's kernel says about the programs of an architecture.
#[derive(Clone, Copy, Debug)]
pub enum Emulator<'a> {
    /// Not to be seen from here: the builder is elsewhere, or it has emulators of its own.
    Unseen,
    /// No handler takes them.
    Absent,
    /// Nothing speaks against it, and whether a program was run with it.
    Works(&'a Handler, Trial),
    Broken(&'a Handler, Fault),
}

/// Whether a program of the architecture was run on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trial {
    Ran,
    NotMade,
}

/// What is wrong with an emulator that is registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The kernel could not start a program of this architecture with it.
    Refused,
    /// It started the program, which did not end as it should.
    Ended,
    /// Without flag F the interpreter is looked for inside the container.
    NotFixed,
    /// Its loader is looked for inside the container.
    Dynamic,
}

/// `programs of arch` on the machine that builds.
pub fn of<'a>(machine: &'a Machine, builder: &Builder, arch: Arch) -> Emulator<'a> {
    let is_here = machine.daemon.as_ref().is_ok_and(|daemon| daemon.is_here) && builder.is_at_daemon();
    if !is_here {
        return Emulator::Unseen;
    }
    let Some(handlers) = &machine.handlers else { return Emulator::Unseen };
    let Some(handler) = handlers.iter().find(|handler| binfmt::takes_arch(handler, arch)) else {
        return Emulator::Absent;
    };
    let tried = machine.tried.iter().find(|(tried, _)| *tried == arch).map(|(_, ran)| *ran);
    let fault = match tried {
        Some(Fact::Known(false)) => Some(Fault::Refused),
        Some(Fact::Unknown) => Some(Fault::Ended),
        _ if !handler.fixed => Some(Fault::NotFixed),
        _ if handler.is_static == Fact::Known(false) => Some(Fault::Dynamic),
        _ => None,
    };
    let trial = if tried == Some(Fact::Known(true)) { Trial::Ran } else { Trial::NotMade };
    fault.map_or(Emulator::Works(handler, trial), |fault| Emulator::Broken(handler, fault))
}

impl Fault {
    /// What is wrong with `handler`, in a sentence without a period.
    pub fn text(self, handler: &Handler) -> String {
        let emulator = format!("the emulator {} ({})", handler.interpreter, flags(handler));
        match self {
            Fault::Refused => {
                format!("{emulator} is registered, but a program of this platform does not start with it")
            }
            Fault::Ended => {
                format!("{emulator} is registered, but a program of this platform does not run to its end with it")
            }
            Fault::NotFixed => format!("{emulator} is registered without flag F: a container does not see it"),
            Fault::Dynamic => format!("{emulator} is linked dynamically: a container does not have its loader"),
        }
    }
}

/// `flags POF`, as the kernel prints them.
pub fn flags(handler: &Handler) -> String {
    let set =
        [(handler.preserve_argv0, 'P'), (handler.open_binary, 'O'), (handler.credentials, 'C'), (handler.fixed, 'F')];
    let letters: String = set.iter().filter(|(is_set, _)| *is_set).map(|(_, letter)| letter).collect();
    if letters.is_empty() { "no flags".to_string() } else { format!("flags {letters}") }
}

/// Every handler with its flags: `qemu-aarch64 (flags POF), qemu-arm (flags PF)`.
pub fn list(handlers: &[Handler]) -> String {
    let shown: Vec<String> = handlers.iter().map(|handler| format!("{} ({})", handler.name, flags(handler))).collect();
    if shown.is_empty() { "none is registered".to_string() } else { shown.join(", ") }
}
