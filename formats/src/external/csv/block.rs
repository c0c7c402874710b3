//! Parses a block into batches, on any thread.
//!
//! Records are cut a few hundred at a time, and then each column takes its fields:
//! the ends of the fields stay in the cache, and a column's loop knows its type.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions};
use arrow::buffer::Buffer;
use arrow::compute::filter;
use arrow::datatypes::SchemaRef;

use super::chunker::Block;
use super::columns::{self, Column, Nulls, Rows, Slot};
use super::faults::{Fault, Reporter};
use super::records::{Records, Shape, Stop};
use crate::external::Rejects;
use crate::external::ordered::Emit;
use crate::external::parse::DateOrder;
use crate::{Error, Result};

/// Fields that are cut before they are parsed.
const CUT_FIELDS: usize = 16 << 10;

/// Which columns are read, and how.
pub(super) struct Plan {
    pub(super) file: String,
    pub(super) shape: Shape,
    pub(super) nulls: Nulls,
    /// The first record of the file names the columns.
    pub(super) header: bool,
    /// The caller said how many fields there are.
    pub(super) given: bool,
    /// The columns of batches.
    pub(super) schema: SchemaRef,
    /// Field of a record that each of them comes from.
    pub(super) places: Vec<usize>,
    pub(super) orders: Vec<DateOrder>,
    pub(super) batch_rows: usize,
    pub(super) rejects: Option<Arc<Rejects>>,
}

impl Plan {
    /// Gives the rows of a block to `emit`.
    pub(super) fn read(&self, block: Block, emit: Emit<'_>) -> Result<()> {
        let (line, first) = (block.line, block.first);
        let buffer = Buffer::from_vec(block.text);
        let text = buffer.as_slice();
        let mut records = Records::default();
        let mut at = 0;
        if first && self.header {
            at = records.cut(text, 0, 1, &self.shape).0;
        }
        let mut batch = Batch {
            plan: self,
            columns: self.columns()?,
            rows: 0,
            rejected: Vec::new(),
            is_utf8: std::str::from_utf8(text).is_ok(),
            reporter: Reporter {
                file: &self.file,
                fields: self.schema.fields(),
                rejects: self.rejects.as_ref(),
                text,
                line,
                at: 0,
                width: self.shape.width,
            },
        };
        let cut_rows = (CUT_FIELDS / self.shape.width.max(1)).clamp(1, 1024);
        loop {
            records.clear();
            let wanted = cut_rows.min(self.batch_rows - batch.rows);
            let (next, stop) = records.cut(text, at, wanted, &self.shape);
            at = next;
            batch.append(&records)?;
            if let Stop::Defect(start, defect) = stop {
                batch.reporter.defect(start, defect, self.given)?;
            }
            if batch.rows == self.batch_rows || stop == Stop::End {
                if let Some(batch) = batch.finish(&buffer)?
                    && !emit(batch)
                {
                    return Ok(());
                }
                if stop == Stop::End {
                    return Ok(());
                }
            }
        }
    }

    fn columns(&self) -> Result<Vec<Box<dyn Column>>> {
        let fields = self.schema.fields().iter().zip(&self.orders);
        fields
            .map(|(field, order)| {
                columns::column(field, *order).map_err(|what| Error::Malformed {
                    file: self.file.clone(),
                    line: None,
                    column: Some(field.name().clone()),
                    what,
                })
            })
            .collect()
    }
}

/// A batch that is being filled.
struct Batch<'a> {
    plan: &'a Plan,
    columns: Vec<Box<dyn Column>>,
    rows: usize,
    /// Rows of the batch that are left out, in order.
    rejected: Vec<usize>,
    is_utf8: bool,
    reporter: Reporter<'a>,
}

impl Batch<'_> {
    fn append(&mut self, records: &Records) -> Result<()> {
        let plan = self.plan;
        let text = self.reporter.text;
        let rows = Rows {
            text,
            records,
            dialect: &plan.shape.dialect,
            nulls: &plan.nulls,
            is_utf8: self.is_utf8,
        };
        let mut faults: Vec<Fault> = Vec::new();
        for (column, builder) in self.columns.iter_mut().enumerate() {
            let mut slot = Slot {
                column,
                place: plan.places[column],
                nullable: plan.schema.field(column).is_nullable(),
                faults: &mut faults,
            };
            builder.append(&rows, &mut slot)?;
        }
        // The first one in the order of the file tells; a row is rejected once.
        faults.sort_unstable();
        faults.dedup_by_key(|fault| fault.row);
        for fault in &faults {
            let cell = records.cell(text, fault.row, fault.place);
            self.reporter.value(fault, records.start(fault.row), cell)?;
            self.rejected.push(self.rows + fault.row);
        }
        self.rows += records.len();
        Ok(())
    }

    fn finish(&mut self, buffer: &Buffer) -> Result<Option<RecordBatch>> {
        let finished = self.columns.iter_mut().map(|column| column.finish(buffer));
        let mut arrays = finished.collect::<Result<Vec<ArrayRef>>>()?;
        let mut rows = std::mem::take(&mut self.rows);
        if !self.rejected.is_empty() {
            let mut keep = vec![true; rows];
            self.rejected.iter().for_each(|&row| keep[row] = false);
            rows -= self.rejected.len();
            self.rejected.clear();
            let keep = BooleanArray::from(keep);
            arrays = arrays.iter().map(|array| filter(array, &keep)).collect::<Result<_, _>>()?;
        }
        if rows == 0 {
            return Ok(None);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let schema = Arc::clone(&self.plan.schema);
        Ok(Some(RecordBatch::try_new_with_options(schema, arrays, &options)?))
    }
}
