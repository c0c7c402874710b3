//! Filters that a segment or a memtable can evaluate by itself.
//!
//! A small language between the planner and the encodings: what cannot be said
//! in it stays above the scan. Evaluation follows SQL: comparing with NULL gives
//! NULL, and a row passes only when the whole predicate is true.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Datum, Scalar};
use arrow::util::display::{ArrayFormatter, FormatOptions};

mod check;
mod evaluate;
mod prune;

pub use check::RowCheck;

/// How two values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompareOp {
    /// `=`
    Eq,
    /// `<>`
    NotEq,
    /// `<`
    Lt,
    /// `<=`
    LtEq,
    /// `>`
    Gt,
    /// `>=`
    GtEq,
}

/// A boolean expression over the columns of one schema, by index.
#[derive(Clone, Debug)]
pub enum Predicate {
    /// A constant.
    Literal(bool),
    /// `column op value`; the value has exactly the column's type.
    Compare {
        /// Index of the column.
        column: usize,
        /// The comparison.
        op: CompareOp,
        /// A value of the column's type; NULL makes the predicate NULL.
        value: Scalar<ArrayRef>,
    },
    /// `left op right`, both columns of the same type.
    CompareColumns {
        /// Index of the left column.
        left: usize,
        /// The comparison.
        op: CompareOp,
        /// Index of the right column.
        right: usize,
    },
    /// `column IN (values)`; the array has exactly the column's type, no NULLs.
    In {
        /// Index of the column.
        column: usize,
        /// The set.
        values: ArrayRef,
        /// `NOT IN`.
        negated: bool,
    },
    /// `column IS NULL`.
    IsNull(usize),
    /// `column IS NOT NULL`.
    IsNotNull(usize),
    /// A boolean column by itself.
    IsTrue(usize),
    /// `column LIKE pattern` with `%` and `_`, backslash escapes.
    Like {
        /// Index of the column.
        column: usize,
        /// The pattern.
        pattern: String,
        /// `NOT LIKE`.
        negated: bool,
        /// `ILIKE`.
        case_insensitive: bool,
    },
    /// Whatever the caller can tell from the values of some columns.
    Check {
        /// Indices of the columns that `check` gets.
        columns: Vec<usize>,
        /// The test.
        check: Arc<dyn RowCheck>,
        /// Something that is true of every row that passes, to leave out zones by.
        implied: Option<Box<Predicate>>,
    },
    /// All of these.
    And(Vec<Predicate>),
    /// Any of these.
    Or(Vec<Predicate>),
    /// Not this.
    Not(Box<Predicate>),
}

impl CompareOp {
    /// The comparison that is true where this one is false.
    pub fn negated(self) -> Self {
        match self {
            Self::Eq => Self::NotEq,
            Self::NotEq => Self::Eq,
            Self::Lt => Self::GtEq,
            Self::LtEq => Self::Gt,
            Self::Gt => Self::LtEq,
            Self::GtEq => Self::Lt,
        }
    }
}

impl fmt::Display for CompareOp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Eq => "=",
            Self::NotEq => "<>",
            Self::Lt => "<",
            Self::LtEq => "<=",
            Self::Gt => ">",
            Self::GtEq => ">=",
        })
    }
}

impl Predicate {
    /// Indices of all columns that are looked at.
    pub fn columns(&self) -> BTreeSet<usize> {
        let mut columns = BTreeSet::new();
        self.gather_columns(&mut columns);
        columns
    }

    fn gather_columns(&self, into: &mut BTreeSet<usize>) {
        match self {
            Self::Literal(_) => {}
            Self::Compare { column, .. }
            | Self::In { column, .. }
            | Self::Like { column, .. }
            | Self::IsNull(column)
            | Self::IsNotNull(column)
            | Self::IsTrue(column) => {
                into.insert(*column);
            }
            Self::CompareColumns { left, right, .. } => {
                into.extend([*left, *right]);
            }
            Self::Check { columns, implied, .. } => {
                into.extend(columns);
                implied.iter().for_each(|implied| implied.gather_columns(into));
            }
            Self::And(parts) | Self::Or(parts) => {
                parts.iter().for_each(|part| part.gather_columns(into));
            }
            Self::Not(inner) => inner.gather_columns(into),
        }
    }

    /// The same predicate with every column index replaced by `map(index)`.
    pub fn map_columns(self, map: &dyn Fn(usize) -> usize) -> Self {
        let all = |parts: Vec<Self>| parts.into_iter().map(|part| part.map_columns(map)).collect();
        match self {
            Self::Literal(value) => Self::Literal(value),
            Self::Compare { column, op, value } => Self::Compare { column: map(column), op, value },
            Self::CompareColumns { left, op, right } => {
                Self::CompareColumns { left: map(left), op, right: map(right) }
            }
            Self::In { column, values, negated } => {
                Self::In { column: map(column), values, negated }
            }
            Self::IsNull(column) => Self::IsNull(map(column)),
            Self::IsNotNull(column) => Self::IsNotNull(map(column)),
            Self::IsTrue(column) => Self::IsTrue(map(column)),
            Self::Like { column, pattern, negated, case_insensitive } => {
                Self::Like { column: map(column), pattern, negated, case_insensitive }
            }
            Self::Check { columns, check, implied } => Self::Check {
                columns: columns.into_iter().map(map).collect(),
                check,
                implied: implied.map(|implied| Box::new(implied.map_columns(map))),
            },
            Self::And(parts) => Self::And(all(parts)),
            Self::Or(parts) => Self::Or(all(parts)),
            Self::Not(inner) => Self::Not(Box::new(inner.map_columns(map))),
        }
    }

    /// The parts that must all be true, nested ANDs flattened.
    pub fn into_conjuncts(self) -> Vec<Self> {
        match self {
            Self::And(parts) => parts.into_iter().flat_map(Self::into_conjuncts).collect(),
            other => vec![other],
        }
    }
}

impl fmt::Display for Predicate {
    /// Columns are shown as `#index`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let not = |negated: &bool| if *negated { "NOT " } else { "" };
        match self {
            Self::Literal(value) => write!(f, "{value}"),
            Self::Compare { column, op, value } => {
                write!(f, "#{column} {op} ")?;
                write_value(f, value.get().0, 0)
            }
            Self::CompareColumns { left, op, right } => write!(f, "#{left} {op} #{right}"),
            Self::In { column, values, negated } => {
                // Join filters bring thousands of values; a plan needs to show a few.
                const SHOWN: usize = 10;
                write!(f, "#{column} {}IN (", not(negated))?;
                for index in 0..values.len().min(SHOWN) {
                    if index > 0 {
                        f.write_str(", ")?;
                    }
                    write_value(f, values, index)?;
                }
                if values.len() > SHOWN {
                    write!(f, ", ... {} values", values.len())?;
                }
                f.write_str(")")
            }
            Self::IsNull(column) => write!(f, "#{column} IS NULL"),
            Self::IsNotNull(column) => write!(f, "#{column} IS NOT NULL"),
            Self::IsTrue(column) => write!(f, "#{column}"),
            Self::Like { column, pattern, negated, case_insensitive } => {
                let like = if *case_insensitive { "ILIKE" } else { "LIKE" };
                write!(f, "#{column} {}{like} '{pattern}'", not(negated))
            }
            Self::Check { check, .. } => write!(f, "{check}"),
            Self::And(parts) => write_joined(f, parts, " AND ", "true"),
            Self::Or(parts) => write_joined(f, parts, " OR ", "false"),
            Self::Not(inner) => write!(f, "NOT ({inner})"),
        }
    }
}

fn write_joined(
    f: &mut fmt::Formatter<'_>,
    parts: &[Predicate],
    operator: &str,
    empty: &str,
) -> fmt::Result {
    if parts.is_empty() {
        return f.write_str(empty);
    }
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            f.write_str(operator)?;
        }
        match part {
            Predicate::And(_) | Predicate::Or(_) => write!(f, "({part})")?,
            _ => write!(f, "{part}")?,
        }
    }
    Ok(())
}

fn write_value(f: &mut fmt::Formatter<'_>, array: &dyn Array, index: usize) -> fmt::Result {
    let options = FormatOptions::default().with_null("NULL");
    match ArrayFormatter::try_new(array, &options) {
        Ok(formatter) => write!(f, "{}", formatter.value(index)),
        Err(_) => f.write_str("?"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Int64Array, StringViewArray};

    use super::*;

    fn example() -> Predicate {
        Predicate::And(vec![
            Predicate::Compare {
                column: 2,
                op: CompareOp::GtEq,
                value: Scalar::new(Arc::new(Int64Array::from(vec![7]))),
            },
            Predicate::Or(vec![
                Predicate::IsNull(0),
                Predicate::In {
                    column: 1,
                    values: Arc::new(StringViewArray::from(vec!["a", "b"])),
                    negated: true,
                },
            ]),
        ])
    }

    #[test]
    fn displays_as_sql() {
        assert_eq!(example().to_string(), "#2 >= 7 AND (#0 IS NULL OR #1 NOT IN (a, b))");
    }

    #[test]
    fn columns_are_found_and_mapped() {
        assert_eq!(example().columns(), BTreeSet::from([0, 1, 2]));
        let mapped = example().map_columns(&|column| column + 10);
        assert_eq!(mapped.columns(), BTreeSet::from([10, 11, 12]));
    }
}
