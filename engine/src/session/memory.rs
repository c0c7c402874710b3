//! What queries may hold of the database's memory, and where they put the rest.
//!
//! Operators that can spill share what is left to queries evenly, so that none of a plan
//! starves the others; those that cannot take it as they come. What is left depends on
//! memtables and jobs, which come first.

use std::path::Path;
use std::sync::Arc;

use datafusion::common::{DataFusionError, Result};
use datafusion::execution::disk_manager::DiskManagerBuilder;
use datafusion::execution::memory_pool::{
    MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation, human_readable_size,
};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use parking_lot::Mutex;
use sheaf_core::{Memory, MemoryUse};

use super::spills::SpillFolder;

/// The folder of a database in which queries spill. What a killed process left there goes
/// at the next opening.
const SPILL_FOLDER: &str = "tmp";

/// Files that are merged at a time at most: each is open, and has a buffer that is not counted.
const FILES_MERGED: usize = 64;

/// The part of what queries may hold that operators which can spill leave to others, one
/// over this.
const KEPT_FROM_SPILLERS: usize = 4;

/// What queries of a database run with; `folder` is that of a database that is open for
/// writing, others spill where the system keeps temporary files.
pub(crate) fn runtime_env(memory: &Arc<Memory>, folder: Option<&Path>) -> Result<Arc<RuntimeEnv>> {
    let folder = match folder {
        Some(folder) => {
            let folder = folder.join(SPILL_FOLDER);
            match std::fs::remove_dir_all(&folder) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(error.into());
                }
                _ => folder,
            }
        }
        None => std::env::temp_dir(),
    };
    let spills = Arc::new(SpillFolder::new(folder));
    let spills = DiskManagerBuilder::default()
        .with_temp_file_factory(spills)
        .with_max_spill_merge_fan_in(FILES_MERGED);
    RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(QueryMemory::new(Arc::clone(memory))))
        .with_disk_manager_builder(spills)
        .build_arc()
}

/// See the module's documentation.
#[derive(Debug)]
struct QueryMemory {
    memory: Arc<Memory>,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    /// Operators that can spill.
    spillers: usize,
    by_spillers: usize,
    by_others: usize,
}

impl QueryMemory {
    fn new(memory: Arc<Memory>) -> Self {
        Self { memory, held: Mutex::default() }
    }

    fn change(&self, reservation: &MemoryReservation, change: impl FnOnce(&mut usize)) {
        let mut held = self.held.lock();
        change(match reservation.consumer().can_spill() {
            true => &mut held.by_spillers,
            false => &mut held.by_others,
        });
        self.memory.set(MemoryUse::Queries, held.by_spillers + held.by_others);
    }
}

impl MemoryPool for QueryMemory {
    fn name(&self) -> &str {
        "sheaf"
    }

    fn register(&self, consumer: &MemoryConsumer) {
        if consumer.can_spill() {
            self.held.lock().spillers += 1;
        }
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        if consumer.can_spill() {
            self.held.lock().spillers -= 1;
        }
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.change(reservation, |held| *held += additional);
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.change(reservation, |held| *held -= shrink);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        let mut held = self.held.lock();
        let all = self.memory.for_queries();
        if reservation.consumer().can_spill() {
            // To merge what was spilled takes memory that cannot be.
            let kept = held.by_others.max(all / KEPT_FROM_SPILLERS);
            let share = all.saturating_sub(kept) / held.spillers.max(1);
            if reservation.size() + additional > share {
                return Err(refused(reservation, additional, all));
            }
            held.by_spillers += additional;
        } else {
            if held.by_spillers + held.by_others + additional > all {
                return Err(refused(reservation, additional, all));
            }
            held.by_others += additional;
        }
        self.memory.set(MemoryUse::Queries, held.by_spillers + held.by_others);
        Ok(())
    }

    fn reserved(&self) -> usize {
        self.memory.used(MemoryUse::Queries)
    }

    fn memory_limit(&self) -> MemoryLimit {
        MemoryLimit::Finite(self.memory.for_queries())
    }
}

impl std::fmt::Display for QueryMemory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the database's memory ({})", human_readable_size(self.memory.limit()))
    }
}

fn refused(reservation: &MemoryReservation, additional: usize, all: usize) -> DataFusionError {
    DataFusionError::ResourcesExhausted(format!(
        "{} holds {} and needs {} more; queries may hold {} now",
        reservation.consumer().name(),
        human_readable_size(reservation.size()),
        human_readable_size(additional),
        human_readable_size(all),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    #[test]
    fn spillers_share_what_memtables_and_others_leave() {
        let memory = Arc::new(Memory::new(1000 * MIB));
        let pool: Arc<dyn MemoryPool> = Arc::new(QueryMemory::new(Arc::clone(&memory)));
        let spiller = |name: &str| MemoryConsumer::new(name).with_can_spill(true).register(&pool);
        let (sort, group) = (spiller("sort"), spiller("group"));
        let join = MemoryConsumer::new("join").register(&pool);

        // 650 MiB are for queries; of three quarters, half is for each that spills.
        assert!(sort.try_grow(244 * MIB).is_err());
        sort.try_grow(243 * MIB).unwrap();
        group.try_grow(243 * MIB).unwrap();
        let error = join.try_grow(165 * MIB).unwrap_err().to_string();
        assert!(error.contains("join holds 0.0 B and needs 165.0 MB more"), "{error}");
        assert_eq!(memory.used(MemoryUse::Queries), 486 * MIB);

        group.free();
        join.try_grow(MIB).unwrap();
        memory.set(MemoryUse::Memtables, 400 * MIB);
        assert!(join.try_grow(300 * MIB).is_err());
        drop((sort, group, join));
        assert_eq!(memory.used(MemoryUse::Queries), 0);
    }
}
