//! The rows of one part of a table, one by one in key order.

use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use roaring::RoaringBitmap;

use super::columns::ColumnsCursor;
use super::range::KeyRange;
use super::row_of_entry;
use crate::memtable::{KeyedMemtable, Memtable, OwnedEntry};
use crate::row::{Row, key_hash};
use crate::segment::{RowFile, RowPiece, SegmentHandle};
use crate::snapshot::TableSnapshot;
use crate::{Error, Result};

/// See the module's documentation. It stands on a visible row of its range, or at the
/// end.
pub(super) enum Cursor {
    Memtable(MemtableCursor),
    Rows(RowFileCursor),
    Columns(ColumnsCursor),
}

impl Cursor {
    /// One per part that may have rows in the range, on their first rows.
    pub(super) fn open(
        table: &TableSnapshot,
        range: &KeyRange,
        backward: bool,
    ) -> Result<Vec<Self>> {
        table.resolve()?;
        let seq = table.snapshot().seq();
        let mut cursors = Vec::new();
        for memtable in table.state().memtables() {
            if let Memtable::Keyed(memtable) = memtable
                && memtable.rows() > 0
            {
                let memtable = Arc::clone(memtable);
                cursors.push(Self::Memtable(MemtableCursor::open(memtable, range, seq, backward)));
            }
        }
        for segment in &table.state().segments {
            if segment.meta.min_seq > seq {
                continue;
            }
            cursors.push(match segment.rows()? {
                Some(rows) if rows.in_key_order() => {
                    Self::Rows(RowFileCursor::open(segment, rows, range, seq, backward)?)
                }
                _ => Self::Columns(ColumnsCursor::open(table, segment, range, backward)?),
            });
        }
        cursors.retain(|cursor| cursor.key().is_some());
        Ok(cursors)
    }

    /// The key it stands on.
    pub(super) fn key(&self) -> Option<&[u8]> {
        match self {
            Self::Memtable(cursor) => cursor.at.as_ref().map(|entry| entry.get().key()),
            Self::Rows(cursor) => cursor.at.as_ref().map(|(row, key_len)| &row[..*key_len]),
            Self::Columns(cursor) => cursor.key(),
        }
    }

    /// The row it stands on.
    pub(super) fn row(&self, table: &TableSnapshot) -> Result<Row> {
        match self {
            Self::Memtable(cursor) => {
                let entry = cursor.at.as_ref().ok_or_else(ended)?;
                Ok(row_of_entry(table.target(), &cursor.memtable, entry))
            }
            Self::Rows(cursor) => {
                let (bytes, key_len) = cursor.at.clone().ok_or_else(ended)?;
                let segment = &cursor.segment;
                let layout = segment.row_layout()?;
                let def = Arc::clone(table.def());
                Ok(Row::new(def, layout, segment.meta.version, bytes, key_len))
            }
            Self::Columns(cursor) => cursor.row()?.ok_or_else(ended),
        }
    }

    /// Goes to the next visible row.
    pub(super) fn advance(&mut self) -> Result<()> {
        match self {
            Self::Memtable(cursor) => cursor.advance(),
            Self::Rows(cursor) => cursor.advance()?,
            Self::Columns(cursor) => cursor.advance()?,
        }
        Ok(())
    }
}

fn ended() -> Error {
    Error::Invalid("the cursor is at its end".into())
}

pub(super) struct MemtableCursor {
    memtable: Arc<KeyedMemtable>,
    at: Option<OwnedEntry>,
    seq: u64,
    backward: bool,
    range: KeyRange,
}

impl MemtableCursor {
    fn open(memtable: Arc<KeyedMemtable>, range: &KeyRange, seq: u64, backward: bool) -> Self {
        let from = match (&range.end, backward) {
            (_, false) => Bound::Included(range.start.as_slice()),
            (Some(end), true) => Bound::Excluded(end.as_slice()),
            (None, true) => Bound::Unbounded,
        };
        let at = memtable.first(from, backward);
        let mut cursor = Self { memtable, at, seq, backward, range: range.clone() };
        cursor.settle();
        cursor
    }

    fn advance(&mut self) {
        let Some(at) = &mut self.at else { return };
        if !step(&self.memtable, at, self.backward) {
            self.at = None;
        }
        self.settle();
    }

    /// Goes on until the entry is visible, and to the end when it is out of the range.
    fn settle(&mut self) {
        while let Some(at) = &mut self.at {
            let entry = at.get();
            if !self.range.holds(entry.key()) {
                self.at = None;
                return;
            }
            if entry.visible_at(self.seq) {
                return;
            }
            // It came to some version of the key; of those that the snapshot knows, only
            // the newest may be visible.
            let hash = key_hash(entry.key());
            let newest = self.memtable.versions(entry.key(), hash, self.seq).next();
            if let Some(visible) = newest.filter(|version| version.visible_at(self.seq)) {
                self.at = Some(self.memtable.keep(visible));
                return;
            }
            if !step(&self.memtable, at, self.backward) {
                self.at = None;
            }
        }
    }
}

fn step(memtable: &KeyedMemtable, entry: &mut OwnedEntry, backward: bool) -> bool {
    if backward { memtable.before_key(entry) } else { memtable.after_key(entry) }
}

pub(super) struct RowFileCursor {
    segment: Arc<SegmentHandle>,
    ended: Option<Arc<RoaringBitmap>>,
    /// Some rows are newer than the snapshot.
    newer: bool,
    /// Ordinals that are left.
    left: std::ops::Range<u32>,
    /// The row it stands on, and its key's length.
    at: Option<(Bytes, usize)>,
    /// Rows around it.
    piece: Option<RowPiece>,
    seq: u64,
    backward: bool,
    range: KeyRange,
}

impl RowFileCursor {
    fn open(
        segment: &Arc<SegmentHandle>,
        rows: &RowFile,
        range: &KeyRange,
        seq: u64,
        backward: bool,
    ) -> Result<Self> {
        let (from, piece) = rows.seek(&range.start)?;
        let to = match &range.end {
            // The end is only looked for where it tells where to begin.
            Some(end) if backward => rows.lower_bound(end)?,
            _ => segment.meta.rows as u32,
        };
        let mut cursor = Self {
            segment: Arc::clone(segment),
            ended: segment.deletes.at(seq),
            newer: segment.meta.max_seq > seq,
            left: from..to,
            at: None,
            piece: (!backward).then_some(piece),
            seq,
            backward,
            range: range.clone(),
        };
        cursor.advance()?;
        Ok(cursor)
    }

    fn advance(&mut self) -> Result<()> {
        self.at = None;
        loop {
            let next = if self.backward { self.left.next_back() } else { self.left.next() };
            let Some(ordinal) = next else { return Ok(()) };
            if self.ended.as_ref().is_some_and(|ended| ended.contains(ordinal)) {
                continue;
            }
            if self.newer && self.segment.seqs(&[u64::from(ordinal)])?[0] > self.seq {
                continue;
            }
            let segment = Arc::clone(&self.segment);
            let rows = segment.rows()?.ok_or_else(ended)?;
            let (row, key_len) = self.row(rows, ordinal)?;
            if self.range.holds(&row[..key_len]) {
                self.at = Some((row, key_len));
            } else {
                self.left = 0..0;
            }
            return Ok(());
        }
    }

    /// A row, from the piece that holds it. Backward each row is read alone.
    fn row(&mut self, rows: &RowFile, ordinal: u32) -> Result<(Bytes, usize)> {
        if self.backward {
            return rows.row(ordinal);
        }
        if let Some(piece) = &self.piece
            && let Some(row) = rows.row_of(piece, ordinal)?
        {
            return Ok(row);
        }
        let piece = self.piece.insert(rows.piece(ordinal)?);
        rows.row_of(piece, ordinal)?.ok_or_else(ended)
    }
}
