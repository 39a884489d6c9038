//! `grep`, `tr`, `awk` and similar tools, as far as scripts use them to take a name out of a text. Source: POSIX XCU
//! grep, tr, awk; GNU grep's manual.

use super::MAX_TEXT;
use super::expression::{Compiled, MatchWork, RegularExpression};
use super::sed::Sed;
use super::text::{self, Truth};

/// A tool with its arguments, parsed.
pub(super) struct TextFilter<'w> {
    tool: FilterTool,
    /// The files that it reads; none for stdin.
    pub files: Vec<&'w String>,
}

enum FilterTool {
    Sed(Sed),
    Grep(Grep),
    /// `tr FROM TO`, `tr -d FROM`
    Translate {
        from: Vec<char>,
        to: Option<Vec<char>>,
        squeezes: bool,
    },
    Awk {
        condition: Option<AwkCondition>,
        field: Option<AwkField>,
        separator: Option<String>,
        is_once: bool,
    },
    Unique,
    CountLines,
}

struct Grep {
    expression: Compiled,
    is_inverted: bool,
    is_quiet: bool,
    prints_match: bool,
    counts: bool,
    limit: usize,
}

enum AwkCondition {
    Matching(Compiled),
    Line(usize),
    Field(AwkField, String),
}

#[derive(Clone, Copy)]
enum AwkField {
    Number(usize),
    Last,
}

impl<'w> TextFilter<'w> {
    /// `None` if the tool is another one, or its arguments are not supported.
    pub fn parse(name: &str, words: &'w [String]) -> Option<TextFilter<'w>> {
        if !words.iter().all(|word| text::is_known(word)) {
            return None;
        }
        match name {
            "sed" | "gsed" => {
                let (sed, files) = Sed::parse(words)?;
                Some(TextFilter { tool: FilterTool::Sed(sed), files })
            }
            "grep" | "egrep" | "fgrep" => grep(name, words),
            "tr" => translate(words),
            "awk" | "gawk" | "mawk" => awk(words),
            "uniq" => words.is_empty().then_some(TextFilter { tool: FilterTool::Unique, files: Vec::new() }),
            "wc" => match words {
                [option] if option == "-l" => Some(TextFilter { tool: FilterTool::CountLines, files: Vec::new() }),
                _ => None,
            },
            _ => None,
        }
    }

    /// Number of regular expressions.
    pub fn expressions(&self) -> usize {
        match &self.tool {
            FilterTool::Sed(sed) => sed.expressions(),
            FilterTool::Grep(_) | FilterTool::Awk { condition: Some(AwkCondition::Matching(_)), .. } => 1,
            FilterTool::Translate { .. } | FilterTool::Awk { .. } | FilterTool::Unique | FilterTool::CountLines => 0,
        }
    }

    /// Returns the output, and whether the tool succeeds. `None` if the output is too long, or the work exceeds its
    /// limit.
    pub fn run(&self, input: &[String], work: &mut MatchWork) -> Option<(String, Truth)> {
        self.output(input, work).filter(|_| !work.is_exceeded())
    }

    fn output(&self, input: &[String], work: &mut MatchWork) -> Option<(String, Truth)> {
        let (lines, truth) = match &self.tool {
            FilterTool::Sed(sed) => (sed.edit(input, work)?, Truth::Yes),
            FilterTool::Grep(grep) => return Some(grep.run(input, work)),
            FilterTool::Translate { from, to, squeezes } => {
                let text: String = input.iter().map(|line| format!("{line}\n")).collect();
                if !work.add(text.len().saturating_mul(from.len())) {
                    return None;
                }
                return Some((translated(&text, from, to.as_deref(), *squeezes), Truth::Yes));
            }
            FilterTool::Awk { condition, field, separator, is_once } => {
                let row = |(at, line): (usize, &String)| {
                    let fields: Vec<&str> = match separator.as_deref() {
                        None | Some(" ") => line.split_whitespace().collect(),
                        Some(separator) => line.split(separator).collect(),
                    };
                    let of = |field: AwkField| match field {
                        AwkField::Number(0) => line.as_str(),
                        AwkField::Number(number) => fields.get(number - 1).copied().unwrap_or_default(),
                        AwkField::Last => fields.last().copied().unwrap_or_default(),
                    };
                    let is_taken = match condition {
                        None => true,
                        Some(AwkCondition::Matching(expression)) => expression.is_match(line, work),
                        Some(AwkCondition::Line(number)) => at + 1 == *number,
                        Some(AwkCondition::Field(field, text)) => of(*field) == text,
                    };
                    is_taken.then(|| of(field.unwrap_or(AwkField::Number(0))).to_string())
                };
                let count = if *is_once { 1 } else { usize::MAX };
                (input.iter().enumerate().filter_map(row).take(count).collect(), Truth::Yes)
            }
            FilterTool::Unique => {
                let mut lines = input.to_vec();
                lines.dedup();
                (lines, Truth::Yes)
            }
            FilterTool::CountLines => (vec![input.len().to_string()], Truth::Yes),
        };
        let size: usize = lines.iter().map(|line| line.len() + 1).sum();
        (size <= MAX_TEXT).then(|| (lines.iter().map(|line| format!("{line}\n")).collect(), truth))
    }
}

impl Grep {
    fn run(&self, input: &[String], work: &mut MatchWork) -> (String, Truth) {
        let found: Vec<&String> = input
            .iter()
            .filter(|line| self.expression.is_match(line, work) != self.is_inverted)
            .take(self.limit)
            .collect();
        let truth = Truth::from_bool(!found.is_empty());
        let output = match self {
            Grep { is_quiet: true, .. } => String::new(),
            Grep { counts: true, .. } => format!("{}\n", found.len()),
            Grep { prints_match: true, .. } => {
                let mut matches = String::new();
                for line in &found {
                    let mut start = 0;
                    while let Some(found) = self.expression.find_at(line, start, work)
                        && !found.range.is_empty()
                    {
                        start = found.range.end;
                        matches.push_str(&line[found.range]);
                        matches.push('\n');
                    }
                }
                matches
            }
            Grep { .. } => found.iter().map(|line| format!("{line}\n")).collect(),
        };
        (output, truth)
    }
}

fn grep<'w>(name: &str, words: &'w [String]) -> Option<TextFilter<'w>> {
    let (mut is_extended, mut is_fixed) = (name == "egrep", name == "fgrep");
    let (mut is_inverted, mut is_quiet, mut prints_match, mut counts, mut is_whole) =
        (false, false, false, false, false);
    let (mut ignores_case, mut limit, mut pattern, mut files) = (false, usize::MAX, None, Vec::new());
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let Some(letters) = word.strip_prefix('-').filter(|letters| !letters.is_empty()) else {
            files.push(word);
            continue;
        };
        match letters {
            "-" => {
                files.extend(words.by_ref());
                continue;
            }
            "-quiet" | "-silent" => {
                is_quiet = true;
                continue;
            }
            _ => {}
        }
        for (at, letter) in letters.char_indices() {
            match letter {
                'E' => is_extended = true,
                'F' => is_fixed = true,
                'v' => is_inverted = true,
                'q' => is_quiet = true,
                'o' => prints_match = true,
                'c' => counts = true,
                'x' => is_whole = true,
                'i' => ignores_case = true,
                's' | 'h' | 'a' => {}
                'e' | 'm' => {
                    let rest = &word[at + 2..];
                    let value = if rest.is_empty() { words.next()?.as_str() } else { rest };
                    match letter {
                        'e' if pattern.is_none() => pattern = Some(value.to_string()),
                        'm' => limit = value.parse().ok()?,
                        _ => return None,
                    }
                    break;
                }
                _ => return None,
            }
        }
    }
    let pattern = match pattern {
        Some(pattern) => pattern,
        None if files.is_empty() => return None,
        None => files.remove(0).clone(),
    };
    let mut expression = match (is_fixed, is_extended) {
        (true, _) => {
            let mut literal = RegularExpression::default();
            literal.push_literal(&pattern)?;
            literal
        }
        (false, true) => RegularExpression::from_extended(&pattern)?,
        (false, false) => RegularExpression::from_basic(&pattern)?,
    };
    expression.ignores_case = ignores_case;
    if is_whole {
        expression.wrap();
    }
    let expression = expression.compile()?;
    // With more than one file, it prints their names.
    if files.len() > 1 {
        return None;
    }
    Some(TextFilter {
        tool: FilterTool::Grep(Grep { expression, is_inverted, is_quiet, prints_match, counts, limit }),
        files,
    })
}

fn translate(words: &[String]) -> Option<TextFilter<'_>> {
    let (mut deletes, mut squeezes, mut sets) = (false, false, Vec::new());
    for word in words {
        match word.as_str() {
            "-d" => deletes = true,
            "-s" => squeezes = true,
            option if option.starts_with('-') && option.len() > 1 => return None,
            set => sets.push(characters(set)?),
        }
    }
    let mut sets = sets.into_iter();
    let (from, to) = (sets.next()?, sets.next());
    let is_supported = match (deletes, &to, squeezes) {
        (true, None, false) | (false, Some(_), _) | (false, None, true) => sets.next().is_none(),
        (true, ..) | (false, None, false) => false,
    };
    is_supported.then_some(TextFilter { tool: FilterTool::Translate { from, to, squeezes }, files: Vec::new() })
}

/// The characters of a set: `a-z`, `[:upper:]`, `\n`.
fn characters(set: &str) -> Option<Vec<char>> {
    let mut found = Vec::new();
    let mut rest = set;
    while let Some(c) = rest.chars().next() {
        if let Some((class, after)) = rest.strip_prefix("[:").and_then(|rest| rest.split_once(":]")) {
            match class {
                "upper" => found.extend('A'..='Z'),
                "lower" => found.extend('a'..='z'),
                "digit" => found.extend('0'..='9'),
                "alpha" => found.extend(('A'..='Z').chain('a'..='z')),
                "alnum" => found.extend(('0'..='9').chain('A'..='Z').chain('a'..='z')),
                "space" => found.extend([' ', '\t', '\n', '\r']),
                "blank" => found.extend([' ', '\t']),
                _ => return None,
            }
            rest = after;
            continue;
        }
        let mut chars = rest.chars();
        chars.next();
        let c = match c {
            '\\' => match chars.next()? {
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                c if c.is_ascii_digit() => return None,
                c => c,
            },
            c => c,
        };
        rest = chars.as_str();
        let end = rest.strip_prefix('-').and_then(|rest| rest.chars().next());
        match end.filter(|end| *end >= c && end.is_ascii()) {
            Some(end) => {
                found.extend(c..=end);
                rest = &rest[1 + end.len_utf8()..];
            }
            None => found.push(c),
        }
    }
    (!found.is_empty()).then_some(found)
}

fn translated(text: &str, from: &[char], to: Option<&[char]>, squeezes: bool) -> String {
    let mut output = String::new();
    for c in text.chars() {
        let at = from.iter().rposition(|own| *own == c);
        let mapped = match (at, to) {
            (None, _) => c,
            (Some(at), Some(to)) => to.get(at).or(to.last()).copied().unwrap_or(c),
            (Some(_), None) if squeezes => c,
            (Some(_), None) => continue,
        };
        if squeezes && at.is_some() && output.ends_with(mapped) {
            continue;
        }
        output.push(mapped);
    }
    output
}

/// `awk -F: '$1 == "a" {print $2}' FILE`
fn awk(words: &[String]) -> Option<TextFilter<'_>> {
    let (mut separator, mut rest) = (None, words);
    while let Some((option, after)) = rest.split_first().filter(|(word, _)| word.starts_with('-')) {
        let value = option.strip_prefix("-F")?;
        let (value, after) = if value.is_empty() { (after.first()?.as_str(), &after[1..]) } else { (value, after) };
        // A longer separator is a regular expression.
        if value.chars().count() != 1 || matches!(value, "|" | "\\" | "t") {
            return None;
        }
        separator = Some(value.to_string());
        rest = after;
    }
    let (program, files) = rest.split_first()?;
    let (condition, action) = program.trim().split_once('{')?;
    let action = action.strip_suffix('}')?.trim().trim_end_matches(';').trim();
    let (action, is_once) = match action.split_once(';') {
        Some((action, after)) if after.trim() == "exit" => (action.trim(), true),
        Some(_) => return None,
        None => (action, false),
    };
    let field = match action.strip_prefix("print")?.trim() {
        "" => None,
        field => Some(awk_field(field)?),
    };
    let condition = match condition.trim() {
        "" => None,
        condition if condition.len() > 1 && condition.starts_with('/') && condition.ends_with('/') => {
            let inside = &condition[1..condition.len() - 1];
            let is_one = !inside.contains('/');
            Some(AwkCondition::Matching(RegularExpression::from_extended(inside).filter(|_| is_one)?.compile()?))
        }
        condition => {
            let (left, right) = condition.split_once("==")?;
            match (left.trim(), right.trim()) {
                ("NR", number) => Some(AwkCondition::Line(number.parse().ok()?)),
                (field, text) => {
                    let text = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'))?;
                    Some(AwkCondition::Field(awk_field(field)?, text.to_string()))
                }
            }
        }
    };
    Some(TextFilter { tool: FilterTool::Awk { condition, field, separator, is_once }, files: files.iter().collect() })
}

fn awk_field(text: &str) -> Option<AwkField> {
    match text.strip_prefix('$')? {
        "NF" => Some(AwkField::Last),
        number => number.parse().ok().map(AwkField::Number),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(line: &[&str], input: &str) -> Option<(String, Truth)> {
        let words: Vec<String> = line[1..].iter().map(|word| word.to_string()).collect();
        let input: Vec<String> = input.lines().map(str::to_string).collect();
        TextFilter::parse(line[0], &words)?.run(&input, &mut MatchWork::up_to(1 << 20))
    }

    /// Each answer is that of GNU sed 4.9, grep 3.8, coreutils 9.1 and mawk 1.3.4.
    #[test]
    fn tools_print_what_the_real_ones_do() {
        let check = |line: &[&str], input: &str, expected: &str| {
            assert_eq!(run(line, input).map(|(output, _)| output).as_deref(), Some(expected), "{line:?}");
        };
        check(&["sed", "s#@D@#/srv/app#"], "@D@/svc\n@D@@D@", "/srv/app/svc\n/srv/app@D@\n");
        check(&["sed", "s/a/[&]/g;s/b$//"], "aab", "[a][a]\n");
        check(&["sed", "-n", "s/^bin=\\(.*\\)$/\\1/p"], "port=1\nbin=/srv/a", "/srv/a\n");
        check(&["sed", "-E", "s/^v?([0-9]+)\\..*/\\1/"], "v12.3.4", "12\n");
        check(&["sed", "-e", "/^#/d", "-e", "2q"], "#x\na\nb", "a\n");
        check(&["sed", "$d"], "a\nb", "a\n");
        check(&["sed", "s/x*/-/g"], "axb", "-a-b-\n");
        check(&["grep", "-v", "^#"], "#a\nb", "b\n");
        check(&["grep", "-oE", "[0-9]+"], "a1b22", "1\n22\n");
        check(&["grep", "-m1", "a"], "a1\na2", "a1\n");
        check(&["grep", "-c", "a"], "a1\na2", "2\n");
        check(&["tr", "[:upper:]", "[:lower:]"], "AbC", "abc\n");
        check(&["tr", "-d", "\\r\\n"], "a\r\nb", "ab");
        check(&["tr", "a-c", "x"], "abcd", "xxxd\n");
        check(&["tr", "-s", "/"], "a//b", "a/b\n");
        check(&["awk", "{print $2}"], "a  b c", "b\n");
        check(&["awk", "-F=", "$1==\"bin\"{print $2}"], "port=1\nbin=/srv/a", "/srv/a\n");
        check(&["awk", "-F", ":", "/root/ {print $NF; exit}"], "x:1\nroot:0:/bin/sh", "/bin/sh\n");
        check(&["awk", "NR==2{print}"], "a\nb", "b\n");
        check(&["wc", "-l"], "a\nb", "2\n");
        check(&["uniq"], "a\na\nb", "a\nb\n");
        for unsupported in [
            &["sed", "-i", "s/a/b/"][..],
            &["sed", "y/a/b/"],
            &["sed", "s/a/b/2"],
            &["grep", "-P", "\\d"],
            &["awk", "{print $1 $2}"],
            &["awk", "BEGIN{x=1}{print $1}"],
            &["wc", "-c"],
        ] {
            assert_eq!(run(unsupported, "a"), None, "{unsupported:?}");
        }
        assert_eq!(run(&["grep", "-q", "b"], "a"), Some((String::new(), Truth::No)));
    }

    #[test]
    fn a_tool_that_prints_or_compares_too_much_is_not_decided() {
        let long = "a".repeat(5000);
        let (prints, repeats) = ("p;".repeat(20), format!("s/.*/{}/", "&".repeat(100)));
        let many = "p;".repeat(1000);
        let letters = "bcdefgh".repeat(100);
        let fields = format!("/(a|b)*b{}/ {{print}}", "(a|b)".repeat(80));
        for line in [
            &["sed", &prints][..],
            &["sed", &many],
            &["sed", &repeats],
            &["sed", "s/a.*b\\|a/c/g"],
            &["grep", "-oE", "a.*b|a"],
            &["grep", "-E", "(a|b)*b(a|b){100}"],
            &["awk", &fields],
            &["tr", &letters, "x"],
        ] {
            assert_eq!(run(line, &long), None, "{:.60}", line[1]);
            assert!(run(line, "abc").is_some() || line[1] == many, "{:.60}", line[1]);
        }
    }
}
