//! Extracts the commands and words of a script: `shell` parses it, and this module finds the position of each word.

use std::collections::BTreeSet;
use std::ops::Range;

use super::{ByteKind, ConditionKind, Joining, PlainWord, SimpleCommand};
use crate::platform::word as token;
use crate::shell::{
    self, AssignedValue, CommandKind, CommandList, Condition, Item, Operation, Redirect, RedirectKind, ShellPipeline,
    WordPart,
};

/// Returns the commands of `text[range]`, each after the commands in its `$(...)` and backquotes.
pub fn commands(text: &str, range: Range<usize>, joining: Joining) -> Vec<SimpleCommand> {
    let joined = Joined::new(text, range, joining);
    let script = shell::parse(&joined.text);
    let mut walker = Walker { joined: &joined, commands: Vec::new(), derived: BTreeSet::new() };
    walker.list(&script.list, ConditionKind::Always);
    walker.commands
}

/// Returns the command that an exec form starts, after those of a script that it passes to a shell.
pub fn exec_commands(mut words: Vec<PlainWord>) -> Vec<SimpleCommand> {
    let mut commands = Vec::new();
    if let Some(joined) = script_index(&words).and_then(|script| Joined::of_word(&words.remove(script), 1)) {
        let mut walker = Walker { joined: &joined, commands: Vec::new(), derived: BTreeSet::new() };
        walker.list(&shell::parse(&joined.text).list, ConditionKind::Always);
        commands = walker.commands;
    }
    commands.push(SimpleCommand { words, outputs: Vec::new(), choice: ConditionKind::Always });
    commands
}

/// Returns the words of `text[range]`, split at blanks only, like the arguments of an instruction.
pub fn words(text: &str, range: Range<usize>, joining: Joining) -> Vec<PlainWord> {
    let joined = Joined::new(text, range, joining);
    let bytes = joined.text.as_bytes();
    let mut words = Vec::new();
    let mut extents = Extents::default();
    let mut at = 0;
    loop {
        while bytes.get(at).is_some_and(u8::is_ascii_whitespace) || joined.text[at..].starts_with("\\\n") {
            at += 1;
        }
        if at >= bytes.len() {
            return words;
        }
        let start = at;
        let mut quote = None;
        while let Some(byte) = bytes.get(at).copied() {
            match (byte, quote) {
                (b'\\', Some(b'\'')) => at += 1,
                (b'\\', _) => at = (at + 2).min(bytes.len()),
                (b'$' | b'`', None | Some(b'"')) => at += extents.length(&joined.text[at..]),
                (b'"' | b'\'', None) => (quote, at) = (Some(byte), at + 1),
                (_, Some(open)) if byte == open => (quote, at) = (None, at + 1),
                (_, None) if byte.is_ascii_whitespace() => break,
                _ => at += 1,
            }
        }
        // A backslash may precede a multi-byte character.
        while !joined.text.is_char_boundary(at) {
            at += 1;
        }
        words.push(joined.word(start..at));
    }
}

/// Maximum number of unclosed expansions to measure. Each one costs a pass over the rest of the text.
const MAX_OPEN: usize = 20;

/// Measures the length of expansions.
#[derive(Default)]
struct Extents {
    open: usize,
}

impl Extents {
    /// Returns the length in bytes of the expansion at the start of `text`. 1 for a lone `$`.
    fn length(&mut self, text: &str) -> usize {
        let length = if self.open < MAX_OPEN { shell::expansion_length(text) } else { None };
        let is_open = ["${", "$(", "`"].iter().any(|opening| text.starts_with(opening));
        self.open += usize::from(is_open && length.is_none());
        length.unwrap_or(1)
    }
}

/// A script as its shell reads it, with the positions of its bytes in the file.
struct Joined {
    text: String,
    /// For each byte of `text`, and for its end: the position in the file.
    places: Vec<usize>,
    /// How many shells around this one got it as the argument of `-c`.
    depth: usize,
}

/// Maximum depth of `sh -c` in `sh -c`.
const MAX_DEPTH: usize = 3;

impl Joined {
    /// Joins lines as BuildKit does: removes the line break, the blanks before it, and comment and blank lines after
    /// it.
    fn new(text: &str, range: Range<usize>, joining: Joining) -> Joined {
        let Joining::Instruction(escape) = joining else {
            return Joined {
                text: text[range.clone()].to_string(),
                places: (range.start..=range.end).collect(),
                depth: 0,
            };
        };
        let mut joined = Joined { text: String::new(), places: Vec::new(), depth: 0 };
        let mut at = range.start;
        let mut is_joined = false;
        for line in text[range.clone()].split_inclusive('\n') {
            let content = line.trim_ascii();
            let start = at;
            at += line.len();
            if is_joined && (content.is_empty() || content.starts_with('#')) {
                continue;
            }
            let kept = match content.strip_suffix(char::from(escape)) {
                Some(before) if line.ends_with('\n') => {
                    is_joined = true;
                    line.len() - line.trim_ascii_start().len() + before.len()
                }
                _ => {
                    is_joined = false;
                    line.len()
                }
            };
            joined.text.push_str(&line[..kept]);
            joined.places.extend(start..start + kept);
        }
        joined.places.push(range.end);
        joined
    }

    /// The script that a shell gets as a word. `None` if bytes of it are not UTF-8.
    fn of_word(word: &PlainWord, depth: usize) -> Option<Joined> {
        let mut places: Vec<usize> = word.bytes.iter().map(|(place, _)| *place).collect();
        places.push(word.span.end);
        let is_whole = places.len() == word.text.len() + 1 && depth <= MAX_DEPTH;
        is_whole.then(|| Joined { text: word.text.clone(), places, depth })
    }

    fn slice(&self, span: &Range<usize>) -> &str {
        self.text.get(span.clone()).unwrap_or("")
    }

    fn source(&self, span: &Range<usize>) -> Range<usize> {
        match span.end.checked_sub(1).filter(|last| span.start <= *last) {
            Some(last) => self.places[span.start]..self.places[last] + 1,
            None => self.places[span.start]..self.places[span.start],
        }
    }

    /// Returns the word at `span` without quotes. Expansions stay unchanged.
    fn word(&self, span: Range<usize>) -> PlainWord {
        // The spans of a backquoted command with backslashes refer to its own unescaped text.
        if self.text.get(span.clone()).is_none() {
            return PlainWord::empty(self.places[0]..self.places[0]);
        }
        let bytes = self.text.as_bytes();
        let mut raw: Vec<u8> = Vec::new();
        let mut kinds: Vec<(usize, ByteKind)> = Vec::new();
        let mut extents = Extents::default();
        let mut at = span.start;
        let mut quote = None;
        while at < span.end {
            let byte = bytes[at];
            let next = bytes.get(at + 1).copied().filter(|_| at + 1 < span.end);
            let (length, kind) = match (byte, quote, next) {
                (b'\'', None | Some(b'\''), _) | (b'"', None | Some(b'"'), _) => {
                    quote = if quote.is_none() { Some(byte) } else { None };
                    at += 1;
                    continue;
                }
                (b'\\', None | Some(b'"'), Some(b'\n')) => {
                    at += 2;
                    continue;
                }
                (b'\\', None, Some(_)) | (b'\\', Some(b'"'), Some(b'"' | b'\\' | b'$' | b'`')) => {
                    at += 1;
                    (1, ByteKind::Quoted)
                }
                (b'$' | b'`', None | Some(b'"'), _) => {
                    let length = extents.length(&self.text[at..span.end]);
                    // `$NAME` may be replaced with another variable.
                    let is_plain = byte == b'$' && !matches!(next, Some(b'{' | b'('));
                    (length, if is_plain { ByteKind::Expanded } else { ByteKind::Expansion })
                }
                (_, Some(b'\''), _) => (1, ByteKind::Quoted),
                _ => (1, ByteKind::Expanded),
            };
            // A nested shell does not see the variables of the outer one.
            let kind = if self.depth > 0 && kind == ByteKind::Expanded { ByteKind::Quoted } else { kind };
            let part = at..(at + length).min(span.end);
            raw.extend_from_slice(&bytes[part.clone()]);
            kinds.extend(self.places[part].iter().map(|place| (*place, kind)));
            at += length;
        }
        PlainWord { text: String::from_utf8_lossy(&raw).into_owned(), span: self.source(&span), bytes: kinds }
    }
}

/// The index of the script in `bash -c SCRIPT`, `sudo sh -ec SCRIPT` or `su -c SCRIPT`.
fn script_index(words: &[PlainWord]) -> Option<usize> {
    const SHELLS: &[&str] = &["sh", "bash", "ash", "dash", "ksh", "zsh", "su"];
    let program = words.iter().position(|word| SHELLS.contains(&word.text.rsplit('/').next().unwrap_or("")))?;
    let is_option =
        |word: &PlainWord| word.text.starts_with('-') && !word.text.starts_with("--") && word.text.ends_with('c');
    let option = program + 1 + words[program + 1..].iter().position(is_option)?;
    (option + 1 < words.len()).then_some(option + 1)
}

struct Walker<'j> {
    joined: &'j Joined,
    commands: Vec<SimpleCommand>,
    /// Variables whose values depend on the architecture.
    derived: BTreeSet<String>,
}

impl Walker<'_> {
    fn list(&mut self, list: &CommandList, choice: ConditionKind) {
        let mut outer = choice;
        for item in &list.items {
            let mut choice = outer;
            for pipeline in [&item.first].into_iter().chain(item.rest.iter().map(|(_, pipeline)| pipeline)) {
                for command in &pipeline.commands {
                    self.command(command, choice);
                }
                // A command after `[ ... ] &&` runs only if the test succeeds.
                if self.is_test(pipeline) {
                    choice = choice.max(self.choice_of(&Self::spans_of(pipeline)));
                }
            }
            if self.stops_other_architectures(item) {
                outer = outer.max(ConditionKind::ByArchitecture);
            }
        }
    }

    /// Whether a pipeline, whose commands were just read, ends in a test. `if ... fi` does not: it succeeds in most cases.
    fn is_test(&self, pipeline: &ShellPipeline) -> bool {
        match pipeline.commands.last().map(|command| &command.kind) {
            Some(CommandKind::Test(_) | CommandKind::Arithmetic(_)) => true,
            Some(CommandKind::Simple(_) | CommandKind::Group(_) | CommandKind::Subshell(_)) => {
                let Some(command) = self.commands.last() else { return false };
                let asks_in_code = || command.words.iter().any(|word| word.text.contains("process.arch"));
                match command.program() {
                    "[" | "[[" | "test" | "grep" | "egrep" | "expr" | "command" | "which" => true,
                    "node" => asks_in_code(),
                    _ => false,
                }
            }
            Some(
                CommandKind::If { .. }
                | CommandKind::Loop { .. }
                | CommandKind::For { .. }
                | CommandKind::ForArithmetic { .. }
                | CommandKind::Case { .. }
                | CommandKind::Function { .. },
            )
            | None => false,
        }
    }

    /// Whether the commands after this item run for one architecture only, because it exits for the others:
    /// `[ "$(uname -m)" = x86_64 ] || exit 0`, `if [ $ARCH != amd64 ]; then exit 1; fi`.
    fn stops_other_architectures(&self, item: &Item) -> bool {
        let decides = |spans: &[Range<usize>]| {
            let text = spans.iter().map(|span| self.joined.slice(span)).collect::<Vec<_>>().join(" ");
            let is_amd64 = |name: &str| crate::platform::Arch::parse(name) == Some(crate::platform::Arch::Amd64);
            let mut names = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            self.mentions_arch(&text) && (text.contains("!=") || names.any(is_amd64))
        };
        let exits_in = |pipeline: &ShellPipeline| pipeline.commands.iter().any(|command| self.exits(command));
        match item.first.commands.as_slice() {
            [shell::ShellCommand { kind: CommandKind::If { branches, otherwise }, .. }] => {
                let ends = |list: &CommandList| Self::commands_of(list).any(|command| self.exits(command));
                let condition = branches.first().map_or(Vec::new(), |(condition, _)| Self::span_of(condition));
                let is_ended = branches.iter().any(|(_, body)| ends(body)) || otherwise.as_ref().is_some_and(ends);
                is_ended && decides(&condition)
            }
            [shell::ShellCommand { kind: CommandKind::Case { word, arms }, .. }] => {
                let ends = |list: &CommandList| Self::commands_of(list).any(|command| self.exits(command));
                let going_on = arms.iter().filter(|arm| !ends(&arm.body)).count();
                going_on == 1 && arms.len() > 1 && self.mentions_arch(self.joined.slice(&word.span))
            }
            _ => item.rest.iter().any(|(_, pipeline)| exits_in(pipeline)) && decides(&Self::spans_of(&item.first)),
        }
    }

    /// Whether a command ends the script: `exit`, or a group with it.
    fn exits(&self, command: &shell::ShellCommand) -> bool {
        if let CommandKind::Group(list) = &command.kind {
            return Self::commands_of(list).any(|command| self.exits(command));
        }
        let CommandKind::Simple(simple) = &command.kind else { return false };
        simple.words.first().is_some_and(|word| matches!(self.joined.slice(&word.span), "exit" | "return"))
    }

    fn commands_of(list: &CommandList) -> impl Iterator<Item = &shell::ShellCommand> {
        let pipelines =
            list.items.iter().flat_map(|item| [&item.first].into_iter().chain(item.rest.iter().map(|(_, p)| p)));
        pipelines.flat_map(|pipeline| &pipeline.commands)
    }

    fn spans_of(pipeline: &ShellPipeline) -> Vec<Range<usize>> {
        pipeline.commands.iter().map(|command| command.span.clone()).collect()
    }

    /// Returns what decides a condition at `spans`.
    fn choice_of(&self, spans: &[Range<usize>]) -> ConditionKind {
        let is_arch = spans.iter().any(|span| self.mentions_arch(self.joined.slice(span)));
        if is_arch { ConditionKind::ByArchitecture } else { ConditionKind::Sometimes }
    }

    fn mentions_arch(&self, text: &str) -> bool {
        let lower = text.to_ascii_lowercase();
        let words = ["arch", "uname", "platform", "machine", "hosttype", "long_bit", "cpu", "targetvariant"];
        let names_it = words.iter().any(|word| lower.contains(word)) || !token::find(text).is_empty();
        let names = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        names_it
            || names.into_iter().any(|name| self.derived.contains(name) || crate::platform::Arch::parse(name).is_some())
    }

    fn span_of(list: &CommandList) -> Vec<Range<usize>> {
        Self::commands_of(list).map(|command| command.span.clone()).collect()
    }

    fn command(&mut self, command: &shell::ShellCommand, choice: ConditionKind) {
        match &command.kind {
            CommandKind::Simple(simple) => self.simple(simple, &command.redirects, choice),
            CommandKind::Group(list) | CommandKind::Subshell(list) => self.list(list, choice),
            CommandKind::If { branches, otherwise } => {
                let mut inner = choice;
                for (condition, body) in branches {
                    self.list(condition, inner);
                    inner = inner.max(self.choice_of(&Self::span_of(condition)));
                    self.list(body, inner);
                }
                otherwise.iter().for_each(|list| self.list(list, inner));
            }
            CommandKind::Loop { condition, body, .. } => {
                self.list(condition, choice);
                let inner = choice.max(self.choice_of(&Self::span_of(condition)));
                self.list(body, inner);
            }
            CommandKind::For { name, words, body } => {
                let words = words.as_deref().unwrap_or_default();
                if words.iter().any(|word| self.mentions_arch(self.joined.slice(&word.span))) {
                    self.derived.insert(name.clone());
                }
                words.iter().for_each(|word| self.substitutions(&word.parts, choice));
                self.list(body, choice);
            }
            CommandKind::ForArithmetic { body, .. } => self.list(body, choice),
            CommandKind::Case { word, arms } => {
                self.substitutions(&word.parts, choice);
                let patterns = arms.iter().flat_map(|arm| &arm.patterns).map(|pattern| pattern.span.clone());
                let decided: Vec<_> = [word.span.clone()].into_iter().chain(patterns).collect();
                let inner = choice.max(self.choice_of(&decided));
                arms.iter().for_each(|arm| self.list(&arm.body, inner));
            }
            CommandKind::Function { body, .. } => self.command(body, choice),
            CommandKind::Test(condition) => self.condition(condition, choice),
            CommandKind::Arithmetic(word) => self.substitutions(&word.parts, choice),
        }
    }

    fn condition(&mut self, condition: &Condition, choice: ConditionKind) {
        match condition {
            Condition::Unary(_, word) => self.substitutions(&word.parts, choice),
            Condition::Binary(left, _, right) => {
                self.substitutions(&left.parts, choice);
                self.substitutions(&right.parts, choice);
            }
            Condition::Not(inner) => self.condition(inner, choice),
            Condition::And(left, right) | Condition::Or(left, right) => {
                self.condition(left, choice);
                self.condition(right, choice);
            }
        }
    }

    fn simple(&mut self, simple: &shell::Simple, redirects: &[Redirect], choice: ConditionKind) {
        let mut spans: Vec<Range<usize>> = Vec::new();
        for assignment in simple.assignments.iter().chain(&simple.declared) {
            let source = self.joined.slice(&assignment.span);
            if choice == ConditionKind::ByArchitecture
                || self.mentions_arch(source.split_once('=').map_or("", |(_, v)| v))
            {
                self.derived.insert(assignment.name.clone());
            }
            match &assignment.value {
                AssignedValue::Scalar(word) => self.substitutions(&word.parts, choice),
                AssignedValue::Array(items) => {
                    items.iter().for_each(|(_, word)| self.substitutions(&word.parts, choice));
                }
            }
            spans.push(assignment.span.clone());
        }
        for word in &simple.words {
            self.substitutions(&word.parts, choice);
            spans.push(word.span.clone());
        }
        spans.sort_by_key(|span| span.start);
        let mut words: Vec<PlainWord> = spans.into_iter().map(|span| self.joined.word(span)).collect();
        let mut outputs = Vec::new();
        for redirect in redirects {
            let target = || self.joined.word(redirect.target.span.clone());
            match redirect.kind {
                RedirectKind::Input | RedirectKind::HereString => words.push(target()),
                RedirectKind::Output | RedirectKind::Append | RedirectKind::ReadWrite => outputs.push(target()),
                RedirectKind::Duplicate | RedirectKind::HereDocument => {}
            }
            self.substitutions(&redirect.target.parts, choice);
        }
        if let Some(script) = script_index(&words) {
            let script = words.remove(script);
            self.nested(&script, choice);
        }
        if !words.is_empty() || !outputs.is_empty() {
            self.commands.push(SimpleCommand { words, outputs, choice });
        }
    }

    /// Reads the commands of a script that another shell gets.
    fn nested(&mut self, script: &PlainWord, choice: ConditionKind) {
        let Some(joined) = Joined::of_word(script, self.joined.depth + 1) else { return };
        let mut walker = Walker { joined: &joined, commands: Vec::new(), derived: self.derived.clone() };
        walker.list(&shell::parse(&joined.text).list, choice);
        // Those of the substitutions between double quotes are known.
        let first = |command: &SimpleCommand| command.words.first().map(|word| word.span.start);
        let known: BTreeSet<usize> = self.commands.iter().filter_map(first).collect();
        let is_new = |command: &SimpleCommand| first(command).is_none_or(|start| !known.contains(&start));
        self.commands.extend(walker.commands.into_iter().filter(is_new));
    }

    /// Reads the commands in a word.
    fn substitutions(&mut self, parts: &[WordPart], choice: ConditionKind) {
        for part in parts {
            match part {
                WordPart::Literal(_) | WordPart::Quoted(_) => {}
                WordPart::DoubleQuoted(parts) => self.substitutions(parts, choice),
                WordPart::Command(list) | WordPart::Process(list) => self.list(list, choice),
                WordPart::Arithmetic(word) => self.substitutions(&word.parts, choice),
                WordPart::Parameter(parameter) => match &parameter.operation {
                    Operation::Default { word, .. } => self.substitutions(&word.parts, choice),
                    Operation::Trim { pattern, .. } => self.substitutions(&pattern.parts, choice),
                    Operation::Replace { pattern, with, .. } => {
                        self.substitutions(&pattern.parts, choice);
                        self.substitutions(&with.parts, choice);
                    }
                    Operation::Plain | Operation::Substring { .. } | Operation::Case { .. } | Operation::Other => {}
                },
            }
        }
    }
}
