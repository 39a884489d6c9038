//! Parses the blocks of HCL with their labels and the strings of their attributes, with positions. Does not evaluate
//! expressions.

use std::ops::Range;

use hcl_edit::Span;
use hcl_edit::expr::{Expression, ObjectKey, ObjectValue};
use hcl_edit::parser::parse_body;
use hcl_edit::structure::{BlockLabel, Structure};
use hcl_edit::visit::{self, Visit};

/// `kind "label" { ... }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HclBlock {
    pub kind: String,
    pub labels: Vec<String>,
    /// From the kind to the last label.
    pub span: Range<usize>,
    pub attributes: Vec<Attribute>,
}

/// `name = expression`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    pub name: String,
    pub span: Range<usize>,
    /// The string literals of the expression, in order.
    pub strings: Vec<String>,
    /// The expression is a string or a list of strings without interpolation.
    pub is_literal: bool,
    /// If the expression is an object: key, string value and the position of the value.
    pub entries: Vec<(String, String, Range<usize>)>,
    /// An object has a value that is not a string.
    pub has_computed_entries: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HclError {
    pub at: usize,
    pub message: String,
}

impl HclBlock {
    pub fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.attributes.iter().find(|attribute| attribute.name == name)
    }
}

/// Parses the top-level blocks of a file.
pub fn parse(text: &str) -> Result<Vec<HclBlock>, HclError> {
    let body = parse_body(text).map_err(|error| HclError {
        at: error.location().offset().min(text.len()),
        message: format!("not HCL: {}", error.message()),
    })?;
    let blocks = body.iter().filter_map(|structure| match structure {
        Structure::Block(block) => Some(read_block(text, block)),
        Structure::Attribute(_) => None,
    });
    Ok(blocks.collect())
}

fn read_block(text: &str, block: &hcl_edit::structure::Block) -> HclBlock {
    let labels = block.labels.iter().map(|label| match label {
        BlockLabel::Ident(name) => name.as_str().to_string(),
        BlockLabel::String(label) => raw(text, label),
    });
    let first = span(&block.ident);
    let attributes = block.body.iter().filter_map(|structure| match structure {
        Structure::Attribute(attribute) => Some(read_attribute(text, attribute)),
        Structure::Block(_) => None,
    });
    HclBlock {
        kind: block.ident.as_str().to_string(),
        labels: labels.collect(),
        span: first.start..block.labels.last().map_or(first.end, |label| span(label).end),
        attributes: attributes.collect(),
    }
}

fn read_attribute(text: &str, attribute: &hcl_edit::structure::Attribute) -> Attribute {
    let mut strings = Strings { text, found: Vec::new(), entries: Vec::new(), has_computed_entries: false };
    strings.visit_expr(&attribute.value);
    let span = span(&attribute.key).start..span(&attribute.value).end;
    Attribute {
        name: attribute.key.as_str().to_string(),
        span,
        strings: strings.found,
        is_literal: is_literal(&attribute.value),
        entries: strings.entries,
        has_computed_entries: strings.has_computed_entries,
    }
}

fn is_literal(expression: &Expression) -> bool {
    match expression {
        Expression::String(_) => true,
        Expression::Array(array) => array.iter().all(|item| matches!(item, Expression::String(_))),
        _ => false,
    }
}

/// Collects the string literals of an expression, and the entries of its objects.
struct Strings<'a> {
    text: &'a str,
    found: Vec<String>,
    entries: Vec<(String, String, Range<usize>)>,
    has_computed_entries: bool,
}

impl Strings<'_> {
    /// A string or a template between quotes, as written.
    fn literal(&self, expression: &Expression) -> Option<String> {
        match expression {
            Expression::String(string) => Some(raw(self.text, string)),
            Expression::StringTemplate(template) => Some(raw(self.text, template)),
            _ => None,
        }
    }
}

impl Visit for Strings<'_> {
    fn visit_expr(&mut self, expression: &Expression) {
        match self.literal(expression) {
            Some(literal) => self.found.push(literal),
            None => visit::visit_expr(self, expression),
        }
    }

    fn visit_object_item(&mut self, key: &ObjectKey, value: &ObjectValue) {
        let name = match key {
            ObjectKey::Ident(name) => Some(name.as_str().to_string()),
            ObjectKey::Expression(Expression::Variable(name)) => Some(name.as_str().to_string()),
            ObjectKey::Expression(expression) => self.literal(expression),
        };
        match (name, self.literal(value.expr())) {
            (Some(name), Some(literal)) => self.entries.push((name, literal, span(value.expr()))),
            _ => self.has_computed_entries = true,
        }
        visit::visit_object_item(self, key, value);
    }
}

/// Returns the position of a node. Empty if the node was not parsed from a text.
fn span(node: &impl Span) -> Range<usize> {
    node.span().unwrap_or_default()
}

/// Returns the text of a quoted node without its quotes. Escapes stay unchanged.
fn raw(text: &str, node: &impl Span) -> String {
    let quoted = text.get(span(node)).unwrap_or_default();
    quoted.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(quoted).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_attributes_and_strings_are_read() {
        let text = "variable \"TAG\" { default = \"x\" }\n# target \"no\" {\ntarget \"app\" {\n  inherits = [\"_base\"]\n  args = {\n    A = \"1\"\n    \"B\" : \"${x(\"}\")}\"\n  }\n  tags = [\"a:${TAG}\",\n    \"b\"]\n  nested { c = 1 }\n  text = <<EOT\n}\nEOT\n  last = foo(1)\n}\n/* } */\n";
        let blocks = parse(text).unwrap();
        let app = &blocks[1];
        assert_eq!(
            (app.kind.as_str(), app.labels[0].as_str(), &text[app.span.clone()]),
            ("target", "app", "target \"app\"")
        );
        let names: Vec<&str> = app.attributes.iter().map(|attribute| attribute.name.as_str()).collect();
        assert_eq!(names, ["inherits", "args", "tags", "text", "last"]);
        assert_eq!(app.attribute("tags").unwrap().strings, ["a:${TAG}", "b"]);
        let entries: Vec<(&str, &str)> = app
            .attribute("args")
            .unwrap()
            .entries
            .iter()
            .map(|(key, value, _)| (key.as_str(), value.as_str()))
            .collect();
        assert_eq!(entries, [("A", "1"), ("B", "${x(\"}\")}")]);
    }

    #[test]
    fn a_parse_error_has_a_position() {
        let open = "target \"a\" {\n";
        assert_eq!(parse(open).unwrap_err().at, open.len() - 1);
        assert!(parse(&"a = [".repeat(10_000)).is_err());
        assert!(parse("a = \"x").is_err() && parse("}").is_err() && parse("x <<E").is_err());
    }
}
