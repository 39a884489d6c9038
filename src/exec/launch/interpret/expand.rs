//! Expands words to fields: parameters, substitutions, splitting and globs. Source: POSIX XCU 2.6.

use std::collections::BTreeMap;

use super::expression::RegularExpression;
use super::numbers::{sliced, substring};
use super::pattern::{self, PatternToken};
use super::state::{ShellState, ShellValue};
use super::text::{self, HOLE, MANY, SOFT, Truth};
use super::{EXPRESSION_STEPS, MAX_BYTES, MAX_TEXT, STEP_COMPARISONS, ScriptInterpreter};
use crate::shell::{self, DefaultKind, Operation, Parameter, ReplacePlace, ShellWord, SubscriptIndex, WordPart};

/// Maximum number of fields of one word.
const MAX_FIELDS: usize = 1024;

/// A part of an expanded word.
enum Fragment {
    Text {
        text: String,
        is_quoted: bool,
        /// It comes from an unquoted expansion, so blanks in it separate fields.
        splits: bool,
    },
    /// The start of a new field, as between the arguments of `"$@"`.
    Break,
}

/// The value of a parameter.
pub(super) enum Looked {
    Text(String),
    List(Vec<String>),
    Map(BTreeMap<String, String>),
    Unset,
}

impl ScriptInterpreter<'_, '_, '_> {
    /// Expands a command's words to fields.
    pub(super) fn fields(&mut self, state: &mut ShellState, words: &[ShellWord]) -> Vec<String> {
        let mut fields = Vec::new();
        for word in words {
            let pieces = self.pieces(state, &word.parts, false);
            self.split(state, pieces, &mut fields);
            if fields.len() > MAX_FIELDS {
                fields.truncate(MAX_FIELDS);
                fields.push(MANY.to_string());
                break;
            }
        }
        fields
    }

    /// Expands a word to one text. Assignments, `case` and redirections do not split words.
    pub(super) fn text(&mut self, state: &mut ShellState, word: &ShellWord) -> String {
        let pieces = self.pieces(state, &word.parts, false);
        let mut text = String::new();
        for piece in pieces {
            match piece {
                Fragment::Text { text: part, .. } => text.push_str(&part),
                Fragment::Break => text.push(' '),
            }
        }
        self.bounded(text)
    }

    /// Expands a word to a pattern.
    pub(super) fn pattern(&mut self, state: &mut ShellState, word: &ShellWord) -> Option<Vec<PatternToken>> {
        let pieces = self.pieces(state, &word.parts, false).into_iter().filter_map(|piece| match piece {
            Fragment::Text { text, is_quoted, .. } => Some((text, is_quoted)),
            Fragment::Break => None,
        });
        pattern::pattern(&pieces.collect::<Vec<_>>())
    }

    /// Expands a word to an extended regular expression, in which quoted text stands for itself.
    fn expression(&mut self, state: &mut ShellState, word: &ShellWord) -> Option<RegularExpression> {
        let mut expression = RegularExpression::default();
        for piece in self.pieces(state, &word.parts, false) {
            match piece {
                Fragment::Text { text, is_quoted: true, .. } => expression.push_literal(&text)?,
                Fragment::Text { text, is_quoted: false, .. } => expression.push(&text)?,
                Fragment::Break => expression.push_literal(" ")?,
            }
        }
        Some(expression)
    }

    /// `[[ TEXT =~ WORD ]]`, which also sets BASH_REMATCH.
    pub(super) fn matches_expression(&mut self, state: &mut ShellState, subject: &str, word: &ShellWord) -> Truth {
        let expression = self.expression(state, word);
        let is_spent = !self.spend(EXPRESSION_STEPS);
        let mut work = self.work();
        let found = expression.filter(|_| text::is_known(subject) && !is_spent).and_then(|mut expression| {
            expression.ignores_case = state.ignores_case;
            expression.find(&text::plain(subject), &mut work)
        });
        self.spend(work.done() / STEP_COMPARISONS);
        let (truth, groups) = match found {
            None => (Truth::Maybe, vec![MANY.to_string()]),
            Some(None) => (Truth::No, Vec::new()),
            Some(Some(groups)) => (Truth::Yes, groups),
        };
        state.set("BASH_REMATCH", ShellValue::List(groups));
        if text::is_soft(subject) { truth.soften() } else { truth }
    }

    /// Bounds a text: one that is too long is not kept, and none is kept once the call's budget is spent.
    pub(super) fn bounded(&mut self, text: String) -> String {
        self.log.budget.bytes = self.log.budget.bytes.saturating_add(text.len());
        if text.len() > MAX_TEXT || self.log.budget.bytes > MAX_BYTES { HOLE.to_string() } else { text }
    }

    fn trimmed(&mut self, tokens: &[PatternToken], text: &str, is_suffix: bool, is_longest: bool) -> String {
        let is_affordable = self.is_affordable(tokens, text);
        if is_affordable { pattern::trimmed(tokens, text, is_suffix, is_longest) } else { HOLE.to_string() }
    }

    fn pieces(&mut self, state: &mut ShellState, parts: &[WordPart], is_quoted: bool) -> Vec<Fragment> {
        let mut pieces = Vec::new();
        for (at, part) in parts.iter().enumerate() {
            match part {
                WordPart::Literal(text) => {
                    let text = match text.strip_prefix('~') {
                        Some(rest) if at == 0 && (rest.is_empty() || rest.starts_with('/')) => {
                            format!("{}{rest}", self.scalar(state, "HOME"))
                        }
                        _ => text::clean(text),
                    };
                    pieces.push(Fragment::Text { text, is_quoted, splits: false });
                }
                WordPart::Quoted(text) => {
                    pieces.push(Fragment::Text { text: text::clean(text), is_quoted: true, splits: false })
                }
                WordPart::DoubleQuoted(inner) if inner.is_empty() => {
                    pieces.push(Fragment::Text { text: String::new(), is_quoted: true, splits: false });
                }
                WordPart::DoubleQuoted(inner) => pieces.extend(self.pieces(state, inner, true)),
                WordPart::Parameter(parameter) => self.parameter(state, parameter, is_quoted, &mut pieces),
                WordPart::Command(list) => {
                    let text = self.capture(state, list);
                    pieces.push(Fragment::Text { text, is_quoted, splits: !is_quoted });
                }
                WordPart::Arithmetic(word) => {
                    let text = self.text(state, word);
                    let number = self.number(state, &shell::expression(&text::plain(&text)));
                    let text = number.map_or(HOLE.to_string(), |number| number.to_string());
                    pieces.push(Fragment::Text { text, is_quoted, splits: !is_quoted });
                }
                WordPart::Process(list) => {
                    self.aside(state, list);
                    pieces.push(Fragment::Text { text: HOLE.to_string(), is_quoted: true, splits: false });
                }
            }
        }
        pieces
    }

    fn parameter(
        &mut self,
        state: &mut ShellState,
        parameter: &Parameter,
        is_quoted: bool,
        pieces: &mut Vec<Fragment>,
    ) {
        let splits = !is_quoted;
        if self.log.budget.bytes > MAX_BYTES {
            // The budget does not even allow a copy.
            return pieces.push(Fragment::Text { text: HOLE.to_string(), is_quoted, splits });
        }
        let looked = self.look_up(state, parameter);
        let is_list = matches!(parameter.index, Some(SubscriptIndex::At)) || parameter.name == "@";
        let looked = match (looked, &parameter.operation) {
            (Looked::List(items), Operation::Substring { offset, length }) => {
                let offset = self.integer(state, offset);
                let length = length.as_ref().map(|length| self.integer(state, length));
                let start_at_zero = parameter.name == "@" || parameter.name == "*";
                Looked::List(sliced(items, state, start_at_zero, offset, length))
            }
            (Looked::List(items), Operation::Default { kind, word, .. }) => match (kind, items.is_empty()) {
                (DefaultKind::Alternative, false) => return pieces.extend(self.pieces(state, &word.parts, is_quoted)),
                (DefaultKind::Alternative, true) => return,
                (_, true) => return pieces.extend(self.pieces(state, &word.parts, is_quoted)),
                (_, false) => Looked::List(items),
            },
            (Looked::List(items), Operation::Plain) => Looked::List(items),
            (Looked::List(items), Operation::Trim { is_suffix, is_longest, pattern }) => {
                let tokens = self.pattern(state, pattern);
                let trim = |item: String| match &tokens {
                    Some(tokens) if text::is_known(&item) => self.trimmed(tokens, &item, *is_suffix, *is_longest),
                    _ => item,
                };
                Looked::List(items.into_iter().map(trim).collect())
            }
            (Looked::List(items), _) => Looked::List(items.iter().map(|_| HOLE.to_string()).collect()),
            (looked, operation) => match self.operate(state, parameter, looked, operation, is_quoted, pieces) {
                Some(text) => Looked::Text(text),
                None => return,
            },
        };
        match looked {
            Looked::List(items) if is_list || !is_quoted => {
                for (at, item) in items.into_iter().enumerate() {
                    if at > 0 {
                        pieces.push(Fragment::Break);
                    }
                    pieces.push(Fragment::Text { text: self.bounded(item), is_quoted, splits });
                }
            }
            Looked::List(items) => {
                pieces.push(Fragment::Text { text: self.bounded(items.join(" ")), is_quoted, splits })
            }
            // `look_up` returns the elements.
            Looked::Map(_) => pieces.push(Fragment::Text { text: HOLE.to_string(), is_quoted, splits }),
            Looked::Text(text) => pieces.push(Fragment::Text { text: self.bounded(text), is_quoted, splits }),
            Looked::Unset => pieces.push(Fragment::Text { text: String::new(), is_quoted, splits }),
        }
    }

    /// Returns a single value after its operation. `None` if a word replaced it and is already among the pieces.
    fn operate(
        &mut self,
        state: &mut ShellState,
        parameter: &Parameter,
        looked: Looked,
        operation: &Operation,
        is_quoted: bool,
        pieces: &mut Vec<Fragment>,
    ) -> Option<String> {
        let is_unset = matches!(looked, Looked::Unset);
        let value = match looked {
            Looked::Text(text) => text,
            Looked::List(items) => items.join(" "),
            Looked::Map(_) => HOLE.to_string(),
            Looked::Unset => String::new(),
        };
        Some(match operation {
            Operation::Plain => value,
            Operation::Default { or_empty, kind, word } => {
                let is_missing = match (is_unset, text::plain(&value).is_empty(), or_empty) {
                    (true, ..) => Truth::Yes,
                    // A variable that the image leaves unset.
                    (false, true, false) if text::is_soft(&value) => Truth::Usually(true),
                    (false, _, true) => text::is_empty(&value),
                    (false, _, false) => Truth::No,
                };
                match (kind, is_missing) {
                    (DefaultKind::Use, Truth::Yes) => {
                        pieces.extend(self.pieces(state, &word.parts, is_quoted));
                        return None;
                    }
                    (DefaultKind::Use | DefaultKind::Assign, Truth::Yes | Truth::Usually(true)) => {
                        let text = self.text(state, word);
                        let soft = if is_missing == Truth::Yes { String::new() } else { SOFT.to_string() };
                        let text = format!("{soft}{text}");
                        if *kind == DefaultKind::Assign {
                            state.set_text(&parameter.name, text.clone());
                        }
                        text
                    }
                    (DefaultKind::Use | DefaultKind::Assign, Truth::Maybe) => HOLE.to_string(),
                    // The shell exits if it is unset, so it is set from here on.
                    (DefaultKind::Fail, Truth::Yes | Truth::Usually(true)) => {
                        state.set_text(&parameter.name, HOLE.to_string());
                        HOLE.to_string()
                    }
                    (DefaultKind::Use | DefaultKind::Assign | DefaultKind::Fail, _) => value,
                    (DefaultKind::Alternative, Truth::Yes) => String::new(),
                    (DefaultKind::Alternative, Truth::Usually(true)) => SOFT.to_string(),
                    (DefaultKind::Alternative, Truth::No | Truth::Usually(false)) => {
                        pieces.extend(self.pieces(state, &word.parts, is_quoted));
                        return None;
                    }
                    (DefaultKind::Alternative, Truth::Maybe) => HOLE.to_string(),
                }
            }
            Operation::Trim { is_suffix, is_longest, pattern } => {
                let tokens = self.pattern(state, pattern);
                tokens.map_or(HOLE.to_string(), |tokens| self.trimmed(&tokens, &value, *is_suffix, *is_longest))
            }
            Operation::Replace { place, pattern, with } => {
                let (pattern, with) = (self.text(state, pattern), self.text(state, with));
                let is_plain = [&value, &pattern, &with].iter().all(|text| text::is_known(text));
                let is_too_long = || value.matches(&pattern).count().saturating_mul(with.len()) > MAX_TEXT;
                let is_literal = !pattern.contains(['*', '?', '[']) && !pattern.is_empty() && !state.ignores_case;
                if !is_plain || !is_literal || is_too_long() {
                    HOLE.to_string()
                } else {
                    match place {
                        ReplacePlace::First => value.replacen(&pattern, &with, 1),
                        ReplacePlace::All => value.replace(&pattern, &with),
                        ReplacePlace::Start => {
                            value.strip_prefix(&pattern).map_or(value.clone(), |rest| format!("{with}{rest}"))
                        }
                        ReplacePlace::End => {
                            value.strip_suffix(&pattern).map_or(value.clone(), |rest| format!("{rest}{with}"))
                        }
                    }
                }
            }
            Operation::Substring { offset, length } => {
                let offset = self.integer(state, offset);
                let length = length.as_ref().map(|length| self.integer(state, length));
                substring(&value, offset, length)
            }
            Operation::Case { to_upper, is_all } => match (text::is_known(&value), is_all, to_upper) {
                (false, ..) | (_, false, _) => HOLE.to_string(),
                (true, true, true) => value.to_uppercase(),
                (true, true, false) => value.to_lowercase(),
            },
            Operation::Other => HOLE.to_string(),
        })
    }

    fn look_up(&mut self, state: &mut ShellState, parameter: &Parameter) -> Looked {
        if parameter.is_indirect {
            if matches!(parameter.index, Some(SubscriptIndex::At | SubscriptIndex::Star)) {
                return Looked::List(match self.plain_value(state, &parameter.name) {
                    Looked::Map(items) => items.into_keys().collect(),
                    Looked::List(items) if !items.iter().any(|item| item.starts_with(MANY)) => {
                        (0..items.len()).map(|at| at.to_string()).collect()
                    }
                    Looked::Text(_) | Looked::List(_) | Looked::Unset => vec![MANY.to_string()],
                });
            }
            let name = text::plain(&self.scalar(state, &parameter.name));
            let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            if !text::is_known(&name) || name.is_empty() || !is_name {
                return Looked::Text(HOLE.to_string());
            }
            return self.plain_value(state, &name);
        }
        let looked = match (parameter.name.as_str(), &parameter.index) {
            ("@" | "*", _) => Looked::List(state.args.to_vec()),
            (name, Some(SubscriptIndex::At | SubscriptIndex::Star)) => match self.plain_value(state, name) {
                Looked::Text(text) => Looked::List(vec![text]),
                Looked::Unset => Looked::List(Vec::new()),
                Looked::Map(items) => Looked::List(values(items)),
                Looked::List(items) => Looked::List(items),
            },
            (name, Some(SubscriptIndex::Word(index))) => match self.plain_value(state, name) {
                Looked::Map(items) => {
                    let key = text::plain(&self.text(state, index));
                    let may_have = !text::is_known(&key) || items.contains_key(&MANY.to_string());
                    match items.get(&key) {
                        Some(value) => Looked::Text(value.clone()),
                        None if may_have => Looked::Text(HOLE.to_string()),
                        None => Looked::Unset,
                    }
                }
                Looked::List(items) => {
                    let at = self.integer(state, index).and_then(|at| usize::try_from(at).ok());
                    let before = |at: usize| items.iter().take(at + 1).any(|item| item.starts_with(MANY));
                    match at {
                        Some(at) if before(at) => Looked::Text(HOLE.to_string()),
                        Some(at) => items.get(at).map_or(Looked::Unset, |item| Looked::Text(item.clone())),
                        None => Looked::Text(HOLE.to_string()),
                    }
                }
                other => other,
            },
            (name, None) => match self.plain_value(state, name) {
                Looked::List(items) => items.into_iter().next().map_or(Looked::Unset, Looked::Text),
                Looked::Map(items) => items.get("0").map_or(Looked::Unset, |item| Looked::Text(item.clone())),
                other => other,
            },
        };
        if !parameter.is_length {
            return looked;
        }
        Looked::Text(match looked {
            Looked::List(items) if items.iter().any(|item| item.starts_with(MANY)) => HOLE.to_string(),
            Looked::List(items) => items.len().to_string(),
            Looked::Text(text) if text::is_known(&text) => text::plain(&text).chars().count().to_string(),
            Looked::Text(_) | Looked::Map(_) => HOLE.to_string(),
            Looked::Unset => "0".to_string(),
        })
    }

    /// Returns a variable's value as one text.
    pub(super) fn scalar(&mut self, state: &ShellState, name: &str) -> String {
        match self.plain_value(state, name) {
            Looked::Text(text) => text,
            Looked::List(items) => items.into_iter().next().unwrap_or_default(),
            Looked::Map(items) => items.get("0").cloned().unwrap_or_default(),
            Looked::Unset => String::new(),
        }
    }

    fn plain_value(&mut self, state: &ShellState, name: &str) -> Looked {
        let hole = || Looked::Text(HOLE.to_string());
        if let Ok(number) = name.parse::<usize>() {
            if number == 0 {
                return Looked::Text(state.zero.to_string());
            }
            let is_vague = state.args.iter().take(number).any(|arg| arg.starts_with(MANY));
            return match state.args.get(number - 1) {
                _ if is_vague => hole(),
                Some(arg) => Looked::Text(arg.clone()),
                None => Looked::Unset,
            };
        }
        match name {
            "#" if state.args.iter().any(|arg| arg.starts_with(MANY)) => return hole(),
            "#" => return Looked::Text(state.args.len().to_string()),
            "?" => return state.status.code.map_or_else(hole, |code| Looked::Text(code.to_string())),
            "$" | "!" | "-" => return hole(),
            _ => {}
        }
        if let Some(var) = state.var(name) {
            return match &var.value {
                Some(ShellValue::Text(text)) => Looked::Text(text.clone()),
                Some(ShellValue::List(items)) => Looked::List(items.clone()),
                Some(ShellValue::Map(items)) => Looked::Map(items.clone()),
                None => Looked::Unset,
            };
        }
        self.own_variable(state, name)
    }

    fn split(&mut self, state: &mut ShellState, pieces: Vec<Fragment>, fields: &mut Vec<String>) {
        let separators = match state.var("IFS").and_then(|var| var.value.clone()) {
            Some(ShellValue::Text(text)) => text,
            _ => " \t\n".to_string(),
        };
        let mut open: Option<Vec<(String, bool)>> = None;
        let mut all: Vec<Vec<(String, bool)>> = Vec::new();
        for piece in pieces {
            match piece {
                Fragment::Break => all.extend(open.take()),
                Fragment::Text { text, is_quoted: true, .. } => open.get_or_insert_default().push((text, true)),
                Fragment::Text { text, splits: false, .. } => open.get_or_insert_default().push((text, false)),
                Fragment::Text { text, .. } => {
                    let stripped = text::plain(&text);
                    if stripped.chars().count() == 1 && stripped.starts_with([HOLE, MANY]) && open.is_none() {
                        open = Some(vec![(MANY.to_string(), true)]);
                        continue;
                    }
                    // An empty value does not produce a field.
                    if stripped.is_empty() {
                        continue;
                    }
                    let is_soft = text::is_soft(&text);
                    for (at, part) in stripped.split(|c| separators.contains(c)).enumerate() {
                        if at > 0 {
                            all.extend(open.take());
                        }
                        if !part.is_empty() {
                            let mark = if is_soft { SOFT.to_string() } else { String::new() };
                            open.get_or_insert_default().push((format!("{mark}{part}"), false));
                        }
                        if all.len() > MAX_FIELDS {
                            break;
                        }
                    }
                }
            }
        }
        all.extend(open);
        for field in all.into_iter().take(MAX_FIELDS) {
            let may_be_glob = field.iter().any(|(text, is_quoted)| !is_quoted && text.contains(['*', '?', '[']));
            let whole: String = field.iter().map(|(text, _)| text.as_str()).collect();
            let tokens = if may_be_glob && text::is_known(&whole) { pattern::pattern(&field) } else { None };
            let is_glob = |token: &PatternToken| {
                matches!(token, PatternToken::Star | PatternToken::One | PatternToken::Class(..))
            };
            let found = match tokens {
                Some(tokens) if tokens.iter().any(is_glob) => self.glob(state, &tokens),
                _ => None,
            };
            match found {
                Some(paths) if !paths.is_empty() => fields.extend(paths),
                Some(_) if state.globs_to_nothing => {}
                _ => {
                    let whole = self.bounded(whole);
                    fields.push(whole);
                }
            }
        }
    }
}

/// The elements of an associative array.
fn values(items: BTreeMap<String, String>) -> Vec<String> {
    let unknown = MANY.to_string();
    items.into_iter().map(|(key, value)| if key == unknown { key } else { value }).collect()
}
