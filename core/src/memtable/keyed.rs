//! Rows by primary key.
//!
//! ```text
//! insert:  arena ── node ──> hash index (newest version of a key ── older versions)
//!                    └─────> arrivals   (in the order in which they came)
//! range:   arrivals that are not linked yet ──> skip list
//! scan:    arrivals by stretches, each decoded into columns once
//! flush:   arrivals, sorted
//! ```
//!
//! A commit finds and puts a key through the hash index alone; order is made when
//! somebody asks for it. Once a range was read, or while keys ascend, rows are linked
//! as they come.

use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use arrow::array::{BooleanArray, RecordBatch};
use parking_lot::{Mutex, RwLock};

use super::hash_index::HashIndex;
use super::node::{Arena, Entries, Entry, NodeRef, OwnedEntry, Target, sort};
use super::skip_list::SkipList;
use super::{Rows, WINDOW_ROWS, piece_of_window};
use crate::catalog::TableDef;
use crate::row::RowLayout;
use crate::{Result, batch_bytes};

/// Rows of a stretch.
const STRETCH_ROWS: usize = WINDOW_ROWS;

/// Rows that came one after another.
struct Stretch {
    entries: Entries,
    hashes: Vec<u64>,
    /// Its rows as columns, once a scan wanted them.
    columns: Mutex<Option<RecordBatch>>,
}

/// See the module's documentation.
pub(crate) struct KeyedMemtable {
    def: Arc<TableDef>,
    layout: Arc<RowLayout>,
    arena: Arc<Arena>,
    newest: HashIndex,
    arrivals: RwLock<Arrivals>,
    order: SkipList,
    /// How many arrivals are linked; locked by the thread that links.
    linked: Mutex<usize>,
    /// Rows are linked as they come. Shared by all memtables of a table.
    ranges_are_read: Arc<AtomicBool>,
    /// Of the index, before there was a row.
    reserved_bytes: usize,
    rows: AtomicUsize,
    bytes: AtomicUsize,
    /// Bytes of columns that scans made.
    cached_bytes: AtomicUsize,
    /// Memory is short: columns are not kept.
    keeps_nothing: AtomicBool,
    min_seq: AtomicU64,
    max_seq: AtomicU64,
}

/// Nodes as they came, with the hashes of their keys.
#[derive(Default)]
struct Arrivals {
    full: Vec<Arc<Stretch>>,
    last: Vec<NodeRef>,
    last_hashes: Vec<u64>,
}

impl Arrivals {
    fn len(&self) -> usize {
        self.full.len() * STRETCH_ROWS + self.last.len()
    }

    /// The nodes from the i-th on.
    fn since(&self, from: usize) -> Vec<NodeRef> {
        let full = self.full.iter().skip(from / STRETCH_ROWS);
        let nodes = full.flat_map(|stretch| stretch.entries.iter().map(|entry| entry.node));
        let skip = from - from.min(self.full.len() * STRETCH_ROWS) / STRETCH_ROWS * STRETCH_ROWS;
        nodes.chain(self.last.iter().copied()).skip(skip).collect()
    }

    fn with_hashes(&self) -> impl Iterator<Item = (NodeRef, u64)> {
        let full = self.full.iter().flat_map(|stretch| {
            stretch.entries.iter().map(|e| e.node).zip(stretch.hashes.iter().copied())
        });
        full.chain(self.last.iter().copied().zip(self.last_hashes.iter().copied()))
    }
}

impl std::fmt::Debug for KeyedMemtable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyedMemtable").field("rows", &self.rows()).finish_non_exhaustive()
    }
}

impl KeyedMemtable {
    pub(crate) fn new(def: Arc<TableDef>) -> Result<Self> {
        Self::with_hints(def, 0, Arc::default())
    }

    /// The one that takes rows after `self` is full.
    pub(crate) fn successor(&self, def: Arc<TableDef>) -> Result<Self> {
        Self::with_hints(def, self.newest.keys(), Arc::clone(&self.ranges_are_read))
    }

    fn with_hints(
        def: Arc<TableDef>,
        keys: usize,
        ranges_are_read: Arc<AtomicBool>,
    ) -> Result<Self> {
        let arena = Arc::new(Arena::new());
        let newest = HashIndex::new(keys);
        Ok(Self {
            layout: def.row_layout()?,
            def,
            reserved_bytes: newest.bytes(),
            newest,
            arrivals: RwLock::default(),
            order: SkipList::new(arena.head()),
            arena,
            linked: Mutex::new(0),
            ranges_are_read,
            rows: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            cached_bytes: AtomicUsize::new(0),
            keeps_nothing: AtomicBool::new(false),
            min_seq: AtomicU64::new(u64::MAX),
            max_seq: AtomicU64::new(0),
        })
    }

    pub(crate) fn def(&self) -> &Arc<TableDef> {
        &self.def
    }

    pub(crate) fn layout(&self) -> &Arc<RowLayout> {
        &self.layout
    }

    pub(crate) fn rows(&self) -> u64 {
        self.rows.load(Ordering::Acquire) as u64
    }

    /// Bytes of the rows.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Bytes that were reserved for their index before there were any.
    pub(crate) fn reserved_bytes(&self) -> usize {
        self.reserved_bytes
    }

    /// Bytes of the columns that scans made of them.
    pub(crate) fn cached_bytes(&self) -> usize {
        self.cached_bytes.load(Ordering::Relaxed)
    }

    /// Whether columns that scans make are kept for the next; what is there goes when not.
    pub(crate) fn keep_columns(&self, keep: bool) {
        self.keeps_nothing.store(!keep, Ordering::Relaxed);
        if keep || self.cached_bytes() == 0 {
            return;
        }
        for stretch in &self.arrivals.read().full {
            // One that is being made is let be.
            if let Some(columns) = stretch.columns.try_lock().and_then(|mut it| it.take()) {
                self.cached_bytes.fetch_sub(batch_bytes(&columns), Ordering::Relaxed);
            }
        }
    }

    pub(crate) fn seq_range(&self) -> (u64, u64) {
        (self.min_seq.load(Ordering::Relaxed), self.max_seq.load(Ordering::Relaxed))
    }

    /// Adds a version, newer than all others of its key; the caller has ended the one
    /// before it.
    pub(crate) fn insert(&self, key: &[u8], hash: u64, packed: &[u8], seq: u64) -> Entry<'_> {
        self.min_seq.fetch_min(seq, Ordering::Relaxed);
        self.max_seq.fetch_max(seq, Ordering::Relaxed);
        let (node, bytes) = self.arena.node(key, packed, seq, self.newest.find(key, hash));
        let index_bytes;
        let len = {
            let mut arrivals = self.arrivals.write();
            index_bytes = self.newest.insert(node, hash, || arrivals.with_hashes());
            arrivals.last.push(node);
            arrivals.last_hashes.push(hash);
            if arrivals.last.len() == STRETCH_ROWS {
                let nodes = std::mem::take(&mut arrivals.last);
                let hashes = std::mem::take(&mut arrivals.last_hashes);
                let entries = Entries::new(&self.arena, nodes);
                let columns = Mutex::new(None);
                arrivals.full.push(Arc::new(Stretch { entries, hashes, columns }));
            }
            arrivals.len()
        };
        // The node, its place among the arrivals, and the index when it grows.
        self.bytes.fetch_add(bytes + 16 + index_bytes, Ordering::Relaxed);
        self.rows.store(len, Ordering::Release);
        // A thread that links what came before will link this one too.
        if let Some(mut linked) = self.linked.try_lock()
            && *linked + 1 == len
            && (self.ranges_are_read.load(Ordering::Relaxed) || self.order.is_after_all(node))
        {
            self.order.link(node);
            *linked = len;
        }
        Entry::new(&self.arena, node)
    }

    /// Versions of `key` at or before `seq`, the newest first.
    pub(crate) fn versions(
        &self,
        key: &[u8],
        hash: u64,
        seq: u64,
    ) -> impl Iterator<Item = Entry<'_>> {
        let newest = self.newest.find(key, hash).map(|node| Entry::new(&self.arena, node));
        std::iter::successors(newest, Entry::older).skip_while(move |entry| entry.seq() > seq)
    }

    /// An entry of this memtable that keeps it.
    pub(crate) fn keep(&self, entry: Entry<'_>) -> OwnedEntry {
        OwnedEntry::new(&self.arena, entry)
    }

    /// All versions for which `keep` is true, in key order, the newest of a key first.
    pub(crate) fn sorted(&self, keep: impl Fn(&Entry<'_>) -> bool) -> Entries {
        let all = Entries::new(&self.arena, self.arrivals.read().since(0));
        let mut kept = all.filter(keep);
        kept.sort();
        kept
    }

    /// Puts everything that has come so far in order.
    fn link_arrivals(&self) {
        self.ranges_are_read.store(true, Ordering::Relaxed);
        let mut linked = self.linked.lock();
        let mut new = self.arrivals.read().since(*linked);
        let count = new.len();
        sort(&mut new);
        for node in new {
            self.order.link(node);
        }
        *linked += count;
    }

    /// The first entry of a walk from one end of a range.
    pub(crate) fn first(&self, from: Bound<&[u8]>, backward: bool) -> Option<OwnedEntry> {
        self.link_arrivals();
        let node = match (from, backward) {
            (Bound::Included(key) | Bound::Excluded(key), false) => {
                self.order.seek(&Target::new(key, u64::MAX))
            }
            (Bound::Included(key) | Bound::Excluded(key), true) => {
                self.order.seek_before(&Target::new(key, u64::MAX))
            }
            (Bound::Unbounded, false) => self.order.seek(&Target::new(&[], u64::MAX)),
            (Bound::Unbounded, true) => self.order.last(),
        };
        node.map(|node| OwnedEntry { arena: Arc::clone(&self.arena), node })
    }

    /// Goes to the first entry after all versions of its key; false at the end.
    pub(crate) fn after_key(&self, entry: &mut OwnedEntry) -> bool {
        let key = entry.node.key();
        let next = NodeRef::from_ptr(entry.node.next(0).load(Ordering::Acquire));
        // A key may have very many versions, and mostly has one.
        let next = match next {
            Some(next) if next.key() == key => self.order.seek(&Target::new(key, 0)),
            other => other,
        };
        go(entry, next)
    }

    /// Goes to the last entry before all versions of its key; false at the end.
    pub(crate) fn before_key(&self, entry: &mut OwnedEntry) -> bool {
        go(entry, self.order.seek_before(&Target::new(entry.node.key(), u64::MAX)))
    }

    /// Number of rows visible at `seq`.
    pub(crate) fn visible_rows(&self, seq: u64) -> u64 {
        let all = Entries::new(&self.arena, self.arrivals.read().since(0));
        all.iter().filter(|entry| entry.visible_at(seq)).count() as u64
    }

    /// A piece of the rows as they came, with those visible at `seq`.
    pub(crate) fn scan(&self, seq: u64, piece: Option<(usize, usize)>) -> Result<Vec<Rows>> {
        let (full, last) = {
            let arrivals = self.arrivals.read();
            (arrivals.full.clone(), Entries::new(&self.arena, arrivals.last.clone()))
        };
        let range = piece_of_window(piece);
        let mut all = Vec::with_capacity(full.len() + 1);
        for stretch in full {
            let entries = stretch.entries.iter().skip(range.start).take(range.len());
            let visible: Vec<bool> = entries.map(|e| e.visible_at(seq)).collect();
            if visible.contains(&true) {
                let batch = self.columns_of(&stretch)?.slice(range.start, range.len());
                let some = visible.contains(&false).then(|| BooleanArray::from(visible));
                all.push(Rows { batch, visible: some });
            }
        }
        let last = last.select(range.start.min(last.len())..range.end.min(last.len()));
        let visible = last.filter(|entry| entry.visible_at(seq));
        if visible.len() > 0 {
            all.push(Rows { batch: self.decode(&visible)?, visible: None });
        }
        Ok(all)
    }

    fn columns_of(&self, stretch: &Stretch) -> Result<RecordBatch> {
        // Scans of the same stretch wait for the first to make them.
        let mut columns = stretch.columns.lock();
        if let Some(columns) = &*columns {
            return Ok(columns.clone());
        }
        let made = self.decode(&stretch.entries)?;
        if !self.keeps_nothing.load(Ordering::Relaxed) {
            self.cached_bytes.fetch_add(batch_bytes(&made), Ordering::Relaxed);
            *columns = Some(made.clone());
        }
        Ok(made)
    }

    fn decode(&self, entries: &Entries) -> Result<RecordBatch> {
        let keys: Vec<&[u8]> = entries.iter().map(|e| e.key()).collect();
        let packed: Vec<&[u8]> = entries.iter().map(|e| e.packed()).collect();
        self.layout.decode_all(&keys, &packed)
    }
}

fn go(entry: &mut OwnedEntry, to: Option<NodeRef>) -> bool {
    if let Some(node) = to {
        entry.node = node;
    }
    to.is_some()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use arrow::array::{ArrayRef, BinaryViewArray};
    use proptest::prelude::*;

    use super::*;
    use crate::memtable::tests::table_of_bytes;
    use crate::row::key_hash;

    /// Keys and numbers from one end, forward or backward.
    fn walk(memtable: &KeyedMemtable, from: Bound<&[u8]>, backward: bool) -> Vec<(Vec<u8>, u64)> {
        let mut out = Vec::new();
        let mut at = memtable.first(from, backward);
        while let Some(mut entry) = at {
            out.push((entry.get().key().to_vec(), entry.get().seq()));
            let there = match backward {
                true => memtable.before_key(&mut entry),
                false => memtable.after_key(&mut entry),
            };
            at = there.then_some(entry);
        }
        out
    }

    proptest! {
        #[test]
        fn versions_are_found_and_ordered(
            keys in prop::collection::vec(prop::collection::vec(0_u8..4, 0..12), 1..2000),
            sought in prop::collection::vec(0_u8..4, 0..12),
            ordered_at in 0_usize..2000,
        ) {
            let memtable = KeyedMemtable::new(table_of_bytes()).unwrap();
            let mut model = BTreeMap::new();
            for (i, key) in keys.iter().enumerate() {
                if i == ordered_at {
                    memtable.first(Bound::Unbounded, false);
                }
                let seq = i as u64 + 1;
                memtable.insert(key, key_hash(key), &seq.to_le_bytes(), seq);
                model.insert((key.clone(), u64::MAX - seq), seq);
            }
            for key in keys.iter().chain([&sought]) {
                for seq in [0, keys.len() as u64 / 2, u64::MAX] {
                    let found = memtable.versions(key, key_hash(key), seq).map(|e| e.seq());
                    let wanted = model.range((key.clone(), u64::MAX - seq)..=(key.clone(), u64::MAX));
                    prop_assert!(found.eq(wanted.map(|(_, seq)| *seq)));
                }
            }
            let all: Vec<_> = model.iter().map(|((key, _), seq)| (key.clone(), *seq)).collect();
            // Forward it comes to the newest version of each key, backward to the oldest.
            let mut newest = all.clone();
            newest.dedup_by(|later, first| later.0 == first.0);
            prop_assert_eq!(walk(&memtable, Bound::Unbounded, false), newest.clone());
            let sorted = memtable.sorted(|_| true);
            let sorted: Vec<_> = sorted.iter().map(|e| (e.key().to_vec(), e.seq())).collect();
            prop_assert_eq!(sorted, all.clone());
            newest.retain(|(key, _)| *key >= sought);
            let from = newest;
            prop_assert_eq!(walk(&memtable, Bound::Included(&sought), false), from);
            let mut before: Vec<_> = all.into_iter().filter(|(key, _)| *key < sought).collect();
            before.reverse();
            before.dedup_by(|later, first| later.0 == first.0);
            prop_assert_eq!(walk(&memtable, Bound::Included(&sought), true), before);
        }
    }

    #[test]
    fn readers_see_whole_entries_while_the_writer_writes() {
        let memtable = Arc::new(KeyedMemtable::new(table_of_bytes()).unwrap());
        let done = Arc::new(AtomicBool::new(false));
        let readers: Vec<_> = (0..2)
            .map(|_| {
                let (memtable, done) = (Arc::clone(&memtable), Arc::clone(&done));
                std::thread::spawn(move || {
                    while !done.load(Ordering::Acquire) {
                        let walked = walk(&memtable, Bound::Unbounded, false);
                        assert!(walked.is_sorted());
                        for (key, seq) in walked {
                            let hash = key_hash(&key);
                            let found = memtable.versions(&key, hash, u64::MAX).next().unwrap();
                            assert_eq!((found.seq(), found.packed()), (seq, key.as_slice()));
                        }
                    }
                })
            })
            .collect();
        for i in 0..20_000_u64 {
            let key = i.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
            memtable.insert(&key, key_hash(&key), &key, i + 1);
        }
        done.store(true, Ordering::Release);
        for reader in readers {
            reader.join().unwrap();
        }
        assert_eq!(walk(&memtable, Bound::Unbounded, false).len(), 20_000);
    }

    #[test]
    fn columns_are_kept_while_there_is_memory() {
        let memtable = KeyedMemtable::new(table_of_bytes()).unwrap();
        let row = memtable.layout().encode(&sample(3 * STRETCH_ROWS)).unwrap();
        for (i, (key, packed)) in row.0.iter().zip(row.1.iter()).enumerate() {
            memtable.insert(key, key_hash(key), packed, i as u64 + 1);
        }
        let rows = |piece| -> usize {
            let scanned = memtable.scan(u64::MAX - 1, piece).unwrap();
            scanned.iter().map(|rows| rows.batch.num_rows()).sum()
        };
        assert_eq!((rows(None), rows(Some((1, 3)))), (3 * STRETCH_ROWS, 3 * 2731));
        let kept = memtable.cached_bytes();
        assert!(kept > 3 * STRETCH_ROWS * 16, "{kept}");
        memtable.keep_columns(false);
        assert_eq!((memtable.cached_bytes(), rows(None)), (0, 3 * STRETCH_ROWS));
        assert_eq!(memtable.cached_bytes(), 0);
        memtable.keep_columns(true);
        assert_eq!((rows(None), memtable.cached_bytes()), (3 * STRETCH_ROWS, kept));
    }

    /// Rows of the table of bytes.
    fn sample(count: usize) -> RecordBatch {
        let values = || BinaryViewArray::from_iter_values((0..count).map(|i| i.to_be_bytes()));
        let columns: [(&str, ArrayRef); 2] = [("k", Arc::new(values())), ("v", Arc::new(values()))];
        RecordBatch::try_from_iter_with_nullable(columns.map(|(name, c)| (name, c, true))).unwrap()
    }

    #[test]
    fn large_entries_get_memory_of_their_own() {
        let memtable = KeyedMemtable::new(table_of_bytes()).unwrap();
        let large = vec![7; 3 << 20];
        memtable.insert(b"b", key_hash(b"b"), &large, 1);
        memtable.insert(b"a", key_hash(b"a"), b"", 2);
        memtable.insert(b"c", key_hash(b"c"), &large, 3);
        let sizes: Vec<_> = memtable.sorted(|_| true).iter().map(|e| e.packed().len()).collect();
        assert_eq!(sizes, [0, 3 << 20, 3 << 20]);
        assert!(memtable.bytes() > 6 << 20);
    }
}
