//! Sections of supervisord's configuration, and the values of their keys.

use crate::exec::environment::variable;
use crate::exec::launch::interpret::UNKNOWN;

/// Maximum width of a number.
const MAX_WIDTH: usize = 16;

/// One `[section]` with its keys, values and line numbers.
pub(super) struct IniSection {
    pub name: String,
    /// The file that it is in, and the line of its name.
    pub path: String,
    pub line: usize,
    pub keys: Vec<(String, String, usize)>,
}

/// The values of `%(NAME)s`. Source: supervisord's documentation, "Configuration File".
pub(super) struct Expansions<'e> {
    pub env: &'e [String],
    /// The directory of the file.
    pub here: &'e str,
    /// The name of the program whose section is read.
    pub program: Option<&'e str>,
    /// The number of the process, and how many the program has.
    pub number: usize,
    pub count: usize,
}

/// Returns a number as Python's `%02d` writes it.
fn padded(value: &str, width: &str) -> String {
    let length = width.parse::<usize>().unwrap_or(0).min(MAX_WIDTH);
    match width.starts_with('0') {
        true => format!("{value:0>length$}"),
        false => format!("{value:>length$}"),
    }
}

impl<'e> Expansions<'e> {
    pub(super) fn of_section(env: &'e [String], here: &'e str, program: Option<&'e str>) -> Expansions<'e> {
        Expansions { env, here, program, number: 0, count: 1 }
    }
}

impl Expansions<'_> {
    /// Replaces `%(NAME)s`, `%(NAME)02d` and `%%`. What is only known at run time becomes unknown text.
    pub(super) fn expand(&self, text: &str) -> String {
        let mut expanded = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('%') {
            expanded.push_str(before);
            rest = match after.strip_prefix('(').and_then(|inner| inner.split_once(')')) {
                Some((name, format)) => {
                    let end = format.find(|c: char| !c.is_ascii_digit()).unwrap_or(format.len());
                    let (width, format) = format.split_at(end);
                    match self.value(name) {
                        Some(value) => expanded.push_str(&padded(&value, width)),
                        None => expanded.push(UNKNOWN),
                    }
                    format.strip_prefix(['s', 'd']).unwrap_or(format)
                }
                None => {
                    expanded.push('%');
                    after.strip_prefix('%').unwrap_or(after)
                }
            };
        }
        expanded + rest
    }

    pub(super) fn value(&self, name: &str) -> Option<String> {
        match (name, self.program) {
            ("here", _) => Some(self.here.to_string()),
            ("program_name" | "group_name", Some(program)) => Some(program.to_string()),
            ("process_num", Some(_)) => Some(self.number.to_string()),
            ("numprocs", Some(_)) => Some(self.count.to_string()),
            (name, _) => variable(self.env, name.strip_prefix("ENV_")?).map(str::to_string),
        }
    }
}

impl IniSection {
    pub(super) fn value(&self, name: &str) -> Option<&(String, String, usize)> {
        self.keys.iter().rfind(|(key, ..)| key == name)
    }

    /// The variables of its `environment`.
    pub(super) fn environment(&self, expansions: &Expansions<'_>) -> Vec<String> {
        let text = self.value("environment").map_or("", |(_, value, _)| value.as_str());
        let pairs = split_outside_quotes(text).into_iter().filter_map(|pair| {
            let (name, value) = pair.trim().split_once('=')?;
            let value = expansions.expand(value.trim().trim_matches(['"', '\'']));
            Some(format!("{}={value}", name.trim()))
        });
        pairs.collect()
    }
}

/// Splits at the commas that are not in quotes.
pub(super) fn split_outside_quotes(text: &str) -> Vec<&str> {
    let (mut parts, mut start, mut open) = (Vec::new(), 0, None);
    for (at, c) in text.char_indices() {
        match (c, open) {
            ('"' | '\'', None) => open = Some(c),
            (quote, Some(opening)) if quote == opening => open = None,
            (',', None) => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

pub(super) fn sections(text: &str, path: &str) -> Vec<IniSection> {
    let mut sections: Vec<IniSection> = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let is_continued = line.starts_with([' ', '\t']);
        let line = line.split(" ;").next().unwrap_or("").trim();
        if line.is_empty() || line.starts_with([';', '#']) {
            continue;
        }
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            let (name, path) = (name.trim().to_string(), path.to_string());
            sections.push(IniSection { name, path, line: at + 1, keys: Vec::new() });
            continue;
        }
        let Some(section) = sections.last_mut() else { continue };
        match (is_continued, section.keys.last_mut(), line.split_once(['=', ':'])) {
            (true, Some((_, value, _)), _) => {
                value.push(' ');
                value.push_str(line);
            }
            (_, _, Some((key, value))) => section.keys.push((key.trim().to_string(), value.trim().to_string(), at + 1)),
            _ => {}
        }
    }
    sections
}
