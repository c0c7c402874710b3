//! Dynamic filters as predicates: what a join, a TopK or an aggregate has learned by
//! now about the rows that it still wants.
//!
//! What predicates can say, such as bounds and short lists, they say. The rest, such as
//! a join's "is this key in my hash table", is a check that the scan makes before it
//! decodes the other columns.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use datafusion::arrow::array::{ArrayRef, AsArray, BooleanArray, RecordBatch};
use datafusion::arrow::buffer::BooleanBuffer;
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{
    Column, DynamicFilterPhysicalExpr, DynamicFilterTracking, InListExpr,
};
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_expr_common::physical_expr::fmt_sql;
use sheaf_formats::predicate::{Predicate, RowCheck};

use super::convert;

/// Rows that a check is made on before it is judged.
const TRIAL_ROWS: u64 = 2 * sheaf_formats::statistics::ZONE_ROWS as u64;
/// A check that lets more than this share of rows pass costs more than it spares.
const USEFUL_SHARE: f64 = 0.7;

/// A dynamic filter of one stream, and how well it has done there.
pub(super) struct DynamicFilter {
    expr: Arc<dyn PhysicalExpr>,
    record: Arc<Record>,
}

#[derive(Debug, Default)]
struct Record {
    checked: AtomicU64,
    passed: AtomicU64,
}

impl DynamicFilter {
    /// `expr` has the table's column indices.
    pub(super) fn new(expr: Arc<dyn PhysicalExpr>) -> Self {
        Self { expr, record: Arc::default() }
    }

    /// What the filter says now of a table's rows; `None` when that is nothing yet.
    pub(super) fn predicate(&self, schema: &SchemaRef) -> Option<Predicate> {
        let now = settled(&self.expr).ok()?;
        if let Some(exact) = convert::exact(&now, schema) {
            return Some(exact).filter(|exact| !matches!(exact, Predicate::Literal(true)));
        }
        let implied = convert::implied(&now, schema);
        if has_list_of_floats(&now, schema) {
            return implied;
        }
        // What a filter lets pass that still changes says nothing of what it will.
        let changes = DynamicFilterTracking::classify(&self.expr);
        let record = match changes {
            DynamicFilterTracking::Watching(_) => Arc::default(),
            _ => Arc::clone(&self.record),
        };
        match Check::new(&now, schema, record) {
            Ok((columns, check)) if !columns.is_empty() => Some(Predicate::Check {
                columns,
                check: Arc::new(check),
                implied: implied.map(Box::new),
            }),
            _ => implied,
        }
    }
}

/// The expression with what its dynamic parts say now.
fn settled(expr: &Arc<dyn PhysicalExpr>) -> Result<Arc<dyn PhysicalExpr>> {
    let current = |expr: Arc<dyn PhysicalExpr>| {
        Ok(match expr.downcast_ref::<DynamicFilterPhysicalExpr>() {
            Some(dynamic) => Transformed::yes(dynamic.current()?),
            None => Transformed::no(expr),
        })
    };
    Arc::clone(expr).transform_down(current).data()
}

/// Whether values are looked up in a list in which 0.0 is not -0.0, as it is to joins.
fn has_list_of_floats(expr: &Arc<dyn PhysicalExpr>, schema: &Schema) -> bool {
    let is_one = |expr: &Arc<dyn PhysicalExpr>| {
        let Some(list) = expr.downcast_ref::<InListExpr>() else { return Ok(false) };
        let data_type = list.expr().data_type(schema)?;
        Ok(data_type.is_floating() || data_type.is_nested())
    };
    expr.exists(is_one).unwrap_or(true)
}

/// An expression over some columns of a table.
#[derive(Debug)]
struct Check {
    /// With the indices of `schema`.
    expr: Arc<dyn PhysicalExpr>,
    schema: SchemaRef,
    record: Arc<Record>,
}

impl Check {
    /// The check, and the table's columns that it needs, in its order.
    fn new(
        expr: &Arc<dyn PhysicalExpr>,
        table: &Schema,
        record: Arc<Record>,
    ) -> Result<(Vec<usize>, Self)> {
        let mut columns: Vec<usize> = collect_columns(expr).iter().map(Column::index).collect();
        columns.sort_unstable();
        let own_index = |expr: Arc<dyn PhysicalExpr>| {
            let Some(column) = expr.downcast_ref::<Column>() else {
                return Ok(Transformed::no(expr));
            };
            let index = columns.partition_point(|&other| other < column.index());
            Ok(Transformed::yes(Arc::new(Column::new(column.name(), index)) as _))
        };
        let expr = Arc::clone(expr).transform_up(own_index).data()?;
        let schema = Arc::new(table.project(&columns)?);
        Ok((columns, Self { expr, schema, record }))
    }

    fn is_useless(&self) -> bool {
        let checked = self.record.checked.load(Ordering::Relaxed);
        let passed = self.record.passed.load(Ordering::Relaxed);
        checked >= TRIAL_ROWS && passed as f64 > checked as f64 * USEFUL_SHARE
    }
}

impl RowCheck for Check {
    /// Whoever made the filter checks what passes again, so that it may be given up.
    fn check(&self, columns: &[ArrayRef]) -> sheaf_formats::Result<BooleanArray> {
        let rows = columns.first().map_or(0, |column| column.len());
        let everything = BooleanArray::new(BooleanBuffer::new_set(rows), None);
        if self.is_useless() {
            return Ok(everything);
        }
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns.to_vec())?;
        let passes = self.expr.evaluate(&batch).and_then(|passes| passes.into_array(rows));
        // It may fail on rows that another condition keeps from whoever made the filter.
        let Ok(passes) = passes else {
            self.record.checked.store(TRIAL_ROWS, Ordering::Relaxed);
            self.record.passed.store(TRIAL_ROWS, Ordering::Relaxed);
            return Ok(everything);
        };
        let passes = passes.as_boolean().clone();
        self.record.checked.fetch_add(rows as u64, Ordering::Relaxed);
        self.record.passed.fetch_add(passes.true_count() as u64, Ordering::Relaxed);
        Ok(passes)
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", fmt_sql(self.expr.as_ref()))
    }
}
