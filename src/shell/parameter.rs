//! `${...}`: names, indexes and operations.

use super::ast::*;
use super::parser::{Parser, Read, Stop, is_name};
use super::word::{Parts, Within};

impl Parser<'_> {
    /// Parses the rest of a parameter expansion after `${`, including its `}`.
    pub(super) fn braced(&mut self, within: Within) -> Read<Parameter> {
        let has_length =
            self.peek() == Some(b'#') && !matches!(self.peek_at(1), None | Some(b'}' | b':' | b'#' | b'%' | b'-'));
        self.at += usize::from(has_length);
        let is_indirect = self.peek() == Some(b'!') && self.peek_at(1).is_some_and(is_name);
        self.at += usize::from(is_indirect);
        let start = self.at;
        match self.peek() {
            Some(byte) if byte.is_ascii_digit() => {
                self.at += self.text[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
            }
            Some(byte) if is_name(byte) => {
                self.at += self.text[start..].iter().take_while(|byte| is_name(**byte)).count()
            }
            Some(byte) if b"@*#?-$!".contains(&byte) => self.at += 1,
            _ => return Err(Stop("${ without a name")),
        }
        let name = String::from_utf8_lossy(&self.text[start..self.at]).into_owned();
        let mut index = None;
        if self.take("[") {
            let word = self.nest(|parser| parser.word_until(b"]"))?;
            if !self.take("]") {
                return Err(Stop("[ without ]"));
            }
            index = Some(match word.bare() {
                Some("@") => SubscriptIndex::At,
                Some("*") => SubscriptIndex::Star,
                _ => SubscriptIndex::Word(word),
            });
        }
        let operation = self.operation(within)?;
        if !self.take("}") {
            return Err(Stop("${ without }"));
        }
        Ok(Parameter { name, index, is_length: has_length, is_indirect, operation })
    }

    fn operation(&mut self, within: Within) -> Read<Operation> {
        let default = |byte: u8| {
            Some(match byte {
                b'-' => DefaultKind::Use,
                b'=' => DefaultKind::Assign,
                b'?' => DefaultKind::Fail,
                b'+' => DefaultKind::Alternative,
                _ => return None,
            })
        };
        let Some(byte) = self.peek() else { return Err(Stop("${ without }")) };
        let or_empty = byte == b':';
        let kind = default(if or_empty { self.peek_at(1).unwrap_or(0) } else { byte });
        if let Some(kind) = kind {
            self.at += 1 + usize::from(or_empty);
            let word = self.default_word(within)?;
            return Ok(Operation::Default { or_empty, kind, word });
        }
        match byte {
            b'}' => Ok(Operation::Plain),
            b'#' | b'%' => {
                let is_longest = self.peek_at(1) == Some(byte);
                self.at += 1 + usize::from(is_longest);
                let pattern = self.nest(|parser| parser.word_until(b"}"))?;
                Ok(Operation::Trim { is_suffix: byte == b'%', is_longest, pattern })
            }
            b'/' => {
                self.at += 1;
                let place = match self.peek() {
                    Some(b'/') => ReplacePlace::All,
                    Some(b'#') => ReplacePlace::Start,
                    Some(b'%') => ReplacePlace::End,
                    _ => ReplacePlace::First,
                };
                self.at += usize::from(place != ReplacePlace::First);
                let pattern = self.nest(|parser| parser.word_until(b"/}"))?;
                let with =
                    if self.take("/") { self.nest(|parser| parser.word_until(b"}"))? } else { ShellWord::default() };
                Ok(Operation::Replace { place, pattern, with })
            }
            b':' => {
                self.at += 1;
                let offset = self.nest(|parser| parser.word_until(b":}"))?;
                let length = if self.take(":") { Some(self.nest(|parser| parser.word_until(b"}"))?) } else { None };
                Ok(Operation::Substring { offset, length })
            }
            b'^' | b',' => {
                let is_all = self.peek_at(1) == Some(byte);
                self.at += 1 + usize::from(is_all);
                let pattern = self.nest(|parser| parser.word_until(b"}"))?;
                match pattern.parts.is_empty() {
                    true => Ok(Operation::Case { to_upper: byte == b'^', is_all }),
                    false => Ok(Operation::Other),
                }
            }
            b'@' | b'*' => {
                self.nest(|parser| parser.word_until(b"}"))?;
                Ok(Operation::Other)
            }
            _ => Err(Stop("${ with an unknown operator")),
        }
    }

    /// Parses the word after `:-` and similar operators. Inside double quotes, single quotes in the word are plain
    /// text.
    fn default_word(&mut self, within: Within) -> Read<ShellWord> {
        if within == Within::Unquoted {
            return self.nest(|parser| parser.word_until(b"}"));
        }
        let start = self.at;
        let mut parts = Parts::default();
        loop {
            match self.peek() {
                None => return Err(Stop("${ without }")),
                Some(b'}') => {
                    return Ok(ShellWord { parts: vec![WordPart::DoubleQuoted(parts.list)], span: start..self.at });
                }
                Some(b'"') => {
                    self.at += 1;
                    self.nest(Self::double_quoted)?.into_iter().for_each(|part| parts.push(part));
                }
                Some(byte) => self.quoted_byte(byte, &mut parts, "\"\\$`}")?,
            }
        }
    }
}
