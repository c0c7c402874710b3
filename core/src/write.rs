//! What a writer hands to the store: rows to insert, replace and delete.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use arrow::array::{RecordBatch, UInt64Array};
use serde::{Deserialize, Serialize};

use crate::catalog::TableDef;
use crate::row::{RowBuilder, RowUpdate};
use crate::{Error, Result};

/// What to do when an inserted row's key is already there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnConflict {
    /// Fail the whole batch with [`crate::Error::DuplicateKey`].
    #[default]
    Fail,
    /// Leave the existing row.
    Skip,
    /// Replace the existing row.
    Replace,
}

/// When a commit is acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// After the log is on stable storage.
    #[default]
    Sync,
    /// At once; the log reaches stable storage within the sync interval.
    Interval,
    /// At once; the operating system decides when.
    None,
}

impl fmt::Display for Durability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sync => "sync",
            Self::Interval => "interval",
            Self::None => "none",
        })
    }
}

impl FromStr for Durability {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        [Self::Sync, Self::Interval, Self::None]
            .into_iter()
            .find(|durability| text.eq_ignore_ascii_case(&durability.to_string()))
            .ok_or_else(|| {
                Error::Invalid(format!("durability is sync, interval or none, not '{text}'"))
            })
    }
}

impl Durability {
    /// The one of the two that promises more.
    pub(crate) fn stronger(self, other: Self) -> Self {
        match (self, other) {
            (Self::Sync, _) | (_, Self::Sync) => Self::Sync,
            (Self::Interval, _) | (_, Self::Interval) => Self::Interval,
            (Self::None, Self::None) => Self::None,
        }
    }
}

/// One change of one table.
#[derive(Clone, Debug)]
pub enum Write {
    /// New rows with the schema [`TableDef::arrow_schema`]. `on_conflict` only
    /// matters to keyed tables.
    Insert {
        /// The table, as the writer saw it: a change of its definition meanwhile
        /// fails the batch with [`crate::Error::SchemaChanged`].
        table: Arc<TableDef>,
        /// The rows.
        rows: RecordBatch,
        /// What to do about existing keys.
        on_conflict: OnConflict,
    },
    /// New rows of a keyed table, given one by one.
    Put {
        /// The rows.
        rows: RowBuilder,
        /// What to do about existing keys.
        on_conflict: OnConflict,
    },
    /// Deletes by key, given one by one. Keys that are not there are not an error.
    Delete {
        /// The keys.
        keys: RowBuilder,
    },
    /// Changes one row by its key, depending on what it is now.
    Update(RowUpdate),
    /// Deletes by key: the columns are the primary key's, in key order. Keys that
    /// are not there are not an error.
    DeleteKeys {
        /// The keyed table.
        table: Arc<TableDef>,
        /// The keys.
        keys: RecordBatch,
    },
    /// Deletes rows of an append table by the hidden `_rowid`.
    DeleteRows {
        /// The append table.
        table: Arc<TableDef>,
        /// The row ids.
        rowids: UInt64Array,
    },
}

impl Write {
    /// The table it changes.
    pub fn table(&self) -> &Arc<TableDef> {
        match self {
            Self::Insert { table, .. }
            | Self::DeleteKeys { table, .. }
            | Self::DeleteRows { table, .. } => table,
            Self::Put { rows, .. } => &rows.table,
            Self::Update(update) => &update.table,
            Self::Delete { keys } => &keys.table,
        }
    }
}

/// Changes that happen together or not at all.
#[derive(Clone, Debug, Default)]
pub struct WriteBatch {
    /// The changes, applied in this order.
    pub writes: Vec<Write>,
    /// With a sequence number: fail with [`crate::Error::Conflict`] when a key or
    /// row touched here was changed by a commit after it.
    pub read_at: Option<u64>,
    /// When to acknowledge. Without it, as the most careful of the written tables wants it:
    /// as its definition says, or the store's default.
    pub durability: Option<Durability>,
}

/// What a commit did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Commit {
    /// Sequence number of the commit: the version at which it can be seen.
    pub seq: u64,
    /// Rows inserted or put in place of others.
    pub inserted: u64,
    /// Existing rows that were replaced.
    pub replaced: u64,
    /// Rows that were deleted.
    pub deleted: u64,
    /// Rows left out because of [`OnConflict::Skip`], and updates that changed nothing.
    pub skipped: u64,
}
