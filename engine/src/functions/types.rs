//! Vector types: how SQL names them, and what Arrow calls them.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{DataFusionError, plan_datafusion_err, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::planner::TypePlanner;
use datafusion::sql::sqlparser::ast::{ArrayElemTypeDef, DataType as SqlType};
use sheaf_vector::dimension;

/// Largest dimension of a vector, the limit of the fixed-size blocks of an index.
const MAX_DIMENSION: i32 = 65_535;

/// The Arrow type of `VECTOR(dimension)`, or of `HALFVEC(dimension)`.
pub(super) fn vector_type(dimension: i32, half: bool) -> DataType {
    let item = if half { DataType::Float16 } else { DataType::Float32 };
    DataType::new_fixed_size_list(item, dimension, true)
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

/// Knows `VECTOR(n)`, `HALFVEC(n)`, `FLOAT[n]` and `REAL[n]`; other types are left
/// to whoever comes next.
#[derive(Debug, Default)]
pub(crate) struct VectorTypes;

impl TypePlanner for VectorTypes {
    fn plan_type_field(&self, sql_type: &SqlType) -> Result<Option<FieldRef>> {
        Ok(plan(sql_type)?.map(|data_type| Arc::new(Field::new("", data_type, true))))
    }
}

fn plan(sql_type: &SqlType) -> Result<Option<DataType>> {
    match sql_type {
        SqlType::Custom(name, modifiers) => {
            let half = match name.to_string().to_ascii_lowercase().as_str() {
                "vector" => false,
                "halfvec" => true,
                _ => return Ok(None),
            };
            let [modifier] = modifiers.as_slice() else {
                return plan_err!("{name} needs a dimension: {name}(3)");
            };
            let Ok(dimension) = modifier.parse() else {
                return plan_err!("'{modifier}' is not a dimension: write for example {name}(3)");
            };
            Ok(Some(vector_type(check_dimension(dimension)?, half)))
        }
        SqlType::Array(ArrayElemTypeDef::SquareBracket(item, Some(n)))
            if matches!(**item, SqlType::Float(_) | SqlType::Float4 | SqlType::Real) =>
        {
            let dimension = i64::try_from(*n).unwrap_or(i64::MAX);
            Ok(Some(vector_type(check_dimension(dimension)?, false)))
        }
        _ => Ok(None),
    }
}
