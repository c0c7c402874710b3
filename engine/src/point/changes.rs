//! What SET says of one row: `column = value`, and `column = column + value` of integers.

use datafusion::common::ScalarValue;
use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr};
use sheaf_core::catalog::{ColumnDef, TableDef};
use sheaf_core::{RowUpdate, Value};

use super::operand::{Operand, assigned, integer};
use crate::dml::{Assignments, EXCLUDED};
use crate::sql::fold;

/// A change of one column.
#[derive(Debug)]
pub(super) struct Change {
    /// By position among the live columns.
    column: usize,
    how: How,
    by: By,
}

#[derive(Clone, Copy, Debug)]
enum How {
    Set,
    Add,
    Subtract,
}

#[derive(Debug)]
enum By {
    Operand(Operand),
    /// The column, by position, of the row that was to be inserted.
    Excluded(usize),
}

/// The changes that `assignments` are; `None` when one is of another kind or of a key.
pub(super) fn changes(
    table: &TableDef,
    assignments: &Assignments,
    upsert: bool,
) -> Option<Vec<Change>> {
    if assignments.change_key(table) {
        return None;
    }
    let columns: Vec<&ColumnDef> = table.live_columns().collect();
    let reader = Reader { table, columns, upsert };
    assignments.each().map(|(column, value)| reader.change(column, value)).collect()
}

struct Reader<'a> {
    table: &'a TableDef,
    columns: Vec<&'a ColumnDef>,
    /// Whether there is a row that was to be inserted; then names are qualified.
    upsert: bool,
}

impl Reader<'_> {
    fn change(&self, column: usize, value: &Expr) -> Option<Change> {
        if let Some(by) = self.by(column, value) {
            return Some(Change { column, how: How::Set, by });
        }
        let Expr::BinaryOp { left, op, right } = value else { return None };
        let (how, by) = match op {
            BinaryOperator::Plus if self.is_old(column, left) => (How::Add, right),
            BinaryOperator::Plus if self.is_old(column, right) => (How::Add, left),
            BinaryOperator::Minus if self.is_old(column, left) => (How::Subtract, right),
            _ => return None,
        };
        let data_type = &self.columns[column].data_type;
        let by = data_type.is_signed_integer().then(|| self.by(column, by))??;
        Some(Change { column, how, by })
    }

    fn by(&self, column: usize, value: &Expr) -> Option<By> {
        if let Some(operand) = Operand::of(value) {
            return Some(By::Operand(operand));
        }
        let excluded = self.qualified(value, EXCLUDED).filter(|_| self.upsert)?;
        let same_type = self.columns[excluded].data_type == self.columns[column].data_type;
        same_type.then_some(By::Excluded(excluded))
    }

    /// Whether `value` is what the column holds already.
    fn is_old(&self, column: usize, value: &Expr) -> bool {
        match value {
            Expr::Identifier(name) => !self.upsert && fold(name) == self.columns[column].name,
            other => self.qualified(other, &self.table.name) == Some(column),
        }
    }

    /// The column of `qualifier.column`.
    fn qualified(&self, value: &Expr, qualifier: &str) -> Option<usize> {
        let Expr::CompoundIdentifier(parts) = value else { return None };
        let [of, name] = parts.as_slice() else { return None };
        let name = fold(name);
        self.columns.iter().position(|c| c.name == name).filter(|_| fold(of) == qualifier)
    }
}

/// Adds the changes to `update`; `row` is what was to be inserted. `None` for values that
/// the planner would convert otherwise, or refuse.
pub(super) fn apply(
    update: RowUpdate,
    table: &TableDef,
    changes: &[Change],
    row: &[Value<'_>],
    parameters: &[ScalarValue],
) -> Option<RowUpdate> {
    let columns: Vec<&ColumnDef> = table.live_columns().collect();
    changes.iter().try_fold(update, |update, Change { column, how, by }| {
        let column = columns[*column];
        let value = match (by, how) {
            (By::Excluded(at), _) => row.get(*at)?.clone(),
            (By::Operand(operand), How::Set) => assigned(column, operand.scalar(parameters)?)?,
            (By::Operand(operand), How::Add | How::Subtract) => {
                let value = operand.scalar(parameters)?;
                // Of both types, the sum would be of a third.
                let signed = value.data_type().is_signed_integer();
                Value::Int(integer(value).filter(|_| signed)?)
            }
        };
        let value = match (how, value) {
            (How::Subtract, Value::Int(value)) => Value::Int(-value),
            (_, value) => value,
        };
        match how {
            How::Set => update.set(&column.name, value).ok(),
            How::Add | How::Subtract => update.add(&column.name, value).ok(),
        }
    })
}
