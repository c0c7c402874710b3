//! INSERT.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use datafusion::sql::sqlparser::ast::{
    Ident, Insert, ObjectName, OnInsert, Query, SelectItem, TableObject,
};
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
pub(crate) struct Clauses<'a> {
    pub table: &'a ObjectName,
    pub alias: Option<&'a Ident>,
    pub columns: &'a [ObjectName],
    /// `None` for DEFAULT VALUES.
    pub source: Option<&'a Query>,
    pub on: Option<&'a OnInsert>,
    pub returning: Option<&'a [SelectItem]>,
}

/// An INSERT whose names are looked up.
pub(super) struct Insertion<'a> {
    pub table: Arc<TableDef>,
    pub alias: String,
    pub columns: Vec<usize>,
    pub clauses: Clauses<'a>,
}

pub(super) async fn run(context: &Context, insert: &Insert) -> Result<Output> {
    let insertion = insertion(context, insert)?;
    let Insertion { table, alias, columns: _, clauses } = &insertion;
    if clauses.on.is_none() && clauses.returning.is_none() {
        let mut sink = Sink::new(context, Arc::clone(table));
        each_batch(context, &insertion, |rows| sink.push(rows)).await?;
        return Ok(Output::counted("INSERT", sink.finish()?));
    }
    let mut batches = Vec::new();
    each_batch(context, &insertion, |rows| {
        batches.push(rows);
        Ok(())
    })
    .await?;
    let rows = concat_batches(table.arrow_schema(), &batches)?;
    let written = match clauses.on {
        None => insert_all(context, table, rows)?,
        Some(OnInsert::OnConflict(conflict)) => {
            upsert::run(context, table, alias, conflict, rows, clauses.returning.is_some()).await?
        }
        Some(other) => {
            return Err(Error::not_supported(format!("{other}"))
                .hint("use ON CONFLICT (…) DO UPDATE SET …"));
        }
    };
    match clauses.returning {
        Some(items) => returning::run(context, table, alias, items, written.rows).await,
        None => Ok(Output::counted("INSERT", written.count)),
    }
}

/// The query that gives the rows, for EXPLAIN.
pub(super) fn query(context: &Context, insert: &Insert) -> Result<Query> {
    source(&insertion(context, insert)?)
}

impl<'a> Clauses<'a> {
    /// Reads a statement; one with other clauses is an error.
    pub fn of(insert: &'a Insert) -> Result<Self> {
        let Insert {
            insert_token: _,
            optimizer_hints: _,
            or: None,
            ignore: false,
            into: _,
            table: TableObject::TableName(table),
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
        Ok(Self {
            table,
            alias: table_alias.as_ref().map(|alias| &alias.alias),
            columns,
            source: source.as_deref(),
            on: on.as_ref(),
            returning: returning.as_deref(),
        })
    }
}

pub(super) fn insertion<'a>(context: &Context, insert: &'a Insert) -> Result<Insertion<'a>> {
    let clauses = Clauses::of(insert)?;
    let table = context.table(clauses.table)?;
    let alias = clauses.alias.map_or_else(|| table.name.clone(), fold);
    let columns = named_columns(&table, clauses.columns)?;
    Ok(Insertion { table, alias, columns, clauses })
}

/// The source with DEFAULT filled in; of DEFAULT VALUES, one row without columns.
fn source(insertion: &Insertion<'_>) -> Result<Query> {
    let Insertion { table, alias: _, columns, clauses } = insertion;
    match clauses.source {
        Some(query) => {
            let mut query = query.clone();
            fill_defaults(table, columns, &mut query)?;
            quote_numbers(table, columns, &mut query);
            Ok(query)
        }
        None => Ok(select(vec![], vec![], None)),
    }
}

/// Hands over the rows of the source as rows of the table.
async fn each_batch(
    context: &Context,
    insertion: &Insertion<'_>,
    mut take: impl FnMut(RecordBatch) -> Result<()>,
) -> Result<()> {
    let Insertion { table, alias: _, columns, clauses } = insertion;
    if clauses.source.is_none() {
        let one_row = RecordBatch::try_new_with_options(
            Arc::new(arrow::datatypes::Schema::empty()),
            vec![],
            &arrow::array::RecordBatchOptions::new().with_row_count(Some(1)),
        )?;
        let defaults = vec![None; table.live_columns().count()];
        return take(rows::shape(context, table, &one_row, &defaults)?);
    }
    let plan = context.plan_query(source(insertion)?).await?;
    let named = !clauses.columns.is_empty();
    let places = places(table, columns, named, plan.schema().fields().len())?;
    let mut batches = context.stream(&plan).await?;
    while let Some(batch) = batches.next().await {
        take(rows::shape(context, table, &batch?, &places)?)?;
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
