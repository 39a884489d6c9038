//! Fills in the variables of Compose files: `$NAME` and `${NAME...}`. Pure.
//! Source: the Compose specification, interpolation; compose-go's template.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// Maximum bytes of values that are filled into one project.
const MAX_FILLED: usize = 16 << 20;
/// Maximum depth of nested values: `${A:-${B:-c}}`.
const DEPTH: usize = 16;

/// The sources of variables, and the variables without a value.
pub struct ComposeVariables<'a> {
    /// The user's environment, which takes precedence.
    pub environment: &'a dyn Fn(&str) -> Option<String>,
    /// Values from `.env`.
    pub file: BTreeMap<String, String>,
    /// Variables without a value, which Compose replaces with an empty string.
    pub unset: BTreeSet<String>,
    /// Bytes filled in so far.
    pub spent: usize,
}

impl ComposeVariables<'_> {
    pub fn value(&self, name: &str) -> Option<String> {
        (self.environment)(name).or_else(|| self.file.get(name).cloned())
    }

    /// Fills in every string below `value`, but not keys.
    pub fn fill(&mut self, value: &mut Value) -> Result<(), String> {
        match value {
            Value::String(text) => *text = self.interpolate(text)?,
            Value::Array(items) => items.iter_mut().try_for_each(|item| self.fill(item))?,
            Value::Object(fields) => fields.values_mut().try_for_each(|field| self.fill(field))?,
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
        Ok(())
    }

    /// Replaces `$NAME`, `${NAME}`, `${NAME:-default}`, `${NAME-default}`, `${NAME:?why}`, `${NAME:+other}` and `$$`. A
    /// variable without a value becomes an empty string and is recorded in `unset`.
    pub fn interpolate(&mut self, text: &str) -> Result<String, String> {
        self.within(text, 0)
    }

    fn within(&mut self, text: &str, depth: usize) -> Result<String, String> {
        if depth > DEPTH {
            return Err(format!("{text:?} is nested too deeply"));
        }
        let (mut out, mut rest) = (String::new(), text);
        while let Some((before, after)) = rest.split_once('$') {
            out.push_str(before);
            if let Some(tail) = after.strip_prefix('$') {
                out.push('$');
                rest = tail;
            } else if let Some(braced) = after.strip_prefix('{') {
                let end = closing(braced).ok_or_else(|| format!("{text:?} has an unclosed ${{"))?;
                let inside = self.expand(&braced[..end], text, depth)?;
                self.spend(&inside)?;
                out.push_str(&inside);
                rest = &braced[end + 1..];
            } else {
                let (name, tail) = after.split_at(name_end(after));
                // A dollar sign without a name is literal.
                let value = if name.is_empty() { "$".to_string() } else { self.plain(name) };
                self.spend(&value)?;
                out.push_str(&value);
                rest = tail;
            }
        }
        out.push_str(rest);
        Ok(out)
    }

    fn spend(&mut self, value: &str) -> Result<(), String> {
        self.spent += value.len();
        if self.spent > MAX_FILLED {
            Err(format!("its variables expand to more than {MAX_FILLED} bytes"))
        } else {
            Ok(())
        }
    }

    fn plain(&mut self, name: &str) -> String {
        self.value(name).unwrap_or_else(|| {
            self.unset.insert(name.to_string());
            String::new()
        })
    }

    fn expand(&mut self, inside: &str, text: &str, depth: usize) -> Result<String, String> {
        let (name, operation) = inside.split_at(name_end(inside));
        if name.is_empty() {
            return Err(format!("invalid interpolation format: {text:?}"));
        }
        let (is_filled_wanted, operation) = match operation.strip_prefix(':') {
            Some(operation) => (true, operation),
            None => (false, operation),
        };
        let value = self.value(name).filter(|value| !is_filled_wanted || !value.is_empty());
        let mut operator = operation.chars();
        match (operator.next(), operator.as_str()) {
            (None, _) if !is_filled_wanted => Ok(self.plain(name)),
            (Some('-'), word) => value.map_or_else(|| self.within(word, depth + 1), Ok),
            (Some('+'), word) => value.map_or_else(|| Ok(String::new()), |_| self.within(word, depth + 1)),
            (Some('?'), why) => match value {
                Some(value) => Ok(value),
                None if why.is_empty() => Err(format!("required variable {name} is missing a value")),
                None => Err(format!("required variable {name} is missing a value: {}", self.within(why, depth + 1)?)),
            },
            _ => Err(format!("invalid interpolation format: {text:?}")),
        }
    }
}

fn name_end(text: &str) -> usize {
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return 0;
    }
    text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len())
}

/// The position of the brace that closes the one before `text`.
fn closing(text: &str) -> Option<usize> {
    let (mut open, mut last) = (1, ' ');
    for (at, letter) in text.char_indices() {
        match letter {
            '{' if last == '$' => open += 1,
            '}' if open == 1 => return Some(at),
            '}' => open -= 1,
            _ => {}
        }
        last = letter;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(name: &str) -> Option<String> {
        match name {
            "TAG" => Some("1.2".to_string()),
            "EMPTY" => Some(String::new()),
            _ => None,
        }
    }

    fn check(text: &str, expected: Result<&str, &str>) {
        let file = BTreeMap::from([("TAG".to_string(), "9".to_string()), ("FILE".to_string(), "f".to_string())]);
        let mut variables = ComposeVariables { environment: &environment, file, unset: BTreeSet::new(), spent: 0 };
        let found = variables.interpolate(text);
        assert_eq!(found, expected.map(str::to_string).map_err(str::to_string), "{text}");
        assert_eq!(variables.unset.contains("NONE"), expected.is_ok() && text.contains("NONE}"), "{text}");
    }

    #[test]
    fn variables_are_filled_in_as_compose_does() {
        check("app:${TAG}", Ok("app:1.2"));
        check("app:$TAG-slim", Ok("app:1.2-slim"));
        check("app:${FILE}", Ok("app:f"));
        check("app:${NO:-latest}", Ok("app:latest"));
        check("app:${NO:-${TAG:-x}}", Ok("app:1.2"));
        check("app:${EMPTY:-x}", Ok("app:x"));
        check("app:${EMPTY-x}", Ok("app:"));
        check("app${TAG:+-full}", Ok("app-full"));
        check("cost$$ $ 5$5", Ok("cost$ $ 5$5"));
        check("app:${NONE}", Ok("app:"));
        check("app:${NO:?set it}", Err("required variable NO is missing a value: set it"));
        check("app:${NO?set ${TAG}}", Err("required variable NO is missing a value: set 1.2"));
        check("app:${EMPTY:?}", Err("required variable EMPTY is missing a value"));
        check("app:${TAG", Err("\"app:${TAG\" has an unclosed ${"));
    }

    #[test]
    fn values_that_are_filled_in_are_bounded() {
        let file: BTreeMap<String, String> = [("A".to_string(), "x".repeat(1 << 20))].into();
        let mut variables = ComposeVariables { environment: &|_| None, file, unset: BTreeSet::new(), spent: 0 };
        let error = variables.interpolate(&"$A".repeat(1000)).unwrap_err();
        assert!(error.contains("more than"), "{error}");
        assert!(variables.spent <= MAX_FILLED + (1 << 20), "{}", variables.spent);
    }
}
