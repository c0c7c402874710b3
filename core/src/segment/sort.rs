//! The order of rows inside a segment.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::row::{RowConverter, SortField};

use crate::Result;
use crate::catalog::TableDef;

/// The permutation that sorts `rows` (live columns of `def` first) by the table's
/// clustering; `None` when they are in order already, or there is no clustering.
/// Rows that compare equal keep their order.
pub(crate) fn order(def: &TableDef, rows: &RecordBatch) -> Result<Option<UInt32Array>> {
    let columns: Vec<ArrayRef> = def
        .sort_columns()
        .iter()
        .filter_map(|id| def.live_index(*id))
        .map(|i| Arc::clone(rows.column(i)))
        .collect();
    if columns.is_empty() {
        return Ok(None);
    }
    let fields = columns.iter().map(|c| SortField::new(c.data_type().clone())).collect();
    let keys = RowConverter::new(fields)?.convert_columns(&columns)?;
    let count = rows.num_rows();
    if (1..count).all(|i| keys.row(i - 1) <= keys.row(i)) {
        return Ok(None);
    }
    let mut order: Vec<u32> = (0..count as u32).collect();
    order.sort_by(|a, b| keys.row(*a as usize).cmp(&keys.row(*b as usize)));
    Ok(Some(UInt32Array::from(order)))
}

/// Applies a permutation.
pub(crate) fn reorder(rows: &RecordBatch, order: &UInt32Array) -> Result<RecordBatch> {
    Ok(take_record_batch(rows, order)?)
}
