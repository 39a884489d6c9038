//! The output of `echo` and `printf`.

use super::MAX_TEXT;
use super::text::{HOLE, MANY};

/// Returns the output of `echo`.
pub(super) fn echoed(words: &[String]) -> String {
    let is_option = |word: &&String| matches!(word.as_str(), "-n" | "-e" | "-E" | "-ne" | "-en");
    let options = words.iter().take_while(is_option).count();
    let has_newline = !words[..options].iter().any(|word| word.contains('n'));
    let text = words[options..].iter().map(|word| word.replace(MANY, &HOLE.to_string())).collect::<Vec<_>>().join(" ");
    if has_newline { format!("{text}\n") } else { text }
}

/// Returns the output of `printf` with `%s` and the usual escapes. Other formats are unknown.
pub(super) fn printed(words: &[String]) -> String {
    let words = if words.first().is_some_and(|word| word == "--") { &words[1..] } else { words };
    let Some((format, values)) = words.split_first() else { return String::new() };
    if values.iter().any(|value| value.starts_with(MANY)) {
        return HOLE.to_string();
    }
    let mut values = values.iter();
    let mut text = String::new();
    loop {
        let (mut chars, mut took) = (format.chars(), false);
        while let Some(c) = chars.next() {
            match c {
                '%' => match chars.next() {
                    Some('s') => {
                        text.push_str(values.next().map_or("", String::as_str));
                        took = true;
                    }
                    Some('%') => text.push('%'),
                    _ => return HOLE.to_string(),
                },
                '\\' => match chars.next() {
                    Some('n') => text.push('\n'),
                    Some('t') => text.push('\t'),
                    Some('\\') => text.push('\\'),
                    _ => return HOLE.to_string(),
                },
                c => text.push(c),
            }
        }
        if !took || values.len() == 0 {
            return text;
        }
        if text.len() > MAX_TEXT {
            return HOLE.to_string();
        }
    }
}
