//! Answers of queries: read from any engine, compared row by row.
//!
//! ```text
//!   value      a cell, whatever type the engine gave it
//!   ordering   which columns a query orders by, from its text
//!   differ     two answers: the same rows, in an order that the query allows
//! ```

mod differ;
mod ordering;
mod value;

use std::fs::File;
use std::path::Path;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::ipc::reader::FileReader;
use arrow::ipc::writer::FileWriter;

pub use differ::{Verdict, differ};
pub use ordering::Ordering;
pub use value::Value;

use crate::failure::{During, Result};

/// The answer of a query.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// Names of its columns.
    pub names: Vec<String>,
    /// Its rows.
    pub rows: Vec<Vec<Value>>,
}

impl Answer {
    /// The answer in record batches of one schema.
    pub fn new(schema: &SchemaRef, batches: &[RecordBatch]) -> Result<Self> {
        let names = schema.fields().iter().map(|field| field.name().to_lowercase()).collect();
        let mut rows = Vec::new();
        for batch in batches {
            let columns = batch.columns().iter().map(value::values).collect::<Result<Vec<_>>>()?;
            let mut columns: Vec<_> = columns.into_iter().map(Vec::into_iter).collect();
            for _ in 0..batch.num_rows() {
                rows.push(columns.iter_mut().filter_map(Iterator::next).collect());
            }
        }
        Ok(Self { names, rows })
    }

    /// Reads an Arrow IPC file.
    pub fn read(path: &Path) -> Result<Self> {
        let what = || format!("reading {}", path.display());
        let reader =
            FileReader::try_new_buffered(File::open(path).during(what())?, None).during(what())?;
        let schema = reader.schema();
        let batches: Vec<_> = reader.collect::<std::result::Result<_, _>>().during(what())?;
        Self::new(&schema, &batches)
    }
}

/// Writes an Arrow IPC file.
pub fn write(path: &Path, schema: &SchemaRef, batches: &[RecordBatch]) -> Result<()> {
    let mut writer = FileWriter::try_new_buffered(File::create(path)?, schema)?;
    for batch in batches {
        writer.write(batch)?;
    }
    writer.finish()?;
    Ok(())
}
