//! Compose files: each service that names an image is a workload. Pure.
//! Source: the Compose specification, services and interpolation.

use serde_json::Value;

use super::manifest::ManifestError;
use super::object::PodSpec;
use super::workload::{ContainerUse, Role, Workload};
use crate::platform::Platform;

/// A Compose file's services. A service that is only built here, and has no `image:`, is left out: there is nothing to read.
pub fn services(
    name: &str,
    file: &Value,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<Vec<Workload>, ManifestError> {
    let Some(services) = file["services"].as_object() else { return Ok(Vec::new()) };
    let mut workloads = Vec::new();
    for (service, body) in services {
        let refuse = |cause: String| ManifestError::Compose { name: name.to_string(), service: service.clone(), cause };
        let text = |key: &str| body[key].as_str().map(|text| interpolate(text, variable).map_err(refuse)).transpose();
        let Some(image) = text("image")? else { continue };
        let platform = text("platform")?.map(|text| Platform::parse(&text).map_err(|error| refuse(error.to_string())));
        let words = |key: &str| command(&body[key], variable).map_err(refuse);
        let container = ContainerUse {
            name: service.clone(),
            role: Role::Main,
            image,
            command: words("entrypoint")?,
            args: words("command")?,
            working_dir: text("working_dir")?,
            platform: platform.transpose()?,
        };
        workloads.push(Workload {
            kind: "service".to_string(),
            name: service.clone(),
            namespace: None,
            containers: vec![container],
            pod: PodSpec::default(),
        });
    }
    Ok(workloads)
}

/// `command:` is a list, or a string that is split as a shell splits words; an absent one is the image's.
fn command(value: &Value, variable: &dyn Fn(&str) -> Option<String>) -> Result<Option<Vec<String>>, String> {
    match value {
        Value::String(text) => Ok(Some(split(&interpolate(text, variable)?)?)),
        Value::Array(items) => {
            let word = |item: &Value| match item {
                Value::String(text) => interpolate(text, variable),
                other => Ok(other.to_string()),
            };
            items.iter().map(word).collect::<Result<Vec<_>, _>>().map(Some)
        }
        _ => Ok(None),
    }
}

/// Words of a POSIX shell line: quotes and backslashes, no expansion.
fn split(text: &str) -> Result<Vec<String>, String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match (letter, quote) {
            ('\'' | '"', None) => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (_, Some(open)) if letter == open => quote = None,
            ('\\', None | Some('"')) => word.get_or_insert_default().extend(letters.next()),
            (' ' | '\t' | '\n', None) => words.extend(word.take()),
            _ => word.get_or_insert_default().push(letter),
        }
    }
    if quote.is_some() {
        return Err(format!("{text:?} has an open quote"));
    }
    words.extend(word);
    Ok(words)
}

/// `$NAME`, `${NAME}`, `${NAME:-default}`, `${NAME-default}`, `${NAME:?why}`, `$$`. A variable that is set nowhere and has no
/// default is an error here, for an image's name with a hole in it names nothing.
fn interpolate(text: &str, variable: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let (mut out, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        if let Some(tail) = after.strip_prefix('$') {
            out.push('$');
            rest = tail;
        } else if let Some(braced) = after.strip_prefix('{') {
            let (inside, tail) = braced.split_once('}').ok_or_else(|| format!("{text:?} has an open ${{"))?;
            out.push_str(&expand(inside, variable)?);
            rest = tail;
        } else {
            let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(after.len());
            let (name, tail) = after.split_at(end);
            out.push_str(&expand(name, variable)?);
            rest = tail;
        }
    }
    out.push_str(rest);
    Ok(out)
}

fn expand(inside: &str, variable: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let end = inside.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(inside.len());
    let (name, operator) = inside.split_at(end);
    let value = variable(name);
    let filled = || value.clone().filter(|value| !value.is_empty());
    match operator {
        _ if operator.starts_with(":-") => Ok(filled().unwrap_or_else(|| operator[2..].to_string())),
        _ if operator.starts_with('-') => Ok(value.unwrap_or_else(|| operator[1..].to_string())),
        _ if operator.starts_with(":+") => Ok(filled().map_or_else(String::new, |_| operator[2..].to_string())),
        _ if operator.starts_with('+') => Ok(value.map_or_else(String::new, |_| operator[1..].to_string())),
        _ => value.ok_or_else(|| format!("the variable {name} is not set")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(name: &str) -> Option<String> {
        match name {
            "TAG" => Some("1.2".to_string()),
            "EMPTY" => Some(String::new()),
            _ => None,
        }
    }

    fn check(text: &str, expected: Result<&str, &str>) {
        assert_eq!(interpolate(text, &tag), expected.map(str::to_string).map_err(str::to_string), "{text}");
    }

    #[test]
    fn variables_are_filled_in_as_compose_does() {
        check("app:${TAG}", Ok("app:1.2"));
        check("app:$TAG-slim", Ok("app:1.2-slim"));
        check("app:${NONE:-latest}", Ok("app:latest"));
        check("app:${EMPTY:-x}", Ok("app:x"));
        check("app:${EMPTY-x}", Ok("app:"));
        check("app${TAG:+-full}", Ok("app-full"));
        check("cost$$", Ok("cost$"));
        check("app:${NONE}", Err("the variable NONE is not set"));
        check("app:${NONE:?set it}", Err("the variable NONE is not set"));
        check("app:${TAG", Err("\"app:${TAG\" has an open ${"));
    }

    #[test]
    fn a_command_is_split_as_a_shell_splits_words() {
        for (text, expected) in [
            ("a b  c", vec!["a", "b", "c"]),
            ("sh -c 'echo \"x y\"'", vec!["sh", "-c", "echo \"x y\""]),
            (r#"a\ b "c \" d" ''"#, vec!["a b", "c \" d", ""]),
        ] {
            assert_eq!(split(text).unwrap(), expected, "{text}");
        }
        assert!(split("a 'b").is_err());
    }
}
