//! One value as text: safe to print, and the same in every format that is text.

use arrow::array::{Array, ArrayRef};
use arrow::buffer::NullBuffer;
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};

/// How values are written: dates and times as PostgreSQL writes them.
const OPTIONS: FormatOptions<'static> = FormatOptions::new()
    .with_timestamp_format(Some(TIMESTAMP))
    .with_datetime_format(Some(TIMESTAMP))
    .with_timestamp_tz_format(Some(TIMESTAMP_TZ));

/// A timestamp without zone.
pub const TIMESTAMP: &str = "%Y-%m-%d %H:%M:%S%.f";
/// A timestamp with zone.
pub const TIMESTAMP_TZ: &str = "%Y-%m-%d %H:%M:%S%.f%:z";

/// Formats the values of one column.
pub struct Cells<'a> {
    nulls: Option<NullBuffer>,
    formatter: ArrayFormatter<'a>,
}

impl<'a> Cells<'a> {
    /// Prepares a column.
    pub fn new(array: &'a ArrayRef) -> Result<Self, ArrowError> {
        // Logical: the nulls of a dictionary's values and of a column without type too.
        let nulls = array.logical_nulls();
        Ok(Self { nulls, formatter: ArrayFormatter::try_new(array.as_ref(), &OPTIONS)? })
    }

    /// The text of a row's value; `None` is NULL.
    pub fn text(&self, row: usize) -> Result<Option<String>, ArrowError> {
        if self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
            return Ok(None);
        }
        self.formatter.value(row).try_to_string().map(Some)
    }
}

/// Replaces what would move the cursor or talk to the terminal; line breaks stay,
/// a box has cells of several lines.
pub fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() && c != '\n' { out.extend(c.escape_default()) } else { out.push(c) }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{NullArray, TimestampMicrosecondArray};

    use super::*;

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(printable("a\tb\n\u{1b}[31m"), "a\\tb\n\\u{1b}[31m");
        assert_eq!(printable("zürich"), "zürich");
    }

    #[test]
    fn a_column_without_type_holds_only_nulls() {
        let array: ArrayRef = Arc::new(NullArray::new(1));
        assert_eq!(Cells::new(&array).unwrap().text(0).unwrap(), None);
    }

    #[test]
    fn time_is_written_as_postgres_does() {
        let array: ArrayRef = Arc::new(
            TimestampMicrosecondArray::from(vec![Some(1_360_299_600_000_000), None])
                .with_timezone("+00:00"),
        );
        let cells = Cells::new(&array).unwrap();
        assert_eq!(cells.text(0).unwrap().unwrap(), "2013-02-08 05:00:00+00:00");
        assert_eq!(cells.text(1).unwrap(), None);
    }
}
