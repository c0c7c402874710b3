//! `vector_dims(v)` and `vector_norm(v)`.

use std::sync::Arc;

use datafusion::arrow::array::{AsArray, Int32Array};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{DataFusionError, ScalarValue, internal_err, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

use super::types::as_vector;

/// A number about each vector.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Measure {
    what: What,
    signature: Signature,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum What {
    Dimensions,
    Norm,
}

/// Both functions.
pub(super) fn functions() -> [Measure; 2] {
    [What::Dimensions, What::Norm]
        .map(|what| Measure { what, signature: Signature::user_defined(Volatility::Immutable) })
}

impl ScalarUDFImpl for Measure {
    fn name(&self) -> &str {
        match self.what {
            What::Dimensions => "vector_dims",
            What::Norm => "vector_norm",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [vector] if as_vector(vector).is_some() => Ok(types.to_vec()),
            _ => plan_err!("{} takes a vector", self.name()),
        }
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(match self.what {
            What::Dimensions => DataType::Int32,
            What::Norm => DataType::Float64,
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [vectors] = args.args.as_slice() else {
            return internal_err!("{} takes one argument", self.name());
        };
        let constant = matches!(vectors, ColumnarValue::Scalar(_));
        let array = vectors.to_array(if constant { 1 } else { args.number_rows })?;
        let result: ColumnarValue = match (self.what, as_vector(array.data_type())) {
            (What::Dimensions, Some((dimension, _))) => {
                let dimensions =
                    Int32Array::new(vec![dimension; array.len()].into(), array.nulls().cloned());
                ColumnarValue::Array(Arc::new(dimensions))
            }
            (What::Norm, Some(_)) => {
                let norms = sheaf_vector::norms(array.as_fixed_size_list())
                    .map_err(|e| DataFusionError::External(Box::new(e)))?;
                ColumnarValue::Array(Arc::new(norms))
            }
            (_, None) => return internal_err!("{} takes a vector", self.name()),
        };
        match result {
            ColumnarValue::Array(array) if constant => {
                Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&array, 0)?))
            }
            other => Ok(other),
        }
    }
}
