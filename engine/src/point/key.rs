//! What the columns of a key are to equal.

use std::borrow::Cow;

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, Value as Literal, ValueWithSpan};
use sheaf_core::Value;

use crate::sql::fold;

/// A parameter or a literal.
#[derive(Clone, Debug)]
pub(super) enum Operand {
    /// `$n`, from 0.
    Parameter(usize),
    Integer(i64),
    Text(String),
}

/// Columns of a key at most; longer conditions are not looked at.
const COLUMNS_MAX: usize = 16;

/// Columns with what they equal, when `selection` is a conjunction of such equalities.
pub(super) fn operands(selection: &Expr) -> Option<Vec<(String, Operand)>> {
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
    Some(all)
}

fn equality(condition: &Expr) -> Option<(String, Operand)> {
    let Expr::BinaryOp { left, op, right } = condition else { return None };
    match op {
        BinaryOperator::Eq => {
            let (column, operand) = match (left.as_ref(), right.as_ref()) {
                (Expr::Identifier(column), Expr::Value(value))
                | (Expr::Value(value), Expr::Identifier(column)) => (column, operand(value)?),
                _ => return None,
            };
            Some((fold(column), operand))
        }
        _ => None,
    }
}

fn operand(value: &ValueWithSpan) -> Option<Operand> {
    match &value.value {
        Literal::Placeholder(name) => {
            let number: usize = name.strip_prefix('$')?.parse().ok()?;
            Some(Operand::Parameter(number.checked_sub(1)?))
        }
        Literal::Number(digits, false) => digits.parse().ok().map(Operand::Integer),
        Literal::SingleQuotedString(text) => Some(Operand::Text(text.clone())),
        _ => None,
    }
}

impl Operand {
    /// The value of a column of the key; `None` where the planner would convert it.
    pub(super) fn value<'a>(
        &'a self,
        data_type: &DataType,
        parameters: &'a [ScalarValue],
    ) -> Option<Value<'a>> {
        match (self, data_type) {
            (Self::Integer(value), t) if in_range(t, i128::from(*value)) => {
                Some(Value::from(*value))
            }
            (Self::Text(text), DataType::Utf8View | DataType::Utf8 | DataType::LargeUtf8) => {
                Some(Value::from(text.as_str()))
            }
            (Self::Parameter(at), t) => parameter(t, parameters.get(*at)?),
            _ => None,
        }
    }
}

fn parameter<'a>(data_type: &DataType, value: &'a ScalarValue) -> Option<Value<'a>> {
    let integer = match value {
        ScalarValue::Int8(v) => v.map(i128::from),
        ScalarValue::Int16(v) => v.map(i128::from),
        ScalarValue::Int32(v) => v.map(i128::from),
        ScalarValue::Int64(v) => v.map(i128::from),
        ScalarValue::UInt8(v) => v.map(i128::from),
        ScalarValue::UInt16(v) => v.map(i128::from),
        ScalarValue::UInt32(v) => v.map(i128::from),
        ScalarValue::UInt64(v) => v.map(i128::from),
        _ => None,
    };
    if let Some(integer) = integer {
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
        (ScalarValue::Float64(Some(value)), DataType::Float64) => Some(Value::Float(*value)),
        (ScalarValue::Date32(Some(days)), DataType::Date32) => Some(Value::from(*days)),
        (ScalarValue::TimestampMicrosecond(Some(at), zone), t)
            if *t == DataType::Timestamp(arrow::datatypes::TimeUnit::Microsecond, zone.clone()) =>
        {
            Some(Value::from(*at))
        }
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
