//! A light reader of HCL: blocks, their labels, and the strings of their attributes, with places. Expressions are not
//! evaluated. Source: hashicorp/hcl, hclsyntax/spec.md.

use std::ops::Range;

/// `kind "label" { ... }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    pub kind: String,
    pub labels: Vec<String>,
    /// From the kind to the last label.
    pub span: Range<usize>,
    pub attributes: Vec<Attribute>,
}

/// `name = expression`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    pub name: String,
    pub span: Range<usize>,
    /// The string literals of the expression, in order.
    pub strings: Vec<String>,
    /// Where the expression is an object: key, string value and the value's place.
    pub entries: Vec<(String, String, Range<usize>)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HclError {
    pub at: usize,
    pub message: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Name(String),
    Text(String),
    Mark(u8),
    Newline,
}

impl Block {
    pub fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.attributes.iter().find(|attribute| attribute.name == name)
    }
}

/// The blocks of a file, those within blocks left out.
pub fn parse(text: &str) -> Result<Vec<Block>, HclError> {
    let tokens = scan(text)?;
    let mut blocks = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        match &tokens[at].0 {
            Token::Newline => at += 1,
            Token::Name(_) if tokens.get(at + 1).is_some_and(|(token, _)| *token == Token::Mark(b'=')) => {
                at = end_of_expression(&tokens, at + 2);
            }
            Token::Name(_) => at = read_block(&tokens, at, &mut blocks)?,
            _ => {
                return Err(HclError {
                    at: tokens[at].1.start,
                    message: "expected a block or an attribute".to_string(),
                });
            }
        }
    }
    Ok(blocks)
}

fn read_block(tokens: &[(Token, Range<usize>)], start: usize, blocks: &mut Vec<Block>) -> Result<usize, HclError> {
    let (Token::Name(kind), first) = &tokens[start] else { return Ok(start + 1) };
    let mut at = start + 1;
    let mut block = Block { kind: kind.clone(), labels: Vec::new(), span: first.clone(), attributes: Vec::new() };
    while let Some((Token::Text(label) | Token::Name(label), span)) = tokens.get(at) {
        block.labels.push(label.clone());
        block.span.end = span.end;
        at += 1;
    }
    if tokens.get(at).map(|(token, _)| token) != Some(&Token::Mark(b'{')) {
        return Err(HclError { at: block.span.end, message: format!("expected {{ after {}", block.kind) });
    }
    at += 1;
    loop {
        match tokens.get(at) {
            None => {
                return Err(HclError { at: block.span.start, message: format!("{} has no closing }}", block.kind) });
            }
            Some((Token::Mark(b'}'), _)) => break,
            Some((Token::Name(name), span))
                if tokens.get(at + 1).is_some_and(|(token, _)| *token == Token::Mark(b'=')) =>
            {
                let end = end_of_expression(tokens, at + 2);
                block.attributes.push(attribute(name, span, &tokens[at + 2..end]));
                at = end;
            }
            Some((Token::Name(_), _)) => at = read_block(tokens, at, &mut Vec::new())?,
            Some(_) => at += 1,
        }
    }
    blocks.push(block);
    Ok(at + 1)
}

/// An expression ends at the line's end, or at the closing brace of its block, outside every bracket of its own.
fn end_of_expression(tokens: &[(Token, Range<usize>)], start: usize) -> usize {
    let mut depth = 0usize;
    for (at, (token, _)) in tokens.iter().enumerate().skip(start) {
        match token {
            Token::Mark(b'(' | b'[' | b'{') => depth += 1,
            Token::Mark(b'}') if depth == 0 => return at,
            Token::Mark(b')' | b']' | b'}') => depth = depth.saturating_sub(1),
            Token::Newline if depth == 0 => return at,
            _ => {}
        }
    }
    tokens.len()
}

fn attribute(name: &str, span: &Range<usize>, expression: &[(Token, Range<usize>)]) -> Attribute {
    let strings = expression.iter().filter_map(|(token, _)| match token {
        Token::Text(text) => Some(text.clone()),
        _ => None,
    });
    let entries = expression.windows(3).filter_map(|window| match window {
        [(Token::Name(key) | Token::Text(key), _), (Token::Mark(b'=' | b':'), _), (Token::Text(value), place)] => {
            Some((key.clone(), value.clone(), place.clone()))
        }
        _ => None,
    });
    let end = expression.last().map_or(span.end, |(_, last)| last.end);
    Attribute { name: name.to_string(), span: span.start..end, strings: strings.collect(), entries: entries.collect() }
}

fn scan(text: &str) -> Result<Vec<(Token, Range<usize>)>, HclError> {
    let bytes = text.as_bytes();
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let start = at;
        let rest = &text[at..];
        let line_end = rest.find('\n').map_or(bytes.len(), |newline| at + newline);
        match bytes[at] {
            b'\n' => {
                at += 1;
                tokens.push((Token::Newline, start..at));
            }
            b'#' => at = line_end,
            b'/' if rest.starts_with("//") => at = line_end,
            b'/' if rest.starts_with("/*") => at = rest.find("*/").map_or(bytes.len(), |end| at + end + 2),
            b'"' => {
                at = end_of_string(bytes, at)
                    .ok_or_else(|| HclError { at, message: "a string has no end".to_string() })?;
                tokens.push((Token::Text(text[start + 1..at - 1].to_string()), start..at));
            }
            b'<' if rest.starts_with("<<") => {
                at = end_of_heredoc(text, at)
                    .ok_or_else(|| HclError { at, message: "a heredoc has no end".to_string() })?;
                tokens.push((Token::Text(String::new()), start..at));
            }
            byte if byte.is_ascii_alphanumeric() || byte == b'_' => {
                at += rest.bytes().take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.')).count();
                tokens.push((Token::Name(text[start..at].to_string()), start..at));
            }
            byte => {
                at += rest.chars().next().map_or(1, char::len_utf8);
                if !byte.is_ascii_whitespace() {
                    tokens.push((Token::Mark(byte), start..at));
                }
            }
        }
    }
    Ok(tokens)
}

/// Behind the closing quote; quotes within `${...}` belong to the template.
fn end_of_string(bytes: &[u8], start: usize) -> Option<usize> {
    let mut templates = 0usize;
    let mut in_template_string = false;
    let mut at = start + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 1,
            b'$' if bytes.get(at + 1) == Some(&b'{') => {
                templates += 1;
                at += 1;
            }
            b'}' if templates > 0 && !in_template_string => templates -= 1,
            b'"' if templates > 0 => in_template_string = !in_template_string,
            b'"' => return Some(at + 1),
            _ => {}
        }
        at += 1;
    }
    None
}

fn end_of_heredoc(text: &str, start: usize) -> Option<usize> {
    let line_end = start + text[start..].find('\n')?;
    let delimiter = text[start + 2..line_end].trim_start_matches('-').trim();
    let mut at = line_end + 1;
    for line in text[at..].split_inclusive('\n') {
        at += line.len();
        if line.trim() == delimiter {
            // The line break after the delimiter ends the expression.
            return Some(at - (line.len() - line.trim_end_matches(['\n', '\r']).len()));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_attributes_and_strings_are_read() {
        let text = "variable \"TAG\" { default = \"x\" }\n# target \"no\" {\ntarget \"app\" {\n  inherits = [\"_base\"]\n  args = {\n    A = \"1\"\n    \"B\" : \"${x(\"}\")}\"\n  }\n  tags = [\"a:${TAG}\",\n    \"b\"]\n  nested { c = 1 }\n  text = <<EOT\n}\nEOT\n  last = foo(1)\n}\n/* } */\n";
        let blocks = parse(text).unwrap();
        let app = &blocks[1];
        assert_eq!(
            (app.kind.as_str(), app.labels[0].as_str(), &text[app.span.clone()]),
            ("target", "app", "target \"app\"")
        );
        let names: Vec<&str> = app.attributes.iter().map(|attribute| attribute.name.as_str()).collect();
        assert_eq!(names, ["inherits", "args", "tags", "text", "last"]);
        assert_eq!(app.attribute("tags").unwrap().strings, ["a:${TAG}", "b"]);
        let entries: Vec<(&str, &str)> = app
            .attribute("args")
            .unwrap()
            .entries
            .iter()
            .map(|(key, value, _)| (key.as_str(), value.as_str()))
            .collect();
        assert_eq!(entries, [("A", "1"), ("B", "${x(\"}\")}")]);
    }

    #[test]
    fn broken_text_says_where() {
        assert_eq!(parse("target \"a\" {\n").unwrap_err().at, 0);
        assert!(parse("a = \"x").is_err() && parse("}").is_err() && parse("x <<E").is_err());
    }
}
