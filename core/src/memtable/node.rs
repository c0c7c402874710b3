//! Row versions in an arena.
//!
//! ```text
//! node:  ended | seq | prefix | older | lengths | height | next[height] | key | packed
//! ```
//!
//! Nodes are never removed and never move while their arena lives, so a reader needs no
//! lock: whatever it reaches by a pointer is whole, because the pointer was published
//! after it. A node holds the first eight bytes of its key, which decides most
//! comparisons without a look at the key itself.

use std::cmp::Ordering as CmpOrdering;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::row::key_prefix;

/// Levels of a node at most: with one in four nodes going up a level, enough for 4^12.
pub(super) const HEIGHT_MAX: usize = 12;

/// Words of the first chunk of an arena; each is twice the one before it, to
/// [`CHUNK_WORDS_MAX`].
const CHUNK_WORDS_MIN: usize = 512;
const CHUNK_WORDS_MAX: usize = 128 << 10;

/// "Not ended": larger than any sequence number.
pub(crate) const LIVE: u64 = u64::MAX;

#[repr(C)]
pub(super) struct Node {
    /// Sequence number that replaced or deleted the version, or [`LIVE`].
    ended: AtomicU64,
    seq: u64,
    /// The key's first eight bytes, big-endian, zeros behind a shorter one.
    prefix: u64,
    /// The version of the key before this one.
    older: *mut Node,
    key_len: u32,
    packed_len: u32,
    height: u64,
    // `height` pointers, the key and the packed bytes follow.
}

/// A node of an arena. It is only used while the arena lives, by what borrows or keeps
/// it; that is what makes its methods safe.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct NodeRef(NonNull<Node>);

// SAFETY: the fields of a node do not change after it is published, but for atomics.
unsafe impl Send for NodeRef {}
// SAFETY: as above.
unsafe impl Sync for NodeRef {}

impl NodeRef {
    /// The node that a published pointer leads to.
    pub(super) fn from_ptr(node: *mut Node) -> Option<Self> {
        NonNull::new(node).map(Self)
    }

    pub(super) fn as_ptr(self) -> *mut Node {
        self.0.as_ptr()
    }

    fn fields<'a>(self) -> &'a Node {
        // SAFETY: the node is whole and lives as long as its arena, see [`NodeRef`].
        unsafe { self.0.as_ref() }
    }

    pub(super) fn seq(self) -> u64 {
        self.fields().seq
    }

    pub(super) fn height(self) -> usize {
        self.fields().height as usize
    }

    pub(super) fn older(self) -> Option<Self> {
        Self::from_ptr(self.fields().older)
    }

    /// Keys ascend, and versions of a key come newest first.
    pub(super) fn cmp(self, target: &Target<'_>) -> CmpOrdering {
        let fields = self.fields();
        fields
            .prefix
            .cmp(&target.prefix)
            .then_with(|| self.key().cmp(target.key))
            .then_with(|| target.seq.cmp(&fields.seq))
    }

    /// The node's own place in the order.
    pub(super) fn place<'a>(self) -> Target<'a> {
        Target { prefix: self.fields().prefix, key: self.key(), seq: self.seq() }
    }

    /// The pointer of a level below the node's height.
    pub(super) fn next<'a>(self, level: usize) -> &'a AtomicPtr<Node> {
        assert!(level < self.height(), "a level that the node does not have");
        // SAFETY: `height` pointers follow the node in its allocation.
        unsafe { self.0.add(1).cast::<AtomicPtr<Node>>().add(level).as_ref() }
    }

    pub(super) fn key<'a>(self) -> &'a [u8] {
        // SAFETY: `key_len` bytes follow the tower; they were written before the node
        // was published and never change.
        unsafe { std::slice::from_raw_parts(self.data(), self.fields().key_len as usize) }
    }

    fn packed<'a>(self) -> &'a [u8] {
        let fields = self.fields();
        // SAFETY: `packed_len` bytes follow the key, as above.
        unsafe {
            let start = self.data().add(fields.key_len as usize);
            std::slice::from_raw_parts(start, fields.packed_len as usize)
        }
    }

    fn data(self) -> *const u8 {
        // SAFETY: the tower and the bytes are in the node's allocation.
        unsafe { self.0.add(1).cast::<AtomicPtr<Node>>().add(self.height()).cast().as_ptr() }
    }
}

/// A place in the order of the nodes.
pub(super) struct Target<'a> {
    prefix: u64,
    key: &'a [u8],
    seq: u64,
}

impl<'a> Target<'a> {
    pub(super) fn new(key: &'a [u8], seq: u64) -> Self {
        Self { prefix: key_prefix(key), key, seq }
    }
}

/// The memory of nodes. One thread at a time adds some.
pub(super) struct Arena(Mutex<Chunks>);

struct Chunks {
    chunks: Vec<NonNull<[u64]>>,
    /// The free words of the last chunk.
    free: NonNull<u64>,
    free_words: usize,
    random: u64,
}

// SAFETY: the pointers are to memory that the chunks own.
unsafe impl Send for Chunks {}

impl Arena {
    pub(super) fn new() -> Self {
        Self(Mutex::new(Chunks {
            chunks: Vec::new(),
            free: NonNull::dangling(),
            free_words: 0,
            random: 0x9e37_79b9_7f4a_7c15,
        }))
    }

    /// A node that is larger in the order than none and has all levels.
    pub(super) fn head(&self) -> NodeRef {
        self.0.lock().node(&[], &[], 0, None, HEIGHT_MAX).0
    }

    /// A node that no pointer leads to yet, and how many bytes it takes.
    pub(super) fn node(
        &self,
        key: &[u8],
        packed: &[u8],
        seq: u64,
        older: Option<NodeRef>,
    ) -> (NodeRef, usize) {
        let mut chunks = self.0.lock();
        let height = chunks.random_height();
        chunks.node(key, packed, seq, older, height)
    }
}

impl Chunks {
    fn node(
        &mut self,
        key: &[u8],
        packed: &[u8],
        seq: u64,
        older: Option<NodeRef>,
        height: usize,
    ) -> (NodeRef, usize) {
        let words = size_of::<Node>() / 8 + height + (key.len() + packed.len()).div_ceil(8);
        let at = self.allocate(words).cast::<Node>();
        let node = Node {
            ended: AtomicU64::new(LIVE),
            seq,
            prefix: key_prefix(key),
            older: older.map_or(std::ptr::null_mut(), NodeRef::as_ptr),
            key_len: key.len() as u32,
            packed_len: packed.len() as u32,
            height: height as u64,
        };
        // SAFETY: `words` words are ours, aligned for a node, and large enough for it,
        // its tower (already zeros, which are null pointers) and its bytes.
        unsafe {
            at.write(node);
            let data = at.add(1).cast::<AtomicPtr<Node>>().add(height).cast::<u8>();
            data.copy_from_nonoverlapping(NonNull::from(key).cast(), key.len());
            let data = data.add(key.len());
            data.copy_from_nonoverlapping(NonNull::from(packed).cast(), packed.len());
        }
        (NodeRef(at), words * 8)
    }

    /// So many zeroed words that live as long as the arena.
    fn allocate(&mut self, words: usize) -> NonNull<u64> {
        if words > self.free_words {
            let usual = (CHUNK_WORDS_MIN << self.chunks.len().min(16)).min(CHUNK_WORDS_MAX);
            let chunk = Box::leak(vec![0_u64; usual.max(words)].into_boxed_slice());
            self.free_words = chunk.len();
            let chunk = NonNull::from(chunk);
            self.free = chunk.cast();
            self.chunks.push(chunk);
        }
        let at = self.free;
        // SAFETY: so many words were free after `free` in the last chunk.
        self.free = unsafe { at.add(words) };
        self.free_words -= words;
        at
    }

    /// One with probability 3/4, two with 3/16, and so on (xorshift64).
    fn random_height(&mut self) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let zeros = ((self.random >> 32) | (1 << 31)).trailing_zeros() as usize;
        (1 + zeros / 2).min(HEIGHT_MAX)
    }
}

impl Drop for Chunks {
    fn drop(&mut self) {
        for chunk in self.chunks.drain(..) {
            // SAFETY: it was leaked from a box, and nodes are not used after the arena.
            drop(unsafe { Box::from_raw(chunk.as_ptr()) });
        }
    }
}

/// One version of one row.
#[derive(Clone, Copy)]
pub(crate) struct Entry<'a> {
    pub(super) node: NodeRef,
    arena: &'a Arena,
}

impl<'a> Entry<'a> {
    /// `node` must be of `arena`.
    pub(super) fn new(arena: &'a Arena, node: NodeRef) -> Self {
        Self { node, arena }
    }

    pub(crate) fn key(&self) -> &'a [u8] {
        self.node.key()
    }

    /// The columns that are not in the key.
    pub(crate) fn packed(&self) -> &'a [u8] {
        self.node.packed()
    }

    /// The sequence number that made it.
    pub(crate) fn seq(&self) -> u64 {
        self.node.seq()
    }

    /// The sequence number that replaced or deleted it, or [`LIVE`].
    pub(crate) fn ended(&self) -> u64 {
        self.node.fields().ended.load(Ordering::Acquire)
    }

    /// Marks it replaced or deleted at `seq`.
    pub(crate) fn end(&self, seq: u64) {
        self.node.fields().ended.store(seq, Ordering::Release);
    }

    pub(crate) fn visible_at(&self, seq: u64) -> bool {
        self.seq() <= seq && seq < self.ended()
    }

    /// The version of its key before it.
    pub(super) fn older(&self) -> Option<Self> {
        self.node.older().map(|node| Self::new(self.arena, node))
    }
}

/// An entry that keeps its arena.
#[derive(Clone)]
pub(crate) struct OwnedEntry {
    pub(super) arena: Arc<Arena>,
    pub(super) node: NodeRef,
}

impl OwnedEntry {
    /// `entry` must be of `arena`.
    pub(super) fn new(arena: &Arc<Arena>, entry: Entry<'_>) -> Self {
        assert!(std::ptr::eq(Arc::as_ptr(arena), entry.arena), "an entry of another memtable");
        Self { arena: Arc::clone(arena), node: entry.node }
    }

    pub(crate) fn get(&self) -> Entry<'_> {
        Entry::new(&self.arena, self.node)
    }
}

/// Many entries of one arena that they keep.
#[derive(Clone)]
pub(crate) struct Entries {
    arena: Arc<Arena>,
    nodes: Vec<NodeRef>,
}

impl Entries {
    /// Nodes of `arena`.
    pub(super) fn new(arena: &Arc<Arena>, nodes: Vec<NodeRef>) -> Self {
        Self { arena: Arc::clone(arena), nodes }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Entry<'_>> {
        self.nodes.iter().map(|node| Entry::new(&self.arena, *node))
    }

    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// The entries at these positions.
    pub(crate) fn select(&self, positions: impl Iterator<Item = usize>) -> Self {
        let nodes = positions.map(|at| self.nodes[at]).collect();
        Self { arena: Arc::clone(&self.arena), nodes }
    }

    /// Those for which `keep` is true.
    pub(super) fn filter(&self, keep: impl Fn(&Entry<'_>) -> bool) -> Self {
        let nodes = self.iter().filter(keep).map(|entry| entry.node).collect();
        Self { arena: Arc::clone(&self.arena), nodes }
    }

    /// Puts them in the order of their keys, the newest version of a key first.
    pub(super) fn sort(&mut self) {
        sort(&mut self.nodes);
    }
}

/// Sorts nodes by key, the newest version of a key first.
pub(super) fn sort(nodes: &mut [NodeRef]) {
    nodes.sort_unstable_by(|a, b| a.cmp(&b.place()));
}
