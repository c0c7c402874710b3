//! Whole rows of a segment, one after another: a point read is one look.
//!
//! ```text
//! rows u64 | rows are in key order u64 (0 or 1)
//! fences   u64 x rows / 64       first bytes of every 64th key, if in key order
//! offsets  u32 x (rows + 1)      into what follows
//! rows     key length u16, key, packed columns; by ordinal
//! ```
//!
//! Beside the columns, for tables that are read by key: to put a row together from
//! columns costs a look into each. In key order it also serves ranges of keys.

use std::io::{self, Write};
use std::sync::Arc;

use bytes::Bytes;
use sheaf_formats::envelope::{self, FileKind};
use sheaf_formats::io::ReadAt;

use crate::row::{RowBytes, key_prefix};
use crate::{Error, Result};

const HEADER_LEN: u64 = 16;
const KEY_LEN_LEN: usize = 2;

/// Rows from one fence to the next.
const FENCE_ROWS: usize = 64;

/// Rows of a piece at most.
pub(crate) const PIECE_ROWS: u32 = 64;

/// An open row file.
#[derive(Debug)]
pub(crate) struct RowFile {
    file: envelope::Reader,
    rows: u64,
    in_key_order: bool,
    /// Big-endian first bytes of every 64th key.
    fences: Bytes,
}

impl RowFile {
    /// Writes rows by ordinal.
    pub(crate) fn write<W: Write>(
        keys: &RowBytes,
        packed: &RowBytes,
        in_key_order: bool,
        out: &mut W,
    ) -> io::Result<()> {
        out.write_all(&(keys.len() as u64).to_le_bytes())?;
        out.write_all(&u64::from(in_key_order).to_le_bytes())?;
        if in_key_order {
            for key in keys.iter().step_by(FENCE_ROWS) {
                out.write_all(&key_prefix(key).to_be_bytes())?;
            }
        }
        let mut end = 0_usize;
        out.write_all(&0_u32.to_le_bytes())?;
        for (key, packed) in keys.iter().zip(packed.iter()) {
            end += KEY_LEN_LEN + key.len() + packed.len();
            let end = u32::try_from(end)
                .map_err(|_| io::Error::other("rows of one segment exceed 4 GiB"))?;
            out.write_all(&end.to_le_bytes())?;
        }
        for (key, packed) in keys.iter().zip(packed.iter()) {
            out.write_all(&(key.len() as u16).to_le_bytes())?;
            out.write_all(key)?;
            out.write_all(packed)?;
        }
        Ok(())
    }

    /// Opens the row file of the segment `id` with `rows` rows.
    pub(crate) fn open(file: Arc<dyn ReadAt>, id: u128, rows: u64) -> Result<Self> {
        let file = envelope::Reader::open(file, FileKind::RowSidecar, Some(id))?;
        let header = file.read(0, HEADER_LEN as usize)?;
        if header[..8] != rows.to_le_bytes() {
            return Err(damaged(&file));
        }
        let in_key_order = header[8] == 1;
        let fences = if in_key_order { (rows as usize).div_ceil(FENCE_ROWS) * 8 } else { 0 };
        let fences = file.read(HEADER_LEN, fences)?;
        Ok(Self { file, rows, in_key_order, fences })
    }

    /// Whether keys ascend with ordinals.
    pub(crate) fn in_key_order(&self) -> bool {
        self.in_key_order
    }

    /// A row: its key followed by its packed columns, and the key's length.
    pub(crate) fn row(&self, ordinal: u32) -> Result<(Bytes, usize)> {
        split(self.stored(ordinal)?).ok_or_else(|| damaged(&self.file))
    }

    /// Where a row of a piece of this file is; `None` when it is in another.
    pub(crate) fn place(&self, piece: &RowPiece, ordinal: u32) -> Result<Option<Place>> {
        match piece.has(ordinal) {
            true => piece.place(ordinal).map(Some).ok_or_else(|| damaged(&self.file)),
            false => Ok(None),
        }
    }

    /// The key of a row.
    pub(crate) fn key(&self, ordinal: u32) -> Result<Bytes> {
        let (row, key_len) = self.row(ordinal)?;
        Ok(row.slice(..key_len))
    }

    /// Whether a row has this key.
    pub(crate) fn key_is(&self, ordinal: u32, key: &[u8]) -> Result<bool> {
        let (row, key_len) = self.row(ordinal)?;
        Ok(row[..key_len] == *key)
    }

    /// The first ordinal whose key is not before `key`, in a file in key order.
    pub(crate) fn lower_bound(&self, key: &[u8]) -> Result<u32> {
        Ok(self.seek(key)?.0)
    }

    /// The same, and the rows around it, which were read to find it.
    pub(crate) fn seek(&self, key: &[u8]) -> Result<(u32, RowPiece)> {
        let prefix = key_prefix(key);
        let fences: &[[u8; 8]] = self.fences.as_chunks().0;
        let fence = |i: usize| fences.get(i).map(|fence| u64::from_be_bytes(*fence));
        // Rows up to the last fence that is smaller come before the key, and the row of
        // the first that is larger comes after it.
        let smaller = fences.partition_point(|fence| u64::from_be_bytes(*fence) < prefix);
        let before = smaller.saturating_sub(1);
        let after = match fence(smaller) == Some(prefix) {
            true => fences.partition_point(|fence| u64::from_be_bytes(*fence) <= prefix),
            false => smaller,
        };
        let (mut from, mut to) =
            ((before * FENCE_ROWS) as u32, (after * FENCE_ROWS).min(self.rows as usize) as u32);
        // Keys are mostly spread evenly between two fences.
        let mut guess = match (fence(before), fence(after)) {
            (Some(low), Some(high)) if (low..high).contains(&prefix) => {
                let share = (prefix - low) as f64 / (high - low) as f64;
                from + (share * f64::from(to - from)) as u32
            }
            _ => from + (to - from) / 2,
        };
        // Keys whose first bytes are alike have many fences in a row.
        while to - from > FENCE_ROWS as u32 {
            let middle = from + (to - from) / 2;
            let (row, key_len) = self.row(middle)?;
            if row[..key_len] < *key {
                from = middle + 1;
            } else {
                to = middle;
            }
            guess = from + (to - from) / 2;
        }
        // What is left is in one piece. Each look at a row may wait for memory, so the first are
        // near the guess.
        let piece = self.piece(from)?;
        let (mut step, mut was_before, mut was_after) = (1, false, false);
        while from < to {
            guess = guess.clamp(from, to - 1);
            let place = piece.place(guess).ok_or_else(|| damaged(&self.file))?;
            if piece.key(place) < key {
                (from, was_before) = (guess + 1, true);
            } else {
                (to, was_after) = (guess, true);
            }
            guess = match (was_before, was_after) {
                (true, false) => from + step,
                (false, true) => to.saturating_sub(1 + step),
                _ => from + (to - from) / 2,
            };
            step *= 2;
        }
        Ok((from, piece))
    }

    /// The rows from `first` on, at most [`PIECE_ROWS`], as one piece: cheaper than one by one.
    pub(crate) fn piece(&self, first: u32) -> Result<RowPiece> {
        let count = (self.rows.saturating_sub(first.into())).min(PIECE_ROWS.into()) as usize;
        let offsets = self.file.read(self.offsets() + u64::from(first) * 4, (count + 1) * 4)?;
        let at = |i: usize| offset_at(&offsets, i);
        let len = at(count).checked_sub(at(0)).ok_or_else(|| damaged(&self.file))?;
        let rows = self.file.read(self.blob() + u64::from(at(0)), len as usize)?;
        Ok(RowPiece { first, offsets, rows })
    }

    fn offsets(&self) -> u64 {
        HEADER_LEN + self.fences.len() as u64
    }

    fn blob(&self) -> u64 {
        self.offsets() + (self.rows + 1) * 4
    }

    /// Checks every byte.
    pub(crate) fn verify(&self) -> Result<u64> {
        Ok(self.file.verify_all()?)
    }

    fn stored(&self, ordinal: u32) -> Result<Bytes> {
        if u64::from(ordinal) >= self.rows {
            return Err(damaged(&self.file));
        }
        let offsets = self.file.read(self.offsets() + u64::from(ordinal) * 4, 8)?;
        let (from, to) = (offset_at(&offsets, 0), offset_at(&offsets, 1));
        let len = to.checked_sub(from).ok_or_else(|| damaged(&self.file))?;
        Ok(self.file.read(self.blob() + u64::from(from), len as usize)?)
    }
}

/// Rows that lie one after another.
#[derive(Debug)]
pub(crate) struct RowPiece {
    first: u32,
    offsets: Bytes,
    rows: Bytes,
}

/// A row in a piece: where its key begins and ends, and where it ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    key: usize,
    packed: usize,
    end: usize,
}

impl RowPiece {
    /// Whether a row is in it.
    pub(crate) fn has(&self, ordinal: u32) -> bool {
        let behind = ordinal.checked_sub(self.first);
        behind.is_some_and(|i| (i as usize + 2) * 4 <= self.offsets.len())
    }

    /// The key of a row.
    pub(crate) fn key(&self, place: Place) -> &[u8] {
        &self.rows[place.key..place.packed]
    }

    /// A row: its key followed by its packed columns, and the key's length.
    pub(crate) fn row(&self, place: Place) -> (Bytes, usize) {
        (self.rows.slice(place.key..place.end), place.packed - place.key)
    }

    /// The place of a row that it has; `None` when its bytes are damaged.
    fn place(&self, ordinal: u32) -> Option<Place> {
        let (start, i) = (offset_at(&self.offsets, 0), (ordinal - self.first) as usize);
        let at = |i: usize| Some(offset_at(&self.offsets, i).checked_sub(start)? as usize);
        let (from, end) = (at(i)?, at(i + 1)?);
        let row = self.rows.get(from..end)?;
        let key = from + KEY_LEN_LEN;
        let packed = key + usize::from(u16::from_le_bytes(*row.first_chunk()?));
        (packed <= end).then_some(Place { key, packed, end })
    }
}

/// A stored row without the length of its key.
fn split(row: Bytes) -> Option<(Bytes, usize)> {
    let key_len = usize::from(u16::from_le_bytes(*row.first_chunk()?));
    (KEY_LEN_LEN + key_len <= row.len()).then(|| (row.slice(KEY_LEN_LEN..), key_len))
}

fn offset_at(offsets: &[u8], i: usize) -> u32 {
    let at = i * 4;
    u32::from_le_bytes([offsets[at], offsets[at + 1], offsets[at + 2], offsets[at + 3]])
}

fn damaged(file: &envelope::Reader) -> Error {
    Error::Corrupt {
        file: file.name().to_owned(),
        what: "the row file does not fit its segment".into(),
    }
}

#[cfg(test)]
mod tests {
    use sheaf_formats::envelope::{FileIdentity, Writer};
    use sheaf_formats::io::MemoryFile;

    use super::*;

    fn rows_of(keys: &[String]) -> RowBytes {
        let mut ends = vec![0];
        let mut bytes = Vec::new();
        for key in keys {
            bytes.extend_from_slice(key.as_bytes());
            ends.push(bytes.len() as u32);
        }
        RowBytes::from_parts(bytes.into(), ends)
    }

    fn build(keys: &[String], in_key_order: bool) -> RowFile {
        let identity = FileIdentity { file_id: 7, ..FileIdentity::default() };
        let mut writer = Writer::new(Vec::new(), FileKind::RowSidecar, identity).unwrap();
        let rows = rows_of(keys);
        RowFile::write(&rows, &rows, in_key_order, &mut writer).unwrap();
        let bytes = writer.finish(&[]).unwrap();
        RowFile::open(Arc::new(MemoryFile::new("r", bytes)), 7, keys.len() as u64).unwrap()
    }

    #[test]
    fn rows_are_found_by_ordinal_alone_and_in_pieces() {
        let keys: Vec<String> = (0..200).map(|i| "x".repeat(200 - i)).collect();
        let file = build(&keys, false);
        for (ordinal, key) in keys.iter().enumerate() {
            let row = file.row(ordinal as u32).unwrap();
            assert_eq!((row.0.as_ref(), row.1), ([key.as_bytes(); 2].concat().as_ref(), key.len()));
            let piece = file.piece(ordinal.saturating_sub(10) as u32).unwrap();
            let place = file.place(&piece, ordinal as u32).unwrap().unwrap();
            assert_eq!((piece.key(place), piece.row(place)), (key.as_bytes(), row));
        }
        let piece = file.piece(100).unwrap();
        assert!(file.place(&piece, 99).unwrap().is_none());
        assert!(file.place(&piece, 164).unwrap().is_none());
        assert!(file.row(200).is_err());
    }

    #[test]
    fn bounds_are_found_between_fences_that_are_alike() {
        for len in [0, 1, 63, 64, 65, 1000] {
            // Half of the keys share their first eight bytes.
            let mut keys: Vec<String> = (0..len)
                .map(|i| if i % 2 == 0 { format!("together{i:04}") } else { format!("{i:04}") })
                .collect();
            keys.sort();
            let file = build(&keys, true);
            let sought = ["", "0500", "together", "together0500", "together0501", "u", "1"];
            for key in sought.into_iter().chain(keys.iter().map(String::as_str)) {
                let wanted = keys.partition_point(|other| other.as_str() < key);
                assert_eq!(file.lower_bound(key.as_bytes()).unwrap() as usize, wanted, "{key:?}");
            }
        }
    }
}
