//! Members of a zip archive, in the order of their local headers.

use std::cell::Cell;
use std::io::{self, BufRead, ErrorKind, Read};

use flate2::Decompress;

use crate::image::LayerError;
use crate::inspect::zip_member::{LOCAL, MemberContent, ZipMember, next_signature, skip};

/// Called for each member with its content, or with the reason why it cannot be read.
pub(super) type OnMember<'t> = dyn FnMut(&[u8], Result<&mut dyn Read, &'static str>) -> Result<(), LayerError> + 't;

/// Reads members up to the central directory. `limit` is the whole budget, for messages.
pub(super) fn walk(
    reader: &mut dyn BufRead,
    budget: &Cell<u64>,
    limit: u64,
    on_member: &mut OnMember<'_>,
) -> Result<(), LayerError> {
    let corrupt = |cause: &str| LayerError::Corrupt { format: "zip", cause: cause.to_string() };
    loop {
        match next_signature(reader) {
            Some(LOCAL) => {}
            Some(_) => return Ok(()),
            None => return Err(corrupt("there is no header where a member should start")),
        }
        let member = ZipMember::read(reader).ok_or(LayerError::Truncated("zip"))?;
        let inflater = match member.method {
            _ if member.is_encrypted => Err("it is encrypted"),
            0 if member.size.is_none() => Err("it is stored without a size"),
            0 => Ok(None),
            8 => Ok(Some(Decompress::new(false))),
            _ => Err("its compression is not supported"),
        };
        match inflater {
            Ok(inflater) => {
                let mut content = MemberContent { from: reader, left: member.size, inflater, is_ended: false, budget };
                on_member(&member.name, Ok(&mut NamedErrors { content: &mut content, limit }))?;
                content.finish().ok_or_else(|| corrupt("cannot find the end of a member"))?;
            }
            Err(why) => {
                on_member(&member.name, Err(why))?;
                let size = member.size.ok_or_else(|| corrupt("cannot find the end of a member"))?;
                skip(reader, size).ok_or(LayerError::Truncated("zip"))?;
            }
        }
    }
}

/// Names the errors of decompression. Errors of the source are passed on unchanged.
struct NamedErrors<'c, 'r, 'b> {
    content: &'c mut MemberContent<'r, 'b>,
    limit: u64,
}

impl Read for NamedErrors<'_, '_, '_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.content.read(into).map_err(|error| match error.kind() {
            ErrorKind::UnexpectedEof => LayerError::Truncated("zip").into(),
            ErrorKind::FileTooLarge => LayerError::TooLarge(self.limit).into(),
            ErrorKind::Other if error.get_ref().is_some_and(|inner| !inner.is::<LayerError>()) => {
                LayerError::Corrupt { format: "zip", cause: error.to_string() }.into()
            }
            _ => error,
        })
    }
}
