//! Finds a directory's child by name: a hash table of node numbers, keyed by parent and name. The hash is seeded,
//! because the image's builder controls the names.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

#[derive(Default)]
pub(super) struct Table {
    ids: HashTable<u32>,
    state: RandomState,
}

impl Table {
    pub fn hash(&self, parent: u32, name: &[u8]) -> u64 {
        self.state.hash_one((parent, name))
    }

    /// The node with that hash for which `is_it` returns true.
    pub fn find(&self, hash: u64, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        self.ids.find(hash, |id| is_it(*id)).copied()
    }

    /// Adds a node. `key` returns the parent and the name of any node in the table.
    pub fn insert<'a>(&mut self, hash: u64, id: u32, key: impl Fn(u32) -> (u32, &'a [u8])) {
        self.ids.insert_unique(hash, id, |id| self.state.hash_one(key(*id)));
    }

    /// Makes room for `more` nodes.
    pub fn reserve<'a>(&mut self, more: usize, key: impl Fn(u32) -> (u32, &'a [u8])) {
        self.ids.reserve(more, |id| self.state.hash_one(key(*id)));
    }

    pub fn heap_bytes(&self) -> usize {
        self.ids.allocation_size()
    }
}
