//! How many rows a logical plan returns, and how many distinct values its columns
//! have: estimated from the statistics of tables.
//!
//! Values are taken as independent and evenly spread. What is not known is `None`, and
//! a plan over something of which nothing is known has no estimate at all.

use std::collections::HashMap;

use datafusion::common::{Column, JoinType};
use datafusion::datasource::source_as_provider;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{
    Aggregate, BinaryExpr, Expr, Join, LogicalPlan, Operator, Projection, SubqueryAlias, TableScan,
    Unnest,
};

use crate::scan::SnapshotTable;

/// Share of rows that a condition passes of which nothing is known.
const UNKNOWN_SHARE: f64 = 0.25;
/// The same for a condition on the result of an aggregate: they look for the few.
const HAVING_SHARE: f64 = 0.1;
/// Elements of a list.
const LIST_LENGTH: f64 = 5.0;
/// A column with this share of distinct values is a key.
const UNIQUE_SHARE: f64 = 0.9;

/// What is expected of a plan.
#[derive(Clone, Debug)]
pub(super) struct Estimate {
    /// Number of rows, at least 1: an estimate of none would make all that follows free.
    pub(super) rows: f64,
    /// Number of rows before conditions took some away.
    pub(super) all_rows: f64,
    columns: HashMap<Column, ColumnEstimate>,
}

/// What is expected of a column.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ColumnEstimate {
    /// Number of distinct values, where it is known.
    pub(super) distinct: Option<f64>,
    /// In the table that it comes from, each value has one row.
    pub(super) unique: bool,
}

impl Estimate {
    /// Rows of whose columns nothing is known.
    fn of_rows(rows: f64) -> Self {
        let rows = rows.max(1.0);
        Self { rows, all_rows: rows, columns: HashMap::new() }
    }

    /// What is known of an expression.
    pub(super) fn column(&self, expr: &Expr) -> ColumnEstimate {
        match expr {
            Expr::Column(column) => self.columns.get(column).copied().unwrap_or_default(),
            Expr::Cast(cast) => self.column(&cast.expr),
            Expr::Alias(alias) => self.column(&alias.expr),
            _ => ColumnEstimate::default(),
        }
    }

    /// Distinct values of an expression; a key, while nothing is known.
    fn distinct(&self, expr: &Expr) -> f64 {
        self.column(expr).distinct.unwrap_or(self.rows).min(self.rows).max(1.0)
    }

    /// The same plan with another number of rows, picked at random.
    fn scaled(mut self, rows: f64) -> Self {
        let rows = rows.max(1.0);
        for column in self.columns.values_mut() {
            column.distinct = column.distinct.map(|d| distinct_of_sample(d, self.rows, rows));
        }
        self.rows = rows;
        self
    }
}

/// Distinct values that are left of `distinct` when of `before` rows `after` stay.
fn distinct_of_sample(distinct: f64, before: f64, after: f64) -> f64 {
    if after >= before || distinct <= 1.0 {
        return distinct.min(after.max(1.0));
    }
    let rows_of_a_value = before / distinct;
    let gone = (1.0 - after / before).powf(rows_of_a_value);
    (distinct * (1.0 - gone)).clamp(1.0, after.max(1.0))
}

/// The estimate of a plan; `None` where there is nothing to estimate from.
pub(super) fn estimate(plan: &LogicalPlan) -> Option<Estimate> {
    match plan {
        LogicalPlan::TableScan(scan) => table(scan),
        LogicalPlan::Projection(projection) => project(projection),
        LogicalPlan::SubqueryAlias(alias) => rename(alias),
        LogicalPlan::Filter(filter) => {
            let input = estimate(&filter.input)?;
            let share = filter_share(&filter.predicate, &filter.input, &input);
            let rows = input.rows * share;
            Some(input.scaled(rows))
        }
        LogicalPlan::Aggregate(aggregate) => group(aggregate),
        LogicalPlan::Distinct(distinct) => {
            let input = estimate(distinct.input())?;
            let rows = groups(&input, input.columns.keys().cloned().map(Expr::Column));
            Some(input.scaled(rows))
        }
        LogicalPlan::Join(join) => joined(join),
        LogicalPlan::Limit(limit) => {
            let input = estimate(&limit.input)?;
            let fetch = match limit.fetch.as_deref() {
                Some(Expr::Literal(value, _)) => value.to_string().parse().unwrap_or(input.rows),
                _ => input.rows,
            };
            let rows = input.rows.min(fetch);
            Some(input.scaled(rows))
        }
        LogicalPlan::Union(union) => {
            let inputs: Option<Vec<Estimate>> =
                union.inputs.iter().map(|input| estimate(input)).collect();
            let rows = inputs?.iter().map(|input| input.rows).sum();
            Some(Estimate::of_rows(rows))
        }
        LogicalPlan::EmptyRelation(empty) => {
            Some(Estimate::of_rows(f64::from(u8::from(empty.produce_one_row))))
        }
        LogicalPlan::Values(values) => Some(Estimate::of_rows(values.values.len() as f64)),
        LogicalPlan::Unnest(Unnest { input, .. }) => {
            let mut input = estimate(input)?;
            input.rows *= LIST_LENGTH;
            Some(input)
        }
        LogicalPlan::Sort(sort) => {
            let input = estimate(&sort.input)?;
            let rows = sort.fetch.map_or(input.rows, |fetch| input.rows.min(fetch as f64));
            Some(input.scaled(rows))
        }
        LogicalPlan::Window(window) => estimate(&window.input),
        LogicalPlan::Repartition(repartition) => estimate(&repartition.input),
        LogicalPlan::Subquery(subquery) => estimate(&subquery.subquery),
        _ => None,
    }
}

fn table(scan: &TableScan) -> Option<Estimate> {
    let provider = source_as_provider(&scan.source).ok()?;
    let table = provider.downcast_ref::<SnapshotTable>()?;
    let (all, kept) = table.expected(&scan.filters).ok()?;
    let all_rows = all.num_rows.get_value().copied()? as f64;
    let rows = kept.num_rows.get_value().copied()? as f64;
    let schema = provider.schema();
    let columns = schema.fields().iter().enumerate().map(|(index, field)| {
        let distinct = |of: &datafusion::common::Statistics| {
            let distinct = &of.column_statistics[index].distinct_count;
            distinct.get_value().map(|distinct| *distinct as f64)
        };
        let before = distinct(&all);
        let estimate = ColumnEstimate {
            distinct: before.map(|before| {
                let after = distinct(&kept).unwrap_or(before);
                after.min(distinct_of_sample(before, all_rows, rows))
            }),
            unique: before.is_some_and(|before| before >= all_rows * UNIQUE_SHARE),
        };
        (Column::new(Some(scan.table_name.clone()), field.name()), estimate)
    });
    Some(Estimate { rows: rows.max(1.0), all_rows, columns: columns.collect() })
}

fn project(projection: &Projection) -> Option<Estimate> {
    let input = estimate(&projection.input)?;
    let names = projection.schema.columns();
    let columns = names.into_iter().zip(&projection.expr);
    let columns = columns.map(|(name, expr)| (name, input.column(expr))).collect();
    Some(Estimate { columns, ..input })
}

fn rename(alias: &SubqueryAlias) -> Option<Estimate> {
    let input = estimate(&alias.input)?;
    let names = alias.schema.columns().into_iter().zip(alias.input.schema().columns());
    let columns = names.map(|(new, old)| (new, input.column(&Expr::Column(old)))).collect();
    Some(Estimate { columns, ..input })
}

fn group(aggregate: &Aggregate) -> Option<Estimate> {
    let input = estimate(&aggregate.input)?;
    let rows = groups(&input, aggregate.group_expr.iter().cloned());
    let alone = aggregate.group_expr.len() == 1;
    let names = aggregate.schema.columns().into_iter().zip(&aggregate.group_expr);
    let columns = names.map(|(name, expr)| {
        let known = input.column(expr);
        (name, ColumnEstimate { unique: alone, ..known })
    });
    let columns = columns.collect();
    Some(Estimate { rows, all_rows: rows, columns })
}

/// Combinations of values of expressions, at most one for each row.
fn groups(input: &Estimate, exprs: impl Iterator<Item = Expr>) -> f64 {
    let combinations: f64 = exprs.map(|expr| input.distinct(&expr)).product();
    combinations.min(input.rows).max(1.0)
}

fn joined(join: &Join) -> Option<Estimate> {
    let (left, right) = (estimate(&join.left)?, estimate(&join.right)?);
    let mut matching = left.rows * right.rows;
    // Share of the left rows that have a partner, and of the right ones.
    let (mut left_share, mut right_share) = (1.0_f64, 1.0_f64);
    for (l, r) in &join.on {
        // What is not known is taken to be a key of the other side, or of the smaller.
        let known = (left.column(l).distinct, right.column(r).distinct);
        let smaller = left.all_rows.min(right.all_rows);
        let l = known.0.or(known.1).unwrap_or(smaller).clamp(1.0, left.rows);
        let r = known.1.or(known.0).unwrap_or(smaller).clamp(1.0, right.rows);
        matching /= l.max(r);
        left_share = left_share.min(r / l);
        right_share = right_share.min(l / r);
    }
    if let Some(filter) = &join.filter {
        matching *= condition_share(filter);
    }
    let rows = match join.join_type {
        JoinType::Inner => matching,
        JoinType::Left => matching.max(left.rows),
        JoinType::Right => matching.max(right.rows),
        JoinType::Full => matching.max(left.rows).max(right.rows),
        JoinType::LeftSemi => left.rows * left_share,
        JoinType::RightSemi => right.rows * right_share,
        JoinType::LeftAnti => left.rows * (1.0 - left_share).max(0.1),
        JoinType::RightAnti => right.rows * (1.0 - right_share).max(0.1),
        JoinType::LeftMark => left.rows,
        JoinType::RightMark => right.rows,
    };
    let rows = rows.max(1.0);
    let columns = left.columns.into_iter().chain(right.columns);
    let columns = columns.map(|(name, column)| {
        let distinct = column.distinct.map(|distinct| distinct.min(rows));
        (name, ColumnEstimate { distinct, unique: false })
    });
    let columns = columns.collect();
    Some(Estimate { rows, all_rows: rows, columns })
}

fn filter_share(predicate: &Expr, of: &LogicalPlan, input: &Estimate) -> f64 {
    let unknown = if is_aggregate(of) { HAVING_SHARE } else { UNKNOWN_SHARE };
    let share = |part: &&Expr| match part {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) => {
            match (left.as_ref(), right.as_ref()) {
                (Expr::Literal(..), value) | (value, Expr::Literal(..)) => {
                    1.0 / input.distinct(value)
                }
                (left, right) => 1.0 / input.distinct(left).max(input.distinct(right)),
            }
        }
        Expr::IsNotNull(_) => 1.0,
        _ => unknown,
    };
    split_conjunction(predicate).iter().map(share).product()
}

fn is_aggregate(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Aggregate(_) => true,
        LogicalPlan::Projection(projection) => is_aggregate(&projection.input),
        LogicalPlan::SubqueryAlias(alias) => is_aggregate(&alias.input),
        _ => false,
    }
}

/// Share of pairs of rows that a condition passes which is no equality of columns.
pub(super) fn condition_share(condition: &Expr) -> f64 {
    let share = |part: &&Expr| match part {
        Expr::BinaryExpr(BinaryExpr { op: Operator::NotEq, .. }) => 0.9,
        _ => UNKNOWN_SHARE,
    };
    split_conjunction(condition).iter().map(share).product()
}
