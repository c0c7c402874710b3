//! One segment on its way into a merge: a window of its rows at a time.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, UInt32Array, UInt64Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::row::Rows;
use roaring::RoaringBitmap;
use sheaf_formats::segment::{ScanRequest, collect};

use crate::Result;
use crate::segment::{
    ROWID_COLUMN, SEQ_COLUMN, SegmentHandle, SortOrder, Target, adapt, permutation, reorder,
};

/// Bytes that a window is meant to hold at most, decoded.
const WINDOW_BYTES: u64 = 16 << 20;

/// Rows of a window.
const WINDOW_ROWS: std::ops::Range<u64> = 16..1 << 16;

/// What rows of a merge look like: the target's columns, then the sequence number.
pub(super) fn with_seq(target: &Target) -> SchemaRef {
    let mut fields = target.schema.fields().to_vec();
    fields.push(Arc::new(Field::new(SEQ_COLUMN, DataType::UInt64, false)));
    Arc::new(Schema::new(fields))
}

/// See the module's documentation.
pub(super) struct Input<'a> {
    pub segment: &'a Arc<SegmentHandle>,
    /// Rows that are left out.
    excluded: Option<Arc<RoaringBitmap>>,
    /// Rows to read at a time.
    window_rows: u64,
    /// The first ordinal that was not read.
    next: u64,
    window: Option<Window>,
}

/// Rows that were read, in order; at least one of them is still to be merged.
pub(super) struct Window {
    pub rows: RecordBatch,
    pub keys: Rows,
    /// Where the rows are in the segment.
    pub ordinals: Vec<u32>,
    /// The first row that is still to be merged.
    pub at: usize,
}

impl<'a> Input<'a> {
    /// The rows of a segment that were not ended at or before `horizon`; a window is not
    /// meant to hold more than `bytes`.
    pub(super) fn new(segment: &'a Arc<SegmentHandle>, horizon: u64, bytes: u64) -> Result<Self> {
        let window_rows = match segment.is_in_order()? {
            true => window_rows(segment, bytes),
            // It is put in order whole.
            false => segment.meta.rows,
        };
        let excluded = segment.deletes.at(horizon);
        Ok(Self { segment, excluded, window_rows, next: 0, window: None })
    }

    /// Rows that will come out.
    pub(super) fn live_rows(&self) -> u64 {
        self.segment.meta.rows - self.excluded.as_ref().map_or(0, |e| e.len())
    }

    pub(super) fn window(&self) -> Option<&Window> {
        self.window.as_ref()
    }

    /// What the next row compares by, or what it cannot come before.
    pub(super) fn head(&self) -> Result<Option<&[u8]>> {
        Ok(match &self.window {
            Some(window) => Some(window.keys.row(window.at).data()),
            None if self.next < self.segment.meta.rows => Some(&self.segment.bounds()?.first),
            None => None,
        })
    }

    /// Takes `count` rows off the window.
    pub(super) fn advance(&mut self, count: usize) {
        if let Some(window) = &mut self.window {
            window.at += count;
            if window.at == window.keys.num_rows() {
                self.window = None;
            }
        }
    }

    /// Reads the next rows, when there are any; returns the bytes that were read.
    pub(super) fn read(
        &mut self,
        target: &Target,
        schema: &SchemaRef,
        order: &SortOrder,
    ) -> Result<u64> {
        let meta = &self.segment.meta;
        let mut bytes = 0;
        while self.window.is_none() && self.next < meta.rows {
            let until = meta.rows.min(self.next + self.window_rows);
            bytes += meta.bytes * (until - self.next) / meta.rows;
            let ordinals: Vec<u32> = (self.next as u32..until as u32)
                .filter(|at| self.excluded.as_ref().is_none_or(|e| !e.contains(*at)))
                .collect();
            if !ordinals.is_empty() {
                let rows = read_rows(self.segment, target, schema, self.next..until, &ordinals)?;
                self.window = Some(Window::new(rows, ordinals, order)?);
            }
            self.next = until;
        }
        Ok(bytes)
    }
}

impl Window {
    fn new(rows: RecordBatch, ordinals: Vec<u32>, order: &SortOrder) -> Result<Self> {
        let keys = order.keys(&rows)?;
        let Some(sorted) = permutation(&keys) else {
            return Ok(Self { rows, keys, ordinals, at: 0 });
        };
        let rows = reorder(&rows, &sorted)?;
        let keys = order.keys(&rows)?;
        let ordinals = sorted.values().iter().map(|i| ordinals[*i as usize]).collect();
        Ok(Self { rows, keys, ordinals, at: 0 })
    }
}

fn window_rows(segment: &SegmentHandle, bytes: u64) -> u64 {
    // Columns are about a quarter of what they decode to.
    let width = (segment.meta.bytes * 4 / segment.meta.rows.max(1)).max(1);
    (WINDOW_BYTES.min(bytes) / width).clamp(WINDOW_ROWS.start, WINDOW_ROWS.end)
}

/// The rows at `ordinals`, all of them in `range`, with their sequence numbers.
fn read_rows(
    segment: &SegmentHandle,
    target: &Target,
    schema: &SchemaRef,
    range: std::ops::Range<u64>,
    ordinals: &[u32],
) -> Result<RecordBatch> {
    let stored = segment.physical_schema();
    let first = range.start;
    let request = ScanRequest {
        projection: (0..stored.fields().len()).collect(),
        rows: Some(range.clone()),
        ordered: true,
        ..ScanRequest::default()
    };
    let batches = collect(segment.reader()?.scan(request)?)?;
    let mut rows = arrow::compute::concat_batches(&stored, &batches)?;
    if ordinals.len() < rows.num_rows() {
        let kept = ordinals.iter().map(|at| at - first as u32);
        rows = take_record_batch(&rows, &UInt32Array::from_iter_values(kept))?;
    }
    let seqs: ArrayRef = match stored.index_of(SEQ_COLUMN) {
        Ok(at) => Arc::clone(rows.column(at)),
        Err(_) => Arc::new(UInt64Array::from(vec![segment.meta.min_seq; ordinals.len()])),
    };
    let rows = number_rows(segment, rows, ordinals)?;
    let mut columns = adapt(target, segment.meta.version, &rows)?.columns().to_vec();
    columns.push(seqs);
    Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
}

/// Adds the `_rowid` column where the file leaves it out because it is consecutive.
fn number_rows(
    segment: &SegmentHandle,
    rows: RecordBatch,
    ordinals: &[u32],
) -> Result<RecordBatch> {
    let Some(ids) = segment.meta.rowids.filter(|ids| ids.sequential) else { return Ok(rows) };
    let mut fields = rows.schema().fields().to_vec();
    fields.push(Arc::new(Field::new(ROWID_COLUMN, DataType::UInt64, false)));
    let mut columns = rows.columns().to_vec();
    let ids = ordinals.iter().map(|at| ids.min + u64::from(*at));
    columns.push(Arc::new(UInt64Array::from_iter_values(ids)));
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
}
