//! A group of joins as a graph: relations, the values that it equates, and its other
//! conditions, whatever the order in which the query names them.
//!
//! Equalities are transitive, so expressions that must be equal are a *class*: of
//! `a.x = b.x AND b.x = c.x` a class of three, by which `a` and `c` may be joined
//! directly. A semi or anti join is a *test*: it may be made as soon as the relations
//! are there that it looks at, and it only takes rows away.

use std::collections::HashMap;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Column, DFSchema, JoinType, NullEquality};
use datafusion::logical_expr::utils::split_conjunction_owned;
use datafusion::logical_expr::{Expr, ExprSchemable, Join, LogicalPlan};

use super::estimate::{ColumnEstimate, Estimate, condition_share, estimate};
use super::orient_joins::swapped;

/// A set of nodes: bit *i* is relation *i*, and after the relations come the tests.
pub(super) type Set = u64;

/// Nodes that fit into a set.
const NODES_MAX: usize = 64;

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct JoinGraph {
    pub(super) relations: Vec<Relation>,
    pub(super) tests: Vec<Test>,
    pub(super) classes: Vec<Class>,
    pub(super) conditions: Vec<Condition>,
}

/// Something that is joined: a table with its filters, or a subquery.
#[derive(Debug)]
pub(super) struct Relation {
    pub(super) plan: LogicalPlan,
    pub(super) estimate: Estimate,
}

/// A semi or anti join, with what is looked up on its right side.
#[derive(Debug)]
pub(super) struct Test {
    /// The join; its left side is whatever there is when the test is made.
    pub(super) join: Join,
    pub(super) rows: f64,
    /// Relations that it looks at.
    pub(super) needs: Set,
    /// Share of rows that pass.
    pub(super) share: f64,
}

/// Expressions over one relation each, whose values are equal in every row of the
/// result.
#[derive(Debug)]
pub(super) struct Class {
    pub(super) members: Vec<Member>,
}

#[derive(Debug)]
pub(super) struct Member {
    pub(super) relation: usize,
    pub(super) expr: Expr,
    pub(super) estimate: ColumnEstimate,
}

/// A condition that is not an equality of two relations.
#[derive(Debug)]
pub(super) struct Condition {
    pub(super) expr: Expr,
    pub(super) needs: Set,
    pub(super) share: f64,
}

/// The order in which a plan joins the nodes of its graph.
#[derive(Clone, Debug)]
pub(super) enum Tree {
    Node(usize),
    Join(Box<Tree>, Box<Tree>),
}

impl JoinGraph {
    /// The graph of a group of joins and its present order; `None` when the group has
    /// something that cannot be moved or estimated.
    pub(super) fn of(plan: &LogicalPlan) -> Option<(Self, Tree)> {
        let mut parts = Parts::default();
        let tree = parts.gather(plan)?;
        parts.into_graph(tree)
    }

    /// All nodes.
    pub(super) fn nodes(&self) -> usize {
        self.relations.len() + self.tests.len()
    }

    /// The test that is the only node of a set.
    pub(super) fn test(&self, set: Set) -> Option<&Test> {
        if set.count_ones() != 1 {
            return None;
        }
        let node = set.trailing_zeros() as usize;
        self.tests.get(node.checked_sub(self.relations.len())?)
    }
}

/// True for joins that may be made in any order.
pub(super) fn is_movable(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Join(join) => {
            join.null_equality == NullEquality::NullEqualsNothing
                && !join.null_aware
                && matches!(
                    join.join_type,
                    JoinType::Inner
                        | JoinType::LeftSemi
                        | JoinType::LeftAnti
                        | JoinType::RightSemi
                        | JoinType::RightAnti
                )
        }
        // Between joins these only name columns and rows that are wanted further up.
        LogicalPlan::Projection(projection) => {
            projection.expr.iter().all(|expr| matches!(expr, Expr::Column(_)))
                && is_movable(&projection.input)
        }
        LogicalPlan::Filter(filter) => is_movable(&filter.input),
        _ => false,
    }
}

/// What is found while walking down a group.
#[derive(Default)]
struct Parts {
    relations: Vec<LogicalPlan>,
    tests: Vec<Join>,
    equalities: Vec<(Expr, Expr)>,
    conditions: Vec<Expr>,
}

/// Tests are numbered from here until the number of relations is known.
const FIRST_TEST: usize = NODES_MAX;

impl Parts {
    fn gather(&mut self, plan: &LogicalPlan) -> Option<Tree> {
        if !is_movable(plan) {
            self.relations.push(plan.clone());
            return Some(Tree::Node(self.relations.len() - 1));
        }
        match plan {
            LogicalPlan::Join(join) if join.join_type == JoinType::Inner => {
                let left = self.gather(&join.left)?;
                let right = self.gather(&join.right)?;
                self.equalities.extend(join.on.iter().cloned());
                self.conditions
                    .extend(join.filter.iter().cloned().flat_map(split_conjunction_owned));
                Some(Tree::Join(Box::new(left), Box::new(right)))
            }
            LogicalPlan::Join(join) => {
                let join = match join.join_type {
                    JoinType::RightSemi | JoinType::RightAnti => swapped(join).ok()??,
                    _ => join.clone(),
                };
                let left = self.gather(&join.left)?;
                self.tests.push(join);
                let test = Tree::Node(FIRST_TEST + self.tests.len() - 1);
                Some(Tree::Join(Box::new(left), Box::new(test)))
            }
            LogicalPlan::Projection(projection) => self.gather(&projection.input),
            LogicalPlan::Filter(filter) => {
                self.conditions.extend(split_conjunction_owned(filter.predicate.clone()));
                self.gather(&filter.input)
            }
            _ => None,
        }
    }

    fn into_graph(self, tree: Tree) -> Option<(JoinGraph, Tree)> {
        if self.relations.len() + self.tests.len() > NODES_MAX {
            return None;
        }
        let mut homes: HashMap<Column, usize> = HashMap::new();
        let mut all = DFSchema::empty();
        for (index, relation) in self.relations.iter().enumerate() {
            // Fails where two columns could not be told apart.
            all = all.join(relation.schema()).ok()?;
            homes.extend(relation.schema().columns().into_iter().map(|column| (column, index)));
        }
        let relations = self.relations.into_iter().map(|plan| {
            let estimate = estimate(&plan)?;
            Some(Relation { plan, estimate })
        });
        let relations = relations.collect::<Option<Vec<_>>>()?;
        let tree = renumbered(tree, relations.len());
        let mut graph = JoinGraph { relations, ..JoinGraph::default() };
        for (left, right) in self.equalities {
            graph.add_equality(left, right, &homes)?;
        }
        for condition in self.conditions {
            graph.add_condition(condition, &homes)?;
        }
        for test in self.tests {
            graph.add_test(test, &homes)?;
        }
        graph.join_classes();
        graph.equate_inside_relations();
        Some((graph, tree))
    }
}

/// Tests come after the relations.
fn renumbered(tree: Tree, relations: usize) -> Tree {
    match tree {
        Tree::Node(node) if node >= FIRST_TEST => Tree::Node(node - FIRST_TEST + relations),
        Tree::Node(node) => Tree::Node(node),
        Tree::Join(left, right) => {
            let [left, right] = [left, right].map(|side| Box::new(renumbered(*side, relations)));
            Tree::Join(left, right)
        }
    }
}

/// The relations that an expression looks at; `None` when it must stay where it is.
fn needs(expr: &Expr, homes: &HashMap<Column, usize>) -> Option<Set> {
    if expr.is_volatile() || !expr.column_refs().iter().all(|c| homes.contains_key(c)) {
        return None;
    }
    Some(expr.column_refs().iter().fold(0, |set, column| set | 1 << homes[column]))
}

impl JoinGraph {
    fn add_equality(
        &mut self,
        left: Expr,
        right: Expr,
        homes: &HashMap<Column, usize>,
    ) -> Option<()> {
        let sides = [needs(&left, homes)?, needs(&right, homes)?];
        let single = sides.iter().all(|side| side.count_ones() == 1) && sides[0] != sides[1];
        if !single {
            return self.add_condition(left.eq(right), homes);
        }
        let [left, right] = [(left, sides[0]), (right, sides[1])].map(|(expr, side)| {
            let relation = side.trailing_zeros() as usize;
            let estimate = self.relations[relation].estimate.column(&expr);
            Member { relation, expr, estimate }
        });
        self.classes.push(Class { members: vec![left, right] });
        Some(())
    }

    fn add_condition(&mut self, expr: Expr, homes: &HashMap<Column, usize>) -> Option<()> {
        let needs = needs(&expr, homes)?;
        let share = condition_share(&expr);
        self.conditions.push(Condition { expr, needs, share });
        Some(())
    }

    fn add_test(&mut self, join: Join, homes: &HashMap<Column, usize>) -> Option<()> {
        let of_right = join.right.schema();
        if of_right.columns().iter().any(|column| homes.contains_key(column)) {
            return None;
        }
        let right = estimate(&join.right)?;
        let (mut all, mut share) = (0, 1.0_f64);
        for (left, other) in &join.on {
            let set = needs(left, homes)?;
            all |= set;
            let distinct = (set.count_ones() == 1)
                .then(|| self.relations[set.trailing_zeros() as usize].estimate.column(left))
                .and_then(|column| column.distinct);
            let theirs = right.column(other).distinct.unwrap_or(right.rows).min(right.rows);
            share *= distinct.map_or(0.5, |distinct| (theirs / distinct).min(1.0));
        }
        if let Some(filter) = &join.filter {
            if filter.is_volatile() {
                return None;
            }
            for column in filter.column_refs() {
                match homes.get(column) {
                    Some(relation) => all |= 1 << relation,
                    None if of_right.has_column(column) => {}
                    None => return None,
                }
            }
            share *= condition_share(filter).max(0.5);
        }
        if all == 0 {
            return None;
        }
        if join.join_type == JoinType::LeftAnti {
            share = (1.0 - share).max(0.1);
        }
        self.tests.push(Test { join, rows: right.rows, needs: all, share });
        Some(())
    }

    /// Makes one class of those that share a member.
    fn join_classes(&mut self) {
        let mut joined: Vec<Class> = Vec::new();
        for class in std::mem::take(&mut self.classes) {
            let shares = |other: &Class| {
                let same = |a: &Member| {
                    class.members.iter().any(|b| a.relation == b.relation && a.expr == b.expr)
                };
                other.members.iter().any(same)
            };
            let (same, mut others): (Vec<Class>, Vec<Class>) =
                joined.into_iter().partition(|other| {
                    shares(other)
                        && self.type_of(&class.members[0]) == self.type_of(&other.members[0])
                });
            let mut members: Vec<Member> = Vec::new();
            for member in same.into_iter().flat_map(|class| class.members).chain(class.members) {
                let known = |m: &Member| m.relation == member.relation && m.expr == member.expr;
                if !members.iter().any(known) {
                    members.push(member);
                }
            }
            others.push(Class { members });
            joined = others;
        }
        self.classes = joined;
    }

    /// Members of one class in the same relation are equal in each of its rows.
    fn equate_inside_relations(&mut self) {
        for class in &mut self.classes {
            let mut kept: Vec<Member> = Vec::new();
            for member in std::mem::take(&mut class.members) {
                let Some(first) = kept.iter().find(|first| first.relation == member.relation)
                else {
                    kept.push(member);
                    continue;
                };
                let expr = first.expr.clone().eq(member.expr);
                let share = condition_share(&expr);
                self.conditions.push(Condition { expr, needs: 1 << member.relation, share });
            }
            class.members = kept;
        }
    }

    fn type_of(&self, member: &Member) -> Option<DataType> {
        member.expr.get_type(self.relations[member.relation].plan.schema()).ok()
    }
}
