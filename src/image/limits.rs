//! How much of a layer is read before it is refused: content is hostile, and every number has its reason.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::error::LayerError;

/// What a layer may hold. The defaults let every image pass that an engine can unpack.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Names that a layer brings in: an entry counts for each component in which its path differs from the one before,
    /// because each may become a directory.
    pub max_names: u64,
    /// Bytes of names and link targets that are kept.
    pub max_text: usize,
    /// Bytes uncompressed.
    pub max_bytes: u64,
    /// Uncompressed bytes to stored ones, looked at above [`Limits::free_bytes`].
    pub max_ratio: u64,
    /// Uncompressed bytes of which the ratio is not asked: swap files and database images of zeros are real.
    pub free_bytes: u64,
    /// What is kept of all layers of one image. A clone counts on the same budget.
    pub memory: MemoryBudget,
}

/// Memory that the kept names, entries and facts of one image may take, shared by the threads that read its layers.
#[derive(Clone, Debug)]
pub struct MemoryBudget {
    limit: usize,
    used: Arc<AtomicUsize>,
}

/// The largest layers in the field hold about one and a half million files.
const MAX_NAMES: u64 = 4_000_000;
/// 40 times the text of a million files of a Node project, whose paths share most of their bytes.
const MAX_TEXT: usize = 512 << 20;
/// No registry or engine takes a layer of 1 TiB; a bomb of that size must first send 5 GiB by the ratio.
const MAX_BYTES: u64 = 1 << 40;
/// Deflate itself ends at 1032; a root filesystem has 2 to 5, logs and sparse databases have 20 to 100.
const MAX_RATIO: u64 = 200;
/// A few seconds of work.
const FREE_BYTES: u64 = 4 << 30;
/// Some four million files; the layers of real images take 1 to 10 MiB.
const IMAGE_MEMORY: usize = 256 << 20;

impl MemoryBudget {
    pub fn new(limit: usize) -> MemoryBudget {
        MemoryBudget { limit, used: Arc::default() }
    }

    /// The same limit with nothing used, for another image.
    pub fn renewed(&self) -> MemoryBudget {
        MemoryBudget::new(self.limit)
    }

    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Counts `bytes` more. An error once all of them are over the limit.
    pub fn take(&self, bytes: usize) -> Result<(), LayerError> {
        let used = self.used.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        if used > self.limit { Err(LayerError::TooMuchMemory(self.limit)) } else { Ok(()) }
    }
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            max_names: MAX_NAMES,
            max_text: MAX_TEXT,
            max_bytes: MAX_BYTES,
            max_ratio: MAX_RATIO,
            free_bytes: FREE_BYTES,
            memory: MemoryBudget::new(IMAGE_MEMORY),
        }
    }
}

impl Limits {
    pub(super) fn check_size(&self, stored: u64, produced: u64) -> Result<(), LayerError> {
        if produced > self.max_bytes {
            return Err(LayerError::TooLarge(self.max_bytes));
        }
        if produced > self.free_bytes && produced / self.max_ratio > stored {
            return Err(LayerError::Bomb { ratio: self.max_ratio, bytes: produced });
        }
        Ok(())
    }

    /// Stored bytes that a descriptor announces, before any of them is requested.
    pub(super) fn check_stored(&self, announced: u64) -> Result<(), LayerError> {
        if announced > self.max_bytes {
            return Err(LayerError::StoredTooLarge { announced, limit: self.max_bytes });
        }
        Ok(())
    }

    pub(super) fn check_names(&self, names: u64, text: usize) -> Result<(), LayerError> {
        if names > self.max_names {
            return Err(LayerError::TooManyNames(self.max_names));
        }
        if text > self.max_text {
            return Err(LayerError::TooMuchText(self.max_text));
        }
        Ok(())
    }
}
