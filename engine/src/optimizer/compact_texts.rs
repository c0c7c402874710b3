//! Texts in few buffers before a join builds its table of them.
//!
//! A text column points into buffers, and what a join returns points into those of both
//! of its sides. Built into the next join's table, the buffers of all batches add up,
//! and each batch that is returned refers to all of them: a few joins on, most of the
//! time goes into counting references. So what is built from the result of a join is
//! copied into one buffer for each batch first.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, Statistics, internal_datafusion_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::execution_plan::CardinalityEffect;
use datafusion::physical_plan::joins::HashJoinExec;
use datafusion::physical_plan::statistics::StatisticsArgs;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, replace_children_if_necessary,
};
use futures::StreamExt;

/// Buffers that a column of a batch may have before it is copied.
const BUFFERS_MAX: usize = 4;

/// See the module's documentation.
pub(super) fn rewrite(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    let compact = |node: Arc<dyn ExecutionPlan>| {
        let Some(join) = node.downcast_ref::<HashJoinExec>() else {
            return Ok(Transformed::no(node));
        };
        let has_texts = join.left().schema().fields().iter().any(|f| is_view(f.data_type()));
        if !has_texts || !join.left().exists(|below| Ok(below.is::<HashJoinExec>()))? {
            return Ok(Transformed::no(node));
        }
        let left: Arc<dyn ExecutionPlan> =
            Arc::new(CompactTextsExec { input: Arc::clone(join.left()) });
        let right = Arc::clone(join.right());
        Ok(Transformed::yes(replace_children_if_necessary(node, vec![left, right])?))
    };
    plan.transform_up(compact).data()
}

fn is_view(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8View | DataType::BinaryView)
}

/// Its input's rows, texts in few buffers.
#[derive(Debug)]
struct CompactTextsExec {
    input: Arc<dyn ExecutionPlan>,
}

impl DisplayAs for CompactTextsExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CompactTextsExec")
    }
}

impl ExecutionPlan for CompactTextsExec {
    fn name(&self) -> &str {
        "CompactTextsExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
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
        Ok(Arc::new(Self { input }))
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let rows = self.input.execute(partition, context)?;
        let compact = |batch: Result<RecordBatch>| {
            let batch = batch?;
            let columns = batch.columns().iter().map(compact).collect();
            Ok(RecordBatch::try_new(batch.schema(), columns)?)
        };
        Ok(Box::pin(RecordBatchStreamAdapter::new(rows.schema(), rows.map(compact))))
    }

    fn statistics_from_inputs(
        &self,
        inputs: &[Arc<Statistics>],
        _args: &StatisticsArgs,
    ) -> Result<Arc<Statistics>> {
        Ok(Arc::clone(&inputs[0]))
    }

    fn cardinality_effect(&self) -> CardinalityEffect {
        CardinalityEffect::Equal
    }
}

fn compact(column: &ArrayRef) -> ArrayRef {
    match column.data_type() {
        DataType::Utf8View => {
            let texts = column.as_string_view();
            if texts.data_buffers().len() > BUFFERS_MAX {
                return Arc::new(texts.gc());
            }
        }
        DataType::BinaryView => {
            let values = column.as_binary_view();
            if values.data_buffers().len() > BUFFERS_MAX {
                return Arc::new(values.gc());
            }
        }
        _ => {}
    }
    Arc::clone(column)
}
