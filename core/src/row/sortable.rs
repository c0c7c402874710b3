//! Whole rows in `arrow-row` form: small batches of append tables in the log, and rows
//! in logs of older versions.

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, SchemaRef};
use arrow::row::{RowConverter, SortField};

use super::RowBytes;
use crate::{Error, Result};

/// Encodes and decodes whole rows of one schema.
#[derive(Debug)]
pub struct RowCodec {
    converter: RowConverter,
    schema: SchemaRef,
}

impl RowCodec {
    /// For rows of `schema`.
    pub fn new(schema: SchemaRef) -> Result<Self> {
        let fields =
            schema.fields().iter().map(|f| SortField::new(f.data_type().clone())).collect();
        Ok(Self { converter: RowConverter::new(fields)?, schema })
    }

    /// Encodes every row of `rows`.
    pub fn encode(&self, rows: &RecordBatch) -> Result<RowBytes> {
        RowBytes::from_rows(&self.converter.convert_columns(rows.columns())?)
    }

    /// Decodes rows, in the order given.
    pub fn decode<'a>(&self, rows: impl IntoIterator<Item = &'a [u8]>) -> Result<RecordBatch> {
        let parser = self.converter.parser();
        let mut count = 0;
        let parsed = rows.into_iter().inspect(|_| count += 1).map(|bytes| parser.parse(bytes));
        let columns = self.converter.convert_rows(parsed)?;
        let columns = columns
            .into_iter()
            .zip(self.schema.fields())
            .map(|(column, field)| restore(column, field.data_type()))
            .collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(count));
        Ok(RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)?)
    }
}

/// The row format gives dictionaries back as their values.
fn restore(column: ArrayRef, data_type: &DataType) -> Result<ArrayRef> {
    if column.data_type() == data_type {
        return Ok(column);
    }
    Ok(arrow::compute::cast(&column, data_type)?)
}

/// Fails when a column cannot be encoded row by row.
pub fn check_schema(schema: &SchemaRef) -> Result<()> {
    for field in schema.fields() {
        if !RowConverter::supports_fields(&[SortField::new(field.data_type().clone())]) {
            return Err(Error::Invalid(format!(
                "column '{}' of type {} cannot be in a table with a primary key",
                field.name(),
                field.data_type()
            )));
        }
    }
    Ok(())
}
