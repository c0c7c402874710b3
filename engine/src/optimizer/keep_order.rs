//! Rows of files come in the order of the files, as far as nothing above the scan puts
//! them into another.
//!
//! A large Parquet file is read as several partitions, and DataFusion returns whichever
//! batch is there first. For a table that is loaded from the file this mixes ranges that
//! zone maps could have told apart, and a first look with LIMIT shows any rows. So the
//! partitions of such plans are read side by side and returned one after the other.

use std::fmt;
use std::sync::Arc;

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, Statistics, internal_datafusion_err};
use datafusion::datasource::physical_plan::FileScanConfig;
use datafusion::datasource::source::DataSourceExec;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{Partitioning, PhysicalExpr};
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::common::spawn_buffered;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::execution_plan::{CardinalityEffect, EvaluationType};
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::limit::{GlobalLimitExec, LimitStream, LocalLimitExec};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet};
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::statistics::{ChildStats, StatisticsArgs};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::StreamingTableExec;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties,
    replace_children_if_necessary,
};
use futures::{StreamExt, stream};

/// Batches that a partition may be ahead.
const BATCHES_AHEAD: usize = 4;

/// See the module's documentation.
pub(super) fn rewrite(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    match in_order(&plan)? {
        Some(ordered) if partitions(&ordered) > 1 => Ok(Arc::new(InOrderExec::new(ordered, None))),
        Some(ordered) => Ok(ordered),
        None => merged_in_order(plan),
    }
}

/// The plan with partitions in order where it merges them, as long as rows only pass
/// through on their way up from there.
fn merged_in_order(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    if let Some(merge) = plan.downcast_ref::<CoalescePartitionsExec>() {
        return Ok(match in_order(merge.input())? {
            Some(ordered) => Arc::new(InOrderExec::new(ordered, merge.fetch())),
            None => plan,
        });
    }
    if !(passes_through(&plan) || plan.is::<GlobalLimitExec>()) {
        return Ok(plan);
    }
    let input = merged_in_order(Arc::clone(plan.children()[0]))?;
    replace_children_if_necessary(plan, vec![input])
}

/// The plan as one whose partitions, one after the other, have the rows of files in
/// their order; `None` when the rows are not those of a file or an operator mixes them.
fn in_order(plan: &Arc<dyn ExecutionPlan>) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    if plan.is::<StreamingTableExec>() {
        return Ok(Some(Arc::clone(plan)).filter(|plan| partitions(plan) == 1));
    }
    if let Some(scan) = plan.downcast_ref::<DataSourceExec>() {
        let files = scan.data_source().downcast_ref::<FileScanConfig>();
        // Otherwise a partition that is done takes files of another.
        let ordered = files.and_then(|_| scan.data_source().with_preserve_order(true));
        return Ok(ordered.map(|source| Arc::new(DataSourceExec::new(source)) as _));
    }
    if let Some(deal) = plan.downcast_ref::<RepartitionExec>() {
        // Dealt out in turn for more threads, which order is worth more than.
        let dealt = matches!(deal.partitioning(), Partitioning::RoundRobinBatch(_));
        return if dealt { in_order(deal.input()) } else { Ok(None) };
    }
    if !passes_through(plan) {
        return Ok(None);
    }
    match in_order(plan.children()[0])? {
        Some(input) => Ok(Some(replace_children_if_necessary(Arc::clone(plan), vec![input])?)),
        None => Ok(None),
    }
}

/// True for an operator that returns rows of its one input, batch by batch.
fn passes_through(plan: &Arc<dyn ExecutionPlan>) -> bool {
    plan.is::<ProjectionExec>()
        || plan.is::<FilterExec>()
        || plan.is::<CooperativeExec>()
        || plan.is::<LocalLimitExec>()
}

fn partitions(plan: &Arc<dyn ExecutionPlan>) -> usize {
    plan.output_partitioning().partition_count()
}

/// The partitions of its input one after the other, read side by side.
#[derive(Debug)]
struct InOrderExec {
    input: Arc<dyn ExecutionPlan>,
    /// Rows that are returned at most.
    fetch: Option<usize>,
    properties: Arc<PlanProperties>,
}

impl InOrderExec {
    fn new(input: Arc<dyn ExecutionPlan>, fetch: Option<usize>) -> Self {
        let mut equivalences = input.equivalence_properties().clone();
        equivalences.clear_orderings();
        equivalences.clear_per_partition_constants();
        let properties = PlanProperties::new(
            equivalences,
            Partitioning::UnknownPartitioning(1),
            input.pipeline_behavior(),
            input.boundedness(),
        )
        .with_evaluation_type(EvaluationType::Eager)
        .with_scheduling_type(input.properties().scheduling_type);
        Self { input, fetch, properties: Arc::new(properties) }
    }
}

impl DisplayAs for InOrderExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InOrderExec")?;
        self.fetch.map_or(Ok(()), |fetch| write!(f, ": fetch={fetch}"))
    }
}

impl ExecutionPlan for InOrderExec {
    fn name(&self) -> &str {
        "InOrderExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn apply_expressions(
        &self,
        _f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let input =
            children.pop().ok_or_else(|| internal_datafusion_err!("one input is needed"))?;
        Ok(Arc::new(Self::new(input, self.fetch)))
    }

    fn execute(
        &self,
        _partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let parts = (0..partitions(&self.input))
            .map(|i| {
                Ok(spawn_buffered(self.input.execute(i, Arc::clone(&context))?, BATCHES_AHEAD))
            })
            .collect::<Result<Vec<_>>>()?;
        let rows = stream::iter(parts).flatten();
        let schema = self.schema();
        let Some(fetch) = self.fetch else {
            return Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows)));
        };
        let metrics = BaselineMetrics::new(&ExecutionPlanMetricsSet::new(), 0);
        let rows = Box::pin(RecordBatchStreamAdapter::new(schema, rows));
        Ok(Box::pin(LimitStream::new(rows, 0, Some(fetch), metrics)))
    }

    fn child_stats_requests(&self, _partition: Option<usize>) -> Vec<ChildStats> {
        vec![ChildStats::At(None)]
    }

    fn statistics_from_inputs(
        &self,
        inputs: &[Arc<Statistics>],
        _args: &StatisticsArgs,
    ) -> Result<Arc<Statistics>> {
        Ok(Arc::new(inputs[0].as_ref().clone().with_fetch(self.fetch, 0, 1)?))
    }

    fn cardinality_effect(&self) -> CardinalityEffect {
        CardinalityEffect::Equal
    }

    fn fetch(&self) -> Option<usize> {
        self.fetch
    }
}
