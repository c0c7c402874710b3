//! Types that are rare in JSON: each value is cast from its text.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, StringArray, StringBuilder};
use arrow::compute::{CastOptions, can_cast_types, cast_with_options};
use arrow::datatypes::DataType;

use super::super::cursor::Cursor;
use super::super::fault::{Fault, Parsed};
use super::Column;
use crate::Result;

pub(super) struct Others {
    data_type: DataType,
    texts: StringBuilder,
}

impl Others {
    pub(super) fn new(data_type: &DataType) -> Option<Self> {
        // Arrow would make a list of one out of any text.
        let castable = !data_type.is_nested() && can_cast_types(&DataType::Utf8, data_type);
        castable.then(|| Self { data_type: data_type.clone(), texts: StringBuilder::new() })
    }

    fn cast(&self, texts: StringArray) -> Result<ArrayRef> {
        let strict = CastOptions { safe: false, ..CastOptions::default() };
        Ok(cast_with_options(&texts, &self.data_type, &strict)?)
    }

    fn value(&self, cursor: &mut Cursor<'_>) -> Parsed<String> {
        let start = cursor.at;
        let text = match cursor.peek() {
            Some(b'"') => cursor.unescaped()?.into_owned(),
            _ => cursor.skip()?.to_owned(),
        };
        match self.cast(StringArray::from(vec![text.as_str()])) {
            Ok(value) if value.is_valid(0) => Ok(text),
            _ => Err(Fault::misfit(start, &self.data_type)),
        }
    }
}

impl Column for Others {
    fn append(&mut self, cursor: &mut Cursor<'_>) -> Parsed<()> {
        let value = self.value(cursor);
        self.texts.append_option(value.as_ref().ok());
        value.map(|_| ())
    }

    fn append_null(&mut self) {
        self.texts.append_null();
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        let texts = self.texts.finish();
        Ok(Arc::new(self.cast(texts)?))
    }
}
