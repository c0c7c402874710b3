//! A pool that gives out what was reserved from another before.
//!
//! The rows of a join's left side are reserved while they are taken. The join that gets them
//! reserves them again: from here, so that they count once.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::Result;
use datafusion::execution::context::SessionConfig;
use datafusion::execution::memory_pool::{
    MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation,
};
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use parking_lot::Mutex;

use super::handed::promised_rows;

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Lent {
    pool: Arc<dyn MemoryPool>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    reserved: MemoryReservation,
    used: usize,
    /// Whether all that is needed was taken, so that the rest goes back.
    is_settled: bool,
}

impl Lent {
    /// Gives out what it is filled with, and then more of `pool`.
    pub(super) fn new(pool: &Arc<dyn MemoryPool>) -> Arc<Self> {
        let reserved = MemoryConsumer::new("HashJoinInput").register(pool);
        let state = Mutex::new(State { reserved, used: 0, is_settled: false });
        Arc::new(Self { pool: Arc::clone(pool), state })
    }

    /// Takes over what was reserved, before anything is used.
    pub(super) fn fill(&self, reserved: MemoryReservation) {
        self.state.lock().reserved = reserved;
    }

    /// A context for a join with this memory, which needs no functions.
    pub(super) fn context(
        self: &Arc<Self>,
        context: &TaskContext,
        config: SessionConfig,
    ) -> Arc<TaskContext> {
        let runtime = RuntimeEnv::clone(&context.runtime_env());
        let runtime = RuntimeEnv { memory_pool: Arc::clone(self) as _, ..runtime };
        Arc::new(TaskContext::new(
            context.task_id(),
            context.session_id(),
            config,
            HashMap::new(),
            HashMap::new(),
            HashMap::new(),
            HashMap::new(),
            Arc::new(runtime),
        ))
    }

    /// Rows of the right side. They are asked for when the table is there: what was reserved and
    /// is not used by then goes back.
    pub(super) fn settled_by(
        self: &Arc<Self>,
        schema: SchemaRef,
        rows: impl Future<Output = Result<SendableRecordBatchStream>> + Send + 'static,
    ) -> SendableRecordBatchStream {
        let lent = Arc::clone(self);
        let rows = async move {
            lent.settle();
            rows.await
        };
        promised_rows(schema, rows)
    }

    fn settle(&self) {
        let mut state = self.state.lock();
        state.is_settled = true;
        state.give_back();
    }
}

impl State {
    fn give_back(&self) {
        if self.is_settled && self.reserved.size() > self.used {
            self.reserved.shrink(self.reserved.size() - self.used);
        }
    }
}

impl MemoryPool for Lent {
    fn name(&self) -> &str {
        self.pool.name()
    }

    fn grow(&self, _reservation: &MemoryReservation, additional: usize) {
        let mut state = self.state.lock();
        state.used += additional;
        let missing = state.used.saturating_sub(state.reserved.size());
        state.reserved.grow(missing);
    }

    fn shrink(&self, _reservation: &MemoryReservation, shrink: usize) {
        let mut state = self.state.lock();
        state.used = state.used.saturating_sub(shrink);
        state.give_back();
    }

    fn try_grow(&self, _reservation: &MemoryReservation, additional: usize) -> Result<()> {
        let mut state = self.state.lock();
        let used = state.used + additional;
        if used > state.reserved.size() {
            state.reserved.try_grow(used - state.reserved.size())?;
        }
        state.used = used;
        Ok(())
    }

    fn reserved(&self) -> usize {
        self.pool.reserved()
    }

    fn memory_limit(&self) -> MemoryLimit {
        self.pool.memory_limit()
    }
}

impl fmt::Display for Lent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.pool.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use datafusion::execution::memory_pool::GreedyMemoryPool;

    use super::*;

    #[test]
    fn what_was_reserved_counts_once_and_the_rest_goes_back() {
        let pool: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(100));
        let reserved = MemoryConsumer::new("rows").register(&pool);
        reserved.try_grow(60).unwrap();
        let lent = Lent::new(&pool);
        lent.fill(reserved);
        let as_pool = Arc::clone(&lent) as Arc<dyn MemoryPool>;
        let table = MemoryConsumer::new("table").register(&as_pool);
        table.try_grow(40).unwrap();
        assert_eq!(pool.reserved(), 60);
        table.try_grow(40).unwrap();
        assert_eq!(pool.reserved(), 80);
        assert!(table.try_grow(30).is_err());
        assert_eq!((table.size(), pool.reserved()), (80, 80));
        table.shrink(70);
        assert_eq!(pool.reserved(), 80);
        lent.settle();
        assert_eq!(pool.reserved(), 10);
        table.try_grow(5).unwrap();
        assert_eq!(pool.reserved(), 15);
        drop(table);
        assert_eq!(pool.reserved(), 0);
    }
}
