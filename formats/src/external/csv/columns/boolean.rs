//! Columns of booleans.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanBuilder};
use arrow::buffer::Buffer;

use super::{Column, Rows, Slot, push_values};
use crate::Result;
use crate::external::parse;

#[derive(Default)]
pub(super) struct Booleans(BooleanBuilder);

impl Column for Booleans {
    fn append(&mut self, rows: &Rows<'_>, slot: &mut Slot<'_>) -> Result<()> {
        push_values(rows, slot, |text| {
            let value = text.map(parse::boolean);
            self.0.append_option(value.flatten());
            value != Some(None)
        });
        Ok(())
    }

    fn finish(&mut self, _: &Buffer) -> Result<ArrayRef> {
        Ok(Arc::new(self.0.finish()))
    }
}
