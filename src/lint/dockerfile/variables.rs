//! Variables as a Dockerfile writes them: references to them, and what a text is with their values in their places.

use std::collections::BTreeMap;

use super::Variable;

/// The variables that BuildKit sets by itself. Source: Dockerfile reference, "Automatic platform ARGs".
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

/// `text` with `$NAME` and `${NAME...}` replaced by what `known` holds, and the variables that were used.
/// Unknown ones stay as they are written. Source: Dockerfile reference, "Environment replacement".
pub fn expand<'v>(text: &str, known: &'v BTreeMap<String, Variable>) -> (String, Vec<&'v Variable>) {
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
            // The builder always sets its own: their default is never taken.
            ("-" | ":-", None) if !AUTOMATIC.contains(&reference.name) => expanded.push_str(reference.operand),
            _ => expanded.push_str(&rest[..reference.length]),
        }
        rest = &rest[reference.length..];
    }
    expanded.push_str(rest);
    (expanded, used)
}

/// `$NAME` or `${NAME<operator><operand>}` at the start of a text.
#[derive(Debug, PartialEq, Eq)]
pub struct VariableReference<'t> {
    pub name: &'t str,
    pub operator: &'t str,
    pub operand: &'t str,
    /// Bytes that it takes.
    pub length: usize,
}

/// The reference that `text`, which starts with `$`, begins with.
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

/// Every variable that `text` refers to, with the byte at which the reference starts.
pub fn references(text: &str) -> Vec<(usize, VariableReference<'_>)> {
    text.match_indices('$').filter_map(|(at, _)| variable_reference(&text[at..]).map(|found| (at, found))).collect()
}
