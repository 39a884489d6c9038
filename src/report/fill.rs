//! Fills prose into the terminal's width. Words are never broken: a path or a command stays whole, so that it can be copied.

use unicode_width::UnicodeWidthStr;

/// `text` behind `lead`, broken between words at `width` columns; further lines stand `indent` columns in. Columns of
/// `lead` are counted without its colour.
pub fn fill(lead: &str, text: &str, indent: usize, width: usize) -> String {
    let mut filled = lead.to_string();
    let mut column = columns(lead);
    let mut is_start = true;
    for word in text.split(' ') {
        let length = word.width();
        if !is_start && column + 1 + length > width {
            filled.push('\n');
            filled.extend(std::iter::repeat_n(' ', indent));
            (column, is_start) = (indent, true);
        }
        if !is_start {
            filled.push(' ');
            column += 1;
        }
        filled.push_str(word);
        column += length;
        is_start = false;
    }
    filled
}

/// A command at `indent`, broken at `width` columns so that it can still be pasted: a backslash ends each line but the
/// last, and no break is within quotes.
pub fn fill_command(command: &str, indent: usize, width: usize) -> String {
    let mut filled = " ".repeat(indent);
    let (mut column, mut is_start, mut quote) = (indent, true, None);
    for word in command.split(' ') {
        let length = word.width();
        // Room for the backslash stays.
        if !is_start && quote.is_none() && column + 1 + length + 2 > width {
            filled.push_str(" \\\n");
            filled.extend(std::iter::repeat_n(' ', indent + 2));
            column = indent + 2;
        } else if !is_start {
            filled.push(' ');
            column += 1;
        }
        filled.push_str(word);
        (column, is_start) = (column + length, false);
        for c in word.chars().filter(|c| matches!(c, '\'' | '"')) {
            match quote {
                None => quote = Some(c),
                Some(open) if open == c => quote = None,
                Some(_) => {}
            }
        }
    }
    filled
}

/// Columns of a text, its colours aside.
fn columns(text: &str) -> usize {
    let mut parts = text.split('\x1b');
    let plain = parts.next().map_or(0, UnicodeWidthStr::width);
    plain + parts.map(|part| part.split_once('m').map_or(0, |(_, shown)| shown.width())).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prose_is_broken_between_words_and_commands_are_not() {
        assert_eq!(fill("  hint: ", "one two three", 8, 16), "  hint: one two\n        three");
        assert_eq!(
            fill("", "/a/very/long/path/that/cannot/be/broken x", 2, 10),
            "/a/very/long/path/that/cannot/be/broken\n  x"
        );
        assert_eq!(fill_command("a bc --d=e f", 2, 13), "  a bc \\\n    --d=e f");
        assert_eq!(fill_command("short one", 2, 80), "  short one");
        assert_eq!(fill_command("k -p '{a b c d}' x", 0, 10), "k -p '{a b c d}' \\\n  x");
        assert_eq!(fill("\x1b[1;31merror\x1b[0m: ", "a b", 2, 9), "\x1b[1;31merror\x1b[0m: a\n  b");
        // A wide character takes two columns.
        assert_eq!(fill("", "/srv/数据 /opt/本", 2, 16), "/srv/数据\n  /opt/本");
    }
}
