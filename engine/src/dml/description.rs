//! What is known of a statement that changes rows before it runs: the types of parameters
//! that it assigns to columns as they are, and the query behind RETURNING.

use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
use datafusion::sql::sqlparser::ast::{
    Expr, OnConflictAction, OnInsert, Query, SelectItem, SetExpr, Statement, Value,
};
use sheaf_core::catalog::TableDef;

use super::insert::insertion;
use super::target::Target;
use super::update::{self, Assignments};
use super::{delete, returning};
use crate::error::Result;
use crate::session::Context;

/// `types` of `$1`, `$2`…, with those that stand alone in VALUES or SET: they have the
/// types of the columns that they are assigned to.
pub(crate) fn assigned_parameters(
    context: &Context,
    statement: &Statement,
    mut types: Vec<Option<DataType>>,
) -> Result<Vec<Option<DataType>>> {
    match statement {
        Statement::Insert(insert) => {
            let insertion = insertion(context, insert)?;
            let columns: Vec<&DataType> =
                insertion.table.live_columns().map(|column| &column.data_type).collect();
            if let Some(SetExpr::Values(values)) = insertion.clauses.source.map(|q| q.body.as_ref())
            {
                for row in &values.rows {
                    for (value, column) in row.iter().zip(&insertion.columns) {
                        note(&mut types, value, columns[*column]);
                    }
                }
            }
            if let Some(OnInsert::OnConflict(conflict)) = insertion.clauses.on
                && let OnConflictAction::DoUpdate(update) = &conflict.action
            {
                let assignments = Assignments::read(&insertion.table, &update.assignments)?;
                note_all(&mut types, &insertion.table, &assignments);
            }
        }
        Statement::Update(update) => {
            let parts = update::parts(context, update)?;
            note_all(&mut types, &parts.target.def, &parts.assignments);
        }
        _ => {}
    }
    Ok(types)
}

fn note_all(types: &mut [Option<DataType>], table: &TableDef, assignments: &Assignments) {
    let columns: Vec<&DataType> = table.live_columns().map(|column| &column.data_type).collect();
    for (column, value) in assignments.each() {
        note(types, value, columns[column]);
    }
}

fn note(types: &mut [Option<DataType>], value: &Expr, data_type: &DataType) {
    let Expr::Value(value) = value else { return };
    let Value::Placeholder(name) = &value.value else { return };
    let number = name.strip_prefix('$').and_then(|number| number.parse::<usize>().ok());
    if let Some(known) = number.and_then(|number| types.get_mut(number.checked_sub(1)?)) {
        known.get_or_insert_with(|| data_type.clone());
    }
}

/// The query behind RETURNING, over no rows.
pub(crate) fn returned(
    context: &Context,
    statement: &Statement,
) -> Result<Option<(Context, Query)>> {
    let query = |table: &TableDef, alias: &str, items: Option<&[SelectItem]>| {
        let none = RecordBatch::new_empty(table.arrow_schema().clone());
        items.map(|items| returning::query(context, table, alias, items, none)).transpose()
    };
    match statement {
        Statement::Insert(insert) => {
            let insertion = insertion(context, insert)?;
            query(&insertion.table, &insertion.alias, insertion.clauses.returning)
        }
        Statement::Update(update) => {
            let parts = update::parts(context, update)?;
            query(&parts.target.def, &parts.target.alias, parts.clauses.returning)
        }
        Statement::Delete(delete) => {
            let clauses = delete::Clauses::of(delete)?;
            let target = Target::of_relation(context, clauses.table)?;
            query(&target.def, &target.alias, clauses.returning)
        }
        _ => Ok(None),
    }
}
