//! A plan whose rows are there already: each partition's are put in, and taken once.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, internal_datafusion_err, internal_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties,
};
use futures::{StreamExt, TryStreamExt, stream};
use parking_lot::Mutex;

/// See the module's documentation.
pub(super) struct HandedExec {
    /// Where the rows come from, for whoever looks for something in the plan.
    from: Option<Arc<dyn ExecutionPlan>>,
    rows: Mutex<Vec<Option<SendableRecordBatchStream>>>,
    properties: Arc<PlanProperties>,
}

impl HandedExec {
    /// The rows of a plan's partitions, which are put in.
    pub(super) fn of(plan: &Arc<dyn ExecutionPlan>) -> Arc<Self> {
        let partitions = plan.output_partitioning().partition_count();
        let rows = (0..partitions).map(|_| None).collect();
        let properties = Arc::clone(plan.properties());
        Arc::new(Self { from: Some(Arc::clone(plan)), rows: Mutex::new(rows), properties })
    }

    /// These rows.
    pub(super) fn new(rows: SendableRecordBatchStream) -> Arc<Self> {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(rows.schema()),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        let rows = Mutex::new(vec![Some(rows)]);
        Arc::new(Self { from: None, rows, properties: Arc::new(properties) })
    }

    /// Puts in the rows of a partition.
    pub(super) fn put(&self, partition: usize, rows: SendableRecordBatchStream) {
        self.rows.lock()[partition] = Some(rows);
    }
}

/// Batches, and `others` after them.
pub(super) fn rows_of(
    schema: &SchemaRef,
    batches: impl IntoIterator<Item = RecordBatch, IntoIter: Send + 'static>,
    others: Option<SendableRecordBatchStream>,
) -> SendableRecordBatchStream {
    let batches = stream::iter(batches.into_iter().map(Ok));
    let rows = batches.chain(stream::iter(others).flatten());
    Box::pin(RecordBatchStreamAdapter::new(Arc::clone(schema), rows))
}

/// Rows that will be there.
pub(super) fn promised_rows(
    schema: SchemaRef,
    rows: impl Future<Output = Result<SendableRecordBatchStream>> + Send + 'static,
) -> SendableRecordBatchStream {
    Box::pin(RecordBatchStreamAdapter::new(schema, stream::once(rows).try_flatten()))
}

impl fmt::Debug for HandedExec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HandedExec").field("from", &self.from).finish_non_exhaustive()
    }
}

impl DisplayAs for HandedExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HandedExec")
    }
}

impl ExecutionPlan for HandedExec {
    fn name(&self) -> &str {
        "HandedExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        self.from.iter().collect()
    }

    fn apply_expressions(
        &self,
        _f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        _children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        internal_err!("rows that are there come from nowhere else")
    }

    fn execute(
        &self,
        partition: usize,
        _context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let rows = self.rows.lock()[partition].take();
        rows.ok_or_else(|| internal_datafusion_err!("the rows of a partition are not there"))
    }
}
