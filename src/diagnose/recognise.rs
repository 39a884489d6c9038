//! From a log, an event or a terminal's text to what it says. Pure and total: text that says nothing yields nothing.

use super::message::{ERRNO_TEXTS, MESSAGES, Message, Sign};
use super::pattern;

/// Bytes of a line that are read: error lines are short, and a log may hold a whole dump in one line.
const LINE_BYTES: usize = 8 << 10;

/// Different symptoms that are kept: a log that repeats itself says nothing new.
const SYMPTOMS: usize = 64;

/// One message that was recognised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Symptom {
    pub sign: Sign,
    /// Who says it: "runc", "crun", "glibc".
    pub speaker: &'static str,
    /// The file or command that the message names.
    pub path: Option<String>,
    /// What else it names: (`level`, `x86-64-v2`), (`image`, `linux/amd64`), (`node`, `linux/arm64/v8`).
    pub named: Vec<(&'static str, String)>,
    /// The line, trimmed.
    pub line: String,
}

/// Reads every line of `log`; equal symptoms are told once, in the order in which they were first said.
pub fn recognise(log: &str) -> Vec<Symptom> {
    let mut symptoms: Vec<Symptom> = Vec::new();
    for line in log.lines() {
        let Some(symptom) = recognise_line(line) else { continue };
        let is_new = !symptoms.iter().any(|known| known.sign == symptom.sign && known.path == symptom.path);
        if is_new && symptoms.len() < SYMPTOMS {
            symptoms.push(symptom);
        }
    }
    symptoms
}

fn recognise_line(line: &str) -> Option<Symptom> {
    let line = readable(line);
    let lower = line.to_ascii_lowercase();
    MESSAGES.iter().find_map(|message| symptom(message, &line, &lower))
}

fn symptom(message: &Message, line: &str, lower: &str) -> Option<Symptom> {
    let holes = pattern::find(message.pattern, line, lower)?;
    let hole = |name| holes.iter().find(|(hole, _)| *hole == name).map(|(_, value)| *value);
    let sign = match message.sign {
        Some(sign) => sign,
        None => {
            let said = hole("errno")?.to_ascii_lowercase();
            ERRNO_TEXTS.iter().find(|(text, _)| said.starts_with(text))?.1
        }
    };
    let named = holes.iter().filter(|(name, _)| !matches!(*name, "errno" | "path" | "line" | "pid"));
    Some(Symptom {
        sign,
        speaker: message.speaker,
        path: hole("path").map(last_word),
        named: named.map(|(name, value)| (*name, value.to_string())).collect(),
        line: line.trim().to_string(),
    })
}

/// A pattern that begins with `{path}` takes in whatever stands before it ("bash: line 1: ./app"): the path is what
/// follows the last colon and blank, without the quotes of any language.
fn last_word(text: &str) -> String {
    let tail = text.rsplit_once(": ").map_or(text, |(_, tail)| tail);
    tail.trim_matches(|c: char| c.is_whitespace() || "\"'`‘’“”".contains(c)).to_string()
}

/// A line as people would quote it: JSON's escapes of quotes undone, a carriage return within it visible, over-long ones cut.
fn readable(line: &str) -> String {
    let mut end = line.len().min(LINE_BYTES);
    while !line.is_char_boundary(end) {
        end -= 1;
    }
    let line = line[..end].trim_end_matches(['\r', '\n']);
    // Old runtimes quote an error within a quoted error: two rounds of escapes.
    line.replace("\\\\\\\"", "\"").replace("\\\"", "\"").replace('\r', "\\r")
}

#[cfg(test)]
#[path = "recognise_tests.rs"]
mod tests;
