//! When to flush, and when writers are slowed or must wait (I7).
//!
//! ```text
//! bytes of all memtables, immutable ones included
//!   0 ─────── trigger ─────────── 2 x ───────────── 4 x trigger
//!              flush                writers slow       writers wait
//! ```
//!
//! The trigger is an option, or a sixteenth of the memory limit if that is less. While
//! memory is short as a whole, flushes begin and writers slow down much earlier.
//!
//! A log that is too large makes the table flush that it is kept for. A flush that
//! fails wakes waiting writers with its error. Every stall is recorded.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::catalog::TableId;
use crate::clock::Clock;
use crate::inspect::StallInfo;
use crate::memory::{Memory, MemoryUse};
use crate::{Error, Result};

/// Writers are slowed from this many times the flush trigger on, and wait from
/// [`WAIT_FACTOR`] on.
const SLOW_FACTOR: usize = 2;
const WAIT_FACTOR: usize = 4;

/// Memtables hold at most this part of the memory limit, one over it, before a flush.
const SHARE_OF_MEMORY: usize = 16;

/// While memory is short, one over this of the trigger is a trigger.
const SHORT_FACTOR: usize = 8;

/// The slowest that writers get before they wait: 25 MB/s.
const SLOWEST_NS_PER_BYTE: u64 = 40;

/// Delays add up to at least this before a writer sleeps.
const DELAY_NS_MIN: u64 = 200_000;

/// A writer sleeps for no longer than this at a time.
const DELAY_NS_MAX: u64 = 100_000_000;

/// A table that lags behind is flushed when the log is larger than this.
const LOG_BYTES_MAX: u64 = 1 << 30;

/// Why writers are held up.
const FLUSHES_LAG: &str = "memtables grow faster than they are flushed";
const MEMORY_IS_SHORT: &str = "the memory limit is reached";

/// Stalls that are remembered.
const STALLS_KEPT: usize = 256;

/// A slowdown that pauses for less than this is one slowdown.
const PAUSE_US: i64 = 100_000;

#[derive(Debug, Default)]
struct Inner {
    /// Tables to flush.
    wanted: Vec<TableId>,
    /// The table whose frozen memtables are being flushed.
    flushing: Option<TableId>,
    failed: Option<String>,
    closing: bool,
    stalls: VecDeque<StallInfo>,
}

/// Shared between writers, the committer and the background threads.
#[derive(Debug)]
pub(crate) struct Pressure {
    trigger_max: usize,
    memory: Arc<Memory>,
    clock: Arc<dyn Clock>,
    memtable_bytes: AtomicUsize,
    /// Nanoseconds that writers are to be slowed by and have not been yet.
    owed_ns: AtomicU64,
    inner: Mutex<Inner>,
    /// Something is to be flushed, or the store closes.
    flush: Condvar,
    /// There may be room again.
    room: Condvar,
}

impl Pressure {
    /// Flushes are wanted from `trigger_max` bytes of memtables on, or fewer if there is
    /// little memory.
    pub(crate) fn new(trigger_max: usize, memory: Arc<Memory>, clock: Arc<dyn Clock>) -> Self {
        Self {
            trigger_max: trigger_max.max(1),
            memory,
            clock,
            memtable_bytes: AtomicUsize::new(0),
            owed_ns: AtomicU64::new(0),
            inner: Mutex::default(),
            flush: Condvar::new(),
            room: Condvar::new(),
        }
    }

    fn trigger(&self) -> usize {
        self.trigger_max.min(self.memory.limit() / SHARE_OF_MEMORY)
    }

    /// Bytes that may be written before the sizes are noted again.
    pub(crate) fn note_every(&self) -> usize {
        (self.trigger() / 64).min(1 << 20)
    }

    /// Notes the present sizes: per table the bytes of all its memtables, and of the
    /// active one. `laggards` are the tables that the oldest log file is kept for.
    pub(crate) fn note(
        &self,
        tables: &[(TableId, usize, usize)],
        log_bytes: u64,
        laggards: Vec<TableId>,
    ) {
        let total: usize = tables.iter().map(|(_, all, _)| all).sum();
        self.memory.set(MemoryUse::Memtables, total);
        let trigger = match self.memory.is_short() {
            true => self.trigger() / SHORT_FACTOR,
            false => self.trigger(),
        };
        let mut wanted = if log_bytes > LOG_BYTES_MAX { laggards } else { Vec::new() };
        let mut inner = self.inner.lock();
        // Frozen memtables of the table that is being flushed are on their way.
        let waiting = |(table, all, active): &(TableId, usize, usize)| {
            let bytes = if inner.flushing == Some(*table) { *active } else { *all };
            (bytes, *table)
        };
        let waiting: Vec<(usize, TableId)> = tables.iter().map(waiting).collect();
        if waiting.iter().map(|(bytes, _)| bytes).sum::<usize>() > trigger
            && let Some((_, largest)) = waiting.iter().max()
        {
            wanted.push(*largest);
        }
        for table in wanted {
            if !inner.wanted.contains(&table) {
                inner.wanted.push(table);
                self.flush.notify_one();
            }
        }
        // Under the lock: a writer that has looked is asleep before it is woken.
        let before = self.memtable_bytes.swap(total, Ordering::AcqRel);
        if total < before {
            self.room.notify_all();
        }
    }

    /// Notes which table is being flushed.
    pub(crate) fn flushing(&self, table: Option<TableId>) {
        self.inner.lock().flushing = table;
    }

    /// Slows a writer of `bytes` while memtables are beyond the trigger, and blocks it
    /// while they are far beyond.
    pub(crate) fn wait_for_room(&self, bytes: usize) -> Result<()> {
        let total = self.memtable_bytes.load(Ordering::Acquire);
        let trigger = self.trigger();
        if total > trigger / SHORT_FACTOR && self.memory.is_short() {
            self.slow_down(SLOWEST_NS_PER_BYTE * bytes as u64, MEMORY_IS_SHORT);
        }
        if total <= trigger * SLOW_FACTOR {
            return Ok(());
        }
        if total <= trigger * WAIT_FACTOR {
            let beyond = (total - trigger * SLOW_FACTOR) as f64;
            let share = beyond / (trigger * (WAIT_FACTOR - SLOW_FACTOR)) as f64;
            let delay = bytes as f64 * share * SLOWEST_NS_PER_BYTE as f64;
            self.slow_down(delay as u64, FLUSHES_LAG);
            return Ok(());
        }
        let mut inner = self.inner.lock();
        let started_us = self.clock.now_us();
        while self.memtable_bytes.load(Ordering::Acquire) > self.trigger() * WAIT_FACTOR {
            if let Some(why) = &inner.failed {
                return Err(Error::Stopped(why.clone()));
            }
            if inner.closing {
                return Err(Error::Stopped("the database is closing".into()));
            }
            self.room.wait(&mut inner);
        }
        let waited_us = (self.clock.now_us() - started_us).max(0) as u64;
        inner.record("wait", FLUSHES_LAG, started_us, waited_us);
        Ok(())
    }

    fn slow_down(&self, delay: u64, reason: &'static str) {
        let owed = self.owed_ns.fetch_add(delay, Ordering::Relaxed).saturating_add(delay);
        if owed < DELAY_NS_MIN {
            return;
        }
        // One of several writers takes all of it.
        let owed = self.owed_ns.swap(0, Ordering::Relaxed).min(DELAY_NS_MAX);
        let mut inner = self.inner.lock();
        let started_us = self.clock.now_us();
        if !inner.closing {
            self.room.wait_for(&mut inner, Duration::from_nanos(owed));
        }
        let slowed_us = (self.clock.now_us() - started_us).max(0) as u64;
        inner.record("slow", reason, started_us, slowed_us);
    }

    /// Notes that a flush failed, to be tried again, and wakes everyone with its error.
    pub(crate) fn flush_failed(&self, table: TableId, why: &str) {
        let mut inner = self.inner.lock();
        if !inner.wanted.contains(&table) {
            inner.wanted.push(table);
        }
        drop(inner);
        self.fail(why);
    }

    /// Wakes everyone with an error.
    pub(crate) fn fail(&self, why: &str) {
        self.inner.lock().failed = Some(why.to_owned());
        self.room.notify_all();
    }

    /// A flush has worked again.
    pub(crate) fn recovered(&self) {
        self.inner.lock().failed = None;
    }

    /// Wakes everyone for good.
    pub(crate) fn close(&self) {
        self.inner.lock().closing = true;
        self.flush.notify_all();
        self.room.notify_all();
    }

    /// Waits for a table to flush, at most `timeout`. `Err(())` means closing.
    pub(crate) fn next_flush(&self, timeout: Duration) -> std::result::Result<Option<TableId>, ()> {
        let mut inner = self.inner.lock();
        // What failed is tried again, but not at once.
        if !inner.closing && (inner.wanted.is_empty() || inner.failed.is_some()) {
            self.flush.wait_for(&mut inner, timeout);
        }
        if inner.closing {
            return Err(());
        }
        Ok(if inner.wanted.is_empty() { None } else { Some(inner.wanted.remove(0)) })
    }

    /// What writers had to endure, the newest first.
    pub(crate) fn stalls(&self) -> Vec<StallInfo> {
        self.inner.lock().stalls.iter().rev().cloned().collect()
    }
}

impl Inner {
    fn record(
        &mut self,
        kind: &'static str,
        reason: &'static str,
        started_us: i64,
        stalled_us: u64,
    ) {
        if let Some(last) = self.stalls.back_mut()
            && (last.kind, last.reason) == (kind, reason)
            && started_us - last.ended_us < PAUSE_US
        {
            last.writes += 1;
            last.stalled_us += stalled_us;
            last.ended_us = started_us + stalled_us as i64;
            return;
        }
        if self.stalls.len() == STALLS_KEPT {
            self.stalls.pop_front();
        }
        self.stalls.push_back(StallInfo {
            kind,
            reason,
            started_us,
            ended_us: started_us + stalled_us as i64,
            writes: 1,
            stalled_us,
        });
    }
}
