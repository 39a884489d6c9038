//! Words: quotes, parameters and substitutions.

use super::ast::*;
use super::parser::{Parser, Read, Stop, is_meta, is_name};

/// The length in bytes of the expansion at the start of `text`: `$NAME`, `${...}`, `$(...)` or a backquoted command.
/// `None` if `text` does not start with an expansion or the expansion is unterminated.
pub fn expansion_length(text: &str) -> Option<usize> {
    let mut parser = Parser::new(text.as_bytes(), 1);
    let mut parts = Parts::default();
    match parser.peek()? {
        b'$' => parser.dollar(&mut parts, Within::DoubleQuotes).ok()?,
        b'`' => parser.backquoted(&mut parts, Within::DoubleQuotes).ok()?,
        _ => return None,
    }
    (parser.at > 1).then_some(parser.at)
}

/// The quoting context of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Within {
    /// Quotes are special.
    Unquoted,
    /// Inside double quotes, or in a here-document or arithmetic, which follow the same rules.
    DoubleQuotes,
}

impl Parser<'_> {
    /// Parses the next word. Its span is empty if there is none.
    pub fn word(&mut self) -> Read<ShellWord> {
        self.unquoted_word(is_meta)
    }

    /// Parses text up to one of these bytes, which is not consumed. Blanks are part of the text.
    pub fn word_until(&mut self, stops: &[u8]) -> Read<ShellWord> {
        self.unquoted_word(|byte| stops.contains(&byte))
    }

    fn unquoted_word(&mut self, stops: impl Fn(u8) -> bool) -> Read<ShellWord> {
        let start = self.at;
        let mut parts = Parts::default();
        while let Some(byte) = self.peek() {
            let is_glob_group = byte == b'(' && parts.ends_in_glob_operator();
            if stops(byte) && !is_glob_group && !(matches!(byte, b'<' | b'>') && self.peek_at(1) == Some(b'(')) {
                break;
            }
            match byte {
                b'(' if is_glob_group => self.glob_group(&mut parts)?,
                b'<' | b'>' if self.peek_at(1) == Some(b'(') => {
                    self.at += 2;
                    let list = self.nest(|parser| parser.list())?;
                    if !self.take(")") {
                        return Err(Stop("( without )"));
                    }
                    parts.push(WordPart::Process(list));
                }
                b'\'' => {
                    self.at += 1;
                    let text = self.single_quoted()?;
                    parts.push(WordPart::Quoted(text));
                }
                b'"' => {
                    self.at += 1;
                    let inner = self.nest(Self::double_quoted)?;
                    parts.push(WordPart::DoubleQuoted(inner));
                }
                b'\\' => match self.peek_at(1) {
                    Some(b'\n') => self.at += 2,
                    Some(_) => {
                        self.at += 1;
                        let text = self.character();
                        parts.push(WordPart::Quoted(text));
                    }
                    None => {
                        self.at += 1;
                        parts.literal("\\");
                    }
                },
                b'$' => self.dollar(&mut parts, Within::Unquoted)?,
                b'`' => self.backquoted(&mut parts, Within::Unquoted)?,
                _ => {
                    let text = self.character();
                    parts.literal(&text);
                }
            }
        }
        Ok(ShellWord { parts: parts.list, span: start..self.at })
    }

    /// Parses `@(a|b)` and similar patterns, whose parentheses and bars belong to the word.
    fn glob_group(&mut self, parts: &mut Parts) -> Read<()> {
        let mut open = 0usize;
        loop {
            match self.peek() {
                None | Some(b'\n') => return Err(Stop("( without )")),
                Some(byte @ (b'(' | b')')) => {
                    self.at += 1;
                    parts.literal(if byte == b'(' { "(" } else { ")" });
                    open = if byte == b'(' { open + 1 } else { open.saturating_sub(1) };
                    if open == 0 {
                        return Ok(());
                    }
                }
                Some(_) => {
                    let inner = self.nest(|parser| parser.word_until(b"()\n"))?;
                    inner.parts.into_iter().for_each(|part| parts.push(part));
                }
            }
        }
    }

    /// Reads one whole UTF-8 character.
    fn character(&mut self) -> String {
        let start = self.at;
        self.at += 1;
        while self.peek().is_some_and(|byte| byte & 0xc0 == 0x80) {
            self.at += 1;
        }
        String::from_utf8_lossy(&self.text[start..self.at]).into_owned()
    }

    fn single_quoted(&mut self) -> Read<String> {
        let rest = &self.text[self.at..];
        let end = rest.iter().position(|byte| *byte == b'\'').ok_or(Stop("unterminated quote"))?;
        self.at += end + 1;
        Ok(String::from_utf8_lossy(&rest[..end]).into_owned())
    }

    /// Parses the text after `"`, including the closing quote.
    pub(super) fn double_quoted(&mut self) -> Read<Vec<WordPart>> {
        let mut parts = Parts::default();
        loop {
            match self.peek() {
                None => return Err(Stop("unterminated quote")),
                Some(b'"') => {
                    self.at += 1;
                    return Ok(parts.list);
                }
                Some(byte) => self.quoted_byte(byte, &mut parts, "\"\\$`")?,
            }
        }
    }

    /// Parses the body of a here-document.
    pub fn document_parts(&mut self) -> Read<Vec<WordPart>> {
        let mut parts = Parts::default();
        while let Some(byte) = self.peek() {
            self.quoted_byte(byte, &mut parts, "\\$`")?;
        }
        Ok(parts.list)
    }

    /// `escapes` are the characters that a backslash escapes.
    pub(super) fn quoted_byte(&mut self, byte: u8, parts: &mut Parts, escapes: &str) -> Read<()> {
        match byte {
            b'\\' => match self.peek_at(1) {
                Some(b'\n') => self.at += 2,
                Some(next) if escapes.as_bytes().contains(&next) => {
                    self.at += 1;
                    let text = self.character();
                    parts.quoted(&text);
                }
                _ => {
                    self.at += 1;
                    parts.quoted("\\");
                }
            },
            b'$' => self.dollar(parts, Within::DoubleQuotes)?,
            b'`' => self.backquoted(parts, Within::DoubleQuotes)?,
            _ => {
                let text = self.character();
                parts.quoted(&text);
            }
        }
        Ok(())
    }

    fn dollar(&mut self, parts: &mut Parts, within: Within) -> Read<()> {
        if self.starts_with("$((") && self.is_arithmetic(self.at + 3) {
            self.at += 3;
            let body = self.nest(Self::arithmetic_body)?;
            parts.push(WordPart::Arithmetic(Box::new(body)));
            return Ok(());
        }
        match self.peek_at(1) {
            Some(b'(') => {
                self.at += 2;
                let list = self.nest(|parser| parser.list())?;
                if !self.take(")") {
                    return Err(Stop("$( without )"));
                }
                parts.push(WordPart::Command(list));
            }
            Some(b'{') => {
                self.at += 2;
                let parameter = self.nest(|parser| parser.braced(within))?;
                parts.push(WordPart::Parameter(Box::new(parameter)));
            }
            Some(b'\'') if within == Within::Unquoted => {
                self.at += 2;
                let text = self.ansi_quoted()?;
                parts.push(WordPart::Quoted(text));
            }
            Some(b'"') if within == Within::Unquoted => {
                self.at += 2;
                let inner = self.nest(Self::double_quoted)?;
                parts.push(WordPart::DoubleQuoted(inner));
            }
            Some(byte) if byte.is_ascii_alphabetic() || byte == b'_' => {
                let start = self.at + 1;
                self.at = start + self.text[start..].iter().take_while(|byte| is_name(**byte)).count();
                parts.push(plain(&String::from_utf8_lossy(&self.text[start..self.at])));
            }
            Some(byte) if byte.is_ascii_digit() || b"@*#?-$!".contains(&byte) => {
                self.at += 2;
                parts.push(plain(char::from(byte).encode_utf8(&mut [0; 4])));
            }
            _ => {
                self.at += 1;
                match within {
                    Within::Unquoted => parts.literal("$"),
                    Within::DoubleQuotes => parts.quoted("$"),
                }
            }
        }
        Ok(())
    }

    /// Parses the text after `$'`. Source: bash(1) QUOTING.
    fn ansi_quoted(&mut self) -> Read<String> {
        let mut text = String::new();
        loop {
            match self.peek() {
                None => return Err(Stop("unterminated quote")),
                Some(b'\'') => {
                    self.at += 1;
                    return Ok(text);
                }
                Some(b'\\') => {
                    let escaped = match self.peek_at(1) {
                        Some(b'n') => "\n",
                        Some(b't') => "\t",
                        Some(b'r') => "\r",
                        Some(b'a') => "\x07",
                        Some(b'b') => "\x08",
                        Some(b'e' | b'E') => "\x1b",
                        Some(b'f') => "\x0c",
                        Some(b'v') => "\x0b",
                        Some(b'\\') => "\\",
                        Some(b'\'') => "'",
                        Some(b'"') => "\"",
                        _ => {
                            self.at += 1;
                            text.push('\\');
                            continue;
                        }
                    };
                    text.push_str(escaped);
                    self.at += 2;
                }
                Some(_) => text.push_str(&self.character()),
            }
        }
    }

    fn backquoted(&mut self, parts: &mut Parts, within: Within) -> Read<()> {
        let start = self.at + 1;
        let mut end = start;
        let mut inner: Vec<u8> = Vec::new();
        loop {
            match self.text.get(end) {
                None => return Err(Stop("unterminated backquote")),
                Some(b'`') => break,
                Some(b'\\') => {
                    let next = self.text.get(end + 1).copied().ok_or(Stop("unterminated backquote"))?;
                    if !(matches!(next, b'$' | b'`' | b'\\') || next == b'"' && within == Within::DoubleQuotes) {
                        inner.push(b'\\');
                    }
                    inner.push(next);
                    end += 2;
                }
                Some(byte) => {
                    inner.push(*byte);
                    end += 1;
                }
            }
        }
        let list = if inner.len() == end - start {
            // Nothing is escaped, so the spans refer to the text itself.
            let whole = self.text;
            self.text = &whole[..end];
            self.at = start;
            let list = self.nest(|parser| parser.list());
            let is_read = self.at == end;
            self.text = whole;
            list.and_then(|list| if is_read { Ok(list) } else { Err(Stop("unexpected word or operator")) })?
        } else {
            let line = self.line_at(start);
            let mut nested = Parser::new(&inner, line);
            nested.depth = self.depth;
            nested.documents = std::mem::take(&mut self.documents);
            let list = nested.nest(|parser| parser.list());
            self.documents = nested.documents;
            list?
        };
        self.at = end + 1;
        parts.push(WordPart::Command(list));
        Ok(())
    }

    /// Whether the parentheses from here on close with `))`, as in arithmetic and unlike in `$( (a); b )`.
    pub fn is_arithmetic(&self, from: usize) -> bool {
        let (mut open, mut at) = (0usize, from);
        while let Some(byte) = self.text.get(at) {
            match byte {
                b'(' => open += 1,
                b')' if open == 0 => return self.text.get(at + 1) == Some(&b')'),
                b')' => open -= 1,
                b'\\' => at += 1,
                b'\'' | b'"' => match self.text[at + 1..].iter().position(|other| other == byte) {
                    Some(len) => at += len + 1,
                    None => return false,
                },
                _ => {}
            }
            at += 1;
        }
        false
    }

    /// Parses the text after `((`, including the `))`.
    pub fn arithmetic_body(&mut self) -> Read<ShellWord> {
        let (start, mut open) = (self.at, 0usize);
        let mut parts = Parts::default();
        loop {
            match self.peek() {
                None => return Err(Stop("(( without ))")),
                Some(b')') if open == 0 => {
                    if !self.take("))") {
                        return Err(Stop("(( without ))"));
                    }
                    return Ok(ShellWord { parts: parts.list, span: start..self.at - 2 });
                }
                Some(byte @ (b'(' | b')')) => {
                    open = if byte == b'(' { open + 1 } else { open - 1 };
                    self.at += 1;
                    parts.quoted(if byte == b'(' { "(" } else { ")" });
                }
                Some(b'"') => self.at += 1,
                Some(byte) => self.quoted_byte(byte, &mut parts, "\"\\$`")?,
            }
        }
    }
}

/// Collects the parts of a word and joins adjacent text.
#[derive(Default)]
pub(super) struct Parts {
    pub list: Vec<WordPart>,
}

impl Parts {
    pub fn push(&mut self, part: WordPart) {
        match part {
            WordPart::Literal(text) => self.literal(&text),
            part => self.list.push(part),
        }
    }

    fn literal(&mut self, text: &str) {
        match self.list.last_mut() {
            Some(WordPart::Literal(last)) => last.push_str(text),
            _ => self.list.push(WordPart::Literal(text.to_string())),
        }
    }

    fn quoted(&mut self, text: &str) {
        match self.list.last_mut() {
            Some(WordPart::Quoted(last)) => last.push_str(text),
            _ => self.list.push(WordPart::Quoted(text.to_string())),
        }
    }

    fn ends_in_glob_operator(&self) -> bool {
        matches!(self.list.last(), Some(WordPart::Literal(text)) if text.ends_with(['?', '*', '+', '@', '!']))
    }
}

fn plain(name: &str) -> WordPart {
    WordPart::Parameter(Box::new(Parameter {
        name: name.to_string(),
        index: None,
        is_length: false,
        is_indirect: false,
        operation: Operation::Plain,
    }))
}
