//! Flush: a frozen memtable becomes segments.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::UInt64Type;

use crate::Result;
use crate::catalog::TableDef;
use crate::commit::MovedRows;
use crate::compaction::FLUSHED;
use crate::memtable::{KeyedMemtable, Memtable};
use crate::partition::{Bucket, split_indices};
use crate::segment::{
    Rowids, SegmentHandle, SegmentInput, Seqs, Target, WriteContext, adapt, order, reorder,
    write_segment,
};
use crate::snapshot::Columns;

/// Segments that were written, and per segment where its rows came from.
#[derive(Default)]
pub(crate) struct Flushed {
    pub segments: Vec<Arc<SegmentHandle>>,
    pub moved: Vec<MovedRows>,
}

impl Flushed {
    fn add(
        &mut self,
        context: &WriteContext,
        def: &Arc<TableDef>,
        input: SegmentInput,
        moved: MovedRows,
    ) -> Result<()> {
        let meta = write_segment(context, def, input)?;
        self.segments.push(SegmentHandle::open(&context.vfs, def, meta)?);
        self.moved.push(moved);
        Ok(())
    }
}

/// Writes the rows of `memtable` under the definition `def`, which is that of the
/// memtable or newer, adding to `flushed` what is written, also when it fails midway.
/// Versions that ended at or before `horizon` are left out: no snapshot sees them.
pub(crate) fn write_memtable(
    context: &WriteContext,
    def: &Arc<TableDef>,
    memtable: &Memtable,
    horizon: u64,
    segment_rows: usize,
    flushed: &mut Flushed,
) -> Result<()> {
    match memtable {
        Memtable::Keyed(keyed) => write_keyed(context, def, keyed, horizon, segment_rows, flushed),
        Memtable::Append(append) => {
            let ended: std::collections::HashSet<u64> = append
                .deletions()
                .into_iter()
                .filter(|(_, seq)| *seq <= horizon)
                .map(|(rowid, _)| rowid)
                .collect();
            let target = Target::new(Arc::clone(def), Columns::WithRowId);
            let mut buckets: BTreeMap<Bucket, (Vec<RecordBatch>, Vec<u64>)> = BTreeMap::new();
            for chunk in append.drain_for_flush()? {
                let rows = adapt(&target, append.def().version, &chunk.rows)?;
                let ids = rows.column(rows.num_columns() - 1).as_primitive::<UInt64Type>();
                let kept: Vec<u32> = (0..ids.len() as u32)
                    .filter(|i| !ended.contains(&ids.value(*i as usize)))
                    .collect();
                let (batches, seqs) = buckets.entry(chunk.bucket).or_default();
                seqs.extend(kept.iter().map(|i| chunk.seqs[*i as usize]));
                batches.push(if kept.len() == rows.num_rows() {
                    rows
                } else {
                    take_record_batch(&rows, &UInt32Array::from(kept))?
                });
            }
            for (bucket, (batches, seqs)) in buckets {
                let rows = concat_batches(&target.schema, &batches)?;
                drop(batches);
                write_append(context, def, bucket, &rows, &seqs, segment_rows, flushed)?;
            }
            Ok(())
        }
    }
}

/// Writes rows of one bucket of an append table: table columns, then `_rowid`.
fn write_append(
    context: &WriteContext,
    def: &Arc<TableDef>,
    bucket: Bucket,
    rows: &RecordBatch,
    seqs: &[u64],
    segment_rows: usize,
    flushed: &mut Flushed,
) -> Result<()> {
    let (rows, seqs) = match order(def, rows)? {
        Some(order) => {
            let seqs = order.values().iter().map(|i| seqs[*i as usize]).collect();
            (reorder(rows, &order)?, seqs)
        }
        None => (rows.clone(), seqs.to_vec()),
    };
    let columns: Vec<usize> = (0..rows.num_columns() - 1).collect();
    for start in (0..rows.num_rows()).step_by(segment_rows) {
        let len = segment_rows.min(rows.num_rows() - start);
        let part = rows.slice(start, len);
        let rowids = part.column(columns.len()).as_primitive::<UInt64Type>().values().to_vec();
        let input = SegmentInput {
            bucket,
            rows: part.project(&columns)?,
            seqs: Seqs::PerRow(seqs[start..start + len].to_vec()),
            rowids: Rowids::PerRow(rowids.clone()),
            level: FLUSHED,
        };
        flushed.add(context, def, input, MovedRows::Append(rowids))?;
    }
    Ok(())
}

fn write_keyed(
    context: &WriteContext,
    def: &Arc<TableDef>,
    memtable: &KeyedMemtable,
    horizon: u64,
    segment_rows: usize,
    flushed: &mut Flushed,
) -> Result<()> {
    let kept = memtable.sorted(|version| version.ended() > horizon);
    let target = Target::new(Arc::clone(def), Columns::Visible);
    // One stretch of keys at a time bounds the memory that decoding takes.
    for start in (0..kept.len()).step_by(segment_rows) {
        let stretch = kept.select(start..kept.len().min(start + segment_rows));
        let keys: Vec<&[u8]> = stretch.iter().map(|v| v.key()).collect();
        let packed: Vec<&[u8]> = stretch.iter().map(|v| v.packed()).collect();
        let rows = memtable.layout().decode_all(&keys, &packed)?;
        let rows = adapt(&target, memtable.def().version, &rows)?;
        for (bucket, indices) in split_indices(def, &rows) {
            let (rows, versions) = match indices {
                Some(indices) => {
                    let versions = stretch.select(indices.iter().map(|i| *i as usize));
                    (take_record_batch(&rows, &UInt32Array::from(indices))?, versions)
                }
                None => (rows.clone(), stretch.select(0..stretch.len())),
            };
            let (rows, versions) = match order(def, &rows)? {
                Some(order) => {
                    let versions = versions.select(order.values().iter().map(|i| *i as usize));
                    (reorder(&rows, &order)?, versions)
                }
                None => (rows, versions),
            };
            let input = SegmentInput {
                bucket,
                rows,
                seqs: Seqs::PerRow(versions.iter().map(|v| v.seq()).collect()),
                rowids: Rowids::None,
                level: FLUSHED,
            };
            flushed.add(context, def, input, MovedRows::Keyed(versions))?;
        }
    }
    Ok(())
}
