//! Vector types: what counts as a vector, and what a vector is made as.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field};
use datafusion::common::{DataFusionError, plan_datafusion_err, plan_err};
use datafusion::error::Result;
use sheaf_vector::dimension;

/// Largest dimension of a vector: pgvector's limit for stored vectors.
const MAX_DIMENSION: i32 = 16_000;

/// The Arrow type of `VECTOR(dimension)`, or of `HALFVEC(dimension)`. Its items are
/// never NULL: a vector is there as a whole or not at all.
pub(super) fn vector_type(dimension: i32, half: bool) -> DataType {
    let item = if half { DataType::Float16 } else { DataType::Float32 };
    DataType::FixedSizeList(Arc::new(Field::new_list_field(item, false)), dimension)
}

/// Dimension and width of a vector type: `(dimension, is half precision)`.
pub(super) fn as_vector(data_type: &DataType) -> Option<(i32, bool)> {
    match data_type {
        DataType::FixedSizeList(item, n) => {
            dimension(data_type).map(|_| (*n, *item.data_type() == DataType::Float16))
        }
        _ => None,
    }
}

/// What vectors of different lengths are: an error.
pub(super) fn mismatch(left: i32, right: i32) -> DataFusionError {
    plan_datafusion_err!("different vector dimensions {left} and {right}")
}

/// Checks a dimension from SQL.
pub(super) fn check_dimension(dimension: i64) -> Result<i32> {
    match i32::try_from(dimension) {
        Ok(n) if (1..=MAX_DIMENSION).contains(&n) => Ok(n),
        _ => plan_err!("a vector has between 1 and {MAX_DIMENSION} dimensions, not {dimension}"),
    }
}
