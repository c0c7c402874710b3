//! Evaluates a predicate on a batch with Arrow's kernels.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, LargeStringArray, RecordBatch, Scalar, StringArray,
    StringViewArray,
};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::compute::kernels::cmp;
use arrow::compute::{
    and_kleene, cast, ilike, is_not_null, is_null, like, nilike, nlike, not, or_kleene,
};
use arrow::datatypes::DataType;

use super::{CompareOp, Predicate};
use crate::{Error, Result};

/// Longer lists are looked up in a hash set, shorter ones compared one by one.
const SHORT_LIST: usize = 4;

impl Predicate {
    /// One value per row of `batch`: true, false, or NULL as in SQL. Column indices
    /// are those of the batch.
    pub fn evaluate(&self, batch: &RecordBatch) -> Result<BooleanArray> {
        match self {
            Self::Literal(value) => Ok(constant(*value, batch.num_rows())),
            Self::Compare { column, op, value } => {
                let column = at(batch, *column)?;
                Ok(compare(*op, column, value)?)
            }
            Self::CompareColumns { left, op, right } => {
                Ok(compare(*op, at(batch, *left)?, at(batch, *right)?)?)
            }
            Self::In { column, values, negated } => {
                let found = is_in(at(batch, *column)?, values)?;
                Ok(if *negated { not(&found)? } else { found })
            }
            Self::IsNull(column) => Ok(is_null(at(batch, *column)?)?),
            Self::IsNotNull(column) => Ok(is_not_null(at(batch, *column)?)?),
            Self::IsTrue(column) => at(batch, *column)?
                .as_boolean_opt()
                .cloned()
                .ok_or_else(|| Error::Invalid(format!("column #{column} is not boolean"))),
            Self::Like { column, pattern, negated, case_insensitive } => {
                matches_pattern(at(batch, *column)?, pattern, *negated, *case_insensitive)
            }
            Self::Check { columns, check, .. } => {
                let columns: Vec<ArrayRef> =
                    columns.iter().map(|&c| at(batch, c).cloned()).collect::<Result<_>>()?;
                check.check(&columns)
            }
            Self::And(parts) => fold(parts, batch, true, and_kleene),
            Self::Or(parts) => fold(parts, batch, false, or_kleene),
            Self::Not(inner) => Ok(not(&inner.evaluate(batch)?)?),
        }
    }
}

fn at(batch: &RecordBatch, column: usize) -> Result<&ArrayRef> {
    batch.columns().get(column).ok_or_else(|| {
        Error::Invalid(format!(
            "a predicate names column #{column} of a batch with {} columns",
            batch.num_columns()
        ))
    })
}

fn constant(value: bool, len: usize) -> BooleanArray {
    let values = if value { BooleanBuffer::new_set(len) } else { BooleanBuffer::new_unset(len) };
    BooleanArray::new(values, None)
}

type Connective = fn(&BooleanArray, &BooleanArray) -> arrow::error::Result<BooleanArray>;

/// Connects all `parts`; `neutral` is the answer for none of them, and its opposite
/// on every row ends the evaluation early.
fn fold(
    parts: &[Predicate],
    batch: &RecordBatch,
    neutral: bool,
    connect: Connective,
) -> Result<BooleanArray> {
    let mut result: Option<BooleanArray> = None;
    for part in parts {
        let decided = |array: &BooleanArray| {
            let count = if neutral { array.false_count() } else { array.true_count() };
            count == array.len()
        };
        if result.as_ref().is_some_and(decided) {
            break;
        }
        let next = part.evaluate(batch)?;
        result = Some(match result {
            None => next,
            Some(before) => connect(&before, &next)?,
        });
    }
    Ok(result.unwrap_or_else(|| constant(neutral, batch.num_rows())))
}

pub(super) fn compare(
    op: CompareOp,
    left: &dyn arrow::array::Datum,
    right: &dyn arrow::array::Datum,
) -> arrow::error::Result<BooleanArray> {
    match op {
        CompareOp::Eq => cmp::eq(left, right),
        CompareOp::NotEq => cmp::neq(left, right),
        CompareOp::Lt => cmp::lt(left, right),
        CompareOp::LtEq => cmp::lt_eq(left, right),
        CompareOp::Gt => cmp::gt(left, right),
        CompareOp::GtEq => cmp::gt_eq(left, right),
    }
}

fn is_in(column: &ArrayRef, values: &ArrayRef) -> Result<BooleanArray> {
    if let DataType::Dictionary(_, value_type) = column.data_type() {
        return is_in(&cast(column, value_type)?, &cast(values, value_type)?);
    }
    if column.data_type() != values.data_type() {
        return Err(Error::Invalid(format!(
            "a list of {} is compared with a column of {}",
            values.data_type(),
            column.data_type()
        )));
    }
    let found = if values.len() <= SHORT_LIST || *column.data_type() == DataType::Boolean {
        let mut found =
            BooleanArray::new(BooleanBuffer::new_unset(column.len()), column.logical_nulls());
        for index in 0..values.len() {
            if values.is_valid(index) {
                let value = Scalar::new(values.slice(index, 1));
                found = or_kleene(&found, &cmp::eq(column, &value)?)?;
            }
        }
        found
    } else {
        let mut set =
            HashSet::with_capacity_and_hasher(values.len(), foldhash::fast::RandomState::default());
        let keys = Keys::of(values)?;
        set.extend((0..values.len()).filter(|&i| values.is_valid(i)).map(|i| keys.get(i)));
        let keys = Keys::of(column)?;
        let found = BooleanBuffer::collect_bool(column.len(), |i| set.contains(keys.get(i)));
        BooleanArray::new(found, column.nulls().cloned())
    };
    if values.null_count() == 0 {
        return Ok(found);
    }
    // With a NULL in the list, what was not found may still be equal to it.
    let known = NullBuffer::new(found.values().clone());
    let nulls = NullBuffer::union(found.nulls(), Some(&known));
    Ok(BooleanArray::new(found.values().clone(), nulls))
}

/// The bytes of each value, which are equal exactly where the values are (floats in
/// total order, as the comparison kernels see them).
enum Keys<'a> {
    Fixed { bytes: arrow::buffer::Buffer, width: usize },
    Text(&'a StringArray),
    LargeText(&'a LargeStringArray),
    TextView(&'a StringViewArray),
    Binary(&'a arrow::array::BinaryArray),
    LargeBinary(&'a arrow::array::LargeBinaryArray),
    BinaryView(&'a arrow::array::BinaryViewArray),
}

impl<'a> Keys<'a> {
    fn of(array: &'a ArrayRef) -> Result<Self> {
        let fixed = |width: usize| {
            let data = array.to_data();
            let bytes =
                data.buffers()[0].slice_with_length(data.offset() * width, data.len() * width);
            Self::Fixed { bytes, width }
        };
        Ok(match array.data_type() {
            DataType::Utf8 => Self::Text(array.as_string()),
            DataType::LargeUtf8 => Self::LargeText(array.as_string()),
            DataType::Utf8View => Self::TextView(array.as_string_view()),
            DataType::Binary => Self::Binary(array.as_binary()),
            DataType::LargeBinary => Self::LargeBinary(array.as_binary()),
            DataType::BinaryView => Self::BinaryView(array.as_binary_view()),
            DataType::FixedSizeBinary(width) => fixed(*width as usize),
            other => match other.primitive_width() {
                Some(width) => fixed(width),
                None => return Err(Error::Invalid(format!("IN does not work on {other}"))),
            },
        })
    }

    fn get(&self, index: usize) -> &[u8] {
        match self {
            Self::Fixed { bytes, width } => &bytes[index * width..(index + 1) * width],
            Self::Text(array) => array.value(index).as_bytes(),
            Self::LargeText(array) => array.value(index).as_bytes(),
            Self::TextView(array) => array.value(index).as_bytes(),
            Self::Binary(array) => array.value(index),
            Self::LargeBinary(array) => array.value(index),
            Self::BinaryView(array) => array.value(index),
        }
    }
}

fn matches_pattern(
    column: &ArrayRef,
    pattern: &str,
    negated: bool,
    case_insensitive: bool,
) -> Result<BooleanArray> {
    let value_type = match column.data_type() {
        DataType::Dictionary(_, value) => value,
        other => other,
    };
    let pattern: ArrayRef = match value_type {
        DataType::Utf8 => Arc::new(StringArray::from(vec![pattern])),
        DataType::LargeUtf8 => Arc::new(LargeStringArray::from(vec![pattern])),
        DataType::Utf8View => Arc::new(StringViewArray::from(vec![pattern])),
        other => return Err(Error::Invalid(format!("LIKE needs text, not {other}"))),
    };
    let pattern = Scalar::new(pattern);
    Ok(match (negated, case_insensitive) {
        (false, false) => like(column, &pattern)?,
        (true, false) => nlike(column, &pattern)?,
        (false, true) => ilike(column, &pattern)?,
        (true, true) => nilike(column, &pattern)?,
    })
}

#[cfg(test)]
mod tests {
    use arrow::array::{Float64Array, Int64Array};

    use super::*;

    fn batch() -> RecordBatch {
        RecordBatch::try_from_iter_with_nullable([
            (
                "i",
                Arc::new(Int64Array::from(vec![Some(1), None, Some(3), Some(40)])) as ArrayRef,
                true,
            ),
            (
                "t",
                Arc::new(StringViewArray::from(vec![Some("ab"), Some("b%"), None, Some("Abc")]))
                    as _,
                true,
            ),
            (
                "b",
                Arc::new(BooleanArray::from(vec![Some(true), Some(false), None, None])) as _,
                true,
            ),
            ("f", Arc::new(Float64Array::from(vec![0.0, -0.0, f64::NAN, 1.0])) as _, true),
        ])
        .unwrap()
    }

    fn check(predicate: Predicate, expected: [Option<bool>; 4]) {
        let found = predicate.evaluate(&batch()).unwrap();
        assert_eq!(found, BooleanArray::from(expected.to_vec()), "{predicate}");
    }

    fn int(op: CompareOp, value: Option<i64>) -> Predicate {
        let value = Scalar::new(Arc::new(Int64Array::from(vec![value])) as ArrayRef);
        Predicate::Compare { column: 0, op, value }
    }

    const T: Option<bool> = Some(true);
    const F: Option<bool> = Some(false);
    const N: Option<bool> = None;

    #[test]
    fn null_is_neither_true_nor_false() {
        check(int(CompareOp::Lt, Some(3)), [T, N, F, F]);
        check(int(CompareOp::Eq, None), [N, N, N, N]);
        check(Predicate::Not(Box::new(int(CompareOp::Lt, Some(3)))), [F, N, T, T]);
        check(Predicate::IsTrue(2), [T, F, N, N]);
        let either = vec![int(CompareOp::Lt, Some(3)), Predicate::IsTrue(2)];
        check(Predicate::Or(either.clone()), [T, N, N, N]);
        check(Predicate::And(either), [T, F, F, F]);
        check(Predicate::And(vec![]), [T; 4]);
        check(Predicate::Or(vec![]), [F; 4]);
    }

    #[test]
    fn lists_short_and_long() {
        for padding in [0, 100] {
            let values = [3, 40].into_iter().chain((0..padding).map(|i| 1_000 + i));
            let values: ArrayRef = Arc::new(Int64Array::from_iter_values(values));
            check(
                Predicate::In { column: 0, values: values.clone(), negated: false },
                [F, N, T, T],
            );
            check(Predicate::In { column: 0, values, negated: true }, [T, N, F, F]);
            let texts = ["ab".to_owned()].into_iter().chain((0..padding).map(|i| i.to_string()));
            let values: ArrayRef = Arc::new(StringViewArray::from_iter_values(texts));
            check(Predicate::In { column: 1, values, negated: false }, [T, F, N, F]);
        }
        let values: ArrayRef = Arc::new(Int64Array::from(vec![Some(3), None]));
        check(Predicate::In { column: 0, values: values.clone(), negated: false }, [N, N, T, N]);
        check(Predicate::In { column: 0, values, negated: true }, [N, N, F, N]);
    }

    #[test]
    fn patterns() {
        let like = |pattern: &str, negated, case_insensitive| Predicate::Like {
            column: 1,
            pattern: pattern.to_owned(),
            negated,
            case_insensitive,
        };
        check(like("a%", false, false), [T, F, N, F]);
        check(like("a%", false, true), [T, F, N, T]);
        check(like("b\\%", false, false), [F, T, N, F]);
        check(like("_b", true, false), [F, T, N, T]);
    }

    #[test]
    fn floats_are_in_total_order() {
        let value = |v: f64| Scalar::new(Arc::new(Float64Array::from(vec![v])) as ArrayRef);
        let gt = Predicate::Compare { column: 3, op: CompareOp::Gt, value: value(0.5) };
        check(gt, [F, F, T, T]);
    }

    #[test]
    fn a_column_out_of_range_is_an_error() {
        assert!(Predicate::IsNull(9).evaluate(&batch()).is_err());
        assert!(Predicate::IsTrue(0).evaluate(&batch()).is_err());
    }
}
