//! Table functions in FROM. DataFusion names every scan of a function alike, and its
//! optimizer then takes `generate_series(1, 2) a, generate_series(1, 3) b` for one
//! relation; here a scan has the name that the query gives it.

use datafusion::common::{DFSchema, TableReference};
use datafusion::error::Result as PlanResult;
use datafusion::logical_expr::LogicalPlanBuilder;
use datafusion::logical_expr::planner::{
    PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning,
};
use datafusion::sql::sqlparser::ast::{
    FunctionArg, FunctionArgExpr, TableFactor, TableFunctionArgs,
};

use super::names::{one_ident, position_of};
use crate::error::Error;

/// Plans `function(…) AS alias`.
#[derive(Debug)]
pub(crate) struct FunctionRelations;

impl RelationPlanner for FunctionRelations {
    fn plan_relation(
        &self,
        relation: TableFactor,
        context: &mut dyn RelationPlannerContext,
    ) -> PlanResult<RelationPlanning> {
        // Hints, versions and samples were refused when the statement was parsed.
        let TableFactor::Table {
            name,
            alias: Some(alias),
            args: Some(TableFunctionArgs { args, settings: None }),
            ..
        } = &relation
        else {
            return Ok(RelationPlanning::Original(Box::new(relation)));
        };
        let function = one_ident(name)?;
        let mut bound = Vec::with_capacity(args.len());
        for arg in args {
            let FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) = arg else {
                let error = Error::not_supported(format!("the argument {arg} of {function}"));
                return Err(error.at(position_of(name)).into());
            };
            bound.push(context.sql_to_expr(expr.clone(), &DFSchema::empty())?);
        }
        let source = context.context_provider().get_table_function_source(&function, bound)?;
        let scan = TableReference::bare(context.normalize_ident(alias.name.clone()));
        let plan = LogicalPlanBuilder::scan(scan, source, None)?.build()?;
        Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(plan, Some(alias.clone())))))
    }
}
