//! How the records of a file are written.

use crate::{Error, Result};

/// The bytes that mean something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Dialect {
    pub(super) delimiter: u8,
    /// Encloses fields, at their very begin and end only.
    pub(super) quote: Option<u8>,
    /// Before a quote or itself inside a quoted field, makes it part of the value.
    /// The quote itself when there is none of its own.
    pub(super) escape: Option<u8>,
    /// Begins lines that are no records.
    pub(super) comment: Option<u8>,
}

impl Dialect {
    /// Refuses what cannot be told apart.
    pub(super) fn check(&self) -> Result<()> {
        let refuse = |what: &str| Err(Error::Invalid(format!("CSV: {what}")));
        let bytes = [Some(self.delimiter), self.quote, self.escape, self.comment];
        // Other bytes are parts of characters.
        if bytes.iter().flatten().any(|byte| !byte.is_ascii() || matches!(byte, b'\r' | b'\n' | 0))
        {
            return refuse(
                "delimiter, quote, escape and comment are one ASCII character each and no line end",
            );
        }
        let delimiter = Some(self.delimiter);
        if [self.quote, self.escape, self.comment].contains(&delimiter) {
            return refuse("the delimiter must differ from quote, escape and comment");
        }
        if self.comment.is_some() && [self.quote, self.escape].contains(&self.comment) {
            return refuse("the comment must differ from quote and escape");
        }
        Ok(())
    }

    /// The escape where it is a byte of its own.
    pub(super) fn own_escape(&self) -> Option<u8> {
        self.escape.filter(|_| self.quote.is_some() && self.escape != self.quote)
    }
}
