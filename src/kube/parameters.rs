//! Fills in the parameters of an object where its own fields use them: Argo, Tekton and templates of OpenShift. Pure.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::exec::UNKNOWN_TEXT;

/// Maximum bytes of parameters that are filled in for one object. Values beyond the limit are unknown.
pub const MAX_FILLED: usize = 4 << 20;

/// Maximum depth of objects, the same as for finding images.
const DEPTH: usize = 48;

/// The parameters of one object.
pub struct Parameters {
    /// `None` for a value that is computed from other values.
    values: BTreeMap<String, Option<String>>,
    /// Bytes filled in so far.
    spent: usize,
    /// A template of OpenShift, which names its parameters without a path.
    is_template: bool,
}

impl Parameters {
    pub fn of_object(object: &Value) -> Parameters {
        let mut values = BTreeMap::new();
        collect(object, DEPTH, &mut values);
        Parameters { values, spent: 0, is_template: object["kind"] == "Template" }
    }

    /// Fills in every string of these fields.
    pub fn fill(&mut self, fields: &mut Map<String, Value>) {
        fields.values_mut().for_each(|value| self.fill_value(value, 0));
    }

    fn fill_value(&mut self, value: &mut Value, depth: usize) {
        match value {
            Value::String(text) => *text = self.filled(text),
            Value::Array(items) if depth < DEPTH => items.iter_mut().for_each(|item| self.fill_value(item, depth + 1)),
            Value::Object(fields) if depth < DEPTH => {
                fields.values_mut().for_each(|field| self.fill_value(field, depth + 1));
            }
            _ => {}
        }
    }

    /// The text with the parameters filled in: `$(params.NAME)`, `{{inputs.parameters.NAME}}`. Unknown values become
    /// [`UNKNOWN_TEXT`]. A name without a dot is the container's own variable.
    pub fn filled(&mut self, text: &str) -> String {
        let (mut out, mut rest) = (String::new(), text);
        while let Some(at) = rest.find(['$', '{']) {
            let Some(open) = ["$(", "{{", "${{", "${"].into_iter().find(|open| rest[at..].starts_with(open)) else {
                out.push_str(&rest[..=at]);
                rest = &rest[at + 1..];
                continue;
            };
            let close = match open {
                "$(" => ")",
                "{{" | "${{" => "}}",
                _ => "}",
            };
            let start = at + open.len();
            let Some(length) = rest[start..].find(close) else { break };
            let inside = &rest[start..start + length];
            out.push_str(&rest[..at]);
            rest = &rest[start + length + close.len()..];
            let is_dotted = inside.contains('.') && !inside.contains(char::is_whitespace);
            let is_parameter = is_dotted || open == "{{" || self.is_template && open != "$(";
            let name = inside.trim().rsplit('.').next().unwrap_or_default().trim_matches(['"', '\'', ']']);
            match self.values.get(name).and_then(Option::as_deref) {
                Some(value) if is_parameter && self.spent <= MAX_FILLED => {
                    self.spent += value.len();
                    out.push_str(value);
                }
                _ if is_parameter => out.push(UNKNOWN_TEXT),
                _ => out.push_str(&format!("{open}{inside}{close}")),
            }
        }
        out.push_str(rest);
        out
    }
}

/// Values or defaults of the object's own parameters, in the form of Argo (`parameters`) and Tekton (`params`).
fn collect(value: &Value, depth: usize, found: &mut BTreeMap<String, Option<String>>) {
    match value {
        Value::Array(items) if depth > 0 => items.iter().for_each(|item| collect(item, depth - 1, found)),
        Value::Object(fields) if depth > 0 => {
            for (key, field) in fields {
                if let ("params" | "parameters", Value::Array(items)) = (key.as_str(), field) {
                    for item in items {
                        let stated = item["value"].as_str().or_else(|| item["default"].as_str());
                        if let (Some(name), Some(value)) = (item["name"].as_str(), stated) {
                            let known = || Some(value.to_string()).filter(|value| !value.contains(['$', '{']));
                            found.entry(name.to_string()).or_insert_with(known);
                        }
                    }
                }
                collect(field, depth - 1, found);
            }
        }
        _ => {}
    }
}
