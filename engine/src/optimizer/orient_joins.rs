//! The smaller side of a join on the left: DataFusion builds its table from the left
//! side and looks rows of the right one up in it.
//!
//! DataFusion swaps sides too, in the physical plan; what it knows there of joins below
//! is worse than our estimate, so [`SheafJoinSelection`] leaves joins of our tables as
//! they are.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{JoinType, Result};
use datafusion::datasource::source::DataSourceExec;
use datafusion::logical_expr::{Expr, Join, LogicalPlan, LogicalPlanBuilder};
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::join_selection::JoinSelection;
use datafusion::physical_plan::ExecutionPlan;

use super::estimate::estimate;
use crate::scan::SheafSource;

/// Sides are swapped when the right one has less than this share of the left one's
/// rows: what stays as it is lets planning come to an end.
const WORTHWHILE: f64 = 0.9;

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct OrientJoins;

impl OptimizerRule for OrientJoins {
    fn name(&self) -> &str {
        "orient_joins"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        _config: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        let LogicalPlan::Join(join) = &plan else { return Ok(Transformed::no(plan)) };
        let is_smaller = || {
            let (left, right) = (estimate(&join.left)?, estimate(&join.right)?);
            Some(right.rows < left.rows * WORTHWHILE)
        };
        if is_smaller() != Some(true) {
            return Ok(Transformed::no(plan));
        }
        let Some(swapped) = swapped(join)? else { return Ok(Transformed::no(plan)) };
        Ok(Transformed::yes(with_columns_of(LogicalPlan::Join(swapped), &plan)?))
    }
}

/// `new` with the columns that were there, in their order: whoever is above expects them.
pub(super) fn with_columns_of(new: LogicalPlan, old: &LogicalPlan) -> Result<LogicalPlan> {
    let columns = old.schema().columns();
    if new.schema().columns() == columns {
        return Ok(new);
    }
    LogicalPlanBuilder::from(new).project(columns.into_iter().map(Expr::Column))?.build()
}

/// The same join with its sides exchanged; `None` when it has to stay.
pub(super) fn swapped(join: &Join) -> Result<Option<Join>> {
    // NOT IN looks at all of its right side first.
    if join.null_aware {
        return Ok(None);
    }
    let join_type = match join.join_type {
        JoinType::Inner | JoinType::Full => join.join_type,
        JoinType::Left => JoinType::Right,
        JoinType::Right => JoinType::Left,
        JoinType::LeftSemi => JoinType::RightSemi,
        JoinType::RightSemi => JoinType::LeftSemi,
        JoinType::LeftAnti => JoinType::RightAnti,
        JoinType::RightAnti => JoinType::LeftAnti,
        JoinType::LeftMark => JoinType::RightMark,
        JoinType::RightMark => JoinType::LeftMark,
    };
    Ok(Some(Join::try_new(
        Arc::clone(&join.right),
        Arc::clone(&join.left),
        join.on.iter().map(|(left, right)| (right.clone(), left.clone())).collect(),
        join.filter.clone(),
        join_type,
        join.join_constraint,
        join.null_equality,
        false,
    )?))
}

/// DataFusion's choice of how joins are made, without exchanging sides where
/// [`OrientJoins`] has seen to them.
#[derive(Debug)]
pub(super) struct SheafJoinSelection;

impl PhysicalOptimizerRule for SheafJoinSelection {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let has_joins = plan.exists(|node| Ok(node.children().len() > 1))?;
        if !has_joins || !config.optimizer.join_reordering || !reads_only_tables(&plan)? {
            return JoinSelection::new().optimize(plan, config);
        }
        let mut config = config.clone();
        config.optimizer.join_reordering = false;
        JoinSelection::new().optimize(plan, &config)
    }

    fn name(&self) -> &str {
        "join_selection"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// Whether every row comes from a table of ours.
fn reads_only_tables(plan: &Arc<dyn ExecutionPlan>) -> Result<bool> {
    let mut only = true;
    plan.apply(|node| {
        let ours = match node.downcast_ref::<DataSourceExec>() {
            Some(scan) => scan.data_source().is::<SheafSource>(),
            None => !node.children().is_empty(),
        };
        only &= ours;
        Ok(if only { TreeNodeRecursion::Continue } else { TreeNodeRecursion::Stop })
    })?;
    Ok(only)
}
