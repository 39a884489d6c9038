//! What one layer holds, in the order of its tar, packed: an image can have a million entries, so a path is stored as
//! what differs from the path before it, and a file that is of no interest carries no fact.

use std::collections::HashMap;

use crate::platform::FileCapabilities;

/// One member of a layer, as it passes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Path below the root: no leading slash, no `.`, and `..` clamped at the root. Bytes, for Linux names are bytes.
    pub path: &'a [u8],
    pub kind: EntryKind<'a>,
    /// Permission bits with setuid, setgid and sticky.
    pub mode: u16,
    pub uid: u32,
    pub gid: u32,
    /// Bytes of a regular file; 0 for all else.
    pub size: u64,
    /// What `security.capability` says of a file that has it.
    pub capabilities: Option<FileCapabilities>,
}

/// What a member is. Source: OCI image-spec, layer.md.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind<'a> {
    File,
    Directory,
    /// The target as written.
    Symlink(&'a [u8]),
    /// The target's path below the root, normalised as `path` is; may be in a lower layer.
    HardLink(&'a [u8]),
    /// Character or block device, fifo, socket.
    Special,
    /// `path` is the hidden name, without its `.wh.`.
    Whiteout,
    /// `path` is the directory whose lower content is hidden.
    Opaque,
}

/// The members of one layer with what the caller's closure found in the files among them.
#[derive(Debug)]
pub struct Contents<T> {
    text: Vec<u8>,
    records: Vec<Record>,
    owners: Vec<(u32, u32)>,
    capabilities: CapabilityTable,
    owner_index: HashMap<(u32, u32), u16>,
    facts: Vec<T>,
    last_path: Vec<u8>,
    names: u64,
    has_marks: bool,
}

#[derive(Clone, Copy, Debug)]
struct Record {
    /// Where the path's own part starts in `text`; a link's target follows it.
    text: u32,
    shared: u16,
    own: u16,
    target: u16,
    tag: Tag,
    /// As [`CapabilityTable::keep`] gave it.
    capabilities: u16,
    mode: u16,
    owner: u16,
    /// 1 + index into `facts`; 0: none.
    fact: u32,
    size: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tag {
    File,
    Directory,
    Symlink,
    HardLink,
    Special,
    Whiteout,
    Opaque,
}

/// The few file capabilities that a tree's programs have, each kept once.
#[derive(Debug, Default)]
pub(super) struct CapabilityTable {
    list: Vec<FileCapabilities>,
    index: HashMap<FileCapabilities, u16>,
}

impl CapabilityTable {
    /// 0 for none, else what [`CapabilityTable::at`] takes. More than 65,535 different ones share the last.
    #[inline]
    pub fn keep(&mut self, capabilities: &Option<FileCapabilities>) -> u16 {
        capabilities.as_ref().map_or(0, |capabilities| self.keep_one(*capabilities))
    }

    fn keep_one(&mut self, capabilities: FileCapabilities) -> u16 {
        let next = (self.list.len() + 1).min(usize::from(u16::MAX)) as u16;
        let index = *self.index.entry(capabilities).or_insert(next);
        if usize::from(index) > self.list.len() {
            self.list.push(capabilities);
        }
        index
    }

    pub fn at(&self, index: u16) -> Option<FileCapabilities> {
        Some(self.list[usize::from(index.checked_sub(1)?)])
    }
}

/// Linux's PATH_MAX; a longer name can be opened by nobody, and its tar entry is refused.
pub const PATH_LIMIT: usize = 4096;

impl<T> Default for Contents<T> {
    fn default() -> Self {
        let (text, records, owners, facts, last_path) = (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let (capabilities, owner_index) = (CapabilityTable::default(), HashMap::new());
        Contents { text, records, owners, capabilities, owner_index, facts, last_path, names: 0, has_marks: false }
    }
}

impl<T> Contents<T> {
    /// Appends a member. `fact` is what was found in a regular file, where that is of interest.
    /// Panics where a path or target is over [`PATH_LIMIT`]: the tar reader refuses those before.
    pub fn push(&mut self, entry: &Entry<'_>, fact: Option<T>) {
        let (tag, target): (Tag, &[u8]) = match entry.kind {
            EntryKind::File => (Tag::File, b""),
            EntryKind::Directory => (Tag::Directory, b""),
            EntryKind::Symlink(target) => (Tag::Symlink, target),
            EntryKind::HardLink(target) => (Tag::HardLink, target),
            EntryKind::Special => (Tag::Special, b""),
            EntryKind::Whiteout => (Tag::Whiteout, b""),
            EntryKind::Opaque => (Tag::Opaque, b""),
        };
        assert!(entry.path.len() <= PATH_LIMIT && target.len() <= PATH_LIMIT, "the tar reader bounds names");
        let shared = shared_start(entry.path, &self.last_path);
        let own = &entry.path[shared..];
        let record = Record {
            text: u32::try_from(self.text.len()).expect("a layer's names are bounded far below 4 GiB"),
            shared: shared as u16,
            own: own.len() as u16,
            target: target.len() as u16,
            tag,
            capabilities: self.capabilities.keep(&entry.capabilities),
            mode: entry.mode,
            owner: self.owner(entry.uid, entry.gid),
            fact: if fact.is_some() { self.facts.len() as u32 + 1 } else { 0 },
            size: entry.size,
        };
        self.has_marks |= matches!(tag, Tag::Whiteout | Tag::Opaque);
        self.names += 1 + own.iter().filter(|byte| **byte == b'/').count() as u64;
        self.text.extend_from_slice(own);
        self.text.extend_from_slice(target);
        self.facts.extend(fact);
        self.records.push(record);
        self.last_path.truncate(shared);
        self.last_path.extend_from_slice(own);
    }

    /// More than 65,535 owners share the last one: ownership only decides who may execute.
    fn owner(&mut self, uid: u32, gid: u32) -> u16 {
        // Nearly every entry has the owner of the one before.
        if let Some(last) = self.records.last().map(|record| record.owner)
            && self.owners[usize::from(last)] == (uid, gid)
        {
            return last;
        }
        let next = self.owners.len().min(usize::from(u16::MAX)) as u16;
        let index = *self.owner_index.entry((uid, gid)).or_insert(next);
        if usize::from(index) == self.owners.len() {
            self.owners.push((uid, gid));
        }
        index
    }

    /// Number of members.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Gives back the memory that growing left over; nothing more will be pushed.
    pub fn shrink(&mut self) {
        self.text.shrink_to_fit();
        self.records.shrink_to_fit();
        self.facts.shrink_to_fit();
        self.last_path = Vec::new();
    }

    /// Components in which each path differs from the one before, in sum: no merge makes more nodes of it.
    pub fn names(&self) -> u64 {
        self.names
    }

    /// Whether any member hides what lower layers have.
    pub fn has_marks(&self) -> bool {
        self.has_marks
    }

    /// Bytes of names and link targets that are kept.
    pub fn text_bytes(&self) -> usize {
        self.text.len()
    }

    /// Bytes that the members take, facts' own heap apart: by their number, whatever room was reserved for more.
    pub fn used_bytes(&self) -> usize {
        self.text.len() + size_of_val(&*self.records) + size_of_val(&*self.facts) + self.owners.len() * OWNER_BYTES
    }

    /// Every fact, in the order of its file.
    pub fn facts(&self) -> impl Iterator<Item = &T> {
        self.facts.iter()
    }

    /// Bytes that this holds in memory, facts' own heap apart.
    pub fn heap_bytes(&self) -> usize {
        self.text.capacity() + self.records.capacity() * size_of::<Record>() + self.facts.capacity() * size_of::<T>()
    }

    /// Visits every member in the tar's order; the second argument is the fact's index for [`Contents::fact`].
    pub fn for_each(&self, mut visit: impl FnMut(&Entry<'_>, Option<u32>)) {
        let mut path = Vec::new();
        for record in &self.records {
            let start = record.text as usize;
            let (own, target) = (start + record.own as usize, start + record.own as usize + record.target as usize);
            path.truncate(record.shared as usize);
            path.extend_from_slice(&self.text[start..own]);
            let target = &self.text[own..target];
            let (uid, gid) = self.owners[record.owner as usize];
            let kind = match record.tag {
                Tag::File => EntryKind::File,
                Tag::Directory => EntryKind::Directory,
                Tag::Symlink => EntryKind::Symlink(target),
                Tag::HardLink => EntryKind::HardLink(target),
                Tag::Special => EntryKind::Special,
                Tag::Whiteout => EntryKind::Whiteout,
                Tag::Opaque => EntryKind::Opaque,
            };
            let entry = Entry {
                path: &path,
                kind,
                mode: record.mode,
                uid,
                gid,
                size: record.size,
                capabilities: self.capabilities.at(record.capabilities),
            };
            visit(&entry, record.fact.checked_sub(1));
        }
    }

    /// The fact at an index that [`Contents::for_each`] gave.
    pub fn fact(&self, index: u32) -> &T {
        &self.facts[index as usize]
    }
}

/// An owner in the list and in its index.
const OWNER_BYTES: usize = 32;

/// Bytes that both start with.
fn shared_start(a: &[u8], b: &[u8]) -> usize {
    const WORD: usize = 16;
    let words = a.chunks_exact(WORD).zip(b.chunks_exact(WORD)).take_while(|(a, b)| a == b).count() * WORD;
    words + a[words..].iter().zip(&b[words..]).take_while(|(a, b)| a == b).count()
}

impl<'a> Entry<'a> {
    /// A member with root's ownership and no content, for tests and for directories that no entry names.
    pub fn plain(path: &'a [u8], kind: EntryKind<'a>, mode: u16) -> Entry<'a> {
        Entry { path, kind, mode, uid: 0, gid: 0, size: 0, capabilities: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_in_comes_out_in_order() {
        let mut contents = Contents::default();
        let entries = [
            Entry::plain(b"usr", EntryKind::Directory, 0o755),
            Entry { size: 7, uid: 1000, gid: 5, ..Entry::plain(b"usr/bin/a", EntryKind::File, 0o4755) },
            Entry::plain(b"usr/bin/ab", EntryKind::Symlink(b"../lib/x"), 0o777),
            Entry::plain(b"usr/lib/x", EntryKind::HardLink(b"usr/bin/a"), 0o755),
            Entry::plain(b"etc/gone", EntryKind::Whiteout, 0),
            Entry::plain(b"opt", EntryKind::Opaque, 0),
        ];
        for entry in &entries {
            contents.push(entry, (entry.kind == EntryKind::File).then_some("program"));
        }
        let mut seen = 0;
        contents.for_each(|entry, fact| {
            assert_eq!(entry, &entries[seen]);
            assert_eq!(fact.map(|index| *contents.fact(index)), (seen == 1).then_some("program"));
            seen += 1;
        });
        assert_eq!(seen, entries.len());
    }
}
