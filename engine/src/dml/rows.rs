//! Rows of a query as rows of a table: columns in place, of the exact types, with
//! defaults for what is not given.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, RecordBatch, UInt32Array, UInt64Array};
use arrow::compute::take;
use arrow::row::{RowConverter, SortField};
use sheaf_core::catalog::{ColumnDef, TableDef};

use super::assign::{assign, nulls};
use crate::error::{Error, ErrorKind, Result};
use crate::session::Context;
use crate::sql::parse_expression;

/// Rows for `table`: for each of its columns, the index in `batch` of the values, or
/// `None` for the default.
pub(crate) fn shape(
    context: &Context,
    table: &TableDef,
    batch: &RecordBatch,
    sources: &[Option<usize>],
) -> Result<RecordBatch> {
    let mut columns = Vec::with_capacity(sources.len());
    for (column, source) in table.live_columns().zip(sources) {
        let values = match source {
            Some(index) => assign(batch.column(*index), &column.name, &column.data_type)?,
            None => default_values(context, column, batch.num_rows())?,
        };
        columns.push(values);
    }
    table_rows(table, columns)
}

/// The default of a column, for so many rows.
fn default_values(context: &Context, column: &ColumnDef, rows: usize) -> Result<ArrayRef> {
    match &column.default_sql {
        Some(text) => assign(
            &context.evaluate(parse_expression(text)?, rows)?,
            &column.name,
            &column.data_type,
        ),
        None => nulls(&column.data_type, rows),
    }
}

/// Rows of `table` from arrays of its columns; checks NOT NULL.
pub(super) fn table_rows(table: &TableDef, columns: Vec<ArrayRef>) -> Result<RecordBatch> {
    for (column, values) in table.live_columns().zip(&columns) {
        if !column.nullable && values.logical_null_count() > 0 {
            return Err(Error::new(
                ErrorKind::NotNullViolation,
                format!("column '{}' of table '{}' must not be NULL", column.name, table.name),
            ));
        }
    }
    Ok(RecordBatch::try_new(Arc::clone(table.arrow_schema()), columns)?)
}

/// The primary key's columns of rows of `table`.
pub(super) fn keys_of(table: &TableDef, rows: &RecordBatch) -> Result<RecordBatch> {
    Ok(rows.project(&table.key_indices())?)
}

/// Only the first of rows with equal values in `identity`.
pub(super) fn first_of_each(identity: &[ArrayRef]) -> Result<UInt32Array> {
    let rows = comparable(identity)?;
    let mut seen = HashSet::with_capacity(rows.num_rows());
    Ok((0..rows.num_rows()).filter(|i| seen.insert(rows.row(*i))).map(|i| i as u32).collect())
}

/// For each row of `left`, whether `right` has a row with equal values.
pub(super) fn contained(left: &[ArrayRef], right: &[ArrayRef]) -> Result<BooleanArray> {
    let converter = converter(left)?;
    let (left, right) = (converter.convert_columns(left)?, converter.convert_columns(right)?);
    let right: HashSet<Vec<u8>> = right.iter().map(|row| row.as_ref().to_vec()).collect();
    Ok(left.iter().map(|row| Some(right.contains(row.as_ref()))).collect())
}

fn converter(columns: &[ArrayRef]) -> Result<RowConverter> {
    let fields = columns.iter().map(|c| SortField::new(c.data_type().clone())).collect();
    Ok(RowConverter::new(fields)?)
}

fn comparable(columns: &[ArrayRef]) -> Result<arrow::row::Rows> {
    Ok(converter(columns)?.convert_columns(columns)?)
}

/// The rows at `indices`.
pub(super) fn pick(rows: &RecordBatch, indices: &UInt32Array) -> Result<RecordBatch> {
    if indices.len() == rows.num_rows() {
        return Ok(rows.clone());
    }
    let columns =
        rows.columns().iter().map(|c| take(c, indices, None)).collect::<Result<Vec<_>, _>>()?;
    Ok(RecordBatch::try_new(rows.schema(), columns)?)
}

/// The hidden row ids, which are never NULL.
pub(super) fn rowids(values: &ArrayRef) -> Result<UInt64Array> {
    use arrow::array::AsArray;
    use arrow::datatypes::UInt64Type;
    values.as_primitive_opt::<UInt64Type>().cloned().ok_or_else(|| {
        Error::new(ErrorKind::Internal, format!("row ids are numbers, not {}", values.data_type()))
    })
}
