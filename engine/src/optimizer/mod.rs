//! What Sheaf's planner does beyond DataFusion's.
//!
//! ```text
//!   reorder_joins    finds groups of inner, semi and anti joins, and builds them anew
//!     join_graph     a group as relations, what equates them, and other conditions
//!     join_order     the cheapest tree over a graph
//!   orient_joins     the smaller side of each join to the left
//!     estimate       rows and distinct values of a logical plan
//!   compact_texts    fewer buffers of text in what joins are built from
//!   keep_order       rows of files in the order of the files
//!   spilling_limits  ORDER BY with a LIMIT that does not fit in memory
//!   unique_names     names of columns that filters can be pushed down by
//!   yielding_joins   joins that let their statement be ended
//! ```
//!
//! Hash joins become those of [`crate::joins`].

use std::fmt;
use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::execution::memory_pool::MemoryPool;
use datafusion::optimizer::{Optimizer, OptimizerRule};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::physical_plan::ExecutionPlan;

use orient_joins::{OrientJoins, SheafJoinSelection};
use reorder_joins::ReorderJoins;
use unique_names::{SheafFilterPushdown, UniqueNames};

use crate::joins::SpillingJoinExec;

mod compact_texts;
mod estimate;
mod join_graph;
mod join_order;
mod keep_order;
mod orient_joins;
mod reorder_joins;
mod spilling_limits;
mod unique_names;
mod yielding_joins;

/// DataFusion's rules for logical plans, and ours: joins are ordered when filters are
/// where they belong, and before columns that nobody wants are dropped.
pub(crate) fn logical_rules() -> Vec<Arc<dyn OptimizerRule + Send + Sync>> {
    let mut rules = Optimizer::new().rules;
    let columns = rules.iter().position(|rule| rule.name() == "optimize_projections");
    let at = columns.unwrap_or(rules.len());
    rules.splice(at..at, [Arc::new(ReorderJoins) as _, Arc::new(OrientJoins) as _]);
    rules.push(Arc::new(UniqueNames));
    rules
}

/// DataFusion's rules for physical plans, with our choice of how joins are made,
/// and filters pushed down only to the columns that they are about. What they run with may
/// hold `memory`.
pub(crate) fn physical_rules(
    memory: &Arc<dyn MemoryPool>,
) -> Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
    let ours = |rule: Arc<dyn PhysicalOptimizerRule + Send + Sync>| match rule.name() {
        name if name == SheafJoinSelection.name() => Arc::new(SheafJoinSelection) as _,
        name if name.starts_with("FilterPushdown") => Arc::new(SheafFilterPushdown(rule)) as _,
        _ => rule,
    };
    let mut rules: Vec<_> = PhysicalOptimizer::new().rules.into_iter().map(ours).collect();
    let memory = Arc::clone(memory);
    rules.push(rule("spilling_limits", move |plan| spilling_limits::rewrite(plan, &memory)));
    rules.push(rule("compact_texts", compact_texts::rewrite));
    rules.push(rule("keep_order", keep_order::rewrite));
    rules.push(rule("spilling_joins", spilling_joins));
    rules.push(rule("yielding_joins", yielding_joins::rewrite));
    rules
}

/// Hash joins that can go on in files.
fn spilling_joins(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    let spilling = |plan: Arc<dyn ExecutionPlan>| {
        Ok(match SpillingJoinExec::of(&plan)? {
            Some(join) => Transformed::yes(Arc::new(join) as _),
            None => Transformed::no(plan),
        })
    };
    plan.transform_up(spilling).data()
}

/// A rule that is one function over a plan.
fn rule(
    name: &'static str,
    rewrite: impl Fn(Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> + Send + Sync + 'static,
) -> Arc<dyn PhysicalOptimizerRule + Send + Sync> {
    Arc::new(Rule { name, rewrite })
}

struct Rule<F> {
    name: &'static str,
    rewrite: F,
}

impl<F> fmt::Debug for Rule<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl<F> PhysicalOptimizerRule for Rule<F>
where
    F: Fn(Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> + Send + Sync + 'static,
{
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        (self.rewrite)(plan)
    }

    fn name(&self) -> &str {
        self.name
    }

    fn schema_check(&self) -> bool {
        true
    }
}
