//! The file system that a stack of layers makes. Pure: it reads nothing and knows nothing of what the files are. `merge`
//! makes it, `walk` resolves paths in it.

mod merge;
mod table;
mod walk;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use foldhash::fast::FixedState;

use super::attributes::{AttributeTable, Attributes};
use super::contents::Contents;
use crate::platform::FileCapabilities;
pub use merge::merge;
use table::Table;
pub use walk::ResolveError;

/// A file, directory or link in a [`RootFs`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(u32);

/// The merged tree. `T` is what the reader of the layers found in each file that was of interest.
pub struct RootFs<T> {
    layers: Vec<Arc<Contents<T>>>,
    nodes: Vec<Node>,
    names: Vec<u8>,
    attributes: AttributeTable,
    /// Of the files that have one: its index in its layer's facts.
    facts: HashMap<u32, u32, FixedState>,
    table: Table,
    dangling: Vec<Dangling>,
    covered: Vec<CoveredLink>,
    refused: BTreeMap<(usize, Refusal), Refused>,
    left_out: u64,
    /// Directories whose content is another file system, which was not read.
    unread: BTreeSet<u32>,
    /// Absolute paths of files that are there and not in the tree.
    unread_files: BTreeSet<Vec<u8>>,
    /// How often a directory or a link was replaced by something else.
    replaced: u64,
    /// Components that were walked while merging.
    steps: u64,
    /// Bytes that the tree may take, its layers' contents included.
    memory_limit: usize,
    /// Bytes that the layers' contents and the lists of links take.
    other_bytes: usize,
}

/// Why an engine cannot make a hard link of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LinkFault {
    /// Its target is in no layer.
    Nowhere,
    /// Its target is a lower layer's file. An engine that unpacks each layer into a folder of its own (overlayfs, as
    /// docker, containerd and podman have it) does not find it there; one that copies the lower layers first does.
    LowerLayer,
    /// Its target comes after it.
    TargetLater,
}

/// A hard link that an engine which unpacks this image cannot make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dangling {
    pub layer: usize,
    pub path: Vec<u8>,
    pub target: Vec<u8>,
    pub fault: LinkFault,
}

/// A lower layer's link to a directory in whose place a layer puts a directory, because it has entries below that path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoveredLink {
    /// The layer that covers it.
    pub layer: usize,
    /// Absolute.
    pub path: Vec<u8>,
    pub target: Vec<u8>,
}

/// Entries of a layer that engines refuse for one reason, and the layer with them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    pub layer: usize,
    pub why: Refusal,
    /// The first one's, below the root.
    pub path: Vec<u8>,
    pub count: u64,
}

/// What is the matter with an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refusal {
    /// The layer lists its path twice. What keeps a tar-split record of layers (docker's classic store, podman, CRI-O)
    /// refuses that; containerd does not.
    Twice,
    /// A whiteout of what the layer itself brings before it, or hides already: overlayfs' whiteout has no place there.
    HiddenHere,
}

/// 24 bytes: an image can have millions.
struct Node {
    parent: u32,
    /// Where its name begins in the names.
    name: u32,
    next_sibling: u32,
    /// A directory's first child, a file's size (at most [`MAX_SIZE`]), the length of a symlink's target, which follows
    /// its name; else unused.
    content: u32,
    name_len: u16,
    layer: u16,
    /// As the table numbers them.
    attributes: u16,
    kind: NodeKind,
    /// Its layer has an entry for it, and not only for what is below it.
    is_listed: bool,
}

const _: () = assert!(size_of::<Node>() == 24);

impl Node {
    /// What the table finds it by.
    fn key<'a>(&self, names: &'a [u8]) -> (u32, &'a [u8]) {
        (self.parent, &names[self.name as usize..][..self.name_len as usize])
    }

    fn first_child(&self) -> u32 {
        if self.kind == NodeKind::Directory { self.content } else { NONE }
    }
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
    /// Bytes of a file; 4 GiB and more count as `u32::MAX`.
    pub size: u64,
    pub capabilities: Option<FileCapabilities>,
    /// Index of the layer that brought it in, lowest 0.
    pub layer: usize,
    /// A symlink's target as written.
    pub target: &'a [u8],
    pub fact: Option<&'a T>,
}

/// Five times the files of the largest images in the field; 192 MiB of nodes.
const MAX_NODES: usize = 8 << 20;
/// Bytes of names; offsets into them are 32 bits wide.
const MAX_TEXT: usize = 1 << 30;
/// Of a node's place in the table of names.
const TABLE_BYTES: usize = 8;
/// Of a file's fact in its index.
const FACT_BYTES: usize = 16;
/// The largest size of a file that is kept.
const MAX_SIZE: u32 = u32::MAX;
const NONE: u32 = u32::MAX;
const ROOT: u32 = 0;
/// What engines give to a directory that no entry lists.
const IMPLIED: Attributes = Attributes { mode: 0o755, uid: 0, gid: 0, capabilities: None };

impl<T> RootFs<T> {
    /// A root directory and nothing in it.
    pub fn empty() -> RootFs<T> {
        RootFs::bounded(usize::MAX)
    }

    /// Notes that another file system is mounted at the directory `path`, and that nothing of it was read; or that there is
    /// a file of that path, which is not in the tree.
    pub fn leave_unread(&mut self, path: &[u8]) {
        match self.walk(NodeId(ROOT), path, false, &|_| true) {
            Ok(NodeId(node)) => _ = self.unread.insert(node),
            Err(_) => _ = self.unread_files.insert([b"/", path].concat()),
        }
    }

    /// Whether another file system is mounted at this directory, of which nothing was read.
    pub fn is_unread(&self, NodeId(node): NodeId) -> bool {
        self.unread.contains(&node)
    }

    /// The same, for a tree of at most `memory_limit` bytes, its layers' contents included. Entries beyond that are left
    /// out.
    pub fn bounded(memory_limit: usize) -> RootFs<T> {
        let mut attributes = AttributeTable::default();
        let root = Node {
            parent: ROOT,
            name: 0,
            next_sibling: NONE,
            content: NONE,
            name_len: 0,
            layer: 0,
            attributes: attributes.number(IMPLIED) as u16,
            kind: NodeKind::Directory,
            is_listed: false,
        };
        let (layers, names, facts) = (Vec::new(), Vec::new(), HashMap::default());
        let (table, dangling, covered, refused) = (Table::default(), Vec::new(), Vec::new(), BTreeMap::new());
        let (nodes, left_out, replaced, steps, other_bytes) = (vec![root], 0, 0, 0, 0);
        RootFs {
            layers,
            nodes,
            names,
            attributes,
            facts,
            table,
            dangling,
            covered,
            refused,
            left_out,
            replaced,
            steps,
            memory_limit,
            other_bytes,
            unread: BTreeSet::new(),
            unread_files: BTreeSet::new(),
        }
    }

    pub fn root(&self) -> NodeId {
        NodeId(ROOT)
    }

    /// Everything known of a node.
    pub fn view(&self, id: NodeId) -> FileView<'_, T> {
        let node = &self.nodes[id.0 as usize];
        let &Attributes { mode, uid, gid, capabilities } = self.attributes.get(u32::from(node.attributes));
        let layer = usize::from(node.layer);
        let is_file = node.kind == NodeKind::File;
        let fact = self.facts.get(&id.0).filter(|_| is_file);
        FileView {
            id,
            kind: node.kind,
            name: self.name_of(id.0),
            mode,
            uid,
            gid,
            size: if is_file { u64::from(node.content) } else { 0 },
            capabilities,
            layer,
            target: self.target_of(id.0),
            fact: fact.map(|index| self.layers[layer].fact(*index)),
        }
    }

    /// Absolute path of a node, `/` for the root.
    pub fn path(&self, id: NodeId) -> Vec<u8> {
        if id.0 == ROOT {
            return b"/".to_vec();
        }
        let way = || std::iter::successors(Some(id.0), |at| Some(self.nodes[*at as usize].parent));
        let names = || way().take_while(|at| *at != ROOT).map(|at| self.name_of(at));
        // From its end to its start.
        let mut end = names().map(|name| 1 + name.len()).sum();
        let mut path = vec![b'/'; end];
        for name in names() {
            path[end - name.len()..end].copy_from_slice(name);
            end -= 1 + name.len();
        }
        path
    }

    pub fn parent(&self, id: NodeId) -> NodeId {
        NodeId(self.nodes[id.0 as usize].parent)
    }

    /// A directory's children, in no particular order; nothing for anything else.
    pub fn children(&self, id: NodeId) -> impl Iterator<Item = FileView<'_, T>> {
        let mut next = self.nodes[id.0 as usize].first_child();
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
        self.those(|node| node.kind != NodeKind::Gone)
    }

    /// Every regular file that has a fact. Of a hundred thousand files a few hundred have one.
    pub fn files_with_facts(&self) -> impl Iterator<Item = FileView<'_, T>> {
        let mut ids: Vec<u32> = self.facts.keys().copied().collect();
        ids.sort_unstable();
        ids.into_iter().map(|id| self.view(NodeId(id))).filter(|view| view.kind == NodeKind::File)
    }

    /// Every node of that name.
    pub fn named(&self, name: &[u8]) -> impl Iterator<Item = FileView<'_, T>> {
        self.those(move |node| {
            usize::from(node.name_len) == name.len()
                && node.kind != NodeKind::Gone
                && self.names[node.name as usize..].starts_with(name)
        })
    }

    /// Nodes, the root apart, in no particular order.
    fn those(&self, is_wanted: impl Fn(&Node) -> bool) -> impl Iterator<Item = FileView<'_, T>> {
        let nodes = self.nodes.iter().zip(0..).skip(1);
        nodes.filter(move |(node, _)| is_wanted(node)).map(|(_, id)| self.view(NodeId(id)))
    }

    /// How many nodes are there, the root apart.
    pub fn entries(&self) -> usize {
        self.nodes.iter().skip(1).filter(|node| node.kind != NodeKind::Gone).count()
    }

    /// Bytes that the tree holds in memory, its layers' contents apart.
    pub fn heap_bytes(&self) -> usize {
        let tables = self.table.heap_bytes() + self.attributes.heap_bytes() + self.facts.len() * FACT_BYTES;
        self.nodes.capacity() * size_of::<Node>() + self.names.capacity() + tables
    }

    /// Entries that did not fit: this is not the whole tree, and no verdict may rest on it. 0 for every image that an
    /// engine can unpack.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// Whether entries were left out because the tree takes all the memory that it may.
    pub fn has_filled_memory(&self) -> bool {
        self.left_out > 0 && self.used_bytes() > self.memory_limit
    }

    /// Hard links to nothing.
    pub fn dangling(&self) -> &[Dangling] {
        &self.dangling
    }

    /// Links that layers cover by writing below them; the first hundred.
    pub fn covered_links(&self) -> &[CoveredLink] {
        &self.covered
    }

    /// Entries that engines refuse, by layer.
    pub fn refused(&self) -> impl Iterator<Item = &Refused> {
        self.refused.values()
    }

    /// Bytes that are in use, whatever room was reserved for more.
    fn used_bytes(&self) -> usize {
        let tables = self.nodes.len() * TABLE_BYTES + self.attributes.heap_bytes() + self.facts.len() * FACT_BYTES;
        self.other_bytes + size_of_val(&*self.nodes) + self.names.len() + tables
    }

    /// Whether no more nodes and names fit.
    fn is_full(&self) -> bool {
        self.nodes.len() >= MAX_NODES || self.names.len() >= MAX_TEXT || self.used_bytes() > self.memory_limit
    }

    fn child_even_gone(&self, parent: u32, name: &[u8], hash: u64) -> Option<u32> {
        self.table.find(hash, |id| self.nodes[id as usize].parent == parent && self.name_of(id) == name)
    }

    fn child(&self, parent: u32, name: &[u8]) -> Option<u32> {
        let found = self.child_even_gone(parent, name, self.table.hash(parent, name));
        found.filter(|id| self.nodes[*id as usize].kind != NodeKind::Gone)
    }

    fn name_of(&self, id: u32) -> &[u8] {
        let node = &self.nodes[id as usize];
        &self.names[node.name as usize..][..node.name_len as usize]
    }

    fn target_of(&self, id: u32) -> &[u8] {
        let node = &self.nodes[id as usize];
        let length = if node.kind == NodeKind::Symlink { node.content as usize } else { 0 };
        &self.names[node.name as usize + usize::from(node.name_len)..][..length]
    }
}

#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
mod tests;
