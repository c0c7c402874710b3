//! JSON: one object per line, or one array of objects.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use super::text_file::Rows;
use crate::Result;

mod value;

pub(super) use value::Values;
use value::{names, object};

/// Batches as objects.
#[derive(Debug)]
pub(super) struct Json {
    /// `"name":` of each column.
    names: Vec<Vec<u8>>,
    array: bool,
}

impl Json {
    pub(super) fn new(schema: &SchemaRef, array: bool) -> Self {
        Self { names: names(schema.fields().iter().map(AsRef::as_ref)), array }
    }
}

impl Rows for Json {
    fn begin(&self) -> Vec<u8> {
        if self.array { b"[".to_vec() } else { Vec::new() }
    }

    fn write(&self, batch: &RecordBatch, is_first: bool, out: &mut Vec<u8>) -> Result<()> {
        let columns = batch.columns().iter().map(Values::new).collect::<Result<Vec<_>>>()?;
        let values = columns.iter().map(Values::put).collect::<Result<Vec<_>>>()?;
        for row in 0..batch.num_rows() {
            if self.array {
                out.extend_from_slice(if is_first && row == 0 { b"\n\t" } else { b",\n\t" });
            }
            object(&self.names, &values, row, out);
            if !self.array {
                out.push(b'\n');
            }
        }
        Ok(())
    }

    fn end(&self) -> Vec<u8> {
        if self.array { b"\n]\n".to_vec() } else { Vec::new() }
    }
}
