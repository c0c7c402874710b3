//! Row versions in key order: a skip list in an arena, one writer, any readers.
//!
//! ```text
//! node:  ended* | seq | prefix | lengths | next[height] | key bytes | packed bytes
//! ```
//!
//! Nodes are never removed and never move, so a reader needs no lock: whatever it
//! reaches by a pointer is whole, because the pointer was published after it. A node
//! holds the first eight bytes of its key, which decides most comparisons without a
//! look at the key itself. After W. Pugh, "Skip lists: a probabilistic alternative to
//! balanced trees", and the in-line nodes of LevelDB's and RocksDB's memtables.
//!
//! The order is by key, and among versions of a key the newest first.

use std::cmp::Ordering as CmpOrdering;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;

/// Levels of a node at most: with one in four nodes going up a level, enough for 4^12.
const HEIGHT_MAX: usize = 12;

/// Words of the first chunk of the arena; each is twice the one before it, to
/// [`CHUNK_WORDS_MAX`].
const CHUNK_WORDS_MIN: usize = 512;
const CHUNK_WORDS_MAX: usize = 128 << 10;

/// "Not ended": larger than any sequence number.
pub(crate) const LIVE: u64 = u64::MAX;

#[repr(C)]
struct Node {
    /// Sequence number that replaced or deleted the version, or [`LIVE`].
    ended: AtomicU64,
    seq: u64,
    /// The key's first eight bytes, big-endian, zeros behind a shorter one.
    prefix: u64,
    key_len: u32,
    packed_len: u32,
    height: u64,
    // `height` pointers, the key and the packed bytes follow.
}

/// A node of a list. It is only used while the list lives, by what borrows or keeps
/// the list; that is what makes its methods safe.
#[derive(Clone, Copy, PartialEq, Eq)]
struct NodeRef(NonNull<Node>);

/// See the module's documentation.
pub(crate) struct SkipList {
    head: NodeRef,
    /// Levels in use.
    height: AtomicUsize,
    len: AtomicUsize,
    bytes: AtomicUsize,
    writer: Mutex<Writer>,
}

/// What only the writer touches. It owns all memory of the list.
struct Writer {
    chunks: Vec<NonNull<[u64]>>,
    /// The free words of the last chunk.
    free: NonNull<u64>,
    free_words: usize,
    random: u64,
    /// The last node of each level: keys often ascend.
    last: [NodeRef; HEIGHT_MAX],
}

// SAFETY: nodes live as long as the list. Their fields do not change after they are
// published, but for atomics. The writer's part is behind a mutex.
unsafe impl Send for SkipList {}
// SAFETY: as above.
unsafe impl Sync for SkipList {}

impl std::fmt::Debug for SkipList {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SkipList").field("len", &self.len()).finish_non_exhaustive()
    }
}

impl SkipList {
    pub(crate) fn new() -> Self {
        let mut writer = Writer {
            chunks: Vec::new(),
            free: NonNull::dangling(),
            free_words: 0,
            random: 0x9e37_79b9_7f4a_7c15,
            last: [NodeRef(NonNull::dangling()); HEIGHT_MAX],
        };
        let head = writer.node(&[], &[], 0, HEIGHT_MAX);
        writer.last = [head; HEIGHT_MAX];
        Self {
            head,
            height: AtomicUsize::new(1),
            len: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            writer: Mutex::new(writer),
        }
    }

    /// Number of versions.
    pub(crate) fn len(&self) -> usize {
        self.len.load(Ordering::Acquire)
    }

    /// Bytes that the versions take.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Adds a version. A version of this key and number must not be there yet, or be
    /// dead: the new one comes after it.
    pub(crate) fn insert(&self, key: &[u8], packed: &[u8], seq: u64) -> Entry<'_> {
        let mut writer = self.writer.lock();
        let height = writer.random_height();
        let target = Target { prefix: prefix_of(key), key, seq };
        let mut before = [self.head; HEIGHT_MAX];
        let last = writer.last[0];
        if last == self.head || last.cmp(&target) == CmpOrdering::Less {
            before = writer.last;
        } else {
            self.search(&target, Some(&mut before));
        }
        let node = writer.node(key, packed, seq, height);
        self.height.fetch_max(height, Ordering::AcqRel);
        for (level, before) in before.iter().enumerate().take(height) {
            let next = before.next(level).load(Ordering::Relaxed);
            node.next(level).store(next, Ordering::Relaxed);
            // Readers that see the pointer see all of the node.
            before.next(level).store(node.0.as_ptr(), Ordering::Release);
            if next.is_null() {
                writer.last[level] = node;
            }
        }
        let bytes = Writer::words(key, packed, height) * 8;
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.len.fetch_add(1, Ordering::Release);
        Entry { node, list: self }
    }

    /// The newest version of `key` at or before `seq`, or else the first after it.
    pub(crate) fn seek(&self, key: &[u8], seq: u64) -> Option<Entry<'_>> {
        let found = self.search(&Target { prefix: prefix_of(key), key, seq }, None);
        self.entry_at(found)
    }

    /// The last entry before all versions of `key`.
    pub(crate) fn seek_before(&self, key: &[u8]) -> Option<Entry<'_>> {
        let mut before = [self.head; HEIGHT_MAX];
        let target = Target { prefix: prefix_of(key), key, seq: u64::MAX };
        self.search(&target, Some(&mut before));
        self.entry_before(before[0])
    }

    /// The last entry of all.
    pub(crate) fn last(&self) -> Option<Entry<'_>> {
        let mut node = self.head;
        for level in (0..self.height.load(Ordering::Acquire)).rev() {
            while let Some(next) = NonNull::new(node.next(level).load(Ordering::Acquire)) {
                node = NodeRef(next);
            }
        }
        self.entry_before(node)
    }

    /// All entries.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Entry<'_>> {
        let first = self.head.next(0).load(Ordering::Acquire);
        std::iter::successors(self.entry_at(first), Entry::next)
    }

    fn entry_at(&self, node: *mut Node) -> Option<Entry<'_>> {
        NonNull::new(node).map(|node| Entry { node: NodeRef(node), list: self })
    }

    fn entry_before(&self, node: NodeRef) -> Option<Entry<'_>> {
        (node != self.head).then_some(Entry { node, list: self })
    }

    /// The first node that does not come before `target`, and per level the last that
    /// does.
    fn search(
        &self,
        target: &Target<'_>,
        mut before: Option<&mut [NodeRef; HEIGHT_MAX]>,
    ) -> *mut Node {
        let mut node = self.head;
        let mut after: *mut Node = std::ptr::null_mut();
        for level in (0..self.height.load(Ordering::Acquire)).rev() {
            loop {
                let next = node.next(level).load(Ordering::Acquire);
                // What came after at the level above was compared there.
                if next == after {
                    break;
                }
                match NonNull::new(next).map(NodeRef) {
                    Some(next) if next.cmp(target) == CmpOrdering::Less => node = next,
                    _ => {
                        after = next;
                        break;
                    }
                }
            }
            if let Some(before) = &mut before {
                before[level] = node;
            }
        }
        after
    }
}

/// A place in the order.
struct Target<'a> {
    prefix: u64,
    key: &'a [u8],
    seq: u64,
}

fn prefix_of(key: &[u8]) -> u64 {
    match key.first_chunk() {
        Some(first) => u64::from_be_bytes(*first),
        None => {
            let mut bytes = [0; 8];
            bytes[..key.len()].copy_from_slice(key);
            u64::from_be_bytes(bytes)
        }
    }
}

impl NodeRef {
    fn fields<'a>(self) -> &'a Node {
        // SAFETY: the node is whole and lives as long as its list, see [`NodeRef`].
        unsafe { self.0.as_ref() }
    }

    fn cmp(self, target: &Target<'_>) -> CmpOrdering {
        let fields = self.fields();
        fields
            .prefix
            .cmp(&target.prefix)
            .then_with(|| self.key().cmp(target.key))
            .then_with(|| target.seq.cmp(&fields.seq))
    }

    /// The pointer of a level below the node's height.
    fn next<'a>(self, level: usize) -> &'a AtomicPtr<Node> {
        debug_assert!(level < self.fields().height as usize);
        // SAFETY: `height` pointers follow the node in its allocation, and callers ask
        // for levels at which they reached the node.
        unsafe { self.0.add(1).cast::<AtomicPtr<Node>>().add(level).as_ref() }
    }

    fn key<'a>(self) -> &'a [u8] {
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
        let height = self.fields().height as usize;
        // SAFETY: the tower and the bytes are in the node's allocation.
        unsafe { self.0.add(1).cast::<AtomicPtr<Node>>().add(height).cast().as_ptr() }
    }
}

impl Writer {
    /// Words of memory that a node takes.
    fn words(key: &[u8], packed: &[u8], height: usize) -> usize {
        size_of::<Node>() / 8 + height + (key.len() + packed.len()).div_ceil(8)
    }

    /// A node that no pointer leads to yet.
    fn node(&mut self, key: &[u8], packed: &[u8], seq: u64, height: usize) -> NodeRef {
        let words = Self::words(key, packed, height);
        let at = self.allocate(words).cast::<Node>();
        let node = Node {
            ended: AtomicU64::new(LIVE),
            seq,
            prefix: prefix_of(key),
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
            data.add(key.len()).copy_from_nonoverlapping(NonNull::from(packed).cast(), packed.len());
        }
        NodeRef(at)
    }

    /// So many zeroed words that live as long as the list.
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
        let zeros = (self.random >> 32 | 1 << 31).trailing_zeros() as usize;
        (1 + zeros / 2).min(HEIGHT_MAX)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        for chunk in self.chunks.drain(..) {
            // SAFETY: it was leaked from a box, and nodes are not used after the list.
            drop(unsafe { Box::from_raw(chunk.as_ptr()) });
        }
    }
}

/// One version of one row.
#[derive(Clone, Copy)]
pub(crate) struct Entry<'a> {
    node: NodeRef,
    list: &'a SkipList,
}

impl<'a> Entry<'a> {
    pub(crate) fn key(&self) -> &'a [u8] {
        self.node.key()
    }

    /// The columns that are not in the key.
    pub(crate) fn packed(&self) -> &'a [u8] {
        self.node.packed()
    }

    /// The sequence number that made it.
    pub(crate) fn seq(&self) -> u64 {
        self.node.fields().seq
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

    /// The entry after it.
    pub(crate) fn next(&self) -> Option<Self> {
        self.list.entry_at(self.node.next(0).load(Ordering::Acquire))
    }
}

/// An entry that keeps its list.
#[derive(Clone)]
pub(crate) struct OwnedEntry {
    list: Arc<SkipList>,
    node: NodeRef,
}

// SAFETY: the node belongs to the list, which is kept.
unsafe impl Send for OwnedEntry {}
// SAFETY: as above.
unsafe impl Sync for OwnedEntry {}

impl OwnedEntry {
    /// `entry` must be of `list`.
    pub(crate) fn new(list: &Arc<SkipList>, entry: Entry<'_>) -> Self {
        assert!(std::ptr::eq(Arc::as_ptr(list), entry.list), "an entry of another list");
        Self { list: Arc::clone(list), node: entry.node }
    }

    /// Goes to the entry after it; false at the end.
    pub(crate) fn advance(&mut self) -> bool {
        let next = self.get().next().map(|entry| entry.node);
        self.go(next)
    }

    /// Goes to the last entry before all versions of its key; false at the end.
    pub(crate) fn before_key(&mut self) -> bool {
        let before = self.list.seek_before(self.get().key()).map(|entry| entry.node);
        self.go(before)
    }

    fn go(&mut self, to: Option<NodeRef>) -> bool {
        if let Some(node) = to {
            self.node = node;
        }
        to.is_some()
    }

    pub(crate) fn get(&self) -> Entry<'_> {
        Entry { node: self.node, list: &self.list }
    }
}

/// Many entries of one list that they keep.
pub(crate) struct Entries {
    list: Arc<SkipList>,
    nodes: Vec<NodeRef>,
}

// SAFETY: the nodes belong to the list, which is kept.
unsafe impl Send for Entries {}
// SAFETY: as above.
unsafe impl Sync for Entries {}

impl Entries {
    /// No entry of `list` yet.
    pub(crate) fn none(list: &Arc<SkipList>) -> Self {
        Self { list: Arc::clone(list), nodes: Vec::new() }
    }

    /// Adds an entry of the same list.
    pub(crate) fn push(&mut self, entry: Entry<'_>) {
        assert!(std::ptr::eq(Arc::as_ptr(&self.list), entry.list), "an entry of another list");
        self.nodes.push(entry.node);
    }

    /// The entries of `list` for which `keep` is true, in order.
    pub(crate) fn of(list: &Arc<SkipList>, keep: impl Fn(&Entry<'_>) -> bool) -> Self {
        let nodes = list.iter().filter(keep).map(|entry| entry.node).collect();
        Self { list: Arc::clone(list), nodes }
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = Entry<'_>> {
        self.nodes.iter().map(|node| Entry { node: *node, list: &self.list })
    }

    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// The entries at these positions.
    pub(crate) fn select(&self, positions: impl Iterator<Item = usize>) -> Self {
        let nodes = positions.map(|at| self.nodes[at]).collect();
        Self { list: Arc::clone(&self.list), nodes }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::atomic::AtomicBool;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_ordered_by_key_and_newest_first(
            keys in prop::collection::vec(prop::collection::vec(0_u8..4, 0..12), 1..200),
            sought in prop::collection::vec(0_u8..4, 0..12),
        ) {
            let list = SkipList::new();
            let mut model = BTreeMap::new();
            for (i, key) in keys.iter().enumerate() {
                let seq = i as u64 + 1;
                list.insert(key, &seq.to_le_bytes(), seq);
                model.insert((key.clone(), u64::MAX - seq), seq);
            }
            let all: Vec<_> = list.iter().map(|e| (e.key().to_vec(), u64::MAX - e.seq())).collect();
            prop_assert!(all.iter().eq(model.keys()));
            prop_assert!(list.iter().all(|e| e.packed() == e.seq().to_le_bytes()));
            prop_assert_eq!(list.last().map(|e| e.seq()), model.values().next_back().copied());
            for seq in [0, keys.len() as u64 / 2, u64::MAX] {
                let next = model.range((sought.clone(), u64::MAX - seq)..).next();
                prop_assert_eq!(list.seek(&sought, seq).map(|e| e.seq()), next.map(|n| *n.1));
            }
            let before = model.range(..(sought.clone(), 0)).next_back();
            prop_assert_eq!(list.seek_before(&sought).map(|e| e.seq()), before.map(|n| *n.1));
        }
    }

    #[test]
    fn readers_see_whole_entries_while_the_writer_writes() {
        let list = Arc::new(SkipList::new());
        let done = Arc::new(AtomicBool::new(false));
        let readers: Vec<_> = (0..2)
            .map(|_| {
                let (list, done) = (Arc::clone(&list), Arc::clone(&done));
                std::thread::spawn(move || {
                    while !done.load(Ordering::Acquire) {
                        let mut before: Option<Vec<u8>> = None;
                        for entry in list.iter() {
                            assert_eq!(entry.packed(), entry.key());
                            assert!(before.is_none_or(|key| key < entry.key().to_vec()));
                            before = Some(entry.key().to_vec());
                        }
                    }
                })
            })
            .collect();
        for i in 0..20_000_u64 {
            let key = i.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
            list.insert(&key, &key, i + 1);
        }
        done.store(true, Ordering::Release);
        for reader in readers {
            reader.join().unwrap();
        }
        assert_eq!(list.iter().count(), 20_000);
    }

    #[test]
    fn large_entries_get_memory_of_their_own() {
        let list = SkipList::new();
        let large = vec![7; 3 << 20];
        list.insert(b"b", &large, 1);
        list.insert(b"a", b"", 2);
        list.insert(b"c", &large, 3);
        let sizes: Vec<_> = list.iter().map(|e| e.packed().len()).collect();
        assert_eq!(sizes, [0, 3 << 20, 3 << 20]);
        assert!(list.bytes() > 6 << 20);
    }
}
