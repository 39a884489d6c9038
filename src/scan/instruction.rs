//! Renders Dockerfile instructions as builders record them in image history: texts with expanded variables, and the
//! paths that they copy to. Pure.

use std::collections::BTreeMap;

use crate::lint::dockerfile::{BuildStep, BuildVariable, Dockerfile, expand};

/// An instruction that may have created a layer.
pub struct Instruction {
    /// Counted from 1.
    pub line: usize,
    /// In capitals: `COPY`.
    word: String,
    /// The texts that builders may record, with variables expanded as far as the file defines them.
    texts: Vec<String>,
    /// The same text with unexpanded variables.
    written: String,
    /// The destination of COPY and ADD, or WORKDIR's directory; absolute if the file determines the base directory.
    place: Option<String>,
}

/// How well a step of a history and an instruction agree; 0: not at all.
const SAME: u32 = 4;
const SAME_PLACE: u32 = 3;
const PERHAPS: u32 = 2;

/// The instructions that can create layers, of a stage and of the stages that it is built FROM, lowest first.
pub fn of_stage(file: &Dockerfile<'_>, stage: usize) -> Vec<Instruction> {
    let mut lineage: Vec<usize> = std::iter::successors(Some(stage), |at| file.stages[*at].parent).collect();
    lineage.reverse();
    let (mut found, mut workdir) = (Vec::new(), String::new());
    for stage in lineage {
        for (index, step) in file.stages[stage].steps.iter().enumerate().filter(|(_, step)| !step.is_onbuild) {
            let word = file.text[step.span.clone()].split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
            if matches!(word.as_str(), "RUN" | "COPY" | "ADD" | "WORKDIR") {
                found.push(Instruction::read(file, step, word, &file.variables_at(stage, index), &mut workdir));
            }
        }
    }
    found
}

impl Instruction {
    fn read(
        file: &Dockerfile<'_>,
        step: &BuildStep,
        word: String,
        known: &BTreeMap<String, BuildVariable>,
        workdir: &mut String,
    ) -> Instruction {
        let (first, bodies) = parts(&file.text[step.span.clone()]);
        let written = key(&first);
        let expanded = if word == "RUN" { written.clone() } else { key(&expand(&first, known).0) };
        // A heredoc's body is the command if there is no other; otherwise it follows the command that reads it.
        let mut texts = vec![expanded];
        if !bodies.is_empty() {
            texts.push(squeeze(&format!("{written} {}", bodies.replace("\n\n", "\n"))));
            let body = bodies.lines().rev().skip(1).collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>();
            texts.push(squeeze(&format!("{word} {}", body.join("\n"))));
        }
        let place = (word != "RUN").then(|| absolute(&texts[0], workdir));
        if word == "WORKDIR" {
            workdir.clone_from(place.as_ref().expect("WORKDIR names a directory"));
        }
        let line = file.text[..step.span.start].matches('\n').count() + 1;
        Instruction { line, word, texts, written, place }
    }

    /// How well a step of a history, in the form of [`super::history::steps`], agrees with the instruction.
    pub fn agreement(&self, step: &str) -> u32 {
        let step = key(step);
        if step.split(' ').next() != Some(&self.word) {
            return 0;
        }
        if let (Some(own), Some(place)) = (&self.place, copied_to(&step)) {
            // The classic builder keeps a relative path as written; buildah keeps variables, too.
            let is_own = is_place(own, place) || [&self.texts[0], &self.written].iter().any(|t| last_word(t) == place);
            return if is_own { SAME_PLACE } else { 0 };
        }
        // kaniko records the instruction as written.
        if self.texts.contains(&step) || self.written == step {
            return SAME;
        }
        let named = step.strip_prefix("WORKDIR ");
        if let Some((own, place)) = self.place.as_ref().zip(named) {
            return if is_place(own, place) { SAME_PLACE } else { 0 };
        }
        if self.written.contains('$') && is_expanded(&self.written, &step) { PERHAPS } else { 0 }
    }
}

/// An instruction's own text, with continuation lines joined and comments removed, and the lines of its heredocs.
fn parts(text: &str) -> (String, String) {
    let mut first = String::new();
    let mut lines = text.lines();
    for line in lines.by_ref() {
        let line = line.trim();
        if line.starts_with('#') || line.is_empty() {
            continue;
        }
        let joined = line.strip_suffix('\\').or_else(|| line.strip_suffix('`'));
        first.push_str(joined.unwrap_or(line));
        first.push(' ');
        if joined.is_none() {
            break;
        }
    }
    (first, lines.collect::<Vec<_>>().join("\n"))
}

/// An instruction without extra spaces and without flags, some of which builders omit; its JSON form as words.
fn key(text: &str) -> String {
    let mut words = text.split_whitespace();
    let instruction = words.next().unwrap_or_default().to_ascii_uppercase();
    let rest = words.skip_while(|word| word.starts_with("--")).collect::<Vec<_>>().join(" ");
    let listed: Option<Vec<String>> = rest.starts_with('[').then(|| serde_json::from_str(&rest).ok()).flatten();
    let rest = listed.map_or(rest, |words| words.join(" "));
    // Builders that split words remove the quotes.
    let rest = if instruction == "RUN" { rest } else { rest.replace(['"', '\''], "") };
    format!("{instruction} {rest}").trim_end().to_string()
}

fn squeeze(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The last word of an instruction, below the current WORKDIR if that is known.
fn absolute(text: &str, workdir: &str) -> String {
    let place = last_word(text);
    let plain = place.trim_start_matches("./").trim_end_matches('/');
    match plain {
        "" | "." if !place.starts_with('/') => workdir.to_string(),
        _ if place.starts_with('/') || workdir.is_empty() => plain.to_string(),
        _ => format!("{}/{plain}", workdir.trim_end_matches('/')),
    }
}

fn last_word(text: &str) -> &str {
    text.rsplit(' ').next().unwrap_or_default()
}

/// The destination that the classic builder and buildah record: `COPY file:1234 in /app` for any source.
fn copied_to(step: &str) -> Option<&str> {
    let (what, place) = step.split_once(" in ")?;
    let source = what.split_whitespace().nth(1)?;
    ["file:", "dir:", "multi:"].iter().any(|kind| source.starts_with(kind)).then_some(place.trim())
}

/// Whether an instruction's destination matches the recorded one, as far as it is known.
fn is_place(own: &str, place: &str) -> bool {
    let place = place.trim_end_matches("/.").trim_end_matches('/');
    if own.contains('$') {
        return is_expanded(own, place);
    }
    own == place || (!own.starts_with('/') && (own.is_empty() || place.ends_with(&format!("/{own}"))))
}

/// Whether `step` is `text` with its variables expanded.
fn is_expanded(text: &str, step: &str) -> bool {
    let mut pieces = pieces(text).into_iter();
    let Some(mut rest) = pieces.next().and_then(|first| step.strip_prefix(first.as_str())) else { return false };
    let pieces: Vec<String> = pieces.collect();
    for (index, piece) in pieces.iter().enumerate() {
        let is_last = index + 1 == pieces.len();
        let found = if is_last && rest.ends_with(piece.as_str()) {
            Some(rest.len() - piece.len())
        } else {
            rest.find(piece.as_str())
        };
        let Some(at) = found else { return false };
        rest = &rest[at + piece.len()..];
    }
    rest.is_empty()
}

/// The parts of a text between its variables.
fn pieces(text: &str) -> Vec<String> {
    let mut pieces = vec![String::new()];
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        pieces.last_mut().expect("starts with one piece").push_str(before);
        pieces.push(String::new());
        rest = match after.strip_prefix('{').and_then(|inner| inner.split_once('}')) {
            Some((_, tail)) => tail,
            None => after.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '_'),
        };
    }
    pieces.last_mut().expect("starts with one piece").push_str(rest);
    pieces
}
