//! Merges Compose files. Pure.
//! Source: compose-go's override/merge.go, override/uncity.go and loader/reset.go.

use serde_json::{Map, Value};

use crate::yaml::{OVERRIDE_TAG, RESET_TAG};

/// Merges one value over another. `key` is its name in the service.
pub fn merge(base: Value, over: Value, key: &str) -> Value {
    if is_tagged(&over, RESET_TAG) {
        return over;
    }
    match (key, base, over) {
        (_, base, Value::Null) => base,
        // An `!override` replaces the whole value.
        (_, _, Value::Object(over)) if over.contains_key(OVERRIDE_TAG) => over.into(),
        ("command" | "entrypoint" | "test", _, over) => over,
        ("volumes", Value::Array(base), Value::Array(over)) => {
            let is_replaced = |volume: &Value| over.iter().any(|other| target(other) == target(volume));
            base.into_iter().filter(|volume| !is_replaced(volume)).chain(over.iter().cloned()).collect()
        }
        ("environment" | "labels" | "args", base, over) => {
            let mut merged = named(base);
            merged.extend(named(over));
            merged.into()
        }
        ("env_file" | "tmpfs" | "dns", base, over) => [many(base), many(over)].concat().into(),
        (_, Value::Object(mut base), Value::Object(over)) => {
            for (key, value) in over {
                let merged = match base.remove(&key) {
                    Some(known) => merge(known, value, &key),
                    None => value,
                };
                base.insert(key, merged);
            }
            base.into()
        }
        (_, Value::Array(mut base), Value::Array(over)) => {
            base.extend(over);
            base.into()
        }
        (_, _, over) => over,
    }
}

/// The path at which a volume is mounted. A project has one volume at each path.
fn target(volume: &Value) -> Option<&str> {
    let text = volume.as_str().map(|text| text.split(':').rev().find(|part| part.starts_with('/')).unwrap_or(text));
    text.or_else(|| volume["target"].as_str())
}

pub fn many(value: Value) -> Vec<Value> {
    match value {
        Value::Array(items) => items,
        Value::Null => Vec::new(),
        one => vec![one],
    }
}

/// Converts a list of `NAME=value` entries to a map, the other form of the same field.
fn named(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        other => many(other)
            .iter()
            .filter_map(Value::as_str)
            .map(|line| match line.split_once('=') {
                Some((name, value)) => (name.to_string(), Value::from(value)),
                None => (line.to_string(), Value::Null),
            })
            .collect(),
    }
}

/// Applies the tags of the merged value: `!reset` removes it, `!override` stands for its content.
pub fn resolved(value: Value) -> Value {
    match value {
        Value::Object(mut fields) => {
            if let Some(content) = fields.remove(OVERRIDE_TAG) {
                return resolved(content);
            }
            fields.retain(|_, field| !is_tagged(field, RESET_TAG));
            fields.into_iter().map(|(key, field)| (key, resolved(field))).collect::<Map<_, _>>().into()
        }
        Value::Array(items) => items.into_iter().map(resolved).collect(),
        other => other,
    }
}

fn is_tagged(value: &Value, tag: &str) -> bool {
    value.as_object().is_some_and(|fields| fields.contains_key(tag))
}
