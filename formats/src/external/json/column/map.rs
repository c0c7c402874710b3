//! Objects as maps of their keys.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, MapArray, NullBufferBuilder, StringViewBuilder, StructArray};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::compute::cast;
use arrow::datatypes::{DataType, FieldRef, Fields};

use super::super::cursor::Cursor;
use super::super::fault::{Fault, Parsed, What};
use super::{Column, Slot, not_this};
use crate::Result;

pub(super) struct Maps {
    entry: FieldRef,
    fields: Fields,
    keys: StringViewBuilder,
    values: Slot,
    len: i32,
    offsets: Vec<i32>,
    nulls: NullBufferBuilder,
}

impl Maps {
    pub(super) fn new(entry: &FieldRef) -> Option<Self> {
        let DataType::Struct(fields) = entry.data_type() else { return None };
        let [key, value] = fields.as_ref() else { return None };
        if !key.data_type().is_string() {
            return None;
        }
        Some(Self {
            values: Slot::new(value)?,
            entry: Arc::clone(entry),
            fields: fields.clone(),
            keys: StringViewBuilder::new(),
            len: 0,
            offsets: vec![0],
            nulls: NullBufferBuilder::new(0),
        })
    }

    fn append_entries(&mut self, cursor: &mut Cursor<'_>) -> Parsed<()> {
        let mut seen = HashSet::new();
        cursor.open()?;
        let mut more = !cursor.take(b'}');
        while more {
            let start = cursor.at;
            let key = cursor.unescaped()?;
            cursor.colon()?;
            self.len += 1;
            self.keys.append_value(&key);
            self.values.append(cursor)?;
            if !seen.insert(key) {
                return Err(Box::new(Fault { at: start, what: What::Twice }));
            }
            more = cursor.another(b'}')?;
        }
        cursor.close();
        Ok(())
    }

    /// As `append_entries`, where keys may be there twice: the last one counts.
    fn append_last_entries(&mut self, cursor: &mut Cursor<'_>) -> Parsed<()> {
        let mut entries = Vec::new();
        cursor.open()?;
        let mut more = !cursor.take(b'}');
        while more {
            let key = cursor.unescaped()?;
            cursor.colon()?;
            entries.push((key, cursor.at));
            cursor.skip()?;
            more = cursor.another(b'}')?;
        }
        let end = cursor.at;
        let mut seen = HashSet::new();
        let last = |(key, _): &&(_, usize)| seen.insert(std::borrow::Cow::clone(key));
        let mut kept: Vec<_> = entries.iter().rev().filter(last).collect();
        kept.reverse();
        for (key, at) in kept {
            cursor.at = *at;
            self.len += 1;
            self.keys.append_value(key);
            self.values.append(cursor)?;
        }
        cursor.at = end;
        cursor.close();
        Ok(())
    }
}

impl Column for Maps {
    fn append(&mut self, cursor: &mut Cursor<'_>) -> Parsed<()> {
        if cursor.peek() != Some(b'{') {
            self.append_null();
            return not_this(cursor, &DataType::Map(Arc::clone(&self.entry), false));
        }
        let result = match cursor.careful {
            false => self.append_entries(cursor),
            true => self.append_last_entries(cursor),
        };
        self.offsets.push(self.len);
        self.nulls.append(true);
        result
    }

    fn append_null(&mut self) {
        self.offsets.push(self.len);
        self.nulls.append(false);
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        self.len = 0;
        let offsets = std::mem::replace(&mut self.offsets, vec![0]);
        let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
        let keys: ArrayRef = Arc::new(self.keys.finish());
        let columns = vec![cast(&keys, self.fields[0].data_type())?, self.values.finish()?];
        let entries = StructArray::try_new(self.fields.clone(), columns, None)?;
        let nulls = self.nulls.finish();
        Ok(Arc::new(MapArray::try_new(Arc::clone(&self.entry), offsets, entries, nulls, false)?))
    }
}
