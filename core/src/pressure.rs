//! When to flush, and when writers must wait (I7).
//!
//! The trigger is the bytes of *all* memtables, immutable ones included, and the
//! size of the log. A flush that fails wakes waiting writers with its error.

use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::catalog::TableId;
use crate::{Error, Result};

/// Writers wait when memtables hold this many times the flush trigger.
const STALL_FACTOR: usize = 4;

/// A table that lags behind is flushed when the log is larger than this.
const LOG_BYTES_MAX: u64 = 1 << 30;

#[derive(Debug, Default)]
struct Inner {
    memtable_bytes: usize,
    /// Tables to flush.
    wanted: Vec<TableId>,
    failed: Option<String>,
    closing: bool,
}

/// Shared between writers, the committer and the maintenance thread.
#[derive(Debug)]
pub(crate) struct Pressure {
    trigger: usize,
    inner: Mutex<Inner>,
    changed: Condvar,
}

impl Pressure {
    /// Flushes are wanted from `trigger` bytes of memtables on.
    pub(crate) fn new(trigger: usize) -> Self {
        Self { trigger: trigger.max(1), inner: Mutex::default(), changed: Condvar::new() }
    }

    /// Notes the present sizes. `laggards` are the tables that the oldest log file
    /// is kept for.
    pub(crate) fn note(&self, tables: &[(TableId, usize)], log_bytes: u64, laggards: Vec<TableId>) {
        let total: usize = tables.iter().map(|(_, bytes)| bytes).sum();
        let mut inner = self.inner.lock();
        inner.memtable_bytes = total;
        let mut wanted = if log_bytes > LOG_BYTES_MAX { laggards } else { Vec::new() };
        if total > self.trigger
            && let Some((largest, _)) = tables.iter().max_by_key(|(_, bytes)| *bytes)
        {
            wanted.push(*largest);
        }
        for table in wanted {
            if !inner.wanted.contains(&table) {
                inner.wanted.push(table);
            }
        }
        self.changed.notify_all();
    }

    /// Blocks a writer while memtables are far beyond the trigger.
    pub(crate) fn wait_for_room(&self) -> Result<()> {
        let mut inner = self.inner.lock();
        while inner.memtable_bytes > self.trigger * STALL_FACTOR {
            if let Some(why) = &inner.failed {
                return Err(Error::Stopped(why.clone()));
            }
            if inner.closing {
                return Err(Error::Stopped("the database is closing".into()));
            }
            self.changed.wait(&mut inner);
        }
        Ok(())
    }

    /// Wakes everyone with an error.
    pub(crate) fn fail(&self, why: &str) {
        self.inner.lock().failed = Some(why.to_owned());
        self.changed.notify_all();
    }

    /// A flush has worked again.
    pub(crate) fn recovered(&self) {
        self.inner.lock().failed = None;
    }

    /// Wakes everyone for good.
    pub(crate) fn close(&self) {
        self.inner.lock().closing = true;
        self.changed.notify_all();
    }

    /// Waits for a table to flush, at most `timeout`. `Err(())` means closing.
    pub(crate) fn next_flush(&self, timeout: Duration) -> std::result::Result<Option<TableId>, ()> {
        let mut inner = self.inner.lock();
        if inner.wanted.is_empty() && !inner.closing {
            self.changed.wait_for(&mut inner, timeout);
        }
        if inner.closing {
            return Err(());
        }
        Ok(if inner.wanted.is_empty() { None } else { Some(inner.wanted.remove(0)) })
    }
}
