//! `[[ ... ]]`, and the operators that it shares with `test` and `[`.

use super::ast::*;
use super::parser::{Parser, Read, Stop};

impl UnaryTest {
    /// Parses an operator.
    pub fn parse(text: &str) -> Option<UnaryTest> {
        Some(match text {
            "-n" => UnaryTest::IsNotEmpty,
            "-z" => UnaryTest::IsEmpty,
            "-e" | "-a" => UnaryTest::Exists,
            "-f" => UnaryTest::IsFile,
            "-d" => UnaryTest::IsDirectory,
            "-h" | "-L" => UnaryTest::IsLink,
            "-r" => UnaryTest::IsReadable,
            "-w" => UnaryTest::IsWritable,
            "-x" => UnaryTest::IsExecutable,
            "-s" => UnaryTest::HasSize,
            "-b" | "-c" | "-p" | "-S" => UnaryTest::IsSpecial,
            "-v" => UnaryTest::IsSet,
            "-t" | "-o" | "-O" | "-G" | "-N" | "-R" | "-g" | "-k" | "-u" => UnaryTest::Other,
            _ => return None,
        })
    }
}

impl BinaryTest {
    /// Parses an operator.
    pub fn parse(text: &str) -> Option<BinaryTest> {
        Some(match text {
            "=" | "==" => BinaryTest::Equal,
            "!=" => BinaryTest::NotEqual,
            "=~" => BinaryTest::Matches,
            "<" => BinaryTest::Before,
            ">" => BinaryTest::After,
            "-eq" => BinaryTest::NumberEqual,
            "-ne" => BinaryTest::NumberNotEqual,
            "-lt" => BinaryTest::Less,
            "-le" => BinaryTest::LessOrEqual,
            "-gt" => BinaryTest::Greater,
            "-ge" => BinaryTest::GreaterOrEqual,
            "-nt" | "-ot" | "-ef" => BinaryTest::Files,
            _ => return None,
        })
    }
}

impl Parser<'_> {
    /// Parses the condition after `[[`, including the `]]`.
    pub fn condition(&mut self) -> Read<Condition> {
        let condition = self.nest(Self::either)?;
        self.lines()?;
        if !self.take("]]") {
            return Err(Stop("[[ without ]]"));
        }
        Ok(condition)
    }

    fn either(&mut self) -> Read<Condition> {
        let mut left = self.both()?;
        loop {
            self.lines()?;
            if !self.take("||") {
                return Ok(left);
            }
            left = Condition::Or(Box::new(left), Box::new(self.both()?));
        }
    }

    fn both(&mut self) -> Read<Condition> {
        let mut left = self.nest(Self::primary)?;
        loop {
            self.lines()?;
            if !self.take("&&") {
                return Ok(left);
            }
            left = Condition::And(Box::new(left), Box::new(self.nest(Self::primary)?));
        }
    }

    fn primary(&mut self) -> Read<Condition> {
        self.lines()?;
        if self.take_reserved("!") {
            return Ok(Condition::Not(Box::new(self.nest(Self::primary)?)));
        }
        if self.take("(") {
            let inner = self.nest(Self::either)?;
            self.lines()?;
            if !self.take(")") {
                return Err(Stop("( without )"));
            }
            return Ok(inner);
        }
        let left = self.operand()?;
        self.blanks();
        if let Some(unary) =
            left.bare().and_then(UnaryTest::parse).filter(|_| !self.starts_with("]]") && !self.at_binary())
        {
            return Ok(Condition::Unary(unary, self.operand()?));
        }
        let Some(operator) = self.binary_operator() else { return Ok(Condition::Unary(UnaryTest::IsNotEmpty, left)) };
        self.blanks();
        let right = if operator == BinaryTest::Matches { self.regex()? } else { self.operand()? };
        Ok(Condition::Binary(left, operator, right))
    }

    fn at_binary(&mut self) -> bool {
        let at = self.at;
        let found = self.binary_operator().is_some() && self.peek().is_some_and(|byte| byte.is_ascii_whitespace());
        self.at = at;
        found
    }

    fn binary_operator(&mut self) -> Option<BinaryTest> {
        let rest = &self.text[self.at..];
        let len = rest.iter().take_while(|byte| !byte.is_ascii_whitespace()).count();
        let operator = BinaryTest::parse(std::str::from_utf8(&rest[..len]).ok()?)?;
        self.at += len;
        Some(operator)
    }

    fn operand(&mut self) -> Read<ShellWord> {
        self.blanks();
        let word = self.word()?;
        if word.span.is_empty() { Err(Stop("[[ without an operand")) } else { Ok(word) }
    }

    /// Parses a regular expression, in which parentheses and bars are part of the word.
    fn regex(&mut self) -> Read<ShellWord> {
        let mut word = ShellWord { parts: Vec::new(), span: self.at..self.at };
        let mut open = 0usize;
        loop {
            match self.peek() {
                None | Some(b'\n') => break,
                Some(b' ' | b'\t') if open == 0 => break,
                Some(b')') if open == 0 => break,
                Some(b'&') if open == 0 && self.starts_with("&&") => break,
                Some(byte @ (b'(' | b')' | b'|' | b' ' | b'\t' | b'<' | b'>' | b'&' | b';' | b'#')) => {
                    open = open + usize::from(byte == b'(') - usize::from(byte == b')');
                    self.at += 1;
                    word.parts.push(WordPart::Literal(char::from(byte).to_string()));
                }
                Some(_) => {
                    let part = self.word()?;
                    if part.span.is_empty() {
                        return Err(Stop("unexpected character in a regular expression"));
                    }
                    word.parts.extend(part.parts);
                }
            }
        }
        word.span.end = self.at;
        Ok(word)
    }
}
