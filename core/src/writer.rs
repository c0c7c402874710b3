//! The writing side of a store: opening, the background threads, and work on files.

use std::cell::Cell;
use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::catalog::TableId;
use crate::clock::new_ulid;
use crate::collect;
use crate::commit::{
    Command, CommitQueue, Committer, CompactionCommit, FlushCommit, NewFiles, Prepared, Reply,
    Seed, prepare,
};
use crate::compaction::{self, Policy};
use crate::expiry;
use crate::flush::{Flushed, write_memtable};
use crate::inspect::{JobInfo, StallInfo};
use crate::jobs::{Jobs, Work};
use crate::lock::WriterLock;
use crate::log::{LogWriter, SpareFiles};
use crate::manifest::{self, ManifestLog};
use crate::memory::Memory;
use crate::memtable::Memtable;
use crate::pressure::{Limits, Pressure, SLOW_SEGMENTS};
use crate::recovery::{self, Recovered};
use crate::segment::{SegmentHandle, WriteContext, write_deletes};
use crate::snapshot::Snapshot;
use crate::state::Shared;
use crate::store::{Environment, Options};
use crate::vfs::Vfs;
use crate::write::{Commit, WriteBatch};
use crate::{Error, Result};

/// How often the maintenance thread looks for something to compact or delete.
const IDLE: Duration = Duration::from_secs(1);

/// A log file is followed by the next at the latest when it holds this many bytes, and
/// when it is this part of what the log may hold.
const LOG_FILE_BYTES_MAX: u64 = 64 << 20;
const LOG_FILES: u64 = 16;

/// A merge that is ahead of its budget by less goes on.
const PACE_US: i64 = 20_000;

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
    /// Opens or makes the database for writing: lock, manifest, log, threads.
    pub(crate) fn open(
        environment: Environment,
        options: Options,
        memory: Arc<Memory>,
    ) -> Result<Arc<Self>> {
        let Environment { vfs, clock, rng } = environment;
        if !manifest_exists(vfs.as_ref())? {
            check_new_folder(vfs.as_ref(), &options)?;
            for dir in ["", "manifest", "wal", "t"] {
                vfs.create_dir_all(dir).map_err(|source| Error::Io { path: dir.into(), source })?;
            }
        }
        let lock = WriterLock::take(vfs.as_ref())?;
        let mut context = WriteContext {
            vfs: Arc::clone(&vfs),
            store_id: 0,
            writer_epoch: 1,
            clock: Arc::clone(&clock),
            rng: Arc::clone(&rng),
        };
        let found = match manifest::load(vfs.as_ref())? {
            Some(found) => found,
            None => {
                context.store_id = new_ulid(clock.as_ref(), rng.as_ref());
                manifest::create(&context)?
            }
        };
        let Recovered { state, last_seq, log_files, end, store_id } =
            recovery::recover(&vfs, &found, true, None)?;
        collect::delete_orphans(vfs.as_ref(), &found)?;
        context.store_id = store_id;
        context.writer_epoch = found.writer_epoch + 1;

        // The first edit of an opening carries the new epoch: a writer that was
        // thought dead finds its next version taken, and stops.
        let mut manifest = ManifestLog::new(context.clone(), found);
        let version = manifest.commit(last_seq, Vec::new())?;
        let state = crate::state::State { manifest_version: version, ..state };
        let first_seq = end.map_or(0, |at| at.first_seq + 1).max(last_seq + 1);
        let log_file_bytes = (options.log_bytes / LOG_FILES).min(LOG_FILE_BYTES_MAX);
        let spares = SpareFiles::new(Arc::clone(&vfs), log_file_bytes / 2)?;
        let log = LogWriter::create(Arc::clone(&vfs), spares, context.identity(), first_seq)?;
        let (first, offset) = log.durable_position();
        lock.publish_position(first, offset)
            .map_err(|source| Error::Io { path: "LOCK".into(), source })?;

        let shared = Arc::new(Shared::new(state, last_seq));
        let Options { memtable_bytes, log_bytes, .. } = options;
        let limits = Limits { memtable_bytes, log_bytes };
        let pressure = Arc::new(Pressure::new(limits, Arc::clone(&memory), Arc::clone(&clock)));
        let committer = Committer::new(Seed {
            shared: Arc::clone(&shared),
            context: context.clone(),
            manifest,
            log,
            log_files,
            last_seq,
            lock,
            pressure: Arc::clone(&pressure),
            memory: Arc::clone(&memory),
            sync_interval: options.sync_interval,
            log_file_bytes,
        });
        let commits = Arc::new(CommitQueue::new(committer));
        let timer = Arc::clone(&commits);
        let timer = spawn("sheaf-sync", move || timer.sync_when_due())?;
        let writer = Arc::new(Self {
            shared,
            context,
            options,
            pressure,
            memory,
            jobs: Jobs::new(clock),
            commits,
            closed: AtomicBool::new(false),
            flushing: Mutex::new(()),
            compacting: Mutex::new(()),
            collecting: Mutex::new(()),
            flushed: Condvar::new(),
            open: Mutex::new(true),
            look_at: Mutex::default(),
            paid_until_us: AtomicI64::new(0),
            threads: Mutex::new(vec![timer]),
        });
        if let Err(error) = writer.start() {
            // Gives the lock back.
            let _ = writer.close();
            return Err(error);
        }
        Ok(writer)
    }

    /// Clears up, and starts the background threads.
    fn start(self: &Arc<Self>) -> Result<()> {
        // Log files that nothing needs any more: short openings would leave one each.
        self.collect()?;
        if self.options.background {
            let (weak, pressure) = (Arc::downgrade(self), Arc::clone(&self.pressure));
            let flusher = spawn("sheaf-flush", move || {
                while let Ok(table) = pressure.next_flush(IDLE) {
                    let Some(writer) = weak.upgrade() else { break };
                    let Some(table) = table else { continue };
                    let turn = AssertUnwindSafe(|| writer.flush_in_background(table));
                    if std::panic::catch_unwind(turn).is_err() {
                        writer.pressure.flushing(None);
                        writer.pressure.flush_failed(table, "a flush panicked");
                    }
                }
            })?;
            self.threads.lock().push(flusher);
            let weak = Arc::downgrade(self);
            let compactor = spawn("sheaf-compact", move || {
                lower_priority();
                while let Some(writer) = weak.upgrade() {
                    if !writer.wait_for_debt() {
                        break;
                    }
                    let turn = AssertUnwindSafe(|| {
                        writer.expire_in_background();
                        writer.compact_in_background();
                    });
                    if std::panic::catch_unwind(turn).is_err() {
                        tracing::error!("a merge panicked");
                        writer.pressure.merges_stuck();
                    }
                }
            })?;
            self.threads.lock().push(compactor);
        }
        Ok(())
    }

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

    /// What writers had to endure, the newest first.
    pub(crate) fn stalls(&self) -> Vec<StallInfo> {
        self.pressure.stalls()
    }

    /// Has a command served and returns its answer.
    pub(crate) fn call<T>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Result<T> {
        self.commits.call(command)
    }

    /// Flushes everything that the memtables of a table hold now.
    pub(crate) fn flush(&self, table: TableId) -> Result<()> {
        let _one_at_a_time = self.flushing.lock();
        self.pressure.flushing(Some(table));
        let flushed = self.flush_memtables(table);
        self.pressure.flushing(None);
        self.note_unmerged(table, None);
        flushed
    }

    /// Writers of a table are held up while too many flushed segments overlap.
    fn note_unmerged(&self, table: TableId, merged: Option<bool>) {
        let state = self.shared.current();
        let count = |table| compaction::unmerged(table, SLOW_SEGMENTS);
        // What cannot be read cannot be merged either: nobody is to wait for that.
        let count = state.tables.get(&table).map_or(0, |table| count(table).unwrap_or(0));
        self.pressure.note_unmerged(table, count, merged);
    }

    fn flush_memtables(&self, table: TableId) -> Result<()> {
        let memtables = self.call(|reply| Command::Rotate(table, reply))?;
        if memtables.is_empty() {
            return self.flush_deletes(table);
        }
        for memtable in memtables {
            self.jobs.run("flush", Some(table), || self.flush_memtable(table, memtable))?;
        }
        Ok(())
    }

    fn flush_memtable(&self, table: TableId, memtable: Memtable) -> Result<Work> {
        let (horizon, state) = self.shared.pin_horizon();
        let Some(current) = state.tables.get(&table) else { return Ok(Work::default()) };
        let (def, rows) = (&current.def, self.options.segment_rows);
        // The rows as columns, in their order, and encoded. It never waits: there is less
        // to hold when it is done.
        let _memory = self.memory.take(memtable.bytes() * 2);
        let mut flushed = Flushed::default();
        let written =
            write_memtable(&self.context, def, &memtable, horizon.seq, rows, &mut flushed);
        let Flushed { segments, moved } = flushed;
        written.inspect_err(|_| self.remove(&segments))?;
        let until = self.resolve(table)?;
        for (segment, moved) in segments.iter().zip(&moved) {
            moved.carry_deletes(&memtable, segment);
        }
        let work = Work {
            rows_in: memtable.rows(),
            rows_out: segments.iter().map(|s| s.meta.rows).sum(),
            bytes_out: segments.iter().map(|s| s.meta.new_bytes()).sum(),
            ..Work::default()
        };
        let older = self.segments_of(table);
        let files = self.with_deletes(table, &older, segments, until)?;
        let flush = FlushCommit { table, memtable: Some(memtable), files, moved };
        self.call(|reply| Command::Flushed(flush, reply))?;
        Ok(work)
    }

    /// Makes deletions of a table without memtable rows durable outside the log.
    fn flush_deletes(&self, table: TableId) -> Result<()> {
        let until = self.resolve(table)?;
        let state = self.shared.current();
        let Some(current) = state.tables.get(&table) else { return Ok(()) };
        let files = self.with_deletes(table, &current.segments, Vec::new(), until)?;
        if !files.deletes.is_empty() || current.flushed_seq < until {
            let flush = FlushCommit { table, memtable: None, files, moved: Vec::new() };
            self.call(|reply| Command::Flushed(flush, reply))?;
        }
        Ok(())
    }

    /// Completes the delete vectors of a table up to the number that is returned.
    fn resolve(&self, table: TableId) -> Result<u64> {
        let until = self.shared.visible();
        if let Some(state) = self.shared.current().tables.get(&table) {
            state.unresolved.resolve(&self.shared, table)?;
        }
        Ok(until)
    }

    fn segments_of(&self, table: TableId) -> Vec<Arc<SegmentHandle>> {
        let state = self.shared.current();
        state.tables.get(&table).map(|table| table.segments.clone()).unwrap_or_default()
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

    /// Does one merge; false when there was nothing to do. `pace` is told how many bytes
    /// of files were read; it may wait, and ends the merge with an error.
    pub(crate) fn compact_once(
        &self,
        table: TableId,
        thorough: bool,
        pace: &mut dyn FnMut(u64) -> Result<()>,
    ) -> Result<bool> {
        let _one_at_a_time = self.compacting.lock();
        let (horizon, state) = self.shared.pin_horizon();
        let Some(current) = state.tables.get(&table) else { return Ok(false) };
        // What ended up to the horizon is left out; what ends later is carried over.
        self.resolve(table)?;
        let policy = Policy {
            segment_rows: self.options.segment_rows as u64,
            horizon: horizon.seq,
            now_us: self.context.clock.now_us(),
            thorough,
            memory: compaction::merge_memory(&self.memory),
        };
        let Some(pick) = compaction::pick(current, &policy)? else { return Ok(false) };
        let needed = pick.memory().min(policy.memory);
        let looked = Cell::new(false);
        let goes_on = || {
            if looked.replace(true) {
                // Those who wait for merges may have the memory.
                self.pressure.merges_stuck();
            }
            *self.open.lock()
        };
        let Some(_memory) = self.memory.wait(needed, goes_on) else {
            return Err(closing());
        };
        let mut done = false;
        self.jobs.run("compact", Some(table), || {
            let mut work = Work {
                reason: pick.reason,
                rows_in: pick.inputs.iter().map(|s| s.meta.rows).sum(),
                ..Work::default()
            };
            let mut read = |bytes| {
                work.bytes_in += bytes;
                pace(bytes)
            };
            let inputs = pick.inputs.clone();
            let (segments, moved) =
                compaction::merge(&self.context, current, pick, &policy, &mut read)?;
            work.rows_out = segments.iter().map(|s| s.meta.rows).sum();
            work.bytes_out = segments.iter().map(|s| s.meta.new_bytes()).sum();
            let until = self.resolve(table)?;
            moved.carry_deletes(&inputs, &segments);
            let files = self.with_deletes(table, &[], segments, until)?;
            let merged = CompactionCommit { table, inputs, files, moved };
            done = self.call(|reply| Command::Compacted(merged, reply))?;
            Ok(work)
        })?;
        Ok(done)
    }

    /// Deletes rows of a table whose time to live was over at `now_us`; returns how many, and
    /// whether there may be more.
    pub(crate) fn expire(&self, table: TableId, now_us: i64) -> Result<(u64, bool)> {
        let (pin, state) = self.shared.pin();
        let Ok(snapshot) = Snapshot::new(pin, state).table(table) else { return Ok((0, false)) };
        let Some((batch, more)) = expiry::deletion(snapshot, now_us)? else {
            return Ok((0, false));
        };
        let mut conflict = false;
        let work =
            self.jobs.run("expire", Some(table), || match self.commit_beside_merges(batch) {
                Ok(commit) => Ok(Work { rows_out: commit.deleted, ..Work::default() }),
                // Somebody changed one of the rows, or the table, or dropped it.
                Err(
                    Error::Conflict { .. } | Error::SchemaChanged { .. } | Error::NotFound { .. },
                ) => {
                    conflict = true;
                    Ok(Work::default())
                }
                Err(error) => Err(error),
            })?;
        Ok((work.rows_out, more || conflict))
    }

    /// The same of all tables that have not been looked at for a while.
    fn expire_in_background(&self) {
        let state = self.shared.current();
        let now_us = self.context.clock.now_us();
        let mut look_at = self.look_at.lock();
        look_at.retain(|table, _| state.tables.contains_key(table));
        for (id, table) in &state.tables {
            let Some(ttl) = &table.def.ttl else { continue };
            let version = table.def.version;
            if look_at.get(id).is_some_and(|(of, at)| *of == version && now_us < *at) {
                continue;
            }
            // Merges have their turn before more is deleted.
            let more = self.expire(*id, now_us).map(|(_, more)| more).unwrap_or_else(|error| {
                if *self.open.lock() {
                    tracing::warn!(%error, "rows that have expired are still there");
                }
                false
            });
            let pause_us = if more { 0 } else { expiry::look_every_us(ttl) };
            look_at.insert(*id, (version, now_us + pause_us));
        }
    }

    /// Deletes what nobody needs.
    pub(crate) fn collect(&self) -> Result<()> {
        let _alone = self.collecting.lock();
        self.call(Command::Collect)
    }

    /// No file is deleted until the guard is dropped.
    pub(crate) fn keep_files(&self) -> MutexGuard<'_, ()> {
        self.collecting.lock()
    }

    fn flush_in_background(&self, table: TableId) {
        let flushed = self.flush(table).and_then(|()| self.collect());
        match flushed {
            Ok(()) => self.pressure.recovered(),
            Err(error) => {
                tracing::warn!(%error, "a flush failed");
                self.pressure.flush_failed(table, &error.to_string());
            }
        }
        self.flushed.notify_one();
    }

    /// Waits for a flush, or a while; false when the store closes.
    fn wait_for_debt(&self) -> bool {
        let mut open = self.open.lock();
        if *open {
            self.flushed.wait_for(&mut open, IDLE);
        }
        *open
    }

    /// Merges what is worth it, until nothing is left.
    fn compact_in_background(&self) {
        // A store that has stopped takes no outputs, so none are made.
        let mut result = self.collect();
        while result.is_ok() && *self.open.lock() {
            match self.compact_anything() {
                Ok(true) => result = self.collect(),
                Ok(false) => return,
                Err(error) => result = Err(error),
            }
        }
        self.pressure.merges_stuck();
        if let Err(error) = result
            && *self.open.lock()
        {
            tracing::warn!(%error, "a merge failed");
        }
    }

    /// Does a merge of each table that needs one; false when there was none to do. One
    /// that fails does not keep the others from theirs.
    fn compact_anything(&self) -> Result<bool> {
        let tables: Vec<TableId> = self.shared.current().tables.keys().copied().collect();
        let mut done = false;
        let mut failed = None;
        for table in tables {
            let merged = self.compact_once(table, false, &mut |bytes| self.pace(bytes));
            self.note_unmerged(table, Some(matches!(merged, Ok(true))));
            match merged {
                Ok(merged) => done |= merged,
                Err(error) => failed = Some(error),
            }
        }
        match failed {
            Some(error) => Err(error),
            None => Ok(done),
        }
    }

    /// Waits when background merges have read more than their budget; an error when the
    /// store closes.
    fn pace(&self, bytes: u64) -> Result<()> {
        let now = self.context.clock.now_us();
        let per_second = self.options.compaction_bytes_per_second;
        let due = self.paid_until_us.load(Ordering::Relaxed).max(now)
            + (bytes * 1_000_000).checked_div(per_second).unwrap_or(0) as i64;
        self.paid_until_us.store(due, Ordering::Relaxed);
        let mut open = self.open.lock();
        // Writers that wait for it pay for more than what it takes from them.
        if *open && due - now > PACE_US && !self.pressure.wants_merges() {
            self.flushed.wait_for(&mut open, Duration::from_micros((due - now) as u64).min(IDLE));
        }
        if *open { Ok(()) } else { Err(closing()) }
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

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(run)
        .map_err(|source| Error::Io { path: name.to_owned(), source })
}

/// Lets others run first. Where the system does not, a merge is as urgent as the rest.
fn lower_priority() {
    // Elsewhere this is about the whole process.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::setpriority_process(None, 10);
}

fn manifest_exists(vfs: &dyn Vfs) -> Result<bool> {
    let names =
        vfs.list("manifest").map_err(|source| Error::Io { path: "manifest".into(), source })?;
    Ok(names.iter().any(|n| n.ends_with(".edit") || n.ends_with(".ckpt")))
}

/// A folder becomes a database only when it is empty, or holds what an opening that
/// was cut short left.
fn check_new_folder(vfs: &dyn Vfs, options: &Options) -> Result<()> {
    let names = vfs.list("").map_err(|source| Error::Io { path: ".".into(), source })?;
    let ours = ["LOCK", "manifest", "wal", "t", "readers", "tmp"];
    if let Some(other) = names.iter().find(|n| !ours.contains(&n.as_str())) {
        return Err(Error::Incompatible(format!(
            "the folder is not a Sheaf database: it has no manifest, and holds '{other}'; \
             choose an empty folder"
        )));
    }
    if names.iter().any(|n| n == "wal") && !vfs.list("wal").unwrap_or_default().is_empty() {
        return Err(Error::Incompatible(
            "the folder has a log but no manifest: the manifest folder was lost; restore it".into(),
        ));
    }
    if options.create {
        Ok(())
    } else {
        Err(Error::Incompatible("the folder is not a Sheaf database: it has no manifest".into()))
    }
}
