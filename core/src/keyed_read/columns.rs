//! The rows of a segment that keeps them as columns alone, in key order, a piece at a time.
//!
//! A segment that is sorted by key is searched for the bounds of the range: zone maps
//! first, then a few keys at a time. In any other, for which the table has a clustering
//! of its own or floats in its key, the keys of the range are read first, and the rows
//! are read by their order.

use std::ops::Range;
use std::sync::Arc;

use roaring::RoaringBitmap;
use sheaf_formats::segment::{ScanRequest, collect};

use super::range::KeyRange;
use crate::Result;
use crate::catalog::TableDef;
use crate::row::{Row, RowBytes};
use crate::segment::{SegmentHandle, take};
use crate::snapshot::TableSnapshot;

/// Rows of the first piece, and of later ones: most ranges are short.
const FIRST_PIECE_ROWS: u32 = 64;
const PIECE_ROWS: u32 = 4096;

/// Pieces of more bytes get smaller.
const PIECE_BYTES: usize = 4 << 20;

/// Keys that a search reads at a time.
const PROBES: usize = 16;

/// Rows whose keys are read at a time, where they are in no order.
const STRETCH_ROWS: u64 = 64 << 10;

/// Stands on a visible row of its range, or at the end.
pub(super) struct ColumnsCursor {
    table: TableSnapshot,
    segment: Arc<SegmentHandle>,
    ended: Option<Arc<RoaringBitmap>>,
    /// Some rows are newer than the snapshot.
    newer: bool,
    backward: bool,
    range: KeyRange,
    /// Ordinals of rows in key order; `None` where they are so by themselves.
    order: Option<Vec<u32>>,
    /// Positions in that order that are left to read.
    left: Range<u32>,
    piece_rows: u32,
    keys: RowBytes,
    packed: RowBytes,
    /// Rows of the piece that are left, the next one last.
    piece: Vec<usize>,
}

impl ColumnsCursor {
    pub(super) fn open(
        table: &TableSnapshot,
        segment: &Arc<SegmentHandle>,
        range: &KeyRange,
        backward: bool,
    ) -> Result<Self> {
        let zones = zones(table.def(), segment, range)?;
        let (order, left) = if table.def().in_key_order() {
            (None, bounds(table.def(), segment, range, &zones, backward)?)
        } else {
            let order = ordinals_by_key(table.def(), segment, range, zones)?;
            let left = 0..order.len() as u32;
            (Some(order), left)
        };
        let seq = table.snapshot().seq();
        let mut cursor = Self {
            table: table.clone(),
            segment: Arc::clone(segment),
            ended: segment.deletes.at(seq),
            newer: segment.meta.max_seq > seq,
            backward,
            range: range.clone(),
            order,
            left,
            piece_rows: FIRST_PIECE_ROWS,
            keys: RowBytes::default(),
            packed: RowBytes::default(),
            piece: Vec::new(),
        };
        cursor.settle()?;
        Ok(cursor)
    }

    pub(super) fn key(&self) -> Option<&[u8]> {
        self.piece.last().map(|at| self.keys.slice(*at))
    }

    pub(super) fn row(&self) -> Result<Option<Row>> {
        let Some(at) = self.piece.last() else { return Ok(None) };
        Row::of_parts(self.table.def(), self.keys.slice(*at), self.packed.slice(*at)).map(Some)
    }

    pub(super) fn advance(&mut self) -> Result<()> {
        self.piece.pop();
        self.settle()
    }

    /// Reads pieces until one has a row.
    fn settle(&mut self) -> Result<()> {
        while self.piece.is_empty() && !self.left.is_empty() {
            let ordinals = self.next_ordinals()?;
            if !ordinals.is_empty() {
                self.read(&ordinals)?;
            }
        }
        Ok(())
    }

    /// Ordinals of the visible rows of the next piece.
    fn next_ordinals(&mut self) -> Result<Vec<u64>> {
        let count = self.piece_rows.min(self.left.end - self.left.start);
        let piece = if self.backward {
            self.left.end - count..self.left.end
        } else {
            self.left.start..self.left.start + count
        };
        match self.backward {
            true => self.left.end = piece.start,
            false => self.left.start = piece.end,
        }
        let mut ordinals: Vec<u64> = piece
            .map(|at| self.order.as_ref().map_or(at, |order| order[at as usize]))
            .filter(|ordinal| self.ended.as_ref().is_none_or(|ended| !ended.contains(*ordinal)))
            .map(u64::from)
            .collect();
        ordinals.sort_unstable();
        if self.newer && !ordinals.is_empty() {
            let seq = self.table.snapshot().seq();
            let mut written = self.segment.seqs(&ordinals)?.into_iter();
            ordinals.retain(|_| written.next().is_some_and(|written| written <= seq));
        }
        Ok(ordinals)
    }

    fn read(&mut self, ordinals: &[u64]) -> Result<()> {
        let target = self.table.target();
        let all: Vec<usize> = (0..target.schema.fields().len()).collect();
        let rows = take(&self.segment, target, ordinals, &all)?;
        let layout = self.table.def().row_layout()?;
        (self.keys, self.packed) = layout.encode(&rows)?;
        let keys = &self.keys;
        let mut piece: Vec<usize> =
            (0..keys.len()).filter(|i| self.range.holds(keys.slice(*i))).collect();
        if piece.len() < keys.len() {
            // The range ends in this piece: its rows are read in key order.
            self.left = 0..0;
        }
        piece.sort_unstable_by(|a, b| keys.slice(*a).cmp(keys.slice(*b)));
        if !self.backward {
            piece.reverse();
        }
        self.piece = piece;
        let bytes = self.keys.bytes_len() + self.packed.bytes_len();
        if bytes > PIECE_BYTES {
            self.piece_rows = (self.piece_rows / 2).max(1);
        } else if bytes < PIECE_BYTES / 4 {
            self.piece_rows = (self.piece_rows * 4).min(PIECE_ROWS);
        }
        Ok(())
    }
}

/// Rows that may be in the range by the zone maps of the segment, in order.
fn zones(def: &TableDef, segment: &SegmentHandle, range: &KeyRange) -> Result<Vec<Range<u64>>> {
    let Some(predicate) = range.predicate(def)? else {
        return Ok(std::iter::once(0..segment.meta.rows).collect());
    };
    let first = stored_key_columns(def, segment)[0];
    let predicate = predicate.map_columns(&|_| first);
    Ok(predicate.matching_rows(segment.reader()?.statistics()))
}

/// Where the columns of the key are in the file, in key order.
fn stored_key_columns(def: &TableDef, segment: &SegmentHandle) -> Vec<usize> {
    let stored = |id| def.columns_at(segment.meta.version).position(|c| c.id == id);
    def.key_columns().filter_map(|(id, _)| stored(id)).collect()
}

/// The ordinals of the range in a segment in key order. Where the end does not tell where
/// to begin it is not looked for.
fn bounds(
    def: &TableDef,
    segment: &SegmentHandle,
    range: &KeyRange,
    zones: &[Range<u64>],
    backward: bool,
) -> Result<Range<u32>> {
    let (Some(first), Some(last)) = (zones.first(), zones.last()) else { return Ok(0..0) };
    let all = first.start as u32..last.end as u32;
    let from = match range.start.is_empty() {
        true => all.start,
        false => lower_bound(def, segment, &range.start, all.clone())?,
    };
    let to = match &range.end {
        Some(end) if backward => lower_bound(def, segment, end, from..all.end)?,
        _ => all.end,
    };
    Ok(from..to)
}

/// The first of `rows` whose key is not before `key`, or their end.
fn lower_bound(
    def: &TableDef,
    segment: &SegmentHandle,
    key: &[u8],
    mut rows: Range<u32>,
) -> Result<u32> {
    let codec = def.key_codec()?;
    let columns = stored_key_columns(def, segment);
    while !rows.is_empty() {
        let step = rows.len().div_ceil(PROBES);
        let probes: Vec<u64> = rows.clone().step_by(step).map(u64::from).collect();
        let keys = codec.of_columns(segment.reader()?.take(&probes, &columns)?.columns())?;
        let before = keys.iter().take_while(|probe| *probe < key).count();
        rows = match before {
            0 => rows.start..rows.start,
            _ => {
                let to = probes.get(before).map_or(rows.end, |probe| *probe as u32);
                probes[before - 1] as u32 + 1..to
            }
        };
    }
    Ok(rows.start)
}

/// Ordinals of the rows of the range, by key, in a segment in another order.
fn ordinals_by_key(
    def: &TableDef,
    segment: &SegmentHandle,
    range: &KeyRange,
    zones: Vec<Range<u64>>,
) -> Result<Vec<u32>> {
    let codec = def.key_codec()?;
    let columns = stored_key_columns(def, segment);
    let mut found: Vec<(Box<[u8]>, u32)> = Vec::new();
    for zone in zones {
        for start in zone.clone().step_by(STRETCH_ROWS as usize) {
            let request = ScanRequest {
                projection: columns.clone(),
                rows: Some(start..zone.end.min(start + STRETCH_ROWS)),
                ordered: true,
                ..ScanRequest::default()
            };
            let mut ordinal = start as u32;
            for batch in collect(segment.reader()?.scan(request)?)? {
                for key in codec.of_columns(batch.columns())?.iter() {
                    if range.holds(key) {
                        found.push((key.into(), ordinal));
                    }
                    ordinal += 1;
                }
            }
        }
    }
    found.sort_unstable();
    Ok(found.into_iter().map(|(_, ordinal)| ordinal).collect())
}
