//! Variable references in a Dockerfile, and their expansion.

use std::collections::BTreeMap;
use std::ops::Range;

use super::BuildVariable;

/// The variables that BuildKit sets. Source: Dockerfile reference, "Automatic platform ARGs".
pub const AUTOMATIC: &[&str] = &[
    "TARGETPLATFORM",
    "TARGETOS",
    "TARGETARCH",
    "TARGETVARIANT",
    "BUILDPLATFORM",
    "BUILDOS",
    "BUILDARCH",
    "BUILDVARIANT",
];

/// Whether BuildKit sets this variable, and its name starts with `TARGET` or `BUILD`.
pub fn is_automatic(name: &str, start: &str) -> bool {
    name.starts_with(start) && AUTOMATIC.contains(&name)
}

/// Replaces `$NAME` and `${NAME...}` in `text` with their values in `known`. Also returns the variables that were used.
/// References to unknown variables stay unchanged. Source: Dockerfile reference, "Environment replacement".
pub fn expand<'v>(text: &str, known: &'v BTreeMap<String, BuildVariable>) -> (String, Vec<&'v BuildVariable>) {
    let mut used = Vec::new();
    let mut expanded = String::new();
    let mut rest = text;
    while let Some(dollar) = rest.find('$') {
        expanded.push_str(&rest[..dollar]);
        rest = &rest[dollar..];
        let Some(reference) = variable_reference(rest) else {
            expanded.push('$');
            rest = &rest[1..];
            continue;
        };
        let variable = known.get(reference.name);
        let value = variable.and_then(|variable| variable.value.as_ref()).map(|(value, _)| value.as_str());
        match (reference.operator, value) {
            ("" | "-" | ":-", Some(value)) => {
                expanded.push_str(value);
                used.extend(variable);
            }
            // The builder always sets the automatic variables, so their defaults never apply.
            ("-" | ":-", None) if !AUTOMATIC.contains(&reference.name) => expanded.push_str(reference.operand),
            _ => expanded.push_str(&rest[..reference.length]),
        }
        rest = &rest[reference.length..];
    }
    expanded.push_str(rest);
    (expanded, used)
}

/// Maximum depth of variables within variables.
pub const MAX_EXPANSIONS: usize = 5;
/// Maximum size of an expanded text, in bytes. A variable that names another one twice doubles it.
const EXPANDED_LIMIT: usize = 16 << 10;

/// An expanded text.
#[derive(Debug)]
pub struct Expanded<'v> {
    pub text: String,
    /// In order and without gaps.
    pub pieces: Vec<TextPiece<'v>>,
}

/// A part of an expanded text.
#[derive(Debug)]
pub struct TextPiece<'v> {
    /// Bytes of the expanded text.
    pub range: Range<usize>,
    /// Bytes of the original text: the same literal text, or the reference.
    pub source: Range<usize>,
    /// The variable whose value it is. `None` for literal text and references to unknown variables.
    pub variable: Option<&'v BuildVariable>,
}

/// Like [`expand`], but also expands the values of variables, and records the origin of each part.
pub fn expand_pieces<'v>(text: &str, known: &'v BTreeMap<String, BuildVariable>) -> Expanded<'v> {
    let mut expanded = Expanded { text: String::new(), pieces: Vec::new() };
    let mut add = |part: &str, source: Range<usize>, variable: Option<&'v BuildVariable>| {
        let start = expanded.text.len();
        expanded.text.push_str(part);
        expanded.pieces.push(TextPiece { range: start..expanded.text.len(), source, variable });
    };
    let mut at = 0;
    while at < text.len() {
        let Some(dollar) = text[at..].find('$').map(|found| at + found) else { break };
        add(&text[at..dollar], at..dollar, None);
        let length = variable_reference(&text[dollar..]).map_or(1, |reference| reference.length);
        let reference = variable_reference(&text[dollar..]);
        let source = dollar..dollar + length;
        let variable = reference
            .filter(|reference| matches!(reference.operator, "" | "-" | ":-"))
            .and_then(|reference| known.get(reference.name))
            .filter(|variable| variable.value.is_some());
        match variable {
            Some(variable) => {
                let mut value = format!("${{{}}}", variable.name);
                for _ in 0..MAX_EXPANSIONS {
                    if !value.contains('$') || value.len() > EXPANDED_LIMIT {
                        break;
                    }
                    value = expand(&value, known).0;
                }
                value.truncate(
                    (0..=EXPANDED_LIMIT.min(value.len())).rev().find(|at| value.is_char_boundary(*at)).unwrap_or(0),
                );
                add(&value, source, Some(variable));
            }
            None => add(&text[source.clone()], source, None),
        }
        at = dollar + length;
    }
    add(&text[at..], at..text.len(), None);
    expanded
}

/// `$NAME` or `${NAME<operator><operand>}` at the start of a text.
#[derive(Debug, PartialEq, Eq)]
pub struct VariableReference<'t> {
    pub name: &'t str,
    pub operator: &'t str,
    pub operand: &'t str,
    /// Length in bytes.
    pub length: usize,
}

/// Parses the reference at the start of `text`, which starts with `$`.
pub fn variable_reference(text: &str) -> Option<VariableReference<'_>> {
    let name_length = |text: &str| text.bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count();
    let Some(inner) = text.strip_prefix("${") else {
        let name = &text[1..1 + name_length(text.get(1..)?)];
        return (!name.is_empty()).then_some(VariableReference {
            name,
            operator: "",
            operand: "",
            length: 1 + name.len(),
        });
    };
    let inner = &inner[..inner.find('}')?];
    let (name, rest) = inner.split_at(name_length(inner));
    let operator_length =
        rest.bytes().take_while(|b| matches!(b, b':' | b'-' | b'+' | b'?' | b'#' | b'%' | b'/')).count();
    let (operator, operand) = rest.split_at(operator_length);
    (!name.is_empty()).then_some(VariableReference { name, operator, operand, length: inner.len() + 3 })
}

/// Returns all variable references in `text`, with the positions of their first bytes.
pub fn references(text: &str) -> Vec<(usize, VariableReference<'_>)> {
    text.match_indices('$').filter_map(|(at, _)| variable_reference(&text[at..]).map(|found| (at, found))).collect()
}
