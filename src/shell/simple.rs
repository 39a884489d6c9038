//! Simple commands: assignments, words and redirections.

use super::ast::*;
use super::parser::{Parser, PendingDocument, Read, Stop, is_name};

/// Builtins whose arguments may be assignments. Source: bash(1) "declaration commands".
const DECLARATIONS: &[&str] = &["export", "local", "declare", "typeset", "readonly"];

impl Parser<'_> {
    pub fn simple(&mut self, start: usize, line: usize) -> Read<ShellCommand> {
        let (mut simple, mut redirects) = (Simple::default(), Vec::new());
        let mut end = start;
        loop {
            self.blanks();
            if let Some(redirect) = self.redirect()? {
                redirects.push(redirect);
                end = self.at;
                continue;
            }
            let is_declaration =
                simple.words.first().and_then(ShellWord::bare).is_some_and(|n| DECLARATIONS.contains(&n));
            if (simple.words.is_empty() || is_declaration)
                && let Some(assignment) = self.assignment()?
            {
                if is_declaration {
                    simple.declared.push(assignment);
                } else {
                    simple.assignments.push(assignment);
                }
                end = self.at;
                continue;
            }
            match self.peek() {
                None | Some(b'\n' | b';' | b'&' | b'|' | b')') => break,
                Some(b'(') => {
                    // `name ( )` begins a function definition.
                    let name = match (simple.words.as_slice(), simple.assignments.is_empty(), redirects.is_empty()) {
                        ([name], true, true) => name.literal(),
                        _ => None,
                    };
                    let name = name.ok_or(Stop("unexpected ("))?;
                    self.at += 1;
                    self.blanks();
                    if !self.take(")") {
                        return Err(Stop("unexpected ("));
                    }
                    let kind = self.function_body(name, FunctionStyle::Parentheses)?;
                    return Ok(ShellCommand { kind, redirects, span: start..self.at, line });
                }
                Some(_) => {
                    let word = self.word()?;
                    if word.span.is_empty() {
                        return Err(Stop("unexpected character"));
                    }
                    simple.words.push(word);
                    end = self.at;
                }
            }
        }
        if simple.words.is_empty() && simple.assignments.is_empty() && redirects.is_empty() {
            return Err(Stop("expected a command"));
        }
        Ok(ShellCommand { kind: CommandKind::Simple(simple), redirects, span: start..end, line })
    }

    /// Parses `2>&1`, `<<EOF`, `&>file` or `{fd}>file`.
    pub fn redirect(&mut self) -> Read<Option<Redirect>> {
        let start = self.at;
        let digits = self.text[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let mut at = start + digits;
        if digits == 0 && self.peek() == Some(b'{') {
            let name = self.text[start + 1..].iter().take_while(|byte| is_name(**byte)).count();
            if name > 0 && self.text.get(start + 1 + name) == Some(&b'}') {
                at = start + name + 2;
            }
        }
        let after = &self.text[at..];
        let is_both = digits == 0 && at == start && after.starts_with(b"&>");
        if !is_both && !matches!(after.first(), Some(b'<' | b'>')) {
            return Ok(None);
        }
        // `<(` and `>(` begin a word.
        if matches!(after, [b'<' | b'>', b'(', ..]) {
            return Ok(None);
        }
        let operators: [(&str, RedirectKind); 12] = [
            ("&>>", RedirectKind::Append),
            ("&>", RedirectKind::Output),
            ("<<<", RedirectKind::HereString),
            ("<<-", RedirectKind::HereDocument),
            ("<<", RedirectKind::HereDocument),
            ("<>", RedirectKind::ReadWrite),
            ("<&", RedirectKind::Duplicate),
            (">&", RedirectKind::Duplicate),
            (">>", RedirectKind::Append),
            (">|", RedirectKind::Output),
            ("<", RedirectKind::Input),
            (">", RedirectKind::Output),
        ];
        let found = operators.iter().find(|(text, _)| after.starts_with(text.as_bytes()));
        let (operator, kind) = *found.ok_or(Stop("unexpected character"))?;
        let fd = std::str::from_utf8(&self.text[start..start + digits]).ok().and_then(|text| text.parse().ok());
        self.at = at + operator.len();
        self.blanks();
        let target = self.word()?;
        if target.span.is_empty() {
            return Err(Stop("expected a file after a redirection"));
        }
        let mut here = None;
        if kind == RedirectKind::HereDocument {
            let (delimiter, expands) = self.delimiter(&target);
            let slot = self.documents.len();
            self.documents.push(ShellWord::default());
            self.pending.push(PendingDocument {
                delimiter,
                expands,
                strips_tabs: operator == "<<-",
                slot,
                at: target.span.start,
            });
            here = Some(slot);
        }
        Ok(Some(Redirect { fd, kind, target, here }))
    }

    /// The delimiter of a here-document, and whether its body is expanded, which requires that no part of the delimiter
    /// is quoted.
    fn delimiter(&self, word: &ShellWord) -> (String, bool) {
        let raw = String::from_utf8_lossy(&self.text[word.span.clone()]).into_owned();
        let is_quoted = raw.contains(['\'', '"', '\\']);
        (raw.replace(['\'', '"', '\\'], ""), !is_quoted)
    }

    /// Parses `NAME=value`, `NAME+=value`, `NAME[i]=value` or `NAME=(...)`.
    fn assignment(&mut self) -> Read<Option<Assignment>> {
        let start = self.at;
        let name = self.text[start..].iter().take_while(|byte| is_name(**byte)).count();
        if name == 0 || self.text[start].is_ascii_digit() {
            return Ok(None);
        }
        let rest = &self.text[start + name..];
        if !matches!(rest, [b'=', ..] | [b'+', b'=', ..] | [b'[', ..]) {
            return Ok(None);
        }
        self.at = start + name;
        let mut index = None;
        if self.peek() == Some(b'[') {
            self.at += 1;
            let word = self.word_until(b"]");
            match word {
                Ok(word)
                    if self.peek() == Some(b']')
                        && matches!(self.text[self.at + 1..], [b'=', ..] | [b'+', b'=', ..]) =>
                {
                    index = Some(word);
                    self.at += 1;
                }
                _ => {
                    self.at = start;
                    return Ok(None);
                }
            }
        }
        let appends = self.take("+=");
        if !appends {
            self.at += 1;
        }
        let name = String::from_utf8_lossy(&self.text[start..start + name]).into_owned();
        let value = match self.peek() {
            Some(b'(') => AssignedValue::Array(self.nest(Self::array)?),
            _ => AssignedValue::Scalar(self.word()?),
        };
        Ok(Some(Assignment { name, index, appends, value, span: start..self.at }))
    }

    fn array(&mut self) -> Read<Vec<(Option<ShellWord>, ShellWord)>> {
        self.at += 1;
        let mut elements = Vec::new();
        loop {
            self.lines()?;
            match self.peek() {
                None => return Err(Stop("unterminated array")),
                Some(b')') => {
                    self.at += 1;
                    return Ok(elements);
                }
                Some(b'[') => {
                    let start = self.at;
                    self.at += 1;
                    let key = self.word_until(b"]")?;
                    if self.take("]=") {
                        elements.push((Some(key), self.word()?));
                        continue;
                    }
                    self.at = start;
                    elements.push((None, self.word()?));
                }
                Some(_) => {
                    let word = self.word()?;
                    if word.span.is_empty() {
                        return Err(Stop("unexpected character in an array"));
                    }
                    elements.push((None, word));
                }
            }
        }
    }
}
