//! Finds a directory's child by name: a hash table of node numbers, keyed by parent and name. The hash is seeded,
//! because the image's builder controls the names. A slot takes four bytes: the number of a node, and bits of its hash
//! that spare most comparisons of names.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;

/// Bits of a slot that hold the number of a node; the others hold a part of its hash. 0, the root, is in no slot and
/// marks an empty one.
pub(super) const ID_BITS: u32 = 23;

#[derive(Default)]
pub(super) struct NodeTable {
    slots: Vec<u32>,
    len: usize,
    state: RandomState,
}

/// The number of slots for that many nodes: a quarter stays empty, so that searches are short.
const fn slots_for(nodes: usize) -> usize {
    nodes + nodes / 3 + 8
}

impl NodeTable {
    #[inline]
    pub fn hash(&self, parent: u32, name: &[u8]) -> u64 {
        self.state.hash_one((parent, name))
    }

    /// The node with that hash for which `is_it` returns true.
    #[inline]
    pub fn find(&self, hash: u64, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        if self.slots.is_empty() {
            return None;
        }
        let (mut at, tag) = (start(hash, self.slots.len()), tag(hash));
        loop {
            let slot = self.slots[at];
            let id = slot & ((1 << ID_BITS) - 1);
            if slot == 0 {
                return None;
            }
            if slot >> ID_BITS == tag && is_it(id) {
                return Some(id);
            }
            at = following(at, self.slots.len());
        }
    }

    /// Adds a node. `key` returns the parent and the name of any node in the table.
    pub fn insert<'a>(&mut self, hash: u64, id: u32, key: impl Fn(u32) -> (u32, &'a [u8])) {
        debug_assert!(id != 0 && id >> ID_BITS == 0);
        if slots_for(self.len + 1) > self.slots.len() {
            self.resize(slots_for(self.len + self.len / 2 + 64), key);
        }
        place(&mut self.slots, hash, id);
        self.len += 1;
    }

    /// Makes room for `more` nodes.
    pub fn reserve<'a>(&mut self, more: usize, key: impl Fn(u32) -> (u32, &'a [u8])) {
        if slots_for(self.len + more) > self.slots.len() {
            self.resize(slots_for(self.len + more), key);
        }
    }

    fn resize<'a>(&mut self, slots: usize, key: impl Fn(u32) -> (u32, &'a [u8])) {
        let mut larger = vec![0; slots];
        for slot in self.slots.iter().filter(|slot| **slot != 0) {
            let id = slot & ((1 << ID_BITS) - 1);
            place(&mut larger, self.state.hash_one(key(id)), id);
        }
        self.slots = larger;
    }

    pub fn heap_bytes(&self) -> usize {
        size_of_val(&*self.slots)
    }
}

fn tag(hash: u64) -> u32 {
    hash as u32 & ((1 << (32 - ID_BITS)) - 1)
}

/// The first slot for a hash: its high bits, scaled to the number of slots.
fn start(hash: u64, slots: usize) -> usize {
    ((u128::from(hash) * slots as u128) >> 64) as usize
}

fn following(at: usize, slots: usize) -> usize {
    if at + 1 == slots { 0 } else { at + 1 }
}

fn place(slots: &mut [u32], hash: u64, id: u32) {
    let mut at = start(hash, slots.len());
    while slots[at] != 0 {
        at = following(at, slots.len());
    }
    slots[at] = tag(hash) << ID_BITS | id;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_node_is_found_while_the_table_grows() {
        let names: Vec<String> = (0..5000u32).map(|number| format!("name {}", number / 2)).collect();
        let key = |id: u32| (id % 2, names[id as usize].as_bytes());
        let find = |table: &NodeTable, id: u32| {
            let (parent, name) = key(id);
            table.find(table.hash(parent, name), |other| key(other) == (parent, name))
        };
        let mut table = NodeTable::default();
        for id in 1..5000 {
            assert_eq!(find(&table, id), None);
            let (parent, name) = key(id);
            table.insert(table.hash(parent, name), id, key);
        }
        table.reserve(10_000, key);
        assert!((1..5000).all(|id| find(&table, id) == Some(id)));
        assert_eq!(table.find(table.hash(7, b"absent"), |_| true), None);
        assert_eq!(table.heap_bytes(), 4 * slots_for(4999 + 10_000));
    }
}
