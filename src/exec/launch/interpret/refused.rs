//! Files that a script's commands cannot open or execute.

use super::ScriptInterpreter;
use super::state::ShellState;
use crate::exec::launch::shells::Shell;
use crate::exec::outcome::{Death, Outcome};
use crate::exec::{CauseKind, Errno};
use crate::shell::{CommandKind, ShellCommand};

/// Whether a directory is for temporary files, which users often mount.
pub(super) fn is_scratch(directory: &str) -> bool {
    ["/tmp", "/run", "/var/run", "/var/tmp"]
        .iter()
        .any(|top| directory.strip_prefix(top).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
}

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

impl ScriptInterpreter<'_, '_, '_> {
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
}
