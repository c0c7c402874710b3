//! A journal of background jobs, for the system views.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::Result;
use crate::catalog::TableId;
use crate::clock::Clock;
use crate::inspect::JobInfo;

/// Finished jobs that are remembered.
const REMEMBERED: usize = 256;

/// What a job did.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Work {
    /// Why it was done, where there is a choice.
    pub reason: &'static str,
    pub rows_in: u64,
    pub rows_out: u64,
    pub bytes_in: u64,
    pub bytes_out: u64,
}

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct Jobs {
    clock: Arc<dyn Clock>,
    inner: Mutex<(u64, VecDeque<JobInfo>)>,
}

impl Jobs {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, inner: Mutex::default() }
    }

    /// Runs `job` and remembers how it went.
    pub(crate) fn run(
        &self,
        kind: &'static str,
        table: Option<TableId>,
        job: impl FnOnce() -> Result<Work>,
    ) -> Result<Work> {
        let started_us = self.clock.now_us();
        let id = {
            let mut inner = self.inner.lock();
            inner.0 += 1;
            let id = inner.0;
            inner.1.push_front(JobInfo {
                id,
                kind,
                table,
                started_us,
                duration_us: None,
                reason: "",
                rows_in: 0,
                rows_out: 0,
                bytes_in: 0,
                bytes_out: 0,
                error: None,
            });
            inner.1.truncate(REMEMBERED);
            id
        };
        let result = job();
        let duration = self.clock.now_us().saturating_sub(started_us).max(0) as u64;
        let mut inner = self.inner.lock();
        if let Some(info) = inner.1.iter_mut().find(|info| info.id == id) {
            info.duration_us = Some(duration);
            match &result {
                Ok(work) => {
                    info.reason = work.reason;
                    info.rows_in = work.rows_in;
                    info.rows_out = work.rows_out;
                    info.bytes_in = work.bytes_in;
                    info.bytes_out = work.bytes_out;
                }
                Err(error) => info.error = Some(error.to_string()),
            }
        }
        result
    }

    /// All remembered jobs, the newest first.
    pub(crate) fn list(&self) -> Vec<JobInfo> {
        self.inner.lock().1.iter().cloned().collect()
    }
}
