//! CSV with a header; NULL is an empty field, nested values are their text.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::csv::{Writer, WriterBuilder};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;

use super::ResultSink;
use super::cell::{Cells, TIMESTAMP, TIMESTAMP_TZ};

/// Writes one result as CSV.
pub struct CsvSink<'a> {
    schema: SchemaRef,
    writer: Writer<&'a mut dyn Write>,
}

impl<'a> CsvSink<'a> {
    /// Writes the header.
    pub fn new(schema: &SchemaRef, out: &'a mut dyn Write) -> Result<Self, ArrowError> {
        let fields: Vec<Field> = schema
            .fields()
            .iter()
            .map(|f| {
                if f.data_type().is_nested() {
                    Field::new(f.name(), DataType::Utf8, true)
                } else {
                    f.as_ref().clone()
                }
            })
            .collect();
        let schema = Arc::new(Schema::new(fields));
        let mut writer = WriterBuilder::new()
            .with_header(true)
            .with_timestamp_format(TIMESTAMP.into())
            .with_datetime_format(TIMESTAMP.into())
            .with_timestamp_tz_format(TIMESTAMP_TZ.into())
            .build(out);
        // An empty batch makes the writer emit the header even if no row follows.
        writer.write(&RecordBatch::new_empty(schema.clone()))?;
        Ok(Self { schema, writer })
    }
}

impl ResultSink for CsvSink<'_> {
    fn push(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        let columns = batch.columns().iter().map(flat).collect::<Result<Vec<_>, _>>()?;
        self.writer.write(&RecordBatch::try_new(self.schema.clone(), columns)?)
    }

    fn finish(self: Box<Self>, _elapsed: Duration) -> Result<(), ArrowError> {
        Ok(self.writer.into_inner().flush()?)
    }
}

/// The column itself, or the text of its lists and structs.
fn flat(column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    if !column.data_type().is_nested() {
        return Ok(column.clone());
    }
    let cells = Cells::new(column)?;
    let texts = (0..column.len()).map(|row| cells.text(row)).collect::<Result<Vec<_>, _>>()?;
    Ok(Arc::new(StringArray::from(texts)))
}
