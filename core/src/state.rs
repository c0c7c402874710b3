//! The running state: what is live now, swapped as one piece.
//!
//! Only the committer makes a new [`State`]; everyone else reads the current
//! one. A reader that holds a state holds its memtables and segments, and so pins
//! their files.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::{Mutex, RwLock};
use rustc_hash::FxHashMap;

use crate::Result;
use crate::catalog::{Catalog, TableDef, TableId};
use crate::memtable::Memtable;
use crate::segment::SegmentHandle;
use crate::unresolved::Unresolved;

/// One version of everything.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    pub catalog: Arc<Catalog>,
    pub tables: BTreeMap<TableId, Arc<TableState>>,
    pub manifest_version: u64,
}

/// One table: the memtable that takes writes, those that wait for their flush, and
/// the segments.
#[derive(Clone, Debug)]
pub(crate) struct TableState {
    pub def: Arc<TableDef>,
    pub active: Memtable,
    /// Oldest first.
    pub immutable: Vec<Memtable>,
    pub segments: Vec<Arc<SegmentHandle>>,
    /// Log records up to this number are in segments.
    pub flushed_seq: u64,
    /// The last TRUNCATE since the database was opened: a change of a row that was
    /// read before it is a conflict.
    pub truncated_seq: u64,
    /// The next `_rowid`; used by the committer alone.
    pub next_rowid: Arc<AtomicU64>,
    /// Versions whose older rows in segments have not been looked for.
    pub unresolved: Arc<Unresolved>,
}

impl TableState {
    /// Memtables, the newest first.
    pub(crate) fn memtables(&self) -> impl Iterator<Item = &Memtable> {
        std::iter::once(&self.active).chain(self.immutable.iter().rev())
    }

    pub(crate) fn memtable_bytes(&self) -> usize {
        self.memtables().map(Memtable::bytes).sum::<usize>() + self.unresolved.bytes()
    }
}

/// See [`Shared::held`].
pub(crate) struct Held {
    pub memtables: Vec<Memtable>,
    pub segments: Vec<Arc<SegmentHandle>>,
}

/// The current state, the newest visible sequence number, and who reads what.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    state: RwLock<Arc<State>>,
    /// States before it that somebody may still hold.
    older: Mutex<Vec<Weak<State>>>,
    visible: AtomicU64,
    pins: Mutex<Pins>,
}

/// Sequence numbers that are held, with their count.
#[derive(Debug, Default)]
struct Pins {
    snapshots: BTreeMap<u64, usize>,
    /// Horizons of jobs.
    jobs: BTreeMap<u64, usize>,
}

impl Pins {
    /// No snapshot is older than this, now or later, if `visible` is the newest number.
    fn oldest_snapshot(&self, visible: u64) -> u64 {
        self.snapshots.keys().next().map_or(visible, |oldest| visible.min(*oldest))
    }
}

impl Shared {
    pub(crate) fn new(state: State, visible: u64) -> Self {
        Self {
            state: RwLock::new(Arc::new(state)),
            older: Mutex::default(),
            visible: AtomicU64::new(visible),
            pins: Mutex::default(),
        }
    }

    pub(crate) fn current(&self) -> Arc<State> {
        Arc::clone(&self.state.read())
    }

    pub(crate) fn replace(&self, state: State) {
        let before = std::mem::replace(&mut *self.state.write(), Arc::new(state));
        let mut older = self.older.lock();
        older.retain(|state| state.strong_count() > 0);
        older.push(Arc::downgrade(&before));
    }

    /// What the current state and those that snapshots hold are made of, each once.
    pub(crate) fn held(&self) -> Held {
        let older: Vec<Arc<State>> = self.older.lock().iter().filter_map(Weak::upgrade).collect();
        let mut tables = FxHashMap::default();
        for table in older.iter().chain([&self.current()]).flat_map(|state| state.tables.values()) {
            tables.insert(Arc::as_ptr(table), Arc::clone(table));
        }
        let (mut memtables, mut segments) = (FxHashMap::default(), FxHashMap::default());
        for table in tables.values() {
            memtables.extend(table.memtables().map(|m| (m.address(), m.clone())));
            segments.extend(table.segments.iter().map(|s| (Arc::as_ptr(s), Arc::clone(s))));
        }
        Held {
            memtables: memtables.into_values().collect(),
            segments: segments.into_values().collect(),
        }
    }

    /// Replaces the state and lets snapshots see commits up to `seq`, in one step: a
    /// snapshot must not pair the new state with an older number.
    pub(crate) fn replace_and_publish(&self, state: State, seq: u64) {
        let _no_new_pins = self.pins.lock();
        self.replace(state);
        self.publish(seq);
    }

    /// The newest sequence number that snapshots see.
    pub(crate) fn visible(&self) -> u64 {
        self.visible.load(Ordering::Acquire)
    }

    /// Lets snapshots see commits up to `seq`. I3: never called before the log is as
    /// durable as those commits asked for.
    pub(crate) fn publish(&self, seq: u64) {
        self.visible.fetch_max(seq, Ordering::AcqRel);
    }

    /// Pins the newest sequence number. The pin and the number are taken together,
    /// so that [`Self::horizon`] cannot pass a snapshot that is just being made.
    pub(crate) fn pin(self: &Arc<Self>) -> (Pin, Arc<State>) {
        let mut pins = self.pins.lock();
        let seq = self.visible();
        let state = self.current();
        *pins.snapshots.entry(seq).or_default() += 1;
        (Pin { shared: Arc::clone(self), seq, by_job: false }, state)
    }

    /// Pins the horizon for a job that leaves out what ended before it: until the job is
    /// committed, nobody forgets the numbers of what ended later. It is that of snapshots
    /// alone: were it that of other jobs too, jobs that overlap would hand an old one on.
    pub(crate) fn pin_horizon(self: &Arc<Self>) -> (Pin, Arc<State>) {
        let mut pins = self.pins.lock();
        let seq = pins.oldest_snapshot(self.visible());
        *pins.jobs.entry(seq).or_default() += 1;
        (Pin { shared: Arc::clone(self), seq, by_job: true }, self.current())
    }

    /// Ends the rows of segments that lazy upserts of a table have replaced. Of a table that
    /// is gone nothing waits.
    pub(crate) fn resolve(&self, table: TableId) -> Result<()> {
        match self.current().tables.get(&table) {
            Some(state) => state.unresolved.resolve(self, table),
            None => Ok(()),
        }
    }

    /// No snapshot and no job is older than this, now or later.
    pub(crate) fn horizon(&self) -> u64 {
        let pins = self.pins.lock();
        let snapshots = pins.oldest_snapshot(self.visible());
        pins.jobs.keys().next().map_or(snapshots, |oldest| snapshots.min(*oldest))
    }
}

/// Holds the horizon at its sequence number until it is dropped.
#[derive(Debug)]
pub(crate) struct Pin {
    shared: Arc<Shared>,
    pub(crate) seq: u64,
    by_job: bool,
}

impl Pin {
    /// Completes the delete vectors of a table's segments.
    pub(crate) fn resolve(&self, table: TableId) -> Result<()> {
        self.shared.resolve(table)
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        let mut pins = self.shared.pins.lock();
        let pins = if self.by_job { &mut pins.jobs } else { &mut pins.snapshots };
        if let Some(count) = pins.get_mut(&self.seq) {
            *count -= 1;
            if *count == 0 {
                pins.remove(&self.seq);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_that_overlap_do_not_hand_an_old_horizon_on() {
        let shared = Arc::new(Shared::new(State::default(), 10));
        let (flush, _) = shared.pin_horizon();
        shared.publish(20);
        let (merge, _) = shared.pin_horizon();
        assert_eq!((flush.seq, merge.seq, shared.horizon()), (10, 20, 10));
        shared.publish(30);
        let (snapshot, _) = shared.pin();
        shared.publish(40);
        drop(flush);
        assert_eq!(shared.horizon(), 20);
        drop(merge);
        let (merge, _) = shared.pin_horizon();
        assert_eq!((merge.seq, shared.horizon()), (30, 30));
        drop((snapshot, merge));
        assert_eq!(shared.horizon(), 40);
    }
}
