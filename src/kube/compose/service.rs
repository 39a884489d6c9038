//! Turns a Compose service, with its variables filled in, into a workload. Pure.
//! Source: the Compose specification, services.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::kube::object::PodSpec;
use crate::kube::process;
use crate::kube::workload::{ContainerRole, ContainerUse, Workload};
use crate::platform::{CapabilityChange, Platform};
use crate::scan::CallOverride;
use crate::scan::call::{Purpose, Sandbox, StatedBy};

/// The sources of a service's variables.
pub struct VariableOrigin<'a> {
    /// The variables of its `env_file`s.
    pub env_files: BTreeMap<String, String>,
    /// The project's own variables.
    pub value: &'a dyn Fn(&str) -> Option<String>,
}

/// The workload of a service. `None` if it does not name an image.
pub fn workload(name: &str, body: &Value, origin: &VariableOrigin<'_>) -> Result<Option<Workload>, String> {
    let text = |key: &str| body[key].as_str().map(str::to_string);
    let Some(image) = text("image") else { return Ok(None) };
    let platform = text("platform").filter(|text| !text.is_empty());
    let platform = platform.map(|text| platform_of(&text)).transpose()?;
    let capabilities =
        CapabilityChange::new(body["privileged"] == true, &texts(&body["cap_add"]), &texts(&body["cap_drop"]));
    let (user, group) = match text("user") {
        Some(user) => match user.split_once(':') {
            Some((user, group)) => (Some(user.to_string()), Some(group.to_string())),
            None => (Some(user), None),
        },
        None => (None, None),
    };
    let call = CallOverride {
        entrypoint: command(&body["entrypoint"])?,
        args: command(&body["command"])?,
        env: environment(body, origin),
        working_dir: text("working_dir"),
        user,
        group,
        groups: texts(&body["group_add"]).iter().filter_map(|group| group.parse().ok()).collect(),
        non_root: false,
        capabilities,
        sandbox: text("runtime").map_or(Sandbox::None, |runtime| process::sandbox(&runtime)),
        mounts: mounts(body),
        stated_by: StatedBy::Compose,
        purpose: Purpose::Started,
        named: None,
    };
    let pod = PodSpec { node_selector: placement(body), ..PodSpec::default() };
    let mut containers =
        vec![ContainerUse { name: name.to_string(), role: ContainerRole::Main, image, call, platform }];
    for volume in list(&body["volumes"]).filter(|volume| volume["type"] == "image") {
        let target = volume["target"].as_str().unwrap_or_default();
        containers
            .extend(volume["source"].as_str().map(|image| ContainerUse::mounted(target, ContainerRole::Volume, image)));
    }
    Ok(Some(Workload { kind: "service".to_string(), name: name.to_string(), namespace: None, containers, pod }))
}

/// The platform that a stack's `deploy.placement.constraints` require, as labels of Kubernetes nodes.
/// Source: Docker, "docker service create", placement constraints.
fn placement(body: &Value) -> BTreeMap<String, String> {
    let constraints = list(&body["deploy"]["placement"]["constraints"]).filter_map(Value::as_str);
    let required = constraints.filter_map(|constraint| constraint.split_once("==")).filter_map(|(key, value)| {
        let value = value.trim();
        match key.trim() {
            "node.platform.os" => Some(("kubernetes.io/os".to_string(), value.to_string())),
            "node.platform.arch" => {
                let platform = platform_of(value).ok()?;
                Some(("kubernetes.io/arch".to_string(), platform.architecture))
            }
            _ => None,
        }
    });
    required.collect()
}

/// Parses `linux/arm64`. An architecture alone means Linux.
fn platform_of(text: &str) -> Result<Platform, String> {
    let full = if text.contains('/') { text.to_string() } else { format!("linux/{text}") };
    Platform::parse(&full).map_err(|error| error.to_string())
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// A string, or each string of a list.
fn texts(value: &Value) -> Vec<String> {
    value.as_str().into_iter().chain(list(value).filter_map(Value::as_str)).map(str::to_string).collect()
}

/// `environment:` over `env_file:`. `environment:` is a map or a list of `NAME=value`. A name without a value gets its
/// value from the user's environment.
fn environment(body: &Value, origin: &VariableOrigin<'_>) -> Vec<(String, Option<String>)> {
    let from_files = origin.env_files.iter().map(|(name, value)| (name.clone(), Some(value.clone())));
    let mut env: BTreeMap<String, Option<String>> = from_files.collect();
    let mut add = |name: &str, value: Option<String>| {
        let value = value.or_else(|| (origin.value)(name));
        value.into_iter().for_each(|value| {
            env.insert(name.to_string(), Some(value));
        });
    };
    for entry in list(&body["environment"]).filter_map(Value::as_str) {
        match entry.split_once('=') {
            Some((name, value)) => add(name, Some(value.to_string())),
            None => add(entry, None),
        }
    }
    for (name, value) in body["environment"].as_object().into_iter().flatten() {
        match value {
            Value::Null => add(name, None),
            Value::String(text) => add(name, Some(text.clone())),
            other => add(name, Some(other.to_string())),
        }
    }
    env.into_iter().collect()
}

/// The paths at which directories and files of the host are mounted. A named volume is filled from the image when it is
/// created, so it does not hide the image's files.
fn mounts(body: &Value) -> Vec<String> {
    let mut found = texts(&body["tmpfs"]);
    for tmpfs in &mut found {
        tmpfs.truncate(tmpfs.find(':').unwrap_or(tmpfs.len()));
    }
    for volume in list(&body["volumes"]) {
        if let Some(text) = volume.as_str() {
            let (source, rest) = text.split_once(':').unwrap_or(("", text));
            // `C:\\data:/data`
            let target = rest.split(':').find(|part| part.starts_with('/'));
            if source.starts_with(['.', '/', '~']) || rest.starts_with(['\\', '/']) && source.len() == 1 {
                found.extend(target.map(str::to_string));
            }
        } else if matches!(volume["type"].as_str(), Some("bind" | "tmpfs" | "image")) {
            found.extend(volume["target"].as_str().map(str::to_string));
        }
    }
    for (key, directory) in [("configs", ""), ("secrets", "/run/secrets")] {
        for entry in list(&body[key]) {
            let name = entry.as_str().or_else(|| entry["target"].as_str()).or_else(|| entry["source"].as_str());
            found.extend(name.map(|name| match name.starts_with('/') {
                true => name.to_string(),
                false => format!("{directory}/{name}"),
            }));
        }
    }
    found
}

/// Reads `command:`, a list or a string that is split like a shell command. `None` if it is absent, so the image's
/// applies.
fn command(value: &Value) -> Result<Option<Vec<String>>, String> {
    let word = |item: &Value| item.as_str().map_or_else(|| item.to_string(), str::to_string);
    match value {
        Value::String(text) => split(text).map(Some),
        Value::Array(items) => Ok(Some(items.iter().map(word).collect())),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => Ok(None),
    }
}

/// Splits a command into words, with quotes and backslashes but without expansion. As in Compose, an operator of a shell
/// ends the command.
/// Source: mattn/go-shellwords, as `docker compose config` uses it.
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
            (' ' | '\t' | '\r' | '\n', None) => words.extend(word.take()),
            (';' | '&' | '|' | '<' | '>', None) => {
                // `2>` names a file descriptor.
                word = word.filter(|word| letter != '>' || !word.starts_with(|first: char| first.is_ascii_digit()));
                break;
            }
            _ => word.get_or_insert_default().push(letter),
        }
    }
    if quote.is_some() {
        return Err(format!("{text:?} has an unclosed quote"));
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_command_is_split_as_a_shell_splits_words() {
        for (text, expected) in [
            ("a b  c", vec!["a", "b", "c"]),
            ("sh -c 'echo \"x y\"'", vec!["sh", "-c", "echo \"x y\""]),
            (r#"a\ b "c \" d" ''"#, vec!["a b", "c \" d", ""]),
            (r#"a "b;c" 'd|e' "x\ny""#, vec!["a", "b;c", "d|e", "xny"]),
            ("a && b", vec!["a"]),
            ("a 2>&1", vec!["a"]),
            ("a; b", vec!["a"]),
        ] {
            assert_eq!(split(text).unwrap(), expected, "{text}");
        }
        assert!(split("a 'b").is_err());
    }

    #[test]
    fn host_mounts_hide_the_image_and_named_volumes_do_not() {
        let body = json!({
            "volumes": [".:/app", "data:/var/lib/data", "/app/node_modules", {"type": "bind", "source": "x", "target": "/b"}],
            "tmpfs": "/run:size=1m", "configs": ["c"], "secrets": [{"source": "s"}]
        });
        assert_eq!(mounts(&body), ["/run", "/app", "/b", "/c", "/run/secrets/s"]);
    }
}
