//! DELETE.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{Field, Schema};
use datafusion::sql::sqlparser::ast::{Delete, Expr, FromTable, Query, SelectItem, TableWithJoins};
use sheaf_core::Write;

use super::returning;
use super::rows::{first_of_each, pick, rowids, table_rows};
use super::target::{Target, numbered};
use crate::error::{Error, Result};
use crate::session::{Context, Output};
use crate::sql::select;

pub(super) async fn run(context: &Context, delete: &Delete) -> Result<Output> {
    let clauses = Clauses::of(delete)?;
    let target = Target::of_relation(context, clauses.table)?;
    let (scratch, query) = build(context, &target, &clauses)?;
    let plan = scratch.plan_query(query).await?;
    let mut found = scratch.collect(&plan).await?;
    let table = &target.def;
    let identity_len = target.identity().len();
    if !clauses.using.is_empty() {
        // A row that joins several rows is deleted once.
        found = pick(&found, &first_of_each(&found.columns()[..identity_len])?)?;
    }
    if found.num_rows() > 0 {
        let identity = &found.columns()[..identity_len];
        let write = if table.is_keyed() {
            Write::DeleteKeys { table: Arc::clone(table), keys: keys(&target, identity)? }
        } else {
            Write::DeleteRows { table: Arc::clone(table), rowids: rowids(&identity[0])? }
        };
        context.commit(vec![write])?;
    }
    match clauses.returning {
        Some(items) => {
            let rows = table_rows(table, found.columns()[identity_len..].to_vec())?;
            returning::run(context, table, &target.alias, items, rows).await
        }
        None => Ok(Output::counted("DELETE", found.num_rows() as u64)),
    }
}

/// The query behind the statement, for EXPLAIN.
pub(super) fn query(context: &Context, delete: &Delete) -> Result<(Context, Query)> {
    let clauses = Clauses::of(delete)?;
    build(context, &Target::of_relation(context, clauses.table)?, &clauses)
}

/// The clauses of a DELETE that have a meaning here.
pub(crate) struct Clauses<'a> {
    pub table: &'a TableWithJoins,
    pub using: &'a [TableWithJoins],
    pub selection: Option<&'a Expr>,
    pub returning: Option<&'a [SelectItem]>,
}

impl<'a> Clauses<'a> {
    /// Reads a statement; one with other clauses is an error.
    pub fn of(delete: &'a Delete) -> Result<Self> {
        let Delete {
            delete_token: _,
            optimizer_hints: _,
            tables,
            from: FromTable::WithFromKeyword(from),
            using,
            selection,
            returning,
            output: None,
            order_by,
            limit: None,
        } = delete
        else {
            return Err(
                Error::not_supported("this form of DELETE").hint("write DELETE FROM table WHERE …")
            );
        };
        let [table] = from.as_slice() else {
            return Err(Error::not_supported("DELETE from several tables")
                .hint("use DELETE FROM table USING other WHERE …"));
        };
        if !tables.is_empty() || !order_by.is_empty() {
            return Err(
                Error::not_supported("this form of DELETE").hint("write DELETE FROM table WHERE …")
            );
        }
        Ok(Self {
            table,
            using: using.as_deref().unwrap_or_default(),
            selection: selection.as_ref(),
            returning: returning.as_deref(),
        })
    }
}

/// `SELECT identity [, all columns] FROM target, using WHERE selection`
fn build(context: &Context, target: &Target, clauses: &Clauses<'_>) -> Result<(Context, Query)> {
    let mut expressions = target.identity();
    if clauses.returning.is_some() {
        expressions.extend(target.def.live_columns().map(|column| target.column(&column.name)));
    }
    let mut from = vec![target.relation()];
    from.extend_from_slice(clauses.using);
    Ok((target.scratch(context)?, select(numbered(expressions), from, clauses.selection.cloned())))
}

/// The key's columns under their own names.
fn keys(target: &Target, identity: &[ArrayRef]) -> Result<RecordBatch> {
    let fields: Vec<Field> = target
        .def
        .primary_key
        .iter()
        .filter_map(|id| target.def.column(*id))
        .map(|column| Field::new(&column.name, column.data_type.clone(), false))
        .collect();
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), identity.to_vec())?)
}
