//! Distances in SQL: `l2_distance`, `cosine_distance`, `inner_product`,
//! `negative_inner_product` and `l1_distance`.
//!
//! A side may be a vector, a text such as `'[1,2,3]'` or a list of numbers; such a
//! constant beside a vector is converted when the query is planned, so that its
//! dimension is checked then and the kernels see a vector.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, FixedSizeListArray, Float64Array, new_null_array,
};
use datafusion::arrow::datatypes::{DataType, Field};
use datafusion::common::{DataFusionError, ScalarValue, internal_err, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::expr::Placeholder;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use sheaf_vector::{Metric, distances, distances_to};

use super::convert::{column, constant, convertible};
use super::types::{as_vector, mismatch, vector_type};

/// One of the distance functions.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Distance {
    name: &'static str,
    metric: Metric,
    /// The function is the metric's distance with its sign turned.
    negated: bool,
    signature: Signature,
}

/// All of them.
pub(super) fn functions() -> [Distance; 5] {
    [
        Distance::l2(),
        Distance::cosine(),
        Distance::negative_inner_product(),
        Distance::new("inner_product", Metric::NegativeInnerProduct, true),
        Distance::new("l1_distance", Metric::L1, false),
    ]
}

impl Distance {
    /// Euclidean distance, `<->`.
    pub(super) fn l2() -> Self {
        Self::new("l2_distance", Metric::L2, false)
    }

    /// Cosine distance, `<=>`.
    pub(super) fn cosine() -> Self {
        Self::new("cosine_distance", Metric::Cosine, false)
    }

    /// Negative inner product, `<#>`.
    pub(super) fn negative_inner_product() -> Self {
        Self::new("negative_inner_product", Metric::NegativeInnerProduct, false)
    }

    fn new(name: &'static str, metric: Metric, negated: bool) -> Self {
        Self { name, metric, negated, signature: Signature::user_defined(Volatility::Immutable) }
    }
}

/// Lets two sides, each with its type, agree: a constant beside a vector becomes a
/// vector, a parameter without a type gets the vector's. Vectors of different
/// dimensions are an error.
pub(super) fn align(left: (Expr, &DataType), right: (Expr, &DataType)) -> Result<(Expr, Expr)> {
    match (as_vector(left.1), as_vector(right.1)) {
        (Some((l, _)), Some((r, _))) if l != r => Err(mismatch(l, r)),
        (Some((n, half)), None) => Ok((left.0, become_vector(right.0, n, half)?)),
        (None, Some((n, half))) => Ok((become_vector(left.0, n, half)?, right.0)),
        _ => Ok((left.0, right.0)),
    }
}

fn become_vector(expr: Expr, dimension: i32, half: bool) -> Result<Expr> {
    match expr {
        Expr::Literal(value, metadata) if !value.is_null() && convertible(&value.data_type()) => {
            let vector = column(&value.to_array()?, dimension, half)?;
            Ok(Expr::Literal(ScalarValue::FixedSizeList(Arc::new(vector)), metadata))
        }
        Expr::Placeholder(Placeholder { id, field: None }) => {
            let field = Field::new(&id, vector_type(dimension, half), true);
            Ok(Expr::Placeholder(Placeholder { id, field: Some(Arc::new(field)) }))
        }
        other => Ok(other),
    }
}

/// An argument as the kernels want it.
enum Side {
    Constant(Option<Vec<f32>>),
    Column(FixedSizeListArray),
}

/// Converts an argument; `dimension` is the other side's, where that is known.
fn side(value: &ColumnarValue, dimension: Option<i32>) -> Result<Side> {
    match value {
        ColumnarValue::Scalar(value) => Ok(Side::Constant(constant(value)?)),
        ColumnarValue::Array(array) => {
            if as_vector(array.data_type()).is_some() {
                return Ok(Side::Column(array.as_fixed_size_list().clone()));
            }
            let dimension = match dimension {
                Some(dimension) => dimension,
                None => first_dimension(array)?,
            };
            Ok(Side::Column(column(array, dimension, false)?))
        }
    }
}

/// The dimension of the first row that is not NULL, for texts and lists.
fn first_dimension(array: &ArrayRef) -> Result<i32> {
    for row in 0..array.len() {
        if let Some(vector) = constant(&ScalarValue::try_from_array(array, row)?)? {
            return Ok(i32::try_from(vector.len()).unwrap_or(i32::MAX));
        }
    }
    Ok(1)
}

/// What can be known of a side's dimension without looking at rows.
fn known_dimension(value: &ColumnarValue) -> Result<Option<i32>> {
    if let Some((dimension, _)) = as_vector(&value.data_type()) {
        return Ok(Some(dimension));
    }
    match value {
        ColumnarValue::Scalar(value) => {
            Ok(constant(value)?.map(|v| i32::try_from(v.len()).unwrap_or(i32::MAX)))
        }
        ColumnarValue::Array(_) => Ok(None),
    }
}

impl ScalarUDFImpl for Distance {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let [left, right] = types else {
            return plan_err!("{} takes two vectors", self.name);
        };
        if let (Some((l, _)), Some((r, _))) = (as_vector(left), as_vector(right))
            && l != r
        {
            return Err(mismatch(l, r));
        }
        for side in types {
            if !convertible(side) {
                return plan_err!("{} takes vectors, not {side}", self.name);
            }
        }
        Ok(types.to_vec())
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn simplify(&self, args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        let Ok([left, right]) = <[Expr; 2]>::try_from(args) else {
            return internal_err!("{} takes two arguments", self.name);
        };
        let (left_type, right_type) = (info.get_data_type(&left)?, info.get_data_type(&right)?);
        let ready = |t: &DataType| as_vector(t).is_some();
        if ready(&left_type) == ready(&right_type) {
            return Ok(ExprSimplifyResult::Original(vec![left, right]));
        }
        let (before_left, before_right) = (left.clone(), right.clone());
        let (left, right) = align((left, &left_type), (right, &right_type))?;
        if (&left, &right) == (&before_left, &before_right) {
            return Ok(ExprSimplifyResult::Original(vec![left, right]));
        }
        let function = Self::new(self.name, self.metric, self.negated);
        Ok(ExprSimplifyResult::Simplified(ScalarUDF::from(function).call(vec![left, right])))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [left, right] = args.args.as_slice() else {
            return internal_err!("{} takes two arguments", self.name);
        };
        let (l, r) = (known_dimension(left)?, known_dimension(right)?);
        if let (Some(l), Some(r)) = (l, r)
            && l != r
        {
            return Err(mismatch(l, r));
        }
        let sign = if self.negated { -1.0 } else { 1.0 };
        let result = match (side(left, r)?, side(right, l)?) {
            (Side::Constant(Some(left)), Side::Constant(Some(right))) => {
                let distance = sign * self.metric.distance(&left, &right);
                let distance = if distance.is_nan() { f64::NAN } else { distance };
                return Ok(ColumnarValue::Scalar(ScalarValue::Float64(Some(distance))));
            }
            (Side::Constant(_), Side::Constant(_)) => {
                return Ok(ColumnarValue::Scalar(ScalarValue::Float64(None)));
            }
            (Side::Constant(None), Side::Column(column))
            | (Side::Column(column), Side::Constant(None)) => {
                return Ok(ColumnarValue::Array(new_null_array(&DataType::Float64, column.len())));
            }
            // Every metric is symmetric.
            (Side::Constant(Some(one)), Side::Column(many))
            | (Side::Column(many), Side::Constant(Some(one))) => {
                distances_to(self.metric, &many, &one)
            }
            (Side::Column(left), Side::Column(right)) => distances(self.metric, &left, &right),
        };
        let result: Float64Array = result.map_err(|e| DataFusionError::External(Box::new(e)))?;
        // The one NaN that sorts behind every number: the processor's own is negative.
        let result: Float64Array = result.unary(|d| if d.is_nan() { f64::NAN } else { sign * d });
        Ok(ColumnarValue::Array(Arc::new(result)))
    }
}
