//! Reads one page of a list item by item. Each item is converted before the next one is parsed, so that a page of large
//! objects is never in memory as a tree. Pure.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// Converts an item.
pub type ReadItem<'a, T, E> = &'a mut dyn FnMut(Value) -> Result<T, E>;

/// A page of a list.
#[derive(Debug)]
pub struct ListPage<T> {
    pub items: Vec<T>,
    /// The continue token of the next page. `None`: this is the last page.
    pub token: Option<String>,
}

/// Why a page cannot be read.
#[derive(Debug)]
pub enum PageError<E> {
    /// It is not a list.
    Malformed(serde_json::Error),
    Item(E),
}

/// Reads a list's JSON.
pub fn read<T, E>(text: &str, read: ReadItem<'_, T, E>) -> Result<ListPage<T>, PageError<E>> {
    let mut failure = None;
    let mut page = ListPage { items: Vec::new(), token: None };
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let list = PagedList { read, page: &mut page, failure: &mut failure };
    let done = list.deserialize(&mut deserializer).and_then(|()| deserializer.end());
    match (failure, done) {
        (Some(failure), _) => Err(PageError::Item(failure)),
        (None, Err(error)) => Err(PageError::Malformed(error)),
        (None, Ok(())) => Ok(page),
    }
}

struct PagedList<'a, T, E> {
    read: ReadItem<'a, T, E>,
    page: &'a mut ListPage<T>,
    failure: &'a mut Option<E>,
}

impl<'de, T, E> DeserializeSeed<'de> for PagedList<'_, T, E> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, T, E> Visitor<'de> for PagedList<'_, T, E> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of objects")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "metadata" => {
                    let metadata: Value = map.next_value()?;
                    let token = metadata["continue"].as_str().filter(|token| !token.is_empty());
                    self.page.token = token.map(str::to_string);
                }
                "items" => map.next_value_seed(Items {
                    read: &mut *self.read,
                    items: &mut self.page.items,
                    failure: &mut *self.failure,
                })?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

struct Items<'a, T, E> {
    read: ReadItem<'a, T, E>,
    items: &'a mut Vec<T>,
    failure: &'a mut Option<E>,
}

impl<'de, T, E> DeserializeSeed<'de> for Items<'_, T, E> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, T, E> Visitor<'de> for Items<'_, T, E> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of objects")
    }

    /// Go writes an empty list as null.
    fn visit_unit<E2: serde::de::Error>(self) -> Result<(), E2> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while let Some(item) = items.next_element::<Value>()? {
            match (self.read)(item) {
                Ok(item) => self.items.push(item),
                Err(failure) => {
                    *self.failure = Some(failure);
                    return Err(serde::de::Error::custom("an item could not be read"));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Result<(Vec<String>, Option<String>), String> {
        let mut name = |item: Value| item["name"].as_str().map(str::to_string).ok_or(format!("{item} has no name"));
        match read(text, &mut name) {
            Ok(page) => Ok((page.items, page.token)),
            Err(PageError::Item(error)) => Err(error),
            Err(PageError::Malformed(error)) => Err(format!("malformed: {error}")),
        }
    }

    #[test]
    fn items_are_read_one_by_one_with_the_token_before_or_after_them() {
        let text =
            |metadata: &str, items: &str| format!(r#"{{"kind": "List", "items": {items}, "metadata": {metadata}}}"#);
        let two = r#"[{"name": "a", "spec": {"x": null}}, {"name": "b"}]"#;
        let both = || vec!["a".to_string(), "b".to_string()];
        assert_eq!(names(&text(r#"{"continue": "t"}"#, two)), Ok((both(), Some("t".to_string()))));
        assert_eq!(names(&text(r#"{"continue": ""}"#, two)), Ok((both(), None)));
        assert_eq!(names(&text("{}", "null")), Ok((Vec::new(), None)));
        assert_eq!(names("{}"), Ok((Vec::new(), None)));
    }

    #[test]
    fn malformed_lists_and_items_are_errors() {
        assert_eq!(names(r#"{"items": [{"name": "a"}, {"x": 1}]}"#), Err(r#"{"x":1} has no name"#.to_string()));
        for text in ["[]", "", r#"{"items": "a"}"#, r#"{"items": [{"name": "a"}"#, "{} {}"] {
            assert!(names(text).is_err_and(|error| error.starts_with("malformed: ")), "{text}");
        }
    }
}
