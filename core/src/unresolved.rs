//! Upserts that have not looked for the rows that they replace.
//!
//! A table with `lazy_upserts` takes a put that replaces whatever is there without a look
//! at segments: the version goes into the memtable and waits here. Who needs complete
//! delete vectors (a scan, a range, a flush, a merge) has it resolved first, many at once
//! and in the order of the key indexes.
//!
//! It does not matter who resolves, or when: a segment's row with the key of a version that
//! waits can only have been ended by that version, because whatever changes the key later
//! finds the version in the memtable. That holds because
//!
//! - lookups take a row of a segment for ended when a memtable has a later version of its
//!   key ([`crate::lookup`]), and
//! - the committer has everything resolved before it takes a segment or a memtable out of
//!   the state, so that snapshots which still hold them miss nothing.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

use crate::Result;
use crate::catalog::TableId;
use crate::memtable::{LIVE, OwnedEntry};
use crate::segment::SegmentHandle;
use crate::state::Shared;

/// Fewer versions are resolved by the thread that needs it.
const SHARED_MIN: usize = 1 << 14;

/// What waits in one table; see the module's documentation.
#[derive(Default)]
pub(crate) struct Unresolved {
    waiting: Mutex<Vec<Version>>,
    /// Versions that wait, those that are being resolved included.
    count: AtomicUsize,
    /// Locked by the thread that resolves.
    resolving: Mutex<()>,
}

/// A version whose older rows have not been looked for.
struct Version {
    /// Of its key.
    hash: u64,
    entry: OwnedEntry,
}

impl std::fmt::Debug for Unresolved {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Unresolved").field("count", &self.count).finish_non_exhaustive()
    }
}

impl Unresolved {
    /// Called by the committer, before the version's number is published.
    pub(crate) fn add(&self, entry: OwnedEntry, hash: u64) {
        self.count.fetch_add(1, Ordering::AcqRel);
        self.waiting.lock().push(Version { hash, entry });
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.count.load(Ordering::Acquire) == 0
    }

    /// Bytes of memory.
    pub(crate) fn bytes(&self) -> usize {
        self.count.load(Ordering::Relaxed) * size_of::<Version>()
    }

    /// Ends what the versions that wait have replaced, in the newest segments of `table`.
    pub(crate) fn resolve(&self, shared: &Shared, table: TableId) -> Result<()> {
        if self.is_empty() {
            return Ok(());
        }
        let _one_at_a_time = self.resolving.lock();
        let mut versions = std::mem::take(&mut *self.waiting.lock());
        // The state is read after the versions were taken: its segments are those that the
        // versions were put on top of, or newer.
        if let Some(table) = shared.current().tables.get(&table)
            && let Err(error) = end_older_rows(&table.segments, &mut versions)
        {
            self.waiting.lock().append(&mut versions);
            return Err(error);
        }
        self.count.fetch_sub(versions.len(), Ordering::AcqRel);
        Ok(())
    }
}

/// Rows that end, and their numbers.
type Ended = Vec<(u32, u64)>;

fn end_older_rows(segments: &[Arc<SegmentHandle>], versions: &mut [Version]) -> Result<()> {
    versions.sort_unstable_by_key(|version| version.hash);
    let stretches = older_rows(segments, versions)?;
    for (at, segment) in segments.iter().enumerate() {
        // All at once: of versions of one key the first has ended the row.
        segment.deletes.end_all(stretches.iter().flat_map(|ended| ended[at].iter().copied()));
    }
    Ok(())
}

/// Per stretch of the versions and per segment, the rows that they have replaced.
fn older_rows(segments: &[Arc<SegmentHandle>], versions: &[Version]) -> Result<Vec<Vec<Ended>>> {
    if versions.len() < SHARED_MIN {
        return Ok(vec![older_rows_of(segments, versions)?]);
    }
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let stretches = versions.chunks(versions.len().div_ceil(threads));
    // Threads of their own: who waits for the lock may be one of a pool's.
    std::thread::scope(|scope| {
        let threads: Vec<_> = stretches
            .map(|versions| scope.spawn(move || older_rows_of(segments, versions)))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|e| resume_unwind(e)))
            .collect()
    })
}

fn older_rows_of(segments: &[Arc<SegmentHandle>], versions: &[Version]) -> Result<Vec<Ended>> {
    let mut ended = vec![Vec::new(); segments.len()];
    for Version { hash, entry } in versions {
        let version = entry.get();
        if let Some((at, ordinal)) = live_row(segments, version.key(), *hash, version.seq())? {
            ended[at].push((ordinal, version.seq()));
        }
    }
    Ok(ended)
}

/// The live row of a key that was written before `seq`, of which there is one at most:
/// position of its segment, and ordinal.
fn live_row(
    segments: &[Arc<SegmentHandle>],
    key: &[u8],
    hash: u64,
    seq: u64,
) -> Result<Option<(usize, u32)>> {
    for (at, segment) in segments.iter().enumerate().filter(|(_, s)| s.meta.min_seq < seq) {
        for ordinal in segment.find_key(key, hash)? {
            if segment.deletes.ended(ordinal) == LIVE && segment.is_older(ordinal, seq)? {
                return Ok(Some((at, ordinal)));
            }
        }
    }
    Ok(None)
}
