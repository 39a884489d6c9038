//! Assignments, and the builtins that declare variables.

use std::collections::BTreeMap;

use super::state::{ExitStatus, ShellState, ShellValue};
use super::text::{self, HOLE, MANY, Truth};
use super::{MAX_TEXT, ScriptInterpreter};
use crate::shell::{AssignedValue, Assignment, ShellWord};

impl ScriptInterpreter<'_, '_, '_> {
    pub(super) fn assign(&mut self, state: &mut ShellState, assignment: &Assignment) {
        let old = state.var(&assignment.name).and_then(|var| var.value.clone());
        let value = match &assignment.value {
            AssignedValue::Scalar(word) => {
                let text = self.text(state, word);
                match (assignment.appends, &assignment.index, old) {
                    (true, None, Some(ShellValue::List(mut items))) => {
                        items.push(text);
                        ShellValue::List(items)
                    }
                    (true, None, old) => {
                        let old = match old {
                            Some(ShellValue::Text(text)) => text,
                            _ => String::new(),
                        };
                        ShellValue::Text(self.bounded(format!("{old}{text}")))
                    }
                    (appends, Some(index), Some(ShellValue::Map(mut items))) => {
                        let key = self.text(state, index);
                        insert_item(&mut items, &key, text, appends);
                        ShellValue::Map(items)
                    }
                    (_, Some(index), old) => {
                        let at = index.literal().and_then(|at| at.parse::<usize>().ok());
                        match (old, at) {
                            (Some(ShellValue::List(mut items)), Some(at)) if at < items.len() => {
                                items[at] = text;
                                ShellValue::List(items)
                            }
                            (Some(ShellValue::List(mut items)), Some(at)) if at == items.len() && at < 1024 => {
                                items.push(text);
                                ShellValue::List(items)
                            }
                            (None, Some(0)) => ShellValue::List(vec![text]),
                            _ => ShellValue::List(vec![MANY.to_string()]),
                        }
                    }
                    (false, None, Some(ShellValue::List(mut items))) if !items.is_empty() => {
                        items[0] = text;
                        ShellValue::List(items)
                    }
                    (false, None, _) => ShellValue::Text(text),
                }
            }
            AssignedValue::Array(elements) if matches!(old, Some(ShellValue::Map(_))) => {
                let mut items = match old {
                    Some(ShellValue::Map(items)) if assignment.appends => items,
                    _ => BTreeMap::new(),
                };
                self.keyed(state, elements, &mut items);
                ShellValue::Map(items)
            }
            AssignedValue::Array(elements) => {
                let mut items = match old {
                    Some(ShellValue::List(items)) if assignment.appends => items,
                    Some(ShellValue::Text(text)) if assignment.appends => vec![text],
                    _ => Vec::new(),
                };
                let is_keyed = elements.iter().any(|(key, _)| key.is_some());
                let words: Vec<_> = elements.iter().map(|(_, word)| word.clone()).collect();
                items.extend(self.fields(state, &words));
                if is_keyed { ShellValue::List(vec![MANY.to_string()]) } else { ShellValue::List(items) }
            }
        };
        state.set(&assignment.name, value);
    }

    /// Adds the elements of an associative array: `[key]=value`, or since bash 5.1 `key value`.
    fn keyed(
        &mut self,
        state: &mut ShellState,
        elements: &[(Option<ShellWord>, ShellWord)],
        items: &mut BTreeMap<String, String>,
    ) {
        let mut open: Option<String> = None;
        for (key, word) in elements {
            let value = self.text(state, word);
            match (key, open.take()) {
                (Some(key), _) => {
                    let key = self.text(state, key);
                    insert_item(items, &key, value, false);
                }
                (None, Some(key)) => insert_item(items, &key, value, false),
                (None, None) => open = Some(value),
            }
        }
    }

    /// `export`, `local`, `declare` and similar builtins, with assignments.
    pub(super) fn declare(
        &mut self,
        mut state: ShellState,
        name: &str,
        words: &[String],
        declared: &[Assignment],
    ) -> Vec<ShellState> {
        state.status = ExitStatus::from_truth(Truth::Yes);
        let is_local = matches!(name, "local" | "declare" | "typeset");
        let is_association = words.iter().any(|word| word.starts_with('-') && word.contains('A'));
        for assignment in declared {
            if is_local {
                self.keep_local(&mut state, &assignment.name);
                if assignment.appends {
                    self.assign(&mut state, assignment);
                    continue;
                }
                if is_association {
                    state.set(&assignment.name, ShellValue::Map(BTreeMap::new()));
                }
                // A value from outside is not appended to.
                let exported = state.var(&assignment.name).is_some_and(|var| var.is_exported);
                self.assign_new(&mut state, assignment, exported);
            } else {
                if is_association && !assignment.appends {
                    state.set(&assignment.name, ShellValue::Map(BTreeMap::new()));
                }
                self.assign(&mut state, assignment);
            }
            if name == "export" || words.iter().any(|word| word.starts_with('-') && word.contains('x')) {
                state.export(&assignment.name);
            }
        }
        self.declare_names(&mut state, name, words);
        if is_local && words.iter().any(|word| word.starts_with('-') && word.contains('n')) {
            declared.iter().for_each(|assignment| refer(&mut state, &assignment.name));
        }
        state.status = ExitStatus::from_truth(Truth::Yes);
        vec![state]
    }

    fn assign_new(&mut self, state: &mut ShellState, assignment: &Assignment, is_exported: bool) {
        self.assign(state, assignment);
        if is_exported {
            state.export(&assignment.name);
        }
    }

    /// Saves a variable before it becomes local to a function.
    pub(super) fn keep_local(&mut self, state: &mut ShellState, name: &str) {
        let old = state.var(name).cloned();
        self.spend(state.locals.last().map_or(0, Vec::len) / 32);
        if let Some(frame) = state.locals.last_mut()
            && !frame.iter().any(|(kept, _)| kept == name)
        {
            frame.push((name.to_string(), old));
        }
    }

    pub(super) fn declare_names(&mut self, state: &mut ShellState, command: &str, words: &[String]) {
        for word in words.iter().filter(|word| !word.starts_with('-')) {
            let (name, value) = match word.split_once('=') {
                Some((name, value)) => (name, Some(value.to_string())),
                None => (word.as_str(), None),
            };
            if !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') || name.is_empty() {
                continue;
            }
            match command {
                "local" | "declare" | "typeset" => {
                    self.keep_local(state, name);
                    let has = |letter: char| words.iter().any(|word| word.starts_with('-') && word.contains(letter));
                    match value {
                        Some(value) => state.set_text(name, value),
                        None if has('A') => state.set(name, ShellValue::Map(BTreeMap::new())),
                        None if has('a') => state.set(name, ShellValue::List(Vec::new())),
                        None if command == "local" => state.unset(name),
                        None => {}
                    }
                }
                _ => {
                    if let Some(value) = value {
                        state.set_text(name, value);
                    }
                }
            }
            if command == "export" || words.iter().any(|word| word.starts_with('-') && word.contains('x')) {
                if state.var(name).is_none() {
                    continue;
                }
                state.export(name);
            }
        }
    }
}

/// Makes a variable another name for the one that its value names. Writes through it are not followed.
fn refer(state: &mut ShellState, name: &str) {
    let Some(ShellValue::Text(other)) = state.var(name).and_then(|var| var.value.clone()) else { return };
    let own = state.var(&other).and_then(|var| var.value.clone());
    if own.is_none() {
        state.set(&other, ShellValue::Text(HOLE.to_string()));
    }
    state.set(name, own.unwrap_or(ShellValue::Text(HOLE.to_string())));
}

/// Adds an element. If its key is not known, it may be any.
fn insert_item(items: &mut BTreeMap<String, String>, key: &str, value: String, appends: bool) {
    let key = text::plain(key);
    if !text::is_known(&key) {
        items.values_mut().for_each(|value| *value = HOLE.to_string());
        items.insert(MANY.to_string(), HOLE.to_string());
        return;
    }
    let old = items.remove(&key).filter(|_| appends).unwrap_or_default();
    let value = if old.len() + value.len() > MAX_TEXT { HOLE.to_string() } else { format!("{old}{value}") };
    items.insert(key, value);
}
