//! Files that a script's commands cannot open or execute.

use std::rc::Rc;

use super::ScriptInterpreter;
use super::state::{ExitStatus, FailedStart, ShellState};
use super::text::Truth;
use crate::exec::launch::shells::Shell;
use crate::exec::outcome::{Death, Outcome};
use crate::exec::{CauseKind, Errno, OpenedFile};
use crate::shell::{CommandKind, ShellCommand};

/// How a shell ends whose command the kernel refuses.
pub(super) fn refused_by_shell(outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Fails { errno, at, cause } => {
            let code = if errno == Errno::ENOENT { 127 } else { 126 };
            Outcome::Dies { death: Death::Exit(code), at, cause }
        }
        outcome => outcome,
    }
}

/// Directories for temporary files and data. Users often mount volumes there, or below.
const MOUNTED: &[&str] =
    &["/tmp", "/run", "/var/run", "/var/tmp", "/var/lib", "/srv", "/mnt", "/media", "/home", "/root"];

impl ScriptInterpreter<'_, '_, '_> {
    /// Whether a directory is absent, and no volume is likely to be mounted there: `/data` is, `/usr/local/app` is not.
    pub(super) fn is_lost_directory(&self, state: &ShellState, directory: &str) -> bool {
        let parent = |directory: &str| directory.rsplit_once('/').map_or("", |(parent, _)| parent).to_string();
        let mut outermost = directory.to_string();
        if !self.is_certainly_absent(state, &outermost) {
            return false;
        }
        while !parent(&outermost).is_empty() && self.is_certainly_absent(state, &parent(&outermost)) {
            outermost = parent(&outermost);
        }
        let is_below =
            |top: &str| outermost.strip_prefix(top).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        !parent(&outermost).is_empty() && !MOUNTED.iter().any(|top| is_below(top))
    }

    /// The end of `.` with a file that does not exist. It ends dash and BusyBox's shell.
    pub(super) fn absent_source(
        &mut self,
        state: ShellState,
        text: String,
        line: usize,
        is_tested: bool,
    ) -> Vec<ShellState> {
        let code = if self.kind.is_bash() { 1 } else { 2 };
        let error = (code, CauseKind::MissingScript, text);
        if self.kind.is_bash() {
            let status = self.own_failure(error, line, is_tested);
            return vec![ShellState { status, ..state }];
        }
        self.refuse(&state, error, line);
        Vec::new()
    }

    /// The end of a command whose file could not be opened: it does not run. In dash and BusyBox, an error of a special
    /// builtin ends the shell. Seen with bash 5.2, dash 0.5.12 and BusyBox 1.35.
    pub(super) fn refused_file(
        &mut self,
        state: ShellState,
        command: &ShellCommand,
        (kind, text): (CauseKind, String),
        is_tested: bool,
    ) -> Vec<ShellState> {
        let is_special = matches!(&command.kind, CommandKind::Simple(simple)
            if simple.words.first().and_then(|word| word.bare()).is_some_and(|name| matches!(name, "exec" | ":" | "." | "eval" | "set" | "export")));
        let code = if self.kind.is_bash() || self.kind == Shell::Busybox { 1 } else { 2 };
        if is_special && !self.kind.is_bash() {
            self.refuse(&state, (code, kind, text), command.line);
            return Vec::new();
        }
        let status = self.own_failure((code, kind, text), command.line, is_tested);
        vec![ShellState { status, ..state }]
    }

    /// Returns the status of a program that could not run.
    pub(super) fn failed(
        &self,
        outcome: Outcome,
        steps: Vec<OpenedFile>,
        says: Vec<String>,
        line: usize,
        is_tested: bool,
    ) -> ExitStatus {
        if matches!(outcome, Outcome::Unknown { .. }) {
            return ExitStatus::from_truth(Truth::Maybe);
        }
        let code = match outcome {
            Outcome::Dies { death: Death::Exit(code), .. } => Some(code),
            Outcome::Dies { death: Death::Signal(signal), .. } => Some(signal.saturating_add(128)),
            _ => None,
        };
        let blame = FailedStart { outcome, steps, says, line, is_tested, is_query: false };
        // A program that exits with success did not make the script fail.
        let truth = if code == Some(0) { Truth::Maybe } else { Truth::No };
        ExitStatus { truth, code, blame: Some(Rc::new(blame)), open: None }
    }
}
