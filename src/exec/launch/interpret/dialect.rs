//! What dash and BusyBox's ash refuse of bash's language. Seen with dash 0.5.12 and BusyBox 1.35.

use std::rc::Rc;

use super::ScriptInterpreter;
use super::ending::ScriptEnd;
use super::state::{ExitStatus, FailedStart, ShellState};
use super::text::Truth;
use crate::exec::launch::shells::Shell;
use crate::exec::outcome::{Death, Outcome};
use crate::exec::{Cause, CauseKind};
use crate::shell::{
    ArmEnd, AssignedValue, Assignment, CommandKind, CommandList, FunctionStyle, Item, Operation, Redirect,
    RedirectKind, ShellCommand, Simple, WordPart,
};

/// Builtins of bash that neither dash nor BusyBox has.
const OF_BASH: &[&str] = &["declare", "typeset", "shopt", "mapfile", "readarray", "pushd", "popd"];
/// Builtins of bash that only BusyBox has, too.
const NOT_IN_DASH: &[&str] = &["source", "let"];

/// The shells whose language is a part of bash's.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Dialect {
    Dash,
    Busybox,
}

impl Dialect {
    fn of(shell: Shell) -> Option<Dialect> {
        match shell {
            Shell::Dash => Some(Dialect::Dash),
            Shell::Busybox => Some(Dialect::Busybox),
            Shell::Bash(_) | Shell::Other => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Dialect::Dash => "dash",
            Dialect::Busybox => "BusyBox's ash",
        }
    }

    /// Whether a builtin of bash is not one of this shell.
    fn lacks(self, builtin: &str) -> bool {
        OF_BASH.contains(&builtin) || self == Dialect::Dash && NOT_IN_DASH.contains(&builtin)
    }

    /// Returns the construct in a word that ends the shell with `Bad substitution`.
    fn bad_substitution(self, parts: &[WordPart]) -> Option<&'static str> {
        parts.iter().find_map(|part| match part {
            WordPart::DoubleQuoted(inner) => self.bad_substitution(inner),
            WordPart::Parameter(parameter) => match &parameter.operation {
                _ if parameter.is_indirect => Some("${!NAME}"),
                _ if parameter.index.is_some() => Some("an array"),
                Operation::Case { .. } => Some("${NAME^^}"),
                Operation::Other => Some("${NAME@Q}"),
                Operation::Substring { .. } if self == Dialect::Dash => Some("${NAME:OFFSET}"),
                Operation::Replace { .. } if self == Dialect::Dash => Some("${NAME/PATTERN/TEXT}"),
                Operation::Substring { .. } | Operation::Replace { .. } => None,
                Operation::Plain | Operation::Default { .. } | Operation::Trim { .. } => None,
            },
            WordPart::Literal(_) | WordPart::Quoted(_) => None,
            // A substitution runs in a subshell.
            WordPart::Command(_) | WordPart::Arithmetic(_) | WordPart::Process(_) => None,
        })
    }

    fn in_list(self, list: &CommandList) -> Option<(usize, &'static str)> {
        list.items.iter().find_map(|item| self.in_item(item))
    }

    /// Returns the first construct that is a syntax error, and its line.
    fn in_item(self, item: &Item) -> Option<(usize, &'static str)> {
        let pipelines = std::iter::once(&item.first).chain(item.rest.iter().map(|(_, pipeline)| pipeline));
        pipelines.flat_map(|pipeline| &pipeline.commands).find_map(|command| self.in_command(command))
    }

    fn in_command(self, command: &ShellCommand) -> Option<(usize, &'static str)> {
        if command.redirects.iter().any(|redirect| redirect.kind == RedirectKind::HereString) {
            return Some((command.line, "<<<"));
        }
        let is_process = |redirect: &Redirect| matches!(redirect.target.parts.as_slice(), [WordPart::Process(_), ..]);
        if self == Dialect::Dash && command.redirects.iter().any(is_process) {
            return Some((command.line, "<(...)"));
        }
        match &command.kind {
            CommandKind::Simple(simple) => self.in_simple(simple).map(|what| (command.line, what)),
            CommandKind::Group(list) | CommandKind::Subshell(list) => self.in_list(list),
            CommandKind::If { branches, otherwise } => branches
                .iter()
                .find_map(|(condition, body)| self.in_list(condition).or_else(|| self.in_list(body)))
                .or_else(|| otherwise.as_ref().and_then(|list| self.in_list(list))),
            CommandKind::Loop { condition, body, .. } => self.in_list(condition).or_else(|| self.in_list(body)),
            CommandKind::For { body, .. } => self.in_list(body),
            CommandKind::ForArithmetic { .. } => Some((command.line, "for ((...))")),
            CommandKind::Case { arms, .. } => arms.iter().find_map(|arm| match arm.end {
                ArmEnd::Leave => self.in_list(&arm.body),
                ArmEnd::FallThrough => Some((command.line, ";&")),
                ArmEnd::TryNext => Some((command.line, ";;&")),
            }),
            CommandKind::Function { body, style, .. } => match (self, style) {
                (Dialect::Dash, FunctionStyle::KeywordAndParentheses) => Some((command.line, "function NAME()")),
                _ => self.in_command(body),
            },
            CommandKind::Test(_) | CommandKind::Arithmetic(_) => None,
        }
    }

    fn in_simple(self, simple: &Simple) -> Option<&'static str> {
        let is_array = |assignment: &Assignment| matches!(assignment.value, AssignedValue::Array(_));
        if simple.assignments.iter().chain(&simple.declared).any(is_array) {
            return Some("an array");
        }
        let is_process = |part: &WordPart| matches!(part, WordPart::Process(_));
        let has_process = simple.words.iter().any(|word| word.parts.iter().any(is_process));
        (self == Dialect::Dash && has_process).then_some("<(...)")
    }
}

impl ScriptInterpreter<'_, '_, '_> {
    /// Runs a script's list up to the first command that the shell cannot parse. The shell ends there.
    pub(super) fn whole(&mut self, states: Vec<ShellState>, list: &CommandList, is_tested: bool) -> Vec<ShellState> {
        let dialect = Dialect::of(self.kind);
        let found = dialect.and_then(|dialect| {
            let at = list.items.iter().position(|item| dialect.in_item(item).is_some())?;
            Some((dialect, at, dialect.in_item(&list.items[at])?))
        });
        let Some((dialect, at, (line, what))) = found else { return self.list(states, list, is_tested) };
        let before = CommandList { items: list.items[..at].to_vec() };
        let mut rest = Vec::new();
        for state in self.list(states, &before, false) {
            if state.flow != super::state::ScriptFlow::Next {
                rest.push(state);
                continue;
            }
            let text = format!("line {line} uses {what} of bash, which is a syntax error in {}", dialect.name());
            self.refuse(&state, (2, CauseKind::ShellDialect, text), line);
        }
        rest
    }

    /// Ends the shell with its own error.
    pub(super) fn refuse(&mut self, state: &ShellState, (code, kind, text): (u8, CauseKind, String), line: usize) {
        let status = self.own_failure((code, kind, text), line, false);
        self.end(state, ScriptEnd::Quits(status), line);
    }

    /// The status after an error of the shell itself.
    pub(super) fn own_failure(
        &self,
        (code, kind, text): (u8, CauseKind, String),
        line: usize,
        is_tested: bool,
    ) -> ExitStatus {
        // The text of `eval` has no path.
        let at = self.source.path.split(" (line ").next().unwrap_or_default().to_string();
        let outcome = Outcome::Dies { death: Death::Exit(code), at, cause: Cause { kind, text } };
        let blame = FailedStart { outcome, steps: Vec::new(), says: Vec::new(), line, is_tested, is_query: false };
        ExitStatus { truth: Truth::No, code: Some(code), blame: Some(Rc::new(blame)), open: None }
    }

    /// Whether an expansion in one of these words ends the shell. Records its end.
    pub(super) fn refuses_words<'w>(
        &mut self,
        state: &ShellState,
        words: impl IntoIterator<Item = &'w crate::shell::ShellWord>,
        line: usize,
    ) -> bool {
        let Some(dialect) = Dialect::of(self.kind) else { return false };
        let Some(what) = words.into_iter().find_map(|word| dialect.bad_substitution(&word.parts)) else { return false };
        let text = format!("line {line} uses {what} of bash, which is a bad substitution in {}", dialect.name());
        self.refuse(state, (2, CauseKind::ShellDialect, text), line);
        true
    }

    /// The status of a builtin or keyword of bash that this shell does not have. `None` if it has it.
    pub(super) fn lacks_builtin(
        &self,
        name: &str,
        words: &[String],
        line: usize,
        is_tested: bool,
    ) -> Option<ExitStatus> {
        let dialect = Dialect::of(self.kind)?;
        let has = |letters: &[char]| words.iter().any(|word| word.starts_with('-') && word.contains(letters));
        let code = match name {
            "[[" if dialect == Dialect::Busybox => return None,
            "[[" | "((" | "+=" | "function" => 127,
            builtin if dialect.lacks(builtin) => 127,
            "read" if has(&['a']) || dialect == Dialect::Dash && has(&['d', 'n', 'N', 't', 'u']) => 2,
            "printf" if dialect == Dialect::Dash && words.first().is_some_and(|word| word == "-v") => 2,
            "trap" if dialect == Dialect::Dash && words.iter().skip(1).any(|word| is_signal_of_bash(word)) => 1,
            _ => return None,
        };
        let what = match code {
            127 => name.to_string(),
            _ => format!("{name} {}", words.join(" ")),
        };
        let text = format!("line {line} uses {what} of bash, which {} does not have", dialect.name());
        Some(self.own_failure((code, CauseKind::ShellDialect, text), line, is_tested))
    }

    /// The status of `[[` or `((`, if this shell does not have it.
    pub(super) fn lacks_keyword(&self, kind: &CommandKind, line: usize, is_tested: bool) -> Option<ExitStatus> {
        match kind {
            CommandKind::Test(_) => self.lacks_builtin("[[", &[], line, is_tested),
            CommandKind::Arithmetic(_) => self.lacks_builtin("((", &[], line, is_tested),
            _ => None,
        }
    }

    /// Whether options of a special builtin end the shell. Records its end.
    pub(super) fn refuses_options(&mut self, state: &ShellState, name: &str, words: &[String], line: usize) -> bool {
        let Some(dialect) = Dialect::of(self.kind) else { return false };
        let is_option = |word: &String| word.starts_with('-') && word.len() > 1;
        let what = match name {
            "set" if dialect == Dialect::Dash && words.iter().any(|word| word == "pipefail") => "set -o pipefail",
            "local" if words.first().is_some_and(is_option) => "local with options",
            _ => return false,
        };
        let text = format!("line {line} uses {what} of bash, at which {} exits", dialect.name());
        self.refuse(state, (2, CauseKind::ShellDialect, text), line);
        true
    }

    /// Whether `test` has an operator of bash that this shell reports as an error.
    pub(super) fn refuses_operator(&self, words: &[String]) -> bool {
        self.kind == Shell::Dash && words.iter().any(|word| word == "==")
    }

    /// `function NAME { ... }` in dash: it looks for a program of that name, runs the body, and ends at its last brace.
    pub(super) fn runs_function_now(
        &mut self,
        state: ShellState,
        body: &ShellCommand,
        line: usize,
        is_tested: bool,
    ) -> Vec<ShellState> {
        let status = self.lacks_builtin("function", &[], line, is_tested);
        if state.ends_on_error && !is_tested {
            self.end(&state, ScriptEnd::Quits(status.unwrap_or(ExitStatus::from_truth(Truth::No))), line);
            return Vec::new();
        }
        for state in self.command(state, body, is_tested) {
            let text = format!("line {line} uses function of bash, which is a syntax error in dash");
            self.refuse(&state, (2, CauseKind::ShellDialect, text), line);
        }
        Vec::new()
    }
}

/// Whether `trap` knows this condition only in bash.
fn is_signal_of_bash(word: &str) -> bool {
    matches!(word, "ERR" | "DEBUG" | "RETURN") || word.starts_with("SIG")
}

/// Returns the line of the first syntax error that the carriage returns of a text with CRLF line ends cause.
pub(super) fn line_ends_fault(text: &str, script: &crate::shell::ShellScript) -> Option<usize> {
    let error = script.errors.first()?;
    let is_due = text.contains("\r\n") && crate::shell::parse(&text.replace("\r\n", "\n")).errors.is_empty();
    is_due.then_some(error.line)
}

#[cfg(test)]
#[path = "dialect_tests.rs"]
mod tests;
