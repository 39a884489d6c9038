//! Matches shell patterns against texts that are partly known. Source: POSIX XCU 2.14.

use super::text::{self, HOLE, MANY, Truth};

/// Maximum number of characters of a pattern and a text that are compared.
const MAX_CHARS: usize = 1024;
/// Maximum number of characters of a class.
const MAX_CLASS: usize = 256;

/// A pattern's element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PatternToken {
    Char(char),
    One,
    Star,
    /// `[a-z]`: its ranges, and whether it is the complement.
    Class(Vec<(char, char)>, bool),
    /// Unknown text.
    Hole,
}

/// The comparisons with one character that a pattern takes at most.
pub fn weight(tokens: &[PatternToken]) -> usize {
    let weigh = |token: &PatternToken| match token {
        PatternToken::Class(ranges, _) => ranges.len().max(1),
        PatternToken::Char(_) | PatternToken::One | PatternToken::Star | PatternToken::Hole => 1,
    };
    tokens.iter().map(weigh).sum()
}

/// The pattern for texts in lower case, of which it matches those that the pattern matches in either case.
pub fn folded(tokens: &[PatternToken]) -> Vec<PatternToken> {
    let fold = |token: &PatternToken| match token {
        PatternToken::Char(c) => PatternToken::Char(c.to_ascii_lowercase()),
        PatternToken::Class(ranges, is_complement) => {
            let lower = ranges.iter().filter(|(from, to)| from.is_ascii_uppercase() && to.is_ascii_uppercase());
            let lower = lower.map(|(from, to)| (from.to_ascii_lowercase(), to.to_ascii_lowercase()));
            PatternToken::Class(ranges.iter().copied().chain(lower).collect(), *is_complement)
        }
        PatternToken::One | PatternToken::Star | PatternToken::Hole => token.clone(),
    };
    tokens.iter().map(fold).collect()
}

/// Parses a pattern from pieces, each with whether it was quoted. `None` for an extended pattern, and one with a very
/// long class, which are not supported.
pub fn pattern(pieces: &[(String, bool)]) -> Option<Vec<PatternToken>> {
    let mut tokens = Vec::new();
    for (text, is_quoted) in pieces {
        let chars: Vec<char> = text.chars().filter(|c| *c != text::SOFT).collect();
        let mut at = 0;
        while let Some(c) = chars.get(at) {
            at += 1;
            tokens.push(match c {
                &HOLE | &MANY => PatternToken::Hole,
                c if *is_quoted => PatternToken::Char(*c),
                '?' | '*' | '+' | '@' | '!' if chars.get(at) == Some(&'(') => return None,
                '?' => PatternToken::One,
                '*' => PatternToken::Star,
                '[' => match class(&chars[at..chars.len().min(at + MAX_CLASS)]) {
                    Some((class, len)) => {
                        at += len;
                        class
                    }
                    None if chars.len() > at + MAX_CLASS => return None,
                    None => PatternToken::Char('['),
                },
                c => PatternToken::Char(*c),
            });
        }
    }
    Some(tokens)
}

/// Parses the text after `[`, and returns its length.
fn class(chars: &[char]) -> Option<(PatternToken, usize)> {
    let is_complement = matches!(chars.first(), Some('!' | '^'));
    let mut at = usize::from(is_complement);
    let start = at;
    let mut ranges = Vec::new();
    loop {
        let c = *chars.get(at)?;
        if c == ']' && at > start {
            return Some((PatternToken::Class(ranges, is_complement), at + 1));
        }
        if c == '[' && chars.get(at + 1) == Some(&':') {
            let end = (at + 2..chars.len()).find(|end| chars[*end] == ':' && chars.get(end + 1) == Some(&']'))?;
            let name: String = chars[at + 2..end].iter().collect();
            match name.as_str() {
                "digit" => ranges.push(('0', '9')),
                "alpha" => ranges.extend([('a', 'z'), ('A', 'Z')]),
                "alnum" => ranges.extend([('a', 'z'), ('A', 'Z'), ('0', '9')]),
                "lower" => ranges.push(('a', 'z')),
                "upper" => ranges.push(('A', 'Z')),
                "space" | "blank" => ranges.extend([(' ', ' '), ('\t', '\r')]),
                _ => return None,
            }
            at = end + 2;
            continue;
        }
        if chars.get(at + 1) == Some(&'-') && chars.get(at + 2).is_some_and(|c| *c != ']') {
            ranges.push((c, chars[at + 2]));
            at += 3;
        } else {
            ranges.push((c, c));
            at += 1;
        }
    }
}

/// Whether a text matches a pattern as a whole.
pub fn matches(tokens: &[PatternToken], text: &str) -> Truth {
    let is_soft = text::is_soft(text);
    let chars: Vec<char> = text.chars().filter(|c| *c != text::SOFT).collect();
    if tokens.len() > MAX_CHARS || chars.len() > MAX_CHARS {
        return Truth::Maybe;
    }
    let has_hole = |c: &char| matches!(*c, HOLE | MANY);
    let truth = if !chars.iter().any(has_hole) && !tokens.contains(&PatternToken::Hole) {
        Truth::from_bool(may_match(tokens, &chars))
    } else if !may_match(tokens, &chars) {
        Truth::No
    } else {
        // Any value of the holes: nothing, or unusual text.
        let filled = |with: &str| -> Vec<char> {
            chars.iter().flat_map(|c| if has_hole(c) { with.chars().collect() } else { vec![*c] }).collect()
        };
        let always = !tokens.contains(&PatternToken::Hole)
            && may_match(tokens, &filled(""))
            && may_match(tokens, &filled("\u{1}/ \u{1}"));
        if always { Truth::Yes } else { Truth::Maybe }
    };
    if is_soft { truth.soften() } else { truth }
}

/// Whether pattern and text can be the same; a hole is any text.
fn may_match(tokens: &[PatternToken], chars: &[char]) -> bool {
    reach(tokens, chars)[chars.len()]
}

/// Returns, for each number of characters from 0 on, whether the pattern can match that many of the first characters.
fn reach(tokens: &[PatternToken], chars: &[char]) -> Vec<bool> {
    // reach[j]: the tokens so far match the first j characters.
    let mut reach = vec![false; chars.len() + 1];
    reach[0] = true;
    let pass_holes = |reach: &mut Vec<bool>| {
        for at in 0..chars.len() {
            if reach[at] && matches!(chars[at], HOLE | MANY) {
                reach[at + 1] = true;
            }
        }
    };
    pass_holes(&mut reach);
    for token in tokens {
        let mut next = vec![false; chars.len() + 1];
        match token {
            PatternToken::Star | PatternToken::Hole => {
                let mut is_reached = false;
                for (at, reached) in reach.iter().enumerate() {
                    is_reached |= reached;
                    next[at] = is_reached;
                }
            }
            token => {
                for at in 0..chars.len() {
                    if !reach[at] {
                        continue;
                    }
                    match chars[at] {
                        // The token is in the unknown text, which may continue.
                        HOLE | MANY => next[at] = true,
                        c if is_one(token, c) => next[at + 1] = true,
                        _ => {}
                    }
                }
            }
        }
        pass_holes(&mut next);
        reach = next;
    }
    reach
}

fn is_one(token: &PatternToken, c: char) -> bool {
    match token {
        PatternToken::Char(expected) => *expected == c,
        PatternToken::One => true,
        PatternToken::Class(ranges, is_complement) => {
            ranges.iter().any(|(from, to)| (*from..=*to).contains(&c)) != *is_complement
        }
        PatternToken::Star | PatternToken::Hole => true,
    }
}

/// Returns the rest of a text after removing the shortest or longest match at its start or end.
pub fn trimmed(tokens: &[PatternToken], text: &str, is_suffix: bool, is_longest: bool) -> String {
    if !text::is_known(text) || tokens.contains(&PatternToken::Hole) {
        return HOLE.to_string();
    }
    let is_soft = text::is_soft(text);
    let text = text::plain(text);
    let mut chars: Vec<char> = text.chars().collect();
    if chars.len() > MAX_CHARS || tokens.len() > MAX_CHARS {
        return HOLE.to_string();
    }
    let mut tokens = tokens.to_vec();
    if is_suffix {
        // A suffix is a prefix of the reversed text.
        chars.reverse();
        tokens.reverse();
    }
    let reach = reach(&tokens, &chars);
    let cut = if is_longest { reach.iter().rposition(|fits| *fits) } else { reach.iter().position(|fits| *fits) };
    let rest = chars.split_off(cut.unwrap_or(0));
    let rest: String = if is_suffix { rest.into_iter().rev().collect() } else { rest.into_iter().collect() };
    if is_soft { format!("{}{rest}", text::SOFT) } else { rest }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: &str) -> Vec<PatternToken> {
        pattern(&[(text.to_string(), false)]).unwrap()
    }

    #[test]
    fn patterns_match_whole_texts() {
        for (glob, text, expected) in [
            ("*.sh", "a.sh", true),
            ("*.sh", "a.shx", false),
            ("[a-c]?", "bx", true),
            ("[!a-c]*", "bx", false),
            ("-*", "-x", true),
            ("a[[:digit:]]", "a7", true),
            ("", "", true),
            ("[", "[", true),
        ] {
            assert_eq!(matches(&tokens(glob), text), Truth::from_bool(expected), "{glob} {text}");
        }
    }

    #[test]
    fn a_folded_pattern_ignores_case() {
        for (glob, text, expected) in [("St*T", "start", true), ("[A-C]x", "bx", true), ("[!A-C]x", "bx", false)] {
            assert_eq!(matches(&folded(&tokens(glob)), text), Truth::from_bool(expected), "{glob} {text}");
        }
    }

    #[test]
    fn a_very_long_class_is_not_supported() {
        assert_eq!(pattern(&[("[".repeat(60_000), false)]), None);
        assert_eq!(pattern(&[(format!("[{}]", "a".repeat(300)), false)]), None);
        assert_eq!(matches(&tokens(&"[".repeat(200)), &"[".repeat(200)), Truth::Yes);
        assert_eq!(weight(&tokens("[a-c0-9x]?*b")), 6);
    }

    #[test]
    fn a_hole_matches_perhaps_and_a_star_surely() {
        let holed = format!("/opt/{HOLE}");
        assert_eq!(matches(&tokens("*"), &holed), Truth::Yes);
        assert_eq!(matches(&tokens("/*"), &holed), Truth::Yes);
        assert_eq!(matches(&tokens("/srv/*"), &holed), Truth::No);
        assert_eq!(matches(&tokens("*.sh"), &holed), Truth::Maybe);
    }

    #[test]
    fn parts_are_trimmed_from_either_end() {
        assert_eq!(trimmed(&tokens("*/"), "/a/b", false, true), "b");
        assert_eq!(trimmed(&tokens("/*"), "/a/b", true, false), "/a");
        assert_eq!(trimmed(&tokens("-"), "-x", false, false), "x");
        assert_eq!(trimmed(&tokens("%%"), "x", true, true), "x");
    }
}
