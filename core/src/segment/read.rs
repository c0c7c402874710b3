//! Reading stored rows as the table's definition has them now.
//!
//! Files and memtables hold the columns of the version they were written under. A
//! [`Target`] says what a reader wants; columns that did not exist yet get the
//! value that was frozen when they were added.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions, Scalar, UInt64Array, new_null_array,
};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{DataType, SchemaRef, UInt64Type};
use futures::StreamExt;
use sheaf_formats::predicate::{CompareOp, Predicate};
use sheaf_formats::segment::{BatchStream, ScanRequest};
use sheaf_formats::statistics::{ColumnStatistics, SegmentStatistics, ZONE_ROWS};

use super::{ROWID_COLUMN, SEQ_COLUMN, SegmentHandle};
use crate::Result;
use crate::catalog::TableDef;
use crate::memtable::{Memtable, Rows, with_rowid};
use crate::snapshot::{Columns, PartScan};

/// What a reader wants to see: a definition, with or without hidden columns.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub def: Arc<TableDef>,
    pub schema: SchemaRef,
}

impl Target {
    pub(crate) fn new(def: Arc<TableDef>, columns: Columns) -> Self {
        let schema = match columns {
            Columns::WithRowId if !def.is_keyed() => with_rowid(def.arrow_schema()),
            _ => Arc::clone(def.arrow_schema()),
        };
        Self { def, schema }
    }
}

/// Where a column of the target comes from.
#[derive(Clone, Debug)]
enum Source {
    /// A stored column.
    Stored(usize),
    /// The same value in every row: the column is younger than the file.
    Constant(ArrayRef),
    /// `first + ordinal`; only known when rows are read in order without a filter.
    Ordinal { first: u64 },
}

fn sources_of(
    target: &Target,
    version: u32,
    stored: &SchemaRef,
    first_rowid: Option<u64>,
) -> Vec<Source> {
    let mut sources: Vec<Source> = target
        .def
        .live_columns()
        .map(|column| {
            let at = target.def.columns_at(version).position(|c| c.id == column.id);
            match (at, &column.missing) {
                (Some(at), _) => Source::Stored(at),
                (None, Some(value)) => Source::Constant(Arc::clone(&value.0)),
                (None, None) => Source::Constant(new_null_array(&column.data_type, 1)),
            }
        })
        .collect();
    if target.schema.fields().len() > sources.len() {
        sources.push(match (stored.index_of(ROWID_COLUMN), first_rowid) {
            (Ok(at), _) => Source::Stored(at),
            (Err(_), first) => Source::Ordinal { first: first.unwrap_or(0) },
        });
    }
    sources
}

fn repeat(value: &ArrayRef, rows: usize) -> Result<ArrayRef> {
    if value.is_null(0) {
        return Ok(new_null_array(value.data_type(), rows));
    }
    let indices = arrow::array::UInt32Array::from(vec![0; rows]);
    Ok(arrow::compute::take(value, &indices, None)?)
}

/// Rows of a segment that are visible at `seq`.
pub(crate) fn scan_segment(
    segment: &Arc<SegmentHandle>,
    target: &Target,
    seq: u64,
    scan: PartScan,
) -> Result<BatchStream> {
    let meta = &segment.meta;
    if meta.min_seq > seq {
        return Ok(futures::stream::empty().boxed());
    }
    let stored = segment.physical_schema();
    let sources = sources_of(target, meta.version, &stored, meta.rowids.map(|r| r.min));
    let excluded = segment.deletes.at(seq);
    let rows = piece_of(meta.rows, scan.piece);
    let hidden = visibility(segment, seq)?;

    let wants_ordinals =
        scan.projection.iter().any(|i| matches!(sources[*i], Source::Ordinal { .. }));
    let can_push = !wants_ordinals
        && scan
            .predicate
            .as_ref()
            .is_none_or(|p| p.columns().iter().all(|i| matches!(sources[*i], Source::Stored(_))));
    // Columns to read: those wanted, and those that a filter above needs.
    let mut wanted = scan.projection.clone();
    if !can_push && let Some(predicate) = &scan.predicate {
        wanted.extend(predicate.columns());
        wanted.sort_unstable();
        wanted.dedup();
    }
    let mut physical: Vec<usize> = Vec::new();
    for i in &wanted {
        if let Source::Stored(at) = sources[*i]
            && !physical.contains(&at)
        {
            physical.push(at);
        }
    }
    let seq_at = match (&hidden, can_push) {
        // Ordinals count rows, so the number filter must run above as well.
        (Some(at), false) if wants_ordinals => {
            physical.push(*at);
            Some(physical.len() - 1)
        }
        _ => None,
    };
    let pushed = {
        let mut all = Vec::new();
        if can_push && let Some(predicate) = scan.predicate.clone() {
            all.push(predicate.map_columns(&|i| match sources[i] {
                Source::Stored(at) => at,
                _ => i,
            }));
        }
        if let (Some(at), None) = (hidden, seq_at) {
            all.push(at_most(at, seq));
        }
        match all.len() {
            0 => None,
            1 => all.pop(),
            _ => Some(Predicate::And(all)),
        }
    };
    let above = if can_push { None } else { scan.predicate };
    let filters_above = above.is_some() || wants_ordinals;
    let request = ScanRequest {
        projection: physical.clone(),
        predicate: pushed,
        excluded: if wants_ordinals { None } else { excluded.clone() },
        rows: Some(rows.clone()).filter(|r| *r != (0..meta.rows)),
        limit: if filters_above { None } else { scan.limit },
        ordered: scan.ordered || wants_ordinals,
    };
    let stream = segment.reader()?.scan(request)?;

    let target = target.clone();
    let projection = scan.projection;
    let out_schema = Arc::new(target.schema.project(&projection)?);
    let mut next_ordinal = rows.start;
    let mut left = scan.limit.unwrap_or(u64::MAX);
    let plain = !filters_above
        && projection
            .iter()
            .zip(&physical)
            .all(|(i, p)| matches!(sources[*i], Source::Stored(at) if at == *p))
        && projection.len() == physical.len();
    let stream = stream.map(move |batch| -> sheaf_formats::Result<RecordBatch> {
        let batch = batch?;
        let count = batch.num_rows();
        let options = RecordBatchOptions::new().with_row_count(Some(count));
        if plain {
            let (_, columns, _) = batch.into_parts();
            return Ok(RecordBatch::try_new_with_options(
                Arc::clone(&out_schema),
                columns,
                &options,
            )?);
        }
        let ordinals = next_ordinal..next_ordinal + count as u64;
        next_ordinal += count as u64;
        let column = |i: usize| -> sheaf_formats::Result<ArrayRef> {
            Ok(match &sources[i] {
                Source::Stored(at) => {
                    let position = physical.iter().position(|p| p == at);
                    Arc::clone(batch.column(position.expect("every stored source is read")))
                }
                Source::Constant(value) => repeat(value, count).map_err(into_formats)?,
                Source::Ordinal { first } => {
                    Arc::new(UInt64Array::from_iter_values(ordinals.clone().map(|o| first + o)))
                }
            })
        };
        let mut keep: Option<arrow::array::BooleanArray> = None;
        let mut narrow = |mask: arrow::array::BooleanArray| -> sheaf_formats::Result<()> {
            keep = Some(match keep.take() {
                Some(before) => arrow::compute::and_kleene(&before, &mask)?,
                None => mask,
            });
            Ok(())
        };
        if wants_ordinals {
            if let Some(excluded) = &excluded {
                narrow(ordinals.clone().map(|o| Some(!excluded.contains(o as u32))).collect())?;
            }
            if let Some(at) = seq_at {
                let seqs = batch.column(at).as_primitive::<UInt64Type>();
                narrow(seqs.values().iter().map(|s| Some(*s <= seq)).collect())?;
            }
        }
        if let Some(predicate) = &above {
            let columns = wanted.iter().map(|i| column(*i)).collect::<Result<Vec<_>, _>>()?;
            let schema = Arc::new(target.schema.project(&wanted)?);
            let rows = RecordBatch::try_new_with_options(schema, columns, &options)?;
            let predicate = predicate
                .clone()
                .map_columns(&|i| wanted.iter().position(|w| *w == i).unwrap_or(i));
            narrow(predicate.evaluate(&rows)?)?;
        }
        let columns = projection.iter().map(|i| column(*i)).collect::<Result<Vec<_>, _>>()?;
        let mut out =
            RecordBatch::try_new_with_options(Arc::clone(&out_schema), columns, &options)?;
        if let Some(keep) = keep {
            out = filter_record_batch(&out, &keep)?;
        }
        if (out.num_rows() as u64) > left {
            out = out.slice(0, left as usize);
        }
        left -= out.num_rows() as u64;
        Ok(out)
    });
    Ok(stream.boxed())
}

fn into_formats(error: crate::Error) -> sheaf_formats::Error {
    match error {
        crate::Error::Formats(e) => e,
        crate::Error::Arrow(e) => e.into(),
        other => sheaf_formats::Error::Invalid(other.to_string()),
    }
}

/// The `_seq` column, when some rows of the segment are newer than `seq`.
fn visibility(segment: &SegmentHandle, seq: u64) -> Result<Option<usize>> {
    if segment.meta.max_seq <= seq || !segment.meta.seq_column {
        return Ok(None);
    }
    segment.physical_index(SEQ_COLUMN).map(Some)
}

fn at_most(column: usize, seq: u64) -> Predicate {
    let value: ArrayRef = Arc::new(UInt64Array::from(vec![seq]));
    Predicate::Compare { column, op: CompareOp::LtEq, value: Scalar::new(value) }
}

/// The rows of piece `i` of `n`; borders at zones where there are enough of them.
/// The unit must not depend on `n`: pieces of pieces are pieces.
fn piece_of(rows: u64, piece: Option<(usize, usize)>) -> std::ops::Range<u64> {
    let Some((i, n)) = piece else { return 0..rows };
    let (i, n) = (i as u64, n.max(1) as u64);
    let unit = if rows >= 8 * ZONE_ROWS as u64 { ZONE_ROWS as u64 } else { 1 };
    let border = |k: u64| if k == n { rows } else { rows / unit * k / n * unit };
    border(i)..border(i + 1)
}

/// Rows of a memtable that are visible at `seq`.
pub(crate) fn scan_memtable(
    memtable: &Memtable,
    target: &Target,
    seq: u64,
    scan: &PartScan,
) -> Result<Vec<RecordBatch>> {
    // Only columns that are wanted are cut down to the rows that are.
    let mut wanted = scan.projection.clone();
    wanted.extend(scan.predicate.iter().flat_map(Predicate::columns));
    wanted.sort_unstable();
    wanted.dedup();
    let position = |i: usize| wanted.partition_point(|w| *w < i);
    let predicate = scan.predicate.clone().map(|p| p.map_columns(&position));
    let projection: Vec<usize> = scan.projection.iter().map(|i| position(*i)).collect();
    let mut out = Vec::new();
    let mut left = scan.limit.unwrap_or(u64::MAX);
    for Rows { batch, visible } in memtable.scan(seq, scan.piece)? {
        let mut rows = adapt(target, memtable.def().version, &batch)?.project(&wanted)?;
        if let Some(visible) = visible {
            rows = filter_record_batch(&rows, &visible)?;
        }
        if let Some(predicate) = &predicate {
            rows = filter_record_batch(&rows, &predicate.evaluate(&rows)?)?;
        }
        rows = rows.project(&projection)?;
        if rows.num_rows() as u64 > left {
            rows = rows.slice(0, left as usize);
        }
        left -= rows.num_rows() as u64;
        if rows.num_rows() > 0 {
            out.push(rows);
        }
        if left == 0 {
            break;
        }
    }
    Ok(out)
}

/// A batch with the columns of `version` (and perhaps `_rowid`) as the target's.
pub(crate) fn adapt(target: &Target, version: u32, batch: &RecordBatch) -> Result<RecordBatch> {
    let count = batch.num_rows();
    let columns = sources_of(target, version, &batch.schema(), None)
        .iter()
        .map(|source| match source {
            Source::Stored(at) => Ok(Arc::clone(batch.column(*at))),
            Source::Constant(value) => repeat(value, count),
            Source::Ordinal { .. } => Err(crate::Error::Invalid(format!(
                "a batch without {ROWID_COLUMN} cannot be numbered"
            ))),
        })
        .collect::<Result<Vec<_>>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(count));
    Ok(RecordBatch::try_new_with_options(Arc::clone(&target.schema), columns, &options)?)
}

/// The columns `projection` of rows of a segment, by ordinal (strictly increasing),
/// visible or not.
pub(crate) fn take(
    segment: &SegmentHandle,
    target: &Target,
    ordinals: &[u64],
    projection: &[usize],
) -> Result<RecordBatch> {
    let stored = segment.physical_schema();
    let all = sources_of(target, segment.meta.version, &stored, segment.meta.rowids.map(|r| r.min));
    let sources: Vec<&Source> = projection.iter().map(|i| &all[*i]).collect();
    let physical: Vec<usize> = sources
        .iter()
        .filter_map(|s| if let Source::Stored(at) = s { Some(*at) } else { None })
        .collect();
    let batch = segment.reader()?.take(ordinals, &physical)?;
    let mut read = batch.columns().iter();
    let columns = sources
        .iter()
        .map(|source| match source {
            Source::Stored(_) => Ok(Arc::clone(read.next().expect("one per stored source"))),
            Source::Constant(value) => repeat(value, ordinals.len()),
            Source::Ordinal { first } => {
                let ids: ArrayRef =
                    Arc::new(UInt64Array::from_iter_values(ordinals.iter().map(|o| first + o)));
                Ok(ids)
            }
        })
        .collect::<Result<Vec<_>>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(ordinals.len()));
    let schema = Arc::new(target.schema.project(projection)?);
    Ok(RecordBatch::try_new_with_options(schema, columns, &options)?)
}

/// Statistics with one entry per column of the target.
pub(crate) fn segment_statistics(
    segment: &SegmentHandle,
    target: &Target,
) -> Result<Arc<SegmentStatistics>> {
    let stored = segment.physical_schema();
    let statistics = segment.reader()?.statistics();
    let columns =
        sources_of(target, segment.meta.version, &stored, segment.meta.rowids.map(|r| r.min))
            .iter()
            .map(|source| match source {
                Source::Stored(at) => statistics.columns[*at].clone(),
                Source::Constant(value) => constant_statistics(value, statistics.rows),
                Source::Ordinal { .. } => ColumnStatistics::default(),
            })
            .collect();
    Ok(Arc::new(SegmentStatistics { rows: statistics.rows, columns }))
}

fn constant_statistics(value: &ArrayRef, rows: u64) -> ColumnStatistics {
    if value.is_null(0) || *value.data_type() == DataType::Null {
        return ColumnStatistics { nulls: rows, exact: true, ..ColumnStatistics::default() };
    }
    ColumnStatistics {
        min: Some(Arc::clone(value)),
        max: Some(Arc::clone(value)),
        exact: true,
        ..ColumnStatistics::default()
    }
}
