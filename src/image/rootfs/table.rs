//! Finds a directory's child by name. A slot holds half a hash and the node; a byte of the hash stands apart from it, in a
//! row short enough for a processor's cache, so that a name that is not there costs one near look, as most do while a
//! tree grows. The hash is seeded, because names come from whoever made the image.

use std::hash::{BuildHasher, Hasher, RandomState};

/// Open addressing with linear probing. Nothing is taken out: a node that is gone keeps its slot.
pub(super) struct Table {
    /// For each slot 0 where it is free, else a byte of its hash that is not 0.
    marks: Vec<u8>,
    slots: Vec<Slot>,
    used: usize,
    seed: u64,
}

#[derive(Clone, Copy)]
struct Slot {
    hash: u32,
    id: u32,
}

const FREE: Slot = Slot { hash: 0, id: 0 };
/// A power of two, as every size of it.
const SMALLEST: usize = 64;
/// Odd and without pattern: the fractional part of the golden ratio.
const MIX: u64 = 0x9e37_79b9_7f4a_7c15;

impl Default for Table {
    fn default() -> Table {
        Table {
            marks: vec![0; SMALLEST],
            slots: vec![FREE; SMALLEST],
            used: 0,
            seed: RandomState::new().build_hasher().finish(),
        }
    }
}

impl Table {
    /// The child of that hash for which `is_it` answers true.
    pub fn find(&self, hash: u32, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let mask = self.slots.len() - 1;
        let mut at = hash as usize & mask;
        loop {
            match self.marks[at] {
                0 => return None,
                mark if mark == mark_of(hash) => {
                    let slot = self.slots[at];
                    if slot.hash == hash && is_it(slot.id) {
                        return Some(slot.id);
                    }
                }
                _ => {}
            }
            at = (at + 1) & mask;
        }
    }

    pub fn insert(&mut self, hash: u32, id: u32) {
        self.reserve(1);
        self.used += 1;
        self.place(Slot { hash, id });
    }

    /// Makes room for `more` nodes, so that a third of the slots stays free.
    pub fn reserve(&mut self, more: usize) {
        let wanted = (self.used + more) / 2 * 3;
        if wanted < self.slots.len() {
            return;
        }
        let larger = (wanted + 1).next_power_of_two();
        let marks = std::mem::replace(&mut self.marks, vec![0; larger]);
        let slots = std::mem::replace(&mut self.slots, vec![FREE; larger]);
        for (_, slot) in marks.into_iter().zip(slots).filter(|(mark, _)| *mark != 0) {
            self.place(slot);
        }
    }

    fn place(&mut self, new: Slot) {
        let mask = self.slots.len() - 1;
        let mut at = new.hash as usize & mask;
        while self.marks[at] != 0 {
            at = (at + 1) & mask;
        }
        self.marks[at] = mark_of(new.hash);
        self.slots[at] = new;
    }

    pub fn heap_bytes(&self) -> usize {
        self.slots.capacity() * size_of::<Slot>() + self.marks.capacity()
    }

    pub fn hash(&self, parent: u32, name: &[u8]) -> u32 {
        let mut hash = fold(self.seed ^ u64::from(parent), MIX ^ name.len() as u64);
        let mut words = name.chunks_exact(8);
        for word in &mut words {
            let word = u64::from_le_bytes(word.try_into().expect("eight bytes a word"));
            hash = fold(hash ^ word, MIX);
        }
        let mut last = [0; 8];
        last[..words.remainder().len()].copy_from_slice(words.remainder());
        fold(hash ^ u64::from_le_bytes(last), self.seed | 1) as u32
    }
}

/// The hash's upper byte: the lower bits chose the slot.
fn mark_of(hash: u32) -> u8 {
    (hash >> 24) as u8 | 1
}

/// Both halves of the product: every bit of the input reaches every bit of the hash.
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}
