//! The members of one layer, in the order of its tar, in a packed form. An image can have a million entries, so a path
//! is stored without the directory that it shares with the previous path, and an uninteresting file stores no fact. The
//! merged tree refers to the names that are stored here.

use super::attributes::{AttributeTable, Attributes};
use crate::platform::FileCapabilities;

/// One member of a layer, as it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerMember<'a> {
    /// Path relative to the root: no leading slash, no `.`, and `..` clamped at the root. Bytes, because Linux names
    /// are bytes.
    pub path: &'a [u8],
    pub kind: EntryKind<'a>,
    /// Permission bits with setuid, setgid and sticky.
    pub mode: u16,
    pub uid: u32,
    pub gid: u32,
    /// Size in bytes of a regular file; 0 for every other kind.
    pub size: u64,
    /// The value of `security.capability`, if the file has one.
    pub capabilities: Option<FileCapabilities>,
}

/// The kind of a member. Source: OCI image-spec, layer.md.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind<'a> {
    File,
    Directory,
    /// The target as stored.
    Symlink(&'a [u8]),
    /// The target's path relative to the root, normalised like `path`; may be in a lower layer.
    HardLink(&'a [u8]),
    /// Character or block device, fifo, socket.
    Special,
    /// `path` is the hidden name, without the `.wh.` prefix.
    Whiteout,
    /// `path` is the directory whose lower content is hidden.
    Opaque,
}

/// The members of one layer, with the facts that the caller's closure returned for its files.
#[derive(Debug)]
pub struct Contents<T> {
    /// The members, encoded by [`Contents::push`].
    packed: Vec<u8>,
    attributes: AttributeTable,
    /// One for each member that has a fact, in member order.
    facts: Vec<T>,
    /// Indexes of preliminary facts, sorted.
    preliminary: Vec<u32>,
    last_path: Vec<u8>,
    members: usize,
    names: u64,
    text: usize,
    has_marks: bool,
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

impl Tag {
    /// Indexed by discriminant.
    const ALL: [Tag; 7] =
        [Tag::File, Tag::Directory, Tag::Symlink, Tag::HardLink, Tag::Special, Tag::Whiteout, Tag::Opaque];
}

/// Bit widths in a member's first number, from the lowest: whether it has a fact, then its tag. The number of its
/// attributes fills the rest.
const FACT_BITS: u32 = 1;
const TAG_BITS: u32 = 3;

/// Linux's PATH_MAX. No program can open a longer name, so its tar entry is rejected.
pub const PATH_LIMIT: usize = 4096;

impl<T> Default for Contents<T> {
    fn default() -> Self {
        let (packed, facts, last_path, attributes) = (Vec::new(), Vec::new(), Vec::new(), AttributeTable::default());
        let preliminary = Vec::new();
        Contents { packed, attributes, facts, preliminary, last_path, members: 0, names: 0, text: 0, has_marks: false }
    }
}

impl<T> Contents<T> {
    /// Appends a member. `fact` is the caller's result for a regular file, if any. Panics if a path or target exceeds
    /// [`PATH_LIMIT`]: the tar reader rejects those first.
    pub fn push(&mut self, entry: &LayerMember<'_>, fact: Option<T>) {
        let (tag, target): (Tag, Option<&[u8]>) = match entry.kind {
            EntryKind::File => (Tag::File, None),
            EntryKind::Directory => (Tag::Directory, None),
            EntryKind::Symlink(target) => (Tag::Symlink, Some(target)),
            EntryKind::HardLink(target) => (Tag::HardLink, Some(target)),
            EntryKind::Special => (Tag::Special, None),
            EntryKind::Whiteout => (Tag::Whiteout, None),
            EntryKind::Opaque => (Tag::Opaque, None),
        };
        let target_bytes = target.map_or(0, <[u8]>::len);
        assert!(entry.path.len() <= PATH_LIMIT && target_bytes <= PATH_LIMIT, "the tar reader bounds names");
        let &LayerMember { mode, uid, gid, capabilities, .. } = entry;
        let attributes = u64::from(self.attributes.number(Attributes { mode, uid, gid, capabilities }));
        let shared = shared_directory(entry.path, &self.last_path);
        let own = &entry.path[shared..];
        let packed = &mut self.packed;
        put_number(
            packed,
            attributes << (TAG_BITS + FACT_BITS) | (tag as u64) << FACT_BITS | u64::from(fact.is_some()),
        );
        put_number(packed, shared as u64);
        put_number(packed, own.len() as u64);
        packed.extend_from_slice(own);
        if tag == Tag::File {
            put_number(packed, entry.size);
        }
        if let Some(target) = target {
            put_number(packed, target.len() as u64);
            packed.extend_from_slice(target);
        }
        self.facts.extend(fact);
        self.members += 1;
        self.has_marks |= matches!(tag, Tag::Whiteout | Tag::Opaque);
        self.names += 1 + own.iter().filter(|byte| **byte == b'/').count() as u64;
        self.text += own.len() + target_bytes;
        self.last_path.truncate(shared);
        self.last_path.extend_from_slice(own);
    }

    /// Like [`Contents::push`], for a file that was not read as far as its fact requires.
    pub fn push_preliminary(&mut self, entry: &LayerMember<'_>, fact: T) {
        self.preliminary.push(self.facts.len() as u32);
        self.push(entry, Some(fact));
    }

    /// Whether any fact is preliminary.
    pub fn has_preliminary(&self) -> bool {
        !self.preliminary.is_empty()
    }

    /// Whether the fact at an index that [`Contents::for_each`] passed is preliminary.
    pub fn is_preliminary(&self, fact: u32) -> bool {
        self.preliminary.binary_search(&fact).is_ok()
    }

    /// Number of members.
    pub fn len(&self) -> usize {
        self.members
    }

    pub fn is_empty(&self) -> bool {
        self.members == 0
    }

    /// Frees spare capacity. Call it after the last push.
    pub fn shrink(&mut self) {
        self.packed.shrink_to_fit();
        self.facts.shrink_to_fit();
        self.last_path = Vec::new();
    }

    /// Number of components in which each path differs from the previous one, in total: an upper bound for the nodes
    /// that a merge creates.
    pub fn names(&self) -> u64 {
        self.names
    }

    /// Whether any member hides entries of lower layers.
    pub fn has_marks(&self) -> bool {
        self.has_marks
    }

    /// Bytes of stored names and link targets.
    pub fn text_bytes(&self) -> usize {
        self.text
    }

    /// Bytes in use by the members, excluding the heap memory of facts and spare capacity.
    pub fn used_bytes(&self) -> usize {
        self.packed.len() + size_of_val(&*self.facts) + self.attributes.heap_bytes()
    }

    /// Every fact, in file order.
    pub fn facts(&self) -> impl Iterator<Item = &T> {
        self.facts.iter()
    }

    /// Bytes allocated, excluding the heap memory of facts.
    pub fn heap_bytes(&self) -> usize {
        self.packed.capacity() + self.facts.capacity() * size_of::<T>() + self.attributes.heap_bytes()
    }

    /// Visits every member in tar order; the second argument is the fact's index for [`Contents::fact`].
    pub fn for_each(&self, mut visit: impl FnMut(&LayerMember<'_>, Option<u32>)) {
        self.for_each_name(|entry, fact, _| visit(entry, fact));
    }

    /// Like [`Contents::for_each`]; the third argument is the offset of the entry's name for [`Contents::name`].
    pub(super) fn for_each_name(&self, mut visit: impl FnMut(&LayerMember<'_>, Option<u32>, usize)) {
        let mut path = Vec::new();
        let mut facts = 0;
        let mut rest = Packed(&self.packed);
        while !rest.0.is_empty() {
            let first = rest.number();
            let tag = Tag::ALL[(first >> FACT_BITS) as usize % (1 << TAG_BITS)];
            let shared = rest.number();
            path.truncate(shared as usize);
            path.extend_from_slice(rest.text());
            let path_end = self.packed.len() - rest.0.len();
            let mut size = 0;
            let kind = match tag {
                Tag::File => {
                    size = rest.number();
                    EntryKind::File
                }
                Tag::Directory => EntryKind::Directory,
                Tag::Symlink => EntryKind::Symlink(rest.text()),
                Tag::HardLink => EntryKind::HardLink(rest.text()),
                Tag::Special => EntryKind::Special,
                Tag::Whiteout => EntryKind::Whiteout,
                Tag::Opaque => EntryKind::Opaque,
            };
            let &Attributes { mode, uid, gid, capabilities } =
                self.attributes.get((first >> (TAG_BITS + FACT_BITS)) as u32);
            let fact = (first & 1 == 1).then_some(facts);
            facts += u32::from(fact.is_some());
            let name_length = path.len() - path.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
            let entry = LayerMember { path: &path, kind, mode, uid, gid, size, capabilities };
            visit(&entry, fact, path_end - name_length);
        }
    }

    /// The name at an offset that [`Contents::for_each_name`] passed: the last component of an entry's path.
    pub(super) fn name(&self, at: usize, length: usize) -> &[u8] {
        &self.packed[at..at + length]
    }

    /// The target of the symbolic link whose name ends at `name_end`.
    pub(super) fn target(&self, name_end: usize) -> &[u8] {
        Packed(&self.packed[name_end..]).text()
    }

    /// The fact at an index that [`Contents::for_each`] passed.
    pub fn fact(&self, index: u32) -> &T {
        &self.facts[index as usize]
    }
}

/// The packed members that are still unread.
struct Packed<'a>(&'a [u8]);

impl<'a> Packed<'a> {
    fn number(&mut self) -> u64 {
        let (mut value, mut shift) = (0, 0);
        while let Some((byte, rest)) = self.0.split_first() {
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                break;
            }
            shift += 7;
        }
        value
    }

    /// A length-prefixed byte string.
    fn text(&mut self) -> &'a [u8] {
        let length = self.number() as usize;
        let (text, rest) = self.0.split_at(length);
        self.0 = rest;
        text
    }
}

/// Appends `value` in LEB128: seven bits per byte, lowest first.
fn put_number(packed: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        packed.push(value as u8 | 0x80);
        value >>= 7;
    }
    packed.push(value as u8);
}

/// Length of the directory that `path` shares with `last`, with its slash. A name is never divided.
fn shared_directory(path: &[u8], last: &[u8]) -> usize {
    let shared = &path[..shared_start(path, last)];
    shared.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1)
}

/// Length of the common prefix.
fn shared_start(a: &[u8], b: &[u8]) -> usize {
    const WORD: usize = 8;
    let end = a.len().min(b.len());
    let mut at = 0;
    while let (Some(x), Some(y)) = (a[at..].first_chunk::<WORD>(), b[at..].first_chunk::<WORD>()) {
        let difference = u64::from_le_bytes(*x) ^ u64::from_le_bytes(*y);
        if difference != 0 {
            return at + (difference.trailing_zeros() / u8::BITS) as usize;
        }
        at += WORD;
    }
    while at < end && a[at] == b[at] {
        at += 1;
    }
    at
}

impl<'a> LayerMember<'a> {
    /// A member with root's ownership and no content, for tests and for directories without an entry.
    pub fn plain(path: &'a [u8], kind: EntryKind<'a>, mode: u16) -> LayerMember<'a> {
        LayerMember { path, kind, mode, uid: 0, gid: 0, size: 0, capabilities: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_read_in_the_order_of_their_writing() {
        let mut contents = Contents::default();
        let entries = [
            LayerMember::plain(b"usr", EntryKind::Directory, 0o755),
            LayerMember { size: 7, uid: 1000, gid: 5, ..LayerMember::plain(b"usr/bin/a", EntryKind::File, 0o4755) },
            LayerMember {
                size: u64::MAX,
                uid: u32::MAX,
                ..LayerMember::plain(b"usr/bin/a/huge", EntryKind::File, 0o644)
            },
            LayerMember::plain(b"usr/bin/ab", EntryKind::Symlink(b"../lib/x"), 0o777),
            LayerMember::plain(b"usr/lib/x", EntryKind::HardLink(b"usr/bin/a"), 0o755),
            LayerMember::plain(b"etc/gone", EntryKind::Whiteout, 0),
            LayerMember::plain(b"opt", EntryKind::Opaque, 0),
        ];
        for entry in &entries {
            contents.push(entry, (entry.size == 7).then_some("program"));
        }
        let mut seen = 0;
        contents.for_each_name(|entry, fact, at| {
            assert_eq!(entry, &entries[seen]);
            let name = entry.path.rsplit(|byte| *byte == b'/').next().unwrap();
            assert_eq!(contents.name(at, name.len()), name);
            if let EntryKind::Symlink(target) = entry.kind {
                assert_eq!(contents.target(at + name.len()), target);
            }
            assert_eq!(fact.map(|index| *contents.fact(index)), (seen == 1).then_some("program"));
            seen += 1;
        });
        assert_eq!(seen, entries.len());
    }
}
