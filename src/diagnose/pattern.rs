//! Message patterns: literal text with holes, matched anywhere in a line without regard to ASCII case. The meaning of
//! messages is defined elsewhere.

use std::ops::Range;

use crate::platform::word;

/// The meaning of the text in a hole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hole {
    /// `{path}`: the program or library.
    Path,
    /// `{errno}`: an error's text.
    Errno,
    /// `{exit}`: an exit code.
    Exit,
    /// `{node}`: the node's platform.
    Node,
    /// `{image}`: the image's platform, or its name.
    Image,
    /// `{command}`: a command with its arguments.
    Command,
    /// `{line}`, `{pid}`: they differ between messages that report the same.
    Position,
    /// Other values of a message.
    Detail,
}

impl Hole {
    fn from_name(name: &str) -> Hole {
        match name {
            "path" => Hole::Path,
            "errno" => Hole::Errno,
            "exit" => Hole::Exit,
            "node" => Hole::Node,
            "image" => Hole::Image,
            "command" => Hole::Command,
            "line" | "pid" => Hole::Position,
            _ => Hole::Detail,
        }
    }
}

/// A pattern's holes and their values, in the pattern's order.
pub type HoleValues<'a> = Vec<(Hole, &'a str)>;

/// The part of a line that a pattern matches.
#[derive(Debug, PartialEq)]
pub struct PatternMatch<'a> {
    pub holes: HoleValues<'a>,
    pub range: Range<usize>,
}

/// Maximum number of occurrences of a literal that are tried for one hole, so that a hostile line is cheap.
const TRIES: usize = 16;

/// The text that a hole accepts, which is never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HoleKind {
    /// `{name}`: any text.
    Any,
    /// `{#name}`: decimal digits.
    Number,
    /// `{/name}`: a path that starts with `/`, `./` or `../`, with or without quotes.
    File,
    /// `{=name}`: text without whitespace.
    Word,
    /// `{~name}`: the name of a library or program that a dynamic loader loads.
    Loaded,
    /// `{%name}`: a feature or level of a CPU, such as `AVX2` or `x86-64-v3`.
    CpuFeature,
    /// `{&name}`: an architecture or platform, with or without quotes: `aarch64`, `'linux/arm64'`.
    Machine,
}

impl HoleKind {
    fn accepts(self, text: &str) -> bool {
        match self {
            HoleKind::Any => !text.is_empty(),
            HoleKind::Number => !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()),
            HoleKind::File => {
                let path = text.trim_start_matches(is_quote);
                path.starts_with('/') || path.starts_with("./") || path.starts_with("../")
            }
            HoleKind::Word => !text.is_empty() && !text.contains(char::is_whitespace),
            HoleKind::Loaded => is_loaded(text.trim_matches(is_quote)),
            HoleKind::CpuFeature => is_cpu_feature(text),
            HoleKind::Machine => is_machine(text),
        }
    }
}

impl HoleKind {
    /// The part of `rest`, the remainder of the line, that a pattern's last hole matches.
    fn last(self, rest: &str) -> &str {
        let rest = match self {
            HoleKind::Machine => rest.trim().trim_start_matches(|c: char| c.is_whitespace() || ":=(".contains(c)),
            _ => rest.trim(),
        };
        let string_end = STRING_ENDS.iter().filter_map(|end| rest.find(end)).min();
        let end = match self {
            HoleKind::Any => string_end,
            HoleKind::Number => rest.find(|c: char| !c.is_ascii_digit()),
            HoleKind::File | HoleKind::Word | HoleKind::Loaded => {
                rest.find(char::is_whitespace).into_iter().chain(string_end).min()
            }
            HoleKind::CpuFeature => rest.find(|c: char| c.is_whitespace() || ",;:!)\"".contains(c)),
            HoleKind::Machine => rest.find(|c: char| c.is_whitespace() || ",;!)".contains(c)),
        };
        &rest[..end.unwrap_or(rest.len())]
    }
}

/// Whether a loader may load a file of that name: a library, or a path without the extension of another kind of file.
fn is_loaded(path: &str) -> bool {
    const EXTENSIONS: &[&str] =
        &["node", "dll", "dylib", "jnilib", "pyd", "rll", "exe", "bin", "tmp", "amd64", "arm64", "i386", "x64"];
    let name = path.rsplit(['/', '\\']).next().unwrap_or(path).to_ascii_lowercase();
    let is_kind = |extension: &str| {
        extension.len() <= 5
            && extension.starts_with(|c: char| c.is_ascii_alphabetic())
            && extension.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    match name.rsplit_once('.') {
        _ if name.ends_with(".so") || name.contains(".so.") => true,
        Some((_, extension)) if EXTENSIONS.contains(&extension) => true,
        Some((_, extension)) if is_kind(extension) => false,
        _ => path.contains('/') && !name.is_empty(),
    }
}

/// Whether the text names an architecture, alone or after an operating system.
fn is_machine(text: &str) -> bool {
    let text = text.trim_matches(|c: char| is_quote(c) || "().".contains(c));
    !text.contains(char::is_whitespace) && !word::find(text).is_empty()
}

/// Whether the text names a feature or level of a CPU.
fn is_cpu_feature(text: &str) -> bool {
    const FEATURES: &[&str] = &[
        "ssse3",
        "fma",
        "fma3",
        "bmi",
        "bmi1",
        "bmi2",
        "popcnt",
        "f16c",
        "lzcnt",
        "movbe",
        "cx16",
        "cmov",
        "aes",
        "aes-ni",
        "pclmulqdq",
        "lse",
        "rcpc",
        "neon",
        "sve",
        "sve2",
        "vfpv3",
    ];
    let text = text.trim_matches(|c: char| is_quote(c) || c == '.').to_ascii_lowercase();
    let is_short = !text.contains(char::is_whitespace);
    is_short
        && (FEATURES.contains(&text.as_str())
            || ["avx", "sse", "x86-64-v", "armv8", "armv9"].iter().any(|start| text.starts_with(start)))
}

/// Text after the end of a JSON string. A last hole does not match beyond it.
const STRING_ENDS: &[&str] = &["\",\"", "\", \"", "\"}"];

/// Whether this is a quote around names, in any language. A quote of a Windows code page is decoded as U+FFFD.
pub fn is_quote(c: char) -> bool {
    matches!(c, '"' | '\'' | '`' | '‘' | '’' | '“' | '”' | '«' | '»' | '„' | '「' | '」' | '\u{fffd}')
}

#[derive(Debug)]
enum PatternPart {
    /// In ASCII lower case.
    Text(String),
    Hole(Hole, HoleKind),
}

impl PatternPart {
    /// Whether a literal that ends with a letter ends at the end of a word.
    fn ends_word(&self, rest: &str) -> bool {
        match self {
            PatternPart::Text(text) => !text.ends_with(|c: char| c.is_ascii_alphanumeric()) || !continues_word(rest),
            PatternPart::Hole(..) => true,
        }
    }
}

/// Whether `rest` continues the preceding word.
pub fn continues_word(rest: &str) -> bool {
    rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
}

/// A parsed pattern. If it begins or ends with a letter, it matches only at a word boundary. A hole matches up to the
/// next literal. The last hole matches up to the end of the line, and the first one matches the word before the
/// literal. A pattern that ends with `$` matches only at the end of the line.
#[derive(Debug)]
pub struct Pattern {
    parts: Vec<PatternPart>,
    anchor: String,
    is_anchored: bool,
}

impl Pattern {
    pub fn parse(text: &'static str) -> Pattern {
        let (mut rest, is_anchored) = text.strip_suffix('$').map_or((text, false), |text| (text, true));
        let mut parts = Vec::new();
        while !rest.is_empty() {
            if let Some(after) = rest.strip_prefix('{') {
                let (name, tail) = after.split_once('}').expect("patterns close their holes; a test parses each");
                let kind = match name.as_bytes().first() {
                    Some(b'#') => HoleKind::Number,
                    Some(b'/') => HoleKind::File,
                    Some(b'=') => HoleKind::Word,
                    Some(b'~') => HoleKind::Loaded,
                    Some(b'%') => HoleKind::CpuFeature,
                    Some(b'&') => HoleKind::Machine,
                    _ => HoleKind::Any,
                };
                parts.push(PatternPart::Hole(
                    Hole::from_name(name.trim_start_matches(['#', '/', '=', '~', '%', '&'])),
                    kind,
                ));
                rest = tail;
            } else {
                let end = rest.find('{').unwrap_or(rest.len());
                parts.push(PatternPart::Text(rest[..end].to_ascii_lowercase()));
                rest = &rest[end..];
            }
        }
        Pattern { anchor: anchor(&parts).to_string(), parts, is_anchored }
    }

    /// The longest literal that no quoting, escaping or colour can interrupt. Every matching line contains it.
    pub fn anchor(&self) -> &str {
        &self.anchor
    }

    /// Finds the first match in `line` whose holes `accept` accepts. `lower` is `line` in ASCII lower case.
    pub fn find<'a>(
        &self,
        line: &'a str,
        lower: &str,
        accept: impl Fn(&HoleValues<'a>) -> bool,
    ) -> Option<PatternMatch<'a>> {
        let matched = |start: usize, at: usize, parts: &[PatternPart], lead: Option<(Hole, &'a str)>| {
            let mut holes: HoleValues<'a> = lead.into_iter().collect();
            let end = rest_of(parts, line, lower, at, &mut holes)?;
            let left = line[end..].trim_start();
            let ends = !self.is_anchored
                || left.trim_matches(['"', '}', ']', '.']).is_empty()
                || STRING_ENDS.iter().any(|end| left.starts_with(end));
            let ends = ends && self.parts.last().is_none_or(|last| last.ends_word(&line[end..]));
            (ends && accept(&holes)).then_some(PatternMatch { holes, range: start..end })
        };
        match self.parts.as_slice() {
            [PatternPart::Text(text), rest @ ..] => occurrences(lower, text, 0)
                .filter(|at| begins_word(text, &lower[..*at]))
                .find_map(|at| matched(at, at + text.len(), rest, None)),
            [PatternPart::Hole(name, kind), PatternPart::Text(text), rest @ ..] => occurrences(lower, text, 0)
                .filter_map(|at| Some((at, Some(last_word(&line[..at])).filter(|value| kind.accepts(value))?)))
                .find_map(|(at, value)| {
                    // The value may have quotes around it.
                    let start = line[..at].rfind(value).unwrap_or(at);
                    matched(start, at + text.len(), rest, Some((*name, value)))
                }),
            _ => None,
        }
    }
}

/// See [`Pattern::anchor`].
fn anchor(parts: &[PatternPart]) -> &str {
    let texts = parts.iter().filter_map(|part| match part {
        PatternPart::Text(text) => Some(text.as_str()),
        PatternPart::Hole(..) => None,
    });
    // `\r` is a carriage return in a log that did not escape it.
    let texts = texts.flat_map(|text| text.split("\\r"));
    let runs = texts.flat_map(|text| text.split(|c: char| is_quote(c) || "\\<>&".contains(c)));
    runs.max_by_key(|run| run.len()).unwrap_or("")
}

/// Matches `parts` from `at` and returns where they end.
fn rest_of<'a>(
    parts: &[PatternPart],
    line: &'a str,
    lower: &str,
    at: usize,
    holes: &mut HoleValues<'a>,
) -> Option<usize> {
    match parts {
        [] => Some(at),
        [PatternPart::Text(text), rest @ ..] => {
            lower[at..].starts_with(text.as_str()).then_some(())?;
            rest_of(rest, line, lower, at + text.len(), holes)
        }
        [PatternPart::Hole(name, kind)] => {
            let value = kind.last(&line[at..]);
            kind.accepts(value).then(|| holes.push((*name, value)))?;
            let skipped = line[at..].find(value)?;
            Some(at + skipped + value.len())
        }
        [PatternPart::Hole(name, kind), rest @ ..] => {
            let [PatternPart::Text(text), ..] = rest else { return None };
            let known = holes.len();
            for end in occurrences(lower, text, at) {
                let value = line[at..end].trim();
                if kind.accepts(value) {
                    holes.push((*name, value));
                    if let Some(end) = rest_of(rest, line, lower, end, holes) {
                        return Some(end);
                    }
                    holes.truncate(known);
                }
            }
            None
        }
    }
}

/// Positions of `text` in `lower` after `from`, at most [`TRIES`].
fn occurrences<'a>(lower: &'a str, text: &'a str, from: usize) -> impl Iterator<Item = usize> + 'a {
    lower[from..].match_indices(text).map(move |(at, _)| from + at).take(TRIES)
}

/// The match of a pattern's first hole: the last word before the literal, or the quoted text that ends there.
fn last_word(text: &str) -> &str {
    let text = text.trim();
    let inner = text.trim_end_matches(is_quote);
    if inner.len() < text.len() {
        return inner.rfind(is_quote).map_or(inner, |at| inner[at..].trim_start_matches(is_quote));
    }
    let word = text.rsplit(|c: char| c.is_whitespace() || is_quote(c)).next().unwrap_or("");
    word.rsplit_once("=/").map_or(word, |(before, _)| &word[before.len() + 1..])
}

fn begins_word(text: &str, before: &str) -> bool {
    let is_letter = |c: char| c.is_ascii_alphanumeric();
    !text.starts_with(is_letter) || !before.ends_with(is_letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &'static str, line: &str, expected: Option<&[(Hole, &str)]>) {
        let lower = line.to_ascii_lowercase();
        let found = Pattern::parse(pattern).find(line, &lower, |_| true).map(|found| found.holes);
        assert_eq!(found.as_deref(), expected, "{pattern} in {line}");
    }

    #[test]
    fn a_hole_matches_up_to_the_next_literal() {
        let errno = (Hole::Errno, "Exec format error");
        check("exec {path}: {errno}", "exec /a b: Exec format error", Some(&[(Hole::Path, "/a b"), errno]));
        check("`{path}`: x", "see `/app`: X", Some(&[(Hole::Path, "/app")]));
    }

    #[test]
    fn a_pattern_begins_at_a_word_boundary_and_is_tried_at_each_occurrence() {
        check("exec {path}:", "libexec /a: exec /b: no", Some(&[(Hole::Path, "/b")]));
        check("exec {path}:", "libexec /a:", None);
    }

    #[test]
    fn typed_holes_accept_only_numbers_files_or_words() {
        check("line {#line}: x", "line 1a: x line 12: x", Some(&[(Hole::Position, "12")]));
        check("load {/path}: x", "load config: x, load './a': x", Some(&[(Hole::Path, "'./a'")]));
        check("wants {=cpu} now", "wants a b now", None);
        check("code {#exit}", "code 126.", Some(&[(Hole::Exit, "126")]));
        check("{/path}: gone", "it is /a: gone", Some(&[(Hole::Path, "/a")]));
        check("{/path}: gone", "it is a: gone", None);
        check("{~path}: bad", "no library: bad", None);
        check("{~path}: bad", "in.wav: bad", None);
        check("{~path}: bad", "main.o: bad", None);
        for file in ["libz.so.1", "/app/x.node", "/usr/bin/python3.11", "'/app/server'", "/tmp/jna7.tmp"] {
            let line = format!("Error: {file}: bad");
            check("{~path}: bad", &line, Some(&[(Hole::Path, file.trim_matches('\''))]));
        }
        check("lacks {%level}", "it lacks memory, it lacks AVX2.", Some(&[(Hole::Detail, "AVX2.")]));
        check("lacks {%level}", "it lacks AVX2, so", Some(&[(Hole::Detail, "AVX2")]));
        check("{%level} is missing", "x86-64-v3 is missing", Some(&[(Hole::Detail, "x86-64-v3")]));
        for machine in ["aarch64", "'aarch64'", "linux/arm64", "Linux-x86_64.", "\"armv7l\""] {
            check("unsupported {&node}", &format!("unsupported {machine}, sorry"), Some(&[(Hole::Node, machine)]));
        }
        check("unsupported {&node}", "unsupported type", None);
        check("{path}: gone", "{\"log\":\"/a: gone", Some(&[(Hole::Path, "/a")]));
        check("{path}: gone", "env: ‘bash -e’: gone", Some(&[(Hole::Path, "bash -e")]));
    }

    #[test]
    fn a_dollar_matches_the_end_of_the_line() {
        check("illegal option -$", "set: Illegal option -", Some(&[]));
        check("illegal option -$", "set: Illegal option -o pipefail", None);
    }

    #[test]
    fn a_match_has_the_range_of_its_text() {
        let range = |pattern: &'static str, line: &str| {
            let lower = line.to_ascii_lowercase();
            Pattern::parse(pattern).find(line, &lower, |_| true).map(|found| line[found.range].to_string()).unwrap()
        };
        assert_eq!(range("exec {path}: x", "so exec /a: X then"), "exec /a: X");
        assert_eq!(range("{path}: gone", "no /a: gone is"), "/a: gone");
        assert_eq!(range("code {#exit}", "a code 12. b"), "code 12");
    }

    #[test]
    fn an_empty_hole_does_not_match() {
        check("exec {path}: no", "exec : no", None);
    }

    #[test]
    fn case_does_not_matter_and_other_scripts_do_not_break_it() {
        check("‘{name}’: no such file", "env: ‘bäsh’: No such file", Some(&[(Hole::Detail, "bäsh")]));
        check("éx", "é éX", Some(&[]));
    }

    #[test]
    fn an_anchor_contains_nothing_that_can_be_escaped() {
        assert_eq!(Pattern::parse("exec: \"{path}\": permission denied").anchor(), ": permission denied");
        assert_eq!(Pattern::parse("<jemalloc>: Unsupported").anchor(), ": unsupported");
    }

    #[test]
    fn a_hostile_line_costs_few_steps() {
        check("{a}: x{b}: y{c}: z", &": x: y".repeat(2000), None);
    }
}
