//! RETURNING: a query over the rows that a statement wrote or deleted.

use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::datasource::MemTable;
use datafusion::sql::sqlparser::ast::{Query, SelectItem};
use sheaf_core::catalog::TableDef;

use crate::catalog::SCRATCH;
use crate::error::Result;
use crate::session::{Context, Output};
use crate::sql::{relation, select};

const RETURNED: &str = "returned";

pub(super) async fn run(
    context: &Context,
    table: &TableDef,
    alias: &str,
    items: &[SelectItem],
    rows: RecordBatch,
) -> Result<Output> {
    let (scratch, query) = query(context, table, alias, items, rows)?;
    let plan = scratch.plan_query(query).await?;
    Output::running(scratch.stream(&plan).await?).await
}

/// The query, and the context that has its rows.
pub(super) fn query(
    context: &Context,
    table: &TableDef,
    alias: &str,
    items: &[SelectItem],
    rows: RecordBatch,
) -> Result<(Context, Query)> {
    let memory = MemTable::try_new(Arc::clone(table.arrow_schema()), vec![vec![rows]])?;
    let scratch = context.with_scratch([(RETURNED, Arc::new(memory) as _)]);
    let query = select(items.to_vec(), vec![relation(SCRATCH, RETURNED, alias)], None);
    Ok((scratch, query))
}
