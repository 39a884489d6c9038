//! RPM packages: a lead, a signature, a header with metadata, and a compressed cpio archive. Source: RPM's
//! docs/manual/format_v4.md and lib/rpmtag.h.

use std::io::Read;

use super::cpio::{fill, skip};
use crate::image::LayerError;

pub(super) const MAGIC: &[u8] = &[0xed, 0xab, 0xee, 0xdb];
const LEAD: usize = 96;
const HEADER_MAGIC: &[u8] = &[0x8e, 0xad, 0xe8, 1];
/// Maximum size of a header. The largest packages have a hundred thousand files and a header of about 20 MiB.
const HEADER_LIMIT: u64 = 64 << 20;
const ENTRY: usize = 16;
const TAG_ARCH: u32 = 1022;
const TAG_SOURCE_PACKAGE: u32 = 1106;
const TYPE_STRING: u32 = 6;

/// The architecture in a package's header.
pub(super) enum RpmArch {
    For(String),
    /// A source package, whose header names the build machine's architecture.
    Source,
    Unknown,
}

/// Reads everything before the payload.
pub(super) fn header(reader: &mut dyn Read) -> Result<RpmArch, LayerError> {
    let mut lead = [0; LEAD];
    fill(reader, &mut lead)?;
    let signature = section(reader)?.1;
    skip(reader, signature.next_multiple_of(8) - signature)?;
    let (header, _) = section(reader)?;
    let word = |at: usize| header.get(at..at + 4).map(|word| u32::from_be_bytes([word[0], word[1], word[2], word[3]]));
    let count = word(0).unwrap_or(0) as usize;
    let store = 8 + count * ENTRY;
    let tag = |wanted: u32| (0..count).map(|index| 8 + index * ENTRY).find(|at| word(*at) == Some(wanted));
    // The type in the lead is also 1 for a source package.
    if lead[7] == 1 || tag(TAG_SOURCE_PACKAGE).is_some() {
        return Ok(RpmArch::Source);
    }
    let arch = tag(TAG_ARCH).filter(|at| word(at + 4) == Some(TYPE_STRING)).and_then(|at| {
        let text = header.get(store + word(at + 8)? as usize..)?;
        let end = text.iter().position(|byte| *byte == 0)?;
        String::from_utf8(text[..end].to_vec()).ok()
    });
    Ok(arch.map_or(RpmArch::Unknown, RpmArch::For))
}

/// Reads a header structure from its counts on, and returns it with the length of its data.
fn section(reader: &mut dyn Read) -> Result<(Vec<u8>, u64), LayerError> {
    let mut intro = [0; 16];
    fill(reader, &mut intro)?;
    let corrupt = |cause: &str| LayerError::Corrupt { format: "rpm", cause: cause.to_string() };
    if !intro.starts_with(HEADER_MAGIC) {
        return Err(corrupt("a header has no magic number"));
    }
    let word = |at: usize| u64::from(u32::from_be_bytes([intro[at], intro[at + 1], intro[at + 2], intro[at + 3]]));
    let (count, data) = (word(8), word(12));
    let length = count * ENTRY as u64 + data;
    if length > HEADER_LIMIT {
        return Err(corrupt("a header is larger than 64 MiB"));
    }
    let mut section = intro[8..].to_vec();
    let read = reader.take(length).read_to_end(&mut section)? as u64;
    if read < length { Err(LayerError::Truncated("rpm header")) } else { Ok((section, data)) }
}
