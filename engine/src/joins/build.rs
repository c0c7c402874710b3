//! Rows that a table is built from, as long as they and the table fit.

use std::mem::size_of;

use datafusion::arrow::array::RecordBatch;
use datafusion::common::Result;
use datafusion::common::utils::memory::{RecordBatchMemoryCounter, estimate_memory_size};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryLimit, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use futures::StreamExt;

/// The part of what queries may hold that the table of a whole side leaves to others, one over
/// this.
const KEPT_FROM_WHOLE: usize = 4;

/// The same of the table of a part, which has nowhere else to go.
const KEPT_FROM_PART: usize = 16;

/// The part that one table may take whatever others have taken, one over this.
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
        is_part: bool,
        context: &TaskContext,
    ) -> Result<Taken> {
        let pool = context.memory_pool();
        let memory = MemoryConsumer::new("HashJoinInput").register(pool);
        let reserve = |memory: &MemoryReservation, bytes: usize| {
            let kept = if is_part { KEPT_FROM_PART } else { KEPT_FROM_WHOLE };
            let leaves = match pool.memory_limit() {
                MemoryLimit::Finite(all) => {
                    pool.reserved() + bytes <= all - all / kept
                        || memory.size() + bytes <= all / SMALL
                }
                _ => true,
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
        while !reserve(&build.memory, table_bytes(build.rows)?) {
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
