//! The running state: what is live now, swapped as one piece.
//!
//! Only the committer makes a new [`State`]; everyone else reads the current
//! one. A reader that holds a state holds its memtables and segments, and so pins
//! their files.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};

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

/// The current state, the newest visible sequence number, and who reads what.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    state: RwLock<Arc<State>>,
    visible: AtomicU64,
    /// Sequence numbers of snapshots that are held, with their count.
    pins: Mutex<BTreeMap<u64, usize>>,
}

impl Shared {
    pub(crate) fn new(state: State, visible: u64) -> Self {
        Self {
            state: RwLock::new(Arc::new(state)),
            visible: AtomicU64::new(visible),
            pins: Mutex::default(),
        }
    }

    pub(crate) fn current(&self) -> Arc<State> {
        Arc::clone(&self.state.read())
    }

    pub(crate) fn replace(&self, state: State) {
        *self.state.write() = Arc::new(state);
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
        *pins.entry(seq).or_default() += 1;
        (Pin { shared: Arc::clone(self), seq }, state)
    }

    /// Pins the horizon for a job that leaves out what ended before it: until the job is
    /// committed, nobody forgets the numbers of what ended later.
    pub(crate) fn pin_horizon(self: &Arc<Self>) -> (Pin, Arc<State>) {
        let mut pins = self.pins.lock();
        let visible = self.visible();
        let seq = pins.keys().next().map_or(visible, |oldest| visible.min(*oldest));
        *pins.entry(seq).or_default() += 1;
        (Pin { shared: Arc::clone(self), seq }, self.current())
    }

    /// Ends the rows of segments that lazy upserts of a table have replaced. Of a table that
    /// is gone nothing waits.
    pub(crate) fn resolve(&self, table: TableId) -> Result<()> {
        match self.current().tables.get(&table) {
            Some(state) => state.unresolved.resolve(self, table),
            None => Ok(()),
        }
    }

    /// No snapshot is older than this, now or later.
    pub(crate) fn horizon(&self) -> u64 {
        let pins = self.pins.lock();
        let visible = self.visible();
        pins.keys().next().map_or(visible, |oldest| visible.min(*oldest))
    }
}

/// Holds the horizon at its sequence number until it is dropped.
#[derive(Debug)]
pub(crate) struct Pin {
    shared: Arc<Shared>,
    pub(crate) seq: u64,
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
        if let Some(count) = pins.get_mut(&self.seq) {
            *count -= 1;
            if *count == 0 {
                pins.remove(&self.seq);
            }
        }
    }
}
