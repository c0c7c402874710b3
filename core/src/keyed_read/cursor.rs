//! The rows of one part of a table, one by one in key order.

use std::ops::Bound;
use std::sync::Arc;

use roaring::RoaringBitmap;

use super::columns::ColumnsCursor;
use super::range::KeyRange;
use super::row_of_entry;
use crate::memtable::{KeyedMemtable, Memtable, OwnedEntry};
use crate::row::{Row, key_hash};
use crate::segment::{PIECE_ROWS, RowFile, RowPiece, RowPlace, SegmentHandle};
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
            Self::Rows(cursor) => cursor.at.map(|at| cursor.piece.key(at)),
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
                let (bytes, key_len) = cursor.piece.row(cursor.at.ok_or_else(ended)?);
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
    ended: Ended,
    /// Some rows are newer than the snapshot.
    newer: bool,
    /// Ordinals that are left.
    left: std::ops::Range<u32>,
    /// Rows around it.
    piece: RowPiece,
    /// Where the row is that it stands on.
    at: Option<RowPlace>,
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
            ended: Ended { rows: segment.deletes.at(seq), first: 0, near: None },
            newer: segment.meta.max_seq > seq,
            left: from..to,
            piece,
            at: None,
            seq,
            backward,
            range: range.clone(),
        };
        cursor.advance()?;
        Ok(cursor)
    }

    fn advance(&mut self) -> Result<()> {
        self.at = None;
        let rows = self.segment.rows()?.ok_or_else(ended)?;
        loop {
            let next = if self.backward { self.left.next_back() } else { self.left.next() };
            let Some(ordinal) = next else { return Ok(()) };
            if self.ended.has(ordinal, self.backward) {
                continue;
            }
            if self.newer && self.segment.seqs(&[u64::from(ordinal)])?[0] > self.seq {
                continue;
            }
            if !self.piece.has(ordinal) {
                self.piece = rows.piece(around(ordinal, self.backward))?;
            }
            let place = rows.place(&self.piece, ordinal)?.ok_or_else(ended)?;
            // Backward it began before the end, and the first key is known.
            let end = self.range.end.as_deref().filter(|_| !self.backward);
            if end.is_none_or(|end| self.piece.key(place) < end) {
                self.at = Some(place);
            } else {
                self.left = 0..0;
            }
            return Ok(());
        }
    }
}

/// The first of the rows that are looked at with one.
fn around(ordinal: u32, backward: bool) -> u32 {
    if backward { ordinal.saturating_sub(PIECE_ROWS - 1) } else { ordinal }
}

/// Rows of a segment that are not visible, looked up for many rows at a time.
struct Ended {
    rows: Option<Arc<RoaringBitmap>>,
    /// A bit for each of the [`PIECE_ROWS`] rows from `first` on.
    near: Option<u64>,
    first: u32,
}

impl Ended {
    fn has(&mut self, ordinal: u32, backward: bool) -> bool {
        let Some(rows) = &self.rows else { return false };
        let is_near = (self.first..self.first + PIECE_ROWS).contains(&ordinal);
        let near = match self.near.filter(|_| is_near) {
            Some(near) => near,
            None => {
                self.first = around(ordinal, backward);
                let ended = rows.range(self.first..self.first.saturating_add(PIECE_ROWS));
                *self.near.insert(ended.fold(0, |near, row| near | 1 << (row - self.first)))
            }
        };
        near >> (ordinal - self.first) & 1 == 1
    }
}
