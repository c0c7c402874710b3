//! `INSERT INTO table VALUES …` of a few rows, with ON CONFLICT too: nothing, the whole row
//! replaced, or a change of one row such as a counter's.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::concat;
use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::sql::sqlparser::ast::{self, OnConflictAction, OnInsert, Query, SetExpr};
use sheaf_core::catalog::{Catalog, ColumnDef, TableDef};
use sheaf_core::{OnConflict, RowBuilder, RowUpdate, Store, Value, Write};

use super::changes::{Change, apply, changes};
use super::meaning::{Meaning, table};
use super::operand::{Operand, assigned};
use super::write::commit;
use crate::dml::{
    Assignments, EXCLUDED, InsertClauses, assign, check_target, default_of, is_default,
    named_columns, places,
};
use crate::error::Result;
use crate::session::{Output, Settings};

/// Rows at most: more are as quick in columns.
const ROWS_MAX: usize = 100;

/// Bytes of values at most: more are perhaps for a bulk load.
const BYTES_MAX: usize = 4 << 20;

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Insert {
    table: ast::ObjectName,
    columns: Vec<ast::ObjectName>,
    rows: Vec<Vec<Cell>>,
    on: Option<ast::OnConflict>,
    meaning: Meaning<Plan>,
}

#[derive(Debug)]
enum Cell {
    Given(Operand),
    Default,
}

#[derive(Debug)]
struct Plan {
    table: Arc<TableDef>,
    /// Per live column: which value of a row it gets.
    places: Vec<Option<usize>>,
    /// Per live column: the default, where that is a constant.
    defaults: Vec<Option<Operand>>,
    conflict: Conflict,
}

#[derive(Debug)]
enum Conflict {
    Rows(OnConflict),
    /// The row that is there is changed.
    Change(Vec<Change>),
}

/// What the columns of rows are assigned.
type Scalars<'a> = Vec<Vec<&'a ScalarValue>>;

impl Insert {
    pub fn recognise(insert: &ast::Insert) -> Option<Self> {
        let clauses = InsertClauses::of(insert).ok()?;
        let rows = rows_of(clauses.source?)?;
        let on = match clauses.on {
            None => None,
            Some(OnInsert::OnConflict(on)) => Some(on.clone()),
            Some(_) => return None,
        };
        (clauses.alias.is_none() && clauses.returning.is_none()).then(|| Self {
            table: clauses.table.clone(),
            columns: clauses.columns.to_vec(),
            rows,
            on,
            meaning: Meaning::unknown(),
        })
    }

    pub fn run(
        &self,
        store: &Store,
        settings: &Settings,
        parameters: &[ScalarValue],
    ) -> Result<Option<Output>> {
        let snapshot = store.snapshot()?;
        let catalog = snapshot.catalog();
        let plan = self.meaning.get(catalog, settings, || self.plan(catalog, settings));
        drop(snapshot);
        let Some(plan) = plan else { return Ok(None) };
        let write = self.scalars(&plan, parameters).and_then(|rows| match &plan.conflict {
            Conflict::Change(changes) => update(&plan.table, changes, &rows, parameters),
            Conflict::Rows(on_conflict) if plan.table.is_keyed() => {
                put(&plan.table, &rows, *on_conflict)
            }
            Conflict::Rows(_) => append(&plan.table, &rows),
        });
        let Some(write) = write else { return Ok(None) };
        let Some(commit) = commit(store, settings, write)? else { return Ok(None) };
        let count = match plan.conflict {
            Conflict::Rows(OnConflict::Skip) => commit.inserted,
            Conflict::Rows(_) | Conflict::Change(_) => self.rows.len() as u64,
        };
        Ok(Some(Output::counted("INSERT", count)))
    }

    fn plan(&self, catalog: &Catalog, settings: &Settings) -> Option<Plan> {
        let table = table(catalog, settings, &self.table)?;
        let columns = named_columns(&table, &self.columns).ok()?;
        let width = self.rows.first()?.len();
        if self.rows.iter().any(|row| row.len() != width) {
            return None;
        }
        let places = places(&table, &columns, !self.columns.is_empty(), width).ok()?;
        let constant = |column| default_of(column).ok().and_then(|value| Operand::of(&value));
        let defaults = table.live_columns().map(constant).collect();
        let conflict = match &self.on {
            None => Conflict::Rows(OnConflict::Fail),
            Some(on) => self.conflict(&table, on)?,
        };
        Some(Plan { table, places, defaults, conflict })
    }

    fn conflict(&self, table: &TableDef, on: &ast::OnConflict) -> Option<Conflict> {
        let ast::OnConflict { conflict_target, action } = on;
        let required = matches!(action, OnConflictAction::DoUpdate(_));
        check_target(table, conflict_target.as_ref(), required).ok()?;
        let update = match action {
            OnConflictAction::DoNothing => return Some(Conflict::Rows(OnConflict::Skip)),
            OnConflictAction::DoUpdate(update) if update.selection.is_none() => update,
            OnConflictAction::DoUpdate(_) => return None,
        };
        let assignments = Assignments::read(table, &update.assignments).ok()?;
        if assignments.replace_all(table, EXCLUDED) {
            return Some(Conflict::Rows(OnConflict::Replace));
        }
        if self.rows.len() > 1 || table.name == EXCLUDED {
            return None;
        }
        Some(Conflict::Change(changes(table, &assignments, true)?))
    }

    /// What each column of each row is assigned. `None` where that takes a planner: a
    /// default that is no constant, columns of which the rows give values of several types.
    fn scalars<'a>(&'a self, plan: &'a Plan, parameters: &'a [ScalarValue]) -> Option<Scalars<'a>> {
        let operand = |row: &'a [Cell], column: usize| {
            let given = plan.places[column].map(|place| &row[place]);
            match given {
                Some(Cell::Given(operand)) => Some(operand),
                Some(Cell::Default) | None => plan.defaults[column].as_ref(),
            }
        };
        let columns = 0..plan.places.len();
        let rows = self.rows.iter().map(|row| {
            columns
                .clone()
                .map(|at| operand(row, at)?.scalar(parameters))
                .collect::<Option<Vec<&ScalarValue>>>()
        });
        let rows: Scalars<'a> = rows.collect::<Option<_>>()?;
        let bytes: usize = rows.iter().flatten().map(|value| value.size()).sum();
        let of_one_type = |column: usize| {
            let mut types = rows.iter().filter_map(|row| general_type(row[column]));
            let first = types.next();
            types.all(|data_type| Some(data_type) == first)
        };
        (bytes <= BYTES_MAX && (rows.len() == 1 || columns.clone().all(of_one_type)))
            .then_some(rows)
    }
}

/// The rows of `VALUES`, when that is all of the query.
fn rows_of(query: &Query) -> Option<Vec<Vec<Cell>>> {
    let Query {
        with: None,
        body,
        order_by: None,
        limit_clause: None,
        fetch: None,
        locks: _,
        for_clause: None,
        settings: None,
        format_clause: None,
        pipe_operators: _,
    } = query
    else {
        return None;
    };
    // Locks and pipes were refused when the statement was parsed.
    let SetExpr::Values(values) = body.as_ref() else { return None };
    if values.rows.len() > ROWS_MAX {
        return None;
    }
    let cell = |value: &ast::Expr| match is_default(value) {
        true => Some(Cell::Default),
        false => Operand::of(value).map(Cell::Given),
    };
    values.rows.iter().map(|row| row.content.iter().map(cell).collect()).collect()
}

/// The type of a value, where those that are the same to a column count as one; `None` for
/// NULL without a type.
fn general_type(value: &ScalarValue) -> Option<DataType> {
    match value.data_type() {
        DataType::Null => None,
        t if t.is_signed_integer() => Some(DataType::Int64),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Some(DataType::Utf8View),
        other => Some(other),
    }
}

fn values<'a>(table: &TableDef, row: &[&'a ScalarValue]) -> Option<Vec<Value<'a>>> {
    table.live_columns().zip(row).map(|(column, value)| assigned(column, value)).collect()
}

fn put(table: &Arc<TableDef>, rows: &Scalars<'_>, on_conflict: OnConflict) -> Option<Write> {
    let rows = rows.iter().map(|row| values(table, row)).collect::<Option<Vec<_>>>()?;
    let key = table.key_indices();
    let same_key = |a: &[Value<'_>], b: &[Value<'_>]| key.iter().all(|i| a[*i] == b[*i]);
    let mut pairs = (1..rows.len()).flat_map(|b| (0..b).map(move |a| (a, b)));
    if on_conflict == OnConflict::Replace && pairs.any(|(a, b)| same_key(&rows[a], &rows[b])) {
        return None;
    }
    let mut builder = RowBuilder::new(table).ok()?;
    for row in &rows {
        builder.push(row).ok()?;
    }
    Some(Write::Put { rows: builder, on_conflict })
}

fn update(
    table: &Arc<TableDef>,
    changes: &[Change],
    rows: &Scalars<'_>,
    parameters: &[ScalarValue],
) -> Option<Write> {
    let row = values(table, rows.first()?)?;
    let key: Vec<Value<'_>> = table.key_indices().iter().map(|i| row[*i].clone()).collect();
    let update = RowUpdate::new(table, &key).ok()?.or_insert(&row).ok()?;
    apply(update, table, changes, &row, parameters).map(Write::Update)
}

fn append(table: &Arc<TableDef>, rows: &Scalars<'_>) -> Option<Write> {
    let columns = table.live_columns().enumerate().map(|(at, column)| {
        let cells = rows.iter().map(|row| array(column, row[at]));
        let cells = cells.collect::<Option<Vec<ArrayRef>>>()?;
        match cells.as_slice() {
            [only] => Some(Arc::clone(only)),
            many => concat(&many.iter().map(AsRef::as_ref).collect::<Vec<_>>()).ok(),
        }
    });
    let columns = columns.collect::<Option<Vec<_>>>()?;
    let rows = RecordBatch::try_new(Arc::clone(table.arrow_schema()), columns).ok()?;
    Some(Write::Insert { table: Arc::clone(table), rows, on_conflict: OnConflict::Fail })
}

/// A value as an array of one element.
fn array(column: &ColumnDef, value: &ScalarValue) -> Option<ArrayRef> {
    assign(&value.to_array().ok()?, &column.name, &column.data_type).ok()
}
