//! INSERT … ON CONFLICT: what happens to rows whose key is already there.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::{filter_record_batch, not};
use datafusion::catalog::TableProvider;
use datafusion::datasource::MemTable;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, ConflictTarget, DoUpdate, Expr, OnConflict as Clause, OnConflictAction,
};
use sheaf_core::catalog::TableDef;
use sheaf_core::{OnConflict, Write};

use super::rows::{contained, first_of_each, keys_of, pick};
use super::target::numbered;
use super::update::{Assignments, Changed, write_changed};
use crate::catalog::SCRATCH;
use crate::error::{Error, ErrorKind, Result};
use crate::session::Context;
use crate::sql::{column_of, fold, relation, select};

/// The row that was to be inserted.
pub(crate) const EXCLUDED: &str = "excluded";
/// The row that is already there.
const EXISTING: &str = "existing";

/// What was written.
pub(super) struct Written {
    pub count: u64,
    /// The rows as they are now, where RETURNING asks for them.
    pub rows: RecordBatch,
}

pub(super) async fn run(
    context: &Context,
    table: &Arc<TableDef>,
    alias: &str,
    clause: &Clause,
    rows: RecordBatch,
    returning: bool,
) -> Result<Written> {
    let Clause { conflict_target, action } = clause;
    check_target(table, conflict_target.as_ref(), matches!(action, OnConflictAction::DoUpdate(_)))?;
    if rows.num_rows() == 0 {
        return Ok(Written { count: 0, rows });
    }
    let identity = keys_of(table, &rows)?;
    let first = first_of_each(identity.columns())?;
    match action {
        OnConflictAction::DoNothing => {
            let rows = pick(&rows, &first)?;
            do_nothing(context, table, rows, returning)
        }
        OnConflictAction::DoUpdate(update) => {
            if first.len() < rows.num_rows() {
                return Err(Error::new(
                    ErrorKind::UniqueViolation,
                    "ON CONFLICT DO UPDATE cannot change a row twice: two of the rows have the same key",
                )
                .hint("make the rows distinct by key before they are inserted"));
            }
            do_update(context, table, alias, update, rows).await
        }
    }
}

/// Conflicts are found by the primary key, so that is what the clause must name.
pub(crate) fn check_target(
    table: &TableDef,
    target: Option<&ConflictTarget>,
    required: bool,
) -> Result<()> {
    if !table.is_keyed() {
        return Err(Error::new(
            ErrorKind::InvalidStatement,
            format!("ON CONFLICT needs a primary key, and table '{}' has none", table.name),
        ));
    }
    let named = match target {
        None if required => {
            return Err(Error::new(
                ErrorKind::Syntax,
                "ON CONFLICT DO UPDATE needs the columns of the key, as in ON CONFLICT (id)",
            ));
        }
        None => return Ok(()),
        Some(ConflictTarget::Columns(columns)) => columns,
        Some(ConflictTarget::OnConstraint(_)) => {
            return Err(Error::not_supported("ON CONFLICT ON CONSTRAINT"));
        }
    };
    let mut named: Vec<String> = named.iter().map(fold).collect();
    let mut key: Vec<String> = table
        .primary_key
        .iter()
        .filter_map(|id| table.column(*id))
        .map(|c| c.name.clone())
        .collect();
    let shown = key.join(", ");
    named.sort();
    key.sort();
    if named == key {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::InvalidStatement,
        format!(
            "there is no unique constraint on ({}) of table '{}'",
            named.join(", "),
            table.name
        ),
    )
    .hint(format!("the primary key is ({shown})")))
}

fn insert(table: &Arc<TableDef>, rows: RecordBatch, on_conflict: OnConflict) -> Write {
    Write::Insert { table: Arc::clone(table), rows, on_conflict }
}

fn do_nothing(
    context: &Context,
    table: &Arc<TableDef>,
    rows: RecordBatch,
    returning: bool,
) -> Result<Written> {
    if !returning {
        let commit = context.append(vec![insert(table, rows.clone(), OnConflict::Skip)])?;
        return Ok(Written { count: commit.inserted, rows });
    }
    // RETURNING gives the rows that were inserted, so we must know which.
    let (fresh, _) = split(context, table, &rows)?;
    if fresh.num_rows() > 0 {
        context.commit(vec![insert(table, fresh.clone(), OnConflict::Fail)]).map_err(raced)?;
    }
    Ok(Written { count: fresh.num_rows() as u64, rows: fresh })
}

/// A key that was free at the snapshot and is taken now: the statement runs again.
fn raced(error: Error) -> Error {
    match error.kind {
        ErrorKind::UniqueViolation => Error { kind: ErrorKind::SerializationFailure, ..error },
        _ => error,
    }
}

/// The rows whose key is free, and the rows of the table that have the others' keys.
fn split(
    context: &Context,
    table: &TableDef,
    rows: &RecordBatch,
) -> Result<(RecordBatch, RecordBatch)> {
    let keys = keys_of(table, rows)?;
    let existing = context.catalog.snapshot().table(table.id)?.get(&keys)?;
    let taken = contained(keys.columns(), keys_of(table, &existing)?.columns())?;
    Ok((filter_record_batch(rows, &not(&taken)?)?, existing))
}

async fn do_update(
    context: &Context,
    table: &Arc<TableDef>,
    alias: &str,
    update: &DoUpdate,
    rows: RecordBatch,
) -> Result<Written> {
    let DoUpdate { assignments, selection } = update;
    let assignments = Assignments::read(table, assignments)?;
    if selection.is_none() && assignments.replace_all(table, EXCLUDED) {
        let commit = context.append(vec![insert(table, rows.clone(), OnConflict::Replace)])?;
        return Ok(Written { count: commit.inserted.max(rows.num_rows() as u64), rows });
    }
    let (fresh, existing) = split(context, table, &rows)?;
    let mut changed = Changed::none(table);
    if existing.num_rows() > 0 {
        changed =
            conflicting(context, table, alias, &assignments, selection.as_ref(), rows, existing)
                .await?;
    }
    let after = arrow::compute::concat_batches(table.arrow_schema(), [&fresh, &changed.after])?;
    let mut writes = Vec::new();
    if fresh.num_rows() > 0 {
        writes.push(insert(table, fresh, OnConflict::Fail));
    }
    writes.extend(write_changed(table, &assignments, changed)?);
    if !writes.is_empty() {
        // A new key that is taken is no race: to run again would not help.
        let commit = context.commit(writes);
        if assignments.change_key(table) {
            commit?;
        } else {
            commit.map_err(raced)?;
        }
    }
    Ok(Written { count: after.num_rows() as u64, rows: after })
}

/// Evaluates SET and WHERE for each row that is already there, beside the row that
/// was to be inserted.
async fn conflicting(
    context: &Context,
    table: &Arc<TableDef>,
    alias: &str,
    assignments: &Assignments,
    selection: Option<&Expr>,
    rows: RecordBatch,
    existing: RecordBatch,
) -> Result<Changed> {
    let memory = |rows: RecordBatch| -> Result<Arc<dyn TableProvider>> {
        Ok(Arc::new(MemTable::try_new(rows.schema(), vec![vec![rows]])?))
    };
    let scratch = context.with_scratch([(EXCLUDED, memory(rows)?), (EXISTING, memory(existing)?)]);
    let same_key = table
        .primary_key
        .iter()
        .filter_map(|id| table.column(*id))
        .map(|column| equal(column_of(alias, &column.name), column_of(EXCLUDED, &column.name)))
        .reduce(and);
    let condition = same_key
        .into_iter()
        .chain(selection.map(|s| Expr::Nested(Box::new(s.clone()))))
        .reduce(and);
    let old = table.live_columns().map(|column| column_of(alias, &column.name));
    let projection = numbered(old.chain(assignments.values().cloned()));
    let from = vec![relation(SCRATCH, EXISTING, alias), relation(SCRATCH, EXCLUDED, EXCLUDED)];
    let plan = scratch.plan_query(select(projection, from, condition)).await?;
    let evaluated = scratch.collect(&plan).await?;
    assignments.apply(table, &evaluated)
}

fn equal(left: Expr, right: Expr) -> Expr {
    Expr::BinaryOp { left: Box::new(left), op: BinaryOperator::Eq, right: Box::new(right) }
}

fn and(left: Expr, right: Expr) -> Expr {
    Expr::BinaryOp { left: Box::new(left), op: BinaryOperator::And, right: Box::new(right) }
}
