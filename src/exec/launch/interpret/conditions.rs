//! `test`, `[`, the operators of `[[`, and matching of patterns.

use std::rc::Rc;

use super::ScriptInterpreter;
use super::pattern::{self, PatternToken};
use super::state::{ExitStatus, FailedStart, ShellState, ShellValue};
use super::text::{self, Truth};
use crate::exec::outcome::{Death, Outcome};
use crate::exec::{Cause, CauseKind};
use crate::image::NodeKind;
use crate::shell::{BinaryTest, UnaryTest};

/// Maximum number of words of one `test`. Longer ones are not evaluated.
const MAX_WORDS: usize = 64;

impl ScriptInterpreter<'_, '_, '_> {
    /// Whether a whole text matches a pattern in `case` and `[[`, where `shopt -s nocasematch` applies.
    pub(super) fn compares(&mut self, state: &ShellState, tokens: &[PatternToken], text: &str) -> Truth {
        if !state.ignores_case {
            return self.matches(tokens, text);
        }
        self.matches(&pattern::folded(tokens), &text.to_ascii_lowercase())
    }

    /// Whether a whole text matches a pattern. Costs part of the call's budget.
    pub(super) fn matches(&mut self, tokens: &[PatternToken], text: &str) -> Truth {
        if self.is_affordable(tokens, text) { pattern::matches(tokens, text) } else { Truth::Maybe }
    }

    /// `test` with its operands.
    pub(super) fn test(&mut self, state: &mut ShellState, words: &[String]) -> Truth {
        if words.iter().any(|word| word.starts_with(text::MANY)) || words.len() > MAX_WORDS {
            return Truth::Maybe;
        }
        let (truth, rest) = self.any_of(state, words);
        if rest.is_empty() { truth } else { Truth::Maybe }
    }

    /// The status of a test. If a file is not executable, a script that ends because of that names it.
    pub(super) fn tested(&mut self, truth: Truth, line: usize) -> ExitStatus {
        let status = ExitStatus::from_truth(truth);
        let Some((path, mode)) = self.not_executable.take().filter(|_| matches!(truth, Truth::Yes | Truth::No)) else {
            return status;
        };
        let text = format!(
            "line {line} asks for {path}, which is not executable (mode {mode:04o}), and the script ends without it"
        );
        let cause = Cause { kind: CauseKind::NotExecutable, text };
        let outcome = Outcome::Dies { death: Death::Exit(1), at: path, cause };
        let blame = FailedStart { outcome, steps: Vec::new(), says: Vec::new(), line, is_tested: true, is_query: true };
        ExitStatus { blame: Some(Rc::new(blame)), ..status }
    }

    fn any_of<'w>(&mut self, state: &mut ShellState, words: &'w [String]) -> (Truth, &'w [String]) {
        let (mut truth, mut rest) = self.all_of(state, words);
        while let Some((_, after)) = rest.split_first().filter(|(first, after)| *first == "-o" && !after.is_empty()) {
            let (next, after) = self.all_of(state, after);
            truth = truth.or(next);
            rest = after;
        }
        (truth, rest)
    }

    fn all_of<'w>(&mut self, state: &mut ShellState, words: &'w [String]) -> (Truth, &'w [String]) {
        let (mut truth, mut rest) = self.one(state, words);
        while let Some((_, after)) = rest.split_first().filter(|(first, after)| *first == "-a" && !after.is_empty()) {
            let (next, after) = self.one(state, after);
            truth = truth.and(next);
            rest = after;
        }
        (truth, rest)
    }

    fn one<'w>(&mut self, state: &mut ShellState, words: &'w [String]) -> (Truth, &'w [String]) {
        match words {
            [] => (Truth::No, words),
            [not, rest @ ..] if not == "!" && !rest.is_empty() => {
                let (truth, rest) = self.one(state, rest);
                (truth.not(), rest)
            }
            [open, rest @ ..] if open == "(" && rest.len() > 1 => {
                let (truth, rest) = self.any_of(state, rest);
                match rest.split_first() {
                    Some((close, rest)) if close == ")" => (truth, rest),
                    _ => (Truth::Maybe, &[]),
                }
            }
            [left, operator, right, rest @ ..] if BinaryTest::parse(operator).is_some() => {
                let operator = BinaryTest::parse(operator).unwrap_or(BinaryTest::Files);
                (self.binary(left, operator, right), rest)
            }
            [operator, operand, rest @ ..]
                if UnaryTest::parse(operator).is_some() && operand != "-a" && operand != "-o" =>
            {
                let operator = UnaryTest::parse(operator).unwrap_or(UnaryTest::Other);
                (self.unary(state, operator, operand), rest)
            }
            [word, rest @ ..] => (text::is_empty(word).not(), rest),
        }
    }

    pub(super) fn unary(&mut self, state: &mut ShellState, test: UnaryTest, operand: &str) -> Truth {
        let of_file = match test {
            UnaryTest::IsNotEmpty => return text::is_empty(operand).not(),
            UnaryTest::IsEmpty => return text::is_empty(operand),
            UnaryTest::IsSet if operand.contains('[') => {
                let (name, key) = operand.trim_end_matches(']').split_once('[').unwrap_or((operand, ""));
                return match state.var(name).and_then(|var| var.value.as_ref()) {
                    Some(ShellValue::Map(items))
                        if text::is_known(operand) && !items.contains_key(&text::MANY.to_string()) =>
                    {
                        Truth::from_bool(items.contains_key(&text::plain(key)))
                    }
                    _ => Truth::Maybe,
                };
            }
            UnaryTest::IsSet => {
                return match state.var(operand) {
                    Some(var) => Truth::from_bool(var.value.is_some()),
                    None => Truth::Usually(false),
                };
            }
            UnaryTest::Other => return Truth::Maybe,
            UnaryTest::Exists
            | UnaryTest::IsFile
            | UnaryTest::IsDirectory
            | UnaryTest::IsLink
            | UnaryTest::IsReadable
            | UnaryTest::IsWritable
            | UnaryTest::IsExecutable
            | UnaryTest::HasSize
            | UnaryTest::IsSpecial => self.file(state, test, operand),
        };
        if text::is_soft(operand) { of_file.soften() } else { of_file }
    }

    fn file(&mut self, state: &mut ShellState, test: UnaryTest, operand: &str) -> Truth {
        let Some(path) = self.absolute(state, operand) else { return Truth::Maybe };
        if text::plain(operand).is_empty() {
            return Truth::No;
        }
        let is_run_time =
            ["/proc", "/dev", "/sys"].iter().any(|top| path == *top || path.starts_with(&format!("{top}/")));
        if is_run_time || state.written.contains(&path) || state.made.may_have(&path) {
            return Truth::Maybe;
        }
        let Some(id) = self.find_node(&path, test != UnaryTest::IsLink) else {
            // A mount or an earlier command may create it.
            return if state.is_open { Truth::Maybe } else { Truth::Usually(false) };
        };
        let view = self.machine.rootfs.view(id);
        let Some(view) = state.made.changes().applied(self.machine.rootfs, view) else { return Truth::Maybe };
        match test {
            UnaryTest::Exists => Truth::Yes,
            UnaryTest::IsFile => Truth::from_bool(view.kind == NodeKind::File),
            UnaryTest::IsDirectory => Truth::from_bool(view.kind == NodeKind::Directory),
            UnaryTest::IsLink => Truth::from_bool(view.kind == NodeKind::Symlink),
            UnaryTest::IsExecutable => match (view.kind == NodeKind::Directory, state.is_open) {
                (true, _) => Truth::Yes,
                (false, true) if view.mode & 0o111 == 0 => Truth::Usually(false),
                (false, _) => {
                    let is_executable = view.mode & 0o111 != 0;
                    if view.kind == NodeKind::File && !is_executable {
                        self.not_executable = Some((path, view.mode));
                    }
                    Truth::from_bool(is_executable)
                }
            },
            UnaryTest::HasSize if state.is_open => Truth::Maybe,
            UnaryTest::HasSize => Truth::from_bool(view.size > 0 || view.kind == NodeKind::Directory),
            UnaryTest::IsSpecial => Truth::from_bool(view.kind == NodeKind::Special),
            UnaryTest::IsReadable => Truth::Usually(true),
            UnaryTest::IsWritable => Truth::Maybe,
            UnaryTest::IsNotEmpty | UnaryTest::IsEmpty | UnaryTest::IsSet | UnaryTest::Other => Truth::Maybe,
        }
    }

    pub(super) fn binary(&mut self, left: &str, test: BinaryTest, right: &str) -> Truth {
        let is_soft = text::is_soft(left) || text::is_soft(right);
        let numbers = || -> Option<(i64, i64)> {
            let number = |text: &str| text::plain(text).trim().parse::<i64>().ok();
            Some((number(left)?, number(right)?))
        };
        let compared =
            |holds: fn(i64, i64) -> bool| numbers().map_or(Truth::Maybe, |(a, b)| Truth::from_bool(holds(a, b)));
        let truth = match test {
            BinaryTest::Equal => return text::equal(left, right),
            BinaryTest::NotEqual => return text::equal(left, right).not(),
            BinaryTest::NumberEqual => compared(|a, b| a == b),
            BinaryTest::NumberNotEqual => compared(|a, b| a != b),
            BinaryTest::Less => compared(|a, b| a < b),
            BinaryTest::LessOrEqual => compared(|a, b| a <= b),
            BinaryTest::Greater => compared(|a, b| a > b),
            BinaryTest::GreaterOrEqual => compared(|a, b| a >= b),
            BinaryTest::Before if text::is_known(left) && text::is_known(right) => {
                Truth::from_bool(text::plain(left) < text::plain(right))
            }
            BinaryTest::After if text::is_known(left) && text::is_known(right) => {
                Truth::from_bool(text::plain(left) > text::plain(right))
            }
            BinaryTest::Before | BinaryTest::After | BinaryTest::Files | BinaryTest::Matches => Truth::Maybe,
        };
        if is_soft { truth.soften() } else { truth }
    }
}
