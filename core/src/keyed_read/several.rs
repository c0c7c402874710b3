//! The rows of several keys at once.
//!
//! Keys are looked up in the order of their hashes, which is that of key indexes, and the
//! rows of each segment are read by ordinal: every block is read once.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{row_of_entry, row_of_segment};
use crate::Result;
use crate::lookup::{Place, find};
use crate::row::{Row, RowBuilder, Value, key_hash};
use crate::segment::{SegmentHandle, take};
use crate::snapshot::TableSnapshot;

/// Rows that are taken out of columns at a time.
const PIECE_ROWS: usize = 4096;

/// Rows of one segment that are wanted: ordinals, and the places of their keys.
struct Wanted {
    segment: Arc<SegmentHandle>,
    rows: Vec<(u32, usize)>,
}

impl TableSnapshot {
    /// The rows with these keys, each in the place of its key.
    pub fn rows<'a>(
        &self,
        keys: impl IntoIterator<Item = &'a [Value<'a>]>,
    ) -> Result<Vec<Option<Row>>> {
        let mut builder = RowBuilder::new(self.def())?;
        for key in keys {
            builder.push_key(key)?;
        }
        let (_, keys, _) = builder.finish();
        let mut by_hash: Vec<(u64, usize)> = keys.iter().map(key_hash).zip(0..).collect();
        by_hash.sort_unstable();
        let mut rows = vec![None; keys.len()];
        let mut wanted: BTreeMap<u128, Wanted> = BTreeMap::new();
        for (hash, i) in by_hash {
            match find(self.state(), keys.slice(i), hash, self.snapshot().seq(), None)?.place {
                None => {}
                Some(Place::Memtable { entry, memtable }) => {
                    rows[i] = Some(row_of_entry(self.target(), &memtable, &entry));
                }
                Some(Place::Segment { segment, ordinal }) => {
                    let none = || Wanted { segment: Arc::clone(&segment), rows: Vec::new() };
                    let of_segment = wanted.entry(segment.meta.id).or_insert_with(none);
                    of_segment.rows.push((ordinal, i));
                }
            }
        }
        for mut of_segment in wanted.into_values() {
            of_segment.rows.sort_unstable();
            self.read(&of_segment, &mut rows)?;
        }
        Ok(rows)
    }

    fn read(&self, wanted: &Wanted, rows: &mut [Option<Row>]) -> Result<()> {
        let segment = &wanted.segment;
        if segment.rows()?.is_some() {
            for (ordinal, i) in &wanted.rows {
                rows[*i] = Some(row_of_segment(self.target(), segment, *ordinal)?);
            }
            return Ok(());
        }
        let all: Vec<usize> = (0..self.def().arrow_schema().fields().len()).collect();
        let layout = self.def().row_layout()?;
        for piece in wanted.rows.chunks(PIECE_ROWS) {
            let mut ordinals: Vec<u64> = piece.iter().map(|(at, _)| u64::from(*at)).collect();
            ordinals.dedup();
            let (keys, packed) = layout.encode(&take(segment, self.target(), &ordinals, &all)?)?;
            for (ordinal, i) in piece {
                let at = ordinals.partition_point(|other| *other < u64::from(*ordinal));
                rows[*i] = Some(Row::of_parts(self.def(), keys.slice(at), packed.slice(at))?);
            }
        }
        Ok(())
    }
}
