//! The steps of a call from its first file to the program, and what the model notes on the way.

use std::collections::HashMap;

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
    pub followed: Followed,
    /// Programs that it may start and that cannot run, next to others that can.
    pub risks: Vec<Risk>,
    /// What it starts on the way and waits for: the programs that an entry script calls.
    pub visited: Vec<Step>,
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

/// How far a call was followed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Followed {
    /// To the program that it is for.
    #[default]
    Full,
    /// To here; what comes next depends on run time.
    Partial {
        /// `PATH:LINE` of a script, or a program's name.
        at: String,
        /// "names a program that is only known at run time"
        why: String,
    },
}

/// A program that a call may start, depending on run time, and that cannot run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Risk {
    pub outcome: Outcome,
    /// The files on the way to it from the script or supervisor that starts it.
    pub steps: Vec<Step>,
    /// The script or configuration that starts it, and the line there.
    pub by: String,
    pub line: usize,
    pub certainty: Certainty,
}

/// Whether a program is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certainty {
    /// A supervisor starts it.
    Certain,
    /// It depends on run time.
    Possible,
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

/// What was spent of a call's budget, and what it came to.
#[derive(Debug, Default)]
pub(crate) struct Budget {
    pub steps: usize,
    pub bytes: usize,
    pub nesting: usize,
    /// Where a script was not followed any further for its cost, and why.
    pub gave_up: Option<(String, String)>,
    /// Calls that were followed before, by everything that decides about them.
    pub memo: HashMap<u64, KnownCall>,
}

/// One call that a script makes, once it was followed.
#[derive(Clone, Debug)]
pub(crate) struct KnownCall {
    pub outcome: Outcome,
    pub steps: Vec<Step>,
    pub says: Vec<String>,
    pub followed: Followed,
}

/// What one run of the model notes on its way.
#[derive(Debug, Default)]
pub(crate) struct Log {
    pub steps: Vec<Step>,
    pub doubts: Vec<Cause>,
    /// The lines that loaders, shells and emulators print.
    pub says: Vec<String>,
    pub followed: Followed,
    /// A script becomes a program that runs, whatever else it may start.
    pub has_program: bool,
    pub risks: Vec<Risk>,
    pub visited: Vec<Step>,
    /// What following scripts has cost so far.
    pub budget: Budget,
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

impl Asked {
    pub(crate) fn merge(&mut self, other: Asked) {
        self.needs.iter_mut().zip(other.needs).for_each(|(own, other)| *own |= other);
        self.kernel |= other.kernel;
    }
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

    /// Notes that what comes next depends on run time, where and why. `None`: the outcome so far stands.
    pub(crate) fn open_end<T>(&mut self, at: impl Into<String>, why: impl Into<String>) -> Option<T> {
        self.followed = Followed::Partial { at: at.into(), why: why.into() };
        None
    }

    /// Notes a file that is read on the way and not executed.
    pub(crate) fn visit_file(&mut self, path: &str) {
        let (typed, link) = (path.to_string(), Link::Command(String::new()));
        self.visited.push(Step { typed, path: Some(path.to_string()), what: "read by a script".to_string(), link });
    }
}
