//! Reads a script byte by byte into commands and words. Nothing is expanded or run.

use std::ops::Range;

use super::{Command, Joining, Word};

/// Deepest nesting of `$(...)` that is followed: more is not written by hand.
const MAX_DEPTH: usize = 16;

/// The commands of `text[range]`, those in `$(...)` and backquotes included, in the order in which they end.
pub fn commands(text: &str, range: Range<usize>, joining: Joining) -> Vec<Command> {
    let mut reader = Reader { text: text.as_bytes(), at: range.start, end: range.end, joining, commands: Vec::new() };
    reader.read_list(None, false, 0);
    reader.commands
}

/// The words of `text[range]`, split as a shell splits them; no character but blanks separates.
pub fn words(text: &str, range: Range<usize>, joining: Joining) -> Vec<Word> {
    let mut reader = Reader { text: text.as_bytes(), at: range.start, end: range.end, joining, commands: Vec::new() };
    let mut words = Vec::new();
    loop {
        while reader.skip_joined_line() || reader.peek().is_some_and(|b| b.is_ascii_whitespace()) {
            if reader.peek().is_some_and(|b| b.is_ascii_whitespace()) {
                reader.at += 1;
            }
        }
        if reader.peek().is_none() {
            return words;
        }
        words.push(reader.read_word(MAX_DEPTH, false, |byte| byte.is_ascii_whitespace()));
    }
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
    end: usize,
    joining: Joining,
    commands: Vec<Command>,
}

/// What a list of commands carries from one to the next.
struct Flow {
    /// Open `if` and `case` blocks.
    blocks: usize,
    /// The last command was a test, and `&&` or `||` followed.
    after_test: bool,
    was_conditional: bool,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied().filter(|_| self.at < self.end)
    }

    fn starts_with(&self, prefix: &[u8]) -> bool {
        self.text[self.at.min(self.end)..self.end].starts_with(prefix)
    }

    /// Passes over a joined line end, and the comment lines that a Dockerfile drops after it.
    fn skip_joined_line(&mut self) -> bool {
        let escape = match self.joining {
            Joining::Instruction(escape) => escape,
            Joining::Shell => b'\\',
        };
        if self.peek() != Some(escape) {
            return false;
        }
        let mut next = self.at + 1;
        // BuildKit lets blanks stand between the escape and the line's end.
        while matches!(self.joining, Joining::Instruction(_))
            && matches!(self.text.get(next), Some(b' ' | b'\t' | b'\r'))
        {
            next += 1;
        }
        if next >= self.end || self.text[next] != b'\n' {
            return false;
        }
        self.at = next + 1;
        while matches!(self.joining, Joining::Instruction(_)) {
            let line_end = self.text[self.at..self.end].iter().position(|b| *b == b'\n').map(|n| self.at + n);
            let line = &self.text[self.at..line_end.unwrap_or(self.end)];
            let content = line.trim_ascii_start();
            match line_end {
                Some(line_end) if content.is_empty() || content.starts_with(b"#") => self.at = line_end + 1,
                _ => break,
            }
        }
        true
    }

    fn read_list(&mut self, closing: Option<u8>, is_conditional: bool, depth: usize) {
        let mut flow = Flow { blocks: 0, after_test: false, was_conditional: is_conditional };
        let mut words: Vec<Word> = Vec::new();
        loop {
            if self.skip_joined_line() {
                continue;
            }
            let Some(byte) = self.peek() else { break };
            if Some(byte) == closing {
                self.at += 1;
                break;
            }
            match byte {
                b' ' | b'\t' | b'\r' => self.at += 1,
                b'#' => self.skip_comment(),
                b';' | b'\n' | b'&' | b'|' | b'(' | b')' => {
                    let operator = self.read_operator();
                    self.close(&mut words, &mut flow, operator, is_conditional);
                }
                b'<' | b'>' => {
                    // A number right before it is a descriptor, not a word.
                    let is_descriptor =
                        |word: &mut Word| word.span.end == self.at && word.text.bytes().all(|b| b.is_ascii_digit());
                    words.pop_if(is_descriptor);
                    self.skip_redirection();
                }
                _ => {
                    let conditional = is_conditional || flow.blocks > 0 || flow.after_test;
                    let stop = |b: u8| {
                        matches!(b, b' ' | b'\t' | b'\r' | b'\n' | b';' | b'&' | b'|' | b'(' | b')' | b'<' | b'>')
                    };
                    let word = self.read_word(depth, conditional, |b| stop(b) || Some(b) == closing);
                    self.open(&word, &words, &mut flow);
                    words.push(word);
                }
            }
        }
        self.close(&mut words, &mut flow, b";", is_conditional);
    }

    /// Counts the blocks that a reserved word at a command's start opens or closes.
    fn open(&mut self, word: &Word, before: &[Word], flow: &mut Flow) {
        let is_first = before.iter().all(|word| matches!(word.text.as_str(), "then" | "do" | "else" | "!" | "{"));
        if !is_first || word.text.len() != word.span.len() {
            return;
        }
        match word.text.as_str() {
            "if" | "case" => flow.blocks += 1,
            "fi" | "esac" => flow.blocks = flow.blocks.saturating_sub(1),
            _ => {}
        }
    }

    fn close(&mut self, words: &mut Vec<Word>, flow: &mut Flow, operator: &[u8], is_conditional: bool) {
        let words = std::mem::take(words);
        let first = words.first().map(|word| word.text.as_str());
        let is_test = matches!(first, Some("[" | "[[" | "test"));
        if !words.is_empty() {
            let is_conditional = is_conditional || flow.blocks > 0 || flow.after_test;
            flow.was_conditional = is_conditional;
            self.commands.push(Command { words, is_conditional });
        }
        flow.after_test = matches!(operator, b"&&" | b"||") && (is_test || flow.after_test);
    }

    fn read_operator(&mut self) -> &'static [u8] {
        let operators: [&'static [u8]; 9] = [b"&&", b"||", b";;", b";", b"\n", b"&", b"|", b"(", b")"];
        let operator = operators.into_iter().find(|operator| self.starts_with(operator)).unwrap_or(b";");
        self.at += operator.len();
        operator
    }

    fn skip_comment(&mut self) {
        while self.peek().is_some_and(|byte| byte != b'\n') {
            self.at += 1;
        }
    }

    /// Passes over the operator; what it points to becomes a word, but a heredoc's delimiter and a descriptor do not.
    fn skip_redirection(&mut self) {
        let is_heredoc = self.starts_with(b"<<") && !self.starts_with(b"<<<");
        while matches!(self.peek(), Some(b'<' | b'>' | b'&' | b'-')) {
            self.at += 1;
        }
        if is_heredoc {
            while self
                .peek()
                .is_some_and(|byte| !byte.is_ascii_whitespace() && !matches!(byte, b';' | b'&' | b'|' | b')'))
            {
                self.at += 1;
            }
        } else {
            while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
                self.at += 1;
            }
        }
    }

    fn read_word(&mut self, depth: usize, is_conditional: bool, stop: impl Fn(u8) -> bool) -> Word {
        let start = self.at;
        let mut word = Word { text: String::new(), span: start..start, bytes: Vec::new() };
        let mut raw: Vec<u8> = Vec::new();
        let mut quote: Option<u8> = None;
        while let Some(byte) = self.peek() {
            if quote != Some(b'\'') && self.skip_joined_line() {
                continue;
            }
            let Some(byte) = self.peek().filter(|_| quote.is_some() || !stop(byte)) else { break };
            match (byte, quote) {
                (b'\'', None) | (b'"', None) => quote = Some(byte),
                (_, Some(open)) if byte == open => quote = None,
                (b'\\', None | Some(b'"')) if self.at + 1 < self.end => {
                    let next = self.text[self.at + 1];
                    if quote.is_none() || matches!(next, b'$' | b'`' | b'"' | b'\\') {
                        self.at += 1;
                    }
                    raw.push(self.text[self.at]);
                    word.bytes.push((self.at, false));
                }
                (b'$', None | Some(b'"')) if self.starts_with(b"$(") || self.starts_with(b"${") => {
                    self.read_expansion(&mut raw, &mut word.bytes, depth, is_conditional);
                    continue;
                }
                (b'`', None | Some(b'"')) => {
                    self.read_expansion(&mut raw, &mut word.bytes, depth, is_conditional);
                    continue;
                }
                _ => {
                    raw.push(byte);
                    word.bytes.push((self.at, quote != Some(b'\'')));
                }
            }
            self.at += 1;
        }
        word.span.end = self.at;
        // Quotes, blanks and operators are ASCII, so whole characters were copied.
        word.text = String::from_utf8_lossy(&raw).into_owned();
        word
    }

    /// Copies `$(...)`, `${...}` or a backquoted command as it is written, and reads the commands in it.
    fn read_expansion(
        &mut self,
        raw: &mut Vec<u8>,
        bytes: &mut Vec<(usize, bool)>,
        depth: usize,
        is_conditional: bool,
    ) {
        let start = self.at;
        if self.starts_with(b"${") {
            let mut open = 0usize;
            while let Some(byte) = self.peek() {
                open = open + usize::from(byte == b'{') - usize::from(byte == b'}');
                self.at += 1;
                if open == 0 && byte == b'}' {
                    break;
                }
            }
        } else {
            let closing = if self.starts_with(b"`") { b'`' } else { b')' };
            self.at += if closing == b'`' { 1 } else { 2 };
            if depth < MAX_DEPTH {
                self.read_list(Some(closing), is_conditional, depth + 1);
            } else {
                while self.peek().is_some_and(|byte| byte != closing) {
                    self.at += 1;
                }
                self.at = (self.at + 1).min(self.end);
            }
        }
        for at in start..self.at {
            raw.push(self.text[at]);
            bytes.push((at, false));
        }
    }
}
