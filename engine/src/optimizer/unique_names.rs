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

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, Result};
use datafusion::logical_expr::{
    Aggregate, Distinct, Expr, Filter, Join, LogicalPlan, Projection, Sort, Window,
};
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;

/// DataFusion's name for the column in which a join says whether a row has a partner.
const MARK: &str = "mark";

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

/// Whether the sides of some join have a name in common, or one side has it twice. Sides
/// that a join does not return count too: filters on keys are pushed into both.
fn is_ambiguous(plan: &LogicalPlan) -> Result<bool> {
    plan.exists(|node| {
        let LogicalPlan::Join(join) = node else { return Ok(false) };
        let mut names = HashSet::new();
        let fields = join.left.schema().fields().iter().chain(join.right.schema().fields());
        Ok(!fields.into_iter().all(|field| names.insert(field.name())))
    })
}

/// A plan with new names for its columns, which are in the order of the old ones.
struct Renamed {
    plan: LogicalPlan,
    columns: Vec<Column>,
}

struct Renamer {
    used: HashSet<String>,
    /// What the query calls the table that is next.
    alias: Option<String>,
}

impl Default for Renamer {
    fn default() -> Self {
        Self { used: HashSet::from([MARK.to_owned()]), alias: None }
    }
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
                self.with_new_names(LogicalPlan::Aggregate(plan), &input.renamed.columns)
            }
            LogicalPlan::Window(window) => {
                let input = self.input(window.input)?;
                let exprs = input.exprs(window.window_expr)?;
                let plan = Window::try_new(exprs, Arc::new(input.renamed.plan))?;
                self.with_new_names(LogicalPlan::Window(plan), &input.renamed.columns)
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
        let mut columns = left.renamed.columns;
        columns.extend(right.renamed.columns);
        self.with_new_names(plan, &columns)
    }

    /// A plan whose inputs are plans of their own, and a scan, which has none.
    fn opaque(&mut self, plan: LogicalPlan) -> Result<Renamed> {
        let plan = plan.map_children(|input| match is_ambiguous(&input)? {
            true => Ok(Transformed::yes(self.whole(input)?)),
            false => Ok(Transformed::no(input)),
        })?;
        let plan = plan.data;
        let columns = plan.schema().columns();
        let named = columns.iter().map(|column| match self.unused(column) {
            name if name == column.name => column.clone(),
            name => Column::from_name(name),
        });
        let named = named.collect();
        self.alias = None;
        with_names(plan, columns, named)
    }

    /// Gives new names to what the plan computes: the names that DataFusion derives are
    /// the same for the next that computes it.
    fn with_new_names(&mut self, plan: LogicalPlan, inherited: &[Column]) -> Result<Renamed> {
        let columns = plan.schema().columns();
        let named = columns.iter().map(|column| match inherited.contains(column) {
            true => column.clone(),
            false => {
                self.used.insert(column.name.clone());
                Column::from_name(self.unused(column))
            }
        });
        let named = named.collect();
        with_names(plan, columns, named)
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

/// The plan with `new` names for its columns, which have the `old` ones.
fn with_names(plan: LogicalPlan, old: Vec<Column>, new: Vec<Column>) -> Result<Renamed> {
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

/// Whether names tell columns apart wherever filters are pushed down. The topmost node
/// may have a name twice, because nobody pushes filters into it.
fn has_unique_names(plan: &Arc<dyn ExecutionPlan>) -> Result<bool> {
    let mut unique = true;
    for input in plan.children() {
        if matches!(plan.name(), "AnalyzeExec" | "OutputRequirementExec" | "ScalarSubqueryExec") {
            unique &= has_unique_names(input)?;
            continue;
        }
        input.apply(|node| {
            unique &= is_clear(node.as_ref());
            Ok(if unique { TreeNodeRecursion::Continue } else { TreeNodeRecursion::Stop })
        })?;
    }
    Ok(unique)
}

fn is_clear(node: &dyn ExecutionPlan) -> bool {
    let schema = node.schema();
    let children: Vec<SchemaRef> = node.children().iter().map(|child| child.schema()).collect();
    let mut names = HashSet::new();
    match node.name() {
        // Its columns are those of each input, by position.
        "UnionExec" | "InterleaveExec" => children.iter().all(|child| {
            let names = child.fields().iter().zip(schema.fields());
            names.into_iter().all(|(child, own)| child.name() == own.name())
        }),
        _ if children.len() > 1 => {
            let fields = children.iter().flat_map(|child| child.fields().iter());
            fields.into_iter().all(|field| names.insert(field.name()))
        }
        _ => schema.fields().iter().all(|field| names.insert(field.name())),
    }
}
