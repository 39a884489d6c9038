//! Extended regular expressions, as `[[ TEXT =~ EXPRESSION ]]` uses them. Source: bash(1); POSIX XBD 9.4.

use regex_automata::Input;
use regex_automata::meta::{Config, Regex};
use regex_automata::nfa::thompson::{self, NFA};
use regex_automata::util::captures::Captures;
use regex_automata::util::syntax;

use super::text;

/// Maximum length of an expression in bytes.
const MAX_EXPRESSION: usize = 512;
/// Maximum size of a compiled expression in bytes.
const MAX_COMPILED: usize = 64 << 10;

/// A regular expression in the syntax of the matching library.
#[derive(Default)]
pub(super) struct RegularExpression {
    text: String,
    pub ignores_case: bool,
}

impl RegularExpression {
    /// Adds a text that stands for itself. `None` if it is not known.
    pub fn push_literal(&mut self, literal: &str) -> Option<()> {
        let literal = text::plain(literal);
        for c in literal.chars().filter(|_| text::is_known(&literal)) {
            if c.is_ascii_punctuation() {
                self.text.push('\\');
            }
            self.text.push(c);
        }
        (text::is_known(&literal) && self.text.len() <= MAX_EXPRESSION).then_some(())
    }

    /// Adds a part of an expression. `None` if it is not known, or means something else to the matching library.
    pub fn push(&mut self, part: &str) -> Option<()> {
        let part = text::plain(part);
        let is_class_operator = ["&&", "--", "~~"].iter().any(|operator| part.contains('[') && part.contains(operator));
        let is_escape = part
            .split('\\')
            .skip(1)
            .any(|after| after.starts_with(|c: char| c.is_ascii_alphanumeric() || matches!(c, '<' | '>')));
        let is_same = !is_class_operator && !is_escape && !part.contains("(?");
        self.text.push_str(&part);
        (is_same && text::is_known(&part) && self.text.len() <= MAX_EXPRESSION).then_some(())
    }

    /// The expression as sed and grep write it, where groups and repetitions have a backslash. `None` if it is not
    /// known, or means something else to the matching library. Source: POSIX XBD 9.3; GNU extensions of sed(1).
    pub fn from_basic(text: &str) -> Option<RegularExpression> {
        let mut extended = String::new();
        let (mut chars, mut is_class) = (text.chars().peekable(), false);
        while let Some(c) = chars.next() {
            match c {
                _ if is_class => {
                    is_class = c != ']' || extended.ends_with(['[', '^']);
                    extended.push(c);
                }
                '\\' => match chars.next()? {
                    c @ ('(' | ')' | '{' | '}' | '|' | '+' | '?') => extended.push(c),
                    c => extended.extend(['\\', c]),
                },
                '(' | ')' | '{' | '}' | '|' | '+' | '?' => extended.extend(['\\', c]),
                '*' if extended.is_empty() || extended.ends_with(['(', '|', '^']) => extended.push_str("\\*"),
                '[' => {
                    is_class = true;
                    extended.push(c);
                }
                c => extended.push(c),
            }
        }
        RegularExpression::from_extended(&extended)
    }

    /// The expression as `grep -E` and `sed -E` write it.
    pub fn from_extended(text: &str) -> Option<RegularExpression> {
        let mut expression = RegularExpression::default();
        expression.push(text)?;
        Some(expression)
    }

    /// Makes it match only whole lines.
    pub fn wrap(&mut self) {
        self.text = format!("^(?:{})$", self.text);
    }

    /// `None` if the expression is not valid or too large.
    pub fn compile(&self) -> Option<Compiled> {
        let syntax = syntax::Config::new().dot_matches_new_line(true).case_insensitive(self.ignores_case);
        let size = thompson::Config::new().nfa_size_limit(Some(MAX_COMPILED));
        let automaton = NFA::compiler().syntax(syntax).configure(size).build(&self.text).ok()?;
        let limits = Config::new().nfa_size_limit(Some(MAX_COMPILED)).hybrid_cache_capacity(MAX_COMPILED);
        let regex = Regex::builder().syntax(syntax).configure(limits).build(&self.text).ok()?;
        Some(Compiled { regex, states: automaton.states().len() })
    }

    /// Returns the groups of the first match, the whole match first, or none if it does not match. `None` if the
    /// expression is not valid or too large, or a search costs too much.
    pub fn find(&self, subject: &str, work: &mut MatchWork) -> Option<Option<Vec<String>>> {
        let found = self.compile()?.find_at(subject, 0, work).map(|found| found.groups);
        (!work.is_exceeded()).then_some(found)
    }
}

/// Limits the work of one tool, in comparisons of a state or an element of a pattern with a character. If the limit is
/// exceeded, the tool's output is not known.
pub(super) struct MatchWork {
    limit: usize,
    done: usize,
}

impl MatchWork {
    pub fn up_to(limit: usize) -> MatchWork {
        MatchWork { limit, done: 0 }
    }

    /// Adds work that is about to be done. False if that exceeds the limit.
    pub fn add(&mut self, comparisons: usize) -> bool {
        self.done = self.done.saturating_add(comparisons);
        !self.is_exceeded()
    }

    pub fn done(&self) -> usize {
        self.done
    }

    pub fn is_exceeded(&self) -> bool {
        self.done > self.limit
    }
}

/// An expression that can be matched repeatedly.
pub(super) struct Compiled {
    regex: Regex,
    /// Of the automaton. In the worst case each is compared with each byte of the subject.
    states: usize,
}

/// A match: its place in bytes, and its groups, the whole match first.
pub(super) struct Match {
    pub range: std::ops::Range<usize>,
    pub groups: Vec<String>,
}

impl Compiled {
    /// False if the work exceeds its limit.
    pub fn is_match(&self, subject: &str, work: &mut MatchWork) -> bool {
        work.add(self.cost(subject.len())) && self.regex.is_match(subject)
    }

    fn cost(&self, bytes: usize) -> usize {
        self.states.saturating_mul(bytes + 1)
    }

    /// Returns the first match that begins at or after `start`, a number of bytes. `None` if there is none, or the work
    /// exceeds its limit.
    pub fn find_at(&self, subject: &str, start: usize, work: &mut MatchWork) -> Option<Match> {
        if !work.add(self.cost(subject.len() - start)) {
            return None;
        }
        let mut captures: Captures = self.regex.create_captures();
        self.regex.search_captures(&Input::new(subject).range(start..), &mut captures);
        let range = captures.get_match()?.range();
        let groups = (0..captures.group_len())
            .map(|at| captures.get_group(at).map_or_else(String::new, |span| subject[span.range()].to_string()));
        Some(Match { range, groups: groups.collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::{MatchWork, RegularExpression};

    fn check(parts: &[(&str, bool)], subject: &str, expected: Option<Option<&[&str]>>) {
        let mut expression = RegularExpression::default();
        let is_pushed = parts.iter().all(|(part, is_quoted)| {
            if *is_quoted { expression.push_literal(part).is_some() } else { expression.push(part).is_some() }
        });
        let found = if is_pushed { expression.find(subject, &mut MatchWork::up_to(usize::MAX)) } else { None };
        let expected =
            expected.map(|groups| groups.map(|groups| groups.iter().map(|group| group.to_string()).collect()));
        assert_eq!(found, expected, "{parts:?} {subject:?}");
    }

    #[test]
    fn basic_expressions_have_a_backslash_before_groups() {
        let find = |basic: &str, subject: &str| {
            RegularExpression::from_basic(basic)
                .and_then(|expression| expression.find(subject, &mut MatchWork::up_to(usize::MAX)))
                .map(|found| found.is_some())
        };
        for (basic, subject, expected) in [
            ("\\(a\\|b\\)c", "bc", Some(true)),
            ("(a|b)c", "bc", Some(false)),
            ("a+", "a+", Some(true)),
            ("[(]x", "(x", Some(true)),
            ("*a", "*a", Some(true)),
            ("a\\d", "a1", None),
        ] {
            assert_eq!(find(basic, subject), expected, "{basic}");
        }
    }

    #[test]
    fn a_search_that_costs_too_much_is_not_decided() {
        let expression = RegularExpression::from_extended("(a|b)*a(a|b){300}c").unwrap();
        let subject = "ab".repeat(5000);
        assert_eq!(expression.find(&subject, &mut MatchWork::up_to(usize::MAX)), Some(None));
        let mut work = MatchWork::up_to(1 << 20);
        assert_eq!(expression.find(&subject, &mut work), None);
        assert!(work.done() > 1 << 20);
        let literal = RegularExpression::from_extended("abb").unwrap();
        assert_eq!(literal.find(&subject, &mut MatchWork::up_to(1 << 20)), Some(None));
    }

    #[test]
    fn expressions_match_as_in_bash() {
        check(&[("^(yes|true)$", false)], "no", Some(None));
        check(
            &[("^([a-z]+)://([^:/]+)(:([0-9]+))?", false)],
            "http://db:80/x",
            Some(Some(&["http://db:80", "http", "db", ":80", "80"])),
        );
        check(&[("-w|--wait", false)], "--wait", Some(Some(&["--wait"])));
        check(&[("^", false), ("a.c", true)], "abc", Some(None));
        check(&[("[[:digit:]]{2}", false)], "a12", Some(Some(&["12"])));
        check(&[("a{", false)], "a", None);
        check(&[("\\d", false)], "1", None);
        check(&[("(a{100}){100}{100}", false)], "a", None);
    }
}
