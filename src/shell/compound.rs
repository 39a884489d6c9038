//! Compound commands: blocks, conditions, loops and functions.

use std::rc::Rc;

use super::ast::*;
use super::parser::{Parser, Read, Stop};

impl Parser<'_> {
    /// Parses a compound command. `None` if the next command is not one.
    pub fn compound(&mut self) -> Read<Option<CommandKind>> {
        let kind = match self.peek() {
            Some(b'(') if self.starts_with("((") && self.is_arithmetic(self.at + 2) => {
                self.at += 2;
                CommandKind::Arithmetic(self.arithmetic_body()?)
            }
            Some(b'(') => {
                self.at += 1;
                let list = self.list()?;
                if !self.take(")") {
                    return Err(Stop("( without )"));
                }
                CommandKind::Subshell(list)
            }
            Some(b'{') if self.take_reserved("{") => {
                let list = self.list()?;
                self.expect_reserved("}", "{ without }")?;
                CommandKind::Group(list)
            }
            Some(b'[') if self.take_reserved("[[") => CommandKind::Test(self.condition()?),
            Some(b'i') if self.take_reserved("if") => self.if_command()?,
            Some(b'w') if self.take_reserved("while") => self.loop_command(false)?,
            Some(b'u') if self.take_reserved("until") => self.loop_command(true)?,
            Some(b'f') if self.take_reserved("for") => self.for_command()?,
            Some(b's') if self.take_reserved("select") => self.for_command()?,
            Some(b'c') if self.take_reserved("case") => self.case_command()?,
            Some(b'c') if self.take_reserved("coproc") => self.coprocess()?,
            Some(b'f') if self.take_reserved("function") => {
                self.blanks();
                let name =
                    self.word()?.literal().filter(|name| !name.is_empty()).ok_or(Stop("function without a name"))?;
                self.blanks();
                let mut style = FunctionStyle::Keyword;
                if self.take("(") {
                    self.blanks();
                    if !self.take(")") {
                        return Err(Stop("( without )"));
                    }
                    style = FunctionStyle::KeywordAndParentheses;
                }
                self.function_body(name, style)?
            }
            _ => return Ok(None),
        };
        Ok(Some(kind))
    }

    pub fn function_body(&mut self, name: String, style: FunctionStyle) -> Read<CommandKind> {
        self.lines()?;
        let start = self.at;
        let line = self.line_at(start);
        let kind = self.nest(Self::compound)?.ok_or(Stop("function without a body"))?;
        // They apply each time that the function is called.
        let mut redirects = Vec::new();
        loop {
            self.blanks();
            match self.redirect()? {
                Some(redirect) => redirects.push(redirect),
                None => break,
            }
        }
        let body = Rc::new(ShellCommand { kind, redirects, span: start..self.at, line });
        Ok(CommandKind::Function { name, body, style })
    }

    /// `coproc COMMAND` and `coproc NAME { list; }`: a background job.
    fn coprocess(&mut self) -> Read<CommandKind> {
        self.blanks();
        let start = self.at;
        let starts_block = |byte: Option<u8>| matches!(byte, Some(b'{' | b'('));
        if !starts_block(self.peek()) {
            // A name can only precede a block.
            self.word()?;
            self.blanks();
            if !starts_block(self.peek()) {
                self.at = start;
            }
        }
        let command = self.nest(Self::command)?;
        let first = ShellPipeline { is_negated: false, commands: vec![command] };
        Ok(CommandKind::Group(CommandList { items: vec![Item { first, rest: Vec::new(), is_background: true }] }))
    }

    fn if_command(&mut self) -> Read<CommandKind> {
        let mut branches = Vec::new();
        let mut otherwise = None;
        loop {
            let condition = self.list()?;
            self.expect_reserved("then", "if without then")?;
            let body = self.list()?;
            branches.push((condition, body));
            self.lines()?;
            if self.take_reserved("elif") {
                continue;
            }
            if self.take_reserved("else") {
                otherwise = Some(self.list()?);
            }
            self.expect_reserved("fi", "if without fi")?;
            return Ok(CommandKind::If { branches, otherwise });
        }
    }

    fn loop_command(&mut self, is_until: bool) -> Read<CommandKind> {
        let condition = self.list()?;
        let body = self.do_group()?;
        Ok(CommandKind::Loop { is_until, condition, body })
    }

    fn do_group(&mut self) -> Read<CommandList> {
        self.expect_reserved("do", "loop without do")?;
        let body = self.list()?;
        self.expect_reserved("done", "do without done")?;
        Ok(body)
    }

    fn for_command(&mut self) -> Read<CommandKind> {
        self.blanks();
        if self.take("((") {
            let header = self.arithmetic_body()?;
            self.blanks();
            self.take(";");
            self.lines()?;
            let body = if self.take_reserved("{") {
                let body = self.list()?;
                self.expect_reserved("}", "{ without }")?;
                body
            } else {
                self.do_group()?
            };
            return Ok(CommandKind::ForArithmetic { header, body });
        }
        let name = self.word()?.bare().map(str::to_string).ok_or(Stop("for without a name"))?;
        self.lines()?;
        let mut words = None;
        if self.take_reserved("in") {
            let mut list = Vec::new();
            loop {
                self.blanks();
                match self.peek() {
                    None | Some(b'\n' | b';') => break,
                    Some(_) => {
                        let word = self.word()?;
                        if word.span.is_empty() {
                            return Err(Stop("unexpected character after for"));
                        }
                        list.push(word);
                    }
                }
            }
            words = Some(list);
        }
        self.blanks();
        self.take(";");
        self.lines()?;
        let body = if self.take_reserved("{") {
            let body = self.list()?;
            self.expect_reserved("}", "{ without }")?;
            body
        } else {
            self.do_group()?
        };
        Ok(CommandKind::For { name, words, body })
    }

    fn case_command(&mut self) -> Read<CommandKind> {
        self.blanks();
        let word = self.word()?;
        self.expect_reserved("in", "case without in")?;
        let mut arms = Vec::new();
        loop {
            self.lines()?;
            if self.take_reserved("esac") {
                return Ok(CommandKind::Case { word, arms });
            }
            self.take("(");
            let mut patterns = Vec::new();
            loop {
                self.blanks();
                let pattern = self.word()?;
                if pattern.span.is_empty() {
                    return Err(Stop("case without a pattern"));
                }
                patterns.push(pattern);
                self.blanks();
                if self.take(")") {
                    break;
                }
                if !self.take("|") {
                    return Err(Stop("case pattern without )"));
                }
            }
            let body = self.list()?;
            self.lines()?;
            let end = if self.take(";;&") {
                ArmEnd::TryNext
            } else if self.take(";;") {
                ArmEnd::Leave
            } else if self.take(";&") {
                ArmEnd::FallThrough
            } else if self.reserved("esac") {
                ArmEnd::Leave
            } else {
                return Err(Stop("case without esac"));
            };
            arms.push(Arm { patterns, body, end });
        }
    }
}
