//! Whole rows of a segment, one after another: a point read is one look.
//!
//! ```text
//! rows u64 | rows are in key order u64 (0 or 1)
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

use crate::row::RowBytes;
use crate::{Error, Result};

const HEADER_LEN: u64 = 16;
const KEY_LEN_LEN: usize = 2;

/// An open row file.
#[derive(Debug)]
pub(crate) struct RowFile {
    file: envelope::Reader,
    rows: u64,
    in_key_order: bool,
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
        Ok(Self { file, rows, in_key_order })
    }

    /// Whether keys ascend with ordinals.
    pub(crate) fn in_key_order(&self) -> bool {
        self.in_key_order
    }

    /// A row: its key followed by its packed columns, and the key's length.
    pub(crate) fn row(&self, ordinal: u32) -> Result<(Bytes, usize)> {
        let row = self.stored(ordinal)?;
        let Some(key_len) = row.first_chunk().map(|len| usize::from(u16::from_le_bytes(*len)))
        else {
            return Err(damaged(&self.file));
        };
        if KEY_LEN_LEN + key_len > row.len() {
            return Err(damaged(&self.file));
        }
        Ok((row.slice(KEY_LEN_LEN..), key_len))
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
        let (mut from, mut to) = (0, self.rows as u32);
        while from < to {
            let middle = from + (to - from) / 2;
            let (row, key_len) = self.row(middle)?;
            if row[..key_len] < *key {
                from = middle + 1;
            } else {
                to = middle;
            }
        }
        Ok(from)
    }

    /// Checks every byte.
    pub(crate) fn verify(&self) -> Result<u64> {
        Ok(self.file.verify_all()?)
    }

    fn stored(&self, ordinal: u32) -> Result<Bytes> {
        if u64::from(ordinal) >= self.rows {
            return Err(damaged(&self.file));
        }
        let offsets = self.file.read(HEADER_LEN + u64::from(ordinal) * 4, 8)?;
        let at = |i: usize| {
            u32::from_le_bytes([offsets[i], offsets[i + 1], offsets[i + 2], offsets[i + 3]])
        };
        let (from, to) = (at(0), at(4));
        let len = to.checked_sub(from).ok_or_else(|| damaged(&self.file))?;
        let blob = HEADER_LEN + (self.rows + 1) * 4;
        Ok(self.file.read(blob + u64::from(from), len as usize)?)
    }
}

fn damaged(file: &envelope::Reader) -> Error {
    Error::Corrupt {
        file: file.name().to_owned(),
        what: "the row file does not fit its segment".into(),
    }
}
