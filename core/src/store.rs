//! The open database: how callers reach everything else.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::bulk::BulkLoad;
use crate::catalog::{CatalogChange, NewTable, TableId};
use crate::clock::{Clock, Rng, SplitMix, SystemClock};
use crate::commit::{Command, Created};
use crate::compaction::{self, Policy};
use crate::inspect::{JobInfo, MemtableInfo, SegmentInfo, StallInfo, TableInfo, VerifyReport};
use crate::memory::{self, Memory};
use crate::reader::Follower;
use crate::snapshot::Snapshot;
use crate::state::{Shared, State};
use crate::vfs::{LocalVfs, MemoryVfs, Vfs};
use crate::write::{Commit, Durability, WriteBatch};
use crate::{Error, Result, inspect, verify};

pub(crate) use crate::writer::Writer;

/// How rows of large commits are written to the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// As they are: the least work.
    #[default]
    None,
    /// By LZ4, where that halves them: fewer bytes for a slow or worn disk.
    Lz4,
}

/// How to open a store.
#[derive(Clone, Debug)]
pub struct Options {
    /// Make the database when it is not there.
    pub create: bool,
    /// Open beside a writer, for reading only.
    pub read_only: bool,
    /// Durability of commits that do not choose.
    pub durability: Durability,
    /// How often [`Durability::Interval`] reaches stable storage.
    pub sync_interval: Duration,
    /// Bytes that the database may use, mapped files apart: memtables, caches, jobs and
    /// queries together.
    pub memory_limit: usize,
    /// Bytes of memtables, immutable ones included, that trigger a flush; a sixteenth of
    /// the memory limit does, too.
    pub memtable_bytes: usize,
    /// Bytes of the log from which on the tables are flushed that it is kept for. At twice
    /// as many writers are slowed, at four times as many they wait.
    pub log_bytes: u64,
    /// How rows of large commits are written to the log.
    pub log_compression: Compression,
    /// Rows of a full segment.
    pub segment_rows: usize,
    /// Flush and compact in the background.
    pub background: bool,
    /// Bytes of files that background compaction reads in a second; 0 is no limit.
    pub compaction_bytes_per_second: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            create: true,
            read_only: false,
            durability: Durability::Sync,
            sync_interval: Duration::from_millis(200),
            memory_limit: memory::default_limit(),
            memtable_bytes: 128 << 20,
            log_bytes: 1 << 30,
            log_compression: Compression::default(),
            segment_rows: 1 << 20,
            background: true,
            compaction_bytes_per_second: 256 << 20,
        }
    }
}

/// What the store stands on; a simulation replaces all of it.
#[derive(Clone, Debug)]
pub struct Environment {
    /// The files.
    pub vfs: Arc<dyn Vfs>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Randomness for identities.
    pub rng: Arc<dyn Rng>,
}

impl Environment {
    /// The machine's clock and randomness over `vfs`.
    pub fn system(vfs: Arc<dyn Vfs>) -> Self {
        Self { vfs, clock: Arc::new(SystemClock), rng: Arc::new(SplitMix::from_system()) }
    }
}

/// The open database: clone it freely, it is a handle. The last clone that goes
/// makes the log durable and gives the lock back.
#[derive(Clone, Debug)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    shared: Arc<Shared>,
    vfs: Arc<dyn Vfs>,
    clock: Arc<dyn Clock>,
    memory: Arc<Memory>,
    segment_rows: usize,
    role: Role,
}

#[derive(Debug)]
enum Role {
    Writer(Arc<Writer>),
    Reader(Follower),
}

impl Store {
    /// Opens the database in a folder.
    pub fn open(path: &Path, options: Options) -> Result<Self> {
        if !options.create && !path.is_dir() {
            return Err(Error::NotFound { what: format!("database {}", path.display()) });
        }
        Self::open_in(Environment::system(Arc::new(LocalVfs::new(path))), options)
    }

    /// A database that lives in memory.
    pub fn in_memory(options: Options) -> Result<Self> {
        Self::open_in(Environment::system(Arc::new(MemoryVfs::new())), options)
    }

    /// Opens the database in an environment.
    pub fn open_in(environment: Environment, options: Options) -> Result<Self> {
        let vfs = Arc::clone(&environment.vfs);
        let clock = Arc::clone(&environment.clock);
        let memory = Arc::new(Memory::new(options.memory_limit));
        let segment_rows = options.segment_rows.clamp(1, u32::MAX as usize / 2);
        let (shared, role) = if options.read_only {
            let follower = Follower::open(&environment)?;
            (Arc::clone(follower.shared()), Role::Reader(follower))
        } else {
            let options = Options { segment_rows, ..options };
            let writer = Writer::open(environment, options, Arc::clone(&memory))?;
            (Arc::clone(writer.shared()), Role::Writer(writer))
        };
        Ok(Self { inner: Arc::new(Inner { shared, vfs, clock, memory, segment_rows, role }) })
    }

    /// The newest state that is committed. A read-only store looks for what the
    /// writer did meanwhile.
    pub fn snapshot(&self) -> Result<Snapshot> {
        if let Role::Reader(follower) = &self.inner.role {
            follower.catch_up()?;
        }
        let (pin, state) = self.inner.shared.pin();
        Ok(Snapshot::new(pin, state))
    }

    /// Commits `batch`; returns when it is as durable as asked.
    pub fn commit(&self, batch: WriteBatch) -> Result<Commit> {
        self.writer()?.commit(batch)
    }

    /// Changes the catalog.
    pub fn change_catalog(&self, change: CatalogChange) -> Result<Commit> {
        self.writer()?.call(|reply| Command::Catalog(change, reply))
    }

    /// Starts a bulk load of new rows into a table: they go into segments, beside
    /// the log, and appear in one commit.
    pub fn bulk_load(&self, table: TableId) -> Result<BulkLoad> {
        let writer = self.writer()?;
        let began = self.inner.shared.pin();
        let def = match began.1.tables.get(&table) {
            Some(table) => Arc::clone(&table.def),
            None => return Err(Error::NotFound { what: format!("table {table}") }),
        };
        Ok(BulkLoad::new(Arc::clone(writer), def, None, began))
    }

    /// Like [`Self::bulk_load`] into a table that the same commit creates.
    pub fn bulk_create(&self, table: NewTable) -> Result<BulkLoad> {
        self.bulk_load_of_new(Created { table, replaces: None })
    }

    /// Like [`Self::bulk_create`], in the place of a table that the same commit drops.
    pub fn bulk_replace(&self, old: TableId, table: NewTable) -> Result<BulkLoad> {
        self.bulk_load_of_new(Created { table, replaces: Some(old) })
    }

    fn bulk_load_of_new(&self, created: Created) -> Result<BulkLoad> {
        let writer = self.writer()?;
        let id = writer.call(Command::ReserveId)?;
        let began = self.inner.shared.pin();
        let mut def = created.catalog(&began.1.catalog)?.new_table(&created.table)?;
        def.id = TableId(id);
        Ok(BulkLoad::new(Arc::clone(writer), Arc::new(def), Some(created), began))
    }

    /// Flushes the memtables of one table, or of all.
    pub fn flush(&self, table: Option<TableId>) -> Result<()> {
        let writer = self.writer()?;
        for id in self.tables_or_all(table) {
            writer.flush(id)?;
        }
        writer.collect()
    }

    /// Merges small segments of one table, or of all, until nothing is left to merge.
    pub fn compact(&self, table: Option<TableId>) -> Result<()> {
        let writer = self.writer()?;
        for id in self.tables_or_all(table) {
            while writer.compact_once(id, true, &mut |_| Ok(()))? {}
        }
        writer.collect()
    }

    /// Does the merges that background work would do, until none is left.
    pub fn settle(&self) -> Result<()> {
        let writer = self.writer()?;
        for id in self.tables_or_all(None) {
            while writer.compact_once(id, false, &mut |_| Ok(()))? {}
        }
        writer.collect()
    }

    /// Deletes the rows of one table, or of all, whose time to live is over; returns how
    /// many. Background work does so by itself.
    pub fn expire(&self, table: Option<TableId>) -> Result<u64> {
        let writer = self.writer()?;
        let now_us = self.inner.clock.now_us();
        let mut deleted = 0;
        for id in self.tables_or_all(table) {
            loop {
                let (rows, more) = writer.expire(id, now_us)?;
                deleted += rows;
                if !more {
                    break;
                }
            }
        }
        Ok(deleted)
    }

    /// Reads everything and checks it.
    pub fn verify(&self) -> Result<VerifyReport> {
        let _files_stay = match &self.inner.role {
            Role::Writer(writer) => Some(writer.keep_files()),
            Role::Reader(_) => None,
        };
        verify::verify(self.inner.vfs.as_ref(), &self.snapshot()?)
    }

    /// The bytes that the database may use, and does.
    pub fn memory(&self) -> &Arc<Memory> {
        &self.inner.memory
    }

    /// Whether it was opened for reading only.
    pub fn is_read_only(&self) -> bool {
        matches!(self.inner.role, Role::Reader(_))
    }

    /// Sizes per table.
    pub fn tables(&self) -> Result<Vec<TableInfo>> {
        let (pin, state) = self.resolved()?;
        let policy = Policy {
            segment_rows: self.inner.segment_rows as u64,
            horizon: self.inner.shared.horizon(),
            now_us: self.inner.clock.now_us(),
            thorough: false,
            memory: compaction::merge_memory(&self.inner.memory),
        };
        inspect::tables(&state, pin.seq, &policy)
    }

    /// Every segment.
    pub fn segments(&self) -> Result<Vec<SegmentInfo>> {
        let (pin, state) = self.resolved()?;
        Ok(inspect::segments(&state, pin.seq))
    }

    /// Every memtable.
    pub fn memtables(&self) -> Result<Vec<MemtableInfo>> {
        Ok(inspect::memtables(&self.pinned()?.1))
    }

    /// Flushes, compactions and collections, the newest first.
    pub fn jobs(&self) -> Vec<JobInfo> {
        match &self.inner.role {
            Role::Writer(writer) => writer.jobs(),
            Role::Reader(_) => Vec::new(),
        }
    }

    /// When writers were slowed or had to wait since the database was opened, the newest
    /// first.
    pub fn stalls(&self) -> Vec<StallInfo> {
        match &self.inner.role {
            Role::Writer(writer) => writer.stalls(),
            Role::Reader(_) => Vec::new(),
        }
    }

    /// Why the store does not work as it should: after a failed write to the log nothing is
    /// acknowledged any more, and after a failed flush writers wait for one that works.
    pub fn health(&self) -> Result<()> {
        match &self.inner.role {
            Role::Writer(writer) => writer.health(),
            Role::Reader(_) => self.snapshot().map(drop),
        }
    }

    /// Stops background work, makes the log durable and gives the lock back. Other
    /// clones of the handle can read on, but no longer write.
    pub fn close(&self) -> Result<()> {
        match &self.inner.role {
            Role::Writer(writer) => writer.close(),
            Role::Reader(_) => Ok(()),
        }
    }

    fn writer(&self) -> Result<&Arc<Writer>> {
        match &self.inner.role {
            Role::Writer(writer) => Ok(writer),
            Role::Reader(_) => Err(Error::ReadOnly),
        }
    }

    fn pinned(&self) -> Result<(crate::state::Pin, Arc<State>)> {
        if let Role::Reader(follower) = &self.inner.role {
            follower.catch_up()?;
        }
        Ok(self.inner.shared.pin())
    }

    /// The same with complete delete vectors.
    fn resolved(&self) -> Result<(crate::state::Pin, Arc<State>)> {
        let (pin, state) = self.pinned()?;
        state.tables.keys().try_for_each(|table| pin.resolve(*table))?;
        Ok((pin, state))
    }

    fn tables_or_all(&self, table: Option<TableId>) -> Vec<TableId> {
        match table {
            Some(id) => vec![id],
            None => self.inner.shared.current().tables.keys().copied().collect(),
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Role::Writer(writer) = &self.role
            && let Err(error) = writer.close()
        {
            tracing::error!(%error, "the database did not close cleanly; its log will be replayed");
        }
    }
}
