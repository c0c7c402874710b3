//! Rows that a table is built from, as long as they and the table fit.

use std::mem::size_of;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::utils::memory::{RecordBatchMemoryCounter, estimate_memory_size};
use datafusion::common::{Result, ScalarValue};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryLimit, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::functions_aggregate::min_max::{MaxAccumulator, MinAccumulator};
use datafusion::logical_expr::Accumulator;
use futures::StreamExt;

use super::parts::Side;

/// The part of what queries may hold that the table of a whole side leaves to others, one over
/// this.
const KEPT_FROM_WHOLE: usize = 4;

/// The same of the tables of parts, which threads share evenly.
const KEPT_FROM_PARTS: usize = 16;

/// The part that the table of a whole side may take whatever others have, one over this.
const SMALL: usize = 32;

/// Rows, and what is reserved for them and a table of them.
pub(super) struct Build {
    pub(super) batches: Vec<RecordBatch>,
    pub(super) memory: MemoryReservation,
    /// Bytes of each batch that none before it has.
    bytes: Vec<usize>,
    rows: usize,
}

/// How many rows were taken.
pub(super) enum Taken {
    /// All of them.
    All(Build),
    /// As many as fit, which may be none; those that were taken and do not fit; and the others.
    TooMany(Build, Vec<RecordBatch>, SendableRecordBatchStream),
}

impl Build {
    /// Takes rows until there are no more, or too many, of a side or of a `part` of one. The
    /// operators above are left something.
    pub(super) async fn take(
        mut rows: SendableRecordBatchStream,
        side: &Side,
        is_part: bool,
        context: &TaskContext,
    ) -> Result<Taken> {
        let pool = context.memory_pool();
        let memory = MemoryConsumer::new("HashJoinInput").register(pool);
        let threads = context.session_config().target_partitions();
        let reserve = |memory: &MemoryReservation, bytes: usize| {
            let MemoryLimit::Finite(all) = pool.memory_limit() else {
                return memory.try_grow(bytes).is_ok();
            };
            let leaves = match is_part {
                true => memory.size() + bytes <= (all - all / KEPT_FROM_PARTS) / threads,
                false => {
                    pool.reserved() + bytes <= all - all / KEPT_FROM_WHOLE
                        || memory.size() + bytes <= all / SMALL
                }
            };
            leaves && memory.try_grow(bytes).is_ok()
        };
        let mut counter = RecordBatchMemoryCounter::new();
        let mut build = Self { batches: Vec::new(), memory, bytes: Vec::new(), rows: 0 };
        let mut too_many = Vec::new();
        while let Some(batch) = rows.next().await {
            let batch = batch?;
            // The rows become one batch, which is there beside them for a while.
            let bytes = 2 * counter.count_batch(&batch);
            if !reserve(&build.memory, bytes) {
                too_many.push(batch);
                break;
            }
            build.rows += batch.num_rows();
            build.batches.push(batch);
            build.bytes.push(bytes);
        }
        // Parts have no arrays, see `Pairs::table`.
        let array_bytes = match is_part {
            true => 0,
            false => array_bytes(&build, side, context)?,
        };
        while !reserve(&build.memory, table_bytes(build.rows)?.max(array_bytes)) {
            let Some(batch) = build.batches.pop() else { break };
            build.rows -= batch.num_rows();
            build.memory.shrink(build.bytes.pop().unwrap_or_default());
            too_many.push(batch);
        }
        match too_many.is_empty() {
            true => Ok(Taken::All(build)),
            false => Ok(Taken::TooMany(build, too_many, rows)),
        }
    }

    /// How many rows there are.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }
}

/// Bytes of a table of so many rows, and of a bit for each.
fn table_bytes(rows: usize) -> Result<usize> {
    let table = match u32::try_from(rows) {
        Ok(_) => estimate_memory_size::<(u32, u64)>(rows, size_of::<u32>() * rows)?,
        Err(_) => estimate_memory_size::<(u64, u64)>(rows, size_of::<u64>() * rows)?,
    };
    Ok(table + rows / 8)
}

/// Bytes of the array that DataFusion makes of integers without large gaps instead of a table;
/// zero where it does not.
fn array_bytes(build: &Build, side: &Side, context: &TaskContext) -> Result<usize> {
    let [key] = side.keys.as_slice() else { return Ok(0) };
    let data_type = key.data_type(&side.schema)?;
    if !data_type.is_integer() {
        return Ok(0);
    }
    let mut least = MinAccumulator::try_new(&data_type)?;
    let mut most = MaxAccumulator::try_new(&data_type)?;
    for batch in &build.batches {
        let keys = [key.evaluate(batch)?.into_array(batch.num_rows())?];
        least.update_batch(&keys)?;
        most.update_batch(&keys)?;
    }
    let bound = |value: ScalarValue| -> Result<Option<i128>> {
        match value.cast_to(&DataType::Decimal128(38, 0))? {
            ScalarValue::Decimal128(value, ..) => Ok(value),
            _ => Ok(None),
        }
    };
    let Some((least, most)) = bound(least.evaluate()?)?.zip(bound(most.evaluate()?)?) else {
        return Ok(0);
    };
    let places = (most - least) as f64 + 1.0;
    let options = &context.session_config().options().execution;
    let is_array = places <= options.perfect_hash_join_small_build_threshold as f64
        || build.rows as f64 / places > options.perfect_hash_join_min_key_density;
    Ok(if is_array { size_of::<u32>() * (places as usize + build.rows) } else { 0 })
}
