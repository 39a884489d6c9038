//! An abstract interpreter of sh and bash scripts, as far as entry scripts use these languages. Values are texts that
//! may have unknown parts. If a condition is not known, both branches are followed. Stays within its budget for every
//! text, and never guesses the name of a program.

mod assign;
mod builtin;
mod command;
mod compound;
mod conditions;
mod dialect;
mod directories;
mod ending;
mod expand;
mod expression;
mod files;
mod filters;
mod installers;
mod lines;
mod making;
mod modes;
mod numbers;
mod options;
mod pattern;
mod print;
mod read;
mod refused;
mod run;
mod sed;
mod state;
mod text;
mod tools;
mod unknown;
mod variables;

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::exec::kernel::access::{self, Who};
use crate::exec::kernel::binfmt::ExecMachine;
use crate::exec::launch::shells::Shell;
use crate::exec::launch::walk::{ShellText, StartWalk};
use crate::exec::log::Log;
use crate::exec::outcome::{Death, Outcome};
use crate::exec::{Cause, CauseKind};
use crate::platform::Arch;
use crate::shell;

pub(crate) use text::HOLE as UNKNOWN_TEXT;

use ending::Ending;
pub(crate) use files::kept_text;
use state::{ShellState, ShellValue, Var};
use text::{HOLE, Truth};
pub(crate) use text::{clean, is_known};
pub(crate) use tools::is_harmless;

/// Whether a text with unknown parts may be equal to this one.
pub(crate) fn may_be(holed: &str, text: &str) -> bool {
    text::equal(holed, text) != Truth::No
}

/// Returns a text without the marks of its parts.
pub(crate) fn plain_text(text: &str) -> String {
    text::plain(text)
}

/// Whether a text has its value only if the user sets no variable that the image leaves unset.
pub(crate) fn is_changeable(text: &str) -> bool {
    text::is_soft(text)
}

/// Whether a file's name matches a pattern.
pub(crate) fn fits(glob: &str, name: &str) -> bool {
    let tokens = pattern::pattern(&[(glob.to_string(), false)]);
    tokens.is_some_and(|tokens| pattern::matches(&tokens, name) == Truth::Yes)
}

/// A text that is completely unknown.
pub(crate) const UNKNOWN: char = HOLE;

/// Maximum number of commands that are run for one call. Starting a program counts as [`START_STEPS`].
pub(crate) const MAX_STEPS: usize = 20_000;
/// The cost of starting a program, in steps of [`MAX_STEPS`].
const START_STEPS: usize = 20;
/// Maximum number of bytes of text that are created for one call.
const MAX_BYTES: usize = 4 << 20;
/// Maximum number of bytes of one value.
const MAX_TEXT: usize = 64 << 10;
/// Number of comparisons of a pattern's element with a character that cost one of [`MAX_STEPS`].
const STEP_COMPARISONS: usize = 4096;
/// The cost of compiling a regular expression, in steps.
const EXPRESSION_STEPS: usize = 100;
/// Maximum number of branches of a script that are kept apart.
const MAX_BRANCHES: usize = 4;
/// Maximum number of iterations of a loop over known values.
const MAX_TURNS: usize = 128;
/// Maximum nesting of commands, functions and scripts.
const MAX_NESTING: usize = 48;

/// A script's syntax tree and its name in messages.
#[derive(Debug)]
pub(crate) struct ScriptSource {
    script: shell::ShellScript,
    path: String,
    from: ShellText,
    /// The line of the first syntax error, if CRLF line ends cause it.
    line_ends: Option<usize>,
}

/// The start of a shell on a text.
pub(crate) struct ShellCall<'c> {
    pub text: &'c str,
    /// `$0` and the words after it.
    pub arguments: &'c [String],
    pub kind: Shell,
    /// The shell's name in messages.
    pub label: &'c str,
    pub ends_on_error: bool,
    pub from: ShellText,
}

struct ScriptInterpreter<'m, 'a, 'l> {
    machine: &'m ExecMachine<'a>,
    log: &'l mut Log,
    kind: Shell,
    walk: &'m StartWalk,
    /// The architecture that `uname -m` and the like print.
    arch: Arch,
    /// The script whose commands run. For a function, it is the script that defines it.
    source: Rc<ScriptSource>,
    endings: Vec<Ending>,
    /// Where it started a program whose name is not known, and why.
    vague: Option<(String, String)>,
    /// The last failure after which a script continued.
    passed: Option<Rc<state::FailedStart>>,
    /// The file that the current test found not executable.
    not_executable: Option<(String, u16)>,
}

impl ExecMachine<'_> {
    /// Follows a shell's text. `None` if the programs that it starts run.
    pub(crate) fn interpret(&self, log: &mut Log, call: &ShellCall<'_>, walk: &StartWalk) -> Option<Outcome> {
        if log.budget.nesting >= MAX_NESTING || log.budget.left() == 0 {
            return log.open_end(call.label.to_string(), "its scripts are nested too deeply to follow");
        }
        log.budget.bytes += call.text.len();
        let script = shell::parse(call.text);
        let line_ends = dialect::line_ends_fault(call.text, &script);
        let source = Rc::new(ScriptSource { script, path: call.label.to_string(), from: call.from, line_ends });
        let (endings, vague) = self.endings(log, call, walk, &source, self.node.arch);
        if let Some(outcome) = self.refusal(log, call, walk, &source, &endings) {
            return Some(outcome);
        }
        // What a script is for may be any program that it starts, if it execs none.
        let execs = endings.iter().any(ending::Ending::is_exec);
        let outcome = ending::combined(log, endings, &source.path);
        if let (None, Some((at, why)), false) = (&outcome, vague, execs) {
            log.open_end::<()>(at, &why);
        }
        if let (None, Some((at, why))) = (&outcome, log.budget.gave_up.clone()) {
            log.open_end::<()>(at, why);
        }
        outcome
    }

    /// Interprets a script for a machine whose name, as `uname -m` prints it, is that of `arch`. Also returns where it
    /// started a program whose name is not known.
    fn endings(
        &self,
        log: &mut Log,
        call: &ShellCall<'_>,
        walk: &StartWalk,
        source: &Rc<ScriptSource>,
        arch: Arch,
    ) -> (Vec<Ending>, Option<(String, String)>) {
        let mut interpreter = ScriptInterpreter {
            machine: self,
            log,
            kind: call.kind,
            walk,
            arch,
            source: Rc::clone(source),
            endings: Vec::new(),
            passed: None,
            not_executable: None,
            vague: None,
        };
        let states = interpreter.source(self.first_state(call, walk));
        interpreter.fall_off(states);
        (interpreter.endings, interpreter.vague)
    }

    /// The end of a script that ends itself on this architecture, but not on another one.
    fn refusal(
        &self,
        log: &mut Log,
        call: &ShellCall<'_>,
        walk: &StartWalk,
        source: &Rc<ScriptSource>,
        endings: &[Ending],
    ) -> Option<Outcome> {
        let (code, ending) = ending::own_exit(endings)?;
        let mut trial = Log { budget: std::mem::take(&mut log.budget), ..Log::default() };
        let mut others = [Arch::Amd64, Arch::Arm64].into_iter().filter(|arch| *arch != self.node.arch);
        let knows = others.find(|arch| {
            let (endings, _) = self.endings(&mut trial, call, walk, source, *arch);
            !endings.is_empty() && ending::own_exit(&endings).is_none()
        });
        log.budget = trial.budget;
        let (own, other) = (self.node.arch.row().uname[0], knows?.row().uname[0]);
        let text = format!(
            "it exits with code {code} at line {} because the machine is {own}; on {other} it goes on",
            ending.line
        );
        if is_known(&ending.logged) && !ending.logged.is_empty() {
            log.says.push(plain_text(&ending.logged));
        }
        let cause = Cause { kind: CauseKind::RefusedArchitecture, text };
        Some(Outcome::Dies { death: Death::Exit(code), at: source.path.clone(), cause })
    }

    fn first_state(&self, call: &ShellCall<'_>, walk: &StartWalk) -> ShellState {
        let mut vars = BTreeMap::new();
        for line in &walk.env {
            if let Some((name, value)) = line.split_once('=') {
                let value = Some(ShellValue::Text(value.to_string()));
                vars.insert(name.to_string(), Var { value, is_exported: true });
            }
        }
        let args = call.arguments.iter().skip(1).cloned().collect();
        ShellState {
            vars: Rc::new(vars),
            zero: call.arguments.first().map_or("", String::as_str).into(),
            args: Rc::new(args),
            cwd: Some(String::from_utf8_lossy(&self.cwd.path(self.rootfs)).as_ref().into()),
            ends_on_error: call.ends_on_error,
            is_open: walk.is_open,
            keeps_programs: walk.keeps_programs,
            expands_aliases: !call.kind.is_bash(),
            made: Rc::clone(&walk.made),
            ..ShellState::default()
        }
    }
}

impl ScriptInterpreter<'_, '_, '_> {
    /// `id -u`
    fn user_number(&self) -> String {
        match (&self.walk.user, &self.machine.who) {
            (Some(user), _) => user.clone(),
            (None, Who::Root) => "0".to_string(),
            (None, Who::User { uid, .. }) => uid.to_string(),
            (None, Who::Unknown) => HOLE.to_string(),
        }
    }

    /// Returns the home directory that runtimes set from /etc/passwd.
    fn home(&self) -> String {
        let number = self.user_number();
        let passwd = access::config(self.machine.rootfs, "/etc/passwd").unwrap_or_default();
        let row = passwd
            .lines()
            .map(|line| line.split(':').collect::<Vec<_>>())
            .find(|row| row.get(2) == Some(&number.as_str()));
        row.and_then(|row| row.get(5).map(|home| clean(home))).unwrap_or(HOLE.to_string())
    }
}

#[cfg(test)]
#[path = "interpret_tests.rs"]
mod tests;
