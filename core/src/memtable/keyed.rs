//! Rows by primary key: a skip list over memcomparable keys.
//!
//! An entry's key is the primary key followed by the *inverted* sequence number, so
//! the newest version of a key comes first. Rows are kept in `arrow-row` form and
//! decoded when a scan wants columns.

use std::cmp::Ordering as CmpOrdering;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use arrow::array::RecordBatch;
use bytes::Bytes;
use crossbeam_skiplist::SkipMap;

use super::LIVE;
use crate::Result;
use crate::catalog::TableDef;
use crate::rows::RowCodec;

/// Rows decoded per batch of a scan.
const SCAN_ROWS: usize = 8192;

/// Rough cost of an entry beside its bytes: list node, version, two `Bytes`.
const ENTRY_OVERHEAD: usize = 160;

/// One version of one row.
#[derive(Debug)]
pub(crate) struct RowVersion {
    pub row: Bytes,
    pub seq: u64,
    ended: AtomicU64,
}

impl RowVersion {
    /// The sequence number that replaced or deleted it, or [`LIVE`].
    pub(crate) fn ended(&self) -> u64 {
        self.ended.load(Ordering::Acquire)
    }

    /// Marks it replaced or deleted at `seq`.
    pub(crate) fn end(&self, seq: u64) {
        self.ended.store(seq, Ordering::Release);
    }

    pub(crate) fn visible_at(&self, seq: u64) -> bool {
        self.seq <= seq && seq < self.ended()
    }
}

#[derive(Debug, PartialEq, Eq)]
struct EntryKey {
    key: Bytes,
    seq: u64,
}

impl Ord for EntryKey {
    fn cmp(&self, other: &Self) -> CmpOrdering {
        self.key.cmp(&other.key).then_with(|| other.seq.cmp(&self.seq))
    }
}

impl PartialOrd for EntryKey {
    fn partial_cmp(&self, other: &Self) -> Option<CmpOrdering> {
        Some(self.cmp(other))
    }
}

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct KeyedMemtable {
    def: Arc<TableDef>,
    codec: Arc<RowCodec>,
    entries: SkipMap<EntryKey, Arc<RowVersion>>,
    bytes: AtomicUsize,
    min_seq: AtomicU64,
    max_seq: AtomicU64,
}

impl KeyedMemtable {
    pub(crate) fn new(def: Arc<TableDef>) -> Result<Self> {
        let codec = def.row_codec()?;
        Ok(Self {
            def,
            codec,
            entries: SkipMap::new(),
            bytes: AtomicUsize::new(0),
            min_seq: AtomicU64::new(u64::MAX),
            max_seq: AtomicU64::new(0),
        })
    }

    pub(crate) fn def(&self) -> &Arc<TableDef> {
        &self.def
    }

    pub(crate) fn codec(&self) -> &RowCodec {
        &self.codec
    }

    pub(crate) fn rows(&self) -> u64 {
        self.entries.len() as u64
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn seq_range(&self) -> (u64, u64) {
        (self.min_seq.load(Ordering::Relaxed), self.max_seq.load(Ordering::Relaxed))
    }

    /// Adds a version; the caller has ended the one before it.
    pub(crate) fn insert(&self, key: Bytes, row: Bytes, seq: u64) {
        self.bytes.fetch_add(key.len() + row.len() + ENTRY_OVERHEAD, Ordering::Relaxed);
        self.min_seq.fetch_min(seq, Ordering::Relaxed);
        self.max_seq.fetch_max(seq, Ordering::Relaxed);
        let version = RowVersion { row, seq, ended: AtomicU64::new(LIVE) };
        self.entries.insert(EntryKey { key, seq }, Arc::new(version));
    }

    /// Versions of `key` at or before `seq`, the newest first.
    pub(crate) fn versions(
        &self,
        key: &Bytes,
        seq: u64,
    ) -> impl Iterator<Item = Arc<RowVersion>> + '_ {
        let from = EntryKey { key: key.clone(), seq };
        let key = key.clone();
        self.entries
            .range((Bound::Included(from), Bound::Unbounded))
            .take_while(move |e| e.key().key == key)
            .map(|e| Arc::clone(e.value()))
    }

    /// All versions in key order, the newest of a key first, with their keys.
    pub(crate) fn all(&self) -> impl Iterator<Item = (Bytes, Arc<RowVersion>)> + '_ {
        self.entries.iter().map(|e| (e.key().key.clone(), Arc::clone(e.value())))
    }

    /// Number of rows visible at `seq`.
    pub(crate) fn visible_rows(&self, seq: u64) -> u64 {
        self.entries.iter().filter(|e| e.value().visible_at(seq)).count() as u64
    }

    /// Rows visible at `seq`, in key order.
    pub(crate) fn scan(&self, seq: u64) -> Result<Vec<RecordBatch>> {
        let visible: Vec<Arc<RowVersion>> = self
            .entries
            .iter()
            .filter(|e| e.value().visible_at(seq))
            .map(|e| Arc::clone(e.value()))
            .collect();
        visible
            .chunks(SCAN_ROWS)
            .map(|chunk| self.codec.decode(chunk.iter().map(|v| v.row.as_ref())))
            .collect()
    }
}
