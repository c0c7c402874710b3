//! One scan of a table in a physical plan: what the optimizer pushed into it.
//!
//! *Filters* are evaluated to the row. *Dynamic filters* (from joins, TopK and
//! aggregates that learn while they run) are advisory: whoever made one checks its
//! rows again, so the scan uses as much of it as it can say, as often as it changes.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::config::ConfigOptions;
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, Statistics, internal_datafusion_err};
use datafusion::datasource::source::DataSource;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::{Column, DynamicFilterPhysicalExpr, Literal};
use datafusion::physical_expr::projection::ProjectionExprs;
use datafusion::physical_expr::{EquivalenceProperties, LexOrdering, Partitioning, PhysicalExpr};
use datafusion::physical_expr_common::physical_expr::fmt_sql;
use datafusion::physical_plan::DisplayFormatType;
use datafusion::physical_plan::coop::cooperative;
use datafusion::physical_plan::execution_plan::SchedulingType;
use datafusion::physical_plan::filter_pushdown::{FilterPushdownPropagation, PushedDown};
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use datafusion::scalar::ScalarValue;
use sheaf_formats::predicate::{CompareOp, Predicate};

use super::convert;
use super::partition::{Piece, divide};
use super::selectivity::selectivity;
use super::statistics::{reduced, rows_of};
use super::stream::{PartitionScan, ScanStream};
use super::table::{ScannedPart, ScannedTable};

/// The scan of a table: a [`DataSource`] for DataFusion's `DataSourceExec`.
#[derive(Clone, Debug)]
pub(crate) struct SheafSource {
    table: Arc<ScannedTable>,
    /// Indices of the table's columns, in output order.
    projection: Vec<usize>,
    /// Schema of the output.
    schema: SchemaRef,
    /// Filters that are evaluated to the row, for EXPLAIN.
    filters: Vec<Arc<dyn PhysicalExpr>>,
    /// The same, as one predicate.
    predicate: Option<Predicate>,
    /// Advisory filters, with the table's column indices.
    dynamic: Vec<Arc<dyn PhysicalExpr>>,
    /// Rows that each partition returns at most.
    limit: Option<usize>,
    target_partitions: usize,
    partitions: Vec<Vec<Piece>>,
    metrics: ExecutionPlanMetricsSet,
}

impl SheafSource {
    /// A scan of the columns `projection`, with filters and their exact meanings, over
    /// at most `target_partitions`, each of which returns at most `limit` rows.
    pub(super) fn try_new(
        table: Arc<ScannedTable>,
        projection: Vec<usize>,
        filters: Vec<(Arc<dyn PhysicalExpr>, Predicate)>,
        limit: Option<usize>,
        target_partitions: usize,
    ) -> Result<Self> {
        let schema = Arc::new(table.schema.project(&projection)?);
        let mut source = Self {
            table,
            projection,
            schema,
            filters: Vec::new(),
            predicate: None,
            dynamic: Vec::new(),
            limit,
            target_partitions,
            partitions: Vec::new(),
            metrics: ExecutionPlanMetricsSet::new(),
        };
        source.add_filters(filters);
        Ok(source)
    }

    fn add_filters(&mut self, filters: Vec<(Arc<dyn PhysicalExpr>, Predicate)>) {
        let (filters, predicates): (Vec<_>, Vec<_>) = filters.into_iter().unzip();
        self.filters.extend(filters);
        self.predicate = convert::all(self.predicate.take().into_iter().chain(predicates));
        self.divide();
    }

    /// Distributes the parts that may hold matching rows.
    fn divide(&mut self) {
        let matching =
            |part: &ScannedPart| part.part.rows() > 0 && part.may_match(self.predicate.as_ref());
        let parts: Vec<(usize, u64)> = self
            .table
            .parts
            .iter()
            .enumerate()
            .filter(|(_, part)| matching(part))
            .map(|(index, part)| (index, part.part.rows()))
            .collect();
        self.partitions = divide(&parts, self.target_partitions);
    }

    /// Number of segments and of memtables that are read.
    fn counts(&self) -> (usize, usize) {
        let first_pieces = self.partitions.iter().flatten().filter(|piece| piece.nth == 0);
        let memtables = first_pieces
            .clone()
            .filter(|piece| self.table.parts[piece.part].part.is_memtable())
            .count();
        (first_pieces.count() - memtables, memtables)
    }

    /// A filter over the output, as one over the table.
    fn over_table(&self, filter: Arc<dyn PhysicalExpr>) -> Result<Arc<dyn PhysicalExpr>> {
        filter
            .transform_up(|expr| {
                let Some(column) = expr.downcast_ref::<Column>() else {
                    return Ok(Transformed::no(expr));
                };
                let index = self.projection.get(column.index()).copied().ok_or_else(|| {
                    internal_datafusion_err!(
                        "a filter names column {column}, which the scan does not return"
                    )
                })?;
                let name = self.table.schema.field(index).name();
                Ok(Transformed::yes(Arc::new(Column::new(name, index)) as Arc<dyn PhysicalExpr>))
            })
            .data()
    }

    /// Columns of the output that the filters tie to one value.
    fn constants(&self) -> Vec<(usize, ScalarValue)> {
        let conjuncts = self.predicate.clone().map(Predicate::into_conjuncts).unwrap_or_default();
        conjuncts
            .into_iter()
            .filter_map(|conjunct| match conjunct {
                Predicate::Compare { column, op: CompareOp::Eq, value } => {
                    let output = self.projection.iter().position(|&index| index == column)?;
                    let value = ScalarValue::try_from_array(&value.into_inner(), 0).ok()?;
                    Some((output, value))
                }
                _ => None,
            })
            .collect()
    }

    /// Statistics of rows that the scan returns out of `rows`, those of the pieces.
    fn expected(&self, rows: Precision<usize>, whole: bool) -> Statistics {
        let statistics = self.table.statistics.of(&self.projection);
        let table_rows = self.table.statistics.rows().get_value().copied().unwrap_or(0);
        let given = rows.get_value().copied().unwrap_or(table_rows);
        let Some(predicate) = &self.predicate else {
            return if whole { statistics } else { reduced(statistics, given, &[]) };
        };
        let share = selectivity(predicate, table_rows, &|column| {
            self.table.statistics.column(column).clone()
        });
        let total = (table_rows as f64 * share).ceil() as usize;
        let equals: Vec<usize> = self.constants().into_iter().map(|(column, _)| column).collect();
        let part = if whole { 1.0 } else { given as f64 / table_rows.max(1) as f64 };
        reduced(statistics, ((total as f64 * part).ceil() as usize).min(given), &equals)
    }
}

impl DataSource for SheafSource {
    fn open(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let pieces = self.partitions.get(partition).cloned().ok_or_else(|| {
            internal_datafusion_err!("the scan of {} has no partition {partition}", self.table.name)
        })?;
        let scan = PartitionScan {
            table: Arc::clone(&self.table),
            projection: self.projection.clone(),
            schema: Arc::clone(&self.schema),
            predicate: self.predicate.clone(),
            dynamic: self.dynamic.clone(),
            limit: self.limit,
            pieces,
        };
        let batch_size = context.session_config().batch_size();
        Ok(Box::pin(cooperative(ScanStream::new(scan, batch_size, partition, &self.metrics))))
    }

    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        let (segments, memtables) = self.counts();
        let all_segments =
            self.table.parts.iter().filter(|p| !p.part.is_memtable() && p.part.rows() > 0).count();
        write!(f, "SheafScan: table={}, segments={segments}", self.table.name)?;
        if segments < all_segments {
            write!(f, " of {all_segments}")?;
        }
        write!(f, ", memtables={memtables}, projection=[")?;
        for (i, field) in self.schema.fields().iter().enumerate() {
            write!(f, "{}{}", if i > 0 { ", " } else { "" }, field.name())?;
        }
        f.write_str("]")?;
        if !self.filters.is_empty() || !self.dynamic.is_empty() {
            f.write_str(", filters=[")?;
            for (i, filter) in self.filters.iter().chain(&self.dynamic).enumerate() {
                write!(f, "{}{}", if i > 0 { ", " } else { "" }, fmt_sql(filter.as_ref()))?;
            }
            f.write_str("]")?;
        }
        if let Some(limit) = self.limit {
            write!(f, ", limit={limit}")?;
        }
        write!(f, ", partitions={}", self.partitions.len())
    }

    fn repartitioned(
        &self,
        target_partitions: usize,
        _min_size: usize,
        output_ordering: Option<LexOrdering>,
    ) -> Result<Option<Arc<dyn DataSource>>> {
        if output_ordering.is_some() || target_partitions == self.partitions.len() {
            return Ok(None);
        }
        let mut source = self.clone();
        source.target_partitions = target_partitions;
        source.divide();
        let changed = source.partitions.len() != self.partitions.len();
        Ok(changed.then(|| Arc::new(source) as Arc<dyn DataSource>))
    }

    fn output_partitioning(&self) -> Partitioning {
        Partitioning::UnknownPartitioning(self.partitions.len())
    }

    /// No order is promised: parts are read side by side, and a memtable is not
    /// sorted. Columns that a filter ties to one value are constant.
    fn eq_properties(&self) -> EquivalenceProperties {
        let mut properties = EquivalenceProperties::new(Arc::clone(&self.schema));
        for (column, value) in self.constants() {
            let name = self.schema.field(column).name();
            let column = Arc::new(Column::new(name, column)) as Arc<dyn PhysicalExpr>;
            let value = Arc::new(Literal::new(value)) as Arc<dyn PhysicalExpr>;
            // What cannot be used is only not known.
            let _ = properties.add_equal_conditions(column, value);
        }
        properties
    }

    fn scheduling_type(&self) -> SchedulingType {
        SchedulingType::Cooperative
    }

    fn partition_statistics(&self, partition: Option<usize>) -> Result<Arc<Statistics>> {
        let statistics = match partition {
            None => {
                let parts = self.partitions.iter().flatten().filter(|piece| piece.nth == 0);
                self.expected(rows_of(parts.map(|piece| &self.table.parts[piece.part])), true)
            }
            Some(partition) => {
                let pieces = self.partitions.get(partition).map_or(&[][..], Vec::as_slice);
                let rows = pieces.iter().map(|piece| piece.rows).sum::<u64>();
                let rows = Precision::Inexact(usize::try_from(rows).unwrap_or(usize::MAX));
                self.expected(rows, self.partitions.len() == 1)
            }
        };
        let partitions = if partition.is_some() { 1 } else { self.partitions.len() };
        Ok(Arc::new(statistics.with_fetch(self.limit, 0, partitions)?))
    }

    fn with_fetch(&self, limit: Option<usize>) -> Option<Arc<dyn DataSource>> {
        let mut source = self.clone();
        source.limit = limit;
        Some(Arc::new(source))
    }

    fn fetch(&self) -> Option<usize> {
        self.limit
    }

    fn metrics(&self) -> ExecutionPlanMetricsSet {
        self.metrics.clone()
    }

    /// Takes projections of plain columns; what computes stays above the scan.
    fn try_swapping_with_projection(
        &self,
        projection: &ProjectionExprs,
    ) -> Result<Option<Arc<dyn DataSource>>> {
        let mut columns = Vec::new();
        for item in projection.iter() {
            let Some(column) = item.expr.downcast_ref::<Column>() else { return Ok(None) };
            let Some(&index) = self.projection.get(column.index()) else { return Ok(None) };
            if item.alias != *self.table.schema.field(index).name() || columns.contains(&index) {
                return Ok(None);
            }
            columns.push(index);
        }
        let mut source = self.clone();
        source.schema = Arc::new(self.table.schema.project(&columns)?);
        source.projection = columns;
        Ok(Some(Arc::new(source)))
    }

    fn try_pushdown_filters(
        &self,
        filters: Vec<Arc<dyn PhysicalExpr>>,
        _config: &ConfigOptions,
    ) -> Result<FilterPushdownPropagation<Arc<dyn DataSource>>> {
        // Filtering before a limit is not the same as after it.
        if self.limit.is_some() {
            return Ok(FilterPushdownPropagation::with_parent_pushdown_result(vec![
                PushedDown::No;
                filters.len()
            ]));
        }
        let mut source = self.clone();
        let mut answers = Vec::with_capacity(filters.len());
        let mut taken = Vec::new();
        for filter in filters {
            let filter = self.over_table(filter)?;
            if filter.downcast_ref::<DynamicFilterPhysicalExpr>().is_some() {
                // Joins, TopK and aggregates apply their own dynamic filters to what
                // they receive in any case, so "yes" only spares a second check.
                source.dynamic.push(filter);
                answers.push(PushedDown::Yes);
            } else if let Some(predicate) = convert::exact(&filter, &self.table.schema) {
                taken.push((filter, predicate));
                answers.push(PushedDown::Yes);
            } else {
                if contains_dynamic(&filter)? {
                    source.dynamic.push(filter);
                }
                answers.push(PushedDown::No);
            }
        }
        if !taken.is_empty() {
            source.add_filters(taken);
        }
        Ok(FilterPushdownPropagation::with_parent_pushdown_result(answers)
            .with_updated_node(Arc::new(source)))
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        for filter in self.filters.iter().chain(&self.dynamic) {
            if f(filter)? == TreeNodeRecursion::Stop {
                return Ok(TreeNodeRecursion::Stop);
            }
        }
        Ok(TreeNodeRecursion::Continue)
    }
}

fn contains_dynamic(filter: &Arc<dyn PhysicalExpr>) -> Result<bool> {
    filter.exists(|expr| Ok(expr.downcast_ref::<DynamicFilterPhysicalExpr>().is_some()))
}
