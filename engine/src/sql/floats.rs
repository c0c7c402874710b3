//! A floating-point number beside a decimal: the decimal becomes a floating-point
//! number, as in PostgreSQL. DataFusion would do the opposite, and a small value
//! would be compared as zero.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr::{Between, InList, ScalarFunction};
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;
use datafusion::logical_expr::{BinaryExpr, Case, Expr, ExprSchemable, cast};

/// Functions whose arguments become one type.
const COMMON_TYPE: [&str; 4] = ["coalesce", "greatest", "least", "nullif"];

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct FloatsWin;

impl FunctionRewrite for FloatsWin {
    fn name(&self) -> &str {
        "floats_win"
    }

    fn rewrite(
        &self,
        expr: Expr,
        schema: &DFSchema,
        _config: &ConfigOptions,
    ) -> Result<Transformed<Expr>> {
        let mut expr = expr;
        let changed = match &mut expr {
            Expr::BinaryExpr(BinaryExpr { left, right, op: _ }) => {
                widen(&mut [left, right], schema)
            }
            Expr::Between(Between { expr, low, high, negated: _ }) => {
                widen(&mut [expr, low, high], schema)
            }
            Expr::InList(InList { expr, list, negated: _ }) => {
                let mut all: Vec<&mut Expr> = vec![expr];
                all.extend(list.iter_mut());
                widen(&mut all, schema)
            }
            Expr::Case(Case { expr, when_then_expr, else_expr }) => {
                let (mut compared, mut results): (Vec<&mut Expr>, Vec<&mut Expr>) =
                    when_then_expr.iter_mut().map(|(w, t)| (w.as_mut(), t.as_mut())).unzip();
                results.extend(else_expr.iter_mut().map(AsMut::as_mut));
                let chosen = widen(&mut results, schema);
                match expr {
                    Some(expr) => {
                        compared.push(expr);
                        widen(&mut compared, schema) || chosen
                    }
                    None => chosen,
                }
            }
            Expr::ScalarFunction(ScalarFunction { func, args })
                if COMMON_TYPE.contains(&func.name()) =>
            {
                widen(&mut args.iter_mut().collect::<Vec<_>>(), schema)
            }
            _ => false,
        };
        Ok(if changed { Transformed::yes(expr) } else { Transformed::no(expr) })
    }
}

/// Casts the decimals among `operands` when there is a floating-point number too.
fn widen(operands: &mut [&mut Expr], schema: &DFSchema) -> bool {
    // An operand whose type is not known yet is somebody else's to complain about.
    let types: Vec<Option<DataType>> =
        operands.iter().map(|operand| operand.get_type(schema).ok()).collect();
    if !types.iter().flatten().any(DataType::is_floating) {
        return false;
    }
    let mut changed = false;
    for (operand, data_type) in operands.iter_mut().zip(types) {
        if data_type.is_some_and(|t| t.is_decimal()) {
            let decimal = std::mem::take(*operand);
            **operand = cast(decimal, DataType::Float64);
            changed = true;
        }
    }
    changed
}
