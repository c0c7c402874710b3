//! Where inserted rows gather: few of them become one commit through the log, many
//! stream into segments beside it, and appear in one commit too.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use sheaf_core::catalog::TableDef;
use sheaf_core::{BulkLoad, OnConflict, Write};

use crate::error::Result;
use crate::session::{Context, blocking};

/// Rows that still go through the log.
const LOGGED_ROWS_MAX: usize = 100_000;
/// Bytes that still go through the log.
const LOGGED_BYTES_MAX: usize = 64 << 20;

/// New rows of one table on their way into it.
pub(super) struct Sink<'a> {
    context: &'a Context,
    table: Arc<TableDef>,
    waiting: Vec<RecordBatch>,
    waiting_bytes: usize,
    rows: u64,
    load: Option<BulkLoad>,
}

impl<'a> Sink<'a> {
    pub fn new(context: &'a Context, table: Arc<TableDef>) -> Self {
        Self { context, table, waiting: Vec::new(), waiting_bytes: 0, rows: 0, load: None }
    }

    /// Adds rows with the table's schema.
    pub fn push(&mut self, rows: RecordBatch) -> Result<()> {
        self.rows += rows.num_rows() as u64;
        if let Some(load) = &mut self.load {
            return Ok(blocking(|| load.push(rows))?);
        }
        self.waiting_bytes += rows.get_array_memory_size();
        self.waiting.push(rows);
        if self.rows as usize > LOGGED_ROWS_MAX || self.waiting_bytes > LOGGED_BYTES_MAX {
            let waiting = std::mem::take(&mut self.waiting);
            let load = blocking(|| -> sheaf_core::Result<BulkLoad> {
                let mut load = self.context.store.bulk_load(self.table.id)?;
                // The rows have the shape of the definition that the statement saw.
                if load.def().version != self.table.version {
                    return Err(sheaf_core::Error::SchemaChanged {
                        table: self.table.name.clone(),
                    });
                }
                for rows in waiting {
                    load.push(rows)?;
                }
                Ok(load)
            })?;
            self.load = Some(load);
        }
        Ok(())
    }

    /// Commits all rows; returns how many there were.
    pub fn finish(self) -> Result<u64> {
        if let Some(load) = self.load {
            blocking(|| load.finish())?;
        } else if self.rows > 0 {
            let rows = concat_batches(self.table.arrow_schema(), &self.waiting)?;
            self.context.append(vec![Write::Insert {
                table: self.table,
                rows,
                on_conflict: OnConflict::Fail,
            }])?;
        }
        Ok(self.rows)
    }
}
