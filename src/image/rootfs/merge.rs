//! Merges layers into one tree.
//!
//! The spec on layers (OCI image-spec, layer.md): "Whiteouts: files named `.wh.<name>` signify that `<name>` of a lower
//! layer is to be hidden ... Whiteout files MUST only apply to resources in lower/parent layers. Files that are present
//! in the same layer as a whiteout file can only be hidden by whiteout files in subsequent layers." And on the opaque
//! marker `.wh..wh..opq`: "all siblings are hidden in the lower layer". A layer is therefore applied in two passes:
//! first its whiteouts, then its entries.
//!
//! The spec does not define how a layer's paths pass through a link of a lower layer. On overlayfs, the usual driver,
//! docker, containerd and podman unpack each layer into a separate directory, where that link does not exist: they
//! create a directory, which then covers the link. This merge does the same.

use std::collections::HashSet;
use std::sync::Arc;

use super::last::Last;
use super::{
    CoveredLink, Covering, Dangling, EngineRefusal, FsNode, IMPLIED, KEPT, LinkFault, MAX_NODES, MAX_SIZE, MAX_TEXT,
    NONE, NodeId, NodeKind, ROOT, Refused, RootFs, Texts,
};
use crate::image::attributes::Attributes;
use crate::image::contents::{Contents, EntryKind, LayerMember};
use crate::platform::FileCapabilities;

/// Merges layers, lowest first. A layer's whiteouts hide entries of lower layers only. A tree of a million entries
/// takes about 30 MiB in addition to its layers' [`Contents`].
pub fn merge<T>(layers: impl IntoIterator<Item = Arc<Contents<T>>>) -> RootFs<T> {
    let mut rootfs = RootFs::empty();
    for layer in layers {
        rootfs.apply(layer);
    }
    rootfs
}

/// Rounds in which hard links that precede their target are retried; a chain needs one round for each of its links.
const LINK_ROUNDS: usize = 16;

/// Limit for the covered links that are recorded per image: further ones add no information.
const MAX_COVERED: usize = 100;

/// Limit for the components of link targets and whiteout paths that a merge follows, in total. Real layers stay far
/// below one per entry; a hostile layer could request 80,000 per entry.
const MAX_STEPS: u64 = 20_000_000;

/// Bytes of one hidden path in its set, excluding the path itself.
const HIDDEN_BYTES: usize = 48;

/// Bytes of a hard link that no engine can create.
fn link_bytes(path: &[u8], target: &[u8]) -> usize {
    size_of::<Dangling>() + path.len() + target.len()
}

impl<T> RootFs<T> {
    /// Applies one more layer on top.
    pub fn apply(&mut self, contents: Arc<Contents<T>>) {
        let layer = self.layers.len();
        self.layers.push(Arc::clone(&contents));
        if contents.used_bytes() > MAX_TEXT {
            self.left_out += contents.len() as u64;
            return;
        }
        self.other_bytes += contents.used_bytes();
        self.has_preliminary |= contents.has_preliminary();
        let spare = self.memory_limit.saturating_sub(self.used_bytes());
        let room = (contents.names() as usize).min(MAX_NODES).min(spare / size_of::<FsNode>());
        self.nodes.reserve(room);
        let (nodes, names, layers) = (&self.nodes, &*self.names, &*self.layers);
        self.table.reserve(room, |id| nodes[id as usize].key(Texts { names, layers }));
        if contents.has_marks() {
            let mut hidden = HashSet::new();
            let before = self.other_bytes;
            contents.for_each(|entry, _| match entry.kind {
                EntryKind::Whiteout if !self.take_memory(HIDDEN_BYTES + entry.path.len()) => {}
                EntryKind::Whiteout if !hidden.insert(entry.path.to_vec()) => {
                    self.refuse(layer, entry.path, EngineRefusal::HiddenHere);
                }
                EntryKind::Whiteout => self.hide(entry.path, layer),
                EntryKind::Opaque => self.hide_children(entry.path, layer),
                _ => {}
            });
            self.other_bytes = before;
        }
        let mut last = Last::default();
        let mut links: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
        contents.for_each_name(|entry, fact, name_at| match entry.kind {
            EntryKind::Whiteout => self.check_hidden(entry.path, layer),
            EntryKind::Opaque => {}
            EntryKind::HardLink(target) => {
                let fault = match self.link(entry.path, target, Some((entry, layer, name_at))) {
                    Some(source) if source == layer => return,
                    Some(_) => LinkFault::LowerLayer,
                    None if self.take_memory(link_bytes(entry.path, target)) => {
                        links.push((entry.path.to_vec(), target.to_vec()));
                        return;
                    }
                    None => return,
                };
                if !self.take_memory(link_bytes(entry.path, target)) {
                    return;
                }
                let (path, target) = (entry.path.to_vec(), target.to_vec());
                self.dangling.push(Dangling { layer, path, target, fault });
            }
            _ => self.add(layer, entry, fact, name_at, &mut last),
        });
        // In a hostile or rewritten tar, a link may precede its target.
        for _ in 0..LINK_ROUNDS {
            let before = links.len();
            links.retain(|(path, target)| {
                let Some(source) = self.link(path, target, None) else { return true };
                let fault = if source == layer { LinkFault::TargetLater } else { LinkFault::LowerLayer };
                self.dangling.push(Dangling { layer, path: path.clone(), target: target.clone(), fault });
                false
            });
            if links.len() == before {
                break;
            }
        }
        let nowhere = |(path, target)| Dangling { layer, path, target, fault: LinkFault::Nowhere };
        self.dangling.extend(links.into_iter().map(nowhere));
    }

    /// Counts memory used outside the tree. Returns false if the limit is exceeded.
    fn take_memory(&mut self, bytes: usize) -> bool {
        self.other_bytes += bytes;
        let fits = !self.is_full();
        self.left_out += u64::from(!fits);
        fits
    }

    /// Resolves a path within the step limit of a merge. A final link is followed only with `follow`.
    fn find(&mut self, start: u32, path: &[u8], follow: bool) -> Option<u32> {
        if self.steps > MAX_STEPS {
            self.left_out += 1;
            return None;
        }
        let (found, steps) = self.walk_counting(NodeId(start), path, follow, &|_| true);
        self.steps += steps;
        found.ok().map(|id| id.0)
    }

    fn hide(&mut self, path: &[u8], layer: usize) {
        let Some((directory, name)) = split(path) else { return };
        let hidden = self.enter_known(directory, layer).and_then(|parent| self.child(parent, name));
        if let Some(id) = hidden {
            self.remove(id);
        }
    }

    /// An opaque marker never clears through a symbolic link: the directory that the marker is in covers the link.
    fn hide_children(&mut self, path: &[u8], layer: usize) {
        if let Some(id) = self.enter_known(path, layer) {
            self.remove_children(id);
        }
    }

    /// The directory with that path, as an entry in it would find it; `None` if lower layers have no such path.
    fn enter_known(&mut self, directory: &[u8], layer: usize) -> Option<u32> {
        let mut at = ROOT;
        for name in directory.split(|byte| *byte == b'/').filter(|name| !name.is_empty()) {
            if self.steps > MAX_STEPS {
                self.left_out += 1;
                return None;
            }
            self.steps += 1;
            self.child(at, name)?;
            at = self.enter(at, name, layer)?;
        }
        Some(at)
    }

    fn remove_children(&mut self, of: u32) {
        let first = self.nodes[of as usize].first_child();
        if first == NONE {
            return;
        }
        self.nodes[of as usize].content = NONE;
        let mut pending = vec![first];
        while let Some(mut child) = pending.pop() {
            while child != NONE {
                let node = &mut self.nodes[child as usize];
                pending.push(node.first_child());
                // The node is not in any list now, so it must not be found and placed again.
                (node.kind, node.parent) = (NodeKind::Gone, NONE);
                child = node.next_sibling;
            }
        }
    }

    /// Marks a node as gone. It stays in its parent's list until a new node with that name replaces it.
    fn remove(&mut self, id: u32) {
        self.remove_children(id);
        self.nodes[id as usize].kind = NodeKind::Gone;
    }

    /// Adds an entry of a layer; `name_at` is the offset of its name in the layer's contents.
    fn add(&mut self, layer: usize, entry: &LayerMember<'_>, fact: Option<u32>, name_at: usize, last: &mut Last) {
        let kind = match entry.kind {
            EntryKind::Directory => NodeKind::Directory,
            EntryKind::Symlink(_) => NodeKind::Symlink,
            EntryKind::Special => NodeKind::Special,
            _ => NodeKind::File,
        };
        let attributes = self.attributes_of(entry, entry.capabilities);
        let Some((directory, name)) = split(entry.path) else {
            // The entry of the root itself: only its metadata counts.
            if kind == NodeKind::Directory {
                self.nodes[ROOT as usize].attributes = attributes;
            }
            return;
        };
        let Some(parent) = self.enter_near(directory, layer, last) else { return };
        if kind == NodeKind::Directory
            && let Some(link) = self.lower_link(parent, name, layer)
        {
            self.note_covered(link, layer, Covering::Listed);
        }
        let Some(id) = self.place(parent, name, layer, Some(name_at)) else { return };
        self.list(id, entry.path, layer);
        self.set_kind(id, kind);
        let node = &mut self.nodes[id as usize];
        (node.attributes, node.layer, node.name) = (attributes, layer as u16, name_at as u32);
        match entry.kind {
            EntryKind::Symlink(target) => node.content = target.len() as u32,
            EntryKind::File => {
                node.content = u32::try_from(entry.size).unwrap_or(MAX_SIZE);
                self.set_fact(id, fact);
            }
            _ => {}
        }
    }

    fn set_fact(&mut self, id: u32, fact: Option<u32>) {
        match fact {
            Some(fact) => _ = self.facts.insert(id, fact),
            None if self.facts.is_empty() => {}
            None => _ = self.facts.remove(&id),
        }
    }

    /// The number of an entry's attributes. No real image has more than 65,535 different ones; if one does, the tree is
    /// counted as incomplete.
    fn attributes_of(&mut self, entry: &LayerMember<'_>, capabilities: Option<FileCapabilities>) -> u16 {
        let &LayerMember { mode, uid, gid, .. } = entry;
        let number = self.attributes.number(Attributes { mode, uid, gid, capabilities });
        u16::try_from(number).unwrap_or_else(|_| {
            self.left_out += 1;
            u16::MAX
        })
    }

    /// Sets a node's kind. If it is not a directory, everything below it is removed.
    fn set_kind(&mut self, id: u32, kind: NodeKind) {
        if kind != NodeKind::Directory {
            self.remove_children(id);
        }
        let node = &mut self.nodes[id as usize];
        let was = std::mem::replace(&mut node.kind, kind);
        if kind != NodeKind::Directory {
            node.content = 0;
        } else if was != kind {
            node.content = NONE;
        }
        if matches!(was, NodeKind::Directory | NodeKind::Symlink) && (was != kind || kind == NodeKind::Symlink) {
            self.replaced += 1;
        }
    }

    /// Keeps a node's name in the tree itself, followed by its target. If it is full, returns false and marks the
    /// node as gone.
    fn keep_name(&mut self, id: u32, name: &[u8], target: &[u8]) -> bool {
        if self.nodes[id as usize].name & KEPT != 0 && target.is_empty() {
            return true;
        }
        if self.is_full() {
            self.nodes[id as usize].kind = NodeKind::Gone;
            self.left_out += 1;
            return false;
        }
        self.nodes[id as usize].name = KEPT | self.names.len() as u32;
        grow(&mut self.names, name.len() + target.len());
        self.names.extend_from_slice(name);
        self.names.extend_from_slice(target);
        true
    }

    /// Records that the layer has an entry for this node.
    fn list(&mut self, id: u32, path: &[u8], layer: usize) {
        let node = &mut self.nodes[id as usize];
        let is_there = node.kind != NodeKind::Gone && usize::from(node.layer) == layer;
        if std::mem::replace(&mut node.is_listed, true) && is_there {
            self.refuse(layer, path, EngineRefusal::Twice);
        }
    }

    /// Reports a whiteout of a path that its own layer contains earlier.
    fn check_hidden(&mut self, path: &[u8], layer: usize) {
        if let Some(id) = self.find(ROOT, path, false)
            && self.nodes[id as usize].is_listed
            && usize::from(self.nodes[id as usize].layer) == layer
        {
            self.refuse(layer, path, EngineRefusal::HiddenHere);
        }
    }

    fn refuse(&mut self, layer: usize, path: &[u8], why: EngineRefusal) {
        let first = || Refused { layer, why, path: path.to_vec(), count: 0 };
        self.refused.entry((layer, why)).or_insert_with(first).count += 1;
    }

    /// Gives `path` the inode of `target`, and returns the inode's layer. Returns `None` if the file does not exist
    /// (yet). The inode gets the mode and owner of the link's own entry, as in engines; `entry` is that entry, its
    /// layer, and the offset of its name.
    fn link(&mut self, path: &[u8], target: &[u8], entry: Option<(&LayerMember<'_>, usize, usize)>) -> Option<usize> {
        let source = self.find(ROOT, target, false)?;
        if self.nodes[source as usize].kind == NodeKind::Directory {
            return None;
        }
        let layer = self.nodes[source as usize].layer as usize;
        let (directory, name) = split(path)?;
        let parent = self.enter_all(directory, layer)?;
        // Entering the directory may have replaced the target with a directory.
        let kind = self.nodes[source as usize].kind;
        if matches!(kind, NodeKind::Directory | NodeKind::Gone) {
            return None;
        }
        // The name is in the contents of the inode's layer only if that is the link's layer.
        let is_in_layer = |listed_by: usize| listed_by == layer && kind != NodeKind::Symlink;
        let name_at = entry.and_then(|(_, listed_by, name_at)| is_in_layer(listed_by).then_some(name_at));
        let id = self.place(parent, name, layer, name_at)?;
        if id == source {
            return Some(layer);
        }
        if let Some((entry, listed_by, _)) = entry {
            let inode = u32::from(self.nodes[source as usize].attributes);
            let attributes = self.attributes_of(entry, self.attributes.get(inode).capabilities);
            self.nodes[source as usize].attributes = attributes;
            self.list(id, path, listed_by);
        }
        let text = self.target_of(source).to_vec();
        self.set_kind(id, kind);
        match name_at {
            Some(at) => self.nodes[id as usize].name = at as u32,
            None if !self.keep_name(id, name, &text) => return None,
            None => {}
        }
        let from = &self.nodes[source as usize];
        let (attributes, content) = (from.attributes, from.content);
        let node = &mut self.nodes[id as usize];
        (node.attributes, node.content, node.layer) = (attributes, content, layer as u16);
        self.set_fact(id, self.facts.get(&source).copied());
        Some(layer)
    }

    /// The directory with that path; missing directories are created.
    fn enter_all(&mut self, directory: &[u8], layer: usize) -> Option<u32> {
        let mut at = ROOT;
        for name in directory.split(|byte| *byte == b'/').filter(|name| !name.is_empty()) {
            at = self.enter(at, name, layer)?;
        }
        Some(at)
    }

    /// Like [`RootFs::enter_all`], but starts where the path diverges from the previous directory's.
    fn enter_near(&mut self, directory: &[u8], layer: usize, last: &mut Last) -> Option<u32> {
        if last.replaced != self.replaced {
            last.nodes.clear();
        } else if last.directory == directory {
            return Some(last.node().0);
        }
        last.keep_shared(directory);
        let (mut at, mut end) = last.node();
        while end < directory.len() {
            if directory[end] == b'/' {
                end += 1;
                continue;
            }
            let start = end;
            end += directory[start..].iter().position(|byte| *byte == b'/').unwrap_or(directory.len() - start);
            let Some(entered) = self.enter(at, &directory[start..end], layer) else {
                *last = Last::default();
                return None;
            };
            at = entered;
            last.nodes.push((end, at));
        }
        last.replaced = self.replaced;
        Some(at)
    }

    /// The directory `name` in `at`. A link of the same layer is followed; anything else that is not a directory is
    /// replaced by one.
    fn enter(&mut self, at: u32, name: &[u8], layer: usize) -> Option<u32> {
        if let Some(id) = self.child(at, name) {
            match self.nodes[id as usize].kind {
                NodeKind::Directory => return Some(id),
                NodeKind::Symlink => {
                    let found = self.find(at, name, true);
                    let found = found.filter(|found| self.nodes[*found as usize].kind == NodeKind::Directory);
                    match found {
                        Some(found) if usize::from(self.nodes[id as usize].layer) == layer => return Some(found),
                        Some(_) => self.note_covered(id, layer, Covering::Implied),
                        None => {}
                    }
                }
                _ => {}
            }
        }
        let id = self.place(at, name, layer, None)?;
        if !self.keep_name(id, name, b"") {
            return None;
        }
        self.set_kind(id, NodeKind::Directory);
        let attributes = self.attributes.number(IMPLIED) as u16;
        let node = &mut self.nodes[id as usize];
        (node.attributes, node.layer, node.is_listed) = (attributes, layer as u16, false);
        Some(id)
    }

    /// A lower layer's link of that name to a directory.
    fn lower_link(&mut self, parent: u32, name: &[u8], layer: usize) -> Option<u32> {
        let id = self.child(parent, name)?;
        let node = &self.nodes[id as usize];
        let is_lower = node.kind == NodeKind::Symlink && usize::from(node.layer) != layer;
        let found = self.find(parent, name, true).filter(|_| is_lower)?;
        (self.nodes[found as usize].kind == NodeKind::Directory).then_some(id)
    }

    fn note_covered(&mut self, link: u32, layer: usize, covering: Covering) {
        if self.covered.len() < MAX_COVERED {
            let (path, target) = (self.path(NodeId(link)), self.target_of(link).to_vec());
            self.covered.push(CoveredLink { layer, path, target, covering });
        }
    }

    /// The node with that name in `parent`: existing, gone or new. `None` if the tree is full. `name_at` is the offset of
    /// the name in the layer's contents; without it, the tree keeps a new node's name.
    fn place(&mut self, parent: u32, name: &[u8], layer: usize, name_at: Option<usize>) -> Option<u32> {
        let hash = self.table.hash(parent, name);
        if let Some(id) = self.child_even_gone(parent, name, hash) {
            return Some(id);
        }
        if self.is_full() {
            self.left_out += 1;
            return None;
        }
        let id = self.nodes.len() as u32;
        let (nodes, names, layers) = (&self.nodes, &*self.names, &*self.layers);
        self.table.insert(hash, id, |id| nodes[id as usize].key(Texts { names, layers }));
        let node = FsNode {
            parent,
            name: name_at.unwrap_or(0) as u32,
            next_sibling: NONE,
            content: 0,
            name_len: name.len() as u16,
            layer: layer as u16,
            attributes: 0,
            kind: NodeKind::Gone,
            is_listed: false,
        };
        grow(&mut self.nodes, 1);
        self.nodes.push(node);
        if name_at.is_none() {
            self.keep_name(id, name, b"");
        }
        let parent = &mut self.nodes[parent as usize];
        debug_assert_eq!(parent.kind, NodeKind::Directory);
        let next = std::mem::replace(&mut parent.content, id);
        self.nodes[id as usize].next_sibling = next;
        Some(id)
    }
}

/// Reserves room for `more` items and an eighth of the length: doubling could reserve as much again as a tree of a
/// million files takes.
fn grow<I>(list: &mut Vec<I>, more: usize) {
    if list.capacity() - list.len() < more {
        list.reserve_exact(more + list.len() / 8 + 64);
    }
}

/// A path's directory and final name; `None` for the root.
fn split(path: &[u8]) -> Option<(&[u8], &[u8])> {
    if path.is_empty() {
        return None;
    }
    Some(match path.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (b"", path),
    })
}
