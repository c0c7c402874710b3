//! Columns whose names are told apart without the tables that they come from.
//!
//! DataFusion's physical plans know columns by index and bare name, and when it pushes
//! filters down it goes by the name: a join's filter on `b.id` may arrive at `a.id`,
//! and rows get lost. So a plan whose joins have several columns of one name gets names
//! that are unique from the scans up, and at its top the names that it had.
//! [`SheafFilterPushdown`] makes sure of it: where names are still ambiguous, filters
//! stay where they are.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, JoinType, Result};
use datafusion::logical_expr::{
    Aggregate, Distinct, Expr, Filter, Join, LogicalPlan, Projection, Sort, Window,
};
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct UniqueNames;

impl OptimizerRule for UniqueNames {
    fn name(&self) -> &str {
        "unique_names"
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        _config: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        match is_ambiguous(&plan)? {
            true => Ok(Transformed::yes(Renamer::default().whole(plan)?)),
            false => Ok(Transformed::no(plan)),
        }
    }
}

/// Whether some join returns several columns of one name.
fn is_ambiguous(plan: &LogicalPlan) -> Result<bool> {
    plan.exists(|node| {
        let mut names = HashSet::new();
        let is_join = matches!(node, LogicalPlan::Join(_));
        Ok(is_join && !node.schema().fields().iter().all(|field| names.insert(field.name())))
    })
}

/// A plan with new names for its columns, which are in the order of the old ones.
struct Renamed {
    plan: LogicalPlan,
    columns: Vec<Column>,
}

#[derive(Default)]
struct Renamer {
    used: HashSet<String>,
    /// What the query calls the table that is next.
    alias: Option<String>,
}

impl Renamer {
    /// The plan with unique names inside and its own at the top.
    fn whole(&mut self, plan: LogicalPlan) -> Result<LogicalPlan> {
        let old = plan.schema().columns();
        let renamed = self.rename(plan)?;
        let restored = old.into_iter().zip(renamed.columns).map(|(old, new)| match old == new {
            true => Expr::Column(new),
            false => Expr::Column(new).alias_qualified(old.relation, old.name),
        });
        let restored = restored.collect();
        Ok(LogicalPlan::Projection(Projection::try_new(restored, Arc::new(renamed.plan))?))
    }

    fn rename(&mut self, plan: LogicalPlan) -> Result<Renamed> {
        let expressions = plan.expressions();
        let has_subquery = |expr: &Expr| {
            expr.exists(|expr| {
                Ok(matches!(
                    expr,
                    Expr::ScalarSubquery(_)
                        | Expr::InSubquery(_)
                        | Expr::Exists(_)
                        | Expr::SetComparison(_)
                        | Expr::OuterReferenceColumn(..)
                ))
            })
        };
        for expr in &expressions {
            if has_subquery(expr)? {
                return self.opaque(plan);
            }
        }
        match plan {
            LogicalPlan::SubqueryAlias(alias) => {
                self.alias = Some(alias.alias.table().to_owned());
                self.rename(Arc::unwrap_or_clone(alias.input))
            }
            LogicalPlan::Filter(filter) => {
                let input = self.input(filter.input)?;
                let predicate = input.expr(filter.predicate)?;
                let plan = Filter::try_new(predicate, Arc::new(input.renamed.plan))?;
                Ok(Renamed { plan: LogicalPlan::Filter(plan), columns: input.renamed.columns })
            }
            LogicalPlan::Sort(sort) => {
                let input = self.input(sort.input)?;
                let expr = sort.expr.into_iter().map(|mut sort| {
                    sort.expr = input.expr(sort.expr)?;
                    Ok(sort)
                });
                let expr = expr.collect::<Result<_>>()?;
                let Renamed { plan, columns } = input.renamed;
                let sort = Sort { expr, input: Arc::new(plan), fetch: sort.fetch };
                Ok(Renamed { plan: LogicalPlan::Sort(sort), columns })
            }
            LogicalPlan::Limit(mut limit) => {
                let Renamed { plan, columns } = self.rename(Arc::unwrap_or_clone(limit.input))?;
                limit.input = Arc::new(plan);
                Ok(Renamed { plan: LogicalPlan::Limit(limit), columns })
            }
            LogicalPlan::Distinct(Distinct::All(input)) => {
                let Renamed { plan, columns } = self.rename(Arc::unwrap_or_clone(input))?;
                let plan = LogicalPlan::Distinct(Distinct::All(Arc::new(plan)));
                Ok(Renamed { plan, columns })
            }
            LogicalPlan::Projection(projection) => self.projection(projection),
            LogicalPlan::Join(join) => self.join(join),
            LogicalPlan::Aggregate(aggregate) => {
                let input = self.input(aggregate.input)?;
                let (group, aggr) =
                    (input.exprs(aggregate.group_expr)?, input.exprs(aggregate.aggr_expr)?);
                let plan = Aggregate::try_new(Arc::new(input.renamed.plan), group, aggr)?;
                self.with_own_names(LogicalPlan::Aggregate(plan), 0)
            }
            LogicalPlan::Window(window) => {
                let input = self.input(window.input)?;
                let exprs = input.exprs(window.window_expr)?;
                let columns = input.renamed.columns.len();
                let plan = Window::try_new(exprs, Arc::new(input.renamed.plan))?;
                self.with_own_names(LogicalPlan::Window(plan), columns)
            }
            other => self.opaque(other),
        }
    }

    fn input(&mut self, plan: Arc<LogicalPlan>) -> Result<Input> {
        let old = plan.schema().columns();
        let renamed = self.rename(Arc::unwrap_or_clone(plan))?;
        let names = old.into_iter().zip(renamed.columns.iter().cloned()).collect();
        Ok(Input { renamed, names })
    }

    fn projection(&mut self, projection: Projection) -> Result<Renamed> {
        let old = projection.schema.columns();
        let input = self.input(projection.input)?;
        let mut exprs = Vec::with_capacity(old.len());
        let mut columns: Vec<Column> = Vec::with_capacity(old.len());
        for (old, expr) in old.into_iter().zip(projection.expr) {
            let expr = input.expr(expr.unalias())?;
            // A column keeps the name that it has, unless it is there twice.
            match &expr {
                Expr::Column(column) if !columns.contains(column) => {
                    columns.push(column.clone());
                    exprs.push(expr);
                }
                _ => {
                    let name = self.unused(&old);
                    columns.push(Column::from_name(&name));
                    exprs.push(expr.alias(name));
                }
            }
        }
        let plan = Projection::try_new(exprs, Arc::new(input.renamed.plan))?;
        Ok(Renamed { plan: LogicalPlan::Projection(plan), columns })
    }

    fn join(&mut self, join: Join) -> Result<Renamed> {
        let (left, right) = (self.input(join.left)?, self.input(join.right)?);
        let on = join.on.into_iter().map(|(l, r)| Ok((left.expr(l)?, right.expr(r)?)));
        let on = on.collect::<Result<_>>()?;
        let both: HashMap<Column, Column> =
            left.names.iter().chain(&right.names).map(|(a, b)| (a.clone(), b.clone())).collect();
        let filter = join.filter.map(|filter| renamed(filter, &both)).transpose()?;
        let plan = LogicalPlan::Join(Join::try_new(
            Arc::new(left.renamed.plan),
            Arc::new(right.renamed.plan),
            on,
            filter,
            join.join_type,
            join.join_constraint,
            join.null_equality,
            join.null_aware,
        )?);
        // A mark is the join's own column, the last one.
        let own = usize::from(matches!(join.join_type, JoinType::LeftMark | JoinType::RightMark));
        let inherited = plan.schema().fields().len() - own;
        self.with_own_names(plan, inherited)
    }

    /// A plan whose inputs are plans of their own, and a scan, which has none.
    fn opaque(&mut self, plan: LogicalPlan) -> Result<Renamed> {
        let plan = plan.map_children(|input| match is_ambiguous(&input)? {
            true => Ok(Transformed::yes(self.whole(input)?)),
            false => Ok(Transformed::no(input)),
        })?;
        self.with_own_names(plan.data, 0)
    }

    /// Gives new names to the columns from `first` on whose names are taken.
    fn with_own_names(&mut self, plan: LogicalPlan, first: usize) -> Result<Renamed> {
        let old = plan.schema().columns();
        let new: Vec<Column> = old
            .iter()
            .enumerate()
            .map(|(index, column)| match index < first {
                true => column.clone(),
                false => match self.unused(column) {
                    name if name == column.name => column.clone(),
                    name => Column::from_name(name),
                },
            })
            .collect();
        self.alias = None;
        if new == old {
            return Ok(Renamed { plan, columns: new });
        }
        let exprs = old.into_iter().zip(&new).map(|(old, new)| match old == *new {
            true => Expr::Column(old),
            false => Expr::Column(old).alias(&new.name),
        });
        let plan = Projection::try_new(exprs.collect(), Arc::new(plan))?;
        Ok(Renamed { plan: LogicalPlan::Projection(plan), columns: new })
    }

    /// A name like that of the column which no other has: `id`, `id:orders`, `id:2`.
    fn unused(&mut self, column: &Column) -> String {
        let name = &column.name;
        let table = self.alias.clone().or_else(|| Some(column.relation.as_ref()?.table().into()));
        let mut names = [name.clone()]
            .into_iter()
            .chain(table.map(|table| format!("{name}:{table}")))
            .chain((2..).map(|number| format!("{name}:{number}")));
        names.find(|name| self.used.insert(name.clone())).unwrap_or_default()
    }
}

struct Input {
    renamed: Renamed,
    /// New names by the old ones.
    names: HashMap<Column, Column>,
}

impl Input {
    fn expr(&self, expr: Expr) -> Result<Expr> {
        renamed(expr, &self.names)
    }

    fn exprs(&self, exprs: Vec<Expr>) -> Result<Vec<Expr>> {
        exprs.into_iter().map(|expr| self.expr(expr)).collect()
    }
}

fn renamed(expr: Expr, names: &HashMap<Column, Column>) -> Result<Expr> {
    let rename = |expr| match expr {
        Expr::Column(old) => match names.get(&old) {
            Some(new) => Ok(Transformed::yes(Expr::Column(new.clone()))),
            None => Ok(Transformed::no(Expr::Column(old))),
        },
        other => Ok(Transformed::no(other)),
    };
    expr.transform_up(rename).data()
}

/// One of DataFusion's two rules that push filters down, for plans in which it finds
/// the right columns.
#[derive(Debug)]
pub(super) struct SheafFilterPushdown(pub(super) Arc<dyn PhysicalOptimizerRule + Send + Sync>);

impl PhysicalOptimizerRule for SheafFilterPushdown {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if has_unique_names(&plan)? { self.0.optimize(plan, config) } else { Ok(plan) }
    }

    fn name(&self) -> &str {
        self.0.name()
    }

    fn schema_check(&self) -> bool {
        self.0.schema_check()
    }
}

/// Whether no node has two columns of one name. The topmost may, because nobody pushes
/// filters into it.
fn has_unique_names(plan: &Arc<dyn ExecutionPlan>) -> Result<bool> {
    let mut unique = true;
    for input in plan.children() {
        if matches!(plan.name(), "AnalyzeExec" | "OutputRequirementExec") {
            unique &= has_unique_names(input)?;
            continue;
        }
        input.apply(|node| {
            let mut names = HashSet::new();
            unique &= node.schema().fields().iter().all(|field| names.insert(field.name()));
            Ok(if unique { TreeNodeRecursion::Continue } else { TreeNodeRecursion::Stop })
        })?;
    }
    Ok(unique)
}
