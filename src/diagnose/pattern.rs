//! Message patterns: literal text with `{name}` holes, matched anywhere in a line without regard to ASCII case.
//! It knows nothing of what messages mean.

/// What the holes of a pattern stood for, in the pattern's order.
pub type Holes<'a> = Vec<(&'static str, &'a str)>;

/// Finds `pattern` in `line`; `lower` is `line` in ASCII lower case. A pattern that begins with a letter begins at a word; a
/// hole reaches to the next literal, is never empty, and a last one reaches to the line's end. A pattern that ends with `$`
/// ends where the line does.
pub fn find<'a>(pattern: &'static str, line: &'a str, lower: &str) -> Option<Holes<'a>> {
    let (pattern, is_anchored) = pattern.strip_suffix('$').map_or((pattern, false), |pattern| (pattern, true));
    let (first, rest) = pattern.split_at(pattern.find('{').unwrap_or(pattern.len()));
    let needle = first.to_ascii_lowercase();
    let matched = |at| holes(rest, line, lower, at).filter(|(_, end)| !is_anchored || line[*end..].trim().is_empty());
    if needle.is_empty() {
        return matched(0).map(|(holes, _)| holes);
    }
    let mut from = 0;
    while let Some(found) = lower.get(from..)?.find(&needle) {
        let at = from + found;
        if begins_word(&needle, &lower[..at])
            && let Some((holes, _)) = matched(at + needle.len())
        {
            return Some(holes);
        }
        // Literals begin with a whole character, so the next one is a boundary too.
        from = at + needle.chars().next().map_or(1, char::len_utf8);
    }
    None
}

fn begins_word(needle: &str, before: &str) -> bool {
    let is_letter = |c: char| c.is_ascii_alphanumeric();
    !needle.starts_with(is_letter) || !before.ends_with(is_letter)
}

/// The holes, and where the pattern ended.
fn holes<'a>(mut rest: &'static str, line: &'a str, lower: &str, mut at: usize) -> Option<(Holes<'a>, usize)> {
    let mut holes = Vec::new();
    while let Some(after) = rest.strip_prefix('{') {
        let (name, tail) = after.split_once('}').expect("patterns close their holes; a test walks them all");
        let literal = &tail[..tail.find('{').unwrap_or(tail.len())];
        let end = match literal {
            "" => line.len(),
            _ => at + lower[at..].find(&literal.to_ascii_lowercase())?,
        };
        let value = line[at..end].trim();
        if value.is_empty() {
            return None;
        }
        holes.push((name, value));
        at = end + literal.len();
        rest = &tail[literal.len()..];
    }
    Some((holes, at))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &'static str, line: &str, expected: Option<&[(&'static str, &str)]>) {
        let lower = line.to_ascii_lowercase();
        assert_eq!(find(pattern, line, &lower).as_deref(), expected, "{pattern} in {line}");
    }

    #[test]
    fn a_hole_reaches_to_the_next_literal() {
        check(
            "exec {path}: {errno}",
            "exec /a b: Exec format error",
            Some(&[("path", "/a b"), ("errno", "Exec format error")]),
        );
        check("`{path}`: x", "see `/app`: X", Some(&[("path", "/app")]));
    }

    #[test]
    fn a_pattern_begins_at_a_word_and_is_tried_again() {
        check("exec {path}:", "libexec /a: exec /b: no", Some(&[("path", "/b")]));
        check("exec {path}:", "libexec /a:", None);
    }

    #[test]
    fn a_dollar_is_the_lines_end() {
        check("illegal option -$", "set: Illegal option -", Some(&[]));
        check("illegal option -$", "set: Illegal option -o pipefail", None);
    }

    #[test]
    fn an_empty_hole_is_no_match() {
        check("exec {path}: no", "exec : no", None);
    }

    #[test]
    fn case_does_not_matter_and_other_scripts_do_not_break_it() {
        check("‘{name}’: no such file", "env: ‘bäsh’: No such file", Some(&[("name", "bäsh")]));
        check("éx", "é éX", Some(&[]));
    }
}
