//! The file system that a stack of layers forms. Pure: it performs no I/O and does not know what the files are. `merge`
//! builds it, and `walk` resolves paths in it.

mod last;
mod merge;
mod table;
mod walk;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use foldhash::fast::FixedState;

use super::attributes::{AttributeTable, Attributes};
use super::contents::Contents;
use crate::platform::FileCapabilities;
pub use merge::merge;
use table::NodeTable;
pub use walk::ResolveError;

/// A file, directory or link in a [`RootFs`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(u32);

/// The merged tree. `T` is the fact that the reader of the layers stored for each file of interest.
pub struct RootFs<T> {
    layers: Vec<Arc<Contents<T>>>,
    nodes: Vec<FsNode>,
    /// Names that no layer's contents store as the name of an entry: those of implied directories and some hard links.
    names: Vec<u8>,
    attributes: AttributeTable,
    /// Maps a file's node to its fact's index in its layer.
    facts: HashMap<u32, u32, FixedState>,
    table: NodeTable,
    dangling: Vec<Dangling>,
    covered: Vec<CoveredLink>,
    refused: BTreeMap<(usize, EngineRefusal), Refused>,
    left_out: u64,
    /// Mount points of other file systems that were not read.
    unread: BTreeSet<u32>,
    /// Absolute paths of mount points that exist but are not in the tree.
    unread_files: BTreeSet<Vec<u8>>,
    /// Preliminary facts that were looked up, as layer and index; see [`RootFs::missed`].
    missed: Mutex<BTreeSet<(usize, u32)>>,
    has_preliminary: bool,
    /// Number of times a directory or a link was replaced by another entry.
    replaced: u64,
    /// Path components walked during the merge.
    steps: u64,
    /// Memory limit of the tree in bytes, including its layers' contents.
    memory_limit: usize,
    /// Bytes used by the layers' contents and the lists of links.
    other_bytes: usize,
}

/// Why an engine cannot create a hard link of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LinkFault {
    /// Its target is in no layer.
    Nowhere,
    /// Its target is a lower layer's file. An engine that unpacks each layer into a separate directory (overlayfs, as
    /// used by docker, containerd and podman) does not find it there; one that copies the lower layers first does.
    LowerLayer,
    /// Its target comes later in the same layer.
    TargetLater,
}

/// A hard link that an engine cannot create when it unpacks this image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dangling {
    pub layer: usize,
    pub path: Vec<u8>,
    pub target: Vec<u8>,
    pub fault: LinkFault,
}

/// How a layer replaces a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Covering {
    /// It has an entry for the directory itself, as archives have.
    Listed,
    /// It only has entries below the path.
    Implied,
}

/// A lower layer's link to a directory that a layer replaces with a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoveredLink {
    /// The layer that covers the link.
    pub layer: usize,
    /// Absolute.
    pub path: Vec<u8>,
    pub target: Vec<u8>,
    pub covering: Covering,
}

/// Entries of a layer that engines reject for one reason, together with the whole layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    pub layer: usize,
    pub why: EngineRefusal,
    /// Path of the first entry, relative to the root.
    pub path: Vec<u8>,
    pub count: u64,
}

/// Why engines reject an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EngineRefusal {
    /// The layer lists its path twice. Engines that keep a tar-split record of layers (docker's classic store, podman,
    /// CRI-O) reject that; containerd does not.
    Twice,
    /// A whiteout of a path that the same layer contains earlier or already hides: overlayfs cannot create the whiteout
    /// there.
    HiddenHere,
}

/// 24 bytes, because an image can have millions.
struct FsNode {
    parent: u32,
    /// Offset of its name: in `names` with [`KEPT`], otherwise in the names of its layer's contents.
    name: u32,
    next_sibling: u32,
    /// A directory's first child, a file's size (at most [`MAX_SIZE`]), or the length of a symlink's target, which
    /// follows its name; otherwise unused.
    content: u32,
    name_len: u16,
    layer: u16,
    /// Index in the attribute table.
    attributes: u16,
    kind: NodeKind,
    /// True if its layer has an entry for it; false if it was only implied by an entry below it.
    is_listed: bool,
}

const _: () = assert!(size_of::<FsNode>() == 24);

impl FsNode {
    /// The table's key for this node.
    fn key<'a, T>(&self, texts: Texts<'a, T>) -> (u32, &'a [u8]) {
        (self.parent, self.own_name(texts))
    }

    fn own_name<'a, T>(&self, Texts { names, layers }: Texts<'a, T>) -> &'a [u8] {
        let (at, length) = ((self.name & !KEPT) as usize, usize::from(self.name_len));
        match self.name & KEPT == 0 {
            true => layers[usize::from(self.layer)].name(at, length),
            false => &names[at..at + length],
        }
    }

    /// A symlink's target.
    fn target<'a, T>(&self, Texts { names, layers }: Texts<'a, T>) -> &'a [u8] {
        let end = (self.name & !KEPT) as usize + usize::from(self.name_len);
        match self.name & KEPT == 0 {
            true => layers[usize::from(self.layer)].target(end),
            false => &names[end..end + self.content as usize],
        }
    }

    fn first_child(&self) -> u32 {
        if self.kind == NodeKind::Directory { self.content } else { NONE }
    }
}

/// Where the names of nodes are.
struct Texts<'a, T> {
    names: &'a [u8],
    layers: &'a [Arc<Contents<T>>],
}

/// The kind of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeKind {
    File,
    Directory,
    Symlink,
    Special,
    /// Hidden or replaced; no lookup finds it.
    Gone,
}

/// The metadata of one node.
#[derive(Clone, Copy, Debug)]
pub struct FileView<'a, T> {
    pub id: NodeId,
    pub kind: NodeKind,
    pub name: &'a [u8],
    pub mode: u16,
    pub uid: u32,
    pub gid: u32,
    /// Size of a file in bytes; sizes of 4 GiB and more are reported as `u32::MAX`.
    pub size: u64,
    pub capabilities: Option<FileCapabilities>,
    /// Index of the layer that added it; the lowest is 0.
    pub layer: usize,
    /// A symlink's target as stored.
    pub target: &'a [u8],
    pub fact: Option<&'a T>,
}

/// Five times the number of files of the largest images seen in practice; 192 MiB of nodes.
const MAX_NODES: usize = 8 << 20;
/// Limit for the bytes of names, in the tree and in each layer; offsets into them are 31 bits wide.
const MAX_TEXT: usize = 1 << 30;
const _: () = assert!(MAX_NODES <= 1 << table::ID_BITS && MAX_TEXT < KEPT as usize);
/// Bytes of one node in the table of names.
const TABLE_BYTES: usize = 6;
/// Bytes of one file in the map of facts.
const FACT_BYTES: usize = 16;
/// The largest file size that is stored.
const MAX_SIZE: u32 = u32::MAX;
/// Marks the offset of a name that is in the tree itself.
const KEPT: u32 = 1 << 31;
const NONE: u32 = u32::MAX;
const ROOT: u32 = 0;
/// The attributes that engines give a directory without an entry.
const IMPLIED: Attributes = Attributes { mode: 0o755, uid: 0, gid: 0, capabilities: None };

impl<T> RootFs<T> {
    /// A root directory without children.
    pub fn empty() -> RootFs<T> {
        RootFs::bounded(usize::MAX)
    }

    /// Records that another file system is mounted at `path` and was not read. `path` may be a directory of the tree,
    /// or an existing file that is not in the tree.
    pub fn leave_unread(&mut self, path: &[u8]) {
        match self.walk(NodeId(ROOT), path, false, &|_| true) {
            Ok(NodeId(node)) => _ = self.unread.insert(node),
            Err(_) => _ = self.unread_files.insert([b"/", path].concat()),
        }
    }

    /// Whether another file system, which was not read, is mounted at this directory.
    pub fn is_unread(&self, NodeId(node): NodeId) -> bool {
        self.unread.contains(&node)
    }

    /// Like [`RootFs::empty`], for a tree of at most `memory_limit` bytes, including its layers' contents. Entries
    /// beyond that are left out.
    pub fn bounded(memory_limit: usize) -> RootFs<T> {
        let mut attributes = AttributeTable::default();
        let root = FsNode {
            parent: ROOT,
            name: KEPT,
            next_sibling: NONE,
            content: NONE,
            name_len: 0,
            layer: 0,
            attributes: attributes.number(IMPLIED) as u16,
            kind: NodeKind::Directory,
            is_listed: false,
        };
        let (layers, names, facts) = (Vec::new(), Vec::new(), HashMap::default());
        let (table, dangling, covered, refused) = (NodeTable::default(), Vec::new(), Vec::new(), BTreeMap::new());
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
            missed: Mutex::default(),
            has_preliminary: false,
        }
    }

    pub fn root(&self) -> NodeId {
        NodeId(ROOT)
    }

    /// The metadata of a node. Records a preliminary fact as missed.
    pub fn view(&self, id: NodeId) -> FileView<'_, T> {
        if self.has_preliminary
            && let Some(fact) = self.facts.get(&id.0)
        {
            let layer = usize::from(self.nodes[id.0 as usize].layer);
            if self.layers[layer].is_preliminary(*fact) {
                self.missed.lock().unwrap_or_else(PoisonError::into_inner).insert((layer, *fact));
            }
        }
        self.listed(id)
    }

    /// The preliminary facts that [`RootFs::view`] returned, as the number of the layer and the index of the fact in it.
    /// What was decided from them must be decided again once they are final. Lists of files do not count.
    pub fn missed(&self) -> BTreeSet<(usize, u32)> {
        self.missed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The metadata of a node, as a member of a list.
    fn listed(&self, id: NodeId) -> FileView<'_, T> {
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

    /// The absolute path of a node, `/` for the root.
    pub fn path(&self, id: NodeId) -> Vec<u8> {
        if id.0 == ROOT {
            return b"/".to_vec();
        }
        let ancestors = || std::iter::successors(Some(id.0), |at| Some(self.nodes[*at as usize].parent));
        let names = || ancestors().take_while(|at| *at != ROOT).map(|at| self.name_of(at));
        // Fills the path from its end to its start.
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

    /// A directory's children, in no particular order; empty for other nodes.
    pub fn children(&self, id: NodeId) -> impl Iterator<Item = FileView<'_, T>> {
        let mut next = self.nodes[id.0 as usize].first_child();
        std::iter::from_fn(move || {
            while next != NONE {
                let id = next;
                next = self.nodes[id as usize].next_sibling;
                if self.nodes[id as usize].kind != NodeKind::Gone {
                    return Some(self.listed(NodeId(id)));
                }
            }
            None
        })
    }

    /// Every node that exists, excluding the root, in no particular order.
    pub fn all(&self) -> impl Iterator<Item = FileView<'_, T>> {
        self.those(|node| node.kind != NodeKind::Gone)
    }

    /// Every regular file that has a fact. Typically a few hundred of a hundred thousand files have one.
    pub fn files_with_facts(&self) -> impl Iterator<Item = FileView<'_, T>> {
        let mut ids: Vec<u32> = self.facts.keys().copied().collect();
        ids.sort_unstable();
        ids.into_iter().map(|id| self.listed(NodeId(id))).filter(|view| view.kind == NodeKind::File)
    }

    /// Every node of that kind whose name, without its directory, matches.
    pub fn matching(&self, kind: NodeKind, is_wanted: impl Fn(&[u8]) -> bool) -> impl Iterator<Item = FileView<'_, T>> {
        self.those(move |node| node.kind == kind && is_wanted(node.own_name(self.texts())))
    }

    /// Every node with that name.
    pub fn named(&self, name: &[u8]) -> impl Iterator<Item = FileView<'_, T>> {
        self.those(move |node| {
            usize::from(node.name_len) == name.len()
                && node.kind != NodeKind::Gone
                && node.own_name(self.texts()) == name
        })
    }

    /// The nodes that match, excluding the root, in no particular order.
    fn those(&self, is_wanted: impl Fn(&FsNode) -> bool) -> impl Iterator<Item = FileView<'_, T>> {
        let nodes = self.nodes.iter().zip(0..).skip(1);
        nodes.filter(move |(node, _)| is_wanted(node)).map(|(_, id)| self.listed(NodeId(id)))
    }

    /// Number of nodes that exist, excluding the root.
    pub fn entries(&self) -> usize {
        self.nodes.iter().skip(1).filter(|node| node.kind != NodeKind::Gone).count()
    }

    /// Bytes that the tree allocates, excluding its layers' contents.
    pub fn heap_bytes(&self) -> usize {
        let tables = self.table.heap_bytes() + self.attributes.heap_bytes() + self.facts.len() * FACT_BYTES;
        self.nodes.capacity() * size_of::<FsNode>() + self.names.capacity() + tables
    }

    /// Number of entries that did not fit. If it is not 0, the tree is incomplete and no verdict may depend on it. It
    /// is 0 for every image that an engine can unpack.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// Whether entries were left out because the tree reached its memory limit.
    pub fn has_filled_memory(&self) -> bool {
        self.left_out > 0 && self.used_bytes() > self.memory_limit
    }

    /// Hard links that engines cannot create.
    pub fn dangling(&self) -> &[Dangling] {
        &self.dangling
    }

    /// The first hundred links that layers replace by writing below them.
    pub fn covered_links(&self) -> &[CoveredLink] {
        &self.covered
    }

    /// Entries that engines reject, by layer.
    pub fn refused(&self) -> impl Iterator<Item = &Refused> {
        self.refused.values()
    }

    /// Bytes in use, excluding spare capacity.
    fn used_bytes(&self) -> usize {
        let tables = self.nodes.len() * TABLE_BYTES + self.attributes.heap_bytes() + self.facts.len() * FACT_BYTES;
        self.other_bytes + size_of_val(&*self.nodes) + self.names.len() + tables
    }

    /// Whether the tree cannot take more nodes and names.
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
        self.nodes[id as usize].own_name(self.texts())
    }

    fn target_of(&self, id: u32) -> &[u8] {
        let node = &self.nodes[id as usize];
        if node.kind == NodeKind::Symlink { node.target(self.texts()) } else { b"" }
    }

    fn texts(&self) -> Texts<'_, T> {
        Texts { names: &self.names, layers: &self.layers }
    }
}

#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
mod tests;
