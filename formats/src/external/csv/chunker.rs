//! Cuts a stream of text into blocks of whole records.
//!
//! This is what runs on one thread at a time, so it looks at quotes only: what is
//! outside of them at a block's last line end is a record end.

use std::io::Read;

use super::dialect::Dialect;
use super::lines;
use super::records::{self, TEXT_LEN_MAX};
use super::scan::mask_at;
use crate::external::io_error;
use crate::{Error, Result};

/// Longest record that is read: a quote that is never closed must not read a whole
/// file into memory.
pub(super) const RECORD_LEN_MAX: usize = 256 << 20;
const _: () = assert!(3 * RECORD_LEN_MAX < TEXT_LEN_MAX);

/// Whole records, the last of a file with a line end or without.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) text: Vec<u8>,
    /// The line of the file that it begins with, from one.
    pub(super) line: u64,
    /// Nothing was before it but lines that were skipped.
    pub(super) first: bool,
}

/// Cuts a stream into blocks.
pub(super) struct Chunker {
    file: String,
    stream: Box<dyn Read + Send>,
    dialect: Dialect,
    /// What was read and is not in a block yet: the begin of a record.
    held: Vec<u8>,
    line: u64,
    first: bool,
    ended: bool,
    /// Length that blocks should have.
    block_len: usize,
}

impl Chunker {
    /// `held` is the begin of the text, from line `line` on; `stream` is the rest.
    pub(super) fn new(
        file: &str,
        held: Vec<u8>,
        stream: Box<dyn Read + Send>,
        line: u64,
        dialect: Dialect,
        block_len: usize,
    ) -> Self {
        let file = file.to_owned();
        Self { file, stream, dialect, held, line, first: true, ended: false, block_len }
    }

    pub(super) fn next_block(&mut self) -> Result<Option<Block>> {
        let mut wanted = self.block_len;
        let end = loop {
            self.fill(wanted)?;
            if self.held.is_empty() {
                return Ok(None);
            }
            if self.ended && self.held.len() <= self.block_len {
                break self.held.len();
            }
            let whole = self.ended && wanted >= self.held.len();
            let seen = &self.held[..wanted.min(self.held.len())];
            let end = last_record_end(seen, &self.dialect, whole);
            if end > 0 {
                break end;
            }
            if wanted > RECORD_LEN_MAX {
                return Err(self.too_long());
            }
            if whole {
                break self.held.len();
            }
            // Twice as much each time, so that a long record costs its length.
            wanted *= 2;
        };
        let rest = self.held[end..].to_vec();
        let mut text = std::mem::replace(&mut self.held, rest);
        text.truncate(end);
        let block = Block { line: self.line, first: self.first, text };
        self.line += lines::count(&block.text);
        self.first = false;
        Ok(Some(block))
    }

    /// Reads until `wanted` bytes are held or the stream ends.
    fn fill(&mut self, wanted: usize) -> Result<()> {
        let missing = wanted.saturating_sub(self.held.len());
        if missing == 0 || self.ended {
            return Ok(());
        }
        // Memory for what is there, not for what might be.
        self.held.reserve(missing.min(self.block_len.max(self.held.len())));
        let read = (&mut self.stream)
            .take(missing as u64)
            .read_to_end(&mut self.held)
            .map_err(io_error(&self.file))?;
        self.ended = read < missing;
        Ok(())
    }

    fn too_long(&self) -> Error {
        Error::Malformed {
            file: self.file.clone(),
            line: Some(self.line),
            column: None,
            what: "the record is longer than 256 MiB: is a quote never closed?".to_owned(),
        }
    }
}

/// Length of the whole records at the begin of `text`, which begins with a record; 0
/// when there is not one. With `ended`, nothing follows `text`.
fn last_record_end(text: &[u8], dialect: &Dialect, ended: bool) -> usize {
    // A line feed that is not here yet may belong to the last return.
    let visible = match text.last() {
        Some(b'\r') if !ended => text.len() - 1,
        _ => text.len(),
    };
    match (dialect.quote, dialect.comment) {
        // Quotes in comments do not count.
        (Some(_), Some(_)) => records::last_end(&text[..visible], dialect),
        (Some(quote), None) => last_unquoted_end(&text[..visible], quote, dialect),
        (None, _) => {
            let end = text[..visible].iter().rposition(|byte| matches!(byte, b'\n' | b'\r'));
            end.map_or(0, |end| end + 1)
        }
    }
}

/// Behind the last line end that is outside of quotes.
fn last_unquoted_end(text: &[u8], quote: u8, dialect: &Dialect) -> usize {
    let own_escape = dialect.own_escape();
    let mut last = 0;
    let mut quoted = false;
    let mut escaped_to = 0;
    for base in (0..text.len()).step_by(64) {
        let mut marks = mask_at(text, base, [quote, own_escape.unwrap_or(quote)]);
        let mut outside = mask_at(text, base, [b'\n', b'\r']);
        if quoted {
            outside = if marks == 0 { 0 } else { outside };
        }
        let mut see = |outside: u64| {
            if outside != 0 {
                last = base + 64 - outside.leading_zeros() as usize;
            }
        };
        while marks != 0 {
            let bit = marks.trailing_zeros();
            marks &= marks - 1;
            let at = base + bit as usize;
            if at < escaped_to {
                continue;
            }
            let byte = text[at];
            if !quoted {
                quoted = byte == quote
                    && (at == 0
                        || matches!(text[at - 1], b'\n' | b'\r')
                        || text[at - 1] == dialect.delimiter);
                if quoted {
                    see(outside & !(u64::MAX << bit));
                }
            } else if Some(byte) == dialect.escape
                && text.get(at + 1).is_some_and(|&next| next == quote || Some(next) == own_escape)
            {
                escaped_to = at + 2;
            } else if byte == quote {
                quoted = false;
                outside &= u64::MAX << bit;
            }
        }
        if !quoted {
            see(outside);
        }
    }
    last
}
