//! Conditions that name one row: what the columns of its key, and perhaps others, equal.

use datafusion::common::ScalarValue;
use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr};
use sheaf_core::Value;
use sheaf_core::catalog::TableDef;

use super::operand::{Operand, exact};
use crate::sql::fold;

/// Columns at most; longer conditions are not looked at.
const COLUMNS_MAX: usize = 16;

/// Bytes of texts in a key that is looked for here.
const KEY_BYTES_MAX: usize = 4096;

/// Columns with what they are to equal.
#[derive(Debug)]
pub(super) struct Conditions(Vec<(String, Operand)>);

/// What conditions are about in one table.
#[derive(Debug)]
pub(super) struct KeyPlan {
    /// Per column of the key: which condition is about it.
    key: Vec<usize>,
    /// The other conditions, by position of the column among the live ones.
    pub others: Vec<(usize, usize)>,
}

impl Conditions {
    /// The conditions, when `selection` is a conjunction of equalities.
    pub fn of(selection: &Expr) -> Option<Self> {
        let mut all = Vec::new();
        let mut rest = selection;
        while let Expr::BinaryOp { left, op: BinaryOperator::And, right } = rest {
            all.push(equality(right)?);
            rest = left;
            if all.len() == COLUMNS_MAX {
                return None;
            }
        }
        all.push(equality(rest)?);
        Some(Self(all))
    }

    /// What they mean when they name one row of `table`, each column once.
    pub fn plan(&self, table: &TableDef) -> Option<KeyPlan> {
        if !table.is_keyed() {
            return None;
        }
        let column = |name: &String| table.live_columns().position(|c| c.name == *name);
        let columns = self.0.iter().map(|(name, _)| column(name)).collect::<Option<Vec<_>>>()?;
        let indices = table.key_indices();
        let of = |index: &usize| columns.iter().position(|column| column == index);
        let key = indices.iter().map(of).collect::<Option<Vec<_>>>()?;
        let others: Vec<(usize, usize)> =
            (0..columns.len()).filter(|at| !key.contains(at)).map(|at| (columns[at], at)).collect();
        let once = (1..columns.len()).all(|at| !columns[..at].contains(&columns[at]));
        once.then_some(KeyPlan { key, others })
    }

    /// The values of the key. `None` where the planner would convert one, and where no row
    /// has such a key, of which the store might say that it is too long.
    pub fn key<'a>(
        &'a self,
        table: &TableDef,
        plan: &KeyPlan,
        parameters: &'a [ScalarValue],
    ) -> Option<Vec<Value<'a>>> {
        let columns = table.key_indices().into_iter().zip(&plan.key);
        let values = columns
            .map(|(column, at)| self.value(table, column, *at, parameters))
            .collect::<Option<Vec<_>>>()?;
        let len = |value: &Value<'_>| match value {
            Value::Text(text) => text.len(),
            Value::Bytes(bytes) => bytes.len(),
            _ => 0,
        };
        (values.iter().map(len).sum::<usize>() <= KEY_BYTES_MAX).then_some(values)
    }

    /// What the condition at `at` wants of a column; `None` where it would be converted.
    pub fn value<'a>(
        &'a self,
        table: &TableDef,
        column: usize,
        at: usize,
        parameters: &'a [ScalarValue],
    ) -> Option<Value<'a>> {
        let data_type = table.arrow_schema().field(column).data_type();
        exact(data_type, self.0[at].1.scalar(parameters)?)
    }
}

fn equality(condition: &Expr) -> Option<(String, Operand)> {
    let Expr::BinaryOp { left, op: BinaryOperator::Eq, right } = condition else { return None };
    let (column, operand) = match (left.as_ref(), right.as_ref()) {
        (Expr::Identifier(column), value) | (value, Expr::Identifier(column)) => {
            (column, Operand::of(value)?)
        }
        _ => return None,
    };
    Some((fold(column), operand))
}
