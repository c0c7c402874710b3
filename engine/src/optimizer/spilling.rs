//! Operators that spill in place of those that cannot, where what these keep does not fit.
//!
//! A hash join keeps all rows of its left side, and ORDER BY with LIMIT the first rows of
//! all, in memory. When that is more than a part of what queries may hold, both sides of the
//! join are sorted instead, or all rows are and the rest is cut off: slower, and answered.

use std::sync::Arc;

use arrow::datatypes::{DataType, Schema};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{JoinType, Result};
use datafusion::execution::memory_pool::{MemoryLimit, MemoryPool};
use datafusion::physical_expr::projection::ProjectionExprs;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::joins::{HashJoinExec, SortMergeJoinExec};
use datafusion::physical_plan::limit::LocalLimitExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::statistics::{StatisticsArgs, StatisticsContext};

/// One over this of what queries may hold is for one operator that cannot spill.
const SHARE: usize = 4;

/// Bytes that a row takes beside its values: its place in a hash table, or in a heap.
const ROW_BYTES: usize = 24;

/// Bytes that a value of a type without a width takes, more or less.
const VALUE_BYTES: usize = 48;

/// Sorts both sides of joins that would not fit. Has to run before the rules that sort and
/// distribute what operators want sorted and distributed.
#[derive(Debug)]
pub(super) struct SpillingJoins(pub Arc<dyn MemoryPool>);

impl PhysicalOptimizerRule for SpillingJoins {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let spilling = |plan: Arc<dyn ExecutionPlan>| match plan.downcast_ref::<HashJoinExec>() {
            Some(join) if can_be_sorted(join) && !fits(&self.0, rows(join.left()), join.left()) => {
                Ok(Transformed::yes(sorted(join)?))
            }
            _ => Ok(Transformed::no(plan)),
        };
        plan.transform_up(spilling).data()
    }

    fn name(&self) -> &str {
        "spilling_joins"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

fn can_be_sorted(join: &HashJoinExec) -> bool {
    let is_mark = matches!(join.join_type(), JoinType::LeftMark | JoinType::RightMark);
    !join.null_aware && !is_mark
}

/// The same join of sorted sides.
fn sorted(join: &HashJoinExec) -> Result<Arc<dyn ExecutionPlan>> {
    let sorted = SortMergeJoinExec::try_new(
        Arc::clone(join.left()),
        Arc::clone(join.right()),
        join.on().to_vec(),
        join.filter().cloned(),
        *join.join_type(),
        vec![Default::default(); join.on().len()],
        join.null_equality(),
    )?;
    let Some(columns) = &join.projection else { return Ok(Arc::new(sorted)) };
    let columns = ProjectionExprs::from_indices(columns, &sorted.schema());
    Ok(Arc::new(ProjectionExec::try_new(columns, Arc::new(sorted))?))
}

/// Sorts all rows where so many are wanted of them that they would not fit.
#[derive(Debug)]
pub(super) struct SpillingLimits(pub Arc<dyn MemoryPool>);

impl PhysicalOptimizerRule for SpillingLimits {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let spilling = |plan: Arc<dyn ExecutionPlan>| {
            let sort = plan.downcast_ref::<SortExec>();
            let Some((sort, fetch)) = sort.and_then(|sort| Some((sort, sort.fetch()?))) else {
                return Ok(Transformed::no(plan));
            };
            if fits(&self.0, Some(fetch), &plan) {
                return Ok(Transformed::no(plan));
            }
            let all = Arc::new(sort.with_fetch(None));
            Ok(Transformed::yes(Arc::new(LocalLimitExec::new(all, fetch)) as _))
        };
        plan.transform_up(spilling).data()
    }

    fn name(&self) -> &str {
        "spilling_limits"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// The rows of a plan, where that is known.
fn rows(plan: &Arc<dyn ExecutionPlan>) -> Option<usize> {
    let statistics = StatisticsContext::new().compute(plan.as_ref(), &StatisticsArgs::new());
    statistics.ok()?.num_rows.get_value().copied()
}

/// Whether so many rows of a plan may be kept by one operator.
fn fits(memory: &Arc<dyn MemoryPool>, rows: Option<usize>, plan: &Arc<dyn ExecutionPlan>) -> bool {
    let (Some(rows), MemoryLimit::Finite(all)) = (rows, memory.memory_limit()) else { return true };
    rows.saturating_mul(row_bytes(&plan.schema())) <= all / SHARE
}

fn row_bytes(schema: &Schema) -> usize {
    let width = |data_type: &DataType| data_type.primitive_width().unwrap_or(VALUE_BYTES);
    ROW_BYTES + schema.fields().iter().map(|field| width(field.data_type())).sum::<usize>()
}
