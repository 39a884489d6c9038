//! Finds out whether a program went on after a message. A tool or a library that a program does without is not why it
//! failed.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::LazyLock;

use aho_corasick::AhoCorasick;

use super::conclusion;
use super::log_line::{is_end, lines, stream};
use super::message::{Sign, Speaker};
use super::symptom::{MessageOutcome, Symptom};
use crate::exec::Errno;

/// Texts with which servers report that they work, in lower case.
const SERVING: &[&str] = &[
    "listening on",
    "listening at",
    "listening for",
    "now listening",
    "server started",
    "started server",
    "server is running",
    "server running",
    "running on http",
    "serving on",
    "serving at",
    "serving http",
    "ready to accept connections",
    "ready for connections",
    "ready to handle connections",
    "accepting connections",
    "startup complete",
    "starting gunicorn",
    "booting worker with pid",
    "start worker process",
    " seconds (jvm running for ",
    " seconds (process running for ",
    "server startup in ",
    " ready in ",
    "http/1.0\" 200",
    "http/1.1\" 200",
    "http/2.0\" 200",
    "\"status\":200",
    "status=200",
    " 200 ok",
];

/// How structured logs mark a line of level info or below.
const INFO: &[&str] = &[
    "level=info",
    "level=debug",
    "\"level\":\"info\"",
    "\"level\":\"INFO\"",
    "\"level\":30",
    "\"severity\":\"INFO\"",
    "\"level\":\"debug\"",
    "INFO",
    "[info]",
    "\tinfo\t",
    " INF ",
    "DEBUG",
];

/// How they mark a warning.
const WARNING: &[&str] = &[
    "level=warn",
    "\"level\":\"warn",
    "\"level\":\"WARN",
    "\"level\":40",
    "\"severity\":\"WARN",
    "WARN",
    "[warn",
    "\twarn\t",
    " WRN ",
];

/// How logs say that something is tried once more, in lower case.
const RETRYING: &[&str] = &["retry", "attempt", "trying again", "try again"];

/// How a message itself says that the program does without, in lower case.
const WITHOUT: &[&str] =
    &["fallback", "falling back", "skipping", "skipped", "ignoring", "ignored", "continuing without"];

/// How many lines after a message may report a retry.
const RETRY_LINES: usize = 3;

static SERVING_TEXTS: LazyLock<AhoCorasick> = LazyLock::new(|| {
    let automaton = AhoCorasick::builder().ascii_case_insensitive(true).build(SERVING);
    automaton.expect("a few short texts make a small automaton")
});

/// How many lines after a message are read for its program's normal work.
const LINES: usize = 1000;

/// How many lines of normal work follow a message that is not marked as a warning.
const WORK: usize = 2;

/// Bytes before a message that are searched for the lines that a restarted program repeats.
const BEFORE: usize = 64 << 10;

/// What shows that the failure in a message was not the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RecoveryProof {
    /// The program serves or works normally.
    Work,
    /// The program serves.
    Serving,
    /// It serves after a retry.
    Retry,
}

/// What follows a message, in the lines of the program or container that printed it.
#[derive(Debug)]
pub struct Aftermath {
    proof: RecoveryProof,
    /// The command that a shell did not find. Errors without it are of the program that started afterwards.
    command: Option<String>,
    /// The prefix of its lines, if the log has lines of several.
    stream: Vec<u8>,
    /// Whether the program served before its first occurrence. A program that restarts serves again.
    has_served: bool,
    /// Lines of normal work before its first occurrence.
    before: Vec<Vec<u8>>,
    /// How many lines of normal work are still missing. `None`: a line reported a failure or an end.
    missing: Option<usize>,
    needed: usize,
    lines: usize,
    /// How many of the next lines may still report a retry.
    near: usize,
    /// Where its last occurrence in the current piece of the log ends.
    from: usize,
    goes_on: bool,
    has_retried: bool,
    ends_well: bool,
}

impl Aftermath {
    /// Begins after the first occurrence of `symptom`, in `line` of `text`.
    pub fn new(symptom: &Symptom, text: &[u8], line: &Range<usize>) -> Aftermath {
        let line = whole_line(text, line);
        let before = &text[..line.start];
        let stream = stream(&text[line.clone()]);
        let shown = String::from_utf8_lossy(&text[line.clone()]);
        let is_warning = has_level(&shown, WARNING, 'W');
        let proof = match symptom.sign {
            _ if is_optional(symptom) => RecoveryProof::Work,
            _ if does_without(&shown) => RecoveryProof::Work,
            Sign::PackageForeign if is_warning => RecoveryProof::Work,
            Sign::PackageForeign => RecoveryProof::Serving,
            _ => RecoveryProof::Retry,
        };
        let needed = if is_warning { 1 } else { WORK };
        let nearest = &before[before.len().saturating_sub(BEFORE)..];
        let work = lines(nearest).filter(|(line, _)| proof == RecoveryProof::Work && is_work(line));
        Aftermath {
            proof,
            command: symptom.path.clone().filter(|_| symptom.sign == Sign::CommandNotFound),
            has_served: serves(before, stream),
            before: work.map(|(line, _)| shape(line)).collect(),
            stream: stream.to_vec(),
            missing: Some(needed),
            needed,
            lines: 0,
            near: RETRY_LINES,
            from: line.end,
            goes_on: false,
            has_retried: false,
            ends_well: false,
        }
    }

    /// The message occurs again, in a line that ends at `end`.
    pub fn again(&mut self, end: usize) {
        (self.goes_on, self.missing, self.lines, self.from) = (false, Some(self.needed), 0, end);
        (self.has_retried, self.ends_well, self.near) = (false, false, RETRY_LINES);
    }

    pub fn outcome(&self) -> MessageOutcome {
        match (self.goes_on, self.ends_well) {
            (true, _) => MessageOutcome::WentOn,
            (false, true) => MessageOutcome::Succeeded,
            (false, false) => MessageOutcome::Open,
        }
    }

    /// Whether what follows is not known to be normal work.
    fn is_open(&self) -> bool {
        !self.goes_on && !self.has_served && (self.proof != RecoveryProof::Retry || self.has_retried)
    }

    fn read(&mut self, text: &[u8], ends: &mut Ends) {
        self.ends_well = ends.well(text, self.from, &self.stream).unwrap_or(self.ends_well);
        let text = text.get(self.from..).unwrap_or_default();
        match self.proof {
            RecoveryProof::Work => self.goes_on = self.goes_on || self.works(text),
            RecoveryProof::Serving => {}
            RecoveryProof::Retry => {
                self.has_retried = self.has_retried || self.retries(text);
                self.goes_on = self.goes_on || (self.has_retried && self.works(text));
            }
        }
    }

    /// Whether one of the next lines reports another attempt.
    fn retries(&mut self, text: &[u8]) -> bool {
        for (line, _) in lines(text) {
            if self.near == 0 || self.lines == LINES {
                return false;
            }
            self.lines += 1;
            if stream(line) == self.stream {
                self.near -= 1;
                let lower = String::from_utf8_lossy(line).to_ascii_lowercase();
                if RETRYING.iter().chain(WITHOUT).any(|text| lower.contains(text)) {
                    self.lines = 0;
                    return true;
                }
            }
        }
        false
    }

    fn works(&mut self, text: &[u8]) -> bool {
        for (line, _) in lines(text) {
            let Some(missing) = self.missing.filter(|_| self.lines < LINES) else { return false };
            self.lines += 1;
            if stream(line) != self.stream {
                continue;
            }
            if self.command.as_deref().is_some_and(|command| is_other_exception(line, command)) {
                return true;
            }
            if is_end(line) {
                self.missing = None;
            } else if is_work(line) && !self.before.contains(&shape(line)) {
                self.missing = Some(missing - 1);
                if missing == 1 {
                    return true;
                }
            }
        }
        false
    }
}

/// Whether a program reports an exception, `ValueError: text`, that is not about the command.
fn is_other_exception(line: &[u8], command: &str) -> bool {
    let line = String::from_utf8_lossy(line);
    let name = line.split_once(": ").map_or("", |(name, _)| name.rsplit(char::is_whitespace).next().unwrap_or(name));
    let is_kind = ["Error", "Exception"].iter().any(|end| name.len() > end.len() && name.ends_with(end));
    is_kind && !line.contains(command) && !line.contains("127") && !line.contains("command")
}

/// Whether the message itself says that the program does without.
fn does_without(line: &str) -> bool {
    let lower = line.to_ascii_lowercase();
    WITHOUT.iter().any(|text| lower.contains(text))
}

/// Whether each stream of a piece of the log ends well, which most messages share.
#[derive(Default)]
struct Ends(HashMap<Vec<u8>, Option<bool>>);

impl Ends {
    /// The same for the lines of `text` from `from`.
    fn well(&mut self, text: &[u8], from: usize, stream: &[u8]) -> Option<bool> {
        let after = text.get(from..).unwrap_or_default();
        if after.len() < conclusion::LAST_BYTES {
            return conclusion::ends_well(after, stream);
        }
        match self.0.get(stream) {
            Some(known) => *known,
            None => {
                let ends = conclusion::ends_well(after, stream);
                self.0.insert(stream.to_vec(), ends);
                ends
            }
        }
    }
}

/// Reads a piece of the log, of which each message has seen the part before its last occurrence.
pub fn read_on(aftermaths: &mut [Aftermath], text: &[u8]) {
    let mut ends = Ends::default();
    for one in aftermaths.iter_mut() {
        one.read(text, &mut ends);
    }
    let mut from = aftermaths.iter().filter(|one| one.is_open()).map(|one| one.from).min();
    while let Some(hit) = from.and_then(|from| Some((from, SERVING_TEXTS.find(text.get(from..)?)?))) {
        let (at, hit) = hit;
        let line = whole_line(text, &(at + hit.start()..at + hit.end()));
        let (shown, end) = (&text[line.clone()], line.end);
        let stream = stream(shown);
        let mut open = aftermaths.iter_mut().filter(|one| one.is_open() && one.from < end && one.stream == stream);
        if let Some(first) = open.next()
            && !is_end(shown)
        {
            first.goes_on = true;
            open.for_each(|one| one.goes_on = true);
        }
        from = aftermaths.iter().any(Aftermath::is_open).then_some(end);
    }
    for one in aftermaths {
        one.from = 0;
    }
}

/// Whether a program may do without what the message reports as missing. A runtime, a supervisor or a CI service
/// reports it of what it is to start.
fn is_optional(symptom: &Symptom) -> bool {
    let is_starter = matches!(
        symptom.speaker,
        Speaker::Runtime
            | Speaker::OldRunc
            | Speaker::Crun
            | Speaker::Gvisor
            | Speaker::Youki
            | Speaker::Podman
            | Speaker::Docker
            | Speaker::Containerd
            | Speaker::Kubelet
            | Speaker::Fly
            | Speaker::Lambda
            | Speaker::CloudRun
            | Speaker::BuildKit
            | Speaker::Buildah
            | Speaker::Tini
            | Speaker::DumbInit
            | Speaker::Catatonit
            | Speaker::Gosu
            | Speaker::S6
            | Speaker::Runit
            | Speaker::Supervisord
            | Speaker::Systemd
            | Speaker::Ci
    );
    let is_lookup = matches!(
        symptom.sign,
        Sign::NotOnPath
            | Sign::CommandNotFound
            | Sign::ShellFileMissing
            | Sign::EnvNotFound
            | Sign::Exec(Errno::ENOENT)
            | Sign::LibraryMissing
            | Sign::ModuleMissing
            | Sign::LoaderMissing
            | Sign::EmulatedLoaderMissing
            | Sign::PreloadIgnored
    );
    let is_own_check =
        matches!(symptom.sign, Sign::CpuLevel | Sign::ArchitectureUnsupported) && symptom.speaker == Speaker::Program;
    is_own_check || is_lookup && !is_starter && (symptom.speaker != Speaker::Runc || symptom.is_programs_own())
}

/// Whether a line of this stream in `text` reports that a server works.
fn serves(text: &[u8], of: &[u8]) -> bool {
    let mut from = 0;
    while let Some(hit) = text.get(from..).and_then(|rest| SERVING_TEXTS.find(rest)) {
        let line = whole_line(text, &(from + hit.start()..from + hit.end()));
        from = line.end;
        if stream(&text[line.clone()]) == of && !is_end(&text[line]) {
            return true;
        }
    }
    false
}

fn is_work(line: &[u8]) -> bool {
    let line = String::from_utf8_lossy(line);
    has_level(&line, INFO, 'I') || is_build_step(&line)
}

/// Whether a builder of images goes on: ` ---> 1f2e3d`, `Step 5/9 : RUN make`.
fn is_build_step(line: &str) -> bool {
    let is_step = |rest: &str| rest.split_once(" : ").is_some_and(|(number, _)| number.contains('/'));
    line.trim_start().starts_with("---> ") || line.strip_prefix("Step ").is_some_and(is_step)
}

/// Whether a line has one of the marks, or begins with klog's letter and date: `I1101 10:00:00.1 1 server.go:88] text`.
fn has_level(line: &str, marks: &[&str], klog: char) -> bool {
    let is_date = |word: &str| {
        let date = word.strip_prefix(klog);
        date.is_some_and(|date| date.len() == 4 && date.bytes().all(|byte| byte.is_ascii_digit()))
    };
    marks.iter().any(|mark| line.contains(mark)) || line.split_whitespace().take(4).any(is_date)
}

/// A line without digits, which differ between runs.
fn shape(line: &[u8]) -> Vec<u8> {
    line.iter().copied().filter(|byte| !byte.is_ascii_digit()).collect()
}

/// The line that contains `part`, as far as it is near: a line may be very long.
fn whole_line(text: &[u8], part: &Range<usize>) -> Range<usize> {
    const SIDE: usize = 4 << 10;
    let before = &text[part.start.saturating_sub(SIDE)..part.start];
    let after = &text[part.end..text.len().min(part.end + SIDE)];
    let start = before.iter().rposition(|byte| *byte == b'\n').map_or(before.len(), |at| before.len() - at - 1);
    let end = after.iter().position(|byte| *byte == b'\n').unwrap_or(after.len());
    part.start - start..part.end + end
}

#[cfg(test)]
#[path = "aftermath_tests.rs"]
mod tests;
