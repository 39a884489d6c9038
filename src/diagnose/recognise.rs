//! Recognises messages in a log, an event or terminal output. Total: text without a known message yields nothing.
//!
//! One automaton searches the text for a literal of each pattern. Only lines that contain one are matched.

use std::ops::Range;
use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use rayon::prelude::*;

use super::aftermath::{self, Aftermath};
use super::conclusion;
use super::image_name::{self, IMAGE_NAMES, NameKind};
use super::line::{self, LINE_BYTES};
use super::message::{ERRNO_TEXTS, Message, Sign, messages};
use super::pattern::{Hole, Pattern, PatternMatch, continues_word, is_quote};
use super::probe;
use super::prose;
use super::sentence::MessagePlace;
use super::spread::spread_messages;
use super::symptom::{MessageOutcome, Symptom};
use super::translation;

/// Maximum number of different symptoms that are kept for one sign.
const SYMPTOMS: usize = 16;

/// All patterns, and the automaton that finds candidate lines.
struct Patterns {
    rows: Vec<Row>,
    anchors: AhoCorasick,
    texts: Vec<String>,
    /// The owner of each anchor.
    owners: Vec<AnchorOwner>,
    image_names: Vec<(Pattern, NameKind)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AnchorOwner {
    /// A row of the message table.
    Row(usize),
    /// A translated text.
    Translation,
    /// Row of [`IMAGE_NAMES`].
    ImageName(usize),
}

static PATTERNS: LazyLock<Patterns> = LazyLock::new(|| {
    let rows: Vec<Row> = messages().map(|message| (Pattern::parse(message.pattern), message)).collect();
    let mut anchors: Vec<&str> = rows.iter().map(|(pattern, _)| pattern.anchor()).collect();
    let image_names: Vec<(Pattern, NameKind)> =
        IMAGE_NAMES.iter().map(|(text, kind)| (Pattern::parse(text), *kind)).collect();
    let mut owners: Vec<AnchorOwner> = (0..rows.len()).map(AnchorOwner::Row).collect();
    anchors.extend(image_names.iter().map(|(pattern, _)| pattern.anchor()));
    owners.extend((0..image_names.len()).map(AnchorOwner::ImageName));
    for (text, _) in translation::texts() {
        anchors.push(text.split([':', '：']).max_by_key(|part| part.len()).unwrap_or(text).trim());
        owners.push(AnchorOwner::Translation);
    }
    let automaton = anchor_automaton(&anchors, None);
    Patterns { texts: anchors.into_iter().map(str::to_string).collect(), rows, anchors: automaton, owners, image_names }
});

/// The same automaton as a DFA, for long logs only: it is twice as fast but takes 20 ms to build.
static LONG_ANCHORS: LazyLock<AhoCorasick> =
    LazyLock::new(|| anchor_automaton(&PATTERNS.texts, Some(AhoCorasickKind::DFA)));

/// Length of text, in bytes, from which the DFA is used.
const LONG: usize = 128 << 10;

/// Minimum length of the parts of a text that are searched concurrently, in bytes.
const PART_BYTES: usize = 64 << 10;

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
    /// What follows each symptom, if that matters.
    aftermaths: Vec<Aftermath>,
    /// The first failing image that the text names.
    image: Option<String>,
    /// The first images that the text mentions, failing or not.
    mentioned: Vec<String>,
    /// Whether it has read the first piece of the text.
    has_read: bool,
    /// Whether an engine warned that image and machine differ.
    is_warned: bool,
    /// Whether a program printed something after that warning.
    pub goes_on: bool,
}

impl Recogniser {
    /// Reads whole lines in UTF-8. Invalid bytes are replaced.
    pub fn feed(&mut self, text: &[u8]) {
        let is_long = text.len() >= LONG;
        let anchors = if is_long { &*LONG_ANCHORS } else { &PATTERNS.anchors };
        let read = |part: Range<usize>| {
            let windows = without_repeats(text, candidates(text, &part, anchors));
            let read = |window: Range<usize>| {
                let content = self.read_line(&String::from_utf8_lossy(&text[window.clone()]), anchors);
                (window, content)
            };
            windows.into_iter().map(read).collect::<Vec<_>>()
        };
        let parts = parts(text);
        let contents: Vec<Vec<(Range<usize>, LineContent)>> = match is_long {
            true => parts.into_par_iter().map(read).collect(),
            false => parts.into_iter().map(read).collect(),
        };
        let mut after_warning = self.is_warned.then_some(0);
        for (window, content) in contents.into_iter().flatten() {
            self.keep(content, text, &window);
            if self.is_warned {
                after_warning = after_warning.or(Some(window.end));
            }
        }
        self.goes_on = self.goes_on || after_warning.is_some_and(|from| has_output(&text[from..]));
        spread_messages(text, |message| {
            let content = self.read_line(message, anchors);
            self.keep(content, text, &(text.len()..text.len()));
        });
        aftermath::read_on(&mut self.aftermaths, text);
        let whole = match !self.has_read && !self.symptoms.is_empty() {
            true => conclusion::outcome_of_text(text),
            false => MessageOutcome::Open,
        };
        self.has_read = true;
        for (symptom, aftermath) in self.symptoms.iter_mut().zip(&self.aftermaths) {
            symptom.outcome = if whole.is_over() { whole } else { aftermath.outcome() };
        }
    }

    fn read_line(&self, text: &str, anchors: &AhoCorasick) -> LineContent {
        let mut content = LineContent::default();
        for part in line::parts(text) {
            let searched = SearchedLine::new(&part, anchors);
            content.images.extend(image_name(&searched));
            let is_foreign = !part.is_ascii() || searched.owners.contains(&AnchorOwner::Translation);
            let english = is_foreign.then(|| translation::to_english(&part)).flatten();
            match &english {
                Some(english) => self.read_symptom(&SearchedLine::new(english, anchors), (&part, text), &mut content),
                None => self.read_symptom(&searched, (&part, text), &mut content),
            }
        }
        content
    }

    /// Reads the symptom of a line, which is `shown` as printed, and `whole` in the log.
    fn read_symptom(&self, line: &SearchedLine<'_>, (shown, whole): (&str, &str), content: &mut LineContent) {
        let Some((symptom, row, range)) = recognise_line(line, shown) else { return };
        let symptom = Symptom { sign: probe::sign_of(symptom.sign, whole), ..symptom };
        match self.known(&symptom) {
            Some(known) => content.repeated.push(known),
            None if symptom.sign == Sign::Unrelated || self.is_full_of(symptom.sign) => {}
            None if is_quoted(&line.lower, &range, row, symptom.sign) => {}
            None => content.symptoms.push(symptom),
        }
    }

    /// Keeps what was read in `line` of `text`.
    fn keep(&mut self, content: LineContent, text: &[u8], line: &Range<usize>) {
        for known in content.repeated {
            self.repeat(known, line.end);
        }
        for (kind, image) in content.images {
            match kind {
                NameKind::Failing => {
                    self.image.get_or_insert(image);
                }
                NameKind::Mentioned | NameKind::Described | NameKind::Command => {
                    if self.mentioned.len() < 2 && !self.mentioned.contains(&image) {
                        self.mentioned.push(image);
                    }
                }
            }
        }
        for symptom in content.symptoms {
            match self.known(&symptom) {
                Some(known) => self.repeat(known, line.end),
                None if self.is_full_of(symptom.sign) || prose::is_listing(text, line) => {}
                None => {
                    self.is_warned |= symptom.sign == Sign::PlatformMismatch;
                    self.aftermaths.push(Aftermath::new(&symptom, text, line));
                    self.symptoms.push(symptom);
                }
            }
        }
    }

    fn repeat(&mut self, known: usize, end: usize) {
        self.aftermaths[known].again(end);
    }

    /// The image that the text names as the one that fails, or the only one that it names.
    pub fn image(&self) -> Option<&str> {
        match (&self.image, self.mentioned.as_slice()) {
            (Some(image), _) => Some(image),
            (None, [only]) => Some(only),
            (None, _) => None,
        }
    }

    /// The index of the same symptom.
    fn known(&self, symptom: &Symptom) -> Option<usize> {
        let is_same =
            |known: &Symptom| known.sign == symptom.sign && known.path == symptom.path && known.named == symptom.named;
        self.symptoms.iter().position(is_same)
    }

    fn is_full_of(&self, sign: Sign) -> bool {
        self.symptoms.iter().filter(|known| known.sign == sign).count() >= SYMPTOMS
    }
}

/// The images and the symptoms of one line.
#[derive(Debug, Default)]
struct LineContent {
    images: Vec<(NameKind, String)>,
    symptoms: Vec<Symptom>,
    /// Known symptoms that occur again.
    repeated: Vec<usize>,
}

/// Divides a text at ends of lines into parts of at least [`PART_BYTES`], which are searched concurrently.
fn parts(text: &[u8]) -> Vec<Range<usize>> {
    let mut parts = Vec::new();
    let mut start = 0;
    while start < text.len() {
        let least = text.len().min(start + PART_BYTES);
        let end = text[least..].iter().position(|byte| *byte == b'\n').map_or(text.len(), |at| least + at + 1);
        parts.push(start..end);
        start = end;
    }
    parts
}

/// The lines in this part of `text` that contain an anchor: a window around it, because a line may be very long.
fn candidates(text: &[u8], part: &Range<usize>, anchors: &AhoCorasick) -> Vec<Range<usize>> {
    let text = &text[..part.end];
    let mut windows = Vec::new();
    let mut from = part.start;
    while let Some(hit) = text.get(from..).and_then(|rest| anchors.find(rest)) {
        let (start, end) = (from + hit.start(), from + hit.end());
        let before = &text[start.saturating_sub(LINE_BYTES / 2).max(from)..start];
        let after = &text[end..text.len().min(end + LINE_BYTES / 2)];
        let begin = start - before.iter().rev().position(|byte| *byte == b'\n').unwrap_or(before.len());
        from = end + after.iter().position(|byte| *byte == b'\n').unwrap_or(after.len());
        windows.push(begin..from);
    }
    windows
}

/// The first and the last of equal lines that follow each other. Their timestamps may differ.
fn without_repeats(text: &[u8], windows: Vec<Range<usize>>) -> Vec<Range<usize>> {
    let message = |window: &Range<usize>| {
        let line = &text[window.clone()];
        let is_stamp = |byte: &u8| byte.is_ascii_digit() || b"-:.,TZ+ []/".contains(byte);
        line.iter().position(|byte| !is_stamp(byte)).map_or(line, |at| &line[at..])
    };
    let mut kept: Vec<Range<usize>> = Vec::with_capacity(windows.len());
    for window in windows {
        match kept.as_mut_slice() {
            [.., before, last] if message(before) == message(last) && message(last) == message(&window) => {
                *last = window
            }
            _ => kept.push(window),
        }
    }
    kept
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
struct SearchedLine<'a> {
    text: &'a str,
    /// In ASCII lower case.
    lower: String,
    owners: Vec<AnchorOwner>,
}

impl SearchedLine<'_> {
    fn new<'a>(text: &'a str, anchors: &AhoCorasick) -> SearchedLine<'a> {
        let hits = anchors.find_overlapping_iter(text);
        let owners = hits.map(|hit| PATTERNS.owners[hit.pattern().as_usize()]).collect();
        SearchedLine { text, lower: text.to_ascii_lowercase(), owners }
    }
}

/// The image that a line names.
fn image_name(line: &SearchedLine<'_>) -> Option<(NameKind, String)> {
    line.owners.iter().find_map(|owner| match *owner {
        AnchorOwner::ImageName(row) => {
            let (pattern, kind) = &PATTERNS.image_names[row];
            Some((*kind, image_name::named(pattern, *kind, line.text, &line.lower)?))
        }
        AnchorOwner::Row(_) | AnchorOwner::Translation => None,
    })
}

type Row = (Pattern, &'static Message);

/// The symptom of the first row that matches a line, the row, and the part of the line that it matches. `shown` is the
/// line as printed.
fn recognise_line(line: &SearchedLine<'_>, shown: &str) -> Option<(Symptom, &'static Row, Range<usize>)> {
    let owned = line.owners.iter().filter_map(|owner| match *owner {
        AnchorOwner::Row(row) => Some(row),
        AnchorOwner::Translation | AnchorOwner::ImageName(_) => None,
    });
    let mut rows: Vec<usize> = owned.collect();
    rows.sort_unstable();
    rows.dedup();
    rows.into_iter().find_map(|row| {
        let row = &PATTERNS.rows[row];
        let (symptom, range) = symptom(row, line.text, &line.lower, shown)?;
        Some((symptom, row, range))
    })
}

/// Whether someone writes about the message in this line, in lower case.
fn is_quoted(lower: &str, range: &Range<usize>, (pattern, message): &Row, sign: Sign) -> bool {
    let is_end = matches!(
        sign,
        Sign::Exited | Sign::BuildStepFailed | Sign::EmulatedStepFailed | Sign::BackOff | Sign::OutOfMemory
    );
    let place = MessagePlace { lower, range, has_lead: message.pattern.starts_with('{') };
    prose::is_prose(lower, message.pattern, pattern.anchor())
        || place.is_about()
        || !is_end && place.is_sentence(|| lead_of_example(pattern, message))
}

/// The text before the message in the row's example.
fn lead_of_example(pattern: &Pattern, message: &Message) -> String {
    let lower = message.example.to_ascii_lowercase();
    let start = pattern.find(message.example, &lower, |_| true).map_or(0, |found| found.range.start);
    lower[..start].to_string()
}

/// The symptom in a line, and the part of the line that the row matches.
fn symptom((pattern, message): &Row, text: &str, lower: &str, shown: &str) -> Option<(Symptom, Range<usize>)> {
    // The sign of an error's text, and what follows the text in its hole.
    let errno = |holes: &[(Hole, &str)]| {
        let printed = holes.iter().find(|(hole, _)| *hole == Hole::Errno)?.1.to_ascii_lowercase();
        let printed = printed.trim_start_matches(is_quote);
        let rest = |text: &str| printed.strip_prefix(text).filter(|rest| !continues_word(rest));
        ERRNO_TEXTS.iter().find_map(|(text, sign)| Some((*sign, rest(text)?.len())))
    };
    let sign = |holes: &[(Hole, &str)]| message.sign.or_else(|| errno(holes).map(|(sign, _)| sign));
    let PatternMatch { holes, mut range } = pattern.find(text, lower, |holes| sign(holes).is_some())?;
    if holes.last().is_some_and(|(hole, _)| *hole == Hole::Errno) {
        range.end -= errno(&holes).map_or(0, |(_, after)| after);
    }
    let named = holes.iter().filter(|(hole, _)| !matches!(hole, Hole::Errno | Hole::Path | Hole::Position));
    let symptom = Symptom {
        sign: sign(&holes)?,
        speaker: message.speaker,
        path: holes.iter().find(|(hole, _)| *hole == Hole::Path).and_then(|(_, path)| {
            let named = program(path)?;
            // The word before the error is the end of a sentence in another language.
            if named.is_ascii() { Some(named) } else { path_before(&text[..range.start]).or(Some(named)) }
        }),
        named: named.map(|(hole, value)| (*hole, value.to_string())).collect(),
        line: shown.trim().to_string(),
        outcome: MessageOutcome::Open,
    };
    Some((symptom, range))
}

/// The last path before a colon in a text: `./app` in `bash: ./app: ...`.
fn path_before(text: &str) -> Option<String> {
    let words = text.split_whitespace().rev().filter_map(|word| word.strip_suffix(':'));
    words.map(|word| word.trim_matches(is_quote)).find(|word| word.contains('/')).map(str::to_string)
}

/// Maximum length of a path on Linux, in bytes.
const PATH_MAX: usize = 4096;

/// The program in a hole: the text after the last colon and space ("line 1: ./app"), without quotes.
fn program(text: &str) -> Option<String> {
    let tail = text.rsplit_once(": ").map_or(text, |(_, tail)| tail);
    let path = tail.trim_matches(|c: char| c.is_whitespace() || is_quote(c));
    // `app[812]` is a prefix of the journal.
    (!path.is_empty() && path.len() < PATH_MAX && !path.ends_with(']')).then(|| path.to_string())
}

#[cfg(test)]
#[path = "recognise_tests.rs"]
mod tests;
