//! Commits: everything that changes the database, in one order, by one thread at a time.
//!
//! ```text
//! caller:  prepare (encode rows, check NOT NULL)  ──┐
//! caller:  write a segment (flush, bulk, compact) ──┤ Command
//!                                                   v
//! queue:   one of the callers leads
//!                                                   v
//! leader:  validate -> number -> log -> apply   (a group of these)
//!          one fdatasync for the group
//!          publish the sequence number, wake the callers
//! ```
//!
//! Manifest edits go the same way, so an edit is never ahead of the log (I10), and
//! state changes never race with each other.

mod apply;
mod catalog;
mod committer;
mod files;
mod keys;
mod prepare;
mod queue;

pub(crate) use apply::replay;
pub(crate) use committer::{Committer, Garbage, Seed};
pub(crate) use files::{
    BulkCommit, CompactionCommit, Created, FlushCommit, MovedPositions, MovedRows, NewFiles,
};
pub(crate) use prepare::{Prepared, check_rows, prepare};
pub(crate) use queue::{CommitQueue, Reply};

use crate::catalog::{CatalogChange, TableId};
use crate::memtable::Memtable;
use crate::write::Commit;

/// What a caller wants done.
pub(crate) enum Command {
    Write(Prepared, Reply<Commit>),
    Catalog(CatalogChange, Reply<Commit>),
    /// Gives out an identity for a table that a bulk load will create.
    ReserveId(Reply<u32>),
    /// Freezes a table's memtable; answers with all that wait for their flush.
    Rotate(TableId, Reply<Vec<Memtable>>),
    Flushed(FlushCommit, Reply<()>),
    Bulk(Box<BulkCommit>, Reply<Commit>),
    Compacted(CompactionCommit, Reply<bool>),
    /// Deletes log files and manifest files that nothing needs.
    Collect(Reply<()>),
    /// Makes durable what waits for the interval to pass.
    Sync(Reply<()>),
    /// Makes everything durable; nothing is served afterwards.
    Close(Reply<()>),
}
