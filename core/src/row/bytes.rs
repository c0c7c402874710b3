//! Many encoded rows or keys in one allocation.

use arrow::row::Rows;
use bytes::{Buf, Bytes};

use crate::{Error, Result};

/// Many encoded rows in one shared allocation.
#[derive(Clone, Debug, Default)]
pub struct RowBytes {
    bytes: Bytes,
    /// `offsets[i]..offsets[i + 1]` is row i.
    offsets: Vec<u32>,
}

impl RowBytes {
    pub(crate) fn from_rows(rows: &Rows) -> Result<Self> {
        let total: usize = rows.lengths().sum();
        if u32::try_from(total).is_err() {
            return Err(too_large());
        }
        let mut bytes = Vec::with_capacity(total);
        let mut offsets = Vec::with_capacity(rows.num_rows() + 1);
        offsets.push(0);
        for row in rows {
            bytes.extend_from_slice(row.data());
            offsets.push(bytes.len() as u32);
        }
        Ok(Self { bytes: bytes.into(), offsets })
    }

    /// Rows of these lengths; `fill` gets their bytes, zeroed, and their offsets.
    pub(crate) fn build(lens: &[usize], fill: impl FnOnce(&mut [u8], &[u32])) -> Result<Self> {
        let mut end = 0_usize;
        let mut offsets = Vec::with_capacity(lens.len() + 1);
        offsets.push(0);
        for len in lens {
            end += len;
            offsets.push(u32::try_from(end).map_err(|_| too_large())?);
        }
        let mut bytes = vec![0; end];
        fill(&mut bytes, &offsets);
        Ok(Self { bytes: bytes.into(), offsets })
    }

    /// Rows that lie one after another: row i ends where `offsets[i + 1]` says.
    pub(crate) fn from_parts(bytes: Bytes, offsets: Vec<u32>) -> Self {
        Self { bytes, offsets }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.offsets.len().saturating_sub(1)
    }

    /// Bytes of all rows.
    pub fn bytes_len(&self) -> usize {
        self.bytes.len()
    }

    /// The bytes of all rows, one after another.
    pub(crate) fn all(&self) -> &[u8] {
        &self.bytes
    }

    /// Row `i`, without its bytes being copied.
    pub fn get(&self, i: usize) -> Bytes {
        self.bytes.slice(self.offsets[i] as usize..self.offsets[i + 1] as usize)
    }

    /// Row `i`.
    pub(crate) fn slice(&self, i: usize) -> &[u8] {
        &self.bytes[self.offsets[i] as usize..self.offsets[i + 1] as usize]
    }

    /// All rows in order.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.offsets.windows(2).map(|w| &self.bytes[w[0] as usize..w[1] as usize])
    }

    /// The rows at `positions`, which are ascending, in a new allocation.
    pub(crate) fn select(&self, positions: &[usize]) -> Self {
        let mut bytes = Vec::new();
        let mut offsets = vec![0];
        for i in positions {
            bytes.extend_from_slice(
                &self.bytes[self.offsets[*i] as usize..self.offsets[i + 1] as usize],
            );
            offsets.push(bytes.len() as u32);
        }
        Self { bytes: bytes.into(), offsets }
    }

    /// Appends the wire form: count, offsets, bytes.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&(self.len() as u32).to_le_bytes());
        for end in self.offsets.iter().skip(1) {
            out.extend_from_slice(&end.to_le_bytes());
        }
        out.extend_from_slice(&self.bytes);
    }

    /// Reads the wire form, which must fill `bytes`; `None` when it does not fit.
    pub(crate) fn decode(mut bytes: Bytes) -> Option<Self> {
        let rows = Self::split_off(&mut bytes)?;
        bytes.is_empty().then_some(rows)
    }

    /// Takes the wire form off the front of `bytes`.
    pub(crate) fn split_off(bytes: &mut Bytes) -> Option<Self> {
        let count = u32::from_le_bytes(bytes.get(..4)?.try_into().ok()?) as usize;
        let start = count.checked_mul(4)?.checked_add(4)?;
        let mut offsets = vec![0];
        for end in bytes.get(4..start)?.chunks_exact(4) {
            offsets.push(u32::from_le_bytes(end.try_into().ok()?));
        }
        let len = *offsets.last()? as usize;
        if !offsets.is_sorted() || bytes.len() - start < len {
            return None;
        }
        bytes.advance(start);
        Some(Self { bytes: bytes.split_to(len), offsets })
    }
}

fn too_large() -> Error {
    Error::Invalid("one batch holds more than 4 GiB of rows".into())
}
