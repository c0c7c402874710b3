//! Columns of types that Arrow makes out of text, by way of text.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, StringArray, new_empty_array};
use arrow::buffer::Buffer;
use arrow::compute::{CastOptions, cast_with_options, concat};
use arrow::datatypes::DataType;

use super::super::faults::Reason;
use super::{Column, Rows, Slot, push_values};
use crate::Result;

pub(super) struct Cast {
    data_type: DataType,
    parts: Vec<ArrayRef>,
}

impl Cast {
    pub(super) fn new(data_type: &DataType) -> Self {
        Self { data_type: data_type.clone(), parts: Vec::new() }
    }
}

impl Column for Cast {
    fn append(&mut self, rows: &Rows<'_>, slot: &mut Slot<'_>) -> Result<()> {
        let mut texts: Vec<Option<String>> = Vec::with_capacity(rows.records.len());
        push_values(rows, slot, |text| {
            let value = text.map(|text| String::from_utf8(text.to_vec()).ok());
            let valid = value != Some(None);
            texts.push(value.flatten());
            valid
        });
        let texts: ArrayRef = Arc::new(StringArray::from(texts));
        let lenient = CastOptions { safe: true, ..CastOptions::default() };
        let values = cast_with_options(&texts, &self.data_type, &lenient)?;
        for row in 0..values.len() {
            if values.is_null(row) && texts.is_valid(row) {
                slot.fault(row, Reason::NotAValue);
            }
        }
        self.parts.push(values);
        Ok(())
    }

    fn finish(&mut self, _: &Buffer) -> Result<ArrayRef> {
        let parts: Vec<&dyn Array> = self.parts.iter().map(AsRef::as_ref).collect();
        let array = match parts.as_slice() {
            [] => new_empty_array(&self.data_type),
            parts => concat(parts)?,
        };
        self.parts.clear();
        Ok(array)
    }
}
