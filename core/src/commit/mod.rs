//! Commits: everything that changes the database, in one order, on one thread.
//!
//! ```text
//! caller:  prepare (encode rows, check NOT NULL)  ──┐
//! caller:  write a segment (flush, bulk, compact) ──┤ Command
//!                                                   v
//! commit thread:  validate -> number -> log -> apply   (a group of these)
//!                 one fdatasync for the group
//!                 publish the sequence number, wake the callers
//! ```
//!
//! Manifest edits go through the same thread, so an edit is never ahead of the log
//! (I10), and state changes never race with each other.

mod apply;
mod catalog;
mod files;
mod prepare;
mod thread;

use std::sync::mpsc::SyncSender;

pub(crate) use apply::replay;
pub(crate) use files::{BulkCommit, CompactionCommit, FlushCommit, MovedRows, NewSegment};
pub(crate) use prepare::{Prepared, check_rows, prepare};
pub(crate) use thread::{CommitThread, Garbage, Seed};

use crate::Result;
use crate::catalog::{CatalogChange, TableId};
use crate::memtable::Memtable;
use crate::write::Commit;

/// How the answer comes back.
pub(crate) type Reply<T> = SyncSender<Result<T>>;

/// What the commit thread is asked to do.
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
    /// Makes everything durable and stops the thread.
    Close(Reply<()>),
}
