//! Casts between UUIDs and text, which Arrow would do byte by byte, and of `\x…`
//! literals to bytes.

use std::hash::Hash;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, StringViewArray};
use arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::Result as PlanResult;
use datafusion::logical_expr::expr::{Cast, InList, ScalarFunction};
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};

use super::uuid::{UUID_BYTES, format_uuid, is_uuid, literal};
use crate::dml::assign;

const UUID: DataType = DataType::FixedSizeBinary(UUID_BYTES);

/// Rewrites casts and IN lists of a plan before types are coerced.
#[derive(Debug)]
pub(crate) struct UuidCasts;

impl FunctionRewrite for UuidCasts {
    fn name(&self) -> &str {
        "uuid_casts"
    }

    fn rewrite(
        &self,
        expr: Expr,
        schema: &DFSchema,
        _: &ConfigOptions,
    ) -> PlanResult<Transformed<Expr>> {
        match expr {
            Expr::Cast(Cast { expr: value, field }) => {
                let to = field.data_type();
                let concerns =
                    matches!(to, DataType::BinaryView) || *to == UUID || is_text_type(to);
                let from = if concerns {
                    value.get_type(schema).unwrap_or(DataType::Null)
                } else {
                    DataType::Null
                };
                if *to == UUID && is_text_type(&from) {
                    return Ok(Transformed::yes(call(Direction::FromText, *value)));
                }
                if from == UUID && is_text_type(to) {
                    return Ok(Transformed::yes(call(Direction::ToText, *value)));
                }
                if let (DataType::BinaryView, Expr::Literal(text, _)) = (to, value.as_ref())
                    && is_text_type(&from)
                {
                    let bytes = assign(&text.to_array()?, "?", to)?;
                    return Ok(Transformed::yes(Expr::Literal(
                        ScalarValue::try_from_array(&bytes, 0)?,
                        None,
                    )));
                }
                Ok(Transformed::no(Expr::Cast(Cast { expr: value, field })))
            }
            Expr::InList(InList { expr, list, negated }) if is_uuid(&expr, schema) => {
                let list = list.iter().map(literal).collect::<PlanResult<Vec<_>>>()?;
                Ok(Transformed::yes(Expr::InList(InList { expr, list, negated })))
            }
            other => Ok(Transformed::no(other)),
        }
    }
}

fn is_text_type(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

fn call(direction: Direction, value: Expr) -> Expr {
    let function = Arc::new(ScalarUDF::from(UuidCast::new(direction)));
    Expr::ScalarFunction(ScalarFunction::new_udf(function, vec![value]))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Direction {
    FromText,
    ToText,
}

/// The cast as a function.
#[derive(Debug, PartialEq, Eq, Hash)]
struct UuidCast {
    direction: Direction,
    signature: Signature,
}

impl UuidCast {
    fn new(direction: Direction) -> Self {
        Self { direction, signature: Signature::any(1, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for UuidCast {
    fn name(&self) -> &str {
        match self.direction {
            Direction::FromText => "text_to_uuid",
            Direction::ToText => "uuid_to_text",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> PlanResult<DataType> {
        Ok(match self.direction {
            Direction::FromText => UUID,
            Direction::ToText => DataType::Utf8View,
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> PlanResult<ColumnarValue> {
        let is_scalar = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let [values] = <[ArrayRef; 1]>::try_from(ColumnarValue::values_to_arrays(&args.args)?)
            .map_err(|_| datafusion::common::internal_datafusion_err!("a cast has one argument"))?;
        let result: ArrayRef = match self.direction {
            Direction::FromText => assign(&values, "uuid", &UUID)?,
            Direction::ToText => {
                let texts = values.as_fixed_size_binary().iter().map(|uuid| uuid.map(format_uuid));
                Arc::new(texts.collect::<StringViewArray>())
            }
        };
        if is_scalar {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&result, 0)?));
        }
        Ok(ColumnarValue::Array(result))
    }
}
