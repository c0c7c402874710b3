//! Joins in the order that costs least by the statistics of tables, instead of the
//! order in which the query names them.
//!
//! Inner, semi and anti joins that follow each other are one group. Its conditions are
//! gathered in a [`JoinGraph`], the cheapest tree is searched, and when that is clearly
//! cheaper than what is there, the group is built anew: each condition at the first
//! join that has all of its columns.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{JoinConstraint, JoinType, NullEquality, Result};
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, Filter, Join, LogicalPlan};
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

use super::join_graph::{Class, Condition, JoinGraph, Set, Tree, is_movable};
use super::join_order::{cheapest, cost};
use super::orient_joins::with_columns_of;

/// A new order must promise to cost less than this share of the old one: estimates are
/// rough, and an order that stays lets planning come to an end.
const WORTHWHILE: f64 = 0.9;

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct ReorderJoins;

impl OptimizerRule for ReorderJoins {
    fn name(&self) -> &str {
        "reorder_joins"
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        _config: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        plan.transform_down_with_subqueries(reorder)
    }
}

/// Reorders the group at the top of the plan, and those below its relations.
fn reorder(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    if !is_movable(&plan) {
        return Ok(Transformed::no(plan));
    }
    let Some((mut graph, old)) = JoinGraph::of(&plan).filter(|(graph, _)| graph.nodes() > 2) else {
        return Ok(Transformed::no(plan));
    };
    let old_cost = cost(&graph, &old);
    let Some((new, _)) = cheapest(&graph).filter(|(_, new)| *new <= old_cost * WORTHWHILE) else {
        let mut inside = reorder_inside(plan)?;
        inside.tnr = TreeNodeRecursion::Jump;
        return Ok(inside);
    };
    let inside = |plan: &mut LogicalPlan| -> Result<()> {
        let taken = std::mem::take(plan);
        *plan = taken.transform_down_with_subqueries(reorder)?.data;
        Ok(())
    };
    for relation in &mut graph.relations {
        inside(&mut relation.plan)?;
    }
    for test in &mut graph.tests {
        inside(Arc::make_mut(&mut test.join.right))?;
    }
    let mut builder = Builder { conditions: std::mem::take(&mut graph.conditions), graph };
    let (joined, _) = builder.build(&new)?;
    let joined = with_columns_of(joined, &plan)?;
    Ok(Transformed::new(joined, true, TreeNodeRecursion::Jump))
}

/// Leaves a group as it is, and reorders those below what it joins.
fn reorder_inside(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    if !is_movable(&plan) {
        return plan.transform_down_with_subqueries(reorder);
    }
    // What a semi or anti join only looks at is no part of the group.
    let mut is_part = match &plan {
        LogicalPlan::Join(join) => match join.join_type {
            JoinType::LeftSemi | JoinType::LeftAnti => [true, false],
            JoinType::RightSemi | JoinType::RightAnti => [false, true],
            _ => [true; 2],
        },
        _ => [true; 2],
    }
    .into_iter();
    plan.map_children(|input| match is_part.next() {
        Some(false) => input.transform_down_with_subqueries(reorder),
        _ => reorder_inside(input),
    })
}

struct Builder {
    graph: JoinGraph,
    /// Those that no join has yet.
    conditions: Vec<Condition>,
}

impl Builder {
    fn build(&mut self, tree: &Tree) -> Result<(LogicalPlan, Set)> {
        match tree {
            Tree::Node(node) => {
                let set = 1 << node;
                let relation = self.graph.relations[*node].plan.clone();
                Ok(match self.take_conditions(set) {
                    Some(condition) => {
                        let filter = Filter::try_new(condition, Arc::new(relation))?;
                        (LogicalPlan::Filter(filter), set)
                    }
                    None => (relation, set),
                })
            }
            Tree::Join(left, right) => {
                let (left, left_set) = self.build(left)?;
                if let Tree::Node(node) = right.as_ref()
                    && let Some(test) = self.graph.test(1 << node)
                {
                    let join = Join::try_new(
                        Arc::new(left),
                        Arc::clone(&test.join.right),
                        test.join.on.clone(),
                        test.join.filter.clone(),
                        test.join.join_type,
                        test.join.join_constraint,
                        test.join.null_equality,
                        false,
                    )?;
                    return Ok((LogicalPlan::Join(join), left_set | 1 << node));
                }
                let (right, right_set) = self.build(right)?;
                let set = left_set | right_set;
                let join = Join::try_new(
                    Arc::new(left),
                    Arc::new(right),
                    self.equalities(left_set, right_set),
                    self.take_conditions(set),
                    JoinType::Inner,
                    JoinConstraint::On,
                    NullEquality::NullEqualsNothing,
                    false,
                )?;
                Ok((LogicalPlan::Join(join), set))
            }
        }
    }

    /// One pair of each class that has members on both sides: inside of a side they are
    /// equal already.
    fn equalities(&self, left: Set, right: Set) -> Vec<(Expr, Expr)> {
        let pair = |class: &Class| {
            let of = |set: Set| class.members.iter().find(|m| set & 1 << m.relation != 0);
            Some((of(left)?.expr.clone(), of(right)?.expr.clone()))
        };
        self.graph.classes.iter().filter_map(pair).collect()
    }

    /// The conditions that can be checked now.
    fn take_conditions(&mut self, set: Set) -> Option<Expr> {
        let ready = self.conditions.extract_if(.., |condition| condition.needs & !set == 0);
        conjunction(ready.map(|condition| condition.expr))
    }
}
