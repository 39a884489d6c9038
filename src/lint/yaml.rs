//! YAML and JSON with the place of each node, which serde's readers drop. Merge keys and aliases are followed.

use std::collections::HashMap;
use std::ops::Range;

use granit_parser::{Event, Parser, ScalarStyle, StructureStyle};

/// A node and its bytes in the text; an alias has its anchor's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    pub span: Range<usize>,
    pub value: Value,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    Scalar { text: String, style: ScalarStyle },
    List { items: Vec<Node>, is_block: bool },
    Map { pairs: Vec<(Node, Node)>, is_block: bool },
}

/// Why a text is no YAML.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct YamlError {
    pub at: usize,
    pub message: String,
}

/// Nodes of one file, aliases counted each time: a compose file has thousands at most, an alias bomb any number.
const MAX_NODES: usize = 200_000;

/// Deepest nesting: GitHub and compose files have about ten levels.
const MAX_DEPTH: usize = 128;

/// The documents of a text.
pub fn parse(text: &str) -> Result<Vec<Node>, YamlError> {
    let mut builder = Builder { open: Vec::new(), documents: Vec::new(), anchors: HashMap::new(), nodes: 0 };
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| YamlError {
            at: error.marker().byte_offset().unwrap_or(0).min(text.len()),
            message: format!("not YAML: {}", error.info()),
        })?;
        let range = span.byte_range().unwrap_or(0..0);
        // A block scalar's span reaches to the next node.
        let kept = text.get(range.clone()).map_or(0, |content| content.trim_end().len());
        let range = range.start..range.start + kept;
        builder.take(event, range.clone()).map_err(|message| YamlError { at: range.start, message })?;
    }
    Ok(builder.documents)
}

struct Open {
    anchor: usize,
    start: usize,
    is_map: bool,
    is_block: bool,
    children: Vec<Node>,
}

struct Builder {
    open: Vec<Open>,
    documents: Vec<Node>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
}

impl Builder {
    fn take(&mut self, event: Event<'_>, range: Range<usize>) -> Result<(), String> {
        match event {
            Event::Scalar(text, style, anchor, _) => {
                let value = Value::Scalar { text: text.into_owned(), style };
                self.add(Node { span: range, value }, anchor, 1)
            }
            Event::Alias(anchor) => {
                // An alias within its own anchor has no node yet.
                let node = self.anchors.get(&anchor).cloned().ok_or("an alias to the node that holds it")?;
                let count = node.count();
                self.add(node, 0, count)
            }
            Event::SequenceStart(style, anchor, _) => self.begin(false, style, anchor, range.start),
            Event::MappingStart(style, anchor, _) => self.begin(true, style, anchor, range.start),
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(open) = self.open.pop() else { return Ok(()) };
                let last = open.children.last().map_or(range.end, |child| child.span.end);
                let end = if open.is_block { last } else { range.end };
                let value = match open.is_map {
                    false => Value::List { items: open.children, is_block: open.is_block },
                    true => Value::Map { pairs: pairs(open.children), is_block: open.is_block },
                };
                self.add(Node { span: open.start..end.max(open.start), value }, open.anchor, 1)
            }
            _ => Ok(()),
        }
    }

    fn begin(&mut self, is_map: bool, style: StructureStyle, anchor: usize, start: usize) -> Result<(), String> {
        if self.open.len() >= MAX_DEPTH {
            return Err(format!("nested deeper than {MAX_DEPTH} levels"));
        }
        self.open.push(Open { anchor, start, is_map, is_block: style == StructureStyle::Block, children: Vec::new() });
        Ok(())
    }

    fn add(&mut self, node: Node, anchor: usize, count: usize) -> Result<(), String> {
        self.nodes += count;
        if self.nodes > MAX_NODES {
            return Err(format!("more than {MAX_NODES} nodes"));
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

fn pairs(children: Vec<Node>) -> Vec<(Node, Node)> {
    let mut children = children.into_iter();
    std::iter::from_fn(|| children.next().zip(children.next())).collect()
}

impl Node {
    fn count(&self) -> usize {
        match &self.value {
            Value::Scalar { .. } => 1,
            Value::List { items, .. } => 1 + items.iter().map(Node::count).sum::<usize>(),
            Value::Map { pairs, .. } => 1 + pairs.iter().map(|(key, value)| key.count() + value.count()).sum::<usize>(),
        }
    }

    /// A scalar's text.
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    pub fn items(&self) -> &[Node] {
        match &self.value {
            Value::List { items, .. } => items,
            _ => &[],
        }
    }

    pub fn pairs(&self) -> &[(Node, Node)] {
        match &self.value {
            Value::Map { pairs, .. } => pairs,
            _ => &[],
        }
    }

    /// The key and value of a mapping's entry; what `<<` merges counts where the mapping itself has none.
    pub fn entry(&self, name: &str) -> Option<&(Node, Node)> {
        let own = self.pairs().iter().find(|(key, _)| key.text() == Some(name));
        own.or_else(|| {
            let merged = self.pairs().iter().filter(|(key, _)| key.text() == Some("<<")).map(|(_, value)| value);
            merged.flat_map(|value| std::iter::once(value).chain(value.items())).find_map(|value| value.entry(name))
        })
    }

    pub fn value(&self, name: &str) -> Option<&Node> {
        self.entry(name).map(|(_, value)| value)
    }

    /// The value at a path of keys.
    pub fn at(&self, path: &[&str]) -> Option<&Node> {
        path.iter().try_fold(self, |node, name| node.value(name))
    }

    /// A scalar, or each scalar of a list: how YAML files write one or many.
    pub fn texts(&self) -> Vec<&str> {
        self.text().into_iter().chain(self.items().iter().filter_map(Node::text)).collect()
    }

    /// The bytes of a scalar without its quotes.
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
