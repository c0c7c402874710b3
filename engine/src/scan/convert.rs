//! DataFusion's expressions to the predicates that segments and memtables evaluate.
//!
//! Two kinds of answer: [`exact`] means the same as the expression for every row,
//! NULLs included; [`implied`] is only implied by it: a row that the expression
//! lets pass, the predicate lets pass too. Column indices are the table's.

use std::sync::Arc;

use datafusion::arrow::array::{Scalar, new_empty_array, new_null_array};
use datafusion::arrow::datatypes::{DataType, Schema};
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{
    BinaryExpr, CaseExpr, CastExpr, Column, DynamicFilterPhysicalExpr, InListExpr, IsNotNullExpr,
    IsNullExpr, LikeExpr, Literal, NotExpr,
};
use datafusion::scalar::ScalarValue;
use sheaf_formats::predicate::{CompareOp, Predicate};

/// A predicate that is true, false or NULL exactly where `expr` is; `None` when the
/// language of predicates cannot say it.
pub(super) fn exact(expr: &Arc<dyn PhysicalExpr>, schema: &Schema) -> Option<Predicate> {
    if let Some(column) = expr.downcast_ref::<Column>() {
        let field = schema.fields().get(column.index())?;
        return (*field.data_type() == DataType::Boolean)
            .then_some(Predicate::IsTrue(column.index()));
    }
    if let Some(literal) = expr.downcast_ref::<Literal>() {
        return match literal.value() {
            ScalarValue::Boolean(Some(value)) => Some(Predicate::Literal(*value)),
            // NULL: true nowhere and false nowhere, like this one and its negation.
            ScalarValue::Boolean(None) | ScalarValue::Null => null(schema),
            _ => None,
        };
    }
    if let Some(binary) = expr.downcast_ref::<BinaryExpr>() {
        return exact_binary(binary, schema);
    }
    if let Some(not) = expr.downcast_ref::<NotExpr>() {
        return Some(Predicate::Not(Box::new(exact(not.arg(), schema)?)));
    }
    if let Some(is_null) = expr.downcast_ref::<IsNullExpr>() {
        return Some(Predicate::IsNull(plain_column(is_null.arg())?));
    }
    if let Some(is_not_null) = expr.downcast_ref::<IsNotNullExpr>() {
        return Some(Predicate::IsNotNull(plain_column(is_not_null.arg())?));
    }
    if let Some(list) = expr.downcast_ref::<InListExpr>() {
        return exact_in_list(list, schema);
    }
    if let Some(like) = expr.downcast_ref::<LikeExpr>() {
        return exact_like(like, schema);
    }
    None
}

/// A predicate that is NULL for every row: a comparison with NULL.
fn null(schema: &Schema) -> Option<Predicate> {
    let column = schema.fields().iter().position(|field| !field.data_type().is_nested())?;
    let value = new_null_array(schema.field(column).data_type(), 1);
    Some(Predicate::Compare { column, op: CompareOp::Eq, value: Scalar::new(value) })
}

/// The strongest predicate we can say that is true wherever `expr` is; `None` when
/// that is no more than TRUE. Dynamic filters count with what they say now.
pub(super) fn implied(expr: &Arc<dyn PhysicalExpr>, schema: &Schema) -> Option<Predicate> {
    if let Some(dynamic) = expr.downcast_ref::<DynamicFilterPhysicalExpr>() {
        return implied(&dynamic.current().ok()?, schema);
    }
    if let Some(binary) = expr.downcast_ref::<BinaryExpr>() {
        let sides = || [binary.left(), binary.right()].map(|side| implied(side, schema));
        match binary.op() {
            Operator::And => return all(sides().into_iter().flatten()),
            Operator::Or => return any(sides()),
            _ => {}
        }
    }
    // A join that is partitioned by hash says CASE hash WHEN 0 THEN … WHEN 1 THEN …:
    // one of the branches decides about each row.
    if let Some(case) = expr.downcast_ref::<CaseExpr>() {
        let branches = case.when_then_expr().iter().map(|(_, then)| implied(then, schema));
        let otherwise = case.else_expr().map(|otherwise| implied(otherwise, schema));
        return any(branches.chain(otherwise));
    }
    exact(expr, schema).filter(|predicate| !matches!(predicate, Predicate::Literal(true)))
}

/// All of `parts`; `None` when there is none.
pub(super) fn all(parts: impl IntoIterator<Item = Predicate>) -> Option<Predicate> {
    let mut parts: Vec<Predicate> = parts.into_iter().flat_map(Predicate::into_conjuncts).collect();
    match parts.len() {
        0 | 1 => parts.pop(),
        _ => Some(Predicate::And(parts)),
    }
}

/// Any of `parts`; `None` as soon as one of them is.
fn any(parts: impl IntoIterator<Item = Option<Predicate>>) -> Option<Predicate> {
    let mut parts = parts.into_iter().collect::<Option<Vec<Predicate>>>()?;
    parts.retain(|part| !matches!(part, Predicate::Literal(false)));
    match parts.len() {
        0 => Some(Predicate::Literal(false)),
        1 => parts.pop(),
        _ => Some(Predicate::Or(parts)),
    }
}

fn plain_column(expr: &Arc<dyn PhysicalExpr>) -> Option<usize> {
    expr.downcast_ref::<Column>().map(Column::index)
}

/// A column, perhaps under a cast that loses nothing: its index and own type.
fn column<'s>(expr: &Arc<dyn PhysicalExpr>, schema: &'s Schema) -> Option<(usize, &'s DataType)> {
    if let Some(cast) = expr.downcast_ref::<CastExpr>() {
        let index = plain_column(cast.expr())?;
        let own = schema.fields().get(index)?.data_type();
        return lossless(own, cast.cast_type()).then_some((index, own));
    }
    let index = plain_column(expr)?;
    Some((index, schema.fields().get(index)?.data_type()))
}

fn literal(expr: &Arc<dyn PhysicalExpr>) -> Option<&ScalarValue> {
    expr.downcast_ref::<Literal>().map(|literal| match literal.value() {
        ScalarValue::Dictionary(_, value) => value.as_ref(),
        value => value,
    })
}

fn exact_binary(binary: &BinaryExpr, schema: &Schema) -> Option<Predicate> {
    let (left, right) = (binary.left(), binary.right());
    match binary.op() {
        Operator::And => {
            return Some(Predicate::And(vec![exact(left, schema)?, exact(right, schema)?]));
        }
        Operator::Or => {
            return Some(Predicate::Or(vec![exact(left, schema)?, exact(right, schema)?]));
        }
        _ => {}
    }
    let (op, left, right) = match literal(left) {
        Some(_) => (binary.op().swap()?, right, left),
        None => (*binary.op(), left, right),
    };
    let (index, own) = column(left, schema)?;
    if let Some(value) = literal(right) {
        return match op {
            Operator::IsDistinctFrom => {
                Some(Predicate::Not(Box::new(not_distinct(index, own, value)?)))
            }
            Operator::IsNotDistinctFrom => not_distinct(index, own, value),
            _ => compare(index, own, compare_op(op)?, value),
        };
    }
    let (other, other_type) =
        (plain_column(right)?, schema.fields().get(plain_column(right)?)?.data_type());
    let plain = plain_column(left).is_some();
    // Two columns of floats may hold both zeros, which predicates tell apart.
    let same = plain && own == other_type && comparable(own) && !own.is_floating();
    same.then_some(Predicate::CompareColumns { left: index, op: compare_op(op)?, right: other })
}

fn compare_op(op: Operator) -> Option<CompareOp> {
    Some(match op {
        Operator::Eq => CompareOp::Eq,
        Operator::NotEq => CompareOp::NotEq,
        Operator::Lt => CompareOp::Lt,
        Operator::LtEq => CompareOp::LtEq,
        Operator::Gt => CompareOp::Gt,
        Operator::GtEq => CompareOp::GtEq,
        _ => return None,
    })
}

fn compare(column: usize, own: &DataType, op: CompareOp, value: &ScalarValue) -> Option<Predicate> {
    if !comparable(own) {
        return None;
    }
    let value = value_as(value, own)?;
    let with = |op: CompareOp, value: &ScalarValue| {
        Some(Predicate::Compare { column, op, value: value.to_scalar().ok()? })
    };
    let Some((minus, plus)) = zeros(&value) else { return with(op, &value) };
    // To SQL the two zeros are one value; to predicates, which see floats in total
    // order, they are neighbours.
    match op {
        CompareOp::Lt => with(op, &minus),
        CompareOp::LtEq => with(op, &plus),
        CompareOp::Gt => with(op, &plus),
        CompareOp::GtEq => with(op, &minus),
        CompareOp::Eq => Some(Predicate::And(vec![
            with(CompareOp::GtEq, &minus)?,
            with(CompareOp::LtEq, &plus)?,
        ])),
        CompareOp::NotEq => {
            Some(Predicate::Or(vec![with(CompareOp::Lt, &minus)?, with(CompareOp::Gt, &plus)?]))
        }
    }
}

/// Both zeros of a float type, when `value` is one of them.
fn zeros(value: &ScalarValue) -> Option<(ScalarValue, ScalarValue)> {
    let zero = match value {
        ScalarValue::Float16(Some(v)) => v.to_f32() == 0.0,
        ScalarValue::Float32(Some(v)) => *v == 0.0,
        ScalarValue::Float64(Some(v)) => *v == 0.0,
        _ => false,
    };
    let both = [-0.0, 0.0].map(|zero| ScalarValue::Float64(Some(zero)).cast_to(&value.data_type()));
    match both {
        [Ok(minus), Ok(plus)] if zero => Some((minus, plus)),
        _ => None,
    }
}

/// `column IS NOT DISTINCT FROM value`, which is never NULL.
fn not_distinct(column: usize, own: &DataType, value: &ScalarValue) -> Option<Predicate> {
    if value.is_null() {
        return Some(Predicate::IsNull(column));
    }
    let equal = compare(column, own, CompareOp::Eq, value)?;
    Some(Predicate::And(vec![Predicate::IsNotNull(column), equal]))
}

fn exact_in_list(list: &InListExpr, schema: &Schema) -> Option<Predicate> {
    let (column, own) = column(list.expr(), schema)?;
    if !comparable(own) {
        return None;
    }
    let mut has_null = false;
    let mut values = Vec::with_capacity(list.len());
    for item in list.list() {
        let item = literal(item)?;
        if item.is_null() {
            has_null = true;
        } else if item.data_type() != *own && !lossless(own, &item.data_type()) {
            return None;
        } else if let Some(value) = value_as(item, own) {
            match zeros(&value) {
                Some((minus, plus)) => values.extend([minus, plus]),
                None => values.push(value),
            }
        }
        // What the column's type cannot hold is equal to none of its values.
    }
    let values = if values.is_empty() {
        new_empty_array(own)
    } else {
        ScalarValue::iter_to_array(values).ok()?
    };
    if !has_null {
        return Some(Predicate::In { column, values, negated: list.negated() });
    }
    // With a NULL in the list, what is not found is NULL.
    let found = Predicate::In { column, values, negated: false };
    let null = ScalarValue::try_new_null(own).ok()?.to_scalar().ok()?;
    let unknown = Predicate::Compare { column, op: CompareOp::Eq, value: null };
    let either = Predicate::Or(vec![found, unknown]);
    Some(if list.negated() { Predicate::Not(Box::new(either)) } else { either })
}

fn exact_like(like: &LikeExpr, schema: &Schema) -> Option<Predicate> {
    let column = plain_column(like.expr())?;
    let own = schema.fields().get(column)?.data_type();
    let pattern = literal(like.pattern())?.try_as_str()??.to_owned();
    own.is_string().then_some(Predicate::Like {
        column,
        pattern,
        negated: like.negated(),
        case_insensitive: like.case_insensitive(),
    })
}

/// Types whose values predicates compare.
fn comparable(data_type: &DataType) -> bool {
    data_type.is_primitive()
        || data_type.is_string()
        || matches!(
            data_type,
            DataType::Boolean
                | DataType::Binary
                | DataType::LargeBinary
                | DataType::BinaryView
                | DataType::FixedSizeBinary(_)
        )
}

/// `value` as a value of type `own`, when that is the same value: comparing in the
/// wider of the two types is then the same as comparing in `own`.
fn value_as(value: &ScalarValue, own: &DataType) -> Option<ScalarValue> {
    let from = value.data_type();
    if from == *own {
        return Some(value.clone());
    }
    if value.is_null() {
        return ScalarValue::try_new_null(own).ok();
    }
    if !lossless(own, &from) {
        return None;
    }
    let narrow = value.cast_to(own).ok().filter(|narrow| !narrow.is_null())?;
    (narrow.cast_to(&from).ok()? == *value).then_some(narrow)
}

/// Whether every value of `from` has its own value of `to`, in the same order.
fn lossless(from: &DataType, to: &DataType) -> bool {
    use DataType::{Binary, BinaryView, Date32, Float32, Float64, LargeBinary, Timestamp};
    if from == to || (from.is_string() && to.is_string()) {
        return true;
    }
    if let (Some((from_bits, from_signed)), Some((to_bits, to_signed))) =
        (integer(from), integer(to))
    {
        return if from_signed == to_signed {
            from_bits <= to_bits
        } else {
            to_signed && from_bits < to_bits
        };
    }
    if let (Some((from_precision, from_scale)), Some((to_precision, to_scale))) =
        (decimal(from), decimal(to))
    {
        return decimal(to).is_some()
            && integer(to).is_none()
            && from_scale <= to_scale
            && from_precision - from_scale <= to_precision - to_scale;
    }
    matches!(
        (from, to),
        (Float32, Float64)
            | (Binary | LargeBinary | BinaryView, Binary | LargeBinary | BinaryView)
            | (Date32, Timestamp(_, None))
    )
}

/// Bits of an integer type, and whether it is signed.
fn integer(data_type: &DataType) -> Option<(u32, bool)> {
    Some(match data_type {
        DataType::Int8 => (8, true),
        DataType::Int16 => (16, true),
        DataType::Int32 => (32, true),
        DataType::Int64 => (64, true),
        DataType::UInt8 => (8, false),
        DataType::UInt16 => (16, false),
        DataType::UInt32 => (32, false),
        DataType::UInt64 => (64, false),
        _ => return None,
    })
}

/// Precision and scale of a decimal type, or of an integer seen as one.
fn decimal(data_type: &DataType) -> Option<(i32, i32)> {
    let (precision, scale) = match data_type {
        DataType::Decimal32(p, s)
        | DataType::Decimal64(p, s)
        | DataType::Decimal128(p, s)
        | DataType::Decimal256(p, s) => (i32::from(*p), i32::from(*s)),
        DataType::Int8 | DataType::UInt8 => (3, 0),
        DataType::Int16 | DataType::UInt16 => (5, 0),
        DataType::Int32 | DataType::UInt32 => (10, 0),
        DataType::Int64 => (19, 0),
        DataType::UInt64 => (20, 0),
        _ => return None,
    };
    Some((precision, scale))
}
