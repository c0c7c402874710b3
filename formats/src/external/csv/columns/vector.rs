//! Columns of vectors: `[1, 2.5, -3]`.

use std::sync::Arc;

use arrow::array::{ArrayRef, FixedSizeListArray, Float32Array, NullBufferBuilder};
use arrow::buffer::Buffer;
use arrow::datatypes::FieldRef;

use super::{Column, Rows, Slot, push_values};
use crate::Result;
use crate::external::parse;

pub(super) struct Vectors {
    item: FieldRef,
    len: i32,
    values: Vec<f32>,
    nulls: NullBufferBuilder,
}

impl Vectors {
    pub(super) fn new(item: &FieldRef, len: i32) -> Self {
        let nulls = NullBufferBuilder::new(0);
        Self { item: Arc::clone(item), len, values: Vec::new(), nulls }
    }
}

impl Column for Vectors {
    fn append(&mut self, rows: &Rows<'_>, slot: &mut Slot<'_>) -> Result<()> {
        let Self { len, values, nulls, .. } = self;
        let len = usize::try_from(*len).unwrap_or(0);
        push_values(rows, slot, |text| {
            let begin = values.len();
            let parsed = text.map(|text| vector(text, len, values));
            if parsed == Some(Some(())) {
                nulls.append_non_null();
            } else {
                values.truncate(begin);
                values.resize(begin + len, 0.0);
                nulls.append_null();
            }
            parsed != Some(None)
        });
        Ok(())
    }

    fn finish(&mut self, _: &Buffer) -> Result<ArrayRef> {
        let values = Arc::new(Float32Array::from(std::mem::take(&mut self.values)));
        let nulls = self.nulls.finish();
        Ok(Arc::new(FixedSizeListArray::try_new(Arc::clone(&self.item), self.len, values, nulls)?))
    }
}

/// Appends exactly `len` numbers; fewer when there are not as many.
fn vector(text: &[u8], len: usize, values: &mut Vec<f32>) -> Option<()> {
    let inner = text.strip_prefix(b"[")?.strip_suffix(b"]")?;
    let mut count = 0;
    for number in inner.split(|&byte| byte == b',') {
        count += 1;
        if count > len {
            return None;
        }
        values.push(parse::float32(parse::trimmed(number))?);
    }
    (count == len).then_some(())
}
