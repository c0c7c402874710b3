//! Rows that do not parse: the first one is an error, or all of them are set aside.

use std::sync::Arc;

use arrow::datatypes::Fields;

use super::lines;
use super::records::{Cell, Defect};
use crate::external::reader::NOT_A_VALUE;
use crate::external::{Reject, Rejects};
use crate::{Error, Result, sql_name};

/// Why a value is not one of its column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reason {
    /// It does not parse.
    NotAValue,
    /// It is not UTF-8.
    NotText,
    /// It is NULL and must not be.
    Null,
}

/// A value that is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Fault {
    /// The record, counted from the first of those that are at hand.
    pub(super) row: usize,
    /// The place of the field in it.
    pub(super) place: usize,
    /// Index of the column that is read.
    pub(super) column: usize,
    pub(super) reason: Reason,
}

/// Says where in a file faults are.
pub(super) struct Reporter<'a> {
    pub(super) file: &'a str,
    pub(super) fields: &'a Fields,
    pub(super) rejects: Option<&'a Arc<Rejects>>,
    pub(super) text: &'a [u8],
    /// Line of the text's byte `at`, which only moves forward.
    pub(super) line: u64,
    pub(super) at: usize,
    /// Fields per record.
    pub(super) width: usize,
}

impl Reporter<'_> {
    /// A value, in the record that begins at `record`, that is not one of its column.
    pub(super) fn value(&mut self, fault: &Fault, record: usize, cell: Cell<'_>) -> Result<()> {
        let field = &self.fields[fault.column];
        let value = shown(cell.bytes);
        let reason = match fault.reason {
            Reason::NotAValue => format!("{NOT_A_VALUE} {}", sql_name(field.data_type())),
            Reason::NotText => "is not UTF-8: convert the file".to_owned(),
            Reason::Null => {
                "the field is empty or NULL and the column must have a value".to_owned()
            }
        };
        let what = match fault.reason {
            Reason::Null => reason.clone(),
            _ => format!("'{value}' {reason}"),
        };
        let start = if cell.missing { record } else { cell.start };
        self.report(start, Some(field.name()), Some(value), reason, what)
    }

    /// A record that begins at `start` and is not one.
    pub(super) fn defect(&mut self, start: usize, defect: Defect, given: bool) -> Result<()> {
        let (start, what) = match defect {
            Defect::Width(found) => {
                let wanted = self.width;
                let why = if given { "" } else { ", as in the first record" };
                (start, format!("the record has {found} fields where {wanted} are expected{why}"))
            }
            Defect::Unclosed(start) => (start, "the quote is never closed".to_owned()),
            Defect::AfterQuote(start) => {
                let what = "something follows the closing quote: a quote in a quoted field must be \
                            written twice or escaped";
                (start, what.to_owned())
            }
        };
        let end = self.text[start..].iter().position(|byte| matches!(byte, b'\n' | b'\r'));
        let line = &self.text[start..end.map_or(self.text.len(), |end| start + end)];
        self.report(start, None, Some(shown(line)), what.clone(), what)
    }

    fn report(
        &mut self,
        start: usize,
        column: Option<&str>,
        value: Option<String>,
        reason: String,
        what: String,
    ) -> Result<()> {
        if start > self.at {
            self.line += lines::count(&self.text[self.at..start]);
            self.at = start;
        }
        let (file, line) = (self.file.to_owned(), Some(self.line));
        let column = column.map(str::to_owned);
        match self.rejects {
            None => Err(Error::Malformed { file, line, column, what }),
            Some(rejects) => {
                rejects.push(Reject { file, line, column, value, reason });
                Ok(())
            }
        }
    }
}

/// A value short enough for a message.
pub(super) fn shown(value: &[u8]) -> String {
    const SHOWN: usize = 80;
    let value = String::from_utf8_lossy(&value[..value.len().min(4 * SHOWN + 4)]);
    match value.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", &value[..end]),
        None => value.into_owned(),
    }
}
