//! INSERT.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use datafusion::sql::sqlparser::ast::{Insert, OnInsert, Query, TableObject};
use futures::StreamExt;
use sheaf_core::catalog::TableDef;
use sheaf_core::{OnConflict, Write};

use super::sink::Sink;
use super::source::{fill_defaults, named_columns, places, quote_numbers};
use super::{returning, rows, upsert};
use crate::error::{Error, Result};
use crate::session::{Context, Output};
use crate::sql::{fold, select};

/// The clauses of an INSERT that have a meaning here.
struct Clauses<'a> {
    table: Arc<TableDef>,
    alias: String,
    named: bool,
    columns: Vec<usize>,
    source: Option<&'a Query>,
    on: Option<&'a OnInsert>,
    returning: Option<&'a [datafusion::sql::sqlparser::ast::SelectItem]>,
}

pub(super) async fn run(context: &Context, insert: &Insert) -> Result<Output> {
    let clauses = clauses(context, insert)?;
    if clauses.on.is_none() && clauses.returning.is_none() {
        let mut sink = Sink::new(context, Arc::clone(&clauses.table));
        each_batch(context, &clauses, |rows| sink.push(rows)).await?;
        return Ok(Output::counted("INSERT", sink.finish()?));
    }
    let mut batches = Vec::new();
    each_batch(context, &clauses, |rows| {
        batches.push(rows);
        Ok(())
    })
    .await?;
    let rows = concat_batches(clauses.table.arrow_schema(), &batches)?;
    let written = match clauses.on {
        None => insert_all(context, &clauses.table, rows)?,
        Some(OnInsert::OnConflict(conflict)) => {
            upsert::run(
                context,
                &clauses.table,
                &clauses.alias,
                conflict,
                rows,
                clauses.returning.is_some(),
            )
            .await?
        }
        Some(other) => {
            return Err(Error::not_supported(format!("{other}"))
                .hint("use ON CONFLICT (…) DO UPDATE SET …"));
        }
    };
    match clauses.returning {
        Some(items) => {
            returning::run(context, &clauses.table, &clauses.alias, items, written.rows).await
        }
        None => Ok(Output::counted("INSERT", written.count)),
    }
}

/// The query that gives the rows, for EXPLAIN.
pub(super) fn query(context: &Context, insert: &Insert) -> Result<Query> {
    let clauses = clauses(context, insert)?;
    source(&clauses)
}

fn clauses<'a>(context: &Context, insert: &'a Insert) -> Result<Clauses<'a>> {
    let Insert {
        insert_token: _,
        optimizer_hints: _,
        or: None,
        ignore: false,
        into: _,
        table: TableObject::TableName(name),
        table_alias,
        columns,
        overwrite: false,
        source,
        assignments,
        partitioned: None,
        after_columns,
        has_table_keyword: false,
        on,
        returning,
        output: None,
        replace_into: false,
        priority: None,
        insert_alias: None,
        settings: None,
        format_clause: None,
        multi_table_insert_type: None,
        multi_table_into_clauses,
        multi_table_when_clauses,
        multi_table_else_clause: None,
    } = insert
    else {
        return Err(Error::not_supported("this form of INSERT")
            .hint("write INSERT INTO table (columns) VALUES … or SELECT …"));
    };
    if !assignments.is_empty()
        || !after_columns.is_empty()
        || !multi_table_into_clauses.is_empty()
        || !multi_table_when_clauses.is_empty()
    {
        return Err(Error::not_supported("this form of INSERT"));
    }
    let table = context.table(name)?;
    let alias = table_alias.as_ref().map_or_else(|| table.name.clone(), |alias| fold(&alias.alias));
    let positions = named_columns(&table, columns)?;
    Ok(Clauses {
        table,
        alias,
        named: !columns.is_empty(),
        columns: positions,
        source: source.as_deref(),
        on: on.as_ref(),
        returning: returning.as_deref(),
    })
}

/// The source with DEFAULT filled in; of DEFAULT VALUES, one row without columns.
fn source(clauses: &Clauses<'_>) -> Result<Query> {
    match clauses.source {
        Some(query) => {
            let mut query = query.clone();
            fill_defaults(&clauses.table, &clauses.columns, &mut query)?;
            quote_numbers(&clauses.table, &clauses.columns, &mut query);
            Ok(query)
        }
        None => Ok(select(vec![], vec![], None)),
    }
}

/// Hands over the rows of the source as rows of the table.
async fn each_batch(
    context: &Context,
    clauses: &Clauses<'_>,
    mut take: impl FnMut(RecordBatch) -> Result<()>,
) -> Result<()> {
    if clauses.source.is_none() {
        let one_row = RecordBatch::try_new_with_options(
            Arc::new(arrow::datatypes::Schema::empty()),
            vec![],
            &arrow::array::RecordBatchOptions::new().with_row_count(Some(1)),
        )?;
        let defaults = vec![None; clauses.table.live_columns().count()];
        return take(rows::shape(context, &clauses.table, &one_row, &defaults)?);
    }
    let plan = context.plan_query(source(clauses)?).await?;
    let places =
        places(&clauses.table, &clauses.columns, clauses.named, plan.schema().fields().len())?;
    let mut batches = context.stream(&plan).await?;
    while let Some(batch) = batches.next().await {
        take(rows::shape(context, &clauses.table, &batch?, &places)?)?;
    }
    Ok(())
}

fn insert_all(
    context: &Context,
    table: &Arc<TableDef>,
    rows: RecordBatch,
) -> Result<upsert::Written> {
    let count = rows.num_rows() as u64;
    if count > 0 {
        context.append(vec![Write::Insert {
            table: Arc::clone(table),
            rows: rows.clone(),
            on_conflict: OnConflict::Fail,
        }])?;
    }
    Ok(upsert::Written { count, rows })
}
