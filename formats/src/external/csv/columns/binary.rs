//! Columns of bytes, of any length or of one.

use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryViewBuilder, FixedSizeBinaryBuilder};
use arrow::buffer::Buffer;
use arrow::compute::cast;
use arrow::datatypes::DataType;

use super::super::faults::Reason;
use super::{Column, Rows, Slot, plain, push_values};
use crate::Result;
use crate::external::parse;

/// `\x` and hexadecimal digits, else the bytes of the text.
pub(super) struct Binaries {
    data_type: DataType,
    values: BinaryViewBuilder,
}

impl Binaries {
    pub(super) fn new(data_type: &DataType) -> Self {
        Self { data_type: data_type.clone(), values: BinaryViewBuilder::new() }
    }
}

impl Column for Binaries {
    fn append(&mut self, rows: &Rows<'_>, slot: &mut Slot<'_>) -> Result<()> {
        let mut unescaped = Vec::new();
        for row in 0..rows.records.len() {
            let cell = rows.records.cell(rows.text, row, slot.place);
            let text = plain(rows, cell, &mut unescaped);
            // As for text, an empty value may be meant by quotes.
            if cell.missing || !cell.quoted && rows.nulls.contain(text) {
                self.values.append_null();
                if !slot.nullable {
                    slot.fault(row, Reason::Null);
                }
                continue;
            }
            let value = parse::bytes(text);
            if value.is_none() {
                slot.fault(row, Reason::NotAValue);
            }
            self.values.append_option(value);
        }
        Ok(())
    }

    fn finish(&mut self, _: &Buffer) -> Result<ArrayRef> {
        let values: ArrayRef = Arc::new(self.values.finish());
        Ok(cast(&values, &self.data_type)?)
    }
}

/// Values of one length; those of sixteen bytes are UUIDs.
pub(super) struct Fixed {
    len: i32,
    values: FixedSizeBinaryBuilder,
}

impl Fixed {
    pub(super) fn new(len: i32) -> Self {
        Self { len, values: FixedSizeBinaryBuilder::new(len) }
    }
}

impl Column for Fixed {
    fn append(&mut self, rows: &Rows<'_>, slot: &mut Slot<'_>) -> Result<()> {
        let Self { len, values } = self;
        let mut result = Ok(());
        push_values(rows, slot, |text| {
            let value = text.map(|text| match *len {
                16 => parse::uuid(text).map(Vec::from),
                _ => parse::bytes(text).filter(|value| i32::try_from(value.len()) == Ok(*len)),
            });
            match &value {
                Some(Some(bytes)) => result = values.append_value(bytes),
                _ => values.append_null(),
            }
            value != Some(None)
        });
        Ok(result?)
    }

    fn finish(&mut self, _: &Buffer) -> Result<ArrayRef> {
        Ok(Arc::new(self.values.finish()))
    }
}
