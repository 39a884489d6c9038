//! `sed`, as far as it prints: `s`, `p`, `d` and `q` with simple addresses. Source: POSIX XCU sed; GNU sed's manual.

use super::MAX_TEXT;
use super::expression::{Compiled, MatchWork, RegularExpression};

/// Maximum number of commands. Entry scripts use a few.
const MAX_COMMANDS: usize = 64;

/// A parsed call.
pub(super) struct Sed {
    commands: Vec<SedCommand>,
    is_quiet: bool,
}

struct SedCommand {
    address: Option<Address>,
    action: SedAction,
}

enum Address {
    Line(usize),
    Last,
    Matching(Compiled),
}

enum SedAction {
    Substitute { expression: Compiled, with: Vec<Replacement>, is_global: bool, prints: bool },
    Print,
    Delete,
    Quit,
}

enum Replacement {
    Text(String),
    Group(usize),
}

impl Sed {
    /// Returns the commands, and the files that they are applied to. `None` if they are not supported.
    pub fn parse(words: &[String]) -> Option<(Sed, Vec<&String>)> {
        let (mut is_quiet, mut is_extended, mut scripts, mut files) = (false, false, Vec::new(), Vec::new());
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match word.as_str() {
                "-n" | "--quiet" => is_quiet = true,
                "-E" | "-r" | "--regexp-extended" => is_extended = true,
                "-e" => scripts.push(words.next()?.as_str()),
                "-ne" | "-en" => {
                    is_quiet = true;
                    scripts.push(words.next()?.as_str());
                }
                "-nE" | "-nr" | "-En" | "-rn" => (is_quiet, is_extended) = (true, true),
                "-u" | "-s" => {}
                option if option.starts_with('-') && option.len() > 1 => return None,
                _ => files.push(word),
            }
        }
        if scripts.is_empty() {
            if files.is_empty() {
                return None;
            }
            scripts.push(files.remove(0).as_str());
        }
        let mut commands = Vec::new();
        for script in scripts {
            let mut rest = script.trim_start_matches([' ', ';', '\n']);
            while !rest.is_empty() {
                let (command, after) = sed_command(rest, is_extended)?;
                commands.push(command);
                if commands.len() > MAX_COMMANDS {
                    return None;
                }
                rest = after.trim_start_matches([' ', '\t']);
                if !rest.is_empty() && !rest.starts_with([';', '\n']) {
                    return None;
                }
                rest = rest.trim_start_matches([' ', ';', '\n']);
            }
        }
        Some((Sed { commands, is_quiet }, files))
    }

    /// Number of regular expressions.
    pub fn expressions(&self) -> usize {
        let count = |command: &SedCommand| {
            let is_addressed = matches!(command.address, Some(Address::Matching(_)));
            usize::from(is_addressed) + usize::from(matches!(command.action, SedAction::Substitute { .. }))
        };
        self.commands.iter().map(count).sum()
    }

    /// Returns the lines that it prints. `None` if they are too long, or the work exceeds its limit.
    pub fn edit(&self, input: &[String], work: &mut MatchWork) -> Option<Vec<String>> {
        let mut output = Output { lines: Vec::new(), bytes: 0 };
        for (at, line) in input.iter().enumerate() {
            let (mut line, mut is_deleted, mut quits) = (line.clone(), false, false);
            for command in &self.commands {
                let is_addressed = match &command.address {
                    None => true,
                    Some(Address::Line(number)) => at + 1 == *number,
                    Some(Address::Last) => at + 1 == input.len(),
                    Some(Address::Matching(expression)) => expression.is_match(&line, work),
                };
                if !work.add(1) {
                    return None;
                }
                match &command.action {
                    _ if !is_addressed => {}
                    SedAction::Print => output.push(&line)?,
                    SedAction::Delete => is_deleted = true,
                    SedAction::Quit => quits = true,
                    SedAction::Substitute { expression, with, is_global, prints } => {
                        let (edited, found) = substituted(&line, expression, with, *is_global, work)?;
                        line = edited;
                        if found && *prints {
                            output.push(&line)?;
                        }
                    }
                }
                if is_deleted || quits {
                    break;
                }
            }
            if !is_deleted && !self.is_quiet {
                output.push(&line)?;
            }
            if quits {
                break;
            }
        }
        Some(output.lines)
    }
}

/// Printed lines, of [`MAX_TEXT`] bytes at most.
struct Output {
    lines: Vec<String>,
    bytes: usize,
}

impl Output {
    /// `None` if there are too many.
    fn push(&mut self, line: &str) -> Option<()> {
        self.bytes += line.len() + 1;
        (self.bytes <= MAX_TEXT).then(|| self.lines.push(line.to_string()))
    }
}

/// Parses one command, and returns the text after it.
fn sed_command(text: &str, is_extended: bool) -> Option<(SedCommand, &str)> {
    let compile = |pattern: &str| {
        let expression = if is_extended {
            RegularExpression::from_extended(pattern)
        } else {
            RegularExpression::from_basic(pattern)
        };
        expression?.compile()
    };
    let (address, rest) = match text.chars().next()? {
        '/' => {
            let (pattern, rest) = delimited(&text[1..], '/')?;
            (Some(Address::Matching(compile(&pattern)?)), rest)
        }
        '$' => (Some(Address::Last), &text[1..]),
        c if c.is_ascii_digit() => {
            let end = text.find(|c: char| !c.is_ascii_digit())?;
            (Some(Address::Line(text[..end].parse().ok()?)), &text[end..])
        }
        _ => (None, text),
    };
    let rest = rest.trim_start();
    let (action, rest) = match rest.chars().next()? {
        'p' => (SedAction::Print, &rest[1..]),
        'd' => (SedAction::Delete, &rest[1..]),
        'q' => (SedAction::Quit, &rest[1..]),
        's' => {
            let delimiter = rest[1..].chars().next().filter(char::is_ascii)?;
            let (pattern, after) = delimited(&rest[2..], delimiter)?;
            let (with, after) = delimited(after, delimiter)?;
            let flags = after.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(after.len());
            let (flags, after) = after.split_at(flags);
            if flags.contains(|c| !matches!(c, 'g' | 'p')) {
                return None;
            }
            let (is_global, prints) = (flags.contains('g'), flags.contains('p'));
            let action =
                SedAction::Substitute { expression: compile(&pattern)?, with: replacement(&with)?, is_global, prints };
            (action, after)
        }
        _ => return None,
    };
    Some((SedCommand { address, action }, rest))
}

/// Returns the text up to a delimiter without a backslash, and the text after it.
fn delimited(text: &str, delimiter: char) -> Option<(String, &str)> {
    let mut inside = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => match chars.next()?.1 {
                c if c == delimiter => inside.push(c),
                c => inside.extend(['\\', c]),
            },
            c if c == delimiter => return Some((inside, &text[at + c.len_utf8()..])),
            c => inside.push(c),
        }
    }
    None
}

fn replacement(text: &str) -> Option<Vec<Replacement>> {
    let (mut parts, mut literal) = (Vec::new(), String::new());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        let group = match c {
            '&' => 0,
            '\\' => match chars.next()? {
                c @ '1'..='9' => c as usize - '0' as usize,
                'n' => {
                    literal.push('\n');
                    continue;
                }
                c if c.is_ascii_alphanumeric() => return None,
                c => {
                    literal.push(c);
                    continue;
                }
            },
            c => {
                literal.push(c);
                continue;
            }
        };
        parts.push(Replacement::Text(std::mem::take(&mut literal)));
        parts.push(Replacement::Group(group));
    }
    parts.push(Replacement::Text(literal));
    Some(parts)
}

/// Returns the edited line, and whether there was a match. `None` if it is too long, or the work exceeds its limit.
fn substituted(
    line: &str,
    expression: &Compiled,
    with: &[Replacement],
    is_global: bool,
    work: &mut MatchWork,
) -> Option<(String, bool)> {
    let (mut edited, mut start, mut found_any) = (String::new(), 0, false);
    let mut last_end = None;
    while let Some(found) = expression.find_at(line, start, work) {
        // An empty match directly after another one does not count.
        if found.range.is_empty() && last_end == Some(found.range.start) {
            let Some(c) = line[start..].chars().next() else { break };
            edited.push(c);
            start += c.len_utf8();
            continue;
        }
        last_end = Some(found.range.end);
        found_any = true;
        edited.push_str(&line[start..found.range.start]);
        for part in with {
            edited.push_str(match part {
                Replacement::Text(text) => text,
                Replacement::Group(group) => found.groups.get(*group).map_or("", String::as_str),
            });
            if edited.len() > MAX_TEXT {
                return None;
            }
        }
        start = found.range.end;
        // An empty match is followed by the next character.
        if found.range.is_empty() {
            let Some(c) = line[start..].chars().next() else { break };
            edited.push(c);
            start += c.len_utf8();
        }
        if !is_global {
            break;
        }
    }
    edited.push_str(&line[start..]);
    (edited.len() <= MAX_TEXT && !work.is_exceeded()).then_some((edited, found_any))
}
