//! Text as values of other types: the forms that PostgreSQL and pgvector read.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryViewBuilder, BooleanBuilder, FixedSizeBinaryBuilder,
    FixedSizeListArray, Float32Array, StringViewArray,
};
use arrow::buffer::NullBuffer;
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::DataType;
use arrow::util::display::FormatOptions;

use super::assign::{first_lost, wrong_dimensions};
use crate::error::{Error, ErrorKind, Result};
use crate::sql::{UUID_BYTES, parse_uuid};

const QUIET: CastOptions<'static> =
    CastOptions { safe: true, format_options: FormatOptions::new() };

/// Text as values of a column.
pub(super) fn assign_text(values: &ArrayRef, column: &str, to: &DataType) -> Result<ArrayRef> {
    let views = cast_with_options(values, &DataType::Utf8View, &QUIET)?;
    let texts = views.as_string_view();
    match to {
        DataType::Utf8View => Ok(views),
        DataType::FixedSizeBinary(UUID_BYTES) => uuids(texts, column),
        DataType::BinaryView => bytes(texts, column),
        DataType::Boolean => booleans(texts, column),
        DataType::FixedSizeList(_, dimensions) => vectors(texts, column, to, *dimensions),
        _ if to.is_nested() => Err(Error::new(
            ErrorKind::DatatypeMismatch,
            format!("column '{column}' holds arrays, the value is text"),
        )
        .hint("write ARRAY[1, 2, 3]")),
        _ => {
            let trimmed: StringViewArray = match to {
                DataType::Interval(_) => texts.iter().map(|text| text.map(spelled_out)).collect(),
                _ => texts.iter().map(|text| text.map(str::trim)).collect(),
            };
            let trimmed: ArrayRef = Arc::new(trimmed);
            let cast = cast_with_options(&trimmed, to, &QUIET)?;
            if cast.logical_null_count() > values.logical_null_count() {
                return Err(first_lost(values, &cast, column, to));
            }
            Ok(cast)
        }
    }
}

/// An interval with its hours, minutes and seconds as words, which is the only form
/// that Arrow reads: `1 day -03:30:00` becomes `1 day -3 hours -30 minutes -0 seconds`.
fn spelled_out(interval: &str) -> String {
    let words = interval.split_whitespace().map(|word| {
        let (sign, digits) = match word.strip_prefix('-') {
            Some(digits) => ("-", digits),
            None => ("", word.strip_prefix('+').unwrap_or(word)),
        };
        match digits.split(':').collect::<Vec<_>>().as_slice() {
            [hours, minutes] => format!("{sign}{hours} hours {sign}{minutes} minutes"),
            [hours, minutes, seconds] => {
                format!("{sign}{hours} hours {sign}{minutes} minutes {sign}{seconds} seconds")
            }
            _ => word.to_owned(),
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

fn in_column(column: &str, error: Error) -> Error {
    Error { message: format!("column '{column}': {}", error.message), ..error }
}

fn invalid(column: &str, text: &str, type_name: &str) -> Error {
    Error::new(
        ErrorKind::InvalidText,
        format!("column '{column}': '{text}' is not a value of type {type_name}"),
    )
}

fn uuids(texts: &StringViewArray, column: &str) -> Result<ArrayRef> {
    let mut builder = FixedSizeBinaryBuilder::with_capacity(texts.len(), UUID_BYTES);
    for text in texts {
        match text {
            Some(text) => {
                builder.append_value(parse_uuid(text).map_err(|error| in_column(column, error))?)?
            }
            None => builder.append_null(),
        }
    }
    Ok(Arc::new(builder.finish()))
}

/// `\xDEADBEEF` is hexadecimal; other text stands for its own bytes.
fn bytes(texts: &StringViewArray, column: &str) -> Result<ArrayRef> {
    let mut builder = BinaryViewBuilder::with_capacity(texts.len());
    for text in texts {
        match text {
            None => builder.append_null(),
            Some(text) => match text.strip_prefix("\\x") {
                None => builder.append_value(text.as_bytes()),
                Some(digits) => {
                    let digits: Option<Vec<u32>> = digits.chars().map(|c| c.to_digit(16)).collect();
                    let digits = digits
                        .filter(|d| d.len() % 2 == 0)
                        .ok_or_else(|| invalid(column, text, "bytea"))?;
                    let value: Vec<u8> =
                        digits.chunks_exact(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect();
                    builder.append_value(value);
                }
            },
        }
    }
    Ok(Arc::new(builder.finish()))
}

fn booleans(texts: &StringViewArray, column: &str) -> Result<ArrayRef> {
    let mut builder = BooleanBuilder::with_capacity(texts.len());
    for text in texts {
        let Some(text) = text else {
            builder.append_null();
            continue;
        };
        match text.trim().to_lowercase().as_str() {
            "t" | "true" | "y" | "yes" | "on" | "1" => builder.append_value(true),
            "f" | "false" | "n" | "no" | "off" | "0" => builder.append_value(false),
            _ => return Err(invalid(column, text, "boolean")),
        }
    }
    Ok(Arc::new(builder.finish()))
}

/// `[1, 2.5, -3e-1]`, pgvector's form.
fn vectors(
    texts: &StringViewArray,
    column: &str,
    to: &DataType,
    dimensions: i32,
) -> Result<ArrayRef> {
    let DataType::FixedSizeList(item, _) = to else {
        return Err(Error::new(ErrorKind::Internal, format!("not a vector type: {to}")));
    };
    let size = dimensions as usize;
    let mut items = Vec::with_capacity(texts.len() * size);
    for text in texts {
        let Some(text) = text else {
            items.resize(items.len() + size, 0.0);
            continue;
        };
        let type_name = format!("vector({dimensions})");
        let inner = text.trim().strip_prefix('[').and_then(|t| t.strip_suffix(']'));
        let inner =
            inner.ok_or_else(|| invalid(column, text, &type_name).hint("write '[1, 2, 3]'"))?;
        let before = items.len();
        for number in inner.split(',') {
            let number: f32 =
                number.trim().parse().map_err(|_| invalid(column, text, &type_name))?;
            if !number.is_finite() {
                return Err(Error::new(
                    ErrorKind::OutOfRange,
                    format!("column '{column}': a vector must hold finite numbers, not {number}"),
                ));
            }
            items.push(number);
        }
        if items.len() - before != size {
            return Err(wrong_dimensions(column, dimensions, items.len() - before));
        }
    }
    let items: ArrayRef = Arc::new(Float32Array::from(items));
    let items = cast_with_options(&items, item.data_type(), &QUIET)?;
    let nulls: Option<NullBuffer> = texts.nulls().cloned();
    Ok(Arc::new(FixedSizeListArray::try_new(Arc::clone(item), dimensions, items, nulls)?))
}
