//! The order of rows inside a segment, and across those that are merged.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::DataType;
use arrow::row::{RowConverter, Rows, SortField};

use crate::Result;
use crate::catalog::TableDef;

/// How rows of a table compare: by its clustering, which never changes. Rows of a table
/// without one are in the order of their ids.
pub(crate) struct SortOrder {
    /// Positions among the live columns, then `_rowid`.
    columns: Vec<usize>,
    converter: RowConverter,
}

impl SortOrder {
    pub(crate) fn of(def: &TableDef) -> Result<Self> {
        let schema = def.arrow_schema();
        let (mut columns, mut fields) = (Vec::new(), Vec::new());
        for (id, order) in def.sort_columns() {
            let Some(column) = def.live_index(id) else { continue };
            columns.push(column);
            fields.push(order.field(schema.field(column).data_type().clone()));
        }
        if columns.is_empty() {
            columns.push(schema.fields().len());
            fields.push(SortField::new(DataType::UInt64));
        }
        Ok(Self { columns, converter: RowConverter::new(fields)? })
    }

    /// Positions of the columns that the order is by, among the live columns and `_rowid`.
    pub(crate) fn columns(&self) -> &[usize] {
        &self.columns
    }

    /// What rows (live columns first, then `_rowid` where they have it) compare by.
    pub(crate) fn keys(&self, rows: &RecordBatch) -> Result<Rows> {
        let columns: Vec<ArrayRef> =
            self.columns.iter().map(|i| Arc::clone(rows.column(*i))).collect();
        self.keys_of(&columns)
    }

    /// The same of [`Self::columns`] alone.
    pub(crate) fn keys_of(&self, columns: &[ArrayRef]) -> Result<Rows> {
        Ok(self.converter.convert_columns(columns)?)
    }
}

/// The permutation that sorts `rows` (live columns of `def` first) by the table's
/// clustering; `None` when they are in order already, or there is no clustering.
/// Rows that compare equal keep their order.
pub(crate) fn order(def: &TableDef, rows: &RecordBatch) -> Result<Option<UInt32Array>> {
    if !def.is_clustered() {
        return Ok(None);
    }
    Ok(permutation(&SortOrder::of(def)?.keys(rows)?))
}

/// The permutation that sorts `keys`; `None` when they are in order already.
pub(crate) fn permutation(keys: &Rows) -> Option<UInt32Array> {
    let count = keys.num_rows();
    if (1..count).all(|i| keys.row(i - 1) <= keys.row(i)) {
        return None;
    }
    let mut order: Vec<u32> = (0..count as u32).collect();
    order.sort_by(|a, b| keys.row(*a as usize).cmp(&keys.row(*b as usize)));
    Some(UInt32Array::from(order))
}

/// Applies a permutation.
pub(crate) fn reorder(rows: &RecordBatch, order: &UInt32Array) -> Result<RecordBatch> {
    Ok(take_record_batch(rows, order)?)
}
