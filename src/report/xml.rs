//! Escapes text for XML and HTML, so that no byte of an image can open a tag, end an attribute or make the document
//! malformed.

use super::escape::visible;

/// Escapes `text` for character data and for attribute values in either kind of quotes.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in visible(text).chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            // Not characters in XML 1.0, section 2.2.
            '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            _ => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_opens_a_tag_or_breaks_the_document() {
        assert_eq!(escape("<script>\"a\"&'b'"), "&lt;script&gt;&quot;a&quot;&amp;&#39;b&#39;");
        assert_eq!(escape("a\0b\u{ffff}\n"), "a\\x00b\u{fffd}\\n");
    }
}
