//! Values as JSON.

use arrow::array::{Array, ArrayRef, AsArray, OffsetSizeTrait};
use arrow::datatypes::{DataType, Field};

use super::super::text::{Cell, Put, cell, plain};
use crate::Result;

/// The values of an array that is kept beside it.
///
/// Rows that are NULL are written as `null`.
pub(in super::super) struct Values {
    array: ArrayRef,
    children: Vec<Values>,
}

impl Values {
    /// Takes the encodings off an array and everything in it.
    pub(in super::super) fn new(array: &ArrayRef) -> Result<Self> {
        let array = plain(array)?;
        let children = match array.data_type() {
            DataType::List(_) => vec![Self::new(array.as_list::<i32>().values())?],
            DataType::LargeList(_) => vec![Self::new(array.as_list::<i64>().values())?],
            DataType::ListView(_) => vec![Self::new(array.as_list_view::<i32>().values())?],
            DataType::LargeListView(_) => vec![Self::new(array.as_list_view::<i64>().values())?],
            DataType::FixedSizeList(..) => vec![Self::new(array.as_fixed_size_list().values())?],
            DataType::Struct(_) => {
                array.as_struct().columns().iter().map(Self::new).collect::<Result<_>>()?
            }
            DataType::Map(..) => {
                let map = array.as_map();
                vec![Self::new(map.keys())?, Self::new(map.values())?]
            }
            _ => Vec::new(),
        };
        Ok(Self { array, children })
    }

    /// What writes the value of a row, `null` included.
    pub(in super::super) fn put(&self) -> Result<Put<'_>> {
        let value = self.put_value()?;
        Ok(match self.array.logical_nulls() {
            None => value,
            Some(nulls) => Box::new(move |row, out| match nulls.is_null(row) {
                true => out.extend_from_slice(b"null"),
                false => value(row, out),
            }),
        })
    }

    fn put_value(&self) -> Result<Put<'_>> {
        Ok(match cell(&self.array)? {
            Cell::Plain(put) => put,
            Cell::Float(put) => Box::new(move |row, out| {
                let start = out.len();
                put(row, out);
                // JSON has no infinities and no NaN; PostgreSQL quotes them too.
                if out[start..].ends_with(b"f") || out[start..].ends_with(b"N") {
                    let text = out.split_off(start);
                    quoted(&text, out);
                }
            }),
            Cell::Word(put) => Box::new(move |row, out| {
                out.push(b'"');
                put(row, out);
                out.push(b'"');
            }),
            Cell::Text(text) => Box::new(move |row, out| quoted(text(row).as_bytes(), out)),
            Cell::Made(put) => Box::new(move |row, out| {
                let mut text = Vec::new();
                put(row, &mut text);
                quoted(&text, out);
            }),
            Cell::Nested => self.put_nested()?,
        })
    }

    fn put_nested(&self) -> Result<Put<'_>> {
        let array = &self.array;
        let mut children = self.children.iter().map(Values::put).collect::<Result<Vec<_>>>()?;
        Ok(match (array.data_type(), children.len()) {
            (DataType::Struct(fields), _) => {
                let names = names(fields.iter().map(AsRef::as_ref));
                Box::new(move |row, out| object(&names, &children, row, out))
            }
            (DataType::Map(..), 2) => {
                let (offsets, value) = (array.as_map().offsets(), children.remove(1));
                let key = children.remove(0);
                Box::new(move |row, out| {
                    out.push(b'{');
                    let range = offsets[row] as usize..offsets[row + 1] as usize;
                    for (index, entry) in range.enumerate() {
                        if index > 0 {
                            out.push(b',');
                        }
                        let start = out.len();
                        key(entry, out);
                        // Names of JSON are texts.
                        if out.get(start) != Some(&b'"') {
                            let text = out.split_off(start);
                            quoted(&text, out);
                        }
                        out.push(b':');
                        value(entry, out);
                    }
                    out.push(b'}');
                })
            }
            (DataType::FixedSizeList(_, size), 1) => {
                let (size, item) = (*size as usize, children.remove(0));
                Box::new(move |row, out| list(row * size..(row + 1) * size, &item, out))
            }
            (DataType::List(_), 1) => lists::<i32>(array, children.remove(0)),
            (DataType::LargeList(_), 1) => lists::<i64>(array, children.remove(0)),
            (DataType::ListView(_), 1) => list_views::<i32>(array, children.remove(0)),
            (DataType::LargeListView(_), 1) => list_views::<i64>(array, children.remove(0)),
            _ => Box::new(|_, out| out.extend_from_slice(b"null")),
        })
    }
}

fn lists<'a, O: OffsetSizeTrait>(array: &'a ArrayRef, item: Put<'a>) -> Put<'a> {
    let offsets = array.as_list::<O>().offsets();
    Box::new(move |row, out| {
        list(offsets[row].as_usize()..offsets[row + 1].as_usize(), &item, out);
    })
}

fn list_views<'a, O: OffsetSizeTrait>(array: &'a ArrayRef, item: Put<'a>) -> Put<'a> {
    let lists = array.as_list_view::<O>();
    Box::new(move |row, out| {
        let start = lists.value_offset(row).as_usize();
        list(start..start + lists.value_size(row).as_usize(), &item, out);
    })
}

fn list(range: std::ops::Range<usize>, item: &Put<'_>, out: &mut Vec<u8>) {
    out.push(b'[');
    for (index, entry) in range.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        item(entry, out);
    }
    out.push(b']');
}

/// `"name":` of each field.
pub(in super::super) fn names<'a>(fields: impl Iterator<Item = &'a Field>) -> Vec<Vec<u8>> {
    fields
        .map(|field| {
            let mut name = Vec::new();
            quoted(field.name().as_bytes(), &mut name);
            name.push(b':');
            name
        })
        .collect()
}

/// `{"a":1,"b":null}`
pub(in super::super) fn object(
    names: &[Vec<u8>],
    values: &[Put<'_>],
    row: usize,
    out: &mut Vec<u8>,
) {
    out.push(b'{');
    for (index, (name, value)) in names.iter().zip(values).enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(name);
        value(row, out);
    }
    out.push(b'}');
}

/// A text in quotes, with escapes where it needs them.
fn quoted(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    let mut rest = text;
    while let Some(at) = rest.iter().position(|byte| *byte < 0x20 || matches!(byte, b'"' | b'\\')) {
        out.extend_from_slice(&rest[..at]);
        match rest[at] {
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            byte @ (b'"' | b'\\') => out.extend_from_slice(&[b'\\', byte]),
            byte => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
        }
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_escaped() {
        let mut out = Vec::new();
        quoted("a\"b\\c\n\u{1}é\u{7f}".as_bytes(), &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), "\"a\\\"b\\\\c\\n\\u0001é\u{7f}\"");
    }
}
