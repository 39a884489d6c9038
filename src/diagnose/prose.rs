//! Distinguishes text about a message from the message itself: documentation, commits and searches quote it.

use std::ops::Range;
use std::sync::LazyLock;

use aho_corasick::AhoCorasick;

/// Texts before a quoted message, in lower case.
const LEADS: &[&str] = &[
    "if you see",
    "if you get",
    "if you encounter",
    "if you receive",
    "if you run into",
    "if you are seeing",
    "if you're seeing",
    "if it says",
    "when you see",
    "you will see",
    "you'll see",
    "you may see",
    "you might see",
    "you will get",
    "you'll get",
    "you may get",
    "you might get",
    "error like",
    "errors like",
    "error such as",
    "errors such as",
    "message like",
    "messages like",
    "how to fix",
    "how to resolve",
    "how to solve",
    "known issue",
    "troubleshooting",
    "changelog",
    "release notes",
    "workaround for",
    // Reports of what is over.
    "resolved: ",
    "closed: ",
    "fixed: ",
    "previous failure: ",
    "previous error: ",
    "previously: ",
    "subject: ",
    "pattern not found",
    "head is now at",
    "merge pull request",
    "merge branch",
    "fix: ",
    "fix(",
    "docs: ",
    "docs(",
    "chore: ",
    "chore(",
    "grep ",
    "grep -",
    // Tests of programs that read logs.
    "_test.go:",
    "assertionerror",
    "assertion failed: `(left",
    "expected: ",
    "expect(",
    "assert ",
    "assert_eq",
    // Documents.
    ".md:",
    ".rst:",
    ".adoc:",
    "search for ",
    "searched for ",
    "searching for ",
    // Queries of logs.
    "|= ",
    "|~ ",
];

/// Texts after a message that is explained or expected, in lower case.
const EXPLANATIONS: &[&str] = &[
    "is expected",
    "is normal",
    "is harmless",
    "are expected",
    "are harmless",
    "can be ignored",
    "may be ignored",
    "usually means",
    "often means",
    "means that",
    "means the",
    "means you",
    "indicates that",
    "indicates the",
];

/// Signs between a message and its explanation in a list.
const ARROWS: &[&str] = &["->", "=>", "→"];

/// Words before an error that a program passes on.
pub(super) const REPORTING: &[&str] = &[
    "caused",
    "error",
    "err",
    "failed",
    "failure",
    "fails",
    "with",
    "message",
    "reason",
    "by",
    "because",
    "as",
    "says",
    "said",
    "reported",
    "returned",
    "panic",
    "exception",
    "stderr",
    "output",
];

/// The same before quotation marks.
const QUOTING: &[&str] = &["shows", "prints", "printed", "reports", "crash"];

/// Keys of a text that is searched for or compared, not reported.
const NOT_REPORTED: &[&str] = &[
    "query", "pattern", "expected", "want", "wanted", "regex", "regexp", "match", "search", "filter", "expr",
    "subject", "topic", "question", "input", "example", "sample",
];

/// Who speaks in a dialogue with an assistant.
const SPEAKERS: &[&str] = &["user: ", "assistant: ", "human: ", "**user", "**assistant", "chatgpt: ", "you: "];

/// Words directly before the name of an error in a sentence.
pub const ARTICLES: &[&str] = &[
    "the", "an", "this", "that", "any", "fix", "fixes", "fixed", "fixing", "see", "sees", "seeing", "get", "gets",
    "getting", "avoid", "avoids", "prevent", "prevents", "resolve", "resolves", "resolved", "solve", "solves", "about",
    "like", "of",
];

static AUTOMATON: LazyLock<AhoCorasick> =
    LazyLock::new(|| AhoCorasick::new(LEADS).expect("a few short texts make a small automaton"));

/// Whether a line, in lower case, only quotes the message of `pattern`, which contains `anchor`.
pub fn is_prose(lower: &str, pattern: &str, anchor: &str) -> bool {
    let is_quoting = pattern.contains(['"', '\'', '“', '‘']);
    let Some(at) = lower.find(anchor) else { return false };
    let (before, rest) = lower.split_at(at);
    let after = &rest[anchor.len()..];
    let is_name = anchor.trim_start_matches([':', ' ']).starts_with("exec format error");
    let is_sentence = is_heading(before) || ends_with_article(before);
    has_lead(before)
        || is_access_log(before)
        || is_code(before, after)
        || !is_quoting && is_quotation(before, anchor, after)
        || is_question(after)
        || is_marked_up(after)
        || is_defined(before, anchor, after)
        || is_result(before)
        || is_comment(before, anchor)
        || is_name && (is_sentence || is_explained(after) || is_listed(before, after))
}

/// `exclude_lines: ['exec format error']`, or a pattern that matches a text: `*"exec format error"*`, `/exec format error/`.
fn is_listed(before: &str, after: &str) -> bool {
    let is_pattern = ["*\"", "*'", "*", "/", "~ \"", "~ '"].iter().any(|mark| before.ends_with(mark))
        && after.starts_with(['*', '/', '"', '\'']);
    // The parameter of a test: `test_start[exec format error]`.
    let is_parameter =
        before.strip_suffix('[').is_some_and(|name| name.ends_with(is_of_word)) && after.starts_with(']');
    is_pattern
        || is_parameter
        || after.starts_with('|')
        || ["'", "\""].iter().any(|quote| {
            before.strip_suffix(quote).is_some_and(|before| before.ends_with('['))
                && after.strip_prefix(quote).is_some_and(|after| after.starts_with([']', ',']))
        })
}

/// Whether the message is marked up in a document: `<li><code>exec format error</code>`.
fn is_marked_up(after: &str) -> bool {
    let tags =
        ["</code>", "</td>", "</th>", "</li>", "</strong>", "</em>", "</a>", "</title>", "</p>", "</h", "</span>"];
    tags.iter().any(|tag| after.contains(tag))
}

/// Whether the line is the result of a test, or the old line of a diff.
fn is_result(before: &str) -> bool {
    let text = before.trim_start();
    let is_number = |rest: &str| rest.starts_with(|c: char| c.is_ascii_digit());
    let is_tap = |result: &str| text.strip_prefix(result).is_some_and(is_number);
    ["✓ ", "✕ ", "✗ ", "--- pass", "--- fail", "=== run"].iter().any(|mark| text.starts_with(mark))
        || is_tap("ok ")
        || is_tap("not ok ")
        || before.starts_with("< ")
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Whether a table of errors lists the name: `ENOEXEC 8 Exec format error`, `error.ENOEXEC=Exec format error`.
fn is_defined(before: &str, anchor: &str, after: &str) -> bool {
    let text = format!("{before}{anchor}{after}");
    let rest = text.trim().strip_prefix("enoexec").map(str::trim_start);
    if before.replace(' ', "").ends_with("enoexec=") {
        return true;
    }
    rest.is_some_and(|rest| {
        rest.is_empty() || rest.starts_with(|c: char| c.is_ascii_digit()) || rest.starts_with("exec format error")
    })
}

/// Whether the text directly after the name of an error explains it.
fn is_explained(after: &str) -> bool {
    let after = after.trim_start_matches(|c: char| c == ' ' || "\"'`’”*\\".contains(c));
    ARROWS.iter().any(|arrow| after.starts_with(arrow)) || EXPLANATIONS.iter().any(|text| after.starts_with(text))
}

/// A comment about an exec error in a file or script. The JVM's report of a crash and Apache begin lines in the same way.
fn is_comment(before: &str, anchor: &str) -> bool {
    let marks: &[&str] = &["# ", "// ", "<!-- "];
    let text = before.trim_start();
    let is_marked = marks.iter().any(|mark| text.strip_prefix(mark).is_some_and(|rest| !rest.starts_with(' ')));
    is_marked && anchor.trim_start_matches([':', ' ']).starts_with("exec")
}

/// Whether the message is a field after the request and its status: `"GET / HTTP/1.1" 404 153 "-" "agent"`.
fn is_access_log(before: &str) -> bool {
    let after_request = before.split("\" ").skip(1).zip(before.split("\" "));
    let is_status = |text: &str| text.len() > 3 && text.as_bytes()[..3].iter().all(u8::is_ascii_digit);
    let is_request = |text: &str| {
        text.rsplit(' ').next().and_then(|last| last.strip_prefix("http/")).is_some_and(|version| version.len() < 4)
    };
    after_request.into_iter().any(|(next, request)| is_status(next) && is_request(request))
}

fn has_lead(before: &str) -> bool {
    let is_letter = |c: char| c.is_ascii_alphabetic();
    let begins_word = |at: usize| !before[at..].starts_with(is_letter) || !before[..at].ends_with(is_letter);
    AUTOMATON.find_overlapping_iter(before).any(|lead| begins_word(lead.start()))
}

/// `### Exec format error`, or in bold. The JVM's report of a crash begins its lines in the same way.
fn is_heading(before: &str) -> bool {
    let marks = before.trim();
    !marks.is_empty() && (marks.bytes().all(|byte| byte == b'#') || marks.ends_with("**"))
}

/// Whether a message stands between backticks. GNU programs close a backtick with an apostrophe.
fn is_code(before: &str, after: &str) -> bool {
    let is_open = before.matches('`').count() % 2 == 1 && after.contains('`');
    is_open && before.rfind('`').is_some_and(|at| !before[at..].contains('\''))
}

/// Whether the whole message is in quotation marks as a text that someone searches, compares, explains or maps. A
/// program that passes an error on has quotation marks after a key or after a word such as "caused".
fn is_quotation(before: &str, anchor: &str, after: &str) -> bool {
    [('"', '"'), ('\'', '\''), ('“', '”')].iter().any(|(open, close)| {
        let Some(at) = before.rfind(*open) else { return false };
        let (lead, inside) = (&before[..at], &before[at + open.len_utf8()..]);
        // Python's and Rust's prefixes of strings: `re.compile(r"text|other")`.
        let lead = lead.strip_suffix(['r', 'b']).filter(|lead| lead.ends_with(['(', '='])).unwrap_or(lead);
        let opens = lead.is_empty() || lead.ends_with(|c: char| c.is_whitespace() || "=:([{,".contains(c));
        let Some((_, tail)) = after.split_once(*close) else { return false };
        opens && !inside.starts_with(char::is_whitespace) && is_mention(lead, anchor, tail)
    })
}

/// Parts of the names of calls and variants that contain the text of a failure: `OSError('text')`, `Exited("text")`.
const FAILURES: &[&str] = &["err", "exception", "fail", "panic", "exit", "terminate", "stopped", "some"];

/// Names of failures that are found in sentences. Others have their own words around them.
const NAMES: &[&str] = &["exec", "illegal instruction", "segmentation fault"];

/// Whether the texts before and after a quotation show that it is not reported.
fn is_mention(lead: &str, anchor: &str, tail: &str) -> bool {
    if SPEAKERS.iter().any(|speaker| lead.trim_start().starts_with(speaker)) {
        return true;
    }
    let text = lead.trim_end();
    let name = text.trim_end_matches(|c: char| "=:( ".contains(c)).trim_end_matches(['"', '\'']);
    let word = name.rsplit(|c: char| !is_of_word(c)).next().unwrap_or("");
    let rest = &name[..name.len() - word.len()];
    if text.ends_with(['=', ':']) {
        // The label of a metric: `failures{error="text"} 0`.
        let is_label =
            rest.strip_suffix('{').is_some_and(|metric| metric.ends_with(is_of_word) || tail.starts_with('}'));
        let is_label = is_label && text.ends_with('=');
        // `src/errors.go:88: "text": Architecture`
        let is_place = word.bytes().all(|byte| byte.is_ascii_digit());
        return is_label || NOT_REPORTED.contains(&word) || is_place && is_mapped(tail);
    }
    if text.ends_with('(') {
        return !word.is_empty() && !FAILURES.iter().any(|part| word.contains(part));
    }
    // An element of a table in code.
    if text.is_empty() || text.ends_with('{') {
        return is_mapped(tail);
    }
    // The columns of a table have more than one space in between.
    let is_word = !word.is_empty() && name.len() == text.len() && !lead.ends_with('\t') && !lead.ends_with("  ");
    let is_name = NAMES.iter().any(|name| anchor.trim_start_matches([':', ' ']).starts_with(name));
    is_word && is_name && !REPORTING.contains(&word) && !QUOTING.contains(&word)
}

/// `"text": value`, or one of several texts.
fn is_mapped(tail: &str) -> bool {
    [":", ",", " =>", " ->"].iter().any(|sign| tail.starts_with(sign))
}

/// Whether the line is one of several that are numbered consecutively: a shell's history, or a listing of code.
pub fn is_listing(text: &[u8], line: &Range<usize>) -> bool {
    let Some(number) = number(text.get(line.clone()).unwrap_or_default()) else { return false };
    let before = text[..line.start].strip_suffix(b"\n").unwrap_or_default().rsplit(|byte| *byte == b'\n').next();
    let after = text[line.end..].strip_prefix(b"\n").unwrap_or_default().split(|byte| *byte == b'\n').next();
    before.and_then(self::number) == number.checked_sub(1) && number > 0
        || after.and_then(self::number) == Some(number + 1)
}

/// The number at the start of a line of a listing: `  502  exec /app`, ` 84 | return`.
fn number(line: &[u8]) -> Option<u64> {
    const DIGITS: usize = 9;
    let head = String::from_utf8_lossy(&line[..line.len().min(2 * DIGITS)]).into_owned();
    let text = head.trim_start();
    let digits = text.find(|c: char| !c.is_ascii_digit()).filter(|digits| (1..=DIGITS).contains(digits))?;
    let rest = &text[digits..];
    (rest.starts_with("  ") || rest.trim_start().starts_with('|')).then(|| text[..digits].parse().ok())?
}

/// `"exec format error"?`
fn is_question(after: &str) -> bool {
    ["\"?", "'?", "`?", "”?", "exec format error?"].iter().any(|end| after.contains(end)) || after.starts_with('?')
}

fn ends_with_article(before: &str) -> bool {
    let before = before.trim_end_matches(|c: char| c == ' ' || "\"'`“‘*".contains(c));
    let word = before.rsplit(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or("");
    if before.ends_with("because of") {
        return false;
    }
    before.len() > word.len() && ARTICLES.contains(&word) || before == word && matches!(word, "fix" | "fixes" | "fixed")
}

#[cfg(test)]
mod tests {
    use crate::diagnose::message::messages;
    use crate::diagnose::recognise::recognise;

    #[test]
    fn text_about_a_message_is_not_the_message() {
        for text in [
            "If you see `exec format error` in the log, the image was built for another architecture.",
            "| `exec format error` | ARM image pushed from a Mac | rebuild for linux/amd64 |",
            "**Q: \"standard_init_linux.go:228: exec user process caused: exec format error\"?** A: use the arm64 tag.",
            "HEAD is now at 3f2a1bc Fix exec format error on arm64 (#123)",
            "a1b2c3d fix(docker): exec format error on Graviton",
            "* Fixed \"exec format error\" on Raspberry Pi",
            "+ kubectl logs web | grep 'exec format error'",
            "### Exec format error",
            "1. **Exec format error:** rebuild for the node's platform",
            "This avoids the exec format error on arm64 nodes.",
            "You may get: exec /app: exec format error",
            "10.0.0.7 - - [02/Nov/2026:10:00:00 +0000] \"GET /search HTTP/1.1\" 404 153 \"-\" \"exec format error bot\"",
            "level=info component=querier query=\"{app=\\\"web\\\"} |= \\\"exec format error\\\"\" duration=12ms",
            "src/errors.go:88: \"exec format error\": ErrArch,",
            "        return \"exec format error: image is for another architecture\"",
            "      + pattern        = \"exec format error\"",
            "INFO [search] query=\"no such file or directory exec format error\" hits=31",
            "panel 7: series {error=\"exec format error\"} value=0",
            "  ✓ maps \"Illegal instruction (core dumped)\" to CPU (1 ms)",
            "notify: posting \"Deploy failed: exec format error on arm64 nodes\" to #ops",
            "User: my pod says \"exec /bin/api: exec format error\", what now?",
            "<li><code>exec user process caused: exec format error</code> - the image is for another platform.</li>",
            "error.ENOEXEC=Exec format error",
            "test_message[exec format error] PASSED",
            "ok 11 - reports \"Exec format error\" for foreign ELF",
            "-    {\"exec format error\", \"wrong_arch\"},",
            "failures_total{reason=\"exec format error\",pod=\"x\"} 0",
            "{\"role\":\"user\",\"content\":\"Why does docker print exec /bin/sh: exec format error?\"}",
            "< exec /app: exec format error",
            "ENOEXEC 8 Exec format error",
            "       ENOEXEC",
            "{\"event\":\"ticket\",\"subject\":\"exec format error on Pi 4\",\"body\":\"I get exec /app: exec format error.\"}",
            "  *\"exec format error\"*) echo \"wrong arch\" ;;",
            "loaded rule 17: /exec format error/ -> ARCH",
            "rollout completed; previous failure: exec /app: exec format error",
            " 1. exec format error          -> rebuild for arm64",
            "  501  docker run app\n  502  exec /app/server: exec format error\n  503  uname -m",
            " 86 |     case errors.Is(err, syscall.ENOEXEC):\n 87 |         return nil",
            "docs: explain no matching manifest for linux/arm64 in the manifest list entries",
        ] {
            assert_eq!(recognise(text), [], "{text}");
        }
    }

    #[test]
    fn messages_within_a_programs_own_words_are_recognised() {
        for text in [
            "the entrypoint failed: exec /app: exec format error",
            "exec container process `/app`: Exec format error, see `docs`",
            "in `spawn': Exec format error - /app/tool (Errno::ENOEXEC)",
            "docker-compose up failed with exec format error",
            "get: fork/exec /app/tool: exec format error",
            "prefix: exec /app: exec format error",
            "error=\"exec /app: exec format error\"",
            "{\"msg\":\"exec /app: exec format error\"}",
            "terminated with \"exec /app: exec format error\"",
            "Error: \"exec /app: exec format error\"",
            "RuntimeError('exec /app: exec format error')",
            "OSError(8, 'Exec format error')",
            "failed to start container \"web\": exec: \"/app\": exec format error",
            "sh: can't exec '/app': Exec format error, see 'man sh'",
            "  501  starting\n  812  exec /app: exec format error\n  813 ready",
            "app: The container operating system does not match the host operating system.",
        ] {
            assert!(!recognise(text).is_empty(), "{text}");
        }
        assert!(messages().all(|message| !super::is_prose(
            &message.example.to_ascii_lowercase(),
            message.pattern,
            "no such text"
        )));
    }
}
