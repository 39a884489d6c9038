//! Walks a layer's tar once, sequentially, without unpacking it. It treats unusual archives as the engines' tar reader
//! (Go's archive/tar) does, because the result of a node's unpacking is what counts. Extended headers and maps are
//! bounded before they are read.

mod blocks;
mod names;
mod sparse;

use std::io::{self, BufRead, Read, Seek};

use crate::image::contents::{Contents, EntryKind, LayerMember, PATH_LIMIT};
use crate::image::error::LayerError;
use crate::image::limits::Limits;
use crate::image::note::LayerNote;
use crate::platform::FileCapabilities;
use crate::source::tar::header::BLOCK;
use crate::source::tar::pax::MapPlace;

pub use blocks::{Blocks, TarEnd, TarMember, padding};
pub use names::normalise;
pub(in crate::image) use names::{Mark, read_mark};
use sparse::{Content, Map, SparseHoles};

/// Limit for recorded notes: further ones add no information.
const MAX_NOTES: usize = 100;

/// Growth of a layer's entries, in bytes, after which the image's memory budget is checked again.
const MEMORY_STEP: usize = 64 << 10;

/// Bytes stored of a name that is too long.
const LONG_NAME_START: usize = 64;

/// Called for each regular file with a reader of its content.
pub type Visit<'v, T> = dyn FnMut(&LayerMember<'_>, &mut dyn BufRead) -> Option<T> + 'v;

/// Reads a tar up to its end marker. Empty input counts as an empty tar, as in Go's archive/tar.
pub fn walk<T, R: BufRead>(
    reader: &mut R,
    limits: &Limits,
    visit: &mut Visit<'_, T>,
) -> Result<(Contents<T>, Vec<LayerNote>), LayerError> {
    walk_blocks(Blocks::new(reader), limits, visit)
}

/// Like [`walk`], but seeks past content that `visit` does not read.
pub fn walk_seeking<T, R: BufRead + Seek>(
    reader: &mut R,
    limits: &Limits,
    visit: &mut Visit<'_, T>,
) -> Result<(Contents<T>, Vec<LayerNote>), LayerError> {
    walk_blocks(Blocks::seeking(reader), limits, visit)
}

fn walk_blocks<T, R: BufRead>(
    blocks: Blocks<'_, R>,
    limits: &Limits,
    visit: &mut Visit<'_, T>,
) -> Result<(Contents<T>, Vec<LayerNote>), LayerError> {
    if blocks.reader.fill_buf()?.is_empty() {
        return Ok((Contents::default(), Vec::new()));
    }
    let (contents, notes) = (Contents::default(), Vec::new());
    let mut walk = TarWalk { blocks, contents, notes, limits, counted: 0, visit, path: Vec::new(), target: Vec::new() };
    let mut member = TarMember::new();
    loop {
        match walk.blocks.member(&mut member)? {
            Ok(()) => walk.member(&mut member)?,
            Err(end) => {
                if end == TarEnd::Bare {
                    walk.note(LayerNote::NoEndMarker);
                }
                walk.count_memory(0)?;
                walk.contents.shrink();
                return Ok((walk.contents, walk.notes));
            }
        }
    }
}

struct TarWalk<'w, 'v, T, R> {
    blocks: Blocks<'w, R>,
    contents: Contents<T>,
    notes: Vec<LayerNote>,
    limits: &'w Limits,
    /// Bytes of `contents` already counted in the memory budget.
    counted: usize,
    visit: &'w mut Visit<'v, T>,
    path: Vec<u8>,
    target: Vec<u8>,
}

/// A member's metadata, except its name.
struct MemberFacts {
    mode: u16,
    uid: u32,
    gid: u32,
    capabilities: Option<FileCapabilities>,
}

impl<T, R: BufRead> TarWalk<'_, '_, T, R> {
    fn member(&mut self, member: &mut TarMember) -> Result<(), LayerError> {
        let old = member.header().as_old();
        let number = |field: &[u8]| self.blocks.number(field);
        let facts = MemberFacts {
            mode: (number(&old.mode)? & 0o7777) as u16,
            uid: member.pax.uid.map_or_else(|| number(&old.uid), Ok)? as u32,
            gid: member.pax.gid.map_or_else(|| number(&old.gid), Ok)? as u32,
            capabilities: member.pax.capabilities,
        };
        match member.tag {
            0 if member.name.ends_with(b"/") => self.push(&member.name, EntryKind::Directory, &facts),
            0 | b'0' | b'7' | b'S' => {
                if matches!(member.tag, b'7' | b'S') {
                    self.note(LayerNote::UnknownType { path: start_of(&member.name), tag: member.tag });
                }
                let map = self.map(member)?;
                self.file(member, map, &facts)
            }
            // As in engines, no data follows a link, a directory or a device, regardless of the size field.
            b'5' => self.push(&member.name, EntryKind::Directory, &facts),
            b'1' | b'2' => self.link(member, &facts),
            b'3' | b'4' | b'6' => self.push(&member.name, EntryKind::Special, &facts),
            tag => {
                self.note(LayerNote::UnknownType { path: start_of(&member.name), tag });
                self.blocks.skip_data(member.stored)
            }
        }
    }

    /// The sparse map of a file that has one. Reduces `stored` to the bytes of data.
    fn map(&mut self, member: &mut TarMember) -> Result<Option<Map>, LayerError> {
        let Some(place) = member.pax.sparse.map_place() else {
            return if member.tag == b'S' { self.gnu_map(member) } else { Ok(None) };
        };
        let sparse = std::mem::take(&mut member.pax.sparse);
        let size = sparse.size.unwrap_or(member.stored);
        if let Some(name) = sparse.name {
            member.name = name;
        }
        let numbers = match place {
            MapPlace::Records => Ok(sparse.map),
            MapPlace::Data => {
                let mut data = (&mut *self.blocks.reader).take(member.stored);
                sparse::read_map_lines(&mut data).map_err(truncated)?.map(|(numbers, taken)| {
                    self.blocks.at += taken;
                    member.stored -= taken;
                    numbers
                })
            }
        };
        let map = numbers.and_then(|numbers| Map::from_pairs(&numbers, size));
        let map = map.and_then(|map| map.checked(member.stored));
        map.map(Some).map_err(|cause| self.blocks.corrupt(cause))
    }

    /// The map of an old GNU sparse file: four segments in the header, 21 in each extension block.
    fn gnu_map(&mut self, member: &TarMember) -> Result<Option<Map>, LayerError> {
        let Some(gnu) = member.header().as_gnu() else { return Ok(None) };
        let mut map = Map { segments: Vec::new(), size: self.blocks.number(&gnu.realsize)? };
        map.add_fields(&member.header[386..482]).map_err(|cause| self.blocks.corrupt(cause))?;
        let mut is_extended = gnu.isextended[0] != 0;
        while is_extended {
            let mut block = [0; BLOCK];
            if !self.blocks.next(&mut block)? {
                return Err(LayerError::Truncated("tar"));
            }
            map.add_fields(&block[..504]).map_err(|cause| self.blocks.corrupt(cause))?;
            is_extended = block[504] != 0;
        }
        map.checked(member.stored).map(Some).map_err(|cause| self.blocks.corrupt(cause))
    }

    fn file(&mut self, member: &TarMember, map: Option<Map>, facts: &MemberFacts) -> Result<(), LayerError> {
        let stored = member.stored;
        let size = map.as_ref().map_or(stored, |map| map.size);
        if size > self.limits.max_bytes {
            return Err(LayerError::TooLarge(self.limits.max_bytes));
        }
        if !self.read_path(&member.name)? {
            return self.blocks.skip_data(stored);
        }
        let mut path = std::mem::take(&mut self.path);
        let kind = match read_mark(&mut path) {
            Mark::Plain => EntryKind::File,
            Mark::Whiteout => EntryKind::Whiteout,
            Mark::Opaque => EntryKind::Opaque,
            meaning @ (Mark::Ignored | Mark::Impossible) => {
                self.path = path;
                self.note_meaning(meaning);
                return self.blocks.skip_data(stored);
            }
        };
        let MemberFacts { mode, uid, gid, capabilities } = *facts;
        let mut entry = LayerMember { path: &path, kind, mode, uid, gid, size, capabilities };
        let mut fact = None;
        let mut left = stored;
        if kind == EntryKind::File {
            let holes = map.as_ref().map(SparseHoles::new);
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
        self.check_limits()
    }

    fn check_limits(&mut self) -> Result<(), LayerError> {
        self.limits.check_names(self.contents.names(), self.contents.text_bytes())?;
        self.count_memory(MEMORY_STEP)
    }

    /// Takes the newly used bytes from the memory budget, once they are at least `step`.
    fn count_memory(&mut self, step: usize) -> Result<(), LayerError> {
        let used = self.contents.used_bytes();
        if used - self.counted < step {
            return Ok(());
        }
        let added = used - std::mem::replace(&mut self.counted, used);
        self.limits.memory.reserve(added)
    }

    fn link(&mut self, member: &TarMember, facts: &MemberFacts) -> Result<(), LayerError> {
        if member.link.len() >= PATH_LIMIT {
            self.note(LayerNote::NameTooLong(start_of(&member.link)));
            return Ok(());
        }
        if member.tag == b'2' {
            return self.push(&member.name, EntryKind::Symlink(&member.link), facts);
        }
        let mut target = std::mem::take(&mut self.target);
        if normalise(&member.link, &mut target) {
            self.note(LayerNote::EscapingName(start_of(&member.link)));
        }
        let pushed = self.push(&member.name, EntryKind::HardLink(&target), facts);
        self.target = target;
        pushed
    }

    /// Adds an entry without content. Its name may carry a whiteout mark.
    fn push(&mut self, name: &[u8], kind: EntryKind<'_>, facts: &MemberFacts) -> Result<(), LayerError> {
        if !self.read_path(name)? {
            return Ok(());
        }
        let kind = match read_mark(&mut self.path) {
            Mark::Plain => kind,
            Mark::Whiteout => EntryKind::Whiteout,
            Mark::Opaque => EntryKind::Opaque,
            meaning @ (Mark::Ignored | Mark::Impossible) => {
                self.note_meaning(meaning);
                return Ok(());
            }
        };
        let MemberFacts { mode, uid, gid, capabilities } = *facts;
        self.contents.push(&LayerMember { path: &self.path, kind, mode, uid, gid, size: 0, capabilities }, None);
        self.check_limits()
    }

    /// Converts a name into `path`. Returns false if no file can have that name.
    fn read_path(&mut self, name: &[u8]) -> Result<bool, LayerError> {
        if name.contains(&0) {
            return Err(self.blocks.corrupt("a name contains a NUL"));
        }
        if normalise(name, &mut self.path) {
            self.note(LayerNote::EscapingName(start_of(name)));
        }
        if self.path.len() >= PATH_LIMIT {
            self.note(LayerNote::NameTooLong(start_of(name)));
            return Ok(false);
        }
        Ok(true)
    }

    /// Records a note for a name that is left out, if it needs one.
    fn note_meaning(&mut self, meaning: Mark) {
        if meaning == Mark::Impossible {
            self.note(LayerNote::ImpossibleWhiteout(start_of(&self.path)));
        }
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

/// Names an end of input inside a file's content as a truncated tar.
fn truncated(error: io::Error) -> LayerError {
    if error.kind() == io::ErrorKind::UnexpectedEof { LayerError::Truncated("tar") } else { error.into() }
}

#[cfg(test)]
#[path = "mod_tests.rs"]
mod tests;
