//! Compaction: small or much-deleted segments of a bucket become one.
//!
//! Sequence numbers stay with their rows (I1). There are no tombstones to drop
//! (I2): a delete marks the row it ends when it commits, wherever the row is.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, UInt32Array, UInt64Array};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Schema, UInt64Type};
use sheaf_formats::segment::collect;

use crate::Result;
use crate::commit::CompactionCommit;
use crate::partition::Bucket;
use crate::segment::{
    ROWID_COLUMN, Rowids, SEQ_COLUMN, SegmentHandle, SegmentInput, Seqs, Target, WriteContext,
    adapt, order, reorder, write_segment,
};
use crate::snapshot::Columns;
use crate::state::TableState;

/// Small segments of a bucket that trigger a merge in the background.
const SMALL_SEGMENTS: usize = 4;

/// Bytes of segments, as they are on disk, that one merge takes: it holds them in
/// memory, decoded.
const MERGE_BYTES: u64 = 256 << 20;

/// Segments to merge into one.
pub(crate) type Pick = Vec<Arc<SegmentHandle>>;

/// The next merge of a table, or `None` when there is nothing to gain. Without
/// `thorough`, only what is worth doing unasked.
pub(crate) fn pick(
    table: &TableState,
    horizon: u64,
    segment_rows: usize,
    thorough: bool,
) -> Option<Pick> {
    let mut buckets: BTreeMap<Bucket, Vec<&Arc<SegmentHandle>>> = BTreeMap::new();
    for segment in &table.segments {
        buckets.entry(segment.meta.bucket).or_default().push(segment);
    }
    let least = if thorough { 2 } else { SMALL_SEGMENTS };
    for segments in buckets.values() {
        if let Some(rotten) = segments.iter().find(|s| is_rotten(s, horizon, thorough)) {
            return Some(vec![Arc::clone(rotten)]);
        }
        let mut small: Vec<_> = segments
            .iter()
            .filter(|s| s.meta.rows < segment_rows as u64 / 2)
            .map(|s| Arc::clone(s))
            .collect();
        small.sort_by_key(|s| s.meta.rows);
        let (mut rows, mut bytes) = (0, 0);
        let fitting = small
            .iter()
            .take_while(|s| {
                rows += s.meta.rows;
                // Rows are not compressed, and one file of them holds 4 GiB at most.
                bytes += s.meta.bytes.max(s.meta.row_bytes / 4);
                rows <= segment_rows as u64 && bytes <= MERGE_BYTES
            })
            .count();
        if fitting >= least {
            small.truncate(fitting);
            return Some(small);
        }
    }
    None
}

/// Rows that compaction would rewrite now.
pub(crate) fn debt_rows(table: &TableState, horizon: u64, segment_rows: usize) -> u64 {
    pick(table, horizon, segment_rows, false)
        .map_or(0, |segments| segments.iter().map(|s| s.meta.rows).sum())
}

/// Whether so many rows have ended that the segment is worth rewriting by itself.
fn is_rotten(segment: &SegmentHandle, horizon: u64, thorough: bool) -> bool {
    let ended = segment.deletes.count_at(horizon);
    if thorough { ended > 0 } else { ended * 3 > segment.meta.rows }
}

/// Writes the merged segment.
pub(crate) fn merge(
    context: &WriteContext,
    table: &TableState,
    inputs: Pick,
    horizon: u64,
) -> Result<CompactionCommit> {
    let def = &table.def;
    let target = Target::new(Arc::clone(def), Columns::WithRowId);
    let schema = with_seq(&target);
    let mut batches = Vec::new();
    let mut moved = Vec::with_capacity(inputs.len());
    let mut next = 0;
    for input in &inputs {
        let excluded = input.deletes.at(horizon);
        let mut map = Vec::with_capacity(input.meta.rows as usize);
        for ordinal in 0..input.meta.rows as u32 {
            if excluded.as_ref().is_some_and(|e| e.contains(ordinal)) {
                map.push(u32::MAX);
            } else {
                map.push(next);
                next += 1;
            }
        }
        batches.extend(read_all(input, &target, &schema, &map)?);
        moved.push(map);
    }
    let rows = concat_batches(&schema, &batches)?;
    drop(batches);
    if rows.num_rows() == 0 {
        return Ok(CompactionCommit { table: def.id, inputs, output: None, moved, horizon });
    }
    let rows = match order(def, &rows)? {
        Some(order) => {
            let mut position = vec![0; order.len()];
            for (to, from) in order.values().iter().enumerate() {
                position[*from as usize] = to as u32;
            }
            for at in moved.iter_mut().flatten().filter(|at| **at != u32::MAX) {
                *at = position[*at as usize];
            }
            reorder(&rows, &order)?
        }
        None => rows,
    };
    let visible = def.arrow_schema().fields().len();
    let numbers =
        |column: usize| rows.column(column).as_primitive::<UInt64Type>().values().to_vec();
    let rowids = if def.is_keyed() { Rowids::None } else { Rowids::PerRow(numbers(visible)) };
    let input = SegmentInput {
        bucket: inputs.first().map_or(Bucket::All, |s| s.meta.bucket),
        seqs: Seqs::PerRow(numbers(rows.num_columns() - 1)),
        rows: rows.project(&(0..visible).collect::<Vec<_>>())?,
        rowids,
        level: 1,
    };
    let output = Some(write_segment(context, def, input)?);
    Ok(CompactionCommit { table: def.id, inputs, output, moved, horizon })
}

/// The target's columns, then the sequence number.
fn with_seq(target: &Target) -> Arc<Schema> {
    let mut fields = target.schema.fields().to_vec();
    fields.push(Arc::new(Field::new(SEQ_COLUMN, DataType::UInt64, false)));
    Arc::new(Schema::new(fields))
}

/// The rows of a segment that `map` keeps, with their sequence numbers.
fn read_all(
    segment: &SegmentHandle,
    target: &Target,
    schema: &Arc<Schema>,
    map: &[u32],
) -> Result<Vec<RecordBatch>> {
    let stored = segment.physical_schema();
    let request = sheaf_formats::segment::ScanRequest {
        projection: (0..stored.fields().len()).collect(),
        ordered: true,
        ..Default::default()
    };
    let mut out = Vec::new();
    let mut ordinal = 0;
    for batch in collect(segment.reader()?.scan(request)?)? {
        let count = batch.num_rows();
        let kept: Vec<u32> =
            (0..count as u32).filter(|i| map[ordinal + *i as usize] != u32::MAX).collect();
        let batch = number_rows(segment, batch, ordinal as u64)?;
        let seqs: ArrayRef = match stored.index_of(SEQ_COLUMN) {
            Ok(at) => Arc::clone(batch.column(at)),
            Err(_) => Arc::new(UInt64Array::from(vec![segment.meta.min_seq; count])),
        };
        let mut columns = adapt(target, segment.meta.version, &batch)?.columns().to_vec();
        columns.push(seqs);
        let rows = RecordBatch::try_new(Arc::clone(schema), columns)?;
        out.push(arrow::compute::take_record_batch(&rows, &UInt32Array::from(kept))?);
        ordinal += count;
    }
    Ok(out)
}

/// Adds the `_rowid` column where the file leaves it out because it is consecutive.
fn number_rows(segment: &SegmentHandle, batch: RecordBatch, first: u64) -> Result<RecordBatch> {
    let Some(ids) = segment.meta.rowids.filter(|ids| ids.sequential) else { return Ok(batch) };
    let mut fields = batch.schema().fields().to_vec();
    fields.push(Arc::new(Field::new(ROWID_COLUMN, DataType::UInt64, false)));
    let mut columns = batch.columns().to_vec();
    let from = ids.min + first;
    columns.push(Arc::new(UInt64Array::from_iter_values(from..from + batch.num_rows() as u64)));
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
}
