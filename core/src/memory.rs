//! One budget of bytes for the whole database.
//!
//! ```text
//! limit
//!   ├ memtables   always kept, so writers are slowed: see [`crate::pressure`]
//!   ├ deletions   which rows of segments have ended, and when
//!   ├ caches      held while there is room, and given up first
//!   ├ jobs        flushes always run, merges wait for room
//!   └ queries     refused what does not fit, so that they spill
//! ```
//!
//! Mapped files are not in it: the system takes their pages back by itself. A tenth of
//! the limit is left to what nobody counts. What the allocator keeps of freed memory is not in it
//! either; it is told how much room there is, see [`tell_when_scarce`].

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// The part of the limit that queries cannot have: one over this. What is written must
/// always find room.
const KEPT_FROM_QUERIES: usize = 4;

/// Limits below this are raised to it: nothing would fit.
pub const LIMIT_MIN: usize = 64 << 20;

/// How often a job that waits for room looks again.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Memory is scarce while less than half of the limit is free, or half of it is less than this.
const ROOMY: usize = 1 << 30;

/// Who is told when memory becomes scarce.
static SCARCITY: Mutex<Scarcity> = Mutex::new(Scarcity { budgets: 0, tell: None });

/// Has `tell` called whenever memory becomes scarce for one of this process's databases, and when
/// it is for none any more; and when one is opened. An allocator may keep what is freed for a
/// while when there is room: queries one after another take the same pages then, and the system
/// need not clear them each time.
pub fn tell_when_scarce(tell: fn(is_scarce: bool)) {
    SCARCITY.lock().tell = Some(tell);
}

struct Scarcity {
    /// Budgets that are short of room.
    budgets: usize,
    tell: Option<fn(bool)>,
}

impl Scarcity {
    fn tell(&self) {
        if let Some(tell) = self.tell {
            tell(self.budgets > 0);
        }
    }
}

/// What bytes are used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryUse {
    /// Rows that are in the log and not in segments.
    Memtables,
    /// Which rows of segments have ended, and when as long as a snapshot or the log asks.
    Deletions,
    /// What could be made again.
    Caches,
    /// Flushes, merges, bulk loads.
    Jobs,
    /// Operators of queries.
    Queries,
}

impl MemoryUse {
    /// Every one, as it is called in statistics.
    pub const ALL: [(&'static str, Self); USES] = [
        ("memtables", Self::Memtables),
        ("deletions", Self::Deletions),
        ("caches", Self::Caches),
        ("jobs", Self::Jobs),
        ("queries", Self::Queries),
    ];
}

const USES: usize = 5;

/// See the module's documentation.
#[derive(Debug)]
pub struct Memory {
    limit: AtomicUsize,
    used: [AtomicUsize; USES],
    is_scarce: AtomicBool,
    /// Locked by jobs that wait for room.
    waiting: Mutex<()>,
    room: Condvar,
}

/// Bytes of a job, given back when this is dropped.
#[derive(Debug)]
pub(crate) struct JobMemory<'a> {
    memory: &'a Memory,
    bytes: usize,
}

impl Memory {
    /// A budget of `limit` bytes.
    pub fn new(limit: usize) -> Self {
        let memory = Self {
            limit: AtomicUsize::new(limit.max(LIMIT_MIN)),
            used: Default::default(),
            is_scarce: AtomicBool::new(false),
            waiting: Mutex::new(()),
            room: Condvar::new(),
        };
        memory.look();
        SCARCITY.lock().tell();
        memory
    }

    /// The limit in bytes.
    pub fn limit(&self) -> usize {
        self.limit.load(Ordering::Relaxed)
    }

    /// Changes the limit; [`LIMIT_MIN`] at least. What is used beyond it is not taken back,
    /// but nothing is added until there is room.
    pub fn set_limit(&self, bytes: usize) {
        self.limit.store(bytes.max(LIMIT_MIN), Ordering::Relaxed);
        self.look();
        self.room.notify_all();
    }

    /// Bytes in use for one purpose.
    pub fn used(&self, by: MemoryUse) -> usize {
        self.used[by as usize].load(Ordering::Relaxed)
    }

    /// Bytes in use.
    pub fn total(&self) -> usize {
        self.used.iter().map(|used| used.load(Ordering::Relaxed)).sum()
    }

    /// Whether caches are to be given up and writers to be slowed.
    pub fn is_short(&self) -> bool {
        self.total() > self.countable()
    }

    /// What may be counted before memory is short.
    fn countable(&self) -> usize {
        self.limit() / 10 * 9
    }

    /// Bytes that all queries together may hold now.
    pub fn for_queries(&self) -> usize {
        let others = self.total().saturating_sub(self.used(MemoryUse::Queries));
        self.countable().saturating_sub(others.max(self.limit() / KEPT_FROM_QUERIES))
    }

    /// Says how many bytes a purpose takes now.
    pub fn set(&self, by: MemoryUse, bytes: usize) {
        let before = self.used[by as usize].swap(bytes, Ordering::Relaxed);
        self.look();
        if bytes < before {
            self.room.notify_all();
        }
    }

    /// Takes bytes, whether they fit or not.
    pub(crate) fn grow(&self, by: MemoryUse, bytes: usize) {
        self.used[by as usize].fetch_add(bytes, Ordering::Relaxed);
        self.look();
    }

    /// Gives bytes back.
    pub(crate) fn shrink(&self, by: MemoryUse, bytes: usize) {
        self.used[by as usize].fetch_sub(bytes, Ordering::Relaxed);
        self.look();
        self.room.notify_all();
    }

    /// Notices whether memory became scarce, or is no longer.
    fn look(&self) {
        let (limit, was_scarce) = (self.limit(), self.is_scarce.load(Ordering::Relaxed));
        // To be roomy again takes a little more, so that it does not change all the time.
        let more = if was_scarce { limit / 16 } else { 0 };
        let free = limit.saturating_sub(self.total());
        // What is seen is old when another thread changes it at this moment; each change looks.
        self.note(limit < 2 * ROOMY || free < limit / 2 + more);
    }

    fn note(&self, is_scarce: bool) {
        if self.is_scarce.load(Ordering::Relaxed) == is_scarce {
            return;
        }
        let mut scarcity = SCARCITY.lock();
        if self.is_scarce.swap(is_scarce, Ordering::Relaxed) == is_scarce {
            return;
        }
        let before = scarcity.budgets;
        scarcity.budgets = if is_scarce { before + 1 } else { before - 1 };
        if (before == 0) != (scarcity.budgets == 0) {
            scarcity.tell();
        }
    }

    /// Takes bytes for a job that must not wait.
    pub(crate) fn take(&self, bytes: usize) -> JobMemory<'_> {
        self.grow(MemoryUse::Jobs, bytes);
        JobMemory { memory: self, bytes }
    }

    /// Takes bytes for a job if they fit or no other job runs.
    pub(crate) fn try_take(&self, bytes: usize) -> Option<JobMemory<'_>> {
        let fits = self.total() + bytes <= self.countable() || self.used(MemoryUse::Jobs) == 0;
        fits.then(|| self.take(bytes))
    }

    /// Takes bytes for a job, once they fit or no other job runs; `None` as soon as
    /// `goes_on` says so.
    pub(crate) fn wait(&self, bytes: usize, goes_on: impl Fn() -> bool) -> Option<JobMemory<'_>> {
        let mut waiting = self.waiting.lock();
        while goes_on() {
            if let Some(taken) = self.try_take(bytes) {
                return Some(taken);
            }
            self.room.wait_for(&mut waiting, LOOK_AGAIN);
        }
        None
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.note(false);
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new(default_limit())
    }
}

impl JobMemory<'_> {
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for JobMemory<'_> {
    fn drop(&mut self) {
        self.memory.shrink(MemoryUse::Jobs, self.bytes);
    }
}

/// Four fifths of what the machine, or the control group that the process is in, has.
pub fn default_limit() -> usize {
    let machine = rustix::system::sysinfo();
    let machine = (machine.totalram as u64).saturating_mul(u64::from(machine.mem_unit));
    let group = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"]
        .iter()
        .filter_map(|path| std::fs::read_to_string(path).ok()?.trim().parse::<u64>().ok())
        .min();
    let there_is = group.map_or(machine, |group| group.min(machine));
    usize::try_from(there_is / 5 * 4).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    #[test]
    fn queries_leave_room_for_what_is_written() {
        let memory = Memory::new(1000 * MIB);
        assert_eq!(memory.for_queries(), 650 * MIB);
        memory.set(MemoryUse::Memtables, 300 * MIB);
        memory.set(MemoryUse::Queries, 100 * MIB);
        assert_eq!(memory.for_queries(), 600 * MIB);
        assert!(!memory.is_short());
        memory.set(MemoryUse::Queries, 601 * MIB);
        assert!(memory.is_short());
    }

    #[test]
    fn a_merge_waits_for_room_and_the_first_one_never_does() {
        let memory = Memory::new(100 * MIB);
        let first = memory.wait(500 * MIB, || true).unwrap();
        let looks = std::cell::Cell::new(0);
        let waited = memory.wait(MIB, || {
            looks.set(looks.get() + 1);
            looks.get() < 3
        });
        assert!(waited.is_none());
        drop(first);
        assert!(memory.wait(MIB, || true).is_some());
        assert_eq!(memory.total(), 0);
    }

    #[test]
    fn it_is_told_when_memory_is_scarce() {
        let memory = Memory::new(4096 * MIB);
        let is_scarce = || memory.is_scarce.load(Ordering::Relaxed);
        assert!(!is_scarce());
        memory.set(MemoryUse::Queries, 2000 * MIB);
        assert!(!is_scarce());
        memory.set(MemoryUse::Queries, 2100 * MIB);
        assert!(is_scarce());
        // Not at once, as soon as a little is free.
        memory.set(MemoryUse::Queries, 2000 * MIB);
        assert!(is_scarce());
        memory.set(MemoryUse::Queries, 1700 * MIB);
        assert!(!is_scarce());
        memory.set(MemoryUse::Queries, 0);
        for (limit, is_small) in [(1024, true), (1536, true), (2048, false), (64, true)] {
            memory.set_limit(limit * MIB);
            assert_eq!(is_scarce(), is_small, "{limit} MiB");
        }
    }

    #[test]
    fn the_machine_has_memory() {
        assert!(default_limit() > LIMIT_MIN);
    }
}
