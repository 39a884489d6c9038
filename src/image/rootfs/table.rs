//! Finds a directory's child by name. Chains run through the nodes themselves, so that the table costs eight bytes a node
//! at most; its hash is seeded, because names come from whoever made the image.

use std::hash::{BuildHasher, Hasher, RandomState};

use super::{NONE, Node};

/// Heads of chains, by hash.
pub(super) struct Table {
    heads: Vec<u32>,
    seed: u64,
}

impl Default for Table {
    fn default() -> Table {
        Table { heads: vec![NONE; SMALLEST], seed: RandomState::new().build_hasher().finish() }
    }
}

/// A power of two, as every size of it.
const SMALLEST: usize = 64;
/// Odd and without pattern: the fractional part of the golden ratio.
const MIX: u64 = 0x9e37_79b9_7f4a_7c15;

impl Table {
    /// The first node of the chain in which the child is, if it is anywhere.
    pub fn first(&self, parent: u32, name: &[u8]) -> u32 {
        self.heads[self.slot(parent, name)]
    }

    /// Puts node `id` (the next to be pushed to `nodes`) in front of its chain and gives the chain's rest.
    pub fn insert(&mut self, id: u32, parent: u32, name: &[u8], nodes: &mut [Node], names: &[u8]) -> u32 {
        if nodes.len() >= self.heads.len() {
            self.grow(nodes, names);
        }
        let slot = self.slot(parent, name);
        std::mem::replace(&mut self.heads[slot], id)
    }

    pub fn heap_bytes(&self) -> usize {
        self.heads.capacity() * size_of::<u32>()
    }

    fn grow(&mut self, nodes: &mut [Node], names: &[u8]) {
        let doubled = 2 * self.heads.len();
        self.heads = vec![NONE; doubled];
        // The root is nobody's child.
        for (id, node) in nodes.iter_mut().enumerate().skip(1) {
            let slot = self.slot(node.parent, &names[node.name as usize..][..node.name_len as usize]);
            node.next_in_chain = std::mem::replace(&mut self.heads[slot], id as u32);
        }
    }

    fn slot(&self, parent: u32, name: &[u8]) -> usize {
        let mut hash = fold(self.seed ^ u64::from(parent), MIX ^ name.len() as u64);
        let mut words = name.chunks_exact(8);
        for word in &mut words {
            let word = u64::from_le_bytes(word.try_into().expect("eight bytes a word"));
            hash = fold(hash ^ word, MIX);
        }
        let mut last = [0; 8];
        last[..words.remainder().len()].copy_from_slice(words.remainder());
        hash = fold(hash ^ u64::from_le_bytes(last), self.seed | 1);
        hash as usize & (self.heads.len() - 1)
    }
}

/// Both halves of the product: every bit of the input reaches every bit of the hash.
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}
