//! Joins that give the processor back.
//!
//! A statement can only end between two waits of its tasks. DataFusion has the leaves of a
//! plan wait now and then, which is too seldom where a join makes millions of rows of one
//! batch: an aggregate above it takes them without a wait, for minutes. So what joins give
//! is counted too.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::joins::{
    CrossJoinExec, HashJoinExec, NestedLoopJoinExec, PiecewiseMergeJoinExec, SortMergeJoinExec,
};

use crate::joins::SpillingJoinExec;

/// See the module's documentation.
pub(super) fn rewrite(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    let yielding = |plan: Arc<dyn ExecutionPlan>| match is_join(&plan) {
        true => Transformed::yes(Arc::new(CooperativeExec::new(plan)) as _),
        false => Transformed::no(plan),
    };
    plan.transform_up(|plan| Ok(yielding(plan))).data()
}

fn is_join(plan: &Arc<dyn ExecutionPlan>) -> bool {
    plan.is::<HashJoinExec>()
        || plan.is::<SpillingJoinExec>()
        || plan.is::<SortMergeJoinExec>()
        || plan.is::<PiecewiseMergeJoinExec>()
        || plan.is::<NestedLoopJoinExec>()
        || plan.is::<CrossJoinExec>()
}
