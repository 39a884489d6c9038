//! One shell script's way through its commands: which of them end it, and which one it becomes. Commands that may run or
//! not leave the way open; nothing is decided by them.

use crate::exec::environment::variable;
use crate::exec::kernel::binfmt::Machine;
use crate::exec::launch::follow::{Caller, Walk};
use crate::exec::launch::shell::{self, Command, Exit, Joint, Word};
use crate::exec::launch::shells::Shell;
use crate::exec::launch::wrapper;
use crate::exec::log::Log;
use crate::exec::{Death, Outcome};

/// One script's way.
pub(crate) struct Following<'m, 'a> {
    pub machine: &'m Machine<'a>,
    pub log: &'m mut Log,
    pub by: (Shell, &'m str),
    pub arguments: &'m [String],
    pub ends_on_error: bool,
    pub changes_arguments: bool,
    pub folder: Folder,
    pub walk: Walk,
}

/// Where a script has gone, by which relative paths are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Folder {
    Start,
    At(String),
    Unknown,
}

/// Whether a command's first words are these.
pub(crate) fn starts_with(command: &Command, words: &[&str]) -> bool {
    words.len() <= command.words.len()
        && words.iter().zip(&command.words).all(|(want, word)| matches!(word, Word::Known(text) if text == want))
}

impl Following<'_, '_> {
    /// The first of `commands`. `Some`: the script's end, as far as it is seen.
    pub(crate) fn step(&mut self, commands: &[Command]) -> Option<Option<Outcome>> {
        let (command, is_last) = (commands.first()?, commands.len() == 1);
        let words: Vec<Word> =
            command.words.iter().skip_while(|word| shell::assignment(word).is_some()).cloned().collect();
        let is_exec = matches!(words.first(), Some(Word::Known(word)) if word == "exec") && words.len() > 1;
        if starts_with(command, &["cd"]) || starts_with(command, &["pushd"]) {
            self.go(&words, command);
        }
        if command.is_nested || command.after == Joint::Pipe {
            self.walk.is_open = true;
            return is_last.then(|| self.log.open_end(format!("{} ends in a command that may run or not", self.by.1)));
        }
        if starts_with(command, &["set"]) {
            self.ends_on_error |= command.words.iter().any(|word| matches!(word, Word::Known(text) if text.starts_with('-') && !text.starts_with("--") && text.contains('e')));
            return None;
        }
        self.export(command);
        let Some(Word::Known(name)) = words.first().cloned() else {
            self.walk.is_open = true;
            if words.is_empty() {
                return is_last.then_some(None);
            }
            return is_last.then(|| self.finish(&words, command, false));
        };
        if is_exec {
            let is_certain = command.after == Joint::Next || command.after == Joint::And;
            return is_certain.then(|| self.finish(&words[1..], command, true));
        }
        if is_builtin(&name) {
            self.walk.is_open |= matches!(name.as_str(), "." | "source" | "eval" | "cd" | "trap");
            let sets_end = matches!(name.as_str(), "exit" | "return") && command.after == Joint::Next;
            return (is_last || sets_end).then(|| match name.as_str() {
                "." | "source" | "eval" | "wait" | "exit" => self.log.open_end(format!("{} ends in {name}", self.by.1)),
                _ => None,
            });
        }
        if is_last && command.is_negated {
            return Some(self.log.open_end(format!("{} ends in a command whose failure is a success", self.by.1)));
        }
        if is_last && command.after != Joint::Or {
            return Some(self.finish(&words, command, false));
        }
        self.pass(&words, command, shell::exit_on_failure(commands))
    }

    /// A change of folder, as far as it is told.
    fn go(&mut self, words: &[Word], command: &Command) {
        let is_certain = !command.is_nested && command.after == Joint::Next;
        self.folder = match (words.get(1), &self.folder) {
            (Some(Word::Known(to)), _) if is_certain && to.starts_with('/') => Folder::At(to.clone()),
            (Some(Word::Known(to)), Folder::At(from)) if is_certain && to != "-" => Folder::At(format!("{from}/{to}")),
            _ => Folder::Unknown,
        };
    }

    /// A command's name as it is meant where the script has gone. `None`: that is not known.
    fn meant_here(&self, name: String, argv: &[String]) -> Option<String> {
        let is_relative = |word: &str| word.contains('/') && !word.starts_with(['/', '-']);
        // What a wrapper is given would be looked for where the container starts.
        let is_wrapped = wrapper::wrapper(&name, false).is_some() && argv.iter().skip(1).any(|word| is_relative(word));
        match &self.folder {
            Folder::Start => Some(name),
            _ if is_wrapped => None,
            Folder::At(folder) if is_relative(&name) => Some(format!("{folder}/{name}")),
            Folder::Unknown if is_relative(&name) => None,
            _ => Some(name),
        }
    }

    /// A command before the last: it ends the script only where errors do, or where `|| exit 1` follows it.
    fn pass(&mut self, words: &[Word], command: &Command, exit: Option<Exit>) -> Option<Option<Outcome>> {
        let is_run = command.after == Joint::Next || exit.is_some();
        let outcome = is_run.then(|| self.run(words, command, false)).flatten();
        self.walk.is_open = true;
        let Some(outcome @ (Outcome::Dies { .. } | Outcome::Fails { .. })) = outcome else { return None };
        match (outcome, exit) {
            (Outcome::Dies { at, cause, .. } | Outcome::Fails { at, cause, .. }, Some(Exit::With(code))) => {
                return Some(Some(Outcome::Dies { death: Death::Exit(code), at, cause }));
            }
            (outcome, Some(Exit::Same)) => return Some(Some(outcome)),
            (outcome, None) if self.ends_on_error && !command.is_tested && !command.is_negated => {
                return Some(Some(outcome));
            }
            (outcome, _) => self.doubt(&outcome, command),
        }
        None
    }

    /// A command that fails, and the script goes on.
    fn doubt(&mut self, outcome: &Outcome, command: &Command) {
        // It may be meant to fail; what it said is not what ends the container.
        self.log.says.clear();
        if let Some(cause) = outcome.cause().filter(|_| !command.is_tested) {
            let text = format!("line {} of {}: {}", command.line, self.by.1, cause.text);
            self.log.doubt(cause.kind, text);
        }
    }

    /// The command that the script becomes, or whose end is its own.
    fn finish(&mut self, words: &[Word], command: &Command, is_exec: bool) -> Option<Outcome> {
        if words.contains(&Word::Arguments)
            && self.changes_arguments
            && self.arguments.get(1).is_none_or(|first| first.starts_with('-'))
        {
            return self.log.open_end(format!("{} puts its own words before its arguments", self.by.1));
        }
        match self.run(words, command, is_exec) {
            Some(outcome) => Some(outcome),
            None => self
                .log
                .open_end(format!("line {} of {} names a program that only run time tells", command.line, self.by.1)),
        }
    }

    /// `None`: a word of it is not known.
    fn run(&mut self, words: &[Word], command: &Command, is_exec: bool) -> Option<Outcome> {
        let mut argv = Vec::new();
        for word in words {
            match word {
                Word::Known(text) => argv.push(text.clone()),
                Word::Arguments => argv.extend(self.arguments.iter().skip(1).cloned()),
                Word::Unknown if argv.is_empty() => return None,
                Word::Unknown => argv.push("?".to_string()),
            }
        }
        let name = argv.first().filter(|name| !(is_exec && name.starts_with('-')))?.clone();
        if words.contains(&Word::Unknown) && wrapper::wrapper(&name, false).is_some() {
            return None;
        }
        let name = self.meant_here(name, &argv)?;
        let (kind, label) = self.by;
        let caller = Caller::Shell { kind, label, line: command.line, is_exec };
        Some(self.machine.run_command(self.log, &name, &argv, caller, &self.walk))
    }

    fn export(&mut self, command: &Command) {
        let is_export = starts_with(command, &["export"]);
        let assigned: Vec<_> = command.words.iter().skip(usize::from(is_export)).map_while(shell::assignment).collect();
        let is_only = assigned.len() + usize::from(is_export) == command.words.len();
        for (name, value) in assigned {
            let is_exported = is_export || !is_only || variable(&self.walk.env, &name).is_some();
            if let (true, Some(value)) = (is_exported, value) {
                self.walk.env.push(format!("{name}={value}"));
            }
        }
    }
}

fn is_builtin(name: &str) -> bool {
    let builtins = [
        ". : [ [[ alias bg bind break builtin caller cd chdir command compgen complete continue coproc declare",
        "dirs disown echo enable eval exec exit export false fg getopts hash history jobs kill let local logout",
        "mapfile popd printf pushd pwd read readarray readonly return set shift shopt source suspend test times",
        "trap true type typeset ulimit umask unalias unset wait",
    ];
    builtins.iter().any(|line| line.split(' ').any(|builtin| builtin == name))
}
