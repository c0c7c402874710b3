//! Rows of a range of keys, in key order, forward or backward.
//!
//! The parts of a table are disjoint at a snapshot, so their rows are merged by taking
//! the first of the parts' next keys each time.

use std::cmp::Ordering;
use std::ops::Bound;

use arrow::array::Scalar;
use sheaf_formats::predicate::{CompareOp, Predicate};

use super::cursor::Cursor;
use crate::Result;
use crate::catalog::TableDef;
use crate::row::{Row, RowBuilder, Value, key_prefix, one_element};
use crate::snapshot::TableSnapshot;

/// Keys from `start` on and before `end`, as bytes.
#[derive(Clone, Debug, Default)]
pub(super) struct KeyRange {
    pub start: Vec<u8>,
    /// `None`: to the last key.
    pub end: Option<Vec<u8>>,
    /// Bounds of the key's first column, the values included.
    first_column: [Option<Value<'static>>; 2],
}

impl KeyRange {
    pub(super) fn holds(&self, key: &[u8]) -> bool {
        self.start.as_slice() <= key && self.end.as_deref().is_none_or(|end| key < end)
    }

    /// A filter over columns that keeps the rows of the range, and perhaps more.
    pub(super) fn predicate(&self, def: &TableDef) -> Result<Option<Predicate>> {
        let column = def.key_indices()[0];
        let field = def.arrow_schema().field(column);
        if field.data_type().is_floating() {
            // -0.0 is the same key as 0.0, but not the same value.
            return Ok(None);
        }
        let descends = def.key_columns().next().is_some_and(|(_, order)| order.descending);
        let ops = match descends {
            false => [CompareOp::GtEq, CompareOp::LtEq],
            true => [CompareOp::LtEq, CompareOp::GtEq],
        };
        let mut all = Vec::new();
        for (bound, op) in self.first_column.iter().zip(ops) {
            if let Some(value) = bound {
                let value = Scalar::new(one_element(field, value)?);
                all.push(Predicate::Compare { column, op, value });
            }
        }
        Ok((!all.is_empty()).then_some(Predicate::And(all)))
    }
}

/// The rows of a range, in key order: see [`TableSnapshot::range`].
///
/// Key order is the order of the key's columns, each in its own direction. Of a key
/// `(host, at DESC)` the prefix `host` gives the newest rows first, and the rows from
/// five o'clock back to four are the range from `(host, 5)` to `(host, 4)`.
/// [`Self::backward`] turns all of it around.
pub struct RowRange {
    table: TableSnapshot,
    range: KeyRange,
    backward: bool,
    /// Set up when the first row is asked for.
    merge: Option<Merge>,
}

/// The rows of several parts by their keys.
#[derive(Default)]
struct Merge {
    /// Those that are not at their end.
    cursors: Vec<Cursor>,
    /// The first bytes of the key that each of them stands on.
    prefixes: Vec<u64>,
}

impl Merge {
    fn open(table: &TableSnapshot, range: &KeyRange, backward: bool) -> Result<Self> {
        let cursors = Cursor::open(table, range, backward)?;
        let prefixes = cursors.iter().map(|cursor| cursor.key().map_or(0, key_prefix)).collect();
        Ok(Self { cursors, prefixes })
    }

    /// The cursor with the next key; there is one.
    fn first(&self, backward: bool) -> usize {
        let mut first = 0;
        for (i, prefix) in self.prefixes.iter().enumerate().skip(1) {
            let order = prefix
                .cmp(&self.prefixes[first])
                .then_with(|| self.cursors[i].key().cmp(&self.cursors[first].key()));
            if order == (if backward { Ordering::Greater } else { Ordering::Less }) {
                first = i;
            }
        }
        first
    }

    fn advance(&mut self, at: usize) -> Result<()> {
        self.cursors[at].advance()?;
        match self.cursors[at].key() {
            Some(key) => self.prefixes[at] = key_prefix(key),
            None => {
                self.cursors.swap_remove(at);
                self.prefixes.swap_remove(at);
            }
        }
        Ok(())
    }
}

impl std::fmt::Debug for RowRange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RowRange").field("backward", &self.backward).finish_non_exhaustive()
    }
}

impl TableSnapshot {
    /// The rows whose keys lie between two bounds, in key order. A bound is the first
    /// columns of a key; it stands for all keys that begin with them. The bounds are in
    /// key order as well: where a column descends, the greater value comes first.
    pub fn range(&self, from: Bound<&[Value<'_>]>, to: Bound<&[Value<'_>]>) -> Result<RowRange> {
        let mut start = Vec::new();
        match from {
            Bound::Unbounded => {}
            Bound::Included(key) => self.prefix_bytes(key, &mut start)?,
            Bound::Excluded(key) => {
                self.prefix_bytes(key, &mut start)?;
                match after_prefix(start) {
                    Some(next) => start = next,
                    None => return Ok(RowRange::empty(self)),
                }
            }
        }
        let mut end = Vec::new();
        let end = match to {
            Bound::Unbounded => None,
            Bound::Included(key) => {
                self.prefix_bytes(key, &mut end)?;
                after_prefix(end)
            }
            Bound::Excluded(key) => {
                self.prefix_bytes(key, &mut end)?;
                Some(end)
            }
        };
        // Also when there is no bound: a table without a key has no ranges.
        self.prefix_bytes(&[], &mut Vec::new())?;
        let first = |bound: Bound<&[Value<'_>]>| match bound {
            Bound::Included(key) | Bound::Excluded(key) => Some(key.first()?.clone().into_owned()),
            Bound::Unbounded => None,
        };
        let range = KeyRange { start, end, first_column: [first(from), first(to)] };
        Ok(RowRange { table: self.clone(), range, backward: false, merge: None })
    }

    /// The rows whose keys begin with these columns, in key order.
    pub fn prefix(&self, key: &[Value<'_>]) -> Result<RowRange> {
        self.range(Bound::Included(key), Bound::Included(key))
    }
}

/// The first bytes after all that begin with `prefix`; `None` when there are none.
fn after_prefix(mut prefix: Vec<u8>) -> Option<Vec<u8>> {
    while let Some(last) = prefix.pop() {
        if last < u8::MAX {
            prefix.push(last + 1);
            return Some(prefix);
        }
    }
    None
}

impl RowRange {
    fn empty(table: &TableSnapshot) -> Self {
        let range = KeyRange::default();
        Self { table: table.clone(), range, backward: false, merge: Some(Merge::default()) }
    }

    /// The same rows from the last to the first. Call it before the first row.
    pub fn backward(mut self) -> Self {
        self.backward = true;
        self
    }

    /// The keys of the rows that are left, for a deletion of all of them. With the number
    /// of the snapshot as [`crate::WriteBatch::read_at`], the deletion fails when one of
    /// them has changed meanwhile.
    pub fn into_keys(self) -> Result<RowBuilder> {
        let mut keys = RowBuilder::new(self.table.def())?;
        for row in self {
            keys.push_key_bytes(row?.key())?;
        }
        Ok(keys)
    }

    fn step(&mut self) -> Result<Option<Row>> {
        let merge = match &mut self.merge {
            Some(merge) => merge,
            None => self.merge.insert(Merge::open(&self.table, &self.range, self.backward)?),
        };
        if merge.cursors.is_empty() {
            return Ok(None);
        }
        let at = merge.first(self.backward);
        let row = merge.cursors[at].row(&self.table)?;
        merge.advance(at)?;
        Ok(Some(row))
    }
}

impl Iterator for RowRange {
    type Item = Result<Row>;

    fn next(&mut self) -> Option<Self::Item> {
        let row = self.step();
        if row.is_err() {
            self.merge = Some(Merge::default());
        }
        row.transpose()
    }
}
