//! Debian packages: `ar` archives of `debian-binary`, `control.tar` and `data.tar`, each with any compression. Source:
//! deb(5).

use std::io::Read;

use super::cpio::fill;
use crate::image::LayerError;

/// The header of one member.
pub(super) struct ArMember {
    pub name: String,
    pub size: u64,
}

pub(super) const MAGIC: &[u8] = b"!<arch>\n";
const HEADER: usize = 60;

/// Whether an `ar` archive starts like a Debian package. Others are static libraries.
pub(super) fn is_deb(head: &[u8]) -> bool {
    head.strip_prefix(MAGIC).is_some_and(|rest| rest.starts_with(b"debian-binary"))
}

/// Reads the next member's header. `None` at the end.
pub(super) fn next(reader: &mut dyn Read) -> Result<Option<ArMember>, LayerError> {
    let mut header = [0; HEADER];
    if reader.read(&mut header[..1])? == 0 {
        return Ok(None);
    }
    fill(reader, &mut header[1..])?;
    let text = |field: &[u8]| String::from_utf8_lossy(field).trim().trim_end_matches('/').to_string();
    let corrupt = |cause: &str| LayerError::Corrupt { format: "ar", cause: cause.to_string() };
    if &header[58..] != b"`\n" {
        return Err(corrupt("a member's header has no magic number"));
    }
    let size = text(&header[48..58]).parse().map_err(|_| corrupt("a member's size is not a number"))?;
    Ok(Some(ArMember { name: text(&header[..16]), size }))
}

/// The value of a field in a control file.
pub(super) fn field(control: &[u8], name: &str, separator: char) -> Option<String> {
    let text = String::from_utf8_lossy(control);
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(separator)?;
        (key.trim_end().eq_ignore_ascii_case(name)).then(|| value.trim().to_string())
    })
}
