//! The members of an image archive by name. A file is indexed once from its tar headers; each member is then a section
//! of the file that is read by position, so that layers can be read in parallel. Names in the archive are keys and
//! never become paths.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Cursor, Read};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use super::super::tar::header;
use super::super::tar::pax::Pax;
use super::super::{DOCUMENT_LIMIT, FileSection, SourceError, Stamp, read_bounded};
use crate::oci::{Digest, Hasher};

/// One member, under a name without a leading `./` or `/`.
#[derive(Clone, Debug)]
pub enum ArchiveMember {
    /// A range of bytes in the archive's file.
    Section { offset: u64, size: u64 },
    /// A document that was kept while the archive was read.
    Document(Arc<[u8]>),
    /// Content that was read and cannot be read again.
    Passed { digest: Digest, size: u64 },
    /// A hard or symbolic link to another member, as older versions of `docker save` write for repeated layers.
    Link(String),
}

/// All members of one archive.
#[derive(Debug)]
pub struct Members {
    /// The archive's name in messages.
    pub place: String,
    /// The end marker was found, so a missing member was never there.
    pub is_whole: bool,
    file: Option<Arc<File>>,
    all: HashMap<String, ArchiveMember>,
}

/// Limit for the members of an archive. An image has a few hundred layers; a layer's tar, which can have a million
/// members, is not an image archive.
const MEMBER_LIMIT: usize = 100_000;
/// Size limit of a long name or a PAX header; Linux's longest path is 4096.
const EXTENSION_LIMIT: u64 = 1 << 20;
/// Limit for links to links; two are never needed.
const LINK_LIMIT: usize = 8;
const BLOCK: u64 = header::BLOCK as u64;

impl ArchiveMember {
    /// A hard link, whose target is the name of a member.
    pub fn hard_link(target: &str) -> ArchiveMember {
        ArchiveMember::Link(normal(target))
    }

    /// A symbolic link, whose target is relative to the directory of the link `name`.
    pub fn symbolic_link(name: &str, target: &str) -> ArchiveMember {
        ArchiveMember::Link(link_target(name, target))
    }
}

impl Members {
    /// An archive that is read in one pass; the caller adds its members with [`Members::add`].
    pub fn passing(place: &str) -> Members {
        Members { place: place.to_string(), is_whole: false, file: None, all: HashMap::new() }
    }

    /// Takes the members out. Members requested later are reported as missing from the same place.
    pub fn take(&mut self) -> Members {
        let rest = Members { is_whole: self.is_whole, ..Members::passing(&self.place) };
        std::mem::replace(self, rest)
    }

    /// The error for a listed blob that is missing: an engine keeps only what was pulled, unless the archive is
    /// truncated.
    pub fn absent(&self, digest: &Digest) -> SourceError {
        let (digest, place) = (digest.clone(), self.place.clone());
        if self.is_whole {
            return SourceError::NotPresent { digest, place };
        }
        let cause = format!("it is truncated: it has no end marker, and {digest} is missing");
        SourceError::Malformed { place, cause }
    }

    /// Adds a member. It replaces an earlier one of the same name, as in unpacking.
    pub fn add(&mut self, name: &str, member: ArchiveMember) -> Result<(), SourceError> {
        if self.all.len() >= MEMBER_LIMIT {
            let (what, limit) = ("members", MEMBER_LIMIT as u64);
            return Err(SourceError::TooLarge { place: self.place.clone(), what, limit });
        }
        self.all.insert(normal(name), member);
        Ok(())
    }

    /// Indexes an uncompressed tar.
    pub fn index(file: File, place: &str) -> Result<Members, SourceError> {
        let file = Arc::new(file);
        let mut members = Members { file: Some(file.clone()), ..Members::passing(place) };
        let length = file.metadata().map_err(|cause| SourceError::File { path: place.into(), cause })?.len();
        let (mut position, mut extended) = (0, Extended::default());
        while position + BLOCK <= length {
            let block: [u8; header::BLOCK] =
                members.bytes(position, BLOCK)?.try_into().expect("as many bytes as asked for");
            if block.iter().all(|byte| *byte == 0) {
                members.is_whole = true;
                break;
            }
            if !header::is_checksum_right(&block) {
                return Err(members.malformed(format!("no tar header at byte {position}")));
            }
            let stored = header::number(&block[124..136])
                .ok_or_else(|| members.malformed(format!("the tar header at byte {position} has no valid size")))?;
            let tag = block[156];
            let size = match tag {
                b'x' | b'g' | b'L' | b'K' => stored,
                // As in engines, no data follows a link, a device or a directory.
                b'1'..=b'6' => 0,
                _ => extended.pax.size.unwrap_or(stored),
            };
            let offset = position + BLOCK;
            if size > length - offset {
                return Err(members.malformed(format!("it ends in the middle of the member at byte {position}")));
            }
            match tag {
                b'x' | b'L' | b'K' => {
                    let bytes = members.bytes(offset, size)?;
                    extended.apply(tag, &bytes).map_err(|cause| members.malformed(cause.to_string()))?;
                }
                // Engines do not apply global records.
                b'g' => {}
                _ => {
                    members.add_entry(&block, std::mem::take(&mut extended), ArchiveMember::Section { offset, size })?
                }
            }
            position = offset + size.div_ceil(BLOCK) * BLOCK;
        }
        Ok(members)
    }

    fn add_entry(
        &mut self,
        block: &[u8; header::BLOCK],
        extended: Extended,
        section: ArchiveMember,
    ) -> Result<(), SourceError> {
        let name = extended.name.or(extended.pax.path).unwrap_or_else(|| {
            let mut name = Vec::new();
            header::read_name(tar::Header::from_byte_slice(block), &mut name);
            name
        });
        let link = extended.link.or(extended.pax.link).unwrap_or_else(|| header::text(&block[157..257]).to_vec());
        let (is_directory, name, link) = (name.ends_with(b"/"), text(&name), text(&link));
        match block[156] {
            0 if is_directory => Ok(()),
            0 | b'0' | b'7' => self.add(&name, section),
            b'1' => self.add(&name, ArchiveMember::hard_link(&link)),
            b'2' => self.add(&name, ArchiveMember::symbolic_link(&name, &link)),
            _ => Ok(()),
        }
    }

    /// Reads headers and names, which are small.
    fn bytes(&self, offset: u64, size: u64) -> Result<Vec<u8>, SourceError> {
        if size > EXTENSION_LIMIT {
            let (what, limit) = ("bytes for a member's name", EXTENSION_LIMIT);
            return Err(SourceError::TooLarge { place: self.place.clone(), what, limit });
        }
        let mut bytes = vec![0; size as usize];
        let file = self.file.as_ref().expect("only an archive in a file is indexed");
        file.read_exact_at(&mut bytes, offset)
            .map_err(|cause| SourceError::File { path: self.place.clone().into(), cause })?;
        Ok(bytes)
    }

    fn malformed(&self, cause: String) -> SourceError {
        SourceError::Malformed { place: self.place.clone(), cause }
    }

    /// The member with that name; links are followed.
    pub fn find(&self, name: &str) -> Option<&ArchiveMember> {
        let mut member = self.all.get(&normal(name))?;
        for _ in 0..LINK_LIMIT {
            let ArchiveMember::Link(target) = member else { return Some(member) };
            member = self.all.get(target)?;
        }
        None
    }

    /// The content of a small member; `None` if it does not exist or was already read.
    pub fn document(&self, name: &str) -> Result<Option<Vec<u8>>, SourceError> {
        match self.find(name).map(|member| self.read(member)) {
            Some(Some(reader)) => {
                let place = format!("{name} of {}", self.place);
                Ok(Some(read_bounded(reader, DOCUMENT_LIMIT, "bytes for a document", &place)?))
            }
            _ => Ok(None),
        }
    }

    /// Opens a member; `None` if it was already read.
    pub fn read(&self, member: &ArchiveMember) -> Option<Box<dyn Read + Send>> {
        match (member, &self.file) {
            (ArchiveMember::Section { offset, size }, Some(file)) => {
                Some(Box::new(FileSection::new(file.clone(), *offset, *size)))
            }
            (ArchiveMember::Document(bytes), _) => Some(Box::new(Cursor::new(bytes.clone()))),
            _ => None,
        }
    }

    /// The member's section of the archive's file; `None` if it has none.
    pub(super) fn section(&self, member: &ArchiveMember) -> Option<FileSection> {
        match (member, &self.file) {
            (ArchiveMember::Section { offset, size }, Some(file)) => {
                Some(FileSection::new(file.clone(), *offset, *size))
            }
            _ => None,
        }
    }

    /// The state of the file that contains a section; `None` for other members.
    pub(super) fn stamp(&self, member: &ArchiveMember) -> Option<std::io::Result<Stamp>> {
        match (member, &self.file) {
            (ArchiveMember::Section { offset, .. }, Some(file)) => Some(Stamp::from_file(file, *offset)),
            _ => None,
        }
    }

    /// Digest and size of a member as stored; a section is read to compute them.
    pub fn digest(&self, member: &ArchiveMember) -> Result<(Digest, u64), SourceError> {
        if let ArchiveMember::Passed { digest, size } = member {
            return Ok((digest.clone(), *size));
        }
        let mut reader = self.read(member).expect("find follows links, and a section has its file");
        let read = Hasher::sha256().read(&mut reader);
        read.map_err(|cause| SourceError::File { path: self.place.clone().into(), cause })
    }

    /// Names of all members, in no particular order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.all.keys().map(String::as_str)
    }
}

/// The values of GNU and PAX headers for the next member. A GNU name takes precedence over a PAX name.
#[derive(Default)]
struct Extended {
    pax: Pax,
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
}

impl Extended {
    fn apply(&mut self, tag: u8, bytes: &[u8]) -> Result<(), &'static str> {
        match tag {
            b'L' => self.name = Some(header::text(bytes).to_vec()),
            b'K' => self.link = Some(header::text(bytes).to_vec()),
            _ => self.pax = Pax::parse(bytes)?,
        }
        Ok(())
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn normal(name: &str) -> String {
    let parts = name.split('/').filter(|part| !matches!(*part, "" | "."));
    let mut kept: Vec<&str> = Vec::new();
    for part in parts {
        if part == ".." {
            kept.pop();
        } else {
            kept.push(part);
        }
    }
    kept.join("/")
}

/// Resolves a symbolic link's target relative to the directory of the link.
fn link_target(name: &str, target: &str) -> String {
    match (target.starts_with('/'), name.rsplit_once('/')) {
        (false, Some((directory, _))) => normal(&format!("{directory}/{target}")),
        _ => normal(target),
    }
}

#[cfg(test)]
#[path = "members_tests.rs"]
mod tests;
