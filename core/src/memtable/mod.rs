//! Memtables: rows that are in the log but not yet in a segment.
//!
//! [`KeyedMemtable`] finds rows by primary key, [`AppendMemtable`] keeps record
//! batches. Both hold rows of *one* version of the table's definition, are written
//! by the committer alone and read by anyone at any sequence number: a row
//! carries the number that made it and the number that ended it, so a scan never
//! compares rows with each other.

mod append;
mod hash_index;
mod keyed;
mod node;
mod skip_list;

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{BooleanArray, RecordBatch};

pub(crate) use append::{AppendMemtable, with_rowid};
pub(crate) use keyed::KeyedMemtable;
pub(crate) use node::{Entries, LIVE, OwnedEntry};

use crate::Result;
use crate::catalog::TableDef;

/// Rows of a memtable have places that never change, by which scans are divided: in windows
/// of so many.
const WINDOW_ROWS: usize = 8192;

/// The places in each window that are the i-th of n pieces.
fn piece_of_window(piece: Option<(usize, usize)>) -> Range<usize> {
    let (i, n) = piece.unwrap_or((0, 1));
    let border = |k: usize| WINDOW_ROWS * k / n.max(1);
    border(i)..border(i + 1)
}

/// Rows as a memtable keeps them, and which of them a snapshot sees.
pub(crate) struct Rows {
    pub batch: RecordBatch,
    /// `None`: all.
    pub visible: Option<BooleanArray>,
}

/// A memtable of either kind.
#[derive(Clone, Debug)]
pub(crate) enum Memtable {
    Keyed(Arc<KeyedMemtable>),
    Append(Arc<AppendMemtable>),
}

impl Memtable {
    pub(crate) fn new(def: &Arc<TableDef>) -> Result<Self> {
        Ok(if def.is_keyed() {
            Self::Keyed(Arc::new(KeyedMemtable::new(Arc::clone(def))?))
        } else {
            Self::Append(Arc::new(AppendMemtable::new(Arc::clone(def))))
        })
    }

    /// The one that takes rows of `def` after this one is full.
    pub(crate) fn successor(&self, def: &Arc<TableDef>) -> Result<Self> {
        Ok(match self {
            Self::Keyed(full) if def.is_keyed() => {
                Self::Keyed(Arc::new(full.successor(Arc::clone(def))?))
            }
            _ => Self::new(def)?,
        })
    }

    /// The definition that its rows follow.
    pub(crate) fn def(&self) -> &Arc<TableDef> {
        match self {
            Self::Keyed(m) => m.def(),
            Self::Append(m) => m.def(),
        }
    }

    /// Row versions, ended ones included.
    pub(crate) fn rows(&self) -> u64 {
        match self {
            Self::Keyed(m) => m.rows(),
            Self::Append(m) => m.rows(),
        }
    }

    /// Rows that a snapshot at `seq` sees.
    pub(crate) fn visible_rows(&self, seq: u64) -> u64 {
        match self {
            Self::Keyed(m) => m.visible_rows(seq),
            Self::Append(m) => m.visible_rows(seq),
        }
    }

    /// Bytes of its rows.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Keyed(m) => m.bytes(),
            Self::Append(m) => m.bytes(),
        }
    }

    /// Bytes that it takes, those of its caches apart.
    pub(crate) fn memory(&self) -> usize {
        match self {
            Self::Keyed(m) => m.bytes() + m.reserved_bytes(),
            Self::Append(m) => m.bytes(),
        }
    }

    /// Bytes that it could do without.
    pub(crate) fn cached_bytes(&self) -> usize {
        match self {
            Self::Keyed(m) => m.cached_bytes(),
            Self::Append(_) => 0,
        }
    }

    /// Whether it may keep what scans make of its rows.
    pub(crate) fn keep_columns(&self, keep: bool) {
        match self {
            Self::Keyed(m) => m.keep_columns(keep),
            Self::Append(_) => {}
        }
    }

    /// Smallest and largest sequence number of its rows.
    pub(crate) fn seq_range(&self) -> (u64, u64) {
        match self {
            Self::Keyed(m) => m.seq_range(),
            Self::Append(m) => m.seq_range(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows() == 0
    }

    /// The i-th of n pieces of its rows, with those visible at `seq`: the columns of
    /// [`Self::def`] and, in an append memtable, `_rowid` after them. Pieces are disjoint and
    /// together are the whole also while rows are added.
    pub(crate) fn scan(&self, seq: u64, piece: Option<(usize, usize)>) -> Result<Vec<Rows>> {
        match self {
            Self::Keyed(m) => m.scan(seq, piece),
            Self::Append(m) => m.scan(seq, piece),
        }
    }

    pub(crate) fn same_as(&self, other: &Self) -> bool {
        self.address() == other.address()
    }

    /// What tells it from every other while it lives.
    pub(crate) fn address(&self) -> usize {
        match self {
            Self::Keyed(m) => Arc::as_ptr(m) as usize,
            Self::Append(m) => Arc::as_ptr(m) as usize,
        }
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::DataType;

    use super::*;
    use crate::catalog::{Catalog, NewColumn, NewTable, SchemaId};

    /// A table with a key of bytes and a column of bytes.
    pub(super) fn table_of_bytes() -> Arc<TableDef> {
        let column = |name: &str| NewColumn {
            name: name.into(),
            data_type: DataType::BinaryView,
            nullable: true,
            default_sql: None,
            missing: None,
        };
        let table = NewTable {
            primary_key: vec!["k".into()],
            ..NewTable::new(SchemaId(1), "t", vec![column("k"), column("v")])
        };
        Arc::new(Catalog::default().new_table(&table).unwrap())
    }
}
