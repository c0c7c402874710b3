//! How many rows of a table a predicate will let pass, estimated from statistics.
//!
//! Values are taken as spread evenly between the smallest and the largest, and
//! conditions as independent.

use datafusion::arrow::array::{Array, Datum};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{ColumnStatistics, ScalarValue};
use sheaf_formats::predicate::{CompareOp, Predicate};

/// Share of rows that a condition passes about which nothing is known.
const RANGE: f64 = 1.0 / 3.0;
const EQUAL: f64 = 0.05;
const PREFIX: f64 = 0.05;
const CONTAINS: f64 = 0.1;

/// The share of `rows` rows that `predicate` lets pass, between 0 and 1; `column`
/// gives the statistics of a column.
pub(super) fn selectivity(
    predicate: &Predicate,
    rows: usize,
    column: &dyn Fn(usize) -> ColumnStatistics,
) -> f64 {
    let of = |inner: &Predicate| selectivity(inner, rows, column);
    let nulls = |index: usize| {
        let nulls = column(index).null_count.get_value().copied().unwrap_or(0);
        (nulls as f64 / rows.max(1) as f64).clamp(0.0, 1.0)
    };
    let share = match predicate {
        Predicate::Literal(value) => f64::from(u8::from(*value)),
        Predicate::Compare { column: index, op, value } => {
            let (value, _) = value.get();
            match ScalarValue::try_from_array(value, 0) {
                Ok(value) if !value.is_null() => {
                    (1.0 - nulls(*index)) * compare(&column(*index), *op, &value)
                }
                _ => 0.0,
            }
        }
        Predicate::CompareColumns { left, op, right } => match op {
            CompareOp::Eq => equal(&column(*left)).min(equal(&column(*right))),
            CompareOp::NotEq => 1.0 - equal(&column(*left)).min(equal(&column(*right))),
            _ => RANGE,
        },
        Predicate::In { column: index, values, negated } => {
            let found = (equal(&column(*index)) * values.len() as f64).min(1.0);
            (1.0 - nulls(*index)) * if *negated { 1.0 - found } else { found }
        }
        Predicate::IsNull(index) => nulls(*index),
        Predicate::IsNotNull(index) => 1.0 - nulls(*index),
        Predicate::IsTrue(index) => (1.0 - nulls(*index)) * 0.5,
        Predicate::Like { pattern, negated, .. } => {
            let found = if pattern.starts_with(['%', '_']) { CONTAINS } else { PREFIX };
            if *negated { 1.0 - found } else { found }
        }
        // Known only while a query runs, when nobody estimates any more.
        Predicate::Check { .. } => 1.0,
        Predicate::And(parts) => conjunction(parts, rows, column),
        Predicate::Or(parts) => 1.0 - parts.iter().map(|part| 1.0 - of(part)).product::<f64>(),
        Predicate::Not(inner) => 1.0 - of(inner),
    };
    share.clamp(0.0, 1.0)
}

/// Conditions are independent, but two bounds of one column make one range.
fn conjunction(
    parts: &[Predicate],
    rows: usize,
    column: &dyn Fn(usize) -> ColumnStatistics,
) -> f64 {
    let mut share = 1.0;
    let mut paired = vec![false; parts.len()];
    for (i, part) in parts.iter().enumerate() {
        if paired[i] {
            continue;
        }
        let other = lower_bound(part).and_then(|index| {
            (i + 1..parts.len()).find(|&j| !paired[j] && upper_bound(&parts[j]) == Some(index))
        });
        let other = other.or_else(|| {
            let index = upper_bound(part)?;
            (i + 1..parts.len()).find(|&j| !paired[j] && lower_bound(&parts[j]) == Some(index))
        });
        let one = selectivity(part, rows, column);
        share *= match other {
            Some(j) => {
                paired[j] = true;
                let two = selectivity(&parts[j], rows, column);
                // Where nothing is known of the range, a pair is a third of a third.
                let overlap = one + two - 1.0;
                if overlap > 0.0 {
                    overlap
                } else {
                    (one * two).min(1.0 / rows.max(1) as f64 + one * two / 4.0)
                }
            }
            None => one,
        };
    }
    share
}

fn lower_bound(predicate: &Predicate) -> Option<usize> {
    match predicate {
        Predicate::Compare { column, op: CompareOp::Gt | CompareOp::GtEq, .. } => Some(*column),
        _ => None,
    }
}

fn upper_bound(predicate: &Predicate) -> Option<usize> {
    match predicate {
        Predicate::Compare { column, op: CompareOp::Lt | CompareOp::LtEq, .. } => Some(*column),
        _ => None,
    }
}

/// Share of the non-NULL values that are equal to one of them.
fn equal(column: &ColumnStatistics) -> f64 {
    match column.distinct_count.get_value() {
        Some(distinct) => 1.0 / (*distinct).max(1) as f64,
        None => EQUAL,
    }
}

fn compare(column: &ColumnStatistics, op: CompareOp, value: &ScalarValue) -> f64 {
    let below = || -> Option<f64> {
        let (min, max) =
            (number(column.min_value.get_value()?)?, number(column.max_value.get_value()?)?);
        let value = number(value)?;
        if value < min {
            return Some(0.0);
        }
        if value > max {
            return Some(1.0);
        }
        Some(if max > min { (value - min) / (max - min) } else { 0.5 })
    };
    let outside = || match (column.min_value.get_value(), column.max_value.get_value()) {
        (Some(min), Some(max)) => value < min || value > max,
        _ => false,
    };
    let equal = || if outside() { 0.0 } else { equal(column) };
    match op {
        CompareOp::Eq => equal(),
        CompareOp::NotEq => 1.0 - equal(),
        CompareOp::Lt => below().unwrap_or(RANGE),
        CompareOp::LtEq => below().map_or(RANGE, |below| below + equal()),
        CompareOp::Gt => below().map_or(RANGE, |below| 1.0 - below - equal()),
        CompareOp::GtEq => below().map_or(RANGE, |below| 1.0 - below),
    }
    .clamp(0.0, 1.0)
}

/// A value's place on a line, for types that have one.
fn number(value: &ScalarValue) -> Option<f64> {
    let through = match value.data_type() {
        DataType::Date32 => value.cast_to(&DataType::Int32).ok()?,
        DataType::Date64 | DataType::Timestamp(..) | DataType::Time64(_) => {
            value.cast_to(&DataType::Int64).ok()?
        }
        other if other.is_numeric() => value.clone(),
        _ => return None,
    };
    match through.cast_to(&DataType::Float64).ok()? {
        ScalarValue::Float64(number) => number.filter(|n| n.is_finite()),
        _ => None,
    }
}
