//! UPDATE.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use datafusion::sql::sqlparser::ast::{
    Assignment, AssignmentTarget, Expr, ObjectName, Query, SelectItem, TableWithJoins, Update,
    UpdateTableFromKind,
};
use sheaf_core::catalog::TableDef;
use sheaf_core::{OnConflict, Write};

use super::assign::assign;
use super::returning;
use super::rows::{first_of_each, keys_of, pick, rowids, table_rows};
use super::source::{default_of, find, is_default};
use super::target::{Target, numbered};
use crate::error::{Error, ErrorKind, Result};
use crate::session::{Context, Output};
use crate::sql::{fold, position_of, select};

/// What SET says: columns by position among the live ones, and their new values.
pub(crate) struct Assignments {
    columns: Vec<usize>,
    values: Vec<Expr>,
}

/// Rows before and after.
pub(super) struct Changed {
    pub before: RecordBatch,
    pub after: RecordBatch,
}

impl Changed {
    /// No rows.
    pub fn none(table: &TableDef) -> Self {
        let empty = RecordBatch::new_empty(Arc::clone(table.arrow_schema()));
        Self { before: empty.clone(), after: empty }
    }
}

impl Assignments {
    pub fn read(table: &TableDef, assignments: &[Assignment]) -> Result<Self> {
        let mut read = Self { columns: Vec::new(), values: Vec::new() };
        for Assignment { target, value } in assignments {
            match target {
                AssignmentTarget::ColumnName(name) => read.push(table, name, value)?,
                AssignmentTarget::Tuple(names) => match value {
                    Expr::Tuple(values) if values.len() == names.len() => {
                        for (name, value) in names.iter().zip(values) {
                            read.push(table, name, value)?;
                        }
                    }
                    other => {
                        return Err(Error::not_supported(format!("SET (…) = {other}"))
                            .at(position_of(other))
                            .hint("set each column by itself, or give as many values as columns"));
                    }
                },
            }
        }
        Ok(read)
    }

    fn push(&mut self, table: &TableDef, name: &ObjectName, value: &Expr) -> Result<()> {
        // PostgreSQL takes no qualifier here; that of the table itself does no harm.
        let column = name.0.last().and_then(|part| part.as_ident()).map(fold).unwrap_or_default();
        let (index, def) = find(table, &column).map_err(|error| error.at(position_of(name)))?;
        if self.columns.contains(&index) {
            return Err(Error::new(ErrorKind::Syntax, format!("column '{column}' is set twice"))
                .at(position_of(name)));
        }
        self.columns.push(index);
        self.values.push(if is_default(value) { default_of(def)? } else { value.clone() });
        Ok(())
    }

    pub fn values(&self) -> impl Iterator<Item = &Expr> {
        self.values.iter()
    }

    /// Columns with their values.
    pub fn each(&self) -> impl Iterator<Item = (usize, &Expr)> {
        self.columns.iter().copied().zip(&self.values)
    }

    /// Whether every column but the key is set to the same column of `source`, and
    /// nothing else: then the row of `source` simply takes the old one's place.
    pub fn replace_all(&self, table: &TableDef, source: &str) -> bool {
        let key = table.key_indices();
        table.live_columns().enumerate().all(|(index, column)| {
            let value = self.columns.iter().position(|c| *c == index).map(|at| &self.values[at]);
            match value {
                None => key.contains(&index),
                Some(Expr::CompoundIdentifier(parts)) => {
                    matches!(parts.as_slice(), [qualifier, name] if fold(qualifier) == source && fold(name) == column.name)
                }
                Some(_) => false,
            }
        })
    }

    /// Whether a column of the key gets a new value.
    pub fn change_key(&self, table: &TableDef) -> bool {
        table.key_indices().iter().any(|index| self.columns.contains(index))
    }

    /// Rows before and after from a batch of the old columns followed by the values.
    pub(super) fn apply(&self, table: &TableDef, evaluated: &RecordBatch) -> Result<Changed> {
        let width = table.live_columns().count();
        let mut after: Vec<ArrayRef> = evaluated.columns()[..width].to_vec();
        let before = table_rows(table, after.clone())?;
        let defs: Vec<_> = table.live_columns().collect();
        for (value, index) in self.columns.iter().enumerate() {
            let column = defs[*index];
            after[*index] =
                assign(evaluated.column(width + value), &column.name, &column.data_type)?;
        }
        Ok(Changed { before, after: table_rows(table, after)? })
    }
}

/// The writes that put changed rows of a keyed table in the place of the old ones.
pub(super) fn write_changed(
    table: &Arc<TableDef>,
    assignments: &Assignments,
    changed: Changed,
) -> Result<Vec<Write>> {
    if changed.after.num_rows() == 0 {
        return Ok(Vec::new());
    }
    let insert = |on_conflict| Write::Insert {
        table: Arc::clone(table),
        rows: changed.after.clone(),
        on_conflict,
    };
    if !assignments.change_key(table) {
        return Ok(vec![insert(OnConflict::Replace)]);
    }
    let keys = keys_of(table, &changed.before)?;
    Ok(vec![Write::DeleteKeys { table: Arc::clone(table), keys }, insert(OnConflict::Fail)])
}

pub(super) async fn run(context: &Context, update: &Update) -> Result<Output> {
    let parts = parts(context, update)?;
    let (scratch, query) = build(context, &parts)?;
    let plan = scratch.plan_query(query).await?;
    let mut evaluated = scratch.collect(&plan).await?;
    let table = &parts.target.def;
    let width = table.live_columns().count();
    let identity_at = width + parts.assignments.columns.len();
    if !parts.clauses.from.is_empty() {
        // A row that joins several rows is changed once, by any one of them.
        let identity: Vec<ArrayRef> = evaluated.columns()[identity_at..].to_vec();
        evaluated = pick(&evaluated, &first_of_each(&identity)?)?;
    }
    let changed = parts.assignments.apply(table, &evaluated)?;
    let (count, after) = (changed.after.num_rows() as u64, changed.after.clone());
    if count > 0 {
        let writes = if table.is_keyed() {
            write_changed(table, &parts.assignments, changed)?
        } else {
            vec![
                Write::DeleteRows {
                    table: Arc::clone(table),
                    rowids: rowids(evaluated.column(identity_at))?,
                },
                Write::Insert {
                    table: Arc::clone(table),
                    rows: changed.after,
                    on_conflict: OnConflict::Fail,
                },
            ]
        };
        context.commit(writes)?;
    }
    match parts.clauses.returning {
        Some(items) => returning::run(context, table, &parts.target.alias, items, after).await,
        None => Ok(Output::counted("UPDATE", count)),
    }
}

/// The query behind the statement, for EXPLAIN.
pub(super) fn query(context: &Context, update: &Update) -> Result<(Context, Query)> {
    build(context, &parts(context, update)?)
}

/// The clauses of an UPDATE that have a meaning here.
pub(crate) struct Clauses<'a> {
    pub table: &'a TableWithJoins,
    pub assignments: &'a [Assignment],
    pub from: &'a [TableWithJoins],
    pub selection: Option<&'a Expr>,
    pub returning: Option<&'a [SelectItem]>,
}

impl<'a> Clauses<'a> {
    /// Reads a statement; one with other clauses is an error.
    pub fn of(update: &'a Update) -> Result<Self> {
        let Update {
            update_token: _,
            optimizer_hints: _,
            table,
            assignments,
            from,
            selection,
            returning,
            output: None,
            or: None,
            order_by,
            limit: None,
        } = update
        else {
            return Err(Error::not_supported("OUTPUT, OR or LIMIT in UPDATE"));
        };
        if !order_by.is_empty() {
            return Err(Error::not_supported("ORDER BY in UPDATE"));
        }
        let from = match from {
            None => &[],
            Some(UpdateTableFromKind::AfterSet(from)) => from.as_slice(),
            Some(UpdateTableFromKind::BeforeSet(_)) => {
                return Err(
                    Error::not_supported("FROM before SET").hint("write UPDATE … SET … FROM …")
                );
            }
        };
        let (selection, returning) = (selection.as_ref(), returning.as_deref());
        Ok(Self { table, assignments, from, selection, returning })
    }
}

/// An UPDATE whose names are looked up.
pub(super) struct Parts<'a> {
    pub target: Target,
    pub assignments: Assignments,
    pub clauses: Clauses<'a>,
}

pub(super) fn parts<'a>(context: &Context, update: &'a Update) -> Result<Parts<'a>> {
    let clauses = Clauses::of(update)?;
    let target = Target::of_relation(context, clauses.table)?;
    let assignments = Assignments::read(&target.def, clauses.assignments)?;
    Ok(Parts { target, assignments, clauses })
}

/// `SELECT old columns, new values, identity FROM target, from WHERE selection`
fn build(context: &Context, parts: &Parts<'_>) -> Result<(Context, Query)> {
    let target = &parts.target;
    let old = target.def.live_columns().map(|column| target.column(&column.name));
    let projection =
        numbered(old.chain(parts.assignments.values().cloned()).chain(target.identity()));
    let mut from = vec![target.relation()];
    from.extend_from_slice(parts.clauses.from);
    Ok((target.scratch(context)?, select(projection, from, parts.clauses.selection.cloned())))
}
