//! Text and bytes.

use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryViewBuilder, FixedSizeBinaryBuilder, StringViewBuilder};
use arrow::compute::cast;
use arrow::datatypes::DataType;

use super::super::super::parse;
use super::super::super::reader::NOT_A_VALUE;
use super::super::cursor::Cursor;
use super::super::fault::{Fault, Parsed};
use super::{Column, plain_string};
use crate::{Result, sql_name};

/// Bytes of a uuid.
const UUID_WIDTH: i32 = 16;

/// Bytes of the buffers that views point into. The default grows to 2 MiB and stays
/// there, which every array of a few texts would then take.
const VIEW_BUFFER_BYTES: u32 = 64 << 10;

/// Strings as the text that they stand for, other values as their JSON.
pub(super) struct Texts {
    builder: StringViewBuilder,
    cast_to: Option<DataType>,
}

impl Default for Texts {
    fn default() -> Self {
        let builder = StringViewBuilder::new().with_fixed_block_size(VIEW_BUFFER_BYTES);
        Self { builder, cast_to: None }
    }
}

impl Texts {
    pub(super) fn cast_to(data_type: &DataType) -> Self {
        Self { cast_to: Some(data_type.clone()), ..Self::default() }
    }
}

impl Column for Texts {
    fn append(&mut self, cursor: &mut Cursor<'_>) -> Parsed<()> {
        let result = match cursor.peek() {
            Some(b'"') => {
                let start = cursor.at;
                match cursor.string() {
                    Ok((content, false)) => {
                        self.builder.append_value(content);
                        return Ok(());
                    }
                    Ok(_) => {
                        cursor.at = start;
                        cursor.unescaped().map(|text| self.builder.append_value(text))
                    }
                    Err(fault) => Err(fault),
                }
            }
            _ => cursor.skip().map(|json| self.builder.append_value(json)),
        };
        if result.is_err() {
            self.builder.append_null();
        }
        result
    }

    fn append_null(&mut self) {
        self.builder.append_null();
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        finished(Arc::new(self.builder.finish()), self.cast_to.as_ref())
    }
}

/// Strings of `\x` and hexadecimal digits.
pub(super) struct Bytes {
    builder: BinaryViewBuilder,
    cast_to: Option<DataType>,
}

impl Default for Bytes {
    fn default() -> Self {
        let builder = BinaryViewBuilder::new().with_fixed_block_size(VIEW_BUFFER_BYTES);
        Self { builder, cast_to: None }
    }
}

impl Bytes {
    pub(super) fn cast_to(data_type: &DataType) -> Self {
        Self { cast_to: Some(data_type.clone()), ..Self::default() }
    }
}

impl Column for Bytes {
    fn append(&mut self, cursor: &mut Cursor<'_>) -> Parsed<()> {
        let value = hexadecimal(cursor, &DataType::BinaryView);
        self.builder.append_option(value.as_ref().ok());
        value.map(|_| ())
    }

    fn append_null(&mut self) {
        self.builder.append_null();
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        finished(Arc::new(self.builder.finish()), self.cast_to.as_ref())
    }
}

/// UUIDs as text, and bytes of any other fixed length as hexadecimal digits.
pub(super) struct FixedBytes {
    builder: FixedSizeBinaryBuilder,
    width: i32,
}

impl FixedBytes {
    pub(super) fn new(width: i32) -> Option<Self> {
        (width >= 0).then(|| Self { builder: FixedSizeBinaryBuilder::new(width), width })
    }

    fn parse(&self, cursor: &mut Cursor<'_>) -> Parsed<Vec<u8>> {
        let start = cursor.at;
        if self.width == UUID_WIDTH {
            let uuid = DataType::FixedSizeBinary(UUID_WIDTH);
            if let Ok(text) = plain_string(cursor, &uuid) {
                let value = parse::uuid(text.as_bytes());
                return value.map(Vec::from).ok_or_else(|| Fault::misfit(start, &uuid));
            }
            cursor.at = start;
        }
        let wanted = DataType::FixedSizeBinary(self.width);
        let value = hexadecimal(cursor, &wanted)?;
        match usize::try_from(self.width).is_ok_and(|width| width == value.len()) {
            true => Ok(value),
            false => Err(Fault::misfit(start, &wanted)),
        }
    }
}

impl Column for FixedBytes {
    fn append(&mut self, cursor: &mut Cursor<'_>) -> Parsed<()> {
        let result = self.parse(cursor).and_then(|value| {
            self.builder.append_value(value).map_err(|e| Fault::unfit(cursor.at, e.to_string()))
        });
        if result.is_err() {
            self.builder.append_null();
        }
        result
    }

    fn append_null(&mut self) {
        self.builder.append_null();
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        Ok(Arc::new(self.builder.finish()))
    }
}

fn hexadecimal(cursor: &mut Cursor<'_>, wanted: &DataType) -> Parsed<Vec<u8>> {
    let start = cursor.at;
    if cursor.peek() != Some(b'"') {
        return super::not_this(cursor, wanted);
    }
    // The backslash itself is escaped in JSON.
    let text = cursor.unescaped()?;
    let value = text.starts_with("\\x").then(|| parse::bytes(text.as_bytes())).flatten();
    value.ok_or_else(|| {
        let wanted = sql_name(wanted);
        Fault::unfit(start, format!("{NOT_A_VALUE} {wanted}: \\x and hexadecimal digits"))
    })
}

fn finished(array: ArrayRef, cast_to: Option<&DataType>) -> Result<ArrayRef> {
    match cast_to {
        Some(data_type) => Ok(cast(&array, data_type)?),
        None => Ok(array),
    }
}
