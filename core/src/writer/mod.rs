//! The writing side of a store: commits, the background threads, and work on files.
//!
//! ```text
//! open     lock, manifest, recovery, log, threads
//! flush    frozen memtables become segments       (sheaf-flush, or who asks)
//! merge    segments become fewer                  (sheaf-compact, or who asks)
//! expire   rows whose time is over are deleted    (sheaf-compact, or who asks)
//! ```

mod expire;
mod flush;
mod merge;
mod open;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::catalog::TableId;
use crate::commit::{Command, CommitQueue, NewFiles, Prepared, Reply, prepare};
use crate::compaction;
use crate::inspect::{JobInfo, StallInfo};
use crate::jobs::Jobs;
use crate::memory::Memory;
use crate::pressure::{Pressure, SLOW_SEGMENTS};
use crate::segment::{SegmentHandle, WriteContext, write_deletes};
use crate::state::Shared;
use crate::store::Options;
use crate::write::{Commit, WriteBatch};
use crate::{Error, Result};

/// How often the background threads look for something to do.
const IDLE: Duration = Duration::from_secs(1);

/// See the module's documentation.
pub(crate) struct Writer {
    shared: Arc<Shared>,
    context: WriteContext,
    options: Options,
    pressure: Arc<Pressure>,
    memory: Arc<Memory>,
    jobs: Jobs,
    commits: Arc<CommitQueue>,
    closed: AtomicBool,
    /// One flush at a time, and one compaction beside it.
    flushing: Mutex<()>,
    compacting: Mutex<()>,
    /// Locked while files are deleted, or must not be.
    collecting: Mutex<()>,
    /// Something was flushed: there may be something to merge.
    flushed: Condvar,
    /// False when the store closes; goes with `flushed`.
    open: Mutex<bool>,
    /// When tables with a time to live are to be looked at again, and the versions that
    /// they had: another one may have another time to live.
    look_at: Mutex<HashMap<TableId, (u32, i64)>>,
    /// When what background merges have read is within their budget.
    paid_until_us: AtomicI64,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Writer {
    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(crate) fn context(&self) -> &WriteContext {
        &self.context
    }

    pub(crate) fn segment_rows(&self) -> usize {
        self.options.segment_rows
    }

    pub(crate) fn memory(&self) -> &Memory {
        &self.memory
    }

    pub(crate) fn jobs(&self) -> Vec<JobInfo> {
        self.jobs.list()
    }

    /// Commits `batch`; returns when it is as durable as asked.
    pub(crate) fn commit(&self, batch: WriteBatch) -> Result<Commit> {
        let prepared = self.prepare(batch)?;
        // Without a background thread nobody merges unasked.
        if self.options.background && self.pressure.wants_merges() {
            let tables: Vec<TableId> = prepared.ops.iter().map(|op| op.table().id).collect();
            self.pressure.wait_for_merges(&tables, prepared.bytes)?;
        }
        self.commit_prepared(prepared)
    }

    /// The same for a thread that has merges to do: it waits for none.
    fn commit_beside_merges(&self, batch: WriteBatch) -> Result<Commit> {
        self.commit_prepared(self.prepare(batch)?)
    }

    fn prepare(&self, batch: WriteBatch) -> Result<Prepared> {
        prepare(batch, self.options.durability, self.options.log_compression)
    }

    fn commit_prepared(&self, mut prepared: Prepared) -> Result<Commit> {
        self.wait_for_room(prepared.bytes)?;
        prepared.probe(&self.shared.current())?;
        self.call(|reply| Command::Write(prepared, reply))
    }

    /// Blocks while memtables or log are far too large. Without a background thread the
    /// caller itself makes room.
    fn wait_for_room(&self, bytes: usize) -> Result<()> {
        if !self.options.background {
            while let Ok(Some(table)) = self.pressure.next_flush(Duration::ZERO) {
                if let Err(error) = self.flush(table).and_then(|()| self.collect()) {
                    self.pressure.flush_failed(table, &error.to_string());
                    return Err(error);
                }
                self.pressure.recovered();
            }
        }
        self.pressure.wait_for_room(bytes)
    }

    /// See [`crate::Store::health`].
    pub(crate) fn health(&self) -> Result<()> {
        self.pressure.failure().map_or(Ok(()), |why| Err(Error::Stopped(why)))
    }

    /// What writers had to endure, the newest first.
    pub(crate) fn stalls(&self) -> Vec<StallInfo> {
        self.pressure.stalls()
    }

    /// Has a command served and returns its answer.
    pub(crate) fn call<T>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Result<T> {
        self.commits.call(command)
    }

    /// Writers of a table are held up while too many flushed segments overlap.
    fn note_unmerged(&self, table: TableId, merged: Option<bool>) {
        let state = self.shared.current();
        let count = |table| compaction::unmerged(table, SLOW_SEGMENTS);
        // What cannot be read cannot be merged either: nobody is to wait for that.
        let count = state.tables.get(&table).map_or(0, |table| count(table).unwrap_or(0));
        self.pressure.note_unmerged(table, count, merged);
    }

    /// Completes the delete vectors of a table up to the number that is returned.
    fn resolve(&self, table: TableId) -> Result<u64> {
        let until = self.shared.visible();
        self.shared.resolve(table)?;
        Ok(until)
    }

    /// Adds to new segments the delete vectors that have grown, of them and of older ones.
    fn with_deletes(
        &self,
        table: TableId,
        older: &[Arc<SegmentHandle>],
        segments: Vec<Arc<SegmentHandle>>,
        until: u64,
    ) -> Result<NewFiles> {
        let mut files = NewFiles { segments: segments.clone(), deletes: Vec::new(), until };
        let state = self.shared.current();
        let flushed = state.tables.get(&table).map_or(0, |table| table.flushed_seq);
        for segment in older.iter().chain(&segments) {
            let horizon = self.shared.horizon().min(flushed);
            let written = write_deletes(&self.context, segment, horizon, until);
            files.deletes.extend(written.inspect_err(|_| self.remove(&segments))?);
        }
        Ok(files)
    }

    /// Removes what a job that failed has written (I5). What stays behind is found by the
    /// next opening.
    fn remove(&self, segments: &[Arc<SegmentHandle>]) {
        for path in segments.iter().flat_map(|s| s.meta.paths(s.table)) {
            let _ = self.context.vfs.delete(&path);
        }
    }

    /// Deletes what nobody needs.
    pub(crate) fn collect(&self) -> Result<()> {
        self.forget_deletions();
        let _alone = self.collecting.lock();
        self.call(Command::Collect)
    }

    /// Delete vectors forget the numbers that neither a snapshot nor the log asks for any
    /// more, also those that nothing is written to again.
    fn forget_deletions(&self) {
        for table in self.shared.current().tables.values() {
            let horizon = self.shared.horizon().min(table.flushed_seq);
            for segment in &table.segments {
                segment.deletes.forget(horizon);
            }
        }
    }

    /// No file is deleted until the guard is dropped.
    pub(crate) fn keep_files(&self) -> MutexGuard<'_, ()> {
        self.collecting.lock()
    }

    /// Makes the log durable and stops the threads. Calling it again does nothing.
    pub(crate) fn close(&self) -> Result<()> {
        self.pressure.close();
        *self.open.lock() = false;
        self.flushed.notify_all();
        if self.closed.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        let result = self.call(Command::Close);
        let me = std::thread::current().id();
        for thread in self.threads.lock().drain(..) {
            // The maintenance thread may hold the last handle for a moment.
            if thread.thread().id() != me && thread.join().is_err() {
                return Err(Error::Stopped("a thread of the store panicked".into()));
            }
        }
        result
    }
}

fn closing() -> Error {
    Error::Stopped("the database is closing".into())
}
