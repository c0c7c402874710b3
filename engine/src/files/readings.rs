//! What a session's readings of files are doing: which files they may be of, how far they
//! are, and the rows that they skipped, which `sheaf.rejects` shows.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use sheaf_formats::external::{Progress, Reject, Rejects};

use super::FileAccess;

/// Readings that are remembered.
const READINGS_MAX: usize = 16;
/// Rows that are kept of each.
const ROWS_MAX: usize = 10_000;

/// The latest readings of a session.
#[derive(Clone, Debug, Default)]
pub(crate) struct Readings {
    access: FileAccess,
    latest: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    rejects: VecDeque<Arc<Rejects>>,
    progress: Vec<Arc<Progress>>,
}

impl Readings {
    pub fn new(access: FileAccess) -> Self {
        Self { access, latest: Arc::default() }
    }

    /// The files that the session may read and write.
    pub fn access(&self) -> &FileAccess {
        &self.access
    }

    /// A place for the rows that one reading skips.
    pub fn rejects(&self) -> Arc<Rejects> {
        let rejects = Arc::new(Rejects::new(ROWS_MAX));
        let readings = &mut self.latest.lock().rejects;
        readings.retain(|reading| reading.count() > 0);
        if readings.len() == READINGS_MAX {
            readings.pop_front();
        }
        readings.push_back(Arc::clone(&rejects));
        rejects
    }

    /// A new statement begins.
    pub fn clear_progress(&self) {
        self.latest.lock().progress.clear();
    }

    /// The statement reads files.
    pub fn add_progress(&self, progress: &Arc<Progress>) {
        self.latest.lock().progress.push(Arc::clone(progress));
    }

    /// Bytes of files that the statement has read, and bytes that there are.
    pub fn progress(&self) -> Option<(u64, u64)> {
        let readings = &self.latest.lock().progress;
        let sums = readings.iter().map(|p| (p.done_bytes(), p.total_bytes()));
        sums.reduce(|(done, total), (d, t)| (done + d, total + t))
    }

    /// The rows, with the number of their reading, the latest reading last.
    pub fn rows(&self) -> Vec<(u64, Reject)> {
        let readings: Vec<Arc<Rejects>> = self.latest.lock().rejects.iter().cloned().collect();
        let numbered = (1..).zip(readings.into_iter().filter(|reading| reading.count() > 0));
        numbered
            .flat_map(|(number, reading)| reading.kept().into_iter().map(move |row| (number, row)))
            .collect()
    }
}
