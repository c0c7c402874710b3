//! Text and bytes.

use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryViewBuilder, FixedSizeBinaryBuilder, StringViewBuilder};
use arrow::compute::cast;
use arrow::datatypes::DataType;

use super::super::super::parse;
use super::super::cursor::Cursor;
use super::super::fault::{Fault, Parsed};
use super::{Column, plain_string};
use crate::Result;

/// Bytes of a uuid.
const UUID_WIDTH: i32 = 16;

/// Strings as the text that they stand for, other values as their JSON.
#[derive(Default)]
pub(super) struct Texts {
    builder: StringViewBuilder,
    cast_to: Option<DataType>,
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
#[derive(Default)]
pub(super) struct Bytes {
    builder: BinaryViewBuilder,
    cast_to: Option<DataType>,
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
            let text = plain_string(cursor, &DataType::FixedSizeBinary(UUID_WIDTH));
            if let Ok(text) = text {
                let value = parse::uuid(text.as_bytes());
                return value.map(Vec::from).ok_or_else(|| Fault::misfit(start, "UUID"));
            }
            cursor.at = start;
        }
        let wanted = DataType::FixedSizeBinary(self.width);
        let value = hexadecimal(cursor, &wanted)?;
        match usize::try_from(self.width).is_ok_and(|width| width == value.len()) {
            true => Ok(value),
            false => Err(Fault::misfit(start, wanted)),
        }
    }
}

impl Column for FixedBytes {
    fn append(&mut self, cursor: &mut Cursor<'_>) -> Parsed<()> {
        let result = self.parse(cursor).and_then(|value| {
            self.builder.append_value(value).map_err(|error| Fault::misfit(cursor.at, error))
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
    value.ok_or_else(|| Fault::misfit(start, format!("{wanted}: \\x and hexadecimal digits")))
}

fn finished(array: ArrayRef, cast_to: Option<&DataType>) -> Result<ArrayRef> {
    match cast_to {
        Some(data_type) => Ok(cast(&array, data_type)?),
        None => Ok(array),
    }
}
