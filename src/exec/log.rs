//! The steps of a call from its first file to the program, and the facts that the model records on the way.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

use crate::exec::launch::made::MadePaths;
use crate::exec::{Cause, CauseKind, Errno, Outcome};

/// The outcome of a call and the steps that led to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    pub outcome: Outcome,
    /// The files in the order in which they are opened.
    pub steps: Vec<OpenedFile>,
    /// Evidence against a call that starts, short of proof: a note, an unknown page size.
    pub doubts: Vec<Cause>,
    /// Lines that loaders, shells and emulators print on stderr.
    pub says: Vec<String>,
    pub followed: Followed,
    /// Programs that it may start and that cannot run, although others can.
    pub risks: Vec<Risk>,
    /// Programs that it starts and waits for, such as the commands in an entry script.
    pub visited: Vec<OpenedFile>,
    /// Programs that cannot start, of which a script tests whether they do: `app-arm64 || app-amd64`.
    pub tried: Vec<OpenedFile>,
    /// Paths that its shell scripts pass to programs, each with the script.
    pub arguments: BTreeMap<String, String>,
    /// The lines with commands that its shell scripts run, by script.
    pub lines: BTreeMap<String, BTreeSet<usize>>,
    /// The result of a search as root, which is how crun searches, if no program could be executed.
    pub as_root: AsRoot,
}

/// The result of a search for the program as root.
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
    /// To the program that the call is for.
    #[default]
    Full,
    /// Up to here. The rest depends on run time.
    Partial {
        /// `PATH:LINE` of a script, or a program's name.
        at: String,
        /// "starts a program whose name is only known at run time"
        why: String,
    },
}

/// A program that cannot run and that a call may start, depending on run time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Risk {
    pub outcome: Outcome,
    /// The files opened from the script or supervisor to the program.
    pub steps: Vec<OpenedFile>,
    /// The script or configuration file that starts it, and the line number there.
    pub by: String,
    pub line: usize,
    pub certainty: Certainty,
}

/// Whether a program is sure to be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certainty {
    /// A supervisor starts it.
    Certain,
    /// It depends on run time.
    Possible,
}

/// One file opened on the way to the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenedFile {
    /// The path as the previous step names it.
    pub typed: String,
    /// The file that it resolves to, with symlinks followed. `None` if it does not exist or is outside the image.
    pub path: Option<String>,
    /// "ELF x86-64, dynamic", "script for /bin/sh".
    pub what: String,
    pub link: Link,
}

/// [`OpenedFile::what`] of a file that could not be opened.
pub(crate) const NOT_OPENED: &str = "cannot be opened";

impl OpenedFile {
    /// What the file is, for a finding; empty if it could not be opened.
    pub fn description(&self) -> &str {
        if self.what == NOT_OPENED { "" } else { &self.what }
    }
}

/// How a step was reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Link {
    /// The call itself names it.
    Call,
    /// The `#!` line of the previous step.
    Shebang,
    /// PT_INTERP of the previous step.
    Loader,
    /// The binfmt_misc handler of this name.
    Handler(String),
    /// The wrapper or script of this name starts it.
    Command(String),
}

/// The cost of following a call so far, and the results already known.
#[derive(Debug, Default)]
pub(crate) struct FollowBudget {
    pub steps: usize,
    pub bytes: usize,
    /// Steps that are kept for later services, and the steps when the current service started.
    pub reserved: usize,
    pub start: usize,
    pub nesting: usize,
    /// Where following a script stopped because of its cost, and why.
    pub gave_up: Option<(String, String)>,
    /// Calls already followed, keyed by a hash of everything that affects their outcome.
    pub memo: HashMap<u64, KnownCall>,
}

/// The result of following one call of a script.
#[derive(Clone, Debug)]
pub(crate) struct KnownCall {
    pub outcome: Outcome,
    pub steps: Vec<OpenedFile>,
    pub says: Vec<String>,
    pub followed: Followed,
    /// The paths that it made, if it was a script.
    pub made: Option<Rc<MadePaths>>,
}

/// Everything that one run of the model records.
#[derive(Debug, Default)]
pub(crate) struct Log {
    pub steps: Vec<OpenedFile>,
    pub doubts: Vec<Cause>,
    /// Lines that loaders, shells and emulators print.
    pub says: Vec<String>,
    pub followed: Followed,
    /// A script execs a program that runs, regardless of what else it may start.
    pub has_program: bool,
    pub risks: Vec<Risk>,
    pub visited: Vec<OpenedFile>,
    pub tried: Vec<OpenedFile>,
    pub arguments: BTreeMap<String, String>,
    pub lines: BTreeMap<String, BTreeSet<usize>>,
    /// The cost of following scripts so far.
    pub budget: FollowBudget,
    /// The paths that the last script made.
    pub made: Option<Rc<MadePaths>>,
    /// The node properties that were queried.
    pub asked: Asked,
    /// Whether files are opened with CAP_DAC_OVERRIDE, regardless of the user. Set until the first program runs.
    pub overrides: bool,
}

/// Node properties that a run of the model queried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    /// In the order of [`LoaderNeed`](crate::platform::compat::LoaderNeed): ia32, x32, AArch32, compat.
    pub needs: [bool; 4],
    pub kernel: bool,
}

impl Asked {
    pub(crate) fn merge(&mut self, other: Asked) {
        self.needs.iter_mut().zip(other.needs).for_each(|(own, other)| *own |= other);
        self.kernel |= other.kernel;
    }
}

/// Maximum number of arguments to record.
const ARGUMENTS: usize = 4096;

impl Log {
    /// Records a path that a script passes to a program.
    pub(crate) fn pass_argument(&mut self, path: String, script: &str) {
        if self.arguments.len() < ARGUMENTS {
            self.arguments.entry(path).or_insert_with(|| script.to_string());
        }
    }

    /// Records that a script runs a command on this line.
    pub(crate) fn run_line(&mut self, script: &str, line: usize) {
        match self.lines.get_mut(script) {
            Some(lines) => _ = lines.insert(line),
            None => _ = self.lines.insert(script.to_string(), BTreeSet::from([line])),
        }
    }

    /// Takes over what another run reached, and its budget.
    pub(crate) fn absorb(&mut self, other: &mut Log) {
        self.budget = std::mem::take(&mut other.budget);
        self.asked.merge(other.asked);
        self.visited.append(&mut other.visited);
        self.tried.append(&mut other.tried);
        for (path, script) in std::mem::take(&mut other.arguments) {
            self.pass_argument(path, &script);
        }
        for (script, lines) in std::mem::take(&mut other.lines) {
            self.lines.entry(script).or_default().extend(lines);
        }
    }

    pub(crate) fn doubt(&mut self, kind: CauseKind, text: String) {
        self.doubts.push(Cause { kind, text });
    }

    /// Records the lines that were printed before `outcome`, and returns it.
    pub(crate) fn end(&mut self, outcome: Outcome, says: Vec<String>) -> Outcome {
        self.says.extend(says);
        outcome
    }

    /// Records where and why the rest depends on run time. Returns `None`: the outcome so far is kept.
    pub(crate) fn open_end<T>(&mut self, at: impl Into<String>, why: impl Into<String>) -> Option<T> {
        self.followed = Followed::Partial { at: at.into(), why: why.into() };
        None
    }

    /// Records a file that is read but not executed.
    pub(crate) fn visit_file(&mut self, path: &str) {
        let (typed, link) = (path.to_string(), Link::Command(String::new()));
        self.visited.push(OpenedFile {
            typed,
            path: Some(path.to_string()),
            what: "read by a script".to_string(),
            link,
        });
    }
}
