//! Lists, pipelines and simple commands. The parser reads bytes, not tokens, because the meaning of a byte in shell
//! depends on its context.

use super::ast::*;

/// Maximum nesting. Handwritten scripts have about ten levels.
pub(super) const MAX_DEPTH: usize = 100;
/// Maximum number of syntax errors before the rest of the text is skipped.
const MAX_ERRORS: usize = 20;

/// Parses a script. This never fails: syntax errors are in [`ShellScript::errors`].
pub fn parse(text: &str) -> ShellScript {
    let mut parser = Parser::new(text.as_bytes(), 1);
    let mut script = ShellScript::default();
    loop {
        let mut list = CommandList::default();
        let result = parser.list_into(&mut list);
        script.list.items.append(&mut list.items);
        let what = match result {
            Ok(()) if parser.at >= parser.text.len() => break,
            Ok(()) => "unexpected word or operator",
            Err(Stop(what)) => what,
        };
        let (at, items_before) = (parser.at, script.list.items.len());
        script.errors.push(ShellSyntaxError { at, line: parser.line_at(at), what, items_before });
        if script.errors.len() >= MAX_ERRORS {
            break;
        }
        parser.skip_line();
        if parser.newline().is_err() {
            break;
        }
    }
    if let Some(open) = parser.pending.first() {
        let (at, line, items_before) = (open.at, parser.line_at(open.at), script.list.items.len());
        script.errors.push(ShellSyntaxError { at, line, what: "unterminated here-document", items_before });
    }
    script.documents = parser.documents;
    script
}

/// The reason why parsing stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stop(pub &'static str);

pub(super) type Read<T> = Result<T, Stop>;

/// A here-document whose body starts after the next newline.
pub(super) struct PendingDocument {
    pub delimiter: String,
    pub expands: bool,
    pub strips_tabs: bool,
    pub slot: usize,
    pub at: usize,
}

pub(super) struct Parser<'t> {
    pub text: &'t [u8],
    pub at: usize,
    pub depth: usize,
    /// The line number of the first line, if this text is part of a larger one.
    first_line: usize,
    pub documents: Vec<ShellWord>,
    pub pending: Vec<PendingDocument>,
    /// The last position of [`Parser::line_at`] and its line. Texts are read mostly forward, so counting continues
    /// there.
    counted: (usize, usize),
}

impl<'t> Parser<'t> {
    pub fn new(text: &'t [u8], first_line: usize) -> Parser<'t> {
        let (documents, pending) = (Vec::new(), Vec::new());
        Parser { text, at: 0, depth: 0, first_line, documents, pending, counted: (0, first_line) }
    }

    pub fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    pub fn peek_at(&self, ahead: usize) -> Option<u8> {
        self.text.get(self.at + ahead).copied()
    }

    pub fn starts_with(&self, text: &str) -> bool {
        self.text[self.at.min(self.text.len())..].starts_with(text.as_bytes())
    }

    pub fn take(&mut self, text: &str) -> bool {
        let is_there = self.starts_with(text);
        self.at += if is_there { text.len() } else { 0 };
        is_there
    }

    /// The line number of a byte, from 1.
    pub fn line_at(&mut self, at: usize) -> usize {
        let (from, line) = if at >= self.counted.0 { self.counted } else { (0, self.first_line) };
        let end = at.min(self.text.len());
        let line = line + self.text[from..end].iter().filter(|byte| **byte == b'\n').count();
        self.counted = (end, line);
        line
    }

    /// Parses one level deeper. Fails if the nesting is too deep.
    pub fn nest<T>(&mut self, read: impl FnOnce(&mut Self) -> Read<T>) -> Read<T> {
        if self.depth >= MAX_DEPTH {
            return Err(Stop("nested too deeply"));
        }
        self.depth += 1;
        let result = read(self);
        self.depth -= 1;
        result
    }

    /// Skips blanks, joined lines and a comment, but not newlines.
    pub fn blanks(&mut self) {
        loop {
            match self.peek() {
                Some(b' ' | b'\t') => self.at += 1,
                Some(b'\\') if self.peek_at(1) == Some(b'\n') => self.at += 2,
                Some(b'#') => self.skip_line(),
                _ => return,
            }
        }
    }

    pub fn skip_line(&mut self) {
        while self.peek().is_some_and(|byte| byte != b'\n') {
            self.at += 1;
        }
    }

    /// Skips blanks, comments and newlines.
    pub fn lines(&mut self) -> Read<()> {
        loop {
            self.blanks();
            if self.peek() != Some(b'\n') {
                return Ok(());
            }
            self.newline()?;
        }
    }

    /// Skips a newline and the bodies of the here-documents that start after it.
    fn newline(&mut self) -> Read<()> {
        if self.peek() == Some(b'\n') {
            self.at += 1;
        } else if self.peek().is_none() {
            return Err(Stop("unexpected end of text"));
        }
        for document in std::mem::take(&mut self.pending) {
            self.document(&document)?;
        }
        Ok(())
    }

    fn document(&mut self, document: &PendingDocument) -> Read<()> {
        let start = self.at;
        let mut body: Vec<u8> = Vec::new();
        loop {
            if self.at >= self.text.len() {
                return Err(Stop("unterminated here-document"));
            }
            let from = self.at;
            self.skip_line();
            let line = &self.text[from..self.at];
            let line = if document.strips_tabs { trim_tabs(line) } else { line };
            let is_end = line == document.delimiter.as_bytes();
            let has_newline = self.peek().is_some();
            self.at += usize::from(has_newline);
            if is_end {
                break;
            }
            body.extend_from_slice(line);
            body.push(b'\n');
        }
        let text = String::from_utf8_lossy(&body).into_owned();
        let parts = match document.expands {
            true => {
                let line = self.line_at(start);
                let mut inner = Parser::new(text.as_bytes(), line);
                inner.depth = self.depth;
                inner.document_parts().unwrap_or_else(|_| vec![WordPart::Quoted(text.clone())])
            }
            false => vec![WordPart::Quoted(text)],
        };
        self.documents[document.slot] = ShellWord { parts, span: start..self.at };
        Ok(())
    }

    /// Parses items up to a byte or word that ends a list: `)`, `}`, `;;`, `fi`, the end of the text.
    pub fn list(&mut self) -> Read<CommandList> {
        let mut list = CommandList::default();
        self.list_into(&mut list)?;
        Ok(list)
    }

    fn list_into(&mut self, list: &mut CommandList) -> Read<()> {
        loop {
            self.lines()?;
            if self.ends_list() {
                return Ok(());
            }
            let item = self.item()?;
            list.items.push(item);
            self.blanks();
            match self.peek() {
                Some(b'\n') => self.newline()?,
                Some(b';') if self.peek_at(1) != Some(b';') && self.peek_at(1) != Some(b'&') => self.at += 1,
                Some(b'&') => {
                    self.at += 1;
                    if let Some(item) = list.items.last_mut() {
                        item.is_background = true;
                    }
                }
                _ => return Ok(()),
            }
        }
    }

    fn ends_list(&mut self) -> bool {
        match self.peek() {
            None | Some(b')') => true,
            Some(b';') => self.starts_with(";;") || self.starts_with(";&"),
            Some(b'}') => self.reserved("}"),
            Some(_) => ["then", "elif", "else", "fi", "do", "done", "esac"].iter().any(|word| self.reserved(word)),
        }
    }

    /// Whether this reserved word comes next.
    pub fn reserved(&self, word: &str) -> bool {
        self.starts_with(word) && self.peek_at(word.len()).is_none_or(is_meta)
    }

    pub fn take_reserved(&mut self, word: &str) -> bool {
        let is_there = self.reserved(word);
        self.at += if is_there { word.len() } else { 0 };
        is_there
    }

    pub fn expect_reserved(&mut self, word: &str, what: &'static str) -> Read<()> {
        self.lines()?;
        if self.take_reserved(word) { Ok(()) } else { Err(Stop(what)) }
    }

    fn item(&mut self) -> Read<Item> {
        let first = self.pipeline()?;
        let mut rest = Vec::new();
        loop {
            self.blanks();
            let joint = if self.take("&&") {
                Joint::And
            } else if self.take("||") {
                Joint::Or
            } else {
                return Ok(Item { first, rest, is_background: false });
            };
            self.lines()?;
            rest.push((joint, self.pipeline()?));
        }
    }

    fn pipeline(&mut self) -> Read<ShellPipeline> {
        let mut is_negated = false;
        loop {
            self.blanks();
            if self.take_reserved("!") {
                is_negated = !is_negated;
            } else if self.take_reserved("time") {
                self.blanks();
                self.take_reserved("-p");
            } else {
                break;
            }
        }
        let mut commands = vec![self.nest(Self::command)?];
        loop {
            self.blanks();
            if self.peek() != Some(b'|') || self.starts_with("||") {
                return Ok(ShellPipeline { is_negated, commands });
            }
            self.at += 1;
            self.take("&");
            self.lines()?;
            commands.push(self.nest(Self::command)?);
        }
    }

    pub fn command(&mut self) -> Read<ShellCommand> {
        let start = self.at;
        let line = self.line_at(start);
        if let Some(kind) = self.compound()? {
            let mut redirects = Vec::new();
            loop {
                self.blanks();
                match self.redirect()? {
                    Some(redirect) => redirects.push(redirect),
                    None => break,
                }
            }
            return Ok(ShellCommand { kind, redirects, span: start..self.at, line });
        }
        self.simple(start, line)
    }
}

/// Whether the byte ends a word.
pub(super) fn is_meta(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b';' | b'&' | b'|' | b'(' | b')' | b'<' | b'>')
}

pub(super) fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn trim_tabs(line: &[u8]) -> &[u8] {
    let tabs = line.iter().take_while(|byte| **byte == b'\t').count();
    &line[tabs..]
}

#[cfg(test)]
#[path = "parser_tests.rs"]
mod tests;
