//! Rows that a reader skipped, and why.

use std::sync::{Mutex, PoisonError};

/// A row, or a value in it, that was not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    /// The file's name.
    pub file: String,
    /// Its line, counted from one, where the file has lines.
    pub line: Option<u64>,
    /// The column's name, where the fault lies in one.
    pub column: Option<String>,
    /// What stands there, shortened.
    pub value: Option<String>,
    /// What was expected.
    pub reason: String,
}

/// Collects rejected rows: counts all, keeps the first ones.
#[derive(Debug)]
pub struct Rejects {
    kept_max: usize,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    count: u64,
    kept: Vec<Reject>,
}

impl Rejects {
    /// Keeps as many as `kept_max`.
    pub fn new(kept_max: usize) -> Self {
        Self { kept_max, inner: Mutex::default() }
    }

    /// Takes one row.
    pub fn push(&self, reject: Reject) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.count += 1;
        if inner.kept.len() < self.kept_max {
            inner.kept.push(reject);
        }
    }

    /// Rows taken so far, kept or not.
    pub fn count(&self) -> u64 {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).count
    }

    /// Those that were kept, in the order of file and line.
    pub fn kept(&self) -> Vec<Reject> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let mut kept = inner.kept.clone();
        kept.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
        kept
    }
}
