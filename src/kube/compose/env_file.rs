//! Reads files of variables: `.env`, and a service's `env_file`. Pure.
//! Source: compose-go's dotenv parser.

use std::collections::{BTreeMap, BTreeSet};

use super::variables::ComposeVariables;

/// Reads the lines `NAME=value` of a file and adds them to `known`, the variables of earlier files. Values without quotes,
/// and in double quotes, are interpolated: `known` comes before `project`, and both before the file's own earlier lines. A
/// name without a value takes that of `known` or `project`.
///
/// # Errors
/// A line is not an assignment, or a quote is not closed. The text names the line.
pub fn read(
    text: &str,
    known: BTreeMap<String, String>,
    project: &mut ComposeVariables<'_>,
) -> Result<BTreeMap<String, String>, String> {
    let outer = |name: &str| known.get(name).cloned().or_else(|| project.value(name));
    let own = BTreeMap::new();
    let mut variables =
        ComposeVariables { environment: &outer, file: own, unset: BTreeSet::new(), spent: project.spent };
    let mut rest = text.trim_start_matches('\u{feff}');
    let result = loop {
        rest = rest.trim_start();
        if rest.is_empty() {
            break Ok(());
        }
        if rest.starts_with('#') {
            rest = rest.split_once('\n').map_or("", |(_, next)| next);
            continue;
        }
        match statement(rest, &mut variables) {
            Ok(next) => rest = next,
            Err(cause) => {
                let line = 1 + text[..text.len() - rest.len()].matches('\n').count();
                break Err(format!("line {line}: {cause}"));
            }
        }
    };
    let ComposeVariables { file, unset, spent, .. } = variables;
    project.unset.extend(unset);
    project.spent = spent;
    result.map(|()| known.into_iter().chain(file).collect())
}

/// Reads a file of which Docker takes each line literally (`format: raw`).
pub fn read_raw(text: &str) -> BTreeMap<String, String> {
    let lines = text.lines().filter(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#'));
    lines.filter_map(|line| line.split_once('=')).map(|(name, value)| (name.to_string(), value.to_string())).collect()
}

/// Reads one assignment into `variables` and returns the text after it.
fn statement<'a>(text: &'a str, variables: &mut ComposeVariables<'_>) -> Result<&'a str, String> {
    let text = match text.strip_prefix("export") {
        Some(rest) if rest.starts_with(char::is_whitespace) => rest.trim_start_matches(is_blank),
        _ => text,
    };
    let end = text.find(['=', ':', '\n']).unwrap_or(text.len());
    let name = text[..end].trim_end();
    let is_allowed = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '.' | '-' | '[' | ']');
    if let Some(letter) = name.chars().find(|letter| !is_allowed(*letter)) {
        return Err(format!("unexpected character {letter:?} in variable name {name:?}"));
    }
    let rest = &text[end..];
    if !rest.starts_with(['=', ':']) {
        if let Some(value) = variables.value(name) {
            keep(name, value, variables);
        }
        return Ok(rest);
    }
    let value = rest[1..].trim_start_matches(is_blank);
    let (value, rest) = match value.chars().next() {
        Some(quote @ ('"' | '\'')) => {
            let (inside, rest) = quoted(&value[1..], quote).ok_or_else(|| format!("{name} has an unclosed quote"))?;
            let value = if quote == '"' { variables.interpolate(&unescaped(&inside))? } else { inside };
            (value, rest)
        }
        _ => {
            let (line, rest) = value.split_once('\n').unwrap_or((value, ""));
            let bare = line.split(" #").next().unwrap_or_default().trim_end();
            (variables.interpolate(bare)?, rest)
        }
    };
    keep(name, value, variables);
    Ok(rest)
}

fn keep(name: &str, value: String, variables: &mut ComposeVariables<'_>) {
    if !name.starts_with(|first: char| first.is_ascii_digit()) {
        variables.file.insert(name.to_string(), value);
    }
}

fn is_blank(letter: char) -> bool {
    letter != '\n' && letter.is_whitespace()
}

/// The content of a quoted value, and the text after it. A backslash before the quote is dropped; others stay.
fn quoted(text: &str, quote: char) -> Option<(String, &str)> {
    let (mut inside, mut is_escaped) = (String::new(), false);
    for (at, letter) in text.char_indices() {
        match letter {
            _ if letter == quote && !is_escaped => return Some((inside, &text[at + letter.len_utf8()..])),
            '\\' if !is_escaped => {
                is_escaped = true;
                continue;
            }
            _ if is_escaped && letter != quote => inside.push('\\'),
            _ => {}
        }
        is_escaped = false;
        inside.push(letter);
    }
    None
}

/// Replaces the escapes of a value in double quotes. `\$` becomes `$$`, which is not interpolated.
fn unescaped(text: &str) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once('\\') {
        out.push_str(before);
        let Some(letter) = after.chars().next() else {
            out.push('\\');
            rest = after;
            break;
        };
        let mut length = letter.len_utf8();
        match letter {
            'a' => out.push('\u{7}'),
            'b' => out.push('\u{8}'),
            'c' => out.push_str("\\c"),
            'f' => out.push('\u{c}'),
            'n' => out.push('\n'),
            'r' => out.push('\r'),
            't' => out.push('\t'),
            'v' => out.push('\u{b}'),
            '$' => out.push_str("$$"),
            '"' | '\\' => out.push(letter),
            '0' if after.len() > 3 && after.as_bytes()[1..4].iter().all(|byte| matches!(byte, b'0'..=b'7')) => {
                let code = u32::from_str_radix(&after[1..4], 8).ok().and_then(char::from_u32);
                out.extend(code);
                length = 4;
            }
            _ => {
                out.push('\\');
                out.push(letter);
            }
        }
        rest = &after[length..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a file in a project that sets `P`.
    fn check(text: &str, expected: Result<&[(&str, &str)], &str>) {
        let environment = |name: &str| (name == "P").then(|| "p".to_string());
        let mut project =
            ComposeVariables { environment: &environment, file: BTreeMap::new(), unset: BTreeSet::new(), spent: 0 };
        let found = read(text, BTreeMap::new(), &mut project);
        let expected = expected
            .map(|pairs| pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect())
            .map_err(str::to_string);
        assert_eq!(found, expected, "{text}");
    }

    /// The values are what `docker compose config` printed for these files.
    #[test]
    fn a_file_of_variables_is_read_as_compose_reads_it() {
        check("# c\nA=1\nexport B='x # y'\nC=\"q\" # z\n", Ok(&[("A", "1"), ("B", "x # y"), ("C", "q")]));
        check("A=1\nB=${A}x\nC='${A}'\nE=$A-$UNSET\n", Ok(&[("A", "1"), ("B", "1x"), ("C", "${A}"), ("E", "1-")]));
        check("A=1\nI=${A:-d}${NONE:-dd}", Ok(&[("A", "1"), ("I", "1dd")]));
        check("A=1\nD=\"q ${A} \\n z \\\"y\\\" \\$A\"", Ok(&[("A", "1"), ("D", "q 1 \n z \"y\" $A")]));
        check(
            "G: colon\nH=\"multi\nline\"\nM=\nJ=a#b # c",
            Ok(&[("G", "colon"), ("H", "multi\nline"), ("J", "a#b"), ("M", "")]),
        );
        check(
            "O=$(echo hi)\nQ=\\$P\nT='a\\nb'\nX=a$$b\nU=x\\ty",
            Ok(&[("O", "$(echo hi)"), ("Q", "\\p"), ("T", "a\\nb"), ("U", "x\\ty"), ("X", "a$b")]),
        );
        check("P\nNONE\nP.Q=1\n1A=x\nO=\"\\0101\"", Ok(&[("O", "A"), ("P", "p"), ("P.Q", "1")]));
        check("A=1\nN='it''s'\n", Err("line 2: unexpected character '\\'' in variable name \"'s'\""));
        check("A=\"1\n", Err("line 1: A has an unclosed quote"));
    }

    #[test]
    fn a_raw_file_is_read_literally() {
        let expected = [("A", "'${B}' # c")].map(|(name, value)| (name.to_string(), value.to_string()));
        assert_eq!(read_raw("# c\n\nA='${B}' # c\n"), expected.into());
    }
}
