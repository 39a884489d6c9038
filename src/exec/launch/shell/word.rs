//! One word of a shell's text: its quotes taken off, its variables filled in where they are known.

use crate::exec::launch::shell::{Parser, Word};

impl Parser<'_> {
    /// One word with its quotes taken off.
    pub(crate) fn word(&mut self) -> Option<Word> {
        let (mut text, mut is_known, mut only_arguments) = (String::new(), true, false);
        let start = self.at;
        while let Some(byte) = self.peek() {
            match byte {
                b' ' | b'\t' | b'\n' | b';' | b'&' | b'|' | b'(' | b')' | b'<' | b'>' => break,
                b'\'' => {
                    let end = self.text[self.at + 1..].iter().position(|byte| *byte == b'\'')?;
                    let inner = &self.text[self.at + 1..self.at + 1 + end];
                    self.line += inner.iter().filter(|byte| **byte == b'\n').count();
                    text.push_str(&String::from_utf8_lossy(inner));
                    self.at += end + 2;
                }
                b'"' => {
                    let rest = &self.text[self.at..];
                    only_arguments |=
                        self.at == start && (rest.starts_with(b"\"$@\"") || rest.starts_with(b"\"${@}\""));
                    is_known &= self.quoted(&mut text)?;
                }
                b'\\' => {
                    text.push(char::from(*self.text.get(self.at + 1)?));
                    self.at += 2;
                }
                b'$' => {
                    let rest = &self.text[self.at..];
                    only_arguments |= self.at == start && (rest.starts_with(b"$@") || rest.starts_with(b"$*"));
                    is_known &= self.expand(&mut text)?;
                }
                b'`' => {
                    let end = self.text[self.at + 1..].iter().position(|byte| *byte == b'`')?;
                    self.at += end + 2;
                    is_known = false;
                }
                b'*' | b'?' | b'[' | b'~' => {
                    is_known &= byte == b'['
                        && self.at == start
                        && self.text.get(self.at + 1).is_none_or(|next| b" [".contains(next));
                    text.push(char::from(byte));
                    self.at += 1;
                }
                _ => {
                    let len = self.text[self.at..]
                        .iter()
                        .take_while(|byte| !b" \t\n;&|()<>'\"\\$`*?[~".contains(byte))
                        .count();
                    text.push_str(&String::from_utf8_lossy(&self.text[self.at..self.at + len]));
                    self.at += len;
                }
            }
        }
        let raw = &self.text[start..self.at];
        if only_arguments && matches!(raw, b"\"$@\"" | b"$@" | b"$*" | b"\"${@}\"") {
            return Some(Word::Arguments);
        }
        Some(if is_known { Word::Known(text) } else { Word::Unknown })
    }

    fn quoted(&mut self, text: &mut String) -> Option<bool> {
        let mut is_known = true;
        self.at += 1;
        loop {
            match self.peek()? {
                b'"' => {
                    self.at += 1;
                    return Some(is_known);
                }
                b'\\' => {
                    let next = *self.text.get(self.at + 1)?;
                    if !matches!(next, b'"' | b'\\' | b'$' | b'`' | b'\n') {
                        text.push('\\');
                    }
                    if next == b'\n' {
                        self.line += 1
                    } else {
                        text.push(char::from(next))
                    }
                    self.at += 2;
                }
                b'$' => is_known &= self.expand(text)?,
                b'`' => {
                    let end = self.text[self.at + 1..].iter().position(|byte| *byte == b'`')?;
                    self.at += end + 2;
                    is_known = false;
                }
                byte => {
                    self.line += usize::from(byte == b'\n');
                    text.push(char::from(byte));
                    self.at += 1;
                }
            }
        }
    }

    /// `$NAME`, `${NAME}`, `${NAME:-word}`; anything else is unknown. `None`: it does not end.
    fn expand(&mut self, text: &mut String) -> Option<bool> {
        self.at += 1;
        match self.peek() {
            Some(b'(') => {
                self.skip_nested(b'(', b')')?;
                Some(false)
            }
            Some(b'{') => {
                let start = self.at + 1;
                self.skip_nested(b'{', b'}')?;
                let inner = String::from_utf8_lossy(&self.text[start..self.at - 1]).into_owned();
                let (name, default) = match inner.split_once(":-").or_else(|| inner.split_once('-')) {
                    Some((name, default)) => (name.to_string(), Some(default.to_string())),
                    None => (inner, None),
                };
                if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
                    return Some(false);
                }
                let value = self.value(&name)?;
                Some(push(text, value.or_else(|| default.filter(|word| !word.contains(['$', '`', '"', '\''])))))
            }
            Some(byte) if byte.is_ascii_alphabetic() || byte == b'_' => {
                let len = self.text[self.at..]
                    .iter()
                    .take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_')
                    .count();
                let name = String::from_utf8_lossy(&self.text[self.at..self.at + len]).into_owned();
                self.at += len;
                let value = self.value(&name)?;
                Some(push(text, value))
            }
            Some(byte) if byte.is_ascii_digit() => {
                self.at += 1;
                let value = self.scope.arguments.get(usize::from(byte - b'0')).cloned();
                Some(push(text, value))
            }
            Some(b'@' | b'*' | b'#' | b'?' | b'$' | b'!' | b'-') => {
                self.at += 1;
                Some(false)
            }
            _ => {
                text.push('$');
                Some(true)
            }
        }
    }

    fn value(&self, name: &str) -> Option<Option<String>> {
        Some(match self.set.get(name) {
            Some(value) => value.clone(),
            None if name.bytes().all(|byte| byte.is_ascii_digit()) && !name.is_empty() => {
                self.scope.arguments.get(name.parse::<usize>().ok()?).cloned()
            }
            None => crate::exec::environment::variable(self.scope.env, name).map(str::to_string),
        })
    }

    fn skip_nested(&mut self, open: u8, close: u8) -> Option<()> {
        let mut depth = 0;
        loop {
            match self.peek()? {
                byte if byte == open => depth += 1,
                byte if byte == close => {
                    depth -= 1;
                    if depth == 0 {
                        self.at += 1;
                        return Some(());
                    }
                }
                b'\'' => self.at += self.text[self.at + 1..].iter().position(|byte| *byte == b'\'')? + 1,
                b'\\' => self.at += 1,
                b'\n' => self.line += 1,
                _ => {}
            }
            self.at += 1;
        }
    }
}

fn push(text: &mut String, value: Option<String>) -> bool {
    match value {
        Some(value) => {
            text.push_str(&value);
            // An unquoted value of several words would be several words.
            !value.contains(char::is_whitespace)
        }
        None => false,
    }
}
