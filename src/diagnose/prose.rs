//! Distinguishes text about a message from the message itself: documentation, commits and searches quote it.

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

/// Words directly before the name of an error in a sentence.
const ARTICLES: &[&str] = &[
    "the", "an", "this", "that", "any", "fix", "fixes", "fixed", "fixing", "see", "sees", "seeing", "get", "gets",
    "getting", "avoid", "avoids", "prevent", "prevents", "resolve", "resolves", "resolved", "solve", "solves", "about",
    "like", "of",
];

static AUTOMATON: LazyLock<AhoCorasick> =
    LazyLock::new(|| AhoCorasick::new(LEADS).expect("a few short texts make a small automaton"));

/// Whether a line, in lower case, only quotes the message that contains `anchor`.
pub fn is_prose(lower: &str, anchor: &str) -> bool {
    let Some(at) = lower.find(anchor) else { return false };
    let (before, rest) = lower.split_at(at);
    let after = &rest[anchor.len()..];
    let is_name = anchor.trim_start_matches([':', ' ']).starts_with("exec format error");
    let is_sentence = is_heading(before) || ends_with_article(before);
    has_lead(before)
        || is_access_log(before)
        || is_code(before, after)
        || is_question(after)
        || is_comment(before, anchor)
        || is_name && (is_sentence || is_explained(after) || is_listed(before, after))
}

/// `exclude_lines: ['exec format error']`
fn is_listed(before: &str, after: &str) -> bool {
    ["'", "\""].iter().any(|quote| {
        before.strip_suffix(quote).is_some_and(|before| before.ends_with('['))
            && after.strip_prefix(quote).is_some_and(|after| after.starts_with([']', ',']))
    })
}

/// Whether the text directly after the name of an error explains it.
fn is_explained(after: &str) -> bool {
    let after = after.trim_start_matches(|c: char| c == ' ' || "\"'`’”*\\".contains(c));
    EXPLANATIONS.iter().any(|text| after.starts_with(text))
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

/// `"exec format error"?`
fn is_question(after: &str) -> bool {
    ["\"?", "'?", "`?", "”?"].iter().any(|end| after.contains(end))
}

fn ends_with_article(before: &str) -> bool {
    let before = before.trim_end_matches(|c: char| c == ' ' || "\"'`“‘*".contains(c));
    let word = before.rsplit(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or("");
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
            "app: The container operating system does not match the host operating system.",
        ] {
            assert!(!recognise(text).is_empty(), "{text}");
        }
        assert!(messages().all(|message| !super::is_prose(&message.example.to_ascii_lowercase(), "no such text")));
    }
}
