//! Columns of text: views into the block itself.

use std::sync::Arc;

use arrow::array::{ArrayRef, NullBufferBuilder, StringViewArray};
use arrow::buffer::{Buffer, ScalarBuffer};
use arrow::compute::cast;
use arrow::datatypes::DataType;

use super::super::faults::Reason;
use super::super::records::unescape;
use super::{Column, Rows, Slot};
use crate::Result;

/// Longest text that a view holds itself.
const INLINE_MAX: usize = 12;
/// A block is kept for as many times the bytes that views show of it.
const KEPT_SHARE: usize = 4;

pub(super) struct Texts {
    data_type: DataType,
    views: Vec<u128>,
    nulls: NullBufferBuilder,
    /// Values that are not in the block as they are.
    unescaped: Vec<u8>,
    /// Bytes of the block that views point at.
    shown: usize,
    /// Bytes of the block that records were read from.
    seen: usize,
}

impl Texts {
    pub(super) fn new(data_type: &DataType) -> Self {
        Self {
            data_type: data_type.clone(),
            views: Vec::new(),
            nulls: NullBufferBuilder::new(0),
            unescaped: Vec::new(),
            shown: 0,
            seen: 0,
        }
    }
}

impl Column for Texts {
    fn append(&mut self, rows: &Rows<'_>, slot: &mut Slot<'_>) -> Result<()> {
        let count = rows.records.len();
        self.views.reserve(count);
        for row in 0..count {
            let cell = rows.records.cell(rows.text, row, slot.place);
            if !cell.quoted && (cell.missing || rows.nulls.contain(cell.bytes)) {
                self.views.push(0);
                self.nulls.append_null();
                if !slot.nullable {
                    slot.fault(row, Reason::Null);
                }
                continue;
            }
            if !rows.is_utf8 && std::str::from_utf8(cell.bytes).is_err() {
                self.views.push(0);
                self.nulls.append_null();
                slot.fault(row, Reason::NotText);
                continue;
            }
            self.nulls.append_non_null();
            if cell.escaped {
                let start = self.unescaped.len();
                unescape(cell.bytes, rows.dialect, &mut self.unescaped);
                let end = self.unescaped.len();
                self.views.push(view(&self.unescaped, start, end, 1));
            } else {
                let len = cell.bytes.len();
                self.shown += if len > INLINE_MAX { len } else { 0 };
                self.views.push(view(rows.text, cell.start, cell.start + len, 0));
            }
        }
        if count > 0 {
            self.seen += rows.records.start(count - 1) - rows.records.start(0);
        }
        Ok(())
    }

    fn finish(&mut self, text: &Buffer) -> Result<ArrayRef> {
        let views: ScalarBuffer<u128> = std::mem::take(&mut self.views).into();
        let unescaped = std::mem::take(&mut self.unescaped);
        let (shown, seen) = (std::mem::take(&mut self.shown), std::mem::take(&mut self.seen));
        let buffers = match (shown, unescaped.is_empty()) {
            (0, true) => Vec::new(),
            (_, true) => vec![text.clone()],
            _ => vec![text.clone(), Buffer::from_vec(unescaped)],
        };
        let array = StringViewArray::try_new(views, buffers, self.nulls.finish())?;
        // A few texts must not keep all the rest of the file in memory.
        let array = if shown < seen / KEPT_SHARE { array.gc() } else { array };
        match self.data_type {
            DataType::Utf8View => Ok(Arc::new(array)),
            _ => Ok(cast(&(Arc::new(array) as ArrayRef), &self.data_type)?),
        }
    }
}

/// The view of `text[start..end]`, where `text` is the buffer with this index.
#[inline]
fn view(text: &[u8], start: usize, end: usize, buffer: u32) -> u128 {
    let len = end - start;
    if len <= INLINE_MAX {
        // Reads beyond the value where it can, and cuts off what it does not want.
        let bytes = match text.get(start..start + 16) {
            Some(bytes) => bytes.first_chunk().copied().unwrap_or_default(),
            None => {
                let mut bytes = [0; 16];
                bytes[..len].copy_from_slice(&text[start..end]);
                bytes
            }
        };
        let value = u128::from_le_bytes(bytes) & ((1 << (8 * len)) - 1);
        return value << 32 | len as u128;
    }
    let prefix = text[start..end].first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes));
    (start as u128) << 96 | u128::from(buffer) << 64 | u128::from(prefix) << 32 | len as u128
}
