//! What commits do, one at a time: one order for everything.

use std::sync::{Arc, Weak};
use std::time::Duration;

use super::prepare::Prepared;
use super::{Command, Reply, apply};
use crate::catalog::TableId;
use crate::collect;
use crate::lock::WriterLock;
use crate::log::{LogFileInfo, LogWriter};
use crate::manifest::{EditOp, ManifestLog};
use crate::memory::{Memory, MemoryUse};
use crate::memtable::Memtable;
use crate::pressure::Pressure;
use crate::segment::{SegmentHandle, WriteContext};
use crate::state::{Shared, State, TableState};
use crate::write::{Commit, Durability};
use crate::{Error, Result};

/// A group is written at the latest when it holds this many bytes.
const GROUP_BYTES: usize = 8 << 20;

/// Commands after which a leader goes, so that the group's own commits do not wait for
/// others that keep failing.
const GROUP_COMMANDS: usize = 1024;

/// Files that may go once nobody can need them.
#[derive(Debug)]
pub(crate) struct Garbage {
    pub paths: Vec<String>,
    /// Alive while a snapshot of this process may read the files.
    pub pinned_by: Option<Weak<SegmentHandle>>,
    /// The manifest version that no longer names them.
    pub version: u64,
}

/// What it starts with.
pub(crate) struct Seed {
    pub shared: Arc<Shared>,
    pub context: WriteContext,
    pub manifest: ManifestLog,
    pub log: LogWriter,
    /// Older log files, oldest first.
    pub log_files: Vec<LogFileInfo>,
    pub last_seq: u64,
    pub lock: WriterLock,
    pub pressure: Arc<Pressure>,
    pub memory: Arc<Memory>,
    pub sync_interval: Duration,
    /// A log file is followed by the next when it holds this many bytes.
    pub log_file_bytes: u64,
}

/// See the module's documentation. Led by one thread at a time.
pub(crate) struct Committer {
    pub(super) shared: Arc<Shared>,
    pub(super) context: WriteContext,
    pub(super) manifest: ManifestLog,
    pub(super) log: LogWriter,
    log_files: Vec<LogFileInfo>,
    last_seq: u64,
    last_timestamp_us: i64,
    garbage: Vec<Garbage>,
    lock: WriterLock,
    pressure: Arc<Pressure>,
    memory: Arc<Memory>,
    sync_interval: Duration,
    log_file_bytes: u64,
    /// How far readers in other processes know the log to be durable.
    published: (u64, u64),
    /// When the oldest record that no sync has reached was written.
    dirty_since_us: Option<i64>,
    /// Why nothing is acknowledged any more (I9).
    stopped: Option<String>,
    /// Bytes written since the sizes of memtables were noted.
    unnoted_bytes: usize,
}

type Waiting = (Reply<Commit>, Commit);

impl Committer {
    pub(crate) fn new(seed: Seed) -> Self {
        Self {
            shared: seed.shared,
            context: seed.context,
            manifest: seed.manifest,
            log: seed.log,
            log_files: seed.log_files,
            last_seq: seed.last_seq,
            last_timestamp_us: 0,
            garbage: Vec::new(),
            lock: seed.lock,
            pressure: seed.pressure,
            memory: seed.memory,
            sync_interval: seed.sync_interval,
            log_file_bytes: seed.log_file_bytes,
            published: (0, 0),
            dirty_since_us: None,
            stopped: None,
            unnoted_bytes: 0,
        }
    }

    /// Serves the commands that `next` gives; false means that it is closed.
    pub(super) fn serve(&mut self, next: &mut dyn FnMut() -> Option<Command>) -> bool {
        let mut group: Vec<Waiting> = Vec::new();
        let mut durability = Durability::None;
        for _ in 0..GROUP_COMMANDS {
            let Some(command) = next() else { break };
            match command {
                Command::Write(prepared, reply) => {
                    let wanted = prepared.durability;
                    match self.write(prepared) {
                        Ok(commit) => {
                            if wanted == Durability::Sync {
                                durability = Durability::Sync;
                            }
                            group.push((reply, commit));
                        }
                        Err(error) => reply.send(Err(error)),
                    }
                }
                other => {
                    self.finish_group(&mut group, durability);
                    durability = Durability::None;
                    if !self.serve_other(other) {
                        return false;
                    }
                }
            }
            if self.log.group_bytes() > GROUP_BYTES {
                break;
            }
        }
        self.finish_group(&mut group, durability);
        true
    }

    fn serve_other(&mut self, command: Command) -> bool {
        match command {
            Command::Write(_, reply) => {
                reply.send(Err(Error::Invalid("a write belongs to a group".into())));
            }
            Command::Catalog(change, reply) => {
                let result = self
                    .resolve_removed(&change)
                    .and_then(|()| self.guarded(|it| it.commit_catalog(&change)));
                reply.send(result);
            }
            Command::ReserveId(reply) => {
                let result = self.guarded(|it| Ok(it.reserve_id()));
                reply.send(result);
            }
            Command::Rotate(table, reply) => {
                let result = self.guarded(|it| it.rotate_memtable(table));
                reply.send(result);
            }
            Command::Flushed(flush, reply) => {
                // The job has done most of it.
                let result = self
                    .shared
                    .resolve(flush.table)
                    .and_then(|()| self.guarded(|it| it.commit_flush(flush)));
                reply.send(result);
            }
            Command::Bulk(bulk, reply) => {
                let replaced = bulk.create.as_ref().and_then(|created| created.replaces);
                let result = replaced
                    .map_or(Ok(()), |old| self.shared.resolve(old))
                    .and_then(|()| self.guarded(|it| it.commit_bulk(*bulk)));
                reply.send(result);
            }
            Command::Compacted(compaction, reply) => {
                let result = self
                    .shared
                    .resolve(compaction.table)
                    .and_then(|()| self.guarded(|it| it.commit_compaction(compaction)));
                reply.send(result);
            }
            Command::Collect(reply) => {
                // Files that cannot be deleted now are no reason to stop.
                let result = self.check_running().and_then(|()| self.collect());
                reply.send(result);
            }
            Command::Sync(reply) => {
                self.sync_in_background();
                reply.send(Ok(()));
            }
            Command::Close(reply) => {
                let result = self.guarded(|it| it.log.close());
                reply.send(result);
                return false;
            }
        }
        // Tables may have gone, or shrunk, and writers may be waiting for that.
        self.note_pressure();
        true
    }

    /// Runs a step that touches files of the commit path. A failure of the file
    /// system there stops the store: what is on disk is no longer known.
    fn guarded<T>(&mut self, step: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.check_running()?;
        let result = step(self);
        if let Err(error @ (Error::Io { .. } | Error::Stopped(_))) = &result {
            self.stop(error.to_string());
        }
        result
    }

    fn check_running(&self) -> Result<()> {
        match &self.stopped {
            Some(why) => Err(Error::Stopped(why.clone())),
            None => Ok(()),
        }
    }

    /// Acknowledges nothing any more.
    pub(super) fn stop(&mut self, why: String) {
        tracing::error!(why, "the store stops acknowledging writes");
        self.pressure.fail(&why);
        self.stopped.get_or_insert(why);
    }

    fn write(&mut self, prepared: Prepared) -> Result<Commit> {
        self.check_running()?;
        let state = self.shared.current();
        let seq = self.last_seq + 1;
        let timestamp_us = self.context.clock.now_us().max(self.last_timestamp_us + 1);
        let (record, commit) =
            apply::write(&state, prepared, seq, timestamp_us).inspect_err(|error| {
                if let Error::Stopped(why) = error {
                    self.stop(why.clone());
                }
            })?;
        self.log.push(&record);
        self.last_seq = seq;
        self.last_timestamp_us = timestamp_us;
        Ok(commit)
    }

    /// Writes the group, makes it as durable as asked, lets snapshots see it, and
    /// wakes its callers.
    fn finish_group(&mut self, group: &mut Vec<Waiting>, durability: Durability) {
        if group.is_empty() {
            return;
        }
        self.unnoted_bytes += self.log.group_bytes();
        let written = self.log.write_group().and_then(|()| match durability {
            Durability::Sync => self.log.sync(),
            Durability::Interval | Durability::None => Ok(()),
        });
        if let Err(error) = written {
            self.stop(error.to_string());
        }
        if let Some(why) = &self.stopped {
            for (reply, _) in group.drain(..) {
                reply.send(Err(Error::Stopped(why.clone())));
            }
            return;
        }
        self.shared.publish(self.last_seq);
        self.publish_position();
        for (reply, commit) in group.drain(..) {
            reply.send(Ok(commit));
        }
        if self.log.is_dirty() {
            // Steady writers must not put the sync off for ever.
            let now = self.context.clock.now_us();
            self.dirty_since_us.get_or_insert(now);
            if self.until_sync().is_zero() {
                self.sync_in_background();
            }
        } else {
            self.dirty_since_us = None;
        }
        if self.log.file_bytes() > self.log_file_bytes
            && let Err(error) = self.rotate_log()
        {
            self.stop(error.to_string());
        }
        if self.unnoted_bytes > self.pressure.note_every() {
            self.note_pressure();
        }
    }

    /// How long until the log must be synced; `None` when it is.
    pub(super) fn sync_in(&self) -> Option<Duration> {
        (self.log.is_dirty() && self.stopped.is_none()).then(|| self.until_sync())
    }

    /// How long the oldest record may still wait for its sync.
    fn until_sync(&self) -> Duration {
        let waited = match self.dirty_since_us {
            Some(since) => self.context.clock.now_us().saturating_sub(since).max(0) as u64,
            None => 0,
        };
        self.sync_interval.saturating_sub(Duration::from_micros(waited))
    }

    fn sync_in_background(&mut self) {
        if self.stopped.is_some() {
            return;
        }
        match self.log.sync() {
            Ok(()) => {
                self.dirty_since_us = None;
                self.publish_position();
            }
            Err(error) => self.stop(error.to_string()),
        }
    }

    /// Tells readers in other processes how far the log is durable. They only come
    /// late if this fails, so a failure is worth no more than a note.
    fn publish_position(&mut self) {
        let position = self.log.durable_position();
        if position == self.published {
            return;
        }
        match self.lock.publish_position(position.0, position.1) {
            Ok(()) => self.published = position,
            Err(error) => tracing::warn!(%error, "readers beside this writer will see it late"),
        }
    }

    fn note_pressure(&mut self) {
        self.unnoted_bytes = 0;
        let state = self.shared.current();
        let held = self.shared.held();
        let unresolved = state.tables.values().map(|t| t.unresolved.bytes());
        let memtables = held.memtables.iter().map(Memtable::memory).chain(unresolved).sum();
        self.memory.set(MemoryUse::Memtables, memtables);
        let deletions = held.segments.iter().map(|s| s.deletes.bytes()).sum();
        self.memory.set(MemoryUse::Deletions, deletions);
        // Columns of memtables are caches: first to go.
        let cached_bytes = || held.memtables.iter().map(Memtable::cached_bytes).sum();
        self.memory.set(MemoryUse::Caches, cached_bytes());
        let is_short = self.memory.is_short();
        for memtable in &held.memtables {
            memtable.keep_columns(!is_short);
        }
        if is_short {
            self.memory.set(MemoryUse::Caches, cached_bytes());
        }
        let sizes =
            |(id, t): (&TableId, &Arc<TableState>)| (*id, t.memtable_bytes(), t.active.bytes());
        let tables: Vec<(TableId, usize, usize)> = state.tables.iter().map(sizes).collect();
        // Files before the first that is needed are only kept for a reader: no flush frees
        // them. Those after it stay with it.
        let first = self.log_files.iter().position(|info| !unflushed(&state, info).is_empty());
        let (log_bytes, laggards) = match first {
            Some(first) => {
                let kept = &self.log_files[first..];
                let bytes = kept.iter().map(|info| info.bytes).sum::<u64>();
                (bytes + self.log.file_bytes(), unflushed(&state, &kept[0]))
            }
            None => (self.log.file_bytes(), unflushed(&state, self.log.info())),
        };
        self.pressure.note(&tables, log_bytes, laggards);
    }

    fn rotate_log(&mut self) -> Result<()> {
        let identity = self.context.identity();
        let full = self.log.rotate(identity, self.last_seq + 1)?;
        self.log_files.push(full);
        self.publish_position();
        Ok(())
    }

    fn rotate_memtable(&mut self, id: TableId) -> Result<Vec<Memtable>> {
        let mut state = State::clone(&self.shared.current());
        let Some(table) = state.tables.get(&id) else { return Ok(Vec::new()) };
        let mut table = TableState::clone(table);
        if !table.active.is_empty() {
            let full = {
                let next = table.active.successor(&table.def)?;
                std::mem::replace(&mut table.active, next)
            };
            table.immutable.push(full);
        }
        let waiting = table.immutable.clone();
        state.tables.insert(id, Arc::new(table));
        self.shared.replace(state);
        Ok(waiting)
    }

    /// An identity for a table that is being loaded. It becomes durable with the
    /// load's commit; after a crash before that, nothing durable has used it.
    fn reserve_id(&mut self) -> u32 {
        let mut state = State::clone(&self.shared.current());
        let mut catalog = (*state.catalog).clone();
        let id = catalog.take_id();
        state.catalog = Arc::new(catalog);
        self.shared.replace(state);
        id
    }

    /// Deletes log files that every table is flushed past (I6), files that no
    /// version names (I5), and manifest files below a checkpoint.
    fn collect(&mut self) -> Result<()> {
        // The current file can only go when a next one has taken its place.
        let state = self.shared.current();
        let needed = |info: &LogFileInfo| !unflushed(&state, info).is_empty();
        if !self.log.info().tables.is_empty()
            && !needed(self.log.info())
            && let Err(error) = self.rotate_log()
        {
            self.stop(error.to_string());
            return Err(error);
        }
        self.manifest.checkpoint_if_due()?;
        let vfs = self.context.vfs.as_ref();
        let oldest_reader = collect::oldest_lease(vfs)?.unwrap_or(u64::MAX);
        let version = self.manifest.state().version;
        if oldest_reader >= version {
            // Recovery reads files in order, so one that is needed keeps its heirs.
            while let Some(oldest) = self.log_files.first().filter(|info| !needed(info)) {
                self.log.retire(oldest)?;
                self.log_files.remove(0);
            }
        }
        let garbage = std::mem::take(&mut self.garbage);
        self.garbage = collect::delete_garbage(vfs, garbage, oldest_reader)?;
        crate::manifest::collect(vfs, version.min(oldest_reader))?;
        Ok(())
    }

    /// The largest sequence number that was given out.
    pub(super) fn last_seq(&self) -> u64 {
        self.last_seq
    }

    /// Notes that `seq` is given out to a commit that is not in the log.
    pub(super) fn take_seq(&mut self, seq: u64) {
        self.last_seq = self.last_seq.max(seq);
    }

    /// Commits a manifest edit; the log is durable up to `seq` (I10).
    pub(super) fn commit_edit(&mut self, seq: u64, ops: Vec<EditOp>) -> Result<u64> {
        debug_assert!(!self.log.is_dirty(), "the log is durable before an edit is (I10)");
        // A reader that sees the edit must see the log that it stands on.
        self.dirty_since_us = None;
        self.publish_position();
        self.manifest.commit(seq, ops)
    }

    /// Files that the newest version does not name.
    pub(super) fn garbage(&mut self, paths: Vec<String>, pinned_by: Option<&Arc<SegmentHandle>>) {
        self.garbage_at(self.manifest.state().version, paths, pinned_by);
    }

    /// Files that manifest version `version` does not name any more.
    pub(super) fn garbage_at(
        &mut self,
        version: u64,
        paths: Vec<String>,
        pinned_by: Option<&Arc<SegmentHandle>>,
    ) {
        self.garbage.push(Garbage { paths, pinned_by: pinned_by.map(Arc::downgrade), version });
    }
}

/// Tables that still need a log file's records.
fn unflushed(state: &State, info: &LogFileInfo) -> Vec<TableId> {
    let needs = |(id, seq): (&TableId, &u64)| {
        state.tables.get(id).filter(|table| table.flushed_seq < *seq).map(|_| *id)
    };
    info.tables.iter().filter_map(needs).collect()
}
