//! The builtin `read`, and `$(<FILE)`.

use std::rc::Rc;

use super::state::{ExitStatus, ShellState, ShellValue};
use super::text::{self, HOLE, MANY, Truth};
use super::{ScriptInterpreter, lines};
use crate::shell::{CommandKind, CommandList, RedirectKind};

impl ScriptInterpreter<'_, '_, '_> {
    /// `sets` are the variables that are set for this command only.
    pub(super) fn read(
        &mut self,
        mut state: ShellState,
        words: &[String],
        sets: &[(String, String)],
    ) -> Vec<ShellState> {
        let mut names: Vec<String> = Vec::new();
        let mut rest = words.iter();
        let mut is_list = false;
        while let Some(word) = rest.next() {
            match word.as_str() {
                "-d" | "-n" | "-N" | "-p" | "-t" | "-u" | "-i" => {
                    rest.next();
                }
                "-a" | "-ra" => is_list = true,
                word if word.starts_with('-') => {}
                word => names.push(word.to_string()),
            }
        }
        if names.is_empty() {
            names.push("REPLY".to_string());
        }
        let Some(lines) = state.input.clone() else {
            for name in &names {
                let value =
                    if is_list { ShellValue::List(vec![MANY.to_string()]) } else { ShellValue::Text(HOLE.to_string()) };
                state.set(name, value);
            }
            state.status = ExitStatus::from_truth(Truth::Maybe);
            return vec![state];
        };
        let Some((line, after)) = lines.split_first() else {
            for name in &names {
                state.set_text(name, "");
            }
            state.status = ExitStatus::from_truth(Truth::No);
            return vec![state];
        };
        let line = line.clone();
        state.input = Some(Rc::new(after.to_vec()));
        let own = sets.iter().rev().find(|(name, _)| name == "IFS").map(|(_, value)| value.clone());
        let separators = own.unwrap_or_else(|| match state.var("IFS").and_then(|var| var.value.as_ref()) {
            Some(ShellValue::Text(text)) => text.clone(),
            Some(ShellValue::List(_) | ShellValue::Map(_)) | None => " \t\n".to_string(),
        });
        if !text::is_known(&separators) {
            names.iter().for_each(|name| state.set_text(name, HOLE.to_string()));
        } else if is_list {
            let items = lines::words_of_line(&line, &text::plain(&separators), usize::MAX);
            state.set(&names[0], ShellValue::List(items));
        } else {
            let mut items = lines::words_of_line(&line, &text::plain(&separators), names.len()).into_iter();
            names.iter().for_each(|name| state.set_text(name, items.next().unwrap_or_default()));
        }
        state.status = ExitStatus::from_truth(Truth::Yes);
        vec![state]
    }

    /// `$(<FILE)`
    pub(super) fn captured_file(&mut self, state: &mut ShellState, list: &CommandList) -> Option<String> {
        let [item] = list.items.as_slice() else { return None };
        let [command] = item.first.commands.as_slice() else { return None };
        let CommandKind::Simple(simple) = &command.kind else { return None };
        let [redirect] = command.redirects.as_slice() else { return None };
        if !simple.words.is_empty() || !simple.assignments.is_empty() || redirect.kind != RedirectKind::Input {
            return None;
        }
        let path = self.text(state, &redirect.target);
        let text = self.file_text(state, &path).unwrap_or(HOLE.to_string());
        state.status = ExitStatus::from_truth(Truth::Maybe);
        Some(text.trim_end_matches('\n').to_string())
    }
}
