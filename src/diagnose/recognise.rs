//! Recognises messages in a log, an event or terminal output. Total: text without a known message yields nothing.
//!
//! One automaton searches the text for a literal of each pattern. Only lines that contain one are matched.

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, AhoCorasickKind};

use super::line::{self, LINE_BYTES};
use super::message::{ERRNO_TEXTS, Message, Sign, Speaker, messages};
use super::pattern::{Pattern, QUOTES, continues_word};
use super::spread::spread_messages;
use super::translation;

/// Maximum number of different symptoms that are kept for one sign.
const SYMPTOMS: usize = 16;

/// A recognised message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Symptom {
    pub sign: Sign,
    pub speaker: Speaker,
    /// The file or command that the message names.
    pub path: Option<String>,
    /// Other values that it names: (`level`, `x86-64-v2`), (`image`, `linux/amd64`), (`node`, `linux/arm64/v8`).
    pub named: Vec<(&'static str, String)>,
    /// The line, trimmed.
    pub line: String,
}

/// Texts that name the failing image, anywhere in a line. Source: kubelet images, containerd, containers/image, moby,
/// GitLab Runner, gcloud.
const IMAGE_NAMES: &[&str] = &[
    "Failed to pull image \"{=image}\"",
    "Back-off pulling image \"{=image}\"",
    "pull and unpack image \"{=image}\"",
    "image with reference {=image} was found",
    "docker://{=image}: no image found",
    "Trying to pull {=image}...",
    "Base image {=image} was pulled",
    "Using docker image {=id} for {=image} with digest",
    "does not support image '{=image}'",
    "failed to solve: {=image}: no match for platform",
    DESCRIBED,
];

/// How `kubectl describe` names the image of each container of a pod, failing or not.
const DESCRIBED: &str = "Image: {=image}";

/// All patterns, and the automaton that finds candidate lines.
struct Patterns {
    rows: Vec<(Pattern, &'static Message)>,
    anchors: AhoCorasick,
    texts: Vec<String>,
    /// The owner of each anchor.
    owners: Vec<Owner>,
    image_names: Vec<Pattern>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    /// A row of the message table.
    Row(usize),
    /// A translated text.
    Translation,
    /// Row of [`IMAGE_NAMES`].
    ImageName(usize),
}

static PATTERNS: LazyLock<Patterns> = LazyLock::new(|| {
    let rows: Vec<(Pattern, &Message)> = messages().map(|message| (Pattern::parse(message.pattern), message)).collect();
    let mut anchors: Vec<&str> = rows.iter().map(|(pattern, _)| pattern.anchor()).collect();
    let image_names: Vec<Pattern> = IMAGE_NAMES.iter().map(|text| Pattern::parse(text)).collect();
    let mut owners: Vec<Owner> = (0..rows.len()).map(Owner::Row).collect();
    anchors.extend(image_names.iter().map(Pattern::anchor));
    owners.extend((0..image_names.len()).map(Owner::ImageName));
    for (text, _) in translation::texts() {
        anchors.push(text.split([':', '：']).max_by_key(|part| part.len()).unwrap_or(text).trim());
        owners.push(Owner::Translation);
    }
    let automaton = anchor_automaton(&anchors, None);
    Patterns { texts: anchors.into_iter().map(str::to_string).collect(), rows, anchors: automaton, owners, image_names }
});

/// The same automaton as a DFA, for long logs only: it is twice as fast but takes 20 ms to build.
static LONG_ANCHORS: LazyLock<AhoCorasick> =
    LazyLock::new(|| anchor_automaton(&PATTERNS.texts, Some(AhoCorasickKind::DFA)));

/// Length of text, in bytes, from which the DFA is used.
const LONG: usize = 128 << 10;

fn anchor_automaton(texts: &[impl AsRef<[u8]>], kind: Option<AhoCorasickKind>) -> AhoCorasick {
    let automaton = AhoCorasick::builder().ascii_case_insensitive(true).kind(kind).build(texts);
    automaton.expect("a few hundred short texts make a small automaton")
}

/// Reads every line of `log`. Equal symptoms are kept once, in order of first occurrence.
#[cfg(any(feature = "kube", test))]
pub fn recognise(log: &str) -> Vec<Symptom> {
    let mut found = Recogniser::default();
    found.feed(log.as_bytes());
    found.symptoms
}

/// Collects symptoms from text that arrives in pieces.
#[derive(Debug, Default)]
pub struct Recogniser {
    pub symptoms: Vec<Symptom>,
    /// The first failing image that the text names.
    image: Option<String>,
    /// The first images of a pod's containers.
    described: Vec<String>,
    /// Whether an engine warned that image and machine differ.
    is_warned: bool,
    /// Whether a program printed something after that warning.
    pub goes_on: bool,
}

impl Recogniser {
    /// Reads whole lines in UTF-8. Invalid bytes are replaced.
    pub fn feed(&mut self, text: &[u8]) {
        let anchors = if text.len() < LONG { &PATTERNS.anchors } else { &*LONG_ANCHORS };
        let (mut from, mut after_warning) = (0, self.is_warned.then_some(0));
        while let Some(hit) = text.get(from..).and_then(|rest| anchors.find(rest)) {
            let (start, end) = (from + hit.start(), from + hit.end());
            // A window around the hit, because a line may be very long.
            let before = &text[start.saturating_sub(LINE_BYTES / 2).max(from)..start];
            let after = &text[end..text.len().min(end + LINE_BYTES / 2)];
            let begin = start - before.iter().rev().position(|byte| *byte == b'\n').unwrap_or(before.len());
            let stop = end + after.iter().position(|byte| *byte == b'\n').unwrap_or(after.len());
            self.line(&String::from_utf8_lossy(&text[begin..stop]));
            if self.is_warned {
                after_warning = after_warning.or(Some(stop));
            }
            from = stop;
        }
        self.goes_on = self.goes_on || after_warning.is_some_and(|from| has_output(&text[from..]));
        spread_messages(text, |message| self.line(message));
    }

    fn line(&mut self, text: &str) {
        for part in line::parts(text) {
            let searched = Searched::new(&part);
            match image_name(&searched) {
                Some((true, image)) if self.described.len() < 2 && !self.described.contains(&image) => {
                    self.described.push(image);
                }
                Some((false, image)) if self.image.is_none() => self.image = Some(image),
                Some(_) | None => {}
            }
            let is_foreign = !part.is_ascii() || searched.owners.contains(&Owner::Translation);
            let english = is_foreign.then(|| translation::to_english(&part)).flatten();
            let symptom = match &english {
                Some(english) => recognise_line(&Searched::new(english), &part),
                None => recognise_line(&searched, &part),
            };
            if let Some(symptom) = symptom {
                self.keep(symptom);
            }
        }
    }

    /// The image that the text names as the one that fails, or the only one that it names.
    pub fn image(&self) -> Option<&str> {
        match (&self.image, self.described.as_slice()) {
            (Some(image), _) => Some(image),
            (None, [only]) => Some(only),
            (None, _) => None,
        }
    }

    fn keep(&mut self, symptom: Symptom) {
        if symptom.sign == Sign::Unrelated {
            return;
        }
        self.is_warned |= symptom.sign == Sign::PlatformMismatch;
        let alike = |known: &&Symptom| known.sign == symptom.sign;
        let is_known = |known: &Symptom| known.path == symptom.path && known.named == symptom.named;
        let mut count = 0;
        for known in self.symptoms.iter().filter(alike) {
            if is_known(known) {
                return;
            }
            count += 1;
        }
        if count < SYMPTOMS {
            self.symptoms.push(symptom);
        }
    }
}

/// Whether `text` has a line of a program, not of the engine that starts it: a container's ID, or a progress line.
fn has_output(text: &[u8]) -> bool {
    const MARKS: &[&str] = &[
        "✔",
        "✘",
        "⠿",
        "[+]",
        "Container ",
        "Network ",
        "Attaching to ",
        "Status: ",
        "Digest: ",
        "dependency failed to start",
        "Error response from daemon",
        "docker: ",
        "See 'docker ",
    ];
    let is_program = |line: &[u8]| {
        let line = String::from_utf8_lossy(line);
        let line = line.trim();
        let is_id = line.len() >= 12 && line.bytes().all(|byte| byte.is_ascii_hexdigit());
        !line.is_empty() && !is_id && !MARKS.iter().any(|mark| line.starts_with(mark))
    };
    text.split(|byte| *byte == b'\n').any(is_program)
}

/// A line and what its anchors belong to.
struct Searched<'a> {
    text: &'a str,
    /// In ASCII lower case.
    lower: String,
    owners: Vec<Owner>,
}

impl Searched<'_> {
    fn new(text: &str) -> Searched<'_> {
        let patterns = &*PATTERNS;
        let hits = patterns.anchors.find_overlapping_iter(text);
        let owners = hits.map(|hit| patterns.owners[hit.pattern().as_usize()]).collect();
        Searched { text, lower: text.to_ascii_lowercase(), owners }
    }
}

/// The image that a line names, and whether as one of a pod's containers.
fn image_name(line: &Searched<'_>) -> Option<(bool, String)> {
    line.owners.iter().find_map(|owner| match *owner {
        Owner::ImageName(row) => {
            let holes = PATTERNS.image_names[row].find(line.text, &line.lower, |_| true)?;
            let (_, image) = holes.into_iter().rfind(|(name, _)| *name == "image")?;
            let image = image.trim_end_matches(['.', ',', ':', ';']);
            let is_described = IMAGE_NAMES[row] == DESCRIBED;
            let is_name = !image.is_empty() && (!is_described || image.contains([':', '/', '@']));
            is_name.then(|| (is_described, image.to_string()))
        }
        Owner::Row(_) | Owner::Translation => None,
    })
}

/// The first row that matches a line. `shown` is the line as printed.
fn recognise_line(line: &Searched<'_>, shown: &str) -> Option<Symptom> {
    let owned = line.owners.iter().filter_map(|owner| match *owner {
        Owner::Row(row) => Some(row),
        Owner::Translation | Owner::ImageName(_) => None,
    });
    let mut rows: Vec<usize> = owned.collect();
    rows.sort_unstable();
    rows.dedup();
    rows.into_iter().find_map(|row| symptom(&PATTERNS.rows[row], line.text, &line.lower, shown))
}

fn symptom((pattern, message): &(Pattern, &Message), text: &str, lower: &str, shown: &str) -> Option<Symptom> {
    let errno = |holes: &[(&str, &str)]| {
        let printed = holes.iter().find(|(name, _)| *name == "errno")?.1.to_ascii_lowercase();
        let printed = printed.trim_start_matches(|c: char| QUOTES.contains(c));
        let is_it = |text: &str| printed.strip_prefix(text).is_some_and(|rest| !continues_word(rest));
        ERRNO_TEXTS.iter().find(|(text, _)| is_it(text)).map(|(_, sign)| *sign)
    };
    let holes = pattern.find(text, lower, |holes| message.sign.or_else(|| errno(holes)).is_some())?;
    let named = holes.iter().filter(|(name, _)| !matches!(*name, "errno" | "path" | "line" | "pid"));
    Some(Symptom {
        sign: message.sign.or_else(|| errno(&holes))?,
        speaker: message.speaker,
        path: holes.iter().find(|(name, _)| *name == "path").and_then(|(_, path)| program(path)),
        named: named.map(|(name, value)| (*name, value.to_string())).collect(),
        line: shown.trim().to_string(),
    })
}

/// Maximum length of a path on Linux, in bytes.
const PATH_MAX: usize = 4096;

/// The program in a hole: the text after the last colon and space ("line 1: ./app"), without quotes.
fn program(text: &str) -> Option<String> {
    let tail = text.rsplit_once(": ").map_or(text, |(_, tail)| tail);
    let path = tail.trim_matches(|c: char| c.is_whitespace() || QUOTES.contains(c));
    // `app[812]` is a prefix of the journal.
    (!path.is_empty() && path.len() < PATH_MAX && !path.ends_with(']')).then(|| path.to_string())
}

#[cfg(test)]
#[path = "recognise_tests.rs"]
mod tests;
