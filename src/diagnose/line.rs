//! Restores a line as the program printed it, without what log drivers, terminals and services add: colours, JSON
//! escapes, carriage returns. Prefixes (timestamps, pod and service names) stay, because patterns match anywhere in a
//! line.

/// Maximum length of a message, in bytes. A log may contain a whole dump in one line.
pub const LINE_BYTES: usize = 8 << 10;

/// Splits `line` into the lines that the program printed: JSON escapes a line feed as `\n`, and a progress bar
/// overwrites its own line.
pub fn parts(line: &str) -> Vec<String> {
    let line = cut(line);
    if is_plain(line.as_bytes()) {
        return if line.trim().is_empty() { Vec::new() } else { vec![line.to_string()] };
    }
    let mut line = unescaped(&requoted(&without_colours(line)));
    for command in WORKFLOW_COMMANDS {
        if line.contains(command) {
            line = line.replace(command, "");
        }
    }
    let mut parts = Vec::new();
    for part in line.split('\n') {
        let mut rest = part.trim_end_matches('\r');
        // A carriage return inside a message is a script's line ending if a quote or a colon follows. Otherwise it
        // moved the cursor.
        let mut from = 0;
        while let Some(at) = rest[from..].find('\r').map(|at| from + at) {
            let is_quoted = rest[at + 1..].starts_with(|c: char| c.is_ascii_punctuation() || "’”»".contains(c));
            let is_cursor = !is_quoted || rest[at + 1..].starts_with(['[', '#', '/', '(']);
            if is_cursor {
                parts.push(rest[..at].replace('\r', "\\r"));
                rest = &rest[at + 1..];
                from = 0;
            } else {
                from = at + 1;
            }
        }
        parts.push(rest.replace('\r', "\\r"));
    }
    parts.retain(|part| !part.trim().is_empty());
    parts
}

/// Whether a line has nothing to undo, as most lines. A line that only might have something is not plain.
fn is_plain(line: &[u8]) -> bool {
    let next = line.iter().skip(1).copied().chain([b' ']);
    line.iter().zip(next).all(|(byte, next)| match byte {
        b'\\' | b'\r' | b'\n' | 0x1b | b'&' | 0x80.. => false,
        // `[36m`, `^[[K`, `#033[K` and the commands of CI services.
        b'[' => !(next.is_ascii_digit() || matches!(next, b'[' | b';' | b'?')),
        b'#' => !(next.is_ascii_digit() || next == b'#'),
        b':' => next != b':',
        _ => true,
    })
}

fn cut(line: &str) -> &str {
    let limit = line.len().min(LINE_BYTES);
    // A character has at most four bytes, so a boundary is near; 0 is one.
    let end = (0..=limit).rev().find(|end| line.is_char_boundary(*end)).unwrap_or(0);
    &line[..end]
}

/// Prefixes that the runners of GitHub and Azure add to an error without a space.
const WORKFLOW_COMMANDS: &[&str] = &["##[error]", "::error::"];

/// Forms in which logs write the escape character.
const ESCAPES: &[&str] = &["\u{1b}", "\\u001b", "\\u001B", "\\x1b", "\\033", "\\e", "#033", "^["];

/// The first characters of [`ESCAPES`] and of a sequence without one.
const SEQUENCE_STARTS: [char; 5] = ['\u{1b}', '\\', '#', '^', '['];

/// Removes ANSI colours and cursor movements, even if the log has lost the escape character: `[36m`.
fn without_colours(line: &str) -> String {
    if !line.contains('[') && !line.contains('\u{1b}') {
        return line.to_string();
    }
    let mut plain = String::with_capacity(line.len());
    let mut rest = line;
    loop {
        let start = rest.find(SEQUENCE_STARTS).unwrap_or(rest.len());
        plain.push_str(&rest[..start]);
        rest = &rest[start..];
        if rest.is_empty() {
            return plain;
        }
        let escape = ESCAPES.iter().find(|escape| rest.starts_with(**escape)).map_or("", |escape| escape);
        let after = &rest[escape.len()..];
        if let Some(length) = sequence(after, !escape.is_empty()) {
            rest = &after[length..];
            continue;
        }
        if escape == "\u{1b}" {
            rest = after;
            continue;
        }
        // Each of these characters is one byte.
        plain.push_str(&rest[..1]);
        rest = &rest[1..];
    }
}

/// Length of a sequence such as `[1;36m`. Without an escape character, only colours count: `[36m`, `[0;m`.
fn sequence(text: &str, is_escaped: bool) -> Option<usize> {
    let parameters = text.strip_prefix('[')?;
    let end = parameters.find(|c: char| !(c.is_ascii_digit() || ";?".contains(c)))?;
    let last = parameters[end..].chars().next()?;
    let is_sequence = if is_escaped { last.is_ascii_alphabetic() } else { last == 'm' && end > 0 };
    is_sequence.then_some(1 + end + 1)
}

/// What curly quotes become if a Windows tool reads UTF-8 as its own code page: 850, 437, 1252.
const MISREAD_QUOTES: &[(&str, &str)] = &[
    ("ÔÇÿ", "‘"),
    ("ÔÇÖ", "’"),
    ("ΓÇÿ", "‘"),
    ("ΓÇÖ", "’"),
    ("â€˜", "‘"),
    ("â€™", "’"),
    ("â\u{80}\u{98}", "‘"),
    ("â\u{80}\u{99}", "’"),
];

/// HTML entities that web consoles write for quotes and angle brackets.
const ENTITIES: &[(&str, &str)] =
    &[("&quot;", "\""), ("&#34;", "\""), ("&#39;", "'"), ("&#x27;", "'"), ("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")];

/// Restores quotes as the program printed them.
fn requoted(line: &str) -> String {
    let mut text = line.to_string();
    let misread = if line.is_ascii() { &[] } else { MISREAD_QUOTES };
    let entities = if line.contains('&') { ENTITIES } else { &[] };
    for (written, printed) in misread.iter().chain(entities) {
        if text.contains(written) {
            text = text.replace(written, printed);
        }
    }
    text
}

/// Undoes JSON escapes, including those of JSON within JSON. A `\r` stays visible.
fn unescaped(line: &str) -> String {
    if !line.contains('\\') {
        return line.to_string();
    }
    let mut text = line.to_string();
    for (escaped, plain) in [
        ("\\\\\\\"", "\""),
        ("\\\"", "\""),
        ("\\u0027", "'"),
        ("\\u003c", "<"),
        ("\\u003C", "<"),
        ("\\u003e", ">"),
        ("\\u003E", ">"),
        ("\\u0026", "&"),
        ("\\u2018", "‘"),
        ("\\u2019", "’"),
        ("\\u007f", "\u{7f}"),
        ("\\\\n", "\n"),
        ("\\n", "\n"),
        ("\\t", "\t"),
        ("\\/", "/"),
        ("\\\\", "\\"),
    ] {
        if text.contains(escaped) {
            text = text.replace(escaped, plain);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expected: &[&str]) {
        assert_eq!(parts(line), expected, "{line:?}");
    }

    #[test]
    fn every_escape_starts_a_sequence() {
        assert!(ESCAPES.iter().all(|escape| escape.starts_with(SEQUENCE_STARTS)));
    }

    #[test]
    fn colours_are_removed_for_every_form_of_the_escape_character() {
        for escape in ["\u{1b}", "\\u001b", "\\x1b", "\\033", "#033", "^[", ""] {
            check(&format!("{escape}[1;36mweb-1  | {escape}[0mexec /app: x"), &["web-1  | exec /app: x"]);
        }
        check("\u{1b}[2K\u{1b}[1Gdone", &["done"]);
        check("[FATAL tini (7)] exec [pod/a/b]", &["[FATAL tini (7)] exec [pod/a/b]"]);
    }

    #[test]
    fn escapes_of_json_are_undone() {
        check(
            r#"{"log":"exec: \"/app\": no\n","stream":"stderr"}"#,
            &[r#"{"log":"exec: "/app": no"#, r#"","stream":"stderr"}"#],
        );
        check(r#"{"m":"exec: \\\"/app\\\": no"}"#, &[r#"{"m":"exec: "/app": no"}"#]);
    }

    #[test]
    fn quotes_are_restored_from_every_form() {
        for (open, close) in [("ÔÇÿ", "ÔÇÖ"), ("ΓÇÿ", "ΓÇÖ"), ("â€˜", "â€™"), ("â\u{80}\u{98}", "â\u{80}\u{99}")]
        {
            check(&format!("env: {open}bash\r{close}: No such file"), &["env: ‘bash\\r’: No such file"]);
        }
        check("caused &quot;exec format error&quot; &amp; more", &["caused \"exec format error\" & more"]);
    }

    #[test]
    fn a_carriage_return_in_a_message_is_visible_and_one_that_moves_the_cursor_ends_the_line() {
        check("/usr/bin/env: 'bash\r': No such file", &["/usr/bin/env: 'bash\\r': No such file"]);
        check("10 %\r20 %\rexec /app: x\r", &["10 %", "20 %", "exec /app: x"]);
        check("./a.sh: line 2: cd\r: not found", &["./a.sh: line 2: cd\\r: not found"]);
    }

    #[test]
    fn a_plain_line_has_nothing_to_undo() {
        for line in ["[http] GET /a#b 200", "a: b, c[x]: d", "[pod/a/b] exec /app: exec format error"] {
            assert!(is_plain(line.as_bytes()), "{line:?}");
            check(line, &[line]);
        }
        for line in
            ["\u{1b}[Kx", "[36mx", "^[[Kx", "#033[Kx", "a\\n", "a\rb", "##[error]x", "::error::x", "é", "a&quot;"]
        {
            assert!(!is_plain(line.as_bytes()), "{line:?}");
        }
        check("  ", &[]);
    }

    #[test]
    fn an_endless_line_is_cut() {
        assert_eq!(parts(&"é".repeat(LINE_BYTES))[0].len(), LINE_BYTES);
    }
}
