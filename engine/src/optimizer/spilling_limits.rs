//! ORDER BY with a LIMIT that does not fit.
//!
//! The first rows of all are kept in memory, which cannot spill. When that is more than a part
//! of what queries may hold, all rows are sorted and the rest is cut off: slower, and answered.

use std::sync::Arc;

use arrow::datatypes::{DataType, Fields};
use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::execution::memory_pool::{MemoryLimit, MemoryPool};
use datafusion::physical_plan::limit::LocalLimitExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};

/// One over this of what queries may hold is for one operator that cannot spill.
const SHARE: usize = 4;

/// Bytes that a row takes beside its values, for its place among the others.
const ROW_BYTES: usize = 24;

/// Bytes that a value of a type without a width takes, more or less.
const VALUE_BYTES: usize = 48;

/// See the module's documentation.
pub(super) fn rewrite(
    plan: Arc<dyn ExecutionPlan>,
    memory: &Arc<dyn MemoryPool>,
) -> Result<Arc<dyn ExecutionPlan>> {
    let spilling = |plan: Arc<dyn ExecutionPlan>| {
        let sort = plan.downcast_ref::<SortExec>();
        let Some((sort, fetch)) = sort.and_then(|sort| Some((sort, sort.fetch()?))) else {
            return Ok(Transformed::no(plan));
        };
        if fits(memory, fetch, &plan) {
            return Ok(Transformed::no(plan));
        }
        let all = Arc::new(sort.with_fetch(None));
        Ok(Transformed::yes(Arc::new(LocalLimitExec::new(all, fetch)) as _))
    };
    plan.transform_up(spilling).data()
}

/// Whether one operator may keep so many rows of a plan.
fn fits(memory: &Arc<dyn MemoryPool>, rows: usize, plan: &Arc<dyn ExecutionPlan>) -> bool {
    let MemoryLimit::Finite(all) = memory.memory_limit() else { return true };
    // Each partition keeps as many.
    let rows = rows.saturating_mul(plan.output_partitioning().partition_count());
    rows.saturating_mul(ROW_BYTES + row_bytes(plan.schema().fields())) <= all / SHARE
}

fn row_bytes(fields: &Fields) -> usize {
    fields.iter().map(|field| value_bytes(field.data_type())).sum()
}

fn value_bytes(data_type: &DataType) -> usize {
    match data_type {
        DataType::FixedSizeBinary(len) => *len as usize,
        DataType::FixedSizeList(item, len) => *len as usize * value_bytes(item.data_type()),
        DataType::Struct(fields) => row_bytes(fields),
        other => other.primitive_width().unwrap_or(VALUE_BYTES),
    }
}
