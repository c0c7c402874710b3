//! Arrays of any length, and of a fixed one such as vectors.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, FixedSizeListArray, GenericListArray, NullBufferBuilder, OffsetSizeTrait,
};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, FieldRef};
use arrow::error::ArrowError;

use super::super::super::reader::NOT_A_VALUE;
use super::super::cursor::Cursor;
use super::super::fault::{Fault, Parsed};
use super::{Column, Slot, not_this};
use crate::{Result, sql_name};

pub(super) struct Lists<O> {
    item: FieldRef,
    data_type: DataType,
    items: Slot,
    items_len: usize,
    /// Ends of the lists so far, after a first zero.
    offsets: Vec<O>,
    nulls: NullBufferBuilder,
}

impl<O: OffsetSizeTrait> Lists<O> {
    pub(super) fn new(item: &FieldRef) -> Option<Self> {
        Some(Self {
            items: Slot::new(item)?,
            data_type: GenericListArray::<O>::DATA_TYPE_CONSTRUCTOR(Arc::clone(item)),
            item: Arc::clone(item),
            items_len: 0,
            offsets: vec![O::zero()],
            nulls: NullBufferBuilder::new(0),
        })
    }

    fn end(&mut self, valid: bool) {
        // A block of text is too small for more items than fit; checked all the same.
        self.offsets.push(O::from_usize(self.items_len).unwrap_or_else(O::zero));
        self.nulls.append(valid);
    }
}

impl<O: OffsetSizeTrait> Column for Lists<O> {
    fn append(&mut self, cursor: &mut Cursor<'_>) -> Parsed<()> {
        if cursor.peek() != Some(b'[') {
            self.end(false);
            return not_this(cursor, &self.data_type);
        }
        let result = elements(cursor, &mut self.items, &mut self.items_len, usize::MAX);
        self.end(true);
        result
    }

    fn append_null(&mut self) {
        self.end(false);
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        let offsets = std::mem::replace(&mut self.offsets, vec![O::zero()]);
        let offsets = ScalarBuffer::from(offsets);
        if !offsets.windows(2).all(|pair| pair[0] <= pair[1]) {
            return Err(ArrowError::OffsetOverflowError(self.items_len).into());
        }
        self.items_len = 0;
        let (items, nulls) = (self.items.finish()?, self.nulls.finish());
        let offsets = OffsetBuffer::new(offsets);
        let lists = GenericListArray::<O>::try_new(Arc::clone(&self.item), offsets, items, nulls);
        Ok(Arc::new(lists?))
    }
}

/// Passes an array; `len` counts its elements, of which `len_max` are taken.
fn elements(
    cursor: &mut Cursor<'_>,
    items: &mut Slot,
    len: &mut usize,
    len_max: usize,
) -> Parsed<()> {
    cursor.open()?;
    let mut more = !cursor.take(b']');
    while more {
        if *len < len_max {
            *len += 1;
            items.append(cursor)?;
        } else {
            *len += 1;
            cursor.skip()?;
        }
        more = cursor.another(b']')?;
    }
    cursor.close();
    Ok(())
}

pub(super) struct FixedLists {
    item: FieldRef,
    data_type: DataType,
    items: Slot,
    size: i32,
    width: usize,
    nulls: NullBufferBuilder,
}

impl FixedLists {
    pub(super) fn new(item: &FieldRef, size: i32) -> Option<Self> {
        Some(Self {
            items: Slot::new(item)?,
            data_type: DataType::FixedSizeList(Arc::clone(item), size),
            item: Arc::clone(item),
            size,
            width: usize::try_from(size).ok()?,
            nulls: NullBufferBuilder::new(0),
        })
    }
}

impl Column for FixedLists {
    fn append(&mut self, cursor: &mut Cursor<'_>) -> Parsed<()> {
        let start = cursor.at;
        if cursor.peek() != Some(b'[') {
            self.append_null();
            return not_this(cursor, &self.data_type);
        }
        let mut len = 0;
        let result = elements(cursor, &mut self.items, &mut len, self.width);
        for _ in len..self.width {
            self.items.append_null();
        }
        self.nulls.append(true);
        result?;
        match len == self.width {
            true => Ok(()),
            false => {
                let wanted = sql_name(&self.data_type);
                Err(Fault::unfit(start, format!("{NOT_A_VALUE} {wanted}: it has {len} elements")))
            }
        }
    }

    fn append_null(&mut self) {
        for _ in 0..self.width {
            self.items.append_null();
        }
        self.nulls.append(false);
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        let len = self.nulls.len();
        let (items, nulls) = (self.items.finish()?, self.nulls.finish());
        let item = Arc::clone(&self.item);
        Ok(Arc::new(FixedSizeListArray::try_new_with_length(item, self.size, items, nulls, len)?))
    }
}
