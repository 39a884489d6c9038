//! What a plain file ships: a program, a release archive, or a package of a distribution or a language, read once from
//! front to back with nothing unpacked to disk. Archives within archives are read, too. Like [`crate::image`], it does not
//! know what the files are: the caller's closure inspects each. Hostile content is bounded in bytes, names and depth.

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

pub use model::{Format, Package, Unread};
pub use sniff::holds_image;

use crate::image::{LayerError, Limits, Visit};
use reading::Reading;

/// Bytes that a file may unpack to whatever its own size: a few seconds of work.
const FREE_BYTES: u64 = 2 << 30;

/// Reads the file `name` of `size` bytes. `visit` is called for each file in it that is not an archive itself.
///
/// An error means that nothing of the file counts: it is cut, broken, or larger than the limits allow.
pub fn read<T: Clone>(
    reader: &mut dyn Read,
    name: &str,
    size: u64,
    limits: &Limits,
    visit: &mut Visit<'_, T>,
) -> Result<Package<T>, LayerError> {
    let budget = FREE_BYTES.max(size.saturating_mul(limits.max_ratio)).min(limits.max_bytes);
    Reading::new(limits, budget, visit).read(reader, name, size)
}
