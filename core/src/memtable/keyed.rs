//! Rows by primary key: a skip list over memcomparable keys.
//!
//! A scan does not walk the list: it reads stretches of rows in the order in which they
//! came. A full stretch never changes but for rows that end, so it is decoded into
//! columns once, by the first scan that comes by.

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use parking_lot::RwLock;

use super::skip_list::{Entries, Entry, OwnedEntry, SkipList};
use crate::Result;
use crate::catalog::TableDef;
use crate::row::{RowLayout, batch_bytes};

/// Rows of a stretch.
const STRETCH_ROWS: usize = 8192;

/// Rows that came one after another.
struct Stretch {
    entries: Entries,
    columns: OnceLock<RecordBatch>,
}

/// See the module's documentation.
pub(crate) struct KeyedMemtable {
    def: Arc<TableDef>,
    layout: Arc<RowLayout>,
    list: Arc<SkipList>,
    arrivals: RwLock<Arrivals>,
    min_seq: AtomicU64,
    max_seq: AtomicU64,
    column_bytes: AtomicUsize,
}

/// Entries as they came.
struct Arrivals {
    full: Vec<Arc<Stretch>>,
    last: Entries,
}

impl std::fmt::Debug for KeyedMemtable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyedMemtable").field("rows", &self.rows()).finish_non_exhaustive()
    }
}

impl KeyedMemtable {
    pub(crate) fn new(def: Arc<TableDef>) -> Result<Self> {
        let list = Arc::new(SkipList::new());
        Ok(Self {
            layout: def.row_layout()?,
            def,
            arrivals: RwLock::new(Arrivals { full: Vec::new(), last: Entries::none(&list) }),
            list,
            min_seq: AtomicU64::new(u64::MAX),
            max_seq: AtomicU64::new(0),
            column_bytes: AtomicUsize::new(0),
        })
    }

    pub(crate) fn def(&self) -> &Arc<TableDef> {
        &self.def
    }

    pub(crate) fn layout(&self) -> &Arc<RowLayout> {
        &self.layout
    }

    pub(crate) fn list(&self) -> &Arc<SkipList> {
        &self.list
    }

    pub(crate) fn rows(&self) -> u64 {
        self.list.len() as u64
    }

    /// Bytes of the rows, and of the columns that scans made of them.
    pub(crate) fn bytes(&self) -> usize {
        self.list.bytes() + self.column_bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn seq_range(&self) -> (u64, u64) {
        (self.min_seq.load(Ordering::Relaxed), self.max_seq.load(Ordering::Relaxed))
    }

    /// Adds a version; the caller has ended the one before it.
    pub(crate) fn insert(&self, key: &[u8], packed: &[u8], seq: u64) {
        self.min_seq.fetch_min(seq, Ordering::Relaxed);
        self.max_seq.fetch_max(seq, Ordering::Relaxed);
        let entry = self.list.insert(key, packed, seq);
        let mut arrivals = self.arrivals.write();
        arrivals.last.push(entry);
        if arrivals.last.len() == STRETCH_ROWS {
            let entries = std::mem::replace(&mut arrivals.last, Entries::none(&self.list));
            arrivals.full.push(Arc::new(Stretch { entries, columns: OnceLock::new() }));
        }
    }

    /// Versions of `key` at or before `seq`, the newest first.
    pub(crate) fn versions<'a>(
        &'a self,
        key: &'a [u8],
        seq: u64,
    ) -> impl Iterator<Item = Entry<'a>> {
        std::iter::successors(self.list.seek(key, seq), Entry::next)
            .take_while(move |entry| entry.key() == key)
    }

    /// The version of `key` that is visible at `seq`.
    pub(crate) fn visible(&self, key: &[u8], seq: u64) -> Option<OwnedEntry> {
        self.versions(key, seq).find(|v| v.visible_at(seq)).map(|v| self.keep(v))
    }

    /// An entry of this memtable that keeps it.
    pub(crate) fn keep(&self, entry: Entry<'_>) -> OwnedEntry {
        OwnedEntry::new(&self.list, entry)
    }

    /// Number of rows visible at `seq`.
    pub(crate) fn visible_rows(&self, seq: u64) -> u64 {
        self.list.iter().filter(|entry| entry.visible_at(seq)).count() as u64
    }

    /// Rows visible at `seq`.
    pub(crate) fn scan(&self, seq: u64) -> Result<Vec<RecordBatch>> {
        let (full, last) = {
            let arrivals = self.arrivals.read();
            (arrivals.full.clone(), arrivals.last.select(0..arrivals.last.len()))
        };
        let mut batches = Vec::with_capacity(full.len() + 1);
        for stretch in full {
            let columns = match stretch.columns.get() {
                Some(columns) => columns,
                None => {
                    let columns = self.decode(&stretch.entries)?;
                    let bytes = batch_bytes(&columns);
                    stretch.columns.get_or_init(|| {
                        self.column_bytes.fetch_add(bytes, Ordering::Relaxed);
                        columns
                    })
                }
            };
            let visible: Vec<bool> = stretch.entries.iter().map(|e| e.visible_at(seq)).collect();
            if visible.iter().all(|v| *v) {
                batches.push(columns.clone());
            } else if visible.contains(&true) {
                batches.push(filter_record_batch(columns, &BooleanArray::from(visible))?);
            }
        }
        let visible = last.iter().enumerate().filter(|(_, e)| e.visible_at(seq));
        let visible = last.select(visible.map(|(at, _)| at));
        if visible.len() > 0 {
            batches.push(self.decode(&visible)?);
        }
        Ok(batches)
    }

    fn decode(&self, entries: &Entries) -> Result<RecordBatch> {
        let keys: Vec<&[u8]> = entries.iter().map(|e| e.key()).collect();
        let packed: Vec<&[u8]> = entries.iter().map(|e| e.packed()).collect();
        self.layout.decode_all(&keys, &packed)
    }
}
