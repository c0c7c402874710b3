//! Compaction: segments that overlap, are small or much deleted become sorted runs.
//!
//! ```text
//! level 0   flushed: each has keys from all over
//!              │  four that overlap, merged; cut where settled segments end
//! level 1   merged: overlap settled ones
//!              │  four runs of like size over one range of keys, merged
//! level 2   settled: nothing overlaps it; encoded as small as it gets
//! ```
//!
//! *Pick* decides what is worth a merge, *runs* knows what overlaps what, *merge* reads
//! segments side by side and writes their rows in order, a window of each in memory.
//!
//! Sequence numbers stay with their rows (I1). There are no tombstones to drop
//! (I2): a delete marks the row it ends when it commits, wherever the row is.

mod input;
mod merge;
mod pick;
mod runs;

use crate::memory::Memory;

pub(crate) use merge::merge;
pub(crate) use pick::{Pick, Policy, debt_rows, pick};
pub(crate) use runs::unmerged;

/// Bytes that a merge holds where there is memory enough.
const MEMORY_MAX: usize = 1536 << 20;

/// Bytes that one merge may hold: rows that were read, a sixth of it; rows of the next
/// segment, a third; and the rest for these rows in one piece and encoded.
pub(crate) fn merge_memory(memory: &Memory) -> usize {
    (memory.limit() / 4).min(MEMORY_MAX)
}

/// Level of segments as they are flushed.
pub(crate) const FLUSHED: u32 = 0;
/// Level of segments that were merged and overlap others.
pub(crate) const MERGED: u32 = 1;
/// Level of segments that are not merged again without a reason.
pub(crate) const SETTLED: u32 = 2;
