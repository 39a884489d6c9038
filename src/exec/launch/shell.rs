//! As much of a shell script as tells what it starts: simple commands at its top level with words that are known. All
//! else is left to run time, and said to be. It must never guess a word.

use std::collections::HashMap;

mod word;

/// A simple command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Command {
    pub words: Vec<Word>,
    /// Line in the text, from 1.
    pub line: usize,
    /// Inside an `if`, loop, function, subshell or substitution: it may run or not.
    pub is_nested: bool,
    /// What stands between it and the one before.
    pub after: Joint,
    /// Something follows it with `&&`, `||` or `|`, so that its failure is not the script's, or it runs beside it (`&`).
    pub is_tested: bool,
    /// `!` stands before it: its failure is a success.
    pub is_negated: bool,
}

/// What joins a command to the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Joint {
    Next,
    And,
    Or,
    Pipe,
}

/// A word after expansion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    Known(String),
    /// `"$@"`.
    Arguments,
    Unknown,
}

/// Words known to the script from outside.
pub(crate) struct Scope<'s> {
    /// `$0`, `$1`...
    pub arguments: &'s [String],
    pub env: &'s [String],
}

const OPENERS: &[&str] = &["if", "while", "until", "for", "case", "{", "select"];
const CLOSERS: &[&str] = &["fi", "done", "esac", "}"];
const MIDDLE: &[&str] = &["then", "else", "elif", "do", "in", "!", "time"];

/// The commands of a script in their order. `None` where its text cannot be read to the end: an open quote, a here
/// document without its end.
pub(crate) fn commands(text: &str, scope: &Scope<'_>) -> Option<Vec<Command>> {
    let mut parser = Parser {
        text: text.as_bytes(),
        at: 0,
        line: 1,
        scope,
        set: HashMap::new(),
        out: Vec::new(),
        depth: 0,
        cases: Vec::new(),
        heredocs: Vec::new(),
        is_negated: false,
    };
    parser.run()?;
    Some(parser.out)
}

struct Parser<'s> {
    text: &'s [u8],
    at: usize,
    line: usize,
    scope: &'s Scope<'s>,
    /// Variables that the script sets: to a known value at its top level, else to `None`.
    set: HashMap<String, Option<String>>,
    out: Vec<Command>,
    depth: usize,
    /// Depths of the `case`s that are open and wait for a pattern.
    cases: Vec<usize>,
    heredocs: Vec<String>,
    is_negated: bool,
}

impl Parser<'_> {
    fn run(&mut self) -> Option<()> {
        let mut joint = Joint::Next;
        let mut words: Vec<Word> = Vec::new();
        let mut line = 1;
        loop {
            self.skip_blanks();
            let byte = self.peek();
            match byte {
                None => {
                    self.finish(&mut words, line, joint, false);
                    return (self.heredocs.is_empty() && self.depth == 0).then_some(());
                }
                Some(b'#') => self.skip_line(),
                Some(b'\n') => {
                    self.finish(&mut words, line, joint, false);
                    self.take_newline()?;
                    joint = Joint::Next;
                }
                Some(b';') => {
                    self.finish(&mut words, line, joint, false);
                    self.at += 1;
                    if self.peek() == Some(b';') {
                        self.at += 1;
                        self.skip_pattern()?;
                    }
                    joint = Joint::Next;
                }
                Some(b'&') | Some(b'|') => {
                    let is_double = self.text.get(self.at + 1) == byte.as_ref();
                    self.finish(&mut words, line, joint, true);
                    self.at += 1 + usize::from(is_double);
                    joint = match (byte, is_double) {
                        (Some(b'&'), true) => Joint::And,
                        (Some(b'|'), true) => Joint::Or,
                        (Some(b'|'), false) => Joint::Pipe,
                        _ => Joint::Next,
                    };
                }
                Some(b'(') => {
                    self.at += 1;
                    self.skip_blanks();
                    // `name()` begins a function; its body follows as a compound.
                    if words.len() == 1 && self.peek() == Some(b')') {
                        self.at += 1;
                        words.clear();
                    } else {
                        self.finish(&mut words, line, joint, true);
                        self.depth += 1;
                    }
                }
                Some(b')') => {
                    self.finish(&mut words, line, joint, false);
                    self.at += 1;
                    self.depth = self.depth.checked_sub(1)?;
                }
                Some(b'<' | b'>') => self.redirect()?,
                Some(_) => {
                    if words.is_empty() {
                        line = self.line;
                    }
                    let is_first = words.is_empty();
                    let start = self.at;
                    let word = self.word()?;
                    let raw = String::from_utf8_lossy(&self.text[start..self.at]).into_owned();
                    if is_first && self.keyword(&raw)? {
                        joint = if raw == "!" { joint } else { Joint::Next };
                        self.is_negated = raw == "!";
                        continue;
                    }
                    // A number before `<` or `>` is a descriptor.
                    if !(raw.bytes().all(|b| b.is_ascii_digit()) && matches!(self.peek(), Some(b'<' | b'>'))) {
                        words.push(word);
                    }
                }
            }
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn skip_blanks(&mut self) {
        loop {
            match (self.peek(), self.text.get(self.at + 1)) {
                (Some(b' ' | b'\t' | b'\r'), _) => self.at += 1,
                (Some(b'\\'), Some(b'\n')) => {
                    self.at += 2;
                    self.line += 1;
                }
                _ => return,
            }
        }
    }

    fn skip_line(&mut self) {
        while self.peek().is_some_and(|byte| byte != b'\n') {
            self.at += 1;
        }
    }

    /// Past a newline, and past the here documents that begin after it.
    fn take_newline(&mut self) -> Option<()> {
        self.at += 1;
        self.line += 1;
        for end in std::mem::take(&mut self.heredocs) {
            loop {
                let start = self.at;
                self.skip_line();
                let line = String::from_utf8_lossy(&self.text[start..self.at]).into_owned();
                self.peek()?;
                self.at += 1;
                self.line += 1;
                if line.trim_start_matches('\t') == end {
                    break;
                }
            }
        }
        Some(())
    }

    fn redirect(&mut self) -> Option<()> {
        let is_here = self.text[self.at..].starts_with(b"<<") && !self.text[self.at..].starts_with(b"<<<");
        while matches!(self.peek(), Some(b'<' | b'>' | b'&' | b'|' | b'-')) {
            self.at += 1;
        }
        self.skip_blanks();
        let start = self.at;
        self.word()?;
        if is_here {
            let raw = String::from_utf8_lossy(&self.text[start..self.at]).into_owned();
            self.heredocs.push(raw.replace(['"', '\'', '\\'], ""));
        }
        Some(())
    }

    /// Reserved words at the start of a command.
    fn keyword(&mut self, raw: &str) -> Option<bool> {
        if OPENERS.contains(&raw) {
            self.depth += 1;
            match raw {
                "case" => {
                    self.cases.push(self.depth);
                    self.skip_to_in()?;
                    self.skip_pattern()?;
                }
                "for" | "select" => self.skip_for(),
                _ => {}
            }
            return Some(true);
        }
        if CLOSERS.contains(&raw) {
            if raw == "esac" {
                self.cases.pop();
            }
            self.depth = self.depth.checked_sub(1)?;
            return Some(true);
        }
        if raw == "function" {
            self.skip_blanks();
            self.word()?;
            return Some(true);
        }
        Some(MIDDLE.contains(&raw))
    }

    fn skip_to_in(&mut self) -> Option<()> {
        loop {
            self.skip_blanks();
            match self.peek()? {
                b'\n' => self.take_newline()?,
                _ => {
                    let start = self.at;
                    self.word()?;
                    if self.at == start {
                        return None;
                    }
                    if &self.text[start..self.at] == b"in" {
                        return Some(());
                    }
                }
            }
        }
    }

    /// Past a `case` pattern up to its `)`, or to `esac`.
    fn skip_pattern(&mut self) -> Option<()> {
        loop {
            self.skip_blanks();
            match self.peek()? {
                b'\n' => self.take_newline()?,
                b'#' => self.skip_line(),
                b'(' | b'|' => self.at += 1,
                b')' => {
                    self.at += 1;
                    return Some(());
                }
                _ => {
                    let start = self.at;
                    self.word()?;
                    if &self.text[start..self.at] == b"esac" {
                        self.at = start;
                        return Some(());
                    }
                    if self.at == start {
                        return None;
                    }
                }
            }
        }
    }

    /// The names and words of a `for`, up to its separator.
    fn skip_for(&mut self) {
        while self.peek().is_some_and(|byte| !matches!(byte, b'\n' | b';')) {
            self.at += 1;
        }
    }

    fn finish(&mut self, words: &mut Vec<Word>, line: usize, after: Joint, is_tested: bool) {
        let words = std::mem::take(words);
        if words.is_empty() {
            return;
        }
        let is_nested = self.depth > 0;
        let assigned = words.iter().take_while(|word| assignment(word).is_some()).count();
        if assigned == words.len() || is_setter(&words) {
            for (name, value) in words.iter().filter_map(assignment) {
                self.set.insert(name, value.filter(|_| !is_nested && after == Joint::Next));
            }
            for word in words.iter().skip(1).filter(|word| is_setter(&words) && assignment(word).is_none()) {
                let is_export = words[0] == Word::Known("export".to_string());
                if let Word::Known(name) = word
                    && !is_export
                {
                    self.set.insert(name.clone(), None);
                }
            }
        }
        let is_negated = std::mem::take(&mut self.is_negated);
        self.out.push(Command { words, line, is_nested, after, is_tested, is_negated });
    }
}

/// What the script exits with where the first of these commands fails: `|| exit 1` follows it, or the commands that it
/// is joined to by `&&`. `None`: it goes on, or ends in success.
pub(crate) fn exit_on_failure(commands: &[Command]) -> Option<Exit> {
    let first = commands.first().filter(|command| !command.is_negated)?;
    let joined = commands[1..].iter().take_while(|command| command.after == Joint::And).count();
    let end = commands.get(1 + joined).filter(|command| command.after == Joint::Or && !command.is_nested)?;
    let is_plain = commands[..=joined].iter().all(|command| !command.is_nested && !command.is_negated);
    let is_head = matches!(first.after, Joint::Next | Joint::And);
    let status = match &*end.words {
        [Word::Known(exit)] if exit == "exit" => Exit::Same,
        [Word::Known(exit), Word::Known(code)] if exit == "exit" => {
            Exit::With(code.parse().ok().filter(|code| *code != 0)?)
        }
        _ => return None,
    };
    (is_plain && is_head).then_some(status)
}

/// How a script exits by `exit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// As the command before it ended.
    Same,
    With(u8),
}

/// `NAME=value`; the value is `None` where it is not known.
pub(crate) fn assignment(word: &Word) -> Option<(String, Option<String>)> {
    let Word::Known(text) = word else { return None };
    let (name, value) = text.split_once('=')?;
    let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && !name.is_empty()
        && !name.as_bytes()[0].is_ascii_digit();
    is_name.then(|| (name.to_string(), Some(value.to_string())))
}

fn is_setter(words: &[Word]) -> bool {
    let setters = ["export", "local", "readonly", "declare", "typeset", "read", "unset"];
    matches!(&words[0], Word::Known(word) if setters.contains(&word.as_str()))
}

#[cfg(test)]
#[path = "shell_tests.rs"]
mod tests;
