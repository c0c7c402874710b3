//! Casts to vectors, which Arrow does not know from text and does strictly from
//! lists: they become calls of `to_vector` and `to_halfvec`.

use datafusion::common::DFSchema;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::error::Result;
use datafusion::logical_expr::expr::Cast;
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;
use datafusion::logical_expr::{Expr, ExprSchemable};

use super::convert::convertible;
use super::to_vector::call;
use super::types::as_vector;

/// Rewrites the casts of a plan before types are coerced.
#[derive(Debug)]
pub(super) struct VectorCasts;

impl FunctionRewrite for VectorCasts {
    fn name(&self) -> &str {
        "vector_casts"
    }

    fn rewrite(
        &self,
        expr: Expr,
        schema: &DFSchema,
        _: &ConfigOptions,
    ) -> Result<Transformed<Expr>> {
        let Expr::Cast(Cast { expr: value, field }) = &expr else {
            return Ok(Transformed::no(expr));
        };
        let Some((dimension, half)) = as_vector(field.data_type()) else {
            return Ok(Transformed::no(expr));
        };
        // A parameter without a type, or NULL, is fine as it is.
        match value.get_type(schema) {
            Ok(from) if from != *field.data_type() && !from.is_null() && convertible(&from) => {
                Ok(Transformed::yes(call(value.as_ref().clone(), dimension, half)))
            }
            _ => Ok(Transformed::no(expr)),
        }
    }
}
