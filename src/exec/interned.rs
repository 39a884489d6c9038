//! Texts of the program's own tables, read back from what it has written: the same few again and again, so each is kept once
//! and for ever.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use serde::de::Error;
use serde::{Deserialize, Deserializer};

/// More than all tables have together: what is read may have been written by anyone.
const MOST: usize = 512;
/// Bytes of the longest.
const LONGEST: usize = 256;

static KNOWN: Mutex<BTreeSet<&'static [u8]>> = Mutex::new(BTreeSet::new());

fn keep(bytes: &[u8]) -> Option<&'static [u8]> {
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(kept) = known.get(bytes) {
        return Some(kept);
    }
    if known.len() >= MOST || bytes.len() > LONGEST {
        return None;
    }
    let kept: &'static [u8] = Box::leak(bytes.into());
    known.insert(kept);
    Some(kept)
}

fn kept_text(text: &str) -> Option<&'static str> {
    keep(text.as_bytes()).and_then(|bytes| std::str::from_utf8(bytes).ok())
}

/// A text of a table.
pub fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<&'static str, D::Error> {
    let text = String::deserialize(deserializer)?;
    kept_text(&text).ok_or_else(|| D::Error::custom("not a text of a table"))
}

/// Bytes of a table.
pub fn bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<&'static [u8], D::Error> {
    let bytes = Vec::<u8>::deserialize(deserializer)?;
    keep(&bytes).ok_or_else(|| D::Error::custom("not bytes of a table"))
}

/// A name of a table and a text of the moment, if there are any.
pub fn named<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<(&'static str, String)>, D::Error> {
    let Some((name, text)) = Option::<(String, String)>::deserialize(deserializer)? else { return Ok(None) };
    let name = kept_text(&name).ok_or_else(|| D::Error::custom("not a name of a table"))?;
    Ok(Some((name, text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_does_not_fill_the_memory() {
        assert_eq!(kept_text("runc 1.2 and newer"), Some("runc 1.2 and newer"));
        assert_eq!(kept_text(&"x".repeat(LONGEST + 1)), None);
        let read = |text: &str| text_of(&serde_json::to_string(text).unwrap());
        assert_eq!(read("crun"), Some("crun"));
    }

    fn text_of(json: &str) -> Option<&'static str> {
        text(&mut serde_json::Deserializer::from_str(json)).ok()
    }
}
