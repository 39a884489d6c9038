//! Reads a plain file: a program, a release archive, or a package of a distribution or a language. The file is read
//! once from start to end, and nothing is unpacked to disk. Archives inside archives are read too. Like
//! [`crate::image`], this module does not interpret files: the caller's closure inspects each. Hostile content is
//! bounded in bytes, names and depth.

mod cpio;
mod deb;
mod model;
mod reading;
mod rpm;
mod sniff;
#[cfg(test)]
mod tests;
mod zip;

use std::io::Read;

pub use model::{Package, PackageFormat, UnreadPart};
pub use sniff::holds_image;

use crate::image::{LayerError, Limits, Visit};
use reading::PackageReading;

/// Bytes that any file may unpack to, independent of its size: a few seconds of work.
const FREE_BYTES: u64 = 2 << 30;

/// Reads the file `name` of `size` bytes. Calls `visit` for each file in it that is not an archive itself.
///
/// On an error, no result is usable: the file is truncated, corrupt or larger than the limits allow.
pub fn read<T: Clone>(
    reader: &mut dyn Read,
    name: &str,
    size: u64,
    limits: &Limits,
    visit: &mut Visit<'_, T>,
) -> Result<Package<T>, LayerError> {
    let budget = FREE_BYTES.max(size.saturating_mul(limits.max_ratio)).min(limits.max_bytes);
    PackageReading::new(limits, budget, visit).read(reader, name, size)
}
