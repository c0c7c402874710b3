//! Rows without a key: record batches, per time bucket.
//!
//! A commit adds batches; rows have consecutive `_rowid`s. Many tiny batches are
//! merged as they pile up, so that a scan does not pay for one-row commits.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use arrow::array::{ArrayRef, BooleanArray, RecordBatch, UInt64Array};
use arrow::compute::concat_batches;
use arrow::datatypes::{Field, Schema, SchemaRef};
use parking_lot::RwLock;

use super::{LIVE, Rows, WINDOW_ROWS, piece_of_window};
use crate::catalog::TableDef;
use crate::partition::Bucket;
use crate::segment::ROWID_COLUMN;
use crate::{Result, batch_bytes};

/// Batches of fewer rows are merged with their neighbours.
const SMALL_ROWS: usize = 1024;

/// So many small batches at the end of a bucket are merged into one.
const MERGE_AT: usize = 64;

/// Rows that came in one commit, or several merged.
#[derive(Debug)]
struct Chunk {
    rows: RecordBatch,
    /// Row id of each row, ascending.
    rowids: Arc<Vec<u64>>,
    /// Sequence number of each row.
    seqs: Arc<Vec<u64>>,
    /// Rows that were deleted: position and sequence number.
    deleted: RwLock<BTreeMap<u32, u64>>,
}

impl Chunk {
    fn min_seq(&self) -> u64 {
        self.seqs.first().copied().unwrap_or(u64::MAX)
    }

    fn max_seq(&self) -> u64 {
        self.seqs.last().copied().unwrap_or(0)
    }

    /// The rows that a snapshot at `seq` sees; `None` when it sees all.
    fn visible(&self, seq: u64) -> Option<BooleanArray> {
        let deleted = self.deleted.read();
        if self.max_seq() <= seq && deleted.values().all(|at| *at > seq) {
            return None;
        }
        let mut visible: Vec<bool> = self.seqs.iter().map(|s| *s <= seq).collect();
        for (position, at) in deleted.iter() {
            if *at <= seq {
                visible[*position as usize] = false;
            }
        }
        Some(visible.into())
    }

    /// The rows of a piece. They are told by their ids: chunks are merged while scans run,
    /// and rows keep their ids.
    fn piece(&self, piece: Option<(usize, usize)>) -> Vec<Range<usize>> {
        let whole = 0..self.rowids.len();
        let (Some(_), Some(first), Some(last)) = (piece, self.rowids.first(), self.rowids.last())
        else {
            return vec![whole];
        };
        let window = WINDOW_ROWS as u64;
        let of_window = piece_of_window(piece);
        let at = |id: u64| self.rowids.partition_point(|rowid| *rowid < id);
        (first / window..=last / window)
            .map(|i| i * window)
            .map(|start| at(start + of_window.start as u64)..at(start + of_window.end as u64))
            .filter(|range| !range.is_empty())
            .collect()
    }
}

/// A row that was found by its id.
pub(crate) struct AppendRow {
    chunk: Arc<Chunk>,
    position: u32,
}

impl AppendRow {
    /// The sequence number that deleted the row, or [`LIVE`].
    pub(crate) fn ended(&self) -> u64 {
        self.chunk.deleted.read().get(&self.position).copied().unwrap_or(LIVE)
    }

    pub(crate) fn end(&self, seq: u64) {
        self.chunk.deleted.write().entry(self.position).or_insert(seq);
    }
}

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct AppendMemtable {
    def: Arc<TableDef>,
    schema_with_rowid: SchemaRef,
    buckets: RwLock<BTreeMap<Bucket, Vec<Arc<Chunk>>>>,
    rows: AtomicU64,
    bytes: AtomicUsize,
    min_seq: AtomicU64,
    max_seq: AtomicU64,
}

impl AppendMemtable {
    pub(crate) fn new(def: Arc<TableDef>) -> Self {
        let schema_with_rowid = with_rowid(def.arrow_schema());
        Self {
            def,
            schema_with_rowid,
            buckets: RwLock::default(),
            rows: AtomicU64::new(0),
            bytes: AtomicUsize::new(0),
            min_seq: AtomicU64::new(u64::MAX),
            max_seq: AtomicU64::new(0),
        }
    }

    pub(crate) fn def(&self) -> &Arc<TableDef> {
        &self.def
    }

    pub(crate) fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn seq_range(&self) -> (u64, u64) {
        (self.min_seq.load(Ordering::Relaxed), self.max_seq.load(Ordering::Relaxed))
    }

    /// Adds rows of one bucket, numbered from `first_rowid`.
    pub(crate) fn append(
        &self,
        bucket: Bucket,
        rows: RecordBatch,
        first_rowid: u64,
        seq: u64,
    ) -> Result<()> {
        let count = rows.num_rows();
        self.rows.fetch_add(count as u64, Ordering::Relaxed);
        self.bytes.fetch_add(batch_bytes(&rows) + 16 * count, Ordering::Relaxed);
        self.min_seq.fetch_min(seq, Ordering::Relaxed);
        self.max_seq.fetch_max(seq, Ordering::Relaxed);
        let chunk = Chunk {
            rows,
            rowids: Arc::new((first_rowid..first_rowid + count as u64).collect()),
            seqs: Arc::new(vec![seq; count]),
            deleted: RwLock::default(),
        };
        let mut buckets = self.buckets.write();
        let chunks = buckets.entry(bucket).or_default();
        chunks.push(Arc::new(chunk));
        let small = chunks.iter().rev().take_while(|c| c.rows.num_rows() < SMALL_ROWS).count();
        if small >= MERGE_AT {
            let tail = chunks.split_off(chunks.len() - small);
            chunks.push(Arc::new(self.merge(&tail)?));
        }
        Ok(())
    }

    fn merge(&self, chunks: &[Arc<Chunk>]) -> Result<Chunk> {
        let rows = concat_batches(self.def.arrow_schema(), chunks.iter().map(|c| &c.rows))?;
        let mut deleted = BTreeMap::new();
        let mut start = 0;
        for chunk in chunks {
            deleted.extend(chunk.deleted.read().iter().map(|(p, seq)| (p + start, *seq)));
            start += chunk.rows.num_rows() as u32;
        }
        Ok(Chunk {
            rows,
            rowids: Arc::new(chunks.iter().flat_map(|c| c.rowids.iter().copied()).collect()),
            seqs: Arc::new(chunks.iter().flat_map(|c| c.seqs.iter().copied()).collect()),
            deleted: RwLock::new(deleted),
        })
    }

    /// The row with this id, deleted or not.
    pub(crate) fn find(&self, rowid: u64) -> Option<AppendRow> {
        let buckets = self.buckets.read();
        for chunk in buckets.values().flatten() {
            let (Some(first), Some(last)) = (chunk.rowids.first(), chunk.rowids.last()) else {
                continue;
            };
            if !(*first..=*last).contains(&rowid) {
                continue;
            }
            if let Ok(position) = chunk.rowids.binary_search(&rowid) {
                return Some(AppendRow { chunk: Arc::clone(chunk), position: position as u32 });
            }
        }
        None
    }

    /// Number of rows visible at `seq`.
    pub(crate) fn visible_rows(&self, seq: u64) -> u64 {
        let buckets = self.buckets.read();
        let of_chunk = |chunk: &Arc<Chunk>| {
            let written = chunk.seqs.partition_point(|s| *s <= seq) as u64;
            let ended = chunk.deleted.read().values().filter(|at| **at <= seq).count() as u64;
            written - ended
        };
        buckets.values().flatten().map(of_chunk).sum()
    }

    /// A piece of the rows, by their ids, with those visible at `seq`; `_rowid` is the last
    /// column.
    pub(crate) fn scan(&self, seq: u64, piece: Option<(usize, usize)>) -> Result<Vec<Rows>> {
        let chunks: Vec<Arc<Chunk>> =
            self.buckets.read().values().flatten().map(Arc::clone).collect();
        let mut all = Vec::with_capacity(chunks.len());
        for chunk in chunks {
            if chunk.min_seq() > seq {
                continue;
            }
            let visible = chunk.visible(seq);
            for range in chunk.piece(piece) {
                let rowids = chunk.rowids[range.clone()].to_vec();
                let rows = chunk.rows.slice(range.start, range.len());
                let mut columns = rows.columns().to_vec();
                columns.push(Arc::new(UInt64Array::from(rowids)));
                let batch = RecordBatch::try_new(Arc::clone(&self.schema_with_rowid), columns)?;
                let visible = visible.as_ref().map(|all| all.slice(range.start, range.len()));
                all.push(Rows { batch, visible });
            }
        }
        Ok(all)
    }

    /// Everything, per bucket: rows with `_rowid`, the sequence number of each, and
    /// where it was deleted.
    pub(crate) fn drain_for_flush(&self) -> Result<Vec<FlushChunk>> {
        let buckets = self.buckets.read();
        let mut out = Vec::new();
        for (bucket, chunks) in buckets.iter() {
            for chunk in chunks {
                let rowids: ArrayRef = Arc::new(UInt64Array::from(chunk.rowids.as_ref().clone()));
                let mut columns = chunk.rows.columns().to_vec();
                columns.push(rowids);
                out.push(FlushChunk {
                    bucket: *bucket,
                    rows: RecordBatch::try_new(Arc::clone(&self.schema_with_rowid), columns)?,
                    seqs: Arc::clone(&chunk.seqs),
                });
            }
        }
        Ok(out)
    }

    /// Every deletion: row id and sequence number.
    pub(crate) fn deletions(&self) -> Vec<(u64, u64)> {
        let buckets = self.buckets.read();
        let mut out = Vec::new();
        for chunk in buckets.values().flatten() {
            let deleted = chunk.deleted.read();
            out.extend(deleted.iter().map(|(p, seq)| (chunk.rowids[*p as usize], *seq)));
        }
        out
    }
}

/// A chunk on its way into a segment.
pub(crate) struct FlushChunk {
    pub bucket: Bucket,
    /// Columns of the table, then `_rowid`.
    pub rows: RecordBatch,
    pub seqs: Arc<Vec<u64>>,
}

/// `schema` with the hidden `_rowid` after its columns.
pub(crate) fn with_rowid(schema: &SchemaRef) -> SchemaRef {
    let mut fields = schema.fields().to_vec();
    let rowid = Field::new(ROWID_COLUMN, arrow::datatypes::DataType::UInt64, false);
    fields.push(Arc::new(rowid));
    Arc::new(Schema::new(fields))
}
