//! Reassembles messages that a log contains in pieces: folded by YAML, split by a log driver, or written as byte
//! values.

use std::sync::LazyLock;

use aho_corasick::AhoCorasick;

use super::line::LINE_BYTES;

/// How a log splits a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spread {
    /// `kubectl get pod -o yaml` folds long text, replacing a space by a line break.
    Folded,
    /// containerd and CRI-O split a long line: `TIME stderr P first part`, then `TIME stderr F rest`. Source: the
    /// kubelet's CRI log format.
    Partial,
    /// Docker's json-file driver splits a line into two objects. The text of the first does not end with `\n`.
    JsonFile,
    /// `journalctl -o json` writes a message with control characters as an array of byte values.
    Bytes,
}

/// The text at which each kind, or its second part, begins.
const MARKS: &[(&str, Spread)] = &[
    (" message: ", Spread::Folded),
    (" stderr P ", Spread::Partial),
    (" stdout P ", Spread::Partial),
    ("}\n{\"log\":\"", Spread::JsonFile),
    ("\"MESSAGE\":[", Spread::Bytes),
    ("\"MESSAGE\" : [", Spread::Bytes),
];

/// Bytes that are used from each side of a split. Messages are shorter.
const SIDE: usize = LINE_BYTES / 2;

static AUTOMATON: LazyLock<AhoCorasick> = LazyLock::new(|| {
    AhoCorasick::new(MARKS.iter().map(|(mark, _)| mark)).expect("a few short texts make a small automaton")
});

/// Calls `found` with each reassembled message of `text`, which must consist of whole lines.
pub fn spread_messages(text: &[u8], mut found: impl FnMut(&str)) {
    let mut from = 0;
    while let Some(hit) = text.get(from..).and_then(|rest| AUTOMATON.find(rest)) {
        let (start, end) = (from + hit.start(), from + hit.end());
        let (message, next) = match MARKS[hit.pattern().as_usize()].1 {
            Spread::Folded => folded(text, start, end),
            Spread::Partial => (partial(text, start, end), end),
            Spread::JsonFile => (json_file(text, start, end), end),
            Spread::Bytes => bytes(text, end),
        };
        if let Some(message) = message {
            found(&String::from_utf8_lossy(&message));
        }
        from = next;
    }
}

/// The unfolded YAML field at `start`, and its end.
fn folded(text: &[u8], start: usize, end: usize) -> (Option<Vec<u8>>, usize) {
    const LINES: usize = 64;
    const INDENT: usize = 256;
    let blanks = text[start.saturating_sub(INDENT)..start].iter().rev().take_while(|byte| **byte == b' ').count();
    let begin = start - blanks;
    if begin > 0 && text[begin - 1] != b'\n' {
        return (None, end);
    }
    let indent = blanks + 1;
    let mut lines = text[begin..].split(|byte| *byte == b'\n').take(LINES);
    let mut message = lines.next().unwrap_or_default().to_vec();
    let (mut next, mut is_folded) = (begin + message.len(), false);
    for line in lines {
        let blanks = line.iter().take_while(|byte| **byte == b' ').count();
        if blanks <= indent || message.len() > LINE_BYTES {
            break;
        }
        message.push(b' ');
        message.extend_from_slice(line.trim_ascii());
        next += 1 + line.len();
        is_folded = true;
    }
    // YAML doubles single quotes in a single-quoted string.
    let message = is_folded.then(|| String::from_utf8_lossy(&message).replace("''", "'").into_bytes());
    (message, next.max(end))
}

/// Joins the end of the partial line whose mark is at `start` to the beginning of the next line of the same stream.
fn partial(text: &[u8], start: usize, end: usize) -> Option<Vec<u8>> {
    /// Maximum number of lines of the other stream in between.
    const BETWEEN: usize = 8;
    /// Maximum length of a timestamp with a zone.
    const STAMP: usize = 40;
    let begin = line_begin(text, start, STAMP)?;
    if !text[begin..start].iter().all(|byte| byte.is_ascii_graphic()) || !text[begin].is_ascii_digit() {
        return None;
    }
    let stream = &text[start..end - 2];
    let first_end = end + text[end..].iter().position(|byte| *byte == b'\n')?;
    let mut lines = text[first_end + 1..].split(|byte| *byte == b'\n').take(BETWEEN);
    let second = lines.find_map(|line| {
        let blank = line.iter().take(STAMP).position(|byte| *byte == b' ')?;
        let rest = line[blank..].strip_prefix(stream)?;
        rest.strip_prefix(b"P ").or_else(|| rest.strip_prefix(b"F "))
    })?;
    Some(joined(&text[end..first_end], second))
}

/// Joins the texts of two of Docker's objects if the first, which ends at `start`, does not end with a line break.
fn json_file(text: &[u8], start: usize, end: usize) -> Option<Vec<u8>> {
    /// Docker splits lines at 16 KiB, so a shorter one is whole.
    const SPLIT: usize = 16 << 10;
    /// Maximum length of the fields after the text.
    const FIELDS: usize = 256;
    if line_begin(text, start, SPLIT).is_some() {
        return None;
    }
    let tail = &text[start - FIELDS.min(start)..start];
    let fields = tail.windows(TEXT_END.len()).rposition(|window| window == TEXT_END)?;
    let first = &text[..start - tail.len() + fields];
    let line = text[end..].split(|byte| *byte == b'\n').next()?;
    let second = line.windows(TEXT_END.len()).position(|window| window == TEXT_END).map_or(line, |at| &line[..at]);
    (!first.ends_with(b"\\n")).then(|| joined(first, second))
}

/// The text after the log text in one of Docker's objects.
const TEXT_END: &[u8] = b"\",\"stream\":\"";

/// The byte values from `start` on, decoded, and their end.
fn bytes(text: &[u8], start: usize) -> (Option<Vec<u8>>, usize) {
    let mut message = Vec::new();
    let mut number: Option<u8> = None;
    let mut next = start;
    for byte in &text[start..] {
        next += 1;
        match byte {
            b'0'..=b'9' => {
                let grown = number.unwrap_or(0).checked_mul(10).and_then(|number| number.checked_add(byte - b'0'));
                let Some(grown) = grown else { return (None, next) };
                number = Some(grown);
            }
            b',' | b']' => message.extend(number.take()),
            byte if byte.is_ascii_whitespace() => {}
            _ => return (None, next),
        }
        if *byte == b']' || message.len() > LINE_BYTES {
            break;
        }
    }
    (Some(message), next)
}

/// Start of the line that contains `at`, if it is at most `limit` bytes before `at`.
fn line_begin(text: &[u8], at: usize, limit: usize) -> Option<usize> {
    let from = at.saturating_sub(limit);
    match text[from..at].iter().rposition(|byte| *byte == b'\n') {
        Some(newline) => Some(from + newline + 1),
        None => (from == 0).then_some(0),
    }
}

/// Joins the end of `first` and the beginning of `second`.
fn joined(first: &[u8], second: &[u8]) -> Vec<u8> {
    [&first[first.len().saturating_sub(SIDE)..], &second[..second.len().min(SIDE)]].concat()
}

#[cfg(test)]
mod tests {
    use crate::diagnose::message::Sign;
    use crate::diagnose::reader::read_log;
    use crate::diagnose::symptom::Symptom;
    use crate::exec::Errno;

    const MESSAGE: &str = "exec /usr/local/bin/app: exec format error";

    fn check(log: &str) {
        let found = read_log(log.as_bytes()).unwrap().symptoms;
        let is_whole = |symptom: &Symptom| symptom.path.as_deref() == Some("/usr/local/bin/app");
        let whole: Vec<Sign> = found.iter().filter(|symptom| is_whole(symptom)).map(|symptom| symptom.sign).collect();
        assert_eq!(whole, [Sign::Exec(Errno::ENOEXEC)], "{:?}", &log[log.len().saturating_sub(300)..]);
    }

    #[test]
    fn lines_that_a_runtime_split_are_joined() {
        let stamp = "2026-03-01T10:00:00.123456789Z";
        let pad = "x ".repeat(8 << 10);
        for cut in 1..MESSAGE.len() {
            let (first, second) = MESSAGE.split_at(cut);
            check(&format!("{stamp} stderr P {pad}{first}\n{stamp} stderr F {second}\n"));
            check(&format!("{stamp} stderr P {first}\n{stamp} stdout F hello\n{stamp} stderr F {second}\n"));
            check(&format!(
                "{{\"log\":\"{pad}{first}\",\"stream\":\"stderr\",\"time\":\"{stamp}\"}}\n\
                 {{\"log\":\"{second}\\n\",\"stream\":\"stderr\",\"time\":\"{stamp}\"}}\n"
            ));
        }
    }

    #[test]
    fn split_lines_are_joined_where_pieces_of_the_log_are_cut() {
        let stamp = "2026-03-01T10:00:00.123456789Z";
        let (first, second) = MESSAGE.split_at(20);
        for before in (200 << 10..300 << 10).step_by(4 << 10) {
            let before = "y\n".repeat(before / 2);
            let pad = "x ".repeat(8150);
            check(&format!(
                "{before}{stamp} stderr P {pad}{first}\n{stamp} stderr F {second}\n{}",
                "z\n".repeat(1 << 18)
            ));
        }
    }

    #[test]
    fn lines_of_different_streams_and_whole_lines_are_not_joined() {
        let stamp = "2026-03-01T10:00:00.123456789Z";
        let none = |log: &str| assert_eq!(read_log(log.as_bytes()).unwrap().symptoms, [], "{log}");
        none(&format!("{stamp} stderr P exec /app: exec\n{stamp} stdout F  format error\n"));
        none(&format!("{stamp} stderr F exec /app: exec\n{stamp} stderr F  format error\n"));
        none("{\"log\":\"exec /app: exec\\n\",\"stream\":\"a\"}\n{\"log\":\" format error\\n\",\"stream\":\"a\"}\n");
        none("{\"MESSAGE\":[1,2,300]}\n{\"MESSAGE\":[a]}\n{\"MESSAGE\":[\n");
    }

    #[test]
    fn byte_values_of_a_journal_message_are_decoded() {
        let coloured = format!("\u{1b}[31m{MESSAGE}\u{1b}[0m");
        let numbers: Vec<String> = coloured.bytes().map(|byte| byte.to_string()).collect();
        check(&format!("{{\"PRIORITY\":\"3\",\"MESSAGE\":[{}],\"_PID\":\"812\"}}\n", numbers.join(",")));
        check(&format!("{{\n\t\"MESSAGE\" : [\n\t\t{}\n\t]\n}}\n", numbers.join(",\n\t\t")));
    }
}
