//! Predicates as Vortex expressions.
//!
//! A part that Vortex cannot evaluate exactly as [`Predicate::evaluate`] does is not
//! converted and stays with the caller.

use arrow::array::{Array, ArrayRef, AsArray, Datum};
use arrow::datatypes::{DataType, Field, Float16Type, Float32Type, Float64Type};
use vortex::array::VortexSessionExecute;
use vortex::arrow::ArrowSessionExt;
use vortex::dtype::DType;
use vortex::expr::{
    BoundExpression, Expression, and_collect, binary, col, in_list_of, is_not_null, is_null, lit,
    not, or_collect,
};
use vortex::scalar::Scalar;
use vortex::scalar_fn::ScalarFnVTableExt;
use vortex::scalar_fn::fns::like::{Like, LikeOptions};
use vortex::scalar_fn::fns::operators::Operator;

use super::field_name;
use super::runtime::session;
use crate::predicate::{CompareOp, Predicate};
use crate::segment::storage::StorageMap;

/// Longer lists are cheaper in a hash set over the decoded column.
const LIST_MAX: usize = 64;

/// A predicate in two parts, both of which must be true.
pub(super) struct Split {
    /// Evaluated by Vortex while it decodes.
    pub(super) native: Option<BoundExpression>,
    /// Evaluated on decoded batches.
    pub(super) residual: Option<Predicate>,
}

/// Splits `predicate` over a file of type `dtype`.
pub(super) fn split(predicate: Predicate, storage: &StorageMap, dtype: &DType) -> Split {
    let mut native = Vec::new();
    let mut residual = Vec::new();
    for part in predicate.into_conjuncts() {
        // Binding checks the types, so a part that does not fit is not lost.
        match convert(&part, storage).filter(|expression| expression.bind(dtype).is_ok()) {
            Some(expression) => native.push((expression, part)),
            None => residual.push(part),
        }
    }
    let (expressions, parts): (Vec<_>, Vec<_>) = native.into_iter().unzip();
    let all = and_collect(expressions);
    let bound = all.map(|all| all.bind(dtype).and_then(|bound| bound.optimize_recursive()));
    let native = match bound.transpose() {
        Ok(native) => native,
        Err(_) => {
            residual.extend(parts);
            None
        }
    };
    let residual = match residual.len() {
        0 => None,
        1 => residual.pop(),
        _ => Some(Predicate::And(residual)),
    };
    Split { native, residual }
}

fn convert(predicate: &Predicate, storage: &StorageMap) -> Option<Expression> {
    let column = |index: usize| col(field_name(index));
    let all = |parts: &[Predicate]| -> Option<Vec<Expression>> {
        parts.iter().map(|part| convert(part, storage)).collect()
    };
    Some(match predicate {
        Predicate::Literal(value) => lit(*value),
        Predicate::Compare { column: index, op, value } => {
            let mut scalars = literals(*index, &value.get().0.slice(0, 1), storage)?;
            binary(operator(*op), column(*index), lit(scalars.pop()?))
        }
        Predicate::CompareColumns { left, op, right } => {
            let types = [*left, *right].map(|index| comparable(index, storage));
            if types != [true, true] {
                return None;
            }
            binary(operator(*op), column(*left), column(*right))
        }
        Predicate::In { column: index, values, negated } => {
            if values.len() > LIST_MAX || values.is_empty() {
                return None;
            }
            let scalars = literals(*index, values, storage)?;
            let element = scalars.first()?.dtype().clone();
            let found = in_list_of(column(*index), element, scalars).ok()?;
            if *negated { not(found) } else { found }
        }
        Predicate::IsNull(index) => is_null(column(*index)),
        Predicate::IsNotNull(index) => is_not_null(column(*index)),
        Predicate::IsTrue(index) => column(*index),
        Predicate::Like { column: index, pattern, negated, case_insensitive } => {
            // Vortex has fast paths of its own for patterns; escapes are left to Arrow.
            if pattern.contains('\\') || !stored(*index, storage)?.is_string() {
                return None;
            }
            let options = LikeOptions { negated: *negated, case_insensitive: *case_insensitive };
            Like.new_expr(options, [column(*index), lit(pattern.as_str())])
        }
        Predicate::Check { .. } => return None,
        Predicate::And(parts) => and_collect(all(parts)?).unwrap_or_else(|| lit(true)),
        Predicate::Or(parts) => or_collect(all(parts)?).unwrap_or_else(|| lit(false)),
        Predicate::Not(inner) => not(convert(inner, storage)?),
    })
}

fn operator(op: CompareOp) -> Operator {
    match op {
        CompareOp::Eq => Operator::Eq,
        CompareOp::NotEq => Operator::NotEq,
        CompareOp::Lt => Operator::Lt,
        CompareOp::LtEq => Operator::Lte,
        CompareOp::Gt => Operator::Gt,
        CompareOp::GtEq => Operator::Gte,
    }
}

fn stored(index: usize, storage: &StorageMap) -> Option<DataType> {
    Some(storage.stored.fields().get(index)?.data_type().clone())
}

/// True for columns whose stored values compare as the values themselves do.
fn comparable(index: usize, storage: &StorageMap) -> bool {
    let Some(field) = storage.logical.fields().get(index) else {
        return false;
    };
    let flat = match field.data_type() {
        DataType::Dictionary(_, values) => values,
        DataType::RunEndEncoded(_, values) => values.data_type(),
        other => other,
    };
    !flat.is_nested() && !matches!(flat, DataType::Interval(_) | DataType::Null)
}

/// `values` as scalars of a stored column; `None` when one of them compares
/// differently in Vortex.
fn literals(index: usize, values: &ArrayRef, storage: &StorageMap) -> Option<Vec<Scalar>> {
    if !comparable(index, storage) || values.null_count() > 0 || has_odd_float(values) {
        return None;
    }
    let values = storage.literal(index, values).ok()?;
    if values.data_type() != &stored(index, storage)? {
        return None;
    }
    let field = Field::new("", values.data_type().clone(), false);
    let array = session().arrow().from_arrow_array(values, &field).ok()?;
    let mut context = session().create_execution_ctx();
    (0..array.len()).map(|index| array.execute_scalar(index, &mut context).ok()).collect()
}

/// Zeros and NaNs: what Vortex keeps as bounds of a block forgets the sign of the
/// one and leaves the other out.
fn has_odd_float(values: &ArrayRef) -> bool {
    match values.data_type() {
        DataType::Float16 => values
            .as_primitive::<Float16Type>()
            .values()
            .iter()
            .any(|v| v.to_f32() == 0.0 || v.is_nan()),
        DataType::Float32 => {
            values.as_primitive::<Float32Type>().values().iter().any(|v| *v == 0.0 || v.is_nan())
        }
        DataType::Float64 => {
            values.as_primitive::<Float64Type>().values().iter().any(|v| *v == 0.0 || v.is_nan())
        }
        _ => false,
    }
}
