//! Rows of several segments, in order, into new segments.

use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::{concat_batches, interleave_record_batch};
use arrow::datatypes::{SchemaRef, UInt64Type};

use super::input::{Input, Window, with_seq};
use super::pick::{Pick, Policy};
use super::runs::{in_order, runs};
use crate::catalog::TableDef;
use crate::commit::MovedPositions;
use crate::partition::Bucket;
use crate::segment::{
    Rowids, SegmentHandle, SegmentInput, SegmentMeta, Seqs, SortOrder, Target, WriteContext,
    write_segment,
};
use crate::snapshot::Columns;
use crate::views::compacted;
use crate::{Result, batch_bytes};

/// Rows that are gathered from several inputs before they are copied.
const GATHERED: usize = 1 << 14;

/// The same in bytes.
const GATHERED_BYTES: usize = 64 << 20;

/// Rows of one input that are worth a batch of their own.
const LONG: usize = 1 << 11;

/// Writes the merged segments, and tells where their rows came from. `pace` is told how many
/// bytes were read; it may wait, and ends the merge with an error.
pub(crate) fn merge(
    context: &WriteContext,
    def: &Arc<TableDef>,
    pick: Pick,
    policy: &Policy,
    pace: &mut dyn FnMut(u64) -> Result<()>,
) -> Result<(Vec<Arc<SegmentHandle>>, MovedPositions)> {
    let target = Target::new(Arc::clone(def), Columns::WithRowId);
    let schema = with_seq(&target);
    let order = SortOrder::of(def)?;
    // The segments of a run are read one after another.
    let beside = runs(&in_order(&pick.inputs)?).len();
    let window_bytes = (policy.memory / 6 / beside.max(1)) as u64;
    let inputs = pick.inputs.iter().map(|s| Input::new(s, policy.horizon, window_bytes));
    let mut inputs = inputs.collect::<Result<Vec<_>>>()?;
    let moved = pick.inputs.iter().map(|s| vec![u32::MAX; s.meta.rows as usize]).collect();
    let live: u64 = inputs.iter().map(Input::live_rows).sum();
    // Between one and two full segments each, where nothing else cuts them.
    let pieces = (live / policy.segment_rows.max(1)).max(1);
    let mut outputs = Outputs {
        context,
        def,
        schema: &schema,
        bucket: pick.inputs.first().map_or(Bucket::All, |s| s.meta.bucket),
        level: pick.level,
        rows_max: live.div_ceil(pieces).max(1) as usize,
        source_of: vec![None; pick.inputs.len()],
        sources: Vec::new(),
        gathered: Vec::new(),
        gathered_bytes: 0,
        batches: Vec::new(),
        rows: 0,
        bytes: 0,
        bytes_max: policy.memory / 3,
        position: 0,
        moved,
        written: Vec::new(),
        starts: Vec::new(),
    };
    let mut cuts = pick.cuts.iter().map(|cut| &**cut).peekable();
    let merged = (|| {
        while let Some((first, second)) = smallest_two(&inputs)? {
            if inputs[first].window().is_none() {
                let bytes = inputs[first].read(&target, &schema, &order)?;
                outputs.source_of[first] = None;
                pace(bytes)?;
                continue;
            }
            let Some(window) = inputs[first].window() else { continue };
            let head = window.keys.row(window.at).data();
            if cuts.peek().is_some_and(|cut| head > *cut) {
                while cuts.next_if(|cut| head > *cut).is_some() {}
                outputs.end_segment()?;
            }
            // Rows up to the next of another input, or the next cut, are taken together.
            let second = match second {
                Some(i) => inputs[i].head()?,
                None => None,
            };
            let limit = [second, cuts.peek().copied()].into_iter().flatten().min();
            let count = match limit {
                Some(limit) => gallop(window.at, window.keys.num_rows(), |row| {
                    window.keys.row(row).data() <= limit
                }),
                None => window.keys.num_rows() - window.at,
            };
            outputs.take(first, window, count)?;
            inputs[first].advance(count);
        }
        outputs.end_segment()
    })();
    let Outputs { written, starts, moved: positions, .. } = outputs;
    let open = |meta: &SegmentMeta| SegmentHandle::open(&context.vfs, def, meta.clone());
    let opened = merged.and_then(|()| written.iter().map(open).collect::<Result<Vec<_>>>());
    let segments = opened.inspect_err(|_| {
        // Outputs are ours to remove (I5).
        for path in written.iter().flat_map(|meta| meta.paths(def.id)) {
            let _ = context.vfs.delete(&path);
        }
    })?;
    Ok((segments, MovedPositions { horizon: policy.horizon, starts, positions }))
}

/// The inputs with the smallest and the second smallest head.
fn smallest_two(inputs: &[Input<'_>]) -> Result<Option<(usize, Option<usize>)>> {
    let mut first: Option<(usize, &[u8])> = None;
    let mut second: Option<(usize, &[u8])> = None;
    for (i, input) in inputs.iter().enumerate() {
        let Some(head) = input.head()? else { continue };
        if first.is_none_or(|(_, least)| head < least) {
            second = first.replace((i, head));
        } else if second.is_none_or(|(_, least)| head < least) {
            second = Some((i, head));
        }
    }
    Ok(first.map(|(i, _)| (i, second.map(|(i, _)| i))))
}

/// How many of the rows from `at` to `end` satisfy `holds`, which the first ones do.
fn gallop(at: usize, end: usize, holds: impl Fn(usize) -> bool) -> usize {
    let mut step = 1;
    let mut low = at;
    while low < end && holds(low) {
        let next = low + step;
        if next >= end || !holds(next) {
            // The answer is after `low` and at or before `next`.
            let (mut low, mut high) = (low + 1, next.min(end));
            while low < high {
                let middle = low + (high - low) / 2;
                if holds(middle) { low = middle + 1 } else { high = middle }
            }
            return low - at;
        }
        low = next;
        step *= 2;
    }
    low - at
}

/// Segments that are being written.
struct Outputs<'a> {
    context: &'a WriteContext,
    def: &'a TableDef,
    schema: &'a SchemaRef,
    bucket: Bucket,
    level: u32,
    rows_max: usize,
    /// Where the window of each input is among the sources.
    source_of: Vec<Option<usize>>,
    /// Windows that gathered rows come from, and those rows: window and place in it.
    sources: Vec<RecordBatch>,
    gathered: Vec<(usize, usize)>,
    /// Of the windows.
    gathered_bytes: usize,
    /// Rows of the current segment, those gathered not included.
    batches: Vec<RecordBatch>,
    /// Rows of the current segment, those gathered included.
    rows: usize,
    bytes: usize,
    /// A segment is cut when its rows take so many bytes in memory.
    bytes_max: usize,
    /// Rows so far.
    position: u32,
    moved: Vec<Vec<u32>>,
    written: Vec<SegmentMeta>,
    /// Position of the first row of each written segment.
    starts: Vec<u32>,
}

impl Outputs<'_> {
    /// Takes the next `count` rows of the window of `input`.
    fn take(&mut self, input: usize, window: &Window, count: usize) -> Result<()> {
        let mut at = window.at;
        let end = at + count;
        while at < end {
            let len = (end - at).min(self.rows_max - self.rows);
            for ordinal in &window.ordinals[at..at + len] {
                self.moved[input][*ordinal as usize] = self.position;
                self.position += 1;
            }
            if len >= LONG {
                self.copy_gathered()?;
                self.push(&window.rows.slice(at, len))?;
            } else {
                let source = *self.source_of[input].get_or_insert_with(|| {
                    self.sources.push(window.rows.clone());
                    self.gathered_bytes += batch_bytes(&window.rows);
                    self.sources.len() - 1
                });
                self.gathered.extend((at..at + len).map(|row| (source, row)));
                if self.gathered.len() >= GATHERED || self.gathered_bytes > GATHERED_BYTES {
                    self.copy_gathered()?;
                }
            }
            self.rows += len;
            at += len;
            if self.bytes > self.bytes_max {
                self.end_segment()?;
                if let Some(written) = self.written.last_mut() {
                    written.full = true;
                }
            } else if self.rows == self.rows_max {
                self.end_segment()?;
            }
        }
        Ok(())
    }

    fn copy_gathered(&mut self) -> Result<()> {
        if !self.gathered.is_empty() {
            let sources: Vec<&RecordBatch> = self.sources.iter().collect();
            let rows = interleave_record_batch(&sources, &self.gathered)?;
            self.push(&rows)?;
        }
        self.gathered.clear();
        self.gathered_bytes = 0;
        self.sources.clear();
        self.source_of.fill(None);
        Ok(())
    }

    fn push(&mut self, rows: &RecordBatch) -> Result<()> {
        let rows = compacted(rows)?;
        self.bytes += batch_bytes(&rows);
        self.batches.push(rows);
        Ok(())
    }

    /// Writes the current segment, if it has rows.
    fn end_segment(&mut self) -> Result<()> {
        self.copy_gathered()?;
        if self.rows == 0 {
            return Ok(());
        }
        let rows = concat_batches(self.schema, &self.batches)?;
        self.batches.clear();
        let visible = self.def.arrow_schema().fields().len();
        let numbers =
            |column: usize| rows.column(column).as_primitive::<UInt64Type>().values().to_vec();
        let keyed = self.def.is_keyed();
        let input = SegmentInput {
            bucket: self.bucket,
            seqs: Seqs::PerRow(numbers(rows.num_columns() - 1)),
            rows: rows.project(&(0..visible).collect::<Vec<_>>())?,
            rowids: if keyed { Rowids::None } else { Rowids::PerRow(numbers(visible)) },
            level: self.level,
        };
        drop(rows);
        self.written.push(write_segment(self.context, self.def, input)?);
        self.starts.push(self.position - self.rows as u32);
        (self.rows, self.bytes) = (0, 0);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gallop_counts_what_holds() {
        for len in 1..70 {
            for holds in 1..=len {
                for at in [0, 5] {
                    assert_eq!(gallop(at, at + len, |i| i < at + holds), holds);
                }
            }
        }
    }
}
