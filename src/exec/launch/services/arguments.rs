//! Options and words of command lines.

/// Returns the value of an option in the form `-f VALUE`, `--file VALUE`, `--file=VALUE` or `-fVALUE`.
pub(super) fn option(argv: &[String], names: &[&str]) -> Option<String> {
    let mut words = argv.iter().skip(1);
    while let Some(word) = words.next() {
        for name in names {
            match word.strip_prefix(name) {
                Some("") => return words.next().cloned(),
                Some(rest) if !name.starts_with("--") => return Some(rest.to_string()),
                Some(rest) if rest.starts_with('=') => return Some(rest[1..].to_string()),
                Some(_) | None => {}
            }
        }
    }
    None
}

/// Splits a command line into words and removes its quotes, as Python's shlex does. Nothing is expanded.
pub(super) fn words_of(text: &str) -> Vec<String> {
    let (mut words, mut word, mut is_open) = (Vec::new(), String::new(), false);
    let mut quote = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, quote) {
            ('\\', None | Some('"')) => {
                is_open = true;
                word.extend(chars.next());
            }
            (c, Some(open)) if c == open => quote = None,
            ('"' | '\'', None) => {
                is_open = true;
                quote = Some(c);
            }
            (c, None) if c.is_whitespace() => {
                if std::mem::take(&mut is_open) {
                    words.push(std::mem::take(&mut word));
                }
            }
            (c, _) => {
                is_open = true;
                word.push(c);
            }
        }
    }
    words.extend(is_open.then_some(word));
    words
}
