//! Writes files for others to read.
//!
//! ```text
//!   batches -> Gather -> jobs --(several threads)--> bytes, in order -> Target
//!              blocks of rows,   text, compression,                     a temporary file,
//!              row groups        column chunks                          renamed at the end
//! ```
//!
//! A writer that is dropped, or that fails, leaves nothing behind, and a file that was
//! there before stays as it was until the new one is whole.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use super::Format;
use crate::Result;

mod arrow_ipc;
mod bytes;
mod columns;
mod compress;
mod csv;
mod folder;
mod gather;
mod in_order;
mod json;
mod options;
mod parquet;
mod target;
mod text;
mod text_file;

use arrow_ipc::ArrowFile;
use csv::Csv;
pub use folder::NewFolder;
use json::Json;
pub use options::{Codec, ROW_GROUP_ROWS, WriteOptions};
use parquet::ParquetFile;
pub use target::{NewFile, Target};
use text_file::TextFile;

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Rows.
    pub rows: u64,
    /// Length of the file in bytes.
    pub bytes: u64,
}

/// Turns batches into a file.
trait Encoder: Send {
    fn push(&mut self, batch: RecordBatch) -> Result<()>;

    /// Encodes what is left; the file is complete but does not have its name yet.
    fn finish(self: Box<Self>) -> Result<Box<dyn Target>>;
}

/// Writes one file.
pub struct Writer {
    encoder: Box<dyn Encoder>,
    rows: u64,
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").field("rows", &self.rows).finish_non_exhaustive()
    }
}

impl Writer {
    /// Writes rows of `schema` to `target`.
    pub fn new(
        target: Box<dyn Target>,
        schema: &SchemaRef,
        options: &WriteOptions,
    ) -> Result<Self> {
        let format = match options.format {
            Some(format) => format,
            None => Format::of_name(target.name())?,
        };
        let encoder: Box<dyn Encoder> = match format {
            Format::Csv => {
                let csv = Csv::new(schema, target.name(), options)?;
                Box::new(TextFile::new(csv, target, options)?)
            }
            Format::Json => {
                let json = Json::new(schema, options.array);
                Box::new(TextFile::new(json, target, options)?)
            }
            Format::Parquet => Box::new(ParquetFile::new(schema, target, options)?),
            Format::Arrow => Box::new(ArrowFile::new(schema, target, options)?),
        };
        Ok(Self { encoder, rows: 0 })
    }

    /// Adds rows with the writer's schema. May wait for the threads that encode; an
    /// error may be about rows that came earlier.
    pub fn write(&mut self, batch: RecordBatch) -> Result<()> {
        self.rows += batch.num_rows() as u64;
        self.encoder.push(batch)
    }

    /// Writes what is left, makes the file durable and gives it its name.
    pub fn finish(self) -> Result<Written> {
        let bytes = self.encoder.finish()?.commit()?;
        Ok(Written { rows: self.rows, bytes })
    }
}
