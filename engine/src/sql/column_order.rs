//! The order of a column in a key or a clustering, as SQL writes it.

use sheaf_core::catalog::{ColumnDef, ColumnOrder};

/// What follows the column's name: nothing, or `DESC` and where NULLs go unless that is
/// where PostgreSQL puts them.
pub fn sql_order(column: &ColumnDef, order: ColumnOrder) -> &'static str {
    match (order.descending, order.nulls_first, column.nullable) {
        (false, true, true) => " NULLS FIRST",
        (false, ..) => "",
        (true, false, true) => " DESC NULLS LAST",
        (true, ..) => " DESC",
    }
}
