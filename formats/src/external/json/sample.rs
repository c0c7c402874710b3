//! Reads the begin of a file to know its columns.

use arrow::datatypes::{Fields, SchemaRef};

use super::super::ReadOptions;
use super::blocks::Blocks;
use super::cursor::Cursor;
use super::shape::Shape;
use super::structure::Layout;
use super::{WHOLE, malformed, whole_field};
use crate::Result;

/// Bytes after which a sample is large enough, however few its values are.
const SAMPLE_LEN: usize = 64 << 20;

/// What the first values are like.
pub(super) struct Sample {
    pub(super) values: usize,
    shape: Shape,
}

impl Sample {
    /// Values that are not JSON are passed over: who reads them says what is wrong.
    pub(super) fn take(mut blocks: Blocks, name: &str, options: &ReadOptions) -> Result<Self> {
        let mut sample = Self { values: 0, shape: Shape::default() };
        let layout = blocks.layout();
        let (mut len, mut blank) = (0, true);
        while sample.values < options.json.sample_rows && len < SAMPLE_LEN {
            let Some(block) = blocks.next_block()? else { break };
            len += block.bytes.len();
            blank &= block.bytes.iter().all(u8::is_ascii_whitespace);
            let text = String::from_utf8_lossy(&block.bytes);
            sample.take_text(&text, layout, options.json.sample_rows);
        }
        if blank && layout != Layout::Array {
            let what = "the file is empty: give the columns and types to read it anyway";
            return Err(malformed(name, None, None, what));
        }
        Ok(sample)
    }

    fn take_text(&mut self, text: &str, layout: Layout, values_max: usize) {
        let mut cursor = Cursor::new(text, 0);
        loop {
            cursor.blanks();
            if layout == Layout::Array && cursor.take(b',') {
                cursor.blanks();
            }
            if cursor.is_at_end() || self.values == values_max {
                return;
            }
            let start = cursor.at;
            // Only whole values count.
            if cursor.skip().is_ok() {
                let mut again = Cursor::new(text, start);
                let seen = self.shape.see(&mut again);
                self.values += usize::from(seen.is_ok());
                continue;
            }
            let line_end = memchr::memchr(b'\n', &text.as_bytes()[start..]);
            match line_end {
                Some(end) if layout == Layout::Lines => cursor = Cursor::new(text, start + end),
                _ => return,
            }
        }
    }

    /// Whether values as a whole are the only column.
    pub(super) fn is_whole(&self) -> bool {
        !self.shape.is_table()
    }

    pub(super) fn fields(&self) -> Fields {
        match self.is_whole() {
            true => whole_field(self.shape.data_type()),
            false => self.shape.fields(),
        }
    }
}

/// Whether the one column of a schema is meant to be values as a whole: it has the
/// name for that, and no value has a member of this name.
pub(super) fn is_whole(head: &str, schema: &SchemaRef) -> bool {
    let [field] = schema.fields().as_ref() else { return false };
    if !field.name().eq_ignore_ascii_case(WHOLE) {
        return false;
    }
    let mut cursor = Cursor::new(head, 0);
    let mut shape = Shape::default();
    loop {
        cursor.blanks();
        if cursor.take(b',') {
            cursor.blanks();
        }
        if cursor.is_at_end() || shape.see(&mut cursor).is_err() {
            break;
        }
    }
    let named = |field: &arrow::datatypes::FieldRef| field.name().eq_ignore_ascii_case(WHOLE);
    !shape.fields().iter().any(named)
}
