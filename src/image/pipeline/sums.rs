//! What is computed of a layer's bytes: the digest of those that are stored, the diffID of those that they decode to, and
//! the checksum that gzip keeps of them.

use std::collections::VecDeque;
use std::sync::Arc;

use super::buffer::Buffer;
use super::compression::Compression;
use crate::oci::{Digest, Hasher};

/// Sums of what has passed so far.
pub struct Sums {
    stored: Hasher,
    /// `None` where the stored bytes are the tar, and their digest is its diffID.
    tar: Option<Hasher>,
    /// The CRC-32 that gzip keeps of its data.
    crc: Option<crc32fast::Hasher>,
}

/// Buffers that have passed and are not summed up yet.
#[derive(Default)]
pub(super) struct HashQueue {
    pub stored: VecDeque<Arc<Buffer>>,
    pub tar: VecDeque<Arc<Buffer>>,
}

impl Sums {
    /// `stored` is the hasher of the digest that names the layer.
    pub fn new(stored: Hasher, compression: Compression) -> Sums {
        let is_tar = compression == Compression::None && matches!(stored, Hasher::Sha256(_));
        let crc = (compression == Compression::Gzip).then(crc32fast::Hasher::new);
        Sums { stored, tar: (!is_tar).then(Hasher::sha256), crc }
    }

    /// Whether the tar is hashed apart from what is stored.
    pub fn wants_tar(&self) -> bool {
        self.tar.is_some()
    }

    pub(super) fn update(&mut self, bytes: &HashQueue) {
        let mut stored = bytes.stored.iter();
        for buffer in &bytes.tar {
            if let Some(crc) = &mut self.crc {
                crc.update(buffer);
            }
            let Some(tar) = &mut self.tar else { continue };
            match stored.next() {
                Some(beside) => tar.update_both(buffer, &mut self.stored, beside),
                None => tar.update(buffer),
            }
        }
        stored.for_each(|buffer| self.stored.update(buffer));
    }

    pub fn crc(&self) -> Option<u32> {
        self.crc.clone().map(crc32fast::Hasher::finalize)
    }

    /// The digest of what was stored and that of the tar.
    pub fn finish(self) -> (Digest, Digest) {
        let stored = self.stored.finish();
        let tar = self.tar.map_or_else(|| stored.clone(), Hasher::finish);
        (stored, tar)
    }
}

impl HashQueue {
    pub fn is_empty(&self) -> bool {
        self.stored.is_empty() && self.tar.is_empty()
    }

    /// Buffers of the kind of which there are most.
    pub fn len(&self) -> usize {
        self.stored.len().max(self.tar.len())
    }

    /// Takes out the first buffers, at most `count` of each kind.
    pub fn take(&mut self, count: usize) -> HashQueue {
        let first = |buffers: &mut VecDeque<_>| buffers.drain(..buffers.len().min(count)).collect();
        HashQueue { stored: first(&mut self.stored), tar: first(&mut self.tar) }
    }
}
