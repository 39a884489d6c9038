//! Distinguishes a message that a program prints from a message in a sentence of someone who writes about it: by the
//! words around it. A program prints a message alone, or after a colon, a sign or a few words that report it.

use std::ops::Range;

use super::pattern::is_quote;
use super::prose::{ARTICLES, REPORTING};

/// Number of words before a message that make a sentence, if one of them is a function word, and the last does not
/// report or start anything.
const WORDS: usize = 2;

/// The same without a function word.
const PHRASE: usize = 4;

/// Numbers of words that make a sentence in any case. More of them are the data of a very long line.
const SENTENCE: Range<usize> = 7..40;

/// Last words before a message that programs print, besides those of [`REPORTING`].
const LAST_WORDS: &[&str] = &[
    // What reports it.
    "errors",
    "got",
    "fatal",
    "warning",
    "info",
    "debug",
    "code",
    "status",
    "stdout",
    "signal",
    "to",
    "due",
    "from",
    "and",
    "or",
    // What starts or reads the file that it names.
    "load",
    "loading",
    "open",
    "opening",
    "execute",
    "executing",
    "exec",
    "run",
    "running",
    "start",
    "starting",
    "spawn",
    "spawning",
    "launch",
    "launching",
    "invoke",
    "import",
    "importing",
    "file",
    "library",
    "module",
    "object",
    "program",
    "binary",
    "script",
    "command",
    "process",
    "container",
    "image",
    "line",
    "log",
    "logs",
    "cause",
    "details",
    "text",
    "state",
    "event",
    "has",
    "have",
];

/// Words in brackets before a message: the state of a ticket.
const STATES: &[&str] =
    &["[done]", "[fixed]", "[resolved]", "[closed]", "[merged]", "[duplicate]", "[wontfix]", "[solved]"];

/// Texts directly after a message that explain it or report its end.
const EXPLANATIONS: &[&str] = &[
    "means",
    "usually",
    "often",
    "indicates",
    "tells",
    "comes from",
    "is caused",
    "was caused",
    "is because",
    "happens",
    "occurs",
    "went away",
    "is gone",
    "no longer",
    "anymore",
    "any more",
    "since yesterday",
    "again yesterday",
];

/// Words that place the whole line in the past or make it a lesson.
const PAST: &[&str] = &[
    "previous attempt",
    "previous run",
    "previous deploy",
    "previous build",
    "previous release",
    "previous incident",
    "previous job",
    "yesterday",
    "last week",
    "last month",
    "last night",
    "last year",
    "no longer",
    "we learned",
    "i learned",
    "lesson",
    "quiz",
    "postmortem",
    "post-mortem",
    "did you know",
    "duplicate of",
    "no rule for",
    "were broken",
    "was broken",
    "were failing",
    "was failing",
    "had failed",
];

/// Words that sentences have and the names before a message do not.
const FUNCTION_WORDS: &[&str] = &[
    "the", "a", "an", "this", "that", "these", "those", "our", "your", "my", "their", "its", "i", "we", "you", "it",
    "they", "he", "she", "on", "in", "at", "of", "for", "about", "is", "are", "was", "were", "be", "been", "will",
    "would", "can", "could", "should", "may", "might", "must", "do", "does", "did", "had", "if", "when", "why", "how",
    "what", "where", "because", "so", "but", "not", "never", "always", "all", "some", "any", "more", "then", "than",
    "please", "also", "still", "just",
];

/// Levels and streams, which loggers print before a message.
const LEVELS: &[&str] = &[
    "error", "warn", "warning", "info", "debug", "trace", "fatal", "notice", "critical", "severe", "stderr", "stdout",
];

/// A message in its line.
pub struct MessagePlace<'a> {
    /// The line in lower case.
    pub lower: &'a str,
    /// The message's part of it.
    pub range: &'a Range<usize>,
    /// Whether the message begins with the name of a file, before which programs say what they did with it.
    pub has_lead: bool,
}

impl MessagePlace<'_> {
    /// The text before and after the message.
    fn sides(&self) -> (&str, &str) {
        (self.lower.get(..self.range.start).unwrap_or(""), self.lower.get(self.range.end..).unwrap_or(""))
    }

    /// Whether the line is about the past, explains the message, or lists it.
    pub fn is_about(&self) -> bool {
        let (before, after) = self.sides();
        let is_settled = STATES.iter().any(|state| before.contains(state));
        let is_told = is_past(self.lower) || is_explained(after) || is_of_dialogue(self.lower) || is_settled;
        let message = &self.lower[self.range.clone()];
        is_told || is_column(before, message, after) || is_markup(self.lower)
    }

    /// Whether the message is a part of a sentence. `example` returns the text before the message in the pattern's
    /// example: a message that begins within a program's own sentence has words before it.
    pub fn is_sentence(&self, example: impl FnOnce() -> String) -> bool {
        let (before, _) = self.sides();
        // The quotation mark before a message may be that of the name with which it begins.
        let is_whole = before.ends_with(is_quote) && !self.lower[self.range.clone()].contains(is_quote);
        let words = words_before(before);
        let Some(last) = words.last().filter(|_| !words.ends_with(&["because", "of"])) else { return false };
        let is_last = before.trim_end_matches(|c: char| c.is_whitespace() || is_quote(c)).ends_with(last);
        let is_reported = !is_last || REPORTING.contains(last) || LAST_WORDS.contains(last);
        let least = match (is_whole, self.has_lead) {
            (true, _) => 1,
            (false, true) => SENTENCE.start,
            (false, false) if words.iter().any(|word| FUNCTION_WORDS.contains(word)) => WORDS,
            (false, false) => PHRASE,
        };
        let is_named = is_last && !self.has_lead && ARTICLES.contains(last);
        let is_long = SENTENCE.contains(&words.len());
        (is_named || is_long || (least..SENTENCE.end).contains(&words.len()) && !is_reported)
            && words_before(&example()).is_empty()
    }
}

fn is_past(lower: &str) -> bool {
    PAST.iter().any(|text| {
        lower.match_indices(text).any(|(at, _)| {
            let is_letter = |c: char| c.is_alphanumeric() || c == '-';
            !lower[..at].ends_with(is_letter) && !lower[at + text.len()..].starts_with(is_letter)
        })
    })
}

fn is_explained(after: &str) -> bool {
    let text = after.trim_start_matches(|c: char| c == ' ' || is_quote(c) || ":)*_".contains(c));
    EXPLANATIONS
        .iter()
        .any(|words| text.strip_prefix(words).is_some_and(|rest| !rest.starts_with(char::is_alphanumeric)))
}

/// `Q: What does exit code 132 mean?`
fn is_of_dialogue(lower: &str) -> bool {
    let text = lower.trim_start_matches(|c: char| c.is_whitespace() || "*->".contains(c));
    ["q: ", "a: ", "question: ", "answer: "].iter().any(|mark| text.starts_with(mark))
}

/// A row of a table: `  E101  exec format error        the image is for another architecture`.
fn is_column(before: &str, message: &str, after: &str) -> bool {
    let is_id = |text: &str| !text.contains([' ', ':']) && text.len() < 12;
    let is_first = before.is_empty() || before.ends_with("  ") && is_id(before.trim());
    let is_cell = after.starts_with("  ") && after.trim_start().starts_with(char::is_alphabetic);
    let has_colon = message.ends_with(": ") || after.starts_with(": ");
    is_first && (is_cell || is_count(after) || before.is_empty() && has_colon && is_definition(after))
}

/// `Exec format error: the kernel does not know how to run the file.`
fn is_definition(after: &str) -> bool {
    const STARTS: &[&str] = &["the", "a", "an", "your", "this", "it", "when", "if"];
    let text = after.trim_start_matches(": ");
    text.split_whitespace().next().is_some_and(|word| STARTS.contains(&word))
}

/// How often a failure occurred: `exec format error ........ 3`, `exec format error (4)`.
fn is_count(after: &str) -> bool {
    let number = after.trim_matches(|c: char| c.is_whitespace() || ".(|)x".contains(c));
    !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) && after.starts_with([' ', '.'])
}

/// A tag of HTML that describes a page, or contains text.
fn is_markup(lower: &str) -> bool {
    ["<meta ", "<title>", "<p>", "<li>", "<td>", "<h1", "<h2", "<h3"]
        .iter()
        .any(|tag| lower.trim_start().starts_with(tag))
}

/// The words directly before a message, up to a colon, a bracket or another sign after which a program prints a text.
fn words_before(before: &str) -> Vec<&str> {
    let text = before.trim_end_matches(|c: char| c.is_whitespace() || is_quote(c));
    const SIGNS: &[char] = &['|', '[', ']', '(', ')', '{', '}', '>', '=', '\t', '"', '→', '❗', '│'];
    let ends = [": ", "  ", " - ", "; ", ". ", ", "].iter().filter_map(|sign| Some(text.rfind(sign)? + sign.len()));
    let signs = text.rfind(SIGNS).map(|at| at + text[at..].chars().next().map_or(1, char::len_utf8));
    let from = ends.chain(signs).max().unwrap_or(0);
    if text.ends_with([':', ';', ',', '.', '!', '-']) || before.ends_with("  ") || before.ends_with('\t') {
        return Vec::new();
    }
    let is_word = |word: &&str| {
        let word = word.trim_matches(|c: char| is_quote(c) || ".,!?*_".contains(c));
        (word.len() > 1 || matches!(word, "a" | "i")) && word.chars().all(|c| c.is_alphabetic() || "'’-".contains(c))
    };
    // What comes before a level or a stream's name is the log's, not the program's.
    let words: Vec<&str> = text[from..].split_whitespace().collect();
    let from = words.iter().rposition(|word| LEVELS.contains(word)).map_or(0, |at| at + 1);
    words[from..].iter().copied().filter(is_word).collect()
}

#[cfg(test)]
mod tests {
    use crate::diagnose::recognise::recognise;

    #[test]
    fn a_message_in_a_sentence_is_only_mentioned() {
        for text in [
            " - Container no longer dies with \"exec format error\" on arm64",
            "Summary of last week's failures: exec format error (4), timeout (2)",
            "Notes: attempt 12 follows previous attempt 11: exec /app: exec format error",
            "Did you know? \"no matching manifest for linux/arm64 in the manifest list entries\" means it has no build.",
            "A: The process died of SIGILL, an illegal instruction, often because the CPU lacks AVX.",
            "classifier has no rule for \"rosetta error: failed to open elf at /lib64/ld-linux-x86-64.so.2\"",
            "Summary: all web pods on the new nodes crashed with exec /app/api: exec format error",
            "Pods on Graviton show exec /app: exec format error",
            "  E101  exec format error        image is for another architecture",
            "exec format error: comes from an image for another architecture",
            "jira OPS-118 [Done] exec /app/server: exec format error",
            "  exec format error ........ 3",
            "ENOEXEC         Exec format error (POSIX.1-2001).",
            "Backport of #5512: avoid no matching manifest for linux/arm64 in the manifest list entries",
            "<title>docker - exec user process caused \"exec format error\" - Questions</title>",
            "<meta name=\"description\" content=\"I have an exec format error on a Pi\">",
            "Exec format error: the kernel does not know how to run the file.",
            "The 3.2 images were broken on arm64 (exec format error); 3.2.1 is fine.",
            "lesson 7: a container prints Illegal instruction (core dumped)",
        ] {
            assert_eq!(recognise(text), [], "{text}");
        }
    }

    #[test]
    fn a_message_after_a_programs_own_words_is_printed() {
        for text in [
            "docker-compose up failed with exec format error",
            "Error: failed to load /app/x.node: invalid ELF header",
            "the entrypoint failed: exec /app: exec format error",
            "2026-11-28 10:00:00 ERROR worker exec /app: exec format error",
            "level=info msg=\"previous container of pod web: exec /app: exec format error\"",
            "[CI/build]   ❗  ::error::exec /usr/bin/tail: exec format error",
            "ALERT pod=web-0 last log line exec /web: exec format error",
            "2026-11-30T01:01:01Z stdout F api exec /usr/bin/api: exec format error",
            "ERROR Task failed because of exec /opt/run-job: exec format error",
            "image docker.io/acme/api:2 has no matching manifest for linux/arm64 in the manifest list entries",
            "AVX2 is not supported by this processor",
            "/entrypoint.sh: line 9:    14 Illegal instruction     /app",
        ] {
            assert!(!recognise(text).is_empty(), "{text}");
        }
    }
}
