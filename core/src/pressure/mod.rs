//! When to flush, and when writers are slowed or must wait (I7).
//!
//! ```text
//!                0 ────── limit ───────── 2 x ──────────── 4 x limit
//! memtables                flush           writers slow     writers wait
//! log                      flush laggards  writers slow     writers wait
//!
//!                0 ─────────────────────── 24 ───────────── 48
//! flushed segments that overlap            writers slow     writers wait, of that table
//! ```
//!
//! The limit of memtables is an option, or a sixteenth of the memory limit if that is less.
//! While memory is short as a whole, flushes begin and writers slow down much earlier.
//!
//! Writers only wait for work that is under way or will be done: a store whose merges
//! cannot go on slows its writers and no more. A log that is too large makes the table
//! flush that it is kept for. A flush that fails wakes waiting writers with its error.
//! Every stall is recorded ([`stalls`]).

mod stalls;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use stalls::Stalls;

use crate::catalog::TableId;
use crate::clock::Clock;
use crate::inspect::StallInfo;
use crate::memory::Memory;
use crate::{Error, Result};

/// Writers are slowed from this many times a limit on, and wait from [`WAIT_FACTOR`] on.
const SLOW_FACTOR: usize = 2;
const WAIT_FACTOR: usize = 4;

/// Memtables hold at most this part of the memory limit, one over it, before a flush.
const SHARE_OF_MEMORY: usize = 16;

/// While memory is short, one over this of the memtables' limit is the limit.
const SHORT_FACTOR: usize = 8;

/// Writers of a table are slowed while so many of its flushed segments overlap, and wait
/// from [`WAIT_SEGMENTS`] on. Four are merged when there is time.
pub(crate) const SLOW_SEGMENTS: usize = 24;
const WAIT_SEGMENTS: usize = 48;

/// The slowest that writers get before they wait: 25 MB/s.
const SLOWEST_NS_PER_BYTE: u64 = 40;

/// Delays add up to at least this before a writer sleeps.
const DELAY_NS_MIN: u64 = 200_000;

/// A writer sleeps for no longer than this at a time.
const DELAY_NS_MAX: u64 = 100_000_000;

/// Why writers are held up.
const MEMORY: &str = "the memory limit is reached";
const MEMTABLES: &str = "memtables grow faster than they are flushed";
const LOG: &str = "the log is larger than its limit";
const SEGMENTS: &str = "segments are flushed faster than they are merged";

/// Flushed segments of a table that overlap, more than [`SLOW_SEGMENTS`].
#[derive(Debug)]
struct Unmerged {
    count: usize,
    /// Whether the last look found nothing to merge, or a merge failed.
    stuck: bool,
}

#[derive(Debug, Default)]
struct Inner {
    /// Tables to flush.
    wanted: Vec<TableId>,
    /// The table whose frozen memtables are being flushed.
    flushing: Option<TableId>,
    unmerged: HashMap<TableId, Unmerged>,
    failed: Option<String>,
    closing: bool,
    stalls: Stalls,
}

/// Limits of what waits for background work.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Flushes are wanted from so many bytes of memtables on.
    pub memtable_bytes: usize,
    /// Tables that lag behind are flushed from so many bytes of log on.
    pub log_bytes: u64,
}

/// Shared between writers, the committer and the background threads.
#[derive(Debug)]
pub(crate) struct Pressure {
    limits: Limits,
    memory: Arc<Memory>,
    clock: Arc<dyn Clock>,
    memtable_bytes: AtomicUsize,
    log_bytes: AtomicU64,
    /// Whether too many segments of any table are unmerged.
    crowded: AtomicBool,
    /// Nanoseconds that writers are to be slowed by and have not been yet.
    owed_ns: AtomicU64,
    inner: Mutex<Inner>,
    /// Something is to be flushed, or the store closes.
    flush: Condvar,
    /// There may be room again.
    room: Condvar,
}

impl Pressure {
    pub(crate) fn new(limits: Limits, memory: Arc<Memory>, clock: Arc<dyn Clock>) -> Self {
        let Limits { memtable_bytes, log_bytes } = limits;
        Self {
            limits: Limits { memtable_bytes: memtable_bytes.max(1), log_bytes: log_bytes.max(1) },
            memory,
            clock,
            memtable_bytes: AtomicUsize::new(0),
            log_bytes: AtomicU64::new(0),
            crowded: AtomicBool::new(false),
            owed_ns: AtomicU64::new(0),
            inner: Mutex::default(),
            flush: Condvar::new(),
            room: Condvar::new(),
        }
    }

    /// Bytes of memtables from which on they are flushed.
    fn trigger(&self) -> usize {
        self.limits.memtable_bytes.min(self.memory.limit() / SHARE_OF_MEMORY)
    }

    /// Bytes that may be written before the sizes are noted again.
    pub(crate) fn note_every(&self) -> usize {
        let log_bytes = usize::try_from(self.limits.log_bytes).unwrap_or(usize::MAX);
        (self.trigger().min(log_bytes) / 64).min(1 << 20)
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
        let trigger = match self.memory.is_short() {
            true => self.trigger() / SHORT_FACTOR,
            false => self.trigger(),
        };
        let mut inner = self.inner.lock();
        let mut wanted = match log_bytes > self.limits.log_bytes {
            true => laggards,
            false => Vec::new(),
        };
        // What the log is kept for is on its way.
        wanted.retain(|table| inner.flushing != Some(*table));
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
        if !inner.unmerged.is_empty() {
            // Some may have been dropped.
            inner.unmerged.retain(|id, _| tables.iter().any(|(table, ..)| table == id));
            self.unmerged_changed(&inner);
        }
        // Under the lock: a writer that has looked is asleep before it is woken.
        let before = self.memtable_bytes.swap(total, Ordering::AcqRel);
        let log_before = self.log_bytes.swap(log_bytes, Ordering::AcqRel);
        if total < before || log_bytes < log_before {
            self.room.notify_all();
        }
    }

    /// Notes which table is being flushed.
    pub(crate) fn flushing(&self, table: Option<TableId>) {
        self.inner.lock().flushing = table;
        // Nobody waits for a flush that is over.
        self.room.notify_all();
    }

    /// Notes how many flushed segments of a table overlap, and after a look for merges
    /// whether one was done.
    pub(crate) fn note_unmerged(&self, table: TableId, count: usize, merged: Option<bool>) {
        let mut inner = self.inner.lock();
        if count > SLOW_SEGMENTS {
            let before = inner.unmerged.get(&table).is_some_and(|noted| noted.stuck);
            let stuck = merged.map_or(before, |merged| !merged);
            inner.unmerged.insert(table, Unmerged { count, stuck });
        } else {
            inner.unmerged.remove(&table);
        }
        self.unmerged_changed(&inner);
    }

    /// No merge will be done for now.
    pub(crate) fn merges_stuck(&self) {
        let mut inner = self.inner.lock();
        for unmerged in inner.unmerged.values_mut() {
            unmerged.stuck = true;
        }
        self.unmerged_changed(&inner);
    }

    fn unmerged_changed(&self, inner: &Inner) {
        self.crowded.store(!inner.unmerged.is_empty(), Ordering::Release);
        self.room.notify_all();
    }

    /// Whether writers are held up until segments are merged.
    pub(crate) fn wants_merges(&self) -> bool {
        self.crowded.load(Ordering::Acquire)
    }

    /// Slows a writer of `bytes` while memtables or log are beyond their limits, and blocks
    /// it while they are far beyond.
    pub(crate) fn wait_for_room(&self, bytes: usize) -> Result<()> {
        let total = self.memtable_bytes.load(Ordering::Acquire);
        let trigger = self.trigger();
        if total > trigger / SHORT_FACTOR && self.memory.is_short() {
            self.slow_down(1.0, bytes, MEMORY);
        }
        let memtables = share(total as u64, trigger as u64);
        let log = share(self.log_bytes.load(Ordering::Acquire), self.limits.log_bytes);
        let (share, reason) = if memtables >= log { (memtables, MEMTABLES) } else { (log, LOG) };
        if share <= 0.0 {
            return Ok(());
        }
        if share <= 1.0 {
            self.slow_down(share, bytes, reason);
            return Ok(());
        }
        self.wait(reason, |inner| self.is_full(inner))
    }

    /// Whether there is no room, and a flush that will make some.
    fn is_full(&self, inner: &Inner) -> bool {
        let memtables = self.memtable_bytes.load(Ordering::Acquire) as u64;
        let log = self.log_bytes.load(Ordering::Acquire);
        // Without one, as after a change of the memory limit, a write gets it begun.
        let flushes = inner.flushing.is_some() || !inner.wanted.is_empty();
        let (memtables, log) =
            (share(memtables, self.trigger() as u64), share(log, self.limits.log_bytes));
        flushes && memtables.max(log) > 1.0
    }

    /// Slows a writer of `bytes` to `tables` while many of their flushed segments overlap,
    /// and blocks it while far too many do.
    pub(crate) fn wait_for_merges(&self, tables: &[TableId], bytes: usize) -> Result<()> {
        if !self.wants_merges() {
            return Ok(());
        }
        let unmerged = |inner: &Inner, or_stuck: bool| {
            let noted = tables.iter().filter_map(|table| inner.unmerged.get(table));
            noted.filter(|it| or_stuck || !it.stuck).map(|it| it.count).max().unwrap_or(0)
        };
        self.wait(SEGMENTS, |inner| unmerged(inner, false) > WAIT_SEGMENTS)?;
        let left = unmerged(&self.inner.lock(), true).min(WAIT_SEGMENTS);
        if left > SLOW_SEGMENTS {
            let range = (WAIT_SEGMENTS - SLOW_SEGMENTS) as f64;
            self.slow_down((left - SLOW_SEGMENTS) as f64 / range, bytes, SEGMENTS);
        }
        Ok(())
    }

    fn wait(&self, reason: &'static str, full: impl Fn(&Inner) -> bool) -> Result<()> {
        let mut inner = self.inner.lock();
        if !full(&inner) {
            return Ok(());
        }
        let started_us = self.clock.now_us();
        while full(&inner) {
            if let Some(why) = &inner.failed {
                return Err(Error::Stopped(why.clone()));
            }
            if inner.closing {
                return Err(Error::Stopped("the database is closing".into()));
            }
            self.room.wait(&mut inner);
        }
        let waited_us = (self.clock.now_us() - started_us).max(0) as u64;
        inner.stalls.record("wait", reason, started_us, waited_us);
        Ok(())
    }

    /// Slows a writer of `bytes` by a share, from 0 to 1, of what is the slowest.
    fn slow_down(&self, share: f64, bytes: usize, reason: &'static str) {
        let delay = (bytes as f64 * share * SLOWEST_NS_PER_BYTE as f64) as u64;
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
        inner.stalls.record("slow", reason, started_us, slowed_us);
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

    /// Why writers are answered with errors, while they are.
    pub(crate) fn failure(&self) -> Option<String> {
        self.inner.lock().failed.clone()
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
        if inner.wanted.is_empty() {
            return Ok(None);
        }
        let table = inner.wanted.remove(0);
        // Writers that wait see it wanted, and then being flushed.
        inner.flushing = Some(table);
        Ok(Some(table))
    }

    /// What writers had to endure, the newest first.
    pub(crate) fn stalls(&self) -> Vec<StallInfo> {
        self.inner.lock().stalls.list()
    }
}

/// How far `bytes` are from where writers are slowed, 0, to where they wait, 1.
fn share(bytes: u64, limit: u64) -> f64 {
    let slow_at = limit as f64 * SLOW_FACTOR as f64;
    (bytes as f64 - slow_at) / (limit as f64 * (WAIT_FACTOR - SLOW_FACTOR) as f64)
}
