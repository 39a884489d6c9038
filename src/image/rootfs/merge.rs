//! Lays layers on one another.
//!
//! What the spec says of a layer (OCI image-spec, layer.md): "Whiteouts: files named `.wh.<name>` signify that `<name>`
//! of a lower layer is to be hidden ... Whiteout files MUST only apply to resources in lower/parent layers. Files that
//! are present in the same layer as a whiteout file can only be hidden by whiteout files in subsequent layers." And of
//! the opaque marker `.wh..wh..opq`: "all siblings are hidden in the lower layer". Hence a layer is applied in two
//! passes: first what it hides, then what it adds.

use std::sync::Arc;

use super::{Dangling, NONE, Node, NodeId, NodeKind, ROOT, RootFs, bucket};
use crate::image::contents::{Contents, Entry, EntryKind};

/// Merges layers, lowest first. A layer's whiteouts hide entries of lower layers only.
pub fn merge<T>(layers: impl IntoIterator<Item = Arc<Contents<T>>>) -> RootFs<T> {
    let mut rootfs = RootFs::empty();
    for layer in layers {
        rootfs.apply(layer);
    }
    rootfs
}

impl<T> RootFs<T> {
    /// Lays one more layer on top.
    pub fn apply(&mut self, contents: Arc<Contents<T>>) {
        let layer = self.layers.len();
        self.layers.push(Arc::clone(&contents));
        contents.for_each(|entry, _| match entry.kind {
            EntryKind::Whiteout => self.hide(entry.path),
            EntryKind::Opaque => self.hide_children(entry.path),
            _ => {}
        });
        let mut links: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
        contents.for_each(|entry, fact| match entry.kind {
            EntryKind::Whiteout | EntryKind::Opaque => {}
            EntryKind::HardLink(target) => {
                if !self.link(entry.path, target) {
                    links.push((entry.path.to_vec(), target.to_vec()));
                }
            }
            _ => self.add(layer, entry, fact),
        });
        // A link may stand before its target in a hostile or rewritten tar.
        for (path, target) in links {
            if !self.link(&path, &target) {
                self.dangling.push(Dangling { layer, path, target });
            }
        }
    }

    fn hide(&mut self, path: &[u8]) {
        if let Ok(id) = self.walk(NodeId(ROOT), path, false, &|_| true)
            && id.0 != ROOT
        {
            self.remove(id.0);
        }
    }

    /// An opaque marker never clears through a symbolic link: the marked name itself must be a directory.
    fn hide_children(&mut self, path: &[u8]) {
        let Ok(id) = self.walk(NodeId(ROOT), path, false, &|_| true) else { return };
        if self.nodes[id.0 as usize].kind == NodeKind::Directory {
            self.remove_children(id.0);
        }
    }

    fn remove_children(&mut self, of: u32) {
        let mut pending = vec![std::mem::replace(&mut self.nodes[of as usize].first_child, NONE)];
        while let Some(mut child) = pending.pop() {
            while child != NONE {
                let node = &mut self.nodes[child as usize];
                // It is in no list any more, so it must not be found and placed again.
                (node.kind, node.parent) = (NodeKind::Gone, NONE);
                pending.push(std::mem::replace(&mut node.first_child, NONE));
                child = node.next_sibling;
            }
        }
    }

    /// Marks a node gone; it stays in its parent's list until a new node of that name takes its place.
    fn remove(&mut self, id: u32) {
        self.remove_children(id);
        self.nodes[id as usize].kind = NodeKind::Gone;
    }

    fn add(&mut self, layer: usize, entry: &Entry<'_>, fact: Option<u32>) {
        let Some((parent, name)) = self.parent_of(entry.path, layer) else {
            // The root's own entry: only its metadata counts.
            self.nodes[ROOT as usize].mode = entry.mode;
            return;
        };
        let id = self.place(parent, name, layer);
        let (kind, target): (NodeKind, &[u8]) = match entry.kind {
            EntryKind::Directory => (NodeKind::Directory, b""),
            EntryKind::Symlink(target) => (NodeKind::Symlink, target),
            EntryKind::Special => (NodeKind::Special, b""),
            _ => (NodeKind::File, b""),
        };
        if kind != NodeKind::Directory {
            self.remove_children(id);
        }
        let owner = self.owner(entry.uid, entry.gid);
        if !target.is_empty() {
            // A link's target lies behind its name.
            let name = self.names.len() as u32;
            self.names.extend_from_slice(entry.path.rsplit(|b| *b == b'/').next().unwrap_or(b""));
            self.names.extend_from_slice(target);
            self.nodes[id as usize].name = name;
        }
        let node = &mut self.nodes[id as usize];
        node.target_len = target.len() as u16;
        node.kind = kind;
        node.mode = entry.mode;
        node.owner = owner;
        node.layer = layer as u16;
        node.size = entry.size;
        node.has_capabilities = entry.has_capabilities;
        node.fact = fact.map_or(0, |index| index + 1);
    }

    /// Gives `path` the inode of `target`. False where there is no such file (yet).
    fn link(&mut self, path: &[u8], target: &[u8]) -> bool {
        let Ok(source) = self.walk(NodeId(ROOT), target, false, &|_| true) else { return false };
        if self.nodes[source.0 as usize].kind == NodeKind::Directory {
            return false;
        }
        let layer = self.nodes[source.0 as usize].layer as usize;
        let Some((parent, name)) = self.parent_of(path, layer) else { return false };
        let id = self.place(parent, name, layer);
        if id == source.0 {
            return true;
        }
        self.remove_children(id);
        let from = &self.nodes[source.0 as usize];
        let (kind, mode, owner, size, fact) = (from.kind, from.mode, from.owner, from.size, from.fact);
        let (has_capabilities, text) = (from.has_capabilities, self.target_of(source.0).to_vec());
        if !text.is_empty() {
            let start = self.names.len() as u32;
            self.names.extend_from_slice(name);
            self.names.extend_from_slice(&text);
            self.nodes[id as usize].name = start;
        }
        let node = &mut self.nodes[id as usize];
        (node.kind, node.mode, node.owner, node.size, node.fact) = (kind, mode, owner, size, fact);
        (node.has_capabilities, node.target_len, node.layer) = (has_capabilities, text.len() as u16, layer as u16);
        true
    }

    fn owner(&mut self, uid: u32, gid: u32) -> u32 {
        // Layers are written by few owners, and runs of one owner are long.
        let found = self.owners.iter().rposition(|owner| *owner == (uid, gid));
        found.unwrap_or_else(|| {
            self.owners.push((uid, gid));
            self.owners.len() - 1
        }) as u32
    }

    /// The directory that holds `path`'s last name, made where it is missing. `None` for the root itself.
    fn parent_of<'p>(&mut self, path: &'p [u8], layer: usize) -> Option<(u32, &'p [u8])> {
        let mut names = path.split(|byte| *byte == b'/').filter(|name| !name.is_empty()).peekable();
        let mut at = ROOT;
        while let Some(name) = names.next() {
            if names.peek().is_none() {
                return Some((at, name));
            }
            at = self.enter(at, name, layer);
        }
        None
    }

    /// The directory `name` in `at`. Unpackers follow a link of a lower layer here; anything else that is no directory
    /// gives way to one.
    fn enter(&mut self, at: u32, name: &[u8], layer: usize) -> u32 {
        if let Some(id) = self.child(at, name) {
            match self.nodes[id as usize].kind {
                NodeKind::Directory => return id,
                NodeKind::Symlink => {
                    if let Ok(found) = self.walk(NodeId(at), name, true, &|_| true)
                        && self.nodes[found.0 as usize].kind == NodeKind::Directory
                    {
                        return found.0;
                    }
                }
                _ => {}
            }
        }
        let id = self.place(at, name, layer);
        let node = &mut self.nodes[id as usize];
        if node.kind != NodeKind::Directory {
            node.kind = NodeKind::Directory;
            node.mode = 0o755;
            node.layer = layer as u16;
            (node.fact, node.size, node.target_len, node.has_capabilities) = (0, 0, 0, false);
        }
        id
    }

    /// The node of that name in `parent`, be it there, gone or new.
    fn place(&mut self, parent: u32, name: &[u8], layer: usize) -> u32 {
        if let Some(id) = self.child_even_gone(parent, name) {
            return id;
        }
        let id = self.nodes.len() as u32;
        let bucket = self.buckets.entry(bucket(parent, name)).or_insert(NONE);
        let node = Node {
            parent,
            name: self.names.len() as u32,
            name_len: name.len() as u16,
            target_len: 0,
            kind: NodeKind::Gone,
            has_capabilities: false,
            mode: 0,
            layer: layer as u16,
            owner: 0,
            fact: 0,
            size: 0,
            first_child: NONE,
            next_sibling: NONE,
            next_in_bucket: std::mem::replace(bucket, id),
        };
        self.names.extend_from_slice(name);
        self.nodes.push(node);
        let parent = &mut self.nodes[parent as usize];
        let next = std::mem::replace(&mut parent.first_child, id);
        self.nodes[id as usize].next_sibling = next;
        id
    }
}
