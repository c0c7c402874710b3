//! The winners of many groups at once, for values of any type.
//!
//! A batch first decides by times alone, then the few rows that won are copied out
//! of it into a *chunk*; a group remembers the chunk and row of its value. When
//! most copied rows have lost again, the chunks are rewritten.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BooleanArray, Int64Array, UInt32Array, new_empty_array, new_null_array,
};
use arrow::buffer::NullBuffer;
use arrow::compute::{interleave, take};
use arrow::datatypes::DataType;
use datafusion::common::internal_err;
use datafusion::error::Result;
use datafusion::logical_expr::{EmitTo, GroupsAccumulator};

use super::{End, times};

/// Rewrite the chunks when they hold so many times more rows than there are groups.
const SLACK: usize = 4;
/// Rows below which chunks are never rewritten.
const MIN_ROWS: usize = 8_192;

#[derive(Clone, Copy, Debug)]
struct Best {
    time: i64,
    chunk: u32,
    row: u32,
}

/// A chunk number that says: no row yet.
const NOTHING: u32 = u32::MAX;

/// One winner per group.
pub(super) struct GroupsWinner {
    end: End,
    value: DataType,
    groups: Vec<Best>,
    chunks: Vec<ArrayRef>,
    chunk_rows: usize,
    chunk_bytes: usize,
}

impl GroupsWinner {
    pub(super) fn new(end: End, value: DataType) -> Self {
        Self { end, value, groups: Vec::new(), chunks: Vec::new(), chunk_rows: 0, chunk_bytes: 0 }
    }

    fn update(
        &mut self,
        values: &ArrayRef,
        times: &Int64Array,
        group_indices: &[usize],
        filter: Option<&BooleanArray>,
        total_groups: usize,
    ) -> Result<()> {
        self.groups.resize(total_groups, Best { time: 0, chunk: NOTHING, row: 0 });
        let this = self.chunks.len() as u32;
        // Groups that this batch changes; their `row` is the batch's until the end.
        let mut changed = Vec::new();
        let mut offer = |row: usize| {
            let group = group_indices[row];
            let (best, time) = (&mut self.groups[group], times.value(row));
            if best.chunk == NOTHING || self.end.beats(time, best.time) {
                if best.chunk != this {
                    changed.push(group);
                }
                *best = Best { time, chunk: this, row: row as u32 };
            }
        };
        let passing = match filter {
            Some(filter) => {
                let mask = filter
                    .nulls()
                    .map_or_else(|| filter.values().clone(), |n| n.inner() & filter.values());
                NullBuffer::union(times.nulls(), Some(&NullBuffer::new(mask)))
            }
            None => times.nulls().cloned(),
        };
        match passing.filter(|n| n.null_count() > 0) {
            None => (0..times.len()).for_each(&mut offer),
            Some(passing) => passing.valid_indices().for_each(&mut offer),
        }
        if changed.is_empty() {
            return Ok(());
        }
        let rows: UInt32Array = changed.iter().map(|&group| Some(self.groups[group].row)).collect();
        for (row, &group) in changed.iter().enumerate() {
            self.groups[group].row = row as u32;
        }
        self.push_chunk(take(values, &rows, None)?);
        if self.chunk_rows > MIN_ROWS.max(SLACK * self.groups.len()) {
            let values = self.values_of(0..self.groups.len())?;
            self.restart(values);
        }
        Ok(())
    }

    fn push_chunk(&mut self, chunk: ArrayRef) {
        self.chunk_rows += chunk.len();
        self.chunk_bytes += chunk.get_array_memory_size();
        self.chunks.push(chunk);
    }

    /// Lets `values`, one per group, be the only chunk.
    fn restart(&mut self, values: ArrayRef) {
        self.chunks.clear();
        (self.chunk_rows, self.chunk_bytes) = (0, 0);
        for (row, best) in
            self.groups.iter_mut().enumerate().filter(|(_, best)| best.chunk != NOTHING)
        {
            (best.chunk, best.row) = (0, row as u32);
        }
        if !values.is_empty() {
            self.push_chunk(values);
        }
    }

    /// The values of a range of groups.
    fn values_of(&self, groups: std::ops::Range<usize>) -> Result<ArrayRef> {
        if groups.is_empty() {
            return Ok(new_empty_array(&self.value));
        }
        let null = new_null_array(&self.value, 1);
        let chunks: Vec<&dyn Array> =
            self.chunks.iter().map(|c| c.as_ref()).chain([null.as_ref()]).collect();
        let rows: Vec<(usize, usize)> = self.groups[groups]
            .iter()
            .map(|best| match best.chunk {
                NOTHING => (self.chunks.len(), 0),
                chunk => (chunk as usize, best.row as usize),
            })
            .collect();
        Ok(interleave(&chunks, &rows)?)
    }

    /// Values and times of the groups to be emitted, which are forgotten.
    fn emit(&mut self, emit_to: EmitTo) -> Result<(ArrayRef, Int64Array)> {
        let n = match emit_to {
            EmitTo::All => self.groups.len(),
            EmitTo::First(n) => n,
        };
        let values = self.values_of(0..n)?;
        let kept = self.values_of(n..self.groups.len())?;
        let times = emit_to
            .take_needed(&mut self.groups)
            .into_iter()
            .map(|best| (best.chunk != NOTHING).then_some(best.time))
            .collect();
        self.restart(kept);
        Ok((values, times))
    }
}

impl GroupsAccumulator for GroupsWinner {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        let [values, column] = values else {
            return internal_err!("first and last take a value and a time");
        };
        self.update(values, &times(column)?, group_indices, opt_filter, total_num_groups)
    }

    fn merge_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        total_num_groups: usize,
    ) -> Result<()> {
        self.update_batch(values, group_indices, None, total_num_groups)
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        Ok(self.emit(emit_to)?.0)
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let (values, times) = self.emit(emit_to)?;
        Ok(vec![values, Arc::new(times)])
    }

    /// Each row is a group of its own; a row that the filter drops has no time.
    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        opt_filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        let [values, column] = values else {
            return internal_err!("first and last take a value and a time");
        };
        let times = times(column)?;
        let times = match opt_filter {
            None => times,
            Some(filter) => {
                times.iter().zip(filter).map(|(t, pass)| t.filter(|_| pass == Some(true))).collect()
            }
        };
        Ok(vec![Arc::clone(values), Arc::new(times)])
    }

    fn size(&self) -> usize {
        self.groups.capacity() * size_of::<Best>() + self.chunk_bytes
    }
}
