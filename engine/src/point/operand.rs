//! Literals and parameters, and what they are as values of a column.

use std::borrow::Cow;

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::sql::sqlparser::ast::{Expr, UnaryOperator, Value as Literal, ValueWithSpan};
use sheaf_core::Value;
use sheaf_core::catalog::ColumnDef;

use crate::dml::assign;

/// Digits of a number with a fraction; those with more are the planner's.
const DIGITS_MAX: usize = 18;

/// A parameter or a literal.
#[derive(Clone, Debug)]
pub(super) enum Operand {
    /// `$n`, from 0.
    Parameter(usize),
    /// Of the type that the planner gives it.
    Literal(ScalarValue),
}

impl Operand {
    /// The operand that an expression is.
    pub fn of(expression: &Expr) -> Option<Self> {
        if let Some(literal) = literal(expression) {
            return Some(Self::Literal(literal));
        }
        match expression {
            Expr::Value(ValueWithSpan { value: Literal::Placeholder(name), .. }) => {
                let number: usize = name.strip_prefix('$')?.parse().ok()?;
                Some(Self::Parameter(number.checked_sub(1)?))
            }
            _ => None,
        }
    }

    /// What it stands for; `None` for a parameter that is not given.
    pub fn scalar<'a>(&'a self, parameters: &'a [ScalarValue]) -> Option<&'a ScalarValue> {
        match self {
            Self::Parameter(at) => parameters.get(*at),
            Self::Literal(literal) => Some(literal),
        }
    }
}

/// The literal that an expression is, of the type that the planner gives it.
pub(crate) fn literal(expression: &Expr) -> Option<ScalarValue> {
    let (value, negative) = match expression {
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => (expr.as_ref(), true),
        other => (other, false),
    };
    let Expr::Value(ValueWithSpan { value, .. }) = value else { return None };
    match value {
        Literal::Number(digits, false) => number(digits, negative),
        _ if negative => None,
        Literal::SingleQuotedString(text) => Some(ScalarValue::Utf8(Some(text.clone()))),
        Literal::Boolean(value) => Some(ScalarValue::Boolean(Some(*value))),
        Literal::Null => Some(ScalarValue::Null),
        _ => None,
    }
}

/// A number as the planner reads it: a BIGINT, or a DECIMAL of just its digits.
fn number(digits: &str, negative: bool) -> Option<ScalarValue> {
    let signed = |digits: &str| format!("{}{digits}", if negative { "-" } else { "" });
    let Some((whole, fraction)) = digits.split_once('.') else {
        return Some(ScalarValue::Int64(Some(signed(digits).parse().ok()?)));
    };
    if whole.is_empty() || fraction.is_empty() || whole.len() + fraction.len() > DIGITS_MAX {
        return None;
    }
    let value: i64 = signed(&format!("{whole}{fraction}")).parse().ok()?;
    let digits = value.unsigned_abs().checked_ilog10().map_or(1, |log| log as usize + 1);
    let precision = digits.max(fraction.len());
    Some(ScalarValue::Decimal128(Some(value.into()), precision as u8, fraction.len() as i8))
}

/// A value of just the column's type; `None` where it would be converted, and for NULL.
pub(super) fn exact<'a>(data_type: &DataType, value: &'a ScalarValue) -> Option<Value<'a>> {
    if let Some(integer) = integer(value) {
        return in_range(data_type, integer).then_some(Value::Int(integer));
    }
    match (value, data_type) {
        (
            ScalarValue::Utf8(Some(text))
            | ScalarValue::LargeUtf8(Some(text))
            | ScalarValue::Utf8View(Some(text)),
            DataType::Utf8View | DataType::Utf8 | DataType::LargeUtf8,
        ) => Some(Value::from(text.as_str())),
        (
            ScalarValue::Binary(Some(bytes))
            | ScalarValue::LargeBinary(Some(bytes))
            | ScalarValue::BinaryView(Some(bytes)),
            DataType::BinaryView | DataType::Binary | DataType::LargeBinary,
        ) => Some(Value::Bytes(Cow::Borrowed(bytes))),
        (ScalarValue::FixedSizeBinary(len, Some(bytes)), DataType::FixedSizeBinary(expected))
            if len == expected =>
        {
            Some(Value::Bytes(Cow::Borrowed(bytes)))
        }
        (ScalarValue::Boolean(Some(value)), DataType::Boolean) => Some(Value::Bool(*value)),
        // A NaN and a zero may have signs, about which not everybody agrees.
        (ScalarValue::Float64(Some(value)), DataType::Float64)
            if !value.is_nan() && !(*value == 0.0 && value.is_sign_negative()) =>
        {
            Some(Value::Float(*value))
        }
        (ScalarValue::Date32(Some(days)), DataType::Date32) => Some(Value::from(*days)),
        (ScalarValue::TimestampMicrosecond(Some(at), zone), t)
            if *t == DataType::Timestamp(arrow::datatypes::TimeUnit::Microsecond, zone.clone()) =>
        {
            Some(Value::from(*at))
        }
        _ => None,
    }
}

/// The value that a column gets when this one is assigned to it; `None` for what does not
/// fit.
pub(super) fn assigned<'a>(column: &ColumnDef, value: &'a ScalarValue) -> Option<Value<'a>> {
    let assigned = match exact(&column.data_type, value) {
        Some(exact) => exact,
        None if matches!(value, ScalarValue::Null) => Value::Null,
        None => {
            let array = value.to_array().ok()?;
            let array = assign(&array, &column.name, &column.data_type).ok()?;
            Value::of(&array).ok()?
        }
    };
    (column.nullable || !matches!(assigned, Value::Null)).then_some(assigned)
}

/// An integer that is not NULL.
pub(super) fn integer(value: &ScalarValue) -> Option<i128> {
    match value {
        ScalarValue::Int8(v) => v.map(i128::from),
        ScalarValue::Int16(v) => v.map(i128::from),
        ScalarValue::Int32(v) => v.map(i128::from),
        ScalarValue::Int64(v) => v.map(i128::from),
        ScalarValue::UInt8(v) => v.map(i128::from),
        ScalarValue::UInt16(v) => v.map(i128::from),
        ScalarValue::UInt32(v) => v.map(i128::from),
        ScalarValue::UInt64(v) => v.map(i128::from),
        _ => None,
    }
}

/// Whether the type is of integers and holds this one.
fn in_range(data_type: &DataType, value: i128) -> bool {
    let (low, high) = match data_type {
        DataType::Int8 => (i128::from(i8::MIN), i128::from(i8::MAX)),
        DataType::Int16 => (i128::from(i16::MIN), i128::from(i16::MAX)),
        DataType::Int32 => (i128::from(i32::MIN), i128::from(i32::MAX)),
        DataType::Int64 => (i128::from(i64::MIN), i128::from(i64::MAX)),
        DataType::UInt8 => (0, i128::from(u8::MAX)),
        DataType::UInt16 => (0, i128::from(u16::MAX)),
        DataType::UInt32 => (0, i128::from(u32::MAX)),
        DataType::UInt64 => (0, i128::from(u64::MAX)),
        _ => return false,
    };
    (low..=high).contains(&value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::parse_expression;

    #[test]
    fn literals_have_the_planners_types() {
        let decimal =
            |value, precision, scale| Some(ScalarValue::Decimal128(Some(value), precision, scale));
        for (sql, expected) in [
            ("7", Some(ScalarValue::Int64(Some(7)))),
            ("-9223372036854775808", Some(ScalarValue::Int64(Some(i64::MIN)))),
            ("9223372036854775808", None),
            ("1.50", decimal(150, 3, 2)),
            ("-0.05", decimal(-5, 2, 2)),
            ("0.0", decimal(0, 1, 1)),
            ("1e3", None),
            ("'7'", Some(ScalarValue::Utf8(Some("7".into())))),
            ("true", Some(ScalarValue::Boolean(Some(true)))),
            ("NULL", Some(ScalarValue::Null)),
            ("1 + 1", None),
            ("now()", None),
        ] {
            assert_eq!(literal(&parse_expression(sql).unwrap()), expected, "{sql}");
        }
    }
}
