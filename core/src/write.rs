//! What a writer hands to the store: rows to insert, replace and delete.

use std::sync::Arc;

use arrow::array::{RecordBatch, UInt64Array};

use crate::catalog::TableDef;
use crate::row::{RowBuilder, RowUpdate};

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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// After the log is on stable storage.
    #[default]
    Sync,
    /// At once; the log reaches stable storage within the sync interval.
    Interval,
    /// At once; the operating system decides when.
    None,
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
    /// When to acknowledge; the store's default without it.
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
