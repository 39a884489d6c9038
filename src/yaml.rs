//! YAML and JSON with the position of each node, which serde's readers drop. Merge keys and aliases are resolved.
//! [`YamlNode::to_json`] returns the content without positions.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use granit_parser::{Event, Parser, ScalarStyle, StructureStyle, Tag};

/// A node and its byte range in the text. An alias has the range of its anchor's node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct YamlNode {
    pub span: Range<usize>,
    pub value: Value,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    Scalar { text: String, style: ScalarStyle },
    List { items: Vec<YamlNode>, is_block: bool },
    Map { pairs: Vec<(YamlNode, YamlNode)>, is_block: bool },
}

/// Error: the text is not valid YAML.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct YamlError {
    pub at: usize,
    /// Index of the document that contains the error, from 0.
    pub document: usize,
    pub message: String,
}

/// Compose's tags. In JSON, a node with one of them is an object with the tag as its only key.
pub const RESET_TAG: &str = "!reset";
pub const OVERRIDE_TAG: &str = "!override";

/// Maximum number of nodes in one file, with aliases counted each time they are used. A compose file has at most
/// thousands; an alias bomb has any number.
const MAX_NODES: usize = 200_000;

/// Maximum nesting. GitHub and compose files have about ten levels.
const MAX_DEPTH: usize = 128;

/// Parses the documents of a text.
pub fn parse(text: &str) -> Result<Vec<YamlNode>, YamlError> {
    parse_within(text, MAX_NODES)
}

/// Parses the documents of a text that has at most `max_nodes` nodes, including those of aliases.
pub fn parse_within(text: &str, max_nodes: usize) -> Result<Vec<YamlNode>, YamlError> {
    let (open, documents, anchors) = (Vec::new(), Vec::new(), HashMap::new());
    let mut builder = TreeBuilder { open, documents, anchors, nodes: 0, max_nodes };
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| YamlError {
            at: error.marker().byte_offset().unwrap_or(0).min(text.len()),
            document: builder.documents.len(),
            message: format!("not YAML: {}", error.info()),
        })?;
        let range = span.byte_range().unwrap_or(0..0);
        // A block scalar's span extends to the next node.
        let kept = text.get(range.clone()).map_or(0, |content| content.trim_end().len());
        let range = range.start..range.start + kept;
        let document = builder.documents.len();
        builder.add_event(event, range.clone()).map_err(|message| YamlError { at: range.start, document, message })?;
    }
    Ok(builder.documents)
}

struct OpenNode {
    anchor: usize,
    start: usize,
    is_map: bool,
    is_block: bool,
    children: Vec<YamlNode>,
    tag: Option<&'static str>,
}

struct TreeBuilder {
    open: Vec<OpenNode>,
    documents: Vec<YamlNode>,
    anchors: HashMap<usize, YamlNode>,
    nodes: usize,
    max_nodes: usize,
}

impl TreeBuilder {
    fn add_event(&mut self, event: Event<'_>, range: Range<usize>) -> Result<(), String> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let is_text = tag.as_ref().is_some_and(|tag| tag.is_yaml_core_schema() && tag.suffix() == "str");
                // A literal has no quotes in its span.
                let style = if is_text { ScalarStyle::Literal } else { style };
                let value = Value::Scalar { text: text.into_owned(), style };
                self.add(tagged(YamlNode { span: range, value }, compose_tag(tag.as_deref())), anchor, 1)
            }
            Event::Alias(anchor) => {
                // An alias inside its own anchor refers to an unfinished node.
                let node = self.anchors.get(&anchor).cloned().ok_or("an alias refers to the node that contains it")?;
                let count = node.count();
                self.add(node, 0, count)
            }
            Event::SequenceStart(style, anchor, tag) => {
                self.begin(false, style, anchor, range.start, compose_tag(tag.as_deref()))
            }
            Event::MappingStart(style, anchor, tag) => {
                self.begin(true, style, anchor, range.start, compose_tag(tag.as_deref()))
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(open) = self.open.pop() else { return Ok(()) };
                let last = open.children.last().map_or(range.end, |child| child.span.end);
                let end = if open.is_block { last } else { range.end };
                let value = match open.is_map {
                    false => Value::List { items: open.children, is_block: open.is_block },
                    true => Value::Map { pairs: pairs(open.children), is_block: open.is_block },
                };
                let node = YamlNode { span: open.start..end.max(open.start), value };
                self.add(tagged(node, open.tag), open.anchor, 1)
            }
            _ => Ok(()),
        }
    }

    fn begin(
        &mut self,
        is_map: bool,
        style: StructureStyle,
        anchor: usize,
        start: usize,
        tag: Option<&'static str>,
    ) -> Result<(), String> {
        if self.open.len() >= MAX_DEPTH {
            return Err(format!("nested deeper than {MAX_DEPTH} levels"));
        }
        self.open.push(OpenNode {
            anchor,
            start,
            is_map,
            is_block: style == StructureStyle::Block,
            children: Vec::new(),
            tag,
        });
        Ok(())
    }

    fn add(&mut self, node: YamlNode, anchor: usize, count: usize) -> Result<(), String> {
        self.nodes += count;
        if self.nodes > self.max_nodes {
            return Err(format!("more than {} nodes", self.max_nodes));
        }
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut() {
            Some(open) => open.children.push(node),
            None => self.documents.push(node),
        }
        Ok(())
    }
}

fn compose_tag(tag: Option<&Tag>) -> Option<&'static str> {
    let suffix = tag.filter(|tag| tag.handle() == "!").map(Tag::suffix)?;
    [RESET_TAG, OVERRIDE_TAG].into_iter().find(|known| known.strip_prefix('!') == Some(suffix))
}

fn tagged(node: YamlNode, tag: Option<&str>) -> YamlNode {
    let Some(tag) = tag else { return node };
    let span = node.span.clone();
    let key =
        YamlNode { span: span.clone(), value: Value::Scalar { text: tag.to_string(), style: ScalarStyle::Plain } };
    YamlNode { span, value: Value::Map { pairs: vec![(key, node)], is_block: false } }
}

fn pairs(children: Vec<YamlNode>) -> Vec<(YamlNode, YamlNode)> {
    let mut children = children.into_iter();
    std::iter::from_fn(|| children.next().zip(children.next())).collect()
}

/// Source: YAML 1.2.2, 10.3.2 "Tag Resolution".
fn plain(text: &str) -> serde_json::Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return serde_json::Value::Null,
        "true" | "True" | "TRUE" => return true.into(),
        "false" | "False" | "FALSE" => return false.into(),
        _ => {}
    }
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let is_number = digits.trim_start_matches('.').starts_with(|first: char| first.is_ascii_digit())
        && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'));
    // Readers disagree on whether a leading zero means octal or decimal, and identifiers may start with one: it stays
    // text.
    let is_text = digits.len() > 1 && digits.starts_with('0') && !digits.starts_with("0.");
    if !is_number || is_text {
        return text.into();
    }
    let whole = text.strip_prefix('+').unwrap_or(text);
    let integer = whole.parse::<i64>().map(serde_json::Value::from).or_else(|_| whole.parse::<u64>().map(Into::into));
    integer.ok().or_else(|| whole.parse::<f64>().ok().map(Into::into)).unwrap_or_else(|| text.into())
}

impl YamlNode {
    fn count(&self) -> usize {
        match &self.value {
            Value::Scalar { .. } => 1,
            Value::List { items, .. } => 1 + items.iter().map(YamlNode::count).sum::<usize>(),
            Value::Map { pairs, .. } => 1 + pairs.iter().map(|(key, value)| key.count() + value.count()).sum::<usize>(),
        }
    }

    /// The text of a scalar.
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    pub fn items(&self) -> &[YamlNode] {
        match &self.value {
            Value::List { items, .. } => items,
            _ => &[],
        }
    }

    pub fn pairs(&self) -> &[(YamlNode, YamlNode)] {
        match &self.value {
            Value::Map { pairs, .. } => pairs,
            _ => &[],
        }
    }

    /// The key and value of a mapping's entry. Entries merged by `<<` apply if the mapping itself has none.
    pub fn entry(&self, name: &str) -> Option<&(YamlNode, YamlNode)> {
        let own = self.pairs().iter().find(|(key, _)| key.text() == Some(name));
        own.or_else(|| {
            let merged = self.pairs().iter().filter(|(key, _)| key.text() == Some("<<")).map(|(_, value)| value);
            merged.flat_map(|value| std::iter::once(value).chain(value.items())).find_map(|value| value.entry(name))
        })
    }

    pub fn value(&self, name: &str) -> Option<&YamlNode> {
        self.entry(name).map(|(_, value)| value)
    }

    /// The value at a path of keys.
    pub fn at(&self, path: &[&str]) -> Option<&YamlNode> {
        path.iter().try_fold(self, |node, name| node.value(name))
    }

    /// The text of a scalar, or of each scalar in a list: YAML files use both for one or many values.
    pub fn texts(&self) -> Vec<&str> {
        self.text().into_iter().chain(self.items().iter().filter_map(YamlNode::text)).collect()
    }

    /// Converts to JSON without positions. Plain scalars become null, booleans and numbers by YAML 1.2's core schema.
    /// Merge keys are resolved, and the last of equal keys wins. Keys that are not scalars are left out.
    pub fn to_json(&self) -> serde_json::Value {
        match &self.value {
            Value::Scalar { text, style: ScalarStyle::Plain } => plain(text),
            Value::Scalar { text, .. } => text.clone().into(),
            Value::List { items, .. } => items.iter().map(YamlNode::to_json).collect(),
            Value::Map { .. } => {
                let mut map = serde_json::Map::new();
                self.merge_into(&mut map);
                map.into()
            }
        }
    }

    fn merge_into(&self, map: &mut serde_json::Map<String, serde_json::Value>) {
        let is_merge = |(key, _): &&(YamlNode, YamlNode)| key.text() == Some("<<");
        for (_, merged) in self.pairs().iter().filter(is_merge) {
            // The first of several mappings wins, so it is merged last.
            merged.items().iter().rev().chain([merged]).for_each(|one| one.merge_into(map));
        }
        for (key, value) in self.pairs().iter().filter(|pair| !is_merge(pair)) {
            if let Some(key) = key.text() {
                map.insert(key.to_string(), value.to_json());
            }
        }
    }

    /// The first key that occurs twice in a mapping, at any depth. Merge keys may repeat.
    pub fn duplicate_key(&self) -> Option<&str> {
        let mut known = HashSet::new();
        let keys = self.pairs().iter().filter_map(|(key, _)| key.text());
        let own = keys.filter(|key| *key != "<<").find(|key| !known.insert(*key));
        let values = self.pairs().iter().map(|(_, value)| value);
        own.or_else(|| values.chain(self.items()).find_map(YamlNode::duplicate_key))
    }

    /// The byte range of a scalar without its quotes.
    pub fn content(&self) -> Range<usize> {
        match &self.value {
            Value::Scalar { style: ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted, .. }
                if self.span.len() >= 2 =>
            {
                self.span.start + 1..self.span.end - 1
            }
            _ => self.span.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_know_their_bytes_and_follow_merges() {
        let text = "x: &base\n  a: 'one'\n  b: two\ny:\n  <<: *base\n  b: [3, \"vier\"]\nz: |\n  line 1\n  line 2\n";
        let root = parse(text).unwrap().remove(0);
        let y = root.value("y").unwrap();
        assert_eq!(y.at(&["a"]).unwrap().text(), Some("one"));
        assert_eq!(&text[y.value("a").unwrap().content()], "one");
        assert_eq!(y.value("b").unwrap().texts(), ["3", "vier"]);
        assert_eq!(&text[y.value("b").unwrap().span.clone()], "[3, \"vier\"]");
        assert_eq!(root.value("z").unwrap().text(), Some("line 1\nline 2\n"));
        assert!(text[root.value("z").unwrap().span.clone()].contains("line 2"), "{:?}", root.value("z"));
    }

    #[test]
    fn yaml_without_positions_is_json() {
        let json = |text: &str| parse(text).unwrap().remove(0).to_json();
        assert_eq!(
            json("{a: 1, b: -2.5, c: true, d: ~, e: , f: yes, g: 'true', h: 010, i: 1.2.3, j: 0, k: 0.5, l: 1e3}"),
            serde_json::json!({"a": 1, "b": -2.5, "c": true, "d": null, "e": null, "f": "yes", "g": "true", "h": "010",
                "i": "1.2.3", "j": 0, "k": 0.5, "l": 1000.0})
        );
        assert_eq!(json("18446744073709551615"), serde_json::json!(u64::MAX));
        let merged = json("x: &x {a: 1, b: 2}\ny: &y {a: 3, c: 4}\nz:\n  b: 5\n  <<: [*x, *y]\n");
        assert_eq!(merged["z"], serde_json::json!({"a": 1, "b": 5, "c": 4}));
        assert_eq!(json("- |\n  12\n"), serde_json::json!(["12\n"]));
        assert_eq!(
            json("{a: !reset null, b: !override [1], c: !!str 1.2, d: !other {x: 1}}"),
            serde_json::json!({"a": {"!reset": null}, "b": {"!override": [1]}, "c": "1.2", "d": {"x": 1}})
        );
    }

    #[test]
    fn an_error_names_its_document() {
        assert_eq!(parse("a: 1\n---\nb: [").unwrap_err().document, 1);
    }

    #[test]
    fn json_is_read_too() {
        let root = parse("{\"a\": {\"b\": [1, \"x\"]}}").unwrap().remove(0);
        assert_eq!(root.at(&["a", "b"]).unwrap().texts(), ["1", "x"]);
    }

    #[test]
    fn bombs_and_broken_text_are_errors() {
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_string();
        for n in 1..9 {
            let alias = format!("*a{}", n - 1);
            bomb += &format!("a{n}: &a{n} [{}]\n", [alias.as_str(); 9].join(", "));
        }
        assert!(parse(&bomb).unwrap_err().message.contains("more than"));
        assert!(parse(&"[".repeat(500)).is_err());
        assert!(parse("a: b: c").is_err());
        assert_eq!(parse("").unwrap(), []);
    }
}
