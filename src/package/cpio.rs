//! cpio archives in the new ASCII format, which is the payload of an RPM. Source: cpio(5), "New ASCII Format".

use std::io::{self, Read};

use crate::image::LayerError;

/// The header of one member.
pub(super) struct CpioMember {
    pub name: Vec<u8>,
    pub mode: u32,
    pub size: u64,
}

const MAGIC: usize = 6;
const HEADER: usize = 110;
/// Maximum length of a name; Linux paths have at most 4096 bytes.
const NAME_LIMIT: u32 = 8 << 10;
const TRAILER: &[u8] = b"TRAILER!!!";

/// Whether an archive starts like cpio. `07070X` headers have an index instead of a name and a size: RPM 6 writes them,
/// and older versions if a file is over 4 GiB.
pub(super) fn is_cpio(head: &[u8]) -> bool {
    [b"070701".as_slice(), b"070702", b"07070X"].iter().any(|magic| head.starts_with(magic))
}

/// Reads the next member's header and name. `None` at the end of the archive. `listed` returns the file of a package's
/// header with this index.
pub(super) fn next(
    reader: &mut dyn Read,
    listed: &dyn Fn(usize) -> Option<CpioMember>,
) -> Result<Option<CpioMember>, LayerError> {
    let mut header = [0; HEADER];
    fill(reader, &mut header[..MAGIC])?;
    let digits = |digits: &[u8]| {
        let text = std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit()));
        text.and_then(|text| u32::from_str_radix(text, 16).ok()).ok_or_else(|| corrupt("a number is not hexadecimal"))
    };
    match &header[..MAGIC] {
        b"070701" | b"070702" => fill(reader, &mut header[MAGIC..])?,
        b"07070X" => {
            fill(reader, &mut header[MAGIC..MAGIC + 8])?;
            skip(reader, padding(MAGIC as u64 + 8))?;
            let index = digits(&header[MAGIC..MAGIC + 8])?;
            let member = listed(index as usize).ok_or_else(|| corrupt("a file is not in the package's header"))?;
            return Ok(Some(member));
        }
        _ => return Err(corrupt("a header has no magic number")),
    }
    let field = |index: usize| digits(&header[MAGIC + index * 8..MAGIC + 8 + index * 8]);
    let length = field(11)?;
    if length > NAME_LIMIT || length == 0 {
        return Err(corrupt("a name is empty or too long"));
    }
    let mut name = vec![0; length as usize];
    fill(reader, &mut name)?;
    skip(reader, padding(HEADER as u64 + u64::from(length)))?;
    name.truncate(name.iter().position(|byte| *byte == 0).unwrap_or(name.len()));
    if name == TRAILER {
        return Ok(None);
    }
    Ok(Some(CpioMember { name, mode: field(1)?, size: u64::from(field(6)?) }))
}

/// The number of bytes up to the next multiple of four.
pub(super) fn padding(length: u64) -> u64 {
    length.next_multiple_of(4) - length
}

/// Skips `length` bytes.
pub(super) fn skip(reader: &mut dyn Read, length: u64) -> Result<(), LayerError> {
    let skipped = io::copy(&mut reader.take(length), &mut io::sink())?;
    if skipped < length { Err(LayerError::Truncated("archive")) } else { Ok(()) }
}

/// Fills `into` completely.
pub(super) fn fill(reader: &mut dyn Read, into: &mut [u8]) -> Result<(), LayerError> {
    reader.read_exact(into).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => LayerError::Truncated("archive"),
        _ => error.into(),
    })
}

fn corrupt(cause: &str) -> LayerError {
    LayerError::Corrupt { format: "cpio", cause: cause.to_string() }
}
