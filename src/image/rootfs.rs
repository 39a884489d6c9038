//! The file system that a stack of layers makes, and path resolution in it as a kernel does it inside a container.
//! Pure: it reads nothing and knows nothing of what the files are.
//!
//! What the spec says of a layer (OCI image-spec, layer.md): "Whiteouts: files named `.wh.<name>` signify that `<name>`
//! of a lower layer is to be hidden ... Whiteout files MUST only apply to resources in lower/parent layers. Files that
//! are present in the same layer as a whiteout file can only be hidden by whiteout files in subsequent layers." And of
//! the opaque marker `.wh..wh..opq`: "all siblings are hidden in the lower layer". Hence a layer is applied in two
//! passes: first what it hides, then what it adds.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use super::contents::{Contents, Entry, EntryKind};

/// A file, directory or link in a [`RootFs`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(u32);

/// The merged tree. `T` is what the reader of the layers found in each file that was of interest.
pub struct RootFs<T> {
    layers: Vec<Arc<Contents<T>>>,
    nodes: Vec<Node>,
    names: Vec<u8>,
    owners: Vec<(u32, u32)>,
    buckets: HashMap<u64, u32, BuildHasherDefault<Prehashed>>,
    dangling: Vec<Dangling>,
}

/// A hard link whose target is in no layer: the engine that unpacks this image fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dangling {
    pub layer: usize,
    pub path: Vec<u8>,
    pub target: Vec<u8>,
}

struct Node {
    parent: u32,
    name: u32,
    name_len: u16,
    target_len: u16,
    kind: NodeKind,
    has_capabilities: bool,
    mode: u16,
    layer: u16,
    owner: u32,
    /// 1 + index into its layer's facts.
    fact: u32,
    size: u64,
    first_child: u32,
    next_sibling: u32,
    next_in_bucket: u32,
}

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeKind {
    File,
    Directory,
    Symlink,
    Special,
    /// Hidden or replaced; no lookup finds it.
    Gone,
}

/// One node with everything that is known of it.
#[derive(Clone, Copy, Debug)]
pub struct FileView<'a, T> {
    pub id: NodeId,
    pub kind: NodeKind,
    pub name: &'a [u8],
    pub mode: u16,
    pub uid: u32,
    pub gid: u32,
    pub size: u64,
    pub has_capabilities: bool,
    /// Index of the layer that brought it in, lowest 0.
    pub layer: usize,
    /// A symlink's target as written.
    pub target: &'a [u8],
    pub fact: Option<&'a T>,
}

/// Why a path leads nowhere, by its errno.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// ENOENT. The first component that is missing.
    #[error("no such file or directory: {}", String::from_utf8_lossy(.0))]
    Missing(Vec<u8>),
    /// ENOTDIR.
    #[error("not a directory: {}", String::from_utf8_lossy(.0))]
    NotDirectory(Vec<u8>),
    /// ELOOP: over 40 symbolic links.
    #[error("too many levels of symbolic links")]
    Loop,
    /// ENAMETOOLONG.
    #[error("file name too long")]
    NameTooLong,
    /// EACCES: a directory on the way may not be searched.
    #[error("permission denied: {}", String::from_utf8_lossy(.0))]
    Denied(Vec<u8>),
}

/// Source: include/linux/namei.h `MAXSYMLINKS`.
const MAX_SYMLINKS: u32 = 40;
/// Source: include/uapi/linux/limits.h.
const NAME_MAX: usize = 255;
const PATH_MAX: usize = 4096;
const NONE: u32 = u32::MAX;
const ROOT: u32 = 0;

/// The keys are hashes already.
#[derive(Default)]
struct Prehashed(u64);

impl Hasher for Prehashed {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, _: &[u8]) {
        unreachable!("only u64 keys are hashed")
    }
    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

/// Merges layers, lowest first. A layer's whiteouts hide entries of lower layers only.
pub fn merge<T>(layers: impl IntoIterator<Item = Arc<Contents<T>>>) -> RootFs<T> {
    let mut rootfs = RootFs::empty();
    for layer in layers {
        rootfs.apply(layer);
    }
    rootfs
}

impl<T> RootFs<T> {
    /// A root directory and nothing in it.
    pub fn empty() -> RootFs<T> {
        let root = Node {
            parent: ROOT,
            name: 0,
            name_len: 0,
            target_len: 0,
            kind: NodeKind::Directory,
            has_capabilities: false,
            mode: 0o755,
            layer: 0,
            owner: 0,
            fact: 0,
            size: 0,
            first_child: NONE,
            next_sibling: NONE,
            next_in_bucket: NONE,
        };
        let (layers, names, owners) = (Vec::new(), Vec::new(), vec![(0, 0)]);
        RootFs { layers, nodes: vec![root], names, owners, buckets: HashMap::default(), dangling: Vec::new() }
    }

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
        if let Ok(id) = self.walk(NodeId(ROOT), path, false, &|_| true) {
            if id.0 != ROOT {
                self.remove(id.0);
            }
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
                    if let Ok(found) = self.walk(NodeId(at), name, true, &|_| true) {
                        if self.nodes[found.0 as usize].kind == NodeKind::Directory {
                            return found.0;
                        }
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

    fn child_even_gone(&self, parent: u32, name: &[u8]) -> Option<u32> {
        let mut id = *self.buckets.get(&bucket(parent, name))?;
        while id != NONE {
            let node = &self.nodes[id as usize];
            if node.parent == parent && self.name_of(id) == name {
                return Some(id);
            }
            id = node.next_in_bucket;
        }
        None
    }

    fn child(&self, parent: u32, name: &[u8]) -> Option<u32> {
        self.child_even_gone(parent, name).filter(|id| self.nodes[*id as usize].kind != NodeKind::Gone)
    }

    fn name_of(&self, id: u32) -> &[u8] {
        let node = &self.nodes[id as usize];
        &self.names[node.name as usize..][..node.name_len as usize]
    }

    fn target_of(&self, id: u32) -> &[u8] {
        let node = &self.nodes[id as usize];
        &self.names[node.name as usize + node.name_len as usize..][..node.target_len as usize]
    }
}

/// FNV-1a over the parent's number and the name; collisions are chained, so only speed hangs on it.
fn bucket(parent: u32, name: &[u8]) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let seeded = parent.to_le_bytes().into_iter().fold(0xcbf2_9ce4_8422_2325, step);
    let hash = name.iter().fold(seeded, |hash, byte| step(hash, *byte));
    // The table takes its tag from the top bits and its slot from the bottom ones: spread both.
    hash ^ (hash >> 29)
}

impl<T> RootFs<T> {
    pub fn root(&self) -> NodeId {
        NodeId(ROOT)
    }

    /// Finds `path` from `start` (an absolute path starts at the root) as the kernel walks it for a process that is
    /// chrooted here: links are followed inside the root, `..` stops at it. With `follow` a last link is followed too.
    /// `may_search` says whether the caller may pass through a directory.
    /// Source: fs/namei.c `link_path_walk`.
    pub fn walk(
        &self,
        start: NodeId,
        path: &[u8],
        follow: bool,
        may_search: &dyn Fn(FileView<'_, T>) -> bool,
    ) -> Result<NodeId, ResolveError> {
        if path.len() >= PATH_MAX {
            return Err(ResolveError::NameTooLong);
        }
        let mut at = if path.first() == Some(&b'/') { ROOT } else { start.0 };
        let mut pending: Vec<Vec<u8>> = Vec::new();
        push_components(&mut pending, path);
        let mut links = 0;
        while let Some(name) = pending.pop() {
            if self.nodes[at as usize].kind != NodeKind::Directory {
                return Err(ResolveError::NotDirectory(self.path(NodeId(at))));
            }
            if !may_search(self.view(NodeId(at))) {
                return Err(ResolveError::Denied(self.path(NodeId(at))));
            }
            match name.as_slice() {
                b"." => continue,
                b".." => {
                    at = self.nodes[at as usize].parent;
                    continue;
                }
                _ if name.len() > NAME_MAX => return Err(ResolveError::NameTooLong),
                _ => {}
            }
            let Some(next) = self.child(at, &name) else {
                let mut missing = self.path(NodeId(at));
                if missing != b"/" {
                    missing.push(b'/');
                }
                missing.extend_from_slice(&name);
                return Err(ResolveError::Missing(missing));
            };
            if self.nodes[next as usize].kind == NodeKind::Symlink && (follow || !pending.is_empty()) {
                links += 1;
                if links > MAX_SYMLINKS {
                    return Err(ResolveError::Loop);
                }
                let target = self.target_of(next);
                if target.first() == Some(&b'/') {
                    at = ROOT;
                }
                push_components(&mut pending, target);
                continue;
            }
            at = next;
        }
        Ok(NodeId(at))
    }

    /// [`RootFs::walk`] from the root, as a user who may search everything, following links.
    pub fn resolve(&self, path: impl AsRef<[u8]>) -> Result<NodeId, ResolveError> {
        self.walk(NodeId(ROOT), path.as_ref(), true, &|_| true)
    }

    /// Everything known of a node.
    pub fn view(&self, id: NodeId) -> FileView<'_, T> {
        let node = &self.nodes[id.0 as usize];
        let (uid, gid) = self.owners[node.owner as usize];
        FileView {
            id,
            kind: node.kind,
            name: self.name_of(id.0),
            mode: node.mode,
            uid,
            gid,
            size: node.size,
            has_capabilities: node.has_capabilities,
            layer: node.layer as usize,
            target: self.target_of(id.0),
            fact: node.fact.checked_sub(1).map(|index| self.layers[node.layer as usize].fact(index)),
        }
    }

    /// Absolute path of a node, `/` for the root.
    pub fn path(&self, id: NodeId) -> Vec<u8> {
        let mut names = Vec::new();
        let mut at = id.0;
        while at != ROOT {
            names.push(self.name_of(at));
            at = self.nodes[at as usize].parent;
        }
        if names.is_empty() {
            return b"/".to_vec();
        }
        let mut path = Vec::new();
        for name in names.into_iter().rev() {
            path.push(b'/');
            path.extend_from_slice(name);
        }
        path
    }

    pub fn parent(&self, id: NodeId) -> NodeId {
        NodeId(self.nodes[id.0 as usize].parent)
    }

    /// A directory's children, in no particular order; nothing for anything else.
    pub fn children(&self, id: NodeId) -> impl Iterator<Item = FileView<'_, T>> {
        let mut next = self.nodes[id.0 as usize].first_child;
        std::iter::from_fn(move || {
            while next != NONE {
                let id = next;
                next = self.nodes[id as usize].next_sibling;
                if self.nodes[id as usize].kind != NodeKind::Gone {
                    return Some(self.view(NodeId(id)));
                }
            }
            None
        })
    }

    /// Every node that is there, the root apart, in no particular order.
    pub fn all(&self) -> impl Iterator<Item = FileView<'_, T>> {
        (1..self.nodes.len() as u32)
            .filter(|id| self.nodes[*id as usize].kind != NodeKind::Gone)
            .map(|id| self.view(NodeId(id)))
    }

    /// Hard links to nothing.
    pub fn dangling(&self) -> &[Dangling] {
        &self.dangling
    }
}

/// Pushes a path's components so that the first is popped first. A trailing slash asks for a directory, as `.` does.
fn push_components(pending: &mut Vec<Vec<u8>>, path: &[u8]) {
    if path.ends_with(b"/") {
        pending.push(b".".to_vec());
    }
    let names = path.split(|byte| *byte == b'/').filter(|name| !name.is_empty());
    pending.extend(names.rev().map(<[u8]>::to_vec));
}

#[cfg(test)]
#[path = "rootfs_tests.rs"]
mod tests;
