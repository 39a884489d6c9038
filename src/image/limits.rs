//! Limits on how much of a layer is read. Content may be hostile, and every limit states its reason.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::error::LayerError;

/// The limits for one layer. The defaults admit every image that an engine can unpack.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Names that a layer adds: an entry counts one for each component in which its path differs from the previous
    /// path, because each such component may create a directory.
    pub max_names: u64,
    /// Bytes of stored names and link targets.
    pub max_text: usize,
    /// Uncompressed bytes.
    pub max_bytes: u64,
    /// Ratio of uncompressed to stored bytes, checked above [`Limits::free_bytes`].
    pub max_ratio: u64,
    /// Uncompressed bytes below which the ratio is not checked: swap files and database images full of zeros are
    /// legitimate.
    pub free_bytes: u64,
    /// Memory for what is stored of all layers of one image. Clones share the same budget.
    pub memory: MemoryBudget,
}

/// Memory for the stored names, entries and facts of one image, shared by the threads that read its layers.
#[derive(Clone, Debug)]
pub struct MemoryBudget {
    limit: usize,
    used: Arc<AtomicUsize>,
}

/// The largest layers seen in practice contain about 1.5 million files.
const MAX_NAMES: u64 = 4_000_000;
/// 40 times the text of a million files of a Node project, whose paths share most of their bytes.
const MAX_TEXT: usize = 512 << 20;
/// No registry or engine accepts a layer of 1 TiB; at the maximum ratio, a bomb of that size must first send 5 GiB.
const MAX_BYTES: u64 = 1 << 40;
/// Deflate cannot exceed 1032. A root file system reaches 2 to 5, logs and sparse databases 20 to 100.
const MAX_RATIO: u64 = 200;
/// A few seconds of work.
const FREE_BYTES: u64 = 4 << 30;
/// About three million files; the layers of real images take 1 to 10 MiB. With buffers and tables that grow, the process
/// then takes up to 256 MiB.
const IMAGE_MEMORY: usize = 192 << 20;

impl MemoryBudget {
    pub fn new(limit: usize) -> MemoryBudget {
        MemoryBudget { limit, used: Arc::default() }
    }

    /// An unused budget with the same limit, for another image.
    pub fn renewed(&self) -> MemoryBudget {
        MemoryBudget::new(self.limit)
    }

    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Adds `bytes` to the memory in use. Fails if the total exceeds the limit.
    pub fn reserve(&self, bytes: usize) -> Result<(), LayerError> {
        let used = self.used.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        if used > self.limit { Err(LayerError::TooMuchMemory(self.limit)) } else { Ok(()) }
    }

    /// Adds `bytes` if the total stays below the limit divided by `share`. Otherwise nothing is added.
    pub fn reserve_share(&self, bytes: usize, share: usize) -> bool {
        let add = |used: usize| used.checked_add(bytes).filter(|used| *used <= self.limit / share);
        self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).is_ok()
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

    /// Checks the size that a descriptor states, before any byte is requested.
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
