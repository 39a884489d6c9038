//! RPM packages: a lead, a signature, a header with metadata, and a compressed cpio archive. Source: RPM's
//! docs/manual/format_v4.md and format_v6.md, lib/rpmtag.h and lib/rpmfi.cc.

use std::collections::HashMap;
use std::io::Read;

use super::cpio::{CpioMember, fill, skip};
use crate::image::LayerError;

pub(super) const MAGIC: &[u8] = &[0xed, 0xab, 0xee, 0xdb];
const LEAD: usize = 96;
const HEADER_MAGIC: &[u8] = &[0x8e, 0xad, 0xe8, 1];
/// Maximum size of a header. The largest packages have a hundred thousand files and a header of about 20 MiB.
const HEADER_LIMIT: u64 = 64 << 20;
const ENTRY: usize = 16;
/// Maximum number of files that are listed by index.
const FILE_LIMIT: usize = 1 << 20;

const TAG_ARCH: u32 = 1022;
const TAG_FILE_SIZES: u32 = 1028;
const TAG_FILE_MODES: u32 = 1030;
const TAG_FILE_DEVICES: u32 = 1095;
const TAG_FILE_INODES: u32 = 1096;
const TAG_SOURCE_PACKAGE: u32 = 1106;
const TAG_DIRECTORY_INDEXES: u32 = 1116;
const TAG_BASE_NAMES: u32 = 1117;
const TAG_DIRECTORY_NAMES: u32 = 1118;
const TAG_LONG_FILE_SIZES: u32 = 5008;

const TYPE_STRING: u32 = 6;
const TYPE_STRINGS: u32 = 8;

/// The architecture in a package's header.
pub(super) enum RpmArch {
    For(String),
    /// A source package, whose header names the build machine's architecture.
    Source,
    Unknown,
}

/// The numbers of one tag.
#[derive(Clone, Copy, Default)]
struct Numbers {
    start: usize,
    count: usize,
    /// Bytes of a number: 2, 4 or 8.
    width: usize,
}

/// The files that a package's header lists, by index. RPM 6 does not repeat their names and sizes in the archive.
#[derive(Default)]
pub(super) struct RpmFiles {
    header: Vec<u8>,
    /// Where each name begins in `header`.
    names: Vec<u32>,
    directories: Vec<u32>,
    directory_indexes: Numbers,
    modes: Numbers,
    sizes: Numbers,
    /// The last file of each device and inode: only it has the content of hard links.
    last: HashMap<(u64, u64), usize>,
    inodes: Numbers,
    devices: Numbers,
}

impl RpmFiles {
    fn new(header: Vec<u8>) -> RpmFiles {
        let mut files = RpmFiles { header, ..RpmFiles::default() };
        files.names = files.strings(TAG_BASE_NAMES);
        files.directories = files.strings(TAG_DIRECTORY_NAMES);
        files.directory_indexes = files.numbers(TAG_DIRECTORY_INDEXES);
        files.modes = files.numbers(TAG_FILE_MODES);
        let long = files.numbers(TAG_LONG_FILE_SIZES);
        files.sizes = if long.count > 0 { long } else { files.numbers(TAG_FILE_SIZES) };
        files.inodes = files.numbers(TAG_FILE_INODES);
        files.devices = files.numbers(TAG_FILE_DEVICES);
        for index in 0..files.names.len().min(files.inodes.count) {
            if let Some(link) = files.link(index) {
                files.last.insert(link, index);
            }
        }
        files
    }

    /// The file with this index. The size is that of its content in the archive.
    pub fn member(&self, index: usize) -> Option<CpioMember> {
        let directory = usize::try_from(self.number(self.directory_indexes, index)?).ok()?;
        let mut name = self.text(*self.directories.get(directory)?)?.to_vec();
        name.extend(self.text(*self.names.get(index)?)?);
        let mode = u32::try_from(self.number(self.modes, index)?).ok()?;
        let is_first_link = self.link(index).and_then(|link| self.last.get(&link)).is_some_and(|last| *last != index);
        let has_content = matches!(mode & 0o170_000, 0o100_000 | 0o120_000) && !is_first_link;
        let size = if has_content { self.number(self.sizes, index)? } else { 0 };
        Some(CpioMember { name, mode, size })
    }

    fn link(&self, index: usize) -> Option<(u64, u64)> {
        Some((self.number(self.devices, index).unwrap_or(0), self.number(self.inodes, index)?))
    }

    fn word(&self, at: usize) -> Option<u32> {
        let word = self.header.get(at..at.checked_add(4)?)?;
        Some(u32::from_be_bytes([word[0], word[1], word[2], word[3]]))
    }

    /// The type of a tag, where its data starts, and the number of its values.
    fn tag(&self, wanted: u32) -> Option<(u32, usize, usize)> {
        let count = self.word(0)? as usize;
        let at = (0..count).map(|index| 8 + index * ENTRY).find(|at| self.word(*at) == Some(wanted))?;
        let start = (8 + count * ENTRY).checked_add(self.word(at + 8)? as usize)?;
        Some((self.word(at + 4)?, start, self.word(at + 12)? as usize))
    }

    fn numbers(&self, tag: u32) -> Numbers {
        let Some((kind, start, count)) = self.tag(tag) else { return Numbers::default() };
        let width = match kind {
            3 => 2,
            4 => 4,
            5 => 8,
            _ => return Numbers::default(),
        };
        Numbers { start, count, width }
    }

    fn number(&self, numbers: Numbers, index: usize) -> Option<u64> {
        let at = numbers.start.checked_add(index.checked_mul(numbers.width)?)?;
        let bytes = self.header.get(at..at.checked_add(numbers.width)?).filter(|_| index < numbers.count)?;
        Some(bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    /// Where each string of a tag begins.
    fn strings(&self, tag: u32) -> Vec<u32> {
        let Some((TYPE_STRINGS, start, count)) = self.tag(tag) else { return Vec::new() };
        let (mut starts, mut at) = (Vec::new(), start);
        while starts.len() < count.min(FILE_LIMIT)
            && let Some(text) = u32::try_from(at).ok().and_then(|at| self.text(at))
        {
            starts.push(at as u32);
            at += text.len() + 1;
        }
        starts
    }

    /// The string that begins at `start`.
    fn text(&self, start: u32) -> Option<&[u8]> {
        let rest = self.header.get(start as usize..)?;
        Some(&rest[..rest.iter().position(|byte| *byte == 0)?])
    }
}

/// Reads everything before the payload.
pub(super) fn header(reader: &mut dyn Read) -> Result<(RpmArch, RpmFiles), LayerError> {
    let mut lead = [0; LEAD];
    fill(reader, &mut lead)?;
    let signature = section(reader)?.1;
    skip(reader, signature.next_multiple_of(8) - signature)?;
    let files = RpmFiles::new(section(reader)?.0);
    // The type in the lead is also 1 for a source package.
    if lead[7] == 1 || files.tag(TAG_SOURCE_PACKAGE).is_some() {
        return Ok((RpmArch::Source, files));
    }
    let arch = files
        .tag(TAG_ARCH)
        .filter(|(kind, ..)| *kind == TYPE_STRING)
        .and_then(|(_, start, _)| String::from_utf8(files.text(u32::try_from(start).ok()?)?.to_vec()).ok());
    Ok((arch.map_or(RpmArch::Unknown, RpmArch::For), files))
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
