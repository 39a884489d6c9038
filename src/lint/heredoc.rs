//! Finds the heredocs of a Dockerfile before it is parsed, and blanks them so that the parser sees plain words.
//! `parse-dockerfile` supports one heredoc at the start of a RUN. BuildKit supports any number, anywhere in RUN, COPY
//! and ADD.

use std::ops::Range;

/// A heredoc's operator and body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HereDoc {
    /// Bytes of `<<EOF`, including the file descriptor before it.
    pub operator: Range<usize>,
    /// Bytes of the lines between the operator's line and the delimiter's.
    pub body: Range<usize>,
    /// Whether BuildKit expands variables in a body that becomes a file, because the delimiter is not quoted.
    pub expands: bool,
}

/// A Dockerfile with blanked heredocs. It has the same length in bytes as the original.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Masked {
    pub text: String,
    pub heredocs: Vec<HereDoc>,
    /// The operator of a heredoc without a closing delimiter.
    pub unclosed: Option<Range<usize>>,
}

/// Source: BuildKit, frontend/dockerfile/parser: heredocs are words `<<[-]DELIMITER` of ADD, COPY and RUN.
pub fn mask(text: &str, escape: u8) -> Masked {
    let mut masked = Masked { text: text.to_string(), heredocs: Vec::new(), unclosed: None };
    let mut bytes = text.as_bytes().to_vec();
    let mut at = 0;
    while at < text.len() {
        let line = logical_line(text, at, escape);
        at = line.end;
        if !takes_heredocs(&text[line.clone()]) {
            continue;
        }
        for (operator, delimiter) in operators(text, line) {
            let Some((body, after)) = body(text, at, &delimiter) else {
                masked.unclosed.get_or_insert(operator);
                continue;
            };
            bytes[operator.clone()].fill(b'_');
            bytes[at..after].iter_mut().filter(|byte| **byte != b'\n').for_each(|byte| *byte = b' ');
            masked.heredocs.push(HereDoc { operator, body, expands: !delimiter.is_quoted });
            at = after;
        }
    }
    masked.text = String::from_utf8(bytes).expect("whole words and lines of a str were replaced by ASCII");
    masked
}

struct Delimiter {
    name: String,
    strips_tabs: bool,
    is_quoted: bool,
}

/// Returns the line at `start` with the lines that its escape character joins, including comment lines in between.
fn logical_line(text: &str, start: usize, escape: u8) -> Range<usize> {
    let mut end = start;
    loop {
        let line_end = text[end..].find('\n').map_or(text.len(), |newline| end + newline + 1);
        let line = text[end..line_end].trim();
        let is_comment = line.starts_with('#');
        let is_joined = line.as_bytes().last() == Some(&escape) && !is_comment;
        let is_skipped = end > start && (line.is_empty() || is_comment);
        end = line_end;
        if end >= text.len() || !(is_joined || is_skipped) {
            return start..end;
        }
    }
}

fn takes_heredocs(line: &str) -> bool {
    let mut words = line.split_ascii_whitespace();
    let is_one = |word: &str| ["run", "copy", "add"].iter().any(|name| word.eq_ignore_ascii_case(name));
    match words.next() {
        Some(word) if word.eq_ignore_ascii_case("onbuild") => words.next().is_some_and(is_one),
        Some(word) => is_one(word),
        None => false,
    }
}

/// Returns the heredoc operators of a line outside quotes.
fn operators(text: &str, line: Range<usize>) -> Vec<(Range<usize>, Delimiter)> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    let mut quote = None;
    let mut at = line.start;
    while at < line.end {
        match (bytes[at], quote) {
            (b'\\', _) => at += 1,
            (byte @ (b'"' | b'\''), None) => quote = Some(byte),
            (byte, Some(open)) if byte == open => quote = None,
            (b'<', None) if bytes[at..line.end].starts_with(b"<<") && starts_word(bytes, at, line.start) => {
                let end = bytes[at..line.end]
                    .iter()
                    .position(|byte| byte.is_ascii_whitespace() || matches!(byte, b';' | b'|' | b'&' | b')' | b'>'))
                    .map_or(line.end, |length| at + length);
                if let Some(delimiter) = read_delimiter(&text[at + 2..end]) {
                    found.push((at..end, delimiter));
                }
                at = end.max(at + 2);
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    found
}

fn starts_word(bytes: &[u8], at: usize, from: usize) -> bool {
    let before = bytes[from..at].iter().rposition(|byte| !byte.is_ascii_digit()).map(|index| bytes[from + index]);
    before.is_some_and(|byte| byte.is_ascii_whitespace() || matches!(byte, b';' | b'&' | b'|' | b'('))
}

fn read_delimiter(text: &str) -> Option<Delimiter> {
    let (strips_tabs, quoted) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let name = quoted.trim_matches(['"', '\'']).to_string();
    let is_name = !name.is_empty() && !name.contains(['<', '"', '\'', '$', '`']);
    is_name.then_some(Delimiter { strips_tabs, is_quoted: name.len() != quoted.len(), name })
}

/// Returns the body at `start`, and the start of the line after its delimiter.
fn body(text: &str, start: usize, delimiter: &Delimiter) -> Option<(Range<usize>, usize)> {
    let mut at = start;
    while at < text.len() {
        let end = text[at..].find('\n').map_or(text.len(), |newline| at + newline + 1);
        let line = text[at..end].trim_end_matches(['\n', '\r']);
        let line = if delimiter.strips_tabs { line.trim_start_matches('\t') } else { line };
        if line == delimiter.name {
            return Some((start..at, end));
        }
        at = end;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, bodies: &[&str]) -> String {
        let masked = mask(text, b'\\');
        let found: Vec<&str> = masked.heredocs.iter().map(|doc| &text[doc.body.clone()]).collect();
        assert_eq!(found, bodies, "{text}");
        assert_eq!(masked.text.len(), text.len());
        masked.text
    }

    #[test]
    fn every_heredoc_of_a_line_is_found_and_blanked() {
        let text = check("FROM a\nRUN x <<A 3<<-'B' > y\none\nA\n\ttwo\n\tB\nUSER z\n", &["one\n", "\ttwo\n"]);
        assert!(text.ends_with("USER z\n") && !text.contains("one") && !text.contains("<<"));
    }

    #[test]
    fn a_body_is_not_read_as_instructions_or_comments() {
        check("FROM a\nRUN <<EOF\n# RUN <<X\necho \\\nEOF\nCOPY <<f /x\ny\nf\n", &["# RUN <<X\necho \\\n", "y\n"]);
    }

    #[test]
    fn quoted_operators_and_shifts_are_not_heredocs() {
        check("FROM a\nRUN echo '<<EOF' $((1<<2)) <<<x\nLABEL a=<<EOF\n", &[]);
    }

    #[test]
    fn a_missing_delimiter_is_reported() {
        assert_eq!(mask("FROM a\nRUN <<EOF\nx\n", b'\\').unclosed, Some(11..16));
    }
}
