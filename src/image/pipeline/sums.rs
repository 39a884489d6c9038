//! The sums of a layer's bytes: the digest of the stored bytes, the diffID of the decoded bytes, and gzip's checksum of
//! the decoded bytes.

use std::collections::VecDeque;
use std::sync::Arc;

use super::buffer::Buffer;
use super::compression::Compression;
use crate::oci::{Digest, Hasher};

/// Sums over the bytes so far.
pub struct Sums {
    stored: Hasher,
    /// `None` if the stored bytes are the tar, so that their digest is also the diffID.
    tar: Option<Hasher>,
    /// The CRC-32 of a gzip stream's data.
    crc: Option<crc32fast::Hasher>,
}

/// Buffers that are not hashed yet.
#[derive(Default)]
pub(super) struct HashQueue {
    pub stored: VecDeque<Arc<Buffer>>,
    pub tar: VecDeque<Arc<Buffer>>,
}

impl Sums {
    /// `stored` is a hasher for the algorithm of the layer's digest.
    pub fn new(stored: Hasher, compression: Compression) -> Sums {
        let is_tar = compression == Compression::None && matches!(stored, Hasher::Sha256(_));
        let crc = (compression == Compression::Gzip).then(crc32fast::Hasher::new);
        Sums { stored, tar: (!is_tar).then(Hasher::sha256), crc }
    }

    /// Whether the tar is hashed separately from the stored bytes.
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
                Some(stored) => tar.update_both(buffer, &mut self.stored, stored),
                None => tar.update(buffer),
            }
        }
        stored.for_each(|buffer| self.stored.update(buffer));
    }

    pub fn crc(&self) -> Option<u32> {
        self.crc.clone().map(crc32fast::Hasher::finalize)
    }

    /// The digest of the stored bytes and that of the tar.
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

    /// Number of buffers of the more numerous kind.
    pub fn len(&self) -> usize {
        self.stored.len().max(self.tar.len())
    }

    /// Removes and returns the first buffers, at most `count` of each kind.
    pub fn take(&mut self, count: usize) -> HashQueue {
        let first = |buffers: &mut VecDeque<_>| buffers.drain(..buffers.len().min(count)).collect();
        HashQueue { stored: first(&mut self.stored), tar: first(&mut self.tar) }
    }
}
