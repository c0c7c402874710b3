//! `to_vector(text or list, n)` and `to_halfvec(text or list, n)`.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{ScalarValue, internal_err, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility, lit,
};

use super::convert::{column, convertible};
use super::types::{as_vector, check_dimension, vector_type};

/// Makes vectors of a fixed dimension.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct ToVector {
    half: bool,
    signature: Signature,
}

/// Both functions.
pub(super) fn functions() -> [ToVector; 2] {
    [false, true].map(ToVector::new)
}

/// A call that makes vectors of type `target` from `value`.
pub(super) fn call(value: Expr, dimension: i32, half: bool) -> Expr {
    ScalarUDF::from(ToVector::new(half)).call(vec![value, lit(i64::from(dimension))])
}

impl ToVector {
    fn new(half: bool) -> Self {
        Self { half, signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for ToVector {
    fn name(&self) -> &str {
        if self.half { "to_halfvec" } else { "to_vector" }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [value, n] if convertible(value) && (n.is_integer() || n.is_null()) => {
                Ok(vec![value.clone(), DataType::Int64])
            }
            _ => plan_err!(
                "{0} takes a text or list of numbers and a dimension: {0}('[1, 2, 3]', 3)",
                self.name()
            ),
        }
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        internal_err!("the type of {} depends on its second argument", self.name())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let dimension = match args.scalar_arguments.get(1) {
            Some(Some(n)) => match n.cast_to(&DataType::Int64)? {
                ScalarValue::Int64(Some(n)) => check_dimension(n)?,
                _ => return plan_err!("the dimension of {} must not be NULL", self.name()),
            },
            _ => return plan_err!("the dimension of {} must be a constant", self.name()),
        };
        Ok(Arc::new(Field::new(self.name(), vector_type(dimension, self.half), true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let Some((dimension, half)) = as_vector(args.return_field.data_type()) else {
            return internal_err!("{} must return a vector", self.name());
        };
        match args.args.first() {
            Some(ColumnarValue::Array(values)) => {
                Ok(ColumnarValue::Array(Arc::new(column(values, dimension, half)?)))
            }
            Some(ColumnarValue::Scalar(value)) => {
                let vector = column(&value.to_array()?, dimension, half)?;
                Ok(ColumnarValue::Scalar(ScalarValue::FixedSizeList(Arc::new(vector))))
            }
            None => internal_err!("{} without arguments", self.name()),
        }
    }
}
