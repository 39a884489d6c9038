//! Modes, owners and capabilities of files. The many entries of an image share a few combinations.

use std::collections::HashMap;

use crate::platform::FileCapabilities;

/// The attributes that decide who may use a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Attributes {
    /// Permission bits with setuid, setgid and sticky.
    pub mode: u16,
    pub uid: u32,
    pub gid: u32,
    pub capabilities: Option<FileCapabilities>,
}

/// Stores each combination once and numbers it.
#[derive(Debug, Default)]
pub(super) struct AttributeTable {
    list: Vec<Attributes>,
    index: HashMap<Attributes, u32>,
    /// The number returned last: most entries have the same attributes as the previous one.
    last: u32,
}

/// Bytes of one combination in the list and in the index.
const BYTES: usize = 2 * size_of::<Attributes>() + 16;

impl AttributeTable {
    /// The number of `attributes`. There are at most as many numbers as different combinations.
    #[inline]
    pub fn number(&mut self, attributes: Attributes) -> u32 {
        if self.list.get(self.last as usize) == Some(&attributes) {
            return self.last;
        }
        self.last = self.number_of_another(attributes);
        self.last
    }

    fn number_of_another(&mut self, attributes: Attributes) -> u32 {
        let next = self.list.len() as u32;
        let number = *self.index.entry(attributes).or_insert(next);
        if number == next {
            self.list.push(attributes);
        }
        number
    }

    /// The attributes for a number from [`AttributeTable::number`].
    pub fn get(&self, number: u32) -> &Attributes {
        &self.list[number as usize]
    }

    /// Bytes in memory.
    pub fn heap_bytes(&self) -> usize {
        self.list.len() * BYTES
    }
}
