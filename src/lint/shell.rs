//! The commands and words of a shell script, with positions. Enough to find the programs and downloads of a RUN step.
//! Nothing is expanded or executed.

mod reader;

use std::ops::Range;

pub use reader::{commands, exec_commands, words};

/// One simple command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SimpleCommand {
    /// Assignments and words in order, then the files of input redirections.
    pub words: Vec<PlainWord>,
    /// The files of output redirections.
    pub outputs: Vec<PlainWord>,
    pub choice: ConditionKind,
}

/// What decides whether a command runs: `if`, `case` and `[ ... ] &&` around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConditionKind {
    Always,
    /// Something other than the architecture decides.
    Sometimes,
    ByArchitecture,
}

/// A word without its quotes and line continuations. Expansions stay unchanged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlainWord {
    pub text: String,
    /// Bytes of the file, including quotes.
    pub span: Range<usize>,
    /// For each byte of `text`: its position in the file, and whether a `$` there would be expanded.
    bytes: Vec<(usize, ByteKind)>,
}

/// The context of a byte of a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ByteKind {
    /// Text in which `$` would be expanded.
    Expanded,
    /// Text in single quotes or after a backslash.
    Quoted,
    /// Part of `${...}`, `$(...)` or a backquoted command.
    Expansion,
}

/// How a script's lines are joined before its shell sees them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joining {
    /// The shell form of a Dockerfile: this character joins lines, and comment lines between them are removed.
    Instruction(u8),
    /// A script that the shell reads directly.
    Shell,
}

impl PlainWord {
    /// Creates a word without text at `span`.
    pub fn empty(span: Range<usize>) -> PlainWord {
        PlainWord { text: String::new(), span, bytes: Vec::new() }
    }

    /// Creates a word from unquoted bytes, such as a string of a JSON array.
    pub fn literal(text: &str, span: Range<usize>) -> PlainWord {
        let bytes = span.clone().map(|at| (at, ByteKind::Expanded)).collect();
        PlainWord { text: text[span.clone()].to_string(), span, bytes }
    }

    /// Returns the bytes of the file for `text[range]`.
    pub fn source(&self, range: Range<usize>) -> Range<usize> {
        match (self.bytes.get(range.start), range.end.checked_sub(1).and_then(|last| self.bytes.get(last))) {
            (Some(first), Some(last)) if range.start < range.end => first.0..last.0 + 1,
            _ => self.span.clone(),
        }
    }

    /// Whether a variable at `range` would be expanded.
    pub fn expands_at(&self, range: &Range<usize>) -> bool {
        self.bytes.get(range.clone()).is_some_and(|bytes| bytes.iter().all(|(_, kind)| *kind == ByteKind::Expanded))
    }

    /// Whether the byte at `at` belongs to a substitution, whose commands are listed separately.
    pub fn is_in_expansion(&self, at: usize) -> bool {
        self.bytes.get(at).is_some_and(|(_, kind)| *kind == ByteKind::Expansion)
    }

    /// Returns the ranges of `text` between blanks that are not in a substitution.
    pub fn pieces(&self) -> Vec<Range<usize>> {
        let mut pieces = Vec::new();
        let mut start = 0;
        let blanks = self.text.match_indices(char::is_whitespace).filter(|(at, _)| !self.is_in_expansion(*at));
        for (at, blank) in blanks.chain([(self.text.len(), "")]) {
            if start < at {
                pieces.push(start..at);
            }
            start = at + blank.len();
        }
        pieces
    }

    /// `NAME=value`: returns the name, and the start of the value in `text`.
    pub fn assignment(&self) -> Option<(&str, usize)> {
        let (name, _) = self.text.split_once('=')?;
        let is_name = !name.is_empty()
            && !name.starts_with(|c: char| c.is_ascii_digit())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        is_name.then(|| (name, name.len() + 1))
    }
}

impl SimpleCommand {
    /// Returns the index of the program among the words, after assignments and wrappers.
    fn program_index(&self) -> Option<usize> {
        let mut at = 0;
        while let Some(word) = self.words.get(at) {
            // The options of a wrapper that take the next word.
            let with_value: &[&str] = match word.text.as_str() {
                "sudo" => &["-u", "-g", "-h", "-p", "-C", "-D"],
                "env" => &["-u", "-C"],
                "nice" => &["-n"],
                "timeout" => &["-k", "-s"],
                // `command -v` only looks the program up.
                "command" if self.words.get(at + 1).is_some_and(|next| matches!(next.text.as_str(), "-v" | "-V")) => {
                    return Some(at);
                }
                "exec" | "command" | "time" | "nohup" => &[],
                _ if word.assignment().is_some() => &[],
                _ => return Some(at),
            };
            let has_duration = word.text == "timeout";
            at += 1;
            while let Some(option) = self.words.get(at).filter(|word| word.text.starts_with('-')) {
                at += 1 + usize::from(with_value.contains(&option.text.as_str()));
            }
            at += usize::from(has_duration);
        }
        None
    }

    /// Returns the program's name without its directory: `curl` of `/usr/bin/curl`.
    pub fn program(&self) -> &str {
        self.program_index().map_or("", |at| self.words[at].text.rsplit('/').next().unwrap_or(""))
    }

    /// Returns the words after the program.
    pub fn arguments(&self) -> &[PlainWord] {
        self.program_index().map_or(&[], |at| &self.words[at + 1..])
    }

    /// Whether one of the arguments is exactly this.
    pub fn has(&self, argument: &str) -> bool {
        self.arguments().iter().any(|word| word.text == argument)
    }

    /// Returns the value of `--name VALUE` or `--name=VALUE`: the word, and the start of the value in it.
    pub fn option(&self, names: &[&str]) -> Option<(&PlainWord, usize)> {
        let arguments = self.arguments();
        arguments.iter().enumerate().find_map(|(at, word)| {
            if names.contains(&word.text.as_str()) {
                return arguments.get(at + 1).map(|value| (value, 0));
            }
            let (name, _) = word.text.split_once('=')?;
            names.contains(&name).then_some((word, name.len() + 1))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        let shown: Vec<String> = commands(text, 0..text.len(), Joining::Instruction(b'\\'))
            .iter()
            .map(|command| {
                let words: Vec<&str> = command.words.iter().map(|word| word.text.as_str()).collect();
                let choice = match command.choice {
                    ConditionKind::Always => "",
                    ConditionKind::Sometimes => "? ",
                    ConditionKind::ByArchitecture => "?? ",
                };
                format!("{choice}{}", words.join("|"))
            })
            .collect();
        assert_eq!(shown, expected, "{text}");
    }

    #[test]
    fn operators_and_lines_end_commands() {
        check("a b && c 'd e' | f; g & h || i\nj", &["a|b", "c|d e", "f", "g", "h", "i", "j"]);
        check("(cd x; make) > log 2>&1", &["cd|x", "make"]);
    }

    #[test]
    fn joined_lines_and_their_comments_are_removed() {
        check("apt-get install \\\n  # a comment\n\n  curl \\\n  git", &["apt-get|install|curl|git"]);
        check("cu\\\nrl x", &["curl|x"]);
    }

    #[test]
    fn substitutions_are_read_and_kept() {
        check("curl x-$(uname -m).tgz", &["uname|-m", "curl|x-$(uname -m).tgz"]);
        check("A=`arch` b \"${C:-$(d)}\"", &["arch", "d", "A=`arch`|b|${C:-$(d)}"]);
    }

    #[test]
    fn commands_after_a_test_are_conditional() {
        check("if [ a = b ]; then c; fi; d", &["[|a|=|b|]", "? c", "d"]);
        check("case $A in amd64) x ;; *) y ;; esac; z", &["?? x", "?? y", "z"]);
        check("case $A in one) x ;; esac", &["? x"]);
        check("[ a = b ] && c && d; e", &["[|a|=|b|]", "? c", "? d", "e"]);
        check("if [ a = b ]; then c; fi && d", &["[|a|=|b|]", "? c", "d"]);
        check("v=$(c | grep d) && e", &["c", "grep|d", "v=$(c | grep d)", "e"]);
        check("m=$(uname -m); if [[ $m == x* ]]; then c; else d; fi", &["uname|-m", "m=$(uname -m)", "?? c", "?? d"]);
        check(
            "for a in x y; do [ $(dpkg --print-architecture) = z ] || c; done",
            &["dpkg|--print-architecture", "[|$(dpkg --print-architecture)|=|z|]", "?? c"],
        );
    }

    #[test]
    fn commands_after_an_exit_for_other_architectures_are_for_one() {
        check("[ $(uname -m) = x86_64 ] || exit 0; c", &["uname|-m", "[|$(uname -m)|=|x86_64|]", "?? exit|0", "?? c"]);
        check("if [ $ARCH != arm64 ]; then exit 1; fi; c", &["[|$ARCH|!=|arm64|]", "?? exit|1", "?? c"]);
        check("case $ARCH in amd64) ;; *) exit 1 ;; esac; c", &["?? exit|1", "?? c"]);
        check("case $ARCH in amd64) a ;; arm64) b ;; *) exit 1 ;; esac; c", &["?? a", "?? b", "?? exit|1", "c"]);
        check("if [ $ARCH = ppc64le ]; then exit 1; fi; c", &["[|$ARCH|=|ppc64le|]", "?? exit|1", "c"]);
        check("[ -n \"$V\" ] || exit 1; c", &["[|-n|$V|]", "? exit|1", "c"]);
    }

    #[test]
    fn a_script_that_another_shell_gets_is_read() {
        check("bash -c 'a b && c'; d", &["a|b", "c", "bash|-c", "d"]);
        check("sudo sh -ec \"a $(b)\"", &["b", "a|$(b)", "sudo|sh|-ec"]);
        check("sh -c 'if [ $(arch) = x ]; then a; fi'", &["arch", "[|$(arch)|=|x|]", "?? a", "sh|-c"]);
        let text = "sh -c 'a \"b\" c'";
        let word = &commands(text, 0..text.len(), Joining::Shell)[0].words[1];
        assert_eq!((&text[word.source(0..1)], word.expands_at(&(0..1))), ("b", false));
    }

    #[test]
    fn blanks_in_substitutions_do_not_split_a_word() {
        let text = "x \"a $(b c) d\" e/`f g`/h";
        let words = &commands(text, 0..text.len(), Joining::Shell).pop().unwrap().words;
        let pieces = |word: &PlainWord| -> Vec<String> {
            word.pieces().into_iter().map(|at| word.text[at].to_string()).collect()
        };
        assert_eq!(pieces(&words[1]), ["a", "$(b c)", "d"]);
        assert_eq!(pieces(&words[2]), ["e/`f g`/h"]);
    }

    #[test]
    fn a_word_knows_its_place_and_whether_it_expands() {
        let text = "x \"a b\"'c'";
        let all = commands(text, 0..text.len(), Joining::Shell);
        let word = &all[0].words[1];
        assert_eq!((word.text.as_str(), &text[word.span.clone()]), ("a bc", "\"a b\"'c'"));
        assert_eq!(&text[word.source(2..3)], "b");
        assert!(word.expands_at(&(0..3)) && !word.expands_at(&(3..4)));
    }

    #[test]
    fn unclosed_and_odd_text_ends_without_panic() {
        for text in ["'", "\"", "`", "$(", "${", "\\", "a \\", ")", "<<", "$((((", "ü\\"] {
            commands(text, 0..text.len(), Joining::Instruction(b'\\'));
            words(text, 0..text.len(), Joining::Shell);
        }
    }

    #[test]
    fn wrappers_and_their_options_precede_the_program() {
        for (text, program) in [
            ("A=b sudo -E -u root env C=d docker build", "docker"),
            ("timeout -k 5 300 curl x", "curl"),
            ("nice -n 5 make", "make"),
            ("command -v curl", "command"),
            ("command curl x", "curl"),
            ("sudo", ""),
        ] {
            assert_eq!(commands(text, 0..text.len(), Joining::Shell)[0].program(), program, "{text}");
        }
    }

    #[test]
    fn options_are_found_in_both_spellings() {
        let text = "pip install --platform manylinux_x86_64 --only=x";
        let command = &commands(text, 0..text.len(), Joining::Shell)[0];
        assert_eq!(command.option(&["--platform"]).map(|(word, at)| &word.text[at..]), Some("manylinux_x86_64"));
        assert_eq!(command.option(&["--only"]).map(|(word, at)| &word.text[at..]), Some("x"));
        assert_eq!(command.program(), "pip");
    }
}
