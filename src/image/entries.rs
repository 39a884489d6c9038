//! Walks a layer's tar once, from front to back, and never unpacks it. What the engines' tar reader (Go's archive/tar)
//! does with odd archives is done here too, since what counts is what a node would unpack. Extended headers and maps are
//! bounded before they are read.

use std::io::{self, BufRead, Read};

use tar::Header;

use super::blocks::{Blocks, End, padding};
use super::contents::{Contents, Entry, EntryKind, PATH_LIMIT};
use super::error::LayerError;
use super::header;
use super::limits::Limits;
use super::names::{self, Meaning};
use super::pax::{MapPlace, Pax};
use super::sparse::{self, Content, Holes, Map};

/// What was odd about a layer, though all of it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LayerNote {
    /// Zeros behind the compressed stream, as padding of block devices leaves.
    TrailingZeros,
    /// Bytes behind the compressed stream that engines may refuse.
    TrailingGarbage,
    /// The tar ends without its two blocks of zeros; engines take it.
    NoEndMarker,
    /// A name or link target over the kernel's PATH_MAX; no engine can unpack it. Carries its start.
    NameTooLong(Vec<u8>),
    /// A name with `..` that leads out of the root; it was clamped there. docker refuses such a layer.
    EscapingName(Vec<u8>),
    /// An entry of a type that no engine unpacks; it was left out.
    UnknownType { path: Vec<u8>, tag: u8 },
}

/// More notes than these say nothing new.
const MAX_NOTES: usize = 100;

/// Bytes kept of a name that is too long.
const LONG_NAME_START: usize = 64;

/// Called for each regular file with a reader of its content.
pub(super) type Visit<'v, T> = dyn FnMut(&Entry<'_>, &mut dyn Read) -> Option<T> + 'v;

/// Reads a tar up to its end marker.
pub(super) fn walk<T, R: BufRead>(
    reader: &mut R,
    limits: &Limits,
    visit: &mut Visit<'_, T>,
) -> Result<(Contents<T>, Vec<LayerNote>), LayerError> {
    let (blocks, contents, notes) = (Blocks::new(reader), Contents::default(), Vec::new());
    let mut walk =
        Walk { blocks, contents, notes, limits, visit, raw: Vec::new(), path: Vec::new(), target: Vec::new() };
    let mut before = Before::default();
    loop {
        let block = match walk.blocks.header()? {
            Ok(block) => block,
            Err(end) => {
                if end == End::Bare {
                    walk.note(LayerNote::NoEndMarker);
                }
                return Ok((walk.contents, walk.notes));
            }
        };
        let size = walk.blocks.number(&block[124..136])?;
        match block[156] {
            b'x' => {
                let records = walk.blocks.extension(size)?;
                before.pax = Some(Pax::parse(&records).map_err(|cause| walk.blocks.corrupt(cause))?);
            }
            b'L' => before.name = Some(header::text(&walk.blocks.extension(size)?).to_vec()),
            b'K' => before.link = Some(header::text(&walk.blocks.extension(size)?).to_vec()),
            // Engines do not apply global records.
            b'g' => walk.skip_data(size)?,
            _ => walk.member(Header::from_byte_slice(&block), size, std::mem::take(&mut before))?,
        }
    }
}

/// What extended headers said of the entry that follows them.
#[derive(Default)]
struct Before {
    pax: Option<Pax>,
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
}

struct Walk<'w, 'v, T, R> {
    blocks: Blocks<'w, R>,
    contents: Contents<T>,
    notes: Vec<LayerNote>,
    limits: &'w Limits,
    visit: &'w mut Visit<'v, T>,
    raw: Vec<u8>,
    path: Vec<u8>,
    target: Vec<u8>,
}

/// A member's metadata, its name apart.
struct Facts {
    mode: u16,
    uid: u32,
    gid: u32,
    has_capabilities: bool,
}

impl<T, R: BufRead> Walk<'_, '_, T, R> {
    /// Takes in one entry; a GNU name counts before a PAX one, and that before the header's.
    fn member(&mut self, header: &Header, stored: u64, before: Before) -> Result<(), LayerError> {
        let pax = before.pax.unwrap_or_default();
        match before.name.as_ref().or(pax.path.as_ref()) {
            Some(name) => self.raw.clone_from(name),
            None => header::read_name(header, &mut self.raw),
        }
        let mut stored = pax.size.unwrap_or(stored);
        let old = header.as_old();
        let tag = old.linkflag[0];
        let number = |field: &[u8]| self.blocks.number(field);
        let facts = Facts {
            mode: (number(&old.mode)? & 0o7777) as u16,
            uid: pax.uid.map_or_else(|| number(&old.uid), Ok)? as u32,
            gid: pax.gid.map_or_else(|| number(&old.gid), Ok)? as u32,
            has_capabilities: pax.has_capabilities,
        };
        let kind = match tag {
            0 if self.raw.ends_with(b"/") => EntryKind::Directory,
            0 | b'0' | b'7' | b'S' => EntryKind::File,
            b'5' => EntryKind::Directory,
            b'1' | b'2' => {
                let link = before.link.as_deref().or(pax.link.as_deref()).unwrap_or(header::text(&old.linkname));
                return self.link(tag, link, &facts);
            }
            b'3' | b'4' | b'6' => EntryKind::Special,
            _ => {
                self.note(LayerNote::UnknownType { path: start_of(&self.raw), tag });
                return self.skip_data(stored);
            }
        };
        if kind != EntryKind::File {
            // As engines have it, no data follows a directory or a device, whatever its size field says.
            return self.push(kind, &facts, None);
        }
        let map = self.map(header, &pax, &mut stored)?;
        self.file(stored, map, &facts)
    }

    /// The sparse map of a file that has one; what is left of its `stored` bytes is data.
    fn map(&mut self, header: &Header, pax: &Pax, stored: &mut u64) -> Result<Option<Map>, LayerError> {
        if let Some(place) = pax.sparse.map_place() {
            if let Some(name) = &pax.sparse.name {
                self.raw.clone_from(name);
            }
            let size = pax.sparse.size.unwrap_or(*stored);
            let numbers = match place {
                MapPlace::Records => Ok(pax.sparse.map.clone()),
                MapPlace::Data => {
                    let mut data = (&mut *self.blocks.reader).take(*stored);
                    sparse::read_map_lines(&mut data).map_err(truncated)?.map(|(numbers, taken)| {
                        self.blocks.at += taken;
                        *stored -= taken;
                        numbers
                    })
                }
            };
            let map = numbers.and_then(|numbers| Map::from_pairs(&numbers, size)).and_then(|map| map.checked(*stored));
            return map.map(Some).map_err(|cause| self.blocks.corrupt(cause));
        }
        let Some(gnu) = header.as_gnu().filter(|_| header.as_old().linkflag[0] == b'S') else { return Ok(None) };
        let mut map = Map { segments: Vec::new(), size: self.blocks.number(&gnu.realsize)? };
        let mut add =
            |blocks: &Blocks<'_, R>, fields: &[u8]| map.add_fields(fields).map_err(|cause| blocks.corrupt(cause));
        add(&self.blocks, &header.as_bytes()[386..482])?;
        let mut is_extended = gnu.isextended[0] != 0;
        while is_extended {
            let block = self.blocks.next()?.ok_or(LayerError::Truncated("tar"))?;
            add(&self.blocks, &block[..504])?;
            is_extended = block[504] != 0;
        }
        map.checked(*stored).map(Some).map_err(|cause| self.blocks.corrupt(cause))
    }

    fn file(&mut self, stored: u64, map: Option<Map>, facts: &Facts) -> Result<(), LayerError> {
        let size = map.as_ref().map_or(stored, |map| map.size);
        if size > self.limits.max_bytes {
            return Err(LayerError::TooLarge(self.limits.max_bytes));
        }
        if !self.read_path()? {
            return self.skip_data(stored);
        }
        let mut path = std::mem::take(&mut self.path);
        let kind = match names::read_mark(&mut path) {
            Meaning::Plain => EntryKind::File,
            Meaning::Whiteout => EntryKind::Whiteout,
            Meaning::Opaque => EntryKind::Opaque,
            Meaning::Ignored => {
                self.path = path;
                return self.skip_data(stored);
            }
        };
        let Facts { mode, uid, gid, has_capabilities } = *facts;
        let mut entry = Entry { path: &path, kind, mode, uid, gid, size, has_capabilities };
        let mut fact = None;
        let mut left = stored;
        if kind == EntryKind::File {
            let holes = map.as_ref().map(Holes::new);
            let mut content = Content { reader: &mut *self.blocks.reader, left, holes, failed: None };
            fact = (self.visit)(&entry, &mut content);
            left = content.left;
            self.blocks.at += stored - left;
            if let Some(error) = content.failed {
                return Err(truncated(error));
            }
        } else {
            entry.size = 0;
        }
        self.contents.push(&entry, fact);
        self.path = path;
        self.blocks.skip(left)?;
        self.blocks.skip(padding(stored))?;
        self.limits.check_names(self.contents.names(), self.contents.text_bytes())
    }

    /// A hard or symbolic link; engines take no data behind it, whatever its size field says.
    fn link(&mut self, tag: u8, target: &[u8], facts: &Facts) -> Result<(), LayerError> {
        if target.len() >= PATH_LIMIT {
            self.note(LayerNote::NameTooLong(start_of(target)));
            return Ok(());
        }
        let mut text = std::mem::take(&mut self.target);
        let pushed = if tag == b'2' {
            self.push(EntryKind::Symlink(target), facts, None)
        } else {
            if names::normalise(target, &mut text) {
                self.note(LayerNote::EscapingName(start_of(target)));
            }
            self.push(EntryKind::HardLink(&text), facts, None)
        };
        self.target = text;
        pushed
    }

    /// Adds an entry without content, under the mark that its name may carry.
    fn push(&mut self, kind: EntryKind<'_>, facts: &Facts, fact: Option<T>) -> Result<(), LayerError> {
        if !self.read_path()? {
            return Ok(());
        }
        let kind = match names::read_mark(&mut self.path) {
            Meaning::Plain => kind,
            Meaning::Whiteout => EntryKind::Whiteout,
            Meaning::Opaque => EntryKind::Opaque,
            Meaning::Ignored => return Ok(()),
        };
        let Facts { mode, uid, gid, has_capabilities } = *facts;
        self.contents.push(&Entry { path: &self.path, kind, mode, uid, gid, size: 0, has_capabilities }, fact);
        self.limits.check_names(self.contents.names(), self.contents.text_bytes())
    }

    /// Turns the raw name into `path`. False where no file can have it.
    fn read_path(&mut self) -> Result<bool, LayerError> {
        if self.raw.contains(&0) {
            return Err(self.blocks.corrupt("a name with a NUL in it"));
        }
        if names::normalise(&self.raw, &mut self.path) {
            self.note(LayerNote::EscapingName(start_of(&self.raw)));
        }
        if self.path.len() >= PATH_LIMIT {
            self.note(LayerNote::NameTooLong(start_of(&self.raw)));
            return Ok(false);
        }
        Ok(true)
    }

    fn skip_data(&mut self, stored: u64) -> Result<(), LayerError> {
        self.blocks.skip(stored)?;
        self.blocks.skip(padding(stored))
    }

    fn note(&mut self, note: LayerNote) {
        if self.notes.len() < MAX_NOTES {
            self.notes.push(note);
        }
    }
}

fn start_of(name: &[u8]) -> Vec<u8> {
    name[..name.len().min(LONG_NAME_START)].to_vec()
}

/// A file's bytes ended before the tar said so.
fn truncated(error: io::Error) -> LayerError {
    if error.kind() == io::ErrorKind::UnexpectedEof { LayerError::Truncated("tar") } else { error.into() }
}

#[cfg(test)]
#[path = "entries_tests.rs"]
mod tests;
