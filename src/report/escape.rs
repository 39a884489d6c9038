//! Escapes untrusted names, such as those in an image, so that they cannot control a terminal or break a line. Also
//! formats numbers.

use std::fmt::Write;

/// Returns `text` with control, bidirectional and invisible characters escaped.
pub fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' => {
                let _ = write!(shown, "\\x{:02x}", c as u32);
            }
            '\u{ad}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}' => {
                let _ = write!(shown, "\\u{{{:x}}}", c as u32);
            }
            _ => shown.push(c),
        }
    }
    shown
}

/// Formats 1234567 as `1,234,567`.
pub fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut shown = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

/// Formats a number and a noun: `1 error`, `2 errors`.
pub fn plural(number: usize, word: &str) -> String {
    format!("{} {word}{}", thousands(number), if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_control_the_terminal() {
        assert_eq!(visible("a\x1b]52;c;evil\x07b"), "a\\x1b]52;c;evil\\x07b");
        assert_eq!(visible("a\nb\r\tc"), "a\\nb\\r\\tc");
        assert_eq!(visible("x\u{202e}gpj.exe\u{9b}2J"), "x\\u{202e}gpj.exe\\x9b2J");
        assert_eq!(visible("a\u{e0041}\u{61c}b"), "a\\u{e0041}\\u{61c}b");
        assert_eq!(visible("naïve-äöü-文"), "naïve-äöü-文");
    }

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(
            (thousands(0).as_str(), thousands(999).as_str(), thousands(1388).as_str(), thousands(1234567).as_str()),
            ("0", "999", "1,388", "1,234,567")
        );
        assert_eq!(plural(1, "error"), "1 error");
        assert_eq!(plural(0, "warning"), "0 warnings");
    }
}
