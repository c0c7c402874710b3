//! What SQL can call beyond DataFusion: vector functions, operators and casts, and
//! time functions.
//!
//! ```text
//!   operators   a <-> b, a <=> b, a <#> b    become calls of
//!   distance    l2_distance, cosine_distance, inner_product, l1_distance, …
//!   measure     vector_dims, vector_norm
//!   casts       '[1,2,3]'::vector(3)         becomes a call of
//!   to_vector   to_vector, to_halfvec
//!      |
//!   convert     text and lists to vectors
//!   types       what counts as a vector
//! ```

mod casts;
mod convert;
mod distance;
mod measure;
mod operators;
mod to_vector;
mod types;

use std::sync::Arc;

use datafusion::error::Result;
use datafusion::execution::FunctionRegistry;
use datafusion::logical_expr::ScalarUDF;

/// Adds every function, operator and rewrite of this module.
pub(crate) fn register(registry: &mut dyn FunctionRegistry) -> Result<()> {
    let distances = distance::functions().map(ScalarUDF::from);
    let measures = measure::functions().map(ScalarUDF::from);
    let conversions = to_vector::functions().map(ScalarUDF::from);
    for function in distances.into_iter().chain(measures).chain(conversions) {
        registry.register_udf(Arc::new(function))?;
    }
    for function in sheaf_timeseries::scalar_functions() {
        registry.register_udf(function)?;
    }
    for function in sheaf_timeseries::aggregate_functions() {
        registry.register_udaf(function)?;
    }
    registry.register_expr_planner(Arc::new(operators::VectorOperators))?;
    registry.register_function_rewrite(Arc::new(casts::VectorCasts))
}

#[cfg(test)]
mod tests;
