//! The steps of a call from its first file to the program, and what the model notes on the way.

use crate::exec::{Cause, CauseKind, Errno, Outcome};

/// What happens to a call, and the way there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    pub outcome: Outcome,
    /// The files on the way, in the order in which they are opened.
    pub steps: Vec<Step>,
    /// What speaks against a call that starts, without proving that it fails: a note, a page size that is not known.
    pub doubts: Vec<Cause>,
    /// The lines that loaders, shells and emulators on the way print on standard error.
    pub says: Vec<String>,
    pub ends: Ends,
    /// What a runtime's search comes to that is made as root, as crun's is, where nothing could be executed.
    pub as_root: AsRoot,
}

/// A search for the program as root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AsRoot {
    #[default]
    FindsNothing,
    Finds(String),
    /// Why the last file of that name was refused, and the errno.
    Refuses(CauseKind, Errno),
}

/// How far a trace saw.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Ends {
    /// To the program itself.
    #[default]
    Seen,
    /// To here: what comes next is decided at run time, and why.
    DecidedAtRunTime(String),
}

/// One file on the way to the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The path as the one before names it.
    pub typed: String,
    /// The file that it leads to, links followed. `None` where it leads nowhere, or out of the image.
    pub path: Option<String>,
    /// "ELF x86-64, dynamic", "script for /bin/sh".
    pub what: String,
    pub link: Link,
}

/// How a step was reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Link {
    /// The call itself names it.
    Call,
    /// The `#!` line of the step before.
    Shebang,
    /// PT_INTERP of the step before.
    Loader,
    /// The binfmt_misc handler of this name.
    Handler(String),
    /// The wrapper or script of this name starts it.
    Command(String),
}

/// What one run of the model notes on its way.
#[derive(Debug, Default)]
pub(crate) struct Log {
    pub steps: Vec<Step>,
    pub doubts: Vec<Cause>,
    /// The lines that loaders, shells and emulators print.
    pub says: Vec<String>,
    pub ends: Ends,
    /// The properties of the node that were asked for.
    pub asked: Asked,
    /// Whether files are opened with CAP_DAC_OVERRIDE, whoever the user is: until the first program runs.
    pub overrides: bool,
}

/// Properties of the node that a run of the model asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    /// In the order of [`Needs`](crate::platform::compat::Needs): ia32, x32, AArch32, compat.
    pub needs: [bool; 4],
    pub kernel: bool,
}

impl Log {
    pub(crate) fn doubt(&mut self, kind: CauseKind, text: String) {
        self.doubts.push(Cause { kind, text });
    }

    /// Notes the lines that were printed before `outcome`, and returns it.
    pub(crate) fn end(&mut self, outcome: Outcome, says: Vec<String>) -> Outcome {
        self.says.extend(says);
        outcome
    }

    /// Notes that what comes next is decided at run time, and why. `None`: the outcome so far stands.
    pub(crate) fn open_end(&mut self, why: impl Into<String>) -> Option<Outcome> {
        self.ends = Ends::DecidedAtRunTime(why.into());
        None
    }
}
