//! `<->`, `<=>` and `<#>` between vectors.
//!
//! The parser reads `<=>` as null-safe equality and knows no meaning for the other
//! two, so they are taken here, before DataFusion plans them, and only where a side
//! is a vector.

use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::DFSchema;
use datafusion::error::Result;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{Expr, ExprSchemable, ScalarUDF};
use datafusion::sql::sqlparser::ast::BinaryOperator;

use super::distance::{Distance, align};
use super::types::as_vector;

/// Plans the distance operators.
#[derive(Debug)]
pub(super) struct VectorOperators;

fn function(operator: &BinaryOperator) -> Option<Distance> {
    let symbol = match operator {
        BinaryOperator::LtDashGt => "<->",
        BinaryOperator::Spaceship => "<=>",
        BinaryOperator::Custom(symbol) => symbol,
        BinaryOperator::PGCustomBinaryOperator(path) => path.last()?,
        _ => return None,
    };
    match symbol {
        "<->" => Some(Distance::l2()),
        "<=>" => Some(Distance::cosine()),
        "<#>" => Some(Distance::negative_inner_product()),
        _ => None,
    }
}

impl ExprPlanner for VectorOperators {
    fn plan_binary_op(
        &self,
        expr: RawBinaryExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawBinaryExpr>> {
        let Some(function) = function(&expr.op) else { return Ok(PlannerResult::Original(expr)) };
        let type_of = |side: &Expr| side.get_type(schema).unwrap_or(DataType::Null);
        let (left, right) = (type_of(&expr.left), type_of(&expr.right));
        if as_vector(&left).or(as_vector(&right)).is_none() {
            return Ok(PlannerResult::Original(expr));
        }
        let (left, right) = align((expr.left, &left), (expr.right, &right))?;
        Ok(PlannerResult::Planned(Arc::new(ScalarUDF::from(function)).call(vec![left, right])))
    }
}
