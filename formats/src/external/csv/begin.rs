//! The begin of a file's text: what dialect and types are found out from.

use std::io::Read;

use super::chunker::Chunker;
use super::dialect::Dialect;
use super::{lines, malformed};
use crate::Result;
use crate::external::source::decompressed;
use crate::external::{Compression, Source, io_error};

/// Bytes that are read to find out about a file.
const SAMPLE_LEN: usize = 4 << 20;

/// The first bytes of a text, and the rest of it.
pub(super) struct Begin {
    file: String,
    pub(super) sample: Vec<u8>,
    stream: Box<dyn Read + Send>,
    /// The line that the sample begins with, from one.
    pub(super) line: u64,
    /// Nothing follows the sample.
    pub(super) whole: bool,
}

impl Begin {
    /// Reads the begin of a file from behind its first `skip` lines.
    pub(super) fn read(source: &dyn Source, compression: Compression, skip: u64) -> Result<Self> {
        let file = source.name().to_owned();
        let stream = source.stream().and_then(|stream| decompressed(stream, compression));
        let stream = stream.map_err(io_error(&file))?;
        let mut begin = Self { file, sample: Vec::new(), stream, line: 1, whole: false };
        begin.fill()?;
        if begin.sample.starts_with(&[0xff, 0xfe]) || begin.sample.starts_with(&[0xfe, 0xff]) {
            let what = "the file is UTF-16: convert it to UTF-8";
            return Err(malformed(&begin.file, None, None, what));
        }
        if begin.sample.starts_with(b"\xef\xbb\xbf") {
            begin.sample.drain(..3);
        }
        begin.skip_lines(skip)?;
        Ok(begin)
    }

    fn fill(&mut self) -> Result<()> {
        self.fill_to(SAMPLE_LEN)
    }

    /// Reads twice as much.
    pub(super) fn grow(&mut self) -> Result<()> {
        self.fill_to(2 * self.sample.len())
    }

    fn fill_to(&mut self, len: usize) -> Result<()> {
        let missing = len.saturating_sub(self.sample.len());
        let read = (&mut self.stream)
            .take(missing as u64)
            .read_to_end(&mut self.sample)
            .map_err(io_error(&self.file))?;
        self.whole = read < missing;
        Ok(())
    }

    /// Goes over lines, whatever is in them.
    pub(super) fn skip_lines(&mut self, mut lines: u64) -> Result<()> {
        loop {
            if let Some(end) = lines::after(&self.sample, lines, self.whole) {
                self.line += lines;
                self.sample.drain(..end);
                return self.fill();
            }
            // The last byte may be the first half of a line end.
            let seen = if self.whole { self.sample.len() } else { self.sample.len() - 1 };
            let ends = lines::count(&self.sample[..seen]);
            self.line += ends;
            lines = lines.saturating_sub(ends);
            self.sample.drain(..seen);
            if self.whole {
                return Ok(());
            }
            self.fill()?;
        }
    }

    /// The text in blocks, from the begin.
    pub(super) fn chunker(self, dialect: Dialect, block_len: usize) -> Chunker {
        let Self { file, sample, stream, line, .. } = self;
        Chunker::new(&file, sample, stream, line, dialect, block_len)
    }
}
